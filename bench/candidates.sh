# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154  # what lab.sh and compare.sh set
#
# candidates.sh - what bench/compare.sh compares, each brought up the same way; sourced by it, after packaging/lab.sh.
#
#      A 192.168.60.6  w0 ================= w0  192.168.60.5 B
#      b<n> -- c<n> 10.100.<n>.1                10.100.<n>.2 c<n> -- b<n>
#
# A candidate has a number n. On each host its tunnel ends in a port of bridge b<n>, a container c<n> hangs on the same
# bridge, and all measuring is from container to container. Nothing differs but the tunnel.
#
#   wire_up                       the underlay of the measurements: one veth pair, without a bridge
#   candidate_up NAME KIND MTU [WHAT...]   kinds: lanloom CONFIGURATION-LINES, vxlan, fastd METHOD [PEER-LINES], tinc,
#                                 openvpn, python
#                                 fails when it cannot be had or does not carry, with the reason on stderr
#   candidate_ends NAME           sets from, to (places for lab_on) and address (of `to`)
#   candidate_pids NAME           its processes on both hosts

declare -gA number=() processes=()
own_address() { if [ "$1" = A ]; then echo 192.168.60.6; else echo 192.168.60.5; fi; }
other() { if [ "$1" = A ]; then echo B; else echo A; fi; }

wire_up() {
  ip link add name w0 netns A type veth peer name w0 netns B || return
  local host
  for host in A B; do
    lab_on "$host" ip addr add "$(own_address "$host")/24" dev w0 && lab_on "$host" ip link set w0 up || return
  done
  lab_wait_for 10 "the wire carries" lab_on A ping -q -c 1 -W 1 192.168.60.5
}

candidate_ends() {
  local n=${number[$1]}
  # shellcheck disable=SC2034  # for the caller
  from=A/c$n to=B/c$n address=10.100.$n.2
}

candidate_pids() {
  local pid
  for pid in ${processes[$1]}; do
    echo "$pid"
    pgrep -P "$pid" || true
  done
}

candidate_up() {
  local name=$1 kind=$2 mtu=$3 n=$((${#number[@]} + 1))
  shift 3
  number[$name]=$n
  processes[$name]=
  if [ "$kind" != lanloom ]; then bridges "$n" "$mtu" || return; fi
  "${kind}_up" "$name" "$n" "$mtu" "$@" &&
    container A "$n" "$mtu" && container B "$n" "$mtu" &&
    candidate_ends "$name" &&
    lab_wait_for 20 "$name carries" lab_on "$from" ping -q -c 1 -W 1 "$address"
}

bridges() {
  local host
  for host in A B; do
    lab_on "$host" ip link add "b$1" mtu "$2" type bridge mcast_snooping 0 && lab_on "$host" ip link set "b$1" up || return
  done
}

container() { # container HOST NUMBER MTU
  local last=1
  if [ "$1" = B ]; then last=2; fi
  lab_on "$1" ip netns add "c$2" &&
    lab_on "$1" ip link add "v$2" mtu "$3" type veth peer name eth0 mtu "$3" netns "c$2" &&
    lab_on "$1" ip link set "v$2" master "b$2" up &&
    lab_on "$1/c$2" ip link set lo up &&
    lab_on "$1/c$2" ip link set eth0 up &&
    lab_on "$1/c$2" ip addr add "10.100.$2.$last/24" dev eth0
}

# port HOST NUMBER INTERFACE MTU: what a daemon made is plugged in, once it is there.
port() {
  lab_wait_for 10 "$3 appears" lab_on "$1" ip link show "$3" &&
    lab_on "$1" ip link set "$3" mtu "$4" master "b$2" up
}

daemon() { # daemon NAME HOST LOG COMMAND...
  local name=$1
  lab_start "$2" "$lab_dir/$3" "${@:4}"
  processes[$name]+=" $lab_pid"
}

# ---- lanloom: the rest of the arguments are lines of its configuration ------------------------------------------------

lanloom_up() {
  local name=$1 n=$2 mtu=$3 host line directory program=$LANLOOM
  if [[ $name == lanloom-identity* ]]; then program=$identity_program; fi
  local -A key=()
  for host in A B; do
    mkdir -p "$lab_dir/$n/$host"
    key[$host]=$("$LANLOOM" genkey -o "$lab_dir/$n/$host/c$n.key") || return
  done
  for host in A B; do
    directory=$lab_dir/$n/$host
    {
      printf '[node]\nname = "%s"\nprivate_key = "c%s.key"\nlisten = "%s:%d"\n' "$host" "$n" "$(own_address "$host")" $((4780 + n))
      for line in "${@:4}"; do [[ $line != cipher* ]] || echo "$line"; done
      printf '[tap]\nname = "t%s"\nmtu = %s\n[bridge]\nname = "b%s"\n' "$n" "$mtu" "$n"
      for line in "${@:4}"; do [[ $line = cipher* ]] || echo "$line"; done
      printf '[[peer]]\nname = "other"\npublic_key = "%s"\nendpoint = "%s:%d"\n' "${key[$(other "$host")]}" \
        "$(own_address "$(other "$host")")" $((4780 + n))
    } >"$directory/c$n.toml"
    "$program" check "$directory/c$n.toml" >"$lab_dir/$n/check.log" 2>&1 || { tail -n 1 "$lab_dir/$n/check.log" >&2; return 1; }
  done
  for host in A B; do
    daemon "$name" "$host" "$n/$host.log" "$program" up "$lab_dir/$n/$host/c$n.toml"
    lab_wait_for 20 "$name on $host is ready" grep -q ': ready in' "$lab_dir/$n/$host.log" || return
  done
}

# ---- the others -------------------------------------------------------------------------------------------------------

vxlan_up() {
  local n=$2 host
  for host in A B; do
    lab_on "$host" ip link add "t$n" type vxlan id "$n" dstport $((14780 + n)) local "$(own_address "$host")" \
      remote "$(own_address "$(other "$host")")" && port "$host" "$n" "t$n" "$3" || return
  done
}

fastd_up() {
  local name=$1 n=$2 mtu=$3 method=$4 more=${5:-} host keys
  local -A secret=() public=()
  command -v fastd >/dev/null || { echo "fastd is neither installed nor to be downloaded" >&2; return 1; }
  for host in A B; do
    keys=$(fastd --generate-key 2>/dev/null)
    secret[$host]=$(sed -n 's/^Secret: //p' <<<"$keys") public[$host]=$(sed -n 's/^Public: //p' <<<"$keys")
  done
  for host in A B; do
    cat >"$lab_dir/fastd-$n-$host.conf" <<CONF
log level warn; mode tap; interface "t$n"; mtu $mtu; method "$method"; bind $(own_address "$host"):$((10000 + n));
secret "${secret[$host]}"; peer "other" { key "${public[$(other "$host")]}"; remote $(own_address "$(other "$host")"):$((10000 + n)); $more }
CONF
    daemon "$name" "$host" "fastd-$n-$host.log" fastd -c "$lab_dir/fastd-$n-$host.conf"
    port "$host" "$n" "t$n" "$mtu" || return
  done
}

tinc_up() {
  local name=$1 n=$2 host directory
  command -v tincd >/dev/null || { echo "tinc is neither installed nor to be downloaded" >&2; return 1; }
  for host in A B; do
    directory=$lab_dir/tinc-$n-$host
    mkdir -p "$directory/hosts"
    printf 'Name = %s\nMode = switch\nDeviceType = tap\nInterface = t%s\nConnectTo = %s\n' "$host" "$n" "$(other "$host")" >"$directory/tinc.conf"
    printf 'Address = %s\nPort = %d\nCipher = aes-256-cbc\nDigest = sha256\n' "$(own_address "$host")" $((6550 + n)) >"$directory/hosts/$host"
    tincd -c "$directory" -K2048 </dev/null >"$lab_dir/tinc-$n-$host.log" 2>&1 || { tail -n 1 "$lab_dir/tinc-$n-$host.log" >&2; return 1; }
  done
  cp "$lab_dir/tinc-$n-A/hosts/A" "$lab_dir/tinc-$n-B/hosts/" && cp "$lab_dir/tinc-$n-B/hosts/B" "$lab_dir/tinc-$n-A/hosts/"
  for host in A B; do
    directory=$lab_dir/tinc-$n-$host
    daemon "$name" "$host" "tinc-$n-$host.log" tincd -c "$directory" -D --pidfile="$directory/pid"
    port "$host" "$n" "t$n" "$3" || return
  done
}

# Certificates of its own for each side, known to the other by fingerprint.
openvpn_up() {
  local name=$1 n=$2 host role
  local -A print=()
  command -v openvpn >/dev/null || { echo "openvpn is neither installed nor to be downloaded" >&2; return 1; }
  for host in A B; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$host" \
      -keyout "$lab_dir/vpn-$host.key" -out "$lab_dir/vpn-$host.crt" >/dev/null 2>&1 || { echo "openssl makes no certificate" >&2; return 1; }
    print[$host]=$(openssl x509 -in "$lab_dir/vpn-$host.crt" -noout -fingerprint -sha256 | sed 's/.*=//')
  done
  for host in A B; do
    role=(--tls-server --dh none)
    if [ "$host" = B ]; then role=(--tls-client); fi
    daemon "$name" "$host" "openvpn-$host.log" openvpn --dev "t$n" --dev-type tap \
      --proto udp4 --local "$(own_address "$host")" --remote "$(own_address "$(other "$host")")" --port $((11940 + n)) "${role[@]}" \
      --cert "$lab_dir/vpn-$host.crt" --key "$lab_dir/vpn-$host.key" --peer-fingerprint "${print[$(other "$host")]}" \
      --data-ciphers AES-256-GCM --cipher AES-256-GCM --tun-mtu "$3" --mssfix 0 --sndbuf 0 --rcvbuf 0 --ping 10 --verb 1
    port "$host" "$n" "t$n" "$3" || return
  done
}

python_up() {
  local name=$1 n=$2 host
  for host in A B; do
    daemon "$name" "$host" "python-$host.log" python3 "$bench/peers/tunnel.py" "t$n" "$(own_address "$host")" \
      "$(own_address "$(other "$host")")" $((12000 + n))
    port "$host" "$n" "t$n" "$3" || return
  done
}
