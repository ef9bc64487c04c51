// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/replay_window.hpp>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <random>
#include <vector>

using lanloom::core::replay_window;

namespace {
constexpr std::uint64_t top = std::numeric_limits<std::uint64_t>::max();

// Every counter accepted so far that the rules still ask about. Two counters of one window never share a slot, and a
// slot holds the counter itself, so nothing has to be cleared and nothing is approximate.
class exact_set {
 public:
  [[nodiscard]] bool newest(std::uint64_t counter) const { return !any_ || counter > highest_; }
  [[nodiscard]] bool accept(std::uint64_t counter) {
    if (counter == top) return false;
    if (any_ && counter < highest_ && highest_ - counter > 8128) return false;
    auto& slot = slots_[counter % slots_.size()];
    if (slot == counter) return false;
    slot = counter;
    if (newest(counter)) highest_ = counter;
    any_ = true;
    return true;
  }
  [[nodiscard]] std::uint64_t highest() const { return highest_; }

 private:
  std::vector<std::uint64_t> slots_ = std::vector<std::uint64_t>(16384, top);
  std::uint64_t highest_ = 0;
  bool any_ = false;
};

std::uint64_t up(std::uint64_t from, std::uint64_t by) { return by > top - from ? top : from + by; }
std::uint64_t down(std::uint64_t from, std::uint64_t by) { return by > from ? 0 : from - by; }

std::uint64_t step_from(std::uint64_t highest, std::uint64_t last, std::mt19937_64& random) {
  static constexpr std::uint64_t jumps[] = {1, 2, 63, 64, 65, 127, 128, 8063, 8064, 8127, 8128, 8129, 8191, 8192, 8193};
  const auto draw = random();
  const auto jump = jumps[(draw >> 8) % std::size(jumps)];
  switch (draw % 64) {
    case 0:
      return up(highest, jump);
    case 1:
      return up(highest, (draw >> 60) == 0 ? std::uint64_t{1} << 32 : 1);
    case 2:
      return (draw >> 62) == 0 ? down(highest, std::uint64_t{1} << 32) : last;
    case 3:
    case 4:
      return down(highest, jump);
    case 5:
      return last;
    case 6:
    case 7:
    case 8:
    case 9:
      return up(highest, 1);
    default:
      return down(highest, (draw >> 16) % 8200);
  }
}
}  // namespace

TEST_CASE("replay window: no difference from an exact set in a random walk") {
  const std::uint64_t steps = std::getenv("LANLOOM_LONG") != nullptr ? 1'000'000'000 : 10'000'000;
  constexpr std::uint64_t epoch = 50'000;
  const std::uint64_t bases[] = {
      0, 1, 63, 64, 8128, (std::uint64_t{1} << 32) - 9000, (std::uint64_t{1} << 60) - 9000, top - 9000, top - 8200};
  std::mt19937_64 random(20240607);
  std::uint64_t mismatches = 0;
  std::uint64_t accepted = 0;
  for (std::uint64_t done = 0; done < steps; done += epoch) {
    replay_window window;
    exact_set model;
    std::uint64_t counter = bases[done / epoch % std::size(bases)];
    for (std::uint64_t i = 0; i < epoch; ++i) {
      const bool newest = model.newest(counter);
      const bool expected = model.accept(counter);
      mismatches += window.is_newest(counter) != newest ? 1 : 0;
      mismatches += window.would_accept(counter) != expected ? 1 : 0;
      mismatches += window.accept(counter) != expected ? 1 : 0;
      accepted += expected ? 1 : 0;
      counter = step_from(model.highest(), counter, random);
    }
  }
  CHECK(mismatches == 0);
  CHECK(accepted > steps / 20);  // the walk neither gets stuck nor only moves on
  CHECK(accepted < steps - steps / 20);
}

// Numbers of the RFC 6479 self-test that WireGuard uses: github.com/WireGuard/wireguard-go, replay/replay_test.go,
// commit f333402bd9cbe0f3eeb02507bd14e23d7d639280, MIT. L is window + 1, R the first counter that the session refuses:
// that limit is the caller's there too, so the table is run behind it.
TEST_CASE("replay window: sequence of the RFC 6479 self-test") {
  constexpr std::uint64_t L = 8129;
  constexpr std::uint64_t R = 18446744073709543486ULL;
  struct row {
    std::uint64_t counter;
    bool accept;
  };
  constexpr row table[] = {
      {0, true},      {1, true},      {1, false},         {9, true},         {8, true},          {7, true},
      {7, false},     {L, true},      {L - 1, true},      {L - 1, false},    {L - 2, true},      {2, true},
      {2, false},     {L + 16, true}, {3, false},         {L + 16, false},   {4 * L, true},      {3 * L + 1, true},
      {10, false},    {3 * L, false}, {3 * L - 1, false}, {3 * L + 2, true}, {3 * L + 1, false}, {0, false},
      {R, false},     {R - 1, true},  {R, false},         {R - 1, false},    {R - 2, true},      {R + 1, false},
      {R + 2, false}, {R - 2, false}, {R - 3, true},      {0, false},
  };
  static_assert(std::size(table) == 34);
  replay_window window;
  for (std::size_t i = 0; i < std::size(table); ++i) {
    const auto [counter, accept] = table[i];
    CAPTURE(i);
    CHECK((counter < R && window.accept(counter)) == accept);
  }
}

TEST_CASE("replay window: bulk runs of the RFC 6479 self-test") {
  struct run {
    std::uint64_t from;
    std::uint64_t to;
    std::vector<std::pair<std::uint64_t, bool>> then;
  };
  const run runs[] = {
      {1, 8128, {{0, true}, {0, false}}},
      {2, 8129, {{1, true}, {0, false}}},
      {8129, 1, {}},
      {8130, 2, {{0, false}}},
      {8128, 1, {{8129, true}, {0, false}}},
      {8128, 1, {{0, true}, {8129, true}}},
  };
  for (const auto& r : runs) {
    replay_window window;
    std::uint64_t refused = 0;
    for (auto c = r.from;; c = r.from < r.to ? c + 1 : c - 1) {
      refused += window.accept(c) ? 0 : 1;
      if (c == r.to) break;
    }
    CAPTURE(r.from);
    CHECK(refused == 0);
    for (const auto& [counter, accept] : r.then) CHECK(window.accept(counter) == accept);
  }
}

TEST_CASE("replay window: asking changes nothing, and the last counter is never accepted") {
  replay_window window;
  CHECK(window.is_newest(0));
  CHECK(window.would_accept(100'000));
  CHECK(window.would_accept(0));
  CHECK(window.accept(0));
  CHECK_FALSE(window.is_newest(0));
  CHECK(window.is_newest(1));
  CHECK_FALSE(window.would_accept(top));
  CHECK_FALSE(window.accept(top));
  CHECK(window.accept(top - 1));
  CHECK_FALSE(window.accept(top - 1));
  CHECK_FALSE(window.accept(top));
  CHECK_FALSE(window.is_newest(top - 1));
  CHECK(window.accept(top - 1 - replay_window::usable));
  CHECK_FALSE(window.accept(top - 2 - replay_window::usable));
}
