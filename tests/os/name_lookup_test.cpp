// SPDX-License-Identifier: Apache-2.0
#include "in_child.hpp"
#include "own_host.hpp"

#include <doctest/doctest.h>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/name_lookup.hpp>
#include <lanloom/os/netlink.hpp>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

using namespace lanloom;
using namespace lanloom::os;
using namespace lanloom::os::test;

namespace {
constexpr sandbox_identity nobody{65534, 65534};

name_lookup::answer answer_to(const std::string& name, const std::function<void()>& forget = {}) {
  name_lookup asked(name, nobody, forget);
  if (!readable(asked.fd(), std::chrono::seconds(10))) return {{}, "no answer in 10 s"};
  return asked.read();
}

std::string text(const name_lookup::answer& a) {
  std::vector<std::string> all;
  for (const endpoint& one : a.addresses) all.push_back(to_string(one));
  std::sort(all.begin(), all.end());
  std::string joined = a.error;
  for (const auto& one : all) joined += (joined.empty() ? "" : " ") + one;
  return joined;
}

// On a host of one's own: names are what this file says, and there is no name server.
void hosts_are(const std::string& lines) {
  static int number = 0;
  const std::string file = "/run/hosts" + std::to_string(++number);
  std::ofstream(file) << lines;
  std::filesystem::permissions(file, std::filesystem::perms{0644});
  if (::mount(file.c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr) != 0) throw_errno("exchange /etc/hosts");
  netlink links;
  links.set_up(links.link_by_name("lo")->index);
}
}  // namespace

TEST_CASE("name_lookup: every address of a name, of both families") {
  on_own_host([] {
    hosts_are("192.0.2.1 alpha.example\n192.0.2.2 alpha.example\n2001:db8::1 alpha.example\n192.0.2.3 beta.example\n");
    netlink links;
    const int lo = links.link_by_name("lo")->index;
    links.add_address(lo, *ip_prefix::parse("192.0.2.99/32"));
    CHECK(text(answer_to("beta.example")) == "192.0.2.3:0");
    const auto alpha = answer_to("alpha.example");
    CHECK(std::find(alpha.addresses.begin(), alpha.addresses.end(), endpoint::v4({192, 0, 2, 1}, 0)) !=
          alpha.addresses.end());
    CHECK(std::find(alpha.addresses.begin(), alpha.addresses.end(), endpoint::v4({192, 0, 2, 2}, 0)) !=
          alpha.addresses.end());
    links.add_address(lo, *ip_prefix::parse("2001:db8::99/128"));
    CHECK(text(answer_to("alpha.example")) == "192.0.2.1:0 192.0.2.2:0 [2001:db8::1]:0");
  });
}

TEST_CASE("name_lookup: eight addresses at most") {
  on_own_host([] {
    std::string lines;
    for (int i = 1; i <= 20; ++i) lines += "192.0.2." + std::to_string(i) + " many.example\n";
    hosts_are(lines);
    netlink links;
    links.add_address(links.link_by_name("lo")->index, *ip_prefix::parse("192.0.2.99/32"));
    CHECK(answer_to("many.example").addresses.size() == name_lookup::most);
  });
}

TEST_CASE("name_lookup: a name that nobody knows says why") {
  on_own_host([] {
    hosts_are("127.0.0.1 localhost\n");
    const auto a = answer_to("nobody.invalid");
    CHECK(a.addresses.empty());
    CHECK(!a.error.empty());
    CHECK(a.error != "no answer in 10 s");
    CHECK(a.error.find("without an answer") == std::string::npos);  // it was not the filter that ended it
  });
}

TEST_CASE("name_lookup: a child that dies is an answer too, and none is left over") {
  on_own_host([] {
    hosts_are("127.0.0.1 localhost\n");
    CHECK(answer_to("localhost", [] { ::_exit(7); }).error == "the process that looked it up ended without an answer");
    CHECK(answer_to("localhost", [] { throw std::runtime_error("no"); }).error ==
          "the process that looked it up ended without an answer");
    {
      name_lookup hangs("localhost", nobody, [] { ::pause(); });
    }  // ends with the object
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  });
}

TEST_CASE("name_lookup: what is forgotten in the child stays in the parent") {
  on_own_host([] {
    hosts_are("127.0.0.1 localhost\n");
    static int secret = 42;
    CHECK(text(answer_to("localhost", [] { secret = 0; })) == "127.0.0.1:0");
    CHECK(secret == 42);
  });
}

#ifndef LANLOOM_SANITIZED
TEST_CASE("name_lookup: the filter lets a name be looked up, and nothing be written, executed or listened to") {
  const pid_t keeper = ::getpid();
  const auto failure = in_child([keeper] {
    drop_privileges(nobody, keeper);
    apply_lookup_seccomp();
    const auto refused = [](long result) { return result == -1 && errno == EPERM; };
    EXPECT(::open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
    EXPECT(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0);
    EXPECT(refused(::open("/dev/null", O_WRONLY)));
    EXPECT(refused(::open("/dev/null", O_RDWR)));
    EXPECT(refused(::open("/tmp/lanloom-lookup", O_RDONLY | O_CREAT, 0600)));
    EXPECT(refused(::execl("/bin/true", "true", nullptr)));
    EXPECT(refused(::fork()));
    EXPECT(refused(::socket(AF_PACKET, SOCK_RAW, 0)));
    EXPECT(refused(::socket(AF_INET, SOCK_RAW, 1)));
    EXPECT(refused(::kill(keeper, 0)));
    EXPECT(refused(::unlink("/tmp/lanloom-lookup")));
    EXPECT(refused(::syscall(SYS_ptrace, 16, keeper, nullptr, nullptr)));
    const int stream = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT(stream >= 0);
    EXPECT(refused(::listen(stream, 1)));
  });
  CHECK(failure == "");
}
#endif
