// SPDX-License-Identifier: Apache-2.0
// sealing.hpp - a frame becomes sealed datagrams to one peer: one, a train of segments, or slices.
//
// Everything is sealed straight from the frame's own buffer into the outbox: record headers are written in front of
// what they belong to, over bytes that are sealed already; of a frame that goes to further peers these are put back.
// Invariants: (1) the datagrams of a frame are under one session, with consecutive counters; (2) a record is never
// larger than `room`; (3) a TCP packet that may be cut never goes in slices, but a
// single one with CWR.
// Owner: lane, for one frame. Drops: outbox_full, long_frame. Spec: PROTOCOL.md 4.1 to 4.3.
#pragma once

#include <lanloom/core/outbox.hpp>
#include <lanloom/core/outgoing.hpp>
#include <lanloom/core/session.hpp>
#include <lanloom/wire/record.hpp>

namespace lanloom::core {

class sealing {
 public:
  // `room`: bytes of plaintext that a datagram to `to` carries. `scratch`: MTU + 22 bytes, with frame_headroom writable
  // bytes in front of them.
  sealing(session& under, const endpoint& to, std::size_t room, outbox& out, bytes_span scratch) noexcept
      : under_(under), to_(to), peer_(under.who().peer), room_(room), out_(out), scratch_(scratch) {}

  // REQUIRES that the session may send datagrams_of(frame, room) datagrams.
  drop seal(outgoing& frame) noexcept;

  // No frame becomes more datagrams than this.
  [[nodiscard]] static std::size_t datagrams_of(const outgoing& frame, std::size_t room) noexcept;

 private:
  drop seal_whole(bytes_span frame) noexcept;
  drop seal_slices(bytes_span frame) noexcept;
  drop seal_train(const outgoing& frame, std::size_t size) noexcept;
  drop seal_part(const outgoing& frame, bytes_view headers, const wire::segment_run& run) noexcept;
  drop seal_segments(const outgoing& frame, std::size_t size) noexcept;

  session& under_;
  const endpoint& to_;
  peer_id peer_;
  std::size_t room_;
  outbox& out_;
  bytes_span scratch_;
};

}  // namespace lanloom::core
