#!/usr/bin/env bash
# What the policies cost: one bundle in plain OCI form and in the modes, its policies pinned, in one interleaved run.
#   bench/policy.sh
#   ROUNDS=20 bench/policy.sh  longer; NUCLEUS=PATH another binary
# Needs root. Prints the target beside the result and asserts nothing about time. How to read it: bench/README.md.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$project/build/bench}  # a release that runs its own nucleus-net, not the one that is installed
rounds=${ROUNDS:-8}  # each form gets its turn once in each
runs=${RUNS:-12}     # measured runs per turn, after two to warm up

if [[ ! -x $build/shim/nucleus || ! -x $build/bench/bench_true ]]; then
  "$project/setup.sh" build bench
  (cd "$project" && cmake --preset release -B "$build" -DNUCLEUS_OWN_HELPERS=ON >/dev/null &&
    cmake --build "$build" --target nucleus nucleus-net bench_true) >&2
fi
nucleus=${NUCLEUS:-$build/shim/nucleus}
work=$(mktemp -d /tmp/nucleus-bench.XXXXXX)
# The state lies on a tmpfs, as /run is on every host with an init system.
state=$(mktemp -d /dev/shm/nucleus-bench.XXXXXX)
trap 'rm -rf "$work" "$state"' EXIT
chmod 755 "$work"

forms=(plain agent strict-agent production)
for form in "${forms[@]}"; do
  mkdir -p "$work/$form/rootfs"/{bin,dev,proc,sys}
  cp "$build/bench/bench_true" "$work/$form/rootfs/bin/true"
  "$nucleus" attest create -o "$work/$form/rootfs.manifest" "$work/$form/rootfs"
  python3 - "$work/$form" "$project/policies" "$form" <<'PYTHON'
import hashlib, json, pathlib, shutil, sys
bundle, policies, form = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
ids = [{"containerID": 0, "hostID": 100000, "size": 65536}]
config = {
    "ociVersion": "1.2.0",
    "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "env": ["PATH=/bin"], "cwd": "/",
                "noNewPrivileges": True,
                "capabilities": {s: ["CAP_KILL", "CAP_NET_BIND_SERVICE"] for s in ("bounding", "effective", "permitted")}},
    "root": {"path": "rootfs", "readonly": True},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "noexec", "mode=755", "size=64k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]}],
    "linux": {
        "uidMappings": ids, "gidMappings": ids,
        "resources": {"memory": {"limit": 256 << 20}, "pids": {"limit": 64}},
        "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount", "cgroup", "user", "time")],
        "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]}}
if form != "plain":
    (bundle / "capabilities.toml").write_text('keep = ["CAP_NET_BIND_SERVICE"]\n')
    (bundle / "landlock.toml").write_text('[[rules]]\npath = "/"\naccess = ["read", "execute"]\n'
                                          '[[rules]]\npath = "/dev/shm"\naccess = ["read", "write", "create", "remove"]\n')
    shutil.copy(policies / "builtin/agent-seccomp.json", bundle / "seccomp.json")
    (bundle / "egress.toml").write_text('[[allow]]\ncidr = "10.0.0.0/8"\nports = ["tcp/443"]\n[[deny]]\ncidr = "10.9.0.0/16"\n')
    pin = lambda name: f"{name}@sha256:{hashlib.sha256((bundle / name).read_bytes()).hexdigest()}"
    config["annotations"] = {"dev.nucleus.mode": form, "dev.nucleus.policy.capabilities": pin("capabilities.toml"),
                             "dev.nucleus.policy.landlock": pin("landlock.toml"),
                             "dev.nucleus.policy.seccomp": pin("seccomp.json"),
                             "dev.nucleus.policy.egress": pin("egress.toml")}
    if form == "production":
        config["annotations"]["dev.nucleus.rootfs.manifest"] = pin("rootfs.manifest")
(bundle / "config.json").write_text(json.dumps(config))
PYTHON
done

command_of() {  # FORM
  echo "$nucleus --root $state run --bundle $work/$1 bench-$$-$1"
}
for form in "${forms[@]}"; do
  $(command_of "$form") || { echo "policy.sh: the $form form does not run here" >&2; exit 1; }
done
for ((round = 0; round < rounds; ++round)); do
  echo "round $((round + 1)) of $rounds" >&2
  order=("${forms[@]}")
  if ((round % 2)); then
    mapfile -t order < <(printf '%s\n' "${order[@]}" | tac)
  fi
  for form in "${order[@]}"; do
    hyperfine --shell=none --style none --warmup 2 --runs "$runs" --export-json "$work/result.$form.$round.json" \
      "$(command_of "$form")" >/dev/null
  done
done

python3 - "$work" "$rounds" "$runs" "${forms[@]}" <<'PYTHON'
import json, pathlib, statistics, sys
work, rounds, runs, forms = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
times = {form: sorted(1000 * t for n in range(rounds)
                      for t in json.loads((work / f"result.{form}.{n}.json").read_text())["results"][0]["times"])
         for form in forms}
print(f"{rounds} rounds of {runs} runs each; run of one bundle, its capability, Landlock, seccomp and egress policies pinned\n")
plain = statistics.median(times["plain"])
for form in forms:
    median = statistics.median(times[form])
    quarter = len(times[form]) // 4
    target = "  (target <= 1.30)" if form == "strict-agent" else ""
    print(f"{form:14} {median:6.2f} ms ({times[form][-quarter - 1] - times[form][quarter]:.2f})"
          f"  {median / plain:5.2f} x plain{target}")
PYTHON
