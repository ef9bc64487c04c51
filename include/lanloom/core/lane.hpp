// SPDX-License-Identifier: Apache-2.0
// lane.hpp - the data plane: everything a frame touches on its way between TAP and underlay.
//
// A switch with one local port (this host's bridge) and one port per peer. Owns sessions, FDB, reassembly, staged
// frames and the counters. Knows no handshake: node gives it sessions (install, retire, set_sending) and takes its
// events. Invariants:
//  (1) nothing of a peer's state, the FDB or an endpoint changes before a datagram's tag verified;
//  (2) a frame from a peer goes to the TAP and to no peer;
//  (3) no allocation, lock, clock call or log line per frame (a frame that waits for a session is copied);
//  (4) every frame or datagram that ends here is counted in drops() with its reason.
// Thread: the node's. Owner: node. Spec: PROTOCOL.md 3, 4, 6. Functions in lane.cpp stand in packet order.
#pragma once

#include <lanloom/base/drop.hpp>
#include <lanloom/base/super_frame.hpp>
#include <lanloom/core/candidates.hpp>
#include <lanloom/core/fdb.hpp>
#include <lanloom/core/guard.hpp>
#include <lanloom/core/outbox.hpp>
#include <lanloom/core/outgoing.hpp>
#include <lanloom/core/own_datagrams.hpp>
#include <lanloom/core/packs.hpp>
#include <lanloom/core/path_pings.hpp>
#include <lanloom/core/reassembly.hpp>
#include <lanloom/core/runs.hpp>
#include <lanloom/core/session.hpp>
#include <lanloom/core/staging.hpp>
#include <lanloom/wire/record.hpp>

#include <memory>
#include <optional>

namespace lanloom::core {

// A super-frame counts as one frame, as the kernel counts it.
struct traffic {
  std::uint64_t rx_frames = 0, rx_bytes = 0;  // towards this host
  std::uint64_t tx_frames = 0, tx_bytes = 0;
};

class lane {
 public:
  static constexpr std::chrono::seconds passive_keepalive{10};
  static constexpr std::chrono::seconds dead_peer{15};
  static constexpr std::chrono::seconds settle_after{5};
  static constexpr std::chrono::seconds encapsulated_pace{10};  // between reports of our own datagrams from the TAP
  static constexpr std::chrono::milliseconds ping_stagger{1};   // between peers that data begins to flow to at once
  // Of what a peer may have us forget: to learn anew costs floods.
  static constexpr token_bucket::rate forget_rate{std::chrono::milliseconds{500}, 6};

  // What the data plane knows of a peer. Stamps are none when there is nothing they could say.
  struct link {
    session_id sending;              // current session; 0: none
    session_id theirs;               // under which the peer sends, where that is another long after `sending` began
    session_id brings;               // under which its last segment came
    std::optional<endpoint> remote;  // where datagrams go
    candidates elsewhere;            // where handshakes go, too
    std::optional<time_point> last_sent;
    std::optional<time_point> last_received;     // authenticated
    std::optional<time_point> unanswered_since;  // first data sent since then
    std::optional<time_point> owed_since;        // data came, and nothing was sent since
    std::optional<time_point> probed;            // last time a new address was reported
    bool settles = false;                        // where the two ends differ, it is ours to begin a handshake
    bool wanted = false;                         // a session was asked for in this turn
    token_bucket forgets;                        // that it may ask for
    traffic counters;
    path_pings path;
  };

  // What node must act on, in order. `datagram` is borrowed from the input.
  struct event {
    enum class kind { wanted, confirmed, moved, pong, bye, handshake, encapsulated } what;
    peer_id peer;
    session_id session;
    endpoint from;
    std::uint64_t token;
    bytes_view datagram;
  };
  static constexpr std::size_t max_events = 1024;

  // `mtu` of the LAN; `own` addresses that no peer may use as source.
  lane(std::size_t peers, std::uint16_t mtu, std::vector<wire::mac_address> own, crypto::random& source);

  // Inputs.
  // `more`: others are ready behind it. Small frames may then share a datagram, until end_drain().
  void on_frame(const super_frame& frame, bool more, time_point now, outbox& out) noexcept;
  void end_drain(time_point now, outbox& out) noexcept;
  // One batch: the segments it brings leave in it, and nothing of it is kept.
  void on_datagrams(std::span<const received> batch, time_point now, outbox& out) noexcept;
  void on_timer(time_point now, outbox& out) noexcept;
  // The kernel said that a datagram of `size` bytes to this peer is larger than its path. Whether it was but a ping
  // that asked for this.
  bool on_too_large(peer_id peer, std::size_t size) noexcept;

  // What the TAP takes. At first everything.
  void set_tap_offloads(const tap_offloads& taken) noexcept { tap_offloads_ = taken; }

  // Commands of node.
  [[nodiscard]] session_id reserve(peer_id peer, crypto::random& source) noexcept;
  void release(session_id id) noexcept;                  // reserved or installed
  void install(std::unique_ptr<session> made) noexcept;  // under its reserved local id
  void set_sending(peer_id peer, session_id id) noexcept;
  void set_elsewhere(peer_id peer, const candidates& found) noexcept { links_[peer.value].elsewhere = found; }
  void set_port(std::uint16_t ours) noexcept { own_datagrams_ = own_datagrams(ours); }  // of the underlay's socket
  void set_settles(peer_id peer, bool ours) noexcept { links_[peer.value].settles = ours; }
  void set_remote(peer_id peer, const endpoint& remote) noexcept;  // another address: its path is not known yet
  void forget_own_address(peer_id peer) noexcept;                  // endpoint::own, until the peer speaks again
  // Pings by which its path is measured, where they are due. REQUIRES can_send().
  void ping_path(peer_id peer, crypto::random& source, time_point now, outbox& out) noexcept;
  // Seals a record (empty: a keepalive) under the sending session. False when there is none that may send.
  bool send_record(peer_id peer, const endpoint& to, bytes_view record, time_point now, outbox& out) noexcept;
  // Sends what waited for this peer's session; false when nothing did.
  bool send_staged(peer_id peer, time_point now, outbox& out) noexcept;
  void discard_staged(peer_id peer) noexcept { drops_.count(drop::staging_expired, staging_.discard(peer)); }
  void clear_unanswered(peer_id peer) noexcept { links_[peer.value].unanswered_since.reset(); }
  void set_guard(std::unique_ptr<guard> made) noexcept { guard_ = std::move(made); }
  void clear_news() noexcept { guard_->clear_news(); }  // REQUIRES loops()
  void forget_ways() noexcept;                          // hosts may be behind another port now
  void clear_events() noexcept;
  void clear_wake() noexcept { wake_ = time_point::max(); }

  // Queries.
  [[nodiscard]] std::span<const event> events() const noexcept { return events_; }
  // When a stamp set since clear_wake() may be due, or on_timer() has something to do.
  [[nodiscard]] time_point wake() const noexcept;
  [[nodiscard]] const link& of(peer_id peer) const noexcept { return links_[peer.value]; }
  [[nodiscard]] const session* find(session_id id) const noexcept;
  [[nodiscard]] std::optional<peer_id> owner(session_id id) const noexcept;
  [[nodiscard]] bool can_send(peer_id peer, time_point now) const noexcept;
  [[nodiscard]] const loop_guard* loops() const noexcept { return guard_ ? &guard_->loops() : nullptr; }
  [[nodiscard]] const fdb& table() const noexcept { return fdb_; }
  [[nodiscard]] const traffic& tap() const noexcept { return tap_; }  // rx: written to the TAP
  [[nodiscard]] drop_counters& drops() noexcept { return drops_; }
  [[nodiscard]] const drop_counters& drops() const noexcept { return drops_; }

 private:
  struct place {
    session_id id;
    peer_id peer;
    std::unique_ptr<session> installed;
  };
  struct addressed;  // an authenticated record with where it came from

  std::optional<drop> guard_stops_leaving(bytes_view frame, time_point now) noexcept;
  std::optional<drop> guard_stops_entering(peer_id peer, bytes_view frame, const wire::ethernet_header& header,
                                           std::size_t packets, time_point now) noexcept;

  [[nodiscard]] bool is_to_peer(const endpoint& to, time_point now) noexcept;
  drop switch_frame(const super_frame& frame, time_point now, outbox& out) noexcept;
  drop send_frame(peer_id peer, outgoing& frame, bool may_wait, time_point now, outbox& out) noexcept;
  void pack_frame(peer_id peer, bytes_view frame, std::size_t room, time_point now, outbox& out) noexcept;
  void send_pack(packs::pack& pack, time_point now, outbox& out) noexcept;
  void note_data(link& to, std::size_t bytes, time_point now) noexcept {
    if (to.path.on_data(bytes, now)) wake_at(to.path.due());
  }
  void after_sending(link& to, const session& under, peer_id peer, bool is_payload, time_point now) noexcept;

  drop on_datagram(bytes_span datagram, const endpoint& from, time_point now, outbox& out) noexcept;
  drop on_record(const addressed& from, bytes_view plain, time_point now, outbox& out) noexcept;
  drop on_segment(const addressed& from, const wire::train_view& segment, time_point now, outbox& out) noexcept;
  void deliver_runs(time_point now, outbox& out) noexcept;
  drop deliver_run(runs::run run, time_point now, outbox& out) noexcept;
  drop on_fragment(const addressed& from, const wire::fragment_view& fragment, time_point now, outbox& out) noexcept;
  drop deliver(peer_id peer, bytes_view frame, time_point now, outbox& out) noexcept;
  drop check_arrived(const std::optional<wire::ethernet_header>& header) const noexcept;
  void delivered(peer_id peer, const wire::ethernet_header& header, std::size_t frames, std::size_t bytes,
                 time_point now) noexcept;

  [[nodiscard]] session* find_mutable(session_id id) noexcept;
  void want(peer_id peer) noexcept;
  [[nodiscard]] bool report(const event& e) noexcept;
  void wake_at(time_point when) noexcept { wake_ = std::min(wake_, when); }

  std::size_t max_frame_;               // MTU + 22
  std::vector<wire::mac_address> own_;  // sorted
  own_datagrams own_datagrams_{0};
  std::optional<time_point> encapsulated_;  // when that was last reported
  std::vector<link> links_;
  std::vector<place> places_;  // size is a power of two
  fdb fdb_;
  reassembly reassembly_;
  packs packs_;
  bool draining_ = false;
  runs runs_;
  tap_offloads tap_offloads_ = all_tap_offloads;
  std::vector<std::uint8_t> scratch_;  // one frame with headroom
  staging staging_;
  std::unique_ptr<guard> guard_;  // none: off
  std::vector<event> events_;
  time_point wake_ = time_point::max();
  traffic tap_;
  drop_counters drops_;
};

}  // namespace lanloom::core
