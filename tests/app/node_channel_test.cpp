// SPDX-License-Identifier: Apache-2.0
#include "node_pair.hpp"

#include <doctest/doctest.h>
#include <lanloom/app/node_channel.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

using namespace lanloom;
using namespace lanloom::app;
using namespace lanloom::app::test;

namespace {

crypto::secret<32> secret_of(std::uint8_t byte) {
  std::array<std::uint8_t, 32> bytes{};
  bytes.fill(byte);
  return crypto::secret<32>(bytes);
}

bool same(const crypto::secret<32>& a, const crypto::secret<32>& b) {
  return std::equal(a.view().begin(), a.view().end(), b.view().begin());
}

// Four descriptors that can be told apart: the read ends of pipes that hold a byte each.
struct marked_descriptors {
  node_descriptors given;

  marked_descriptors() {
    given.tap = holding('t');
    given.udp = holding('u');
    given.control = holding('c');
    given.state = holding('s');
  }
  static os::unique_fd holding(char mark) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe(ends.data()) == 0);
    const os::unique_fd to(ends[1]);
    REQUIRE(::write(to.get(), &mark, 1) == 1);
    return os::unique_fd(ends[0]);
  }
};

char mark_of(const os::unique_fd& fd) {
  char mark = 0;
  return ::read(fd.get(), &mark, 1) == 1 ? mark : '?';
}

std::size_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

node_setup full_setup() {
  node_setup s = example_setup("alpha", 1, "beta", 2, endpoint::v4({192, 168, 50, 5}, 4780));
  s.network = "network of ours";
  s.network_secret = secret_of(0x33);
  s.suites = 3;
  s.accelerator = crypto::accelerator::off;
  s.mtu = 9000;
  s.guard = true;
  s.own_macs = {{2, 0, 0, 0, 0, 1}, {0xfe, 0, 0, 0, 0, 2}};
  s.peers[0].psk = secret_of(0x44);
  s.peers[0].remotes =
      core::candidates(std::vector{*endpoint::parse("[2001:db8::5]:1"), endpoint::v4({192, 168, 50, 5}, 2)});
  s.peers[0].named = true;
  node_setup::peer silent;
  silent.name = std::string(64, 'n');
  silent.key = keys_of(3).public_half;
  silent.keepalive = std::chrono::seconds{0};
  s.peers.push_back(std::move(silent));
  return s;
}

}  // namespace

TEST_CASE("node_channel: a set-up arrives whole: names, keys, secrets, peers and four descriptors in order") {
  auto [keeper, node] = os::make_channel();
  const node_setup sent = full_setup();
  marked_descriptors marked;
  send_setup(keeper, sent, marked.given);
  CHECK(marked.given.tap.get() >= 0);  // duplicates went; the keeper's own stay

  node_descriptors descriptors;
  const node_setup got = receive_setup(node, descriptors);
  CHECK(got.instance == sent.instance);
  CHECK(got.name == sent.name);
  CHECK(got.listen == sent.listen);
  CHECK(got.tap == sent.tap);
  CHECK(got.bridge == sent.bridge);
  CHECK(got.network == sent.network);
  CHECK(same(got.keys.secret_half, sent.keys.secret_half));
  CHECK(got.keys.public_half == sent.keys.public_half);
  REQUIRE(got.network_secret);
  CHECK(same(*got.network_secret, *sent.network_secret));
  CHECK(got.suites == 3);
  CHECK(got.accelerator == crypto::accelerator::off);
  CHECK(got.mtu == 9000);
  CHECK(got.guard);
  CHECK(got.own_macs == sent.own_macs);
  REQUIRE(got.peers.size() == 2);
  CHECK(got.peers[0].name == "beta");
  CHECK(got.peers[0].key == sent.peers[0].key);
  REQUIRE(got.peers[0].psk);
  CHECK(same(*got.peers[0].psk, *sent.peers[0].psk));
  CHECK(got.peers[0].remotes == sent.peers[0].remotes);
  CHECK(got.peers[0].keepalive == std::chrono::seconds{25});
  CHECK(got.peers[1].name == std::string(64, 'n'));
  CHECK(got.peers[1].key == sent.peers[1].key);
  CHECK(!got.peers[1].psk);
  CHECK(got.peers[0].named);
  CHECK_FALSE(got.peers[1].named);
  CHECK(got.peers[1].remotes.empty());
  CHECK(got.peers[1].keepalive == std::chrono::seconds{0});
  CHECK(mark_of(descriptors.tap) == 't');
  CHECK(mark_of(descriptors.udp) == 'u');
  CHECK(mark_of(descriptors.control) == 'c');
  CHECK(mark_of(descriptors.state) == 's');
}

TEST_CASE("node_channel: what is not configured stays absent, and no peer is possible") {
  auto [keeper, node] = os::make_channel();
  node_setup sent = full_setup();
  sent.network_secret.reset();
  sent.own_macs.clear();
  sent.peers.clear();
  marked_descriptors marked;
  marked.given.state.reset();
  send_setup(keeper, sent, marked.given);
  node_descriptors descriptors;
  const node_setup got = receive_setup(node, descriptors);
  CHECK(!got.network_secret);
  CHECK(got.own_macs.empty());
  CHECK(got.peers.empty());
  CHECK(mark_of(descriptors.control) == 'c');
  CHECK_FALSE(descriptors.state);
}

TEST_CASE("node_channel: more peers than the socket holds") {
  auto ends = os::make_channel();
  node_setup sent = full_setup();
  for (std::size_t i = sent.peers.size(); i < core::node::max_peers; ++i) {
    node_setup::peer p;
    p.name = "p" + std::to_string(i);
    store_le32(p.key.bytes.data(), static_cast<std::uint32_t>(i));
    sent.peers.push_back(std::move(p));
  }
  const marked_descriptors marked;
  std::thread keeper([&] { send_setup(ends.first, sent, marked.given); });
  node_descriptors descriptors;
  const node_setup got = receive_setup(ends.second, descriptors);
  keeper.join();
  REQUIRE(got.peers.size() == core::node::max_peers);
  CHECK(got.peers.back().name == sent.peers.back().name);
  CHECK(got.peers.back().key == sent.peers.back().key);
}

TEST_CASE("node_channel: a name that is too long is an error, never cut") {
  const marked_descriptors marked;
  const auto refused = [&marked](auto change) {
    auto ends = os::make_channel();
    node_setup s = full_setup();
    change(s);
    CHECK_THROWS_WITH(send_setup(ends.first, s, marked.given), doctest::Contains("too long"));
  };
  refused([](node_setup& s) { s.instance = std::string(64, 'x'); });
  refused([](node_setup& s) { s.listen = std::string(64, 'x'); });
  refused([](node_setup& s) { s.tap = std::string(64, 'x'); });
  refused([](node_setup& s) { s.bridge = std::string(64, 'x'); });
  refused([](node_setup& s) { s.name = std::string(256, 'x'); });
  refused([](node_setup& s) { s.network = std::string(256, 'x'); });
  refused([](node_setup& s) { s.peers[1].name = std::string(256, 'x'); });

  auto [keeper, node] = os::make_channel();
  node_setup fits = full_setup();
  fits.name = fits.network = fits.peers[1].name = std::string(255, 'x');
  fits.instance = fits.listen = fits.tap = fits.bridge = std::string(63, 'x');
  send_setup(keeper, fits, marked.given);
  node_descriptors descriptors;
  const node_setup got = receive_setup(node, descriptors);
  CHECK(got.name == fits.name);
  CHECK(got.network == fits.network);
  CHECK(got.listen == fits.listen);
  CHECK(got.peers[1].name == fits.peers[1].name);
}

TEST_CASE("node_channel: what is no set-up is refused, and no descriptor is left open") {
  const auto before = open_files();
  const auto refused = [](bytes_view message, std::span<const int> fds) {
    auto [keeper, node] = os::make_channel();
    REQUIRE(keeper.send(message, fds) == std::errc{});
    keeper.close();
    node_descriptors descriptors;
    CHECK_THROWS_WITH(static_cast<void>(receive_setup(node, descriptors)), doctest::Contains("did not send"));
  };
  const os::unique_fd file = marked_descriptors::holding('x');
  const std::array<int, 3> three{file.get(), file.get(), file.get()};
  const std::array<std::uint8_t, 65536> zeros{};
  for (const std::size_t size : {1U, 4U, 100U, 6000U, 8000U, 65536U}) {
    CAPTURE(size);
    refused(bytes_view(zeros).first(size), {});
    refused(bytes_view(zeros).first(size), three);
  }
  {
    auto [keeper, node] = os::make_channel();
    send_stop(keeper);
    node_descriptors descriptors;
    CHECK_THROWS(static_cast<void>(receive_setup(node, descriptors)));
  }
  {
    auto [keeper, node] = os::make_channel();
    keeper.close();
    node_descriptors descriptors;
    CHECK_THROWS(static_cast<void>(receive_setup(node, descriptors)));
  }
  CHECK(open_files() == before + 1);  // `file`
}

namespace {

// The messages of a set-up as they are on the wire.
std::vector<std::vector<std::uint8_t>> messages_of(const node_setup& setup) {
  auto [keeper, node] = os::make_channel();
  const marked_descriptors marked;
  send_setup(keeper, setup, marked.given);
  keeper.close();
  std::vector<std::vector<std::uint8_t>> all;
  for (;;) {
    std::vector<std::uint8_t> room(os::channel::max_message);
    std::vector<os::unique_fd> fds;
    std::size_t size = 0;
    if (node.receive(room, size, fds) != std::errc{}) return all;
    room.resize(size);
    all.push_back(std::move(room));
  }
}

}  // namespace

TEST_CASE(
    "node_channel: a set-up with a message missing, doubled, in the wrong place or without descriptors is refused") {
  const auto good = messages_of(full_setup());
  REQUIRE(good.size() == 3);
  const marked_descriptors marked;
  const std::array<int, 3> three{marked.given.tap.get(), marked.given.udp.get(), marked.given.control.get()};
  const auto accepted = [](const std::vector<std::vector<std::uint8_t>>& messages, std::span<const int> with_first) {
    auto [keeper, node] = os::make_channel();
    for (std::size_t i = 0; i < messages.size(); ++i) {
      REQUIRE(keeper.send(messages[i], i == 0 ? with_first : std::span<const int>{}) == std::errc{});
    }
    keeper.close();
    node_descriptors descriptors;
    try {
      return receive_setup(node, descriptors).peers.size() == 2;
    } catch (const std::runtime_error&) {
      return false;
    }
  };
  CHECK(accepted(good, three));
  CHECK(!accepted(good, {}));
  CHECK(!accepted(good, std::span(three).first(2)));
  const std::array<int, 5> five{three[0], three[1], three[2], three[0], three[1]};
  CHECK(accepted(good, std::span(five).first(4)));  // with a state file
  CHECK(!accepted(good, five));
  CHECK(!accepted({good[0], good[1]}, three));
  CHECK(!accepted({good[1], good[2]}, three));
  CHECK(!accepted({good[0], good[0], good[1], good[2]}, three));
  auto cut = good;
  cut[1].pop_back();
  CHECK(!accepted(cut, three));
  auto longer = good;
  longer[0].push_back(0);
  CHECK(!accepted(longer, three));
  auto other_kind = good;
  other_kind[2][0] = 1;
  CHECK(!accepted(other_kind, three));
}

TEST_CASE("node_channel: stop and ready are exactly themselves") {
  const auto sent_by = [](auto send) {
    auto [one, other] = os::make_channel();
    send(one);
    std::vector<std::uint8_t> room(64);
    std::vector<os::unique_fd> fds;
    std::size_t size = 0;
    REQUIRE(other.receive(room, size, fds) == std::errc{});
    room.resize(size);
    return room;
  };
  const auto stop = sent_by([](os::channel& c) { send_stop(c); });
  const auto ready = sent_by([](os::channel& c) { send_ready(c); });
  CHECK(is_stop(stop));
  CHECK(!is_ready(stop));
  CHECK(is_ready(ready));
  CHECK(!is_stop(ready));
  for (const auto& message : {stop, ready}) {
    auto changed = message;
    changed.push_back(0);
    CHECK(!is_stop(changed));
    CHECK(!is_ready(changed));
    changed = message;
    changed.pop_back();
    CHECK(!is_stop(changed));
    CHECK(!is_ready(changed));
    for (std::size_t i = 0; i < message.size(); ++i) {
      changed = message;
      changed[i] ^= 0x80;
      CHECK(!is_stop(changed));
      CHECK(!is_ready(changed));
    }
  }
  CHECK(!is_stop({}));
  CHECK(!is_ready({}));
}

TEST_CASE("node_channel: a node that is gone is an error for the set-up and none for stop") {
  auto [keeper, node] = os::make_channel();
  node.close();
  const marked_descriptors marked;
  CHECK_THROWS_AS(send_setup(keeper, full_setup(), marked.given), std::system_error);
  send_stop(keeper);
}

TEST_CASE("node_channel: addresses to the node, and a silent peer to the keeper; nothing else is taken for either") {
  auto [keeper, node] = os::make_channel();
  std::array<std::uint8_t, max_keeper_message> room{};
  const auto receive = [&](os::channel& at) {
    std::size_t size = 0;
    std::vector<os::unique_fd> passed;
    REQUIRE(at.receive(room, size, passed) == std::errc{});
    return bytes_view(room).first(size);
  };
  const core::candidates found(std::vector{endpoint::v4({192, 0, 2, 1}, 7), *endpoint::parse("[2001:db8::1]:7")});
  send_addresses(keeper, 1023, found);
  const auto message = receive(node);
  const auto addresses = read_addresses(message);
  REQUIRE(addresses);
  CHECK(addresses->first == 1023);
  CHECK(addresses->second == found);
  CHECK_FALSE(read_silent(message));
  CHECK_FALSE(is_stop(message));
  CHECK_FALSE(read_report(message));
  for (std::size_t size = 0; size < message.size(); ++size) CHECK_FALSE(read_addresses(message.first(size)));

  send_silent(node, 77);
  const auto word = receive(keeper);
  CHECK(read_silent(word) == std::size_t{77});
  CHECK_FALSE(is_ready(word));
  CHECK_FALSE(read_addresses(word));
  std::vector<std::uint8_t> other(word.begin(), word.end());
  for (std::size_t size = 0; size < other.size(); ++size) CHECK_FALSE(read_silent(bytes_view(other).first(size)));
  other.push_back(0);
  CHECK_FALSE(read_silent(other));
  send_ready(node);
  CHECK_FALSE(read_silent(receive(keeper)));
}

TEST_CASE("node_channel: a set-up can be rid of its secrets") {
  node_setup s = full_setup();
  s.forget_secrets();
  const auto& left = s.keys.secret_half.view();
  CHECK(std::all_of(left.begin(), left.end(), [](std::uint8_t b) { return b == 0; }));
  CHECK_FALSE(s.network_secret);
  for (const auto& p : s.peers) CHECK_FALSE(p.psk);
}
