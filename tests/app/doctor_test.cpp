// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/app/bridge_forwards.hpp>
#include <lanloom/app/doctor.hpp>
#include <lanloom/app/doctor_checks.hpp>
#include <lanloom/crypto/aead.hpp>
#include <lanloom/crypto/gcm_engine.hpp>
#include <lanloom/crypto/keys.hpp>

#include "example_host.hpp"
#include "os/partner.hpp"

#include <algorithm>
#include <iostream>

using namespace lanloom;
using namespace lanloom::app;
using os::on_own_host;
using os::output_of;

namespace {
using nlohmann::json;

// The worst finding of a check, as "FAIL"; empty when there is none.
std::string verdict_of(const std::vector<finding>& found, const std::string& check) {
  const finding* worst = nullptr;
  for (const auto& f : found) {
    if (f.check == check && (worst == nullptr || f.result > worst->result)) worst = &f;
  }
  return worst == nullptr ? "" : std::string(to_string(worst->result));
}

finding first_failure(const std::vector<finding>& found, const std::string& check) {
  for (const auto& f : found) {
    if (f.check == check && f.result != finding::verdict::pass) return f;
  }
  FAIL("no finding of " << check << ": " << findings_text(found, false));
  return {};
}

config alpha() { return example("alpha", two_hosts_alpha); }
std::vector<finding> look() { return diagnose(alpha(), occasion::starting); }

// What a running instance `alpha` makes, without the node.
void make_bridge() {
  shell(
      "ip link add br-lan type bridge; ip link set br-lan mtu 1499; ip link set br-lan mtu 1500 alias lanloom:alpha; "
      "ip addr add 10.5.0.1/16 dev br-lan; "
      "ip link set br-lan up; ip tuntap add vtap0 mode tap; ip link set vtap0 alias lanloom:alpha master br-lan up; "
      "ip link add veth10 type veth peer name veth11; ip link set veth10 alias lanloom:alpha master br-lan up");
}
void remove_bridge() { shell("ip link del br-lan; ip link del veth10; ip tuntap del vtap0 mode tap"); }

// Of the programs that can be called by that name, an installation chooses one.
const os::partner iptables_package{"iptables", "/usr/sbin/iptables-nft",
                                   "ln -sf iptables-nft usr/sbin/iptables && ln -sf ip6tables-nft usr/sbin/ip6tables"};

void on_host_with_iptables(const std::function<void()>& body) {
  if (!iptables_package.have()) return;
  on_own_host([&] {
    iptables_package.use();
    body();
  });
}

json status_with(const char* state, const char* endpoint, const char* drop) {
  json drops = {{"bad_mac1", 0}, {"unknown_peer", 0}, {"bad_handshake", 0}, {"stale_handshake", 0}};
  if (*drop != '\0') drops[drop] = 3;
  return {
      {"node", {{"public_key", "KEY"}}},
      {"drops", drops},
      {"peers",
       json::array(
           {{{"name", "beta"}, {"state", state}, {"endpoint", *endpoint == '\0' ? json(nullptr) : json(endpoint)}}})}};
}
finding judged(const char* state, const char* endpoint, const char* drop = "", bool routed = true) {
  const auto found = judge_peers(status_with(state, endpoint, drop), alpha(), [&](const auto&) { return routed; });
  REQUIRE(found.size() == 1);
  return found.front();
}
}  // namespace

TEST_CASE("every check reports under its name, in JSON and in text") {
  const auto c = alpha();
  std::string names;
  for (const auto& f : json::parse(findings_json(diagnose(c, occasion::asked)))) {
    const auto name = f.at("check").get<std::string>() + "\n";
    if (!names.ends_with("\n" + name) && names != name) names += name;
    CHECK(f.at("what").is_string());
    CHECK((f.at("cure").is_string() || f.at("cure").is_null()));
    CHECK(f.at("fixable").is_boolean());
    CHECK((f.at("verdict") == "PASS") == f.at("cure").is_null());
  }
  CHECK(names == golden("doctor.checks"));
}

TEST_CASE("findings as text and as lines for the end of a start") {
  const std::vector<finding> found{{finding::verdict::pass, "nft", "nft is there", "", false},
                                   {finding::verdict::fail, "rp-filter", "it is \x1bstrict", "sysctl -w a=2", true},
                                   {finding::verdict::warn, "udp-port", "seems shut", "open it", false}};
  CHECK(findings_text(found, false) ==
        "PASS  nft               nft is there\n"
        "FAIL  rp-filter         it is ?strict\n"
        "                        cure: sysctl -w a=2   (or --fix)\n"
        "WARN  udp-port          seems shut\n"
        "                        cure: open it\n"
        "1 FAIL, 1 WARN, 1 PASS\n");
  CHECK(findings_text(found, true).find("\033[31mFAIL\033[0m  rp-filter") != std::string::npos);
  CHECK(failures(found) == std::vector<std::string>{"it is ?strict (cure: sysctl -w a=2)"});
}

TEST_CASE("what the kernel offers is judged") {
  const auto verdict = [](const os::kernel_offloads& f, const char* check) {
    return verdict_of(judge_offloads(f), check);
  };
  CHECK(verdict({all_tap_offloads, true, true}, "kernel-tap") == "PASS");
  CHECK(verdict({all_tap_offloads, true, true}, "kernel-udp") == "PASS");
  CHECK(verdict({{true, true, true, false}, true, true}, "kernel-tap") == "WARN");
  CHECK(verdict({{true, true, false, true}, true, true}, "kernel-tap") == "WARN");
  CHECK(verdict({{true, false, true, true}, true, true}, "kernel-tap") == "WARN");
  CHECK(verdict({{}, true, true}, "kernel-tap") == "WARN");
  CHECK(verdict({all_tap_offloads, false, true}, "kernel-udp") == "WARN");
  CHECK(verdict({all_tap_offloads, true, false}, "kernel-udp") == "WARN");
  CHECK(verdict_of(judge_offloads(std::nullopt), "kernel-tap") == "WARN");
  CHECK(verdict_of(judge_offloads(std::nullopt), "kernel-udp") == "WARN");
}

TEST_CASE("a firewall that a program did not tell of is unreadable, not somebody else's") {
  const std::string docker =
      R"({"nftables": [{"table": {"family": "ip", "name": "filter"}},)"
      R"({"chain": {"family": "ip", "table": "filter", "name": "FORWARD", "type": "filter", "hook": "forward",)"
      R"( "prio": 0, "policy": "drop"}}]})";
  enum class mood { tells, refuses, busy, slow, absent };
  const auto read = [&](mood iptables, bool has_older = false) {
    const auto ask = [&, iptables](const std::string& name, const std::vector<std::string>& arguments,
                                   std::chrono::milliseconds) -> std::optional<os::program_result> {
      if (name == "nft") return os::program_result{0, docker, ""};
      if (arguments.front() == "--version") return os::program_result{0, name + " v1.8.9 (nf_tables)", ""};
      switch (iptables) {
        case mood::tells:
          return os::program_result{0, "-P FORWARD DROP\n", ""};
        case mood::refuses:
          return os::program_result{1, "", "table `filter' is incompatible, use 'nft' tool."};
        case mood::busy:
          return os::program_result{4, "", "Another app is currently holding the xtables lock."};
        case mood::slow:
          throw std::system_error(std::make_error_code(std::errc::timed_out), name);
        case mood::absent:
          break;
      }
      return std::nullopt;
    };
    return read_firewall(ask, [has_older](bool) { return has_older; });
  };
  packet_kind p;
  p.in = p.out = "br-lan";
  const auto kind = [&](mood iptables) { return read(iptables)->blocks(filter_hook::forward, p).value().kind; };
  CHECK(kind(mood::tells) == filter_kind::iptables);
  CHECK(kind(mood::refuses) == filter_kind::nft);
  CHECK(kind(mood::absent) == filter_kind::nft);
  CHECK_THROWS_AS(read(mood::slow), std::system_error);
  CHECK_THROWS_AS(read(mood::busy), std::runtime_error);
  CHECK_THROWS_AS(read(mood::slow, true), std::system_error);
  const auto no_nft = [](const auto&...) { return std::optional<os::program_result>({2, "", "not permitted"}); };
  CHECK(read_firewall(no_nft, [](bool) { return false; }) == nullptr);
}

TEST_CASE("a node that runs as nobody is warned of") {
  CHECK(judge_node_user({987, 987}).result == finding::verdict::pass);
  const auto f = judge_node_user({});
  CHECK(f.result == finding::verdict::warn);
  CHECK(f.what.find("nobody") != std::string::npos);
  CHECK(f.cure.starts_with("useradd --system "));
  CHECK(verdict_of(look(), "node-user") == to_string(judge_node_user(os::find_identity()).result));
}

TEST_CASE("nft, cipher and clock are judged") {
  crypto::initialise();
  using verdict = finding::verdict;
  CHECK(judge_nft("nftables v1.0.6 (Lester Gooch #5)\n", true).result == verdict::pass);
  CHECK(judge_nft("nftables v0.9.8 (E.D.S.)\n", true).result == verdict::fail);
  CHECK(judge_nft("something else\n", true).result == verdict::warn);
  CHECK(judge_nft("", true).result == verdict::fail);
  CHECK(judge_nft("", false).result == verdict::warn);
  CHECK(judge_cipher(cipher_choice::automatic, offload_choice::automatic, true).result == verdict::pass);
  CHECK(judge_cipher(cipher_choice::automatic, offload_choice::automatic, false).result == verdict::warn);
  CHECK(judge_cipher(cipher_choice::aes_256_gcm, offload_choice::automatic, false).result == verdict::fail);
  CHECK(judge_cipher(cipher_choice::chacha20_poly1305, offload_choice::automatic, false).result == verdict::pass);
  const auto by = [](offload_choice accelerator) {
    return judge_cipher(cipher_choice::automatic, accelerator, true).what;
  };
  if (crypto::available(crypto::suite::aes_256_gcm)) {
    CHECK(by(offload_choice::off).ends_with("by libsodium: libipsec-mb is not used, it is switched off"));
  }
  const bool accelerated = crypto::gcm_engine::choose(crypto::accelerator::on).accelerated();
  CHECK(by(offload_choice::on).ends_with("by libipsec-mb") == accelerated);
  for (const auto choice : {cipher_choice::automatic, cipher_choice::chacha20_poly1305}) {
    CHECK(judge_cipher(choice, offload_choice::on, true).result == (accelerated ? verdict::pass : verdict::fail));
  }
  CHECK(judge_clock(wall_time(std::chrono::hours(24))).result == verdict::warn);
  CHECK(judge_clock(wall_time(std::chrono::seconds(1800000000))).result == verdict::pass);
}

TEST_CASE("a peer that does not answer gets a reason") {
  CHECK(judged("established", "192.168.50.5:4780").result == finding::verdict::pass);
  CHECK(judged("idle", "192.168.50.5:4780").result == finding::verdict::pass);
  CHECK(judged("handshaking", "192.168.50.5:4780").result == finding::verdict::warn);
  const auto silent = judged("unreachable", "192.168.50.5:4780");
  CHECK(silent.result == finding::verdict::fail);
  CHECK(silent.what == "peer beta is unreachable: no answer from 192.168.50.5:4780");
  CHECK(silent.cure == "on beta: lanloom doctor, and let UDP port 4780 through the firewalls between");
  CHECK(judged("unreachable", "192.168.50.5:4780", "bad_mac1").what.find("network secret") != std::string::npos);
  CHECK(judged("unreachable", "192.168.50.5:4780", "unknown_peer").what.find("does not list") != std::string::npos);
  CHECK(judged("unreachable", "192.168.50.5:4780", "bad_handshake").what.find("preshared") != std::string::npos);
  CHECK(judged("unreachable", "192.168.50.5:4780", "stale_handshake").what.find("clock") != std::string::npos);
  const auto far = judged("unreachable", "192.168.50.5:4780", "", false);
  CHECK(far.what == "peer beta: this host has no route to 192.168.50.5");
  CHECK(far.cure == "ip route get 192.168.50.5");
  CHECK(judged("handshaking", "").what == "peer beta has no endpoint here and has not called");
  auto named = alpha();
  named.peers.at(0).endpoints = {{"beta.example", {}}};
  const auto found = judge_peers(status_with("idle", "", ""), named, [](const auto&) { return true; });
  CHECK(found.at(0).result == finding::verdict::fail);
  CHECK(found.at(0).what == "peer beta: beta.example gives no address that can be used");
  CHECK(found.at(0).cure == "getent ahosts beta.example");
}

TEST_CASE("the device of TAPs, missing and there") {
  on_own_host([] {
    CHECK(verdict_of(look(), "tun-device") == "PASS");
    shell("mount -t tmpfs none /dev/net");
    const auto f = first_failure(look(), "tun-device");
    CHECK(f.result == finding::verdict::fail);
    // The cure is one: it makes the device where the module is there.
    CHECK(output_of("( " + f.cure + " ) >/dev/null 2>&1; echo $?") == "0\n");
    CHECK(verdict_of(look(), "tun-device") == "PASS");
  });
}

TEST_CASE("missing rights are named") {
  on_own_host([] {
    CHECK(verdict_of(look(), "capabilities") == "PASS");
    give_up(CAP_SETPCAP);
    CHECK(first_failure(look(), "capabilities").what.find("CAP_SETPCAP") != std::string::npos);
    CHECK(verdict_of(look(), "forward-bridged") == "PASS");
    give_up(CAP_NET_ADMIN);
    const auto found = look();
    CHECK(first_failure(found, "capabilities").what.find("CAP_NET_ADMIN, CAP_SETPCAP") != std::string::npos);
    for (const char* check : {"forward-bridged", "forward-routed", "udp-port", "firewalld", "ufw"}) {
      CHECK(verdict_of(found, check) == "WARN");
    }
  });
}

TEST_CASE("an old nft, none, and one that never ends") {
  on_own_host([] {
    CHECK(verdict_of(look(), "nft") == "PASS");
    shell(
        "printf '#!/bin/sh\\necho nftables v0.9.8\\n' > /run/old; chmod +x /run/old; mount --bind /run/old "
        "/usr/sbin/nft");
    CHECK(verdict_of(look(), "nft") == "FAIL");
    shell("umount /usr/sbin/nft; chmod -x /run/old; mount --bind /run/old /usr/sbin/nft");
    CHECK(first_failure(look(), "nft").cure == "apt-get install nftables");
    shell(
        "umount /usr/sbin/nft; printf '#!/bin/sh\\nexec sleep 100\\n' > /run/slow; chmod +x /run/slow; "
        "mount --bind /run/slow /usr/sbin/nft");
    const auto began = std::chrono::steady_clock::now();
    const auto found = look();
    CHECK(verdict_of(found, "nft") == "WARN");
    CHECK(verdict_of(found, "forward-bridged") == "WARN");
    CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(20));  // 6 s, and a busy machine
    shell("umount /usr/sbin/nft");
  });
}

TEST_CASE("a FORWARD chain that drops is found, and the cure opens it") {
  on_host_with_iptables([] {
    make_example_host();
    make_bridge();
    CHECK(verdict_of(look(), "forward-bridged") == "PASS");
    CHECK(verdict_of(look(), "forward-routed") == "PASS");
    shell("iptables -P FORWARD DROP; ip6tables -P FORWARD DROP");
    auto found = look();
    CHECK(verdict_of(found, "forward-bridged") == "FAIL");
    CHECK(verdict_of(found, "forward-routed") == "FAIL");
    auto f = first_failure(found, "forward-bridged");
    CHECK(f.what == "IPv4 within br-lan is dropped by iptables chain FORWARD: its policy is DROP");
    CHECK(f.cure == "iptables -I FORWARD -i br-lan -o br-lan -j ACCEPT");
    CHECK(f.fixable);
    shell(
        "echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables; echo 0 > "
        "/proc/sys/net/bridge/bridge-nf-call-ip6tables");
    CHECK(verdict_of(look(), "forward-bridged") == "PASS");
    shell(
        "echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables; echo 1 > "
        "/proc/sys/net/bridge/bridge-nf-call-ip6tables");
    // By hand.
    shell(first_failure(found, "forward-routed").cure + "; ip6tables -I FORWARD -i br-lan -o br-lan -j ACCEPT");
    CHECK(verdict_of(look(), "forward-bridged") == "PASS");
    CHECK(verdict_of(look(), "forward-routed") == "PASS");
    // By --fix, and back.
    shell("iptables -F FORWARD; ip6tables -F FORWARD");
    const auto before = output_of("iptables-save | grep -v '^#'; ip6tables-save | grep -v '^#'");
    CHECK(apply_cures(alpha(), look()).size() == 2);
    CHECK(verdict_of(look(), "forward-bridged") == "PASS");
    CHECK(verdict_of(look(), "forward-routed") == "PASS");
    CHECK(withdraw_bridge_forwards("beta") == 0);
    CHECK(withdraw_bridge_forwards("alpha") == 4);
    CHECK(output_of("iptables-save | grep -v '^#'; ip6tables-save | grep -v '^#'") == before);
    remove_bridge();
  });
}

TEST_CASE("Docker's chain for others is where a cure goes") {
  on_host_with_iptables([] {
    make_bridge();
    shell(
        "iptables -P FORWARD DROP; iptables -N DOCKER-USER; iptables -A FORWARD -j DOCKER-USER; "
        "iptables -A DOCKER-USER -j RETURN; iptables -A FORWARD -i docker0 -j ACCEPT");
    CHECK(first_failure(look(), "forward-bridged").cure == "iptables -I DOCKER-USER -i br-lan -o br-lan -j ACCEPT");
    CHECK(apply_cures(alpha(), look()).size() == 1);
    CHECK(output_of("iptables -S DOCKER-USER").find("-i br-lan -o br-lan -m comment --comment \"lanloom:alpha\"") !=
          std::string::npos);
    CHECK(verdict_of(look(), "forward-bridged") == "PASS");
    remove_bridge();
  });
}

TEST_CASE("the older iptables is seen as well, and nothing of it is made by looking") {
  on_host_with_iptables([] {
    CHECK(verdict_of(look(), "forward-bridged") == "PASS");
    CHECK(output_of("cat /proc/net/ip_tables_names 2>/dev/null").empty());
    CHECK(output_of("nft list ruleset").empty());
    if (output_of("iptables-legacy -P FORWARD DROP 2>&1; cat /proc/net/ip_tables_names") != "filter\n") {
      std::cout << "skip the older iptables: this kernel has none\n";
      return;
    }
    const auto f = first_failure(look(), "forward-bridged");
    CHECK(f.what.find("dropped by iptables-legacy chain FORWARD") != std::string::npos);
    CHECK(!f.fixable);
    shell(f.cure);
    CHECK(verdict_of(look(), "forward-bridged") == "PASS");
  });
}

TEST_CASE("nft's own base chains: a policy, a reject as firewalld's, and family bridge") {
  on_own_host([] {
    make_example_host();
    make_bridge();
    shell("nft 'add table inet mine; add chain inet mine fw { type filter hook forward priority 0; policy drop; }'");
    auto f = first_failure(look(), "forward-bridged");
    CHECK(f.cure == "nft insert rule inet mine fw iifname \"br-lan\" oifname \"br-lan\" accept");
    CHECK(!f.fixable);
    shell(f.cure);
    CHECK(verdict_of(look(), "forward-bridged") == "PASS");
    CHECK(verdict_of(look(), "forward-routed") == "FAIL");
    shell(first_failure(look(), "forward-routed").cure);
    CHECK(verdict_of(look(), "forward-routed") == "PASS");
    shell(
        "nft 'delete table inet mine; add table inet firewalld; add chain inet firewalld filter_FORWARD { type filter "
        "hook forward priority 10; policy accept; }; add rule inet firewalld filter_FORWARD ct state "
        "established,related accept; add rule inet firewalld filter_FORWARD reject with icmpx admin-prohibited'");
    CHECK(first_failure(look(), "forward-bridged").cure ==
          "firewall-cmd --permanent --zone=trusted --add-interface=br-lan && firewall-cmd --reload");
    CHECK(verdict_of(look(), "firewalld") == "WARN");
    shell("nft 'insert rule inet firewalld filter_FORWARD iifname \"br-lan\" accept'");
    CHECK(verdict_of(look(), "firewalld") == "PASS");
    shell(
        "nft 'delete table inet firewalld; add table bridge b; add chain bridge b f { type filter hook forward "
        "priority 0; policy drop; }'");
    f = first_failure(look(), "forward-bridged");
    shell(f.cure);
    CHECK(verdict_of(look(), "forward-bridged") == "PASS");
    remove_bridge();
  });
}

TEST_CASE("a set too large to be told does not hide the rules") {
  on_own_host([] {
    make_example_host();
    shell(
        "( echo 'table inet mine { set many { type ipv4_addr; elements = {'; word=$(printf '%0100d' 0); "
        "for a in $(seq 0 31); do for b in $(seq 0 249); do echo \"10.1.$a.$b comment \\\"$word\\\",\"; done; done; "
        "echo '} ; }'; echo 'chain i { type filter hook input priority 0; policy drop; ip saddr @many accept; }'; echo "
        "'}' "
        ") > /run/many.nft; nft -f /run/many.nft");
    CHECK(output_of("nft -j list ruleset").size() > (1U << 20));
    CHECK(first_failure(look(), "udp-port").cure == "nft insert rule inet mine i udp dport 4780 accept");
    shell("nft insert rule inet mine i udp dport 4780 accept");
    CHECK(verdict_of(look(), "udp-port") == "PASS");
  });
}

TEST_CASE("ufw is asked in its own words") {
  on_host_with_iptables([] {
    CHECK(verdict_of(look(), "ufw") == "PASS");
    shell(
        "iptables -P FORWARD DROP; iptables -P INPUT DROP; iptables -N ufw-before-forward; iptables -A FORWARD -j "
        "ufw-before-forward");
    CHECK(verdict_of(look(), "ufw") == "WARN");
    CHECK(first_failure(look(), "forward-bridged").cure == "ufw route allow in on br-lan out on br-lan");
    CHECK(first_failure(look(), "udp-port").cure == "ufw allow 4780/udp");
    shell("iptables -A ufw-before-forward -i br-lan -j ACCEPT");
    CHECK(verdict_of(look(), "ufw") == "PASS");
  });
}

TEST_CASE("a port that the host's own firewall shuts") {
  on_own_host([] {
    make_example_host();
    CHECK(verdict_of(look(), "udp-port") == "PASS");
    shell(
        "nft 'add table inet filter; add chain inet filter input { type filter hook input priority 0; policy drop; }; "
        "add rule inet filter input ct state established,related accept; add rule inet filter input tcp dport 22 "
        "accept'");
    const auto f = first_failure(look(), "udp-port");
    CHECK(f.result == finding::verdict::warn);
    CHECK(f.what ==
          "datagrams from 192.168.50.5 to UDP port 4780 seem to be dropped by nft chain inet filter input: its "
          "policy is drop");
    shell(f.cure);
    CHECK(verdict_of(look(), "udp-port") == "PASS");
  });
}

TEST_CASE("forwarding that NAT needs") {
  on_own_host([] {
    CHECK(verdict_of(look(), "ip-forward") == "PASS");  // up will switch it on
    make_bridge();
    const auto f = first_failure(look(), "ip-forward");
    CHECK(f.cure == "sysctl -w net.ipv4.ip_forward=1");
    shell(f.cure + " >/dev/null");
    CHECK(verdict_of(look(), "ip-forward") == "PASS");
    remove_bridge();
  });
}

TEST_CASE("a strict rp_filter where a source is not known, cured on our own bridge") {
  on_own_host([] {
    make_example_host();
    make_bridge();
    shell("sysctl -qw net.ipv4.conf.all.rp_filter=1");
    CHECK(verdict_of(look(), "rp-filter") == "PASS");  // 10.5.0.0/16 is the bridge's own
    std::string text(two_hosts_alpha);
    text.replace(text.find("[\"10.5.0.0/16\"]"), 15, "[\"10.7.0.0/16\"]");
    const auto c = example("alpha", text);
    const auto seen = [&] { return diagnose(c, occasion::starting); };
    CHECK(first_failure(seen(), "rp-filter").what.find("10.7.0.0/16") != std::string::npos);
    CHECK(apply_cures(c, seen()) == std::vector<std::string>{"rp_filter of br-lan is 2 now; it goes with the bridge"});
    CHECK(verdict_of(seen(), "rp-filter") == "PASS");
    shell("sysctl -qw net.ipv4.conf.br-lan.rp_filter=1; ip route add 10.7.0.0/16 dev br-lan");
    CHECK(verdict_of(seen(), "rp-filter") == "PASS");
    remove_bridge();
  });
}

TEST_CASE("ports with another MTU than their bridge, cured where they are ours") {
  on_own_host([] {
    make_bridge();
    CHECK(verdict_of(look(), "mtu-bridge") == "PASS");
    shell("ip link set veth10 mtu 1400; ip link add p0 type veth peer name p1; ip link set p0 mtu 9000 master br-lan");
    const auto found = look();
    const auto f = first_failure(found, "mtu-bridge");
    CHECK(f.what.starts_with("port veth10 of namespace ns1 has MTU 1400, br-lan 1500"));
    CHECK(f.fixable);
    CHECK(apply_cures(alpha(), found).size() == 1);
    CHECK(verdict_of(look(), "mtu-bridge") == "WARN");  // p0 is somebody's
    shell(first_failure(look(), "mtu-bridge").cure);
    CHECK(verdict_of(look(), "mtu-bridge") == "PASS");
    shell("ip link del p0");
    remove_bridge();
  });
}

TEST_CASE("NetworkManager and networkd, by the files they leave in /run") {
  on_own_host([] {
    CHECK(verdict_of(look(), "network-manager") == "PASS");
    CHECK(verdict_of(look(), "networkd") == "PASS");
    make_bridge();
    shell(
        "mkdir -p /run/NetworkManager/devices /run/systemd/netif/links /run/systemd/network; "
        "touch /run/systemd/netif/state; i=$(ip -o link show br-lan | cut -d: -f1); "
        "printf '[device]\\nmanaged=true\\n' > /run/NetworkManager/devices/$i; "
        "printf 'ADMIN_STATE=configured\\nNETWORK_FILE=/etc/systemd/network/all.network\\n' > "
        "/run/systemd/netif/links/$i");
    CHECK(first_failure(look(), "network-manager").what.starts_with("NetworkManager manages br-lan"));
    CHECK(first_failure(look(), "network-manager").cure ==
          "printf '[device-lanloom-alpha]\\nmatch-device=interface-name:vtap0;interface-name:br-lan;"
          "interface-name:veth10;interface-name:veth20\\nmanaged=0\\n' > "
          "/etc/NetworkManager/conf.d/90-lanloom-alpha.conf && nmcli general reload");
    CHECK(first_failure(look(), "networkd").what.find("br-lan (/etc/systemd/network/all.network)") !=
          std::string::npos);
    CHECK(first_failure(look(), "networkd").cure ==
          "printf '[Match]\\nName=vtap0 br-lan veth10 veth20\\n[Link]\\nUnmanaged=yes\\n' > "
          "/etc/systemd/network/05-lanloom-alpha.network && networkctl reload");
    shell(
        "i=$(ip -o link show br-lan | cut -d: -f1); printf '[device]\\nmanaged=false\\n' > "
        "/run/NetworkManager/devices/$i; "
        "printf 'ADMIN_STATE=unmanaged\\n' > /run/systemd/netif/links/$i; mkdir -p /run/NetworkManager/conf.d; "
        "echo match-device=interface-name:veth20 > /run/NetworkManager/conf.d/x.conf");
    CHECK(verdict_of(look(), "network-manager") == "PASS");
    CHECK(verdict_of(look(), "networkd") == "PASS");
    remove_bridge();
    // Before the start, by the names that their files ask for.
    CHECK(verdict_of(look(), "network-manager") == "WARN");
    shell("printf '[Match]\\nName=en* vt*\\n' > /run/systemd/network/z.network");
    CHECK(verdict_of(look(), "networkd") == "WARN");
  });
}

TEST_CASE("looking changes nothing") {
  on_host_with_iptables([] {
    make_example_host();
    make_bridge();
    shell("iptables -P FORWARD DROP; ip link set veth10 mtu 1400; sysctl -qw net.ipv4.conf.all.rp_filter=1");
    const auto before = take_network_image();
    CHECK(!failures(diagnose(alpha(), occasion::asked)).empty());
    CHECK(difference(before, take_network_image()).empty());
    remove_bridge();
  });
}
