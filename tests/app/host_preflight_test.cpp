// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/app/host.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/sysctl.hpp>

#include "example_host.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

using namespace lanloom;
using namespace lanloom::app;
using os::on_own_host;
using os::refusal;

namespace {
os::unique_fd listen_on(std::uint16_t port) {
  os::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(port);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0);
  REQUIRE(::listen(fd.get(), 1) == 0);
  return fd;
}

std::string preflight(std::string_view text) {
  const auto c = example("lan", text);
  return refusal([&] { host("lan", run_directory).preflight(make_plan(c, example_key(), facts_of(c)), c, {}); });
}
}  // namespace

TEST_CASE("a host that has what it takes is accepted, and left alone") {
  on_own_host([] {
    make_example_host();
    const auto before = take_network_image();
    for (const auto text : {two_hosts_alpha, two_hosts_beta, both_families, bridge_only}) CHECK(preflight(text) == "");
    CHECK(difference(before, take_network_image()) == "");
    CHECK_FALSE(std::filesystem::exists(run_directory));
  });
}

TEST_CASE("missing rights are permission errors") {
  on_own_host([] {
    give_up(CAP_SYS_ADMIN);
    CHECK(preflight(bridge_only) == "");
    const auto c = example("lan", two_hosts_alpha);
    CHECK_THROWS_AS(host("lan", run_directory).preflight(make_plan(c, example_key(), facts_of(c)), c, {}),
                    permission_error);
    CHECK(preflight(two_hosts_alpha) == "netns ns1: needs CAP_SYS_ADMIN; run it as root");
    give_up(CAP_NET_ADMIN);
    CHECK_THROWS_AS(host("lan", run_directory).preflight(make_plan(c, example_key(), facts_of(c)), c, {}),
                    permission_error);
    CHECK(preflight(bridge_only) == "making interfaces: needs CAP_NET_ADMIN; run it as root");
  });
  on_own_host([] {
    { const auto tap = started(host("lan", run_directory), plan_of("lan", bridge_only)); }
    give_up(CAP_NET_ADMIN);
    CHECK_THROWS_AS(host("lan", run_directory).undo(false), permission_error);
    CHECK(refusal([] { host("lan", run_directory).undo(false); }) ==
          "removing interfaces: needs CAP_NET_ADMIN; run it as root");
    CHECK_THROWS_AS((void)host("lan", run_directory).has_leftovers(), permission_error);
  });
}

TEST_CASE("what the system lacks is named with its cure") {
  on_own_host([] {
    shell("mount -t tmpfs none /dev/net");
    CHECK(preflight(bridge_only) == "there is no /dev/net/tun; load the module: modprobe tun");
    shell("touch /dev/net/tun");
    CHECK(preflight(bridge_only) == "there is no /dev/net/tun; load the module: modprobe tun");
  });
  on_own_host([] {
    const auto only_forwarding = std::string(bridge_only) + "[forwarding]\nipv4 = true\n";
    shell(
        "mkdir /run/none; for d in /usr/sbin /sbin /usr/bin /bin; do for f in $d/nft; do test ! -e $f || "
        "{ touch /run/none/nft; chmod 644 /run/none/nft; mount --bind /run/none/nft $f; }; done; done");
    CHECK(preflight(two_hosts_alpha) ==
          "[nat] or [forwarding] needs the program nft, which is not installed; install the package nftables");
    CHECK(preflight(bridge_only) == "");
    CHECK(preflight(only_forwarding) ==
          "[nat] or [forwarding] needs the program nft, which is not installed; install the package nftables");
  });
  on_own_host([] {
    os::write_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    CHECK(preflight(both_families) ==
          "fd00:5::1/64: IPv6 is switched off for new interfaces of this host; remove the address, or run: sysctl -w "
          "net.ipv6.conf.default.disable_ipv6=0");
    shell("mkdir /run/none; mount --bind /run/none /proc/sys/net/ipv6");
    CHECK(preflight(both_families) == "fd00:5::1/64: this host has no IPv6; remove the address");
    CHECK(preflight(std::string(bridge_only) + "[forwarding]\nipv6 = true\n") ==
          "[forwarding] ipv6: this host has no IPv6; set it to false");
    CHECK(preflight(two_hosts_alpha) == "");
  });
}

TEST_CASE("names that are taken by others are named with the key to change") {
  for (const auto& [theirs, sentence] :
       {std::pair("ip link add br-lan type bridge",
                  "br-lan: exists already and is not lanloom's; choose another [bridge] name or remove it"),
        {"ip tuntap add vtap0 mode tap",
         "vtap0: exists already and is not lanloom's; choose another [tap] name or remove it"},
        {"ip link add veth20 type veth peer name other",
         "veth20: exists already and is not lanloom's; choose another [[netns]] host_interface or remove it"},
        {"ip netns add ns2",
         "netns ns2: exists already and is not lanloom's; choose another [[netns]] name or remove it, or join it with "
         "create = false"},
        {"ip link add br-lan type bridge; ip link set br-lan alias lanloom:lan2",
         "br-lan: exists already and is not lanloom's; choose another [bridge] name or remove it"}}) {
    on_own_host([theirs = theirs, sentence = sentence] {
      shell(theirs);
      CHECK(preflight(two_hosts_alpha) == sentence);
    });
  }
}

TEST_CASE("what an earlier run left is no obstacle") {
  on_own_host([&] {
    { const auto tap = started(host("lan", run_directory), plan_of("lan", two_hosts_alpha)); }
    CHECK(preflight(two_hosts_alpha) == "");
    std::filesystem::remove(run_directory / "lan.journal");
    CHECK(preflight(two_hosts_alpha) == "");
    host("lan", run_directory).undo(false);
    CHECK(preflight(two_hosts_alpha) == "");
  });
}

TEST_CASE("a port that has an owner is not forwarded") {
  on_own_host([] {
    make_example_host();
    {
      const auto tap = started(host("other", run_directory), plan_of("other", std::string(R"(
[node]
private_key = "k"
[bridge]
addresses = ["10.7.0.1/16"]
[forwarding]
ipv4 = true
[nat]
forward = [{ protocol = "tcp", port = 8765, to = "10.7.0.2:80" }]
)")));
    }
    CHECK(preflight(two_hosts_alpha) ==
          "[nat] forward: port tcp 8765 * is forwarded by instance other already; choose another port");
    host("other", run_directory).undo(false);
    CHECK(preflight(two_hosts_alpha) == "");
    const auto listener = listen_on(8765);
    CHECK(preflight(two_hosts_alpha) ==
          "[nat] forward: tcp port 8765: a program of this host listens on it already, and the forward would take its "
          "callers; choose another port, or stop it");
  });
}

TEST_CASE("an overlay must not cover what the host reaches otherwise") {
  on_own_host([] {
    shell("ip link add eth1 type veth peer name eth2; ip addr add 10.5.3.4/24 dev eth1");
    CHECK(preflight(two_hosts_alpha) ==
          "10.5.0.0/16: this host has 10.5.3.4/24 on eth1 already; choose another subnet for the overlay, the same on "
          "every host");
    shell("ip addr flush dev eth1; ip addr add 10.0.0.1/8 dev eth2");
    CHECK(preflight(two_hosts_alpha) ==
          "10.5.0.0/16: this host has 10.0.0.1/8 on eth2 already; choose another subnet for the overlay, the same on "
          "every host");
    shell("ip addr flush dev eth2; ip addr add 10.6.0.1/16 dev eth2");
    CHECK(preflight(two_hosts_alpha) == "");
    shell("ip addr add fd00:5::9/128 dev eth2");
    CHECK(
        preflight(both_families) ==
        "fd00:5::/64: this host has fd00:5::9/128 on eth2 already; choose another subnet for the overlay, the same on "
        "every host");
  });
}

TEST_CASE("a port that has an owner is not forwarded") {
  on_own_host([] {
    make_example_host();
    {
      const auto tap = started(host("other", run_directory), plan_of("other", std::string(R"(
[node]
private_key = "k"
[bridge]
addresses = ["10.7.0.1/16"]
[forwarding]
ipv4 = true
[nat]
forward = [{ protocol = "tcp", port = 8765, to = "10.7.0.2:80" }]
)")));
    }
    CHECK(preflight(two_hosts_alpha) ==
          "[nat] forward: port tcp 8765 * is forwarded by instance other already; choose another port");
    host("other", run_directory).undo(false);
    CHECK(preflight(two_hosts_alpha) == "");
    const auto listener = listen_on(8765);
    CHECK(preflight(two_hosts_alpha) ==
          "[nat] forward: tcp port 8765: a program of this host listens on it already, and the forward would take its "
          "callers; choose another port, or stop it");
  });
}

TEST_CASE("an overlay must not cover a peer's endpoint") {
  on_own_host([] {
    // The file alone shows it too: this is for a configuration that was made otherwise.
    for (const auto& [text, endpoint, sentence] :
         {std::tuple(
              two_hosts_alpha, "10.5.0.9:4780",
              "peer beta: its endpoint 10.5.0.9:4780 lies inside the overlay's 10.5.0.0/16, so its packets would "
              "go into the tunnel itself; choose another subnet"),
          {both_families, "[fd00:5::9]:4780",
           "peer beta: its endpoint [fd00:5::9]:4780 lies inside the overlay's fd00:5::/64, so its packets would go "
           "into the tunnel itself; choose another subnet"}}) {
      auto c = example("lan", text);
      c.peers.at(0).endpoints = {{"", *lanloom::endpoint::parse(endpoint)}};
      CHECK(refusal([&, p = make_plan(c, example_key(), facts_of(c))] {
              host("lan", run_directory).preflight(p, c, {});
            }) == sentence);
    }
  });
}
