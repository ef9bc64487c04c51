#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# restart.sh [ROUNDS] - how long a LAN is interrupted when lanloom is killed (SIGKILL) and comes back; 20 rounds, as root.
#
# Measured is the time until the first datagram arrives (see probes.sh)
#
#   node      that was sent after alpha's node was killed, which its keeper starts again: at most 200 ms
#   keeper    that was sent after `lanloom up` was executed; the node had died with its keeper: at most 1 s
#   both      likewise, keeper and node having been killed one after the other
#
# Prints median, worst and how many kept the limit. The status is 0 when 99 of 100 did in every row.
set -euo pipefail
# shellcheck source=bench/probes.sh
. "$(dirname "${BASH_SOURCE[0]}")/probes.sh"

node_of() { # node_of KEEPER: its child with a system call filter
  local pid
  for pid in $(pgrep -P "$1"); do
    if grep -q '^NoNewPrivs:.*1' "/proc/$pid/status" 2>/dev/null; then echo "$pid"; fi
  done
}
hosts_up
probes_up

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
heading killed
for what in node keeper both; do
  for ((round = 0; round < rounds; ++round)); do
    once "$what" >>"$lab_dir/$what.ms"
  done
  if [ "$what" = node ]; then limit=200; else limit=1000; fi
  row "$what" $limit || status=1
done
exit $status
