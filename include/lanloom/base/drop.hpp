// SPDX-License-Identifier: Apache-2.0
// drop.hpp - the one list of reasons a packet can die, and their counters.
//
// Whoever drops a packet returns or counts the reason at that point; `lanloom status` shows every counter.
// The names are part of `status --json`: entries are only ever added.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace lanloom {

// clang-format off
enum class [[nodiscard]] drop : std::uint8_t {
  none,
  // datagrams from the underlay
  malformed,             // length, type, version or a reserved byte is wrong
  unknown_index,         // data for no session of ours
  expired,               // session too old, or its counter limit reached
  replayed,              // counter seen before, or below the window
  bad_tag,               // authentication failed
  bad_mac1,              // handshake not meant for our key, network name and network secret
  handshake_queue_full,  // more handshakes waiting than are kept
  no_cookie,             // under load, an initiation that does not prove its address: at most a cookie reply
  bad_cookie,            // a cookie reply that was not made for our initiation
  bad_handshake,         // a handshake that does not decrypt, or whose payload is malformed
  unknown_peer,          // a handshake by a key that is not in our configuration
  stale_handshake,       // time stamp not newer than the last one, or less than 20 ms after it
  no_common_suite,       // peer offers no cipher that we allow
  unexpected_handshake,  // a response or cookie reply to nothing we sent, a response to what we sent anew
  // records from a peer
  bad_record,          // kind, length or field of a record is wrong
  unknown_control,     // control record of a type we do not know
  short_frame,         // Ethernet frame under 14 bytes
  long_frame,          // Ethernet frame over MTU + 22 bytes
  bad_source,          // source address is multicast or zero
  own_source,          // source address is one of our own: a loop
  reserved_destination,  // 01-80-C2-00-00-01 (pause)
  stray_probe,         // a loop probe from a peer, or on our LAN by a key that is not in our configuration
  reassembly_full,     // pushed out by newer fragments
  reassembly_expired,  // the rest did not come within a second, or before the session ended
  // frames either way, with the guard on
  blocked,        // held back: a loop was seen, or the node has just started
  storm_limited,  // more broadcast, multicast or unknown unicast than may pass
  // frames from the TAP
  bad_offload,        // segmentation or checksum request that cannot be honoured
  local_destination,  // destination lives on this side
  self_encapsulated,  // our own datagram to a peer: the way to it leads through the overlay
  no_session,         // broadcast or unknown destination, and the peer has no session
  staging_full,       // too many frames wait for a session
  staging_expired,    // no session came while the frame waited
  outbox_full,        // more output in one turn than is kept
  // kernel
  send_buffer_full,  // socket buffer full
  send_refused,      // no route, refused by a firewall, unreachable
  send_too_large,    // larger than the path carries
  tap_buffer_full,
  tap_down,
  tap_refused,  // the TAP did not accept the frame
};
// clang-format on
inline constexpr std::size_t drop_reasons = static_cast<std::size_t>(drop::tap_refused) + 1;

[[nodiscard]] std::string_view to_string(drop reason) noexcept;

// One counter per reason; `none` is not counted.
class drop_counters {
 public:
  void count(drop reason, std::uint64_t packets = 1) noexcept {
    if (reason != drop::none) counts_[static_cast<std::size_t>(reason)] += packets;
  }
  [[nodiscard]] std::uint64_t operator[](drop reason) const noexcept {
    return counts_[static_cast<std::size_t>(reason)];
  }
  bool operator==(const drop_counters&) const = default;

 private:
  std::array<std::uint64_t, drop_reasons> counts_{};
};

}  // namespace lanloom
