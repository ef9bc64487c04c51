// SPDX-License-Identifier: Apache-2.0
// packet.hpp - a TCP or UDP packet in an Ethernet frame: where its headers lie, and what they say in a segment of it.
//
// Ethernet, up to two tags (802.1Q, 802.1ad), IPv4 with options or IPv6 with hop-by-hop, routing and destination
// headers, TCP with options or UDP. Fragments, jumbograms and everything else is no packet in this sense.
// Invariants: (1) parse() reads headers only, so a frame that was cut right behind them will do; every offset it gives
// lies in what it was shown, every length was read from the headers and is not checked against a payload; (2) the other
// functions REQUIRE headers of which parse() gave this packet. Never throws. Spec: PROTOCOL.md 4.2.
#pragma once

#include <lanloom/base/bytes.hpp>

#include <optional>

namespace lanloom::wire {

struct packet {
  bool is_v4 = false;
  bool is_tcp = false;
  std::size_t ip = 0;         // where the IP header begins
  std::size_t transport = 0;  // where the TCP or UDP header begins
  std::size_t payload = 0;    // where the headers end
  std::size_t stated = 0;     // bytes of payload, as the IP header says

  [[nodiscard]] std::size_t checksum_offset() const noexcept { return is_tcp ? 16 : 6; }  // from `transport`
};

[[nodiscard]] std::optional<packet> parse_packet(bytes_view frame) noexcept;

// Segments first..last of `count` segments of `size` bytes that a packet's payload was cut into.
struct segment_run {
  std::size_t first = 0;
  std::size_t last = 0;
  std::size_t count = 1;
  std::size_t size = 0;
  std::size_t payload = 0;  // bytes in first..last together
};

// Turns the headers of the whole packet into those of a run of its segments: IP lengths, IPv4 id and header checksum,
// sequence number, FIN and PSH in the last only, CWR in the first only, UDP length, and the pseudo-header sum in the
// checksum field by the difference of lengths.
void patch_headers(bytes_span headers, const packet& of, const segment_run& run) noexcept;

// Whether its payload may be cut anew to fit a path: TCP without SYN, RST, URG and a signature (MD5, AO), over
// IPv4 with DF or IPv6.
[[nodiscard]] bool may_be_cut(bytes_view headers, const packet& of) noexcept;
[[nodiscard]] bool has_cwr(bytes_view headers, const packet& of) noexcept;
// Ports 67, 68, 546, 547: clients read these raw, so their checksum must be complete.
[[nodiscard]] bool is_dhcp(bytes_view headers, const packet& of) noexcept;

// The following need the whole frame, which ends where `stated` says.
// Leaves the folded pseudo-header sum in the checksum field, whatever was there.
void store_pseudo_sum(bytes_span frame, const packet& of) noexcept;
// The same, if the checksum was complete and right; else false, and nothing is changed.
[[nodiscard]] bool make_partial(bytes_span frame, const packet& of) noexcept;

}  // namespace lanloom::wire
