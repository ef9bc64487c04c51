#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# host_test.sh - the host stays as its file says: against others who change it, over reloads, restarts and crashes, and
# with namespaces that are wired to the bridge while it runs.
#
#      ns1 10.5.0.11     ns2                                  ns3 10.5.0.31
#           |             |                                        |
#   +-------+-- br-lan ---+---+                          +------ br-lan -------+
#   | alpha           ll-alpha|                          | beta        ll-beta |
#   +-----------+-------------+                          +----------+----------+
#               +------------- bridge `underlay` of outside --------+
. "$(dirname "$0")/lib.sh"

two_hosts
must lab_state A >"$D/alpha.state"
must lab_state B >"$D/beta.state"
must up alpha beta
must established alpha beta

corrections() { status_of alpha "s['host']['corrections']"; }
problems() { status_of alpha "'; '.join(s['host']['problems'])"; }
both_ways() { reaches n1 10.5.0.31 && reaches n3 10.5.0.11; }
put_right() { grep -c 'put right' "$D/alpha.log" || true; }

# mended HARM...: what the command does to alpha is put right within 2 s, tenfold; how long it took is said.
mended() {
  local before began
  before=$(put_right)
  "$@"
  began=$(now_in_ms)
  eventually 20 more_put_right "$before"
  eventually 20 both_ways
  note "traffic $(($(now_in_ms) - began)) ms after: $*"
  same "what is wrong still" "" "$(problems)"
}
more_put_right() { [ "$(put_right)" -gt "$1" ]; }

# ---- what others change ----------------------------------------------------------------------------------------------

an_unplugged_tap_is_plugged_in_again() {
  mended alpha ip link set ll-alpha nomaster
  grep -q 'put right: plug ll-alpha into br-lan$' "$D/alpha.log"
  same "corrections" 1 "$(corrections)"
}
case_of an_unplugged_tap_is_plugged_in_again

a_flushed_ruleset_is_loaded_again() {
  mended alpha nft flush ruleset
  eventually 20 alpha nft list table inet lanloom-alpha
  mended alpha nft flush table inet lanloom-alpha
  call outside 192.168.50.6 8765 >/dev/null || true
  alpha nft list table inet lanloom-alpha | grep -q 'dnat'
}
case_of a_flushed_ruleset_is_loaded_again

a_deleted_bridge_is_made_again_with_its_ports_and_its_mac() {
  local mac
  mac=$(alpha cat /proc/self/net/dev >/dev/null && alpha ip -o link show br-lan | sed 's/.*ether \([^ ]*\).*/\1/')
  mended alpha ip link del br-lan
  same "its MAC" "$mac" "$(alpha ip -o link show br-lan | sed 's/.*ether \([^ ]*\).*/\1/')"
  pings n1 10.5.0.1
}
case_of a_deleted_bridge_is_made_again_with_its_ports_and_its_mac

swap_the_bridge() { # while the keeper is held: it would be faster
  kill -STOP "$(keeper_of alpha)"
  alpha ip link del br-lan
  alpha ip link add br-lan type bridge
  kill -CONT "$(keeper_of alpha)"
}
a_bridge_of_somebody_else_in_its_place_is_taken_over() {
  mended swap_the_bridge
  pings n2 10.5.0.1
}
case_of a_bridge_of_somebody_else_in_its_place_is_taken_over

changed_mtu_address_and_state_are_put_right() {
  mended alpha ip link set br-lan mtu 1300
  mended alpha ip address del 10.5.0.1/16 dev br-lan
  mended alpha ip link set ll-alpha down
  mended alpha ip link set veth10 mtu 1300
  pings n1 10.5.0.31 -s 1472 -M do
}
case_of changed_mtu_address_and_state_are_put_right

a_deleted_tap_is_opened_again() {
  mended alpha ip link del ll-alpha
  established alpha
  grep -q 'TAP ll-alpha was removed by somebody' "$D/alpha.log"
}
case_of a_deleted_tap_is_opened_again

has_tap() { alpha ip -o link show ll-alpha | grep -q 'master br-lan.* state UNKNOWN'; }
without_a_tap_there_is_no_instance_so_it_comes_back_each_time() {
  local i
  for i in 1 2 3 4 5 6; do
    alpha ip link del ll-alpha
    eventually 20 has_tap
    eventually 20 both_ways
  done
  same "what is wrong" "" "$(problems)"
  same "times it gave up" 0 "$(grep -c 'giving up' "$D/alpha.log" || true)"
}
case_of without_a_tap_there_is_no_instance_so_it_comes_back_each_time

has_table() { alpha nft list tables | grep -q lanloom-alpha; }
has_no_table() { ! has_table; }
a_table_that_could_not_be_loaded_comes_when_it_can() {
  local nft
  nft=$(readlink -f "$(command -v nft)")
  cp "$nft" "$D/nft.real"
  printf '#!/bin/sh\necho "Error: busy" >&2\nexit 1\n' >"$D/nft.broken"
  chmod +x "$D/nft.broken"
  alpha mount --bind "$D/nft.broken" "$nft"
  alpha "$D/nft.real" flush ruleset
  eventually 20 grep -q 'Error: busy' "$D/alpha.log"
  eventually 10 alpha umount "$nft" # not while it runs
  eventually 20 has_table
  # And when it was left alone, with a reload.
  alpha "$LANLOOM" reload alpha
  for _ in 1 2 3; do
    alpha nft flush ruleset
    eventually 20 has_table
  done
  alpha nft flush ruleset
  eventually 20 table_left_alone
  has_no_table
  alpha "$LANLOOM" reload alpha
  has_table
  same "what is wrong" "" "$(problems)"
}
table_left_alone() { problems | grep -q 'left alone: load nft table'; }
case_of a_table_that_could_not_be_loaded_comes_when_it_can

a_table_flushed_before_it_was_seen_comes_back() {
  local nft
  nft=$(readlink -f "$(command -v nft)")
  cp "$nft" "$D/nft.real"
  cat >"$D/nft.raced" <<EOF
#!/bin/sh
"$D/nft.real" "\$@" || exit
if [ "\$1" = -f ] && rm "$D/race" 2>/dev/null; then "$D/nft.real" flush ruleset; fi
EOF
  chmod +x "$D/nft.raced"
  alpha "$LANLOOM" reload alpha
  touch "$D/race"
  alpha mount --bind "$D/nft.raced" "$nft"
  mended alpha "$D/nft.real" flush ruleset
  test ! -e "$D/race"
  eventually 20 has_table
  eventually 10 alpha umount "$nft" # not while it runs
  same "what is wrong" "" "$(problems)"
}
case_of a_table_flushed_before_it_was_seen_comes_back

is_unplugged() { ! alpha ip -o link show ll-alpha | grep -q master; }
is_plugged() { alpha ip -o link show ll-alpha | grep -q 'master br-lan'; }
left_alone() { problems | grep -q 'left alone: plug ll-alpha into br-lan'; }
plugged_or_left_alone() { is_plugged || left_alone; }
who_insists_is_left_alone_until_a_reload() {
  local i
  for i in 1 2 3 4; do
    eventually 20 plugged_or_left_alone
    if left_alone; then break; fi
    alpha ip link set ll-alpha nomaster
  done
  eventually 20 left_alone
  is_unplugged
  grep -q 'is left alone until' "$D/alpha.log"
  alpha "$LANLOOM" reload alpha
  eventually 20 is_plugged
  eventually 20 both_ways
  same "what is wrong still" "" "$(problems)"
}
case_of who_insists_is_left_alone_until_a_reload

under_traffic_everything_comes_back() {
  n3 iperf3 -s -1 >"$D/iperf3.server" 2>&1 &
  eventually 10 listens n3 5201
  n1 timeout 60 iperf3 -C cubic -c 10.5.0.31 -t 12 -i 1 --json >"$D/iperf3.json" &
  local client=$!
  sleep 1 # the flow is to run when the first harm is done
  mended alpha nft flush ruleset
  mended alpha ip link del br-lan
  mended alpha ip link set ll-alpha nomaster
  mended alpha ip link set br-lan mtu 1300
  wait "$client" || fail "iperf3 did not survive: $(tail -n 3 "$D/iperf3.json" | tr '\n' ' ')"
  python3 - "$D/iperf3.json" <<'PY'
import json, sys
last = json.load(open(sys.argv[1]))["intervals"][-1]["sum"]["bytes"]
sys.exit(0 if last > 0 else "nothing flows in the last second")
PY
}
case_of under_traffic_everything_comes_back

# ---- kept over a restart ---------------------------------------------------------------------------------------------

# A connection of a container that lives on, its neighbour's entry for the gateway, and a port of somebody else's.
lasting() {
  n1 python3 "$here/lasting.py" serve 7777 >"$D/lasting.server" 2>&1 &
  eventually 10 listens n1 7777
  "$1" python3 "$here/lasting.py" call 10.5.0.11 7777 >"$D/lasting.client" 2>&1 &
  eventually 10 grep -q 1 "$D/lasting.client"
}
has_gone_on() { [ "$(wc -l <"$D/lasting.client")" -gt "$1" ]; }
still_connected() {
  local said
  said=$(wc -l <"$D/lasting.client")
  eventually 30 has_gone_on "$((said + 5))"
}
macs() { { alpha ip -o link; n1 ip -o link; n2 ip -o link; } | sed -nE 's/^[0-9]+: ([^:@]*).* link\/ether ([^ ]*).*/\1 \2/p' | sort; }
start_kept() {
  local before
  before=$(times_ready alpha)
  touch "$D/alpha.log"
  lab_start A "$D/alpha.out" sh -c 'exec "$0" up --keep "$1" >>"$2" 2>&1' "$LANLOOM" "$D/alpha.toml" "$D/alpha.log"
  echo "$lab_pid" >"$D/alpha.pid"
  eventually 20 is_ready alpha "${before:-0}"
}

nothing_is_lost_when_it_ends_and_starts_with_keep() {
  local before index
  stop alpha
  as_found alpha "$D/alpha.state"
  start_kept
  alpha ip link add other type veth peer name rehto
  alpha ip link set other master br-lan
  lasting n3
  pings n1 10.5.0.1
  before=$(macs)
  index=$(alpha ip -o link show br-lan | cut -d: -f1)
  kill -TERM "$(keeper_of alpha)"
  ends "$(keeper_of alpha)"
  alpha ip link show br-lan >/dev/null
  pings n2 10.5.0.11
  start_kept
  eventually 20 both_ways
  same "the MACs" "$before" "$(macs)"
  same "the bridge" "$index" "$(alpha ip -o link show br-lan | cut -d: -f1)"
  alpha ip -o link show other | grep -q 'master br-lan'
  still_connected
}
case_of nothing_is_lost_when_it_ends_and_starts_with_keep

nothing_is_lost_over_a_sigkill() {
  local before index i
  before=$(macs)
  index=$(alpha ip -o link show br-lan | cut -d: -f1)
  for i in 1 2 3; do
    kill -KILL "$(keeper_of alpha)"
    up alpha # at once: the old node may still be there
    eventually 20 both_ways
  done
  same "the MACs" "$before" "$(macs)"
  same "the bridge" "$index" "$(alpha ip -o link show br-lan | cut -d: -f1)"
  alpha ip -o link show other | grep -q 'master br-lan'
  still_connected
  pkill -f "$here/lasting.py"
  alpha ip link del other
  eventually 10 not listens n1 7777
}
case_of nothing_is_lost_over_a_sigkill

what_was_adopted_goes_as_a_whole() {
  stop alpha
  as_found alpha "$D/alpha.state"
  up alpha
  established alpha beta
}
case_of what_was_adopted_goes_as_a_whole

# ---- reload ----------------------------------------------------------------------------------------------------------

has_netns() { alpha ip netns list | grep -qw "$1"; }
generation() { status_of alpha "s['config']['generation']"; }

a_reload_adds_and_removes_without_touching_the_rest() {
  local node before
  node=$(node_of alpha)
  lasting n3
  cat >>"$D/alpha.toml" <<'TOML'
[[netns]]
name = "ns9"
addresses = ["10.5.0.91/16"]
gateway = "10.5.0.1"
TOML
  edit alpha 's|^addresses *= \["10.5.0.1/16"\]|addresses = ["10.5.0.1/16", "10.5.0.99/16"]|'
  edit alpha 's|10.5.0.11:8765|10.5.0.21:8765|'
  before=$(generation)
  alpha "$LANLOOM" reload alpha
  same "the generation" $((before + 1)) "$(generation)"
  lab_on A/ns9 ping -q -n -c 1 -W 5 10.5.0.31 >/dev/null
  pings n3 10.5.0.99
  answer n2 8765
  same "who called the forwarded port" 192.168.50.1 "$(call outside 192.168.50.6 8765)"
  edit alpha '/^\[\[netns\]\]$/{N;/"ns9"/{N;N;d}}'
  edit alpha 's|, "10.5.0.99/16"||'
  alpha "$LANLOOM" reload
  not reaches n3 10.5.0.99
  not has_netns ns9
  same "the node" "$node" "$(node_of alpha)"
  still_connected
  pkill -f "$here/lasting.py"
  pkill -f "$here/answer.py"
  eventually 10 not listens n1 7777
}
case_of a_reload_adds_and_removes_without_touching_the_rest

refused() { # refused WORDS: a reload is, with status 1 or 3, and everything goes on
  local status=0
  alpha "$LANLOOM" reload alpha 2>"$D/complaint" || status=$?
  [ "$status" = "$1" ] || fail "status $status: $(cat "$D/complaint")"
  grep -q "$2" "$D/complaint" || fail "it says: $(cat "$D/complaint")"
  eventually 10 both_ways
}

a_reload_that_cannot_be_is_refused_whole() {
  cp "$D/alpha.toml" "$D/alpha.toml.good"
  edit alpha 's|10.5.0.21:8765|10.5.0.21:99999|'
  refused 3 'alpha.toml:[0-9]*:[0-9]*:'
  cp "$D/alpha.toml.good" "$D/alpha.toml"
  in_section alpha node 'listen = "[::]:4801"'
  refused 1 '\[node\] has changed, which a reload cannot do: restart'
  same "the error in status" "[node] has changed, which a reload cannot do: restart this instance" \
    "$(status_of alpha "s['config']['error']")"
  cp "$D/alpha.toml.good" "$D/alpha.toml"
  kill -HUP "$(keeper_of alpha)" # the other way to say it
  eventually 10 no_error
}
no_error() { [ "$(status_of alpha "s['config']['error']")" = None ]; }
case_of a_reload_that_cannot_be_is_refused_whole

# ---- attach ----------------------------------------------------------------------------------------------------------

a_namespace_is_attached_and_detached_live() {
  alpha ip netns add box
  alpha ip -n box link set lo up
  alpha "$LANLOOM" attach alpha box --address 10.5.0.77/16 --gateway 10.5.0.1
  pings n3 10.5.0.77
  lab_on A/box ip route show default | grep -q 'via 10.5.0.1'
  not alpha "$LANLOOM" attach alpha box --address 10.5.0.78/16 --interface eth1 2>"$D/complaint"
  grep -q 'is attached already' "$D/complaint"
  alpha "$LANLOOM" reload alpha # it is part of the plan
  pings n3 10.5.0.77
  alpha sh -c 'ip link del $(ip -o link show type veth | sed -n "s/^[0-9]*: \(lva[^@]*\)@.*/\1/p")'
  eventually 20 reaches n3 10.5.0.77
  alpha "$LANLOOM" detach alpha box
  not reaches n3 10.5.0.77
  same "what is in it" lo "$(lab_on A/box ip -o link | sed -E 's/^[0-9]+: ([^:@]*).*/\1/')"
  not alpha "$LANLOOM" detach alpha box 2>"$D/complaint"
  grep -q 'is not attached' "$D/complaint"
}
case_of a_namespace_is_attached_and_detached_live

a_process_is_attached_by_its_path_over_a_crash_and_goes_with_its_namespace() {
  alpha unshare --net sleep 1000 &
  eventually 10 pgrep -f '^sleep 1000'
  local pid
  pid=$(pgrep -f '^sleep 1000')
  alpha "$LANLOOM" attach alpha "/proc/$pid/ns/net" --address 10.5.0.78/16 --address fd00:5::78/64
  pings n3 10.5.0.78
  kill -KILL "$(keeper_of alpha)"
  up alpha
  eventually 20 reaches n3 10.5.0.78
  kill "$pid"
  eventually 20 not alpha grep -q attached /run/lanloom/alpha.journal
  same "what is wrong" "" "$(problems)"
}
case_of a_process_is_attached_by_its_path_over_a_crash_and_goes_with_its_namespace

wrong_words_are_refused_with_a_sentence() {
  local words
  for words in "nobody box --address 10.5.0.7/16|does not run" "alpha nothing --address 10.5.0.7/16|there is none" \
    "alpha box --address 10.5.0.7|--address" "alpha box --address 10.5.0.7/16 --interface a/b|--interface" \
    "alpha /proc/self/ns/net --address 10.5.0.7/16|is this host's own" "alpha ns1 --address 10.5.0.7/16 --interface veth11|already" \
    "alpha box --address 10.5.0.1/16|bridge br-lan has it" "alpha box --address 10.5.0.21/16|netns ns2 has it" \
    "alpha box --address 10.5.0.7/16 --address 10.5.0.7/16|twice" \
    "alpha box --address 10.5.0.7/16 --gateway 10.99.0.1|no --address has it in its subnet"; do
    # shellcheck disable=SC2086
    not alpha "$LANLOOM" attach ${words%%|*} 2>"$D/complaint"
    grep -q -- "${words##*|}" "$D/complaint" || fail "$words: $(cat "$D/complaint")"
  done
  alpha ip netns del box
}
case_of wrong_words_are_refused_with_a_sentence

# ---- bridges and namespaces of others --------------------------------------------------------------------------------

stays_as_it_is() { alpha ip -o -d link show br0 | sed -E 's/<[^>]*>//; s/ (state|qlen|g[sr]o_\w+|tso_\w+|\w+_timer|\w+_id [^ ]+|fdb_n_learned|designated_root) +[^ ]+//g'; }

a_bridge_and_a_namespace_of_others_are_joined_and_left_alone() {
  stop alpha
  as_found alpha "$D/alpha.state"
  lab_no_dad A default
  alpha ip link add other up type veth peer name rehto
  alpha ip link set rehto up
  their_bridge
  alpha ip netns add theirs
  local before
  before=$(stays_as_it_is)
  lab_state A >"$D/joined.state"
  cp "$D/alpha.toml.good" "$D/alpha.toml"
  edit alpha 's|^name *= "br-lan"|name = "br0"\ncreate = false|; /^addresses *= \["10.5.0.1\/16"\]/d'
  edit alpha 's|^name *= "ns1"|name = "theirs"\ncreate = false|'
  up alpha
  established alpha
  same "the bridge" "$before" "$(stays_as_it_is)"
  eventually 20 reaches n3 10.5.0.1
  lab_on A/theirs ping -q -n -c 1 -W 5 10.5.0.31 >/dev/null
  stop alpha
  as_found alpha "$D/joined.state"
}
their_bridge() {
  alpha ip link add br0 type bridge
  alpha ip link set br0 up
  alpha ip link set other master br0
  alpha ip address add 10.5.0.1/16 dev br0
}
br0_is_missed() { problems | grep -q 'bridge br0: there is none'; }
case_of a_bridge_and_a_namespace_of_others_are_joined_and_left_alone

a_joined_bridge_that_its_owner_makes_again_is_joined_again() {
  up alpha
  established alpha
  alpha ip link del br0
  eventually 20 br0_is_missed
  their_bridge
  eventually 20 reaches n3 10.5.0.11
  stop alpha
  alpha ip netns del theirs
  alpha ip link del br0
}
case_of a_joined_bridge_that_its_owner_makes_again_is_joined_again
