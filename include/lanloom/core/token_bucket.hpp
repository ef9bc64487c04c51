// SPDX-License-Identifier: Apache-2.0
// token_bucket.hpp - so many per second in the long run, and so many at once after a pause.
//
// Kept as one point in time: the moment by which all that was taken so far will be paid for (the generic cell rate
// algorithm, ITU-T I.371). So there is nothing to refill, no rounding adds up, and `now` is the caller's.
#pragma once

#include <lanloom/base/clock.hpp>

#include <algorithm>

namespace lanloom::core {

class token_bucket {
 public:
  struct rate {
    duration gap;    // between two, in the long run
    unsigned burst;  // at once, after a pause of burst × gap
  };

  // Takes one; false when there is none.
  [[nodiscard]] bool take(const rate& r, time_point now) noexcept {
    const time_point from = std::max(paid_by_, now);
    if (from - now > r.gap * (r.burst - 1)) return false;
    paid_by_ = from + r.gap;
    return true;
  }

 private:
  time_point paid_by_{};
};

}  // namespace lanloom::core
