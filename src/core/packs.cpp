// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/packs.hpp>

#include <lanloom/wire/record.hpp>

#include <algorithm>
#include <cassert>

namespace lanloom::core {

bool packs::pack::add(bytes_view frame, std::size_t room) noexcept {
  const std::size_t most = std::min(room, max_bytes);
  const std::size_t first = frames == 0 ? wire::frames_header_size : wire::next_frame_header_size;
  if (frame.size() > most || used + first > most - frame.size()) return false;
  if (frames == 0) {
    wire::format_frames_header(
        std::span<std::uint8_t, wire::frames_header_size>(bytes.data(), wire::frames_header_size),
        static_cast<std::uint16_t>(frame.size()));
  } else {
    wire::format_next_frame_header(
        std::span<std::uint8_t, wire::next_frame_header_size>(&bytes[used], wire::next_frame_header_size),
        static_cast<std::uint16_t>(frame.size()));
  }
  std::copy(frame.begin(), frame.end(), bytes.begin() + static_cast<std::ptrdiff_t>(used + first));
  used += first + frame.size();
  ++frames;
  return true;
}

[[gnu::hot]] packs::pack* packs::find(peer_id peer) noexcept {
  for (pack& one : packs_) {
    if (one.frames > 0 && one.peer == peer) return &one;
  }
  return nullptr;
}

packs::pack& packs::next() noexcept {
  for (pack& one : packs_) {
    if (one.frames == 0) return one;
  }
  turn_ = (turn_ + 1) % open_at_once;
  return packs_[turn_];
}

void packs::open(pack& at, peer_id peer) noexcept {
  assert(at.frames == 0);
  at.peer = peer;
  at.used = 0;
}

}  // namespace lanloom::core
