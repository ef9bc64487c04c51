// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/flood_gate.hpp>

namespace lanloom::core {

bool flood_gate::under_load(time_point now) noexcept {
  if (queue_.initiations() > busy_places || !budget_.allows(now)) loaded_ = now;
  return loaded_ && now - *loaded_ < sticky;
}

[[gnu::hot]] time_point flood_gate::due() const noexcept {
  const time_point when = budget_.due();
  return queue_.empty() || when == time_point::min() ? time_point::max() : when;
}

void flood_gate::answer(bytes_view datagram, const endpoint& from, time_point now, crypto::random& source,
                        outbox& out) noexcept {
  if (!limit_.take(from, now)) return;
  const bytes_span room = out.room(wire::cookie_reply_size);
  if (room.empty()) return;  // as good as lost on the way
  const cookie given = secret_.make(from, now, source);
  write_cookie_reply(room.first(wire::cookie_reply_size), cookie_key_, wire::parse_initiation(datagram), given, source);
  out.push_train(from, {}, wire::cookie_reply_size, wire::cookie_reply_size);
}

}  // namespace lanloom::core
