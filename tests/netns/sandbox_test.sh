#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# sandbox_test.sh - what the node, which reads every hostile byte, holds: read back from /proc, with a session alive.
#
#   this script
#     +-- alpha's keeper, root              +-- beta's keeper, root
#           +-- alpha's node, nobody              +-- beta's node, nobody
. "$(dirname "$0")/../../packaging/partners.sh"
partner strace strace || true # one case needs it; inside the lab nothing can be had any more
. "$(dirname "$0")/lib.sh"

two_hosts
must up alpha beta
must established alpha beta
keeper=$(keeper_of alpha)
node=$(node_of alpha)

field() { sed -n "s/^$2:[[:space:]]*//p" "/proc/$1/status" | tr -s '\t ' ' ' | sed 's/ *$//'; } # field PID NAME
is() { same "$1" "$2" "$(field "$node" "$1")"; }                                                # is FIELD VALUE: of the node

the_keeper_has_one_child_the_node() {
  same "children of the keeper" 1 "$(pgrep -c -P "$keeper")"
  is PPid "$keeper"
  same "threads" "1" "$(sed -n 's/^Threads:\t//p' "/proc/$keeper/status")"
  is Threads 1
}
case_of the_keeper_has_one_child_the_node

the_node_has_no_capability_and_gets_none() {
  local set
  for set in CapInh CapPrm CapEff CapBnd CapAmb; do is $set 0000000000000000; done
  is NoNewPrivs 1
  # The same of the keeper is not so: this test sees what it looks at.
  if grep -q '^CapEff:.*0000000000000000' "/proc/$keeper/status"; then fail "the keeper has no capability"; fi
}
case_of the_node_has_no_capability_and_gets_none

the_node_is_nobody() {
  local user group
  user=$(id -u lanloom 2>/dev/null || echo 65534)
  group=$(id -g lanloom 2>/dev/null || echo 65534)
  is Uid "$user $user $user $user"
  is Gid "$group $group $group $group"
  is Groups ""
}
case_of the_node_is_nobody

the_node_has_a_system_call_filter() {
  is Seccomp 2
  if grep -q '^Seccomp:.*2' "/proc/$keeper/status"; then fail "so has the keeper"; fi
}
case_of the_node_has_a_system_call_filter

# Its memory belongs to root, though the process does not: it cannot be traced, and leaves no core.
the_node_is_not_dumpable() {
  same "owner of /proc/NODE/mem" 0 "$(stat -c %u "/proc/$node/mem")"
  local file_limit='s/^Max core file size *\([0-9a-z]*\) *\([0-9a-z]*\).*/\1 \2/p'
  same "core file size" "0 0" "$(sed -n "$file_limit" "/proc/$node/limits")"
  same "processes" "0 0" "$(sed -n 's/^Max processes *\([0-9a-z]*\) *\([0-9a-z]*\).*/\1 \2/p' "/proc/$node/limits")"
}
case_of the_node_is_not_dumpable

locked() { sed -n 's/^VmLck:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$1/status"; }
keys_never_reach_swap() {
  local process
  for process in "$keeper" "$node"; do
    if grep -q '^Max locked memory *unlimited' "/proc/$process/limits"; then
      [ "$(locked "$process")" -gt 0 ] || fail "$process has no locked memory"
    else # this caller may not raise the limit
      grep -q 'memory cannot be locked' "$D/alpha.log"
      [ "$process" != "$keeper" ] || note "the limit of locked memory cannot be raised here, and the start says so"
    fi
    same "swapped" 0 "$(sed -n 's/^VmSwap:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$process/status")"
  done
  same "core file size of the keeper" "0 0" "$(sed -n 's/^Max core file size *\([0-9a-z]*\) *\([0-9a-z]*\).*/\1 \2/p' "/proc/$keeper/limits")"
  same "owner of /proc/KEEPER/mem" 0 "$(stat -c %u "/proc/$keeper/mem")"
}
case_of keys_never_reach_swap

# descriptors PID: what each is; sockets by what they are bound to.
descriptors() {
  local fd target inode
  for fd in "/proc/$1/fd"/*; do
    target=$(readlink "$fd")
    case $target in
      pipe:*) echo pipe ;;
      socket:*)
        inode=${target//[^0-9]/}
        if alpha grep -qE "^ *[0-9]+: .* $inode " /proc/net/udp /proc/net/udp6; then
          echo udp
        else
          # type 5 is SEQPACKET, 1 STREAM; only a bound one has a path
          alpha awk -v inode="$inode" '$7 == inode { print "unix", $5, $8 }' /proc/net/unix
          alpha awk -v inode="$inode" '$10 == inode { print "netlink", $2 }' /proc/net/netlink
        fi
        ;;
      *) echo "$target" ;;
    esac
  done | sort
}

the_node_holds_what_it_needs_and_nothing_else() {
  descriptors "$node" >"$D/descriptors"
  local needed
  for needed in '/dev/net/tun' 'udp' 'unix 0005 ' 'unix 0001 /run/lanloom/alpha.sock' \
    /var/lib/lanloom/alpha/state; do
    grep -qxF "$needed" "$D/descriptors" || fail "no '$needed': this test does not know what it sees"
  done
  same "other descriptors" "" \
    "$(grep -vxE '/dev/net/tun|udp|unix 0005 |unix 0001 /run/lanloom/alpha.sock|/var/lib/lanloom/alpha/state|anon_inode:\[(eventpoll|timerfd|eventfd)\]' \
      "$D/descriptors" | grep -vxF -e "$(readlink "/proc/$node/fd/0")" -e "$(readlink "/proc/$node/fd/1")" -e "$(readlink "/proc/$node/fd/2")")"
  same "standard input" /dev/null "$(readlink "/proc/$node/fd/0")"
  same "standard output" "$D/alpha.log" "$(readlink "/proc/$node/fd/1")"
  same "standard error" "$D/alpha.log" "$(readlink "/proc/$node/fd/2")"
}
case_of the_node_holds_what_it_needs_and_nothing_else

# What the node has it keeps, for the next node; beside these a lock, rtnetlink (0), netfilter (12) and its loop. What it
# was started with it leaves open, as any program does.
the_keeper_holds_what_it_needs_and_nothing_else() {
  cat >"$D/expected" <<EOF
/dev/net/tun
/dev/null
/run/lanloom/alpha.lock
/var/lib/lanloom/alpha/state
anon_inode:[eventfd]
anon_inode:[eventpoll]
anon_inode:[timerfd]
netlink 0
netlink 12
pipe
udp
unix 0001 /run/lanloom/alpha.sock
unix 0005 
$D/alpha.log
EOF
  descriptors "$keeper" >"$D/descriptors"
  # Of this script, but for what is in the list as well.
  for fd in /proc/$$/fd/*; do readlink "$fd" || true; done | grep -vxFf "$D/expected" >"$D/inherited" || true
  same "descriptors" "" "$(LC_ALL=C sort -u "$D/descriptors" | grep -vxFf "$D/inherited" | diff <(LC_ALL=C sort "$D/expected") - || true)"
}
case_of the_keeper_holds_what_it_needs_and_nothing_else

the_nodes_own_signals_end_nothing() {
  local signal
  for signal in INT TERM HUP; do kill -$signal "$node"; done
  pings n1 10.5.0.31
  same "the node" "$node" "$(node_of alpha)"
}
case_of the_nodes_own_signals_end_nothing

the_control_socket_is_for_root_and_its_group() {
  same "mode and owner" "660 root root" "$(alpha stat -c '%a %U %G' /run/lanloom/alpha.sock)"
  local status=0
  alpha setpriv --reuid=65534 --regid=65534 --clear-groups "$LANLOOM" status alpha 2>"$D/denied.log" || status=$?
  cat "$D/denied.log" >&2
  same "status of nobody's status" 4 "$status"
  grep -q 'permission denied' "$D/denied.log"
}
case_of the_control_socket_is_for_root_and_its_group

# As a host without a user `lanloom`, then as one that has it. The start speaks of what is not as it should be.
warnings() { grep -c 'warn.*the node runs as nobody.*useradd --system .* lanloom' "$D/alpha.log" || true; }
a_node_that_is_nobody_is_warned_of() {
  local before
  grep -v '^lanloom:' /etc/passwd >"$D/passwd"
  alpha mount --bind "$D/passwd" /etc/passwd
  stop alpha
  before=$(warnings)
  up alpha
  same "warnings at the start" $((before + 1)) "$(warnings)"
  same "user" "65534 65534 65534 65534" "$(field "$(node_of alpha)" Uid)"
  alpha "$LANLOOM" doctor "$D/alpha.toml" >"$D/out" || true
  grep -q '^WARN  node-user .*nobody' "$D/out"

  echo 'lanloom:x:64987:64986::/nonexistent:/usr/sbin/nologin' >>"$D/passwd"
  stop alpha
  up alpha
  same "warnings at the start" $((before + 1)) "$(warnings)"
  same "user" "64987 64987 64987 64987" "$(field "$(node_of alpha)" Uid)"
  same "group" "64986 64986 64986 64986" "$(field "$(node_of alpha)" Gid)"
  alpha "$LANLOOM" doctor "$D/alpha.toml" >"$D/out" || true
  grep -q '^PASS  node-user ' "$D/out"
}
case_of a_node_that_is_nobody_is_warned_of
alpha umount /etc/passwd

# ---- conf/examples/lanloom-hardened.conf ------------------------------------------------------------------------------

hardened=$lab_root/conf/examples/lanloom-hardened.conf

score_of() { # score_of FILE...: what systemd-analyze says of these as one unit
  cat "$@" >"$D/lanloom@.service"
  systemd-analyze security --offline=true "$D/lanloom@.service" 2>/dev/null | sed -n 's/.*exposure level .*: \([0-9.]*\) .*/\1/p'
}
the_units_score_what_their_documents_say() {
  same "the general unit" 8.0 "$(score_of "$lab_root/packaging/lanloom@.service")"
  same "with the hardened example" 2.5 "$(score_of "$lab_root/packaging/lanloom@.service" "$hardened")"
}
if command -v systemd-analyze >/dev/null; then
  case_of the_units_score_what_their_documents_say
else
  echo "skip the_units_score_what_their_documents_say: there is no systemd-analyze"
fi

capabilities_of() { # capabilities_of FILE: of its last list, as setpriv wants them
  sed -n 's/^CapabilityBoundingSet=CAP_/CAP_/p' "$1" | tail -n 1 | tr 'A-Z ' 'a-z,' | sed 's/cap_/+/g'
}
# CHOWN, KILL, SETGID, SETUID, SETPCAP, NET_ADMIN, SYS_PTRACE, SYS_ADMIN
the_units_capabilities_are_enough_and_all_there_are() {
  local of
  stop alpha
  under=(setpriv --inh-caps=-all "--bounding-set=-all,$(capabilities_of "$lab_root/packaging/lanloom@.service")")
  up alpha
  established alpha beta
  pings n3 10.5.0.11
  of=$(keeper_of alpha)
  same Uid "0 0 0 0" "$(field "$of" Uid)"
  same Gid "0 0 0 0" "$(field "$of" Gid)"
  for set in CapPrm CapEff CapBnd; do same $set 00000000002811e1 "$(field "$of" $set)"; done
  for set in CapInh CapAmb; do same $set 0000000000000000 "$(field "$of" $set)"; done
  same NoNewPrivs 0 "$(field "$of" NoNewPrivs)"
  same Seccomp 0 "$(field "$of" Seccomp)"
  same Threads 1 "$(field "$of" Threads)"
  under=()
}
case_of the_units_capabilities_are_enough_and_all_there_are

alpha_is_as_the_hardened_example_wants_it() {
  local key
  key=$(sed -n 's/^public_key *= *//p' "$D/alpha.toml")
  cat >"$D/alpha.toml" <<EOF
[node]
name = "alpha"
private_key = "alpha.key"
[bridge]
name = "br-lan"
addresses = ["10.5.0.1/16"]
[control]
group = "root"
[[peer]]
name = "beta"
public_key = $key
endpoint = "192.168.50.5:4780"
EOF
}
restricted=(setpriv --no-new-privs "--bounding-set=-all,$(capabilities_of "$hardened")")
the_hardened_examples_capabilities_are_enough() {
  stop alpha
  alpha_is_as_the_hardened_example_wants_it
  under=("${restricted[@]}")
  up alpha
  established alpha beta
  eventually 20 reaches n3 10.5.0.1
  same "the keeper's capabilities" 00000000000011e0 "$(sed -n 's/^CapEff:\t//p' "/proc/$(keeper_of alpha)/status")"
}
case_of the_hardened_examples_capabilities_are_enough

# Root with these rights, CAP_SYS_PTRACE not among them, may look into any other process that has no more.
is_called() { [ "$(cat "/proc/$1/comm")" = "$2" ]; } # is_called PID NAME
the_keeper_is_not_dumpable() {
  local other denied=0
  "${restricted[@]}" sleep 600 &
  other=$!
  eventually 10 is_called "$other" sleep
  "${restricted[@]}" cat "/proc/$other/environ" >"$D/environ"
  kill "$other"
  [ -s "$D/environ" ] || fail "another process cannot be looked into: this test would not see it"
  "${restricted[@]}" cat "/proc/$(keeper_of alpha)/environ" >"$D/environ" 2>"$D/denied.log" || denied=$?
  same "status of cat" 1 "$denied"
  grep -q 'Permission denied' "$D/denied.log"
}
case_of the_keeper_is_not_dumpable

# The system calls of both processes from start to end, beside those that the example's filter lets pass.
the_hardened_examples_filter_lets_all_pass() {
  stop alpha
  alpha_is_as_the_hardened_example_wants_it
  under=(strace -D -f -qq -o "$D/calls" "${restricted[@]}")
  up alpha
  established alpha beta
  eventually 20 reaches n3 10.5.0.1
  lab_on A "$LANLOOM" status alpha >/dev/null
  stop alpha
  under=()
  python3 - "$hardened" "$D/calls" <<'CHECK' || fail "$(cat "$D/stderr")"
import pathlib, re, subprocess, sys

def calls_of(word):
    """What one word of SystemCallFilter= stands for: a call, or a set of calls and sets."""
    if not word.startswith("@"):
        return {word}
    text = subprocess.run(["systemd-analyze", "syscall-filter", word], stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = [line.strip() for line in text.splitlines()[1:]]
    return set().union(*(calls_of(line) for line in lines if line and not line.startswith("#")))

allowed = set()
for words in re.findall(r"^SystemCallFilter=(.*)$", pathlib.Path(sys.argv[1]).read_text(), re.M):
    named = set().union(*map(calls_of, words.lstrip("~").split()))
    allowed = allowed - named if words.startswith("~") else allowed | named
made = set(re.findall(r"^(?:[0-9]+ +)?(?:[0-9.:]+ )?(\w+)\(", pathlib.Path(sys.argv[2]).read_text(errors="replace"), re.M))
if len(made) < 50 or made - allowed:
    sys.exit(f"of {len(made)} calls the filter forbids {sorted(made - allowed)}")
CHECK
}
if command -v systemd-analyze >/dev/null && partner strace strace; then
  case_of the_hardened_examples_filter_lets_all_pass
else
  echo "skip the_hardened_examples_filter_lets_all_pass: it needs systemd-analyze and strace"
fi
