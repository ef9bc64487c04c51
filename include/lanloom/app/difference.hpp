// SPDX-License-Identifier: Apache-2.0
// difference.hpp - what is to be done so that a host becomes as a plan says: difference(plan, kernel) -> steps.
//
// 1. Pure and complete: start, adoption after a crash, reload and reconcile all do what it says, and nothing else.
// 2. What is ours and right is kept, ours and wrong is corrected in place, ours and no longer planned is undone.
//    Nothing is removed in order to be made again, but a veth pair whose inside end is lost.
// 3. What somebody else has is never touched: it is a conflict. What somebody else has yet to make is missing, and
//    whatever hangs on it waits.
// Process: keeper. Done by: host.hpp.
#pragma once

#include <lanloom/app/journal.hpp>
#include <lanloom/app/plan.hpp>

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace lanloom::app {

struct host_view;

// A link of ours gets back what the plan says.
struct correct_link {
  link_place what;
  os::mac_address mac{};
  std::uint16_t mtu = 0;
  std::string alias;
  bool makes_addresses = true;  // false: IPv6 address generation is switched off
};
struct correct_bridge {  // what only a bridge has
  std::string name;
  bool stp = false;
};
// A port of a switch in user space, which reads it beside the host's stack and knows no offloads.
struct suit_user_space {
  std::string port;
  std::optional<link_place> inside;  // the other end of a veth pair
};
struct remove_veth {  // whose inside end is not where it belongs
  std::string name;
};
struct correct_route {
  link_place out;
  os::default_route unwanted;
};
struct undo_entry {  // what the plan does not name any more
  journal_entry entry;
};
struct keep_entry {  // ours, there, and unknown to the journal
  journal_entry entry;
};

using change = std::variant<step, correct_link, correct_bridge, suit_user_space, remove_veth, correct_route, undo_entry,
                            keep_entry>;

[[nodiscard]] std::string to_string(const change& c);  // one line

// How the cause of a change begins that is not there to put something right: what we want changed by itself, as other
// instances or bridges came or went.
inline constexpr std::string_view own_wish = "now otherwise: ";

struct caused_change {
  change what;
  std::string cause;  // the line of the change that this one follows from: its own, or that which makes its link anew
};

struct host_difference {
  std::vector<caused_change> changes;  // in the order in which they are to be done
  std::vector<std::string> missing;    // one sentence each
  std::vector<std::string> conflicts;  // one sentence each
};

[[nodiscard]] host_difference difference(const plan& wanted, const host_view& kernel,
                                         const std::vector<journal_entry>& entries);

}  // namespace lanloom::app
