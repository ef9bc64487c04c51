// SPDX-License-Identifier: Apache-2.0
// fragment_test.cpp - frames of every size over paths of several sizes arrive whole, once, and no datagram is too
// large.
#include "sim/network.hpp"

#include <doctest/doctest.h>

using namespace lanloom;
using namespace lanloom::sim;

namespace {

void settle(network& net) {
  net.start_all();
  REQUIRE(net.run_while_not([&] { return net.all_agree(); }, 15s));
}

void check_size(network& net, std::size_t size) {
  CAPTURE(size);
  const auto there = net.send_frame(0, 1, size);
  const auto back = net.flood(1, size);
  net.run_for(30ms);
  REQUIRE(net.has(1, 0, there));
  REQUIRE(net.has(0, 1, back));
}
}  // namespace

TEST_CASE("a LAN of 9000 bytes over a path of 1500: frames of all sizes") {
  network net({.mtu = 9000});
  settle(net);
  std::size_t largest = 0;
  net.tapped = [&](const datagram& d) { largest = std::max(largest, d.bytes.size()); };
  for (std::size_t size = 24; size <= 1536; ++size) check_size(net, size);
  for (std::size_t size = 1537; size <= 9022; size += 61) check_size(net, size);
  for (std::size_t slices = 2; slices <= 6; ++slices) {
    for (std::size_t around = 0; around < 5; ++around) check_size(net, slices * 1436 - 2 + around);
  }
  check_size(net, 9022);
  CHECK(largest == 1500 - 28);
  CHECK(net.faults().empty());
  CHECK(net.count(drop::bad_record, 0) == 0);
  CHECK(net.count(drop::reassembly_expired, 0) == 0);

  net.send_frame(0, 1, 9023);
  CHECK(net.count(drop::long_frame, 0) == 1);
}

TEST_CASE("a LAN of 9216 bytes with frames up to 9238") {
  network net({.mtu = 9216});
  settle(net);
  for (const std::size_t size : {9237U, 9238U}) check_size(net, size);
}

TEST_CASE("frames of 14 to 23 bytes arrive as they are") {
  network net({});
  settle(net);
  net.run_for(1s);
  for (std::size_t size = 14; size < 24; ++size) {
    std::vector<std::uint8_t> frame(size, 0x55);
    std::fill_n(frame.begin(), 6, std::uint8_t{0xff});
    const auto before = net.at(1).data_plane().tap();
    net.inject_frame(0, [&] {
      frame[6] = 2;
      return bytes_view(frame);
    }());
    net.run_for(1s);
    CHECK(net.at(1).data_plane().tap().rx_frames == before.rx_frames + 1);
    CHECK(net.at(1).data_plane().tap().rx_bytes == before.rx_bytes + size);
  }
}

TEST_CASE("an interface that shrinks: a refused datagram is news of it, and frames pass in smaller slices") {
  for (const std::size_t path : {1400U, 1280U, 900U, 576U}) {
    CAPTURE(path);
    network net({});
    settle(net);
    const auto known = [&](std::size_t i) { return net.link_of(i, 1 - i).path.mtu().size(); };
    for (const std::size_t i : {0U, 1U}) net.flood(i, 1500);
    net.run_for(1s);
    REQUIRE(known(0) == 1500);
    REQUIRE(known(1) == 1500);
    net.link.path_mtu = path;
    for (const std::size_t i : {0U, 1U}) {
      net.flood(i, 1400);
      CHECK(known(i) == 1280);
      net.flood(i, 1190);
      CHECK(known(i) <= path);
    }
    CHECK(net.refused() == (path < 1280 ? 4 : 2));
    net.run_for(1s);
    CHECK(known(0) == path);
    CHECK(known(1) == path);
    for (std::size_t size = 24; size <= 1522; size += 7) check_size(net, size);
    CHECK(net.faults().empty());
  }
}

TEST_CASE("fragments in any order, twice, or with one missing") {
  network net({.mtu = 9000});
  settle(net);
  net.held = true;
  for (int round = 0; round < 200; ++round) {
    const auto number = net.flood(0, 2000 + net.choice().below(7000));
    const bool spoil = round % 4 == 3;
    if (spoil) net.lose_waiting(net.choice().below(static_cast<std::uint32_t>(net.waiting().size())));
    while (!net.waiting().empty()) {
      const std::size_t at = net.choice().below(static_cast<std::uint32_t>(net.waiting().size()));
      const datagram d = net.waiting()[at];
      net.deliver_waiting(at);
      net.inject(d.to, d.from, d.bytes);
    }
    CHECK(net.has(1, 0, number) == !spoil);
    net.run_for(20ms);
  }
  net.run_for(2s);
  CHECK(net.faults().empty());
  CHECK(net.count(drop::reassembly_expired, 1) + net.count(drop::reassembly_full, 1) == 50);
}
