// SPDX-License-Identifier: Apache-2.0
// path_pings.hpp - the pings by which the path to one peer is measured: when, of which size, and what their fate says.
//
// Pure: time and tokens are handed in. Invariants: (1) a ping is due only while data was sent less than `flows` ago;
// (2) one size is tried at a time, and is given up only when a small ping that was sent beside it was answered: what
// takes everything is no question of size; (3) a pong counts only with the token and the size of a ping that was sent,
// so nobody can vouch for one that he did not receive. Owner: lane::link. Spec: PROTOCOL.md 5.7.
#pragma once

#include <lanloom/base/endpoint.hpp>
#include <lanloom/core/path_mtu.hpp>
#include <lanloom/core/round_trip.hpp>

#include <array>
#include <cstddef>

namespace lanloom::core {

class path_pings {
 public:
  static constexpr std::chrono::seconds flows{10};
  static constexpr std::chrono::seconds pace{10};  // between small pings: for the round trip
  static constexpr std::chrono::seconds check{5};  // between pings of size(), while datagrams of that size may be sent
  static constexpr std::chrono::milliseconds pause{10};  // after the kernel refused one
  static constexpr unsigned tries = 3;
  static constexpr std::size_t large_frame = 512;  // smaller ones do not fill a datagram
  static constexpr std::size_t remembered = 8;

  // Of one turn: none, one, or a small one and one that is tried again.
  struct batch {
    std::array<std::uint16_t, 2> sizes;
    std::size_t count = 0;
  };

  path_pings() = default;
  // `stagger`: how long the first ping waits, so that a flood to all peers does not ping them all at once.
  explicit path_pings(duration stagger) noexcept : stagger_(stagger) {}

  // Another way. `most`: bytes of plaintext beyond which a datagram is never filled.
  void begin(const endpoint& to, std::size_t most) noexcept;
  // Data of so many bytes goes this way. Whether due() may be earlier now.
  [[nodiscard]] bool on_data(std::size_t bytes, time_point now) noexcept {
    if (!flowing(now) || (bytes > large_frame && !large_)) {
      on_news(bytes, now);
      return true;
    }
    last_data_ = now;
    return false;
  }
  // What to send now, as sizes of IP packets. Each is to be sent, and on_sent() told.
  [[nodiscard]] batch on_timer(time_point now) noexcept;
  void on_sent(std::uint64_t token, std::uint16_t size, time_point now) noexcept;
  // `plain`: size of the ping's plaintext, as the pong says. Whether it answers one of ours.
  bool on_pong(std::uint64_t token, std::size_t plain, time_point now) noexcept;
  // The kernel refused a datagram of `bytes`. Whether that was a ping larger than any data, and so no loss.
  bool on_refused(std::size_t bytes) noexcept;

  [[nodiscard]] time_point due() const noexcept;
  // Bytes of plaintext that one datagram carries.
  [[nodiscard]] std::size_t room() const noexcept { return plain_of(mtu_.size()); }
  [[nodiscard]] std::size_t plain_of(std::uint16_t size) const noexcept { return size - overhead_; }
  [[nodiscard]] const path_mtu& mtu() const noexcept { return mtu_; }
  [[nodiscard]] const round_trip& times() const noexcept { return times_; }

 private:
  struct ping {
    std::uint64_t token = 0;
    std::uint16_t size = 0;  // 0: none, or answered
    time_point at{};
  };

  [[nodiscard]] bool flowing(time_point now) const noexcept { return last_data_ && now - *last_data_ < flows; }
  void on_news(std::size_t bytes, time_point now) noexcept;
  void on_timeout(time_point now) noexcept;
  void finish(time_point now) noexcept;

  path_mtu mtu_;
  std::uint16_t overhead_ = 0;  // of IP, UDP, header and tag
  std::uint16_t small_ = 0;     // the smallest ping
  bool large_ = false;          // large data was sent since the last ping
  std::optional<time_point> last_data_;
  time_point next_{};  // ping, if data flows then

  bool waiting_ = false;  // for the answer to a ping of trying_
  bool counts_ = false;   // as lost, if it gets none
  std::uint16_t trying_ = 0;
  unsigned lost_ = 0;           // of trying_, in a row
  bool others_passed_ = false;  // a small one, meanwhile
  time_point sent_at_{};
  duration timeout_{};
  std::array<ping, remembered> sent_;
  std::size_t turn_ = 0;
  duration stagger_{};
  round_trip times_;
};

}  // namespace lanloom::core
