// SPDX-License-Identifier: Apache-2.0
#include <lanloom/wire/payload.hpp>

#include <lanloom/wire/datagram.hpp>

#include <algorithm>

namespace lanloom::wire {

namespace {

constexpr std::size_t tlv_header_size = 3;

bool all_zero(bytes_view bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
}

// Padding and unknown types are skipped alike, so only the tiling is left to check.
bool tlvs_tile(bytes_view rest) noexcept {
  while (!rest.empty()) {
    if (rest.size() < tlv_header_size) return false;
    const std::size_t length = load_le16(&rest[1]);
    if (length > rest.size() - tlv_header_size) return false;
    rest = rest.subspan(tlv_header_size + length);
  }
  return true;
}

bool tlvs_fit(bytes_view tlvs, std::uint16_t stated) noexcept {
  return tlvs.size() <= max_tlv_bytes && tlvs.size() == stated && tlvs_tile(tlvs);
}

}  // namespace

std::optional<initiation_payload> parse_initiation_payload(bytes_view plain) noexcept {
  if (plain.size() < payload_1_size) return std::nullopt;
  initiation_payload p;
  std::copy_n(plain.begin(), p.stamp.bytes.size(), p.stamp.bytes.begin());
  p.suites = plain[12];
  p.lan_mtu = load_le16(&plain[14]);
  p.boot_id = load_le64(&plain[16]);
  p.tlv_bytes = load_le16(&plain[24]);
  if (plain[13] != 0 || !all_zero(plain.subspan(26, 6))) return std::nullopt;
  if (!tlvs_fit(plain.subspan(payload_1_size), p.tlv_bytes)) return std::nullopt;
  return p;
}

std::optional<response_payload> parse_response_payload(bytes_view plain) noexcept {
  if (plain.size() < payload_2_size) return std::nullopt;
  response_payload p;
  p.suite = plain[0];
  p.lan_mtu = load_le16(&plain[2]);
  p.sender_index = load_le32(&plain[4]);
  p.boot_id = load_le64(&plain[8]);
  std::copy_n(plain.begin() + 16, p.observed.address.size(), p.observed.address.begin());
  p.observed.port = load_be16(&plain[32]);
  p.tlv_bytes = load_le16(&plain[34]);
  if (p.suite != 1 && p.suite != 2) return std::nullopt;
  if (plain[1] != 0 || !all_zero(plain.subspan(36, 4))) return std::nullopt;
  if (!tlvs_fit(plain.subspan(payload_2_size), p.tlv_bytes)) return std::nullopt;
  return p;
}

void format_payload(std::span<std::uint8_t, 32> out, const initiation_payload& payload) noexcept {
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  std::copy(payload.stamp.bytes.begin(), payload.stamp.bytes.end(), out.begin());
  out[12] = payload.suites;
  store_le16(&out[14], payload.lan_mtu);
  store_le64(&out[16], payload.boot_id);
}

void format_payload(std::span<std::uint8_t, 40> out, const response_payload& payload) noexcept {
  std::fill(out.begin(), out.end(), std::uint8_t{0});
  out[0] = payload.suite;
  store_le16(&out[2], payload.lan_mtu);
  store_le32(&out[4], payload.sender_index);
  store_le64(&out[8], payload.boot_id);
  std::copy(payload.observed.address.begin(), payload.observed.address.end(), out.begin() + 16);
  store_be16(&out[32], payload.observed.port);
}

}  // namespace lanloom::wire
