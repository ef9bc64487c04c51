// SPDX-License-Identifier: Apache-2.0
#include "core/lane_pair.hpp"
#include "core/trains.hpp"

using namespace lanloom;
using namespace lanloom::core;

namespace {

// Frames sent in one drain, and what arrives when it has ended.
void drain(lane_pair& p, const std::vector<bytes>& frames) {
  for (const bytes& f : frames) p.a.send(f, begun, {}, true);
  p.a.l.end_drain(begun, p.a.out);
}

std::vector<bytes> numbered(std::size_t count, std::size_t size) {
  std::vector<bytes> all;
  for (std::size_t k = 0; k < count; ++k) {
    all.push_back(frame_of(mac_b, mac_a, size));
    all.back().back() = static_cast<std::uint8_t>(k);
  }
  return all;
}

}  // namespace

TEST_CASE("packs: small frames of one drain share datagrams, in order; nothing waits for the next drain") {
  lane_pair p;
  p.measure_path();
  const auto frames = numbered(30, 100);
  for (const bytes& f : frames) p.a.send(f, begun, {}, true);
  p.a.l.end_drain(begun, p.a.out);
  const auto datagrams = p.a.datagrams();
  // 1440 bytes hold the kind and 14 frames with their lengths.
  REQUIRE(datagrams.size() == 3);
  CHECK(datagrams[0].size() == 1 + 14 * 102 + wire::data_overhead);
  CHECK(datagrams[1].size() == datagrams[0].size());
  p.b.kept.reserve(8);
  arrive_together(p.b, datagrams, p.a.at);
  CHECK(p.b.frames() == frames);
  CHECK(p.a.l.of({}).counters.tx_frames == 1 + 30);
  CHECK(p.a.l.of({}).counters.tx_bytes == 60 + 3000);
  p.a.l.end_drain(begun, p.a.out);
  CHECK(p.a.out.empty());
  p.a.send(frames[0]);  // alone
  CHECK(p.a.datagrams().size() == 1);
}

TEST_CASE("packs: what is not small is sent at once, behind the small ones before it") {
  lane_pair p;
  std::vector<bytes> frames = numbered(3, packs::small_frame);
  frames.insert(frames.begin() + 1, frame_of(mac_b, mac_a, packs::small_frame + 1));
  drain(p, frames);
  const auto datagrams = p.a.datagrams();
  CHECK(datagrams.size() == 3);
  p.b.kept.reserve(8);
  arrive_together(p.b, datagrams, p.a.at);
  CHECK(p.b.frames() == frames);

  recipe r;
  r.payload = 3000;
  p.b.out.clear();
  p.a.send(frames[0], begun, {}, true);
  p.a.send(make(r, true), begun, meta_of(r, 1000), true);
  p.a.send(frames[2], begun, {}, true);
  p.a.l.end_drain(begun, p.a.out);
  p.b.kept.clear();
  arrive_together(p.b, p.a.datagrams(), p.a.at);
  REQUIRE(p.b.out.frames().size() == 3);
  CHECK(p.b.out.frames()[1].meta.gso == gso_kind::tcp4);
}

TEST_CASE("packs: four peers at once, and a fifth") {
  side a(1, 1500, 6);
  for (std::uint16_t k = 0; k < 6; ++k) {
    const auto id = a.l.reserve({k}, a.source);
    a.l.set_remote({k}, endpoint::v4({192, 0, 2, static_cast<std::uint8_t>(100 + k)}, 4780));
    crypto::secret<32> key;
    a.l.install(std::make_unique<session>(session::identity{{k}, id, 1, true, 1500, begun},
                                          crypto::aead_key(crypto::suite::chacha20_poly1305, key),
                                          crypto::aead_key(crypto::suite::chacha20_poly1305, key)));
    a.l.set_sending({k}, id);
  }
  const bytes frame = frame_of(broadcast, mac_a, 60);
  a.send(frame, begun, {}, true);
  CHECK(a.out.trains().size() == 2);  // of six peers, two had to make room
  a.l.end_drain(begun, a.out);
  std::vector<std::uint16_t> reached;
  for (const auto& t : a.out.trains()) reached.push_back(t.peer.value);
  std::sort(reached.begin(), reached.end());
  CHECK(reached == std::vector<std::uint16_t>{0, 1, 2, 3, 4, 5});
}

TEST_CASE("packs: a full outbox and a session that ends are counted per frame") {
  lane_pair p;
  for (const bytes& f : numbered(3, 60)) p.a.send(f, begun, {}, true);
  static_cast<void>(p.a.out.room(outbox::min_arena));
  static_cast<void>(p.a.out.keep(outbox::min_arena - 20));
  p.a.l.end_drain(begun, p.a.out);
  p.a.expect_only(drop::outbox_full, 3);

  lane_pair q;
  for (const bytes& f : numbered(4, 60)) q.a.send(f, begun, {}, true);
  q.a.l.end_drain(begun + session::send_until, q.a.out);
  q.a.expect_only(drop::no_session, 4);
}
