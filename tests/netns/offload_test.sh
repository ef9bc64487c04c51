#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# offload_test.sh - packets that the kernels leave unsegmented and unsummed cross as if they had not been, with every
# combination of what may be left to the kernels.
#
#      ns1 10.5.0.11 --- alpha ===== underlay ===== beta --- ns3 10.5.0.31
. "$(dirname "$0")/lib.sh"

two_hosts
must up alpha beta
must established alpha beta

super_frames_cross_as_the_kernel_would_have_cut_them() {
  supers trains n1:veth11 n3:veth31
  supers trains n3:veth31 n1:veth11
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

a_vxlan_inside_the_lan_carries_tcp() {
  n1 ip link add vx0 type vxlan id 7 dstport 4789 local 10.5.0.11 remote 10.5.0.31 dev veth11
  n3 ip link add vx0 type vxlan id 7 dstport 4789 local 10.5.0.31 remote 10.5.0.11 dev veth31
  n1 ip addr add 10.99.0.1/24 dev vx0
  n3 ip addr add 10.99.0.2/24 dev vx0
  n1 ip link set vx0 up
  n3 ip link set vx0 up
  supers stream n1:vx0 n3:vx0 10.99.0.2
  supers stream n3:vx0 n1:vx0 10.99.0.1
  n1 ip link del vx0
  n3 ip link del vx0
}
case_of a_vxlan_inside_the_lan_carries_tcp

nothing_was_dropped_by_mistake() {
  local name reasons='malformed unknown_index expired replayed bad_tag bad_mac1 bad_handshake bad_record
    unknown_control short_frame long_frame bad_source own_source bad_offload tap_refused send_too_large'
  for name in alpha beta; do
    same "drops of $name: $(status_of $name "{k: v for k, v in s['drops'].items() if v}")" 0 "$(drops_of $name "$reasons")"
  done
}
case_of nothing_was_dropped_by_mistake

# What may be left to the kernels, one bit a switch: alpha has those of NUMBER, beta the others.
combination() { # combination NUMBER
  local name bit key value
  for name in alpha beta; do
    sed -i '/^# offload$/,$d' "$D/$name.toml"
    { echo '# offload'; echo '[offload]'; } >>"$D/$name.toml"
    bit=1
    for key in tap_gso tap_uso udp_gso udp_gro; do
      value=off
      if [ $((($1 & bit) != 0)) = "$([ $name = alpha ] && echo 1 || echo 0)" ]; then value=auto; fi
      echo "$key = \"$value\"" >>"$D/$name.toml"
      bit=$((bit * 2))
    done
  done
}

every_combination_passes_the_same() {
  local number
  for number in {0..15}; do
    stop alpha beta
    combination "$number"
    up alpha beta
    established alpha beta
    supers stream n1:veth11 n3:veth31 10.5.0.31 || fail "combination $number, there"
    supers stream n3:veth31 n1:veth11 10.5.0.11 || fail "combination $number, back"
    supers dhcp n1:veth11 n3:veth31 10.5.0.31 || fail "combination $number, DHCP"
    nothing_was_dropped_by_mistake
  done
}
case_of every_combination_passes_the_same

super_frames_cross_where_one_side_takes_none() {
  local number
  for number in 0 15; do
    stop alpha beta
    combination "$number"
    up alpha beta
    established alpha beta
    supers trains n1:veth11 n3:veth31
  done
}
case_of super_frames_cross_where_one_side_takes_none

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
