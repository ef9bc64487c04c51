// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/os/bridge_fdb.hpp>

#include "own_host.hpp"

using namespace lanloom::os;

TEST_CASE("what a bridge has learned is listed with its port, what it has of itself is not") {
  on_own_host([] {
    CHECK(output_of("( set -e; for b in br0 br1; do ip link add $b type bridge; ip link set $b up; done; "
                    "ip link add p0 type veth peer name q0; ip link set p0 master br0 up; ip link set q0 up; "
                    "bridge fdb add 02:00:00:00:00:42 dev p0 master dynamic ) 2>&1")
              .empty());
    netlink here;
    const auto port = here.link_by_name("p0");
    REQUIRE(port);
    const std::vector<learned_mac> wanted{{{2, 0, 0, 0, 0, 0x42}, port->index}};
    auto found = learned_by_bridge(here.link_by_name("br0")->index);
    std::erase_if(found, [&](const auto& l) { return l.mac == here.link_by_name("q0")->mac; });  // if it has spoken
    CHECK(found == wanted);
    CHECK(learned_by_bridge(here.link_by_name("br1")->index).empty());
    CHECK(output_of("ip link del br0; ip link del br1; ip link del p0").empty());
  });
}
