"""`create` reads a policy along the graph of specs/Pins.tla, every edge of it, while the file is changed in place or
exchanged between its system calls; what is enforced in the container is what the model says, or nothing is made.

strace stops the reader after the system call after which the model's writer comes."""

import errno
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import unittest

from graphs import Graph
from harness import IS_NUCLEUS, RUNTIME, TIMEOUT, Case, children, is_stopped, main, wait_until

GETPGID = 121  # x86_64
SIZE = 1000000  # bytes: more than one read, as in the model
# The reader's next step in the model → which of its calls is behind it. (The file is looked at through a descriptor, and once
# more when it is open for reading.)
BEHIND = {"look": "open", "first": "look", "second": "first", "again": "second", "use": "again"}


@unittest.skipUnless(IS_NUCLEUS, "annotations of nucleus")
@unittest.skipUnless(shutil.which("strace"), "no strace here")
class Pins(Case):
    def setUp(self):
        super().setUp()
        self.process["args"] = ["/bin/sleep", "1000"]
        rules = {"reviewed": [{"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPROTO}], "other": []}
        self.texts = {name: self.text(found) for name, found in rules.items()}
        self.file = self.bundle / "seccomp.json"

    @staticmethod
    def text(rules):
        """Of one size, and different at both ends, so that half of one and half of another is neither."""
        text = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})
        return (" " if rules else "\n") + text[:-1] + " " * (SIZE - len(text) - 2) + "}" + (" " if rules else "\n")

    def arguments(self, strace):
        return ["strace", *strace, RUNTIME, "--root", str(self.root), "create", "--bundle", str(self.bundle), self.id]

    def prepare(self, pinned):
        self.file.unlink(missing_ok=True)
        self.file.write_text(self.texts["reviewed"])
        digest = hashlib.sha256(self.texts["reviewed"].encode()).hexdigest()
        self.config["annotations"] = {"dev.nucleus.policy.seccomp": "seccomp.json" + (f"@sha256:{digest}" if pinned else "")}
        self.write()

    def calls(self):
        """Of the reader's calls: name → (system call, which one of that name)."""
        trace = self.directory / "trace"
        subprocess.run(self.arguments(["-o", trace, "-y"]), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=TIMEOUT)
        self.assertOk(self.delete("--force"))
        count, found, ours = {}, {}, []
        for line in trace.read_text(errors="replace").splitlines():
            name = line.partition("(")[0]
            if not name.isidentifier():
                continue
            count[name] = count.get(name, 0) + 1
            if "seccomp.json" in line and str(self.bundle) in line or '"seccomp.json"' in line:
                ours.append((name, count[name], line))
        found["open"] = next(call for call in ours if call[0] == "openat2")
        looks = [call for call in ours if "fstat" in call[0]]
        reads = [call for call in ours if re.match(r"p?read", call[0])]
        self.assertGreaterEqual(len(looks), 2, ours)
        self.assertGreaterEqual(len(reads), 2, "the file is read in parts")
        found.update(look=looks[0], first=reads[0], second=reads[-1], again=looks[-1])
        return {name: call[:2] for name, call in found.items()}

    def change(self, action, content):
        if action == "WritesInPlace":
            with open(self.file, "r+", encoding="ascii") as file:
                file.write(self.texts[content])
        else:
            new = self.bundle / "new"
            new.write_text(self.texts[content])
            new.rename(self.file)

    def read(self, call, action, content):
        """create, stopped after `call` while the file is changed; its exit status and what it said."""
        errors = self.directory / "err"
        with open(errors, "w+b") as file:
            strace = subprocess.Popen(self.arguments(["-o", "/dev/null", "-e", f"inject={call[0]}:signal=SIGSTOP:when={call[1]}"]),
                                      stdin=subprocess.DEVNULL, stdout=file, stderr=file)
            try:
                wait_until(lambda: any(map(is_stopped, children(strace.pid))) or strace.poll() is not None, "the stop")
                self.assertIsNone(strace.poll(), f"create did not come to {call}")
                self.change(action, content)
                for pid in children(strace.pid):
                    os.kill(pid, signal.SIGCONT)
                strace.wait(TIMEOUT)
            finally:
                strace.kill()
                strace.wait()
        return strace.returncode, errors.read_text()

    def live(self, graph, steps, calls):
        change = next(((graph.states[s]["pc"], a, t) for s, a, t in steps if a in ("WritesInPlace", "Replaces")), None)
        begin = graph.states[steps[0][2]]
        end = graph.states[steps[-1][2]]
        self.prepare(begin["pinned"])
        if change and change[0] in BEHIND:
            after = graph.states[change[2]]
            status, errors = self.read(calls[begin["pinned"]][BEHIND[change[0]]], change[1], after["content"][after["named"] - 1])
        else:
            if change:
                after = graph.states[change[2]]
                self.change(change[1], after["content"][after["named"] - 1])
            result = self.runtime("create", "--bundle", self.bundle, self.id)
            status, errors = result.status, result.err
        what = f"{begin['pinned']=} {change and change[:2]}: {errors}"
        if end["pc"] == "refused":
            self.assertEqual(status, 1, what)
            self.assertRegex(errors, "changed while it was read|pinned is")
            self.assertNothingLeft()
            return
        self.assertEqual(status, 0, what)
        self.assertEqual(end["bytes"][0], end["bytes"][1])
        self.assertOk(self.start())
        answer = self.exec_probe("syscall", GETPGID)["errno"]
        self.assertEqual(answer == "EPROTO", end["bytes"][0] == "reviewed", f"{what}: {answer}")
        self.assertOk(self.delete("--force"))

    def test_every_edge(self):
        graph = Graph("Pins.one")
        self.assertEqual(graph.stale(), [], "specs/check.sh has to write the graph anew")
        calls = {}
        for pinned in (True, False):
            self.prepare(pinned)
            calls[pinned] = self.calls()
        ways = graph.ways()
        for steps, _ in ways:
            self.live(graph, steps, calls)
        print(f"Pins.one: {len(graph.states)} states, all {graph.count()} edges in {len(ways)} lives")


if __name__ == "__main__":
    main()
