// SPDX-License-Identifier: Apache-2.0
#include "make_node_setup.hpp"
#include "control_group.hpp"

#include <lanloom/app/host.hpp>
#include <lanloom/app/log.hpp>
#include <lanloom/app/offloads.hpp>
#include <lanloom/crypto/aead.hpp>
#include <lanloom/crypto/gcm_engine.hpp>
#include <lanloom/wire/payload.hpp>

#include <utility>

namespace lanloom::app {

namespace {
std::uint8_t suites_of(cipher_choice choice) {
  const bool aes = crypto::available(crypto::suite::aes_256_gcm);
  switch (choice) {
    case cipher_choice::chacha20_poly1305:
      return wire::suite_bit_chacha20_poly1305;
    case cipher_choice::automatic:
      return static_cast<std::uint8_t>(wire::suite_bit_chacha20_poly1305 | (aes ? wire::suite_bit_aes_256_gcm : 0));
    case cipher_choice::aes_256_gcm:
      if (!aes) {
        throw setup_error("[node] cipher = \"aes-256-gcm\": this processor has no AES instructions; use \"auto\"");
      }
      return wire::suite_bit_aes_256_gcm;
  }
  return wire::suite_bit_chacha20_poly1305;
}

crypto::accelerator accelerator_of(offload_choice wanted) {
  const auto wish = accelerator_by(wanted);
  if (wish != crypto::accelerator::on) return wish;
  const auto engine = crypto::gcm_engine::choose(wish);
  if (!engine.accelerated()) {
    throw setup_error("[offload] accelerator = \"on\": libipsec-mb cannot be used, because " +
                      std::string(engine.reason()) + "; use \"auto\"");
  }
  return wish;
}
}  // namespace

std::vector<os::mac_address> own_macs(const plan& p) {
  std::vector<os::mac_address> macs;
  for (const step& s : p.steps) {
    if (const auto* bridge = std::get_if<create_bridge>(&s)) macs.push_back(bridge->mac);
    if (const auto* tap = std::get_if<open_tap>(&s)) macs.push_back(tap->mac);
    if (const auto* uplink = std::get_if<take_uplink>(&s)) macs.push_back(uplink->was.mac);
    if (const auto* veth = std::get_if<create_veth>(&s)) macs.insert(macs.end(), {veth->host_mac, veth->inside_mac});
  }
  return macs;
}

node_setup make_node_setup(const config& c, key_material&& keys, const plan& p) {
  node_setup s;
  s.instance = c.instance;
  s.name = c.node.name;
  s.listen = to_string(c.node.listen);
  s.tap = c.tap.name;
  s.bridge = c.bridge.name;
  s.bridge_created = c.bridge.create;
  s.network = c.node.network;
  s.keys = {std::move(keys.private_key), keys.own};
  s.network_secret = std::move(keys.network_secret);
  s.suites = suites_of(c.node.cipher);
  s.accelerator = accelerator_of(c.offload.accelerator);
  s.mtu = p.facts.mtu;
  s.own_macs = own_macs(p);
  s.control_group = control_gid(c.control_group);
  s.guard = !c.bridge.uplinks.empty();
  for (std::size_t i = 0; i < c.peers.size(); ++i) {
    const peer_config& from = c.peers[i];
    std::vector<endpoint> addresses;
    for (const auto& e : from.endpoints) {
      if (e.name.empty()) addresses.push_back(e.at);
    }
    s.peers.push_back({from.name, from.public_key, std::move(keys.preshared_keys[i]), core::candidates(addresses),
                       from.keepalive, addresses.size() < from.endpoints.size()});
  }
  return s;
}

offload_setup offloads_by(os::offload_probe& probe, const config& c, const plan& p) {
  const os::kernel_offloads found = probe.answer().value_or(os::kernel_offloads{});
  for (const std::string& name : missing_offloads(c.offload, found)) {
    spdlog::warn("the kernel does not pass the self-test of {}; going on without it, which is slower", name);
  }
  auto chosen = choose_offloads(c.offload, found);
  if (p.facts.user_space) chosen.to_tap = {};  // nobody finishes a frame before that switch reads it
  return chosen;
}

}  // namespace lanloom::app
