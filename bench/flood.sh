#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# flood.sh [ROUNDS] - what strangers' floods cost a paced flow through lanloom, and fastd beside it; 5 rounds, as root.
#
# The flow: UDP from container to container, 1200 bytes each, at 500 Mbit/s through lanloom and, as it cannot do that, at
# 200 through fastd. The floods reach the underlay address of the flow's receiver from 16 addresses:
#
#   initiations  10 000/s whose mac1 is right: each may cost a Diffie-Hellman        at most 5 % more loss
#                (onto fastd its own first messages, which need no secret either)
#   junk         100 000/s of what is soon seen to be nothing (flood.py)             at most 10 %
#   large        1 000/s of 64 KiB                                                   at most 10 %
#
# The control of each is the same flood to a closed port: what the kernel, the sender of the flood and the lack of
# processors cost is in both. Prints medians with least and greatest, how far the node's memory grew, and whether the
# two hosts agreed on new keys in the middle of a flood, with at most 1 % of an echo lost. The status is 0 when lanloom
# kept all of it, and the floods had nine tenths of their rates.
set -euo pipefail
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rounds=${1:-5} seconds=3
[[ $rounds =~ ^[1-9][0-9]*$ ]] && [ $# -le 1 ] || { sed -n '4s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }

# shellcheck source=packaging/lab.sh
. "$bench/../packaging/lab.sh"
# shellcheck source=packaging/partners.sh
. "$bench/../packaging/partners.sh"
# shellcheck source=bench/candidates.sh
. "$bench/candidates.sh"
if [ "$(id -u)" -eq 0 ] && [ "${LAB_PRIVATE:-}" != yes ]; then
  export PATH=$PATH:/usr/sbin:/sbin
  partner fastd fastd 2>/dev/null || true
  mkdir -p "$lab_root/build/bench"
  c++ -std=c++20 -O2 -o "$lab_root/build/bench/udp_load" "$bench/udp_load.cpp" -pthread
fi
lab_private "$@"
udp_load=$lab_root/build/bench/udp_load identity_program=none
trap lab_down EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

lab_up
wire_up
sources=()
for i in $(seq 100 115); do
  lab_on A ip addr add "192.168.60.$i/32" dev w0
  sources+=("192.168.60.$i")
done
candidate_up lanloom lanloom 1400
candidates=(lanloom)
# Its peer may come from any address, as lanloom's may: where it may not, strangers' addresses tell them apart.
if candidate_up fastd fastd 1400 salsa2012+umac 'float yes;'; then candidates+=(fastd); fi
declare -A port=([lanloom]=$((4780 + ${number[lanloom]})) [fastd]=$((10000 + ${number[fastd]:-0}))) mbit=([lanloom]=500 [fastd]=200)
key=$("$LANLOOM" pubkey <"$lab_dir/${number[lanloom]}/B/c${number[lanloom]}.key")
python3 "$bench/flood.py" initiations "$key" "$lab_dir/initiations"
if [ "${#candidates[@]}" -gt 1 ]; then
  public_of() { sed -n 's/.*peer "other" { key "\([0-9a-f]*\)".*/\1/p' "$lab_dir/fastd-${number[fastd]}-$(other "$1").conf"; }
  mapfile -t ephemeral < <(for _ in $(seq 16); do fastd --generate-key 2>/dev/null | sed -n 's/^Public: //p'; done)
  python3 "$bench/flood.py" fastd "$(public_of A)" "$(public_of B)" "${ephemeral[@]}" "$lab_dir/initiations.fastd"
fi
python3 "$bench/flood.py" junk "$lab_dir/junk"
python3 "$bench/flood.py" large "$lab_dir/large"
declare -A rate=([initiations]=10000 [junk]=100000 [large]=1000) limit=([initiations]=5 [junk]=10 [large]=10)
closed=9

node_of() { # node_of CANDIDATE: lanloom's process without rights on B
  local pid
  for pid in $(candidate_pids "$1"); do
    if grep -q '^NoNewPrivs:.*1' "/proc/$pid/status" 2>/dev/null; then echo "$pid"; fi
  done | tail -n 1
}
memory_of() { awk '/^VmRSS/ { print $2 }' "/proc/$1/status"; }

flood() { # flood CANDIDATE KIND PORT SECONDS: in the background; leaves its pid in lab_pid
  local datagrams=$lab_dir/$2
  if [ -e "$datagrams.$1" ]; then datagrams+=.$1; fi
  lab_start A "$lab_dir/flood.log" "$udp_load" flood 192.168.60.5 "$3" "${rate[$2]}" "$4" "$datagrams" "${sources[@]}"
}
# loss CANDIDATE KIND PORT: in per cent
loss() {
  local from to address enter server flooding figures=
  candidate_ends "$1"
  lab_enter "$from"
  lab_start "$to" "$lab_dir/serve.log" "$udp_load" serve 9000
  server=$lab_pid
  lab_wait_for 10 "udp_load listens" lab_on "$to" sh -c 'ss -Hlun | grep -q :9000'
  flood "$1" "$2" "$3" $((seconds + 1))
  flooding=$lab_pid
  sleep 0.5 # it is on its way
  figures=$("${enter[@]}" "$udp_load" rtt "$address" 9000 "${mbit[$1]}" "$seconds" 2>>"$lab_dir/udp_load.log") || true
  lab_wait_for 10 "the flood ends" lab_ended "$flooding"
  sed -n 's/.*"per_second": \([0-9]*\).*/\1/p' "$lab_dir/flood.log" >>"$lab_dir/offered.$2"
  lab_stop "$server" 2>/dev/null || true
  sed -n 's/.*"loss": \([0-9.e-]*\).*/\1/p' <<<"$figures" | awk '{ printf "%.2f\n", $1 * 100 } END { if (NR == 0) print "100" }'
}
at_most() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b) }'; }
median() { sort -n | awk '{ all[NR] = $1 } END { printf "%s (%s…%s)", all[int((NR + 1) / 2)], all[1], all[NR] }'; }

status=0
most_lost=30 # per cent, whatever the control loses: a flow that is dead is equally dead beside a closed port
node=$(node_of lanloom)
before=$(memory_of "$node")
printf '%-8s %-12s %-24s %-24s %s\n' '' flood 'loss %' 'to a closed port, loss %' 'more, median'
for kind in initiations junk large; do
  for name in "${candidates[@]}"; do
    for ((round = 0; round < rounds; ++round)); do
      loss "$name" "$kind" "${port[$name]}" >>"$lab_dir/$name.$kind"
      loss "$name" "$kind" "$closed" >>"$lab_dir/$name.$kind.control"
    done
    more=$(paste "$lab_dir/$name.$kind" "$lab_dir/$name.$kind.control" | awk '{ print $1 - $2 }' | sort -n |
      awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }')
    printf '%-8s %-12s %-24s %-24s %s\n' "$name" "$kind" "$(median <"$lab_dir/$name.$kind")" \
      "$(median <"$lab_dir/$name.$kind.control")" "$more"
    lost=$(median <"$lab_dir/$name.$kind")
    if [ "$name" = lanloom ] && ! { at_most "$more" "${limit[$kind]}" && at_most "${lost%% *}" "$most_lost"; }; then status=1; fi
  done
  offered=$(median <"$lab_dir/offered.$kind")
  echo "offered: $offered a second of ${rate[$kind]}"
  # Of a flood that did not take place nothing is shown.
  if ! at_most $((rate[$kind] * 9 / 10)) "${offered%% *}"; then status=1; fi
done
if [ "$(node_of lanloom)" != "$node" ]; then
  echo "the node did not outlive the floods"
  exit 1
fi
echo "memory of the node: $before KiB before, $(memory_of "$node") KiB after"
if [ $(($(memory_of "$node") - before)) -gt 1024 ]; then status=1; fi

# Keys last 120 s: while it is flooded, whoever is a peer gets new ones.
age_of_keys() { lab_on B "$LANLOOM" status "c${number[lanloom]}" --json | python3 -c "import json, sys; print(json.load(sys.stdin)['peers'][0]['last_handshake_seconds'])"; }
flood lanloom initiations "${port[lanloom]}" 140
candidate_ends lanloom
lab_enter "$from"
"${enter[@]}" ping -q -n -i 0.1 -c 1350 "$address" >"$lab_dir/ping" || true
age=$(age_of_keys)
lost=$(sed -n 's/.* \([0-9.]*\)% packet loss.*/\1/p' "$lab_dir/ping")
echo "after 135 s of initiations: keys of $age s ago, ${lost:-100} % lost of an echo each 0.1 s"
if [ "$age" -ge 135 ] || ! at_most "${lost:-100}" 1 || [ "$(node_of lanloom)" != "$node" ]; then status=1; fi
exit $status
