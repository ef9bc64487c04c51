// SPDX-License-Identifier: Apache-2.0
// flood_test.cpp - initiations with a good mac1 from many addresses: cookies only, and the peers notice nothing.
#include "sim/flood.hpp"

#include <doctest/doctest.h>

using namespace lanloom;
using namespace lanloom::sim;

TEST_CASE("a flood from as many addresses as initiations: cookies only, at most 1000 a second, less than came in") {
  network net({.keepalive = 0s});
  net.handshake_cost = 200us;
  net.start_all();
  REQUIRE(net.run_while_not([&] { return net.agree(0, 1); }, 5s));
  net.run_for(1s);
  std::size_t cookies = 0, others = 0;
  net.tapped = [&](const datagram& d) {
    if (d.sender != 0 || d.to == net.address(1)) return;
    ++(d.bytes.size() == wire::cookie_reply_size && d.bytes[0] == 3 ? cookies : others);
  };
  flood f(net, 0);
  const std::size_t initiations = rounds(10'000, 1'000'000);
  const time_point begun = net.now();
  for (std::size_t k = 0; k < initiations; ++k) {
    f.one();
    net.run_for(100us);  // 10^4 a second
  }
  const double seconds = std::chrono::duration<double>(net.now() - begun).count();
  CHECK(others == 0);
  CHECK(cookies > 500);
  CHECK(static_cast<double>(cookies) <= 1000 * seconds + core::cookie_limit::all.burst);
  CHECK(cookies * wire::cookie_reply_size <= initiations * wire::initiation_size);
  // Those that were computed before it was under load, which ends and begins about once a second.
  CHECK(static_cast<double>(net.count(drop::bad_handshake, 0)) < 300 * seconds);
  CHECK(net.count(drop::bad_handshake, 0) + net.count(drop::no_cookie, 0) == initiations);
  MESSAGE(initiations << " initiations, " << cookies << " cookies, " << net.count(drop::bad_handshake, 0)
                      << " computed");
}

TEST_CASE("live peers get every new session during a flood, as initiators and as responders") {
  const std::size_t nodes = 4;
  network net({.nodes = nodes});
  net.handshake_cost = 200us;
  net.start_all();
  REQUIRE(net.run_while_not([&] { return net.all_agree(); }, 10s));
  flood f(net, 0);
  std::size_t outages = 0, sessions = 0;
  std::vector<std::uint32_t> last(nodes);
  for (std::size_t j = 1; j < nodes; ++j) last[j] = net.sending(0, j)->who().local.value;
  const std::size_t ticks = rounds(40'000, 400'000);  // 10 ms each
  for (std::size_t k = 0; k < ticks; ++k) {
    for (int n = 0; n < 5; ++n) f.one();  // 500 a second: five times what may be computed while frames flow
    net.run_for(10ms);
    if (k % 5 == 0) {
      for (std::size_t j = 1; j < nodes; ++j) {
        net.send_frame(j, 0);
        net.send_frame(0, j);
        const auto* s = net.sending(0, j);
        outages += s == nullptr ? 1 : 0;
        if (s != nullptr && s->who().local.value != last[j]) ++sessions, last[j] = s->who().local.value;
      }
    }
  }
  CHECK(net.count(drop::no_cookie, 0) > 3 * ticks);
  CHECK(outages == 0);
  CHECK(net.all_agree());
  CHECK(sessions >= (nodes - 1) * (ticks / 100 / 130));
  MESSAGE(sessions << " new sessions, " << net.count(drop::no_cookie, 0) << " without a cookie");
}

TEST_CASE("a peer from an address nobody knows gets through a flood with its cookie") {
  setup s;
  s.keepalive = 1s;
  s.edit = [](std::size_t i, core::node_config&, std::vector<core::peer_config>& peers) {
    if (i == 0) peers[0].remotes = {};
  };
  network net(s);
  net.handshake_cost = 200us;
  net.start(0);
  flood f(net, 0);
  for (int k = 0; k < 5000; ++k) f.one(), net.run_for(100us);
  REQUIRE(net.count(drop::no_cookie, 0) > 1000);
  std::size_t with_mac2 = 0;
  net.tapped = [&](const datagram& d) {
    if (d.sender != 1 || d.bytes[0] != 1) return;
    with_mac2 += std::any_of(d.bytes.end() - 16, d.bytes.end(), [](std::uint8_t b) { return b != 0; }) ? 1 : 0;
  };
  net.start(1);
  // 500 a second: fewer than the cookie replies that may leave.
  for (int k = 0; k < 5000 && !net.agree(0, 1); ++k) {
    f.one();
    if (k % 2 == 0) f.one();
    net.run_for(3ms);
  }
  CHECK(net.agree(0, 1));
  CHECK(with_mac2 > 0);
}
