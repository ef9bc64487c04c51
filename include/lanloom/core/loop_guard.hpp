// SPDX-License-Identifier: Apache-2.0
// loop_guard.hpp - finds out by probes whether our LAN is also reached outside the overlay, and decides who blocks.
//
// Every node with a guard writes a probe to its LAN every 500 ms; no probe crosses the overlay. So a peer's probe that
// comes in by our TAP has gone another way: both LANs are one. Invariants:
//  (1) of the nodes of our network that share a LAN, the one with the smallest public key is open and all others are
//      blocked, towards every peer; so with split horizon no loop remains, however many LANs are joined;
//  (2) a node that hears its own probe is blocked: its LAN loops by itself, or through a peer without a guard;
//  (3) nothing passes in the first second, in which two probes of any neighbour come by: a restart opens no loop;
//  (4) 3 s without such a probe open again what it blocked.
// A neighbour that should have blocked and still says that it is open after 2 s does not hear us: then we block.
// Pure: no frames, no output but news(). Memory is taken at construction. Thread: the node's. Owner: guard.
// Drop: stray_probe. Spec: PROTOCOL.md 7.
#pragma once

#include <lanloom/base/clock.hpp>
#include <lanloom/base/drop.hpp>
#include <lanloom/core/ids.hpp>
#include <lanloom/crypto/keys.hpp>
#include <lanloom/wire/probe.hpp>

#include <optional>
#include <span>
#include <vector>

namespace lanloom::core {

class loop_guard {
 public:
  static constexpr std::chrono::milliseconds probe_every{500};
  static constexpr std::chrono::seconds hold{1};
  static constexpr std::chrono::seconds yield_after{2};
  static constexpr std::chrono::seconds heal_after{3};
  static constexpr std::size_t max_news = 64;

  // Something to tell; without a peer it is about our LAN alone.
  struct news {
    enum class kind { blocked, seen, healed } what;  // seen: the other side blocks
    std::optional<peer_id> peer;
  };
  // For `lanloom status`. Blocked without `since`: the first second.
  struct report {
    bool blocked = false;
    std::optional<peer_id> peer;
    std::optional<duration> since;
  };

  // `peers`: their keys, in the order of their ids. `nonce` tells this start's probes from anybody else's.
  loop_guard(const std::array<std::uint8_t, 16>& network, const crypto::public_key& own,
             std::span<const crypto::public_key> peers, std::uint64_t nonce, time_point now);

  // Inputs. REQUIRES is_ours(probe).
  drop on_lan_probe(const wire::loop_probe& probe, time_point now) noexcept;
  drop on_peer_probe(peer_id from, const wire::loop_probe& probe, time_point now) noexcept;
  // Whether it is time to write our probe.
  [[nodiscard]] bool on_timer(time_point now) noexcept;

  // Another overlay's probes are none of our business: they must pass like any frame, since we may be the way by which
  // that overlay's loop closes.
  [[nodiscard]] bool is_ours(const wire::loop_probe& probe) const noexcept { return probe.network == own_.network; }
  [[nodiscard]] bool blocks(time_point now) const noexcept { return blocked_ || now < opens_at_; }
  [[nodiscard]] time_point due() const noexcept { return next_probe_; }
  [[nodiscard]] wire::loop_probe probe(time_point now) const noexcept;
  [[nodiscard]] report state(time_point now) const noexcept;

  [[nodiscard]] std::span<const news> pending() const noexcept { return news_; }
  void clear_news() noexcept { news_.clear(); }

 private:
  struct neighbour {
    std::optional<time_point> since;        // its probes come since
    time_point seen;                        // the last one did
    std::optional<time_point> open_since;   // it should be blocked, and says it is not
    std::optional<time_point> blocking_at;  // when it last was a reason for us to block
  };
  struct known {
    crypto::public_key key;
    peer_id peer;
  };

  void on_neighbour(std::optional<peer_id> who, bool is_reason, time_point now) noexcept;
  void tell(news::kind what, std::optional<peer_id> peer) noexcept;
  [[nodiscard]] neighbour& of(std::optional<peer_id> who) noexcept { return neighbours_[who ? who->value + 1U : 0U]; }

  wire::loop_probe own_;
  std::vector<known> known_;           // sorted by key
  std::vector<neighbour> neighbours_;  // we ourselves, then the peers by id
  time_point opens_at_;
  time_point next_probe_;
  bool blocked_ = false;
  std::vector<news> news_;
};

}  // namespace lanloom::core
