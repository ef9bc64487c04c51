// SPDX-License-Identifier: Apache-2.0
// firewall.hpp - the rules that let the overlay's packets past a foreign FORWARD policy of DROP, as Docker sets it.
//
// With br_netfilter such a policy drops bridged frames too. The rules go into DOCKER-USER where there is one, which
// Docker keeps over its own restarts, else to the top of FORWARD. They accept what stays on the bridge, what leaves by
// it, answers to that, and what was forwarded to it by a port; nothing else is opened. Each bears the instance's mark.
// In the caller's network namespace. Errors: os::iptables_refused, std::system_error.
#pragma once

#include <string>

namespace lanloom::app {

// Whether there is nothing to do: no family's policy drops, or all rules are there.
[[nodiscard]] bool forwards_accepted(const std::string& bridge, const std::string& mark);
void insert_acceptance(const std::string& bridge, const std::string& mark);
bool remove_acceptance(const std::string& mark);  // whether there was any

}  // namespace lanloom::app
