// SPDX-License-Identifier: Apache-2.0
// Bridged mode: eth0 of the example host becomes a port, its addresses and routes move to the bridge, and come back.
#include <doctest/doctest.h>

#include <lanloom/app/host.hpp>
#include <lanloom/os/netlink.hpp>

#include "example_host.hpp"

using namespace lanloom;
using namespace lanloom::app;
using os::on_own_host;
using os::refusal;

namespace {
// The host's only way out, with all that can be said of an address and of a route.
void make_host_with_uplink() {
  make_example_host();
  shell(
      "ip addr add 192.168.50.66/24 dev eth0 label eth0:66; ip addr add 172.16.9.1 peer 172.16.9.2/32 dev eth0; "
      "ip route add 10.9.0.0/16 via 192.168.50.9 dev eth0 metric 77 proto static; "
      "ip route add 10.8.0.0/16 dev eth0 table 100 src 192.168.50.6; ip route add 203.0.113.1 via 192.0.2.1 onlink dev "
      "eth0; ip -6 route add fd00:9::/48 via fd00:50::9 dev eth0 metric 9");
}

plan plan_now(std::string_view text = with_uplink) {
  const auto c = example("lan", text);
  return make_plan(c, example_key(), read_facts(c));
}

void preflight(std::string_view text = with_uplink) {
  host("lan", run_directory).preflight(plan_now(text), example("lan", text), std::chrono::seconds(5));
}

std::string ip_of(const std::string& what) { return os::output_of("ip " + what); }
// Once the bridge carries: with STP that takes 8 s.
void reach_gateway() {
  shell("for i in $(seq 400); do ping -q -c 1 -W 1 192.168.50.1 >/dev/null && exit 0; sleep 0.05; done; false");
}
}  // namespace

TEST_CASE("an uplink's addresses and routes move to the bridge, and back") {
  on_own_host([] {
    make_host_with_uplink();
    const auto before = take_network_image();
    preflight();
    CHECK(difference(before, take_network_image()) == "");
    host h("lan", run_directory);
    {
      const auto made = h.start(plan_now());
      CHECK(made.unproven);
      os::netlink here;
      const auto bridge = here.link_by_name("br-lan");
      const auto port = here.link_by_name("eth0");
      const auto tap = here.link_by_name("ll-lan");
      REQUIRE((bridge && port && tap));
      CHECK(port->master == bridge->index);
      CHECK(bridge->stp);
      CHECK(tap->port_cost == overlay_cost);
      CHECK(here.addresses(bridge->index).size() >= 4);
      CHECK(here.routes(port->index).empty());
      CHECK(here.routes(bridge->index).size() == 6);
      CHECK(ip_of("-o -4 addr show dev eth0").empty());
      CHECK(ip_of("route show default").starts_with("default via 192.168.50.1 dev br-lan"));
      reach_gateway();
      const auto again = h.converge(plan_now(), [](const std::string&) { return true; });
      CHECK(joined(again.done).empty());
      CHECK(again.unproven);
      h.uplinks_proved();
      CHECK_FALSE(h.converge(plan_now(), [](const std::string&) { return true; }).unproven);
      shell("ip link set eth0 down");  // as somebody may while nobody looks
    }
    const auto report = h.undo(false);
    CHECK(joined(report.failed).empty());
    CHECK(joined(report.left).empty());
    shell(
        "for i in $(seq 200); do ip -6 route show table local | grep -q '^local fe80.*dev eth0' && break; sleep 0.02; "
        "done");
    CHECK(joined(report.removed) == "uplink eth0 from br-lan\nveth ns1h\nnetns ns1\nbridge br-lan\n");
    CHECK(difference(before, take_network_image()) == "");
    shell("ping -q -c 1 -W 5 192.168.50.1 >/dev/null");
    CHECK(std::filesystem::is_empty(run_directory));
  });
}

TEST_CASE("an uplink that was down is down again, with what it had") {
  on_own_host([] {
    make_example_host();
    shell(
        "ip link add eth9 type veth peer name far9; ip addr add 192.168.60.6/24 dev eth9; "
        "ip addr add fd00:60::6/64 dev eth9");
    const auto text = [] {
      auto t = std::string(with_uplink);
      t.replace(t.find("\"eth0\""), 6, "\"eth9\"");
      return t;
    }();
    const auto before = take_network_image();
    host h("lan", run_directory);
    {
      const auto tap = started(h, plan_now(text));
      CHECK(ip_of("-o link show eth9 up").find("master br-lan") != std::string::npos);
      CHECK(ip_of("-o -6 addr show dev br-lan").find("fd00:60::6/64") != std::string::npos);
    }
    const auto report = h.undo(false);
    CHECK(joined(report.left).empty());
    CHECK(joined(report.failed).empty());
    CHECK(ip_of("-o -6 addr show dev eth9").find("fd00:60::6/64") != std::string::npos);
    CHECK(difference(before, take_network_image()) == "");
  });
}

TEST_CASE("what others do to an uplink is put right, and a lost journal loses no address") {
  on_own_host([] {
    make_host_with_uplink();
    const auto before = take_network_image();
    host h("lan", run_directory);
    const auto p = plan_now();
    {
      auto tap = started(h, p);
      const auto mended = [&](const char* harm) {
        shell(harm);
        auto made = h.converge(p, [](const std::string&) { return true; });
        CHECK_MESSAGE(joined(made.failed).empty(), harm);
        if (made.tap) tap = std::move(*made.tap);
        CHECK_FALSE(made.done.empty());
        const auto again = h.converge(p, [](const std::string&) { return true; });
        CHECK_MESSAGE(joined(again.done).empty(), harm);
      };
      mended("ip link set eth0 nomaster");
      mended("ip route del default");
      mended("ip addr flush dev br-lan scope global");
      mended("ip link del br-lan");
      mended("ip addr add 192.168.50.6/24 dev eth0");
      // As after a crash: the journal is gone, the bridge bears our mark.
      shell("rm /run/lanloom/lan.journal");
      const auto adopted = plan_now();
      CHECK(adopted.steps.size() == p.steps.size());
      mended("true");
      REQUIRE(moved_gateways(adopted).size() == 1);
      CHECK(moved_gateways(adopted)[0].size() == 2);
      CHECK(moved_gateways(adopted, {"eth0"}).empty());
    }
    CHECK(joined(h.undo(false).left).empty());
    CHECK(difference(before, take_network_image()).find("dev eth0") == std::string::npos);
    CHECK(ip_of("-o -4 addr show dev eth0").find("192.168.50.6/24") != std::string::npos);
    CHECK(ip_of("route show default").starts_with("default via 192.168.50.1 dev eth0"));
  });
}

TEST_CASE("a gateway behind a route of its own moves after that route") {
  on_own_host([] {
    make_example_host();
    shell(
        "ip route del default; ip -n world addr add 172.31.1.1/32 dev far0; ip route add 172.31.1.1 dev eth0; "
        "ip route add default via 172.31.1.1");
    const auto before = take_network_image();
    host h("lan", run_directory);
    preflight();
    {
      const auto tap = started(h, plan_now());
      CHECK(ip_of("route show default").starts_with("default via 172.31.1.1 dev br-lan"));
    }
    CHECK(joined(h.undo(false).failed).empty());
    CHECK(difference(before, take_network_image()) == "");
  });
}

TEST_CASE("an uplink that cannot be taken whole is not taken: the host goes on as it was") {
  on_own_host([] {
    make_example_host();
    const auto without = [] {
      auto c = example("lan", with_uplink);
      c.bridge.uplinks.clear();
      c.bridge.stp = false;
      return make_plan(c, example_key(), read_facts(c));
    }();
    host h("lan", run_directory);
    const auto tap = started(h, without);
    const auto routes = ip_of("-6 route show default; ip route show default");
    auto p = plan_now();
    for (auto& one : p.steps) {
      auto* taken = std::get_if<take_uplink>(&one);
      if (taken == nullptr) continue;
      os::route_entry nowhere;
      nowhere.destination = *ip_prefix::parse("198.51.100.0/24");
      nowhere.gateway = *ip_address::parse("203.0.113.77");
      taken->was.routes.push_back(nowhere);
    }
    const auto made = h.converge(p, [](const std::string&) { return true; });
    CHECK(joined(made.failed).find("add route to 198.51.100.0/24") != std::string::npos);
    CHECK(ip_of("-o link show eth0").find("master") == std::string::npos);
    CHECK(ip_of("route show default").starts_with("default via 192.168.50.1 dev eth0"));
    CHECK(ip_of("-6 route show default; ip route show default") == routes);
    CHECK(ip_of("-o -4 addr show dev eth0").find("192.168.50.6/24") != std::string::npos);
    CHECK(ip_of("-o -4 addr show dev br-lan").empty());
    // Whoever takes it later has it tried as well.
    CHECK_FALSE(made.unproven);
    CHECK(h.converge(plan_now(), [](const std::string&) { return true; }).unproven);
  });
}

TEST_CASE("a route of another interface to the same destination, with the same metric, is no obstacle") {
  on_own_host([] {
    make_example_host();
    shell(
        "ip link add eth5 type veth peer name far5; ip link set eth5 up; ip link set far5 up; "
        "ip -6 route append default dev eth5 metric 1024");
    const auto before = ip_of("-6 route show default");
    host h("lan", run_directory);
    preflight();
    {
      const auto tap = started(h, plan_now());
      CHECK(ip_of("-6 route show default").find("via fd00:50::1 dev br-lan") != std::string::npos);
      CHECK(joined(h.converge(plan_now(), [](const std::string&) { return true; }).done).empty());
    }
    CHECK(joined(h.undo(false).failed).empty());
    CHECK(ip_of("-6 route show default").size() == before.size());
    CHECK(ip_of("-6 route show default").find("via fd00:50::1 dev eth0") != std::string::npos);
  });
}

TEST_CASE("a start that fails gives back what it took, and keeps what it adopted") {
  on_own_host([] {
    make_example_host();
    const auto before = take_network_image();
    host h("lan", run_directory);
    const auto tap = started(h, plan_now());
    CHECK(h.taken_uplinks() == std::vector<std::string>{"eth0"});
    h.give_back_uplinks_but({"eth0"});
    CHECK(ip_of("-o link show eth0").find("master br-lan") != std::string::npos);
    h.give_back_uplinks_but({});
    CHECK(ip_of("route show default").starts_with("default via 192.168.50.1 dev eth0"));
    CHECK(h.taken_uplinks().empty());
    CHECK(joined(h.undo(false).left).empty());
    CHECK(difference(before, take_network_image()).find("eth0") == std::string::npos);
  });
}

namespace {
std::string with_two_uplinks() {
  auto text = std::string(with_uplink);
  text.insert(text.find("\"eth0\"") + 6, ", \"eth9\"");
  return text;
}
void make_second_uplink() {
  shell(
      "ip link add eth9 type veth peer name far9 netns world; ip link set eth9 up; ip -n world link set far9 up; "
      "ip addr add 192.168.60.6/24 dev eth9; ip route add 10.6.0.0/16 via 192.168.60.1 dev eth9; "
      "for i in $(seq 100); do [ $(ip -6 route show table local | grep -c '^local fe80') = 2 ] && break; sleep 0.02; "
      "done");
}
}  // namespace

TEST_CASE("two uplinks of one host go to the bridge together, and each back to itself") {
  on_own_host([] {
    make_example_host();
    make_second_uplink();
    const auto before = take_network_image();
    host h("lan", run_directory);
    const auto text = with_two_uplinks();
    preflight(text);
    {
      const auto tap = started(h, plan_now(text));
      CHECK(h.taken_uplinks() == std::vector<std::string>{"eth0", "eth9"});
      CHECK(ip_of("-o -4 addr show dev br-lan").find("192.168.60.6/24") != std::string::npos);
      CHECK(ip_of("route show 10.6.0.0/16").find("dev br-lan") != std::string::npos);
      CHECK(joined(h.converge(plan_now(text), [](const std::string&) { return true; }).done).empty());
      // One of them alone goes back where the file does not name it any more.
      const auto made = h.converge(plan_now(), [](const std::string&) { return true; });
      CHECK(joined(made.failed).empty());
      CHECK(ip_of("-o -4 addr show dev eth9").find("192.168.60.6/24") != std::string::npos);
      CHECK(ip_of("route show 10.6.0.0/16").find("dev eth9") != std::string::npos);
      CHECK(ip_of("route show default").starts_with("default via 192.168.50.1 dev br-lan"));
    }
    CHECK(joined(h.undo(false).left).empty());
    CHECK(difference(before, take_network_image()) == "");
  });
}

TEST_CASE("a start that adopts one uplink and cannot take another keeps the one and leaves the other as it was") {
  on_own_host([] {
    make_example_host();
    host h("lan", run_directory);
    { const auto tap = started(h, plan_now()); }
    const auto before = h.taken_uplinks();
    shell(
        "ip link add eth9 type bridge; ip link set eth9 up; ip addr add 192.168.60.6/24 dev eth9; ip route add "
        "10.6.0.0/16 via 192.168.60.1");
    const auto why = refusal([&] { (void)h.start(plan_now(with_two_uplinks())); });
    CHECK_MESSAGE(why.find("eth9") != std::string::npos, why);
    h.give_back_uplinks_but(before);
    CHECK(h.taken_uplinks() == std::vector<std::string>{"eth0"});
    CHECK(ip_of("route show default").starts_with("default via 192.168.50.1 dev br-lan"));
    CHECK(ip_of("-o -4 addr show dev eth9").find("192.168.60.6/24") != std::string::npos);
    CHECK(ip_of("route show 10.6.0.0/16").find("dev eth9") != std::string::npos);
    CHECK(ip_of("-o link show eth9").find("master") == std::string::npos);
  });
}

TEST_CASE("what others put on a port again goes from there, whatever its label, and a route that cannot move stays") {
  on_own_host([] {
    make_host_with_uplink();
    host h("lan", run_directory);
    const auto tap = started(h, plan_now());
    shell(
        "ip addr add 192.168.50.66/24 dev eth0; ip addr add 10.44.0.1/24 dev eth0; "
        "ip route add 10.45.0.0/16 via 10.44.0.9 dev eth0 mtu 1400");
    const auto made = h.converge(plan_now(), [](const std::string&) { return true; });
    CHECK(joined(made.failed).empty());
    CHECK(ip_of("-o -4 addr show dev eth0").empty());
    CHECK(ip_of("-o -4 addr show dev br-lan").find("192.168.50.66/24") != std::string::npos);
    CHECK(joined(h.undo(false).failed).empty());
    CHECK(
        ip_of("-o -4 addr show dev eth0").find("192.168.50.66/24 brd 192.168.50.255 scope global secondary eth0:66") ==
        std::string::npos);
    CHECK(ip_of("-o -4 addr show dev eth0").find("192.168.50.66/24") != std::string::npos);
  });
}

TEST_CASE("neighbours hear at once at which MAC address the host is, there and back") {
  on_own_host([] {
    make_example_host();
    shell("ip -n world addr add 192.168.50.9/24 dev far0; ping -q -c 1 -W 5 192.168.50.9 >/dev/null");
    const auto known_at_far_end = [] { return ip_of("-n world neigh show 192.168.50.6"); };
    const auto mac_of = [](const char* name) { return ip_of(std::string("-o link show ") + name); };
    const auto hears = [&](const char* name) {
      const auto line = mac_of(name);
      const auto mac = line.substr(line.find("link/ether ") + 11, 17);
      shell("for i in $(seq 400); do ip -n world neigh show 192.168.50.6 | grep -q " + mac +
            " && exit 0; sleep 0.05; done; false");
    };
    CHECK(known_at_far_end().find("lladdr") != std::string::npos);
    auto text = std::string(with_uplink);
    text.insert(text.find("uplinks"), "stp = false\n");
    host h("lan", run_directory);
    {
      const auto tap = started(h, plan_now(text));
      hears("br-lan");
    }
    CHECK(joined(h.undo(false).failed).empty());
    hears("eth0");
  });
}

TEST_CASE("a start with another key after a crash gives the uplink back all the same") {
  on_own_host([] {
    make_example_host();
    const auto before = take_network_image();
    { const auto tap = started(host("lan", run_directory), plan_now()); }
    host h("lan", run_directory);
    {
      const auto c = example("lan", with_uplink);
      auto key = example_key();
      key.bytes[0] ^= 1;
      const auto tap = started(h, make_plan(c, key, read_facts(c)));
    }
    const auto report = h.undo(false);
    CHECK(joined(report.left).empty());
    CHECK(joined(report.failed).empty());
    CHECK(difference(before, take_network_image()) == "");
  });
}

TEST_CASE("down without a journal leaves the bridge that has an uplink, and says why") {
  on_own_host([] {
    make_example_host();
    { const auto tap = started(host("lan", run_directory), plan_now()); }
    shell("rm /run/lanloom/lan.journal");
    const auto report = host("lan", run_directory).undo(false);
    const auto left = joined(report.left);
    CHECK(
        left.find("bridge br-lan stays: somebody plugged in eth0; the journal is lost, so that may be an uplink whose "
                  "addresses br-lan has (192.168.50.6/24, fd00:50::6/64") != std::string::npos);
    CHECK(left.find("then run `lanloom up` with this instance's file, which finds out, and stop it; otherwise unplug "
                    "it, or run: lanloom down lan --force") != std::string::npos);
    CHECK(ip_of("route show default").starts_with("default via 192.168.50.1 dev br-lan"));
  });
}

TEST_CASE("a port that somebody else has by now, or that is gone, is left, and named") {
  on_own_host([] {
    make_example_host();
    { const auto tap = started(host("lan", run_directory), plan_now()); }
    shell("ip link add br9 type bridge; ip link set eth0 nomaster; ip link set eth0 master br9");
    const auto report = host("lan", run_directory).undo(false);
    CHECK(joined(report.left) ==
          "uplink eth0: somebody made it a port of another bridge, so what it had is not put "
          "back: 192.168.50.6/24, fd00:50::6/64, route default via 192.168.50.1, route default via fd00:50::1\n");
  });
  on_own_host([] {
    make_example_host();
    { const auto tap = started(host("lan", run_directory), plan_now()); }
    shell("ip link del eth0");
    const auto report = host("lan", run_directory).undo(false);
    CHECK(joined(report.left) ==
          "uplink eth0: is gone, so what it had cannot be put back: 192.168.50.6/24, fd00:50::6/64, route default via "
          "192.168.50.1, route default via fd00:50::1\n");
  });
}

TEST_CASE("an uplink that somebody renamed while it was ours is found, and gets back what it had") {
  on_own_host([] {
    make_example_host();
    { const auto tap = started(host("lan", run_directory), plan_now()); }
    shell("ip link set eth0 down; ip link set eth0 name lan0");
    const auto report = host("lan", run_directory).undo(false);
    CHECK(joined(report.failed).empty());
    CHECK(joined(report.left).empty());
    CHECK(joined(report.removed).find("uplink eth0 (lan0 now) from br-lan") != std::string::npos);
    CHECK(ip_of("-o -4 addr show dev lan0").find("192.168.50.6/24") != std::string::npos);
    CHECK(ip_of("route show default").starts_with("default via 192.168.50.1 dev lan0"));
  });
}

TEST_CASE("what cannot be an uplink is refused with its cure, and nothing is touched") {
  auto text = std::string(with_uplink);
  const auto refused = [&](const char* harm, const std::string& says) {
    on_own_host([&] {
      make_example_host();
      shell(harm);
      const auto before = take_network_image();
      const auto why = refusal([&] { preflight(text); });
      CHECK_MESSAGE(why.find(says) != std::string::npos, why);
      CHECK(difference(before, take_network_image()) == "");
    });
  };
  refused(
      "ip addr add 192.168.50.77/24 dev eth0 valid_lft 600 preferred_lft 600",
      "uplink eth0: its address 192.168.50.77/24 is dynamic (DHCP), and whoever renews it would not follow it to the "
      "bridge; give the interface static addresses");
  refused("ip addr add fd00:50::77/64 dev eth0 valid_lft 600 preferred_lft 600",
          "is dynamic (router advertisements or DHCP)");
  refused("ip -6 route add default via fe80::1 dev eth0 proto ra metric 5", "came by router advertisement");
  refused("ip addr add 192.168.50.77/24 dev eth0 noprefixroute", "as NetworkManager does");
  refused("ip route add 10.7.0.0/16 dev eth0 proto dhcp", "made by a DHCP client or routing daemon (protocol 16)");
  refused("ip route add 10.7.0.0/16 dev eth0 mtu 1400", "its route to 10.7.0.0/16 has more to it");
  refused("ip link set eth0 mtu 1400",
          "uplink eth0: has MTU 1400, which the LAN's 1500 do not fit through; set [tap] mtu "
          "= 1400 on every host, or run: ip link set eth0 mtu 1500");
  refused("ip link add br9 type bridge; ip link set eth0 master br9",
          "is a port of br9 already; take it out (ip link set eth0 nomaster)");
  refused("ip link add mv0 link eth0 type macvlan", "uplink eth0: mv0, a macvlan, takes its frames already");
  refused("ip neigh add 192.168.50.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent",
          "remove it: ip neigh del 192.168.50.9 dev eth0");
  refused("ip link del eth0", "uplink eth0: there is no such interface");
  refused("sysctl -q -w net.ipv6.conf.default.disable_ipv6=1",
          "uplink eth0: its address fd00:50::6/64 would not move, IPv6 being switched off for new interfaces of this "
          "host; run: sysctl -w net.ipv6.conf.default.disable_ipv6=0");
  refused(
      "ip -n world link set far0 down; ip -n world link del far0; ip link add eth0 type veth peer name far0; ip link "
      "set eth0 up; ip link set far0 up; ip addr add 192.168.50.6/24 dev eth0; ip route add default via 192.168.50.1",
      "uplink eth0: its default gateway 192.168.50.1 does not answer");
  refused(
      "ip addr add 172.18.0.6/24 dev eth0; ip route add 10.7.0.0/16 via 172.18.0.1; ip addr del 172.18.0.6/24 dev eth0",
      "uplink eth0: its route 10.7.0.0/16 via 172.18.0.1 leads by 172.18.0.1, which none of its addresses and routes "
      "covers any more");
  text.insert(text.find("uplinks"), "addresses = [\"192.168.50.6/24\"]\n");
  refused(
      "true",
      "[bridge] addresses: 192.168.50.6/24 is an address of uplink eth0, which moves to br-lan by itself; remove it");
}
