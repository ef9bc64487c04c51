// SPDX-License-Identifier: Apache-2.0
// make_node_setup.hpp - what the node is given, made of configuration, keys, plan and the kernel's self-tests.
//
// Process: keeper, before the node is there. Errors: setup_error for what this processor or build cannot do.
#pragma once

#include <lanloom/app/config.hpp>
#include <lanloom/app/node_channel.hpp>
#include <lanloom/app/plan.hpp>
#include <lanloom/os/offload_probe.hpp>

#include <vector>

namespace lanloom::app {

// All but the offloads.
[[nodiscard]] node_setup make_node_setup(const config& c, key_material&& keys, const plan& p);

// Waits for the self-tests' answer; says which offloads the kernel does not have.
[[nodiscard]] offload_setup offloads_by(os::offload_probe& probe, const config& c, const plan& p);

// Links of this host and its namespaces: no peer may send frames in their name.
[[nodiscard]] std::vector<os::mac_address> own_macs(const plan& p);

}  // namespace lanloom::app
