// SPDX-License-Identifier: Apache-2.0
// offload_probe.hpp - whether this kernel does what it says: segmentation by TAP and UDP socket, tried out.
//
// A child with a network namespace of its own writes a super-frame of each kind to a TAP of its own, and sends and
// receives trains over its loopback, content compared. Nothing of it appears on the host. It answers one byte within a
// second; what it did not vouch for counts as missing. Called by the keeper at its start (one thread; CAP_SYS_ADMIN,
// CAP_NET_ADMIN; without them the answer is that nothing works). Never throws.
#pragma once

#include <lanloom/base/super_frame.hpp>

#include <string_view>

namespace lanloom::os {

struct kernel_offloads {
  tap_offloads tap;      // may be written to a TAP
  bool udp_gso = false;  // UDP_SEGMENT
  bool udp_gro = false;  // UDP_GRO
  bool operator==(const kernel_offloads&) const = default;
};

[[nodiscard]] kernel_offloads probe_offloads() noexcept;

// Kernels 7.0.0 to 7.1.4 corrupt trains of equal datagrams. `release` as uname gives it: "6.1.0-18-amd64".
[[nodiscard]] bool corrupts_trains(std::string_view release) noexcept;

}  // namespace lanloom::os
