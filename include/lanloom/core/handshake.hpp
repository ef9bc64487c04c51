// SPDX-License-Identifier: Apache-2.0
// handshake.hpp - the datagrams of a handshake: made, checked and turned into transport keys. PROTOCOL.md 2.
//
// Everything here is a function of bytes and keys: which peer may shake hands when, and what becomes of the result, is
// node's. Invariants: (1) nothing is answered before mac1, both DH tokens and the payload verified; (2) an answer is
// never larger than its cause; (3) a static-static result is never kept. Drops: bad_mac1, bad_handshake,
// no_common_suite.
#pragma once

#include <lanloom/base/clock.hpp>
#include <lanloom/base/drop.hpp>
#include <lanloom/core/ids.hpp>
#include <lanloom/crypto/aead.hpp>
#include <lanloom/crypto/noise.hpp>
#include <lanloom/wire/datagram.hpp>
#include <lanloom/wire/payload.hpp>

#include <optional>
#include <string_view>

namespace lanloom::crypto {
class random;
}

namespace lanloom::core {

// What both sides must agree on before a handshake is even looked at.
class network {
 public:
  network(std::string_view name, const std::optional<crypto::secret<32>>& secret);

  using mac1_key = crypto::secret<32>;
  [[nodiscard]] mac1_key mac1_key_of(const crypto::public_key& receiver) const noexcept;
  [[nodiscard]] crypto::secret<32> cookie_key_of(const crypto::public_key& sender) const noexcept;
  [[nodiscard]] const std::array<std::uint8_t, 16>& id() const noexcept { return id_; }
  // "lanloom-v1" || network id || the initiation's first 8 bytes.
  using prologue = std::array<std::uint8_t, 34>;
  [[nodiscard]] prologue prologue_of(std::span<const std::uint8_t, 8> clear_header) const noexcept;
  // For a peer without a preshared key of its own: from the network secret, else zeros.
  [[nodiscard]] const crypto::secret<32>& psk() const noexcept { return psk_; }

 private:
  std::array<std::uint8_t, 16> id_{};
  crypto::secret<32> gate_;
  crypto::secret<32> psk_;
};

// Writes (or checks) the BLAKE2b-128 over everything before it.
void write_mac1(const network::mac1_key& key, bytes_view before, std::span<std::uint8_t, 16> mac1) noexcept;
[[nodiscard]] bool check_mac1(const network::mac1_key& key, bytes_view before,
                              std::span<const std::uint8_t, 16> mac1) noexcept;

// The time stamp of an initiation: `at` in TAI64N with nanoseconds cut to multiples of 2^24, and later than `last`.
[[nodiscard]] wire::tai64n next_stamp(wall_time at, const wire::tai64n& last) noexcept;
[[nodiscard]] wire::tai64n later(const wire::tai64n& stamp, std::chrono::seconds by) noexcept;

// Our side of every handshake.
struct self {
  crypto::key_pair keys;
  std::uint8_t suites;  // bits we offer and accept
  std::uint16_t lan_mtu;
  std::uint64_t boot_id;
  crypto::gcm_engine engine{};  // for the transport keys
};

// What a completed handshake gives: keys by direction, and what the peer said.
struct agreement {
  crypto::aead_key send;
  crypto::aead_key receive;
  std::uint32_t remote_index;
  std::uint64_t boot_id;
  std::uint16_t lan_mtu;
};

// An initiation under way: one datagram sent, one response awaited.
class initiation {
 public:
  using datagram = std::array<std::uint8_t, wire::initiation_size>;

  // Fills `out`. Nothing when the peer's public key is a low-order point.
  [[nodiscard]] static std::optional<initiation> begin(const self& own, const network& net,
                                                       const crypto::public_key& peer,
                                                       const network::mac1_key& peer_mac1, session_id index,
                                                       const wire::tai64n& stamp, crypto::random& source,
                                                       datagram& out);

  // drop::none and an agreement, or why not. Unless it is spent() then, a genuine response may still come.
  drop read_response(const wire::response_view& response, const crypto::secret<32>& psk, std::uint8_t suites_offered,
                     std::optional<agreement>& out) noexcept;

  // A response by the peer itself was read, good or not: this handshake is over.
  [[nodiscard]] bool spent() const noexcept { return spent_; }
  [[nodiscard]] session_id index() const noexcept { return index_; }

 private:
  initiation(crypto::noise_initiator&& noise, session_id index, const crypto::gcm_engine& engine) noexcept
      : noise_(std::move(noise)), index_(index), engine_(engine) {}

  crypto::noise_initiator noise_;
  session_id index_;
  crypto::gcm_engine engine_;
  bool spent_ = false;
};

// An initiation that came in, read step by step so that the caller can refuse between the steps.
class answer {
 public:
  using datagram = std::array<std::uint8_t, wire::response_size>;

  answer(const self& own, const network& net, const wire::initiation_view& message) noexcept;

  // Who it is. drop::bad_handshake when it was not made for our key.
  drop read_peer(crypto::public_key& peer) noexcept;
  // What it says. drop::bad_handshake when it is not authentic or malformed.
  drop read_payload(wire::initiation_payload& payload) noexcept;
  // Fills `out` and gives the keys. drop::no_common_suite or bad_handshake.
  drop respond(const network::mac1_key& peer_mac1, const crypto::secret<32>& psk, session_id index,
               const endpoint& from, crypto::random& source, datagram& out, std::optional<agreement>& keys) noexcept;

 private:
  const self& own_;
  wire::initiation_view message_;
  crypto::noise_responder noise_;
  wire::initiation_payload payload_{};
};

}  // namespace lanloom::core
