#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# docker_firewall_test.sh - conf/two-hosts beside a Docker that knows nothing of their bridges: its FORWARD policy drops
# their frames, which is said, found, and cured in each of three ways.
#
#      ns1, ns2 --- br-lan, alpha, dockerd ===== underlay ===== beta, dockerd, br-lan --- ns3
needs=("docker.io dockerd docker containerd runc")
. "$(dirname "$0")/lib.sh"
. "$here/engines.sh"

two_hosts
for name in alpha beta; do
  must engine $name
  must lab_state "$(host_of $name)" >"$D/$name.state"
done
must up alpha beta
must established alpha beta

rule='iptables -I DOCKER-USER -i br-lan -o br-lan -j ACCEPT'
over_the_bridge() { reaches n1 10.5.0.31 >/dev/null; }
through_the_hosts() { reaches n1 203.0.113.7 >/dev/null && reaches n3 203.0.113.7 >/dev/null; }
works() {
  eventually 10 over_the_bridge
  eventually 10 through_the_hosts
}
all_end_as_found() {
  local name
  stop alpha beta
  for name in alpha beta; do as_found $name "$D/$name.state"; done
}

docker_drops_what_it_does_not_know() {
  alpha iptables -S FORWARD | grep -q -- '-P FORWARD DROP'
  not over_the_bridge
  not through_the_hosts
}
case_of docker_drops_what_it_does_not_know

the_start_says_so_with_the_cure() {
  local name
  for name in alpha beta; do eventually 10 grep -q "$rule" "$D/$name.log"; done
}
case_of the_start_says_so_with_the_cure

doctor_finds_it_and_mends_it_until_the_end() {
  local name status
  for name in alpha beta; do
    status=0
    $name "$LANLOOM" doctor "$D/$name.toml" >"$D/said" || status=$?
    same "status of doctor" 1 $status
    grep -q "$rule" "$D/said"
    $name "$LANLOOM" doctor "$D/$name.toml" --fix >"$D/said" 2>&1
  done
  works
  all_end_as_found
}
case_of doctor_finds_it_and_mends_it_until_the_end

cures_of() {
  "$1" "$LANLOOM" doctor "$D/$1.toml" --json |
    python3 -c 'import json, sys; print("\n".join(f["cure"] for f in json.load(sys.stdin) if f["verdict"] == "FAIL"))'
}
the_printed_cures_mend_it() {
  local name
  up alpha beta
  established alpha beta
  not over_the_bridge
  for name in alpha beta; do $name sh -ec "$(cures_of $name)"; done
  works
  for name in alpha beta; do $name sh -c 'iptables -F DOCKER-USER && iptables -A DOCKER-USER -j RETURN'; done
  not over_the_bridge
  all_end_as_found
}
case_of the_printed_cures_mend_it

a_fix_asked_for_in_the_file_outlives_dockerd() {
  local name
  for name in alpha beta; do in_section $name forwarding 'firewall = "fix"'; done
  up alpha beta
  established alpha beta
  works
  engine_ends alpha
  works
  engine alpha
  works
  all_end_as_found
}
case_of a_fix_asked_for_in_the_file_outlives_dockerd

a_fix_sees_docker_come() {
  engine_ends alpha
  alpha nft flush ruleset # as after a boot
  up alpha beta
  established alpha beta
  works
  engine alpha
  alpha iptables -P FORWARD DROP # which Docker does where forwarding was off before
  works
  stop alpha beta
}
case_of a_fix_sees_docker_come
