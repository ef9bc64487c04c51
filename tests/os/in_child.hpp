// SPDX-License-Identifier: Apache-2.0
// in_child.hpp - runs a part of a test in a forked process, so that it may change its network, user or limits.
//
// The child reports by text: in_child returns "" when the body came to its end, else what failed there, or how the
// child ended. EXPECT is CHECK for such a body. A child that does not end within 20 s is killed and reported.
#pragma once

#include <lanloom/os/unique_fd.hpp>

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

namespace lanloom::os::test {

inline void expect(bool holds, const char* condition, const char* file, int line) {
  if (!holds) throw std::runtime_error(std::string(file) + ":" + std::to_string(line) + ": " + condition);
}
#define EXPECT(...) ::lanloom::os::test::expect(static_cast<bool>(__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)

inline std::pair<unique_fd, unique_fd> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw_errno("pipe");
  return {unique_fd(ends[0]), unique_fd(ends[1])};
}

inline bool readable(int fd, std::chrono::milliseconds within) {
  pollfd p{fd, POLLIN, 0};
  return ::poll(&p, 1, static_cast<int>(within.count())) == 1;
}

// "" for exit status 0, else "exit 3" or "signal 31".
inline std::string outcome_of(pid_t child) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  int status = 0;
  for (;;) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) break;
    if (ended < 0) return "wait: " + std::string(std::strerror(errno));
    if (std::chrono::steady_clock::now() > deadline) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      return "did not end in time";
    }
    ::poll(nullptr, 0, 1);
  }
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return WEXITSTATUS(status) == 0 ? "" : "exit " + std::to_string(WEXITSTATUS(status));
}

template <class Body>
std::string in_child(Body body) {
  auto [from_child, to_parent] = make_pipe();
  const pid_t child = ::fork();
  if (child < 0) throw_errno("fork");
  if (child == 0) {
    // The test program's own handlers would run in the child, under whatever limits it is in.
    for (const int signal : {SIGABRT, SIGSEGV, SIGILL, SIGFPE, SIGTERM, SIGINT, SIGPIPE}) ::signal(signal, SIG_DFL);
    try {
      body();
      ::_exit(0);
    } catch (const std::exception& e) {
      const std::string text = e.what();
      const ssize_t written = ::write(to_parent.get(), text.data(), text.size());
      ::_exit(written < 0 ? 3 : 2);
    }
  }
  to_parent.reset();
  const std::string outcome = outcome_of(child);
  std::array<char, 4096> text{};
  ssize_t n = 0;
  if (readable(from_child.get(), std::chrono::milliseconds(0))) n = ::read(from_child.get(), text.data(), text.size());
  return n > 0 ? std::string(text.data(), static_cast<std::size_t>(n)) : outcome;
}

inline void with_interface(const char* name, unsigned long call, ifreq request, const char* what) {
  const unique_fd any(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
  if (::ioctl(any.get(), call, &request) != 0) throw_errno(what);
}
inline void bring_up(const char* name) {
  ifreq request{};
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  with_interface(name, SIOCSIFFLAGS, request, "bring up");
}
inline void set_mtu(const char* name, int mtu) {
  ifreq request{};
  request.ifr_mtu = mtu;
  with_interface(name, SIOCSIFMTU, request, "set mtu");
}

// in_child in a network namespace of its own, where only lo exists and is up.
template <class Body>
std::string in_network(Body body) {
  return in_child([&body] {
    if (::unshare(CLONE_NEWNET) != 0) throw_errno("unshare (these tests need root)");
    bring_up("lo");
    body();
  });
}

}  // namespace lanloom::os::test
