// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/wire/probe.hpp>

#include <algorithm>

#include "wire/hex.hpp"

using namespace lanloom;
using namespace lanloom::wire;

namespace {

// PROTOCOL.md 7, byte by byte.
const char* const example =
    "036c616e6c6f 020102030405 88b5"
    "6c616e6c6f6f6d 01"
    "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
    "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
    "8877665544332211"
    "01 000000";
constexpr mac_address source{{2, 1, 2, 3, 4, 5}};

loop_probe example_probe() {
  loop_probe p;
  for (std::size_t i = 0; i < 16; ++i) p.network[i] = static_cast<std::uint8_t>(0xa0 + i);
  for (std::size_t i = 0; i < 32; ++i) p.sender[i] = static_cast<std::uint8_t>(0xb0 + i);
  p.nonce = 0x1122334455667788;
  p.closed = true;
  return p;
}

bytes format(const loop_probe& p) {
  bytes out(probe_size, 0xee);
  format_probe(std::span<std::uint8_t, probe_size>(out.data(), probe_size), source, p);
  return out;
}

}  // namespace

TEST_CASE("probe: the layout") {
  CHECK(to_hex(format(example_probe())) == to_hex(hex(example)));
  const auto read = parse_probe(hex(example));
  REQUIRE(read);
  CHECK(*read == example_probe());
  loop_probe open = example_probe();
  open.closed = false;
  CHECK(parse_probe(format(open)) == open);
}

TEST_CASE("probe: what bridges do with its addresses") {
  CHECK(probe_destination.is_group());
  // Not one that bridges keep to themselves, nor one that snooping prunes.
  CHECK(probe_destination.bytes[0] != 0x01);
  CHECK(probe_destination.bytes[0] != 0x33);
  CHECK(probe_size >= 60);
}

TEST_CASE("probe: trailing bytes are not looked at, missing ones are missed") {
  const bytes whole = format(example_probe());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(parse_probe(bytes_view(whole).first(size)));
  }
  CHECK(parse_probe(whole + bytes(40, 0x99)) == example_probe());
}

TEST_CASE("probe: a flip of any bit of type, magic, version, state or reserved bytes makes it an ordinary frame") {
  const bytes whole = format(example_probe());
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      bytes altered = whole;
      altered[at] = static_cast<std::uint8_t>(altered[at] ^ (1U << bit));
      CAPTURE(at);
      CAPTURE(bit);
      const auto read = parse_probe(altered);
      const bool is_field = (at >= 22 && at < 78) || (at == 78 && bit == 0);
      CHECK(read.has_value() == (at < 12 || is_field));
      if (read && is_field) CHECK_FALSE(*read == example_probe());
    }
  }
}

TEST_CASE("probe: with a VLAN tag it is an ordinary frame") {
  bytes tagged = format(example_probe());
  const bytes tag = hex("8100 0064");
  tagged.insert(tagged.begin() + 12, tag.begin(), tag.end());
  CHECK_FALSE(parse_probe(tagged));
}
