// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/host.hpp>

#include "forwarding.hpp"
#include "privileges.hpp"

#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/nft.hpp>
#include <lanloom/os/sysctl.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace lanloom::app {

namespace {
enum class fate : std::uint8_t { gone, stays };

template <class Entry>
bool contains(const std::vector<journal_entry>& entries, const Entry& wanted) {
  return std::find(entries.begin(), entries.end(), journal_entry(wanted)) != entries.end();
}

std::optional<link_kind> kind_of(const os::link& l) {
  if (l.kind == "bridge") return link_kind::bridge;
  if (l.kind == "veth") return link_kind::veth;
  if (l.kind == "tun") return link_kind::tap;
  return std::nullopt;
}

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

// Adds what bears our mark and has no entry, in the order in which apply makes it.
void find_marked(const std::string& instance, std::vector<journal_entry>& entries) {
  const auto mark = mark_of(instance);
  const auto add = [&](const auto& entry) {
    if (!contains(entries, entry)) entries.emplace_back(entry);
  };
  const auto links = os::netlink().links();
  const auto add_links = [&](link_kind wanted) {
    for (const auto& l : links) {
      if (l.alias == mark && kind_of(l) == wanted) add(made_link{wanted, l.name, l.mac});
    }
  };
  add_links(link_kind::bridge);
  add_links(link_kind::tap);
  for (auto& name : find_marked_netns(mark)) add(made_netns{std::move(name)});
  add_links(link_kind::veth);
  if (os::nft_table_exists(nft_table_name(instance))) add(made_table{nft_table_name(instance)});
}

// Undoes one entry; the kernel's refusals are thrown.
class remover {
 public:
  remover(const std::string& instance, bool force, const std::vector<journal_entry>& all, undo_report& report)
      : mark_(mark_of(instance)),
        forcing_("run: lanloom down " + instance + " --force"),
        force_(force),
        all_(all),
        report_(report) {}

  fate operator()(const made_link& e) {
    const auto found = here_.link_by_name(e.name);
    if (!found || !is_ours(*found, e)) return fate::gone;
    if (e.kind == link_kind::bridge && !force_ && has_foreign_ports(*found)) return fate::stays;
    here_.delete_link(found->index);
    report_.removed.push_back(std::string(name_of(e.kind)) + e.name);
    return fate::gone;
  }
  fate operator()(const made_netns& e) {
    const bool exists = os::netns_exists(e.name);
    if (exists && !force_ && has_processes(e.name)) return fate::stays;
    os::delete_netns(e.name);  // where it does not exist there may be a pin that was never bound
    if (exists) report_.removed.push_back("netns " + e.name);
    return fate::gone;
  }
  fate operator()(const made_table& e) {
    if (!os::nft_table_exists(e.name)) return fate::gone;
    os::nft_delete_table(e.name);
    report_.removed.push_back("nft table inet " + e.name);
    return fate::gone;
  }
  // These go by family: host::undo has done them.
  fate operator()(const needs_forwarding&) { return fate::gone; }
  fate operator()(const changed_sysctl&) { return fate::gone; }

 private:
  // By its MAC too: between its birth and its mark we may have died.
  [[nodiscard]] bool is_ours(const os::link& l, const made_link& e) const {
    return kind_of(l) == e.kind && (l.alias == mark_ || l.mac == e.mac);
  }

  bool has_foreign_ports(const os::link& bridge) {
    std::string ports;
    for (const auto& l : here_.links()) {
      if (l.master != bridge.index || l.alias == mark_) continue;
      const auto ours = std::any_of(all_.begin(), all_.end(), [&](const journal_entry& e) {
        const auto* made = std::get_if<made_link>(&e);
        return made != nullptr && made->name == l.name && made->mac == l.mac;
      });
      if (!ours) ports += (ports.empty() ? "" : ", ") + l.name;
    }
    if (ports.empty()) return false;
    report_.left.push_back("bridge " + bridge.name + " stays: somebody plugged in " + ports + "; unplug it, or " +
                           forcing_);
    return true;
  }

  bool has_processes(const std::string& name) {
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
    report_.left.push_back("netns " + name + " stays: processes live in it (pid" + pids + "); end them, or " +
                           forcing_);
    return true;
  }

  std::string mark_;
  std::string forcing_;
  bool force_;
  const std::vector<journal_entry>& all_;
  undo_report& report_;
  os::netlink here_;
};

bool is_of_family(const journal_entry& e, bool v6) {
  if (const auto* f = std::get_if<needs_forwarding>(&e)) return f->v6 == v6;
  const auto* s = std::get_if<changed_sysctl>(&e);
  return s != nullptr && (s->key.rfind("net/ipv6/", 0) == 0) == v6;
}

// The journal of an instance that forwards this family too, or nothing.
std::optional<std::filesystem::path> find_other_router(const std::filesystem::path& own, bool v6,
                                                       const std::string& origin) {
  std::error_code gone;
  for (std::filesystem::directory_iterator at(own.parent_path(), gone), end; !gone && at != end; at.increment(gone)) {
    if (at->path().extension() != ".journal" || at->path() == own) continue;
    const auto theirs = read_journal(at->path(), origin);
    if (theirs.state == journal_state::other_netns) continue;  // another host's: they share the directory
    if (contains(theirs.entries, needs_forwarding{v6})) return at->path();
  }
  return std::nullopt;
}

void undo_forwarding(const std::filesystem::path& file, const std::string& origin,
                     const std::vector<journal_entry>& entries, bool v6, undo_report& report) {
  std::vector<changed_sysctl> changes;
  for (const auto& e : entries) {
    const auto* s = std::get_if<changed_sysctl>(&e);
    if (s != nullptr && is_of_family(e, v6)) changes.push_back(*s);
  }
  if (changes.empty()) return;
  const auto key = forwarding_key(v6);
  if (const auto other = find_other_router(file, v6, origin)) {
    // The last one to leave restores it, so it must know.
    journal theirs(*other, origin);
    for (const auto& c : changes) theirs.append(c);
    report.left.push_back(dotted(key) + " stays " + os::read_sysctl(key).value_or("unset") + ": instance " +
                          other->stem().string() + " forwards too");
    return;
  }
  journal log(file, origin);
  const bool was_on = os::read_sysctl(key) == "1";
  restore_sysctls(changes, v6, log, report.left);
  if (was_on && os::read_sysctl(key) != "1") report.removed.push_back(v6 ? "forwarding of ipv6" : "forwarding of ipv4");
}

void name_unknown(const std::vector<journal_entry>& entries, undo_report& report) {
  for (const bool v6 : {false, true}) {
    const auto key = forwarding_key(v6);
    if (os::read_sysctl(key) != "1" || contains(entries, needs_forwarding{v6})) continue;
    report.left.push_back(dotted(key) + " stays 1: the journal is lost, so nobody knows what it was; if nothing else " +
                          "forwards, run: sysctl -w " + dotted(key) + "=0");
  }
}

template <class Undo>
bool succeeded(undo_report& report, Undo undo_it) {
  try {
    undo_it();
    return true;
  } catch (const std::exception& e) {
    report.failed.emplace_back(e.what());
    return false;
  }
}
}  // namespace

undo_report host::undo(bool force) {
  require(capability::net_admin, "removing interfaces");
  undo_report report;
  const auto origin = read_origin();
  auto content = read_journal(journal_file_, origin);
  auto& entries = content.entries;
  if (content.state == journal_state::other_netns && !entries.empty()) {
    throw setup_error(instance_ +
                      ": its journal belongs to another network namespace; run it there, or if that is "
                      "gone, remove " +
                      journal_file_.string());
  }
  if (content.state != journal_state::good) {
    find_marked(instance_, entries);
    if (!entries.empty() && content.state != journal_state::other_boot) name_unknown(entries, report);
    // With half of it done, the marks would not lead to the rest any more.
    write_journal(journal_file_, origin, entries);
  }

  std::array<bool, 2> refused{};
  for (const bool v6 : {true, false}) {
    refused[v6 ? 1 : 0] = !succeeded(report, [&] { undo_forwarding(journal_file_, origin, entries, v6, report); });
  }
  entries = read_journal(journal_file_, origin).entries;  // what was cut short has more lines now
  std::vector<bool> stays;
  for (const auto& e : entries) {
    stays.push_back((refused[0] && is_of_family(e, false)) || (refused[1] && is_of_family(e, true)));
  }
  remover remove(instance_, force, entries, report);
  for (std::size_t i = entries.size(); i-- > 0;) {
    auto outcome = fate::stays;
    succeeded(report, [&] { outcome = std::visit(remove, entries[i]); });
    if (outcome == fate::stays) stays[i] = true;
  }
  std::vector<journal_entry> remaining;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (stays[i]) remaining.push_back(std::move(entries[i]));
  }
  write_journal(journal_file_, origin, remaining);
  return report;
}

}  // namespace lanloom::app
