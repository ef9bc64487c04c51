// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/base/bytes.hpp>

#include <array>

using namespace lanloom;

namespace {
using eight = std::array<std::uint8_t, 8>;
constexpr eight ordered{0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
}  // namespace

TEST_CASE("bytes: little-endian integers") {
  CHECK(load_le16(ordered.data()) == 0x2301);
  CHECK(load_le32(ordered.data()) == 0x67452301);
  CHECK(load_le64(ordered.data()) == 0xefcdab8967452301);
  eight out{};
  store_le16(out.data(), 0x1122);
  CHECK(out == eight{0x22, 0x11});
  store_le32(out.data(), 0x11223344);
  CHECK(out == eight{0x44, 0x33, 0x22, 0x11});
  store_le64(out.data(), 0x0123456789abcdef);
  CHECK(out == eight{0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01});
}

TEST_CASE("bytes: big-endian integers") {
  CHECK(load_be16(ordered.data()) == 0x0123);
  CHECK(load_be32(ordered.data()) == 0x01234567);
  CHECK(load_be64(ordered.data()) == 0x0123456789abcdef);
  eight out{};
  store_be16(out.data(), 0x1122);
  CHECK(out == eight{0x11, 0x22});
  store_be32(out.data(), 0x11223344);
  CHECK(out == eight{0x11, 0x22, 0x33, 0x44});
  store_be64(out.data(), 0x0123456789abcdef);
  CHECK(out == ordered);
}

TEST_CASE("bytes: integers at odd addresses touch their own bytes only") {
  std::array<std::uint8_t, 12> out{};
  out.fill(0xee);
  store_le64(&out[1], 0x0123456789abcdef);
  CHECK(load_le64(&out[1]) == 0x0123456789abcdef);
  CHECK(out[0] == 0xee);
  CHECK(out[9] == 0xee);
  store_be32(&out[3], 0xa1a2a3a4);
  CHECK(load_be32(&out[3]) == 0xa1a2a3a4);
  CHECK(out[2] == 0xcd);
  CHECK(out[7] == 0x23);
  store_le16(&out[10], 0xffff);
  CHECK(out[9] == 0xee);
}

TEST_CASE("bytes: the bytes of a text come without a terminator") {
  const std::string_view text("a\0\xff", 3);
  const auto b = as_bytes(text);
  REQUIRE(b.size() == 3);
  CHECK(b[0] == 'a');
  CHECK(b[1] == 0);
  CHECK(b[2] == 0xff);
  CHECK(as_bytes("").empty());
}
