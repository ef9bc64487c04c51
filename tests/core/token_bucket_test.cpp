// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/token_bucket.hpp>

using namespace lanloom;
using namespace std::chrono_literals;
using core::token_bucket;

namespace {
constexpr time_point start{1h};
constexpr token_bucket::rate ten_a_second{100ms, 5};

unsigned taken(token_bucket& b, time_point now) {
  unsigned n = 0;
  while (n < 1000 && b.take(ten_a_second, now)) ++n;
  return n;
}
}  // namespace

TEST_CASE("token bucket: the burst at once, then one per gap") {
  token_bucket b;
  CHECK(taken(b, start) == 5);
  CHECK(taken(b, start + 100ms - 1ns) == 0);
  CHECK(taken(b, start + 100ms) == 1);
  CHECK(taken(b, start + 399ms) == 2);
  CHECK(taken(b, start + 400ms) == 1);
}

TEST_CASE("token bucket: a pause fills it to the burst and no further") {
  token_bucket b;
  CHECK(taken(b, start) == 5);
  CHECK(taken(b, start + 1h) == 5);
  CHECK(taken(b, start + 1h) == 0);
}

TEST_CASE("token bucket: what is refused costs nothing") {
  token_bucket b;
  CHECK(taken(b, start) == 5);
  for (int k = 0; k < 100000; ++k) CHECK_FALSE(b.take(ten_a_second, start + 50ms));
  CHECK(taken(b, start + 100ms) == 1);
}

TEST_CASE("token bucket: in the long run exactly the rate, whatever the steps") {
  token_bucket b;
  unsigned n = 0;
  for (duration at{}; at < 100s; at += 333333ns) n += b.take(ten_a_second, start + at) ? 1U : 0U;
  CHECK(n == 5 + 999);
}

TEST_CASE("token bucket: several at once are had whole or not at all, and never more than the burst") {
  token_bucket b;
  CHECK_FALSE(b.take(ten_a_second, start, 6));
  CHECK(b.take(ten_a_second, start, 3));
  CHECK_FALSE(b.take(ten_a_second, start, 3));
  CHECK(taken(b, start) == 2);
  CHECK(b.take(ten_a_second, start + 500ms, 5));
  CHECK_FALSE(b.take(ten_a_second, start + 1h, 6));
}
