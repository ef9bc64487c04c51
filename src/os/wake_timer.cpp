// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/wake_timer.hpp>

#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace lanloom::os {

wake_timer::wake_timer() : fd_(::timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC)) {
  if (!fd_) throw_errno("make a timer");
}

void wake_timer::set(time_point when) noexcept {
  // Zero would turn it off; any other time that is past is due now.
  const auto since_boot = std::max<duration>(when.time_since_epoch(), duration(1));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since_boot);
  itimerspec at{};
  at.it_value.tv_sec = seconds.count();
  at.it_value.tv_nsec = (since_boot - seconds).count();
  (void)::timerfd_settime(fd_.get(), TFD_TIMER_ABSTIME, &at, nullptr);
}

void wake_timer::clear() noexcept {
  std::uint64_t times = 0;
  (void)!::read(fd_.get(), &times, sizeof times);
}

}  // namespace lanloom::os
