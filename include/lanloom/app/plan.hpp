// SPDX-License-Identifier: Apache-2.0
// plan.hpp - what a host is to become for one instance: an ordered list of steps, from the configuration alone.
//
// 1. Pure: asks the kernel nothing, so that `up --dry-run` needs no rights and golden files compare it.
// 2. Every step prints as one line; the lines are what --dry-run shows.
// 3. Every link has a MAC derived from the node's key, the instance and the object's name, so neighbours keep their ARP
//    entries over a restart: 02 for bridge and container ends, fe for TAP and host ends, so that a bridge never adopts
//    theirs.
// 4. The nft table comes before forwarding: there is no moment in which the host routes without it.
// Process: keeper and `up --dry-run`. Who does it: host.hpp.
#pragma once

#include <lanloom/app/config.hpp>
#include <lanloom/app/nft_ruleset.hpp>
#include <lanloom/base/ip_prefix.hpp>
#include <lanloom/crypto/keys.hpp>
#include <lanloom/os/netlink.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lanloom::app {

// A link in the host's namespace, or in a named one.
struct link_place {
  std::string name;
  std::string netns;  // empty: the host's own
};

struct create_bridge {  // without STP; takes no router advertisements
  std::string name;
  os::mac_address mac{};
  std::uint16_t mtu = 0;
};
struct open_tap {  // makes no IPv6 addresses of its own
  std::string name;
  os::mac_address mac{};
  std::uint16_t mtu = 0;
};
struct create_netns {  // with its loopback up
  std::string name;
};
struct create_veth {  // the inside end is born there; the host's end makes no IPv6 addresses
  std::string host_name;
  os::mac_address host_mac{};
  std::string netns;
  std::string inside_name;
  os::mac_address inside_mac{};
  std::uint16_t mtu = 0;
};
struct join_bridge {
  std::string port;
  std::string bridge;
};
struct add_address {
  link_place to;
  ip_prefix address;
};
struct bring_up {
  link_place what;
};
struct add_default_route {
  link_place out;
  ip_address gateway;
};
struct load_table {
  nft_rules rules;
};
struct enable_forwarding {
  bool v6 = false;
};

using step = std::variant<create_bridge, open_tap, create_netns, create_veth, join_bridge, add_address, bring_up,
                          add_default_route, load_table, enable_forwarding>;

[[nodiscard]] std::string to_string(const step& s);  // one line, without its end

struct plan {
  std::string instance;
  std::vector<step> steps;
};

[[nodiscard]] plan make_plan(const config& c, const crypto::public_key& own);

// ifalias of every link that an instance makes.
[[nodiscard]] std::string mark_of(std::string_view instance);

// Protocol number of every route that lanloom makes (linux/rtnetlink.h keeps 0..16 for itself).
inline constexpr std::uint8_t route_protocol = 0x4C;

// Networks of the bridge and namespace addresses, each once, in the order of the file.
[[nodiscard]] std::vector<ip_prefix> overlay_subnets(const config& c);

}  // namespace lanloom::app
