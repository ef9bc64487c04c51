// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/cookie.hpp>

#include <lanloom/crypto/hash.hpp>
#include <lanloom/crypto/random.hpp>
#include <lanloom/crypto/xchacha.hpp>

#include <algorithm>

namespace lanloom::core {

namespace {
cookie cookie_of(const crypto::secret<32>& secret, const endpoint& from) noexcept {
  const std::array<std::uint8_t, 2> port{static_cast<std::uint8_t>(from.port >> 8),
                                         static_cast<std::uint8_t>(from.port)};
  cookie made;
  crypto::blake2b(made, {from.address, port}, secret.view());
  return made;
}

bool made_with(const cookie& with, const wire::initiation_view& message) noexcept {
  cookie expected;
  crypto::blake2b(expected, {message.before_mac2}, with);
  return crypto::equal(expected, message.mac2);
}
}  // namespace

void cookie_secret::replace(time_point now, crypto::random& source) noexcept {
  if (since_ && now - *since_ < cookie_life) return;
  has_before_ = since_ && now - *since_ < 2 * cookie_life;
  before_ = std::move(present_);
  source.fill(present_.writable());
  since_ = has_before_ ? *since_ + cookie_life : now;  // as if it had been replaced in time
}

cookie cookie_secret::make(const endpoint& from, time_point now, crypto::random& source) noexcept {
  replace(now, source);
  return cookie_of(present_, from);
}

bool cookie_secret::check(const wire::initiation_view& message, const endpoint& from, time_point now,
                          crypto::random& source) noexcept {
  // Zeros mean "no cookie": most of a flood, and not worth four hashes.
  if (std::all_of(message.mac2.begin(), message.mac2.end(), [](std::uint8_t b) { return b == 0; })) return false;
  replace(now, source);
  return made_with(cookie_of(present_, from), message) || (has_before_ && made_with(cookie_of(before_, from), message));
}

void write_cookie_reply(bytes_span datagram, const crypto::secret<32>& key, const wire::initiation_view& cause,
                        const cookie& given, crypto::random& source) noexcept {
  const wire::cookie_reply_layout parts = wire::format_cookie_reply(datagram, cause.sender_index);
  source.fill(parts.nonce);
  crypto::seal_xchacha(key, parts.nonce, cause.mac1, given, parts.sealed_cookie);
}

bool read_cookie_reply(const wire::cookie_reply_view& reply, const crypto::secret<32>& key,
                       std::span<const std::uint8_t, 16> mac1, cookie& given) noexcept {
  return crypto::open_xchacha(key, reply.nonce, mac1, reply.sealed_cookie, given);
}

void write_mac2(const cookie& with, bytes_span datagram) noexcept {
  crypto::blake2b(datagram.last(wire::mac_size), {datagram.first(datagram.size() - wire::mac_size)}, with);
}

flood_source source_of(const endpoint& from) noexcept {
  flood_source who = from.address;
  if (!from.is_v4()) std::fill(who.begin() + 8, who.end(), std::uint8_t{0});
  return who;
}

bool cookie_limit::take(const endpoint& to, time_point now) noexcept {
  token_bucket bucket = all_;  // spent only if the source may be answered, too
  if (!bucket.take(all, now)) return false;
  const flood_source who = source_of(to);
  for (const answered& one : last_) {
    if (one.at && now - *one.at < gap && one.to == who) return false;
  }
  all_ = bucket;
  last_[next_] = {who, now};
  next_ = (next_ + 1) % last_.size();
  return true;
}

}  // namespace lanloom::core
