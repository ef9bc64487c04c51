// SPDX-License-Identifier: Apache-2.0
#include "own_host.hpp"

#include <doctest/doctest.h>

#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/nft.hpp>
#include <lanloom/os/sysctl.hpp>

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
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
ip_address address(std::string_view text) { return ip_address::parse(text).value(); }

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

bool can_bind(const char* v6) {
  const os::unique_fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 a{};
  a.sin6_family = AF_INET6;
  REQUIRE(::inet_pton(AF_INET6, v6, &a.sin6_addr) == 1);
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0;
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

TEST_CASE("addresses are added, work at once, and go") {
  on_own_host([] {
    netlink kernel;
    kernel.create_bridge("br-lan", bridge_mac, 1500, false, mark);
    kernel.create_bridge("br-two", host_mac, 1500, false, mark);
    const auto bridge = link_of(kernel, "br-lan").index;
    kernel.set_up(bridge);
    const auto v4 = prefix("10.5.0.1/16");
    const auto v6 = prefix("fd00:5::1/64");
    kernel.add_address(bridge, v4);
    kernel.add_address(bridge, v6);
    CHECK(can_bind("fd00:5::1"));  // no duplicate detection to wait for
    kernel.add_address(link_of(kernel, "br-two").index, prefix("10.6.0.1/16"));

    auto all = kernel.addresses(bridge);
    CHECK(std::count(all.begin(), all.end(), v4) == 1);
    CHECK(std::count(all.begin(), all.end(), v6) == 1);
    CHECK(std::none_of(all.begin(), all.end(), [](const ip_prefix& p) { return p == prefix("10.6.0.1/16"); }));
    CHECK(refusal([&] { kernel.add_address(bridge, v4); }).rfind("add address 10.5.0.1/16 to br-lan: File exists", 0) ==
          0);
    CHECK(refusal([&] {
            kernel.add_address(bridge, v6);
          }).rfind("add address fd00:5::1/64 to br-lan: File exists", 0) == 0);
    for (int twice = 0; twice < 2; ++twice) {
      kernel.delete_address(bridge, v4);
      kernel.delete_address(bridge, v6);
    }
    all = kernel.addresses(bridge);
    CHECK(std::count(all.begin(), all.end(), v4) + std::count(all.begin(), all.end(), v6) == 0);
    kernel.delete_address(9999, v4);
    CHECK_THROWS_AS(kernel.add_address(9999, v4), std::system_error);
  });
}

TEST_CASE("default routes come, are found, and go") {
  on_own_host([] {
    netlink kernel;
    const auto ns = os::create_netns("ns1");
    kernel.create_veth(host_end(), inside_end(), 1500, ns);
    kernel.set_up(link_of(kernel, "veth10").index);
    auto there = netlink::in(ns);
    const auto eth0 = link_of(there, "eth0").index;
    there.set_up(eth0);
    CHECK_FALSE(there.route_to(address("192.0.2.1")));
    CHECK_FALSE(there.route_to(address("2001:db8::1")));
    there.add_address(eth0, prefix("10.5.0.11/16"));
    there.add_address(eth0, prefix("fd00:5::11/64"));

    const os::default_route v4{address("10.5.0.1"), eth0, 0x4C};
    const os::default_route v6{address("fd00:5::1"), eth0, 0x4C};
    there.add_default_route(v4);
    there.add_default_route(v6);
    const auto routes = there.default_routes();
    CHECK(routes.size() == 2);
    CHECK(std::count(routes.begin(), routes.end(), v4) == 1);
    CHECK(std::count(routes.begin(), routes.end(), v6) == 1);
    CHECK(kernel.default_routes().empty());

    const auto out4 = there.route_to(address("192.0.2.1"));
    REQUIRE(out4);
    CHECK(out4->out_index == eth0);
    CHECK(out4->source == address("10.5.0.11"));
    const auto out6 = there.route_to(address("2001:db8::1"));
    REQUIRE(out6);
    CHECK(out6->out_index == eth0);
    CHECK(out6->source == address("fd00:5::11"));
    const auto local = there.route_to(address("10.5.0.11"));
    REQUIRE(local);
    CHECK(local->out_index == 1);

    CHECK(refusal([&] {
            there.add_default_route(v4);
          }).rfind("add default route by 10.5.0.1 on eth0: File exists", 0) == 0);
    CHECK(refusal([&] {
            there.add_default_route({address("10.9.0.1"), eth0, 0x4C});
          }).rfind("add default route by 10.9.0.1 on eth0: ", 0) == 0);
    there.delete_default_route({v4.gateway, eth0, 0x4D});  // somebody else's stays
    CHECK(there.default_routes().size() == 2);
    for (int twice = 0; twice < 2; ++twice) {
      there.delete_default_route(v4);
      there.delete_default_route(v6);
    }
    CHECK(there.default_routes().empty());
    CHECK_FALSE(there.route_to(address("192.0.2.1")));
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
