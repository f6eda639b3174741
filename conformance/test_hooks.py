"""Hooks: when each kind runs, where, with what, and what its failure does."""

import json
import os
import signal
import unittest

from harness import GVISOR, IS_NUCLEUS, RUNTIME, Case, command, is_alive, main, rule, wait_until

# Inside of gVisor two are refused.
CREATE_KINDS = ("prestart", "createRuntime", *([] if GVISOR else ["createContainer"]))
BEFORE_EXECVE = (*CREATE_KINDS, *([] if GVISOR else ["startContainer"]))
KINDS = (*BEFORE_EXECVE, "poststart", "poststop")
RUNTIME_KINDS = ("prestart", "createRuntime", "poststart", "poststop")  # of these the whole life is the runtime's namespace
STATUS = {"prestart": "creating", "createRuntime": "creating", "createContainer": "creating", "startContainer": "created",
          "poststart": "running", "poststop": "stopped"}
NAMESPACES = ("ipc", "mnt", "net", "uts", *([] if GVISOR else ["pid"]))  # a sandbox of gVisor's is in the host's of pids


class Hooks(Case):
    """A directory that hooks write to; the container has it as /seen."""

    def setUp(self):
        super().setUp()
        self.seen = self.directory / "seen"
        self.seen.mkdir()
        (self.rootfs / "seen").mkdir()
        self.config["mounts"].append({"destination": "/seen", "type": "bind", "source": str(self.seen), "options": ["bind"]})
        self.config["hooks"] = {}

    def place(self, kind):
        """The directory as a hook of this kind finds it."""
        return "/seen" if kind == "startContainer" else str(self.seen)

    def add(self, kind, script, **more):
        """A hook that is a line of shell; @ stands for the directory."""
        hook = {"path": "/bin/sh", "args": ["sh", "-c", script.replace("@", self.place(kind))], **more}
        self.config["hooks"].setdefault(kind, []).append(hook)
        return hook

    def mark_all(self):
        for kind in KINDS:
            self.add(kind, f"echo {kind} >> @/order")

    def order(self):
        return self.read("order").split()

    def read(self, name):
        path = self.seen / name
        return path.read_text() if path.exists() else ""

    def live(self, script="exec sleep 1000"):
        """create, start, kill, delete."""
        self.running(script)
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertOk(self.delete())


class Order(Hooks):
    @rule("MUST", "config.md#posix-platform-hooks",
          "prestart, createRuntime, createContainer, startContainer, poststart, poststop: each in its turn")
    def test_each_kind_in_its_turn(self):
        self.mark_all()
        self.sh("echo process >> /seen/order; exec sleep 1000")
        self.assertOk(self.create())
        self.assertEqual(self.order(), list(CREATE_KINDS))
        self.assertOk(self.start())
        wait_until(lambda: "process" in self.order() and "poststart" in self.order(), "process and poststart")
        before = len(BEFORE_EXECVE)
        self.assertEqual(self.order()[:before], list(BEFORE_EXECVE))
        self.assertEqual(sorted(self.order()[before:]), ["poststart", "process"])
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertNotIn("poststop", self.order())
        self.assertOk(self.delete())
        self.assertEqual(self.order()[before + 2:], ["poststop"])

    @rule("MUST", "config.md#posix-platform-hooks",
          "prestart, createRuntime, createContainer, startContainer, poststart, poststop: each in its turn")
    def test_run(self):
        self.mark_all()
        self.sh("echo process >> /seen/order")
        self.assertOk(self.run_container())
        order = self.order()
        before = len(BEFORE_EXECVE)
        self.assertEqual(order[:before], list(BEFORE_EXECVE))
        self.assertEqual(sorted(order[before:before + 2]), ["poststart", "process"])
        self.assertEqual(order[before + 2:], ["poststop"])

    @rule("MUST", "config.md#posix-platform-hooks", "hooks run in the order listed")
    def test_as_listed(self):
        for kind in KINDS:
            for number in range(5):
                self.add(kind, f"echo {kind}{number} >> @/order")
        self.live()
        self.assertEqual(self.order(), [f"{kind}{number}" for kind in KINDS for number in range(5)])

    @rule("MUST", "config.md#posix-platform-hooks", "poststart: after the user's process has been executed, before start returns")
    def test_poststart_comes_after_execve(self):
        # A moment before, the same pid would still show the runtime as its program.
        self.add("poststart", 'pid=$(sed "s/.*\\"pid\\": *\\([0-9]*\\).*/\\1/" | tr -dc 0-9); cat /proc/$pid/cmdline > @/line')
        for _ in range(10):
            self.process["args"] = ["/bin/sleep", "1000"]
            self.assertOk(self.create())
            self.assertOk(self.start())
            self.assertEqual(self.read("line"), "/bin/sleep\0" + "1000\0")
            self.assertOk(self.delete("--force"))

    @rule("MUST", "config.md#posix-platform-hooks", "poststart: after the user's process has been executed, before start returns")
    def test_poststart_does_not_run_when_execve_fails(self):
        self.mark_all()
        (self.rootfs / "bin/broken").write_bytes(b"\x7fELF" + b"x" * 100)
        (self.rootfs / "bin/broken").chmod(0o755)
        self.process["args"] = ["/bin/broken"]
        self.assertOk(self.create())
        self.assertFails(self.start(), "exec format error")
        self.assertOk(self.delete("--force"))
        self.assertNotIn("poststart", self.order())
        self.assertEqual(self.order().count("poststop"), 1)

    @rule("MUST", "config.md#posix-platform-hooks", "poststart: after the user's process has been executed, before start returns")
    def test_start_waits_for_poststart(self):
        self.add("poststart", "sleep 0.3; echo done > @/order")
        self.running()
        self.assertEqual(self.order(), ["done"])

    @rule("MUST", "config.md#posix-platform-hooks", "poststop: after the container is deleted, before delete returns")
    def test_poststop_once_when_a_running_container_is_deleted(self):
        self.mark_all()
        self.running()
        self.assertOk(self.delete("--force"))
        self.assertEqual(self.order()[-1:], ["poststop"])
        self.assertEqual(self.order().count("poststop"), 1)

    @rule("MUST", "config.md#posix-platform-hooks", "poststop: after the container is deleted, before delete returns")
    def test_poststop_of_a_container_that_was_never_started(self):
        self.mark_all()
        self.assertOk(self.create())
        self.assertOk(self.delete("--force"))
        self.assertEqual(self.order(), [*CREATE_KINDS, "poststop"])


class Input(Hooks):
    @rule("MUST", "config.md#posix-platform-hooks", "the container's state is on stdin")
    def test_state_on_stdin(self):
        self.config["annotations"] = {"org.example.key": "value \"quoted\" ü",
                                      **({"dev.nucleus.runtime": "gvisor"} if GVISOR else {})}
        for kind in KINDS:
            self.add(kind, f"cat > @/{kind}")
        pid = self.running()
        self.assertOk(self.delete("--force"))
        for kind in KINDS:
            with self.subTest(kind=kind):
                state = json.loads(self.read(kind))
                self.assertEqual(state["status"], STATUS[kind])
                self.assertEqual(state["id"], self.id)
                self.assertEqual(state["bundle"], str(self.bundle))
                self.assertEqual(state["annotations"], self.config["annotations"])
                self.assertRegex(state["ociVersion"], r"^1\.\d+\.\d+")
                if kind == "poststop":
                    self.assertEqual(state.get("pid", 0), 0)
                elif kind in RUNTIME_KINDS:
                    self.assertEqual(state["pid"], pid)
                else:
                    self.assertGreater(state["pid"], 0)

    @rule("MUST", "config.md#posix-platform-hooks", "args and env are exactly what was given")
    def test_environment_is_exact(self):
        wanted = ["ONE=1", "TWO=two words", "EMPTY=", "NOVALUE"]
        for kind in KINDS:
            self.config["hooks"][kind] = [
                {"path": "/bin/cp", "args": ["cp", "/proc/self/environ", f"{self.place(kind)}/{kind}"], "env": wanted}]
        self.live()
        for kind in KINDS:
            with self.subTest(kind=kind):
                self.assertEqual(self.read(kind), "".join(f"{entry}\0" for entry in wanted))

    @rule("MUST", "config.md#posix-platform-hooks", "args and env are exactly what was given")
    def test_no_environment_is_none(self):
        os.environ["NUCLEUS_TEST_OF_CALLER"] = "1"
        self.addCleanup(os.environ.pop, "NUCLEUS_TEST_OF_CALLER")
        for kind in KINDS:
            self.config["hooks"][kind] = [{"path": "/bin/cp", "args": ["cp", "/proc/self/environ", f"{self.place(kind)}/{kind}"]}]
        self.live()
        for kind in KINDS:
            with self.subTest(kind=kind):
                self.assertTrue((self.seen / kind).exists())
                self.assertEqual(self.read(kind), "")

    @rule("MUST", "config.md#posix-platform-hooks", "args and env are exactly what was given")
    def test_arguments(self):
        # argv[0] is the caller's to choose; without args it is the path.
        script = self.directory / "script"
        script.write_text(f'#!/bin/sh\ntr "\\0" "\\n" < /proc/$$/cmdline > {self.seen}/$#\n')
        script.chmod(0o755)
        self.config["hooks"]["createRuntime"] = [
            {"path": str(script)},
            {"path": str(script), "args": ["name", "a", "b c", "", "ü*$"]}]
        self.assertOk(self.run_container())
        self.assertEqual(self.read("0").splitlines(), ["/bin/sh", str(script)])
        self.assertEqual(self.read("4").splitlines(), ["/bin/sh", str(script), "a", "b c", "", "ü*$"])

    def test_hook_that_does_not_read_a_large_state(self):
        self.config["annotations"] = {f"org.example.{number}": "x" * 1000 for number in range(500)}
        for kind in KINDS:
            self.add(kind, f"echo {kind} >> @/order")
        self.live()
        self.assertEqual(self.order(), list(KINDS))

    def test_hook_that_says_much(self):
        for kind in KINDS:
            self.add(kind, f"head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; echo {kind} >> @/order")
        self.live()
        self.assertEqual(self.order(), list(KINDS))

    def test_descriptors(self):
        for kind in RUNTIME_KINDS:
            self.add(kind, f"exec ls /proc/self/fd > @/{kind}")
        # A descriptor of the caller, too, is none of the hook's business.
        self.sh("exec sleep 1000")
        self.write()
        with open("/etc/passwd") as file:
            os.dup2(file.fileno(), 9, inheritable=True)
            self.addCleanup(os.close, 9)
            result = command([RUNTIME, "--root", self.root, "run", "--detach", "--bundle", self.bundle, self.id], close_fds=False)
        self.assertOk(result)
        self.assertOk(self.delete("--force"))
        for kind in RUNTIME_KINDS:
            with self.subTest(kind=kind):
                self.assertEqual(self.read(kind).split(), ["0", "1", "2", "3"])  # 3 is what ls itself opens

    def test_signals(self):
        for kind in KINDS:
            self.config["hooks"][kind] = [{"path": "/bin/cp", "args": ["cp", "/proc/self/status", f"{self.place(kind)}/{kind}"]}]

        def caller():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGUSR1})
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        self.sh("exec sleep 1000")
        self.assertOk(self.create(preexec_fn=caller))
        self.assertOk(self.runtime("start", self.id, preexec_fn=caller))
        self.assertOk(self.runtime("delete", "--force", self.id, preexec_fn=caller))
        for kind in KINDS:
            with self.subTest(kind=kind):
                self.assertIn("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n", self.read(kind))


class Place(Hooks):
    @rule("MUST", "config.md#posix-platform-hooks", "each kind runs in its namespaces, and its path is found there")
    def test_namespaces(self):
        # poststop runs when the container's are gone: the runtime's is all that is left for it.
        for kind in KINDS:
            self.add(kind, f"for n in {' '.join(NAMESPACES)}; do readlink /proc/self/ns/$n; done > @/{kind}")
        pid = self.running()
        host = [os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES]
        inside = [os.readlink(f"/proc/{pid}/ns/{name}") for name in NAMESPACES]
        self.assertFalse(set(host) & set(inside))
        self.assertOk(self.delete("--force"))
        for kind in KINDS:
            with self.subTest(kind=kind):
                self.assertEqual(self.read(kind).split(), host if kind in RUNTIME_KINDS else inside)

    def script(self, path, text):
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    @rule("MUST", "config.md#posix-platform-hooks", "each kind runs in its namespaces, and its path is found there")
    def test_paths(self):
        # All but startContainer's are the host's paths; startContainer's is the container's.
        host = self.directory / "hook"
        self.script(host, f"echo $1 >> {self.seen}/order")
        self.script(self.rootfs / "hook", "echo $1 >> /seen/order")
        for kind in KINDS:
            path = "/hook" if kind == "startContainer" else str(host)
            self.config["hooks"][kind] = [{"path": path, "args": ["hook", kind]}]
        self.live()
        self.assertEqual(self.order(), list(KINDS))

    @rule("MUST", "config.md#posix-platform-hooks", "each kind runs in its namespaces, and its path is found there")
    def test_root_of_startcontainer_is_the_containers(self):
        self.add("startContainer", "ls / > @/list; cat /proc/1/cmdline > @/init; id -u > @/uid")
        self.running()
        self.assertIn("seen", self.read("list").split())
        self.assertNotIn("usr/lib", self.read("list"))
        self.assertEqual(self.read("uid"), "0\n")

    @rule("MUST", "config.md#posix-platform-hooks", "createRuntime: after the namespaces are made, before the root is changed")
    def test_network_exists_when_createruntime_runs(self):
        # What every network plugin relies on.
        self.add("createRuntime", 'pid=$(sed "s/.*\\"pid\\": *\\([0-9]*\\).*/\\1/" | tr -dc 0-9); '
                                  "readlink /proc/$pid/ns/net > @/net; nsenter -t $pid -n ip link set lo up")
        self.sh("ip link show lo")
        result = self.run_container()
        self.assertOk(result)
        self.assertNotEqual(self.read("net").strip(), os.readlink("/proc/self/ns/net"))
        self.assertIn("UP", result.out)

    @rule("MUST", "config.md#posix-platform-hooks", "createContainer: after the mounts, before the root is changed")
    def test_mount_of_createcontainer_is_seen_inside(self):
        # How devices and libraries of accelerators come into containers.
        self.add("createContainer", f"mount -t tmpfs tmpfs {self.rootfs}/mnt && echo injected > {self.rootfs}/mnt/file")
        self.assertEqual(self.output("cat /mnt/file"), "injected\n")
        self.assertFalse((self.rootfs / "mnt/file").exists(), "the host does not see it")

    @rule("MUST", "config.md#posix-platform-hooks", "createRuntime: after the namespaces are made, before the root is changed")
    def test_mount_of_createruntime_by_nsenter_is_seen_inside(self):
        self.add("createRuntime", 'pid=$(sed "s/.*\\"pid\\": *\\([0-9]*\\).*/\\1/" | tr -dc 0-9); '
                                  f"nsenter -t $pid -m sh -c 'mount -t tmpfs tmpfs {self.rootfs}/mnt && "
                                  f"echo injected > {self.rootfs}/mnt/file'")
        self.assertEqual(self.output("cat /mnt/file"), "injected\n")

    @rule("MUST", "config.md#posix-platform-hooks", "createContainer: after the mounts, before the root is changed")
    def test_configured_mounts_are_there_for_createcontainer(self):
        self.add("createContainer", f"stat -f -c %T {self.rootfs}/proc {self.rootfs}/dev > @/types")
        self.assertOk(self.run_container())
        self.assertEqual(self.read("types").split(), ["proc", "tmpfs"])


class Failure(Hooks):
    def fails(self, kind, result, *words):
        self.assertFails(result, f"{kind} hook" if IS_NUCLEUS else "hook", *words)

    @rule("MUST", "runtime.md#lifecycle",
          "a failing prestart, createRuntime, createContainer or startContainer hook: error, the container is destroyed, poststop runs")
    def test_kinds_of_create(self):
        for kind in CREATE_KINDS:
            with self.subTest(kind=kind):
                self.config["hooks"] = {}
                (self.seen / "order").unlink(missing_ok=True)
                self.mark_all()
                self.config["hooks"][kind].insert(0, self.config["hooks"][kind].pop())
                self.add(kind, f"echo words of the {kind} hook >&2; exit 3")
                self.add(kind, "echo never >> @/order")
                self.sh("echo process >> /seen/order")
                result = self.create()
                self.fails(kind, result, "exit status 3", f"words of the {kind} hook")
                # Stopped, destroyed, and poststop has run; what comes later has not.
                self.assertNothingLeft()
                before = CREATE_KINDS[:CREATE_KINDS.index(kind) + 1]
                self.assertEqual(self.order(), [*before, "poststop"])

    @rule("MUST", "runtime.md#lifecycle",
          "a failing prestart, createRuntime, createContainer or startContainer hook: error, the container is destroyed, poststop runs")
    def test_startcontainer(self):
        self.mark_all()
        self.add("startContainer", "exit 3")
        self.sh("echo process >> /seen/order")
        self.assertOk(self.create())
        self.fails("startContainer", self.start(), "exit status 3")
        self.assertNothingLeft()
        self.assertEqual(self.order(), [*CREATE_KINDS, "startContainer", "poststop"])

    @rule("MUST", "runtime.md#lifecycle", "a failing poststart hook: error, the container is stopped and destroyed")
    def test_poststart(self):
        self.mark_all()
        self.add("poststart", "exit 3")
        self.sh("exec sleep 1000")
        self.assertOk(self.create())
        pid = self.state()["pid"]
        self.fails("poststart", self.start(), "exit status 3")
        self.assertFalse(is_alive(pid))
        self.assertNothingLeft()
        self.assertEqual(self.order(), [*BEFORE_EXECVE, "poststart", "poststop"])

    @rule("MUST", "runtime.md#warnings", "a warning does not change what happens")
    @rule("MUST", "runtime.md#lifecycle", "a failing poststop hook: a warning, the others still run")
    def test_poststop_only_warns(self):
        self.add("poststop", "echo one >> @/order; exit 3")
        self.config["hooks"]["poststop"].append({"path": "/nucleus-test/missing"})
        self.add("poststop", "echo three >> @/order")
        self.running()
        result = self.delete("--force")
        self.assertOk(result)
        self.assertIn("warning", result.err)
        self.assertIn("exit status 3", result.err)
        self.assertIn("/nucleus-test/missing", result.err)
        self.assertEqual(self.order(), ["one", "three"])
        self.assertNothingLeft()

    def test_run(self):
        for kind in KINDS[:-1]:
            with self.subTest(kind=kind):
                self.config["hooks"] = {}
                (self.seen / "order").unlink(missing_ok=True)
                self.add(kind, "exit 3")
                self.add("poststop", "echo poststop >> @/order")
                self.sh("exec sleep 1000")
                self.fails(kind, self.run_container(), "exit status 3")
                self.assertEqual(self.order(), ["poststop"])
                self.assertNothingLeft()

    @rule("MUST", "runtime.md#lifecycle", "a failing poststop hook: a warning, the others still run")
    def test_run_with_failing_poststop(self):
        self.add("poststop", "exit 3")
        self.sh("exit 7")
        result = self.run_container()
        self.assertEqual(result.status, 7, result)
        self.assertNothingLeft()

    def test_cannot_be_executed(self):
        (self.directory / "plain").write_text("text")
        (self.directory / "noformat").write_bytes(b"\x7fELF" + b"x" * 100)
        (self.directory / "noformat").chmod(0o755)
        for path, words in (("/nucleus-test/missing", "no such file or directory"), (self.directory / "plain", "permission denied"),
                            (self.directory / "noformat", "exec format error"), (self.directory, "permission denied")):
            for kind in CREATE_KINDS:
                with self.subTest(kind=kind, path=path):
                    self.config["hooks"] = {kind: [{"path": str(path)}]}
                    self.fails(kind, self.create(), str(path), words)
                    self.assertNothingLeft()

    def test_path_of_startcontainer_that_only_the_host_has(self):
        script = self.directory / "hook"
        script.write_text("#!/bin/sh\n")
        script.chmod(0o755)
        self.config["hooks"] = {"startContainer": [{"path": str(script)}]}
        self.assertOk(self.create())
        self.fails("startContainer", self.start(), str(script), "no such file or directory")
        self.assertNothingLeft()

    def test_killed_by_a_signal(self):
        self.add("createRuntime", "kill -SEGV $$")
        self.fails("createRuntime", self.create(), "signal 11" if IS_NUCLEUS else "segmentation")
        self.assertNothingLeft()

    def test_output_of_the_hook_stays_on_one_line(self):
        self.add("createRuntime", r"printf 'one\ntwo\n\033[31mred' >&2; exit 1")
        result = self.create()
        self.fails("createRuntime", result, "one", "two")
        self.assertNotIn("\x1b", result.err)

    def test_endless_output_of_the_hook_is_cut(self):
        self.add("createRuntime", "head -c 5000000 /dev/zero | tr '\\0' x; exit 1")
        result = self.create()
        self.fails("createRuntime", result)
        self.assertLess(len(result.err), 10000)


class Timeout(Hooks):
    @rule("MUST", "config.md#posix-platform-hooks", "timeout ends a hook, and is a failure")
    def test_each_kind(self):
        # The hook would go on for an hour; the harness gives up after a minute.
        for kind in KINDS[:-1]:
            with self.subTest(kind=kind):
                self.config["hooks"] = {}
                self.add(kind, "echo $$ > @/pid; exec sleep 3600", timeout=1)
                self.add("poststop", "echo poststop > @/order")
                self.sh("exec sleep 1000")
                self.assertFails(self.run_container(), f"{kind} hook" if IS_NUCLEUS else "", "1 s" if IS_NUCLEUS else "hook")
                self.assertEqual(self.order(), ["poststop"])
                self.assertNothingLeft()
                (self.seen / "order").unlink()

    @rule("MUST", "config.md#posix-platform-hooks", "timeout ends a hook, and is a failure")
    def test_poststop(self):
        self.add("poststop", "exec sleep 3600", timeout=1)
        self.add("poststop", "echo after > @/order")
        self.running()
        result = self.delete("--force")
        self.assertOk(result)
        self.assertIn("warning", result.err)
        self.assertEqual(self.order(), ["after"])

    def test_what_the_hook_started_is_killed_with_it(self):
        self.add("createRuntime", "sleep 3600 & echo $! > @/pid; wait", timeout=1)
        self.assertFails(self.create(), "hook")
        pid = int(self.read("pid"))
        wait_until(lambda: not is_alive(pid), "end of the hook's own child")

    @rule("MUST", "config.md#posix-platform-hooks", "timeout ends a hook, and is a failure")
    def test_hook_that_ends_in_time(self):
        for kind in KINDS:
            self.add(kind, f"echo {kind} >> @/order", timeout=30)
        self.live()
        self.assertEqual(self.order(), list(KINDS))

    def test_background_process_that_keeps_the_streams_is_not_waited_for(self):
        self.add("createRuntime", "sleep 3600 & echo $! > @/pid")
        self.addCleanup(lambda: os.kill(int(self.read("pid")), signal.SIGKILL))
        self.assertOk(self.run_container())


if __name__ == "__main__":
    main()
