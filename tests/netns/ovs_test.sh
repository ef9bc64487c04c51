#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# ovs_test.sh - lanloom joins a bridge of Open vSwitch in user space, first on one host and then on both. That switch
# reads its ports with packet sockets: nobody cuts or sums a packet for it, and the host's own stack sees it, too.
#
#      ns1 10.5.0.11     ns2                                  ns3 10.5.0.31
#           |             |                                        |
#   +-------+--- br0 -----+---+                          +------ br-lan, then br0 -+
#   | alpha  Open vSwitch     |                          | beta                    |
#   +-----------+-------------+                          +----------+--------------+
#               +------------- bridge `underlay` of outside --------+
needs=("openvswitch-switch ovs-vsctl ovsdb-server ovsdb-tool /usr/lib/openvswitch-switch/ovs-vswitchd")
. "$(dirname "$0")/lib.sh"
must over_usr openvswitch-switch /usr/bin/ovs-vsctl

# ---- a switch in each host -------------------------------------------------------------------------------------------

ovs() { "$1" env OVS_RUNDIR="$D/$1.ovs" ovs-vsctl --timeout=10 "${@:2}"; } # ovs INSTANCE COMMAND...

switch_comes() { # switch_comes INSTANCE: with a bridge br0
  local directory=$D/$1.ovs
  must mkdir "$directory"
  must ovsdb-tool create "$directory/conf.db" /usr/share/openvswitch/vswitch.ovsschema
  lab_start "$(host_of "$1")" "$directory/database.log" env OVS_RUNDIR="$directory" \
    ovsdb-server "$directory/conf.db" --remote="punix:$directory/db.sock"
  eventually 20 ovs "$1" --no-wait init
  forwarder_comes "$1"
  must ovs "$1" add-br br0 -- set bridge br0 datapath_type=netdev
  must "$1" ip link set br0 up
  for port in $(ovs "$1" list-ports br0); do fail "a new bridge has port $port"; done
}
forwarder_comes() {
  lab_start "$(host_of "$1")" "$D/$1.ovs/forwarder.log" env OVS_RUNDIR="$D/$1.ovs" \
    /usr/lib/openvswitch-switch/ovs-vswitchd "unix:$D/$1.ovs/db.sock"
  echo "$lab_pid" >"$D/$1.ovs/forwarder.pid"
}
joins() { # joins INSTANCE: its configuration
  edit "$1" 's|^name *= "br-lan"|name = "br0"\ncreate = false|'
}
starts() { OVS_RUNDIR=$D/$1.ovs up "$1"; }
ports_of() { ovs "$1" list-ports br0 | sort | tr '\n' ' '; }

two_hosts
for name in A B; do must lab_no_dad $name default; done
must switch_comes alpha
must joins alpha
must in_section alpha bridge 'kind = "ovs"'
must lab_state A >"$D/alpha.state"
must starts alpha
must up beta
must established alpha beta

# ---- what crosses ----------------------------------------------------------------------------------------------------

# carries FROM TO ADDRESS: TCP both ways, which needs every segment whole.
carries() {
  local way
  for way in --get-server-output --reverse; do
    "$2" iperf3 -s -1 >"$D/iperf3.server" 2>&1 &
    eventually 10 listens "$2" 5201
    "$1" timeout 60 iperf3 -C cubic -c "$3" -n 20M "$way" --json >"$D/iperf3.json" ||
      fail "$1 to $3, $way: $(tail -n 3 "$D/iperf3.json" | tr '\n' ' ')"
    eventually 10 not listens "$2" 5201
    note "$1 to $3 $way: $(python3 -c 'import json, sys
print("%.2f Gbit/s" % (json.load(open(sys.argv[1]))["end"]["sum_received"]["bits_per_second"] / 1e9))' "$D/iperf3.json")"
  done
}
everything_crosses() {
  pings n1 10.5.0.31 -s 1472 -M "do"
  pings n3 10.5.0.11 -s 8000
  pings n2 10.5.0.11
  pings n3 10.5.0.1
  carries n1 n3 10.5.0.31
}
both_ways() { reaches n1 10.5.0.31 && reaches n3 10.5.0.21; }

everything_crosses_and_the_host_itself_is_a_part_of_it() {
  same "the ports" "ll-alpha veth10 veth20 " "$(ports_of alpha)"
  everything_crosses
  carries n2 n1 10.5.0.11
  carries n3 alpha 10.5.0.1
  pings n1 203.0.113.7
}
case_of everything_crosses_and_the_host_itself_is_a_part_of_it

# The host's stack sees what arrives at the TAP and the veth pairs, and would answer for br0 beside br0 itself.
who_is_asked_for_answers_once() {
  local end
  for end in "n3 veth31" "n1 veth11"; do
    # shellcheck disable=SC2086  # words
    capture answers $end 'arp[6:2] = 2 and src host 10.5.0.1'
    ${end% *} ip neigh flush dev ${end#* }
    pings ${end% *} 10.5.0.1
    end_capture answers
    same "answers to $end" 1 "$(counts answers)"
    same "who has 10.5.0.1" "$(alpha ip -o link show br0 | sed 's/.*ether \([^ ]*\).*/\1/')" \
      "$(${end% *} ip neigh show 10.5.0.1 | sed 's/.*lladdr \([^ ]*\).*/\1/')"
  done
}
case_of who_is_asked_for_answers_once

has_all_ports() { [ "$(ports_of alpha)" = "ll-alpha veth10 veth20 " ]; }
a_port_taken_out_of_the_database_comes_back() {
  local port began
  for port in ll-alpha veth20; do
    ovs alpha del-port "$port"
    began=$(now_in_ms)
    eventually 20 has_all_ports
    eventually 20 both_ways
    note "$port: traffic $(($(now_in_ms) - began)) ms after"
  done
  grep -q 'put right: plug ll-alpha into br0$' "$D/alpha.log"
  everything_crosses
}
case_of a_port_taken_out_of_the_database_comes_back

a_deleted_tap_is_opened_again() {
  alpha ip link del ll-alpha
  eventually 20 both_ways
  carries n1 n3 10.5.0.31
}
case_of a_deleted_tap_is_opened_again

offloads_switched_on_by_somebody_are_off_again() {
  n1 ethtool -K veth11 tx on >/dev/null
  eventually 20 sums_itself
}
sums_itself() { n1 ethtool -k veth11 | grep -q '^tx-checksumming: off'; }
if command -v ethtool >/dev/null; then case_of offloads_switched_on_by_somebody_are_off_again; fi

a_namespace_is_attached_and_detached() {
  alpha ip netns add box
  OVS_RUNDIR=$D/alpha.ovs alpha "$LANLOOM" attach alpha box --address 10.5.0.77/16
  box() { lab_on A/box "$@"; }
  box ip link set lo up
  carries n3 box 10.5.0.77
  OVS_RUNDIR=$D/alpha.ovs alpha "$LANLOOM" detach alpha box
  has_all_ports
  alpha ip netns del box
}
case_of a_namespace_is_attached_and_detached

the_switch_is_started_again() {
  kill -KILL "$(cat "$D/alpha.ovs/forwarder.pid")"
  ends "$(cat "$D/alpha.ovs/forwarder.pid")"
  forwarder_comes alpha
  alpha sh -c 'until ip link set br0 up; do sleep 0.1; done' 2>/dev/null
  eventually 20 both_ways
  eventually 20 reaches n3 10.5.0.1
  same "what is wrong" "" "$(status_of alpha "'; '.join(s['host']['problems'])")"
}
case_of the_switch_is_started_again

# ---- the end ---------------------------------------------------------------------------------------------------------

switch_as_found() {
  same "ports" "" "$(ports_of alpha)"
  as_found alpha "$D/alpha.state"
}

it_goes_without_a_trace() {
  stop alpha
  switch_as_found
  starts alpha
  established alpha beta
  everything_crosses
}
case_of it_goes_without_a_trace

what_a_crash_left_is_adopted() {
  local i
  for i in 1 2; do
    kill -KILL "$(keeper_of alpha)"
    starts alpha # at once: the old node may still be there
    eventually 20 both_ways
  done
  everything_crosses
  stop alpha
  switch_as_found
}
case_of what_a_crash_left_is_adopted

what_a_crash_left_goes_by_down_without_the_journal_too() {
  local journal
  for journal in kept lost; do
    starts alpha
    established alpha beta
    kill -KILL "$(keeper_of alpha)"
    ends "$(keeper_of alpha)"
    if [ $journal = lost ]; then alpha rm /run/lanloom/alpha.journal; fi
    OVS_RUNDIR=$D/alpha.ovs alpha "$LANLOOM" down alpha 2>"$D/down.log"
    same "ports, journal $journal" "" "$(ports_of alpha)"
    if [ $journal = kept ]; then as_found alpha "$D/alpha.state"; fi
  done
}
case_of what_a_crash_left_goes_by_down_without_the_journal_too

# ---- on both hosts ---------------------------------------------------------------------------------------------------

two_switches_are_one() {
  stop beta
  switch_comes beta
  joins beta # kind = "auto"
  starts alpha
  starts beta
  established alpha beta
  same "the ports" "ll-beta veth30 " "$(ports_of beta)"
  everything_crosses
  carries beta alpha 10.5.0.1
}
case_of two_switches_are_one
