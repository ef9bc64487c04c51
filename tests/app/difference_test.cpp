// SPDX-License-Identifier: Apache-2.0
// The pure comparison: what is there is kept, what is wrong is corrected, and no more.
#include <lanloom/app/difference.hpp>

#include <doctest/doctest.h>

#include <lanloom/app/host_view.hpp>
#include "example_config.hpp"

#include <algorithm>

using namespace lanloom;
using namespace lanloom::app;

namespace {
link_view& add_link(place_view& at, const std::string& name, const std::string& kind, const os::mac_address& mac) {
  auto& l = at.links.emplace_back();
  l.link.index = static_cast<int>(at.links.size());
  l.link.name = name;
  l.link.kind = kind;
  l.link.mac = mac;
  return l;
}

// A host on which all steps were done, and its journal.
struct made_host {
  host_view kernel;
  std::vector<journal_entry> entries;

  explicit made_host(const plan& p) {
    for (const auto& s : p.steps) std::visit(*this, s);
    kernel.table_is_right = true;
  }

  link_view& at(const link_place& place) { return const_cast<link_view&>(*kernel.find(place)); }

  void operator()(const create_bridge& s) {
    auto& l = add_link(kernel.here, s.name, "bridge", s.mac).link;
    l.mtu = s.mtu;
    l.stp = s.stp;
    l.alias = "lanloom:lan";
    entries.emplace_back(made_link{link_kind::bridge, s.name, s.mac});
  }
  void operator()(const use_bridge& s) { add_link(kernel.here, s.name, "bridge", {}); }
  void operator()(const open_tap& s) {
    auto& l = add_link(kernel.here, s.name, "tun", s.mac).link;
    l.mtu = s.mtu;
    l.alias = "lanloom:lan";
    l.makes_addresses = false;
    entries.emplace_back(made_link{link_kind::tap, s.name, s.mac});
  }
  void operator()(const create_netns& s) {
    kernel.netns[s.name].id = 7;
    entries.emplace_back(made_netns{s.name});
  }
  void operator()(const use_netns& s) { kernel.netns[s.name].id = s.id == 0 ? 8 : s.id; }
  void operator()(const create_veth& s) {
    auto& outside = add_link(kernel.here, s.host_name, "veth", s.host_mac).link;
    outside.mtu = s.mtu;
    outside.alias = s.alias;
    outside.makes_addresses = false;
    auto& inside = add_link(kernel.netns[s.netns], s.inside_name, "veth", s.inside_mac).link;
    inside.mtu = s.mtu;
    inside.peer = outside.index;
    entries.emplace_back(made_link{link_kind::veth, s.host_name, s.host_mac});
  }
  void operator()(const join_bridge& s) {
    auto& port = at({s.port, {}}).link;
    port.master = at({s.bridge, {}}).link.index;
    port.port_cost = s.cost;
  }
  void operator()(const take_uplink& s) {
    auto& port = add_link(kernel.here, s.was.name, "", s.was.mac).link;
    auto& bridge = at({s.bridge, {}});
    port.master = bridge.link.index;
    port.up = true;
    for (const auto& a : s.was.addresses) {
      bridge.addresses.push_back(a.address);
      entries.emplace_back(had_address{s.was.name, a});
    }
    for (auto r : s.was.routes) {
      entries.emplace_back(had_route{s.was.name, r});
      r.out_index = bridge.link.index;
      bridge.routes.push_back(r);
    }
    entries.emplace_back(taken_uplink{s.was.name, s.bridge, s.was.up, port.index});
  }
  void operator()(const add_address& s) {
    at(s.to).addresses.push_back(s.address);
    entries.emplace_back(made_address{s.to.netns, s.to.name, s.address});
  }
  void operator()(const bring_up& s) { at(s.what).link.up = true; }
  void operator()(const add_default_route& s) {
    kernel.netns[s.out.netns].routes.push_back({s.gateway, at(s.out).link.index, route_protocol});
  }
  void operator()(const load_table& s) { entries.emplace_back(made_table{nft_table_name(s.rules.instance)}); }
  void operator()(const enable_forwarding& s) {
    (s.v6 ? kernel.forwards.v6 : kernel.forwards.v4) = true;
    entries.emplace_back(needs_forwarding{s.v6});
  }
  void operator()(const accept_forwards& s) {
    kernel.forwards_accepted = true;
    entries.emplace_back(accepted_forwards{s.bridge});
  }

  // Its links and whatever hangs on them.
  void lose(const std::string& name) {
    auto& links = kernel.here.links;
    const auto index = at({name, {}}).link.index;
    std::erase_if(links, [&](const link_view& l) { return l.link.name == name; });
    for (auto& l : links) {
      if (l.link.master == index) l.link.master = 0;
    }
  }
};

const plan whole = plan_of_config(example("lan", two_hosts_alpha));

std::string lines_of(const host_difference& d) {
  std::string text;
  for (const auto& c : d.changes) text += to_string(c.what) + "\n";
  for (const auto& m : d.missing) text += "missing: " + m + "\n";
  for (const auto& c : d.conflicts) text += "conflict: " + c + "\n";
  return text;
}

std::string changes(const made_host& h, const plan& p = whole) { return lines_of(difference(p, h.kernel, h.entries)); }
}  // namespace

TEST_CASE("on a bare host the difference is the plan") {
  host_view bare;
  std::string steps;
  for (const auto& s : whole.steps) steps += to_string(s) + "\n";
  CHECK(lines_of(difference(whole, bare, {})) == steps);
}

TEST_CASE("on a host that is as planned there is nothing to do") { CHECK(changes(made_host(whole)).empty()); }

TEST_CASE("what is wrong is corrected in place") {
  const auto after = [](auto harm) {
    made_host h(whole);
    harm(h);
    return changes(h);
  };
  CHECK(after([](made_host& h) { h.at({"vtap0", {}}).link.master = 0; }) == "plug vtap0 into br-lan\n");
  CHECK(after([](made_host& h) { h.at({"br-lan", {}}).link.up = false; }) == "bring up br-lan\n");
  CHECK(after([](made_host& h) { h.at({"br-lan", {}}).link.mtu = 1400; }).starts_with("correct br-lan mac 02:"));
  CHECK(after([](made_host& h) { h.at({"vtap0", {}}).link.mac[5] ^= 1; }).starts_with("correct vtap0 mac fe:"));
  CHECK(after([](made_host& h) { h.at({"veth20", {}}).link.makes_addresses = true; }).starts_with("correct veth20"));
  CHECK(after([](made_host& h) {
          h.at({"veth11", "ns1"}).link.mtu = 1400;
        }).starts_with("correct veth11 in netns ns1"));
  CHECK(after([](made_host& h) {
          h.at({"br-lan", {}}).link.stp = true;
        }) == "correct bridge br-lan stp off accept_ra 0\n");
  CHECK(after([](made_host& h) { h.kernel.bridge_takes_adverts = true; }) ==
        "correct bridge br-lan stp off accept_ra 0\n");
  CHECK(after([](made_host& h) { h.at({"br-lan", {}}).addresses.clear(); }) == "add address 10.5.0.1/16 to br-lan\n");
  CHECK(after([](made_host& h) { h.kernel.netns["ns2"].routes.clear(); }) ==
        "add default route via 10.5.0.1 out of veth21 in netns ns2\n");
  CHECK(after([](made_host& h) { h.kernel.table_is_right = false; }).starts_with("load nft table inet lanloom-lan"));
  CHECK(after([](made_host& h) { h.kernel.forwards.v4 = false; }) == "enable forwarding of ipv4\n");
}

TEST_CASE("a bridge that went takes nothing else with it") {
  made_host h(whole);
  h.lose("br-lan");
  const auto said = changes(h);
  CHECK(said.starts_with("create bridge br-lan mac 02:"));
  for (const char* line : {"add address 10.5.0.1/16 to br-lan\n", "plug vtap0 into br-lan\n", "bring up br-lan\n",
                           "plug veth10 into br-lan\n", "plug veth20 into br-lan\n"}) {
    CHECK_MESSAGE(said.find(line) != std::string::npos, line);
  }
  CHECK(said.find("create veth") == std::string::npos);
  CHECK(said.find("create netns") == std::string::npos);
  const auto d = difference(whole, h.kernel, h.entries);
  for (const auto& c : d.changes) CHECK(c.cause == to_string(d.changes.front().what));
}

TEST_CASE("a bridge that somebody made again is taken over while we run, and not before") {
  made_host h(whole);
  auto& bridge = h.at({"br-lan", {}});
  bridge.link.mac = {2, 2, 2, 2, 2, 2};
  bridge.link.alias.clear();
  CHECK(changes(h).starts_with("adopt bridge") == false);
  CHECK(changes(h).starts_with("correct br-lan mac 02:"));
  h.entries.clear();
  CHECK(changes(h).find("conflict: br-lan: exists already and is not lanloom's; choose another [bridge] name") !=
        std::string::npos);
}

TEST_CASE("a veth pair whose inside is lost is made again, with all that was on it") {
  made_host h(whole);
  h.kernel.netns["ns1"].links.clear();
  const auto said = changes(h);
  CHECK(said.starts_with("remove veth veth10\ncreate veth veth10"));
  CHECK(said.find("add address 10.5.0.11/16 to veth11 in netns ns1\n") != std::string::npos);
  CHECK(said.find("bring up veth11 in netns ns1\n") != std::string::npos);
  CHECK(said.find("ns2") == std::string::npos);
}

TEST_CASE("what is not planned any more is undone, backwards, and others' things are not") {
  made_host h(whole);
  auto smaller = plan_of_config(example("lan", two_hosts_beta));  // another bridge address and namespace, no TAP change
  h.at({"br-lan", {}}).addresses.push_back(*ip_prefix::parse("10.9.9.9/24"));
  const auto d = difference(smaller, h.kernel, h.entries);
  const auto said = lines_of(d);
  CHECK(said.find("undo address - br-lan 10.5.0.1/16\n") != std::string::npos);
  CHECK(said.find("undo netns ns1\n") != std::string::npos);
  CHECK(said.find("undo veth veth10") < said.find("undo netns ns1\n"));
  CHECK(said.find("10.9.9.9") == std::string::npos);
  CHECK(said.find("undo bridge") == std::string::npos);
  CHECK(said.find("undo tap") == std::string::npos);
}

TEST_CASE("with the journal lost, what bears our mark is written down again") {
  made_host h(whole);
  h.entries = {made_netns{"ns1"}, made_netns{"ns2"}};
  const auto said = changes(h);
  CHECK(said.find("adopt bridge br-lan") != std::string::npos);
  CHECK(said.find("adopt address - br-lan 10.5.0.1/16") != std::string::npos);
  CHECK(said.find("create ") == std::string::npos);
}

TEST_CASE(
    "of a bridge and a namespace of somebody else's nothing is touched, and without them all that hangs on them "
    "waits") {
  const auto joined = plan_of_config(example("lan", R"(
[node]
private_key = "k"
[bridge]
name = "docker0"
create = false
[[netns]]
name = "box"
create = false
addresses = ["10.5.0.11/16"]
)"));
  made_host h(joined);
  CHECK(changes(h, joined).empty());
  h.at({"docker0", {}}).link.mtu = 1400;
  h.at({"docker0", {}}).link.stp = true;
  CHECK(changes(h, joined).empty());
  const auto bridge = h.at({"docker0", {}}).link.index;
  h.lose("docker0");
  CHECK(changes(h, joined) ==
        "missing: bridge docker0: there is none; its owner has to make it, or set create = true\n");
  auto& again = add_link(h.kernel.here, "docker0", "bridge", {});
  again.link.index = bridge + 100;
  CHECK(changes(h, joined).find("plug ll-lan into docker0\n") != std::string::npos);
  again.link.kind = "dummy";
  CHECK(changes(h, joined) == "conflict: docker0: is not a bridge; correct [bridge] name\n");
  again.link.kind = "bridge";
  h.kernel.netns.clear();
  const auto without = changes(h, joined);
  CHECK(without.find("missing: netns box: there is none; its owner has to make it, or set create = true\n") !=
        std::string::npos);
  CHECK(without.find("create veth") == std::string::npos);
}

namespace {
plan with_uplink_plan() {
  return make_plan(example("lan", with_uplink), example_key(), {1500, false, false, {example_uplink()}});
}
const std::string plugged =
    "plug uplink eth0 into br-lan and move there 192.168.50.6/24, fd00:50::6/64, default via 192.168.50.1, 10.9.0.0/16 "
    "via 192.168.50.9 metric 5 table 100, default via fd00:50::1\n";
}  // namespace

TEST_CASE("an uplink is taken again when it, or anything that moved with it, is not where it belongs") {
  const auto p = with_uplink_plan();
  const auto after = [&](auto harm) {
    made_host h(p);
    harm(h);
    return changes(h, p);
  };
  CHECK(after([](made_host&) {}) == "");
  CHECK(after([](made_host& h) { h.at({"eth0", {}}).link.master = 0; }) == plugged);
  CHECK(after([](made_host& h) { h.at({"eth0", {}}).link.up = false; }) == plugged);
  CHECK(after([](made_host& h) { h.at({"br-lan", {}}).routes.pop_back(); }) == plugged);
  CHECK(after([](made_host& h) { h.at({"br-lan", {}}).addresses.pop_back(); }) == plugged);
  CHECK(after([](made_host& h) {
          h.at({"eth0", {}}).addresses.push_back(*ip_prefix::parse("192.168.50.6/24"));
        }) == plugged);
  CHECK(after([](made_host& h) { h.entries.pop_back(); }) == plugged);
  CHECK(after([](made_host& h) {
          h.at({"ll-lan", {}}).link.port_cost = 100;
        }) == "plug ll-lan into br-lan cost 65535\n");
}

TEST_CASE("an uplink that is gone is missing; one that somebody else has is theirs; one not named any more goes back") {
  const auto p = with_uplink_plan();
  made_host gone(p);
  gone.lose("eth0");
  CHECK(changes(gone, p) ==
        "missing: uplink eth0: there is no such interface; plug it in, or correct [bridge] uplinks\n");
  made_host theirs(p);
  theirs.at({"eth0", {}}).link.master = 99;
  CHECK(
      changes(theirs, p) ==
      "conflict: uplink eth0: is a port of something else already; take it out (ip link set eth0 nomaster), or correct "
      "[bridge] uplinks\n");
  made_host h(p);
  auto renamed = example("lan", with_uplink);
  renamed.bridge.name = "br-new";
  const auto other = make_plan(renamed, example_key(), {1500, false, false, {example_uplink()}});
  const auto both = changes(h, other);  // given back by the one before the other takes it
  CHECK(both.find("conflict") == std::string::npos);
  CHECK(both.find("undo uplink eth0 br-lan up ") < both.find("plug uplink eth0 into br-new"));
  CHECK(both.find("plug uplink eth0 into br-new") != std::string::npos);
  auto c = example("lan", with_uplink);
  c.bridge.uplinks.clear();
  CHECK(changes(h, plan_of_config(c)) ==
        "undo uplink eth0 br-lan up " + std::to_string(h.at({"eth0", {}}).link.index) + "\n");
  made_host renamed_now(p);
  renamed_now.at({"eth0", {}}).link.name = "lan0";
  CHECK(
      changes(renamed_now, p) ==
      "missing: uplink eth0: is called lan0 now; give it its name back, or write the other in [bridge] uplinks and run "
      "`lanloom reload`\n");
  made_host anew(p);  // the same name, plugged in anew
  anew.at({"eth0", {}}).link.index = 77;
  CHECK(changes(anew, p).starts_with("plug uplink eth0 into br-lan"));
  auto bridge_lost = made_host(p);
  bridge_lost.lose("br-lan");
  const auto d = difference(p, bridge_lost.kernel, bridge_lost.entries);
  REQUIRE_FALSE(d.changes.empty());
  CHECK(d.changes.back().cause == d.changes.front().cause);
  CHECK(to_string(d.changes.back().what) + "\n" == plugged);
}

TEST_CASE("a port of a switch in user space is suited to it, and a switch that does not answer holds up nothing else") {
  auto c = example("lan", two_hosts_alpha);
  c.bridge.create = false;
  const auto p = make_plan(c, example_key(), {1500, true, true});
  made_host h(p);
  h.kernel.ovs_bridge_exists = true;
  for (const auto& s : p.steps) {
    if (const auto* join = std::get_if<join_bridge>(&s)) h.kernel.ovs_bridge_of[join->port] = join->bridge;
  }
  CHECK(changes(h, p).empty());
  h.kernel.unsuited = {"veth10", "vtap0"};
  CHECK(changes(h, p) ==
        "suit vtap0 to a switch in user space\n"
        "suit veth10 to a switch in user space\n");
  h.kernel.unsuited.clear();
  auto lost = h;
  lost.lose("vtap0");  // the switch's database still has it
  CHECK(changes(lost, p).find("plug vtap0 into br-lan\n") != std::string::npos);
  h.kernel.ovs_bridge_of.erase("vtap0");
  CHECK(changes(h, p) == "plug vtap0 into br-lan\n");
  h.kernel.ovs_bridge_exists = false;
  h.kernel.ovs_refusal = "ovs-vsctl: no answer";
  h.at({"veth10", {}}).link.up = false;
  CHECK(changes(h, p) == "bring up veth10\nmissing: bridge br-lan: ovs-vsctl: no answer\n");
}
