// SPDX-License-Identifier: Apache-2.0
// udp.hpp - the underlay socket: trains of datagrams in and out, never fragmented on the way (DF set).
//
// 1. The keeper opens it; the node receives the descriptor. Non-blocking.
// 2. IPv4 addresses are ::ffff:a.b.c.d on both sides of this interface, whatever the socket's family.
// 3. Path MTU is ours to find: DF is set, and the kernel's own idea of the path MTU is ignored (PROBE).
// 4. With UDP_SEGMENT a call carries up to 64 equal datagrams; with UDP_GRO one comes as the kernel coalesced them.
// 5. IP_RECVERR stays off: an ICMP error about one peer must not fail the next call, which is for another.
// Errors: open and the constructor throw std::system_error; receive and send return the errno (policy: daemon).
#pragma once

#include <lanloom/base/endpoint.hpp>
#include <lanloom/base/super_frame.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <system_error>

namespace lanloom::os {

// How far `send` came. `error` is errc{} when everything was sent, else what the first unsent datagram met.
struct sent {
  std::size_t datagrams = 0;
  std::errc error{};
  bool segmented = false;  // the call that failed was for more than one datagram
};

class udp_socket {
 public:
  static constexpr std::size_t slot_size = 65535;
  static constexpr std::size_t max_segments = 64;       // of one call; kernels from 6.9 on take 128
  static constexpr std::size_t max_call_bytes = 65507;  // UDP payload over IPv4

  // "[::]:port" is dual stack, or IPv4 alone where the host has no IPv6. what() reads "listen on [::]:4780: ...".
  [[nodiscard]] static udp_socket open(const endpoint& listen);
  // Takes over a bound socket, received from another process.
  explicit udp_socket(unique_fd fd);

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] unique_fd duplicate() const;  // throws std::system_error
  [[nodiscard]] const endpoint& local() const noexcept { return local_; }
  [[nodiscard]] bool reaches_v6() const noexcept { return v6_; }

  // UDP_GRO. False when the kernel has none (before 5.0); then every datagram comes alone.
  [[nodiscard]] bool set_coalescing(bool on) noexcept;

  // One datagram, or one train where the kernel coalesces; `out` borrows slot. A slot of slot_size is never too short;
  // what exceeds a shorter one is cut off. resource_unavailable_try_again: nothing to read.
  [[nodiscard]] std::errc receive(bytes_span slot, endpoint& from, datagram_train& out) noexcept;

  // `bytes` cut into datagrams of `stride` bytes, the last may be shorter; one datagram when bytes.size() <= stride.
  // Stops at the first error. `segmented`: leave the cutting to the kernel, as many datagrams a call as it takes.
  // REQUIRES stride > 0. network_unreachable: an IPv6 address and an IPv4 socket.
  [[nodiscard]] sent send(const endpoint& to, bytes_view bytes, std::size_t stride, bool segmented = false) noexcept;

 private:
  unique_fd fd_;
  endpoint local_;
  bool v6_ = false;
};

// Slots for several trains per system call. Owns its memory (512 KiB), taken once.
class receive_batch {
 public:
  static constexpr std::size_t slots = 8;

  receive_batch();
  ~receive_batch();
  receive_batch(const receive_batch&) = delete;
  receive_batch& operator=(const receive_batch&) = delete;

  // What is ready now, at most `most` trains; the span and the bytes live until the next call. `error` is errc{} when
  // there is at least one, else why there is none (resource_unavailable_try_again: nothing to read).
  [[nodiscard]] std::span<received> receive(udp_socket& socket, std::errc& error, std::size_t most = slots) noexcept;

 private:
  struct storage;
  std::unique_ptr<storage> storage_;
};

}  // namespace lanloom::os
