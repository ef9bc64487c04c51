// SPDX-License-Identifier: Apache-2.0
#include <lanloom/wire/datagram.hpp>

#include <algorithm>
#include <cassert>

namespace lanloom::wire {

namespace {

constexpr std::size_t clear_header_size = 4;  // type, version, reserved; common to all types
constexpr std::size_t macs_size = 2 * mac_size;

constexpr bool within_tlv_bytes(std::size_t size, std::size_t least) noexcept {
  return size >= least && size - least <= max_tlv_bytes;
}

void format_clear_header(bytes_span datagram, message_type type) noexcept {
  datagram[0] = static_cast<std::uint8_t>(type);
  datagram[1] = protocol_version;
  datagram[2] = 0;
  datagram[3] = 0;
}

}  // namespace

[[gnu::hot]] std::optional<message_type> classify(bytes_view datagram) noexcept {
  const std::size_t size = datagram.size();
  if (size < clear_header_size) return std::nullopt;
  if (datagram[1] != protocol_version || datagram[2] != 0 || datagram[3] != 0) return std::nullopt;
  bool fits = false;
  switch (datagram[0]) {
    case static_cast<std::uint8_t>(message_type::initiation):
      fits = within_tlv_bytes(size, initiation_size);
      break;
    case static_cast<std::uint8_t>(message_type::response):
      fits = within_tlv_bytes(size, response_size);
      break;
    case static_cast<std::uint8_t>(message_type::cookie_reply):
      fits = size == cookie_reply_size;
      break;
    case static_cast<std::uint8_t>(message_type::data):
      fits = size >= min_data_size;
      break;
    default:
      break;
  }
  if (!fits) return std::nullopt;
  return static_cast<message_type>(datagram[0]);
}

initiation_view parse_initiation(bytes_view datagram) noexcept {
  const std::size_t mac1_at = datagram.size() - macs_size;
  return {
      .sender_index = load_le32(&datagram[4]),
      .clear_header = datagram.subspan<0, 8>(),
      .ephemeral = datagram.subspan<8, 32>(),
      .sealed_static = datagram.subspan<40, 48>(),
      .sealed_payload = datagram.subspan(88, mac1_at - 88),
      .before_mac1 = datagram.first(mac1_at),
      .mac1 = datagram.subspan(mac1_at).first<mac_size>(),
      .before_mac2 = datagram.first(mac1_at + mac_size),
      .mac2 = datagram.last<mac_size>(),
  };
}

response_view parse_response(bytes_view datagram) noexcept {
  const std::size_t mac1_at = datagram.size() - macs_size;
  return {
      .sender_index = load_le32(&datagram[4]),
      .receiver_index = load_le32(&datagram[8]),
      .ephemeral = datagram.subspan<12, 32>(),
      .sealed_payload = datagram.subspan(44, mac1_at - 44),
      .before_mac1 = datagram.first(mac1_at),
      .mac1 = datagram.subspan(mac1_at).first<mac_size>(),
      .before_mac2 = datagram.first(mac1_at + mac_size),
      .mac2 = datagram.last<mac_size>(),
  };
}

cookie_reply_view parse_cookie_reply(bytes_view datagram) noexcept {
  return {
      .receiver_index = load_le32(&datagram[4]),
      .nonce = datagram.subspan<8, 24>(),
      .sealed_cookie = datagram.subspan<32, 32>(),
  };
}

[[gnu::hot]] data_view parse_data(bytes_span datagram) noexcept {
  return {
      .receiver_index = load_le32(&datagram[4]),
      .counter = load_le64(&datagram[8]),
      .header = datagram.first(data_header_size),
      .sealed = datagram.subspan(data_header_size),
  };
}

initiation_layout format_initiation(bytes_span datagram, std::uint32_t sender_index) noexcept {
  assert(datagram.size() == initiation_size);
  std::fill(datagram.begin(), datagram.end(), std::uint8_t{0});
  format_clear_header(datagram, message_type::initiation);
  store_le32(&datagram[4], sender_index);
  constexpr std::size_t mac1_at = initiation_size - macs_size;
  return {
      .clear_header = datagram.subspan<0, 8>(),
      .ephemeral = datagram.subspan<8, 32>(),
      .sealed_static = datagram.subspan<40, 48>(),
      .sealed_payload = datagram.subspan(88, mac1_at - 88),
      .before_mac1 = datagram.first(mac1_at),
      .mac1 = datagram.subspan<mac1_at, mac_size>(),
  };
}

response_layout format_response(bytes_span datagram, std::uint32_t sender_index,
                                std::uint32_t receiver_index) noexcept {
  assert(datagram.size() == response_size);
  std::fill(datagram.begin(), datagram.end(), std::uint8_t{0});
  format_clear_header(datagram, message_type::response);
  store_le32(&datagram[4], sender_index);
  store_le32(&datagram[8], receiver_index);
  constexpr std::size_t mac1_at = response_size - macs_size;
  return {
      .ephemeral = datagram.subspan<12, 32>(),
      .sealed_payload = datagram.subspan(44, mac1_at - 44),
      .before_mac1 = datagram.first(mac1_at),
      .mac1 = datagram.subspan<mac1_at, mac_size>(),
  };
}

cookie_reply_layout format_cookie_reply(bytes_span datagram, std::uint32_t receiver_index) noexcept {
  assert(datagram.size() == cookie_reply_size);
  format_clear_header(datagram, message_type::cookie_reply);
  store_le32(&datagram[4], receiver_index);
  return {.nonce = datagram.subspan<8, 24>(), .sealed_cookie = datagram.subspan<32, 32>()};
}

[[gnu::hot]] void format_data_header(std::span<std::uint8_t, data_header_size> out, std::uint32_t receiver_index,
                                     std::uint64_t counter) noexcept {
  format_clear_header(out, message_type::data);
  store_le32(&out[4], receiver_index);
  store_le64(&out[8], counter);
}

}  // namespace lanloom::wire
