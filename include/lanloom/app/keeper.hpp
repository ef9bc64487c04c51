// SPDX-License-Identifier: Apache-2.0
// keeper.hpp - `lanloom up`: makes the host, starts the node, keeps both as they should be, and undoes everything at
// the end.
//
// The keeper is root, single-threaded, and reads configuration, journal and netlink; never a byte from UDP, TAP or a
// client. It keeps duplicates of the node's descriptors, so that a node that dies and comes back is not noticed by the
// bridge. When the keeper dies the node dies (parent-death signal, end of file), and with both of them the TAP.
// Errors: config_error, permission_error, std::exception; whatever is thrown, the host is as it was before.
#pragma once

#include <lanloom/app/log.hpp>

#include <filesystem>

namespace lanloom::app {

// Runs until SIGINT, SIGTERM or SIGQUIT (or SIGHUP, where stdin is a terminal; elsewhere that is a reload), of those
// that were not ignored before. `keep`: leaves the host set up, for the next start to adopt. The result is the exit
// status.
[[nodiscard]] int up(const std::filesystem::path& file, verbosity asked, bool keep);

// Prints the plan, one line a step; touches nothing.
void print_plan(const std::filesystem::path& file);

}  // namespace lanloom::app
