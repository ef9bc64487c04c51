// SPDX-License-Identifier: Apache-2.0
#include "own_host.hpp"

#include <doctest/doctest.h>

#include <lanloom/os/monitor.hpp>
#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/nft.hpp>
#include <lanloom/os/sysctl.hpp>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>

using namespace lanloom;
using namespace lanloom::os;

namespace {
constexpr mac_address mac{0x02, 1, 2, 3, 4, 5};
constexpr const char* prefix = "lanloom-";

// The kernel tells at once, in the system call that changes something; so what is not readable now does not come.
bool readable(int fd) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, 0) == 1;
}

// All that is there; true when any of it was a change.
bool route_changed(monitor& m) {
  bool changed = false;
  while (readable(m.route_fd())) changed = m.drain_route() || changed;
  return changed;
}
nft_change nft_seen(monitor& m) {
  nft_change all;
  while (readable(m.nft_fd())) {
    const auto seen = m.drain_nft(prefix);
    all = {all.named || seen.named, all.filter || seen.filter};
  }
  return all;
}
bool nft_changed(monitor& m) { return nft_seen(m).named; }

void by_hand(const std::string& command) { REQUIRE(output_of(command + " 2>&1") == ""); }
}  // namespace

TEST_CASE("what others do to links, addresses, routes and forwarding is seen") {
  on_own_host([] {
    netlink().set_up(1);
    monitor m;
    CHECK_FALSE(readable(m.route_fd()));
    CHECK_FALSE(m.drain_route());
    for (const auto* command :
         {"ip link add br-lan type bridge", "ip link set br-lan up", "ip link set br-lan mtu 1400",
          "ip link set br-lan alias x", "ip link add veth10 type veth peer name veth11",
          "ip link set veth10 master br-lan", "bridge link set dev veth10 hairpin on", "ip link set veth10 nomaster",
          "ip addr add 10.5.0.1/16 dev br-lan", "ip addr del 10.5.0.1/16 dev br-lan",
          "ip addr add fd00:5::1/64 dev br-lan nodad", "ip addr del fd00:5::1/64 dev br-lan",
          "ip route add 10.9.0.0/16 dev br-lan", "ip route del 10.9.0.0/16 dev br-lan",
          "ip -6 route add fd00:9::/64 dev br-lan", "ip -6 route del fd00:9::/64 dev br-lan", "ip link set br-lan down",
          "ip link del br-lan"}) {
      by_hand(command);
      CHECK_MESSAGE(route_changed(m), command);
    }
    for (const auto* key : {"net/ipv4/ip_forward", "net/ipv4/conf/lo/forwarding", "net/ipv6/conf/all/forwarding"}) {
      write_sysctl(key, read_sysctl(key) == "0" ? "1" : "0");
      CHECK_MESSAGE(route_changed(m), key);
    }
    CHECK_FALSE(readable(m.nft_fd()));
  });
}

TEST_CASE("of nftables only tables by the name are seen, and all that is in them") {
  on_own_host([] {
    monitor m;
    CHECK_FALSE(m.drain_nft(prefix).named);
    nft_apply("table ip filter { chain FORWARD { type filter hook forward priority 0; }; set s { type ipv4_addr; }; }");
    nft_apply("add rule ip filter FORWARD ip saddr 10.0.0.0/8 accept comment \"lanloom-lan\"");
    nft_apply("table inet lanloom {}\ntable inet xlanloom-lan {}\nadd element ip filter s { 10.0.0.1 }");
    REQUIRE(readable(m.nft_fd()));
    CHECK_FALSE(nft_changed(m));
    for (const auto* rules :
         {"table inet lanloom-lan {}", "table inet lanloom-lan { chain c {}; }", "add rule inet lanloom-lan c accept",
          "add set inet lanloom-lan s { type ipv4_addr; }", "add element inet lanloom-lan s { 10.0.0.1 }",
          "delete element inet lanloom-lan s { 10.0.0.1 }", "add counter inet lanloom-lan n", "flush ruleset"}) {
      nft_apply(rules);
      CHECK_MESSAGE(nft_changed(m), rules);
    }
    CHECK_FALSE(readable(m.route_fd()));
  });
}

TEST_CASE("what changes in the tables that iptables writes to is told apart") {
  on_own_host([] {
    monitor m;
    CHECK_FALSE(m.drain_nft(prefix).filter);
    for (const std::string family : {"ip", "ip6"}) {
      const auto table = family + " filter";
      for (const auto& rules :
           {"table " + table + " {}", "add chain " + table + " FORWARD { type filter hook forward priority 0; }",
            "add chain " + table + " FORWARD { policy drop; }", "add rule " + table + " FORWARD accept",
            "flush chain " + table + " FORWARD", "delete table " + table}) {
        nft_apply(rules);
        const auto seen = nft_seen(m);
        CHECK_MESSAGE(seen.filter, rules);
        CHECK_MESSAGE(!seen.named, rules);
      }
    }
    nft_apply("table inet filter { chain FORWARD { type filter hook forward priority 0; }; }");
    nft_apply("table ip nat { chain FORWARD { type filter hook forward priority 0; }; }");
    nft_apply("table inet lanloom-lan {}");
    CHECK_FALSE(nft_seen(m).filter);
  });
}

TEST_CASE("what overran the socket counts as a change, and a call's work is bounded") {
  on_own_host([] {
    monitor m;
    std::string rules = "table ip filter {}\n";
    for (int i = 0; i < 3000; ++i) rules += "add chain ip filter chain-with-a-long-name-" + std::to_string(i) + "\n";
    for (int turn = 0; turn < 3; ++turn) nft_apply(rules + "delete table ip filter\n");
    const auto overrun = nft_seen(m);
    CHECK(overrun.named);
    CHECK(overrun.filter);
    nft_apply("table ip filter {}");
    CHECK(readable(m.nft_fd()));
    CHECK_FALSE(m.drain_nft(prefix).named);  // and afterwards all is as before

    netlink kernel;
    kernel.create_bridge("br-lan", mac, 1500, false, "");
    const auto index = kernel.link_by_name("br-lan").value().index;
    kernel.set_up(index);  // of links that are down the kernel does not tell all
    CHECK(route_changed(m));
    const int room = 8 * 1024 * 1024;  // for more than one call's messages
    REQUIRE(::setsockopt(m.route_fd(), SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) == 0);
    for (int i = 0; i < 600; ++i) kernel.set_alias(index, i % 2 == 0 ? "a" : "b");
    CHECK(m.drain_route());
    CHECK(route_changed(m));
    CHECK_FALSE(m.drain_route());
  });
}

TEST_CASE("only the kernel is believed") {
  on_own_host([] {
    monitor m;
    sockaddr_nl to{};
    socklen_t size = sizeof to;
    REQUIRE(::getsockname(m.route_fd(), reinterpret_cast<sockaddr*>(&to), &size) == 0);
    to.nl_groups = 0;
    const unique_fd liar(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    nlmsghdr lie{};
    lie.nlmsg_len = sizeof lie;
    lie.nlmsg_type = RTM_NEWLINK;
    REQUIRE(::sendto(liar.get(), &lie, sizeof lie, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) ==
            static_cast<ssize_t>(sizeof lie));
    REQUIRE(readable(m.route_fd()));
    CHECK_FALSE(m.drain_route());
    CHECK_FALSE(readable(m.route_fd()));
  });
}

TEST_CASE("a monitor hears of its own namespace only") {
  on_own_host([] {
    const auto ns = create_netns("ns1");
    monitor here;
    const auto there = [&] {
      const in_netns in(ns);
      return monitor();
    }();
    auto kernel = netlink::in(ns);
    kernel.create_bridge("br-there", mac, 1500, false, "");
    CHECK_FALSE(readable(here.route_fd()));
    CHECK(readable(there.route_fd()));
  });
}
