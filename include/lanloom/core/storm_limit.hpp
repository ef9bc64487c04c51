// SPDX-License-Identifier: Apache-2.0
// storm_limit.hpp - how many frames to everybody (broadcast, multicast, unknown unicast) pass between LAN and overlay.
//
// A frame to everybody costs one datagram per peer on the way out and reaches every host of the LAN on the way in, and
// it is what a loop multiplies. One bucket outwards, one per peer inwards; BPDUs have their own, or a flood of anything
// else would starve the spanning tree until it opens the very loop it closed. Memory: taken at construction.
// Thread: the node's. Owner: guard. Drop: storm_limited.
#pragma once

#include <lanloom/core/ids.hpp>
#include <lanloom/core/token_bucket.hpp>
#include <lanloom/wire/ethernet.hpp>

#include <vector>

namespace lanloom::core {

class storm_limit {
 public:
  // LANs of some hundred hosts have tens of such frames a second. 1000 a second also carry a multicast stream of 10
  // Mbit/s in packets of 1316 bytes; towards 100 peers they are 10^5 datagrams a second, which one core still seals and
  // sends. At once: a sweep of ARP requests over a subnet of 1000 addresses.
  static constexpr token_bucket::rate out{std::chrono::milliseconds{1}, 1000};
  // What a peer with this limit let out in its burst and the second after may arrive bunched, and is not to be limited
  // again; but TCP that was re-cut to a narrow path arrives as more packets than left.
  static constexpr token_bucket::rate in{std::chrono::milliseconds{1}, 2000};
  // A bridge sends one BPDU in 2 s at rest, and at most 10 while the tree changes (Transmit Hold Count).
  static constexpr token_bucket::rate bpdu{std::chrono::milliseconds{50}, 40};

  explicit storm_limit(std::size_t peers) : in_(peers) {}

  // Whether a frame to everybody may go to the peers, or come from one. It counts as the `packets` that it is cut into.
  [[nodiscard]] bool may_leave(const wire::mac_address& destination, time_point now, std::size_t packets = 1) noexcept {
    return take(out_, out, destination, now, packets);
  }
  [[nodiscard]] bool may_enter(peer_id from, const wire::mac_address& destination, time_point now,
                               std::size_t packets = 1) noexcept {
    return take(in_[from.value], in, destination, now, packets);
  }

 private:
  struct side {
    token_bucket floods, bpdus;
  };
  static bool take(side& s, const token_bucket::rate& floods, const wire::mac_address& destination, time_point now,
                   std::size_t packets) noexcept {
    return wire::is_bpdu(destination) ? s.bpdus.take(bpdu, now, packets) : s.floods.take(floods, now, packets);
  }

  side out_;
  std::vector<side> in_;
};

}  // namespace lanloom::core
