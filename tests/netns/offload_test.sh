#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# offload_test.sh - packets that the kernels leave unsegmented and unsummed cross as if they had not been, with every
# combination of what may be left to the kernels; and what is left to them, so that it cannot be lost unseen.
#
#      ns1 10.5.0.11 --- alpha ===== underlay ===== beta --- ns3 10.5.0.31
. "$(dirname "$0")/lib.sh"

two_hosts
must up alpha beta
must established alpha beta

super_frames_cross_as_the_kernel_would_have_cut_them() {
  supers trains n1:veth11 n3:veth31 whole
  supers trains n3:veth31 n1:veth11 whole
}
case_of super_frames_cross_as_the_kernel_would_have_cut_them

udp_packets_sent_one_by_one_cross_unaltered() {
  supers singles n1:veth11 n3:veth31
  supers singles n3:veth31 n1:veth11
}
case_of udp_packets_sent_one_by_one_cross_unaltered

a_dhcp_client_that_reads_raw_sockets_gets_sums_it_accepts() {
  supers dhcp n1:veth11 n3:veth31 10.5.0.31
  supers dhcp n3:veth31 n1:veth11 10.5.0.11
}
case_of a_dhcp_client_that_reads_raw_sockets_gets_sums_it_accepts

what_crosses_is_what_was_sent() {
  supers stream n1:veth11 n3:veth31 10.5.0.31
  supers stream n3:veth31 n1:veth11 10.5.0.11
}
case_of what_crosses_is_what_was_sent

# carries INTERFACE: that both ends have, on top of what lanloom made
carries() {
  local place number
  for place in n1 n3; do
    number=${place#n}
    "$place" ip address add "10.99.0.$number/24" dev "$1"
    "$place" ip address add "fd99::$number/64" dev "$1" nodad
    "$place" ip link set "$1" up
  done
  supers stream "n1:$1" "n3:$1" 10.99.0.3
  supers stream "n3:$1" "n1:$1" 10.99.0.1
  supers stream "n1:$1" "n3:$1" fd99::3
  supers stream "n3:$1" "n1:$1" fd99::1
  n1 ip link del "$1"
  n3 ip link del "$1"
}

a_vxlan_inside_the_lan_carries_tcp() {
  n1 ip link add vx0 type vxlan id 7 dstport 4789 local 10.5.0.11 remote 10.5.0.31 dev veth11
  n3 ip link add vx0 type vxlan id 7 dstport 4789 local 10.5.0.31 remote 10.5.0.11 dev veth31
  carries vx0
}
case_of a_vxlan_inside_the_lan_carries_tcp

# Not by VLAN devices, which not every kernel has: supers.py puts the tags on and takes them off.
tagged_tcp_crosses() { # tagged_tcp_crosses TAGS
  supers tagged n1:veth11 n3:veth31 "$1"
  supers tagged n3:veth31 n1:veth11 "$1"
}
case_of tagged_tcp_crosses 1
case_of tagged_tcp_crosses 2

nothing_was_dropped_by_mistake() {
  local name reasons='malformed unknown_index expired replayed bad_tag bad_mac1 bad_handshake bad_record
    unknown_control short_frame long_frame bad_source own_source bad_offload tap_refused send_too_large'
  for name in alpha beta; do
    same "drops of $name: $(status_of $name "{k: v for k, v in s['drops'].items() if v}")" 0 "$(drops_of $name "$reasons")"
  done
}
case_of nothing_was_dropped_by_mistake

counted() { # counted packets|bytes COMMAND INTERFACE rx|tx
  "$2" ip -j -s -s link show "$3" | python3 -c "import json, sys; print(json.load(sys.stdin)[0]['stats64']['$4']['$1'])"
}

# 4 MiB are about 3000 segments, the UDP packets of the case some 400. A train that the kernel will cut counts as one.
a_stream_leaves_in_trains() {
  local before sent
  before=$(counted packets alpha u0 tx)
  supers stream n1:veth11 n3:veth31 10.5.0.31
  sent=$(($(counted packets alpha u0 tx) - before))
  [ "$sent" -lt 1500 ] || fail "$sent packets on the underlay"
}
case_of a_stream_leaves_in_trains

# The node finds all of them when it goes on: some 25 of these go into a datagram. Counted are bytes, as datagrams that
# share a call are one packet here: the frames are 9100 bytes, and what encloses one alone 35 and more.
small_frames_that_wait_together_share_datagrams() {
  local before arrived sent node _
  node=$(node_of alpha)
  pings n1 10.5.0.31 # so that the neighbour is known
  before=$(counted bytes alpha u0 tx)
  arrived=$(counted packets n3 veth31 rx)
  kill -STOP "$node"
  for _ in {1..200}; do echo "$_"; done | n1 bash -c 'while read -r line; do echo "$line" >/dev/udp/10.5.0.31/9; done' || true
  kill -CONT "$node"
  eventually 10 have_arrived $((arrived + 200))
  sent=$(($(counted bytes alpha u0 tx) - before))
  [ "$sent" -lt 13000 ] || fail "$sent bytes on the underlay for 200 frames"
}
have_arrived() { [ "$(counted packets n3 veth31 rx)" -ge "$1" ]; }
case_of small_frames_that_wait_together_share_datagrams

# What may be left to the kernels, one bit a switch: alpha has those of NUMBER, beta the others. Of two neighbouring
# numbers one computes AES-256-GCM by libsodium at beta.
combination() { # combination NUMBER|none
  local name bit key value number=$1
  for name in alpha beta; do
    if [ "$1" = none ]; then number=0; fi
    sed -i '/^# offload$/,$d' "$D/$name.toml"
    { echo '# offload'; echo '[offload]'; } >>"$D/$name.toml"
    bit=1
    for key in tap_gso tap_uso udp_gso udp_gro; do
      value=off
      if [ $((number & bit)) -ne 0 ]; then value=auto; fi
      echo "$key = \"$value\"" >>"$D/$name.toml"
      bit=$((bit * 2))
    done
    number=$((15 - number))
  done
  if [ $((number % 2)) -eq 1 ]; then echo 'accelerator = "off"' >>"$D/beta.toml"; fi
}

passes_the_same() { # passes_the_same NUMBER|none
  stop alpha beta
  combination "$1"
  up alpha beta
  established alpha beta
  supers trains n1:veth11 n3:veth31 # the other way is that of 15 - NUMBER
  supers stream n1:veth11 n3:veth31 10.5.0.31
  supers stream n3:veth31 n1:veth11 10.5.0.11
  supers dhcp n1:veth11 n3:veth31 10.5.0.31
  small_frames_that_wait_together_share_datagrams
  nothing_was_dropped_by_mistake
}

for number in {0..15} none; do case_of passes_the_same "$number"; done

the_switches_are_in_status() {
  stop alpha beta
  combination 1
  up alpha beta
  same "TAP of alpha" "['checksum', 'tso4', 'tso6']" "$(status_of alpha "s['tap']['offloads']")"
  same "socket of alpha" "[]" "$(status_of alpha "s['underlay']['offloads']")"
  same "TAP of beta" "[]" "$(status_of beta "s['tap']['offloads']")"
  same "socket of beta" "['gso', 'gro']" "$(status_of beta "s['underlay']['offloads']")"
}
case_of the_switches_are_in_status
