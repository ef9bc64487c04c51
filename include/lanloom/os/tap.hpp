// SPDX-License-Identifier: Apache-2.0
// tap.hpp - a TAP device: one frame per read and write, with the kernel's virtio header decoded beside it.
//
// 1. The keeper opens it; the node receives the descriptor. The device lives as long as any duplicate of it does.
// 2. Non-blocking, one queue, never TUNSETSNDBUF (it disables the kernel's fast write path), never TUNSETPERSIST.
// 3. A frame that was read has `frame_headroom` writable bytes in front of it.
// Errors: open throws std::system_error; read and write return the errno, and the daemon decides which drop it is.
#pragma once

#include <lanloom/base/super_frame.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <system_error>

namespace lanloom::os {

class tap {
 public:
  // A frame as the kernel makes it: 65535 bytes of IP behind an Ethernet header with two VLAN tags.
  static constexpr std::size_t max_frame = 65557;
  static constexpr std::size_t max_slices = 129;  // headers, and the segments of a train

  // Creates the interface. Refuses (EBUSY) a name that exists already, whoever made it. Needs CAP_NET_ADMIN.
  [[nodiscard]] static tap open(const std::string& name);
  // Takes over a descriptor that `open` made, received from another process.
  explicit tap(unique_fd fd) noexcept : fd_(std::move(fd)) {}

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] unique_fd duplicate() const;  // throws std::system_error

  // Asks the kernel to hand over frames unfinished, as far as `wanted` and this kernel go; a new one begins with
  // nothing. Returns what it agreed to.
  [[nodiscard]] tap_offloads set_offloads(const tap_offloads& wanted) noexcept;

  // One frame into room[frame_headroom..]; `out` borrows room, whose last byte stays free. REQUIRES room.size() >
  // frame_headroom + 1.
  // resource_unavailable_try_again: nothing to read. protocol_error: a packet that a virtio header or `offload` cannot
  // express (count drop::bad_offload). message_size: longer than room, cut and lost. Else: the device is gone.
  [[nodiscard]] std::errc read(bytes_span room, super_frame& out) noexcept;

  // One frame, gathered from slices. io_error: interface down. invalid_argument: the kernel refused the offload.
  // argument_list_too_long: more than max_slices. resource_unavailable_try_again: buffer full.
  [[nodiscard]] std::errc write(const offload& meta, std::span<const bytes_view> slices) noexcept;

 private:
  unique_fd fd_;
};

}  // namespace lanloom::os
