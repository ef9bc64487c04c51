// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/app/segment_gate.hpp>

using namespace lanloom;
using namespace lanloom::app;

TEST_CASE("segment gate: closed for a peer for ten minutes, said once") {
  segment_gate gate(2);
  const time_point now{std::chrono::hours(1)};
  CHECK(gate.is_open(0, now));
  CHECK(gate.close(0, now));
  CHECK_FALSE(gate.is_open(0, now));
  CHECK_FALSE(gate.is_open(0, now + std::chrono::minutes(10) - duration(1)));
  CHECK(gate.is_open(1, now));
  CHECK(gate.is_open(0, now + std::chrono::minutes(10)));
  CHECK_FALSE(gate.close(0, now + std::chrono::minutes(10)));
  CHECK_FALSE(gate.is_open(0, now + std::chrono::minutes(20) - duration(1)));
  CHECK(gate.close(1, now));
}
