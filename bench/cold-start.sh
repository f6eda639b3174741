#!/usr/bin/env bash
# What it costs to run one command in a sandbox: `nucleus sandbox`, beside bubblewrap with the same namespaces and mounts,
# unshare, and podman with runc and crun, interleaved.
#   bench/cold-start.sh             all of it
#   ROUNDS=20 RUNS=20 bench/cold-start.sh
# Needs root. Prints the target beside the result and asserts nothing about time. How to read it: bench/README.md.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$project/build/bench}
rounds=${ROUNDS:-8}
runs=${RUNS:-12}

if [[ ! -x $build/front/nucleus-front ]]; then
  "$project/setup.sh" build bench
  (cd "$project" && cmake --preset release -B "$build" -DNUCLEUS_OWN_HELPERS=ON >/dev/null &&
    cmake --build "$build" --target nucleus) >&2
fi
nucleus=$build/shim/nucleus
work=$(mktemp -d /tmp/nucleus-bench.XXXXXX)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"  # the printed bundle's root is another user's to enter

# The host's programs, read-only, as `nucleus sandbox` shows them.
bwrap=(bwrap --unshare-all --die-with-parent --proc /proc --dev /dev --tmpfs /dev/shm --tmpfs /tmp --tmpfs /home/user
  --chdir /home/user --hostname sandbox --ro-bind /usr /usr)
for path in /bin /sbin /lib /lib32 /lib64; do
  if [[ -L $path ]]; then
    bwrap+=(--symlink "$(readlink "$path")" "$path")
  elif [[ -d $path ]]; then
    bwrap+=(--ro-bind "$path" "$path")
  fi
done
for path in /etc/alternatives /etc/ssl/certs /etc/ld.so.cache /etc/java-17-openjdk; do
  [[ -e $path ]] && bwrap+=(--ro-bind "$path" "$path")
done

mkdir -p "$work/rootfs"/{bin,dev,proc,sys,etc,run,tmp,var/tmp}
cp /bin/busybox "$work/rootfs/bin/true"

declare -A command=(
  [sandbox]="$nucleus sandbox -- /bin/true"
  [run]="$nucleus run --bundle $work/printed bench-$$"
  [bwrap]="${bwrap[*]} -- /bin/true"
  [unshare]="unshare --user --map-root-user --mount --pid --fork --net --ipc --uts --cgroup --mount-proc /bin/true"
)
"$nucleus" sandbox --print-bundle "$work/printed" -- /bin/true
for runtime in runc crun; do
  command[podman+$runtime]="podman --cgroup-manager=cgroupfs --runtime=$runtime run --rm --network=none \
--ulimit=nofile=1024:1024 --ulimit=nproc=1024:1024 --rootfs $work/rootfs /bin/true"
done

contestants=()
for name in sandbox run bwrap unshare podman+runc podman+crun; do
  if ${command[$name]} >"$work/said" 2>&1; then
    contestants+=("$name")
  else
    echo "$name: cannot run here: $(tail -n 1 "$work/said")" >>"$work/absent"
  fi
done

for ((round = 0; round < rounds; ++round)); do
  echo "round $((round + 1)) of $rounds" >&2
  order=("${contestants[@]}")
  if ((round % 2)); then
    mapfile -t order < <(printf '%s\n' "${order[@]}" | tac)
  fi
  for name in "${order[@]}"; do
    hyperfine --shell=none --style none --warmup 2 --runs "$runs" --export-json "$work/result.$name.$round.json" \
      "${command[$name]}" >/dev/null 2>"$work/said" || echo "$name failed: $(tail -n 1 "$work/said")" >>"$work/absent"
  done
done

echo "$(uname -sr), $(nproc) processors; $rounds rounds of $runs runs each; $(date -u +%F)"
python3 - "$work" <<'PYTHON'
import glob, json, os, statistics, sys

times = {}
for path in glob.glob(glob.escape(sys.argv[1]) + "/result.*.json"):
    name = os.path.basename(path).split(".")[1]
    with open(path, encoding="utf-8") as file:
        times.setdefault(name, []).extend(1000 * t for t in json.load(file)["results"][0]["times"])
print("\nTime, ms\n            median   middle half   least")
for name, values in sorted(times.items(), key=lambda item: statistics.median(item[1])):
    low, _, high = statistics.quantiles(values, n=4)
    print(f"{name:11} {statistics.median(values):7.2f} {low:7.2f}-{high:5.2f} {min(values):7.2f}")
if "bwrap" in times and "sandbox" in times:
    for word, of in (("median", statistics.median), ("least", min)):
        sandbox, bwrap = of(times["sandbox"]), of(times["bwrap"])
        print(f"\n{word}: sandbox {sandbox:.2f} ms = {sandbox / bwrap:.2f}x bwrap; target 2x + 2 ms = {2 * bwrap + 2:.2f} ms", end="")
    print()
PYTHON
if [[ -f $work/absent ]]; then
  echo
  sort -u "$work/absent"
fi
