// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/handshake_queue.hpp>

#include <algorithm>
#include <cassert>

namespace lanloom::core {

bool handshake_queue::ring::push(const endpoint& from, bytes_view datagram, bool proven) noexcept {
  if (count == all.size()) return false;
  waiting& place = all[(first + count) % all.size()];
  assert(datagram.size() <= place.bytes.size());
  place.from = from;
  place.proven = proven;
  place.size = static_cast<std::uint16_t>(datagram.size());
  std::copy(datagram.begin(), datagram.end(), place.bytes.begin());
  ++count;
  return true;
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

bool handshake_queue::ring::holds_response(std::uint32_t index, bool asked) const noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const waiting& one = all[(first + i) % all.size()];
    if (one.proven == asked && wire::parse_response(one.view()).receiver_index == index) return true;
  }
  return false;
}

bool handshake_queue::ring::holds_proven(const flood_source& source) const noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    const waiting& one = all[(first + i) % all.size()];
    if (one.proven && source_of(one.from) == source) return true;
  }
  return false;
}

}  // namespace lanloom::core
