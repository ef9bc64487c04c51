#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# compare.sh [--quick] [--rounds N] [--cells WORDS] [--candidates WORDS] [--out DIRECTORY] - lanloom beside VXLAN, fastd,
# tinc, OpenVPN and a plain Python tunnel, turn by turn in one network of namespaces. One command, as root:
#
#   sudo bench/compare.sh              five rounds, about 25 minutes
#   sudo bench/compare.sh --quick      one short round of everything, about 3 minutes: for a look, not for a claim
#
# The cells base and idle are for all candidates at inner MTU 1400: one TCP stream, four streams, what the daemons of
# both hosts spent on the stream; and the idle round trip, in turns (idle.py). Every other cell changes one thing, for
# lanloom, fastd and VXLAN (see cells_of_factors below; CELLS in report.py says what each is), mtu-1500 also for
# lanloom without encryption, where -DLANLOOM_BENCH=ON has built that. Writes compare.json, compare.md and the plots
# *.svg to DIRECTORY (build/bench) and prints the table: medians with least and greatest. Absolute figures move with
# the machine and its load; compare inside one run.
#
# The single streams of the cells base and mtu-1500 run 5 s: how wide TCP's congestion window is after its start differs
# from stream to stream, and it takes seconds to grow. The other streams run 1.5 or 3 s (--quick: 1.5 s).
#
# Both hosts and both ends of the load share this machine. What is missing (a partner that can be neither found nor
# downloaded, a configuration this lanloom does not know) is named and left out. Everything lives in namespaces of its
# own and goes with the process; see packaging/lab.sh.
set -euo pipefail
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
usage() { sed -n '4s/^# //p' "${BASH_SOURCE[0]}" >&2; exit 2; }

quick=no rounds='' out=$bench/../build/bench wanted_cells='' wanted_candidates=''
arguments=("$@")
while [ $# -gt 0 ]; do
  case $1 in
    --quick) quick=yes && shift && continue ;;
    --rounds | --cells | --candidates | --out) [ $# -ge 2 ] || usage ;;
    *) usage ;;
  esac
  case $1 in
    --rounds) rounds=$2 ;;
    --cells) wanted_cells=" $2 " ;;
    --candidates) wanted_candidates=" $2 " ;;
    --out) out=$2 ;;
  esac
  shift 2
done
cells_of_factors=(reverse bidirectional udp-64 udp-1200 rtt-500 no-gso mtu-1500 mtu-9000 loss-0.1 loss-1)
if [ "$quick" = yes ]; then
  rounds=${rounds:-1} seconds=1.5 seconds_single=1.5 seconds_four=1.5 load=1.5 turns=2 turns_of_ratio=2
  wanted_cells=${wanted_cells:- base idle reverse bidirectional udp-64 rtt-500 no-gso mtu-1500 mtu-9000 loss-0.1 loss-1 }
else
  rounds=${rounds:-5} seconds=3 seconds_single=5 seconds_four=1.5 load=3 turns=5 turns_of_ratio=14
fi

# shellcheck source=packaging/lab.sh
. "$bench/../packaging/lab.sh"
# shellcheck source=packaging/partners.sh
. "$bench/../packaging/partners.sh"
# shellcheck source=bench/candidates.sh
. "$bench/candidates.sh"
for program in iperf3 ethtool nft ping python3 c++; do
  command -v "$program" >/dev/null || { echo "compare.sh needs $program: packaging/quickstart.sh test  installs it" >&2; exit 1; }
done
if [ "$(id -u)" -eq 0 ]; then
  mkdir -p "$out" "$lab_root/build/bench"
  udp_load=$lab_root/build/bench/udp_load
  if [ ! -x "$udp_load" ] || [ "$bench/udp_load.cpp" -nt "$udp_load" ]; then
    c++ -std=c++20 -O2 -o "$udp_load" "$bench/udp_load.cpp" -pthread
  fi
  if [ "${LAB_PRIVATE:-}" != yes ]; then # in the lab PATH leads there already
    export PATH=$PATH:/usr/sbin:/sbin
    # shellcheck disable=SC2086  # words; who is missing is named when it would be measured
    for words in "fastd fastd" "tinc tincd" "openvpn openvpn"; do partner $words 2>/dev/null || true; done
  fi
fi
lab_private "${arguments[@]}"
out=$(realpath "$out")
# The same program without encryption: only where -DLANLOOM_BENCH=ON built it, never part of the product.
identity_program=$lab_root/build/release/bench/lanloom_identity
trap lab_down EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# ---- what is measured -------------------------------------------------------------------------------------------------

no_offload=(tap_gso tap_uso udp_gso udp_gro)
no_offload=("[offload]" "${no_offload[@]/%/ = \"off\"}")
aes='cipher = "aes-256-gcm"'

declare -A recipe=(
  [lanloom]="lanloom 1400"
  [lanloom-libsodium]="lanloom 1400"
  [lanloom-chacha20]="lanloom 1400"
  [lanloom-no-offload]="lanloom 1400"
  [lanloom-identity]="lanloom 1400"
  [vxlan]="vxlan 1400"
  [fastd-salsa2012]="fastd 1400 salsa2012+umac"
  [fastd-aes128]="fastd 1400 aes128-gcm"
  [tinc]="tinc 1400"
  [openvpn]="openvpn 1400"
  [python]="python 1400"
)
base_candidates=(lanloom lanloom-libsodium lanloom-chacha20 lanloom-no-offload lanloom-identity vxlan fastd-salsa2012
  fastd-aes128 tinc openvpn python)
factor_candidates=(lanloom fastd-salsa2012 vxlan)
for mtu in 1500 9000; do # the cells mtu-1500 and mtu-9000 need tunnels of their own
  recipe[lanloom-$mtu]="lanloom $mtu"
  recipe[fastd-salsa2012-$mtu]="fastd $mtu salsa2012+umac"
  recipe[vxlan-$mtu]="vxlan $mtu"
done
recipe[lanloom-identity-1500]="lanloom 1500"

lines_of() { # lines_of CANDIDATE: of lanloom's configuration, one an array element in `lines`
  case $1 in
    lanloom-libsodium) lines=("$aes" "[offload]" 'accelerator = "off"') ;;
    lanloom-chacha20) lines=('cipher = "chacha20-poly1305"') ;;
    lanloom-no-offload) lines=("${no_offload[@]}") ;;
    *) lines=() ;;
  esac
}

is_wanted() { # is_wanted WORD LIST
  [ -z "$2" ] || [[ $2 == *" $1 "* ]]
}

# ---- the underlay -----------------------------------------------------------------------------------------------------

# underlay whole|cut [LOSS OF 1000]: segmentation offload as a good NIC has it, or none; loss on arrival, of what is cut.
underlay() {
  local host state=on
  if [ "$1" = cut ]; then state=off; fi
  for host in A B; do
    lab_on "$host" ethtool -K w0 tso "$state" gso "$state" tx-udp-segmentation "$state" >/dev/null 2>&1 || true
    lab_on "$host" nft 'table inet bench_loss {}; delete table inet bench_loss'
    if [ "${2:-0}" -gt 0 ]; then
      lab_on "$host" nft "table inet bench_loss {
        chain arrival {
          type filter hook prerouting priority raw
          iifname w0 numgen random mod 1000 < $2 counter drop
        }
      }"
    fi
  done
}

# ---- measuring: each adds lines "round cell candidate quantity figure" to the samples ---------------------------------

samples=$lab_dir/samples
: >"$samples"
line=

sample() { # sample QUANTITY FIGURE
  [ -n "$2" ] || return 0
  printf '%s\t%s\t%s\t%s\t%s\n' "$round" "$cell" "$candidate" "$1" "$2" >>"$samples"
  line+="${line:+ }$1=$2"
}

say() { # say CANDIDATE WHAT
  printf '%3d:%02d  round %s of %s  %-14s %-20s %s\n' $((SECONDS / 60)) $((SECONDS % 60)) "$round" "$rounds" "$cell" "$1" "$2"
}

# cpu_of CANDIDATE: nanoseconds that its processes have run.
cpu_of() {
  local pid
  for pid in $(candidate_pids "$1"); do cat /proc/"$pid"/task/*/schedstat 2>/dev/null || true; done | awk '{ s += $1 } END { printf "%.0f", s }'
}

stream() { # stream QUANTITY SECONDS IPERF3-ARGUMENTS...
  local quantity=$1 seconds=$2 figures server before after
  shift 2
  lab_start "$to" "$lab_dir/iperf.server.log" iperf3 -s -1
  server=$lab_pid
  lab_wait_for 10 "iperf3 listens" lab_on "$to" sh -c 'ss -Hltn | grep -q :5201' || { lab_stop "$server" || true; return 0; }
  before=$(cpu_of "$tunnel")
  timeout 30 "${enter[@]}" iperf3 -C cubic -c "$address" -t "$seconds" -J "$@" >"$lab_dir/iperf.json" 2>/dev/null || true
  after=$(cpu_of "$tunnel")
  lab_stop "$server" 1 2>/dev/null || true
  figures=$(python3 "$bench/report.py" iperf "$lab_dir/iperf.json" $((after - before))) || return 0
  sample "$quantity" "${figures% *}"
  if [ "$quantity" = stream_gbit ]; then sample cpu_s_per_gb "$(cut -d ' ' -f 2 <<<"$figures")"; fi
}

# The cell "idle": turns of all candidates, and behind each several of those between which a ratio is claimed.
idle() {
  local turn answered=0 sent=0
  for ((turn = 0; turn < turns; ++turn)); do
    idle_turns 1 "${base_candidates[@]}"
    idle_turns "$turns_of_ratio" lanloom fastd-salsa2012 fastd-aes128
  done
  say "all" "$answered of $sent bursts answered"
}

idle_turns() { # idle_turns TURNS CANDIDATES...: adds to `answered` and `sent`
  local from to address enter figure
  for candidate in "${@:2}"; do
    [[ $up == *" $candidate "* ]] || continue
    candidate_ends "$candidate"
    lab_enter "$from"
    printf '%s\t%s\t%s\n' "$candidate" "$address" "${enter[*]}"
  done >"$lab_dir/idle"
  python3 "$bench/idle.py" "$1" <"$lab_dir/idle" >"$lab_dir/idle.out"
  while IFS=$'\t' read -r candidate figure; do sample rtt_ms "$figure"; done <"$lab_dir/idle.out"
  answered=$((answered + $(wc -l <"$lab_dir/idle.out"))) sent=$((sent + $1 * $(wc -l <"$lab_dir/idle")))
}

udp() { # udp rate SIZE | udp rtt MBIT
  local server figures=
  lab_start "$to" "$lab_dir/udp_load.log" "$udp_load" serve 9000
  server=$lab_pid
  if lab_wait_for 10 "udp_load listens" lab_on "$to" sh -c 'ss -Hlun | grep -q :9000'; then
    if [ "$1" = rate ]; then
      figures=$(timeout 60 "${enter[@]}" "$udp_load" rate "$address" 9000 "$2" 2>>"$lab_dir/udp_load.log") || true
      sample udp_per_second "$(sed -n 's/.*"per_second": \([0-9.]*\).*/\1/p' <<<"$figures")"
    else
      figures=$(timeout 60 "${enter[@]}" "$udp_load" rtt "$address" 9000 "$2" "$load" 2>>"$lab_dir/udp_load.log") || true
      sample p50_ms "$(sed -n 's/.*"p50_ms": \([0-9.]*\).*/\1/p' <<<"$figures")"
      sample p99_ms "$(sed -n 's/.*"p99_ms": \([0-9.]*\).*/\1/p' <<<"$figures")"
      sample loss "$(sed -n 's/.*"loss": \([0-9.]*\).*/\1/p' <<<"$figures")"
    fi
  fi
  lab_stop "$server" 2>/dev/null || true
}

measure() { # measure TUNNEL: cell and candidate are set
  local from to address enter tunnel=$1
  candidate_ends "$tunnel"
  lab_enter "$from"
  line=
  case $cell in
    base)
      stream stream_gbit "$seconds_single"
      stream streams4_gbit "$seconds_four" -P 4
      ;;
    mtu-1500) stream stream_gbit "$seconds_single" ;;
    reverse) stream stream_gbit "$seconds" -R ;;
    bidirectional) stream both_gbit "$seconds" --bidir ;;
    udp-64) udp rate 64 ;;
    udp-1200) udp rate 1200 ;;
    rtt-500) udp rtt 500 ;;
    *) stream stream_gbit "$seconds" ;;
  esac
  say "$candidate" "${line:-nothing crossed}"
}

# ---- bringing up ------------------------------------------------------------------------------------------------------

up=' '
bring_up() { # bring_up CANDIDATE
  local words lines=()
  if [[ $1 == lanloom-identity* ]] && [ ! -x "$identity_program" ]; then
    echo "without $1: it is built by cmake --preset release -DLANLOOM_BENCH=ON, and cmake --build --preset release" |
      tee -a "$lab_dir/notes"
    return 0
  fi
  read -ra words <<<"${recipe[$1]}"
  lines_of "$1"
  if candidate_up "$1" "${words[@]}" "${lines[@]}" 2>"$lab_dir/up.log"; then
    up+="$1 "
  else
    printf 'without %s: %s\n' "$1" "$(tail -n 1 "$lab_dir/up.log" | sed "s|^$lab_dir/[^ ]*: ||")" | tee -a "$lab_dir/notes"
  fi
}

lab_up
wire_up
echo "bringing up ..."
for candidate in "${base_candidates[@]}"; do
  if is_wanted "$candidate" "$wanted_candidates"; then bring_up "$candidate"; fi
done
for candidate in "${factor_candidates[@]}" lanloom-identity; do
  is_wanted "$candidate" "$wanted_candidates" || continue
  for mtu in 1500 9000; do
    if is_wanted "mtu-$mtu" "$wanted_cells" && [ -n "${recipe[$candidate-$mtu]:-}" ]; then bring_up "$candidate-$mtu"; fi
  done
done

for candidate in "${base_candidates[@]}"; do
  if [[ $up == *" $candidate "* ]] && [ "${candidate%%-*}" = lanloom ] && [ "$candidate" != lanloom-identity ]; then
    cipher=$(lab_on A "$LANLOOM" status "c${number[$candidate]}" --json | python3 -c "import json, sys; print(json.load(sys.stdin)['peers'][0]['cipher'])") || continue
    echo "$candidate: $cipher" | tee -a "$lab_dir/notes"
  fi
done
for ((round = 1; round <= rounds; round++)); do
  for cell in base idle "${cells_of_factors[@]}"; do
    is_wanted "$cell" "$wanted_cells" || continue
    candidates=("${factor_candidates[@]}")
    case $cell in
      base) candidates=("${base_candidates[@]}") ;;
      mtu-1500) candidates+=(lanloom-identity) ;;
    esac
    case $cell in
      no-gso) underlay cut ;;
      loss-0.1) underlay cut 1 ;;
      loss-1) underlay cut 10 ;;
      *) underlay whole ;;
    esac
    if [ "$cell" = idle ]; then
      idle
      continue
    fi
    for candidate in "${candidates[@]}"; do
      tunnel=$candidate
      if [[ $cell == mtu-* ]]; then tunnel=$candidate-${cell#mtu-}; fi
      if [[ $up == *" $tunnel "* ]]; then measure "$tunnel"; fi
    done
  done
done
underlay whole

# ---- the report -------------------------------------------------------------------------------------------------------

touch "$lab_dir/notes"
commit=$(git -C "$lab_root" -c safe.directory="$lab_root" rev-parse --short HEAD 2>/dev/null || echo unknown)
python3 "$bench/report.py" write "$samples" "$out" "$commit" "$quick" "$lab_dir/notes"
python3 -B "$bench/plot.py" "$out/compare.json" "$out"
echo
cat "$out/compare.md"
echo "took $((SECONDS / 60)) min $((SECONDS % 60)) s; figures and plots: $out"
