// SPDX-License-Identifier: Apache-2.0
#include <lanloom/core/guard.hpp>

#include <lanloom/crypto/hash.hpp>

#include <algorithm>

namespace lanloom::core {

namespace {
// The probes' source is an address that nothing else has: the TAP's own would come back to its bridge, which takes its
// ports' addresses from nobody and logs a warning; and two nodes with one address would look to the switches between
// them like a host that jumps.
wire::mac_address probe_source(const std::array<std::uint8_t, 16>& network, const crypto::public_key& own) noexcept {
  std::array<std::uint8_t, 16> hash{};
  crypto::blake2b(hash, {as_bytes("probe-source"), network, own.bytes});
  wire::mac_address mac;
  std::copy_n(hash.begin(), mac.bytes.size(), mac.bytes.begin());
  mac.bytes[0] = 0x02;  // locally administered
  return mac;
}
}  // namespace

guard::guard(const std::array<std::uint8_t, 16>& network, const crypto::public_key& own,
             std::span<const crypto::public_key> peers, std::uint64_t nonce, time_point now)
    : mac_(probe_source(network, own)), loops_(network, own, peers, nonce, now), storms_(peers.size()) {}

[[gnu::hot]] std::optional<drop> guard::stops_leaving(bytes_view frame, time_point now) noexcept {
  if (const auto probe = wire::parse_probe(frame); probe && loops_.is_ours(*probe)) {
    return loops_.on_lan_probe(*probe, now);
  }
  if (loops_.blocks(now)) return drop::blocked;
  return std::nullopt;
}

[[gnu::hot]] std::optional<drop> guard::stops_entering(peer_id from, bytes_view frame, time_point now) noexcept {
  if (const auto probe = wire::parse_probe(frame); probe && loops_.is_ours(*probe)) {
    return loops_.on_peer_probe(from, *probe, now);
  }
  if (loops_.blocks(now)) return drop::blocked;
  return std::nullopt;
}

void guard::format_probe(std::span<std::uint8_t, wire::probe_size> out, time_point now) const noexcept {
  wire::format_probe(out, mac_, loops_.probe(now));
}

}  // namespace lanloom::core
