// SPDX-License-Identifier: Apache-2.0
// loop_test.cpp - nodes whose LANs are one besides the overlay: without a guard a storm, with it one open side, and all
// well again when the LAN is parted.
#include <doctest/doctest.h>

#include <lanloom/wire/probe.hpp>

#include "sim/network.hpp"

using namespace lanloom;
using namespace lanloom::sim;
using core::loop_guard;
using core::outbox;
using core::storm_limit;

namespace {

using kind = outbox::notice::kind;
// The last probe may be on the LAN still, and healing is looked at with each probe of one's own.
constexpr duration healed = loop_guard::heal_after + loop_guard::probe_every + 1ms;

setup guarded(std::size_t nodes, bool descending = false, std::set<std::size_t> without = {}) {
  setup s;
  s.nodes = nodes;
  s.descending_keys = descending;
  s.edit = [without](std::size_t i, core::node_config& c, auto&) { c.guard = without.count(i) == 0; };
  return s;
}

bool blocked(const network& net, std::size_t i) { return net.at(i).data_plane().loops()->state(net.now()).blocked; }

std::size_t told(const network& net, std::size_t i, kind what) {
  return static_cast<std::size_t>(
      std::count_if(net.notices(i).begin(), net.notices(i).end(), [what](const auto& n) { return n.what == what; }));
}

// Broadcasts of each node's host every 10 ms; how many frames pass LANs meanwhile.
std::size_t busy(network& net, std::size_t nodes, duration time) {
  const std::size_t before = net.lan_frames();
  for (const time_point end = net.now() + time; net.now() < end; net.run_for(10ms)) {
    for (std::size_t i = 0; i < nodes; ++i) net.flood(i);
  }
  return net.lan_frames() - before;
}

// From every host to every other exactly once, and nothing comes back.
void check_clean(network& net, std::size_t nodes) {
  net.run_for(1s);
  const std::size_t faults = net.faults().size();
  for (int round = 0; round < 3; ++round) {
    std::vector<std::uint32_t> numbers;
    for (std::size_t i = 0; i < nodes; ++i) numbers.push_back(net.flood(i));
    for (std::size_t i = 0; i < nodes; ++i) net.send_frame(i, (i + 1) % nodes);
    net.run_for(1s);
    for (std::size_t i = 0; i < nodes; ++i) {
      for (std::size_t j = 0; j < nodes; ++j) {
        if (i == j) continue;
        CAPTURE(i);
        CAPTURE(j);
        CHECK(net.has(j, i, numbers[i]));
      }
    }
  }
  CHECK(net.faults().size() == faults);
}

}  // namespace

TEST_CASE("loop: without a guard one broadcast goes round for ever") {
  setup s;
  network net(s);
  net.start_all();
  net.run_for(1s);
  net.plug(1, 0);
  net.flood(0);
  net.run_for(1s);
  const std::size_t before = net.lan_frames();
  net.run_for(10s);
  CHECK(net.lan_frames() > before + 1000);
}

TEST_CASE("loop: of two nodes on one LAN the one with the greater key blocks before the first frame, and opens again") {
  for (const bool descending : {false, true}) {
    CAPTURE(descending);
    network net(guarded(2, descending));
    const std::size_t open = descending ? 1 : 0;
    const std::size_t other = 1 - open;
    net.plug(1, 0);
    net.start_all();
    // Each broadcast passes the LAN once: what goes round would be counted again.
    CHECK(busy(net, 2, 5s) == 2 * 500);
    CHECK(net.faults().empty());
    CHECK_FALSE(blocked(net, open));
    CHECK(blocked(net, other));
    CHECK(told(net, other, kind::loop_blocked) == 1);
    CHECK(told(net, open, kind::loop_seen) == 1);
    CHECK(net.agree(0, 1));  // handshakes and keepalives go on
    CHECK(net.count(drop::blocked, other) > 0);
    check_clean(net, 2);

    net.plug(1, 1);
    const time_point parted = net.now();
    REQUIRE(net.run_while_not([&] { return !blocked(net, other); }, 10s));
    CHECK(net.now() - parted > loop_guard::heal_after - loop_guard::probe_every);
    CHECK(net.now() - parted <= healed);
    net.run_for(1s);
    CHECK(told(net, other, kind::loop_healed) == 1);
    CHECK(told(net, open, kind::loop_healed) == 1);
    check_clean(net, 2);
  }
}

TEST_CASE("loop: LANs that become one under traffic are a storm for no longer than until the next probe") {
  for (const bool descending : {false, true}) {
    CAPTURE(descending);
    network net(guarded(2, descending));
    const std::size_t other = descending ? 0 : 1;
    net.start_all();
    busy(net, 2, 3s);
    CHECK(net.faults().empty());
    net.plug(1, 0);
    const time_point joined = net.now();
    std::size_t passed = 0;
    while (!blocked(net, other)) {
      REQUIRE(net.now() - joined < 2s);
      passed += busy(net, 2, 10ms);
    }
    CHECK(net.now() - joined <= loop_guard::probe_every + 20ms);
    CHECK(passed < 50 * 50 * 4);  // each of 50 x 2 rounds goes round in both directions, once in 20 ms, meanwhile
    net.run_for(1s);              // what was on its way
    CHECK(busy(net, 2, 5s) == 2 * 500);
    check_clean(net, 2);
  }
}

TEST_CASE("loop: two sites share a LAN, a third is far: the third is reached through one of them") {
  for (const bool descending : {false, true}) {
    CAPTURE(descending);
    network net(guarded(3, descending));
    net.plug(1, 0);
    net.start_all();
    net.run_for(3s);
    CHECK(blocked(net, 0) == descending);
    CHECK(blocked(net, 1) == !descending);
    CHECK_FALSE(blocked(net, 2));
    busy(net, 3, 2s);
    CHECK(net.faults().empty());
    check_clean(net, 3);

    // The far one joins as well: only the smallest key stays open.
    net.plug(2, 0);
    net.run_for(2s);
    CHECK(blocked(net, 0) == descending);
    CHECK(blocked(net, 1));
    CHECK(blocked(net, 2) == !descending);
    check_clean(net, 3);

    // The open one goes away: after the time of healing the next one takes over.
    net.plug(descending ? 2 : 0, 7);
    net.run_for(healed);
    CHECK(blocked(net, 0) == descending);
    CHECK_FALSE(blocked(net, 1));
    CHECK(blocked(net, 2) == !descending);
    check_clean(net, 3);
  }
}

TEST_CASE("loop: who is far finds hosts again at once when LANs are joined and parted, without a word of theirs") {
  for (const bool descending : {false, true}) {
    CAPTURE(descending);
    network net(guarded(3, descending));
    net.start_all();
    busy(net, 3, 3s);
    REQUIRE(net.faults().empty());
    const auto reaches_all = [&net] {
      // The far one first: nothing that it hears must help it.
      for (const std::size_t from : {2U, 1U, 0U}) {
        for (std::size_t to = 0; to < 3; ++to) {
          if (to == from) continue;
          CAPTURE(from);
          CAPTURE(to);
          const auto number = net.send_frame(from, to);
          net.run_for(200ms);
          CHECK(net.has(to, from, number));
        }
      }
    };
    net.plug(1, 0);
    net.run_for(2s);
    reaches_all();
    net.plug(1, 1);
    net.run_for(healed + 2s);
    reaches_all();
    CHECK(net.faults().empty());
  }
}

TEST_CASE("loop: two LANs of two sites each have one open side each") {
  network net(guarded(4));
  net.plug(1, 0);
  net.plug(3, 2);
  net.start_all();
  net.run_for(3s);
  for (std::size_t i = 0; i < 4; ++i) CHECK(blocked(net, i) == (i % 2 == 1));
  busy(net, 4, 2s);
  CHECK(net.faults().empty());
  check_clean(net, 4);
}

TEST_CASE("loop: the open side dies, the spare takes over; it comes back, and the spare blocks before a frame passes") {
  network net(guarded(3));
  net.plug(1, 0);
  net.start_all();
  net.run_for(3s);
  REQUIRE(blocked(net, 1));
  net.stop(0);
  net.run_for(healed);
  CHECK_FALSE(blocked(net, 1));
  const auto number = net.flood(1);
  net.run_for(1s);
  CHECK(net.has(2, 1, number));
  net.start(0);
  busy(net, 3, 5s);
  CHECK(blocked(net, 1));
  CHECK(net.faults().empty());
  check_clean(net, 3);
}

TEST_CASE("loop: the blocked side restarts and opens for no frame") {
  network net(guarded(2));
  net.plug(1, 0);
  net.start_all();
  net.run_for(3s);
  for (int k = 0; k < 20; ++k) {
    net.start(1);
    // At any moment between two probes of the other.
    CHECK(busy(net, 2, 1030ms + k * 20ms) == 2 * static_cast<std::size_t>((1030 + k * 20 + 9) / 10));
    CHECK(blocked(net, 1));
  }
  CHECK(net.faults().empty());
}

TEST_CASE("loop: a LAN that loops by itself is kept out of the overlay until it no longer does") {
  network net(guarded(2));
  net.start_all();
  busy(net, 2, 3s);
  const auto known = [&net] { return net.at(0).data_plane().table().size(net.now()); };
  CHECK(known() == 2);
  net.set_looping(0, true);
  net.run_for(loop_guard::probe_every + 1ms);
  CHECK(blocked(net, 0));
  CHECK(known() == 0);
  CHECK_FALSE(blocked(net, 1));
  CHECK(told(net, 0, kind::own_loop_blocked) == 1);
  CHECK_FALSE(net.at(0).data_plane().loops()->state(net.now()).peer);
  const std::size_t sent = net.received(1).size();
  net.flood(0);
  net.run_for(100ms);
  CHECK(net.received(1).size() == sent);
  net.set_looping(0, false);
  net.run_for(healed);
  CHECK_FALSE(blocked(net, 0));
  CHECK(told(net, 0, kind::own_loop_healed) == 1);
  check_clean(net, 2);
}

TEST_CASE("loop: a peer without a guard brings our probe back through the overlay, and we block, whatever the keys") {
  for (const bool descending : {false, true}) {
    CAPTURE(descending);
    network net(guarded(3, descending, {1}));
    net.plug(1, 0);
    net.start_all();
    net.run_for(3s);
    CHECK(blocked(net, 0));
    CHECK_FALSE(blocked(net, 2));
    CHECK(net.at(0).data_plane().loops()->state(net.now()).peer == net.peer_of(0, 1));
    busy(net, 3, 2s);
    check_clean(net, 3);
    net.plug(1, 1);
    net.run_for(healed);
    CHECK_FALSE(blocked(net, 0));
    check_clean(net, 3);
  }
}

TEST_CASE("loop: where only one direction of the LAN passes, the side that hears blocks") {
  for (const std::size_t deaf : {0U, 1U}) {
    CAPTURE(deaf);
    network net(guarded(2));
    net.lan_cut = [deaf](std::size_t, std::size_t to) { return to == deaf; };
    net.plug(1, 0);
    net.start_all();
    net.run_for(loop_guard::hold + loop_guard::yield_after + loop_guard::probe_every);
    CHECK_FALSE(blocked(net, deaf));
    CHECK(blocked(net, 1 - deaf));
    // When it hears again, the greater key blocks, and only that.
    net.lan_cut = nullptr;
    net.run_for(5s);
    CHECK_FALSE(blocked(net, 0));
    CHECK(blocked(net, 1));
    check_clean(net, 2);
  }
}

TEST_CASE("loop: probes never cross the overlay, and each node writes two a second") {
  network net(guarded(3));
  std::map<std::size_t, std::size_t> written;
  std::map<std::size_t, std::set<std::vector<std::uint8_t>>> senders;
  net.lan_tapped = [&](std::size_t i, bytes_view frame) {
    const auto probe = wire::parse_probe(frame);
    if (!probe) return;
    ++written[i];
    senders[i].emplace(probe->sender.begin(), probe->sender.end());
  };
  net.plug(1, 0);
  net.start_all();
  net.run_for(10s - 1ms);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(written[i] == 20);
    const auto& own = net.keys(i).public_half.bytes;
    CHECK(senders[i] == std::set<std::vector<std::uint8_t>>{{own.begin(), own.end()}});
  }
}

TEST_CASE("loop: a probe of another overlay passes like any frame, through which its own loop is found") {
  network net(guarded(2));
  net.start_all();
  net.run_for(3s);
  wire::loop_probe foreign;
  foreign.network.fill(0x77);
  foreign.sender = net.keys(1).public_half.bytes;
  std::array<std::uint8_t, wire::probe_size> frame;
  wire::format_probe(frame, {{2, 7, 7, 7, 7, 7}}, foreign);
  std::size_t arrived = 0;
  net.lan_tapped = [&](std::size_t i, bytes_view f) {
    const auto probe = wire::parse_probe(f);
    arrived += i == 1 && probe == foreign ? 1U : 0U;
  };
  net.inject_frame(0, frame);
  net.run_for(100ms);
  CHECK(arrived == 1);
  CHECK_FALSE(blocked(net, 0));
}

TEST_CASE("loop: BPDUs pass both ways, pause frames do not") {
  network net(guarded(2));
  net.start_all();
  net.run_for(3s);
  std::map<std::size_t, std::vector<std::uint8_t>> last;
  net.lan_tapped = [&](std::size_t i, bytes_view f) {
    if (f[0] == 1 && !wire::parse_probe(f)) last[i].push_back(f[5]);
  };
  for (const std::size_t from : {0U, 1U}) {
    for (const std::uint8_t to : {std::uint8_t{0}, std::uint8_t{1}}) {
      std::vector<std::uint8_t> frame(60);
      const std::array<std::uint8_t, 14> header{1, 0x80, 0xc2, 0, 0, to, 2, 9, 9, 9, 9, static_cast<std::uint8_t>(from),
                                                0, 38};
      std::copy(header.begin(), header.end(), frame.begin());
      net.inject_frame(from, frame);
      net.run_for(100ms);
    }
  }
  CHECK(last[0] == std::vector<std::uint8_t>{0});
  CHECK(last[1] == std::vector<std::uint8_t>{0});
  CHECK(net.count(drop::reserved_destination, 0) == 1);
  CHECK(net.count(drop::reserved_destination, 1) == 1);
}

TEST_CASE("loop: a storm out of the LAN passes at the limit, and one that comes from a peer likewise") {
  for (const bool sender_guarded : {true, false}) {
    CAPTURE(sender_guarded);
    network net(guarded(2, false, sender_guarded ? std::set<std::size_t>{} : std::set<std::size_t>{0}));
    net.start_all();
    net.run_for(5s);
    const std::size_t before = net.received(1).size();
    for (int k = 0; k < 3000; ++k) {  // 10 000 a second for 3 s
      for (int n = 0; n < 10; ++n) net.flood(0);
      net.run_for(1ms);
    }
    net.run_for(100ms);
    const std::size_t burst = sender_guarded ? storm_limit::out.burst : storm_limit::in.burst;
    CHECK(net.received(1).size() - before >= burst + 2900);
    CHECK(net.received(1).size() - before <= burst + 3100);
    CHECK(net.count(drop::storm_limited, sender_guarded ? 0 : 1) > 20000);
    // What has one destination is not held up.
    net.flood(1);
    net.run_for(100ms);
    const auto number = net.send_frame(0, 1);
    net.run_for(100ms);
    CHECK(net.has(1, 0, number));
    CHECK(net.faults().empty());
  }
}
