# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154  # what lab.sh sets
#
# probes.sh - how long the LAN of the two hosts of conf/two-hosts is interrupted: a container of alpha sends a datagram to
# one of beta every 10 ms. What the programs that measure it share; sourced first by each of them, in a lab of its own
# from then on (packaging/lab.sh). Their only argument is $rounds, 20 if it is not given.
#
#   hosts_up                both instances run, a session is up; leaves alpha's keeper in $keeper
#   start HOST INSTANCE     leaves the pid in lab_pid
#   probes_up               the datagrams begin
#   first_after NANOSECONDS how many ms later the first of those sent since then arrived
#   arrives_after, flows    conditions for lab_wait_for
#   row WHAT LIMIT          of the figures in $lab_dir/WHAT.ms: median, worst, how many kept the limit; fails when less
#                           than 99 of 100 did

rounds=${1:-20}
[[ $rounds =~ ^[1-9][0-9]*$ ]] && [ $# -le 1 ] || { sed -n '4s/^# //p' "$0" >&2; exit 2; }
# shellcheck source=packaging/lab.sh
. "$(dirname "${BASH_SOURCE[0]}")/../packaging/lab.sh"
lab_private "$@"
trap lab_down EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

start() {
  lab_start "$1" "$lab_dir/$2.log" "$LANLOOM" up "$lab_dir/$2.toml"
}
established() { lab_on A "$LANLOOM" status alpha --wait 10 >/dev/null; }

hosts_up() {
  lab_up
  lab_configure "$lab_dir"
  start B beta
  start A alpha
  keeper=$lab_pid
  lab_wait_for 10 "a session" established
}

# Both ends stamp by the same clock; a line each is "sent received", in nanoseconds.
probes_up() {
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
}

first_after() { awk -v since="$1" '$1 >= since { printf "%.0f\n", ($2 - since) / 1e6; found = 1; exit } END { exit !found }' "$lab_dir/arrived"; }
arrives_after() { first_after "$1" >/dev/null; }
flows() { arrives_after "$(($(date +%s%N) - 100000000))"; }

heading() { printf '%-8s %10s %10s %10s   %s\n' "$1" 'median ms' 'worst ms' 'limit ms' 'within it'; }
row() {
  local median worst good rounds
  read -r median worst good rounds < <(sort -n "$lab_dir/$1.ms" | awk -v limit="$2" '
    { all[NR] = $1; good += $1 <= limit } END { print all[int((NR + 1) / 2)], all[NR], good + 0, NR }')
  printf '%-8s %10s %10s %10s   %d of %d\n' "$1" "$median" "$worst" "$2" "$good" "$rounds"
  [ $((good * 100)) -ge $((rounds * 99)) ]
}
