// SPDX-License-Identifier: Apache-2.0
#include "own_host.hpp"
#include "partner.hpp"

#include <doctest/doctest.h>

#include <lanloom/os/ovs.hpp>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

using namespace lanloom::os;

namespace {
const partner switch_package{"openvswitch-switch", "/usr/lib/openvswitch-switch/ovs-vswitchd"};

// A program of the switch that ends with the object, or with us.
class daemon {
 public:
  explicit daemon(const std::string& command) : pid_(::fork()) {
    REQUIRE(pid_ >= 0);
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execl("/bin/sh", "sh", "-c", ("exec " + command + " >/dev/null 2>&1").c_str(), nullptr);
    ::_exit(127);
  }
  ~daemon() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  daemon(const daemon&) = delete;
  daemon& operator=(const daemon&) = delete;

 private:
  pid_t pid_;
};

// A host of its own with Open vSwitch in user space; its database is where OVS_RUNDIR leads.
void with_switch(const std::function<void()>& body) {
  if (!switch_package.have()) return;
  on_own_host([&] {
    switch_package.use();
    REQUIRE(::setenv("OVS_RUNDIR", "/run/ovs", 1) == 0);
    REQUIRE(output_of(
                "mkdir /run/ovs && ovsdb-tool create /run/ovs/conf.db /usr/share/openvswitch/vswitch.ovsschema 2>&1") ==
            "");
    const daemon database("ovsdb-server /run/ovs/conf.db --remote=punix:/run/ovs/db.sock");
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (output_of("ovs-vsctl --no-wait --timeout=5 init 2>&1") != "") {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    const daemon forwarder("/usr/lib/openvswitch-switch/ovs-vswitchd unix:/run/ovs/db.sock");
    body();
  });
}

void by_hand(const std::string& command) { REQUIRE(output_of(command + " 2>&1") == ""); }

// The veths that containers or our TAP would have; one end in a namespace of its own, with an address.
void make_port(const std::string& name, const std::string& address) {
  by_hand("ip netns add in-" + name + " && ip link add " + name + " type veth peer name eth0 netns in-" + name);
  by_hand("ip link set " + name + " up && ip -n in-" + name + " link set eth0 up && ip -n in-" + name + " addr add " +
          address + " dev eth0");
  // This datapath reads a port without offloads.
  output_of("nsenter --net=/run/netns/in-" + name + " ethtool -K eth0 tx off 2>&1");
}
}  // namespace

TEST_CASE("a port joins a bridge in user space, is found by its mark, and carries") {
  with_switch([] {
    by_hand("ovs-vsctl add-br br-ovs -- set bridge br-ovs datapath_type=netdev");
    CHECK(ovs_present());
    CHECK(ovs_bridge_exists("br-ovs"));
    CHECK_FALSE(ovs_bridge_exists("br-absent"));
    CHECK(ovs_datapath_type("br-ovs") == "netdev");
    make_port("ours", "10.5.0.1/24");
    make_port("theirs", "10.5.0.2/24");
    by_hand("ovs-vsctl add-port br-ovs theirs");
    CHECK(ovs_marked_ports("lan-1").empty());
    CHECK_FALSE(ovs_bridge_of("ours"));
    CHECK(ovs_ports("br-ovs") == std::vector<std::string>{"theirs"});
    CHECK_FALSE(ovs_ports("br-absent"));
    for (int twice = 0; twice < 2; ++twice) ovs_add_port("br-ovs", "ours", "lan-1");
    CHECK(ovs_bridge_of("ours") == "br-ovs");
    CHECK(ovs_marked_ports("lan-1") == std::vector<std::string>{"ours"});
    CHECK(ovs_marked_ports("lan").empty());
    CHECK(output_of("nsenter --net=/run/netns/in-ours ping -q -c 1 -w 10 10.5.0.2").find(" 1 received") !=
          std::string::npos);
    for (int twice = 0; twice < 2; ++twice) ovs_delete_port("ours");
    CHECK_FALSE(ovs_bridge_of("ours"));
    CHECK(ovs_marked_ports("lan-1").empty());
    CHECK(ovs_bridge_of("theirs") == "br-ovs");
    CHECK(output_of("ip -o link show ours").find("ours") != std::string::npos);  // the interface is not the switch's
  });
}

TEST_CASE("a port outlasts its interface, and is not taken from another bridge") {
  with_switch([] {
    by_hand("ovs-vsctl add-br br-one -- set bridge br-one datapath_type=netdev");
    by_hand("ovs-vsctl add-br br-two -- set bridge br-two datapath_type=netdev");
    make_port("p1", "10.5.0.1/24");
    make_port("p2", "10.5.0.2/24");
    ovs_add_port("br-one", "p1", "lan");
    ovs_add_port("br-two", "p2", "lan");
    ovs_add_port("br-two", "p2", "other");  // it is another's now
    CHECK(ovs_marked_ports("lan") == std::vector<std::string>{"p1"});
    ovs_add_port("br-two", "p2", "lan");
    CHECK(ovs_marked_ports("lan") == std::vector<std::string>{"p1", "p2"});
    CHECK(refusal([] { ovs_add_port("br-two", "p1", "lan"); }).rfind("ovs-vsctl: ", 0) == 0);
    CHECK(ovs_bridge_of("p1") == "br-one");
    by_hand("ip link del p1");
    CHECK(ovs_marked_ports("lan") == std::vector<std::string>{"p1", "p2"});
    ovs_delete_port("p1");
    CHECK(ovs_marked_ports("lan") == std::vector<std::string>{"p2"});
  });
}

TEST_CASE("what Open vSwitch cannot do is told in its words") {
  with_switch([] {
    CHECK(refusal([] { ovs_add_port("br-absent", "p1", "lan"); }).find("br-absent") != std::string::npos);
    CHECK(refusal([] { (void)ovs_datapath_type("br-absent"); }).find("br-absent") != std::string::npos);
    by_hand("ovs-vsctl add-br br-ovs -- set bridge br-ovs datapath_type=netdev");
    CHECK(refusal([] { ovs_add_port("br-ovs", "absent0", "lan"); }).find("absent0") != std::string::npos);
    CHECK(ovs_marked_ports("lan").empty());
    output_of("ovs-vsctl --no-wait add-br br-kernel");  // without a word on its datapath: the kernel's
    CHECK(ovs_datapath_type("br-kernel") == "system");
    REQUIRE(::setenv("OVS_RUNDIR", "/run/nowhere", 1) == 0);
    for (const auto& words : {refusal([] { (void)ovs_bridge_exists("br-ovs"); }),
                              refusal([] { (void)ovs_ports("br-ovs"); }), refusal([] { (void)ovs_bridge_of("p1"); }),
                              refusal([] { (void)ovs_marked_ports("lan"); }), refusal([] { ovs_delete_port("p1"); })}) {
      CHECK(words.find("/run/nowhere/db.sock: database connection failed") != std::string::npos);
      CHECK(words.find("ovs-vsctl: ovs-vsctl") == std::string::npos);
    }
  });
}

TEST_CASE("no name of ours becomes an option or a second command of ovs-vsctl") {
  for (const auto* name : {"", "-p", "--", "a b", "a,b", "a=b", "a\"b", "sixteen-letters-"}) {
    CHECK_THROWS_AS((void)ovs_bridge_exists(name), std::system_error);
    CHECK_THROWS_AS((void)ovs_datapath_type(name), std::system_error);
    CHECK_THROWS_AS((void)ovs_ports(name), std::system_error);
    CHECK_THROWS_AS((void)ovs_bridge_of(name), std::system_error);
    CHECK_THROWS_AS((void)ovs_marked_ports(name), std::system_error);
    CHECK_THROWS_AS(ovs_add_port("br", "p", name), std::system_error);
    CHECK_THROWS_AS(ovs_add_port("br", name, "lan"), std::system_error);
    CHECK_THROWS_AS(ovs_add_port(name, "p", "lan"), std::system_error);
    CHECK_THROWS_AS(ovs_delete_port(name), std::system_error);
  }
}
