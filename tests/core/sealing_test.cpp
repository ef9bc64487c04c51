// SPDX-License-Identifier: Apache-2.0
#include "core/trains.hpp"

#include <lanloom/core/sealing.hpp>

#include <random>

using namespace lanloom;
using namespace lanloom::core;

namespace {

constexpr std::size_t room = 1440;  // of a path of 1500 over IPv4

// One session that seals for itself.
struct bench {
  bench() { crypto::initialise(); }
  drop seal(outgoing& frame, std::size_t with_room) {
    sealing s(one, to, with_room, out, bytes_span(scratch).subspan(frame_headroom));
    return s.seal(frame);
  }
  // Plaintexts of all datagrams in the outbox.
  std::vector<bytes> records() {
    std::vector<bytes> all;
    for (const auto& t : out.trains()) {
      for (std::size_t k = 0; k < t.bytes.size(); k += t.stride) {
        bytes datagram(t.bytes.begin() + static_cast<std::ptrdiff_t>(k),
                       t.bytes.begin() + static_cast<std::ptrdiff_t>(std::min(k + t.stride, t.bytes.size())));
        const auto data = wire::parse_data(datagram);
        REQUIRE(data.counter == counter++);
        REQUIRE(key().open(data.counter, data.header, data.sealed));
        all.emplace_back(data.sealed.begin(), data.sealed.end() - wire::tag_size);
      }
    }
    out.clear();
    return all;
  }
  static crypto::aead_key key() { return {crypto::suite::chacha20_poly1305, crypto::secret<32>()}; }

  session one{{{}, {}, 1, true, 1500, begun}, key(), key()};
  endpoint to = endpoint::v4({192, 0, 2, 1}, 4780);
  outbox out;
  bytes scratch = bytes(frame_headroom + 65600);
  std::uint64_t counter = 0;
};

struct parsed {
  bytes buffer;
  outgoing frame;
  drop result;
  parsed(const bytes& content, const offload& meta, std::size_t max_frame = 1522) : buffer(frame_headroom) {
    buffer.insert(buffer.end(), content.begin(), content.end());
    result = parse_outgoing({bytes_span(buffer).subspan(frame_headroom), meta}, max_frame, frame);
  }
};

}  // namespace

TEST_CASE("sealing: no record is larger than the path, and a super-frame uses all of it") {
  bench b;
  recipe r;
  r.payload = 60000;
  parsed p(make(r, true), meta_of(r, 1446));
  REQUIRE(p.result == drop::none);
  CHECK(sealing::datagrams_of(p.frame, room) == 64);
  REQUIRE(b.seal(p.frame, room) == drop::none);
  REQUIRE(b.out.trains().size() == 1);
  const std::size_t size = room - 4 - r.headers();
  CHECK(b.out.trains()[0].stride == room + wire::data_overhead);
  const auto records = b.records();
  REQUIRE(records.size() == (r.payload + size - 1) / size);
  for (std::size_t k = 0; k < records.size(); ++k) {
    CHECK(records[k][0] == 0x21);
    CHECK(records[k][1] == k);
    CHECK(records[k][2] == records.size());
    CHECK(records[k][3] == r.headers());
    CHECK(records[k].size() <= room);
  }
}

TEST_CASE("sealing: what goes to further peers is as it was, for any path") {
  std::mt19937 random(4);
  for (int k = 0; k < 200; ++k) {
    bench b;
    const std::size_t size = 1 + random() % 1300;
    const recipe r = wire::random_recipe(random, 2 + random() % 300, size);
    if (r.headers() + r.payload > 65000) continue;
    parsed p(make(r, true), meta_of(r, size));
    REQUIRE(p.result == drop::none);
    p.frame.flooded = true;
    const bytes before = p.buffer;
    for (const std::size_t path : {room, std::size_t{516}}) {
      if (const drop lost = b.seal(p.frame, path); lost != drop::none) CHECK(lost == drop::outbox_full);
      b.records();
      REQUIRE(p.frame.is == outgoing::shape::super);
      REQUIRE(bytes_view(p.buffer).subspan(frame_headroom).size() == p.frame.bytes.size());
      REQUIRE(std::equal(before.begin() + frame_headroom, before.end(), p.buffer.begin() + frame_headroom));
    }
  }
}

TEST_CASE("sealing: a full outbox") {
  for (const std::size_t size : {100U, 1400U}) {
    for (const bool tcp : {true, false}) {
      bench b;
      static_cast<void>(b.out.room(outbox::min_arena - 50));
      static_cast<void>(b.out.keep(outbox::min_arena - 50));
      recipe r;
      r.tcp = tcp;
      r.payload = 20000;
      parsed p(make(r, true), meta_of(r, size));
      CHECK(b.seal(p.frame, size == 1400 ? 700 : room) == drop::outbox_full);
    }
  }
}

TEST_CASE("sealing: of a train that does not fit the outbox nothing is sealed") {
  bench b;
  recipe r;
  r.tcp = false;
  r.payload = 60000;
  parsed p(make(r, true), meta_of(r, 1));
  REQUIRE(p.result == drop::none);
  CHECK(b.seal(p.frame, room) == drop::outbox_full);
  CHECK(b.out.empty());
}

TEST_CASE("sealing: a single packet too large for the path is cut as TCP, in slices otherwise") {
  for (const bool partial : {true, false}) {
    for (int what = 0; what < 5; ++what) {
      recipe r;
      r.payload = 1400;
      r.tcp_options = 12;
      if (what == 1) r.tcp = false, r.tcp_options = 0;
      if (what == 2) r.dont_fragment = false;
      if (what == 3) r.flags |= 0x20;
      if (what == 4) r.flags |= 0x80;
      bench b;
      bytes content = make(r, partial);
      parsed p(content, partial ? meta_of(r, 0) : offload{});
      REQUIRE(p.result == drop::none);
      REQUIRE(b.seal(p.frame, room) == drop::none);
      const auto records = b.records();
      REQUIRE(records.size() == 2);
      const bool cut = what == 0;
      CHECK(records[0][0] == (cut ? 0x21 : 0x30));
      if (cut) continue;
      bytes whole(records[0].begin() + 4, records[0].end());
      whole.insert(whole.end(), records[1].begin() + 4, records[1].end());
      CHECK(whole == make(r));  // the checksum was completed
    }
  }
  // A checksum that is wrong stays wrong: such a packet goes as it is.
  bench b;
  recipe r;
  r.payload = 1440;
  bytes content = make(r);
  content.back() ^= 1;
  parsed p(content, {});
  REQUIRE(b.seal(p.frame, room) == drop::none);
  const auto records = b.records();
  REQUIRE(records.size() == 2);
  CHECK(records[0][0] == 0x30);
}

TEST_CASE("sealing: UDP is never cut anew; its segments go complete, in slices where the path is narrow") {
  bench b;
  recipe r;
  r.tcp = false;
  r.payload = 1400 * 5 + 200;
  const auto segments = cut(r, make(r), 1400);
  parsed p(make(r, true), meta_of(r, 1400));
  REQUIRE(p.result == drop::none);
  CHECK(sealing::datagrams_of(p.frame, room) == 6 * 64);
  REQUIRE(b.seal(p.frame, room) == drop::none);
  const auto records = b.records();
  REQUIRE(records.size() == 5 * 2 + 1);
  for (std::size_t k = 0; k < 5; ++k) {
    bytes whole(records[2 * k].begin() + 4, records[2 * k].end());
    whole.insert(whole.end(), records[2 * k + 1].begin() + 4, records[2 * k + 1].end());
    CHECK(whole == segments[k]);
  }
  CHECK(records[10][0] == 0x10);
  CHECK(bytes(records[10].begin() + 3, records[10].end()) == segments[5]);
}

TEST_CASE("sealing: headers of more than 255 bytes go in no train") {
  bench b;
  recipe r;
  r.v4 = false;
  r.ip_options = 240;
  r.payload = 2000;
  const auto segments = cut(r, make(r), 700);
  parsed p(make(r, true), meta_of(r, 700));
  REQUIRE(p.result == drop::none);
  REQUIRE(b.seal(p.frame, room) == drop::none);
  const auto records = b.records();
  REQUIRE(records.size() == segments.size());
  for (std::size_t k = 0; k < records.size(); ++k) {
    CHECK(records[k][0] == 0x10);
    CHECK(bytes(records[k].begin() + 3, records[k].end()) == segments[k]);
  }
}
