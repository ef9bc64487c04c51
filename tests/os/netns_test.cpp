// SPDX-License-Identifier: Apache-2.0
#include "own_host.hpp"

#include <doctest/doctest.h>

#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <set>

using namespace lanloom::os;

namespace {
ino_t inode_of(const char* path) {
  struct stat s {};
  REQUIRE(::stat(path, &s) == 0);
  return s.st_ino;
}
ino_t here() { return inode_of("/proc/self/ns/net"); }

ino_t inode_of(const unique_fd& file) {
  struct stat s {};
  REQUIRE(::fstat(file.get(), &s) == 0);
  return s.st_ino;
}
}  // namespace

TEST_CASE("a namespace is made, pinned and removed without moving us") {
  on_own_host([] {
    const auto before = here();
    const auto made = create_netns("ns1");
    CHECK(here() == before);
    CHECK(inode_of(made) != before);
    CHECK(inode_of("/run/netns/ns1") == inode_of(made));
    CHECK(netns_exists("ns1"));
    CHECK_FALSE(netns_exists("ns2"));
    CHECK(inode_of(open_netns("ns1")) == inode_of(made));
    CHECK(inode_of(open_netns("/run/netns/ns1")) == inode_of(made));
    CHECK(inode_of(open_netns("/proc/self/ns/net")) == before);
    CHECK((::fcntl(made.get(), F_GETFD) & FD_CLOEXEC) != 0);

    const auto inside = netlink::in(made).links();
    REQUIRE(inside.size() >= 1);
    CHECK(inside[0].name == "lo");
    CHECK(inside[0].up);

    CHECK(refusal([] { (void)create_netns("ns1"); }) == "create network namespace ns1: File exists");
    CHECK(inode_of("/run/netns/ns1") == inode_of(made));
    delete_netns("ns1");
    CHECK_FALSE(netns_exists("ns1"));
    CHECK(::access("/run/netns/ns1", F_OK) != 0);
    delete_netns("ns1");
    CHECK(netlink::in(made).links().size() == inside.size());  // lives on in the descriptor
  });
}

TEST_CASE("pins propagate, and are those of ip-netns") {
  on_own_host([] {
    const std::string mounts = "grep ' /run/netns ' /proc/self/mountinfo";  // the machine's, hidden below our /run, too
    const auto before = output_of(mounts);
    const auto first = create_netns("first");
    const auto second = create_netns("second");
    CHECK(netns_exists("first"));
    const auto shared = output_of(mounts).substr(before.size());
    CHECK(shared.find(" shared:") != std::string::npos);
    CHECK(shared.find('\n') == shared.size() - 1);  // bound to itself once only
    const auto listed = output_of("ip netns list");
    CHECK(listed.find("first") != std::string::npos);
    CHECK(listed.find("second") != std::string::npos);
    REQUIRE(output_of("ip netns add third && echo made") == "made\n");
    CHECK(netns_exists("third"));
    delete_netns("third");
    CHECK(output_of("ip netns list").find("third") == std::string::npos);
  });
}

TEST_CASE("a namespace is told from every other, also from its successor by the same name") {
  on_own_host([] {
    const auto here_id = netns_id(open_netns("/proc/self/ns/net"));
    std::set<std::uint64_t> seen{here_id};
    std::set<ino_t> inodes;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    for (bool again = false; !again && std::chrono::steady_clock::now() < deadline;) {
      const auto made = create_netns("ns1");
      const auto id = netns_id(made);
      CHECK(netns_id(open_netns("ns1")) == id);
      CHECK(netns_id(open_netns("/run/netns/ns1")) == id);
      CHECK(seen.insert(id).second);
      again = !inodes.insert(inode_of(made)).second;  // the kernel has given one out again
      delete_netns("ns1");
    }
    CHECK(netns_id(open_netns("/proc/self/ns/net")) == here_id);
    CHECK_THROWS_AS((void)netns_id(unique_fd()), std::system_error);
  });
}

TEST_CASE("what is no network namespace is refused by name") {
  on_own_host([] {
    CHECK_FALSE(netns_exists("ns1"));  // not even the directory is there
    delete_netns("ns1");
    CHECK(refusal([] { (void)open_netns("ns1"); }) == "open network namespace ns1: No such file or directory");
    CHECK(refusal([] { (void)open_netns("/etc/passwd"); }) == "open network namespace /etc/passwd: Invalid argument");
    CHECK(refusal([] { (void)open_netns("/proc/self/ns/mnt"); }) ==
          "open network namespace /proc/self/ns/mnt: Invalid argument");
    using namespace std::string_view_literals;
    for (const auto name : {""sv, "."sv, ".."sv, "a/b"sv, "a\0b"sv}) {
      CHECK_THROWS_AS((void)create_netns(name), std::system_error);
      CHECK_THROWS_AS((void)netns_exists(name), std::system_error);
      CHECK_THROWS_AS(delete_netns(name), std::system_error);
    }
  });
}

TEST_CASE("a pin that lost its namespace is not one, and can be removed") {
  on_own_host([] {
    (void)create_netns("other");  // makes the directory
    REQUIRE(unique_fd(::open("/run/netns/stale", O_CREAT | O_CLOEXEC, 0)));
    CHECK_FALSE(netns_exists("stale"));
    CHECK(refusal([] { (void)create_netns("stale"); }) == "create network namespace stale: File exists");
    delete_netns("stale");
    CHECK(inode_of(create_netns("stale")) != here());
  });
}

TEST_CASE("in_netns comes back, by exception too") {
  on_own_host([] {
    const auto before = here();
    const auto made = create_netns("ns1");
    {
      const in_netns there(made);
      CHECK(here() == inode_of(made));
    }
    CHECK(here() == before);
    try {
      const in_netns there(made);
      throw 1;
    } catch (int) {
    }
    CHECK(here() == before);
    const unique_fd file(::open("/etc/passwd", O_RDONLY | O_CLOEXEC));
    CHECK(refusal([&] { const in_netns there(file); }) == "enter network namespace: Invalid argument");
    CHECK(here() == before);
  });
}

TEST_CASE("processes in a namespace are found") {
  on_own_host([] {
    const auto made = create_netns("ns1");
    CHECK(processes_in(made).empty());
    std::array<int, 2> ready{};
    REQUIRE(::pipe2(ready.data(), O_CLOEXEC) == 0);
    unique_fd theirs(ready[1]);
    const unique_fd ours(ready[0]);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const in_netns there(made);
      if (::write(theirs.get(), "", 1) == 1) ::pause();
      ::_exit(1);
    }
    theirs.reset();
    char byte = 1;
    CHECK(::read(ours.get(), &byte, 1) == 1);
    CHECK(processes_in(made) == std::vector<pid_t>{child});
    ::kill(child, SIGKILL);
    CHECK(::waitpid(child, nullptr, 0) == child);
    CHECK(processes_in(made).empty());
    // Who may not look does not conclude that nobody is there.
    REQUIRE(::setuid(12345) == 0);
    CHECK(refusal([&] { (void)processes_in(made); }).ends_with("/ns/net: Permission denied"));
  });
}
