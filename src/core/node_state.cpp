// SPDX-License-Identifier: Apache-2.0
// The part of node that remembers beyond its own life: which stamps were sent and accepted, and where peers were.
#include <lanloom/core/node.hpp>

#include <algorithm>

namespace lanloom::core {

// Who is no longer configured is forgotten.
void node::remember(const saved_state::peer& known) noexcept {
  const auto found = by_key_.find(known.key);
  if (found == by_key_.end()) return;
  peer& p = peers_[found->second.value];
  // Nothing keeps a file from naming a peer twice.
  p.last_stamp = std::max(p.last_stamp, known.accepted);
  if (!known.remote) return;
  p.proven = known.remote;
  // Tried first: it is newer than the configuration, which comes next.
  lane_.set_remote(found->second, *known.remote);
}

void node::set_remote(peer_id id, const endpoint& remote) noexcept {
  peer& p = peers_[id.value];
  if (p.proven != remote) changed_ = true;
  p.proven = remote;
  lane_.set_remote(id, remote);
}

// After a crash the next node goes on above the reserve, so no stamp may leave that what is saved does not cover.
void node::reserve_stamps(const wire::tai64n& sent) noexcept {
  sent_ = std::max(sent_, sent);
  if (later(sent, stamp_margin) > reserve_) {
    reserve_ = later(sent, stamp_reserve);
    changed_ = true;
  }
  if (sent > saved_reserve_) urgent_ = changed_ = true;
}

[[gnu::hot]] time_point node::keep_due() const noexcept {
  if (!changed_) return time_point::max();
  return urgent_ || !kept_at_ ? time_point::min() : *kept_at_ + keep_pace;
}

void node::kept(bool saved, time_point now) noexcept {
  if (saved) saved_reserve_ = reserve_;
  changed_ = !saved;
  urgent_ = false;
  kept_at_ = now;
}

saved_state node::state() const {
  saved_state all{reserve_, {}};
  for (const peer& p : peers_) {
    if (p.proven || p.last_stamp != wire::tai64n{}) all.peers.push_back({p.config.key, p.last_stamp, p.proven});
  }
  return all;
}

saved_state node::last_state() const {
  saved_state all = state();
  all.reserve = sent_;
  return all;
}

}  // namespace lanloom::core
