// SPDX-License-Identifier: Apache-2.0
#include "forwarding.hpp"

#include <lanloom/os/netlink.hpp>
#include <lanloom/os/sysctl.hpp>

#include <linux/rtnetlink.h>

#include <algorithm>
#include <exception>
#include <map>
#include <set>
#include <system_error>

namespace lanloom::app {

namespace {
constexpr std::string_view any_mark = "lanloom:";
constexpr std::string_view redirects_key = "net/ipv4/conf/all/accept_redirects";

// Everything but the switch itself that writing it can change.
std::vector<std::string> dependent_keys(bool v6) {
  const std::string directory = v6 ? "net/ipv6/conf" : "net/ipv4/conf";
  auto keys = os::list_sysctls(directory, "forwarding");
  keys.erase(std::remove(keys.begin(), keys.end(), directory + "/all/forwarding"), keys.end());
  return keys;
}

bool switched_on(const std::vector<journal_entry>& entries, bool v6) {
  return std::any_of(entries.begin(), entries.end(), [key = forwarding_key(v6)](const journal_entry& e) {
    const auto* s = std::get_if<changed_sysctl>(&e);
    return s != nullptr && s->key == key && s->old_value == "0";
  });
}

// A bridge of somebody else's that came since and has an address: its owner may count on forwarding by now.
std::optional<std::string> find_new_router(const std::vector<journal_entry>& entries) {
  os::netlink here;
  for (const auto& l : here.links()) {
    if (l.kind != "bridge" || !l.up || l.alias.starts_with(any_mark)) continue;
    if (contains(entries, found_link{l.name, true}) || contains(entries, made_link{link_kind::bridge, l.name, l.mac})) {
      continue;
    }
    if (!here.addresses(l.index).empty()) return l.name;
  }
  return std::nullopt;
}

// What this host's other instances wrote down, by the file.
std::map<std::filesystem::path, std::vector<journal_entry>> read_other_journals(const std::filesystem::path& own,
                                                                                const std::string& origin) {
  std::map<std::filesystem::path, std::vector<journal_entry>> all;
  std::error_code gone;
  for (std::filesystem::directory_iterator at(own.parent_path(), gone), end; !gone && at != end; at.increment(gone)) {
    if (at->path().extension() != ".journal" || at->path() == own) continue;
    auto theirs = read_journal(at->path(), origin);
    if (theirs.state == journal_state::other_netns) continue;  // another host's: they share the directory
    all.emplace(at->path(), std::move(theirs.entries));
  }
  return all;
}

// The journal of an instance that forwards this family too, or nothing.
std::optional<std::filesystem::path> find_other_router(const std::filesystem::path& own, bool v6,
                                                       const std::string& origin) {
  for (const auto& [file, entries] : read_other_journals(own, origin)) {
    if (contains(entries, needs_forwarding{v6})) return file;
  }
  return std::nullopt;
}

// Bridges that other instances have rules for.
std::set<std::string> bridges_of_others(const journal& log) {
  std::set<std::string> bridges;
  for (const auto& [file, entries] : read_other_journals(log.file(), log.origin())) {
    const auto is = [](auto type) {
      return [](const journal_entry& e) { return std::holds_alternative<decltype(type)>(e); };
    };
    if (std::none_of(entries.begin(), entries.end(), is(made_table{}))) continue;
    const auto facts = std::find_if(entries.begin(), entries.end(), is(instance_facts{}));
    if (facts != entries.end()) bridges.insert(std::get<instance_facts>(*facts).bridge);
  }
  return bridges;
}

// A name that means something else in a rule of nft, where nothing can be quoted.
bool is_sayable(const std::string& name) { return name.find_first_of("\"\\*") == std::string::npos; }

// An interface may go at any moment, and its settings with it.
void write_if_there(const std::string& key, const std::string& value) {
  try {
    os::write_sysctl(key, value);
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::no_such_file_or_directory) throw;
  }
}

void change(const std::string& key, const std::string& value, journal& log) {
  const auto before = os::read_sysctl(key);
  if (!before) return;
  log.append(changed_sysctl{key, *before, value});
  write_if_there(key, value);
}

struct setting {
  std::string key;
  std::string wanted;
  bool ours = false;
};

// One for each key that there still is. A key may have several lines: an undo that was cut short adds one.
std::vector<setting> wanted_settings(const std::vector<changed_sysctl>& changes, std::vector<std::string>& left) {
  std::vector<setting> settings;
  for (const auto& c : changes) {
    const auto now = os::read_sysctl(c.key);
    const auto same = [&](const auto& other) { return other.key == c.key; };
    if (!now || std::any_of(settings.begin(), settings.end(), same)) continue;
    const bool ours = std::any_of(changes.begin(), changes.end(),
                                  [&](const changed_sysctl& other) { return same(other) && other.new_value == *now; });
    if (!ours && *now != c.old_value) left.push_back(dotted(c.key) + " stays " + *now + ": somebody changed it since");
    settings.push_back({c.key, ours ? c.old_value : *now, ours});
  }
  return settings;
}

// A router ignores advertisements, and the kernel drops the default route that one brought, unless accept_ra is 2.
void keep_advertised_routes(journal& log) {
  os::netlink here;
  for (const auto& route : here.default_routes()) {
    if (!route.gateway.v6 || route.protocol != RTPROT_RA) continue;
    const auto out = here.link_by_index(route.out_index);
    if (!out) continue;
    const auto key = "net/ipv6/conf/" + out->name + "/accept_ra";
    // 0: advertisements are some daemon's business, not the kernel's.
    if (os::read_sysctl(key) == "1") change(key, "2", log);
  }
}
}  // namespace

std::string forwarding_key(bool v6) { return v6 ? "net/ipv6/conf/all/forwarding" : "net/ipv4/ip_forward"; }

std::string dotted(std::string_view key) {
  std::string text(key);
  // sysctl(8) writes the dot of an interface name as a slash.
  for (auto& c : text) c = c == '/' ? '.' : c == '.' ? '/' : c;
  return text;
}

address_families forwarded_now() {
  return {os::read_sysctl(forwarding_key(false)) == "1", os::read_sysctl(forwarding_key(true)) == "1"};
}

std::vector<std::string> unknown_switches(const std::vector<journal_entry>& entries) {
  std::vector<std::string> keys;
  for (const bool v6 : {false, true}) {
    const auto key = forwarding_key(v6);
    if (os::read_sysctl(key) == "1" && !contains(entries, needs_forwarding{v6})) keys.push_back(key);
  }
  return keys;
}

bool is_of_family(const journal_entry& e, bool v6) noexcept {
  if (const auto* f = std::get_if<needs_forwarding>(&e)) return f->v6 == v6;
  const auto* s = std::get_if<changed_sysctl>(&e);
  return s != nullptr && (s->key.rfind("net/ipv6/", 0) == 0) == v6;
}

void record_found_links(address_families wanted, journal& log) {
  const auto now = forwarded_now();
  const auto& entries = log.entries();
  const bool known =
      std::any_of(entries.begin(), entries.end(), [](const auto& e) { return std::holds_alternative<found_link>(e); });
  if (known || !((wanted.v4 && !now.v4) || (wanted.v6 && !now.v6))) return;
  for (const auto& l : os::netlink().links()) {
    if (!l.alias.starts_with(any_mark)) log.append(found_link{l.name, l.kind == "bridge"});
  }
}

router_guard guard_of(const journal& log) {
  router_guard guard;
  const auto now = forwarded_now();
  guard.families = {!now.v4 || switched_on(log.entries(), false), !now.v6 || switched_on(log.entries(), true)};
  const auto routed = bridges_of_others(log);
  for (const auto& e : log.entries()) {
    const auto* found = std::get_if<found_link>(&e);
    if (found == nullptr || !found->bridge || routed.contains(found->name) || !is_sayable(found->name)) continue;
    guard.bridges.push_back(found->name);
  }
  return guard;
}

void switch_forwarding_on(bool v6, journal& log) {
  log.append(needs_forwarding{v6});
  const auto now = forwarded_now();
  if (v6 ? now.v6 : now.v4) return;
  if (v6) keep_advertised_routes(log);
  for (const auto& key : dependent_keys(v6)) {
    if (const auto before = os::read_sysctl(key)) log.append(changed_sysctl{key, *before, "1"});
  }
  if (!v6) {
    if (const auto before = os::read_sysctl(redirects_key)) {
      log.append(changed_sysctl{std::string(redirects_key), *before, "0"});
    }
  }
  change(forwarding_key(v6), "1", log);
}

void restore_sysctls(const std::vector<changed_sysctl>& changes, bool v6, journal& log,
                     std::vector<std::string>& left) {
  auto settings = wanted_settings(changes, left);
  const auto is_switch = [&](const setting& s) { return s.key == forwarding_key(v6); };
  // The switch first: writing it changes the others.
  std::stable_partition(settings.begin(), settings.end(), is_switch);
  const bool switching = !settings.empty() && is_switch(settings.front()) && settings.front().wanted == "0" &&
                         os::read_sysctl(settings.front().key) != "0";
  for (const auto& s : settings) {
    // Should we die between the switch and the rest, the next undo knows these values as our doing.
    const bool dependent = s.key == redirects_key || s.key.ends_with("/forwarding");
    if (!switching || !s.ours || !dependent || is_switch(s)) continue;
    const changed_sysctl after{s.key, s.wanted, s.key == redirects_key ? "1" : "0"};
    if (std::find(changes.begin(), changes.end(), after) == changes.end()) log.append(after);
  }
  std::exception_ptr refused;
  for (const auto& s : settings) {
    try {
      if (os::read_sysctl(s.key) != s.wanted) write_if_there(s.key, s.wanted);
    } catch (const std::system_error&) {
      if (!refused) refused = std::current_exception();
    }
  }
  if (refused) std::rethrow_exception(refused);
}

namespace {
// Gives the entries to another instance that forwards this family too, and says which; nothing where there is none.
std::optional<std::string> hand_over(const std::vector<journal_entry>& entries,
                                     const std::vector<changed_sysctl>& changes, const journal& own, bool v6) {
  while (const auto other = find_other_router(own.file(), v6, own.origin())) {
    journal theirs(*other, own.origin());
    if (!contains(theirs.entries(), needs_forwarding{v6})) continue;  // it left while we waited for its journal
    for (const auto& e : entries) {
      if (std::holds_alternative<found_link>(e)) theirs.append(e);
    }
    for (const auto& c : changes) theirs.append(c);
    return other->stem().string();
  }
  return std::nullopt;
}
}  // namespace

void undo_forwarding(journal& log, bool v6, undo_report& report) {
  const auto entries = log.entries();
  std::vector<changed_sysctl> changes;
  for (const auto& e : entries) {
    const auto* s = std::get_if<changed_sysctl>(&e);
    if (s != nullptr && is_of_family(e, v6)) changes.push_back(*s);
  }
  if (changes.empty()) return;
  const auto key = forwarding_key(v6);
  const auto now = os::read_sysctl(key).value_or("unset");
  // The last one to leave restores it, and guards until then, so it must know.
  if (const auto other = hand_over(entries, changes, log, v6)) {
    report.left.push_back(dotted(key) + " stays " + now + ": instance " + *other + " forwards too");
    return;
  }
  if (const auto router = find_new_router(entries); router && now == "1" && switched_on(entries, v6)) {
    report.left.push_back(dotted(key) + " stays 1: the bridge " + *router +
                          " has come since and may count on it; if it does not, run: sysctl -w " + dotted(key) + "=0");
    return;
  }
  restore_sysctls(changes, v6, log, report.left);
  if (now == "1" && os::read_sysctl(key) != "1")
    report.removed.push_back(v6 ? "forwarding of ipv6" : "forwarding of ipv4");
}

}  // namespace lanloom::app
