// SPDX-License-Identifier: Apache-2.0
// segment_gate.hpp - to which peers the kernel may be left to cut trains into datagrams.
//
// Some routes refuse it (IPsec, no checksum offload before 6.11). Such a peer gets its datagrams one by one for ten
// minutes; then it is tried again, since routes change. Pure; owner: daemon.
#pragma once

#include <lanloom/base/clock.hpp>

#include <cstddef>
#include <vector>

namespace lanloom::app {

class segment_gate {
 public:
  static constexpr std::chrono::minutes closed_for{10};

  explicit segment_gate(std::size_t peers) : peers_(peers) {}

  [[nodiscard]] bool is_open(std::size_t peer, time_point now) const noexcept { return now >= peers_[peer].until; }
  // True the first time for this peer: worth a log line.
  [[nodiscard]] bool close(std::size_t peer, time_point now) noexcept {
    const bool first = !peers_[peer].known;
    peers_[peer] = {now + closed_for, true};
    return first;
  }

 private:
  struct state {
    time_point until = time_point::min();
    bool known = false;
  };
  std::vector<state> peers_;
};

}  // namespace lanloom::app
