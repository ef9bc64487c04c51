// SPDX-License-Identifier: Apache-2.0
// config_keys.hpp - the one list of tables and keys of the configuration file, with what each is written as.
//
// The reader looks up every key here, so a key that is not in the list cannot be read; `form` completes the sentence
// "...; write <form>". A key without a form belongs to the file format but is not built in this version: it is refused.
// "nat.snat" and "nat.forward" are the tables inside those lists.
#pragma once

#include <array>
#include <string_view>

namespace lanloom::app {

struct config_table {
  std::string_view name;
  bool repeated;  // [[name]]
};

inline constexpr std::array config_tables{
    config_table{"node", false},    config_table{"tap", false},        config_table{"bridge", false},
    config_table{"netns", true},    config_table{"forwarding", false}, config_table{"nat", false},
    config_table{"peer", true},     config_table{"offload", false},    config_table{"log", false},
    config_table{"control", false},
};

struct config_key {
  std::string_view table;
  std::string_view name;
  std::string_view form;  // empty: not built in this version
};

namespace forms {
inline constexpr std::string_view name = "1 to 64 letters, digits, `.`, `_` or `-`, beginning with a letter or digit";
inline constexpr std::string_view interface =
    "an interface name of 1 to 15 letters, digits, `.`, `_` or `-`, beginning with a letter or digit";
inline constexpr std::string_view key_file = "the path of a key file, relative to this file";
inline constexpr std::string_view addresses =
    "a list of addresses with the length of their subnet, such as "
    "[\"10.5.0.1/16\", \"fd00:5::1/64\"]";
inline constexpr std::string_view boolean = "true or false";
inline constexpr std::string_view offload = "\"auto\", \"on\" or \"off\"";
inline constexpr std::string_view port = "a port from 1 to 65535";
}  // namespace forms

inline constexpr std::array config_keys{
    config_key{"node", "name", forms::name},
    config_key{"node", "private_key", forms::key_file},
    config_key{"node", "listen", "a numeric address and port, such as \"[::]:4780\" or \"192.168.50.6:4780\""},
    config_key{"node", "network", forms::name},
    config_key{"node", "network_secret", forms::key_file},
    config_key{"node", "cipher", "\"auto\", \"aes-256-gcm\" or \"chacha20-poly1305\""},
    config_key{"node", "state", "the absolute path of a directory, such as \"/var/lib/lanloom/lan\""},
    config_key{"tap", "name", forms::interface},
    config_key{"tap", "mtu", "an integer from 1280 to 9216"},
    config_key{"bridge", "name", forms::interface},
    config_key{"bridge", "create", forms::boolean},
    config_key{"bridge", "kind", "\"auto\", \"linux\" or \"ovs\""},
    config_key{"bridge", "addresses", forms::addresses},
    config_key{"bridge", "uplinks", "a list of interfaces of this host, such as [\"eth1\"]"},
    config_key{"bridge", "stp", forms::boolean},
    config_key{"netns", "name", forms::name},
    config_key{"netns", "create", forms::boolean},
    config_key{"netns", "interface", forms::interface},
    config_key{"netns", "host_interface", forms::interface},
    config_key{"netns", "addresses", forms::addresses},
    config_key{"netns", "gateway", "an address, or a list with one address per family"},
    config_key{"forwarding", "ipv4", forms::boolean},
    config_key{"forwarding", "ipv6", forms::boolean},
    config_key{"forwarding", "firewall", "\"report\" or \"fix\""},
    config_key{"nat", "masquerade", "a list of subnets, such as [\"10.5.0.0/16\"]"},
    config_key{"nat", "snat", "a list such as [{ source = \"10.6.0.0/16\", to = \"192.168.50.6\" }]"},
    config_key{"nat", "forward", "a list such as [{ protocol = \"tcp\", port = 8765, to = \"10.5.0.11:8765\" }]"},
    config_key{"nat.snat", "source", "a subnet, such as \"10.6.0.0/16\""},
    config_key{"nat.snat", "to", "an address of this host"},
    config_key{"nat.forward", "protocol", "\"tcp\" or \"udp\""},
    config_key{"nat.forward", "port", forms::port},
    config_key{"nat.forward", "to", "a numeric address and port, such as \"10.5.0.11:8765\""},
    config_key{"nat.forward", "address", "an address of this host"},
    config_key{"peer", "name", forms::name},
    config_key{"peer", "public_key", "the 44 characters of base64 that `lanloom pubkey` prints on that host"},
    config_key{"peer", "endpoint",
               "an address or host name with a port, such as \"192.168.50.5:4780\", \"[2001:db8::5]:4780\" or "
               "\"beta.example.org:4780\", or a list of them"},
    config_key{"peer", "preshared_key", forms::key_file},
    config_key{"peer", "keepalive", "seconds from 0 (off) to 3600"},
    config_key{"offload", "tap_gso", forms::offload},
    config_key{"offload", "tap_uso", forms::offload},
    config_key{"offload", "udp_gso", forms::offload},
    config_key{"offload", "udp_gro", forms::offload},
    config_key{"offload", "accelerator", forms::offload},
    config_key{"log", "level", "\"error\", \"warning\", \"info\" or \"debug\""},
    config_key{"control", "group", "the name of a group of this host"},
    config_key{"control", "metrics", ""},
};

// Nothing if `table` has no such key.
[[nodiscard]] constexpr const config_key* find_key(std::string_view table, std::string_view name) noexcept {
  for (const auto& k : config_keys) {
    if (k.table == table && k.name == name) return &k;
  }
  return nullptr;
}

[[nodiscard]] constexpr const config_table* find_table(std::string_view name) noexcept {
  for (const auto& t : config_tables) {
    if (t.name == name) return &t;
  }
  return nullptr;
}

}  // namespace lanloom::app
