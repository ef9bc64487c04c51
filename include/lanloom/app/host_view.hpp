// SPDX-License-Identifier: Apache-2.0
// host_view.hpp - what the kernel has of the things a plan names, read once for one pass.
//
// A value: difference.hpp compares it with the plan and asks the kernel nothing. Read in the caller's network namespace
// and in those that the plan and the journal name. Errors: std::system_error.
#pragma once

#include <lanloom/app/bridge_forwards.hpp>
#include <lanloom/app/journal.hpp>
#include <lanloom/app/nft_ruleset.hpp>
#include <lanloom/app/plan.hpp>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lanloom::app {

struct link_view {
  os::link link;
  std::vector<ip_prefix> addresses;
  std::vector<os::route_entry> routes;  // out of it; only of a bridge that has uplinks
};

struct place_view {
  std::uint64_t id = 0;  // os::netns_id; 0 for the host's own
  std::vector<link_view> links;
  std::vector<os::default_route> routes;

  [[nodiscard]] const link_view* find(std::string_view name) const noexcept;
};

struct host_view {
  place_view here;
  std::map<std::string, place_view, std::less<>> netns;  // those that exist, by the plan's word for them
  std::map<std::string, std::string> ovs_bridge_of;      // our ports of an Open vSwitch bridge
  bool ovs_bridge_exists = false;
  std::string ovs_refusal;                      // why nothing is known of it
  std::set<std::string, std::less<>> unsuited;  // ports for which suit_user_space has something to do
  bool bridge_takes_adverts = false;            // accept_ra of the bridge that we make
  address_families forwards;
  bool table_is_right = false;     // what is loaded is what we loaded last, and what we would load now
  bool table_is_outdated = false;  // we would load another: instances or bridges came or went
  bool forwards_accepted = false;  // accept_forwards has nothing to do

  // In the place that a plan's word means; nothing where the namespace or the link is not there.
  [[nodiscard]] const link_view* find(const link_place& at) const noexcept;
  [[nodiscard]] const place_view* at(std::string_view netns) const noexcept;
};

// All but table_is_right, which only who loaded it can know.
[[nodiscard]] host_view read_host(const plan& p, const std::vector<journal_entry>& entries);

// Key and value of each setting by which the host's stack answers and takes nothing that arrives at a port.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> ignoring_sysctls(const std::string& port);

// What a step stands for, one for each family.
[[nodiscard]] std::vector<bridge_forwards> forwards_of(const accept_forwards& s, const std::string& instance);

// Whether a link of the host is the one that an entry speaks of, or bears one of the instance's marks. By its MAC too:
// between its birth and its mark we may have died.
[[nodiscard]] bool is_ours(const os::link& l, std::string_view instance, const std::vector<journal_entry>& entries);
[[nodiscard]] std::optional<link_kind> kind_of(const os::link& l) noexcept;

}  // namespace lanloom::app
