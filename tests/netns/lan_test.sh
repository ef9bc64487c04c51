#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# lan_test.sh - the network of conf/two-hosts is one Ethernet, and reaches and is reached from outside.
#
#      ns1 veth11       ns2 veth21                                 ns3 veth31
#      10.5.0.11        10.5.0.21                                  10.5.0.31
#      fd00:5::11       fd00:5::21                                 fd00:5::31
#           |                |                                          |
#   +-------+---- br-lan ----+--------+                +------------ br-lan ----------+
#   | alpha  10.5.0.1  fd00:5::1      |                | beta   10.5.0.2  fd00:5::2   |
#   |        tcp 8765 to ns1          |                |                              |
#   +---------------+-----------------+                +--------------+---------------+
#                   | 192.168.50.6                                    | 192.168.50.5
#                   +------------------- switch 192.168.50.1 ---------+
#                              outside, also 203.0.113.7
. "$(dirname "$0")/lib.sh"

two_hosts
for name in alpha beta; do
  # Both families, which the example leaves to the reader.
  edit $name 's|^addresses *= \["10\.5\.0\.\([0-9]*\)/16"\]|addresses = ["10.5.0.\1/16", "fd00:5::\1/64"]|'
  # Where these are on, frames of the bridge pass the host's packet filter and NAT.
  $name sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1 \
    net.bridge.bridge-nf-call-arptables=1
done
must up alpha beta
must established alpha beta

everybody_pings_everybody() {
  local from to
  for from in n1 n2 n3; do
    for to in 10.5.0.1 10.5.0.2 10.5.0.11 10.5.0.21 10.5.0.31; do pings $from $to; done
  done
  for to in 10.5.0.2 10.5.0.31; do pings alpha $to; done
  for to in 10.5.0.1 10.5.0.11 10.5.0.21; do pings beta $to; done
}
case_of everybody_pings_everybody


everybody_pings_everybody_over_ipv6() {
  local from to
  for from in n1 n2 n3 alpha beta; do eventually 20 has_its_addresses $from; done
  for from in n1 n2 n3; do
    for to in fd00:5::1 fd00:5::2 fd00:5::11 fd00:5::21 fd00:5::31; do pings $from $to; done
  done
}
case_of everybody_pings_everybody_over_ipv6

frames_of_every_size_cross_unaltered() {
  frames sizes n1:veth11 n3:veth31
  frames sizes n3:veth31 n1:veth11
}
case_of frames_of_every_size_cross_unaltered

bursts_of_frames_cross_in_order() {
  frames bursts n1:veth11 n3:veth31
  frames bursts n3:veth31 n2:veth21
}
case_of bursts_of_frames_cross_in_order

tagged_frames_cross_unaltered() {
  frames tagged n1:veth11 n3:veth31
  frames tagged n3:veth31 n1:veth11
}
case_of tagged_frames_cross_unaltered

# Masquerading must not touch what stays on the LAN, though these frames pass the NAT of both hosts.
arp_and_multicast_keep_their_source() {
  frames groups n1:veth11 n3:veth31 10.5.0.11
  frames groups n3:veth31 n2:veth21 10.5.0.31
}
case_of arp_and_multicast_keep_their_source

connections_inside_the_lan_keep_their_source() {
  answer n3 7001
  answer n2 7001
  same "ns3 is called by" 10.5.0.11 "$(call n1 10.5.0.31 7001)"
  same "ns2 is called by" 10.5.0.11 "$(call n1 10.5.0.21 7001)"
  same "ns2 is called by" 10.5.0.31 "$(call n3 10.5.0.21 7001)"
  same "ns3 is called by" 10.5.0.1 "$(call alpha 10.5.0.31 7001)"
  same "ns3 is called by" fd00:5::11 "$(call n1 fd00:5::31 7001)"
}
case_of connections_inside_the_lan_keep_their_source

neighbours_are_who_they_are() {
  local mac
  mac=$(n3 ip -o link show veth31 | sed 's/.*ether \([0-9a-f:]*\).*/\1/')
  n1 ip neigh flush dev veth11
  pings n1 10.5.0.31
  pings n1 fd00:5::31
  n1 ip neigh show 10.5.0.31 | grep -q "lladdr $mac"
  n1 ip neigh show fd00:5::31 | grep -q "lladdr $mac"
  same "where alpha finds ns3" beta "$(alpha "$LANLOOM" fdb | awk -v mac="$mac" '$1 == mac && $2 == 0 { print $3 }')"
}
case_of neighbours_are_who_they_are

a_broadcast_arrives_once_and_never_comes_back() {
  frames broadcast n1:veth11 n2:veth21 n3:veth31
  frames broadcast n3:veth31 n1:veth11 n2:veth21
}
case_of a_broadcast_arrives_once_and_never_comes_back

containers_go_out_under_their_hosts_address() {
  pings n1 203.0.113.7
  answer outside 7002
  same "outside is called by" 192.168.50.6 "$(call n1 203.0.113.7 7002)"
  same "outside is called by" 192.168.50.6 "$(call n2 192.168.50.1 7002)"
  same "outside is called by" 192.168.50.5 "$(call n3 203.0.113.7 7002)"
}
case_of containers_go_out_under_their_hosts_address

the_forwarded_port_answers() {
  answer n1 8765
  same "called from outside by" 192.168.50.1 "$(call outside 192.168.50.6 8765)"
  same "called from the other host by" 192.168.50.5 "$(call beta 192.168.50.6 8765)"
  call alpha 192.168.50.6 8765 >/dev/null # from the host itself
  call n2 192.168.50.6 8765 >/dev/null    # from a neighbour, and back to the one who answers
  call n3 192.168.50.6 8765 >/dev/null
}
case_of the_forwarded_port_answers

nothing_was_dropped_that_should_not_be() {
  local name
  for name in alpha beta; do
    same "drops of $name" 0 "$(drops_of $name 'malformed bad_tag replayed bad_record bad_handshake long_frame own_source')"
  done
}
case_of nothing_was_dropped_that_should_not_be
