// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/wire/datagram.hpp>
#include <lanloom/wire/payload.hpp>

#include "wire/hex.hpp"

using namespace lanloom;
using namespace lanloom::wire;

namespace {

const char* const payload_1_hex =
    "4000000067e0f5a0 3a000000"  // stamp
    "03 00 dc05"                 // suites, reserved, MTU 1500
    "8877665544332211"           // boot id
    "0000 000000000000";         // L, reserved
const char* const payload_2_hex =
    "02 00 0024 78563412"               // suite, reserved, MTU 9216, sender_index
    "8877665544332211"                  // boot id
    "00000000000000000000ffffc0000207"  // ::ffff:192.0.2.7
    "12ac 0000 00000000";               // port 4780, L, reserved

initiation_payload payload_1() {
  initiation_payload p;
  p.stamp.bytes = {0x40, 0, 0, 0, 0x67, 0xe0, 0xf5, 0xa0, 0x3a, 0, 0, 0};
  p.suites = suite_bit_chacha20_poly1305 | suite_bit_aes_256_gcm;
  p.lan_mtu = 1500;
  p.boot_id = 0x1122334455667788;
  return p;
}
response_payload payload_2() {
  response_payload p;
  p.suite = 2;
  p.lan_mtu = 9216;
  p.sender_index = 0x12345678;
  p.boot_id = 0x1122334455667788;
  p.observed = endpoint::v4({192, 0, 2, 7}, 4780);
  return p;
}

struct shape {
  const char* name;
  bytes fixed;
  std::size_t length_at;
  std::vector<std::size_t> reserved;
  std::optional<std::uint16_t> (*tlv_bytes)(bytes_view);  // of a payload that was accepted
  [[nodiscard]] bool accepts(bytes_view b) const { return tlv_bytes(b).has_value(); }
};
template <auto Parse>
std::optional<std::uint16_t> tlv_bytes_of(bytes_view b) {
  const auto p = Parse(b);
  return p ? std::optional(p->tlv_bytes) : std::nullopt;
}
const shape& first() {
  static const shape s{
      "payload 1", hex(payload_1_hex), 24, {13, 26, 27, 28, 29, 30, 31}, tlv_bytes_of<parse_initiation_payload>};
  return s;
}
const shape& second() {
  static const shape s{"payload 2", hex(payload_2_hex), 34, {1, 36, 37, 38, 39}, tlv_bytes_of<parse_response_payload>};
  return s;
}

bytes with_tlvs(const shape& s, const bytes& tlvs, std::size_t stated) {
  auto out = s.fixed + tlvs;
  store_le16(&out[s.length_at], static_cast<std::uint16_t>(stated));
  return out;
}
bytes with_tlvs(const shape& s, const bytes& tlvs) { return with_tlvs(s, tlvs, tlvs.size()); }

// One TLV of `size` bytes in all.
bytes tlv(std::uint8_t type, std::size_t size) {
  bytes out(size, 0xee);
  out[0] = type;
  store_le16(&out[1], static_cast<std::uint16_t>(size - 3));
  return out;
}

}  // namespace

TEST_CASE("payload 1: pinned bytes, both ways") {
  const auto b = hex(payload_1_hex);
  REQUIRE(b.size() == payload_1_size);
  const auto p = parse_initiation_payload(b);
  REQUIRE(p);
  CHECK(p->stamp == payload_1().stamp);
  CHECK(p->suites == 3);
  CHECK(p->lan_mtu == 1500);
  CHECK(p->boot_id == 0x1122334455667788);
  CHECK(p->tlv_bytes == 0);
  std::array<std::uint8_t, 32> out;
  out.fill(0xff);
  format_payload(out, payload_1());
  CHECK(to_hex(out) == to_hex(b));
}

TEST_CASE("payload 2: pinned bytes, both ways") {
  const auto b = hex(payload_2_hex);
  REQUIRE(b.size() == payload_2_size);
  const auto p = parse_response_payload(b);
  REQUIRE(p);
  CHECK(p->suite == 2);
  CHECK(p->lan_mtu == 9216);
  CHECK(p->sender_index == 0x12345678);
  CHECK(p->boot_id == 0x1122334455667788);
  CHECK(p->observed == endpoint::v4({192, 0, 2, 7}, 4780));
  CHECK(p->tlv_bytes == 0);
  std::array<std::uint8_t, 40> out;
  out.fill(0xff);
  format_payload(out, payload_2());
  CHECK(to_hex(out) == to_hex(b));
}

TEST_CASE("payload 2: an IPv6 endpoint; its scope is not sent") {
  auto p = payload_2();
  p.observed = *endpoint::parse("[2001:db8::7]:65535");
  p.observed.scope = 4;
  std::array<std::uint8_t, 40> out;
  format_payload(out, p);
  CHECK(to_hex(bytes_view(out).subspan(16, 18)) == "20010db8000000000000000000000007ffff");
  const auto back = parse_response_payload(out);
  REQUIRE(back);
  CHECK(back->observed == *endpoint::parse("[2001:db8::7]:65535"));
}

TEST_CASE("payloads: L is written as 0 whatever the value says") {
  auto p1 = payload_1();
  p1.tlv_bytes = 7;
  std::array<std::uint8_t, 32> out1;
  format_payload(out1, p1);
  CHECK(to_hex(out1) == to_hex(hex(payload_1_hex)));
  auto p2 = payload_2();
  p2.tlv_bytes = 7;
  std::array<std::uint8_t, 40> out2;
  format_payload(out2, p2);
  CHECK(to_hex(out2) == to_hex(hex(payload_2_hex)));
}

TEST_CASE("stamps compare as 12 bytes, seconds first") {
  const auto stamp = [](std::string_view text) {
    tai64n s;
    const auto b = hex(text);
    std::copy(b.begin(), b.end(), s.bytes.begin());
    return s;
  };
  const auto base = stamp("4000000067e0f5a0 3a000000");
  CHECK(stamp("4000000067e0f5a0 3b000000") > base);
  CHECK(stamp("4000000067e0f5a1 00000000") > base);
  CHECK(stamp("4000000067e0f59f ff000000") < base);
  CHECK(stamp("4000000067e0f5a0 3a000001") > base);
  CHECK(tai64n{} < base);
}

TEST_CASE("payload 1: suite bits nobody knows yet are kept for the chooser, not rejected") {
  for (int suites = 0; suites < 256; ++suites) {
    auto b = hex(payload_1_hex);
    b[12] = static_cast<std::uint8_t>(suites);
    const auto p = parse_initiation_payload(b);
    REQUIRE(p);
    REQUIRE(p->suites == suites);
  }
}

TEST_CASE("payload 2: the suite is 1 or 2") {
  for (int suite = 0; suite < 256; ++suite) {
    auto b = hex(payload_2_hex);
    b[0] = static_cast<std::uint8_t>(suite);
    CAPTURE(suite);
    REQUIRE(parse_response_payload(b).has_value() == (suite == 1 || suite == 2));
  }
}

TEST_CASE("payloads: every reserved byte must be zero") {
  for (const auto* s : {&first(), &second()}) {
    REQUIRE(s->accepts(s->fixed));
    for (const auto at : s->reserved) {
      for (unsigned bit = 0; bit < 8; ++bit) {
        auto b = s->fixed;
        b[at] = static_cast<std::uint8_t>(1U << bit);
        CAPTURE(s->name);
        CAPTURE(at);
        REQUIRE(!s->accepts(b));
      }
    }
  }
}

TEST_CASE("payloads: every length from nothing to past the limit, with L true to it") {
  for (const auto* s : {&first(), &second()}) {
    for (std::size_t size = 0; size < s->fixed.size(); ++size) {
      REQUIRE(!s->accepts(bytes_view(s->fixed).first(size)));
    }
    for (std::size_t length = 0; length <= 1100; ++length) {
      const auto b = length >= 3 ? with_tlvs(*s, tlv(0, length)) : with_tlvs(*s, bytes(length, 0));
      CAPTURE(s->name);
      CAPTURE(length);
      const bool good = length == 0 || (length >= 3 && length <= 1024);
      REQUIRE(s->accepts(b) == good);
      if (good) REQUIRE(s->tlv_bytes(b) == length);
    }
  }
}

TEST_CASE("payloads: L must be exactly what is there") {
  for (const auto* s : {&first(), &second()}) {
    for (const std::size_t there : {0U, 3U, 4U, 36U, 1024U}) {
      const auto tlvs = there == 0 ? bytes{} : tlv(0, there);
      for (std::size_t stated = 0; stated <= 1100; ++stated) {
        CAPTURE(s->name);
        CAPTURE(there);
        CAPTURE(stated);
        REQUIRE(s->accepts(with_tlvs(*s, tlvs, stated)) == (stated == there));
      }
      REQUIRE(!s->accepts(with_tlvs(*s, tlvs, 65535)));
    }
  }
}

TEST_CASE("payloads: TLVs of any type that tile L are skipped, others reject the payload") {
  struct row {
    const char* tlvs;
    bool good;
  };
  const row rows[] = {
      {"", true},
      {"00 0000", true},
      {"00 0100 00", true},
      {"00 0100 55", true},       // what padding holds does not matter
      {"00 0000 00 0000", true},  // padding may be repeated
      {"07 0200 aabb", true},     // unknown
      {"07 0000 07 0000", true},  // unknown and twice: skipped, since its rules are not known
      {"ff 0100 00 00 0200 0000", true},
      {"00", false},
      {"00 00", false},
      {"00 0100", false},          // value missing
      {"00 0200 00", false},       // value cut off
      {"07 0200 aabb 00", false},  // rest too short for a header
      {"07 0200 aabb 00 00", false},
      {"07 0200 aabb 00 0100", false},
      {"07 ffff aabb", false},
      {"00 0001 00", false},  // length is little-endian: 256
  };
  for (const auto* s : {&first(), &second()}) {
    for (const auto& r : rows) {
      CAPTURE(s->name);
      CAPTURE(r.tlvs);
      CHECK(s->accepts(with_tlvs(*s, hex(r.tlvs))) == r.good);
    }
  }
}

TEST_CASE("payloads: a TLV whose length is wrong by anything rejects the payload") {
  for (const auto* s : {&first(), &second()}) {
    const auto tlvs = tlv(9, 40);  // filled with 0xee: a wrong walk never lands on the end
    for (unsigned length = 0; length <= 0xffff; ++length) {
      auto b = with_tlvs(*s, tlvs);
      store_le16(&b[s->fixed.size() + 1], static_cast<std::uint16_t>(length));
      CAPTURE(length);
      REQUIRE(s->accepts(b) == (length == 37));
    }
  }
}
