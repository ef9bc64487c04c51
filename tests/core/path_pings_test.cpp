// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/path_pings.hpp>

#include <vector>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;

namespace {
constexpr time_point start{1h};
const endpoint peer = endpoint::v4({192, 0, 2, 1}, 4780);
constexpr std::size_t overhead = 20 + 8 + 32;
constexpr std::uint16_t small = overhead + 10;

struct way {
  explicit way(const endpoint& to = peer) { p.begin(to, 1526); }
  std::vector<std::uint16_t> timer() {
    const auto due = p.on_timer(now);
    std::vector<std::uint16_t> sizes;
    for (std::size_t k = 0; k < due.count; ++k) {
      sizes.push_back(due.sizes[k]);
      p.on_sent(++token, due.sizes[k], now);
    }
    return sizes;
  }
  // Time passes to when something is due; what is sent then.
  std::vector<std::uint16_t> next() {
    REQUIRE(p.due() != time_point::max());
    now = std::max(now, p.due());
    return timer();
  }
  bool answer(std::size_t size, std::uint64_t to) { return p.on_pong(to, size - overhead, now); }
  bool answer(std::size_t size) { return answer(size, token); }
  // Goes on as on a path of `carries`, with answers after 20 ms, until nothing is due within a second.
  void settle(std::size_t carries) {
    while (p.due() < now + 1s) {
      const auto sizes = next();
      const auto last = token;
      now += 20ms;
      for (std::size_t k = 0; k < sizes.size(); ++k) {
        if (sizes[k] <= carries) CHECK(answer(sizes[k], last - sizes.size() + 1 + k));
      }
    }
  }
  // Data at every 100 ms until then.
  void flow_until(time_point end, std::size_t bytes) {
    while (now < end) {
      static_cast<void>(p.on_data(bytes, now));
      now += 100ms;
    }
  }

  path_pings p;
  time_point now = start;
  std::uint64_t token = 100;
};

using sizes = std::vector<std::uint16_t>;
}  // namespace

TEST_CASE("path pings: none without data, none when data ended 10 s ago") {
  way w;
  CHECK(w.p.due() == time_point::max());
  CHECK(w.timer().empty());
  CHECK(w.p.on_data(100, w.now));
  CHECK_FALSE(w.p.on_data(100, w.now));
  CHECK(w.p.due() <= w.now);
  CHECK(w.timer() == sizes{1280});
  w.now += 20ms;
  CHECK(w.answer(1280));
  w.settle(1500);
  CHECK(w.p.mtu().size() == 1500);
  CHECK(w.p.due() == time_point::max());  // the next is not due while this data counts
  w.now = start + 100s;
  CHECK(w.timer().empty());
}

TEST_CASE("path pings: small ones every 10 s while small data flows, full ones every 5 s for large data") {
  way w;
  static_cast<void>(w.p.on_data(100, w.now));
  w.settle(1500);
  static_cast<void>(w.p.on_data(100, w.now));
  const time_point last = w.p.due() - 10s;
  CHECK(last > start);
  CHECK(w.next() == sizes{small});
  w.now += 20ms;
  CHECK(w.answer(small));
  // Large data turns up: 5 s after the last ping, of the size that it fills.
  CHECK(w.p.on_data(513, w.now));
  CHECK(w.p.due() == last + 10s + 5s);
  CHECK(w.next() == sizes{1500});
  w.now += 20ms;
  CHECK(w.answer(1500));
  static_cast<void>(w.p.on_data(512, w.now));
  CHECK(w.p.due() == last + 15s + 10s);
  static_cast<void>(w.p.on_data(1500, w.now + 1s));
  CHECK(w.p.due() == last + 15s + 5s);
}

TEST_CASE("path pings: large data after a pause is checked at once") {
  way w;
  static_cast<void>(w.p.on_data(1000, w.now));
  w.settle(1500);
  w.now += 300s;
  CHECK(w.p.on_data(1000, w.now));
  CHECK(w.p.due() <= w.now);
  CHECK(w.timer() == sizes{1500});
}

TEST_CASE("path pings: a size is given up after three tries, if small ones beside it pass") {
  way w;
  static_cast<void>(w.p.on_data(1000, w.now));
  CHECK(w.next() == sizes{1280});
  w.now += 20ms;
  CHECK(w.answer(1280));
  CHECK(w.next() == sizes{1500});
  const time_point sent = w.now;
  CHECK(w.p.due() == sent + 200ms);
  CHECK(w.timer().empty());
  CHECK(w.next() == sizes{small, 1500});
  CHECK(w.now == sent + 200ms);
  w.now += 20ms;
  CHECK(w.answer(small, w.token - 1));
  CHECK(w.next() == sizes{small, 1500});
  const auto third = w.next();  // the third try is lost, too
  CHECK(w.now == sent + w.p.times().timeout() + 400ms);
  REQUIRE(third.size() == 1);
  CHECK(third[0] < 1500);
  CHECK(third[0] > 1280);
  w.settle(1400);
  CHECK(w.p.mtu().size() == 1400);
  CHECK(w.p.times().loss() == 0.0);  // what is too large is not lost
}

TEST_CASE("path pings: when nothing passes, size is not to blame") {
  way w;
  static_cast<void>(w.p.on_data(1000, w.now));
  w.settle(1500);
  REQUIRE(w.p.mtu().size() == 1500);
  const time_point cut = w.now;
  std::size_t sent = 0;
  while (w.now < cut + 60s) {
    static_cast<void>(w.p.on_data(1000, w.now));
    if (w.p.due() <= w.now) sent += w.timer().size();
    w.now += 10ms;
  }
  CHECK(w.p.mtu().size() == 1500);
  CHECK(w.p.times().loss() > 0.5);
  CHECK(sent <= 60 / 5 * 5);
  CHECK(sent >= 20);
  // And it is found whole when it is back.
  w.settle(1500);
  CHECK(w.p.mtu().size() == 1500);
}

TEST_CASE("path pings: a black hole is noticed 5 s and three time-outs after the last check at most") {
  way w;
  static_cast<void>(w.p.on_data(1000, w.now));
  w.settle(1500);
  static_cast<void>(w.p.on_data(1000, w.now));
  const time_point begun = w.now;
  while (w.p.mtu().size() == 1500) {
    REQUIRE(w.now < begun + 10s);
    static_cast<void>(w.p.on_data(1000, w.now));
    if (w.p.due() <= w.now) {
      const auto pings = w.timer();
      if (!pings.empty() && pings[0] == small) CHECK(w.answer(small, w.token - pings.size() + 1));
    }
    w.now += 10ms;
  }
  CHECK(w.p.mtu().size() == 1280);
  CHECK(w.now - begun <= 5s + 3 * 200ms + 40ms);
  w.settle(1400);
  CHECK(w.p.mtu().size() == 1400);
}

TEST_CASE("path pings: a pong needs the token and the size of a ping that was sent, once") {
  way w;
  static_cast<void>(w.p.on_data(1000, w.now));
  CHECK(w.next() == sizes{1280});
  CHECK_FALSE(w.answer(1280, w.token + 1));
  CHECK_FALSE(w.answer(1279));
  CHECK_FALSE(w.answer(1500));
  CHECK(w.p.mtu().is() == path_mtu::state::base);
  CHECK(w.answer(1280));
  CHECK_FALSE(w.answer(1280));
  CHECK(w.p.mtu().is() == path_mtu::state::search);
  CHECK_FALSE(w.p.on_pong(0, 0, w.now));
  w.p.begin(endpoint::v4({192, 0, 2, 2}, 4780), 1526);
  CHECK_FALSE(w.answer(1280));
}

TEST_CASE("path pings: on a path slower than the first time-out, late pongs count and the time-out follows") {
  way w;
  struct flying {
    time_point at;
    std::uint64_t token;
    std::uint16_t size;
  };
  std::vector<flying> back;
  while (w.now < start + 120s) {
    static_cast<void>(w.p.on_data(1000, w.now));
    if (w.p.due() <= w.now) {
      const auto sent = w.timer();
      for (std::size_t k = 0; k < sent.size(); ++k) {
        if (sent[k] <= 1400) back.push_back({w.now + 4s, w.token - sent.size() + 1 + k, sent[k]});
      }
    }
    while (!back.empty() && back.front().at <= w.now) {
      static_cast<void>(w.answer(back.front().size, back.front().token));
      back.erase(back.begin());
    }
    w.now += 10ms;
  }
  CHECK(w.p.mtu().size() == 1400);
  CHECK(w.p.times().timeout() > 4s);
}

TEST_CASE("path pings: what the kernel refuses is no loss and ends that size at once") {
  way w;
  static_cast<void>(w.p.on_data(1000, w.now));
  CHECK(w.next() == sizes{1280});
  CHECK(w.answer(1280));
  CHECK(w.next() == sizes{1500});
  CHECK(w.p.on_refused(1500 - 28));
  CHECK(w.p.mtu().size() == 1280);
  CHECK(w.p.due() == w.now + 10ms);
  const auto next = w.next();
  REQUIRE(next.size() == 1);
  CHECK(next[0] < 1500);
  CHECK_FALSE(w.p.on_refused(1500 - 28));  // a burst from before
  w.settle(1400);
  CHECK(w.p.mtu().size() == 1400);
  // Data that is refused lowers at once.
  static_cast<void>(w.p.on_data(1000, w.now));
  CHECK_FALSE(w.p.on_refused(1400 - 28));
  CHECK(w.p.mtu().size() == 1280);
  CHECK(w.p.due() == w.now + 10ms);
  CHECK(w.next() == sizes{1280});
  CHECK(w.p.times().loss() == 0.0);
}

TEST_CASE("path pings: the first waits its turn") {
  path_pings p(7ms);
  p.begin(peer, 1526);
  CHECK(p.on_data(100, start));
  CHECK(p.due() == start + 7ms);
  path_pings large(7ms);
  large.begin(peer, 1526);
  CHECK(large.on_data(1000, start));
  CHECK(large.due() == start + 7ms);
}

TEST_CASE("path pings: room by address family") {
  path_pings p;
  p.begin(peer, 1526);
  CHECK(p.room() == 1280 - 28 - 32);
  p.begin(*endpoint::parse("[2001:db8::1]:4780"), 1526);
  CHECK(p.room() == 1280 - 48 - 32);
  CHECK(p.mtu().least() == 1280);
  CHECK(p.on_data(1000, start));
  const auto first = p.on_timer(start);
  REQUIRE(first.count == 1);
  CHECK(first.sizes[0] == 1500);
}
