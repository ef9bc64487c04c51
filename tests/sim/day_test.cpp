// SPDX-License-Identifier: Apache-2.0
// day_test.cpp - 24 hours of a link between two nodes: storms of loss, reordering, repetition, restarts (also of both
// at once) and wall clocks that jump by years, with fair weather between them. Rekeys fall where they fall.
//
// Promised: 15 s after a storm, and two round trips, frames pass; until the next one none is lost but those that were
// under way when a slot was needed for a newer session; no frame arrives twice, ever.
#include "sim/network.hpp"

#include <doctest/doctest.h>

using namespace lanloom;
using namespace lanloom::sim;

namespace {

constexpr duration decade = std::chrono::hours(24 * 3652);

class day {
 public:
  explicit day(std::uint64_t seed)
      : net_({.seed = seed, .keepalive = 25s, .descending_keys = seed % 2 == 0}), end_(net_.now() + 24h) {
    net_.start_all();
  }

  void run() {
    while (net_.now() < end_) {
      storm();
      clear_up();
      if (net_.faults().empty()) calm();
      REQUIRE(net_.faults().empty());
    }
  }

  [[nodiscard]] const network& net() const noexcept { return net_; }
  std::size_t storms = 0, restarts = 0, jumps = 0, frames = 0, lost = 0;
  duration worst{};

 private:
  duration between(duration least, duration most) {
    return least + duration(static_cast<duration::rep>(net_.fraction() * static_cast<double>((most - least).count())));
  }
  [[nodiscard]] duration round_trip() const { return 2 * (net_.link.delay + net_.link.jitter); }

  void storm() {
    ++storms;
    net_.link.delay = between(1ms, 400ms);
    net_.link.jitter = between(0ms, 400ms);
    net_.link.loss = net_.fraction() * 0.5;
    net_.link.duplicates = net_.fraction() * 0.3;
    const time_point over = net_.now() + between(10s, 300s);
    while (net_.now() < over) {
      net_.flood(0);
      net_.flood(1);
      net_.run_for(between(100ms, 2s));
      if (net_.fraction() < 0.02) restart();
      if (net_.fraction() < 0.02) jump();
    }
  }

  void restart() {
    ++restarts;
    const std::size_t who = net_.choice().below(3);
    if (who != 1) net_.start(0);
    if (who != 0) net_.start(1);  // 2: both, and their initiations cross
  }

  void jump() {
    ++jumps;
    net_.set_clock(net_.choice().below(2), between(-decade, decade));
  }

  void clear_up() {
    net_.link.loss = 0;
    net_.link.duplicates = 0;
    const time_point cleared = net_.now();
    const time_point latest = cleared + 15s;
    while (!net_.usable(0, 1) && net_.now() < latest) {
      net_.flood(0);
      net_.flood(1);
      net_.run_while_not([&] { return net_.usable(0, 1); }, std::min<duration>(500ms, latest - net_.now()));
    }
    REQUIRE(net_.usable(0, 1));
    worst = std::max(worst, net_.now() - cleared);
    net_.run_for(2 * round_trip());
  }

  void calm() {
    std::vector<std::uint32_t> numbers[2];
    const time_point over = net_.now() + between(60s, 540s);
    while (net_.now() < over) {
      for (const std::size_t i : {0U, 1U}) numbers[i].push_back(net_.flood(i));
      net_.run_for(500ms);
    }
    net_.run_for(round_trip());
    std::size_t missing = 0;
    for (const std::size_t i : {0U, 1U}) {
      frames += numbers[i].size();
      for (const auto number : numbers[i]) missing += net_.has(1 - i, i, number) ? 0U : 1U;
    }
    CHECK(missing <= 2 * (1 + static_cast<std::size_t>(round_trip() / 500ms)));
    lost += missing;
  }

  network net_;
  time_point end_;
};
}  // namespace

TEST_CASE("a day of storms, restarts and clocks that jump: between storms frames pass, and none twice") {
  const std::size_t days = rounds(1, 20);
  for (std::uint64_t seed = 1; seed <= days; ++seed) {
    day d(seed);
    INFO(describe(d.net(), seed));
    d.run();
    MESSAGE("day " << seed << ": " << d.storms << " storms, " << d.restarts << " restarts, " << d.jumps
                   << " jumps of a clock; usable " << std::chrono::duration<double>(d.worst).count()
                   << " s after a storm at the latest; " << d.lost << " of " << d.frames
                   << " frames lost between storms");
  }
}
