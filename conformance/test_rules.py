"""The tables of docs/ and the report beside them: every test that they name exists, and what report.py writes is whole."""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

import harness
from harness import IS_NUCLEUS, main

HERE = pathlib.Path(__file__).resolve().parent
PROJECT = HERE.parent
DOCUMENTS = sorted((PROJECT / "docs").glob("conformance*.md"))
SUITE = pathlib.Path(harness.PROBE).with_name("conformance_suite")
MODULES = sorted(path.stem.removeprefix("test_") for path in HERE.glob("test_*.py"))


def all_tests():
    out = subprocess.run([sys.executable, "-B", HERE / "stream.py", "list", *(m for m in MODULES if m != "rules")],
                         capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]


@unittest.skipUnless(IS_NUCLEUS and DOCUMENTS, "nucleus's own documents are not here")
class Documents(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tests = all_tests()
        cls.names = set()
        for test in cls.tests:
            group = f"{test['module']}/{test['test'].rpartition('/')[0]}"
            cls.names |= {group, f"{test['module']}/{test['test']}"}

    def test_every_name_in_the_tables_exists(self):
        seen = 0
        for document in DOCUMENTS:
            for number, line in enumerate(document.read_text().splitlines(), 1):
                if not line.startswith("|"):
                    continue
                for name in re.findall(r"`([a-z_]+/[A-Z]\w*(?:/\w+)?)`", line):
                    seen += 1
                    self.assertIn(name, self.names, f"{document.name}:{number}")
                for file, case in re.findall(r"`([\w/-]+\.test\.cpp)(?:: (\w+))?`", line):
                    seen += 1
                    text = (PROJECT / file).read_text() if (PROJECT / file).exists() else ""
                    self.assertIn(f"BOOST_AUTO_TEST_CASE({case or ''}", text, f"{document.name}:{number}: {file}")
        self.assertGreater(seen, 150)

    def test_every_row_names_a_test(self):
        text = (PROJECT / "docs/conformance.md").read_text()
        rows = [line for line in text.partition("## Every property")[2].partition("\n## ")[0].splitlines()
                if line.startswith("| ") and not line.startswith("| property")]
        self.assertGreater(len(rows), 90)
        for row in rows:
            self.assertRegex(row, r"\| (?:`[\w/.: -]+` ?)+\|$")

    def test_the_rules_cover_the_specification(self):
        sections = collections.Counter(section for test in self.tests for _, section, _ in test["rules"])
        files = {section.partition("#")[0] for section in sections}
        self.assertEqual(files, {"config.md", "config-linux.md", "runtime.md", "runtime-linux.md", "features.md",
                                 "features-linux.md"})
        rules = {tuple(rule) for test in self.tests for rule in test["rules"]}
        self.assertGreater(sum(level == "MUST" for level, _, _ in rules), 200)


@unittest.skipUnless(SUITE.exists(), "the Boost.Test program is not beside the probe")
class Report(unittest.TestCase):
    """report.py with a small module, for the runtime under test and for one that can do nothing at all."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="nucleus-report.")
        cls.addClassCleanup(directory.cleanup)
        cls.out = pathlib.Path(directory.name)
        cls.runtime = os.path.basename(harness.RUNTIME)
        cls.result = harness.command([sys.executable, "-B", HERE / "report.py", "--out", cls.out, "--suite", SUITE, "--modules",
                                      "lsm,operations", harness.RUNTIME, "/bin/false"])
        cls.document = json.loads((cls.out / "results.json").read_text())

    def test_status_is_that_of_the_first_runtime(self):
        self.assertEqual(self.result.status, 1 if self.document["runtimes"][0]["failed"] else 0, self.result)

    def test_counts(self):
        ours, other = self.document["runtimes"]
        for runtime in (ours, other):
            statuses = collections.Counter(test["status"] for test in runtime["tests"])
            self.assertEqual((statuses["pass"], statuses["fail"], statuses["skip"]),
                             (runtime["passed"], runtime["failed"], runtime["skipped"]))
        self.assertEqual({(t["module"], t["test"]) for t in ours["tests"]}, {(t["module"], t["test"]) for t in other["tests"]})
        self.assertGreater(other["failed"], 5, "a program that does nothing passes the tests")

    def test_rules_have_a_result_for_each(self):
        self.assertGreater(len(self.document["rules"]), 5)
        for rule in self.document["rules"]:
            self.assertEqual(set(rule["results"]), {self.runtime, "false"})
        self.assertIn("fail", {rule["results"]["false"] for rule in self.document["rules"]})

    def test_table(self):
        text = (self.out / "report.md").read_text()
        for rule in self.document["rules"]:
            self.assertIn(f"| {rule['level']} | {rule['section']} |", text)
        self.assertIn("**NO**", text)

    def test_junit(self):
        for runtime in self.document["runtimes"]:
            root = ElementTree.parse(self.out / f"{runtime['name']}.xml").getroot()
            self.assertEqual(len(root.findall("testsuite/testcase")), len(runtime["tests"]))
            self.assertEqual(len(root.findall("testsuite/testcase/failure")), runtime["failed"])
            self.assertEqual(len(root.findall("testsuite/testcase/skipped")), runtime["skipped"])


if __name__ == "__main__":
    main()
