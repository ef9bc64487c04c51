// SPDX-License-Identifier: Apache-2.0
// channel.hpp - one end of the SOCK_SEQPACKET pair between keeper and node: messages with descriptors.
//
// 1. A message arrives whole or not at all: one that is longer than the room, or whose descriptors did not all come,
//    is an error, and every descriptor that came with it is closed.
// 2. Messages are never empty, so an empty read is the end of file.
// 3. Received descriptors are close-on-exec from the start. At most max_fds per message.
// Errors: make_channel throws std::system_error; send and receive return the errno.
#pragma once

#include <lanloom/base/bytes.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <cstddef>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

namespace lanloom::os {

class channel {
 public:
  static constexpr std::size_t max_fds = 16;
  static constexpr std::size_t max_message = 65536;
  static constexpr std::errc end_of_file =
      std::errc::not_connected;  // what receive returns when the peer end is closed

  explicit channel(unique_fd fd) noexcept : fd_(std::move(fd)) {}

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] unique_fd release() noexcept { return std::move(fd_); }
  void close() noexcept { fd_.reset(); }
  void set_non_blocking(bool on);  // blocking when made; throws std::system_error

  // The descriptors stay the caller's. invalid_argument: empty. message_size: over max_message or the socket's buffer.
  // argument_list_too_long: over max_fds. broken_pipe: peer end closed (no signal is raised).
  // resource_unavailable_try_again: non-blocking, and the peer does not read.
  [[nodiscard]] std::errc send(bytes_view message, std::span<const int> fds = {}) noexcept;

  // `fds` is replaced. On errc{} the message is room[0..size). end_of_file: see above. message_size: longer than room,
  // or too many descriptors; that message is lost. resource_unavailable_try_again: non-blocking, and nothing there.
  [[nodiscard]] std::errc receive(bytes_span room, std::size_t& size, std::vector<unique_fd>& fds);

 private:
  unique_fd fd_;
};

// Both ends close-on-exec and blocking.
[[nodiscard]] std::pair<channel, channel> make_channel();

}  // namespace lanloom::os
