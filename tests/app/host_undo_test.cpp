// SPDX-License-Identifier: Apache-2.0
#include <doctest/doctest.h>

#include <lanloom/app/host.hpp>
#include <lanloom/os/netlink.hpp>
#include <lanloom/os/netns.hpp>
#include <lanloom/os/sysctl.hpp>

#include "example_host.hpp"

#include <signal.h>
#include <sys/wait.h>

#include <fstream>

using namespace lanloom;
using namespace lanloom::app;
using os::on_own_host;

namespace {
const auto journal_file = run_directory / "lan.journal";

// As after SIGKILL: the TAP went with the processes, all else is there.
void leave_behind(std::string_view text = two_hosts_alpha) {
  const auto tap = started(host("lan", run_directory), plan_of("lan", text));
}

bool has_link(const char* name) { return os::netlink().link_by_name(name).has_value(); }
}  // namespace

TEST_CASE("without its journal undo goes by the marks, and by the guard for what was switched on") {
  on_own_host([] {
    make_example_host();
    const auto before = take_network_image();
    for (const char* instead : {"", "another boot\nnetns ns1\n"}) {
      leave_behind();
      std::filesystem::remove(journal_file);
      if (*instead != '\0') std::ofstream(journal_file) << instead;
      host h("lan", run_directory);
      CHECK(h.has_leftovers());
      const auto report = h.undo(false);
      CHECK(joined(report.failed).empty());
      CHECK(joined(report.removed) ==
            "forwarding of ipv4\nnft table inet lanloom-lan\nveth veth20\nveth veth10\nnetns ns2\nnetns ns1\n"
            "bridge br-lan\n");
      CHECK(joined(report.left).empty());
      CHECK(difference(before, take_network_image()) == "");
      CHECK(std::filesystem::is_empty(run_directory));
    }
  });
}

TEST_CASE("without its journal and its table undo says what it cannot know") {
  on_own_host([] {
    make_example_host();
    const auto before = take_network_image();
    leave_behind();
    std::filesystem::remove(journal_file);
    shell("nft flush ruleset");
    const auto report = host("lan", run_directory).undo(false);
    CHECK(joined(report.failed).empty());
    CHECK(
        joined(report.left) ==
        "net.ipv4.ip_forward stays 1: the journal is lost, so nobody knows what it was; if nothing else forwards, run: "
        "sysctl -w net.ipv4.ip_forward=0\n");
    os::write_sysctl("net/ipv4/ip_forward", "0");
    CHECK(difference(before, take_network_image()) == "");
  });
}

TEST_CASE("a start without the journal guards what the last one guarded, and undoes it") {
  on_own_host([] {
    make_example_host();
    shell("ip link add br0 type bridge; ip link add br1 type bridge");
    const auto before = take_network_image();
    leave_behind();
    const auto guard = [] { return os::output_of("nft list chain inet lanloom-lan forward"); };
    const auto then = guard();
    CHECK(then.find("meta iifkind \"bridge\" iifname != { \"br0\", \"br1\" } accept") != std::string::npos);
    std::filesystem::remove(journal_file);
    host h("lan", run_directory);
    { const auto tap = started(h, plan_of("lan", two_hosts_alpha)); }
    CHECK(guard() == then);
    CHECK(joined(h.undo(false).left).empty());
    CHECK(difference(before, take_network_image()) == "");
  });
}

TEST_CASE("of a damaged journal what stands before the damage counts") {
  on_own_host([] {
    make_example_host();
    const auto before = take_network_image();
    leave_behind();
    std::ofstream(journal_file, std::ios::app) << "nonsense\n";
    const auto report = host("lan", run_directory).undo(false);
    CHECK(joined(report.failed).empty());
    CHECK(joined(report.left).empty());
    CHECK(difference(before, take_network_image()) == "");
    CHECK(std::filesystem::is_empty(run_directory));
  });
}

TEST_CASE("what died between its birth and its mark is known by its MAC") {
  on_own_host([] {
    make_example_host();
    const auto before = take_network_image();
    leave_behind();
    shell("ip link set br-lan alias ''; ip link set veth10 alias ''; rm /run/lanloom/lan.journal.new 2>/dev/null || :");
    // ... and a namespace whose pin was made but not bound
    shell("touch /run/netns/ns4; echo 'netns ns4' >> /run/lanloom/lan.journal");
    const auto report = host("lan", run_directory).undo(false);
    CHECK(joined(report.failed).empty());
    CHECK(joined(report.left).empty());
    CHECK(difference(before, take_network_image()) == "");
  });
}

TEST_CASE("things of the same name that are not ours any more stay") {
  on_own_host([] {
    make_example_host();
    leave_behind();
    shell(
        "ip link del br-lan; ip link add br-lan type bridge; ip link del veth10; ip link add veth10 type veth peer "
        "name veth19");
    const auto report = host("lan", run_directory).undo(false);
    CHECK(joined(report.failed).empty());
    CHECK(has_link("br-lan"));
    CHECK(has_link("veth10"));
    CHECK_FALSE(has_link("veth20"));
  });
}

TEST_CASE("a bridge with others' ports stays and is named, until forced") {
  on_own_host([] {
    make_example_host();
    leave_behind();
    shell("ip link add theirs type veth peer name theirs2; ip link set theirs master br-lan");
    host h("lan", run_directory);
    for (int i = 0; i < 2; ++i) {
      CHECK(joined(h.undo(false).left) ==
            "bridge br-lan stays: somebody plugged in theirs; unplug it, or run: lanloom down lan --force\n");
      CHECK(has_link("br-lan"));
      CHECK_FALSE(has_link("veth10"));
      CHECK(h.has_leftovers());
    }
    CHECK(joined(h.undo(true).removed) == "bridge br-lan\n");
    CHECK_FALSE(has_link("br-lan"));
    CHECK(has_link("theirs"));
    CHECK_FALSE(h.has_leftovers());
  });
}

TEST_CASE("of a bridge that stays, addresses of others are told from ours") {
  on_own_host([] {
    make_example_host();
    leave_behind();
    shell(
        "ip link add theirs type veth peer name theirs2; ip link set theirs master br-lan; "
        "ip addr add 192.168.60.6/24 dev br-lan");
    host h("lan", run_directory);
    for (int i = 0; i < 2; ++i) {
      CHECK(joined(h.undo(false).left) ==
            "bridge br-lan stays: somebody plugged in theirs; addresses that others gave it would go with it "
            "(192.168.60.6/24), so move them first; then unplug it, or run: lanloom down lan --force\n");
    }
    shell("ip link set theirs nomaster");
    const auto report = h.undo(false);
    CHECK(joined(report.removed) == "bridge br-lan\n");
    CHECK(joined(report.left) == "bridge br-lan is gone, and with it addresses that others gave it: 192.168.60.6/24\n");
    CHECK_FALSE(h.has_leftovers());
  });
}

TEST_CASE("what the kernel takes away with our address on a bridge of others comes back") {
  on_own_host([] {
    make_example_host();
    shell("ip link add br-lan type bridge; ip link set br-lan up");
    auto text = std::string(two_hosts_alpha);
    text.insert(text.find("addresses"), "create = false\n");
    host h("lan", run_directory);
    {
      const auto tap = started(h, plan_of("lan", text));
      shell("ip addr add 10.5.0.5/16 dev br-lan; ip route add 10.9.0.0/16 via 10.5.0.99");
    }
    CHECK(joined(h.undo(false).failed).empty());
    CHECK(os::output_of("ip -4 -o addr show dev br-lan").find("inet 10.5.0.5/16") != std::string::npos);
    CHECK(os::output_of("ip -4 -o addr show dev br-lan").find("10.5.0.1/16") == std::string::npos);
    CHECK(os::output_of("ip route show 10.9.0.0/16").find("via 10.5.0.99 dev br-lan") != std::string::npos);
  });
}

TEST_CASE("a namespace with processes stays and is named, until forced") {
  on_own_host([] {
    make_example_host();
    leave_behind();
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      const os::in_netns there(os::open_netns("ns1"));
      ::raise(SIGSTOP);
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, WUNTRACED) == child);
    host h("lan", run_directory);
    CHECK(joined(h.undo(false).left) == "netns ns1 stays: processes live in it (pid " + std::to_string(child) +
                                            "); end them, or run: lanloom down lan --force\n");
    CHECK(os::netns_exists("ns1"));
    CHECK_FALSE(os::netns_exists("ns2"));
    CHECK_FALSE(has_link("br-lan"));
    CHECK(joined(h.undo(true).removed) == "netns ns1\n");
    CHECK_FALSE(os::netns_exists("ns1"));
    CHECK(::kill(child, 0) == 0);
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
  });
}

TEST_CASE("a namespace stays where nobody can tell whether processes live in it") {
  on_own_host([] {
    make_example_host();
    leave_behind();
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      if (::setuid(12345) == 0) ::raise(SIGSTOP);
      ::_exit(1);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, WUNTRACED) == child);
    CHECK(WIFSTOPPED(status));
    give_up(CAP_SYS_PTRACE);
    const auto sentence = [](const std::string& name) {
      return "netns " + name + " stays: cannot see whose processes live there, which needs CAP_SYS_PTRACE; give it " +
             "that, or run: lanloom down lan --force\n";
    };
    host h("lan", run_directory);
    CHECK(joined(h.undo(false).left) == sentence("ns2") + sentence("ns1"));
    CHECK(os::netns_exists("ns1"));
    CHECK(joined(h.undo(true).removed) == "netns ns2\nnetns ns1\n");
    ::kill(child, SIGKILL);
    ::waitpid(child, &status, 0);
  });
}

TEST_CASE("from another network namespace nothing is undone, and nothing forgotten") {
  on_own_host([] {
    make_example_host();
    const auto before = take_network_image();
    leave_behind();
    {
      const auto elsewhere = os::create_netns("elsewhere");
      const os::in_netns there(elsewhere);
      host h("lan", run_directory);
      CHECK(h.has_leftovers());
      CHECK_THROWS_WITH_AS((void)h.undo(true),
                           "lan: its journal belongs to another network namespace; run it there, or if that is gone, "
                           "remove /run/lanloom/lan.journal",
                           setup_error);
      // Two hosts may share the directory: the other one's forwarding is not ours.
      os::write_sysctl("net/ipv4/ip_forward", "0");
      {
        const auto tap = started(host("lan2", run_directory),
                                 plan_of("lan2", std::string(bridge_only) + "[forwarding]\nipv4 = true\n"));
      }
      CHECK(joined(host("lan2", run_directory).undo(false).left).empty());
      CHECK(os::read_sysctl("net/ipv4/ip_forward") == "0");
    }
    os::delete_netns("elsewhere");
    const auto report = host("lan", run_directory).undo(false);
    CHECK(joined(report.left).empty());
    CHECK(joined(report.failed).empty());
    CHECK(difference(before, take_network_image()) == "");
  });
}

TEST_CASE("undo goes on past what fails and tries it again the next time") {
  on_own_host([] {
    make_example_host();
    const auto before = take_network_image();
    leave_behind();
    // A directory in the place of the pin cannot be unlinked.
    shell("umount /run/netns/ns2; rm /run/netns/ns2; mkdir /run/netns/ns2");
    host h("lan", run_directory);
    const auto report = h.undo(false);
    CHECK(joined(report.failed) == "delete network namespace ns2: Is a directory\n");
    CHECK_FALSE(has_link("br-lan"));
    CHECK(h.has_leftovers());
    shell("rmdir /run/netns/ns2");
    CHECK(joined(h.undo(false).failed).empty());
    CHECK(difference(before, take_network_image()) == "");
    CHECK_FALSE(h.has_leftovers());
  });
}

TEST_CASE("another instance's things are not touched") {
  on_own_host([] {
    make_example_host();
    leave_behind();
    const auto before = take_network_image();
    host other("lan2", run_directory);
    CHECK_FALSE(other.has_leftovers());
    const auto report = other.undo(true);
    CHECK((report.removed.empty() && report.left.empty() && report.failed.empty()));
    CHECK(difference(before, take_network_image()) == "");
  });
}
