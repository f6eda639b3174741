#!/usr/bin/env bash
# What a container costs, as ratios: nucleus beside runc, crun and the floor, in one interleaved run.
#   bench/start.sh            everything
#   ROUNDS=20 bench/start.sh  longer; NUCLEUS=PATH another binary; RUNC=PATH, CRUN=PATH likewise
# Needs root. Prints targets beside results and asserts nothing about time. How to read it: bench/README.md.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$project/build/release}
rounds=${ROUNDS:-8}      # each contestant gets its turn once in each
runs=${RUNS:-12}         # measured runs per turn, after two to warm up

if [[ ! -x $build/shim/nucleus || ! -x $build/bench/floor ]]; then
  "$project/setup.sh" build bench
  (cd "$project" && cmake --preset release >/dev/null && cmake --build --preset release --target nucleus floor bench_true peak -- -k 0) >&2 ||
    echo "start.sh: the release build failed; what it lacks is named below" >&2
fi
tools=$build/bench
work=$(mktemp -d /tmp/nucleus-bench.XXXXXX)
# The runtimes' state lies on a tmpfs, as /run is on every host with an init system.
states=$(mktemp -d /dev/shm/nucleus-bench.XXXXXX)
declare -A path=([nucleus]=${NUCLEUS:-$build/shim/nucleus} [runc]=${RUNC:-runc} [crun]=${CRUN:-crun})
contestants=()
running=()

finish() {
  for name in "${running[@]}"; do
    "${path[$name]}" --root "$states/$name" delete --force "bench-$$-exec-$name" >/dev/null 2>&1 || true
  done
  for name in "${contestants[@]}"; do
    "${path[$name]}" --root "$states/$name" delete --force "bench-$$-$name" >/dev/null 2>&1 || true
  done
  rm -rf "$work" "$states"
}
trap finish EXIT

# The bundle that `runc spec` writes, without a terminal, with a root of one static program.
make_bundle() {  # NAME JQ-FILTER
  mkdir -p "$work/$1/rootfs"/{bin,dev,proc,sys}
  cp "$tools/bench_true" "$work/$1/rootfs/bin/true"
  (cd "$work/$1" && "${path[runc]}" spec)
  python3 - "$work/$1/config.json" "$project/bench/seccomp.json" "$1" <<'PYTHON'
import json, sys
path, profile, name = sys.argv[1:]
config = json.load(open(path))
config["process"]["terminal"] = False
config["process"]["args"] = ["/bin/true"] + {"stay": ["stay"], "three": ["1", "2", "3"]}.get(name, [])
if name == "seccomp":
    config["linux"]["seccomp"] = json.load(open(profile))
json.dump(config, open(path, "w"), indent=2)
PYTHON
}
make_bundle plain
make_bundle seccomp
make_bundle stay
make_bundle three

runtime() {  # NAME ARGUMENT...
  echo "${path[$1]} --root $states/$1 ${*:2}"
}

# Who takes part: whoever can run the bundle. The others are named with what they said.
for name in nucleus runc crun; do
  mkdir -p "$states/$name"
  if ! command -v "${path[$name]}" >/dev/null; then
    echo "$name: missing (${path[$name]})" >>"$work/absent"
  elif ! $(runtime "$name" run --bundle "$work/plain" "bench-$$-$name") >"$work/said" 2>&1; then
    echo "$name: cannot run the bundle here: $(tail -n 1 "$work/said")" >>"$work/absent"
    $(runtime "$name" delete --force "bench-$$-$name") >/dev/null 2>&1 || true
  else
    # A program that does nothing would win every race: the process of this bundle ends with 3.
    status=0
    $(runtime "$name" run --bundle "$work/three" "bench-$$-$name") >"$work/said" 2>&1 || status=$?
    if ((status == 3)); then
      contestants+=("$name")
    else
      echo "$name: does not run containers: status $status instead of 3" >>"$work/absent"
    fi
  fi
done

measure() {  # SCENARIO NAME ROUND PREPARE COMMAND
  local prepare=()
  [[ -z $4 ]] || prepare=(--prepare "$4")
  hyperfine --shell=none --style none --warmup 2 --runs "$runs" "${prepare[@]}" \
    --export-json "$work/result.$1.$2.$3.json" "$5" >/dev/null 2>"$work/said" || {
    echo "$2: $1 failed: $(tail -n 1 "$work/said")" >>"$work/absent"
  }
}

for name in "${contestants[@]}"; do
  if $(runtime "$name" run --detach --bundle "$work/stay" "bench-$$-exec-$name") </dev/null >"$work/said" 2>&1; then
    running+=("$name")
  else
    echo "$name: no container to exec into: $(tail -n 1 "$work/said")" >>"$work/absent"
  fi
done

for ((round = 0; round < rounds; ++round)); do
  echo "round $((round + 1)) of $rounds" >&2
  # Everybody in turn, and in the other order each second round: what the machine does besides meets all alike.
  order=("${contestants[@]}" floor)
  if ((round % 2)); then
    mapfile -t order < <(printf '%s\n' "${order[@]}" | tac)
  fi
  for name in "${order[@]}"; do
    if [[ $name == floor ]]; then
      measure run floor "$round" "" "$tools/floor $work/plain/rootfs /bin/true"
      continue
    fi
    id=bench-$$-$name
    remove="sh -c '$(runtime "$name" delete --force "$id") 2>/dev/null || true'"
    create=$(runtime "$name" create --bundle "$work/stay" "$id")
    start=$(runtime "$name" start "$id")
    delete=$(runtime "$name" delete --force "$id")
    # A detached container keeps the streams that it was given: not those of hyperfine.
    quiet="</dev/null >/dev/null 2>&1"
    measure run "$name" "$round" "" "$(runtime "$name" run --bundle "$work/plain" "$id")"
    measure run+seccomp "$name" "$round" "" "$(runtime "$name" run --bundle "$work/seccomp" "$id")"
    measure create "$name" "$round" "$remove" "$create"
    measure start "$name" "$round" "sh -c '$delete $quiet || true; $create $quiet'" "$start"
    measure delete "$name" "$round" "sh -c '$delete $quiet || true; $create $quiet && $start'" "$delete"
    $delete >/dev/null 2>&1 || true
    if [[ " ${running[*]} " == *" $name "* ]]; then
      measure exec "$name" "$round" "" "$(runtime "$name" exec "bench-$$-exec-$name" /bin/true)"
    fi
  done
done

# Memory of the runtime's own process, and the size of its binary without symbols.
for name in "${contestants[@]}"; do
  for scenario in run run+seccomp exec; do
    case $scenario in
      run) arguments=(run --bundle "$work/plain" "bench-$$-$name") ;;
      run+seccomp) arguments=(run --bundle "$work/seccomp" "bench-$$-$name") ;;
      exec) arguments=(exec "bench-$$-exec-$name" /bin/true) ;;
    esac
    for _ in 1 2 3 4 5; do
      # shellcheck disable=SC2046  # words on purpose
      "$tools/peak" $(runtime "$name" "${arguments[@]}") 3>>"$work/peak.$scenario.$name" || true
    done
  done
  strip -o "$work/stripped" "$(command -v "${path[$name]}")"
  stat -c %s "$work/stripped" >"$work/size.$name"
  rm -f "$work/stripped"
done

echo "$(uname -sr), $(nproc) processors; $rounds rounds of $runs runs each; $(date -u +%F)"
python3 "$project/bench/ratios.py" "$work"
