// SPDX-License-Identifier: Apache-2.0
// loss_test.cpp - random weather: loss up to half, delay up to 2 s, reordering, repetition, restarts. Then it clears
// up.
//
// Promised: no frame twice, ever. When loss ends, a session that both can use within 15 s. From then on both send under
// different sessions for at most 10 s, and no frame is lost but those that were under way when a slot was needed for a
// newer session. (The window of 5 s in `beats` is measured on each side's own clock, whose readings differ by up to a
// round trip: where that takes seconds two nodes may, rarely, judge differently, and a third handshake settles it.)
// The two times hold for this weather, in which frames come that ask for a session and that show whose they are.
#include "sim/network.hpp"

#include <doctest/doctest.h>

using namespace lanloom;
using namespace lanloom::sim;

namespace {

struct weather {
  network net;
  duration gap;  // between frames of one side
  bool both_ways;
  bool persistent;

  duration between(duration least, duration most) {
    return least + duration(static_cast<duration::rep>(net.fraction() * static_cast<double>((most - least).count())));
  }
};

weather make(std::uint64_t seed) {
  crypto::random choice(seed + 0x5eed);
  const auto fraction = [&] { return static_cast<double>(choice.u32()) / 4294967296.0; };
  const bool persistent = choice.below(3) != 0;
  weather w{network({.seed = seed, .keepalive = persistent ? 25s : 0s, .descending_keys = choice.below(2) == 0}),
            {},
            choice.below(3) != 0,
            persistent};
  const double longest = choice.below(4) == 0 ? 2e9 : 100e6;
  const double delay = fraction() * longest;
  w.net.link.delay = duration(static_cast<duration::rep>(delay));
  // Reordering; together never more than 2 s.
  const double jitter = choice.below(2) == 0 ? 0 : fraction() * std::min(longest, 2e9 - delay);
  w.net.link.jitter = duration(static_cast<duration::rep>(jitter));
  w.net.link.loss = fraction() * 0.5;
  w.net.link.duplicates = choice.below(2) == 0 ? 0 : fraction() * 0.3;
  w.gap = w.between(10ms, 3s);
  return w;
}

void send(weather& w, std::vector<std::uint32_t>* numbers) {
  if (w.both_ways || w.persistent) numbers[0].push_back(w.net.flood(0));
  if (w.both_ways || !w.persistent) numbers[1].push_back(w.net.flood(1));
}

void storm(weather& w) {
  std::vector<std::uint32_t> ignored[2];
  w.net.start(0);
  w.net.run_for(w.between(0s, 1s));
  w.net.start(1);
  const time_point end = w.net.now() + w.between(5s, 300s);
  while (w.net.now() < end) {
    send(w, ignored);
    w.net.run_for(w.gap);
    if (w.net.fraction() < 0.002) w.net.start(w.net.choice().below(2));
  }
}
}  // namespace

TEST_CASE("after any weather there is one common session in time, and never a frame twice") {
  const std::size_t seeds = rounds(300, 100'000);
  duration worst{};
  duration worst_split{};
  std::size_t worst_lost = 0;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    weather w = make(seed);
    network& net = w.net;
    storm(w);

    INFO(describe(net, seed) << "; delay " << net.link.delay.count() << " jitter " << net.link.jitter.count() << " gap "
                             << w.gap.count() << " both " << w.both_ways << " persistent " << w.persistent);

    net.link.loss = 0;
    const duration rtt = 2 * (net.link.delay + net.link.jitter);
    const time_point cleared = net.now();
    std::vector<std::uint32_t> numbers[2];
    const auto until = [&](const std::function<bool()>& condition, duration at_most) {
      const time_point end = net.now() + at_most;
      while (!condition() && net.now() < end) {
        send(w, numbers);
        net.run_while_not(condition, std::min(w.gap, end - net.now()));
      }
      return condition();
    };
    REQUIRE(until([&] { return net.usable(0, 1); }, 15s));
    worst = std::max(worst, net.now() - cleared);
    net.run_for(2 * rtt);

    // A rekey may part them for a moment.
    for (std::vector<std::uint32_t>& n : numbers) n.clear();
    time_point agreed = net.now();
    duration split{};
    const time_point end = net.now() + 140s;
    while (net.now() < end) {
      send(w, numbers);
      net.run_for(w.gap);
      if (net.agree(0, 1)) agreed = net.now();
      split = std::max(split, net.now() - agreed);
    }
    worst_split = std::max(worst_split, split);
    net.run_for(rtt);
    std::size_t lost = 0;
    for (const std::size_t i : {0U, 1U}) {
      for (const auto number : numbers[i]) lost += net.has(1 - i, i, number) ? 0U : 1U;
    }
    CHECK(lost <= 2 * (1 + static_cast<std::size_t>(rtt / w.gap)));
    worst_lost = std::max(worst_lost, lost);
    CHECK(split <= 10s);
    REQUIRE(net.faults().empty());
  }
  using seconds = std::chrono::duration<double>;
  MESSAGE(seeds << " seeds; usable " << seconds(worst).count() << " s after loss at the latest, apart "
                << seconds(worst_split).count() << " s at most, " << worst_lost << " frames lost at most");
}
