#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# firewall_test.sh - firewall = "fix": what somebody does with iptables while the instance runs is answered, where the
# kernel tells of it (iptables over nftables) and where it does not (the older kind).
#
#      ns1, ns2 --- br-lan, alpha ===== underlay ===== beta, br-lan --- ns3
needs=("iptables iptables-nft iptables-legacy")
. "$(dirname "$0")/lib.sh"
must iptables_over_usr

two_hosts
must in_section alpha forwarding 'firewall = "fix"'

both_ways() { reaches n1 10.5.0.31 && reaches n3 10.5.0.11 && reaches n1 203.0.113.7; }
crosses() { eventually 20 both_ways; }
ours() { alpha iptables -S | grep -c 'lanloom:alpha' || true; }
has_ours() { [ "$(ours)" -gt 0 ]; }

answered() { # answered COMMAND...: what it does to alpha's firewall is answered within 2 s, tenfold
  local began
  alpha "$@"
  began=$(now_in_ms)
  eventually 20 has_ours
  crosses
  note "traffic $(($(now_in_ms) - began)) ms after: $*"
}

works_with() { # works_with KIND: what `iptables --version` calls it
  alpha iptables --version | grep -q "$1"
  for name in iptables ip6tables; do alpha $name -P FORWARD ACCEPT; done # the tables are there from now on
  lab_state A >"$D/alpha.state"
  up alpha beta
  established alpha beta
  crosses
  same "rules before they are needed" 0 "$(ours)"
  answered iptables -P FORWARD DROP
  answered iptables -F FORWARD
  answered iptables -D FORWARD -m comment --comment lanloom:alpha -i br-lan -o br-lan -j ACCEPT
  stop alpha beta
  same "rules left" 0 "$(ours)"
  alpha iptables -P FORWARD ACCEPT
  as_found alpha "$D/alpha.state"
}

a_policy_and_deleted_rules_are_noticed_where_the_kernel_tells() { works_with nf_tables; }
case_of a_policy_and_deleted_rules_are_noticed_where_the_kernel_tells

a_policy_and_deleted_rules_are_noticed_where_it_does_not() { works_with legacy; }
must alpha mount --bind /usr/sbin/xtables-legacy-multi "$(readlink -f /usr/sbin/iptables)"
if alpha iptables -S >/dev/null 2>&1; then
  case_of a_policy_and_deleted_rules_are_noticed_where_it_does_not
else
  echo "skip a_policy_and_deleted_rules_are_noticed_where_it_does_not: this kernel has no older tables"
fi
