#!/usr/bin/env bash
# Everything that is checked, on Debian 12 as root: formatting, clang's warnings, the unit tests under sanitizers,
# clang-tidy, the fuzzers (FUZZ_SECONDS each), then all tests of the dev build. Stops at the first part that fails; the
# last lines are ctest's summary.
set -euo pipefail
cd "$(dirname "$0")"

./setup.sh build test vm

# A second run compiles only what has changed, in each of the builds.
export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
jobs=$(nproc)
export CMAKE_BUILD_PARALLEL_LEVEL=$jobs
log=$(mktemp "${TMPDIR:-/tmp}/nucleus-test.XXXXXX")
trap 'rm -f "$log" "$log.summary"' EXIT

part() {
  printf '\n== %s (%d:%02d)\n' "$1" $((SECONDS / 60)) $((SECONDS % 60))
}

build() {  # PRESET: what it prints only when it fails
  { cmake --preset "$1" && cmake --build --preset "$1"; } >"$log" 2>&1 || { cat "$log"; return 1; }
}

part "formatting: clang-format"
find base bench cmake conformance front oci-config policies runtime shim \( -name '*.cpp' -o -name '*.h' -o -name '*.c' \) \
  -exec clang-format-19 --dry-run -Werror {} +

part "clang 19: its warnings, and the unit tests under AddressSanitizer and UndefinedBehaviorSanitizer"
build asan  # the fuzzers too: instrumented for them, the libraries are compiled once for both
UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
  ctest --test-dir build/asan --output-on-failure --no-tests=error -j "$jobs" -R '^unit\.'

part "clang-tidy"
cmake/run_tidy.py build/asan

part "fuzzers: each for ${FUZZ_SECONDS:=60} s"
export FUZZ_SECONDS
cmake/run_fuzzers.sh build/asan

part "all tests"
build dev
# A test that fails is run once more: the host's own tools (pasta, podman, runsc) fail now and then on a busy machine. What
# passed only then is counted and told below with what it said. ctest's summary is held back until that and the skipped
# tests are told.
status=0
ctest --test-dir build/dev --output-on-failure --no-tests=error -j "$jobs" --repeat until-pass:2 |
  awk -v summary="$log.summary" -v failed="$log" 'BEGIN { printf "" >failed }
    /Test +#[0-9]+: .*[*][*][*](Failed|Timeout|Exception|Not Run)/ { print >failed }
    /^[0-9]+% tests passed/ { held = 1 }
    held { print >summary; next }
    { print; fflush() }' ||
  status=$?

results=build/dev/Testing/Temporary/LastTest.log
skipped=$(grep -ac '^SKIP ' "$results" || true)
part "skipped: $skipped"
grep -a '^SKIP ' "$results" || true
if [[ -s $log ]]; then
  part "failed at least once: $(wc -l <"$log")"
  cat "$log"
  grep -aE '^(FAIL|ERROR): |^[A-Za-z.]*(Error|Exception)\b|error: in "' "$results" | head -n 100 || true
fi
echo
cat "$log.summary"
exit "$status"
