// SPDX-License-Identifier: Apache-2.0
// What the rules are for: real connections through a host that was set up, from inside it and from outside.
#include <doctest/doctest.h>

#include <lanloom/app/difference.hpp>
#include <lanloom/app/host.hpp>
#include <lanloom/base/endpoint.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/sysctl.hpp>

#include "example_host.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <optional>

using namespace lanloom;
using namespace lanloom::app;
using os::on_own_host;

namespace {
constexpr int patience = 3000;  // milliseconds; what must fail waits a tenth of it

// A place to open sockets in: a pinned namespace, or with an empty name the host itself.
std::optional<os::in_netns> enter(const std::string& name) {
  if (name.empty()) return std::nullopt;
  return std::optional<os::in_netns>(std::in_place, os::open_netns(name));
}

sockaddr_in address_of(const char* address, std::uint16_t port) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  REQUIRE(::inet_pton(AF_INET, address, &a.sin_addr) == 1);
  return a;
}

os::unique_fd listen_in(const std::string& netns, std::uint16_t port) {
  const auto there = enter(netns);
  os::unique_fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto any = address_of("0.0.0.0", port);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0);
  REQUIRE(::listen(fd.get(), 8) == 0);
  return fd;
}

bool wait_for(int fd, short what, int milliseconds) {
  pollfd p{fd, what, 0};
  return ::poll(&p, 1, milliseconds) == 1 && (p.revents & what) != 0;
}

// Connects from `netns` and says as whom the listener saw the caller; "nobody" if the connection did not come about.
std::string caller_seen(const os::unique_fd& listener, const std::string& netns, const char* address,
                        std::uint16_t port, int milliseconds = patience) {
  const auto there = enter(netns);
  const os::unique_fd caller(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const auto to = address_of(address, port);
  ::connect(caller.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to);
  if (!wait_for(listener.get(), POLLIN, milliseconds)) return "nobody";
  sockaddr_in from{};
  socklen_t size = sizeof from;
  const os::unique_fd accepted(::accept4(listener.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC));
  REQUIRE(accepted);
  // The way back must work too.
  REQUIRE(::send(accepted.get(), "x", 1, 0) == 1);
  if (!wait_for(caller.get(), POLLIN, milliseconds)) return "one who got no answer";
  std::array<char, INET_ADDRSTRLEN> text{};
  return ::inet_ntop(AF_INET, &from.sin_addr, text.data(), text.size());
}
}  // namespace

TEST_CASE("containers reach each other and, translated, the outside; the port forward answers from everywhere") {
  on_own_host([] {
    make_example_host();
    host h("lan", run_directory);
    const auto tap = started(h, plan_of("lan", two_hosts_alpha));
    {
      const auto inside = listen_in("ns1", 8765);
      CHECK(caller_seen(inside, "ns2", "10.5.0.11", 8765) == "10.5.0.21");
      CHECK(caller_seen(inside, "world", "192.168.50.6", 8765) == "192.168.50.1");
      CHECK(caller_seen(inside, "", "192.168.50.6", 8765) == "192.168.50.6");
      CHECK(caller_seen(inside, "", "10.5.0.1", 8765) == "10.5.0.1");
      CHECK(caller_seen(inside, "ns2", "192.168.50.6", 8765) == "10.5.0.1");
      CHECK(caller_seen(inside, "ns2", "10.5.0.1", 8765) == "10.5.0.1");
      // Under br_netfilter the bridge itself would send that back where it came from, which it does not do; hairpin
      // mode of the port would give a container its own broadcasts back, too.
      const std::string bridged_too = "net/bridge/bridge-nf-call-iptables";
      if (os::read_sysctl(bridged_too)) os::write_sysctl(bridged_too, "0");
      CHECK(caller_seen(inside, "ns1", "192.168.50.6", 8765) == "10.5.0.1");
      CHECK(caller_seen(inside, "ns2", "192.168.50.6", 8765) == "10.5.0.1");
      CHECK(caller_seen(inside, "", "127.0.0.1", 8765, patience / 10) == "nobody");
    }
    {
      const auto outside = listen_in("world", 80);
      CHECK(caller_seen(outside, "ns1", "192.168.50.1", 80) == "192.168.50.6");
      CHECK(caller_seen(outside, "", "192.168.50.1", 80) == "192.168.50.6");
    }
  });
}

TEST_CASE("the host routes for its bridge only, unless it routed before") {
  for (const char* before : {"0", "1"}) {
    on_own_host([before] {
      make_example_host();
      shell(
          "ip netns add far; ip link add eth1 type veth peer name up1 netns far; ip link set eth1 up; "
          "ip addr add 192.168.60.6/24 dev eth1; ip -n far addr add 192.168.60.1/24 dev up1; ip -n far link set up1 "
          "up; "
          "ip -n far route add default via 192.168.60.6; ip -n world route add default via 192.168.50.6");
      os::write_sysctl("net/ipv4/ip_forward", before);
      host h("lan", run_directory);
      const auto tap = started(h, plan_of("lan", two_hosts_alpha));
      const auto listener = listen_in("far", 80);
      const bool routed = *before == '1';
      CHECK(caller_seen(listener, "world", "192.168.60.1", 80, routed ? patience : patience / 10) ==
            (routed ? "192.168.50.1" : "nobody"));
      CHECK(caller_seen(listener, "ns2", "192.168.60.1", 80) == "192.168.60.6");
    });
  }
}

TEST_CASE("the guard leaves frames within another bridge alone") {
  on_own_host([] {
    make_example_host();
    shell(
        "ip link add br9 type bridge; ip link set br9 up; for n in 1 2; do ip netns add b$n; "
        "ip link add p$n type veth peer name q$n netns b$n; ip link set p$n master br9; ip link set p$n up; "
        "ip -n b$n addr add 10.9.0.$n/24 dev q$n; ip -n b$n link set q$n up; done");
    host h("lan", run_directory);
    const auto tap = started(h, plan_of("lan", two_hosts_alpha));
    CHECK(caller_seen(listen_in("b2", 80), "b1", "10.9.0.2", 80) == "10.9.0.1");
  });
}

TEST_CASE("the guard of one instance lets through what another one routes for a bridge that it joined") {
  on_own_host([] {
    make_example_host();
    shell(
        "ip link add br0 type bridge; ip link set br0 up; ip netns add far; "
        "ip link add eth1 type veth peer name up1 netns far; ip link set eth1 up; ip addr add 192.168.60.6/24 dev "
        "eth1; "
        "ip -n far addr add 192.168.60.1/24 dev up1; ip -n far link set up1 up");
    host first("lan", run_directory);
    const auto p = plan_of("lan", two_hosts_alpha);
    const auto tap = started(first, p);
    const auto guarded = [] {
      return os::output_of("nft list chain inet lanloom-lan forward").find("\"br0\"") != std::string::npos;
    };
    CHECK(guarded());
    constexpr std::string_view gamma = R"(
[node]
name = "gamma"
private_key = "gamma.key"
[bridge]
name = "br0"
create = false
addresses = ["10.66.0.1/16"]
[[netns]]
name = "gns"
addresses = ["10.66.0.11/16"]
gateway = "10.66.0.1"
[forwarding]
ipv4 = true
[nat]
masquerade = ["10.66.0.0/16"]
[[peer]]
name = "beta"
public_key = "BAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4fIA="
endpoint = "192.0.2.5:4780"
)";
    host second("gamma", run_directory);
    const auto always = [](const std::string&) { return true; };
    {
      const auto other = started(second, plan_of("gamma", gamma));
      // It puts nothing right, so whoever counts such tries hears another cause.
      std::string cause;
      const auto followed = first.converge(p, [&](const std::string& line) { return !(cause = line).empty(); });
      CHECK(followed.done.size() == 1);
      CHECK(followed.wished == 1);
      CHECK(cause.starts_with(own_wish));
      CHECK_FALSE(guarded());
      CHECK(caller_seen(listen_in("far", 80), "gns", "192.168.60.1", 80) == "192.168.60.6");
    }
    CHECK(joined(second.undo(false).failed).empty());
    first.converge(p, always);
    CHECK(guarded());
    shell("nft delete table inet lanloom-lan");
    first.doubt_table();
    const auto put_right = first.converge(p, always);
    CHECK(put_right.done.size() == 1);
    CHECK(put_right.wished == 0);
  });
}

TEST_CASE("a table that could not be loaded again is not forgotten") {
  on_own_host([] {
    make_example_host();
    host h("lan", run_directory);
    const auto p = plan_of("lan", two_hosts_alpha);
    const auto tap = started(h, p);
    shell("nft flush ruleset");
    h.doubt_table();
    for (int i = 0; i < 2; ++i) CHECK(h.converge(p, [](const std::string&) { return false; }).done.empty());
    const auto always = [](const std::string&) { return true; };
    CHECK(h.converge(p, always).done.size() == 1);
    CHECK(h.converge(p, always).done.empty());
    CHECK(os::output_of("nft list tables") == "table inet lanloom-lan\n");
  });
}

TEST_CASE("a bridge whose name cannot be said in a rule is no obstacle") {
  on_own_host([] {
    make_example_host();
    shell("ip link add 'br\"x' type bridge; ip link add 'br*' type bridge");
    host h("lan", run_directory);
    const auto tap = started(h, plan_of("lan", two_hosts_alpha));
    CHECK(os::output_of("nft list tables") == "table inet lanloom-lan\n");
  });
}
