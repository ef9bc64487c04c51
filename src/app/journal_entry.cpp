// SPDX-License-Identifier: Apache-2.0
// One entry <-> its line: words between single spaces, the first says what it is.
#include "mac_text.hpp"

#include <lanloom/app/journal.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace lanloom::app {

namespace {
constexpr std::array<std::string_view, 3> kind_names{"bridge", "tap", "veth"};
constexpr std::size_t most_words = 11;
constexpr std::string_view none = "-";  // for an empty word

std::string family_name(bool v6) { return v6 ? "ipv6" : "ipv4"; }

std::string or_none(const std::string& word) { return word.empty() ? std::string(none) : word; }

template <class Value>
std::string or_none(const std::optional<Value>& value) {
  return value ? to_string(*value) : std::string(none);
}

template <class Value>
std::string list_of(const std::vector<Value>& values) {
  std::string text;
  for (const auto& value : values) text += (text.empty() ? "" : ",") + to_string(value);
  return or_none(text);
}

struct printer {
  std::string operator()(const made_link& e) const {
    return std::string(kind_names[static_cast<std::size_t>(e.kind)]) + " " + e.name + " " + format_mac(e.mac);
  }
  std::string operator()(const made_netns& e) const { return "netns " + e.name; }
  std::string operator()(const made_table& e) const { return "table " + e.name; }
  std::string operator()(const needs_forwarding& e) const { return "forwarding " + family_name(e.v6); }
  std::string operator()(const changed_sysctl& e) const {
    return "sysctl " + e.key + " " + e.old_value + " " + e.new_value;
  }
  std::string operator()(const made_address& e) const {
    return "address " + or_none(e.netns) + " " + e.link + " " + to_string(e.address);
  }
  std::string operator()(const found_link& e) const { return "found " + e.name + (e.bridge ? " bridge" : " plain"); }
  std::string operator()(const joined_ovs& e) const { return "ovs " + e.port + " " + e.bridge; }
  std::string operator()(const accepted_forwards& e) const { return "accepts " + e.bridge; }
  std::string operator()(const takes_port& e) const {
    return std::string("port ") + (e.udp ? "udp " : "tcp ") + std::to_string(e.port) + " " + e.address;
  }
  std::string operator()(const attachment& e) const {
    return "attached " + e.host_interface + " " + e.netns + " " + std::to_string(e.netns_id) + " " + e.interface + " " +
           list_of(e.addresses) + " " + list_of(e.gateways);
  }
  std::string operator()(const instance_facts& e) const {
    return "instance " + e.bridge + " " +
           (e.user_space ? "netdev"
            : e.ovs      ? "ovs"
                         : "linux") +
           " " + std::to_string(e.mtu) + " " + crypto::to_base64(e.own);
  }
  std::string operator()(const taken_uplink& e) const {
    return "uplink " + e.port + " " + e.bridge + (e.was_up ? " up " : " down ") + std::to_string(e.index);
  }
  std::string operator()(const unproven_move& e) const { return "unproven " + e.bridge; }
  std::string operator()(const had_address& e) const {
    const auto& a = e.address;
    return "had-address " + e.port + " " + to_string(a.address) + " " + std::to_string(a.scope) + " " +
           or_none(a.label) + " " + or_none(a.broadcast) + " " + or_none(a.peer) + " " + std::to_string(a.metric) +
           (a.no_prefix_route ? " alone" : " routed") + (a.no_dad ? " unchecked" : " checked");
  }
  std::string operator()(const had_route& e) const {
    const auto& r = e.route;
    return "had-route " + e.port + " " + to_string(r.destination) + " " + or_none(r.gateway) + " " +
           std::to_string(r.metric) + " " + std::to_string(r.protocol) + " " + std::to_string(r.scope) + " " +
           std::to_string(r.type) + " " + or_none(r.preferred_source) + " " + std::to_string(r.table) +
           (r.onlink ? " onlink" : " linked");
  }
};

using words = std::vector<std::string_view>;
using result = std::optional<journal_entry>;

// None when there are too many, or an empty one, or an unprintable byte.
words words_of(std::string_view line) {
  words found;
  if (std::any_of(line.begin(), line.end(), [](char c) { return c < ' ' || c == '\x7f'; })) return {};
  for (;;) {
    const auto space = line.find(' ');
    found.push_back(line.substr(0, space));
    if (found.back().empty() || found.size() > most_words) return {};
    if (space == std::string_view::npos) return found;
    line.remove_prefix(space + 1);
  }
}

std::string empty_or(std::string_view word) { return word == none ? std::string() : std::string(word); }

template <class Number>
std::optional<Number> number_of(std::string_view word) {
  Number value{};
  const auto [end, failed] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (failed != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return value;
}

template <class Value>
std::optional<std::vector<Value>> list_from(std::string_view word) {
  std::vector<Value> values;
  if (word == none) return values;
  for (;;) {
    const auto comma = word.find(',');
    const auto value = Value::parse(word.substr(0, comma));
    if (!value) return std::nullopt;
    values.push_back(*value);
    if (comma == std::string_view::npos) return values;
    word.remove_prefix(comma + 1);
  }
}

std::optional<bool> one_of(std::string_view word, std::string_view no, std::string_view yes) {
  if (word != no && word != yes) return std::nullopt;
  return word == yes;
}

result link_from(const words& w) {
  const auto kind = std::find(kind_names.begin(), kind_names.end(), w[0]);
  if (kind == kind_names.end()) return std::nullopt;
  const auto mac = parse_mac(w[2]);
  if (!mac) return std::nullopt;
  return made_link{static_cast<link_kind>(kind - kind_names.begin()), std::string(w[1]), *mac};
}

result attachment_from(const words& w) {
  const auto id = number_of<std::uint64_t>(w[3]);
  auto addresses = list_from<ip_prefix>(w[5]);
  auto gateways = list_from<ip_address>(w[6]);
  if (!id || !addresses || !gateways) return std::nullopt;
  return attachment{std::string(w[1]), std::string(w[2]),     *id,
                    std::string(w[4]), std::move(*addresses), std::move(*gateways)};
}

result port_from(const words& w) {
  const auto udp = one_of(w[1], "tcp", "udp");
  const auto port = number_of<std::uint16_t>(w[2]);
  if (!udp || !port) return std::nullopt;
  return takes_port{*udp, *port, std::string(w[3])};
}

result facts_from(const words& w) {
  const bool user_space = w[2] == "netdev";
  const auto ovs = one_of(user_space ? "ovs" : w[2], "linux", "ovs");
  const auto mtu = number_of<std::uint16_t>(w[3]);
  const auto own = crypto::public_key::parse(w[4]);
  if (!ovs || !mtu || !own) return std::nullopt;
  return instance_facts{std::string(w[1]), *ovs, *mtu, *own, user_space};
}

result address_from(const words& w) {
  const auto address = ip_prefix::parse(w[3]);
  if (!address) return std::nullopt;
  return made_address{empty_or(w[1]), std::string(w[2]), *address};
}

result found_from(const words& w) {
  const auto bridge = one_of(w[2], "plain", "bridge");
  if (!bridge) return std::nullopt;
  return found_link{std::string(w[1]), *bridge};
}

// An address, or the word for none.
bool optional_from(std::string_view word, std::optional<ip_address>& into) {
  if (word == none) return true;
  into = ip_address::parse(word);
  return into.has_value();
}

result uplink_from(const words& w) {
  const auto up = one_of(w[3], "down", "up");
  const auto index = number_of<int>(w[4]);
  if (!up || !index || *index <= 0) return std::nullopt;
  return taken_uplink{std::string(w[1]), std::string(w[2]), *up, *index};
}

result had_address_from(const words& w) {
  const auto address = ip_prefix::parse(w[2]);
  const auto scope = number_of<std::uint8_t>(w[3]);
  const auto metric = number_of<std::uint32_t>(w[7]);
  const auto alone = one_of(w[8], "routed", "alone");
  const auto unchecked = one_of(w[9], "checked", "unchecked");
  had_address e{std::string(w[1]), {}};
  auto& a = e.address;
  if (!address || !scope || !metric || !alone || !unchecked || !optional_from(w[5], a.broadcast) ||
      !optional_from(w[6], a.peer)) {
    return std::nullopt;
  }
  a.address = *address;
  a.scope = *scope;
  a.label = empty_or(w[4]);
  a.metric = *metric;
  a.no_prefix_route = *alone;
  a.no_dad = *unchecked;
  return e;
}

result had_route_from(const words& w) {
  const auto destination = ip_prefix::parse(w[2]);
  const auto metric = number_of<std::uint32_t>(w[4]);
  const auto protocol = number_of<std::uint8_t>(w[5]);
  const auto scope = number_of<std::uint8_t>(w[6]);
  const auto type = number_of<std::uint8_t>(w[7]);
  const auto table = number_of<std::uint32_t>(w[9]);
  const auto onlink = one_of(w[10], "linked", "onlink");
  had_route e{std::string(w[1]), {}};
  auto& r = e.route;
  if (!destination || !metric || !protocol || !scope || !type || !table || !onlink || !optional_from(w[3], r.gateway) ||
      !optional_from(w[8], r.preferred_source)) {
    return std::nullopt;
  }
  r.destination = *destination;
  r.metric = *metric;
  r.protocol = *protocol;
  r.scope = *scope;
  r.type = *type;
  r.table = *table;
  r.onlink = *onlink;
  return e;
}

result forwarding_from(const words& w) {
  const auto v6 = one_of(w[1], "ipv4", "ipv6");
  if (!v6) return std::nullopt;
  return needs_forwarding{*v6};
}
}  // namespace

std::string to_string(const journal_entry& e) { return std::visit(printer{}, e); }

bool are_of_one(const journal_entry& a, const journal_entry& b) {
  if (const auto* x = std::get_if<made_link>(&a), *y = std::get_if<made_link>(&b); x != nullptr && y != nullptr) {
    return x->kind == y->kind && x->name == y->name;
  }
  if (const auto* x = std::get_if<taken_uplink>(&a), *y = std::get_if<taken_uplink>(&b); x != nullptr && y != nullptr) {
    return x->port == y->port && x->bridge == y->bridge;
  }
  return a == b;
}

bool belongs_to(const journal_entry& e, const attachment& a) {
  if (const auto* link = std::get_if<made_link>(&e)) return link->name == a.host_interface;
  if (const auto* address = std::get_if<made_address>(&e)) {
    return address->netns == a.netns && address->link == a.interface;
  }
  if (const auto* port = std::get_if<joined_ovs>(&e)) return port->port == a.host_interface;
  return e == journal_entry(a);
}

std::optional<journal_entry> parse_journal_entry(std::string_view line) {
  if (line.size() > journal::max_line) return std::nullopt;
  const auto w = words_of(line);
  if (w.empty()) return std::nullopt;
  const auto is = [&w](std::string_view what, std::size_t size) { return w[0] == what && w.size() == size; };
  if (is("netns", 2)) return made_netns{std::string(w[1])};
  if (is("table", 2)) return made_table{std::string(w[1])};
  if (is("forwarding", 2)) return forwarding_from(w);
  if (is("sysctl", 4)) return changed_sysctl{std::string(w[1]), std::string(w[2]), std::string(w[3])};
  if (is("address", 4)) return address_from(w);
  if (is("found", 3)) return found_from(w);
  if (is("ovs", 3)) return joined_ovs{std::string(w[1]), std::string(w[2])};
  if (is("accepts", 2)) return accepted_forwards{std::string(w[1])};
  if (is("port", 4)) return port_from(w);
  if (is("attached", 7)) return attachment_from(w);
  if (is("instance", 5)) return facts_from(w);
  if (is("unproven", 2)) return unproven_move{std::string(w[1])};
  if (is("uplink", 5)) return uplink_from(w);
  if (is("had-address", 10)) return had_address_from(w);
  if (is("had-route", 11)) return had_route_from(w);
  return w.size() == 3 ? link_from(w) : std::nullopt;
}

}  // namespace lanloom::app
