// SPDX-License-Identifier: Apache-2.0
#include "own_host.hpp"

#include <doctest/doctest.h>

#include <lanloom/os/nft.hpp>
#include <lanloom/os/unique_fd.hpp>

#include <fcntl.h>
#include <sys/mount.h>

#include <chrono>

using namespace lanloom::os;

namespace {
constexpr const char* small = "table inet lanloom-lan {\n chain c { ip saddr 10.5.0.0/16 accept; }\n}\n";

// Another program in nft's place, in this host's mounts only.
void replace_nft(const char* with) {
  const auto nft = output_of("PATH=/usr/sbin:/sbin:/usr/bin:/bin command -v nft");
  REQUIRE(!nft.empty());
  REQUIRE(::mount(with, nft.substr(0, nft.size() - 1).c_str(), nullptr, MS_BIND, nullptr) == 0);
}

void put_in_place_of_nft(const std::string& shell_text) {
  {
    const unique_fd script(::open("/run/nft", O_CREAT | O_WRONLY | O_CLOEXEC, 0755));
    REQUIRE(script);
    const auto text = "#!/bin/sh\n" + shell_text;
    REQUIRE(::write(script.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  replace_nft("/run/nft");
}
}  // namespace

TEST_CASE("rules are applied and a table deleted as one unit") {
  on_own_host([] {
    REQUIRE(nft_present());
    CHECK_FALSE(nft_table_exists("lanloom-lan"));
    nft_delete_table("lanloom-lan");
    nft_apply(small);
    CHECK(nft_table_exists("lanloom-lan"));
    CHECK_FALSE(nft_table_exists("lanloom-la"));
    CHECK(output_of("nft list ruleset").find("ip saddr 10.5.0.0/16 accept") != std::string::npos);
    nft_apply("table ip lanloom-other {}");
    CHECK_FALSE(nft_table_exists("lanloom-other"));  // of another family
    nft_delete_table("lanloom-lan");
    CHECK_FALSE(nft_table_exists("lanloom-lan"));
    nft_delete_table("lanloom-lan");
    CHECK(output_of("nft list tables") == "table ip lanloom-other\n");
  });
}

TEST_CASE("a table is replaced in one transaction") {
  on_own_host([] {
    nft_apply(small);
    const auto before = output_of("nft list ruleset");
    const std::string replace = "table inet lanloom-lan {}\ndelete table inet lanloom-lan\n";
    const auto words = refusal([&] { nft_apply(replace + "table inet lanloom-lan { chain c { bogus; }; }"); });
    CHECK(words.rfind("nft: ", 0) == 0);
    CHECK(words.find("bogus") != std::string::npos);
    CHECK(words.find("Error:") != std::string::npos);
    CHECK(words.back() != '\n');
    CHECK_THROWS_AS(nft_apply(replace + "bogus"), nft_refused);
    CHECK(output_of("nft list ruleset") == before);
    nft_apply(replace + "table inet lanloom-lan { chain d { drop; }; }");
    CHECK(output_of("nft list ruleset").find("chain d") != std::string::npos);
    CHECK(output_of("nft list ruleset").find("chain c") == std::string::npos);
  });
}

TEST_CASE("rules may be longer than a pipe, words are at most 4 KiB") {
  on_own_host([] {
    std::string rules = "table inet lanloom-lan {\n chain c {\n";
    for (int i = 0; i < 4000; ++i) rules += "  tcp dport " + std::to_string(i + 1) + " counter accept\n";
    nft_apply(rules + " }\n}\n");
    CHECK(rules.size() > 65536);
    CHECK(output_of("nft list ruleset | grep -c accept") == "4000\n");
    const auto words = refusal([] { nft_apply("table inet t { " + std::string(100000, 'x') + "; }"); });
    CHECK(words.size() <= 4096 + 5);
    CHECK(words.size() > 100);
  });
}

TEST_CASE("a table's name cannot carry rules") {
  using namespace std::string_view_literals;
  const std::string too_long(65, 'a');
  for (const auto name :
       {""sv, "a b"sv, "a{}"sv, "a;flush ruleset"sv, "a\n"sv, "1a"sv, "-a"sv, "a\0b"sv, std::string_view(too_long)}) {
    CHECK_THROWS_AS((void)nft_table_exists(name), std::system_error);
    CHECK_THROWS_AS(nft_delete_table(name), std::system_error);
  }
}

TEST_CASE("without nft the error names the package, and no table means nothing to delete") {
  on_own_host([] {
    replace_nft("/dev/null");
    CHECK_FALSE(nft_present());
    CHECK(refusal([] { nft_apply(small); }).rfind("nft: not found; install the package nftables: ", 0) == 0);
    nft_delete_table("lanloom-lan");
  });
}

TEST_CASE("a table is listed as it was loaded, or as nothing") {
  on_own_host([] {
    CHECK(nft_list_table("lanloom-lan").empty());
    const std::string counted = "table inet lanloom-lan { chain c { type filter hook output priority 0; counter; }; }";
    nft_apply(counted);
    nft_apply("table inet lanloom-lan2 {}");
    const auto listed = nft_list_table("lanloom-lan");
    CHECK(listed.find("table inet lanloom-lan {") == 0);
    CHECK(listed.find("counter") != std::string::npos);
    CHECK(listed.find("packets") == std::string::npos);
    nft_delete_table("lanloom-lan");
    nft_apply(counted);
    CHECK(nft_list_table("lanloom-lan") == listed);
    nft_apply("add rule inet lanloom-lan c drop");
    CHECK(nft_list_table("lanloom-lan") != listed);
    CHECK_THROWS_AS((void)nft_list_table("a;flush ruleset"), std::system_error);
  });
}

TEST_CASE("an nft that fails or dies without a word is reported") {
  on_own_host([] {
    put_in_place_of_nft("kill -KILL $$\n");
    CHECK_THROWS_WITH_AS(nft_apply(small), "nft: it failed without a word", nft_refused);
  });
}

TEST_CASE("an nft that does not end is killed after ten seconds") {
  on_own_host([] {
    put_in_place_of_nft("exec 2>&-\nexec sleep 600\n");
    const auto start = std::chrono::steady_clock::now();
    CHECK(refusal([] { nft_apply(small); }) == "nft: no end after 10 seconds: Connection timed out");
    const auto took = std::chrono::steady_clock::now() - start;
    CHECK(took >= std::chrono::seconds(10));
    CHECK(took < std::chrono::seconds(30));
  });
}
