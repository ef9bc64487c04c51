# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# lib.sh - what the namespace tests share beside the picture of packaging/lab.sh; sourced first by each of them.
#
# 1. A test runs as lab.sh says: nothing it does reaches the machine's network, its /run or its processes, any number of
#    tests may run at once, and all of it goes with the first process.
# 2. Hosts are commands: `alpha ip address` runs in that host. So are the containers of conf/two-hosts: n1, n2, n3.
# 3. A test case is a function, run by `case_of NAME [WORD]`, where WORD is its argument and part of its name. It fails at
#    the first command that fails, and says which. What the lines it prints mean is written in tests/run.sh.
# 4. Nothing sleeps for luck: `eventually` waits for a condition. Promises in wall-clock time have ten times that time.
#
# 5. What a test needs beside lanloom and the usual tools stands in `needs`, set before this is sourced: one line of words
#    for each call of `partner` (packaging/partners.sh). A test that does not get it is skipped.
#
# LANLOOM is the program under test. Not `set -e`: a case that fails must not end those after it.
set -u
export LC_ALL=C.UTF-8 PATH=/usr/sbin:/usr/bin:/sbin:/bin
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../../packaging/partners.sh
. "$here/../../packaging/partners.sh"
for need in ${needs[@]+"${needs[@]}"}; do
  # shellcheck disable=SC2086  # words
  partner $need || { echo "skip $(basename "$0" .sh): it needs $need"; exit 0; }
done
# shellcheck source=../../packaging/lab.sh
. "$here/../../packaging/lab.sh"
lab_private "$@"

# over_usr PACKAGE FILE: the product looks for the programs it runs in /usr alone, so a partner that is only unpacked is
# laid over that, in the lab; before lab_up.
over_usr() {
  if [ ! -e "$2" ]; then mount -t overlay -o "ro,lowerdir=$partners/$1/usr:/usr" overlay /usr; fi
}
# Of the programs that can have these names, an installation chooses one.
iptables_over_usr() {
  local name tools=$partners/iptables/usr/sbin
  if [ -e /usr/sbin/iptables ]; then return; fi
  for name in iptables ip6tables; do ln -sf "$name-nft" "$tools/$name"; done
  over_usr iptables /usr/sbin/iptables
}

D=$lab_dir  # configurations, keys, logs, captures

# ---- cases -----------------------------------------------------------------------------------------------------------

failures=0

case_of() {
  local case_name=$1${2:+_$2} case_function=$1 status # a case may have a `name` of its own
  : >"$D/why"
  (
    set -eE
    case_process=$BASHPID # what fails in the background is no reason
    trap '[ "$BASHPID" -ne "$case_process" ] || because "$(line_of "$case_function")"' ERR
    "$@"
  ) 2>"$D/stderr"
  status=$?
  if [ "$status" -eq 0 ]; then
    rm "$D/why"
    echo "ok $case_name"
    return
  fi
  because "status $status"
  echo "not ok $case_name: $(cat "$D/why") $(tail -n 1 "$D/stderr" | head -c 300)"
  last_words
  failures=$((failures + 1))
  rm "$D/why"
}
last_words() { tail -n 5 "$D/stderr" "$D/alpha.log" "$D/beta.log" 2>/dev/null | sed 's/^/    /'; }

# Only the first reason counts; those after it are its consequences.
because() {
  if [ ! -s "$D/why" ]; then printf '%s\n' "$*" | tr '\n' ' ' >"$D/why"; fi
}

# The line of the case's function that is being run, however deep below.
line_of() {
  local i
  for i in "${!FUNCNAME[@]}"; do
    if [ "${FUNCNAME[i]}" = "$1" ]; then sed -n "${BASH_LINENO[i - 1]}s/^ *//p" "$0"; fi
  done
}

fail() {
  because "$*"
  exit 1
}

note() { printf '    %s\n' "$*"; }

the_end() {
  local status=$?
  trap - EXIT
  # What comes before the first case ends the test, by `must` or a condition below it.
  if [ "$status" -ne 0 ] && [ -s "$D/why" ]; then
    echo "not ok setting_up: $(cat "$D/why")"
    last_words
  fi
  lab_down
  if [ "$status" -eq 0 ] && [ "$failures" -gt 0 ]; then status=1; fi
  exit "$status"
}
trap the_end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# must COMMAND...: for what comes before the first case.
must() { "$@" || fail "$*"; }

# ---- conditions ------------------------------------------------------------------------------------------------------

now_in_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

eventually() { # eventually SECONDS COMMAND...
  local seconds=$1 deadline
  shift
  deadline=$(($(now_in_ms) + seconds * 1000))
  until "$@" >/dev/null 2>&1; do
    if [ "$(now_in_ms)" -ge "$deadline" ]; then fail "not within $seconds s: $*"; fi
    sleep 0.02
  done
}

not() { ! "$@"; }

same() { # same WHAT EXPECTED ACTUAL
  if [ "$2" != "$3" ]; then fail "$1: expected '$2', got '$3'"; fi
}

# ---- hosts and containers --------------------------------------------------------------------------------------------

outside() { lab_on outside "$@"; }
alpha() { lab_on A "$@"; }
beta() { lab_on B "$@"; }
mallory() { lab_on M "$@"; }
n1() { lab_on A/ns1 "$@"; }
n2() { lab_on A/ns2 "$@"; }
n3() { lab_on B/ns3 "$@"; }

# A narrow place beyond the hosts' own interfaces, and no ICMP to tell of it: `outside` swallows what is longer, of IPv4
# and IPv6. So that it sees single packets, the hosts' kernels have to cut what they send: gso_max_segs 1 of u0.
narrow() { # narrow SIZE|no
  local table="table ip6 none {}"
  if [ "$1" != no ]; then
    table="table netdev narrow {
      chain a { type filter hook ingress device toA priority 0; udp dport 4780 meta length > $1 drop; }
      chain b { type filter hook ingress device toB priority 0; udp dport 4780 meta length > $1 drop; }
    }"
  fi
  printf 'table netdev narrow {}\ndelete table netdev narrow\n%s\n' "$table" | outside nft -f -
}

# The file that is the network namespace of one of these commands, as seen from here.
place_of() {
  case $1 in
    outside) echo /run/netns/outside ;;
    alpha) echo /run/netns/A ;;
    beta) echo /run/netns/B ;;
    mallory) echo /run/netns/M ;;
    n1) echo "/proc/${lab_hosts[A]}/root/run/netns/ns1" ;;
    n2) echo "/proc/${lab_hosts[A]}/root/run/netns/ns2" ;;
    n3) echo "/proc/${lab_hosts[B]}/root/run/netns/ns3" ;;
  esac
}

frames() { between_places frames.py "$@"; } # frames CASE COMMAND:INTERFACE...: see frames.py
supers() { between_places supers.py "$@"; } # supers CASE COMMAND:INTERFACE...: see supers.py

between_places() {
  local program=$1 words=() word
  shift
  for word in "$@"; do
    case $word in
      *::*) words+=("$word") ;; # an address
      *:*) words+=("$(place_of "${word%%:*}"):${word#*:}") ;;
      *) words+=("$word") ;;
    esac
  done
  python3 "$here/$program" "${words[@]}"
}

# The two hosts with the files of conf/two-hosts and fresh keys, and 203.0.113.7 in the world outside.
two_hosts() {
  must lab_up
  must outside ip address add 203.0.113.7/32 dev lo
  must lab_configure "$D"
}

edit() { sed -i "$2" "$D/$1.toml"; } # edit INSTANCE SED-COMMAND
in_section() { edit "$1" "/^\[$2\]/a $3"; } # in_section INSTANCE SECTION LINE: it goes below that heading

as_found() { # as_found COMMAND FILE: the host is as `lab_state` wrote it to FILE before
  lab_state "$(host_of "$1")" >"$D/now.state"
  diff "$2" "$D/now.state" >&2 || fail "$1 is not as it was found: $(diff "$2" "$D/now.state" | sed -n 2p)"
}

has_its_addresses() { [ -z "$("$1" ip -6 address show tentative)" ]; } # none is still being looked for as a duplicate

host_of() {
  case $1 in
    alpha) echo A ;;
    beta) echo B ;;
  esac
}

# ---- lanloom ---------------------------------------------------------------------------------------------------------

times_ready() { grep -c ': ready in' "$D/$1.log" 2>/dev/null || true; }
is_ready() { [ "$(times_ready "$1")" -gt "$2" ]; }

under=() # a command that runs the keeper in its own place: setpriv and the like
start() { # start INSTANCE [OPTION...]: without waiting for it
  touch "$D/$1.log"
  lab_start "$(host_of "$1")" "$D/$1.out" sh -c 'exec "$@" >>"$0" 2>&1' \
    "$D/$1.log" "${under[@]}" "$LANLOOM" up "${@:2}" "$D/$1.toml"
  echo "$lab_pid" >"$D/$1.pid"
}

up() { # up [--keep] INSTANCE...: each in the host of its name
  local name before options=()
  if [ "$1" = --keep ]; then options=("$1") && shift; fi
  for name in "$@"; do
    before=$(times_ready "$name")
    start "$name" "${options[@]}"
    eventually 20 is_ready "$name" "${before:-0}"
  done
}

keeper_of() { cat "$D/$1.pid"; }
# The child without rights: the keeper has others for a moment, nft and the like.
node_of() {
  local pid
  for pid in $(pgrep -P "$(keeper_of "$1")"); do
    if grep -q '^NoNewPrivs:.*1' "/proc/$pid/status" 2>/dev/null; then echo "$pid"; fi
  done
}

ends() { # ends PID...: within the time a stop may take, tenfold
  local pid
  for pid in "$@"; do eventually 30 lab_ended "$pid"; done
}

stop() { # stop INSTANCE...: by SIGTERM
  local name
  for name in "$@"; do kill -TERM "$(keeper_of "$name")"; done
  for name in "$@"; do ends "$(keeper_of "$name")"; done
}

established() { # established INSTANCE...: within 10 s
  local name
  for name in "$@"; do
    "$name" "$LANLOOM" status "$name" --wait 10 >"$D/status.log" || fail "$name: $(tr '\n' ' ' <"$D/status.log")"
  done
}

# status_of INSTANCE EXPRESSION: of the status object s, in Python.
status_of() {
  "$1" "$LANLOOM" status "$1" --json | python3 -c "import json, sys; s = json.load(sys.stdin); print($2)"
}
drops_of() { status_of "$1" "sum(s['drops'][reason] for reason in '''$2'''.split())"; } # drops_of INSTANCE 'REASON...'

# ---- talking ---------------------------------------------------------------------------------------------------------

# answer COMMAND PORT: a TCP server there that answers every caller with the caller's address.
answer() {
  "$1" python3 "$here/answer.py" "$2" 2>>"$D/answer.log" &
  eventually 10 listens "$1" "$2"
}
listens() { [ -n "$("$1" ss -Hltn "sport = :$2")" ]; }
call() { "$1" timeout 5 bash -c "exec 3<>/dev/tcp/$2/$3 && cat <&3"; } # call COMMAND ADDRESS PORT

# pings COMMAND ADDRESS [OPTION...]: three echoes, each of which arrives. One by one: of several, ping waits for the last
# only twice as long as those before it took, which is short on a busy machine.
pings() {
  for _ in 1 2 3; do
    "$1" ping -q -n -c 1 -W 5 "${@:3}" "$2" >"$D/ping.log" 2>&1 || fail "$1 does not reach $2: $(tail -n 2 "$D/ping.log")"
  done
}
many_pings() { "$1" ping -q -n -c 300 -i 0.002 "$2" >"$D/ping.log"; } # many_pings COMMAND ADDRESS
reaches() { "$1" ping -q -n -c 1 -W 0.25 "${@:3}" "$2"; } # reaches COMMAND ADDRESS [OPTION...]: one echo, soon

# capture NAME COMMAND INTERFACE [TCPDUMP ARGUMENT...]: until `end_capture NAME`, into $D/NAME.pcap. The first 2 KiB of
# each packet: the slots of the kernel's buffer are as long as that.
capture() {
  local name=$1
  rm -f "$D/$name.tcpdump"
  "$2" tcpdump -n -U -Z root -s 2048 -B 32768 --immediate-mode -i "$3" -w "$D/$name.pcap" "${@:4}" 2>"$D/$name.tcpdump" &
  eventually 10 grep -q 'listening on' "$D/$name.tcpdump"
  pgrep -f -- "-w $D/$name.pcap" >"$D/$name.tcpdump.pid"
  behind "$name" >"$D/$name.behind" # what came before the filter was set never gets through
}

# behind NAME: how many packets the kernel has given it that it has not written.
behind() {
  local reports
  reports=$(grep -c captured "$D/$1.tcpdump" || true)
  kill -USR1 "$(cat "$D/$1.tcpdump.pid")"
  eventually 10 has_reported "$1" "$reports"
  awk 'END { if ($10 != 0) exit 1; print $5 - $2 }' "$D/$1.tcpdump"
}
has_reported() { [ "$(grep -c 'dropped by kernel' "$D/$1.tcpdump")" -gt "$2" ]; }
caught_up() { [ "$(behind "$1")" -le "$(cat "$D/$1.behind")" ]; }

end_capture() {
  eventually 10 caught_up "$1"
  kill -INT "$(cat "$D/$1.tcpdump.pid")"
  ends "$(cat "$D/$1.tcpdump.pid")"
}
counts() { tcpdump -n -r "$D/$1.pcap" "${@:2}" 2>/dev/null | wc -l; } # counts NAME [FILTER...]: packets of a capture
