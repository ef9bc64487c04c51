// SPDX-License-Identifier: Apache-2.0
// lane_pair.hpp - two lanes that share one session, for tests of the data plane without a handshake.
#pragma once

#include <doctest/doctest.h>

#include <lanloom/core/lane.hpp>
#include <lanloom/crypto/random.hpp>

#include <algorithm>
#include <vector>

namespace lanloom::core {

using bytes = std::vector<std::uint8_t>;
inline constexpr time_point begun{std::chrono::hours(1)};
inline constexpr wire::mac_address mac_a{{2, 0, 0, 0, 0, 0xa}};
inline constexpr wire::mac_address mac_b{{2, 0, 0, 0, 0, 0xb}};
inline constexpr wire::mac_address broadcast{{255, 255, 255, 255, 255, 255}};

inline bytes frame_of(const wire::mac_address& to, const wire::mac_address& from, std::size_t size = 60) {
  bytes f(std::max<std::size_t>(size, 14));
  std::copy(to.bytes.begin(), to.bytes.end(), f.begin());
  std::copy(from.bytes.begin(), from.bytes.end(), f.begin() + 6);
  f[12] = 0x88;
  f[13] = 0xb5;
  for (std::size_t k = 14; k < f.size(); ++k) f[k] = static_cast<std::uint8_t>(k * 7 + size);
  f.resize(size);
  return f;
}

struct side {
  explicit side(std::uint64_t seed, std::uint16_t mtu, std::size_t peers, std::vector<wire::mac_address> own = {})
      : source(seed),
        l(peers, mtu, std::move(own), source),
        at(endpoint::v4({192, 0, 2, static_cast<std::uint8_t>(seed)}, 4780)) {}

  void send(bytes_view frame, time_point now = begun, const offload& meta = {}, bool more = false) {
    bytes buffer(frame_headroom);
    buffer.insert(buffer.end(), frame.begin(), frame.end());
    l.on_frame({bytes_span(buffer).subspan(frame_headroom), meta}, more, now, out);
  }
  void arrive(bytes datagram, const endpoint& from, time_point now = begun) {
    kept.push_back(std::move(datagram));  // delivered frames borrow it
    arrive_train({kept.back(), kept.back().size()}, from, now);
  }
  void arrive_train(const datagram_train& train, const endpoint& from, time_point now = begun) {
    const received one{from, train};
    l.on_datagrams(std::span(&one, 1), now, out);
  }
  // Takes what is to be sent, datagram by datagram.
  std::vector<bytes> datagrams() {
    std::vector<bytes> all;
    for (const auto& t : out.trains()) {
      for (std::size_t k = 0; k < t.bytes.size(); k += t.stride) {
        const bytes_view one = t.bytes.subspan(k, std::min(t.stride, t.bytes.size() - k));
        all.emplace_back(one.begin(), one.end());
      }
    }
    out.clear();
    return all;
  }
  std::vector<bytes> frames() const {
    std::vector<bytes> all;
    for (const auto& f : out.frames()) {
      all.emplace_back();
      for (const bytes_view s : f.slices) all.back().insert(all.back().end(), s.begin(), s.end());
    }
    return all;
  }
  // This reason, so often, and no other.
  void expect_only(drop reason, std::uint64_t times = 1) const {
    for (std::size_t k = 1; k < drop_reasons; ++k) {
      const auto one = static_cast<drop>(k);
      CAPTURE(to_string(one));
      CHECK(l.drops()[one] == (one == reason ? times : 0));
    }
  }
  std::size_t events(lane::event::kind what) const {
    return static_cast<std::size_t>(
        std::count_if(l.events().begin(), l.events().end(), [&](const auto& e) { return e.what == what; }));
  }

  crypto::random source;
  lane l;
  outbox out;
  endpoint at;
  session_id id;
  std::vector<bytes> kept;
};

// Peer 0 of each is the other. `a` is the initiator.
struct lane_pair {
  explicit lane_pair(std::uint16_t mtu = 1500, std::vector<wire::mac_address> own_of_b = {})
      : a(1, mtu, 1), b(2, mtu, 1, std::move(own_of_b)) {
    crypto::initialise();
    a.id = a.l.reserve({}, a.source);
    b.id = b.l.reserve({}, b.source);
    a.l.set_remote({}, b.at);
    b.l.set_remote({}, a.at);
    install(a, b.id, true, 1, 2);
    install(b, a.id, false, 2, 1);
  }
  static void install(side& s, session_id remote, bool initiator, std::uint8_t send, std::uint8_t receive,
                      session::usage sealed = {}) {
    const auto key = [](std::uint8_t fill) {
      crypto::secret<32> k;
      k.writable()[0] = fill;
      return crypto::aead_key(crypto::suite::chacha20_poly1305, k);
    };
    s.l.install(std::make_unique<session>(session::identity{{}, s.id, remote.value, initiator, 1500, begun}, key(send),
                                          key(receive), sealed));
    s.l.set_sending({}, s.id);
  }
  // A record as it is, from a to b.
  void record(bytes_view plain, time_point now = begun) {
    REQUIRE(a.l.send_record({}, b.at, plain, now, a.out));
    pass(now);
  }
  // The path from a to b was measured, for which a sent a frame, and carries 1500.
  void measure_path() {
    a.send(frame_of(broadcast, mac_a));
    static_cast<void>(a.datagrams());
    while (a.l.of({}).path.mtu().size() < 1500) {
      a.l.ping_path({}, a.source, begun, a.out);
      pass();
      for (bytes& d : b.datagrams()) a.arrive(std::move(d), b.at);
    }
  }
  void pass(time_point now = begun) {
    for (bytes& d : a.datagrams()) b.arrive(std::move(d), a.at, now);
  }

  side a;
  side b;
};

}  // namespace lanloom::core
