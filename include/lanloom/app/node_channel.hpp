// SPDX-License-Identifier: Apache-2.0
// node_channel.hpp - what keeper and node say to each other over their SOCK_SEQPACKET pair.
//
// Keeper to node: start (with the descriptors of TAP, UDP socket, control listener and, where there is one, state file,
// in that order), one peer message per peer, then a report of the host now and whenever it changes, the addresses of a
// peer whenever its names give others, that the host's network has changed, and at the end stop. Node to keeper: ready,
// once; then, seldom, that a peer with names does not answer. Both ends are one binary (the node is forked, not
// executed), so messages are plain structs; the node's few are of fixed size and the keeper trusts nothing in them.
// Keys in messages are wiped by whoever is done with them.
#pragma once

#include <lanloom/base/endpoint.hpp>
#include <lanloom/base/super_frame.hpp>
#include <lanloom/core/candidates.hpp>
#include <lanloom/crypto/gcm_engine.hpp>
#include <lanloom/crypto/keys.hpp>
#include <lanloom/os/channel.hpp>
#include <lanloom/os/sandbox.hpp>

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lanloom::app {

// What `status` says of the host, which only the keeper knows. Texts are cut to what a message holds.
struct host_report {
  std::string config_file;
  std::uint64_t generation = 1;       // of the configuration; a reload that worked adds one
  std::uint64_t reloads = 0;          // tried
  std::string error;                  // of the last reload; empty: none
  std::uint64_t corrections = 0;      // of what somebody else changed
  std::vector<std::string> problems;  // that stand now
  int log_level = 0;                  // spdlog's
};

// What may be left to the kernel: the configuration's word, and what the self-tests found.
struct offload_setup {
  tap_offloads from_tap = all_tap_offloads;  // to ask of the TAP
  tap_offloads to_tap = all_tap_offloads;    // to write to it; nothing where its other side takes whole frames only
  bool udp_gso = true;
  bool udp_gro = true;
  bool operator==(const offload_setup&) const = default;
};

// Everything of the configuration that the node may know.
struct node_setup {
  std::string instance;
  std::string name;
  std::string listen;
  std::string tap;
  std::string bridge;
  bool bridge_created = true;
  std::string network;
  crypto::key_pair keys;
  std::optional<crypto::secret<32>> network_secret;
  std::uint8_t suites = 0;
  crypto::accelerator accelerator = crypto::accelerator::automatic;
  std::uint16_t mtu = 1500;
  std::vector<std::array<std::uint8_t, 6>> own_macs;
  gid_t control_group = 0;  // who, beside root, may ask for the status
  bool guard = false;       // the bridge has an uplink: loop probes and storm limit
  offload_setup offloads;

  struct peer {
    std::string name;
    crypto::public_key key;
    std::optional<crypto::secret<32>> psk;
    core::candidates remotes;
    std::chrono::seconds keepalive{25};
    bool named = false;  // addresses come later, too
  };
  std::vector<peer> peers;
  host_report host;

  // Wipes every key: for a child process that has no business with them.
  void forget_secrets() noexcept {
    keys.secret_half = crypto::private_key();
    network_secret.reset();
    for (peer& p : peers) p.psk.reset();
  }
};

struct node_descriptors {
  os::unique_fd tap;
  os::unique_fd udp;
  os::unique_fd control;
  os::unique_fd state;  // none: what the node learns ends with it
};

// Keeper's side. Throws std::system_error when the node is gone.
void send_setup(os::channel& to, const node_setup& setup, const node_descriptors& descriptors);
void send_report(os::channel& to, const host_report& report) noexcept;  // a node that does not read misses it
void send_addresses(os::channel& to, std::size_t peer, const core::candidates& found) noexcept;  // likewise
void send_network_change(os::channel& to) noexcept;                                              // likewise
void send_stop(os::channel& to) noexcept;
// Whether the message says ready; anything else is ignored.
[[nodiscard]] bool is_ready(bytes_view message) noexcept;
// The peer whose names are to be looked up again; any number.
[[nodiscard]] std::optional<std::size_t> read_silent(bytes_view message) noexcept;

// Node's side. Throws std::runtime_error when what comes is not a set-up.
[[nodiscard]] node_setup receive_setup(os::channel& from, node_descriptors& descriptors);
void send_ready(os::channel& to);
void send_silent(os::channel& to, std::size_t peer) noexcept;  // a keeper that does not read misses it
[[nodiscard]] bool is_stop(bytes_view message) noexcept;
[[nodiscard]] bool is_network_change(bytes_view message) noexcept;
[[nodiscard]] std::optional<std::pair<std::size_t, core::candidates>> read_addresses(bytes_view message) noexcept;
[[nodiscard]] std::optional<host_report> read_report(bytes_view message);
inline constexpr std::size_t max_keeper_message = 8192;

}  // namespace lanloom::app
