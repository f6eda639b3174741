#!/usr/bin/env bash
# Runs every fuzzer of a build for some time, as many at once as there are processors:
#   cmake/run_fuzzers.sh [BUILD_DIRECTORY]      (default: build/fuzz, from `cmake --preset fuzz`; build/asan has them too)
# FUZZ_SECONDS    for each (default: 60)
# It starts from the corpus in the repository and adds nothing to it. A crash, a leak, a timeout of one input or too much
# memory is a failure; the input that does it is kept in BUILD_DIRECTORY/crashes.
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/fuzz}
export FUZZ_SECONDS=${FUZZ_SECONDS:-60}
export crashes=$build/crashes
mkdir -p "$crashes"
rm -f "$crashes"/*

one() {  # FUZZER
  local name corpus work log
  name=$(basename "$1" _fuzzer)
  work=$(mktemp -d "${TMPDIR:-/tmp}/nucleus-fuzz.XXXXXX")
  log=$work/log
  corpus=("$work/found")
  mkdir "$work/found"
  for directory in {base,oci-config,policies,runtime,shim,front}/fuzz-corpus/"$name"; do
    [[ ! -d $directory ]] || corpus+=("$directory")
  done
  # These read a whole config.json as well.
  [[ $name != plan ]] || corpus+=(oci-config/fuzz-corpus/parse)
  local status=0
  "$1" -max_total_time="$FUZZ_SECONDS" -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$crashes/$name-" \
    "${corpus[@]}" >"$log" 2>&1 || status=$?
  local runs
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  if ((status == 0)) && [[ ${runs:-0} -gt 0 ]]; then
    printf 'ok   %s: %s inputs\n' "$name" "$runs"
  else
    printf 'FAIL %s: status %s\n' "$name" "$status"
    tail -n 60 "$log"
    status=1
  fi
  rm -rf "$work"
  return "$status"
}
export -f one

mapfile -t fuzzers < <(find "$build" -name '*_fuzzer' -type f | sort)
if ((${#fuzzers[@]} == 0)); then
  echo "run_fuzzers.sh: no fuzzer in $build" >&2
  exit 1
fi
printf '%s\n' "${fuzzers[@]}" | xargs -P "$(nproc)" -I '{}' bash -c 'set -euo pipefail; one "$1"' _ '{}'
