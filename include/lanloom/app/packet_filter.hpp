// SPDX-License-Identifier: Apache-2.0
// packet_filter.hpp - what the firewall rules of a host do to a kind of packet, judged from their text; runs nothing.
//
// 1. Rules come from `nft -j list ruleset` and from `iptables -S`. What a rule asks that we do not understand, or that
//    the question leaves open (an address, a mark), is "maybe".
// 2. A question is about the packet that no narrow exception speaks of: a rule counts only if all it asks is certain.
//    So "blocked" means that most such packets die, and a single address that somebody let through does not hide it.
// 3. Every base chain of a hook must let a packet through; an accept in one chain says nothing for another.
// 4. As in the kernel, jumps go 16 deep; beyond that, and at a chain that is not there, evaluation goes on behind.
// Errors: add_nft and add_iptables throw std::runtime_error when the text is not what they know; nothing was added.
#pragma once

#include <lanloom/base/ip_prefix.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace lanloom::app {

enum class filter_hook : std::uint8_t { input, forward };

// The kind of packet that is asked about. What is left out may be anything.
struct packet_kind {
  bool v6 = false;
  bool bridged = false;      // crosses one bridge
  bool at_ports = false;     // asked of the rules of family bridge, which know ports, and of no others
  bool established = false;  // an answer; else the first packet of its flow
  bool translated = false;   // its destination was changed (DNAT)
  std::string in;            // interface; empty: some interface with another name than those that rules know
  std::string out;
  std::string bridge;  // which of the two is a bridge, or both
  std::optional<ip_prefix> source;
  std::optional<ip_prefix> destination;
  std::string protocol;  // "udp"; empty: any
  std::optional<std::uint16_t> port;
};

enum class filter_kind : std::uint8_t { nft, iptables };

// Where a packet ends.
struct blocked {
  filter_kind kind = filter_kind::nft;
  std::string program;  // that said so: "nft", "iptables", "ip6tables-legacy", ...
  std::string family;   // nft: "inet", "ip", ...
  std::string table;
  std::string base;   // the chain at the hook
  std::string chain;  // the chain with the rule
  std::string why;    // "its policy is DROP", "rule 3 rejects"
};
[[nodiscard]] std::string to_string(const blocked& b);  // "iptables chain FORWARD: its policy is DROP"

class packet_filter {
 public:
  enum class certainty : std::uint8_t { no, maybe, yes };
  using condition = std::function<certainty(const packet_kind&, filter_hook)>;
  enum class action : std::uint8_t { go_on, accept, drop, leave, jump, go_to };
  struct rule {
    std::vector<condition> conditions;
    action act = action::go_on;
    std::string target;  // of jump and go_to
    unsigned number = 0;
  };
  struct chain {
    std::vector<rule> rules;
    std::optional<filter_hook> hook;  // of a base chain
    bool drops = false;               // its policy
  };
  struct table {
    filter_kind kind = filter_kind::nft;
    std::string program;
    std::string family;  // "ip", "ip6", "inet" or "bridge"
    std::string name;
    std::map<std::string, chain, std::less<>> chains;
    std::set<std::string, std::less<>> interfaces;  // that its rules name
  };

  // All tables of `nft -j list ruleset` but those in `without` ("ip filter").
  void add_nft(std::string_view json, const std::set<std::string>& without = {});
  // Table filter, of `PROGRAM -S`.
  void add_iptables(std::string_view rules, const std::string& program, bool v6);

  // Where such a packet dies; nothing when it passes.
  [[nodiscard]] std::optional<blocked> blocks(filter_hook hook, const packet_kind& p) const;

  [[nodiscard]] bool has_chain(std::string_view name) const;
  [[nodiscard]] bool has_table(std::string_view family, std::string_view name) const;
  // Whose rules speak of the interface: "nft table inet filter", "iptables".
  [[nodiscard]] std::vector<std::string> tables_naming(std::string_view interface) const;
  // Whether a rule of a table with this chain or of this name speaks of the interface.
  [[nodiscard]] bool names_interface(std::string_view table_or_chain, std::string_view interface) const;

 private:
  std::vector<table> tables_;
};

// What rules of both kinds ask. A name may end in the sign for "whatever follows".
[[nodiscard]] packet_filter::certainty interface_is(const std::string& actual, std::string_view pattern, char wildcard);
[[nodiscard]] packet_filter::certainty address_is(const std::optional<ip_prefix>& actual, const ip_prefix& wanted,
                                                  bool v6);
[[nodiscard]] packet_filter::certainty protocol_is(const packet_kind& p, std::string_view wanted);
[[nodiscard]] packet_filter::certainty port_is(const packet_kind& p, unsigned first, unsigned last);
[[nodiscard]] packet_filter::certainty state_is(const packet_kind& p, std::string_view state);
[[nodiscard]] packet_filter::certainty either(packet_filter::certainty a, packet_filter::certainty b);
[[nodiscard]] packet_filter::certainty inverted(packet_filter::certainty a);

}  // namespace lanloom::app
