// SPDX-License-Identifier: Apache-2.0
// example_host.hpp - for the inside of on_own_host: the host of the two-host picture, with an outside behind its eth0.
//
// eth0 is 192.168.50.6 and fd00:50::6, the outside is namespace `world` with 192.168.50.1 and fd00:50::1.
#pragma once

#include <doctest/doctest.h>

#include <lanloom/app/host.hpp>

#include "example_config.hpp"
#include "network_image.hpp"
#include "os/own_host.hpp"

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <string>

namespace lanloom::app {

inline const std::filesystem::path run_directory = "/run/lanloom";

inline void shell(const std::string& commands) {
  const auto said = os::output_of("( set -e; " + commands + " ) 2>&1; echo $?");
  CHECK_MESSAGE(said == "0\n", commands << ": " << said);
}

inline void make_example_host() {
  // Without duplicate detection addresses and their routes do not change by themselves any more.
  shell(
      "ip link set lo up; echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; ip netns add world; "
      "nsenter --net=/run/netns/world sh -c 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad'; "
      "ip -n world link set lo up; ip link add eth0 type veth peer name far0 netns world; "
      "ip link set eth0 up; ip -n world link set far0 up; "
      "ip addr add 192.168.50.6/24 dev eth0; ip -n world addr add 192.168.50.1/24 dev far0; "
      "ip addr add fd00:50::6/64 dev eth0; ip -n world addr add fd00:50::1/64 dev far0; "
      "ip route add default via 192.168.50.1; ip -6 route add default via fd00:50::1; "
      "for i in $(seq 100); do ip -6 route show table local | grep -q '^local fe80' && break; sleep 0.02; done");
}

inline plan plan_of(const std::string& instance, std::string_view text) {
  return plan_of_config(example(instance, text));
}

// The TAP of a host that was started.
inline os::tap started(host& h, const plan& p) {
  auto made = h.start(p);
  REQUIRE(made.tap);
  return std::move(*made.tap);
}
inline os::tap started(host&& h, const plan& p) { return started(h, p); }

// Gives one capability up for good.
inline void give_up(unsigned capability) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  REQUIRE(::syscall(SYS_capget, &header, sets.data()) == 0);
  const auto bit = ~(1U << (capability % 32));
  sets[capability / 32].effective &= bit;
  sets[capability / 32].permitted &= bit;
  REQUIRE(::syscall(SYS_capset, &header, sets.data()) == 0);
}

// "a\nb\n"
inline std::string joined(const std::vector<std::string>& sentences) {
  std::string text;
  for (const auto& s : sentences) text += s + "\n";
  return text;
}

}  // namespace lanloom::app
