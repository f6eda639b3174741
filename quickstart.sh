#!/usr/bin/env bash
# Builds nucleus and takes a container through its life. Debian 12, as root. Exits non-zero when anything is not as it
# should be, and leaves nothing but the build behind.
set -euo pipefail
cd "$(dirname "$0")"

./setup.sh build

work=$(mktemp -d "${TMPDIR:-/tmp}/nucleus-quickstart.XXXXXX")
nucleus=$PWD/build/release/shim/nucleus
cleanup() {
  if [[ -x $nucleus ]]; then
    for id in hello box; do
      "$nucleus" --root "$work/state" delete --force "$id" || true
    done
  fi
  rm -rf "$work"
}
trap cleanup EXIT

fail() {
  echo "quickstart.sh: $*" >&2
  exit 1
}

quietly() {  # COMMAND...: its output only when it fails
  "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "failed: $*"; }
}

# Where it is installed, as test.sh does it: a second clone compiles only what differs.
if command -v ccache >/dev/null; then
  export CMAKE_C_COMPILER_LAUNCHER=ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=1
fi
echo "Building build/release/shim/nucleus ..."
quietly cmake --preset release
quietly cmake --build --preset release

# A bundle: busybox as the root filesystem, and config.json as `nucleus spec` writes it, with another process.
mkdir -p "$work/bundle/rootfs/bin"
cp /bin/busybox "$work/bundle/rootfs/bin/"
chroot "$work/bundle/rootfs" /bin/busybox --install -s /bin

show() {  # ARGUMENTS...: prints the command and runs it; what it prints is in $out as well
  echo "\$ nucleus $*"
  "$nucleus" --root "$work/state" "$@" </dev/null >"$work/out" || fail "nucleus $* exits with $?"
  out=$(<"$work/out")
  [[ -z $out ]] || echo "$out"
}

process() {  # SCRIPT: config.json for sh -c SCRIPT
  rm -f config.json
  "$nucleus" spec
  sed -i -e 's/"terminal": true/"terminal": false/' -e "s#^\( *\)\"sh\"\$#\1\"sh\", \"-c\", \"${1//&/\\&}\"#" config.json
  grep -qF -- "$1" config.json || fail "config.json is not as expected"
}

status() {
  "$nucleus" --root "$work/state" state box | sed -n 's/^ *"status": "\(.*\)",$/\1/p'
}

cd "$work/bundle"
show --version
[[ $out == "nucleus version "* ]] || fail "unexpected version"

# shellcheck disable=SC2016  # the container's shell expands this
process 'echo Hello from $(hostname), I am process $$.'
show run hello
[[ $out == "Hello from nucleus, I am process 1." ]] || fail "unexpected output of run"

process 'trap exit TERM; sleep 3600 & wait'
# Its output is not read to the end here: the container keeps the descriptor.
echo '$ nucleus create box'
"$nucleus" --root "$work/state" create box </dev/null >"$work/box.out" 2>&1 || { cat "$work/box.out"; fail "create failed"; }
show state box
[[ $(status) == created ]] || fail "the container should be created"
show start box
[[ $(status) == running ]] || fail "the container should be running"
show list
[[ $out == *box*running* ]] || fail "list should show the container"
show exec box ps
[[ $out == *"sleep 3600"* ]] || fail "ps in the container should show its process"
show kill box TERM
# The process ends in its own time.
for ((i = 0; i < 100; i++)); do
  [[ $(status) == stopped ]] && break
  sleep 0.1
done
[[ $(status) == stopped ]] || fail "the container should have stopped"
show delete box
show list --quiet
[[ -z $out ]] || fail "there should be no container left"
[[ -z $(ls -A "$work/state") ]] || fail "delete left something in the state root"

echo "Everything as it should be. nucleus is at build/release/shim/nucleus."
