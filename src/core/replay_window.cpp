// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/replay_window.hpp>

#include <algorithm>
#include <limits>

namespace lanloom::core {

namespace {
constexpr std::uint64_t word_bits = 64;
constexpr std::uint64_t words = replay_window::bits / word_bits;

constexpr std::uint64_t mask(std::uint64_t counter) noexcept { return std::uint64_t{1} << (counter % word_bits); }
}  // namespace

[[gnu::hot]] bool replay_window::would_accept(std::uint64_t counter) const noexcept {
  // next_ could not express "2^64 - 1 was accepted".
  if (counter == std::numeric_limits<std::uint64_t>::max()) return false;
  if (counter >= next_) return true;
  if (next_ - 1 - counter > usable) return false;
  return (words_[counter / word_bits % words] & mask(counter)) == 0;
}

[[gnu::hot]] bool replay_window::accept(std::uint64_t counter) noexcept {
  if (!would_accept(counter)) return false;
  if (counter >= next_) {
    // One word of the ring is always ahead of the window: that is why not all bits are usable, and why moving on only
    // means to clear the words that are entered.
    const std::uint64_t from = next_ == 0 ? 0 : (next_ - 1) / word_bits;
    const std::uint64_t entered = std::min(counter / word_bits - from, words);
    for (std::uint64_t i = 1; i <= entered; ++i) words_[(from + i) % words] = 0;
    next_ = counter + 1;
  }
  words_[counter / word_bits % words] |= mask(counter);
  return true;
}

}  // namespace lanloom::core
