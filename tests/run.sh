#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [--long] - runs every test there is and counts named test cases. It builds nothing: packaging/quickstart.sh
# does, and calls this. The last line is `N passed, N failed, N skipped`; the status is 0 only when nothing failed.
#
# What is counted
#   a doctest program    by its own summary; a line `skip NAME: why` on its output moves one case from passed to skipped
#   a script             its lines `ok NAME`, `not ok NAME: why`, `skip NAME: why`
#   a fuzz target        one case for the replay of its corpus, one for its minutes under libFuzzer
#   the host itself      one case: links, addresses, routes, rules, namespaces, firewall and sysctls as found
# A program that crashes, ends with a status its summary does not explain, or says nothing is a failed case of its name.
#
# `lanes` programs run at a time; what they say is printed and counted in the order of the
# list at the end of this file. A test that measures runs alone; with --long one of these is bench/restart.sh with 100
# rounds. A program has 15 minutes, with --long two hours.
#
# Everything but namespace tests, os and app runs as the user who called sudo. Logs are kept in build/test-logs.
# shellcheck disable=SC2030,SC2031  # a unit counts for itself
set -euo pipefail
set -m  # every program is a process group of its own, so that all of it can be ended
export LC_ALL=C.UTF-8 UBSAN_OPTIONS=print_stacktrace=1

cd "$(dirname "${BASH_SOURCE[0]}")/.."
case "$*" in
  "") fuzz_seconds=10 program_seconds=900 long=no ;;
  --long) fuzz_seconds=60 program_seconds=7200 long=yes && export LANLOOM_LONG=1 ;;
  *) echo "usage: tests/run.sh [--long]" >&2 && exit 2 ;;
esac

as_user=()
if [ "$(id -u)" -eq 0 ] && id -u "${SUDO_USER:-root}" >/dev/null 2>&1; then
  user=${SUDO_USER:-root}
  if [ "$user" != root ]; then
    as_user=(setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups env HOME="$(getent passwd "$user" | cut -d: -f6)")
    if ! "${as_user[@]}" test -r "$PWD/tests/run.sh" -a -w "$PWD/build"; then as_user=(); fi
  fi
fi
logs=build/test-logs
"${as_user[@]}" mkdir -p "$logs"
scratch=$(mktemp -d)

# ---- running -------------------------------------------------------------------------------------------------------

job=0
watchdog=0

end_group() {  # end_group PGID SECONDS: asks, waits for traps to clean up, then insists
  kill -TERM -- "-$1" 2>/dev/null || return 0
  for _ in $(seq $(($2 * 10))); do
    kill -0 -- "-$1" 2>/dev/null || return 0
    sleep 0.1
  done
  kill -KILL -- "-$1" 2>/dev/null || true
}

stop() {
  local status=$?
  trap - EXIT
  trap '' INT TERM HUP
  local unit
  for unit in "${units[@]:told}"; do kill -TERM -- "-$unit" 2>/dev/null || true; done
  for unit in "${units[@]:told}"; do end_group "$unit" 15; done
  rm -rf "$scratch"
  if [ "${#as_user[@]}" -gt 0 ]; then chown -R "$user:$(id -g "$user")" "$logs"; fi
  exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# run SECONDS LOG COMMAND...: leaves the exit status in $status and whether time ran out in $late.
run() {
  local seconds=$1 log=$2
  shift 2
  status=0
  late=no
  rm -f "$scratch/late"
  "$@" </dev/null >"$log" 2>&1 &
  job=$!
  (
    sleep "$seconds"
    touch "$scratch/late"
    end_group "$job" 10
  ) </dev/null >/dev/null 2>&1 &
  watchdog=$!
  disown "$watchdog"
  wait "$job" 2>/dev/null || status=$?
  kill -KILL -- "-$watchdog" 2>/dev/null || true
  watchdog=0
  job=0
  if [ -e "$scratch/late" ]; then late=yes; fi
}

# A unit is a call of one of the functions below, in a process of its own beside the others: it counts for itself and
# leaves what it prints and counts to `tell`.
lanes=$(($(nproc) > 1 ? 2 : 1))
units=()  # their process groups, in order
told=0    # how many of them are printed and counted

unit() {  # unit FUNCTION ARGUMENT...
  while [ "$(jobs -rp | wc -l)" -ge "$lanes" ]; do
    wait -n || true
    tell
  done
  local number=${#units[@]}
  (
    set -m
    trap stop_unit EXIT
    trap 'exit 143' INT TERM HUP
    scratch=$scratch/$number
    passed=0 failed=0 skipped=0 failures=()
    mkdir "$scratch"
    "$@"
    printf '%d %d %d\n' "$passed" "$failed" "$skipped" >"$scratch/counts"
    if [ "$failed" -gt 0 ]; then printf '%s\n' "${failures[@]}" >"$scratch/failures"; fi
  ) >"$scratch/$number.out" 2>&1 &
  units+=("$!")
  calls+=("$*")
}

stop_unit() {
  trap - EXIT
  trap '' INT TERM HUP
  if [ "$watchdog" -ne 0 ]; then kill -KILL -- "-$watchdog" 2>/dev/null || true; fi
  if [ "$job" -ne 0 ]; then end_group "$job" 10; fi
}

# Prints and counts the units that have ended, up to the first that has not.
tell() {
  local good bad left
  while [ "$told" -lt "${#units[@]}" ] && ! jobs -rp | grep -qx "${units[told]}"; do
    cat "$scratch/$told.out"
    if read -r good bad left 2>/dev/null <"$scratch/$told/counts"; then
      passed=$((passed + good))
      failed=$((failed + bad))
      skipped=$((skipped + left))
      if [ "$bad" -gt 0 ]; then mapfile -t -O "${#failures[@]}" failures <"$scratch/$told/failures"; fi
    else
      not_ok "${calls[told]}" "ended without a result"
    fi
    rm -rf "${scratch:?}/$told" "$scratch/$told.out"
    told=$((told + 1))
  done
}

# Waits for all units begun.
settle() {
  local unit
  for unit in "${units[@]:told}"; do
    wait "$unit" || true
    tell
  done
}

part() {  # part TITLE: what follows begins after all before it, under a line of its own
  settle
  printf -- '-- %s\n' "$1"
}

# ---- counting ------------------------------------------------------------------------------------------------------

passed=0
failed=0
skipped=0
failures=()
calls=()  # of the units, to name those that leave no counts

ok() {
  passed=$((passed + 1))
  printf 'ok     %s\n' "$1"
}

not_ok() {  # not_ok NAME WHY [LOG]
  failed=$((failed + 1))
  failures+=("$1: $2")
  printf 'NOT OK %s: %s\n' "$1" "$2"
  if [ -n "${3:-}" ]; then tail -n 40 "$3" | sed 's/^/         /'; fi
}

skip() {
  skipped=$((skipped + 1))
  printf 'skip   %s: %s\n' "$1" "$2"
}

how_it_ended() {
  if [ "$late" = yes ]; then
    echo "did not end in time"
  elif [ "$status" -gt 128 ] && [ "$status" -le 192 ]; then
    echo "ended by SIG$(kill -l $((status - 128)))"
  else
    echo "exit status $status"
  fi
}

# doctest NAME PROGRAM [COMMAND BEFORE IT...]
doctest() {
  local name=$1 program=$2 log=$logs/$1.log summary good bad left
  shift 2
  if [ ! -x "$program" ]; then
    not_ok "$name" "$program is not built"
    return
  fi
  run "$program_seconds" "$log" "$@" "$program" --no-colors=1 --duration=0
  summary=$(sed -n 's/^\[doctest\] test cases: *\([0-9]*\) *| *\([0-9]*\) passed *| *\([0-9]*\) failed *| *\([0-9]*\) skipped.*/\2 \3 \4/p' "$log" | tail -n 1)
  if [ -z "$summary" ]; then
    not_ok "$name" "no summary, $(how_it_ended)" "$log"
    return
  fi
  read -r good bad left <<<"$summary"
  local unable
  unable=$(grep -c '^skip [^:]*: .' "$log" || true)
  passed=$((passed + good - unable))
  failed=$((failed + bad))
  skipped=$((skipped + left + unable))
  if [ "$left" -gt 0 ]; then printf 'skip   %s: %d test cases that this build or user leaves out\n' "$name" "$left"; fi
  if [ "$unable" -gt 0 ]; then grep '^skip [^:]*: .' "$log" | sed 's/^skip /skip   /'; fi
  if [ "$bad" -gt 0 ]; then
    failures+=("$name: $bad test cases, $(sed -n 's/^TEST CASE: *//p' "$log" | sort -u | head -n 5 | paste -sd ';')")
    printf 'NOT OK %s: %d of %d test cases\n' "$name" "$bad" "$((good + bad))"
    tail -n 60 "$log" | sed 's/^/         /'
  else
    printf 'ok     %s: %d test cases\n' "$name" "$good"
    if [ "$((good + left))" -eq 0 ]; then not_ok "$name" "has no test case"; fi
    if [ "$status" -ne 0 ]; then not_ok "$name" "all passed, but $(how_it_ended)" "$log"; fi
  fi
}

# script NAME COMMAND...
script() {
  local name=$1 log=$logs/$1.log word rest seen=0 bad=0
  shift
  run "$program_seconds" "$log" "$@"
  while read -r word rest; do
    case $word in
      ok) ok "$name ${rest%%:*}" ;;
      skip) skip "$name ${rest%%:*}" "${rest#*: }" ;;
      not)
        not_ok "$name $(cut -d: -f1 <<<"${rest#ok }")" "${rest#*: }"
        bad=$((bad + 1))
        ;;
    esac
    seen=$((seen + 1))
  done < <(grep -E '^(ok|not ok|skip) ' "$log" || true)
  if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
    not_ok "$name" "$(how_it_ended) after $seen results" "$log"
  elif [ "$seen" -eq 0 ]; then
    not_ok "$name" "reported no test case" "$log"
  elif [ "$bad" -gt 0 ]; then
    tail -n 40 "$log" | sed 's/^/         /'
  fi
}

# single NAME SECONDS COMMAND...: a program that is one test case.
single() {
  local name=$1 seconds=$2 log=$logs/$1.log
  shift 2
  run "$seconds" "$log" "$@"
  if [ "$status" -eq 0 ]; then ok "$name"; else not_ok "$name" "$(how_it_ended)" "$log"; fi
}

# ---- the host before and after -------------------------------------------------------------------------------------

# What lasts, sorted; neither counters nor timers, handles or life times.
host_state() {
  {
    ip -o -d link | sed -E 's/<[^>]*>//; s/ (promiscuity|allmulti|qlen|minmtu|maxmtu|numtxqueues|numrxqueues|gso_max_size|gso_max_segs|tso_max_size|tso_max_segs|gro_max_size|gso_ipv4_max_size|gro_ipv4_max_size|state|topology_change_timer|tcn_timer|hello_timer|gc_timer|message_age_timer|forward_delay_timer|hold_timer) [^ \\]+//g' | sed 's/^[0-9]*: /link /'
    ip -o addr | sed -E 's/valid_lft.*//; s/^[0-9]+: /address /'
    ip -o -4 route show table all | sed -E 's/expires [^ ]+//; s/^/route4 /' | grep -v ' cache '
    ip -o -6 route show table all | sed -E 's/expires [^ ]+//; s/^/route6 /' | grep -v ' cache '
    ip -4 rule | sed 's/^/rule4 /'
    ip -6 rule | sed 's/^/rule6 /'
    ip neigh show nud permanent | sed 's/^/neighbour /'
    ip netns list | sed -E 's/ \(id: [0-9]+\)//; s/^/namespace /'
    if command -v nft >/dev/null; then nft -s list ruleset | sed 's/^/nft /'; fi
    local save
    for save in iptables-save ip6tables-save; do
      if command -v "$save" >/dev/null; then "$save" | sed -E '/^#/d; s/\[[0-9]+:[0-9]+\]//'"; s/^/$save /"; fi
    done
  } 2>/dev/null | sed 's/ *$//' | sort
}

# One "file:value" per line; the second takes only those that were there before, as loading a module may add some.
host_sysctls() {
  find /proc/sys/net/ipv4 /proc/sys/net/ipv6 -type f -exec grep -H '' {} + 2>/dev/null |
    grep -vE '/(tcp_available_[a-z_]*|tcp_allowed_congestion_control|tcp_fastopen_key|stable_secret):' | sort || true
}

host_before() {
  host_state >"$scratch/state.before"
  host_sysctls >"$scratch/sysctls.before"
}

host_after() {
  local attempt
  for attempt in 1 2 3 4 5; do  # the kernel finishes removing a namespace a moment after its last user
    host_state >"$scratch/state.after"
    if cmp -s "$scratch/state.before" "$scratch/state.after"; then break; fi
    sleep "$attempt"
  done
  host_sysctls >"$scratch/sysctls.now"
  cut -d: -f1 "$scratch/sysctls.before" | sort -u >"$scratch/sysctls.known"
  awk -F: 'NR == FNR { known[$1] = 1; next } $1 in known' "$scratch/sysctls.known" "$scratch/sysctls.now" >"$scratch/sysctls.after"
  {
    diff "$scratch/state.before" "$scratch/state.after" || true
    diff "$scratch/sysctls.before" "$scratch/sysctls.after" || true
  } >"$logs/host_unchanged.log"
  if [ -s "$logs/host_unchanged.log" ]; then
    not_ok host_unchanged "the host is not as it was found" "$logs/host_unchanged.log"
  else
    ok host_unchanged
  fi
}

# ---- the tests -----------------------------------------------------------------------------------------------------

# Those of os and app make namespaces and interfaces, so they keep root; the others do without.
unit_tests() {  # unit_tests PRESET SUFFIX MODULE...
  local preset=$1 suffix=$2 module rounds=()
  shift 2
  if [ "$preset" != release ]; then rounds=(env -u LANLOOM_LONG); fi  # the long runs once: elsewhere they take days
  for module in "$@"; do
    case $module in
      os | app) unit doctest "test_$module$suffix" "build/$preset/tests/test_$module" "${rounds[@]}" ;;
      *) unit doctest "test_$module$suffix" "build/$preset/tests/test_$module" "${as_user[@]}" "${rounds[@]}" ;;
    esac
  done
}

corpora() {  # corpora PRESET SUFFIX: short, so all of them are one unit
  local source name
  for source in tests/fuzz/*_fuzz.cpp; do
    name=$(basename "$source" _fuzz.cpp)
    single "corpus_$name$2" 300 "${as_user[@]}" "build/$1/tests/fuzz/corpus_$name" "tests/fuzz/corpus/$name"
  done
}

fuzzer() {  # fuzzer NAME
  local found=build/fuzz/found/$1
  if [ ! -x "build/fuzz/tests/fuzz/fuzz_$1" ]; then
    not_ok "fuzz_$1" "is not built (cmake --build --preset fuzz --target fuzzers)"
    return
  fi
  "${as_user[@]}" mkdir -p "$found"
  single "fuzz_$1" $((fuzz_seconds + 120)) "${as_user[@]}" "build/fuzz/tests/fuzz/fuzz_$1" \
    -max_total_time="$fuzz_seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="$found-" "$found" "tests/fuzz/corpus/$1"
}

export LANLOOM=$PWD/build/release/lanloom
namespace_test() {  # namespace_test NAME
  if [ "$(id -u)" -ne 0 ]; then
    skip "netns_$1" "needs root"
  else
    script "netns_$1" bash "tests/netns/$1_test.sh"
  fi
}

measuring=" throughput "  # namespace tests that must have the machine for themselves

modules=(sim os app core crypto wire base)  # the longest first
host_before
part "unit tests and simulator, release"
unit_tests release "" "${modules[@]}"
part "layering, a build without libipsec-mb, fuzz corpora in release"
unit script without_ipsec_mb "${as_user[@]}" bash tests/without_ipsec_mb_test.sh
unit script layering "${as_user[@]}" bash tests/layering_test.sh
unit corpora release ""
part "network namespaces, release: what measures, alone"
for test in tests/netns/*_test.sh; do
  test=$(basename "$test" _test.sh)
  if [[ $measuring == *" $test "* ]]; then unit namespace_test "$test" && settle; fi
done
if [ "$long" = yes ]; then
  if [ "$(id -u)" -eq 0 ]; then unit single restart_100 1800 bash bench/restart.sh 100; else skip restart_100 "needs root"; fi
fi
part "network namespaces, release"
for test in tests/netns/*_test.sh; do
  test=$(basename "$test" _test.sh)
  if [[ $measuring != *" $test "* ]]; then unit namespace_test "$test"; fi
done
part "unit tests, simulator and fuzz corpora under address and undefined behaviour sanitizers"
unit_tests asan "(asan)" "${modules[@]}"
unit corpora asan "(asan)"
part "fuzzers, $fuzz_seconds s each"
for test in tests/fuzz/*_fuzz.cpp; do unit fuzzer "$(basename "$test" _fuzz.cpp)"; done
if [ "$long" = yes ]; then
  part "unit tests and simulator, clang"
  unit_tests clang "(clang)" "${modules[@]}"
fi
settle
host_after

if [ "${#failures[@]}" -gt 0 ]; then
  printf -- '-- failed\n'
  printf '%s\n' "${failures[@]}"
fi
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
