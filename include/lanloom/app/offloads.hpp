// SPDX-License-Identifier: Apache-2.0
// offloads.hpp - what the node leaves to the kernel: the word of the configuration and what the self-tests found.
//
// "off" and "on" are obeyed; "auto" is what was found to work. Pure. Called by the keeper.
#pragma once

#include <lanloom/app/config.hpp>
#include <lanloom/app/node_channel.hpp>
#include <lanloom/os/offload_probe.hpp>

#include <string>
#include <vector>

namespace lanloom::app {

// What the configuration says of libipsec-mb, as crypto says it.
[[nodiscard]] crypto::accelerator accelerator_by(offload_choice wanted) noexcept;

[[nodiscard]] offload_setup choose_offloads(const offload_config& wanted, const os::kernel_offloads& found);

// Names of what does not work here though nobody switched it off, for the log: "tso4", "uso", "udp_gso", ...
[[nodiscard]] std::vector<std::string> missing_offloads(const offload_config& wanted, const os::kernel_offloads& found);

// Names for `status`: what passes the TAP unfinished in both directions, and what the socket uses.
[[nodiscard]] std::vector<std::string> names_of_tap_offloads(const offload_setup& used);
[[nodiscard]] std::vector<std::string> names_of_udp_offloads(const offload_setup& used);

}  // namespace lanloom::app
