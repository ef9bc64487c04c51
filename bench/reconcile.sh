#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# reconcile.sh [ROUNDS] - how long it takes until what others change on a host is put right; 20 rounds, as root.
#
#   bridge    is deleted; until the first datagram that was sent since arrives (see probes.sh)
#   tap       is deleted; likewise
#   unplug    takes the TAP off the bridge; likewise
#   table     flushes the firewall; until our table is there
#   mtu       of the bridge is another; until it is what it was
#
# Promised are 2 s. Prints median, worst and how many kept that. The status is 0 when 99 of 100 did in every row.
set -euo pipefail
# shellcheck source=bench/probes.sh
. "$(dirname "${BASH_SOURCE[0]}")/probes.sh"
hosts_up
probes_up

harm() {
  case $1 in
    bridge) lab_on A ip link del br-lan ;;
    tap) lab_on A ip link del ll-alpha ;;
    unplug) lab_on A ip link set ll-alpha nomaster ;;
    table) lab_on A nft flush ruleset ;;
    mtu) lab_on A ip link set br-lan mtu 1400 ;;
  esac
}
has_table() { lab_on A nft list table inet lanloom-alpha >/dev/null 2>&1; }
has_mtu() { lab_on A ip link show br-lan | grep -q 'mtu 1500 '; }

once() { # once WHAT
  local since
  lab_wait_for 10 "traffic" flows
  lab_on A "$LANLOOM" reload alpha >/dev/null 2>&1 # counts from here: the fourth change within a minute is left alone
  : >"$lab_dir/arrived"
  harm "$1"
  since=$(date +%s%N)
  case $1 in
    table | mtu)
      lab_wait_for 20 "the $1" "has_$1"
      echo $((($(date +%s%N) - since) / 1000000))
      ;;
    *)
      lab_wait_for 20 "traffic after $1" arrives_after "$since"
      first_after "$since"
      ;;
  esac
}

status=0
heading harm
for what in bridge tap unplug table mtu; do
  for ((round = 0; round < rounds; ++round)); do
    once "$what" >>"$lab_dir/$what.ms"
  done
  row "$what" 2000 || status=1
done
exit $status
