// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/retry.hpp>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;

namespace {
constexpr time_point start{100s};
}

TEST_CASE("retry: the steps, with no jitter and with all of it") {
  constexpr duration steps[] = {250ms, 500ms, 1s, 2s, 4s, 5s, 10s, 15s, 15s, 15s};
  for (const double random : {0.0, 1.0}) {
    retry r;
    CHECK_FALSE(r.active());
    r.begin(start);
    REQUIRE(r.due());
    time_point now = start;
    CHECK(*r.due() == now);
    unsigned sent = 0;
    for (const duration step : steps) {
      r.sent(now, false, random);
      CHECK(r.unanswered() == ++sent);
      CHECK(*r.due() == now + (random == 0 ? step : step * 3 / 4));
      now = *r.due();
    }
  }
}

TEST_CASE("retry: while a session lives, 5 s and up to 333 ms") {
  retry r;
  r.ask(start, true);
  CHECK(*r.due() == start);
  r.sent(start, true, 0);
  CHECK(*r.due() == start + 5s);
  r.sent(start, true, 1);
  CHECK(*r.due() == start + 5333ms);
  r.sent(start, true, 0.5);
  CHECK(*r.due() == start + 5166ms + 500us);
}

TEST_CASE("retry: asked, it is due at once; asked again, not before 5 s after the last attempt") {
  retry r;
  r.ask(start, false);
  CHECK(*r.due() == start);
  for (int k = 0; k < 8; ++k) r.sent(start, false, 0);
  CHECK(*r.due() == start + 15s);
  r.ask(start + 5s - 1ns, false);
  CHECK(*r.due() == start + 15s);
  r.ask(start + 5s, false);
  CHECK(*r.due() == start + 5s);
  // A step that is due sooner is not put off.
  retry s;
  s.ask(start, false);
  s.sent(start, false, 0);
  s.ask(start + 10s, false);
  CHECK(*s.due() == start + 250ms);
}

TEST_CASE("retry: stopped and asked again right away, it keeps a step's distance to the last attempt") {
  retry r;
  r.ask(start, false);
  r.sent(start, false, 0);
  r.stop();
  CHECK_FALSE(r.active());
  CHECK(r.unanswered() == 0);
  r.ask(start + 10ms, false);
  CHECK(*r.due() == start + 250ms);
  r.stop();
  r.ask(start + 10ms, true);
  CHECK(*r.due() == start + 5s);
  r.stop();
  r.ask(start + 6s, true);
  CHECK(*r.due() == start + 6s);
}

TEST_CASE("retry: a late answer leaves time for the next one, until a session is made") {
  retry r;
  r.late(4s);  // nobody asks
  r.ask(start, false);
  r.sent(start, false, 0);
  CHECK(*r.due() == start + 250ms);
  r.sent(start + 250ms, false, 0);
  r.late(3s);
  CHECK(*r.due() == start + 4s);
  r.late(1s);  // a short one does not take it back
  CHECK(*r.due() == start + 4s);
  // Jitter does not go below it, and a step that is longer is not shortened.
  r.sent(start + 4s, false, 1);
  CHECK(*r.due() == start + 7750ms);
  for (int k = 0; k < 4; ++k) r.sent(start + 10s, false, 0);
  CHECK(*r.due() == start + 20s);
  r.stop();
  r.ask(start + 40s, false);
  r.sent(start + 40s, false, 0);
  CHECK(*r.due() == start + 40250ms);
}

TEST_CASE("retry: no answer is so late that the next attempt waits for longer than 5 s, and a new reason is heard") {
  retry r;
  r.begin(start);
  for (int k = 0; k < 8; ++k) r.sent_one(start, 250ms);
  r.late(20s);
  CHECK(*r.due() == start + 250ms);  // an attempt under way goes on
  r.sent(start, false, 0);
  CHECK(*r.due() == start + 5s);
  for (int k = 0; k < 8; ++k) r.sent(start, false, 0);
  CHECK(*r.due() == start + 15s);
  r.ask(start + 5s, false);
  CHECK(*r.due() == start + 5s);
}

TEST_CASE("retry: gives up 90 s after it was last asked") {
  retry r;
  r.begin(start);
  CHECK(r.gives_up_at() == start + 90s);
  r.sent(start, false, 0);
  CHECK(r.gives_up_at() == start + 90s);
  r.ask(start + 40s, false);
  CHECK(r.gives_up_at() == start + 130s);
}

TEST_CASE("retry: hurried, the next is due at once but for the shortest step, and nothing is due that was not") {
  retry r;
  r.hurry(start);
  CHECK_FALSE(r.active());
  r.begin(start + 10s);
  r.hurry(start);
  CHECK(*r.due() == start);
  for (int k = 0; k < 8; ++k) r.sent(start + 10s, false, 0);
  CHECK(*r.due() == start + 25s);
  r.hurry(start + 10100ms);
  CHECK(*r.due() == start + 10250ms);
  r.hurry(start + 12s);  // never later
  CHECK(*r.due() == start + 10250ms);
}

TEST_CASE("retry: however many addresses an attempt has, the next begins within 15 s of its beginning") {
  retry r;
  time_point now = start;
  r.begin(now);
  for (int attempt = 0; attempt < 12; ++attempt) {
    const time_point began = now;
    for (int k = 0; k < 8; ++k) {
      r.sent_one(now, 250ms);
      now = *r.due();
    }
    r.sent(now, false, 0);
    CHECK(*r.due() >= now + 250ms);
    CHECK(*r.due() <= began + 15s);
    now = *r.due();
  }
}

TEST_CASE("retry: after a sleep in the middle of an attempt the next is not at once") {
  retry r;
  r.begin(start);
  r.sent_one(start, 250ms);
  r.sent(start + 1h, false, 0);
  CHECK(*r.due() == start + 1h + 250ms);
}

TEST_CASE("retry: an attempt at several addresses is one attempt") {
  retry r;
  r.begin(start);
  r.sent_one(start, 250ms);
  CHECK(r.turn() == 1);
  CHECK(r.unanswered() == 0);
  CHECK(*r.due() == start + 250ms);
  r.sent_one(start + 250ms, 250ms);
  CHECK(r.turn() == 2);
  r.sent(start + 500ms, false, 0);
  CHECK(r.turn() == 0);
  CHECK(r.unanswered() == 1);
  CHECK(*r.due() == start + 750ms);
  r.sent_one(start + 750ms, 250ms);
  r.stop();
  CHECK(r.turn() == 0);
}
