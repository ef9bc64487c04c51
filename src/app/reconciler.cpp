// SPDX-License-Identifier: Apache-2.0
#include "reconciler.hpp"

#include "joined.hpp"

#include <lanloom/app/difference.hpp>
#include <lanloom/app/log.hpp>
#include <lanloom/app/nft_ruleset.hpp>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/iptables.hpp>

#include <fcntl.h>

#include <algorithm>
#include <utility>

namespace lanloom::app {

using boost::system::error_code;

namespace {
// Asio closes what it watches.
int duplicate_of(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) os::throw_errno("watch the kernel's messages");
  return copy;
}

bool accepts_forwards(const plan& p) {
  return std::any_of(p.steps.begin(), p.steps.end(),
                     [](const step& s) { return std::holds_alternative<accept_forwards>(s); });
}

bool has_older_iptables() {
  for (const auto family : {os::ip_family::v4, os::ip_family::v6}) {
    try {
      if (os::iptables_present(family) && os::iptables_is_older(family)) return true;
    } catch (const std::system_error&) {  // it did not say
      return true;
    }
  }
  return false;
}

// Whether the kernel keeps silent about changes of something that the plan names.
bool has_unheard(const plan& p) { return p.facts.ovs || (accepts_forwards(p) && has_older_iptables()); }

}  // namespace

reconciler::reconciler(boost::asio::io_context& io, host& on, plan wanted, std::function<void(os::tap)> on_tap,
                       std::function<void()> on_change, std::function<void()> on_network)
    : host_(on),
      plan_(std::move(wanted)),
      unheard_(has_unheard(plan_)),
      on_tap_(std::move(on_tap)),
      on_change_(std::move(on_change)),
      on_network_(std::move(on_network)),
      route_ready_(io, duplicate_of(monitor_.route_fd())),
      nft_ready_(io, duplicate_of(monitor_.nft_fd())),
      timer_(io) {}

void reconciler::start() {
  watch_route();
  watch_nft();
  look_in(settle_time);  // between the start's last look and now anything may have happened
}

void reconciler::watch_route() {
  route_ready_.async_wait(watched::wait_read, [this](error_code error) {
    if (error) return;
    if (monitor_.drain_route()) {
      look_in(settle_time);
      on_network_();
    }
    watch_route();
  });
}

void reconciler::watch_nft() {
  nft_ready_.async_wait(watched::wait_read, [this](error_code error) {
    if (error) return;
    // Another instance's table too: when that one leaves, the guard may be ours to set up.
    const auto seen = monitor_.drain_nft(nft_table_name(""));
    if (seen.named) {
      host_.doubt_table();
      look_in(settle_time);
    }
    if (seen.filter && accepts_forwards(plan_)) look_in(firewall_settle_time);
    watch_nft();
  });
}

void reconciler::look_in(std::chrono::milliseconds delay) {
  const auto due = std::chrono::steady_clock::now() + delay;
  if (due_ && *due_ <= due) return;
  due_ = due;
  timer_.expires_at(due);  // ends the wait for a later one
  timer_.async_wait([this](error_code error) {
    if (error) return;
    due_.reset();
    look_and_log();
  });
}

void reconciler::look_and_log() {
  try {
    look();
  } catch (const std::exception& e) {
    if (standing_ != std::vector<std::string>{e.what()}) spdlog::error("{}", e.what());
    standing_ = {e.what()};
    on_change_();
    look_in(retry_time);
  }
}

convergence reconciler::look() { return pass(false); }

convergence reconciler::replace(plan wanted) {
  plan before = std::exchange(plan_, std::move(wanted));
  const bool owed = owes_undoing_;
  unheard_ = has_unheard(plan_);
  tries_.clear();
  left_alone_.clear();
  failures_.clear();
  host_.doubt_table();
  try {
    return pass(true);
  } catch (...) {  // or what was refused would be done a second later
    plan_ = std::move(before);
    unheard_ = has_unheard(plan_);
    owes_undoing_ = owed;
    throw;
  }
}

// Without the TAP there is no instance. And whoever takes the bridge away, or an uplink out of it, has taken the host's
// own addresses with it.
bool reconciler::is_vital(const std::string& line) const {
  const bool uplinks = std::any_of(plan_.steps.begin(), plan_.steps.end(),
                                   [](const step& s) { return std::holds_alternative<take_uplink>(s); });
  return std::any_of(plan_.steps.begin(), plan_.steps.end(), [&](const step& s) {
    const bool carries = std::holds_alternative<create_bridge>(s) || std::holds_alternative<take_uplink>(s);
    return (std::holds_alternative<open_tap>(s) || (uplinks && carries)) && to_string(s) == line;
  });
}

bool reconciler::may(const std::string& line, bool undoing) {
  if (!undoing && line.starts_with("undo ")) return false;
  if (left_alone_.contains(line)) return false;
  const auto now = os::monotonic_now();
  if (const auto failed = failures_.find(line); failed != failures_.end()) return now >= failed->second.next_try;
  if (is_vital(line) || line.starts_with(own_wish)) return true;
  auto& tries = tries_[line];
  while (!tries.empty() && now - tries.front() > window) tries.pop_front();
  if (tries.size() < times_allowed) {
    tries.push_back(now);
    return true;
  }
  tries_.erase(line);
  left_alone_.insert(line);
  spdlog::error("{}: was undone by somebody {} times within a minute, so it is left alone until `lanloom reload`", line,
                times_allowed);
  return false;
}

convergence reconciler::pass(bool undoing) {
  owes_undoing_ = owes_undoing_ || undoing;
  std::set<std::string> refused;
  auto made = host_.converge(plan_, [&](const std::string& line) {
    const bool yes = may(line, owes_undoing_);
    if (!yes) refused.insert(line);
    return yes;
  });
  remember(made.failed_causes, refused);
  owes_undoing_ = owes_undoing_ && (!failures_.empty() || !made.undone.failed.empty());
  std::erase_if(tries_, [now = os::monotonic_now()](const auto& entry) {
    return entry.second.empty() || now - entry.second.back() > window;
  });
  unproven_ = made.unproven;
  report(made, undoing);
  if (made.tap) on_tap_(std::move(*std::exchange(made.tap, std::nullopt)));
  if (!standing_.empty() || owes_undoing_) look_in(retry_time);
  if (unheard_) look_in(unheard_time);
  return made;
}

// What failed was no change of somebody else's, so it does not count as one.
void reconciler::remember(const std::map<std::string, std::string>& failed, const std::set<std::string>& refused) {
  std::erase_if(failures_, [&](const auto& known) {
    return !failed.contains(known.first) && !refused.contains(known.first);  // it went well, or is not wanted any more
  });
  for (const auto& [line, why] : failed) {
    auto& f = failures_[line];
    f.why = why;
    f.pause = std::clamp(f.pause * 2, std::chrono::seconds(retry_time), longest_pause);
    f.next_try = os::monotonic_now() + f.pause;
    if (const auto tries = tries_.find(line); tries != tries_.end() && !tries->second.empty()) tries->second.pop_back();
  }
}

void reconciler::report(const convergence& made, bool asked_for) {
  if (!made.done.empty() && !asked_for) {
    corrections_ += made.done.size() - made.wished;
    const bool wrong = made.done.size() > made.wished;
    spdlog::log(wrong ? spdlog::level::warn : spdlog::level::info, "{}: {}",
                wrong ? "put right" : "other instances or bridges came or went", joined(made.done));
  }
  for (const auto& line : made.done) {
    if (asked_for) spdlog::info("reload: {}", line);
  }
  for (const auto& line : made.undone.left) spdlog::warn("{}", line);
  for (const auto& line : made.undone.failed) spdlog::error("{}", line);
  std::vector<std::string> standing = made.missing;
  standing.insert(standing.end(), made.conflicts.begin(), made.conflicts.end());
  for (const auto& [line, f] : failures_) standing.push_back(f.why);
  for (const auto& line : standing) {
    if (std::find(standing_.begin(), standing_.end(), line) == standing_.end()) spdlog::error("{}", line);
  }
  standing_ = std::move(standing);
  on_change_();
}

std::vector<std::string> reconciler::problems() const {
  auto all = standing_;
  for (const auto& line : left_alone_) all.push_back("left alone: " + line);
  return all;
}

}  // namespace lanloom::app
