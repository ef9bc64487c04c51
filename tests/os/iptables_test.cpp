// SPDX-License-Identifier: Apache-2.0
#include "own_host.hpp"
#include "partner.hpp"

#include <doctest/doctest.h>

#include <lanloom/os/iptables.hpp>

#include <system_error>

using namespace lanloom::os;

namespace {
constexpr const char* mark = "lanloom:lan-1";
const iptables_rule bridged{"FORWARD", {"-i", "br-lan", "-o", "br-lan", "-j", "ACCEPT"}, mark};
const iptables_rule answers{
    "DOCKER-USER", {"-o", "br-lan", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"}, mark};

// For either family, on a host of its own.
void with_iptables(const std::function<void(ip_family, const std::string&)>& body) {
  // Of the programs that can be called by that name, an installation chooses one.
  const partner iptables{"iptables", "/usr/sbin/iptables-nft",
                         "ln -sf iptables-nft usr/sbin/iptables && ln -sf ip6tables-nft usr/sbin/ip6tables"};
  if (!iptables.have()) return;
  for (const auto family : {ip_family::v4, ip_family::v6}) {
    on_own_host([&] {
      iptables.use();
      REQUIRE(iptables_present(family));
      body(family, family == ip_family::v4 ? "iptables" : "ip6tables");
    });
  }
}
}  // namespace

TEST_CASE("a host without rules is asked without a trace") {
  with_iptables([](ip_family family, const std::string&) {
    CHECK_FALSE(iptables_forward_drops(family));
    CHECK(iptables_chain_exists(family, "FORWARD"));
    CHECK_FALSE(iptables_chain_exists(family, "DOCKER-USER"));
    CHECK_FALSE(iptables_rule_present(family, bridged));
    CHECK_FALSE(iptables_rule_present(family, answers));
    iptables_delete(family, bridged);
    iptables_delete(family, answers);
    CHECK(iptables_delete_marked(family, mark) == 0);
    CHECK(output_of("nft list ruleset").empty());
  });
}

TEST_CASE("the kind of iptables is known") {
  with_iptables([](ip_family family, const std::string& program) {
    CHECK(iptables_is_older(family) == (output_of(program + " --version").find("nf_tables") == std::string::npos));
    output_of("mount --bind /usr/sbin/xtables-legacy-multi $(readlink -f /usr/sbin/" + program + ")");
    CHECK(iptables_is_older(family));
  });
}

TEST_CASE("the policy of FORWARD is seen") {
  with_iptables([](ip_family family, const std::string& program) {
    output_of(program + " -A FORWARD -m comment --comment '-P FORWARD DROP' -j ACCEPT");
    CHECK_FALSE(iptables_forward_drops(family));
    output_of(program + " -P FORWARD DROP");
    CHECK(iptables_forward_drops(family));
    output_of(program + " -P FORWARD ACCEPT");
    CHECK_FALSE(iptables_forward_drops(family));
  });
}

TEST_CASE("a rule goes to the top once, and goes away with all of its kind") {
  with_iptables([](ip_family family, const std::string& program) {
    output_of(program + " -N DOCKER-USER; " + program + " -A DOCKER-USER -j RETURN");
    output_of(program + " -A FORWARD -i br-lan -o br-lan -j ACCEPT");  // somebody else's, alike but for the mark
    const auto before = output_of(program + " -S");
    CHECK(iptables_chain_exists(family, "DOCKER-USER"));
    CHECK_FALSE(iptables_rule_present(family, bridged));
    for (int twice = 0; twice < 2; ++twice) {
      iptables_insert(family, bridged);
      iptables_insert(family, answers);
    }
    CHECK(iptables_rule_present(family, bridged));
    CHECK(iptables_rule_present(family, answers));
    const std::string comment = " -m comment --comment \"lanloom:lan-1\"";
    CHECK(output_of(program + " -S FORWARD") == "-P FORWARD ACCEPT\n-A FORWARD -i br-lan -o br-lan" + comment +
                                                    " -j ACCEPT\n-A FORWARD -i br-lan -o br-lan -j ACCEPT\n");
    CHECK(output_of(program + " -S DOCKER-USER | head -2") ==
          "-N DOCKER-USER\n-A DOCKER-USER -o br-lan" + comment +
              " -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n");
    output_of(program + " -A FORWARD" + comment + " -i br-lan -o br-lan -j ACCEPT");  // one too many
    iptables_delete(family, bridged);
    CHECK_FALSE(iptables_rule_present(family, bridged));
    CHECK(iptables_rule_present(family, answers));
    iptables_delete(family, answers);
    CHECK(output_of(program + " -S") == before);
  });
}

TEST_CASE("without knowing them, all rules with a mark are found and deleted, and no others") {
  with_iptables([](ip_family family, const std::string& program) {
    output_of(program + " -N DOCKER-USER; " + program + " -N 'lanloom:lan-1'");
    for (const auto* comment : {"lanloom:lan-1x", "x lanloom:lan-1", "lanloom:lan", "a \\\" --comment lanloom:lan-1"}) {
      output_of(program + " -A FORWARD -m comment --comment \"" + comment + "\" -j ACCEPT");
    }
    output_of(program + " -A FORWARD -i br-lan -o br-lan -j ACCEPT");
    const auto before = output_of(program + " -S");
    const iptables_rule odd{
        "DOCKER-USER", {"-i", "br-lan", "-m", "comment", "--comment", "two \"words\" \\", "-j", "RETURN"}, mark};
    iptables_insert(family, odd);
    iptables_insert(family, answers);
    iptables_insert(family, bridged);
    const auto found = iptables_marked(family, mark);
    REQUIRE(found.size() == 3);
    CHECK(found[0] == bridged);
    CHECK(iptables_delete_marked(family, mark) == 3);
    CHECK(output_of(program + " -S") == before);
    CHECK(iptables_delete_marked(family, mark) == 0);
  });
}

TEST_CASE("a refusal has the program's words, and no word of ours becomes an option") {
  with_iptables([](ip_family family, const std::string& program) {
    CHECK(refusal([&] { iptables_insert(family, answers); }).rfind(program + ": ", 0) == 0);
    CHECK_THROWS_AS(iptables_insert(family, answers), iptables_refused);  // no such chain
    auto wrong = bridged;
    wrong.words.emplace_back("--bogus");
    CHECK(refusal([&] { iptables_insert(family, wrong); }).find("--bogus") != std::string::npos);
    for (const auto* chain : {"", "-F", "!", "a\n", "a-name-longer-than-twenty-eight"}) {
      CHECK_THROWS_AS((void)iptables_chain_exists(family, chain), std::system_error);
    }
    for (const auto* text : {"", "-F", "a\n"}) {
      CHECK_THROWS_AS((void)iptables_delete_marked(family, text), std::system_error);
    }
    CHECK(output_of("nft list ruleset").find("ACCEPT") == std::string::npos);
  });
}
