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
  CHECK_FALSE(gate.under_load(start));
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
