// SPDX-License-Identifier: Apache-2.0
// payload.hpp - the encrypted part of the two handshake messages. PROTOCOL.md 2.
//
// parse() is strict: exact lengths, reserved bytes zero, TLVs that tile L bytes exactly. No TLV type but padding (0) is
// known yet; unknown types are skipped.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/base/endpoint.hpp>

#include <array>
#include <compare>
#include <optional>

namespace lanloom::wire {

// TAI64N as sent: 8 bytes big-endian seconds, 4 bytes big-endian nanoseconds. Compared as 12 bytes.
struct tai64n {
  std::array<std::uint8_t, 12> bytes{};
  auto operator<=>(const tai64n&) const = default;
};

inline constexpr std::uint8_t suite_bit_chacha20_poly1305 = 0x01;
inline constexpr std::uint8_t suite_bit_aes_256_gcm = 0x02;

struct initiation_payload {
  tai64n stamp;
  std::uint8_t suites = 0;  // bits of suites offered
  std::uint16_t lan_mtu = 0;
  std::uint64_t boot_id = 0;
  std::uint16_t tlv_bytes = 0;  // L; set by parse, written as 0
};
struct response_payload {
  std::uint8_t suite = 0;  // 1 or 2
  std::uint16_t lan_mtu = 0;
  std::uint32_t sender_index = 0;  // repeats the clear header's
  std::uint64_t boot_id = 0;
  endpoint observed;  // where the initiation came from
  std::uint16_t tlv_bytes = 0;
};

[[nodiscard]] std::optional<initiation_payload> parse_initiation_payload(bytes_view plain) noexcept;
[[nodiscard]] std::optional<response_payload> parse_response_payload(bytes_view plain) noexcept;
void format_payload(std::span<std::uint8_t, 32> out, const initiation_payload& payload) noexcept;
void format_payload(std::span<std::uint8_t, 40> out, const response_payload& payload) noexcept;

}  // namespace lanloom::wire
