#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# beside_fastd.sh [ROUNDS] - lanloom and fastd in the same network, turn by turn: one TCP stream and ping, container to
# container.
#
#      A 192.168.50.6 ----------- underlay ----------- 192.168.50.5 B
#      br-lan -- ns1 10.5.0.11                  10.5.0.31 ns3 -- br-lan        lanloom, conf/two-hosts
#      br-fast - fa1 10.6.0.11                  10.6.0.31 fb1 -- br-fast       fastd, mode tap, salsa2012+umac
#
# Prints each round's figures and the medians. Absolute figures depend on the machine and on what else it does: compare
# inside one run only. fastd comes as packaging/partners.sh says. Needs root; everything lives in namespaces of its own.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=packaging/partners.sh
. "$root/packaging/partners.sh"
partner fastd fastd >&2 || exit 1
# shellcheck source=packaging/lab.sh
. "$root/packaging/lab.sh"
lab_private "$@"
rounds=${1:-5}
trap lab_down EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

container() { # container HOST NAMESPACE ADDRESS: on br-fast
  lab_on "$1" ip netns add "$2"
  lab_on "$1" ip link add "v$2" type veth peer name eth0 netns "$2"
  lab_on "$1" ip link set "v$2" mtu 1406 master br-fast up
  lab_on "$1/$2" ip link set eth0 mtu 1406 up
  lab_on "$1/$2" ip addr add "$3/24" dev eth0
}

fast_side() { # fast_side HOST SECRET PEER_KEY PEER_ADDRESS
  lab_on "$1" ip link add br-fast type bridge
  lab_on "$1" ip link set br-fast up
  cat >"$lab_dir/fast-$1.conf" <<CONF
log level warn; mode tap; interface "fast0"; mtu 1406; method "salsa2012+umac"; bind 0.0.0.0:10000;
secret "$2"; peer "other" { key "$3"; remote $4:10000; }
CONF
  lab_start "$1" "$lab_dir/fast-$1.log" fastd -c "$lab_dir/fast-$1.conf"
  lab_wait_for 10 "fastd makes its TAP" lab_on "$1" ip link show fast0
  lab_on "$1" ip link set fast0 master br-fast up
}

key() { sed -n "s/^$1: //p" <<<"$2"; }

stream() { # stream FROM TO ADDRESS: Gbit/s
  lab_start "$2" "$lab_dir/iperf.log" iperf3 -s -1
  local server=$lab_pid
  lab_wait_for 10 "iperf3 listens" lab_on "$2" sh -c 'ss -ltn | grep -q :5201'
  lab_on "$1" iperf3 -C cubic -c "$3" -t 4 -J >"$lab_dir/iperf.json"
  lab_stop "$server" 2>/dev/null || true
  python3 -c 'import json,sys; print("%.2f" % (json.load(open(sys.argv[1]))["end"]["sum_received"]["bits_per_second"] / 1e9))' "$lab_dir/iperf.json"
}

rtt() { lab_on "$1" ping -q -c 200 -i 0.005 "$2" | sed -n 's|^rtt [^=]*= [^/]*/\([^/]*\)/.*|\1|p'; } # average, ms

median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] " (" v[1] ".." v[NR] ")" }'; }

lab_up
lab_configure "$lab_dir"
lab_start A "$lab_dir/alpha.log" "$LANLOOM" up "$lab_dir/alpha.toml"
lab_start B "$lab_dir/beta.log" "$LANLOOM" up "$lab_dir/beta.toml"
a=$(fastd --generate-key 2>/dev/null) b=$(fastd --generate-key 2>/dev/null)
fast_side A "$(key Secret "$a")" "$(key Public "$b")" 192.168.50.5
fast_side B "$(key Secret "$b")" "$(key Public "$a")" 192.168.50.6
container A fa1 10.6.0.11
container B fb1 10.6.0.31
lab_wait_for 20 "lanloom carries" lab_on A/ns1 ping -q -c 1 -W 1 10.5.0.31
lab_wait_for 20 "fastd carries" lab_on A/fa1 ping -q -c 1 -W 1 10.6.0.31

for ((round = 1; round <= rounds; round++)); do
  ours=$(stream A/ns1 B/ns3 10.5.0.31) theirs=$(stream A/fa1 B/fb1 10.6.0.31)
  our_rtt=$(rtt A/ns1 10.5.0.31) their_rtt=$(rtt A/fa1 10.6.0.31)
  echo "$ours" >>"$lab_dir/ours" && echo "$theirs" >>"$lab_dir/theirs"
  echo "$our_rtt" >>"$lab_dir/our_rtt" && echo "$their_rtt" >>"$lab_dir/their_rtt"
  printf 'round %d   lanloom %s Gbit/s, ping %s ms   fastd %s Gbit/s, ping %s ms\n' \
    "$round" "$ours" "$our_rtt" "$theirs" "$their_rtt"
done
printf 'median    lanloom %s Gbit/s, ping %s ms\n          fastd   %s Gbit/s, ping %s ms\n' \
  "$(median <"$lab_dir/ours")" "$(median <"$lab_dir/our_rtt")" "$(median <"$lab_dir/theirs")" "$(median <"$lab_dir/their_rtt")"
