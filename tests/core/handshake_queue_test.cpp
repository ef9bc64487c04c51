// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/handshake_queue.hpp>

#include <doctest/doctest.h>

using namespace lanloom;
using namespace lanloom::core;

namespace {
endpoint at(std::uint16_t port) { return endpoint::v4({192, 0, 2, 1}, port); }
const std::array<std::uint8_t, 2> an_initiation{1, 1};
const std::array<std::uint8_t, 2> a_response{2, 1};
}  // namespace

TEST_CASE("handshake queue: a flood leaves the kept places free, and all kinds are served in turn") {
  handshake_queue q;
  for (std::size_t k = 0; k < handshake_queue::common_places; ++k) CHECK(q.push(at(1), an_initiation));
  CHECK_FALSE(q.push(at(1), an_initiation));
  CHECK(q.push_kept(at(2), an_initiation));
  CHECK_FALSE(q.push_kept(at(2), an_initiation));  // one from each source
  CHECK(q.push_kept(at(3), an_initiation));
  CHECK(q.push_response(at(2), true, {}, a_response));
  CHECK(q.initiations() == handshake_queue::common_places + 2);
  CHECK(q.responses() == 1);
  CHECK(q.pop().from == at(2));
  CHECK(q.pop().bytes[0] == 2);
  CHECK(q.pop().from == at(1));
  CHECK(q.pop().from == at(3));
  while (!q.empty()) CHECK(q.pop().from == at(1));
}

TEST_CASE("handshake queue: the kept places are bounded, too") {
  handshake_queue q;
  for (std::uint16_t k = 0; k < handshake_queue::kept_places; ++k) CHECK(q.push_kept(at(k), an_initiation));
  CHECK_FALSE(q.push_kept(at(100), an_initiation));
  CHECK(q.pop().from == at(0));
  CHECK(q.push_kept(at(100), an_initiation));
}

TEST_CASE("handshake queue: of responses by one peer wait four from where we asked and one from elsewhere") {
  handshake_queue q;
  for (std::uint16_t k = 0; k < 100; ++k) CHECK(q.push_response(at(k), false, {7}, a_response) == (k == 0));
  for (std::size_t k = 0; k < 100; ++k) CHECK(q.push_response(at(500), true, {7}, a_response) == (k < 4));
  CHECK(q.responses() == 5);
  std::uint16_t peer = 8;
  while (q.push_response(at(1), false, {peer}, a_response)) ++peer;
  CHECK(q.responses() == handshake_queue::response_places);
  CHECK(q.push_kept(at(2), an_initiation));
  CHECK(q.push(at(3), an_initiation));
}

TEST_CASE("handshake queue: a source that has proved itself waits once, whatever its ports, an IPv6 /64 likewise") {
  handshake_queue q;
  CHECK(q.push(at(1), an_initiation));  // not proven: anybody may have sent it in that name
  CHECK(q.push_proven(at(1), an_initiation));
  CHECK_FALSE(q.push_proven(at(2), an_initiation));
  endpoint six;
  six.address = {0x20, 0x01, 0x0d, 0xb8};
  six.port = 1;
  CHECK(q.push_proven(six, an_initiation));
  six.address[15] = 1;
  CHECK_FALSE(q.push_proven(six, an_initiation));
  six.address[7] = 1;
  CHECK(q.push_proven(six, an_initiation));
  (void)q.pop();
  CHECK_FALSE(q.push_proven(at(2), an_initiation));
  (void)q.pop();
  CHECK(q.push_proven(at(2), an_initiation));
}
