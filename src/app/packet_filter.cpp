// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/packet_filter.hpp>

#include <algorithm>

namespace lanloom::app {

using certainty = packet_filter::certainty;

namespace {
constexpr unsigned deepest = 16;  // NFT_JUMP_STACK_SIZE of net/netfilter/nf_tables_core.c
constexpr unsigned most_steps = 100000;

certainty from(bool holds) { return holds ? certainty::yes : certainty::no; }

// A way of one packet through one base chain.
class walk {
 public:
  walk(const packet_filter::table& t, filter_hook hook, const packet_kind& p) : table_(t), hook_(hook), packet_(p) {}

  // True: dropped, and where() says where. `base` REQUIRES to be in the table.
  [[nodiscard]] bool drops(const std::string& base) {
    const auto& c = table_.chains.find(base)->second;
    switch (run(base, c, 0)) {
      case end::accepted:
        return false;
      case end::dropped:
        return true;
      case end::behind:
        break;
    }
    chain_ = base;
    why_ = table_.kind == filter_kind::iptables ? "its policy is DROP" : "its policy is drop";
    return c.drops;
  }

  [[nodiscard]] blocked where(const std::string& base) const {
    return {table_.kind, table_.program, table_.family, table_.name, base, chain_, why_};
  }

 private:
  enum class end : std::uint8_t { behind, accepted, dropped };

  end run(const std::string& name, const packet_filter::chain& c, unsigned depth) {
    for (const auto& r : c.rules) {
      if (++steps_ > most_steps) return end::behind;
      const bool applies = std::all_of(r.conditions.begin(), r.conditions.end(),
                                       [&](const auto& asks) { return asks(packet_, hook_) == certainty::yes; });
      if (!applies) continue;
      const auto reached = act(name, r, depth);
      if (reached != end::behind || r.act == packet_filter::action::leave || r.act == packet_filter::action::go_to) {
        return reached;
      }
    }
    return end::behind;
  }

  end act(const std::string& name, const packet_filter::rule& r, unsigned depth) {
    switch (r.act) {
      case packet_filter::action::go_on:
      case packet_filter::action::leave:
        return end::behind;
      case packet_filter::action::accept:
        return end::accepted;
      case packet_filter::action::drop:
        chain_ = name;
        why_ = "its rule " + std::to_string(r.number) + " drops what no rule before it accepts";
        return end::dropped;
      case packet_filter::action::jump:
      case packet_filter::action::go_to:
        break;
    }
    const auto target = table_.chains.find(r.target);
    if (target == table_.chains.end() || depth == deepest) return end::behind;
    return run(r.target, target->second, depth + 1);
  }

  const packet_filter::table& table_;
  filter_hook hook_;
  const packet_kind& packet_;
  std::string chain_;
  std::string why_;
  unsigned steps_ = 0;
};

bool sees(const packet_filter::table& t, const packet_kind& p) {
  if (p.at_ports || t.family == "bridge") return p.at_ports && t.family == "bridge";
  return t.family == "inet" || t.family == (p.v6 ? "ip6" : "ip");
}
}  // namespace

certainty interface_is(const std::string& actual, std::string_view pattern, char wildcard) {
  if (pattern.empty()) return certainty::maybe;
  const bool open = pattern.back() == wildcard;
  if (open) pattern.remove_suffix(1);
  if (pattern.empty()) return certainty::yes;
  if (actual.empty()) return !open && pattern == "lo" ? certainty::no : certainty::maybe;
  return from(open ? actual.starts_with(pattern) : actual == pattern);
}

certainty address_is(const std::optional<ip_prefix>& actual, const ip_prefix& wanted, bool v6) {
  if (wanted.address.v6 != v6) return certainty::no;
  if (wanted.length == 0) return certainty::yes;
  if (!actual || actual->address.v6 != v6) return certainty::maybe;
  if (!wanted.overlaps(*actual)) return certainty::no;
  return wanted.length <= actual->length ? certainty::yes : certainty::maybe;
}

certainty protocol_is(const packet_kind& p, std::string_view wanted) {
  if (wanted == "all" || wanted == "0") return certainty::yes;
  if (p.protocol.empty() || wanted.empty()) return certainty::maybe;
  if (wanted == "17") wanted = "udp";
  if (wanted == "6") wanted = "tcp";
  return from(p.protocol == wanted);
}

certainty port_is(const packet_kind& p, unsigned first, unsigned last) {
  return p.port ? from(*p.port >= first && *p.port <= last) : certainty::maybe;
}

certainty state_is(const packet_kind& p, std::string_view state) {
  std::string lower(state);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
  if (lower == "established") return from(p.established);
  if (lower == "new") return from(!p.established);
  if (lower == "dnat") return from(p.translated);
  if (lower == "related" || lower == "invalid" || lower == "untracked") return certainty::no;
  return certainty::maybe;
}

certainty either(certainty a, certainty b) { return std::max(a, b); }

certainty inverted(certainty a) {
  if (a == certainty::maybe) return a;
  return a == certainty::yes ? certainty::no : certainty::yes;
}

std::string to_string(const blocked& b) {
  std::string place = b.kind == filter_kind::iptables ? b.program + " chain " + b.base
                                                      : "nft chain " + b.family + " " + b.table + " " + b.base;
  if (b.chain != b.base) place += ", in chain " + b.chain;
  return place + ": " + b.why;
}

std::optional<blocked> packet_filter::blocks(filter_hook hook, const packet_kind& p) const {
  for (const auto& t : tables_) {
    if (!sees(t, p)) continue;
    for (const auto& [name, c] : t.chains) {
      if (c.hook != hook) continue;
      walk way(t, hook, p);
      if (way.drops(name)) return way.where(name);
    }
  }
  return std::nullopt;
}

bool packet_filter::has_chain(std::string_view name) const {
  return std::any_of(tables_.begin(), tables_.end(), [&](const table& t) { return t.chains.contains(name); });
}

bool packet_filter::has_table(std::string_view family, std::string_view name) const {
  return std::any_of(tables_.begin(), tables_.end(),
                     [&](const table& t) { return t.family == family && t.name == name; });
}

std::vector<std::string> packet_filter::tables_naming(std::string_view interface) const {
  std::vector<std::string> found;
  for (const auto& t : tables_) {
    if (!t.interfaces.contains(interface)) continue;
    found.push_back(t.kind == filter_kind::iptables ? t.program : "nft table " + t.family + " " + t.name);
  }
  return found;
}

bool packet_filter::names_interface(std::string_view table_or_chain, std::string_view interface) const {
  return std::any_of(tables_.begin(), tables_.end(), [&](const table& t) {
    return (t.name == table_or_chain || t.chains.contains(table_or_chain)) && t.interfaces.contains(interface);
  });
}

}  // namespace lanloom::app
