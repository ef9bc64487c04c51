// SPDX-License-Identifier: Apache-2.0
// packs.hpp - small frames that are ready together, on their way to share a datagram.
//
// A pack is the plaintext of a record of kind 1 for one peer. It is sent when the drain that filled it ends, when the
// next frame does not fit, and before anything else goes to that peer: nothing waits for more, and order is kept.
// Invariant: at most `open_at_once` packs, memory taken at construction; a frame for one peer more sends the pack that
// was opened first. Owner: lane. Spec: PROTOCOL.md 4.1.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/core/ids.hpp>

#include <array>

namespace lanloom::core {

class packs {
 public:
  static constexpr std::size_t open_at_once = 4;
  static constexpr std::size_t max_bytes = 2048;
  static constexpr std::size_t small_frame = 512;  // larger ones gain nothing

  // One open pack: its frames, and the record they make.
  struct pack {
    peer_id peer;
    std::size_t frames = 0;  // 0: not open
    std::size_t used = 0;
    std::array<std::uint8_t, max_bytes> bytes;

    [[nodiscard]] bytes_view record() const noexcept { return bytes_view(bytes).first(used); }
    // False when it does not fit a record of `room` bytes.
    [[nodiscard]] bool add(bytes_view frame, std::size_t room) noexcept;
    void close() noexcept { frames = 0; }
  };

  // The open pack of a peer, if it has one.
  [[nodiscard]] pack* find(peer_id peer) noexcept;
  // Where the next pack is to be opened: may be in use, and must be sent first then.
  [[nodiscard]] pack& next() noexcept;
  // REQUIRES that `at` is not open.
  void open(pack& at, peer_id peer) noexcept;
  [[nodiscard]] std::array<pack, open_at_once>& all() noexcept { return packs_; }

 private:
  std::array<pack, open_at_once> packs_;
  std::size_t turn_ = 0;
};

}  // namespace lanloom::core
