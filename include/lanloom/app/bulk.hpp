// SPDX-License-Identifier: Apache-2.0
// bulk.hpp - whether so much crosses that the processors are what limits it.
//
// Judged every 10 ms, by what crossed since: from 1 Gbit/s on it is bulk, until it is less than a quarter of that.
#pragma once

#include <lanloom/base/clock.hpp>

#include <chrono>
#include <cstddef>
#include <utility>

namespace lanloom::app {

class bulk {
 public:
  static constexpr std::chrono::milliseconds window{10};
  static constexpr double begins = 125e6;  // bytes a second
  static constexpr double ends = begins / 4;

  void add(std::size_t bytes) noexcept { bytes_ += bytes; }
  [[nodiscard]] bool flows() const noexcept { return flows_; }

  // True where flows() has become another. To be asked in each turn.
  [[nodiscard]] bool changed(time_point now) noexcept {
    if (now - since_ < window) return false;
    const double rate = static_cast<double>(bytes_) / std::chrono::duration<double>(now - since_).count();
    const bool before = flows_;
    flows_ = rate >= (before ? ends : begins);
    bytes_ = 0;
    since_ = now;
    return flows_ != before;
  }
  // Nothing comes any more, and nobody will ask. True where flows() has become another.
  [[nodiscard]] bool stopped() noexcept { return std::exchange(flows_, false); }

 private:
  std::size_t bytes_ = 0;  // since `since_`
  time_point since_{};
  bool flows_ = false;
};

}  // namespace lanloom::app
