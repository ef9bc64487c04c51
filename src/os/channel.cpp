// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/channel.hpp>

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace lanloom::os {

namespace {

constexpr int fd_level = SOL_SOCKET;

std::errc last_error() noexcept { return static_cast<std::errc>(errno); }

struct control_room {
  alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(int) * channel::max_fds)> bytes;
};

void take_fds(msghdr& message, std::vector<unique_fd>& fds) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != fd_level || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
}

}  // namespace

void channel::set_non_blocking(bool on) {
  const int flags = ::fcntl(fd_.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd_.get(), F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) != 0)
    throw_errno("set mode of channel");
}

std::errc channel::send(bytes_view message, std::span<const int> fds) noexcept {
  if (message.empty()) return std::errc::invalid_argument;
  if (message.size() > max_message) return std::errc::message_size;
  if (fds.size() > max_fds) return std::errc::argument_list_too_long;
  iovec part{const_cast<std::uint8_t*>(message.data()), message.size()};
  control_room control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.bytes.data();
    header.msg_controllen = CMSG_SPACE(fds.size_bytes());
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = fd_level;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(fds.size_bytes());
    std::memcpy(CMSG_DATA(c), fds.data(), fds.size_bytes());
  }
  ssize_t n = 0;
  do n = ::sendmsg(fd_.get(), &header, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  return n < 0 ? last_error() : std::errc{};
}

std::errc channel::receive(bytes_span room, std::size_t& size, std::vector<unique_fd>& fds) {
  fds.clear();
  // Before the call: once descriptors have arrived, nothing may throw until each has its owner.
  fds.reserve(max_fds);
  size = 0;
  iovec part{room.data(), room.size()};
  control_room control;
  msghdr header{};
  ssize_t n = 0;
  bool reset_seen = false;
  for (;;) {
    header = {};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.bytes.data();
    header.msg_controllen = control.bytes.size();
    n = ::recvmsg(fd_.get(), &header, MSG_CMSG_CLOEXEC);
    if (n >= 0) break;
    if (errno == EINTR) continue;
    if (errno != ECONNRESET) return last_error();
    // The peer closed with messages of ours unread; said once, before what it sent itself.
    if (reset_seen) return end_of_file;
    reset_seen = true;
  }
  take_fds(header, fds);
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    fds.clear();
    return std::errc::message_size;
  }
  if (n == 0) {
    fds.clear();
    return end_of_file;
  }
  size = static_cast<std::size_t>(n);
  return {};
}

std::pair<channel, channel> make_channel() {
  std::array<int, 2> fds{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) != 0) throw_errno("make channel");
  return {channel(unique_fd(fds[0])), channel(unique_fd(fds[1]))};
}

}  // namespace lanloom::os
