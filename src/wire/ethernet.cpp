// SPDX-License-Identifier: Apache-2.0
#include <lanloom/wire/ethernet.hpp>

#include <algorithm>

namespace lanloom::wire {

namespace {

constexpr std::size_t untagged_size = 14;
constexpr std::size_t tagged_size = 18;
constexpr std::uint16_t vlan_id_bits = 0x0fff;

}  // namespace

[[gnu::hot]] std::optional<ethernet_header> parse_ethernet(bytes_view frame) noexcept {
  if (frame.size() < untagged_size) return std::nullopt;
  ethernet_header header{};
  std::copy_n(frame.begin(), 6, header.destination.bytes.begin());
  std::copy_n(frame.begin() + 6, 6, header.source.bytes.begin());
  const std::uint16_t type = load_be16(&frame[12]);
  if (is_vlan_tag(type) && frame.size() >= tagged_size) {
    header.vlan = load_be16(&frame[14]) & vlan_id_bits;
  }
  return header;
}

[[gnu::hot]] bool is_pause(const mac_address& destination) noexcept {
  return destination == mac_address{{0x01, 0x80, 0xc2, 0x00, 0x00, 0x01}};
}

bool is_bpdu(const mac_address& destination) noexcept {
  return destination == mac_address{{0x01, 0x80, 0xc2, 0x00, 0x00, 0x00}};
}

}  // namespace lanloom::wire
