// SPDX-License-Identifier: Apache-2.0
// handshake_queue.hpp - handshake messages that wait to be computed: places for everybody, and places kept for peers.
//
// A flood can fill the common places only. The kept ones hold one initiation and one response of each source, and are
// served in turn with the common ones, so that neither starves. Memory: taken at construction. Owner: node.
// Drop: handshake_queue_full.
#pragma once

#include <lanloom/base/endpoint.hpp>
#include <lanloom/core/cookie.hpp>
#include <lanloom/wire/datagram.hpp>

#include <array>
#include <vector>

namespace lanloom::core {

class handshake_queue {
 public:
  static constexpr std::size_t places = 64;
  static constexpr std::size_t kept_places = 16;
  static constexpr std::size_t common_places = places - kept_places;

  struct waiting {
    endpoint from;
    std::uint16_t size = 0;
    bool proven = false;  // its source, by a cookie
    std::array<std::uint8_t, wire::initiation_size + wire::max_tlv_bytes> bytes;
    [[nodiscard]] bytes_view view() const noexcept { return bytes_view(bytes).first(size); }
  };

  handshake_queue() : common_(common_places), kept_(kept_places) {}

  // False when there is no place. REQUIRES a datagram that wire::classify found to be of type 1 or 2.
  [[nodiscard]] bool push(const endpoint& from, bytes_view datagram) noexcept { return common_.push(from, datagram); }
  // One at a time for each source: a stranger who proves one address must not fill all places from it.
  [[nodiscard]] bool push_proven(const endpoint& from, bytes_view datagram) noexcept {
    return !common_.holds_proven(source_of(from)) && common_.push(from, datagram, true);
  }
  [[nodiscard]] bool push_kept(const endpoint& from, bytes_view datagram) noexcept {
    return !kept_.holds(from, datagram.front()) && kept_.push(from, datagram);
  }
  // REQUIRES !empty(). Valid until the next push.
  [[nodiscard]] const waiting& pop() noexcept {
    kept_next_ = kept_.count > 0 && (kept_next_ || common_.count == 0);
    ring& from = kept_next_ ? kept_ : common_;
    kept_next_ = !kept_next_;
    return from.pop();
  }
  [[nodiscard]] std::size_t size() const noexcept { return common_.count + kept_.count; }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }

 private:
  struct ring {
    explicit ring(std::size_t size) : all(size) {}
    bool push(const endpoint& from, bytes_view datagram, bool proven = false) noexcept;
    const waiting& pop() noexcept;
    [[nodiscard]] bool holds(const endpoint& from, std::uint8_t type) const noexcept;
    [[nodiscard]] bool holds_proven(const flood_source& source) const noexcept;

    std::vector<waiting> all;
    std::size_t first = 0;
    std::size_t count = 0;
  };

  ring common_;
  ring kept_;
  bool kept_next_ = true;
};

}  // namespace lanloom::core
