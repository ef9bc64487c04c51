// SPDX-License-Identifier: Apache-2.0
// node_test.cpp - one node at a time, and every reason for which it drops a handshake. What two and more nodes do
// together is in tests/sim.
#include <doctest/doctest.h>

#include <lanloom/core/node.hpp>

#include <algorithm>
#include <memory>
#include <vector>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;

namespace {
using bytes = std::vector<std::uint8_t>;
constexpr instant start{time_point{1h}, wall_time{1'700'000'000s}};
const endpoint at_a = endpoint::v4({192, 0, 2, 1}, 4780);
const endpoint at_b = endpoint::v4({192, 0, 2, 2}, 4780);

instant after(duration d) { return {start.now + d, start.wall + d}; }

struct member {
  std::unique_ptr<node> n;
  outbox out;
  crypto::public_key key;

  std::vector<bytes> datagrams() {
    std::vector<bytes> all;
    for (const auto& t : out.trains()) all.emplace_back(t.bytes.begin(), t.bytes.end());
    out.clear();
    return all;
  }
  std::vector<bytes> timer(instant at = start) {
    n->on_timer(at, out);
    return datagrams();
  }
  void arrive(bytes datagram, instant at = start, const endpoint& from = at_a) {
    n->on_datagrams({datagram, datagram.size()}, from, at.now, out);
  }
  std::vector<bytes> receive(const bytes& datagram, instant at = start, const endpoint& from = at_a) {
    arrive(datagram, at, from);
    while (n->work(at, out)) {
    }
    return datagrams();
  }
  void expect_only(drop reason, std::uint64_t times = 1) const {
    for (std::size_t k = 1; k < drop_reasons; ++k) {
      const auto one = static_cast<drop>(k);
      CAPTURE(to_string(one));
      CHECK(n->data_plane().drops()[one] == (one == reason ? times : 0));
    }
  }
  peer_status status(instant at = start) const { return n->peers(at.now).at(0); }
};

// a calls b; b does not call.
struct couple {
  explicit couple(std::uint8_t suites_of_b = 1, std::chrono::seconds keepalive = 0s, const candidates& of_b = at_b,
                  bool named = false) {
    crypto::initialise();
    crypto::random source(5);
    auto keys_a = crypto::make_key_pair(source);
    auto keys_b = crypto::make_key_pair(source);
    a.key = keys_a.public_half;
    b.key = keys_b.public_half;
    const auto make = [&](crypto::key_pair&& own, std::uint8_t suites, const crypto::public_key& other,
                          const candidates& remotes, std::uint64_t seed) {
      node_config config{std::move(own), "lan", std::nullopt, suites, 1500, {}};
      config.port = 4780;
      std::vector<peer_config> peers;
      peers.push_back({"other", other, std::nullopt, remotes, keepalive, named});
      return std::make_unique<node>(std::move(config), std::move(peers), crypto::random(seed), start);
    };
    a.n = make(std::move(keys_a), 1, b.key, of_b, 1);
    b.n = make(std::move(keys_b), suites_of_b, a.key, {}, 2);
  }
  bytes initiation(instant at = start) {
    auto sent = a.timer(at);
    REQUIRE(sent.size() == 1);
    REQUIRE(sent[0].size() == wire::initiation_size);
    return sent[0];
  }
  void establish(instant at = start) {
    const auto response = b.receive(initiation(at), at);
    REQUIRE(response.size() == 1);
    const auto first = a.receive(response[0], at, at_b);
    REQUIRE(first.size() == 1);
    b.receive(first[0], at);
  }
  member a;
  member b;
};

// a or b of a couple, started again with what was saved.
std::unique_ptr<node> again(bool is_a, const saved_state& known, instant at = start) {
  crypto::random source(5);
  auto keys_a = crypto::make_key_pair(source);
  auto keys_b = crypto::make_key_pair(source);
  const auto other = is_a ? keys_b.public_half : keys_a.public_half;
  node_config config{is_a ? std::move(keys_a) : std::move(keys_b), "lan", std::nullopt, 1, 1500, {}};
  config.known = known;
  std::vector<peer_config> peers;
  peers.push_back({"other", other, std::nullopt, is_a ? std::optional(at_b) : std::nullopt, 0s});
  return std::make_unique<node>(std::move(config), std::move(peers), crypto::random(99), at);
}

void sign(bytes& datagram, const crypto::public_key& receiver) {
  const network net("lan", std::nullopt);
  const std::size_t before = datagram.size() - 32;
  write_mac1(net.mac1_key_of(receiver), bytes_view(datagram).first(before),
             std::span<std::uint8_t, 16>(datagram.data() + before, 16));
}
}  // namespace

TEST_CASE("node: called, answering, established on both sides, and what status says on the way") {
  couple c;
  CHECK(c.a.n->next_timer() == start.now);
  CHECK(c.a.status().now == peer_status::state::handshaking);
  CHECK(c.b.status().now == peer_status::state::idle);
  const bytes first = c.initiation();
  CHECK(c.a.status().unanswered_initiations == 1);
  c.b.arrive(first);
  CHECK(c.b.out.empty());  // nothing is computed on arrival
  CHECK(c.b.n->has_work());
  CHECK_FALSE(c.b.n->work(start, c.b.out));
  const auto response = c.b.datagrams();
  REQUIRE(response.size() == 1);
  CHECK(response[0].size() == wire::response_size);
  CHECK(c.b.status().now == peer_status::state::idle);  // not confirmed
  c.a.arrive(response[0], start, at_b);
  c.a.n->work(start, c.a.out);
  REQUIRE(c.a.out.notices().size() == 1);
  CHECK(c.a.out.notices()[0].what == outbox::notice::kind::established);
  CHECK(c.a.status().now == peer_status::state::established);
  CHECK(c.a.status().unanswered_initiations == 0);
  const auto keepalive = c.a.datagrams();
  REQUIRE(keepalive.size() == 1);
  CHECK(keepalive[0].size() == wire::data_overhead);
  c.b.receive(keepalive[0]);
  CHECK(c.b.status().now == peer_status::state::established);
  CHECK(c.b.status().remote == at_a);
  CHECK(c.b.status().lan_mtu == 1500);
  c.a.expect_only(drop::none);
  c.b.expect_only(drop::none);
}

TEST_CASE("node: unreachable after five initiations without an answer") {
  couple c;
  instant at = start;
  for (unsigned k = 1; k <= 5; ++k) {
    CHECK(c.a.status(at).now == peer_status::state::handshaking);
    CHECK(c.a.timer(at).size() == 1);
    at = after(c.a.n->next_timer() - start.now);
  }
  CHECK(c.a.status(at).now == peer_status::state::unreachable);
}

TEST_CASE("node: a mac1 for somebody else") {
  couple c;
  bytes d = c.initiation();
  CHECK(c.a.receive(d).empty());
  c.a.expect_only(drop::bad_mac1);
  sign(d, c.a.key);
  CHECK(c.a.receive(d).empty());
  CHECK(c.a.n->data_plane().drops()[drop::bad_handshake] == 1);
}

TEST_CASE("node: an initiation that does not decrypt") {
  couple c;
  bytes d = c.initiation();
  d[100] ^= 1;
  sign(d, c.b.key);
  CHECK(c.b.receive(d).empty());
  c.b.expect_only(drop::bad_handshake);
}

TEST_CASE("node: an initiation by a stranger") {
  couple c;
  crypto::random source(99);
  const auto keys = crypto::make_key_pair(source);
  const self stranger{keys.clone(), 1, 1500, 3};
  const network net("lan", std::nullopt);
  initiation::datagram d;
  REQUIRE(initiation::begin(stranger, net, c.b.key, net.mac1_key_of(c.b.key), session_id{1}, {}, source, d));
  CHECK(c.b.receive(bytes(d.begin(), d.end())).empty());
  c.b.expect_only(drop::unknown_peer);
}

TEST_CASE("node: an initiation that comes twice, or sooner than 20 ms after the last, is stale") {
  couple c;
  const bytes d = c.initiation();
  CHECK(c.b.receive(d).size() == 1);
  CHECK(c.b.receive(d, after(1s)).empty());
  c.b.expect_only(drop::stale_handshake);

  couple e;
  const bytes first = e.initiation();
  const auto later = e.a.timer(after(250ms));
  REQUIRE(later.size() == 1);
  CHECK(e.b.receive(first).size() == 1);
  CHECK(e.b.receive(later[0], after(20ms - 1ns)).empty());
  e.b.expect_only(drop::stale_handshake);
  CHECK(e.b.receive(later[0], after(20ms)).size() == 1);
}

TEST_CASE("node: an older initiation that comes after a newer one is stale") {
  couple c;
  const bytes first = c.initiation();
  const auto later = c.a.timer(after(250ms));
  REQUIRE(later.size() == 1);
  CHECK(c.b.receive(later[0]).size() == 1);
  CHECK(c.b.receive(first, after(1s)).empty());
  c.b.expect_only(drop::stale_handshake);
}

TEST_CASE("node: no common suite") {
  couple c(wire::suite_bit_aes_256_gcm);
  CHECK(c.b.receive(c.initiation()).empty());
  c.b.expect_only(drop::no_common_suite);
}

TEST_CASE("node: a cookie reply, a response to nothing, a response twice, a response to an initiation given up") {
  couple c;
  bytes cookie(wire::cookie_reply_size);
  cookie[0] = 3;
  cookie[1] = 1;
  CHECK(c.a.receive(cookie).empty());
  bytes nothing(wire::response_size);
  nothing[0] = 2;
  nothing[1] = 1;
  sign(nothing, c.a.key);
  CHECK(c.a.receive(nothing).empty());
  c.a.expect_only(drop::unexpected_handshake, 2);

  const auto response = c.b.receive(c.initiation());
  REQUIRE(response.size() == 1);
  CHECK(c.a.timer(after(250ms)).size() == 1);  // another initiation takes its place
  CHECK(c.a.receive(response[0], after(600ms), at_b).empty());
  c.a.expect_only(drop::unexpected_handshake, 3);
  // It shows that an answer takes longer than the steps at first, so the next initiation waits.
  CHECK(c.a.timer(after(999ms)).empty());
  CHECK(c.a.timer(after(1s)).size() == 1);
  CHECK(c.a.receive(response[0], after(1100ms), at_b).empty());  // not twice
  c.a.expect_only(drop::unexpected_handshake, 4);

  couple e;
  const auto good = e.b.receive(e.initiation());
  CHECK(e.a.receive(good.at(0), start, at_b).size() == 1);
  CHECK(e.a.receive(good.at(0), start, at_b).empty());
  e.a.expect_only(drop::unexpected_handshake);
}

TEST_CASE("node: a forged response does not spoil the genuine one") {
  couple c;
  const auto response = c.b.receive(c.initiation());
  bytes forged = response.at(0);
  forged[60] ^= 1;
  sign(forged, c.a.key);
  SUBCASE("nor do three that come in one batch with it") {
    for (int k = 0; k < 3; ++k) c.a.arrive(forged, start, at_b);
    CHECK(c.a.receive(response[0], start, at_b).size() == 1);
    c.a.expect_only(drop::bad_handshake, 3);
    return;
  }
  CHECK(c.a.receive(forged, start, at_b).empty());
  c.a.expect_only(drop::bad_handshake);
  CHECK(c.a.receive(response[0], start, at_b).size() == 1);
  CHECK(c.a.status().now == peer_status::state::established);
}

TEST_CASE(
    "node: under load an initiation from an unknown address gets a cookie, comes again with it, and is answered") {
  couple c;
  const bytes d = c.initiation();
  for (std::size_t k = 0; k <= flood_gate::busy_places; ++k) c.b.arrive(d);
  CHECK(c.b.out.empty());
  c.b.arrive(d);
  c.b.arrive(d);  // one source, 100 ms
  c.b.expect_only(drop::no_cookie, 2);
  const auto replies = c.b.datagrams();
  REQUIRE(replies.size() == 1);
  CHECK(replies[0].size() == wire::cookie_reply_size);

  bytes altered = replies[0];
  altered.back() ^= 1;
  CHECK(c.a.receive(altered, start, at_b).empty());
  c.a.expect_only(drop::bad_cookie);
  CHECK(c.a.receive(replies[0], start, at_b).empty());
  c.a.expect_only(drop::bad_cookie);  // and nothing for the genuine one
  const bytes again = c.initiation(after(1s - 1ns));
  c.b.arrive(again, after(1s - 1ns));  // more than 16 still wait
  c.b.expect_only(drop::no_cookie, 2);
  std::size_t turns = 1;
  while (c.b.n->work(after(1s), c.b.out)) ++turns;
  CHECK(turns == flood_gate::busy_places + 2);
}

TEST_CASE("node: a cookie reply with a bit flipped, cut or extended does nothing but to be counted") {
  const auto reply_to = [](couple& c) {
    const bytes d = c.initiation();
    for (std::size_t k = 0; k <= flood_gate::busy_places + 1; ++k) c.b.arrive(d);
    const auto replies = c.b.datagrams();
    REQUIRE(replies.size() == 1);
    return replies[0];
  };
  const auto mac2_of = [](const bytes& d) { return bytes(d.end() - wire::mac_size, d.end()); };
  const bytes none(wire::mac_size);
  couple good;
  const bytes genuine = reply_to(good);
  CHECK(good.a.receive(genuine, start, at_b).empty());
  CHECK(mac2_of(good.initiation(after(1s))) != none);

  std::vector<bytes> altered;
  for (std::size_t bit = 0; bit < genuine.size() * 8; ++bit) {
    altered.push_back(genuine);
    altered.back()[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
  }
  for (std::size_t size = 0; size <= genuine.size() + 32; ++size) {
    if (size == genuine.size()) continue;
    altered.push_back(genuine);
    altered.back().resize(size);
  }
  for (const bytes& d : altered) {
    couple c;
    REQUIRE(reply_to(c) == genuine);
    const auto next = c.a.n->next_timer();
    CHECK(c.a.receive(d, start, at_b).empty());
    std::size_t drops = 0;
    for (std::size_t k = 1; k < drop_reasons; ++k) drops += c.a.n->data_plane().drops()[static_cast<drop>(k)];
    CHECK(drops == 1);
    CHECK(c.a.n->next_timer() == next);
    CHECK(mac2_of(c.initiation(after(1s))) == none);
  }
}

TEST_CASE("node: with a valid mac2 one handshake of a source waits; any flip loses the place") {
  couple c;
  const bytes d = c.initiation();
  for (std::size_t k = 0; k <= flood_gate::busy_places + 1; ++k) c.b.arrive(d);
  const auto replies = c.b.datagrams();
  REQUIRE(replies.size() == 1);
  c.a.receive(replies[0], start, at_b);
  const bytes again = c.initiation(after(500ms));
  std::size_t bytes_in = 0, bytes_out = 0;
  for (std::size_t bit = 0; bit < again.size() * 8; ++bit) {
    bytes flipped = again;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    c.b.arrive(flipped, after(500ms));
    bytes_in += flipped.size();
    for (const bytes& reply : c.b.datagrams()) {
      CHECK(reply.size() == wire::cookie_reply_size);
      bytes_out += reply.size();
    }
  }
  CHECK(bytes_out <= bytes_in);
  CHECK(c.b.n->data_plane().drops()[drop::no_cookie] == 1 + 128);  // in mac2 only: the rest is bad_mac1 or malformed
  c.b.arrive(again, after(500ms), at_b);                           // a cookie is good for its address only
  CHECK(c.b.n->data_plane().drops()[drop::no_cookie] == 1 + 128 + 1);
  CHECK(c.b.n->data_plane().drops()[drop::handshake_queue_full] == 0);
  while (c.b.n->has_work()) c.b.n->work(after(500ms), c.b.out);
  c.b.out.clear();
  for (std::size_t k = 0; k < 6; ++k) c.b.arrive(again, after(501ms));
  CHECK(c.b.n->data_plane().drops()[drop::handshake_queue_full] == 5);
}

TEST_CASE("node: an outbox without room puts a handshake off, and says so") {
  couple c;
  const bytes d = c.initiation();
  static_cast<void>(c.b.out.keep(outbox::min_arena - 100));
  c.b.arrive(d);
  c.b.n->work(start, c.b.out);
  CHECK(c.b.out.trains().empty());
  c.b.expect_only(drop::outbox_full);
  c.b.out.clear();
  CHECK(c.b.receive(d).size() == 1);  // it was not taken as seen

  couple e;
  static_cast<void>(e.a.out.keep(outbox::min_arena - 100));
  CHECK(e.a.timer().empty());
  e.a.expect_only(drop::outbox_full);
  CHECK(e.a.timer(after(250ms)).size() == 1);
}

TEST_CASE("node: a peer that moved and fell silent is called where it was last and where the configuration says") {
  couple c(1, 25s);
  c.establish();
  // The peer moves: a pong from there.
  const endpoint elsewhere = endpoint::v4({198, 51, 100, 9}, 4781);
  bytes frame(frame_headroom + 60);
  frame[frame_headroom] = 4;
  frame[frame_headroom + 6] = 2;
  c.b.n->on_frame({bytes_span(frame).subspan(frame_headroom), {}}, start.now, c.b.out);
  const auto ping = c.a.receive(c.b.datagrams().at(0), start, elsewhere);
  REQUIRE(ping.size() == 1);
  const auto pong = c.b.receive(ping[0]);
  REQUIRE(pong.size() == 1);
  c.a.receive(pong[0], start, elsewhere);
  CHECK(c.a.status().remote == elsewhere);

  // Then it is silent until its keys are too old, and is called in turn at both.
  std::vector<endpoint> called;
  while (called.size() < 6) {
    const instant at = after(c.a.n->next_timer() - start.now);
    REQUIRE(at.now < start.now + 1h);
    c.a.n->on_timer(at, c.a.out);
    for (const auto& t : c.a.out.trains()) {
      if (t.bytes.size() == wire::initiation_size) called.push_back(t.to);
    }
    c.a.out.clear();
  }
  // The first for new keys, where it lives; from then on at both.
  for (std::size_t k = 0; k < called.size(); ++k) CHECK(called[k] == (k > 0 && k % 2 == 0 ? at_b : elsewhere));
}

namespace {
const endpoint at_b6 = *endpoint::parse("[2001:db8::2]:4780");
const endpoint also_b = endpoint::v4({192, 0, 2, 3}, 4780);

struct call {
  duration at;
  endpoint to;
  bytes datagram;
  bool operator==(const call&) const = default;
};

// What m sends by itself until `end`: addresses and times.
std::vector<call> calls(member& m, duration end) {
  std::vector<call> all;
  while (m.n->next_timer() <= start.now + end) {
    const instant at = after(std::max(m.n->next_timer() - start.now, duration(0)));
    m.n->on_timer(at, m.out);
    for (const auto& t : m.out.trains()) {
      if (t.bytes.size() == wire::initiation_size)
        all.push_back({at.now - start.now, t.to, {t.bytes.begin(), t.bytes.end()}});
    }
    m.out.clear();
  }
  return all;
}

const candidates three{std::vector<endpoint>{at_b6, at_b, also_b}};
}  // namespace

TEST_CASE("node: several addresses of a peer are called in turn, 250 ms apart, and all of them are one attempt") {
  couple c(1, 25s, three);
  const auto first = calls(c.a, 500ms);
  REQUIRE(first.size() == 3);
  for (std::size_t k = 0; k < 3; ++k) {
    CHECK(first[k].at == k * 250ms);
    CHECK(first[k].to == three.all()[k]);
  }
  CHECK(c.a.status(after(500ms)).unanswered_initiations == 1);
  // Only the pause between two rounds is drawn at random: 250 ms, then 500, at most a quarter less.
  const auto more = calls(c.a, 500ms + 250ms + 500ms + 500ms + 500ms);
  REQUIRE(more.size() == 6);
  for (std::size_t k = 0; k < 6; ++k) CHECK(more[k].to == three.all()[k % 3]);
  CHECK(more[0].at > 500ms + 187ms);
  CHECK(more[0].at <= 500ms + 250ms);
  CHECK(more[1].at == more[0].at + 250ms);
  CHECK(more[2].at == more[1].at + 250ms);
  CHECK(more[3].at > more[2].at + 375ms);
  CHECK(more[3].at <= more[2].at + 500ms);
  CHECK(c.a.status(after(2s)).unanswered_initiations == 3);
}

TEST_CASE("node: the address that answers first is the peer's, and the others are called no more") {
  couple c(1, 25s, three);
  const auto sent = calls(c.a, 250ms);
  REQUIRE(sent.size() == 2);
  const auto response = c.b.receive(sent[1].datagram, after(260ms));
  const auto confirms = c.a.receive(response.at(0), after(270ms), at_b);
  REQUIRE(confirms.size() == 1);
  c.b.receive(confirms[0], after(280ms));
  CHECK(c.a.status(after(280ms)).remote == at_b);
  CHECK(c.b.status(after(280ms)).now == peer_status::state::established);
  CHECK(calls(c.a, 20s).empty());
}

TEST_CASE("node: an answer that takes longer than the next call is none too late") {
  couple c(1, 25s, three);
  const auto sent = calls(c.a, 500ms);
  REQUIRE(sent.size() == 3);
  const auto response = c.b.receive(sent[0].datagram, after(600ms));
  const auto confirms = c.a.receive(response.at(0), after(650ms), at_b6);
  REQUIRE(confirms.size() == 1);
  c.b.receive(confirms[0], after(650ms));
  CHECK(c.a.status(after(650ms)).remote == at_b6);
  CHECK(c.b.status(after(650ms)).now == peer_status::state::established);
  CHECK(calls(c.a, 20s).empty());
}

TEST_CASE("node: with as many addresses as a peer can have, an answer may take as long as the round of calls") {
  std::vector<endpoint> all;
  for (std::uint8_t k = 0; k < candidates::most; ++k) all.push_back(endpoint::v4({192, 0, 2, k}, 4780));
  couple c(1, 25s, candidates{all});
  const auto sent = calls(c.a, 1750ms);
  REQUIRE(sent.size() == candidates::most);
  const auto response = c.b.receive(sent[0].datagram, after(1s));
  REQUIRE(c.a.receive(response.at(0), after(1900ms), all[0]).size() == 1);
  CHECK(c.a.status(after(1900ms)).remote == all[0]);
}

TEST_CASE("node: of sixteen addresses in a row the last nine are awaited") {
  const auto eight = [](std::uint8_t network) {
    std::vector<endpoint> all;
    for (std::uint8_t k = 0; k < candidates::most; ++k) all.push_back(endpoint::v4({192, 0, network, k}, 4780));
    return candidates{all};
  };
  couple c(1, 25s, eight(2));
  auto sent = calls(c.a, 1750ms);
  c.a.n->set_candidates({0}, eight(3), after(1750ms).now);
  for (duration end = 1750ms; sent.size() < 16; end += 50ms) {
    REQUIRE(end < 5s);
    for (auto& one : calls(c.a, end)) sent.push_back(std::move(one));
  }
  REQUIRE(sent[15].to == eight(3).all()[7]);
  const instant then = after(sent[15].at);
  for (const std::size_t k : {6U, 7U}) {
    const instant now = after(then.now - start.now + k * 100ms);
    const auto response = c.b.receive(sent[k].datagram, now);
    CHECK(c.a.receive(response.at(0), now, at_b).empty() == (k == 6));
  }
}

TEST_CASE("node: a cookie goes to the address that it came from alone: there we may have another address") {
  const endpoint at_a6 = *endpoint::parse("[2001:db8::1]:4780");
  couple c(1, 0s, candidates{std::vector<endpoint>{at_b6, at_b}});
  const auto first = calls(c.a, 250ms);
  REQUIRE(first.size() == 2);
  for (std::size_t k = 0; k <= flood_gate::busy_places; ++k) c.b.arrive(first[0].datagram, start, also_b);
  const auto reply_to = [&](const call& one, const endpoint& from) {
    c.b.arrive(one.datagram, after(one.at), from);
    return c.b.datagrams();
  };
  for (const auto& [one, from] : {std::pair(first[0], at_a6), std::pair(first[1], at_a)}) {
    const auto reply = reply_to(one, from);
    REQUIRE(reply.size() == 1);
    CHECK(c.a.receive(reply[0], after(250ms), one.to).empty());
  }
  c.b.expect_only(drop::no_cookie, 2);
  const auto second = calls(c.a, 750ms);
  REQUIRE(second.size() == 2);
  CHECK(reply_to(second[0], at_a6).empty());
  CHECK(reply_to(second[1], at_a).empty());
  c.b.expect_only(drop::no_cookie, 2);  // both wait for their turn
}

TEST_CASE("node: where several addresses answer, both ends take the last that was called") {
  // Reordered or not: the peer forgets what it gave before.
  for (const bool reordered : {false, true}) {
    CAPTURE(reordered);
    couple c(1, 25s, three);
    const auto sent = calls(c.a, 250ms);
    REQUIRE(sent.size() == 2);
    const auto first = c.b.receive(sent[0].datagram, after(300ms));
    const auto second = c.b.receive(sent[1].datagram, after(550ms));
    REQUIRE(first.size() == 1);
    REQUIRE(second.size() == 1);
    if (!reordered) c.a.receive(first[0], after(600ms), at_b6);
    const auto confirms = c.a.receive(second[0], after(800ms), at_b);
    REQUIRE(confirms.size() == 1);
    if (reordered) {
      CHECK(c.a.receive(first[0], after(810ms), at_b6).empty());
      c.a.expect_only(drop::unexpected_handshake);
    }
    c.b.receive(confirms[0], after(850ms));
    c.b.expect_only(drop::none);
    CHECK(c.a.status(after(850ms)).remote == at_b);
    CHECK(c.b.status(after(850ms)).now == peer_status::state::established);
    c.a.n->say_bye(start.now + 900ms, c.a.out);
    c.b.receive(c.a.datagrams().at(0), after(900ms));
    c.b.expect_only(drop::none);  // it went under the session that both have
    CHECK(c.b.status(after(900ms)).now == peer_status::state::idle);
  }
}

TEST_CASE("node: of a peer that lives at one of its addresses only that one is called for new keys") {
  couple c(1, 25s, three);
  const auto sent = calls(c.a, 250ms);
  const auto response = c.b.receive(sent.at(1).datagram, after(260ms));
  c.b.receive(c.a.receive(response.at(0), after(260ms), at_b).at(0), after(260ms));
  std::vector<call> later;
  while (later.size() < 5) {
    const duration next = c.a.n->next_timer() - start.now;
    REQUIRE(next < 10min);
    for (auto& one : calls(c.a, next)) later.push_back(std::move(one));
  }
  CHECK(later[0].at >= 120s);
  CHECK(later[0].to == at_b);  // alone, then
  CHECK(later[1].at - later[0].at >= 5s);
  CHECK(later[1].to == at_b);  // first, and as nobody answers there:
  CHECK(later[2].to == at_b6);
  CHECK(later[2].at - later[1].at == 250ms);
  CHECK(later[3].to == also_b);
  CHECK(later[4].to == at_b);
  CHECK(later[4].at - later[3].at >= 5s);
}

namespace {
// When the node asks for its peer's names, until `end`.
std::vector<duration> asks(member& m, duration end) {
  std::vector<duration> all;
  while (m.n->next_timer() <= start.now + end) {
    const instant at = after(std::max(m.n->next_timer() - start.now, duration(0)));
    m.n->on_timer(at, m.out);
    for (const auto& n : m.out.notices()) {
      if (n.what == outbox::notice::kind::names_wanted) all.push_back(at.now - start.now);
    }
    m.out.clear();
  }
  return all;
}
}  // namespace

TEST_CASE("node: names of a silent peer are asked for after two attempts, then ever more seldom") {
  for (const bool named : {false, true}) {
    couple c(1, 25s, at_b, named);
    const auto all = asks(c.a, 1h);
    if (!named) {
      CHECK(all.empty());
      continue;
    }
    REQUIRE(all.size() >= 14);
    CHECK(all.size() <= 16);
    CHECK(all[0] > 187ms);
    CHECK(all[0] <= 250ms);
    const std::array<duration, 6> gaps{30s, 60s, 120s, 240s, 300s, 300s};
    for (std::size_t k = 0; k < gaps.size(); ++k) {
      CHECK(all[k + 1] - all[k] >= gaps[k]);
      CHECK(all[k + 1] - all[k] <= gaps[k] + 15s);  // with an attempt
    }
  }
}

TEST_CASE("node: names are not asked for while the peer answers, and early again when it falls silent") {
  couple c(1, 25s, at_b, true);
  c.establish();
  CHECK(asks(c.a, 119s).empty());
  const auto all = asks(c.a, 10min);  // from 125 s on, when it is sent to, it is called for new keys
  REQUIRE(all.size() >= 2);
  CHECK(all[0] >= 130s);
  CHECK(all[0] <= 130s + 333ms);
  CHECK(all[1] - all[0] <= 45s);
}

TEST_CASE("node: a peer with a name and no address is called as soon as there is one") {
  couple c(1, 0s, {}, true);
  CHECK(c.a.n->next_timer() == time_point::max());
  CHECK(c.a.status().named);
  c.a.n->set_candidates({}, three, start.now);
  CHECK(c.a.n->next_timer() == start.now);
  const auto sent = calls(c.a, 500ms);
  REQUIRE(sent.size() == 3);
  for (std::size_t k = 0; k < 3; ++k) CHECK(sent[k].to == three.all()[k]);
}

TEST_CASE("node: other addresses of a silent peer are called at once, and those it only was looked for at no more") {
  couple c(1, 25s, at_b, true);
  CHECK(calls(c.a, 1min).size() > 5);
  c.a.n->set_candidates({}, at_b, start.now + 1min);  // nothing new
  CHECK(c.a.n->next_timer() > start.now + 1min);
  c.a.n->set_candidates({}, {}, start.now + 1min);
  CHECK(c.a.n->next_timer() > start.now + 1min);
  c.a.n->set_candidates({}, candidates(std::vector<endpoint>{at_b6, also_b}), start.now + 1min);
  CHECK(c.a.n->next_timer() == start.now + 1min);
  const auto sent = calls(c.a, 1min + 250ms);
  REQUIRE(sent.size() == 2);
  CHECK(sent[0].at == 1min);
  CHECK(sent[0].to == at_b6);
  CHECK(sent[1].to == also_b);
}

TEST_CASE("node: other addresses of a peer that answers change nothing until it falls silent") {
  couple c(1, 25s, at_b, true);
  c.establish();
  c.a.n->set_candidates({}, candidates(std::vector<endpoint>{at_b6, also_b}), start.now);
  CHECK(calls(c.a, 119s).empty());
  CHECK(c.a.status(after(119s)).remote == at_b);
  const auto later = calls(c.a, 132s);
  REQUIRE(later.size() == 4);  // for new keys, where it lives; then there first, and at the others
  CHECK(later[0].to == at_b);
  CHECK(later[1].to == at_b);
  CHECK(later[2].to == at_b6);
  CHECK(later[3].to == also_b);
}

TEST_CASE("node: another network: a peer that lives hears from us at once, and a silent one is called at once") {
  const auto changes = [](member& m, duration at) {
    m.n->on_network_change(start.now + at, m.out);
    return m.datagrams();
  };
  couple live(1, 25s);
  live.establish();
  const auto keepalive = changes(live.a, 3s);
  REQUIRE(keepalive.size() == 1);
  CHECK(keepalive[0].size() == wire::data_overhead);
  CHECK(calls(live.a, 20s).empty());

  couple idle(1, 0s);
  idle.establish();
  CHECK(changes(idle.a, 9s).size() == 1);  // it was in use a moment ago
  CHECK(changes(idle.a, 19s).empty());     // a link without keepalives and traffic stays silent

  couple waiting(1, 25s);
  CHECK(calls(waiting.a, 1min).size() > 5);
  duration due = waiting.a.n->next_timer() - start.now;
  for (duration now = 1min; due - now < 2s; due = waiting.a.n->next_timer() - start.now) {
    now = due;
    CHECK(calls(waiting.a, now).size() == 1);
  }
  CHECK(changes(waiting.a, due - 1s).empty());
  CHECK(waiting.a.n->next_timer() == start.now + due - 1s);
  CHECK(calls(waiting.a, due - 1s).size() == 1);
  changes(waiting.a, due - 1s + 1ms);  // again: not within the shortest step
  CHECK(waiting.a.n->next_timer() >= start.now + due - 1s + 250ms);

  couple silent(1, 25s);
  silent.establish();
  bytes frame(frame_headroom + 60);
  frame[frame_headroom + 5] = 4;
  frame[frame_headroom + 11] = 2;
  silent.a.n->on_frame({bytes_span(frame).subspan(frame_headroom), {}}, start.now + 5s, silent.a.out);
  silent.a.out.clear();
  changes(silent.a, 5900ms);  // the answer may still come
  CHECK(calls(silent.a, 5999ms).empty());
  changes(silent.a, 6s);
  const auto sent = calls(silent.a, 6s);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].at == 6s);
}

TEST_CASE("node: a host that slept speaks to its peer as soon as it wakes up") {
  // The clock goes on in a suspend, and what fell due in it is due at the first look at the clock.
  couple c(1, 25s);
  c.establish();
  REQUIRE(c.a.n->next_timer() <= start.now + 25s);
  const auto nap = c.a.timer(after(60s));  // the session lives
  REQUIRE(nap.size() == 1);
  CHECK(nap[0].size() == wire::data_overhead);
  CHECK(c.a.status(after(60s)).now == peer_status::state::established);

  REQUIRE(c.a.n->next_timer() <= start.now + 85s);
  const auto night = c.a.timer(after(8h));
  REQUIRE(night.size() == 1);
  CHECK(night[0].size() == wire::initiation_size);
  c.b.timer(after(8h));
  const auto response = c.b.receive(night[0], after(8h));
  c.b.receive(c.a.receive(response.at(0), after(8h), at_b).at(0), after(8h));
  CHECK(c.a.status(after(8h)).now == peer_status::state::established);
  CHECK(c.b.status(after(8h)).now == peer_status::state::established);
}

namespace {
// A UDP datagram from our port, in a frame from the TAP.
void datagram_from_tap(member& m, const endpoint& to, instant at) {
  bytes f(frame_headroom + 60);
  const bytes_span frame = bytes_span(f).subspan(frame_headroom);
  frame[0] = frame[6] = 2;
  frame[12] = 0x08;
  frame[14] = 0x45;
  frame[23] = 17;
  std::copy(to.address.begin() + 12, to.address.end(), frame.begin() + 30);
  store_be16(&frame[34], 4780);
  store_be16(&frame[36], to.port);
  m.n->on_frame({frame, {}}, at.now, m.out);
}
}  // namespace

TEST_CASE("node: our own datagrams to a peer do not enter the tunnel, wherever the peer may be") {
  couple c(1, 25s, three);
  for (int k = 0; k < 3; ++k) {
    datagram_from_tap(c.a, at_b, start);
    datagram_from_tap(c.a, also_b, start);
  }
  c.a.expect_only(drop::self_encapsulated, 6);
  CHECK(c.a.out.trains().empty());
  REQUIRE(c.a.out.notices().size() == 1);  // one line for all of them
  CHECK(c.a.out.notices()[0].what == outbox::notice::kind::self_encapsulated);
  c.a.out.clear();
  datagram_from_tap(c.a, at_b, after(10s));
  CHECK(c.a.out.notices().size() == 1);
  c.a.out.clear();
  const endpoint another_port = endpoint::v4({192, 0, 2, 2}, 4781);
  const endpoint somebody = endpoint::v4({192, 0, 2, 9}, 4780);
  datagram_from_tap(c.a, another_port, after(10s));
  datagram_from_tap(c.a, somebody, after(10s));
  CHECK(c.a.n->data_plane().drops()[drop::self_encapsulated] == 7);
  c.a.out.clear();

  // What names gave is known here, too; what they gave before is not kept.
  c.a.n->set_candidates({}, candidates(std::vector<endpoint>{at_b6, somebody}), start.now + 11s);
  datagram_from_tap(c.a, somebody, after(11s));
  CHECK(c.a.n->data_plane().drops()[drop::self_encapsulated] == 8);
  datagram_from_tap(c.a, also_b, after(11s));
  CHECK(c.a.n->data_plane().drops()[drop::self_encapsulated] == 8);
}

TEST_CASE("node: copies of our datagrams from a bridge that floods are dropped without a word while the peer answers") {
  couple c;
  c.establish();
  c.a.out.clear();
  datagram_from_tap(c.a, at_b, start);
  c.a.expect_only(drop::self_encapsulated);
  CHECK(c.a.out.empty());
  // Where it was learned that the peer moved, that address counts as well.
  CHECK(c.b.status().remote == at_a);
  datagram_from_tap(c.b, at_a, start);
  c.b.expect_only(drop::self_encapsulated);
}

TEST_CASE("node: bye goes to all who have a session") {
  couple c;
  c.establish();
  c.a.n->say_bye(start.now, c.a.out);
  const auto bye = c.a.datagrams();
  REQUIRE(bye.size() == 1);
  c.b.arrive(bye[0]);
  REQUIRE(c.b.out.notices().size() == 1);
  CHECK(c.b.out.notices()[0].what == outbox::notice::kind::left);
  CHECK(c.b.status().now == peer_status::state::idle);
  c.b.n->say_bye(start.now, c.b.out);
  CHECK(c.b.out.trains().empty());
}

TEST_CASE("node: losses of the world are counted where status shows them") {
  couple c;
  c.a.n->on_lost(drop::send_buffer_full, 3);
  c.a.expect_only(drop::send_buffer_full, 3);
  CHECK(c.a.status().path_mtu == 1280);
  CHECK_FALSE(c.a.n->on_too_large({}, 1252));
  CHECK(c.a.status().path_mtu == 576);
}

TEST_CASE("node: same inputs and same random source, same outputs") {
  couple c;
  couple d;
  CHECK(c.initiation() == d.initiation());
}

TEST_CASE("node: an initiation that was accepted is refused after a restart too, a newer one is not") {
  couple c;
  const bytes first = c.initiation();
  REQUIRE(c.b.receive(first).size() == 1);
  CHECK(c.b.n->keep_due() <= start.now);
  const saved_state saved = c.b.n->state();
  REQUIRE(saved.peers.size() == 1);
  CHECK(saved.peers[0].key == c.a.key);
  CHECK_FALSE(saved.peers[0].remote);  // only a session proves it

  c.b.n = again(false, saved);
  CHECK(c.b.receive(first, after(1h)).empty());
  c.b.expect_only(drop::stale_handshake);
  CHECK(c.b.receive(c.initiation(after(300ms)), after(1h)).size() == 1);
  // With nothing saved it would have been answered.
  c.b.n = again(false, {});
  CHECK(c.b.receive(first, after(1h)).size() == 1);
}

TEST_CASE("node: stamps go on after a crash, though the clock went back ten years") {
  couple c;
  REQUIRE(c.b.receive(c.initiation()).size() == 1);
  const saved_state saved = c.a.n->state();
  const instant back{start.now + 1h, start.wall - 24h * 3652};
  c.a.n = again(true, saved, back);
  CHECK(c.b.receive(c.initiation(back), back).size() == 1);
  c.b.expect_only(drop::none);
  // With nothing saved it is taken for a replay.
  c.a.n = again(true, {}, back);
  CHECK(c.b.receive(c.initiation(back), {back.now + 1s, back.wall}).empty());
  c.b.expect_only(drop::stale_handshake);
}

TEST_CASE("node: the state is to be saved before a stamp leaves that it does not cover, else once a second") {
  couple c(1, 25s);
  CHECK(c.a.n->keep_due() == time_point::max());
  c.initiation();
  CHECK(c.a.n->keep_due() == time_point::min());
  c.a.n->kept(true, start.now);
  CHECK(c.a.n->keep_due() == time_point::max());
  const saved_state ahead = c.a.n->state();
  CHECK(c.a.n->last_state().reserve < ahead.reserve);

  // The attempts that follow are within the reserve, until little is left of it.
  instant at = start;
  while (c.a.n->state().reserve == ahead.reserve) {
    CHECK(c.a.n->keep_due() == time_point::max());
    at = {c.a.n->next_timer(), start.wall + (c.a.n->next_timer() - start.now)};
    c.a.timer(at);
  }
  CHECK(at.now - start.now > node::stamp_reserve - node::stamp_margin);
  CHECK(at.now - start.now < node::stamp_reserve);
  CHECK(c.a.n->keep_due() == start.now + node::keep_pace);  // not at once: that was due long ago
  c.a.n->kept(false, at.now);                               // the disk is full
  CHECK(c.a.n->keep_due() == at.now + node::keep_pace);
  c.a.n->kept(true, at.now);
  // A clock that jumps leaves the reserve behind.
  const auto last = c.a.status(at).unanswered_initiations;
  while (c.a.status(at).unanswered_initiations == last) {
    at = {c.a.n->next_timer(), at.wall + 24h};
    c.a.timer(at);
  }
  CHECK(c.a.n->keep_due() == time_point::min());
  c.a.n->kept(false, at.now);
  CHECK(c.a.n->keep_due() == at.now + node::keep_pace);
}

TEST_CASE("node: where a peer was before the restart is called beside what its name gives, until one answers") {
  couple c;
  c.establish();
  c.b.n = again(false, c.b.n->state());
  const auto lost = calls(c.b, 0s);
  REQUIRE(lost.size() == 1);
  CHECK(lost[0].to == at_a);
  const endpoint named = endpoint::v4({192, 0, 2, 77}, 4780);
  c.b.n->set_candidates({}, named, after(100ms).now);
  CHECK(c.b.status(after(100ms)).remote == at_a);
  const auto sent = calls(c.b, 2s);
  const auto to = [&](const endpoint& where) {
    return std::count_if(sent.begin(), sent.end(), [&](const call& one) { return one.to == where; });
  };
  CHECK(to(at_a) >= 1);
  CHECK(to(named) >= 1);
}

TEST_CASE("node: where a peer was is known after a restart, and who is no longer a peer is forgotten") {
  couple c;
  c.establish();
  saved_state saved = c.b.n->state();
  REQUIRE(saved.peers.size() == 1);
  CHECK(saved.peers[0].remote == at_a);
  CHECK(c.a.n->state().peers.at(0).remote == at_b);
  saved_state::peer stranger;
  stranger.key.bytes.fill(7);
  stranger.remote = at_b;
  saved.peers.insert(saved.peers.begin(), stranger);

  c.b.n = again(false, saved);
  CHECK(c.b.status().remote == at_a);
  REQUIRE(c.b.n->state().peers.size() == 1);
  CHECK(c.b.n->state().peers[0].key == c.a.key);
  c.b.n->on_timer(start, c.b.out);
  REQUIRE(c.b.out.trains().size() == 1);
  CHECK(c.b.out.trains()[0].to == at_a);
}
