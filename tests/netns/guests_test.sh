#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# guests_test.sh - the examples for CNI, Podman and systemd-nspawn do what they say: their guests on alpha and a
# container made by CNI on beta are on one Ethernet.
#
#      cni 10.5.1.x   podman 10.5.1.x   machine 10.5.1.200          far 10.5.2.x
#             +--------------+---------------+                         |
#                     br-lan 10.5.0.1                           br-lan 10.5.0.2
#                        lanloom, alpha ========= UDP ========= lanloom, beta
needs=("containernetworking-plugins /usr/lib/cni/bridge /usr/lib/cni/host-local" "podman podman conmon"
  "netavark /usr/lib/podman/netavark" "runc runc" "systemd-container systemd-nspawn" "busybox-static busybox")
. "$(dirname "$0")/lib.sh"
. "$here/engines.sh"

# cni INSTANCE ADD|DEL NAMESPACE FILE: what a runtime does with a .conflist of one plugin; the result is in $D/cni.json.
cni() {
  local plugins
  plugins=$(dirname "$(partner_file containernetworking-plugins /usr/lib/cni/bridge)")
  python3 -c 'import json, sys
both = json.load(sys.stdin)
[one] = both["plugins"]
print(json.dumps(one | {"cniVersion": both["cniVersion"], "name": both["name"]}))' <"$4" |
    "$1" env "CNI_COMMAND=$2" "CNI_CONTAINERID=$3" "CNI_NETNS=/run/netns/$3" CNI_IFNAME=eth0 "CNI_PATH=$plugins" \
      "$plugins/bridge" >"$D/cni.json" || fail "CNI: $(tr '\n' ' ' <"$D/cni.json")"
}
cni_address() { sed -nE 's|.*"address": "([0-9.]*)/16".*|\1|p' "$D/cni.json"; }

far_end() {
  second cni.conflist | sed 's|/run/cni|&/beta|' >"$D/far.conflist" # in the lab the hosts share /run
  beta ip netns add far && cni beta ADD far "$D/far.conflist" && far=$(cni_address)
}

must lab_up
must example own-bridge.toml
must up alpha beta
must established alpha beta
must image_tree
must far_end

# meets FROM...: a prefix to commands, in the guest
meets() {
  "$@" ping -q -n -c 1 -W 5 -M "do" -s 1472 "$far" >"$D/ping.log" || fail "no way to $far: $(tail -n 2 "$D/ping.log")"
  "$@" ping -q -n -c 1 -W 5 192.168.50.1 >"$D/ping.log" || fail "no way out: $(tail -n 2 "$D/ping.log")"
}

a_container_joins_by_cni() {
  alpha ip netns add cni
  cni alpha ADD cni "$examples/cni.conflist"
  case $(cni_address) in 10.5.1.*) ;; *) fail "its address is $(cni_address)" ;; esac
  meets lab_on A/cni
  cni alpha DEL cni "$examples/cni.conflist"
  same "interfaces left" lo "$(lab_on A/cni ip -br link | awk '{ print $1 }')"
  alpha ip link show br-lan >/dev/null
}
case_of a_container_joins_by_cni

podman() {
  alpha env "CONTAINERS_CONF=$D/podman/containers.conf" "CONTAINERS_STORAGE_CONF=$D/podman/storage.conf" \
    CONTAINERS_REGISTRIES_CONF=/dev/null "HOME=$D/podman" "TMPDIR=$D/podman" podman "$@"
}

a_container_joins_by_podman() {
  mkdir -p "$D/podman/networks"
  cp "$examples/podman-lan.json" "$D/podman/networks/lan.json"
  cat >"$D/podman/containers.conf" <<CONF
[network]
network_backend = "netavark"
network_config_dir = "$D/podman/networks"
[engine]
helper_binaries_dir = ["$(dirname "$(partner_file netavark /usr/lib/podman/netavark)")"]
conmon_path = ["$(command -v conmon)"]
cgroup_manager = "cgroupfs"
events_logger = "file"
static_dir = "$D/podman/static"
tmp_dir = "$D/podman/tmp"
volume_path = "$D/podman/volumes"
runtime = "runc"
[engine.runtimes]
runc = ["$(command -v runc)"]
CONF
  printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$D/podman/storage" "$D/podman/run" \
    >"$D/podman/storage.conf"
  podman run --detach --name guest --cgroup-parent "/$group" --network lan --rootfs "$D/image" /bin/sleep 1000 >/dev/null
  podman inspect --format '{{.NetworkSettings.Networks.lan.IPAddress}}' guest | grep -q '^10\.5\.1\.'
  meets podman exec guest
  podman rm --force --time 0 guest >/dev/null
  alpha ip -o link show master br-lan | grep -q ll-alpha # which Podman left as they were
  alpha ip -o -4 address show br-lan | grep -q ' 10\.5\.0\.1/16 '
}
case_of a_container_joins_by_podman

# In control groups of the test's own, and where there is no systemd to ask for them.
in_group() {
  local at
  for at in /sys/fs/cgroup /sys/fs/cgroup/*; do
    if [ -e "$at/cgroup.procs" ]; then { mkdir -p "$at/$group" && echo "$BASHPID" >"$at/$group/cgroup.procs"; } || true; fi
  done 2>/dev/null
  "$@"
}

a_machine_joins_by_nspawn() {
  local address='ip address add 10.5.1.200/16 dev host0; ip link set host0 up; ip route add default via 10.5.0.1'
  mkdir -p /run/systemd/nspawn
  cp "$examples/machine.nspawn" /run/systemd/nspawn/guest.nspawn
  cp -r "$D/image" "$D/machine"
  mkdir -p "$D/machine/usr/lib"
  touch "$D/machine/usr/lib/os-release"
  alpha mount -t cgroup2 none /sys/fs/cgroup # seen by this host's processes only
  in_group alpha systemd-nspawn --settings=override --register=no --keep-unit --directory="$D/machine" --machine=guest --quiet \
    --console=pipe /bin/sh -c "$address; sleep 1000" >"$D/nspawn.log" 2>&1 &
  eventually 20 reaches alpha 10.5.1.200
  meets nsenter --net="/proc/$(pgrep -f '^sleep 1000$')/ns/net"
  alpha ip -o link show master br-lan | grep -q vb-guest
}
case_of a_machine_joins_by_nspawn

those_that_are_not_run_are_well_formed() {
  local file
  python3 -c 'import sys, xml.etree.ElementTree as tree; tree.parse(sys.argv[1])' "$examples/libvirt-network.xml"
  for file in "$examples"/*.sh; do sh -n "$file"; done
  for file in "$examples"/*.json "$examples"/*.conflist; do python3 -m json.tool "$file" >/dev/null; done
}
case_of those_that_are_not_run_are_well_formed
