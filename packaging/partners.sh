# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# partners.sh - programs of others that tests and bench/ run beside lanloom. Sourced, bash only:
#
#   partner fastd fastd || exit                     # package, then what is needed of it: names, or files with a /
#   partner containernetworking-plugins /usr/lib/cni/bridge
#   "$(partner_file containernetworking-plugins /usr/lib/cni/bridge)"
#
# 1. What the host has is used. Else the Debian package, and whatever it depends on and the host lacks, is downloaded
#    and unpacked below build/tools/PACKAGE: never installed, which would start services and write firewall rules.
# 2. That happens once; afterwards no network is needed. It must not be inside the lab, which hides the resolver's file.
# 3. PATH, LD_LIBRARY_PATH and PYTHONPATH then lead there. `partner` returns 1 and says why when something is still missing.

partners=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/tools

partner() {
  local package=$1 tools=$partners/$1
  shift
  if partner_has "$package" "$@"; then return; fi
  [ -d "$tools" ] || partner_fetch "$package" || { echo "$package is neither installed nor to be downloaded" >&2; return 1; }
  PATH=$tools/usr/sbin:$tools/usr/bin:$tools/sbin:$tools/bin:$PATH
  LD_LIBRARY_PATH=$tools/usr/lib/$(uname -m)-linux-gnu:$tools/lib/$(uname -m)-linux-gnu${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  PYTHONPATH=$tools/usr/lib/python3/dist-packages${PYTHONPATH:+:$PYTHONPATH}
  export PATH LD_LIBRARY_PATH PYTHONPATH
  partner_has "$package" "$@" || { echo "$tools does not hold all of: $*; remove it to have it made again" >&2; return 1; }
}

partner_has() {
  local package=$1 thing
  for thing in "${@:2}"; do
    case $thing in
      */*) [ -e "$(partner_file "$package" "$thing")" ] || return ;;
      *) command -v "$thing" >/dev/null || return ;;
    esac
  done
}

partner_file() { if [ -e "$2" ]; then echo "$2"; else echo "$partners/$1$2"; fi; }

# A lock, as tests may run side by side; a new name at the end, so that half a download is never taken for a whole one.
partner_fetch() {
  mkdir -p "$partners" && (
    exec 9>"$partners/lock" && flock 9 || exit
    [ ! -d "$partners/$1" ] || exit 0
    partial=$partners/$1.partial
    rm -rf "$partial"
    mkdir "$partial" && cd "$partial" || exit
    partner_download "$1" || { apt-get -q update && partner_download "$1"; } || exit
    for deb in *.deb; do dpkg -x "$deb" . || exit; done
    rm -f -- *.deb
    mv "$partial" "$partners/$1"
  ) >"$partners/$1.log" 2>&1
}

# What an installation would add here. Debian 13 and Ubuntu have docker in a package of its own.
partner_download() {
  local wanted=("$1") names
  if [ "$1" = docker.io ] && apt-cache show docker-cli >/dev/null 2>&1; then wanted+=(docker-cli); fi
  names=$(apt-get -s install --no-install-recommends "${wanted[@]}" | sed -nE 's/^Inst ([^ ]+) \(.*/\1/p') &&
    [ -n "$names" ] && xargs apt-get -q download <<<"$names"
}
