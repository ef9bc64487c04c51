// SPDX-License-Identifier: Apache-2.0
// reconciler.hpp - keeps the host as the plan says while the instance runs.
//
// 1. It looks again 100 ms after the kernel told of a change, every second while something is missing or failed, and
//    every one and a half where the plan names what the kernel tells nothing of: ports in the database of Open vSwitch,
//    rules of the older iptables. A firewall that others write rule by rule has half a second to become quiet.
// 2. What it puts right is said once and counted. A change that would be made for the fourth time within a minute is
//    left alone, and reported, until the next reload: somebody else wants it otherwise. But the TAP, and what the
//    host's own addresses hang on, its uplinks and the bridge that has them, is made again each time. Rules that are
//    loaded anew because other instances or bridges came or went are neither counted nor left alone.
// 3. What fails is said once and tried again, after a pause that grows from one second to half a minute.
// 4. What the plan does not name any more is undone when the plan changes; what that could not do is tried again.
// Process: keeper, its loop. Errors: what host says; in the loop they are logged and tried again.
#pragma once

#include <lanloom/app/host.hpp>
#include <lanloom/base/clock.hpp>
#include <lanloom/os/monitor.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace lanloom::app {

class reconciler {
 public:
  static constexpr std::chrono::milliseconds settle_time{100};
  static constexpr std::chrono::seconds retry_time{1};
  static constexpr std::chrono::milliseconds unheard_time{1500};
  static constexpr std::chrono::milliseconds firewall_settle_time{500};
  static constexpr std::size_t times_allowed = 3;
  static constexpr std::chrono::minutes window{1};
  static constexpr std::chrono::seconds longest_pause{30};

  // `on_tap` takes the TAP that had to be opened anew; `on_change` hears that corrections() or problems() changed;
  // `on_network` that the kernel told of a change of links, addresses or routes, whoever made it.
  reconciler(boost::asio::io_context& io, host& on, plan wanted, std::function<void(os::tap)> on_tap,
             std::function<void()> on_change, std::function<void()> on_network);

  void start();  // the host is as planned by now
  // Looks at once; says what goes on. Throws what makes the pass impossible as a whole.
  convergence look();
  // The same for another plan: what that does not name is undone, and what was left alone is tried again. Where it
  // throws, the plan before stays in force.
  convergence replace(plan wanted);

  // At the last look: uplinks were taken, and nobody has seen that the bridge carries. proved: somebody has.
  [[nodiscard]] bool unproven() const noexcept { return unproven_; }
  void proved() noexcept { unproven_ = false; }
  [[nodiscard]] std::uint64_t corrections() const noexcept { return corrections_; }
  // Sentences: what is missing, taken, refused or left alone now.
  [[nodiscard]] std::vector<std::string> problems() const;

 private:
  using watched = boost::asio::posix::stream_descriptor;

  void watch_route();
  void watch_nft();
  void look_in(std::chrono::milliseconds delay);
  void look_and_log();
  [[nodiscard]] bool is_vital(const std::string& line) const;
  [[nodiscard]] bool may(const std::string& line, bool undoing);
  convergence pass(bool undoing);
  void remember(const std::map<std::string, std::string>& failed, const std::set<std::string>& refused);
  void report(const convergence& made, bool asked_for);

  host& host_;
  plan plan_;
  bool unproven_ = false;
  bool owes_undoing_ = false;  // the last plan's change could not all be undone
  bool unheard_;               // the plan names what changes without a word of the kernel
  std::function<void(os::tap)> on_tap_;
  std::function<void()> on_change_;
  std::function<void()> on_network_;
  os::monitor monitor_;
  watched route_ready_;
  watched nft_ready_;
  boost::asio::steady_timer timer_;
  std::optional<std::chrono::steady_clock::time_point> due_;  // of the timer's next look
  std::uint64_t corrections_ = 0;
  std::map<std::string, std::deque<time_point>> tries_;  // of one change within the window
  struct failure {
    std::string why;
    std::chrono::seconds pause{};
    time_point next_try{};
  };
  std::map<std::string, failure> failures_;  // by the change that failed
  std::set<std::string> left_alone_;
  std::vector<std::string> standing_;  // what is missing, taken or refused
};

}  // namespace lanloom::app
