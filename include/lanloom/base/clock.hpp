// SPDX-License-Identifier: Apache-2.0
// clock.hpp - time as values. There is no now() here: whoever owns the loop reads the clocks and hands readings down.
#pragma once

#include <chrono>

namespace lanloom {

using duration = std::chrono::nanoseconds;

// Monotonic time (CLOCK_BOOTTIME in the daemon, a counter in the simulator): all protocol timers.
struct monotonic_clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<monotonic_clock>;
  static constexpr bool is_steady = true;
};
using time_point = monotonic_clock::time_point;

// Unix time: only for the time stamp inside a handshake. May jump either way.
using wall_time = std::chrono::time_point<std::chrono::system_clock, duration>;

// One reading of both clocks.
struct instant {
  time_point now;
  wall_time wall;
};

}  // namespace lanloom
