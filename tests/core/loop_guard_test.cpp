// SPDX-License-Identifier: Apache-2.0
// loop_guard_test.cpp - one guard at a time, probe by probe. What several do together is in tests/sim/loop_test.cpp.
#include <doctest/doctest.h>

#include <lanloom/core/loop_guard.hpp>

#include <vector>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;
using kind = loop_guard::news::kind;

namespace {

constexpr time_point start{1h};
constexpr std::array<std::uint8_t, 16> our_network{1, 2, 3};
constexpr peer_id greater{0};  // ids are not in the order of keys
constexpr peer_id smaller{1};

crypto::public_key key(std::uint8_t fill) {
  crypto::public_key k;
  k.bytes.fill(fill);
  return k;
}

struct one {
  loop_guard g{our_network, key(5), std::array{key(9), key(1)}, 4711, start};

  static wire::loop_probe probe(std::uint8_t sender, bool closed = false, std::uint64_t nonce = 1) {
    return {our_network, key(sender).bytes, nonce, closed};
  }
  drop lan(std::uint8_t sender, time_point now, bool closed = false) {
    return g.on_lan_probe(probe(sender, closed), now);
  }
  void hear(std::uint8_t sender, time_point now, bool closed = false) { CHECK(lan(sender, now, closed) == drop::none); }
  // Probes of a sender as they come, and our timer, until `end`.
  void live(std::uint8_t sender, bool closed, time_point from, time_point end) {
    for (time_point now = from; now < end; now += 500ms) {
      if (sender != 0) CHECK(lan(sender, now, closed) == drop::none);
      static_cast<void>(g.on_timer(now + 100ms));
    }
  }
  // Takes the news as kind and peer.
  std::vector<std::pair<kind, std::optional<peer_id>>> news() {
    std::vector<std::pair<kind, std::optional<peer_id>>> all;
    for (const auto& n : g.pending()) all.emplace_back(n.what, n.peer);
    g.clear_news();
    return all;
  }
  using told = std::vector<std::pair<kind, std::optional<peer_id>>>;
};

}  // namespace

TEST_CASE("loop guard: nothing passes in the first second, which two probes of any neighbour fall into") {
  one o;
  CHECK(loop_guard::hold >= 2 * loop_guard::probe_every);
  CHECK(o.g.blocks(start));
  CHECK(o.g.probe(start).closed);
  CHECK(o.g.state(start).blocked);
  CHECK_FALSE(o.g.state(start).since);
  CHECK(o.g.blocks(start + 1s - 1ns));
  CHECK_FALSE(o.g.blocks(start + 1s));
  CHECK_FALSE(o.g.probe(start + 1s).closed);
  CHECK_FALSE(o.g.state(start + 1s).blocked);
  CHECK(o.news().empty());
}

TEST_CASE("loop guard: a probe at once and then every 500 ms, without catching up") {
  one o;
  CHECK(o.g.due() == start);
  CHECK(o.g.on_timer(start));
  CHECK(o.g.due() == start + 500ms);
  CHECK_FALSE(o.g.on_timer(start + 500ms - 1ns));
  CHECK(o.g.on_timer(start + 500ms));
  CHECK(o.g.on_timer(start + 10s));
  CHECK_FALSE(o.g.on_timer(start + 10s));
  CHECK(o.g.due() == start + 10s + 500ms);
}

TEST_CASE("loop guard: our probe says who we are") {
  one o;
  const auto p = o.g.probe(start + 2s);
  CHECK(p == one::probe(5, false, 4711));
  CHECK(o.g.is_ours(p));
  auto other = p;
  other.network[15] ^= 1;
  CHECK_FALSE(o.g.is_ours(other));
}

TEST_CASE("loop guard: a smaller key's probe blocks us until none came for 3 s") {
  one o;
  const time_point seen = start + 5s;
  CHECK(o.lan(1, seen) == drop::none);
  CHECK(o.g.blocks(seen));
  CHECK(o.g.probe(seen).closed);
  CHECK(o.g.state(seen + 2s).blocked);
  CHECK(o.g.state(seen + 2s).peer == smaller);
  CHECK(o.g.state(seen + 2s).since == 2s);
  CHECK(o.news() == one::told{{kind::blocked, smaller}});
  o.hear(1, seen + 1s);
  static_cast<void>(o.g.on_timer(seen + 4s - 1ns));
  CHECK(o.g.blocks(seen + 4s - 1ns));
  CHECK(o.news().empty());
  static_cast<void>(o.g.on_timer(seen + 4s));
  CHECK_FALSE(o.g.blocks(seen + 4s));
  CHECK(o.news() == one::told{{kind::healed, smaller}});
  CHECK_FALSE(o.g.state(seen + 4s).since);
  o.hear(1, seen + 5s);  // and again
  CHECK(o.g.blocks(seen + 5s));
  CHECK(o.news() == one::told{{kind::blocked, smaller}});
}

TEST_CASE("loop guard: a smaller key blocks us even if it says it is closed") {
  one o;
  o.hear(1, start + 5s, true);
  CHECK(o.g.blocks(start + 5s));
}

TEST_CASE("loop guard: a greater key's probe is reported, not obeyed") {
  one o;
  o.live(9, true, start + 5s, start + 20s);
  CHECK_FALSE(o.g.blocks(start + 20s));
  CHECK(o.g.state(start + 20s).peer == greater);
  CHECK_FALSE(o.g.state(start + 20s).blocked);
  CHECK(o.news() == one::told{{kind::seen, greater}});
  static_cast<void>(o.g.on_timer(start + 30s));
  CHECK(o.news() == one::told{{kind::healed, greater}});
}

TEST_CASE("loop guard: a greater key that stays open for 2 s does not hear us, and we block in its place") {
  one o;
  const time_point seen = start + 5s;
  o.live(9, false, seen, seen + 2s);
  CHECK_FALSE(o.g.blocks(seen + 2s));
  CHECK(o.lan(9, seen + 2s) == drop::none);
  CHECK(o.g.blocks(seen + 2s));
  CHECK(o.news() == one::told{{kind::seen, greater}, {kind::blocked, greater}});
  o.live(9, false, seen + 2500ms, seen + 10s);
  CHECK(o.g.blocks(seen + 10s));
  // It hears us at last. For 3 s both are blocked, which is safe.
  o.live(9, true, seen + 10s, seen + 12s);
  CHECK(o.g.blocks(seen + 12s));
  o.live(9, true, seen + 12s, seen + 15s);
  CHECK_FALSE(o.g.blocks(seen + 15s));
  CHECK(o.news() == one::told{{kind::seen, greater}});
}

TEST_CASE("loop guard: a greater key that is open for less than 2 s at a time never makes us block") {
  one o;
  for (time_point now = start + 5s; now < start + 60s; now += 2s) {
    o.live(9, false, now, now + 1500ms);
    o.live(9, true, now + 1500ms, now + 2s);
    CHECK_FALSE(o.g.blocks(now + 2s));
  }
}

TEST_CASE("loop guard: our own probe on our LAN blocks us, whichever start of ours it is from") {
  for (const std::uint64_t nonce : {4711U, 12U}) {
    one o;
    CHECK(o.g.on_lan_probe(one::probe(5, false, nonce), start + 5s) == drop::none);
    CHECK(o.g.blocks(start + 5s));
    CHECK_FALSE(o.g.state(start + 6s).peer);
    CHECK(o.g.state(start + 6s).since == 1s);
    CHECK(o.news() == one::told{{kind::blocked, std::nullopt}});
    static_cast<void>(o.g.on_timer(start + 8s));
    CHECK_FALSE(o.g.blocks(start + 8s));
    CHECK(o.news() == one::told{{kind::healed, std::nullopt}});
  }
}

TEST_CASE("loop guard: a key that is not configured does nothing") {
  one o;
  for (const unsigned sender : {0U, 2U, 4U, 6U, 255U}) {
    CHECK(o.lan(static_cast<std::uint8_t>(sender), start + 5s) == drop::stray_probe);
  }
  CHECK_FALSE(o.g.blocks(start + 5s));
  CHECK(o.news().empty());
}

TEST_CASE("loop guard: our probe back from a peer blocks us if it is of this start, others' never do") {
  for (const peer_id from : {greater, smaller}) {
    one o;
    const time_point now = start + 5s;
    CHECK(o.g.on_peer_probe(from, one::probe(5, false, 4712), now) == drop::stray_probe);
    CHECK(o.g.on_peer_probe(from, one::probe(1), now) == drop::stray_probe);
    CHECK(o.g.on_peer_probe(from, one::probe(9), now) == drop::stray_probe);
    CHECK_FALSE(o.g.blocks(now));
    CHECK(o.g.on_peer_probe(from, one::probe(5, false, 4711), now) == drop::stray_probe);
    CHECK(o.g.blocks(now));
    CHECK(o.g.state(now).peer == from);
    CHECK(o.news() == one::told{{kind::blocked, from}});
  }
}

TEST_CASE("loop guard: of two reasons one is enough, and status shows what blocks") {
  one o;
  const time_point now = start + 5s;
  o.hear(9, now, true);
  o.hear(1, now + 100ms);
  o.hear(5, now + 200ms);
  CHECK(o.g.state(now + 200ms).peer == smaller);
  o.live(9, true, now + 1s, now + 3100ms);
  static_cast<void>(o.g.on_timer(now + 3100ms));
  CHECK(o.g.blocks(now + 3100ms));
  CHECK_FALSE(o.g.state(now + 3100ms).peer);
  static_cast<void>(o.g.on_timer(now + 3200ms));
  CHECK_FALSE(o.g.blocks(now + 3200ms));
  CHECK(o.g.state(now + 3200ms).peer == greater);
}

TEST_CASE("loop guard: news that nobody takes are bounded") {
  one o;
  for (int k = 0; k < 100; ++k) {
    o.hear(1, start + k * 10s);
    static_cast<void>(o.g.on_timer(start + k * 10s + 5s));
  }
  CHECK(o.g.pending().size() == loop_guard::max_news);
}
