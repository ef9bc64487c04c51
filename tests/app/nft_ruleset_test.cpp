// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/app/nft_ruleset.hpp>
#include <lanloom/app/plan.hpp>
#include <lanloom/os/nft.hpp>

#include "example_config.hpp"
#include "os/own_host.hpp"

#include <sstream>

using namespace lanloom;
using namespace lanloom::app;

namespace {
nft_rules rules_of(const config& c) {
  return {c.instance, c.bridge.name, overlay_subnets(c), c.nat, {c.forwarding.ipv4, c.forwarding.ipv6}};
}

// A host that did not forward, with two bridges.
const router_guard unguarded_before{{true, true}, {"br0", "docker0"}};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
}  // namespace

TEST_CASE("tables are the golden ones") {
  CHECK(nft_ruleset(rules_of(example("lan", two_hosts_alpha)), unguarded_before) == golden("two-hosts-alpha.nft"));
  CHECK(nft_ruleset(rules_of(example("lan", two_hosts_beta)), unguarded_before) == golden("two-hosts-beta.nft"));
  CHECK(nft_ruleset(rules_of(example("six", both_families)), unguarded_before) == golden("both-families.nft"));
}

TEST_CASE("there is a table only where there is a rule") {
  const auto bare = rules_of(example("bare", bridge_only));
  CHECK_FALSE(needs_table(bare));
  auto only_forwarding = bare;
  only_forwarding.forwarding = {false, true};
  CHECK(needs_table(only_forwarding));
  CHECK(needs_table(rules_of(example("lan", two_hosts_beta))));
}

TEST_CASE("the guard is for families that did not forward before") {
  const auto rules = rules_of(example("six", both_families));
  const auto both = nft_ruleset(rules, unguarded_before);
  CHECK(has(both, "meta nfproto ipv4 drop"));
  CHECK(has(both, "meta nfproto ipv6 drop"));
  const auto v6_only = nft_ruleset(rules, {{false, true}, {}});
  CHECK_FALSE(has(v6_only, "meta nfproto ipv4 drop"));
  CHECK(has(v6_only, "meta nfproto ipv6 drop"));
  CHECK_FALSE(has(nft_ruleset(rules, {}), "chain forward"));
}

TEST_CASE("a guard is read back from its table") {
  const auto rules = rules_of(example("six", both_families));
  for (const auto& guard : {unguarded_before, router_guard{{false, true}, {"br0"}}, router_guard{{true, true}, {}}}) {
    CHECK(read_guard(nft_ruleset(rules, guard)) == guard);
  }
  CHECK(read_guard(nft_ruleset(rules, {})) == router_guard{});
  CHECK(read_guard("meta iifkind \"bridge\" iifname != { \"br0").bridges.empty());
}

TEST_CASE("where the bridge has an uplink, what is routed out by it is translated, and what is bridged is not") {
  auto rules = rules_of(example("lan", two_hosts_alpha));
  rules.leads_out = true;
  const auto text = nft_ruleset(rules, {});
  CHECK(has(text, "oifname != \"br-lan\" ip saddr 10.5.0.0/16 ip daddr != 10.5.0.0/16 masquerade"));
  CHECK(has(text, "iifname \"br-lan\" oifname \"br-lan\" ip saddr 10.5.0.0/16 ip daddr != 10.5.0.0/16 masquerade"));
}

TEST_CASE("what leaves through the bridge is translated only for the hairpin") {
  std::istringstream text(nft_ruleset(rules_of(example("six", both_families)), unguarded_before));
  bool inside = false;
  int rules = 0;
  for (std::string line; std::getline(text, line);) {
    if (has(line, "chain ")) inside = has(line, "chain postrouting");
    if (!inside || (!has(line, "masquerade") && !has(line, "snat ip"))) continue;
    ++rules;
    CHECK_MESSAGE((has(line, "oifname != \"br6\"") || has(line, "ct status dnat")), line);
  }
  CHECK(rules == 5);
}

TEST_CASE("nft takes every table, twice over, and leaves none behind") {
  lanloom::os::on_own_host([] {
    for (const auto& [instance, text] :
         {std::pair("lan", two_hosts_alpha), {"lan", two_hosts_beta}, {"six", both_families}}) {
      const auto rules = rules_of(example(instance, text));
      const auto name = nft_table_name(instance);
      for (const router_guard& before :
           {router_guard{}, {{true, false}, {}}, {{true, true}, {"br0"}}, unguarded_before}) {
        CHECK(os::refusal([&] { os::nft_apply(nft_ruleset(rules, before)); }).empty());
        CHECK(os::refusal([&] { os::nft_apply(nft_ruleset(rules, before)); }).empty());
        CHECK(os::nft_table_exists(name));
        os::nft_delete_table(name);
        CHECK(os::output_of("nft list ruleset").empty());
      }
    }
  });
}
