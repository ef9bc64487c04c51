// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/lane.hpp>

#include <lanloom/core/sealing.hpp>
#include <lanloom/crypto/random.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>

namespace lanloom::core {

namespace {
// previous, current, next and one being added; the others are for handshakes under way.
constexpr std::size_t places_per_peer = 16;
static_assert(places_per_peer >= 4 + candidates::most + 1);
}  // namespace

struct lane::addressed {
  peer_id peer;
  session_id session;
  std::uint64_t counter;
  const endpoint& from;
};

lane::lane(std::size_t peers, std::uint16_t mtu, std::vector<wire::mac_address> own, crypto::random& source)
    : max_frame_(mtu + wire::frame_allowance),
      own_(std::move(own)),
      links_(peers),
      places_(std::bit_ceil(std::max<std::size_t>(peers, 1) * places_per_peer)),
      fdb_(source),
      reassembly_(max_frame_),
      scratch_(frame_headroom + max_frame_),
      staging_(peers) {
  events_.reserve(max_events);
  for (std::size_t i = 0; i < peers; ++i) {
    links_[i].path = path_pings(static_cast<duration::rep>(i) * duration(ping_stagger));
  }
  std::sort(own_.begin(), own_.end());
}

// ---- out: TAP to underlay

[[gnu::hot]] void lane::on_frame(const super_frame& frame, bool more, time_point now, outbox& out) noexcept {
  tap_.tx_frames += 1;
  tap_.tx_bytes += frame.bytes.size();
  draining_ = more;
  drops_.count(switch_frame(frame, now, out));
  if (!more) end_drain(now, out);
}

[[gnu::hot]] void lane::end_drain(time_point now, outbox& out) noexcept {
  draining_ = false;
  for (packs::pack& one : packs_.all()) {
    if (one.frames > 0) send_pack(one, now, out);
  }
}

[[gnu::hot]] drop lane::switch_frame(const super_frame& frame, time_point now, outbox& out) noexcept {
  // It may complete a checksum, and whoever sent the frame says where that lies: what looks at the frame comes behind.
  outgoing parsed;
  const drop refused = parse_outgoing(frame, max_frame_, parsed);
  const auto header = wire::parse_ethernet(frame.bytes);
  if (!header) return drop::short_frame;
  if (const auto end = guard_stops_leaving(frame.bytes, now)) return *end;
  if (const auto to = own_datagrams_.destination(frame.bytes); to && is_to_peer(*to, now))
    return drop::self_encapsulated;
  if (refused != drop::none) return refused;
  if (header->source.is_group() || header->source.is_zero()) return drop::bad_source;
  fdb_.learn(header->source, header->vlan, local_port, now);

  if (!header->destination.is_group()) {
    if (const auto where = fdb_.lookup(header->destination, header->vlan, now)) {
      if (!where->peer) return drop::local_destination;
      return send_frame(*where->peer, parsed, true, now, out);
    }
  }
  if (guard_ && !guard_->storms().may_leave(header->destination, now, parsed.packets())) return drop::storm_limited;
  parsed.flooded = links_.size() > 1;
  for (std::size_t i = 0; i < links_.size(); ++i) {
    drops_.count(send_frame(peer_id{static_cast<std::uint16_t>(i)}, parsed, false, now, out));
  }
  return drop::none;
}

// Whether a peer is there, or may be.
bool lane::is_to_peer(const endpoint& to, time_point now) noexcept {
  const auto is_there = [&](const link& l) { return l.remote == to || l.elsewhere.has(to); };
  const auto found = std::find_if(links_.begin(), links_.end(), is_there);
  if (found == links_.end()) return false;
  const peer_id peer{static_cast<std::uint16_t>(found - links_.begin())};
  // While the peer answers these are copies: of a bridge that floods what it sends to an uplink as well.
  const bool often = encapsulated_ && now - *encapsulated_ < encapsulated_pace;
  if (!often && !can_send(peer, now) && report({event::kind::encapsulated, peer, {}, to, 0, {}})) encapsulated_ = now;
  return true;
}

[[gnu::hot]] drop lane::send_frame(peer_id peer, outgoing& frame, bool may_wait, time_point now, outbox& out) noexcept {
  link& to = links_[peer.value];
  session* under = find_mutable(to.sending);
  const std::size_t room = under == nullptr ? 0 : to.path.room();
  if (under == nullptr || !under->can_send(now, sealing::datagrams_of(frame, room))) {
    want(peer);
    if (!may_wait) return drop::no_session;
    drops_.count(drop::staging_full, staging_.push(peer, {frame.bytes, frame.meta}));
    return drop::none;
  }
  const bool small = frame.is == outgoing::shape::whole && frame.bytes.size() <= packs::small_frame;
  if (draining_ && small) {
    pack_frame(peer, frame.bytes, room, now, out);
  } else {
    if (packs::pack* before = packs_.find(peer)) send_pack(*before, now, out);
    sealing to_peer(*under, *to.remote, room, out, bytes_span(scratch_).subspan(frame_headroom));
    if (const drop lost = to_peer.seal(frame); lost != drop::none) return lost;
  }
  to.counters.tx_frames += 1;
  to.counters.tx_bytes += frame.bytes.size();
  note_data(to, frame.bytes.size(), now);
  after_sending(to, *under, peer, true, now);
  return drop::none;
}

void lane::pack_frame(peer_id peer, bytes_view frame, std::size_t room, time_point now, outbox& out) noexcept {
  packs::pack* pack = packs_.find(peer);
  if (pack != nullptr && pack->add(frame, room)) return;
  packs::pack& fresh = pack != nullptr ? *pack : packs_.next();
  if (fresh.frames > 0) send_pack(fresh, now, out);
  packs_.open(fresh, peer);
  [[maybe_unused]] const bool fits = fresh.add(frame, room);
  assert(fits);  // every path carries a small frame
}

[[gnu::hot]] void lane::send_pack(packs::pack& pack, time_point now, outbox& out) noexcept {
  const std::size_t frames = pack.frames;
  pack.close();
  link& to = links_[pack.peer.value];
  session* under = find_mutable(to.sending);
  // The session was there when the first frame came; a drain is short, but its key may have been the last of it.
  if (under == nullptr || !under->can_send(now)) return drops_.count(drop::no_session, frames);
  const std::size_t size = pack.used + wire::data_overhead;
  const bytes_span sealed = out.room(size);
  if (sealed.empty()) return drops_.count(drop::outbox_full, frames);
  under->seal(1, sealed, size, [&](std::size_t) noexcept { return pack.record(); });
  out.push_train(*to.remote, pack.peer, size, size);
  note_data(to, pack.used, now);
}

[[gnu::hot]] void lane::after_sending(link& to, const session& under, peer_id peer, bool is_payload,
                                      time_point now) noexcept {
  to.last_sent = now;
  to.owed_since.reset();
  if (is_payload && !to.unanswered_since) {
    to.unanswered_since = now;
    wake_at(now + dead_peer);
  }
  if (under.wants_rekey(now)) want(peer);
}

bool lane::send_record(peer_id peer, const endpoint& to, bytes_view record, time_point now, outbox& out) noexcept {
  link& l = links_[peer.value];
  session* under = find_mutable(l.sending);
  if (under == nullptr || !under->can_send(now, 1, record.size())) return false;
  const std::size_t size = record.size() + wire::data_overhead;
  const bytes_span sealed = out.room(size);
  if (sealed.empty()) {
    drops_.count(drop::outbox_full);
    return false;
  }
  under->seal(1, sealed, size, [&](std::size_t) noexcept { return record; });
  out.push_train(to, peer, size, size);
  // What goes to an address that is only being tried keeps nothing alive.
  if (to == l.remote) {
    after_sending(l, *under, peer, false, now);
  } else if (under->wants_rekey(now)) {
    want(peer);
  }
  return true;
}

bool lane::send_staged(peer_id peer, time_point now, outbox& out) noexcept {
  if (staging_.empty(peer)) return false;
  for (staging::waiting& waited : staging_.take(peer)) {
    outgoing parsed;
    drop lost = parse_outgoing({bytes_span(waited.bytes).subspan(frame_headroom), waited.meta}, max_frame_, parsed);
    if (lost == drop::none) lost = send_frame(peer, parsed, false, now, out);
    drops_.count(lost);
  }
  return true;
}

// ---- in: underlay to TAP

[[gnu::hot]] void lane::on_datagrams(std::span<const received> batch, time_point now, outbox& out) noexcept {
  for (const received& one : batch) {
    bytes_span rest = one.train.bytes;
    do {
      const bytes_span datagram = rest.first(std::min(one.train.stride, rest.size()));
      rest = rest.subspan(datagram.size());
      drops_.count(on_datagram(datagram, one.from, now, out));
    } while (!rest.empty());
  }
  deliver_runs(now, out);
}

[[gnu::hot]] drop lane::on_datagram(bytes_span datagram, const endpoint& from, time_point now, outbox& out) noexcept {
  const auto type = wire::classify(datagram);
  if (!type) return drop::malformed;
  if (*type != wire::message_type::data) {
    const bool taken = report({event::kind::handshake, {}, {}, from, 0, datagram});
    return taken ? drop::none : drop::handshake_queue_full;
  }

  const wire::data_view data = wire::parse_data(datagram);
  session* under = find_mutable(session_id{data.receiver_index});
  if (under == nullptr) return drop::unknown_index;
  const bool newest = under->is_newest(data.counter);
  if (const drop refused = under->open(data, now); refused != drop::none) return refused;

  const addressed source{under->who().peer, under->who().local, data.counter, from};
  link& l = links_[source.peer.value];
  l.last_received = now;
  l.unanswered_since.reset();
  if (!under->confirmed()) {
    if (report({event::kind::confirmed, source.peer, source.session, from, 0, {}})) under->confirm();
  } else if (newest) {
    // Where the other end still sends under another session long after ours began, two handshakes crossed so that each
    // end prefers its own. A third, begun by one end only, settles it.
    const session* ours = source.session == l.sending ? nullptr : find(l.sending);
    const bool apart = ours != nullptr && ours->age(now) >= settle_after;
    l.theirs = apart ? source.session : session_id{};
    if (apart && l.settles) want(source.peer);
  }
  if (newest && l.remote == from) l.remote->own = from.own;
  if (newest && l.remote && *l.remote != from && (!l.probed || now - *l.probed >= std::chrono::seconds{1})) {
    if (report({event::kind::moved, source.peer, source.session, from, 0, {}})) l.probed = now;
  }
  const bool aged = under->who().initiator && under->age(now) >= session::rekey_receiving_after;
  if (aged && source.session == l.sending) want(source.peer);
  return on_record(source, data.sealed.first(data.sealed.size() - wire::tag_size), now, out);
}

[[gnu::hot]] drop lane::on_record(const addressed& from, bytes_view plain, time_point now, outbox& out) noexcept {
  wire::record record = wire::parse_record(plain);
  link& l = links_[from.peer.value];
  const auto* segment = std::get_if<wire::train_view>(&record);
  const bool is_payload = segment != nullptr || std::holds_alternative<wire::frames_view>(record) ||
                          std::holds_alternative<wire::fragment_view>(record);
  if (is_payload && !l.owed_since) {
    l.owed_since = now;
    wake_at(now + passive_keepalive);
  }
  if (segment != nullptr) return on_segment(from, *segment, now, out);
  deliver_runs(now, out);  // what came before stays before
  if (auto* frames = std::get_if<wire::frames_view>(&record)) {
    while (const auto frame = frames->next()) drops_.count(deliver(from.peer, *frame, now, out));
    return frames->failed() ? drop::bad_record : drop::none;
  }
  if (const auto* fragment = std::get_if<wire::fragment_view>(&record)) return on_fragment(from, *fragment, now, out);
  if (const auto* ping = std::get_if<wire::ping>(&record)) {
    std::array<std::uint8_t, wire::pong_size> answer{};
    wire::format_pong(answer, ping->token, ping->size);
    // To where the ping came from: that is the address whose reach is asked about.
    static_cast<void>(send_record(from.peer, from.from, answer, now, out));
    return drop::none;
  }
  if (const auto* pong = std::get_if<wire::pong>(&record)) {
    if (l.path.on_pong(pong->token, pong->size, now)) {
      wake_at(l.path.due());
      return drop::none;
    }
    static_cast<void>(report({event::kind::pong, from.peer, from.session, from.from, pong->token, {}}));
    return drop::none;
  }
  if (std::holds_alternative<wire::bye>(record)) {
    static_cast<void>(report({event::kind::bye, from.peer, from.session, from.from, 0, {}}));
    return drop::none;
  }
  if (std::holds_alternative<wire::forget>(record)) {
    if (!l.forgets.take(forget_rate, now)) return drop::storm_limited;
    // Our LAN may be the one that was joined or parted; without a guard it has no way to others but us.
    guard_ ? fdb_.forget_all() : fdb_.forget_peers();
    return drop::none;
  }
  if (std::holds_alternative<wire::unknown_control>(record)) return drop::unknown_control;
  return std::holds_alternative<wire::keepalive>(record) ? drop::none : drop::bad_record;
}

drop lane::on_segment(const addressed& from, const wire::train_view& segment, time_point now, outbox& out) noexcept {
  if (segment.index > from.counter) return drop::bad_record;
  // Runs are put in the order of counters: what came under the session before this one stays before.
  session_id& brings = links_[from.peer.value].brings;
  if (runs_.full() || brings != from.session) deliver_runs(now, out);
  brings = from.session;
  const wire::packet* known = runs_.known(segment);
  const auto packet = known != nullptr ? std::optional(*known) : wire::examine_headers(segment);
  if (!packet) return drop::bad_record;
  const auto size = wire::segment_size(segment, *packet);
  if (!size) return drop::bad_record;
  if (segment.headers.size() + *size > max_frame_) return drop::long_frame;
  runs_.push({from.session, from.peer, from.counter, segment, *packet, *size});
  return drop::none;
}

[[gnu::hot]] void lane::deliver_runs(time_point now, outbox& out) noexcept {
  if (runs_.empty()) return;
  runs_.take_all([&](runs::run run) noexcept { drops_.count(deliver_run(run, now, out), run.size()); });
}

drop lane::deliver_run(runs::run run, time_point now, outbox& out) noexcept {
  const auto header = wire::parse_ethernet(run.front().view.headers);
  if (const drop refused = check_arrived(header); refused != drop::none) return refused;
  if (const auto end = guard_stops_entering(run.front().peer, run.front().view.headers, *header, run.size(), now))
    return *end;
  if (const drop lost = write_run(run, tap_offloads_, out); lost != drop::none) return lost;
  const std::size_t frames = runs::frames_of(run);
  std::size_t bytes = frames * run.front().view.headers.size();
  for (const runs::segment& one : run) bytes += one.view.payload.size();
  delivered(run.front().peer, *header, frames, bytes, now);
  return drop::none;
}

drop lane::on_fragment(const addressed& from, const wire::fragment_view& fragment, time_point now,
                       outbox& out) noexcept {
  if (fragment.index > from.counter) return drop::bad_record;
  const bytes_view whole =
      reassembly_.add(from.session, from.counter, fragment.index, fragment.count, fragment.slice, now, drops_);
  if (whole.empty()) return drop::none;
  // The whole frame is borrowed only until the next slice; the outbox keeps it until it is written.
  if (out.room(whole.size()).empty()) return drop::outbox_full;
  const bytes_span kept = out.keep(whole.size());
  std::copy(whole.begin(), whole.end(), kept.begin());
  return deliver(from.peer, kept, now, out);
}

[[gnu::hot]] drop lane::deliver(peer_id peer, bytes_view frame, time_point now, outbox& out) noexcept {
  const auto header = wire::parse_ethernet(frame);
  if (const drop refused = check_arrived(header); refused != drop::none) return refused;
  if (frame.size() > max_frame_) return drop::long_frame;
  if (const auto end = guard_stops_entering(peer, frame, *header, 1, now)) return *end;
  if (!out.push_frame({}, std::array{frame})) return drop::outbox_full;
  delivered(peer, *header, 1, frame.size(), now);
  return drop::none;
}

[[gnu::hot]] drop lane::check_arrived(const std::optional<wire::ethernet_header>& header) const noexcept {
  if (!header) return drop::short_frame;
  if (header->source.is_group() || header->source.is_zero()) return drop::bad_source;
  if (std::binary_search(own_.begin(), own_.end(), header->source)) return drop::own_source;
  if (wire::is_pause(header->destination)) return drop::reserved_destination;
  return drop::none;
}

[[gnu::hot]] void lane::delivered(peer_id peer, const wire::ethernet_header& header, std::size_t frames,
                                  std::size_t bytes, time_point now) noexcept {
  fdb_.learn(header.source, header.vlan, port{peer}, now);
  traffic& counters = links_[peer.value].counters;
  counters.rx_frames += frames;
  counters.rx_bytes += bytes;
  tap_.rx_frames += frames;
  tap_.rx_bytes += bytes;
}

// ---- the guard, where there is one

[[gnu::hot]] std::optional<drop> lane::guard_stops_leaving(bytes_view frame, time_point now) noexcept {
  if (!guard_) return std::nullopt;
  return guard_->stops_leaving(frame, now);
}

[[gnu::hot]] std::optional<drop> lane::guard_stops_entering(peer_id peer, bytes_view frame,
                                                            const wire::ethernet_header& header, std::size_t packets,
                                                            time_point now) noexcept {
  if (!guard_) return std::nullopt;
  if (const auto end = guard_->stops_entering(peer, frame, now)) return end;
  if (!header.destination.is_group()) {
    const auto where = fdb_.lookup(header.destination, header.vlan, now);
    if (where && !where->peer) return std::nullopt;
  }
  if (!guard_->storms().may_enter(peer, header.destination, now, packets)) return drop::storm_limited;
  return std::nullopt;
}

void lane::forget_ways() noexcept {
  fdb_.forget_all();
  // What waits for a session was addressed by what is void now, and must not slip out past the guard.
  for (std::size_t i = 0; i < links_.size(); ++i) {
    drops_.count(drop::blocked, staging_.discard(peer_id{static_cast<std::uint16_t>(i)}));
  }
}

void lane::on_timer(time_point now, outbox& out) noexcept {
  reassembly_.expire(now, drops_);
  if (!guard_) return;
  if (!guard_->on_timer(now)) return;
  if (out.room(wire::probe_size).empty()) return drops_.count(drop::outbox_full);
  const bytes_span frame = out.keep(wire::probe_size);
  guard_->format_probe(std::span<std::uint8_t, wire::probe_size>(frame.data(), wire::probe_size), now);
  if (!out.push_frame({}, std::array{bytes_view(frame)})) drops_.count(drop::outbox_full);
}

[[gnu::hot]] time_point lane::wake() const noexcept {
  const time_point due = std::min(wake_, reassembly_.expires_at());
  return guard_ ? std::min(due, guard_->loops().due()) : due;
}

// ---- sessions

session_id lane::reserve(peer_id peer, crypto::random& source) noexcept {
  const auto free = [](const place& p) { return !p.id; };
  const auto found = std::find_if(places_.begin(), places_.end(), free);
  assert(found != places_.end());  // see places_per_peer
  const auto mask = static_cast<std::uint32_t>(places_.size() - 1);
  const auto at = static_cast<std::uint32_t>(found - places_.begin());
  std::uint32_t value = 0;
  while (value == 0) value = (source.u32() & ~mask) | at;
  *found = {session_id{value}, peer, nullptr};
  return found->id;
}

void lane::release(session_id id) noexcept {
  place& p = places_[id.value & (places_.size() - 1)];
  if (!id || p.id != id) return;
  if (links_[p.peer.value].sending == id) links_[p.peer.value].sending = {};
  reassembly_.forget(id, drops_);
  p = {};
}

void lane::install(std::unique_ptr<session> made) noexcept {
  place& p = places_[made->who().local.value & (places_.size() - 1)];
  assert(p.id == made->who().local && p.peer == made->who().peer);
  p.installed = std::move(made);
}

void lane::set_remote(peer_id peer, const endpoint& remote) noexcept {
  link& l = links_[peer.value];
  if (l.remote != remote) l.path.begin(remote, max_frame_ + wire::train_header_size);
  l.remote = remote;
}

void lane::forget_own_address(peer_id peer) noexcept {
  if (auto& remote = links_[peer.value].remote) remote->own = {};
}

void lane::set_sending(peer_id peer, session_id id) noexcept { links_[peer.value].sending = id; }

[[gnu::hot]] const session* lane::find(session_id id) const noexcept {
  const place& p = places_[id.value & (places_.size() - 1)];
  return id && p.id == id ? p.installed.get() : nullptr;
}

[[gnu::hot]] session* lane::find_mutable(session_id id) noexcept {
  const place& p = places_[id.value & (places_.size() - 1)];
  return id && p.id == id ? p.installed.get() : nullptr;
}

std::optional<peer_id> lane::owner(session_id id) const noexcept {
  const place& p = places_[id.value & (places_.size() - 1)];
  if (!id || p.id != id) return std::nullopt;
  return p.peer;
}

bool lane::can_send(peer_id peer, time_point now) const noexcept {
  const session* under = find(links_[peer.value].sending);
  return under != nullptr && under->can_send(now, wire::max_fragments);
}

// ---- events

void lane::want(peer_id peer) noexcept {
  link& l = links_[peer.value];
  if (!l.wanted) l.wanted = report({event::kind::wanted, peer, {}, {}, 0, {}});
}

bool lane::report(const event& e) noexcept {
  if (events_.size() == max_events) return false;
  events_.push_back(e);
  return true;
}

void lane::clear_events() noexcept {
  for (const event& e : events_) {
    if (e.what == event::kind::wanted) links_[e.peer.value].wanted = false;
  }
  events_.clear();
}

}  // namespace lanloom::core
