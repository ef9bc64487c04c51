// SPDX-License-Identifier: Apache-2.0
// open_underlay.hpp - a start opens its port and socket, which the node of a keeper that was killed may hold for a
// moment.
#pragma once

#include <lanloom/app/host.hpp>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/udp.hpp>

#include <string>
#include <thread>

namespace lanloom::app {

inline constexpr std::chrono::seconds predecessor_patience{2};

// The node of a keeper that was killed may hold a port or socket for a moment.
template <class Open>
auto open_when_free(bool adopts, Open open) {
  const time_point deadline = os::monotonic_now() + (adopts ? duration(predecessor_patience) : duration::zero());
  for (;;) {
    try {
      return open();
    } catch (const std::system_error& e) {
      if (e.code() != std::errc::address_in_use || os::monotonic_now() >= deadline) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
  }
}

inline os::udp_socket open_underlay(const endpoint& listen, bool adopts) {
  try {
    return open_when_free(adopts, [&] { return os::udp_socket::open(listen); });
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::address_in_use) throw;
    throw setup_error(std::string(e.what()) +
                      "; another program or instance has that port: choose another [node] listen, or stop it");
  }
}

}  // namespace lanloom::app
