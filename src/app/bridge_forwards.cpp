// SPDX-License-Identifier: Apache-2.0
#include <lanloom/app/bridge_forwards.hpp>
#include <lanloom/app/plan.hpp>
#include <lanloom/os/iptables.hpp>

#include <algorithm>

namespace lanloom::app {

namespace {
using words = std::vector<std::string>;

constexpr std::string_view chain_for_others = "DOCKER-USER";

std::vector<words> words_of(const bridge_forwards& f) {
  std::vector<words> rules;
  for (const auto& u : f.uplinks) {
    rules.push_back(
        {"-i", u, "-o", f.bridge, "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED,DNAT", "-j", "ACCEPT"});
    rules.push_back({"-i", f.bridge, "-o", u, "-j", "ACCEPT"});
  }
  rules.push_back({"-i", f.bridge, "-o", f.bridge, "-j", "ACCEPT"});
  return rules;
}

os::ip_family family_of(const bridge_forwards& f) { return f.v6 ? os::ip_family::v6 : os::ip_family::v4; }

std::vector<os::iptables_rule> rules_of(const bridge_forwards& f) {
  const bool docker = os::iptables_chain_exists(family_of(f), chain_for_others);
  const std::string chain(docker ? chain_for_others : "FORWARD");
  std::vector<os::iptables_rule> rules;
  for (auto& rule : words_of(f)) rules.push_back({chain, std::move(rule), mark_of(f.instance)});
  return rules;
}
}  // namespace

std::vector<std::string> describe(const bridge_forwards& f, std::string_view chain) {
  std::vector<std::string> lines;
  for (const auto& rule : words_of(f)) {
    std::string line = std::string(f.v6 ? "ip6tables" : "iptables") + " -I " + std::string(chain);
    for (const auto& word : rule) line += " " + word;
    lines.push_back(std::move(line));
  }
  return lines;
}

bool lacks_bridge_forwards(const bridge_forwards& f) {
  if (!os::iptables_present(family_of(f)) || !os::iptables_forward_drops(family_of(f))) return false;
  const auto rules = rules_of(f);
  return !std::all_of(rules.begin(), rules.end(),
                      [&](const auto& rule) { return os::iptables_rule_present(family_of(f), rule); });
}

void allow_bridge_forwards(const bridge_forwards& f) {
  for (const auto& rule : rules_of(f)) os::iptables_insert(family_of(f), rule);
}

std::size_t withdraw_bridge_forwards(std::string_view instance) {
  std::size_t gone = 0;
  for (const auto family : {os::ip_family::v4, os::ip_family::v6}) {
    if (os::iptables_present(family)) gone += os::iptables_delete_marked(family, mark_of(instance));
  }
  return gone;
}

}  // namespace lanloom::app
