// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/base/ip_prefix.hpp>

using lanloom::ip_address;
using lanloom::ip_prefix;

namespace {
ip_prefix prefix(std::string_view text) {
  const auto p = ip_prefix::parse(text);
  REQUIRE_MESSAGE(p, std::string(text));
  return *p;
}
ip_address address(std::string_view text) {
  const auto a = ip_address::parse(text);
  REQUIRE_MESSAGE(a, std::string(text));
  return *a;
}
}  // namespace

TEST_CASE("addresses and prefixes survive text and back") {
  for (const char* text : {"10.5.0.1/16", "0.0.0.0/0", "255.255.255.255/32", "fd00:5::1/64", "::/0", "fe80::1/128",
                           "::ffff:10.0.0.1/96"}) {
    CHECK(to_string(prefix(text)) == text);
  }
  CHECK(to_string(prefix("10.5.0.1")) == "10.5.0.1/32");
  CHECK(to_string(prefix("fd00:5::1")) == "fd00:5::1/128");
  CHECK(to_string(address("192.0.2.7")) == "192.0.2.7");
  CHECK(to_string(address("2001:DB8:0::7")) == "2001:db8::7");
  CHECK(address("192.0.2.7").bytes == std::array<std::uint8_t, 16>{192, 0, 2, 7});
  CHECK_FALSE(address("192.0.2.7").v6);
  CHECK(address("::ffff:192.0.2.7").v6);
}

TEST_CASE("anything else is refused") {
  using namespace std::string_view_literals;
  for (const auto text : {""sv,
                          "/"sv,
                          "/24"sv,
                          "10.5.0/16"sv,
                          "10.5.0.1/"sv,
                          "10.5.0.1/33"sv,
                          "10.5.0.1/-1"sv,
                          "10.5.0.1/+8"sv,
                          "10.5.0.1/8 "sv,
                          " 10.5.0.1"sv,
                          "10.5.0.256"sv,
                          "010.5.0.1"sv,
                          "fd00::/129"sv,
                          "fd00::/257"sv,
                          "fd00::/1000"sv,
                          "fe80::1%eth0"sv,
                          "[::1]"sv,
                          "name"sv,
                          "10.5.0.1\0x"sv,
                          "10.5.0.1/8/8"sv,
                          "00000000000000000000000000000000000000000000000000000000001.2.3.4"sv}) {
    CHECK_MESSAGE(!ip_prefix::parse(text), std::string(text));
  }
}

TEST_CASE("a prefix contains the addresses that share its bits") {
  CHECK(prefix("10.5.0.1/16").contains(address("10.5.255.255")));
  CHECK_FALSE(prefix("10.5.0.1/16").contains(address("10.6.0.0")));
  CHECK(prefix("10.5.16.0/20").contains(address("10.5.31.255")));
  CHECK_FALSE(prefix("10.5.16.0/20").contains(address("10.5.32.0")));
  CHECK(prefix("0.0.0.0/0").contains(address("203.0.113.1")));
  CHECK(prefix("192.0.2.1").contains(address("192.0.2.1")));
  CHECK_FALSE(prefix("192.0.2.1").contains(address("192.0.2.0")));
  CHECK(prefix("fd00:5::1/64").contains(address("fd00:5::ffff:1")));
  CHECK_FALSE(prefix("fd00:5::1/64").contains(address("fd00:5:0:1::")));
  CHECK(prefix("::1").contains(address("::1")));
}

TEST_CASE("families do not mix") {
  CHECK_FALSE(prefix("0.0.0.0/0").contains(address("::")));
  CHECK_FALSE(prefix("::/0").contains(address("0.0.0.0")));
  CHECK_FALSE(prefix("::/0").overlaps(prefix("0.0.0.0/0")));
}

TEST_CASE("prefixes overlap when the shorter contains the longer") {
  CHECK(prefix("10.0.0.0/8").overlaps(prefix("10.5.0.1/16")));
  CHECK(prefix("10.5.0.1/16").overlaps(prefix("10.0.0.0/8")));
  CHECK_FALSE(prefix("10.5.0.0/17").overlaps(prefix("10.5.128.0/17")));
  CHECK(prefix("fd00::/8").overlaps(prefix("fd00:5::1/64")));
  CHECK_FALSE(prefix("fd00::/64").overlaps(prefix("fd00:0:0:1::/64")));
}

TEST_CASE("the network of a prefix has no host bits") {
  CHECK(prefix("10.5.255.1/20").network() == prefix("10.5.240.0/20"));
  CHECK(prefix("10.5.0.1/16").network() == prefix("10.5.0.0/16"));
  CHECK(prefix("10.5.0.1/0").network() == prefix("0.0.0.0/0"));
  CHECK(prefix("10.5.0.1/32").network() == prefix("10.5.0.1/32"));
  CHECK(prefix("fd00:5::1/64").network() == prefix("fd00:5::/64"));
  CHECK(prefix("fd00:5:ffff::/45").network() == prefix("fd00:5:fff8::/45"));
}
