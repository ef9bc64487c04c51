#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# reference_test.sh - the daemon agrees with tests/reference, a second implementation written from PROTOCOL.md alone.
#
#      ns1 10.5.0.11, far_end.py --- br-lan --- alpha ===== underlay ===== B, where the reference is up to 400 peers
#
# The reference prints the cases. In each role, in both suites, with and without network secret and preshared key: ARP,
# echo, slices, trains, replays, altered datagrams, bye. Then V2: 10^3 handshakes in each role.
. "$(dirname "$0")/lib.sh"

if ! python3 -c 'import cryptography' 2>/dev/null; then
  echo "skip reference_test: it needs python3-cryptography"
  exit 0
fi
reference=$(cd "$here/../reference" && pwd)
export PYTHONDONTWRITEBYTECODE=1

two_hosts
must eval '"$LANLOOM" genpsk >"$D/lan.secret"' && chmod 600 "$D/lan.secret"
must cp "$D/alpha.toml" "$D/alone.toml"
daemon=$("$LANLOOM" pubkey <"$D/alpha.key")

# daemon_with NETWORK COUNT: alpha, with that many peers that are the reference.
daemon_with() {
  must python3 "$reference/against_daemon.py" configure "$D" "$1" "$2"
  sed '/^\[\[peer\]\]/,$d' "$D/alone.toml" >"$D/alpha.toml"
  if [ "$1" = secret ]; then edit alpha "/^\[node\]/a network_secret = \"$D/lan.secret\""; fi
  cat "$D/peers.toml" >>"$D/alpha.toml"
  must up alpha
  n1 python3 "$reference/far_end.py" 7000 2>>"$D/far_end.log" &
  must eventually 10 listens n1 7000
}

reference() { # reference COMMAND [ARGUMENT...]: prints its cases
  beta python3 "$reference/against_daemon.py" "$1" "$D" "$daemon" "${@:2}" 2>"$D/stderr" || {
    failures=$((failures + 1))
    grep -A 8 Traceback "$D/stderr" && echo "not ok reference_$1: $(tail -n 1 "$D/stderr")"
  }
}

for network in open secret; do
  daemon_with $network 8
  reference talk $network
  stop alpha
done

daemon_with secret 400
reference many responder 1000
reference many initiator 1000
reference wait_for_bye &
must eventually 30 test -e "$D/waiting"
stop alpha
wait $!
