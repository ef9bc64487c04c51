// SPDX-License-Identifier: Apache-2.0
// kernel_features.hpp - which offloads this kernel has for TAP devices and UDP sockets: asked by trying.
//
// 1. A short-lived child tries, in a network namespace of its own: nothing appears on the host, and nothing is sent.
// 2. It says so within a second, or it is killed.
// Without the right to make a network namespace it tries in a user namespace of its own. Used by doctor.
#pragma once

#include <cstdint>
#include <optional>

namespace lanloom::os {

struct kernel_features {
  bool tap = false;           // a TAP with a virtio header in front of each frame
  bool tap_tso = false;       // whole TCP super-frames through it
  bool tap_uso = false;       // the same for UDP (Linux 6.2)
  bool udp_segment = false;   // UDP_SEGMENT: a train of datagrams in one call
  bool udp_coalesce = false;  // UDP_GRO: the same at the receiver
  bool operator==(const kernel_features&) const = default;
};

// Nothing when no namespace could be made, or the child said nothing in time.
[[nodiscard]] std::optional<kernel_features> probe_kernel_features();

}  // namespace lanloom::os
