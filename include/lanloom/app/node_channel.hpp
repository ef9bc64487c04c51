// SPDX-License-Identifier: Apache-2.0
// node_channel.hpp - what keeper and node say to each other over their SOCK_SEQPACKET pair.
//
// Keeper to node: start (with the descriptors of TAP, UDP socket and control listener, in that order), one peer message
// per peer, and at the end stop. Node to keeper: ready, once. Both ends are one binary (the node is forked, not
// executed), so messages are plain structs; the node's few are of fixed size and the keeper trusts nothing in them.
// Keys in messages are wiped by whoever is done with them.
#pragma once

#include <lanloom/base/super_frame.hpp>
#include <lanloom/crypto/keys.hpp>
#include <lanloom/os/channel.hpp>
#include <lanloom/os/sandbox.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lanloom::app {

// What may be left to the kernel: the configuration's word, and what the self-tests found.
struct offload_setup {
  tap_offloads from_tap = all_tap_offloads;  // to ask of the TAP
  tap_offloads to_tap = all_tap_offloads;    // to write to it; nothing where its other side takes whole frames only
  bool udp_gso = true;
  bool udp_gro = true;
  bool accelerator = true;  // libipsec-mb, where the build and the processor have it
  bool operator==(const offload_setup&) const = default;
};

// Everything of the configuration that the node may know.
struct node_setup {
  std::string instance;
  std::string name;
  std::string listen;
  std::string tap;
  std::string bridge;
  std::string network;
  crypto::key_pair keys;
  std::optional<crypto::secret<32>> network_secret;
  std::uint8_t suites = 0;
  std::uint16_t mtu = 1500;
  std::vector<std::array<std::uint8_t, 6>> own_macs;
  offload_setup offloads;

  struct peer {
    std::string name;
    crypto::public_key key;
    std::optional<crypto::secret<32>> psk;
    std::optional<endpoint> remote;
    std::chrono::seconds keepalive{25};
  };
  std::vector<peer> peers;
};

struct node_descriptors {
  os::unique_fd tap;
  os::unique_fd udp;
  os::unique_fd control;
};

// Keeper's side. Throws std::system_error when the node is gone.
void send_setup(os::channel& to, const node_setup& setup, const node_descriptors& descriptors);
void send_stop(os::channel& to) noexcept;
// Whether the message says ready; anything else is ignored.
[[nodiscard]] bool is_ready(bytes_view message) noexcept;

// Node's side. Throws std::runtime_error when what comes is not a set-up.
[[nodiscard]] node_setup receive_setup(os::channel& from, node_descriptors& descriptors);
void send_ready(os::channel& to);
[[nodiscard]] bool is_stop(bytes_view message) noexcept;

}  // namespace lanloom::app
