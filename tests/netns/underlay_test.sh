#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# underlay_test.sh - what becomes of the network below, over IPv4 and over IPv6: addresses that change, a NAT that forgets,
# a path that narrows, ways that lead back into the overlay, an overlay inside the overlay, and new keys.
#
#      ns1 10.5.0.11                                          ns3 10.5.0.31
#           |                                                      |
#   +-------+-- br-lan ---+                              +------ br-lan -------+
#   | alpha               | calls                 waits  | beta                |
#   +-----------+---------+                              +----------+----------+
#               | 192.168.50.6                    192.168.50.5      |
#               | 2001:db8:50::6                  2001:db8:50::5    |
#               +------------- bridge `underlay` of outside --------+
#                 later a NAT: alpha is 10.9.0.2 and 2001:db8:9::2
#
# Each case is run twice: `for_both CASE`. In it, $A and $B are the addresses of the two hosts.
. "$(dirname "$0")/lib.sh"

two_hosts
for host in A:6 B:5; do
  must lab_on "${host%:*}" ip address add "2001:db8:50::${host#*:}/64" dev u0
done
must outside ip address add 2001:db8:50::1/64 dev underlay
edit beta '/^endpoint/d'
edit alpha 's|^addresses = \["10.5.0.1/16"\]|addresses = ["10.5.0.1/16", "fd00:5::1/64"]|'
edit beta 's|^addresses = \["10.5.0.2/16"\]|addresses = ["10.5.0.2/16", "fd00:5::2/64"]|'

for_both() {
  case_of "$1" ipv4
  case_of "$1" ipv6
}
over() { # over FAMILY: sets A, B and what else differs
  if [ "$1" = ipv4 ]; then
    A=192.168.50.6 B=192.168.50.5 other_A=192.168.50.16 other_B=192.168.50.15 size=24
    overlay_A=10.5.0.1 overlay_B=10.5.0.2 unused=10.5.0.99
  else
    A=2001:db8:50::6 B=2001:db8:50::5 other_A=2001:db8:50::16 other_B=2001:db8:50::15 size=64
    overlay_A=fd00:5::1 overlay_B=fd00:5::2 unused=fd00:5::99
  fi
}
at_port() { case $1 in *:*) echo "[$1]:${2:-4780}" ;; *) echo "$1:${2:-4780}" ;; esac; } # at_port ADDRESS [PORT]

# begun FAMILY [OPTION]: both run, know nothing from before, and alpha has called beta.
begun() {
  over "$1"
  edit alpha "s|^endpoint.*|endpoint = \"$(at_port "$B")\"|"
  : >"$D/alpha.log"
  alpha rm -rf /var/lib/lanloom/alpha
  beta rm -rf /var/lib/lanloom/beta
  up "${@:2}" beta alpha
  established alpha
  same "where beta is" "$(at_port "$B")" "$(seen_by alpha)"
  pings n1 10.5.0.31
}
seen_by() { status_of "$1" "s['peers'][0]['endpoint']"; }
sees() { [ "$(seen_by "$1")" = "$2" ]; } # sees INSTANCE ENDPOINT

# A flow from n1 to n3, 20 echoes a second, until `flow_ends`.
flow_begins() {
  lab_start A/ns1 "$D/flow" ping -n -O -i 0.05 -c "${1:-2000}" 10.5.0.31
  flow=$lab_pid
  flow_goes_on
}
arrived() { grep -c ' bytes from ' "$D/flow" || true; }
has_more_than() { [ "$(arrived)" -gt "$1" ]; }
flow_goes_on() { eventually 10 has_more_than $(($(arrived) + 5)); }
flow_ends() { lab_stop "$flow" || true; }
lost_of_flow() { grep -c 'no answer yet' "$D/flow" || true; }

moves() { # moves HOST FROM TO
  "$1" ip address del "$2/$size" dev u0
  "$1" ip address add "$3/$size" dev u0
}

# ---- addresses -------------------------------------------------------------------------------------------------------

# Who moves says so to its peers at once, whoever called first.
a_host_moves_in_mid_flow() {
  begun "$1"
  flow_begins
  moves alpha "$A" "$other_A"
  eventually 15 sees beta "$(at_port "$other_A")"
  flow_goes_on
  note "$(lost_of_flow) echoes of 20 a second lost when alpha moved"
  moves beta "$B" "$other_B"
  eventually 15 sees alpha "$(at_port "$other_B")"
  flow_goes_on
  note "$(lost_of_flow) echoes lost when beta had moved, too"
  flow_ends
  moves alpha "$other_A" "$A"
  moves beta "$other_B" "$B"
  stop alpha beta
}
for_both a_host_moves_in_mid_flow

# A firewall between them, as most hosts and all NATs are: answers come from whom they were asked of.
answers_come_from_the_address_that_was_called() {
  over "$1"
  local called=${B%5}55 family=ip
  if [ "$1" = ipv6 ]; then family=ip6; fi
  beta ip address add "$called/$size" dev u0
  if [ "$1" = ipv6 ]; then beta ip address change "$called/$size" dev u0 preferred_lft 0; fi # never chosen by itself
  alpha nft "table inet strict { chain in { type filter hook input priority 0; udp dport 4780 $family saddr != $called drop; }; }"
  edit alpha "s|^endpoint.*|endpoint = \"$(at_port "$called")\"|"
  alpha rm -rf /var/lib/lanloom/alpha
  beta rm -rf /var/lib/lanloom/beta
  up beta alpha
  established alpha
  same "where beta is" "$(at_port "$called")" "$(seen_by alpha)"
  pings n1 10.5.0.31
  pings n3 10.5.0.11
  # It goes, and the other one is let through: beta answers from there.
  alpha nft delete table inet strict
  beta ip address del "$called/$size" dev u0
  eventually 20 reaches n3 10.5.0.11
  eventually 20 sees alpha "$(at_port "$B")"
  pings n1 10.5.0.31
  stop alpha beta
}
for_both answers_come_from_the_address_that_was_called

# ---- ways through the overlay ----------------------------------------------------------------------------------------

# The way to beta leads into the bridge: what alpha sends there comes back by the TAP.
a_way_to_the_peer_through_the_overlay_is_no_loop() {
  local before
  begun "$1"
  stop beta
  alpha ip neighbour replace "$unused" lladdr 02:00:00:00:09:09 dev br-lan nud permanent
  alpha ip route add "$B" via "$unused" dev br-lan
  up beta
  eventually 30 grep -q 'our packets to it come back by the bridge' "$D/alpha.log"
  before=$(drops_of alpha self_encapsulated)
  [ "$before" -gt 0 ]
  [ "$before" -lt 100 ] || fail "$before datagrams went round"
  same "times it was said" 1 "$(grep -c 'come back by the bridge' "$D/alpha.log")"
  alpha ip route del "$B"
  eventually 60 reaches n3 10.5.0.11
  alpha ip neighbour del "$unused" dev br-lan
  pings n1 10.5.0.31
  stop alpha beta
}
for_both a_way_to_the_peer_through_the_overlay_is_no_loop

# inner NAME OWN-ADDRESS OVERLAY-ADDRESS PEER-KEY PEER-OVERLAY-ADDRESS: writes the file of a node of the second overlay.
inner() {
  cat >"$D/$1.toml" <<TOML
[node]
name = "$1"
private_key = "$1.key"
listen = "$(at_port "$3" 4790)"
[bridge]
name = "br-inner"
addresses = ["$2/24"]
[[peer]]
name = "other"
public_key = "$4"
endpoint = "$(at_port "$5" 4790)"
TOML
}
an_overlay_runs_inside_the_overlay() {
  local keys=() pids=() name
  begun "$1"
  for name in gamma delta; do
    rm -f "$D/$name.key"
    keys+=("$("$LANLOOM" genkey -o "$D/$name.key")")
  done
  inner gamma 10.6.0.1 "$overlay_A" "${keys[1]}" "$overlay_B"
  inner delta 10.6.0.2 "$overlay_B" "${keys[0]}" "$overlay_A"
  lab_start A "$D/gamma.log" "$LANLOOM" up "$D/gamma.toml"
  pids+=("$lab_pid")
  lab_start B "$D/delta.log" "$LANLOOM" up "$D/delta.toml"
  pids+=("$lab_pid")
  eventually 20 alpha "$LANLOOM" status gamma --wait 1
  pings alpha 10.6.0.2
  pings beta 10.6.0.1 -M "do" -s 1472
  # A stream, through both: TCP makes frames of every size.
  answer beta 7000
  same "who calls" 10.6.0.1 "$(call alpha 10.6.0.2 7000)"
  not grep -q 'come back by the bridge' "$D/alpha.log" "$D/gamma.log"
  kill -TERM "${pids[@]}"
  ends "${pids[@]}"
  stop alpha beta
}
for_both an_overlay_runs_inside_the_overlay

# ---- the path --------------------------------------------------------------------------------------------------------

reaches_whole() { reaches n1 10.5.0.31 -M "do" -s 1290; }
a_path_that_narrows_in_silence_is_noticed() {
  for host in alpha beta; do "$host" ip link set u0 gso_max_segs 1; done
  begun "$1"
  eventually 10 reaches_whole
  narrow 1300
  eventually 10 not reaches_whole
  eventually 60 reaches_whole # promised: 5 s and three time-outs
  pings n1 10.5.0.31 -M "do" -s 1472
  narrow no
  stop alpha beta
}
for_both a_path_that_narrows_in_silence_is_noticed

# ---- keys ------------------------------------------------------------------------------------------------------------

# Its interfaces' MAC addresses are made of its key: who knows the old ones asks anew, here at once.
a_host_gets_another_key_in_mid_flow() {
  local key
  begun "$1" --keep
  flow_begins
  rm -f "$D/beta2.key"
  key=$("$LANLOOM" genkey -o "$D/beta2.key")
  edit beta 's|^private_key.*|private_key = "beta2.key"|'
  edit alpha "s|^public_key.*|public_key = \"$key\"|"
  stop beta alpha
  up --keep beta alpha
  established alpha
  n1 ip neighbour flush all
  flow_goes_on
  note "$(lost_of_flow) echoes of 20 a second lost"
  flow_ends
  stop alpha beta
  alpha "$LANLOOM" down alpha
  beta "$LANLOOM" down beta
}
for_both a_host_gets_another_key_in_mid_flow

# Two minutes and more: in `test --long` alone.
new_sessions_cost_a_flow_nothing() {
  begun "$1"
  flow_begins 2700
  eventually 200 has_more_than 2600
  [ "$(status_of alpha "s['peers'][0]['last_handshake_seconds'] < 100")" = True ] || fail "no new session in 130 s"
  flow_ends
  same "lost" 0 "$(lost_of_flow)"
  stop alpha beta
}
if [ -n "${LANLOOM_LONG:-}" ]; then for_both new_sessions_cost_a_flow_nothing; fi

# ---- a NAT that forgets a way after 2 s, and takes another port each time ------------------------------------------------

setting() { outside sh -c "echo $2 >/proc/sys/net/$1"; } # setting NAME VALUE
alpha_is_behind_a_nat() {
  outside ip link set toA nomaster
  outside ip address add 10.9.0.1/24 dev toA
  outside ip address add 2001:db8:9::1/64 dev toA
  setting ipv4/ip_forward 1
  setting ipv6/conf/all/forwarding 1
  outside nft 'table inet nat { chain out { type nat hook postrouting priority 100; oifname underlay masquerade fully-random; }; }'
  setting netfilter/nf_conntrack_udp_timeout 2
  setting netfilter/nf_conntrack_udp_timeout_stream 2
  alpha ip address flush dev u0 scope global
  alpha ip address add 10.9.0.2/24 dev u0
  alpha ip address add 2001:db8:9::2/64 dev u0
  alpha ip route add default via 10.9.0.1
  alpha ip -6 route add default via 2001:db8:9::1
  in_section alpha '\[peer\]' 'keepalive = 25'
  eventually 10 alpha ping -q -c 1 -W 1 192.168.50.5
  eventually 10 alpha ping -q -c 1 -W 1 2001:db8:50::5
}
case_of alpha_is_behind_a_nat

# Silence is not there at once: data is followed by pings of the path for 10 s, and hosts ask for each other now and then.
crossed() { outside ip -s -j link show toA | python3 -c 'import json, sys; s = json.load(sys.stdin)[0]["stats64"]; print(s["rx"]["packets"], s["tx"]["packets"])'; }
# After 3 s without a packet, as beta's way to $port is gone; a packet that comes just then opens it again.
nat_has_closed() {
  local before
  before=$(crossed)
  sleep 3
  port=$(seen_by beta) && [ -n "$port" ] && [ "$(crossed)" = "$before" ] && not reaches n3 10.5.0.11
}

keepalives_hold_a_nat_open() {
  edit alpha 's/^keepalive.*/keepalive = 1/'
  begun "$1"
  sleep 20 # of which the last at least have nothing else to send
  pings n3 10.5.0.11
  stop alpha beta
}
for_both keepalives_hold_a_nat_open

without_them_who_is_behind_it_opens_it_again() {
  edit alpha 's/^keepalive.*/keepalive = 0/'
  begun "$1"
  local port
  eventually 200 nat_has_closed
  eventually 10 reaches n1 10.5.0.31 # beta answers to the new port once that has proved to be alpha: a round trip and 1 s
  pings n3 10.5.0.11
  not sees beta "$port"
  stop alpha beta
}
for_both without_them_who_is_behind_it_opens_it_again
