#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# docker_test.sh - two Docker daemons whose containers share one Ethernet, with the files of conf/examples.
#
#      a1 10.5.1.x      a0 172.17.0.x                b0 172.17.0.x      b1 10.5.2.x       containers
#           |                |                            |                  |
#        br-lan           docker0                      docker0            br-lan
#        10.5.0.1         172.17.0.1                   172.17.0.1         10.5.0.2
#           |                                                                |
#        lanloom, alpha, 192.168.50.6 ========= UDP ========= lanloom, beta, 192.168.50.5
#
# On alpha Docker was there first, on beta lanloom was. Both drop what they are not told to forward.
needs=("docker.io dockerd docker containerd runc" "docker-compose docker-compose" "busybox-static busybox")
. "$(dirname "$0")/lib.sh"
. "$here/engines.sh"

network() { DOCKER_HOST="unix://$D/$1.docker/socket" "$examples/docker-network.sh" "$2" >/dev/null; } # network INSTANCE NUMBER

must lab_up
must example own-bridge.toml
must engine alpha
must up alpha beta
must engine beta
must established alpha beta
must image alpha beta
must network alpha 1
must network beta 2
must beta iptables -P FORWARD DROP # Docker did it on alpha, where forwarding was off before
for name in alpha beta; do
  must container $name one lan --publish 8081:5201
  must container $name zero bridge
done
a1=$(address alpha one lan) b1=$(address beta one lan)

containers_of_both_hosts_share_one_subnet() {
  contact alpha one "$b1"
  contact beta one "$a1"
  contact alpha one 10.5.0.2
  contact beta one 10.5.0.1
  pings alpha "$b1"
  pings beta "$a1"
}
case_of containers_of_both_hosts_share_one_subnet

docker_has_changed_nothing_of_the_bridge() {
  local name
  for name in alpha beta; do
    $name iptables -S FORWARD | grep -q -- '-P FORWARD DROP'
    $name ip -o link show br-lan | grep -q 'mtu 1500'
    $name ip -o link show master br-lan | grep -q "ll-$name"
    same "addresses of br-lan" "$(sed -n 's/^addresses = \["\(.*\)"\]/\1/p' "$D/$name.toml")" \
      "$($name ip -o -4 address show br-lan | awk '{ print $4 }')"
  done
}
case_of docker_has_changed_nothing_of_the_bridge

packets_of_full_size_cross_whole() {
  contact alpha one "$b1" -M "do" -s 1472
  contact beta one "$a1" -M "do" -s 1472
  not docker alpha exec one ping -c 1 -W 1 -M "do" -s 1473 "$b1" >"$D/ping.log" 2>&1
  grep -q 'mtu=1500' "$D/ping.log" # refused here, not lost on the way
}
case_of packets_of_full_size_cross_whole

tcp_crosses() {
  load alpha one "$b1"
  load beta one "$a1"
}
case_of tcp_crosses

datagrams_of_full_size_cross() {
  load alpha one "$b1" -u -b 50M -l 1472
  load beta one "$a1" -u -b 50M -l 8192 # in fragments
}
case_of datagrams_of_full_size_cross

containers_reach_the_outside_and_are_reached() {
  contact alpha one 192.168.50.1
  contact beta one 192.168.50.1
  outside iperf3 -c 192.168.50.6 -p 8081 -n 2M >"$D/iperf.log"
  beta iperf3 -c 192.168.50.6 -p 8081 -n 2M >"$D/iperf.log"
}
case_of containers_reach_the_outside_and_are_reached

a_service_of_compose_joins() {
  local compose=(alpha env "DOCKER_HOST=unix://$D/alpha.docker/socket" "HOME=$D" docker-compose --file "$D/compose.yaml")
  sed 's|image: nginx|image: tools\n    command: iperf3 -s|' "$examples/compose.yaml" >"$D/compose.yaml"
  "${compose[@]}" up --detach
  contact beta one 10.5.1.80
  "${compose[@]}" down --timeout 1
}
case_of a_service_of_compose_joins

dockers_own_network_reaches_the_outside() {
  contact alpha zero 192.168.50.1
}
case_of dockers_own_network_reaches_the_outside

dockers_own_network_reaches_the_outside_though_lanloom_was_first() {
  contact beta zero 192.168.50.1
}
case_of dockers_own_network_reaches_the_outside_though_lanloom_was_first

a_container_is_restarted() {
  docker alpha restart one >/dev/null
  eventually 20 serves alpha one 2
  contact beta one "$(address alpha one lan)"
}
case_of a_container_is_restarted

dockerd_is_restarted() {
  engine_ends alpha
  contact beta one 10.5.0.1 # without Docker
  engine alpha
  docker alpha start one zero >/dev/null
  eventually 20 serves alpha one 3
  contact beta one "$(address alpha one lan)"
  contact alpha one 192.168.50.1
  contact alpha zero 192.168.50.1
}
case_of dockerd_is_restarted

# What follows ends lanloom.
when_lanloom_ends_docker_goes_on() {
  local name
  stop alpha beta
  for name in alpha beta; do
    same "ip_forward of $name" 1 "$($name cat /proc/sys/net/ipv4/ip_forward)"
    contact $name zero 192.168.50.1
  done
}
case_of when_lanloom_ends_docker_goes_on
