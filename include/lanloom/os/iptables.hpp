// SPDX-License-Identifier: Apache-2.0
// iptables.hpp - rules in the filter table of a firewall that others own (Docker's DOCKER-USER, FORWARD), by way of the
// programs iptables and ip6tables, in the caller's network namespace. Rules of our own alone are nft's (nft.hpp).
//
// 1. Every rule bears a mark as its comment, and no rule without that mark is touched.
// 2. Asking changes nothing, not even an empty table (but asking the older kind makes that table). Inserting what is
//    there, and deleting what is not, does nothing.
//    The first insertion ever into a host's FORWARD leaves the empty table behind: insert where a policy is in the way.
// 3. The programs wait 5 seconds for the lock that they share.
// Errors: iptables_refused with the program's own words; std::system_error as run_program. Used by the keeper.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace lanloom::os {

enum class ip_family { v4, v6 };  // iptables, ip6tables

struct iptables_rule {
  std::string chain;
  std::vector<std::string> words;  // matches and target: "-i", "br-lan", "-o", "br-lan", "-j", "ACCEPT"
  std::string mark;                // 1 to 255 printable ASCII characters
  bool operator==(const iptables_rule&) const = default;
};

class iptables_refused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[nodiscard]] bool iptables_present(ip_family family);

// Its rules are in the kernel's older tables, of whose changes the kernel tells nobody (monitor.hpp).
[[nodiscard]] bool iptables_is_older(ip_family family);

// The policy of the chain FORWARD is DROP.
[[nodiscard]] bool iptables_forward_drops(ip_family family);
[[nodiscard]] bool iptables_chain_exists(ip_family family, std::string_view chain);

[[nodiscard]] bool iptables_rule_present(ip_family family, const iptables_rule& rule);
void iptables_insert(ip_family family, const iptables_rule& rule);  // at the top of its chain
void iptables_delete(ip_family family, const iptables_rule& rule);  // all of its kind

// Every rule that bears it, in all chains of the filter table.
[[nodiscard]] std::vector<iptables_rule> iptables_marked(ip_family family, std::string_view mark);
std::size_t iptables_delete_marked(ip_family family, std::string_view mark);  // how many there were

}  // namespace lanloom::os
