// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/wire/datagram.hpp>

#include <limits>

#include "wire/hex.hpp"

using namespace lanloom;
using namespace lanloom::wire;

namespace {

bytes datagram_of(std::uint8_t type, std::size_t size) {
  bytes d = counting(size, 0x40);
  if (size > 0) d[0] = type;
  if (size > 1) d[1] = 1;
  if (size > 2) d[2] = 0;
  if (size > 3) d[3] = 0;
  return d;
}

struct type_row {
  message_type type;
  std::size_t least;
  std::size_t most;
};
constexpr type_row types[] = {
    {message_type::initiation, 168, 168 + 1024},
    {message_type::response, 132, 132 + 1024},
    {message_type::cookie_reply, 64, 64},
    {message_type::data, 32, std::numeric_limits<std::size_t>::max()},
};

template <class Range>
std::size_t offset_in(const bytes& whole, const Range& part) {
  return static_cast<std::size_t>(part.data() - whole.data());
}

}  // namespace

TEST_CASE("datagrams: the sizes of PROTOCOL.md") {
  CHECK(initiation_size == 8 + 32 + 48 + payload_1_size + 16 + 32);
  CHECK(response_size == 12 + 32 + payload_2_size + 16 + 32);
  CHECK(cookie_reply_size == 8 + 24 + 16 + 16);
  CHECK(min_data_size == 32);
  CHECK(data_overhead == 32);
}

TEST_CASE("datagrams: every length of every type is accepted or rejected as the table says") {
  for (const auto& row : types) {
    const auto number = static_cast<std::uint8_t>(row.type);
    for (std::size_t size = 0; size <= 1400; ++size) {
      const auto got = classify(datagram_of(number, size));
      CAPTURE(+number);
      CAPTURE(size);
      if (size >= row.least && size <= row.most) {
        REQUIRE(got == row.type);
      } else {
        REQUIRE(!got);
      }
    }
  }
  CHECK(classify(datagram_of(4, 65507)) == message_type::data);
  CHECK(!classify(datagram_of(1, 65507)));
}

TEST_CASE("datagrams: every other type is rejected at every plausible length") {
  for (int type = 0; type < 256; ++type) {
    if (type >= 1 && type <= 4) continue;
    for (const std::size_t size : {4U, 32U, 64U, 132U, 168U, 1192U}) {
      CAPTURE(type);
      REQUIRE(!classify(datagram_of(static_cast<std::uint8_t>(type), size)));
    }
  }
}

TEST_CASE("datagrams: version must be 1 and both reserved bytes zero, for every type and value") {
  for (const auto& row : types) {
    auto d = datagram_of(static_cast<std::uint8_t>(row.type), row.least);
    REQUIRE(classify(d) == row.type);
    for (const std::size_t at : {1U, 2U, 3U}) {
      const auto right = d[at];
      for (int value = 0; value < 256; ++value) {
        d[at] = static_cast<std::uint8_t>(value);
        CAPTURE(at);
        CAPTURE(value);
        REQUIRE(classify(d).has_value() == (value == right));
      }
      d[at] = right;
    }
  }
}

TEST_CASE("initiation: fields lie where PROTOCOL.md puts them, for every L") {
  for (std::size_t tlvs = 0; tlvs <= max_tlv_bytes; ++tlvs) {
    const auto d = datagram_of(1, 168 + tlvs);
    const auto v = parse_initiation(d);
    REQUIRE(v.sender_index == 0x47464544);
    REQUIRE(offset_in(d, v.clear_header) == 0);
    REQUIRE(offset_in(d, v.ephemeral) == 8);
    REQUIRE(offset_in(d, v.sealed_static) == 40);
    REQUIRE(offset_in(d, v.sealed_payload) == 88);
    REQUIRE(v.sealed_payload.size() == 32 + tlvs + 16);
    REQUIRE(offset_in(d, v.mac1) == 136 + tlvs);
    REQUIRE(offset_in(d, v.mac2) == 152 + tlvs);
    REQUIRE(offset_in(d, v.before_mac1) == 0);
    REQUIRE(v.before_mac1.size() == 136 + tlvs);
    REQUIRE(offset_in(d, v.before_mac2) == 0);
    REQUIRE(v.before_mac2.size() == 152 + tlvs);
  }
}

TEST_CASE("response: fields lie where PROTOCOL.md puts them, for every L") {
  for (std::size_t tlvs = 0; tlvs <= max_tlv_bytes; ++tlvs) {
    const auto d = datagram_of(2, 132 + tlvs);
    const auto v = parse_response(d);
    REQUIRE(v.sender_index == 0x47464544);
    REQUIRE(v.receiver_index == 0x4b4a4948);
    REQUIRE(offset_in(d, v.ephemeral) == 12);
    REQUIRE(offset_in(d, v.sealed_payload) == 44);
    REQUIRE(v.sealed_payload.size() == 40 + tlvs + 16);
    REQUIRE(offset_in(d, v.mac1) == 100 + tlvs);
    REQUIRE(offset_in(d, v.mac2) == 116 + tlvs);
    REQUIRE(v.before_mac1.size() == 100 + tlvs);
    REQUIRE(v.before_mac2.size() == 116 + tlvs);
  }
}

TEST_CASE("data: fields lie where PROTOCOL.md puts them") {
  auto d = hex("04 01 0000 78563412 efcdab8967452301") + counting(17);
  const auto v = parse_data(d);
  CHECK(v.receiver_index == 0x12345678);
  CHECK(v.counter == 0x0123456789abcdef);
  CHECK(offset_in(d, v.header) == 0);
  CHECK(v.header.size() == 16);
  CHECK(offset_in(d, v.sealed) == 16);
  CHECK(v.sealed.size() == 17);
}

TEST_CASE("initiation: what format leaves is the header and zeros, and the places tile the datagram") {
  bytes d(initiation_size, 0xff);
  const auto layout = format_initiation(d, 0x12345678);
  CHECK(to_hex(d) == to_hex(hex("01 01 0000 78563412") + bytes(160, 0)));
  CHECK(classify(d) == message_type::initiation);

  std::fill(layout.ephemeral.begin(), layout.ephemeral.end(), std::uint8_t{0xe1});
  std::fill(layout.sealed_static.begin(), layout.sealed_static.end(), std::uint8_t{0x51});
  std::fill(layout.sealed_payload.begin(), layout.sealed_payload.end(), std::uint8_t{0xa1});
  std::fill(layout.mac1.begin(), layout.mac1.end(), std::uint8_t{0xc1});
  CHECK(to_hex(d) == to_hex(hex("01 01 0000 78563412") + bytes(32, 0xe1) + bytes(48, 0x51) + bytes(48, 0xa1) +
                            bytes(16, 0xc1) + bytes(16, 0)));
  CHECK(layout.clear_header.data() == d.data());
  CHECK(layout.before_mac1.data() == d.data());
  CHECK(layout.before_mac1.size() == 136);
  CHECK(parse_initiation(d).sender_index == 0x12345678);
}

TEST_CASE("response: what format leaves is the header and zeros, and the places tile the datagram") {
  bytes d(response_size, 0xff);
  const auto layout = format_response(d, 0x12345678, 0x9abcdef0);
  CHECK(to_hex(d) == to_hex(hex("02 01 0000 78563412 f0debc9a") + bytes(120, 0)));
  CHECK(classify(d) == message_type::response);

  std::fill(layout.ephemeral.begin(), layout.ephemeral.end(), std::uint8_t{0xe1});
  std::fill(layout.sealed_payload.begin(), layout.sealed_payload.end(), std::uint8_t{0xa1});
  std::fill(layout.mac1.begin(), layout.mac1.end(), std::uint8_t{0xc1});
  CHECK(to_hex(d) == to_hex(hex("02 01 0000 78563412 f0debc9a") + bytes(32, 0xe1) + bytes(56, 0xa1) + bytes(16, 0xc1) +
                            bytes(16, 0)));
  CHECK(layout.before_mac1.data() == d.data());
  CHECK(layout.before_mac1.size() == 100);
  CHECK(parse_response(d).sender_index == 0x12345678);
  CHECK(parse_response(d).receiver_index == 0x9abcdef0);
}

TEST_CASE("data: header as hex, and back") {
  bytes d(min_data_size, 0xff);
  format_data_header(bytes_span(d).first<16>(), 0x12345678, 0x0123456789abcdef);
  CHECK(to_hex(d) == to_hex(hex("04 01 0000 78563412 efcdab8967452301") + bytes(16, 0xff)));
  CHECK(classify(d) == message_type::data);
  for (const std::uint64_t counter : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 60U, ~std::uint64_t{0}}) {
    format_data_header(bytes_span(d).first<16>(), 0xffffffff, counter);
    CHECK(parse_data(d).counter == counter);
    CHECK(parse_data(d).receiver_index == 0xffffffff);
  }
}
