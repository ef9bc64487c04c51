// SPDX-License-Identifier: Apache-2.0
// wake_timer.hpp - one timer on the clock of monotonic_now(), which goes on while the host sleeps.
//
// 1. What fell due during a suspend is due as soon as the host wakes up: a timer of another clock would stand still with
//    the host, and be late by as long.
// 2. Made before the system call filter; setting and reading it is all that it takes afterwards.
// Process: node. Errors: the constructor throws std::system_error.
#pragma once

#include <lanloom/base/clock.hpp>
#include <lanloom/os/unique_fd.hpp>

namespace lanloom::os {

class wake_timer {
 public:
  wake_timer();

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }  // readable when it is due
  void set(time_point when) noexcept;                          // in place of what was set before
  void clear() noexcept;                                       // it was due: not readable until it is set again

 private:
  unique_fd fd_;
};

}  // namespace lanloom::os
