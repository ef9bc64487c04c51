// SPDX-License-Identifier: Apache-2.0
// endpoint.hpp - an underlay address and UDP port as a value.
//
// IPv4 is kept as an IPv4-mapped IPv6 address (::ffff:a.b.c.d), so that comparison and hashing need one path.
// os turns it into a sockaddr; text is "192.0.2.1:4780" or "[2001:db8::1]:4780".
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>

namespace lanloom {

struct endpoint {
  std::array<std::uint8_t, 16> address{};  // network order
  std::uint16_t port = 0;                  // host order
  std::uint32_t scope = 0;                 // interface index of a link-local address, else 0
  // Our own address, that it spoke to and is answered from; all zero: as the kernel chooses. No part of who it is.
  std::array<std::uint8_t, 16> own{};

  [[nodiscard]] bool is_v4() const noexcept;
  [[nodiscard]] bool is_unspecified() const noexcept;  // 0.0.0.0 or ::
  bool operator==(const endpoint& other) const noexcept { return *this <=> other == 0; }
  std::strong_ordering operator<=>(const endpoint& other) const noexcept {
    return std::tie(address, port, scope) <=> std::tie(other.address, other.port, other.scope);
  }

  [[nodiscard]] static endpoint v4(std::array<std::uint8_t, 4> address, std::uint16_t port) noexcept;
  // Numeric addresses only, port required. Nothing on any other text.
  [[nodiscard]] static std::optional<endpoint> parse(std::string_view text);
};

[[nodiscard]] std::string to_string(const endpoint& e);

}  // namespace lanloom
