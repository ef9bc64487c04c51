// SPDX-License-Identifier: Apache-2.0
// forwarding.hpp - the sysctls that make the host a router, and what the kernel changes with them.
//
// Writing the switch of a family sets `forwarding` of every interface too (and IPv4's conf/all/accept_redirects), in
// either direction (net/ipv4/devinet.c: inet_forward_change, net/ipv6/addrconf.c: addrconf_forward_change). So all of
// these are in the journal before the switch is written, those that have our value already too.
// In the caller's network namespace. Errors: std::system_error.
#pragma once

#include <lanloom/app/host.hpp>
#include <lanloom/app/journal.hpp>
#include <lanloom/app/nft_ruleset.hpp>

#include <string>
#include <vector>

namespace lanloom::app {

[[nodiscard]] std::string forwarding_key(bool v6);
[[nodiscard]] std::string dotted(std::string_view key);  // as sysctl(8) writes it
[[nodiscard]] address_families forwarded_now();

// Switches that are on, where the journal does not tell who wanted that.
[[nodiscard]] std::vector<std::string> unknown_switches(const std::vector<journal_entry>& entries);

// Writes down which links there are, for the guard, if one of these families is about to be switched on.
void record_found_links(address_families wanted, journal& log);
// From what the journal says of the time before; of a family that is not switched on yet, from the switch itself. A
// bridge that another instance routes for is not guarded.
[[nodiscard]] router_guard guard_of(const journal& log);

// Where the IPv6 default route came by router advertisement, it is kept.
void switch_forwarding_on(bool v6, journal& log);

// What the journal says of one family becomes as it was, unless another instance forwards it too (which then inherits
// the entries) or somebody else's bridge has come that may count on it. What stays has a sentence in `left`. The caller
// has retracted needs_forwarding of all that it undoes: instances that leave together would leave it to one another, or
// wait for one another.
void undo_forwarding(journal& log, bool v6, undo_report& report);
[[nodiscard]] bool is_of_family(const journal_entry& e, bool v6) noexcept;

// What is still as we wrote it becomes what it was; anything else stays, with a sentence in `left`. Goes on
// past a write that is refused, then throws the first refusal.
void restore_sysctls(const std::vector<changed_sysctl>& changes, bool v6, journal& log, std::vector<std::string>& left);

}  // namespace lanloom::app
