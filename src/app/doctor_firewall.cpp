// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/bridge_forwards.hpp>
#include <lanloom/app/doctor_checks.hpp>
#include <lanloom/app/plan.hpp>
#include <lanloom/os/sysctl.hpp>

#include <algorithm>

namespace lanloom::app {

namespace {
constexpr const char* bridged_id = "forward-bridged";
constexpr const char* routed_id = "forward-routed";
constexpr const char* port_id = "udp-port";

const char* version_of(bool v6) { return v6 ? "IPv6" : "IPv4"; }
const std::string unreadable = "the firewall's rules could not be read by this caller";

// The overlay's subnets of a family; one without length for a LAN whose addresses the file does not know.
std::vector<std::optional<ip_prefix>> subnets_of(const config& c, bool v6) {
  std::vector<std::optional<ip_prefix>> found;
  for (const auto& s : overlay_subnets(c)) {
    if (s.address.v6 == v6) found.emplace_back(s);
  }
  if (found.empty()) found.emplace_back();
  return found;
}

// Who owns the rule: they want to be asked in their own words.
enum class owner : std::uint8_t { iptables, ufw, firewalld, nft };

owner owner_of(const packet_filter& rules, const blocked& b) {
  if (b.kind == filter_kind::iptables) return rules.has_chain("ufw-before-forward") ? owner::ufw : owner::iptables;
  return b.table == "firewalld" ? owner::firewalld : owner::nft;
}

// The program whose rules `iptables` edits is the one that we can use.
bool is_default_program(const blocked& b) { return b.program == "iptables" || b.program == "ip6tables"; }

std::string nft_insert(const blocked& b, const std::string& match) {
  return "nft insert rule " + b.family + " " + b.table + " " + b.base + " " + match + " accept";
}

std::string iptables_cure(const bridge_forwards& f, const blocked& b, const packet_filter& rules) {
  std::string cure;
  for (auto line : describe(f, rules.has_chain("DOCKER-USER") ? "DOCKER-USER" : "FORWARD")) {
    line.replace(0, line.find(' '), b.program);
    cure += (cure.empty() ? "" : " && ") + line;
  }
  return cure;
}

std::string forwards_cure(const bridge_forwards& f, const std::string& tap, const blocked& b,
                          const packet_filter& rules) {
  const std::string& br = f.bridge;
  switch (owner_of(rules, b)) {
    case owner::iptables:
      return iptables_cure(f, b, rules);
    case owner::ufw:
      return f.uplinks.empty() ? "ufw route allow in on " + br + " out on " + br
                               : "ufw route allow in on " + br + " && ufw route allow out on " + br;
    case owner::firewalld:
      return "firewall-cmd --permanent --zone=trusted --add-interface=" + br + " && firewall-cmd --reload";
    case owner::nft:
      break;
  }
  if (b.family == "bridge") {
    return nft_insert(b, "iifname \"" + tap + "\"") + " && " + nft_insert(b, "oifname \"" + tap + "\"");
  }
  if (f.uplinks.empty()) return nft_insert(b, "iifname \"" + br + "\" oifname \"" + br + "\"");
  return nft_insert(b, "iifname \"" + br + "\"") + " && " +
         nft_insert(b, "oifname \"" + br + "\" ct state established,related") + " && " +
         nft_insert(b, "oifname \"" + br + "\" ct status dnat");
}

bool ours_to_cure(const packet_filter& rules, const blocked& b) {
  const auto whose = owner_of(rules, b);
  return is_default_program(b) && (whose == owner::iptables || whose == owner::ufw);
}

// Whether IP rules see frames that only cross the bridge.
bool meets_ip_rules(bool v6) {
  const auto value = os::read_sysctl(v6 ? "net/bridge/bridge-nf-call-ip6tables" : "net/bridge/bridge-nf-call-iptables");
  return value && value != "0";
}

bool has_v6() { return os::read_sysctl("net/ipv6/conf/all/forwarding").has_value(); }

std::optional<blocked> blocked_within(const packet_filter& rules, const config& c, bool v6) {
  packet_kind p;
  p.v6 = v6;
  p.bridged = p.at_ports = true;
  p.in = c.tap.name;
  for (int way = 0; way < 2; ++way, std::swap(p.in, p.out)) {
    if (auto b = rules.blocks(filter_hook::forward, p)) return b;
  }
  if (!meets_ip_rules(v6)) return std::nullopt;
  p.at_ports = false;
  p.in = p.out = p.bridge = c.bridge.name;
  for (const auto& subnet : subnets_of(c, v6)) {
    p.source = p.destination = subnet;
    if (auto b = rules.blocks(filter_hook::forward, p)) return b;
  }
  return std::nullopt;
}

struct routed_block {
  blocked where;
  std::string packets;  // "connections from br-lan to eth0"
};

std::optional<routed_block> blocked_by_way_of(const packet_filter& rules, const config& c, bool v6,
                                              const std::string& uplink) {
  for (const auto& subnet : subnets_of(c, v6)) {
    packet_kind p;
    p.v6 = v6;
    p.in = p.bridge = c.bridge.name;
    p.out = uplink;
    p.source = subnet;
    if (auto b = rules.blocks(filter_hook::forward, p)) {
      return routed_block{*b, "connections from " + c.bridge.name + " to " + uplink};
    }
    std::swap(p.in, p.out);
    p.destination = std::exchange(p.source, std::nullopt);
    p.established = true;
    if (auto b = rules.blocks(filter_hook::forward, p)) {
      return routed_block{*b, "answers from " + uplink + " to " + c.bridge.name};
    }
  }
  for (const auto& f : c.nat.forward) {
    if (f.to.v6 != v6) continue;
    packet_kind p;
    p.v6 = v6;
    p.translated = true;
    p.in = uplink;
    p.out = p.bridge = c.bridge.name;
    p.destination = ip_prefix{f.to, f.to.bits()};
    p.protocol = f.protocol == forward_protocol::tcp ? "tcp" : "udp";
    p.port = f.to_port;
    if (auto b = rules.blocks(filter_hook::forward, p)) {
      return routed_block{*b, "what port " + std::to_string(f.port) + " is forwarded for"};
    }
  }
  return std::nullopt;
}

std::optional<routed_block> blocked_outwards(const packet_filter& rules, const config& c, bool v6,
                                             const std::vector<std::string>& uplinks) {
  for (const auto& u : uplinks) {
    if (auto found = blocked_by_way_of(rules, c, v6, u)) return found;
  }
  return std::nullopt;
}

// Whether the file wants packets of this family to be routed; NAT without it is refused by `check`.
bool routes(const config& c, bool v6) { return v6 ? c.forwarding.ipv6 : c.forwarding.ipv4; }

std::string port_cure(const packet_filter& rules, const blocked& b, const std::string& port) {
  switch (owner_of(rules, b)) {
    case owner::iptables:
      return b.program + " -I INPUT -p udp --dport " + port + " -j ACCEPT";
    case owner::ufw:
      return "ufw allow " + port + "/udp";
    case owner::firewalld:
      return "firewall-cmd --permanent --add-port=" + port + "/udp && firewall-cmd --reload";
    case owner::nft:
      break;
  }
  return nft_insert(b, "udp dport " + port);
}

// Datagrams from each address of a peer, else from anywhere.
std::vector<packet_kind> datagrams_to_us(const config& c) {
  packet_kind p;
  p.protocol = "udp";
  p.port = c.node.listen.port;
  std::vector<packet_kind> kinds;
  os::netlink here;
  for (const auto& peer : c.peers) {
    for (const auto& e : peer.endpoints) {
      if (!e.name.empty()) continue;
      ip_address a;
      a.v6 = !e.at.is_v4();
      std::copy_n(e.at.address.begin() + (a.v6 ? 0 : 12), a.bits() / 8U, a.bytes.begin());
      p.v6 = a.v6;
      p.source = ip_prefix{a, a.bits()};
      p.in.clear();
      if (const auto route = here.route_to(a)) {
        if (const auto out = here.link_by_index(route->out_index)) p.in = out->name;
      }
      kinds.push_back(p);
    }
  }
  if (kinds.empty()) kinds.push_back(p);
  return kinds;
}
}  // namespace

findings check_bridged_forwards(examination& e) {
  const auto* bridge = e.link(e.file().bridge.name);
  if (bridge != nullptr && bridge->kind != "bridge") {
    return {pass(bridged_id, bridge->name + " is no bridge of Linux: what stays within it meets no such rules")};
  }
  const auto* rules = e.firewall();
  if (rules == nullptr) return {warn(bridged_id, unreadable, "sudo lanloom doctor " + e.file().file.string())};
  findings all;
  for (const bool v6 : {false, true}) {
    if (v6 && !has_v6()) continue;
    const auto b = blocked_within(*rules, e.file(), v6);
    if (!b) {
      all.push_back(pass(bridged_id, std::string(version_of(v6)) + " within " + e.file().bridge.name + " passes" +
                                         (meets_ip_rules(v6) ? "" : ": br_netfilter is off")));
      continue;
    }
    const bridge_forwards f{e.file().instance, e.file().bridge.name, v6, {}};
    all.push_back(fail(bridged_id,
                       std::string(version_of(v6)) + " within " + f.bridge + " is dropped by " + to_string(*b),
                       forwards_cure(f, e.file().tap.name, *b, *rules), ours_to_cure(*rules, *b)));
  }
  return all;
}

findings check_routed_forwards(examination& e) {
  const auto* rules = e.firewall();
  findings all;
  for (const bool v6 : {false, true}) {
    if (!routes(e.file(), v6)) continue;
    if (rules == nullptr) return {warn(routed_id, unreadable, "sudo lanloom doctor " + e.file().file.string())};
    const auto uplinks = e.uplinks();
    const auto found = blocked_outwards(*rules, e.file(), v6, uplinks);
    if (!found) {
      all.push_back(pass(routed_id, std::string(version_of(v6)) + " routed for " + e.file().bridge.name + " passes" +
                                        (!uplinks.empty()                   ? ""
                                         : !e.file().bridge.uplinks.empty() ? "; it leads out itself"
                                                                            : "; this host has no default route")));
      continue;
    }
    const bridge_forwards f{e.file().instance, e.file().bridge.name, v6, uplinks};
    all.push_back(fail(
        routed_id, std::string(version_of(v6)) + ": " + found->packets + " are dropped by " + to_string(found->where),
        forwards_cure(f, e.file().tap.name, found->where, *rules), ours_to_cure(*rules, found->where)));
  }
  if (all.empty()) all.push_back(pass(routed_id, "the file asks for nothing to be routed"));
  return all;
}

std::vector<std::string> fix_forwards(examination& e) {
  std::vector<std::string> done;
  const auto* rules = e.firewall();
  for (const bool v6 : {false, true}) {
    if (rules == nullptr || (v6 && !has_v6())) continue;
    bridge_forwards f{e.file().instance, e.file().bridge.name, v6, {}};
    const auto within = blocked_within(*rules, e.file(), v6);
    const auto outwards = routes(e.file(), v6) ? blocked_outwards(*rules, e.file(), v6, e.uplinks()) : std::nullopt;
    if (outwards && ours_to_cure(*rules, outwards->where)) {
      f.uplinks = e.uplinks();
    } else if (!within || !ours_to_cure(*rules, *within)) {
      continue;
    }
    allow_bridge_forwards(f);
    done.push_back(std::string(v6 ? "ip6tables" : "iptables") + " now lets through what stays within " + f.bridge +
                   (f.uplinks.empty() ? "" : " or is routed for it") + ", until `lanloom down " + f.instance + "`");
  }
  return done;
}

findings check_udp_port(examination& e) {
  const auto* rules = e.firewall();
  if (rules == nullptr) return {warn(port_id, unreadable, "sudo lanloom doctor " + e.file().file.string())};
  const auto port = std::to_string(e.file().node.listen.port);
  for (const auto& kind : datagrams_to_us(e.file())) {
    const auto b = rules->blocks(filter_hook::input, kind);
    if (!b) continue;
    const auto from = kind.source ? to_string(kind.source->address) : "peers";
    return {warn(port_id, "datagrams from " + from + " to UDP port " + port + " seem to be dropped by " + to_string(*b),
                 port_cure(*rules, *b, port))};
  }
  return {pass(port_id, "no rule of this host keeps datagrams from UDP port " + port)};
}

findings check_firewall_programs(examination& e) {
  const auto* rules = e.firewall();
  const bool readable = rules != nullptr;
  findings all;
  const auto judge = [&](const char* id, const std::string& name, bool runs, const std::string& room,
                         std::string cure) {
    if (!readable) {
      all.push_back(warn(id, unreadable, "sudo lanloom doctor"));
    } else if (!runs) {
      all.push_back(pass(id, name + " does not run"));
    } else if (!e.has_file()) {
      all.push_back(pass(id, name + " runs"));
    } else if (rules->names_interface(room, e.file().bridge.name)) {
      all.push_back(pass(id, name + " runs, and knows " + e.file().bridge.name));
    } else {
      all.push_back(warn(id,
                         name + " runs and knows nothing of " + e.file().bridge.name + ": it may drop what is for it",
                         std::move(cure)));
    }
  };
  const std::string bridge = e.has_file() ? e.file().bridge.name : std::string();
  judge("firewalld", "firewalld", readable && rules->has_table("inet", "firewalld"), "firewalld",
        "firewall-cmd --permanent --zone=trusted --add-interface=" + bridge + " && firewall-cmd --reload");
  judge("ufw", "ufw", readable && rules->has_chain("ufw-before-forward"), "ufw-before-forward",
        "ufw allow in on " + bridge + " && ufw route allow in on " + bridge);
  return all;
}

}  // namespace lanloom::app
