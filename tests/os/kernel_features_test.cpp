// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/os/kernel_features.hpp>

#include "own_host.hpp"

using namespace lanloom::os;

TEST_CASE("the kernel says what it offers, and nothing appears on the host") {
  on_own_host([] {
    const auto before = output_of("ip -o link");
    const auto found = probe_kernel_features();
    REQUIRE(found);
    // Linux 5.10 has all of these.
    CHECK(found->tap);
    CHECK(found->tap_tso);
    CHECK(found->udp_segment);
    CHECK(found->udp_coalesce);
    CHECK(output_of("ip -o link") == before);
  });
}

TEST_CASE("without /dev/net/tun the rest is still answered") {
  on_own_host([] {
    REQUIRE(output_of("mount -t tmpfs none /dev/net 2>&1").empty());
    const auto found = probe_kernel_features();
    REQUIRE(found);
    CHECK(*found == kernel_features{false, false, false, true, true});
  });
}
