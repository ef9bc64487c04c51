// SPDX-License-Identifier: Apache-2.0
// virtio.hpp - the kernel's names for TUN/TAP and the virtio network header, as far as os/tap uses them.
//
// Declared here because <linux/virtio_net.h> of Debian 12 is no C++ (a field is called `class`) and its kernel headers
// lack the newer values. Source: include/uapi/linux/virtio_net.h, if_tun.h.
// The header is in the host's byte order: TAP devices are "legacy" unless TUNSETVNETLE or TUNSETVNETBE says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace lanloom::os::virtio {

struct net_header {
  std::uint8_t flags;
  std::uint8_t gso_type;
  std::uint16_t header_length;
  std::uint16_t gso_size;
  std::uint16_t checksum_start;
  std::uint16_t checksum_offset;
};
inline constexpr std::size_t net_header_size = 10;
static_assert(sizeof(net_header) == net_header_size);

inline constexpr std::uint8_t flag_needs_checksum = 1;
inline constexpr std::uint8_t gso_none = 0;
inline constexpr std::uint8_t gso_tcp4 = 1;
inline constexpr std::uint8_t gso_tcp6 = 4;
inline constexpr std::uint8_t gso_udp_l4 = 5;
inline constexpr std::uint8_t gso_ecn = 0x80;  // a bit beside the type

// TUNSETOFFLOAD: what may be handed to us. The kernel refuses a mask with a bit it does not know (USO: before 6.2), and
// one USO bit without the other.
inline constexpr unsigned long offload_checksum = 0x01;
inline constexpr unsigned long offload_tso4 = 0x02;
inline constexpr unsigned long offload_tso6 = 0x04;
inline constexpr unsigned long offload_tso_ecn = 0x08;
inline constexpr unsigned long offload_uso = 0x20 | 0x40;

}  // namespace lanloom::os::virtio
