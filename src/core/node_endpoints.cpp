// SPDX-License-Identifier: Apache-2.0
// The part of node that hears where peers may be, and that this host may be elsewhere.
#include <lanloom/core/node.hpp>

#include <algorithm>

namespace lanloom::core {

void node::want_names(peer_id id, time_point now, outbox& out) noexcept {
  peer& p = peers_[id.value];
  if (!p.config.named || p.attempts.unanswered() < names_after || (p.names_due && now < *p.names_due)) return;
  p.names_gap = p.names_due ? std::min<duration>(p.names_gap * 2, longest_names_gap) : names_gap;
  p.names_due = now + p.names_gap;
  out.push_notice(outbox::notice::kind::names_wanted, id, {});
}

void node::set_candidates(peer_id id, const candidates& found, time_point now) {
  peer& p = peers_[id.value];
  if (found.empty() || found == p.config.remotes) return;
  p.config.remotes = found;
  lane_.set_elsewhere(id, found);
  const auto& remote = lane_.of(id).remote;
  const bool first = !remote;
  // Where it has been is tried on; where it was only looked for is not.
  if (first || (!p.proven && !found.has(*remote))) lane_.set_remote(id, found.all().front());
  const bool persistent = p.config.keepalive > std::chrono::seconds{0};
  if (!lane_.can_send(id, now) && (first || persistent || p.attempts.active())) p.attempts.begin(now);
  refresh(id, now);
}

void node::on_network_change(time_point now, outbox& out) {
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const peer_id id{static_cast<std::uint16_t>(i)};
    peer& p = peers_[i];
    const lane::link& l = lane_.of(id);
    if (!l.remote) continue;
    lane_.forget_own_address(id);
    if (lane_.can_send(id, now)) {
      const auto lately = [now](const auto& when) { return when && now - *when < lately_used; };
      if (l.unanswered_since && now - *l.unanswered_since >= overdue) p.attempts.ask(now, true);
      // It shows the peer where we are now.
      if (p.config.keepalive > std::chrono::seconds{0} || lately(l.last_sent) || lately(l.last_received)) {
        lane_.send_record(id, *l.remote, {}, now, out);
      }
    } else {
      p.attempts.hurry(now + id.value * start_pace);
    }
    refresh(id, now);
  }
  settle(now, out);
}

}  // namespace lanloom::core
