// SPDX-License-Identifier: Apache-2.0
#include "mac_text.hpp"
#include "privileges.hpp"

#include <lanloom/app/control.hpp>
#include <lanloom/app/doctor_checks.hpp>
#include <lanloom/app/plan.hpp>
#include <lanloom/os/address_probe.hpp>
#include <lanloom/os/bridge_fdb.hpp>
#include <lanloom/os/sysctl.hpp>

#include <algorithm>
#include <set>

namespace lanloom::app {

namespace {
constexpr const char* forward_id = "ip-forward";
constexpr const char* rp_filter_id = "rp-filter";
constexpr const char* mtu_id = "mtu-bridge";
constexpr const char* mac_id = "duplicate-mac";
constexpr const char* address_id = "duplicate-address";
constexpr std::chrono::milliseconds probe_time{600};
constexpr std::int64_t fresh_seconds = 30;

const std::string not_up = "the instance does not run: nothing to compare yet";

std::string said(const std::optional<std::string>& value) { return value.value_or("0"); }

// What the kernel goes by: the stricter of the setting for all and the interface's own; 2, loose, wins over 1.
std::string rp_filter_of(const std::string& interface) {
  return std::max(said(os::read_sysctl("net/ipv4/conf/all/rp_filter")),
                  said(os::read_sysctl("net/ipv4/conf/" + interface + "/rp_filter")));
}

ip_address first_host(const ip_prefix& p) {
  auto a = p.network().address;
  if (p.length < a.bits()) a.bytes[a.bits() / 8U - 1] |= 1;
  return a;
}

// IPv4 sources that come in through the bridge, though this host's own routes to them lead elsewhere.
std::vector<ip_prefix> strangers(const examination& e) {
  auto sources = overlay_subnets(e.file());
  for (const auto& m : e.file().nat.masquerade) sources.push_back(m.network());
  for (const auto& s : e.file().nat.snat) sources.push_back(s.source.network());
  const auto* bridge = e.link(e.file().bridge.name);
  os::netlink here;
  std::vector<ip_prefix> found;
  for (const auto& s : sources) {
    if (s.address.v6 || std::find(found.begin(), found.end(), s) != found.end()) continue;
    bool known = std::any_of(e.file().bridge.addresses.begin(), e.file().bridge.addresses.end(),
                             [&](const ip_prefix& a) { return a.length <= s.length && a.contains(s.address); });
    if (bridge != nullptr && !known) {
      const auto back = here.route_to(first_host(s));
      known = back && back->out_index == bridge->index;
    }
    if (!known) found.push_back(s);
  }
  return found;
}

std::string netns_of(const examination& e, const std::string& host_interface) {
  for (const auto& n : e.file().netns) {
    if (n.host_interface == host_interface) return n.name;
  }
  return {};
}

struct odd_port {
  os::link port;
  unsigned wanted = 0;
};

// Ports whose MTU is not the bridge's.
std::vector<odd_port> odd_ports(const examination& e) {
  std::vector<odd_port> odd;
  const auto* bridge = e.link(e.file().bridge.name);
  for (const auto& l : e.links()) {
    if (bridge != nullptr && l.master == bridge->index && l.mtu != bridge->mtu) odd.push_back({l, bridge->mtu});
  }
  return odd;
}

// MAC addresses of the LAN that live behind a port here and behind a peer at the same time.
std::vector<std::string> living_twice(const examination& e, const os::link& bridge, const os::link& tap) {
  std::set<os::mac_address> local;
  for (const auto& l : os::learned_by_bridge(bridge.index)) {
    if (l.port != tap.index) local.insert(l.mac);
  }
  const auto fdb = nlohmann::json::parse(ask(control_path(e.file().instance), "/v1/fdb", std::chrono::seconds(1)));
  std::vector<std::string> found;
  for (const auto& entry : fdb.at("entries")) {
    if (entry.at("peer").is_null() || entry.at("age_seconds").get<std::int64_t>() > fresh_seconds) continue;
    const auto mac = parse_mac(entry.at("mac").get<std::string>());
    if (mac && local.contains(*mac)) {
      found.push_back(format_mac(*mac) + " behind a port of " + bridge.name + " and behind peer " +
                      entry.at("peer").dump(-1, ' ', true));
    }
  }
  return found;
}

// Addresses that this instance has given to somebody, and the interface here behind which he lives.
std::multimap<ip_address, std::string> own_addresses(const config& c) {
  std::multimap<ip_address, std::string> own;
  for (const auto& a : c.bridge.addresses) own.emplace(a.address, c.bridge.name);
  for (const auto& n : c.netns) {
    for (const auto& a : n.addresses) own.emplace(a.address, n.host_interface);
  }
  return own;
}
}  // namespace

findings check_ip_forward(examination& e) {
  findings all;
  const auto& c = e.file();
  for (const bool v6 : {false, true}) {
    if (!(v6 ? c.forwarding.ipv6 : c.forwarding.ipv4)) continue;
    const std::string name = v6 ? "IPv6" : "IPv4";
    const std::string key = v6 ? "net.ipv6.conf.all.forwarding" : "net.ipv4.ip_forward";
    const bool on = os::read_sysctl(v6 ? "net/ipv6/conf/all/forwarding" : "net/ipv4/ip_forward") == "1";
    if (on) {
      all.push_back(pass(forward_id, "this host forwards " + name));
    } else if (e.is_up()) {
      all.push_back(fail(forward_id, "somebody has switched the forwarding of " + name + " off since the start",
                         "sysctl -w " + key + "=1"));
    } else {
      all.push_back(pass(forward_id, "`lanloom up` will switch the forwarding of " + name + " on"));
    }
  }
  if (all.empty()) all.push_back(pass(forward_id, "the file asks for no forwarding"));
  return all;
}

findings check_rp_filter(examination& e) {
  const std::string bridge = e.file().bridge.name;
  const bool there = e.link(bridge) != nullptr;
  const auto strict = rp_filter_of(there ? bridge : "default") == "1";
  const auto odd = strict ? strangers(e) : std::vector<ip_prefix>{};
  if (odd.empty()) return {pass(rp_filter_id, "no packet of the overlay is taken for one with a false source")};
  std::string names;
  for (const auto& p : odd) names += (names.empty() ? "" : ", ") + to_string(p);
  const auto* l = e.link(bridge);
  return {
      fail(rp_filter_id,
           "rp_filter is strict on " + bridge + ", and routes to " + names +
               " do not lead there: what comes from them is dropped where it should be routed",
           there ? "sysctl -w net.ipv4.conf." + bridge + ".rp_filter=2" : "sysctl -w net.ipv4.conf.default.rp_filter=2",
           l != nullptr && e.is_ours(*l))};
}

std::vector<std::string> fix_rp_filter(examination& e) {
  const std::string bridge = e.file().bridge.name;
  const auto* l = e.link(bridge);
  if (l == nullptr || !e.is_ours(*l)) return {};
  os::write_sysctl("net/ipv4/conf/" + bridge + "/rp_filter", "2");
  return {"rp_filter of " + bridge + " is 2 now; it goes with the bridge"};
}

findings check_bridge_mtu(examination& e) {
  const auto* bridge = e.link(e.file().bridge.name);
  if (bridge == nullptr) return {pass(mtu_id, not_up)};
  findings all;
  for (const auto& o : odd_ports(e)) {
    const std::string mtu = std::to_string(o.wanted);
    const bool narrow = o.port.mtu < o.wanted;
    const auto inside = netns_of(e, o.port.name);
    const std::string what = "port " + o.port.name + (inside.empty() ? "" : " of namespace " + inside) + " has MTU " +
                             std::to_string(o.port.mtu) + ", " + bridge->name + " " + mtu + ": " +
                             (narrow ? "what is larger than that is dropped there without a word"
                                     : "what it sends larger than that is dropped without a word");
    std::string cure = "ip link set dev " + o.port.name + " mtu " + mtu;
    const bool ours = e.is_ours(o.port);
    all.push_back(narrow || ours ? fail(mtu_id, what, std::move(cure), ours) : warn(mtu_id, what, std::move(cure)));
  }
  const auto wanted = e.file().tap.mtu;
  if (wanted && e.file().bridge.create && bridge->mtu != *wanted) {
    all.push_back(fail(
        mtu_id, bridge->name + " has MTU " + std::to_string(bridge->mtu) + ", the file says " + std::to_string(*wanted),
        "ip link set dev " + bridge->name + " mtu " + std::to_string(*wanted)));
  }
  if (all.empty()) all.push_back(pass(mtu_id, bridge->name + " and its ports have MTU " + std::to_string(bridge->mtu)));
  return all;
}

std::vector<std::string> fix_bridge_mtu(examination& e) {
  std::vector<std::string> done;
  os::netlink here;
  for (const auto& o : odd_ports(e)) {
    if (!e.is_ours(o.port)) continue;
    here.set_mtu(o.port.index, o.wanted);
    done.push_back("MTU of " + o.port.name + " is " + std::to_string(o.wanted) + " now; it goes with the interface");
  }
  return done;
}

findings check_duplicate_mac(examination& e) {
  const auto* bridge = e.link(e.file().bridge.name);
  const auto* tap = e.link(e.file().tap.name);
  if (bridge == nullptr || tap == nullptr) return {pass(mac_id, not_up)};
  findings all;
  for (const auto& a : e.links()) {
    for (const auto& b : e.links()) {
      if (a.master != bridge->index || b.master != bridge->index || a.index >= b.index || a.mac != b.mac) continue;
      all.push_back(fail(mac_id, "ports " + a.name + " and " + b.name + " have the same MAC " + format_mac(a.mac),
                         "ip link set dev " + b.name + " address 02:" + format_mac(b.mac).substr(3)));
    }
  }
  if (e.status().is_object()) {
    const auto looped = e.status().at("drops").at("own_source").get<std::uint64_t>();
    if (looped > 0) {
      all.push_back(warn(mac_id,
                         std::to_string(looped) + " frames came from peers under our own MAC addresses: the LAN has a "
                                                  "loop, or another host has a copy of our private key",
                         "lanloom genkey -o NEW.key on the copy; or take one of two ways between the LANs away"));
    }
    for (const auto& twice : living_twice(e, *bridge, *tap)) {
      all.push_back(warn(mac_id, twice, "give one of the two another MAC: ip link set dev INTERFACE address MAC"));
    }
  }
  if (all.empty()) all.push_back(pass(mac_id, "no MAC address lives at two places"));
  return all;
}

findings check_duplicate_address(examination& e) {
  const auto* bridge = e.link(e.file().bridge.name);
  if (!e.is_up() || !e.status().is_object()) return {pass(address_id, not_up)};
  if (!may(capability::net_raw)) {
    return {warn(address_id, "this caller may not ask the LAN", "sudo lanloom doctor " + e.file().file.string())};
  }
  const auto own = own_addresses(e.file());
  std::vector<ip_address> asked;
  for (auto at = own.begin(); at != own.end(); at = own.upper_bound(at->first)) asked.push_back(at->first);
  const auto claims = os::probe_addresses(bridge->index, bridge->mac, asked, probe_time);
  std::map<os::mac_address, std::string> seen_at;  // by answering
  for (const auto& l : os::learned_by_bridge(bridge->index)) {
    for (const auto& port : e.links()) {
      if (port.index == l.port) seen_at[l.mac] = port.name;
    }
  }
  findings all;
  for (const auto& claim : claims) {
    const auto [first, last] = own.equal_range(claim.address);
    const auto& where = seen_at[claim.mac];
    if (std::any_of(first, last, [&](const auto& o) { return o.second == where; })) continue;
    all.push_back(fail(address_id,
                       to_string(claim.address) + " is ours, and " + format_mac(claim.mac) + " has it, too" +
                           (where.empty()                ? ""
                            : where == e.file().tap.name ? ", on another host"
                                                         : ", behind " + where),
                       "lanloom fdb " + e.file().instance + " | grep " + format_mac(claim.mac) +
                           "  # where it lives; give one of the two another address"));
  }
  if (all.empty()) all.push_back(pass(address_id, "nobody else has one of our addresses"));
  return all;
}

}  // namespace lanloom::app
