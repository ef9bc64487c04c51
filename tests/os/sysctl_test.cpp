// SPDX-License-Identifier: Apache-2.0
#include "own_host.hpp"

#include <doctest/doctest.h>

#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/sysctl.hpp>

#include <algorithm>

using namespace lanloom::os;

TEST_CASE("a sysctl is read and written below /proc/sys") {
  on_own_host([] {
    write_sysctl("net/ipv4/ip_forward", "1");
    CHECK(read_sysctl("net/ipv4/ip_forward") == "1");
    CHECK(read_sysctl("net/ipv4/conf/lo/forwarding") == "1");
    write_sysctl("net/ipv4/ip_forward", "0");
    CHECK(read_sysctl("net/ipv4/ip_forward") == "0");
    write_sysctl("net/ipv4/ip_local_port_range", "20000 30000");
    CHECK(read_sysctl("net/ipv4/ip_local_port_range") == "20000\t30000");
  });
}

TEST_CASE("what is not there has no value and cannot be written") {
  on_own_host([] {
    CHECK_FALSE(read_sysctl("net/ipv4/conf/absent0/forwarding"));
    CHECK_FALSE(read_sysctl("net/ipv4/ip_forward/below"));
    CHECK_FALSE(read_sysctl("net/ipv6/conf/lo/stable_secret"));  // there, but never set
    CHECK(refusal([] { write_sysctl("net/ipv4/conf/absent0/forwarding", "1"); }) ==
          "write sysctl net/ipv4/conf/absent0/forwarding = 1: No such file or directory");
    CHECK(refusal([] { write_sysctl("net/ipv4/ip_forward", "perhaps"); }) ==
          "write sysctl net/ipv4/ip_forward = perhaps: Invalid argument");
    CHECK(refusal([] { (void)read_sysctl("net/ipv4"); }) == "read sysctl net/ipv4: Is a directory");
  });
}

TEST_CASE("a key never leads out of /proc/sys") {
  using namespace std::string_view_literals;
  for (const auto key : {""sv, "/"sv, "/net/ipv4/ip_forward"sv, "net/../../version"sv, ".."sv, "net//ipv4"sv, "net/"sv,
                         "net/./ipv4"sv, "net/ipv4/ip_forward\0x"sv}) {
    CHECK_THROWS_AS((void)read_sysctl(key), std::system_error);
    CHECK_THROWS_AS(write_sysctl(key, "0"), std::system_error);
    CHECK_THROWS_AS((void)list_sysctls(key), std::system_error);
  }
}

TEST_CASE("keys are listed by directory and last component, dots in interface names included") {
  on_own_host([] {
    netlink().create_bridge("br.5", {2, 0, 0, 0, 0, 5}, 1500, false, "");
    const auto forwarding = list_sysctls("net/ipv4/conf", "forwarding");
    CHECK(forwarding == std::vector<std::string>{"net/ipv4/conf/all/forwarding", "net/ipv4/conf/br.5/forwarding",
                                                 "net/ipv4/conf/default/forwarding", "net/ipv4/conf/lo/forwarding"});
    write_sysctl("net/ipv4/conf/br.5/forwarding", "1");
    CHECK(read_sysctl("net/ipv4/conf/br.5/forwarding") == "1");

    const auto all = list_sysctls("net/ipv4");
    CHECK(all.size() > 100);
    CHECK(std::find(all.begin(), all.end(), "net/ipv4/ip_forward") != all.end());
    CHECK(std::find(all.begin(), all.end(), "net/ipv4/route/flush") == all.end());  // write-only
    for (const auto& key : all) CHECK_NOTHROW((void)read_sysctl(key));
    CHECK(list_sysctls("net/absent").empty());
  });
}

TEST_CASE("inside a namespace the keys are that namespace's") {
  on_own_host([] {
    const auto inside = create_netns("inside");
    {
      const in_netns there(inside);
      write_sysctl("net/ipv4/ip_forward", "1");
      CHECK(read_sysctl("net/ipv4/ip_forward") == "1");
    }
    CHECK(read_sysctl("net/ipv4/ip_forward") == "0");
  });
}
