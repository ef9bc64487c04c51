// SPDX-License-Identifier: Apache-2.0
// flood_gate.hpp - which handshake messages get a place in the queue, and which get a cookie reply instead.
// PROTOCOL.md 2.4.
//
// Under load: more than busy_places initiations wait, or the budget for handshakes is empty; and for `sticky` after it
// was so. Then an initiation must prove its address by mac2. A peer's known address is let in without, one message at a
// time, so that a flood that uses up the cookie replies keeps no peer from a new session. What it is given has a good
// mac1 already. Invariant: an answer is a cookie reply, smaller than its cause. Owner: node.
#pragma once

#include <lanloom/base/drop.hpp>
#include <lanloom/core/cookie.hpp>
#include <lanloom/core/handshake_queue.hpp>
#include <lanloom/core/outbox.hpp>
#include <lanloom/core/work_budget.hpp>

#include <optional>

namespace lanloom::core {

class flood_gate {
 public:
  static constexpr std::size_t busy_places = 16;
  static constexpr std::chrono::seconds sticky{1};

  explicit flood_gate(crypto::secret<32> cookie_key) : cookie_key_(std::move(cookie_key)) {}

  // Queues it, or says why not. `known`: whether a peer is known at this address; asked under load only.
  template <class Known>
  drop on_initiation(bytes_view datagram, const endpoint& from, time_point now, Known&& known, crypto::random& source,
                     outbox& out) noexcept {
    if (!under_load(now)) return queue_.push(from, datagram) ? drop::none : drop::handshake_queue_full;
    const bool proven = secret_.check(wire::parse_initiation(datagram), from, now, source);
    if (proven && queue_.push_proven(from, datagram)) return drop::none;
    if (known() && queue_.push_kept(from, datagram)) return drop::none;
    if (proven) return drop::handshake_queue_full;
    answer(datagram, from, now, source, out);
    return drop::no_cookie;
  }
  // REQUIRES a response to a handshake under way with this peer. Who can name that handshake has seen our initiation:
  // no cookie is asked of it, and it gets a place where strangers have none. `asked`: whether it comes from where we
  // sent that.
  drop on_response(bytes_view datagram, const endpoint& from, bool asked, peer_id peer) noexcept {
    return queue_.push_response(from, asked, peer, datagram) ? drop::none : drop::handshake_queue_full;
  }

  [[nodiscard]] bool under_load(time_point now) noexcept;
  [[nodiscard]] handshake_queue& queue() noexcept { return queue_; }
  [[nodiscard]] const handshake_queue& queue() const noexcept { return queue_; }
  [[nodiscard]] work_budget& budget() noexcept { return budget_; }
  // When waiting messages may be computed, where it is the budget that they wait for.
  [[nodiscard]] time_point due() const noexcept;

 private:
  void answer(bytes_view datagram, const endpoint& from, time_point now, crypto::random& source, outbox& out) noexcept;

  crypto::secret<32> cookie_key_;  // our own
  handshake_queue queue_;
  work_budget budget_;
  cookie_secret secret_;
  cookie_limit limit_;
  std::optional<time_point> loaded_;  // last seen so
};

}  // namespace lanloom::core
