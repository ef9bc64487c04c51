// SPDX-License-Identifier: Apache-2.0
// cookie.hpp - what proves, under load, that the sender of an initiation receives at its address. PROTOCOL.md 2.4.
//
// A cookie is a function of the address and of a secret that changes, so nothing is kept per stranger. What is kept to
// bound the answers has a constant size. Time and random bytes are the caller's. Owner: node. Neither allocates nor
// throws.
#pragma once

#include <lanloom/base/clock.hpp>
#include <lanloom/base/endpoint.hpp>
#include <lanloom/core/handshake.hpp>
#include <lanloom/core/token_bucket.hpp>

#include <array>

namespace lanloom::core {

using cookie = std::array<std::uint8_t, 16>;

inline constexpr std::chrono::seconds cookie_life{120};  // how long an initiator uses one, and a secret is used for new

// The responder's side.
class cookie_secret {
 public:
  [[nodiscard]] cookie make(const endpoint& from, time_point now, crypto::random& source) noexcept;
  // Whether mac2 was made with a cookie for this address, of the present secret or the one before: so a cookie is good
  // for cookie_life at least, and twice that at most.
  [[nodiscard]] bool check(const wire::initiation_view& message, const endpoint& from, time_point now,
                           crypto::random& source) noexcept;

 private:
  void replace(time_point now, crypto::random& source) noexcept;

  crypto::secret<32> present_;
  crypto::secret<32> before_;
  std::optional<time_point> since_;  // of present_
  bool has_before_ = false;
};

// Fills a datagram of wire::cookie_reply_size, and reads one. `key`: network::cookie_key_of(who sends the reply).
void write_cookie_reply(bytes_span datagram, const crypto::secret<32>& key, const wire::initiation_view& cause,
                        const cookie& given, crypto::random& source) noexcept;
[[nodiscard]] bool read_cookie_reply(const wire::cookie_reply_view& reply, const crypto::secret<32>& key,
                                     std::span<const std::uint8_t, 16> mac1, cookie& given) noexcept;

// The last 16 bytes of an initiation that is complete otherwise.
void write_mac2(const cookie& with, bytes_span datagram) noexcept;

// Where a stranger sends from: an IPv4 address, or the /64 of an IPv6 address, since whoever has one address of a /64
// mostly has all of it.
using flood_source = std::array<std::uint8_t, 16>;
[[nodiscard]] flood_source source_of(const endpoint& from) noexcept;

// How many cookie replies leave.
class cookie_limit {
 public:
  static constexpr token_bucket::rate all{std::chrono::milliseconds{1}, 16};
  static constexpr std::chrono::milliseconds gap{100};  // between two to one source
  // What leaves in `gap`, at most: so that a source is forgotten only when it may be answered again.
  static constexpr std::size_t sources = 128;
  static_assert(sources >= all.burst + gap / all.gap + 1);

  [[nodiscard]] bool take(const endpoint& to, time_point now) noexcept;

 private:
  struct answered {
    flood_source to{};
    std::optional<time_point> at;
  };
  std::array<answered, sources> last_;  // ring
  std::size_t next_ = 0;
  token_bucket all_;
};

}  // namespace lanloom::core
