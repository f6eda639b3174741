#!/usr/bin/env python3
"""clang-tidy over the sources of a build, as many at once as there are processors:

    cmake/run_tidy.py [BUILD_DIRECTORY] [REGEX]      (default: build/asan, everything but the tests)

What was clean once is not looked at again while nothing that the compiler sees of it has changed: a source with all its
headers and comments, the configuration, the version. What is known lies in $XDG_CACHE_HOME/nucleus-tidy (~/.cache). The tests are
left out: what the macros of Boost.Test expand to is not ours to mend. Exit status: 0 clean, 1 a finding, which was printed.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

PROJECT = pathlib.Path(__file__).resolve().parents[1]
TIDY = "clang-tidy-19"
SOURCES = r"^(base|front|oci-config|policies|runtime|shim)/.*(?<!\.test)(?<!\.fuzz)\.cpp$"
# The analyzer follows fewer paths of one function than it would (225,000 steps): what lies beyond takes more than half of
# the time.
FLAGS = [f"--extra-arg={word}" for word in ("-Xclang", "-analyzer-config", "-Xclang", "max-nodes=50000")]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "nucleus-tidy"


def run(arguments, directory):
    return subprocess.run(arguments, cwd=directory, capture_output=True, check=False, stdin=subprocess.DEVNULL)


def seen_by_compiler(entry):
    """Without line markers: where the tree lies is no difference."""
    words = shlex.split(entry["command"])
    while os.path.basename(words[0]) in ("ccache", "sccache"):
        words.pop(0)
    at = words.index("-o")
    del words[at:at + 2]
    words.remove("-c")
    result = run([*words, "-E", "-P", "-C"], entry["directory"])
    return result.stdout if result.returncode == 0 else None


def check(entry, common, build):
    text = seen_by_compiler(entry)
    known = None
    if text is not None:
        known = CACHE / hashlib.sha256(common + text.replace(str(PROJECT).encode(), b"")).hexdigest()
        if known.exists():
            return None
    result = run([TIDY, "-quiet", "-p", build, *FLAGS, entry["file"]], entry["directory"])
    if result.returncode != 0:
        return result.stdout + result.stderr
    if known:
        known.touch()
    return b""


def main():
    build = PROJECT / (sys.argv[1] if len(sys.argv) > 1 else "build/asan")
    wanted = re.compile(sys.argv[2] if len(sys.argv) > 2 else SOURCES)
    entries = {entry["file"]: entry for entry in json.loads((build / "compile_commands.json").read_text())}
    entries = [entry for file, entry in sorted(entries.items()) if wanted.search(os.path.relpath(file, PROJECT))]
    if not entries:
        sys.exit(f"run_tidy.py: nothing to check in {build}")
    CACHE.mkdir(parents=True, exist_ok=True)
    version = subprocess.run([TIDY, "--version"], capture_output=True, check=True).stdout
    common = b"\0".join((version, (PROJECT / ".clang-tidy").read_bytes(), repr(FLAGS).encode()))
    found, looked_at = 0, 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for output in pool.map(lambda entry: check(entry, common, build), entries):
            looked_at += output is not None
            if output:
                found += 1
                sys.stdout.buffer.write(output)
    print(f"clang-tidy: {len(entries)} files, {looked_at} of them new or changed, {found} with findings")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
