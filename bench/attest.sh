#!/usr/bin/env bash
# What attestation costs: `nucleus attest create` and `attest verify` beside sha256sum on all processors, over one warm tree
# of 50,000 files and 2 GB, in one interleaved run.
#   bench/attest.sh             everything
#   ROUNDS=20 bench/attest.sh   longer; NUCLEUS=PATH another binary; FILES=N, MEGABYTES=N another tree; TREE=DIR one that is there
# Prints targets beside results and asserts nothing about time. How to read it: bench/README.md.
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
build=${BUILD:-$project/build/release}
nucleus=${NUCLEUS:-$build/shim/nucleus}
peak=$build/bench/peak
if [[ ! -x $nucleus || ! -x $peak ]]; then
  (cd "$project" && cmake --preset release >/dev/null && cmake --build --preset release --target nucleus peak) >&2
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/nucleus-bench.XXXXXX")
trap 'rm -rf "$work"' EXIT

NUCLEUS=$nucleus PEAK=$peak WORK=$work python3 - <<'PYTHON'
import os, random, statistics, subprocess, sys, time

nucleus, peak, work = (os.environ[name] for name in ("NUCLEUS", "PEAK", "WORK"))
rounds = int(os.environ.get("ROUNDS", "10"))
files = int(os.environ.get("FILES", "50000"))
size = int(os.environ.get("MEGABYTES", "2048")) << 20
TARGET = 0.8  # of sha256sum's throughput

tree = os.environ.get("TREE")
if not tree:
    # Sizes as in a root filesystem: most files are small, and half of the bytes are in few of them.
    tree = os.path.join(work, "tree")
    generator = random.Random(1)
    sizes = [generator.lognormvariate(0, 1.5) for _ in range(files)]
    factor = size / sum(sizes)
    block = generator.randbytes(1 << 20)
    for number, share in enumerate(sizes):
        directory = f"{tree}/d{number // 1000}/e{number // 50}"
        os.makedirs(directory, exist_ok=True)
        left = int(share * factor)
        with open(f"{directory}/f{number}", "wb") as file:
            file.write(b"%d" % number)
            while left > 0:
                left -= file.write(block[:left])
total = count = 0
for parent, _, names in os.walk(tree):
    for name in names:
        status = os.lstat(os.path.join(parent, name))
        count, total = count + 1, total + status.st_size

manifest = os.path.join(work, "manifest")
summed = f'find "{tree}" -type f -print0 | xargs -0 -P"$(nproc)" sha256sum >"{work}/sums"'
contestants = {
    "sha256sum": ["sh", "-c", summed],
    "attest create": [nucleus, "attest", "create", "-o", manifest, tree],
    "attest verify": [nucleus, "attest", "verify", tree, manifest],
}
times = {name: [] for name in contestants}
# The first round reads everything into the page cache, and is not counted.
for number in range(rounds + 1):
    names = list(contestants)
    if number % 2:
        names.reverse()
    for name in names:
        start = time.monotonic()
        subprocess.run(contestants[name], check=True, stdout=subprocess.DEVNULL)
        if number > 0:
            times[name].append(time.monotonic() - start)

# It found what sha256sum found.
with open(f"{work}/sums", "rb") as sums, open(manifest, "rb") as lines:
    one = sorted(line.split()[0].lstrip(b"\\") for line in sums)
    other = sorted(line.split()[5] for line in lines if line.split()[1:2] == [b"file"])
if one != other and not os.environ.get("TREE"):  # a tree with hard links has fewer lines
    sys.exit("attest.sh: the digests of the manifest are not those of sha256sum")

print(f"{count} files, {total / 1e6:.0f} MB, {len(os.sched_getaffinity(0))} processors, {rounds} rounds")
print(f"{'':16}{'median':>10}{'middle half':>20}{'MB/s':>8}{'to sha256sum':>14}")
best = statistics.median(times["sha256sum"])
for name, all_of_them in times.items():
    low, median, high = statistics.quantiles(all_of_them, n=4)
    target = f"   (target: at least {TARGET})" if name.startswith("attest") else ""
    print(f"{name:16}{median:9.3f}s{f'[{low:.3f} {high:.3f}]':>20}{total / 1e6 / median:8.0f}{best / median:14.2f}{target}")
for name in ("attest create", "attest verify"):
    # peak tells it on descriptor 3.
    read, write = os.pipe()
    command = ["sh", "-c", f'exec "$@" 3>&{write}', "sh", peak, *contestants[name]]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, pass_fds=[write])
    os.close(write)
    with open(read, encoding="ascii") as file:
        kilobytes = [int(line.split()[1]) for line in file]
    print(f"peak memory of {name}: {max(kilobytes) / 1024:.1f} MiB ({max(kilobytes) * 1024 / count:.0f} bytes per file)")
PYTHON
