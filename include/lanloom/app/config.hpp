// SPDX-License-Identifier: Apache-2.0
// config.hpp - one configuration file as an immutable value: text -> checked domain types, all problems at once.
//
// 1. A `config` that exists has passed every rule that needs nothing but the file; what needs the kernel is not its
//    business (does the subnet cover the underlay, does the group exist).
// 2. It holds no secret: key files are named here and read by load_keys.
// 3. Every default is filled in; conf/lanloom.toml is the reference of keys and defaults, and a test holds them equal.
// Process: keeper and commands, never the node. Errors: config_error, with every problem and its place;
// permission_error for a file that may not be opened.
#pragma once

#include <lanloom/app/config_error.hpp>
#include <lanloom/base/endpoint.hpp>
#include <lanloom/base/ip_prefix.hpp>
#include <lanloom/crypto/keys.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lanloom::app {

// Where each value stands in the file. Paths read like "bridge.addresses[0]", "peer[1].endpoint", "nat.forward[0].to".
class source_map {
 public:
  void set(std::string path, position at);
  // The place of the value; if the file does not say it, that of the nearest table around it, else 1:1.
  [[nodiscard]] position find(std::string_view path) const;

 private:
  std::map<std::string, position, std::less<>> places_;
};

enum class cipher_choice : std::uint8_t { automatic, aes_256_gcm, chacha20_poly1305 };
enum class offload_choice : std::uint8_t { automatic, on, off };
enum class log_level : std::uint8_t { error, warning, info, debug };
enum class forward_protocol : std::uint8_t { tcp, udp };
enum class bridge_kind : std::uint8_t { automatic, linux_bridge, ovs };
enum class firewall_policy : std::uint8_t { report, fix };

struct node_config {
  std::string name;
  std::filesystem::path private_key;  // key files are resolved against the configuration file's directory
  endpoint listen;
  std::string network;
  std::optional<std::filesystem::path> network_secret;
  cipher_choice cipher = cipher_choice::automatic;
  std::filesystem::path state;  // absolute: the directory of what is to be known after a restart
};

struct tap_config {
  std::string name;
  std::optional<std::uint16_t>
      mtu;  // of TAP, bridge and veths: the largest IP packet; nothing: 1500, or the joined bridge's
};

struct bridge_config {
  std::string name;
  bool create = true;                         // false: somebody else's, and stays as it is
  bridge_kind kind = bridge_kind::automatic;  // of a joined one
  std::vector<ip_prefix> addresses;           // host address and length of its subnet
  std::vector<std::string> uplinks;           // interfaces of this host that become ports; their addresses move along
  bool stp = false;                           // true by default with uplinks
};

struct netns_config {
  std::string name;
  bool create = true;          // false: it exists, and is not ours
  std::string interface;       // inside
  std::string host_interface;  // on the bridge
  std::vector<ip_prefix> addresses;
  std::vector<ip_address> gateways;  // at most one per family
};

struct forwarding_config {
  bool ipv4 = false;
  bool ipv6 = false;
  firewall_policy firewall = firewall_policy::report;  // what is done about a foreign rule that drops our forwards
};

struct source_nat {
  ip_prefix source;
  ip_address to;
};

struct port_forward {
  forward_protocol protocol = forward_protocol::tcp;
  std::uint16_t port = 0;  // at the host
  ip_address to;
  std::uint16_t to_port = 0;
  std::optional<ip_address> address;  // only packets for this address of the host; nothing: for any of them
};

struct nat_config {
  std::vector<ip_prefix> masquerade;
  std::vector<source_nat> snat;
  std::vector<port_forward> forward;
};

// Where a peer may be: an address, or a name with a port, to be resolved while we run.
struct peer_endpoint {
  std::string name;  // empty: an address
  endpoint at;       // of a name, the port only
  bool operator==(const peer_endpoint&) const = default;
};
[[nodiscard]] std::string to_string(const peer_endpoint& e);

struct peer_config {
  std::string name;
  crypto::public_key public_key;
  std::vector<peer_endpoint> endpoints;  // none: the peer calls us
  std::optional<std::filesystem::path> preshared_key;
  std::chrono::seconds keepalive{25};  // 0: off
};

// What may be left to the kernel, and to libipsec-mb. automatic: what the self-tests found to work.
struct offload_config {
  offload_choice tap_gso = offload_choice::automatic;
  offload_choice tap_uso = offload_choice::automatic;
  offload_choice udp_gso = offload_choice::automatic;
  offload_choice udp_gro = offload_choice::automatic;
  offload_choice accelerator = offload_choice::automatic;
};

struct config {
  std::string instance;        // the file's stem, [a-z0-9-]{1,12}
  std::filesystem::path file;  // as it was given
  node_config node;
  tap_config tap;
  bridge_config bridge;
  std::vector<netns_config> netns;
  forwarding_config forwarding;
  nat_config nat;
  std::vector<peer_config> peers;
  offload_config offload;
  log_level log = log_level::info;
  std::string control_group;
  source_map where;
};

// The secrets that a configuration names. Move-only; wiped when it dies.
struct key_material {
  crypto::private_key private_key;
  crypto::public_key own;
  std::optional<crypto::secret<32>> network_secret;
  std::vector<std::optional<crypto::secret<32>>> preshared_keys;  // in the order of config::peers
};

// Pure: reads no file. `file` gives the instance, the directory of the key files and the name in problems.
// `host_name` is the default of [node] name.
[[nodiscard]] config parse_config(std::string_view text, const std::filesystem::path& file, std::string_view host_name);

// The same for a file of at most 1 MiB.
[[nodiscard]] config load_config(const std::filesystem::path& file, std::string_view host_name);

// Reads the key files (secret_file.hpp) and refuses a peer that has our own key.
[[nodiscard]] key_material load_keys(const config& c);

// The file that a CONFIG|INSTANCE word of the command line means: with '/' or ending in ".toml" itself, else
// /etc/lanloom/<word>.toml.
[[nodiscard]] std::filesystem::path config_path(std::string_view word);

// The file's stem, or nothing if that is no instance name.
[[nodiscard]] std::optional<std::string> instance_of(const std::filesystem::path& file);

}  // namespace lanloom::app
