// SPDX-License-Identifier: Apache-2.0
// retry.hpp - when the next initiation to a peer is due. Pure: time in, time out. PROTOCOL.md 5.
//
// Asked for a session, it says "now", and after each initiation without an answer later and later; while a session
// lives there is no hurry. Random numbers for jitter are handed in.
#pragma once

#include <lanloom/base/clock.hpp>

#include <array>
#include <optional>

namespace lanloom::core {

class retry {
 public:
  static constexpr std::array<std::chrono::milliseconds, 8> steps{
      std::chrono::milliseconds{250},   std::chrono::milliseconds{500},  std::chrono::milliseconds{1000},
      std::chrono::milliseconds{2000},  std::chrono::milliseconds{4000}, std::chrono::milliseconds{5000},
      std::chrono::milliseconds{10000}, std::chrono::milliseconds{15000}};  // the last repeats
  static constexpr std::chrono::seconds live_step{5};
  static constexpr std::chrono::milliseconds live_jitter{333};
  static constexpr std::chrono::seconds again_at_once{5};  // a new reason does not wait for a longer step
  static constexpr double late_margin = 1.25;              // times what a late answer took
  static constexpr std::chrono::seconds give_up_after{90};

  // The first initiation of this peer: at `when`.
  void begin(time_point when) noexcept;
  // Somebody wants a session. `live`: one that can send exists.
  void ask(time_point now, bool live) noexcept;
  // The last one may have failed for a reason that is gone: no later than `when`, if any is due at all.
  void hurry(time_point when) noexcept;
  // An answer came that long after its initiation, when a newer one had already left. Until there is a session, the
  // steps leave time for such an answer, as far as a new reason to ask leaves it.
  void late(duration took) noexcept;
  // An initiation left, the last of its attempt. `random` in [0, 1).
  void sent(time_point now, bool live, double random) noexcept;
  // An initiation left, and more of the same attempt follow, to other addresses: the next after `gap`.
  void sent_one(time_point now, duration gap) noexcept;
  // A session was made, or nobody waits for one any more.
  void stop() noexcept;

  [[nodiscard]] bool active() const noexcept { return due_.has_value(); }
  [[nodiscard]] std::optional<time_point> due() const noexcept { return due_; }
  [[nodiscard]] time_point gives_up_at() const noexcept { return asked_ + give_up_after; }
  [[nodiscard]] unsigned unanswered() const noexcept { return unanswered_; }
  // Initiations of this attempt so far.
  [[nodiscard]] unsigned turn() const noexcept { return turn_; }

 private:
  std::optional<time_point> due_;
  std::optional<time_point> sent_;
  time_point began_{};  // the attempt
  time_point asked_{};
  duration least_{};  // to the next attempt: what an answer takes
  unsigned unanswered_ = 0;
  unsigned turn_ = 0;
};

}  // namespace lanloom::core
