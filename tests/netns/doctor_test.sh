#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# doctor_test.sh - what silently breaks an overlay is broken for real, seen by doctor, and works after its cure.
#
#      ns1 10.5.0.11, ns2 10.5.0.21 --- alpha ===== underlay ===== beta --- ns3 10.5.0.31

# shellcheck source=../../packaging/partners.sh
if [ "${LAB_PRIVATE:-}" != yes ] && [ ! -e /usr/sbin/iptables ]; then
  bash -c '. "$1/packaging/partners.sh" && partner iptables iptables-nft' _ "$(dirname "$0")/../.."
fi
. "$(dirname "$0")/lib.sh"
if [ -e "$partners/iptables" ]; then must iptables_over_usr; fi

# doctor COMMAND [OPTION...]: of the instance of that name; its status in $status, its findings in $D/findings.
doctor() {
  status=0
  "$1" "$LANLOOM" doctor "$D/$1.toml" --json "${@:2}" >"$D/findings" 2>"$D/said" || status=$?
}

# verdict CHECK: the worst finding of that name.
verdict() { found "$1" "max((f['verdict'] for f in of), key=['PASS', 'WARN', 'FAIL'].index)"; }
what() { found "$1" "next(f['what'] for f in of if f['verdict'] != 'PASS')"; }
cure() { found "$1" "next(f['cure'] for f in of if f['verdict'] != 'PASS')"; }
found() {
  python3 -c "import json, sys
of = [f for f in json.load(open('$D/findings')) if f['check'] == sys.argv[1]]
print($2)" "$1"
}
judges() { # judges COMMAND CHECK VERDICT: for `eventually`
  doctor "$1"
  [ "$(verdict "$2")" = "$3" ]
}

two_hosts
must up alpha beta
must established alpha beta
must pings n1 10.5.0.31

a_good_host_has_no_failure() {
  local name began
  for name in alpha beta; do
    began=$(now_in_ms)
    doctor $name
    same "milliseconds over 3000" 0 $((($(now_in_ms) - began) / 3000))
    same "status of doctor in $name" 0 $status
    same "failures" 0 "$(grep -c '"FAIL"' "$D/findings" || true)"
  done
  alpha "$LANLOOM" doctor >"$D/out" || status=$? # without a word: the only instance, or none whose file is to be found
  same "status without a file" 3 $status
}
case_of a_good_host_has_no_failure

the_host_alone_is_looked_at_without_an_instance() {
  outside "$LANLOOM" doctor >"$D/out"
  grep -q '^PASS  tun-device ' "$D/out"
  grep -q '^0 FAIL, ' "$D/out"
  if grep -q 'peers' "$D/out"; then fail "there is nobody to speak of peers: $(cat "$D/out")"; fi
  status=0
  outside "$LANLOOM" doctor --fix 2>"$D/complaint" || status=$?
  same "status of --fix without an instance" 2 $status
}
case_of the_host_alone_is_looked_at_without_an_instance

# Bridged frames vanish as soon as somebody sets that policy: what Docker does.
a_forward_drop_is_found_and_cured() {
  alpha iptables -P FORWARD DROP
  not reaches n1 10.5.0.31
  eventually 20 has_its_addresses alpha
  lab_state A >"$D/broken.state"
  doctor alpha
  same "status" 1 $status
  same "forward-bridged" FAIL "$(verdict forward-bridged)"
  same "forward-routed" FAIL "$(verdict forward-routed)"
  same "the cure" "iptables -I FORWARD -i br-lan -o br-lan -j ACCEPT" "$(cure forward-bridged)"
  as_found alpha "$D/broken.state"
  doctor alpha --fix
  same "status after --fix" 0 $status
  grep -q 'iptables now lets through' "$D/said"
  pings n1 10.5.0.31
  n1 ping -q -c 1 -W 2 203.0.113.7 >/dev/null # through NAT
  # The rules bear our mark, so that they can go again.
  alpha sh -c "iptables -S | grep 'lanloom:alpha' | sed 's/^-A/-D/; s/\"//g' | xargs -L 1 iptables"
  doctor alpha
  same "forward-bridged without the rules" FAIL "$(verdict forward-bridged)"
  alpha sh -c "$(cure forward-routed)"
  doctor alpha
  same "status after the printed cures" 0 $status
  pings n1 10.5.0.31
  alpha iptables -F FORWARD
  alpha iptables -P FORWARD ACCEPT
}
if [ -e /usr/sbin/iptables ]; then
  case_of a_forward_drop_is_found_and_cured
else
  echo "skip a_forward_drop_is_found_and_cured: iptables is neither installed nor to be downloaded"
fi

# The keeper would put right itself what follows: it is held while doctor looks.
hold() { kill -STOP "$(keeper_of alpha)"; }
let_go() { kill -CONT "$(keeper_of alpha)"; }

an_mtu_on_the_bridge_is_found_and_cured() {
  hold
  alpha ip link set dev veth10 mtu 1300
  doctor alpha
  same "mtu-bridge" FAIL "$(verdict mtu-bridge)"
  not reaches n3 10.5.0.11 -M do -s 1400
  doctor alpha --fix
  same "mtu-bridge after --fix" PASS "$(verdict mtu-bridge)"
  reaches n3 10.5.0.11 -M do -s 1400
}
case_of an_mtu_on_the_bridge_is_found_and_cured
let_go

forwarding_that_somebody_switched_off_is_found_and_cured() {
  hold
  alpha sysctl -qw net.ipv4.ip_forward=0
  doctor alpha
  same "ip-forward" FAIL "$(verdict ip-forward)"
  alpha sh -c "$(cure ip-forward)" >/dev/null
  doctor alpha
  same "ip-forward after the cure" PASS "$(verdict ip-forward)"
}
case_of forwarding_that_somebody_switched_off_is_found_and_cured
let_go

an_address_that_two_have_is_found_from_both_hosts() {
  doctor beta
  same "duplicate-address before" PASS "$(verdict duplicate-address)"
  n2 ip addr add 10.5.0.31/16 dev veth21
  n2 ip addr add 10.5.0.11/16 dev veth21
  doctor beta
  same "duplicate-address on beta" FAIL "$(verdict duplicate-address)"
  what duplicate-address | grep -q '^10.5.0.31 is ours, and .* has it, too, on another host$'
  doctor alpha
  what duplicate-address | grep -q '^10.5.0.11 is ours, and .* has it, too, behind veth20$'
  n2 ip addr del 10.5.0.31/16 dev veth21
  n2 ip addr del 10.5.0.11/16 dev veth21
  doctor beta
  same "duplicate-address after" PASS "$(verdict duplicate-address)"
}
case_of an_address_that_two_have_is_found_from_both_hosts

seen_twice() { # each frame of the other takes it away from the port
  alpha bridge fdb replace "$1" dev veth20 master dynamic
  judges alpha duplicate-mac WARN
}

# As two containers with the same fixed MAC have it.
a_mac_that_lives_at_two_places_is_found() {
  doctor alpha
  same "duplicate-mac before" PASS "$(verdict duplicate-mac)"
  local mac=02:00:00:00:00:77
  n3 ip link add link veth31 name twin type macvlan mode bridge
  n3 ip link set twin address $mac up
  n3 ip addr add 10.5.0.77/32 dev twin
  alpha bridge fdb replace $mac dev veth20 master dynamic
  n3 arping -q -c 1 -U -I twin 10.5.0.77 2>/dev/null || n3 python3 - $mac <<'END'
import socket, sys
mac = bytes.fromhex(sys.argv[1].replace(":", ""))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("twin", 0))
s.send(b"\xff" * 6 + mac + b"\x88\xb5" + b"lanloom doctor test" + bytes(30))
END
  eventually 20 seen_twice $mac
  what duplicate-mac | grep -q "^$mac behind a port of br-lan and behind peer \"beta\"$"
  n3 ip link del twin
  alpha bridge fdb del $mac dev veth20 master 2>/dev/null || true # unless it has moved by then
  alpha ip link add twin type veth peer name other
  alpha ip link set twin address "$(alpha ip -j link show veth20 | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["address"])')"
  alpha ip link set twin master br-lan
  doctor alpha
  same "two ports with one MAC" FAIL "$(verdict duplicate-mac)"
  alpha ip link del twin
  doctor alpha
  same "duplicate-mac after" PASS "$(verdict duplicate-mac)"
}
case_of a_mac_that_lives_at_two_places_is_found

a_port_shut_by_the_hosts_own_firewall_is_found_and_cured() {
  beta nft 'add table inet filter; add chain inet filter input { type filter hook input priority 0; policy drop; }'
  doctor beta
  same "udp-port" WARN "$(verdict udp-port)"
  same "status of a WARN" 0 $status
  beta sh -c "$(cure udp-port)"
  doctor beta
  same "udp-port after the cure" PASS "$(verdict udp-port)"
  pings n1 10.5.0.31
  beta nft delete table inet filter
}
case_of a_port_shut_by_the_hosts_own_firewall_is_found_and_cured

who_may_not_look_is_told_so() {
  status=0
  chmod 755 "$D" && chmod 644 "$D/alpha.toml"
  alpha setpriv --reuid 65534 --regid 65534 --clear-groups --bounding-set=-all --inh-caps=-all \
    "$LANLOOM" doctor "$D/alpha.toml" --json >"$D/findings" || status=$?
  same "status" 0 $status
  local check
  for check in capabilities forward-bridged udp-port peers; do same "$check" WARN "$(verdict $check)"; done
  same "clock" PASS "$(verdict clock)"
}
case_of who_may_not_look_is_told_so

another_mtu_on_the_other_host_is_found() {
  stop beta
  printf '[tap]\nmtu = 1400\n' >>"$D/beta.toml"
  up beta
  established alpha beta
  pings n3 10.5.0.11
  eventually 10 judges alpha mtu-peers FAIL
  same "what it says" \
    "the LAN has MTU 1500 here and 1400 on peer beta: what is larger is dropped without a word" "$(what mtu-peers)"
}
case_of another_mtu_on_the_other_host_is_found

a_peer_that_is_not_there_is_named_with_the_reason() {
  stop beta
  eventually 60 judges alpha peers FAIL
  what peers | grep -q 'peer beta is unreachable: no answer from 192.168.50.5:4780'
  alpha ip route del default
  alpha ip addr del 192.168.50.6/24 dev u0
  doctor alpha
  same "without a route" "peer beta: this host has no route to 192.168.50.5" "$(what peers)"
  alpha ip addr add 192.168.50.6/24 dev u0
  alpha ip route add default via 192.168.50.1
}
case_of a_peer_that_is_not_there_is_named_with_the_reason

only_a_running_instance_has_peers() {
  stop alpha
  doctor alpha
  same "status" 0 $status
  same "peers" PASS "$(verdict peers)"
  same "duplicate-address" PASS "$(verdict duplicate-address)"
  same "ip-forward" PASS "$(verdict ip-forward)"
}
case_of only_a_running_instance_has_peers
