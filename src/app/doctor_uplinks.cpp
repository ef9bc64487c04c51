// SPDX-License-Identifier: Apache-2.0
// Bridged mode: what comes to this host by an uplink comes from the bridge, so rules that name the uplink miss it.
#include <lanloom/app/doctor_checks.hpp>

#include <algorithm>

namespace lanloom::app {

namespace {
constexpr const char* uplinks_id = "uplinks";

// Numbers of the routing rules that ask for it; none where there is no program that tells them.
std::vector<std::string> routing_rules_naming(examination& e, const std::string& interface) {
  std::vector<std::string> found;
  for (const char* family : {"-4", "-6"}) {
    const auto said = e.run("ip", {family, "-j", "rule", "show"});
    if (!said || said->status != 0) continue;
    const auto rules = nlohmann::json::parse(said->output, nullptr, false);
    if (!rules.is_array()) continue;
    for (const auto& r : rules) {
      if (!r.is_object() || (r.value("iif", "") != interface && r.value("oif", "") != interface)) continue;
      found.push_back(std::string("ip ") + family + " rule " + std::to_string(r.value("priority", 0)));
    }
  }
  return found;
}
}  // namespace

findings check_uplink_rules(examination& e) {
  const auto& b = e.file().bridge;
  if (b.uplinks.empty()) return {pass(uplinks_id, "the file names none")};
  const auto* rules = e.firewall();
  findings all;
  if (rules == nullptr)
    all.push_back(warn(uplinks_id, "the firewall's rules could not be read by this caller",
                       "sudo lanloom doctor " + e.file().file.string()));
  for (const auto& u : b.uplinks) {
    auto places = rules == nullptr ? std::vector<std::string>{} : rules->tables_naming(u);
    const auto routing = routing_rules_naming(e, u);
    places.insert(places.end(), routing.begin(), routing.end());
    for (const auto& place : places) {
      all.push_back(warn(uplinks_id,
                         place + " speaks of " + u + ", but with " + u + " in " + b.name +
                             " this host's packets come from and go to " + b.name,
                         "say " + b.name + " there, too"));
    }
  }
  if (all.empty()) all.push_back(pass(uplinks_id, "no rule of this host speaks of them"));
  return all;
}

}  // namespace lanloom::app
