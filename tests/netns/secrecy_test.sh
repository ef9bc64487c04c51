#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# secrecy_test.sh - who sees the underlay learns nothing, and who sends to it without a key moves nothing.
#
#      ns1 10.5.0.11     ns2                                  ns3 10.5.0.31
#           |             |                                        |
#   +-------+-- br-lan ---+---+                          +------ br-lan -------+
#   | alpha 10.5.0.1  vtap0   |                          | beta 10.5.0.2 vtap0 |
#   +-----------+-------------+                          +----------+----------+
#               | 192.168.50.6                                      | 192.168.50.5
#               +------------- bridge `underlay` of outside --------+
#                                     | 192.168.50.66
#                                  mallory: hears everything, has no key, sends under any name
. "$(dirname "$0")/lib.sh"

two_hosts
must lab_host M 192.168.50.66
for name in alpha beta; do
  in_section $name node 'listen = "0.0.0.0:4780"'
  printf '[tap]\nname = "vtap0"\n' >>"$D/$name.toml"
done
# Nothing talks by itself, so that every frame that arrives can be counted.
for name in alpha beta; do must $name sysctl -qw net.ipv6.conf.default.disable_ipv6=1; done
# Every datagram is a packet of its own, as a network card would send it.
for name in alpha beta; do must $name ethtool -K u0 tx-udp-segmentation off gso off tso off; done

capture handshakes outside underlay udp port 4780
must up alpha beta
must established alpha beta
for name in n1 n2 n3; do must $name sysctl -qw net.ipv6.conf.all.disable_ipv6=1; done

# ---- what the underlay sees ------------------------------------------------------------------------------------------

plaintext=this-sentence-must-never-be-seen-outside

the_underlay_sees_no_plaintext() {
  for _ in $(seq 20000); do echo $plaintext; done >"$D/sent.txt"
  n3 python3 -c "import socket; c = socket.create_server(('', 7000)).accept()[0]
while b := c.recv(65536): open('$D/received.txt', 'ab').write(b)" &
  eventually 10 listens n3 7000
  capture inside alpha br-lan tcp port 7000
  capture seen outside underlay
  n1 bash -c "cat '$D/sent.txt' >/dev/tcp/10.5.0.31/7000"
  eventually 20 cmp "$D/sent.txt" "$D/received.txt"
  end_capture inside
  end_capture seen
  if ! grep -qa $plaintext "$D/inside.pcap"; then fail "the bridge did not see the plaintext: this test sees nothing"; fi
  if [ "$(counts seen udp port 4780)" -lt 10 ]; then fail "the underlay carried nothing: this test sees nothing"; fi
  if grep -qa "${plaintext:5:20}" "$D/seen.pcap"; then fail "the underlay saw the plaintext"; fi
  same "packets on the underlay of IPv4 that are not the tunnel's" 0 "$(counts seen ip and not udp port 4780)"
}
case_of the_underlay_sees_no_plaintext

# bench/identity_cipher.cpp carries this sentence into every program that it is linked into.
the_program_has_no_cipher_that_does_not_encrypt() {
  grep -q 'notice\[\] = "lanloom bench: this program does not encrypt"' "$here/../../bench/identity_cipher.cpp"
  ! grep -qa 'lanloom bench: this program does not encrypt' "$LANLOOM"
}
case_of the_program_has_no_cipher_that_does_not_encrypt

# ---- what mallory can do ---------------------------------------------------------------------------------------------

# Nothing but kinds of refusal; `stale_handshake` is what a replayed initiation becomes.
refusals='malformed unknown_index expired replayed bad_tag bad_mac1 handshake_queue_full bad_handshake unknown_peer
  stale_handshake unexpected_handshake'

all_refused() { [ "$(drops_of "$1" "$refusals")" -ge "$2" ]; }

# attacked VICTIM ADDRESS HOW [SPOOF]: everything is counted as a refusal, nothing delivered, nothing answered or moved.
attacked() {
  local victim=$1 address=$2 how=$3 spoof=${4:-} refused endpoint sent
  refused=$(drops_of "$victim" "$refusals")
  endpoint=$(status_of "$victim" "s['peers'][0]['endpoint']")
  capture delivered "$victim" vtap0 'inbound and not arp and not igmp' # which the peer sends by itself
  capture answers outside underlay "src host $address and udp"
  sent=$(mallory python3 "$here/attack.py" "$how" "$D/handshakes.pcap,$D/traffic.pcap" "$address" $spoof)
  eventually 10 all_refused "$victim" $((refused + sent))
  end_capture delivered
  end_capture answers
  same "refusals" "$sent" $(($(drops_of "$victim" "$refusals") - refused))
  same "frames delivered" 0 "$(counts delivered)"
  same "datagrams to mallory" 0 "$(counts answers dst host 192.168.50.66)"
  # The first byte of the UDP payload is the type; ARP and IGMP in the tunnel are shorter than any answer to a ping.
  same "answers to whom mallory pretends to be" 0 "$(counts answers 'udp[8] != 4 or udp[4:2] > 110')"
  same "endpoint" "$endpoint" "$(status_of "$victim" "s['peers'][0]['endpoint']")"
  same "state" established "$(status_of "$victim" "s['peers'][0]['state']")"
}

# As many kinds of refusal as the attack should have met, each at least once.
counted() { # counted INSTANCE REASON...
  local reason
  for reason in "${@:2}"; do
    if [ "$(drops_of "$1" "$reason")" -eq 0 ]; then fail "$1 counted no $reason"; fi
  done
}

# Handshakes in both roles, data both ways, all of it delivered: what is lost on the way and sent on by mallory later is
# no replay. Between the two captures no answer arrives, until each host has seen a call of the other's; what is older
# than that is refused from then on.
mallory_listens() {
  stop alpha
  up alpha
  established alpha beta
  end_capture handshakes
  stop alpha beta
  local name
  for name in alpha beta; do
    $name nft 'table inet loss { chain input { type filter hook input priority 0; udp dport 4780 @th,64,8 2 counter drop; }; }'
  done
  up alpha beta
  eventually 10 loses_answers alpha
  eventually 10 loses_answers beta
  for name in alpha beta; do $name nft delete table inet loss; done
  established alpha beta
  for name in n1 n2 n3; do $name sysctl -qw net.ipv6.conf.all.disable_ipv6=1; done
  eventually 10 both_ways
  capture traffic outside underlay udp port 4780
  many_pings n1 10.5.0.31
  many_pings n3 10.5.0.11
  end_capture traffic
}
both_ways() { reaches n1 10.5.0.31 && reaches n3 10.5.0.11; }
loses_answers() { "$1" nft list table inet loss | grep 'packets [1-9]'; }
case_of mallory_listens

datagrams_from_mallorys_own_address_move_nothing() {
  local how
  for how in replayed altered truncated lengthened; do attacked alpha 192.168.50.6 $how; done
  counted alpha malformed unknown_index replayed bad_tag bad_mac1 stale_handshake unexpected_handshake
  attacked beta 192.168.50.5 replayed
  counted beta replayed stale_handshake unexpected_handshake
}
case_of datagrams_from_mallorys_own_address_move_nothing

datagrams_under_the_peers_name_move_nothing() {
  attacked alpha 192.168.50.6 replayed SPOOF
  attacked alpha 192.168.50.6 altered SPOOF
  attacked beta 192.168.50.5 replayed SPOOF
}
case_of datagrams_under_the_peers_name_move_nothing

the_lan_works_as_before() {
  pings n1 10.5.0.31
  pings n3 10.5.0.21
}
case_of the_lan_works_as_before

# A host that was started again does not remember whom it heard when. It may answer an old call once, with no more bytes
# than it got, and only to where that came from.
an_old_call_to_a_host_without_memory_moves_nothing() {
  stop beta
  up beta
  established alpha beta
  n3 sysctl -qw net.ipv6.conf.all.disable_ipv6=1
  local asked answered
  eventually 10 both_ways
  capture delivered beta vtap0 'inbound and not arp and not igmp'
  capture old_calls outside underlay udp and host 192.168.50.66
  mallory python3 "$here/attack.py" replayed "$D/handshakes.pcap,$D/traffic.pcap" 192.168.50.5 >"$D/sent"
  eventually 10 all_refused beta $(($(cat "$D/sent") - $(counts_of_calls)))
  end_capture old_calls
  end_capture delivered
  asked=$(counts old_calls 'dst host 192.168.50.5 and udp[8] = 1')
  answered=$(counts old_calls src host 192.168.50.5)
  note "$answered of $asked old calls answered"
  if [ "$answered" -gt "$asked" ]; then fail "$answered answers to $asked calls"; fi
  same "answers longer than a call" 0 "$(counts old_calls 'src host 192.168.50.5 and udp[4:2] > 8 + 168')"
  same "frames delivered" 0 "$(counts delivered)"
  same "endpoint" 192.168.50.6:4780 "$(status_of beta "s['peers'][0]['endpoint']")"
  pings n1 10.5.0.31
  pings n3 10.5.0.11
  same "endpoint" 192.168.50.6:4780 "$(status_of beta "s['peers'][0]['endpoint']")"
}
counts_of_calls() { counts handshakes 'dst host 192.168.50.5 and udp[8] = 1'; }
case_of an_old_call_to_a_host_without_memory_moves_nothing

# ---- strangers -------------------------------------------------------------------------------------------------------

stop alpha beta
mkdir "$D/good"
cp -p "$D"/*.toml "$D"/*.key "$D/good"

# strangers: both start, neither answers the other, and each `status` says what to check.
strangers() {
  capture silence outside underlay udp port 4780
  up alpha beta
  eventually 10 says_what_to_check alpha
  eventually 10 says_what_to_check beta
  end_capture silence
  if [ "$(counts silence)" -lt 4 ]; then fail "they did not even try"; fi
  same "datagrams that are not initiations" 0 "$(counts silence 'udp[8] != 1')"
  same "alpha waits for beta" 6 "$(alpha "$LANLOOM" status --wait 0 >/dev/null; echo $?)"
}
says_what_to_check() { "$1" "$LANLOOM" status "$1" | grep 'no answer from 192.168.50.* check that .*bad_mac1.*unknown_peer'; }

as_before() {
  stop alpha beta
  cp -p "$D/good"/* "$D"
}

a_strangers_key_meets_silence() {
  rm "$D/beta.key"
  "$LANLOOM" genkey -o "$D/beta.key" >/dev/null
  strangers
  counted alpha unknown_peer # beta knows whom it calls; alpha does not know who calls
  counted beta bad_mac1      # alpha calls somebody else
}
case_of a_strangers_key_meets_silence
as_before

another_networks_name_meets_silence() {
  in_section beta node 'network = "other"'
  strangers
  counted alpha bad_mac1
  counted beta bad_mac1
}
case_of another_networks_name_meets_silence
as_before

another_network_secret_meets_silence() {
  local name
  for name in alpha beta; do
    (umask 077 && "$LANLOOM" genpsk >"$D/$name.secret")
    in_section $name node "network_secret = \"$name.secret\""
  done
  strangers
  counted alpha bad_mac1
  counted beta bad_mac1
}
case_of another_network_secret_meets_silence
as_before

another_preshared_key_meets_silence() {
  local name
  for name in alpha beta; do
    (umask 077 && "$LANLOOM" genpsk >"$D/$name.psk")
    edit $name "/^endpoint/a preshared_key = \"$name.psk\""
  done
  up alpha beta
  eventually 10 says_what_to_check alpha
  eventually 10 says_what_to_check beta
  [ $(($(drops_of alpha bad_handshake) + $(drops_of beta bad_handshake))) -gt 0 ]
}
case_of another_preshared_key_meets_silence
as_before

the_same_secrets_open_the_gate() {
  (umask 077 && "$LANLOOM" genpsk | tee "$D/lan.secret" >"$D/pair.psk")
  local name
  for name in alpha beta; do
    in_section $name node 'network_secret = "lan.secret"'
    edit $name '/^endpoint/a preshared_key = "pair.psk"'
  done
  up alpha beta
  established alpha beta
  pings n1 10.5.0.31
}
case_of the_same_secrets_open_the_gate
