// SPDX-License-Identifier: Apache-2.0
#include "vectors.hpp"

#include <lanloom/crypto/random.hpp>

#include <doctest/doctest.h>

#include <set>

namespace lanloom::crypto {
namespace {

using namespace test;

TEST_CASE("a seed gives a fixed sequence, other seeds others") {
  random a(7), b(7), c(8);
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t drawn = a.u64();
    CHECK(drawn == b.u64());
    seen.insert(drawn);
    seen.insert(c.u64());
  }
  CHECK(seen.size() == 2000);
}

TEST_CASE("a fill of any size is filled") {
  for (random source : {random(), random(3)}) {
    source.fill({});
    bytes first(1000), second(1000);
    source.fill(first);
    source.fill(second);
    CHECK(first != second);
    CHECK(std::set<std::uint8_t>(first.begin(), first.end()).size() > 200);
  }
}

TEST_CASE("the kernel's bytes do not repeat") {
  random a, b;
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    seen.insert(a.u64());
    seen.insert(b.u64());
  }
  CHECK(seen.size() == 2000);
}

TEST_CASE("below() stays below and is even") {
  random source(5);
  CHECK(source.below(1) == 0);
  std::array<int, 7> hits{};
  for (int i = 0; i < 70000; ++i) {
    const std::uint32_t drawn = source.below(7);
    REQUIRE(drawn < 7);
    ++hits[drawn];
  }
  for (const int count : hits) CHECK(std::abs(count - 10000) < 600);  // over six deviations

  // With 3 * 2^30 a remainder alone would give the lowest third half of all draws.
  int lowest = 0;
  for (int i = 0; i < 9000; ++i) lowest += source.below(3U << 30) < (1U << 30) ? 1 : 0;
  CHECK(std::abs(lowest - 3000) < 300);
}

}  // namespace
}  // namespace lanloom::crypto
