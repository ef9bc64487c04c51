// SPDX-License-Identifier: Apache-2.0
// peer.hpp - what the control plane knows of one peer: who it is, its sessions' places, the handshake under way.
//
// A plain record of node's; the rules that move it are node's. Its traffic is lane::link. Owner: node.
#pragma once

#include <lanloom/core/candidates.hpp>
#include <lanloom/core/cookie.hpp>
#include <lanloom/core/handshake.hpp>
#include <lanloom/core/lane.hpp>
#include <lanloom/core/retry.hpp>
#include <lanloom/core/slots.hpp>

#include <string>
#include <vector>

namespace lanloom::core {

// As configured.
struct peer_config {
  std::string name;
  crypto::public_key key;
  std::optional<crypto::secret<32>> psk;
  candidates remotes;                  // none: the peer calls us
  std::chrono::seconds keepalive{25};  // 0: off
  bool named = false;                  // who made this may find other addresses: they come by set_candidates()
};

struct peer {
  peer_config config;
  network::mac1_key mac1;
  slots sessions;
  retry attempts;

  struct pending {
    initiation handshake;
    time_point sent;
    endpoint to;
    std::array<std::uint8_t, 16> mac1;  // of the datagram: what a cookie reply answers
  };
  static constexpr std::size_t max_addresses = candidates::most + 1;  // and where it was last
  static constexpr std::size_t most_under_way = max_addresses;        // an attempt at every address
  // In the order of their stamps. The last one to each address may make a session; the others may only tell how long an
  // answer takes.
  std::vector<pending> under_way;

  // What the peer wants to see while it is under load: the one for `to`. A cookie is made for the address that we have
  // there, and on the way to another of the peer's it may be another.
  struct given {
    endpoint to;
    cookie value;
    time_point at;
  };
  std::vector<given> cookies;  // one for each address, at most max_addresses, the last given at the end

  // A new address of the peer that is being tried.
  struct probe {
    std::uint64_t token;
    endpoint at;
  };
  std::optional<probe> moving;

  std::optional<time_point> names_due;  // not before that its names are asked for again
  duration names_gap{};

  wire::tai64n sent_stamp;               // of our last initiation
  wire::tai64n last_stamp;               // of its initiations
  std::optional<endpoint> proven;        // where it was last, by a session
  endpoint answered;                     // where the initiation of the next session came from
  std::optional<time_point> accepted;    // when the last one was
  std::optional<time_point> handshaken;  // when the last session was made
  std::optional<std::uint16_t> lan_mtu;  // as it says
  duration jitter{};                     // of the dead-peer timer
  bool up = false;                       // last notice said so
  unsigned notices = 0;                  // that it may still cause
  time_point last_notice{};              // when the last of them was earned
};

// For `lanloom status`.
struct peer_status {
  enum class state { established, idle, handshaking, unreachable };

  std::string name;
  crypto::public_key key;
  state now = state::idle;
  std::optional<endpoint> remote;
  bool named = false;       // it is called by a name
  std::string_view cipher;  // of the session that sends, with what computes it; empty without one
  std::optional<duration> since_handshake;
  std::optional<duration> since_received;
  std::optional<std::uint16_t> lan_mtu;
  std::uint16_t path_mtu = 0;
  round_trip times;
  unsigned unanswered_initiations = 0;
  traffic counters;
};

}  // namespace lanloom::core
