// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/path_mtu.hpp>

#include <vector>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;
using state = path_mtu::state;

namespace {
constexpr time_point start{1h};

// Tries what it asks for on a path that carries `carries`, until it asks for nothing more. What it tried.
std::vector<std::uint16_t> search(path_mtu& p, std::size_t carries, time_point now = start) {
  std::vector<std::uint16_t> tried;
  while (const std::uint16_t size = p.candidate(now)) {
    REQUIRE(tried.size() < 20);
    REQUIRE(size > 0);
    tried.push_back(size);
    size <= carries ? p.on_passed(size) : p.on_failed(size);
    CHECK(p.size() <= std::max<std::size_t>(carries, p.least()));
  }
  CHECK(p.is() == state::complete);
  return tried;
}

path_mtu v4(std::uint16_t most = 1586) {
  path_mtu p;
  p.begin(576, most);
  return p;
}
}  // namespace

TEST_CASE("path mtu: 1280 until it was tried, then what most paths carry, then all that is of use") {
  path_mtu p = v4();
  CHECK(p.size() == 1280);
  CHECK(p.is() == state::base);
  CHECK(search(p, 9000) == std::vector<std::uint16_t>{1280, 1500, 1586});
  CHECK(p.size() == 1586);
}

TEST_CASE("path mtu: an Ethernet of 1500 is found first, and what is wider only looked for") {
  path_mtu p = v4();
  const auto tried = search(p, 1500);
  CHECK(p.size() == 1500);
  REQUIRE(tried.size() >= 3);
  CHECK(tried[1] == 1500);
  CHECK(tried[2] == 1586);
  CHECK(tried.size() <= 5);
}

TEST_CASE("path mtu: every common path is found exactly, any other from below, in few tries") {
  for (const unsigned path :
       {576U, 900U, 1200U, 1280U, 1400U, 1420U, 1450U, 1472U, 1480U, 1492U, 1500U, 1508U, 9000U}) {
    CAPTURE(path);
    path_mtu p = v4(9300);
    search(p, path);
    CHECK(p.size() == path);
  }
  for (std::uint16_t path = 576; path <= 9300; ++path) {
    path_mtu p = v4(9300);
    const auto tried = search(p, path);
    CAPTURE(path);
    CHECK(p.size() <= path);
    if (path >= 1400 && path <= 1500) CHECK(p.size() + 12 > path);
    CHECK(tried.size() <= 8);
  }
}

TEST_CASE("path mtu: never below the floor, never above what is of use") {
  path_mtu p = v4();
  CHECK(search(p, 100).front() == 1280);
  CHECK(p.size() == 576);
  p.on_failed(576);
  p.on_failed(300);
  CHECK(p.size() == 576);
  p.on_passed(9000);
  CHECK(p.size() == 576);

  path_mtu six;
  six.begin(1280, 1606);
  CHECK(six.is() == state::search);  // nothing below it to choose
  CHECK(search(six, 0).front() == 1500);
  CHECK(six.size() == 1280);
  six.on_failed(1280);
  CHECK(six.size() == 1280);
  CHECK(six.candidate(start) == 0);

  path_mtu narrow = v4(1366);  // a LAN of 1280
  CHECK(search(narrow, 1500) == std::vector<std::uint16_t>{1280, 1366});
}

TEST_CASE("path mtu: what passed and passes no longer: back to 1280, and found anew") {
  path_mtu p = v4();
  search(p, 1500);
  p.on_failed(1500);
  CHECK(p.size() == 1280);
  CHECK(p.is() == state::base);
  CHECK(search(p, 1400).front() == 1280);
  CHECK(p.size() == 1400);
  p.on_failed(1400);
  CHECK(p.size() == 1280);
  p.on_failed(1280);
  CHECK(p.size() == 576);
  CHECK(search(p, 1000).front() == 900);
  CHECK(p.size() == 900);
  p.on_failed(900);
  CHECK(p.size() == 576);
  search(p, 800);
  CHECK(p.size() == 800);
}

TEST_CASE("path mtu: more is looked for 600 s after a search, not a moment before") {
  path_mtu p = v4();
  search(p, 1400);
  CHECK(p.candidate(start + 600s - 1ns) == 0);
  CHECK(p.is() == state::complete);
  CHECK(p.candidate(start + 600s) == 1500);
  CHECK(p.size() == 1400);
  search(p, 1400, start + 600s);
  CHECK(p.size() == 1400);
  CHECK(p.candidate(start + 1200s - 1ns) == 0);
  search(p, 1500, start + 1200s);
  CHECK(p.size() == 1500);

  path_mtu low = v4();
  search(low, 700);
  CHECK(low.size() == 700);
  search(low, 1500, start + 600s);
  CHECK(low.size() == 1500);
}

TEST_CASE("path mtu: an answer that comes late still counts") {
  path_mtu p = v4();
  search(p, 1400);
  p.on_passed(1492);
  CHECK(p.size() == 1492);
  p.on_passed(1400);
  CHECK(p.size() == 1492);
}
