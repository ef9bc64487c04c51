#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# kill_test.sh - the keeper is killed at its system calls that change the host, one after the other, from outside. Every
# time the next command leaves nothing: `down`, or `up`, which takes over what is there, and a clean stop.
#
# In `test` a sample, another one each day of the month; with LANLOOM_LONG=1 every call.
. "$(dirname "$0")/../../packaging/partners.sh"
partner strace strace || exit
. "$(dirname "$0")/lib.sh"

two_hosts
in_section alpha bridge 'uplinks = ["u0"]\nstp = false' # bridged mode: that also the host's own addresses come back
must lab_state A >"$D/alpha.state"

calls=(sendto ioctl mount write rename unlink mkdir unshare setns vfork clone clone3)
stride=$((${LANLOOM_LONG:-0} ? 1 : 5))
begin=$(($(date +%-d) % stride + 1))

ended_or_ready() { lab_ended "$lab_pid" || grep -q ': ready in' "$D/killed.log"; }

# killed_at CALL N: true when the keeper died there, false when it became ready without.
killed_at() {
  : >"$D/killed.log"
  lab_start A "$D/killed.log" strace -qq -o /dev/null -e "trace=$1" -e "inject=$1:signal=SIGKILL:when=$2" \
    "$LANLOOM" up "$D/alpha.toml"
  eventually 30 ended_or_ready
  lab_ended "$lab_pid"
}

no_node() { ! pgrep -f "^$LANLOOM up" >/dev/null; }

clean_by_down() { alpha "$LANLOOM" down alpha 2>"$D/down.log" || fail "down: $(tr '\n' ' ' <"$D/down.log")"; }
clean_by_up() {
  up alpha
  reaches n1 10.5.0.21 >/dev/null || fail "after the start that followed, ns1 does not reach ns2"
  stop alpha
}

survives_at() { # survives_at CALL
  local n=$begin times=0 by
  while killed_at "$1" "$n"; do
    eventually 10 no_node
    by=clean_by_down
    if [ $((times % 2)) -eq 1 ]; then by=clean_by_up; fi
    "$by"
    lab_state A >"$D/now.state"
    diff "$D/alpha.state" "$D/now.state" >&2 ||
      fail "killed at $1 number $n, $by leaves: $(diff "$D/alpha.state" "$D/now.state" | sed -n '2,4p' | tr '\n' ' ')"
    times=$((times + 1))
    n=$((n + stride))
  done
  note "$1: killed $times times"
  lab_stop "$lab_pid" || true
  clean_by_down
}

for call in "${calls[@]}"; do
  eval "whatever_is_left_at_${call}_goes() { survives_at $call; }"
  case_of "whatever_is_left_at_${call}_goes"
done
