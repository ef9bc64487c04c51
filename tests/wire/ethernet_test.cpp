// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/wire/ethernet.hpp>

#include "wire/hex.hpp"

using namespace lanloom;
using namespace lanloom::wire;

namespace {

const char* const addresses = "020102030405 0a1112131415";

bytes naive_complete(bytes frame, std::size_t start, std::size_t offset) {
  std::uint32_t sum = 0;
  for (std::size_t i = start; i < frame.size(); ++i) {
    sum += (i - start) % 2 == 0 ? static_cast<std::uint32_t>(frame[i]) << 8U : frame[i];
    sum = (sum & 0xffffU) + (sum >> 16U);
  }
  sum = ~sum & 0xffffU;
  if (sum == 0) sum = 0xffff;
  frame[start + offset] = static_cast<std::uint8_t>(sum >> 8U);
  frame[start + offset + 1] = static_cast<std::uint8_t>(sum & 0xffU);
  return frame;
}

}  // namespace

TEST_CASE("ethernet: addresses, and 14 bytes at least") {
  const auto whole = hex(addresses) + hex("0800") + bytes(46, 0);
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto h = parse_ethernet(cut);
    CAPTURE(size);
    REQUIRE(h.has_value() == (size >= 14));
    if (h) {
      CHECK(h->destination == mac_address{{0x02, 0x01, 0x02, 0x03, 0x04, 0x05}});
      CHECK(h->source == mac_address{{0x0a, 0x11, 0x12, 0x13, 0x14, 0x15}});
      CHECK(h->vlan == 0);
    }
  }
}

TEST_CASE("ethernet: the VLAN is the id of the outermost complete tag") {
  struct row {
    const char* after_addresses;
    std::uint16_t vlan;
  };
  const row rows[] = {
      {"0800 4500", 0},
      {"8100 0064 0800", 100},
      {"88a8 0064 0800", 100},
      {"8100 e064 0800", 100},  // priority 7
      {"8100 1064 0800", 100},  // drop eligible
      {"8100 ffff 0800", 4095},
      {"8100 0000 0800", 0},             // priority tag
      {"8100 e000 0800", 0},             // priority tag, priority 7
      {"88a8 000a 8100 0014 0800", 10},  // QinQ: the service tag
      {"8100 000a 8100 0014 0800", 10},
      {"8100 e000 8100 0014 0800", 0},  // a priority tag hides what is inside
      {"9100 0064 0800", 0},            // not an 802.1 tag
      {"8100", 0},                      // cut off
      {"8100 00", 0},
      {"8100 0064", 0},
      {"8100 0064 08", 0},
      {"88a8 0064 08", 0},
      {"0064 8100 0065 0800", 0},  // a length field, and no tag behind it
  };
  for (const auto& r : rows) {
    const auto h = parse_ethernet(hex(addresses) + hex(r.after_addresses));
    CAPTURE(r.after_addresses);
    REQUIRE(h);
    CHECK(h->vlan == r.vlan);
    CHECK(h->source == mac_address{{0x0a, 0x11, 0x12, 0x13, 0x14, 0x15}});
  }
}

TEST_CASE("ethernet: group, zero and pause addresses") {
  CHECK(mac_address{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}}.is_group());
  CHECK(mac_address{{0x01, 0x00, 0x5e, 0, 0, 1}}.is_group());
  CHECK(mac_address{{0x33, 0x33, 0, 0, 0, 1}}.is_group());
  CHECK(!mac_address{{0x02, 0xff, 0xff, 0xff, 0xff, 0xff}}.is_group());
  CHECK(mac_address{}.is_zero());
  CHECK(!mac_address{{0, 0, 0, 0, 0, 1}}.is_zero());

  const mac_address pause{{0x01, 0x80, 0xc2, 0x00, 0x00, 0x01}};
  CHECK(is_pause(pause));
  for (std::size_t at = 0; at < 6; ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      auto other = pause;
      other.bytes[at] = static_cast<std::uint8_t>(other.bytes[at] ^ (1U << bit));
      CHECK(!is_pause(other));
      CHECK(is_bpdu(other) == (at == 5 && bit == 0));
    }
  }
  CHECK(!is_bpdu(pause));
}

TEST_CASE("checksum: packets whose sums are known") {
  // The worked example of RFC 1071, 3: the sum of its four words is ddf2.
  auto rfc = hex("0001 f203 f4f5 f6f7 0000");
  REQUIRE(complete_checksum(rfc, 0, 8));
  CHECK(to_hex(rfc) == "0001f203f4f5f6f7220d");

  // UDP 192.0.2.1:4096 -> 192.0.2.2:53, payload "ab". The kernel leaves the folded pseudo-header sum in the field:
  // c000+0201+c000+0202+0011+000a = 841f. 1000+0035+000a+841f+6162 = f5c0, complement 0a3f.
  auto udp = hex("1000 0035 000a 841f 6162");
  REQUIRE(complete_checksum(udp, 0, 6));
  CHECK(to_hex(udp) == "10000035000a0a3f6162");

  // TCP SYN 10.0.0.1:1 -> 10.0.0.2:2, 20 bytes. Pseudo-header 0a00+0001+0a00+0002+0006+0014 = 141d;
  // 0001+0002+0001+5002+ffff+141d = 6423 folded, complement 9bdc.
  auto tcp = hex("0001 0002 00000001 00000000 5002 ffff 141d 0000");
  REQUIRE(complete_checksum(tcp, 0, 16));
  CHECK(to_hex(tcp) == "0001000200000001000000005002ffff9bdc0000");

  // A sum of ffff has a zero complement, which UDP would read as "none": ffff instead.
  auto zero = hex("0000 0000 0000 ffff");
  REQUIRE(complete_checksum(zero, 0, 6));
  CHECK(to_hex(zero) == "000000000000ffff");
  auto wraps = hex("ffff 0000 0000 0000");
  REQUIRE(complete_checksum(wraps, 0, 6));
  CHECK(to_hex(wraps) == "ffff00000000ffff");
}

TEST_CASE("checksum: bytes before the start do not count, an odd last byte counts as a high one") {
  auto a = hex("ffeedd 0001 0000 80");
  REQUIRE(complete_checksum(a, 3, 2));
  CHECK(to_hex(a) == "ffeedd00017ffe80");
}

TEST_CASE("checksum: a completed packet sums to ffff, and agrees with the plain way, at every length and start") {
  std::uint32_t state = 1;
  for (std::size_t size = 2; size <= 160; ++size) {
    for (const std::size_t start : {0U, 1U, 2U, 3U, 5U, 8U, 14U, 34U}) {
      if (start + 2 > size) continue;
      bytes frame(size);
      for (auto& b : frame) {
        state = state * 1664525U + 1013904223U;
        b = static_cast<std::uint8_t>(state >> 24U);
      }
      for (std::size_t offset = 0; start + offset + 2 <= size; offset += 3) {
        auto got = frame;
        REQUIRE(complete_checksum(got, start, offset));
        REQUIRE(to_hex(got) == to_hex(naive_complete(frame, start, offset)));
      }
    }
  }
  bytes big(65557, 0xff);  // the largest sum there is
  auto got = big;
  REQUIRE(complete_checksum(got, 14, 16));
  CHECK(got == naive_complete(big, 14, 16));
}

TEST_CASE("checksum: positions outside the frame are refused and nothing is written") {
  struct row {
    std::size_t start, offset;
    bool good;
  };
  constexpr auto huge = static_cast<std::size_t>(-1);
  const row rows[] = {{0, 0, true},     {0, 38, true},    {38, 0, true},    {20, 18, true},       {0, 39, false},
                      {39, 0, false},   {40, 0, false},   {41, 0, false},   {20, 19, false},      {0, 40, false},
                      {0, huge, false}, {huge, 0, false}, {huge, 2, false}, {2, huge - 1, false}, {huge, huge, false}};
  for (const auto& r : rows) {
    const auto before = counting(40);
    auto frame = before;
    CAPTURE(r.start);
    CAPTURE(r.offset);
    CHECK(complete_checksum(frame, r.start, r.offset) == r.good);
    if (!r.good) CHECK(frame == before);
  }
  bytes none;
  CHECK(!complete_checksum(none, 0, 0));
}
