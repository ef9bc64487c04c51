// SPDX-License-Identifier: Apache-2.0
// uplink.hpp - bridged mode: an interface of this host becomes a port of our bridge, and what it has moves there.
//
// 1. What moves: permanent addresses (but link-local ones of IPv6, of which the bridge makes its own) and the routes
//    out of the interface. Whatever is renewed by somebody else (DHCP, router advertisements) is refused beforehand:
//    its owner would go on renewing it where it has no effect.
// 2. As it was is in the journal before the first change: taken_uplink, and had_address and had_route lines in front of
//    it. Both directions can be cut short anywhere and done again. An interface that is called otherwise by then is
//    known by its index.
// 3. The interface keeps its MAC and MTU. The addresses change theirs, there and back: up to 256 neighbours that the
//    host knows hear of it at once, being asked for their own from the new one; others learn by their own neighbour
//    detection.
// Process: keeper and `down`, in the caller's network namespace, with the journal held. Errors: std::system_error;
// setup_error for what is refused.
#pragma once

#include <lanloom/app/host.hpp>
#include <lanloom/app/host_view.hpp>
#include <lanloom/os/netlink.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace lanloom::app {

// Whether an address moves along: all that stay do, but link-local ones of IPv6.
[[nodiscard]] bool moves(const os::address_info& a);

inline constexpr const char* bearer_of_one_mac =
    "carries frames of its own MAC address alone, as wireless interfaces do, so no bridge can have it; use NAT in its "
    "place: leave [bridge] uplinks empty and set [nat] masquerade";

// The line of an uplink by its name in the file; of an interface, whatever it is called now. nullptr: there is none.
[[nodiscard]] const taken_uplink* find_taken(const std::vector<journal_entry>& entries, const std::string& port);
[[nodiscard]] const taken_uplink* find_taken(const std::vector<journal_entry>& entries, const os::link& port);

// Those of the configuration that are there, as they were before they were taken: the journal knows it of one that is
// a port already. Where the journal is lost, what the bridge has beyond the configuration came with the first of them.
[[nodiscard]] std::vector<uplink_state> read_uplinks(const config& c, const std::vector<journal_entry>& entries);

// uplink_check.cpp: refuses what cannot be an uplink, or would not come through it whole. Asks the default gateways of
// what is not taken yet, for `patience` at most: if none answers now, nobody could tell later whether the bridge
// carries.
void check_uplinks(const plan& p, const host_view& kernel, const std::vector<journal_entry>& entries,
                   std::chrono::milliseconds patience);

// All of it is on the bridge, and nothing on the interface. Pure.
[[nodiscard]] bool is_taken(const take_uplink& wanted, const host_view& kernel);

// What cannot be done whole is taken back, where the uplink was not ours before; then it throws.
void take(const take_uplink& wanted, journal& log);
// Gives back an uplink whose taking, or what came after it, failed. Says what cannot be put back.
void give_back_new(const std::string& port, journal& log);

// The way back. What cannot be put back has a sentence in `left`. `all` has the had_ lines.
void give_back(const taken_uplink& taken, const std::vector<journal_entry>& all, undo_report& report);

// The journal's lines of an uplink that has been given back, or was never taken whole.
void forget(const std::string& port, journal& log);

// Whether the entry says how that uplink was.
[[nodiscard]] bool speaks_of(const journal_entry& e, const std::string& port);

}  // namespace lanloom::app
