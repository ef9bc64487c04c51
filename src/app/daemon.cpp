// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/control.hpp>
#include <lanloom/app/daemon.hpp>
#include <lanloom/app/log.hpp>
#include <lanloom/app/node_channel.hpp>
#include <lanloom/app/segment_gate.hpp>
#include <lanloom/app/status.hpp>
#include <lanloom/core/node.hpp>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/tap.hpp>
#include <lanloom/os/udp.hpp>
#include <lanloom/os/wake_timer.hpp>

#include <fcntl.h>
#include <boost/asio/defer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <nlohmann/json.hpp>

#include <array>
#include <csignal>
#include <memory>
#include <vector>

namespace lanloom::app {

namespace asio = boost::asio;
using boost::system::error_code;
using descriptor = asio::posix::stream_descriptor;

namespace {

constexpr int frames_per_turn = 64;
constexpr std::size_t bytes_per_turn = 256 * 1024;
constexpr int batches_per_turn = 4;
constexpr unsigned refusals_to_believe = 3;   // of one kind of super-frame, by the TAP, in a row
constexpr std::size_t flood_overhead = 1024;  // of a frame in slices: more than 19 headers and tags

core::node make_core_node(const node_setup& setup, std::uint16_t port, instant at) {
  core::node_config config;
  config.keys = setup.keys.clone();
  config.network = setup.network;
  if (setup.network_secret) config.network_secret = setup.network_secret->clone();
  config.suites = setup.suites;
  config.engine = crypto::gcm_engine::choose(setup.accelerator);
  config.mtu = setup.mtu;
  for (const auto& mac : setup.own_macs) config.own_macs.push_back({mac});
  config.guard = setup.guard;
  config.port = port;
  std::vector<core::peer_config> peers;
  for (const auto& p : setup.peers) {
    core::peer_config one;
    one.name = p.name;
    one.key = p.key;
    if (p.psk) one.psk = p.psk->clone();
    one.remotes = p.remotes;
    one.keepalive = p.keepalive;
    one.named = p.named;
    peers.push_back(std::move(one));
  }
  return {std::move(config), std::move(peers), crypto::random(), at};
}

// Sentences of the keeper's are cut anywhere, in the middle of a character too.
std::string text_of(const nlohmann::ordered_json& status) {
  return status.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

// Asio closes what it watches.
int duplicate_of(int watched) {
  const int fd = ::fcntl(watched, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) os::throw_errno("duplicate a descriptor");
  return fd;
}

class daemon {
 public:
  daemon(asio::io_context& io, os::channel keeper, node_setup setup, node_descriptors descriptors);
  [[nodiscard]] int run();  // the exit status

 private:
  void wait_for_tap();
  void on_tap_ready();
  void wait_for_udp();
  void on_udp_ready();
  void wait_for_keeper();
  void on_keeper();
  void on_message(bytes_view message);
  void wait_for_timer();
  void on_timer();

  void end_turn();
  void carry_out();
  void send_trains();
  void send_train(const core::outbox::train& train);
  void write_frames();
  void on_tap_write(const offload& meta, std::errc error);
  void on_notice(const core::outbox::notice& n);
  void log_notice(const core::outbox::notice& n) const;
  void arm_timer();
  void work();
  void fail(const std::string& what, std::errc error);

  asio::io_context& io_;
  os::channel keeper_;
  node_setup setup_;
  os::tap tap_;
  os::udp_socket udp_;
  time_point started_;
  core::node node_;
  core::outbox out_;
  os::receive_batch batch_;
  std::vector<std::uint8_t> frame_room_;
  std::array<unsigned, 6> refused_{};  // by gso_kind
  segment_gate gate_;
  time_point now_{};  // of this turn
  descriptor tap_ready_;
  descriptor udp_ready_;
  descriptor keeper_ready_;
  os::wake_timer timer_;
  descriptor timer_ready_;
  time_point armed_for_ = time_point::max();
  bool working_ = false;
  int status_ = 0;
  control_server control_;
};

daemon::daemon(asio::io_context& io, os::channel keeper, node_setup setup, node_descriptors descriptors)
    : io_(io),
      keeper_(std::move(keeper)),
      setup_(std::move(setup)),
      tap_(std::move(descriptors.tap)),
      udp_(std::move(descriptors.udp)),
      started_(os::monotonic_now()),
      node_(make_core_node(setup_, udp_.local().port, {started_, os::wall_now()})),
      out_(setup_.peers.size() * (setup_.mtu + flood_overhead)),
      frame_room_(frame_headroom + os::tap::max_frame),
      gate_(setup_.peers.size()),
      tap_ready_(io, tap_.duplicate().release()),
      udp_ready_(io, udp_.duplicate().release()),
      keeper_ready_(io, duplicate_of(keeper_.fd())),
      timer_ready_(io, duplicate_of(timer_.fd())),
      control_(io, std::move(descriptors.control), [this](std::string_view path) -> std::optional<std::string> {
        const time_point now = os::monotonic_now();
        if (path == "/v1/status") return text_of(status_json(setup_, node_, started_, now));
        if (path == "/v1/fdb") return fdb_json(setup_, node_, now);
        return std::nullopt;
      }) {
  setup_.offloads.from_tap = tap_.set_offloads(setup_.offloads.from_tap);
  node_.set_tap_offloads(setup_.offloads.to_tap);
  if (!udp_.set_coalescing(setup_.offloads.udp_gro) && setup_.offloads.udp_gro) setup_.offloads.udp_gro = false;
}

int daemon::run() {
  wait_for_tap();
  wait_for_udp();
  wait_for_keeper();
  wait_for_timer();
  arm_timer();
  send_ready(keeper_);
  io_.run();
  return status_;
}

void daemon::fail(const std::string& what, std::errc error) {
  spdlog::error("{}: {}; the node ends", what, std::make_error_code(error).message());
  status_ = 1;
  io_.stop();
}

// ---- out: TAP to underlay

void daemon::wait_for_tap() {
  tap_ready_.async_wait(descriptor::wait_read, [this](error_code error) {
    if (!error) on_tap_ready();
  });
}

void daemon::on_tap_ready() {
  now_ = os::monotonic_now();
  std::size_t bytes = 0;
  for (int i = 0; i < frames_per_turn && bytes < bytes_per_turn; ++i) {
    super_frame frame;
    const std::errc error = tap_.read(frame_room_, frame);
    if (error == std::errc::resource_unavailable_try_again) {
      node_.end_drain(now_, out_);
      end_turn();
      return wait_for_tap();
    }
    if (error == std::errc::protocol_error) {
      node_.on_lost(drop::bad_offload, 1);
    } else if (error == std::errc::message_size) {
      node_.on_lost(drop::long_frame, 1);
    } else if (error != std::errc{}) {
      return fail("TAP " + setup_.tap, error);
    } else {
      bytes += frame.bytes.size();
      node_.on_frame(frame, now_, out_, true);
      if (out_.is_filling()) carry_out();
    }
  }
  node_.end_drain(now_, out_);
  end_turn();
  asio::defer(io_, [this] { on_tap_ready(); });
}

// ---- in: underlay to TAP

void daemon::wait_for_udp() {
  udp_ready_.async_wait(descriptor::wait_read, [this](error_code error) {
    if (!error) on_udp_ready();
  });
}

void daemon::on_udp_ready() {
  now_ = os::monotonic_now();
  for (int i = 0; i < batches_per_turn; ++i) {
    std::errc error{};
    const auto batch = batch_.receive(udp_, error);
    if (batch.empty()) {
      end_turn();
      if (error == std::errc::resource_unavailable_try_again || error == std::errc::interrupted) return wait_for_udp();
      return fail("UDP socket " + setup_.listen, error);
    }
    node_.on_datagrams(batch, now_, out_);
    carry_out();  // frames borrow the batch
  }
  end_turn();
  asio::defer(io_, [this] { on_udp_ready(); });
}

// ---- time, and what each turn leaves to do

void daemon::end_turn() {
  carry_out();
  if (node_.has_work() && !working_ && node_.may_work(os::monotonic_now())) {
    working_ = true;
    asio::defer(io_, [this] { work(); });
  }
  arm_timer();
}

void daemon::work() {
  working_ = false;
  const time_point from = os::monotonic_now();
  node_.work({from, os::wall_now()}, out_);
  const time_point to = os::monotonic_now();
  node_.spent(to - from, to);
  end_turn();
}

void daemon::arm_timer() {
  const time_point next = node_.next_timer();
  if (next == time_point::max()) return;
  if (next >= armed_for_) return;  // an earlier wake-up asks again
  armed_for_ = next;
  timer_.set(next);
}

void daemon::wait_for_timer() {
  timer_ready_.async_wait(descriptor::wait_read, [this](error_code error) {
    if (error) return;
    on_timer();
    wait_for_timer();
  });
}

void daemon::on_timer() {
  timer_.clear();
  armed_for_ = time_point::max();
  node_.on_timer({os::monotonic_now(), os::wall_now()}, out_);
  end_turn();
}

void daemon::carry_out() {
  if (out_.empty()) return;
  send_trains();
  write_frames();
  for (const auto& n : out_.notices()) on_notice(n);
  out_.clear();
}

void daemon::send_trains() {
  for (const auto& train : out_.trains()) send_train(train);
}

void daemon::send_train(const core::outbox::train& train) {
  const bool segmented = setup_.offloads.udp_gso && gate_.is_open(train.peer.value, now_);
  os::sent done = udp_.send(train.to, train.bytes, train.stride, segmented);
  if (done.segmented && (done.error == std::errc::io_error || done.error == std::errc::invalid_argument)) {
    const std::size_t before = done.datagrams;
    done = udp_.send(train.to, train.bytes.subspan(before * train.stride), train.stride, false);
    // A path that is too narrow is refused one by one as well, and is no reason to give up.
    if (done.datagrams > 0 && gate_.close(train.peer.value, now_)) {
      spdlog::warn("{}: the kernel does not cut datagrams on the way to {}; they are sent one by one, which is slower",
                   setup_.peers[train.peer.value].name, to_string(train.to));
    }
    done.datagrams += before;
  }
  if (done.error == std::errc{}) return;
  const std::size_t all = (train.bytes.size() + train.stride - 1) / train.stride;
  drop reason = drop::send_refused;
  if (done.error == std::errc::resource_unavailable_try_again || done.error == std::errc::no_buffer_space) {
    reason = drop::send_buffer_full;
  } else if (done.error == std::errc::message_size) {
    reason = drop::send_too_large;
    // A ping that measures the path has got its answer, and is no loss.
    if (node_.on_too_large(train.peer, std::min(train.stride, train.bytes.size()))) return;
  }
  node_.on_lost(reason, all - done.datagrams);
}

void daemon::write_frames() {
  for (const auto& frame : out_.frames()) {
    const std::errc error = tap_.write(frame.meta, frame.slices);
    if (error != std::errc{} || frame.meta.gso != gso_kind::none) on_tap_write(frame.meta, error);
  }
}

void daemon::on_tap_write(const offload& meta, std::errc error) {
  unsigned& refused = refused_[static_cast<std::size_t>(meta.gso)];
  if (error == std::errc{}) {
    refused = 0;
    return;
  }
  drop reason = drop::tap_refused;
  if (error == std::errc::io_error) reason = drop::tap_down;
  if (error == std::errc::resource_unavailable_try_again) reason = drop::tap_buffer_full;
  node_.on_lost(reason, 1);
  if (error != std::errc::invalid_argument || meta.gso == gso_kind::none || ++refused < refusals_to_believe) return;
  tap_offloads& taken = setup_.offloads.to_tap;
  if (meta.gso == gso_kind::tcp4) taken.tcp4 = false;
  if (meta.gso == gso_kind::tcp6) taken.tcp6 = false;
  if (meta.gso == gso_kind::udp) taken.udp = false;
  node_.set_tap_offloads(taken);
  spdlog::warn("TAP {} refuses {} packets that are not segmented; from now on we segment them, which is slower",
               setup_.tap, meta.gso == gso_kind::udp ? "UDP" : "TCP");
}

void daemon::on_notice(const core::outbox::notice& n) {
  if (n.what == core::outbox::notice::kind::names_wanted) return send_silent(keeper_, n.peer.value);
  log_notice(n);
}

void daemon::log_notice(const core::outbox::notice& n) const {
  // A LAN that loops by itself is nobody's notice, and there may be no peers.
  const std::string who = n.peer.value < setup_.peers.size() ? setup_.peers[n.peer.value].name : std::string();
  const std::string where = to_string(n.where);
  const core::loop_guard* loops = node_.data_plane().loops();
  const bool blocked = loops != nullptr && loops->state(os::monotonic_now()).blocked;
  const char* pass = blocked ? "our side stays blocked for another reason" : "frames pass between LAN and overlay";
  switch (n.what) {
    case core::outbox::notice::kind::established:
      return spdlog::info("{}: established at {}", who, where);
    case core::outbox::notice::kind::lost:
      return spdlog::warn("{}: session lost, last at {}", who, where);
    case core::outbox::notice::kind::left:
      return spdlog::info("{}: left", who);
    case core::outbox::notice::kind::moved:
      return spdlog::info("{}: moved to {}", who, where);
    case core::outbox::notice::kind::silent:
      return spdlog::warn("{}: silent at {}, trying a new handshake", who, where);
    case core::outbox::notice::kind::names_wanted:
      return;
    case core::outbox::notice::kind::mtu_differs:
      return spdlog::warn("{}: its LAN MTU is not our {}; set the same [tap] mtu on all hosts", who, setup_.mtu);
    case core::outbox::notice::kind::self_encapsulated:
      return spdlog::warn(
          "{}: our packets to it come back by the bridge and are dropped, because this host's way to its address leads "
          "through the overlay. See `ip route get` and that address; correct the route, or the endpoint",
          who);
    case core::outbox::notice::kind::loop_blocked:
      return spdlog::warn(
          "{}: reached by our LAN as well as by the overlay, a loop; no frame passes between our LAN and any peer "
          "until "
          "that ends. Take the uplink of one of the two hosts off the LAN they share, or leave this one as the spare",
          who);
    case core::outbox::notice::kind::loop_seen:
      return spdlog::warn(
          "{}: reached by our LAN as well as by the overlay, a loop; it blocks its side, ours stays open. Take the "
          "uplink of one of the two hosts off the LAN they share, or leave that one as the spare",
          who);
    case core::outbox::notice::kind::loop_healed:
      return spdlog::info("{}: no longer reached by our LAN; {}", who, pass);
    case core::outbox::notice::kind::own_loop_blocked:
      return spdlog::warn(
          "our own LAN loops: what this host sends into it comes back; no frame passes between it and any peer until "
          "that ends. Look for two cables into one switch, set [bridge] stp = true, and see that no other host has our "
          "private key");
    case core::outbox::notice::kind::own_loop_healed:
      return spdlog::info("our own LAN no longer loops; {}", pass);
  }
}

// ---- the keeper

void daemon::wait_for_keeper() {
  keeper_ready_.async_wait(descriptor::wait_read, [this](error_code error) {
    if (!error) on_keeper();
  });
}

void daemon::on_message(bytes_view message) {
  if (auto report = read_report(message)) {
    spdlog::set_level(static_cast<spdlog::level::level_enum>(report->log_level));
    setup_.host = std::move(*report);
  } else if (const auto addresses = read_addresses(message); addresses && addresses->first < setup_.peers.size()) {
    node_.set_candidates({static_cast<std::uint16_t>(addresses->first)}, addresses->second, os::monotonic_now());
    end_turn();
  } else if (is_network_change(message)) {
    node_.on_network_change(os::monotonic_now(), out_);
    end_turn();
  }
}

void daemon::on_keeper() {
  std::array<std::uint8_t, max_keeper_message> room;
  std::size_t size = 0;
  std::vector<os::unique_fd> passed;
  const std::errc error = keeper_.receive(room, size, passed);
  const bool over =
      error == os::channel::end_of_file || (error == std::errc{} && is_stop(bytes_view(room).first(size)));
  if (!over) {
    if (error == std::errc{}) on_message(bytes_view(room).first(size));
    return wait_for_keeper();
  }
  node_.say_bye(os::monotonic_now(), out_);
  carry_out();
  io_.stop();
}

}  // namespace

int run_node(os::channel keeper_end, const os::sandbox_identity& identity, pid_t keeper) noexcept {
  try {
    for (const int s : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) std::signal(s, SIG_IGN);
    std::signal(SIGCHLD, SIG_DFL);
    const std::array<int, 4> kept{0, 1, 2, keeper_end.fd()};
    os::close_all_but(kept);
    os::drop_privileges(identity, keeper);

    node_descriptors descriptors;
    node_setup setup = receive_setup(keeper_end, descriptors);
    keeper_end.set_non_blocking(true);
    asio::io_context io(1);
    auto loop = std::make_unique<daemon>(io, std::move(keeper_end), std::move(setup), std::move(descriptors));
    os::apply_seccomp();
    return loop->run();
  } catch (const std::exception& e) {
    spdlog::error("node: {}", e.what());
    return 1;
  }
}

}  // namespace lanloom::app
