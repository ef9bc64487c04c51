// SPDX-License-Identifier: Apache-2.0
// path_mtu.hpp - how large a packet the way to a peer carries, found by trying (RFC 8899). Pure: what was tried goes
// in, what to cut for and what to try next come out.
//
// Sizes are of whole IP packets. Three states: *base* (1280 is taken for granted until it was tried), *search* (from
// what passes towards what does not), *complete* (until it is time to look for more). Invariants: (1) size() passed
// when it was last tried, or is `base` or the floor; (2) least <= size() <= most; (3) a search ends: each answer
// narrows it. Owner: path_pings. Spec: PROTOCOL.md 5.7.
#pragma once

#include <lanloom/base/clock.hpp>

#include <cstdint>

namespace lanloom::core {

class path_mtu {
 public:
  static constexpr std::uint16_t base = 1280;   // what nearly every path carries
  static constexpr std::uint16_t usual = 1500;  // what most do
  static constexpr std::chrono::seconds raise_after{600};
  enum class state : std::uint8_t { base, search, complete };

  // Another path. `least` is taken for granted, more than `most` is of no use.
  void begin(std::uint16_t least, std::uint16_t most) noexcept;
  void on_passed(std::uint16_t size) noexcept;
  // It was tried often enough, while smaller ones passed; or the kernel refused it.
  void on_failed(std::uint16_t size) noexcept;

  // What to try now; 0: nothing.
  [[nodiscard]] std::uint16_t candidate(time_point now) noexcept;
  [[nodiscard]] std::uint16_t size() const noexcept { return size_; }
  [[nodiscard]] std::uint16_t least() const noexcept { return least_; }
  [[nodiscard]] state is() const noexcept { return state_; }

 private:
  void restart() noexcept;
  [[nodiscard]] std::uint16_t half_way() const noexcept;

  std::uint16_t size_ = base;
  std::uint16_t least_ = base;
  std::uint16_t most_ = base;
  std::uint16_t above_ = base + 1;  // does not pass
  state state_ = state::search;
  time_point raise_at_{};
};

}  // namespace lanloom::core
