// SPDX-License-Identifier: Apache-2.0
// open_when_free.hpp - what one process at a time can have, opened as soon as our predecessor lets go of it.
//
// Process: keeper, at its start. Throws what `open` throws.
#pragma once

#include <lanloom/os/clock.hpp>

#include <chrono>
#include <system_error>
#include <thread>

namespace lanloom::app {

inline constexpr std::chrono::seconds predecessor_patience{2};

// `adopts`: the node of a keeper that was killed may hold a port, socket or file for a moment.
template <class Open>
auto open_when_free(bool adopts, Open open) {
  const time_point deadline = os::monotonic_now() + (adopts ? duration(predecessor_patience) : duration::zero());
  for (;;) {
    try {
      return open();
    } catch (const std::system_error& e) {
      const bool held = e.code() == std::errc::address_in_use || e.code() == std::errc::device_or_resource_busy;
      if (!held || os::monotonic_now() >= deadline) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
  }
}

}  // namespace lanloom::app
