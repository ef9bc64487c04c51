// SPDX-License-Identifier: Apache-2.0
// daemon.hpp - the node process: the event loop between TAP, UDP socket, control socket and core::node.
//
// Everything comes over the channel from the keeper; then all rights are given up, and only then is the first foreign
// byte read. While something crosses, os::ready_set says which of TAP, UDP socket and timer is ready; else Asio does.
// Reading and writing are os's calls, in bursts with a budget.
// Invariants: (1) the clock is read once per wake, and around work; (2) what core wants saved is saved, and then what
// it wants done is done, before core gets more input; (3) every error of the kernel is counted as a drop or ends the
// process. Process: node. One thread. The life of a frame goes through here: see ARCHITECTURE.md.
#pragma once

#include <lanloom/os/channel.hpp>
#include <lanloom/os/sandbox.hpp>

#include <sys/types.h>

namespace lanloom::app {

// The node's whole life in a forked child: never returns to the keeper's code. The result is the exit status.
[[nodiscard]] int run_node(os::channel keeper_end, const os::sandbox_identity& identity, pid_t keeper) noexcept;

}  // namespace lanloom::app
