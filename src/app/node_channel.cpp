// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/node_channel.hpp>

#include <algorithm>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <type_traits>

namespace lanloom::app {

namespace {

enum class message_kind : std::uint32_t {
  start = 1,
  peer = 2,
  stop = 3,
  ready = 4,
  report = 5,
  addresses = 6,
  silent = 7,
  network_change = 8
};

constexpr std::size_t max_macs = 2050;  // bridge, TAP, and both ends of 1024 veth pairs

template <std::size_t N>
struct fixed_text {
  std::array<char, N> bytes{};

  fixed_text() = default;
  explicit fixed_text(std::string_view text) {
    if (text.size() >= N) throw std::runtime_error("a name in the configuration is too long: " + std::string(text));
    std::copy(text.begin(), text.end(), bytes.begin());
  }
  [[nodiscard]] static fixed_text cut(std::string_view text) { return fixed_text(text.substr(0, N - 1)); }
  [[nodiscard]] std::string text() const { return std::string(bytes.data(), ::strnlen(bytes.data(), N)); }
};

struct start_message {
  message_kind kind = message_kind::start;
  fixed_text<64> instance, listen, tap, bridge;
  bool bridge_created = true;
  fixed_text<256> name, network;
  std::array<std::uint8_t, 32> private_key{};
  std::array<std::uint8_t, 32> network_secret{};
  bool has_network_secret = false;
  std::uint8_t suites = 0;
  crypto::accelerator accelerator = crypto::accelerator::automatic;
  std::uint16_t mtu = 0;
  gid_t control_group = 0;
  bool guard = false;
  offload_setup offloads;
  std::uint32_t peers = 0;
  std::uint32_t macs = 0;
  std::array<std::array<std::uint8_t, 6>, max_macs> own_macs{};
};

struct peer_message {
  message_kind kind = message_kind::peer;
  fixed_text<256> name;
  std::array<std::uint8_t, 32> key{};
  std::array<std::uint8_t, 32> psk{};
  bool has_psk = false;
  core::candidates remotes;
  bool named = false;
  std::int64_t keepalive_seconds = 0;
};

struct report_message {
  message_kind kind = message_kind::report;
  std::int32_t log_level = 0;
  std::uint64_t generation = 0;
  std::uint64_t reloads = 0;
  std::uint64_t corrections = 0;
  fixed_text<1024> config_file;
  fixed_text<2048> error;
  fixed_text<4096> problems;  // lines
};
static_assert(sizeof(report_message) <= max_keeper_message);

struct addresses_message {
  message_kind kind = message_kind::addresses;
  std::uint32_t peer = 0;
  core::candidates found;
};

struct silent_message {
  message_kind kind = message_kind::silent;
  std::uint32_t peer = 0;
};

struct bare_message {
  message_kind kind;
};

template <class Message>
bytes_span memory_of(Message& message) noexcept {
  static_assert(std::is_trivially_copyable_v<Message>);
  return {reinterpret_cast<std::uint8_t*>(&message), sizeof message};
}

template <class Message>
void send(os::channel& to, Message& message, std::span<const int> descriptors = {}) {
  const std::errc error = to.send(memory_of(message), descriptors);
  crypto::wipe(memory_of(message));
  if (error != std::errc{}) throw std::system_error(std::make_error_code(error), "hand the set-up to the node");
}

template <class Message>
void receive(os::channel& from, Message& message, message_kind kind, std::vector<os::unique_fd>& descriptors) {
  std::size_t size = 0;
  const std::errc error = from.receive(memory_of(message), size, descriptors);
  if (error != std::errc{} || size != sizeof message || message.kind != kind) {
    throw std::runtime_error("the keeper did not send a set-up");
  }
}

void copy_key(std::array<std::uint8_t, 32>& to, const crypto::secret<32>& from) noexcept {
  std::copy(from.view().begin(), from.view().end(), to.begin());
}

// Nothing when it is of another kind or size.
template <class Message>
std::optional<Message> read(bytes_view message) noexcept {
  Message seen;
  if (message.size() != sizeof seen) return std::nullopt;
  const message_kind kind = seen.kind;
  std::memcpy(&seen, message.data(), sizeof seen);
  return seen.kind == kind ? std::optional(seen) : std::nullopt;
}

bool is_kind(bytes_view message, message_kind kind) noexcept {
  bare_message seen{};
  if (message.size() != sizeof seen) return false;
  std::memcpy(&seen, message.data(), sizeof seen);
  return seen.kind == kind;
}

}  // namespace

void send_setup(os::channel& to, const node_setup& setup, const node_descriptors& descriptors) {
  start_message start;
  start.instance = fixed_text<64>(setup.instance);
  start.name = fixed_text<256>(setup.name);
  start.listen = fixed_text<64>(setup.listen);
  start.tap = fixed_text<64>(setup.tap);
  start.bridge = fixed_text<64>(setup.bridge);
  start.bridge_created = setup.bridge_created;
  start.network = fixed_text<256>(setup.network);
  copy_key(start.private_key, setup.keys.secret_half);
  start.has_network_secret = setup.network_secret.has_value();
  if (setup.network_secret) copy_key(start.network_secret, *setup.network_secret);
  start.suites = setup.suites;
  start.accelerator = setup.accelerator;
  start.mtu = setup.mtu;
  start.control_group = setup.control_group;
  start.guard = setup.guard;
  start.offloads = setup.offloads;
  start.peers = static_cast<std::uint32_t>(setup.peers.size());
  start.macs = static_cast<std::uint32_t>(std::min(setup.own_macs.size(), max_macs));
  std::copy_n(setup.own_macs.begin(), start.macs, start.own_macs.begin());
  const std::array<int, 4> passed{descriptors.tap.get(), descriptors.udp.get(), descriptors.control.get(),
                                  descriptors.state.get()};
  send(to, start, std::span(passed).first(descriptors.state ? 4 : 3));

  for (const auto& p : setup.peers) {
    peer_message message;
    message.name = fixed_text<256>(p.name);
    message.key = p.key.bytes;
    message.has_psk = p.psk.has_value();
    if (p.psk) copy_key(message.psk, *p.psk);
    message.remotes = p.remotes;
    message.named = p.named;
    message.keepalive_seconds = p.keepalive.count();
    send(to, message);
  }
}

node_setup receive_setup(os::channel& from, node_descriptors& descriptors) {
  std::vector<os::unique_fd> passed;
  start_message start;
  receive(from, start, message_kind::start, passed);
  if (passed.size() != 3 && passed.size() != 4) {
    throw std::runtime_error("the keeper did not send three or four descriptors");
  }
  passed.resize(4);
  descriptors = {std::move(passed[0]), std::move(passed[1]), std::move(passed[2]), std::move(passed[3])};

  node_setup setup;
  setup.instance = start.instance.text();
  setup.name = start.name.text();
  setup.listen = start.listen.text();
  setup.tap = start.tap.text();
  setup.bridge = start.bridge.text();
  setup.bridge_created = start.bridge_created;
  setup.network = start.network.text();
  setup.keys.secret_half = crypto::private_key(start.private_key);
  setup.keys.public_half = crypto::derive_public(setup.keys.secret_half);
  if (start.has_network_secret) setup.network_secret.emplace(start.network_secret);
  setup.suites = start.suites;
  setup.accelerator = start.accelerator;
  setup.mtu = start.mtu;
  setup.control_group = start.control_group;
  setup.guard = start.guard;
  setup.offloads = start.offloads;
  setup.own_macs.assign(start.own_macs.begin(), start.own_macs.begin() + std::min<std::size_t>(start.macs, max_macs));
  const std::uint32_t peers = start.peers;
  crypto::wipe(memory_of(start));

  for (std::uint32_t i = 0; i < peers; ++i) {
    peer_message message;
    receive(from, message, message_kind::peer, passed);
    auto& p = setup.peers.emplace_back();
    p.name = message.name.text();
    p.key.bytes = message.key;
    if (message.has_psk) p.psk.emplace(message.psk);
    p.remotes = message.remotes;
    p.named = message.named;
    p.keepalive = std::chrono::seconds{message.keepalive_seconds};
    crypto::wipe(memory_of(message));
  }
  return setup;
}

void send_report(os::channel& to, const host_report& report) noexcept {
  report_message message;
  message.log_level = report.log_level;
  message.generation = report.generation;
  message.reloads = report.reloads;
  message.corrections = report.corrections;
  message.config_file = message.config_file.cut(report.config_file);
  message.error = message.error.cut(report.error);
  std::string lines;
  for (const auto& problem : report.problems) lines += problem + "\n";
  message.problems = message.problems.cut(lines);
  static_cast<void>(to.send(memory_of(message)));
}

std::optional<host_report> read_report(bytes_view message) {
  report_message seen;
  if (message.size() != sizeof seen) return std::nullopt;
  std::memcpy(&seen, message.data(), sizeof seen);
  if (seen.kind != message_kind::report) return std::nullopt;
  host_report report{seen.config_file.text(), seen.generation, seen.reloads, seen.error.text(), seen.corrections, {},
                     seen.log_level};
  std::istringstream lines(seen.problems.text());
  for (std::string line; std::getline(lines, line);) report.problems.push_back(line);
  return report;
}

void send_addresses(os::channel& to, std::size_t peer, const core::candidates& found) noexcept {
  addresses_message message;
  message.peer = static_cast<std::uint32_t>(peer);
  message.found = found;
  static_cast<void>(to.send(memory_of(message)));
}

std::optional<std::pair<std::size_t, core::candidates>> read_addresses(bytes_view message) noexcept {
  const auto seen = read<addresses_message>(message);
  if (!seen) return std::nullopt;
  return std::pair{std::size_t{seen->peer}, seen->found};
}

void send_silent(os::channel& to, std::size_t peer) noexcept {
  silent_message message;
  message.peer = static_cast<std::uint32_t>(peer);
  static_cast<void>(to.send(memory_of(message)));
}

std::optional<std::size_t> read_silent(bytes_view message) noexcept {
  const auto seen = read<silent_message>(message);
  return seen ? std::optional<std::size_t>(seen->peer) : std::nullopt;
}

void send_stop(os::channel& to) noexcept {
  bare_message message{message_kind::stop};
  static_cast<void>(to.send(memory_of(message)));
}

void send_network_change(os::channel& to) noexcept {
  bare_message message{message_kind::network_change};
  static_cast<void>(to.send(memory_of(message)));
}

void send_ready(os::channel& to) {
  bare_message message{message_kind::ready};
  static_cast<void>(to.send(memory_of(message)));
}

bool is_network_change(bytes_view message) noexcept { return is_kind(message, message_kind::network_change); }
bool is_stop(bytes_view message) noexcept { return is_kind(message, message_kind::stop); }
bool is_ready(bytes_view message) noexcept { return is_kind(message, message_kind::ready); }

}  // namespace lanloom::app
