// SPDX-License-Identifier: Apache-2.0
// beyond_reload.hpp - what of a configuration a running instance cannot take over. Pure.
#pragma once

#include <lanloom/app/config.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <tuple>

namespace lanloom::app {

// The first table whose change needs a restart; nothing when a reload can do it all.
inline std::optional<std::string> beyond_reload(const config& before, const config& now) {
  const auto& [a, b] = std::tie(before, now);
  const auto node = [](const config& c) {
    return std::tie(c.node.name, c.node.private_key, c.node.listen, c.node.network, c.node.network_secret,
                    c.node.cipher, c.node.state);
  };
  if (node(a) != node(b)) return "[node]";
  if (std::tie(a.tap.name, a.tap.mtu) != std::tie(b.tap.name, b.tap.mtu)) return "[tap]";
  const auto bridge = [](const config& c) { return std::tie(c.bridge.name, c.bridge.create, c.bridge.kind); };
  if (bridge(a) != bridge(b)) return "[bridge] name, create or kind";
  const auto same = [](const peer_config& x, const peer_config& y) {
    return std::tie(x.name, x.public_key, x.endpoints, x.preshared_key, x.keepalive) ==
           std::tie(y.name, y.public_key, y.endpoints, y.preshared_key, y.keepalive);
  };
  if (!std::equal(a.peers.begin(), a.peers.end(), b.peers.begin(), b.peers.end(), same)) return "[[peer]]";
  const auto offload = [](const config& c) {
    return std::tie(c.offload.tap_gso, c.offload.tap_uso, c.offload.udp_gso, c.offload.udp_gro, c.offload.accelerator);
  };
  if (offload(a) != offload(b)) return "[offload]";
  if (a.control_group != b.control_group) return "[control]";
  return std::nullopt;
}

}  // namespace lanloom::app
