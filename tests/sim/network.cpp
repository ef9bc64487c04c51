// SPDX-License-Identifier: Apache-2.0
#include "sim/network.hpp"

#include <lanloom/wire/probe.hpp>

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace lanloom::sim {

namespace {
constexpr wall_time wall_start{std::chrono::seconds(1'700'000'000)};
constexpr std::size_t frame_header = 22;  // Ethernet 14, source u16, destination u16, number u32
constexpr std::size_t min_frame = 24;
constexpr duration lan_delay = 100us;

std::uint8_t filler(std::uint32_t number, std::size_t at) noexcept {
  return static_cast<std::uint8_t>(number * 31 + at * 7 + (at >> 8));
}
}  // namespace

network::network(setup with) : setup_(std::move(with)), choice_(setup_.seed * 2 + 1) {
  crypto::initialise();
  for (std::size_t i = 0; i < setup_.nodes; ++i) {
    keys_.push_back(crypto::make_key_pair(choice_));
    addresses_.push_back(endpoint::v4({10, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}, 4780));
  }
  std::sort(keys_.begin(), keys_.end(), [](const auto& a, const auto& b) { return a.public_half < b.public_half; });
  if (setup_.descending_keys) std::reverse(keys_.begin(), keys_.end());
  clock_offsets_.resize(setup_.nodes);
  nodes_.resize(setup_.nodes);
  files_.resize(setup_.nodes);
  copies_.resize(setup_.nodes);
  saved_.resize(setup_.nodes);
  numbers_.resize(setup_.nodes);
  received_.resize(setup_.nodes);
  seen_.resize(setup_.nodes);
  notices_.resize(setup_.nodes);
  sent_by_.resize(setup_.nodes);
  for (std::size_t i = 0; i < setup_.nodes; ++i) lans_.push_back(i);
}

// ---- nodes

void network::start(std::size_t i) {
  core::node_config config{keys_[i].clone(), "lan", std::nullopt, setup_.suites, setup_.mtu, {}};
  std::vector<core::peer_config> peers;
  for (std::size_t j = 0; j < setup_.nodes; ++j) {
    if (j == i) continue;
    peers.push_back({"n" + std::to_string(j), keys_[j].public_half, std::nullopt, addresses_[j], setup_.keepalive});
  }
  if (setup_.keeps_state) config.known = copies_[i].emplace(files_[i]).found();
  if (setup_.edit) setup_.edit(i, config, peers);
  nodes_[i] =
      std::make_unique<core::node>(std::move(config), std::move(peers), crypto::random(choice_.u64()), clock(i));
}

void network::start_all() {
  for (std::size_t i = 0; i < nodes_.size(); ++i) start(i);
}

void network::say_bye(std::size_t i) {
  nodes_[i]->say_bye(now_, out_);
  carry_out(i);
}

void network::end(std::size_t i) {
  say_bye(i);
  if (setup_.keeps_state) save(i, nodes_[i]->last_state());
  stop(i);
}

// ---- LAN

std::uint32_t network::send_frame(std::size_t from, std::size_t to, std::size_t size) {
  std::vector<std::uint8_t> frame(std::max(size, min_frame));
  const std::uint32_t number = numbers_[from]++;
  std::fill_n(frame.begin(), 6, std::uint8_t{0xff});
  if (to != everybody) std::copy_n(mac(to).bytes.begin(), 6, frame.begin());
  std::copy_n(mac(from).bytes.begin(), 6, frame.begin() + 6);
  store_be16(&frame[12], 0x88b5);
  store_be16(&frame[14], static_cast<std::uint16_t>(from));
  store_be16(&frame[16], static_cast<std::uint16_t>(to));
  store_be32(&frame[18], number);
  for (std::size_t k = frame_header; k < frame.size(); ++k) frame[k] = filler(number, k);
  inject_frame(from, frame);
  return number;
}

void network::inject_frame(std::size_t at, bytes_view frame) {
  put_on_lan(at, frame);
  give_to_node(at, frame);
}

void network::give_to_node(std::size_t i, bytes_view frame) {
  if (!nodes_[i]) return;
  std::vector<std::uint8_t> buffer(frame_headroom + frame.size());
  std::copy(frame.begin(), frame.end(), buffer.begin() + frame_headroom);
  const bytes_span bytes = bytes_span(buffer).subspan(frame_headroom);
  nodes_[i]->on_frame({bytes, {}}, now_, out_);
  if (!std::equal(frame.begin(), frame.end(), bytes.begin())) faults_.push_back("a frame was altered by sending it");
  after_input(i);
}

void network::set_looping(std::size_t lan, bool loops) {
  if (loops) {
    looping_.insert(lan);
  } else {
    looping_.erase(lan);
  }
}

void network::put_on_lan(std::size_t from, bytes_view bytes) {
  for (std::size_t j = 0; j < nodes_.size(); ++j) {
    if (lans_[j] != lans_[from] || (j == from && looping_.count(lans_[j]) == 0)) continue;
    if (lan_cut && lan_cut(from, j)) continue;
    on_lan_.emplace(std::pair{now_ + lan_delay, events_++}, lan_frame{j, {bytes.begin(), bytes.end()}});
    if (!wire::parse_probe(bytes)) ++lan_frames_;
  }
}

void network::arrive_from_lan(std::size_t i, bytes_view bytes) {
  receive_frame(i, bytes);
  give_to_node(i, bytes);
}

// The host of a node does.
void network::receive_frame(std::size_t i, bytes_view bytes) {
  if (wire::parse_probe(bytes)) return;
  if (bytes.size() < frame_header || load_be16(&bytes[12]) != 0x88b5) return;  // a test's own
  const std::size_t source = load_be16(&bytes[14]);
  const std::size_t destination = load_be16(&bytes[16]);
  const std::uint32_t number = load_be32(&bytes[18]);
  const std::string name = std::to_string(source) + "/" + std::to_string(number) + " at " + std::to_string(i);
  if (source == i) faults_.push_back("came back: " + name);
  if (source >= nodes_.size() || number >= numbers_[source]) return faults_.push_back("never sent: " + name);
  const auto sender = mac(source);
  if (!std::equal(sender.bytes.begin(), sender.bytes.end(), bytes.begin() + 6)) faults_.push_back("altered: " + name);
  const auto receiver = destination == everybody ? wire::mac_address{{255, 255, 255, 255, 255, 255}} : mac(destination);
  if (!std::equal(receiver.bytes.begin(), receiver.bytes.end(), bytes.begin())) faults_.push_back("altered: " + name);
  for (std::size_t k = frame_header; k < bytes.size(); ++k) {
    if (bytes[k] == filler(number, k)) continue;
    faults_.push_back("altered: " + name);
    break;
  }
  if (!seen_[i].emplace(source, number).second) faults_.push_back("twice: " + name);
  received_[i].push_back({source, number, now_});
}

// ---- underlay

void network::after_input(std::size_t i) {
  carry_out(i);
  while (nodes_[i] && nodes_[i]->may_work(now_)) {
    nodes_[i]->work(clock(i), out_);
    nodes_[i]->spent(handshake_cost, now_);
    carry_out(i);
  }
}

void network::keep_state(std::size_t i) {
  if (setup_.keeps_state && nodes_[i] && nodes_[i]->keep_due() <= now_) save(i, nodes_[i]->state());
}

void network::save(std::size_t i, const core::saved_state& state) {
  const auto write = copies_[i]->format(state);
  files_[i].resize(core::state_copies::file_size);
  std::copy(write.bytes.begin(), write.bytes.end(), files_[i].begin() + static_cast<std::ptrdiff_t>(write.offset));
  copies_[i]->written();
  nodes_[i]->kept(true, now_);
  saved_[i].push_back(now_);
}

void network::carry_out(std::size_t i) {
  keep_state(i);
  for (const auto& frame : out_.frames()) {
    std::vector<std::uint8_t> bytes;
    for (const bytes_view slice : frame.slices) bytes.insert(bytes.end(), slice.begin(), slice.end());
    if (lan_tapped) lan_tapped(i, bytes);
    receive_frame(i, bytes);
    put_on_lan(i, bytes);
  }
  for (const auto& notice : out_.notices()) notices_[i].push_back(notice);
  for (const auto& train : out_.trains()) {
    for (std::size_t at = 0; at < train.bytes.size(); at += train.stride) {
      transmit(i, train.peer, train.to, train.bytes.subspan(at, std::min(train.stride, train.bytes.size() - at)));
    }
  }
  out_.clear();
}

void network::transmit(std::size_t i, core::peer_id peer, const endpoint& to, bytes_view bytes) {
  // The sender's own interface is too narrow: it does not leave, and the sender is told.
  if (bytes.size() + 28 > link.path_mtu) {
    if (!nodes_[i]->on_too_large(peer, bytes.size())) ++refused_;
    return;
  }
  ++sent_;
  ++sent_by_[i];
  const datagram d{i, addresses_[i], to, {bytes.begin(), bytes.end()}};
  if (tapped) tapped(d);
  if (cut && cut(d)) return;
  if (held) return waiting_.push_back(d);
  travel(d);
}

void network::travel(const datagram& d) {
  if (link.loss > 0 && fraction() < link.loss) return;
  const int copies = link.duplicates > 0 && fraction() < link.duplicates ? 2 : 1;
  for (int k = 0; k < copies; ++k) {
    const auto late = static_cast<duration::rep>(fraction() * static_cast<double>(link.jitter.count()));
    travelling_.emplace(std::pair{now_ + link.delay + duration(late), events_++}, d);
  }
}

void network::arrive(const datagram& d) { inject(d.to, d.from, d.bytes); }

void network::inject(const endpoint& to, const endpoint& from, bytes_view bytes) {
  const auto found = std::find(addresses_.begin(), addresses_.end(), to);
  if (found == addresses_.end()) return;
  const auto i = static_cast<std::size_t>(found - addresses_.begin());
  if (!nodes_[i]) return;
  std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
  nodes_[i]->on_datagrams({copy, copy.size()}, from, now_, out_);
  after_input(i);
}

void network::deliver_waiting(std::size_t at) {
  const datagram d = waiting_.at(at);
  lose_waiting(at);
  arrive(d);
}

void network::lose_waiting(std::size_t at) { waiting_.erase(waiting_.begin() + static_cast<std::ptrdiff_t>(at)); }

void network::release() {
  held = false;
  for (const datagram& d : waiting_) travel(d);
  waiting_.clear();
}

// ---- time

time_point network::due(std::size_t i) const noexcept {
  const time_point timer = nodes_[i]->next_timer();
  return setup_.keeps_state ? std::min(timer, nodes_[i]->keep_due()) : timer;
}

void network::step(time_point to) {
  time_point next = to;
  std::size_t who = nobody;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!nodes_[i] || due(i) > next) continue;
    if (who == nobody || due(i) < next) {
      next = std::max(now_, due(i));
      who = i;
    }
  }
  if (!on_lan_.empty()) {
    const auto& first = on_lan_.begin()->first;
    if (first.first <= next && (travelling_.empty() || first < travelling_.begin()->first)) {
      const auto frame = on_lan_.extract(on_lan_.begin());
      now_ = frame.key().first;
      return arrive_from_lan(frame.mapped().to, frame.mapped().bytes);
    }
  }
  if (!travelling_.empty() && travelling_.begin()->first.first <= next) {
    const auto first = travelling_.extract(travelling_.begin());
    now_ = first.key().first;
    return arrive(first.mapped());
  }
  now_ = next;
  if (who == nobody) return;
  nodes_[who]->on_timer(clock(who), out_);
  after_input(who);
  // A timer may cause another at once (a keepalive that asks for a rekey), but not for ever.
  turns_ = now_ == turns_at_ ? turns_ + 1 : 0;
  turns_at_ = now_;
  if (turns_ > 4 * nodes_.size()) throw std::logic_error("a timer that does not move");
}

void network::run_until(time_point end) {
  const auto comes = [end](const auto& events) { return !events.empty() && events.begin()->first.first <= end; };
  while (now_ < end || comes(travelling_) || comes(on_lan_)) step(end);
}

bool network::run_while_not(const std::function<bool()>& condition, duration at_most) {
  const time_point end = now_ + at_most;
  while (!condition()) {
    if (now_ >= end) return false;
    step(end);
  }
  return true;
}

// ---- questions

core::peer_id network::peer_of(std::size_t i, std::size_t j) const noexcept {
  return {static_cast<std::uint16_t>(j < i ? j : j - 1)};
}

wire::mac_address network::mac(std::size_t i) const noexcept {
  return {{2, 0, 0, 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)}};
}

instant network::clock(std::size_t i) const noexcept {
  return {now_, wall_start + now_.time_since_epoch() + clock_offsets_[i]};
}

const core::lane::link& network::link_of(std::size_t i, std::size_t j) const {
  return nodes_[i]->data_plane().of(peer_of(i, j));
}

const core::session* network::sending(std::size_t i, std::size_t j) const {
  if (!nodes_[i] || !nodes_[i]->data_plane().can_send(peer_of(i, j), now_)) return nullptr;
  return nodes_[i]->data_plane().find(link_of(i, j).sending);
}

bool network::agree(std::size_t i, std::size_t j) const {
  const core::session* ours = sending(i, j);
  const core::session* theirs = sending(j, i);
  return ours != nullptr && theirs != nullptr && ours->who().remote == theirs->who().local.value &&
         theirs->who().remote == ours->who().local.value;
}

bool network::usable(std::size_t i, std::size_t j) const {
  const auto opens = [this](std::size_t a, std::size_t b) {
    const core::session* s = sending(a, b);
    return s != nullptr && nodes_[b]->data_plane().find(core::session_id{s->who().remote}) != nullptr;
  };
  return nodes_[i] && nodes_[j] && opens(i, j) && opens(j, i);
}

bool network::all_agree() const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    for (std::size_t j = i + 1; j < nodes_.size(); ++j) {
      if (!agree(i, j)) return false;
    }
  }
  return true;
}

bool network::has(std::size_t at, std::size_t source, std::uint32_t number) const {
  return seen_[at].count({source, number}) != 0;
}

std::string describe(const network& net, std::uint64_t seed) {
  std::string text = "seed " + std::to_string(seed);
  for (std::size_t k = 0; k < std::min<std::size_t>(net.faults().size(), 5); ++k) text += "; " + net.faults()[k];
  return text;
}

std::size_t rounds(std::size_t usual, std::size_t many) {
  return std::getenv("LANLOOM_LONG") != nullptr ? many : usual;
}

}  // namespace lanloom::sim
