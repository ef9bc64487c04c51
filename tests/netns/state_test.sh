#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# state_test.sh - what a host knows after both its processes were killed: whom it answered, and where its peers were.
#
#   alpha, calls beta              beta, is called: its file does not say where alpha is
#     | 192.168.50.6                 | 192.168.50.5
#     +-------- bridge `underlay` of outside --------+ mallory 192.168.50.66
. "$(dirname "$0")/../../packaging/partners.sh"
partner strace strace || true # one case needs it; inside the lab nothing can be had any more
. "$(dirname "$0")/lib.sh"

two_hosts
must lab_host M 192.168.50.66
edit beta '/^endpoint/d'
state=/var/lib/lanloom/beta/state

# remembers PYTHON-CONDITION: of beta's file: `accepted` is the stamp and `address` the end of the address of its peer.
remembers() {
  beta cat "$state" | python3 -c "
import struct, sys
copies = sys.stdin.buffer.read()
copies = [c for c in (copies[:len(copies) // 2], copies[len(copies) // 2:]) if c[:8] == b'lanloom\0']
newest = max(copies, key=lambda c: struct.unpack_from('<Q', c, 16))
assert struct.unpack_from('<II', newest, 8) == (1, 1), 'one peer'
accepted, address = newest[72 + 32:72 + 44], newest[72 + 56:72 + 60]
sys.exit(not ($1))"
}
killed() { # killed INSTANCE: both processes at once
  kill -KILL "$(keeper_of "$1")" "$(node_of "$1")"
  ends "$(keeper_of "$1")"
}
where_beta_sees_alpha() { status_of beta "s['peers'][0]['endpoint'], s['peers'][0]['state']"; }

# replayed: what mallory recorded of alpha's initiations, sent to beta again; prints "SENT ANSWERED".
replayed() {
  mallory python3 -c "
import socket, sys
sys.path.insert(0, '$here')
import attack
initiations = [p for _, p in attack.datagrams('$D/handshakes.pcap', '192.168.50.5') if p[0] == 1]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
answered = 0
for one in initiations:
    s.sendto(one, ('192.168.50.5', 4780))
    try:
        answered += len(s.recv(2000)) > 0
    except TimeoutError:
        pass
print(len(initiations), answered)"
}

the_file_is_for_root_alone_and_the_stamp_is_in_it() {
  capture handshakes outside underlay udp dst port 4780
  up alpha beta
  established alpha beta
  end_capture handshakes
  eventually 10 remembers 'any(accepted) and address == bytes((192, 168, 50, 6))'
  same "directory" "700 root root" "$(beta stat -c '%a %U %G' /var/lib/lanloom/beta)"
  same "file" "600 root root regular file" "$(beta stat -c '%a %U %G %F' $state)"
}
case_of the_file_is_for_root_alone_and_the_stamp_is_in_it

# alpha is not there to call: what beta knows it has from its file.
after_kill_9_of_both_processes_the_peer_is_where_it_was() {
  stop alpha
  killed beta
  up beta
  same "where beta sees alpha" "192.168.50.6:4780 handshaking" "$(where_beta_sees_alpha)"
}
case_of after_kill_9_of_both_processes_the_peer_is_where_it_was

after_kill_9_of_both_processes_a_replay_is_refused() {
  local sent answered
  read -r sent answered <<<"$(replayed)"
  same "answers" 0 "$answered"
  same "refused as replays" "$sent" "$(drops_of beta stale_handshake)"
  if [ "$sent" -eq 0 ]; then fail "nothing was recorded"; fi
}
case_of after_kill_9_of_both_processes_a_replay_is_refused

without_the_file_nothing_is_known() {
  killed beta
  beta rm "$state"
  up beta
  same "where beta sees alpha" "None idle" "$(where_beta_sees_alpha)"
  local sent answered
  read -r sent answered <<<"$(replayed)"
  if [ "$answered" -eq 0 ]; then fail "$sent replays were refused even so: this test sees nothing"; fi
}
case_of without_the_file_nothing_is_known

a_host_that_was_killed_takes_up_where_it_was() {
  up alpha
  established alpha beta
  eventually 10 remembers 'any(accepted) and address == bytes((192, 168, 50, 6))'
  killed beta
  up beta
  # alpha has not noticed yet: that takes it 15 s.
  beta "$LANLOOM" status beta --wait 5 >"$D/status.log"
  pings n3 10.5.0.11
}
case_of a_host_that_was_killed_takes_up_where_it_was

a_directory_that_cannot_be_written_is_a_warning_with_the_cure() {
  stop beta
  beta mount -o remount,ro /var/lib/lanloom
  up beta
  grep -q '\[node\] state: open /var/lib/lanloom/beta/state: Read-only file system; .*Set `state` to' "$D/beta.log"
  established alpha
  pings n3 10.5.0.11
  stop beta
  beta mount -o remount,rw /var/lib/lanloom
}
case_of a_directory_that_cannot_be_written_is_a_warning_with_the_cure

another_directory_by_the_configuration_and_a_damaged_file() {
  in_section beta node 'state = "/var/lib/lanloom/else/where"'
  beta mkdir -p -m 700 /var/lib/lanloom/else/where
  beta sh -c 'umask 077; echo damage >/var/lib/lanloom/else/where/state'
  up beta
  established alpha beta
  same "warnings" 1 "$(grep -c 'the state file is damaged' "$D/beta.log")"
  state=/var/lib/lanloom/else/where/state
  eventually 10 remembers 'any(accepted)'
  stop beta
  up beta
  same "warnings after a restart" 1 "$(grep -c 'the state file is damaged' "$D/beta.log")"
}
case_of another_directory_by_the_configuration_and_a_damaged_file

# Not even where datagrams are there already when the node begins: what they cause is sent at once.
no_stamp_leaves_before_it_is_on_the_disk() {
  local flood first
  stop alpha
  lab_start M /dev/null python3 -c "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    s.sendto(b'\1', ('192.168.50.6', 4780))
    time.sleep(0.0005)"
  flood=$lab_pid
  under=(strace -D -f -qq -e trace=pwrite64,sendto,sendmsg -o "$D/calls")
  up alpha
  under=()
  established alpha
  lab_stop "$flood" || true
  first=$(grep -m1 -o -e pwrite64 -e 'htons(4780)' "$D/calls")
  same "the node's first step" pwrite64 "$first"
  grep -q 'htons(4780)' "$D/calls"
}
if partner strace strace; then
  case_of no_stamp_leaves_before_it_is_on_the_disk
else
  echo "skip no_stamp_leaves_before_it_is_on_the_disk: it needs strace"
fi
