// SPDX-License-Identifier: Apache-2.0
#include "config_values.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace lanloom::app {

namespace {

bool is_letter_or_digit(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// The set is narrower than the kernel's: these names also stand in nft rules, sysctl paths and command lines.
bool is_plain_word(std::string_view text, std::size_t longest) noexcept {
  return !text.empty() && text.size() <= longest && is_letter_or_digit(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-'; });
}

bool is_v4_mapped(const ip_address& a) noexcept {
  return a.v6 && std::all_of(a.bytes.begin(), a.bytes.begin() + 10, [](std::uint8_t b) { return b == 0; }) &&
         a.bytes[10] == 0xff && a.bytes[11] == 0xff;
}

// Why no interface of a host can bear this address; empty if one can.
std::string_view not_a_hosts(const ip_address& a) noexcept {
  if (std::all_of(a.bytes.begin(), a.bytes.end(), [](std::uint8_t b) { return b == 0; }))
    return "it is the unspecified address";
  if (is_v4_mapped(a)) return "it is an IPv4 address in IPv6 notation";
  if (a.v6) {
    if (a.bytes[0] == 0xff) return "it is a multicast address";
    if (a == *ip_address::parse("::1")) return "it is the loopback address";
    return {};
  }
  if (a.bytes[0] == 127) return "it is a loopback address";
  if (a.bytes[0] >= 224 && a.bytes[0] < 240) return "it is a multicast address";
  if (a.bytes == ip_address::parse("255.255.255.255")->bytes) return "it is the broadcast address";
  return {};
}

bool looks_like_a_name(std::string_view text) noexcept {
  const auto host = text.substr(0, text.rfind(':'));
  return is_plain_word(host, 253) &&
         std::any_of(host.begin(), host.end(), [](char c) { return (c < '0' || c > '9') && c != '.'; });
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Labels of 1 to 63 characters, none beginning or ending with a hyphen; one dot may stand at the end. The last label is
// no number: "10.5.0.256" is a wrong address and no name.
bool is_host_name(std::string_view text) noexcept {
  if (text.ends_with('.')) text.remove_suffix(1);
  for (;;) {
    const auto dot = text.find('.');
    const auto label = text.substr(0, dot);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    if (dot == std::string_view::npos) {
      return std::any_of(label.begin(), label.end(), [](char c) { return c < '0' || c > '9'; });
    }
    text.remove_prefix(dot + 1);
  }
}

// IPv4's last address of a subnet; a subnet of one or two addresses has no such thing.
bool is_broadcast(const ip_prefix& p) noexcept {
  if (p.address.v6 || p.length + 1 >= p.address.bits()) return false;
  for (std::uint8_t bit = p.length; bit < p.address.bits(); ++bit) {
    if ((p.address.bytes[bit / 8] >> (7 - bit % 8) & 1) == 0) return false;
  }
  return true;
}

// X25519 with such a key gives zero whatever the private key is: no handshake can succeed.
bool is_low_order(const crypto::public_key& key) noexcept {
  crypto::private_key any;
  any.writable()[0] = 8;
  crypto::secret<32> shared;
  return !crypto::diffie_hellman(any, key, shared);
}

std::optional<endpoint> parse_endpoint(std::string_view text, std::string& why) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  const auto e = endpoint::parse(text);
  if (!e) {
    if (std::count(text.begin(), text.end(), ':') > 1 && !text.starts_with('[')) {
      why = "an IPv6 address stands in brackets, its port after them";
    } else if (ip_address::parse(text)) {
      why = "the port is missing";
    } else if (looks_like_a_name(text)) {
      why = "a host name cannot stand here";
    }
    return std::nullopt;
  }
  if (e->port == 0) {
    why = "port 0 is no port";
    return std::nullopt;
  }
  return e;
}

}  // namespace

std::string_view not_in_subnet(const ip_prefix& p) noexcept {
  if (p.length + 1 < p.address.bits() && p.network() == p) return "it is the subnet, not an address in it";
  if (is_broadcast(p)) return "it is the subnet's broadcast address";
  return {};
}

std::string to_string(const peer_endpoint& e) {
  return e.name.empty() ? to_string(e.at) : e.name + ":" + std::to_string(e.at.port);
}

ip_address address_of(const endpoint& e) noexcept {
  ip_address a;
  a.v6 = !e.is_v4();
  std::copy(e.address.begin() + (a.v6 ? 0 : 12), e.address.end(), a.bytes.begin());
  return a;
}

std::optional<std::string> parse_name(std::string_view text, std::string&) {
  return is_plain_word(text, 64) ? std::optional<std::string>(text) : std::nullopt;
}

std::optional<std::string> parse_interface_name(std::string_view text, std::string& why) {
  if (text.size() > 15) {
    why = "it is " + std::to_string(text.size()) + " characters long";
    return std::nullopt;
  }
  if (text == "lo" || text == "all" || text == "default") {
    why = "the kernel uses that name itself";
    return std::nullopt;
  }
  return is_plain_word(text, 15) ? std::optional<std::string>(text) : std::nullopt;
}

std::optional<std::string> parse_group(std::string_view text, std::string&) {
  return is_plain_word(text, 32) ? std::optional<std::string>(text) : std::nullopt;
}

std::optional<std::filesystem::path> parse_key_path(std::string_view text, std::string& why) {
  if (text.size() == 44 && text.back() == '=') {
    why = "it is a key itself";
    return std::nullopt;
  }
  const bool refused = text.empty() || text.size() >= 4096 ||
                       std::any_of(text.begin(), text.end(), [](char c) { return c >= 0 && c < 0x20; });
  return refused ? std::nullopt : std::optional<std::filesystem::path>(text);
}

std::optional<std::filesystem::path> parse_directory(std::string_view text, std::string& why) {
  auto path = parse_key_path(text, why);
  if (path && (path->is_absolute() && path->has_relative_path())) return path->lexically_normal();
  return std::nullopt;
}

std::optional<endpoint> parse_listen(std::string_view text, std::string& why) { return parse_endpoint(text, why); }

std::string_view not_a_peers(const ip_address& a) noexcept {
  if (a.v6 ? a == *ip_address::parse("::1") : a.bytes[0] == 127) return {};  // on this host, then
  if (a.v6 && a.bytes[0] == 0xfe && (a.bytes[1] & 0xc0) == 0x80)
    return "a link-local address says nothing without its interface";
  return not_a_hosts(a);
}

std::optional<peer_endpoint> parse_peer_endpoint(std::string_view text, std::string& why) {
  if (looks_like_a_name(text)) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) {
      why = "the port is missing";
      return std::nullopt;
    }
    // What is an address but for its port says nothing more than that.
    const auto port = endpoint::parse("0.0.0.0" + std::string(text.substr(colon)));
    if (!port || port->port == 0) {
      why = port ? "port 0 is no port" : "";
      return std::nullopt;
    }
    if (!is_host_name(text.substr(0, colon))) {
      why = "that is no host name";
      return std::nullopt;
    }
    endpoint e;
    e.port = port->port;
    return peer_endpoint{lower_case(text.substr(0, colon)), e};
  }
  const auto e = parse_endpoint(text, why);
  if (!e) return std::nullopt;
  why = not_a_peers(address_of(*e));
  return why.empty() ? std::optional(peer_endpoint{{}, *e}) : std::nullopt;
}

std::optional<socket_address> parse_forward_target(std::string_view text, std::string& why) {
  const auto e = parse_endpoint(text, why);
  if (!e) return std::nullopt;
  const socket_address target{address_of(*e), e->port};
  why = not_a_hosts(target.address);
  return why.empty() ? std::optional(target) : std::nullopt;
}

std::optional<ip_address> parse_host_address(std::string_view text, std::string& why) {
  const auto a = ip_address::parse(text);
  if (!a) return std::nullopt;
  why = not_a_hosts(*a);
  return why.empty() ? a : std::nullopt;
}

std::optional<ip_prefix> parse_interface_address(std::string_view text, std::string& why) {
  const auto p = ip_prefix::parse(text);
  if (!p) return std::nullopt;
  if (text.find('/') == std::string_view::npos) {
    why = "the length of the subnet is missing";
  } else if (p->length == 0) {
    why = "a subnet of length 0 is every address there is";
  } else {
    why = not_in_subnet(*p);
    if (why.empty()) why = not_a_hosts(p->address);
  }
  return why.empty() ? p : std::nullopt;
}

std::optional<ip_prefix> parse_subnet(std::string_view text, std::string& why) {
  const auto p = ip_prefix::parse(text);
  if (!p) return std::nullopt;
  if (p->network() != *p) {
    why = "it has bits beyond the length; the subnet is " + to_string(p->network());
    return std::nullopt;
  }
  return p;
}

std::optional<crypto::public_key> parse_public_key(std::string_view text, std::string& why) {
  if (text.starts_with("REPLACE")) {
    why = "it is still the placeholder";
    return std::nullopt;
  }
  auto key = crypto::public_key::parse(text);
  if (!key) {
    why = text.size() == 44 ? "it is not base64 of 32 bytes" : "it has " + std::to_string(text.size()) + " characters";
    return std::nullopt;
  }
  if (*key == crypto::public_key{}) {
    why = "it is all zero";
    return std::nullopt;
  }
  if (is_low_order(*key)) {
    why = "it is a point of low order, which is nobody's key";
    return std::nullopt;
  }
  return key;
}

std::optional<cipher_choice> parse_cipher(std::string_view text, std::string&) {
  if (text == "auto") return cipher_choice::automatic;
  if (text == "aes-256-gcm") return cipher_choice::aes_256_gcm;
  if (text == "chacha20-poly1305") return cipher_choice::chacha20_poly1305;
  return std::nullopt;
}

std::optional<offload_choice> parse_offload(std::string_view text, std::string&) {
  if (text == "auto") return offload_choice::automatic;
  if (text == "on") return offload_choice::on;
  if (text == "off") return offload_choice::off;
  return std::nullopt;
}

std::optional<log_level> parse_level(std::string_view text, std::string&) {
  if (text == "error") return log_level::error;
  if (text == "warning") return log_level::warning;
  if (text == "info") return log_level::info;
  if (text == "debug") return log_level::debug;
  return std::nullopt;
}

std::optional<forward_protocol> parse_protocol(std::string_view text, std::string&) {
  if (text == "tcp") return forward_protocol::tcp;
  if (text == "udp") return forward_protocol::udp;
  return std::nullopt;
}

std::optional<bridge_kind> parse_bridge_kind(std::string_view text, std::string&) {
  if (text == "auto") return bridge_kind::automatic;
  if (text == "linux") return bridge_kind::linux_bridge;
  if (text == "ovs") return bridge_kind::ovs;
  return std::nullopt;
}

std::optional<firewall_policy> parse_firewall(std::string_view text, std::string&) {
  if (text == "report") return firewall_policy::report;
  if (text == "fix") return firewall_policy::fix;
  return std::nullopt;
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t longest = 64;
  std::string out = "`";
  for (const char c : text.substr(0, longest)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  if (text.size() > longest) {
    // Not in the middle of a UTF-8 sequence.
    std::size_t end = longest;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    out.resize(1 + end);
    out += "...";
  }
  return out + "`";
}

std::size_t edit_distance(std::string_view a, std::string_view b) noexcept {
  constexpr std::size_t longest = 32;
  a = a.substr(0, longest);
  b = b.substr(0, longest);
  using distances = std::array<std::size_t, longest + 1>;
  distances before{}, last{}, row{};
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = a[i - 1] == b[j - 1];
      row[j] = std::min({last[j - 1] + (same ? 0 : 1), last[j] + 1, row[j - 1] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

}  // namespace lanloom::app
