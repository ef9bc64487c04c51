// SPDX-License-Identifier: Apache-2.0
// hex.hpp - test data as readable hex: "04 01 0000" becomes four bytes. Blanks separate, anything else fails the test.
#pragma once

#include <doctest/doctest.h>

#include <lanloom/base/bytes.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace lanloom::wire {

using bytes = std::vector<std::uint8_t>;

inline bytes hex(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  bytes out;
  std::size_t nibbles = 0;
  for (const char c : text) {
    if (c == ' ' || c == '\n') continue;
    const auto value = digits.find(c);
    REQUIRE(value != std::string_view::npos);
    if (nibbles++ % 2 == 0) {
      out.push_back(static_cast<std::uint8_t>(value << 4U));
    } else {
      out.back() = static_cast<std::uint8_t>(out.back() | value);
    }
  }
  REQUIRE(nibbles % 2 == 0);
  return out;
}

inline std::string to_hex(bytes_view b) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (const auto v : b) {
    out += digits[v >> 4U];
    out += digits[v & 15U];
  }
  return out;
}

inline bytes operator+(bytes a, const bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// 0, 1, 2, ... so that a field read from a wrong place shows.
inline bytes counting(std::size_t size, std::uint8_t first = 0) {
  bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>(first + i);
  return out;
}

}  // namespace lanloom::wire
