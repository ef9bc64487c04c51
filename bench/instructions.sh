#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# instructions.sh - instructions of core for each byte of a frame, there and back out, all but the cipher: a figure that
# does not move with the machine's load, to compare two commits by. Needs valgrind and a build with -DLANLOOM_BENCH=ON;
# the cipher is replaced by a copy, because valgrind knows no AVX-512 and would measure another one.
set -euo pipefail
program=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/release/bench/bench_without_cipher
[ -x "$program" ] || { echo "$program is not built: cmake --preset release -DLANLOOM_BENCH=ON && cmake --build --preset release" >&2; exit 1; }
command -v valgrind >/dev/null || { echo "instructions.sh needs valgrind" >&2; exit 1; }
rounds=200 headers=54 # as lane_bench.cpp has them

count() { # count PAYLOAD WHAT
  local collected output
  output=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='lanloom::core::lane::on_frame*' \
    --toggle-collect='lanloom::core::lane::on_datagrams*' "$program" \
    --benchmark_filter="^there_and_back_out/counted/$1/1346/" 2>&1)
  if grep -q 'ERROR OCCURRED' <<<"$output"; then
    printf '%-28s not in this build\n' "$2"
    return
  fi
  collected=$(sed -nE 's/.*Collected *: *([0-9]+).*/\1/p' <<<"$output")
  awk -v n="$collected" -v rounds=$rounds -v size=$(($1 + headers)) -v what="$2" \
    'BEGIN { printf "%-28s %8.0f instructions a frame, %6.3f a byte\n", what, n / rounds, n / rounds / size }'
}

count 64 "64 bytes of payload"
count 1346 "1346 bytes of payload"
count $((45 * 1346)) "super-frame of 45 segments"
