#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# commands_test.sh - what the commands print, and what they leave alone.
#
#      ns1 10.5.0.11 --- alpha ===== underlay ===== beta --- ns3 10.5.0.31
. "$(dirname "$0")/lib.sh"

two_hosts
is_key() { grep -qxE '[A-Za-z0-9+/]{43}=' "$1" && [ "$(wc -l <"$1")" -eq 1 ]; }
base64_of() { python3 -c "import base64; print(base64.b64encode(bytes.fromhex('$1')).decode())"; }

keys_are_made_by_filters() {
  local command
  for command in genkey genpsk; do
    "$LANLOOM" $command >"$D/first"
    "$LANLOOM" $command >"$D/second"
    is_key "$D/first"
    is_key "$D/second"
    not cmp -s "$D/first" "$D/second"
  done
  "$LANLOOM" genkey >"$D/private"
  "$LANLOOM" pubkey <"$D/private" >"$D/public"
  is_key "$D/public"
  # RFC 7748 6.1
  same "public key" "$(base64_of 8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a)" \
    "$(base64_of 77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a | "$LANLOOM" pubkey)"
  local status=0
  echo nonsense | "$LANLOOM" pubkey 2>"$D/complaint" || status=$?
  same "status of pubkey for nonsense" 1 $status
  grep -q 'not a private key' "$D/complaint"
}
case_of keys_are_made_by_filters

a_key_file_is_private_and_never_overwritten() {
  (umask 0; "$LANLOOM" genkey -o "$D/new.key" >"$D/new.public")
  same "mode" 600 "$(stat -c %a "$D/new.key")"
  is_key "$D/new.key"
  same "public key" "$("$LANLOOM" pubkey <"$D/new.key")" "$(cat "$D/new.public")"
  cp "$D/new.key" "$D/copy"
  local status=0
  "$LANLOOM" genkey -o "$D/new.key" 2>"$D/complaint" >/dev/null || status=$?
  same "status of the second genkey" 1 $status
  grep -q "$D/new.key" "$D/complaint"
  cmp "$D/new.key" "$D/copy"
}
case_of a_key_file_is_private_and_never_overwritten

check_and_dry_run_change_nothing() {
  lab_state A >"$D/alpha.state"
  alpha "$LANLOOM" check "$D/alpha.toml" >"$D/out"
  grep -q 'good' "$D/out"
  alpha "$LANLOOM" up --dry-run "$D/alpha.toml" >"$D/plan"
  grep -q br-lan "$D/plan"
  grep -q ns1 "$D/plan"
  grep -q 10.5.0.11 "$D/plan"
  [ "$(wc -l <"$D/plan")" -ge 10 ]
  as_found alpha "$D/alpha.state"
  same "what is in /run/lanloom" "" "$(alpha ls -A /run/lanloom)"
}
case_of check_and_dry_run_change_nothing

a_group_that_is_not_there_is_named() {
  printf '[control]\ngroup = "nobody-has-this"\n' | cat - "$D/alpha.toml" >"$D/gamma.toml"
  lab_start A "$D/gamma.log" "$LANLOOM" -v up "$D/gamma.toml"
  eventually 20 grep -q ': ready in' "$D/gamma.log"
  grep -q 'warning gamma: \[control\] group = "nobody-has-this": there is no such group' "$D/gamma.log"
  grep -q 'debug gamma: .*br-lan' "$D/gamma.log" # what -v is for
  grep -qE 'debug gamma: the node is process [0-9]+' "$D/gamma.log"
  lab_stop "$lab_pid"
  as_found alpha "$D/alpha.state"
}
case_of a_group_that_is_not_there_is_named

must up alpha beta
must established alpha beta
must pings n1 10.5.0.31

one_line_says_that_it_is_ready() {
  grep -qE '^alpha: ready in [0-9]+ ms: br-lan, 2 namespaces, 1 peer$' "$D/alpha.log"
  grep -qE '^beta: ready in [0-9]+ ms: br-lan, 1 namespace, 1 peer$' "$D/beta.log"
}
case_of one_line_says_that_it_is_ready

status_has_every_key() {
  alpha "$LANLOOM" status --json >"$D/status.json"
  python3 - "$D/status.json" "$("$LANLOOM" pubkey <"$D/alpha.key")" "$("$LANLOOM" pubkey <"$D/beta.key")" <<'END'
import json, re, sys
s = json.load(open(sys.argv[1]))

def keys(of, *names):
    missing = [n for n in names if n not in of]
    assert not missing, f"missing: {missing}"

keys(s, "schema", "instance", "version", "uptime_seconds", "config", "node", "tap", "bridge", "peers", "fdb", "drops")
keys(s["config"], "generation", "error")
keys(s["node"], "name", "public_key", "listen")
keys(s["tap"], "name", "mtu", "rx_frames", "tx_frames", "rx_bytes", "tx_bytes", "offloads")
keys(s["bridge"], "name", "created")
keys(s["peers"][0], "name", "public_key", "state", "endpoint", "cipher", "last_handshake_seconds", "rtt_ms", "path_mtu",
     "rx_bytes", "tx_bytes", "rx_frames", "tx_frames")
keys(s["fdb"], "entries", "capacity")
reasons = re.findall(r"^  ([a-z_0-9]+),", open("include/lanloom/base/drop.hpp").read(), re.M)
assert len(reasons) > 30
keys(s["drops"], *(r for r in reasons if r != "none"))
assert s["schema"] == 1 and s["instance"] == "alpha" and s["node"]["name"] == "alpha", s
assert s["node"]["public_key"] == sys.argv[2] and s["peers"][0]["public_key"] == sys.argv[3]
assert s["peers"][0]["state"] == "established" and s["peers"][0]["endpoint"] == "192.168.50.5:4780", s["peers"]
assert s["tap"]["name"] == "ll-alpha" and s["tap"]["mtu"] == 1500 and s["tap"]["rx_frames"] >= 3, s["tap"]
assert s["bridge"] == {"name": "br-lan", "created": True}
assert 0 <= s["peers"][0]["last_handshake_seconds"] < 60 and s["fdb"]["entries"] >= 2 and s["fdb"]["capacity"] == 65536
END
}
cd "$lab_root" # where the list of reasons is
case_of status_has_every_key
cd /

the_fdb_names_everybody() {
  local mac
  mac=$(n3 ip -j link show veth31 | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["address"])')
  alpha "$LANLOOM" fdb --json | python3 -c "
import json, sys
entries = json.load(sys.stdin)['entries']
assert any(e['mac'] == '$mac' and e['peer'] == 'beta' and e['age_seconds'] >= 0 for e in entries), entries
assert any(e['peer'] is None for e in entries), entries"
  alpha "$LANLOOM" fdb | grep -q "^$mac .* beta "
}
case_of the_fdb_names_everybody

# http METHOD PATH: status and body's first byte of the answer on alpha's control socket.
http() {
  alpha python3 - "$1" "$2" <<'END'
import http.client, socket, sys
c = http.client.HTTPConnection("localhost")
c.sock = socket.socket(socket.AF_UNIX)
c.sock.connect("/run/lanloom/alpha.sock")
c.request(sys.argv[1], sys.argv[2])
answer = c.getresponse()
print(answer.status, answer.read(1).decode())
END
}

the_control_socket_speaks_http_and_changes_nothing() {
  same "GET /v1/status" "200 {" "$(http GET /v1/status)"
  same "GET /v1/fdb" "200 {" "$(http GET /v1/fdb)"
  same "GET /" "404" "$(http GET / | cut -d' ' -f1)"
  local method
  for method in POST PUT DELETE; do same "$method" 405 "$(http $method /v1/status | cut -d' ' -f1)"; done
}
case_of the_control_socket_speaks_http_and_changes_nothing

words_are_instances_or_files() {
  alpha "$LANLOOM" status >"$D/out" # without a word: the only one
  grep -q '^alpha ' "$D/out"
  alpha "$LANLOOM" status alpha >/dev/null
  alpha "$LANLOOM" status "$D/alpha.toml" >/dev/null
  local status=0
  alpha "$LANLOOM" status other 2>"$D/complaint" || status=$?
  same "status of another instance" 5 $status
  status=0
  alpha "$LANLOOM" check other 2>"$D/complaint" || status=$?
  same "check of a missing instance" 3 $status
  grep -q '/etc/lanloom/other.toml' "$D/complaint"
}
case_of words_are_instances_or_files

# Also with the log at its most talkative, over a life with a killed node and a stranger calling.
no_key_is_ever_in_a_log() {
  stop alpha
  edit alpha 's/^\[node\]/[log]\nlevel = "trace"\n&/'
  if ! "$LANLOOM" check "$D/alpha.toml" >/dev/null 2>&1; then edit alpha 's/"trace"/"debug"/'; fi
  up alpha
  established alpha beta
  kill -KILL "$(node_of alpha)"
  established beta
  alpha "$LANLOOM" -v status alpha >"$D/status.log"
  stop alpha beta
  local key
  for key in alpha beta; do
    grep -q . "$D/$key.key"
    if grep -rlF -f "$D/$key.key" "$D"/*.log "$D/plan"; then fail "a private key is in a log"; fi
  done
}
case_of no_key_is_ever_in_a_log
