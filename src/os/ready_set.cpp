// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/ready_set.hpp>

#include <fcntl.h>
#include <sys/epoll.h>

#include <array>
#include <cassert>
#include <cstdint>

namespace lanloom::os {

ready_set::ready_set(std::initializer_list<int> fds) : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  assert(fds.size() <= 32);
  if (!epoll_) throw_errno("watch descriptors");
  std::uint32_t place = 0;
  for (const int fd : fds) {
    epoll_event watched{};
    watched.events = EPOLLIN;
    watched.data.u32 = place++;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &watched) != 0) throw_errno("watch a descriptor");
  }
}

[[gnu::hot]] unsigned ready_set::wait(std::chrono::milliseconds most) noexcept {
  std::array<epoll_event, 32> events;
  const int count =
      ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), static_cast<int>(most.count()));
  unsigned ready = 0;
  for (int i = 0; i < count; ++i) ready |= 1U << events[static_cast<std::size_t>(i)].data.u32;
  return ready;
}

unique_fd ready_set::duplicate() const {
  unique_fd copy(::fcntl(epoll_.get(), F_DUPFD_CLOEXEC, 3));
  if (!copy) throw_errno("duplicate the descriptor of a ready set");
  return copy;
}

}  // namespace lanloom::os
