// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/handshake.hpp>
#include <lanloom/crypto/random.hpp>

#include <algorithm>
#include <array>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;

namespace {
const endpoint from = endpoint::v4({192, 0, 2, 7}, 4780);
constexpr std::uint8_t chacha = wire::suite_bit_chacha20_poly1305;
constexpr std::uint8_t aes = wire::suite_bit_aes_256_gcm;

wire::tai64n stamp_of(std::uint8_t first) {
  wire::tai64n s;
  s.bytes[0] = first;
  return s;
}

// Two sides that can shake hands step by step.
struct pair {
  crypto::random source{1};
  network net{"lan", std::nullopt};
  self a;
  self b;
  crypto::secret<32> psk;
  initiation::datagram first{};
  answer::datagram second{};

  explicit pair(std::uint8_t suites_a = chacha, std::uint8_t suites_b = chacha)
      : a(make(suites_a, 100)), b(make(suites_b, 200)) {}
  self make(std::uint8_t suites, std::uint64_t boot_id) {
    crypto::initialise();
    return {crypto::make_key_pair(source), suites, static_cast<std::uint16_t>(1400 + boot_id), boot_id};
  }
  initiation begin() {
    auto begun = initiation::begin(a, net, b.keys.public_half, net.mac1_key_of(b.keys.public_half), session_id{0x11},
                                   stamp_of(7), source, first);
    REQUIRE(begun);
    return std::move(*begun);
  }
  drop reply(std::optional<agreement>& keys) {
    answer r(b, net, wire::parse_initiation(first));
    crypto::public_key who;
    if (const drop d = r.read_peer(who); d != drop::none) return d;
    CHECK(who == a.keys.public_half);
    wire::initiation_payload said;
    if (const drop d = r.read_payload(said); d != drop::none) return d;
    CHECK(said.stamp == stamp_of(7));
    CHECK(said.suites == a.suites);
    return r.respond(net.mac1_key_of(who), psk, session_id{0x22}, from, source, second, keys);
  }
};

// Whether what one side seals the other opens.
bool fit(const crypto::aead_key& send, const crypto::aead_key& receive) {
  std::array<std::uint8_t, 4> plain{1, 2, 3, 4};
  std::array<std::uint8_t, 20> sealed{};
  send.seal(1, [&](std::size_t) noexcept { return crypto::aead_key::message{9, {}, plain, sealed.data()}; });
  return receive.open(9, {}, sealed) && std::equal(plain.begin(), plain.end(), sealed.begin());
}

wall_time at(std::chrono::seconds s, duration more = 0ns) { return wall_time(s + more); }
}  // namespace

TEST_CASE("handshake: both ends agree on keys, suite, indices, boot ids and MTU") {
  for (const auto& [offered, allowed, expected] :
       {std::array{chacha, chacha, std::uint8_t{1}}, std::array{std::uint8_t(chacha | aes), chacha, std::uint8_t{1}},
        std::array{std::uint8_t(chacha | aes), std::uint8_t(chacha | aes), std::uint8_t{2}},
        std::array{aes, std::uint8_t(chacha | aes), std::uint8_t{2}}}) {
    if (expected == 2 && !crypto::available(crypto::suite::aes_256_gcm)) continue;
    pair p(offered, allowed);
    initiation i = p.begin();
    CHECK(i.index() == session_id{0x11});
    std::optional<agreement> b;
    REQUIRE(p.reply(b) == drop::none);
    std::optional<agreement> a;
    REQUIRE(i.read_response(wire::parse_response(p.second), p.psk, offered, a) == drop::none);
    CHECK(i.spent());
    CHECK(fit(a->send, b->receive));
    CHECK(fit(b->send, a->receive));
    CHECK_FALSE(fit(a->send, a->receive));
    CHECK(static_cast<std::uint8_t>(a->send.suite()) == expected);
    CHECK(static_cast<std::uint8_t>(b->send.suite()) == expected);
    CHECK(a->remote_index == 0x22);
    CHECK(b->remote_index == 0x11);
    CHECK(a->boot_id == 200);
    CHECK(b->boot_id == 100);
    CHECK(a->lan_mtu == 1600);
    CHECK(b->lan_mtu == 1500);
  }
}

TEST_CASE("handshake: the engine of each side computes its keys, and engines do not matter to the other side") {
  if (!crypto::available(crypto::suite::aes_256_gcm)) return;
  pair p(aes, aes);
  p.a.engine = crypto::gcm_engine::choose(crypto::accelerator::on);
  const std::string_view fast = p.a.engine.accelerated() ? "aes-256-gcm (ipsec-mb)" : "aes-256-gcm (libsodium)";
  initiation i = p.begin();
  std::optional<agreement> a, b;
  REQUIRE(p.reply(b) == drop::none);
  REQUIRE(i.read_response(wire::parse_response(p.second), p.psk, aes, a) == drop::none);
  CHECK(a->send.name() == fast);
  CHECK(a->receive.name() == fast);
  CHECK(b->send.name() == "aes-256-gcm (libsodium)");
  CHECK(b->receive.name() == "aes-256-gcm (libsodium)");
  CHECK(fit(a->send, b->receive));
  CHECK(fit(b->send, a->receive));
}

TEST_CASE("handshake: no common suite") {
  pair p(chacha, aes);
  initiation i = p.begin();
  std::optional<agreement> keys;
  CHECK(p.reply(keys) == drop::no_common_suite);
  CHECK_FALSE(keys);
}

TEST_CASE("handshake: a suite that was not offered is refused, and the handshake is over") {
  pair p(chacha, chacha);
  initiation i = p.begin();
  std::optional<agreement> keys;
  REQUIRE(p.reply(keys) == drop::none);
  std::optional<agreement> a;
  CHECK(i.read_response(wire::parse_response(p.second), p.psk, aes, a) == drop::no_common_suite);
  CHECK(i.spent());
  CHECK_FALSE(a);
}

TEST_CASE("handshake: no answer is larger than its cause") {
  CHECK(sizeof(answer::datagram) < sizeof(initiation::datagram));
  CHECK(wire::response_size + 36 == wire::initiation_size);
}

TEST_CASE("handshake: a forged or foreign response does not end it; the genuine one still counts") {
  pair p;
  initiation i = p.begin();
  std::optional<agreement> b;
  REQUIRE(p.reply(b) == drop::none);
  std::optional<agreement> a;
  for (const std::size_t at : {12U, 43U, 44U, 99U}) {
    auto forged = p.second;
    forged[at] ^= 1;
    CHECK(i.read_response(wire::parse_response(forged), p.psk, chacha, a) == drop::bad_handshake);
    CHECK_FALSE(i.spent());
  }
  crypto::secret<32> other;
  other.writable()[0] = 1;
  CHECK(i.read_response(wire::parse_response(p.second), other, chacha, a) == drop::bad_handshake);
  CHECK_FALSE(i.spent());
  CHECK(i.read_response(wire::parse_response(p.second), p.psk, chacha, a) == drop::none);
}

TEST_CASE("handshake: the sender index in the clear header of a response is bound") {
  pair p;
  initiation i = p.begin();
  std::optional<agreement> b;
  REQUIRE(p.reply(b) == drop::none);
  p.second[4] ^= 1;
  std::optional<agreement> a;
  CHECK(i.read_response(wire::parse_response(p.second), p.psk, chacha, a) == drop::bad_handshake);
  CHECK_FALSE(a);
}

TEST_CASE("handshake: every byte of an initiation before mac1 is authenticated by the handshake itself") {
  pair p;
  static_cast<void>(p.begin());
  const auto genuine = p.first;
  for (std::size_t k = 0; k < wire::initiation_size - 32; ++k) {
    p.first = genuine;
    p.first[k] ^= 0x10;
    std::optional<agreement> keys;
    CAPTURE(k);
    CHECK(p.reply(keys) == drop::bad_handshake);
  }
}

TEST_CASE("handshake: another network, another network secret, another receiver: other mac1 keys, and no handshake") {
  pair p;
  static_cast<void>(p.begin());
  const std::optional<crypto::secret<32>> secret{std::in_place};
  const network other("wan", std::nullopt);
  const network locked("lan", secret);
  const auto view = wire::parse_initiation(p.first);
  const auto& receiver = p.b.keys.public_half;
  CHECK(check_mac1(p.net.mac1_key_of(receiver), view.before_mac1, view.mac1));
  CHECK_FALSE(check_mac1(p.net.mac1_key_of(p.a.keys.public_half), view.before_mac1, view.mac1));
  CHECK_FALSE(check_mac1(other.mac1_key_of(receiver), view.before_mac1, view.mac1));
  CHECK_FALSE(check_mac1(locked.mac1_key_of(receiver), view.before_mac1, view.mac1));
  answer r(p.b, other, view);
  crypto::public_key who;
  CHECK(r.read_peer(who) == drop::bad_handshake);
}

TEST_CASE("handshake: nothing begins towards a public key of low order") {
  pair p;
  crypto::public_key low;
  CHECK_FALSE(
      initiation::begin(p.a, p.net, low, p.net.mac1_key_of(low), session_id{1}, stamp_of(1), p.source, p.first));
  low.bytes[0] = 1;
  CHECK_FALSE(
      initiation::begin(p.a, p.net, low, p.net.mac1_key_of(low), session_id{1}, stamp_of(1), p.source, p.first));
}

TEST_CASE("stamp: TAI64N, whitened to 2^24 ns") {
  const wire::tai64n s = next_stamp(at(1'700'000'000s, 999'999'999ns), {});
  CHECK(load_be64(s.bytes.data()) == 0x400000000000000aULL + 1'700'000'000);
  CHECK(load_be32(s.bytes.data() + 8) == (999'999'999U & 0xff000000U));
  CHECK(load_be32(next_stamp(at(5s, std::chrono::nanoseconds((1 << 24) - 1)), {}).bytes.data() + 8) == 0);
  CHECK(load_be32(next_stamp(at(5s, std::chrono::nanoseconds(1 << 24)), {}).bytes.data() + 8) == 1U << 24);
}

TEST_CASE("stamp: always later than the last, whatever the clock does") {
  wire::tai64n last;
  for (const wall_time when :
       {at(100s), at(100s), at(100s, 1ns), at(50s), at(0s), at(-5s), at(101s), at(101s), at(99s)}) {
    for (int k = 0; k < 100; ++k) {
      const wire::tai64n next = next_stamp(when, last);
      CHECK(next > last);
      CHECK((load_be32(next.bytes.data() + 8) & 0xffffffU) == 0);
      CHECK(load_be32(next.bytes.data() + 8) < 1'000'000'000);
      last = next;
    }
  }
  // 900 ticks of 2^24 ns are about fifteen seconds: the stamp ran ahead of a clock that stood still by no more.
  CHECK(load_be64(last.bytes.data()) < 0x400000000000000aULL + 120);
}

TEST_CASE("stamp: the last tick of a second is followed by the next second") {
  wire::tai64n last = next_stamp(at(10s, 999'999'999ns), {});
  const wire::tai64n next = next_stamp(at(10s), last);
  CHECK(load_be64(next.bytes.data()) == load_be64(last.bytes.data()) + 1);
  CHECK(load_be32(next.bytes.data() + 8) == 0);
}
