// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/app/packet_filter.hpp>

#include <stdexcept>

using namespace lanloom;
using namespace lanloom::app;

namespace {

packet_kind bridged() {
  packet_kind p;
  p.bridged = true;
  p.in = p.out = "br-lan";
  p.source = p.destination = ip_prefix::parse("10.5.0.0/16");
  return p;
}

packet_kind to_port_4780() {
  packet_kind p;
  p.in = "eth0";
  p.source = ip_prefix::parse("192.168.50.5");
  p.protocol = "udp";
  p.port = 4780;
  return p;
}

bool passes_iptables(const std::string& rules, filter_hook hook, const packet_kind& p, bool v6 = false) {
  packet_filter f;
  f.add_iptables(rules, "iptables", v6);
  return !f.blocks(hook, p);
}

// `rules` as nft prints them, in table inet t; the policy is that of base chain c at `hook`.
std::string nft_text(const std::string& hook, const std::string& policy, const std::string& rules) {
  std::string text = R"({"nftables":[{"metainfo":{"version":"1.0.6"}},{"table":{"family":"inet","name":"t"}},)"
                     R"({"set":{"family":"inet","name":"ports","table":"t","elem":[22,{"range":[4700,4800]}]}},)"
                     R"({"map":{"family":"inet","name":"fates","table":"t","elem":[["eth0",{"accept":null}]]}},)"
                     R"({"chain":{"family":"inet","table":"t","name":"other"}},)"
                     R"({"chain":{"family":"inet","table":"t","name":"c","type":"filter","hook":")" +
                     hook + R"(","prio":0,"policy":")" + policy + R"("}})";
  return text + rules + "]}";
}
std::string nft_rule(const std::string& chain, const std::string& expressions) {
  return R"(,{"rule":{"family":"inet","table":"t","chain":")" + chain + R"(","expr":[)" + expressions + "]}}";
}
std::string match(const std::string& left, const std::string& right, const char* op = "==") {
  return R"({"match":{"op":")" + std::string(op) + R"(","left":)" + left + R"(,"right":)" + right + "}},";
}
const std::string accept_it = R"({"accept":null})";
const std::string iifname = R"({"meta":{"key":"iifname"}})";
const std::string udp_dport = R"({"payload":{"protocol":"udp","field":"dport"}})";
const std::string tcp_dport = R"({"payload":{"protocol":"tcp","field":"dport"}})";
const std::string ct_state = R"({"ct":{"key":"state"}})";
const std::string ip_saddr = R"({"payload":{"protocol":"ip","field":"saddr"}})";

bool passes_nft(const std::string& rules, filter_hook hook, const packet_kind& p, const char* policy = "drop") {
  packet_filter f;
  f.add_nft(nft_text(hook == filter_hook::input ? "input" : "forward", policy, rules));
  return !f.blocks(hook, p);
}

}  // namespace

TEST_CASE("a policy of DROP blocks what no rule accepts, and is named") {
  packet_filter f;
  f.add_iptables("-P INPUT ACCEPT\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n", "iptables", false);
  auto at_ports = bridged();
  at_ports.at_ports = true;
  CHECK(!f.blocks(filter_hook::forward, at_ports));
  const auto found = f.blocks(filter_hook::forward, bridged());
  REQUIRE(found);
  CHECK(to_string(*found) == "iptables chain FORWARD: its policy is DROP");
  CHECK(!f.blocks(filter_hook::input, to_port_4780()));
  auto six = bridged();
  six.v6 = true;
  CHECK(!f.blocks(filter_hook::forward, six));
}

TEST_CASE("iptables rules are judged as the kernel would") {
  const std::string drop = "-P FORWARD DROP\n-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n";
  const auto forward = filter_hook::forward;
  CHECK(passes_iptables(drop + "-A DOCKER-USER -i br-lan -o br-lan -m comment --comment \"a b\" -j ACCEPT\n", forward,
                        bridged()));
  CHECK(passes_iptables(drop + "-A FORWARD -i br+ -j ACCEPT\n", forward, bridged()));
  CHECK(passes_iptables(drop + "-A FORWARD -m physdev --physdev-is-bridged -j ACCEPT\n", forward, bridged()));
  CHECK(passes_iptables(drop + "-A FORWARD -s 10.0.0.0/8 -j ACCEPT\n", forward, bridged()));
  CHECK(passes_iptables(drop + "-A FORWARD ! -i eth0 -j ACCEPT\n", forward, bridged()));
  CHECK(passes_iptables(drop + "-A FORWARD -m conntrack --ctstate NEW,ESTABLISHED -j ACCEPT\n", forward, bridged()));
  CHECK(passes_iptables("-P FORWARD ACCEPT\n-A FORWARD -i docker0 -j DROP\n-A FORWARD -j LOG --log-prefix x\n", forward,
                        bridged()));
  // What lets only some through, or others.
  CHECK(!passes_iptables(drop + "-A FORWARD -s 10.5.0.11/32 -j ACCEPT\n", forward, bridged()));
  CHECK(!passes_iptables(drop + "-A FORWARD -p tcp -m tcp --dport 80 -j ACCEPT\n", forward, bridged()));
  CHECK(!passes_iptables(drop + "-A FORWARD -i docker0 ! -o docker0 -j ACCEPT\n", forward, bridged()));
  CHECK(
      !passes_iptables(drop + "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n", forward, bridged()));
  CHECK(!passes_iptables(drop + "-A FORWARD -m mark --mark 0x1/0x1 -j ACCEPT\n", forward, bridged()));
  CHECK(!passes_iptables(drop + "-A DOCKER-USER -j RETURN\n", forward, bridged()));
  // RETURN ends the chain, goto never comes back.
  CHECK(!passes_iptables(drop + "-A DOCKER-USER -j RETURN\n-A DOCKER-USER -j ACCEPT\n", forward, bridged()));
  CHECK(!passes_iptables("-P FORWARD DROP\n-N a\n-A FORWARD -g a\n-A FORWARD -j ACCEPT\n", forward, bridged()));
  // A chain that leads to itself ends.
  CHECK(!passes_iptables("-P FORWARD DROP\n-N a\n-A FORWARD -j a\n-A a -j a\n-A a -j a\n", forward, bridged()));
}

TEST_CASE("a rule that rejects names its chain") {
  packet_filter f;
  f.add_iptables(
      "-P INPUT ACCEPT\n-N late\n-A INPUT -i lo -j ACCEPT\n-A INPUT -j late\n-A late -j REJECT --reject-with x\n",
      "iptables", false);
  const auto found = f.blocks(filter_hook::input, to_port_4780());
  REQUIRE(found);
  CHECK(to_string(*found) == "iptables chain INPUT, in chain late: its rule 1 drops what no rule before it accepts");
  CHECK(f.has_chain("late"));
  CHECK(f.names_interface("late", "lo"));
  CHECK(!f.names_interface("late", "br-lan"));
}

TEST_CASE("ports and protocols of iptables") {
  const std::string drop = "-P INPUT DROP\n-A INPUT ";
  const auto input = filter_hook::input;
  CHECK(passes_iptables(drop + "-p udp -m udp --dport 4780 -j ACCEPT\n", input, to_port_4780()));
  CHECK(passes_iptables(drop + "-p udp -m udp --dport 4000:5000 -j ACCEPT\n", input, to_port_4780()));
  CHECK(passes_iptables(drop + "-p udp -m multiport --dports 53,4780 -j ACCEPT\n", input, to_port_4780()));
  CHECK(passes_iptables(drop + "-s 192.168.50.0/24 -m addrtype --dst-type LOCAL -j ACCEPT\n", input, to_port_4780()));
  CHECK(!passes_iptables(drop + "-p tcp -m tcp --dport 4780 -j ACCEPT\n", input, to_port_4780()));
  CHECK(!passes_iptables(drop + "-p udp -m udp --dport 53 -j ACCEPT\n", input, to_port_4780()));
  CHECK(!passes_iptables(drop + "-p udp -m udp --sport 4780 -j ACCEPT\n", input, to_port_4780()));
  CHECK(!passes_iptables(drop + "-i lo -j ACCEPT\n", input, to_port_4780()));
}

TEST_CASE("nft rules are judged as the kernel would") {
  const auto input = filter_hook::input;
  CHECK(!passes_nft("", input, to_port_4780()));
  CHECK(passes_nft("", input, to_port_4780(), "accept"));
  CHECK(passes_nft("", filter_hook::forward, bridged(), "accept"));
  CHECK(passes_nft(nft_rule("c", match(udp_dport, R"({"set":[53,4780]})") + accept_it), input, to_port_4780()));
  CHECK(passes_nft(nft_rule("c", match(udp_dport, R"("@ports")") + accept_it), input, to_port_4780()));
  CHECK(
      passes_nft(nft_rule("c", match(R"({"meta":{"key":"l4proto"}})", R"("udp")") + accept_it), input, to_port_4780()));
  CHECK(passes_nft(nft_rule("c", match(R"({"payload":{"protocol":"th","field":"dport"}})", "4780") + accept_it), input,
                   to_port_4780()));
  CHECK(
      passes_nft(nft_rule("c", match(ct_state, R"(["new","established"])", "in") + accept_it), input, to_port_4780()));
  CHECK(passes_nft(nft_rule("c", match(ip_saddr, R"({"prefix":{"addr":"192.168.0.0","len":16}})") + accept_it), input,
                   to_port_4780()));
  CHECK(passes_nft(nft_rule("c", R"({"vmap":{"key":)" + iifname + R"(,"data":"@fates"}})"), input, to_port_4780()));
  CHECK(passes_nft(nft_rule("other", accept_it) + nft_rule("c", R"({"jump":{"target":"other"}})"), input,
                   to_port_4780()));
  // A set that is not told: met neither by what asks for it nor by what asks for the opposite.
  CHECK(!passes_nft(nft_rule("c", match(iifname, R"("@untold")") + accept_it), input, to_port_4780()));
  CHECK(!passes_nft(nft_rule("c", match(udp_dport, R"("@untold")", "!=") + accept_it), input, to_port_4780()));
  // What does not concern us.
  CHECK(!passes_nft(nft_rule("c", match(tcp_dport, "4780") + accept_it), input, to_port_4780()));
  CHECK(!passes_nft(nft_rule("c", match(tcp_dport, "22", "!=") + accept_it), input, to_port_4780()));
  CHECK(!passes_nft(nft_rule("c", match(udp_dport, "4780", "!=") + accept_it), input, to_port_4780()));
  CHECK(!passes_nft(nft_rule("c", match(iifname, R"("lo")") + accept_it), input, to_port_4780()));
  CHECK(!passes_nft(nft_rule("c", match(ct_state, R"({"set":["established","related"]})") + accept_it), input,
                    to_port_4780()));
  CHECK(!passes_nft(nft_rule("c", R"({"limit":{"rate":5}},)" + accept_it), input, to_port_4780()));
  CHECK(!passes_nft(nft_rule("c", match(R"({"meta":{"key":"mark"}})", "1") + accept_it), input, to_port_4780()));
}

TEST_CASE("kinds of interfaces: the guard of another instance lets bridges through") {
  packet_kind p;
  p.in = p.bridge = "br-g";
  p.out = "eth0";
  const auto kind = [](const char* side) { return R"({"meta":{"key":")" + std::string(side) + R"(kind"}})"; };
  const auto guard = nft_rule("c", match(kind("iif"), R"("bridge")") + match(iifname, R"("br0")", "!=") + accept_it) +
                     nft_rule("c", match(kind("oif"), R"("bridge")") + accept_it);
  CHECK(passes_nft(guard, filter_hook::forward, p));
  std::swap(p.in, p.out);
  CHECK(passes_nft(guard, filter_hook::forward, p));
  p.bridge = "";
  CHECK_FALSE(passes_nft(guard, filter_hook::forward, p));
  p.in = p.bridge = "br0";
  p.out = "eth0";
  CHECK_FALSE(passes_nft(guard, filter_hook::forward, p));
}

TEST_CASE("addresses: inside, partly, outside, and of the other family") {
  using certainty = packet_filter::certainty;
  const auto net = ip_prefix::parse("10.5.0.0/16");
  CHECK(address_is(net, *ip_prefix::parse("10.0.0.0/8"), false) == certainty::yes);
  CHECK(address_is(net, *ip_prefix::parse("10.5.1.0/24"), false) == certainty::maybe);
  CHECK(address_is(net, *ip_prefix::parse("10.6.0.0/16"), false) == certainty::no);
  CHECK(address_is(std::nullopt, *ip_prefix::parse("10.6.0.0/16"), false) == certainty::maybe);
  CHECK(address_is(std::nullopt, *ip_prefix::parse("0.0.0.0/0"), false) == certainty::yes);
  CHECK(address_is(std::nullopt, *ip_prefix::parse("0.0.0.0/0"), true) == certainty::no);
}

TEST_CASE("a final reject in an accepting chain blocks, as firewalld does it") {
  const auto rules = nft_rule("c", match(iifname, R"("docker0")") + accept_it) +
                     nft_rule("c", R"({"reject":{"type":"icmpx","expr":"admin-prohibited"}})");
  packet_filter f;
  f.add_nft(nft_text("forward", "accept", rules));
  const auto found = f.blocks(filter_hook::forward, bridged());
  REQUIRE(found);
  CHECK(to_string(*found) == "nft chain inet t c: its rule 2 drops what no rule before it accepts");
  CHECK(f.has_table("inet", "t"));
  CHECK(f.names_interface("t", "docker0"));
  CHECK(!f.names_interface("t", "br-lan"));
}

TEST_CASE("a table of family bridge is asked about ports, and nothing else is") {
  packet_filter f;
  f.add_nft(
      R"({"nftables":[{"chain":{"family":"bridge","table":"b","name":"f","type":"filter","hook":"forward","policy":"drop"}}]})");
  CHECK(!f.blocks(filter_hook::forward, bridged()));
  auto frame = bridged();
  frame.at_ports = true;
  CHECK(f.blocks(filter_hook::forward, frame));
}

TEST_CASE("tables that another program speaks for are left out") {
  packet_filter f;
  f.add_nft(
      R"({"nftables":[{"chain":{"family":"ip","table":"filter","name":"FORWARD","type":"filter","hook":"forward","policy":"drop"}}]})",
      {"ip filter"});
  CHECK(!f.blocks(filter_hook::forward, bridged()));
}

TEST_CASE("text that is something else is refused") {
  packet_filter f;
  CHECK_THROWS_AS(f.add_nft("Error: no"), std::runtime_error);
  CHECK_THROWS_AS(f.add_nft("{}"), std::runtime_error);
  CHECK_THROWS_AS(f.add_nft(R"({"nftables":[{"rule":{"expr":[{"jump":5}]}}]})"), std::runtime_error);
  CHECK_THROWS_AS(f.add_nft(R"({"nftables":[{"chain":7}]})"), std::runtime_error);
  CHECK_THROWS_AS(f.add_iptables("usage: iptables\n", "iptables", false), std::runtime_error);
}
