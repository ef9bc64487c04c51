// SPDX-License-Identifier: Apache-2.0
#include "node_pair.hpp"

#include <doctest/doctest.h>
#include <lanloom/app/status.hpp>
#include <lanloom/wire/probe.hpp>

#include <nlohmann/json.hpp>

using namespace lanloom;
using namespace lanloom::app;
using namespace lanloom::app::test;
using namespace std::chrono_literals;
using json = nlohmann::ordered_json;

namespace {

json status_of(const node_pair& pair, time_point started) {
  return status_json(pair.alpha_setup, *pair.alpha, started, pair.at.now);
}

std::vector<std::string> keys_of_object(const json& object) {
  std::vector<std::string> keys;
  for (const auto& item : object.items()) keys.push_back(item.key());
  return keys;
}

bool is_count(const json& value) { return value.is_number_unsigned() || (value.is_number_integer() && value >= 0); }

// Established, with a frame each way.
node_pair talking_pair() {
  node_pair pair;
  pair.pass(1s);
  core::outbox out;
  feed_frame(*pair.alpha, example_frame(9, 8), pair.at.now, out);
  REQUIRE(out.trains().size() == 1);
  std::vector<std::uint8_t> there(out.trains()[0].bytes.begin(), out.trains()[0].bytes.end());
  out.clear();
  pair.beta->on_datagrams({there, there.size()}, pair.alpha_address, pair.at.now, out);
  REQUIRE(out.frames().size() == 1);
  out.clear();
  feed_frame(*pair.beta, example_frame(8, 9, 200), pair.at.now, out);
  REQUIRE(out.trains().size() == 1);
  std::vector<std::uint8_t> back(out.trains()[0].bytes.begin(), out.trains()[0].bytes.end());
  out.clear();
  pair.alpha->on_datagrams({back, back.size()}, pair.beta_address, pair.at.now, out);
  REQUIRE(out.frames().size() == 1);
  return pair;
}

}  // namespace

TEST_CASE("status: every key of schema 1 is there, in order, with its type") {
  const node_pair pair = talking_pair();
  const json s = status_of(pair, pair.at.now - 12s);
  CHECK(keys_of_object(s) == std::vector<std::string>{"schema", "instance", "version", "uptime_seconds", "config",
                                                      "node", "tap", "underlay", "bridge", "host", "peers", "fdb",
                                                      "guard", "drops"});
  CHECK(s["schema"] == 1);
  CHECK(s["instance"] == "lan");
  CHECK(s["version"] == LANLOOM_VERSION);
  CHECK(s["uptime_seconds"] == 12);
  CHECK(s["config"] == json{{"generation", 1}, {"error", nullptr}, {"file", ""}, {"reloads", 0}});
  CHECK(s["node"] ==
        json{{"name", "alpha"}, {"public_key", crypto::to_base64(keys_of(1).public_half)}, {"listen", "[::]:4780"}});
  CHECK(s["tap"] == json{{"name", "vtap0"},
                         {"mtu", 1500},
                         {"rx_frames", 1},
                         {"tx_frames", 1},
                         {"rx_bytes", 200},
                         {"tx_bytes", 100},
                         {"offloads", {"checksum", "tso4", "tso6", "uso"}}});
  CHECK(s["underlay"] == json{{"offloads", {"gso", "gro"}}});
  CHECK(s["bridge"] == json{{"name", "br-lan"}, {"created", true}});
  CHECK(s["host"] == json{{"corrections", 0}, {"problems", json::array()}});
  CHECK(s["fdb"] == json{{"entries", 2}, {"capacity", 65536}});
  CHECK(s["guard"].is_null());

  REQUIRE(s["peers"].size() == 1);
  const json& p = s["peers"][0];
  for (const char* key : {"name", "public_key", "state", "endpoint", "cipher"}) {
    CAPTURE(key);
    CHECK(p.at(key).is_string());
  }
  for (const char* key : {"last_handshake_seconds", "path_mtu", "rx_bytes", "tx_bytes", "rx_frames", "tx_frames"}) {
    CAPTURE(key);
    CHECK(is_count(p.at(key)));
  }
  for (const char* key : {"rtt_ms", "rtt_min_ms", "ping_loss"}) CHECK(p.at(key).is_null());
  // It survives the way over the socket.
  CHECK(json::parse(s.dump()) == s);
}

TEST_CASE("status: an established peer") {
  const node_pair pair = talking_pair();
  const json p = status_of(pair, pair.at.now)["peers"][0];
  CHECK(p["name"] == "beta");
  CHECK(p["public_key"] == crypto::to_base64(keys_of(2).public_half));
  CHECK(p["state"] == "established");
  CHECK(p["endpoint"] == "192.168.50.5:4780");
  CHECK(p["cipher"].get<std::string>().starts_with("chacha20-poly1305"));
  CHECK(p["last_handshake_seconds"] <= 1);
  CHECK(p["path_mtu"] == 1280);
  CHECK(p["tx_frames"] == 1);
  CHECK(p["tx_bytes"] == 100);
  CHECK(p["rx_frames"] == 1);
  CHECK(p["rx_bytes"] == 200);
  CHECK(p["lan_mtu"] == 1500);
  CHECK(p["last_received_seconds"].is_number());
  CHECK(p["hint"].is_null());
}

TEST_CASE("status: a silent peer, first being called, then unreachable, with what to check") {
  node_pair pair;
  pair.settle(false);
  json p = status_of(pair, pair.at.now)["peers"][0];
  CHECK(p["state"] == "handshaking");
  CHECK(p["hint"].is_null());  // too early to worry anybody
  for (const char* key : {"cipher", "last_handshake_seconds", "rtt_ms", "last_received_seconds", "lan_mtu"}) {
    CAPTURE(key);
    CHECK(p.at(key).is_null());
  }
  pair.pass(120s, false);
  p = status_of(pair, pair.at.now)["peers"][0];
  CHECK(p["state"] == "unreachable");
  const auto hint = p["hint"].get<std::string>();
  CAPTURE(hint);
  CHECK(hint.starts_with("no answer from 192.168.50.5:4780 to "));
  for (const char* word : {"firewall", "bad_mac1", "unknown_peer", "bad_handshake", "network secret",
                           "stale_handshake that our clock was set back or our state lost",
                           "no_common_suite that [node] cipher here and there have none in common"}) {
    CAPTURE(word);
    CHECK(hint.find(word) != std::string::npos);
  }
}

TEST_CASE("status: a peer that is to call us and has not") {
  node_setup setup = example_setup("alpha", 1, "beta", 2, std::nullopt);
  const instant at{time_point(1h), wall_time(500'000h)};
  const auto node = make_node(setup, at);
  const json s = status_json(setup, *node, at.now, at.now);
  const json& p = s["peers"][0];
  CHECK(p["state"] == "idle");
  CHECK(p["endpoint"].is_null());
  CHECK(p["hint"].get<std::string>().find("has not called") != std::string::npos);
  CHECK(all_established(s));  // nothing to wait for
}

TEST_CASE("status: a peer whose LAN has another MTU") {
  node_pair pair(9000);
  pair.pass(1s);
  const json p = status_of(pair, pair.at.now)["peers"][0];
  CHECK(p["state"] == "established");
  CHECK(p["lan_mtu"] == 9000);
  CHECK(p["hint"] == "its LAN MTU is 9000, ours 1500: set the same [tap] mtu on all hosts");
}

TEST_CASE("status: the guard in the first second, open, blocked by a peer, and by our own LAN") {
  node_setup setup = example_setup("alpha", 1, "beta", 2, std::nullopt);
  setup.guard = true;
  const instant at{time_point(1h), wall_time(500'000h)};
  const auto node = make_node(setup, at);
  core::outbox out;
  const auto probe_of = [](const node_setup& s) {
    wire::loop_probe p;
    p.network = core::network(s.network, std::nullopt).id();
    p.sender = s.keys.public_half.bytes;
    std::vector<std::uint8_t> frame(wire::probe_size);
    wire::format_probe(std::span<std::uint8_t, wire::probe_size>(frame.data(), frame.size()), {{2, 1, 1, 1, 1, 1}}, p);
    return frame;
  };
  const auto line = [&](time_point now, bool colour = false) {
    const std::string text = status_text(status_json(setup, *node, at.now, now), colour);
    const auto from = text.find("guard ");
    return text.substr(from, text.find('\n', from) - from);
  };
  const auto guard_at = [&](time_point now) { return status_json(setup, *node, at.now, now)["guard"]; };

  CHECK(guard_at(at.now) == json{{"blocked", true}, {"peer", nullptr}, {"since_seconds", nullptr}});
  CHECK(line(at.now) == "guard   blocked for the first second");
  const time_point later = at.now + 5s;
  CHECK(guard_at(later) == json{{"blocked", false}, {"peer", nullptr}, {"since_seconds", nullptr}});
  CHECK(line(later) == "guard   open");

  const bool ours_blocks = setup.peers[0].key < setup.keys.public_half;
  feed_frame(*node, probe_of(example_setup("beta", 2, "alpha", 1, std::nullopt)), later, out);
  CHECK(guard_at(later + 2s) == json{{"blocked", ours_blocks}, {"peer", "beta"}, {"since_seconds", 2}});
  CHECK(line(later + 2s) == (ours_blocks ? "guard   blocked (2 s): beta is reached by our LAN as well as by the "
                                           "overlay, so no frame passes here"
                                         : "guard   open (2 s): beta is reached by our LAN as well as by the "
                                           "overlay, and blocks its side"));
  node->on_timer({later + 4s, at.wall + 9s}, out);
  CHECK(line(later + 4s) == "guard   open");
  feed_frame(*node, probe_of(setup), later + 5s, out);
  CHECK(guard_at(later + 8s) == json{{"blocked", true}, {"peer", nullptr}, {"since_seconds", 3}});
  CHECK(line(later + 8s) == "guard   blocked (3 s): our own LAN loops; see the log for what to do");
  CHECK(line(later + 8s, true).starts_with("guard   \033[31mblocked\033[0m (3 s)"));
}

TEST_CASE("status: of a node that is older and knows no guard") {
  const node_pair pair = talking_pair();
  json s = status_of(pair, pair.at.now);
  s.erase("guard");
  CHECK(status_text(s, false).find("guard") == std::string::npos);
}

TEST_CASE("status: the drops are every reason by name, and they count") {
  node_pair pair = talking_pair();
  pair.alpha->on_lost(drop::tap_down, 3);
  pair.alpha->on_lost(drop::send_too_large, 5'000'000'000);
  const json drops = status_of(pair, pair.at.now)["drops"];
  CHECK(drops.size() == drop_reasons - 1);
  for (std::size_t i = 1; i < drop_reasons; ++i) {
    const std::string name(to_string(static_cast<drop>(i)));
    CAPTURE(name);
    REQUIRE(drops.contains(name));
    CHECK(is_count(drops[name]));
  }
  CHECK(!drops.contains("none"));
  CHECK(drops["tap_down"] == 3);
  CHECK(drops["send_too_large"] == 5'000'000'000);
  CHECK(drops["bad_tag"] == 0);
}

TEST_CASE("status: all are established when every peer with an endpoint is") {
  const auto with = [](json peers) { return json{{"peers", std::move(peers)}}; };
  const json up{{"endpoint", "192.0.2.1:1"}, {"state", "established"}};
  const json trying{{"endpoint", "192.0.2.2:1"}, {"state", "handshaking"}};
  const json calls_us{{"endpoint", nullptr}, {"state", "idle"}};
  const json nameless{{"endpoint", nullptr}, {"state", "idle"}, {"named", true}};
  CHECK(!all_established(with(json::array({up, nameless}))));
  CHECK(all_established(with(json::array())));
  CHECK(all_established(with(json::array({up, calls_us}))));
  CHECK(!all_established(with(json::array({up, trying}))));
  for (const char* state : {"idle", "unreachable", "something new"}) {
    CHECK(!all_established(with(json::array({json{{"endpoint", "192.0.2.2:1"}, {"state", state}}}))));
  }
  CHECK_THROWS_AS(static_cast<void>(all_established(json{{"nothing", 1}})), nlohmann::json::exception);
}

TEST_CASE("status: a path that was measured") {
  node_pair pair = talking_pair();
  pair.pass(1s);
  const json p = status_of(pair, pair.at.now)["peers"][0];
  CHECK(p["path_mtu"] == 1586);
  CHECK(p["rtt_ms"] == 0.0);
  CHECK(p["rtt_min_ms"] == 0.0);
  CHECK(p["ping_loss"] == 0.0);
}

TEST_CASE("status: as text, in colour and without") {
  node_pair pair = talking_pair();
  pair.alpha->on_lost(drop::tap_down, 3);
  json s = status_of(pair, pair.at.now - 12s);
  const std::string key = crypto::to_base64(keys_of(1).public_half);
  const std::string plain = "lan  lanloom " LANLOOM_VERSION
                            ", up 12 s\n"
                            "node    alpha  " +
                            key +
                            "  listens on [::]:4780\n"
                            "bridge  br-lan  TAP vtap0, MTU 1500, addresses known 2 of 65536\n"
                            "peer    beta  established  192.168.50.5:4780  " +
                            s["peers"][0]["cipher"].get<std::string>() + "  handshake " +
                            s["peers"][0]["last_handshake_seconds"].dump() +
                            " s ago\n"
                            "        received 200 B in 1 frames, sent 100 B in 1 frames, path MTU 1280\n"
                            "drops   tap_down 3\n";
  CHECK(status_text(s, false) == plain);
  CHECK(plain.find('\033') == std::string::npos);

  std::string painted = status_text(s, true);
  const std::string green = "\033[32mestablished\033[0m";
  const auto at = painted.find(green);
  REQUIRE(at != std::string::npos);
  painted.replace(at, green.size(), "established");
  CHECK(painted == plain);

  s["drops"] = {{"bad_tag", 0}};
  CHECK(status_text(s, false).ends_with("drops   none\n"));
  auto& p = s["peers"][0];
  p["state"] = "unreachable";
  p["endpoint"] = nullptr;
  p["cipher"] = nullptr;
  p["last_handshake_seconds"] = nullptr;
  p["hint"] = "look there";
  p["rx_bytes"] = 1536;
  p["tx_bytes"] = 5'000'000'000'000;
  const std::string sad = status_text(s, true);
  CHECK(sad.find("peer    beta  \033[31munreachable\033[0m  (no endpoint)\n") != std::string::npos);
  CHECK(sad.find("received 1.5 KiB in 1 frames, sent 4.5 TiB in") != std::string::npos);
  CHECK(sad.find("\n        look there\n") != std::string::npos);
  p["path_mtu"] = 1400;
  p["rtt_ms"] = 12.5;
  p["ping_loss"] = 0.0;
  CHECK(status_text(s, false).find("frames, path MTU 1400, round trip 12.50 ms\n") != std::string::npos);
  p["ping_loss"] = 0.25;
  CHECK(status_text(s, false).find(", round trip 12.50 ms, 25 % of pings lost\n") != std::string::npos);
  p["state"] = "handshaking";
  CHECK(status_text(s, true).find("\033[33mhandshaking\033[0m") != std::string::npos);
  s["drops"] = {{"no_session", 4}, {"bad_tag", 1}};
  CHECK(status_text(s, false).ends_with(
      "drops   no_session 4 (frames for a peer while no session with it was up), bad_tag 1\n"));
  CHECK_THROWS_AS(static_cast<void>(status_text(json::object(), false)), nlohmann::json::exception);
}

TEST_CASE("status: what a node sends cannot steer the terminal") {
  node_pair pair = talking_pair();
  const std::string escape = "\x1b]0;x\x07\n\x7f\xc2\x9b";
  const auto poison = [&](json& j, const auto& again) -> void {
    for (auto& value : j) {
      if (value.is_string()) value = escape;
      if (value.is_structured()) again(value, again);
    }
  };
  json s = status_of(pair, pair.at.now);
  poison(s, poison);
  s["peers"][0]["hint"] = escape;
  s["peers"][0]["path_mtu"] = escape;
  s["drops"][escape] = 1;
  json f = json::parse(fdb_json(pair.alpha_setup, *pair.alpha, pair.at.now));
  poison(f, poison);
  const auto lines = std::count(s["peers"].begin(), s["peers"].end(), s["peers"][0]) * 3 + 4;
  const auto text = status_text(s, false);
  CHECK(std::count(text.begin(), text.end(), '\n') == lines);
  for (const char c : text + fdb_text(f)) CHECK((c == '\n' || (c >= ' ' && c <= '~')));
}

TEST_CASE("status: the FDB as JSON and as text") {
  node_pair pair = talking_pair();
  pair.at.now += 7s;
  const json f = json::parse(fdb_json(pair.alpha_setup, *pair.alpha, pair.at.now));
  CHECK(f["schema"] == 1);
  CHECK(f["instance"] == "lan");
  REQUIRE(f["entries"].size() == 2);
  CHECK(f["entries"][0] == json{{"mac", "02:00:00:00:00:09"}, {"vlan", 0}, {"peer", "beta"}, {"age_seconds", 7}});
  CHECK(f["entries"][1] == json{{"mac", "02:00:00:00:00:08"}, {"vlan", 0}, {"peer", nullptr}, {"age_seconds", 7}});
  CHECK(fdb_text(f) ==
        "MAC                VLAN  WHERE             AGE\n"
        "02:00:00:00:00:09     0  beta                7 s\n"
        "02:00:00:00:00:08     0  here                7 s\n");

  json long_name = f;
  long_name["entries"][0]["peer"] = std::string(200, 'n');
  const std::string text = fdb_text(long_name);
  CHECK(text.find(std::string(200, 'n') + "    7 s\n") != std::string::npos);
}
