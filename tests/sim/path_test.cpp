// SPDX-License-Identifier: Apache-2.0
// path_test.cpp - paths that swallow what is too large, in each direction their own size, and hosts that find out.
//
// Somewhere beyond the hosts' own interfaces a datagram larger than `path[sender]` vanishes without a word.
#include "sim/network.hpp"

#include <doctest/doctest.h>

#include <lanloom/core/path_mtu.hpp>

#include <array>

using namespace lanloom;
using namespace lanloom::sim;

namespace {
constexpr duration rtt = 20ms;
constexpr std::size_t full = 1437;  // a frame that fills a datagram of 1500 bytes

struct narrow_net : network {
  explicit narrow_net(std::size_t there, std::size_t back, setup with = {}) : network(std::move(with)) {
    path = {there, back};
    cut = [this](const datagram& d) { return d.bytes.size() + 28 > path[d.sender]; };
    start_all();
    REQUIRE(run_while_not([&] { return all_agree(); }, 15s));
  }
  std::uint16_t mtu(std::size_t i) const { return link_of(i, 1 - i).path.mtu().size(); }
  bool found(std::size_t i) const { return link_of(i, 1 - i).path.mtu().is() == core::path_mtu::state::complete; }
  // Frames of that size both ways, every 50 ms. How many did not arrive.
  std::size_t talk(duration time, std::size_t size = full) {
    std::array<std::vector<std::uint32_t>, 2> sent;
    for (const time_point end = now() + time; now() < end; run_for(50ms)) {
      for (const std::size_t i : {0U, 1U}) sent[i].push_back(flood(i, size));
    }
    run_for(1s);
    std::size_t lost = 0;
    for (const std::size_t i : {0U, 1U}) {
      for (const auto number : sent[i]) lost += has(1 - i, i, number) ? 0U : 1U;
    }
    return lost;
  }
  std::array<std::size_t, 2> path;
};
}  // namespace

TEST_CASE("path: no frame is lost to its size from the first on, and each direction finds its own path") {
  struct way {
    std::size_t there, back;
  };
  for (const way w : {way{1500, 1500}, way{1280, 1280}, way{1400, 1400}, way{1400, 1500}, way{1280, 1492}}) {
    CAPTURE(w.there);
    CAPTURE(w.back);
    narrow_net net(w.there, w.back);
    CHECK(net.talk(5s) == 0);
    CHECK(net.talk(5s, 1514) == 0);
    CHECK(net.mtu(0) == w.there);
    CHECK(net.mtu(1) == w.back);
    CHECK(net.found(0));
    CHECK(net.found(1));
    CHECK(net.faults().empty());
    CHECK(net.refused() == 0);
  }
}

TEST_CASE("path: usual ones are known two round trips after the first frame") {
  narrow_net net(1500, 1500);
  net.run_for(1s);
  net.flood(0, full);
  net.run_for(2 * rtt);
  CHECK(net.mtu(0) == 1500);
  CHECK(net.mtu(1) == 1280);  // it has sent no data
}

TEST_CASE("path: below 1280 large frames pass after two time-outs' worth of tries, over IPv4") {
  narrow_net net(900, 576);
  net.talk(5s);
  CHECK(net.talk(5s) == 0);
  CHECK(net.mtu(0) == 900);
  CHECK(net.mtu(1) == 576);
}

TEST_CASE("path: it shrinks in mid-flow, and large frames pass again within 7 s; it grows, and is used within 600 s") {
  for (const std::size_t narrow : {1492U, 1400U, 1280U}) {
    CAPTURE(narrow);
    narrow_net net(1500, 1500);
    CHECK(net.talk(20s) == 0);
    REQUIRE(net.mtu(0) == 1500);
    net.path[0] = narrow;
    const std::size_t lost = net.talk(7s);
    CHECK(lost > 0);
    CHECK(net.talk(20s) == 0);
    CHECK(net.mtu(0) == narrow);
    CHECK(net.mtu(1) == 1500);

    net.path[0] = 1500;
    const time_point grown = net.now();
    while (net.mtu(0) != 1500 && net.now() < grown + 700s) REQUIRE(net.talk(5s) == 0);
    CHECK(net.now() - grown <= 610s);
    CHECK(net.talk(5s) == 0);
    CHECK(net.faults().empty());
  }
}

TEST_CASE("path: it shrinks below 1280 in mid-flow") {
  narrow_net net(1500, 1500);
  net.talk(5s);
  net.path = {1000, 1000};
  net.talk(8s);
  CHECK(net.talk(20s) == 0);
  CHECK(net.mtu(0) == 900);
}

TEST_CASE("path: ten minutes after a search, exactly, more is tried, once") {
  narrow_net net(1400, 1500);
  net.talk(2s);
  REQUIRE(net.run_while_not([&] { return net.found(0); }, 20s));
  net.talk(20s);
  std::vector<time_point> larger;
  net.tapped = [&](const datagram& d) {
    if (d.sender == 0 && d.bytes.size() + 28 > 1400) larger.push_back(net.now());
  };
  const time_point begun = net.now();
  net.talk(560s);
  CHECK(larger.empty());
  net.talk(60s);
  REQUIRE(!larger.empty());
  CHECK(larger.back() - larger.front() <= 10s);
  CHECK(larger.size() <= 3 * 6);
  CHECK(larger.front() - begun <= 590s);
  CHECK(net.mtu(0) == 1400);
}

TEST_CASE("path: loss of half of all datagrams does not keep frames of every size from passing afterwards") {
  for (std::uint64_t seed = 1; seed <= rounds(5, 200); ++seed) {
    setup with;
    with.seed = seed;
    narrow_net net(1500, 1400, with);
    net.link.loss = 0.5;
    net.talk(60s);
    net.link.loss = 0;
    net.talk(16s);
    INFO(describe(net, seed));
    CHECK(net.talk(10s) == 0);
    CHECK(net.mtu(0) <= 1500);
    CHECK(net.mtu(1) <= 1400);
    net.talk(620s, 1000);
    CHECK(net.mtu(0) == 1500);
    CHECK(net.mtu(1) == 1400);
    CHECK(net.faults().empty());
  }
}

TEST_CASE("path: no ping without data, and the last within 10 s of it") {
  setup quiet;
  quiet.keepalive = 0s;
  narrow_net net(1400, 1400, quiet);
  net.run_for(1s);
  const std::size_t before = net.datagrams_sent();
  net.run_for(600s);
  CHECK(net.datagrams_sent() == before);

  net.flood(0, full);  // the session is too old
  net.run_for(1s);
  net.flood(0, full);
  const time_point last = net.now();
  time_point sent{};
  net.tapped = [&](const datagram&) { sent = net.now(); };
  net.run_for(600s);
  CHECK(sent > last);
  CHECK(sent <= last + 11s);
}

TEST_CASE("path: the measured round trip and loss are those of the link") {
  narrow_net net(1500, 1500);
  const auto times = [&](std::size_t i) { return net.at(i).peers(net.now())[0].times; };
  CHECK_FALSE(times(0).smoothed());
  CHECK_FALSE(times(0).loss());
  net.talk(60s, 100);
  CHECK(times(0).smoothed() == rtt);
  CHECK(times(0).shortest() == rtt);
  CHECK(times(0).loss() == 0.0);
  net.link.loss = 0.3;
  net.talk(600s, 1000);
  REQUIRE(times(0).loss());
  CHECK(*times(0).loss() > 0.2);
  CHECK(*times(0).loss() < 0.85);
}

TEST_CASE("path: another address is another path") {
  narrow_net net(1500, 1500);
  net.talk(5s);
  REQUIRE(net.mtu(0) == 1500);
  net.path = {1300, 1300};
  net.move(1, endpoint::v4({198, 51, 100, 7}, 40001));
  const time_point moved = net.now();
  REQUIRE(net.run_while_not(
      [&] {
        net.flood(1, 100);
        net.run_for(50ms);
        return net.link_of(0, 1).remote == net.address(1);
      },
      10s));
  CHECK(net.mtu(0) == 1280);
  CHECK(net.now() - moved <= 2s);
  net.talk(6s);
  CHECK(net.talk(5s) == 0);
  CHECK(net.mtu(0) == 1300);
}

TEST_CASE("path: a LAN of jumbo frames uses a path that carries them, and the interface's own limit costs no frame") {
  setup jumbo;
  jumbo.mtu = 9000;
  for (const std::size_t interface : {1500U, 9000U, 9216U}) {
    CAPTURE(interface);
    narrow_net net(65535, 65535, jumbo);
    net.link.path_mtu = interface;
    CHECK(net.talk(3s, 9014) == 0);
    CHECK(net.refused() == 0);
    CHECK(net.mtu(0) == std::min<std::size_t>(interface, 9000 + 22 + 4 + 60));
    net.path = {5000, 5000};
    net.talk(7s, 9014);
    CHECK(net.talk(10s, 9014) == 0);
  }
}
