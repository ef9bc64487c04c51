// SPDX-License-Identifier: Apache-2.0
#include "mac_text.hpp"

#include <lanloom/app/plan.hpp>
#include <lanloom/crypto/hash.hpp>

#include <algorithm>
#include <array>

namespace lanloom::app {

namespace {
constexpr std::uint8_t inner_end = 0x02;         // locally administered: bridge and container ends
constexpr std::uint32_t usual_v6_metric = 1024;  // IP6_RT_PRIO_USER of linux/ipv6_route.h
constexpr const char* user_space_words = " for a switch in user space";
constexpr std::uint8_t port_end = 0xfe;  // higher than any other, so a bridge does not take it for its own

class mac_source {
 public:
  mac_source(const crypto::public_key& own, std::string_view instance) : own_(own), instance_(instance) {}

  [[nodiscard]] os::mac_address derive(std::uint8_t first, std::string_view object) const {
    std::array<std::uint8_t, 32> digest{};
    crypto::blake2b(digest, {own_.bytes, as_bytes(instance_), as_bytes(object)});
    os::mac_address mac{};
    mac[0] = first;
    std::copy_n(digest.begin(), mac.size() - 1, mac.begin() + 1);
    return mac;
  }

 private:
  const crypto::public_key& own_;
  std::string_view instance_;
};

std::string text_of(std::uint16_t mtu, const os::mac_address& mac) {
  return " mac " + format_mac(mac) + " mtu " + std::to_string(mtu);
}

struct printer {
  std::string operator()(const create_bridge& s) const {
    return "create bridge " + s.name + text_of(s.mtu, s.mac) + " stp " + (s.stp ? "on" : "off") + " accept_ra 0";
  }
  std::string operator()(const use_bridge& s) const {
    return "use bridge " + s.name + (s.ovs ? " of Open vSwitch" : "") + (s.user_space ? " in user space" : "") +
           " as it is";
  }
  std::string operator()(const open_tap& s) const {
    return "open tap " + s.name + text_of(s.mtu, s.mac) + (s.user_space ? user_space_words : "");
  }
  std::string operator()(const create_netns& s) const { return "create netns " + s.name; }
  std::string operator()(const use_netns& s) const { return "use netns " + s.name + " as it is"; }
  std::string operator()(const create_veth& s) const {
    return "create veth " + s.host_name + " mac " + format_mac(s.host_mac) + " to " +
           to_string(link_place{s.inside_name, s.netns}) + text_of(s.mtu, s.inside_mac) +
           (s.user_space ? user_space_words : "");
  }
  std::string operator()(const join_bridge& s) const {
    return "plug " + s.port + " into " + s.bridge + (s.cost == 0 ? "" : " cost " + std::to_string(s.cost));
  }
  std::string operator()(const take_uplink& s) const {
    std::string moved;
    for (const auto& a : s.was.addresses) moved += (moved.empty() ? "" : ", ") + to_string(a.address);
    for (const auto& r : s.was.routes) moved += (moved.empty() ? "" : ", ") + to_string(r);
    return "plug uplink " + s.was.name + " into " + s.bridge + (moved.empty() ? "" : " and move there " + moved);
  }
  std::string operator()(const add_address& s) const {
    return "add address " + to_string(s.address) + " to " + to_string(s.to);
  }
  std::string operator()(const bring_up& s) const { return "bring up " + to_string(s.what); }
  std::string operator()(const add_default_route& s) const {
    return "add default route via " + to_string(s.gateway) + " out of " + to_string(s.out);
  }
  std::string operator()(const load_table& s) const {
    return "load nft table inet " + nft_table_name(s.rules.instance) + ": " + describe(s.rules);
  }
  std::string operator()(const enable_forwarding& s) const {
    return std::string("enable forwarding of ") + (s.v6 ? "ipv6" : "ipv4");
  }
  std::string operator()(const accept_forwards& s) const {
    return "accept forwards of " + s.bridge + " where a firewall drops them";
  }
};

class planner {
 public:
  planner(const mac_source& macs, const instance_facts& facts, std::vector<step>& steps)
      : macs_(macs), facts_(facts), steps_(steps) {}

  void bridge(const config& c) {
    const auto& name = facts_.bridge;
    if (c.bridge.create) {
      steps_.emplace_back(create_bridge{name, macs_.derive(inner_end, name), facts_.mtu, c.bridge.stp});
    } else {
      steps_.emplace_back(use_bridge{name, facts_.ovs, facts_.user_space});
    }
    for (const auto& address : c.bridge.addresses) steps_.emplace_back(add_address{{name, {}}, address});
    if (c.bridge.create) steps_.emplace_back(bring_up{{name, {}}});
    steps_.emplace_back(open_tap{c.tap.name, macs_.derive(port_end, c.tap.name), facts_.mtu, facts_.user_space});
    const bool weighs = c.bridge.create && c.bridge.stp;
    steps_.emplace_back(join_bridge{c.tap.name, name, facts_.ovs, weighs ? overlay_cost : std::uint16_t{0}});
    steps_.emplace_back(bring_up{{c.tap.name, {}}});
  }

  void uplinks(const config& c, const std::vector<uplink_state>& found) {
    for (const auto& name : c.bridge.uplinks) {
      const auto at = std::find_if(found.begin(), found.end(), [&](const uplink_state& u) { return u.name == name; });
      steps_.emplace_back(take_uplink{at == found.end() ? uplink_state{name, {}, true, {}, {}} : *at, facts_.bridge});
    }
  }

  // The namespace is there or planned already. `object` names its inside end: the interface alone may be the same in
  // every namespace.
  void wire(const netns_config& n, const std::string& object, const std::string& alias) {
    const link_place inside{n.interface, n.name};
    steps_.emplace_back(create_veth{n.host_interface, macs_.derive(port_end, n.host_interface), alias, n.name,
                                    n.interface, macs_.derive(inner_end, object), facts_.mtu, facts_.user_space});
    steps_.emplace_back(join_bridge{n.host_interface, facts_.bridge, facts_.ovs});
    for (const auto& address : n.addresses) steps_.emplace_back(add_address{inside, address});
    steps_.emplace_back(bring_up{inside});
    steps_.emplace_back(bring_up{{n.host_interface, {}}});
    for (const auto& gateway : n.gateways) steps_.emplace_back(add_default_route{inside, gateway});
  }

 private:
  const mac_source& macs_;
  const instance_facts& facts_;
  std::vector<step>& steps_;
};

}  // namespace

std::string to_string(const step& s) { return std::visit(printer{}, s); }

std::string mark_of(std::string_view instance) { return "lanloom:" + std::string(instance); }
std::string attached_mark_of(std::string_view instance) { return mark_of(instance) + ":attach"; }

std::vector<ip_prefix> overlay_subnets(const config& c) {
  std::vector<ip_prefix> subnets;
  const auto add = [&](const ip_prefix& address) {
    const auto subnet = address.network();
    if (std::find(subnets.begin(), subnets.end(), subnet) == subnets.end()) subnets.push_back(subnet);
  };
  for (const auto& address : c.bridge.addresses) add(address);
  for (const auto& n : c.netns) {
    for (const auto& address : n.addresses) add(address);
  }
  return subnets;
}

plan make_plan(const config& c, const crypto::public_key& own, const host_facts& facts) {
  const mac_source macs(own, c.instance);
  plan p{c.instance, {c.bridge.name, facts.ovs, facts.mtu, own, facts.user_space}, {}};
  planner make(macs, p.facts, p.steps);
  make.bridge(c);
  for (const auto& n : c.netns) {
    if (n.create) {
      p.steps.emplace_back(create_netns{n.name});
    } else {
      p.steps.emplace_back(use_netns{n.name});
    }
    make.wire(n, n.name + "/" + n.interface, mark_of(c.instance));
  }
  make.uplinks(c, facts.uplinks);
  nft_rules rules{c.instance,
                  c.bridge.name,
                  overlay_subnets(c),
                  c.nat,
                  {c.forwarding.ipv4, c.forwarding.ipv6},
                  !c.bridge.uplinks.empty()};
  if (needs_table(rules)) p.steps.emplace_back(load_table{std::move(rules)});
  if (c.forwarding.ipv4) p.steps.emplace_back(enable_forwarding{false});
  if (c.forwarding.ipv6) p.steps.emplace_back(enable_forwarding{true});
  if (c.forwarding.firewall == firewall_policy::fix) {
    p.steps.emplace_back(accept_forwards{c.bridge.name, {c.forwarding.ipv4, c.forwarding.ipv6}});
  }
  return p;
}

std::vector<takes_port> forwarded_ports(const plan& p) {
  std::vector<takes_port> ports;
  for (const auto& s : p.steps) {
    const auto* table = std::get_if<load_table>(&s);
    if (table == nullptr) continue;
    for (const auto& f : table->rules.nat.forward) {
      const auto address = f.address ? to_string(*f.address) : std::string("*");
      ports.push_back({f.protocol == forward_protocol::udp, f.port, address});
    }
  }
  return ports;
}

std::string to_string(const link_place& place) {
  return place.netns.empty() ? place.name : place.name + " in netns " + place.netns;
}

std::string to_string(const os::route_entry& r) {
  const os::route_entry usual;
  const auto usual_metric = r.destination.address.v6 ? usual_v6_metric : usual.metric;
  return (r.destination.length == 0 ? std::string("default") : to_string(r.destination)) +
         (r.gateway ? " via " + to_string(*r.gateway) : "") +
         (r.metric == usual_metric ? "" : " metric " + std::to_string(r.metric)) +
         (r.table == usual.table ? "" : " table " + std::to_string(r.table));
}

std::vector<ip_address> gateways_of(const uplink_state& u) {
  std::vector<ip_address> gateways;
  for (const auto& r : u.routes) {
    if (r.destination.length == 0 && r.gateway) gateways.push_back(*r.gateway);
  }
  return gateways;
}

std::vector<std::vector<ip_address>> moved_gateways(const plan& p, const std::vector<std::string>& but) {
  std::vector<std::vector<ip_address>> all;
  for (const auto& s : p.steps) {
    const auto* taken = std::get_if<take_uplink>(&s);
    if (taken == nullptr || std::find(but.begin(), but.end(), taken->was.name) != but.end()) continue;
    if (auto gateways = gateways_of(taken->was); !gateways.empty()) all.push_back(std::move(gateways));
  }
  return all;
}

std::vector<step> steps_of(const attachment& a, const instance_facts& facts, std::string_view instance) {
  const mac_source macs(facts.own, instance);
  std::vector<step> steps{use_netns{a.netns, a.netns_id}};
  const netns_config n{a.netns, false, a.interface, a.host_interface, a.addresses, a.gateways};
  planner(macs, facts, steps).wire(n, a.host_interface + "/" + a.interface, attached_mark_of(instance));
  return steps;
}

}  // namespace lanloom::app
