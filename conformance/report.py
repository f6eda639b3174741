#!/usr/bin/env python3
"""Runs the black-box tests against several runtimes and writes what came of it, side by side.

    conformance/report.py [--out DIR] [--modules NAME,NAME...] [--suite PATH] RUNTIME...

RUNTIME is a path (`build/dev/shim/nucleus`, `/usr/sbin/runc`), or `vm:PATH` for one inside the virtual machine of vm/run.sh
(`vm:/usr/bin/crun`, which Debian has there; `vm:build/dev/shim/nucleus` to compare with), or `gvisor:PATH` for nucleus with bundles
that ask for gVisor, or `results:FILE`, the runtimes of a results.json that was written before: the virtual machine takes
an hour and more. Into DIR (build/conformance) come

    report.md       a row per rule of the specification: its section, and how each runtime did; then what failed and why
    results.json    the same and every test, for programs
    NAME.xml        JUnit's form, a file per runtime
    NAME.log        what the tests of that runtime printed

The exit status tells whether the first runtime passed everything; the others are there to compare with.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent
# These are about other programs (podman, containerd), or about nucleus's own build and documents.
NOT_OF_ANY_RUNTIME = ("podman", "containerd", "faults", "rules", "stress")
CELLS = {"pass": "yes", "fail": "**NO**", "skip": "skipped", "": "–"}
LEVELS = ("MUST", "SHOULD", "MAY")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=pathlib.Path, default=PROJECT / "build/conformance")
    parser.add_argument("--modules", type=lambda text: text.split(","))
    parser.add_argument("--suite", type=pathlib.Path, default=PROJECT / "build/dev/conformance/conformance_suite")
    parser.add_argument("runtimes", nargs="+", metavar="RUNTIME")
    options = parser.parse_args()
    if options.modules is None:
        names = sorted(path.stem.removeprefix("test_") for path in HERE.glob("test_*.py"))
        options.modules = [name for name in names if name not in NOT_OF_ANY_RUNTIME]
    return options


def file_name(name):
    return name.replace(" (VM)", "-vm").replace(" (gVisor)", "-gvisor")


class Column:
    """`name`, `path`, `file`, and `results` by test."""

    def count(self, status):
        return sum(result["status"] == status for result in self.results.values())


class Recorded(Column):
    """A column out of a results.json."""

    def __init__(self, entry):
        self.name, self.path, self._version = entry["name"], entry["path"], entry["version"]
        self.file = file_name(self.name)
        self.results = {f"{result['module']}/{result['test']}": result for result in entry["tests"]}

    def run(self):
        pass

    def version(self):
        return self._version


class Runtime(Column):
    """One column: what is asked for, and after run() its results by test."""

    def __init__(self, text, options):
        self.in_vm = text.startswith("vm:")
        self.gvisor = text.startswith("gvisor:")
        self.path = text.removeprefix("vm:").removeprefix("gvisor:")
        self.name = os.path.basename(self.path) + (" (VM)" if self.in_vm else " (gVisor)" if self.gvisor else "")
        self.file = file_name(self.name)
        self.options = options
        self.results = {}

    def run(self):
        lines = self.options.out / f"{self.file}.jsonl"
        lines.unlink(missing_ok=True)
        with open(self.options.out / f"{self.file}.log", "wb") as log:
            if self.in_vm:
                self._run_in_vm(lines, log)
            else:
                self._run_here(lines, log)
        for line in lines.read_text().splitlines() if lines.exists() else []:
            result = json.loads(line)
            self.results[f"{result['module']}/{result['test']}"] = result
        lines.unlink(missing_ok=True)
        if not self.results:
            sys.exit(f"report.py: no results of {self.name}: see {log.name}")

    def _run_here(self, lines, log):
        probe = os.environ.get("PROBE", str(self.options.suite.with_name("probe")))
        path = os.path.abspath(self.path)

        def module(name):
            environment = {**os.environ, "RUNTIME": path, "PROBE": probe, "NUCLEUS_RESULTS": str(lines),
                           "CONFORMANCE_MODULES": name}
            if self.gvisor:
                environment["NUCLEUS_TEST_BACKEND"] = "gvisor"
            subprocess.run([self.options.suite, f"--run_test={name}", "--log_level=error", "--report_level=short",
                            "--color_output=no"], env=environment, stdin=subprocess.DEVNULL, stdout=log,
                           stderr=subprocess.STDOUT, check=False)
            print(f"{self.name}: {name}", file=sys.stderr, flush=True)

        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(module, self.options.modules))

    def _run_in_vm(self, lines, log):
        path = os.path.abspath(self.path) if os.path.basename(self.path).startswith("nucleus") else self.path
        environment = {**os.environ, "RUNTIME": path, "NUCLEUS_VM_RESULTS": str(lines)}
        environment.setdefault("PROBE", str(self.options.suite.with_name("probe")))
        environment.setdefault("NUCLEUS_VM_TIMEOUT", "5400")
        subprocess.run([HERE / "vm/run.sh", *self.options.modules], env=environment, stdin=subprocess.DEVNULL, stdout=log,
                       stderr=subprocess.STDOUT, check=False)

    def version(self):
        if self.in_vm and not os.path.exists(self.path):
            return f"{self.path} of the virtual machine"
        found = subprocess.run([self.path, "--version"], capture_output=True, text=True, check=False).stdout
        return (found.splitlines() or ["?"])[0]


def columns(text, options):
    if not text.startswith("results:"):
        return [Runtime(text, options)]
    return [Recorded(entry) for entry in json.loads(pathlib.Path(text.removeprefix("results:")).read_text())["runtimes"]]


def rules_of(runtimes):
    """(level, section, text) → the names of its tests, in the order of the specification's files."""
    found = {}
    for runtime in runtimes:
        for name, result in runtime.results.items():
            for rule in result["rules"]:
                tests = found.setdefault(tuple(rule), [])
                if name not in tests:
                    tests.append(name)
    return dict(sorted(found.items(), key=lambda item: (item[0][1], LEVELS.index(item[0][0]), item[0][2])))


def status_of(runtime, tests):
    """A rule holds where no test of it failed and one at least ran."""
    statuses = {runtime.results[name]["status"] for name in tests if name in runtime.results}
    return next((status for status in ("fail", "pass", "skip") if status in statuses), "")


def mark(runtime, tests):
    """A table's cell; where only some tests of a rule fail, how many."""
    status = status_of(runtime, tests)
    if status != "fail":
        return CELLS[status]
    failed = sum(runtime.results[name]["status"] == "fail" for name in tests if name in runtime.results)
    return CELLS[status] + (f" ({failed} of {len(tests)})" if failed < len(tests) else "")


def last_line(result):
    lines = [line for line in result["reason"].splitlines() if line.strip()]
    named = [line for line in lines if line.startswith(("AssertionError", "json.", "subprocess.")) or "Error: " in line[:40]]
    line = (named[:1] or lines[-1:] or [""])[0]
    said = [line for line in lines if line.startswith("stderr: ")]
    return line + (f"; {said[0]}" if said and said[0] != "stderr: " else "")


def names(tests):
    """As they stand in a table: of tests that are made from a table's rows, whose numbers change, the class."""
    return " ".join(f"`{name}`" for name in dict.fromkeys(re.sub(r"/test_\d+_\w+$", "", name) for name in tests))


def cell(text):
    return text.replace("|", "\\|").replace("\n", " ")


def markdown(runtimes, rules):
    lines = ["# Conformance", "", "| runtime | version | passed | failed | skipped | MUST rules that fail |", "|---|---|---|---|---|---|"]
    for runtime in runtimes:
        failed = sum(status_of(runtime, tests) == "fail" for rule, tests in rules.items() if rule[0] == "MUST")
        lines.append(f"| {runtime.name} | {cell(runtime.version())} | {runtime.count('pass')} | {runtime.count('fail')} | "
                     f"{runtime.count('skip')} | {failed} |")
    lines += ["", "A rule holds where no test of it failed; NO (1 of 4): one of its four tests did. A runtime that was released for an",
              "older version of the specification is not bound by what came later.", "", "## Rules", "", "| rule | | spec section | " + " | ".join(r.name for r in runtimes) + " | tests |",
              "|---|---|---|" + "---|" * len(runtimes) + "---|"]
    for (level, section, text), tests in rules.items():
        cells = " | ".join(mark(runtime, tests) for runtime in runtimes)
        lines.append(f"| {cell(text)} | {level} | {section} | {cells} | {names(tests)} |")
    for runtime in runtimes:
        for status, title in (("fail", "What failed"), ("skip", "What was skipped")):
            lines += ["", f"## {title}: {runtime.name}", ""]
            chosen = [(name, result) for name, result in sorted(runtime.results.items()) if result["status"] == status]
            lines += [f"- `{name}`: {last_line(result)[:300]}" for name, result in chosen] or ["Nothing."]
    return "\n".join(lines) + "\n"


def junit(runtime):
    def printable(text):
        return "".join(c if c in "\n\t" or ord(c) >= 32 and not 0xD800 <= ord(c) <= 0xDFFF and c not in "\ufffe\uffff" else "?"
                       for c in text)

    root = ElementTree.Element("testsuites", name=runtime.name, tests=str(len(runtime.results)),
                               failures=str(runtime.count("fail")), skipped=str(runtime.count("skip")))
    for module in sorted({result["module"] for result in runtime.results.values()}):
        results = [result for result in runtime.results.values() if result["module"] == module]
        suite = ElementTree.SubElement(root, "testsuite", name=module, tests=str(len(results)),
                                       failures=str(sum(r["status"] == "fail" for r in results)),
                                       skipped=str(sum(r["status"] == "skip" for r in results)),
                                       time=f"{sum(r['seconds'] for r in results):.3f}")
        for result in results:
            group, _, test = result["test"].rpartition("/")
            case = ElementTree.SubElement(suite, "testcase", classname=f"{module}.{group}", name=test,
                                          time=f"{result['seconds']:.3f}")
            for level, section, text in result["rules"]:
                properties = case.find("properties")
                if properties is None:
                    properties = ElementTree.SubElement(case, "properties")
                ElementTree.SubElement(properties, "property", name=f"{level} {section}", value=text)
            if result["status"] == "fail":
                ElementTree.SubElement(case, "failure", message=printable(last_line(result))).text = printable(result["reason"])
            elif result["status"] == "skip":
                ElementTree.SubElement(case, "skipped", message=printable(result["reason"]))
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def document(runtimes, rules):
    return {
        "runtimes": [{"name": r.name, "path": r.path, "version": r.version(), "passed": r.count("pass"), "failed": r.count("fail"),
                      "skipped": r.count("skip"), "tests": list(r.results.values())} for r in runtimes],
        "rules": [{"level": level, "section": section, "text": text, "tests": tests,
                   "results": {r.name: status_of(r, tests) or None for r in runtimes}}
                  for (level, section, text), tests in rules.items()],
    }


def main():
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    options.out = options.out.resolve()
    runtimes = [column for text in options.runtimes for column in columns(text, options)]
    if len({runtime.file for runtime in runtimes}) != len(runtimes):
        sys.exit("report.py: two runtimes of the same name")
    for runtime in runtimes:
        runtime.run()
        (options.out / f"{runtime.file}.xml").write_text(junit(runtime))
    rules = rules_of(runtimes)
    (options.out / "results.json").write_text(json.dumps(document(runtimes, rules), indent=1) + "\n")
    (options.out / "report.md").write_text(markdown(runtimes, rules))
    for runtime in runtimes:
        print(f"{runtime.name}: {runtime.count('pass')} passed, {runtime.count('fail')} failed, {runtime.count('skip')} skipped")
    print(f"report.py: {options.out}/report.md")
    sys.exit(1 if runtimes[0].count("fail") else 0)


if __name__ == "__main__":
    main()
