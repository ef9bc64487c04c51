// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/handshake_queue.hpp>

#include <algorithm>
#include <cassert>

namespace lanloom::core {

bool handshake_queue::push_proven(const endpoint& from, bytes_view datagram) noexcept {
  waiting* const place = rings_[common].holds_proven(source_of(from)) ? nullptr : rings_[common].push(from, datagram);
  if (place != nullptr) place->proven = true;
  return place != nullptr;
}

bool handshake_queue::push_response(const endpoint& from, bool asked, peer_id peer, bytes_view datagram) noexcept {
  const std::size_t most = asked ? asked_per_peer : elsewhere_per_peer;
  ring& all = rings_[response];
  waiting* const place = all.responses_of(peer, asked) < most ? all.push(from, datagram) : nullptr;
  if (place == nullptr) return false;
  place->asked = asked;
  place->peer = peer;
  return true;
}

handshake_queue::waiting* handshake_queue::ring::push(const endpoint& from, bytes_view datagram) noexcept {
  if (count == all.size()) return nullptr;
  waiting& place = all[(first + count) % all.size()];
  assert(datagram.size() <= place.bytes.size());
  place.from = from;
  place.proven = false;
  place.size = static_cast<std::uint16_t>(datagram.size());
  std::copy(datagram.begin(), datagram.end(), place.bytes.begin());
  ++count;
  return &place;
}

const handshake_queue::waiting& handshake_queue::ring::pop() noexcept {
  assert(count > 0);
  const waiting& one = all[first];
  first = (first + 1) % all.size();
  --count;
  return one;
}

bool handshake_queue::ring::holds(const endpoint& from) const noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    if (all[(first + i) % all.size()].from == from) return true;
  }
  return false;
}

std::size_t handshake_queue::ring::responses_of(peer_id peer, bool asked) const noexcept {
  std::size_t found = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const waiting& one = all[(first + i) % all.size()];
    if (one.asked == asked && one.peer == peer) ++found;
  }
  return found;
}

bool handshake_queue::ring::holds_proven(const flood_source& source) const noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const waiting& one = all[(first + i) % all.size()];
    if (one.proven && source_of(one.from) == source) return true;
  }
  return false;
}

}  // namespace lanloom::core
