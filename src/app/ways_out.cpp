// SPDX-License-Identifier: Apache-2.0
#include "ways_out.hpp"

#include "config_values.hpp"

#include <lanloom/os/netlink.hpp>

#include <utility>

namespace lanloom::app {

bool ways_out::look(const node_setup& setup) {
  os::netlink kernel;
  std::string text;
  const auto add = [&](const ip_address& to) {
    const auto way = kernel.route_to(to);
    text += to_string(to);
    if (way) text += " out of " + std::to_string(way->out_index);
    if (way && way->source) text += " from " + to_string(*way->source);
    text += '\n';
  };
  for (const auto& peer : setup.peers) {
    for (const endpoint& one : peer.remotes.all()) add(address_of(one));
  }
  for (const auto& r : kernel.default_routes()) add(r.gateway);
  const bool others = text != seen_;
  seen_ = std::move(text);
  return others;
}

}  // namespace lanloom::app
