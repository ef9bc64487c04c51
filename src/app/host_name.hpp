// SPDX-License-Identifier: Apache-2.0
// host_name.hpp - this host's name, the default of [node] name. Errors: std::system_error.
#pragma once

#include <lanloom/os/unique_fd.hpp>

#include <unistd.h>

#include <array>
#include <string>

namespace lanloom::app {

inline std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) os::throw_errno("read the host's name");
  return name.data();
}

}  // namespace lanloom::app
