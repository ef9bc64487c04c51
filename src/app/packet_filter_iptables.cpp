// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/packet_filter.hpp>

#include <charconv>
#include <stdexcept>

namespace lanloom::app {

using certainty = packet_filter::certainty;

namespace {
constexpr char wildcard = '+';

// The words of a line; within quotes a blank is no end, and a backslash takes what follows as it is.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  bool open = false;
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (!quoted && (c == ' ' || c == '\t')) {
      open = false;
      continue;
    }
    if (!open) words.emplace_back();
    open = true;
    if (c == '"') {
      quoted = !quoted;
    } else if (c == '\\' && quoted && i + 1 < line.size()) {
      words.back() += line[++i];
    } else {
      words.back() += c;
    }
  }
  return words;
}

std::vector<std::string> parts_of(std::string_view list) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= list.size();) {
    const auto comma = std::min(list.find(',', at), list.size());
    parts.emplace_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

std::optional<unsigned> number_in(std::string_view text) {
  unsigned value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "53,4780:4790"
packet_filter::condition ports(const std::string& list) {
  std::vector<std::pair<unsigned, unsigned>> ranges;
  for (const auto& part : parts_of(list)) {
    const auto colon = part.find(':');
    const auto first = number_in(part.substr(0, colon));
    const auto last = colon == std::string::npos ? first : number_in(part.substr(colon + 1));
    if (!first || !last) return [](const packet_kind&, filter_hook) { return certainty::maybe; };
    ranges.emplace_back(*first, *last);
  }
  return [ranges](const packet_kind& p, filter_hook) {
    auto found = certainty::no;
    for (const auto& [first, last] : ranges) found = either(found, port_is(p, first, last));
    return found;
  };
}

// The condition that an option with its argument is.
packet_filter::condition condition_of(const std::string& option, const std::string& argument) {
  if (option == "-i") {
    return [argument](const packet_kind& p, filter_hook) { return interface_is(p.in, argument, wildcard); };
  }
  if (option == "-o") {
    return [argument](const packet_kind& p, filter_hook) { return interface_is(p.out, argument, wildcard); };
  }
  if (option == "-p") return [argument](const packet_kind& p, filter_hook) { return protocol_is(p, argument); };
  if (option == "-s" || option == "-d") {
    if (const auto wanted = ip_prefix::parse(argument)) {
      const bool source = option == "-s";
      return [wanted = *wanted, source](const packet_kind& p, filter_hook) {
        return address_is(source ? p.source : p.destination, wanted, p.v6);
      };
    }
  }
  if (option == "--dport" || option == "--dports") return ports(argument);
  if (option == "--ctstate" || option == "--state") {
    return [states = parts_of(argument)](const packet_kind& p, filter_hook) {
      auto found = certainty::no;
      for (const auto& s : states) found = either(found, state_is(p, s));
      return found;
    };
  }
  if (option == "--physdev-is-bridged") {
    return [](const packet_kind& p, filter_hook) { return p.bridged ? certainty::yes : certainty::no; };
  }
  if (option == "--dst-type" && argument == "LOCAL") {
    return [](const packet_kind&, filter_hook h) { return h == filter_hook::input ? certainty::yes : certainty::no; };
  }
  return [](const packet_kind&, filter_hook) { return certainty::maybe; };
}

void give_target(packet_filter::rule& r, const std::string& word, bool go_to) {
  using action = packet_filter::action;
  if (word == "ACCEPT") {
    r.act = action::accept;
  } else if (word == "DROP" || word == "REJECT") {
    r.act = action::drop;
  } else if (word == "RETURN") {
    r.act = action::leave;
  } else {  // LOG and its like are no chain, and jumping there does nothing
    r.act = go_to ? action::go_to : action::jump;
    r.target = word;
  }
}

// From the word behind "-A CHAIN" on.
packet_filter::rule rule_of(const std::vector<std::string>& words, packet_filter::table& t) {
  packet_filter::rule r;
  bool inverse = false;
  for (std::size_t i = 2; i < words.size(); ++i) {
    const std::string& option = words[i];
    if (option == "!") {
      inverse = true;
      continue;
    }
    std::string argument;
    while (i + 1 < words.size() && !words[i + 1].starts_with('-') && words[i + 1] != "!") {
      argument += (argument.empty() ? "" : " ") + words[++i];
    }
    if (option == "-j" || option == "-g") {  // what follows belongs to the target
      give_target(r, argument.substr(0, argument.find(' ')), option == "-g");
      break;
    }
    if (option == "-m" || option == "--comment") continue;
    if (option == "-i" || option == "-o") t.interfaces.insert(argument);
    auto asked = condition_of(option, argument);
    if (inverse) {
      asked = [asked](const packet_kind& p, filter_hook h) { return inverted(asked(p, h)); };
    }
    inverse = false;
    r.conditions.push_back(std::move(asked));
  }
  return r;
}
}  // namespace

void packet_filter::add_iptables(std::string_view rules, const std::string& program, bool v6) {
  table t{filter_kind::iptables, program, v6 ? "ip6" : "ip", "filter", {}, {}};
  while (!rules.empty()) {
    const auto end = std::min(rules.find('\n'), rules.size());
    const auto words = words_of(rules.substr(0, end));
    rules.remove_prefix(std::min(end + 1, rules.size()));
    if (words.size() < 2) continue;
    auto& c = t.chains[words[1]];
    if (words[0] == "-P" && words.size() > 2) {
      if (words[1] == "INPUT") c.hook = filter_hook::input;
      if (words[1] == "FORWARD") c.hook = filter_hook::forward;
      c.drops = words[2] == "DROP";
    } else if (words[0] == "-A") {
      auto r = rule_of(words, t);
      r.number = static_cast<unsigned>(c.rules.size() + 1);
      c.rules.push_back(std::move(r));
    } else if (words[0] != "-N") {
      throw std::runtime_error(program + " -S: unknown line");
    }
  }
  tables_.push_back(std::move(t));
}

}  // namespace lanloom::app
