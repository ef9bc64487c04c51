// SPDX-License-Identifier: Apache-2.0
// ip_prefix.hpp - an IP address, and an address with a prefix length, as values.
//
// 1. An IPv4 address is the first four bytes, the rest are zero; an IPv4-mapped IPv6 address stays IPv6.
// 2. length <= 32 (IPv4) or 128 (IPv6). A prefix keeps its host bits: "10.5.0.1/16" is an interface's address too.
// 3. Addresses of different families neither contain nor overlap one another.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lanloom {

struct ip_address {
  std::array<std::uint8_t, 16> bytes{};  // network order
  bool v6 = false;

  [[nodiscard]] std::uint8_t bits() const noexcept { return v6 ? 128 : 32; }
  auto operator<=>(const ip_address&) const = default;

  // Numeric text without zone or brackets. Nothing on any other text.
  [[nodiscard]] static std::optional<ip_address> parse(std::string_view text);
};

struct ip_prefix {
  ip_address address;
  std::uint8_t length = 0;

  [[nodiscard]] ip_prefix network() const noexcept;  // host bits cleared
  [[nodiscard]] bool contains(const ip_address& a) const noexcept;
  [[nodiscard]] bool overlaps(const ip_prefix& other) const noexcept;
  auto operator<=>(const ip_prefix&) const = default;

  // "10.5.0.1/16", "fd00:5::1/64"; without a length the whole address counts (/32, /128). Nothing on any other text.
  [[nodiscard]] static std::optional<ip_prefix> parse(std::string_view text);
};

[[nodiscard]] std::string to_string(const ip_address& a);
[[nodiscard]] std::string to_string(const ip_prefix& p);  // always with the length

}  // namespace lanloom
