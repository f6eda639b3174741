"""checkpoint and restore. criu does the work, and not every kernel is one it works with: what needs it is skipped where
`criu check` fails, and runs in the virtual machine (vm/run.sh)."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import unittest

from harness import RUNTIME, Case, cgroup_directories, command, is_alive, main, wait_until

CRIU = shutil.which("criu")
WORKS = CRIU is not None and command([CRIU, "check"]).status == 0
SYSTEMD = os.path.isdir("/run/systemd/system")
FAULTS = "create.clone" in command([RUNTIME, "list"], env={**os.environ, "NUCLEUS_FAULT": "list"}).out.split()
MEGABYTE = 1 << 20
# Counts on, each number in a file of the container's own filesystem and one that the bundle binds.
COUNTER = "i=0; while :; do i=$((i + 1)); echo $i > /dev/shm/count; echo $i > /data/count; sleep 0.05; done"


class Base(Case):
    def setUp(self):
        super().setUp()
        self.images = self.directory / "images"

    def checkpoint(self, *flags, id=None, **keywords):
        return self.runtime("checkpoint", "--image-path", self.images, *flags, id or self.id, **keywords)

    def restore(self, *flags, id=None, **keywords):
        self.ids.add(id or self.id)
        return self.runtime("restore", "--bundle", self.bundle, "--image-path", self.images, "--detach", *flags, id or self.id,
                            **keywords)


class Refusals(Base):
    def test_no_such_container(self):
        self.assertFails(self.checkpoint(), "container does not exist")
        self.assertFalse(self.images.exists())

    def test_created(self):
        self.sh("exec sleep 1000")
        self.assertOk(self.create())
        self.assertFails(self.checkpoint(), "cannot be checkpointed in created state")
        self.assertFalse(self.images.exists())
        self.assertEqual(self.status(), "created")

    def test_stopped(self):
        self.running()
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertFails(self.checkpoint(), "cannot be checkpointed in stopped state")

    def test_bad_options(self):
        self.running()
        for flags, word in ((["--parent-path", "/absolute"], "--parent-path"), (["--parent-path", "../none"], "--parent-path"),
                            (["--status-fd", "77"], "--status-fd"), (["--manage-cgroups-mode", "hard"], "--manage-cgroups-mode"),
                            (["--page-server", "nowhere"], "--page-server"), (["--page-server", "a:b"], "--page-server"),
                            (["--empty-ns", "pid"], "--empty-ns"), (["--no-such-flag"], "no-such-flag")):
            with self.subTest(flags=flags):
                result = self.checkpoint(*flags)
                self.assertFails(result)
                if CRIU or word == "no-such-flag":
                    self.assertIn(word, result.err)
                self.assertFalse(self.images.exists())
                self.assertEqual(self.status(), "running")

    @unittest.skipIf(CRIU, "criu is installed here")
    def test_without_criu(self):
        self.running()
        self.assertFails(self.checkpoint(), "criu is not installed")
        self.assertFalse(self.images.exists())
        self.assertEqual(self.status(), "running")
        self.write()
        self.assertFails(self.restore(id=f"{self.id}-r"), "criu is not installed")

    @unittest.skipUnless(CRIU, "criu is not installed here")
    def test_restore_without_images(self):
        self.write()
        self.assertFails(self.restore(), "no such file or directory", str(self.images))
        self.images.mkdir()
        self.assertFails(self.restore(), "descriptors.json")
        self.assertNothingLeft()
        (self.images / "descriptors.json").write_text('["/dev/null","/dev/null","/dev/null"]')
        self.assertFails(self.restore(), "criu")
        self.assertNothingLeft()

    @unittest.skipUnless(CRIU, "criu is not installed here")
    def test_restore_with_policies(self):
        (self.bundle / "capabilities.toml").write_text("keep = []")
        self.config["annotations"] = {"dev.nucleus.policy.capabilities": "capabilities.toml"}
        self.write()
        self.images.mkdir()
        self.assertFails(self.restore(), "dev.nucleus.policy.capabilities", "cannot be restored")
        self.assertNothingLeft()

    @unittest.skipUnless(CRIU, "criu is not installed here")
    def test_restore_with_a_network(self):
        for mode in ("none", "bridge", "userspace"):
            with self.subTest(mode=mode):
                self.config["annotations"] = {"dev.nucleus.network": mode}
                self.write()
                self.images.mkdir(exist_ok=True)
                self.assertFails(self.restore(), "dev.nucleus.network", "cannot be restored")
                self.assertNothingLeft()

    def test_checkpoint_with_a_network(self):
        """The rules and links are nobody's to bring back."""
        self.config["annotations"] = {"dev.nucleus.network": "none"}
        self.running()
        self.assertFails(self.checkpoint(), "dev.nucleus.network", "cannot be checkpointed")
        self.assertEqual(self.status(), "running")
        self.assertFalse(self.images.exists())

    def test_checkpoint_with_an_egress_policy(self):
        (self.bundle / "egress.toml").write_text('inbound = ["tcp/80"]\n')
        self.config["annotations"] = {"dev.nucleus.policy.egress": "egress.toml"}
        self.running()
        self.assertFails(self.checkpoint(), "dev.nucleus.policy.egress", "cannot be checkpointed")
        self.assertEqual(self.status(), "running")
        self.assertFalse(self.images.exists())

    @unittest.skipUnless(CRIU, "criu is not installed here")
    def test_restore_without_a_bundle(self):
        self.images.mkdir()
        self.assertFails(self.restore(), "config.json")

    @unittest.skipUnless(CRIU, "criu is not installed here")
    def test_restore_over_a_container(self):
        self.running()
        self.images.mkdir()
        (self.images / "descriptors.json").write_text("[]")
        self.assertFails(self.restore(), "already exists")
        self.assertEqual(self.status(), "running")

    def test_features_tell(self):
        told = json.loads(self.runtime("features").out)["annotations"]
        self.assertEqual(told["org.opencontainers.runc.checkpoint.enabled"], "true" if CRIU else "false")


@unittest.skipUnless(WORKS, "no criu that works with this kernel here (vm/run.sh has one)")
class Life(Base):
    """A container that counts, in a file on its own /dev/shm and in one of the host's."""

    def setUp(self):
        super().setUp()
        self.data = self.directory / "data"
        self.data.mkdir()
        self.config["mounts"].append({"destination": "/data", "type": "bind", "source": str(self.data), "options": ["rbind", "rw"]})
        self.linux["resources"]["pids"] = {"limit": 64}

    def count(self):
        text = (self.data / "count").read_text()
        return int(text) if text.strip() else 0

    def counting(self, script=COUNTER, flags=()):
        self.sh(script)
        # criu takes no file of the host's: as engines do it, the streams lead to nothing.
        self.write()
        for args in (["create", "--bundle", self.bundle, self.id], ["start", self.id]):
            status = subprocess.run([RUNTIME, "--root", self.root, *flags, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL, check=False).returncode
            self.assertEqual(status, 0, args)
        wait_until(lambda: (self.data / "count").exists() and self.count() > 2, "the container counts")
        return self.state()["pid"]

    def assertGoesOn(self, since):
        wait_until(lambda: self.count() > since + 2, "the container counts on")

    def restore(self, *flags, id=None, **keywords):
        streams = {name: subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")}
        if "pipes" in keywords:
            streams = keywords.pop("pipes")
        self.ids.add(id or self.id)
        log = self.directory / "log"
        log.unlink(missing_ok=True)
        args = [RUNTIME, "--root", self.root, "--log", log, "restore", "--bundle", self.bundle, "--image-path", self.images, "--detach",
                *flags, id or self.id]
        status = subprocess.run(args, **streams, **keywords, check=False).returncode
        text = (log.read_text() if log.exists() else "") + self.criu_log("restore.log") if status != 0 else ""
        self.assertEqual(status, 0, text)

    def criu_log(self, name):
        log = self.images / name
        return "\n".join(line for line in log.read_text(errors="replace").splitlines()[-400:]) if log.exists() else ""

    def assertDumped(self, result):
        if result.status != 0:
            self.fail(f"{result}\n{self.criu_log('dump.log')}")

    def test_there_and_back(self):
        old = self.counting()
        self.assertDumped(self.checkpoint())
        self.assertFalse(is_alive(old))
        self.assertFails(self.runtime("state", self.id), "does not exist")
        self.assertEqual(cgroup_directories(self.id), [])
        stopped_at = self.count()
        self.restore("--pid-file", self.directory / "pid")
        state = self.state()
        self.assertEqual(state["status"], "running")
        self.assertEqual((self.directory / "pid").read_text(), str(state["pid"]))
        self.assertGreaterEqual(self.count(), stopped_at)
        self.assertGoesOn(stopped_at)
        # In its cgroup, with its limits.
        found = cgroup_directories(self.id)
        self.assertTrue(found)
        self.assertIn(f"/{self.id}", pathlib.Path(f"/proc/{state['pid']}/cgroup").read_text())
        limits = [pathlib.Path(path, "pids.max").read_text().strip() for path in found if os.path.exists(f"{path}/pids.max")]
        self.assertEqual(limits, ["64"])
        # As confined as before, and all commands know it.
        self.assertOk(self.exec("/bin/true"))
        status = pathlib.Path(f"/proc/{state['pid']}/status").read_text()
        self.assertIn("NoNewPrivs:\t1", status)
        self.assertOk(self.runtime("pause", self.id))
        self.assertEqual(self.status(), "paused")
        self.assertOk(self.runtime("resume", self.id))
        self.assertEqual(len(json.loads(self.runtime("ps", "--format", "json", self.id).out)) > 0, True)
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertOk(self.delete())
        self.assertNothingLeft()

    def test_leave_running(self):
        pid = self.counting()
        self.assertDumped(self.checkpoint("--leave-running"))
        self.assertEqual(self.state()["pid"], pid)
        self.assertEqual(self.status(), "running")
        self.assertGoesOn(self.count())

    def test_twice(self):
        self.counting()
        self.assertDumped(self.checkpoint())
        first = self.count()
        self.restore()
        self.assertGoesOn(first)
        shutil.rmtree(self.images)
        self.assertDumped(self.checkpoint())
        second = self.count()
        self.assertGreater(second, first)
        self.restore(id=f"{self.id}-2")
        self.assertGoesOn(second)

    def test_pre_dump_and_parent(self):
        self.counting()
        parent = self.directory / "parent"
        result = self.runtime("checkpoint", "--pre-dump", "--image-path", parent, self.id)
        self.assertOk(result)
        self.assertEqual(self.status(), "running")
        self.assertGoesOn(self.count())
        self.assertDumped(self.checkpoint("--parent-path", "../parent"))
        self.assertTrue((self.images / "parent").is_symlink())
        at = self.count()
        self.restore()
        self.assertGoesOn(at)

    def test_work_path(self):
        self.counting()
        work = self.directory / "work"
        self.assertDumped(self.checkpoint("--work-path", work, "--leave-running"))
        self.assertTrue((work / "dump.log").exists())
        self.assertFalse((self.images / "dump.log").exists())

    def test_cgroup_modes(self):
        self.counting()
        for mode in ("soft", "full", "strict", "ignore"):
            with self.subTest(mode=mode):
                # "strict" has no cgroup there yet, and the container's is made before criu runs.
                other = "soft" if mode == "strict" else mode
                shutil.rmtree(self.images, ignore_errors=True)
                self.assertDumped(self.checkpoint("--manage-cgroups-mode", mode))
                at = self.count()
                self.restore("--manage-cgroups-mode", other)
                self.assertGoesOn(at)
                self.assertIn(f"/{self.id}", pathlib.Path(f"/proc/{self.state()['pid']}/cgroup").read_text())

    def test_foreground(self):
        self.counting("trap 'exit 7' TERM; " + COUNTER)
        self.assertDumped(self.checkpoint())
        process = subprocess.Popen([RUNTIME, "--root", self.root, "restore", "--bundle", self.bundle, "--image-path", self.images,
                                    self.id], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        at = self.count()
        self.assertGoesOn(at)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 7)
        self.assertNothingLeft()

    def test_pipes(self):
        self.sh("echo one; read x; echo got $x; exec sleep 1000")
        self.write()
        streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        first = subprocess.Popen([RUNTIME, "--root", self.root, "create", "--bundle", self.bundle, self.id], **streams)
        self.assertEqual(first.wait(60), 0)
        self.assertOk(self.start())
        self.assertEqual(first.stdout.readline(), b"one\n")
        self.assertDumped(self.checkpoint())
        first.stdin.close(), first.stdout.close()
        second = subprocess.Popen([RUNTIME, "--root", self.root, "restore", "--bundle", self.bundle, "--image-path", self.images,
                                   "--detach", self.id], **streams)
        self.assertEqual(second.wait(60), 0, self.criu_log("restore.log"))
        second.stdin.write(b"two\n")
        second.stdin.flush()
        self.assertEqual(second.stdout.readline(), b"got two\n")
        second.stdin.close(), second.stdout.close()

    def test_terminal(self):
        self.process["terminal"] = True
        self.sh("while read x; do echo got $x; done")
        self.write()
        first = self.with_console("create", "--bundle", self.bundle, self.id)
        self.assertOk(self.start())
        os.write(first, b"one\n")
        self.read_until(first, b"got one")
        self.assertDumped(self.checkpoint())
        os.close(first)
        second = self.with_console("restore", "--bundle", self.bundle, "--image-path", self.images, "--detach", self.id)
        os.write(second, b"two\n")
        self.read_until(second, b"got two")
        os.close(second)

    def with_console(self, name, *args):
        """Runs a command with a console socket; the terminal's master that came over it."""
        path = self.directory / f"console-{name}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(path))
            listener.listen(1)
            self.assertOk(self.runtime(name, "--console-socket", path, *args))
            connection, _ = listener.accept()
            with connection:
                _, descriptors, _, _ = socket.recv_fds(connection, 100, 1)
        return descriptors[0]

    def read_until(self, descriptor, words):
        text = b""
        while words not in text:
            text += os.read(descriptor, 1000)

    def test_hooks(self):
        log = self.directory / "hooks.log"
        self.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", f"echo {kind} >> {log}; cat > {log}.{kind}"]}]
                                for kind in ("prestart", "createRuntime", "createContainer", "poststart", "poststop")}
        self.counting()
        self.assertDumped(self.checkpoint())
        self.assertEqual(log.read_text().split()[-1], "poststop")
        log.write_text("")
        self.restore()
        self.assertEqual(log.read_text().split(), ["prestart", "createRuntime"])
        told = json.loads(pathlib.Path(f"{log}.prestart").read_text())
        self.assertEqual((told["id"], told["status"]), (self.id, "creating"))
        self.assertGreater(told["pid"], 0)

    def test_failing_hook(self):
        self.counting()
        self.assertDumped(self.checkpoint())
        self.config["hooks"] = {"createRuntime": [{"path": "/bin/false"}]}
        self.write()
        result = self.runtime("restore", "--bundle", self.bundle, "--image-path", self.images, "--detach", self.id)
        self.assertFails(result, "createRuntime hook")
        self.assertNothingLeft()

    def test_seccomp_and_masks(self):
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}
        pid = self.counting()
        self.assertIn("Seccomp:\t2", pathlib.Path(f"/proc/{pid}/status").read_text())
        self.assertDumped(self.checkpoint())
        self.restore()
        pid = self.state()["pid"]
        self.assertIn("Seccomp:\t2", pathlib.Path(f"/proc/{pid}/status").read_text())
        self.assertNotEqual(self.exec("/bin/mkdir", "/tmp/x").status, 0)
        self.assertEqual(self.exec("/bin/cat", "/proc/kcore").out, "")
        self.assertNotEqual(self.exec("/bin/sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward").status, 0)

    def test_readonly_root_and_cgroup_mount(self):
        self.config["root"]["readonly"] = True
        (self.rootfs / "data").mkdir()
        self.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                                      "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]})
        self.counting()
        self.assertDumped(self.checkpoint())
        at = self.count()
        self.restore()
        self.assertGoesOn(at)
        self.assertNotEqual(self.exec("/bin/touch", "/x").status, 0)

    def test_another_copy_of_the_root(self):
        self.counting()
        self.assertDumped(self.checkpoint())
        at = self.count()
        # The places to mount on are not there.
        os.rmdir(self.rootfs / "data")
        self.restore()
        self.assertGoesOn(at)

    def test_network_namespace_by_path(self):
        name = f"nt-{os.getpid()}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.addCleanup(subprocess.run, ["ip", "netns", "delete", name], check=False)
        path = f"/var/run/netns/{name}"
        for namespace in self.linux["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = path
        self.counting()
        self.assertDumped(self.checkpoint())
        at = self.count()
        self.restore()
        self.assertGoesOn(at)
        self.assertEqual(os.stat(f"/proc/{self.state()['pid']}/ns/net").st_ino, os.stat(path).st_ino)

    def test_mount_is_gone_from_the_host(self):
        self.counting()
        before = sorted(pathlib.Path("/proc/self/mountinfo").read_text().splitlines())
        self.assertDumped(self.checkpoint())
        self.restore()
        self.assertEqual(sorted(pathlib.Path("/proc/self/mountinfo").read_text().splitlines()), before)

    @unittest.skipUnless(FAULTS, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
    def test_faults(self):
        self.counting()
        self.assertDumped(self.checkpoint())
        for stage in ("restore.cgroup-limits", "restore.criu", "restore.save-state"):
            with self.subTest(stage=stage):
                args = ["restore", "--bundle", self.bundle, "--image-path", self.images, "--detach", self.id]
                result = self.runtime(*args, env={**os.environ, "NUCLEUS_FAULT": stage})
                self.assertFails(result, f"injected fault at {stage}")
                self.assertNothingLeft()
                self.runtime(*args, env={**os.environ, "NUCLEUS_FAULT": f"kill:{stage}"})
                self.assertOk(self.delete("--force"))
                self.assertNothingLeft()

    @unittest.skipUnless(SYSTEMD, "systemd is not PID 1 here (vm/run.sh has it)")
    def test_systemd(self):
        self.linux["cgroupsPath"] = f"nucleustest.slice:nt:{self.id}"
        unit = f"nt-{self.id}.scope"
        self.counting(flags=["--systemd-cgroup"])
        self.assertDumped(self.checkpoint())
        at = self.count()
        status = subprocess.run([RUNTIME, "--root", self.root, "--systemd-cgroup", "restore", "--bundle", self.bundle, "--image-path",
                                 self.images, "--detach", self.id], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, check=False).returncode
        self.assertEqual(status, 0, self.criu_log("restore.log"))
        self.assertGoesOn(at)
        self.assertIn(unit, pathlib.Path(f"/proc/{self.state()['pid']}/cgroup").read_text())
        self.assertOk(self.delete("--force"))
        self.assertEqual(command(["systemctl", "show", "-P", "LoadState", unit]).out.strip(), "not-found")


if __name__ == "__main__":
    main()
