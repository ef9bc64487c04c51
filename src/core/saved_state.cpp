// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/saved_state.hpp>

#include <lanloom/crypto/hash.hpp>

#include <algorithm>
#include <cassert>

namespace lanloom::core {

namespace {

constexpr std::string_view magic{"lanloom\0", 8};
constexpr std::uint32_t version = 1;
constexpr std::size_t hash_at = 40;
constexpr std::size_t header_size = 72;
constexpr std::size_t entry_size = 68;
static_assert(header_size + saved_state::max_peers * entry_size <= state_copies::copy_size);

using hash = std::array<std::uint8_t, header_size - hash_at>;

hash hash_of(bytes_view copy) noexcept {
  hash h;
  crypto::blake2b(h, {copy.first(hash_at), copy.subspan(header_size)});
  return h;
}

// Ours count on from there: TAI64N after 1970 with room to the end of the count, as whitened as every stamp. Or none
// yet.
bool is_reserve(const wire::tai64n& s) noexcept {
  const std::uint32_t nanoseconds = load_be32(s.bytes.data() + 8);
  if (s == wire::tai64n{}) return true;
  return s.bytes[0] == 0x40 && s.bytes[1] == 0 && nanoseconds < 1'000'000'000 && (nanoseconds & 0xffffff) == 0;
}

// As numbers that begin anew after the last.
bool is_newer(std::uint64_t a, std::uint64_t b) noexcept { return static_cast<std::int64_t>(a - b) > 0; }

void read_entry(const std::uint8_t* from, saved_state::peer& out) noexcept {
  std::copy_n(from, out.key.bytes.size(), out.key.bytes.begin());
  std::copy_n(from + 32, out.accepted.bytes.size(), out.accepted.bytes.begin());
  endpoint remote;
  std::copy_n(from + 44, remote.address.size(), remote.address.begin());
  remote.port = load_le16(from + 60);
  remote.scope = load_le32(from + 64);
  if (remote.port != 0 && !remote.is_unspecified()) out.remote = remote;
}

void write_entry(std::uint8_t* to, const saved_state::peer& p) noexcept {
  std::copy(p.key.bytes.begin(), p.key.bytes.end(), to);
  std::copy(p.accepted.bytes.begin(), p.accepted.bytes.end(), to + 32);
  const endpoint remote = p.remote.value_or(endpoint{});
  std::copy(remote.address.begin(), remote.address.end(), to + 44);
  store_le16(to + 60, remote.port);
  store_le32(to + 64, remote.scope);
}

// Its number, or nothing.
std::optional<std::uint64_t> read_copy(bytes_view copy, saved_state& out) {
  if (copy.size() < header_size) return std::nullopt;
  if (!std::equal(magic.begin(), magic.end(), copy.begin()) || load_le32(&copy[8]) != version) return std::nullopt;
  const std::size_t count = load_le32(&copy[12]);
  if (count > saved_state::max_peers || copy.size() < header_size + count * entry_size) return std::nullopt;
  copy = copy.first(header_size + count * entry_size);
  const hash expected = hash_of(copy);
  if (!std::equal(expected.begin(), expected.end(), copy.begin() + hash_at)) return std::nullopt;
  std::copy_n(copy.begin() + 24, out.reserve.bytes.size(), out.reserve.bytes.begin());
  if (!is_reserve(out.reserve)) return std::nullopt;
  out.peers.resize(count);
  for (std::size_t k = 0; k < count; ++k) read_entry(&copy[header_size + k * entry_size], out.peers[k]);
  return load_le64(&copy[16]);
}

}  // namespace

state_copies::state_copies(bytes_view file) : room_(copy_size) {
  bool any = false;
  for (std::size_t k = 0; k < 2; ++k) {
    saved_state seen;
    const std::size_t from = std::min(k * copy_size, file.size());
    const auto number = read_copy(file.subspan(from, std::min(copy_size, file.size() - from)), seen);
    if (!number || (any && !is_newer(*number, number_))) continue;
    any = true;
    number_ = *number;
    place_ = 1 - k;
    found_ = std::move(seen);
  }
  damaged_ = !any && std::any_of(file.begin(), file.end(), [](std::uint8_t b) { return b != 0; });
}

state_copies::write state_copies::format(const saved_state& state) {
  assert(state.peers.size() <= saved_state::max_peers);
  const bytes_span copy = bytes_span(room_).first(header_size + state.peers.size() * entry_size);
  std::fill(copy.begin(), copy.end(), std::uint8_t{0});
  std::copy(magic.begin(), magic.end(), copy.begin());
  store_le32(&copy[8], version);
  store_le32(&copy[12], static_cast<std::uint32_t>(state.peers.size()));
  store_le64(&copy[16], number_ + 1);
  std::copy(state.reserve.bytes.begin(), state.reserve.bytes.end(), copy.begin() + 24);
  for (std::size_t k = 0; k < state.peers.size(); ++k) {
    write_entry(&copy[header_size + k * entry_size], state.peers[k]);
  }
  const hash h = hash_of(copy);
  std::copy(h.begin(), h.end(), copy.begin() + hash_at);
  return {place_ * copy_size, copy};
}

void state_copies::written() noexcept {
  ++number_;
  place_ = 1 - place_;
}

}  // namespace lanloom::core
