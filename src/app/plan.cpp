// SPDX-License-Identifier: Apache-2.0
#include "mac_text.hpp"

#include <lanloom/app/plan.hpp>
#include <lanloom/crypto/hash.hpp>

#include <algorithm>
#include <array>

namespace lanloom::app {

namespace {
constexpr std::uint8_t inner_end = 0x02;  // locally administered: bridge and container ends
constexpr std::uint8_t port_end = 0xfe;   // higher than any other, so a bridge does not take it for its own

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

std::string text_of(const link_place& place) {
  return place.netns.empty() ? place.name : place.name + " in netns " + place.netns;
}

std::string text_of(std::uint16_t mtu, const os::mac_address& mac) {
  return " mac " + format_mac(mac) + " mtu " + std::to_string(mtu);
}

struct printer {
  std::string operator()(const create_bridge& s) const {
    return "create bridge " + s.name + text_of(s.mtu, s.mac) + " stp off accept_ra 0";
  }
  std::string operator()(const open_tap& s) const { return "open tap " + s.name + text_of(s.mtu, s.mac); }
  std::string operator()(const create_netns& s) const { return "create netns " + s.name; }
  std::string operator()(const create_veth& s) const {
    return "create veth " + s.host_name + " mac " + format_mac(s.host_mac) + " to " +
           text_of(link_place{s.inside_name, s.netns}) + text_of(s.mtu, s.inside_mac);
  }
  std::string operator()(const join_bridge& s) const { return "plug " + s.port + " into " + s.bridge; }
  std::string operator()(const add_address& s) const {
    return "add address " + to_string(s.address) + " to " + text_of(s.to);
  }
  std::string operator()(const bring_up& s) const { return "bring up " + text_of(s.what); }
  std::string operator()(const add_default_route& s) const {
    return "add default route via " + to_string(s.gateway) + " out of " + text_of(s.out);
  }
  std::string operator()(const load_table& s) const {
    return "load nft table inet " + nft_table_name(s.rules.instance) + ": " + describe(s.rules);
  }
  std::string operator()(const enable_forwarding& s) const {
    return std::string("enable forwarding of ") + (s.v6 ? "ipv6" : "ipv4");
  }
};

void plan_bridge(const config& c, const mac_source& macs, std::vector<step>& steps) {
  const auto& name = c.bridge.name;
  steps.emplace_back(create_bridge{name, macs.derive(inner_end, name), c.tap.mtu.value_or(1500)});
  for (const auto& address : c.bridge.addresses) steps.emplace_back(add_address{{name, {}}, address});
  steps.emplace_back(bring_up{{name, {}}});
  steps.emplace_back(open_tap{c.tap.name, macs.derive(port_end, c.tap.name), c.tap.mtu.value_or(1500)});
  steps.emplace_back(join_bridge{c.tap.name, name});
  steps.emplace_back(bring_up{{c.tap.name, {}}});
}

void plan_netns(const config& c, const netns_config& n, const mac_source& macs, std::vector<step>& steps) {
  const link_place inside{n.interface, n.name};
  steps.emplace_back(create_netns{n.name});
  // The inside name alone may be the same in every namespace.
  steps.emplace_back(create_veth{n.host_interface, macs.derive(port_end, n.host_interface), n.name, n.interface,
                                 macs.derive(inner_end, n.name + "/" + n.interface), c.tap.mtu.value_or(1500)});
  steps.emplace_back(join_bridge{n.host_interface, c.bridge.name});
  for (const auto& address : n.addresses) steps.emplace_back(add_address{inside, address});
  steps.emplace_back(bring_up{inside});
  steps.emplace_back(bring_up{{n.host_interface, {}}});
  for (const auto& gateway : n.gateways) steps.emplace_back(add_default_route{inside, gateway});
}
}  // namespace

std::string to_string(const step& s) { return std::visit(printer{}, s); }

std::string mark_of(std::string_view instance) { return "lanloom:" + std::string(instance); }

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

plan make_plan(const config& c, const crypto::public_key& own) {
  const mac_source macs(own, c.instance);
  plan p{c.instance, {}};
  plan_bridge(c, macs, p.steps);
  for (const auto& n : c.netns) plan_netns(c, n, macs, p.steps);
  nft_rules rules{c.instance, c.bridge.name, overlay_subnets(c), c.nat, {c.forwarding.ipv4, c.forwarding.ipv6}};
  // Whether the host forwards already is the kernel's to know; on such a host there may be nothing to load.
  if (needs_table(rules, {})) p.steps.emplace_back(load_table{std::move(rules)});
  if (c.forwarding.ipv4) p.steps.emplace_back(enable_forwarding{false});
  if (c.forwarding.ipv6) p.steps.emplace_back(enable_forwarding{true});
  return p;
}

}  // namespace lanloom::app
