// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/own_datagrams.hpp>

#include <array>
#include <vector>

using namespace lanloom;
using namespace lanloom::core;

namespace {
std::vector<std::uint8_t> v4(std::uint16_t from, std::uint16_t to) {
  std::vector<std::uint8_t> f(60);
  f[12] = 0x08;
  f[14] = 0x45;
  f[23] = 17;
  f[30] = 192;
  f[32] = 2;
  f[33] = 7;
  store_be16(&f[34], from);
  store_be16(&f[36], to);
  return f;
}

std::vector<std::uint8_t> v6(std::uint16_t from, std::uint16_t to) {
  std::vector<std::uint8_t> f(62);
  f[12] = 0x86;
  f[13] = 0xdd;
  f[14] = 0x60;
  f[20] = 17;
  f[38] = 0x20;
  f[39] = 0x01;
  f[53] = 7;
  store_be16(&f[54], from);
  store_be16(&f[56], to);
  return f;
}
}  // namespace

TEST_CASE("own_datagrams: where a datagram from our port goes, of both families") {
  const own_datagrams own(4780);
  CHECK(own.destination(v4(4780, 99)) == endpoint::v4({192, 0, 2, 7}, 99));
  CHECK(own.destination(v6(4780, 99)) == endpoint::parse("[2001::7]:99"));
  CHECK_FALSE(own.destination(v4(4781, 99)));
  CHECK_FALSE(own.destination(v6(4781, 99)));
  CHECK_FALSE(own_datagrams(0).destination(v4(0, 99)));
}

TEST_CASE("own_datagrams: on a VLAN, too, of one tag or two, and of three none") {
  const own_datagrams own(4780);
  using tag = std::array<std::uint8_t, 4>;
  constexpr tag customer{0x81, 0x00, 0, 10}, service{0x88, 0xa8, 0, 10};
  for (const tag& first : {customer, service}) {
    for (auto frame : {v4(4780, 99), v6(4780, 99)}) {
      const auto where = own.destination(frame);
      REQUIRE(where);
      for (std::size_t tags = 1; tags <= 3; ++tags) {
        const tag& next = tags == 1 ? first : customer;
        frame.insert(frame.begin() + 12, next.begin(), next.end());
        CHECK(own.destination(frame) == (tags <= 2 ? where : std::nullopt));
        for (std::size_t size = 0; size < 14 + 4 * tags; ++size) {
          CHECK_FALSE(own.destination(bytes_view(frame).first(size)));
        }
      }
    }
  }
}

TEST_CASE("own_datagrams: anything else is somebody else's") {
  const own_datagrams own(4780);
  for (const auto& good : {v4(4780, 99), v6(4780, 99)}) {
    for (std::size_t size = 0; size < good.size(); ++size) {
      const bool whole = size >= (good.size() == 60 ? 42U : 62U);
      CHECK(own.destination(bytes_view(good).first(size)).has_value() == whole);
    }
    auto tcp = good;
    tcp[good.size() == 60 ? 23 : 20] = 6;
    CHECK_FALSE(own.destination(tcp));
    auto other = good;
    other[12] = 0x88;
    CHECK_FALSE(own.destination(other));
  }
  auto options = v4(4780, 99);
  options[14] = 0x46;
  CHECK_FALSE(own.destination(options));
}
