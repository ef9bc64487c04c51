// SPDX-License-Identifier: Apache-2.0
// running_node.hpp - for the inside of on_own_host: the real node as a child process, alpha, and its peer, beta, in the
// test's own process.
#pragma once

#include "control_client.hpp"
#include "node_pair.hpp"

#include <doctest/doctest.h>

#include <lanloom/app/daemon.hpp>
#include <lanloom/app/log.hpp>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/listener.hpp>
#include <lanloom/os/netlink.hpp>
#include <lanloom/os/tap.hpp>
#include <lanloom/os/udp.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <fstream>
#include <functional>
#include <sstream>
#include <utility>

namespace lanloom::app::test {

inline constexpr os::sandbox_identity nobody{65534, 65534};
inline const char* const socket_path = "/run/lan.sock";
inline const char* const log_file = "/run/log";

// beta, in this process: a core::node on a real socket.
class other_side {
 public:
  explicit other_side(const endpoint& alpha)
      : udp_(os::udp_socket::open(endpoint::v4({127, 0, 0, 1}, 0))),
        node_(make_node(example_setup("beta", 2, "alpha", 1, alpha), clock())) {}

  [[nodiscard]] const endpoint& address() const { return udp_.local(); }
  [[nodiscard]] core::node& node() { return *node_; }
  [[nodiscard]] bool established() const {
    return node_->peers(os::monotonic_now())[0].now == core::peer_status::state::established;
  }
  void send_frame(const std::vector<std::uint8_t>& frame, const offload& meta = {}) {
    feed_frame(*node_, frame, os::monotonic_now(), out_, meta);
    carry_out();
  }
  // Lives until the condition holds; false when that takes 10 s.
  bool live_until(const std::function<bool()>& condition) {
    for (const time_point end = os::monotonic_now() + std::chrono::seconds(10); !condition();) {
      if (os::monotonic_now() >= end) return false;
      turn();
    }
    return true;
  }

  std::vector<std::vector<std::uint8_t>> frames;  // that came for our LAN
  std::vector<core::outbox::notice::kind> notices;
  bool leaves_cutting = false;  // of trains, to the kernel, which hands them to alpha whole

 private:
  static instant clock() { return {os::monotonic_now(), os::wall_now()}; }

  void turn() {
    pollfd p{udp_.fd(), POLLIN, 0};
    if (::poll(&p, 1, 5) == 1) {
      endpoint from;
      datagram_train train;
      if (udp_.receive(room_, from, train) == std::errc{}) {
        node_->on_datagrams(train, from, os::monotonic_now(), out_);
        carry_out();
      }
    }
    while (node_->has_work()) node_->work(clock(), out_);
    if (node_->next_timer() <= os::monotonic_now()) node_->on_timer(clock(), out_);
    carry_out();
  }
  void carry_out() {
    for (const auto& train : out_.trains())
      static_cast<void>(udp_.send(train.to, train.bytes, train.stride, leaves_cutting));
    for (const auto& frame : out_.frames()) {
      auto& whole = frames.emplace_back();
      for (const bytes_view slice : frame.slices) whole.insert(whole.end(), slice.begin(), slice.end());
    }
    for (const auto& n : out_.notices()) notices.push_back(n.what);
    out_.clear();
  }

  os::udp_socket udp_;
  std::unique_ptr<core::node> node_;
  core::outbox out_;
  std::vector<std::uint8_t> room_ = std::vector<std::uint8_t>(os::udp_socket::slot_size);
};

// alpha: what the keeper does, and the node as its child. REQUIRES a host of its own.
class running_node {
 public:
  running_node() : ends_(os::make_channel()) {
    os::netlink links;
    links.set_up(links.link_by_name("lo")->index);
    descriptors_.tap = os::tap::open("vtap0").duplicate();
    index_ = links.link_by_name("vtap0")->index;
    links.set_up(index_);
    const auto udp = os::udp_socket::open(endpoint::v4({127, 0, 0, 1}, 0));
    address_ = udp.local();
    descriptors_.udp = udp.duplicate();
    descriptors_.control = os::listen_unix(socket_path, 0600, 0);
  }
  ~running_node() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  running_node(const running_node&) = delete;
  running_node& operator=(const running_node&) = delete;

  void start() {
    const pid_t keeper = ::getpid();
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) become_node(keeper);
    ends_.second.close();
  }
  // In the forked process.
  [[noreturn]] void become_node(pid_t keeper) {
    for (const int signal : {SIGABRT, SIGSEGV, SIGILL, SIGFPE}) std::signal(signal, SIG_DFL);  // doctest's
    ::dup2(::open(log_file, O_WRONLY | O_CREAT | O_APPEND, 0600), STDERR_FILENO);
    configure_log(log_level::info, verbosity::as_configured, "lan");
    ends_.first.close();
    if (before_) before_(ends_.second.fd());
    ::_exit(run_node(std::move(ends_.second), nobody, keeper));
  }
  void set_up(const std::optional<endpoint>& beta, bool guard = false) {
    node_setup setup = example_setup("alpha", 1, "beta", 2, beta);
    setup.guard = guard;
    send_setup(ends_.first, setup, descriptors_);
  }
  [[nodiscard]] bool becomes_ready() {
    pollfd p{ends_.first.fd(), POLLIN, 0};
    if (::poll(&p, 1, 10000) != 1) return false;
    std::array<std::uint8_t, 64> room;
    std::size_t size = 0;
    std::vector<os::unique_fd> fds;
    return ends_.first.receive(room, size, fds) == std::errc{} && is_ready(bytes_view(room).first(size));
  }
  void start_ready(const std::optional<endpoint>& beta) {
    start();
    set_up(beta);
    REQUIRE(becomes_ready());
  }
  // "exit 0", "signal 9" or "lives".
  std::string end() {
    int status = 0;
    for (const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
         std::chrono::steady_clock::now() < until;) {
      if (::waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = 0;
        return WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                   : "exit " + std::to_string(WEXITSTATUS(status));
      }
      ::poll(nullptr, 0, 1);
    }
    return "lives";
  }
  // What the forked process does before it becomes the node, given its end of the channel.
  void first_do(std::function<void(int channel)> action) { before_ = std::move(action); }
  void expect_elsewhere(pid_t pid) {  // somebody else forked the node
    pid_ = pid;
    ends_.second.close();
  }

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int tap_index() const { return index_; }
  [[nodiscard]] const endpoint& address() const { return address_; }
  [[nodiscard]] os::channel& channel() { return ends_.first; }
  void give_up_descriptors() { descriptors_ = {}; }
  void keep_state_in(os::unique_fd file) { descriptors_.state = std::move(file); }

 private:
  std::pair<os::channel, os::channel> ends_;
  node_descriptors descriptors_;
  int index_ = 0;
  endpoint address_;
  std::function<void(int channel)> before_;
  pid_t pid_ = 0;
};

inline nlohmann::ordered_json status_now() { return nlohmann::ordered_json::parse(ask(socket_path, "/v1/status")); }
inline bool is_established() { return status_now()["peers"][0]["state"] == "established"; }

inline std::string log_text() {
  std::ifstream file(log_file);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline std::size_t times_logged(std::string_view what) {
  std::size_t count = 0;
  const std::string text = log_text();
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

}  // namespace lanloom::app::test
