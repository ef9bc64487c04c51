// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/work_budget.hpp>

#include <doctest/doctest.h>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;

namespace {
constexpr time_point start{1h};

// What a second of work, each piece of 200 us as soon as it is allowed, takes.
duration share(bool frames) {
  work_budget b;
  b.on_frame(start);
  while (b.allows(start)) b.spend(200us, start);  // what was saved up
  duration taken{};
  for (time_point now = start; now < start + 10s; now += 10us) {
    if (frames) b.on_frame(now);
    if (!b.allows(now)) continue;
    b.spend(200us, now);
    taken += 200us;
  }
  return taken / 10;
}
}  // namespace

TEST_CASE("work budget: never charged, never empty") {
  work_budget b;
  CHECK(b.allows(start));
  CHECK(b.allows(start + 1h));
  CHECK(b.due() == time_point::min());
}

TEST_CASE("work budget: 2 % while frames flow, 50 % when idle") {
  CHECK(share(true) >= 19900us);
  CHECK(share(true) <= 20100us);
  CHECK(share(false) >= 440ms);  // busy for the first 100 ms of ten seconds
  CHECK(share(false) <= 501ms);
}

TEST_CASE("work budget: due says when an empty one allows work again; savings are bounded") {
  work_budget b;
  CHECK(b.allows(start));
  b.spend(work_budget::most, start);
  CHECK_FALSE(b.allows(start));
  const time_point due = b.due();
  CHECK(due > start);
  CHECK(due <= start + 2us);
  CHECK(b.allows(due));
  b.spend(1ms, due);
  CHECK_FALSE(b.allows(b.due() - 10ns));
  CHECK(b.allows(b.due()));
  CHECK(b.allows(start + 1h));
  b.spend(work_budget::most, start + 1h);
  CHECK_FALSE(b.allows(start + 1h));
}

TEST_CASE("work budget: a process that was stopped while it worked goes on soon") {
  work_budget b;
  b.spend(10min, start);
  CHECK_FALSE(b.allows(start));
  CHECK(b.due() - start <= work_budget::idle_divisor * work_budget::most + 2us);
  b.on_frame(b.due());
  b.spend(10min, start + 1s);
  b.on_frame(start + 1s);
  CHECK(b.due() - (start + 1s) <= work_budget::busy_divisor * work_budget::most + 2us);
}
