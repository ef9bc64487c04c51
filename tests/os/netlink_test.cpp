// SPDX-License-Identifier: Apache-2.0
#include "own_host.hpp"

#include <doctest/doctest.h>

#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/nft.hpp>
#include <lanloom/os/sysctl.hpp>

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

using namespace lanloom;
using os::netlink;
using os::on_own_host;
using os::refusal;

namespace {
constexpr os::mac_address bridge_mac{0x02, 1, 2, 3, 4, 5};
constexpr os::mac_address host_mac{0xfe, 1, 2, 3, 4, 6};
constexpr os::mac_address inside_mac{0x02, 1, 2, 3, 4, 7};
constexpr const char* mark = "lanloom:lan";

ip_prefix prefix(std::string_view text) { return ip_prefix::parse(text).value(); }

os::link link_of(netlink& kernel, std::string_view name) {
  const auto found = kernel.link_by_name(name);
  REQUIRE_MESSAGE(found, std::string(name));
  return *found;
}

// The same facts by another door of the kernel, in the caller's namespace.
struct seen_by_ioctl {
  int index = 0;
  os::mac_address mac{};
  unsigned mtu = 0;
  bool up = false;
};
seen_by_ioctl ask_ioctl(const char* name) {
  const os::unique_fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq r{};
  std::strncpy(r.ifr_name, name, sizeof r.ifr_name - 1);
  seen_by_ioctl seen;
  REQUIRE(::ioctl(socket.get(), SIOCGIFINDEX, &r) == 0);
  seen.index = r.ifr_ifindex;
  REQUIRE(::ioctl(socket.get(), SIOCGIFHWADDR, &r) == 0);
  std::memcpy(seen.mac.data(), r.ifr_hwaddr.sa_data, seen.mac.size());
  REQUIRE(::ioctl(socket.get(), SIOCGIFMTU, &r) == 0);
  seen.mtu = static_cast<unsigned>(r.ifr_mtu);
  REQUIRE(::ioctl(socket.get(), SIOCGIFFLAGS, &r) == 0);
  seen.up = (r.ifr_flags & IFF_UP) != 0;
  return seen;
}

void check_same(const os::link& l, const seen_by_ioctl& seen) {
  CHECK(l.index == seen.index);
  CHECK(l.mac == seen.mac);
  CHECK(l.mtu == seen.mtu);
  CHECK(l.up == seen.up);
}

os::veth_end host_end(const char* name = "veth10") { return {name, host_mac, mark}; }
os::veth_end inside_end(const char* name = "eth0") { return {name, inside_mac, mark}; }

bool only_lo(netlink& kernel) {
  const auto all = kernel.links();
  return all.size() == 1 && all[0].name == "lo";
}
}  // namespace

TEST_CASE("a bridge is what was asked for") {
  on_own_host([] {
    netlink kernel;
    kernel.create_bridge("br-lan", bridge_mac, 1500, true, mark);
    auto bridge = link_of(kernel, "br-lan");
    CHECK(bridge.kind == "bridge");
    CHECK(bridge.mac == bridge_mac);
    CHECK(bridge.mtu == 1500);
    CHECK(bridge.alias == mark);
    CHECK(bridge.stp);
    CHECK(bridge.timers == os::quick_stp);
    CHECK(os::output_of("ip -d link show br-lan").find("forward_delay 400 hello_time 100 max_age 600 ") !=
          std::string::npos);
    CHECK_FALSE(bridge.up);
    CHECK(bridge.makes_addresses);
    check_same(bridge, ask_ioctl("br-lan"));

    kernel.set_stp(bridge.index, false);
    kernel.set_up(bridge.index);
    kernel.set_mtu(bridge.index, 1400);
    kernel.set_mac(bridge.index, inside_mac);
    kernel.set_alias(bridge.index, "");
    bridge = kernel.link_by_index(bridge.index).value();
    CHECK_FALSE(bridge.stp);
    CHECK(bridge.up);
    CHECK(bridge.mtu == 1400);
    CHECK(bridge.mac == inside_mac);
    CHECK(bridge.alias.empty());
    check_same(bridge, ask_ioctl("br-lan"));
    kernel.set_down(bridge.index);
    CHECK_FALSE(link_of(kernel, "br-lan").up);

    kernel.delete_link("br-lan");
    kernel.delete_link("br-lan");
    kernel.delete_link(bridge.index);
    CHECK_FALSE(kernel.link_by_name("br-lan"));
    CHECK_FALSE(kernel.link_by_index(bridge.index));
  });
}

TEST_CASE("STP brings its timers along, at birth or later") {
  on_own_host([] {
    netlink kernel;
    kernel.create_bridge("br-lan", bridge_mac, 1500, false, mark);
    const auto bridge = link_of(kernel, "br-lan");
    CHECK_FALSE(bridge.stp);
    CHECK(bridge.timers == os::stp_timers{std::chrono::seconds(15), std::chrono::seconds(20), std::chrono::seconds(2)});
    kernel.set_stp(bridge.index, true);
    CHECK(link_of(kernel, "br-lan").stp);
    CHECK(link_of(kernel, "br-lan").timers == os::quick_stp);
    kernel.set_stp(bridge.index, false);
    CHECK_FALSE(link_of(kernel, "br-lan").stp);
    CHECK(link_of(kernel, "br-lan").timers == os::quick_stp);
  });
}

TEST_CASE("the offloads of an interface are switched off, wherever it lives") {
  on_own_host([] {
    netlink kernel;
    const auto ns = os::create_netns("ns1");
    kernel.create_veth(host_end(), inside_end(), 1500, ns);
    auto there = netlink::in(ns);
    CHECK(there.uses_tx_offloads("eth0"));
    there.switch_off_tx_offloads("eth0");
    CHECK_FALSE(there.uses_tx_offloads("eth0"));
    const auto features = os::output_of("nsenter --net=/run/netns/ns1 ethtool -k eth0");
    if (!features.empty()) {
      CHECK(features.find("tx-tcp-segmentation: off") != std::string::npos);
    }
    CHECK(kernel.uses_tx_offloads("veth10"));
    CHECK_FALSE(kernel.uses_tx_offloads("absent"));
    CHECK_FALSE(kernel.uses_tx_offloads(""));
    CHECK(refusal([&] { kernel.switch_off_tx_offloads("absent"); }) ==
          "switch off the offloads of absent: No such device");
  });
}

TEST_CASE("a bridge keeps its MTU and MAC whatever ports join") {
  on_own_host([] {
    netlink kernel;
    const auto ns = os::create_netns("ns1");
    for (const unsigned mtu : {1400U, 1500U, 9000U}) {
      kernel.create_bridge("br-lan", bridge_mac, mtu, false, mark);
      kernel.create_veth(host_end(), inside_end(), 1300, ns);
      const auto bridge = link_of(kernel, "br-lan").index;
      const auto port = link_of(kernel, "veth10").index;
      kernel.set_master(port, bridge);
      CHECK(link_of(kernel, "veth10").master == bridge);
      CHECK(link_of(kernel, "br-lan").mtu == mtu);
      CHECK(link_of(kernel, "br-lan").mac == bridge_mac);
      kernel.set_master(port, 0);
      CHECK(link_of(kernel, "veth10").master == 0);
      kernel.delete_link(port);
      kernel.delete_link(bridge);
    }
    CHECK(only_lo(kernel));
  });
}

TEST_CASE("a refusal names the object and gives the kernel's words") {
  on_own_host([] {
    netlink kernel;
    kernel.create_bridge("br-lan", bridge_mac, 1500, false, mark);
    const auto bridge = link_of(kernel, "br-lan").index;
    try {
      kernel.create_bridge("br-lan", bridge_mac, 1500, false, mark);
      FAIL("made it twice");
    } catch (const std::system_error& e) {
      CHECK(e.code() == std::errc::file_exists);
      CHECK(std::string(e.what()) == "create bridge br-lan: File exists");
    }
    // What follows the second colon is the kernel's extended acknowledgement.
    CHECK(refusal([&] { kernel.set_mtu(bridge, 70000); }) ==
          "set MTU 70000 of br-lan: Invalid argument: mtu greater than device maximum");
    CHECK(refusal([&] { kernel.set_up(9999); }) == "set up link 9999: No such device");
    CHECK(refusal([&] { kernel.set_master(bridge, 1); }).rfind("put on a bridge br-lan: ", 0) == 0);
    CHECK(refusal([&] { kernel.set_alias(bridge, std::string(256, 'a')); }).rfind("set alias of br-lan: ", 0) == 0);
    CHECK(refusal([&] { kernel.set_alias(bridge, std::string(5000, 'a')); }) == "netlink request: Message too long");
    CHECK(refusal([&] { kernel.delete_link("lo"); }).rfind("delete link lo: Operation not supported", 0) == 0);
    CHECK(refusal([&] {
            kernel.create_bridge("sixteen-letters-", bridge_mac, 1500, false, mark);
          }).rfind("create bridge sixteen-letters-: Numerical result out of range", 0) == 0);
    CHECK(kernel.links().size() == 2);  // the socket still gives right answers
  });
}

TEST_CASE("no link has an impossible name") {
  on_own_host([] {
    netlink kernel;
    for (const auto* name : {"", "absent0", "a-name-longer-than-fifteen"}) CHECK_FALSE(kernel.link_by_name(name));
    for (const int index : {-1, 0, 9999}) CHECK_FALSE(kernel.link_by_index(index));
    CHECK(link_of(kernel, "lo").kind.empty());
  });
}

TEST_CASE("what cannot be completed is removed again") {
  on_own_host([] {
    netlink kernel;
    const auto ns = os::create_netns("ns1");
    auto there = netlink::in(ns);
    CHECK(refusal([&] {
            kernel.create_bridge("br-lan", bridge_mac, 70000, false, mark);
          }).rfind("set MTU 70000 of br-lan: ", 0) == 0);
    CHECK_THROWS(kernel.create_bridge("br-lan", bridge_mac, 1500, false, std::string(256, 'a')));
    CHECK(only_lo(kernel));
    auto marked_too_long = host_end();
    marked_too_long.alias.assign(256, 'a');
    CHECK_THROWS(kernel.create_veth(marked_too_long, inside_end(), 1500, ns));
    marked_too_long = inside_end();
    marked_too_long.alias.assign(256, 'a');
    CHECK(refusal([&] { kernel.create_veth(host_end(), marked_too_long, 1500, ns); }).rfind("set alias of eth0: ", 0) ==
          0);
    CHECK(only_lo(kernel));
    CHECK(only_lo(there));
  });
}

TEST_CASE("a veth's inner end is born in its namespace") {
  on_own_host([] {
    netlink kernel;
    const auto ns = os::create_netns("ns1");
    auto there = netlink::in(ns);
    kernel.create_veth(host_end(), inside_end(), 1400, ns);

    const auto host = link_of(kernel, "veth10");
    CHECK_FALSE(kernel.link_by_name("eth0"));
    CHECK(kernel.links().size() == 2);
    CHECK(host.kind == "veth");
    CHECK(host.mac == host_mac);
    CHECK(host.mtu == 1400);
    CHECK(host.alias == mark);
    CHECK_FALSE(host.up);
    CHECK_FALSE(host.makes_addresses);
    check_same(host, ask_ioctl("veth10"));
    CHECK(os::read_sysctl("net/ipv6/conf/veth10/addr_gen_mode") == "1");

    const auto inside = link_of(there, "eth0");
    CHECK_FALSE(there.link_by_name("veth10"));
    CHECK(there.links().size() == 2);
    CHECK(inside.kind == "veth");
    CHECK(inside.mac == inside_mac);
    CHECK(inside.mtu == 1400);
    CHECK(inside.alias == mark);
    CHECK(inside.makes_addresses);
    CHECK(inside.peer == host.index);
    CHECK(host.peer == inside.index);
    {
      const os::in_netns in(ns);
      check_same(inside, ask_ioctl("eth0"));
    }

    kernel.set_up(host.index);
    there.set_up(inside.index);
    // The kernel makes link-local addresses of its own accord, once it has seen the carrier.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (there.addresses(inside.index).empty() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    const auto own = there.addresses(inside.index);
    REQUIRE(own.size() == 1);
    CHECK(prefix("fe80::/64").contains(own[0].address));
    CHECK(kernel.addresses(host.index).empty());
    kernel.delete_link(host.index);
    CHECK(only_lo(kernel));
    CHECK(only_lo(there));
  });
}

TEST_CASE("a veth is made where IPv6 is not to be had") {
  on_own_host([] {
    netlink kernel;
    const auto ns = os::create_netns("ns1");
    kernel.create_veth(host_end(), inside_end(), 1000, ns);  // below 1280 the kernel gives a link no IPv6 at all
    CHECK(link_of(kernel, "veth10").mtu == 1000);
    CHECK_FALSE(link_of(kernel, "veth10").makes_addresses);
  });
}

TEST_CASE("a veth with a taken name leaves nothing, and the error names both ends") {
  on_own_host([] {
    netlink kernel;
    const auto ns = os::create_netns("ns1");
    kernel.create_veth(host_end(), inside_end(), 1500, ns);
    const std::string host_taken = "create veth veth10 with eth1 inside: File exists";
    CHECK(refusal([&] { kernel.create_veth(host_end(), inside_end("eth1"), 1500, ns); }).rfind(host_taken, 0) == 0);
    const std::string inside_taken = "create veth veth11 with eth0 inside: File exists";
    CHECK(refusal([&] { kernel.create_veth(host_end("veth11"), inside_end(), 1500, ns); }).rfind(inside_taken, 0) == 0);
    CHECK(kernel.links().size() == 2);
    CHECK(netlink::in(ns).links().size() == 2);
  });
}

TEST_CASE("a dump of many parts is complete") {
  on_own_host([] {
    netlink kernel;
    for (int i = 0; i < 80; ++i) kernel.create_bridge("br" + std::to_string(i), bridge_mac, 1500, false, mark);
    const auto all = kernel.links();
    CHECK(all.size() == 81);
    for (int i = 0; i < 80; ++i) {
      CHECK(std::count_if(all.begin(), all.end(), [&](const auto& l) { return l.name == "br" + std::to_string(i); }) ==
            1);
    }
  });
}

TEST_CASE("a socket stays in its namespace, and we in ours") {
  on_own_host([] {
    const auto inode = [] {
      struct stat s {};
      REQUIRE(::stat("/proc/self/ns/net", &s) == 0);
      return s.st_ino;
    };
    const auto before = inode();
    const auto ns = os::create_netns("ns1");
    netlink kernel;
    auto there = netlink::in(ns);
    CHECK(inode() == before);
    there.create_bridge("br-there", bridge_mac, 1500, false, mark);
    CHECK(only_lo(kernel));
    {
      const os::in_netns in(ns);
      CHECK(only_lo(kernel));
      CHECK(ask_ioctl("br-there").mac == bridge_mac);
    }
    const os::unique_fd nowhere;
    CHECK_THROWS_AS((void)netlink::in(nowhere), std::system_error);
    CHECK(inode() == before);
  });
}

TEST_CASE("the machine's own links and rules do not change") {
  const auto look = [] {
    std::string seen;
    for (const auto& l : netlink().links()) {
      seen += std::to_string(l.index) + " " + l.name + " " + l.kind + " " + l.alias + " " + std::to_string(l.master) +
              " " + std::to_string(l.mtu) + (l.up ? " up\n" : " down\n");
    }
    return seen + os::output_of("nft -s list ruleset; ls /run/netns 2>&1; cat /proc/sys/net/ipv4/ip_forward");
  };
  const auto before = look();
  CHECK(before.find("lo") != std::string::npos);
  on_own_host([] {
    const auto ns = os::create_netns("lanloom-test-ns1");
    netlink kernel;
    kernel.create_bridge("br-lan", bridge_mac, 1500, false, mark);
    kernel.create_veth(host_end(), inside_end(), 1500, ns);
    kernel.set_master(link_of(kernel, "veth10").index, link_of(kernel, "br-lan").index);
    os::nft_apply("table inet lanloom-lan {}");
    os::write_sysctl("net/ipv4/ip_forward", "1");
    os::write_sysctl("net/ipv4/conf/br-lan/forwarding", "0");
  });
  CHECK(look() == before);
}
