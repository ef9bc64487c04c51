#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# throughput_test.sh - a load crosses in both directions, and nothing is dropped that only a mistake drops.
# The figures are for the reader; what is claimed about speed is measured in bench/.
#
#      ns1 10.5.0.11 --- alpha ===== underlay ===== beta --- ns3 10.5.0.31
. "$(dirname "$0")/lib.sh"

two_hosts
must up alpha beta
must established alpha beta

the_cipher_is_the_fastest_there_is_and_status_names_what_computes_it() {
  local by=libsodium
  if ldd "$LANLOOM" | grep -q libIPSec_MB && grep -qw avx2 /proc/cpuinfo; then by=ipsec-mb; fi
  if ! grep -qw aes /proc/cpuinfo; then
    same "cipher" "chacha20-poly1305 (libsodium)" "$(status_of alpha "s['peers'][0]['cipher']")"
  else
    same "cipher" "aes-256-gcm ($by)" "$(status_of alpha "s['peers'][0]['cipher']")"
  fi
}
case_of the_cipher_is_the_fastest_there_is_and_status_names_what_computes_it

# load WHAT IPERF3-ARGUMENT...: three seconds between n1 and n3.
load() {
  local figure
  n3 timeout 20 iperf3 -s -1 >"$D/iperf.log" 2>&1 &
  eventually 10 listens n3 5201
  n1 timeout 15 iperf3 -c 10.5.0.31 -t 3 -J "${@:2}" >"$D/iperf.json"
  figure=$(python3 "$here/iperf.py" "$D/iperf.json")
  note "$1: $figure"
}

tcp_from_alpha_to_beta() { load "TCP there" -C cubic; }
case_of tcp_from_alpha_to_beta

# policy NAME: by which the node is scheduled; 0 is SCHED_OTHER, 3 SCHED_BATCH.
policy() { sed 's/.*) //' "/proc/$(node_of "$1")/stat" | cut -d ' ' -f 39; }
is_policy() { test "$(policy "$1")" = "$2"; }

a_node_is_patient_while_bulk_flows_and_no_longer() {
  local loading alpha=no beta=no
  load "TCP there, and the policy" -C cubic &
  loading=$!
  while kill -0 "$loading" 2>/dev/null; do
    if is_policy alpha 3; then alpha=yes; fi
    if is_policy beta 3; then beta=yes; fi
  done
  wait "$loading"
  if [ "$alpha$beta" != yesyes ] && python3 "$here/iperf.py" "$D/iperf.json" | grep -q '^[01]\.'; then
    note "below 2 Gbit/s, which bulk need not be"
    return
  fi
  same "alpha patient, beta patient" "yes yes" "$alpha $beta"
  eventually 20 is_policy alpha 0
  eventually 20 is_policy beta 0
}
case_of a_node_is_patient_while_bulk_flows_and_no_longer

tcp_from_beta_to_alpha() { load "TCP back" -C cubic -R; }
case_of tcp_from_beta_to_alpha

tcp_both_ways_at_once() { load "TCP there, with as much back" -C cubic --bidir -P 2; }
case_of tcp_both_ways_at_once

udp_from_alpha_to_beta() { load "UDP there" -u -b 200M; }
case_of udp_from_alpha_to_beta

nothing_was_dropped_by_mistake() {
  local name reasons='malformed unknown_index expired replayed bad_tag bad_mac1 bad_handshake bad_record
    unknown_control short_frame long_frame bad_source own_source bad_offload tap_refused send_too_large'
  for name in alpha beta; do
    same "drops of $name: $(status_of $name "{k: v for k, v in s['drops'].items() if v}")" 0 "$(drops_of $name "$reasons")"
  done
}
case_of nothing_was_dropped_by_mistake
