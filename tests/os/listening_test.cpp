// SPDX-License-Identifier: Apache-2.0
#include "own_host.hpp"

#include <doctest/doctest.h>

#include <lanloom/os/listening.hpp>
#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

using namespace lanloom;
using namespace lanloom::os;

namespace {
constexpr std::uint16_t port = 8765;

ip_address address(std::string_view text) { return ip_address::parse(text).value(); }

// Bound to port 8765; TCP listens.
unique_fd socket_on(transport protocol, const char* where, bool only_v6 = false) {
  const auto a = address(where);
  unique_fd fd(
      ::socket(a.v6 ? AF_INET6 : AF_INET, (protocol == transport::tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
  sockaddr_in6 v6{};
  sockaddr_in v4{};
  v6.sin6_family = AF_INET6;
  v4.sin_family = AF_INET;
  v6.sin6_port = v4.sin_port = htons(port);
  std::copy(a.bytes.begin(), a.bytes.end(), v6.sin6_addr.s6_addr);
  std::copy(a.bytes.begin(), a.bytes.begin() + 4, reinterpret_cast<std::uint8_t*>(&v4.sin_addr));
  const int only = only_v6 ? 1 : 0;
  if (a.v6) REQUIRE(::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) == 0);
  const int bound = a.v6 ? ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&v6), sizeof v6)
                         : ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
  REQUIRE(bound == 0);
  if (protocol == transport::tcp) REQUIRE(::listen(fd.get(), 1) == 0);
  return fd;
}

// "4" and "6": seen by who asks for any address of that family; "a" and "b": for 10.5.0.1 and 10.5.0.2; "c": fd00:5::1.
std::string seen_by(transport protocol) {
  std::string by;
  if (is_listening(protocol, port, address("0.0.0.0"))) by += '4';
  if (is_listening(protocol, port, address("::"))) by += '6';
  if (is_listening(protocol, port, address("10.5.0.1"))) by += 'a';
  if (is_listening(protocol, port, address("10.5.0.2"))) by += 'b';
  if (is_listening(protocol, port, address("fd00:5::1"))) by += 'c';
  return by;
}
}  // namespace

TEST_CASE("a listener is seen where it can be reached") {
  on_own_host([] {
    netlink kernel;
    kernel.set_up(1);
    for (const auto* a : {"10.5.0.1/24", "10.5.0.2/24", "fd00:5::1/64"}) kernel.add_address(1, *ip_prefix::parse(a));
    struct wanted {
      const char* where;
      bool only_v6;
      const char* seen;
    };
    for (const auto protocol : {transport::tcp, transport::udp}) {
      const auto other = protocol == transport::tcp ? transport::udp : transport::tcp;
      CHECK(seen_by(protocol).empty());
      for (const auto& w :
           {wanted{"0.0.0.0", false, "4ab"}, wanted{"::", false, "46abc"}, wanted{"::", true, "6c"},
            wanted{"10.5.0.1", false, "4a"}, wanted{"fd00:5::1", false, "6c"}, wanted{"::ffff:10.5.0.2", false, "4b"},
            wanted{"127.0.0.1", false, ""}, wanted{"127.1.2.3", false, ""}, wanted{"::1", false, ""},
            wanted{"::ffff:127.0.0.1", false, ""}}) {
        const auto held = socket_on(protocol, w.where, w.only_v6);
        CHECK_MESSAGE(seen_by(protocol) == w.seen, w.where);
        CHECK(seen_by(other).empty());
        CHECK_FALSE(is_listening(protocol, port + 1, address("0.0.0.0")));
        CHECK_FALSE(is_listening(protocol, 0, address("0.0.0.0")));
      }
      CHECK(seen_by(protocol).empty());
    }
  });
}

TEST_CASE("who only talks does not listen") {
  on_own_host([] {
    netlink kernel;
    kernel.set_up(1);
    kernel.add_address(1, *ip_prefix::parse("10.5.0.1/24"));
    const auto listener = socket_on(transport::udp, "10.5.0.1");
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(9);
    REQUIRE(::inet_pton(AF_INET, "10.5.0.1", &to.sin_addr) == 1);
    REQUIRE(::connect(listener.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0);
    CHECK(seen_by(transport::udp).empty());
  });
}

TEST_CASE("only this namespace counts") {
  on_own_host([] {
    const auto ns = create_netns("ns1");
    const auto there = [&] {
      const in_netns in(ns);
      return socket_on(transport::tcp, "0.0.0.0");
    }();
    CHECK(seen_by(transport::tcp).empty());
    const in_netns in(ns);
    CHECK(seen_by(transport::tcp) == "4ab");
  });
}

TEST_CASE("one among many is found") {
  on_own_host([] {
    std::vector<unique_fd> crowd;
    const int share = 1;
    for (int i = 0; i < 500; ++i) {  // more than one part of an answer holds
      crowd.emplace_back(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      REQUIRE(::setsockopt(crowd.back().get(), SOL_SOCKET, SO_REUSEADDR, &share, sizeof share) == 0);
      sockaddr_in a{};
      a.sin_family = AF_INET;
      a.sin_port = htons(port);
      a.sin_addr.s_addr = htonl(INADDR_LOOPBACK + static_cast<std::uint32_t>(i % 250));
      REQUIRE(::bind(crowd.back().get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
    }
    CHECK(seen_by(transport::udp).empty());
    const auto v6 = socket_on(transport::udp, "::", true);
    CHECK(seen_by(transport::udp) == "6c");
  });
}
