// SPDX-License-Identifier: Apache-2.0
// company.hpp - whether what a descriptor brings comes several at a time.
//
// Asking for more that is not there is a system call for nothing, on the way of somebody who waits for an answer; not
// asking, where much comes, gives up what several have together: a datagram, a call. So what came last time decides.
#pragma once

#include <lanloom/base/clock.hpp>

#include <chrono>
#include <cstddef>

namespace lanloom::app {

class company {
 public:
  static constexpr std::chrono::microseconds gap{100};

  [[nodiscard]] bool expected() const noexcept { return expected_; }

  // What a turn at `now` found. Nobody asked whether one alone had company; a turn right behind it tells.
  void note(std::size_t found, time_point now) noexcept {
    expected_ = found > 1 || (!expected_ && now - last_ < gap);
    last_ = now;
  }

 private:
  bool expected_ = false;
  time_point last_ = time_point(-duration(std::chrono::seconds(1)));
};

}  // namespace lanloom::app
