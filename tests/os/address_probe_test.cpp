// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/os/address_probe.hpp>

#include "own_host.hpp"

using namespace lanloom;
using namespace lanloom::os;

namespace {
ip_address address(const char* text) { return *ip_address::parse(text); }

// Bridge br0 (02:00:00:00:00:01) with 10.5.0.1; behind it somebody (02:00:00:00:00:99) with 10.5.0.1, 10.5.0.9 and
// fd00:5::9.
void make_network() {
  CHECK(output_of("( set -e; ip link add br0 address 02:00:00:00:00:01 type bridge; ip addr add 10.5.0.1/16 dev br0; "
                  "ip netns add other; ip link add p0 type veth peer name eth0 netns other; "
                  "ip -n other link set eth0 address 02:00:00:00:00:99; "
                  "ip -n other addr add 10.5.0.1/16 dev eth0; ip -n other addr add 10.5.0.9/16 dev eth0; "
                  "ip -n other addr add fd00:5::9/64 dev eth0 nodad; ip -n other link set eth0 up; "
                  "ip link set p0 master br0 up; ip link set br0 up ) 2>&1")
            .empty());
}
}  // namespace

TEST_CASE("who has an address answers, in both families, and the asker does not count") {
  on_own_host([] {
    make_network();
    const auto bridge = netlink().link_by_name("br0");
    REQUIRE(bridge);
    const std::array asked{address("10.5.0.1"), address("10.5.0.9"), address("10.5.0.77"), address("fd00:5::9"),
                           address("fd00:5::77")};
    const auto claims = probe_addresses(bridge->index, bridge->mac, asked, std::chrono::milliseconds(600));
    const mac_address other{2, 0, 0, 0, 0, 0x99};
    CHECK(claims == std::vector<address_claim>{
                        {address("10.5.0.1"), other}, {address("10.5.0.9"), other}, {address("fd00:5::9"), other}});
    // Nobody has learned anything.
    CHECK(output_of("ip -n other neigh show; ip neigh show").empty());
    CHECK(output_of("ip netns del other; ip link del br0").empty());
  });
}

TEST_CASE("a link that is down or gone is an error, nothing asked is no question") {
  on_own_host([] {
    CHECK(output_of("ip link add br0 type bridge").empty());
    const auto bridge = netlink().link_by_name("br0");
    REQUIRE(bridge);
    const std::array asked{address("10.5.0.1")};
    const auto soon = std::chrono::milliseconds(30);
    CHECK(refusal([&] { (void)probe_addresses(bridge->index, bridge->mac, asked, soon); }) ==
          "ask who has 10.5.0.1: Network is down");
    CHECK(refusal([&] { (void)probe_addresses(4711, bridge->mac, asked, soon); }) ==
          "listen on a link: No such device");
    CHECK(probe_addresses(bridge->index, bridge->mac, {}, soon).empty());
    CHECK(output_of("ip link del br0").empty());
  });
}
