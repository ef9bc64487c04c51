// SPDX-License-Identifier: Apache-2.0
// plan.hpp - what a host is to become for one instance: an ordered list of steps, each a thing that is to be there.
//
// 1. Pure: the configuration, and the few facts of the host that it leaves open (host_facts), decide it; so golden
//    files compare it. What of it is there already is difference.hpp's to say.
// 2. Every step prints as one line; the lines are what --dry-run shows.
// 3. Every link has a MAC derived from the node's key, the instance and the object's name, so neighbours keep their ARP
//    entries over a restart: 02 for bridge and container ends, fe for TAP and host ends, so that a bridge never adopts
//    theirs.
// 4. The nft table comes before forwarding: there is no moment in which the host routes without it.
// Process: keeper and `up --dry-run`. Who does it: host.hpp.
#pragma once

#include <lanloom/app/config.hpp>
#include <lanloom/app/journal.hpp>
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
[[nodiscard]] std::string to_string(const link_place& place);  // "veth11 in netns ns1"

// An interface of this host as it is before it becomes a port: its static addresses, and the routes out of it.
struct uplink_state {
  std::string name;
  os::mac_address mac{};
  bool up = true;
  std::vector<os::address_info> addresses;
  std::vector<os::route_entry> routes;  // their out_index is 0
};
[[nodiscard]] std::vector<ip_address> gateways_of(const uplink_state& u);  // of its default routes
// "default via 192.0.2.1", and "metric 5" and "table 7" where those are not the usual ones.
[[nodiscard]] std::string to_string(const os::route_entry& r);

struct create_bridge {  // takes no router advertisements
  std::string name;
  os::mac_address mac{};
  std::uint16_t mtu = 0;
  bool stp = false;
};
struct use_bridge {  // somebody else's, as it is
  std::string name;
  bool ovs = false;
  bool user_space = false;  // of Open vSwitch: it reads its ports beside the host's stack, and only whole packets
};
struct open_tap {  // makes no IPv6 addresses of its own
  std::string name;
  os::mac_address mac{};
  std::uint16_t mtu = 0;
  bool user_space = false;  // its bridge is of that kind: the host's stack is to ignore what arrives here
};
struct create_netns {  // with its loopback up
  std::string name;
};
struct use_netns {       // somebody else's, as it is
  std::string name;      // or a path
  std::uint64_t id = 0;  // os::netns_id of the one that is meant; 0: whichever has the name
};
struct create_veth {  // the inside end is born there; the host's end makes no IPv6 addresses
  std::string host_name;
  os::mac_address host_mac{};
  std::string alias;  // of the host's end
  std::string netns;
  std::string inside_name;
  os::mac_address inside_mac{};
  std::uint16_t mtu = 0;
  bool user_space = false;  // as of open_tap; and the inside end sends packets cut and summed
};
struct join_bridge {
  std::string port;
  std::string bridge;
  bool ovs = false;
  std::uint16_t cost = 0;  // for STP; 0: the kernel's choice
};
// An interface of this host becomes a port of the bridge, and what it has moves there. See uplink.hpp.
struct take_uplink {
  uplink_state was;
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
struct accept_forwards {  // past a foreign FORWARD policy of iptables; also routed packets of the switched-on families
  std::string bridge;
  address_families routed;
};

using step =
    std::variant<create_bridge, use_bridge, open_tap, create_netns, use_netns, create_veth, join_bridge, add_address,
                 bring_up, add_default_route, take_uplink, load_table, enable_forwarding, accept_forwards>;

[[nodiscard]] std::string to_string(const step& s);  // one line, without its end

struct plan {
  std::string instance;
  instance_facts facts;
  std::vector<step> steps;
};

// What the configuration leaves to the host.
struct host_facts {
  std::uint16_t mtu = 1500;             // of the LAN: that of the configuration, else that of the bridge that is joined
  bool ovs = false;                     // the bridge that is joined is one of Open vSwitch
  bool user_space = false;              // with datapath_type = netdev
  std::vector<uplink_state> uplinks{};  // those of the configuration that are there, in its order
};

// Reads them. Asks for no rights.
[[nodiscard]] host_facts read_facts(const config& c);

[[nodiscard]] plan make_plan(const config& c, const crypto::public_key& own, const host_facts& facts);

// The steps of what `lanloom attach` wired up, which belong to the plan too.
[[nodiscard]] std::vector<step> steps_of(const attachment& a, const instance_facts& facts, std::string_view instance);

// The ports of the host that a plan forwards.
[[nodiscard]] std::vector<takes_port> forwarded_ports(const plan& p);

// ifalias of every link that an instance makes, and of what `attach` makes for it.
[[nodiscard]] std::string mark_of(std::string_view instance);
[[nodiscard]] std::string attached_mark_of(std::string_view instance);

// What STP counts for the way through the overlay: more than any wire, so that where two bridges share a LAN, that is
// the way which stays open.
inline constexpr std::uint16_t overlay_cost = 65535;

// The default gateways that move to the bridge with each uplink but those named; none for one that has none.
[[nodiscard]] std::vector<std::vector<ip_address>> moved_gateways(const plan& p,
                                                                  const std::vector<std::string>& but = {});

// Protocol number of every route that lanloom makes (linux/rtnetlink.h keeps 0..16 for itself).
inline constexpr std::uint8_t route_protocol = 0x4C;

// Networks of the bridge and namespace addresses, each once, in the order of the file.
[[nodiscard]] std::vector<ip_prefix> overlay_subnets(const config& c);

}  // namespace lanloom::app
