// SPDX-License-Identifier: Apache-2.0
#include "privileges.hpp"

#include <lanloom/app/control.hpp>
#include <lanloom/app/daemon.hpp>
#include <lanloom/app/host.hpp>
#include <lanloom/app/instance_directory.hpp>
#include <lanloom/app/keeper.hpp>
#include <lanloom/app/node_channel.hpp>
#include <lanloom/app/offloads.hpp>
#include <lanloom/crypto/aead.hpp>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/listener.hpp>
#include <lanloom/os/notify.hpp>
#include <lanloom/os/udp.hpp>
#include <lanloom/wire/payload.hpp>

#include <fcntl.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include <csignal>
#include <cstdio>
#include <deque>
#include <exception>
#include <iostream>
#include <optional>

namespace lanloom::app {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::chrono::seconds stop_deadline{3};
constexpr std::chrono::milliseconds restart_pause{200};  // from the second death on
constexpr std::size_t deaths_allowed = 5;
constexpr std::chrono::seconds deaths_window{10};
constexpr std::array ending_signals{SIGINT, SIGTERM, SIGHUP, SIGQUIT};
constexpr std::string_view default_group = "lanloom";  // hosts without it need no warning

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) os::throw_errno("read the host's name");
  return name.data();
}

gid_t control_gid(const std::string& group) {
  std::array<char, 16384> room;
  ::group entry{};
  ::group* found = nullptr;
  ::getgrnam_r(group.c_str(), &entry, room.data(), room.size(), &found);
  if (found != nullptr) return found->gr_gid;
  if (group != default_group) {
    spdlog::warn("[control] group = \"{}\": there is no such group; only root may ask for status", group);
  }
  return 0;
}

// This process holds the keys: they must not get into a core file or a debugger. A sanitizer's leak check needs to
// look.
void hide_memory() {
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) os::throw_errno("forbid core files");
  if (os::hardened_build && ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) os::throw_errno("hide the memory");
}

// Adds what somebody may end us with, unless who started us wanted it ignored: nohup, or a shell's job in the
// background.
void add_ending_signals(asio::signal_set& to) {
  for (const int s : ending_signals) {
    struct sigaction inherited {};
    if (::sigaction(s, nullptr, &inherited) == 0 && inherited.sa_handler != SIG_IGN) to.add(s);
  }
}

std::uint8_t suites_of(cipher_choice choice) {
  const bool aes = crypto::available(crypto::suite::aes_256_gcm);
  switch (choice) {
    case cipher_choice::chacha20_poly1305:
      return wire::suite_bit_chacha20_poly1305;
    case cipher_choice::automatic:
      return static_cast<std::uint8_t>(wire::suite_bit_chacha20_poly1305 | (aes ? wire::suite_bit_aes_256_gcm : 0));
    case cipher_choice::aes_256_gcm:
      if (!aes) {
        throw setup_error("[node] cipher = \"aes-256-gcm\": this processor has no AES instructions; use \"auto\"");
      }
      return wire::suite_bit_aes_256_gcm;
  }
  return wire::suite_bit_chacha20_poly1305;
}

os::udp_socket open_underlay(const endpoint& listen) {
  try {
    return os::udp_socket::open(listen);
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::address_in_use) throw;
    throw setup_error(std::string(e.what()) +
                      "; another program or instance has that port: choose another [node] listen, or stop it");
  }
}

// Links of this host and its namespaces: no peer may send frames in their name.
std::vector<os::mac_address> own_macs(const plan& p) {
  std::vector<os::mac_address> macs;
  for (const step& s : p.steps) {
    if (const auto* bridge = std::get_if<create_bridge>(&s)) macs.push_back(bridge->mac);
    if (const auto* tap = std::get_if<open_tap>(&s)) macs.push_back(tap->mac);
    if (const auto* veth = std::get_if<create_veth>(&s)) macs.insert(macs.end(), {veth->host_mac, veth->inside_mac});
  }
  return macs;
}

node_setup make_node_setup(const config& c, key_material&& keys, const plan& p) {
  node_setup s;
  s.instance = c.instance;
  s.name = c.node.name;
  s.listen = to_string(c.node.listen);
  s.tap = c.tap.name;
  s.bridge = c.bridge.name;
  s.network = c.node.network;
  s.keys = {std::move(keys.private_key), keys.own};
  s.network_secret = std::move(keys.network_secret);
  s.suites = suites_of(c.node.cipher);
  s.mtu = c.tap.mtu;
  s.own_macs = own_macs(p);
  const os::kernel_offloads found = os::probe_offloads();
  s.offloads = choose_offloads(c.offload, found);
  for (const std::string& name : missing_offloads(c.offload, found)) {
    spdlog::warn("the kernel does not pass the self-test of {}; going on without it, which is slower", name);
  }
  for (std::size_t i = 0; i < c.peers.size(); ++i) {
    const peer_config& from = c.peers[i];
    s.peers.push_back({from.name, from.public_key, std::move(keys.preshared_keys[i]), from.remote, from.keepalive});
  }
  return s;
}

void say(const undo_report& report) {
  for (const auto& line : report.left) spdlog::warn("{}", line);
  for (const auto& line : report.failed) spdlog::error("{}", line);
}

// While it lives no ending signal ends anything by itself: it is made before the host is touched and goes after the
// host is as it was.
class keeper {
 public:
  keeper(node_setup setup, std::string ready_line, time_point started)
      : setup_(std::move(setup)),
        ready_line_(std::move(ready_line)),
        started_(started),
        identity_(os::find_identity()),
        signals_(io_),
        children_(io_, SIGCHLD),
        timer_(io_) {
    add_ending_signals(signals_);
    wait_for_signal();
    wait_for_child();
  }

  // Until a signal came; a signal from before counts.
  int run(node_descriptors descriptors);

 private:
  void start_node();
  void wait_for_node();
  void on_node_ended(int status);
  void wait_for_signal();
  void wait_for_child();
  void stop();

  asio::io_context io_{1};
  node_setup setup_;
  node_descriptors descriptors_;
  std::string ready_line_;
  time_point started_;
  os::sandbox_identity identity_;
  asio::signal_set signals_;
  asio::signal_set children_;
  asio::steady_timer timer_;
  std::optional<os::channel> channel_;
  std::optional<asio::posix::stream_descriptor> channel_ready_;
  pid_t node_ = 0;
  std::deque<time_point> deaths_;
  bool announced_ = false;
  bool stopping_ = false;
  int status_ = 0;
};

int keeper::run(node_descriptors descriptors) {
  descriptors_ = std::move(descriptors);
  io_.poll();
  if (!stopping_) start_node();
  io_.run();
  descriptors_ = {};
  return status_;
}

void keeper::start_node() {
  auto [ours, theirs] = os::make_channel();
  const pid_t self = ::getpid();
  std::cout.flush();
  const pid_t child = ::fork();
  if (child < 0) os::throw_errno("start the node");
  if (child == 0) {
    ours.close();
    for (const int s : ending_signals) std::signal(s, SIG_IGN);  // it ends when we say so
    ::_exit(run_node(std::move(theirs), identity_, self));
  }
  node_ = child;
  spdlog::debug("the node is process {}", child);
  theirs.close();
  channel_.emplace(std::move(ours));
  try {
    send_setup(*channel_, setup_, descriptors_);
  } catch (const std::system_error& e) {
    spdlog::debug("{}", e.what());  // it ended meanwhile; its end is handled where every end is
    return;
  }
  channel_->set_non_blocking(true);
  wait_for_node();
}

void keeper::wait_for_node() {
  channel_ready_.emplace(io_, ::fcntl(channel_->fd(), F_DUPFD_CLOEXEC, 0));
  channel_ready_->async_wait(asio::posix::stream_descriptor::wait_read, [this](error_code error) {
    if (error) return;
    std::array<std::uint8_t, 64> room;
    std::size_t size = 0;
    std::vector<os::unique_fd> passed;
    if (channel_->receive(room, size, passed) != std::errc{} || !is_ready(bytes_view(room).first(size))) return;
    os::notify_service_manager("READY=1");
    if (!announced_) {
      announced_ = true;
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(os::monotonic_now() - started_);
      std::cout << setup_.instance << ": ready in " << took.count() << " ms: " << ready_line_ << std::endl;
    } else {
      spdlog::info("the node is back");
    }
  });
}

void keeper::wait_for_child() {
  children_.async_wait([this](error_code error, int) {
    if (error) return;
    int status = 0;
    if (node_ > 0 && ::waitpid(node_, &status, WNOHANG) == node_) on_node_ended(status);
    wait_for_child();
  });
}

void keeper::on_node_ended(int status) {
  node_ = 0;
  channel_ready_.reset();
  channel_.reset();
  const std::string how = WIFSIGNALED(status) ? "was ended by signal " + std::to_string(WTERMSIG(status))
                                              : "ended with status " + std::to_string(WEXITSTATUS(status));
  if (stopping_) {
    spdlog::debug("the node {}", how);
    return io_.stop();
  }
  if (!announced_) {
    spdlog::error("the node {} before it was ready; giving up", how);
    status_ = 1;
    return io_.stop();
  }
  spdlog::error("the node {}; starting it again", how);
  const time_point now = os::monotonic_now();
  deaths_.push_back(now);
  while (now - deaths_.front() > deaths_window) deaths_.pop_front();
  if (deaths_.size() >= deaths_allowed) {
    spdlog::error("the node ended {} times within {} s; giving up", deaths_.size(), deaths_window.count());
    status_ = 1;
    return io_.stop();
  }
  timer_.expires_after(deaths_.size() > 1 ? restart_pause : std::chrono::milliseconds{0});
  timer_.async_wait([this](error_code error) {
    if (!error && !stopping_) start_node();
  });
}

void keeper::wait_for_signal() {
  signals_.async_wait([this](error_code error, int) {
    if (!error) stop();
  });
}

void keeper::stop() {
  stopping_ = true;
  os::notify_service_manager("STOPPING=1");
  if (node_ == 0) return io_.stop();
  send_stop(*channel_);
  timer_.expires_after(stop_deadline);
  timer_.async_wait([this](error_code error) {
    if (!error && node_ > 0) ::kill(node_, SIGKILL);
  });
}

std::string ready_line(const config& c) {
  const auto counted = [](std::size_t n, const char* one, const char* many) {
    return std::to_string(n) + " " + (n == 1 ? one : many);
  };
  std::string line = c.bridge.name;
  if (!c.netns.empty()) line += ", " + counted(c.netns.size(), "namespace", "namespaces");
  return line + ", " + counted(c.peers.size(), "peer", "peers");
}

}  // namespace

void print_plan(const std::filesystem::path& file) {
  const config c = load_config(file, host_name());
  const key_material keys = load_keys(c);
  for (const step& s : make_plan(c, keys.own).steps) std::cout << to_string(s) << '\n';
  if (!std::cout.flush()) throw std::runtime_error("cannot write the plan to stdout");
}

int up(const std::filesystem::path& file, verbosity asked) {
  const time_point started = os::monotonic_now();
  const config c = load_config(file, host_name());
  configure_log(c.log, asked, c.instance);
  std::signal(SIGPIPE, SIG_IGN);  // nobody may read our log any more, and the host still has to be undone
  for (const auto right :
       {capability::net_admin, capability::setuid, capability::setgid, capability::setpcap, capability::kill}) {
    require(right, "`lanloom up`");
  }
  hide_memory();
  key_material keys = load_keys(c);
  const plan p = make_plan(c, keys.own);
  host on(c.instance, instance_directory);

  keeper keep(make_node_setup(c, std::move(keys), p), ready_line(c), started);
  make_instance_directory();
  const auto lock = os::instance_lock::try_acquire(instance_directory / (c.instance + ".lock"));
  if (!lock) throw setup_error(c.instance + ": is running already; stop it with `lanloom down " + c.instance + "`");
  if (on.has_leftovers()) {
    spdlog::warn("an earlier run left things behind; removing them first");
    say(on.undo(false));
  }
  on.preflight(p, c);

  node_descriptors descriptors;
  descriptors.udp = open_underlay(c.node.listen).duplicate();
  descriptors.control = os::listen_unix(control_path(c.instance), 0660, control_gid(c.control_group));
  int status = 1;
  std::exception_ptr failed;
  try {
    descriptors.tap = on.apply(p).duplicate();
    status = keep.run(std::move(descriptors));
  } catch (...) {
    failed = std::current_exception();
  }
  std::error_code gone;
  std::filesystem::remove(control_path(c.instance), gone);
  const undo_report report = on.undo(false);
  say(report);
  if (failed) std::rethrow_exception(failed);
  return report.failed.empty() ? status : 1;
}

}  // namespace lanloom::app
