// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/retry.hpp>

#include <algorithm>

namespace lanloom::core {

namespace {
duration scaled(duration d, double by) noexcept {
  return duration(static_cast<duration::rep>(static_cast<double>(d.count()) * by));
}
}  // namespace

void retry::begin(time_point when) noexcept {
  asked_ = when;
  due_ = when;
  turn_ = 0;
}

void retry::ask(time_point now, bool live) noexcept {
  asked_ = now;
  if (!due_) {
    const duration gap = live ? duration(live_step) : duration(steps.front());
    due_ = sent_ ? std::max(now, *sent_ + gap) : now;
  } else if (sent_ && now - *sent_ >= again_at_once) {
    due_ = std::min(*due_, now);
  }
}

void retry::hurry(time_point when) noexcept {
  if (due_) due_ = std::min(*due_, sent_ ? std::max(when, *sent_ + duration(steps.front())) : when);
}

void retry::late(duration took) noexcept {
  if (!due_) return;
  least_ = std::max(least_, std::min(scaled(took, late_margin), duration(again_at_once)));
  if (sent_ && turn_ == 0) due_ = std::max(*due_, *sent_ + least_);
}

void retry::sent(time_point now, bool live, double random) noexcept {
  sent_ = now;
  if (turn_ == 0) began_ = now;
  if (live) {
    due_ = now + live_step + scaled(live_jitter, random);
  } else {
    const duration step = steps[std::min<std::size_t>(unanswered_, steps.size() - 1)];
    // A host that slept in the middle of the attempt does not begin the next one at once.
    const time_point latest = std::max(began_ + steps.back(), now + steps.front());
    due_ = std::min(now + std::max(step - scaled(step, random / 4), least_), latest);
  }
  ++unanswered_;
  turn_ = 0;
}

void retry::sent_one(time_point now, duration gap) noexcept {
  sent_ = now;
  if (turn_ == 0) began_ = now;
  due_ = now + gap;
  ++turn_;
}

void retry::stop() noexcept {
  due_.reset();
  least_ = {};
  unanswered_ = 0;
  turn_ = 0;
}

}  // namespace lanloom::core
