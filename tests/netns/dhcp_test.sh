#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# dhcp_test.sh - a DHCP server on one host serves the containers of the other. The server answers from a socket of its
# kernel, which leaves the checksum open; the client reads raw frames. It refuses a wrong checksum, but forgives one that
# its kernel says is open: that none is left open is offload_test's.
#
#      ns1 udhcpc --- alpha ===== underlay ===== beta --- ns3 dnsmasq, 10.5.0.31
needs=("dnsmasq-base dnsmasq" "busybox-static busybox")
. "$(dirname "$0")/lib.sh"

# Distributions divide busybox differently.
busybox --list | grep -qx udhcpc || { echo "skip dhcp: this busybox has no udhcpc"; exit 0; }

two_hosts
must up alpha beta
must established alpha beta

serve() {
  lab_start B/ns3 "$D/dnsmasq.log" dnsmasq --keep-in-foreground --conf-file=/dev/null --user=root --pid-file= --port=0 \
    --log-facility=- --interface=veth31 --bind-interfaces --dhcp-leasefile="$D/leases" \
    --dhcp-range=10.5.0.100,10.5.0.199,255.255.0.0,1h
  eventually 10 serves
}
serves() { [ -n "$(n3 ss -Hulpn "sport = :67")" ]; }
must serve

# What udhcpc tells of its lease; it changes nothing itself.
cat >"$D/told" <<'SCRIPT'
#!/bin/sh
[ "$1" != bound ] || echo "$ip $subnet $serverid" >"${0%/*}/lease"
SCRIPT
chmod +x "$D/told"

a_client_gets_its_lease_through_the_tunnel() {
  local mac address mask server
  mac=$(n1 ip -br link show veth11 | awk '{ print $3 }')
  n1 busybox udhcpc -i veth11 -f -q -n -t 10 -T 1 -s "$D/told" >"$D/udhcpc.log" 2>&1 || fail "$(tail -n 1 "$D/udhcpc.log")"
  read -r address mask server <"$D/lease"
  case $address in 10.5.0.1[0-9][0-9]) ;; *) fail "the address is $address" ;; esac
  same "mask and server" "255.255.0.0 10.5.0.31" "$mask $server"
  same "what the server wrote" "$mac $address" "$(awk '{ print $2, $3 }' "$D/leases")"
}
case_of a_client_gets_its_lease_through_the_tunnel

the_lease_is_an_address_to_talk_from() {
  local address
  address=$(cut -d ' ' -f 1 "$D/lease")
  n1 ip address add "$address/16" dev veth11
  pings n1 10.5.0.31 -I "$address"
}
case_of the_lease_is_an_address_to_talk_from
