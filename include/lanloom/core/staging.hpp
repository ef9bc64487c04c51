// SPDX-License-Identifier: Apache-2.0
// staging.hpp - known-unicast frames, super-frames among them, that wait for their peer's session.
//
// Bounds: 32 frames and 256 KiB per peer, 8 MiB in all. In order of arrival. A full queue loses its oldest frame, so
// that what a peer gets after a long silence is recent.
#pragma once

#include <lanloom/base/super_frame.hpp>
#include <lanloom/core/ids.hpp>

#include <vector>

namespace lanloom::core {

class staging {
 public:
  static constexpr std::size_t max_frames_per_peer = 32;
  static constexpr std::size_t max_bytes_per_peer = 256 * 1024;
  static constexpr std::size_t max_bytes = 8 * 1024 * 1024;

  struct waiting {
    offload meta;
    std::vector<std::uint8_t> bytes;  // frame_headroom, and the frame
  };

  explicit staging(std::size_t peers);

  // Keeps a copy. Returns how many frames were lost to a bound: older ones of this peer, or the frame itself.
  [[nodiscard]] std::size_t push(peer_id peer, const super_frame& frame);
  [[nodiscard]] bool empty(peer_id peer) const noexcept;
  // Takes all frames of a peer, oldest first.
  [[nodiscard]] std::vector<waiting> take(peer_id peer) noexcept;
  // Discards a peer's frames; how many there were.
  std::size_t discard(peer_id peer) noexcept;

 private:
  struct queue {
    std::vector<waiting> frames;
    std::size_t bytes = 0;  // of frames, without headroom
  };

  std::vector<queue> queues_;
  std::size_t bytes_ = 0;
};

}  // namespace lanloom::core
