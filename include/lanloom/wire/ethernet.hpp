// SPDX-License-Identifier: Apache-2.0
// ethernet.hpp - addresses and VLAN of an Ethernet frame; all that switching looks at. IEEE 802.3, 802.1Q.
#pragma once

#include <lanloom/base/bytes.hpp>

#include <array>
#include <compare>
#include <optional>

namespace lanloom::wire {

struct mac_address {
  std::array<std::uint8_t, 6> bytes{};
  auto operator<=>(const mac_address&) const = default;
  [[nodiscard]] bool is_group() const noexcept { return (bytes[0] & 1U) != 0; }  // multicast or broadcast
  [[nodiscard]] bool is_zero() const noexcept { return *this == mac_address{}; }
};

// Whether a tag of IEEE 802.1Q or 802.1ad begins with this type: four bytes, and the next type follows.
constexpr bool is_vlan_tag(std::uint16_t type) noexcept { return type == 0x8100 || type == 0x88a8; }

struct ethernet_header {
  mac_address destination;
  mac_address source;
  std::uint16_t vlan;  // id of the outermost 802.1Q or 802.1ad tag, 0 without or for a priority tag
};

// Nothing for a frame under 14 bytes. A tag that is cut off counts as none.
[[nodiscard]] std::optional<ethernet_header> parse_ethernet(bytes_view frame) noexcept;

// 01-80-C2-00-00-01, IEEE 802.3x pause: never leaves a link.
[[nodiscard]] bool is_pause(const mac_address& destination) noexcept;
// 01-80-C2-00-00-00, IEEE 802.1D bridge group address: the spanning tree.
[[nodiscard]] bool is_bpdu(const mac_address& destination) noexcept;

}  // namespace lanloom::wire
