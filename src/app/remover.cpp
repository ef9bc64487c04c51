// SPDX-License-Identifier: Apache-2.0
#include "remover.hpp"

#include <lanloom/app/host_view.hpp>
#include "forwarding.hpp"
#include "uplink.hpp"

#include <lanloom/app/log.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/nft.hpp>
#include <lanloom/os/ovs.hpp>

#include <algorithm>
#include <utility>

namespace lanloom::app {

namespace {
std::string_view name_of(link_kind k) {
  switch (k) {
    case link_kind::bridge:
      return "bridge ";
    case link_kind::tap:
      return "tap ";
    case link_kind::veth:
      return "veth ";
  }
  return "";
}

// Pinned namespaces with an interface that bears our mark: we mark inside ends only where the namespace is ours too.
std::vector<std::string> find_marked_netns(const std::string& mark) {
  std::vector<std::string> found;
  std::error_code gone;
  for (std::filesystem::directory_iterator at("/run/netns", gone), end; !gone && at != end; at.increment(gone)) {
    const auto name = at->path().filename().string();
    if (!os::netns_exists(name)) continue;
    const auto links = os::netlink::in(os::open_netns(name)).links();
    if (std::any_of(links.begin(), links.end(), [&](const os::link& l) { return l.alias == mark; })) {
      found.push_back(name);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

// Where no switch answers there is nothing that could be undone.
void add_ovs_ports(const std::string& instance, std::vector<journal_entry>& entries) {
  if (!os::ovs_present()) return;
  try {
    for (const auto& port : os::ovs_marked_ports(instance)) {
      const joined_ovs entry{port, os::ovs_bridge_of(port).value_or("-")};
      if (!contains(entries, entry)) entries.emplace_back(entry);
    }
  } catch (const os::ovs_refused&) {
  }
}
}  // namespace

remover::remover(std::string instance, bool force, std::vector<journal_entry> all, undo_report& report, bool runs)
    : instance_(std::move(instance)),
      forcing_(runs ? "leave it: `lanloom reload` and the end of the instance try again"
                    : "run: lanloom down " + instance_ + " --force"),
      force_(force),
      all_(std::move(all)),
      report_(report) {}

fate remover::operator()(const made_link& e) {
  const auto found = here_.link_by_name(e.name);
  if (!found || kind_of(*found) != e.kind || !is_ours(*found, instance_, {e})) return fate::gone;
  if (e.kind == link_kind::bridge && !force_ && has_foreign_ports(*found)) return fate::stays;
  const bool tells = e.kind == link_kind::bridge && (force_ || !is_lost());
  const auto lost = tells ? foreign_addresses(*found) : std::string();
  here_.delete_link(found->index);
  report_.removed.push_back(std::string(name_of(e.kind)) + e.name);
  if (!lost.empty()) {
    report_.left.push_back("bridge " + e.name + " is gone, and with it addresses " +
                           (is_lost() ? "that it had: " : "that others gave it: ") + lost);
  }
  return fate::gone;
}

fate remover::operator()(const made_netns& e) {
  const bool exists = os::netns_exists(e.name);
  if (exists && !force_ && has_processes(e.name)) return fate::stays;
  os::delete_netns(e.name);  // where it does not exist there may be a pin that was never bound
  if (exists) report_.removed.push_back("netns " + e.name);
  return fate::gone;
}

fate remover::operator()(const made_table& e) {
  if (!os::nft_table_exists(e.name)) return fate::gone;
  os::nft_delete_table(e.name);
  report_.removed.push_back("nft table inet " + e.name);
  return fate::gone;
}

fate remover::operator()(const made_address& e) {
  if (!e.netns.empty() && !os::netns_exists(e.netns)) return fate::gone;
  auto inside = e.netns.empty() ? os::netlink() : os::netlink::in(os::open_netns(e.netns));
  const auto found = inside.link_by_name(e.link);
  if (!found) return fate::gone;
  const auto addresses = inside.addresses(found->index);
  if (std::find(addresses.begin(), addresses.end(), e.address) == addresses.end()) return fate::gone;
  for (const auto& r : inside.delete_address(found->index, e.address)) {
    report_.left.push_back(e.link + ": its route " + to_string(r) + " went with address " + to_string(e.address) +
                           " and could not be put back; if it is still needed, add it again");
  }
  report_.removed.push_back("address " + to_string(e.address) + " of " + e.link);
  return fate::gone;
}

fate remover::operator()(const joined_ovs& e) {
  if (os::ovs_bridge_of(e.port) != e.bridge) return fate::gone;
  os::ovs_delete_port(e.port);
  report_.removed.push_back("port " + e.port + " of " + e.bridge);
  return fate::gone;
}

fate remover::operator()(const accepted_forwards&) {
  if (withdraw_bridge_forwards(instance_) > 0) report_.removed.emplace_back("accepting rules of iptables");
  return fate::gone;
}

// Its veth has an entry of its own.
fate remover::operator()(const attachment&) { return fate::gone; }

fate remover::operator()(const taken_uplink& e) {
  give_back(e, all_, report_);
  return fate::gone;
}

bool remover::has_foreign_ports(const os::link& bridge) {
  std::string ports;
  for (const auto& l : here_.links()) {
    if (l.master != bridge.index || is_ours(l, instance_, all_)) continue;
    ports += (ports.empty() ? "" : ", ") + l.name;
  }
  if (ports.empty()) return false;
  auto text = "bridge " + bridge.name + " stays: somebody plugged in " + ports + "; ";
  if (const auto addresses = foreign_addresses(bridge); !addresses.empty() && is_lost()) {
    text += "the journal is lost, so that may be an uplink whose addresses " + bridge.name + " has (" + addresses +
            "): then run `lanloom up` with this instance's file, which finds out, and stop it; otherwise ";
  } else if (!addresses.empty()) {
    text += "addresses that others gave it would go with it (" + addresses + "), so move them first; then ";
  }
  text += "unplug it, or " + forcing_;
  report_.left.push_back(std::move(text));
  return true;
}

// Every pass writes the facts down; marks do not tell them.
bool remover::is_lost() const {
  return std::none_of(all_.begin(), all_.end(),
                      [](const journal_entry& e) { return std::holds_alternative<instance_facts>(e); });
}

// Neither from us nor from an uplink.
std::string remover::foreign_addresses(const os::link& bridge) {
  std::string text;
  for (const auto& a : here_.address_details(bridge.index)) {
    const bool known = std::any_of(all_.begin(), all_.end(), [&](const journal_entry& e) {
      const auto* made = std::get_if<made_address>(&e);
      const auto* had = std::get_if<had_address>(&e);
      return (made != nullptr && made->netns.empty() && made->link == bridge.name && made->address == a.address) ||
             (had != nullptr && had->address.address == a.address);
    });
    if (moves(a) && !known) text += (text.empty() ? "" : ", ") + to_string(a.address);
  }
  return text;
}

bool remover::has_processes(const std::string& name) {
  std::vector<pid_t> living;
  try {
    living = os::processes_in(os::open_netns(name));
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::permission_denied && e.code() != std::errc::operation_not_permitted) throw;
    report_.left.push_back("netns " + name + " stays: cannot see whose processes live there, which needs " +
                           "CAP_SYS_PTRACE; give it that, or " + forcing_);
    return true;
  }
  if (living.empty()) return false;
  std::string pids;
  for (std::size_t i = 0; i < std::min<std::size_t>(living.size(), 8); ++i) pids += " " + std::to_string(living[i]);
  if (living.size() > 8) pids += " ...";
  report_.left.push_back("netns " + name + " stays: processes live in it (pid" + pids + "); end them, or " + forcing_);
  return true;
}

namespace {
// Where our table guards, forwarding was off before.
void add_guarded(const router_guard& guard, std::vector<journal_entry>& entries) {
  for (const auto& bridge : guard.bridges) {
    if (!contains(entries, found_link{bridge, true})) entries.emplace_back(found_link{bridge, true});
  }
  for (const bool v6 : {false, true}) {
    if (!(v6 ? guard.families.v6 : guard.families.v4) || contains(entries, needs_forwarding{v6})) continue;
    entries.emplace_back(needs_forwarding{v6});
    entries.emplace_back(changed_sysctl{forwarding_key(v6), "0", "1"});
  }
}

bool is_there(const attachment& a) {
  try {
    return os::netns_id(os::open_netns(a.netns)) == a.netns_id;
  } catch (const std::system_error&) {
    return false;
  }
}
}  // namespace

void forget_lost(journal& log) {
  auto entries = log.entries();
  for (const auto& e : log.entries()) {
    const auto* a = std::get_if<attachment>(&e);
    if (a == nullptr || is_there(*a)) continue;
    spdlog::info("netns {}: is gone, and with it what attached it", a->netns);
    std::erase_if(entries, [a](const journal_entry& other) { return belongs_to(other, *a); });
  }
  if (entries != log.entries()) log.replace(std::move(entries));
}

void find_marked(const std::string& instance, std::vector<journal_entry>& entries) {
  const auto mark = mark_of(instance);
  const auto add = [&](const auto& entry) {
    if (!contains(entries, entry)) entries.emplace_back(entry);
  };
  const auto links = os::netlink().links();
  const auto add_links = [&](link_kind wanted) {
    for (const auto& l : links) {
      if (is_ours(l, instance, {}) && kind_of(l) == wanted) add(made_link{wanted, l.name, l.mac});
    }
  };
  add_links(link_kind::bridge);
  add_links(link_kind::tap);
  for (auto& name : find_marked_netns(mark)) add(made_netns{std::move(name)});
  add_links(link_kind::veth);
  add_ovs_ports(instance, entries);
  const auto table = nft_table_name(instance);
  if (!os::nft_table_exists(table)) return;
  add(made_table{table});
  try {
    add_guarded(read_guard(os::nft_list_table(table)), entries);
  } catch (const std::exception& e) {  // the links and namespaces can go without it
    spdlog::warn("{}; what is not guarded is not known", e.what());
  }
}

journal open_journal(const std::string& instance, const std::filesystem::path& file) {
  journal log(file, read_origin());
  if (log.found() == journal_state::good) return log;
  if (log.found() == journal_state::other_netns) {
    throw setup_error(instance +
                      ": its journal belongs to another network namespace; run it there, or if that is gone, remove " +
                      file.string());
  }
  auto entries = log.entries();
  find_marked(instance, entries);
  // With half of it done, the marks would not lead to the rest any more.
  if (!entries.empty() || log.found() != journal_state::absent) log.replace(std::move(entries));
  return log;
}

}  // namespace lanloom::app
