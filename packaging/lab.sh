# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# lab.sh - the two-host picture on one machine: each host is a network namespace with a /run/netns, a /run/lanloom and a
# /var/lib/lanloom of its own, all on one underlay. Sourced by packaging/demo.sh and by tests/netns/*_test.sh, bash only, root only:
#
#   . "$(dirname "${BASH_SOURCE[0]}")/../../packaging/lab.sh"
#   lab_private "$@"                         # first of all: the script starts again, inside
#   trap lab_down EXIT; trap 'exit 130' INT; trap 'exit 143' TERM HUP
#   lab_up
#   lab_configure "$lab_dir"
#   lab_start A "$lab_dir/alpha.log" "$LANLOOM" up "$lab_dir/alpha.toml"; alpha=$lab_pid
#   lab_wait_for 5 "alpha is ready" grep -q ': ready in' "$lab_dir/alpha.log"
#   lab_on A "$LANLOOM" status alpha --wait 10
#   lab_on A/ns1 ping -c 1 10.5.0.31
#   lab_stop "$alpha"
#
#   lab_private "$@"              starts the calling script again with processes, mounts and /run of its own. All that
#                                 it leaves is gone when it ends, even by SIGKILL; any number of labs run side by side.
#                                 Inside, the script is process 1 ($$ is no unique number), of what the machine has in
#                                 /run there is nothing, and what is written to /var/lib stays in the lab
#                                 From outside, signal its process group: unshare(1) does not pass SIGTERM on
#   lab_up                        hosts A (192.168.50.6) and B (192.168.50.5), interface u0, default route to `outside`
#                                 (192.168.50.1), whose bridge `underlay` carries it all: its ports are toA and toB
#   lab_host NAME ADDRESS         one host more, after lab_up
#   lab_on WHERE COMMAND...       runs it in a host (A, B, outside) or in a namespace made there (A/ns1, A/ns2, B/ns3).
#                                 Always in the directory /, so give whole paths
#   lab_start WHERE LOG COMMAND.. in the background, out of Ctrl-C's reach, output to LOG; its process id is $lab_pid
#   lab_stop PID [SECONDS]        SIGTERM, after SECONDS (10) SIGKILL; returns the process's own status (137 if killed)
#   lab_wait_for SECONDS WHAT COMMAND...   polls until COMMAND succeeds; else says that WHAT did not happen: 1
#   lab_configure DIRECTORY       conf/two-hosts/*.toml and fresh keys for them; nothing but the keys differs
#   lab_state WHERE|machine       links, addresses, routes, rules, namespaces, firewall, sysctls: one a line, sorted
#                                 for diff. Without counters, timers and handles
#   lab_down                      ends what lab_start began, newest first, and removes the hosts. Idempotent
#
# $LANLOOM is the program (default: build/release/lanloom), $lab_dir a directory that goes with the lab.
# Nothing here touches the machine's own network: every interface is born inside a host.

lab_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
LANLOOM=$(realpath -m "${LANLOOM:-$lab_root/build/release/lanloom}")
lab_dir=/run/lab
lab_pid=0
lab_pids=()
declare -gA lab_hosts=()  # name -> the process that holds its mounts

lab_private() {
  if [ "${LAB_PRIVATE:-}" = yes ]; then
    unset LAB_PRIVATE
    mount -t tmpfs -o mode=755 lab /run
    mkdir "$lab_dir"
    lab_private_state
    return
  fi
  if [ "$(id -u)" -ne 0 ]; then
    echo "${0##*/}: network namespaces need root: run it with sudo" >&2
    exit 4
  fi
  [ -x "$LANLOOM" ] || { echo "${0##*/}: $LANLOOM is not built: run  packaging/quickstart.sh build" >&2; exit 1; }
  LAB_PRIVATE=yes LANLOOM=$LANLOOM exec unshare --mount --propagation private --pid --fork --kill-child --mount-proc \
    -- bash "$0" "$@"
}

# The machine may have no /var/lib/lanloom to mount over, and must not get one. Where /var/lib cannot be overlaid it is
# empty.
lab_private_state() {
  mkdir -p /run/var-lib/upper /run/var-lib/work
  mount -t overlay -o lowerdir=/var/lib,upperdir=/run/var-lib/upper,workdir=/run/var-lib/work overlay /var/lib \
    2>/dev/null || mount -t tmpfs -o mode=755 lab /var/lib
  mkdir -p /var/lib/lanloom
}

# What `ip netns` pins and what lanloom keeps below /run and /var/lib is the host's own; a process that only waits holds
# the mounts. (A bind mount of its ns/mnt would do without a process, but some kernels refuse it at random.)
lab_namespace() {
  local name=$1
  ip netns add "$name" || return
  setsid unshare --mount --propagation private -- sh -c "
    mkdir -p /run/netns /run/lanloom && mount -t tmpfs lab /run/netns && mount -t tmpfs lab /run/lanloom &&
    mount -t tmpfs -o mode=700 lab /var/lib/lanloom &&
    touch '$lab_dir/$name.mounted' && exec sleep infinity" </dev/null >"$lab_dir/$name.log" 2>&1 &
  lab_hosts[$name]=$!
  lab_wait_for 10 "host $name has its own /run" test -e "$lab_dir/$name.mounted" &&
    lab_on "$name" ip link set lo up
}

# lab_no_dad HOST INTERFACE|default: duplicate address detection would still run when the state before is taken.
lab_no_dad() { lab_on "$1" sh -c "f=/proc/sys/net/ipv6/conf/$2/accept_dad; [ ! -e \$f ] || echo 0 >\$f"; }

lab_host() {
  local name=$1 address=$2
  lab_namespace "$name" &&
    ip link add name u0 netns "$name" type veth peer name "to$name" netns outside &&
    lab_no_dad "$name" u0 &&
    lab_on outside ip link set "to$name" master underlay up &&
    lab_on "$name" ip addr add "$address/24" dev u0 &&
    lab_on "$name" ip link set u0 up &&
    lab_on "$name" ip route add default via 192.168.50.1
}

lab_up() {
  [ -d "$lab_dir" ] || { echo "lab_up: lab_private comes first" >&2; return 1; }
  lab_namespace outside &&
    lab_no_dad outside default &&
    lab_on outside ip link add name underlay type bridge mcast_snooping 0 &&
    lab_on outside ip addr add 192.168.50.1/24 dev underlay &&
    lab_on outside ip link set underlay up &&
    lab_host A 192.168.50.6 &&
    lab_host B 192.168.50.5 &&
    lab_wait_for 10 "the underlay carries" lab_on A ping -q -c 1 -W 1 192.168.50.5 &&
    lab_wait_for 10 "the outside answers" lab_on B ping -q -c 1 -W 1 192.168.50.1
}

# Sets the array `enter` to what goes before a command. Not `ip netns exec`: that has mounts of its own, so what the
# command pins would be seen by nobody else.
lab_enter() {
  local host=${1%%/*} inside=${1#*/}
  enter=(nsenter --mount="/proc/${lab_hosts[$host]}/ns/mnt" --net="/run/netns/$host" --)
  if [ "$inside" != "$host" ]; then enter+=(nsenter --net="/run/netns/$inside" --); fi
}

lab_on() {
  local enter
  lab_enter "$1"
  shift
  "${enter[@]}" "$@"
}

lab_start() {
  local log=$2 enter
  lab_enter "$1"
  shift 2
  setsid "${enter[@]}" "$@" </dev/null >"$log" 2>&1 &
  lab_pid=$!
  lab_pids+=("$lab_pid")
}

# Running, not merely unreaped.
lab_runs() {
  local state
  state=$(sed -n 's/^State:\t//p' "/proc/$1/status" 2>/dev/null) && [ -n "$state" ] && [ "${state:0:1}" != Z ]
}

lab_stop() {
  local pid=$1 seconds=${2:-10} at left=() status=0
  kill -TERM "$pid" 2>/dev/null || true
  lab_wait_for "$seconds" "process $pid ends by SIGTERM" lab_ended "$pid" || kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || status=$?
  for at in "${lab_pids[@]}"; do
    if [ "$at" != "$pid" ]; then left+=("$at"); fi
  done
  lab_pids=("${left[@]}")
  return "$status"
}

lab_ended() { ! lab_runs "$1"; }

lab_wait_for() {
  local seconds=$1 what=$2 began=${EPOCHREALTIME/[.,]/}
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ $((${EPOCHREALTIME/[.,]/} - began)) -ge $((seconds * 1000000)) ]; then
      echo "not within $seconds s: $what" >&2
      return 1
    fi
    sleep 0.05
  done
}

lab_configure() {
  local directory=$1 alpha beta
  cp "$lab_root/conf/two-hosts/alpha.toml" "$lab_root/conf/two-hosts/beta.toml" "$directory/" || return
  alpha=$("$LANLOOM" genkey -o "$directory/alpha.key") && beta=$("$LANLOOM" genkey -o "$directory/beta.key") || return
  sed -i -E "s|^(public_key *= ).*|\1\"$beta\"|" "$directory/alpha.toml" &&
    sed -i -E "s|^(public_key *= ).*|\1\"$alpha\"|" "$directory/beta.toml"
}

lab_state() {
  local enter=()
  if [ "$1" != machine ]; then lab_enter "$1"; fi
  "${enter[@]}" bash -c "$(declare -f lab_state_here lab_state_network lab_state_sysctls); lab_state_here"
}

lab_state_here() {
  {
    lab_state_network
    lab_state_sysctls
  } 2>/dev/null | sed 's/ *$//' | LC_ALL=C sort
}

# The network namespace that this runs in.
lab_state_network() {
  local save timers='promiscuity|allmulti|qlen|(min|max)mtu|num[rt]xqueues|g[sr]o_\w+|tso_\w+|state|\w+_timer'
  ip -o -d link | sed -E "s/<([^>]*,)?(UP)?(,[^>]*)?>/\2/; s/ ($timers) +[^ \\]+//g; s/^[0-9]+: /link /"
  ip -o addr | sed -E 's/valid_lft.*//; s/^[0-9]+: /address /'
  ip -o -4 route show table all | sed -E 's/expires [^ ]+//; s/^/route4 /'
  ip -o -6 route show table all | sed -E 's/expires [^ ]+//; s/^/route6 /'
  ip -4 rule | sed 's/^/rule4 /'
  ip -6 rule | sed 's/^/rule6 /'
  ip neigh show nud permanent | sed 's/^/neighbour /'
  ip netns list | sed -E 's/ \(id: [0-9]+\)//; s/^/namespace /'
  nft -s list ruleset | sed 's/^/nft /'
  for save in iptables-save ip6tables-save; do
    if command -v "$save" >/dev/null; then "$save" | sed -E '/^#/d; s/\[[0-9]+:[0-9]+\]//'"; s/^/$save /"; fi
  done
}

# What the kernel itself changes or draws by lot is left out.
lab_state_sysctls() {
  find /proc/sys/net/ipv4 /proc/sys/net/ipv6 -type f -exec grep -H '' {} + |
    grep -vE '/(tcp_available_\w+|tcp_allowed_congestion_control|tcp_fastopen_key|stable_secret):'
}

lab_down() {
  trap '' INT TERM HUP
  local at
  for ((at = ${#lab_pids[@]} - 1; at >= 0; at--)); do
    lab_stop "${lab_pids[at]}" || true
  done
  for at in "${!lab_hosts[@]}"; do
    kill -KILL "${lab_hosts[$at]}" || true
    wait "${lab_hosts[$at]}" 2>/dev/null || true
    ip netns del "$at" || true
  done
  lab_hosts=()
  return 0
}
