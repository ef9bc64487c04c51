// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/flood_gate.hpp>

#include <lanloom/crypto/random.hpp>

#include <doctest/doctest.h>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;

TEST_CASE("flood gate: under load by the queue or by the budget, and for one second after") {
  crypto::initialise();
  crypto::random source(1);
  flood_gate gate{crypto::secret<32>{}};
  outbox out;
  constexpr time_point start{1h};
  std::array<std::uint8_t, wire::initiation_size> d{};
  (void)wire::format_initiation(d, 1);
  const endpoint from = endpoint::v4({192, 0, 2, 1}, 1);
  const auto arrives = [&](time_point now, bool known = false) {
    return gate.on_initiation(
        d, from, now, [&] { return known; }, source, out);
  };

  for (std::size_t k = 0; k < flood_gate::busy_places; ++k) CHECK(arrives(start) == drop::none);
  for (std::uint16_t peer = 0; peer < 20; ++peer) CHECK(gate.queue().push_response(from, true, {peer}, d));
  CHECK_FALSE(gate.under_load(start));  // initiations alone make it
  CHECK(arrives(start) == drop::none);
  CHECK(gate.under_load(start));
  CHECK(arrives(start) == drop::no_cookie);
  CHECK(arrives(start, true) == drop::none);       // a peer's address needs no cookie
  CHECK(arrives(start, true) == drop::no_cookie);  // one at a time
  while (!gate.queue().empty()) (void)gate.queue().pop();
  CHECK(gate.under_load(start + 1s - 1ns));
  CHECK_FALSE(gate.under_load(start + 1s));

  gate.budget().spend(work_budget::most, start + 1s);
  CHECK(gate.under_load(start + 1s));
  CHECK(gate.due() == time_point::max());  // nothing waits
  CHECK(arrives(start + 1s, true) == drop::none);
  CHECK(gate.due() > start + 1s);
  CHECK(gate.due() < start + 2s);
}

TEST_CASE("flood gate: a peer that has a cookie keeps its place when strangers have taken the common ones") {
  crypto::initialise();
  crypto::random source(2);
  const crypto::secret<32> key{};
  flood_gate gate{crypto::secret<32>{}};
  outbox out;
  constexpr time_point start{1h};
  std::array<std::uint8_t, wire::initiation_size> d{};
  (void)wire::format_initiation(d, 1);
  const auto arrives = [&](const endpoint& from, bool known) {
    return gate.on_initiation(
        d, from, start, [&] { return known; }, source, out);
  };
  const endpoint stranger = endpoint::v4({192, 0, 2, 1}, 1);
  const endpoint peer = endpoint::v4({192, 0, 2, 2}, 1);
  while (!gate.under_load(start)) REQUIRE(arrives(stranger, false) == drop::none);
  REQUIRE(arrives(peer, false) == drop::no_cookie);
  cookie given{};
  const auto reply = out.trains().back().bytes;
  const auto mac1 = wire::parse_initiation(d).mac1;
  REQUIRE(read_cookie_reply(wire::parse_cookie_reply(reply), key, mac1, given));
  write_mac2(given, d);
  while (gate.queue().push(stranger, d)) {
  }
  CHECK(arrives(peer, false) == drop::handshake_queue_full);
  CHECK(arrives(peer, true) == drop::none);
  // Nor do forged responses by one peer keep others from a place.
  for (std::uint16_t port = 1; port <= 64; ++port) {
    const bool first = port == 1;
    CHECK((gate.on_response(d, endpoint::v4({192, 0, 2, 3}, port), false, {7}) == drop::none) == first);
  }
  CHECK(gate.on_response(d, stranger, true, {7}) == drop::none);
  CHECK(gate.on_response(d, stranger, true, {8}) == drop::none);
  CHECK(arrives(endpoint::v4({192, 0, 2, 4}, 1), true) == drop::none);
}
