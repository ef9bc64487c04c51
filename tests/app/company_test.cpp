// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/company.hpp>

#include <doctest/doctest.h>

namespace lanloom::app {

TEST_CASE("company: expected after several, and after one right behind another; not after one alone") {
  using std::chrono::microseconds;
  company c;
  time_point now{};
  CHECK_FALSE(c.expected());
  c.note(1, now);
  CHECK_FALSE(c.expected());
  c.note(1, now += company::gap);
  CHECK_FALSE(c.expected());
  c.note(1, now += company::gap - microseconds{1});
  CHECK(c.expected());
  c.note(1, now += microseconds{1});  // asked for in vain
  CHECK_FALSE(c.expected());
  c.note(2, now += std::chrono::seconds{1});
  CHECK(c.expected());
  c.note(0, now += microseconds{1});
  CHECK_FALSE(c.expected());
}

}  // namespace lanloom::app
