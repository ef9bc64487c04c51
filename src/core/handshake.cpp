// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/handshake.hpp>

#include <lanloom/crypto/hash.hpp>
#include <lanloom/crypto/random.hpp>

#include <algorithm>

namespace lanloom::core {

namespace {
using crypto::blake2b;

std::uint8_t bit_of(crypto::suite s) noexcept {
  return s == crypto::suite::aes_256_gcm ? wire::suite_bit_aes_256_gcm : wire::suite_bit_chacha20_poly1305;
}

std::optional<crypto::suite> suite_of(std::uint8_t number) noexcept {
  if (number == static_cast<std::uint8_t>(crypto::suite::chacha20_poly1305)) return crypto::suite::chacha20_poly1305;
  if (number == static_cast<std::uint8_t>(crypto::suite::aes_256_gcm)) return crypto::suite::aes_256_gcm;
  return std::nullopt;
}

crypto::aead_key transport_key(const crypto::secret<32>& half, crypto::suite s, bytes_view transcript,
                               const crypto::gcm_engine& engine) {
  const auto number = static_cast<std::uint8_t>(s);
  crypto::secret<32> key;
  blake2b(key.writable(), {as_bytes("lanloom-v1 transport"), bytes_view(&number, 1), transcript}, half.view());
  return {s, key, engine};
}
}  // namespace

network::network(std::string_view name, const std::optional<crypto::secret<32>>& secret) {
  blake2b(id_, {as_bytes("network-id"), as_bytes(name)});
  if (secret) {
    blake2b(gate_.writable(), {as_bytes("gate")}, secret->view());
    blake2b(psk_.writable(), {as_bytes("psk")}, secret->view());
  } else {
    const auto gate = gate_.writable();
    std::copy(id_.begin(), id_.end(), std::copy(id_.begin(), id_.end(), gate.begin()));
  }
}

network::mac1_key network::mac1_key_of(const crypto::public_key& receiver) const noexcept {
  mac1_key key;
  blake2b(key.writable(), {as_bytes("mac1"), receiver.bytes}, gate_.view());
  return key;
}

crypto::secret<32> network::cookie_key_of(const crypto::public_key& sender) const noexcept {
  crypto::secret<32> key;
  blake2b(key.writable(), {as_bytes("cookie"), sender.bytes}, gate_.view());
  return key;
}

network::prologue network::prologue_of(std::span<const std::uint8_t, 8> clear_header) const noexcept {
  prologue out;
  const bytes_view name = as_bytes("lanloom-v1");
  auto at = std::copy(name.begin(), name.end(), out.begin());
  at = std::copy(id_.begin(), id_.end(), at);
  std::copy(clear_header.begin(), clear_header.end(), at);
  return out;
}

void write_mac1(const network::mac1_key& key, bytes_view before, std::span<std::uint8_t, 16> mac1) noexcept {
  blake2b(mac1, {before}, key.view());
}

bool check_mac1(const network::mac1_key& key, bytes_view before, std::span<const std::uint8_t, 16> mac1) noexcept {
  std::array<std::uint8_t, 16> expected;
  write_mac1(key, before, expected);
  return crypto::equal(expected, mac1);
}

wire::tai64n next_stamp(wall_time at, const wire::tai64n& last) noexcept {
  constexpr std::uint64_t tai_epoch = 0x400000000000000aULL;  // 1970 in TAI64, ten leap seconds
  constexpr std::uint32_t tick = 1U << 24;
  constexpr std::uint32_t second = 1'000'000'000;
  const auto since = std::max(at.time_since_epoch(), duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
  wire::tai64n stamp;
  store_be64(stamp.bytes.data(), tai_epoch + static_cast<std::uint64_t>(seconds.count()));
  store_be32(stamp.bytes.data() + 8, static_cast<std::uint32_t>((since - seconds).count()) & ~(tick - 1));
  if (stamp > last) return stamp;

  // The clock stood still or was set back: one tick after the last stamp.
  stamp = last;
  const std::uint32_t nanoseconds = load_be32(last.bytes.data() + 8) + tick;
  store_be32(stamp.bytes.data() + 8, nanoseconds < second ? nanoseconds : 0);
  if (nanoseconds >= second) store_be64(stamp.bytes.data(), load_be64(last.bytes.data()) + 1);
  return stamp;
}

wire::tai64n later(const wire::tai64n& stamp, std::chrono::seconds by) noexcept {
  wire::tai64n sum = stamp;
  store_be64(sum.bytes.data(), load_be64(stamp.bytes.data()) + static_cast<std::uint64_t>(by.count()));
  return sum;
}

// ---- initiator

std::optional<initiation> initiation::begin(const self& own, const network& net, const crypto::public_key& peer,
                                            const network::mac1_key& peer_mac1, session_id index,
                                            const wire::tai64n& stamp, crypto::random& source, datagram& out) {
  out.fill(0);
  const wire::initiation_layout parts = wire::format_initiation(out, index.value);
  std::array<std::uint8_t, wire::payload_1_size> payload;
  wire::format_payload(payload, wire::initiation_payload{stamp, own.suites, own.lan_mtu, own.boot_id, 0});
  crypto::noise_initiator noise(own.keys, peer, net.prologue_of(parts.clear_header));
  if (!noise.write_message_1(crypto::make_key_pair(source), payload, parts.ephemeral, parts.sealed_static,
                             parts.sealed_payload)) {
    return std::nullopt;
  }
  write_mac1(peer_mac1, parts.before_mac1, parts.mac1);
  return initiation(std::move(noise), index, own.engine);
}

drop initiation::read_response(const wire::response_view& response, const crypto::secret<32>& psk,
                               std::uint8_t suites_offered, std::optional<agreement>& out) noexcept {
  std::array<std::uint8_t, wire::payload_2_size + wire::max_tlv_bytes> room;
  const bytes_span plain = bytes_span(room).first(response.sealed_payload.size() - wire::tag_size);
  if (!noise_.read_message_2(psk, response.ephemeral, response.sealed_payload, plain)) return drop::bad_handshake;
  spent_ = true;
  const auto payload = wire::parse_response_payload(plain);
  if (!payload || payload->sender_index != response.sender_index) return drop::bad_handshake;
  const auto chosen = suite_of(payload->suite);
  if (!chosen || (bit_of(*chosen) & suites_offered) == 0) return drop::no_common_suite;

  crypto::noise_result keys;
  noise_.split(keys);
  out.emplace(agreement{transport_key(keys.k1, *chosen, keys.hash, engine_),
                        transport_key(keys.k2, *chosen, keys.hash, engine_), response.sender_index, payload->boot_id,
                        payload->lan_mtu});
  return drop::none;
}

// ---- responder

answer::answer(const self& own, const network& net, const wire::initiation_view& message) noexcept
    : own_(own), message_(message), noise_(own.keys, net.prologue_of(message.clear_header)) {}

drop answer::read_peer(crypto::public_key& peer) noexcept {
  return noise_.read_static(message_.ephemeral, message_.sealed_static, peer) ? drop::none : drop::bad_handshake;
}

drop answer::read_payload(wire::initiation_payload& payload) noexcept {
  std::array<std::uint8_t, wire::payload_1_size + wire::max_tlv_bytes> room;
  const bytes_span plain = bytes_span(room).first(message_.sealed_payload.size() - wire::tag_size);
  if (!noise_.read_payload(message_.sealed_payload, plain)) return drop::bad_handshake;
  const auto parsed = wire::parse_initiation_payload(plain);
  if (!parsed) return drop::bad_handshake;
  payload = payload_ = *parsed;
  return drop::none;
}

drop answer::respond(const network::mac1_key& peer_mac1, const crypto::secret<32>& psk, session_id index,
                     const endpoint& from, crypto::random& source, datagram& out,
                     std::optional<agreement>& keys) noexcept {
  const std::uint8_t common = own_.suites & payload_.suites;
  if (common == 0) return drop::no_common_suite;
  const crypto::suite chosen =
      (common & wire::suite_bit_aes_256_gcm) != 0 ? crypto::suite::aes_256_gcm : crypto::suite::chacha20_poly1305;

  out.fill(0);
  const wire::response_layout parts = wire::format_response(out, index.value, message_.sender_index);
  wire::response_payload said{};
  said.suite = static_cast<std::uint8_t>(chosen);
  said.lan_mtu = own_.lan_mtu;
  said.sender_index = index.value;
  said.boot_id = own_.boot_id;
  said.observed = from;
  std::array<std::uint8_t, wire::payload_2_size> payload;
  wire::format_payload(payload, said);
  if (!noise_.write_message_2(crypto::make_key_pair(source), psk, payload, parts.ephemeral, parts.sealed_payload)) {
    return drop::bad_handshake;
  }
  write_mac1(peer_mac1, parts.before_mac1, parts.mac1);

  crypto::noise_result result;
  noise_.split(result);
  keys.emplace(agreement{transport_key(result.k2, chosen, result.hash, own_.engine),
                         transport_key(result.k1, chosen, result.hash, own_.engine), message_.sender_index,
                         payload_.boot_id, payload_.lan_mtu});
  return drop::none;
}

}  // namespace lanloom::core
