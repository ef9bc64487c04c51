// SPDX-License-Identifier: Apache-2.0
#include <lanloom/base/endpoint.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace lanloom {

namespace {
constexpr std::array<std::uint8_t, 12> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
}

[[gnu::hot]] bool endpoint::is_v4() const noexcept {
  return std::equal(v4_prefix.begin(), v4_prefix.end(), address.begin());
}

bool endpoint::is_unspecified() const noexcept {
  const auto first = is_v4() ? address.begin() + 12 : address.begin();
  return std::all_of(first, address.end(), [](std::uint8_t b) { return b == 0; });
}

[[gnu::hot]] endpoint endpoint::v4(std::array<std::uint8_t, 4> a, std::uint16_t port) noexcept {
  endpoint e;
  std::copy(v4_prefix.begin(), v4_prefix.end(), e.address.begin());
  std::copy(a.begin(), a.end(), e.address.begin() + 12);
  e.port = port;
  return e;
}

std::optional<endpoint> endpoint::parse(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;  // inet_pton would stop there
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (failed != std::errc{} || end != digits.data() + digits.size() || digits.empty()) return std::nullopt;

  auto host = text.substr(0, colon);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    const std::string inner(host.substr(1, host.size() - 2));
    endpoint e;
    if (::inet_pton(AF_INET6, inner.c_str(), e.address.data()) != 1) return std::nullopt;
    e.port = port;
    return e;
  }
  std::array<std::uint8_t, 4> a{};
  if (::inet_pton(AF_INET, std::string(host).c_str(), a.data()) != 1) return std::nullopt;
  return v4(a, port);
}

std::string to_string(const endpoint& e) {
  char text[INET6_ADDRSTRLEN];
  if (e.is_v4()) {
    ::inet_ntop(AF_INET, e.address.data() + 12, text, sizeof text);
    return std::string(text) + ":" + std::to_string(e.port);
  }
  ::inet_ntop(AF_INET6, e.address.data(), text, sizeof text);
  return "[" + std::string(text) + "]:" + std::to_string(e.port);
}

}  // namespace lanloom
