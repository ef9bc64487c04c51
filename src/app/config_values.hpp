// SPDX-License-Identifier: Apache-2.0
// config_values.hpp - the text of one configuration value -> its domain type.
//
// Each parser returns nothing for text it refuses; `why` then says the reason where the expected form (config_keys.hpp)
// does not say it already, without a full stop. Text comes from the file: any bytes.
#pragma once

#include <lanloom/app/config.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace lanloom::app {

struct socket_address {
  ip_address address;
  std::uint16_t port = 0;
};

[[nodiscard]] std::optional<std::string> parse_name(std::string_view text, std::string& why);
[[nodiscard]] std::optional<std::string> parse_interface_name(std::string_view text, std::string& why);
[[nodiscard]] std::optional<std::string> parse_group(std::string_view text, std::string& why);
[[nodiscard]] std::optional<std::filesystem::path> parse_key_path(std::string_view text, std::string& why);
[[nodiscard]] std::optional<std::filesystem::path> parse_directory(std::string_view text, std::string& why);
[[nodiscard]] std::optional<endpoint> parse_listen(std::string_view text, std::string& why);
[[nodiscard]] std::optional<peer_endpoint> parse_peer_endpoint(std::string_view text, std::string& why);
// Why a peer cannot be at this address; empty if it can.
[[nodiscard]] std::string_view not_a_peers(const ip_address& a) noexcept;
[[nodiscard]] std::optional<socket_address> parse_forward_target(std::string_view text, std::string& why);
[[nodiscard]] std::optional<ip_address> parse_host_address(std::string_view text, std::string& why);
// A host's address with the length of its subnet.
[[nodiscard]] std::optional<ip_prefix> parse_interface_address(std::string_view text, std::string& why);
// A subnet: no host bits.
[[nodiscard]] std::optional<ip_prefix> parse_subnet(std::string_view text, std::string& why);
[[nodiscard]] std::optional<crypto::public_key> parse_public_key(std::string_view text, std::string& why);
[[nodiscard]] std::optional<cipher_choice> parse_cipher(std::string_view text, std::string& why);
[[nodiscard]] std::optional<offload_choice> parse_offload(std::string_view text, std::string& why);
[[nodiscard]] std::optional<log_level> parse_level(std::string_view text, std::string& why);
[[nodiscard]] std::optional<forward_protocol> parse_protocol(std::string_view text, std::string& why);
[[nodiscard]] std::optional<bridge_kind> parse_bridge_kind(std::string_view text, std::string& why);
[[nodiscard]] std::optional<firewall_policy> parse_firewall(std::string_view text, std::string& why);

// The host's end of a veth pair whose name the file does not give: "lv", the first six characters of the namespace's
// name and six digits of a hash (FNV-1a) over instance and name, "lvns1-5d27a0". At most 15 characters.
[[nodiscard]] std::string derived_host_interface(std::string_view instance, std::string_view netns);

// Why the address of `p` cannot be a host's in that subnet; empty if it can.
[[nodiscard]] std::string_view not_in_subnet(const ip_prefix& p) noexcept;

[[nodiscard]] ip_address address_of(const endpoint& e) noexcept;

// Text of the file inside a message: in backquotes, without control characters, cut after 64 bytes.
[[nodiscard]] std::string in_quotes(std::string_view text);

// The candidate that a typing error away from `word` could have meant; empty if none is near.
template <class Candidates>
[[nodiscard]] std::string_view nearest(std::string_view word, const Candidates& candidates);

// Insertions, deletions, replacements and swaps of neighbours from one to the other; 32 bytes of each count.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b) noexcept;

template <class Candidates>
std::string_view nearest(std::string_view word, const Candidates& candidates) {
  std::string_view best;
  std::size_t least = word.size() < 5 ? 2 : 3;  // one past the distance that still counts
  for (const std::string_view c : candidates) {
    if (const auto d = edit_distance(word, c); d < least) {
      least = d;
      best = c;
    }
  }
  return best;
}

}  // namespace lanloom::app
