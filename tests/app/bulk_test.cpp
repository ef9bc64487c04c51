// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/bulk.hpp>

#include <doctest/doctest.h>

using namespace lanloom;
using namespace lanloom::app;
using namespace std::chrono_literals;

namespace {
constexpr time_point start{1h};
constexpr auto per_window = static_cast<std::size_t>(bulk::begins / 100);
}  // namespace

TEST_CASE("bulk: begins at 1 Gbit/s, ends below a quarter of it, and is judged once in 10 ms") {
  bulk b;
  CHECK_FALSE(b.changed(start));
  b.add(per_window - 1);
  CHECK_FALSE(b.changed(start + 10ms));
  b.add(per_window);
  CHECK_FALSE(b.changed(start + 20ms - 1ns));
  CHECK_FALSE(b.flows());
  CHECK(b.changed(start + 20ms));
  CHECK(b.flows());
  b.add(per_window / 4);
  CHECK_FALSE(b.changed(start + 30ms));
  b.add(per_window / 4 - 1);
  CHECK(b.changed(start + 40ms));
  CHECK_FALSE(b.flows());
}

TEST_CASE("bulk: over where nothing comes any more, though much came just before") {
  bulk b;
  CHECK_FALSE(b.changed(start));
  CHECK_FALSE(b.stopped());
  b.add(per_window);
  CHECK(b.changed(start + 10ms));
  b.add(9 * per_window);
  CHECK_FALSE(b.changed(start + 39ms));
  CHECK(b.flows());
  CHECK(b.stopped());
  CHECK_FALSE(b.flows());
}

TEST_CASE("bulk: what crossed is held against the time that it took") {
  bulk b;
  CHECK_FALSE(b.changed(start));
  b.add(per_window);
  CHECK_FALSE(b.changed(start + 20ms));
  b.add(4 * per_window);
  CHECK(b.changed(start + 50ms));
  CHECK(b.changed(start + 24h));  // nothing since
  CHECK_FALSE(b.flows());
}
