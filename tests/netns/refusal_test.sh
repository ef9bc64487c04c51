#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# refusal_test.sh - what cannot be done is refused with one clear sentence and the right status, and the host is as found.
#
#      ns1, ns2 --- br-lan --- alpha ===== underlay 192.168.50.0/24 ===== beta, which mostly does not run
. "$(dirname "$0")/lib.sh"

two_hosts
must lab_state A >"$D/alpha.state"
mkdir "$D/good"
cp -p "$D"/*.toml "$D"/*.key "$D/good"

# says STATUS SENTENCE COMMAND...: the command ends with this status, and one line of its complaint holds SENTENCE.
says() {
  local expected=$1 sentence=$2 status=0
  shift 2
  "$@" >"$D/out" 2>"$D/complaint" </dev/null || status=$?
  grep -qF -- "$sentence" "$D/complaint" || fail "expected '$sentence', status $status says '$(head -c 400 "$D/complaint")'"
  same "status ($sentence)" "$expected" "$status"
}

# refuses STATUS SENTENCE [COMMAND...]: so does `lanloom up` in alpha, run by COMMAND, and it leaves nothing: the host is
# as in the file $before, if that is set, or else as at the beginning.
refuses() {
  says "$1" "$2" alpha timeout 20 "${@:3}" "$LANLOOM" up "$D/alpha.toml"
  as_found alpha "${before:-$D/alpha.state}"
  same "processes" "" "$(pgrep -f "^$LANLOOM" || true)"
}

# wrong_file SENTENCE: so do `up`, `check` and `up --dry-run`.
wrong_file() {
  refuses 3 "$1"
  says 3 "$1" alpha "$LANLOOM" check "$D/alpha.toml"
  says 3 "$1" alpha "$LANLOOM" up --dry-run "$D/alpha.toml"
}
as_good() { cp -p "$D/good"/* "$D"; }
tried() {
  as_good
  case_of "$1"
}

# ---- the file --------------------------------------------------------------------------------------------------------

an_unknown_key() {
  in_section alpha node 'lissten = "[::]:4780"'
  wrong_file 'alpha.toml:'
  wrong_file 'did you mean'
}
tried an_unknown_key

a_wrong_type() {
  edit alpha 's|^ipv4 = true|ipv4 = "yes"|'
  wrong_file 'ipv4'
}
tried a_wrong_type

a_syntax_error() {
  edit alpha 's|^\[nat\]|[nat|'
  wrong_file 'alpha.toml:'
}
tried a_syntax_error

every_problem_with_its_line() {
  edit alpha 's|^ipv4 = true|ipv4 = "yes"|; s|^masquerade.*|masquerade = ["10.5.0.0/99"]|'
  says 3 'ipv4' alpha "$LANLOOM" check "$D/alpha.toml"
  same "lines with a place" 2 "$(grep -cE '^[^ ]*alpha\.toml:[0-9]+:[0-9]+: ' "$D/complaint")"
}
tried every_problem_with_its_line

two_peers_with_one_key() {
  sed -n '/^\[\[peer\]\]/,$p' "$D/alpha.toml" | sed 's/"beta"/"gamma"/; s/192.168.50.5:4780/192.168.50.7:4780/' >"$D/third"
  cat "$D/third" >>"$D/alpha.toml"
  wrong_file 'key'
}
tried two_peers_with_one_key

a_peer_with_our_own_key() {
  edit alpha "s|^public_key.*|public_key = \"$("$LANLOOM" pubkey <"$D/alpha.key")\"|"
  wrong_file 'own'
}
tried a_peer_with_our_own_key

a_key_that_is_none() {
  edit alpha 's|^public_key.*|public_key = "not base64 at all"|'
  wrong_file 'public_key'
}
tried a_key_that_is_none

a_name_that_is_too_long() {
  edit alpha 's|"veth10"|"veth-name-of-16c"|'
  wrong_file 'veth-name-of-16c'
}
tried a_name_that_is_too_long

a_key_file_that_others_can_read() {
  chmod 640 "$D/alpha.key"
  wrong_file 'alpha.key'
}
tried a_key_file_that_others_can_read

a_key_file_that_is_not_there() {
  rm "$D/alpha.key"
  wrong_file 'alpha.key'
}
tried a_key_file_that_is_not_there

a_key_file_without_a_key() {
  echo nonsense >"$D/alpha.key"
  wrong_file 'alpha.key'
}
tried a_key_file_without_a_key

a_configuration_that_is_not_there() {
  rm "$D/alpha.toml"
  wrong_file 'alpha.toml'
}
tried a_configuration_that_is_not_there

# ---- the host --------------------------------------------------------------------------------------------------------

# in_the_way SENTENCE: refused because of what the test has put there.
in_the_way() {
  before=$D/here.state
  lab_state A >"$before"
  refuses 1 "$1"
  unset before
}

a_tap_name_that_is_taken() {
  alpha ip link add ll-alpha type veth peer name other
  in_the_way "ll-alpha: exists already and is not lanloom's"
}
tried a_tap_name_that_is_taken
alpha ip link del ll-alpha

a_veth_name_that_is_taken() {
  alpha ip link add veth10 type veth peer name other
  in_the_way "veth10: exists already and is not lanloom's"
}
tried a_veth_name_that_is_taken
alpha ip link del veth10

a_bridge_that_is_somebody_elses() {
  alpha ip link add br-lan type bridge
  in_the_way "br-lan: exists already and is not lanloom's"
}
tried a_bridge_that_is_somebody_elses
alpha ip link del br-lan

a_namespace_that_is_somebody_elses() {
  alpha ip netns add ns2
  in_the_way "ns2: exists already and is not lanloom's"
}
tried a_namespace_that_is_somebody_elses
alpha ip netns del ns2

a_port_in_use() {
  alpha python3 -c 'import socket, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 4780))
time.sleep(1000)' &
  eventually 10 listens_udp alpha 4780
  refuses 1 '4780'
  grep -q 'another program or instance has that port' "$D/complaint"
}
listens_udp() { [ -n "$("$1" ss -Hlun "sport = :$2")" ]; }
tried a_port_in_use
pkill -f 'time.sleep\(1000\)'

a_subnet_that_the_host_has_already() {
  alpha ip address add 10.5.9.9/24 dev u0
  in_the_way '10.5.9.9/24'
}
tried a_subnet_that_the_host_has_already
alpha ip address del 10.5.9.9/24 dev u0


no_tun_device() {
  refuses 1 'there is no /dev/net/tun; load the module: modprobe tun' \
    unshare --mount -- sh -c 'mount -t tmpfs tmpfs /dev/net && exec "$0" "$@"'
}
tried no_tun_device

no_nft() {
  local nft
  nft=$(realpath "$(command -v nft)")
  refuses 1 'needs the program nft, which is not installed; install the package nftables' \
    unshare --mount -- sh -c 'touch /run/empty && mount --bind /run/empty "$0" && exec "$@"' "$nft"
}
tried no_nft

nft_that_fails() {
  local nft
  nft=$(realpath "$(command -v nft)")
  printf '#!/bin/sh\necho "nft: broken on purpose" >&2\nexit 1\n' >"$D/nft"
  chmod 755 "$D/nft"
  refuses 1 'broken on purpose' unshare --mount -- sh -c 'mount --bind "$0" "$1" && shift && exec "$@"' "$D/nft" "$nft"
}
tried nft_that_fails

# ---- the caller ------------------------------------------------------------------------------------------------------

no_right_to_make_interfaces() {
  refuses 4 'CAP_NET_ADMIN' setpriv --bounding-set -net_admin --inh-caps -net_admin
}
tried no_right_to_make_interfaces

no_right_to_make_namespaces() {
  refuses 4 'CAP_SYS_ADMIN' setpriv --bounding-set -sys_admin --inh-caps -sys_admin
}
tried no_right_to_make_namespaces

no_right_to_give_the_node_a_user() {
  local right
  for right in setuid setgid setpcap kill; do
    refuses 4 "CAP_${right^^}" setpriv --bounding-set "-$right" --inh-caps "-$right"
  done
}
tried no_right_to_give_the_node_a_user

not_root() {
  chmod 755 "$D"
  refuses 4 'CAP_NET_ADMIN' setpriv --reuid=65534 --regid=65534 --clear-groups
  says 4 'CAP_NET_ADMIN' alpha setpriv --reuid=65534 --regid=65534 --clear-groups "$LANLOOM" down alpha
}
tried not_root

words_that_are_no_command() {
  says 2 'a command is missing' "$LANLOOM"
  says 2 'there is no command `frobnicate`; see lanloom --help' "$LANLOOM" frobnicate
  says 2 'there is no option `--frobnicate`' "$LANLOOM" up --frobnicate
  says 2 'CONFIG: must not be empty' "$LANLOOM" up ""
  says 2 'No_Name: is no instance name' "$LANLOOM" status No_Name
  says 1 'stdout' sh -c 'exec "$0" up --dry-run "$1" >/dev/full' "$LANLOOM" "$D/alpha.toml"
  same "usage" "Usage: lanloom up [OPTIONS] CONFIG" "$("$LANLOOM" up --help | grep Usage)"
  says 2 'CONFIG' "$LANLOOM" up
  says 2 '--frobnicate' "$LANLOOM" status --frobnicate
  says 2 'wait' "$LANLOOM" status --wait soon
}
tried words_that_are_no_command

a_down_of_nothing() {
  says 0 'typo: nothing to remove' alpha "$LANLOOM" down typo
  not alpha test -e /run/lanloom/typo.lock
}
case_of a_down_of_nothing

a_status_of_nothing() {
  says 5 'no instance runs here' alpha "$LANLOOM" status
  says 5 'alpha' alpha "$LANLOOM" status alpha
  says 5 'alpha' alpha "$LANLOOM" fdb alpha
}
tried a_status_of_nothing

# ---- what is only warned of --------------------------------------------------------------------------------------------

a_route_of_the_host_to_the_overlay() {
  alpha ip route add 10.5.0.0/16 via 192.168.50.1
  : >"$D/alpha.log"
  up alpha
  grep -q '10.5.0.0/16: this host has a route to 10.5.0.0/16 by u0' "$D/alpha.log"
  stop alpha
  alpha ip route del 10.5.0.0/16 via 192.168.50.1
  as_found alpha "$D/alpha.state"
}
case_of a_route_of_the_host_to_the_overlay

# ---- while it runs ---------------------------------------------------------------------------------------------------

must up alpha
eventually 20 has_its_addresses alpha
must lab_state A >"$D/running.state"

an_instance_that_runs_already() {
  says 1 'running already' alpha "$LANLOOM" up "$D/alpha.toml"
  grep -q 'lanloom down alpha' "$D/complaint"
  as_found alpha "$D/running.state"
}
case_of an_instance_that_runs_already

waiting_for_a_peer_that_is_dead() {
  local began took
  began=$(now_in_ms)
  local status=0
  alpha "$LANLOOM" status alpha --wait 1 >"$D/out" || status=$?
  same "status" 6 $status
  took=$(($(now_in_ms) - began))
  if [ $took -lt 1000 ] || [ $took -gt 10000 ]; then fail "took $took ms"; fi
  grep -q '192.168.50.5:4780' "$D/out"
}
case_of waiting_for_a_peer_that_is_dead

the_end_leaves_nothing() {
  stop alpha
  as_found alpha "$D/alpha.state"
}
case_of the_end_leaves_nothing
