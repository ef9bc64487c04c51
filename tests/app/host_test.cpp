// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/app/host.hpp>
#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/nft.hpp>
#include <lanloom/os/sysctl.hpp>

#include "example_host.hpp"

#include <algorithm>

using namespace lanloom;
using namespace lanloom::app;
using os::on_own_host;
using os::read_sysctl;
using os::refusal;

TEST_CASE("apply makes the host as the plan says, and undo as it was") {
  on_own_host([] {
    make_example_host();
    const auto c = example("six", both_families);
    const auto p = make_plan(c, example_key(), facts_of(c));
    const auto before = take_network_image();
    host h("six", run_directory);
    CHECK_FALSE(h.has_leftovers());
    h.preflight(p, c, {});
    CHECK(difference(before, take_network_image()) == "");
    {
      const auto tap = started(h, p);
      CHECK(h.has_leftovers());
      os::netlink here;
      const auto bridge = here.link_by_name("br6");
      REQUIRE(bridge);
      CHECK(bridge->mac == std::get<create_bridge>(p.steps[0]).mac);
      CHECK(bridge->mtu == 9000);
      CHECK(bridge->alias == "lanloom:six");
      CHECK(bridge->up);
      CHECK_FALSE(bridge->stp);
      CHECK(read_sysctl("net/ipv6/conf/br6/accept_ra") == "0");
      const auto addresses = here.addresses(bridge->index);
      for (const auto& wanted : c.bridge.addresses) {
        CHECK(std::count(addresses.begin(), addresses.end(), wanted) == 1);
      }
      for (const char* port : {"tap6", "six1h"}) {
        const auto l = here.link_by_name(port);
        REQUIRE(l);
        CHECK(l->master == bridge->index);
        CHECK(l->mtu == 9000);
        CHECK(l->mac[0] == 0xfe);
        CHECK(l->alias == "lanloom:six");
        CHECK(l->up);
        CHECK_FALSE(l->makes_addresses);
        CHECK(here.addresses(l->index).empty());
      }
      auto there = os::netlink::in(os::open_netns("six1"));
      const auto inside = there.link_by_name("eth0");
      REQUIRE(inside);
      CHECK(inside->mac[0] == 0x02);
      CHECK(inside->up);
      CHECK(inside->mtu == 9000);
      const auto routes = there.default_routes();
      REQUIRE(routes.size() == 2);
      CHECK(std::all_of(routes.begin(), routes.end(), [](const auto& r) { return r.protocol == 0x4C; }));
      CHECK(os::nft_table_exists("lanloom-six"));
      CHECK(read_sysctl("net/ipv4/ip_forward") == "1");
      CHECK(read_sysctl("net/ipv6/conf/all/forwarding") == "1");
    }
    const auto report = h.undo(false);
    CHECK(joined(report.failed).empty());
    CHECK(joined(report.left).empty());
    CHECK(joined(report.removed) ==
          "forwarding of ipv6\nforwarding of ipv4\nnft table inet lanloom-six\nveth six1h\nnetns six1\nbridge br6\n");
    CHECK(difference(before, take_network_image()) == "");
    CHECK(std::filesystem::is_empty(run_directory));
    CHECK_FALSE(h.has_leftovers());

    const auto again = h.undo(false);
    CHECK((again.removed.empty() && again.left.empty() && again.failed.empty()));
    CHECK(difference(before, take_network_image()) == "");
  });
}

TEST_CASE("undo takes the TAP too while somebody holds it") {
  on_own_host([] {
    make_example_host();
    const auto before = take_network_image();
    host h("lan", run_directory);
    const auto tap = started(h, plan_of("lan", two_hosts_alpha));
    const auto report = h.undo(false);
    CHECK(std::count(report.removed.begin(), report.removed.end(), "tap vtap0") == 1);
    CHECK(joined(report.failed).empty());
    CHECK(difference(before, take_network_image()) == "");
  });
}

TEST_CASE("a start that fails at any step leaves nothing") {
  on_own_host([] {
    make_example_host();
    const auto whole = plan_of("six", both_families);
    const auto before = take_network_image();
    for (std::size_t k = 0; k <= whole.steps.size(); ++k) {
      auto cut = whole;
      cut.steps.resize(k);
      cut.steps.emplace_back(bring_up{{"nobody", {}}});
      host h("six", run_directory);
      CHECK(refusal([&] { (void)started(h, cut); }) == "nobody: somebody removed it while it was being set up");
      const auto report = h.undo(false);
      CHECK(joined(report.failed).empty());
      CHECK(joined(report.left).empty());
      CHECK_MESSAGE(difference(before, take_network_image()).empty(), "step " << k);
      CHECK(std::filesystem::is_empty(run_directory));
    }
  });
}

TEST_CASE("what somebody else made a moment before us is not taken for ours") {
  for (const char* theirs :
       {"ip link add br-lan type bridge", "ip tuntap add vtap0 mode tap", "ip netns add ns1", "ip netns add ns2",
        "ip link add veth10 type veth peer name other", "ip link add veth20 type veth peer name other"}) {
    on_own_host([theirs] {
      make_example_host();
      shell(theirs);
      const auto before = take_network_image();
      host h("lan", run_directory);
      const auto said = refusal([&] { (void)started(h, plan_of("lan", two_hosts_alpha)); });
      CHECK_FALSE(said.empty());
      const auto report = h.undo(false);
      CHECK(joined(report.failed).empty());
      CHECK(joined(report.left).empty());
      CHECK_MESSAGE(difference(before, take_network_image()).empty(), theirs);
      CHECK(std::filesystem::is_empty(run_directory));
    });
  }
}

TEST_CASE("a host that forwarded before needs no guard and keeps forwarding") {
  on_own_host([] {
    make_example_host();
    os::write_sysctl("net/ipv4/ip_forward", "1");
    const auto before = take_network_image();
    host h("lan", run_directory);
    {
      const auto tap = started(h, plan_of("lan", two_hosts_beta));
      CHECK(os::output_of("nft list table inet lanloom-lan").find("chain forward") == std::string::npos);
    }
    CHECK(joined(h.undo(false).left).empty());
    CHECK(difference(before, take_network_image()) == "");
  });
}
