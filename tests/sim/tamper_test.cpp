// SPDX-License-Identifier: Apache-2.0
// tamper_test.cpp - a datagram with one bit flipped, cut or extended does nothing: no frame, no state, no reply.
//
// State is all that a node tells of itself but its drop counters, and when it will wake. A mac2 is not looked at while
// there is no load, so a flip there leaves an initiation or a response what it was. Under load the same holds of a
// response by a peer whose address is known; of a flip in the mac2 of an initiation that must prove its address see
// node_test.
#include "sim/flood.hpp"

#include <doctest/doctest.h>

#include <sstream>

using namespace lanloom;
using namespace lanloom::sim;

namespace {

std::string state_of(const network& net, std::size_t i) {
  std::ostringstream text;
  const core::node& n = net.at(i);
  std::uint16_t index = 0;
  for (const auto& p : n.peers(net.now())) {
    text << p.name << ' ' << static_cast<int>(p.now) << ' ' << (p.remote ? to_string(*p.remote) : "-") << ' '
         << p.cipher << ' ' << p.since_handshake.value_or(duration(-1)).count() << ' '
         << p.since_received.value_or(duration(-1)).count() << ' ' << p.lan_mtu.value_or(0) << ' ' << p.path_mtu << ' '
         << p.unanswered_initiations << ' ' << p.counters.rx_frames << ' ' << p.counters.tx_frames << ' ';
    const auto& link = n.data_plane().of({index++});
    text << link.sending.value << ' ' << link.owed_since.has_value() << link.unanswered_since.has_value() << ';';
  }
  text << n.data_plane().table().size(net.now()) << ' ' << n.next_timer().time_since_epoch().count() << ' '
       << n.has_work();
  text << ' ' << net.received(i).size() << ' ' << net.notices(i).size() << ' ' << net.datagrams_sent();
  return text.str();
}

std::uint64_t all_drops(const network& net, std::size_t i) {
  std::uint64_t all = 0;
  for (std::size_t k = 1; k < drop_reasons; ++k) all += net.count(static_cast<drop>(k), i);
  return all;
}

// A network at the moment when one genuine datagram of this type waits for delivery.
std::unique_ptr<network> with_waiting(wire::message_type type) {
  auto net = std::make_unique<network>(setup{.keepalive = 0s});
  net->start(0);
  net->run_for(100s);  // gave up: the clean state of a node that is called
  net->held = true;
  net->start(1);
  net->run_for(1ms);
  if (type == wire::message_type::initiation) return net;
  net->deliver_waiting(0);
  if (type == wire::message_type::response) return net;
  net->deliver_waiting(0);
  net->deliver_waiting(0);  // the first keepalive
  REQUIRE(net->agree(0, 1));
  net->flood(1, 100);
  REQUIRE(net->waiting().size() == 1);
  return net;
}

// Strangers call until no more is computed for them.
void load(network& net, std::size_t i) {
  net.handshake_cost = 1s;
  flood strangers(net, i);
  const std::size_t before = net.count(drop::no_cookie, i);
  while (net.count(drop::no_cookie, i) == before) {
    REQUIRE(strangers.sent < 1000);
    strangers.one();
  }
}

// Such a moment of a node under load.
std::unique_ptr<network> with_waiting_under_load(wire::message_type type) {
  if (type != wire::message_type::initiation) {
    auto net = with_waiting(type);
    load(*net, 1 - net->waiting()[0].sender);
    return net;
  }
  // The called node does not know the caller's address, so the caller needs a cookie.
  setup unknown{.keepalive = 0s};
  unknown.edit = [](std::size_t i, core::node_config&, std::vector<core::peer_config>& peers) {
    if (i == 0) peers[0].remotes = {};
  };
  auto net = std::make_unique<network>(unknown);
  net->move(1, endpoint::v4({192, 0, 2, 1}, 4780));  // one that no stranger calls from
  net->start(0);
  net->held = true;
  load(*net, 0);
  while (!net->waiting().empty()) net->lose_waiting(0);
  net->start(1);
  net->run_for(1ms);
  REQUIRE(net->waiting().size() == 1);
  net->deliver_waiting(0);
  REQUIRE(net->waiting().size() == 1);
  REQUIRE(wire::classify(net->waiting()[0].bytes) == wire::message_type::cookie_reply);
  net->deliver_waiting(0);
  REQUIRE(net->run_while_not([&] { return !net->waiting().empty(); }, 10s));
  load(*net, 0);  // anew: some of it was over
  while (net->waiting().size() > 1) net->lose_waiting(1);
  return net;
}

void expect_nothing(network& net, const datagram& genuine, bytes_view altered) {
  const std::size_t receiver = 1 - genuine.sender;
  const std::string before = state_of(net, receiver);
  const std::uint64_t drops = all_drops(net, receiver);
  net.inject(genuine.to, genuine.from, altered);
  REQUIRE(state_of(net, receiver) == before);
  REQUIRE(all_drops(net, receiver) == drops + 1);
}

std::vector<std::uint8_t> flipped(const datagram& d, std::size_t bit) {
  auto copy = d.bytes;
  copy[bit / 8] = static_cast<std::uint8_t>(copy[bit / 8] ^ (1U << (bit % 8)));
  return copy;
}

bool answers(const network& net, std::size_t i) {
  return std::any_of(net.waiting().begin(), net.waiting().end(), [&](const datagram& d) {
    return d.sender == i && wire::classify(d.bytes) == wire::message_type::response;
  });
}

void check_type(wire::message_type type, bool under_load = false) {
  const auto net = under_load ? with_waiting_under_load(type) : with_waiting(type);
  REQUIRE(!net->waiting().empty());
  const datagram genuine = net->waiting()[0];
  REQUIRE(wire::classify(genuine.bytes) == type);
  const std::size_t receiver = 1 - genuine.sender;
  const std::size_t mac2 = type == wire::message_type::data ? 0 : wire::mac_size;
  std::size_t tried = 0;

  for (std::size_t bit = 0; bit < (genuine.bytes.size() - mac2) * 8; ++bit, ++tried) {
    CAPTURE(bit);
    expect_nothing(*net, genuine, flipped(genuine, bit));
  }
  for (std::size_t size = 0; size < genuine.bytes.size(); ++size, ++tried) {
    CAPTURE(size);
    expect_nothing(*net, genuine, bytes_view(genuine.bytes).first(size));
  }
  for (std::size_t more = 1; more <= 32; ++more, ++tried) {
    CAPTURE(more);
    auto longer = genuine.bytes;
    longer.resize(longer.size() + more);
    expect_nothing(*net, genuine, longer);
    for (std::size_t k = genuine.bytes.size(); k < longer.size(); ++k)
      longer[k] = static_cast<std::uint8_t>(net->choice().u32());
    expect_nothing(*net, genuine, longer);
  }
  // The genuine one still works.
  const std::string before = state_of(*net, receiver);
  net->deliver_waiting(0);
  CHECK(state_of(*net, receiver) != before);
  if (under_load) {
    // Nothing has passed of its second.
    const auto refused = net->count(drop::no_cookie, receiver);
    flood(*net, receiver).one();
    CHECK(net->count(drop::no_cookie, receiver) == refused + 1);
    net->handshake_cost = {};
  }
  // What else comes for it waits, so this is the answer to the genuine one.
  if (type == wire::message_type::initiation) CHECK(net->run_while_not([&] { return answers(*net, receiver); }, 60s));
  net->release();
  CHECK(net->run_while_not([&] { return net->agree(0, 1); }, under_load ? 60s : 1s));
  net->run_for(1s);
  if (type == wire::message_type::data) CHECK(net->received(0).size() == 1);
  const auto number = net->flood(0);
  net->run_for(1s);
  CHECK(net->has(1, 0, number));
  MESSAGE("type " << static_cast<int>(type) << std::string(under_load ? " under load" : "") << ": " << tried
                  << " alterations");
}

void check_mac2(wire::message_type type) {
  const auto unaltered = with_waiting(type);
  const datagram genuine = unaltered->waiting()[0];
  const std::size_t receiver = 1 - genuine.sender;
  unaltered->deliver_waiting(0);
  const std::string expected = state_of(*unaltered, receiver);
  for (std::size_t bit = (genuine.bytes.size() - wire::mac_size) * 8; bit < genuine.bytes.size() * 8; ++bit) {
    CAPTURE(bit);
    const auto net = with_waiting(type);
    REQUIRE(net->waiting()[0].bytes == genuine.bytes);
    net->lose_waiting(0);
    net->inject(genuine.to, genuine.from, flipped(genuine, bit));
    REQUIRE(state_of(*net, receiver) == expected);
    net->release();
    net->run_for(1s);
    REQUIRE(net->agree(0, 1));
  }
}
}  // namespace

TEST_CASE("an altered initiation does nothing") { check_type(wire::message_type::initiation); }
TEST_CASE("an altered response does nothing") { check_type(wire::message_type::response); }
TEST_CASE("an altered data datagram does nothing") { check_type(wire::message_type::data); }
TEST_CASE("under load an altered initiation with a valid mac2 does nothing") {
  check_type(wire::message_type::initiation, true);
}
TEST_CASE("under load an altered response does nothing") { check_type(wire::message_type::response, true); }
TEST_CASE("under load an altered data datagram does nothing") { check_type(wire::message_type::data, true); }
TEST_CASE("a flip in mac2 changes nothing while there is no load") {
  check_mac2(wire::message_type::initiation);
  check_mac2(wire::message_type::response);
}
