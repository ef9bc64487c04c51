// SPDX-License-Identifier: Apache-2.0
// instance_directory.hpp - where instances keep what lives as long as they run: lock, journal, control socket.
//
// Only root writes it; everyone may pass through, because the control socket's own mode says who may connect.
#pragma once

#include <filesystem>

namespace lanloom::app {

inline const std::filesystem::path instance_directory = "/run/lanloom";

// Whatever the umask. Throws std::filesystem::filesystem_error, a std::system_error.
inline void make_instance_directory() {
  namespace fs = std::filesystem;
  if (!fs::create_directories(instance_directory)) return;
  fs::permissions(instance_directory, static_cast<fs::perms>(0755));
}

}  // namespace lanloom::app
