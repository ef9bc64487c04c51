// SPDX-License-Identifier: Apache-2.0
// probe.hpp - the loop probe: the Ethernet frame by which two nodes find out that their LANs are one.
//
// An untagged frame of IEEE's experimental ethertype 0x88B5, to a group address of our own that every bridge floods.
// Nothing in it is secret and nothing is authentic: whoever is on the LAN can repeat it (SECURITY.md 3). A frame that
// parse_probe() does not accept is an ordinary frame. Spec: PROTOCOL.md 7.
#pragma once

#include <lanloom/wire/ethernet.hpp>

namespace lanloom::wire {

inline constexpr std::uint16_t probe_ethertype = 0x88b5;
// Locally administered and a group: outside 01-80-C2, which bridges keep to themselves, and outside what snooping of
// IGMP and MLD prunes.
inline constexpr mac_address probe_destination{{0x03, 0x6c, 0x61, 0x6e, 0x6c, 0x6f}};
inline constexpr std::size_t probe_size = 82;

struct loop_probe {
  std::array<std::uint8_t, 16> network{};  // network_id
  std::array<std::uint8_t, 32> sender{};   // public key
  std::uint64_t nonce = 0;                 // random per start of the sender
  bool closed = false;                     // the sender lets no frame pass between LAN and overlay now
  bool operator==(const loop_probe&) const = default;
};

// What comes after the first 82 bytes is not looked at: a switch on the way may have left a trailer.
[[nodiscard]] std::optional<loop_probe> parse_probe(bytes_view frame) noexcept;
void format_probe(std::span<std::uint8_t, probe_size> out, const mac_address& source, const loop_probe& probe) noexcept;

}  // namespace lanloom::wire
