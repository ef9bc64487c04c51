// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/host.hpp>
#include <lanloom/app/log.hpp>

#include <lanloom/app/difference.hpp>
#include <lanloom/app/host_view.hpp>
#include "builder.hpp"
#include "forwarding.hpp"
#include "privileges.hpp"
#include "remover.hpp"
#include "uplink.hpp"

#include <lanloom/os/netns.hpp>
#include <lanloom/os/nft.hpp>

#include <algorithm>
#include <map>
#include <utility>

namespace lanloom::app {

namespace {
// What every pass writes down anew: they are of the plan, not of the kernel.
bool is_statement(const journal_entry& e) {
  return std::holds_alternative<takes_port>(e) || std::holds_alternative<instance_facts>(e);
}

std::vector<journal_entry> statements_of(const plan& p) {
  std::vector<journal_entry> statements{p.facts};
  for (auto& port : forwarded_ports(p)) statements.emplace_back(std::move(port));
  return statements;
}

void state(const plan& p, journal& log) {
  auto entries = log.entries();
  const auto first =
      std::stable_partition(entries.begin(), entries.end(), [](const auto& e) { return !is_statement(e); });
  const std::vector<journal_entry> before(first, entries.end());
  const auto now = statements_of(p);
  if (before == now) return;
  entries.erase(first, entries.end());
  entries.insert(entries.end(), now.begin(), now.end());
  log.replace(std::move(entries));
}

// The plan with what `attach` added to it.
plan with_attachments(plan p, const std::vector<journal_entry>& entries) {
  for (const auto& e : entries) {
    const auto* a = std::get_if<attachment>(&e);
    if (a == nullptr) continue;
    auto steps = steps_of(*a, p.facts, p.instance);
    // Their order matters for NAT and forwarding alone, which come last.
    const auto end = std::find_if(p.steps.begin(), p.steps.end(), [](const step& s) {
      return std::holds_alternative<load_table>(s) || std::holds_alternative<enable_forwarding>(s) ||
             std::holds_alternative<accept_forwards>(s);
    });
    p.steps.insert(end, std::make_move_iterator(steps.begin()), std::make_move_iterator(steps.end()));
  }
  return p;
}
}  // namespace

// One look at the host and what follows from it.
class host::pass {
 public:
  pass(host& on, const plan& p)
      : host_(on), log_(open_journal(on.instance_, on.journal_file_)), build_(on.instance_, log_, on.table_) {
    if (log_.found() != journal_state::good && !log_.entries().empty()) warn_of_lost(p);
    state(p, log_);
    forget_lost(log_);
    const plan whole = with_attachments(p, log_.entries());
    host_view kernel = read_host(whole, log_.entries());
    judge_table(whole, kernel);
    difference_ = difference(whole, kernel, log_.entries());
  }

  [[nodiscard]] const host_difference& found() const noexcept { return difference_; }

  // Whether it is done: what others use stays.
  bool carry_out(const change& c, undo_report& undone) {
    spdlog::debug("{}", to_string(c));
    if (const auto* entry = std::get_if<undo_entry>(&c)) return undo(entry->entry, undone);
    std::visit(
        [this](const auto& one) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(one)>, undo_entry>) build_(one);
        },
        c);
    return true;
  }

  [[nodiscard]] std::optional<os::tap> take_tap() noexcept { return build_.take_tap(); }
  [[nodiscard]] bool unproven() const {
    return std::any_of(log_.entries().begin(), log_.entries().end(),
                       [](const journal_entry& e) { return std::holds_alternative<unproven_move>(e); });
  }

 private:
  bool undo(const journal_entry& entry, undo_report& undone) {
    if (const auto* forwarding = std::get_if<needs_forwarding>(&entry)) {
      log_.retract(entry);
      try {
        undo_forwarding(log_, forwarding->v6, undone);
      } catch (...) {  // or the next pass would not know that there is something to undo
        log_.append(entry);
        throw;
      }
      auto rest = log_.entries();
      std::erase_if(rest, [&](const journal_entry& e) { return is_of_family(e, forwarding->v6); });
      log_.replace(std::move(rest));
      return true;
    }
    remover remove(host_.instance_, false, log_.entries(), undone, true);
    if (remove.undo(entry) != fate::gone) return false;
    log_.retract(entry);
    if (const auto* uplink = std::get_if<taken_uplink>(&entry)) forget(uplink->port, log_);
    return true;
  }

  // It will be taken for the host's own, which is neither guarded nor undone.
  void warn_of_lost(const plan& p) const {
    for (const auto& key : unknown_switches(log_.entries())) {
      const bool wanted = std::any_of(p.steps.begin(), p.steps.end(), [&](const step& s) {
        const auto* forward = std::get_if<enable_forwarding>(&s);
        return forward != nullptr && forwarding_key(forward->v6) == key;
      });
      if (!wanted) continue;
      spdlog::warn(
          "{} is 1 and the journal is lost, so nobody knows who switched it on: this host forwards for everybody, "
          "also afterwards; if nothing else forwards, stop this instance, run: sysctl -w {}=0, and start it again",
          dotted(key), dotted(key));
    }
  }

  void judge_table(const plan& whole, host_view& kernel) {
    const auto at = std::find_if(whole.steps.begin(), whole.steps.end(),
                                 [](const step& s) { return std::holds_alternative<load_table>(s); });
    kernel.table_is_right = at == whole.steps.end();
    if (kernel.table_is_right) return;
    const bool same = nft_ruleset(std::get<load_table>(*at).rules, guard_of(log_)) == host_.table_.text;
    kernel.table_is_outdated = !same && !host_.table_.text.empty();
    kernel.table_is_right = same && is_as_loaded();
  }
  bool is_as_loaded() {
    if (host_.table_.listing.empty()) return false;
    if (!host_.table_doubted_) return true;
    // Until it has been seen as it should be: looking may fail, and loading it again.
    host_.table_doubted_ = os::nft_list_table(nft_table_name(host_.instance_)) != host_.table_.listing;
    return !host_.table_doubted_;
  }

  host& host_;
  journal log_;
  builder build_;
  host_difference difference_;
};

host::host(std::string instance, const std::filesystem::path& run_directory)
    : instance_(std::move(instance)), journal_file_(run_directory / (instance_ + ".journal")) {}

bool host::has_leftovers() const {
  require(capability::net_admin, "looking for leftovers");
  if (!read_journal(journal_file_, read_origin()).entries.empty()) return true;
  const auto links = os::netlink().links();
  const auto ours = [this](const os::link& l) { return is_ours(l, instance_, {}); };
  return std::any_of(links.begin(), links.end(), ours) || os::nft_table_exists(nft_table_name(instance_));
}

convergence host::start(const plan& p) {
  pass now(*this, p);
  for (const auto* refused : {&now.found().conflicts, &now.found().missing}) {
    if (!refused->empty()) throw setup_error(refused->front());
  }
  convergence result;
  for (const auto& c : now.found().changes) {
    if (now.carry_out(c.what, result.undone)) result.done.push_back(to_string(c.what));
  }
  result.unproven = now.unproven();
  result.tap = now.take_tap();
  return result;
}

convergence host::converge(const plan& p, const std::function<bool(const std::string&)>& may) {
  pass now(*this, p);
  convergence result;
  result.missing = now.found().missing;
  result.conflicts = now.found().conflicts;
  std::map<std::string, bool> allowed;  // each cause is asked for once
  for (const auto& c : now.found().changes) {
    const auto [at, is_new] = allowed.try_emplace(c.cause, false);
    if (is_new) at->second = may(c.cause);
    if (!at->second) continue;
    try {
      if (!now.carry_out(c.what, result.undone)) continue;
      result.done.push_back(to_string(c.what));
      if (c.cause.starts_with(own_wish)) ++result.wished;
    } catch (const std::exception& e) {
      result.failed.emplace_back(e.what());
      auto& sentences = result.failed_causes[c.cause];
      sentences += (sentences.empty() ? "" : "; ") + result.failed.back();
    }
  }
  result.unproven = now.unproven();
  result.tap = now.take_tap();
  return result;
}

std::vector<std::string> host::taken_uplinks() const {
  std::vector<std::string> names;
  for (const auto& e : read_journal(journal_file_, read_origin()).entries) {
    if (const auto* taken = std::get_if<taken_uplink>(&e)) names.push_back(taken->port);
  }
  return names;
}

void host::give_back_uplinks_but(const std::vector<std::string>& kept) {
  journal log = open_journal(instance_, journal_file_);
  for (const auto& name : taken_uplinks()) {
    if (std::find(kept.begin(), kept.end(), name) == kept.end()) give_back_new(name, log);
  }
}

void host::uplinks_proved() {
  journal log = open_journal(instance_, journal_file_);
  auto rest = log.entries();
  std::erase_if(rest, [](const journal_entry& e) { return std::holds_alternative<unproven_move>(e); });
  if (rest != log.entries()) log.replace(std::move(rest));
}

}  // namespace lanloom::app
