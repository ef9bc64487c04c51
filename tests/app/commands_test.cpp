// SPDX-License-Identifier: Apache-2.0
#include "os/own_host.hpp"

#include <doctest/doctest.h>
#include <lanloom/app/commands.hpp>
#include <lanloom/app/control.hpp>
#include <lanloom/app/host.hpp>
#include <lanloom/crypto/keys.hpp>
#include <lanloom/os/listener.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <boost/asio/post.hpp>

#include <csignal>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <thread>

using namespace lanloom;
using namespace lanloom::app;

namespace {

// What a command wrote to stdout, and what it ended with.
struct result {
  int status = -1;
  std::string text;
};

template <class Command>
result run(Command command, const std::string& input = {}) {
  crypto::initialise();
  std::ostringstream out;
  std::istringstream in(input);
  std::streambuf* const before_out = std::cout.rdbuf(out.rdbuf());
  std::streambuf* const before_in = std::cin.rdbuf(in.rdbuf());
  result r;
  try {
    r.status = command();
  } catch (...) {
    std::cout.rdbuf(before_out);
    std::cin.rdbuf(before_in);
    throw;
  }
  std::cout.rdbuf(before_out);
  std::cin.rdbuf(before_in);
  r.text = out.str();
  return r;
}

std::string line_of(const std::string& text) {
  REQUIRE(!text.empty());
  REQUIRE(text.back() == '\n');
  REQUIRE(text.find('\n') == text.size() - 1);
  return text.substr(0, text.size() - 1);
}

// An instance as `status` sees it: something that answers on its control socket.
class instance {
 public:
  explicit instance(const std::string& name, std::string peer_state = "established") : name_(name) {
    std::filesystem::create_directories("/run/lanloom");
    auto source = [this, state = std::move(peer_state)](std::string_view path) -> std::optional<std::string> {
      ++asked_;
      const std::string now = state == "soon" ? (asked_ < 4 ? "handshaking" : "established") : state;
      if (path == "/v1/fdb") {
        return R"({"entries":[{"mac":"02:00:00:00:00:01","vlan":0,"peer":null,"age_seconds":1}]})";
      }
      return R"({"schema":1,"instance":")" + name_ + R"(","version":"0","uptime_seconds":1,"config":{},)" +
             R"("node":{"name":"alpha","public_key":"k","listen":"l"},"tap":{"name":"t","mtu":1500},)" +
             R"("bridge":{"name":"b"},"peers":[{"name":"beta","state":")" + now +
             R"(","endpoint":"192.0.2.1:1","cipher":null,"last_handshake_seconds":null,"rx_bytes":0,"rx_frames":0,)" +
             R"("tx_bytes":0,"tx_frames":0,"path_mtu":1500,"hint":null}],"fdb":{"entries":0,"capacity":1},"drops":{}})";
    };
    server_.emplace(io_, os::listen_unix(control_path(name), 0600, 0), 0, std::move(source));
    thread_ = std::thread([this] { io_.run(); });
  }
  ~instance() {
    boost::asio::post(io_, [this] { io_.stop(); });
    thread_.join();
    server_.reset();
  }
  instance(const instance&) = delete;
  instance& operator=(const instance&) = delete;

 private:
  std::string name_;
  int asked_ = 0;
  boost::asio::io_context io_{1};
  std::optional<control_server> server_;
  std::thread thread_;
};

result status_of(const std::string& word, status_options options = {}) {
  return run([&] { return app::status(word, options); });
}

}  // namespace

TEST_CASE("commands: genkey prints a private key, pubkey its public key, genpsk a secret; never twice the same") {
  const result key = run([] { return genkey(std::nullopt); });
  CHECK(key.status == 0);
  const auto secret = crypto::parse_secret(line_of(key.text));
  REQUIRE(secret);
  const result pub = run([] { return pubkey(); }, key.text);
  CHECK(pub.status == 0);
  CHECK(line_of(pub.text) == crypto::to_base64(crypto::derive_public(*secret)));
  const result psk = run([] { return genpsk(); });
  CHECK(psk.status == 0);
  CHECK(crypto::parse_secret(line_of(psk.text)));
  CHECK(run([] { return genkey(std::nullopt); }).text != key.text);
  CHECK(run([] { return genpsk(); }).text != psk.text);
}

TEST_CASE("commands: pubkey gives what wg(8) gives, and refuses what is no key") {
  // RFC 7748 6.1: Alice's key pair.
  CHECK(run([] { return pubkey(); }, "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=\n").text ==
        "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=\n");
  CHECK(run([] { return pubkey(); }, "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=").status == 0);  // no new line
  for (const char* input : {"", "\n", "nonsense\n", "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LC==\n",
                            "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo= \n"}) {
    CAPTURE(input);
    CHECK_THROWS_WITH(run([] { return pubkey(); }, input), doctest::Contains("not a private key"));
  }
}

TEST_CASE("commands: genkey -o writes a file nobody else can read, once, and prints the public key") {
  os::on_own_host([] {
    const std::filesystem::path file = "/run/alpha.key";
    ::umask(0);
    const result made = run([&] { return genkey(file); });
    CHECK(made.status == 0);
    struct stat found {};
    REQUIRE(::stat(file.c_str(), &found) == 0);
    CHECK((found.st_mode & 07777) == 0600);
    std::ostringstream content;
    content << std::ifstream(file).rdbuf();
    CHECK(run([] { return pubkey(); }, content.str()).text == made.text);

    CHECK_THROWS_WITH(run([&] { return genkey(file); }),  // it is somebody's key
                      "/run/alpha.key: exists already; remove it first if no host uses it");
    std::ostringstream still;
    still << std::ifstream(file).rdbuf();
    CHECK(still.str() == content.str());
    std::filesystem::create_symlink("/run/elsewhere", "/run/link.key");
    CHECK_THROWS_WITH(run([] { return genkey("/run/link.key"); }), doctest::Contains("exists already"));
    CHECK_THROWS_AS(run([] { return genkey("/run/nowhere/x.key"); }), std::system_error);

    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit half{20, 20};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &half) == 0);
    CHECK_THROWS_WITH(run([] { return genkey("/run/half.key"); }), doctest::Contains("the file was removed"));
    CHECK(!std::filesystem::exists("/run/half.key"));
  });
}

TEST_CASE("commands: check says that a file is good, or every problem with its place") {
  os::on_own_host([] {
    const result key = run([] { return genkey("/run/alpha.key"); });
    std::ofstream("/run/lan.toml") << "[node]\nname = \"alpha\"\nprivate_key = \"alpha.key\"\n[bridge]\nname = \"br\"\n"
                                      "addresses = [\"10.5.0.1/16\"]\n";
    const result good = run([] { return check("/run/lan.toml"); });
    CHECK(good.status == 0);
    CHECK(good.text == "/run/lan.toml: good\n");
    std::ofstream("/run/bad.toml") << "[node]\nprivate_key = \"alpha.key\"\nfoo = 1\n";
    CHECK_THROWS_WITH_AS(run([] { return check("/run/bad.toml"); }), doctest::Contains("/run/bad.toml:3:1: "),
                         config_error);
  });
}

TEST_CASE("commands: without a word the only running instance is meant") {
  os::on_own_host([] {
    CHECK_THROWS_AS(status_of(""), not_running);  // not even the directory
    std::filesystem::create_directories("/run/lanloom");
    CHECK_THROWS_AS(status_of(""), not_running);
    { const os::unique_fd stale = os::listen_unix(control_path("dead"), 0600, 0); }
    std::ofstream("/run/lanloom/notes.sock") << "no socket";
    std::ofstream("/run/lanloom/lan.journal") << "x";
    CHECK_THROWS_AS(status_of(""), not_running);

    const instance lan("lan");
    CHECK(status_of("").text.starts_with("lan  lanloom "));
    CHECK(run([] { return app::fdb("", false); }).text.find("02:00:00:00:00:01     0  here") != std::string::npos);

    const instance other("other");
    CHECK_THROWS_WITH_AS(status_of(""), doctest::Contains("several instances run here"), usage_error);
    CHECK(os::refusal([] { status_of(""); }).find("name one") != std::string::npos);
    CHECK(status_of("other").text.starts_with("other  lanloom "));
    CHECK(status_of("/etc/somewhere/lan.toml").text.starts_with("lan  lanloom "));
    CHECK(status_of("lan.toml").text.starts_with("lan  lanloom "));
    CHECK_THROWS_AS(status_of("dead"), not_running);
    CHECK_THROWS_WITH_AS(status_of("No_Name"), doctest::Contains("No_Name: is no instance name"), usage_error);
    CHECK_THROWS_WITH_AS(status_of("a-name-of-13x"), doctest::Contains("is no instance name"), usage_error);
  });
}

TEST_CASE("commands: without a word, an instance that we may not ask does not count") {
  os::on_own_host([] {
    const instance lan("lan");
    const instance other("other");
    ::chmod(control_path("lan").c_str(), 0666);
    REQUIRE(::seteuid(4242) == 0);
    CHECK(status_of("").text.starts_with("lan  lanloom "));
    CHECK_THROWS_AS(status_of("other"), permission_error);
    REQUIRE(::seteuid(0) == 0);
    ::chmod(control_path("lan").c_str(), 0600);
    REQUIRE(::seteuid(4242) == 0);
    CHECK_THROWS_AS(status_of(""), permission_error);
  });
}

TEST_CASE("commands: status and fdb as JSON are what the node said") {
  os::on_own_host([] {
    const instance lan("lan");
    status_options json;
    json.json = true;
    const result r = status_of("lan", json);
    CHECK(r.status == 0);
    CHECK(r.text.starts_with("{\n  \"schema\": 1,\n  \"instance\": \"lan\","));
    CHECK(r.text.ends_with("}\n"));
    const result f = run([] { return app::fdb("lan", true); });
    CHECK(f.status == 0);
    CHECK(f.text.find("\"peer\": null") != std::string::npos);
  });
}

TEST_CASE("commands: status --wait ends with 0 once every peer is established, and with 6 when that does not come") {
  os::on_own_host([] {
    status_options wait;
    wait.wait_seconds = 0;
    {
      const instance silent("lan", "unreachable");
      const result r = status_of("lan", wait);
      CHECK(r.status == 6);
      CHECK(r.text.find("unreachable") != std::string::npos);
      CHECK(status_of("lan").status == 0);  // who does not wait has only asked
    }
    {
      const instance soon("lan", "soon");
      wait.wait_seconds = 30;
      const result r = status_of("lan", wait);
      CHECK(r.status == 0);
      CHECK(r.text.find("established") != std::string::npos);
    }
    wait.wait_seconds = 0;
    CHECK_THROWS_AS(status_of("lan", wait), not_running);
  });
}

TEST_CASE("commands: status --wait waits for the instance too") {
  os::on_own_host([] {
    std::optional<instance> late;
    std::thread starts([&late] {
      std::this_thread::sleep_for(std::chrono::milliseconds{50});
      late.emplace("lan");
    });
    status_options wait;
    wait.wait_seconds = 30;
    CHECK(status_of("lan", wait).status == 0);
    starts.join();
  });
}

TEST_CASE("commands: down of what does not run cleans up, any number of times") {
  os::on_own_host([] {
    CHECK_THROWS_AS(run([] { return down("", false); }), not_running);
    for (int i = 0; i < 2; ++i) {
      const result r = run([] { return down("lan", false); });
      CHECK(r.status == 0);
      CHECK(r.text == "");
    }
    CHECK(!std::filesystem::exists("/run/lanloom"));  // not even a lock
    std::filesystem::create_directories("/run/lanloom");
    { const os::unique_fd stale = os::listen_unix(control_path("lan"), 0600, 0); }
    CHECK(run([] { return down("lan", false); }).status == 0);
    CHECK(!std::filesystem::exists(control_path("lan")));
  });
}

TEST_CASE("commands: down stops whoever holds the lock, whether or not it answers, and waits for the lock") {
  os::on_own_host([] {
    std::filesystem::create_directories("/run/lanloom");
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const os::unique_fd from(ends[0]);
    os::unique_fd to(ends[1]);
    const pid_t keeper = ::fork();
    REQUIRE(keeper >= 0);
    if (keeper == 0) {
      std::signal(SIGTERM, SIG_DFL);
      const auto lock = os::instance_lock::try_acquire("/run/lanloom/lan.lock");
      const char ready = lock ? 'r' : 'n';
      static_cast<void>(::write(to.get(), &ready, 1) == 1);
      for (;;) ::pause();
    }
    char ready = 0;
    REQUIRE(::read(from.get(), &ready, 1) == 1);
    REQUIRE(ready == 'r');
    CHECK(run([] { return down("", false); }).status == 0);
    int status = 0;
    CHECK(::waitpid(keeper, &status, 0) == keeper);
    CHECK(WIFSIGNALED(status));
    CHECK(WTERMSIG(status) == SIGTERM);
  });
}
