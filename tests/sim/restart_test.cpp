// SPDX-License-Identifier: Apache-2.0
// restart_test.cpp - nodes that end, in order or not, and come back: with their clocks anywhere, peers anywhere.
#include <doctest/doctest.h>

#include "sim/network.hpp"

using namespace lanloom;
using namespace lanloom::sim;

namespace {
constexpr duration ten_years = std::chrono::hours(24 * 3652);
const endpoint elsewhere = endpoint::v4({198, 51, 100, 7}, 40001);

void settle(network& net) {
  net.start_all();
  REQUIRE(net.run_while_not([&] { return net.all_agree(); }, 15s));
}

void crash(network& net, std::size_t i) {
  net.stop(i);
  net.start(i);
}

// From now on: one session, and frames both ways.
bool carries_within(network& net, duration time) {
  net.flood(0);  // with no keepalive nobody else asks
  if (!net.run_while_not([&] { return net.agree(0, 1); }, time)) return false;
  const auto a = net.flood(0);
  const auto b = net.flood(1);
  net.run_for(50ms);
  return net.has(1, 0, a) && net.has(0, 1, b);
}

struct way {
  bool descending_keys;
  bool in_order;  // it ends; else it crashes
  std::chrono::seconds keepalive;
};

template <class Check>
void every_way(Check check) {
  for (const bool descending : {false, true}) {
    for (const bool in_order : {false, true}) {
      for (const auto keepalive : {0s, 25s}) {
        CAPTURE(descending);
        CAPTURE(in_order);
        CAPTURE(keepalive.count());
        check(way{descending, in_order, keepalive});
      }
    }
  }
}

void restart(network& net, std::size_t i, bool in_order) {
  in_order ? net.end(i) : net.stop(i);
  net.start(i);
}
}  // namespace

TEST_CASE(
    "a clock goes back ten years, forward ten years and back, a restart between: a session within 1 s each time") {
  every_way([](const way& w) {
    network net({.keepalive = w.keepalive, .descending_keys = w.descending_keys});
    settle(net);
    for (const duration offset : {-ten_years, duration{}, ten_years, duration{}, -ten_years, ten_years, -ten_years}) {
      for (const std::size_t i : {0U, 1U}) {
        net.run_for(7s);
        net.set_clock(i, offset);
        restart(net, i, w.in_order);
        CHECK(carries_within(net, 1s));
        net.set_clock(i, -offset);  // and once more while it runs
        net.run_for(400s);          // keys are renewed, or run out where nobody needs them
        CHECK(carries_within(net, w.keepalive > 0s ? 0s : 1s));
        net.set_clock(i, offset);
      }
    }
    for (const std::size_t i : {0U, 1U}) CHECK(net.count(drop::stale_handshake, i) == 0);
    CHECK(net.faults().empty());
  });
}

TEST_CASE("both start at once, with clocks at the beginning of time") {
  every_way([](const way& w) {
    network net({.keepalive = w.keepalive, .descending_keys = w.descending_keys});
    settle(net);
    net.run_for(100s);
    for (const std::size_t i : {0U, 1U}) {
      w.in_order ? net.end(i) : net.stop(i);
      net.set_clock(i, -6 * ten_years);
    }
    net.run_for(1s);
    net.start_all();
    CHECK(carries_within(net, 1s));
  });
}

TEST_CASE("without what it had saved, a node whose clock went back is taken for a replay") {
  for (const bool keeps : {true, false}) {
    network net({.keepalive = 0s});
    settle(net);
    net.run_for(1s);
    net.set_clock(0, -ten_years);
    net.stop(0);
    if (!keeps) net.lose_state(0);
    net.start(0);
    CHECK(carries_within(net, 1s) == keeps);
    CHECK((net.count(drop::stale_handshake, 1) > 0) == !keeps);
  }
}

TEST_CASE("crashes at any moment, clocks anywhere: no stamp is sent twice") {
  for (std::size_t seed = 1; seed <= rounds(20, 2000); ++seed) {
    network net({.seed = seed});
    INFO(describe(net, seed));
    net.start(1);
    for (int k = 0; k < 40; ++k) {
      const double far = net.fraction();
      net.set_clock(0, far < 0.3 ? duration{} : std::chrono::seconds(net.choice().below(600'000'000)) - ten_years);
      if (far > 0.8) net.run_for(std::chrono::seconds(net.choice().below(600)));
      net.start(0);
      net.run_for(21ms + std::chrono::milliseconds(net.choice().below(net.fraction() < 0.2 ? 400'000 : 2000)));
      net.stop(0);
      net.run_for(21ms);  // less after the last one, the next would be refused for that alone
    }
    CHECK(net.count(drop::stale_handshake, 1) == 0);
  }
}

TEST_CASE("who was called only knows after a crash whom to call") {
  const auto called = [](std::size_t i, core::node_config&, std::vector<core::peer_config>& peers) {
    if (i == 1) peers[0].remotes = {};
  };
  for (const bool keeps : {true, false}) {
    network net({.edit = called});
    settle(net);
    net.run_for(2s);
    net.stop(1);
    if (!keeps) net.lose_state(1);
    net.start(1);
    CHECK(carries_within(net, 1s) == keeps);
  }
  // The peer has moved meanwhile, and both have crashed.
  network net({.edit = called});
  settle(net);
  net.move(0, elsewhere);
  net.run_for(60s);
  CHECK(net.link_of(1, 0).remote == elsewhere);
  crash(net, 0);
  crash(net, 1);
  CHECK(carries_within(net, 1s));
}

TEST_CASE("a peer is looked for where it was last, and then where the configuration says") {
  network net({});
  settle(net);
  const endpoint configured = net.address(1);
  net.move(1, elsewhere);
  net.run_for(60s);
  REQUIRE(net.link_of(0, 1).remote == elsewhere);
  std::vector<endpoint> tried;
  net.tapped = [&](const datagram& d) {
    if (d.sender == 0) tried.push_back(d.to);
  };
  // Back at home, and it does not know that we restarted.
  net.stop(0);
  net.move(1, configured);
  net.start(0);
  CHECK(carries_within(net, 1s));
  REQUIRE(tried.size() >= 2);
  CHECK(tried[0] == elsewhere);
  CHECK(tried[1] == configured);
  net.run_for(2s);
  crash(net, 0);
  tried.clear();
  CHECK(carries_within(net, 100ms));
  CHECK(tried.at(0) == configured);
}

TEST_CASE("the state is saved at most once a second, and not while nothing happens") {
  network net({.nodes = 5});
  settle(net);
  for (std::size_t k = 0; k < 60 * 60; ++k) {
    for (std::size_t i = 0; i < 5; ++i) net.flood(i);
    if (k % 100 == 0) net.move(k / 100 % 5, {elsewhere.address, static_cast<std::uint16_t>(k + 1000)});
    net.run_for(1s);
  }
  for (std::size_t i = 0; i < 5; ++i) {
    const auto& saved = net.saved(i);
    CHECK(saved.size() > 10);
    for (std::size_t k = 1; k < saved.size(); ++k) {
      if (saved[k - 1] > saved[0] + 5s) CHECK(saved[k] - saved[k - 1] >= core::node::keep_pace);
    }
  }

  network quiet({.keepalive = 0s});
  settle(quiet);
  quiet.run_for(5s);
  const std::size_t before = quiet.saved(0).size() + quiet.saved(1).size();
  CHECK(before > 0);
  quiet.run_for(3h);
  CHECK(quiet.saved(0).size() + quiet.saved(1).size() == before);
}
