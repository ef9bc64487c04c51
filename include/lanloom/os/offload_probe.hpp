// SPDX-License-Identifier: Apache-2.0
// offload_probe.hpp - whether this kernel does what it says: segmentation by TAP and UDP socket, tried out.
//
// 1. A child with a network namespace of its own writes a super-frame of each kind to a TAP of its own, and sends and
//    receives trains over its loopback, content compared. Nothing of it appears on the host. Without the right to make
//    a network namespace it tries in a user namespace of its own.
// 2. It tries while the caller goes on. Who asks for the answer waits for it at most a second; what was not vouched for
//    by then counts as missing. With the object the child has ended.
// Never throws. Owned by the keeper during its start, begun before it holds a key, and by doctor (one thread).
#pragma once

#include <lanloom/base/super_frame.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <sys/types.h>

#include <optional>
#include <string_view>

namespace lanloom::os {

struct kernel_offloads {
  tap_offloads tap;      // may be written to a TAP
  bool udp_gso = false;  // UDP_SEGMENT
  bool udp_gro = false;  // UDP_GRO
  bool operator==(const kernel_offloads&) const = default;
};

class offload_probe {
 public:
  offload_probe() noexcept;
  ~offload_probe() { end(); }
  offload_probe(const offload_probe&) = delete;
  offload_probe& operator=(const offload_probe&) = delete;

  // What was found; the first call's answer is that of all. Nothing: no namespace could be made, or no word came in
  // time.
  [[nodiscard]] std::optional<kernel_offloads> answer() noexcept;

 private:
  void end() noexcept;

  unique_fd from_child_;
  pid_t child_ = -1;
  std::optional<kernel_offloads> found_;
};

// Kernels 7.0.0 to 7.1.4 corrupt trains of equal datagrams. `release` as uname gives it: "6.1.0-18-amd64".
[[nodiscard]] bool corrupts_trains(std::string_view release) noexcept;

}  // namespace lanloom::os
