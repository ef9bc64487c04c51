// SPDX-License-Identifier: Apache-2.0
// nft_ruleset.hpp - the text of an instance's private nft table, from values; runs nothing.
//
// 1. One table per instance, `inet lanloom-<instance>`; the text replaces it whole in one transaction.
// 2. No postrouting rule touches what leaves through the bridge, except the hairpin: with br_netfilter, bridged frames
//    pass these hooks too.
// 3. Interfaces are matched by name, so the table survives a bridge that is made again.
// A port forward answers on the host's own addresses, from outside and from the host itself, but not on 127.0.0.1:
// that would need route_localnet, which opens loopback to the network.
#pragma once

#include <lanloom/app/config.hpp>
#include <lanloom/base/ip_prefix.hpp>

#include <string>
#include <vector>

namespace lanloom::app {

struct address_families {
  bool v4 = false;
  bool v6 = false;
  bool operator==(const address_families&) const = default;
};

// What the table is to do.
struct nft_rules {
  std::string instance;
  std::string bridge;
  std::vector<ip_prefix> overlay;  // subnets of the bridge, host bits cleared
  nat_config nat;
  address_families forwarding;  // families that the instance switches forwarding on for
};

[[nodiscard]] std::string nft_table_name(std::string_view instance);  // without the family

// Whether there is any rule to load on a host that forwarded these families before: without one there is no table, and
// nft is not needed.
[[nodiscard]] bool needs_table(const nft_rules& rules, address_families forwarded_before);

// For `nft -f -`. Where forwarding is switched on by us, what neither comes from nor goes to the bridge is dropped, so
// that the host becomes a router of the bridge only. (Frames within another bridge pass the forward hook under
// br_netfilter and cannot be told from packets routed between two other bridges; both are let through.)
[[nodiscard]] std::string nft_ruleset(const nft_rules& rules, address_families forwarded_before);

// "masquerade 10.5.0.0/16, forward tcp 8765 to 10.5.0.11:8765": for the plan.
[[nodiscard]] std::string describe(const nft_rules& rules);

}  // namespace lanloom::app
