// SPDX-License-Identifier: Apache-2.0
// super_frame.hpp - an Ethernet frame as the kernel's TAP hands it over: bytes plus what is still to be done to them.
//
// `offload` mirrors struct virtio_net_hdr (linux/virtio_net.h), decoded; os formats and parses the ten bytes, core
// interprets the fields. A plain frame has a default offload.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/base/endpoint.hpp>

#include <cstdint>

namespace lanloom {

enum class gso_kind : std::uint8_t { none = 0, tcp4 = 1, tcp6 = 4, udp = 5 };  // values of virtio_net_hdr.gso_type

struct offload {
  bool partial_checksum = false;  // the L4 field holds the folded pseudo-header sum; the rest is to be added
  gso_kind gso = gso_kind::none;
  bool ecn = false;
  std::uint16_t header_length = 0;    // a hint only
  std::uint16_t segment_size = 0;     // payload bytes per segment when gso != none
  std::uint16_t checksum_start = 0;   // offset in the frame where summing starts
  std::uint16_t checksum_offset = 0;  // offset of the field from there
  bool operator==(const offload&) const = default;
};

// What a TAP takes beside whole frames with complete checksums.
struct tap_offloads {
  bool checksum = false;  // partial checksums; the others need it
  bool tcp4 = false;
  bool tcp6 = false;
  bool udp = false;

  [[nodiscard]] bool takes(gso_kind kind) const noexcept {
    switch (kind) {
      case gso_kind::none:
        return true;
      case gso_kind::tcp4:
        return checksum && tcp4;
      case gso_kind::tcp6:
        return checksum && tcp6;
      case gso_kind::udp:
        return checksum && udp;
    }
    return false;
  }
  bool operator==(const tap_offloads&) const = default;
};
inline constexpr tap_offloads all_tap_offloads{true, true, true, true};

// Bytes that stay writable in front of a frame handed to core, for headers.
inline constexpr std::size_t frame_headroom = 128;

// A frame of at most 65557 bytes with `frame_headroom` writable bytes before bytes.data(). Borrowed: valid for the
// call.
struct super_frame {
  bytes_span bytes;
  offload meta;
};

// Datagrams of one sender as the kernel's UDP_GRO hands them over: all `stride` bytes long but the last, which may be
// shorter. A lone datagram has stride == bytes.size(). Borrowed; opened in place.
struct datagram_train {
  bytes_span bytes;
  std::size_t stride = 0;
};

// A train with where it came from. What one system call brings is a batch of these.
struct received {
  endpoint from;
  datagram_train train;
};

}  // namespace lanloom
