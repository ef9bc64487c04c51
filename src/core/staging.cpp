// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/staging.hpp>

#include <algorithm>
#include <cassert>
#include <utility>

namespace lanloom::core {

staging::staging(std::size_t peers) : queues_(peers) {}

std::size_t staging::push(peer_id peer, const super_frame& frame) {
  assert(peer.value < queues_.size());
  auto& q = queues_[peer.value];
  if (frame.bytes.size() > max_bytes_per_peer) return 1;
  std::size_t lost = 0;
  while (q.frames.size() >= max_frames_per_peer || frame.bytes.size() > max_bytes_per_peer - q.bytes) {
    const std::size_t oldest = q.frames.front().bytes.size() - frame_headroom;
    q.frames.erase(q.frames.begin());
    q.bytes -= oldest;
    bytes_ -= oldest;
    ++lost;
  }
  if (frame.bytes.size() > max_bytes - bytes_) return lost + 1;
  std::vector<std::uint8_t> copy(frame_headroom + frame.bytes.size());
  std::copy(frame.bytes.begin(), frame.bytes.end(), copy.begin() + frame_headroom);
  q.frames.push_back({frame.meta, std::move(copy)});
  q.bytes += frame.bytes.size();
  bytes_ += frame.bytes.size();
  return lost;
}

bool staging::empty(peer_id peer) const noexcept {
  assert(peer.value < queues_.size());
  return queues_[peer.value].frames.empty();
}

std::vector<staging::waiting> staging::take(peer_id peer) noexcept {
  assert(peer.value < queues_.size());
  auto& q = queues_[peer.value];
  bytes_ -= std::exchange(q.bytes, 0);
  return std::exchange(q.frames, {});
}

std::size_t staging::discard(peer_id peer) noexcept { return take(peer).size(); }

}  // namespace lanloom::core
