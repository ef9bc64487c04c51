// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/clock.hpp>

#include <time.h>

namespace lanloom::os {

namespace {
duration reading(clockid_t clock) noexcept {
  timespec t{};
  ::clock_gettime(clock, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}
}  // namespace

[[gnu::hot]] time_point monotonic_now() noexcept { return time_point(reading(CLOCK_BOOTTIME)); }
wall_time wall_now() noexcept { return wall_time(reading(CLOCK_REALTIME)); }

}  // namespace lanloom::os
