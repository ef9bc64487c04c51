// SPDX-License-Identifier: Apache-2.0
#include <lanloom/os/name_lookup.hpp>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <exception>

namespace lanloom::os {

namespace {

constexpr unsigned last_resort = 15;  // seconds until the child ends by itself

struct message {
  std::int32_t error = EAI_FAIL;  // getaddrinfo's
  std::uint32_t count = 0;
  std::array<endpoint, name_lookup::most> addresses{};
};

endpoint endpoint_of(const addrinfo& found) noexcept {
  if (found.ai_family == AF_INET) {
    sockaddr_in a;
    std::memcpy(&a, found.ai_addr, sizeof a);
    std::array<std::uint8_t, 4> address;
    std::memcpy(address.data(), &a.sin_addr, address.size());
    return endpoint::v4(address, 0);
  }
  sockaddr_in6 a;
  std::memcpy(&a, found.ai_addr, sizeof a);
  endpoint e;
  std::memcpy(e.address.data(), &a.sin6_addr, e.address.size());
  e.scope = a.sin6_scope_id;
  return e;
}

message look_up(const char* name) noexcept {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  message m;
  m.error = ::getaddrinfo(name, nullptr, &hints, &found);
  if (m.error != 0) return m;
  for (const addrinfo* one = found; one != nullptr && m.count < m.addresses.size(); one = one->ai_next) {
    if (one->ai_family == AF_INET || one->ai_family == AF_INET6) m.addresses[m.count++] = endpoint_of(*one);
  }
  return m;  // what was found ends with the process
}

[[noreturn]] void run(const char* name, const sandbox_identity& identity, const std::function<void()>& forget,
                      int answer, pid_t keeper) noexcept {
  try {
    if (forget) forget();
    for (const int s : {SIGINT, SIGTERM, SIGQUIT, SIGHUP, SIGUSR1, SIGCHLD, SIGALRM}) std::signal(s, SIG_DFL);
    ::alarm(last_resort);
    const std::array<int, 4> kept{0, 1, 2, answer};
    close_all_but(kept);
    drop_privileges(identity, keeper);
    apply_lookup_seccomp();
    const message m = look_up(name);
    static_assert(sizeof m <= 512);  // whole or not at all: less than PIPE_BUF
    if (::write(answer, &m, sizeof m) == static_cast<ssize_t>(sizeof m)) ::_exit(0);
  } catch (const std::exception&) {
    // The keeper sees that there is no answer.
  }
  ::_exit(1);
}

}  // namespace

name_lookup::name_lookup(const std::string& name, const sandbox_identity& identity,
                         const std::function<void()>& forget) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) throw_errno("look up " + name);
  from_child_.reset(ends[0]);
  const unique_fd to_parent(ends[1]);
  const pid_t self = ::getpid();
  child_ = ::fork();
  if (child_ < 0) throw_errno("look up " + name);
  if (child_ == 0) run(name.c_str(), identity, forget, to_parent.get(), self);
}

name_lookup::~name_lookup() {
  if (child_ <= 0) return;
  ::kill(child_, SIGKILL);
  while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) continue;
}

name_lookup::answer name_lookup::read() noexcept {
  message m;
  ssize_t size = 0;
  do size = ::read(from_child_.get(), &m, sizeof m);
  while (size < 0 && errno == EINTR);
  answer given;
  if (size != static_cast<ssize_t>(sizeof m)) {
    given.error = "the process that looked it up ended without an answer";
  } else if (m.error != 0 || m.count == 0) {
    given.error = m.error != 0 ? ::gai_strerror(m.error) : "it has no address";
  } else {
    const auto count = std::min<std::size_t>(m.count, m.addresses.size());
    given.addresses.assign(m.addresses.begin(), m.addresses.begin() + static_cast<std::ptrdiff_t>(count));
  }
  return given;
}

}  // namespace lanloom::os
