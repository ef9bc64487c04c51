#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# layering_test.sh [ROOT] - holds the source tree to its layering table (ARCHITECTURE.md) and to the conventions that a
# machine can check. Prints `ok NAME` or `not ok NAME: why` for each rule, then plants one fault for each rule in a copy
# and expects the rule to find it. Reads text only: nothing need be built. Status 0 when every rule holds.
# shellcheck disable=SC2317  # rules and faults are called by name
set -euo pipefail
export LC_ALL=C.UTF-8

root=$(cd "${1:-$(dirname "${BASH_SOURCE[0]}")/..}" && pwd)

# ---- the table -----------------------------------------------------------------------------------------------------

# Which modules' public headers a module may include, and the libraries its CMake line may name, in that order.
modules=(base wire crypto core os app)
declare -A uses=(
  [base]="base"
  [wire]="base wire"
  [crypto]="base crypto"
  [core]="base wire crypto core"
  [os]="base os"
  [app]="base wire crypto core os app"
)
declare -A links=(
  [base]=""
  [wire]="lanloom_base"
  [crypto]="lanloom_base PkgConfig::sodium lanloom_ipsec_mb"
  [core]="lanloom_base lanloom_wire lanloom_crypto"
  [os]="lanloom_base PkgConfig::mnl PkgConfig::seccomp"
  [app]="lanloom_core lanloom_os Boost::headers spdlog::spdlog nlohmann_json::nlohmann_json CLI11::CLI11 Threads::Threads"
)

# Standard headers that a sans-IO module has no business with.
world='^(cerrno|condition_variable|csignal|cstdio|ctime|filesystem|fstream|future|iostream|mutex|semaphore|shared_mutex|stop_token|thread)$'

# What os and app may include of the system beside <linux/…>, <sys/…>, <net/…>, <netinet/…> and <arpa/…>.
system="dirent.h fcntl.h fnmatch.h grp.h ifaddrs.h netdb.h poll.h pwd.h sched.h signal.h spawn.h syslog.h termios.h time.h unistd.h"

longest=550

# ---- the rules: each prints one line for each fault it finds -------------------------------------------------------

# The C++ files of the product, as paths relative to the tree.
product_files() { find include src -name '*.hpp' -o -name '*.cpp' | sort; }

# "file module header" for every include. src/main.cpp is part of app.
includes() {
  local files
  mapfile -t files < <(product_files)
  awk '
    FNR == 1 {
      parts = split(FILENAME, part, "/")
      module = FILENAME == "src/main.cpp" ? "app" : part[1] == "include" ? part[3] : parts > 2 ? part[2] : "none"
    }
    /^[ \t]*#[ \t]*include[ \t]*[<"][^>"]*[>"]/ {
      header = $0
      sub(/^[^<"]*[<"]/, "", header)
      sub(/[>"].*$/, "", header)
      print FILENAME, module, header
    }' "${files[@]}"
}

among() { [[ " $2 " == *" $1 "* ]]; }

rule_modules() {
  local file module header used
  while read -r file module header; do
    case $header in
      *..*) echo "$file includes $header: a path upwards" ;;
      lanloom/*/*)
        used=${header#*/}
        among "${used%%/*}" "${uses[$module]:-}" || echo "$file: $module must not know $header"
        ;;
      *.hpp)
        case $header in
          boost/* | CLI/* | toml++/* | nlohmann/* | spdlog/* | fmt/*) ;;
          *) [ -f "src/$module/$header" ] || echo "$file includes $header, which is not a private header of $module" ;;
        esac
        ;;
    esac
  done < <(includes)
}

rule_libraries() {
  local file module header
  while read -r file module header; do
    case $header in
      lanloom/*) continue ;;
      sodium.h | sodium/* | intel-ipsec-mb.h) among "$module" "crypto" && continue ;;
      libmnl/* | seccomp.h) among "$module" "os" && continue ;;
      boost/* | spdlog/* | fmt/* | nlohmann/* | toml++/* | CLI/*) among "$module" "app" && continue ;;
      arpa/inet.h | netinet/in.h) among "$file" "src/base/endpoint.cpp src/base/ip_prefix.cpp" && continue
        among "$module" "os app" && continue ;;
      *.hpp) continue ;;
      linux/* | sys/* | net/* | netinet/* | arpa/*) among "$module" "os app" && continue ;;
      */*) ;; # a library that is nobody's yet
      *.h) among "$header" "$system" && among "$module" "os app" && continue ;;
      *) continue ;; # the standard library
    esac
    echo "$file: $header does not belong in $module"
  done < <(includes)
}

rule_sans_io() {
  local file module header
  while read -r file module header; do
    case $module in
      base | wire | crypto | core) ;;
      *) continue ;;
    esac
    if [[ $header =~ $world ]]; then echo "$file includes $header: $module does no input or output and has no threads"; fi
    case "$module $header" in
      "wire chrono" | "crypto chrono" | "wire lanloom/base/clock.hpp" | "crypto lanloom/base/clock.hpp") echo "$file includes $header: $module knows no time" ;;
    esac
  done < <(includes)
}

rule_no_clock_reading() {
  local files
  mapfile -t files < <(product_files | grep -E '^(src|include/lanloom)/(base|wire|crypto|core)/')
  grep -nE '(::|\.)now\(\)|clock_gettime|gettimeofday|[^_[:alnum:]]time\((nullptr|NULL|0|&)' \
    "${files[@]}" /dev/null | sed 's/$/   (who owns the loop reads the clock)/' || true
}

rule_link_edges() {
  local module line
  for module in "${modules[@]}"; do
    line=$(sed -nE "s/^lanloom_module\(${module} *(.*)\)$/\1/p" CMakeLists.txt)
    if [ "$(grep -cE "^lanloom_module\(${module}[ )]" CMakeLists.txt)" -ne 1 ]; then
      echo "CMakeLists.txt: not exactly one lanloom_module($module …)"
    elif [ "$line" != "${links[$module]}" ]; then
      echo "CMakeLists.txt: $module links '$line', the table says '${links[$module]}'"
    fi
  done
  grep -nE 'target_link_libraries\(lanloom_(base|wire|crypto|core|os|app)[ )]' CMakeLists.txt tests/CMakeLists.txt tests/*/CMakeLists.txt |
    sed 's/$/   (a second way to link)/' || true
  sed -nE 's/^lanloom_module\(([a-z_]+).*/\1/p' CMakeLists.txt | while read -r module; do
    among "$module" "${modules[*]}" || echo "CMakeLists.txt: module $module is not in the table"
  done
}

rule_file_length() {
  product_files | xargs awk -v longest="$longest" '
    FNR == longest + 1 { print FILENAME " has more than " longest " lines: a type is missing" }'
}

rule_no_using_namespace_in_headers() {
  local files
  mapfile -t files < <(product_files | grep '\.hpp$')
  grep -nE '^[[:space:]]*using[[:space:]]+namespace' "${files[@]}" /dev/null || true
}

rule_spdx_first() {
  find include src tests -name '*.hpp' -o -name '*.cpp' | sort | xargs awk '
    FNR == 1 && $0 != "// SPDX-License-Identifier: Apache-2.0" { print FILENAME " does not open with the SPDX line" }'
}

# bench/ has a cipher that does not encrypt: nothing outside may name what is in there, but to build it.
rule_bench_stays_apart() {
  grep -nE '(^|[^a-z])bench' CMakeLists.txt tests/CMakeLists.txt tests/*/CMakeLists.txt |
    grep -vE '^CMakeLists.txt:[0-9]+:(option\(LANLOOM_BENCH |  add_subdirectory\(bench\)$)' || true
  grep -rnE 'bench/|identity_cipher' include src || true
}

rules=(modules libraries sans_io no_clock_reading link_edges bench_stays_apart file_length no_using_namespace_in_headers spdx_first)

# ---- the faults: each breaks the tree it is run in so that its rule must find it ------------------------------------

append() { printf '%s\n' "$2" >>"$1"; }
any_of() { find "$1" -name "$2" | sort | head -n 1; }

plant_modules() { append "$(any_of include/lanloom/core '*.hpp')" '#include "lanloom/os/tap.hpp"'; }
plant_libraries() { append "$(any_of src/core '*.cpp')" '#include <sys/socket.h>'; }
plant_sans_io() { append "$(any_of src/core '*.cpp')" '#include <thread>'; }
plant_no_clock_reading() { append "$(any_of src/core '*.cpp')" 'auto at = std::chrono::steady_clock::now();'; }
plant_link_edges() { sed -i 's/^lanloom_module(core .*/lanloom_module(core lanloom_base lanloom_wire lanloom_crypto lanloom_os)/' CMakeLists.txt; }
plant_bench_stays_apart() { append CMakeLists.txt 'target_sources(lanloom PRIVATE bench/identity_cipher.cpp)'; }
plant_file_length() { seq 600 | sed 's|^|// |' >>"$(any_of src/app '*.cpp')"; }
plant_no_using_namespace_in_headers() { append "$(any_of include/lanloom/base '*.hpp')" 'using namespace std;'; }
plant_spdx_first() { sed -i 1d "$(any_of src/base '*.cpp')"; }

# ---- run -----------------------------------------------------------------------------------------------------------

status=0
verdict() {  # verdict NAME FAULTS
  if [ -z "$2" ]; then
    echo "ok $1"
  else
    echo "not ok $1: $(head -n 1 <<<"$2")$([ "$(wc -l <<<"$2")" -eq 1 ] || echo ", and $(($(wc -l <<<"$2") - 1)) more")"
    printf '# %s\n' "${2//$'\n'/$'\n# '}"
    status=1
  fi
}

cd "$root"
for rule in "${rules[@]}"; do verdict "$rule" "$("rule_$rule")"; done

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
missed=
for rule in "${rules[@]}"; do
  mkdir "$scratch/$rule"
  cp -r CMakeLists.txt include src tests "$scratch/$rule/"
  found=$(cd "$scratch/$rule" && before=$("rule_$rule" | wc -l) && "plant_$rule" && after=$("rule_$rule" | wc -l) && echo $((after - before)))
  [ "$found" -gt 0 ] || missed+="${missed:+$'\n'}the rule $rule did not see the fault planted for it"
done
verdict planted_faults_are_found "$missed"
exit "$status"
