// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/app/plan.hpp>

#include "example_config.hpp"

#include <set>

using namespace lanloom;
using namespace lanloom::app;

namespace {
std::string lines_of(const plan& p) {
  std::string text;
  for (const auto& s : p.steps) text += to_string(s) + "\n";
  return text;
}
}  // namespace

TEST_CASE("plans are the golden ones, line by line") {
  CHECK(lines_of(plan_of_config(example("lan", two_hosts_alpha))) == golden("two-hosts-alpha.plan"));
  CHECK(lines_of(plan_of_config(example("lan", two_hosts_beta))) == golden("two-hosts-beta.plan"));
  CHECK(lines_of(plan_of_config(example("six", both_families))) == golden("both-families.plan"));
  CHECK(lines_of(plan_of_config(example("bare", bridge_only))) == golden("bridge-only.plan"));
  const auto uplink = example("lan", with_uplink);
  CHECK(lines_of(make_plan(uplink, example_key(), {1500, false, false, {example_uplink()}})) == golden("uplink.plan"));
}

TEST_CASE("on a switch in user space every port is made for it") {
  auto c = example("lan", two_hosts_alpha);
  c.bridge.create = false;
  const auto kernel = lines_of(make_plan(c, example_key(), {1500, true, false}));
  CHECK(kernel.find("use bridge br-lan of Open vSwitch as it is\n") == 0);
  CHECK(kernel.find("user space") == std::string::npos);
  const auto p = make_plan(c, example_key(), {1500, true, true});
  CHECK(lines_of(p).find("use bridge br-lan of Open vSwitch in user space as it is\n") == 0);
  int ports = 0;
  int joined = 0;
  for (const auto& s : p.steps) {
    ports += to_string(s).ends_with(" mtu 1500 for a switch in user space") ? 1 : 0;
    if (const auto* join = std::get_if<join_bridge>(&s)) joined += join->ovs ? 1 : 0;
  }
  CHECK(ports == 3);
  CHECK(joined == 3);
  CHECK(p.facts.user_space);
}

TEST_CASE("MAC addresses depend on key, instance and object, and say which end they are") {
  const auto macs = [](const plan& p) {
    std::vector<os::mac_address> all;
    for (const auto& s : p.steps) {
      if (const auto* b = std::get_if<create_bridge>(&s)) all.push_back(b->mac);
      if (const auto* t = std::get_if<open_tap>(&s)) all.push_back(t->mac);
      if (const auto* v = std::get_if<create_veth>(&s)) {
        all.push_back(v->host_mac);
        all.push_back(v->inside_mac);
      }
    }
    return all;
  };
  const auto c = example("lan", two_hosts_alpha);
  const auto first = macs(make_plan(c, example_key(), facts_of(c)));
  REQUIRE(first.size() == 6);
  CHECK(first == macs(make_plan(c, example_key(), facts_of(c))));
  CHECK(std::set(first.begin(), first.end()).size() == first.size());
  const std::vector<int> kinds{0x02, 0xfe, 0xfe, 0x02, 0xfe, 0x02};
  for (std::size_t i = 0; i < first.size(); ++i) CHECK(first[i][0] == kinds[i]);

  auto other_key = example_key();
  other_key.bytes[31] ^= 1U;
  const auto by_key = macs(make_plan(c, other_key, facts_of(c)));
  const auto by_instance = macs(plan_of_config(example("lan2", two_hosts_alpha)));
  for (std::size_t i = 0; i < first.size(); ++i) {
    CHECK(first[i] != by_key[i]);
    CHECK(first[i] != by_instance[i]);
  }
}

TEST_CASE("the table stands before forwarding is switched on") {
  const auto p = plan_of_config(example("six", both_families));
  REQUIRE(p.steps.size() > 3);
  CHECK(std::holds_alternative<load_table>(p.steps[p.steps.size() - 3]));
  CHECK(std::holds_alternative<enable_forwarding>(p.steps[p.steps.size() - 2]));
  CHECK(std::holds_alternative<enable_forwarding>(p.steps[p.steps.size() - 1]));
}

TEST_CASE("every subnet of the overlay is named once") {
  const auto subnets = overlay_subnets(example("six", both_families));
  REQUIRE(subnets.size() == 2);
  CHECK(to_string(subnets[0]) == "10.5.0.0/16");
  CHECK(to_string(subnets[1]) == "fd00:5::/64");
}
