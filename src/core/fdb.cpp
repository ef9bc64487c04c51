// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/fdb.hpp>
#include <lanloom/crypto/random.hpp>

namespace lanloom::core {

namespace {
std::uint64_t key_of(const wire::mac_address& mac, std::uint16_t vlan) noexcept {
  return std::uint64_t{load_be32(mac.bytes.data())} << 32 | std::uint64_t{load_be16(mac.bytes.data() + 4)} << 16 | vlan;
}

fdb::entry entry_of(std::uint64_t key, port where, time_point seen) noexcept {
  fdb::entry e{{}, static_cast<std::uint16_t>(key), where, seen};
  store_be32(e.mac.bytes.data(), static_cast<std::uint32_t>(key >> 32));
  store_be16(e.mac.bytes.data() + 4, static_cast<std::uint16_t>(key >> 16));
  return e;
}
}  // namespace

fdb::fdb(crypto::random& source)
    : multipliers_{source.u64(), source.u64(), source.u64()},
      nodes_(capacity),
      buckets_(std::size_t{1} << bucket_bits, none),
      free_(0) {
  for (std::uint32_t n = 0; n + 1 < capacity; ++n) nodes_[n].chain = n + 1;
}

[[gnu::hot]] void fdb::learn(const wire::mac_address& mac, std::uint16_t vlan, port where, time_point now) noexcept {
  const auto key = key_of(mac, vlan);
  // A burst has one sender, so mostly nothing has to move. Nothing that may not be learned is ever in front.
  if (newest_ != none && nodes_[newest_].key == key) {
    nodes_[newest_].seen = now;
    nodes_[newest_].where = where;
    return;
  }
  if (mac.is_group() || mac.is_zero()) return;

  auto n = find(key);
  if (n != none) {
    unlink(n);
  } else {
    n = take_free();
    auto& bucket = buckets_[hash(key)];
    nodes_[n].key = key;
    nodes_[n].chain = bucket;
    bucket = n;
  }
  nodes_[n].seen = now;
  nodes_[n].where = where;
  push_front(n);
}

[[gnu::hot]] std::optional<port> fdb::lookup(const wire::mac_address& mac, std::uint16_t vlan,
                                             time_point now) const noexcept {
  const auto n = find(key_of(mac, vlan));
  if (n == none || now - nodes_[n].seen >= max_age) return std::nullopt;
  return nodes_[n].where;
}

void fdb::forget(port where) noexcept {
  for (auto n = newest_; n != none;) {
    const auto next = nodes_[n].older;
    if (nodes_[n].where == where) remove(n);
    n = next;
  }
}

void fdb::forget_peers() noexcept {
  for (auto n = newest_; n != none;) {
    const auto next = nodes_[n].older;
    if (nodes_[n].where.peer) remove(n);
    n = next;
  }
}

void fdb::forget_all() noexcept {
  while (newest_ != none) remove(newest_);
}

std::vector<fdb::entry> fdb::entries(time_point now) const {
  std::vector<entry> live;
  live.reserve(size(now));
  for (auto n = newest_; n != none && now - nodes_[n].seen < max_age; n = nodes_[n].older) {
    live.push_back(entry_of(nodes_[n].key, nodes_[n].where, nodes_[n].seen));
  }
  return live;
}

std::size_t fdb::size(time_point now) const noexcept {
  std::size_t live = 0;
  for (auto n = newest_; n != none && now - nodes_[n].seen < max_age; n = nodes_[n].older) ++live;
  return live;
}

// Multiply-shift over two halves of 32 bits (Dietzfelbinger; Thorup, "High speed hashing for integers and strings"):
// two keys that were chosen without knowing the multipliers share a bucket with probability 2^-bucket_bits.
[[gnu::hot]] std::size_t fdb::hash(std::uint64_t key) const noexcept {
  const auto sum = multipliers_[0] + multipliers_[1] * (key >> 32) + multipliers_[2] * (key & UINT32_MAX);
  return static_cast<std::size_t>(sum >> (64 - bucket_bits));
}

[[gnu::hot]] std::uint32_t fdb::find(std::uint64_t key) const noexcept {
  auto n = buckets_[hash(key)];
  while (n != none && nodes_[n].key != key) n = nodes_[n].chain;
  return n;
}

std::uint32_t fdb::take_free() noexcept {
  if (free_ == none) remove(oldest_);
  const auto n = free_;
  free_ = nodes_[n].chain;
  return n;
}

[[gnu::hot]] void fdb::push_front(std::uint32_t n) noexcept {
  nodes_[n].newer = none;
  nodes_[n].older = newest_;
  (newest_ == none ? oldest_ : nodes_[newest_].newer) = n;
  newest_ = n;
}

[[gnu::hot]] void fdb::unlink(std::uint32_t n) noexcept {
  const auto newer = nodes_[n].newer;
  const auto older = nodes_[n].older;
  (newer == none ? newest_ : nodes_[newer].older) = older;
  (older == none ? oldest_ : nodes_[older].newer) = newer;
}

void fdb::remove(std::uint32_t n) noexcept {
  unlink(n);
  auto* link = &buckets_[hash(nodes_[n].key)];
  while (*link != n) link = &nodes_[*link].chain;
  *link = nodes_[n].chain;
  nodes_[n].chain = free_;
  free_ = n;
}

}  // namespace lanloom::core
