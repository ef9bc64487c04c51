// SPDX-License-Identifier: Apache-2.0
#include "in_child.hpp"
#include "own_host.hpp"

#include <doctest/doctest.h>
#include <lanloom/os/udp.hpp>

#include <seccomp.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <numeric>
#include <vector>

using namespace lanloom;
using namespace lanloom::os;
using namespace lanloom::os::test;

namespace {

constexpr auto again = std::errc::resource_unavailable_try_again;

endpoint at(const char* text) {
  const auto e = endpoint::parse(text);
  if (!e) throw std::runtime_error(std::string("no endpoint: ") + text);
  return *e;
}

endpoint with_port(const char* text, const udp_socket& socket) {
  endpoint e = at(text);
  e.port = socket.local().port;
  return e;
}

std::vector<std::uint8_t> bytes_of(std::size_t size) {
  std::vector<std::uint8_t> bytes(size);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

int option(const udp_socket& socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  if (::getsockopt(socket.fd(), level, name, &value, &size) != 0) throw_errno("getsockopt");
  return value;
}

// One datagram from `from` to `target`, where `to` must get it whole and see `seen_as` as its address.
void passes(udp_socket& from, const endpoint& target, udp_socket& to, const endpoint& seen_as) {
  const auto bytes = bytes_of(1200);
  const sent done = from.send(target, bytes, bytes.size());
  EXPECT(done.error == std::errc{});
  EXPECT(done.datagrams == 1);
  EXPECT(readable(to.fd(), std::chrono::seconds(5)));
  std::vector<std::uint8_t> slot(udp_socket::slot_size);
  endpoint source;
  datagram_train train;
  EXPECT(to.receive(slot, source, train) == std::errc{});
  EXPECT(source == seen_as);
  EXPECT(train.stride == bytes.size());
  EXPECT(std::equal(train.bytes.begin(), train.bytes.end(), bytes.begin(), bytes.end()));
  EXPECT(to.receive(slot, source, train) == again);
}

// A new IPv6 address is tentative for a moment, and cannot be bound until it is not.
udp_socket open_when_usable(const endpoint& listen) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  for (;;) {
    try {
      return udp_socket::open(listen);
    } catch (const std::system_error& e) {
      if (e.code() != std::errc::address_not_available || std::chrono::steady_clock::now() > deadline) throw;
    }
    ::poll(nullptr, 0, 1);
  }
}

std::string refusal(const char* listen) {
  try {
    const udp_socket socket = udp_socket::open(at(listen));
    return "opened";
  } catch (const std::system_error& e) {
    EXPECT(e.code() == std::errc::address_in_use);
    return e.what();
  }
}

}  // namespace

TEST_CASE("udp: IPv4, IPv6 and dual stack over loopback, both ways") {
  const auto failure = in_network([] {
    udp_socket four = udp_socket::open(at("127.0.0.1:0"));
    udp_socket six = udp_socket::open(at("[::1]:0"));
    udp_socket dual = udp_socket::open(at("[::]:4780"));
    EXPECT(!four.reaches_v6());
    EXPECT(six.reaches_v6());
    EXPECT(dual.reaches_v6());
    EXPECT(dual.local() == at("[::]:4780"));
    EXPECT(four.local().is_v4());
    passes(four, at("127.0.0.1:4780"), dual, with_port("127.0.0.1:1", four));
    passes(dual, with_port("127.0.0.1:1", four), four, at("127.0.0.1:4780"));
    passes(six, at("[::1]:4780"), dual, with_port("[::1]:1", six));
    passes(dual, with_port("[::1]:1", six), six, at("[::1]:4780"));
    const auto bytes = bytes_of(10);
    EXPECT(four.send(at("[::1]:4780"), bytes, 10).error == std::errc::network_unreachable);
    EXPECT(six.send(at("127.0.0.1:4780"), bytes, 10).error == std::errc::network_unreachable);
    EXPECT(dual.send(at("192.0.2.1:4780"), bytes, 10).error == std::errc::network_unreachable);
    EXPECT(dual.send(at("[2001:db8::1]:4780"), bytes, 10).error == std::errc::network_unreachable);
  });
  CHECK(failure == "");
}

TEST_CASE("udp: an answer goes out from the address that was spoken to, while that is there") {
  on_own_host([] {
    EXPECT(output_of("ip link set lo up; ip addr add 192.0.2.7/32 dev lo; ip addr add 2001:db8::7/128 dev lo") == "");
    const auto spoken_to = [](const char* listen, const char* address, const char* caller, bool there) {
      auto server = udp_socket::open(at(listen));
      auto client = udp_socket::open(at(caller));
      const auto bytes = bytes_of(100);
      EXPECT(client.send(with_port(address, server), bytes, bytes.size()).error == std::errc{});
      EXPECT(readable(server.fd(), std::chrono::seconds(5)));
      receive_batch batch;
      std::errc error{};
      const auto got = batch.receive(server, error, 1);
      EXPECT(got.size() == 1);
      const endpoint from = got[0].from;
      EXPECT(from == client.local());
      EXPECT(from.own == at(address).address);
      if (!there) EXPECT(output_of("ip addr del 192.0.2.7/32 dev lo; ip addr del 2001:db8::7/128 dev lo") == "");
      // A train too, which has control data of its own.
      const sent done = server.send(from, bytes, 40, true);
      EXPECT(done.error == std::errc{});
      EXPECT(done.datagrams == 3);
      EXPECT(readable(client.fd(), std::chrono::seconds(5)));
      std::vector<std::uint8_t> slot(udp_socket::slot_size);
      endpoint source;
      datagram_train train;
      EXPECT(client.receive(slot, source, train) == std::errc{});
      EXPECT((source == with_port(address, server)) == there);
    };
    spoken_to("[::]:0", "192.0.2.7:0", "127.0.0.1:0", true);
    spoken_to("0.0.0.0:0", "192.0.2.7:0", "127.0.0.1:0", true);
    spoken_to("[::]:0", "[2001:db8::7]:0", "[::1]:0", true);
    spoken_to("[::]:0", "192.0.2.7:0", "127.0.0.1:0", false);
    EXPECT(output_of("ip addr add 192.0.2.7/32 dev lo; ip addr add 2001:db8::7/128 dev lo") == "");
    spoken_to("[::]:0", "[2001:db8::7]:0", "[::1]:0", false);
  });
}

TEST_CASE("udp: the scope of a link-local address is kept, both ways") {
  const auto failure = in_network([] {
    const auto lo = ::if_nametoindex("lo");
    endpoint local = at("[fe80::1]:4780");
    struct {  // struct in6_ifreq of linux/ipv6.h
      in6_addr address;
      std::uint32_t prefix_length;
      int interface;
    } request{{}, 64, static_cast<int>(lo)};
    std::memcpy(&request.address, local.address.data(), 16);
    const unique_fd any(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT(::ioctl(any.get(), SIOCSIFADDR, &request) == 0);

    local.scope = lo;
    local.port = 4781;
    const udp_socket bound = open_when_usable(local);
    EXPECT(bound.local() == local);

    local.port = 4780;
    udp_socket dual = udp_socket::open(at("[::]:4780"));
    passes(dual, local, dual, local);
    local.scope = lo + 1;  // no such interface
    EXPECT(dual.send(local, bytes_of(10), 10).error != std::errc{});
  });
  CHECK(failure == "");
}

TEST_CASE("udp: options: non-blocking, close-on-exec, DF for both families, large buffers, no error queue") {
  const auto failure = in_network([] {
    for (const char* listen : {"[::]:4780", "[::1]:4781", "127.0.0.1:4782"}) {
      const udp_socket socket = udp_socket::open(at(listen));
      EXPECT((::fcntl(socket.fd(), F_GETFL) & O_NONBLOCK) != 0);
      EXPECT((::fcntl(socket.fd(), F_GETFD) & FD_CLOEXEC) != 0);
      EXPECT((::fcntl(socket.duplicate().get(), F_GETFD) & FD_CLOEXEC) != 0);
      EXPECT(option(socket, IPPROTO_IP, IP_MTU_DISCOVER) == IP_PMTUDISC_PROBE);
      EXPECT(option(socket, IPPROTO_IP, IP_RECVERR) == 0);
      if (socket.reaches_v6()) EXPECT(option(socket, IPPROTO_IPV6, IPV6_MTU_DISCOVER) == IPV6_PMTUDISC_PROBE);
      if (socket.reaches_v6()) EXPECT(option(socket, IPPROTO_IPV6, IPV6_RECVERR) == 0);
      // The kernel doubles what it is given.
      EXPECT(option(socket, SOL_SOCKET, SO_RCVBUF) == 8 << 20);
      EXPECT(option(socket, SOL_SOCKET, SO_SNDBUF) == 8 << 20);
    }
  });
  CHECK(failure == "");
}

TEST_CASE("udp: a datagram longer than the link is refused, not fragmented") {
  const auto failure = in_network([] {
    set_mtu("lo", 1300);
    udp_socket dual = udp_socket::open(at("[::]:4780"));
    udp_socket four = udp_socket::open(at("0.0.0.0:4781"));
    const auto bytes = bytes_of(1400);
    EXPECT(dual.send(at("127.0.0.1:4781"), bytes, 1400).error == std::errc::message_size);
    EXPECT(dual.send(at("[::1]:4780"), bytes, 1400).error == std::errc::message_size);
    EXPECT(four.send(at("127.0.0.1:4780"), bytes, 1400).error == std::errc::message_size);
    EXPECT(dual.send(at("127.0.0.1:4781"), bytes, 1272).error == std::errc{});  // 1272 + 28 = 1300
    EXPECT(dual.send(at("127.0.0.1:4781"), bytes, 1273).error == std::errc::message_size);
  });
  CHECK(failure == "");
}

TEST_CASE("udp: a port in use says so") {
  const auto failure = in_network([] {
    const udp_socket first = udp_socket::open(at("[::]:4780"));
    EXPECT(refusal("[::]:4780") == "listen on [::]:4780: Address already in use");
    EXPECT(refusal("127.0.0.1:4780") == "listen on 127.0.0.1:4780: Address already in use");
    const udp_socket four = udp_socket::open(at("0.0.0.0:4781"));
    EXPECT(refusal("[::]:4781") == "listen on [::]:4781: Address already in use");
  });
  CHECK(failure == "");
}

TEST_CASE("udp: [::] is IPv4 alone where the host has no IPv6") {
  const auto failure = in_network([] {
    const scmp_filter_ctx no_v6 = ::seccomp_init(SCMP_ACT_ALLOW);
    const scmp_arg_cmp is_v6{0, SCMP_CMP_EQ, AF_INET6, 0};
    EXPECT(::seccomp_rule_add_array(no_v6, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, &is_v6) == 0);
    EXPECT(::seccomp_load(no_v6) == 0);
    ::seccomp_release(no_v6);
    udp_socket any = udp_socket::open(at("[::]:4780"));
    udp_socket four = udp_socket::open(at("127.0.0.1:0"));
    EXPECT(!any.reaches_v6());
    EXPECT(any.local() == at("0.0.0.0:4780"));
    passes(four, at("127.0.0.1:4780"), any, with_port("127.0.0.1:1", four));
    try {
      const udp_socket six = udp_socket::open(at("[::1]:4780"));
      throw std::runtime_error("opened");
    } catch (const std::system_error& e) {
      EXPECT(e.code() == std::errc::address_family_not_supported);
    }
  });
  CHECK(failure == "");
}

TEST_CASE("udp: a descriptor from elsewhere is taken over; what is no UDP socket is refused") {
  const auto failure = in_network([] {
    const udp_socket opened = udp_socket::open(at("[::]:4780"));
    udp_socket taken(opened.duplicate());
    EXPECT(taken.local() == opened.local());
    EXPECT(taken.reaches_v6());
    udp_socket four = udp_socket::open(at("127.0.0.1:0"));
    passes(four, at("127.0.0.1:4780"), taken, with_port("127.0.0.1:1", four));
  });
  CHECK(failure == "");
  auto pipe = make_pipe();
  CHECK_THROWS_AS(udp_socket(std::move(pipe.first)), std::system_error);
}

TEST_CASE("udp: a train is cut into datagrams; the batch gives them back in order, eight at most") {
  const auto failure = in_network([] {
    udp_socket to = udp_socket::open(at("[::]:4780"));
    udp_socket from = udp_socket::open(at("127.0.0.1:0"));
    const auto bytes = bytes_of(950);
    const sent done = from.send(at("127.0.0.1:4780"), bytes, 100);
    EXPECT(done.error == std::errc{});
    EXPECT(done.datagrams == 10);
    receive_batch batch;
    std::vector<std::uint8_t> got;
    for (const std::size_t expected : {8U, 2U}) {
      EXPECT(readable(to.fd(), std::chrono::seconds(5)));
      std::errc error{};
      const auto trains = batch.receive(to, error);
      EXPECT(error == std::errc{});
      EXPECT(trains.size() == expected);
      for (const received& r : trains) {
        EXPECT(r.from == with_port("127.0.0.1:1", from));
        EXPECT(r.train.stride == r.train.bytes.size());
        got.insert(got.end(), r.train.bytes.begin(), r.train.bytes.end());
      }
    }
    EXPECT(got == bytes);
    std::errc error{};
    EXPECT(batch.receive(to, error).empty());
    EXPECT(error == again);
  });
  CHECK(failure == "");
}

TEST_CASE("udp: send stops at the first error and says how far it came; an empty datagram is one") {
  const auto failure = in_network([] {
    set_mtu("lo", 1300);
    udp_socket to = udp_socket::open(at("[::]:4780"));
    udp_socket from = udp_socket::open(at("127.0.0.1:0"));
    const auto bytes = bytes_of(2800);
    sent done = from.send(at("127.0.0.1:4780"), bytes, 1400);
    EXPECT(done.datagrams == 0);
    EXPECT(done.error == std::errc::message_size);
    done = from.send(at("127.0.0.1:4780"), {}, 1400);
    EXPECT(done.datagrams == 1);
    EXPECT(done.error == std::errc{});
    EXPECT(readable(to.fd(), std::chrono::seconds(5)));
    std::vector<std::uint8_t> slot(udp_socket::slot_size);
    endpoint source;
    datagram_train train;
    EXPECT(to.receive(slot, source, train) == std::errc{});
    EXPECT(train.bytes.empty());
    EXPECT(to.receive(slot, source, train) == again);
  });
  CHECK(failure == "");
}

TEST_CASE("udp: what the kernel coalesced comes with the stride it says") {
  const auto failure = in_network([] {
    constexpr int udp_segment = 103, udp_gro = 104;
    udp_socket to = udp_socket::open(at("[::]:4780"));
    udp_socket from = udp_socket::open(at("127.0.0.1:0"));
    const int on = 1, size = 1000;
    EXPECT(::setsockopt(to.fd(), IPPROTO_UDP, udp_gro, &on, sizeof on) == 0);
    EXPECT(::setsockopt(from.fd(), IPPROTO_UDP, udp_segment, &size, sizeof size) == 0);
    const auto bytes = bytes_of(3500);
    for (const bool batched : {false, true}) {
      EXPECT(from.send(at("127.0.0.1:4780"), bytes, bytes.size()).error == std::errc{});
      EXPECT(readable(to.fd(), std::chrono::seconds(5)));
      std::vector<std::uint8_t> slot(udp_socket::slot_size);
      receive_batch batch;
      received one;
      std::errc error{};
      if (batched) {
        const auto trains = batch.receive(to, error);
        EXPECT(trains.size() == 1);
        one = trains[0];
      } else {
        error = to.receive(slot, one.from, one.train);
      }
      EXPECT(error == std::errc{});
      EXPECT(one.from == with_port("127.0.0.1:1", from));
      EXPECT(one.train.stride == 1000);
      EXPECT(std::equal(one.train.bytes.begin(), one.train.bytes.end(), bytes.begin(), bytes.end()));
    }
  });
  CHECK(failure == "");
}

TEST_CASE("udp: a train goes in as few calls as 64 datagrams and 65507 bytes allow, and comes coalesced") {
  const auto failure = in_network([] {
    udp_socket to = udp_socket::open(at("[::]:4780"));
    udp_socket from = udp_socket::open(at("127.0.0.1:0"));
    EXPECT(to.set_coalescing(true));
    struct row {
      std::size_t bytes, stride;
      std::vector<std::size_t> calls;
    };
    const row rows[] = {
        {1000, 1000, {1000}},    {1001, 1000, {1001}},           {44 * 1472 + 3000, 1472, {44 * 1472, 3000}},
        {64 * 100, 100, {6400}}, {64 * 100 + 1, 100, {6400, 1}}, {65000, 65000, {65000}}};
    for (const row& r : rows) {
      const auto bytes = bytes_of(r.bytes);
      const sent done = from.send(at("127.0.0.1:4780"), bytes, r.stride, true);
      EXPECT(done.error == std::errc{});
      EXPECT(done.datagrams == (r.bytes + r.stride - 1) / r.stride);
      std::vector<std::uint8_t> got;
      for (const std::size_t expected : r.calls) {
        EXPECT(readable(to.fd(), std::chrono::seconds(5)));
        std::vector<std::uint8_t> slot(udp_socket::slot_size);
        received one;
        EXPECT(to.receive(slot, one.from, one.train) == std::errc{});
        EXPECT(one.train.bytes.size() == expected);
        EXPECT(one.train.stride == std::min(r.stride, expected));
        got.insert(got.end(), one.train.bytes.begin(), one.train.bytes.end());
      }
      EXPECT(got == bytes);
    }
    EXPECT(to.set_coalescing(false));
    EXPECT(from.send(at("127.0.0.1:4780"), bytes_of(200), 100, true).datagrams == 2);
    EXPECT(readable(to.fd(), std::chrono::seconds(5)));
    std::vector<std::uint8_t> slot(udp_socket::slot_size);
    received one;
    EXPECT(to.receive(slot, one.from, one.train) == std::errc{});
    EXPECT(one.train.bytes.size() == 100);
  });
  CHECK(failure == "");
}

TEST_CASE("udp: a path too narrow for a train is said to be that, for a whole call") {
  const auto failure = in_network([] {
    set_mtu("lo", 1300);
    udp_socket from = udp_socket::open(at("127.0.0.1:0"));
    const sent done = from.send(at("127.0.0.1:4780"), bytes_of(2800), 1400, true);
    EXPECT(done.datagrams == 0);
    EXPECT(done.segmented);
    // Kernels up to 6.13 say the latter.
    EXPECT(done.error == std::errc::message_size || done.error == std::errc::invalid_argument);
  });
  CHECK(failure == "");
}
