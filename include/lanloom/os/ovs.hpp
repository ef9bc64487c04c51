// SPDX-License-Identifier: Apache-2.0
// ovs.hpp - ports on Open vSwitch bridges that others own, by way of the program ovs-vsctl.
//
// 1. A port of ours bears lanloom=INSTANCE in its interface's external_ids. It lives in the database of Open vSwitch,
// so
//    it outlasts the interface, the switch and a reboot until it is deleted.
// 2. Adding what is there, and deleting what is not, does nothing. A port on another bridge is refused, not moved; and
//    one that the switch cannot open is taken out again.
// 3. ovs-vsctl waits 5 seconds for the database, and for the switch to do what was written there. OVS_RUNDIR is passed
//    to it when it is set.
// Errors: ovs_refused with its own words (no database, no such bridge, the switch does not answer); std::system_error
// as run_program, and EINVAL for a name that no interface can have. Used by the keeper.
#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace lanloom::os {

class ovs_refused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[nodiscard]] bool ovs_present();  // ovs-vsctl is installed; whether a switch runs is another matter

[[nodiscard]] bool ovs_bridge_exists(std::string_view bridge);
// "system": the kernel's; "netdev": user space, which reads its ports without offloads.
[[nodiscard]] std::string ovs_datapath_type(std::string_view bridge);

// Names of a bridge's ports; nothing when there is no such bridge.
[[nodiscard]] std::optional<std::vector<std::string>> ovs_ports(std::string_view bridge);

void ovs_add_port(std::string_view bridge, std::string_view port, std::string_view instance);
void ovs_delete_port(std::string_view port);
[[nodiscard]] std::optional<std::string> ovs_bridge_of(std::string_view port);
[[nodiscard]] std::vector<std::string> ovs_marked_ports(std::string_view instance);  // in ascending order

}  // namespace lanloom::os
