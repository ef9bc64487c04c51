// SPDX-License-Identifier: Apache-2.0
// node_pair.hpp - two core nodes that exchange datagrams by hand, as much set-up as `status` and the node process need.
#pragma once

#include <lanloom/app/node_channel.hpp>
#include <lanloom/core/node.hpp>
#include <lanloom/wire/payload.hpp>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lanloom::app::test {

inline crypto::key_pair keys_of(std::uint8_t seed) {
  crypto::initialise();
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(seed);
  crypto::key_pair keys;
  keys.secret_half = crypto::private_key(bytes);
  keys.public_half = crypto::derive_public(keys.secret_half);
  return keys;
}

// The node `name` whose one peer is `peer`.
inline node_setup example_setup(const std::string& name, std::uint8_t seed, const std::string& peer,
                                std::uint8_t peer_seed, std::optional<endpoint> remote) {
  node_setup s;
  s.instance = "lan";
  s.name = name;
  s.listen = "[::]:4780";
  s.tap = "vtap0";
  s.bridge = "br-lan";
  s.network = "lan";
  s.keys = keys_of(seed);
  s.suites = wire::suite_bit_chacha20_poly1305;
  s.peers.push_back({peer, keys_of(peer_seed).public_half, std::nullopt, remote, std::chrono::seconds{25}});
  return s;
}

inline std::unique_ptr<core::node> make_node(const node_setup& s, instant at) {
  core::node_config config;
  config.keys = s.keys.clone();
  config.network = s.network;
  config.suites = s.suites;
  config.mtu = s.mtu;
  config.guard = s.guard;
  std::vector<core::peer_config> peers;
  for (const auto& p : s.peers) {
    core::peer_config one;
    one.name = p.name;
    one.key = p.key;
    one.remotes = p.remotes;
    one.keepalive = p.keepalive;
    one.named = p.named;
    peers.push_back(std::move(one));
  }
  return std::make_unique<core::node>(std::move(config), std::move(peers), crypto::random(7), at);
}

// An Ethernet frame of a protocol that nothing else here speaks.
inline std::vector<std::uint8_t> example_frame(std::uint8_t to, std::uint8_t from, std::size_t size = 100) {
  std::vector<std::uint8_t> frame(size, 0x5a);
  const std::array<std::uint8_t, 14> header{2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 0x88, 0xb5};
  std::copy(header.begin(), header.end(), frame.begin());
  return frame;
}

inline void feed_frame(core::node& node, const std::vector<std::uint8_t>& frame, time_point now, core::outbox& out,
                       const offload& meta = {}) {
  std::vector<std::uint8_t> room(frame_headroom + frame.size());
  std::copy(frame.begin(), frame.end(), room.begin() + frame_headroom);
  node.on_frame({bytes_span(room).subspan(frame_headroom), meta}, now, out);
}

// alpha at 192.168.50.6 and beta at 192.168.50.5, on a clock that stands still until it is moved.
class node_pair {
 public:
  const endpoint alpha_address = endpoint::v4({192, 168, 50, 6}, 4780);
  const endpoint beta_address = endpoint::v4({192, 168, 50, 5}, 4780);
  node_setup alpha_setup, beta_setup;
  std::unique_ptr<core::node> alpha, beta;
  instant at{time_point(std::chrono::hours(1)), wall_time(std::chrono::hours(500'000))};

  explicit node_pair(std::uint16_t beta_mtu = 1500)
      : alpha_setup(example_setup("alpha", 1, "beta", 2, beta_address)),
        beta_setup(example_setup("beta", 2, "alpha", 1, alpha_address)) {
    beta_setup.mtu = beta_mtu;
    alpha = make_node(alpha_setup, at);
    beta = make_node(beta_setup, at);
  }

  // Timers and datagrams of both until neither has anything to say at this moment. Without beta, alpha's are lost.
  void settle(bool beta_lives = true) {
    for (int i = 0; i < 100; ++i) {
      bool quiet = turn(*alpha, beta_lives ? beta.get() : nullptr, alpha_address);
      if (beta_lives) quiet = turn(*beta, alpha.get(), beta_address) && quiet;
      if (quiet) return;
    }
  }
  void pass(duration d, bool beta_lives = true) {
    for (const time_point end = at.now + d; at.now < end;) {
      const duration step = std::min<duration>(std::chrono::milliseconds(100), end - at.now);
      at = {at.now + step, at.wall + step};
      settle(beta_lives);
    }
  }

 private:
  bool turn(core::node& from, core::node* to, const endpoint& address) {
    if (from.next_timer() <= at.now) from.on_timer(at, out_);
    while (from.has_work()) from.work(at, out_);
    std::vector<std::vector<std::uint8_t>> datagrams;
    for (const auto& train : out_.trains()) {
      for (std::size_t k = 0; k < train.bytes.size(); k += train.stride) {
        const auto one = train.bytes.subspan(k, std::min(train.stride, train.bytes.size() - k));
        datagrams.emplace_back(one.begin(), one.end());
      }
    }
    out_.clear();
    if (to == nullptr) return true;
    for (auto& d : datagrams) to->on_datagrams({d, d.size()}, address, at.now, out_);
    while (to->has_work()) to->work(at, out_);
    // What the other side answers at once.
    std::vector<std::vector<std::uint8_t>> answers;
    for (const auto& train : out_.trains()) answers.emplace_back(train.bytes.begin(), train.bytes.end());
    out_.clear();
    const endpoint& back = &address == &alpha_address ? beta_address : alpha_address;
    for (auto& d : answers) from.on_datagrams({d, d.size()}, back, at.now, out_);
    return datagrams.empty() && answers.empty() && out_.empty();
  }

  core::outbox out_;
};

}  // namespace lanloom::app::test
