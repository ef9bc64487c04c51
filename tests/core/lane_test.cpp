// SPDX-License-Identifier: Apache-2.0
#include "core/trains.hpp"

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;
using kind = lane::event::kind;

TEST_CASE("lane: a frame goes over, whole, to the TAP and to no peer; both sides learn") {
  lane_pair p;
  const bytes frame = frame_of(broadcast, mac_a, 600);
  p.a.send(frame);
  REQUIRE(p.a.out.trains().size() == 1);
  CHECK(p.a.out.trains()[0].to == p.b.at);
  p.pass();
  CHECK(p.b.frames() == std::vector<bytes>{frame});
  CHECK(p.b.out.trains().empty());
  CHECK(p.a.l.table().lookup(mac_a, 0, begun) == local_port);
  CHECK(p.b.l.table().lookup(mac_a, 0, begun) == port{peer_id{0}});
  CHECK(p.a.l.of({}).counters.tx_bytes == 600);
  CHECK(p.b.l.of({}).counters.rx_frames == 1);
  p.a.expect_only(drop::none);
  p.b.expect_only(drop::none);
  CHECK(p.b.events(kind::confirmed) == 1);
}

TEST_CASE("lane: a partial checksum is completed before it leaves") {
  lane_pair p;
  bytes frame = frame_of(broadcast, mac_a, 64);
  std::fill(frame.begin() + 14, frame.end(), std::uint8_t{0});
  frame[40] = 0x12;
  frame[41] = 0x34;
  offload meta;
  meta.partial_checksum = true;
  meta.checksum_start = 34;
  meta.checksum_offset = 16;
  p.a.send(frame, begun, meta);
  p.pass();
  REQUIRE(p.b.frames().size() == 1);
  CHECK(load_be16(&p.b.frames()[0][50]) == 0xffff - 0x1234);
}

TEST_CASE("lane: what the TAP may not say") {
  const auto after = [](const bytes& frame, const offload& meta = {}) {
    auto p = std::make_unique<lane_pair>();
    p->a.send(frame, begun, meta);
    CHECK(p->a.out.empty());
    return p;
  };
  after(bytes(13))->a.expect_only(drop::short_frame);
  after(bytes())->a.expect_only(drop::short_frame);
  after(frame_of(broadcast, mac_a, 1523))->a.expect_only(drop::long_frame);
  after(frame_of(broadcast, broadcast))->a.expect_only(drop::bad_source);
  after(frame_of(broadcast, {}))->a.expect_only(drop::bad_source);
  offload meta;
  meta.gso = gso_kind::tcp4;
  after(frame_of(broadcast, mac_a), meta)->a.expect_only(drop::bad_offload);
  meta = {};
  meta.partial_checksum = true;
  meta.checksum_start = 50;
  meta.checksum_offset = 10;
  after(frame_of(broadcast, mac_a), meta)->a.expect_only(drop::bad_offload);
}

TEST_CASE("lane: a frame for somebody on this side stays") {
  lane_pair p;
  p.a.send(frame_of(broadcast, mac_a));
  p.a.out.clear();
  p.a.send(frame_of(mac_a, mac_b));
  CHECK(p.a.out.empty());
  p.a.expect_only(drop::local_destination);
}

TEST_CASE("lane: without a session broadcast is dropped, unicast waits, either asks once a turn") {
  lane_pair p;
  p.b.send(frame_of(broadcast, mac_b));
  for (bytes& d : p.b.datagrams()) p.a.arrive(d, p.b.at);
  p.a.out.clear();
  p.a.l.clear_events();
  p.a.l.set_sending({}, {});
  p.a.send(frame_of(broadcast, mac_a));
  p.a.expect_only(drop::no_session);
  CHECK(p.a.events(kind::wanted) == 1);
  for (int k = 0; k < 33; ++k) p.a.send(frame_of(mac_b, mac_a, 60U + static_cast<std::size_t>(k)));
  CHECK(p.a.events(kind::wanted) == 1);
  CHECK(p.a.l.drops()[drop::staging_full] == 1);
  CHECK(p.a.out.empty());
  p.a.l.clear_events();
  p.a.send(frame_of(broadcast, mac_a));
  CHECK(p.a.events(kind::wanted) == 1);

  p.a.l.set_sending({}, p.a.id);
  CHECK(p.a.l.send_staged({}, begun, p.a.out));
  p.pass();
  REQUIRE(p.b.frames().size() == 32);
  for (std::size_t k = 0; k < 32; ++k) CHECK(p.b.frames()[k].size() == 61 + k);
  CHECK_FALSE(p.a.l.send_staged({}, begun, p.a.out));
}

TEST_CASE("lane: what waited in vain is counted") {
  lane_pair p;
  p.b.send(frame_of(broadcast, mac_b));
  for (bytes& d : p.b.datagrams()) p.a.arrive(d, p.b.at);
  p.a.l.set_sending({}, {});
  for (int k = 0; k < 3; ++k) p.a.send(frame_of(mac_b, mac_a));
  p.a.l.discard_staged({});
  p.a.expect_only(drop::staging_expired, 3);
}

TEST_CASE("lane: a full outbox refuses and is counted: a frame, fragments, a record") {
  for (const std::size_t size : {60U, 8000U}) {
    lane_pair p(9000);
    REQUIRE(!p.a.out.room(outbox::min_arena - 50).empty());
    static_cast<void>(p.a.out.keep(outbox::min_arena - 50));
    p.a.send(frame_of(broadcast, mac_a, size));
    p.a.expect_only(drop::outbox_full);
  }
  lane_pair p;
  static_cast<void>(p.a.out.keep(outbox::min_arena - 20));
  CHECK_FALSE(p.a.l.send_record({}, p.b.at, {}, begun, p.a.out));
  p.a.expect_only(drop::outbox_full);
}

TEST_CASE("lane: an outbox full of frames, or without room for a reassembled one, refuses what arrives") {
  lane_pair p(9000);
  p.a.send(frame_of(broadcast, mac_a, 5000));
  const bytes_view none;
  while (p.b.out.push_frame({}, std::span(&none, 1))) {
  }
  p.pass();
  p.b.expect_only(drop::outbox_full);
  CHECK_FALSE(p.b.l.table().lookup(mac_a, 0, begun));

  lane_pair q(9000);
  q.a.send(frame_of(broadcast, mac_a, 5000));
  static_cast<void>(q.b.out.keep(outbox::min_arena - 100));
  q.pass();
  q.b.expect_only(drop::outbox_full);
}

TEST_CASE("lane: a flooded super-frame reaches every peer, also when the outbox is filling") {
  crypto::initialise();
  constexpr std::uint16_t peers = 60;
  for (const bool tcp : {true, false}) {
    CAPTURE(tcp);
    side s(1, 1500, peers);
    for (std::uint16_t i = 0; i < peers; ++i) {
      const auto key = [] { return crypto::aead_key(crypto::suite::chacha20_poly1305, crypto::secret<32>()); };
      const session_id id = s.l.reserve({i}, s.source);
      s.l.set_remote({i}, s.at);
      s.l.install(std::make_unique<session>(session::identity{{i}, id, 1, true, 1500, begun}, key(), key()));
      s.l.set_sending({i}, id);
    }
    outbox out(peers);
    while (!out.is_filling()) {
      REQUIRE(!out.room(5000).empty());
      static_cast<void>(out.keep(5000));
    }
    recipe r;
    r.tcp = tcp;  // of UDP each segment goes in slices, as no path is measured yet
    r.payload = 65000;
    bytes buffer(frame_headroom);
    const bytes frame = make(r, true);
    buffer.insert(buffer.end(), frame.begin(), frame.end());
    s.l.on_frame({bytes_span(buffer).subspan(frame_headroom), meta_of(r, tcp ? 1460 : 1471)}, false, begun, out);
    s.expect_only(drop::none);
    std::vector<std::size_t> got(peers);
    for (const auto& t : out.trains()) got[t.peer.value] += t.bytes.size();
    CHECK(got.front() > r.payload);
    CHECK(got == std::vector<std::size_t>(peers, got.front()));
  }
}

TEST_CASE("lane: a frame of more than 64 slices does not go") {
  lane_pair p(65000);
  CHECK_FALSE(p.a.l.on_too_large({}, 1280 - 28));
  CHECK(p.a.l.of({}).path.mtu().size() == 576);
  p.a.send(frame_of(broadcast, mac_a, 64 * 512));
  CHECK(p.a.out.trains().size() == 1);
  p.a.expect_only(drop::none);
  p.a.send(frame_of(broadcast, mac_a, 64 * 512 + 1));
  CHECK(p.a.out.trains().size() == 1);
  p.a.expect_only(drop::long_frame);
}

TEST_CASE("lane: a path is never taken below 576 over IPv4 and 1280 over IPv6") {
  lane_pair p;
  const auto mtu = [](const side& s) { return s.l.of({}).path.mtu().size(); };
  CHECK(mtu(p.a) == 1280);
  for (int k = 0; k < 6; ++k) {
    CHECK_FALSE(p.a.l.on_too_large({}, mtu(p.a) - 28U));
    CHECK(mtu(p.a) == 576);
  }
  p.b.l.set_remote({}, *endpoint::parse("[2001:db8::1]:4780"));
  for (int k = 0; k < 6; ++k) CHECK_FALSE(p.b.l.on_too_large({}, mtu(p.b) - 48U));
  CHECK(mtu(p.b) == 1280);

  // What was cut for an older, larger path says nothing new; and another address is another path.
  lane_pair q;
  CHECK_FALSE(q.a.l.on_too_large({}, 1472));
  CHECK(mtu(q.a) == 1280);
  CHECK_FALSE(q.a.l.on_too_large({}, 1252));
  CHECK(mtu(q.a) == 576);
  q.a.l.set_remote({}, q.b.at);
  CHECK(mtu(q.a) == 576);
  q.a.l.set_remote({}, endpoint::v4({198, 51, 100, 9}, 4780));
  CHECK(mtu(q.a) == 1280);
}

TEST_CASE("lane: a path is measured by pings that travel alone, and frames fill what it carries") {
  lane_pair p;
  CHECK(p.a.l.of({}).path.due() == time_point::max());
  p.a.send(frame_of(broadcast, mac_a, 1514));
  CHECK(p.a.datagrams().size() == 2);  // slices
  CHECK(p.a.l.wake() <= begun);
  p.a.l.ping_path({}, p.a.source, begun, p.a.out);
  static_cast<void>(p.a.l.send_record({}, p.b.at, {}, begun, p.a.out));
  REQUIRE(p.a.out.trains().size() == 2);  // the keepalive behind it is no part of its train
  std::vector<bytes> pings = p.a.datagrams();
  REQUIRE(pings[0].size() == 1280 - 28);
  p.b.arrive(pings[0], p.a.at);
  bytes pong = p.b.datagrams().at(0);
  CHECK(pong.size() == wire::data_overhead + wire::pong_size);
  p.a.arrive(pong, p.b.at);
  CHECK(p.a.events(lane::event::kind::pong) == 0);  // taken here
  for (const std::size_t size : {1500U, 1586U}) {
    CHECK(p.a.l.wake() <= begun);
    p.a.l.ping_path({}, p.a.source, begun, p.a.out);
    pings = p.a.datagrams();
    REQUIRE(pings.size() == 1);
    REQUIRE(pings[0].size() == size - 28);
    p.b.arrive(pings[0], p.a.at);
    pong = p.b.datagrams().at(0);
    p.a.arrive(pong, p.b.at);
    CHECK(p.a.l.of({}).path.mtu().size() == size);
  }
  // Now the largest frame of this LAN goes whole.
  p.a.send(frame_of(broadcast, mac_a, 1522));
  CHECK(p.a.datagrams().size() == 1);
  p.a.expect_only(drop::none);
  p.b.expect_only(drop::none);
}

TEST_CASE("lane: datagrams that are none, or for nobody") {
  lane_pair p;
  p.b.arrive({}, p.a.at);
  p.b.arrive(bytes(31, 4), p.a.at);
  p.b.expect_only(drop::malformed, 2);
  lane_pair q;
  bytes data(32);
  data[0] = 4;
  data[1] = 1;
  q.b.arrive(data, q.a.at);  // index 0
  store_le32(&data[4], q.b.id.value ^ 0x80000000U);
  q.b.arrive(data, q.a.at);
  q.b.expect_only(drop::unknown_index, 2);
  CHECK(q.b.out.empty());
}

TEST_CASE("lane: bad tag, replay, old age") {
  lane_pair p;
  p.a.send(frame_of(broadcast, mac_a));
  const bytes genuine = p.a.datagrams().at(0);
  bytes bad = genuine;
  bad[20] ^= 1;
  p.b.arrive(bad, p.a.at);
  p.b.expect_only(drop::bad_tag);
  CHECK(p.b.l.events().empty());
  CHECK_FALSE(p.b.l.of({}).last_received);
  p.b.arrive(genuine, p.a.at);
  CHECK(p.b.frames().size() == 1);
  p.b.arrive(genuine, p.a.at);
  CHECK(p.b.l.drops()[drop::replayed] == 1);
  CHECK(p.b.frames().size() == 1);

  lane_pair q;
  q.a.send(frame_of(broadcast, mac_a), begun + 174s);
  q.pass(begun + 185s);
  q.b.expect_only(drop::expired);
}

TEST_CASE("lane: records that are none") {
  const auto after = [](bytes_view plain) {
    auto p = std::make_unique<lane_pair>();
    p->record(plain);
    CHECK(p->b.out.empty());
    return p;
  };
  after(bytes{0x20, 0, 1, 14})->b.expect_only(drop::bad_record);
  after(bytes{0x10})->b.expect_only(drop::bad_record);
  after(bytes{0x10, 13, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13})->b.expect_only(drop::bad_record);
  after(bytes{0x30, 1, 2, 0, 9})->b.expect_only(drop::bad_record);  // index beyond its counter, which is 0
  after(bytes{0x30, 0, 1, 0, 9})->b.expect_only(drop::bad_record);
  after(bytes{0x40, 9})->b.expect_only(drop::unknown_control);
  after({})->b.expect_only(drop::none);
}

TEST_CASE("lane: several frames share a datagram; those before a bad length are good") {
  lane_pair p;
  bytes record{0x10};
  for (const std::size_t size : {60U, 14U, 100U}) {
    const bytes f = frame_of(broadcast, mac_a, size);
    record.push_back(static_cast<std::uint8_t>(size));
    record.push_back(0);
    record.insert(record.end(), f.begin(), f.end());
  }
  p.record(record);
  CHECK(p.b.frames().size() == 3);
  p.b.expect_only(drop::none);
  record.push_back(200);
  p.record(record);
  CHECK(p.b.frames().size() == 6);
  p.b.expect_only(drop::bad_record);
}

TEST_CASE("lane: frames that no peer may send") {
  const auto after = [](const bytes& frame) {
    auto p = std::make_unique<lane_pair>(std::uint16_t{1400}, std::vector{mac_b});
    bytes record{0x10, static_cast<std::uint8_t>(frame.size()), static_cast<std::uint8_t>(frame.size() >> 8)};
    record.insert(record.end(), frame.begin(), frame.end());
    p->record(record);
    CHECK(p->b.out.frames().empty());
    CHECK(p->b.l.table().size(begun) == 0);
    CHECK(p->b.l.of({}).counters.rx_frames == 0);
    return p;
  };
  after(frame_of(broadcast, broadcast))->b.expect_only(drop::bad_source);
  after(frame_of(broadcast, {}))->b.expect_only(drop::bad_source);
  after(frame_of(broadcast, mac_b))->b.expect_only(drop::own_source);
  after(frame_of({{1, 0x80, 0xc2, 0, 0, 1}}, mac_a))->b.expect_only(drop::reserved_destination);
  after(frame_of(broadcast, mac_a, 1423))->b.expect_only(drop::long_frame);
}

TEST_CASE("lane: slices that make a frame too short or too long, that are pushed out, or never completed") {
  lane_pair p;
  p.record(bytes{0x30, 0, 2, 0, 1, 2, 3});
  p.record(bytes{0x30, 1, 2, 0, 4, 5});
  p.b.expect_only(drop::short_frame);

  lane_pair q;
  bytes slice(1000, 1);
  std::copy_n(bytes{0x30, 0, 3, 0}.begin(), 4, slice.begin());
  q.record(slice);
  q.b.expect_only(drop::long_frame);

  lane_pair r;
  for (int k = 0; k < 18; ++k) {
    r.record(bytes{0x30, 0, 2, 0, 1, 2, 3});
    r.record({});
  }
  r.b.expect_only(drop::reassembly_full, 2);
  CHECK(r.b.l.wake() == begun + reassembly::max_age);
  r.b.l.clear_wake();
  CHECK(r.b.l.wake() == begun + reassembly::max_age);  // still due
  r.b.l.on_timer(begun + 1s, r.b.out);
  CHECK(r.b.l.drops()[drop::reassembly_expired] == 16);
}

TEST_CASE("lane: frames of which a part came are counted when their session ends") {
  lane_pair p;
  for (int k = 0; k < 3; ++k) {
    p.record(bytes{0x30, 0, 2, 0, 1, 2, 3});
    p.record({});
  }
  p.b.l.release(p.b.id);
  p.b.expect_only(drop::reassembly_expired, 3);
}

TEST_CASE("lane: a ping is answered to where it came from; pong and bye are told to node") {
  lane_pair p;
  const endpoint other = endpoint::v4({203, 0, 113, 1}, 9);
  bytes ping(500);
  wire::format_ping(std::span<std::uint8_t, wire::ping_size>(ping.data(), wire::ping_size), 0x1234);
  REQUIRE(p.a.l.send_record({}, p.b.at, ping, begun, p.a.out));
  p.b.arrive(p.a.datagrams().at(0), other);
  REQUIRE(p.b.out.trains().size() == 1);
  CHECK(p.b.out.trains()[0].to == other);
  p.a.arrive(p.b.datagrams().at(0), other);
  REQUIRE(p.a.events(kind::pong) == 1);
  for (const auto& e : p.a.l.events()) {
    if (e.what == kind::pong) CHECK((e.token == 0x1234 && e.from == other));
  }
  std::array<std::uint8_t, wire::bye_size> bye{};
  wire::format_bye(bye);
  p.record(bye);
  CHECK(p.b.events(kind::bye) == 1);
  p.a.expect_only(drop::none);
  p.b.expect_only(drop::none);
}

TEST_CASE("lane: a newest datagram from elsewhere is told once a second; an older one never") {
  lane_pair p;
  const endpoint other = endpoint::v4({203, 0, 113, 1}, 9);
  std::vector<bytes> sent;
  for (int k = 0; k < 10; ++k) {
    p.a.send(frame_of(broadcast, mac_a));
    sent.push_back(p.a.datagrams().at(0));
  }
  p.b.arrive(sent[5], p.a.at);
  p.b.arrive(sent[4], other);
  CHECK(p.b.events(kind::moved) == 0);
  p.b.arrive(sent[6], other, begun + 1s);
  CHECK(p.b.events(kind::moved) == 1);
  p.b.arrive(sent[7], other, begun + 2s - 1ns);
  CHECK(p.b.events(kind::moved) == 1);
  p.b.arrive(sent[8], other, begun + 2s);
  CHECK(p.b.events(kind::moved) == 2);
  CHECK(p.b.l.of({}).remote == p.a.at);
}

TEST_CASE("lane: more handshakes in one turn than are kept") {
  lane_pair p;
  bytes train;
  for (std::size_t k = 0; k < lane::max_events + 3; ++k) {
    bytes cookie(wire::cookie_reply_size);
    cookie[0] = 3;
    cookie[1] = 1;
    train.insert(train.end(), cookie.begin(), cookie.end());
  }
  p.b.arrive_train({train, wire::cookie_reply_size}, p.a.at);
  p.b.expect_only(drop::handshake_queue_full, 3);
  CHECK(p.b.events(kind::handshake) == lane::max_events);
}

TEST_CASE("lane: addresses are learned per VLAN") {
  lane_pair p;
  bytes tagged = frame_of(broadcast, mac_a, 64);
  tagged[12] = 0x81;
  tagged[13] = 0x00;
  tagged[14] = 0x00;
  tagged[15] = 0x05;
  p.a.send(tagged);
  p.pass();
  CHECK(p.b.l.table().lookup(mac_a, 5, begun) == port{peer_id{0}});
  CHECK_FALSE(p.b.l.table().lookup(mac_a, 0, begun));
}

TEST_CASE("lane: two ends that send under different sessions have parted when ours is 5 s old, and one of them asks") {
  for (const bool settles : {true, false}) {
    CAPTURE(settles);
    lane_pair p;
    p.b.l.set_settles({}, settles);
    p.a.send(frame_of(broadcast, mac_a));
    p.pass();  // confirms
    const session_id old = p.b.id;
    p.b.id = p.b.l.reserve({}, p.b.source);
    lane_pair::install(p.b, p.a.id, false, 1, 2);

    const auto hears = [&](std::vector<bytes> datagrams, duration age) {
      p.b.l.clear_events();
      for (bytes& d : datagrams) p.b.arrive(std::move(d), p.a.at, begun + age);
      return p.b.events(kind::wanted) > 0;
    };
    const auto one = [&] {
      p.a.send(frame_of(broadcast, mac_a));
      return p.a.datagrams();
    };
    CHECK_FALSE(hears(one(), lane::settle_after - 1ns));
    CHECK_FALSE(p.b.l.of({}).theirs);
    const auto delayed = one();
    CHECK(hears(one(), lane::settle_after) == settles);
    CHECK(p.b.l.of({}).theirs == old);
    // Together again; what was sent before and comes now says nothing.
    p.b.l.set_sending({}, old);
    CHECK_FALSE(hears(one(), 6s));
    CHECK_FALSE(p.b.l.of({}).theirs);
    p.b.l.set_sending({}, p.b.id);
    CHECK_FALSE(hears(delayed, 6s));
    CHECK_FALSE(p.b.l.of({}).theirs);
  }
}

TEST_CASE("lane: who has sealed much asks for new keys, either side, and at the limit nothing goes any more") {
  for (const bool initiator : {true, false}) {
    CAPTURE(initiator);
    lane_pair p;
    side& s = initiator ? p.a : p.b;
    const session_id remote = initiator ? p.b.id : p.a.id;
    const auto begin_at = [&](session::usage sealed) {
      s.l.clear_events();
      s.id = s.l.reserve({}, s.source);
      lane_pair::install(s, remote, initiator, 1, 2, sealed);
    };
    const auto sent = [&] {
      s.send(frame_of(broadcast, mac_a));
      return s.datagrams().size();
    };

    begin_at({session::rekey_datagrams - 2, 0});
    CHECK(sent() == 1);
    CHECK(s.events(lane::event::kind::wanted) == 0);
    CHECK(sent() == 1);
    CHECK(s.events(lane::event::kind::wanted) == 1);

    begin_at({0, session::rekey_blocks - 1});
    CHECK(sent() == 1);
    CHECK(s.events(lane::event::kind::wanted) == 1);

    // As much is kept back as the largest super-frame could need.
    begin_at({session::max_datagrams - 200, 0});
    CHECK(sent() == 1);
    begin_at({session::max_datagrams - 1, 0});
    CHECK(sent() == 0);
    CHECK(s.l.drops()[drop::no_session] == 1);

    begin_at({0, session::max_blocks - 1});
    CHECK(sent() == 0);
    CHECK(s.l.drops()[drop::no_session] == 2);
  }
}

TEST_CASE("lane: a session's place is found by its whole id, and free again when released") {
  side s(9, 1500, 2);
  std::vector<session_id> all;
  for (int k = 0; k < 16; ++k) all.push_back(s.l.reserve(peer_id{1}, s.source));
  std::sort(all.begin(), all.end());
  CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
  CHECK(s.l.owner(all[3]) == peer_id{1});
  CHECK_FALSE(s.l.owner(session_id{all[3].value ^ 0x100}));
  CHECK_FALSE(s.l.owner(session_id{}));
  s.l.release(session_id{all[3].value ^ 0x100});
  CHECK(s.l.owner(all[3]));
  s.l.release(all[3]);
  CHECK_FALSE(s.l.owner(all[3]));
  CHECK(s.l.reserve(peer_id{0}, s.source));
}
