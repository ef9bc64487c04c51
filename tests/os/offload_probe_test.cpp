// SPDX-License-Identifier: Apache-2.0
#include "in_child.hpp"

#include <doctest/doctest.h>
#include <lanloom/os/offload_probe.hpp>

using namespace lanloom::os;
using namespace lanloom::os::test;

TEST_CASE("offload probe: this kernel does it all, within a second, and nothing of the trial stays") {
  const auto failure = in_network([] {
    const auto began = std::chrono::steady_clock::now();
    const kernel_offloads found = probe_offloads();
    EXPECT(std::chrono::steady_clock::now() - began < std::chrono::seconds(10));
    EXPECT(found.tap.checksum);
    EXPECT(found.tap.tcp4);
    EXPECT(found.tap.tcp6);
    EXPECT(found.udp_gso);
    EXPECT(found.udp_gro);
    EXPECT(::if_nametoindex("probe") == 0);
    EXPECT(::waitpid(-1, nullptr, WNOHANG) < 0);  // no child is left
  });
  CHECK(failure == "");
}

TEST_CASE("offload probe: who may not try finds nothing") {
  const auto failure = in_child([] {
    if (::setresuid(65534, 65534, 65534) != 0) throw_errno("setresuid");
    EXPECT(probe_offloads() == kernel_offloads{});
  });
  CHECK(failure == "");
}

TEST_CASE("offload probe: kernels that corrupt trains") {
  for (const char* bad : {"7.0.0", "7.0.12-generic", "7.1.0", "7.1.4", "7.1.4-1-amd64", "7.0-rc1"}) {
    CAPTURE(bad);
    CHECK(corrupts_trains(bad));
  }
  for (const char* good : {"6.1.0-18-amd64", "6.18.44", "7.1.5", "7.2.0", "8.0", "5.15", "", "x"}) {
    CAPTURE(good);
    CHECK_FALSE(corrupts_trains(good));
  }
}
