// SPDX-License-Identifier: Apache-2.0
// outgoing.hpp - a frame from the TAP on its way to peers: parsed once, with what may still be done to it.
//
// Whatever the kernel left undone is one of three shapes here. What is unusual (a checksum at an odd place, headers of
// more than 255 bytes) becomes usual where it can: completed, or cut in software.
// Owner: lane, for one call; borrows the frame. Drops: bad_offload, long_frame. Spec: PROTOCOL.md 4.2.
#pragma once

#include <lanloom/base/drop.hpp>
#include <lanloom/base/super_frame.hpp>
#include <lanloom/wire/packet.hpp>

namespace lanloom::core {

struct outgoing {
  enum class shape : std::uint8_t {
    whole,    // checksums are complete
    partial,  // one TCP or UDP packet; the rest of its checksum is to be added
    super,    // a TCP or UDP packet to be cut into segments; checksum partial
  };

  bytes_span bytes;
  offload meta;  // as bytes are now
  shape is = shape::whole;
  wire::packet packet;      // unless whole
  bool may_be_cut = false;  // anew, into smaller segments than the kernel asks for
  bool flooded = false;     // goes to further peers: the bytes are needed again

  [[nodiscard]] bytes_view headers() const noexcept { return bytes.first(packet.payload); }
  [[nodiscard]] std::size_t payload() const noexcept { return bytes.size() - packet.payload; }
  // That the kernel would cut it into.
  [[nodiscard]] std::size_t packets() const noexcept {
    return is == shape::super ? (payload() + meta.segment_size - 1) / meta.segment_size : 1;
  }
};

// `max_frame` is MTU + 22.
drop parse_outgoing(const super_frame& frame, std::size_t max_frame, outgoing& out) noexcept;

// A whole TCP packet that is too large for a path becomes a super-frame of one segment, to be cut as its path needs, if
// it may be cut, has no CWR and its checksum is right; else nothing changes and the result is false. Also for a partial
// one.
[[nodiscard]] bool make_super(outgoing& frame) noexcept;
// The checksum of a partial frame is completed.
void make_whole(outgoing& frame) noexcept;

}  // namespace lanloom::core
