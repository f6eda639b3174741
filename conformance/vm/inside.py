"""Runs the modules of the black-box tests inside the virtual machine (see run.sh) and leaves what came of it on the drive.

results/output has all that the tests print, results/summary a line of counts for each module and one for all,
results/status the exit status: 0 where all passed. The summary's lines also go to the console, as signs of life.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

PROJECT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = PROJECT / "results"
COUNTS = ("failures", "errors", "skipped")


def run(module, names, environment, output):
    """One test file in a process of its own: its counts, and whether it passed."""
    start, position = time.monotonic(), output.tell()
    script = PROJECT / f"conformance/test_{module}.py"
    output.write(f"== {module}\n".encode())
    output.flush()
    status = subprocess.run([sys.executable, "-B", script, *names], env=environment, stdout=output, stderr=subprocess.STDOUT,
                            stdin=subprocess.DEVNULL, check=False).returncode
    output.seek(position)
    text = output.read().decode(errors="replace")
    ran = re.findall(r"^Ran (\d+) tests? in", text, re.MULTILINE)
    counts = {"tests": int(ran[-1]) if ran else 0}
    for name in COUNTS:
        found = re.findall(rf"^(?:OK|FAILED) \(.*?\b{name}=(\d+)", text, re.MULTILINE)
        counts[name] = int(found[-1]) if found else 0
    # A file that died before it could count has failed all the same.
    return counts, status == 0 and bool(ran), time.monotonic() - start


def line(name, counts, passed, seconds):
    numbers = ", ".join(f"{key} {value}" for key, value in counts.items())
    return f"{'ok  ' if passed else 'FAIL'} {name}: {numbers}, {seconds:.0f} s\n"


def place_helpers():
    """The runtime's helpers, where the build that they come from has them."""
    note = PROJECT / "helper-paths"
    for entry in note.read_text().splitlines() if note.exists() else ():
        place = pathlib.Path(entry)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(PROJECT / "helpers" / place.name, place)
        place.chmod(0o755)


def main():
    place_helpers()
    environment = dict(os.environ)
    environment.update(entry.split("=", 1) for entry in (PROJECT / "environment").read_text().splitlines())
    total, all_passed, all_seconds = dict.fromkeys(("tests", *COUNTS), 0), True, 0
    with open(RESULTS / "output", "w+b") as output, open(RESULTS / "summary", "w", encoding="utf-8") as summary:
        for entry in (PROJECT / "modules").read_text().splitlines():
            module, _, names = entry.partition(":")
            counts, passed, seconds = run(module, names.split(",") if names else [], environment, output)
            for key, value in counts.items():
                total[key] += value
            all_passed, all_seconds = all_passed and passed, all_seconds + seconds
            summary.write(line(module, counts, passed, seconds))
            summary.flush()
            print(line(module, counts, passed, seconds), end="", flush=True)
        summary.write(line(f"all on Linux {os.uname().release}, {environment['RUNTIME']}", total, all_passed, all_seconds))
    (RESULTS / "status").write_text("0" if all_passed else "1")
    os.sync()


if __name__ == "__main__":
    main()
