// SPDX-License-Identifier: Apache-2.0
#include <lanloom/base/super_frame.hpp>
#include <lanloom/core/staging.hpp>

#include <algorithm>
#include <cassert>
#include <utility>

namespace lanloom::core {

staging::staging(std::size_t peers) : queues_(peers) {}

std::size_t staging::push(peer_id peer, bytes_view frame) {
  assert(peer.value < queues_.size());
  auto& q = queues_[peer.value];
  if (frame.size() > max_bytes_per_peer) return 1;
  std::size_t lost = 0;
  while (q.frames.size() >= max_frames_per_peer || frame.size() > max_bytes_per_peer - q.bytes) {
    const std::size_t oldest = q.frames.front().size() - frame_headroom;
    q.frames.erase(q.frames.begin());
    q.bytes -= oldest;
    bytes_ -= oldest;
    ++lost;
  }
  if (frame.size() > max_bytes - bytes_) return lost + 1;
  std::vector<std::uint8_t> copy(frame_headroom + frame.size());
  std::copy(frame.begin(), frame.end(), copy.begin() + frame_headroom);
  q.frames.push_back(std::move(copy));
  q.bytes += frame.size();
  bytes_ += frame.size();
  return lost;
}

bool staging::empty(peer_id peer) const noexcept {
  assert(peer.value < queues_.size());
  return queues_[peer.value].frames.empty();
}

std::vector<std::vector<std::uint8_t>> staging::take(peer_id peer) noexcept {
  assert(peer.value < queues_.size());
  auto& q = queues_[peer.value];
  bytes_ -= std::exchange(q.bytes, 0);
  return std::exchange(q.frames, {});
}

std::size_t staging::discard(peer_id peer) noexcept { return take(peer).size(); }

}  // namespace lanloom::core
