// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/wire/ethernet.hpp>

#include "wire/hex.hpp"

using namespace lanloom;
using namespace lanloom::wire;

namespace {

const char* const addresses = "020102030405 0a1112131415";

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
