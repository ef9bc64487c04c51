// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/doctor_checks.hpp>

#include "config_values.hpp"

#include <algorithm>

namespace lanloom::app {

using nlohmann::json;

namespace {
constexpr const char* peer_id = "peers";
constexpr const char* mtu_id = "mtu-peers";

const std::string not_up = "the instance does not run: nobody to ask";

// In ASCII alone and one line: it comes from a process that talks to the network.
std::string plain(const json& value) {
  auto text = value.is_string() ? value.get<std::string>() : value.dump(-1, ' ', true);
  for (char& c : text) c = c < ' ' || c > '~' ? '?' : c;
  return text;
}

std::uint64_t dropped(const json& status, const char* reason) {
  return status.at("drops").value(reason, std::uint64_t{0});
}

// What knocks here and is turned away says more than what does not answer there.
std::string turned_away(const json& status) {
  if (dropped(status, "bad_mac1") > 0) {
    return "; somebody calls us under another public key, network name or network secret (bad_mac1)";
  }
  if (dropped(status, "unknown_peer") > 0) return "; somebody calls whose public key this file does not list";
  if (dropped(status, "bad_handshake") > 0) return "; somebody calls with another preshared key (bad_handshake)";
  if (dropped(status, "stale_handshake") > 0) {
    return "; handshakes come with a time before the last one (stale_handshake): clock set back, state lost";
  }
  return {};
}

std::string first_name(const peer_config& p) {
  const auto is_name = [](const peer_endpoint& e) { return !e.name.empty(); };
  const auto found = std::find_if(p.endpoints.begin(), p.endpoints.end(), is_name);
  return found == p.endpoints.end() ? std::string() : found->name;
}

finding judge_peer(const json& status, const json& p, const config& c,
                   const std::function<bool(const endpoint&)>& routed) {
  const auto name = plain(p.at("name"));
  const auto state = plain(p.at("state"));
  if (state == "established") return pass(peer_id, "peer " + name + " is " + state);
  const auto in_file = std::find_if(c.peers.begin(), c.peers.end(), [&](const auto& one) { return one.name == name; });
  const auto named = in_file == c.peers.end() ? std::string() : first_name(*in_file);
  const auto said = p.at("endpoint").is_null() ? std::nullopt : endpoint::parse(plain(p.at("endpoint")));
  if (!said && !named.empty()) {
    return fail(peer_id, "peer " + name + ": " + named + " gives no address that can be used",
                "getent ahosts " + named);
  }
  if (state == "idle") return pass(peer_id, "peer " + name + " is " + state);
  if (!said) {
    return warn(peer_id, "peer " + name + " has no endpoint here and has not called" + turned_away(status),
                "on " + name + ": list this host as [[peer]] with an endpoint and our public key, " +
                    plain(status.at("node").at("public_key")));
  }
  const auto address = to_string(address_of(*said));
  if (!routed(*said)) {
    return fail(peer_id, "peer " + name + ": this host has no route to " + address, "ip route get " + address);
  }
  const std::string what =
      "peer " + name + " is " + state + ": no answer from " + to_string(*said) + turned_away(status);
  const std::string cure = "on " + name + ": lanloom doctor, and let UDP port " + std::to_string(said->port) +
                           " through the firewalls between";
  return state == "unreachable" ? fail(peer_id, what, cure) : warn(peer_id, what, cure);
}
}  // namespace

findings judge_peers(const json& status, const config& c, const std::function<bool(const endpoint&)>& routed) {
  findings all;
  for (const auto& p : status.at("peers")) all.push_back(judge_peer(status, p, c, routed));
  return all;
}

findings check_peers(examination& e) {
  if (!e.status_refusal().empty()) {
    return {warn(peer_id, e.status_refusal(), "sudo lanloom doctor " + e.file().file.string())};
  }
  if (!e.status().is_object()) return {pass(peer_id, not_up)};
  os::netlink here;
  return judge_peers(e.status(), e.file(),
                     [&](const endpoint& to) { return here.route_to(address_of(to)).has_value(); });
}

findings check_peer_mtu(examination& e) {
  if (!e.status().is_object()) return {pass(mtu_id, not_up)};
  const auto& own = e.status().at("tap").at("mtu");
  findings all;
  for (const auto& p : e.status().at("peers")) {
    const auto& theirs = p.at("lan_mtu");
    if (!theirs.is_number_unsigned() || theirs == own) continue;
    all.push_back(fail(mtu_id,
                       "the LAN has MTU " + plain(own) + " here and " + plain(theirs) + " on peer " +
                           plain(p.at("name")) + ": what is larger is dropped without a word",
                       "write the same [tap] mtu on both hosts, and start them anew"));
  }
  if (all.empty()) all.push_back(pass(mtu_id, "no peer has another MTU"));
  return all;
}

}  // namespace lanloom::app
