// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/reassembly.hpp>

#include <algorithm>
#include <list>
#include <map>
#include <optional>
#include <random>

using lanloom::bytes_view;
using lanloom::drop;
using lanloom::drop_counters;
using lanloom::time_point;
using lanloom::core::reassembly;
using lanloom::core::session_id;
using namespace std::chrono_literals;

namespace {
using bytes = std::vector<std::uint8_t>;
constexpr std::size_t max_frame = 1522;
constexpr time_point start{1h};
constexpr session_id one{0x10001};
constexpr session_id two{0x10002};

bytes frame_of(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  bytes frame(size);
  for (auto& b : frame) b = static_cast<std::uint8_t>(random());
  return frame;
}

// Slice `index` of a frame cut into slices of `size` bytes.
bytes_view cut(const bytes& frame, std::size_t size, std::uint8_t index) {
  const auto from = index * size;
  return bytes_view(frame).subspan(from, std::min(size, frame.size() - from));
}

struct bench {
  reassembly table{max_frame};
  drop_counters drops;

  bytes add(session_id session, std::uint64_t first, std::uint8_t index, std::uint8_t count, bytes_view slice,
            time_point now = start) {
    const bytes exact(slice.begin(), slice.end());  // so that asan sees a read past its end
    const auto whole = table.add(session, first + index, index, count, exact, now, drops);
    return {whole.begin(), whole.end()};
  }
  // Starts a frame of two slices and leaves it unfinished.
  void open(session_id session, std::uint64_t first, time_point now = start) {
    CHECK(add(session, first, 0, 2, frame_of(20, first), now).empty());
  }
  bool finishes(session_id session, std::uint64_t first, time_point now = start) {
    const auto whole = add(session, first, 1, 2, frame_of(7, first), now);
    auto expected = frame_of(20, first);
    const auto rest = frame_of(7, first);
    expected.insert(expected.end(), rest.begin(), rest.end());
    return whole == expected;
  }
};
}  // namespace

TEST_CASE("reassembly: every order of the slices gives the frame") {
  const auto frame = frame_of(1514, 1);
  for (const std::size_t size : {400U, 505U, 757U}) {  // a short last slice, one of 504 bytes, one of equal size
    const auto count = static_cast<std::uint8_t>((frame.size() + size - 1) / size);
    std::vector<std::uint8_t> order(count);
    for (std::uint8_t i = 0; i < count; ++i) order[i] = i;
    std::uint64_t first = 0;
    do {
      bench b;
      for (std::size_t i = 0; i < count; ++i) {
        const auto whole = b.add(one, first, order[i], count, cut(frame, size, order[i]));
        CHECK(whole == (i + 1 == count ? frame : bytes{}));
      }
      CHECK(b.drops == drop_counters{});
      first += count;
    } while (std::next_permutation(order.begin(), order.end()));
  }
}

TEST_CASE("reassembly: two slices and sixty-four, the longest frame, the last slice of one byte") {
  bench b;
  for (const auto& [size, slice] : {std::pair{2U, 1U}, {64U, 1U}, {1522U, 24U}, {1513U, 24U}, {1522U, 1521U}}) {
    const auto frame = frame_of(size, size);
    const auto count = static_cast<std::uint8_t>((size + slice - 1) / slice);
    bytes whole;
    for (int i = count - 1; i >= 0; --i) {
      CHECK(whole.empty());
      const auto index = static_cast<std::uint8_t>(i);
      whole = b.add(one, 1000 * size, index, count, cut(frame, slice, index));
    }
    CHECK(whole == frame);
  }
  CHECK(b.drops == drop_counters{});
}

TEST_CASE("reassembly: sessions and neighbouring frames do not mix") {
  bench b;
  b.open(one, 10);
  b.open(two, 10);
  b.open(one, 12);
  b.open(session_id{one.value + 1024}, 10);
  CHECK(b.finishes(two, 10));
  CHECK(b.finishes(one, 12));
  CHECK(b.finishes(one, 10));
  CHECK(b.finishes(session_id{one.value + 1024}, 10));
  CHECK(b.drops == drop_counters{});
}

TEST_CASE("reassembly: a slice that came twice changes nothing") {
  bench b;
  const auto frame = frame_of(50, 5);
  const auto other = frame_of(50, 6);
  for (const std::uint8_t index : std::initializer_list<std::uint8_t>{2, 0}) {
    CHECK(b.add(one, 0, index, 3, cut(frame, 20, index)).empty());
    CHECK(b.add(one, 0, index, 3, cut(other, 20, index)).empty());
  }
  CHECK(b.add(one, 0, 1, 3, cut(frame, 20, 1)) == frame);
  CHECK(b.drops == drop_counters{});
}

TEST_CASE("reassembly: index, count and slice outside their ranges are refused") {
  bench b;
  const auto slice = frame_of(20, 1);
  std::uint64_t refused = 0;
  const auto check = [&](std::uint64_t counter, std::uint8_t index, std::uint8_t count, bytes_view s) {
    CHECK(b.table.add(one, counter, index, count, s, start, b.drops).empty());
    CHECK(b.drops[drop::bad_record] == ++refused);
  };
  check(9, 0, 0, slice);
  check(9, 0, 1, slice);
  check(9, 0, 65, slice);
  check(9, 0, 255, slice);
  check(9, 2, 2, slice);
  check(9, 255, 64, slice);
  check(9, 0, 2, {});  // not the last
  check(9, 1, 2, {});  // the last
  check(0, 1, 2, slice);
}

TEST_CASE("reassembly: what contradicts an earlier slice is refused and changes nothing") {
  bench b;
  const auto frame = frame_of(50, 5);
  CHECK(b.add(one, 0, 1, 3, cut(frame, 20, 1)).empty());
  CHECK(b.add(one, 0, 0, 4, cut(frame, 20, 0)).empty());  // count
  CHECK(b.add(one, 0, 0, 2, cut(frame, 20, 0)).empty());  // count
  CHECK(b.add(one, 0, 0, 3, frame_of(21, 1)).empty());    // size
  CHECK(b.add(one, 0, 0, 3, frame_of(19, 1)).empty());    // size
  CHECK(b.add(one, 0, 2, 3, frame_of(21, 1)).empty());    // last longer than the others
  CHECK(b.drops[drop::bad_record] == 5);
  CHECK(b.add(one, 0, 2, 3, cut(frame, 20, 2)).empty());
  CHECK(b.add(one, 0, 2, 3, frame_of(11, 1)).empty());  // last of another size
  CHECK(b.drops[drop::bad_record] == 6);
  CHECK(b.add(one, 0, 0, 3, cut(frame, 20, 0)) == frame);

  CHECK(b.add(one, 100, 2, 3, frame_of(10, 1)).empty());  // last first
  CHECK(b.add(one, 100, 0, 3, frame_of(9, 1)).empty());   // others shorter than it
  CHECK(b.drops[drop::bad_record] == 7);
  CHECK(b.add(one, 100, 0, 3, frame_of(10, 1)).empty());
  CHECK(b.add(one, 100, 1, 3, frame_of(10, 1)).size() == 30);
  CHECK(b.drops[drop::bad_record] == 7);
}

TEST_CASE("reassembly: a frame that can only be too long is refused at its first slice") {
  bench b;
  CHECK(b.add(one, 0, 0, 2, frame_of(1522, 1)).empty());  // 1522 and at least 1
  CHECK(b.drops[drop::long_frame] == 1);
  CHECK(b.add(one, 0, 1, 2, frame_of(762, 1)).empty());  // at least 762 and 762
  CHECK(b.drops[drop::long_frame] == 2);
  CHECK(b.add(one, 0, 63, 64, frame_of(24, 1)).empty());
  CHECK(b.drops[drop::long_frame] == 3);
  CHECK(b.add(one, 0, 5, 64, bytes(65535)).empty());
  CHECK(b.drops[drop::long_frame] == 4);

  CHECK(b.add(one, 0, 0, 2, frame_of(1521, 1)).empty());
  CHECK(b.add(one, 0, 1, 2, frame_of(2, 1)).empty());  // 1523
  CHECK(b.drops[drop::long_frame] == 5);
  CHECK(b.add(one, 0, 1, 2, frame_of(1, 1)).size() == 1522);

  CHECK(b.add(one, 10, 1, 2, frame_of(761, 1)).empty());
  CHECK(b.add(one, 10, 0, 2, frame_of(762, 1)).empty());  // 1523
  CHECK(b.drops[drop::long_frame] == 6);
  CHECK(b.add(one, 10, 0, 2, frame_of(761, 1)).size() == 1522);
  b.table.expire(start + 1h, b.drops);
  CHECK(b.drops[drop::reassembly_expired] == 0);  // nothing refused was kept
}

TEST_CASE("reassembly: an unfinished frame is gone exactly one second after its first slice") {
  bench b;
  b.open(one, 0);
  b.open(one, 10, start + 1ns);
  b.table.expire(start + 1s - 1ns, b.drops);
  CHECK(b.drops[drop::reassembly_expired] == 0);
  b.table.expire(start + 1s, b.drops);
  CHECK(b.drops[drop::reassembly_expired] == 1);
  CHECK(b.finishes(one, 10, start + 1s));

  b.open(one, 20, start + 5s);
  CHECK_FALSE(b.finishes(one, 20, start + 6s));  // add expires, too; the late slice is a new beginning
  CHECK(b.drops[drop::reassembly_expired] == 2);
  b.table.expire(start + 7s, b.drops);
  CHECK(b.drops[drop::reassembly_expired] == 3);

  b.open(one, 30, start + 8s);
  CHECK(b.finishes(one, 30, start + 9s - 1ns));
}

TEST_CASE("reassembly: a session's seventeenth frame pushes out its oldest, and no other session's") {
  bench b;
  b.open(two, 0);
  for (std::uint64_t i = 0; i < 16; ++i) b.open(one, 10 * i);
  CHECK(b.drops == drop_counters{});
  b.open(one, 160);
  CHECK(b.drops[drop::reassembly_full] == 1);
  CHECK(b.finishes(two, 0));
  for (std::uint64_t i = 16; i > 0; --i) CHECK(b.finishes(one, 10 * i));
  CHECK_FALSE(b.finishes(one, 0));
  CHECK(b.drops[drop::reassembly_full] == 1);
}

TEST_CASE("reassembly: large frames are bounded by 256 KiB per session and 4 MiB in all") {
  bench b{reassembly(60'000), {}};
  for (std::uint64_t i = 0; i < 4; ++i) b.open(one, 10 * i);
  CHECK(b.drops == drop_counters{});
  b.open(one, 40);
  CHECK(b.drops[drop::reassembly_full] == 1);
  CHECK_FALSE(b.finishes(one, 0));  // begins anew and pushes out 10
  CHECK(b.drops[drop::reassembly_full] == 2);
  CHECK(b.finishes(one, 20));
  b.table.forget(one, b.drops);

  const std::uint64_t fit = reassembly::max_bytes / 60'000;
  const auto session = [](std::uint64_t i) { return session_id{static_cast<std::uint32_t>(100 + i)}; };
  for (std::uint64_t i = 0; i < fit; ++i) b.open(session(i), 0);
  CHECK(b.drops[drop::reassembly_full] == 2);
  b.open(session(fit), 0);
  CHECK(b.drops[drop::reassembly_full] == 3);
  for (std::uint64_t i = fit; i > 0; --i) CHECK(b.finishes(session(i), 0));
  CHECK_FALSE(b.finishes(session(0), 0));
}

TEST_CASE("reassembly: forget takes a session's frames, counted, and their room is used again") {
  bench b;
  for (int round = 0; round < 1000; ++round) {
    for (std::uint64_t i = 0; i < 16; ++i) b.open(one, 10 * i);
    b.table.forget(one, b.drops);
  }
  b.open(two, 0);
  b.table.forget(one, b.drops);
  CHECK(b.finishes(two, 0));
  drop_counters expected;
  expected.count(drop::reassembly_expired, 16000);
  CHECK(b.drops == expected);
}

namespace {
// The rules as a list of frames with their slices, oldest first.
class model {
 public:
  explicit model(std::size_t longest) : longest_(longest) {}

  bytes add(session_id session, std::uint64_t first, std::uint8_t index, std::uint8_t count, const bytes& slice,
            time_point now, drop_counters& drops) {
    expire(now, drops);
    auto f = std::find_if(frames_.begin(), frames_.end(),
                          [&](const auto& x) { return x.session == session && x.first == first; });
    auto slices = f == frames_.end() ? std::map<std::uint8_t, bytes>{} : f->slices;
    const bool repeated = slices.count(index) != 0;
    if (f != frames_.end() && f->count != count) return refuse(drop::bad_record, drops);
    if (repeated && slices[index].size() != slice.size()) return refuse(drop::bad_record, drops);
    slices.try_emplace(index, slice);
    if (const auto reason = judge(slices, count); reason != drop::none) return refuse(reason, drops);
    if (repeated) return {};

    if (f == frames_.end()) {
      make_room(session, drops);
      f = frames_.insert(frames_.end(), {session, first, count, now, {}});
    }
    f->slices = std::move(slices);
    if (f->slices.size() < count) return {};
    bytes whole;
    for (const auto& [i, s] : f->slices) whole.insert(whole.end(), s.begin(), s.end());
    frames_.erase(f);
    return whole;
  }
  void expire(time_point now, drop_counters& drops) {
    while (!frames_.empty() && now - frames_.front().started >= 1s) {
      frames_.pop_front();
      drops.count(drop::reassembly_expired);
    }
  }
  void forget(session_id session, drop_counters& drops) {
    drops.count(drop::reassembly_expired, frames_.remove_if([&](const auto& f) { return f.session == session; }));
  }

 private:
  struct frame {
    session_id session;
    std::uint64_t first;
    std::uint8_t count;
    time_point started;
    std::map<std::uint8_t, bytes> slices;
  };

  static bytes refuse(drop reason, drop_counters& drops) {
    drops.count(reason);
    return {};
  }
  // The shortest frame that has these slices, if there is one.
  [[nodiscard]] drop judge(const std::map<std::uint8_t, bytes>& slices, std::uint8_t count) const {
    std::optional<std::size_t> equal;
    std::optional<std::size_t> last;
    for (const auto& [index, slice] : slices) {
      if (index + 1 == count) {
        last = slice.size();
      } else if (equal && *equal != slice.size()) {
        return drop::bad_record;
      } else {
        equal = slice.size();
      }
    }
    if (equal && last && *last > *equal) return drop::bad_record;
    const auto each = equal ? *equal : *last;
    return each * (count - 1U) + last.value_or(1) > longest_ ? drop::long_frame : drop::none;
  }
  void make_room(session_id session, drop_counters& drops) {
    const auto same = [&](const auto& f) { return f.session == session; };
    const auto frames = static_cast<std::size_t>(std::count_if(frames_.begin(), frames_.end(), same));
    if (frames == 16 || (frames + 1) * longest_ > 256 * 1024) {
      frames_.erase(std::find_if(frames_.begin(), frames_.end(), same));
      drops.count(drop::reassembly_full);
    } else if ((frames_.size() + 1) * longest_ > 4 * 1024 * 1024) {
      frames_.pop_front();
      drops.count(drop::reassembly_full);
    }
  }

  std::size_t longest_;
  std::list<frame> frames_;
};

struct sent_slice {
  session_id session;
  std::uint64_t first;
  std::uint8_t index;
  std::uint8_t count;
  bytes slice;
};

// The slices of one frame as a sender makes them, sometimes with one that lies.
void send_frame(std::vector<sent_slice>& wire, session_id session, std::uint64_t first, std::size_t longest,
                std::mt19937_64& random) {
  const auto count = static_cast<std::uint8_t>(random() % 4 == 0 ? 2 + random() % 63 : 2 + random() % 5);
  const auto room = longest + (random() % 16 == 0 ? 40 : 0);
  const auto size = 1 + random() % (random() % 4 == 0 ? room / count + 3 : 60);
  const auto total = size * (count - 1U) + 1 + random() % size;
  const auto frame = frame_of(total, random());
  for (std::uint8_t i = 0; i < count; ++i) {
    const auto part = cut(frame, size, i);
    sent_slice s{session, first, i, count, bytes(part.begin(), part.end())};
    if (random() % 256 == 0) s.count = static_cast<std::uint8_t>(2 + random() % 63);
    if (random() % 256 == 0) s.slice.resize(1 + random() % (2 * size));
    if (s.index >= s.count) s.count = count;
    if (random() % 64 != 0) wire.push_back(s);            // loss
    if (random() % 32 == 0) wire.push_back(wire.back());  // repetition
  }
}

void run_model(std::size_t longest, std::uint32_t sessions, std::size_t steps, std::size_t in_flight, bool crowded) {
  reassembly real(longest);
  model expected(longest);
  drop_counters real_drops;
  drop_counters expected_drops;
  std::mt19937_64 random(longest);
  std::vector<sent_slice> wire;
  std::map<std::uint32_t, std::uint64_t> counters;
  auto now = start;
  std::size_t wrong = 0;
  std::size_t finished = 0;
  for (std::size_t i = 0; i < steps; ++i) {
    while (wire.size() < in_flight) {
      const auto s = static_cast<std::uint32_t>(1 + random() % sessions);
      send_frame(wire, session_id{s << 8}, counters[s], longest, random);  // shares buckets
      counters[s] += 64;
    }
    // Mostly near the front, so that frames finish; now and then from anywhere.
    const auto reach = crowded ? wire.size() : std::size_t{40};
    const auto at = random() % 32 == 0 ? random() % wire.size() : random() % std::min(wire.size(), reach);
    const auto s = std::move(wire[at]);
    wire.erase(wire.begin() + static_cast<std::ptrdiff_t>(at));
    now += std::chrono::microseconds(random() % 2048 == 0 ? 1'100'000 : random() % (crowded ? 60 : 2000));
    if (random() % 512 == 0) {
      real.forget(s.session, real_drops);
      expected.forget(s.session, expected_drops);
    }
    const auto whole = real.add(s.session, s.first + s.index, s.index, s.count, s.slice, now, real_drops);
    const auto want = expected.add(s.session, s.first, s.index, s.count, s.slice, now, expected_drops);
    wrong += std::equal(whole.begin(), whole.end(), want.begin(), want.end()) ? 0 : 1;
    wrong += real_drops == expected_drops ? 0 : 1;
    finished += want.empty() ? 0 : 1;
  }
  CAPTURE(longest);
  CHECK(wrong == 0);
  CHECK(finished > steps / 100);
  for (const auto reason : {drop::bad_record, drop::long_frame, drop::reassembly_expired}) {
    CHECK(expected_drops[reason] > 0);
  }
  if (crowded) CHECK(expected_drops[drop::reassembly_full] > 0);
}
}  // namespace

TEST_CASE("reassembly: random interleaving of frames, losses, repetitions and lies acts as a list of frames") {
  run_model(1302, 8, 60'000, 150, false);
  run_model(9238, 3, 30'000, 150, false);
  run_model(9238, 60, 60'000, 800, true);
  run_model(65'000, 40, 30'000, 200, true);
}
