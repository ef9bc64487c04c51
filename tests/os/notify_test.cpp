// SPDX-License-Identifier: Apache-2.0
#include "in_child.hpp"

#include <doctest/doctest.h>
#include <lanloom/os/notify.hpp>

#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <filesystem>

using namespace lanloom::os;
using namespace lanloom::os::test;

namespace {

// A service manager's socket; `name` as NOTIFY_SOCKET says it.
unique_fd manager_at(const std::string& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  EXPECT(name.size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, name.data(), name.size());
  if (name.front() == '@') address.sun_path[0] = '\0';
  unique_fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  EXPECT(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
  return fd;
}

std::string next_message(const unique_fd& manager) {
  if (!readable(manager.get(), std::chrono::seconds(5))) return "nothing";
  std::array<char, 256> text{};
  const ssize_t n = ::recv(manager.get(), text.data(), text.size(), 0);
  return {text.data(), static_cast<std::size_t>(n)};
}

std::size_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

}  // namespace

TEST_CASE("notify: each state is one datagram to the manager, by path or in the abstract name space") {
  for (const char* where : {"/tmp/lanloom-notify-", "@lanloom-notify-"}) {
    CAPTURE(where);
    const std::string name = where + std::to_string(::getpid());
    const std::string outcome = in_child([&name] {
      const unique_fd manager = manager_at(name);
      ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
      const auto files = open_files();
      notify_service_manager("READY=1");
      notify_service_manager("STOPPING=1");
      EXPECT(next_message(manager) == "READY=1");
      EXPECT(next_message(manager) == "STOPPING=1");
      EXPECT(open_files() == files);
    });
    CHECK(outcome == "");
    if (name.front() == '/') std::filesystem::remove(name);
  }
}

TEST_CASE("notify: without a manager, or with one that cannot be reached, nothing happens") {
  const std::string outcome = in_child([] {
    const auto files = open_files();
    ::unsetenv("NOTIFY_SOCKET");
    notify_service_manager("READY=1");
    for (const std::string& name : {std::string(), std::string("/nowhere/at/all"), std::string("relative"),
                                    std::string("@"), std::string(300, 'a'), "/" + std::string(107, 'a')}) {
      ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
      notify_service_manager("READY=1");
    }
    EXPECT(open_files() == files);
  });
  CHECK(outcome == "");
}

TEST_CASE("notify: a manager that does not read holds nobody up") {
  const std::string name = "@lanloom-notify-full-" + std::to_string(::getpid());
  const std::string outcome = in_child([&name] {
    const unique_fd manager = manager_at(name);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
    ::alarm(10);
    for (int i = 0; i < 2000; ++i) notify_service_manager("READY=1");
    EXPECT(next_message(manager) == "READY=1");
  });
  CHECK(outcome == "");
}
