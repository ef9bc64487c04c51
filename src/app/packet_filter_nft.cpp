// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/packet_filter.hpp>

#include <nlohmann/json.hpp>

#include <stdexcept>

namespace lanloom::app {

using certainty = packet_filter::certainty;
using nlohmann::json;

namespace {
constexpr char wildcard = '*';

// One value of the packet, asked whether it is `wanted` (a scalar, a prefix or a range).
using question = std::function<certainty(const packet_kind&, filter_hook, const json& wanted)>;

std::string text_in(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number_unsigned() ? std::to_string(value.get<unsigned>()) : std::string();
}

bool is_field(const json& left, const char* kind, const char* name, const char* value) {
  const auto found = left.find(kind);
  return found != left.end() && found->is_object() && found->value(name, "") == value;
}

certainty address_question(const std::optional<ip_prefix>& actual, const json& wanted, bool v6) {
  if (const auto p = wanted.find("prefix"); wanted.is_object() && p != wanted.end()) {
    const auto address = ip_address::parse(text_in(p->value("addr", json())));
    const auto length = p->value("len", json());
    if (!address || !length.is_number_unsigned() || length.get<std::uint64_t>() > address->bits())
      return certainty::maybe;
    return address_is(actual, {*address, length.get<std::uint8_t>()}, v6);
  }
  const auto one = ip_prefix::parse(text_in(wanted));
  return one ? address_is(actual, *one, v6) : certainty::maybe;
}

certainty port_question(const packet_kind& p, const json& wanted) {
  if (wanted.is_number_unsigned()) return port_is(p, wanted.get<unsigned>(), wanted.get<unsigned>());
  const auto range = wanted.find("range");
  if (!wanted.is_object() || range == wanted.end() || range->size() != 2) return certainty::maybe;
  if (!range->at(0).is_number_unsigned() || !range->at(1).is_number_unsigned()) return certainty::maybe;
  return port_is(p, range->at(0).get<unsigned>(), range->at(1).get<unsigned>());
}

question meta_question(const std::string& key) {
  if (key == "iifname" || key == "iif") {
    return [](const packet_kind& p, filter_hook, const json& w) { return interface_is(p.in, text_in(w), wildcard); };
  }
  if (key == "oifname" || key == "oif") {
    return [](const packet_kind& p, filter_hook h, const json& w) {
      return h == filter_hook::input ? certainty::no : interface_is(p.out, text_in(w), wildcard);
    };
  }
  if (key == "iifkind" || key == "oifkind") {
    const bool incoming = key == "iifkind";
    return [incoming](const packet_kind& p, filter_hook h, const json& w) {
      if (!incoming && h == filter_hook::input) return certainty::no;
      const auto& name = incoming ? p.in : p.out;
      if (text_in(w) != "bridge" || name.empty()) return certainty::maybe;
      return name == p.bridge ? certainty::yes : certainty::no;
    };
  }
  if (key == "l4proto") {
    return [](const packet_kind& p, filter_hook, const json& w) { return protocol_is(p, text_in(w)); };
  }
  if (key == "nfproto" || key == "protocol") {
    return [](const packet_kind& p, filter_hook, const json& w) {
      const auto name = text_in(w);
      if (name == "arp") return certainty::no;
      if (name != "ip" && name != "ip6" && name != "ipv4" && name != "ipv6") return certainty::maybe;
      return name.ends_with('6') == p.v6 ? certainty::yes : certainty::no;
    };
  }
  return nullptr;
}

question payload_question(const std::string& header, const std::string& field) {
  if (field == "saddr" || field == "daddr") {
    const bool source = field == "saddr";
    return [source](const packet_kind& p, filter_hook, const json& w) {
      return address_question(source ? p.source : p.destination, w, p.v6);
    };
  }
  if (field == "dport") return [](const packet_kind& p, filter_hook, const json& w) { return port_question(p, w); };
  if ((header == "ip" && field == "protocol") || (header == "ip6" && field == "nexthdr")) {
    return [](const packet_kind& p, filter_hook, const json& w) { return protocol_is(p, text_in(w)); };
  }
  return nullptr;
}

// What the left side of a match asks for; nothing when we cannot tell.
question question_of(const json& left) {
  if (!left.is_object()) return nullptr;
  if (const auto meta = left.find("meta"); meta != left.end()) return meta_question(meta->value("key", ""));
  if (const auto field = left.find("payload"); field != left.end()) {
    return payload_question(field->value("protocol", ""), field->value("field", ""));
  }
  if (is_field(left, "ct", "key", "state") || is_field(left, "ct", "key", "status")) {
    return [](const packet_kind& p, filter_hook, const json& w) { return state_is(p, text_in(w)); };
  }
  if (is_field(left, "fib", "result", "type")) {
    return [](const packet_kind&, filter_hook h, const json& w) {
      if (text_in(w) != "local") return certainty::maybe;
      return h == filter_hook::input ? certainty::yes : certainty::no;
    };
  }
  return nullptr;
}

// A field of a header asks silently for that header.
certainty has_header(const json& left, const packet_kind& p) {
  const auto field = left.is_object() ? left.find("payload") : left.end();
  if (!left.is_object() || field == left.end()) return certainty::yes;
  const auto header = field->value("protocol", "");
  if (header == "ip") return p.v6 ? certainty::no : certainty::yes;
  if (header == "ip6") return p.v6 ? certainty::yes : certainty::no;
  if (header == "th") return certainty::yes;
  return protocol_is(p, header);
}

class nft_reader {
 public:
  nft_reader(const json& objects, const std::set<std::string>& without) : without_(without) {
    for (const auto& o : objects) {
      if (!o.is_object() || o.empty()) continue;
      const auto& kind = o.begin().key();
      const auto& value = o.begin().value();
      if (kind == "chain") add_chain(value);
      if (kind == "set" || kind == "map") sets_[set_key(value, value.value("name", ""))] = value.value("elem", json());
    }
    for (const auto& o : objects) {
      if (o.is_object() && o.contains("rule")) add_rule(o.at("rule"));
    }
  }

  [[nodiscard]] std::map<std::string, packet_filter::table>& tables() { return tables_; }

 private:
  static std::string table_key(const json& value) { return value.value("family", "") + " " + value.value("table", ""); }
  static std::string set_key(const json& value, const std::string& name) { return table_key(value) + " " + name; }

  packet_filter::table* table_of(const json& value) {
    const auto key = table_key(value);
    if (without_.contains(key)) return nullptr;
    auto& t = tables_[key];
    t.program = "nft";
    t.family = value.value("family", "");
    t.name = value.value("table", "");
    return &t;
  }

  void add_chain(const json& value) {
    auto* t = table_of(value);
    if (t == nullptr) return;
    auto& c = t->chains[value.value("name", "")];
    c.drops = value.value("policy", "") == "drop";
    if (value.value("type", "") != "filter") return;
    if (value.value("hook", "") == "input") c.hook = filter_hook::input;
    if (value.value("hook", "") == "forward") c.hook = filter_hook::forward;
  }

  void add_rule(const json& value) {
    auto* t = table_of(value);
    if (t == nullptr) return;
    auto& rules = t->chains[value.value("chain", "")].rules;
    packet_filter::rule r;
    r.number = ++numbers_[table_key(value) + " " + value.value("chain", "")];
    for (const auto& statement : value.value("expr", json::array())) {
      if (!statement.is_object() || statement.empty()) continue;
      const auto& kind = statement.begin().key();
      const auto& what = statement.begin().value();
      if (kind == "match") {
        note_interfaces(*t, what.value("right", json()));
        r.conditions.push_back(match_of(value, what));
      } else if (kind == "vmap") {
        add_map(value, what, r, *t, rules);
      } else if (kind == "limit" || kind == "xt" || kind == "quota" || kind == "ct count") {
        r.conditions.emplace_back([](const packet_kind&, filter_hook) { return certainty::maybe; });
        if (kind == "xt" && what.is_object() && what.value("name", "") == "REJECT") r.act = packet_filter::action::drop;
      } else {
        give_action(r, kind, what);
      }
    }
    if (r.act != packet_filter::action::go_on) rules.push_back(std::move(r));
  }

  static void give_action(packet_filter::rule& r, const std::string& kind, const json& what) {
    using action = packet_filter::action;
    if (kind == "accept") r.act = action::accept;
    if (kind == "drop" || kind == "reject") r.act = action::drop;
    if (kind == "return") r.act = action::leave;
    if (kind == "jump" || kind == "goto") {
      r.act = kind == "jump" ? action::jump : action::go_to;
      r.target = what.value("target", "");
    }
  }

  // Names of interfaces cannot be told from other words here, and need not be: they are only asked for.
  static void note_interfaces(packet_filter::table& t, const json& right) {
    if (right.is_string()) t.interfaces.insert(right.get<std::string>());
    if (!right.is_object()) return;
    for (const auto& one : right.value("set", json::array())) {
      if (one.is_string()) t.interfaces.insert(one.get<std::string>());
    }
  }

  // A verdict map is a rule for each of its elements.
  void add_map(const json& place, const json& what, const packet_filter::rule& so_far, packet_filter::table& t,
               std::vector<packet_filter::rule>& rules) {
    const auto elements = members(place, what.value("data", json()));
    for (const auto& e : elements) {
      if (!e.is_array() || e.size() != 2 || !e.at(1).is_object() || e.at(1).empty()) continue;
      note_interfaces(t, e.at(0));
      packet_filter::rule r = so_far;
      r.conditions.push_back(match_of(place, {{"op", "=="}, {"left", what.value("key", json())}, {"right", e.at(0)}}));
      give_action(r, e.at(1).begin().key(), e.at(1).begin().value());
      if (r.act != packet_filter::action::go_on) rules.push_back(std::move(r));
    }
  }

  // The elements that `value` stands for: a set, the name of one, a list of flags, or itself. Null, which nothing is
  // known of, for a set whose elements are not told.
  [[nodiscard]] json members(const json& place, const json& value) const {
    if (value.is_array()) return value;
    if (value.is_object() && value.contains("set")) return value.at("set");
    const auto text = value.is_string() ? value.get<std::string>() : std::string();
    if (!text.starts_with('@')) return json::array({value});
    const auto found = sets_.find(set_key(place, text.substr(1)));
    return found == sets_.end() || !found->second.is_array() ? json::array({json()}) : found->second;
  }

  [[nodiscard]] packet_filter::condition match_of(const json& place, const json& what) const {
    const auto left = what.value("left", json());
    const auto asks = question_of(left);
    if (!asks) {
      return [left](const packet_kind& p, filter_hook) { return std::min(has_header(left, p), certainty::maybe); };
    }
    const bool inverse = what.value("op", "") == "!=";
    return [left, asks, inverse, wanted = members(place, what.value("right", json()))](const packet_kind& p,
                                                                                       filter_hook h) {
      auto found = certainty::no;
      for (const auto& one : wanted) {
        const bool timed = one.is_object() && one.contains("elem");
        found = either(found, asks(p, h, timed ? one.at("elem").value("val", json()) : one));
      }
      return std::min(has_header(left, p), inverse ? inverted(found) : found);
    };
  }

  const std::set<std::string>& without_;
  std::map<std::string, packet_filter::table> tables_;
  std::map<std::string, json> sets_;
  std::map<std::string, unsigned> numbers_;
};
}  // namespace

void packet_filter::add_nft(std::string_view text, const std::set<std::string>& without) {
  try {
    nft_reader read(json::parse(text).at("nftables"), without);
    for (auto& [key, t] : read.tables()) tables_.push_back(std::move(t));
  } catch (const json::exception&) {
    throw std::runtime_error("nft -j list ruleset: not the JSON that was expected");
  }
}

}  // namespace lanloom::app
