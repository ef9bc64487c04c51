#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# docker_joined_test.sh - lanloom joins the bridge that Docker made, alters nothing of it, and leaves it as it found it.
#
#      one 10.5.1.x                             one 10.5.2.x          containers
#           |                                        |
#        docker0 10.5.0.1, Docker's              docker0 10.5.0.2
#           |                                        |
#        lanloom, alpha ========= UDP ========= lanloom, beta
needs=("docker.io dockerd docker containerd runc" "busybox-static busybox")
. "$(dirname "$0")/lib.sh"
. "$here/engines.sh"

must lab_up
for name in A B; do must lab_no_dad $name default; done
must example joined.toml
second docker-daemon.json >"$D/beta.daemon.json"
must engine alpha "$examples/docker-daemon.json"
must engine beta "$D/beta.daemon.json"
must image alpha beta
for name in alpha beta; do
  must container $name one bridge --publish 8081:5201
  must lab_state "$(host_of $name)" >"$D/$name.state"
done
a1=$(address alpha one bridge) b1=$(address beta one bridge)
must up alpha beta
must established alpha beta

containers_of_both_hosts_share_one_subnet() {
  contact alpha one "$b1"
  contact beta one "$a1"
  contact alpha one 10.5.0.2
  contact beta one 10.5.0.1
  pings alpha "$b1"
  pings beta "$a1"
}
case_of containers_of_both_hosts_share_one_subnet

# From the state that was taken before: whatever stood there of docker0 still does.
the_bridge_is_not_altered() {
  local name
  for name in alpha beta; do
    lab_state "$(host_of $name)" >"$D/now.state"
    $name ip -o link show master docker0 | grep -q "ll-$name"
    same "lines gone on $name" "" "$(diff "$D/$name.state" "$D/now.state" | grep '^<' || true)"
  done
}
case_of the_bridge_is_not_altered

packets_of_full_size_cross_whole() {
  contact alpha one "$b1" -M "do" -s 1472
  contact beta one "$a1" -M "do" -s 1472
}
case_of packets_of_full_size_cross_whole

tcp_and_udp_cross() {
  load alpha one "$b1"
  load beta one "$a1"
  load alpha one "$b1" -u -b 50M -l 1472
  load beta one "$a1" -u -b 50M -l 8192
}
case_of tcp_and_udp_cross

containers_reach_the_outside_and_are_reached() {
  contact alpha one 192.168.50.1
  eventually 10 outside iperf3 -c 192.168.50.6 -p 8081 -n 2M # one at a time: the last may not be over for the server
  eventually 10 beta iperf3 -c 192.168.50.6 -p 8081 -n 2M
}
case_of containers_reach_the_outside_and_are_reached

lanloom_is_restarted() {
  stop alpha
  as_found alpha "$D/alpha.state"
  contact alpha one 192.168.50.1
  up alpha
  established alpha
  contact beta one "$a1"
}
case_of lanloom_is_restarted

lanloom_is_killed_and_started() {
  kill -KILL "$(keeper_of alpha)"
  ends "$(keeper_of alpha)"
  up alpha
  established alpha
  contact beta one "$a1"
}
case_of lanloom_is_killed_and_started

dockerd_is_restarted() {
  engine_ends alpha
  contact beta one 10.5.0.1 # without Docker
  engine alpha "$examples/docker-daemon.json"
  docker alpha start one >/dev/null
  eventually 20 serves alpha one 2
  contact beta one "$(address alpha one bridge)"
}
case_of dockerd_is_restarted

both_are_restarted() {
  stop beta
  engine_ends beta
  engine beta "$D/beta.daemon.json"
  docker beta start one >/dev/null
  up beta
  established beta
  contact alpha one "$(address beta one bridge)"
}
case_of both_are_restarted
