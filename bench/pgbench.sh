#!/usr/bin/env bash
# PostgreSQL 15 under pgbench, select-only and TPC-B, in turns: on the bare host, in a production bundle of nucleus with all
# policies pinned, in gVisor by runsc alone, and in gVisor through nucleus.
#   bench/pgbench.sh
#   ROUNDS=10 SECONDS_EACH=20 CLIENTS=4 bench/pgbench.sh   NUCLEUS=PATH another binary
#   FORMS="runsc gvisor" LOADS=select bench/pgbench.sh     of host, production, runsc, gvisor; of select, tpcb
# Needs root, runsc and 2 GiB of /dev/shm, where the databases are: it is the processor that is compared, not a disk. Prints
# targets beside results and asserts nothing about time.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-10}
clients=${CLIENTS:-2}
build=${BUILD:-$project/build/bench}  # a release that runs its own helpers, not those that are installed
nucleus=${NUCLEUS:-$build/shim/nucleus}
binaries=/usr/lib/postgresql/15/bin
for tool in runsc setpriv busybox "$binaries/postgres"; do
  command -v "$tool" >/dev/null || { "$project/setup.sh" build test bench pgbench; break; }
done
if [[ ! -x $nucleus ]]; then
  (cd "$project" && cmake --preset release -B "$build" -DNUCLEUS_OWN_HELPERS=ON >/dev/null && cmake --build "$build") >&2
fi

work=$(mktemp -d /dev/shm/nucleus-bench.XXXXXX)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"
rootfs=$work/rootfs
uid=26          # in the user namespace
host=100026     # on the host
mkdir -p "$rootfs"/{bin,dev,proc,sys,tmp,etc,data,usr/lib/postgresql,usr/share/postgresql,usr/share/zoneinfo/Etc,usr/bin}
cp /bin/busybox "$rootfs/bin/"
for applet in sh sed cat sleep kill; do ln -s busybox "$rootfs/bin/$applet"; done
cp -a /usr/lib/postgresql/15 "$rootfs/usr/lib/postgresql/"
cp -a /usr/share/postgresql/15 "$rootfs/usr/share/postgresql/"
cp -L /usr/share/zoneinfo/Etc/UTC "$rootfs/usr/share/zoneinfo/Etc/"
cp "$project/bench/pgload.sh" "$rootfs/bin/pgload.sh"
printf 'postgres:x:%s:%s::/:/bin/sh\n' $uid $uid >"$rootfs/etc/passwd"
for object in "$binaries"/{postgres,pgbench,pg_isready} /usr/lib/postgresql/15/lib/plpgsql.so; do
  ldd "$object" | grep -o '/[^ ]*' || true
done | sort -u | while read -r library; do
  mkdir -p "$rootfs$(dirname "$library")"
  cp -L "$library" "$rootfs$library"
done

# One database, made once; each run has a fresh copy.
install -d -o postgres -g postgres "$work/made"
setpriv --reuid postgres --regid postgres --clear-groups "$binaries/initdb" -D "$work/made/data" -U postgres -A trust --no-locale >/dev/null
setpriv --reuid postgres --regid postgres --clear-groups "$binaries/pg_ctl" -D "$work/made/data" -o "-k $work/made -c listen_addresses=" -l "$work/made/log" -w start >/dev/null
"$binaries/pgbench" -q -i -s 10 -h "$work/made" -U postgres postgres >/dev/null 2>&1
setpriv --reuid postgres --regid postgres --clear-groups "$binaries/pg_ctl" -D "$work/made/data" -w stop >/dev/null

mkdir -p "$work"/{production,runsc,gvisor}
"$nucleus" attest create -o "$work/production/rootfs.manifest" "$rootfs" >/dev/null
ln -s ../rootfs "$work/production/rootfs"
bundle() {  # FORM ARGS...: config.json
  python3 - "$work" "$project" "$uid" "$host" "$@" <<'PYTHON'
import hashlib, json, pathlib, shutil, sys
work, project, uid, host, form, args = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5], sys.argv[6:]
bundle = work / form
user = uid if form == "production" else host
quiet = ["nosuid", "nodev", "noexec"]
config = {
    "ociVersion": "1.0.2", "root": {"path": str(work / "rootfs"), "readonly": True},
    "process": {"user": {"uid": user, "gid": user}, "args": args, "env": ["PATH=/bin"], "cwd": "/", "noNewPrivileges": True,
                "capabilities": {}},
    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": quiet},
               {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "noexec", "mode=755", "size=64k"]},
               {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": [*quiet, "mode=1777"]},
               {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": [*quiet, "mode=1777"]},
               {"destination": "/data", "type": "bind", "source": str(work / "data"), "options": ["bind", "rw", *quiet]}],
    "linux": {"resources": {"memory": {"limit": 4 << 30}, "pids": {"limit": 256}},
              "namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")]}}
if form == "gvisor":
    config["annotations"] = {"dev.nucleus.runtime": "gvisor"}
if form == "production":
    ids = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    config["linux"] |= {"uidMappings": ids, "gidMappings": ids}
    config["linux"]["namespaces"] += [{"type": t} for t in ("cgroup", "user", "time")]
    shutil.copy(project / "bench/seccomp.json", bundle / "seccomp.json")
    (bundle / "capabilities.toml").write_text("keep = []\n")
    (bundle / "landlock.toml").write_text('[[rules]]\npath = "/"\naccess = ["read", "execute"]\n' + "".join(
        f'[[rules]]\npath = "{path}"\naccess = ["read", "write", "create", "remove", "truncate"]\n' for path in ("/data", "/tmp", "/dev")))
    (bundle / "egress.toml").write_text('[[allow]]\ncidr = "10.0.0.0/8"\nports = ["tcp/443"]\n')
    pin = lambda name: f"{name}@sha256:{hashlib.sha256((bundle / name).read_bytes()).hexdigest()}"
    config["annotations"] = {"dev.nucleus.mode": "production", "dev.nucleus.rootfs.manifest": pin("rootfs.manifest"),
                             "dev.nucleus.policy.seccomp": pin("seccomp.json"),
                             "dev.nucleus.policy.capabilities": pin("capabilities.toml"),
                             "dev.nucleus.policy.landlock": pin("landlock.toml"), "dev.nucleus.policy.egress": pin("egress.toml")}
text = json.dumps(config)
(bundle / "config.json").write_text(text)
print("sha256:" + hashlib.sha256(text.encode()).hexdigest())
PYTHON
}

measure() {  # FORM PGBENCH-OPTIONS...: transactions per second
  local form=$1 digest
  shift
  rm -rf "$work/data" "$work/sockets"
  cp -a "$work/made/data" "$work/data"
  chown -R $host:$host "$work/data"
  install -d -o $host -g $host "$work/sockets"
  case $form in
    host)
      setpriv --reuid $host --regid $host --clear-groups --no-new-privs \
        busybox sh "$project/bench/pgload.sh" "$work/data" "$work/sockets" "$seconds" "$clients" "$@"
      return
      ;;
  esac
  digest=$(bundle "$form" /bin/sh /bin/pgload.sh /data /tmp "$seconds" "$clients" "$@")
  case $form in
    production) "$nucleus" --root "$work/state" run --config-digest "$digest" --bundle "$work/production" "pg-$$" ;;
    gvisor) "$nucleus" --root "$work/state" run --bundle "$work/gvisor" "pg-$$" ;;
    runsc) runsc --root "$work/state-runsc" --network=none --overlay2=none run --bundle "$work/runsc" "pg-$$" ;;
  esac
}

read -ra forms <<<"${FORMS:-host production runsc gvisor}"
read -ra loads <<<"${LOADS:-select tpcb}"
for ((round = 0; round < rounds; ++round)); do
  echo "round $((round + 1)) of $rounds" >&2
  order=("${forms[@]}")
  if ((round % 2)); then
    mapfile -t order < <(printf '%s\n' "${forms[@]}" | tac)
  fi
  for load in "${loads[@]}"; do
    options=()
    [[ $load == tpcb ]] || options=(-S)
    for form in "${order[@]}"; do
      rate=$(measure "$form" "${options[@]}")
      echo "$load $form $rate" >>"$work/results"
    done
  done
done

python3 - "$work/results" "$rounds" "$seconds" "$clients" <<'PYTHON'
import statistics, sys
results = {}
for line in open(sys.argv[1]):
    load, form, value = line.split()
    results.setdefault((load, form), []).append(float(value))
print(f"PostgreSQL 15, scale 10, {sys.argv[2]} rounds of {sys.argv[3]} s, {sys.argv[4]} clients: transactions per second, median [quartiles' distance]\n")
names = {"host": "bare host", "production": "nucleus, production, all policies", "runsc": "runsc alone", "gvisor": "nucleus with gVisor"}
for load, title in (("select", "select-only"), ("tpcb", "TPC-B")):
    if any(measured == load for measured, _ in results):
        print(title)
    for form, against in (("host", None), ("production", "host"), ("runsc", "host"), ("gvisor", "runsc")):
        values = results.get((load, form))
        if not values:
            continue
        spread = statistics.quantiles(values, n=4) if len(values) > 1 else [0, 0, 0]
        line = f"  {names[form]:36} {statistics.median(values):9.0f} [{spread[2] - spread[0]:.0f}]"
        if (load, against) in results:
            pairs = [a / b for a, b in zip(values, results[load, against])]
            target = {"production": "  (target: within 2 %)", "gvisor": "  (target: within 2 %)"}.get(form, "")
            line += f"  {statistics.median(pairs):6.3f} of {names[against]}{target}"
        print(line)
PYTHON
