#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh - two hosts joined by lanloom, live, in about a minute. packaging/quickstart.sh demo builds and calls it.
#
#   packaging/demo.sh            shows it, checks all that it shows, removes it and proves that nothing is left
#   packaging/demo.sh --shell    sets it up and opens a shell in it; removed when the shell ends
#
# The hosts are network namespaces (lab.sh), the configuration is conf/two-hosts with fresh keys. $LANLOOM is the
# program, build/release/lanloom unless set. The status is 0 only when every check passed.
set -uo pipefail
export LC_ALL=C

# shellcheck source=packaging/lab.sh
. "$(dirname "${BASH_SOURCE[0]}")/lab.sh"

case "$*" in
  "") mode=show ;;
  --shell) mode=shell ;;
  *) echo "usage: packaging/demo.sh [--shell]" >&2 && exit 2 ;;
esac
lab_private "$@"

python=/usr/bin/python3
[ -x "$python" ] || python=python3
alpha=0  # process ids of the two lanlooms, and of the HTTP servers
beta=0
server_outside=0
server_ns1=0
names=(ns1 ns2 ns3 alpha beta)
places=(A/ns1 A/ns2 B/ns3 A B)
addresses=(10.5.0.11 10.5.0.21 10.5.0.31 10.5.0.1 10.5.0.2)

# ---- what is printed -----------------------------------------------------------------------------------------------

bold='' dim='' green='' red='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi
step=0
passed=0
failures=()

heading() {
  step=$((step + 1))
  printf '\n%s== %d. %s%s\n' "$bold" "$step" "$1" "$plain"
}

# The command as a reader would type it on that host.
typed() { printf '\n%s  %s%s\n' "$dim" "$*" "$plain"; }

indent() { sed -u -E 's/^\t/  /; s/^(.*[^ ]) *$/    \1/'; }

ok() {
  passed=$((passed + 1))
  printf '  %sok%s    %s\n' "$green" "$plain" "$1"
}

not_ok() {  # not_ok WHAT [WHY]
  failures+=("$1${2:+: $2}")
  printf '  %sFAIL%s  %s\n' "$red" "$plain" "$1${2:+: $2}"
}

# check WHAT COMMAND...: the command's output is shown only when it fails. Not in a subshell: lab_up and lab_start leave
# variables.
check() {
  local what=$1
  shift
  if "$@" >"$lab_dir/check.out" 2>&1; then ok "$what"; else not_ok "$what" "$(last_words "$lab_dir/check.out")"; fi
}

last_words() { grep -v '^ *$' "$1" | tail -n 3 | paste -sd ';' | sed 's/;/; /g'; }

# expect WHAT WANTED GOT
expect() {
  if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "expected \"$2\", got \"$3\""; fi
}

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# ---- the end, whatever happens -------------------------------------------------------------------------------------

stopped() {
  local status=$?
  trap '' INT TERM HUP
  trap - EXIT
  if [ "${#lab_hosts[@]}" -gt 0 ]; then
    printf '\ndemo: stopped early, removing the hosts\n'
    lab_down
  fi
  exit "$status"
}

give_up() {
  printf '\nWithout this nothing else can be shown. What was logged:\n'
  tail -n 30 "$lab_dir"/*.log 2>/dev/null | indent
  finish
}

# The last line is the result.
finish() {
  prove_machine_unchanged
  if [ "${#failures[@]}" -eq 0 ]; then
    printf '\n%sdemo: all %d checks passed%s\n' "$green$bold" "$passed" "$plain"
    exit 0
  fi
  printf '\n'
  printf '  %s\n' "${failures[@]}"
  printf '%sdemo: %d of %d checks failed%s\n' "$red$bold" "${#failures[@]}" $((${#failures[@]} + passed)) "$plain"
  exit 1
}

# ---- setting it up -------------------------------------------------------------------------------------------------

show_picture() {
  heading "The picture: every host is a network namespace of this machine"
  cat <<'PICTURE'

         ns1          ns2                               ns3
      10.5.0.11    10.5.0.21                         10.5.0.31
          |            |                                 |
      ----+-- br-lan --+----        one LAN,         ----+-- br-lan ----
           10.5.0.1/16    <===== 10.5.0.0/16 =====>       10.5.0.2/16
      host A, "alpha"              by lanloom        host B, "beta"
            192.168.50.6                                  192.168.50.5
                  |                                            |
      ============+========= 192.168.50.0/24 ==================+=======
                                    |
                       outside, 192.168.50.1: no lanloom, no key;
                       the switch between A and B, so it sees all they send
PICTURE
}

make_hosts() {
  printf '\n'
  lab_state machine >"$lab_dir/machine.before"
  check "made A, B and the outside; they reach each other" lab_up
  if [ "${#failures[@]}" -gt 0 ]; then give_up; fi
  local host
  for host in A B outside; do lab_state "$host" >"$lab_dir/$host.before"; done
}

show_configuration() {
  heading "The configuration: conf/two-hosts with fresh keys from lanloom genkey"
  check "lanloom genkey: a key for each, its public half in the other's file" lab_configure "$lab_dir"
  local file
  for file in alpha beta; do
    printf '\n%s  %s.toml%s\n' "$bold" "$file" "$plain"
    sed -E '/^#/d; s/ +#.*//' "$lab_dir/$file.toml" | sed '/./,$!d' | indent
  done
  printf '\n'
  check "lanloom check alpha.toml" lab_on A "$LANLOOM" check "$lab_dir/alpha.toml"
  check "lanloom check beta.toml" lab_on B "$LANLOOM" check "$lab_dir/beta.toml"
  if [ "${#failures[@]}" -gt 0 ]; then give_up; fi
}

ready() { grep -q ': ready in' "$lab_dir/$1.log"; }

start_both() {
  heading "lanloom up, on each host"
  lab_start A "$lab_dir/alpha.log" "$LANLOOM" up "$lab_dir/alpha.toml"
  alpha=$lab_pid
  lab_start B "$lab_dir/beta.log" "$LANLOOM" up "$lab_dir/beta.toml"
  beta=$lab_pid
  check "alpha is ready" lab_wait_for 10 "alpha's ready line" ready alpha
  check "beta is ready" lab_wait_for 10 "beta's ready line" ready beta
  check "lanloom status alpha --wait 10: the peer is established" lab_on A "$LANLOOM" status alpha --wait 10
  check "lanloom status beta --wait 10: the peer is established" lab_on B "$LANLOOM" status beta --wait 10
  typed "what they said"
  indent <"$lab_dir/alpha.log"
  indent <"$lab_dir/beta.log"
  if [ "${#failures[@]}" -gt 0 ]; then give_up; fi
}

# Answers every request with a sentence and the address that the request came from.
write_server() {
  cat >"$lab_dir/server.py" <<'PYTHON'
import http.server, socketserver, sys

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{sys.argv[2]}, you are {self.client_address[0]}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

class Server(socketserver.ThreadingTCPServer):  # HTTPServer would look its own name up
    allow_reuse_address = True
    daemon_threads = True

with Server(("", int(sys.argv[1])), Handler) as server:
    print("listening", flush=True)
    server.serve_forever()
PYTHON
}

start_servers() {
  write_server
  lab_start outside "$lab_dir/server-outside.log" "$python" "$lab_dir/server.py" 8080 "this is outside"
  server_outside=$lab_pid
  lab_start A/ns1 "$lab_dir/server-ns1.log" "$python" "$lab_dir/server.py" 8765 "this is ns1"
  server_ns1=$lab_pid
  check "HTTP servers: outside on 8080, in ns1 on 8765" lab_wait_for 10 "both servers listen" servers_listen
}

servers_listen() { grep -q listening "$lab_dir/server-outside.log" && grep -q listening "$lab_dir/server-ns1.log"; }

# ask WHERE ADDRESS PORT [PATH]
ask() {
  lab_on "$1" "$python" -c '
import http.client, sys
connection = http.client.HTTPConnection(sys.argv[1], int(sys.argv[2]), timeout=5)
connection.request("GET", sys.argv[3])
print(connection.getresponse().read().decode().strip())' "$2" "$3" "${4:-/}" 2>&1 | tail -n 1
}

# ---- what is shown -------------------------------------------------------------------------------------------------

# ping_average WHERE ADDRESS: of five, after one that resolves the address; fails unless all five are answered.
ping_average() {
  local report
  lab_on "$1" ping -q -n -c 1 -W 5 "$2" >/dev/null 2>&1
  report=$(lab_on "$1" ping -q -n -c 5 -i 0.02 -W 2 "$2" 2>&1) || return
  grep -q ' 5 received' <<<"$report" || return
  sed -n 's|.*= [^/]*/\([^/]*\)/.*|\1|p' <<<"$report"
}

show_pings() {
  heading "Pings across every pair: round trip in ms, average of 5"
  local from to time lost
  printf '\n    %-18s' 'from \ to'
  printf '%10s' "${names[@]}"
  printf '\n    %-18s' ''
  printf '%10s' "${addresses[@]}"
  printf '\n'
  lost=()
  for from in "${!places[@]}"; do
    printf '    %-18s' "${names[from]}"
    for to in "${!addresses[@]}"; do
      if [ "$from" = "$to" ]; then
        time='-'
      elif ! time=$(ping_average "${places[from]}" "${addresses[to]}"); then
        time=LOST
        lost+=("${names[from]} to ${names[to]}")
      fi
      printf '%10s' "$time"
    done
    printf '\n'
  done
  printf '\n'
  expect "all 20 pairs answer every ping" "" "${lost[*]}"
}

mac_in() { lab_on "$1" ip -o link show dev "$2" | sed -n 's/.*link\/ether \([0-9a-f:]*\).*/\1/p'; }

show_one_lan() {
  heading "One LAN: full-size frames, and neighbours known by their own MAC addresses"
  local seen whole=(ping -n -q -c 3 -i 0.1 -W 2 -M "do" -s 1472)
  check "ping -M do -s 1472, 1500 bytes whole: ns1 to ns3" lab_on A/ns1 "${whole[@]}" 10.5.0.31
  check "ping -M do -s 1472, 1500 bytes whole: ns3 to ns2" lab_on B/ns3 "${whole[@]}" 10.5.0.21
  typed "in ns1: ip neigh"
  lab_on A/ns1 ip neigh | grep '^10\.' | indent
  seen=$(lab_on A/ns1 ip neigh show 10.5.0.31 | sed -n 's/.*lladdr \([0-9a-f:]*\).*/\1/p')
  printf '\n'
  expect "ns1 on A knows ns3 on B by the MAC address of veth31: $seen" "$(mac_in B/ns3 veth31)" "$seen"
}

show_masquerading() {
  heading "A container reaches the outside through its host's NAT"
  local where name answer
  for where in A/ns1:192.168.50.6 A/ns2:192.168.50.6 B/ns3:192.168.50.5; do
    name=${where%%:*}
    answer=$(ask "$name" 192.168.50.1 8080)
    expect "${name#*/} asks 192.168.50.1:8080, which answers: $answer" "this is outside, you are ${where#*:}" "$answer"
  done
}

show_port_forward() {
  heading "The port forward: 192.168.50.6:8765 leads to ns1"
  local where answer
  for where in "outside:from the outside" "A:from host A itself" "B:from host B" "A/ns2:from ns2 on the same bridge"; do
    answer=$(ask "${where%%:*}" 192.168.50.6 8765)
    expect "${where#*:}: $answer" "this is ns1" "${answer%%,*}"
  done
}

show_throughput() {
  heading "iperf3 across the tunnel, ns1 on A to ns3 on B, 8 seconds"
  local line figure log=$lab_dir/iperf3.log
  printf '    both hosts and both ends share the %s processors of this machine\n\n' "$(nproc)"
  lab_start B/ns3 "$lab_dir/iperf3-server.log" iperf3 -s -1 --forceflush
  local server=$lab_pid
  if ! lab_wait_for 5 "iperf3 listens" grep -q 'Server listening' "$lab_dir/iperf3-server.log"; then
    not_ok "iperf3 in ns3 listens"
    return
  fi
  lab_on A/ns1 iperf3 -c 10.5.0.31 -C cubic -t 8 -f m --forceflush 2>&1 | tee "$log" | while read -r line; do
    if [[ $line != *sender && $line != *receiver && $line =~ -([0-9.]+)\ +sec\ .*\ ([0-9.]+)\ Mbits/sec ]]; then
      printf '    %5s s  %8s Mbit/s  %s\n' "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}" "$(bar "${BASH_REMATCH[2]%.*}")"
    fi
  done
  figure=$(sed -n 's|.* \([0-9.]*\) Mbits/sec.*receiver$|\1|p' "$log")
  printf '\n'
  if [ "${figure%.*}" -gt 0 ] 2>/dev/null; then
    ok "$figure Mbit/s arrived at ns3, $(sed -n 's|.*Mbits/sec *\([0-9]*\) *sender$|\1|p' "$log") segments sent again"
  else
    not_ok "iperf3" "$(last_words "$log")"
  fi
  lab_stop "$server" >/dev/null 2>&1
}

# One mark for every 250 Mbit/s.
bar() { printf '%*s' $(($1 / 250)) '' | tr ' ' '#'; }

packets() { tcpdump -n -r "$1" "$2" 2>/dev/null | wc -l; }

# start_capture WHERE INTERFACE FILE
start_capture() {
  lab_start "$1" "$3.log" tcpdump -Z root -i "$2" -n -s 0 -U --immediate-mode -w "$3"
  lab_wait_for 10 "tcpdump listens on $2" grep -q 'listening on' "$3.log"
}

show_encryption() {
  heading "What the underlay shows: a known text goes from ns3 to ns1 while both sides are captured"
  local text captures bridge=$lab_dir/A.pcap underlay=$lab_dir/underlay.pcap pair='host 192.168.50.6 and 192.168.50.5'
  text="in-plain-sight-$(od -An -N 8 -t x1 /dev/urandom | tr -d ' ')"
  check "tcpdump on A's bridge" start_capture A br-lan "$bridge"
  check "tcpdump outside, on the wire between A and B" start_capture outside toA "$underlay"
  captures=("${lab_pids[@]: -2}")
  expect "ns3 asks http://10.5.0.11:8765/$text" "this is ns1, you are 10.5.0.31" "$(ask B/ns3 10.5.0.11 8765 "/$text")"
  lab_wait_for 5 "the text on A's bridge" grep -q "$text" "$bridge"
  lab_stop "${captures[1]}" && lab_stop "${captures[0]}"

  typed "on A's bridge: tcpdump -A"
  tcpdump -n -A -r "$bridge" 2>/dev/null | grep -a "GET /$text" | tail -n 1 | sed 's/^.*GET/GET/' | indent
  typed "outside: tcpdump -x, the last of $(packets "$underlay" 'udp port 4780') datagrams between A and B"
  tcpdump -n -x -r "$underlay" 'udp port 4780' 2>/dev/null | tac | sed '/^[^ \t]/q' | tac | head -n 6 | indent
  printf '\n'
  check "the text is readable on A's bridge" grep -q "$text" "$bridge"
  check "lanloom's datagrams are in the capture of the underlay" test "$(packets "$underlay" 'udp port 4780')" -gt 0
  check "and the text is nowhere in it" absent "$text" "$underlay"
  expect "nor is any other IP packet between A and B" 0 "$(packets "$underlay" "$pair and ip and not udp port 4780")"
  expect "nor one that bears an address of the LAN" 0 "$(packets "$underlay" 'net 10.5.0.0/16')"
}

absent() { [ -s "$2" ] && ! grep -q "$1" "$2"; }  # an empty capture proves nothing

show_status() {
  heading "lanloom status and lanloom fdb"
  typed "on A: lanloom status alpha"
  lab_on A "$LANLOOM" status alpha | indent
  typed "on B: lanloom status beta"
  lab_on B "$LANLOOM" status beta | indent
  typed "on A: lanloom fdb alpha"
  lab_on A "$LANLOOM" fdb alpha | tee "$lab_dir/fdb" | indent
  printf '\n'
  check "A's table says that ns3 lives at beta" grep -q "^$(mac_in B/ns3 veth31) .* beta " "$lab_dir/fdb"
}

node_of() { ps -o pid= --ppid "$1" | tr -d ' '; }

has_other_node() {
  local node
  node=$(node_of "$1")
  [ -n "$node" ] && [ "$node" != "$2" ]
}

# The longest time between two answers, in whole ms.
longest_gap() {
  sed -n 's/^\[\([0-9.]*\)\] .*bytes from.*/\1/p' "$1" |
    awk 'NR > 1 && $1 - last > gap { gap = $1 - last } { last = $1 } END { printf "%d\n", gap * 1000 }'
}

answers_since() { [ "$(sed -n 's/^\[\([0-9]*\).*bytes from.*/\1/p' "$1" | tail -n 1)" -gt "$2" ]; }

show_restart() {
  heading "kill -9 of alpha's node, while ns1 pings ns3 every 10 ms"
  local node log=$lab_dir/restart.log pings gap
  node=$(node_of "$alpha")
  lab_start A/ns1 "$log" ping -n -D -i 0.01 10.5.0.31
  pings=$lab_pid
  lab_wait_for 5 "answers before the kill" grep -q 'icmp_seq=50 ' "$log"
  typed "kill -9 $node, child of the keeper $alpha"
  kill -KILL "$node"
  check "the keeper has started another node" lab_wait_for 10 "another node" has_other_node "$alpha" "$node"
  check "ns3 answers again" lab_wait_for 10 "answers after the kill" answers_since "$log" $((EPOCHSECONDS + 1))
  lab_stop "$pings" >/dev/null 2>&1
  gap=$(longest_gap "$log")
  check "longest time without an answer: $gap ms (promised: less than 1 s)" test "$gap" -gt 0 -a "$gap" -lt 1000
  expect "ns1 and ns2 never went away" "ns1 ns2" "$(lab_on A ip netns list | cut -d' ' -f1 | sort | paste -sd ' ')"
}

# ---- taking it down ------------------------------------------------------------------------------------------------

# stop_one NAME PID
stop_one() {
  local began status=0
  began=$(now_ms)
  lab_stop "$2" || status=$?
  expect "$1 ended with status 0 after $(($(now_ms) - began)) ms" 0 "$status"
}

stop_both() {
  heading "SIGTERM to both: everything is undone"
  lab_stop "$server_ns1" >/dev/null 2>&1
  lab_stop "$server_outside" >/dev/null 2>&1
  stop_one alpha "$alpha"
  stop_one beta "$beta"
  typed "all that lanloom said since it was ready"
  sed '0,/: ready in/d' "$lab_dir/alpha.log" | indent
  sed '0,/: ready in/d' "$lab_dir/beta.log" | indent
}

# prove_unchanged WHERE NAME
prove_unchanged() {
  local before=$lab_dir/$1.before after=$lab_dir/$1.after
  lab_state "$1" >"$after"
  if diff "$before" "$after" >"$lab_dir/$1.diff"; then
    ok "$2: nothing is left ($(wc -l <"$after") lines are the same)"
  else
    not_ok "$2 is not as it was found"
    head -n 20 "$lab_dir/$1.diff" | indent
  fi
}

prove_hosts_unchanged() {
  heading "The proof: links, addresses, routes, rules, namespaces, firewall and sysctls, before and after"
  expect "no lanloom process is left" "" "$(ps -e -o pid=,args= | grep -F "$LANLOOM" | grep -vF grep)"
  prove_unchanged A "host A"
  prove_unchanged B "host B"
  prove_unchanged outside "outside"
}

prove_machine_unchanged() {
  lab_down
  expect "the hosts themselves are gone" "" "$(ip netns list)"
  prove_unchanged machine "this machine, untouched throughout"
}

# ---- --shell -------------------------------------------------------------------------------------------------------

write_shell_start() {
  {
    printf '[ ! -r ~/.bashrc ] || . ~/.bashrc\n'
    declare -p lab_dir lab_hosts
    declare -f lab_enter lab_on
    printf 'on() { lab_on "$@"; }\nPATH=%q:$PATH\nPS1="lanloom demo# "\n' "${LANLOOM%/*}"
  } >"$lab_dir/shell"
}

open_shell() {
  heading "A shell, with all of it up. Leave by exit or Ctrl-D; then everything is removed"
  lab_start B/ns3 "$lab_dir/iperf3-server.log" iperf3 -s
  local server=$lab_pid
  write_shell_start
  cat <<COMMANDS

  on WHERE COMMAND   runs in A, A/ns1, A/ns2, B, B/ns3 or outside. It is short for
                     nsenter --mount=/proc/${lab_hosts[A]}/ns/mnt --net=/run/netns/A -- COMMAND

    on A lanloom status alpha --watch          on A ip -c address
    on B lanloom fdb beta                      on A nft list ruleset
    on A/ns1 ping 10.5.0.31                    on outside tcpdump -n -X -i toA udp port 4780
    on A/ns1 iperf3 -C cubic -c 10.5.0.31      on outside bash -c 'exec 3<>/dev/tcp/192.168.50.6/8765;
    on A bash                                    printf "GET / HTTP/1.0\r\n\r\n" >&3; cat <&3'

  Configuration, keys and logs are in $lab_dir. alpha is process $alpha, beta is $beta.

COMMANDS
  bash --rcfile "$lab_dir/shell" -i
  lab_stop "$server" >/dev/null 2>&1
}

# ---- in order ------------------------------------------------------------------------------------------------------

trap stopped EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

show_picture
make_hosts
show_configuration
start_both
start_servers
if [ "$mode" = shell ]; then
  open_shell
else
  show_pings
  show_one_lan
  show_masquerading
  show_port_forward
  show_throughput
  show_encryption
  show_status
  show_restart
fi
stop_both
prove_hosts_unchanged
finish
