// SPDX-License-Identifier: Apache-2.0
// flood.hpp - initiations that a stranger sends, each from another address.
#pragma once

#include "sim/network.hpp"

namespace lanloom::sim {

// With a good mac1 and noise for the rest: each costs the responder what a stranger's does.
struct flood {
  network& net;
  std::size_t target;
  crypto::random source{4};
  core::network::mac1_key key;
  std::uint32_t sent = 0;

  flood(network& n, std::size_t at)
      : net(n), target(at), key(core::network("lan", std::nullopt).mac1_key_of(n.keys(at).public_half)) {}

  void one() {
    std::vector<std::uint8_t> d(wire::initiation_size);
    source.fill(d);
    store_le32(d.data(), 0x0101);
    const std::size_t before = d.size() - 32;
    core::write_mac1(key, bytes_view(d).first(before), std::span<std::uint8_t, 16>(d.data() + before, 16));
    std::fill(d.end() - 16, d.end(), std::uint8_t{0});
    const std::uint32_t k = sent++;
    const std::array<std::uint8_t, 4> from{10, static_cast<std::uint8_t>(k >> 16), static_cast<std::uint8_t>(k >> 8),
                                           static_cast<std::uint8_t>(k)};
    net.inject(net.address(target), endpoint::v4(from, 999), d);
  }
};

}  // namespace lanloom::sim
