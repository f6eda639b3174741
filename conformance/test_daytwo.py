"""Detached sandboxes and what one does with them: logs, stop, stats, attach, health, and the word to a service manager."""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import termios
import unittest

import test_rootless
import test_sandbox
from harness import IS_NUCLEUS, RUNTIME, SLOW, Case, command, is_alive, main, wait_until
from test_sandbox import memory_directories

SYSTEMD = os.path.isdir("/run/systemd/system")
KILOBYTE = 1 << 10


class Base(test_sandbox.SandboxTests, Case):
    def setUp(self):
        super().setUp()
        self.directory.chmod(0o755)
        self.work = self.directory / "work"
        self.work.mkdir()
        self.services = pathlib.Path(f"{self.root}-services")
        self.addCleanup(self._end)

    def _end(self):
        for id in self.ids:
            if (self.services / id).exists():
                self.runtime("stop", "--timeout", "0", id)

    def detach(self, script, *options, **keywords):
        result = self.sandbox("--detach", *options, "--", "/bin/sh", "-c", script, **keywords)
        self.assertOk(result)
        self.assertEqual(result.out, f"{self.id}\n")

    def plain(self, script):
        """A container that is none of the front end's."""
        self.process["args"] = ["/bin/sh", "-c", script]
        self.assertOk(self.create())
        self.assertOk(self.runtime("start", self.id))

    def record(self):
        return json.loads((self.services / self.id / "status.json").read_text())

    def logs(self, *flags):
        result = self.runtime("logs", *flags, self.id)
        self.assertOk(result)
        return result

    def wait_log(self, text):
        wait_until(lambda: text in self.logs().out, f"{text!r} in the log")

    def wait_ended(self):
        wait_until(lambda: self.record()["phase"] == "ended", "end of the sandbox")
        wait_until(lambda: not is_alive(self.record()["supervisor"]), "end of the supervisor")
        return self.record()

    def stop(self, *flags):
        return self.runtime("stop", *flags, self.id)

    def assertStopped(self, *flags):
        supervisor = self.record()["supervisor"]
        self.assertOk(self.stop(*flags))
        self.assertFalse(is_alive(supervisor))
        self.assertFalse((self.services / self.id).exists())
        self.assertEqual(os.listdir(self.services), [])
        self.assertGone()


@unittest.skipUnless(IS_NUCLEUS, "commands of nucleus")
class Detached(Base):
    # ---- its life

    def test_runs_on(self):
        self.detach("echo ready; exec sleep 1000")
        self.assertEqual(self.status(), "running")
        record = self.record()
        self.assertEqual((record["phase"], record["exitStatus"], record["ended"]), ("running", 0, ""))
        supervisor = record["supervisor"]
        self.assertEqual(os.getsid(supervisor), supervisor)
        for fd in range(3):
            self.assertEqual(os.readlink(f"/proc/{supervisor}/fd/{fd}"), "/dev/null")
        self.wait_log("ready\n")
        self.assertStopped()

    def test_holds_nothing_of_the_caller(self):
        """Whoever reads to the end what was started does come to the end."""
        reader, writer = os.pipe()
        process = subprocess.Popen([str(word) for word in self.words("--detach", "--", "/bin/sleep", "1000")], stdin=subprocess.DEVNULL,
                                   stdout=writer, stderr=writer, pass_fds=[writer])
        os.close(writer)
        with open(reader, encoding="ascii") as file:
            self.assertEqual(file.read(), f"{self.id}\n")
        self.assertEqual(process.wait(60), 0)
        self.assertStopped()

    def test_exit_status_is_kept(self):
        self.detach("echo out; exit 7")
        record = self.wait_ended()
        self.assertEqual((record["exitStatus"], record["timedOut"], record["error"]), (7, False, ""))
        self.assertGone()
        self.assertEqual(self.logs().out, "out\n")
        out = self.runtime("health").out.splitlines()
        self.assertEqual(out[1].split()[:4], [self.id, "ended", "none", "7"])
        self.assertOk(self.stop())
        self.assertFails(self.runtime("logs", self.id), "no such")

    def test_a_name_can_be_used_again(self):
        self.detach("echo one")
        self.wait_ended()
        self.detach("echo two; exec sleep 1000")
        self.wait_log("two")
        self.assertEqual(self.logs().out, "two\n")
        result = self.sandbox("--detach", "--", "/bin/true")
        self.assertFails(result, "exists already")
        self.assertEqual(self.status(), "running")
        self.assertStopped()

    def test_its_own_name(self):
        result = self.sandbox("--detach", "--", "/bin/sleep", "1000", name=False)
        self.assertOk(result)
        self.id = result.out.strip()
        self.ids.add(self.id)
        self.assertRegex(self.id, "^sandbox-[0-9a-f]{12}$")
        self.assertStopped()

    def test_what_cannot_be_started(self):
        for args, *words in ((["absent-command"], "absent-command", "not found"),
                             (["--workspace", self.directory / "absent", "/bin/true"], "--workspace", "no such file"),
                             (["--seccomp", "/etc/passwd", "/bin/true"], "seccomp")):
            with self.subTest(args):
                self.assertFails(self.sandbox("--detach", *args), *words)
                self.assertEqual(os.listdir(self.services), [])
                self.assertGone()

    def test_options_that_need_each_other(self):
        for flag in (["--terminal"], ["--interactive"], ["--restart", "always"]):
            self.assertFails(self.sh("true", *flag), flag[0], "--detach")
        self.assertFails(self.sh("true", "--detach", "--print-bundle", self.directory / "b"), "--print-bundle")
        self.assertFails(self.sh("true", "--detach", "--restart", "allways"), "--restart", "on-failure")
        self.assertFails(self.sh("true", "--detach", "--log-size", "1k"), "--log-size", "64k")
        self.assertFails(self.sh("true", "--detatch"), "did you mean --detach?")

    def test_timeout(self):
        self.detach("trap 'echo asked; exit 0' TERM; echo ready; while :; do sleep 0.1; done", "--timeout", "1s")
        record = self.wait_ended()
        self.assertEqual((record["exitStatus"], record["timedOut"]), (124, True))
        self.assertEqual(self.logs().out, "ready\nasked\n")
        self.assertGone()

    def test_supervisor_killed(self):
        self.detach("echo ready; exec sleep 1000", "--workspace", f"{self.work}:copy")
        self.wait_log("ready")
        os.kill(self.record()["supervisor"], signal.SIGKILL)
        self.assertGone()
        self.assertEqual(self.runtime("health", self.id).out.splitlines()[1].split()[1], "lost")
        self.assertEqual(self.logs().out, "ready\n")
        self.assertOk(self.stop())
        self.assertEqual(os.listdir(self.services), [])

    def test_secrets_are_nowhere(self):
        token = self.directory / "token"
        token.write_text("hunter2-token")
        self.detach("wc -c </run/secrets/t; exec sleep 1000", "--secret", f"{token}:t")
        self.wait_log("13")
        found = command(["grep", "-r", "hunter2-token", self.services, self.root])
        self.assertEqual(found.out, "")
        cmdline = pathlib.Path(f"/proc/{self.record()['supervisor']}/cmdline").read_bytes()
        self.assertNotIn(b"hunter2-token", cmdline)
        self.assertStopped()

    def test_events_of_it(self):
        file = self.directory / "events"
        result = command([RUNTIME, "--root", self.root, "--events", file, "sandbox", "--name", self.id, "--detach", "--", "/bin/true"])
        self.assertOk(result)
        self.wait_ended()
        kinds = [json.loads(line)["event"] for line in file.read_text().splitlines()]
        self.assertEqual(kinds, ["created", "started", "exited", "deleted"])

    # ---- starting again

    def test_restart_on_failure(self):
        self.detach("echo x >>n; exit 3", "--workspace", self.work, "--restart", "on-failure:1")
        record = self.wait_ended()
        self.assertEqual((record["restarts"], record["exitStatus"]), (1, 3))
        self.assertEqual((self.work / "n").read_text(), "x\nx\n")
        self.assertIn("nucleus ended with status 3, starts again", self.logs("-t").out)

    def test_no_restart_unless_asked(self):
        self.detach("echo x >>n; exit 3", "--workspace", self.work)
        self.assertEqual(self.wait_ended()["restarts"], 0)
        self.detach("echo y >>n", "--workspace", self.work, "--restart", "on-failure")
        self.assertEqual(self.wait_ended()["restarts"], 0)
        self.assertEqual((self.work / "n").read_text(), "x\ny\n")

    def test_stopped_while_it_waits_to_start_again(self):
        self.detach("exit 1", "--restart", "always")
        wait_until(lambda: self.record()["phase"] == "waiting", "a restart")
        self.assertStopped()

    # ---- stop

    def test_stop_asks_first(self):
        self.detach("trap 'echo asked >f; exit 0' TERM; echo ready; while :; do sleep 0.1; done", "--workspace", f"{self.work}:copy")
        self.wait_log("ready")
        self.assertFalse((self.work / "f").exists())
        self.assertStopped()
        self.assertEqual((self.work / "f").read_text(), "asked\n", "a copy is written back as on a normal end")

    def test_stop_signal(self):
        self.detach("trap '' TERM; trap 'echo asked >f; exit 0' INT; echo ready; while :; do sleep 0.1; done", "--workspace", self.work,
                    "--stop-signal", "INT")
        self.wait_log("ready")
        self.assertStopped()
        self.assertEqual((self.work / "f").read_text(), "asked\n")

    def test_stop_by_force(self):
        for flags, options in ((["--timeout", "1"], []), (["--timeout", "0"], []), ([], ["--stop-timeout", "1s"])):
            with self.subTest(flags=flags, options=options):
                self.detach("trap 'echo asked' TERM; echo ready; while :; do sleep 0.1; done", *options)
                self.wait_log("ready")
                self.assertOk(self.stop("--keep", *flags))
                self.assertEqual(self.record()["exitStatus"], 128 + signal.SIGKILL)
                self.assertStopped()

    def test_stop_keeps(self):
        self.detach("echo ready; exec sleep 1000")
        self.wait_log("ready")
        self.assertOk(self.stop("--keep"))
        self.assertGone()
        self.assertEqual(self.record()["exitStatus"], 128 + signal.SIGTERM)
        self.assertEqual(self.logs().out, "ready\n")
        self.assertStopped()

    def test_conflict_is_told(self):
        (self.work / "f").write_text("before")
        self.detach("echo inside >f; echo ready; exec sleep 1000", "--workspace", f"{self.work}:copy")
        self.wait_log("ready")
        (self.work / "f").write_text("outside")
        result = self.stop()
        self.assertFails(result, "changed here and in the sandbox: f")
        kept = pathlib.Path(result.err.split("the sandbox's copy is in ")[1].strip())
        self.assertEqual((kept / "f").read_text(), "inside\n")
        shutil.rmtree(kept)
        self.assertEqual((self.work / "f").read_text(), "outside")
        self.assertIn("changed here and in the sandbox", self.record()["error"])
        self.assertOk(self.stop())
        self.assertEqual(os.listdir(self.services), [])

    def test_stop_of_any_container(self):
        self.plain("trap 'exit 0' TERM; while :; do sleep 0.1; done")
        self.assertOk(self.stop())
        self.assertEqual(self.status(), "stopped")
        self.assertOk(self.delete())
        self.config["annotations"] = {"org.opencontainers.image.stopSignal": "SIGUSR1"}
        self.plain("trap '' TERM; trap 'exit 0' USR1; while :; do sleep 0.1; done")
        self.assertOk(self.stop("--timeout", "100"))
        self.assertOk(self.delete())
        self.assertFails(self.stop(), "does not exist")
        self.assertFails(self.runtime("stop"), "stop")

    def test_stop_of_one_in_the_foreground(self):
        process = self.start("--workspace", f"{self.work}:copy", "--", "/bin/sh", "-c", "echo x >f; echo ready; exec sleep 1000")
        self.assertOk(self.stop())
        self.assertEqual(process.wait(60), 128 + signal.SIGTERM)
        self.assertEqual((self.work / "f").read_text(), "x\n")
        self.assertGone()

    # ---- logs

    def test_streams_and_forms(self):
        self.detach("echo one; echo two >&2; printf three")
        self.wait_ended()
        result = self.logs()
        self.assertEqual((result.out, result.err), ("one\nthree", "two\n"))
        lines = self.logs("-t").out.splitlines()
        stamp = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z "
        self.assertEqual(sorted(re.sub(stamp, "", line) for line in lines), ["stderr two", "stdout one", "stdout three"])
        self.assertEqual(self.logs("-n", "1").out + self.logs("-n", "0").out, "three")
        records = [json.loads(line) for line in self.logs("--json").out.splitlines()]
        self.assertEqual(sorted((r["stream"], r["text"], r["partial"]) for r in records),
                         [("stderr", "two", False), ("stdout", "one", False), ("stdout", "three", True)])
        self.assertFails(self.runtime("logs", "-n", "x", self.id), "-n")

    HOSTILE = r"printf '\n2020-01-01T00:00:00.000000000Z stderr F forged\nA\033]0;title\007B\033[31mred\033[0m \302\233 \377 \\x41 \000end\n'"
    BYTES = b"\n2020-01-01T00:00:00.000000000Z stderr F forged\nA\x1b]0;title\x07B\x1b[31mred\x1b[0m \xc2\x9b \xff \\x41 \x00end\n"

    def in_a_terminal(self, *words, **environment):
        """What `nucleus logs` writes to a terminal."""
        master, slave = pty.openpty()
        process = subprocess.Popen([RUNTIME, "--root", str(self.root), "logs", *words, self.id], stdin=slave, stdout=slave, stderr=slave,
                                   env={**os.environ, **environment})
        os.close(slave)
        out = b""
        with contextlib.suppress(OSError):
            while data := os.read(master, 4096):
                out += data
        os.close(master)
        self.assertEqual(process.wait(60), 0)
        return out

    def test_hostile_output(self):
        self.detach(self.HOSTILE)
        self.wait_ended()
        text = (self.services / self.id / "log").read_bytes()
        self.assertEqual(len(text.splitlines()), 3)
        self.assertTrue(all(byte >= 0x20 or byte == 0x0a for byte in text))
        self.assertEqual([line.split(b" ", 3)[1] for line in text.splitlines()], [b"stdout"] * 3)
        result = command([RUNTIME, "--root", self.root, "logs", self.id], text=False)
        self.assertEqual(result.out, self.BYTES, "to no terminal the very bytes")
        shown = self.in_a_terminal(NO_COLOR="")
        self.assertIn(b"A\\x1b]0;title\\x07B\x1b[31mred\x1b[0m", shown)
        shown = self.in_a_terminal(NO_COLOR="1")
        self.assertIn(b"\\x1b[31mred", shown)
        self.assertNotIn(b"\x1b", shown)

    def sizes(self):
        return {path.name: path.stat().st_size for path in (self.services / self.id).glob("log*")}

    def test_rotation(self):
        self.detach("i=0; while [ $i -lt 6000 ]; do echo line-$i-abcdefghijklmnopqrstuvwxyz; i=$((i+1)); done",
                    "--log-size", "64k", "--log-files", "3")
        self.wait_ended()
        sizes = self.sizes()
        self.assertEqual(sorted(sizes), ["log", "log.1", "log.2"])
        self.assertLessEqual(max(sizes.values()), 64 * KILOBYTE)
        numbers = [int(line.split("-")[1]) for line in self.logs().out.splitlines()]
        self.assertEqual(numbers, list(range(numbers[0], 6000)))
        self.assertGreater(numbers[0], 0)
        tail = [int(line.split("-")[1]) for line in self.logs("-n", "1500").out.splitlines()]
        self.assertEqual(tail, list(range(4500, 6000)), "lines of several files")

    def test_a_line_without_end(self):
        self.detach("head -c 300000 /dev/zero | tr '\\0' x; exec sleep 1000", "--log-size", "64k", "--log-files", "2")
        wait_until(lambda: len(self.sizes()) == 2, "two log files")
        self.assertLessEqual(sum(self.sizes().values()), 128 * KILOBYTE)
        self.assertStopped()

    def test_follow(self):
        self.detach("i=0; while [ ! -e stop ]; do echo line-$i-abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz; i=$((i+1)); done; echo last",
                    "--workspace", self.work, "--log-size", "64k", "--log-files", "4")
        process = subprocess.Popen([RUNTIME, "--root", str(self.root), "logs", "-f", "-n", "10", self.id], stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        lines = [process.stdout.readline() for _ in range(20000)]
        (self.work / "stop").touch()
        lines += process.stdout.read().splitlines(keepends=True)
        self.assertEqual(process.wait(60), 0, "it ends with the sandbox")
        self.assertEqual(lines[-1], b"last\n")
        numbers = [int(line.split(b"-")[1]) for line in lines[:-1]]
        self.assertEqual(numbers, sorted(set(numbers)), "in order, none twice, over many rotations")
        self.assertTrue(all(line.endswith(b"xyz\n") for line in lines[:-1]))

    # ---- stats

    def test_stats(self):
        self.detach("echo ready; exec sleep 1000", "--memory", "256m", "--pids", "50")
        self.wait_log("ready")
        rows = self.runtime("stats").out.splitlines()
        self.assertEqual(rows[0].split()[:2], ["ID", "CPU"])
        self.assertEqual(rows[1].split()[0], self.id)
        result = self.runtime("stats", "--json", self.id)
        self.assertOk(result)
        self.assertEqual(len(result.out.splitlines()), 1)
        [stats] = json.loads(result.out)
        self.assertEqual(list(stats), ["id", "pid", "time", "cpuPercent", "cpu", "memory", "pids", "io", "network"])
        self.assertEqual(stats["pid"], self.state()["pid"])
        self.assertEqual((stats["memory"]["limit"], stats["pids"]["limit"]), (256 << 20, 50))
        self.assertGreater(stats["memory"]["bytes"], 0)
        self.assertLess(stats["memory"]["bytes"], 256 << 20)
        self.assertGreaterEqual(stats["pids"]["current"], 2)
        self.assertGreaterEqual(stats["cpuPercent"], 0)
        self.assertStopped()
        self.assertFails(self.runtime("stats", self.id), "does not exist")
        self.assertEqual(self.runtime("stats", "--json").out, "[]\n")

    def test_stats_follow(self):
        self.detach("echo ready; exec sleep 1000")
        self.wait_log("ready")
        process = subprocess.Popen([RUNTIME, "--root", str(self.root), "stats", "--follow", "--json", "--interval", "100ms", self.id],
                                   stdout=subprocess.PIPE)
        self.addCleanup(process.stdout.close)
        for _ in range(3):
            self.assertEqual(json.loads(process.stdout.readline())[0]["id"], self.id)
        self.assertStopped()
        process.stdout.read()
        self.assertEqual(process.wait(60), 0, "it ends with the sandbox")

    def test_cpu_of_who_computes(self):
        self.detach("echo ready; while :; do :; done")
        self.wait_log("ready")

        def busy():
            result = self.runtime("stats", "--json", self.id)
            return json.loads(result.out)[0]["cpu"]["totalNs"] > 200_000_000
        wait_until(busy, "processor time")
        self.assertStopped()

    # ---- attach

    def attach(self, *flags, **keywords):
        process = subprocess.Popen([RUNTIME, "--root", str(self.root), "attach", *flags, self.id], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **keywords)

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout, process.stderr):
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        self.addCleanup(end)
        return process

    def test_attach_by_pipes(self):
        self.detach("while read x; do echo got $x; echo err $x >&2; done; echo end; exit 5", "--interactive")
        process = self.attach()
        process.stdin.write(b"one\n")
        process.stdin.flush()
        self.assertEqual(process.stdout.readline(), b"got one\n")
        self.assertEqual(process.stderr.readline(), b"err one\n")
        second = self.attach("--no-stdin")
        # It is attached once it has got something that was written after it had asked to be.
        wait_until(lambda: self.send_and_see(process, second), "the second to be attached")
        process.stdin.close()
        self.assertEqual(process.wait(60), 5)
        self.assertEqual(second.wait(60), 5)
        self.assertTrue(second.stdout.read().endswith(b"end\n"))

    def send_and_see(self, process, other):
        process.stdin.write(b"more\n")
        process.stdin.flush()
        os.set_blocking(other.stdout.fileno(), False)
        with contextlib.suppress(BlockingIOError):
            seen = os.read(other.stdout.fileno(), 4096)
            os.set_blocking(other.stdout.fileno(), True)
            return bool(seen)
        os.set_blocking(other.stdout.fileno(), True)
        return False

    def test_signals_of_who_is_attached(self):
        self.detach("trap 'echo usr; exit 4' USR1; while :; do echo tick; sleep 0.1; done")
        process = self.attach()
        self.assertEqual(process.stdout.readline(), b"tick\n")
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.wait(60), 4)
        self.assertTrue(process.stdout.read().endswith(b"usr\n"))

    def test_who_is_attached_and_killed(self):
        self.detach("while :; do echo tick; sleep 0.1; done")
        process = self.attach()
        process.stdout.readline()
        process.kill()
        process.wait()
        self.assertEqual(self.attach().stdout.readline(), b"tick\n")
        self.assertStopped()

    def test_who_does_not_read(self):
        """A slow reader is let go; the sandbox goes on."""
        self.detach("i=0; while [ $i -lt 400 ]; do head -c 65536 /dev/zero | tr '\\0' x; echo; i=$((i+1)); done; touch done; exec sleep 1000",
                    "--workspace", self.work)
        self.attach()
        wait_until(lambda: (self.work / "done").exists(), "all of its output taken", timeout=60)
        self.assertStopped()

    def in_terminal(self, *flags):
        master, slave = pty.openpty()
        termios.tcsetwinsize(master, (33, 77))
        process = subprocess.Popen([RUNTIME, "--root", str(self.root), "attach", *flags, self.id], stdin=slave, stdout=slave, stderr=slave,
                                   start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.addCleanup(os.close, master)
        self.addCleanup(process.wait)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process, master, slave

    def read_until(self, master, text):
        seen = b""
        while text not in seen:
            ready, _, _ = select.select([master], [], [], 60 * SLOW)
            self.assertTrue(ready, f"no {text!r} in {seen!r}")
            seen += os.read(master, 4096)
        return seen

    def size_inside(self, master):
        """The line that the shell of test_attach_to_a_terminal answers with."""
        os.write(master, b"size\n")
        answer = self.read_until(master, b"got-size\r\n").partition(b"got-size\r\n")[2]
        return answer if b"\n" in answer else answer + self.read_until(master, b"\n")

    def test_attach_to_a_terminal(self):
        # No trap for SIGWINCH: it would end the shell's `read`.
        self.detach("while read x; do echo got-$x; stty size; done", "--terminal")
        process, master, slave = self.in_terminal()
        before = termios.tcgetattr(slave)
        os.write(master, b"one\n")
        self.read_until(master, b"got-one")
        wait_until(lambda: b"33 77" in self.size_inside(master), "the size of who is attached")
        termios.tcsetwinsize(master, (44, 88))
        process.send_signal(signal.SIGWINCH)
        wait_until(lambda: b"44 88" in self.size_inside(master), "the new size")
        # The first key alone is not it, and goes on.
        os.write(master, b"\x10x\n")
        self.read_until(master, b"got-\x10x")
        os.write(master, b"\x10\x11")
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(termios.tcgetattr(slave)[3] & termios.ECHO, termios.ECHO)
        self.assertEqual(before[6], termios.tcgetattr(slave)[6])
        os.close(slave)
        self.assertEqual(self.status(), "running")
        process, master, slave = self.in_terminal("--detach-keys", "ctrl-a,d")
        os.write(master, b"\x10\x11two\n")
        self.read_until(master, b"two")
        os.write(master, b"\x01d")
        self.assertEqual(process.wait(60), 0)
        os.close(slave)
        self.assertEqual(self.status(), "running")
        process, master, slave = self.in_terminal()
        os.write(master, b"three\n")
        self.read_until(master, b"got-three")
        os.write(master, b"\x04")
        self.assertEqual(process.wait(60), 0, "end of input ended it")
        os.close(slave)
        self.assertIn("got-one\n", self.logs().out)
        self.wait_ended()
        self.assertStopped()

    def test_attach_to_nothing(self):
        self.assertFails(self.runtime("attach", self.id), "no such")
        self.detach("true")
        self.wait_ended()
        self.assertFails(self.runtime("attach", self.id), "has ended")
        self.assertFails(self.runtime("attach", "--detach-keys", "ctrl-é", self.id), "--detach-keys")

    # ---- help and mistakes

    def test_help(self):
        for name in ("logs", "stop", "stats", "attach", "health", "sandbox"):
            result = self.runtime(name, "--help")
            self.assertOk(result)
            self.assertIn(f"Examples:\n  nucleus {name}", result.out)
            self.assertNotIn("\x1b", result.out)

    def test_mistakes(self):
        self.assertFails(self.runtime("logs", "--folow", "x"), "unknown option --folow, did you mean --follow?")
        self.assertFails(self.runtime("logs"), "logs", "ID")
        self.assertFails(self.runtime("logs", "../x"), "invalid container ID")
        self.assertFails(self.runtime("stop", "--timeout", "x", "y"), "--timeout")
        self.assertFails(self.runtime("stats", "--interval", "0", "y"), "--interval")


@unittest.skipUnless(IS_NUCLEUS, "commands of nucleus")
class Health(Base):
    FAST = ("--health-interval", "100ms")

    def health(self):
        return self.record()["health"]

    def wait_health(self, status):
        wait_until(lambda: self.health()["status"] == status, f"to be {status}", timeout=60)

    def wait_state_health(self, word):
        """The supervisor writes its own record first, and then has it in the container's state."""
        wait_until(lambda: self.state()["annotations"].get("dev.nucleus.health") == word, f"{word} in the state")

    def test_over_time(self):
        self.detach("echo ready; exec sleep 1000", "--health-cmd", "echo looked; id -u; test -e /workspace/well", *self.FAST,
                    "--health-start-period", "1h", "--workspace", self.work)
        wait_until(lambda: self.health()["log"], "a check")
        self.wait_state_health("starting")
        result = self.runtime("health", self.id)
        self.assertEqual((result.status, result.out.splitlines()[1].split()[:3]), (2, [self.id, "running", "starting"]))
        (self.work / "well").touch()
        self.wait_health("healthy")
        self.wait_state_health("healthy")
        self.assertEqual(self.runtime("health", self.id).status, 0)
        (self.work / "well").unlink()
        self.wait_health("unhealthy")
        self.assertGreaterEqual(self.health()["failingStreak"], 3)
        self.wait_state_health("unhealthy")
        result = self.runtime("health", "--json", self.id)
        self.assertEqual(result.status, 3)
        [found] = json.loads(result.out)
        self.assertLessEqual(len(found["health"]["log"]), 5)
        last = found["health"]["log"][-1]
        self.assertEqual((last["exitCode"], last["output"]), (1, "looked\n1000\n"), "as the workload's user")
        [listed] = json.loads(self.runtime("list", "--format", "json").out)
        self.assertEqual(listed["annotations"]["dev.nucleus.health"], "unhealthy")
        (self.work / "well").touch()
        self.wait_health("healthy")
        self.assertEqual(self.health()["failingStreak"], 0)
        self.assertIn("nucleus health: unhealthy", self.logs("-t").out)
        self.assertStopped()

    def test_failures_count_after_the_start_period(self):
        self.detach("exec sleep 1000", "--health-cmd", '["/bin/false"]', *self.FAST, "--health-retries", "2")
        self.wait_health("unhealthy")
        self.assertEqual(self.status(), "running", "nothing is ended for it")
        self.assertStopped()

    def test_a_check_that_takes_too_long(self):
        self.detach("exec sleep 1000", "--health-cmd", "trap '' TERM; echo begun; sleep 1000; sleep 1000", *self.FAST,
                    "--health-retries", "1", "--health-timeout", "500ms")
        self.wait_health("unhealthy")
        last = self.health()["log"][-1]
        self.assertEqual(last["exitCode"], -1)
        self.assertIn("begun\n", last["output"])
        self.assertIn("longer than 500 ms", last["output"])
        self.assertStopped()

    def test_output_is_bounded(self):
        self.detach("exec sleep 1000", "--health-cmd", "head -c 1000000 /dev/zero; printf '\\033[2J'", *self.FAST)
        self.wait_health("healthy")
        self.assertLess((self.services / self.id / "status.json").stat().st_size, 64 * KILOBYTE)
        self.assertStopped()

    def test_state_has_no_word_of_others(self):
        self.plain("exec sleep 1000")
        self.assertNotIn("dev.nucleus.health", self.state().get("annotations", {}))

    def test_with_a_terminal(self):
        self.detach("exec sleep 1000", "--health-cmd", "true", "--terminal")
        self.wait_health("healthy")
        self.assertStopped()

    # ---- a service manager

    def manager(self):
        """A socket for sd_notify, and what came."""
        server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        server.bind(str(self.directory / "manager"))
        server.settimeout(60)
        self.addCleanup(server.close)
        return server, {**os.environ, "NOTIFY_SOCKET": str(self.directory / "manager"), "WATCHDOG_USEC": "1000000"}

    def told(self, server):
        """All that is there, without waiting."""
        words = []
        server.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                words.append(server.recv(4096).decode())
        server.settimeout(60)
        return words

    def test_ready_once_it_is_healthy(self):
        server, environment = self.manager()
        process = self.start("--health-cmd", "echo x >>/workspace/looked; test -e /workspace/well", *self.FAST, "--workspace", self.work,
                             "--health-retries", "1000", "--", "/bin/sh", "-c", "echo ready; exec sleep 1000", env=environment)
        looked = self.work / "looked"
        wait_until(lambda: looked.exists() and len(looked.read_text()) > 4, "some checks")
        self.assertEqual(self.told(server), [])
        self.assertEqual(self.state()["annotations"]["dev.nucleus.health"], "starting")
        (self.work / "well").touch()
        self.assertEqual(server.recv(4096).decode(), f"READY=1\nMAINPID={process.pid}\n")
        process.terminate()
        self.assertEqual(server.recv(4096).decode(), "STOPPING=1\n")
        self.assertEqual(process.wait(60), 128 + signal.SIGTERM)
        self.assertEqual(self.told(server), [])
        self.assertGone()

    def test_detached_by_a_service(self):
        server, environment = self.manager()
        self.detach("exec sleep 1000", "--health-cmd", "true", env=environment)
        self.assertEqual(server.recv(4096).decode(), f"READY=1\nMAINPID={self.record()['supervisor']}\n")
        self.assertStopped()
        self.assertEqual(server.recv(4096).decode(), "STOPPING=1\n")

    SAYS_READY = ("import os, socket, time\ns = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\ns.connect(os.environ['NOTIFY_SOCKET'])\n"
                  "s.send(b'WATCHDOG=1')\ns.send(b'MAINPID=1\\nREADY=1\\nSTATUS=x')\nprint('ready', flush=True)\ntime.sleep(1000)\n")

    def test_the_workloads_own_word(self):
        server, environment = self.manager()
        process = self.start("--", "/usr/bin/python3", "-c", self.SAYS_READY, env=environment)
        self.assertEqual(server.recv(4096).decode(), f"READY=1\nMAINPID={process.pid}\n")
        process.terminate()
        self.assertEqual(server.recv(4096).decode(), "STOPPING=1\n")
        process.wait(60)
        self.assertEqual(self.told(server), [])


@unittest.skipUnless(IS_NUCLEUS, "commands of nucleus")
class Ordinary(Base):
    @classmethod
    def setUpClass(cls):
        if test_rootless.MISSING:
            raise unittest.SkipTest(f"not here: {' '.join(test_rootless.MISSING)}")
        cls.user = test_rootless.User()
        cls.addClassCleanup(cls.user.close)
        cls.addClassCleanup(shutil.rmtree, f"/dev/shm/nucleus-sandbox-{cls.user.uid}", ignore_errors=True)
        if command([RUNTIME, "--version"], **cls.user.as_user(), env=cls.user.env).status != 0:
            raise unittest.SkipTest("an ordinary user may not come to where the program is built")

    def setUp(self):
        super().setUp()
        self.user.give(self.directory)

    def runtime(self, *args, **keywords):
        return super().runtime(*args, env=self.user.env, **self.user.as_user(), **keywords)

    def sandbox(self, *args, **keywords):
        return super().sandbox(*args, env=self.user.env, **self.user.as_user(), **keywords)

    def test_life(self):
        self.detach("echo out; id -u; exec sleep 1000", "--health-cmd", "id -u", "--health-interval", "100ms")
        self.wait_log("1000\n")
        wait_until(lambda: self.record()["health"]["status"] == "healthy", "to be healthy")
        self.assertEqual(self.record()["health"]["log"][-1]["output"], "1000\n")
        self.assertEqual((self.services / self.id).stat().st_uid, self.user.uid)
        self.assertEqual(json.loads(self.runtime("stats", "--json", self.id).out)[0]["id"], self.id)
        self.assertStopped()


@unittest.skipUnless(SYSTEMD, "systemd does not run here")
class Systemd(Base):
    """The supervisor in a scope of its own."""

    def show(self, name):
        return command(["systemctl", "show", "--property", name, "--value", f"nucleus-{self.id}.scope"]).out.strip()

    def test_scope(self):
        self.detach("trap 'echo asked >f; exit 0' TERM; echo ready; while :; do sleep 0.1; done", "--workspace", f"{self.work}:copy")
        self.wait_log("ready")
        self.assertEqual(self.show("ActiveState"), "active")
        self.assertIn(f"nucleus-{self.id}.scope", pathlib.Path(f"/proc/{self.record()['supervisor']}/cgroup").read_text())
        self.assertOk(command(["systemctl", "stop", f"nucleus-{self.id}.scope"]))
        self.wait_ended()
        self.assertEqual((self.work / "f").read_text(), "asked\n")
        self.assertEqual(self.show("LoadState"), "not-found")
        self.assertStopped()

    def test_stop(self):
        self.detach("echo ready; exec sleep 1000")
        self.wait_log("ready")
        self.assertStopped()
        wait_until(lambda: self.show("LoadState") == "not-found", "no unit")


if __name__ == "__main__":
    main()
