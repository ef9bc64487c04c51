// SPDX-License-Identifier: Apache-2.0
// round_trip.hpp - how long the way to a peer and back takes, and how many pings get lost on it. Pure.
//
// Smoothed as TCP does (RFC 6298); loss is of the last 32 pings. Owner: path_pings.
#pragma once

#include <lanloom/base/clock.hpp>

#include <cstdint>
#include <optional>

namespace lanloom::core {

class round_trip {
 public:
  static constexpr unsigned history = 32;
  static constexpr std::chrono::milliseconds first_timeout{1000};  // nothing is known yet
  static constexpr std::chrono::milliseconds least_timeout{200};
  static constexpr std::chrono::milliseconds most_timeout{10000};

  void on_answer(duration took) noexcept;
  void count(bool answered) noexcept;

  // After which a ping counts as lost.
  [[nodiscard]] duration timeout() const noexcept;
  [[nodiscard]] std::optional<duration> smoothed() const noexcept { return smoothed_; }
  [[nodiscard]] std::optional<duration> shortest() const noexcept { return shortest_; }
  [[nodiscard]] std::optional<double> loss() const noexcept;  // 0..1

 private:
  std::optional<duration> smoothed_;
  std::optional<duration> shortest_;
  duration variation_{};
  std::uint32_t lost_ = 0;  // a bit each, the latest lowest
  unsigned counted_ = 0;
};

}  // namespace lanloom::core
