// SPDX-License-Identifier: Apache-2.0
// packets.hpp - TCP and UDP packets for tests, built and judged field by field, without the code under test.
//
// make() builds a packet with a complete checksum; partial() replaces it by the pseudo-header sum, as the kernel does;
// cut() is an independent segmenter, written from RFC 791, 793, 8200 and the rules of PROTOCOL.md 4.2.
#pragma once

#include "wire/hex.hpp"

#include <algorithm>
#include <random>

namespace lanloom::wire {

struct recipe {
  bool v4 = true;
  bool tcp = true;
  std::size_t tags = 0;
  std::size_t ip_options = 0;   // bytes: IPv4 options (multiple of 4), IPv6 extension headers (multiple of 8)
  std::size_t tcp_options = 0;  // multiple of 4
  std::uint8_t flags = 0x10;    // ACK
  std::uint16_t id = 0xfffe;
  std::uint32_t sequence = 0xfffff000;
  bool dont_fragment = true;
  std::size_t payload = 100;
  std::uint16_t source_port = 1000, destination_port = 2000;
  std::uint32_t seed = 1;

  [[nodiscard]] std::size_t ip_at() const { return 14 + 4 * tags; }
  [[nodiscard]] std::size_t transport_at() const { return ip_at() + (v4 ? 20 : 40) + ip_options; }
  [[nodiscard]] std::size_t headers() const { return transport_at() + (tcp ? 20 + tcp_options : 8); }
  [[nodiscard]] std::size_t field_at() const { return transport_at() + (tcp ? 16 : 6); }
};

// Plain RFC 1071 over 16-bit big-endian words.
inline std::uint32_t plain_sum(bytes_view b, std::uint32_t sum = 0) {
  for (std::size_t i = 0; i < b.size(); ++i) sum += i % 2 == 0 ? std::uint32_t{b[i]} << 8U : b[i];
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16U);
  return sum;
}

inline std::uint32_t pseudo_sum_of(const recipe& r, const bytes& frame, std::size_t l4_length) {
  const bytes_view f(frame);
  const auto addresses = r.v4 ? f.subspan(r.ip_at() + 12, 8) : f.subspan(r.ip_at() + 8, 32);
  return plain_sum(addresses, static_cast<std::uint32_t>(l4_length) + (r.tcp ? 6 : 17));
}

// Lengths, header checksum and L4 checksum for `frame` as it is; partial: the pseudo-header sum only.
inline void finish(const recipe& r, bytes& frame, bool partial) {
  const std::size_t ip = r.ip_at();
  const std::size_t l4 = frame.size() - r.transport_at();
  if (r.v4) {
    store_be16(&frame[ip + 2], static_cast<std::uint16_t>(frame.size() - ip));
    store_be16(&frame[ip + 10], 0);
    store_be16(&frame[ip + 10],
               static_cast<std::uint16_t>(~plain_sum(bytes_view(frame).subspan(ip, 20 + r.ip_options))));
  } else {
    store_be16(&frame[ip + 4], static_cast<std::uint16_t>(frame.size() - ip - 40));
  }
  if (!r.tcp) store_be16(&frame[r.transport_at() + 4], static_cast<std::uint16_t>(l4));
  const std::uint32_t pseudo = pseudo_sum_of(r, frame, l4);
  store_be16(&frame[r.field_at()], 0);
  std::uint32_t sum = pseudo;
  if (!partial) {
    sum = ~plain_sum(bytes_view(frame).subspan(r.transport_at()), pseudo) & 0xffffU;
    if (sum == 0) sum = 0xffff;
  }
  store_be16(&frame[r.field_at()], static_cast<std::uint16_t>(sum));
}

inline bytes make(const recipe& r, bool partial = false) {
  std::mt19937 random(r.seed);
  bytes f(r.headers() + r.payload);
  for (std::size_t k = r.headers(); k < f.size(); ++k) f[k] = static_cast<std::uint8_t>(random());
  const bytes macs = hex("02 0000000b01 02 0000000a01");
  std::copy(macs.begin(), macs.end(), f.begin());
  std::size_t at = 12;
  for (std::size_t k = 0; k < r.tags; ++k, at += 4) {
    store_be16(&f[at], k == 0 && r.tags == 2 ? 0x88a8 : 0x8100);
    store_be16(&f[at + 2], static_cast<std::uint16_t>(7 + k));
  }
  store_be16(&f[at], r.v4 ? 0x0800 : 0x86dd);
  std::uint8_t* ip = &f[r.ip_at()];
  const std::uint8_t protocol = r.tcp ? 6 : 17;
  if (r.v4) {
    ip[0] = static_cast<std::uint8_t>(0x45 + r.ip_options / 4);
    ip[1] = 0x02;  // ECT(0)
    store_be16(ip + 4, r.id);
    store_be16(ip + 6, r.dont_fragment ? 0x4000 : 0);
    ip[8] = 64;
    ip[9] = protocol;
    store_be32(ip + 12, 0x0a050001);
    store_be32(ip + 16, 0x0a050002);
    std::fill_n(ip + 20, r.ip_options, std::uint8_t{1});  // no operation
  } else {
    store_be32(ip, 0x60200000);
    ip[6] = r.ip_options > 0 ? 0 : protocol;  // hop-by-hop first
    ip[7] = 64;
    for (std::size_t k = 8; k < 40; ++k) ip[k] = static_cast<std::uint8_t>(k * 5);
    for (std::size_t k = 0; k < r.ip_options; k += 8) {
      ip[40 + k] = k + 8 < r.ip_options ? 60 : protocol;  // then destination options, 8 bytes each: PadN
      ip[40 + k + 2] = 1;
      ip[40 + k + 3] = 4;
    }
  }
  std::uint8_t* l4 = &f[r.transport_at()];
  store_be16(l4, r.source_port);
  store_be16(l4 + 2, r.destination_port);
  if (r.tcp) {
    store_be32(l4 + 4, r.sequence);
    store_be32(l4 + 8, 77);
    l4[12] = static_cast<std::uint8_t>((5 + r.tcp_options / 4) << 4U);
    l4[13] = r.flags;
    store_be16(l4 + 14, 500);
    std::fill_n(l4 + 20, r.tcp_options, std::uint8_t{1});
  }
  finish(r, f, partial);
  return f;
}

// What the kernel's segmentation makes of a packet; complete.
inline std::vector<bytes> cut(const recipe& r, const bytes& whole, std::size_t size) {
  std::vector<bytes> all;
  const std::size_t count = (r.payload + size - 1) / size;
  for (std::size_t k = 0; k < count; ++k) {
    const std::size_t from = r.headers() + k * size;
    bytes one(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(r.headers()));
    one.insert(one.end(), whole.begin() + static_cast<std::ptrdiff_t>(from),
               whole.begin() + static_cast<std::ptrdiff_t>(std::min(from + size, whole.size())));
    if (r.v4) store_be16(&one[r.ip_at() + 4], static_cast<std::uint16_t>(r.id + k));
    if (r.tcp) {
      store_be32(&one[r.transport_at() + 4], static_cast<std::uint32_t>(r.sequence + k * size));
      std::uint8_t flags = r.flags;
      if (k > 0) flags &= 0x7f;
      if (k + 1 < count) flags &= 0xf6;
      one[r.transport_at() + 13] = flags;
    }
    finish(r, one, false);
    all.push_back(std::move(one));
  }
  return all;
}

// A random one whose payload gives `segments` segments of `size`.
inline recipe random_recipe(std::mt19937& random, std::size_t segments, std::size_t size) {
  recipe r;
  r.v4 = random() % 2 == 0;
  r.tcp = random() % 3 != 0;
  r.tags = random() % 3;
  r.ip_options = (random() % 4) * (r.v4 ? 4 : 8);
  r.tcp_options = r.tcp ? (random() % 11) * 4 : 0;
  r.flags = static_cast<std::uint8_t>(0x10 | (random() & 0xc9));  // ACK with FIN, PSH, ECE, CWR at random
  r.id = static_cast<std::uint16_t>(random());
  r.sequence = static_cast<std::uint32_t>(random());
  r.payload = (segments - 1) * size + 1 + random() % size;
  r.seed = static_cast<std::uint32_t>(random());
  return r;
}

}  // namespace lanloom::wire
