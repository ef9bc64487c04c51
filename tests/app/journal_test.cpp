// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/app/journal.hpp>

#include <sys/stat.h>

#include <array>
#include <cstdlib>
#include <fstream>
#include <iterator>

using namespace lanloom;
using namespace lanloom::app;
namespace fs = std::filesystem;

namespace {
const std::string origin = "0c7f8d1e-5f0a-4f44-9b2c-6a1f1d2e3f40 net:[4026531840]";

class scratch {
 public:
  scratch() {
    std::string name = fs::temp_directory_path().string() + "/lanloom-journal-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    directory_ = name;
  }
  ~scratch() { fs::remove_all(directory_); }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  [[nodiscard]] fs::path file() const { return directory_ / "lan.journal"; }

 private:
  fs::path directory_;
};

std::string text_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

const std::vector<journal_entry> examples{
    made_link{link_kind::bridge, "br-lan", {0x02, 0x24, 0x56, 0x4c, 0x0a, 0x64}},
    made_link{link_kind::tap, "vtap0", {0xfe, 0, 0, 0, 0, 1}},
    made_link{link_kind::veth, "veth10", {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff}},
    made_netns{"ns1"},
    made_table{"lanloom-lan"},
    needs_forwarding{false},
    needs_forwarding{true},
    changed_sysctl{"net/ipv4/conf/eth0.5/forwarding", "0", "1"},
    made_address{"", "br-lan", *ip_prefix::parse("10.5.0.1/16")},
    made_address{"ns1", "eth0", *ip_prefix::parse("fd00:5::1/64")},
    found_link{"eth0", false},
    found_link{"br0", true},
    joined_ovs{"vtap0", "br0"},
    accepted_forwards{"br-lan"},
    takes_port{true, 53, "192.168.50.6"},
    takes_port{false, 8765, "*"},
    had_address{"eth1",
                {*ip_prefix::parse("192.168.50.6/24"), true, 0, "eth1:0", false, *ip_address::parse("192.168.50.255"),
                 std::nullopt, 100, true}},
    had_address{
        "eth1",
        {*ip_prefix::parse("fd00::6/64"), true, 0, "", false, std::nullopt, *ip_address::parse("fd00::7"), 0, false}},
    had_route{"eth1",
              {*ip_prefix::parse("0.0.0.0/0"), *ip_address::parse("192.168.50.1"), 0, 4294967295, 4, 253, 1,
               *ip_address::parse("192.168.50.6"), 1000, true}},
    had_route{"eth1", {*ip_prefix::parse("10.9.0.0/16"), std::nullopt, 0, 0, 3, 253, 7}},
    taken_uplink{"eth1", "br-lan", true, 7},
    unproven_move{"br-lan"},
    taken_uplink{"eth2", "br-lan", false, 2147483647},
    attachment{"lva12-1a2b3c",
               "/proc/12/ns/net",
               4026531840,
               "eth0",
               {*ip_prefix::parse("10.5.0.12/16"), *ip_prefix::parse("fd00:5::12/64")},
               {*ip_address::parse("10.5.0.1")}},
    attachment{"lva12-1a2b3c", "box", 1, "eth0", {*ip_prefix::parse("10.5.0.12/16")}, {}},
    instance_facts{"br-lan", false, 1500, {}},
    instance_facts{"br0", true, 1500, {}},
    instance_facts{"br0", true, 1500, {}, true},
};
}  // namespace

TEST_CASE("entries survive text and back") {
  for (const auto& e : examples) CHECK(parse_journal_entry(to_string(e)) == e);
  CHECK(to_string(examples[0]) == "bridge br-lan 02:24:56:4c:0a:64");
  CHECK(to_string(examples[7]) == "sysctl net/ipv4/conf/eth0.5/forwarding 0 1");
}

TEST_CASE("lines of any other form are refused") {
  for (const std::string line : {"",
                                 " ",
                                 "bridge",
                                 "bridge br-lan",
                                 "address - br-lan 10.5.0.1/33",
                                 "address br-lan 10.5.0.1/16",
                                 "found eth0",
                                 "found eth0 both",
                                 "port sctp 1 *",
                                 "port tcp 65536 *",
                                 "port tcp -1 *",
                                 "attached lv0 ns1 x eth0 10.5.0.1/16 -",
                                 "attached lv0 ns1 1 eth0 10.5.0.1/16,, -",
                                 "attached lv0 ns1 1 eth0 10.5.0.1/16 - -",
                                 "instance br-lan both 1500 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                                 "instance br-lan linux 1500 key",
                                 "bridge br-lan 02:24:56:4c:0a",
                                 "bridge br-lan 02:24:56:4c:0a:6G",
                                 "bridge br-lan 02:24:56:4C:0a:64",
                                 "bridge br-lan 02-24-56-4c-0a-64",
                                 "bridge br-lan 02:24:56:4c:0a:64 x",
                                 "bridge  br-lan 02:24:56:4c:0a:64",
                                 "netns",
                                 "netns ns1 x",
                                 " netns ns1",
                                 "netns ns1 ",
                                 "netns n\ts1",
                                 "forwarding",
                                 "forwarding ipv5",
                                 "forwarding ipv4 1",
                                 "sysctl net/ipv4/ip_forward 0",
                                 "sysctl net/ipv4/ip_forward 0 1 2",
                                 "route 10.0.0.0/8",
                                 "NETNS ns1"}) {
    CHECK_MESSAGE(!parse_journal_entry(line), line);
  }
  CHECK_FALSE(parse_journal_entry("netns " + std::string(journal::max_line, 'x')));
  CHECK_FALSE(parse_journal_entry(std::string("netns n\0s", 9)));
}

TEST_CASE("a journal is read up to its first bad line; a torn last one is none") {
  const auto head = origin + "\n";
  CHECK(parse_journal(head, origin).state == journal_state::good);
  CHECK(parse_journal(head + "netns ns1\n", origin).entries == std::vector<journal_entry>{made_netns{"ns1"}});
  const auto torn = parse_journal(head + "netns ns1\nnetns ns", origin);
  CHECK(torn.state == journal_state::good);
  CHECK(torn.entries == std::vector<journal_entry>{made_netns{"ns1"}});
  const auto bad = parse_journal(head + "netns ns1\nnonsense\nnetns ns2\n", origin);
  CHECK(bad.state == journal_state::damaged);
  CHECK(bad.entries == std::vector<journal_entry>{made_netns{"ns1"}});
  CHECK(parse_journal(head + "\n", origin).state == journal_state::damaged);
  CHECK(parse_journal("another\nnetns ns1\n", origin).state == journal_state::other_boot);
  CHECK(parse_journal("another\nnetns ns1\n", origin).entries.empty());
  CHECK(parse_journal("", origin).state == journal_state::other_boot);
  CHECK(parse_journal(origin, origin).state == journal_state::other_boot);
  const auto elsewhere = parse_journal("0c7f8d1e-5f0a-4f44-9b2c-6a1f1d2e3f40 net:[1]\nnetns ns1\n", origin);
  CHECK(elsewhere.state == journal_state::other_netns);
  CHECK(elsewhere.entries == std::vector<journal_entry>{made_netns{"ns1"}});
  std::string long_one = head;
  while (long_one.size() <= journal::max_size) long_one += "netns ns1\n";
  CHECK(parse_journal(long_one, origin).state == journal_state::damaged);
}

TEST_CASE("every line is in the file as soon as it is written, for root alone to read") {
  const scratch s;
  ::umask(0);
  {
    journal log(s.file(), origin);
    log.append(examples[0]);
    ::umask(022);
    struct stat file {};
    REQUIRE(::stat(s.file().c_str(), &file) == 0);
    CHECK((file.st_mode & 07777U) == 0600);
    log.replace({});
    CHECK_FALSE(fs::exists(s.file()));
    std::string expected = origin + "\n";
    for (const auto& e : examples) {
      log.append(e);
      expected += to_string(e) + "\n";
      CHECK(text_of(s.file()) == expected);
    }
  }
  const auto content = read_journal(s.file(), origin);
  CHECK(content.state == journal_state::good);
  CHECK(content.entries == examples);
}

TEST_CASE("a line can be taken back") {
  const scratch s;
  journal log(s.file(), origin);
  log.append(examples[0]);
  log.append(examples[1]);
  log.retract(examples[1]);
  CHECK(read_journal(s.file(), origin).entries == std::vector<journal_entry>{examples[0]});
  log.append(examples[2]);
  CHECK(read_journal(s.file(), origin).entries == std::vector<journal_entry>{examples[0], examples[2]});
}

TEST_CASE("a good journal is continued, torn line or not; any other is begun anew") {
  const scratch s;
  const auto after = [&](const std::string& text) {
    std::ofstream(s.file()) << text;
    journal(s.file(), origin).append(made_netns{"ns2"});
    return text_of(s.file());
  };
  CHECK(after(origin + "\nnetns ns1\n") == origin + "\nnetns ns1\nnetns ns2\n");
  CHECK(after(origin + "\nnetns ns1\nnetns n") == origin + "\nnetns ns1\nnetns ns2\n");
  CHECK(after("another\nnetns ns1\n") == origin + "\nnetns ns2\n");
  CHECK(after(origin + "\nnonsense\n") == origin + "\nnetns ns2\n");
  CHECK(after("") == origin + "\nnetns ns2\n");
}

TEST_CASE("what could not be read back is not written") {
  const scratch s;
  journal log(s.file(), origin);
  CHECK_THROWS_AS(log.append(made_netns{"with space"}), std::system_error);
  CHECK_THROWS_AS(log.append(made_netns{"line\nend"}), std::system_error);
  CHECK_THROWS_AS(log.append(changed_sysctl{"net/ipv4/tcp_mem", "1\t2", "3"}), std::system_error);
  CHECK_THROWS_AS(log.append(made_netns{std::string(journal::max_line, 'x')}), std::system_error);
  CHECK_FALSE(fs::exists(s.file()));
}

TEST_CASE("a journal is replaced whole, and removed when nothing is left") {
  const scratch s;
  CHECK(read_journal(s.file(), origin).state == journal_state::absent);
  write_journal(s.file(), origin, examples);
  CHECK(read_journal(s.file(), origin).entries == examples);
  write_journal(s.file(), origin, {examples[3]});
  CHECK(read_journal(s.file(), origin).entries == std::vector<journal_entry>{examples[3]});
  write_journal(s.file(), origin, {});
  CHECK(read_journal(s.file(), origin).state == journal_state::absent);
  write_journal(s.file(), origin, {});
  CHECK(fs::is_empty(s.file().parent_path()));
}

TEST_CASE("a symbolic link is not followed") {
  const scratch s;
  const auto target = s.file().parent_path() / "target";
  std::ofstream(target) << "precious";
  fs::create_symlink(target, s.file());
  CHECK_THROWS_AS((void)read_journal(s.file(), origin), std::system_error);
  CHECK_THROWS_AS(journal(s.file(), origin), std::system_error);
  CHECK(text_of(target) == "precious");
}

TEST_CASE("the origin is one line: the boot and the network namespace") {
  const auto here = read_origin();
  CHECK(here.find(" net:[") == 36);
  CHECK(here.find('\n') == std::string::npos);
  CHECK(here == read_origin());
}
