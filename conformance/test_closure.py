"""dev.nucleus.rootfs.closure: a root filesystem of links, and what they lead to bound read-only where it lies on the host;
dev.nucleus.credentials: what systemd gives to a service, in the container's memory."""

import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import unittest

from harness import IS_NUCLEUS, RUNTIME, TIMEOUT, Case, Result, command, main
from test_faults import HAS_SWITCH

LIST = 'annotations["dev.nucleus.rootfs.closure"]'
MANIFEST = 'annotations["dev.nucleus.rootfs.manifest"]'
CREDENTIALS = 'annotations["dev.nucleus.credentials"]'


class Mapped(Case):
    def map_ids(self):
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]


@unittest.skipUnless(IS_NUCLEUS, "annotations of nucleus")
class Closure(Mapped):
    def setUp(self):
        super().setUp()
        self.config["root"]["readonly"] = True
        self.config["annotations"] = {}
        self.store = self.directory / "store"
        (self.store / "a-tool/bin").mkdir(parents=True)
        shutil.copy2("/bin/busybox", self.store / "a-tool/bin/busybox")
        (self.store / "a-tool/bin/say").symlink_to("busybox")
        (self.store / "a-tool/word").write_text("good")
        (self.store / "b-file").write_text("a file")
        (self.store / "c-outside").mkdir()
        (self.store / "c-outside/secret").write_text("secret")
        self.closure = self.bundle / "closure"
        self.paths = [self.store / "a-tool", self.store / "b-file"]
        self.place("a-tool").mkdir(parents=True)
        self.place("b-file").touch()
        (self.rootfs / "word").symlink_to(self.store / "a-tool/word")
        self.list()
        self.sh("cat /word")

    def place(self, name):
        return self.rootfs / str(self.store / name)[1:]

    def list(self):
        self.closure.write_text("".join(f"{path}\n" for path in self.paths))
        self.config["annotations"]["dev.nucleus.rootfs.closure"] = self.pinned(self.closure)

    @staticmethod
    def pinned(path):
        return f"{path.name}@sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"

    def attest(self, *flags):
        manifest = self.bundle / "rootfs.manifest"
        self.assertOk(command([RUNTIME, "attest", "create", *flags, "--closure", self.closure, "-o", manifest, self.rootfs]))
        self.config["annotations"]["dev.nucleus.rootfs.manifest"] = self.pinned(manifest)
        return manifest


class Bound(Closure):
    def test_what_is_listed_is_there_and_nothing_else(self):
        self.assertEqual(self.output(f"ls {self.store}; cat /word {self.store}/b-file"), "a-tool\nb-file\ngooda file")
        self.assertFails(self.run_container(), status=0)
        self.sh(f"cat {self.store}/c-outside/secret")
        self.assertFails(self.run_container(), "No such file", status=1)

    def test_flags(self):
        mounts = self.mounts()
        for path in self.paths:
            self.assertLessEqual({"ro", "nosuid", "nodev"}, mounts[str(path)].options)

    def test_with_a_user_namespace(self):
        self.map_ids()
        self.attest()
        self.assertEqual(self.output(), "good")

    def test_root_of_its_own(self):
        self.attest()
        for mode in ("copy", "overlay"):
            with self.subTest(mode=mode):
                self.config["annotations"]["dev.nucleus.rootfs.mode"] = mode
                self.assertEqual(self.output(), "good")

    def test_the_list(self):
        self.paths.reverse()
        self.list()
        self.assertRefused(LIST, "closure: line 2: the paths are not sorted")
        self.paths = [self.store / "a-tool", self.store / "a-tool/bin"]
        self.list()
        self.assertRefused(LIST, "line 2: the path lies in")
        self.closure.write_text("/\n")
        self.assertRefused(LIST, "pinned is")
        self.config["annotations"]["dev.nucleus.rootfs.closure"] = "closure"
        self.assertRefused(LIST, "line 1: must be an absolute path")

    def test_without_a_digest_there_is_a_warning(self):
        self.config["annotations"]["dev.nucleus.rootfs.closure"] = "closure"
        result = self.run_container()
        self.assertOk(result)
        self.assertIn(f"{LIST}: closure: no digest is pinned", result.err)

    def test_what_cannot_be_bound(self):
        link = self.store / "b-file"
        link.unlink()
        self.assertRefused(LIST, "b-file", "no such file or directory")
        link.symlink_to("a-tool")
        self.assertRefused(LIST, "b-file", "neither a directory nor a file")

    def test_a_mount_that_it_would_hide(self):
        self.config["mounts"].append({"destination": f"{self.store}/a-tool/bin", "type": "tmpfs", "source": "tmpfs"})
        self.assertRefused("mounts[6].destination", "lies in", "of the closure")

    def test_it_needs_a_mount_namespace(self):
        self.without_namespace("mount")
        self.config["root"]["readonly"] = False
        self.config["mounts"], self.linux["maskedPaths"], self.linux["readonlyPaths"] = [], [], []
        self.assertRefused(LIST, "needs a new mount namespace")


class Attested(Closure):
    def test_each_difference(self):
        tool, word = self.store / "a-tool/bin/busybox", self.store / "a-tool/word"
        original = tool.read_bytes()
        word.chmod(0o444)
        self.attest()
        cases = {
            f"different {tool}: content differs": (
                lambda: tool.write_bytes(original[:5000] + bytes([original[5000] ^ 1]) + original[5001:]),
                lambda: tool.write_bytes(original)),
            f"different {word}: mode is 0555, not 0444": (lambda: word.chmod(0o555), lambda: word.chmod(0o444)),
            f"different {self.store}/a-tool/bin/say: target is /bin/sh, not busybox": (
                lambda: ((self.store / "a-tool/bin/say").unlink(), (self.store / "a-tool/bin/say").symlink_to("/bin/sh")),
                lambda: ((self.store / "a-tool/bin/say").unlink(), (self.store / "a-tool/bin/say").symlink_to("busybox"))),
            f"extra {self.store}/a-tool/new": ((self.store / "a-tool/new").touch, (self.store / "a-tool/new").unlink),
        }
        for words, change in cases.items():
            with self.subTest(words=words):
                change[0]()
                self.assertRefused(MANIFEST, words, "1 in all")
                change[1]()
        (self.store / "b-file").write_text("A file")
        self.assertRefused(MANIFEST, f"different {self.store}/b-file: content differs", "1 in all")
        (self.store / "b-file").write_text("a file")
        self.assertEqual(self.output(), "good")

    def test_another_list_than_the_manifest_tells_of(self):
        self.attest()
        self.place("c-outside").mkdir()
        self.paths.append(self.store / "c-outside")
        self.list()
        self.assertRefused(MANIFEST, f"{self.store}/c-outside is in the closure, and not in the manifest")
        self.place("c-outside").rmdir()
        self.paths = self.paths[:1]
        self.list()
        self.assertRefused(MANIFEST, f"different {self.store}/b-file")

    def test_the_place_of_a_mount(self):
        """A link there would have the closure mounted somewhere else, over what the manifest knows as something else."""
        self.attest()
        place = self.place("a-tool")
        place.rmdir()
        for make, words in ((lambda: place.symlink_to("/bin"), "its place is a link, and what is to be there a dir"),
                            (place.touch, "its place is a file, and what is to be there a dir"),
                            (lambda: None, f"missing {self.store}/a-tool")):
            make()
            with self.subTest(words=words):
                self.assertRefused(MANIFEST, words)
            place.unlink(missing_ok=True)

    def test_a_place_that_is_not_there(self):
        self.place("b-file").unlink()
        self.assertFails(command([RUNTIME, "attest", "create", "--closure", self.closure, self.rootfs]),
                         "b-file: has no place in the tree")

    def test_a_store_owns_its_files_and_links_them_as_it_likes(self):
        word = self.store / "a-tool/word"
        other = self.store / "a-tool/other"
        shutil.copy2(word, other)
        os.chown(other, 7, 7)
        manifest = self.attest("--store")
        lines = manifest.read_text().splitlines()
        self.assertEqual(lines[0], "nucleus-manifest 1 store")
        self.assertTrue(all(" 0:0" in line for line in lines[1:]), lines)
        self.assertRefused(MANIFEST, f"different {other}: owner is 7:7, not 0:0")
        other.unlink()
        other.hardlink_to(word)
        self.assertEqual(self.output(), "good")
        self.assertOk(command([RUNTIME, "attest", "verify", "--closure", self.closure, self.rootfs, manifest]))
        # Without --store they are told, and have to be as they were.
        self.attest()
        self.assertEqual(self.output(), "good")
        other.unlink()
        shutil.copy2(word, other)
        self.assertRefused(MANIFEST, "hard link of nothing, not of")
        manifest.write_text(f"nucleus-manifest 1 store\n/ dir 0755 0:0\n/a file 0644 0:0 0 {hashlib.sha256(b'').hexdigest()}\n/b hardlink /a\n")
        self.assertFails(command([RUNTIME, "attest", "verify", self.rootfs, manifest]), "line 4: a hard link")


@unittest.skipUnless(HAS_SWITCH, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
class Swapped(Closure):
    def test_what_was_verified_is_what_is_bound(self):
        self.attest()
        self.sh("exec sleep 1000")
        other = self.directory / "other"
        shutil.copytree(self.store / "a-tool", other, symlinks=True)
        (other / "word").write_text("evil")
        self.write()
        for stage in ("create.state-dir", "create.clone", "create.save-state"):
            with self.subTest(stage=stage):
                with open(self.directory / "err", "w+", encoding="utf-8") as err:
                    process = subprocess.Popen([RUNTIME, "--root", self.root, "create", "--bundle", self.bundle, self.id],
                                               stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                                               env={**os.environ, "NUCLEUS_FAULT": f"stop:{stage}"})
                    status = os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
                    err.seek(0)
                    self.assertEqual(status.si_code, os.CLD_STOPPED, err.read())
                    (self.store / "a-tool").rename(self.directory / "away")
                    other.rename(self.store / "a-tool")
                    process.send_signal(signal.SIGCONT)
                    process.wait(TIMEOUT)
                    err.seek(0)
                    self.assertOk(Result(process.args, process.returncode, "", err.read()))
                self.assertOk(self.start())
                self.assertEqual(self.exec("/bin/cat", "/word").out, "good")
                self.assertOk(self.delete("--force"))
                (self.store / "a-tool").rename(other)
                (self.directory / "away").rename(self.store / "a-tool")


@unittest.skipUnless(IS_NUCLEUS, "annotations of nucleus")
class Credentials(Mapped):
    PLACE = "/run/credentials"

    def setUp(self):
        super().setUp()
        (self.rootfs / "run/credentials").mkdir(parents=True)
        self.given = self.directory / "given"
        self.given.mkdir(mode=0o500)
        (self.given / "token").write_text("s3cret")
        (self.given / "token").chmod(0o400)
        self.config["annotations"] = {"dev.nucleus.credentials": self.PLACE}
        self.environment = {**os.environ, "CREDENTIALS_DIRECTORY": str(self.given)}

    def runtime(self, *args, **keywords):
        keywords.setdefault("env", self.environment)
        return super().runtime(*args, **keywords)

    def test_they_are_the_process_s_alone(self):
        self.map_ids()
        self.given.chmod(0o700)
        (self.given / "key").write_bytes(bytes(range(256)))
        for uid in (0, 1000):
            with self.subTest(uid=uid):
                self.process["user"] = {"uid": uid, "gid": uid}
                out = self.output('stat -c "%a %u:%g" $CREDENTIALS_DIRECTORY $CREDENTIALS_DIRECTORY/*; '
                                  'cat $CREDENTIALS_DIRECTORY/token; wc -c < $CREDENTIALS_DIRECTORY/key; echo $CREDENTIALS_DIRECTORY')
                owner = f"{uid}:{uid}"
                self.assertEqual(out, f"500 {owner}\n400 {owner}\n400 {owner}\ns3cret256\n{self.PLACE}\n")

    def test_the_mount(self):
        mount = self.mounts()[self.PLACE]
        self.assertEqual(mount.type, "ramfs")
        self.assertLessEqual({"ro", "nosuid", "nodev", "noexec"}, mount.options)
        self.assertNotIn(str(self.given), pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
        self.sh(f"touch {self.PLACE}/new")
        self.assertFails(self.run_container(), "Read-only file system", status=1)

    def test_not_for_whoever_did_not_ask(self):
        self.config["annotations"] = {}
        self.assertEqual(self.output("echo [$CREDENTIALS_DIRECTORY]; ls /run/credentials"), "[]\n")

    def test_asked_for_and_not_given(self):
        del self.environment["CREDENTIALS_DIRECTORY"]
        self.assertRefused(CREDENTIALS, "CREDENTIALS_DIRECTORY is not set")
        self.environment["CREDENTIALS_DIRECTORY"] = str(self.directory / "nowhere")
        self.assertRefused(CREDENTIALS, "nowhere", "no such file or directory")

    def test_what_is_no_credential(self):
        odd = self.given / "odd"
        for make, words in ((lambda: odd.symlink_to("/etc/shadow"), "odd: not a regular file"),
                            (lambda: os.mkfifo(odd), "odd: not a regular file"),
                            (lambda: odd.write_bytes(bytes((1 << 20) + 1)), "odd")):
            make()
            with self.subTest(words=words):
                self.assertRefused(CREDENTIALS, words)
            odd.unlink()

    def test_malformed(self):
        for value in ("run", "/", "/run/", "/run/../etc", "/run//x", ""):
            with self.subTest(value=value):
                self.config["annotations"]["dev.nucleus.credentials"] = value
                self.assertRefused(CREDENTIALS, "must be an absolute path in the container")

    @unittest.skipUnless(HAS_SWITCH, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
    def test_fault(self):
        self.assertFails(self.create(env={**self.environment, "NUCLEUS_FAULT": "create.credentials"}), CREDENTIALS, "input/output error")
        self.assertNothingLeft()


if __name__ == "__main__":
    main()
