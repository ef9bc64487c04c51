// SPDX-License-Identifier: Apache-2.0
#include "config_cases.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace lanloom::app::config_cases;

namespace {

constexpr std::string_view bridge = "[bridge]\naddresses = [\"10.5.0.1/16\", \"fd00:5::1/64\"]\n";  // two lines
constexpr std::string_view routed = "[forwarding]\nipv4 = true\nipv6 = true\n";                     // three lines

std::string on_bridge(const std::string& more) { return std::string(bridge) + more; }
std::string on_router(const std::string& more) { return std::string(bridge) + std::string(routed) + more; }

}  // namespace

TEST_CASE("things that are there twice") {
  check_all({
      {"[[netns]]\nname = \"n\"\n[[netns]]\nname = \"n\"\n",
       "lan.toml:6:8: the name `n` is that of another namespace already (line 4); give each namespace its own"},
      {"[tap]\nname = \"x0\"\n[bridge]\nname = \"x0\"\n",
       "lan.toml:4:8: the interface name `x0` is that of the bridge already (line 6); give each interface its own"},
      {"[[netns]]\nname = \"n\"\nhost_interface = \"ll-lan\"\n",
       "lan.toml:5:18: the interface name `ll-lan` is that of the TAP already (line 1); give each interface its own"},
      {on_bridge("[[netns]]\nname = \"n\"\naddresses = [\"10.5.0.1/16\"]\n"),
       "lan.toml:7:14: the address 10.5.0.1 is that of the bridge already (line 4); give each its own"},
      {on_bridge("[[netns]]\nname = \"n\"\naddresses = [\"10.5.0.9/16\"]\n[[netns]]\nname = \"m\"\naddresses = "
                 "[\"10.5.0.9/24\"]\n"),
       "lan.toml:10:14: the address 10.5.0.9 is that of namespace `n` already (line 7); give each its own"},
      {peer("b", beta_key) + peer("b", gamma_key),
       "lan.toml:7:8: the name `b` is that of another peer already (line 4); give each peer its own"},
      {peer("b", beta_key) + peer("c", beta_key),
       "lan.toml:8:14: this key is that of peer `b` already (line 5); every host has its own: correct one of them"},
      {peer("b", beta_key, "endpoint = \"192.0.2.1:1\"\n") +
           peer("c", gamma_key, "endpoint = \"[::ffff:192.0.2.1]:1\"\n"),
       "lan.toml:10:12: the endpoint 192.0.2.1:1 is that of peer `b` already (line 6); every host has its own: correct "
       "one of them"},
      {peer("b", beta_key, "endpoint = [\"192.0.2.1:1\", \"[2001:db8::1]:1\", \"192.0.2.1:1\"]\n"),
       "lan.toml:6:47: the endpoint 192.0.2.1:1 is that of peer `b` already (line 6); every host has its own: correct "
       "one of them"},
      {peer("b", beta_key, "endpoint = \"h.example:1\"\n") + peer("c", gamma_key, "endpoint = \"H.Example:1\"\n"),
       "lan.toml:10:12: the endpoint h.example:1 is that of peer `b` already (line 6); every host has its own: correct "
       "one of them"},
      {on_router("[nat]\nmasquerade = [\"10.5.0.0/16\", \"10.5.0.0/16\"]\n"),
       "lan.toml:9:30: the subnet 10.5.0.0/16 is that of an entry of `masquerade` already (line 9); keep one of them"},
      {on_router("[nat]\nmasquerade = [\"10.5.0.0/16\"]\nsnat = [{ source = \"10.5.0.0/16\", to = \"192.0.2.1\" }]\n"),
       "lan.toml:10:20: the subnet 10.5.0.0/16 is that of an entry of `masquerade` already (line 9); keep one of them"},
  });
}

TEST_CASE("addresses and the bridge") {
  const auto netns = [](const char* address, const char* gateway) {
    return "[[netns]]\nname = \"n\"\naddresses = [\"" + std::string(address) + "\"]\ngateway = \"" +
           std::string(gateway) + "\"\n";
  };
  check_all({
      {on_bridge(netns("10.5.0.11/16", "10.5.0.1")), ""},
      {on_bridge(netns("10.5.0.11/16", "10.5.0.2")), ""},  // another host of the LAN
      {on_bridge(netns("fd00:5::11/64", "fd00:5::1")), ""},
      {netns("10.5.0.11/16", "10.5.0.2"), ""},  // the bridge is a plain switch
      {on_bridge("[[netns]]\nname = \"n\"\naddresses = [\"10.6.0.11/16\"]\n"),
       "lan.toml:7:14: 10.6.0.11 is outside the bridge's subnets (10.5.0.0/16, fd00:5::/64); take an address in one of "
       "them"},
      {on_bridge(netns("10.5.0.11/16", "10.6.0.1")),
       "lan.toml:8:11: the gateway 10.6.0.1 is nobody's: it is no address of the bridge and in none of its subnets "
       "(10.5.0.0/16, "
       "fd00:5::/64); take an address of the bridge"},
      {on_bridge(netns("10.5.0.11/16", "10.5.0.11")),
       "lan.toml:8:11: the gateway 10.5.0.11 is the namespace's own address; take the bridge's"},
      {on_bridge(netns("10.5.0.11/24", "10.5.1.1")),
       "lan.toml:8:11: the gateway 10.5.1.1 is in no subnet of this namespace's addresses; correct it or their length"},
      {on_bridge("[[netns]]\nname = \"n\"\naddresses = [\"10.5.0.11/16\"]\ngateway = [\"10.5.0.1\", \"10.5.0.2\"]\n"),
       "lan.toml:8:24: there are two gateways of one family; keep one"},
      {on_bridge(peer("b", beta_key, "endpoint = \"10.5.3.4:4780\"\n")),
       "lan.toml:8:12: the endpoint 10.5.3.4:4780 is inside the overlay's own subnet 10.5.0.0/16; write the peer's "
       "address outside the overlay"},
      {on_bridge(peer("b", beta_key, "endpoint = \"[fd00:5::2]:4780\"\n")),
       "lan.toml:8:12: the endpoint [fd00:5::2]:4780 is inside the overlay's own subnet fd00:5::/64; write the peer's "
       "address outside the overlay"},
      {netns("10.7.0.11/16", "10.7.0.1") + peer("b", beta_key, "endpoint = \"10.7.3.4:4780\"\n"),
       "lan.toml:10:12: the endpoint 10.7.3.4:4780 is inside the overlay's own subnet 10.7.0.0/16; write the peer's "
       "address outside the overlay"},
      {on_bridge(netns("10.5.0.11/16", "10.5.255.255")),
       "lan.toml:8:11: the gateway 10.5.255.255 cannot be one: it is the subnet's broadcast address; take an address "
       "of the bridge"},
      {on_bridge(netns("10.5.0.11/16", "10.5.0.0")),
       "lan.toml:8:11: the gateway 10.5.0.0 cannot be one: it is the subnet, not an address in it; take an address of "
       "the bridge"},
      // A bridge address that cannot be read is one problem, not one more for each namespace.
      {"[bridge]\naddresses = [\"10.5.0.1/16\", \"x\"]\n" + netns("10.6.0.11/16", "10.6.0.1"),
       "lan.toml:4:29: `addresses` cannot be `x`; write a list of addresses with the length of their subnet, such as "
       "[\"10.5.0.1/16\", \"fd00:5::1/64\"]"},
  });
}

TEST_CASE("a bridge of somebody else's") {
  check_all({
      {"[bridge]\nname = \"docker0\"\ncreate = false\n", ""},
      {"[bridge]\nname = \"br0\"\ncreate = false\nkind = \"ovs\"\naddresses = [\"10.5.0.1/16\"]\n", ""},
      {"[bridge]\nkind = \"linux\"\nstp = true\n", ""},
      {"[bridge]\nkind = \"ovs\"\n",
       "lan.toml:4:8: an Open vSwitch bridge is joined, not made: add create = false, or remove `kind`"},
      {"[bridge]\ncreate = false\nstp = true\n",
       "lan.toml:5:7: a bridge with create = false stays as its owner set it; remove `stp`"},
  });
}

TEST_CASE("where the peers' datagrams come and go") {
  const auto listening = [](const char* listen, const char* remote) {
    return "listen = \"" + std::string(listen) + "\"\n" + std::string(bridge) +
           peer("b", beta_key, "endpoint = [\"" + std::string(remote) + "\"]\n");
  };
  check_all({
      {listening("192.0.2.1:4780", "192.0.2.2:4780"), ""},
      {listening("192.0.2.1:4780", "192.0.2.1:4781"), ""},
      {listening("[::]:4780", "192.0.2.2:4780"), ""},
      {listening("[2001:db8::1]:4780", "[2001:db8::2]:4780"), ""},
      {listening("10.5.0.1:4780", "192.0.2.2:4780"),
       "lan.toml:3:10: 10.5.0.1:4780 is inside the overlay's own subnet 10.5.0.0/16; write an address of this host "
       "outside the overlay"},
      {listening("192.0.2.1:4780", "192.0.2.1:4780"),
       "lan.toml:9:13: the endpoint 192.0.2.1:4780 is our own, where `listen` takes the peers' datagrams; write the "
       "peer's"},
      {listening("192.0.2.1:4780", "192.0.2.2:4780\", \"[2001:db8::2]:4780"),
       "lan.toml:9:31: the endpoint [2001:db8::2]:4780 cannot be reached from `listen` = 192.0.2.1:4780, which is of "
       "the "
       "other family; write [::]:4780 there"},
      {listening("0.0.0.0:4781", "[2001:db8::2]:4780"),
       "lan.toml:9:13: the endpoint [2001:db8::2]:4780 cannot be reached from `listen` = 0.0.0.0:4781, which is of the "
       "other family; write [::]:4781 there"},
      {listening("[2001:db8::1]:4780", "192.0.2.2:4780"),
       "lan.toml:9:13: the endpoint 192.0.2.2:4780 cannot be reached from `listen` = [2001:db8::1]:4780, which is of "
       "the other family; write [::]:4780 there"},
  });
}

TEST_CASE("the private key's file is nothing else") {
  const std::string sentence =
      "this is the file of `private_key`, which must never leave this host; name a file that `lanloom genpsk` made";
  check_all({
      {"network_secret = \"./lan.key\"\n", "lan.toml:3:18: " + sentence},
      {peer("b", beta_key, "preshared_key = \"lan.key\"\n"), "lan.toml:6:17: " + sentence},
      {peer("b", beta_key, "preshared_key = \"lan.psk\"\n"), ""},
  });
}

TEST_CASE("address translation") {
  const auto forward = [](const std::string& entries) { return on_router("[nat]\nforward = [" + entries + "]\n"); };
  const std::string tcp = "{ protocol = \"tcp\", port = 80, to = \"10.5.0.11:80\"";
  check_all({
      {forward(tcp + " }"), ""},
      {forward(tcp + ", address = \"192.0.2.1\" }, " + tcp + ", address = \"192.0.2.2\" }"), ""},
      {forward(tcp + " }, { protocol = \"udp\", port = 80, to = \"10.5.0.11:80\" }"), ""},
      {forward(tcp + " }, { protocol = \"tcp\", port = 80, to = \"[fd00:5::11]:80\" }"), ""},
      {forward(tcp + " }, " + tcp + ", address = \"192.0.2.2\" }"),
       "lan.toml:9:93: tcp 80 is forwarded already (line 9); keep one of them"},
      {forward("{ protocol = \"tcp\", port = 80, to = \"10.6.0.11:80\" }"),
       "lan.toml:9:48: the target 10.6.0.11 is outside the bridge's subnets (10.5.0.0/16, fd00:5::/64); take an "
       "address in one of them"},
      {forward(tcp + ", address = \"2001:db8::1\" }"),
       "lan.toml:9:74: 2001:db8::1 is not of the family of 10.5.0.11; write an address of the same"},
      {forward("{ protocol = \"udp\", port = 4780, to = \"10.5.0.11:80\" }"),
       "lan.toml:9:39: udp 4780 is the port that `listen` takes for the peers; forward another"},
      {forward("{ protocol = \"sctp\", port = 65536, to = \"ns1:80\" }"),
       "lan.toml:9:25: `protocol` cannot be `sctp`; write \"tcp\" or \"udp\"\n"
       "lan.toml:9:40: `port` cannot be `65536`; write a port from 1 to 65535\n"
       "lan.toml:9:52: `to` cannot be `ns1:80`: a host name cannot stand here; write a numeric address "
       "and port, such as "
       "\"10.5.0.11:8765\""},
      {on_router("[nat]\nsnat = [{ source = \"10.6.0.0/16\", to = \"2001:db8::1\" }]\n"),
       "lan.toml:9:40: 2001:db8::1 is not of the family of 10.6.0.0/16; write an address of the same"},
      {on_bridge("[forwarding]\nipv6 = true\n[nat]\nmasquerade = [\"fd00:5::/64\", \"10.5.0.0/16\"]\n"),
       "lan.toml:8:30: this needs forwarding, which is off for ipv4; set ipv4 = true in [forwarding]"},
      {on_bridge("[nat]\nsnat = [{ source = \"fd00:5::/64\", to = \"2001:db8::1\" }]\nforward = [" + tcp + " }]\n"),
       "lan.toml:6:20: this needs forwarding, which is off for ipv6; set ipv6 = true in [forwarding]\n"
       "lan.toml:7:48: this needs forwarding, which is off for ipv4; set ipv4 = true in [forwarding]"},
  });
}
