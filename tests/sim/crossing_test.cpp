// SPDX-License-Identifier: Apache-2.0
// crossing_test.cpp - two nodes that call each other at the same moment: every order of delivery, every loss.
//
// An exploration by re-execution: a schedule is a list of choices (which waiting datagram next; deliver, lose or repeat
// it), and each schedule runs on fresh nodes. Whatever happened to the four datagrams of the two handshakes and to what
// they caused, both ends must end on one session, at once when nothing was lost.
#include "sim/network.hpp"

#include <doctest/doctest.h>

using namespace lanloom;
using namespace lanloom::sim;

namespace {

// One path through a tree whose branches are known only while it is walked.
class path {
 public:
  std::size_t pick(std::size_t of) {
    if (at_ == taken_.size()) taken_.push_back({0, of});
    REQUIRE(taken_[at_].of == of);  // the nodes are deterministic, or nothing here means anything
    return taken_[at_++].branch;
  }
  // To the next path; false when all were walked.
  bool advance() {
    at_ = 0;
    while (!taken_.empty() && ++taken_.back().branch == taken_.back().of) taken_.pop_back();
    return !taken_.empty();
  }
  [[nodiscard]] std::string text() const {
    std::string all;
    for (const auto& [branch, of] : taken_) all += std::to_string(branch) + "/" + std::to_string(of) + " ";
    return all;
  }

 private:
  struct taken {
    std::size_t branch, of;
  };
  std::vector<taken> taken_;
  std::size_t at_ = 0;
};

struct scenario {
  std::string name;
  setup with;
  duration step;              // between two deliveries
  bool repeats;               // one datagram may be delivered and stay on the way
  std::size_t moments;        // at one of so many, a choice too, both send a frame if they have a session
  void (*prepare)(network&);  // ends with the initiations of both waiting
};

// Neither knows of the other.
void from_nothing(network& net) {
  net.held = true;
  net.start_all();
  net.run_for(1ms);
}

// Both have frames for the other, and keys that are too old.
void with_frames_waiting(network& net) {
  net.start_all();
  REQUIRE(net.run_while_not([&] { return net.agree(0, 1); }, 15s));
  net.flood(0);
  net.flood(1);
  net.run_for(250s);
  REQUIRE(net.sending(0, 1) == nullptr);
  net.held = true;
  net.send_frame(0, 1);
  net.send_frame(1, 0);
  net.run_for(1ms);
}

// Both share a living session and doubt it: nothing came for 15 s.
void with_a_living_session(network& net) {
  net.start_all();
  REQUIRE(net.run_while_not([&] { return net.agree(0, 1); }, 15s));
  net.flood(0);
  net.flood(1);
  net.run_for(6s);
  net.cut = [](const datagram& d) { return d.bytes[0] == 4; };
  net.held = true;
  net.send_frame(0, 1);
  net.send_frame(1, 0);
  REQUIRE(net.run_while_not([&] { return net.waiting().size() == 2; }, 17s));
  net.cut = nullptr;
}

struct outcome {
  bool lossless = true;
  bool agreed_at_once = false;
};

outcome deliver_all(network& net, const scenario& s, path& choices) {
  outcome result;
  bool may_repeat = s.repeats;
  const std::size_t moment = s.moments == 0 ? SIZE_MAX : choices.pick(s.moments) + 1;
  for (std::size_t turn = 0; !net.waiting().empty(); ++turn) {
    if (turn == moment) {
      if (net.sending(0, 1) != nullptr) net.flood(0);
      if (net.sending(1, 0) != nullptr) net.flood(1);
    }
    const std::size_t waiting = net.waiting().size();
    const std::size_t choice = choices.pick(waiting * (may_repeat ? 3 : 2));
    const std::size_t which = choice % waiting;
    if (choice / waiting == 0) {
      net.deliver_waiting(which);
    } else if (choice / waiting == 1) {
      net.lose_waiting(which);
      result.lossless = false;
    } else {
      const datagram d = net.waiting()[which];
      net.inject(d.to, d.from, d.bytes);
      may_repeat = false;
    }
    net.run_for(s.step);
  }
  result.agreed_at_once = net.agree(0, 1);
  return result;
}

// A ping or pong that measures the path: of no weight here, and each would multiply the schedules.
bool measures(const datagram& d) {
  const std::size_t plain = d.bytes.size() - wire::data_overhead;
  return d.bytes[0] == 4 && (plain == wire::ping_size || plain == wire::pong_size || plain > 1000);
}

// From now on nothing is lost: one session, and every frame arrives.
void check_settled(network& net) {
  net.release();
  for (int k = 0; k < 40; ++k) {
    for (const std::size_t i : {0U, 1U}) net.flood(i);
    net.run_for(400ms);
  }
  REQUIRE(net.agree(0, 1));
  std::vector<std::uint32_t> numbers[2];
  const core::session* const agreed = net.sending(0, 1);
  for (int k = 0; k < 20; ++k) {
    for (const std::size_t i : {0U, 1U}) numbers[i].push_back(net.flood(i));
    net.run_for(400ms);
    REQUIRE(net.agree(0, 1));
    REQUIRE(net.sending(0, 1) == agreed);
  }
  for (const std::size_t i : {0U, 1U}) {
    for (const auto number : numbers[i]) REQUIRE(net.has(1 - i, i, number));
  }
  REQUIRE(net.faults().empty());
}

std::size_t explore(const scenario& s) {
  std::size_t schedules = 0;
  path choices;
  do {
    network net(s.with);
    s.prepare(net);
    net.cut = measures;
    REQUIRE(net.waiting().size() == 2);
    const outcome o = deliver_all(net, s, choices);
    INFO(s.name << ", keys " << std::string(s.with.descending_keys ? "descending" : "ascending") << ", choices "
                << choices.text());
    if (o.lossless) REQUIRE(o.agreed_at_once);
    check_settled(net);
    ++schedules;
  } while (choices.advance());
  return schedules;
}
}  // namespace

TEST_CASE("crossing handshakes end on one session, in every order and with every loss") {
  const bool thorough = rounds(0, 1) != 0;
  for (const bool descending : {false, true}) {
    const setup quiet{.keepalive = 0s, .descending_keys = descending};
    const setup lively{.descending_keys = descending};
    const scenario all[] = {
        {"from nothing", lively, 5ms, thorough, 0, from_nothing},
        {"from nothing, slowly", lively, 17ms, false, 0, from_nothing},
        {"with frames waiting", quiet, 5ms, thorough, 0, with_frames_waiting},
        {"with a living session", lively, 300ms, thorough, 0, with_a_living_session},
        {"from nothing, frames between", lively, 5ms, false, thorough ? 5U : 2U, from_nothing},
    };
    for (const scenario& s : all) {
      const std::size_t schedules = explore(s);
      MESSAGE(s.name << ": " << schedules << " schedules");
      CHECK(schedules > 100);
    }
  }
}
