// SPDX-License-Identifier: Apache-2.0
// outbox.hpp - what a turn of core wants done: datagrams to send, frames to write, notices to log.
//
// Filled by node's inputs, carried out and cleared by whoever owns the sockets. Invariants: (1) all memory is taken at
// construction, and what does not fit is refused (drop::outbox_full); (2) datagrams live in the outbox; a frame's
// slices are borrowed from the input that produced it, so they are written before that input's buffer is used again.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/base/endpoint.hpp>
#include <lanloom/base/super_frame.hpp>
#include <lanloom/core/ids.hpp>
#include <lanloom/wire/datagram.hpp>
#include <lanloom/wire/record.hpp>

#include <memory>
#include <vector>

namespace lanloom::core {

class outbox {
 public:
  static constexpr std::size_t min_arena = 1024 * 1024;
  // What a super-frame of up to 128 segments becomes for one peer: 64 KiB and, for each segment, headers and tag; where
  // segments go in slices, each may be a train of its own. More of this memory than a flood fills is never touched.
  static constexpr std::size_t flood_trains = wire::max_train_segments;
  static constexpr std::size_t flood_bytes =
      64 * 1024 + flood_trains * (wire::train_header_size + wire::max_train_headers + wire::data_overhead);
  // Carried out beyond. Trains that follow each other fill whole calls, the more the better; what is sealed is to be
  // sent while it is in the processor's second cache.
  static constexpr std::size_t warm_bytes = 256 * 1024;
  static constexpr std::size_t max_trains = 2048;
  static constexpr std::size_t max_slices = 8192;
  static constexpr std::size_t max_notices = 256;

  // Datagrams to one address: all `stride` bytes but the last, which may be shorter.
  struct train {
    endpoint to;
    peer_id peer;
    bytes_view bytes;
    std::size_t stride;

    // Whether these datagrams can be its next ones.
    [[nodiscard]] bool continues_with(const endpoint& next_to, peer_id next_peer, bytes_view next,
                                      std::size_t next_stride) const noexcept;
  };
  // One frame for the TAP.
  struct frame {
    offload meta;
    std::span<const bytes_view> slices;
  };
  // Something worth a log line.
  struct notice {
    enum class kind {
      established,
      lost,
      left,
      moved,
      silent,
      names_wanted,  // no notice: the peer does not answer, and its names may lead elsewhere by now
      mtu_differs,
      self_encapsulated,
      loop_blocked,      // the peer and we share a LAN, and we hold back
      loop_seen,         // likewise, and the peer holds back
      loop_healed,       // no longer
      own_loop_blocked,  // our LAN loops by itself
      own_loop_healed,
    } what;
    peer_id peer;  // nobody in the last two
    endpoint where;
  };

  // One frame to so many peers fits even when it is_filling(), a super-frame of up to 128 segments too.
  explicit outbox(std::size_t peers = 0);

  // `size` free bytes of the arena, the same until they are pushed; empty when there are not as many, or no place for
  // another train.
  [[nodiscard]] bytes_span room(std::size_t size) noexcept;
  // Queues the first `size` bytes of the room just given; as more of the train before, where that is one.
  void push_train(const endpoint& to, peer_id peer, std::size_t size, std::size_t stride) noexcept;
  // What is pushed next begins a train, whatever it could continue.
  void end_train() noexcept { train_ended_ = true; }
  // Keeps the first `size` bytes of the room just given for a frame.
  [[nodiscard]] bytes_span keep(std::size_t size) noexcept;
  // False when full.
  [[nodiscard]] bool push_frame(const offload& meta, std::span<const bytes_view> slices) noexcept;
  void push_notice(notice::kind what, peer_id peer, const endpoint& where) noexcept;  // beyond the bound: forgotten

  [[nodiscard]] std::span<const train> trains() const noexcept { return trains_; }
  [[nodiscard]] std::span<const frame> frames() const noexcept { return frames_; }
  [[nodiscard]] std::span<const notice> notices() const noexcept { return notices_; }
  [[nodiscard]] bool empty() const noexcept { return trains_.empty() && frames_.empty() && notices_.empty(); }
  // Whether it is time to carry things out before giving core more input.
  [[nodiscard]] bool is_filling() const noexcept;
  void clear() noexcept;

 private:
  std::size_t max_trains_;
  std::size_t arena_bytes_;
  std::unique_ptr<std::uint8_t[]> arena_;
  std::size_t used_ = 0;
  bool train_ended_ = false;
  std::vector<train> trains_;
  std::vector<frame> frames_;
  std::vector<bytes_view> slices_;
  std::vector<notice> notices_;
};

}  // namespace lanloom::core
