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
#include <string_view>
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
  bool leads_out = false;       // the bridge has uplinks
};

[[nodiscard]] std::string nft_table_name(std::string_view instance);  // without the family

// What the host must not become a router of, because it forwards only since we asked for it.
struct router_guard {
  address_families families;         // those that the host did not forward before
  std::vector<std::string> bridges;  // that were there then
  bool operator==(const router_guard&) const = default;
};

// Whether there is any rule to load: without one there is no table, and nft is not needed.
[[nodiscard]] bool needs_table(const nft_rules& rules);

// For `nft -f -`. Of the guarded families, what neither comes from nor goes to our bridge is dropped, so that the host
// becomes a router of this bridge only; but a bridge that was made later is let through, because whoever made it
// (Docker, libvirt, another instance) counts on forwarding and has its own rules. Frames within a bridge pass the
// forward hook too, under br_netfilter, and are none of its business. TCP that is routed between the overlay and
// elsewhere gets the segment size of the narrower side.
[[nodiscard]] std::string nft_ruleset(const nft_rules& rules, const router_guard& guard);

// What the guard of such a table was made from: of the table as nft lists it, or of the ruleset itself.
[[nodiscard]] router_guard read_guard(std::string_view listing);

// "masquerade 10.5.0.0/16, forward tcp 8765 to 10.5.0.11:8765": for the plan.
[[nodiscard]] std::string describe(const nft_rules& rules);

}  // namespace lanloom::app
