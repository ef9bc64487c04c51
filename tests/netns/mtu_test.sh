#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# mtu_test.sh - the LAN keeps its MTU whatever the path carries, which is found out: what is too large crosses in
# fragments.
#
#      ns1 10.5.0.11 (mtu 9000)                          ns3 10.5.0.31 (mtu 9000)
#           |                                                 |
#        br-lan + TAP, alpha, mtu 9000                     br-lan + TAP, beta, mtu 9000
#           | u0, mtu 1500, then 1280                         | u0
#           +-------------- bridge `underlay` of outside -----+
. "$(dirname "$0")/lib.sh"

two_hosts
for name in alpha beta; do printf '[tap]\nmtu = 9000\n' >>"$D/$name.toml"; done
must up alpha beta
must established alpha beta

# pings_of FROM TO IP-PACKET-SIZE: whole, not cut by the containers' own IP.
pings_of() { pings "$1" "$2" -M "do" -s $(($3 - 28)); }

everything_on_the_lan_has_its_mtu() {
  local link
  for link in 'alpha ip link show br-lan' 'alpha ip link show ll-alpha' 'alpha ip link show veth10' \
    'n1 ip link show veth11' 'n3 ip link show veth31' 'beta ip link show br-lan'; do
    $link | grep -q 'mtu 9000' || fail "$link: $($link | head -n 1)"
  done
  alpha ip link show u0 | grep -q 'mtu 1500'
}
case_of everything_on_the_lan_has_its_mtu

sizes_up_to_9000_cross_a_path_of_1500() {
  local size
  # 1422 is the largest packet that fits one datagram; 2844, 4266, ... are the edges of more.
  for size in 100 1421 1422 1423 1500 2843 2844 2845 4266 4267 8999 9000; do
    pings_of n1 10.5.0.31 $size
    pings_of n3 10.5.0.11 $size
  done
}
case_of sizes_up_to_9000_cross_a_path_of_1500

every_datagram_fits_the_path() {
  alpha ip link set u0 gso_max_segs 1 # the kernel cuts what is sent before the capture sees it
  beta ip link set u0 gso_max_segs 1
  capture path outside underlay udp port 4780
  pings_of n1 10.5.0.31 9000
  end_capture path
  alpha ip link set u0 gso_max_segs 65535
  beta ip link set u0 gso_max_segs 65535
  if [ "$(counts path)" -lt 42 ]; then fail "only $(counts path) datagrams for six packets of 9000 bytes"; fi
  same "datagrams over 1500 bytes" 0 "$(counts path 'ip[2:2] > 1500')"
  same "datagrams cut by IP" 0 "$(counts path 'ip[6:2] & 0x3fff != 0')"
}
case_of every_datagram_fits_the_path

tcp_with_large_segments_crosses() {
  n3 timeout 20 iperf3 -s -1 >"$D/iperf.log" 2>&1 &
  eventually 10 listens n3 5201
  n1 timeout 15 iperf3 -C cubic -c 10.5.0.31 -n 20M -J >"$D/iperf.json"
  python3 "$here/iperf.py" "$D/iperf.json" >/dev/null
}
case_of tcp_with_large_segments_crosses

ipv6_packets_of_9000_cross() {
  n1 ip addr add fd00:5::11/64 dev veth11 nodad
  n3 ip addr add fd00:5::31/64 dev veth31 nodad
  pings n1 fd00:5::31 -M "do" -s 8952
  pings n3 fd00:5::11 -M "do" -s 8952
}
case_of ipv6_packets_of_9000_cross

streams_cross_unaltered() { supers stream n1:veth11 n3:veth31 10.5.0.31; }
case_of streams_cross_unaltered

# The path becomes narrower while the hosts run; on every interface of it, as a router in between would.
sizes_up_to_9000_cross_a_path_of_1280() {
  outside ip link set toA mtu 1280
  outside ip link set toB mtu 1280
  alpha ip link set u0 mtu 1280
  beta ip link set u0 mtu 1280
  # A frame that the path refused is lost, and the path known from then on.
  eventually 10 reaches n1 10.5.0.31 -M "do" -s 1250
  eventually 10 reaches n3 10.5.0.11 -M "do" -s 1250
  local size
  for size in 100 1201 1202 1203 1500 9000; do
    pings_of n1 10.5.0.31 $size
    pings_of n3 10.5.0.11 $size
  done
  streams_cross_unaltered
  same "path MTU, says alpha" 1280 "$(status_of alpha "s['peers'][0]['path_mtu']")"
}
case_of sizes_up_to_9000_cross_a_path_of_1280

an_underlay_of_1280_from_the_start() {
  stop alpha beta
  for name in alpha beta; do edit $name 's/^mtu = 9000/mtu = 1500/'; done
  up alpha beta
  established alpha beta
  # A frame that the path refused is lost, and the path known from then on.
  eventually 10 reaches n1 10.5.0.31 -M "do" -s 1250
  eventually 10 reaches n3 10.5.0.11 -M "do" -s 1250
  local size
  for size in 100 1201 1202 1203 1499 1500; do
    pings_of n1 10.5.0.31 $size
    pings_of n3 10.5.0.11 $size
  done
  frames sizes n1:veth11 n3:veth31
  streams_cross_unaltered
  supers trains n1:veth11 n3:veth31
}
case_of an_underlay_of_1280_from_the_start

path_of() { status_of "$1" "s['peers'][0]['path_mtu']"; }
# Large frames are sent meanwhile: without data nothing is measured.
path_becomes() { # path_becomes INSTANCE CONTAINER ADDRESS SIZE
  reaches "$2" "$3" -M "do" -s 1472 || true
  [ "$(path_of "$1")" = "$4" ]
}

a_narrow_place_that_says_nothing_is_found() {
  stop alpha beta
  for link in toA toB; do outside ip link set "$link" mtu 1500; done
  for host in alpha beta; do "$host" ip link set u0 mtu 1500 gso_max_segs 1; done
  narrow 1400
  up alpha beta
  established alpha beta
  # No frame is lost to its size, not even the first.
  pings_of n1 10.5.0.31 1500
  pings_of n3 10.5.0.11 1500
  eventually 60 path_becomes alpha n1 10.5.0.31 1400
  eventually 60 path_becomes beta n3 10.5.0.11 1400
  local size
  for size in 1200 1322 1323 1324 1500; do pings_of n1 10.5.0.31 $size; done
  tcp_with_large_segments_crosses
  same "path MTU, says alpha" 1400 "$(path_of alpha)"
  same "the round trip is known" True "$(status_of alpha "s['peers'][0]['rtt_ms'] > 0")"
  same "refused as too large" 0 "$(drops_of alpha send_too_large)"
}
case_of a_narrow_place_that_says_nothing_is_found

# 1395 bytes over the underlay, in one datagram as long as the path is taken for 1400.
reaches_whole() { reaches n1 10.5.0.31 -M "do" -s 1290; }
a_path_that_narrows_in_silence_is_noticed() {
  reaches_whole >/dev/null
  narrow 1300
  eventually 10 not reaches_whole
  eventually 60 reaches_whole # promised: 5 s and three time-outs
  eventually 60 path_becomes alpha n1 10.5.0.31 1300
  pings_of n1 10.5.0.31 1500
}
case_of a_path_that_narrows_in_silence_is_noticed

a_wide_path_is_used_from_the_next_start_on() {
  stop alpha beta
  narrow no
  up alpha beta
  established alpha beta
  eventually 30 path_becomes alpha n1 10.5.0.31 1500
  pings_of n1 10.5.0.31 1500
}
case_of a_wide_path_is_used_from_the_next_start_on

different_mtus_are_named() {
  stop beta
  edit beta 's/^mtu = 1500/mtu = 1400/'
  up beta
  established alpha beta
  alpha "$LANLOOM" status | grep -q 'its LAN MTU is 1400, ours 1500'
  beta "$LANLOOM" status | grep -q 'its LAN MTU is 1500, ours 1400'
}
case_of different_mtus_are_named
