// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/node.hpp>

#include <algorithm>
#include <cassert>

namespace lanloom::core {

node::node(node_config config, std::vector<peer_config> peers, crypto::random source, instant at)
    : random_(std::move(source)),
      network_(config.network, config.network_secret),
      self_{std::move(config.keys), config.suites, config.mtu, random_.u64(), config.engine},
      own_mac1_(network_.mac1_key_of(self_.keys.public_half)),
      lane_(peers.size(), config.mtu, std::move(config.own_macs), random_),
      gate_(network_.cookie_key_of(self_.keys.public_half)),
      sent_(config.known.reserve),
      reserve_(config.known.reserve),
      saved_reserve_(config.known.reserve) {
  static_assert(max_peers <= saved_state::max_peers);
  assert(peers.size() <= max_peers);
  lane_.set_port(config.port);
  peers_.reserve(peers.size());
  known_.reserve(peers.size());
  for (auto& one : peers) {
    const peer_id id{static_cast<std::uint16_t>(peers_.size())};
    [[maybe_unused]] const bool added = by_key_.emplace(one.key, id).second;
    assert(added && one.key != self_.keys.public_half);
    peer& p = peers_.emplace_back();
    p.config = std::move(one);
    p.mac1 = network_.mac1_key_of(p.config.key);
    p.jitter = duration(random_.below(static_cast<std::uint32_t>(duration(retry::live_jitter).count())));
    lane_.set_settles(id, self_.keys.public_half < p.config.key);
    p.notices = notice_burst;
    p.last_notice = at.now;
    p.sent_stamp = sent_;
    lane_.set_elsewhere(id, p.config.remotes);
    if (!p.config.remotes.empty()) lane_.set_remote(id, p.config.remotes.all().front());
  }
  for (const saved_state::peer& known : config.known.peers) remember(known);
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const peer_id id{static_cast<std::uint16_t>(i)};
    if (lane_.of(id).remote) peers_[i].attempts.begin(at.now + id.value * start_pace);
    refresh(id, at.now);
  }
  if (config.guard) {
    std::vector<crypto::public_key> keys;
    for (const peer& p : peers_) keys.push_back(p.config.key);
    lane_.set_guard(std::make_unique<guard>(network_.id(), self_.keys.public_half, keys, random_.u64(), at.now));
  }
}

// ---- inputs

[[gnu::hot]] void node::on_frame(const super_frame& frame, time_point now, outbox& out, bool more) {
  gate_.budget().on_frame(now);
  lane_.on_frame(frame, more, now, out);
  settle(now, out);
}

void node::end_drain(time_point now, outbox& out) {
  lane_.end_drain(now, out);
  settle(now, out);
}

[[gnu::hot]] void node::on_datagrams(std::span<const received> batch, time_point now, outbox& out) {
  lane_.on_datagrams(batch, now, out);
  if (!out.frames().empty()) gate_.budget().on_frame(now);
  settle(now, out);
}

void node::on_timer(instant at, outbox& out) {
  const time_point probed = lane_.loops() != nullptr ? lane_.loops()->due() : time_point{};
  lane_.on_timer(at.now, out);
  if (forgets_due_ > 0 && lane_.loops()->due() != probed) send_forget(at.now, out);
  lane_.clear_wake();
  (void)gate_.budget().allows(at.now);  // so that its next due time is not this one
  next_ = time_point::max();
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const peer_id id{static_cast<std::uint16_t>(i)};
    if (deadline(id, at.now) <= at.now) on_peer_timer(id, at, out);
    refresh(id, at.now);
  }
  settle(at.now, out);
}

[[gnu::hot]] void node::settle(time_point now, outbox& out) {
  if (lane_.loops() != nullptr && !lane_.loops()->pending().empty()) on_loop_news(now, out);
  if (lane_.events().empty()) return;
  // Acting on an event may cause another (a staged frame that asks for a rekey), so the list may grow meanwhile.
  for (std::size_t i = 0; i < lane_.events().size(); ++i) {
    const lane::event e = lane_.events()[i];
    on_event(e, now, out);
    if (e.what != lane::event::kind::handshake) refresh(e.peer, now);
  }
  lane_.clear_events();
}

void node::on_event(const lane::event& e, time_point now, outbox& out) {
  switch (e.what) {
    case lane::event::kind::wanted:
      if (lane_.of(e.peer).remote) peers_[e.peer.value].attempts.ask(now, lane_.can_send(e.peer, now));
      return;
    case lane::event::kind::confirmed:
      return on_confirmed(e.peer, e.session, e.from, now, out);
    case lane::event::kind::moved:
      return on_moved(e.peer, e.from, now, out);
    case lane::event::kind::pong:
      return on_pong(e.peer, e.token, e.from, now, out);
    case lane::event::kind::bye:
      return on_bye(e.peer, e.session, now, out);
    case lane::event::kind::encapsulated:
      return say(e.peer, outbox::notice::kind::self_encapsulated, now, out);
    case lane::event::kind::handshake:
      return lane_.drops().count(on_handshake(e.datagram, e.from, now, out));
  }
}

drop node::on_handshake(bytes_view datagram, const endpoint& from, time_point now, outbox& out) noexcept {
  const auto type = wire::classify(datagram);
  assert(type && *type != wire::message_type::data);
  if (*type == wire::message_type::cookie_reply) return on_cookie_reply(wire::parse_cookie_reply(datagram), now);
  // The cheap check first: it costs a stranger nothing to send, and us almost nothing to refuse.
  if (*type == wire::message_type::initiation) {
    const wire::initiation_view message = wire::parse_initiation(datagram);
    if (!check_mac1(own_mac1_, message.before_mac1, message.mac1)) return drop::bad_mac1;
    if (peers_.empty()) return drop::unknown_peer;
    return gate_.on_initiation(
        datagram, from, now, [&] { return knows(from, now); }, random_, out);
  }
  const wire::response_view message = wire::parse_response(datagram);
  if (!check_mac1(own_mac1_, message.before_mac1, message.mac1)) return drop::bad_mac1;
  const session_id index{message.receiver_index};
  const peer::pending* const asked = awaiting(index);
  if (asked == nullptr) return drop::unexpected_handshake;
  return gate_.on_response(datagram, from, from == asked->to, *lane_.owner(index));
}

drop node::on_cookie_reply(const wire::cookie_reply_view& reply, time_point now) noexcept {
  const session_id index{reply.receiver_index};
  const peer::pending* const asked = awaiting(index);
  if (asked == nullptr) return drop::unexpected_handshake;
  peer& p = peers_[lane_.owner(index)->value];
  cookie given;
  if (!read_cookie_reply(reply, network_.cookie_key_of(p.config.key), asked->mac1, given)) return drop::bad_cookie;
  std::erase_if(p.cookies, [&](const peer::given& old) { return old.to == asked->to; });
  if (p.cookies.size() == peer::max_addresses) p.cookies.erase(p.cookies.begin());
  p.cookies.push_back({asked->to, given, now});
  return drop::none;
}

// Whether a peer is at this address, as far as we know. Looked up among all of them for each message of a flood.
bool node::knows(const endpoint& from, time_point now) noexcept {
  if (!known_at_ || now - *known_at_ >= known_refresh) {
    known_.clear();
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      const auto& remote = lane_.of(peer_id{static_cast<std::uint16_t>(i)}).remote;
      if (remote) known_.push_back(*remote);
    }
    std::sort(known_.begin(), known_.end());
    known_at_ = now;
  }
  return std::binary_search(known_.begin(), known_.end(), from);
}

// ---- handshakes

bool node::work(instant at, outbox& out) {
  if (!has_work()) return false;
  const waiting& message = gate_.queue().pop();
  const bool asks = wire::classify(message.view()) == wire::message_type::initiation;
  lane_.drops().count(asks ? on_initiation(message, at.now, out) : on_response(message, at.now, out));
  settle(at.now, out);
  return has_work();
}

drop node::on_initiation(const waiting& message, time_point now, outbox& out) {
  answer reply(self_, network_, wire::parse_initiation(message.view()));
  crypto::public_key who;
  if (const drop refused = reply.read_peer(who); refused != drop::none) return refused;
  const auto known = by_key_.find(who);
  if (known == by_key_.end()) return drop::unknown_peer;
  const peer_id id = known->second;
  peer& p = peers_[id.value];
  wire::initiation_payload said;
  if (const drop refused = reply.read_payload(said); refused != drop::none) return refused;
  if (said.stamp <= p.last_stamp || (p.accepted && now - *p.accepted < accept_gap)) return drop::stale_handshake;

  const bytes_span room = out.room(wire::response_size);
  if (room.empty()) return drop::outbox_full;
  const session_id index = lane_.reserve(id, random_);
  answer::datagram datagram;
  std::optional<agreement> keys;
  if (const drop refused = reply.respond(p.mac1, psk_of(p), index, message.from, random_, datagram, keys);
      refused != drop::none) {
    lane_.release(index);
    return refused;
  }
  p.last_stamp = said.stamp;
  changed_ = true;
  p.accepted = now;
  p.answered = message.from;
  install(id, index, false, std::move(*keys), now);
  std::copy(datagram.begin(), datagram.end(), room.begin());
  out.push_train(message.from, id, datagram.size(), datagram.size());
  refresh(id, now);
  return drop::none;
}

drop node::on_response(const waiting& message, time_point now, outbox& out) {
  const wire::response_view response = wire::parse_response(message.view());
  const session_id index{response.receiver_index};
  peer::pending* const answered = awaiting(index);
  if (answered == nullptr) return drop::unexpected_handshake;
  const peer_id id = *lane_.owner(index);
  peer& p = peers_[id.value];

  std::optional<agreement> keys;
  drop refused = answered->handshake.read_response(response, psk_of(p), self_.suites, keys);
  // The peer started again since we asked, and we speak with its new self already: this comes from the dead one.
  const auto& current = p.sessions.current();
  if (keys && current && current->boot_id != keys->boot_id && current->born > answered->sent) {
    refused = drop::stale_handshake;
  }
  // We asked again at this address since: what the peer gave here it will have forgotten when that arrives. But now we
  // know what an answer takes.
  const auto newer = p.under_way.begin() + (answered - p.under_way.data()) + 1;
  const auto again = [&](const peer::pending& one) { return one.to == answered->to; };
  if (refused == drop::none && std::any_of(newer, p.under_way.end(), again)) {
    p.attempts.late(now - answered->sent);
    refused = drop::unexpected_handshake;
  }
  if (refused != drop::none) {
    if (answered->handshake.spent()) {
      lane_.release(index);
      p.under_way.erase(newer - 1);
    }
    return refused;
  }
  const endpoint asked = answered->to;
  // The peer forgot what older ones gave when it answered this one. A newer one may have reached it after this, and
  // then its session is the one that both have.
  for (auto one = p.under_way.begin(); one != newer - 1; ++one) lane_.release(one->handshake.index());
  p.under_way.erase(p.under_way.begin(), newer);
  install(id, index, true, std::move(*keys), now);
  established(id, asked, now, out);
  on_moved(id, message.from, now, out);
  // The other side may send only after it heard from us.
  const bool in_use = p.sessions.current()->id == index;
  if (!lane_.send_staged(id, now, out) && in_use) lane_.send_record(id, asked, {}, now, out);
  refresh(id, now);
  return drop::none;
}

// What is awaited under this index; its peer owns the index.
peer::pending* node::awaiting(session_id index) noexcept {
  const auto id = lane_.owner(index);
  if (!id) return nullptr;
  for (peer::pending& one : peers_[id->value].under_way) {
    if (one.handshake.index() == index) return &one;
  }
  return nullptr;
}

void node::install(peer_id id, session_id index, bool initiator, agreement&& keys, time_point now) {
  peer& p = peers_[id.value];
  lane_.install(std::make_unique<session>(session::identity{id, index, keys.remote_index, initiator, keys.lan_mtu, now},
                                          std::move(keys.send), std::move(keys.receive)));
  const slots::entry made{index, initiator ? self_.keys.public_half : p.config.key, keys.boot_id, now};
  retire(id, initiator ? p.sessions.add_as_initiator(made, lane_.of(id).theirs) : p.sessions.add_as_responder(made));
}

void node::retire(peer_id id, const slots::retired& ids) noexcept {
  for (const session_id one : ids.ids()) lane_.release(one);
  const auto& current = peers_[id.value].sessions.current();
  lane_.set_sending(id, current ? current->id : session_id{});
}

void node::established(peer_id id, const endpoint& from, time_point now, outbox& out) {
  peer& p = peers_[id.value];
  set_remote(id, from);
  lane_.clear_unanswered(id);
  p.lan_mtu = lane_.find(p.sessions.current()->id)->who().lan_mtu;
  p.attempts.stop();
  p.names_due.reset();
  p.moving.reset();
  p.handshaken = now;
  p.jitter = duration(random_.below(static_cast<std::uint32_t>(duration(retry::live_jitter).count())));
  if (!p.up) {
    say(id, outbox::notice::kind::established, now, out);
    if (p.lan_mtu != self_.lan_mtu) say(id, outbox::notice::kind::mtu_differs, now, out);
  }
  p.up = true;
}

// The ways to some hosts have changed: for us, and for the peers that reached them through us or now will.
void node::on_loop_news(time_point now, outbox& out) {
  lane_.forget_ways();
  forgets_due_ = forgets_sent;
  send_forget(now, out);
  using kind = outbox::notice::kind;
  for (const auto& [what, who] : lane_.loops()->pending()) {
    const bool healed = what == loop_guard::news::kind::healed;
    if (!who) {
      if (!own_loop_notices_.take({notice_pace, notice_burst}, now)) continue;
      out.push_notice(healed ? kind::own_loop_healed : kind::own_loop_blocked, {}, {});
    } else if (healed) {
      say(*who, kind::loop_healed, now, out);
    } else {
      say(*who, what == loop_guard::news::kind::blocked ? kind::loop_blocked : kind::loop_seen, now, out);
    }
  }
  lane_.clear_news();
}

void node::send_forget(time_point now, outbox& out) {
  --forgets_due_;
  std::array<std::uint8_t, wire::forget_size> record;
  wire::format_forget(record);
  send_to_all(record, now, out);
}

void node::say(peer_id id, outbox::notice::kind what, time_point now, outbox& out) {
  peer& p = peers_[id.value];
  const auto earned = static_cast<std::uint64_t>((now - p.last_notice) / notice_pace);
  p.notices = static_cast<unsigned>(std::min<std::uint64_t>(p.notices + earned, notice_burst));
  p.last_notice += static_cast<duration::rep>(earned) * duration(notice_pace);
  if (p.notices == 0) return;
  --p.notices;
  out.push_notice(what, id, lane_.of(id).remote.value_or(endpoint{}));
}

// ---- what an authenticated datagram caused

void node::on_confirmed(peer_id id, session_id session, const endpoint& from, time_point now, outbox& out) {
  peer& p = peers_[id.value];
  if (!p.sessions.next() || p.sessions.next()->id != session) return;
  const std::optional<endpoint> before = lane_.of(id).remote;
  retire(id, p.sessions.confirm_next());
  // An address is proven only when both the handshake and this came from it; any other is tried by a ping.
  established(id, from == p.answered ? from : before.value_or(p.answered), now, out);
  on_moved(id, from, now, out);
  lane_.send_staged(id, now, out);
}

void node::on_moved(peer_id id, const endpoint& from, time_point now, outbox& out) {
  peer& p = peers_[id.value];
  if (lane_.of(id).remote == from) return;  // a completed handshake moved it meanwhile
  // One token per address, so that a pong counts however long it takes.
  if (!p.moving || p.moving->at != from) p.moving = peer::probe{random_.u64(), from};
  std::array<std::uint8_t, wire::ping_size> record;
  wire::format_ping(record, p.moving->token);
  lane_.send_record(id, from, record, now, out);
}

void node::on_pong(peer_id id, std::uint64_t token, const endpoint& from, time_point now, outbox& out) {
  peer& p = peers_[id.value];
  if (!p.moving || p.moving->token != token || p.moving->at != from) return;
  p.moving.reset();
  set_remote(id, from);
  say(id, outbox::notice::kind::moved, now, out);
}

void node::on_bye(peer_id id, session_id session, time_point now, outbox& out) {
  peer& p = peers_[id.value];
  // A bye may be late: the peer may have started again, and a session with its new self must not end.
  retire(id, p.sessions.end_boot_of(session));
  if (lane_.can_send(id, now)) return;
  lane_.clear_unanswered(id);
  if (p.up) say(id, outbox::notice::kind::left, now, out);
  p.up = false;
  refresh(id, now);
}

// ---- time

time_point node::deadline(peer_id id, time_point now) const noexcept {
  const peer& p = peers_[id.value];
  const lane::link& l = lane_.of(id);
  const bool can_send = lane_.can_send(id, now);
  time_point due = time_point::max();
  const auto at = [&due](time_point when) { due = std::min(due, when); };

  if (p.attempts.active()) {
    at(*p.attempts.due());
    if (p.config.keepalive == std::chrono::seconds{0}) at(p.attempts.gives_up_at());
  }
  if (!p.under_way.empty()) at(p.under_way.front().sent + initiation_life);
  if (can_send) {
    if (l.unanswered_since && !p.attempts.active()) at(*l.unanswered_since + lane::dead_peer + p.jitter);
    if (l.owed_since) at(*l.owed_since + lane::passive_keepalive);
    if (p.config.keepalive > std::chrono::seconds{0})
      at(l.last_sent.value_or(p.sessions.current()->born) + p.config.keepalive);
    at(p.sessions.current()->born + session::send_until);
    at(l.path.due());
  } else if (p.up || (p.config.keepalive > std::chrono::seconds{0} && !p.attempts.active() && l.remote)) {
    at(now);
  }
  for (const auto* place : {&p.sessions.previous(), &p.sessions.current(), &p.sessions.next()}) {
    if (*place) at((*place)->born + session::receive_until);
  }
  return due;
}

void node::on_peer_timer(peer_id id, instant at, outbox& out) {
  peer& p = peers_[id.value];
  const lane::link& l = lane_.of(id);
  const time_point now = at.now;
  const bool persistent = p.config.keepalive > std::chrono::seconds{0};

  retire(id, p.sessions.expire(now, session::receive_until));
  while (!p.under_way.empty() && now >= p.under_way.front().sent + initiation_life) give_up(p, p.under_way.begin());

  if (lane_.can_send(id, now)) {
    if (l.unanswered_since && !p.attempts.active() && now >= *l.unanswered_since + lane::dead_peer + p.jitter) {
      lane_.clear_unanswered(id);
      p.attempts.ask(now, true);
      say(id, outbox::notice::kind::silent, now, out);
    }
    const bool owed = l.owed_since && now >= *l.owed_since + lane::passive_keepalive;
    const bool quiet = persistent && now >= l.last_sent.value_or(p.sessions.current()->born) + p.config.keepalive;
    if (owed || quiet) lane_.send_record(id, *l.remote, {}, now, out);
    lane_.ping_path(id, random_, now, out);
  } else {
    if (p.up) say(id, outbox::notice::kind::lost, now, out);
    p.up = false;
    if (persistent && !p.attempts.active() && l.remote) p.attempts.ask(now, false);
  }

  if (p.attempts.active() && now >= p.attempts.gives_up_at()) {
    lane_.discard_staged(id);
    if (!persistent) p.attempts.stop();
  }
  if (p.attempts.active() && now >= *p.attempts.due()) send_initiation(id, at, out);
}

void node::send_initiation(peer_id id, instant at, outbox& out) {
  peer& p = peers_[id.value];
  const bool live = lane_.can_send(id, at.now);
  // A peer that moved and fell silent may be at any address that we know of it.
  const auto [to, last] = p.config.remotes.at(p.attempts.turn(), lane_.of(id).remote);
  if (last || (live && p.attempts.unanswered() == 0)) {
    p.attempts.sent(at.now, live, random_fraction());
    want_names(id, at.now, out);
  } else {
    p.attempts.sent_one(at.now, candidates::stagger);
  }
  if (p.under_way.size() == peer::most_under_way) give_up(p, p.under_way.begin());

  const bytes_span room = out.room(wire::initiation_size);
  if (room.empty()) return lane_.drops().count(drop::outbox_full);
  const session_id index = lane_.reserve(id, random_);
  p.sent_stamp = next_stamp(at.wall, p.sent_stamp);
  reserve_stamps(p.sent_stamp);
  initiation::datagram datagram;
  auto begun = initiation::begin(self_, network_, p.config.key, p.mac1, index, p.sent_stamp, random_, datagram);
  if (!begun) {
    lane_.release(index);
    return;
  }
  std::array<std::uint8_t, 16> mac1;
  const auto sent = wire::parse_initiation(datagram).mac1;
  std::copy(sent.begin(), sent.end(), mac1.begin());
  for (const peer::given& given : p.cookies) {
    if (given.to == to && at.now - given.at < cookie_life) write_mac2(given.value, datagram);
  }
  p.under_way.push_back(peer::pending{std::move(*begun), at.now, to, mac1});
  std::copy(datagram.begin(), datagram.end(), room.begin());
  out.push_train(to, id, datagram.size(), datagram.size());
}

void node::give_up(peer& p, std::vector<peer::pending>::iterator one) noexcept {
  lane_.release(one->handshake.index());
  p.under_way.erase(one);
}

// ---- the rest

void node::say_bye(time_point now, outbox& out) {
  std::array<std::uint8_t, wire::bye_size> record;
  wire::format_bye(record);
  send_to_all(record, now, out);
}

void node::send_to_all(bytes_view record, time_point now, outbox& out) {
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const peer_id id{static_cast<std::uint16_t>(i)};
    if (lane_.of(id).remote) lane_.send_record(id, *lane_.of(id).remote, record, now, out);
  }
}

const crypto::secret<32>& node::psk_of(const peer& p) const noexcept {
  return p.config.psk ? *p.config.psk : network_.psk();
}

double node::random_fraction() noexcept { return static_cast<double>(random_.u32()) / 4294967296.0; }

std::vector<peer_status> node::peers(time_point now) const {
  std::vector<peer_status> all;
  all.reserve(peers_.size());
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const peer_id id{static_cast<std::uint16_t>(i)};
    const peer& p = peers_[i];
    const lane::link& l = lane_.of(id);
    peer_status s;
    s.name = p.config.name;
    s.key = p.config.key;
    s.remote = l.remote;
    s.named = p.config.named;
    s.path_mtu = l.path.mtu().size();
    s.times = l.path.times();
    s.lan_mtu = p.lan_mtu;
    s.counters = l.counters;
    s.unanswered_initiations = p.attempts.unanswered();
    if (p.handshaken) s.since_handshake = now - *p.handshaken;
    if (l.last_received) s.since_received = now - *l.last_received;
    if (lane_.can_send(id, now)) {
      s.now = peer_status::state::established;
      s.cipher = lane_.find(l.sending)->cipher();
    } else if (p.attempts.active()) {
      const bool long_since = p.attempts.unanswered() >= unreachable_after;
      s.now = long_since ? peer_status::state::unreachable : peer_status::state::handshaking;
    }
    all.push_back(std::move(s));
  }
  return all;
}

}  // namespace lanloom::core
