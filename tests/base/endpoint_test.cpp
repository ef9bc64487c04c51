// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/base/endpoint.hpp>

using lanloom::endpoint;

TEST_CASE("endpoints survive text and back") {
  for (const char* text : {"192.0.2.1:4780", "0.0.0.0:0", "255.255.255.255:65535", "[2001:db8::1]:4780", "[::]:4780",
                           "[::1]:1", "[fe80::1]:65535"}) {
    CAPTURE(text);
    const auto e = endpoint::parse(text);
    REQUIRE(e);
    CHECK(to_string(*e) == text);
    CHECK(e->scope == 0);
  }
}

TEST_CASE("endpoints: what is kept") {
  const auto four = endpoint::parse("192.0.2.1:4780");
  REQUIRE(four);
  CHECK(four->address == std::array<std::uint8_t, 16>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1});
  CHECK(four->port == 4780);
  CHECK(four->is_v4());
  CHECK(*four == endpoint::v4({192, 0, 2, 1}, 4780));

  const auto six = endpoint::parse("[2001:db8::1]:4780");
  REQUIRE(six);
  CHECK(six->address == std::array<std::uint8_t, 16>{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1});
  CHECK(!six->is_v4());

  const auto mapped = endpoint::parse("[::ffff:192.0.2.1]:4780");
  REQUIRE(mapped);
  CHECK(*mapped == *four);
  CHECK(to_string(*mapped) == "192.0.2.1:4780");
}

TEST_CASE("endpoints: unspecified addresses of both families") {
  CHECK(endpoint{}.is_unspecified());
  CHECK(endpoint::v4({0, 0, 0, 0}, 4780).is_unspecified());
  CHECK(!endpoint::v4({0, 0, 0, 1}, 0).is_unspecified());
  CHECK(!endpoint::parse("[::1]:0")->is_unspecified());
  CHECK(!endpoint::parse("[1::]:0")->is_unspecified());
}

TEST_CASE("endpoints: address, port and scope all take part in comparison") {
  const auto e = endpoint::v4({192, 0, 2, 1}, 4780);
  auto other = e;
  CHECK(e == other);
  other.port = 4781;
  CHECK(e < other);
  other = e;
  other.scope = 1;
  CHECK(e != other);
  CHECK(e < endpoint::v4({192, 0, 2, 2}, 1));
}

TEST_CASE("endpoints: any other text is nothing") {
  for (const char* text : {"",
                           ":",
                           "192.0.2.1",
                           "192.0.2.1:",
                           ":4780",
                           "192.0.2.1:65536",
                           "192.0.2.1:-1",
                           "192.0.2.1:+1",
                           "192.0.2.1: 1",
                           "192.0.2.1:1 ",
                           " 192.0.2.1:1",
                           "192.0.2.1:1x",
                           "192.0.2:1",
                           "192.0.2.256:1",
                           "192.0.2.1.1:1",
                           "192.0.2.01x:1",
                           "host:4780",
                           "localhost:4780",
                           "::1:4780",
                           "2001:db8::1:4780",
                           "[2001:db8::1]",
                           "[2001:db8::1]4780",
                           "[]:4780",
                           "[:4780",
                           "]:4780",
                           "[2001:db8::1:4780",
                           "[192.0.2.1]:4780",
                           "[fe80::1%eth0]:4780",
                           "[g::]:1",
                           "[::1]x:1",
                           "192.0.2.1:4780:1",
                           "192.0.2.1:99999999999999999999"}) {
    CAPTURE(text);
    CHECK(!endpoint::parse(text));
  }
}
