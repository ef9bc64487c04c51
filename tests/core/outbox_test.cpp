// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/outbox.hpp>

#include <array>

using namespace lanloom;
using namespace lanloom::core;

namespace {
const endpoint somewhere = endpoint::v4({192, 0, 2, 1}, 4780);
}

TEST_CASE("outbox: what is pushed is there, in order, until it is cleared") {
  outbox out;
  CHECK(out.empty());
  const bytes_span first = out.room(100);
  REQUIRE(first.size() == 100);
  CHECK(out.room(100).data() == first.data());  // the same room until it is pushed
  first[0] = 1;
  out.push_train(somewhere, peer_id{3}, 90, 50);
  const bytes_span second = out.room(10);
  CHECK(second.data() == first.data() + 90);
  out.push_train(somewhere, peer_id{4}, 10, 10);
  REQUIRE(out.trains().size() == 2);
  CHECK(out.trains()[0].bytes.size() == 90);
  CHECK(out.trains()[0].stride == 50);
  CHECK(out.trains()[0].peer == peer_id{3});
  CHECK(out.trains()[0].bytes[0] == 1);
  CHECK(out.trains()[1].to == somewhere);
  CHECK_FALSE(out.empty());
  out.clear();
  CHECK(out.empty());
  CHECK(out.room(1).data() == first.data());
}

TEST_CASE("outbox: the arena is full to the byte") {
  outbox out;
  CHECK(out.room(outbox::min_arena + 1).empty());
  REQUIRE(out.room(outbox::min_arena).size() == outbox::min_arena);
  out.push_train(somewhere, {}, outbox::min_arena - 10, 1000);
  CHECK(out.room(11).empty());
  CHECK(out.keep(10).size() == 10);
  CHECK(out.room(1).empty());
}

TEST_CASE("outbox: no more trains, slices or notices than are kept") {
  outbox out;
  for (std::size_t k = 0; k < outbox::max_trains; ++k) {
    REQUIRE(out.room(1).size() == 1);
    out.push_train(somewhere, peer_id{static_cast<std::uint16_t>(k)}, 1, 1);
  }
  CHECK(out.room(1).empty());
  CHECK(out.trains().size() == outbox::max_trains);

  const std::array<std::uint8_t, 3> bytes{1, 2, 3};
  const std::array<bytes_view, 3> slices{bytes_view(bytes).first(1), bytes_view(bytes).first(2), bytes_view(bytes)};
  for (std::size_t k = 0; k < outbox::max_slices / 3; ++k) REQUIRE(out.push_frame({}, slices));
  CHECK_FALSE(out.push_frame({}, slices));
  CHECK(out.push_frame({}, std::span(slices).first(2)));
  CHECK_FALSE(out.push_frame({}, std::span(slices).first(1)));
  for (const auto& f : out.frames().first(100)) {
    REQUIRE(f.slices.size() == 3);
    CHECK(f.slices[2].data() == bytes.data());
  }

  for (std::size_t k = 0; k < outbox::max_notices + 5; ++k) out.push_notice(outbox::notice::kind::lost, {}, somewhere);
  CHECK(out.notices().size() == outbox::max_notices);
  out.clear();
  CHECK(out.empty());
  CHECK(out.push_frame({}, slices));
}

TEST_CASE("outbox: it says when to carry things out, long before it is full") {
  outbox out;
  CHECK_FALSE(out.is_filling());
  REQUIRE(!out.room(outbox::warm_bytes + 1).empty());
  out.push_train(somewhere, {}, outbox::warm_bytes, 1000);
  CHECK_FALSE(out.is_filling());
  static_cast<void>(out.keep(1));
  CHECK(out.is_filling());
  out.clear();
  for (std::size_t k = 0; k <= outbox::max_trains / 2; ++k) {
    CHECK_FALSE(out.is_filling());
    REQUIRE(!out.room(1).empty());
    out.push_train(somewhere, peer_id{static_cast<std::uint16_t>(k)}, 1, 1);
  }
  CHECK(out.is_filling());
}

TEST_CASE("outbox: datagrams of one size to one place are one train, and a shorter one ends it") {
  outbox out;
  const endpoint elsewhere = endpoint::v4({192, 0, 2, 9}, 1);
  const auto push = [&](std::size_t size, std::size_t stride, const endpoint& to = somewhere, peer_id peer = {}) {
    REQUIRE(!out.room(size).empty());
    out.push_train(to, peer, size, stride);
    return out.trains().size();
  };
  CHECK(push(100, 100) == 1);
  CHECK(push(100, 100) == 1);
  CHECK(push(300, 100) == 1);
  CHECK(push(250, 100) == 1);
  CHECK(out.trains()[0].bytes.size() == 750);
  CHECK(out.trains()[0].stride == 100);
  CHECK(push(100, 100) == 2);  // behind the shorter one
  CHECK(push(40, 100) == 2);
  CHECK(push(40, 40) == 3);
  CHECK(push(41, 41) == 4);
  CHECK(push(90, 45) == 5);
  CHECK(push(90, 30) == 6);
  CHECK(push(30, 30, elsewhere) == 7);
  CHECK(push(30, 30, elsewhere, peer_id{1}) == 8);
  REQUIRE(!out.room(10).empty());
  static_cast<void>(out.keep(10));
  CHECK(push(30, 30, elsewhere, peer_id{1}) == 9);  // something lies between
}
