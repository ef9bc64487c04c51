// SPDX-License-Identifier: Apache-2.0
#include "own_host.hpp"

#include <doctest/doctest.h>

#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>

#include <algorithm>

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

// A host with one end of a veth, and addresses on it.
struct routed_host {
  netlink kernel;
  os::unique_fd ns = os::create_netns("ns1");
  int out = 0;
  routed_host() {
    kernel.create_veth(host_end(), inside_end(), 1500, ns);
    auto there = netlink::in(ns);
    there.set_up(link_of(there, "eth0").index);
    out = link_of(kernel, "veth10").index;
    kernel.set_up(out);
    kernel.add_address(out, prefix("10.5.0.1/16"));
    kernel.add_address(out, prefix("10.5.0.2/16"));
    kernel.add_address(out, prefix("fd00:5::1/64"));
  }
};
}  // namespace

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

TEST_CASE("routes are read, deleted and added again without a difference") {
  on_own_host([] {
    routed_host host;
    for (const auto* route :
         {"default via 10.5.0.254", "default via 10.5.0.253 metric 100 proto static src 10.5.0.2",
          "10.7.0.0/16 via 10.5.0.254 metric 5 proto 76", "10.8.0.0/16 dev veth10 scope link",
          "10.9.0.0/16 via 172.16.0.1 dev veth10 onlink table 1000", "unicast 10.10.0.0/16 via 10.5.0.254 table 7"}) {
      by_hand(std::string("ip route add ") + route + " dev veth10");
    }
    for (const auto* route : {"default via fd00:5::fe metric 512", "fd00:7::/48 via fd00:5::fe proto 76 table 1000",
                              "fd00:8::/48", "default table 7"}) {
      by_hand(std::string("ip -6 route add ") + route + " dev veth10");
    }
    const auto print = [] { return os::output_of("ip route show table all; ip -6 route show table all"); };
    const auto before = print();
    auto all = host.kernel.routes(host.out);
    CHECK(all.size() == 10);
    const auto has = [&](const os::route_entry& r) { return std::count(all.begin(), all.end(), r) == 1; };
    const int out = host.out;
    CHECK(has({prefix("0.0.0.0/0"), address("10.5.0.254"), out, 0, 3}));
    CHECK(has({prefix("0.0.0.0/0"), address("10.5.0.253"), out, 100, 4, 0, 1, address("10.5.0.2")}));
    CHECK(has({prefix("10.7.0.0/16"), address("10.5.0.254"), out, 5, 76}));
    CHECK(has({prefix("10.8.0.0/16"), {}, out, 0, 3, 253}));
    CHECK(has({prefix("10.9.0.0/16"), address("172.16.0.1"), out, 0, 3, 0, 1, {}, 1000, true}));
    CHECK(has({prefix("::/0"), address("fd00:5::fe"), out, 512, 3}));
    CHECK(has({prefix("fd00:7::/48"), address("fd00:5::fe"), out, 1024, 76, 0, 1, {}, 1000}));
    CHECK(has({prefix("::/0"), {}, out, 1024, 3, 0, 1, {}, 7}));
    for (const auto& r : all) {
      CHECK(r.complete);
      host.kernel.delete_route(r);
      host.kernel.delete_route(r);
    }
    CHECK(host.kernel.routes(host.out).empty());
    for (const auto& r : all) host.kernel.add_route(r);
    CHECK(print() == before);
    CHECK(host.kernel.routes(1).empty());
    CHECK(host.kernel.routes(9999).empty());
  });
}

TEST_CASE("a route with more to it than can be said is not taken for a simple one") {
  on_own_host([] {
    routed_host host;
    host.kernel.create_bridge("br-lan", bridge_mac, 1500, false, mark);
    host.kernel.set_up(link_of(host.kernel, "br-lan").index);
    by_hand("ip addr add 10.6.0.1/16 dev br-lan");
    by_hand("ip route add 10.7.0.0/16 via 10.5.0.254 dev veth10 mtu 1300");
    by_hand("ip route add 10.8.0.0/16 tos 4 via 10.5.0.254 dev veth10");
    by_hand("ip route add 10.9.0.0/16 nexthop via 10.6.0.254 dev br-lan nexthop via 10.5.0.254 dev veth10");
    by_hand("ip route add 10.10.0.0/16 via inet6 fd00:5::fe dev veth10");
    by_hand("ip -6 route add fd00:7::/48 via fd00:5::fe dev veth10 expires 100");
    by_hand("ip -6 route add fd00:8::/48 via fd00:5::fe dev veth10 pref high");
    by_hand("ip -6 route add fd00:9::/48 via fd00:5::fe dev veth10 proto ra");  // comes and goes by itself
    const auto all = host.kernel.routes(host.out);
    CHECK(all.size() == 6);
    for (const auto& r : all) {
      CHECK_FALSE(r.complete);
      CHECK(r.out_index == host.out);
    }
    REQUIRE_FALSE(all.empty());
    CHECK(refusal([&] { host.kernel.add_route(all[0]); }).find(": Invalid argument") != std::string::npos);
  });
}

TEST_CASE("a route that cannot be is refused by name, and somebody else's is not deleted") {
  on_own_host([] {
    routed_host host;
    const os::route_entry ours{prefix("10.7.0.0/16"), address("10.5.0.254"), host.out, 0, 0x4C};
    host.kernel.add_route(ours);
    CHECK(refusal([&] {
            host.kernel.add_route(ours);
          }).rfind("add route to 10.7.0.0/16 by 10.5.0.254 on veth10: File exists", 0) == 0);
    auto nowhere = ours;
    nowhere.destination = prefix("0.0.0.0/0");
    nowhere.gateway = address("10.99.0.1");
    CHECK(refusal([&] { host.kernel.add_route(nowhere); }).rfind("add route to default by 10.99.0.1 on veth10: ", 0) ==
          0);
    auto theirs = ours;
    theirs.protocol = 4;
    host.kernel.delete_route(theirs);
    CHECK(host.kernel.routes(host.out) == std::vector{ours});
    host.kernel.delete_route(ours);
    CHECK(host.kernel.routes(host.out).empty());
  });
}
