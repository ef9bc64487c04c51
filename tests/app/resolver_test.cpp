// SPDX-License-Identifier: Apache-2.0
#include "../../src/app/resolver.hpp"
#include "config_cases.hpp"
#include "os/own_host.hpp"

#include <doctest/doctest.h>
#include <lanloom/app/log.hpp>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/netlink.hpp>

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <boost/asio/executor_work_guard.hpp>

#include <chrono>
#include <fstream>
#include <sstream>

using namespace lanloom;
using namespace lanloom::app;
using namespace lanloom::app::config_cases;
using namespace std::chrono_literals;
using lanloom::os::on_own_host;

namespace {
constexpr const char* hosts_file = "/run/hosts";
constexpr const char* log_file = "/run/log";

void hosts_are(const std::string& lines) {
  std::ofstream(hosts_file) << lines;
}  // the same file, as what is bound stays

// On a host of one's own: both families, names as hosts_are() says, and no name server.
void prepare() {
  hosts_are("");
  REQUIRE(::chmod(hosts_file, 0644) == 0);
  REQUIRE(::mount(hosts_file, "/etc/hosts", nullptr, MS_BIND, nullptr) == 0);
  os::netlink links;
  const int lo = links.link_by_name("lo")->index;
  links.set_up(lo);
  links.add_address(lo, *ip_prefix::parse("192.0.2.99/32"));
  links.add_address(lo, *ip_prefix::parse("2001:db8::99/128"));
}

struct told {
  std::size_t peer;
  std::string addresses;
  bool operator==(const told&) const = default;
};
std::ostream& operator<<(std::ostream& to, const told& t) { return to << t.peer << ": " << t.addresses; }

// A keeper's part of it.
struct asker {
  explicit asker(const std::string& peers)
      : names(
            io, parse(std::string(node) + peers), os::sandbox_identity{}, [] {},
            [this](std::size_t peer, const core::candidates& found) {
              std::string text;
              for (const endpoint& e : found.all()) text += (text.empty() ? "" : " ") + to_string(e);
              said.push_back({peer, text});
            }) {}
  // Until so much was said; false when that takes longer than 20 s.
  bool says(std::size_t count) {
    const auto until = std::chrono::steady_clock::now() + 20s;
    while (said.size() < count && std::chrono::steady_clock::now() < until) io.run_one_for(100ms);
    return said.size() == count;
  }
  void run_for(std::chrono::milliseconds d) { io.run_for(d); }

  boost::asio::io_context io{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> goes_on{io.get_executor()};
  std::vector<told> said;
  resolver names;
};

const std::string beta = peer("b", beta_key, "endpoint = [\"one.example:1\", \"192.0.2.7:4780\", \"two.example:2\"]\n");
}  // namespace

TEST_CASE("resolver: entries keep their order, each has a place before any has a second, and ports are the file's") {
  on_own_host([] {
    prepare();
    hosts_are("192.0.2.1 one.example\n192.0.2.2 one.example\n192.0.2.3 two.example\n2001:db8::3 three.example\n");
    asker a(beta + peer("c", gamma_key, "endpoint = \"three.example:3\"\n"));
    a.names.start();
    REQUIRE(a.says(3));
    // What is there is used, though another name is still being looked up.
    CHECK((a.said[0] == told{0, "192.0.2.1:1 192.0.2.7:4780 192.0.2.2:1"} ||
           a.said[0] == told{0, "192.0.2.2:1 192.0.2.7:4780 192.0.2.1:1"}));
    CHECK((a.said[1] == told{0, "192.0.2.1:1 192.0.2.7:4780 192.0.2.3:2 192.0.2.2:1"} ||
           a.said[1] == told{0, "192.0.2.2:1 192.0.2.7:4780 192.0.2.3:2 192.0.2.1:1"}));
    CHECK(a.said[2] == told{1, "[2001:db8::3]:3"});
    a.names.stop();
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);  // no child is left
  });
}

TEST_CASE("resolver: a silent peer's names are looked up again, but not at once, and only news is told") {
  on_own_host([] {
    prepare();
    hosts_are("192.0.2.1 one.example\n192.0.2.3 two.example\n");
    asker a(beta);
    a.names.start();
    REQUIRE(a.says(2));
    hosts_are("192.0.2.11 one.example\n192.0.2.3 two.example\n");
    a.names.look_again(0);
    a.names.look_again(77);  // nobody: a node may say what it likes
    a.run_for(200ms);
    CHECK(a.said.size() == 2);  // it is not 5 s
    const auto later = std::chrono::steady_clock::now() + 5s;
    while (std::chrono::steady_clock::now() < later) a.run_for(100ms);
    a.names.look_again(0);
    REQUIRE(a.says(3));
    CHECK(a.said[2] == told{0, "192.0.2.11:1 192.0.2.7:4780 192.0.2.3:2"});
  });
}

TEST_CASE("resolver: a name that fails is tried again without being asked, and said once") {
  on_own_host([] {
    prepare();
    const int log = ::open(log_file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    const int before = ::dup(STDERR_FILENO);
    ::dup2(log, STDERR_FILENO);
    configure_log(log_level::info, verbosity::as_configured, "lan");
    asker a(peer("b", beta_key, "endpoint = \"one.example:1\"\n"));
    a.names.start();
    const auto later = std::chrono::steady_clock::now() + 6s;  // the first, and the one 5 s after it
    while (std::chrono::steady_clock::now() < later) a.run_for(100ms);
    CHECK(a.said.empty());
    hosts_are("192.0.2.1 one.example\n");
    REQUIRE(a.says(1));
    CHECK(a.said[0] == told{0, "192.0.2.1:1"});
    ::dup2(before, STDERR_FILENO);
    ::close(before);
    ::close(log);
    std::stringstream text;
    text << std::ifstream(log_file).rdbuf();
    const std::string lines = text.str();
    const auto at = lines.find("peer b: one.example cannot be used: ");
    CHECK(at != std::string::npos);
    CHECK(lines.find("See: getent ahosts one.example", at) != std::string::npos);
    CHECK(lines.find("cannot be used", at + 40) == std::string::npos);
    CHECK(lines.find("peer b: one.example is 192.0.2.1:1 now") != std::string::npos);
  });
}

TEST_CASE("resolver: what cannot be a peer's address is left out") {
  on_own_host([] {
    prepare();
    hosts_are(
        "10.5.0.9 one.example\n0.0.0.0 one.example\n224.0.0.1 one.example\nfe80::1 one.example\n192.0.2.1 one.example\n"
        "192.0.2.2 own.example\n192.0.2.3 own.example\n2001:db8::1 own.example\n");
    asker a("listen = \"192.0.2.2:2\"\n[bridge]\naddresses = [\"10.5.0.1/16\"]\n" +
            peer("b", beta_key, "endpoint = \"one.example:1\"\n") +
            peer("c", gamma_key, "endpoint = \"own.example:2\"\n"));
    a.names.start();
    REQUIRE(a.says(2));
    CHECK(a.said[0] == told{0, "192.0.2.1:1"});
    CHECK(a.said[1] == told{1, "192.0.2.3:2"});  // not our own, and not of another family than ours
  });
}

TEST_CASE("resolver: a peer without names costs nothing") {
  asker a(peer("b", beta_key, "endpoint = \"192.0.2.1:1\"\n"));
  a.names.start();
  a.names.look_again(0);
  CHECK(a.io.poll() == 0);
  CHECK(a.said.empty());
}
