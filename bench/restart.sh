#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# restart.sh [ROUNDS] - how long a LAN is interrupted when lanloom is killed (SIGKILL) and comes back; 20 rounds, as root.
#
# A container of alpha sends a datagram to one of beta every 10 ms. Measured is the time until the first of them arrives
#
#   node      that was sent after alpha's node was killed, which its keeper starts again: at most 200 ms
#   keeper    that was sent after `lanloom up` was executed; the node had died with its keeper: at most 1 s
#   both      likewise, keeper and node having been killed one after the other
#
# Prints median, worst and how many kept the limit. The status is 0 when 99 of 100 did in every row.
set -euo pipefail
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
rounds=${1:-20}
[[ $rounds =~ ^[1-9][0-9]*$ ]] && [ $# -le 1 ] || { sed -n '4s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }

# shellcheck source=packaging/lab.sh
. "$bench/../packaging/lab.sh"
lab_private "$@"
trap lab_down EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

lab_up
lab_configure "$lab_dir"

start() { # start HOST INSTANCE; leaves the pid in lab_pid
  lab_start "$1" "$lab_dir/$2.log" "$LANLOOM" up "$lab_dir/$2.toml"
}
node_of() { # node_of KEEPER: its child with a system call filter
  local pid
  for pid in $(pgrep -P "$1"); do
    if grep -q '^NoNewPrivs:.*1' "/proc/$pid/status" 2>/dev/null; then echo "$pid"; fi
  done
}
established() { lab_on A "$LANLOOM" status alpha --wait 10 >/dev/null; }

start B beta
start A alpha
keeper=$lab_pid
lab_wait_for 10 "a session" established

# Both ends stamp by the same clock; a line each is "sent received", in nanoseconds.
lab_start B/ns3 "$lab_dir/arrived" python3 -uc '
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.5.0.31", 7100))
while True:
    print(s.recv(64).decode(), time.time_ns())'
lab_start A/ns1 "$lab_dir/sender.log" python3 -c '
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try:
        s.sendto(str(time.time_ns()).encode(), ("10.5.0.31", 7100))
    except OSError:
        pass
    time.sleep(0.01)'

# first_after NANOSECONDS: how many ms later the first datagram sent since then arrived
first_after() { awk -v since="$1" '$1 >= since { printf "%.0f\n", ($2 - since) / 1e6; found = 1; exit } END { exit !found }' "$lab_dir/arrived"; }
arrives_after() { first_after "$1" >/dev/null; }
flows() { arrives_after "$(($(date +%s%N) - 100000000))"; }

once() { # once WHAT
  local since node
  lab_wait_for 10 "traffic" flows
  established
  node=$(node_of "$keeper")
  case $1 in
    node)
      kill -KILL "$node"
      since=$(date +%s%N)
      ;;
    keeper | both)
      kill -KILL "$keeper"
      if [ "$1" = both ]; then kill -KILL "$node" 2>/dev/null || true; fi
      wait "$keeper" 2>/dev/null || true # bash would say that it was killed
      since=$(date +%s%N)
      start A alpha
      keeper=$lab_pid
      ;;
  esac
  lab_wait_for 10 "traffic after $1 was killed" arrives_after "$since"
  first_after "$since"
  : >"$lab_dir/arrived"
  # A node that dies five times within 10 s is given up: that is not what is measured.
  if [ "$1" = node ]; then sleep 2.5; fi
}

status=0
printf '%-8s %10s %10s %10s   %s\n' killed 'median ms' 'worst ms' 'limit ms' 'within it'
for what in node keeper both; do
  if [ "$what" = node ]; then limit=200; else limit=1000; fi
  for ((round = 0; round < rounds; ++round)); do
    once "$what" >>"$lab_dir/$what.ms"
  done
  read -r median worst good < <(sort -n "$lab_dir/$what.ms" | awk -v limit="$limit" '
    { all[NR] = $1; good += $1 <= limit } END { print all[int((NR + 1) / 2)], all[NR], good + 0 }')
  printf '%-8s %10s %10s %10s   %d of %d\n' "$what" "$median" "$worst" "$limit" "$good" "$rounds"
  if [ $((good * 100)) -lt $((rounds * 99)) ]; then status=1; fi
done
exit $status
