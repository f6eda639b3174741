"""How containers have escaped before (each named by its advisory), and that none of the ways leads out here.

The canary is a directory of the host outside the bundle: its names, contents, modes and times must not change, nothing
may be mounted on it, and the container must never see what it holds. Races are run against a process that exchanges a
directory and a link as fast as the kernel can; they are bounded in number and in time.
"""

import hashlib
import json
import os
import pathlib
import select
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
import unittest

import harness
from agent import CONTINUE, Agent
from harness import Case, main, mounts_below, parse_mounts, rule

# For all 2000 tries some hundred. A slow processor has its time, but not all of it.
RACE_SECONDS = float(os.environ.get("NUCLEUS_RACE_SECONDS", "15")) * min(harness.SLOW, 4)
RACE_TRIES = 2000
EXECVE = 59


def snapshot(directory):
    """Everything of a tree that an escape could change."""
    found = {}
    for path in [directory, *sorted(directory.rglob("*"))]:
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else None
        found[str(path)] = (status.st_mode, status.st_uid, status.st_gid, status.st_ino, status.st_mtime_ns,
                            status.st_ctime_ns, content)
    return found


class Escape(Case):
    SECRET = "what only the host may know"

    def setUp(self):
        super().setUp()
        self.canary = self.directory / "canary"
        (self.canary / "sub").mkdir(parents=True)
        (self.canary / "file").write_text(self.SECRET)
        (self.canary / "script").write_text("#!/bin/sh\necho " + self.SECRET)
        (self.canary / "script").chmod(0o755)
        self.before = snapshot(self.canary)
        self.addCleanup(self.assertCanary)

    def assertCanary(self):
        self.assertEqual(snapshot(self.canary), self.before, "the canary has changed")
        self.assertEqual(mounts_below(self.canary), [])

    def safe(self, *flags):
        """Runs the container: that it is refused is as good as that it stays inside. What it printed."""
        result = self.run_container(*flags)
        self.assertNotIn(self.SECRET, result.out + result.err)
        self.assertCanary()
        return result

    def refused(self, *words):
        self.assertRefused(*words)
        self.assertCanary()

    def without_dev(self):
        self.config["mounts"] = [m for m in self.config["mounts"] if not m["destination"].startswith("/dev")]

    def replace(self, path, target):
        """Makes the image's path a symbolic link."""
        place = self.rootfs / path
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        place.unlink(missing_ok=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    def links_to_canary(self):
        """A link's text, as it would be followed from the host's root and from where it lies."""
        return str(self.canary), "../../canary", "../" * 20 + str(self.canary).lstrip("/")

    def mount(self, destination, type="tmpfs", source="tmpfs", *options):
        self.config["mounts"].append(
            {"destination": destination, "type": type, "source": str(source), "options": list(options)})


class Links(Escape):
    """Paths of the image that are links to the host."""

    def test_mount_target_behind_a_link(self):
        """CVE-2019-18837"""
        for link in self.links_to_canary():
            with self.subTest(link):
                self.config["mounts"] = self.config["mounts"][:6]
                self.replace("way/out", link)
                self.mount("/way/out/made")
                self.mount("/way/out/file", "bind", "/etc/hostname", "bind")
                self.sh("true")
                self.safe()

    def test_mount_target_that_is_a_link(self):
        for link in self.links_to_canary():
            with self.subTest(link):
                self.config["mounts"] = self.config["mounts"][:6]
                self.replace("mnt", link)
                self.mount("/mnt", "bind", self.bundle, "bind")
                self.sh("ls /mnt; cat /mnt/file")
                self.safe()

    def test_file_target_that_is_a_link(self):
        for link in (str(self.canary / "file"), str(self.canary / "new")):
            with self.subTest(link):
                self.config["mounts"] = self.config["mounts"][:6]
                self.replace("etc/resolv.conf", link)
                self.mount("/etc/resolv.conf", "bind", "/etc/hostname", "bind")
                self.sh("true")
                self.safe()

    def test_proc_and_sys_are_links(self):
        """CVE-2019-19921, CVE-2023-27561, CVE-2023-28642"""
        for name in ("proc", "sys"):
            for link in (*self.links_to_canary(), "/tmp", "tmp", "/proc"):
                with self.subTest(name, link=link):
                    self.replace(name, link)
                    self.refused("must be mounted on ordinary directory")
            (self.rootfs / name).unlink()
            (self.rootfs / name).mkdir()

    def test_proc_is_a_file(self):
        (self.rootfs / "proc").rmdir()
        (self.rootfs / "proc").write_text("")
        self.refused("must be mounted on ordinary directory")

    def test_parent_of_proc_is_a_link(self):
        self.config["mounts"][0]["destination"] = "/inner/proc"
        (self.rootfs / "real").mkdir()
        self.replace("inner", "/real")
        self.linux["maskedPaths"] = self.linux["readonlyPaths"] = []
        self.refused("must be mounted on ordinary directory")

    def test_dev_is_a_link(self):
        """CVE-2026-41579, CVE-2026-47766"""
        self.without_dev()
        # One that is there inside as well, at the same path: what a runtime takes for it outside is the test's own.
        there = self.directory / "there"
        for directory in (there, self.rootfs / str(there)[1:]):
            directory.mkdir(parents=True)
        for link in (*self.links_to_canary(), str(there)):
            with self.subTest(link):
                self.replace("dev", link)
                self.sh("true")
                result = self.safe()
                if link != str(there):
                    self.assertNotEqual(result.status, 0, result)
                self.assertEqual(os.listdir(there), [])

    def test_dev_is_a_link_and_mounted_on(self):
        for link in self.links_to_canary():
            with self.subTest(link):
                self.replace("dev", link)
                self.sh("ls /dev; ls -la /")
                self.safe()

    def test_device_behind_a_link(self):
        self.linux["devices"] = [{"type": "c", "path": "/way/out/node", "major": 1, "minor": 3},
                                 {"type": "p", "path": "/way/out/pipe"}]
        for link in self.links_to_canary():
            with self.subTest(link):
                self.replace("way/out", link)
                self.sh("true")
                self.safe()

    def test_dev_null_is_a_link(self):
        """CVE-2025-31133, CVE-2025-62161: what is masked with /dev/null must not show something else."""
        self.without_dev()
        (self.rootfs / "etc/shadow").write_text("masked")
        self.linux["maskedPaths"].append("/etc/shadow")
        for link in (str(self.canary / "file"), "/proc/sysrq-trigger", "/etc/passwd", "/proc/self/exe"):
            with self.subTest(link):
                self.replace("dev/null", link)
                self.refused("/dev/null")

    def test_dev_null_of_a_volume_is_a_link(self):
        self.without_dev()
        (self.bundle / "dev").mkdir()
        (self.bundle / "dev/null").symlink_to("/etc/passwd")
        self.mount("/dev", "bind", "dev", "bind")
        (self.rootfs / "etc/shadow").write_text("masked")
        self.linux["maskedPaths"].append("/etc/shadow")
        self.sh("cat /etc/shadow; stat -c %t:%T /etc/shadow")
        result = self.safe()
        if result.status == 0:
            self.assertEqual(result.out, "1:3\n")

    def test_dev_null_is_another_device_of_the_same_numbers(self):
        """CVE-2026-88265"""
        self.without_dev()
        os.mknod(self.rootfs / "dev/null", stat.S_IFBLK | 0o666, os.makedev(1, 3))
        self.refused("/dev/null")

    def test_dev_null_is_a_link_to_a_device_of_the_same_numbers(self):
        self.without_dev()
        os.mknod(self.rootfs / "other", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        self.replace("dev/null", "/other")
        self.refused("/dev/null")

    def test_default_links_are_links_to_the_host(self):
        self.without_dev()
        for name in ("fd", "stdin", "stdout", "stderr", "ptmx", "core"):
            self.replace(f"dev/{name}", self.canary / "sub")
        self.sh("ls /dev/fd/; echo x > /dev/stdout")
        self.safe()

    def test_masked_and_read_only_paths_behind_links(self):
        self.replace("way/out", self.canary)
        self.replace("way/up", "../" * 20 + str(self.canary).lstrip("/"))
        for paths in ("maskedPaths", "readonlyPaths"):
            self.linux[paths] += ["/way/out", "/way/out/file", "/way/up", "/way/up/sub"]
        self.sh("true")
        self.safe()

    def test_working_directory_behind_a_link(self):
        for link in self.links_to_canary():
            with self.subTest(link):
                self.replace("way/out", link)
                for cwd in ("/way/out", "/way/out/made"):
                    self.process["cwd"] = cwd
                    self.sh("cat file; ls")
                    self.safe()

    def test_copy_up_does_not_follow(self):
        (self.rootfs / "data").mkdir()
        (self.rootfs / "data/link").symlink_to(self.canary / "file")
        (self.rootfs / "data/up").symlink_to("../" * 20 + str(self.canary / "file").lstrip("/"))
        self.mount("/data", "tmpfs", "tmpfs", "tmpcopyup")
        self.sh("cat /data/link /data/up; ls -l /data")
        self.assertEqual(self.safe().out.count("->"), 2)

    def test_copy_up_from_behind_a_link(self):
        self.replace("data", self.canary)
        self.mount("/data", "tmpfs", "tmpfs", "tmpcopyup")
        self.sh("cat /data/file")
        self.safe()

    @rule("MUST", "features.md#unsafe-annotations-in-configjson", "annotations that are not listed have no effect")
    def test_files_that_other_runtimes_write(self):
        """CVE-2025-24965, and annotations that change what others do: none has an effect here."""
        for name in (".krun_config.json", ".krun_vm.json", "run/.containerenv", ".dockerenv"):
            self.replace(name, self.canary / "new")
        plain = self.probe("facts")
        self.config["annotations"] = {
            "run.oci.handler": "krun", "module.wasm.image/variant": "compat", "run.oci.keep_original_groups": "1",
            "run.oci.seccomp_fail_unknown_syscall": "1", "run.oci.hooks.stdout": str(self.canary / "new"),
            "run.oci.mount_context_type": "rootcontext", "org.criu.config": str(self.canary / "file"),
            "org.systemd.property.ExecStartPost": "/bin/true", "bundle": str(self.canary), "krun.cpus": "1"}
        facts = self.probe("facts")
        for name in facts.keys() - {"clocks", "status", "namespaces", "keyring", "fds"}:
            self.assertEqual(facts[name], plain[name], name)

    def test_chains_of_links_are_bounded(self):
        """crun #1567"""
        for number in range(100):
            self.replace(f"chain/{number}", f"/chain/{number + 1}")
        self.replace("round", "/round")
        for destination in ("/chain/0", "/chain/0/x", "/round", "/round/x"):
            with self.subTest(destination):
                self.config["mounts"] = self.config["mounts"][:6]
                self.mount(destination)
                self.refused(destination)

    def test_deep_paths_are_bounded(self):
        self.mount("/" + "d/" * 2000 + "end")
        self.sh("true")
        self.safe()
        self.config["mounts"][-1]["destination"] = "/" + "x" * 300
        self.refused()

    def test_deep_tree_is_copied_or_refused(self):
        place = os.open(self.rootfs, os.O_RDONLY)
        for _ in range(300):
            os.mkdir("deep", dir_fd=place)
            below = os.open("deep", os.O_RDONLY, dir_fd=place)
            os.close(place)
            place = below
        os.close(place)
        self.mount("/deep", "tmpfs", "tmpfs", "tmpcopyup")
        self.sh("true")
        self.safe()


class Terminals(Escape):
    """CVE-2025-52565, CVE-2026-88264"""

    def run_with_terminal(self):
        """In the foreground on a terminal of our own."""
        self.process["terminal"] = True
        self.write()
        pid, fd = os.forkpty()
        if pid == 0:
            os.execv(harness.RUNTIME, [harness.RUNTIME, "--root", str(self.root), "run", "--bundle", str(self.bundle),
                                       self.id])
        text, chunk = b"", b" "
        try:
            while chunk:
                if not select.select([fd], [], [], harness.TIMEOUT)[0]:
                    os.kill(pid, signal.SIGKILL)
                    self.fail(f"no end within {harness.TIMEOUT} s: {text!r}")
                chunk = os.read(fd, 4096)
                text += chunk
        except OSError:  # EIO: the other side has gone
            pass
        finally:
            os.close(fd)
            _, status = os.waitpid(pid, 0)
        self.assertNotIn(self.SECRET.encode(), text)
        self.assertCanary()
        return os.waitstatus_to_exitcode(status), text

    def test_console_is_a_link(self):
        self.config["mounts"] = [m for m in self.config["mounts"] if m["destination"] in ("/proc", "/sys", "/dev/pts")]
        for link in (self.canary / "file", self.canary / "new", "/etc/passwd", "/tmp/new"):
            with self.subTest(link):
                self.replace("dev/console", link)
                self.sh("echo written > /dev/console")
                self.run_with_terminal()
                self.assertFalse((self.rootfs / "tmp/new").exists())
                self.assertNotIn("written", (self.rootfs / "etc/passwd").read_text())

    def test_console_is_a_link_below_a_volume(self):
        (self.bundle / "dev").mkdir()
        (self.bundle / "dev/console").symlink_to(self.canary / "file")
        (self.bundle / "dev/pts").mkdir()
        self.config["mounts"] = [m for m in self.config["mounts"] if m["destination"] in ("/proc", "/sys", "/dev/pts")]
        self.config["mounts"].insert(2, {"destination": "/dev", "type": "bind", "source": "dev", "options": ["bind"]})
        self.sh("echo written > /dev/console")
        self.run_with_terminal()

    def test_multiplexer_is_a_link(self):
        self.config["mounts"] = [m for m in self.config["mounts"] if m["destination"] in ("/proc", "/sys")]
        (self.rootfs / "dev/pts").mkdir()
        for link in (self.canary / "file", "/dev/zero", "/etc/passwd"):
            with self.subTest(link):
                self.replace("dev/pts/ptmx", link)
                self.sh("true")
                status, text = self.run_with_terminal()
                self.assertNotEqual(status, 0, text)

    def test_slaves_of_the_image(self):
        (self.rootfs / "dev/pts").mkdir()
        (self.rootfs / "dev/pts/0").symlink_to(self.canary / "file")
        self.sh("tty; stat -c %F /dev/console")
        status, text = self.run_with_terminal()
        self.assertEqual(status, 0, text)
        self.assertIn(b"/dev/pts/0", text)
        self.assertIn(b"character special file", text)


class Descriptors(Escape):
    """CVE-2024-21626: a directory of the host, by a descriptor that was left open."""

    def with_host_directories(self, *command):
        """The runtime's caller holds directories of the host at many numbers."""
        files = [os.open(self.canary, os.O_RDONLY) for _ in range(30)]
        try:
            result = harness.command([harness.RUNTIME, "--root", self.root, *command], pass_fds=files)
        finally:
            for file in files:
                os.close(file)
        self.assertNotIn(self.SECRET, result.out)
        return result

    def test_working_directory(self):
        self.sh("cat file; cat ../file; cat ../../canary/file; pwd")
        for number in range(3, 64):
            with self.subTest(number):
                self.process["cwd"] = f"/proc/self/fd/{number}"
                self.write()
                result = self.with_host_directories("run", "--bundle", self.bundle, self.id)
                self.assertNotEqual(result.status, 0, result)
                self.assertNothingLeft()

    def test_working_directory_by_a_link_of_the_image(self):
        self.sh("cat file; cat ../file; pwd")
        for number in range(3, 40):
            with self.subTest(number):
                self.replace("way", f"/proc/self/fd/{number}")
                for cwd in ("/way", "/way/sub", "/way/../canary"):
                    self.process["cwd"] = cwd
                    self.write()
                    result = self.with_host_directories("run", "--bundle", self.bundle, self.id)
                    if cwd != "/way/../canary":
                        self.assertNotEqual(result.status, 0, result)
                    self.assertCanary()

    def test_working_directory_of_exec(self):
        self.running()
        for number in range(3, 64):
            with self.subTest(number):
                cwd = f"/proc/self/fd/{number}"
                result = self.with_host_directories("exec", "--cwd", cwd, self.id, "/bin/cat", "file")
                self.assertEqual(result.status, 255, result)

    def test_program(self):
        """The variant by process.args: a program of the host through a descriptor that only execve would close."""
        for number in range(3, 40):
            with self.subTest(number):
                up = "../" * 20 + str(self.canary).lstrip("/")
                self.process["args"] = ["/bin/sh", f"/proc/self/fd/{number}/script"]
                self.write()
                self.with_host_directories("run", "--bundle", self.bundle, self.id)
                for path in (f"/proc/self/fd/{number}/script", f"/proc/self/fd/{number}/{up}/script"):
                    self.process["args"] = [path]
                    self.write()
                    result = self.with_host_directories("run", "--bundle", self.bundle, self.id)
                    self.assertNotEqual(result.status, 0, result)

    def test_program_of_exec(self):
        self.running()
        for number in range(3, 40):
            up = "../" * 20 + str(self.canary).lstrip("/")
            for path in (f"/proc/self/fd/{number}/script", f"/proc/self/fd/{number}/{up}/script"):
                with self.subTest(path):
                    result = self.with_host_directories("exec", self.id, path)
                    self.assertEqual(result.status, 255, result)

    def test_mount_target(self):
        for number in (3, 4, 5, 6, 7, 8, 9, 10, 20):
            with self.subTest(number):
                self.config["mounts"] = self.config["mounts"][:6]
                self.mount(f"/proc/self/fd/{number}/sub")
                self.mount(f"/proc/self/cwd/{number}")
                self.write()
                self.with_host_directories("run", "--bundle", self.bundle, self.id)
                self.assertCanary()

    @rule("MUST", "runtime-linux.md#file-descriptors", "the process has its three streams and no descriptor beside")
    def test_only_three_are_left(self):
        self.process["args"] = ["/bin/probe", "facts"]
        self.write()
        result = self.with_host_directories("run", "--bundle", self.bundle, self.id)
        self.assertOk(result)
        self.assertEqual(sorted(json.loads(result.out)["fds"]), ["0", "1", "2"])


class SlowExec(Escape):
    """An exec that an agent holds at its very last syscall: what the container's processes can do to it meanwhile."""

    def hold_exec(self, *capabilities):
        """(pid on the host, pid inside) of a process that has entered the container and has not executed yet."""
        self.add_capabilities(*capabilities)
        self.release = threading.Event()
        calls = []

        def answer(number, _args):
            if number == EXECVE:
                calls.append(number)
                if len(calls) == 2:
                    self.release.wait(60)
            return 0, 0, CONTINUE

        path = self.directory / "agent.sock"
        agent = Agent(path, answer)
        self.addCleanup(agent.close)
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(path), "syscalls": [
            {"names": ["execve"], "action": "SCMP_ACT_NOTIFY"}]}
        self.hold()
        self.held = subprocess.Popen(
            [self.runtime_path(), "--root", self.root, "exec", self.id, "/bin/sleep", "0"], stdin=subprocess.DEVNULL)
        self.addCleanup(self.end_held)
        harness.wait_until(lambda: len(calls) == 2, "an exec at its last syscall")
        pid = agent.sent(2)[1]["pid"]
        status = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        inside = next(line for line in status if line.startswith("NSpid:")).split()[-1]
        return pid, inside

    def runtime_path(self):
        return harness.RUNTIME

    def end_held(self):
        self.release.set()
        self.held.wait(60)

    def test_nothing_is_to_be_learned_or_done(self):
        """CVE-2016-9962"""
        _, inside = self.hold_exec()
        told = self.exec_probe("inspect", inside)
        for name in ("exe", "root", "cwd"):
            self.assertEqual(told[name], "error: EACCES", name)
        self.assertTrue(all(target == "error: EACCES" for target in told["fds"].values()), told)
        for name in ("mem", "environ", "maps", "hold", "write"):
            self.assertEqual(told[name], "EACCES", name)
        self.assertEqual(told["ptrace"], "EPERM")

    def test_it_holds_no_directory_of_the_host(self):
        pid, _ = self.hold_exec()
        root = os.stat(f"/proc/{pid}/root")
        seen = []
        for name in os.listdir(f"/proc/{pid}/fd"):
            status = os.stat(f"/proc/{pid}/fd/{name}")
            if stat.S_ISDIR(status.st_mode):
                seen.append(name)
                self.assertEqual((status.st_dev, status.st_ino), (root.st_dev, root.st_ino), name)
        self.assertTrue(os.path.samestat(os.stat(f"/proc/{pid}/cwd"), root))

    def test_it_has_no_more_powers_than_init(self):
        pid, _ = self.hold_exec()
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        init = dict(line.split(":\t", 1)
                    for line in pathlib.Path(f"/proc/{self.state()['pid']}/status").read_text().splitlines())
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Uid", "Gid", "Groups"):
            self.assertEqual(status[name], init[name], name)
        self.assertEqual(status["Seccomp"], "2")

    def test_its_program_cannot_be_written(self):
        """CVE-2019-5736, by a container that may trace: the program of the runtime is in reach, and read-only."""
        copy = self.directory / os.path.basename(harness.RUNTIME)
        shutil.copy2(harness.RUNTIME, copy)
        self.runtime_path = lambda: copy
        before = hashlib.sha256(copy.read_bytes()).hexdigest()
        _, inside = self.hold_exec("CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER")
        told = self.exec_probe("inspect", inside)
        self.assertEqual(told["hold"], "", "the test must have reached it")
        self.assertIn(told["write"], ("EROFS", "ETXTBSY", "EPERM", "EACCES"))
        # By a descriptor that outlives the process: then no longer busy, and still not to be written.
        script = (f"exec 9</proc/{inside}/exe; touch /tmp/holding; while [ -e /proc/{inside}/cwd/bin ] || "
                  f"grep -q {os.path.basename(copy)} /proc/{inside}/comm 2>/dev/null; do sleep 0.05; done; "
                  "(echo overwritten > /proc/self/fd/9) 2>&1; echo done")
        writer = subprocess.Popen([harness.RUNTIME, "--root", self.root, "exec", self.id, "/bin/sh", "-c", script],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        harness.wait_until(lambda: (self.rootfs / "tmp/holding").exists(), "the writer holds the program")
        self.end_held()
        out, _ = writer.communicate(timeout=60)
        self.assertIn("done", out)
        self.assertRegex(out, "Read-only file system|Text file busy|not permitted|denied")
        self.assertEqual(hashlib.sha256(copy.read_bytes()).hexdigest(), before)


class Hunted(Escape):
    """CVE-2016-9962, from outside of its last moment: a container looks for any process of the runtime that it may look
    into, while such processes enter its pid namespace again and again."""

    def hunt(self, work):
        self.hold()
        hunter = subprocess.Popen([harness.RUNTIME, "--root", self.root, "exec", self.id, "/bin/probe", "hunt", "6"],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            while hunter.poll() is None:
                work()
        finally:
            out, _ = hunter.communicate(timeout=60)
        found = json.loads(out)
        self.assertEqual(set(found["programs"]) - {"/bin/probe", "/bin/busybox"}, set(), found)
        self.assertGreater(found["denied"], 0, "the hunter has met nobody")

    def test_by_exec(self):
        self.hunt(lambda: self.exec("/bin/true"))

    def other(self, *namespaces):
        """Creates and deletes a second container in the pid namespace of the first."""
        config = json.loads(json.dumps(self.config))
        config["process"]["args"] = ["/bin/true"]
        config["linux"]["cgroupsPath"] = f"/nucleus-test/{self.id}-other"
        config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] != "pid"]
        config["linux"]["namespaces"] += [
            {"type": "pid", "path": f"/proc/{self.state()['pid']}/ns/pid"}, *namespaces]
        if namespaces:
            for name in ("uidMappings", "gidMappings"):
                config["linux"][name] = [{"containerID": 0, "hostID": 0, "size": 65536}]
            # A procfs of a pid namespace is for the user namespace that owns it.
            config["mounts"] = [m for m in config["mounts"] if m["type"] != "proc"]
            config["linux"]["maskedPaths"] = config["linux"]["readonlyPaths"] = []
        bundle = self.directory / "other"
        bundle.mkdir(exist_ok=True)
        config["root"]["path"] = str(self.rootfs)
        (bundle / "config.json").write_text(json.dumps(config))
        id = f"{self.id}-other"
        self.ids.add(id)
        self.assertOk(self.runtime("create", "--bundle", bundle, id))
        self.assertOk(self.delete("--force", id=id))

    def test_by_a_container_of_the_same_pid_namespace(self):
        self.hunt(self.other)

    def test_by_one_with_a_user_namespace(self):
        # The hunter is uid 0 of the host: the owner of that new user namespace, with all capabilities in it.
        self.hunt(lambda: self.other({"type": "user"}))


class OwnProgram(Escape):
    """CVE-2019-5736"""

    def setUp(self):
        super().setUp()
        # A copy is at stake, not the binary that other tests use.
        self.copy = self.directory / os.path.basename(harness.RUNTIME)
        shutil.copy2(harness.RUNTIME, self.copy)
        self.digest = hashlib.sha256(self.copy.read_bytes()).hexdigest()

    def run_copy(self, *args):
        self.write()
        result = harness.command([self.copy, "--root", self.root, *args])
        self.assertEqual(hashlib.sha256(self.copy.read_bytes()).hexdigest(), self.digest)
        self.assertFalse([line for line in mounts_below(self.copy)])
        return result

    def test_entry_point_that_is_the_runtime(self):
        (self.rootfs / "entry").write_text("#!/proc/self/exe\n")
        (self.rootfs / "entry").chmod(0o755)
        self.process["args"] = ["/entry"]
        self.add_capabilities("CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE")
        self.run_copy("run", "--bundle", self.bundle, self.id)
        self.process["args"] = ["/proc/self/exe", "--version"]
        self.run_copy("run", "--bundle", self.bundle, self.id)

    def test_library_of_the_image_is_not_loaded(self):
        # A dynamic runtime that executed itself inside would load the image's libraries.
        for name in ("etc/ld.so.preload", "lib/x86_64-linux-gnu/libc.so.6", "lib64/ld-linux-x86-64.so.2"):
            (self.rootfs / name).parent.mkdir(parents=True, exist_ok=True)
            (self.rootfs / name).write_text("/evil.so\n")
        self.sh("echo fine")
        self.assertEqual(self.run_copy("run", "--bundle", self.bundle, self.id).out, "fine\n")

    def test_name_service_of_the_image_is_not_asked(self):
        (self.rootfs / "etc/nsswitch.conf").write_text("passwd: evil\ngroup: evil\n")
        self.process["user"] = {"uid": 1000, "gid": 1000}
        self.sh("echo fine")
        self.assertEqual(self.run_copy("run", "--bundle", self.bundle, self.id).out, "fine\n")

    def test_its_path_is_not_in_sight(self):
        self.sh("cat /proc/self/mountinfo /proc/1/mountinfo; ls -l /proc/1/")
        result = self.run_copy("run", "--bundle", self.bundle, self.id)
        self.assertOk(result)
        self.assertNotIn(str(self.copy), result.out)


class Exec(Escape):
    def test_user_is_a_number(self):
        """CVE-2016-3697, CVE-2026-30892"""
        (self.rootfs / "etc/passwd").write_text("1:x:0:0:root:/root:/bin/sh\n")
        self.running()
        for text, uid in (("0", 0), ("1", 1), ("01", 1), ("1:2", 1), ("1000", 1000)):
            result = self.exec("/bin/probe", "facts", flags=["--user", text])
            if result.status == 0:
                self.assertEqual(json.loads(result.out)["uids"], [uid] * 4, text)
            else:
                self.assertEqual(text, "01")
        for text in ("+1", "4294967296", "1 ", " 1", "-1", "root", "1:", "0x0", "4294967297:0"):
            self.assertEqual(self.exec("/bin/probe", "facts", flags=["--user", text]).status, 255, text)

    def test_inheritable_stays_empty(self):
        """CVE-2022-29162, CVE-2022-27650, CVE-2025-27612"""
        self.running()
        for flags in ([], ["--cap", "CAP_NET_RAW"], ["--user", "1000"], ["--cap", "CAP_NET_RAW", "--user", "1000"]):
            sets = self.exec_probe("facts", flags=flags)["capabilities"]
            self.assertEqual(sets["inheritable"], 0, flags)
            self.assertEqual(sets["ambient"], 0, flags)

    def test_inheritable_of_init_stays_empty(self):
        sets = self.probe("facts")["capabilities"]
        self.assertEqual((sets["inheritable"], sets["ambient"]), (0, 0))

    def test_filter_is_the_same(self):
        """gVisor #12692"""
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71}]}
        init = self.hold()
        other = self.exec_probe("facts")
        wanted = [line for line in init["status"] if line.startswith(("Cap", "NoNew", "Seccomp"))]
        self.assertEqual([line for line in wanted if line not in other["status"]], [])
        self.assertEqual(other["rlimits"], init["rlimits"])


class Procfs(Escape):
    """Files of /proc that the runtime writes, with something else in their place."""

    def test_label_goes_nowhere_else(self):
        """CVE-2019-16884: where no label can be applied, asking for one is an error whatever lies on /proc."""
        self.mount("/proc/self/attr", "tmpfs", "tmpfs")
        self.process["apparmorProfile"] = "some-profile"
        self.sh("cat /proc/self/attr/current")
        result = self.safe()
        if not os.path.exists("/sys/kernel/security/apparmor"):
            self.assertNotEqual(result.status, 0, result)

    def sysctl_inside(self, name):
        """The value that the kernel has for the container's network namespace, read by way of the host's procfs."""
        pid = self.state()["pid"]
        path = "/proc/sys/" + name.replace(".", "/")
        return subprocess.run(["nsenter", "-t", str(pid), "-n", "cat", path], capture_output=True, text=True,
                              check=True).stdout.strip()

    def test_sysctl_file_is_mounted_over(self):
        """CVE-2025-52881, CVE-2025-62596, CVE-2025-54867"""
        (self.bundle / "fake").write_text("fake")
        self.linux["sysctl"] = {"net.core.somaxconn": "77"}
        self.linux["readonlyPaths"] = []
        for target in ("/proc/sys/net/core/somaxconn", "/proc/sys/net/core", "/proc/sys/net", "/proc/sys"):
            with self.subTest(target):
                self.config["mounts"] = self.config["mounts"][:6]
                if target.endswith("somaxconn"):
                    self.mount(target, "bind", self.bundle / "fake", "bind")
                else:
                    self.mount(target, "tmpfs", "tmpfs")
                self.process["args"] = ["/bin/sleep", "1000"]
                if self.create().status == 0:
                    self.assertEqual(self.sysctl_inside("net.core.somaxconn"), "77")
                    self.assertOk(self.delete("--force"))
                self.assertEqual((self.bundle / "fake").read_text(), "fake")
                self.assertCanary()

    def test_proc_is_a_volume(self):
        """What a process of another container has put there."""
        volume = self.bundle / "volume"
        (volume / "sys/net/core").mkdir(parents=True)
        (volume / "sys/net/core/somaxconn").symlink_to(self.canary / "file")
        (volume / "self").symlink_to(self.canary)
        self.config["mounts"][0] = {"destination": "/proc", "type": "bind", "source": "volume", "options": ["bind"]}
        self.linux["sysctl"] = {"net.core.somaxconn": "77"}
        self.linux["maskedPaths"] = self.linux["readonlyPaths"] = []
        self.process["args"] = ["/bin/sleep", "1000"]
        if self.create().status == 0:
            self.assertEqual(self.sysctl_inside("net.core.somaxconn"), "77")
            self.assertOk(self.delete("--force"))
        self.assertCanary()

    def test_descriptor_of_a_namespace_as_source(self):
        """crun #2262: what cannot be cloned by descriptor is an error, never a bind mount of something else."""
        self.mount("/mnt", "bind", "/", "bind")
        self.mount("/tmp/ns", "bind", "/proc/self/ns/net", "bind")
        self.process["args"] = ["/bin/cat", "/proc/self/mountinfo"]
        result = self.safe()
        if result.status == 0:
            mounts = parse_mounts(result.out)
            self.assertEqual(mounts["/tmp/ns"].type, "nsfs")
            self.assertNotEqual(mounts["/"].root, "/")


class Cgroups(Escape):
    def test_host_tree_is_not_writable(self):
        """CVE-2023-25809: without a cgroup namespace."""
        self.without_namespace("cgroup")
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 0, "size": 65536}]
        self.mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", "ro")
        for name in ("bounding", "permitted", "effective"):
            self.process["capabilities"][name] = [c for c in harness.CAPABILITIES
                                                  if c not in ("CAP_SYS_RESOURCE", "CAP_SYS_ADMIN")]
        # v1 has a directory for each hierarchy, v2 none; a file that there is not says something else than that it is
        # read-only, so one that both have is tried as well.
        self.sh("cd /sys/fs/cgroup; for d in . */; do [ -d \"$d\" ] || continue; "
                "mkdir $d/made 2>&1 | grep -v 'ead-only'; for f in notify_on_release cgroup.procs; do "
                "[ $d = . ] || [ -e $d/$f ] || echo no $d/$f; [ ! -e $d/$f ] || (echo 1 > $d/$f) 2>&1 | grep -v 'ead-only'; "
                "done; done; find . -name release_agent")
        result = self.safe()
        self.assertOk(result)
        self.assertEqual(result.out, "")


class Configuration(Escape):
    def test_long_values(self):
        """CVE-2021-43784: nothing has a length that is cut off."""
        self.process["args"] = ["/bin/true"]
        self.linux["namespaces"] = [n for n in self.linux["namespaces"] if n["type"] != "network"]
        self.linux["namespaces"].append({"type": "network", "path": "/" + "x" * 70000})
        self.refused()
        self.linux["namespaces"][-1] = {"type": "user"}
        self.linux["uidMappings"] = [{"containerID": n, "hostID": 100000 + n, "size": 1} for n in range(6000)]
        self.linux["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1}]
        self.refused("uidMappings")

    def test_long_arguments_and_environment(self):
        self.process["args"] = ["/bin/sh", "-c", 'echo ${#1} ${#LONG}', "sh", "a" * 100000]
        self.process["env"].append("LONG=" + "b" * 100000)
        self.assertEqual(self.output(), "100000 100000\n")

    def test_nul_in_a_path(self):
        for change in (lambda: self.mount("/mnt\0/../../x"), lambda: self.mount("/mnt", "bind", "/etc\0x", "bind"),
                       lambda: self.process.update(cwd="/tmp\0x"), lambda: self.process.update(args=["/bin/true\0x"]),
                       lambda: self.config.update(hostname="a\0b"),
                       lambda: self.config["root"].update(path="rootfs\0x"),
                       lambda: self.linux["maskedPaths"].append("/proc\0x"),
                       lambda: self.process["env"].append("A=\0b"),
                       lambda: self.linux.update(cgroupsPath=f"/nucleus-test/{self.id}\0x")):
            with self.subTest():
                kept = json.dumps(self.config)
                change()
                self.assertFails(self.create())
                self.assertNothingLeft()
                self.config = json.loads(kept)
        self.assertCanary()

    def test_ids_that_are_paths(self):
        for id in ("..", ".", "../x", "a/b", "/etc", "", "a\nb", "a b", "ü"):
            with self.subTest(id):
                self.process["args"] = ["/bin/true"]
                self.write()
                result = self.runtime("create", "--bundle", self.bundle, id)
                self.assertNotEqual(result.status, 0, result)
        self.assertCanary()


class Races(Escape):
    """CVE-2021-30465, CVE-2024-45310, CVE-2025-52565 and -52881: a volume in which another container exchanges a
    directory and a link while this one is created."""

    def setUp(self):
        super().setUp()
        self.volume = self.directory / "volume"
        (self.volume / "a").mkdir(parents=True)
        (self.volume / "a/file").write_text("of the volume")
        (self.volume / "a/masked").mkdir()

    def race(self, link, *changes, seconds=RACE_SECONDS):
        """Creates the container over and over; what came of it: the statuses."""
        link_path = self.volume / "b"
        link_path.symlink_to(link)
        self.mount("/vol", "bind", self.volume, "bind")
        for change in changes:
            change()
        # In the mount namespace of the container and before its root is entered: what is mounted where.
        seen = self.directory / "mountinfo"
        self.config["hooks"] = {"createContainer": [
            {"path": "/bin/sh", "args": ["sh", "-c", f"cat > /dev/null; cat /proc/self/mountinfo > {seen}"],
             "env": ["PATH=/usr/bin:/bin"]}]}
        self.process["args"] = ["/bin/true"]
        self.process["cwd"] = "/vol/a/cwd"
        self.write()
        swapper = subprocess.Popen([harness.PROBE, "swap", self.volume / "a", link_path])
        statuses = {0: 0, 1: 0}
        end = time.monotonic() + seconds
        try:
            for _ in range(RACE_TRIES):
                if time.monotonic() > end:
                    break
                result = self.runtime("create", "--bundle", self.bundle, self.id)
                self.assertIn(result.status, (0, 1), result)
                statuses[result.status] += 1
                if result.status == 0:
                    self.assertOk(self.delete("--force"))
                if seen.exists():
                    for point, mount in parse_mounts(seen.read_text()).items():
                        self.assertFalse(point.startswith(str(self.canary)), mount)
                    seen.unlink()
                self.assertCanary()
        finally:
            swapper.kill()
            swapper.wait()
        self.assertNothingLeft()
        self.assertCanary()
        print(f"{sum(statuses.values())} creations: {statuses[0]} with a container, {statuses[1]} refused")
        self.assertGreater(sum(statuses.values()), 20, "too few tries to mean anything")
        return statuses

    def mounts_there(self):
        self.mount("/vol/a")

    def missing_targets(self):
        self.mount("/vol/a/deep/made")
        self.mount("/vol/a/deep/made-file", "bind", "/etc/hostname", "bind")

    def devices(self):
        self.linux["devices"] = [{"type": "c", "path": "/vol/a/node", "major": 1, "minor": 3},
                                 {"type": "p", "path": "/vol/a/sub/pipe"}]

    def masks(self):
        self.linux["maskedPaths"] += ["/vol/a/file", "/vol/a/masked", "/vol/a/sub"]
        self.linux["readonlyPaths"] += ["/vol/a/file", "/vol/a"]

    def test_mounts(self):
        self.race(self.canary, self.mounts_there, self.missing_targets, seconds=2 * RACE_SECONDS)

    def test_a_naive_runtime_loses(self):
        """The same exchange against a program that looks first and mounts then: so the race is one that can be won."""
        link = self.volume / "b"
        link.symlink_to(self.canary)
        swapper = subprocess.Popen([harness.PROBE, "swap", self.volume / "a", link])
        try:
            result = harness.command(["unshare", "--mount", sys.executable, "-B", pathlib.Path(__file__).with_name("naive.py"),
                                      self.volume, "a", self.canary, "20000"])
        finally:
            swapper.kill()
            swapper.wait()
        self.assertOk(result)
        print(f"a naive program has mounted on the canary at the {result.out.strip()}th try")

    def test_mounts_by_a_relative_link(self):
        self.race("../canary", self.mounts_there, self.missing_targets)

    def test_devices_and_masks(self):
        self.race("../" * 20 + str(self.canary).lstrip("/"), self.devices, self.masks)


class AbleToFail(unittest.TestCase):
    """The tests of this file against an old runtime that is known to be open to them: there they must fail, else what they say
    of another means nothing."""

    OPEN_IN_RUNC_1_1_5 = {
        "Links/test_dev_is_a_link": "the canary has changed",
        "Links/test_dev_null_of_a_volume_is_a_link": "root:x:0:0",
        "Links/test_dev_null_is_a_link_to_a_device_of_the_same_numbers": "0 == 0",
        "Procfs/test_sysctl_file_is_mounted_over": "!= '77'",
        "Races/test_mounts": "the canary has changed",
        "Races/test_devices_and_masks": "the canary has changed",
    }

    def test_with_runc_1_1_5(self):
        runc = shutil.which("runc")
        version = subprocess.run([runc, "--version"], capture_output=True, text=True, check=False).stdout if runc else ""
        if "runc version 1.1.5" not in version or os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
            self.skipTest("runc 1.1.5 on a host with cgroup v1 is what these are known of")
        # A race that is lost ends at once: the time is for a busy machine.
        environment = {**os.environ, "RUNTIME": runc, "NUCLEUS_RESULTS": "", "NUCLEUS_RACE_SECONDS": "100"}
        stream = pathlib.Path(__file__).with_name("stream.py")
        result = harness.command([sys.executable, "-B", stream, "run", "escapes", *self.OPEN_IN_RUNC_1_1_5], env=environment,
                                 timeout=300 * harness.SLOW)
        lines = [line for line in result.out.splitlines() if line.startswith("{")]
        told = {line["test"]: line for line in map(json.loads, lines)}
        for name, reason in self.OPEN_IN_RUNC_1_1_5.items():
            with self.subTest(name):
                self.assertEqual(told[name]["status"], "fail")
                self.assertIn(reason, told[name]["reason"])


if __name__ == "__main__":
    main()
