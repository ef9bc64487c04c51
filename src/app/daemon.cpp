// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/bulk.hpp>
#include <lanloom/app/company.hpp>
#include <lanloom/app/control.hpp>
#include <lanloom/app/daemon.hpp>
#include <lanloom/app/log.hpp>
#include <lanloom/app/node_channel.hpp>
#include <lanloom/app/segment_gate.hpp>
#include <lanloom/app/status.hpp>
#include <lanloom/core/node.hpp>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/ready_set.hpp>
#include <lanloom/os/state_file.hpp>
#include <lanloom/os/tap.hpp>
#include <lanloom/os/udp.hpp>
#include <lanloom/os/wake_policy.hpp>
#include <lanloom/os/wake_timer.hpp>

#include <fcntl.h>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <nlohmann/json.hpp>

#include <array>
#include <csignal>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace lanloom::app {

namespace asio = boost::asio;
using boost::system::error_code;
using descriptor = asio::posix::stream_descriptor;

namespace {

constexpr std::size_t frames_per_turn = 64;
constexpr std::size_t bytes_per_turn = 256 * 1024;
constexpr int batches_per_turn = 4;
constexpr std::chrono::milliseconds linger{20};       // behind traffic, before Asio's wait takes over
constexpr std::chrono::milliseconds look_every{100};  // at what Asio has, while something crosses
enum ready : unsigned { udp_is_ready = 1, tap_is_ready = 2, timer_is_due = 4 };
constexpr unsigned refusals_to_believe = 3;  // of one kind of super-frame, by the TAP, in a row

core::node make_core_node(const node_setup& setup, std::uint16_t port, core::saved_state known, instant at) {
  core::node_config config;
  config.known = std::move(known);
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

// The node's memory on disk. Invariant: a file that is damaged, or cannot be read or written, ends nothing, and is said
// once.
class memory {
 public:
  explicit memory(os::unique_fd file) {
    if (!file) return;
    file_.emplace(std::move(file));
    std::vector<std::uint8_t> bytes(core::state_copies::file_size);
    if (const std::errc error = file_->read(bytes); error != std::errc{}) complain("read", error);
    copies_.emplace(bytes);
    if (copies_->damaged()) {
      spdlog::warn("the state file is damaged, and is begun anew: time stamps and last endpoints are not known");
    }
  }

  [[nodiscard]] explicit operator bool() const noexcept { return file_.has_value(); }
  [[nodiscard]] core::saved_state found() const { return copies_ ? copies_->found() : core::saved_state{}; }
  // REQUIRES that there is a file.
  bool save(const core::saved_state& state) {
    const auto write = copies_->format(state);
    if (const std::errc error = file_->write(write.offset, write.bytes); error != std::errc{}) {
      complain("write", error);
      return false;
    }
    copies_->written();
    return true;
  }

 private:
  void complain(const char* what, std::errc error) {
    if (!std::exchange(complained_, true)) {
      spdlog::warn("cannot {} the state file: {}; until that ends, new time stamps and endpoints are not kept", what,
                   std::make_error_code(error).message());
    }
  }

  std::optional<os::state_file> file_;
  std::optional<core::state_copies> copies_;
  bool complained_ = false;
};

class daemon {
 public:
  daemon(asio::io_context& io, os::channel keeper, node_setup setup, node_descriptors descriptors);
  [[nodiscard]] int run();  // the exit status

 private:
  void wait_for_traffic();
  void turn();
  std::size_t drain_tap();  // how many frames
  void drain_udp();
  void wait_for_keeper();
  void on_keeper();
  void on_message(bytes_view message);
  void on_timer();

  void end_turn();
  void keep_state();
  void carry_out();
  void send_train(const core::outbox::train& train);
  void write_frames();
  void on_tap_write(const offload& meta, std::errc error);
  void on_notice(const core::outbox::notice& n);
  void log_notice(const core::outbox::notice& n) const;
  void arm_timer();
  [[nodiscard]] bool may_work() { return node_.may_work(now_); }
  [[nodiscard]] bool lingers() const noexcept { return now_ - crossed_at_ < linger; }
  void work();
  void fail(const std::string& what, std::errc error);

  asio::io_context& io_;
  os::channel keeper_;
  node_setup setup_;
  os::tap tap_;
  os::udp_socket udp_;
  time_point started_;
  memory memory_;
  core::node node_;
  core::outbox out_;
  os::receive_batch batch_;
  std::vector<std::uint8_t> frame_room_;
  std::array<unsigned, 6> refused_{};  // by gso_kind
  segment_gate gate_;
  time_point now_{};      // of this turn
  time_point looked_{};   // at what Asio has
  bool awake_ = false;    // traffic is expected: the ready set is waited for, and not Asio
  bool waiting_ = false;  // for traffic, by Asio
  company frames_;
  company trains_;
  bulk bulk_;
  os::wake_policy policy_;
  time_point came_at_{};     // the last turn with datagrams
  time_point crossed_at_{};  // the last turn with anything
  bool answered_ = false;    // what came was answered at once
  os::wake_timer timer_;
  os::ready_set ready_;
  os::unique_fd watched_;  // readable while ready_ has something; here unless Asio waits for it
  descriptor traffic_;
  descriptor keeper_ready_;
  time_point armed_for_ = time_point::max();
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
      memory_(std::move(descriptors.state)),
      node_(make_core_node(setup_, udp_.local().port, memory_.found(), {started_, os::wall_now()})),
      out_(setup_.peers.size()),
      frame_room_(frame_headroom + os::tap::max_frame + 1),
      gate_(setup_.peers.size()),
      ready_({udp_.fd(), tap_.fd(), timer_.fd()}),
      watched_(ready_.duplicate()),
      traffic_(io),
      keeper_ready_(io, duplicate_of(keeper_.fd())),
      control_(io, std::move(descriptors.control), setup_.control_group,
               [this](std::string_view path) -> std::optional<std::string> {
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
  now_ = os::monotonic_now();
  wait_for_traffic();
  wait_for_keeper();
  arm_timer();
  send_ready(keeper_);
  while (!io_.stopped()) {
    if (awake_) {
      turn();
    } else {
      io_.run_one();
    }
  }
  return status_;
}

// Where nothing crosses, Asio waits for everything there is. It has the ready set only then, or whatever arrives would
// wake two sets.
void daemon::wait_for_traffic() {
  awake_ = false;
  if (waiting_) return;
  waiting_ = true;
  traffic_.assign(watched_.release());
  traffic_.async_wait(descriptor::wait_read, [this](error_code error) {
    waiting_ = false;
    watched_.reset(traffic_.release());
    if (!error) awake_ = true;
  });
}

// While something crosses, a turn asks for traffic and the timer alone, which takes a third of the system calls, and
// Asio only has a look now and then. It waits without a timeout: the kernel would set and end a timer for
// each frame, on its way. So when nothing crosses any more is timer_'s to say.
[[gnu::hot, gnu::noinline]] void daemon::turn() {
  const bool works = may_work();
  const unsigned ready = ready_.wait(works || !lingers() ? std::chrono::milliseconds{0} : os::ready_set::forever);
  now_ = os::monotonic_now();
  if ((ready & timer_is_due) != 0) on_timer();
  const bool came = (ready & udp_is_ready) != 0;
  const bool told = (ready & tap_is_ready) != 0;
  if (came) drain_udp();
  const std::size_t found = told || (came && answered_) ? drain_tap() : 0;
  // The kernel may answer what is written to the TAP before the write returns; where it does, that is not waited for.
  if (came || told) answered_ = came ? found > 0 : now_ - came_at_ < company::gap;
  if (came) came_at_ = now_;
  if (came || found > 0) crossed_at_ = now_;
  if (works) work();
  end_turn();
  if (bulk_.changed(now_)) policy_.set_patient(bulk_.flows());
  const bool idle = !works && !lingers();
  if (idle || now_ - looked_ >= look_every) {
    looked_ = now_;
    io_.poll();
  }
  if (idle && !may_work()) {
    if (bulk_.stopped()) policy_.set_patient(false);
    wait_for_traffic();
  }
}

void daemon::fail(const std::string& what, std::errc error) {
  spdlog::error("{}: {}; the node ends", what, std::make_error_code(error).message());
  status_ = 1;
  io_.stop();
}

// ---- out: TAP to underlay

[[gnu::hot]] std::size_t daemon::drain_tap() {
  const bool more = frames_.expected();
  std::size_t bytes = 0;
  std::size_t found = 0;
  while (found < frames_per_turn && bytes < bytes_per_turn && (more || found == 0)) {
    super_frame frame;
    const std::errc error = tap_.read(frame_room_, frame);
    if (error == std::errc::resource_unavailable_try_again) break;
    ++found;
    if (error == std::errc::protocol_error) {
      node_.on_lost(drop::bad_offload, 1);
    } else if (error == std::errc::message_size) {
      node_.on_lost(drop::long_frame, 1);
    } else if (error != std::errc{}) {
      fail("TAP " + setup_.tap, error);
      break;
    } else {
      bytes += frame.bytes.size();
      node_.on_frame(frame, now_, out_, more);
      if (out_.is_filling()) carry_out();
    }
  }
  if (more) node_.end_drain(now_, out_);
  bulk_.add(bytes);
  if (found > 0) frames_.note(found, now_);
  return found;
}

// ---- in: underlay to TAP

[[gnu::hot]] void daemon::drain_udp() {
  const std::size_t most = trains_.expected() ? os::receive_batch::slots : 1;
  std::size_t found = 0;
  for (int i = 0; i < batches_per_turn; ++i) {
    std::errc error{};
    const auto batch = batch_.receive(udp_, error, most);
    if (error == std::errc::resource_unavailable_try_again || error == std::errc::interrupted) break;
    if (error != std::errc{}) return fail("UDP socket " + setup_.listen, error);
    found += batch.size();
    for (const auto& one : batch) bulk_.add(one.train.bytes.size());
    node_.on_datagrams(batch, now_, out_);
    carry_out();  // frames borrow the batch
    if (batch.size() < os::receive_batch::slots) break;
  }
  trains_.note(found, now_);
}

// ---- time, and what each turn leaves to do

[[gnu::hot]] void daemon::end_turn() {
  carry_out();
  if (may_work()) awake_ = true;
  arm_timer();
}

// Nothing has changed in nearly all turns.
[[gnu::hot]] void daemon::keep_state() {
  if (memory_ && node_.keep_due() <= now_) node_.kept(memory_.save(node_.state()), now_);
}

void daemon::work() {
  const time_point from = os::monotonic_now();
  node_.work({from, os::wall_now()}, out_);
  now_ = os::monotonic_now();
  node_.spent(now_ - from, now_);
}

[[gnu::hot]] void daemon::arm_timer() {
  time_point next = node_.next_timer();
  if (memory_) next = std::min(next, node_.keep_due());
  if (lingers()) next = std::min(next, crossed_at_ + linger);
  if (next == time_point::max() || next >= armed_for_) return;  // an earlier wake-up asks again
  armed_for_ = next;
  timer_.set(next);
}

void daemon::on_timer() {
  timer_.clear();
  armed_for_ = time_point::max();
  if (node_.next_timer() > now_) return;
  node_.on_timer({now_, os::wall_now()}, out_);
  carry_out();
}

// A stamp may leave only when it is on the disk.
[[gnu::hot]] void daemon::carry_out() {
  keep_state();
  if (out_.empty()) return;
  for (const auto& train : out_.trains()) send_train(train);
  write_frames();
  for (const auto& n : out_.notices()) on_notice(n);
  out_.clear();
}

[[gnu::hot]] void daemon::send_train(const core::outbox::train& train) {
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

[[gnu::hot]] void daemon::write_frames() {
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
  if (memory_) static_cast<void>(memory_.save(node_.last_state()));
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
