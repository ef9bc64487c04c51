// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/session.hpp>

#include <algorithm>
#include <array>
#include <vector>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;

namespace {
constexpr time_point born{1000s};

crypto::secret<32> key_of(std::uint8_t fill) {
  crypto::initialise();
  crypto::secret<32> k;
  std::fill(k.writable().begin(), k.writable().end(), fill);
  return k;
}

session make(bool initiator, crypto::suite suite = crypto::suite::chacha20_poly1305) {
  return {{peer_id{7}, session_id{11}, 22, initiator, 1500, born},
          crypto::aead_key(suite, key_of(initiator ? 1 : 2)),
          crypto::aead_key(suite, key_of(initiator ? 2 : 1))};
}

using bytes = std::vector<std::uint8_t>;

// A datagram towards the initiator with any counter: the responder's key is known here.
bytes forge(std::uint64_t counter, std::uint8_t plain = 0x10) {
  bytes d(wire::data_overhead + 1);
  const std::span<std::uint8_t, wire::data_header_size> header(d.data(), wire::data_header_size);
  wire::format_data_header(header, 11, counter);
  const crypto::aead_key key(crypto::suite::chacha20_poly1305, key_of(2));
  key.seal(1, [&](std::size_t) noexcept {
    return crypto::aead_key::message{counter, header, bytes_view(&plain, 1), d.data() + wire::data_header_size};
  });
  return d;
}

drop open(session& s, bytes d, time_point now = born) { return s.open(wire::parse_data(d), now); }
}  // namespace

TEST_CASE("session: a train is sealed in one go, each datagram by itself, and opened at the other end") {
  for (const auto suite : {crypto::suite::chacha20_poly1305, crypto::suite::aes_256_gcm}) {
    if (!crypto::available(suite)) continue;
    session a = make(true, suite);
    session b = make(false, suite);
    CHECK(a.suite() == suite);
    bytes out(1000);
    const bytes plain{1, 2, 3, 4, 5, 6, 7, 8};
    const std::size_t stride = wire::data_overhead + 3;
    const std::size_t used = a.seal(3, out, stride, [&](std::size_t k) noexcept {
      return bytes_view(plain).subspan(k * 3, std::min<std::size_t>(3, plain.size() - k * 3));
    });
    REQUIRE(used == 3 * wire::data_overhead + plain.size());
    for (const std::size_t k : {2U, 0U, 1U}) {
      const bytes_span datagram = bytes_span(out).subspan(k * stride, k == 2 ? stride - 1 : stride);
      const wire::data_view d = wire::parse_data(datagram);
      CHECK(d.receiver_index == 22);
      CHECK(d.counter == k);
      CHECK(b.open(d, born) == drop::none);
      CHECK(std::equal(d.sealed.begin(), d.sealed.end() - wire::tag_size,
                       plain.begin() + static_cast<std::ptrdiff_t>(k * 3)));
    }
  }
}

TEST_CASE("session: limits by age") {
  const session a = make(true);
  const session b = make(false);
  CHECK_FALSE(a.wants_rekey(born + 120s - 1ns));
  CHECK(a.wants_rekey(born + 120s));
  CHECK_FALSE(b.wants_rekey(born + 174s));
  CHECK(a.can_send(born + 175s - 1ns));
  CHECK_FALSE(a.can_send(born + 175s));
  session c = make(true);
  CHECK(open(c, forge(0), born + 185s - 1ns) == drop::none);
  CHECK(open(c, forge(1), born + 185s) == drop::expired);
}

TEST_CASE("session: limits by blocks and datagrams of what is to be sent") {
  const session a = make(true);
  constexpr std::size_t most = static_cast<std::size_t>((session::max_blocks - 2) * 16);
  CHECK(a.can_send(born, 1, most));
  CHECK_FALSE(a.can_send(born, 1, most + 1));
  CHECK(a.can_send(born, static_cast<std::size_t>(session::max_blocks / 2), 0));
  CHECK_FALSE(a.can_send(born, static_cast<std::size_t>(session::max_blocks / 2 + 1), 0));
  CHECK_FALSE(a.can_send(born, static_cast<std::size_t>(session::max_datagrams + 1), 0));
}

TEST_CASE("session: near its limits it asks for new keys, then ends, to the datagram and the block") {
  const auto preset = [](session::usage sealed) {
    return session({peer_id{7}, session_id{11}, 22, true, 1500, born},
                   crypto::aead_key(crypto::suite::chacha20_poly1305, key_of(1)),
                   crypto::aead_key(crypto::suite::chacha20_poly1305, key_of(2)), sealed);
  };
  // Of 16 bytes: three blocks, as each datagram costs two of its own.
  const auto send = [](session& s) {
    bytes out(wire::data_overhead + 16);
    const bytes plain(16);
    s.seal(1, out, out.size(), [&](std::size_t) noexcept { return bytes_view(plain); });
    return wire::parse_data(out).counter;
  };

  session s = preset({session::rekey_datagrams - 1, 0});
  CHECK_FALSE(s.wants_rekey(born));
  CHECK(send(s) == session::rekey_datagrams - 1);
  CHECK(s.wants_rekey(born));
  CHECK(s.can_send(born));

  s = preset({session::max_datagrams - 2, 0});
  CHECK(s.can_send(born, 2));
  CHECK_FALSE(s.can_send(born, 3));
  CHECK(send(s) == session::max_datagrams - 2);
  CHECK(send(s) == session::max_datagrams - 1);
  CHECK_FALSE(s.can_send(born, 1, 0));

  s = preset({0, session::rekey_blocks - 3});
  CHECK_FALSE(s.wants_rekey(born));
  send(s);
  CHECK(s.wants_rekey(born));
  CHECK(s.can_send(born));

  s = preset({0, session::max_blocks - 3});
  CHECK(s.can_send(born, 1, 16));
  CHECK_FALSE(s.can_send(born, 1, 17));
  CHECK_FALSE(s.can_send(born, 2, 0));
  send(s);
  CHECK_FALSE(s.can_send(born, 1, 0));
}

TEST_CASE("session: no counter of 2^60 or more is opened, however genuine") {
  session a = make(true);
  CHECK(open(a, forge(session::max_datagrams - 1)) == drop::none);
  CHECK(open(a, forge(session::max_datagrams)) == drop::expired);
  CHECK(open(a, forge(UINT64_MAX)) == drop::expired);
}

TEST_CASE("session: expired before replayed before bad_tag") {
  session a = make(true);
  CHECK(open(a, forge(5)) == drop::none);
  bytes bad = forge(5);
  bad.back() ^= 1;
  CHECK(open(a, bad) == drop::replayed);
  CHECK(open(a, bad, born + 185s) == drop::expired);
  bad = forge(6);
  bad.back() ^= 1;
  CHECK(open(a, bad) == drop::bad_tag);
  CHECK(open(a, forge(5)) == drop::replayed);
}

TEST_CASE("session: a bad tag leaves the window where it was") {
  session a = make(true);
  CHECK(open(a, forge(10)) == drop::none);
  bytes far = forge(1'000'000);
  far[wire::data_header_size] ^= 0x80;
  CHECK(open(a, far) == drop::bad_tag);
  CHECK(a.is_newest(11));
  CHECK(open(a, forge(9)) == drop::none);
  CHECK(open(a, forge(1'000'000)) == drop::none);
  CHECK(open(a, forge(8)) == drop::replayed);
  CHECK_FALSE(a.is_newest(1'000'000));
}

TEST_CASE("session: the header is authenticated") {
  session a = make(true);
  for (std::size_t at = 0; at < 8; ++at) {
    bytes d = forge(1);
    d[at] ^= 0x04;
    CHECK(open(a, d) == drop::bad_tag);
  }
  CHECK(open(a, forge(1)) == drop::none);
}

TEST_CASE("session: an initiator's is confirmed from the start, a responder's when told") {
  CHECK(make(true).confirmed());
  session b = make(false);
  CHECK_FALSE(b.confirmed());
  b.confirm();
  CHECK(b.confirmed());
  CHECK(b.age(born + 3s) == 3s);
}
