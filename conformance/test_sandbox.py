"""`nucleus sandbox`: every option, what the usual tools do in it, how it ends, and that nothing is left then."""

import contextlib
import json
import os
import pathlib
import pty
import shutil
import signal
import stat
import subprocess
import termios
import threading
import unittest

import test_rootless
from harness import RUNTIME, SLOW, Case, cgroup_directories, command, is_alive, main, wait_until
from networks import NetworkCase



def memory_directories():
    return [path for base in ("/run", "/dev/shm") for path in pathlib.Path(base).glob("nucleus-sandbox-*/*")]


def memory_directory():
    """Where root's are: as the program looks for it."""
    found = [base for base in ("/run", "/dev/shm") if command(["stat", "-f", "-c", "%T", base]).out.strip() == "tmpfs"]
    base = next((base for base in found if not os.statvfs(base).f_flag & os.ST_NOEXEC), found[0])
    return f"{base}/nucleus-sandbox-0"


class SandboxTests:
    """What the tests of both classes share; mixed into a Case."""

    enter = ()

    def sandbox(self, *args, name=True, **keywords):
        """Runs it; its container has the test's id, so that the harness looks for what is left of it."""
        return command(self.words(*args, name=name), **keywords)

    def words(self, *args, name=True):
        return [*self.enter, RUNTIME, "--root", self.root, "sandbox", *(["--name", self.id] if name else []), *args]

    def sh(self, script, *options, **keywords):  # pylint: disable=arguments-differ
        return self.sandbox(*options, "--", "/bin/sh", "-c", script, **keywords)

    def says(self, script, *options, **keywords):
        result = self.sh(script, *options, **keywords)
        self.assertOk(result)
        self.assertEqual(result.err, "", result)
        return result.out

    def start(self, *args, **keywords):  # pylint: disable=arguments-differ
        """One that goes on: the process of it. `ready` has to be its first line."""
        process = subprocess.Popen([str(word) for word in self.words(*args)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, **keywords)

        def end():
            if process.poll() is None:
                process.kill()
            process.wait()
            process.stdout.close()
            process.stderr.close()
        self.addCleanup(end)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        return process

    def assertGone(self):
        wait_until(lambda: not (self.root / self.id).exists() and not cgroup_directories(self.id), "no container")
        wait_until(lambda: not [path for path in memory_directories() if path.name == self.id], "no bundle")
        wait_until(lambda: not self._processes(), "no process")
        self.assertNothingLeft()


class Sandbox(SandboxTests, Case):
    def setUp(self):
        super().setUp()
        self.directory.chmod(0o755)
        self.work = self.directory / "work"
        self.work.mkdir()

    def tearDown(self):
        self.assertEqual([path for path in memory_directories() if path.name == self.id], [])

    # ---- what it is like inside

    def test_who_and_where(self):
        out = self.says("id -u; id -un; pwd; echo $HOME; hostname; cat /proc/self/uid_map; cat /proc/1/comm")
        uid, name, directory, home, host, mapping, init = out.splitlines()
        self.assertEqual([uid, name, directory, home, host], ["1000", "user", "/home/user", "/home/user", "sandbox"])
        first, host_id, count = map(int, mapping.split())
        self.assertEqual((first, count), (0, 65536))
        self.assertGreaterEqual(host_id, 0x78000000)
        self.assertEqual(init, "nucleus-init")

    def test_confined(self):
        status = dict(line.split(":\t", 1) for line in self.says("cat /proc/self/status").splitlines() if ":\t" in line)
        self.assertEqual(status["NoNewPrivs"], "1")
        self.assertEqual(status["Seccomp"], "2")
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0)

    def test_nothing_of_the_host_is_writable(self):
        out = self.says("for d in / /usr /etc /etc/ssl/certs /run /var /root /proc/sys/kernel; do "
                        "if touch $d/x 2>/dev/null; then echo $d; fi; done; "
                        "cat /etc/shadow 2>/dev/null; ls /workspace 2>/dev/null; ls /etc/ssh 2>/dev/null; :")
        self.assertEqual(out, "")

    def test_what_is_writable_is_not_executable(self):
        script = "for d in /tmp $HOME /dev/shm /workspace; do cp /bin/true $d/t && $d/t 2>/dev/null && echo $d; done; :"
        self.assertEqual(self.says(script, "--workspace", self.work), "")
        self.assertEqual(self.says(script, "--workspace", self.work, "--workspace-exec"), "/tmp\n/home/user\n/workspace\n")

    def test_no_network(self):
        self.assertEqual(self.says("cat /proc/net/dev | tail -n +3 | cut -d: -f1").split(), ["lo"])

    def test_exit_status_and_streams(self):
        result = self.sh("echo out; echo err >&2; exit 7")
        self.assertEqual((result.status, result.out, result.err), (7, "out\n", "err\n"))
        self.assertEqual(self.sh("kill -KILL $$").status, 128 + signal.SIGKILL)
        with open(self.work / "in", "w+", encoding="ascii") as file:
            file.write("typed\n")
            file.flush()
            file.seek(0)
            self.assertEqual(self.says("cat", stdin=file), "typed\n")

    def test_a_command_that_is_not_there(self):
        result = self.sandbox("--", "absent-command")
        self.assertFails(result, "absent-command")
        self.assertGone()

    def test_its_own_name(self):
        result = self.sandbox("--", "/bin/true", name=False)
        self.assertOk(result)
        self.assertEqual(self.runtime("list", "--quiet").out, "")

    def test_options_of_the_command_are_its_own(self):
        self.assertEqual(self.sandbox("/bin/echo", "--memory", "x").out, "--memory x\n")

    def test_umask_of_the_caller(self):
        self.assertEqual(self.says("umask", umask=0o077), "0022\n")

    # ---- workspace, volumes

    def test_workspace(self):
        (self.work / "file").write_text("here\n")
        os.chown(self.work, 4242, 4242)
        os.chown(self.work / "file", 4242, 4242)
        out = self.says("pwd; cat file; stat -c %u . file; echo new >new && mkdir d && rm file", "--workspace", self.work)
        self.assertEqual(out, "/workspace\nhere\n1000\n1000\n")
        self.assertEqual(sorted(os.listdir(self.work)), ["d", "new"])
        self.assertEqual((self.work / "new").stat().st_uid, 4242)

    def test_workspace_of_root_below_a_closed_directory(self):
        closed = self.directory / "closed"
        (closed / "work").mkdir(parents=True)
        closed.chmod(0o700)
        self.assertEqual(self.says("echo x >f; stat -c %u f", "--workspace", closed / "work"), "1000\n")
        self.assertEqual((closed / "work/f").stat().st_uid, 0)

    def test_workspace_read_only(self):
        (self.work / "file").write_text("here\n")
        self.assertEqual(self.says("cat file; touch new 2>/dev/null || echo no", "--workspace", f"{self.work}:ro"), "here\nno\n")

    def test_bad_workspace(self):
        for value, *words in ((f"{self.work}/absent", "--workspace", "no such file"), (f"{self.work}:rx", "--workspace", "rw, ro or copy"),
                              ("/etc/passwd", "--workspace", "not a directory")):
            self.assertFails(self.sh("true", "--workspace", value), *words)
            self.assertGone()

    def test_volumes(self):
        data = self.directory / "data"
        data.mkdir()
        (data / "program").write_text("#!/bin/sh\necho ran\n")
        (data / "program").chmod(0o755)
        file = self.directory / "one.txt"
        file.write_text("one\n")
        out = self.says("/data/program; touch /data/x 2>/dev/null || echo no; cat /srv/one; touch /out/y; /out/program 2>/dev/null || echo no",
                        "--volume", f"{data}:/data", "--volume", f"{file}:/srv/one", "--volume", f"{data}:/out:rw")
        self.assertEqual(out, "ran\nno\none\nno\n")
        self.assertTrue((data / "y").exists())
        self.assertFails(self.sh("true", "--volume", str(data)), "--volume", "SRC:DEST")
        self.assertFails(self.sh("true", "--volume", f"{data}:/a/../b"), "--volume", "without")
        self.assertFails(self.sh("true", "--volume", f"{data}:/a", "--volume", f"{file}:/a"), "/a")

    def test_mount_config(self):
        file = self.directory / "settings"
        file.write_text("a = 1\n")
        file.chmod(0o600)
        out = self.says("cat ~/.config/tool/settings; touch ~/.config/tool/other && echo beside; echo b >>~/.config/tool/settings",
                        "--mount-config", f"{file}:.config/tool/settings:rw")
        self.assertEqual(out, "a = 1\nbeside\n")
        self.assertEqual(file.read_text(), "a = 1\nb\n")
        out = self.says("echo b 2>/dev/null >>~/.x || echo no", "--mount-config", f"{file}:.x")
        self.assertEqual(out, "no\n")
        self.assertFails(self.sh("true", "--mount-config", f"{file}:../x"), "--mount-config", "below the home")

    # ---- a workspace that is copied

    def tree(self, path=None):
        """What is in the workspace: path → bytes, target, or None of a directory."""
        found = {}
        for parent, directories, files in os.walk(path or self.work):
            for name in directories + files:
                entry = pathlib.Path(parent, name)
                relative = str(entry.relative_to(path or self.work))
                found[relative] = os.readlink(entry) if entry.is_symlink() else None if entry.is_dir() else entry.read_text()
        return found

    def fill(self):
        for name, text in (("same", "s"), ("changed", "c"), ("removed", "r"), ("dir/a", "a"), ("dir/sub/b", "b"), ("gone/x/y", "y"),
                           ("becomes-dir", "f"), ("becomes-file/z", "z"), ("link-target", "t")):
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            (self.work / name).write_text(text)
        (self.work / "link").symlink_to("same")
        os.chown(self.work, 4242, 4243)
        os.chown(self.work / "changed", 77, 78)

    CHANGES = ("echo -n C >changed; rm removed; echo -n n >new; mkdir -p made/deep; echo -n d >made/deep/f; rm -r gone; rm becomes-dir; "
               "mkdir becomes-dir; echo -n i >becomes-dir/inside; rm -r becomes-file; echo -n F >becomes-file; ln -sfn link-target link; "
               "mv dir/sub dir/moved; chmod 700 dir; chmod 4755 new; mkfifo pipe")
    CHANGED = {"same": "s", "changed": "C", "new": "n", "made": None, "made/deep": None, "made/deep/f": "d", "becomes-dir": None,
               "becomes-dir/inside": "i", "becomes-file": "F", "link": "link-target", "link-target": "t", "dir": None, "dir/a": "a",
               "dir/moved": None, "dir/moved/b": "b"}

    def copied(self, script, *options, **keywords):
        return self.sh(script, "--workspace", f"{self.work}:copy", *options, **keywords)

    def test_copy_is_written_back(self):
        self.fill()
        kept = (self.work / "same").stat()
        result = self.copied(self.CHANGES + "; exit 3")
        self.assertEqual((result.status, result.out), (3, ""), result)
        self.assertIn("pipe is neither", result.err)
        self.assertEqual(self.tree(), self.CHANGED)
        self.assertEqual((self.work / "same").stat(), kept, "what did not change is not touched")
        changed, new, directory = ((self.work / name).stat() for name in ("changed", "new", "dir"))
        self.assertEqual((changed.st_uid, changed.st_gid, new.st_uid, new.st_gid), (77, 78, 4242, 4243))
        self.assertEqual((stat.S_IMODE(new.st_mode), stat.S_IMODE(directory.st_mode)), (0o755, 0o700))

    def test_copy_is_a_copy(self):
        self.fill()
        before = self.tree()
        process = self.start("--workspace", f"{self.work}:copy", "--", "/bin/sh", "-c", self.CHANGES + "; echo ready; exec sleep 1000")
        self.assertEqual(self.tree(), before)
        process.terminate()
        process.wait(60)
        self.assertEqual(self.tree(), self.CHANGED)

    def test_copy_of_one_that_was_killed(self):
        self.fill()
        before = self.tree()
        process = self.start("--workspace", f"{self.work}:copy", "--", "/bin/sh", "-c", self.CHANGES + "; echo ready; exec sleep 1000")
        process.kill()
        self.assertGone()
        self.assertEqual(self.tree(), before)

    def conflict(self, script, change):
        """The sandbox does `script`, somebody else `change`: nothing is written back, and the copy stays."""
        process = self.start("--workspace", f"{self.work}:copy", "--", "/bin/sh", "-c", script + "; echo ready; exec sleep 1000")
        change()
        before = self.tree()
        process.terminate()
        self.assertEqual(process.wait(60), 1)
        self.assertEqual(self.tree(), before)
        message = process.stderr.read().decode()
        kept = pathlib.Path(message.split("the sandbox's copy is in ")[1].strip())
        found = self.tree(kept)
        shutil.rmtree(kept)
        return message, found

    def test_conflicts(self):
        for name, script, change, word in (
                ("both changed", "echo x >changed; echo n >new", lambda: (self.work / "changed").write_text("mine"), "changed"),
                ("removed here", "echo x >changed", lambda: (self.work / "changed").unlink(), "changed"),
                ("removed there", "rm changed", lambda: (self.work / "changed").write_text("mine"), "changed"),
                ("both made", "echo x >both", lambda: (self.work / "both").write_text("mine"), "both"),
                ("its directory is gone", "echo x >dir/new", lambda: shutil.rmtree(self.work / "dir"), "dir"),
                ("its directory is a link", "echo x >dir/new", lambda: (shutil.rmtree(self.work / "dir"), (self.work / "dir").symlink_to("/tmp")), "dir"),
                ("new in what is removed", "rm -r gone", lambda: (self.work / "gone/x/mine").write_text("mine"), "gone/x/mine")):
            with self.subTest(name):
                shutil.rmtree(self.work)
                self.work.mkdir()
                self.fill()
                message, found = self.conflict(script, change)
                self.assertIn(f"changed here and in the sandbox: {word}", message)
                self.assertIn("same", found)

    def test_others_changes_stay(self):
        self.fill()
        process = self.start("--workspace", f"{self.work}:copy", "--", "/bin/sh", "-c", "echo -n C >changed; echo ready; exec sleep 1000")
        (self.work / "same").write_text("mine")
        (self.work / "dir/other").write_text("o")
        process.terminate()
        process.wait(60)
        found = self.tree()
        self.assertEqual([found[name] for name in ("same", "dir/other", "changed")], ["mine", "o", "C"])

    def stage(self, journal, staged):
        """What a process leaves that is killed while it writes back."""
        stage = self.work / ".nucleus-sync-other"
        stage.mkdir(mode=0o700)
        for name, text in staged.items():
            (stage / name).write_text(text)
        if journal:
            (stage / "journal").write_bytes(b"".join(f"{kind} {mode} {path}\0".encode() for kind, mode, path in journal))
        return stage

    def test_half_written_is_completed(self):
        """Whichever steps had been done: the next one carries out the rest."""
        steps = [("d", 0, "gone/x/y"), ("r", 0, "gone/x"), ("r", 0, "gone"), ("m", 0o755, "made"), ("p", 0, "made/f"), ("p", 0, "changed")]
        done = [lambda s: (self.work / "gone/x/y").rename(s / "old-0"), lambda s: (self.work / "gone/x").rmdir(),
                lambda s: (self.work / "gone").rmdir(), lambda s: (self.work / "made").mkdir(), lambda s: (s / "4").rename(self.work / "made/f"),
                lambda s: (self.work / "changed").rename(s / "old-5"), lambda s: (s / "5").rename(self.work / "changed")]
        for count in range(len(done) + 1):
            with self.subTest(count):
                shutil.rmtree(self.work)
                self.work.mkdir()
                self.fill()
                expected = {**{k: v for k, v in self.tree().items() if not k.startswith("gone")}, "made": None, "made/f": "f", "changed": "C"}
                stage = self.stage(steps, {"4": "f", "5": "C"})
                for step in done[:count]:
                    step(stage)
                self.assertOk(self.copied("true"))
                self.assertEqual(self.tree(), expected)

    def test_half_staged_is_taken_away(self):
        self.fill()
        before = self.tree()
        self.stage(None, {"0": "x", "journal.new": "x"})
        self.assertOk(self.copied("true"))
        self.assertEqual(self.tree(), before)

    def test_a_journal_of_somebody_else(self):
        self.fill()
        stage = self.stage([("d", 0, "same")], {})
        os.chown(stage, 4242, 4242)
        self.assertFails(self.copied("true"), "not this user's alone")
        os.chown(stage, 0, 0)
        (stage / "journal").write_bytes(b"d 0 ../outside\0")
        (self.directory / "outside").write_text("o")
        self.assertFails(self.copied("true"), "--workspace")
        self.assertTrue((self.directory / "outside").exists())

    def test_a_step_that_fails_is_undone(self):
        """The last of the files to be placed cannot be: the immutable directory is met when others are done."""
        self.fill()
        closed = self.work / "zz"
        closed.mkdir()
        (closed / "f").write_text("f")
        before = self.tree()
        process = self.start("--workspace", f"{self.work}:copy", "--", "/bin/sh", "-c",
                             self.CHANGES.replace("; mkfifo pipe", "") + "; echo -n x >zz/f; echo ready; exec sleep 1000")
        if command(["chattr", "+i", closed]).status != 0:
            self.skipTest("no immutable directories here")
        try:
            process.terminate()
            self.assertEqual(process.wait(60), 1)
        finally:
            command(["chattr", "-i", closed])
        message = process.stderr.read().decode()
        self.assertIn("zz/f", message)
        shutil.rmtree(message.split("the sandbox's copy is in ")[1].strip())
        self.assertEqual(self.tree(), before)

    # ---- root filesystems

    def test_rootfs_is_copied(self):
        closed = self.rootfs / "etc/secret"
        closed.write_text("root's\n")
        closed.chmod(0o600)
        os.mknod(self.rootfs / "disk", 0o666 | stat.S_IFBLK, os.makedev(7, 0))
        suid = self.rootfs / "bin/suid"
        shutil.copy(self.rootfs / "bin/busybox", suid)
        suid.chmod(0o4755)
        before = sorted(os.listdir(self.rootfs))
        out = self.says("stat -c '%u %a' /bin/busybox /bin/suid; cat /etc/secret 2>/dev/null; ls /disk 2>/dev/null; "
                        "touch /tmp/x && echo tmp", "--rootfs", self.rootfs)
        self.assertEqual(out, "0 755\n0 755\ntmp\n")
        out = self.says("echo mine >>/etc/secret; cat /etc/secret; mkdir /new && echo new", "--rootfs", self.rootfs, "--user", "0")
        self.assertEqual(out, "root's\nmine\nnew\n")
        self.assertEqual(sorted(os.listdir(self.rootfs)), before)
        self.assertEqual(closed.read_text(), "root's\n")

    def test_rootfs_with_links_that_lead_out(self):
        shutil.rmtree(self.rootfs / "root")
        (self.rootfs / "home").symlink_to(self.work)
        (self.rootfs / "run").symlink_to("../../../../../../../../" + str(self.work))
        self.says("true", "--rootfs", self.rootfs, "--secret", f"{self.rootfs}/etc/passwd:x")
        self.assertEqual(os.listdir(self.work), [])

    def test_rootfs_overlaid(self):
        for name in ("workspace", "home/user", "dev/pts", "dev/shm"):
            (self.rootfs / name).mkdir(parents=True, exist_ok=True)
        (self.rootfs / "etc/resolv.conf").touch()
        self.assertEqual(self.says("ls /bin/busybox; touch /tmp/x && echo tmp", "--rootfs", self.rootfs, "--rootfs-overlay"),
                         "/bin/busybox\ntmp\n")
        self.assertFails(self.sh("true", "--rootfs-overlay"), "--rootfs-overlay")

    # ---- the environment and secrets

    def test_environment(self):
        out = self.says("echo $A-$B-$GIVEN-$ABSENT-$PATH", "--env", "A=1", "--env", "B=x=y", "--env", "GIVEN", "--env", "ABSENT",
                        "--env", "PATH=/bin", env={**os.environ, "GIVEN": "own", "LEAKED": "x"})
        self.assertEqual(out, "1-x=y-own--/bin\n")
        self.assertNotIn("LEAKED", self.says("env", env={**os.environ, "LEAKED": "x"}))
        self.assertFails(self.sh("true", "--env", "=x"), "--env")

    def test_env_fd(self):
        for text, separator in (("A=1\n# no\nB=two words\n", "lines"), ("A=1\0B=two words\0", "NULs")):
            with self.subTest(separator):
                reader, writer = os.pipe()
                os.write(writer, text.encode())
                os.close(writer)
                self.assertEqual(self.says("echo $A-$B", "--env-fd", reader, pass_fds=[reader]), "1-two words\n")
                os.close(reader)
        reader, writer = os.pipe()
        os.write(writer, b"hunter2\n")
        os.close(writer)
        result = self.sh("true", "--env-fd", reader, pass_fds=[reader])
        os.close(reader)
        self.assertFails(result, "--env-fd", "entry 1")
        self.assertNotIn("hunter2", result.err)

    def test_secrets(self):
        file = self.directory / "token"
        file.write_text("hunter2")
        file.chmod(0o600)
        reader, writer = os.pipe()
        os.write(writer, b"from-fd")
        os.close(writer)
        process = self.start("--secret", f"{file}:token", "--secret", f"fd:{reader}:/etc/key", "--", "/bin/sh", "-c",
                             "echo ready; stat -c '%a %u' /run/secrets/token /etc/key; cat /run/secrets/token /etc/key; "
                             "echo; echo x 2>/dev/null >>/etc/key || echo read-only; exec sleep 1000", pass_fds=[reader])
        os.close(reader)
        lines = [process.stdout.readline() for _ in range(4)]
        self.assertEqual(lines, [b"400 1000\n", b"400 1000\n", b"hunter2from-fd\n", b"read-only\n"])
        # Neither on a command line nor in the state or the bundle's documents.
        pids = [pid for pid in os.listdir("/proc") if pid.isdigit()]
        for pid in pids:
            with contextlib.suppress(OSError):
                self.assertNotIn(b"hunter2", pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())
        bundle = next(path for path in memory_directories() if path.name == self.id)
        for path in [*self.root.rglob("*"), *bundle.glob("*")]:
            if path.is_file() and not path.is_symlink():
                self.assertNotIn(b"hunter2", path.read_bytes(), path)
        self.assertEqual((bundle / "secrets/0").stat().st_mode & 0o777, 0o400)
        fs = command(["stat", "-f", "-c", "%T", bundle]).out.strip()
        self.assertEqual(fs, "tmpfs")
        process.terminate()
        self.assertEqual(process.wait(60), 128 + signal.SIGTERM)
        self.assertGone()

    def test_bad_secrets(self):
        for value in ("nothing", "a:b:c", "fd:x:y", f"{self.work}/absent:x", "fd:99:x", "/etc/hostname:", "/etc/hostname:a/"):
            self.assertFails(self.sh("true", "--secret", value), "--secret")
        self.assertGone()

    # ---- limits

    def test_limits(self):
        process = self.start("--memory", "64m", "--cpus", "0.5", "--pids", "77", "--", "/bin/sh", "-c", "echo ready; exec sleep 1000")
        found = {}
        for directory in cgroup_directories(self.id):
            for name in ("memory.limit_in_bytes", "memory.max", "pids.max", "cpu.cfs_quota_us", "cpu.max"):
                with contextlib.suppress(FileNotFoundError):
                    found[name] = pathlib.Path(directory, name).read_text().strip()
        self.assertEqual(found.get("memory.limit_in_bytes", found.get("memory.max")), str(64 << 20))
        self.assertEqual(found["pids.max"], "77")
        self.assertEqual(found.get("cpu.cfs_quota_us", found.get("cpu.max")).split()[0], "50000")
        process.terminate()
        process.wait(60)
        for option, value in (("--memory", "x"), ("--cpus", "0"), ("--cpus", "1x"), ("--pids", "0"), ("--timeout", "soon")):
            self.assertFails(self.sh("true", option, value), option)

    def test_processes_are_limited_unless_said_otherwise(self):
        process = self.start("--", "/bin/sh", "-c", "echo ready; exec sleep 1000")
        limits = {path.read_text().strip() for directory in cgroup_directories(self.id)
                  for path in pathlib.Path(directory).glob("pids.max")}
        self.assertEqual(limits, {"4096"})
        process.terminate()
        process.wait(60)

    def test_timeout(self):
        result = self.sh("trap 'echo asked; exit 3' TERM; sleep 1000 & wait", "--timeout", f"{300 * SLOW:.0f}ms")
        self.assertEqual((result.status, result.out), (124, "asked\n"), result)
        self.assertIn("--timeout", result.err)
        self.assertEqual(self.sh("exit 5", "--timeout", "1h").status, 5)
        self.assertGone()

    # ---- the end

    def test_signals_are_passed_on(self):
        process = self.start("--", "/bin/sh", "-c", "trap 'echo got; exit 9' USR1; echo ready; sleep 1000 & wait")
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.wait(60), 9)
        self.assertEqual(process.stdout.read(), b"got\n")

    def test_interrupt_leaves_nothing(self):
        process = self.start("--", "/bin/sh", "-c", "echo ready; exec sleep 1000", start_new_session=True)
        os.killpg(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(60), 128 + signal.SIGINT)
        self.assertGone()

    def test_killed(self):
        process = self.start("--", "/bin/sh", "-c", "trap '' TERM INT HUP; echo ready; sleep 1000 & wait")
        process.kill()
        self.assertEqual(process.wait(60), -signal.SIGKILL)
        self.assertGone()

    def test_runner_killed(self):
        process = self.start("--", "/bin/sh", "-c", "echo ready; exec sleep 1000")
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        runner = next(pid for pid in children if b"run" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"))
        os.kill(int(runner), signal.SIGKILL)
        self.assertEqual(process.wait(60), 128 + signal.SIGKILL)
        self.assertGone()

    def test_killed_at_any_time(self):
        """While it is being made: at whatever point the signal comes, nothing is left."""
        for number in range(12):
            with self.subTest(number):
                process = subprocess.Popen([str(word) for word in self.words("--", "/bin/sleep", "1000")], stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                threading.Event().wait(0.002 * number)
                process.kill()
                process.wait(60)
                self.assertGone()

    def test_two_of_one_name(self):
        process = self.start("--", "/bin/sh", "-c", "echo ready; exec sleep 1000")
        self.assertFails(self.sh("true"), "exists already")
        self.assertIsNone(process.poll())
        process.terminate()
        process.wait(60)

    # ---- a terminal

    def in_terminal(self, *args):
        """A sandbox with a terminal of its own; (process, the master)."""
        master, slave = pty.openpty()
        termios.tcsetwinsize(master, (33, 77))
        process = subprocess.Popen([str(word) for word in self.words(*args)], stdin=slave, stdout=slave, stderr=slave,
                                   start_new_session=True, preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.addCleanup(os.close, master)
        self.addCleanup(process.wait)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process, master

    def read_until(self, master, text):
        seen = b""
        while text not in seen:
            with contextlib.suppress(OSError):
                data = os.read(master, 4096)
                seen += data
                continue
            self.fail(f"no {text!r} in {seen!r}")
        return seen

    def test_terminal(self):
        process, master = self.in_terminal("--", "/bin/sh", "-c", "tty; stty size; trap 'stty size; exit 4' WINCH; echo re''ady; "
                                           "while :; do read x; done")
        seen = self.read_until(master, b"ready")
        self.assertIn(b"/dev/", seen)
        self.assertIn(b"33 77", seen)
        termios.tcsetwinsize(master, (44, 88))
        process.send_signal(signal.SIGWINCH)
        self.read_until(master, b"44 88")
        self.assertEqual(process.wait(60), 4)

    def test_interrupt_by_the_terminal(self):
        process, master = self.in_terminal("--", "/bin/sh", "-c", "echo re''ady; exec sleep 1000")
        self.read_until(master, b"ready")
        os.write(master, b"\x03")
        self.assertEqual(process.wait(60), 128 + signal.SIGINT)
        self.assertGone()

    def test_no_terminal(self):
        process, master = self.in_terminal("--no-terminal", "--", "/bin/sh", "-c", "readlink /proc/self/fd/0; ls /dev/console 2>&1; echo e''nd")
        self.assertIn(b"No such file", self.read_until(master, b"end"))
        self.assertEqual(process.wait(60), 0)

    # ---- config files, policies, the bundle

    def test_config_files(self):
        values = {"workspace": f"{self.work}:ro", "env": ["A=1"], "pids": 50, "workspace-exec": True, "memory": "64m",
                  "command": ["/bin/sh", "-c", "echo $A-$B; pwd; touch x 2>/dev/null || echo no"]}
        text = json.dumps(values, indent=1)
        toml = "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
        for name, document in (("c.json", text), ("c.toml", toml)):
            with self.subTest(name):
                file = self.directory / name
                file.write_text(document)
                result = self.sandbox("--config", file, "--env", "B=2")
                self.assertOk(result)
                self.assertEqual(result.out, "1-2\n/workspace\nno\n")
        with open(file, encoding="utf-8") as descriptor:
            result = self.sandbox("--config", f"fd:{descriptor.fileno()}", "--", "/bin/sh", "-c", "echo own $A",
                                  pass_fds=[descriptor.fileno()])
        self.assertEqual(result.out, "own 1\n", result)

    def test_bad_config_files(self):
        for name, text, *words in (
                ("a.toml", 'env = ["A=1"]\nmemry = "1g"\n', "a.toml:2", "memry", "did you mean memory?"),
                ("b.toml", '\n\npids = "many"\n', "b.toml:3", "pids"),
                ("c.toml", 'volume = ["/a:/b",\n "x"]\n', "c.toml:2", "volume[1]", "SRC:DEST"),
                ("d.toml", "pids = \n", "d.toml:1"),
                ("e.json", '{"env": ["A=1"],\n "workspce": "/x"}', "e.json:2", "did you mean workspace?"),
                ("f.json", '{"pids": "x"}', "f.json:1", "pids"),
                ("g.json", '{"command": ["a", 1]}', "g.json:1", '["command"][1]'),
                ("h.json", '{"pids": 1, "pids": 2}', "h.json:1", "twice")):
            with self.subTest(name):
                (self.directory / name).write_text(text)
                self.assertFails(self.sandbox("--config", self.directory / name, "--", "/bin/true"), *words)
        self.assertFails(self.sandbox("--config", self.directory / "absent", "--", "/bin/true"), "--config", "no such file")

    def test_mistyped(self):
        for word, meant in (("--memroy", "--memory"), ("--workspce", "--workspace"), ("--alow", "--allow"), ("--time-out", "--timeout")):
            self.assertFails(self.sh("true", word, "x"), word, f"did you mean {meant}?")
        self.assertNotIn("mean", self.sh("true", "--xyzzy").err)
        self.assertFails(self.sandbox(), "no command")
        self.assertFails(self.sh("true", "--pids", "1", "--pids", "2"), "pids")

    def test_written_policies(self):
        landlock = self.directory / "l.toml"
        landlock.write_text('[[rules]]\npath = "/"\naccess = ["read", "execute"]\n')
        self.assertEqual(self.says("touch /tmp/x 2>/dev/null || echo no", "--landlock", landlock), "no\n")
        seccomp = self.directory / "s.json"
        seccomp.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW",
                                       "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}))
        self.assertEqual(self.says("mkdir /tmp/x 2>/dev/null || echo no", "--seccomp", seccomp), "no\n")
        landlock.write_text("nonsense = 1\n")
        self.assertFails(self.sh("true", "--landlock", landlock), "landlock.toml:1", "nonsense")
        self.assertGone()

    def test_learn(self):
        out = self.directory / "proposals"
        result = self.sh("cat /etc/hostname >/dev/null; exit 6", "--learn", out)
        self.assertEqual(result.status, 6, result)
        self.assertLessEqual({"seccomp.json", "landlock.toml", "egress.toml"}, set(os.listdir(out)))
        self.assertEqual(self.says("cat /etc/hostname; true", "--seccomp", out / "seccomp.json"), "sandbox\n")

    def test_print_bundle(self):
        secret = self.directory / "token"
        secret.write_text("hunter2")
        bundle = self.directory / "printed"
        options = ("--workspace", self.work, "--env", "A=1", "--secret", f"{secret}:t", "--memory", "64m")
        result = self.sh("echo $A; cat /run/secrets/t; id -u; touch made", "--print-bundle", bundle, *options)
        self.assertEqual((result.status, result.out, result.err), (0, "", ""), result)
        for path in bundle.rglob("*"):
            if path.is_file() and not path.is_symlink():
                self.assertNotIn(b"hunter2", path.read_bytes())
        annotations = json.loads((bundle / "config.json").read_text())["annotations"]
        self.assertEqual(annotations["dev.nucleus.mode"], "strict-agent")
        for _ in range(2):
            result = self.runtime("run", "--bundle", bundle, self.id)
            self.assertEqual((result.status, result.out, result.err), (0, "1\nhunter21000\n", ""), result)
        self.assertTrue((self.work / "made").exists())
        self.assertFails(self.sh("true", "--print-bundle", bundle), "--print-bundle", "not empty")
        self.assertFails(self.sh("true", "--print-bundle", self.directory / "other", "--secret", "fd:0:x"), "--secret", "fd:0")
        self.assertFalse((self.directory / "other").exists())

    def test_printed_bundle_with_rootfs(self):
        bundle = self.directory / "printed"
        self.assertOk(self.sh("cat /etc/new 2>/dev/null; echo x >/etc/new && echo wrote", "--print-bundle", bundle, "--rootfs", self.rootfs,
                              "--user", "0"))
        for _ in range(2):
            self.assertEqual(self.runtime("run", "--bundle", bundle, self.id).out, "wrote\n")

    def test_gvisor_is_an_annotation(self):
        bundle = self.directory / "printed"
        self.assertOk(self.sh("true", "--print-bundle", bundle, "--runtime", "gvisor"))
        annotations = json.loads((bundle / "config.json").read_text())["annotations"]
        self.assertEqual(annotations["dev.nucleus.runtime"], "gvisor")
        self.assertNotIn("dev.nucleus.gvisor.network", annotations)
        # With a link it has to be asked for: gVisor's default is none.
        linked = self.directory / "linked"
        self.assertOk(self.sh("true", "--print-bundle", linked, "--runtime", "gvisor", "--allow", "192.0.2.0/24:tcp/80"))
        annotations = json.loads((linked / "config.json").read_text())["annotations"]
        self.assertEqual(annotations["dev.nucleus.gvisor.network"], "sandbox")
        self.assertFails(self.sh("true", "--runtime", "runc"), "--runtime", "native, gvisor")

    def test_user_and_names(self):
        self.assertEqual(self.says("id -u; id -g", "--user", "77:88"), "77\n88\n")
        self.assertEqual(self.says("id -u; id -un", "--user", "0"), "0\nroot\n")
        self.assertEqual(self.says("hostname; pwd", "--hostname", "box", "--cwd", "/usr/lib"), "box\n/usr/lib\n")
        self.assertFails(self.sh("true", "--user", "nobody"), "--user")
        self.assertFails(self.sh("true", "--cwd", "usr"), "--cwd")
        self.assertFails(self.sandbox("--name", "a/b", "--", "/bin/true", name=False), "--name")

    def test_options_before_the_command(self):
        """They are nucleus's: the events of the container, and the log of both programs."""
        events, log = self.directory / "events", self.directory / "log"
        words = [RUNTIME, "--root", self.root, "--events", events, "--log", log, "--log-format", "json", "sandbox", "--name", self.id]
        self.assertOk(command([*words, "--", "/bin/true"]))
        kinds = [json.loads(line).get("event", json.loads(line).get("kind")) for line in events.read_text().splitlines()]
        self.assertIn("created", kinds)
        self.assertFails(command([*words, "--volume", "x", "--", "/bin/true"]), "--volume")
        self.assertIn("--volume", json.loads(log.read_text().splitlines()[-1])["msg"])
        self.assertEqual(self.runtime("sandbox", "--help").out, command([RUNTIME, "sandbox", "--help"]).out)
        # A word of the command's that is a command of nucleus's is nobody's but its own.
        self.assertEqual(self.sandbox("--", "/bin/echo", "run", "sandbox").out, "run sandbox\n")

    def test_the_roots_own_files_follow_the_hosts(self):
        """They are kept between sandboxes, but not by other names or for another host."""
        self.assertEqual(self.says("hostname; id -un; grep -c box1 /etc/hosts", "--hostname", "box1"), "box1\nuser\n1\n")
        self.assertEqual(self.says("hostname; id -un; grep -c box2 /etc/hosts", "--hostname", "box2", "--user", "1234"), "box2\nuser\n1\n")
        before = set(pathlib.Path(memory_directory()).glob(".toolchain-*"))
        self.says("true", "--hostname", "box2", "--user", "1234")
        self.assertEqual(set(pathlib.Path(memory_directory()).glob(".toolchain-*")), before)
        tree = next(iter(before))
        self.assertEqual((tree.stat().st_uid, stat.S_IMODE(tree.stat().st_mode)), (0, 0o755))

    # ---- where it is while it runs

    def on_a_host_with(self, mounts, *words):
        """The sandbox of `words`, where `mounts` are."""
        return command(["unshare", "--mount", "sh", "-ec", mounts + '; exec "$@"', "sh", *self.words(*words)])

    def test_run_may_be_mounted_noexec(self):
        """As Debian's is."""
        noexec = "mount -t tmpfs -o mode=755,noexec none"
        root = ("--rootfs", self.rootfs, "--", "/bin/echo", "ran")
        work_copy = ("--workspace", f"{self.work}:copy", "--workspace-exec", "--", "/bin/sh", "-c",
                     "printf '#!/bin/sh\\necho ran\\n' >x; chmod +x x; ./x")
        for words in (root, work_copy):
            got = self.on_a_host_with(f"{noexec} /run; mount -t tmpfs -o mode=1777 none /dev/shm", *words)
            self.assertOk(got)
            self.assertEqual(got.out, "ran\n")
        both = f"{noexec} /run; mount -t tmpfs -o mode=1777,noexec none /dev/shm"
        self.assertFails(self.on_a_host_with(both, *root), "--rootfs: /run/nucleus-sandbox-0: ", "mounted noexec")
        self.assertFails(self.on_a_host_with(both, *work_copy), "--workspace-exec: /run/nucleus-sandbox-0: ", "mounted noexec")
        got = self.on_a_host_with(both, "--", "/bin/echo", "ran")  # nothing is copied
        self.assertOk(got)
        self.assertEqual(got.out, "ran\n")

    # ---- devices

    def cdi(self, **edits):
        directory = self.directory / "cdi"
        directory.mkdir(exist_ok=True)
        node = self.directory / "fake0"
        if not node.exists():
            os.mknod(node, 0o666 | stat.S_IFCHR, os.makedev(1, 5))  # reads zeros, as a device that nobody else has
            node.chmod(0o666)
        (directory / "fake.json").write_text(json.dumps({
            "cdiVersion": "0.6.0", "kind": "example.org/gpu",
            "containerEdits": {"env": ["FAKE_DRIVER=yes"]},
            "devices": [{"name": "0", "containerEdits": {
                "env": ["FAKE_DEVICE=0"], "deviceNodes": [{"path": "/dev/fake0", "hostPath": str(node)}],
                "mounts": [{"hostPath": "/etc/hostname", "containerPath": "/opt/fake/lib"}], **edits}}]}))
        return directory

    def test_gpu(self):
        out = self.says("echo $FAKE_DRIVER $FAKE_DEVICE; head -c 3 /dev/fake0 | od -An -tx1; test -s /opt/fake/lib && echo lib",
                        "--gpu", "example.org/gpu=0", "--cdi-dir", self.cdi())
        self.assertEqual(out, "yes 0\n 00 00 00\nlib\n")

    def test_bad_gpu(self):
        self.assertFails(self.sh("true", "--gpu", "example.org/gpu=1", "--cdi-dir", self.cdi()), "example.org/gpu=1", "no CDI description")
        self.assertFails(self.sh("true", "--gpu", "example.org/gpu=0", "--cdi-dir", self.cdi(hooks=[{"hookName": "createContainer"}])), "hooks")
        self.assertFails(self.sh("true", "--gpu", "example.org/gpu=0", "--cdi-dir", self.cdi(deviceNodes=[{"path": "/dev/x", "hostPath": "/etc/passwd"}])),
                         "no device")
        self.assertGone()

    # ---- tools

    @unittest.skipUnless(os.path.exists("/usr/bin/gcc"), "no gcc")
    def test_gcc(self):
        (self.work / "a.c").write_text('#include <stdio.h>\nint main(void) { puts("compiled"); }\n')
        self.assertEqual(self.says("gcc -O1 -o a a.c && ./a", "--workspace", self.work, "--workspace-exec"), "compiled\n")

    @unittest.skipUnless(os.path.exists("/usr/bin/python3"), "no python3")
    def test_python(self):
        self.assertEqual(self.sandbox("--", "/usr/bin/python3", "-c", "import ssl, json, subprocess; print(subprocess.check_output(['echo', 'ok']))").out,
                         "b'ok\\n'\n")

    @unittest.skipUnless(os.path.exists("/usr/bin/node"), "no node")
    def test_node(self):
        result = self.sandbox("--", "/usr/bin/node", "-e", "console.log(require('os').userInfo().username, [1,2].map(x => x * 2))")
        self.assertEqual(result.out, "user [ 2, 4 ]\n", result)


class Ordinary(SandboxTests, Case):
    """Of a user that is not root: with ranges of ids, and without."""

    @classmethod
    def setUpClass(cls):
        if test_rootless.MISSING:
            raise unittest.SkipTest(f"not here: {' '.join(test_rootless.MISSING)}")
        cls.user = test_rootless.User()
        cls.addClassCleanup(cls.user.close)
        cls.addClassCleanup(shutil.rmtree, f"/dev/shm/nucleus-sandbox-{cls.user.uid}", ignore_errors=True)
        # The program's own directories have to let others pass, for it starts its front end by an absolute path.
        if command([RUNTIME, "--version"], **cls.user.as_user(), env=cls.user.env).status != 0:
            raise unittest.SkipTest("an ordinary user may not come to where the program is built")

    def setUp(self):
        super().setUp()
        self.work = self.directory / "work"
        self.work.mkdir()
        self.user.give(self.directory)

    def sandbox(self, *args, **keywords):
        return super().sandbox(*args, env=self.user.env, **self.user.as_user(), **keywords)

    def without_ranges(self):
        ranges = f"{test_rootless.RANGE}-{test_rootless.RANGE + test_rootless.COUNT - 1}"

        def change(word):
            self.assertOk(command(["usermod", f"--{word}-subuids", ranges, f"--{word}-subgids", ranges, self.user.name]))
        change("del")
        self.addCleanup(change, "add")

    def test_with_ranges(self):
        out = self.says("id -u; touch new; stat -c %u . new; cat /proc/self/uid_map", "--workspace", self.work)
        self.assertEqual(out.split(), ["1000", "1000", "1000", "0", "500000", "1000", "1000", str(self.user.uid), "1",
                                       "1001", "501000", "64535"])
        self.assertEqual((self.work / "new").stat().st_uid, self.user.uid)
        self.assertEqual(self.says("id -u", "--user", "0"), "0\n")

    def test_without_ranges(self):
        self.without_ranges()
        secret = self.work / "token"
        secret.write_text("hunter2")
        secret.chmod(0o600)
        os.chown(secret, self.user.uid, self.user.gid)
        out = self.says("id -u; cat /run/secrets/t; echo; touch new; stat -c %u new; touch /etc/x 2>/dev/null || echo no",
                        "--workspace", f"{self.work}:copy", "--secret", f"{secret}:t")
        self.assertEqual(out, "0\nhunter2\n0\nno\n")
        self.assertEqual((self.work / "new").stat().st_uid, self.user.uid)
        self.assertFails(self.sh("true", "--user", "1000"), "--user", "/etc/subuid")

    def test_limits_that_cannot_be_had(self):
        """The user has no session, and so no cgroup of its own: an error, not a sandbox without the limit."""
        self.assertFails(self.sh("echo ran", "--memory", "64m"), "memory")
        self.assertGone()


# A registry of npm's and one of pip's, each with one package, and a repository that git can clone: plain files over HTTP.
SERVER = """
import base64, hashlib, http.server, io, json, os, sys, tarfile, zipfile
os.chdir(sys.argv[1])
def tar(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()
package = {"name": "tiny-package", "version": "1.0.0", "main": "index.js"}
tarball = tar({"package/package.json": json.dumps(package), "package/index.js": "module.exports = 'from npm'"})
wheel = io.BytesIO()
with zipfile.ZipFile(wheel, "w") as archive:
    archive.writestr("tiny_package.py", "WORD = 'from pip'\\n")
    archive.writestr("tiny_package-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny-package\\nVersion: 1.0\\n")
    archive.writestr("tiny_package-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    archive.writestr("tiny_package-1.0.dist-info/RECORD", "")
FILE = "tiny_package-1.0-py3-none-any.whl"
base = "http://registry.test:8000"
pages = {
    "/npm/tiny-package": json.dumps({"name": "tiny-package", "dist-tags": {"latest": "1.0.0"}, "versions": {"1.0.0": {**package, "dist": {
        "tarball": base + "/npm/tiny.tgz", "integrity": "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()}}}}).encode(),
    "/npm/tiny.tgz": tarball,
    "/pip/tiny-package/": f'<a href="{base}/pip/{FILE}">{FILE}</a>'.encode(),
    "/pip/" + FILE: wheel.getvalue()}
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        page = pages.get(self.path)
        if page is None:
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
    def log_message(self, *arguments):
        pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler)
print("ready", flush=True)
server.serve_forever()
"""


class Network(SandboxTests, NetworkCase):
    """What may be connected to, as coding agents need it. The sandbox's host is a network namespace of the test's own."""

    network = "bridge"

    def setUp(self):
        super().setUp()
        self.directory.chmod(0o755)
        self.enter = self.host.enter()
        self.work = self.directory / "work"
        self.work.mkdir()

    def registry(self):
        self.resolver({"registry.test": "11.0.0.1", "other.test": "11.0.0.2"})
        files = self.directory / "served"
        files.mkdir()
        git = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "init.defaultBranch=main", "-c", "safe.directory=*", "-C"]
        source = self.directory / "source"
        source.mkdir()
        (source / "README").write_text("cloned\n")
        for words in ([*git, source, "init", "-q"], [*git, source, "add", "."], [*git, source, "commit", "-q", "-m", "one"],
                      [*git, source, "clone", "-q", "--bare", ".", files / "project.git"], [*git, files / "project.git", "update-server-info"]):
            self.assertOk(command(words))
        server = subprocess.Popen(self.outside.enter() + ["/usr/bin/python3", "-B", "-c", SERVER, str(files)], stdout=subprocess.PIPE)
        self.addCleanup(server.stdout.close)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        self.assertEqual(server.stdout.readline(), b"ready\n")
        return ("--allow", "registry.test:8000", "--dns", "10.53.0.1", "--workspace", self.work)

    def test_git_clone(self):
        options = self.registry()
        out = self.says("git clone -q http://registry.test:8000/project.git && cat project/README && cd project && "
                        "git -c user.name=t -c user.email=t@t commit -q --allow-empty -m two && git log --format=%s", *options)
        self.assertEqual(out, "cloned\ntwo\none\n")

    @unittest.skipUnless(os.path.exists("/usr/bin/npm"), "no npm")
    def test_npm_install(self):
        out = self.says("npm install --registry http://registry.test:8000/npm --no-audit --no-fund --no-update-notifier "
                        "tiny-package >npm.log 2>&1 || cat npm.log; node -p \"require('tiny-package')\"", *self.registry())
        self.assertEqual(out, "from npm\n")

    @unittest.skipUnless(command(["/usr/bin/python3", "-m", "pip", "--version"]).status == 0, "no pip")
    def test_pip_install(self):
        out = self.says("/usr/bin/python3 -m pip install -q --break-system-packages --user --trusted-host registry.test "
                        "--index-url http://registry.test:8000/pip tiny-package >pip.log 2>&1 || cat pip.log; "
                        "/usr/bin/python3 -c 'import tiny_package; print(tiny_package.WORD)'", *self.registry())
        self.assertEqual(out, "from pip\n")

    def test_only_what_is_allowed(self):
        options = self.registry()
        script = ("import socket\n"
                  "def ask(where, port):\n"
                  "    try: socket.create_connection((where, port), 20).close(); return 'ok'\n"
                  "    except socket.gaierror: return 'no name'\n"
                  "    except OSError as error: return error.strerror\n"
                  "print([ask(*to) for to in (('registry.test', 8000), ('registry.test', 8001), ('other.test', 8000), ('192.0.2.1', 8000))])")
        result = self.sandbox(*options, "--", "/usr/bin/python3", "-c", script)
        self.assertEqual(result.out, "['ok', 'Connection refused', 'no name', 'Connection refused']\n", result)
        result = self.sandbox("--allow", "192.0.2.1:8000", "--", "/usr/bin/python3", "-c", script)
        self.assertEqual(result.out, "['no name', 'no name', 'no name', 'ok']\n", result)

    def test_publish(self):
        script = "import socket\ns = socket.create_server(('0.0.0.0', 8000))\nprint('ready', flush=True)\ns.accept()[0].sendall(b'hello')"
        process = self.start("--publish", "8080:8000", "--", "/usr/bin/python3", "-c", script)
        self.assertEqual(self.outside.run("/usr/bin/python3", "-c",
                                          "import socket; print(socket.create_connection(('192.0.2.100', 8080), 20).recv(9).decode())"), "hello\n")
        self.assertEqual(process.wait(60), 0)
        self.assertGone()

    def test_broker(self):
        self.serve("tcp/192.0.2.1/3128", "tcp/192.0.2.1/8000")
        out = self.says("echo $HTTP_PROXY | sed 's/:[0-9a-f]*@/:@/'; /usr/bin/python3 -c \"import socket; "
                        "print(socket.create_connection(('192.0.2.1', 3128), 20).recv(5).decode())\"; /usr/bin/python3 -c "
                        "\"import socket; socket.create_connection(('192.0.2.1', 8000), 20)\" 2>&1 | tail -n 1",
                        "--broker", "192.0.2.1:3128")
        self.assertEqual(out.splitlines()[1:], ["hello", "ConnectionRefusedError: [Errno 111] Connection refused"])
        self.assertIn("192.0.2.1:3128", out.splitlines()[0])

    def test_written_policy(self):
        policy = self.directory / "e.toml"
        policy.write_text('[[allow]]\ncidr = "192.0.2.1/32"\n')
        self.serve("tcp/192.0.2.1/8000")
        self.assertEqual(self.says("/usr/bin/python3 -c \"import socket; print(socket.create_connection(('192.0.2.1', 8000), 20).recv(5).decode())\"",
                                   "--egress", policy), "hello\n")
        self.assertFails(self.sh("true", "--egress", policy, "--allow", "10.0.0.1"), "--egress")

    @unittest.skipUnless(os.path.exists("/dev/net/tun"), "no /dev/net/tun")
    def test_userspace(self):
        self.serve("tcp/192.0.2.1/8000", "tcp/192.0.2.1/8001")
        script = ("import socket\nprint(socket.create_connection(('192.0.2.1', 8000), 20).recv(5).decode())\n"
                  "try: socket.create_connection(('192.0.2.1', 8001), 20)\nexcept OSError as error: print(error.strerror)")
        result = self.sandbox("--network", "userspace", "--allow", "192.0.2.1:8000", "--", "/usr/bin/python3", "-c", script)
        self.assertEqual(result.out, "hello\nConnection refused\n", result)

    def test_bad_rules(self):
        for option, value, *words in (("--allow", "registry.test:", "--allow", "no ports"), ("--allow", "10.0.0.0/33", "--allow"),
                                      ("--allow", "-x-.test", "--allow"), ("--allow", "a.test:70000", "--allow"),
                                      ("--allow", 'a"b', "--allow"), ("--dns", "10.0.0.1", "--dns"), ("--broker", "a.test:1", "--broker"),
                                      ("--publish", "80", ""), ("--network", "host", "--network", "bridge")):
            with self.subTest(value):
                self.assertFails(self.sh("true", option, value), *words)
        self.assertFails(self.sh("true", "--allow", "a.test", "--dns", "x"), "--dns")
        self.assertFails(self.sh("true", "--network", "none", "--publish", "1:1"), "--network")
        self.assertGone()

    def test_links_are_gone(self):
        self.says("true", "--allow", "192.0.2.1")
        self.assertEqual([name for name in self.host.links() if name not in ("lo", "up0")], [])


if __name__ == "__main__":
    main()
