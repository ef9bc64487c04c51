// SPDX-License-Identifier: Apache-2.0
#include "os/own_host.hpp"
#include "running_node.hpp"

#include <doctest/doctest.h>
#include <lanloom/app/daemon.hpp>
#include <lanloom/os/clock.hpp>
#include <lanloom/os/netlink.hpp>
#include <lanloom/os/state_file.hpp>
#include <lanloom/os/udp.hpp>
#include <lanloom/wire/probe.hpp>

#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <fstream>
#include <functional>
#include <map>
#include <set>

using namespace lanloom;
using namespace lanloom::app;
using namespace lanloom::app::test;
using namespace std::chrono_literals;

namespace {

// This test's own: the interface behind the TAP, as the bridge sees it.
class packet_socket {
 public:
  explicit packet_socket(int interface_index) {
    fd_ = os::unique_fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_ll here{};
    here.sll_family = AF_PACKET;
    here.sll_protocol = htons(0x88b5);
    here.sll_ifindex = interface_index;
    if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here) != 0) os::throw_errno("packet socket");
  }
  void send(const std::vector<std::uint8_t>& frame) const {
    REQUIRE(::send(fd_.get(), frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size()));
  }
  [[nodiscard]] std::vector<std::uint8_t> receive() const {
    std::vector<std::uint8_t> frame(65536);
    const ssize_t n = ::recv(fd_.get(), frame.data(), frame.size(), 0);
    frame.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    return frame;
  }

 private:
  os::unique_fd fd_;
};

std::map<std::string, std::string> process_status(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  std::map<std::string, std::string> fields;
  for (std::string line; std::getline(file, line);) {
    const auto colon = line.find(":\t");
    if (colon != std::string::npos) fields[line.substr(0, colon)] = line.substr(colon + 2);
  }
  return fields;
}

std::map<std::string, int> descriptor_kinds(pid_t pid) {
  std::map<std::string, int> kinds;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd")) {
    if (std::stoi(entry.path().filename().string()) <= 2) continue;
    std::error_code gone;  // the connection that answered last may close while we look
    const std::string target = std::filesystem::read_symlink(entry.path(), gone).string();
    if (gone) continue;
    ++kinds[target.substr(0, target.find('['))];
  }
  return kinds;
}

core::saved_state state_in(const char* file) {
  std::ifstream in(file, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  return core::state_copies(as_bytes(bytes)).found();
}

const std::string nothing_held = "0000000000000000";

}  // namespace

TEST_CASE("daemon: becomes ready, answers on the control socket, and ends on stop") {
  os::on_own_host([] {
    running_node node;
    node.start_ready(std::nullopt);
    const auto status = status_now();
    CHECK(status["instance"] == "lan");
    CHECK(status["node"]["name"] == "alpha");
    CHECK(status["tap"]["name"] == "vtap0");
    CHECK(status["peers"][0]["state"] == "idle");
    CHECK(nlohmann::json::parse(ask(socket_path, "/v1/fdb"))["instance"] == "lan");
    CHECK_THROWS_WITH(static_cast<void>(ask(socket_path, "/v1/stop")), doctest::Contains("refused"));

    // Clients in the middle of something do not hold it up, nor make it fall.
    const control_client half(socket_path);
    half.send("GET /v1/sta");
    CHECK(status_now()["schema"] == 1);
    send_stop(node.channel());
    CHECK(node.end() == "exit 0");
    CHECK(half.closed_by_server(0ms));
    CHECK(log_text() == "");
  });
}

TEST_CASE("daemon: ends at the end of the channel") {
  os::on_own_host([] {
    running_node node;
    node.start_ready(std::nullopt);
    node.channel().close();
    CHECK(node.end() == "exit 0");
  });
}

TEST_CASE("daemon: a keeper that ends before the set-up, or sends another, is refused with a line") {
  os::on_own_host([] {
    running_node node;
    node.start();
    send_stop(node.channel());
    CHECK(node.end() == "exit 1");
    CHECK(log_text().find("node: the keeper did not send a set-up") != std::string::npos);
  });
}

TEST_CASE("daemon: other messages of the keeper, and the signals of a terminal, change nothing") {
  os::on_own_host([] {
    running_node node;
    node.start_ready(std::nullopt);
    const std::array<std::uint8_t, 200> noise{};
    for (const std::size_t size : {1U, 4U, 64U, 200U}) {
      REQUIRE(node.channel().send(bytes_view(noise).first(size)) == std::errc{});
    }
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) CHECK(::kill(node.pid(), signal) == 0);
    CHECK(status_now()["schema"] == 1);
    send_stop(node.channel());
    CHECK(node.end() == "exit 0");
  });
}

TEST_CASE("daemon: with a guard it probes its LAN, and says what it hears there and what to do") {
  os::on_own_host([] {
    running_node node;
    const packet_socket lan(node.tap_index());
    node.start();
    node.set_up(std::nullopt, true);
    REQUIRE(node.becomes_ready());
    const auto comes = [](const std::function<bool()>& condition) {
      for (const auto end = std::chrono::steady_clock::now() + 20s; !condition(); ::poll(nullptr, 0, 10)) {
        if (std::chrono::steady_clock::now() >= end) return false;
      }
      return true;
    };
    const auto logged = [](const char* what) { return log_text().find(what) != std::string::npos; };

    std::vector<std::uint8_t> frame;
    REQUIRE(comes([&] { return !(frame = lan.receive()).empty(); }));
    auto probe = wire::parse_probe(frame);
    REQUIRE(probe);
    CHECK(probe->sender == keys_of(1).public_half.bytes);
    // In the first second it is blocked for no reason that it could name.
    REQUIRE(comes([&] { return status_now()["guard"]["blocked"] == false; }));
    CHECK(log_text() == "");

    lan.send(frame);
    REQUIRE(comes([&] { return status_now()["guard"]["blocked"] == true; }));
    CHECK(status_now()["guard"]["peer"].is_null());
    CHECK(comes([&] { return logged("our own LAN loops: what this host sends into it comes back"); }));
    CHECK(logged("set [bridge] stp = true"));

    probe->sender = keys_of(2).public_half.bytes;
    wire::format_probe(std::span<std::uint8_t, wire::probe_size>(frame.data(), wire::probe_size), {{2, 2, 2, 2, 2, 2}},
                       *probe);
    lan.send(frame);
    const bool ours_blocks = keys_of(2).public_half < keys_of(1).public_half;
    CHECK(comes([&] { return logged("beta: reached by our LAN as well as by the overlay, a loop;"); }));
    CHECK(
        logged(ours_blocks ? "no frame passes between our LAN and any peer until" : "it blocks its side, ours stays"));

    REQUIRE(comes([&] { return status_now()["guard"]["since_seconds"].is_null(); }));
    CHECK(comes([&] { return logged("our own LAN no longer loops; "); }));
    CHECK(comes([&] { return logged("beta: no longer reached by our LAN; frames pass between LAN and overlay"); }));
    send_stop(node.channel());
    CHECK(node.end() == "exit 0");
  });
}

TEST_CASE("daemon: dies with the keeper though the channel stays open") {
  os::on_own_host([] {
    REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);  // the node comes to us
    running_node node;
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const os::unique_fd from(ends[0]);
    os::unique_fd to(ends[1]);
    const pid_t keeper = ::fork();
    REQUIRE(keeper >= 0);
    if (keeper == 0) {
      const pid_t self = ::getpid();
      const pid_t child = ::fork();
      if (child == 0) node.become_node(self);
      static_cast<void>(::write(to.get(), &child, sizeof child) == sizeof child);
      for (;;) ::pause();
    }
    pid_t child = 0;
    REQUIRE(::read(from.get(), &child, sizeof child) == sizeof child);
    node.expect_elsewhere(child);
    node.set_up(std::nullopt);
    REQUIRE(node.becomes_ready());
    CHECK(::kill(keeper, SIGKILL) == 0);
    CHECK(::waitpid(keeper, nullptr, 0) == keeper);
    CHECK(node.end() == "signal 9");
  });
}

TEST_CASE("daemon: the node holds no right and no descriptor but its own") {
  os::on_own_host([] {
    const os::unique_fd stray(::open("/etc/passwd", O_RDONLY));  // not close-on-exec, and no business of the node's
    running_node node;
    node.start_ready(std::nullopt);
    CHECK(status_now()["schema"] == 1);
    auto fields = process_status(node.pid());
    CHECK(fields["Uid"] == "65534\t65534\t65534\t65534");
    CHECK(fields["Gid"] == "65534\t65534\t65534\t65534");
    CHECK(fields["Groups"].find_first_not_of(' ') == std::string::npos);
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
      CAPTURE(set);
      CHECK(fields[set] == nothing_held);
    }
    CHECK(fields["NoNewPrivs"] == "1");
    if (os::hardened_build) CHECK(fields["Seccomp"] == "2");
    if (os::hardened_build) CHECK(fields["Threads"] == "1");
    auto kinds = descriptor_kinds(node.pid());
    CHECK(kinds["/dev/net/tun"] == 1);
    CHECK(kinds["socket:"] <= 4 + 1);  // UDP; the channel, to use and to watch; control; a client that just left
    CHECK(kinds["/etc/passwd"] == 0);
    kinds.erase("/dev/net/tun");
    kinds.erase("socket:");
    kinds.erase("/etc/passwd");
    int others = 0;
    for (const auto& kind : kinds) {
      CAPTURE(kind.first);
      CHECK(kind.first.starts_with("anon_inode:"));  // Asio's epoll, event and timer; our ready set, twice, and timer
      others += kind.second;
    }
    CHECK(others <= 6);
    send_stop(node.channel());
    CHECK(node.end() == "exit 0");
  });
}

TEST_CASE(
    "daemon: a frame from the TAP reaches the peer and one from the peer the TAP; both see the numbers; a bye ends "
    "it") {
  os::on_own_host([] {
    running_node alpha;
    const packet_socket lan(alpha.tap_index());
    other_side beta(alpha.address());
    alpha.start_ready(beta.address());
    REQUIRE(beta.live_until([&] { return beta.established(); }));
    REQUIRE(beta.live_until(is_established));  // where it answered, it sends when it has heard from beta

    const auto out = example_frame(9, 8, 1514);
    lan.send(out);
    const auto came = [&] { return std::find(beta.frames.begin(), beta.frames.end(), out) != beta.frames.end(); };
    CHECK(beta.live_until(came));

    const auto back = example_frame(8, 9, 60);
    beta.send_frame(back);
    std::vector<std::uint8_t> seen;
    CHECK(beta.live_until([&] { return !(seen = lan.receive()).empty(); }));
    CHECK(seen == back);

    const auto status = status_now();
    const auto& peer = status["peers"][0];
    CHECK(peer["state"] == "established");
    CHECK(peer["endpoint"] == to_string(beta.address()));
    CHECK(peer["rx_frames"] == 1);
    CHECK(peer["rx_bytes"] == 60);
    CHECK(peer["tx_frames"] >= 1);  // the interface has things of its own to say
    CHECK(status["tap"]["rx_frames"] == 1);
    const auto fdb = nlohmann::json::parse(ask(socket_path, "/v1/fdb"));
    bool known = false;
    for (const auto& e : fdb["entries"]) known = known || (e["mac"] == "02:00:00:00:00:09" && e["peer"] == "beta");
    CHECK(known);

    send_stop(alpha.channel());
    CHECK(alpha.end() == "exit 0");
    using kind = core::outbox::notice::kind;
    CHECK(beta.live_until([&] { return std::count(beta.notices.begin(), beta.notices.end(), kind::left) == 1; }));
    CHECK(!beta.established());
    CHECK(log_text().find("beta: established at " + to_string(beta.address())) != std::string::npos);
  });
}

TEST_CASE("daemon: datagrams of every size and content leave it standing") {
  os::on_own_host([] {
    running_node alpha;
    alpha.start_ready(std::nullopt);
    const auto sender = os::udp_socket::open(endpoint::v4({127, 0, 0, 1}, 0));
    os::udp_socket any(sender.duplicate());
    crypto::random source(1);
    std::vector<std::uint8_t> bytes(65507);
    source.fill(bytes);
    for (const std::size_t size : {1U, 31U, 32U, 100U, 1400U, 9000U, 65507U}) {
      for (std::uint8_t type = 0; type < 8; ++type) {
        bytes[0] = type;
        static_cast<void>(any.send(alpha.address(), bytes_view(bytes).first(size), size));
      }
    }
    std::uint64_t dropped = 0;
    for (int i = 0; i < 1000 && dropped == 0; ++i) {
      const auto status = status_now();
      for (const auto& count : status["drops"]) dropped += count.get<std::uint64_t>();
    }
    CHECK(dropped > 0);
    send_stop(alpha.channel());
    CHECK(alpha.end() == "exit 0");
  });
}

TEST_CASE("daemon: frames while the TAP is down are counted, and the node goes on") {
  os::on_own_host([] {
    running_node alpha;
    other_side beta(alpha.address());
    alpha.start_ready(beta.address());
    REQUIRE(beta.live_until([&] { return beta.established(); }));
    os::netlink().set_down(alpha.tap_index());
    beta.send_frame(example_frame(8, 9));
    CHECK(beta.live_until([] { return status_now()["drops"]["tap_down"] == 1; }));
    send_stop(alpha.channel());
    CHECK(alpha.end() == "exit 0");
  });
}

TEST_CASE("daemon: a node whose TAP was deleted says so and ends with an error") {
  os::on_own_host([] {
    running_node node;
    node.start_ready(std::nullopt);
    os::netlink().delete_link("vtap0");
    CHECK(node.end() == "exit 1");
    CHECK(log_text().find("error lan: TAP vtap0: ") != std::string::npos);
    CHECK(log_text().find("; the node ends") != std::string::npos);
  });
}

TEST_CASE("daemon: what is to outlive it is in the state file, also after SIGKILL") {
  os::on_own_host([] {
    const auto file = [] { return os::open_state_file("/run/state", core::state_copies::file_size); };
    core::saved_state killed;
    {
      running_node alpha;
      alpha.keep_state_in(file());
      alpha.start_ready(std::nullopt);
      other_side beta(alpha.address());
      REQUIRE(beta.live_until([&] { return beta.established(); }));
      REQUIRE(beta.live_until([&] { return !state_in("/run/state/state").peers.empty(); }));
      REQUIRE(beta.live_until([&] { return state_in("/run/state/state").peers[0].remote == beta.address(); }));
      ::kill(alpha.pid(), SIGKILL);
      CHECK(alpha.end() == "signal 9");
      killed = state_in("/run/state/state");
      CHECK(killed.peers.at(0).accepted != wire::tai64n{});
    }
    // It calls, though the configuration does not say where; and at the end it saves no more than it must.
    running_node alpha;
    alpha.keep_state_in(file());
    alpha.start_ready(std::nullopt);
    CHECK(status_now()["peers"][0]["endpoint"] == to_string(killed.peers.at(0).remote.value()));
    CHECK(status_now()["peers"][0]["state"] == "handshaking");
    const auto running = state_in("/run/state/state");
    CHECK(running.reserve > killed.reserve);
    send_stop(alpha.channel());
    CHECK(alpha.end() == "exit 0");
    CHECK(state_in("/run/state/state").reserve < running.reserve);
    CHECK(state_in("/run/state/state").reserve > killed.reserve);
    CHECK(log_text().find("state file") == std::string::npos);
  });
}

TEST_CASE("daemon: a damaged state file, or a full disk, is said once and ends nothing") {
  os::on_own_host([] {
    running_node alpha;
    alpha.keep_state_in(os::unique_fd(::open("/dev/full", O_RDWR | O_CLOEXEC)));
    alpha.start_ready(std::nullopt);
    other_side beta(alpha.address());
    REQUIRE(beta.live_until([&] { return beta.established(); }));
    REQUIRE(beta.live_until([&] { return times_logged("cannot write the state file: No space left on device") == 1; }));
    const auto later = std::chrono::steady_clock::now() + 2500ms;  // two more attempts
    REQUIRE(beta.live_until([&] { return std::chrono::steady_clock::now() > later; }));
    CHECK(times_logged("state file") == 1);
    CHECK(beta.live_until(is_established));
  });
  os::on_own_host([] {
    running_node alpha;
    os::unique_fd file = os::open_state_file("/run/state", core::state_copies::file_size);
    REQUIRE(::pwrite(file.get(), "damage", 6, 0) == 6);
    alpha.keep_state_in(std::move(file));
    alpha.start_ready(std::nullopt);
    CHECK(log_text().find("the state file is damaged") != std::string::npos);
  });
}
