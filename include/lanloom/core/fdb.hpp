// SPDX-License-Identifier: Apache-2.0
// fdb.hpp - the forwarding database: which side of the switch a MAC address was last seen on.
//
// Key: VLAN id and MAC. Invariants: (1) at most `capacity` entries, all memory taken at construction; a new address
// pushes out the one not seen for longest; (2) an entry not refreshed for `max_age` is not found; (3) group and zero
// addresses are never learned. The hash is keyed at random, so nobody outside can aim at one bucket.
// `now` never goes back from call to call.
// Thread: the node's. Owner: lane. Spec: PROTOCOL.md 6.
#pragma once

#include <lanloom/base/clock.hpp>
#include <lanloom/core/ids.hpp>
#include <lanloom/wire/ethernet.hpp>

#include <array>
#include <optional>
#include <vector>

namespace lanloom::crypto {
class random;
}

namespace lanloom::core {

// A side of the switch: this host's bridge, or a peer.
struct port {
  std::optional<peer_id> peer;  // none: local
  bool operator==(const port&) const = default;
};
inline constexpr port local_port{};

class fdb {
 public:
  static constexpr std::size_t capacity = 65536;
  static constexpr std::chrono::seconds max_age{300};

  struct entry {
    wire::mac_address mac;
    std::uint16_t vlan;
    port where;
    time_point seen;
  };

  explicit fdb(crypto::random& source);

  void learn(const wire::mac_address& mac, std::uint16_t vlan, port where, time_point now) noexcept;
  [[nodiscard]] std::optional<port> lookup(const wire::mac_address& mac, std::uint16_t vlan,
                                           time_point now) const noexcept;
  void forget(port where) noexcept;
  void forget_peers() noexcept;  // whatever was learned of any
  void forget_all() noexcept;

  // Live entries, most recently seen first.
  [[nodiscard]] std::vector<entry> entries(time_point now) const;
  [[nodiscard]] std::size_t size(time_point now) const noexcept;

 private:
  // Entries are named by their place in nodes_, so a link is 4 bytes and nothing moves.
  static constexpr std::uint32_t none = UINT32_MAX;
  static constexpr unsigned bucket_bits = 17;

  struct node {
    std::uint64_t key = 0;  // MAC << 16 | VLAN
    time_point seen{};
    std::uint32_t chain = none;  // next in the bucket, or next free
    std::uint32_t newer = none;
    std::uint32_t older = none;
    port where;
  };

  [[nodiscard]] std::size_t hash(std::uint64_t key) const noexcept;
  [[nodiscard]] std::uint32_t find(std::uint64_t key) const noexcept;
  [[nodiscard]] std::uint32_t take_free() noexcept;
  void push_front(std::uint32_t n) noexcept;
  void unlink(std::uint32_t n) noexcept;
  void remove(std::uint32_t n) noexcept;

  std::array<std::uint64_t, 3> multipliers_;
  std::vector<node> nodes_;
  std::vector<std::uint32_t> buckets_;
  std::uint32_t newest_ = none;
  std::uint32_t oldest_ = none;
  std::uint32_t free_ = none;
};

}  // namespace lanloom::core
