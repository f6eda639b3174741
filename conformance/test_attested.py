"""dev.nucleus.rootfs.manifest: the root filesystem is what its manifest says, and what was looked at is what is mounted."""

import hashlib
import os
import shutil
import signal
import subprocess
import unittest

from harness import IS_NUCLEUS, RUNTIME, TIMEOUT, Case, Result, command, main
from test_faults import HAS_SWITCH

KEY = 'annotations["dev.nucleus.rootfs.manifest"]'


@unittest.skipUnless(IS_NUCLEUS, "annotations of nucleus")
class Attested(Case):
    def setUp(self):
        super().setUp()
        self.config["root"]["readonly"] = True
        self.sh("cat /etc/word")
        self.word = self.rootfs / "etc/word"
        self.word.write_text("good")
        self.word.chmod(0o644)
        self.manifest = self.bundle / "rootfs.manifest"

    def annotate(self, value):
        self.config["annotations"] = {"dev.nucleus.rootfs.manifest": value}

    def pin(self):
        """Writes the manifest of the tree as it is now, and pins it."""
        self.assertOk(command([RUNTIME, "attest", "create", "-o", self.manifest, self.rootfs]))
        digest = hashlib.sha256(self.manifest.read_bytes()).hexdigest()
        self.annotate(f"rootfs.manifest@sha256:{digest}")

    def other_tree(self):
        """The same with another word."""
        other = self.directory / "other"
        shutil.copytree(self.rootfs, other, symlinks=True)
        (other / "etc/word").write_text("evil")
        return other

    def assertRuns(self):
        """The container that was created is of the tree that was verified."""
        self.assertOk(self.start())
        self.assertEqual(self.exec("/bin/cat", "/etc/word").out, "good")
        self.assertOk(self.delete("--force"))


class Create(Attested):
    def test_as_pinned(self):
        self.pin()
        for readonly in (True, False):
            self.config["root"]["readonly"] = readonly
            self.assertEqual(self.output(), "good")

    def test_exec_too(self):
        self.pin()
        self.running()
        self.assertEqual(self.exec("/bin/cat", "/etc/word").out, "good")

    def test_with_a_user_namespace(self):
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        self.pin()
        self.assertEqual(self.output(), "good")

    def test_without_pivot_root(self):
        self.pin()
        self.assertOk(self.run_container("--no-pivot"))

    def test_any_propagation(self):
        self.pin()
        for word in ("shared", "rslave", "private", "unbindable"):
            with self.subTest(propagation=word):
                self.linux["rootfsPropagation"] = word
                self.assertEqual(self.output(), "good")

    def test_each_difference(self):
        tool = self.rootfs / "bin/busybox"
        (self.rootfs / "etc/tampered").write_text("x")
        self.pin()
        original = tool.read_bytes()

        def byte():
            changed = bytearray(original)
            changed[len(changed) // 2] ^= 1
            tool.write_bytes(changed)

        cases = {
            "different /bin/busybox: content differs": (byte, lambda: tool.write_bytes(original)),
            "different /etc/word: mode is 4644, not 0644": (lambda: self.word.chmod(0o4644), lambda: self.word.chmod(0o644)),
            "different /etc/word: owner is 7:0, not 0:0": (lambda: os.chown(self.word, 7, 0), lambda: os.chown(self.word, 0, 0)),
            "different /bin/sh: target is /tmp/sh, not busybox": (
                lambda: ((self.rootfs / "bin/sh").unlink(), (self.rootfs / "bin/sh").symlink_to("/tmp/sh")),
                lambda: ((self.rootfs / "bin/sh").unlink(), (self.rootfs / "bin/sh").symlink_to("busybox"))),
            "extra /tmp/new": ((self.rootfs / "tmp/new").touch, (self.rootfs / "tmp/new").unlink),
            "missing /etc/tampered": ((self.rootfs / "etc/tampered").unlink,
                                      lambda: (self.rootfs / "etc/tampered").write_text("x")),
            "different /etc/word: xattr": (lambda: os.setxattr(self.word, "trusted.nt", b"1"),
                                           lambda: os.removexattr(self.word, "trusted.nt")),
        }
        for words, (tamper, mend) in cases.items():
            with self.subTest(words=words):
                tamper()
                self.assertRefused(KEY, "is not as rootfs.manifest says", words, "1 in all")
                mend()
        self.assertEqual(self.output(), "good")

    def test_the_first_twenty_and_the_count(self):
        self.pin()
        for number in range(100, 150):
            (self.rootfs / f"x{number}").touch()
        self.assertRefused(KEY, "extra /x100, ", "extra /x119, and 30 more, 50 in all")

    def test_it_comes_before_anything_is_made(self):
        self.pin()
        self.word.write_text("evil")
        self.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", f"echo {kind} >> {self.directory}/ran"]}]
                                for kind in ("prestart", "createRuntime", "createContainer", "poststop")}
        self.assertRefused(KEY)
        self.assertFalse((self.directory / "ran").exists())
        self.assertFails(self.run_container(), KEY)
        self.assertNothingLeft()

    def test_the_manifest_itself(self):
        self.pin()
        good = self.config["annotations"]["dev.nucleus.rootfs.manifest"]
        self.manifest.write_text(self.manifest.read_text() + "/zzz dir 0755 0:0\n")
        self.assertRefused(KEY, "pinned is")
        self.annotate("rootfs.manifest")
        self.assertRefused(KEY, "missing /zzz")
        self.manifest.write_text("nonsense\n")
        self.assertRefused(KEY, "rootfs.manifest: line 1:")
        self.manifest.unlink()
        self.annotate(good)
        self.assertRefused(KEY, "rootfs.manifest: no such file or directory")

    def test_without_a_digest_there_is_a_warning(self):
        self.pin()
        self.annotate("rootfs.manifest")
        result = self.run_container()
        self.assertOk(result)
        self.assertIn(f"{KEY}: rootfs.manifest: no digest is pinned; it is sha256:", result.err)

    def test_it_needs_a_mount_namespace(self):
        self.pin()
        self.without_namespace("mount")
        self.config["root"]["readonly"] = False
        self.config["mounts"], self.linux["maskedPaths"], self.linux["readonlyPaths"] = [], [], []
        self.assertRefused(KEY, "needs a mount namespace")

    def test_a_read_only_root_is_not_changed_for_a_mount(self):
        """Where a target is missing it would be made, and the next verification would find it."""
        self.pin()
        self.config["mounts"].append({"destination": "/srv/new", "type": "tmpfs", "source": "tmpfs"})
        self.assertRefused("/srv", "read-only file system")
        self.assertFalse((self.rootfs / "srv").exists())

    def test_what_is_mounted_below_it_stays_outside(self):
        """The host's mounts there were not described: neither is seen, and both are what lies under them."""
        self.pin()
        self.host_mount("bundle/rootfs/etc", "bind", type="none", source=self.other_tree() / "etc")
        self.assertEqual(self.output(), "good")


@unittest.skipUnless(HAS_SWITCH, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
class Swapped(Attested):
    """What is done to the path while create is under way: what runs is what was verified, or nothing."""

    # In the order in which create comes to them; the root is verified right after the first.
    BEFORE = "create.rootfs-verify"
    AFTER = ("create.state-dir", "create.config-copy", "create.start-socket", "create.clone")
    # The init builds its root meanwhile.
    WHILE = ("create.cgroup-make", "create.cgroup-attach", "create.save-state")

    def setUp(self):
        super().setUp()
        self.sh("exec sleep 1000")
        self.pin()
        self.other = self.other_tree()

    def rename(self):
        self.rootfs.rename(self.directory / "away")
        self.other.rename(self.rootfs)

    def link(self):
        self.rootfs.rename(self.directory / "away")
        self.rootfs.symlink_to(self.other)

    def mount(self, place="."):
        subprocess.run(["mount", "--bind", self.other / place, self.rootfs / place], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.rootfs / place], check=False, stderr=subprocess.DEVNULL)

    def back(self):
        subprocess.run(["umount", "-l", self.rootfs], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["umount", "-l", self.rootfs / "etc"], check=False, stderr=subprocess.DEVNULL)
        if (self.directory / "away").exists():
            if self.rootfs.is_symlink():
                self.rootfs.unlink()
            else:
                self.rootfs.rename(self.other)
            (self.directory / "away").rename(self.rootfs)

    def create_and(self, stage, swap):
        """Stops create at the stage, swaps, and lets it go on."""
        self.write()
        with open(self.directory / "err", "w+", encoding="utf-8") as err:
            process = subprocess.Popen([RUNTIME, "--root", self.root, "create", "--bundle", self.bundle, self.id],
                                       stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                                       env={**os.environ, "NUCLEUS_FAULT": f"stop:{stage}"})
            try:
                status = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
                err.seek(0)
                self.assertEqual(status.si_code, os.CLD_STOPPED, err.read())
                swap()
                process.send_signal(signal.SIGCONT)
                process.wait(TIMEOUT)
            finally:
                process.kill()
                process.wait()
            err.seek(0)
            return Result(process.args, process.returncode, "", err.read())

    def test_before_the_look(self):
        for swap in (self.rename, self.link, self.mount):
            with self.subTest(swap=swap.__name__):
                self.assertFails(self.create_and(self.BEFORE, swap), KEY, "different /etc/word: content differs")
                self.back()
                self.assertNothingLeft()

    def test_between_the_look_and_the_mount(self):
        for stage in self.AFTER:
            for swap in (self.rename, self.link, self.mount):
                with self.subTest(stage=stage, swap=swap.__name__):
                    self.assertFails(self.create_and(stage, swap), "root.path", "is not the directory any more that was verified")
                    self.back()
                    self.assertNothingLeft()

    def test_while_it_is_mounted(self):
        for stage in self.WHILE:
            for swap in (self.rename, self.link, self.mount):
                with self.subTest(stage=stage, swap=swap.__name__):
                    result = self.create_and(stage, swap)
                    if result.status == 0:
                        self.assertRuns()
                    elif f"open {self.rootfs}: no such file or directory" in result.err:
                        self.assertFails(result)  # the init does not stop: it came between the two steps of the swap
                    else:
                        self.assertFails(result, "root.path", "is not the directory any more that was verified")
                    self.back()
                    self.assertNothingLeft()

    def test_mounted_below_between_the_look_and_the_mount(self):
        for stage in self.AFTER + self.WHILE:
            with self.subTest(stage=stage):
                self.assertOk(self.create_and(stage, lambda: self.mount("etc")))
                self.assertRuns()
                self.back()

    def test_killed(self):
        for stage in (self.BEFORE, *self.AFTER, *self.WHILE):
            with self.subTest(stage=stage):
                result = self.create(env={**os.environ, "NUCLEUS_FAULT": f"kill:{stage}"})
                self.assertEqual(result.status, -signal.SIGKILL)
                self.assertOk(self.delete("--force"))
                self.assertNothingLeft()

    def test_by_hooks(self):
        """The root is mounted by then."""
        script = self.directory / "swap"
        for kind in ("prestart", "createRuntime"):
            for words in (f"mv {self.rootfs} {self.directory}/away && mv {self.other} {self.rootfs}",
                          f"mount --bind {self.other} {self.rootfs}", f"mount --bind {self.other}/etc {self.rootfs}/etc"):
                with self.subTest(hook=kind, words=words):
                    script.write_text(f"#!/bin/sh\n{words}\n")
                    script.chmod(0o755)
                    self.config["hooks"] = {kind: [{"path": str(script)}]}
                    self.assertOk(self.create())
                    self.back()
                    self.assertRuns()

    def test_between_create_and_start(self):
        for swap in (self.rename, self.link, self.mount, lambda: self.mount("etc")):
            self.assertOk(self.create())
            swap()
            self.assertRuns()
            self.back()


if __name__ == "__main__":
    main()
