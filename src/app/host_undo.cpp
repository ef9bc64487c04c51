// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/bridge_forwards.hpp>
#include <lanloom/app/host.hpp>

#include "forwarding.hpp"
#include "privileges.hpp"
#include "remover.hpp"
#include "uplink.hpp"

#include <lanloom/os/sysctl.hpp>

#include <algorithm>
#include <array>

namespace lanloom::app {

namespace {
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
// It goes, or stays, with the link of ours that has it.
bool goes_with_link(const journal_entry& e, const std::vector<journal_entry>& all) {
  const auto* address = std::get_if<made_address>(&e);
  if (address == nullptr) return false;
  return !address->netns.empty() || std::any_of(all.begin(), all.end(), [&](const journal_entry& other) {
    const auto* link = std::get_if<made_link>(&other);
    return link != nullptr && link->name == address->link;
  });
}

// What goes with its link stays known while that stays, as ours and nobody else's.
void drop_gone(const std::vector<journal_entry>& before, std::vector<journal_entry>& remaining) {
  const auto stay = remaining;
  std::erase_if(remaining, [&](const journal_entry& e) {
    return goes_with_link(e, before) && (!std::get<made_address>(e).netns.empty() || !goes_with_link(e, stay));
  });
}

// Until an uplink has been given back, how it was is needed, and so is the bridge that has its addresses.
bool is_needed(const journal_entry& e, const std::vector<journal_entry>& remaining) {
  return std::any_of(remaining.begin(), remaining.end(), [&](const journal_entry& other) {
    const auto* taken = std::get_if<taken_uplink>(&other);
    const auto* link = std::get_if<made_link>(&e);
    return taken != nullptr && (speaks_of(e, taken->port) || (link != nullptr && link->name == taken->bridge));
  });
}
}  // namespace

undo_report host::undo(bool force) {
  require(capability::net_admin, "removing interfaces");
  undo_report report;
  journal log = open_journal(instance_, journal_file_);
  const bool lost = log.found() == journal_state::absent || log.found() == journal_state::damaged;
  if (lost && !log.entries().empty()) {
    for (const auto& key : unknown_switches(log.entries())) {
      report.left.push_back(dotted(key) + " stays 1: the journal is lost, so nobody knows what it was; if nothing " +
                            "else forwards, run: sysctl -w " + dotted(key) + "=0");
    }
  }

  for (const bool v6 : {true, false}) log.retract(needs_forwarding{v6});
  std::array<bool, 2> refused{};
  for (const bool v6 : {true, false}) {
    refused[v6 ? 1 : 0] = !succeeded(report, [&] { undo_forwarding(log, v6, report); });
  }
  // Without an entry too: `doctor --fix` inserts them.
  succeeded(report, [&] {
    if (withdraw_bridge_forwards(instance_) > 0) report.removed.emplace_back("accepting rules of iptables");
  });
  const auto entries = log.entries();  // what was cut short has more lines now
  remover remove(instance_, force, entries, report);
  std::vector<journal_entry> remaining;
  for (std::size_t i = entries.size(); i-- > 0;) {
    const auto& e = entries[i];
    const bool kept = (refused[0] && is_of_family(e, false)) || (refused[1] && is_of_family(e, true)) ||
                      is_needed(e, remaining) || goes_with_link(e, entries);
    auto outcome = fate::stays;
    if (!kept) succeeded(report, [&] { outcome = remove.undo(e); });
    if (outcome == fate::stays) remaining.insert(remaining.begin(), e);
  }
  drop_gone(entries, remaining);
  // Of no use by themselves, but without them the next undo would take this journal for one made up from marks.
  for (const auto& e : entries) {
    if (!remaining.empty() && std::holds_alternative<instance_facts>(e)) remaining.push_back(e);
  }
  log.replace(std::move(remaining));
  return report;
}

}  // namespace lanloom::app
