// SPDX-License-Identifier: Apache-2.0
// example_config.hpp - configurations, a key and golden files for the tests of the host set-up.
#pragma once

#include <doctest/doctest.h>

#include <lanloom/app/config.hpp>
#include <lanloom/app/plan.hpp>

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

inline lanloom::crypto::public_key example_key() {
  lanloom::crypto::public_key key;
  for (std::size_t i = 0; i < key.bytes.size(); ++i) key.bytes[i] = static_cast<std::uint8_t>(i);
  return key;
}

inline lanloom::app::config example(const std::string& instance, std::string_view text) {
  return lanloom::app::parse_config(text, instance + ".toml", "somewhere");
}

inline lanloom::app::host_facts facts_of(const lanloom::app::config& c) { return {c.tap.mtu.value_or(1500), false}; }

inline lanloom::app::plan plan_of_config(const lanloom::app::config& c) {
  return make_plan(c, example_key(), facts_of(c));
}

inline std::string golden(const std::string& name) {
  const std::string file = std::string(LANLOOM_SOURCE_DIR) + "/tests/app/golden/" + name;
  std::ifstream in(file);
  REQUIRE_MESSAGE(in, file);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline constexpr std::string_view two_hosts_alpha = R"(
[node]
name = "alpha"
private_key = "alpha.key"
[tap]
name = "vtap0"
[bridge]
name = "br-lan"
addresses = ["10.5.0.1/16"]
[[netns]]
name = "ns1"
interface = "veth11"
host_interface = "veth10"
addresses = ["10.5.0.11/16"]
gateway = "10.5.0.1"
[[netns]]
name = "ns2"
interface = "veth21"
host_interface = "veth20"
addresses = ["10.5.0.21/16"]
gateway = "10.5.0.1"
[forwarding]
ipv4 = true
[nat]
masquerade = ["10.5.0.0/16"]
forward = [{ protocol = "tcp", port = 8765, to = "10.5.0.11:8765" }]
[[peer]]
name = "beta"
public_key = "BAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fIA="
endpoint = "192.168.50.5:4780"
)";

inline constexpr std::string_view two_hosts_beta = R"(
[node]
name = "beta"
private_key = "beta.key"
[tap]
name = "vtap0"
[bridge]
name = "br-lan"
addresses = ["10.5.0.2/16"]
[[netns]]
name = "ns3"
interface = "veth31"
host_interface = "veth30"
addresses = ["10.5.0.31/16"]
gateway = "10.5.0.2"
[forwarding]
ipv4 = true
[nat]
masquerade = ["10.5.0.0/16"]
[[peer]]
name = "alpha"
public_key = "BAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fIA="
endpoint = "192.168.50.6:4780"
)";

inline constexpr std::string_view both_families = R"(
[node]
name = "alpha"
private_key = "alpha.key"
[tap]
name = "tap6"
mtu = 9000
[bridge]
name = "br6"
addresses = ["10.5.0.1/16", "fd00:5::1/64"]
[[netns]]
name = "six1"
addresses = ["10.5.0.11/16", "fd00:5::11/64"]
gateway = ["10.5.0.1", "fd00:5::1"]
host_interface = "six1h"
[forwarding]
ipv4 = true
ipv6 = true
[nat]
masquerade = ["10.5.0.0/16", "fd00:5::/64"]
snat = [{ source = "10.6.0.0/16", to = "192.168.50.6" }]
forward = [
  { protocol = "tcp", port = 8765, to = "10.5.0.11:8765" },
  { protocol = "udp", port = 53, to = "10.5.0.11:5353", address = "192.168.50.6" },
  { protocol = "tcp", port = 443, to = "[fd00:5::11]:8443" },
]
[[peer]]
name = "beta"
public_key = "BAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fIA="
endpoint = "[2001:db8::5]:4780"
)";

inline constexpr std::string_view with_uplink = R"(
[node]
name = "alpha"
private_key = "alpha.key"
[bridge]
name = "br-lan"
uplinks = ["eth0"]
[[netns]]
name = "ns1"
addresses = ["192.168.50.11/24"]
gateway = "192.168.50.1"
host_interface = "ns1h"
[[peer]]
name = "beta"
public_key = "BAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fIA="
endpoint = "192.0.2.5:4780"
)";

// What eth0 has on the host of example_host.hpp.
inline lanloom::app::uplink_state example_uplink() {
  using namespace lanloom;
  app::uplink_state u{"eth0", {0x52, 0x54, 0, 1, 2, 3}, true, {}, {}};
  const auto address = [&](const char* text, const char* label) {
    os::address_info a;
    a.address = *ip_prefix::parse(text);
    a.label = label;
    u.addresses.push_back(a);
  };
  address("192.168.50.6/24", "eth0");
  address("fd00:50::6/64", "");
  const auto route = [&](const char* to, const char* by, std::uint32_t metric, std::uint32_t table) {
    os::route_entry r;
    r.destination = *ip_prefix::parse(to);
    r.gateway = *ip_address::parse(by);
    r.metric = metric;
    r.table = table;
    u.routes.push_back(r);
  };
  route("0.0.0.0/0", "192.168.50.1", 0, 254);
  route("10.9.0.0/16", "192.168.50.9", 5, 100);
  route("::/0", "fd00:50::1", 1024, 254);
  return u;
}

inline constexpr std::string_view bridge_only = R"(
[node]
name = "alpha"
private_key = "alpha.key"
[bridge]
name = "br-bare"
[[peer]]
name = "beta"
public_key = "BAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fIA="
endpoint = "192.168.50.5:4780"
)";
