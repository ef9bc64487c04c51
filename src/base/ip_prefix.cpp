// SPDX-License-Identifier: Apache-2.0
#include <lanloom/base/ip_prefix.hpp>

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace lanloom {

namespace {
// The first `length` bits of both are the same.
bool same_start(const ip_address& a, const ip_address& b, std::uint8_t length) noexcept {
  const std::size_t whole = length / 8U;
  if (!std::equal(a.bytes.begin(), a.bytes.begin() + whole, b.bytes.begin())) return false;
  const unsigned rest = length % 8U;
  return rest == 0 || ((a.bytes[whole] ^ b.bytes[whole]) >> (8U - rest)) == 0;
}
}  // namespace

std::optional<ip_address> ip_address::parse(std::string_view text) {
  // inet_pton stops at a NUL, which would hide what follows it.
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string terminated(text);
  ip_address a;
  a.v6 = text.find(':') != std::string_view::npos;
  if (::inet_pton(a.v6 ? AF_INET6 : AF_INET, terminated.c_str(), a.bytes.data()) != 1) return std::nullopt;
  return a;
}

ip_prefix ip_prefix::network() const noexcept {
  ip_prefix n{address, length};
  for (std::size_t i = 0; i < n.address.bytes.size(); ++i) {
    const std::size_t first_bit = i * 8;
    if (first_bit >= length) {
      n.address.bytes[i] = 0;
    } else if (length - first_bit < 8) {
      n.address.bytes[i] &= static_cast<std::uint8_t>(0xff00U >> (length - first_bit));
    }
  }
  return n;
}

bool ip_prefix::contains(const ip_address& a) const noexcept {
  return a.v6 == address.v6 && same_start(a, address, length);
}

bool ip_prefix::overlaps(const ip_prefix& other) const noexcept {
  return other.address.v6 == address.v6 && same_start(address, other.address, std::min(length, other.length));
}

std::optional<ip_prefix> ip_prefix::parse(std::string_view text) {
  const auto slash = text.find('/');
  const auto a = ip_address::parse(text.substr(0, slash));
  if (!a) return std::nullopt;
  if (slash == std::string_view::npos) return ip_prefix{*a, a->bits()};

  const auto digits = text.substr(slash + 1);
  if (digits.empty() || digits.size() > 3) return std::nullopt;
  std::uint8_t length = 0;
  const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
  if (failed != std::errc{} || end != digits.data() + digits.size() || length > a->bits()) return std::nullopt;
  return ip_prefix{*a, length};
}

std::string to_string(const ip_address& a) {
  char text[INET6_ADDRSTRLEN];
  ::inet_ntop(a.v6 ? AF_INET6 : AF_INET, a.bytes.data(), text, sizeof text);
  return text;
}

std::string to_string(const ip_prefix& p) { return to_string(p.address) + "/" + std::to_string(p.length); }

}  // namespace lanloom
