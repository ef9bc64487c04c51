// SPDX-License-Identifier: Apache-2.0
#include "in_child.hpp"
#include "own_host.hpp"

#include <doctest/doctest.h>
#include <lanloom/os/offload_probe.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>

using namespace lanloom::os;
using namespace lanloom::os::test;

TEST_CASE("offload probe: this kernel does it all, and nothing of the trial stays") {
  const auto failure = in_network([] {
    offload_probe probe;
    const auto found = probe.answer();
    EXPECT(found.has_value());
    EXPECT(found->tap.checksum);
    EXPECT(found->tap.tcp4);
    EXPECT(found->tap.tcp6);
    EXPECT(found->udp_gso);
    EXPECT(found->udp_gro);
    EXPECT(probe.answer() == found);
    EXPECT(::if_nametoindex("probe") == 0);
    EXPECT(::waitpid(-1, nullptr, WNOHANG) < 0);  // no child is left
  });
  CHECK(failure == "");
}

TEST_CASE("offload probe: who asks waits a second, and who does not ask waits for nothing") {
  const auto failure = in_network([] {
    const auto began = std::chrono::steady_clock::now();
    { const offload_probe unasked; }
    EXPECT(::waitpid(-1, nullptr, WNOHANG) < 0);
    offload_probe held;
    pid_t child = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
      std::ifstream(entry.path() / "children") >> child;
    }
    EXPECT(child > 0);
    EXPECT(::kill(child, SIGSTOP) == 0);
    static_cast<void>(held.answer());  // it may have been faster
    EXPECT(std::chrono::steady_clock::now() - began < std::chrono::seconds(10));
    EXPECT(::waitpid(-1, nullptr, WNOHANG) < 0);
  });
  CHECK(failure == "");
}

TEST_CASE("offload probe: without /dev/net/tun the rest is still answered") {
  on_own_host([] {
    REQUIRE(output_of("mount -t tmpfs none /dev/net 2>&1").empty());
    offload_probe probe;
    CHECK(probe.answer() == kernel_offloads{{}, true, true});
  });
}

TEST_CASE(
    "offload probe: without rights it is tried in a user namespace, and where there is none, there is no answer") {
  const auto failure = in_child([] {
    if (::chroot("/var") != 0) throw_errno("chroot");  // where no user namespace can be made
    if (::setresuid(65534, 65534, 65534) != 0) throw_errno("setresuid");
    EXPECT(!offload_probe().answer());
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
