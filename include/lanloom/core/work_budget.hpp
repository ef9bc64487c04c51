// SPDX-License-Identifier: Apache-2.0
// work_budget.hpp - how much of the time may go into handshakes: a share of the wall clock, less while frames flow.
//
// Pure: time points and costs in, a yes or a time point out. Who does the work measures it. A budget that was never
// charged is never empty. Owner: node.
#pragma once

#include <lanloom/base/clock.hpp>

#include <algorithm>
#include <optional>

namespace lanloom::core {

class work_budget {
 public:
  static constexpr duration::rep busy_divisor = 50;                  // 2 %
  static constexpr duration::rep idle_divisor = 2;                   // 50 %
  static constexpr duration most = std::chrono::milliseconds{20};    // saved up: some hundred handshakes at once
  static constexpr duration quiet = std::chrono::milliseconds{100};  // after the last frame: idle

  static constexpr duration least = std::chrono::microseconds{1};  // waited for: a timer has to move

  void on_frame(time_point now) noexcept { frame_ = now; }
  // The work just done took `cost`. What it overdraws is earned back before there is more, but never more than `most`:
  // a process that was stopped meanwhile has not worked for so long.
  void spend(duration cost, time_point now) noexcept {
    earn(now);
    left_ = std::max(left_ - std::clamp(cost, duration::zero(), 2 * most), -most);
  }
  [[nodiscard]] bool allows(time_point now) noexcept {
    earn(now);
    return left_ > duration::zero();
  }
  // When an empty budget allows work again, as things were when it was last asked or charged.
  [[nodiscard]] time_point due() const noexcept {
    if (!since_ || left_ > duration::zero()) return time_point::min();
    return *since_ + std::max(duration{1} - left_, least) * divisor(*since_);
  }

 private:
  [[nodiscard]] duration::rep divisor(time_point now) const noexcept {
    return frame_ && now - *frame_ < quiet ? busy_divisor : idle_divisor;
  }
  void earn(time_point now) noexcept {
    if (since_ && now <= *since_) return;
    // What is too little to count stays in the clock: asking often does not lose it.
    const duration earned = since_ ? (now - *since_) / divisor(now) : most;
    if (since_ && earned == duration::zero()) return;
    since_ = now;
    left_ = std::min(most, left_ + earned);
  }

  duration left_ = most;
  std::optional<time_point> since_;
  std::optional<time_point> frame_;
};

}  // namespace lanloom::core
