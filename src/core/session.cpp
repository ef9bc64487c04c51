// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/session.hpp>

namespace lanloom::core {

[[gnu::hot]] bool session::can_send(time_point now, std::size_t count, std::size_t plain) const noexcept {
  return age(now) < send_until && sealed_.datagrams + count <= max_datagrams &&
         sealed_.blocks + count * blocks_of(plain) <= max_blocks;
}

[[gnu::hot]] bool session::wants_rekey(time_point now) const noexcept {
  return (who_.initiator && age(now) >= rekey_after) || sealed_.datagrams >= rekey_datagrams ||
         sealed_.blocks >= rekey_blocks;
}

[[gnu::hot]] drop session::open(const wire::data_view& datagram, time_point now) noexcept {
  if (age(now) >= receive_until || datagram.counter >= max_datagrams) return drop::expired;
  if (!window_.would_accept(datagram.counter)) return drop::replayed;
  if (!receive_.open(datagram.counter, datagram.header, datagram.sealed)) return drop::bad_tag;
  return window_.accept(datagram.counter) ? drop::none : drop::replayed;
}

}  // namespace lanloom::core
