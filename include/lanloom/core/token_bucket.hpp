// SPDX-License-Identifier: Apache-2.0
// token_bucket.hpp - so many per second in the long run, and so many at once after a pause.
//
// Kept as one point in time: the moment by which all that was taken so far will be paid for (the generic cell rate
// algorithm, ITU-T I.371). So there is nothing to refill, no rounding adds up, and `now` is the caller's.
#pragma once

#include <lanloom/base/clock.hpp>

#include <algorithm>
#include <cstddef>

namespace lanloom::core {

class token_bucket {
 public:
  struct rate {
    duration gap;    // between two, in the long run
    unsigned burst;  // at once, after a pause of burst × gap
  };

  // Takes n; false, and takes none, when there are not as many.
  [[nodiscard]] bool take(const rate& r, time_point now, std::size_t n = 1) noexcept {
    const time_point from = std::max(paid_by_, now);
    if (n > r.burst || from - now > r.gap * (r.burst - n)) return false;
    paid_by_ = from + r.gap * n;
    return true;
  }

 private:
  time_point paid_by_{};
};

}  // namespace lanloom::core
