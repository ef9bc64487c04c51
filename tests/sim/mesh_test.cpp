// SPDX-License-Identifier: Apache-2.0
// mesh_test.cpp - what a mesh does from start to end in a good underlay: established, quiet, rekeyed, left, restarted.
#include "sim/network.hpp"

#include <doctest/doctest.h>

using namespace lanloom;
using namespace lanloom::sim;
using core::outbox;
using core::session;

namespace {
constexpr duration rtt = 20ms;  // of the default conditions

// Started, established, and each knows where the others' hosts are.
void settle(network& net, std::size_t nodes) {
  net.start_all();
  REQUIRE(net.run_while_not([&] { return net.all_agree(); }, 15s));
  net.run_for(1s);
  for (std::size_t i = 0; i < nodes; ++i) net.flood(i);
  net.run_for(1s);
  REQUIRE(net.all_agree());
}

bool got(const network& net, std::size_t at, std::size_t source, std::uint32_t number) {
  return net.has(at, source, number);
}
}  // namespace

TEST_CASE("two nodes are established one round trip after start") {
  network net({});
  net.start(1);
  net.run_for(1ms);
  // Node 1 called before node 0 was there.
  const time_point begun = net.now();
  net.start(0);
  REQUIRE(net.run_while_not([&] { return net.sending(0, 1) != nullptr; }, 5s));
  CHECK(net.now() - begun == rtt);
  REQUIRE(net.run_while_not([&] { return net.agree(0, 1); }, 5s));
  CHECK(net.now() - begun == rtt * 3 / 2);
  CHECK(net.faults().empty());
}

TEST_CASE("no packet in 600 s on a link without keepalive and without frames") {
  network net({.keepalive = 0s});
  settle(net, 2);
  net.run_for(12s);  // the passive keepalive that the last frame earned
  const std::size_t before = net.datagrams_sent();
  net.run_for(600s);
  CHECK(net.datagrams_sent() == before);
  // And it wakes at the first frame, which is not lost. (The address was forgotten after 300 s: it is learned again.)
  net.flood(1);
  net.run_for(1s);
  net.flood(1);
  net.run_for(1s);
  const auto number = net.send_frame(0, 1);
  net.run_for(1s);
  CHECK(got(net, 1, 0, number));
}

TEST_CASE("a peer that never answers is given up 90 s after it was last asked for, without keepalive") {
  network net({.keepalive = 0s});
  net.start(0);
  net.run_for(90s);
  const std::size_t sent = net.datagrams_sent();
  CHECK(sent >= 10);
  CHECK(sent <= 14);
  net.run_for(600s);
  CHECK(net.datagrams_sent() == sent);
  net.flood(0);
  CHECK(net.datagrams_sent() == sent);  // frames ask; the timer sends
  net.run_for(1ms);
  CHECK(net.datagrams_sent() == sent + 1);
}

TEST_CASE("a peer that never answers is called for ever with keepalive, at least every 15 s") {
  network net({});
  net.start(0);
  net.run_for(1h);
  const std::size_t sent = net.datagrams_sent();
  CHECK(sent >= 3600 / 15);
  CHECK(sent <= 3600 * 4 / 3 / 15 + 10);
}

TEST_CASE("rekey at 120 s, by the initiator, when it sends") {
  network net({.keepalive = 0s});
  net.start(1);
  net.run_for(200s);  // has given up
  net.start(0);
  REQUIRE(net.run_while_not([&] { return net.agree(0, 1); }, 5s));
  const session* first = net.sending(0, 1);
  REQUIRE(first->who().initiator);
  const time_point born = first->who().born;
  const auto id = first->who().local;
  net.flood(1);
  net.run_until(born + 119s + 990ms);
  std::vector<std::size_t> initiations(2);
  net.tapped = [&](const datagram& d) { initiations[d.sender] += d.bytes[0] == 1 ? 1U : 0U; };

  net.send_frame(0, 1);
  net.run_for(5ms);
  CHECK(initiations == std::vector<std::size_t>{0, 0});
  net.run_until(born + 120s - 1ns);
  net.send_frame(0, 1);
  net.run_until(born + 120s);
  net.send_frame(1, 0);  // the responder does not
  CHECK(initiations == std::vector<std::size_t>{0, 0});
  net.send_frame(0, 1);
  net.run_for(1ms);
  CHECK(initiations == std::vector<std::size_t>{1, 0});
  REQUIRE(net.run_while_not([&] { return net.agree(0, 1) && net.sending(0, 1)->who().local != id; }, 1s));
  CHECK(net.sending(0, 1)->who().born == born + 120s + rtt);
  CHECK(net.faults().empty());
}

TEST_CASE("an initiator that only receives rekeys at 165 s") {
  network net({.keepalive = 0s});
  net.start(1);
  net.run_for(200s);
  net.start(0);
  REQUIRE(net.run_while_not([&] { return net.agree(0, 1); }, 5s));
  REQUIRE(net.sending(0, 1)->who().initiator);
  net.flood(0);
  net.flood(1);
  // To answer a ping is to send.
  net.cut = [](const datagram& d) {
    const std::size_t plain = d.bytes.size() - wire::data_overhead;
    return d.sender == 1 && d.bytes[0] == 4 && (plain == wire::ping_size || plain > 1000);
  };
  const time_point born = net.sending(0, 1)->who().born;
  std::size_t initiations = 0;
  net.tapped = [&](const datagram& d) { initiations += d.bytes[0] == 1 ? 1U : 0U; };
  std::vector<std::uint32_t> numbers;

  net.run_until(born + 164s + 980ms);
  numbers.push_back(net.send_frame(1, 0));
  net.run_for(19ms);
  CHECK(initiations == 0);
  net.run_until(born + 165s);
  numbers.push_back(net.send_frame(1, 0));
  REQUIRE(net.run_while_not([&] { return initiations == 1; }, 1s));
  CHECK(net.now() == born + 165s + rtt / 2);
  net.run_for(1s);
  CHECK(net.agree(0, 1));
  CHECK(net.sending(0, 1)->who().born > born);
  for (int k = 0; k < 300; ++k) {
    numbers.push_back(net.send_frame(1, 0));
    net.run_for(100ms);
  }
  for (const auto number : numbers) CHECK(got(net, 0, 1, number));
  CHECK(net.faults().empty());
}

TEST_CASE("no frame is lost while keys age to 185 s and beyond") {
  struct way {
    bool there, back;
  };
  for (const std::size_t first : {0U, 1U}) {
    for (const way w : {way{true, true}, way{true, false}, way{false, true}}) {
      CAPTURE(first);
      CAPTURE(w.there);
      CAPTURE(w.back);
      network net({.keepalive = 0s});
      net.start(1 - first);
      net.run_for(200s);
      net.start(first);
      REQUIRE(net.run_while_not([&] { return net.agree(0, 1); }, 5s));
      net.flood(0);
      net.flood(1);
      const time_point begun = net.now();
      net.run_until(begun + 119s);
      std::size_t lost = 0;
      std::vector<std::uint32_t> numbers[2];
      while (net.now() < begun + 400s) {
        if (w.there) numbers[0].push_back(net.send_frame(0, 1));
        if (w.back) numbers[1].push_back(net.send_frame(1, 0));
        net.run_for(37ms);
      }
      net.run_for(1s);
      for (const auto number : numbers[0]) lost += got(net, 1, 0, number) ? 0U : 1U;
      for (const auto number : numbers[1]) lost += got(net, 0, 1, number) ? 0U : 1U;
      CHECK(lost == 0);
      CHECK(net.agree(0, 1));
      CHECK(net.faults().empty());
    }
  }
}

TEST_CASE("frames in single file, one every few seconds, cross every age from 119.9 to 185 s") {
  for (const duration gap : {duration(3s), duration(8s), duration(14s), duration(31s), duration(61s)}) {
    for (const std::size_t sender : {0U, 1U}) {
      CAPTURE(gap.count());
      CAPTURE(sender);
      network net({});
      settle(net, 2);
      std::vector<std::uint32_t> numbers;
      for (int k = 0; k < 60; ++k) {
        numbers.push_back(net.send_frame(sender, 1 - sender));
        net.run_for(gap);
      }
      std::size_t lost = 0;
      for (const auto number : numbers) lost += got(net, 1 - sender, sender, number) ? 0U : 1U;
      CHECK(lost == 0);
    }
  }
}

TEST_CASE("a peer that dies without a word is noticed within 15 s and the jitter") {
  network net({});
  settle(net, 2);
  net.stop(1);
  const time_point died = net.now();
  std::optional<time_point> called;
  net.tapped = [&](const datagram& d) {
    if (d.bytes[0] == 1 && !called) called = net.now();
  };
  while (!called && net.now() < died + 60s) {
    net.send_frame(0, 1);
    net.run_for(100ms);
  }
  REQUIRE(called);
  CHECK(*called >= died + 15s);
  CHECK(*called <= died + 15s + 333ms);
  REQUIRE(!net.notices(0).empty());
  CHECK(net.notices(0).back().what == outbox::notice::kind::silent);
}

TEST_CASE("a node that restarts reaches its peer at once") {
  network net({});
  settle(net, 2);
  for (int k = 0; k < 5; ++k) {
    net.start(1);
    const time_point begun = net.now();
    REQUIRE(net.run_while_not([&] { return net.agree(0, 1); }, 5s));
    CHECK(net.now() - begun <= rtt * 3 / 2);
    // The other side's frames reach the new node as soon as it was heard of.
    const auto number = net.send_frame(0, 1);
    net.run_for(rtt);
    CHECK(got(net, 1, 0, number));
    net.run_for(3s);
  }
  CHECK(net.faults().empty());
}

TEST_CASE("bye: the session is gone at once, the next start is immediate") {
  network net({.keepalive = 0s});
  settle(net, 2);
  net.say_bye(1);
  net.stop(1);
  net.run_for(rtt);
  CHECK(net.sending(0, 1) == nullptr);
  REQUIRE(!net.notices(0).empty());
  CHECK(net.notices(0).back().what == outbox::notice::kind::left);
  const std::size_t before = net.datagrams_sent();
  net.run_for(100s);
  CHECK(net.datagrams_sent() == before);
  net.start(1);
  const time_point begun = net.now();
  REQUIRE(net.run_while_not([&] { return net.agree(0, 1); }, 5s));
  CHECK(net.now() - begun <= rtt * 3 / 2);
}

TEST_CASE("a bye that arrives late does not end the sessions of the node that started since") {
  network net({.keepalive = 0s});
  settle(net, 2);
  net.held = true;
  net.say_bye(1);
  REQUIRE(net.waiting().size() == 1);
  net.start(1);
  net.run_for(1ms);
  REQUIRE(net.waiting().size() == 2);
  net.deliver_waiting(1);  // the new node's initiation, which is answered
  REQUIRE(net.waiting().size() == 2);
  net.deliver_waiting(0);  // the old one's bye
  net.release();
  net.run_for(5 * rtt);
  CHECK(net.agree(0, 1));
}

TEST_CASE("crossing start of a mesh: all links established, each on one common session") {
  for (const std::size_t nodes : {5U, 20U}) {
    CAPTURE(nodes);
    network net({.nodes = nodes, .seed = nodes});
    net.start_all();
    const time_point begun = net.now();
    REQUIRE(net.run_while_not([&] { return net.all_agree(); }, 15s));
    CHECK(net.now() - begun <= 2 * rtt + nodes * core::node::start_pace);

    net.run_for(1s);
    const auto number = net.flood(3);
    net.run_for(1s);
    for (std::size_t i = 0; i < nodes; ++i) CHECK(got(net, i, 3, number) == (i != 3));
    CHECK(net.faults().empty());
  }
}

TEST_CASE("a flood reaches every node once; what was learned goes to one node only") {
  constexpr std::size_t nodes = 5;
  network net({.nodes = nodes});
  settle(net, nodes);
  for (std::size_t i = 0; i < nodes; ++i) CHECK(net.received(i).size() == nodes - 1);

  const std::size_t before = net.datagrams_sent();
  const auto known = net.send_frame(0, 4);
  CHECK(net.datagrams_sent() == before + 1);
  net.run_for(1s);
  for (std::size_t i = 0; i < nodes; ++i) CHECK(got(net, i, 0, known) == (i == 4));

  // Towards an address nobody knows it goes to all, and to the local side it goes to none.
  std::vector<std::uint8_t> unknown(60);
  unknown[0] = 2;
  unknown[1] = 0x99;
  std::copy_n(net.mac(0).bytes.begin(), 6, unknown.begin() + 6);
  const std::size_t sent = net.datagrams_sent();
  net.inject_frame(0, unknown);
  CHECK(net.datagrams_sent() == sent + nodes - 1);
  std::copy_n(net.mac(0).bytes.begin(), 6, unknown.begin());
  net.inject_frame(0, unknown);
  CHECK(net.datagrams_sent() == sent + nodes - 1);
  CHECK(net.count(drop::local_destination, 0) == 1);
  CHECK(net.faults().empty());
}

TEST_CASE("unicast frames wait for the session and arrive in order; broadcast does not wait") {
  network net({.keepalive = 0s});
  settle(net, 2);
  net.run_for(200s);  // sessions are gone, addresses are not
  REQUIRE(net.sending(0, 1) == nullptr);
  const std::size_t earlier = net.received(1).size();

  std::vector<std::uint32_t> numbers;
  const auto lost = net.flood(0);
  for (int k = 0; k < 33; ++k) numbers.push_back(net.send_frame(0, 1, 64 + static_cast<std::size_t>(k) * 40));
  CHECK(net.count(drop::no_session, 0) >= 1);
  CHECK(net.count(drop::staging_full, 0) == 1);
  net.run_for(1s);
  CHECK_FALSE(got(net, 1, 0, lost));
  REQUIRE(net.received(1).size() == earlier + 32);
  for (std::size_t k = 0; k < 32; ++k) CHECK(net.received(1)[earlier + k].number == numbers[k + 1]);  // the oldest went
  CHECK(net.faults().empty());
}

TEST_CASE("frames that wait at the responder go as soon as the session is confirmed") {
  network net({.keepalive = 0s});
  settle(net, 2);
  net.run_for(200s);
  const std::size_t earlier = net.received(1).size();
  net.cut = [](const datagram& d) { return d.sender == 0 && d.bytes[0] == 1; };
  std::vector<std::uint32_t> numbers;
  for (int k = 0; k < 5; ++k) numbers.push_back(net.send_frame(0, 1));
  net.flood(1);
  net.run_for(2 * rtt);
  REQUIRE(net.received(1).size() == earlier + 5);
  for (std::size_t k = 0; k < 5; ++k) CHECK(net.received(1)[earlier + k].number == numbers[k]);
}

TEST_CASE("frames that wait in vain are counted after 90 s") {
  network net({.keepalive = 0s});
  settle(net, 2);
  net.run_for(200s);
  net.stop(1);
  for (int k = 0; k < 7; ++k) net.send_frame(0, 1);
  net.run_for(89s);
  CHECK(net.count(drop::staging_expired, 0) == 0);
  net.run_for(2s);
  CHECK(net.count(drop::staging_expired, 0) == 7);
}
