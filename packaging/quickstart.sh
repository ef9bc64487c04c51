#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# quickstart.sh - from a fresh Debian or Ubuntu to a built, tested or demonstrated lanloom in one command.
#
#   packaging/quickstart.sh build            install what the build needs, build build/release/lanloom
#   packaging/quickstart.sh test [--long]    and run every test; the last line counts them
#   packaging/quickstart.sh demo [--shell]   and show two hosts joined, in network namespaces
#
# Run by sudo it is root only for packages, namespaces and interfaces; what it builds belongs to the user who called
# sudo. What is installed or built already is left alone, also without network. It asks nothing, starts no service and
# never touches the machine's own network.
set -euo pipefail
set -m  # every step is a process group of its own, so that Ctrl-C can end all of it

build_packages=(g++ cmake ninja-build pkg-config libboost-dev libsodium-dev libcli11-dev libspdlog-dev
  libtomlplusplus-dev nlohmann-json3-dev libmnl-dev libseccomp-dev doctest-dev)
optional_packages=(libipsec-mb-dev)  # AES-256-GCM several times faster; x86-64 only, and not everywhere
run_packages=(nftables iproute2 iptables iputils-ping iperf3 tcpdump ethtool procps util-linux python3)
test_packages=(clang python3-cryptography)  # and the runtime of that clang, see clang_runtime
cmake_needed=3.25

cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  sed -n '5,7s/^#   //p' "${BASH_SOURCE[0]}" >&2
  exit 2
}

fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

# ---- who does what -------------------------------------------------------------------------------------------------

as_user=()  # put before a command that needs no root
owner=$(id -un)

choose_user() {
  local caller=${SUDO_USER:-root}
  if [ "$(id -u)" -ne 0 ] || [ "$caller" = root ] || ! id -u "$caller" >/dev/null 2>&1; then return; fi
  local home
  home=$(getent passwd "$caller" | cut -d: -f6)
  local prefix=(setpriv --reuid="$caller" --regid="$(id -g "$caller")" --init-groups env HOME="$home" USER="$caller" LOGNAME="$caller")
  if ! "${prefix[@]}" test -r "$PWD/CMakeLists.txt"; then
    echo "$caller cannot read $PWD: building as root"
    return
  fi
  as_user=("${prefix[@]}")
  owner=$caller
}

need_root() {
  [ "$(id -u)" -eq 0 ] || { printf '%s\n' "$1: run  sudo packaging/quickstart.sh $command" >&2; exit 4; }
}

# build/ and all in it belong to the owner, also when an earlier run was by somebody else.
prepare_build_directory() {
  if [ ! -d build ]; then
    if [ "$(id -u)" -eq 0 ]; then install -d -o "$owner" -g "$(id -g "$owner")" build; else mkdir build; fi
  fi
  if [ "$(id -u)" -eq 0 ] && [ -n "$(find build ! -user "$owner" -print -quit)" ]; then
    chown -hR "$owner:$(id -g "$owner")" build
  fi
  log=build/quickstart.log
  "${as_user[@]}" tee "$log" </dev/null >/dev/null 2>&1 ||
    fail "$owner cannot write to build/: run  sudo packaging/quickstart.sh $command  once, which gives it back"
}

# ---- steps ---------------------------------------------------------------------------------------------------------

log=/dev/null
job=0

stop() {
  local status=$?
  trap - EXIT INT TERM HUP
  if [ "$job" -ne 0 ]; then
    echo "stopped" >&2
    kill -TERM -- "-$job" 2>/dev/null || true
    for _ in $(seq 100); do
      kill -0 -- "-$job" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL -- "-$job" 2>/dev/null || true
  fi
  exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# step TEXT COMMAND...: one line; the command's output goes to the log, whose end is shown when it fails.
step() {
  local text=$1 status=0 began=$SECONDS marker
  shift
  printf '%-64s ' "$text"
  marker=$(wc -l <"$log")
  printf -- '---- %s\n' "$text" >>"$log"
  "$@" </dev/null >>"$log" 2>&1 &
  job=$!
  wait "$job" || status=$?
  job=0
  if [ "$status" -eq 0 ]; then
    printf 'done, %d s\n' "$((SECONDS - began))"
    return
  fi
  printf 'FAILED (status %d)\n' "$status"
  tail -n "+$((marker + 2))" "$log" | tail -n 40 | sed 's/^/    /'
  fail "$text failed; all of its output is in $log"
}

# ---- packages ------------------------------------------------------------------------------------------------------

updated=no
reconfigure=no  # something was installed that an earlier configuration did not find

installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

ensure_packages() {
  local missing=() package
  for package in "$@"; do installed "$package" || missing+=("$package"); done
  [ "${#missing[@]}" -gt 0 ] || return 0
  need_root "packages are missing (${missing[*]})"
  # No question, no service restarted behind the user's back, and patience with somebody else's apt.
  local apt=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 apt-get -o DPkg::Lock::Timeout=300)
  if [ "$updated" = no ]; then
    step "packages: fetch the list" "${apt[@]}" update
    updated=yes
  fi
  printf 'missing: %s\n' "${missing[*]}"
  step "packages: install ${#missing[@]}" "${apt[@]}" install -y --no-install-recommends "${missing[@]}"
}

# What makes the build better but is not needed: its absence, or that it cannot be fetched now, fails nothing.
ensure_optional_packages() {
  local package candidate
  [ "$(uname -m)" = x86_64 ] || return 0
  for package in "$@"; do
    if installed "$package"; then continue; fi
    candidate=$(apt-cache policy "$package" 2>/dev/null | sed -n 's/^  Candidate: //p')
    if [ -z "$candidate" ] || [ "$candidate" = "(none)" ]; then
      echo "$package is not in this distribution: building without it"
    elif [ "$(id -u)" -ne 0 ]; then
      echo "$package is not installed, so building without it (sudo packaging/quickstart.sh $command  would install it)"
    else
      if (ensure_packages "$package"); then reconfigure=yes; else echo "$package cannot be installed now: building without it"; fi
    fi
  done
}

# The sanitizer and fuzzer runtimes are a package of their own, one for each version of clang.
clang_runtime() {
  local version
  version=$(dpkg-query -W -f '${Version}' clang)
  version=${version#*:}
  echo "libclang-rt-${version%%.*}-dev"
}

need_cmake() {
  local version
  version=$(cmake --version | sed -n '1s/.* //p')
  [ "$(printf '%s\n' "$cmake_needed" "$version" | sort -V | head -n 1)" = "$cmake_needed" ] ||
    fail "cmake $version is too old, $cmake_needed is needed (Debian 12, Ubuntu 24.04 and later have it)"
}

# ---- build ---------------------------------------------------------------------------------------------------------

# As many compilers as there are processors, but each wants a gigabyte.
compilers() {
  local processors gigabytes
  processors=$(nproc)
  gigabytes=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
  if [ "$gigabytes" -lt "$processors" ]; then processors=$gigabytes; fi
  echo "$((processors > 0 ? processors : 1))"
}

# build PRESET [TARGET]
build() {
  local preset=$1 target=${2:-all}
  if [ "$reconfigure" = yes ] || [ ! -f "build/$preset/build.ninja" ] || [ CMakePresets.json -nt "build/$preset/build.ninja" ]; then
    step "configure: $preset" "${as_user[@]}" cmake --preset "$preset"
  fi
  step "build: $preset" "${as_user[@]}" cmake --build --preset "$preset" --target "$target" -j "$(compilers)"
}

# ---- commands ------------------------------------------------------------------------------------------------------

[ $# -ge 1 ] || usage
command=$1
shift
long=no
case "$command $*" in
  "build " | "test " | "demo " | "demo --shell") ;;
  "test --long") long=yes ;;
  *) usage ;;
esac
command -v apt-get >/dev/null || fail "this script knows Debian and Ubuntu; elsewhere see the packages at its top and run: cmake --preset release && cmake --build --preset release"
if [ "$command" = demo ]; then need_root "the demo makes network namespaces"; fi

choose_user
prepare_build_directory

case $command in
  build)
    ensure_packages "${build_packages[@]}"
    ensure_optional_packages "${optional_packages[@]}"
    need_cmake
    build release lanloom
    ;;
  demo)
    ensure_packages "${build_packages[@]}" "${run_packages[@]}"
    ensure_optional_packages "${optional_packages[@]}"
    need_cmake
    build release lanloom
    trap - EXIT INT TERM HUP
    exec packaging/demo.sh "$@"
    ;;
  test)
    ensure_packages "${build_packages[@]}" "${run_packages[@]}" "${test_packages[@]}"
    ensure_packages "$(clang_runtime)"
    ensure_optional_packages "${optional_packages[@]}"
    need_cmake
    build release
    build asan tests
    if compgen -G 'tests/fuzz/*_fuzz.cpp' >/dev/null; then build fuzz fuzzers; fi
    if [ "$long" = yes ]; then build clang; fi
    trap - EXIT INT TERM HUP
    exec tests/run.sh "$@"
    ;;
esac
