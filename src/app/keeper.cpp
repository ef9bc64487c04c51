// SPDX-License-Identifier: Apache-2.0
#include "beyond_reload.hpp"
#include "gateway_watch.hpp"
#include "host_name.hpp"
#include "joined.hpp"
#include "make_node_setup.hpp"
#include "open_state.hpp"
#include "open_underlay.hpp"
#include "open_when_free.hpp"
#include "privileges.hpp"
#include "reconciler.hpp"
#include "resolver.hpp"
#include "ways_out.hpp"

#include <lanloom/app/control.hpp>
#include <lanloom/app/daemon.hpp>
#include <lanloom/app/doctor.hpp>
#include <lanloom/app/host.hpp>
#include <lanloom/app/instance_directory.hpp>
#include <lanloom/app/keeper.hpp>
#include <lanloom/app/node_channel.hpp>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/listener.hpp>
#include <lanloom/os/notify.hpp>
#include <lanloom/os/udp.hpp>

#include <fcntl.h>
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
#include <utility>

namespace lanloom::app {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr std::chrono::seconds stop_deadline{3};
constexpr std::chrono::milliseconds restart_pause{50};  // from the second death on
constexpr std::chrono::seconds tap_patience{2};         // without one it could not tell its state either
constexpr std::size_t deaths_allowed = 5;
constexpr std::chrono::milliseconds network_settles{500};
constexpr std::chrono::seconds network_pause{5};
constexpr std::chrono::seconds deaths_window{10};
constexpr std::array ending_signals{SIGINT, SIGTERM, SIGQUIT};
constexpr std::chrono::seconds patience_at_start{5};  // with a gateway that has yet to say where it is
constexpr std::chrono::milliseconds patience_in_loop{500};

// Adds what somebody may end us with, unless who started us wanted it ignored: nohup, or a shell's background job.
void add_ending_signal(asio::signal_set& to, int s) {
  struct sigaction inherited {};
  if (::sigaction(s, nullptr, &inherited) == 0 && inherited.sa_handler != SIG_IGN) to.add(s);
}

std::string ready_line(const config& c) {
  const auto counted = [](std::size_t n, const char* one, const char* many) {
    return std::to_string(n) + " " + (n == 1 ? one : many);
  };
  std::string line = c.bridge.name;
  if (!c.netns.empty()) line += ", " + counted(c.netns.size(), "namespace", "namespaces");
  return line + ", " + counted(c.peers.size(), "peer", "peers");
}

void say(const undo_report& report) {
  for (const auto& line : report.left) spdlog::warn("{}", line);
  for (const auto& line : report.failed) spdlog::error("{}", line);
}

// While it lives no ending signal ends anything by itself: it is made before the host is touched and goes after the
// host is as it was.
class keeper {
 public:
  keeper(config c, verbosity asked, node_setup setup, plan wanted, host& on, time_point started)
      : config_(std::move(c)),
        asked_(asked),
        setup_(std::move(setup)),
        user_space_(wanted.facts.user_space),
        host_(on),
        started_(started),
        identity_(os::find_identity()),
        signals_(io_),
        reload_signals_(io_, SIGUSR1),
        children_(io_, SIGCHLD),
        timer_(io_),
        word_timer_(io_),
        network_timer_(io_),
        gateways_(io_),
        trial_{moved_gateways(wanted), std::nullopt},
        reconciler_(
            io_, on, std::move(wanted), [this](os::tap tap) { replace_tap(std::move(tap)); }, [this] { report(); },
            [this] { on_network_change(); }),
        resolver_(
            io_, config_, identity_, [this] { setup_.forget_secrets(); },
            [this](std::size_t peer, const core::candidates& found) {
              setup_.peers[peer].remotes = found;
              if (channel_) send_addresses(*channel_, peer, found);
            }) {
    for (const int s : ending_signals) add_ending_signal(signals_, s);
    if (::isatty(STDIN_FILENO) == 1) {
      add_ending_signal(signals_, SIGHUP);
    } else {
      reload_signals_.add(SIGHUP);
    }
    wait_for_signal();
    wait_for_reload();
    wait_for_child();
    setup_.host.config_file = std::filesystem::absolute(config_.file).string();
    setup_.host.log_level = spdlog::get_level();
  }

  // Until a signal came; a signal from before counts. `unproven`: the default gateways have yet to answer by the
  // bridge.
  int run(node_descriptors descriptors, const offload_setup& offloads, bool unproven);
  // The host does not reach its default gateway by the bridge, or nobody knows yet: that must be undone in any case.
  [[nodiscard]] bool cut_off() const noexcept { return cut_off_ || gateways_.pending(); }

 private:
  void start_node();
  void wait_for_node();
  void on_word(bytes_view message);
  void on_node_ended(int status);
  void start_node_after(std::chrono::milliseconds pause);
  void on_network_change();
  void wait_for_signal();
  void wait_for_reload();
  void wait_for_child();
  void reload();
  void apply(config now);
  [[nodiscard]] plan plan_of(const config& c) const;
  convergence put_in_force(config now, plan wanted, std::optional<bridge_config> way_back);
  void watch();
  void go_back();
  void end_cut_off();
  void replace_tap(os::tap tap);
  void replace_node();
  void report();
  void stop();

  asio::io_context io_{1};
  config config_;
  verbosity asked_;
  node_setup setup_;
  bool user_space_;  // the bridge's datapath
  host& host_;
  node_descriptors descriptors_;
  time_point started_;
  os::sandbox_identity identity_;
  asio::signal_set signals_;
  asio::signal_set reload_signals_;
  asio::signal_set children_;
  asio::steady_timer timer_;
  asio::steady_timer word_timer_;
  asio::steady_timer network_timer_;
  std::optional<time_point> network_told_;
  ways_out ways_out_;
  bool telling_ = false;
  gateway_watch gateways_;
  struct {
    std::vector<std::vector<ip_address>> moved;  // gateways, by the last change of uplinks or at this start
    std::optional<bridge_config> before;         // that change, for the way back
  } trial_;
  reconciler reconciler_;
  resolver resolver_;
  std::optional<os::channel> channel_;
  std::optional<asio::posix::stream_descriptor> channel_ready_;
  pid_t node_ = 0;
  std::deque<time_point> deaths_;
  bool ready_ = false;  // this node
  bool announced_ = false;
  bool stopping_ = false;
  bool replacing_ = false;  // the node ends so that another one takes its place
  bool cut_off_ = false;
  int status_ = 0;
};

int keeper::run(node_descriptors descriptors, const offload_setup& offloads, bool unproven) {
  descriptors_ = std::move(descriptors);
  setup_.offloads = offloads;
  io_.poll();
  if (!stopping_) {
    start_node();
    ways_out_.look(setup_);
    reconciler_.start();
    resolver_.start();
    if (unproven) watch();
  }
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
    for (const int s : {SIGHUP, SIGUSR1}) std::signal(s, SIG_IGN);
    ::_exit(run_node(std::move(theirs), identity_, self));
  }
  node_ = child;
  ready_ = false;
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
  report();
  wait_for_node();
}

void keeper::wait_for_node() {
  channel_ready_.emplace(io_, ::fcntl(channel_->fd(), F_DUPFD_CLOEXEC, 0));
  channel_ready_->async_wait(asio::posix::stream_descriptor::wait_read, [this](error_code error) {
    if (error) return;
    std::array<std::uint8_t, 64> room;
    std::size_t size = 0;
    std::vector<os::unique_fd> passed;
    const std::errc failed = channel_->receive(room, size, passed);
    if (failed == os::channel::end_of_file) return;
    if (failed == std::errc{}) on_word(bytes_view(room).first(size));
    word_timer_.expires_after(resolver::pace);  // a node that talks without end is heard no more often
    word_timer_.async_wait([this](error_code ended) {
      if (!ended && channel_) wait_for_node();
    });
  });
}

void keeper::on_word(bytes_view message) {
  if (const auto peer = read_silent(message)) return resolver_.look_again(*peer);
  if (!is_ready(message) || std::exchange(ready_, true)) return;
  os::notify_service_manager("READY=1");
  if (!announced_) {
    announced_ = true;
    const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(os::monotonic_now() - started_);
    std::cout << setup_.instance << ": ready in " << took.count() << " ms: " << ready_line(config_) << std::endl;
    for (const auto& line : failures(diagnose(config_, occasion::starting))) spdlog::error("{}", line);
  } else {
    spdlog::info("the node is back");
  }
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
  word_timer_.cancel();
  channel_ready_.reset();
  channel_.reset();
  if (std::exchange(replacing_, false) && !stopping_) return start_node();
  const std::string how = WIFSIGNALED(status) ? "was ended by signal " + std::to_string(WTERMSIG(status))
                                              : "ended with status " + std::to_string(WEXITSTATUS(status));
  if (stopping_) return io_.stop();
  if (!announced_) {
    spdlog::error("the node {} before it was ready; giving up", how);
    status_ = 1;
    return io_.stop();
  }
  const auto tap = os::netlink().link_by_name(setup_.tap);
  if (!tap || tap->kind != "tun") {
    spdlog::warn("the node {}; it starts again when TAP {} is back", how, setup_.tap);
    return start_node_after(tap_patience);
  }
  spdlog::error("the node {}; starting it again", how);
  deaths_.push_back(os::monotonic_now());
  while (deaths_.back() - deaths_.front() > deaths_window) deaths_.pop_front();
  if (deaths_.size() >= deaths_allowed) {
    spdlog::error("the node ended {} times within {} s; giving up", deaths_.size(), deaths_window.count());
    status_ = 1;
    return io_.stop();
  }
  start_node_after(deaths_.size() > 1 ? restart_pause : std::chrono::milliseconds{0});
}

void keeper::start_node_after(std::chrono::milliseconds pause) {
  timer_.expires_after(pause);
  timer_.async_wait([this](error_code error) {
    if (!error && !stopping_ && node_ == 0) start_node();
  });
}

// Changes come in crowds and without end: the node hears of the last, seldom, if it changes our ways to the peers.
void keeper::on_network_change() {
  if (std::exchange(telling_, true)) return;
  const time_point now = os::monotonic_now();
  const time_point when = std::max(now + network_settles, network_told_ ? *network_told_ + network_pause : now);
  network_timer_.expires_after(when - now);
  network_timer_.async_wait([this](error_code error) {
    telling_ = false;
    if (error || stopping_) return;
    network_told_ = os::monotonic_now();
    if (!ways_out_.look(setup_)) return;
    if (channel_) send_network_change(*channel_);
    resolver_.try_failed();
  });
}

void keeper::wait_for_signal() {
  signals_.async_wait([this](error_code error, int) {
    if (!error) stop();
  });
}

void keeper::wait_for_reload() {
  reload_signals_.async_wait([this](error_code error, int) {
    if (error) return;
    if (!stopping_) reload();
    wait_for_reload();
  });
}

void keeper::reload() {
  auto& report_to = setup_.host;
  ++report_to.reloads;
  try {
    config now = load_config(config_.file, host_name());
    if (const auto section = beyond_reload(config_, now)) {
      throw setup_error(*section + " has changed, which a reload cannot do: restart this instance");
    }
    if (load_keys(now).own != setup_.keys.public_half) {
      throw setup_error("the private key has changed, which a reload cannot do: restart this instance");
    }
    apply(std::move(now));
  } catch (const std::exception& e) {
    report_to.error = e.what();
    spdlog::error("reload refused, everything stays as it was: {}", e.what());
  }
  report_to.log_level = spdlog::get_level();
  report();
}

plan keeper::plan_of(const config& c) const {
  plan wanted = make_plan(c, setup_.keys.public_half, read_facts(c));
  wanted.facts.mtu = setup_.mtu;
  return wanted;
}

void keeper::apply(config now) {
  plan wanted = plan_of(now);
  if (wanted.facts.user_space != user_space_) {
    throw setup_error("bridge " + now.bridge.name +
                      ": is of another datapath now, which a reload cannot follow: restart this instance");
  }
  const bool others = now.bridge.uplinks != config_.bridge.uplinks;
  if (others && gateways_.pending()) {
    throw setup_error("[bridge] uplinks has changed, and the last change is still being tried: reload again in " +
                      std::to_string(gateway_watch::patience.count()) + " s");
  }
  host_.preflight(wanted, now, patience_in_loop);
  const auto made = put_in_force(std::move(now), std::move(wanted), config_.bridge);
  configure_log(config_.log, asked_, config_.instance);
  setup_.host.error = joined(made.failed);
  spdlog::info("reloaded {}: {} changes", config_.file.string(), made.done.size());
}

// With other uplinks a new node takes over: it has a guard or none, and other addresses that are this host's own.
convergence keeper::put_in_force(config now, plan wanted, std::optional<bridge_config> way_back) {
  const bool others = now.bridge.uplinks != config_.bridge.uplinks;
  auto macs = own_macs(wanted);
  const auto last = trial_;
  if (others) trial_ = {moved_gateways(wanted, config_.bridge.uplinks), std::move(way_back)};
  convergence made;
  try {
    made = reconciler_.replace(std::move(wanted));
  } catch (...) {
    trial_ = last;
    throw;
  }
  config_ = std::move(now);
  ++setup_.host.generation;
  if (!others) return made;
  setup_.guard = !config_.bridge.uplinks.empty();
  setup_.own_macs = std::move(macs);
  replace_node();
  return made;
}

// Whoever took the uplinks: the start, a reload, or a later try of what failed there.
void keeper::watch() {
  const auto proved = [this] {
    try {
      host_.uplinks_proved();
      reconciler_.proved();
      trial_.before.reset();
    } catch (const std::exception& e) {
      spdlog::error("{}", e.what());  // the next look watches once more
    }
  };
  gateways_.begin(config_.bridge.name, trial_.moved, proved, [this] { trial_.before ? go_back() : end_cut_off(); });
}

// The uplinks before the last change are in force again. Where that fails too, everything is undone.
void keeper::go_back() {
  try {
    config back = config_;
    back.bridge.uplinks = trial_.before->uplinks;
    back.bridge.stp = trial_.before->stp;
    const auto made = put_in_force(back, plan_of(back), std::nullopt);
    if (!made.failed.empty()) throw setup_error(joined(made.failed));
    if (!made.undone.failed.empty()) throw setup_error(joined(made.undone.failed));
    setup_.host.error = "the default gateway did not answer by the bridge, so the uplinks are as they were before";
    report();
  } catch (const std::exception& e) {
    spdlog::error("{}", e.what());
    end_cut_off();
  }
}

void keeper::end_cut_off() {
  cut_off_ = true;
  status_ = 3;  // what the file asks for does not work here, and would not the next time
  stop();
}

// The old one's end of file is already on its way to the node; a new node takes the new one.
void keeper::replace_tap(os::tap tap) {
  spdlog::warn("TAP {} was removed by somebody; a new one takes its place", setup_.tap);
  descriptors_.tap = tap.duplicate();
  replace_node();
}

void keeper::replace_node() {
  if (node_ == 0) return start_node_after(std::chrono::milliseconds{0});
  replacing_ = true;
  ::kill(node_, SIGKILL);
}

void keeper::report() {
  auto& to = setup_.host;
  to.corrections = reconciler_.corrections();
  to.problems = reconciler_.problems();
  if (channel_) send_report(*channel_, to);
  if (node_ != 0 && !stopping_ && reconciler_.unproven() && !gateways_.pending()) watch();
}

void keeper::stop() {
  stopping_ = true;
  resolver_.stop();
  network_timer_.cancel();
  os::notify_service_manager("STOPPING=1");
  if (node_ == 0) return io_.stop();
  send_stop(*channel_);
  timer_.expires_after(stop_deadline);
  timer_.async_wait([this](error_code error) {
    if (!error && node_ > 0) ::kill(node_, SIGKILL);
  });
}

}  // namespace

void print_plan(const std::filesystem::path& file) {
  const config c = load_config(file, host_name());
  const key_material keys = load_keys(c);
  for (const step& s : make_plan(c, keys.own, read_facts(c)).steps) std::cout << to_string(s) << '\n';
  if (!std::cout.flush()) throw std::runtime_error("cannot write the plan to stdout");
}

int up(const std::filesystem::path& file, verbosity asked, bool keep) {
  const time_point started = os::monotonic_now();
  const config c = load_config(file, host_name());
  configure_log(c.log, asked, c.instance);
  std::signal(SIGPIPE, SIG_IGN);  // nobody may read our log any more, and the host still has to be undone
  prepare_to_hold_keys();
  os::offload_probe probe;  // before there are keys in this memory; it has until the node is started
  key_material keys = load_keys(c);
  const plan p = make_plan(c, keys.own, read_facts(c));
  host on(c.instance, instance_directory);

  node_setup setup = make_node_setup(c, std::move(keys), p);
  const gid_t group = setup.control_group;
  keeper keeping(c, asked, std::move(setup), p, on, started);
  make_instance_directory();
  const auto lock = os::instance_lock::try_acquire(instance_directory / (c.instance + ".lock"));
  if (!lock) throw setup_error(c.instance + ": is running already; stop it with `lanloom down " + c.instance + "`");
  const bool adopts = on.has_leftovers();
  if (adopts) {
    spdlog::info("an earlier run left the host set up; what is right of it stays");
    on.await_predecessor(p);
  }
  on.preflight(p, c, patience_at_start);

  node_descriptors descriptors;
  descriptors.udp = open_underlay(c.node.listen, adopts).duplicate();
  const std::string control = control_path(c.instance);
  descriptors.control = open_when_free(adopts, [&] { return os::listen_unix(control, 0660, group); });
  descriptors.state = open_state(c.node.state, adopts);
  const auto taken_before = on.taken_uplinks();
  int status = 1;
  std::exception_ptr failed;
  try {
    auto made = on.start(p);
    say(made.undone);
    if (!made.tap) throw setup_error("the plan opens no TAP");
    descriptors.tap = made.tap->duplicate();
    made.tap.reset();
    status = keeping.run(std::move(descriptors), offloads_by(probe, c, p), made.unproven);
  } catch (...) {
    failed = std::current_exception();
  }
  std::error_code gone;
  std::filesystem::remove(control, gone);
  if (failed && adopts) {
    on.give_back_uplinks_but(taken_before);
    spdlog::warn("what was set up before stays; remove it with: lanloom down {}", c.instance);
  } else if (!failed && keep && !keeping.cut_off()) {
    spdlog::info("the host stays set up; remove it with: lanloom down {}", c.instance);
  } else {
    const undo_report report = on.undo(false);
    say(report);
    if (!report.failed.empty()) status = 1;
  }
  if (failed) std::rethrow_exception(failed);
  return status;
}

}  // namespace lanloom::app
