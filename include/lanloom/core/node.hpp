// SPDX-License-Identifier: Apache-2.0
// node.hpp - the protocol of one host, sans-IO: bytes and clock readings in, an outbox out.
//
// The control plane (peers, handshakes, timers, endpoints) around one lane, the data plane. Grammar: on_* are inputs,
// nouns are questions, verbs are commands. After any input or command the outbox is carried out and cleared.
// Invariants: (1) same inputs and same random source, same outputs; (2) an initiation costs a peer's state only after
// it verified, and no reply is larger than its cause; (3) handshakes are computed by work(), one a call, so that frames
// flow between them; their queue and their share of the time are bounded (flood_gate.hpp); (4) where keep_due() is
// obeyed, no two nodes with one key send the same stamp, whatever ended the first. Thread: one. Owns everything of
// core. Throws only from the constructor. Spec: PROTOCOL.md 5.
#pragma once

#include <lanloom/core/flood_gate.hpp>
#include <lanloom/core/peer.hpp>
#include <lanloom/core/saved_state.hpp>
#include <lanloom/crypto/random.hpp>

#include <map>

namespace lanloom::core {

struct node_config {
  crypto::key_pair keys;
  std::string network = "lan";
  std::optional<crypto::secret<32>> network_secret;
  std::uint8_t suites = wire::suite_bit_chacha20_poly1305;  // offered and accepted
  std::uint16_t mtu = 1500;
  std::vector<wire::mac_address> own_macs;
  bool guard = false;  // this host's bridge reaches a LAN of others: loop probes and storm limit (guard.hpp)
  crypto::gcm_engine engine{};
  saved_state known{};  // by this host before
  std::uint16_t port = 0;  // of the underlay's socket, by which our own datagrams are known; 0: they are not
};

class node {
 public:
  static constexpr std::chrono::milliseconds known_refresh{100};  // of the peers' addresses, under load
  static constexpr std::chrono::milliseconds accept_gap{20};
  static constexpr std::chrono::milliseconds start_pace{2};  // between the first initiations to different peers
  static constexpr std::chrono::seconds initiation_life{20};
  static constexpr unsigned notice_burst = 10;  // of one peer; then one in notice_pace: no peer fills a log
  static constexpr std::chrono::seconds notice_pace{10};
  static constexpr unsigned forgets_sent = 3;       // a loop's change is told so often: at once, then with each probe
  static constexpr unsigned unreachable_after = 5;  // initiations without an answer
  static constexpr std::chrono::seconds lately_used{
      10};                                           // since the last datagram either way: told of a change of network
  static constexpr std::chrono::seconds overdue{1};  // so long without an answer then is silence
  static constexpr unsigned names_after = 2;         // attempts without an answer a peer's names are asked for again
  static constexpr std::chrono::seconds names_gap{30}, longest_names_gap{300};  // and then, twice as late each time
  static constexpr std::size_t max_peers = 1024;
  static constexpr std::chrono::seconds keep_pace{1};  // between two savings of the state
  // What is saved is so far ahead of our stamps, and again when less than the margin is left: longer than a rekey
  // takes.
  static constexpr std::chrono::minutes stamp_reserve{5};
  static constexpr std::chrono::minutes stamp_margin{3};

  // REQUIRES peers with distinct keys, none ours, at most max_peers.
  node(node_config config, std::vector<peer_config> peers, crypto::random source, instant at);
  node(const node&) = delete;
  node& operator=(const node&) = delete;

  // Inputs.
  // `more`: others are ready behind it, and end_drain() comes after the last of them.
  void on_frame(const super_frame& frame, time_point now, outbox& out, bool more = false);
  void end_drain(time_point now, outbox& out);
  void on_datagrams(std::span<const received> batch, time_point now, outbox& out);
  void on_datagrams(const datagram_train& train, const endpoint& from, time_point now, outbox& out) {
    const received one{from, train};
    on_datagrams(std::span(&one, 1), now, out);
  }
  void on_timer(instant at, outbox& out);
  bool on_too_large(peer_id peer, std::size_t size) noexcept { return lane_.on_too_large(peer, size); }
  // This host's addresses or routes are others: who waits for nothing but our next datagram gets one, and who is silent
  // is called again. Whoever calls this bounds its rate.
  void on_network_change(time_point now, outbox& out);
  void on_lost(drop reason, std::uint64_t packets) noexcept { lane_.drops().count(reason, packets); }

  // Commands.
  void set_tap_offloads(const tap_offloads& taken) noexcept { lane_.set_tap_offloads(taken); }
  // Computes one waiting handshake; whether more wait. may_work() says whether time may be spent on it now, and who
  // measured what it took tells spent().
  bool work(instant at, outbox& out);
  void spent(duration cost, time_point now) noexcept { gate_.budget().spend(cost, now); }
  void say_bye(time_point now, outbox& out);
  // The state was saved, or could not be. Then it is tried again after keep_pace.
  void kept(bool saved, time_point now) noexcept;
  // Where the peer may be from now on. Nothing is undone that works.
  void set_candidates(peer_id id, const candidates& found, time_point now);

  // Questions.
  [[nodiscard]] time_point next_timer() const noexcept { return std::min({next_, lane_.wake(), gate_.due()}); }
  [[nodiscard]] bool has_work() const noexcept { return !gate_.queue().empty(); }
  [[nodiscard]] bool may_work(time_point now) noexcept { return has_work() && gate_.budget().allows(now); }
  // When the state is to be saved: before the outbox is carried out, if the time has come. Never (max) while nothing of
  // it has changed. next_timer() does not know of it, since not everybody saves.
  [[nodiscard]] time_point keep_due() const noexcept;
  [[nodiscard]] saved_state state() const;
  [[nodiscard]] saved_state last_state() const;  // of a node that sends no initiation any more
  [[nodiscard]] std::vector<peer_status> peers(time_point now) const;
  [[nodiscard]] const lane& data_plane() const noexcept { return lane_; }

 private:
  using waiting = handshake_queue::waiting;

  void settle(time_point now, outbox& out);
  void on_event(const lane::event& e, time_point now, outbox& out);
  drop on_handshake(bytes_view datagram, const endpoint& from, time_point now, outbox& out) noexcept;
  drop on_cookie_reply(const wire::cookie_reply_view& reply, time_point now) noexcept;
  [[nodiscard]] bool knows(const endpoint& from, time_point now) noexcept;
  void on_confirmed(peer_id id, session_id session, const endpoint& from, time_point now, outbox& out);
  void on_moved(peer_id id, const endpoint& from, time_point now, outbox& out);
  void on_pong(peer_id id, std::uint64_t token, const endpoint& from, time_point now, outbox& out);
  void on_bye(peer_id id, session_id session, time_point now, outbox& out);

  drop on_initiation(const waiting& message, time_point now, outbox& out);
  drop on_response(const waiting& message, time_point now, outbox& out);
  [[nodiscard]] peer::pending* awaiting(session_id index) noexcept;
  void install(peer_id id, session_id index, bool initiator, agreement&& keys, time_point now);
  void on_loop_news(time_point now, outbox& out);
  void send_forget(time_point now, outbox& out);
  void send_to_all(bytes_view record, time_point now, outbox& out);
  void say(peer_id id, outbox::notice::kind what, time_point now, outbox& out);
  void established(peer_id id, const endpoint& from, time_point now, outbox& out);
  void retire(peer_id id, const slots::retired& ids) noexcept;

  void on_peer_timer(peer_id id, instant at, outbox& out);
  void send_initiation(peer_id id, instant at, outbox& out);
  void reserve_stamps(const wire::tai64n& sent) noexcept;
  void remember(const saved_state::peer& known) noexcept;
  void set_remote(peer_id id, const endpoint& remote) noexcept;
  void want_names(peer_id id, time_point now, outbox& out) noexcept;
  void give_up(peer& p, std::vector<peer::pending>::iterator one) noexcept;
  [[nodiscard]] time_point deadline(peer_id id, time_point now) const noexcept;
  [[nodiscard]] const crypto::secret<32>& psk_of(const peer& p) const noexcept;
  [[nodiscard]] double random_fraction() noexcept;
  void refresh(peer_id id, time_point now) noexcept { next_ = std::min(next_, deadline(id, now)); }

  crypto::random random_;
  network network_;
  self self_;
  network::mac1_key own_mac1_;
  std::vector<peer> peers_;
  std::map<crypto::public_key, peer_id> by_key_;
  lane lane_;
  flood_gate gate_;
  std::vector<endpoint> known_;  // where peers are, in order; as of known_at_
  std::optional<time_point> known_at_;
  token_bucket own_loop_notices_;
  unsigned forgets_due_ = 0;
  time_point next_ = time_point::max();

  wire::tai64n sent_;     // our latest stamp, of this life or an earlier one
  wire::tai64n reserve_;  // to be saved: none of this life is later
  wire::tai64n saved_reserve_;
  bool changed_ = false;  // since the state was saved
  bool urgent_ = false;   // what is in the outbox has a stamp later than saved_reserve_
  std::optional<time_point> kept_at_;
};

}  // namespace lanloom::core
