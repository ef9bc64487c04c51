#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# restart_test.sh - what stops comes back, what moves is found, and what ends leaves the host as it was.
#
#      ns1 10.5.0.11     ns2                                  ns3 10.5.0.31
#           |             |                                        |
#   +-------+-- br-lan ---+---+                          +------ br-lan -------+
#   | alpha           ll-alpha|                          | beta        ll-beta |
#   +-----------+-------------+                          +----------+----------+
#               | 192.168.50.6, later .16                           | 192.168.50.5
#               +------------- bridge `underlay` of outside --------+
. "$(dirname "$0")/lib.sh"

two_hosts
must lab_state A >"$D/alpha.state"
must lab_state B >"$D/beta.state"
must up alpha beta
must established alpha beta

# measured SINCE_WHAT COMMAND...: says how long it takes until the command succeeds, at most 10 s.
measured() {
  local began
  began=$(now_in_ms)
  eventually 10 "${@:2}"
  note "traffic $(($(now_in_ms) - began)) ms after $1"
}
both_ways() { reaches n1 10.5.0.31 && reaches n3 10.5.0.11; }
processes() { pgrep -f "^$LANLOOM up" | sort -n | tr '\n' ' '; }

# ---- stopped and started ---------------------------------------------------------------------------------------------

a_host_that_comes_back_carries_on() {
  pings n1 10.5.0.31
  stop beta
  as_found beta "$D/beta.state"
  up beta
  measured "beta is ready again" both_ways
  pings n3 10.5.0.11
}
case_of a_host_that_comes_back_carries_on

both_hosts_come_back() {
  stop alpha beta
  as_found alpha "$D/alpha.state"
  as_found beta "$D/beta.state"
  up alpha beta
  measured "both are ready again" both_ways
}
case_of both_hosts_come_back

# ---- moved -----------------------------------------------------------------------------------------------------------

endpoint_of_alpha() { status_of beta "s['peers'][0]['endpoint']"; }
beta_finds_alpha_at() { [ "$(endpoint_of_alpha)" = "$1" ]; }

another_source_port_is_found() {
  stop alpha
  in_section alpha node 'listen = "[::]:4799"'
  up alpha
  measured "alpha is ready at another port" both_ways
  same "where beta finds alpha" 192.168.50.6:4799 "$(endpoint_of_alpha)"
  pings n3 10.5.0.11
}
case_of another_source_port_is_found

move_alpha() {
  alpha ip address del "192.168.50.$1/24" dev u0
  alpha ip address add "192.168.50.$2/24" dev u0
  alpha ip route add default via 192.168.50.1
}

# In mid-flow, with nothing said to anybody. The way out is known again as soon as the address is.
another_source_address_is_found() {
  move_alpha 6 16
  measured "alpha has another address" both_ways
  eventually 10 beta_finds_alpha_at 192.168.50.16:4799
  move_alpha 16 6
  eventually 10 both_ways
  eventually 10 beta_finds_alpha_at 192.168.50.6:4799
}
case_of another_source_address_is_found

# ---- killed ----------------------------------------------------------------------------------------------------------

tap_of_alpha() { alpha ip -o link show ll-alpha | sed -E 's/^([0-9]+): ([^:]*):.* mtu ([0-9]+) .* master ([^ ]+) .*/\1 \2 \3 \4/'; }

a_killed_node_is_replaced_under_the_bridge() {
  local tap node
  tap=$(tap_of_alpha)
  node=$(node_of alpha)
  pings n1 10.5.0.31
  kill -KILL "$node"
  measured "the node was killed" both_ways
  same "the TAP" "$tap" "$(tap_of_alpha)"
  if [ "$(node_of alpha)" = "$node" ]; then fail "the node was not killed"; fi
  pings n3 10.5.0.11
  grep -q 'the node was ended by signal 9' "$D/alpha.log"
}
case_of a_killed_node_is_replaced_under_the_bridge

a_killed_keeper_takes_the_node_and_the_tap_with_it() {
  local node
  node=$(node_of alpha)
  kill -KILL "$(keeper_of alpha)"
  ends "$(keeper_of alpha)" "$node"
  eventually 10 not alpha ip link show ll-alpha
  alpha ip link show br-lan >/dev/null # what the kernel does not undo by itself: there is something for `down` to do
  same "processes in alpha" "" "$(processes | grep -w "$node" || true)"
}
case_of a_killed_keeper_takes_the_node_and_the_tap_with_it

down_removes_what_a_killed_keeper_left() {
  alpha "$LANLOOM" down "$D/alpha.toml" 2>"$D/down.log"
  grep -q 'removed bridge br-lan' "$D/down.log"
  grep -q 'removed .*ns1' "$D/down.log"
  as_found alpha "$D/alpha.state"
}
case_of down_removes_what_a_killed_keeper_left

a_second_down_finds_nothing() {
  same "what it says" "alpha: nothing to remove" "$(alpha "$LANLOOM" down "$D/alpha.toml" 2>&1)"
  as_found alpha "$D/alpha.state"
}
case_of a_second_down_finds_nothing

what_a_killed_keeper_left_is_adopted_by_the_next_start() {
  up alpha
  kill -KILL "$(keeper_of alpha)"
  ends "$(keeper_of alpha)"
  eventually 10 not alpha ip link show ll-alpha
  up alpha
  measured "alpha is ready again" both_ways
  stop alpha
  as_found alpha "$D/alpha.state"
  up alpha
  established alpha beta
}
case_of what_a_killed_keeper_left_is_adopted_by_the_next_start

# Also with the journal lost: what is ours bears our mark. What sysctls were before, nobody can know then.
without_its_journal_down_removes_what_bears_our_mark() {
  kill -KILL "$(keeper_of alpha)"
  ends "$(keeper_of alpha)"
  alpha rm /run/lanloom/alpha.journal
  alpha "$LANLOOM" down alpha 2>"$D/down.log"
  same "links left" "lo u0" "$(alpha ip -o link | sed -E 's/^[0-9]+: ([^:@]*).*/\1/' | paste -sd ' ')"
  same "tables left" "" "$(alpha nft list ruleset)"
}
case_of without_its_journal_down_removes_what_bears_our_mark

# ---- stopped ---------------------------------------------------------------------------------------------------------

down_stops_what_runs() {
  beta "$LANLOOM" down beta 2>"$D/down.log"
  ends "$(keeper_of beta)"
  as_found beta "$D/beta.state"
}
case_of down_stops_what_runs

down_stops_what_does_not_answer() {
  up beta
  kill -STOP "$(node_of beta)"
  beta python3 -c '
import socket, sys, time
calls = []
while True:  # until the backlog is full
    s = socket.socket(socket.AF_UNIX)
    s.setblocking(False)
    calls.append(s)
    try: s.connect("/run/lanloom/beta.sock")
    except BlockingIOError: break
print("full", flush=True)
time.sleep(60)' >"$D/backlog" &
  eventually 10 grep -q full "$D/backlog"
  local status=0
  beta "$LANLOOM" status beta 2>"$D/complaint" || status=$?
  same "status" 1 $status
  grep -q 'does not answer' "$D/complaint"
  beta "$LANLOOM" down
  ends "$(keeper_of beta)"
  as_found beta "$D/beta.state"
  kill %%
}
case_of down_stops_what_does_not_answer

# start_with ENV-OPTION: beta in the background, where a shell without job control lets it ignore SIGINT and SIGQUIT.
start_with() {
  local before
  before=$(times_ready beta)
  lab_start B "$D/beta.out" env "$1" sh -c 'exec "$0" up "$1" >>"$2" 2>&1' "$LANLOOM" "$D/beta.toml" "$D/beta.log"
  echo "$lab_pid" >"$D/beta.pid"
  eventually 20 is_ready beta "${before:-0}"
}

each_signal_leaves_the_host_as_found() {
  local signal
  for signal in INT QUIT TERM; do
    start_with --default-signal=INT,QUIT,TERM
    kill "-$signal" "$(keeper_of beta)"
    ends "$(keeper_of beta)"
    as_found beta "$D/beta.state"
  done
}
case_of each_signal_leaves_the_host_as_found

a_signal_that_was_ignored_stays_ignored() {
  start_with --ignore-signal=INT,QUIT,HUP
  local signal
  for signal in INT QUIT HUP; do kill "-$signal" "$(keeper_of beta)"; done
  beta "$LANLOOM" status beta >/dev/null
  not lab_ended "$(keeper_of beta)"
  stop beta
  as_found beta "$D/beta.state"
}
case_of a_signal_that_was_ignored_stays_ignored

children_that_nobody_waits_for_are_no_obstacle() {
  start_with --ignore-signal=CHLD
  stop beta
  as_found beta "$D/beta.state"
}
case_of children_that_nobody_waits_for_are_no_obstacle

closed_standard_streams_are_no_obstacle() {
  lab_start B "$D/beta.out" sh -c 'exec "$0" up "$1" <&- >&- 2>&-' "$LANLOOM" "$D/beta.toml"
  beta "$LANLOOM" status beta --wait 0 >/dev/null 2>&1 || true
  eventually 20 beta "$LANLOOM" status beta
  same "what is in the lock" 0 "$(beta stat -c %s /run/lanloom/beta.lock)"
  lab_stop "$lab_pid" || fail "status $?"
  as_found beta "$D/beta.state"
}
case_of closed_standard_streams_are_no_obstacle

others_processes_and_ports_stay() {
  up beta
  n3 sleep 1000 &
  eventually 10 pgrep -f '^sleep 1000'
  beta ip link add other type veth peer name rehto
  beta ip link set other master br-lan
  stop beta
  beta ip link show br-lan >/dev/null
  beta ip -o link show other | grep -q 'master br-lan'
  beta ip netns | grep -qw ns3
  grep -q 'br-lan' <(tail -n 4 "$D/beta.log")
  grep -q 'ns3' <(tail -n 4 "$D/beta.log")
  beta ip link del other
  beta "$LANLOOM" down beta --force 2>"$D/down.log"
  pkill -f '^sleep 1000'
  as_found beta "$D/beta.state"
}
case_of others_processes_and_ports_stay
