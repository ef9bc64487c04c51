// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/core/slots.hpp>

#include <algorithm>
#include <vector>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;

namespace {

// `who` is the initiator's key, of which the first byte is most significant.
slots::entry made(std::uint32_t id, std::uint8_t who, duration born = 0s, std::uint64_t boot_id = 1) {
  slots::entry e{session_id{id}, {}, boot_id, time_point{born}};
  e.initiator.bytes.fill(static_cast<std::uint8_t>(255 - who));
  e.initiator.bytes[0] = who;
  return e;
}
constexpr std::uint8_t low = 1;
constexpr std::uint8_t high = 2;

constexpr session_id none{};

using places = std::vector<std::uint32_t>;  // previous, current, next; 0: none
places of(const slots& s) {
  const auto id = [](const std::optional<slots::entry>& e) { return e ? e->id.value : 0; };
  return {id(s.previous()), id(s.current()), id(s.next())};
}
std::vector<std::uint32_t> sorted(const slots::retired& r) {
  std::vector<std::uint32_t> all;
  for (const session_id one : r.ids()) all.push_back(one.value);
  std::sort(all.begin(), all.end());
  return all;
}
using ids = std::vector<std::uint32_t>;

// Places filled by the rules themselves: 1 previous, 2 current (ours), far apart in time.
slots two() {
  slots s;
  CHECK(sorted(s.add_as_initiator(made(1, low, 0s), none)).empty());
  CHECK(sorted(s.add_as_initiator(made(2, low, 100s), none)).empty());
  REQUIRE(of(s) == places{1, 2, 0});
  return s;
}
}  // namespace

TEST_CASE("slots: the first session of an initiator is current") {
  slots s;
  CHECK(of(s) == places{0, 0, 0});
  CHECK(sorted(s.add_as_initiator(made(1, low), none)).empty());
  CHECK(of(s) == places{0, 1, 0});
}

TEST_CASE("slots: a responder's session is next, and drops an older next") {
  slots s = two();
  CHECK(sorted(s.add_as_responder(made(3, high, 200s))).empty());
  CHECK(of(s) == places{1, 2, 3});
  CHECK(sorted(s.add_as_responder(made(4, high, 201s))) == ids{3});
  CHECK(of(s) == places{1, 2, 4});
}

TEST_CASE("slots: as initiator without next, current becomes previous") {
  slots s = two();
  CHECK(sorted(s.add_as_initiator(made(3, low, 200s), none)) == ids{1});
  CHECK(of(s) == places{2, 3, 0});
}

TEST_CASE("slots: as initiator without next, a previous that the peer still sends under stays") {
  for (const std::uint32_t theirs : {1U, 2U, 3U, 9U}) {
    slots s = two();
    CHECK(sorted(s.add_as_initiator(made(3, low, 200s), session_id{theirs})) == ids{theirs == 1 ? 2U : 1U});
    CHECK(of(s) == places{theirs == 1 ? 1U : 2U, 3, 0});
  }
  slots s = two();
  CHECK(sorted(s.add_as_initiator(made(3, low, 200s, 9), session_id{1})) == ids{1, 2});  // of a boot that is over
  CHECK(of(s) == places{0, 3, 0});
}

TEST_CASE("slots: as initiator with a next that does not beat it, next becomes previous") {
  slots s = two();
  CHECK(sorted(s.add_as_responder(made(3, high, 200s))).empty());
  CHECK(sorted(s.add_as_initiator(made(4, low, 201s), none)) == ids{1, 2});
  CHECK(of(s) == places{3, 4, 0});
}

TEST_CASE("slots: as initiator with a next that beats it, next stays") {
  slots s = two();
  CHECK(sorted(s.add_as_responder(made(3, low, 200s))).empty());
  CHECK(sorted(s.add_as_initiator(made(4, high, 201s), none)) == ids{1});
  CHECK(of(s) == places{2, 4, 3});
}

TEST_CASE("slots: as initiator with a current that beats it, it becomes previous") {
  slots s = two();
  CHECK(sorted(s.add_as_initiator(made(3, high, 101s), none)) == ids{1});
  CHECK(of(s) == places{3, 2, 0});
}

TEST_CASE("slots: confirmed, next becomes current") {
  slots s = two();
  CHECK(sorted(s.add_as_responder(made(3, high, 200s))).empty());
  CHECK(sorted(s.confirm_next()) == ids{1});
  CHECK(of(s) == places{2, 3, 0});
  CHECK(sorted(s.confirm_next()).empty());
  CHECK(of(s) == places{2, 3, 0});
}

TEST_CASE("slots: confirmed, but beaten by current, next becomes previous") {
  slots s = two();
  CHECK(sorted(s.add_as_responder(made(3, high, 101s))).empty());
  CHECK(sorted(s.confirm_next()) == ids{1});
  CHECK(of(s) == places{3, 2, 0});
}

TEST_CASE("slots: beats needs less than 5 s, the smaller key, and the same boot of the peer") {
  struct row {
    duration apart;
    std::uint8_t current, next;
    std::uint64_t boot_id;
    bool beats;
  };
  for (const row r : {row{0s, low, high, 1, true}, row{4999ms, low, high, 1, true}, row{5s, low, high, 1, false},
                      row{-4999ms, low, high, 1, true}, row{-5s, low, high, 1, false}, row{0s, high, low, 1, false},
                      row{0s, low, low, 1, false}, row{0s, low, high, 2, false}}) {
    CAPTURE(r.apart.count());
    CAPTURE(r.current);
    slots s;
    static_cast<void>(s.add_as_initiator(made(1, r.current, 100s), none));
    static_cast<void>(s.add_as_responder(made(2, r.next, 100s + r.apart, r.boot_id)));
    static_cast<void>(s.confirm_next());
    CHECK(s.current()->id.value == (r.beats ? 1 : 2));
  }
}

TEST_CASE("slots: a confirmed session with another boot drops those of the old one, an unconfirmed does not") {
  slots s = two();
  CHECK(sorted(s.add_as_responder(made(3, high, 200s, 9))).empty());
  CHECK(of(s) == places{1, 2, 3});
  CHECK(sorted(s.confirm_next()) == ids{1, 2});
  CHECK(of(s) == places{0, 3, 0});

  slots t = two();
  CHECK(sorted(t.add_as_responder(made(3, low, 200s))).empty());
  CHECK(sorted(t.add_as_initiator(made(4, high, 201s, 9), none)) == ids{1, 2, 3});
  CHECK(of(t) == places{0, 4, 0});
}

TEST_CASE("slots: a bye ends the sessions of its boot only") {
  slots s = two();
  static_cast<void>(s.add_as_responder(made(3, high, 200s, 9)));
  CHECK(sorted(s.end_boot_of(session_id{77})).empty());
  CHECK(sorted(s.end_boot_of(session_id{2})) == ids{1, 2});
  CHECK(of(s) == places{0, 0, 3});
  CHECK(sorted(s.end_boot_of(session_id{3})) == ids{3});
  CHECK(of(s) == places{0, 0, 0});
}

TEST_CASE("slots: what reaches its age goes, whatever its place") {
  slots s = two();
  static_cast<void>(s.add_as_responder(made(3, high, 150s)));
  CHECK(sorted(s.expire(time_point{185s - 1ns}, 185s)).empty());
  CHECK(sorted(s.expire(time_point{185s}, 185s)) == ids{1});
  CHECK(sorted(s.expire(time_point{285s}, 185s)) == ids{2});
  CHECK(of(s) == places{0, 0, 3});
  CHECK(sorted(s.expire(time_point{335s}, 185s)) == ids{3});
}
