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

# ---- lanloom ends and starts -----------------------------------------------------------------------------------------

# What would have to change if a container of alpha's had been started again.
lives() { docker alpha inspect --format '{{.State.StartedAt}} {{.State.Pid}} {{.NetworkSettings.SandboxID}}' one zero; }
in_one() { "$1" nsenter --net="/proc/$(docker "$1" inspect --format '{{.State.Pid}}' one)/ns/net" "${@:2}"; }

# A TCP connection between containers of both hosts, and what Docker has on alpha, outlive COMMAND...
outlives() {
  local before said
  before=$(lives)
  in_one alpha python3 "$here/lasting.py" serve 7777 >"$D/server.log" 2>&1 &
  eventually 10 one_listens
  in_one beta python3 "$here/lasting.py" call "$(address alpha one lan)" 7777 >"$D/lasting" 2>"$D/lasting.log" &
  eventually 10 grep -q 1 "$D/lasting"
  "$@"
  said=$(wc -l <"$D/lasting")
  eventually 30 has_gone_on $((said + 5))
  same "containers" "$before" "$(lives)"
  contact alpha one 192.168.50.1
  contact alpha zero 192.168.50.1
  pkill -f "$here/lasting.py"
  eventually 10 not one_listens
}
one_listens() { [ -n "$(in_one alpha ss -Hltn 'sport = :7777')" ]; }
has_gone_on() { [ "$(wc -l <"$D/lasting")" -gt "$1" ]; }

end_and_start() {
  stop alpha
  grep -q 'bridge br-lan stays' "$D/alpha.log" # as Docker's containers are on it
  up --keep alpha
}
docker_loses_nothing_when_lanloom_ends_and_starts() { outlives end_and_start; }
case_of docker_loses_nothing_when_lanloom_ends_and_starts

end_and_start_kept() {
  stop alpha
  up --keep alpha
}
docker_loses_nothing_when_lanloom_ends_with_keep_and_starts() { outlives end_and_start_kept; }
case_of docker_loses_nothing_when_lanloom_ends_with_keep_and_starts

kill_and_start() {
  kill -KILL "$(keeper_of alpha)"
  ends "$(keeper_of alpha)"
  up alpha
}
docker_loses_nothing_when_lanloom_is_killed_and_starts() { outlives kill_and_start; }
case_of docker_loses_nothing_when_lanloom_is_killed_and_starts

dockerd_is_restarted_without_lanloom() {
  stop alpha
  engine_ends alpha
  engine alpha
  docker alpha start one zero >/dev/null
  up alpha
  contact beta one "$(address alpha one lan)"
  contact alpha one 192.168.50.1
}
case_of dockerd_is_restarted_without_lanloom

# Docker then makes a bridge of that name, which lanloom does not take.
after_a_boot_with_docker_first_the_start_is_refused_with_the_cure() {
  local status=0
  engine_ends alpha
  stop alpha
  same "br-lan" "" "$(alpha ip -br link show br-lan 2>/dev/null || true)"
  engine alpha
  alpha "$LANLOOM" up "$D/alpha.toml" 2>"$D/complaint" || status=$?
  same "status" 1 $status
  grep -q "br-lan: exists already and is not lanloom's; .* remove it" "$D/complaint"
  engine_ends alpha
  alpha ip link del br-lan
  up alpha
  engine alpha
  docker alpha start one zero >/dev/null
  contact beta one "$(address alpha one lan)"
}
case_of after_a_boot_with_docker_first_the_start_is_refused_with_the_cure

when_lanloom_ends_docker_goes_on() {
  local name
  stop alpha beta
  for name in alpha beta; do
    same "ip_forward of $name" 1 "$($name cat /proc/sys/net/ipv4/ip_forward)"
    contact $name zero 192.168.50.1
  done
}
case_of when_lanloom_ends_docker_goes_on
