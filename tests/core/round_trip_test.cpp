// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/round_trip.hpp>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;

TEST_CASE("round trip: unknown, then smoothed, with the shortest kept") {
  round_trip r;
  CHECK_FALSE(r.smoothed());
  CHECK_FALSE(r.shortest());
  CHECK(r.timeout() == 1s);
  r.on_answer(80ms);
  CHECK(r.smoothed() == 80ms);
  CHECK(r.timeout() == 80ms + 4 * 40ms);
  r.on_answer(160ms);
  CHECK(r.smoothed() == 90ms);  // 7/8 of 80 and 1/8 of 160
  CHECK(r.timeout() == 90ms + 4 * 50ms);
  CHECK(r.shortest() == 80ms);
  r.on_answer(8ms);
  CHECK(r.shortest() == 8ms);
}

TEST_CASE("round trip: the time-out has a floor and a ceiling, and no answer takes less than no time") {
  round_trip near;
  near.on_answer(-5ms);
  CHECK(near.smoothed() == 0ns);
  for (int k = 0; k < 50; ++k) near.on_answer(100us);
  CHECK(near.timeout() == round_trip::least_timeout);
  round_trip far;
  for (int k = 0; k < 50; ++k) far.on_answer(1h);
  CHECK(far.timeout() == round_trip::most_timeout);
}

TEST_CASE("round trip: loss is of the last 32 pings") {
  round_trip r;
  CHECK_FALSE(r.loss());
  r.count(false);
  CHECK(r.loss() == 1.0);
  r.count(true);
  CHECK(r.loss() == 0.5);
  for (int k = 0; k < 30; ++k) r.count(true);
  CHECK(r.loss() == 1.0 / 32);
  r.count(true);
  CHECK(r.loss() == 0.0);
  for (int k = 0; k < 40; ++k) r.count(false);
  CHECK(r.loss() == 1.0);
}
