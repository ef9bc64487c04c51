// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/cookie.hpp>

#include <lanloom/crypto/random.hpp>

#include <doctest/doctest.h>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;

namespace {
constexpr time_point start{1h};
const endpoint here = endpoint::v4({192, 0, 2, 1}, 4780);

bool good(cookie_secret& secret, crypto::random& source, const cookie& with, const endpoint& from, time_point now) {
  std::array<std::uint8_t, wire::initiation_size> datagram{};
  (void)wire::format_initiation(datagram, 7);
  write_mac2(with, datagram);
  return secret.check(wire::parse_initiation(datagram), from, now, source);
}
}  // namespace

TEST_CASE("cookie: good for its address and port, until the second change of the secret") {
  crypto::initialise();
  crypto::random source(1);
  cookie_secret secret;
  const cookie c = secret.make(here, start, source);
  CHECK(good(secret, source, c, here, start));
  CHECK(secret.make(here, start + 119s, source) == c);
  CHECK_FALSE(good(secret, source, c, endpoint::v4({192, 0, 2, 1}, 4781), start));
  CHECK_FALSE(good(secret, source, c, endpoint::v4({192, 0, 2, 2}, 4780), start));
  CHECK_FALSE(good(secret, source, {}, here, start));
  CHECK(good(secret, source, c, here, start + 120s));
  CHECK(secret.make(here, start + 121s, source) != c);
  CHECK(good(secret, source, c, here, start + 240s - 1ns));
  CHECK_FALSE(good(secret, source, c, here, start + 240s));
}

TEST_CASE("cookie: after a long silence no old secret counts") {
  crypto::initialise();
  crypto::random source(1);
  cookie_secret secret;
  const cookie c = secret.make(here, start, source);
  CHECK_FALSE(good(secret, source, c, here, start + 240s));
}

TEST_CASE("cookie reply: opens only for the message answered, under the sender's key, and unaltered") {
  crypto::initialise();
  crypto::random source(2);
  const network net("lan", std::nullopt);
  crypto::public_key one, other;
  one.bytes[0] = 1;
  other.bytes[0] = 2;
  std::array<std::uint8_t, wire::initiation_size> cause{};
  (void)wire::format_initiation(cause, 0x01020304);
  const auto view = wire::parse_initiation(cause);
  std::array<std::uint8_t, wire::cookie_reply_size> reply;
  cookie given{}, read{};
  source.fill(given);
  write_cookie_reply(reply, net.cookie_key_of(one), view, given, source);
  CHECK(wire::classify(reply) == wire::message_type::cookie_reply);
  CHECK(wire::parse_cookie_reply(reply).receiver_index == 0x01020304);
  CHECK(read_cookie_reply(wire::parse_cookie_reply(reply), net.cookie_key_of(one), view.mac1, read));
  CHECK(read == given);
  CHECK_FALSE(read_cookie_reply(wire::parse_cookie_reply(reply), net.cookie_key_of(other), view.mac1, read));
  const std::array<std::uint8_t, 16> another{1};
  CHECK_FALSE(read_cookie_reply(wire::parse_cookie_reply(reply), net.cookie_key_of(one), another, read));
  for (std::size_t bit = 8 * 8; bit < reply.size() * 8; ++bit) {
    auto flipped = reply;
    flipped[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    CHECK_FALSE(read_cookie_reply(wire::parse_cookie_reply(flipped), net.cookie_key_of(one), view.mac1, read));
  }
}

TEST_CASE("cookie limit: one per source and 100 ms, an IPv6 source is a /64, 1000 a second in all") {
  cookie_limit limit;
  CHECK(limit.take(here, start));
  CHECK_FALSE(limit.take(endpoint::v4({192, 0, 2, 1}, 1), start + 100ms - 1ns));
  CHECK(limit.take(endpoint::v4({192, 0, 2, 2}, 1), start));
  CHECK(limit.take(here, start + 100ms));
  CHECK(limit.take(*endpoint::parse("[2001:db8::1]:5"), start + 1s));
  CHECK_FALSE(limit.take(*endpoint::parse("[2001:db8::ffff:1]:5"), start + 1s));
  CHECK(limit.take(*endpoint::parse("[2001:db8:0:1::1]:5"), start + 1s));

  unsigned taken = 0;
  for (unsigned k = 0; k < 1'000'000; ++k) {
    const endpoint from = endpoint::v4(
        {10, static_cast<std::uint8_t>(k >> 16), static_cast<std::uint8_t>(k >> 8), static_cast<std::uint8_t>(k)}, 1);
    taken += limit.take(from, start + 10s + std::chrono::microseconds{k}) ? 1 : 0;
  }
  CHECK(taken >= 1000);
  CHECK(taken <= 1000 + cookie_limit::all.burst);
}
