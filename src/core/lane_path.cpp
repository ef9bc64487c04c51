// SPDX-License-Identifier: Apache-2.0
// The part of lane that measures paths. What decides is in path_pings and path_mtu.
#include <lanloom/core/lane.hpp>
#include <lanloom/crypto/random.hpp>

#include <algorithm>

namespace lanloom::core {

void lane::ping_path(peer_id peer, crypto::random& source, time_point now, outbox& out) noexcept {
  link& l = links_[peer.value];
  const path_pings::batch due = l.path.on_timer(now);
  for (std::size_t k = 0; k < due.count; ++k) {
    const bytes_span record = bytes_span(scratch_).first(l.path.plain_of(due.sizes[k]));
    std::fill(record.begin(), record.end(), std::uint8_t{0});
    const std::uint64_t token = source.u64();
    wire::format_ping(record.first<wire::ping_size>(), token);
    l.path.on_sent(token, due.sizes[k], now);
    // It must arrive as one packet or not at all, and must not take others with it.
    out.end_train();
    static_cast<void>(send_record(peer, *l.remote, record, now, out));
    out.end_train();
  }
}

bool lane::on_too_large(peer_id peer, std::size_t size) noexcept {
  link& l = links_[peer.value];
  if (!l.remote) return false;
  const bool was_ping = l.path.on_refused(size);
  wake_at(l.path.due());
  return was_ping;
}

}  // namespace lanloom::core
