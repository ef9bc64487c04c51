// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/base/super_frame.hpp>
#include <lanloom/core/staging.hpp>

#include <algorithm>

using lanloom::frame_headroom;
using lanloom::core::peer_id;
using lanloom::core::staging;

namespace {
// Returns what staging returns: how many frames were lost.
std::size_t push(staging& to, peer_id peer, std::size_t size, std::uint8_t fill = 0,
                 const lanloom::offload& meta = {}) {
  std::vector<std::uint8_t> bytes(size, fill);
  return to.push(peer, {bytes, meta});
}
}  // namespace

TEST_CASE("staging: frames come back in order, whole, with headroom, and only once") {
  staging waiting(3);
  CHECK(waiting.empty(peer_id{1}));
  for (std::uint8_t i = 0; i < 5; ++i) CHECK(push(waiting, peer_id{1}, 60U + i, i) == 0);
  CHECK(push(waiting, peer_id{2}, 1514, 9) == 0);
  CHECK_FALSE(waiting.empty(peer_id{1}));
  CHECK(waiting.empty(peer_id{0}));

  const auto frames = waiting.take(peer_id{1});
  REQUIRE(frames.size() == 5);
  for (std::uint8_t i = 0; i < 5; ++i) {
    REQUIRE(frames[i].bytes.size() == lanloom::frame_headroom + 60 + i);
    CHECK(std::all_of(frames[i].bytes.begin() + lanloom::frame_headroom, frames[i].bytes.end(),
                      [&](auto b) { return b == i; }));
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
  for (std::size_t i = 0; i < 32; ++i) CHECK(push(waiting, peer_id{0}, 14 + i) == 0);
  CHECK(push(waiting, peer_id{0}, 100) == 1);
  CHECK(push(waiting, peer_id{1}, 14) == 0);
  const auto taken = waiting.take(peer_id{0});
  REQUIRE(taken.size() == 32);
  CHECK(taken.front().bytes.size() == frame_headroom + 15);
  CHECK(taken.back().bytes.size() == frame_headroom + 100);
  CHECK(waiting.discard(peer_id{1}) == 1);
  CHECK(push(waiting, peer_id{0}, 14) == 0);
}

TEST_CASE("staging: 256 KiB per peer, to the byte") {
  staging waiting(1);
  CHECK(push(waiting, peer_id{0}, 256 * 1024 + 1) == 1);
  for (int i = 0; i < 3; ++i) CHECK(push(waiting, peer_id{0}, 65536) == 0);
  CHECK(push(waiting, peer_id{0}, 65535) == 0);
  CHECK(push(waiting, peer_id{0}, 1) == 0);
  CHECK(push(waiting, peer_id{0}, 65537) == 2);  // the oldest alone would not make room
  CHECK(push(waiting, peer_id{0}, 256 * 1024) == 4);
  CHECK(waiting.take(peer_id{0}).size() == 1);
  CHECK(push(waiting, peer_id{0}, 256 * 1024) == 0);
}

TEST_CASE("staging: 8 MiB in all, to the byte, and room again after take and discard") {
  staging waiting(40);
  for (std::uint16_t p = 0; p < 31; ++p) CHECK(push(waiting, peer_id{p}, 256 * 1024) == 0);
  CHECK(push(waiting, peer_id{31}, 256 * 1024 - 1) == 0);
  CHECK(push(waiting, peer_id{32}, 2) == 1);
  CHECK(push(waiting, peer_id{32}, 1) == 0);
  CHECK(push(waiting, peer_id{33}, 1) == 1);
  CHECK(waiting.empty(peer_id{33}));

  CHECK(waiting.discard(peer_id{3}) == 1);
  CHECK(waiting.take(peer_id{4}).size() == 1);
  CHECK(push(waiting, peer_id{33}, 256 * 1024) == 0);
  CHECK(push(waiting, peer_id{34}, 256 * 1024) == 0);
  CHECK(push(waiting, peer_id{35}, 1) == 1);
}

TEST_CASE("staging: what the kernel left to do stays with its frame") {
  staging waiting(1);
  lanloom::offload meta;
  meta.gso = lanloom::gso_kind::tcp6;
  meta.segment_size = 1400;
  CHECK(push(waiting, peer_id{0}, 60000, 1, meta) == 0);
  CHECK(push(waiting, peer_id{0}, 60, 2) == 0);
  const auto taken = waiting.take(peer_id{0});
  REQUIRE(taken.size() == 2);
  CHECK(taken[0].meta == meta);
  CHECK(taken[1].meta == lanloom::offload{});
}
