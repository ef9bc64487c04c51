// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/offloads.hpp>
#include <lanloom/app/status.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdio>

namespace lanloom::app {

using json = nlohmann::ordered_json;

namespace {

double seconds(duration d) { return std::chrono::duration<double>(d).count(); }
std::int64_t whole_seconds(duration d) { return std::chrono::duration_cast<std::chrono::seconds>(d).count(); }

const char* name_of(core::peer_status::state s) {
  switch (s) {
    case core::peer_status::state::established:
      return "established";
    case core::peer_status::state::idle:
      return "idle";
    case core::peer_status::state::handshaking:
      return "handshaking";
    case core::peer_status::state::unreachable:
      return "unreachable";
  }
  return "unknown";
}

// What to check when a peer does not answer; nothing when there is nothing to say.
json hint_for(const core::peer_status& p, const node_setup& setup) {
  using state = core::peer_status::state;
  if (p.now == state::established) {
    if (p.lan_mtu && *p.lan_mtu != setup.mtu) {
      return "its LAN MTU is " + std::to_string(*p.lan_mtu) + ", ours " + std::to_string(setup.mtu) +
             ": set the same [tap] mtu on all hosts";
    }
    return nullptr;
  }
  if (!p.remote && p.named) return "its name gave no address yet: look it up by getent ahosts, and see the log";
  if (!p.remote) return "has no endpoint here and has not called: check that it lists our endpoint and our public key";
  if (p.unanswered_initiations < 2) return nullptr;
  return "no answer from " + to_string(*p.remote) + " to " + std::to_string(p.unanswered_initiations) +
         " handshakes: check that lanloom runs there, that UDP to that address and port passes the firewalls, and "
         "there "
         "in `lanloom status` the drops: bad_mac1 says that its public key, the network name or the network secret "
         "differ, unknown_peer that it does not list our public key, bad_handshake that the preshared keys differ, "
         "stale_handshake that our clock was set back or our state lost, no_common_suite that [node] cipher here and "
         "there have none in common";
}

json peer_json(const core::peer_status& p, const node_setup& setup) {
  json j;
  j["name"] = p.name;
  j["public_key"] = crypto::to_base64(p.key);
  j["state"] = name_of(p.now);
  j["endpoint"] = p.remote ? json(to_string(*p.remote)) : json(nullptr);
  j["cipher"] = p.cipher.empty() ? json(nullptr) : json(p.cipher);
  j["last_handshake_seconds"] = p.since_handshake ? json(whole_seconds(*p.since_handshake)) : json(nullptr);
  const auto in_ms = [](std::optional<duration> d) {
    return d ? json(std::chrono::duration<double, std::milli>(*d).count()) : json(nullptr);
  };
  j["rtt_ms"] = in_ms(p.times.smoothed());
  j["rtt_min_ms"] = in_ms(p.times.shortest());
  j["ping_loss"] = p.times.loss() ? json(*p.times.loss()) : json(nullptr);
  j["path_mtu"] = p.path_mtu;
  j["rx_bytes"] = p.counters.rx_bytes;
  j["tx_bytes"] = p.counters.tx_bytes;
  j["rx_frames"] = p.counters.rx_frames;
  j["tx_frames"] = p.counters.tx_frames;
  j["last_received_seconds"] = p.since_received ? json(seconds(*p.since_received)) : json(nullptr);
  j["lan_mtu"] = p.lan_mtu ? json(*p.lan_mtu) : json(nullptr);
  j["named"] = p.named;
  j["hint"] = hint_for(p, setup);
  return j;
}

// Null without a guard. `since_seconds`: a loop is seen; with `peer`, shared with that peer, else in our LAN alone.
json guard_json(const core::loop_guard* loops, const node_setup& setup, time_point now) {
  if (loops == nullptr) return nullptr;
  const auto r = loops->state(now);
  return {{"blocked", r.blocked},
          {"peer", r.peer ? json(setup.peers[r.peer->value].name) : json(nullptr)},
          {"since_seconds", r.since ? json(whole_seconds(*r.since)) : json(nullptr)}};
}

std::string mac_text(const wire::mac_address& mac) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "00:00:00:00:00:00";
  for (std::size_t i = 0; i < mac.bytes.size(); ++i) {
    text[3 * i] = digits[mac.bytes[i] >> 4];
    text[3 * i + 1] = digits[mac.bytes[i] & 15];
  }
  return text;
}

std::string amount(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < units.size(); ++unit) value /= 1024;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text.data();
}

std::string text_of(const json& value) {
  return printable(value.is_string() ? value.get<std::string>() : value.dump());
}
std::string text_or(const json& value, const char* otherwise) { return value.is_null() ? otherwise : text_of(value); }

std::string guard_text(const json& g, bool colour) {
  const bool blocked = g.at("blocked").get<bool>();
  std::string out = std::string("guard   ") + (blocked && colour ? "\033[31mblocked\033[0m"
                                               : blocked         ? "blocked"
                                                                 : "open");
  if (g.at("since_seconds").is_null()) return out + (blocked ? " for the first second\n" : "\n");
  out += " (" + text_of(g.at("since_seconds")) + " s): ";
  if (g.at("peer").is_null()) return out + "our own LAN loops; see the log for what to do\n";
  out += text_of(g.at("peer")) + " is reached by our LAN as well as by the overlay";
  return out + (blocked ? ", so no frame passes here\n" : ", and blocks its side\n");
}

// Nothing where nothing was measured.
std::string way_text(const json& p) {
  std::array<char, 64> text{};
  const json rtt = p.value("rtt_ms", json());
  const json loss = p.value("ping_loss", json());
  if (rtt.is_number()) std::snprintf(text.data(), text.size(), ", round trip %.2f ms", rtt.get<double>());
  std::string out = text.data();
  if (loss.is_number() && loss.get<double>() > 0) {
    std::snprintf(text.data(), text.size(), ", %.0f %% of pings lost", 100 * loss.get<double>());
    out += text.data();
  }
  return out;
}

std::string peer_text(const json& p, bool colour) {
  const auto state = text_of(p.at("state"));
  const char* paint = state == "established" ? "\033[32m" : state == "unreachable" ? "\033[31m" : "\033[33m";
  std::string out = "peer    " + text_of(p.at("name")) + "  " + (colour ? paint + state + "\033[0m" : state) + "  " +
                    text_or(p.at("endpoint"), "(no endpoint)");
  if (!p.at("cipher").is_null()) out += "  " + text_of(p.at("cipher"));
  if (!p.at("last_handshake_seconds").is_null()) {
    out += "  handshake " + text_of(p.at("last_handshake_seconds")) + " s ago";
  }
  out += "\n        received " + amount(p.at("rx_bytes")) + " in " + text_of(p.at("rx_frames")) + " frames, sent " +
         amount(p.at("tx_bytes")) + " in " + text_of(p.at("tx_frames")) + " frames, path MTU " +
         text_of(p.at("path_mtu")) + way_text(p) + "\n";
  if (!p.at("hint").is_null()) out += "        " + text_of(p.at("hint")) + "\n";
  return out;
}

}  // namespace

// The node that sent this may be in an attacker's hand, and what we print goes to root's terminal.
std::string printable(std::string text) {
  for (char& c : text) c = c < ' ' || c > '~' ? '?' : c;
  return text;
}

json status_json(const node_setup& setup, const core::node& node, time_point started, time_point now) {
  const core::lane& lane = node.data_plane();
  json j;
  j["schema"] = 1;
  j["instance"] = setup.instance;
  j["version"] = LANLOOM_VERSION;
  j["uptime_seconds"] = whole_seconds(now - started);
  const host_report& host = setup.host;
  j["config"] = {{"generation", host.generation},
                 {"error", host.error.empty() ? json(nullptr) : json(host.error)},
                 {"file", host.config_file},
                 {"reloads", host.reloads}};
  j["node"] = {
      {"name", setup.name}, {"public_key", crypto::to_base64(setup.keys.public_half)}, {"listen", setup.listen}};
  const core::traffic& t = lane.tap();
  // rx is towards this host: what was written to the TAP.
  j["tap"] = {{"name", setup.tap},
              {"mtu", setup.mtu},
              {"rx_frames", t.rx_frames},
              {"tx_frames", t.tx_frames},
              {"rx_bytes", t.rx_bytes},
              {"tx_bytes", t.tx_bytes},
              {"offloads", names_of_tap_offloads(setup.offloads)}};
  j["underlay"] = {{"offloads", names_of_udp_offloads(setup.offloads)}};
  j["bridge"] = {{"name", setup.bridge}, {"created", setup.bridge_created}};
  j["host"] = {{"corrections", host.corrections}, {"problems", host.problems}};
  j["peers"] = json::array();
  for (const auto& p : node.peers(now)) j["peers"].push_back(peer_json(p, setup));
  j["fdb"] = {{"entries", lane.table().size(now)}, {"capacity", core::fdb::capacity}};
  j["guard"] = guard_json(lane.loops(), setup, now);
  json drops = json::object();
  for (std::size_t i = 1; i < drop_reasons; ++i) {
    const auto reason = static_cast<drop>(i);
    drops[std::string(to_string(reason))] = lane.drops()[reason];
  }
  j["drops"] = std::move(drops);
  return j;
}

// As a tree, a full table would hold up the event loop eight times as long.
std::string fdb_json(const node_setup& setup, const core::node& node, time_point now) {
  constexpr std::size_t most_of_entry = 64;  // without the peer's name
  const auto entries = node.data_plane().table().entries(now);
  std::vector<std::string> names;
  std::size_t longest_name = 0;
  for (const auto& p : setup.peers) {
    names.push_back(json(p.name).dump());
    longest_name = std::max(longest_name, names.back().size());
  }
  std::string text = R"({"schema":1,"instance":)" + json(setup.instance).dump() + R"(,"entries":[)";
  text.reserve(text.size() + entries.size() * (most_of_entry + longest_name) + 2);
  for (const auto& e : entries) {
    if (text.back() != '[') text += ',';
    text.append(R"({"mac":")").append(mac_text(e.mac)).append(R"(","vlan":)").append(std::to_string(e.vlan));
    text.append(R"(,"peer":)").append(e.where.peer ? names[e.where.peer->value] : "null");
    text.append(R"(,"age_seconds":)").append(std::to_string(whole_seconds(now - e.seen))).append("}");
  }
  return text += "]}";
}

std::string status_text(const json& s, bool colour) {
  const json& node = s.at("node");
  const json& tap = s.at("tap");
  std::string out = text_of(s.at("instance")) + "  lanloom " + text_of(s.at("version")) + ", up " +
                    text_of(s.at("uptime_seconds")) + " s\n";
  out += "node    " + text_of(node.at("name")) + "  " + text_of(node.at("public_key")) + "  listens on " +
         text_of(node.at("listen")) + "\n";
  out += "bridge  " + text_of(s.at("bridge").at("name")) + "  TAP " + text_of(tap.at("name")) + ", MTU " +
         text_of(tap.at("mtu")) + ", addresses known " + text_of(s.at("fdb").at("entries")) + " of " +
         text_of(s.at("fdb").at("capacity")) + "\n";
  if (const json error = s.at("config").value("error", json(nullptr)); !error.is_null()) {
    out += "config  the last reload was refused: " + text_of(error) + "\n";
  }
  if (s.contains("host")) {
    for (const json& problem : s.at("host").at("problems")) out += "host    " + text_of(problem) + "\n";
  }
  if (const json g = s.value("guard", json()); !g.is_null()) out += guard_text(g, colour);
  for (const json& p : s.at("peers")) out += peer_text(p, colour);
  std::string drops;
  for (const auto& [reason, count] : s.at("drops").items()) {
    if (count.get<std::uint64_t>() == 0) continue;
    drops += (drops.empty() ? "" : ", ") + printable(reason) + " " + text_of(count);
    // On a start there are always some, and they look like a fault.
    if (reason == to_string(drop::no_session)) drops += " (frames for a peer while no session with it was up)";
  }
  out += "drops   " + (drops.empty() ? std::string("none") : drops) + "\n";
  return out;
}

std::string fdb_text(const json& f) {
  std::string out = "MAC                VLAN  WHERE             AGE\n";
  for (const json& e : f.at("entries")) {
    std::string where = text_or(e.at("peer"), "here");
    where.resize(std::max<std::size_t>(where.size(), 16), ' ');
    std::array<char, 48> mac{};
    std::array<char, 32> age{};
    std::snprintf(mac.data(), mac.size(), "%-17.17s  %4d  ", text_of(e.at("mac")).c_str(), e.at("vlan").get<int>());
    std::snprintf(age.data(), age.size(), "  %3lld s\n",
                  static_cast<long long>(e.at("age_seconds").get<std::int64_t>()));
    out += mac.data() + where + age.data();
  }
  return out;
}

bool all_established(const json& status) {
  for (const json& p : status.at("peers")) {
    const bool called = !p.at("endpoint").is_null() || p.value("named", false);
    if (called && p.at("state") != "established") return false;
  }
  return true;
}

}  // namespace lanloom::app
