// SPDX-License-Identifier: Apache-2.0
// frame_fuzz.cpp - what a hostile program, container or machine on the bridge gives to the TAP, on its way to one or
// two peers whose paths carry as much as the input says.
//
// The input is a head (see setting) and a list of frames: what the kernel says of each (see described), its first
// bytes, and how much of the same follows. Whatever comes: no datagram is larger than its path, every frame is sent or
// counted as one drop, no datagram to a peer and no probe goes inside, nothing while the guard blocks; what was sent
// opens at the peer, who drops none of it and writes what the kernel could accept; and that is the frame, once the
// checksum is done that the kernel left, or what the kernel had made of it by cutting it.
#include <lanloom/core/lane.hpp>
#include <lanloom/crypto/random.hpp>
#include <lanloom/wire/checksum.hpp>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

using namespace lanloom;
using namespace lanloom::core;

namespace {

using bytes = std::vector<std::uint8_t>;

constexpr std::uint16_t our_port = 4780;
constexpr std::size_t most_frames = 24;  // fewer than wait for a session
constexpr std::size_t most_bytes = 128 * 1024;
constexpr std::size_t largest_frame = 65557;
constexpr time_point begun{std::chrono::hours(1)};
constexpr std::array<std::uint8_t, 16> network{'n', 'e', 't'};
static_assert(most_frames <= staging::max_frames_per_peer && 2 * most_bytes <= staging::max_bytes_per_peer);

void require(bool holds) {
  if (!holds) std::abort();
}

// Of the input, and zeros behind its end.
struct reader {
  bytes_view rest;
  [[nodiscard]] bool more() const { return !rest.empty(); }
  std::uint8_t next() {
    const bytes_view taken = take(1);
    return taken.empty() ? std::uint8_t{0} : taken[0];
  }
  std::uint16_t next16() {
    const unsigned low = next();
    return static_cast<std::uint16_t>(low | unsigned{next()} << 8U);
  }
  bytes_view take(std::size_t most) {
    const bytes_view taken = rest.first(std::min(most, rest.size()));
    rest = rest.subspan(taken.size());
    return taken;
  }
};

struct setting {
  explicit setting(reader& input) {
    const std::uint8_t how = input.next();
    peers = (how & 1) != 0 ? 2 : 1;
    is_v6 = (how & 2) != 0;
    guarded = (how & 4) != 0;
    blocked = (how & 8) != 0;  // if guarded: the first second has not passed
    late = (how & 16) != 0;    // the session comes when all frames have
    const std::uint8_t taken = input.next();
    tap = {(taken & 1) != 0, (taken & 2) != 0, (taken & 4) != 0, (taken & 8) != 0};
    mtu = std::array<std::uint16_t, 4>{1500, 1280, 9000, 9216}[input.next() & 3U];
    path = std::clamp<std::uint16_t>(input.next16(), is_v6 ? 1280 : 576, 9500);
  }
  std::size_t peers;
  bool is_v6, guarded, blocked, late;
  tap_offloads tap;
  std::uint16_t mtu;
  std::size_t path;  // largest IP packet it carries
};

// As tap::read would give it: the bytes and what the virtio header says.
struct described {
  explicit described(reader& input) {
    const std::uint8_t how = input.next();
    more = (how & 1) != 0;
    meta.partial_checksum = (how & 2) != 0;
    meta.ecn = (how & 4) != 0;
    constexpr std::array kinds{gso_kind::none, gso_kind::tcp4, gso_kind::tcp6, gso_kind::udp};
    meta.gso = kinds[how >> 3U & 3U];
    meta.header_length = input.next();
    meta.segment_size = input.next16();
    meta.checksum_start = input.next();
    meta.checksum_offset = input.next();
    const std::size_t given = input.next();
    const std::size_t size = std::min<std::size_t>(input.next16(), largest_frame);
    const bytes_view head = input.take(given);
    frame.assign(head.begin(), head.end());
    frame.reserve(size);
    for (std::size_t k = frame.size(); k < size; ++k) frame.push_back(static_cast<std::uint8_t>(k * 7 + k / 256));
    if (meta.gso != gso_kind::none) {  // tap::read refuses other ones
      meta.partial_checksum = true;
      meta.segment_size = std::max<std::uint16_t>(meta.segment_size, 1);
    }
  }
  bytes frame;
  offload meta;
  bool more;
};

// ---- what is expected of the peer

// Nothing is left to the kernel but to cut it. Empty: there is no such checksum.
bytes finished(bytes frame, const offload& meta) {
  std::size_t start = meta.checksum_start;
  std::size_t offset = meta.checksum_offset;
  if (meta.gso != gso_kind::none) {
    const auto packet = wire::parse_packet(frame);
    if (!packet) return {};
    if (start != packet->transport || offset != packet->checksum_offset()) wire::store_pseudo_sum(frame, *packet);
    start = packet->transport;
    offset = packet->checksum_offset();
  }
  if (meta.partial_checksum && !wire::complete_checksum(frame, start, offset)) return {};
  return frame;
}

bool is_right(bytes frame, const wire::packet& of) {
  return of.stated == frame.size() - of.payload && wire::make_partial(frame, of);
}

// Whether it may not go in slices.
bool must_be_cut(const bytes& frame) {
  const auto packet = wire::parse_packet(frame);
  if (!packet || packet->payload > wire::max_train_headers) return false;
  return wire::may_be_cut(frame, *packet) && is_right(frame, *packet);
}

// But for the two ways to write a TCP or UDP checksum of zero.
bool same(const bytes& a, const bytes& b) {
  if (a == b) return true;
  const auto packet = wire::parse_packet(a);
  if (!packet || a.size() != b.size()) return false;
  const std::size_t field = packet->transport + packet->checksum_offset();
  const auto is_zero = [&](const bytes& f) { return load_be16(&f[field]) == 0 || load_be16(&f[field]) == 0xffff; };
  bytes copy = b;
  store_be16(&copy[field], load_be16(&a[field]));
  return a == copy && is_zero(a) && is_zero(b);
}

// A frame that was sent, finished, and how much of it the peer has written.
struct sent {
  bytes frame;
  bool may_be_cut;
  std::size_t segment_size;
  std::size_t arrived = 0;  // bytes of payload, where it comes in pieces
};

// Part of what was sent, as the kernel would have cut it, or several such parts in one.
void check_piece(const bytes& piece, const offload& meta, sent& of) {
  const auto whole = wire::parse_packet(of.frame);
  const auto part = wire::parse_packet(piece);
  require(of.may_be_cut && whole && part && piece.size() < of.frame.size());
  require(part->payload == whole->payload && part->is_tcp == whole->is_tcp && part->is_v4 == whole->is_v4);
  const std::size_t size = piece.size() - part->payload;
  require(size > 0 && part->stated == size);
  require((meta.gso == gso_kind::none ? size : meta.segment_size) <= of.segment_size);
  require(std::equal(piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(part->ip), of.frame.begin()));
  require(std::equal(piece.begin() + static_cast<std::ptrdiff_t>(part->payload), piece.end(),
                     of.frame.begin() + static_cast<std::ptrdiff_t>(whole->payload + of.arrived)));
  if (part->is_tcp) {
    const std::uint32_t number = load_be32(&piece[part->transport + 4]) - load_be32(&of.frame[whole->transport + 4]);
    require(number == of.arrived);
  }
  if (part->is_v4) {
    require(wire::ones_complement_sum(bytes_view(piece).subspan(part->ip, part->transport - part->ip)) == 0xffff);
  }
  if (is_right(of.frame, *whole)) require(is_right(piece, *part));
  of.arrived += size;
}

// What the kernel could accept.
void check_written(const outbox::frame& f, const setting& s) {
  const std::size_t size = std::accumulate(f.slices.begin(), f.slices.end(), std::size_t{0},
                                           [](std::size_t sum, bytes_view one) { return sum + one.size(); });
  const std::size_t most = s.mtu + wire::frame_allowance;
  require(size >= wire::min_frame_size && s.tap.takes(f.meta.gso));
  if (!f.meta.partial_checksum) require(f.meta == offload{});
  require(s.tap.checksum || !f.meta.partial_checksum);
  if (f.meta.gso == gso_kind::none) return require(size <= most);
  require(f.meta.header_length == f.slices[0].size() && size <= 65535 + wire::frame_allowance);
  require(f.meta.segment_size > 0 && f.meta.header_length + f.meta.segment_size <= most);
  require(size - f.meta.header_length > f.meta.segment_size);
}

// ---- the two sides

crypto::aead_key key(std::uint8_t fill) {
  crypto::secret<32> k;
  k.writable()[0] = fill;
  return {crypto::suite::chacha20_poly1305, k};
}

void install(lane& l, peer_id peer, session_id own, session_id other, bool initiator) {
  const std::uint8_t turn = initiator ? 1 : 2;
  const session::identity who{peer, own, other.value, initiator, 1500, begun};
  l.install(std::make_unique<session>(who, key(turn), key(static_cast<std::uint8_t>(3 - turn))));
  l.set_sending(peer, own);
}

endpoint address(bool is_v6, std::size_t i) {
  const auto last = static_cast<std::uint8_t>(i);
  endpoint e = endpoint::v4({192, 0, 2, last}, our_port);
  if (is_v6) e.address = {0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last};
  return e;
}

wire::mac_address mac(std::size_t i) { return {{2, 0, 0, 0, 0, static_cast<std::uint8_t>(0xa + i)}}; }

bytes hello(std::size_t i) {
  bytes frame(frame_headroom + 600, 0);
  std::fill_n(&frame[frame_headroom], 6, std::uint8_t{0xff});
  std::copy_n(mac(i).bytes.begin(), 6, &frame[frame_headroom + 6]);
  return frame;
}

// A lane is large, so it is used again, and forgets what it knew.
struct kept_lane {
  kept_lane(std::size_t peers, std::uint16_t mtu) : l(peers, mtu, {}, source), sessions(peers) {}

  void forget() {
    out.clear();
    l.end_drain(begun, out);
    l.forget_ways();
    l.clear_events();
    l.set_guard(nullptr);
    for (session_id& id : sessions) l.release(std::exchange(id, {}));
    l.drops() = {};
    out.clear();
  }
  session_id reserve(peer_id peer) { return sessions[peer.value] = l.reserve(peer, source); }
  // Its path is not known.
  void call(peer_id peer, const endpoint& at) {
    l.set_remote(peer, {});
    l.set_remote(peer, at);
  }

  crypto::random source{1};
  lane l;
  outbox out;
  std::vector<session_id> sessions;
};

// The sender to `peers` of them, or (0) member number `i`.
kept_lane& lane_of(std::size_t peers, std::uint16_t mtu, std::size_t i) {
  static std::map<std::array<std::size_t, 3>, std::unique_ptr<kept_lane>> all;
  auto& one = all[{peers, mtu, i}];
  if (!one) one = std::make_unique<kept_lane>(std::max<std::size_t>(peers, 1), mtu);
  one->forget();
  return *one;
}

class member {
 public:
  member(const setting& s, std::size_t i)
      : id(i),
        at(address(s.is_v6, i + 1)),
        kept(lane_of(0, s.mtu, i)),
        l(kept.l),
        own(kept.reserve({})),
        out(kept.out) {
    l.set_tap_offloads(s.tap);
  }
  [[nodiscard]] peer_id as_peer() const { return {static_cast<std::uint16_t>(id)}; }

  // All of it must open, and say what a node may say. What it answers is in out.
  void arrive(const outbox::train& train, const endpoint& from, const setting& s) {
    // What a system call brings; one by one where several frames come together, so that none are joined.
    const std::size_t at_once = (s.late ? 1 : 512) * train.stride;
    for (std::size_t k = 0; k < train.bytes.size(); k += at_once) {
      out.clear();
      const bytes_view part = train.bytes.subspan(k, std::min(at_once, train.bytes.size() - k));
      bytes copy(part.begin(), part.end());
      const received one{from, {copy, std::min(train.stride, copy.size())}};
      l.on_datagrams(std::span(&one, 1), begun, out);
      for (const auto& f : out.frames()) take(f, s);
      l.clear_events();
    }
    // The sender need not know that a pause frame ends here.
    for (std::size_t k = 1; k < drop_reasons; ++k) {
      const auto reason = static_cast<drop>(k);
      require(l.drops()[reason] == 0 || (reason == drop::reserved_destination && pauses));
    }
  }

  // It must get this next.
  void expect(const described& d) {
    bytes whole = finished(d.frame, d.meta);
    require(!whole.empty());
    if (wire::is_pause(wire::parse_ethernet(whole)->destination)) {
      pauses = true;
      return;
    }
    const auto packet = wire::parse_packet(whole);
    const bool is_super = d.meta.gso != gso_kind::none;
    const bool is_cut = is_super && packet && packet->stated > d.meta.segment_size;
    const bool may_be_cut = is_cut || (packet && wire::may_be_cut(whole, *packet));
    expected.push_back({std::move(whole), may_be_cut, is_super ? d.meta.segment_size : std::size_t{65535}});
  }

  std::size_t id;
  endpoint at;
  kept_lane& kept;
  lane& l;
  session_id own;    // the session here
  session_id other;  // and at the sender
  outbox& out;
  std::deque<sent> expected;
  bool pauses = false;   // were sent
  bool in_part = false;  // the sender's outbox was too small: anything may be missing

 private:
  void take(const outbox::frame& f, const setting& s) {
    check_written(f, s);
    bytes whole;
    for (const bytes_view one : f.slices) whole.insert(whole.end(), one.begin(), one.end());
    whole = finished(std::move(whole), f.meta);
    require(!whole.empty());
    if (in_part) return;
    require(!expected.empty());
    sent& next = expected.front();
    if (whole.size() == next.frame.size()) {
      require(next.arrived == 0 && same(whole, next.frame));
      if (f.meta.gso == gso_kind::none && whole.size() > s.path) require(!must_be_cut(whole));
      return expected.pop_front();
    }
    check_piece(whole, f.meta, next);
    const auto packet = wire::parse_packet(next.frame);
    if (packet->payload + next.arrived == next.frame.size()) expected.pop_front();
  }
};

class sender {
 public:
  explicit sender(const setting& s) : s_(s), kept_(lane_of(s.peers, s.mtu, 0)), l_(kept_.l), out_(kept_.out) {
    l_.set_port(our_port);
    for (std::size_t i = 0; i < s.peers; ++i) {
      members_.push_back(std::make_unique<member>(s, i));
      member& m = *members_[i];
      m.other = kept_.reserve(m.as_peer());
      kept_.call(m.as_peer(), m.at);
      m.kept.call({}, own_);
      install(l_, m.as_peer(), m.other, m.own, true);
      install(m.l, {}, m.own, m.other, false);
      introduce(m);
    }
    for (auto& m : members_) measure(*m);
    if (s.guarded) set_guard();
    if (!s.late) return;
    for (auto& m : members_) l_.set_sending(m->as_peer(), {});
  }

  // False when the outbox was too small for it: a part may have been sent.
  [[nodiscard]] bool send(const described& d) {
    bytes buffer(frame_headroom + d.frame.size());  // exactly: the address sanitizer sees what is read behind it
    std::copy(d.frame.begin(), d.frame.end(), buffer.begin() + frame_headroom);
    const bool stopped = l_.loops() != nullptr && l_.loops()->blocks(now_);
    const counts before = count();
    l_.on_frame({bytes_span(buffer).subspan(frame_headroom), d.meta}, d.more, now_, out_);
    const counts after = count();
    const bool fits = l_.drops()[drop::outbox_full] == 0;

    std::array<bool, 2> gets{};
    for (std::size_t i = 0; i < s_.peers; ++i) gets[i] = after.sent[i] != before.sent[i];
    // What leaves is judged by what it is then.
    const bytes whole = finished(d.frame, d.meta);
    if (fits) check_counts(whole.empty() ? d.frame : whole, before, after, gets);
    if (stopped || is_probe(whole) || carries_itself(whole)) require(!gets[0] && !gets[1]);
    for (auto& m : members_) {
      if (gets[m->id]) m->expect(d);
      m->in_part = !fits;
    }
    deliver();
    return fits;
  }

  void end() {
    l_.end_drain(now_, out_);
    deliver();
    for (auto& m : members_) {
      l_.set_sending(m->as_peer(), m->other);
      const counts before = count();
      static_cast<void>(l_.send_staged(m->as_peer(), now_, out_));
      m->in_part = l_.drops()[drop::outbox_full] != 0;
      const std::uint64_t left = count().sent[m->id] - before.sent[m->id];
      require(m->in_part || (left == waiting_[m->id] && count().dropped == before.dropped));
      deliver();
      if (m->in_part) return;
      require(m->expected.empty());
    }
  }

 private:
  struct counts {
    std::array<std::uint64_t, 2> sent{};
    std::uint64_t dropped = 0;
  };

  // Each peer it is for gets it, or it is dropped once; or it waits, or was a probe and is heard.
  void check_counts(const bytes& frame, const counts& before, const counts& after, std::array<bool, 2>& gets) {
    const std::uint64_t dropped = after.dropped - before.dropped;
    std::uint64_t sent = 0;
    for (std::size_t i = 0; i < s_.peers; ++i) sent += after.sent[i] - before.sent[i];
    if (is_probe(frame)) return require(sent == 0 && dropped <= 1);

    const auto header = wire::parse_ethernet(frame);
    if (!header) return require(sent == 0 && dropped == 1);
    const auto where = l_.table().lookup(header->destination, header->vlan, now_);
    const bool floods = header->destination.is_group() || !where;
    if (sent + dropped == 0) {
      require(s_.late && !floods && where->peer);
      gets[where->peer->value] = true;
      ++waiting_[where->peer->value];
    } else {
      require(sent + dropped == (floods ? s_.peers : 1) || (sent == 0 && dropped == 1));
    }
  }

  [[nodiscard]] bool is_probe(bytes_view frame) const {
    const auto probe = wire::parse_probe(frame);
    return s_.guarded && probe && probe->network == network;
  }

  // A datagram from our port to a peer, as the kernel makes it.
  [[nodiscard]] bool carries_itself(bytes_view frame) const {
    const auto packet = wire::parse_packet(frame);
    if (!packet || packet->is_tcp || load_be16(&frame[packet->transport]) != our_port) return false;
    if (packet->transport - packet->ip != (packet->is_v4 ? 20U : 40U)) return false;
    endpoint to = endpoint::v4({}, load_be16(&frame[packet->transport + 2]));
    const std::size_t size = packet->is_v4 ? 4 : 16;
    std::copy_n(frame.begin() + static_cast<std::ptrdiff_t>(packet->transport - size), size, to.address.end() - size);
    return std::any_of(members_.begin(), members_.end(), [&](const auto& m) { return m->at == to; });
  }

  void deliver() {
    for (const auto& t : out_.trains()) {
      require(t.peer.value < s_.peers && std::min(t.stride, t.bytes.size()) + headers() <= s_.path);
      member& m = *members_[t.peer.value];
      require(t.to == m.at);
      m.arrive(t, own_, s_);
      require(m.out.trains().empty());
    }
    require(out_.frames().empty());
    out_.clear();
    l_.clear_events();
    if (s_.guarded) l_.clear_news();
  }

  // So that its address is known, and it the session.
  void introduce(member& m) {
    bytes frame = hello(m.id + 1);
    m.l.on_frame({bytes_span(frame).subspan(frame_headroom), {}}, false, begun, m.out);
    answer(m);
  }
  void answer(member& m) {
    static outbox unused;
    for (const auto& t : m.out.trains()) {
      bytes copy(t.bytes.begin(), t.bytes.end());
      const received one{m.at, {copy, t.stride}};
      l_.on_datagrams(std::span(&one, 1), now_, unused);
    }
    m.out.clear();
    l_.clear_events();
  }

  // Pings, of which the kernel refuses what is too large.
  void measure(member& m) {
    bytes frame = hello(0);
    l_.on_frame({bytes_span(frame).subspan(frame_headroom), {}}, false, now_, out_);
    if (s_.path < path_mtu::base) static_cast<void>(l_.on_too_large(m.as_peer(), path_mtu::base - headers()));
    for (out_.clear();; out_.clear()) {
      now_ += path_pings::pause;
      l_.ping_path(m.as_peer(), kept_.source, now_, out_);
      if (out_.trains().empty()) break;
      for (const auto& t : out_.trains()) {
        if (t.bytes.size() + headers() > s_.path) {
          static_cast<void>(l_.on_too_large(m.as_peer(), t.bytes.size()));
          continue;
        }
        m.arrive(t, own_, s_);
        answer(m);
      }
    }
    require(l_.of(m.as_peer()).path.mtu().size() <= s_.path);
  }
  [[nodiscard]] std::size_t headers() const { return s_.is_v6 ? 48 : 28; }

  void set_guard() {
    std::vector<crypto::public_key> keys(s_.peers);
    for (std::size_t i = 0; i < keys.size(); ++i) keys[i].bytes[0] = static_cast<std::uint8_t>(1 + 2 * i);
    crypto::public_key own;
    own.bytes[0] = 2;
    l_.set_guard(std::make_unique<guard>(network, own, keys, 1, now_));
    if (!s_.blocked) now_ += loop_guard::hold;
  }

  [[nodiscard]] counts count() const {
    counts all;
    for (const auto& m : members_) all.sent[m->id] = l_.of(m->as_peer()).counters.tx_frames;
    for (std::size_t k = 1; k < drop_reasons; ++k) all.dropped += l_.drops()[static_cast<drop>(k)];
    return all;
  }

  const setting& s_;
  time_point now_ = begun;
  endpoint own_ = address(s_.is_v6, 100);
  kept_lane& kept_;
  lane& l_;
  outbox& out_;
  std::vector<std::unique_ptr<member>> members_;
  std::array<std::uint64_t, 2> waiting_{};  // for the session of each
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
  crypto::initialise();
  reader rest{{input, size}};
  const setting s(rest);
  sender from(s);
  std::size_t all = 0;
  for (std::size_t k = 0; k < most_frames && rest.more(); ++k) {
    const described d(rest);
    all += d.frame.size();
    if (all > most_bytes || !from.send(d)) return 0;
  }
  from.end();
  return 0;
}
