// SPDX-License-Identifier: Apache-2.0
// datagram.hpp - the clear part of every UDP datagram: types, lengths, headers. PROTOCOL.md 2 and 3.
//
// Views borrow the datagram. parse() accepts a datagram only if its length, version and reserved bytes are exactly
// right for its type; integers are little-endian. Nothing here knows keys.
#pragma once

#include <lanloom/base/bytes.hpp>

#include <optional>

namespace lanloom::wire {

enum class message_type : std::uint8_t { initiation = 1, response = 2, cookie_reply = 3, data = 4 };

inline constexpr std::uint8_t protocol_version = 1;
inline constexpr std::size_t tag_size = 16;
inline constexpr std::size_t mac_size = 16;
inline constexpr std::size_t max_tlv_bytes = 1024;   // L
inline constexpr std::size_t initiation_size = 168;  // + L
inline constexpr std::size_t response_size = 132;    // + L
inline constexpr std::size_t cookie_reply_size = 64;
inline constexpr std::size_t data_header_size = 16;
inline constexpr std::size_t min_data_size = data_header_size + tag_size;
inline constexpr std::size_t payload_1_size = 32;  // + L
inline constexpr std::size_t payload_2_size = 40;  // + L
inline constexpr std::size_t data_overhead = data_header_size + tag_size;

// Type of a datagram whose length, version and reserved bytes fit it; nothing for anything else.
[[nodiscard]] std::optional<message_type> classify(bytes_view datagram) noexcept;

struct initiation_view {
  std::uint32_t sender_index;
  std::span<const std::uint8_t, 8> clear_header;  // bytes [0, 8): part of the prologue
  std::span<const std::uint8_t, 32> ephemeral;
  std::span<const std::uint8_t, 48> sealed_static;
  bytes_view sealed_payload;  // 32 + L + 16
  bytes_view before_mac1;
  std::span<const std::uint8_t, 16> mac1;
  bytes_view before_mac2;
  std::span<const std::uint8_t, 16> mac2;
};
struct response_view {
  std::uint32_t sender_index;
  std::uint32_t receiver_index;
  std::span<const std::uint8_t, 32> ephemeral;
  bytes_view sealed_payload;  // 40 + L + 16
  bytes_view before_mac1;
  std::span<const std::uint8_t, 16> mac1;
  bytes_view before_mac2;
  std::span<const std::uint8_t, 16> mac2;
};
struct cookie_reply_view {
  std::uint32_t receiver_index;
  std::span<const std::uint8_t, 24> nonce;
  std::span<const std::uint8_t, 32> sealed_cookie;
};
struct data_view {
  std::uint32_t receiver_index;
  std::uint64_t counter;
  bytes_view header;  // the 16 bytes that are associated data
  bytes_span sealed;  // ciphertext || tag
};

// REQUIRES classify(datagram) gave the matching type.
[[nodiscard]] initiation_view parse_initiation(bytes_view datagram) noexcept;
[[nodiscard]] response_view parse_response(bytes_view datagram) noexcept;
[[nodiscard]] cookie_reply_view parse_cookie_reply(bytes_view datagram) noexcept;
[[nodiscard]] data_view parse_data(bytes_span datagram) noexcept;

// Where the parts of an outgoing handshake message go. The clear header is already written; macs are zero.
struct initiation_layout {
  std::span<std::uint8_t, 8> clear_header;
  std::span<std::uint8_t, 32> ephemeral;
  std::span<std::uint8_t, 48> sealed_static;
  bytes_span sealed_payload;
  bytes_view before_mac1;
  std::span<std::uint8_t, 16> mac1;
};
struct response_layout {
  std::span<std::uint8_t, 32> ephemeral;
  bytes_span sealed_payload;
  bytes_view before_mac1;
  std::span<std::uint8_t, 16> mac1;
};

struct cookie_reply_layout {
  std::span<std::uint8_t, 24> nonce;
  std::span<std::uint8_t, 32> sealed_cookie;
};

// REQUIRES datagram.size() == initiation_size (response_size, cookie_reply_size): we send no TLVs.
[[nodiscard]] initiation_layout format_initiation(bytes_span datagram, std::uint32_t sender_index) noexcept;
[[nodiscard]] response_layout format_response(bytes_span datagram, std::uint32_t sender_index,
                                              std::uint32_t receiver_index) noexcept;
[[nodiscard]] cookie_reply_layout format_cookie_reply(bytes_span datagram, std::uint32_t receiver_index) noexcept;
// Writes the 16 bytes in front of a data datagram's ciphertext.
void format_data_header(std::span<std::uint8_t, data_header_size> out, std::uint32_t receiver_index,
                        std::uint64_t counter) noexcept;

}  // namespace lanloom::wire
