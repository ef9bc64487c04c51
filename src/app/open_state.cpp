// SPDX-License-Identifier: Apache-2.0
#include "open_state.hpp"

#include "open_when_free.hpp"

#include <lanloom/app/log.hpp>
#include <lanloom/core/saved_state.hpp>
#include <lanloom/os/state_file.hpp>

namespace lanloom::app {

os::unique_fd open_state(const std::filesystem::path& directory, bool adopts) {
  try {
    return open_when_free(adopts,
                          [&] { return os::open_state_file(directory.string(), core::state_copies::file_size); });
  } catch (const std::exception& e) {
    spdlog::warn(
        "[node] state: {}; time stamps and last endpoints will be forgotten at the end. Set `state` to a directory of "
        "its own that root can write, and restart",
        e.what());
    return {};
  }
}

}  // namespace lanloom::app
