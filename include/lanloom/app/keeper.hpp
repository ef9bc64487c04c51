// SPDX-License-Identifier: Apache-2.0
// keeper.hpp - `lanloom up`: makes the host, starts the node, stays, and undoes everything at the end.
//
// The keeper is root, single-threaded, and reads configuration, journal and netlink; never a byte from UDP, TAP or a
// client. It keeps duplicates of the node's descriptors, so that a node that dies and comes back is not noticed by the
// bridge. When the keeper dies the node dies (parent-death signal, end of file), and with both of them the TAP.
// Errors: config_error, permission_error, std::exception; whatever is thrown, the host is as it was.
#pragma once

#include <lanloom/app/log.hpp>

#include <filesystem>

namespace lanloom::app {

// Runs until SIGINT, SIGTERM, SIGHUP or SIGQUIT, of those that were not ignored before. The result is the exit status.
[[nodiscard]] int up(const std::filesystem::path& file, verbosity asked);

// Prints the plan, one line a step; touches nothing.
void print_plan(const std::filesystem::path& file);

}  // namespace lanloom::app
