// SPDX-License-Identifier: Apache-2.0
// Property: what a node writes to its TAP, cut by the kernel, is what the sending kernel would have cut, without what
// was lost on the way.
#include "core/trains.hpp"

#include <lanloom/core/runs.hpp>

#include <random>

using namespace lanloom;
using namespace lanloom::core;

namespace {

void check_train(lane_pair& p, const recipe& r, std::size_t size, std::size_t sent_size, unsigned lost,
                 std::mt19937* shuffle) {
  send_super(p.a, r, size);
  const auto all = p.a.datagrams();
  const auto segments = cut(r, make(r), sent_size);
  REQUIRE(all.size() == segments.size());
  std::vector<bytes> arriving;
  std::vector<bytes> expected;
  for (std::size_t k = 0; k < all.size(); ++k) {
    if (k < 32 && (lost >> k & 1U) != 0) continue;
    arriving.push_back(all[k]);
    expected.push_back(segments[k]);
  }
  if (shuffle != nullptr) std::shuffle(arriving.begin(), arriving.end(), *shuffle);
  p.b.out.clear();
  p.b.kept.clear();
  p.b.kept.reserve(arriving.size());
  arrive_together(p.b, arriving, p.a.at);
  REQUIRE(flatten(r, p.b) == expected);
}

std::size_t carried(const recipe& r) { return 1440 - 4 - r.headers(); }

}  // namespace

TEST_CASE("runs: every loss subset of a train, in order and out of order, gives its segments without the lost ones") {
  lane_pair p;
  std::mt19937 random(5);
  const std::array<tap_offloads, 3> taps{all_tap_offloads, {true, false, false, false}, {}};
  for (std::size_t count = 2; count <= 6; ++count) {
    for (unsigned lost = 0; lost < 1U << count; ++lost) {
      for (const tap_offloads& tap : taps) {
        const std::size_t size = 1 + random() % 600;
        const recipe r = wire::random_recipe(random, count, size);
        CAPTURE(r.seed);
        CAPTURE(lost);
        p.b.l.set_tap_offloads(tap);
        check_train(p, r, size, size, lost, random() % 2 == 0 ? &random : nullptr);
      }
    }
  }
  p.b.expect_only(drop::none);
}

TEST_CASE("runs: random super-frames of any length") {
  lane_pair p;
  p.measure_path();
  std::mt19937 random(6);
  for (int k = 0; k < 200; ++k) {
    const std::size_t size = 1 + random() % 1200;
    const recipe r = wire::random_recipe(random, 2 + random() % 400, size);
    if (r.headers() + r.payload > 65000) continue;
    CAPTURE(r.seed);
    check_train(p, r, size, size, static_cast<unsigned>(random() & random() & random()), nullptr);
  }
  p.a.expect_only(drop::none);
  p.b.expect_only(drop::none);
}

TEST_CASE("runs: TCP cut anew to the path, and single packets too large for it") {
  lane_pair p;
  p.measure_path();
  std::mt19937 random(7);
  for (int k = 0; k < 100; ++k) {
    recipe r = wire::random_recipe(random, 2 + random() % 40, 1350);
    r.tcp = true;
    if (1350 <= carried(r) || r.headers() + 1350 > 1522) continue;
    CAPTURE(r.seed);
    check_train(p, r, 1350, carried(r), 0, nullptr);
  }
  for (const bool partial : {true, false}) {
    recipe r;
    r.payload = 1440;
    p.a.send(make(r, partial), begun, partial ? meta_of(r, 0) : offload{});
    p.b.out.clear();
    p.b.kept.clear();
    p.b.kept.reserve(8);
    arrive_together(p.b, p.a.datagrams(), p.a.at);
    CHECK(p.b.out.frames().size() == 1);
    CHECK(flatten(r, p.b) == cut(r, make(r), carried(r)));
  }
  p.b.expect_only(drop::none);
}

TEST_CASE("runs: a whole train is one write, whichever way it comes; what is between trains stays between") {
  lane_pair p;
  recipe r;
  r.payload = 5000;
  send_super(p.a, r, 1000);
  p.a.send(frame_of(mac_b, mac_a, 100));
  send_super(p.a, r, 1000);
  auto all = p.a.datagrams();
  REQUIRE(all.size() == 11);
  p.b.kept.reserve(32);
  arrive_together(p.b, all, p.a.at);
  REQUIRE(p.b.out.frames().size() == 3);
  CHECK(p.b.out.frames()[0].meta.gso == gso_kind::tcp4);
  CHECK(p.b.out.frames()[1].meta == offload{});
  CHECK(p.b.out.frames()[2].slices.size() == 6);
  CHECK(p.b.l.tap().rx_frames == 3);
  CHECK(p.b.l.tap().rx_bytes == 2 * (r.headers() + 5000) + 100);

  // Two trains after another are two writes, though their counters follow each other.
  p.b.out.clear();
  send_super(p.a, r, 1000);
  send_super(p.a, r, 1000);
  arrive_together(p.b, p.a.datagrams(), p.a.at);
  CHECK(p.b.out.frames().size() == 2);
}

TEST_CASE("runs: DHCP and a TAP that takes whole frames only get complete checksums") {
  lane_pair p;
  recipe r;
  r.tcp = false;
  r.destination_port = 67;
  r.payload = 600;
  p.a.send(make(r, true), begun, meta_of(r, 0));
  p.pass();
  REQUIRE(p.b.out.frames().size() == 1);
  CHECK(p.b.out.frames()[0].meta == offload{});
  CHECK(p.b.frames()[0] == make(r));

  p.b.out.clear();
  r.destination_port = 5000;
  p.a.send(make(r, true), begun, meta_of(r, 0));
  p.pass();
  CHECK(p.b.out.frames()[0].meta.partial_checksum);
  p.b.out.clear();
  p.b.l.set_tap_offloads({});
  p.a.send(make(r, true), begun, meta_of(r, 0));
  p.pass();
  CHECK(p.b.frames() == std::vector<bytes>{make(r)});
}

TEST_CASE("runs: segments that are none") {
  const auto refused = [](bytes record, drop why, std::uint16_t mtu = 1500) {
    lane_pair p(mtu);
    p.record(record);
    CHECK(p.b.out.empty());
    p.b.expect_only(why);
  };
  recipe r;
  r.payload = 300;
  const bytes frame = make(r, true);
  const auto segment = [&](std::uint8_t first, std::uint8_t k, std::uint8_t n, std::size_t payload) {
    bytes plain{first, k, n, static_cast<std::uint8_t>(r.headers())};
    plain.insert(plain.end(), frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(r.headers() + payload));
    return plain;
  };
  refused(segment(0x21, 1, 3, 100), drop::bad_record);  // index above the counter, which is 0
  refused(segment(0x21, 0, 2, 100), drop::bad_record);  // three, not two
  refused(segment(0x24, 0, 3, 100), drop::bad_record);  // not IPv6
  refused(segment(0x20, 0, 1, 299), drop::bad_record);  // shorter than its IP header says
  refused(segment(0x21, 0, 3, 100), drop::long_frame, 100);
  bytes own = segment(0x21, 0, 3, 100);
  own[4 + 6] = 0x03;  // a group address as source
  refused(own, drop::bad_source);
  lane_pair p;
  p.record(segment(0x21, 0, 3, 100));
  CHECK(p.b.out.frames().size() == 1);
  p.record(segment(0x21, 1, 3, 100));
  p.b.expect_only(drop::none);
}

TEST_CASE("runs: more segments than are kept are still all delivered, and a full outbox is counted per segment") {
  lane_pair p;
  recipe r;
  r.payload = 60000;
  send_super(p.a, r, 100);
  auto all = p.a.datagrams();
  REQUIRE(all.size() == 600);
  p.b.kept.reserve(2000);
  arrive_together(p.b, all, p.a.at);
  CHECK(flatten(r, p.b) == cut(r, make(r), 100));

  p.b.out.clear();
  const bytes_view none;
  while (p.b.out.push_frame({}, std::span(&none, 1))) {
  }
  send_super(p.a, r, 1000);
  arrive_together(p.b, p.a.datagrams(), p.a.at);
  p.b.expect_only(drop::outbox_full, 60);
}
