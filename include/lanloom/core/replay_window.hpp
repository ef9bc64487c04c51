// SPDX-License-Identifier: Apache-2.0
// replay_window.hpp - which counters of a session were received: a sliding bitmap after RFC 6479.
//
// Invariants: (1) a counter is accepted at most once; (2) a counter more than `usable` (8128) below the highest is
// refused, as is 2^64 - 1, far above the limit of a session; (3) only accept() changes the window, and it is called
// only after the tag verified. The zero value is ready for use.
#pragma once

#include <array>
#include <cstdint>

namespace lanloom::core {

class replay_window {
 public:
  static constexpr std::uint64_t bits = 8192;
  static constexpr std::uint64_t usable = bits - 64;

  // Whether accept(counter) would be true now.
  [[nodiscard]] bool would_accept(std::uint64_t counter) const noexcept;
  // Records the counter; false, and no change, when it was seen before or is too old.
  [[nodiscard]] bool accept(std::uint64_t counter) noexcept;
  // Whether counter is above all accepted so far.
  [[nodiscard]] bool is_newest(std::uint64_t counter) const noexcept { return counter >= next_; }

 private:
  std::uint64_t next_ = 0;  // highest accepted + 1
  std::array<std::uint64_t, bits / 64> words_{};
};

}  // namespace lanloom::core
