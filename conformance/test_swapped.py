"""Pinned files that change while `create` reads and uses them: what is enforced is what was hashed, or nothing is made.

`create` is stopped at a system call, each of its pinned files is exchanged for one that allows more, and it goes on.
NUCLEUS_SWAP_STEP=1 takes every system call from the first file that is read to the end; by default some of them.
"""

import errno
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import unittest

from harness import IS_NUCLEUS, RUNTIME, TIMEOUT, Case, Result, children, is_stopped, main, wait_until

GETPGID = 121  # x86_64
CAP_KILL = 5
STEP = int(os.environ.get("NUCLEUS_SWAP_STEP", "25"))
FILES = {  # what is pinned, and what an attacker would like
    "seccomp.json": (json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPROTO}]}),
                     json.dumps({"defaultAction": "SCMP_ACT_ALLOW"})),
    "capabilities.toml": ('keep = ["CAP_KILL"]\n', 'keep = ["CAP_KILL", "CAP_CHOWN", "CAP_NET_BIND_SERVICE"]\n'),
    "landlock.toml": ('[[rules]]\npath = "/"\naccess = ["read", "execute"]\n',
                      '[[rules]]\npath = "/"\naccess = ["read", "execute", "write", "create"]\n'),
    "egress.toml": ('[[allow]]\ncidr = "192.0.2.1/32"\n', '[[allow]]\ncidr = "0.0.0.0/0"\n'),
}


def digest(data):
    return hashlib.sha256(data).hexdigest()


@unittest.skipUnless(IS_NUCLEUS, "annotations of nucleus")
@unittest.skipUnless(shutil.which("strace"), "no strace here")
class Swapped(Case):
    def setUp(self):
        super().setUp()
        for name, (good, _) in FILES.items():
            (self.bundle / name).write_text(good)
            self.config.setdefault("annotations", {})[f"dev.nucleus.policy.{name.partition('.')[0]}"] = (
                f"{name}@sha256:{digest(good.encode())}")
        self.process["capabilities"] = {name: ["CAP_KILL", "CAP_CHOWN", "CAP_NET_BIND_SERVICE"]
                                        for name in ("bounding", "effective", "permitted")}
        self.process["args"] = ["/bin/sleep", "1000"]
        self.write()
        self.good = {name: (self.bundle / name).read_bytes() for name in (*FILES, "config.json")}
        self.bad = {name: bad.encode() for name, (_, bad) in FILES.items()}
        self.bad["config.json"] = self.good["config.json"].replace(b'"/bin/sleep", "1000"', b'"/bin/sleep", "9999"')

    def put(self, files, *, in_place):
        for name, data in files.items():
            if in_place:
                (self.bundle / name).write_bytes(data)
            else:
                (self.bundle / "new").write_bytes(data)
                (self.bundle / "new").rename(self.bundle / name)

    def arguments(self, strace):
        return ["strace", *strace, RUNTIME, "--root", str(self.root), "create", "--bundle", str(self.bundle), "--config-digest",
                f"sha256:{digest(self.good['config.json'])}", self.id]

    def calls(self):
        """The system calls of a create, each by its name and how often that was called before; the numbers of the first and of
        the last that touch a pinned file."""
        trace = self.directory / "trace"
        subprocess.run(self.arguments(["-o", trace]), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, timeout=TIMEOUT)
        self.assertOk(self.delete("--force"))
        lines = [line for line in trace.read_text(errors="replace").splitlines() if re.match(r"\w+\(", line)]
        touching = [i for i, line in enumerate(lines) if "config.json" in line or any(name in line for name in FILES)]
        count, calls = {}, []
        for line in lines:
            name = line.partition("(")[0]
            count[name] = count.get(name, 0) + 1
            calls.append((name, count[name]))
        return calls, touching[0], touching[-1]

    def create_and_swap(self, call, in_place):
        """Stops create after that call, exchanges the files, and lets it go on. None where it did not come to that call."""
        err = self.directory / "err"
        with open(err, "w+b") as file:
            strace = subprocess.Popen(self.arguments(["-o", "/dev/null", "-e", f"inject={call[0]}:signal=SIGSTOP:when={call[1]}"]),
                                      stdin=subprocess.DEVNULL, stdout=file, stderr=file)
            try:
                stopped = lambda: [pid for pid in children(strace.pid) if is_stopped(pid)]
                wait_until(lambda: stopped() or strace.poll() is not None, "the stop")
                if strace.poll() is not None:
                    return None
                self.put(self.bad, in_place=in_place)
                for pid in children(strace.pid):
                    os.kill(pid, signal.SIGCONT)
                strace.wait(TIMEOUT)
            finally:
                strace.kill()
                strace.wait()
        return Result(strace.args, strace.returncode, "", err.read_text())

    def check(self, result):
        """Refused for what differs, or made with what was pinned."""
        if result.status != 0:
            self.assertRegex(result.err, r"pinned is|changed while it was read|not an? |pinned")
            self.assertNothingLeft()
            return "refused"
        self.assertOk(self.start())
        enforced = {key.rpartition(".")[2]: value for key, value in self.state()["annotations"].items()
                    if key.startswith("dev.nucleus.enforced.policy.")}
        self.assertEqual(enforced, {name.partition(".")[0]: f"sha256:{digest(self.good[name])}" for name in FILES})
        self.assertIn("1000", pathlib.Path(f"/proc/{self.state()['pid']}/cmdline").read_text())
        self.assertEqual(self.exec_probe("syscall", GETPGID)["errno"], "EPROTO")
        status = self.exec("/bin/cat", "/proc/self/status").out
        self.assertEqual(int(re.search(r"CapEff:\s*(\w+)", status).group(1), 16), 1 << CAP_KILL)
        self.assertNotEqual(self.exec("/bin/touch", "/tmp/new").status, 0)
        self.assertOk(self.delete("--force"))
        return "made"

    def test_at_every_step(self):
        calls, first, last = self.calls()
        told = {"refused": 0, "made": 0, "never came to it": 0}
        numbers = [*range(first, last + 1, max(1, STEP // 4)), *range(last + 1, len(calls) - 1, STEP)]
        for turn, number in enumerate(numbers):
            in_place = turn % 2 == 1
            with self.subTest(number=number, call=calls[number], in_place=in_place):
                try:
                    result = self.create_and_swap(calls[number], in_place)
                    told["never came to it" if result is None else self.check(result)] += 1
                finally:
                    self.put(self.good, in_place=False)
                    self.delete("--force")
        print(f"{len(numbers)} of {len(calls)} system calls: {told}")
        # Before the last file is read it is too late for it; afterwards nothing of it is looked at any more.
        self.assertGreater(min(told["refused"], told["made"]), 0)
        # A call that is not made each time (a directory is there already).
        self.assertLess(told["never came to it"], len(numbers) / 4)


if __name__ == "__main__":
    main()
