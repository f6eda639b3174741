"""The black-box tests for a program that drives them (suite.cpp, vm/inside.py): what there is, and each result as it comes.

    stream.py list MODULE...             a line of JSON for each test: {"module", "test", "rules"}
    stream.py run MODULE [TEST...]       runs them in this order in this one process; a line of JSON for each as it ends

MODULE is the SUBJECT of test_SUBJECT.py, TEST is Class/test_name. The lines of `run` go to descriptor 3 where it is open
(what the tests print does not get between them), else to stdout, and to the end of the file that NUCLEUS_RESULTS names:

    {"module", "test", "status": "pass" | "fail" | "skip", "reason", "notes": [...], "seconds", "rules": [[level, section, text]...]}

`notes` are the subtests that were skipped. Each test that was asked for has exactly one line, whatever happens short of the
death of the process.
"""

import importlib
import json
import os
import sys
import time
import traceback
import unittest

REPORT = 3


def tests_of(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from tests_of(item)
        else:
            yield item


def path_of(test):
    return f"{type(test).__qualname__}/{test._testMethodName}"


def rules_of(test):
    return getattr(getattr(test, test._testMethodName, None), "rules", [])


def load(module):
    """The module's tests, or one that fails with the reason why there are none."""
    try:
        found = list(tests_of(unittest.defaultTestLoader.loadTestsFromModule(importlib.import_module(f"test_{module}"))))
        if found:
            return found
        reason = "no test in it"
    except unittest.SkipTest as skip:
        reason = skip
    except Exception:  # pylint: disable=broad-except
        reason = traceback.format_exc()

    class Module(unittest.TestCase):
        def test_loads(self):
            if isinstance(reason, unittest.SkipTest):
                raise reason
            self.fail(reason)

    Module.__qualname__ = "Module"
    return [Module("test_loads")]


class Recorder:
    """Mixed into a TestResult: tells each test's outcome when it has ended."""

    def record(self, module, tests, write):
        """`tests` are those that are going to run; `write` takes what a line says."""
        self.module, self.write = module, write
        self.waiting = {path_of(test): test for test in tests}
        self._begin()
        return self

    def _begin(self):
        self.failed, self.skips, self.notes, self.begun = [], [], [], time.monotonic()

    def startTest(self, test):
        super().startTest(test)
        self._begin()

    def stopTest(self, test):
        super().stopTest(test)
        if self.failed:
            self._tell(path_of(test), "fail", "\n".join(self.failed))
        elif self.skips:
            self._tell(path_of(test), "skip", "; ".join(self.skips))
        else:
            self._tell(path_of(test), "pass", "")

    def _tell(self, path, status, reason):
        test = self.waiting.pop(path, None)
        if test is not None:
            self.write({"module": self.module, "test": path, "status": status, "reason": reason, "notes": self.notes,
                        "seconds": round(time.monotonic() - self.begun, 3), "rules": rules_of(test)})

    def _tell_class(self, holder, status, reason):
        """What setUpClass says goes for all tests of the class."""
        name = str(holder).rpartition(".")[2].rstrip(")")
        for path in [p for p in self.waiting if p.rpartition("/")[0] == name]:
            self._tell(path, status, reason)

    def _failure(self, test, err):
        text = "".join(traceback.format_exception(*err))
        if not isinstance(test, unittest.TestCase):
            self._tell_class(test, "fail", text)
        self.failed.append(text)

    def addError(self, test, err):
        super().addError(test, err)
        self._failure(test, err)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failure(test, err)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self.failed.append(f"{subtest._subDescription()}: " + "".join(traceback.format_exception(*err)))

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        if not isinstance(test, unittest.TestCase):
            self._tell_class(test, "skip", reason)
        elif hasattr(test, "_subDescription"):
            self.notes.append(f"{test._subDescription()}: {reason}")
        else:
            self.skips.append(reason)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.failed.append("unexpected success")

    def end(self):
        """The tests that the run did not come to have failed as well."""
        for path in list(self.waiting):
            self._tell(path, "fail", "it did not run")


class Stream(Recorder, unittest.TestResult):
    pass


def writer(files):
    """Writes lines to these descriptors, and to the file of NUCLEUS_RESULTS."""
    if os.environ.get("NUCLEUS_RESULTS"):
        files = [*files, os.open(os.environ["NUCLEUS_RESULTS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)]

    def write(line):
        sys.stdout.flush()
        data = (json.dumps(line) + "\n").encode()
        for file in files:
            rest = data
            while rest:
                rest = rest[os.write(file, rest):]

    return write


def report_descriptor():
    try:
        os.set_inheritable(REPORT, False)  # the runtimes under test have nothing to do with it
        return REPORT
    except OSError:
        return sys.stdout.fileno()


def main():
    _, verb, *names = sys.argv
    if verb == "list":
        for module in names:
            for test in load(module):
                print(json.dumps({"module": module, "test": path_of(test), "rules": rules_of(test)}))
        return
    module, *wanted = names
    write = writer([report_descriptor()])
    found = {path_of(test): test for test in load(module)}
    tests = [found[name] for name in wanted] if wanted else list(found.values())
    result = Stream().record(module, tests, write)
    try:
        unittest.TestSuite(tests).run(result)
    finally:
        result.end()


if __name__ == "__main__":
    main()
