// SPDX-License-Identifier: Apache-2.0
// session.hpp - one pair of transport keys and all that must stay true of them.
//
// A session is made by a finished handshake and only ever ages. Invariants:
//  (1) a counter is used once: it only grows, and nothing is sealed at 2^60 datagrams, 2^34 cipher blocks or 175 s;
//  (2) the window moves only for datagrams whose tag verified;
//  (3) nothing is opened from 185 s on, or with a counter of 2^60 or more.
// Thread: the node's. Owner: lane's session table. Drops: expired, replayed, bad_tag. Spec: PROTOCOL.md 3 and 5.
#pragma once

#include <lanloom/base/clock.hpp>
#include <lanloom/base/drop.hpp>
#include <lanloom/core/ids.hpp>
#include <lanloom/core/replay_window.hpp>
#include <lanloom/crypto/aead.hpp>
#include <lanloom/wire/datagram.hpp>

namespace lanloom::core {

class session {
 public:
  static constexpr std::chrono::seconds rekey_after{120};
  static constexpr std::chrono::seconds rekey_receiving_after{165};
  static constexpr std::chrono::seconds send_until{175};
  static constexpr std::chrono::seconds receive_until{185};
  static constexpr std::uint64_t rekey_datagrams = std::uint64_t{1} << 59;
  static constexpr std::uint64_t max_datagrams = std::uint64_t{1} << 60;
  static constexpr std::uint64_t rekey_blocks = std::uint64_t{1} << 33;
  static constexpr std::uint64_t max_blocks = std::uint64_t{1} << 34;

  struct identity {
    peer_id peer;
    session_id local;       // index that incoming datagrams bear
    std::uint32_t remote;   // index that outgoing datagrams bear
    bool initiator;         // we initiated it
    std::uint16_t lan_mtu;  // what the peer says of its side
    time_point born;
  };

  // What the sending key has sealed.
  struct usage {
    std::uint64_t datagrams;
    std::uint64_t blocks;
  };

  // `sealed`: nothing, but for who tries out the limits.
  session(const identity& who, crypto::aead_key&& send, crypto::aead_key&& receive, usage sealed = {}) noexcept
      : who_(who), send_(std::move(send)), receive_(std::move(receive)), sealed_(sealed), confirmed_(who.initiator) {}

  // Seals `count` plaintexts into out, one every `stride` bytes, each with its header and tag; the last may be shorter.
  // next(k) yields plaintext k (at most stride - 32 bytes) and may overwrite plaintext k-1. REQUIRES can_send(count,
  // ...) and room for all. Returns the bytes used.
  template <class Next>
  std::size_t seal(std::size_t count, bytes_span out, std::size_t stride, Next&& next) noexcept {
    std::size_t used = 0;
    send_.seal(count, [&](std::size_t k) noexcept {
      const bytes_view plain = next(k);
      std::uint8_t* datagram = out.data() + k * stride;
      const std::span<std::uint8_t, wire::data_header_size> header(datagram, wire::data_header_size);
      const std::uint64_t counter = take_counter(plain.size());
      wire::format_data_header(header, who_.remote, counter);
      used = k * stride + plain.size() + wire::data_overhead;
      return crypto::aead_key::message{counter, header, plain, datagram + wire::data_header_size};
    });
    return used;
  }

  // Opens a data datagram in place. On drop::none its plaintext is datagram.sealed without the last 16 bytes.
  drop open(const wire::data_view& datagram, time_point now) noexcept;

  // Whether `count` datagrams of at most `plain` bytes each may be sealed now.
  [[nodiscard]] bool can_send(time_point now, std::size_t count = 1, std::size_t plain = 65535) const noexcept;
  // Whether the limits ask for a new session: by age only of its initiator.
  [[nodiscard]] bool wants_rekey(time_point now) const noexcept;
  [[nodiscard]] bool is_newest(std::uint64_t counter) const noexcept { return window_.is_newest(counter); }

  [[nodiscard]] const identity& who() const noexcept { return who_; }
  [[nodiscard]] duration age(time_point now) const noexcept { return now - who_.born; }
  [[nodiscard]] crypto::suite suite() const noexcept { return send_.suite(); }
  [[nodiscard]] std::string_view cipher() const noexcept { return send_.name(); }
  // Whether the other side is known to have it: an initiator's from the start, a responder's from the first datagram.
  [[nodiscard]] bool confirmed() const noexcept { return confirmed_; }
  void confirm() noexcept { confirmed_ = true; }

 private:
  [[nodiscard]] std::uint64_t take_counter(std::size_t plain) noexcept {
    sealed_.blocks += blocks_of(plain);
    return sealed_.datagrams++;
  }
  [[nodiscard]] static constexpr std::uint64_t blocks_of(std::size_t plain) noexcept { return (plain + 15) / 16 + 2; }

  identity who_;
  crypto::aead_key send_;
  crypto::aead_key receive_;
  usage sealed_;  // .datagrams is the next counter
  replay_window window_;
  bool confirmed_;
};

}  // namespace lanloom::core
