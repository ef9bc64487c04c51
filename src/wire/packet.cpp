// SPDX-License-Identifier: Apache-2.0
#include <lanloom/wire/checksum.hpp>
#include <lanloom/wire/ethernet.hpp>
#include <lanloom/wire/packet.hpp>

#include <array>

namespace lanloom::wire {

namespace {

constexpr std::size_t ethernet_size = 14;
constexpr std::size_t tag_bytes = 4;
constexpr std::size_t most_tags = 2;
constexpr std::size_t ipv4_size = 20;
constexpr std::size_t ipv6_size = 40;
constexpr std::size_t tcp_size = 20;
constexpr std::size_t udp_size = 8;
constexpr std::size_t tcp_flags = 13;  // offset in the TCP header

constexpr std::uint16_t type_ipv4 = 0x0800;
constexpr std::uint16_t type_ipv6 = 0x86dd;
constexpr std::uint8_t protocol_tcp = 6;
constexpr std::uint8_t protocol_udp = 17;
constexpr std::uint16_t dont_fragment = 0x4000;
constexpr std::uint16_t fragment_bits = 0x3fff;  // more fragments, and the offset

constexpr std::uint8_t flag_fin = 0x01;
constexpr std::uint8_t flag_syn = 0x02;
constexpr std::uint8_t flag_rst = 0x04;
constexpr std::uint8_t flag_psh = 0x08;
constexpr std::uint8_t flag_urg = 0x20;
constexpr std::uint8_t flag_cwr = 0x80;
constexpr std::uint8_t option_end = 0;
constexpr std::uint8_t option_nop = 1;
constexpr std::uint8_t option_md5 = 19;
constexpr std::uint8_t option_ao = 29;

// Hop-by-hop, routing and destination options: next header, length in units of 8 bytes beyond the first.
constexpr bool is_option_header(std::uint8_t next) noexcept { return next == 0 || next == 43 || next == 60; }

std::uint16_t fold(std::uint32_t sum) noexcept {
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16U);
  return static_cast<std::uint16_t>(sum);
}

// Fills in what the IP header tells. `after` is the number of bytes that follow the transport's position.
bool parse_ipv4(bytes_view frame, packet& out, std::uint8_t& protocol, std::size_t& after) noexcept {
  const bytes_view ip = frame.subspan(out.ip);
  if (ip.size() < ipv4_size || ip[0] >> 4U != 4) return false;
  const std::size_t header = (ip[0] & 15U) * std::size_t{4};
  const std::size_t total = load_be16(&ip[2]);
  if (header < ipv4_size || header > ip.size() || total < header) return false;
  if ((load_be16(&ip[6]) & fragment_bits) != 0) return false;
  protocol = ip[9];
  out.transport = out.ip + header;
  after = total - header;
  return true;
}

bool parse_ipv6(bytes_view frame, packet& out, std::uint8_t& protocol, std::size_t& after) noexcept {
  const bytes_view ip = frame.subspan(out.ip);
  if (ip.size() < ipv6_size || ip[0] >> 4U != 6) return false;
  const std::size_t total = ipv6_size + load_be16(&ip[4]);
  protocol = ip[6];
  std::size_t header = ipv6_size;
  while (is_option_header(protocol)) {
    if (header + 2 > ip.size()) return false;
    protocol = ip[header];
    header += (ip[header + 1] + std::size_t{1}) * 8;
  }
  if (header > ip.size() || total < header) return false;
  out.transport = out.ip + header;
  after = total - header;
  return true;
}

// The folded sum of the pseudo-header, in the word order of ones_complement_sum.
std::uint16_t pseudo_sum(bytes_view frame, const packet& of) noexcept {
  const std::size_t length = of.payload - of.transport + of.stated;
  std::array<std::uint8_t, 4> tail{0, of.is_tcp ? protocol_tcp : protocol_udp};
  store_be16(&tail[2], static_cast<std::uint16_t>(length));
  const bytes_view addresses = of.is_v4 ? frame.subspan(of.ip + 12, 8) : frame.subspan(of.ip + 8, 32);
  return ones_complement_sum(addresses, ones_complement_sum(tail));
}

// TCP MD5 (RFC 2385) and TCP-AO (RFC 5925) sign each segment. Options that cannot be read count as such.
bool has_signature(bytes_view options) noexcept {
  for (std::size_t at = 0; at < options.size() && options[at] != option_end;) {
    if (options[at] == option_nop) {
      ++at;
      continue;
    }
    if (options[at] == option_md5 || options[at] == option_ao) return true;
    if (at + 1 == options.size() || options[at + 1] < 2 || options[at + 1] > options.size() - at) return true;
    at += options[at + 1];
  }
  return false;
}

}  // namespace

std::optional<packet> parse_packet(bytes_view frame) noexcept {
  if (frame.size() < ethernet_size) return std::nullopt;
  packet out;
  std::size_t type_at = ethernet_size - 2;
  std::uint16_t type = load_be16(&frame[type_at]);
  for (std::size_t tags = 0; is_vlan_tag(type); ++tags) {
    type_at += tag_bytes;
    if (tags == most_tags || type_at + 2 > frame.size()) return std::nullopt;
    type = load_be16(&frame[type_at]);
  }
  out.ip = type_at + 2;
  out.is_v4 = type == type_ipv4;
  if (!out.is_v4 && type != type_ipv6) return std::nullopt;

  std::uint8_t protocol = 0;
  std::size_t after = 0;
  if (!(out.is_v4 ? parse_ipv4 : parse_ipv6)(frame, out, protocol, after)) return std::nullopt;
  out.is_tcp = protocol == protocol_tcp;
  if (!out.is_tcp && protocol != protocol_udp) return std::nullopt;
  const bytes_view transport = frame.subspan(out.transport);
  if (transport.size() < (out.is_tcp ? tcp_size : udp_size)) return std::nullopt;
  const std::size_t header = out.is_tcp ? (transport[12] >> 4U) * std::size_t{4} : udp_size;
  if (header < (out.is_tcp ? tcp_size : udp_size) || header > transport.size() || header > after) return std::nullopt;
  out.payload = out.transport + header;
  out.stated = after - header;
  return out;
}

void patch_headers(bytes_span headers, const packet& of, const segment_run& run) noexcept {
  std::uint8_t* const ip = &headers[of.ip];
  std::uint8_t* const transport = &headers[of.transport];
  const std::size_t header = of.payload - of.transport;
  if (of.is_v4) {
    store_be16(ip + 2, static_cast<std::uint16_t>(of.payload - of.ip + run.payload));
    store_be16(ip + 4, static_cast<std::uint16_t>(load_be16(ip + 4) + run.first));
    store_le16(ip + 10, 0);
    const auto sum = ones_complement_sum(bytes_view(headers).subspan(of.ip, (ip[0] & 15U) * std::size_t{4}));
    store_le16(ip + 10, static_cast<std::uint16_t>(~sum));
  } else {
    store_be16(ip + 4, static_cast<std::uint16_t>(load_be16(ip + 4) - of.stated + run.payload));
  }
  if (of.is_tcp) {
    store_be32(transport + 4, static_cast<std::uint32_t>(load_be32(transport + 4) + run.first * run.size));
    unsigned cleared = run.last + 1 < run.count ? flag_fin | flag_psh : 0U;
    if (run.first > 0) cleared |= flag_cwr;
    transport[tcp_flags] = static_cast<std::uint8_t>(transport[tcp_flags] & ~cleared);
  } else {
    store_be16(transport + 4, static_cast<std::uint16_t>(header + run.payload));
  }
  std::uint8_t* const field = transport + of.checksum_offset();
  const auto before = static_cast<std::uint16_t>(header + of.stated);
  const auto after = static_cast<std::uint16_t>(header + run.payload);
  store_be16(field, fold(std::uint32_t{load_be16(field)} + static_cast<std::uint16_t>(~before) + after));
}

bool may_be_cut(bytes_view headers, const packet& of) noexcept {
  if (!of.is_tcp || (headers[of.transport + tcp_flags] & (flag_syn | flag_rst | flag_urg)) != 0) return false;
  const std::size_t options = of.transport + tcp_size;
  if (has_signature(headers.subspan(options, of.payload - options))) return false;
  return !of.is_v4 || (load_be16(&headers[of.ip + 6]) & dont_fragment) != 0;
}

bool has_cwr(bytes_view headers, const packet& of) noexcept {
  return of.is_tcp && (headers[of.transport + tcp_flags] & flag_cwr) != 0;
}

bool is_dhcp(bytes_view headers, const packet& of) noexcept {
  if (of.is_tcp) return false;
  const auto known = [](std::uint16_t port) { return port == 67 || port == 68 || port == 546 || port == 547; };
  return known(load_be16(&headers[of.transport])) || known(load_be16(&headers[of.transport + 2]));
}

void store_pseudo_sum(bytes_span frame, const packet& of) noexcept {
  store_le16(&frame[of.transport + of.checksum_offset()], pseudo_sum(frame, of));
}

bool make_partial(bytes_span frame, const packet& of) noexcept {
  const bytes_view covered = bytes_view(frame).subspan(of.transport, of.payload - of.transport + of.stated);
  if (ones_complement_sum(covered, pseudo_sum(frame, of)) != 0xffff) return false;
  store_pseudo_sum(frame, of);
  return true;
}

}  // namespace lanloom::wire
