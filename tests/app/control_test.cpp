// SPDX-License-Identifier: Apache-2.0
#include "control_client.hpp"
#include "os/in_child.hpp"

#include <doctest/doctest.h>
#include <lanloom/app/host.hpp>
#include <lanloom/os/listener.hpp>

#include <grp.h>
#include <sys/resource.h>
#include <boost/asio/post.hpp>

#include <atomic>
#include <future>
#include <memory>
#include <thread>

using namespace lanloom;
using namespace lanloom::app;
using namespace lanloom::app::test;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

constexpr std::string_view good = "GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n";

std::size_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

// A server in a thread, as the node has it: the io_context outlives it.
class running_server {
 public:
  explicit running_server(std::size_t answer_size = 2) {
    auto source = [this, answer_size](std::string_view path) -> std::optional<std::string> {
      ++asked;
      if (path != "/v1/status") return std::nullopt;
      std::string body(answer_size, ' ');
      body.front() = '{';
      body.back() = '}';
      return body;
    };
    server_.emplace(io_, os::listen_unix(path(), 0600, 0), 0, std::move(source));
    thread_ = std::thread([this] { io_.run(); });
  }
  ~running_server() {
    asio::post(io_, [this] { io_.stop(); });
    thread_.join();
  }
  running_server(const running_server&) = delete;
  running_server& operator=(const running_server&) = delete;
  [[nodiscard]] std::string path() const { return directory_ / "lan.sock"; }

  std::atomic<unsigned> asked = 0;

 private:
  temporary_directory directory_;
  asio::io_context io_{1};
  std::optional<control_server> server_;
  std::thread thread_;
};

// Somebody at the other end who is no node: takes a client for each of `texts`, reads what comes first, says the text
// and hangs up. A text of `unread` hangs up before it reads.
class impostor {
 public:
  static constexpr std::string_view unread = "unread";

  explicit impostor(std::vector<std::string> texts)
      : listener_(os::listen_unix(path(), 0600, 0)), texts_(std::move(texts)) {
    thread_ = std::thread([this] {
      for (const auto& text : texts_) {
        if (!os::test::readable(listener_.get(), 10s)) return;
        const os::unique_fd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!os::test::readable(client.get(), 10s)) return;
        if (text == unread) continue;
        std::array<char, 1024> room;
        if (::read(client.get(), room.data(), room.size()) < 0) return;
        static_cast<void>(::send(client.get(), text.data(), text.size(), MSG_NOSIGNAL));
      }
    });
  }
  ~impostor() { thread_.join(); }
  impostor(const impostor&) = delete;
  impostor& operator=(const impostor&) = delete;
  [[nodiscard]] std::string path() const { return directory_ / "lan.sock"; }

 private:
  temporary_directory directory_;
  os::unique_fd listener_;
  std::vector<std::string> texts_;
  std::thread thread_;
};

}  // namespace

TEST_CASE("control: a question is answered, over the socket, any number of times") {
  running_server server(5'000'000);
  for (int i = 0; i < 20; ++i) {
    const std::string body = ask(server.path(), "/v1/status");
    CHECK(body.size() == 5'000'000);
    CHECK(body.front() == '{');
    CHECK(body.back() == '}');
  }
  const std::string whole = exchange(server.path(), good);
  CHECK(whole.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(whole.find("\r\nConnection: close\r\n") != std::string::npos);
}

TEST_CASE("control: what is not a known GET is refused, and the client says so") {
  running_server server;
  CHECK_THROWS_WITH(static_cast<void>(ask(server.path(), "/v1/other")),
                    doctest::Contains("the daemon refused /v1/other"));
  CHECK(exchange(server.path(), "GET /v2/status HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
  CHECK(exchange(server.path(), "POST /v1/status HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
}

TEST_CASE("control: one request a connection; what comes behind it is not looked at") {
  running_server server;
  const std::string answers = exchange(server.path(), std::string(good) + std::string(good) + "garbage");
  CHECK(answers.starts_with("HTTP/1.1 200 "));
  CHECK(answers.find("HTTP/1.1", 1) == std::string::npos);
  CHECK(server.asked == 1);
}

TEST_CASE("control: garbage, a long header and a body are closed without an answer, and the next client is served") {
  running_server server;
  const std::string start = "GET /v1/status HTTP/1.1\r\n";
  const std::string many_lines = [] {
    std::string lines;
    for (int i = 0; i < 5000; ++i) lines += "a: b\r\n";
    return lines;
  }();
  const std::string bad[] = {
      "garbage",
      std::string(100'000, '\0'),
      std::string(100'000, 'G'),
      "\r\n\r\n\r\n\r\nnothing",
      "GET /v1/status HTTP/9.9\r\n\r\n",
      "GET  HTTP/1.1\r\n\r\n",
      "GET /v1/status\r\n\r\n",
      start + "no colon\r\n\r\n",
      start + "x: " + std::string(9000, 'a') + "\r\n\r\n",
      start + many_lines + "\r\n",
      "GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n\r\n",
      start + "Content-Length: 5\r\n\r\nhello",
      start + "Content-Length: 18446744073709551615\r\n\r\n",
      start + "Content-Length: -1\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
      start + "Transfer-Encoding: chunked\r\n\r\n0\r\nhello\r\n0\x1f",
  };
  for (const std::string& request : bad) {
    CAPTURE(request.substr(0, 60));
    CHECK(exchange(server.path(), request) == "");
  }
  CHECK(server.asked == 0);
  CHECK(ask(server.path(), "/v1/status") == "{}");
}

TEST_CASE("control: sixteen at once; the seventeenth waits and is served when one of them has gone") {
  running_server server;
  std::vector<std::unique_ptr<control_client>> clients;
  for (std::size_t i = 0; i < control_server::max_connections; ++i) {
    clients.push_back(std::make_unique<control_client>(server.path()));
    clients.back()->send(good.substr(0, 10));
  }
  const control_client late(server.path());
  late.send(good);
  CHECK(!late.readable(300ms));
  CHECK(server.asked == 0);
  clients.pop_back();  // hangs up
  CHECK(late.read_all().starts_with("HTTP/1.1 200 "));
  for (const auto& client : clients) {
    client->send(good.substr(10));
    CHECK(client->read_all().starts_with("HTTP/1.1 200 "));
  }
  CHECK(ask(server.path(), "/v1/status") == "{}");
}

TEST_CASE("control: a client may leave at any point; nothing is left of it") {
  running_server server(3'000'000);
  const std::size_t before = open_files();
  for (std::size_t sent = 0; sent <= good.size(); ++sent) {
    const control_client client(server.path());
    client.send(good.substr(0, sent));
  }
  for (int i = 0; i < 20; ++i) {  // in the middle of the answer
    const control_client client(server.path());
    client.send(good);
    CHECK(client.readable(10s));
    char byte = 0;
    CHECK(::read(client.fd(), &byte, 1) == 1);
  }
  CHECK(ask(server.path(), "/v1/status").size() == 3'000'000);
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (open_files() != before && std::chrono::steady_clock::now() < deadline) std::this_thread::sleep_for(1ms);
  CHECK(open_files() == before);
}

TEST_CASE("control: five seconds for a request and its answer, also byte by byte, also for who asks") {
  running_server server(3'000'000);
  temporary_directory directory;
  const std::string hung = directory / "hung.sock";
  const os::unique_fd never_accepts = os::listen_unix(hung, 0600, 0);
  const auto start = std::chrono::steady_clock::now();
  const auto failure_of_ask = [&hung] {
    try {
      static_cast<void>(ask(hung, "/v1/status"));
      return std::string("answered");
    } catch (const std::exception& e) {
      return std::string(e.what());
    }
  };
  auto unanswered = std::async(std::launch::async, failure_of_ask);

  const control_client silent(server.path());
  const control_client trickling(server.path());
  const control_client never_reading(server.path());
  never_reading.send(good);
  trickling.send(good.substr(0, good.size() - 4));
  bool all_closed = false;
  while (!all_closed && std::chrono::steady_clock::now() - start < 30s) {
    static_cast<void>(trickling.offer("a"));
    all_closed =
        silent.closed_by_server(20ms) && trickling.closed_by_server(20ms) && never_reading.closed_by_server(20ms);
  }
  const auto took = std::chrono::steady_clock::now() - start;
  CHECK(all_closed);
  CHECK(took >= 4900ms);
  CHECK(took < 10s);
  CHECK(server.asked == 1);
  CHECK(silent.read_all() == "");
  CHECK(trickling.read_all() == "");
  CHECK(never_reading.read_all().size() < 3'000'000);
  CHECK(unanswered.get().find("the daemon does not answer") != std::string::npos);
  CHECK(std::chrono::steady_clock::now() - start < 15s);
  CHECK(!ask(server.path(), "/v1/status").empty());
}

TEST_CASE("control: with no descriptor left the server waits instead of turning, and serves the client later") {
  const std::string outcome = os::test::in_child([] {
    temporary_directory directory;
    const std::string path = directory / "lan.sock";
    asio::io_context io(1);
    control_server server(io, os::listen_unix(path, 0600, 0), 0, [](std::string_view) { return "{}"; });
    const control_client client(path);
    client.send(good);
    rlimit limit{};
    EXPECT(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    rlimit low = limit;
    low.rlim_cur = 3;
    EXPECT(::setrlimit(RLIMIT_NOFILE, &low) == 0);
    const std::size_t turns = io.run_for(500ms);
    EXPECT(turns >= 2);
    EXPECT(turns <= 20);
    EXPECT(!client.readable(0ms));
    EXPECT(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!client.closed_by_server(0ms) && std::chrono::steady_clock::now() < deadline) io.run_for(10ms);
    EXPECT(client.read_all().starts_with("HTTP/1.1 200 "));
  });
  CHECK(outcome == "");
}

TEST_CASE("control: connections end with the server, whatever they were at, and before the io_context does") {
  temporary_directory directory;
  const std::string path = directory / "lan.sock";
  asio::io_context io(1);
  const std::string large(3'000'000, ' ');
  auto server = std::make_unique<control_server>(io, os::listen_unix(path, 0600, 0), 0,
                                                 [&large](std::string_view) { return large; });
  const control_client silent(path);
  const control_client half(path);
  half.send(good.substr(0, 20));
  const control_client reading(path);
  reading.send(good);
  while (!reading.readable(0ms)) io.run_for(1ms);
  server.reset();
  CHECK(silent.closed_by_server(0ms));
  CHECK(half.closed_by_server(0ms));
  CHECK(reading.closed_by_server(0ms));
}

TEST_CASE("control: who asks where nobody listens is told what to do") {
  temporary_directory directory;
  const std::string path = directory / "lan.sock";
  CHECK_THROWS_AS_MESSAGE(static_cast<void>(ask(path, "/v1/status")), not_running, "no file");
  { const os::unique_fd gone = os::listen_unix(path, 0600, 0); }
  CHECK_THROWS_WITH_AS(static_cast<void>(ask(path, "/v1/status")), "lan does not run here; start it with `lanloom up`",
                       not_running);
  CHECK(!connect_control(path));
  CHECK_THROWS_AS(static_cast<void>(connect_control("/" + std::string(200, 'a'))), std::system_error);
  CHECK(control_path("lan") == "/run/lanloom/lan.sock");
}

TEST_CASE("control: who may not connect is told so") {
  temporary_directory directory;
  std::filesystem::permissions(directory.path(), std::filesystem::perms{0755});
  const std::string path = directory / "lan.sock";
  const os::unique_fd listener = os::listen_unix(path, 0660, 0);
  const std::string outcome = os::test::in_child([&path] {
    EXPECT(::setgid(65534) == 0 && ::setuid(65534) == 0);
    try {
      static_cast<void>(ask(path, "/v1/status"));
    } catch (const permission_error& e) {
      EXPECT(std::string(e.what()).find("run as root or join its group") != std::string::npos);
      return;
    }
    throw std::runtime_error("was let in");
  });
  CHECK(outcome == "");
}

TEST_CASE(
    "control: who is neither root nor in the group is refused, whatever the mode of the file; its members are served") {
  temporary_directory directory;
  std::filesystem::permissions(directory.path(), std::filesystem::perms{0755});
  const std::string path = directory / "lan.sock";
  asio::io_context io(1);
  const control_server server(io, os::listen_unix(path, 0666, 0), 4711, [](std::string_view) { return "{}"; });
  struct who {
    gid_t own;
    std::vector<gid_t> others;
    bool served;
  };
  std::vector<gid_t> many(600, 5000);
  many.push_back(4711);
  for (const auto& [own, others, served] : {who{65534, {}, false}, who{4711, {}, true}, who{65534, {1, 4711, 2}, true},
                                            who{65534, {0, 1}, false}, who{65534, many, true}}) {
    CAPTURE(own);
    CAPTURE(others.size());
    // The server's turns are taken by the parent while the child waits for its answer.
    auto asked = std::async(std::launch::async, [&, own = own, others = others, served = served] {
      return os::test::in_child([&] {
        EXPECT(::setgroups(others.size(), others.data()) == 0 && ::setgid(own) == 0 && ::setuid(65534) == 0);
        const std::string answer = exchange(path, good);
        EXPECT(answer.starts_with(served ? "HTTP/1.1 200 " : "HTTP/1.1 403 "));
        EXPECT(served == (answer.find("only root and the group of [control] may ask") == std::string::npos));
      });
    });
    while (asked.wait_for(0ms) != std::future_status::ready) io.run_for(10ms);
    CHECK(asked.get() == "");
  }
}

TEST_CASE("control: an answer that is none is an error, not a crash") {
  for (const char* text : {"garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
                           "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"}) {
    CAPTURE(text);
    const impostor other({text});
    CHECK_THROWS_WITH(static_cast<void>(ask(other.path(), "/v1/status")), doctest::Contains("does not answer"));
  }
  const impostor strict({"HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nwhy"});
  CHECK_THROWS_WITH_AS(static_cast<void>(ask(strict.path(), "/v1/status")), (strict.path() + ": why").c_str(),
                       permission_error);
  const impostor broken({"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"});
  CHECK_THROWS_WITH(static_cast<void>(ask(broken.path(), "/v1/status")), doctest::Contains("refused"));
}

TEST_CASE("control: a node that hangs up without a word is being replaced, and the next one is asked, once") {
  const std::string good_answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
  for (const std::string& left : {std::string(), std::string(impostor::unread)}) {
    CAPTURE(left);
    const impostor replaced({left, good_answer});
    CHECK(ask(replaced.path(), "/v1/status") == "{}");
    const impostor gone({left, left});
    CHECK_THROWS_WITH(static_cast<void>(ask(gone.path(), "/v1/status")), doctest::Contains("does not answer"));
  }
}
