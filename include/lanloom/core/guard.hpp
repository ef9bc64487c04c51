// SPDX-License-Identifier: Apache-2.0
// guard.hpp - what stands between LAN and overlay where this host's bridge has an uplink into a LAN that we do not
// know.
//
// Loop probes with blocking, and the storm limit, put to the frames that pass. lane asks it for every frame when
// node_config::guard is set; without it there is none. Invariants: (1) a probe of our network never crosses from LAN to
// overlay or back; (2) while blocked nothing else does either, BPDUs included: where bridges run no spanning tree they
// circle like any frame. Thread: the node's. Owner: lane.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/core/loop_guard.hpp>
#include <lanloom/core/storm_limit.hpp>

namespace lanloom::core {

class guard {
 public:
  guard(const std::array<std::uint8_t, 16>& network, const crypto::public_key& own,
        std::span<const crypto::public_key> peers, std::uint64_t nonce, time_point now);

  // A frame from the TAP or from a peer. Nothing: it may go on.
  [[nodiscard]] std::optional<drop> stops_leaving(bytes_view frame, time_point now) noexcept;
  [[nodiscard]] std::optional<drop> stops_entering(peer_id from, bytes_view frame, time_point now) noexcept;

  // Whether a probe is to be written now.
  [[nodiscard]] bool on_timer(time_point now) noexcept { return loops_.on_timer(now); }
  void format_probe(std::span<std::uint8_t, wire::probe_size> out, time_point now) const noexcept;

  [[nodiscard]] storm_limit& storms() noexcept { return storms_; }
  [[nodiscard]] const loop_guard& loops() const noexcept { return loops_; }
  void clear_news() noexcept { loops_.clear_news(); }

 private:
  wire::mac_address mac_;
  loop_guard loops_;
  storm_limit storms_;
};

}  // namespace lanloom::core
