// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/handshake_queue.hpp>

#include <doctest/doctest.h>

using namespace lanloom;
using namespace lanloom::core;

namespace {
endpoint at(std::uint16_t port) { return endpoint::v4({192, 0, 2, 1}, port); }
const std::array<std::uint8_t, 2> initiation{1, 1};
const std::array<std::uint8_t, 2> response{2, 1};
}  // namespace

TEST_CASE("handshake queue: a flood leaves the kept places free, and both kinds are served in turn") {
  handshake_queue q;
  for (std::size_t k = 0; k < handshake_queue::common_places; ++k) CHECK(q.push(at(1), initiation));
  CHECK_FALSE(q.push(at(1), initiation));
  CHECK(q.push_kept(at(2), initiation));
  CHECK_FALSE(q.push_kept(at(2), initiation));  // one of each kind from each source
  CHECK(q.push_kept(at(2), response));
  CHECK(q.push_kept(at(3), initiation));
  CHECK(q.size() == handshake_queue::common_places + 3);
  CHECK(q.pop().from == at(2));
  CHECK(q.pop().from == at(1));
  CHECK(q.pop().bytes[0] == 2);
  CHECK(q.pop().from == at(1));
  CHECK(q.pop().from == at(3));
  while (!q.empty()) CHECK(q.pop().from == at(1));
}

TEST_CASE("handshake queue: the kept places are bounded, too") {
  handshake_queue q;
  for (std::uint16_t k = 0; k < handshake_queue::kept_places; ++k) CHECK(q.push_kept(at(k), initiation));
  CHECK_FALSE(q.push_kept(at(100), initiation));
  CHECK(q.pop().from == at(0));
  CHECK(q.push_kept(at(100), initiation));
}
