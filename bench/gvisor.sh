#!/usr/bin/env bash
# What nucleus adds to runsc, as ratios: the same bundle by runsc alone and through nucleus, in turns.
#   bench/gvisor.sh              ROUNDS=20 for longer; NUCLEUS=PATH another binary
# Needs root and runsc. Prints targets beside results and asserts nothing about time.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
rounds=${ROUNDS:-10}
build=${BUILD:-$project/build/bench}  # a release that runs its own helpers, not those that are installed
nucleus=${NUCLEUS:-$build/shim/nucleus}
if [[ ! -x $nucleus ]]; then
  "$project/setup.sh" build test bench
  (cd "$project" && cmake --preset release -B "$build" -DNUCLEUS_OWN_HELPERS=ON >/dev/null && cmake --build "$build") >&2
fi
work=$(mktemp -d /tmp/nucleus-bench.XXXXXX)
states=$(mktemp -d /dev/shm/nucleus-bench.XXXXXX)
trap 'rm -rf "$work" "$states"' EXIT

mkdir -p "$work"/{plain,gvisor} "$work"/rootfs/{bin,dev,proc,sys,tmp,data}
cp /bin/busybox "$work/rootfs/bin/busybox"
for applet in sh true dd sync cat; do ln -s busybox "$work/rootfs/bin/$applet"; done
python3 - "$work" <<'PYTHON'
import json, sys
work = sys.argv[1]
config = {"ociVersion": "1.0.2", "root": {"path": work + "/rootfs"},
          "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "env": ["PATH=/bin"], "cwd": "/"},
          "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                     {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}],
          "linux": {"namespaces": [{"type": name} for name in ("pid", "network", "ipc", "uts", "mount")]}}
json.dump(config, open(work + "/plain/config.json", "w"))
config["annotations"] = {"dev.nucleus.runtime": "gvisor"}
json.dump(config, open(work + "/gvisor/config.json", "w"))
# A steady load: files are written, read, and computed on.
config["process"]["args"] = ["/bin/sh", "-c",
    "i=0; while [ $i -lt 40 ]; do dd if=/dev/zero of=/data/f bs=64k count=64 2>/dev/null; cat /data/f >/dev/null; i=$((i+1)); done"]
import os
for name in ("plain", "gvisor"):
    os.makedirs(f"{work}/load-{name}")
    if name == "plain":
        config.pop("annotations")
    else:
        config["annotations"] = {"dev.nucleus.runtime": "gvisor"}
    json.dump(config, open(f"{work}/load-{name}/config.json", "w"))
PYTHON

python3 - "$work" "$states" "$nucleus" "$rounds" <<'PYTHON'
import statistics, subprocess, sys, time
work, states, nucleus, rounds = sys.argv[1:4] + [int(sys.argv[4])]
commands = {
    "runsc": lambda bundle: ["runsc", "--root", states + "/runsc", "--network=none", "--overlay2=none", "--ignore-cgroups",
                             "run", "--bundle", f"{work}/{bundle}plain", "bench"],
    # As a host runs it that wants limits: runsc makes its cgroups, as nucleus does.
    "runsc with cgroups": lambda bundle: ["runsc", "--root", states + "/runsc", "--network=none", "--overlay2=none",
                                          "run", "--bundle", f"{work}/{bundle}plain", "bench"],
    "nucleus": lambda bundle: [nucleus, "--root", states + "/nucleus", "run", "--bundle", f"{work}/{bundle}gvisor", "bench"],
}
def measure(bundle, turns):
    times = {name: [] for name in commands}
    for turn in range(turns + 1):
        for name, command in (list(commands.items()) if turn % 2 else reversed(list(commands.items()))):
            start = time.perf_counter()
            subprocess.run(command(bundle), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            if turn:  # the first warms up
                times[name].append(1000 * (time.perf_counter() - start))
    return times
for title, bundle, turns, target in (("run of true", "", 3 * rounds, "at most +5 ms and +10 %"),
                                     ("a steady load", "load-", max(rounds // 2, 3), "within 2 %")):
    times = measure(bundle, turns)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{title} ({turns} runs each; target: {target})")
    for name, median in medians.items():
        low, _, high = statistics.quantiles(times[name], n=4)
        print(f"  {name:20} {median:8.1f} ms [{high - low:.1f}]   {median - medians['runsc']:+7.1f} ms   {median / medians['runsc']:.3f}")
PYTHON
