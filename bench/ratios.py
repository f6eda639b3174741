"""Medians and ratios from what bench/start.sh collected in the directory of argv[1]."""

import glob
import json
import os
import statistics
import sys

SCENARIOS = ("run", "run+seccomp", "exec", "create", "start", "delete")
NAMES = ("nucleus", "runc", "crun", "floor")


class Times:
    """All runs of all rounds, in milliseconds."""

    def __init__(self, directory):
        self.values = {}
        for path in glob.glob(glob.escape(directory) + "/result.*.json"):
            _, scenario, name, _, _ = os.path.basename(path).split(".")
            with open(path, encoding="utf-8") as file:
                runs = json.load(file)["results"][0]["times"]
            self.values.setdefault((scenario, name), []).extend(1000 * t for t in runs)

    def median(self, scenario, name):
        if scenario == "create+start+delete":
            parts = [self.median(part, name) for part in ("create", "start", "delete")]
            return None if None in parts else sum(parts)
        values = self.values.get((scenario, name))
        return statistics.median(values) if values else None

    def spread(self, scenario, name):
        """Half of the runs lie this far apart: what of a difference is noise."""
        values = self.values.get((scenario, name))
        if not values or len(values) < 4:
            return None
        low, _, high = statistics.quantiles(values, n=4)
        return high - low


def show(value, unit="", digits=2):
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def ratio(a, b):
    return None if a is None or b is None else a / b


def difference(a, b):
    return None if a is None or b is None else a - b


def table(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        print("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def peaks(directory, name, scenario):
    try:
        with open(f"{directory}/peak.{scenario}.{name}", encoding="utf-8") as file:
            values = [int(line.split()[1]) for line in file]
    except FileNotFoundError:
        return None
    return statistics.median(values) / 1024 if values else None


def size(directory, name):
    try:
        with open(f"{directory}/size.{name}", encoding="utf-8") as file:
            return int(file.read()) / 1e6
    except FileNotFoundError:
        return None


def main():
    directory = sys.argv[1]
    times = Times(directory)

    print("\nMedian time, ms (in brackets: the width of the middle half)")
    rows = [("", *NAMES)]
    for scenario in SCENARIOS + ("create+start+delete",):
        cells = []
        for name in NAMES:
            cell, spread = show(times.median(scenario, name)), times.spread(scenario, name)
            cells.append(cell if spread is None else f"{cell} ({spread:.2f})")
        rows.append(("delete --force" if scenario == "delete" else scenario, *cells))
    table(rows)

    def nucleus(scenario):
        return times.median(scenario, "nucleus")

    def against(scenario, name):
        return ratio(times.median(scenario, name), nucleus(scenario))

    print("\nRatios")
    rows = [("", "result", "target")]
    rows.append(("run: runc / nucleus", show(against("run", "runc"), "x"), ">= 5x"))
    rows.append(("run: nucleus / floor", show(ratio(nucleus("run"), times.median("run", "floor")), "x"), "<= 3x"))
    rows.append(("run with seccomp: runc / nucleus", show(against("run+seccomp", "runc"), "x"), ">= 5x"))
    rows.append(("exec: runc / nucleus", show(against("exec", "runc"), "x"), ">= 4x"))
    rows.append(("create+start+delete: runc / nucleus", show(against("create+start+delete", "runc"), "x"), ""))
    if times.median("run", "crun") is not None:
        rows.append(("run: crun / nucleus", show(against("run", "crun"), "x"), ">= 1x"))
        rows.append(("exec: crun / nucleus", show(against("exec", "crun"), "x"), ">= 1x"))
    table(rows)

    print("\nOther")
    rows = [("", "nucleus", "runc", "crun", "target")]
    three = ("nucleus", "runc", "crun")
    rows.append(("seccomp of 336 names adds, ms",
                 *(show(difference(times.median("run+seccomp", n), times.median("run", n))) for n in three), "< 1"))
    for scenario in ("run", "run+seccomp", "exec"):
        rows.append((f"peak RSS of {scenario}, MiB", *(show(peaks(directory, n, scenario)) for n in three), "< 4"))
    rows.append(("binary, stripped, MB", *(show(size(directory, n)) for n in three), "< 3"))
    table(rows)

    absent = os.path.join(directory, "absent")
    if os.path.exists(absent):
        print("\nNot in the table")
        with open(absent, encoding="utf-8") as file:
            print("".join(sorted(set(file))), end="")


main()
