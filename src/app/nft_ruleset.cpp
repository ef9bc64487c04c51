// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/nft_ruleset.hpp>

#include <algorithm>

namespace lanloom::app {

namespace {
std::string in_quotes(std::string_view name) { return '"' + std::string(name) + '"'; }

std::string_view protocol_name(forward_protocol p) { return p == forward_protocol::tcp ? "tcp" : "udp"; }

// "ip saddr 10.5.0.0/16"
std::string address_match(std::string_view field, const ip_prefix& p, std::string_view relation = {}) {
  std::string text = p.address.v6 ? "ip6 " : "ip ";
  text.append(field).append(" ").append(relation);
  return text + to_string(p.network());
}

std::string target_of(const port_forward& f) {
  const auto address = to_string(f.to);
  return (f.to.v6 ? "[" + address + "]" : address) + ":" + std::to_string(f.to_port);
}

std::string dnat_rule(const port_forward& f) {
  std::string rule = f.to.v6 ? "meta nfproto ipv6 " : "meta nfproto ipv4 ";
  if (f.address) rule += std::string(f.address->v6 ? "ip6" : "ip") + " daddr " + to_string(*f.address) + " ";
  rule += "fib daddr type local ";
  rule.append(protocol_name(f.protocol)).append(" dport ").append(std::to_string(f.port));
  return rule + (f.to.v6 ? " dnat ip6 to " : " dnat ip to ") + target_of(f);
}

// What stays inside the overlay keeps its source address. `out`: the match of the ways out.
std::string source_rule(const nft_rules& r, const std::string& out, const ip_prefix& source,
                        const std::string& verdict) {
  std::string rule = out + address_match("saddr", source);
  for (const auto& subnet : r.overlay) {
    if (subnet.address.v6 == source.address.v6) rule += " " + address_match("daddr", subnet, "!= ");
  }
  return rule + " " + verdict;
}

using lines = std::vector<std::string>;

// With uplinks the bridge is a way out, too. What is only bridged there shows itself to these rules by br_netfilter, as
// coming from nowhere; what is routed comes from the bridge (Linux 5.7 and later tell).
lines source_rules(const nft_rules& r) {
  const auto bridge = in_quotes(r.bridge);
  std::vector<std::string> ways{"oifname != " + bridge + " "};
  if (r.leads_out) ways.push_back("iifname " + bridge + " oifname " + bridge + " ");
  lines rules;
  for (const auto& out : ways) {
    for (const auto& s : r.nat.snat) {
      const std::string verdict = (s.to.v6 ? "snat ip6 to " : "snat ip to ") + to_string(s.to);
      rules.push_back(source_rule(r, out, s.source, verdict));
    }
    for (const auto& m : r.nat.masquerade) rules.push_back(source_rule(r, out, m, "masquerade"));
  }
  return rules;
}

// The answer to a forwarded connection from the overlay must come back through this host, or the answering container
// would speak to the asking one directly, from an address that one never called. Told by source address: under
// br_netfilter the hook may not know the incoming interface.
lines hairpin_rules(const nft_rules& r) {
  lines rules;
  for (const auto& subnet : r.overlay) {
    const bool forwarded = std::any_of(r.nat.forward.begin(), r.nat.forward.end(),
                                       [&](const port_forward& f) { return f.to.v6 == subnet.address.v6; });
    if (!forwarded) continue;
    rules.push_back("oifname " + in_quotes(r.bridge) + " " + address_match("saddr", subnet) +
                    " ct status dnat masquerade");
  }
  return rules;
}

// "{ "br0", "docker0" }"
std::string set_of(const lines& elements) {
  std::string text;
  for (const auto& e : elements) text += (text.empty() ? "{ " : ", ") + e;
  return text + " }";
}

lines guard_rules(const nft_rules& r, const router_guard& guard) {
  const bool v4 = r.forwarding.v4 && guard.families.v4;
  const bool v6 = r.forwarding.v6 && guard.families.v6;
  if (!v4 && !v6) return {};
  lines rules{"iifname " + in_quotes(r.bridge) + " accept", "oifname " + in_quotes(r.bridge) + " accept"};
  lines names;
  lines pairs;
  for (const auto& bridge : guard.bridges) {
    names.push_back(in_quotes(bridge));
    pairs.push_back(in_quotes(bridge) + " . " + in_quotes(bridge));
  }
  if (!pairs.empty()) rules.push_back("iifname . oifname " + set_of(pairs) + " accept");
  for (const std::string side : {"iif", "oif"}) {
    const auto later = names.empty() ? std::string() : side + "name != " + set_of(names) + " ";
    rules.push_back("meta " + side + "kind \"bridge\" " + later + "accept");
  }
  if (v4) rules.emplace_back("meta nfproto ipv4 drop");
  if (v6) rules.emplace_back("meta nfproto ipv6 drop");
  return rules;
}

}  // namespace

router_guard read_guard(std::string_view listing) {
  static constexpr std::string_view later = "meta iifkind \"bridge\" iifname != ";
  router_guard guard;
  guard.families = {listing.find("meta nfproto ipv4 drop") != std::string_view::npos,
                    listing.find("meta nfproto ipv6 drop") != std::string_view::npos};
  const auto at = listing.find(later);
  if (at == std::string_view::npos) return guard;
  const auto words = listing.substr(at + later.size());
  const auto line = words.substr(0, words.find('\n'));
  for (auto from = line.find('"'); from != std::string_view::npos;) {
    const auto end = line.find('"', from + 1);
    if (end == std::string_view::npos) break;
    guard.bridges.emplace_back(line.substr(from + 1, end - from - 1));
    from = line.find('"', end + 1);
  }
  return guard;
}

namespace {
lines segment_size_rules(const nft_rules& r) {
  if (!r.forwarding.v4 && !r.forwarding.v6) return {};
  const auto bridge = in_quotes(r.bridge);
  const std::string clamp = " tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu";
  return {"iifname " + bridge + " oifname != " + bridge + clamp, "iifname != " + bridge + " oifname " + bridge + clamp};
}

void append_chain(std::string& text, std::string_view name, std::string_view hook, const lines& rules) {
  if (rules.empty()) return;
  text.append("\tchain ").append(name).append(" {\n\t\ttype ").append(hook).append("; policy accept;\n");
  for (const auto& rule : rules) text.append("\t\t").append(rule).append("\n");
  text.append("\t}\n");
}
}  // namespace

std::string nft_table_name(std::string_view instance) { return "lanloom-" + std::string(instance); }

bool needs_table(const nft_rules& rules) {
  return rules.forwarding.v4 || rules.forwarding.v6 || !rules.nat.masquerade.empty() || !rules.nat.snat.empty() ||
         !rules.nat.forward.empty();
}

std::string nft_ruleset(const nft_rules& rules, const router_guard& guard) {
  lines forwards;
  lines local_forwards;
  for (const auto& f : rules.nat.forward) {
    forwards.push_back(dnat_rule(f));
    local_forwards.push_back((f.to.v6 ? "ip6 daddr != ::1 " : "ip daddr != 127.0.0.0/8 ") + dnat_rule(f));
  }
  auto sources = source_rules(rules);
  for (auto& rule : hairpin_rules(rules)) sources.push_back(std::move(rule));

  const auto table = "table inet " + nft_table_name(rules.instance);
  std::string text = table + " {}\ndelete " + table + "\n" + table + " {\n";
  text += "\tcomment \"lanloom instance " + rules.instance + "\"\n";
  append_chain(text, "prerouting", "nat hook prerouting priority dstnat", forwards);
  append_chain(text, "output", "nat hook output priority -100", local_forwards);
  append_chain(text, "postrouting", "nat hook postrouting priority srcnat", sources);
  append_chain(text, "segment-size", "filter hook forward priority mangle", segment_size_rules(rules));
  append_chain(text, "forward", "filter hook forward priority filter", guard_rules(rules, guard));
  return text + "}\n";
}

std::string describe(const nft_rules& rules) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  for (const auto& m : rules.nat.masquerade) add("masquerade " + to_string(m.network()));
  for (const auto& s : rules.nat.snat) add("snat " + to_string(s.source.network()) + " to " + to_string(s.to));
  for (const auto& f : rules.nat.forward) {
    add("forward " + std::string(protocol_name(f.protocol)) + " " +
        (f.address ? "port " + std::to_string(f.port) + " of " + to_string(*f.address) : std::to_string(f.port)) +
        " to " + target_of(f));
  }
  if (rules.forwarding.v4) add("guard ipv4 unless forwarded already");
  if (rules.forwarding.v6) add("guard ipv6 unless forwarded already");
  return text;
}

}  // namespace lanloom::app
