// SPDX-License-Identifier: Apache-2.0
#include "own_host.hpp"

#include <doctest/doctest.h>

#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/sysctl.hpp>

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
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

os::veth_end host_end() { return {"veth10", host_mac, mark}; }
os::veth_end inside_end() { return {"eth0", inside_mac, mark}; }

// What comes from elsewhere than from us.
void by_hand(const std::string& command) { REQUIRE(os::output_of(command + " 2>&1") == ""); }

bool can_bind(const char* v6) {
  const os::unique_fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 a{};
  a.sin6_family = AF_INET6;
  REQUIRE(::inet_pton(AF_INET6, v6, &a.sin6_addr) == 1);
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0;
}

// Until `state` is what is known of it, or for 20 s.
bool becomes(netlink& kernel, int index, const ip_address& neighbour, os::neighbour_state state) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (kernel.neighbour(index, neighbour) != state) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

os::address_info details(netlink& kernel, int index, std::string_view of) {
  for (const auto& a : kernel.address_details(index)) {
    if (a.address == prefix(of)) return a;
  }
  FAIL(std::string(of) << " is not there");
  return {};
}
}  // namespace

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

TEST_CASE("an address comes back as it was") {
  on_own_host([] {
    netlink kernel;
    kernel.create_bridge("br-lan", bridge_mac, 1500, false, mark);
    const auto bridge = link_of(kernel, "br-lan").index;
    kernel.set_up(bridge);
    by_hand("ip addr add 192.0.2.5/24 brd 192.0.2.255 dev br-lan label br-lan:one metric 77 scope link");
    by_hand("ip addr add 192.0.3.6/24 dev br-lan noprefixroute");
    by_hand("ip addr add 198.51.100.1 peer 198.51.100.9/30 dev br-lan");
    by_hand("ip addr add fd00:5::5/64 dev br-lan metric 88 nodad");
    by_hand("ip addr add fd00:6::5 peer fd00:6::9/128 dev br-lan nodad");
    const auto print = [] {
      return os::output_of("ip -o addr show dev br-lan | grep -v fe80 | sed 's/ nodad//' | sort");
    };
    const auto before = print();
    const auto routes_before = os::output_of("ip route; ip -6 route");
    const auto first = details(kernel, bridge, "192.0.2.5/24");
    CHECK(first.permanent);
    CHECK(first.scope == 253);
    CHECK(first.label == "br-lan:one");
    CHECK_FALSE(first.dad_or_tentative);
    CHECK(first.broadcast == address("192.0.2.255"));
    CHECK_FALSE(first.peer);
    CHECK(first.metric == 77);
    CHECK_FALSE(first.no_prefix_route);
    CHECK(details(kernel, bridge, "192.0.3.6/24").no_prefix_route);
    CHECK(details(kernel, bridge, "198.51.100.1/30").peer == address("198.51.100.9"));
    CHECK(details(kernel, bridge, "fd00:5::5/64").metric == 88);
    CHECK(details(kernel, bridge, "fd00:6::5/128").peer == address("fd00:6::9"));

    auto all = kernel.address_details(bridge);
    all.erase(std::remove_if(all.begin(), all.end(),
                             [](const auto& a) { return prefix("fe80::/64").contains(a.address.address); }),
              all.end());
    CHECK(all.size() == 5);
    for (const auto& a : all) kernel.delete_address(bridge, a);
    CHECK(print().empty());
    for (const auto& a : all) kernel.delete_address(bridge, a);  // nothing happens
    for (const auto& a : all) kernel.add_address(bridge, a);
    CHECK(print() == before);
    CHECK(os::output_of("ip route; ip -6 route") == routes_before);
  });
}

TEST_CASE("what the kernel deletes along with an address comes back, and what cannot is told") {
  on_own_host([] {
    netlink kernel;
    kernel.create_bridge("br-lan", bridge_mac, 1500, false, mark);
    const auto bridge = link_of(kernel, "br-lan").index;
    kernel.set_up(bridge);
    os::write_sysctl("net/ipv4/conf/br-lan/promote_secondaries", "0");
    const auto of_others = [](const std::vector<os::route_entry>& lost) {
      std::string text;
      for (const auto& r : lost) text += to_string(r.destination) + " ";
      return text;
    };
    // The only one, and a route that does without.
    by_hand("ip route add 203.0.113.5/32 dev br-lan");
    const auto unnumbered = os::output_of("ip route");
    kernel.add_address(bridge, prefix("10.5.0.1/16"));
    CHECK(of_others(kernel.delete_address(bridge, prefix("10.5.0.1/16"))).empty());
    CHECK(os::output_of("ip route") == unnumbered);
    // The first one of its subnet.
    kernel.add_address(bridge, prefix("10.5.0.1/16"));
    by_hand("ip addr add 10.5.0.9/16 dev br-lan");
    by_hand("ip route add 172.16.0.0/16 dev br-lan mtu 1400");
    by_hand("ip route add 172.17.0.0/16 dev br-lan src 10.5.0.1");
    by_hand("ip route add 172.18.0.0/16 via 203.0.113.5 dev br-lan");
    by_hand("ip route add 198.18.0.0/16 via 10.5.0.7");
    CHECK(of_others(kernel.delete_address(bridge, prefix("10.5.0.1/16"))) == "172.16.0.0/16 172.17.0.0/16 ");
    const auto left = os::output_of("ip route");
    for (const char* kept : {"203.0.113.5 dev br-lan", "172.18.0.0/16 via 203.0.113.5", "198.18.0.0/16 via 10.5.0.7",
                             "10.5.0.0/16 dev br-lan proto kernel scope link src 10.5.0.9"}) {
      CHECK(left.find(kept) != std::string::npos);
    }
  });
}

TEST_CASE("an address with a lifetime, or not yet proved, is told apart") {
  on_own_host([] {
    netlink kernel;
    const auto ns = os::create_netns("ns1");
    kernel.create_veth(host_end(), inside_end(), 1500, ns);
    auto there = netlink::in(ns);
    const auto host = link_of(kernel, "veth10").index;
    kernel.set_up(host);
    there.set_up(link_of(there, "eth0").index);
    os::write_sysctl("net/ipv6/conf/veth10/dad_transmits", "30");  // half a minute of detection
    by_hand("ip addr add 192.0.2.5/24 dev veth10 valid_lft 100 preferred_lft 100");
    by_hand("ip addr add fd00:5::5/64 dev veth10");
    CHECK_FALSE(details(kernel, host, "192.0.2.5/24").permanent);
    CHECK(details(kernel, host, "fd00:5::5/64").permanent);
    CHECK(details(kernel, host, "fd00:5::5/64").dad_or_tentative);
    kernel.add_address(host, prefix("fd00:5::6/64"));
    CHECK_FALSE(details(kernel, host, "fd00:5::6/64").dad_or_tentative);
  });
}

TEST_CASE("a neighbour is asked for without traffic, and asked anew") {
  on_own_host([] {
    netlink kernel;
    const auto ns = os::create_netns("ns1");
    kernel.create_veth(host_end(), inside_end(), 1500, ns);
    auto there = netlink::in(ns);
    const auto host = link_of(kernel, "veth10").index;
    const auto inside = link_of(there, "eth0").index;
    kernel.set_up(host);
    there.set_up(inside);
    for (const auto* family : {"ipv4", "ipv6"}) {  // the kernel's second between two questions is a tenth here
      os::write_sysctl(std::string("net/") + family + "/neigh/veth10/retrans_time_ms", "100");
    }
    kernel.add_address(host, prefix("fe80::1/64"));  // from which it asks
    for (const auto* subnet : {"10.5.0.", "fd00:5::"}) {
      const std::string length = subnet[0] == 'f' ? "/64" : "/24";
      const auto answers = address(subnet + std::string("11"));
      const auto silent = address(subnet + std::string("12"));
      const auto fixed = address(subnet + std::string("13"));
      kernel.add_address(host, prefix(subnet + std::string("1") + length));
      there.add_address(inside, prefix(to_string(answers) + length));
      CHECK(kernel.neighbour(host, answers) == os::neighbour_state::unknown);
      kernel.probe_neighbour(host, answers);
      kernel.probe_neighbour(host, silent);
      CHECK(kernel.neighbour(host, silent) != os::neighbour_state::unknown);
      CHECK(becomes(kernel, host, answers, os::neighbour_state::reachable));

      // What was heard long ago is asked again at once.
      by_hand("ip neigh replace " + to_string(answers) + " lladdr 02:01:02:03:04:07 dev veth10 nud stale");
      CHECK(kernel.neighbour(host, answers) == os::neighbour_state::unknown);
      kernel.probe_neighbour(host, answers);
      CHECK(becomes(kernel, host, answers, os::neighbour_state::reachable));
      CHECK(becomes(kernel, host, silent, os::neighbour_state::failed));
      there.add_address(inside, prefix(to_string(silent) + length));
      kernel.probe_neighbour(host, silent);
      CHECK(becomes(kernel, host, silent, os::neighbour_state::reachable));

      // And what is believed to be reachable.
      there.delete_address(inside, prefix(to_string(answers) + length));
      kernel.probe_neighbour(host, answers);
      CHECK(becomes(kernel, host, answers, os::neighbour_state::failed));

      by_hand("ip neigh add " + to_string(fixed) + " lladdr 02:01:02:03:04:09 dev veth10");
      kernel.probe_neighbour(host, fixed);
      CHECK(kernel.neighbour(host, fixed) == os::neighbour_state::reachable);
      CHECK(os::output_of("ip neigh show to " + to_string(fixed)).find("PERMANENT") != std::string::npos);
    }
    CHECK(refusal([&] { kernel.probe_neighbour(9999, address("10.5.0.1")); }).find("No such device") !=
          std::string::npos);
  });
}
