"""--events: what happens to containers, as lines chained by hash, and `events verify`, which checks them."""

import fcntl
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import unittest

from harness import IS_NUCLEUS, PROJECT, RUNTIME, Case, command, main, wait_until

ZEROS = "0" * 64


def sha(line):
    return hashlib.sha256(line).hexdigest()


def verify(file, *flags):
    return command([RUNTIME, "events", "verify", *flags, file])


@unittest.skipUnless(IS_NUCLEUS, "an option of nucleus")
class Events(Case):
    def setUp(self):
        super().setUp()
        self.file = self.directory / "events.ndjson"
        self.global_flags = ["--events", self.file]

    def runtime(self, *args, **keywords):
        return command([RUNTIME, "--root", self.root, *self.global_flags, *args], **keywords)

    def lines(self):
        return self.file.read_bytes().splitlines()

    def events(self):
        return [json.loads(line) for line in self.lines()]

    def kinds(self):
        return [event["event"] for event in self.events()]

    def assertGood(self, *flags, file=None):
        result = verify(file or self.file, *flags)
        self.assertOk(result)
        return result

    def assertBad(self, line, *words, file=None, flags=()):
        result = verify(file or self.file, *flags)
        self.assertFails(result, f":{line}: ", *words)
        return result


class Stream(Events):
    def test_the_life_of_a_container(self):
        self.running()
        self.assertOk(self.exec("/bin/true"))
        self.assertOk(self.runtime("pause", self.id))
        self.assertOk(self.runtime("resume", self.id))
        self.assertOk(self.runtime("update", "--pids-limit", "50", self.id))
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertOk(self.delete())
        self.assertEqual(self.kinds(), ["created", "started", "exec", "exec-ended", "paused", "resumed", "updated", "killed",
                                        "deleted"])
        before = ZEROS
        for number, (line, event) in enumerate(zip(self.lines(), self.events())):
            self.assertEqual((event["v"], event["chain"], event["seq"], event["prev"], event["id"]),
                             (1, "file", number, before, self.id))
            self.assertRegex(event["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$")
            before = sha(line)
        self.assertEqual(self.events()[3]["status"], 0)
        self.assertEqual(self.events()[7]["signal"], signal.SIGKILL)
        self.assertEqual(self.file.stat().st_mode & 0o7777, 0o600)
        self.assertEqual(self.assertGood().out, f"ok {self.file} lines 9 head sha256:{before}\n")

    def test_run_in_the_foreground_knows_the_status(self):
        self.sh("exit 7")
        self.assertEqual(self.run_container().status, 7)
        self.assertEqual(self.kinds(), ["created", "started", "exited", "deleted"])
        self.assertEqual(self.events()[2]["status"], 7)

    def test_refused_before_anything_was_made(self):
        self.config["annotations"] = {"dev.nucleus.nonsense": "x"}
        self.assertFails(self.create(), "unknown key")
        event, = self.events()
        self.assertEqual((event["event"], event["stage"]), ("refused", "bundle"))
        self.assertIn("unknown key", event["error"])

    def test_failed_while_it_was_made(self):
        self.config["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "x", "options": ["size=nonsense"]})
        self.assertFails(self.create())
        event, = self.events()
        self.assertEqual((event["event"], event["stage"]), ("failed", "create"))

    def test_failed_to_start(self):
        self.process["args"] = ["/bin/probe", "x"]
        self.assertOk(self.create())
        (self.rootfs / "bin/probe").unlink()
        (self.rootfs / "bin/probe").write_text("not executable any more")
        self.assertFails(self.start())
        self.assertEqual(self.kinds(), ["created", "failed"])
        self.assertEqual(self.events()[1]["stage"], "start")

    def test_without_a_container(self):
        self.assertFails(self.runtime("kill", "nobody"), "does not exist")
        self.assertOk(self.runtime("delete", "--force", "nobody"))
        self.assertEqual([(e["event"], e["id"]) for e in self.events()], [("failed", "nobody")])

    def test_several_at_once_never_break_the_chain(self):
        def kill(n):
            return subprocess.Popen([RUNTIME, "--root", self.root, "--events", self.file, "kill", f"nobody-{n}"],
                                    stderr=subprocess.DEVNULL)
        for process in [kill(n) for n in range(24)]:
            process.wait(60)
        self.assertEqual({event["id"] for event in self.events()}, {f"nobody-{n}" for n in range(24)})
        self.assertGood()


class Target(Events):
    """What --events may name; what cannot be opened is an error before anything is made."""

    def assertNotOpened(self, *words):
        self.assertRefused("--events", *words)

    def test_directory(self):
        self.file.mkdir()
        self.assertNotOpened("is a directory")

    def test_nowhere(self):
        self.global_flags[1] = self.directory / "none/events"
        self.assertNotOpened("no such file")

    def test_link(self):
        self.file.symlink_to("elsewhere")
        self.assertNotOpened("symbolic link")
        self.assertFalse((self.directory / "elsewhere").exists())

    def test_second_name(self):
        self.file.touch(0o600)
        os.link(self.file, self.directory / "other")
        self.assertNotOpened("one name")

    def test_writable_by_others(self):
        self.file.touch()
        self.file.chmod(0o622)
        self.assertNotOpened("others must not write")

    def test_fifo(self):
        os.mkfifo(self.file)
        self.assertNotOpened("regular file")

    def test_of_another_kind(self):
        self.file.write_text("something else\n")
        self.file.chmod(0o600)
        self.assertFails(self.create(), "not a file of events")
        self.assertNothingLeft()
        self.assertEqual(self.file.read_text(), "something else\n")

    def test_descriptors_that_cannot_be(self):
        for target, words in (("fd:1", "from 3 on"), ("fd:x", "from 3 on"), ("fd:900", "bad file descriptor"), ("", "empty")):
            with self.subTest(target):
                self.global_flags[1] = target
                self.assertFails(self.runtime("kill", self.id), words)

    def test_descriptor_that_goes_to_the_container(self):
        self.write()
        self.assertFails(command(["sh", "-c", 'exec 3>>"$0"; exec "$@"', self.file, RUNTIME, "--root", self.root, "--events",
                                  "fd:3", "create", "--bundle", self.bundle, "--preserve-fds", "1", self.id]),
                         "goes to the container")
        self.assertNothingLeft()

    def test_descriptor_that_is_a_file(self):
        with open(self.file, "ab") as file:
            self.global_flags[1] = f"fd:{file.fileno()}"
            self.assertFails(self.runtime("kill", "one", pass_fds=[file.fileno()]), "does not exist")
            self.assertFails(self.runtime("kill", "two", pass_fds=[file.fileno()]), "does not exist")
        self.assertEqual([event["chain"] for event in self.events()], ["file", "file"])
        self.assertGood()

    def test_container_has_no_descriptor_of_it(self):
        self.sh("ls -l /proc/self/fd")
        result = self.run_container()
        self.assertOk(result)
        self.assertNotIn("events", result.out)

    def test_file_that_takes_no_more(self):
        """/dev/full as a descriptor loses events; a file with no room refuses the container."""
        with open("/dev/full", "wb") as full:
            self.global_flags[1] = f"fd:{full.fileno()}"
            self.assertFails(self.runtime("kill", self.id, pass_fds=[full.fileno()]), "does not exist")
        place = self.host_mount("small", "size=4k")
        self.global_flags[1] = place / "events"
        (place / "fill").write_bytes(b"x" * 4096)
        self.assertFails(self.create(), "no space left")
        self.assertEqual((place / "events").read_bytes(), b"")


class Pipe(Events):
    """A reader at the other end."""

    def setUp(self):
        super().setUp()
        self.reader, self.writer = os.pipe()
        self.addCleanup(self.close)
        self.use(self.writer)

    def use(self, fd):
        self.global_flags = ["--events", f"fd:{fd}"]
        self.passed = fd

    def close(self):
        for fd in (self.reader, self.writer):
            if fd is not None:
                os.close(fd)
        self.reader = self.writer = None

    def runtime(self, *args, **keywords):
        return super().runtime(*args, pass_fds=[self.passed], **keywords)

    def received(self):
        """All that is in the pipe, as a file."""
        os.set_blocking(self.reader, False)
        data = b""
        try:
            while part := os.read(self.reader, 1 << 20):
                data += part
        except BlockingIOError:
            pass
        with open(self.file, "ab") as file:
            file.write(data)
        return self.events()

    def fill(self):
        flags = fcntl.fcntl(self.writer, fcntl.F_GETFL)
        os.set_blocking(self.writer, False)
        size = 0
        try:
            while True:
                size += os.write(self.writer, b"\n")
        except BlockingIOError:
            pass
        fcntl.fcntl(self.writer, fcntl.F_SETFL, flags)
        return size

    def test_a_chain_for_each_container(self):
        self.running()
        self.ids.add("other")
        self.linux["cgroupsPath"] += "-2"
        self.assertOk(self.create(id=f"{self.id}-b"))
        self.assertOk(self.kill())
        self.wait_stopped()
        for id in (self.id, f"{self.id}-b"):
            self.assertOk(self.delete("--force", id=id))
        events = self.received()
        self.assertEqual([(e["id"] == self.id, e["event"], e["seq"]) for e in events], [
            (True, "created", 0), (True, "started", 1), (False, "created", 0), (True, "killed", 2), (True, "deleted", 3),
            (False, "deleted", 1)])
        self.assertEqual({event["chain"] for event in events}, {"container"})
        self.assertGood()
        # One id again begins anew.
        self.sh("true")
        self.assertOk(self.run_container())
        self.received()
        self.assertGood()

    def test_slow_reader_does_not_keep_the_container(self):
        size = self.fill()
        self.running()
        self.assertEqual(len(os.read(self.reader, size)), size)
        self.assertOk(self.kill())
        event, = self.received()
        self.assertEqual((event["event"], event["lost"], event["seq"], event["prev"]), ("killed", 2, 2, ZEROS))
        self.assertIn("events lost, as their writers say: 2", self.assertGood().out)
        self.wait_stopped()
        self.assertOk(self.delete())

    def test_reader_that_is_gone(self):
        other, end = socket.socketpair()
        other.close()
        with end:
            self.use(end.fileno())
            self.assertOk(self.run_container())

    def test_pipe_without_a_reader(self):
        os.close(self.reader)
        self.reader = None
        self.assertOk(self.run_container())

    def test_socket(self):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            self.use(theirs.fileno())
            self.assertOk(self.run_container())
            self.file.write_bytes(ours.recv(1 << 20))
        self.assertEqual(self.kinds(), ["created", "started", "exited", "deleted"])
        self.assertGood()

    def test_removed_line(self):
        self.assertOk(self.run_container())
        self.received()
        lines = self.file.read_bytes().splitlines(keepends=True)
        self.file.write_bytes(b"".join(lines[:1] + lines[2:]))
        self.assertBad(2, "1 lines were removed before it")


class Verify(Events):
    """Each way to tamper is found, and the first bad line is named."""

    def setUp(self):
        super().setUp()
        for n in range(6):
            self.assertFails(self.runtime("kill", f"c{n}"))
        self.good = self.file.read_bytes().splitlines(keepends=True)

    def put(self, lines):
        self.file.write_bytes(b"".join(lines))

    def test_good(self):
        self.assertGood()
        found = json.loads(self.assertGood("--json").out)
        self.assertEqual(found, {"good": True, "lines": 6, "head": f"sha256:{sha(self.good[5][:-1])}", "torn": [], "lost": 0})

    def test_empty(self):
        self.put([])
        self.assertGood()

    def test_every_byte_counts(self):
        text = b"".join(self.good)
        for at in range(0, len(text), 7):
            if text[at] == 10:
                continue
            changed = bytearray(text)
            changed[at] ^= 1
            self.file.write_bytes(changed)
            result = verify(self.file)
            line = text[:at].count(b"\n") + 1
            if line == 6:
                # Of the last line the head alone knows.
                result = result if result.status else verify(self.file, "--head", sha(self.good[5][:-1]))
                self.assertEqual(result.status, 1, (at, result))
                continue
            self.assertFails(result)
            found = int(re.search(r":(\d+): ", result.err)[1])
            self.assertIn(found, (line, line + 1), (at, result))

    def test_changed(self):
        self.put([*self.good[:2], self.good[2].replace(b'"c2"', b'"cX"'), *self.good[3:]])
        self.assertBad(3, "it was changed")

    def test_removed(self):
        self.put(self.good[:2] + self.good[4:])
        self.assertBad(3, "2 lines were removed before it")

    def test_removed_at_the_beginning(self):
        self.put(self.good[1:])
        self.assertBad(1, "1 lines were removed before it")

    def test_inserted(self):
        new = self.good[2].replace(b'"c2"', b'"cX"')
        self.put(self.good[:2] + [new] + self.good[2:])
        self.assertBad(3, "inserted")

    def test_repeated(self):
        self.put(self.good[:3] + self.good[2:])
        self.assertBad(4, "repeated")

    def test_reordered(self):
        self.put([self.good[0], self.good[2], self.good[1], *self.good[3:]])
        self.assertBad(2, "not in their order")

    def test_truncated(self):
        """Lines that are gone from the end are known by a head that was noted before."""
        head = sha(self.good[5][:-1])
        self.assertGood("--head", f"sha256:{head}")
        self.put(self.good[:4])
        self.assertGood()
        self.assertBad(5, "removed at the end", flags=["--head", f"sha256:{head}"])

    def test_torn(self):
        self.put(self.good[:3] + [self.good[3][:50]])
        self.assertBad(4, "torn")
        # The next writer mends it, and says so.
        self.assertFails(self.runtime("kill", "next"))
        event = json.loads(self.lines()[4])
        self.assertEqual((event["mended"], event["seq"], event["prev"]), (1, 4, sha(self.good[3][:50])))
        self.assertIn(":4: torn", self.assertGood().out)
        self.assertEqual(json.loads(self.assertGood("--json").out)["torn"], [4])
        # Which cannot be said of a line that was not.
        self.put([*self.good[:3], b'{"v":1,"chain":"\n', *self.good[3:]])
        self.assertBad(5, "does not say")

    def test_torn_first_line(self):
        self.put([self.good[0][:30]])
        self.assertFails(self.runtime("kill", "next"))
        self.assertIn(":1: torn", self.assertGood().out)

    def test_not_events(self):
        for text, words in ((b"hello\n", "no event"), (b"\xff\xfe\0\n", "no event"), (b"[" * 70000, "longer"),
                            (b"{" * 1000 + b"\n", "no event"), (b'{"v":2,"chain":"file"}\n', "no event")):
            self.file.write_bytes(text)
            self.assertBad(1, words)

    def test_two_kinds_in_one(self):
        self.put([self.good[0], self.good[1].replace(b'"file"', b'"container"')])
        self.assertBad(2, "another kind")

    def test_usage(self):
        self.assertFails(verify(self.directory / "none"), "no such file")
        self.assertFails(command([RUNTIME, "events", "verify", "--head", "x", self.file]), "--head")
        self.assertFails(command([RUNTIME, "events", "--json", "x"]), "events verify")

    def test_a_container_may_be_called_verify(self):
        self.sh("exec sleep 1000")
        self.assertOk(self.create(id="verify"))
        result = self.runtime("events", "--stats", "verify")
        self.assertOk(result)
        self.assertEqual(json.loads(result.out)["id"], "verify")
        self.assertOk(self.delete("--force", id="verify"))


class Facts(Events):
    def facts(self, event="started"):
        return next(e for e in self.events() if e["event"] == event)["evidence"]

    def enforced(self):
        prefix = "dev.nucleus.enforced."
        return {key.removeprefix(prefix): value for key, value in self.state().get("annotations", {}).items()
                if key.startswith(prefix)}

    def seccomp(self, name):
        text = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]})
        (self.bundle / name).write_text(text)
        return f"{name}@sha256:{sha(text.encode())}"


class Enforced(Facts):
    """What state and events say was enforced is what the kernel says."""

    def test_of_a_process(self):
        self.linux["resources"]["pids"] = {"limit": 77}
        self.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
        pid = self.running()
        facts = self.facts()
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
        for key, field in (("bounding", "CapBnd"), ("effective", "CapEff"), ("permitted", "CapPrm"), ("inheritable", "CapInh"),
                           ("ambient", "CapAmb")):
            self.assertEqual(facts[f"capabilities.{key}"], status[field], key)
        self.assertEqual(facts["capabilities.bounding"], "0000000020000420")
        self.assertEqual(facts["no-new-privileges"], status["NoNewPrivs"])
        self.assertEqual((facts["seccomp.mode"], facts["seccomp.filters"]), (status["Seccomp"], status["Seccomp_filters"]))
        self.assertEqual(facts["uid"], "0 0 0 0")
        self.assertEqual(facts["uid-map"], "0 0 4294967295")
        for name in ("pid", "net", "ipc", "uts", "mnt", "cgroup"):
            self.assertEqual(f"{name}:[{facts[f'namespace.{name}']}]", os.readlink(f"/proc/{pid}/ns/{name}"))
        self.assertEqual(facts["rlimit.RLIMIT_NOFILE"], "100 200")
        self.assertEqual(facts["cgroup.pids.max"], "77")
        self.assertEqual(facts["config"], f"sha256:{sha((self.bundle / 'config.json').read_bytes())}")
        self.assertEqual(facts["read"], "started")
        self.assertEqual(self.facts("created")["read"], "created")
        # In the state too, where an event asked for it.
        self.assertEqual(self.enforced(), facts)
        self.assertGood()
        self.kill()
        self.wait_stopped()
        self.assertEqual(self.enforced(), facts)
        self.assertOk(self.delete())

    def kept_filter(self):
        """In a file of its own, or behind a line of its length in that of the policies."""
        own = self.root / self.id / "seccomp.bpf"
        if own.exists():
            return own.read_bytes()
        size, _, rest = (self.root / self.id / "policies").read_bytes().partition(b"seccomp.bpf ")[2].partition(b"\n")
        return rest[:int(size)]

    def test_policies(self):
        pin = self.seccomp("seccomp.json")
        (self.bundle / "landlock.toml").write_text('[[rules]]\npath = "/"\naccess = ["read", "execute"]\n')
        self.config["annotations"] = {"dev.nucleus.policy.seccomp": pin, "dev.nucleus.policy.landlock": "landlock.toml"}
        self.global_flags = []
        self.running()
        facts = self.enforced()
        self.assertEqual(facts["policy.seccomp"], pin.partition("@")[2])
        self.assertEqual(facts["policy.landlock"], f"sha256:{sha((self.bundle / 'landlock.toml').read_bytes())}")
        self.assertEqual((facts["seccomp.mode"], facts["seccomp.filters"]), ("2", "1"))
        self.assertEqual(facts["seccomp.filter"], f"sha256:{sha(self.kept_filter()[24:])}")
        self.assertEqual(facts["landlock.domain"], "1")
        self.assertGreaterEqual(int(facts["landlock.abi"]), 1)
        self.assertFalse(self.file.exists())

    def test_before_start(self):
        self.config["annotations"] = {"dev.nucleus.policy.seccomp": self.seccomp("seccomp.json")}
        self.sh("exec sleep 1000")
        self.assertOk(self.create())
        facts = self.enforced()
        self.assertEqual(facts["read"], "created")
        for key in ("seccomp.mode", "landlock.domain"):
            self.assertNotIn(key, facts)
        self.assertEqual(facts["no-new-privileges"], "1")

    def test_of_exec(self):
        self.running()
        self.assertOk(self.exec("/bin/sleep", "1000", flags=["--detach", "--cap", "CAP_SYS_TIME"]))
        self.assertEqual(int(self.facts("exec")["capabilities.bounding"], 16) >> 25 & 1, 1)

    def test_with_an_init_it_is_the_workload_s(self):
        self.process["noNewPrivileges"] = False
        self.config["annotations"] = {"dev.nucleus.init": "on"}
        pid = self.running()
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            self.assertIn("NoNewPrivs:\t1\n", file.read())
        facts = self.enforced()
        self.assertEqual((facts["init"], facts["no-new-privileges"], facts["seccomp.mode"]), ("1", "0", "0"))

    def test_a_plain_bundle_has_none(self):
        self.global_flags = []
        self.running()
        self.assertEqual(self.enforced(), {})
        self.assertNotIn("evidence", json.loads((self.root / self.id / "state.json").read_text()))

    def test_a_bundle_may_not_say_so_itself(self):
        self.config["annotations"] = {"dev.nucleus.enforced.mode": "production"}
        self.assertRefused("unknown key")


@unittest.skipUnless(IS_NUCLEUS, "an option of nucleus")
class Asked(Facts):
    """A container that `run` deletes as it ends: what is enforced is read when somebody asks."""

    def setUp(self):
        super().setUp()
        self.global_flags = []
        (self.bundle / "landlock.toml").write_text('[[rules]]\npath = "/"\naccess = ["read", "execute"]\n')
        self.process["noNewPrivileges"] = True
        self.config["annotations"] = {"dev.nucleus.policy.seccomp": self.seccomp("seccomp.json"), "dev.nucleus.init": "on",
                                      "dev.nucleus.policy.landlock": "landlock.toml"}
        self.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]
        self.linux["resources"]["pids"] = {"limit": 77}

    def run_ahead(self, *flags, script="(sleep 1000 &); exec sleep 1000"):
        """`run` in the foreground, as far as a process that runs; returns its pid on the host."""
        self.sh(script)
        self.write()
        self.caller = subprocess.Popen([RUNTIME, "--root", str(self.root), *map(str, self.global_flags), "run", *flags, "--bundle", str(self.bundle),
                                        self.id], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.caller.wait)
        self.addCleanup(self.caller.kill)
        wait_until(lambda: self.runtime("state", self.id).status == 0 and self.state()["status"] == "running", "a running container")
        init = self.state()["pid"]
        with open(f"/proc/{init}/task/{init}/children", encoding="utf-8") as file:
            children = file.read().split()
        return int(children[0]) if children else init

    def stored(self):
        return json.loads((self.root / self.id / "state.json").read_text())["evidence"]

    def test_of_a_process(self):
        pid = self.run_ahead()
        stored = self.stored()
        self.assertEqual(stored["read"], "never")
        self.assertFalse([key for key in stored if key.startswith(("capabilities.", "namespace.", "cgroup.", "uid"))])
        facts = self.enforced()
        self.assertEqual(facts["read"], "asked")
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
        self.assertEqual(facts["capabilities.bounding"], status["CapBnd"])
        self.assertEqual((facts["seccomp.mode"], facts["seccomp.filters"]), ("2", status["Seccomp_filters"]))
        self.assertEqual(facts["no-new-privileges"], "1")
        for name in ("pid", "net", "ipc", "uts", "mnt"):
            self.assertEqual(f"{name}:[{facts[f'namespace.{name}']}]", os.readlink(f"/proc/{pid}/ns/{name}"))
        self.assertEqual((facts["rlimit.RLIMIT_NOFILE"], facts["cgroup.pids.max"]), ("100 200", "77"))
        self.assertEqual((facts["landlock.domain"], facts["init"]), ("1", "1"))
        self.assertEqual(facts["config"], f"sha256:{sha((self.bundle / 'config.json').read_bytes())}")
        # The list says the same, and asking has changed nothing.
        listed = next(c for c in json.loads(self.runtime("list", "--format", "json").out) if c["id"] == self.id)
        self.assertEqual(listed["annotations"]["dev.nucleus.enforced.read"], "asked")
        self.assertEqual(self.stored(), stored)
        self.kill()
        self.caller.wait(10)
        self.assertFails(self.runtime("state", self.id), "does not exist")

    def test_it_says_what_holds_now(self):
        self.run_ahead()
        self.assertOk(self.runtime("update", "--pids-limit", "55", self.id))
        self.assertEqual(self.enforced()["cgroup.pids.max"], "55")

    def test_nobody_could_ask(self):
        """The caller is killed: of a container that has ended then nothing is said that was not read."""
        self.run_ahead()
        self.caller.kill()
        self.caller.wait()
        self.assertEqual(self.enforced()["read"], "asked")
        self.kill()
        self.wait_stopped()
        facts = self.enforced()
        self.assertEqual(facts["read"], "never")
        self.assertNotIn("capabilities.bounding", facts)
        self.assertIn("seccomp.filter", facts)
        self.assertOk(self.delete())

    def test_what_is_kept_is_read(self):
        self.run_ahead("--keep")
        facts = self.enforced()
        self.assertEqual(facts["read"], "started")
        self.assertEqual(self.stored(), facts)
        self.kill()
        self.caller.wait(10)
        self.assertEqual(self.enforced(), facts)

    def test_with_events_it_is_read(self):
        self.global_flags = ["--events", self.file]
        self.run_ahead()
        self.assertEqual(self.enforced(), self.facts())
        self.assertEqual((self.facts()["read"], self.facts("created")["read"]), ("started", "created"))

    def test_detached_it_is_read(self):
        self.sh("exec sleep 1000")
        self.write()
        self.assertOk(self.runtime("run", "--detach", "--bundle", self.bundle, self.id))
        self.assertEqual(self.enforced()["read"], "started")


@unittest.skipUnless((PROJECT / "runtime/evidence").exists(), "the sources are not here")
class Documents(unittest.TestCase):
    def test_every_name_is_documented(self):
        """docs/evidence.md and the code have the same names."""
        text = (PROJECT / "docs/evidence.md").read_text()
        for source in ("runtime/evidence/readback.cpp", "runtime/container/evidence.cpp"):
            code = (PROJECT / source).read_text()
            for name in re.findall(r'out\["([a-z.-]+)"', code) + re.findall(r'\{"[A-Za-z_]+", "([a-z.-]+)"\}', code):
                self.assertTrue(f"`{name}" in text or name.endswith("."), f"{name} of {source}")


@unittest.skipUnless(IS_NUCLEUS, "an option of nucleus")
class Killed(Events):
    def test_writer_killed_before_its_line(self):
        """Nothing half is left, and the chain goes on."""
        self.assertFails(self.runtime("kill", "one"))
        environment = dict(os.environ, NUCLEUS_FAULT="kill:events.write")
        result = self.runtime("kill", "two", env=environment)
        if result.status != -signal.SIGKILL:
            self.skipTest("no fault switch in this build")
        self.assertFails(self.runtime("kill", "three"))
        self.assertEqual([event["id"] for event in self.events()], ["one", "three"])
        self.assertGood()

    def test_event_that_cannot_be_written(self):
        environment = dict(os.environ, NUCLEUS_FAULT="events.write")
        result = self.create(env=environment)
        if result.status == 0:
            self.skipTest("no fault switch in this build")
        self.assertFails(result, "--events", "input/output error")
        self.assertNothingLeft()

    def test_lost_events_are_counted(self):
        self.sh("exec sleep 1000")
        self.assertOk(self.create())
        environment = dict(os.environ, NUCLEUS_FAULT="events.write")
        result = self.runtime("pause", self.id, env=environment)
        if "warning" not in result.err:
            self.skipTest("no fault switch in this build")
        self.assertOk(result)
        self.assertOk(self.runtime("resume", self.id))
        self.assertEqual([(event["event"], event.get("lost")) for event in self.events()],
                         [("created", None), ("resumed", 1)])
        self.assertGood()
        self.assertOk(self.delete("--force"))


if __name__ == "__main__":
    main()
