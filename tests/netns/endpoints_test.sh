#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# endpoints_test.sh - where a peer is: several addresses, names, and names that lead elsewhere after a while.
#
#      ns1 10.5.0.11                                          ns3 10.5.0.31
#           |                                                      |
#   +-------+-- br-lan ---+                              +------ br-lan -------+
#   | alpha               | calls                 waits  | beta                |
#   +-----------+---------+                              +----------+----------+
#               | 192.168.50.6                  192.168.50.5, later .15
#               | 2001:db8:50::6                2001:db8:50::5
#               +------------- bridge `underlay` of outside --------+
#
# Names are what alpha's own /etc/hosts says; the lab has no name server.
. "$(dirname "$0")/lib.sh"

two_hosts
for host in A:6 B:5; do
  must lab_on "${host%:*}" ip address add "2001:db8:50::${host#*:}/64" dev u0
done
edit beta '/^endpoint/d'
printf '127.0.0.1 localhost\n' >"$D/hosts"
chmod 644 "$D/hosts"
must alpha mount --bind "$D/hosts" /etc/hosts

names_are() { printf '127.0.0.1 localhost\n%s\n' "$1" >"$D/hosts"; } # the same file, as what is bound stays
endpoint_is() { edit alpha "s|^endpoint.*|endpoint = $1|"; }
seen_at() { status_of alpha "s['peers'][0]['endpoint']"; }
finds_beta_at() { [ "$(seen_at)" = "$1" ] && [ "$(status_of alpha "s['peers'][0]['state']")" = established ]; }
said() { grep -c "$1" "$D/alpha.log" || true; }
resolvers_of_alpha() { pgrep -P "$(keeper_of alpha)" | wc -l; }
# Where the other was last is forgotten: it would be called there first.
begun() {
  : >"$D/alpha.log"
  alpha rm -rf /var/lib/lanloom/alpha
  beta rm -rf /var/lib/lanloom/beta
  up "$@"
}

# ---- several addresses -----------------------------------------------------------------------------------------------

the_second_address_is_tried_when_the_first_is_silent() {
  endpoint_is '["192.168.50.77:4780", "192.168.50.5:4780"]'
  begun alpha beta
  established alpha
  same "where beta is" 192.168.50.5:4780 "$(seen_at)"
  pings n1 10.5.0.31
  stop alpha beta
}
case_of the_second_address_is_tried_when_the_first_is_silent

either_family_is_tried() {
  local began took
  endpoint_is '["192.168.50.77:4780", "192.168.50.78:4780", "[2001:db8:50::5]:4780"]'
  begun beta alpha
  began=$(now_in_ms)
  established alpha
  took=$(($(now_in_ms) - began))
  same "where beta is" '[2001:db8:50::5]:4780' "$(seen_at)"
  note "found by IPv6 $took ms after the start: the second call of the first round"
  pings n1 10.5.0.31
  stop alpha beta
}
case_of either_family_is_tried

# ---- names -----------------------------------------------------------------------------------------------------------

a_name_is_an_endpoint() {
  endpoint_is '"beta.example.org:4780"'
  names_are '192.168.50.5 beta.example.org'
  begun beta alpha
  established alpha
  same "where beta is" 192.168.50.5:4780 "$(seen_at)"
  pings n1 10.5.0.31
  eventually 10 eval '[ "$(resolvers_of_alpha)" = 1 ]' # the node alone
  stop alpha beta
}
case_of a_name_is_an_endpoint

a_name_gives_addresses_of_both_families_and_one_of_them_works() {
  endpoint_is '"beta.example.org:4780"'
  names_are $'2001:db8:50::77 beta.example.org\n192.168.50.5 beta.example.org\n192.168.50.77 beta.example.org'
  begun beta alpha
  established alpha
  same "where beta is" 192.168.50.5:4780 "$(seen_at)"
  stop alpha beta
}
case_of a_name_gives_addresses_of_both_families_and_one_of_them_works

# The start does not wait, the log says it once, and the name is used as soon as it works.
a_name_that_cannot_be_resolved_is_tried_again() {
  endpoint_is '"beta.example.org:4780"'
  names_are ''
  begun alpha beta
  eventually 30 grep -q 'WARN.*\|warning.*peer beta: beta.example.org cannot be used' "$D/alpha.log"
  same "where beta is" None "$(seen_at)"
  same "what --wait says" 6 "$(alpha "$LANLOOM" status alpha --wait 1 >/dev/null; echo $?)"
  alpha "$LANLOOM" status alpha | grep -q 'getent ahosts'
  names_are '192.168.50.5 beta.example.org'
  eventually 60 finds_beta_at 192.168.50.5:4780
  same "times it was said" 1 "$(said 'beta.example.org cannot be used')"
  pings n1 10.5.0.31
}
case_of a_name_that_cannot_be_resolved_is_tried_again

# Alpha runs on from here.
a_silent_peer_is_looked_for_where_its_name_leads_now() {
  stop beta
  beta ip address del 192.168.50.5/24 dev u0
  beta ip address add 192.168.50.15/24 dev u0
  beta ip route add default via 192.168.50.1
  names_are '192.168.50.15 beta.example.org'
  up beta
  eventually 100 finds_beta_at 192.168.50.15:4780
  pings n1 10.5.0.31
}
case_of a_silent_peer_is_looked_for_where_its_name_leads_now

a_killed_node_is_followed_by_one_that_knows_the_addresses() {
  kill -KILL "$(node_of alpha)"
  eventually 20 grep -q 'the node is back' "$D/alpha.log"
  eventually 20 finds_beta_at 192.168.50.15:4780
  pings n1 10.5.0.31
  stop alpha beta
}
case_of a_killed_node_is_followed_by_one_that_knows_the_addresses

# What leads into the overlay would carry the tunnel through itself.
a_name_inside_the_overlay_is_refused() {
  endpoint_is '"beta.example.org:4780"'
  names_are '10.5.0.31 beta.example.org'
  begun alpha
  eventually 30 grep -q "10.5.0.31:4780: it is inside the overlay's own subnet 10.5.0.0/16" "$D/alpha.log"
  same "where beta is" None "$(seen_at)"
  stop alpha
}
case_of a_name_inside_the_overlay_is_refused
