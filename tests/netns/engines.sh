# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# engines.sh - what the tests with container engines share: conf/examples on both hosts, an image, a Docker daemon in each
# host, and the end of it all; sourced after lib.sh. `image` needs busybox and `engine` Docker, as the tests' `needs` say.
#
# 1. What an engine keeps is below $D, and so in the lab's own /run; its processes and mounts are the lab's, too. Only
#    control groups are the machine's: they are below one of the test's own, which goes at the end.
# 2. There is no registry here: an image is busybox, iperf3 and ping with their libraries.
# 3. `docker INSTANCE ARGUMENT...` talks to that host's daemon.

group=lanloom-test-$(cat /proc/sys/kernel/random/uuid)
examples=$here/../../conf/examples

# example FILE: for alpha as it is, for beta as it says.
example() {
  lab_configure "$D" # for the keys
  local alpha beta
  alpha=$("$LANLOOM" pubkey <"$D/alpha.key") beta=$("$LANLOOM" pubkey <"$D/beta.key")
  sed "s|REPLACE: [^\"]*|$beta|" "$examples/$1" >"$D/alpha.toml"
  second "$1" | sed -E "s|REPLACE: [^\"]*|$alpha|; s|^(name +=) \"alpha\"|\1 \"beta\"|; t; s|^(name +=) \"beta\"|\1 \"alpha\"|
    s|alpha\.key|beta.key|; s|192\.168\.50\.5:|192.168.50.6:|" >"$D/beta.toml"
}
second() { sed 's|10\.5\.0\.1\>|10.5.0.2|; s|10\.5\.1\.|10.5.2.|g' "$examples/$1"; } # an example, for the second host

# image_tree: below $D/image.
image_tree() {
  local root=$D/image name
  mkdir -p "$root"/{bin,dev,etc,proc,run,sys,tmp}
  # shellcheck disable=SC2046  # words
  cp $(command -v busybox iperf3 ping) "$root/bin/" || return
  for name in sh ip sleep; do ln -sf busybox "$root/bin/$name"; done
  for name in $(ldd "$root"/bin/{iperf3,ping} | grep -o '/[^ :]*\.so[^ ]*' | sort -u); do
    cp --parents --dereference "$name" "$root/"
  done
}

# ---- Docker ----------------------------------------------------------------------------------------------------------

engine() { # engine INSTANCE [FILE]: starts it there, with this daemon.json, and waits until it answers
  local name=$1 key=
  mkdir -p "$D/$name.docker"
  # Until version 23 it writes a key, by default below /etc.
  if [ "$(dockerd --version | sed -E 's/.*version ([0-9]+).*/\1/')" -lt 23 ]; then key=$D/$name.docker/key.json; fi
  python3 -c 'import json, sys
settings = json.load(open(sys.argv[1])) if sys.argv[1] else {}
print(json.dumps(settings | ({"deprecated-key-path": sys.argv[2]} if sys.argv[2] else {})))' \
    "${2:-}" "$key" >"$D/$name.docker/daemon.json"
  lab_start "$(host_of "$name")" "$D/$name.docker/log" dockerd --config-file "$D/$name.docker/daemon.json" \
    --data-root "$D/$name.docker/data" --exec-root "$D/$name.docker/exec" --pidfile "$D/$name.docker/pid" \
    --host "unix://$D/$name.docker/socket" --storage-driver vfs --cgroup-parent "/$group" \
    --exec-opt native.cgroupdriver=cgroupfs
  echo "$lab_pid" >"$D/$name.docker/daemon"
  eventually 60 docker "$name" version
}

engine_ends() { # engine_ends INSTANCE...: by SIGTERM, and with it its containers
  local name
  for name in "$@"; do kill -TERM "$(cat "$D/$name.docker/daemon")"; done
  for name in "$@"; do ends "$(cat "$D/$name.docker/daemon")"; done
}

docker() { command docker --host "unix://$D/$1.docker/socket" "${@:2}"; }

image() { # image INSTANCE...: as `tools`
  local name
  image_tree || return
  for name in "$@"; do tar -C "$D/image" -c . | docker "$name" import - tools >/dev/null || return; done
}

# container INSTANCE NAME NETWORK [ARGUMENT...]: it serves iperf3, and is up when that listens.
container() {
  docker "$1" run --detach --name "$2" --network "$3" "${@:4}" tools iperf3 -s --forceflush >/dev/null
  eventually 20 serves "$1" "$2" 1
}
# serves INSTANCE NAME TIMES: it was started so many times, and listened each time.
serves() { [ "$(docker "$1" logs "$2" | grep -c 'Server listening')" -ge "$3" ]; }

address() { docker "$1" inspect --format "{{(index .NetworkSettings.Networks \"$3\").IPAddress}}" "$2"; } # INSTANCE NAME NETWORK

# contact INSTANCE CONTAINER ADDRESS [PING ARGUMENT...]
contact() {
  docker "$1" exec "$2" ping -q -n -c 3 -i 0.2 -W 5 "${@:4}" "$3" >"$D/ping.log" 2>&1 ||
    fail "$2 of $1 does not reach $3: $(tail -n 2 "$D/ping.log")"
}

# load INSTANCE CONTAINER ADDRESS IPERF3-ARGUMENT...
load() {
  local figure
  docker "$1" exec "$2" iperf3 -c "$3" -t 2 -J "${@:4}" >"$D/iperf.json"
  figure=$(python3 "$here/iperf.py" "$D/iperf.json")
  note "$2 to $3, iperf3 ${*:4}: $figure"
}

# ---- the end -------------------------------------------------------------------------------------------------------

# In place of `the_end`: control groups outlive the lab, and go when their last process has gone.
engines_end() {
  local status=$? at
  lab_down
  for at in /sys/fs/cgroup /sys/fs/cgroup/*; do
    lab_wait_for 10 "$at/$group goes" group_goes "$at/$group" || status=1
  done
  (exit "$status")
  the_end
}
trap engines_end EXIT

group_goes() {
  [ -d "$1" ] || return 0
  find "$1" -name cgroup.procs -exec cat {} + | sort -u | grep -vx 0 | xargs -r kill -KILL
  find "$1" -depth -type d -exec rmdir {} +
  [ ! -d "$1" ]
}
