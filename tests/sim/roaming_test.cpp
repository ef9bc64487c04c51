// SPDX-License-Identifier: Apache-2.0
// roaming_test.cpp - addresses that change under way, and somebody who wishes they did.
#include "sim/network.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace lanloom;
using namespace lanloom::sim;

namespace {
constexpr duration rtt = 20ms;
const endpoint attacker = endpoint::v4({192, 0, 2, 66}, 6666);
const endpoint elsewhere = endpoint::v4({198, 51, 100, 7}, 40001);

void settle(network& net) {
  net.start_all();
  REQUIRE(net.run_while_not([&] { return net.all_agree(); }, 15s));
  net.flood(0);
  net.flood(1);
  net.run_for(1s);
}

void talk(network& net, duration time) {
  for (const time_point end = net.now() + time; net.now() < end; net.run_for(10ms)) {
    net.send_frame(0, 1);
    net.send_frame(1, 0);
  }
}
}  // namespace

TEST_CASE("a peer whose address changes in mid-flow is followed within a round trip and a second") {
  network net({});
  settle(net);
  endpoint to = elsewhere;
  for (int k = 0; k < 20; ++k) {
    to.port = static_cast<std::uint16_t>(to.port + 1);
    net.move(1, to);
    const time_point moved = net.now();
    while (net.link_of(0, 1).remote != to && net.now() < moved + 10s) talk(net, 10ms);
    CHECK(net.now() - moved <= rtt * 3 / 2 + 1s);
    CHECK(net.link_of(1, 0).remote == net.address(0));
    const auto number = net.send_frame(0, 1);
    talk(net, rtt);
    CHECK(net.has(1, 0, number));
    talk(net, net.fraction() < 0.5 ? 50ms : 2s);
  }
  CHECK(net.faults().empty());
}

TEST_CASE("a peer that moves on a path slower than a second is followed too") {
  network net({});
  net.link.delay = 700ms;
  settle(net);
  net.move(1, elsewhere);
  const time_point moved = net.now();
  while (net.link_of(0, 1).remote != elsewhere && net.now() < moved + 20s) talk(net, 10ms);
  CHECK(net.now() - moved <= 3 * 700ms + 1s + 10ms);
}

TEST_CASE("the datagram that confirms a session, sent on from another address, takes no traffic there") {
  network net({.keepalive = 0s});
  settle(net);
  net.run_for(200s);
  net.held = true;
  net.send_frame(1, 0);
  net.run_for(1ms);
  net.deliver_waiting(0);  // initiation
  REQUIRE(net.waiting().size() == 1);
  net.deliver_waiting(0);  // response
  REQUIRE(net.waiting().size() == 1);
  const datagram first = net.waiting()[0];
  net.lose_waiting(0);
  net.release();
  net.inject(net.address(0), attacker, first.bytes);
  CHECK(net.agree(0, 1));
  CHECK(net.link_of(0, 1).remote == net.address(1));
  std::size_t to_attacker = 0;
  net.tapped = [&](const datagram& d) { to_attacker += d.to == attacker ? d.bytes.size() : 0; };
  talk(net, 10s);
  CHECK(to_attacker == 0);  // the one ping went at once
  CHECK(net.link_of(0, 1).remote == net.address(1));
}

TEST_CASE("a response of a peer that has started again since ends nothing") {
  network net({.keepalive = 0s});
  settle(net);
  net.run_for(200s);
  net.held = true;
  net.send_frame(1, 0);
  net.run_for(1ms);
  net.deliver_waiting(0);
  REQUIRE(net.waiting().size() == 1);
  const datagram late = net.waiting()[0];
  net.lose_waiting(0);
  net.release();
  net.start(0);  // calls by itself
  net.run_for(100ms);
  REQUIRE(net.agree(0, 1));
  net.inject(net.address(1), net.address(0), late.bytes);
  CHECK(net.agree(0, 1));
  const auto number = net.send_frame(1, 0);
  net.run_for(100ms);
  CHECK(net.has(0, 1, number));
}

TEST_CASE("a rebinding NAT, and a ping that is lost: a second later it is tried again") {
  network net({});
  settle(net);
  net.move(1, elsewhere);
  std::size_t pings = 0;
  net.cut = [&](const datagram& d) { return d.to == elsewhere && ++pings <= 3; };
  const time_point moved = net.now();
  while (net.link_of(0, 1).remote != elsewhere && net.now() < moved + 20s) talk(net, 10ms);
  CHECK(net.now() - moved >= 3s);
  CHECK(net.now() - moved <= 3s + 2 * rtt + 10ms);
  CHECK(pings == 4);
}

TEST_CASE("a replay of a whole run, shuffled, three times, from another address: nothing") {
  network net({.nodes = 3, .mtu = 9000});
  std::vector<datagram> recorded;
  net.tapped = [&](const datagram& d) { recorded.push_back(d); };
  settle(net);
  for (int k = 0; k < 60; ++k) {
    for (std::size_t i = 0; i < 3; ++i) net.send_frame(i, (i + 1) % 3, 200);
    net.flood(static_cast<std::size_t>(k) % 3, 3000);
    net.run_for(1s);
  }
  net.tapped = nullptr;
  net.run_for(1s);
  REQUIRE(recorded.size() > 500);

  std::vector<std::size_t> frames;
  for (std::size_t i = 0; i < 3; ++i) frames.push_back(net.received(i).size());
  const std::size_t sent = net.datagrams_sent();
  for (int round = 0; round < 3; ++round) {
    for (std::size_t k = recorded.size(); k > 1; --k) {
      std::swap(recorded[k - 1], recorded[net.choice().below(static_cast<std::uint32_t>(k))]);
    }
    for (const datagram& d : recorded) net.inject(d.to, round == 0 ? d.from : attacker, d.bytes);
  }
  CHECK(net.datagrams_sent() == sent);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(net.received(i).size() == frames[i]);
    for (std::size_t j = 0; j < 3; ++j) {
      if (i != j) CHECK(net.link_of(i, j).remote == net.address(j));
    }
  }
  CHECK(net.all_agree());
  net.send_frame(0, 1);
  net.run_for(1s);
  CHECK(net.faults().empty());
  CHECK(net.received(1).size() == frames[1] + 1);
}

TEST_CASE("somebody who forwards fresh datagrams from an address of his own moves nothing and is sent little") {
  network net({});
  settle(net);
  net.run_for(30s);
  std::size_t bytes_in = 0;
  std::size_t bytes_out = 0;
  bool stolen = false;
  net.cut = [&](const datagram& d) {
    stolen = d.sender == 1 && d.bytes[0] == 4;
    return stolen || d.to == attacker;
  };
  net.tapped = [&](const datagram& d) { bytes_out += d.to == attacker ? d.bytes.size() : 0; };
  std::vector<std::uint8_t> last;
  for (int k = 0; k < 500; ++k) {
    std::vector<std::uint8_t> copy;
    const auto out = net.tapped;
    net.tapped = [&](const datagram& d) {
      if (d.sender == 1 && d.bytes[0] == 4) copy = d.bytes;
      out(d);
    };
    net.send_frame(1, 0, 40);
    net.tapped = out;
    REQUIRE(!copy.empty());
    bytes_in += copy.size();
    net.inject(net.address(0), attacker, copy);
    CHECK(net.link_of(0, 1).remote == net.address(1));
    const auto number = net.send_frame(0, 1);
    net.run_for(20ms);
    CHECK(net.has(1, 0, number));
  }
  CHECK(bytes_out > 0);
  CHECK(bytes_out <= 3 * bytes_in);
  CHECK(bytes_out <= 11 * 42);  // one ping a second
}

TEST_CASE("the smallest datagram that can be forwarded is answered by at most three times its bytes") {
  network net({.keepalive = 5s});
  settle(net);
  std::vector<std::uint8_t> keepalive;
  net.tapped = [&](const datagram& d) {
    if (d.sender == 1 && d.bytes.size() == 32) keepalive = d.bytes;
  };
  net.cut = [&](const datagram& d) { return d.sender == 1; };
  REQUIRE(net.run_while_not([&] { return !keepalive.empty(); }, 10s));
  std::size_t out = 0;
  net.tapped = [&](const datagram& d) { out += d.to == attacker ? d.bytes.size() : 0; };
  net.inject(net.address(0), attacker, keepalive);
  CHECK(out > 0);
  CHECK(out <= 3 * keepalive.size());
}

TEST_CASE("a handshake forwarded from another address gives way to the peer's own one") {
  // The initiation comes from elsewhere: the answer goes there, but the endpoint moves only with a confirmed session.
  network net({.keepalive = 0s});
  settle(net);
  net.run_for(200s);
  net.held = true;
  net.send_frame(1, 0);
  net.run_for(1ms);
  REQUIRE(net.waiting().size() == 1);
  const datagram initiation = net.waiting()[0];
  net.lose_waiting(0);
  net.inject(initiation.to, attacker, initiation.bytes);
  REQUIRE(net.waiting().size() == 1);
  CHECK(net.waiting()[0].to == attacker);
  CHECK(net.waiting()[0].bytes.size() < initiation.bytes.size());
  CHECK(net.link_of(0, 1).remote == net.address(1));

  // The response comes from elsewhere: that address is tried by a ping, and traffic goes where the initiation went.
  const datagram response = net.waiting()[0];
  net.lose_waiting(0);
  net.release();
  net.inject(net.address(1), attacker, response.bytes);
  CHECK(net.link_of(1, 0).remote == net.address(0));
  net.run_for(1s);
  const time_point begun = net.now();
  const auto heals = [&] { return net.agree(0, 1) && net.link_of(1, 0).remote == net.address(0); };
  while (!heals() && net.now() < begun + 60s) talk(net, 10ms);
  CHECK(net.now() - begun <= 16s);
}

TEST_CASE("a peer without a configured address calls, and is called back where it was last") {
  setup s{.keepalive = 25s};
  s.edit = [](std::size_t i, core::node_config&, std::vector<core::peer_config>& peers) {
    if (i == 0) peers[0].remotes = {};
  };
  network net(s);
  net.start(0);
  net.run_for(30s);
  CHECK(net.datagrams_sent() == 0);
  net.flood(0);
  net.run_for(30s);
  CHECK(net.datagrams_sent() == 0);
  net.start(1);
  net.run_for(100ms);
  CHECK(net.agree(0, 1));
  CHECK(net.link_of(0, 1).remote == net.address(1));
}

TEST_CASE("the wall clock set back or forth by ten years locks nobody out") {
  network net({.keepalive = 0s});
  settle(net);
  const duration years = 87600h;
  for (const duration offset : {-years, duration(0), years, -years}) {
    net.run_for(200s);  // keys are gone
    net.set_clock(0, offset);
    net.set_clock(1, -offset / 2);
    for (const std::size_t caller : {0U, 1U}) {
      const time_point begun = net.now();
      net.flood(caller);
      REQUIRE(net.run_while_not([&] { return net.agree(0, 1); }, 5s));
      CHECK(net.now() - begun <= 1s);
      net.run_for(200s);
    }
  }
}
