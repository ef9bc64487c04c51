// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/base/drop.hpp>

#include <algorithm>
#include <set>

using lanloom::drop;
using lanloom::drop_counters;
using lanloom::drop_reasons;

TEST_CASE("drops: every reason has a name of its own, fit for a JSON key") {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < drop_reasons; ++i) {
    const auto name = to_string(static_cast<drop>(i));
    CAPTURE(name);
    CHECK(!name.empty());
    CHECK(name != "unknown");
    CHECK(std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || c == '_' || c == '1'; }));
    CHECK(names.insert(name).second);
  }
  CHECK(names.size() == drop_reasons);
  CHECK(to_string(static_cast<drop>(drop_reasons)) == "unknown");  // drop_reasons is the whole list
}

TEST_CASE("drops: each reason counts for itself, `none` for nothing") {
  drop_counters counters;
  for (std::size_t i = 0; i < drop_reasons; ++i) CHECK(counters[static_cast<drop>(i)] == 0);
  for (std::size_t i = 0; i < drop_reasons; ++i) counters.count(static_cast<drop>(i), i + 1);
  for (std::size_t i = 1; i < drop_reasons; ++i) CHECK(counters[static_cast<drop>(i)] == i + 1);
  CHECK(counters[drop::none] == 0);
  counters.count(drop::bad_tag);
  CHECK(counters[drop::bad_tag] == static_cast<std::uint64_t>(drop::bad_tag) + 2);

  drop_counters other;
  CHECK(!(counters == other));
  CHECK(other == drop_counters{});
  other.count(drop::none, 7);
  CHECK(other == drop_counters{});
}
