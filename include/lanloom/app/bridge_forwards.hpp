// SPDX-License-Identifier: Apache-2.0
// bridge_forwards.hpp - lets an instance's packets through a FORWARD chain of iptables that others keep shut.
//
// 1. The rules stand where their owner wants rules of others: in DOCKER-USER where there is one, else on top of
// FORWARD.
// 2. They are narrow: frames within the bridge; and if asked, connections of the bridge out of the given uplinks, their
//    answers, and what was forwarded to the bridge by DNAT.
// 3. All bear the mark of the instance as their comment: withdraw_bridge_forwards finds them without a journal.
// Process: keeper and `doctor --fix`, root. Errors: those of os/iptables.hpp.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace lanloom::app {

struct bridge_forwards {
  std::string instance;
  std::string bridge;
  bool v6 = false;
  std::vector<std::string> uplinks;  // empty: frames within the bridge only; "+": any interface
};

// The rules as command lines, for a plan or a cure. `chain`: DOCKER-USER or FORWARD.
[[nodiscard]] std::vector<std::string> describe(const bridge_forwards& f, std::string_view chain);

// Whether a policy of DROP stands in the way and not all of the rules are there. (A firewall of another make is
// doctor's to find.)
[[nodiscard]] bool lacks_bridge_forwards(const bridge_forwards& f);

void allow_bridge_forwards(const bridge_forwards& f);

// Of both families. How many rules there were.
std::size_t withdraw_bridge_forwards(std::string_view instance);

}  // namespace lanloom::app
