// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/storm_limit.hpp>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;

namespace {
constexpr time_point start{1h};
constexpr wire::mac_address everybody{{255, 255, 255, 255, 255, 255}};
constexpr wire::mac_address unknown{{2, 0, 0, 0, 0, 1}};
constexpr wire::mac_address bridges{{1, 0x80, 0xc2, 0, 0, 0}};

unsigned leave(storm_limit& s, const wire::mac_address& to, time_point now) {
  unsigned n = 0;
  while (n < 100000 && s.may_leave(to, now)) ++n;
  return n;
}
unsigned enter(storm_limit& s, std::uint16_t from, const wire::mac_address& to, time_point now) {
  unsigned n = 0;
  while (n < 100000 && s.may_enter(peer_id{from}, to, now)) ++n;
  return n;
}
}  // namespace

TEST_CASE("storm limit: broadcast and unknown unicast share a bucket outwards") {
  storm_limit s(1);
  CHECK(leave(s, everybody, start) == storm_limit::out.burst);
  CHECK(leave(s, unknown, start) == 0);
  CHECK(leave(s, unknown, start + 1s) == 1000);
}

TEST_CASE("storm limit: each peer has its own bucket inwards, and none takes from the way out") {
  storm_limit s(2);
  CHECK(enter(s, 0, everybody, start) == storm_limit::in.burst);
  CHECK(enter(s, 1, everybody, start) == storm_limit::in.burst);
  CHECK(leave(s, everybody, start) == storm_limit::out.burst);
  CHECK(enter(s, 0, unknown, start + 1s) == 1000);
}

TEST_CASE("storm limit: a flood does not starve the spanning tree, and BPDUs are no way round it") {
  storm_limit s(1);
  leave(s, everybody, start);
  CHECK(leave(s, bridges, start) == storm_limit::bpdu.burst);
  CHECK(leave(s, bridges, start + 1s) == 20);
  enter(s, 0, everybody, start);
  CHECK(enter(s, 0, bridges, start) == storm_limit::bpdu.burst);
}

TEST_CASE("storm limit: what a peer with the same limit lets out passes here, even if it comes bunched") {
  storm_limit there(1);
  storm_limit here(1);
  unsigned out = 0;
  for (duration at{}; at < 1s; at += 100us) out += there.may_leave(everybody, start + at) ? 1U : 0U;
  unsigned in = 0;
  for (unsigned k = 0; k < out; ++k) in += here.may_enter({}, everybody, start + 1s) ? 1U : 0U;
  CHECK(out == storm_limit::out.burst + 999);
  CHECK(in == out);
}
