// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/app/host.hpp>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/sysctl.hpp>

#include "example_host.hpp"

#include <optional>
#include <thread>

using namespace lanloom;
using namespace lanloom::app;
using os::on_own_host;
using os::read_sysctl;
using os::write_sysctl;

namespace {
plan forwarding_only(const std::string& instance, const std::string& tap) {
  plan p{instance, {"br-" + instance, false, 1500, example_key()}, {}};
  p.steps = {open_tap{tap, {0xfe, 0, 0, 0, 0, 1}, 1500}, enable_forwarding{false}, enable_forwarding{true}};
  return p;
}
}  // namespace

TEST_CASE("every setting comes back, whatever its mixture was") {
  on_own_host([] {
    make_example_host();
    shell("ip link add eth1 type veth peer name eth2");
    for (const char* key : {"net/ipv4/conf/eth1/forwarding", "net/ipv6/conf/eth2/forwarding",
                            "net/ipv4/conf/default/forwarding", "net/ipv6/conf/default/forwarding"}) {
      write_sysctl(key, "1");
    }
    for (const char* redirects : {"0", "1"}) {
      write_sysctl("net/ipv4/conf/all/accept_redirects", redirects);
      const auto before = take_network_image();
      host h("lan", run_directory);
      {
        const auto tap = started(h, forwarding_only("lan", "vtap0"));
        CHECK(read_sysctl("net/ipv4/conf/eth2/forwarding") == "1");
        CHECK(read_sysctl("net/ipv6/conf/eth1/forwarding") == "1");
        CHECK(read_sysctl("net/ipv4/conf/all/accept_redirects") == "0");
      }
      CHECK(joined(h.undo(false).left).empty());
      CHECK(difference(before, take_network_image()) == "");
    }
  });
}

TEST_CASE("an undo that stopped behind the switch is finished by the next") {
  on_own_host([] {
    make_example_host();
    write_sysctl("net/ipv4/conf/eth0/forwarding", "1");
    write_sysctl("net/ipv4/conf/all/accept_redirects", "0");
    const auto before = take_network_image();
    host h("lan", run_directory);
    { const auto tap = started(h, forwarding_only("lan", "vtap0")); }
    const std::string obstacle = "/proc/sys/net/ipv4/conf/eth0/forwarding";
    shell("mount --bind " + obstacle + " " + obstacle + "; mount -o remount,ro,bind " + obstacle);
    for (int i = 0; i < 2; ++i) {
      const auto report = h.undo(false);
      CHECK(joined(report.failed) == "write sysctl net/ipv4/conf/eth0/forwarding = 1: Read-only file system\n");
      CHECK(joined(report.left).empty());
      CHECK(read_sysctl("net/ipv4/ip_forward") == "0");
      CHECK(read_sysctl("net/ipv4/conf/eth0/forwarding") == "0");
      CHECK(h.has_leftovers());
    }
    shell("umount " + obstacle);
    const auto report = h.undo(false);
    CHECK(joined(report.failed).empty());
    CHECK(joined(report.left).empty());
    CHECK(difference(before, take_network_image()) == "");
    CHECK_FALSE(h.has_leftovers());
  });
}

TEST_CASE("what somebody changed meanwhile stays, and is named") {
  on_own_host([] {
    make_example_host();
    host h("lan", run_directory);
    { const auto tap = started(h, forwarding_only("lan", "vtap0")); }
    write_sysctl("net/ipv6/conf/eth0/forwarding", "2");
    CHECK(joined(h.undo(false).left) == "net.ipv6.conf.eth0.forwarding stays 2: somebody changed it since\n");
    CHECK(read_sysctl("net/ipv6/conf/eth0/forwarding") == "2");
    CHECK(read_sysctl("net/ipv6/conf/all/forwarding") == "0");
    CHECK(read_sysctl("net/ipv4/ip_forward") == "0");
  });
}

TEST_CASE("a default route from a router advertisement is kept") {
  on_own_host([] {
    make_example_host();
    shell("ip -6 route replace default via fd00:50::1 dev eth0 proto ra");
    const auto before = take_network_image();
    host h("lan", run_directory);
    {
      const auto tap = started(h, forwarding_only("lan", "vtap0"));
      CHECK(read_sysctl("net/ipv6/conf/eth0/accept_ra") == "2");
      CHECK(read_sysctl("net/ipv6/conf/vtap0/accept_ra") != "2");
    }
    CHECK(joined(h.undo(false).left).empty());
    CHECK(read_sysctl("net/ipv6/conf/eth0/accept_ra") == "1");
    CHECK(difference(before, take_network_image()) == "");
    // Where a daemon takes the advertisements, not the kernel, it is none of our business.
    write_sysctl("net/ipv6/conf/eth0/accept_ra", "0");
    {
      const auto tap = started(h, forwarding_only("lan", "vtap0"));
      CHECK(read_sysctl("net/ipv6/conf/eth0/accept_ra") == "0");
    }
    h.undo(false);
    CHECK(read_sysctl("net/ipv6/conf/eth0/accept_ra") == "0");
  });
}

TEST_CASE("forwarding stays while another instance needs it, and the last one to leave puts it back") {
  on_own_host([] {
    make_example_host();
    const auto before = take_network_image();
    host first("one", run_directory);
    host second("two", run_directory);
    { const auto tap = started(first, forwarding_only("one", "tap1")); }
    { const auto tap = started(second, forwarding_only("two", "tap2")); }
    CHECK(joined(first.undo(false).left) ==
          "net.ipv6.conf.all.forwarding stays 1: instance two forwards too\n"
          "net.ipv4.ip_forward stays 1: instance two forwards too\n");
    CHECK(read_sysctl("net/ipv4/ip_forward") == "1");
    CHECK_FALSE(first.has_leftovers());
    CHECK(joined(second.undo(false).left).empty());
    CHECK(difference(before, take_network_image()) == "");
    CHECK(std::filesystem::is_empty(run_directory));
  });
}

TEST_CASE("of two instances that leave together, the last one puts it back") {
  on_own_host([] {
    make_example_host();
    const auto before = take_network_image();
    host first("one", run_directory);
    host second("two", run_directory);
    { const auto tap = started(first, forwarding_only("one", "tap1")); }
    { const auto tap = started(second, forwarding_only("two", "tap2")); }
    const auto origin = read_origin();
    const auto first_is_leaving = [&] {
      return !contains(read_journal(run_directory / "one.journal", origin).entries, needs_forwarding{false});
    };
    // The second one leaves, too: it has its journal locked, until nothing is in it.
    std::optional<journal> leaving(std::in_place, run_directory / "two.journal", origin);
    undo_report report;
    std::thread undoing([&] { report = first.undo(false); });
    const auto deadline = os::monotonic_now() + std::chrono::seconds{5};
    while (!first_is_leaving() && os::monotonic_now() < deadline) std::this_thread::yield();
    CHECK(first_is_leaving());
    leaving->replace({});
    leaving.reset();
    undoing.join();
    CHECK(joined(report.left).empty());
    CHECK(joined(report.failed).empty());
    CHECK(read_sysctl("net/ipv4/ip_forward") == "0");
    CHECK(std::filesystem::is_empty(run_directory));
    CHECK(difference(before, take_network_image()) == "");
  });
}
