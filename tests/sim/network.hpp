// SPDX-License-Identifier: Apache-2.0
// network.hpp - a mesh of core::node on a virtual clock: links that delay, lose, repeat and reorder, and LANs of one
// host or of several.
//
// Invariants: (1) same setup and same calls, same run: every choice comes from the seed; (2) every frame says who sent
// it and as what number, so what arrives twice, altered, or at its own sender is found out and listed in faults(); (3)
// nothing happens between two calls of run_*: time stands still. Node i is peer j of another node by peer_of(). An
// underlay that is held keeps datagrams until the test delivers or loses them, one by one, in any order.
#pragma once

#include <lanloom/core/node.hpp>

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace lanloom::sim {

using namespace std::chrono_literals;

// Of the whole underlay. Jitter reorders.
struct conditions {
  duration delay = 10ms;
  duration jitter{};
  double loss = 0;
  double duplicates = 0;
  std::size_t path_mtu =
      1500;  // of the hosts' interfaces: what is larger is refused. Further away it would vanish (cut)
};

struct setup {
  std::size_t nodes = 2;
  std::uint64_t seed = 1;
  std::chrono::seconds keepalive{25};
  std::uint16_t mtu = 1500;
  std::uint8_t suites = wire::suite_bit_chacha20_poly1305;
  bool descending_keys = false;  // keys are ordered as the nodes are, or the other way
  bool keeps_state = true;       // nodes save what they are to remember, and find it when they start again
  // Last word on a node's configuration, each time it starts.
  std::function<void(std::size_t node, core::node_config&, std::vector<core::peer_config>&)> edit = {};
};

struct datagram {
  std::size_t sender;
  endpoint from;
  endpoint to;
  std::vector<std::uint8_t> bytes;
};

struct delivery {
  std::size_t source;
  std::uint32_t number;
  time_point at;
};

class network {
 public:
  static constexpr std::size_t nobody = SIZE_MAX;
  static constexpr std::size_t everybody = 0xffff;

  explicit network(setup with);

  conditions link;                              // may be changed at any time
  bool held = false;                            // datagrams wait in waiting() instead of travelling
  duration handshake_cost{};                    // what computing one takes of a node's budget
  std::function<bool(const datagram&)> cut;     // true: never arrives
  std::function<void(const datagram&)> tapped;  // sees everything that is sent

  // Nodes.
  void start(std::size_t i);  // a new node, with a new boot id; what was before is gone without a word
  void start_all();
  void stop(std::size_t i) { nodes_[i].reset(); }
  void end(std::size_t i);  // in order: it says bye and saves
  void lose_state(std::size_t i) { files_[i].clear(); }
  [[nodiscard]] const std::vector<std::uint8_t>& state_file(std::size_t i) const noexcept { return files_[i]; }
  [[nodiscard]] const std::vector<time_point>& saved(std::size_t i) const noexcept { return saved_[i]; }
  void move(std::size_t i, const endpoint& to) { addresses_[i] = to; }
  void set_clock(std::size_t i, duration offset) { clock_offsets_[i] = offset; }  // of the wall clock
  void say_bye(std::size_t i);

  // LAN. A frame's number, unique in its sender.
  std::uint32_t send_frame(std::size_t from, std::size_t to, std::size_t size = 64);
  std::uint32_t flood(std::size_t from, std::size_t size = 64) { return send_frame(from, everybody, size); }
  void inject_frame(std::size_t at, bytes_view frame);  // any bytes, from the LAN of a node
  // Plugs a node's bridge into the LAN with this number; at first each has one of its own (i). A LAN floods: what comes
  // from one host or TAP reaches, 100 us later, all other hosts and TAPs. One that loops also gives it back.
  void plug(std::size_t i, std::size_t lan) { lans_[i] = lan; }
  void set_looping(std::size_t lan, bool loops);
  std::function<bool(std::size_t from, std::size_t to)> lan_cut;                 // true: does not reach
  std::function<void(std::size_t writer, bytes_view frame)> lan_tapped = {};     // sees what nodes write to their TAPs
  [[nodiscard]] std::size_t lan_frames() const noexcept { return lan_frames_; }  // that passed a LAN, without probes

  // Underlay: something arrives now.
  void inject(const endpoint& to, const endpoint& from, bytes_view bytes);
  [[nodiscard]] const std::vector<datagram>& waiting() const noexcept { return waiting_; }
  void deliver_waiting(std::size_t at);
  void lose_waiting(std::size_t at);
  void release();  // what waits travels from now on, and the rest as well

  // Time.
  [[nodiscard]] time_point now() const noexcept { return now_; }
  void run_until(time_point end);
  void run_for(duration d) { run_until(now_ + d); }
  // Until the condition holds (looked at after every event) or time is up; whether it holds.
  bool run_while_not(const std::function<bool()>& condition, duration at_most);

  // Questions.
  [[nodiscard]] const core::node& at(std::size_t i) const { return *nodes_[i]; }
  [[nodiscard]] core::peer_id peer_of(std::size_t i, std::size_t j) const noexcept;  // j as node i numbers it
  [[nodiscard]] const endpoint& address(std::size_t i) const noexcept { return addresses_[i]; }
  [[nodiscard]] const crypto::key_pair& keys(std::size_t i) const noexcept { return keys_[i]; }
  [[nodiscard]] wire::mac_address mac(std::size_t i) const noexcept;
  [[nodiscard]] instant clock(std::size_t i) const noexcept;
  [[nodiscard]] const core::lane::link& link_of(std::size_t i, std::size_t j) const;
  [[nodiscard]] const core::session* sending(std::size_t i, std::size_t j) const;
  // Both send under the two ends of one session.
  [[nodiscard]] bool agree(std::size_t i, std::size_t j) const;
  // What either sends, the other can open.
  [[nodiscard]] bool usable(std::size_t i, std::size_t j) const;
  [[nodiscard]] bool all_agree() const;
  [[nodiscard]] std::size_t count(drop reason, std::size_t i) const { return nodes_[i]->data_plane().drops()[reason]; }
  [[nodiscard]] const std::vector<delivery>& received(std::size_t i) const noexcept { return received_[i]; }
  [[nodiscard]] bool has(std::size_t at, std::size_t source, std::uint32_t number) const;
  [[nodiscard]] std::size_t datagrams_sent() const noexcept { return sent_; }
  [[nodiscard]] std::size_t refused() const noexcept { return refused_; }  // too large, and no ping
  [[nodiscard]] std::size_t datagrams_sent_by(std::size_t i) const noexcept { return sent_by_[i]; }
  [[nodiscard]] const std::vector<core::outbox::notice>& notices(std::size_t i) const noexcept { return notices_[i]; }
  [[nodiscard]] const std::vector<std::string>& faults() const noexcept { return faults_; }
  [[nodiscard]] crypto::random& choice() noexcept { return choice_; }
  [[nodiscard]] double fraction() noexcept { return static_cast<double>(choice_.u32()) / 4294967296.0; }

 private:
  void step(time_point to);  // the next event, not later than `to`
  void arrive(const datagram& d);
  void after_input(std::size_t i);
  void carry_out(std::size_t i);
  void keep_state(std::size_t i);
  void save(std::size_t i, const core::saved_state& state);
  [[nodiscard]] time_point due(std::size_t i) const noexcept;
  void transmit(std::size_t i, core::peer_id peer, const endpoint& to, bytes_view bytes);
  void travel(const datagram& d);
  void receive_frame(std::size_t i, bytes_view bytes);
  void put_on_lan(std::size_t from, bytes_view bytes);
  void arrive_from_lan(std::size_t i, bytes_view bytes);
  void give_to_node(std::size_t i, bytes_view frame);

  setup setup_;
  crypto::random choice_;
  time_point now_{std::chrono::hours(1)};
  std::vector<crypto::key_pair> keys_;
  std::vector<endpoint> addresses_;
  std::vector<duration> clock_offsets_;
  std::vector<std::unique_ptr<core::node>> nodes_;
  std::vector<std::vector<std::uint8_t>> files_;  // their disks
  std::vector<std::optional<core::state_copies>> copies_;
  std::vector<std::vector<time_point>> saved_;  // when
  core::outbox out_;
  std::map<std::pair<time_point, std::uint64_t>, datagram> travelling_;
  struct lan_frame {
    std::size_t to;
    std::vector<std::uint8_t> bytes;
  };
  std::map<std::pair<time_point, std::uint64_t>, lan_frame> on_lan_;
  std::vector<std::size_t> lans_;
  std::set<std::size_t> looping_;
  std::size_t lan_frames_ = 0;
  std::uint64_t events_ = 0;
  std::size_t turns_ = 0;  // timers at turns_at_
  time_point turns_at_{};
  std::vector<datagram> waiting_;
  std::vector<std::uint32_t> numbers_;
  std::vector<std::vector<delivery>> received_;
  std::vector<std::set<std::pair<std::size_t, std::uint32_t>>> seen_;
  std::vector<std::vector<core::outbox::notice>> notices_;
  std::vector<std::size_t> sent_by_;
  std::size_t sent_ = 0;
  std::size_t refused_ = 0;
  std::vector<std::string> faults_;
};

// For INFO(): the seed and what went wrong.
[[nodiscard]] std::string describe(const network& net, std::uint64_t seed);
// Runs a test is asked to make: `usual`, or `many` when LANLOOM_LONG is set.
[[nodiscard]] std::size_t rounds(std::size_t usual, std::size_t many);

}  // namespace lanloom::sim
