#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# without_ipsec_mb_test.sh - a build that is not to use libipsec-mb works, and its program does not need the library.
# Configures and builds module crypto and its tests anew in build/without-ipsec-mb. Prints `ok NAME` or
# `not ok NAME: why` for each case; status 0 when every one holds.
# shellcheck disable=SC2317  # cases are called by name
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tree=build/without-ipsec-mb
log=$tree.log
mkdir -p build
status=0
case_of() {  # case_of NAME COMMAND...
  local name=$1
  shift
  if "$@" >>"$log" 2>&1; then
    echo "ok $name"
  else
    echo "not ok $name: see $log"
    tail -n 20 "$log"
    status=1
  fi
}
: >"$log"

configures_and_builds() {
  cmake -S . -B "$tree" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DLANLOOM_IPSEC_MB=OFF &&
    cmake --build "$tree" --target test_crypto -j 2
}
does_not_link_it() {
  local needed
  needed=$(readelf -d "$tree/tests/test_crypto")
  grep -q 'NEEDED.*libsodium' <<<"$needed" && ! grep -qi 'ipsec' <<<"$needed"
}
case_of configures_and_builds configures_and_builds
case_of does_not_link_it does_not_link_it
case_of its_tests_pass "$tree/tests/test_crypto" --test-case="*gcm_engine*,*key*,*AES*,*ChaCha*"
exit "$status"
