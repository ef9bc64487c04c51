// SPDX-License-Identifier: Apache-2.0
// Property: what a node writes to its TAP, cut by the kernel, is what the sending kernel would have cut, without what
// was lost on the way.
#include "core/trains.hpp"

#include <lanloom/core/runs.hpp>

#include <random>

using namespace lanloom;
using namespace lanloom::core;

namespace {

// With `shuffle` in any order, and every second datagram twice. Returns how many came twice.
std::size_t check_train(lane_pair& p, const recipe& r, std::size_t size, std::size_t sent_size, unsigned lost,
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
  const std::size_t once = arriving.size();
  if (shuffle != nullptr) {
    for (std::size_t k = 0; k < once; k += 2) arriving.push_back(arriving[k]);
    std::shuffle(arriving.begin(), arriving.end(), *shuffle);
  }
  p.b.out.clear();
  p.b.kept.clear();
  p.b.kept.reserve(arriving.size());
  arrive_together(p.b, arriving, p.a.at);
  REQUIRE(flatten(r, p.b) == expected);
  return arriving.size() - once;
}

std::size_t carried(const recipe& r) { return 1440 - 4 - r.headers(); }

// A packet of `r` that is number `k` of what one socket sends; with a payload of its own.
bytes numbered(const recipe& r, std::size_t k, bool partial) {
  recipe one = r;
  one.id = static_cast<std::uint16_t>(r.id + k);
  one.seed = r.seed + static_cast<std::uint32_t>(k);
  return make(one, partial);
}

// One packet, its checksum open or complete; what becomes of it arrives in one batch.
void cross_alone(lane_pair& p, const recipe& r, bool partial) {
  p.a.send(make(r, partial), begun, partial ? meta_of(r, 0) : offload{});
  p.b.out.clear();
  p.b.kept.clear();
  p.b.kept.reserve(8);
  arrive_together(p.b, p.a.datagrams(), p.a.at);
}

// Single packets in one batch. Returns how many frames were written to the other TAP.
std::size_t arrive_singly(lane_pair& p, const recipe& r, const std::vector<bytes>& packets) {
  p.a.out.clear();
  for (const bytes& packet : packets) p.a.send(packet, begun, meta_of(r, 0));
  p.b.out.clear();
  p.b.kept.clear();
  p.b.kept.reserve(packets.size());
  arrive_together(p.b, p.a.datagrams(), p.a.at);
  return p.b.out.frames().size();
}

recipe udp_recipe(std::size_t payload) {
  recipe r;
  r.tcp = false;
  r.payload = payload;
  return r;
}
}  // namespace

TEST_CASE("runs: every loss subset of a train, in order or not and partly twice, gives its segments without the lost") {
  lane_pair p;
  std::size_t twice = 0;
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
        twice += check_train(p, r, size, size, lost, random() % 2 == 0 ? &random : nullptr);
      }
    }
  }
  p.b.expect_only(drop::replayed, twice);
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
    cross_alone(p, r, partial);
    CHECK(p.b.out.frames().size() == 1);
    CHECK(flatten(r, p.b) == cut(r, make(r), carried(r)));
  }
  p.b.expect_only(drop::none);
}

TEST_CASE("runs: a single packet with CWR is never cut, as each segment would need it or none") {
  lane_pair p;
  p.measure_path();
  for (const bool partial : {true, false}) {
    recipe r;
    r.payload = 1440;
    r.flags = 0x90;
    cross_alone(p, r, partial);
    CHECK(flatten(r, p.b) == std::vector<bytes>{make(r)});
  }
  p.b.expect_only(drop::none);
}

TEST_CASE("runs: at a rekey within a batch, what came first is written first") {
  lane_pair p;
  for (std::uint32_t rekey = 1; rekey <= 16; ++rekey) {  // session ids are random
    recipe r;
    r.payload = 800;
    r.seed = 2 * rekey;
    const bytes before = make(r);
    send_super(p.a, r, 400);
    auto batch = p.a.datagrams();

    const session_id old_a = p.a.id, old_b = p.b.id;
    p.a.id = p.a.l.reserve({}, p.a.source);
    p.b.id = p.b.l.reserve({}, p.b.source);
    lane_pair::install(p.a, p.b.id, true, 1, 2);
    lane_pair::install(p.b, p.a.id, false, 2, 1);
    r.seed = 2 * rekey + 1;
    send_super(p.a, r, 400);
    for (bytes& d : p.a.datagrams()) batch.push_back(std::move(d));

    p.b.out.clear();
    p.b.kept.clear();
    p.b.kept.reserve(batch.size());
    arrive_together(p.b, std::move(batch), p.a.at);
    const auto frames = p.b.frames();
    REQUIRE(frames.size() == 2);
    CHECK(std::equal(frames[0].begin() + 54, frames[0].end(), before.begin() + 54));
    const bytes after = make(r);
    CHECK(std::equal(frames[1].begin() + 54, frames[1].end(), after.begin() + 54));
    p.a.l.release(old_a);
    p.b.l.release(old_b);
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

TEST_CASE("runs: UDP packets that one socket sends to one host are one write, and come out as they went in") {
  lane_pair p;
  p.measure_path();
  std::mt19937 random(8);
  const std::array<tap_offloads, 3> taps{all_tap_offloads, {true, true, true, false}, {}};
  for (int round = 0; round < 300; ++round) {
    const std::size_t size = 600 + random() % 700;
    const std::size_t count = 2 + random() % 70;
    recipe r = wire::random_recipe(random, 1, size);
    r.tcp = false;
    r.tcp_options = 0;
    r.ip_options = 0;
    CAPTURE(r.seed);
    std::vector<bytes> sent;
    std::vector<bytes> expected;
    for (std::size_t k = 0; k < count; ++k) {
      r.payload = k + 1 < count ? size : 500 + random() % (size - 499);
      sent.push_back(numbered(r, k, true));
      expected.push_back(numbered(r, k, false));
    }
    const tap_offloads& tap = taps[random() % taps.size()];
    p.b.l.set_tap_offloads(tap);
    const std::uint64_t before = p.b.l.tap().rx_frames;
    const std::uint64_t bytes_before = p.b.l.tap().rx_bytes;
    const std::size_t written = arrive_singly(p, r, sent);
    const std::size_t most = std::min<std::size_t>(64, (65535 - 28) / size);
    CHECK(written <= (tap.udp ? count / most + 2 : count));
    CHECK(written >= (tap.udp ? 1 : count));
    CHECK(flatten(r, p.b) == expected);
    CHECK(p.b.l.tap().rx_frames - before == count);
    std::size_t all = 0;
    for (const bytes& one : sent) all += one.size();
    CHECK(p.b.l.tap().rx_bytes - bytes_before == all);
  }
  p.b.expect_only(drop::none);
}

TEST_CASE("runs: UDP packets that no cutting would give are not joined") {
  const recipe r = udp_recipe(600);
  const auto parts = [&](auto&& change) {
    lane_pair p;
    std::vector<bytes> sent;
    std::vector<bytes> expected;
    for (std::size_t k = 0; k < 4; ++k) {
      recipe one = r;
      change(k, one);
      sent.push_back(numbered(one, k, true));
      expected.push_back(numbered(one, k, false));
    }
    const std::size_t written = arrive_singly(p, r, sent);
    CHECK(flatten(r, p.b) == expected);
    p.b.expect_only(drop::none);
    return written;
  };
  CHECK(parts([](std::size_t, recipe&) {}) == 1);
  CHECK(parts([](std::size_t k, recipe& one) { one.id = static_cast<std::uint16_t>(one.id - k); }) == 4);
  CHECK(parts([](std::size_t k, recipe& one) { one.source_port = static_cast<std::uint16_t>(k % 2); }) == 4);
  CHECK(parts([](std::size_t k, recipe& one) { one.dont_fragment = k != 2; }) == 3);
  CHECK(parts([](std::size_t k, recipe& one) { one.payload = k == 1 ? 599 : 600; }) == 2);
  CHECK(parts([](std::size_t k, recipe& one) { one.payload = k == 1 ? 601 : 600; }) == 3);
  CHECK(parts([](std::size_t, recipe& one) { one.destination_port = 67; }) == 4);
}

TEST_CASE("runs: what is wrong in a UDP packet stays wrong") {
  recipe r = udp_recipe(600);
  const auto written = [&](std::size_t which, std::size_t at, std::size_t length = 0) {
    lane_pair p;
    std::vector<bytes> sent;
    for (std::size_t k = 0; k < 3; ++k) sent.push_back(numbered(r, k, true));
    sent[which][at] ^= 1U;
    sent[which].resize(sent[which].size() + length);
    const std::size_t frames = arrive_singly(p, r, sent);
    const auto arrived = p.b.frames();
    const bool there = std::find(arrived.begin(), arrived.end(), sent[which]) != arrived.end();
    CHECK(there);
    return frames;
  };
  CHECK(written(0, r.ip_at() + 11) == 2);  // header checksum
  CHECK(written(2, r.ip_at() + 11) == 2);
  CHECK(written(1, r.field_at() + 1) == 3);      // pseudo-header sum
  CHECK(written(1, r.transport_at() + 5) == 3);  // UDP length
  CHECK(written(1, 0) == 3);                     // a group
  CHECK(written(1, r.headers(), 3) == 3);        // bytes behind the end of the packet
}

TEST_CASE("runs: a lost packet, one of another kind, and another peer end a joined run") {
  lane_pair p;
  const recipe r = udp_recipe(600);
  for (std::size_t k = 0; k < 6; ++k) p.a.send(numbered(r, k, true), begun, meta_of(r, 0));
  auto all = p.a.datagrams();
  REQUIRE(all.size() == 6);
  all.erase(all.begin() + 2);
  p.b.kept.reserve(16);
  arrive_together(p.b, all, p.a.at);
  CHECK(p.b.out.frames().size() == 2);
  p.b.out.clear();
  p.a.send(numbered(r, 6, true), begun, meta_of(r, 0));
  p.a.send(frame_of(mac_b, mac_a, 100));
  p.a.send(numbered(r, 7, true), begun, meta_of(r, 0));
  arrive_together(p.b, p.a.datagrams(), p.a.at);
  CHECK(p.b.out.frames().size() == 3);
}
