// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/guard.hpp>

#include <set>

#include "core/trains.hpp"

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;

namespace {

constexpr std::array<std::uint8_t, 16> our_network{1, 2, 3};
constexpr time_point open = begun + loop_guard::hold;

crypto::public_key key(std::uint8_t fill) {
  crypto::public_key k;
  k.bytes.fill(fill);
  return k;
}

guard make(std::uint8_t own = 5, const std::array<std::uint8_t, 16>& network = our_network) {
  return {network, key(own), std::array{key(1)}, 4711, begun};
}

bytes probe_of(std::uint8_t sender, const std::array<std::uint8_t, 16>& network = our_network) {
  bytes frame(wire::probe_size);
  wire::format_probe(std::span<std::uint8_t, wire::probe_size>(frame.data(), frame.size()), mac_b,
                     {network, key(sender).bytes, 4711, false});
  return frame;
}

// Lane a with a guard whose one peer is b; both keys as bytes, so that either is the greater.
lane_pair guarded(std::uint8_t own_key = 5, std::uint8_t peer_key = 1) {
  lane_pair p;
  p.a.l.set_guard(std::make_unique<guard>(our_network, key(own_key), std::array{key(peer_key)}, 4711, begun));
  return p;
}

}  // namespace

TEST_CASE("guard: frames stop while it blocks, and only then") {
  guard g = make();
  const bytes frame = frame_of(broadcast, mac_a);
  CHECK(g.stops_leaving(frame, begun) == drop::blocked);
  CHECK(g.stops_entering({}, frame, begun) == drop::blocked);
  CHECK_FALSE(g.stops_leaving(frame, open));
  CHECK_FALSE(g.stops_entering({}, frame, open));
  CHECK(g.stops_leaving(probe_of(1), open) == drop::none);
  CHECK(g.stops_leaving(frame, open) == drop::blocked);
  CHECK(g.stops_entering({}, frame, open) == drop::blocked);
}

TEST_CASE("guard: probes of our network cross in neither direction, blocked or not; others' do") {
  guard g = make();
  auto other = our_network;
  other[0] = 9;
  CHECK_FALSE(g.stops_leaving(probe_of(1, other), open));
  CHECK_FALSE(g.stops_entering({}, probe_of(1, other), open));
  CHECK(g.stops_entering({}, probe_of(1), open) == drop::stray_probe);
  CHECK_FALSE(g.loops().blocks(open));
  CHECK(g.stops_leaving(probe_of(77), open) == drop::stray_probe);
  CHECK(g.stops_leaving(probe_of(1), open) == drop::none);
  CHECK(g.stops_leaving(probe_of(1), open) == drop::none);
  CHECK(g.stops_entering({}, probe_of(5), open) == drop::stray_probe);
  CHECK(g.stops_leaving(probe_of(1, other), open) == drop::blocked);
}

TEST_CASE("guard: its probes come from an address that no other node and no other network has") {
  std::set<wire::mac_address> sources;
  auto other = our_network;
  other[0] = 9;
  for (std::uint8_t k = 1; k < 100; ++k) {
    for (const auto& network : {our_network, other}) {
      bytes frame(wire::probe_size);
      make(k, network).format_probe(std::span<std::uint8_t, wire::probe_size>(frame.data(), frame.size()), open);
      const auto header = wire::parse_ethernet(frame);
      REQUIRE(header);
      CHECK(header->source.bytes[0] == 0x02);
      CHECK(sources.insert(header->source).second);
      CHECK(wire::parse_probe(frame)->sender == key(k).bytes);
    }
  }
}

TEST_CASE("guard: in a lane, probes are written by the timer and wake it") {
  lane_pair p = guarded();
  CHECK(p.a.l.wake() == begun);
  CHECK(p.b.l.wake() > begun + 1h);
  p.a.l.on_timer(begun, p.a.out);
  const auto written = p.a.frames();
  REQUIRE(written.size() == 1);
  CHECK(wire::parse_probe(written[0])->sender == key(5).bytes);
  CHECK(wire::parse_probe(written[0])->closed);
  CHECK(p.a.l.wake() == begun + loop_guard::probe_every);
  p.b.l.on_timer(begun, p.b.out);
  CHECK(p.b.frames().empty());
}

TEST_CASE("guard: in a lane, what it stops is counted, changes no table, and is not sent or written") {
  lane_pair p = guarded();
  const time_point later = open + 5s;
  p.a.send(probe_of(1), later);
  CHECK(p.a.l.drops() == drop_counters{});
  CHECK(p.a.l.table().size(later) == 0);
  p.a.send(frame_of(broadcast, mac_a), later);
  CHECK(p.a.datagrams().empty());
  p.a.expect_only(drop::blocked, 1);
  p.b.send(frame_of(broadcast, mac_b), later);
  for (bytes& d : p.b.datagrams()) p.a.arrive(std::move(d), p.b.at, later);
  CHECK(p.a.frames().empty());
  p.a.expect_only(drop::blocked, 2);
  CHECK(p.a.l.table().size(later) == 0);
  CHECK(p.a.l.of({}).last_received == later);  // the session lives
}

TEST_CASE("guard: in a lane, what is known of ways and what waits for them is forgotten together") {
  lane_pair p = guarded();
  const time_point later = open + 5s;
  p.b.send(frame_of(broadcast, mac_b), later);
  for (bytes& d : p.b.datagrams()) p.a.arrive(std::move(d), p.b.at, later);
  p.a.send(frame_of(mac_b, mac_a), later);
  CHECK(p.a.l.table().size(later) == 2);
  p.a.l.set_sending({}, {});
  p.a.send(frame_of(mac_b, mac_a), later);
  p.a.l.forget_ways();
  CHECK(p.a.l.table().size(later) == 0);
  p.a.expect_only(drop::blocked, 1);
  CHECK_FALSE(p.a.l.send_staged({}, later, p.a.out));
}

TEST_CASE("lane: a peer may have its addresses forgotten, with a guard also ours, and not too often") {
  for (const bool has_guard : {false, true}) {
    CAPTURE(has_guard);
    lane_pair p;
    if (has_guard) {
      p.b.l.set_guard(std::make_unique<guard>(our_network, key(5), std::array{key(9)}, 4711, begun));
    }
    const time_point later = open + 5s;
    const bytes record{0x40, 0x04};
    const auto learn = [&] {
      p.a.send(frame_of(broadcast, mac_a), later);
      p.pass(later);
      p.b.send(frame_of(broadcast, mac_b), later);
      p.b.out.clear();
      p.a.out.clear();
      return p.b.l.table().size(later);
    };
    REQUIRE(learn() == 2);
    for (unsigned k = 0; k < lane::forget_rate.burst; ++k) {
      p.record(record, later);
      CHECK(p.b.l.table().size(later) == (has_guard ? 0 : 1));
      REQUIRE(learn() == 2);
    }
    p.record(record, later);
    CHECK(p.b.l.table().size(later) == 2);
    p.b.expect_only(drop::storm_limited, 1);
  }
}

TEST_CASE("guard: in a lane, floods either way meet the storm limit, known unicast does not") {
  lane_pair p = guarded();
  const time_point later = open + 5s;
  const auto from_b = [&](const bytes& frame) {
    p.b.send(frame, later);
    for (bytes& d : p.b.datagrams()) p.a.arrive(std::move(d), p.b.at, later);
    const std::size_t written = p.a.frames().size();
    p.a.out.clear();
    return written == 1;
  };
  p.b.l.on_timer(later, p.b.out);
  REQUIRE(from_b(frame_of(broadcast, mac_b)));
  for (unsigned k = 0; k < storm_limit::out.burst; ++k) {
    p.a.send(frame_of(k % 2 == 0 ? broadcast : wire::mac_address{{2, 9, 9, 9, 9, 9}}, mac_a), later);
    REQUIRE(p.a.datagrams().size() == 1);
  }
  p.a.send(frame_of(broadcast, mac_a), later);
  p.a.send(frame_of({{2, 9, 9, 9, 9, 9}}, mac_a), later);
  CHECK(p.a.datagrams().empty());
  p.a.expect_only(drop::storm_limited, 2);
  p.a.send(frame_of(mac_b, mac_a), later);
  CHECK(p.a.datagrams().size() == 1);

  for (unsigned k = 1; k < storm_limit::in.burst; ++k) {
    REQUIRE(from_b(frame_of(k % 2 == 0 ? broadcast : wire::mac_address{{2, 9, 9, 9, 9, 9}}, mac_b)));
  }
  CHECK_FALSE(from_b(frame_of(broadcast, mac_b)));
  CHECK_FALSE(from_b(frame_of({{2, 9, 9, 9, 9, 9}}, mac_b)));
  p.a.expect_only(drop::storm_limited, 4);
  CHECK(from_b(frame_of(mac_a, mac_b)));
}

TEST_CASE("guard: of a train the storm limit counts each packet, either way, and lets pass all of it or nothing") {
  recipe r;
  r.tcp = false;
  r.payload = 128 * 8;
  bytes frame = make(r, true);
  std::copy_n(broadcast.bytes.begin(), 6, frame.begin());
  lane_pair p = guarded();
  for (unsigned k = 0; k < 20; ++k) p.b.send(frame, open, meta_of(r, 8));
  REQUIRE(p.b.out.trains().size() == 1);
  for (const auto& train : p.b.out.trains()) {
    bytes& kept = p.a.kept.emplace_back(train.bytes.begin(), train.bytes.end());  // delivered frames borrow it
    p.a.arrive_train({kept, train.stride}, p.b.at, open);
  }
  CHECK(p.a.frames().size() == storm_limit::in.burst / 128 * 2);  // the TAP takes 64 packets at once
  p.a.expect_only(drop::storm_limited, (20 - storm_limit::in.burst / 128) * 128);

  lane_pair q = guarded();
  std::size_t left = 0;
  for (unsigned k = 0; k < 20; ++k) {
    q.a.send(frame, open, meta_of(r, 8));
    left += q.a.datagrams().size();
  }
  CHECK(left == storm_limit::out.burst / 128 * 128);
  q.a.expect_only(drop::storm_limited, 20 - storm_limit::out.burst / 128);
}
