// SPDX-License-Identifier: Apache-2.0
#include <lanloom/wire/ethernet.hpp>

#include <algorithm>

namespace lanloom::wire {

namespace {

constexpr std::size_t untagged_size = 14;
constexpr std::size_t tagged_size = 18;
constexpr std::uint16_t tpid_customer = 0x8100;  // 802.1Q
constexpr std::uint16_t tpid_service = 0x88a8;   // 802.1ad
constexpr std::uint16_t vlan_id_bits = 0x0fff;

// Ones' complement sums do not care about byte order as long as the words that are added and the word that is stored
// agree (RFC 1071, 2B); little-endian words spare the swap on the machines this runs on.
std::uint16_t ones_complement_sum(bytes_view bytes) noexcept {
  std::uint64_t sum = 0;
  while (bytes.size() >= 8) {
    const std::uint64_t words = load_le64(bytes.data());
    sum += (words & 0xffffffffU) + (words >> 32U);
    bytes = bytes.subspan(8);
  }
  while (bytes.size() >= 2) {
    sum += load_le16(bytes.data());
    bytes = bytes.subspan(2);
  }
  if (!bytes.empty()) sum += bytes[0];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16U);
  return static_cast<std::uint16_t>(sum);
}

}  // namespace

std::optional<ethernet_header> parse_ethernet(bytes_view frame) noexcept {
  if (frame.size() < untagged_size) return std::nullopt;
  ethernet_header header{};
  std::copy_n(frame.begin(), 6, header.destination.bytes.begin());
  std::copy_n(frame.begin() + 6, 6, header.source.bytes.begin());
  const std::uint16_t type = load_be16(&frame[12]);
  if ((type == tpid_customer || type == tpid_service) && frame.size() >= tagged_size) {
    header.vlan = load_be16(&frame[14]) & vlan_id_bits;
  }
  return header;
}

bool is_pause(const mac_address& destination) noexcept {
  return destination == mac_address{{0x01, 0x80, 0xc2, 0x00, 0x00, 0x01}};
}

bool is_bpdu(const mac_address& destination) noexcept {
  return destination == mac_address{{0x01, 0x80, 0xc2, 0x00, 0x00, 0x00}};
}

bool complete_checksum(bytes_span frame, std::size_t start, std::size_t offset) noexcept {
  if (start > frame.size() || offset > frame.size() - start) return false;
  const bytes_span covered = frame.subspan(start);
  if (covered.size() - offset < 2) return false;
  const auto sum = static_cast<std::uint16_t>(~ones_complement_sum(covered));
  store_le16(&covered[offset], sum == 0 ? std::uint16_t{0xffff} : sum);
  return true;
}

}  // namespace lanloom::wire
