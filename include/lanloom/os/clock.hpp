// SPDX-License-Identifier: Apache-2.0
// clock.hpp - the two clock readings that the loop hands down to core.
//
// Called once per wake, never per packet. Both are vDSO calls and cannot fail on a kernel this program runs on.
#pragma once

#include <lanloom/base/clock.hpp>

namespace lanloom::os {

[[nodiscard]] time_point monotonic_now() noexcept;  // CLOCK_BOOTTIME: goes on while the host sleeps
[[nodiscard]] wall_time wall_now() noexcept;        // CLOCK_REALTIME

}  // namespace lanloom::os
