// SPDX-License-Identifier: Apache-2.0
// node_fuzz.cpp - three nodes on an underlay that the input rules: deliver, lose, repeat, alter, redirect, wait,
// restart, set a clock, and what a handshake takes of a node's budget.
//
// The input is a list of commands of two bytes, some with more behind them. Whatever it says: no frame arrives twice or
// altered, and on an underlay that behaves every pair has a session 15 s later that both can use, sends under two
// different ones for at most 10 s from then on, and all frames pass.
#include <lanloom/core/node.hpp>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <memory>
#include <set>
#include <vector>

using namespace lanloom;
using namespace lanloom::core;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t members = 3;
constexpr std::size_t frame_size = 80;
constexpr auto recovered_after = 15s;  // the longest step of a retry
constexpr auto apart_at_most = 10s;

void require(bool holds) {
  if (!holds) std::abort();
}

struct datagram {
  endpoint from, to;
  std::vector<std::uint8_t> bytes;
};

// Of the input, and zeros behind its end.
struct reader {
  const std::uint8_t* at;
  const std::uint8_t* end;
  [[nodiscard]] bool more() const { return at != end; }
  std::uint8_t next() { return at == end ? std::uint8_t{0} : *at++; }
  std::size_t next16() {
    const std::size_t high = next();
    return high << 8 | next();
  }
};

class mesh {
 public:
  mesh() {
    crypto::initialise();
    for (auto& k : keys_) k = crypto::make_key_pair(source_);
    for (std::size_t i = 0; i < members; ++i) start(i);
  }

  // With what it saved before, if anything.
  void start(std::size_t i) {
    node_config config{keys_[i].clone(), "lan", std::nullopt, wire::suite_bit_chacha20_poly1305, 1500, {}};
    config.known = known_[i];
    std::vector<peer_config> peers;
    for (std::size_t j = 0; j < members; ++j) {
      if (j != i) peers.push_back({"n", keys_[j].public_half, std::nullopt, address(j), 25s});
    }
    nodes_[i] = std::make_unique<node>(std::move(config), std::move(peers), crypto::random(source_.u64()), clock(i));
  }

  // Who forgets its stamps and goes back in time is refused until it has caught up; that is the rule, and no fault.
  void restart(std::size_t i, bool forgets) {
    if (forgets && !went_back_[i]) known_[i] = {};
    start(i);
  }

  // Up to ten years either way.
  void set_clock(std::size_t i, std::int8_t months) {
    const duration to = months * std::chrono::hours(30 * 24);
    went_back_[i] = went_back_[i] || to < offset_[i];
    offset_[i] = to;
  }

  // A broadcast: who, number.
  void send(std::size_t i, std::size_t size) {
    std::vector<std::uint8_t> buffer(frame_headroom + size, 0x77);
    std::uint8_t* frame = buffer.data() + frame_headroom;
    std::fill_n(frame, 6, std::uint8_t{0xff});
    store_be32(frame + 6, 0x02000000);
    store_be16(frame + 10, static_cast<std::uint16_t>(i));
    store_be32(frame + 14, ++number_);
    nodes_[i]->on_frame({bytes_span(buffer).subspan(frame_headroom), {}}, now_, out_);
    carry_out(i);
  }

  void command(reader& input) {
    const std::uint8_t what = input.next();
    const std::uint8_t argument = input.next();
    const std::size_t at = on_the_way_.empty() ? 0 : argument % on_the_way_.size();
    const std::size_t who = argument % members;
    switch (what % 11) {
      case 0:
        return arrive_first(at);
      case 1:
        return lose(at);
      case 2:
        return on_the_way_.empty() ? void() : arrive(datagram(on_the_way_[at]));
      case 3:
        return alter(at, input);
      case 4:
        return on_the_way_.empty() ? void() : redirect(at);
      case 5:
        return pass(std::chrono::milliseconds(argument) * 40);
      case 6:
        return pass(std::chrono::seconds(argument));
      case 7:
        return send(who, argument < 128 ? frame_size : 1514);
      case 8:
        return argument % 4 == 0 ? restart(who, argument % 8 == 0) : send(who, frame_size);
      case 9:
        cost_ = std::chrono::microseconds(argument) * 40;
        return;
      case 10:
        return set_clock(who, static_cast<std::int8_t>(input.next()));
    }
  }

  void pass(duration time) {
    const time_point end = now_ + time;
    while (now_ < end) {
      time_point next = end;
      for (std::size_t i = 0; i < members; ++i) next = std::min(next, std::max(now_, due(i)));
      now_ = next;
      for (std::size_t i = 0; i < members; ++i) {
        for (int turn = 0; due(i) <= now_; ++turn) {
          require(turn < 16);
          nodes_[i]->on_timer(clock(i), out_);
          carry_out(i);
          work(i);
        }
      }
    }
  }

  // A good underlay; in time all must be well, and stay so through a rekey that falls into it.
  void recover() {
    on_the_way_.clear();
    constexpr auto tick = 100ms;
    constexpr auto observed = 45s;
    duration apart{};
    for (duration since{}; since < observed; since += tick) {
      if (since % 1s == 0s) send(static_cast<std::size_t>(since / 1s) % members, frame_size);
      pass(tick);
      while (!on_the_way_.empty()) arrive_first(0);
      if (since < recovered_after) continue;
      for (std::size_t i = 0; i < members; ++i) require(can_use(i));
      apart = agree() ? duration{} : apart + tick;
      require(apart <= apart_at_most);
    }
    for (std::size_t i = 0; i < members; ++i) {
      const std::size_t before = seen_.size();
      send(i, 1514);
      while (!on_the_way_.empty()) arrive_first(0);
      require(seen_.size() == before + members - 1);
      for (const auto& p : nodes_[i]->peers(now_)) require(p.now == peer_status::state::established);
    }
  }

 private:
  static endpoint address(std::size_t i) { return endpoint::v4({192, 0, 2, static_cast<std::uint8_t>(i)}, 4780); }
  [[nodiscard]] instant clock(std::size_t i) const {
    return {now_, wall_time{1'700'000'000s} + now_.time_since_epoch() + offset_[i]};
  }
  [[nodiscard]] time_point due(std::size_t i) const { return std::min(nodes_[i]->next_timer(), nodes_[i]->keep_due()); }

  // Under what `i` sends to `j`.
  [[nodiscard]] const session* sending(std::size_t i, std::size_t j) const {
    const lane& plane = nodes_[i]->data_plane();
    const peer_id peer{static_cast<std::uint16_t>(j < i ? j : j - 1)};
    return plane.can_send(peer, now_) ? plane.find(plane.of(peer).sending) : nullptr;
  }
  // Whether the others can open what it sends.
  [[nodiscard]] bool can_use(std::size_t i) const {
    for (std::size_t j = 0; j < members; ++j) {
      if (j == i) continue;
      const session* s = sending(i, j);
      if (s == nullptr || nodes_[j]->data_plane().find(session_id{s->who().remote}) == nullptr) return false;
    }
    return true;
  }
  // Whether each pair sends under one session.
  [[nodiscard]] bool agree() const {
    for (std::size_t i = 0; i < members; ++i) {
      for (std::size_t j = i + 1; j < members; ++j) {
        const session* ours = sending(i, j);
        const session* theirs = sending(j, i);
        if (ours == nullptr || theirs == nullptr || ours->who().remote != theirs->who().local.value) return false;
      }
    }
    return true;
  }

  void keep_state(std::size_t i) {
    if (nodes_[i]->keep_due() > now_) return;
    known_[i] = nodes_[i]->state();
    nodes_[i]->kept(true, now_);
  }

  void carry_out(std::size_t i) {
    keep_state(i);
    for (const auto& f : out_.frames()) {
      std::vector<std::uint8_t> bytes;
      for (const bytes_view s : f.slices) bytes.insert(bytes.end(), s.begin(), s.end());
      require(bytes.size() >= 18);
      require(load_be16(&bytes[10]) != i);
      const bool whole = std::all_of(bytes.begin() + 18, bytes.end(), [](std::uint8_t b) { return b == 0x77; });
      require(whole && seen_.emplace(i, load_be32(&bytes[14])).second);
    }
    for (const auto& t : out_.trains()) {
      for (std::size_t k = 0; k < t.bytes.size() && on_the_way_.size() < 256; k += t.stride) {
        const bytes_view one = t.bytes.subspan(k, std::min(t.stride, t.bytes.size() - k));
        on_the_way_.push_back({address(i), t.to, {one.begin(), one.end()}});
      }
    }
    out_.clear();
  }

  void arrive(datagram d) {
    for (std::size_t i = 0; i < members; ++i) {
      if (d.to != address(i)) continue;
      nodes_[i]->on_datagrams({d.bytes, d.bytes.size()}, d.from, now_, out_);
      carry_out(i);
      work(i);
    }
  }
  void work(std::size_t i) {
    while (nodes_[i]->may_work(now_)) {
      nodes_[i]->work(clock(i), out_);
      nodes_[i]->spent(cost_, now_);
      carry_out(i);
    }
  }
  void lose(std::size_t at) {
    if (!on_the_way_.empty()) on_the_way_.erase(on_the_way_.begin() + static_cast<std::ptrdiff_t>(at));
  }
  void arrive_first(std::size_t at) {
    if (on_the_way_.empty()) return;
    const datagram d = on_the_way_[at];
    lose(at);
    arrive(d);
  }
  // A bit, or the length: any shorter one, or up to 32 bytes more.
  void alter(std::size_t at, reader& input) {
    const std::uint8_t how = input.next();
    const std::size_t where = input.next16();
    if (on_the_way_.empty()) return;
    auto& bytes = on_the_way_[at].bytes;
    if (how % 4 == 3) {
      bytes.resize(bytes.size() + 1 + where % 32, how);
    } else if (bytes.empty() || how % 4 == 2) {
      bytes.resize(bytes.empty() ? 0 : where % bytes.size());
    } else {
      bytes[where % bytes.size()] ^= static_cast<std::uint8_t>(1U << (how / 4 % 8));
    }
  }
  void redirect(std::size_t at) {
    datagram d = on_the_way_[at];
    d.from = endpoint::v4({203, 0, 113, 1}, 1);
    arrive(std::move(d));
  }

  crypto::random source_{4711};
  time_point now_{1h};
  duration cost_{};  // of a handshake, out of a node's budget
  std::array<crypto::key_pair, members> keys_;
  std::array<saved_state, members> known_;
  std::array<duration, members> offset_{};  // of the wall clock
  std::array<bool, members> went_back_{};
  std::array<std::unique_ptr<node>, members> nodes_;
  outbox out_;
  std::deque<datagram> on_the_way_;
  std::uint32_t number_ = 0;
  std::set<std::pair<std::size_t, std::uint32_t>> seen_;
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  mesh m;
  reader commands{input, input + std::min<std::size_t>(size, 1024)};
  while (commands.more()) m.command(commands);
  m.recover();
  return 0;
}
