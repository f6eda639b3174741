"""A container's life: what each operation does in each status, and what is there when commands meet or die."""

import ctypes
import fcntl
import json
import os
import pathlib
import pty
import random
import select
import shutil
import signal
import struct
import subprocess
import termios
import threading
import unittest

from harness import GVISOR, IS_NUCLEUS, RUNTIME, Case, cgroup_directories, command, is_alive, main, rule, wait_until

# Hooks of the way to a running program; gVisor refuses those that are run among the container's mounts.
KINDS = ("prestart", "createRuntime", *(() if GVISOR else ("createContainer", "startContainer")), "poststart")
SLOWER = 10 if GVISOR else 1  # how much longer a command takes
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def prctl(option, value):
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


class Life(Case):
    def popen(self, *args, **keywords):
        """A command that goes on while the test does something else."""
        keywords.setdefault("stdin", subprocess.DEVNULL)
        keywords.setdefault("stdout", subprocess.PIPE)
        keywords.setdefault("stderr", subprocess.STDOUT)
        process = subprocess.Popen([RUNTIME, "--root", str(self.root), *map(str, args)], **keywords)

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout:
                process.stdout.close()
        self.addCleanup(end)
        return process

    def marks(self):
        path = self.rootfs / "tmp/marks"
        return path.read_text().split() if path.exists() else []

    def wait_mark(self, mark):
        wait_until(lambda: mark in self.marks(), f"mark {mark} of the container")

    def ps(self):
        return json.loads(self.runtime("ps", "--format", "json", self.id).out)


class Status(Life):
    @rule("MUST", "runtime.md#state", "status: creating, created, running, stopped")
    def test_created_running_stopped(self):
        self.sh("echo ran >> /tmp/marks; exec sleep 1000")
        self.assertOk(self.create())
        created = self.state()
        self.assertEqual(created["status"], "created")
        self.assertTrue(is_alive(created["pid"]))
        self.assertEqual(self.marks(), [], "create does not run the program")
        self.assertOk(self.start())
        self.wait_mark("ran")
        running = self.state()
        self.assertEqual((running["status"], running["pid"]), ("running", created["pid"]))
        self.assertEqual(running["created"], created["created"])
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertOk(self.delete())
        self.assertFails(self.runtime("state", self.id), "container does not exist")

    @rule("MUST", "runtime.md#state", "status: creating, created, running, stopped")
    def test_creating(self):
        # While a hook of create runs.
        fifo = self.directory / "fifo"
        os.mkfifo(fifo)
        self.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", f"read x < {fifo}"]}]}
        self.write()
        create = self.popen("create", "--bundle", self.bundle, self.id, stdout=subprocess.DEVNULL)
        with open(fifo, "w") as gate:  # opens when the hook does
            self.assertEqual(self.status(), "creating")
            self.assertEqual(self.runtime("list", "-q").out, f"{self.id}\n")
            # list and state do not wait for create; what changes the container does, or refuses.
            self.assertFails(self.exec("true"), "container" if IS_NUCLEUS else "", status=255)
            gate.write("go\n")
        self.assertEqual(create.wait(30), 0)
        self.assertEqual(self.status(), "created")

    @rule("MAY", "runtime.md#state", "status: paused")
    def test_paused(self):
        pid = self.running()
        self.assertOk(self.runtime("pause", self.id))
        state = self.state()
        self.assertEqual((state["status"], state["pid"]), ("paused", pid))
        self.assertOk(self.runtime("resume", self.id))
        self.assertEqual(self.status(), "running")

    def test_init_killed_by_somebody_else(self):
        pid = self.running()
        os.kill(pid, signal.SIGKILL)
        self.wait_stopped()
        self.assertEqual(self.state()["pid"], 0)
        self.assertOk(self.delete())

    def test_init_killed_before_start(self):
        self.assertOk(self.create())
        os.kill(self.state()["pid"], signal.SIGKILL)
        self.wait_stopped()
        self.assertFails(self.start(), "cannot start a container that has stopped")
        self.assertOk(self.delete())

    @rule("MUST", "runtime.md#delete", "what create made is removed, and the id is free")
    def test_same_id_again(self):
        for _ in range(3):
            self.running()
            self.assertOk(self.delete("--force"))

    def test_same_id_below_another_root(self):
        self.running()
        first = self.root
        self.root = self.directory / "other"
        self.linux["cgroupsPath"] += "-other"
        self.assertOk(self.create())
        self.assertOk(self.delete())
        self.root = first
        self.assertEqual(self.status(), "running")


class Frozen(Life):
    """config.json matters at create and never again."""

    def edit(self):
        self.config["process"]["args"] = ["/bin/sh", "-c", "echo edited >> /tmp/marks"]
        self.config["process"]["env"] = ["PATH=/bin", "WHICH=edited"]
        self.config["hostname"] = "edited"
        self.config["annotations"] = {"which": "edited"}
        self.config["hooks"] = {kind: [{"path": "/bin/touch", "args": ["touch", f"{self.directory}/edited-{kind}"]}]
                                for kind in ("poststart", "poststop")}
        self.write()

    @rule("MUST", "runtime.md#create", "config.json edited afterwards has no effect")
    def test_edited_after_create(self):
        self.config["annotations"] = {"which": "original"}
        self.process["env"] = ["PATH=/bin", "WHICH=original"]
        self.config["hooks"] = {kind: [{"path": "/bin/touch", "args": ["touch", f"{self.directory}/original-{kind}"]}]
                                for kind in ("poststart", "poststop")}
        self.sh("echo $WHICH $(hostname) >> /tmp/marks; exec sleep 1000")
        self.assertOk(self.create())
        self.edit()
        self.assertOk(self.start())
        self.wait_mark("original")
        self.assertEqual(self.marks(), ["original", "box"])
        self.assertEqual(self.exec("sh", "-c", "echo $WHICH").out, "original\n")
        self.assertEqual({key: value for key, value in self.state()["annotations"].items() if not key.startswith("dev.nucleus.")},
                         {"which": "original"})
        self.assertOk(self.delete("--force"))
        self.assertEqual(sorted(p.name for p in self.directory.glob("*-post*")), ["original-poststart", "original-poststop"])

    @rule("MUST", "runtime.md#create", "config.json edited afterwards has no effect")
    def test_removed_after_create(self):
        self.sh("exec sleep 1000")
        self.assertOk(self.create())
        (self.bundle / "config.json").unlink()
        self.assertOk(self.start())
        self.assertOk(self.exec("true"))
        self.assertOk(self.delete("--force"))

    def test_bundle_removed(self):
        self.running()
        shutil.rmtree(self.bundle)
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertOk(self.delete())


class Start(Life):
    @rule("MUST", "runtime.md#start", "of one that is not created: error, and no effect")
    def test_running(self):
        pid = self.running("echo ran >> /tmp/marks; exec sleep 1000")
        self.assertFails(self.start(), "cannot start an already running container")
        self.assertEqual((self.status(), self.state()["pid"]), ("running", pid))
        self.assertEqual(self.marks(), ["ran"])

    @rule("MUST", "runtime.md#start", "of one that is not created: error, and no effect")
    def test_stopped(self):
        self.sh("echo ran >> /tmp/marks")
        self.assertOk(self.create())
        self.assertOk(self.start())
        self.wait_stopped()
        self.assertFails(self.start(), "cannot start a container that has stopped")
        self.assertEqual(self.marks(), ["ran"])

    def test_paused(self):
        pid = self.running()
        self.assertOk(self.runtime("pause", self.id))
        self.assertFails(self.start(), "cannot start")
        self.assertEqual((self.status(), self.state()["pid"]), ("paused", pid))

    @rule("MUST", "config.md#process", "process absent: create succeeds, start is an error")
    @unittest.skipUnless(IS_NUCLEUS, "runc refuses at create")
    def test_without_a_process(self):
        del self.config["process"]
        self.assertOk(self.create())
        self.assertEqual(self.status(), "created")
        self.assertFails(self.start(), "process")
        self.assertEqual(self.status(), "created")
        self.assertOk(self.delete())
        self.assertFails(self.run_container(), "process")
        self.assertNothingLeft()

    def failing(self, change, *words):
        """create succeeds, then the program changes, and start tells execve's own error."""
        tool = self.rootfs / "bin/tool"
        tool.unlink(missing_ok=True)
        tool.write_text("#!/bin/sh\nexec sleep 1000\n")
        tool.chmod(0o755)
        self.process["args"] = ["/bin/tool"]
        self.assertOk(self.create())
        change(tool)
        self.assertFails(self.start(), "/bin/tool" if IS_NUCLEUS else "", *words)
        wait_until(lambda: self.status() == "stopped", "end of the init")
        self.assertFails(self.start(), "cannot start a container that has stopped")
        self.assertOk(self.delete())
        self.assertNothingLeft()

    def test_enoent(self):
        self.failing(lambda tool: tool.unlink(), "no such file or directory")

    def test_eacces(self):
        self.failing(lambda tool: tool.chmod(0o644), "permission denied")

    def test_enoexec(self):
        self.failing(lambda tool: tool.write_bytes(b"\x7fELF" + b"x" * 100), "exec format error")

    def test_no_interpreter(self):
        self.failing(lambda tool: tool.write_text("#!/nosuch\n"), "no such file or directory")

    def test_eisdir(self):
        def directory(tool):
            tool.unlink()
            tool.mkdir()
            self.addCleanup(tool.rmdir)
        self.failing(directory, "permission denied")

    def test_e2big(self):
        self.process["args"] = ["/bin/true", "x" * 200_000]  # one argument may have 128 KiB
        self.assertOk(self.create())
        self.assertFails(self.start(), "argument list too long")

    def test_executable_in_the_path(self):
        (self.rootfs / "opt").mkdir()
        (self.rootfs / "opt/tool").symlink_to("/bin/busybox")
        (self.rootfs / "opt/tool").unlink()
        (self.rootfs / "opt/tool").write_text("#!/bin/sh\necho found\n")
        (self.rootfs / "opt/tool").chmod(0o755)
        self.process["env"] = ["PATH=/nosuch:/bin:/opt"]
        self.process["args"] = ["tool"]
        self.assertEqual(self.output(), "found\n")


class Kill(Life):
    @rule("MUST", "runtime.md#kill", "the signal reaches the process")
    def test_created(self):
        self.assertOk(self.create())
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertFails(self.kill(), "container not running")
        self.assertFails(self.start(), "cannot start a container that has stopped")

    @rule("MUST", "runtime.md#kill", "of one that is neither created nor running: error, and no effect")
    def test_stopped(self):
        self.assertOk(self.create())
        self.assertOk(self.start())
        self.wait_stopped()
        self.assertFails(self.kill("TERM"), "container not running")

    def test_paused(self):
        # Every caller expects a paused container to die of SIGKILL.
        pid = self.running()
        self.assertOk(self.runtime("pause", self.id))
        self.assertOk(self.kill("KILL"))
        wait_until(lambda: not is_alive(pid), "end of a killed paused container")
        self.assertEqual(self.status(), "stopped")

    def test_signal_while_paused_comes_with_resume(self):
        self.running("trap 'echo usr1 >> /tmp/marks' USR1; echo ready >> /tmp/marks; while :; do sleep 0.01; done")
        self.wait_mark("ready")
        self.assertOk(self.runtime("pause", self.id))
        self.assertOk(self.kill("USR1"))
        self.assertEqual(self.status(), "paused")
        self.assertOk(self.runtime("resume", self.id))
        self.wait_mark("usr1")

    def test_only_the_container(self):
        # The same command in another container goes on.
        other = self.directory / "stranger"
        self.running()
        stranger = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertIsNone(stranger.poll(), other)


class Delete(Life):
    def test_created(self):
        self.assertOk(self.create())
        pid = self.state()["pid"]
        self.assertOk(self.delete())
        self.assertFalse(is_alive(pid))
        self.assertNothingLeft()

    def test_paused(self):
        pid = self.running()
        self.assertOk(self.runtime("pause", self.id))
        self.assertFails(self.delete(), f"cannot delete container {self.id} that is not stopped: paused")
        self.assertTrue(is_alive(pid))
        self.assertOk(self.delete("--force"))
        self.assertNothingLeft()

    def test_twice(self):
        self.assertOk(self.create())
        self.assertOk(self.delete())
        self.assertFails(self.delete(), "container does not exist")
        self.assertOk(self.delete("--force"))

    def test_everything_that_runs_in_it(self):
        self.running("for i in 1 2 3 4 5; do sleep 1001 & done; exec sleep 1000")
        wait_until(lambda: len(self.ps()) == 6, "six processes")
        self.assertOk(self.exec("sleep", "1002", flags=["--detach"]))
        pids = [pid for pid, _ in self._pids()]  # on the host, whoever carries the container
        self.assertTrue(pids)
        self.assertOk(self.delete("--force"))
        self.assertFalse([pid for pid in pids if is_alive(pid)])
        self.assertNothingLeft()

    def test_everything_that_runs_in_it_without_a_pid_namespace(self):
        self.without_namespace("pid")
        self.running("for i in 1 2 3 4 5; do setsid sleep 1001 & done; exec sleep 1000")
        wait_until(lambda: len(self.ps()) == 6, "six processes")
        pids = [pid for pid, _ in self._pids()]  # on the host, whoever carries the container
        self.assertTrue(pids)
        self.assertOk(self.delete("--force"))
        self.assertFalse([pid for pid in pids if is_alive(pid)])
        self.assertNothingLeft()

    def test_what_outlives_the_init_without_a_pid_namespace(self):
        self.without_namespace("pid")
        self.sh("setsid sleep 1001 & exit 0")
        self.assertOk(self.create())
        self.assertOk(self.start())
        self.wait_stopped()
        self.assertOk(self.delete("--force"))
        self.assertNothingLeft()

    def test_cgroups_that_the_workload_made(self):
        self.running()
        for path in cgroup_directories(self.id):
            os.makedirs(f"{path}/a/b/c")
        self.assertOk(self.delete("--force"))
        self.assertNothingLeft()

    @rule("MUST", "runtime.md#delete", "what was not made by create is not removed")
    def test_what_was_there_before_stays(self):
        # A cgroup and a network namespace of somebody else.
        directory = pathlib.Path("/sys/fs/cgroup/pids/nucleus-test", f"{self.id}-before")
        if not directory.parent.parent.is_dir():
            self.skipTest("no v1 pids hierarchy")
        directory.mkdir(parents=True)
        self.addCleanup(directory.rmdir)
        holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.stdout.close)
        self.addCleanup(holder.kill)
        holder.stdout.readline()
        self.linux["cgroupsPath"] = f"/nucleus-test/{self.id}-before"
        self.linux["namespaces"][1]["path"] = f"/proc/{holder.pid}/ns/net"
        pid = self.running()
        if not GVISOR:  # whose network is loopback alone, unless another is asked for
            self.assertEqual(os.readlink(f"/proc/{pid}/ns/net"), os.readlink(f"/proc/{holder.pid}/ns/net"))
        self.assertOk(self.delete("--force"))
        self.assertTrue(directory.is_dir())
        self.assertTrue(is_alive(holder.pid))
        left = [path for path in cgroup_directories(f"{self.id}-before") if path != str(directory)]
        self.assertEqual(left, [], "made by create, so removed")

    def test_unknown_file_in_the_state_directory(self):
        # Left by a crash in the middle of a write.
        self.running()
        (self.root / self.id / ".state.json.new").write_text("{")
        self.assertOk(self.delete("--force"))
        self.assertNothingLeft()


class Pause(Life):
    def test_nothing_runs_while_paused(self):
        pid = self.running("while :; do :; done")
        self.assertOk(self.runtime("pause", self.id))

        def used():
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])
        before = used()
        for _ in range(50):
            command(["true"])
        self.assertEqual(used(), before)
        self.assertOk(self.runtime("resume", self.id))
        wait_until(lambda: used() > before, "the loop goes on")

    def test_wrong_status(self):
        self.running()
        self.assertFails(self.runtime("resume", self.id), "container not paused")
        self.assertOk(self.runtime("pause", self.id))
        self.assertFails(self.runtime("pause", self.id), "paused")
        self.assertOk(self.runtime("resume", self.id))
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertFails(self.runtime("pause", self.id), "not running")
        self.assertFails(self.runtime("resume", self.id), "container not paused")

    def test_exec_is_refused(self):
        self.running()
        self.assertOk(self.runtime("pause", self.id))
        self.assertFails(self.exec("true"), "cannot exec in a paused container (use --ignore-paused to override)", status=255)
        self.assertEqual(self.status(), "paused")

    def test_exec_that_waits_for_resume(self):
        self.running()
        self.assertOk(self.runtime("pause", self.id))
        process = self.popen("exec", "--ignore-paused", self.id, "sh", "-c", "echo ran >> /tmp/marks; exit 4")
        wait_until(lambda: len(self.ps()) == 2, "the new process is in the frozen cgroup")
        self.assertEqual(self.marks(), [])
        self.assertIsNone(process.poll())
        self.assertOk(self.runtime("resume", self.id))
        self.assertEqual(process.wait(30), 4)

    def test_everything_of_it(self):
        self.running("sleep 1001 & exec sleep 1000")
        self.assertOk(self.exec("sleep", "1002", flags=["--detach"]))
        wait_until(lambda: len(self.ps()) == 3, "three processes")
        self.assertOk(self.runtime("pause", self.id))
        states = [pathlib.Path(path, file).read_text() for path in cgroup_directories(self.id)
                  for file in ("freezer.state", "cgroup.events") if os.path.exists(f"{path}/{file}")]
        self.assertTrue(any("FROZEN" in text or "frozen 1" in text for text in states), states)
        # Those that come later are frozen too: they are in the same cgroup.
        frozen = [path for path in cgroup_directories(self.id) if os.path.exists(f"{path}/freezer.state")]
        for path in frozen:
            self.assertEqual(sorted(map(int, pathlib.Path(path, "cgroup.procs").read_text().split())), self.ps())


class Foreground(Life):
    """run: the command stands for the container's process."""

    TRAP = "trap 'echo {0} >> /tmp/marks; exit 40' {0}; echo ready >> /tmp/marks; while :; do sleep 0.01; done"

    def test_signals_are_passed_on(self):
        for name in ("TERM", "INT", "HUP", "USR1", "USR2", "QUIT"):
            with self.subTest(name=name):
                (self.rootfs / "tmp/marks").unlink(missing_ok=True)
                self.sh(self.TRAP.format(name))
                self.write()
                process = self.popen("run", "--bundle", self.bundle, self.id)
                self.wait_mark("ready")
                process.send_signal(getattr(signal, f"SIG{name}"))
                self.assertEqual(process.wait(30), 40)
                self.assertEqual(self.marks(), ["ready", name])
                self.assertNothingLeft()

    def test_signals_are_passed_on_by_exec(self):
        self.running()
        for name in ("TERM", "INT", "HUP", "USR1"):
            with self.subTest(name=name):
                (self.rootfs / "tmp/marks").unlink(missing_ok=True)
                process = self.popen("exec", self.id, "/bin/sh", "-c", self.TRAP.format(name))
                self.wait_mark("ready")
                process.send_signal(getattr(signal, f"SIG{name}"))
                self.assertEqual(process.wait(30), 40)

    def test_killed_from_outside(self):
        self.sh("echo ready >> /tmp/marks; exec sleep 1000")
        self.write()
        process = self.popen("run", "--bundle", self.bundle, self.id)
        self.wait_mark("ready")
        os.kill(self.state()["pid"], signal.SIGKILL)
        self.assertEqual(process.wait(30), 137)
        self.assertNothingLeft()

    def test_deleted_from_outside(self):
        self.sh("echo ready >> /tmp/marks; exec sleep 1000")
        self.write()
        process = self.popen("run", "--bundle", self.bundle, self.id)
        self.wait_mark("ready")
        self.assertOk(self.delete("--force"))
        self.assertEqual(process.wait(30), 137)
        self.assertNothingLeft()

    def test_killed_itself(self):
        # The container goes on; delete finds all of it.
        self.sh("echo ready >> /tmp/marks; exec sleep 1000")
        self.write()
        process = self.popen("run", "--bundle", self.bundle, self.id)
        wait_until(lambda: self.runtime("state", self.id).out.find('"running"') > 0, "running")
        process.kill()
        process.wait()
        self.assertEqual(self.status(), "running")
        self.assertOk(self.delete("--force"))
        self.assertNothingLeft()

    def test_reader_of_the_output_goes_away(self):
        self.sh("echo ready >> /tmp/marks; while :; do echo x; [ -e /tmp/end ] && exit 5; done 2>/dev/null; exit 5")
        self.process["args"] = ["/bin/sh", "-c", "trap '' PIPE; " + self.process["args"][2]]
        self.write()
        process = self.popen("run", "--bundle", self.bundle, self.id)
        self.wait_mark("ready")
        process.stdout.close()
        process.stdout = None
        (self.rootfs / "tmp/end").touch()
        self.assertEqual(process.wait(30), 5)

    def test_orphans_are_reaped(self):
        # Without a pid namespace the orphans come to the runtime, or to the host's init.
        self.without_namespace("pid")
        self.sh("(sh -c 'exit 1' &) ; (sh -c 'exit 2' &); sleep 0.1; exit 6")
        self.assertEqual(self.run_container().status, 6)

    def test_detached_container_keeps_the_streams(self):
        read_end, write_end = os.pipe()
        self.sh("echo ready >> /tmp/marks; while [ ! -e /tmp/go ]; do sleep 0.01; done; echo said; exec sleep 1000")
        self.write()
        process = self.popen("run", "--detach", "--bundle", self.bundle, self.id, stdout=write_end, stderr=subprocess.DEVNULL)
        os.close(write_end)
        self.assertEqual(process.wait(30), 0)
        self.wait_mark("ready")
        (self.rootfs / "tmp/go").touch()
        with open(read_end) as stream:
            self.assertEqual(stream.readline(), "said\n")


class Terminal(Life):
    """run and exec on a terminal of the caller's."""

    def on_terminal(self, args, size=(24, 80)):
        """Starts the command with a new terminal as its streams; (process, master, slave)."""
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        self.resize(master, size)

        def session():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        process = self.popen(*args, stdin=slave, stdout=slave, stderr=slave, preexec_fn=session)
        self.text = b""
        return process, master, slave

    def resize(self, master, size):
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))

    def wait_text(self, master, text):
        def seen():
            while select.select([master], [], [], 0)[0]:
                self.text += os.read(master, 65536)
            return text in self.text
        try:
            wait_until(seen, f"{text} on the terminal")
        except AssertionError as error:
            raise AssertionError(f"{error}; there was {self.text}") from None
        self.text = self.text[self.text.index(text) + len(text):]

    def run_on_terminal(self, script, **more):
        self.process["terminal"] = True
        self.sh(script)
        self.write()
        return self.on_terminal(["run", "--bundle", self.bundle, self.id], **more)

    def test_size_of_the_callers_terminal(self):
        process, master, _ = self.run_on_terminal("stty size; exit 3", size=(33, 99))
        self.wait_text(master, b"33 99")
        self.assertEqual(process.wait(30), 3)

    def test_size_follows(self):
        process, master, _ = self.run_on_terminal(
            "trap 'stty size' WINCH; echo ready; while [ ! -e /tmp/end ]; do sleep 0.01; done")
        self.wait_text(master, b"ready")
        self.resize(master, (41, 123))
        self.wait_text(master, b"41 123")
        (self.rootfs / "tmp/end").touch()
        self.assertEqual(process.wait(30), 0)

    def test_interrupt_key(self):
        process, master, _ = self.run_on_terminal("trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 0.01; done")
        self.wait_text(master, b"ready")
        os.write(master, b"\x03")
        self.wait_text(master, b"interrupted")
        self.assertEqual(process.wait(30), 9)

    def test_the_callers_terminal_is_restored(self):
        before = None
        process, master, slave = self.run_on_terminal("echo ready; read x; exit 2")
        self.wait_text(master, b"ready")
        during = termios.tcgetattr(slave)
        self.assertFalse(during[3] & termios.ICANON, "raw while the container has it")
        os.write(master, b"x\r")
        self.assertEqual(process.wait(30), 2)
        after = termios.tcgetattr(slave)
        self.assertTrue(after[3] & termios.ICANON and after[3] & termios.ECHO, before)

    def test_much_output_to_the_last_byte(self):
        process, master, _ = self.run_on_terminal("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; exit 4")
        text, ended = b"", False
        while not (ended and not select.select([master], [], [], 0.2)[0]):
            ended = process.poll() is not None
            while select.select([master], [], [], 0.05)[0]:
                text += os.read(master, 65536)
        self.assertEqual(process.returncode, 4)
        self.assertEqual(text, b"".join(b"line %d\r\n" % i for i in range(20000)))

    def test_exec(self):
        self.running()
        process, master, _ = self.on_terminal(["exec", "--tty", self.id, "/bin/sh", "-c", "tty; stty size; read x; exit 6"],
                                              size=(30, 90))
        self.wait_text(master, b"/dev/")
        self.wait_text(master, b"30 90")
        os.write(master, b"x\r")
        self.assertEqual(process.wait(30), 6)

    def test_without_a_terminal_of_the_caller(self):
        self.process["terminal"] = True
        self.sh("tty >/dev/null && echo is a tty; exit 2")
        result = self.run_container()
        self.assertEqual(result.status, 2, result)
        self.assertIn("is a tty", result.out)


class Parent(Life):
    """What a shim is to the container: the subreaper that gets its processes and their status."""

    def setUp(self):
        super().setUp()
        prctl(PR_SET_CHILD_SUBREAPER, 1)
        self.addCleanup(prctl, PR_SET_CHILD_SUBREAPER, 0)

    def test_status_of_the_process(self):
        self.sh("exit 23")
        self.assertOk(self.create())
        pid = self.state()["pid"]
        self.assertOk(self.start())
        _, status = os.waitpid(pid, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 23)
        self.assertEqual(self.status(), "stopped")

    def test_status_of_an_exec(self):
        pid = self.running()
        self.assertOk(self.exec("sh", "-c", "exit 24", flags=["--detach", "--pid-file", self.directory / "pid"]))
        _, status = os.waitpid(int((self.directory / "pid").read_text()), 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 24)
        self.assertOk(self.kill())
        os.waitpid(pid, 0)

    def test_zombie_is_stopped(self):
        self.sh("exit 0")
        self.assertOk(self.create())
        pid = self.state()["pid"]
        self.assertOk(self.start())
        self.wait_stopped()
        self.assertTrue(os.path.exists(f"/proc/{pid}"), "not reaped yet")
        self.assertEqual(self.ps() or [], [])
        self.assertFails(self.kill(), "container not running")
        self.assertOk(self.delete())
        os.waitpid(pid, 0)

    def test_zombie_of_a_created_container(self):
        self.assertOk(self.create())
        pid = self.state()["pid"]
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertFails(self.start(), "stopped")
        self.assertOk(self.delete("--force"))
        os.waitpid(pid, 0)

    def test_nothing_else_is_left_to_reap(self):
        # create, start and exec leave no helper behind them.
        pid = self.running()
        self.assertOk(self.exec("true", flags=["--detach", "--pid-file", self.directory / "pid"]))
        os.waitpid(int((self.directory / "pid").read_text()), 0)
        self.assertEqual(os.waitpid(-1, os.WNOHANG), (0, 0), "the init lives, and is the only child")
        self.assertOk(self.kill())
        os.waitpid(pid, 0)
        with self.assertRaises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)

    def test_death_of_the_caller_is_no_death_of_the_container(self):
        # containerd starts the runtime so that it dies with the shim's thread; the container must not.
        self.sh("exec sleep 1000")
        self.assertOk(self.create(preexec_fn=lambda: prctl(PR_SET_PDEATHSIG, signal.SIGKILL)))
        pid = self.state()["pid"]
        self.assertOk(self.start())
        self.assertTrue(is_alive(pid))
        self.assertOk(self.kill())
        os.waitpid(pid, 0)


class Together(Life):
    """Two commands at once."""

    def at_once(self, *commands):
        """Runs the commands at the same time; their results."""
        results = [None] * len(commands)
        barrier = threading.Barrier(len(commands))

        def run(number, args):
            barrier.wait()
            results[number] = self.runtime(*args)
        threads = [threading.Thread(target=run, args=(n, args)) for n, args in enumerate(commands)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results

    def test_create_twice(self):
        self.write()
        for _ in range(10):
            results = self.at_once(*[["create", "--bundle", self.bundle, self.id]] * 3)
            self.assertEqual(sorted(r.status for r in results), [0, 1, 1], results)
            for result in results:
                if result.status:
                    self.assertIn("container with given ID already exists", result.err)
            self.assertEqual(self.status(), "created")
            self.assertOk(self.delete())
            self.assertNothingLeft()

    def test_start_twice(self):
        for number in range(10):
            (self.rootfs / "tmp/marks").unlink(missing_ok=True)
            self.sh("echo ran >> /tmp/marks; exec sleep 1000")
            self.assertOk(self.create())
            results = self.at_once(*[["start", self.id]] * 3)
            self.assertEqual(sorted(r.status for r in results), [0, 1, 1], results)
            self.wait_mark("ran")
            self.assertOk(self.delete("--force"))
            self.assertEqual(self.marks(), ["ran"])

    def test_delete_twice(self):
        for _ in range(10):
            self.running()
            results = self.at_once(*[["delete", "--force", self.id]] * 3)
            self.assertEqual([r.status for r in results], [0, 0, 0], results)
            self.assertNothingLeft()

    def test_start_and_delete(self):
        for _ in range(10):
            self.assertOk(self.create())
            start, delete = self.at_once(["start", self.id], ["delete", "--force", self.id])
            self.assertOk(delete)
            self.assertIn(start.status, (0, 1))
            self.assertNothingLeft()

    def test_create_and_delete(self):
        self.write()
        for _ in range(10):
            create, delete = self.at_once(["create", "--bundle", self.bundle, self.id], ["delete", "--force", self.id])
            self.assertOk(delete)
            self.assertIn(create.status, (0, 1))
            self.assertOk(self.delete("--force"))
            self.assertNothingLeft()

    def test_exec_and_delete(self):
        for _ in range(10):
            self.running()
            *execs, delete = self.at_once(*[["exec", self.id, "true"]] * 3, ["delete", "--force", self.id])
            self.assertOk(delete)
            for result in execs:
                self.assertIn(result.status, (0, 255, 137), result)
            self.assertNothingLeft()

    def test_pause_and_kill(self):
        for _ in range(10):
            pid = self.running()
            self.at_once(["pause", self.id], ["kill", self.id, "KILL"])
            # Whichever came first, nothing must be left in a freezer for ever.
            result = self.kill()
            if result.status != 0:
                self.assertFails(result, "container not running")
            wait_until(lambda: not is_alive(pid), "end of the init")
            self.assertOk(self.delete("--force"))
            self.assertNothingLeft()

    def test_state_and_list_while_others_come_and_go(self):
        stop = threading.Event()
        failures = []

        def look():
            while not stop.is_set():
                for args in (["list", "--format", "json"], ["state", self.id], ["list"]):
                    result = self.runtime(*args)
                    if result.status != 0 and "container does not exist" not in result.err or result.status not in (0, 1):
                        failures.append(result)
                    elif result.status == 0 and args[-1] != "list":
                        json.loads(result.out)
        thread = threading.Thread(target=look)
        thread.start()
        try:
            for _ in range(15):
                self.assertOk(self.run_container())
        finally:
            stop.set()
            thread.join()
        self.assertEqual(failures, [])

    def test_many_containers_at_once(self):
        ids = [f"{self.id}-{number}" for number in range(12)]
        self.ids.update(ids)
        del self.linux["cgroupsPath"]  # each below its own id
        self.write()
        results = self.at_once(*[["run", "--bundle", self.bundle, id] for id in ids])
        self.assertEqual([r.status for r in results], [0] * len(ids), results)
        self.assertNothingLeft()


class Killed(Life):
    """The runtime dies in the middle; delete --force cleans up after it."""

    def blocked(self, kind):
        """create or start, held in a hook of this kind; the process."""
        fifo = self.directory / "fifo"
        if not fifo.exists():
            os.mkfifo(fifo)
        place = fifo
        if kind == "startContainer":
            place = self.rootfs / "fifo"
            if not place.exists():
                os.mkfifo(place)
        inside = "/fifo" if kind == "startContainer" else str(fifo)
        self.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", f"exec < {inside}; exec sleep 1000"]}],
                                "poststop": [{"path": "/bin/sh", "args": ["sh", "-c", f"echo poststop >> {self.directory}/ran"]}]}
        self.write()
        if kind in ("startContainer", "poststart"):
            self.assertOk(self.create())
            process = self.popen("start", self.id)
        else:
            process = self.popen("create", "--bundle", self.bundle, self.id)
        os.close(os.open(place, os.O_WRONLY))  # opens when the hook does
        return process

    def test_in_a_hook(self):
        for kind in KINDS:
            for number in (signal.SIGKILL, signal.SIGTERM):
                with self.subTest(kind=kind, signal=number):
                    (self.directory / "ran").unlink(missing_ok=True)
                    process = self.blocked(kind)
                    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
                    init = self.state()["pid"]
                    process.send_signal(number)
                    process.wait(30)
                    # A hook in the runtime's namespace outlives the runtime, whichever it is: it is the test's to end.
                    for pid in set(map(int, children)) - {init}:
                        os.kill(pid, signal.SIGKILL)
                    self.assertOk(self.delete("--force"))
                    self.assertNothingLeft()
                    self.assertEqual((self.directory / "ran").read_text().split(), ["poststop"])

    def test_at_any_moment_of_run(self):
        chance = random.Random(4)
        self.sh("exec sleep 1000")
        self.config["hooks"] = {kind: [{"path": "/bin/true"}] for kind in KINDS}
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                                 "syscalls": [{"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO"}]}
        self.write()
        for _ in range(60):
            process = self.popen("run", "--detach", "--bundle", self.bundle, self.id, stdout=subprocess.DEVNULL)
            threading.Event().wait(chance.random() * 0.03 * SLOWER)
            process.kill()
            process.wait()
            self.assertOk(self.delete("--force"))
            wait_until(lambda: not self._processes(), "end of every process")
            self.assertNothingLeft()

    def test_at_any_moment_of_exec(self):
        chance = random.Random(5)
        self.running()
        alone = self.ps()
        self.assertEqual(len(alone), 1)
        for _ in range(40):
            process = self.popen("exec", self.id, "true", stdout=subprocess.DEVNULL)
            threading.Event().wait(chance.random() * 0.02 * SLOWER)
            process.kill()
            process.wait()
            wait_until(lambda: self.ps() == alone, "only the init is left")
            self.assertEqual(self.status(), "running")

    def test_at_any_moment_of_delete(self):
        chance = random.Random(6)
        for _ in range(40):
            self.running()
            process = self.popen("delete", "--force", self.id, stdout=subprocess.DEVNULL)
            threading.Event().wait(chance.random() * 0.01 * SLOWER)
            process.kill()
            process.wait()
            self.assertOk(self.delete("--force"))
            self.assertNothingLeft()


if __name__ == "__main__":
    main()
