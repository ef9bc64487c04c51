// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/loop_guard.hpp>

#include <algorithm>

namespace lanloom::core {

loop_guard::loop_guard(const std::array<std::uint8_t, 16>& network, const crypto::public_key& own,
                       std::span<const crypto::public_key> peers, std::uint64_t nonce, time_point now)
    : own_{network, own.bytes, nonce, false}, neighbours_(peers.size() + 1), opens_at_(now + hold), next_probe_(now) {
  known_.reserve(peers.size());
  for (std::size_t i = 0; i < peers.size(); ++i) known_.push_back({peers[i], peer_id{static_cast<std::uint16_t>(i)}});
  std::sort(known_.begin(), known_.end(), [](const known& a, const known& b) { return a.key < b.key; });
  news_.reserve(max_news);
}

drop loop_guard::on_lan_probe(const wire::loop_probe& probe, time_point now) noexcept {
  // Whatever its nonce: a probe of an earlier start that still goes round, or a second host with our key, is no better.
  if (probe.sender == own_.sender) {
    on_neighbour(std::nullopt, true, now);
    return drop::none;
  }
  const auto found = std::lower_bound(known_.begin(), known_.end(), probe.sender,
                                      [](const known& k, const auto& key) { return k.key.bytes < key; });
  if (found == known_.end() || found->key.bytes != probe.sender) return drop::stray_probe;
  if (probe.sender < own_.sender) {
    on_neighbour(found->peer, true, now);
    return drop::none;
  }
  neighbour& n = of(found->peer);
  if (probe.closed) {
    n.open_since.reset();
    on_neighbour(found->peer, false, now);
    return drop::none;
  }
  if (!n.open_since) n.open_since = now;
  on_neighbour(found->peer, n.blocking_at || now - *n.open_since >= yield_after, now);
  return drop::none;
}

drop loop_guard::on_peer_probe(peer_id from, const wire::loop_probe& probe, time_point now) noexcept {
  // A peer with a guard passes no probe on. One without did, and by the nonce ours came to its LAN, not from somebody
  // who made it up: there is a way round, and it cannot be the peer that blocks.
  if (probe.sender == own_.sender && probe.nonce == own_.nonce) on_neighbour(from, true, now);
  return drop::stray_probe;
}

void loop_guard::on_neighbour(std::optional<peer_id> who, bool is_reason, time_point now) noexcept {
  neighbour& n = of(who);
  const bool is_new = !n.since;
  if (is_new) n.since = now;
  n.seen = now;
  if (is_reason) {
    if (!n.blocking_at) tell(news::kind::blocked, who);
    n.blocking_at = now;
    blocked_ = true;
  } else if (is_new) {
    tell(news::kind::seen, who);
  }
}

bool loop_guard::on_timer(time_point now) noexcept {
  blocked_ = false;
  for (std::size_t i = 0; i < neighbours_.size(); ++i) {
    neighbour& n = neighbours_[i];
    if (!n.since) continue;
    const auto who = i == 0 ? std::nullopt : std::optional(peer_id{static_cast<std::uint16_t>(i - 1)});
    if (now - n.seen >= heal_after) {
      n = {};
      tell(news::kind::healed, who);
    } else if (n.blocking_at && now - *n.blocking_at >= heal_after) {
      n.blocking_at.reset();
      tell(news::kind::seen, who);
    }
    blocked_ = blocked_ || n.blocking_at;
  }
  if (now < next_probe_) return false;
  next_probe_ = now + probe_every;
  return true;
}

wire::loop_probe loop_guard::probe(time_point now) const noexcept {
  wire::loop_probe p = own_;
  p.closed = blocks(now);
  return p;
}

loop_guard::report loop_guard::state(time_point now) const noexcept {
  report r;
  r.blocked = blocks(now);
  // What blocks comes first, then what has been there for longest.
  const neighbour* shown = nullptr;
  for (const neighbour& n : neighbours_) {
    if (!n.since || (shown != nullptr && shown->blocking_at && !n.blocking_at)) continue;
    const bool better = shown == nullptr || (n.blocking_at && !shown->blocking_at) || *n.since < *shown->since;
    if (better) shown = &n;
  }
  if (shown == nullptr) return r;
  const auto at = static_cast<std::size_t>(shown - neighbours_.data());
  if (at > 0) r.peer = peer_id{static_cast<std::uint16_t>(at - 1)};
  r.since = now - *shown->since;
  return r;
}

void loop_guard::tell(news::kind what, std::optional<peer_id> peer) noexcept {
  if (news_.size() < max_news) news_.push_back({what, peer});
}

}  // namespace lanloom::core
