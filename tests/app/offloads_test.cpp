// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/app/offloads.hpp>

using namespace lanloom;
using namespace lanloom::app;
using names = std::vector<std::string>;

namespace {
constexpr os::kernel_offloads everything{all_tap_offloads, true, true};
constexpr auto on = offload_choice::on;
constexpr auto off = offload_choice::off;
}  // namespace

TEST_CASE("offloads: auto takes what was found, on and off are obeyed") {
  offload_config wanted;
  CHECK(choose_offloads(wanted, everything) == offload_setup{});
  const offload_setup nothing = choose_offloads(wanted, {});
  CHECK(nothing.to_tap == tap_offloads{});
  CHECK(nothing.from_tap == all_tap_offloads);  // the TAP itself says what it hands over
  CHECK_FALSE(nothing.udp_gso);
  CHECK_FALSE(nothing.udp_gro);
  CHECK(missing_offloads(wanted, {}) == names{"checksum", "tso4", "tso6", "uso", "udp_gso", "udp_gro"});
  CHECK(missing_offloads(wanted, everything).empty());

  wanted = {on, on, on, on, on};
  CHECK(choose_offloads(wanted, {}) == offload_setup{});
  CHECK(missing_offloads(wanted, {}).empty());
  wanted = {off, on, off, off, off};
  CHECK(choose_offloads(wanted, everything) == offload_setup{{}, {}, false, false});
  CHECK(missing_offloads(wanted, {}).empty());
  wanted = {on, off, on, on, on};
  CHECK(choose_offloads(wanted, everything).to_tap == tap_offloads{true, true, true, false});
  CHECK(choose_offloads(wanted, everything).from_tap == tap_offloads{true, true, true, false});
}

TEST_CASE("offloads: names") {
  CHECK(names_of_tap_offloads({}) == names{"checksum", "tso4", "tso6", "uso"});
  CHECK(names_of_udp_offloads({}) == names{"gso", "gro"});
  offload_setup some;
  some.to_tap = {true, false, true, true};
  some.from_tap.udp = false;
  some.udp_gso = false;
  CHECK(names_of_tap_offloads(some) == names{"checksum", "tso6"});
  CHECK(names_of_udp_offloads(some) == names{"gro"});
  some.to_tap = {};  // a TAP whose other side takes whole frames only
  CHECK(names_of_tap_offloads(some).empty());
}
