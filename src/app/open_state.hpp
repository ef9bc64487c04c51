// SPDX-License-Identifier: Apache-2.0
// open_state.hpp - the state file for the node, or none: without it the overlay works all the same.
//
// Process: keeper, at its start. What cannot be opened is a warning with the cure.
#pragma once

#include <lanloom/os/unique_fd.hpp>

#include <filesystem>

namespace lanloom::app {

[[nodiscard]] os::unique_fd open_state(const std::filesystem::path& directory, bool adopts);

}  // namespace lanloom::app
