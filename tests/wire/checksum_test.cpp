// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/wire/checksum.hpp>

#include "wire/hex.hpp"

using namespace lanloom;
using namespace lanloom::wire;

namespace {

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
