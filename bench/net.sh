#!/usr/bin/env bash
# What networks and egress policies cost, in one interleaved run:
#   bench/net.sh
#   ROUNDS=20 bench/net.sh  longer; NUCLEUS=PATH another binary (with its own nucleus-net)
# Needs root. Everything happens in network namespaces of its own. Prints the targets beside the results and asserts
# nothing about time. How to read it: bench/README.md.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$project/build/bench}  # a release that runs its own nucleus-net, not the one that is installed
rounds=${ROUNDS:-6}
pairs=${PAIRS:-4}  # of throughput, in each round
seconds=${SECONDS_EACH:-1}
nucleus=${NUCLEUS:-$build/shim/nucleus}
netprobe=$build/netprobe
if [[ ! -x $nucleus ]]; then
  "$project/setup.sh" build bench
  (cd "$project" && cmake --preset release -B "$build" -DNUCLEUS_OWN_HELPERS=ON >/dev/null &&
    cmake --build "$build" --target nucleus nucleus-net) >&2
fi
mkdir -p "$build"
g++ -std=c++20 -O2 -D_GNU_SOURCE -static -o "$netprobe" "$project/conformance/netprobe.cpp"
for tool in iperf3 ip hyperfine dnsmasq; do
  command -v "$tool" >/dev/null || "$project/setup.sh" bench test
done

work=$(mktemp -d /tmp/nucleus-bench.XXXXXX)
state=$(mktemp -d /dev/shm/nucleus-bench.XXXXXX)
host=nb-host-$$
outside=nb-out-$$
pids=()
cleanup() {
  for id in "${ids[@]}"; do
    ip netns exec "$host" "$nucleus" --root "$state" delete --force "$id" >/dev/null 2>&1 || true
  done
  ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
  ip netns del "$host" 2>/dev/null || true
  ip netns del "$outside" 2>/dev/null || true
  rm -rf "$work" "$state"
}
ids=()
trap cleanup EXIT
chmod 755 "$work"

ip netns add "$host"
ip netns add "$outside"
ip -n "$host" link add up0 type veth peer name srv0 netns "$outside"
ip -n "$host" address add 192.0.2.100/24 dev up0
ip -n "$outside" address add 192.0.2.1/24 dev srv0
ip -n "$outside" address add 198.51.100.1/32 dev lo
for where in "$host lo" "$host up0" "$outside lo" "$outside srv0"; do
  # shellcheck disable=SC2086  # two words
  set -- $where
  ip -n "$1" link set "$2" up
done
ip -n "$host" route add default via 192.0.2.1
ip -n "$host" address add 10.53.0.1/32 dev lo
ip netns exec "$outside" iperf3 -s >/dev/null 2>&1 &
pids+=($!)
ip netns exec "$host" dnsmasq --no-daemon --no-resolv --no-hosts --listen-address=10.53.0.1 --bind-interfaces --user=root \
  --pid-file= --conf-file=/dev/null --cache-size=0 --address=/example.org/192.0.2.1 >/dev/null 2>&1 &
pids+=($!)

bundle() {  # NAME NETWORK POLICY ARGS...
  local name=$1 network=$2 policy=$3
  shift 3
  mkdir -p "$work/$name/rootfs"/{bin,dev,proc,sys,etc,usr,lib,lib64,tmp}
  touch "$work/$name/rootfs/etc/resolv.conf"
  cp "$netprobe" "$work/$name/rootfs/bin/netprobe"
  printf '%s' "$policy" >"$work/$name/egress.toml"
  python3 - "$work/$name" "$network" "$@" <<'PYTHON'
import hashlib, json, pathlib, sys
bundle, network, args = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
policy = (bundle / "egress.toml").read_bytes()
bind = lambda path: {"destination": path, "type": "bind", "source": path, "options": ["rbind", "ro"]}
config = {
    "ociVersion": "1.2.0", "root": {"path": "rootfs"},
    "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": args, "env": ["PATH=/usr/bin:/bin"], "cwd": "/"},
    "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
               {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"]}]
              + [bind(path) for path in ("/usr", "/lib", "/lib64")],
    "linux": {"namespaces": [{"type": t} for t in ("pid", "network", "ipc", "uts", "mount")]}, "annotations": {}}
if network != "oci":
    config["annotations"]["dev.nucleus.network"] = network
if policy:
    config["annotations"]["dev.nucleus.policy.egress"] = f"egress.toml@sha256:{hashlib.sha256(policy).hexdigest()}"
(bundle / "config.json").write_text(json.dumps(config))
PYTHON
}
run() {
  ip netns exec "$host" "$nucleus" --root "$state" "$@"
}

thousand=$(for i in $(seq 0 998); do
  printf '[[allow]]\ncidr = "10.%d.%d.0/28"\nports = ["tcp/%d"]\n' $((i / 200)) $((i % 200)) $((1 + i % 9))
done
printf '[[allow]]\ncidr = "192.0.2.1/32"\nports = ["tcp/5201"]\n')
bundle open bridge "" /usr/bin/sleep 100000
bundle ruled bridge "$thousand" /usr/bin/sleep 100000
bundle names oci $'[[allow]]\ndomain = "*.example.org"\n[dns]\nservers = ["10.53.0.1"]\n' /usr/bin/sleep 100000
bundle plain oci "" /usr/bin/true
bundle three oci $'[[allow]]\ncidr = "10.0.0.0/8"\nports = ["tcp/443"]\n[[allow]]\ncidr = "192.0.2.0/24"\n[[deny]]\ncidr = "10.9.0.0/16"\n' /usr/bin/true
for name in open ruled names; do
  ids+=("$name")
  run create --bundle "$work/$name" "$name"
  run start "$name"
done

: >"$work/throughput"
for ((round = 0; round < rounds; ++round)); do
  echo "round $((round + 1)) of $rounds" >&2
  # Throughput wanders within seconds: the two that are compared stand next to each other, either one first.
  for ((pair = 0; pair < pairs; ++pair)); do
    order=(open ruled)
    (((round + pair) % 2)) && order=(ruled open)
    for name in "${order[@]}"; do
      run exec "$name" /usr/bin/iperf3 -c 192.0.2.1 -t "$seconds" -J |
        python3 -c 'import json, sys; print(sys.argv[1], json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"])' "$name" >>"$work/throughput"
    done
  done
  for half in a b; do
    run exec ruled /bin/netprobe tcp 198.51.100.1 80 >>"$work/refused"
    ip netns exec "$host" "$netprobe" dnstime 10.53.0.1 "d$round$half%d.example.org" 200 >>"$work/direct"
    run exec names /bin/netprobe dnstime 127.0.0.53 "g$round$half%d.example.org" 200 >>"$work/gate"
    run exec names /bin/netprobe dnstime 127.0.0.53 "g${round}${half}0.example.org" 200 >>"$work/again"
  done
  for name in plain three; do
    hyperfine --shell=none --style none --warmup 1 --runs 10 --export-json "$work/start.$name.$round.json" \
      "ip netns exec $host $nucleus --root $state run --bundle $work/$name bench-$name" >/dev/null
  done
done

python3 - "$work" <<'PYTHON'
import glob, json, pathlib, statistics, sys
work = pathlib.Path(sys.argv[1])
median = lambda file: statistics.median(float(line.split()[-1]) for line in (work / file).read_text().splitlines())
rate = {}
for line in (work / "throughput").read_text().splitlines():
    name, value = line.split()
    rate.setdefault(name, []).append(float(value))
ratios = [ruled / free for ruled, free in zip(rate["ruled"], rate["open"])]
low, ratio, high = statistics.quantiles(ratios, n=4)
start = {name: statistics.median(t for f in glob.glob(f"{work}/start.{name}.*.json") for t in json.load(open(f))["results"][0]["times"]) * 1e3
         for name in ("plain", "three")}
print(f"TCP through the bridge, no policy         {statistics.median(rate['open']) / 1e9:8.2f} Gbit/s")
print(f"  with 1,000 networks                     {statistics.median(rate['ruled']) / 1e9:8.2f} Gbit/s   {ratio:5.1%} (median of {len(ratios)} pairs, half of them {low:.1%} to {high:.1%}; target: at least 95 %)")
print(f"a connection that is refused              {median('refused'):8.2f} ms       (target: within 10)")
print(f"run of a static-path true                 {start['plain']:8.2f} ms")
print(f"  with an egress policy                   {start['three']:8.2f} ms       +{start['three'] - start['plain']:.2f} ms (target: less than 2)")
print(f"a name, asked of the server               {median('direct') / 1e3:8.3f} ms")
print(f"  through the gate, for the first time    {median('gate') / 1e3:8.3f} ms       +{(median('gate') - median('direct')) / 1e3:.3f} ms (target: within 1)")
print(f"  again                                   {median('again') / 1e3:8.3f} ms")
PYTHON
