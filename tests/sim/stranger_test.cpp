// SPDX-License-Identifier: Apache-2.0
// stranger_test.cpp - who does not belong gets no answer: other networks, secrets, keys, and junk of every class.
//
// D3: not one byte goes out for any datagram that was not authenticated (there is no load here).
#include "sim/network.hpp"

#include <doctest/doctest.h>

using namespace lanloom;
using namespace lanloom::sim;

namespace {
const endpoint outside = endpoint::v4({203, 0, 113, 9}, 999);

crypto::secret<32> secret_of(std::uint8_t fill) {
  crypto::secret<32> s;
  std::fill(s.writable().begin(), s.writable().end(), fill);
  return s;
}

// Node 1 is configured differently; how often node 0 counted `reason` after it called for ten seconds.
struct result {
  std::uint64_t counted;
  std::size_t answered;
  bool established;
};
result call(const std::function<void(core::node_config&, std::vector<core::peer_config>&)>& differently, drop reason,
            std::size_t at = 0) {
  setup s{.keepalive = 0s};
  s.edit = [&](std::size_t i, core::node_config& config, std::vector<core::peer_config>& peers) {
    if (i == 0) peers[0].remotes = {};
    if (i == 1) differently(config, peers);
  };
  network net(s);
  net.start_all();
  net.run_for(10s);
  return {net.count(reason, at), net.datagrams_sent_by(0), net.sending(1, 0) != nullptr};
}

// A stranger who knows what a member knows but its private key: it can compute mac1.
struct insider {
  crypto::random source{77};
  core::network net{"lan", std::nullopt};
  crypto::key_pair keys;
  core::self self;

  insider() : keys(crypto::make_key_pair(source)), self{keys.clone(), 1, 1500, 42} {}
  core::initiation::datagram initiation(const crypto::public_key& to, std::uint8_t at = 9) {
    core::initiation::datagram d;
    wire::tai64n stamp;
    stamp.bytes[0] = at;
    REQUIRE(core::initiation::begin(self, net, to, net.mac1_key_of(to), core::session_id{5}, stamp, source, d));
    return d;
  }
};

void fill(crypto::random& source, bytes_span bytes) { source.fill(bytes); }

void write_mac1_of(const crypto::public_key& to, bytes_span datagram) {
  const core::network net("lan", std::nullopt);
  const std::size_t before = datagram.size() - 32;
  core::write_mac1(net.mac1_key_of(to), bytes_view(datagram).first(before),
                   std::span<std::uint8_t, 16>(datagram.data() + before, 16));
}
}  // namespace

TEST_CASE("another network name or secret: silence, and bad_mac1 is counted") {
  const result same = call([](auto&, auto&) {}, drop::bad_mac1);
  CHECK(same.counted == 0);
  CHECK(same.established);

  const result name = call([](auto& config, auto&) { config.network = "wan"; }, drop::bad_mac1);
  CHECK(name.counted > 3);
  CHECK(name.answered == 0);
  CHECK_FALSE(name.established);

  const result secret = call([](auto& config, auto&) { config.network_secret = secret_of(1); }, drop::bad_mac1);
  CHECK(secret.counted > 3);
  CHECK(secret.answered == 0);
  CHECK_FALSE(secret.established);
}

TEST_CASE("a key that is not configured: silence, and unknown_peer is counted") {
  const result r = call(
      [](auto& config, auto&) {
        crypto::random source(4711);
        config.keys = crypto::make_key_pair(source);
      },
      drop::unknown_peer);
  CHECK(r.counted > 3);
  CHECK(r.answered == 0);
  CHECK_FALSE(r.established);
}

TEST_CASE("another preshared key: answered, because the caller is known, but nothing is ever established") {
  const auto differently = [](auto&, auto& peers) { peers[0].psk = secret_of(9); };
  const result r = call(differently, drop::bad_handshake, 1);
  CHECK(r.counted > 3);
  CHECK(r.counted == r.answered);
  CHECK_FALSE(r.established);
}

TEST_CASE("no common suite: silence, counted at who was asked") {
  const auto differently = [](auto& config, auto&) { config.suites = wire::suite_bit_aes_256_gcm; };
  const result r = call(differently, drop::no_common_suite);
  CHECK(r.counted > 3);
  CHECK(r.answered == 0);
  CHECK_FALSE(r.established);
}

TEST_CASE("both suites: the session is AES-256-GCM, and frames pass") {
  if (!crypto::available(crypto::suite::aes_256_gcm)) return;
  network net({.suites = wire::suite_bit_aes_256_gcm | wire::suite_bit_chacha20_poly1305});
  net.start_all();
  REQUIRE(net.run_while_not([&] { return net.agree(0, 1); }, 5s));
  CHECK(net.sending(0, 1)->suite() == crypto::suite::aes_256_gcm);
  const auto number = net.flood(0, 1514);
  net.run_for(1s);
  CHECK(net.has(1, 0, number));
}

TEST_CASE("network secret and preshared keys on both sides: established") {
  setup s;
  s.edit = [](std::size_t, core::node_config& config, std::vector<core::peer_config>& peers) {
    config.network_secret = secret_of(3);
    peers[0].psk = secret_of(4);
  };
  network net(s);
  net.start_all();
  CHECK(net.run_while_not([&] { return net.agree(0, 1); }, 5s));
}

TEST_CASE("not one byte goes out for what is not authentic") {
  network net({.keepalive = 0s});
  std::vector<datagram> recorded;
  net.tapped = [&](const datagram& d) { recorded.push_back(d); };
  net.start_all();
  REQUIRE(net.run_while_not([&] { return net.agree(0, 1); }, 5s));
  net.flood(0);
  net.flood(1);
  net.run_for(30s);
  const std::size_t sent = net.datagrams_sent();
  const endpoint to = net.address(0);
  const crypto::public_key& key = net.keys(0).public_half;
  crypto::random source(99);
  std::size_t bytes_in = 0;
  const auto throw_at = [&](bytes_view bytes) {
    bytes_in += bytes.size();
    net.inject(to, outside, bytes);
  };

  // Noise of every length, plain and in the shape of each type.
  for (std::size_t size = 0; size < 1500; ++size) {
    std::vector<std::uint8_t> junk(size);
    fill(source, junk);
    throw_at(junk);
    for (std::uint8_t type = 0; type <= 5 && size >= 4; ++type) {
      store_le32(junk.data(), 0x0100U | type);
      throw_at(junk);
    }
  }
  std::vector<std::uint8_t> huge(65507);
  fill(source, huge);
  throw_at(huge);
  store_le32(huge.data(), 0x0104);
  throw_at(huge);

  // Good mac1 over noise, initiations by a stranger, responses to nothing, cookie replies.
  insider stranger;
  for (int k = 0; k < 200; ++k) {
    std::vector<std::uint8_t> junk(wire::initiation_size + (k % 2 == 0 ? 0 : source.below(wire::max_tlv_bytes)));
    fill(source, junk);
    store_le32(junk.data(), 0x0101);
    write_mac1_of(key, junk);
    throw_at(junk);
    junk.resize(wire::response_size);
    store_le32(junk.data(), 0x0102);
    write_mac1_of(key, junk);
    throw_at(junk);
    throw_at(stranger.initiation(key, static_cast<std::uint8_t>(k)));
  }
  const auto count = [&](drop reason) { return net.count(reason, 0); };
  CHECK(count(drop::bad_handshake) == 200);
  CHECK(count(drop::unexpected_handshake) >= 200);
  CHECK(count(drop::unknown_peer) == 200);
  CHECK(count(drop::bad_mac1) > 2000);
  CHECK(count(drop::malformed) > 2000);
  CHECK(count(drop::unknown_index) > 1000);

  // Everything the peer ever said, again.
  for (const datagram& d : recorded) {
    if (d.sender == 1) throw_at(d.bytes);
  }
  CHECK(count(drop::stale_handshake) + count(drop::replayed) > 0);
  CHECK(net.datagrams_sent() == sent);
  net.run_for(30s);
  CHECK(net.datagrams_sent() == sent);
  CHECK(net.agree(0, 1));
  MESSAGE(bytes_in << " bytes in, 0 out");
}
