"""Runs the modules of the black-box tests inside the virtual machine (see run.sh) and leaves what came of it on the drive.

results/output has all that the tests print, results/summary what failed, a line of counts for each module and one for all,
results/status the exit status: 0 where all passed. The counts also go to the console, as signs of life.
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
    passed = status == 0 and bool(ran)
    return counts, "" if passed else told(text), time.monotonic() - start


def told(text):
    """What a file that failed says of it: unittest's own account of the failures, else its last lines."""
    _, rule, account = text.partition("=" * 70 + "\n")
    return rule + account if rule else "\n".join(text.splitlines()[-30:]) + "\n"


def line(name, counts, passed, seconds):
    numbers = ", ".join(f"{key} {value}" for key, value in counts.items())
    return f"{'ok  ' if passed else 'FAIL'} {name}: {numbers}, {seconds:.0f} s\n"


def place_helpers():
    """The runtime's helpers, where the build that they come from has them."""
    note = PROJECT / "helper-paths"
    for entry in note.read_text().splitlines() if note.exists() else ():
        place = pathlib.Path(entry)
        place.parent.mkdir(parents=True, exist_ok=True)
        helper = PROJECT / "helpers" / place.name
        shutil.copy2(helper if helper.exists() else PROJECT / "build/dev/shim" / place.name, place)
        place.chmod(0o755)


def main():
    place_helpers()
    environment = dict(os.environ)
    environment.update(entry.split("=", 1) for entry in (PROJECT / "environment").read_text().splitlines())
    total, all_passed, all_seconds = dict.fromkeys(("tests", *COUNTS), 0), True, 0
    lines, failures = [], ""
    with open(RESULTS / "output", "w+b") as output, open(RESULTS / "summary", "w", encoding="utf-8") as summary:
        for entry in (PROJECT / "modules").read_text().splitlines():
            module, _, names = entry.partition(":")
            counts, failed, seconds = run(module, names.split(",") if names else [], environment, output)
            for key, value in counts.items():
                total[key] += value
            all_passed, all_seconds = all_passed and not failed, all_seconds + seconds
            lines.append(line(module, counts, not failed, seconds))
            print(lines[-1], end="", flush=True)
            # The failures stand before the counts at the end, where a log that has been cut still has them.
            failures += failed and f"== {module}\n{failed}"
            summary.seek(0)
            summary.write(failures + "".join(lines))
            summary.truncate()
            summary.flush()
        summary.write(line(f"all on Linux {os.uname().release}, {environment['RUNTIME']}", total, all_passed, all_seconds))
    (RESULTS / "status").write_text("0" if all_passed else "1")
    os.sync()


if __name__ == "__main__":
    main()
