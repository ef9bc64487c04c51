// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/base/super_frame.hpp>
#include <lanloom/core/staging.hpp>

#include <algorithm>

using lanloom::frame_headroom;
using lanloom::core::peer_id;
using lanloom::core::staging;

namespace {
std::vector<std::uint8_t> frame(std::size_t size, std::uint8_t fill = 0) { return std::vector(size, fill); }
}  // namespace

TEST_CASE("staging: frames come back in order, whole, with headroom, and only once") {
  staging waiting(3);
  CHECK(waiting.empty(peer_id{1}));
  for (std::uint8_t i = 0; i < 5; ++i) CHECK(waiting.push(peer_id{1}, frame(60U + i, i)) == 0);
  CHECK(waiting.push(peer_id{2}, frame(1514, 9)) == 0);
  CHECK_FALSE(waiting.empty(peer_id{1}));
  CHECK(waiting.empty(peer_id{0}));

  const auto frames = waiting.take(peer_id{1});
  REQUIRE(frames.size() == 5);
  for (std::uint8_t i = 0; i < 5; ++i) {
    REQUIRE(frames[i].size() == lanloom::frame_headroom + 60 + i);
    CHECK(std::all_of(frames[i].begin() + lanloom::frame_headroom, frames[i].end(), [&](auto b) { return b == i; }));
  }
  CHECK(waiting.empty(peer_id{1}));
  CHECK(waiting.take(peer_id{1}).empty());
  CHECK_FALSE(waiting.empty(peer_id{2}));
  CHECK(waiting.discard(peer_id{2}) == 1);
  CHECK(waiting.discard(peer_id{2}) == 0);
  CHECK(waiting.empty(peer_id{2}));
}

TEST_CASE("staging: 32 frames per peer, not 33, and the oldest goes") {
  staging waiting(2);
  for (std::size_t i = 0; i < 32; ++i) CHECK(waiting.push(peer_id{0}, frame(14 + i)) == 0);
  CHECK(waiting.push(peer_id{0}, frame(100)) == 1);
  CHECK(waiting.push(peer_id{1}, frame(14)) == 0);
  const auto taken = waiting.take(peer_id{0});
  REQUIRE(taken.size() == 32);
  CHECK(taken.front().size() == frame_headroom + 15);
  CHECK(taken.back().size() == frame_headroom + 100);
  CHECK(waiting.discard(peer_id{1}) == 1);
  CHECK(waiting.push(peer_id{0}, frame(14)) == 0);
}

TEST_CASE("staging: 256 KiB per peer, to the byte") {
  staging waiting(1);
  CHECK(waiting.push(peer_id{0}, frame(256 * 1024 + 1)) == 1);
  for (int i = 0; i < 3; ++i) CHECK(waiting.push(peer_id{0}, frame(65536)) == 0);
  CHECK(waiting.push(peer_id{0}, frame(65535)) == 0);
  CHECK(waiting.push(peer_id{0}, frame(1)) == 0);
  CHECK(waiting.push(peer_id{0}, frame(65537)) == 2);  // the oldest alone would not make room
  CHECK(waiting.push(peer_id{0}, frame(256 * 1024)) == 4);
  CHECK(waiting.take(peer_id{0}).size() == 1);
  CHECK(waiting.push(peer_id{0}, frame(256 * 1024)) == 0);
}

TEST_CASE("staging: 8 MiB in all, to the byte, and room again after take and discard") {
  staging waiting(40);
  for (std::uint16_t p = 0; p < 31; ++p) CHECK(waiting.push(peer_id{p}, frame(256 * 1024)) == 0);
  CHECK(waiting.push(peer_id{31}, frame(256 * 1024 - 1)) == 0);
  CHECK(waiting.push(peer_id{32}, frame(2)) == 1);
  CHECK(waiting.push(peer_id{32}, frame(1)) == 0);
  CHECK(waiting.push(peer_id{33}, frame(1)) == 1);
  CHECK(waiting.empty(peer_id{33}));

  CHECK(waiting.discard(peer_id{3}) == 1);
  CHECK(waiting.take(peer_id{4}).size() == 1);
  CHECK(waiting.push(peer_id{33}, frame(256 * 1024)) == 0);
  CHECK(waiting.push(peer_id{34}, frame(256 * 1024)) == 0);
  CHECK(waiting.push(peer_id{35}, frame(1)) == 1);
}
