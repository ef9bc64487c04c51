// SPDX-License-Identifier: Apache-2.0
// handshake_queue.hpp - handshake messages that wait to be computed: places for everybody, places kept for peers'
// initiations, and places for responses.
//
// A flood can fill the common places only. The kept ones hold one initiation of each source. Of responses by one peer
// four wait from where we asked and one from elsewhere: a few that are no good do not keep the good one out, and who
// heard an initiation of ours and forges responses takes no place of another peer (seven such peers' fill the ring).
// The three are served in turn, so that none starves. Memory: taken at construction. Owner: node. Drop:
// handshake_queue_full.
#pragma once

#include <lanloom/base/endpoint.hpp>
#include <lanloom/core/cookie.hpp>
#include <lanloom/core/ids.hpp>
#include <lanloom/wire/datagram.hpp>

#include <array>
#include <vector>

namespace lanloom::core {

class handshake_queue {
 public:
  static constexpr std::size_t kept_places = 16;
  static constexpr std::size_t common_places = 48;
  static constexpr std::size_t response_places = 32;
  static constexpr std::size_t asked_per_peer = 4;      // responses of one peer from where we asked
  static constexpr std::size_t elsewhere_per_peer = 1;  // and from other addresses

  struct waiting {
    endpoint from;
    std::uint16_t size = 0;
    bool proven = false;  // an initiation: its source is, by a cookie
    bool asked = false;   // a response: its source is where we asked
    peer_id peer;         // a response: whom we asked
    std::array<std::uint8_t, wire::initiation_size + wire::max_tlv_bytes> bytes;
    [[nodiscard]] bytes_view view() const noexcept { return bytes_view(bytes).first(size); }
  };

  // False when there is no place. REQUIRES a datagram that wire::classify found to be of type 1, for push_response 2.
  [[nodiscard]] bool push(const endpoint& from, bytes_view datagram) noexcept {
    return rings_[common].push(from, datagram) != nullptr;
  }
  // One at a time for each source: a stranger who proves one address must not fill all places from it.
  [[nodiscard]] bool push_proven(const endpoint& from, bytes_view datagram) noexcept;
  [[nodiscard]] bool push_kept(const endpoint& from, bytes_view datagram) noexcept {
    return !rings_[kept].holds(from) && rings_[kept].push(from, datagram) != nullptr;
  }
  [[nodiscard]] bool push_response(const endpoint& from, bool asked, peer_id peer, bytes_view datagram) noexcept;
  // REQUIRES !empty(). Valid until the next push.
  [[nodiscard]] const waiting& pop() noexcept {
    do turn_ = (turn_ + 1) % rings_.size();
    while (rings_[turn_].count == 0);
    return rings_[turn_].pop();
  }
  [[nodiscard]] std::size_t initiations() const noexcept { return rings_[kept].count + rings_[common].count; }
  [[nodiscard]] std::size_t responses() const noexcept { return rings_[response].count; }
  [[nodiscard]] bool empty() const noexcept { return initiations() + responses() == 0; }

 private:
  struct ring {
    explicit ring(std::size_t size) : all(size) {}
    waiting* push(const endpoint& from, bytes_view datagram) noexcept;  // null: no place
    const waiting& pop() noexcept;
    [[nodiscard]] bool holds(const endpoint& from) const noexcept;
    [[nodiscard]] bool holds_proven(const flood_source& source) const noexcept;
    [[nodiscard]] std::size_t responses_of(peer_id peer, bool asked) const noexcept;

    std::vector<waiting> all;
    std::size_t first = 0;
    std::size_t count = 0;
  };

  enum kind : std::size_t { kept, response, common };
  std::array<ring, 3> rings_{ring(kept_places), ring(response_places), ring(common_places)};
  std::size_t turn_ = common;  // served last
};

}  // namespace lanloom::core
