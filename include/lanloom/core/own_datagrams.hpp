// SPDX-License-Identifier: Apache-2.0
// own_datagrams.hpp - recognises a frame that is one of our own datagrams, about to enter the tunnel that it carries.
//
// Where the way to a peer leads through the overlay, each datagram to it would become the content of the next, without
// end. Only the shape is looked at here: UDP from our port as the kernel makes it (no IP option or extension
// header), with up to two VLAN tags, as the way may lead over a VLAN of the bridge. Whether somebody of ours is where
// it goes is lane's to say. A few comparisons for other frames. Owner: lane.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/base/endpoint.hpp>
#include <lanloom/wire/ethernet.hpp>

#include <algorithm>

namespace lanloom::core {

class own_datagrams {
 public:
  // The port that the underlay's socket has; 0: none is recognised.
  explicit own_datagrams(std::uint16_t port) noexcept : port_(port) {}

  // Where the datagram in this frame goes, if it could be ours.
  [[nodiscard]] std::optional<endpoint> destination(bytes_view frame) const noexcept {
    if (port_ == 0) return std::nullopt;
    for (int tags = 0; tags < 2 && frame.size() >= v4_headers && wire::is_vlan_tag(load_be16(&frame[12])); ++tags) {
      frame = frame.subspan(4);
    }
    if (frame.size() < v4_headers) return std::nullopt;
    if (frame[12] == 0x08 && frame[13] == 0x00 && frame[14] == 0x45 && frame[23] == udp) {
      if (load_be16(&frame[34]) != port_) return std::nullopt;
      return endpoint::v4({frame[30], frame[31], frame[32], frame[33]}, load_be16(&frame[36]));
    }
    if (frame[12] == 0x86 && frame[13] == 0xdd && frame[20] == udp && frame.size() >= v6_headers) {
      if (load_be16(&frame[54]) != port_) return std::nullopt;
      endpoint e;
      std::copy_n(frame.begin() + 38, e.address.size(), e.address.begin());
      e.port = load_be16(&frame[56]);
      return e;
    }
    return std::nullopt;
  }

 private:
  static constexpr std::size_t v4_headers = 14 + 20 + 8, v6_headers = 14 + 40 + 8;
  static constexpr std::uint8_t udp = 17;

  std::uint16_t port_;
};

}  // namespace lanloom::core
