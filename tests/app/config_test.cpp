// SPDX-License-Identifier: Apache-2.0
// Every rule of the configuration file, each with the whole sentence that `lanloom check` prints.
#include <lanloom/app/config.hpp>
#include <lanloom/app/permission_error.hpp>
#include <lanloom/app/secret_file.hpp>

#include "../../src/app/config_keys.hpp"
#include "config_cases.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

using namespace lanloom;
using namespace lanloom::app;
using namespace lanloom::app::config_cases;

namespace {

std::string slurp(const std::string& file) {
  std::ifstream in(file);
  REQUIRE(in.good());
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

const std::string key_form = "write the 44 characters of base64 that `lanloom pubkey` prints on that host";

void replace_placeholder(std::string& text) {
  const auto at = text.find("\"REPLACE");
  REQUIRE(at != std::string::npos);
  text.replace(at, text.find('"', at + 1) + 1 - at, "\"" + std::string(beta_key) + "\"");
}

}  // namespace

TEST_CASE("defaults") {
  const auto c = parse(node);
  CHECK(c.instance == "lan");
  CHECK(c.file == "lan.toml");
  CHECK(c.node.name == "alpha");
  CHECK(c.node.private_key == "lan.key");
  CHECK(to_string(c.node.listen) == "[::]:4780");
  CHECK(c.node.network == "lan");
  CHECK_FALSE(c.node.network_secret);
  CHECK(c.node.cipher == cipher_choice::automatic);
  CHECK(c.node.state == "/var/lib/lanloom/lan");
  CHECK(c.tap.name == "ll-lan");
  CHECK_FALSE(c.tap.mtu);
  CHECK(c.bridge.name == "br-lan");
  CHECK(c.bridge.addresses.empty());
  CHECK(c.bridge.create);
  CHECK(c.bridge.kind == bridge_kind::automatic);
  CHECK(c.bridge.uplinks.empty());
  CHECK_FALSE(c.bridge.stp);
  CHECK(c.netns.empty());
  CHECK_FALSE(c.forwarding.ipv4);
  CHECK_FALSE(c.forwarding.ipv6);
  CHECK(c.forwarding.firewall == firewall_policy::report);
  CHECK(c.nat.masquerade.empty());
  CHECK(c.nat.snat.empty());
  CHECK(c.nat.forward.empty());
  CHECK(c.peers.empty());
  CHECK(c.log == log_level::info);
  CHECK(c.control_group == "lanloom");
}

TEST_CASE("every key is read") {
  const auto c = parse_config(R"([node]
name = "a.b-c_1"
private_key = "keys/lan.key"
listen = "192.168.50.6:4781"
network = "office"
network_secret = "/run/office.secret"
state = "/srv/./lanloom/office"
cipher = "chacha20-poly1305"
[tap]
name = "vtap0"
mtu = 9216
[bridge]
name = "br-office"
create = true
addresses = ["10.5.0.1/16", "fd00:5::1/64"]
[[netns]]
name = "ns1"
create = true
interface = "veth11"
host_interface = "veth10"
addresses = ["10.5.0.11/16", "fd00:5::11/64"]
gateway = ["10.5.0.1", "fd00:5::1"]
[[netns]]
name = "ns2"
addresses = ["10.5.0.21/16"]
gateway = "10.5.0.1"
[forwarding]
ipv4 = true
ipv6 = true
[nat]
masquerade = ["10.5.0.0/16", "fd00:5::/64"]
snat = [{ source = "10.6.0.0/16", to = "192.168.50.6" }]
forward = [
  { protocol = "tcp", port = 8765, to = "10.5.0.11:8080" },
  { protocol = "udp", port = 53, to = "[fd00:5::11]:53", address = "2001:db8::6" },
]
[[peer]]
name = "beta"
public_key = "beta/replace/with/its/public/key/0000000000="
endpoint = "192.168.50.5:4780"
preshared_key = "alpha-beta.psk"
keepalive = 0
[log]
level = "debug"
[control]
group = "adm"
)",
                              "/etc/lanloom/lan.toml", "host");
  CHECK(c.node.name == "a.b-c_1");
  CHECK(c.node.private_key == "/etc/lanloom/keys/lan.key");
  CHECK(to_string(c.node.listen) == "192.168.50.6:4781");
  CHECK(c.node.network == "office");
  CHECK(c.node.network_secret == "/run/office.secret");
  CHECK(c.node.cipher == cipher_choice::chacha20_poly1305);
  CHECK(c.node.state == "/srv/lanloom/office");
  CHECK(c.tap.name == "vtap0");
  CHECK(c.tap.mtu == 9216);
  CHECK(c.bridge.name == "br-office");
  REQUIRE(c.bridge.addresses.size() == 2);
  CHECK(to_string(c.bridge.addresses[0]) == "10.5.0.1/16");
  REQUIRE(c.netns.size() == 2);
  CHECK(c.netns[0].name == "ns1");
  CHECK(c.netns[0].interface == "veth11");
  CHECK(c.netns[0].host_interface == "veth10");
  REQUIRE(c.netns[0].gateways.size() == 2);
  CHECK(to_string(c.netns[0].gateways[1]) == "fd00:5::1");
  CHECK(c.netns[1].interface == "eth0");
  CHECK(c.netns[1].host_interface.starts_with("lvns2-"));
  CHECK(c.netns[1].gateways.size() == 1);
  CHECK(c.forwarding.ipv6);
  CHECK(to_string(c.nat.masquerade.at(1)) == "fd00:5::/64");
  CHECK(to_string(c.nat.snat.at(0).source) == "10.6.0.0/16");
  CHECK(to_string(c.nat.snat.at(0).to) == "192.168.50.6");
  REQUIRE(c.nat.forward.size() == 2);
  CHECK(c.nat.forward[0].protocol == forward_protocol::tcp);
  CHECK(c.nat.forward[0].port == 8765);
  CHECK(c.nat.forward[0].to_port == 8080);
  CHECK_FALSE(c.nat.forward[0].address);
  CHECK(c.nat.forward[1].protocol == forward_protocol::udp);
  CHECK(to_string(c.nat.forward[1].to) == "fd00:5::11");
  CHECK(to_string(c.nat.forward[1].address.value()) == "2001:db8::6");
  REQUIRE(c.peers.size() == 1);
  CHECK(c.peers[0].name == "beta");
  CHECK(to_base64(c.peers[0].public_key) == beta_key);
  CHECK(to_string(c.peers[0].endpoints.at(0)) == "192.168.50.5:4780");
  CHECK(c.peers[0].preshared_key == "/etc/lanloom/alpha-beta.psk");
  CHECK(c.peers[0].keepalive == std::chrono::seconds(0));
  CHECK(c.log == log_level::debug);
  CHECK(c.control_group == "adm");
  CHECK(c.where.find("bridge.addresses[1]") == position{15, 29});
  CHECK(c.where.find("nat.forward[1].to") == position{35, 39});
  CHECK(c.where.find("peer[0].endpoint") == position{40, 12});
  CHECK(c.where.find("netns[1].host_interface").line == 23);  // not in the file: the table it would stand in
  CHECK(c.where.find("tap.nothing[3]").line == 9);
  CHECK(c.where.find("nothing") == position{1, 1});
}

TEST_CASE("bridges and namespaces of others") {
  const auto c = parse(std::string(node) +
                       "[bridge]\nname = \"br0\"\ncreate = false\nkind = \"ovs\"\n"
                       "[[netns]]\nname = \"theirs\"\ncreate = false\n[forwarding]\nfirewall = \"fix\"\n");
  CHECK_FALSE(c.bridge.create);
  CHECK(c.bridge.kind == bridge_kind::ovs);
  CHECK_FALSE(c.netns.at(0).create);
  CHECK(c.forwarding.firewall == firewall_policy::fix);
}

TEST_CASE("derived host interfaces fit and differ") {
  const std::string text =
      std::string(node) + "[[netns]]\nname = \"a-rather-long-name-1\"\n[[netns]]\nname = \"a-rather-long-name-2\"\n";
  const auto c = parse(text);
  const auto other = parse_config(text, "other.toml", "alpha");
  CHECK(c.netns[0].host_interface.size() == 15);
  CHECK(c.netns[0].host_interface != c.netns[1].host_interface);
  CHECK(c.netns[0].host_interface != other.netns[0].host_interface);
  CHECK(c.netns[0].host_interface == parse(text).netns[0].host_interface);
}

TEST_CASE("instances and files") {
  CHECK(instance_of("/etc/lanloom/lan-2.toml") == "lan-2");
  CHECK(instance_of("abcdefghijkl.toml") == "abcdefghijkl");
  for (const auto* file : {"abcdefghijklm.toml", "Lan.toml", "la_n.toml", "/etc/", ""}) CHECK_FALSE(instance_of(file));
  CHECK(config_path("lan") == "/etc/lanloom/lan.toml");
  CHECK(config_path("lan.toml") == "lan.toml");
  CHECK(config_path("./lan") == "./lan");

  const auto refusal_of = [](const char* file, const char* host) -> std::string {
    try {
      (void)parse_config(node, file, host);
    } catch (const config_error& e) {
      return e.what();
    }
    return {};
  };
  CHECK(refusal_of("d/my_lan.toml", "alpha") ==
        "d/my_lan.toml:1:1: the instance is the file's name without .toml, and `my_lan` is none; rename the file to 1 "
        "to 12 of "
        "a-z, 0-9 and -");
  CHECK(refusal_of("lan.toml", "") == "lan.toml:1:1: the host name `` cannot be the node's name; add name = to [node]");
}

TEST_CASE("tables and keys that do not exist") {
  check_all({
      {"nam = \"x\"\n", "lan.toml:3:1: `nam` is no key of [node]; did you mean `name`?"},
      {"[tap]\nmut = 1400\n", "lan.toml:4:1: `mut` is no key of [tap]; did you mean `mtu`?"},
      {"[[peer]]\npublik_key = 1\n" + peer("b", beta_key),
       "lan.toml:3:1: `name` is missing here; add it: 1 to 64 letters, digits, `.`, `_` or `-`, beginning with a "
       "letter or digit\n"
       "lan.toml:3:1: `public_key` is missing here; add it: the 44 characters of base64 that `lanloom pubkey` prints "
       "on that host\n"
       "lan.toml:4:1: `publik_key` is no key of [peer]; did you mean `public_key`?"},
      {"mtu = 1500\n", "lan.toml:3:1: `mtu` is no key of [node]; it belongs to [tap]: move it there"},
      {"zzzzzz = 1500\n", "lan.toml:3:1: `zzzzzz` is no key of [node]; remove it"},
      {"[nat]\nforward = [{ protocl = \"tcp\" }]\n",
       "lan.toml:4:12: `protocol` is missing here; add it: \"tcp\" or \"udp\"\n"
       "lan.toml:4:12: `port` is missing here; add it: a port from 1 to 65535\n"
       "lan.toml:4:12: `to` is missing here; add it: a numeric address and port, such as \"10.5.0.11:8765\"\n"
       "lan.toml:4:14: `protocl` is no key of [nat.forward]; did you mean `protocol`?"},
      {"[birdge]\n", "lan.toml:3:2: there is no table [birdge]; did you mean `bridge`?"},
      {"[something]\n", "lan.toml:3:2: there is no table [something]; remove it"},
      {"[peer]\nname = \"b\"\n", "lan.toml:3:2: `peer` is a list of tables; write [[peer]]"},
      {"[[tap]]\n", "lan.toml:3:3: `tap` is one table; write [tap] once"},
  });
  CHECK(refusal("listen = \"[::]:1\"\nother = 2\n[node]\nprivate_key = \"k\"\n") ==
        "lan.toml:1:1: `listen` stands in no table; move it below [node]\n"
        "lan.toml:2:1: `other` stands in no table; remove it");
  CHECK(refusal("") ==
        "lan.toml:1:1: [node] is missing; add it with `private_key`: the path of a key file, relative to this file");
  CHECK(refusal("[node]\n") ==
        "lan.toml:1:1: `private_key` is missing here; add it: the path of a key file, relative to this file");
}

TEST_CASE("offloads: three words, auto by default") {
  const config c = parse(std::string(node) + "[offload]\ntap_gso = \"on\"\nudp_gro = \"off\"\naccelerator = \"off\"\n");
  CHECK(c.offload.tap_gso == offload_choice::on);
  CHECK(c.offload.tap_uso == offload_choice::automatic);
  CHECK(c.offload.udp_gso == offload_choice::automatic);
  CHECK(c.offload.udp_gro == offload_choice::off);
  CHECK(c.offload.accelerator == offload_choice::off);
  check_all({
      {"[offload]\ntap_uso = true\n", "lan.toml:4:11: `tap_uso` is true or false; write \"auto\", \"on\" or \"off\""},
      {"[offload]\nudp_gso = \"yes\"\n", "lan.toml:4:11: `udp_gso` cannot be `yes`; write \"auto\", \"on\" or \"off\""},
  });
}

TEST_CASE("the state directory is an absolute path") {
  const std::string form = "write the absolute path of a directory, such as \"/var/lib/lanloom/lan\"";
  check_all({
      {"state = \"lan\"\n", "lan.toml:3:9: `state` cannot be `lan`; " + form},
      {"state = \"/\"\n", "lan.toml:3:9: `state` cannot be `/`; " + form},
      {"state = \"\"\n", "lan.toml:3:9: `state` cannot be ``; " + form},
      {"state = true\n", "lan.toml:3:9: `state` is true or false; " + form},
  });
}

TEST_CASE("parts of the file format that this version does not have") {
  const std::string not_built = " is not built in this version yet; remove it";
  check_all({
      {"[control]\nmetrics = \"127.0.0.1:9985\"\n", "lan.toml:4:1: `metrics`" + not_built},
      {"[tap]\nmtu = \"path\"\n",
       "lan.toml:4:7: `mtu` = \"path\" is not built in this version yet; write an integer from 1280 to 9216, or remove "
       "it"},
  });
}

TEST_CASE("types") {
  const std::string name_form = "1 to 64 letters, digits, `.`, `_` or `-`, beginning with a letter or digit";
  check_all({
      {"name = 5\n", "lan.toml:3:8: `name` is an integer; write " + name_form},
      {"network = true\n", "lan.toml:3:11: `network` is true or false; write " + name_form},
      {"cipher = [\"auto\"]\n",
       "lan.toml:3:10: `cipher` is a list; write \"auto\", \"aes-256-gcm\" or \"chacha20-poly1305\""},
      {"[tap]\nmtu = \"1500\"\n", "lan.toml:4:7: `mtu` is a string; write an integer from 1280 to 9216"},
      {"[tap]\nmtu = 1500.5\n", "lan.toml:4:7: `mtu` is a number with a fraction; write an integer from 1280 to 9216"},
      {"[forwarding]\nipv4 = 1\n", "lan.toml:4:8: `ipv4` is an integer; write true or false"},
      {"[nat]\nmasquerade = \"10.5.0.0/16\"\n",
       "lan.toml:4:14: `masquerade` is a string; write a list of subnets, such as [\"10.5.0.0/16\"]"},
      {"[nat]\nsnat = [1]\n",
       "lan.toml:4:9: `snat` is an integer; write a list such as [{ source = \"10.6.0.0/16\", to = \"192.168.50.6\" "
       "}]"},
      {"[nat]\nforward = {}\n",
       "lan.toml:4:11: `forward` is a table; write a list such as [{ protocol = \"tcp\", port = 8765, to = "
       "\"10.5.0.11:8765\" }]"},
      {"[log]\nlevel = 1979-05-27\n",
       "lan.toml:4:9: `level` is a date; write \"error\", \"warning\", \"info\" or \"debug\""},
  });
}

TEST_CASE("values") {
  const std::string name_form = "write 1 to 64 letters, digits, `.`, `_` or `-`, beginning with a letter or digit";
  const std::string interface_form =
      "write an interface name of 1 to 15 letters, digits, `.`, `_` or `-`, beginning with a letter or digit";
  const std::string addresses_form =
      "write a list of addresses with the length of their subnet, such as [\"10.5.0.1/16\", \"fd00:5::1/64\"]";
  const std::string listen_form = "write a numeric address and port, such as \"[::]:4780\" or \"192.168.50.6:4780\"";
  const std::string endpoint_form =
      "write an address or host name with a port, such as \"192.168.50.5:4780\", \"[2001:db8::5]:4780\" or "
      "\"beta.example.org:4780\", or a list of them";
  const auto endpoint_of = [](const char* text) {
    return peer("b", beta_key, "endpoint = [\"" + std::string(text) + "\"]\n");
  };
  check_all({
      {"name = \"two words\"\n", "lan.toml:3:8: `name` cannot be `two words`; " + name_form},
      {"name = \"" + std::string(65, 'x') + "\"\n",
       "lan.toml:3:8: `name` cannot be `" + std::string(64, 'x') + "...`; " + name_form},
      {"network = \"a\\nb\"\n", "lan.toml:3:11: `network` cannot be `a?b`; " + name_form},
      {"listen = \"4780\"\n", "lan.toml:3:10: `listen` cannot be `4780`; " + listen_form},
      {"listen = \"[::]:0\"\n", "lan.toml:3:10: `listen` cannot be `[::]:0`: port 0 is no port; " + listen_form},
      {"listen = \"[::\\u0000x]:1\"\n", "lan.toml:3:10: `listen` cannot be `[::?x]:1`; " + listen_form},
      {"listen = \"192.0.2.1\"\n",
       "lan.toml:3:10: `listen` cannot be `192.0.2.1`: the port is missing; " + listen_form},
      {"cipher = \"AES\"\n",
       "lan.toml:3:10: `cipher` cannot be `AES`; write \"auto\", \"aes-256-gcm\" or \"chacha20-poly1305\""},
      {"network_secret = \"\"\n",
       "lan.toml:3:18: `network_secret` cannot be this text; write the path of a key file, relative to this file"},
      {"network_secret = \"" + std::string(beta_key) + "\"\n",
       "lan.toml:3:18: `network_secret` cannot be this text: it is a key itself; write the path of a key file, "
       "relative to this file"},
      {"[tap]\nname = \"sixteen-letters-\"\n",
       "lan.toml:4:8: `name` cannot be `sixteen-letters-`: it is 16 characters long; " + interface_form},
      {"[tap]\nname = \"a/b\"\n", "lan.toml:4:8: `name` cannot be `a/b`; " + interface_form},
      {"[bridge]\nname = \"lo\"\n",
       "lan.toml:4:8: `name` cannot be `lo`: the kernel uses that name itself; " + interface_form},
      {"[[netns]]\nname = \"n\"\ninterface = \"-x\"\nhost_interface = \"\"\n",
       "lan.toml:5:13: `interface` cannot be `-x`; " + interface_form +
           "\nlan.toml:6:18: `host_interface` cannot be ``; " + interface_form},
      {"[[netns]]\nname = \"../x\"\n", "lan.toml:4:8: `name` cannot be `../x`; " + name_form},
      {"[tap]\nmtu = 1279\n", "lan.toml:4:7: `mtu` cannot be `1279`; write an integer from 1280 to 9216"},
      {"[tap]\nmtu = 9217\n", "lan.toml:4:7: `mtu` cannot be `9217`; write an integer from 1280 to 9216"},
      {"[bridge]\naddresses = [\"10.5.0.1\"]\n",
       "lan.toml:4:14: `addresses` cannot be `10.5.0.1`: the length of the subnet is missing; " + addresses_form},
      {"[bridge]\naddresses = [\"10.5.0.0/16\"]\n",
       "lan.toml:4:14: `addresses` cannot be `10.5.0.0/16`: it is the subnet, not an address in it; " + addresses_form},
      {"[bridge]\naddresses = [\"10.5.0.1/33\"]\n",
       "lan.toml:4:14: `addresses` cannot be `10.5.0.1/33`; " + addresses_form},
      {"[bridge]\naddresses = [\"224.0.0.5/4\", \"ff02::1/64\"]\n",
       "lan.toml:4:14: `addresses` cannot be `224.0.0.5/4`: it is a multicast address; " + addresses_form +
           "\nlan.toml:4:29: `addresses` cannot be `ff02::1/64`: it is a multicast address; " + addresses_form},
      {"[bridge]\naddresses = [\"::ffff:10.5.0.1/112\"]\n",
       "lan.toml:4:14: `addresses` cannot be `::ffff:10.5.0.1/112`: it is an IPv4 address in IPv6 notation; " +
           addresses_form},
      {"[[netns]]\nname = \"n\"\ngateway = \"0.0.0.0\"\n",
       "lan.toml:5:11: `gateway` cannot be `0.0.0.0`: it is the unspecified address; write an address, or a list with "
       "one address per family"},
      {"[nat]\nmasquerade = [\"10.5.0.1/16\"]\n",
       "lan.toml:4:15: `masquerade` cannot be `10.5.0.1/16`: it has bits beyond the length; the subnet is 10.5.0.0/16; "
       "write a list "
       "of subnets, such as [\"10.5.0.0/16\"]"},
      {peer("b", "abc"), "lan.toml:5:14: `public_key` cannot be this text: it has 3 characters; " + key_form},
      {peer("b", std::string(43, '!') + "="),
       "lan.toml:5:14: `public_key` cannot be this text: it is not base64 of 32 bytes; " + key_form},
      {peer("b", std::string(43, 'A') + "="),
       "lan.toml:5:14: `public_key` cannot be this text: it is all zero; " + key_form},
      {peer("b", "AQ" + std::string(41, 'A') + "="),
       "lan.toml:5:14: `public_key` cannot be this text: it is a point of low order, which is nobody's key; " +
           key_form},
      {endpoint_of("2001:db8::1:4780"),
       "lan.toml:6:13: `endpoint` cannot be `2001:db8::1:4780`: an IPv6 address stands in brackets, its port after "
       "them; " +
           endpoint_form},
      {"[bridge]\naddresses = [\"10.5.255.255/16\"]\n",
       "lan.toml:4:14: `addresses` cannot be `10.5.255.255/16`: it is the subnet's broadcast address; " +
           addresses_form},
      {"[bridge]\naddresses = [\"10.5.0.1/0\"]\n",
       "lan.toml:4:14: `addresses` cannot be `10.5.0.1/0`: a subnet of length 0 is every address there is; " +
           addresses_form},
      {"[bridge]\naddresses = [\"10.5.0.255/31\", \"10.6.0.255/32\", \"fd00::ffff/112\"]\n", ""},
      {endpoint_of("0.0.0.0:4780"),
       "lan.toml:6:13: `endpoint` cannot be `0.0.0.0:4780`: it is the unspecified address; " + endpoint_form},
      {endpoint_of("[fe80::1]:4780"),
       "lan.toml:6:13: `endpoint` cannot be `[fe80::1]:4780`: a link-local address says nothing without its "
       "interface; " +
           endpoint_form},
      {peer("b", beta_key, "endpoint = [\"192.0.2.1:1\", \"192.0.2.2\"]\n"),
       "lan.toml:6:28: `endpoint` cannot be `192.0.2.2`: the port is missing; " + endpoint_form},
      {peer("b", beta_key, "endpoint = 4780\n"), "lan.toml:6:12: `endpoint` is an integer; " + endpoint_form},
      {endpoint_of("beta.example.org:4780"), ""},
      {endpoint_of("BETA:1\", \"xn--bta-hoa.example.:65535\", \"b_1.2b:1\", \"192.0.2.1:1"), ""},
      {endpoint_of("beta.example.org"),
       "lan.toml:6:13: `endpoint` cannot be `beta.example.org`: the port is missing; " + endpoint_form},
      {endpoint_of("beta.example.org:0"),
       "lan.toml:6:13: `endpoint` cannot be `beta.example.org:0`: port 0 is no port; " + endpoint_form},
      {endpoint_of("beta.example.org:x"), "lan.toml:6:13: `endpoint` cannot be `beta.example.org:x`; " + endpoint_form},
      {endpoint_of("a..b:1"), "lan.toml:6:13: `endpoint` cannot be `a..b:1`: that is no host name; " + endpoint_form},
      {endpoint_of("a-.b:1"), "lan.toml:6:13: `endpoint` cannot be `a-.b:1`: that is no host name; " + endpoint_form},
      {endpoint_of("a.1:1"), "lan.toml:6:13: `endpoint` cannot be `a.1:1`: that is no host name; " + endpoint_form},
      {endpoint_of("10.5.0.256:1"), "lan.toml:6:13: `endpoint` cannot be `10.5.0.256:1`; " + endpoint_form},
      {endpoint_of("a b:1"), "lan.toml:6:13: `endpoint` cannot be `a b:1`; " + endpoint_form},
      {endpoint_of("192.0.2.1:65536"), "lan.toml:6:13: `endpoint` cannot be `192.0.2.1:65536`; " + endpoint_form},
      {peer("b", beta_key, "keepalive = -1\n"),
       "lan.toml:6:13: `keepalive` cannot be `-1`; write seconds from 0 (off) to 3600"},
      {"[log]\nlevel = \"loud\"\n",
       "lan.toml:4:9: `level` cannot be `loud`; write \"error\", \"warning\", \"info\" or \"debug\""},
      {"[control]\ngroup = \"a:b\"\n", "lan.toml:4:9: `group` cannot be `a:b`; write the name of a group of this host"},
  });
}

TEST_CASE("bounds") {
  std::string addresses, tables;
  for (int i = 1; i <= 65; ++i) addresses += "\"10.5.0." + std::to_string(i) + "/16\",\n";
  for (int i = 0; i <= 1024; ++i) tables += "[[netns]]\nname = \"n" + std::to_string(i) + "\"\n";
  std::string deep = "x";
  for (int i = 0; i < 300; ++i) deep += ".x";
  check_all({
      {peer("b", beta_key, "endpoint = [\"192.0.2.1:1\", \"[2001:db8::1]:1\", \"192.0.2.1:2\", \"192.0.2.2:1\"]\n"),
       ""},
      {peer("b", beta_key, "endpoint = [\"1.0.0.1:1\", \"1.0.0.2:1\", \"1.0.0.3:1\", \"1.0.0.4:1\", \"1.0.0.5:1\"]\n"),
       "lan.toml:6:12: `endpoint` has 5 entries; keep at most 4"},
      {"[bridge]\naddresses = [\n" + addresses + "]\n", "lan.toml:4:13: `addresses` has 65 entries; keep at most 64"},
      {deep + " = 1\n", "lan.toml:3:1: this line has more than 512 bytes; break the list over several lines"},
  });
  CHECK(refusal(std::string(node) + tables).find("there are 1025 [[netns]]; keep at most 1024") != std::string::npos);
  CHECK(refusal(std::string(node) + "x = " + std::string(100, '[') + std::string(100, ']') + "\n")
            .find("this is not TOML: ") != std::string::npos);
}

TEST_CASE("text that is not TOML") {
  const auto after_node = [](const char* line) { return refusal(std::string(node) + line); };
  for (const char* unquoted : {"name = alpha\n", "listen = [::]:4780\n", "listen = 192.168.50.6:4780\n"}) {
    CHECK(after_node(unquoted).ends_with("; put text in quotes (true and false without)"));
  }
  for (const char* twice : {"private_key = \"b\"\n", "[node]\n"}) {
    CHECK(after_node(twice).ends_with(": it is here twice; keep one"));
  }
  CHECK(refusal("[node]\nname = \n").starts_with("lan.toml:2:8: this is not TOML: "));
  CHECK(refusal(std::string(node) + "private_key = \"b\"\n").starts_with("lan.toml:3:"));
  CHECK(refusal(std::string(node) + "[[[peer]]]\nname = 1\n") ==
        "lan.toml:3:1: this line is not TOML; correct it and check again");
  CHECK(refusal(std::string(node) + "\n\n[=x]") == "lan.toml:5:1: this line is not TOML; correct it and check again");
  CHECK(refusal("a = \xff\n").starts_with("lan.toml:1:5: this character is not ASCII"));
}

TEST_CASE("problems carry their place") {
  try {
    (void)parse(std::string(node) + "[tap]\nmtu = 1\n[bridge]\nname = 1\n");
    FAIL("accepted");
  } catch (const config_error& e) {
    REQUIRE(e.problems.size() == 2);
    CHECK(e.problems[0].file == "lan.toml");
    CHECK(e.problems[0].line == 4);
    CHECK(e.problems[0].column == 7);
    CHECK(e.problems[1].line == 6);
    CHECK(to_string(e.problems[0]) + "\n" + to_string(e.problems[1]) == e.what());
  }
}

TEST_CASE("the reference file documents every key with its default") {
  const std::string file = LANLOOM_SOURCE_DIR "/conf/lanloom.toml";
  const auto text = slurp(file);
  const auto reference = parse_config(text, "lanloom.toml", "alpha");
  const auto defaults = parse_config(node, "lanloom.toml", "alpha");
  CHECK(reference.node.private_key == defaults.node.private_key);
  CHECK(reference.node.listen == defaults.node.listen);
  CHECK(reference.node.network == defaults.node.network);
  CHECK(reference.node.cipher == defaults.node.cipher);
  CHECK(reference.node.state == defaults.node.state);
  CHECK(reference.tap.name == defaults.tap.name);
  CHECK(reference.tap.mtu == 1500);
  CHECK(reference.bridge.name == defaults.bridge.name);
  CHECK(reference.bridge.addresses.empty());
  CHECK(reference.forwarding.ipv4 == defaults.forwarding.ipv4);
  CHECK(reference.forwarding.ipv6 == defaults.forwarding.ipv6);
  CHECK(reference.nat.masquerade.empty());
  CHECK(reference.netns.empty());
  CHECK(reference.peers.empty());
  CHECK(reference.log == defaults.log);
  CHECK(reference.control_group == defaults.control_group);

  // With the examples switched on: "#" and no space, or inside a list.
  std::string examples, table;
  std::istringstream lines(text);
  std::vector<std::pair<std::string, std::string>> documented;
  for (std::string line; std::getline(lines, line);) {
    const bool example = line.size() > 1 && line[0] == '#' && (line[1] != ' ' || line[2] == ' ');
    if (example) line.erase(0, 1);
    if (line.starts_with("#") || line.empty() || line.ends_with(" = []")) line.clear();
    for (const bool repeated : {false, true}) {
      if (line.starts_with(repeated ? "[[" : "[") && line.ends_with(repeated ? "]]" : "]")) {
        table = repeated ? line.substr(2, line.size() - 4) : line.substr(1, line.size() - 2);
      }
    }
    if (const auto equals = line.find(" = "); equals != std::string::npos && line[0] != ' ')
      documented.emplace_back(table, line.substr(0, equals));
    examples += line + "\n";
  }
  for (const auto& key : config_keys) {
    if (key.form.empty() || key.table.find('.') != std::string_view::npos) continue;
    CAPTURE(key.table);
    CAPTURE(key.name);
    CHECK(std::count(documented.begin(), documented.end(), std::pair<std::string, std::string>(key.table, key.name)) ==
          1);
  }
  // Forwarding is off by default, which the examples of [nat] need.
  for (const char* family : {"ipv4", "ipv6"}) {
    const auto at = examples.find(std::string(family) + " = false");
    REQUIRE(at != std::string::npos);
    examples.replace(at + 7, 5, "true");
  }
  replace_placeholder(examples);
  CAPTURE(examples);
  const auto full = parse_config(examples, "lanloom.toml", "alpha");
  CHECK(full.node.network_secret);
  CHECK(full.netns.size() == 1);
  CHECK(full.nat.snat.size() == 1);
  CHECK(full.nat.forward.size() == 2);
  CHECK(full.nat.forward[1].address);
  REQUIRE(full.peers.size() == 1);
  CHECK(full.peers[0].preshared_key);
  CHECK(full.peers[0].keepalive == peer_config{}.keepalive);
}

TEST_CASE("the two hosts fit together") {
  const std::string directory = LANLOOM_SOURCE_DIR "/conf/two-hosts/";
  const auto load = [&](const std::string& name) {
    auto text = slurp(directory + name);
    CHECK(refusal(text).ends_with(": `public_key` cannot be this text: it is still the placeholder; " + key_form));
    replace_placeholder(text);
    return parse_config(text, name, "host");
  };
  const auto alpha = load("alpha.toml");
  const auto beta = load("beta.toml");
  CHECK(to_string(alpha.bridge.addresses.at(0)) == "10.5.0.1/16");
  CHECK(to_string(beta.bridge.addresses.at(0)) == "10.5.0.2/16");
  CHECK(alpha.node.network == beta.node.network);
  CHECK(alpha.tap.mtu == beta.tap.mtu);
  REQUIRE(alpha.netns.size() == 2);
  REQUIRE(beta.netns.size() == 1);
  CHECK(to_string(alpha.netns[0].addresses.at(0)) == "10.5.0.11/16");
  CHECK(to_string(alpha.netns[1].addresses.at(0)) == "10.5.0.21/16");
  CHECK(to_string(beta.netns[0].addresses.at(0)) == "10.5.0.31/16");
  CHECK(to_string(alpha.peers.at(0).endpoints.at(0)) == "192.168.50.5:4780");
  CHECK(to_string(beta.peers.at(0).endpoints.at(0)) == "192.168.50.6:4780");
  CHECK(alpha.peers[0].name == beta.node.name);
  CHECK(beta.peers[0].name == alpha.node.name);
  CHECK(alpha.nat.forward.at(0).port == 8765);
}

TEST_CASE("the examples are good once their keys are filled in") {
  int examples = 0;
  for (const auto& entry : std::filesystem::directory_iterator(LANLOOM_SOURCE_DIR "/conf/examples")) {
    if (entry.path().extension() != ".toml") continue;
    ++examples;
    CAPTURE(entry.path());
    auto text = slurp(entry.path());
    CHECK(refusal(text).ends_with(": `public_key` cannot be this text: it is still the placeholder; " + key_form));
    replace_placeholder(text);
    CHECK(refusal(text).empty());
  }
  CHECK(examples == 2);
}

TEST_CASE("files that cannot be loaded") {
  const auto refusal_of = [](const std::string& file) -> std::string {
    try {
      (void)load_config(file, "alpha");
    } catch (const config_error& e) {
      return e.what();
    }
    return {};
  };
  char directory[] = "/tmp/lanloom-config-XXXXXX";
  REQUIRE(::mkdtemp(directory) != nullptr);
  const std::string file = std::string(directory) + "/lan.toml";
  CHECK(refusal_of(file) == file + ": there is no such file; conf/lanloom.toml shows what it contains");
  CHECK(refusal_of(directory) == std::string(directory) + ": it is not a regular file; name the configuration file");
  std::ofstream(file) << std::string((1 << 20) + 1, '\n');
  CHECK(refusal_of(file) == file + ": it is larger than 1 MiB; no configuration is: name the right file");
  std::ofstream(file) << node << std::string((1 << 20) - node.size(), '\n');
  CHECK(refusal_of(file).empty());
  std::filesystem::remove_all(directory);
}

TEST_CASE("a file that we may not open is a matter of permission" * doctest::skip(::geteuid() != 0)) {
  char directory[] = "/tmp/lanloom-config-XXXXXX";
  REQUIRE(::mkdtemp(directory) != nullptr);
  const std::string file = std::string(directory) + "/lan.toml";
  std::ofstream(file) << node;
  REQUIRE(::seteuid(12345) == 0);
  CHECK_THROWS_WITH_AS(
      (void)load_config(file, "alpha"),
      (file + ": it cannot be opened (Permission denied); correct its mode, or run this as root").c_str(),
      permission_error);
  CHECK_THROWS_AS((void)read_secret_file(file, secret_kind::private_key), permission_error);
  REQUIRE(::seteuid(0) == 0);
  std::filesystem::remove_all(directory);
}
