# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# partners.sh - programs of others that something here is measured against: from the PATH, else their Debian package and
# what it needs is downloaded and unpacked below build/tools. Never installed: that would start services on this host.
#
#   partner_find PROGRAM PACKAGE   sets program_of[PROGRAM], empty when it can be had neither way
#   partner PROGRAM ARGUMENTS...   runs it; "${partner_environment[@]}" goes in front of it elsewhere

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/tools
declare -gA program_of=()
partner_environment=(env "LD_LIBRARY_PATH=$tools/lib")

partner_find() {
  local program=$1 package=$2 at
  program_of[$program]=$(PATH=$PATH:/usr/sbin:/sbin command -v "$program" || true)
  [ -z "${program_of[$program]}" ] || return 0
  if [ ! -d "$tools/$package" ]; then
    mkdir -p "$tools/lib"
    partner_fetch "$package" || { rm -rf "${tools:?}/$package"; return 0; }
  fi
  for at in usr/sbin usr/bin; do
    if [ -x "$tools/$package/$at/$program" ]; then program_of[$program]=$tools/$package/$at/$program; fi
  done
}

partner_fetch() {
  local package=$1 needed one
  command -v apt-get >/dev/null || return
  mkdir "$tools/$package"
  needed=("$package")
  while read -r one; do
    dpkg-query -W -f '${db:Status-Status}' "$one" 2>/dev/null | grep -qx installed || needed+=("$one")
  done < <(apt-cache depends --no-recommends --no-suggests "$package" 2>/dev/null | sed -nE 's/^ +Depends: (lib[^ ]+)$/\1/p')
  (
    cd "$tools/$package" || exit
    timeout 120 apt-get download "${needed[@]}" >/dev/null 2>&1 || exit
    for one in ./*.deb; do dpkg -x "$one" . || exit; done
    rm -f ./*.deb
    find . -name 'lib*.so.*' -exec cp -P {} "$tools/lib/" \;
  )
}

partner() { "${partner_environment[@]}" "${program_of[$1]}" "${@:2}"; }
