// SPDX-License-Identifier: Apache-2.0
#include "firewall.hpp"

#include <lanloom/os/iptables.hpp>

#include <algorithm>
#include <array>
#include <vector>

namespace lanloom::app {

namespace {
constexpr std::array families{os::ip_family::v4, os::ip_family::v6};
constexpr const char* docker_chain = "DOCKER-USER";

bool drops(os::ip_family family) { return os::iptables_present(family) && os::iptables_forward_drops(family); }

std::vector<os::iptables_rule> rules_for(os::ip_family family, const std::string& bridge, const std::string& mark) {
  const std::string chain = os::iptables_chain_exists(family, docker_chain) ? docker_chain : "FORWARD";
  const auto rule = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"-j", "ACCEPT"});
    return os::iptables_rule{chain, std::move(words), mark};
  };
  return {rule({"-i", bridge, "-o", bridge}), rule({"-i", bridge, "!", "-o", bridge}),
          rule({"-o", bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"}),
          rule({"-o", bridge, "-m", "conntrack", "--ctstate", "DNAT"})};
}
}  // namespace

bool forwards_accepted(const std::string& bridge, const std::string& mark) {
  return std::none_of(families.begin(), families.end(), [&](os::ip_family family) {
    if (!drops(family)) return false;
    const auto rules = rules_for(family, bridge, mark);
    return !std::all_of(rules.begin(), rules.end(),
                        [&](const auto& rule) { return os::iptables_rule_present(family, rule); });
  });
}

void insert_acceptance(const std::string& bridge, const std::string& mark) {
  for (const auto family : families) {
    if (!drops(family)) continue;
    for (const auto& rule : rules_for(family, bridge, mark)) os::iptables_insert(family, rule);
  }
}

bool remove_acceptance(const std::string& mark) {
  std::size_t removed = 0;
  for (const auto family : families) {
    if (os::iptables_present(family)) removed += os::iptables_delete_marked(family, mark);
  }
  return removed > 0;
}

}  // namespace lanloom::app
