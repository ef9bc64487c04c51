// SPDX-License-Identifier: Apache-2.0
#include "mac_text.hpp"

namespace lanloom::app {

namespace {
constexpr std::string_view digits = "0123456789abcdef";
}

std::string format_mac(const os::mac_address& mac) {
  std::string text;
  for (const auto byte : mac) {
    if (!text.empty()) text += ':';
    text += digits[byte >> 4U];
    text += digits[byte & 0x0fU];
  }
  return text;
}

std::optional<os::mac_address> parse_mac(std::string_view text) {
  os::mac_address mac{};
  if (text.size() != mac.size() * 3 - 1) return std::nullopt;
  for (std::size_t i = 0; i < mac.size(); ++i) {
    const auto high = digits.find(text[i * 3]);
    const auto low = digits.find(text[i * 3 + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
    if (i + 1 < mac.size() && text[i * 3 + 2] != ':') return std::nullopt;
    mac[i] = static_cast<std::uint8_t>(high << 4U | low);
  }
  return mac;
}

}  // namespace lanloom::app
