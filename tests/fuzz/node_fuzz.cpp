// SPDX-License-Identifier: Apache-2.0
// node_fuzz.cpp - three nodes on an underlay that the input rules: deliver, lose, repeat, alter, redirect, wait,
// restart, and what a handshake takes of a node's budget.
//
// The input is a list of commands of two bytes. Whatever it says: no frame arrives twice or altered, and afterwards, on
// an underlay that behaves, every pair is established again and frames pass.
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

void require(bool holds) {
  if (!holds) std::abort();
}

struct datagram {
  endpoint from, to;
  std::vector<std::uint8_t> bytes;
};

class mesh {
 public:
  mesh() {
    crypto::initialise();
    for (auto& k : keys_) k = crypto::make_key_pair(source_);
    for (std::size_t i = 0; i < members; ++i) start(i);
  }

  void start(std::size_t i) {
    node_config config{keys_[i].clone(), "lan", std::nullopt, wire::suite_bit_chacha20_poly1305, 1500, {}};
    std::vector<peer_config> peers;
    for (std::size_t j = 0; j < members; ++j) {
      if (j != i) peers.push_back({"n", keys_[j].public_half, std::nullopt, address(j), 25s});
    }
    nodes_[i] = std::make_unique<node>(std::move(config), std::move(peers), crypto::random(source_.u64()), clock());
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

  void command(std::uint8_t what, std::uint8_t argument) {
    const std::size_t at = on_the_way_.empty() ? 0 : argument % on_the_way_.size();
    const std::size_t who = argument % members;
    switch (what % 10) {
      case 0:
        return arrive_first(at);
      case 1:
        return lose(at);
      case 2:
        return on_the_way_.empty() ? void() : arrive(datagram(on_the_way_[at]));
      case 3:
        return alter(at, what);
      case 4:
        return on_the_way_.empty() ? void() : redirect(at);
      case 5:
        return pass(std::chrono::milliseconds(argument) * 40);
      case 6:
        return pass(std::chrono::seconds(argument));
      case 7:
        return send(who, argument < 128 ? frame_size : 1514);
      case 8:
        return argument % 4 == 0 ? start(who) : send(who, frame_size);
      case 9:
        cost_ = std::chrono::microseconds(argument) * 40;
    }
  }

  void pass(duration time) {
    const time_point end = now_ + time;
    while (now_ < end) {
      time_point next = end;
      for (const auto& n : nodes_) next = std::min(next, std::max(now_, n->next_timer()));
      now_ = next;
      for (std::size_t i = 0; i < members; ++i) {
        for (int turn = 0; nodes_[i]->next_timer() <= now_; ++turn) {
          require(turn < 16);
          nodes_[i]->on_timer(clock(), out_);
          carry_out(i);
          work(i);
        }
      }
    }
  }

  // A good underlay for a minute; then all must be well.
  void recover() {
    on_the_way_.clear();
    for (int k = 0; k < 600; ++k) {
      if (k % 10 == 0) send(static_cast<std::size_t>(k / 10) % members, frame_size);
      pass(100ms);
      while (!on_the_way_.empty()) arrive_first(0);
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
  [[nodiscard]] instant clock() const { return {now_, wall_time{1'700'000'000s} + now_.time_since_epoch()}; }

  void carry_out(std::size_t i) {
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
      nodes_[i]->work(clock(), out_);
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
  void alter(std::size_t at, std::uint8_t how) {
    if (on_the_way_.empty()) return;
    auto& bytes = on_the_way_[at].bytes;
    const std::size_t k = (how * 37U) % bytes.size();
    bytes[k] = static_cast<std::uint8_t>(bytes[k] ^ (1U << (how % 8)));
    if (how > 200) bytes.resize(how);
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
  std::array<std::unique_ptr<node>, members> nodes_;
  outbox out_;
  std::deque<datagram> on_the_way_;
  std::uint32_t number_ = 0;
  std::set<std::pair<std::size_t, std::uint32_t>> seen_;
};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  mesh m;
  for (std::size_t k = 0; k + 1 < std::min<std::size_t>(size, 1024); k += 2) m.command(input[k], input[k + 1]);
  m.recover();
  return 0;
}
