"""`attest create` and `attest verify`: whatever is done to a tree is found, and named."""

import fcntl
import hashlib
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import unittest

from harness import IS_NUCLEUS, RUNTIME, Case, command, main, on_terminal, wait_until

HEADER = "nucleus-manifest 1\n"
ODD = b"a\nb \\ \xff\xc3\xa4"  # newline, space, backslash, invalid and valid UTF-8
ODD_ESCAPED = r"a\x0ab\x20\x5c\x20\xff\xc3\xa4"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@unittest.skipUnless(IS_NUCLEUS, "this runtime has no attest command")
class Attest(Case):
    def setUp(self):
        super().setUp()
        self.addCleanup(os.umask, os.umask(0o022))
        self.tree = self.directory / "tree"
        for name in ("bin", "etc", "dev"):
            (self.tree / name).mkdir(parents=True)
        self.file = self.tree / "bin/tool"
        self.file.write_bytes(b"#!/bin/sh\nexit 0\n")
        self.file.chmod(0o755)
        (self.tree / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
        (self.tree / "etc/empty").touch()
        (self.tree / "bin/link").symlink_to("tool")
        os.link(self.file, self.tree / "bin/same")
        os.mknod(self.tree / "dev/null", 0o666 | 0o020000, os.makedev(1, 3))
        os.mknod(self.tree / "dev/disk", 0o660 | 0o060000, os.makedev(8, 1))
        os.mkfifo(self.tree / "dev/fifo")
        self.manifest = self.directory / "manifest"

    def attest(self, *args, **keywords):
        return command([RUNTIME, "attest", *args], **keywords)

    def describe(self, *args):
        """Writes the manifest; its pin."""
        result = self.attest("create", "--output", self.manifest, *args, self.tree)
        self.assertOk(result)
        return result.out.rstrip("\n")

    def lines(self):
        return self.manifest.read_text("ascii").splitlines()

    def line(self, path):
        found = [line for line in self.lines() if line.startswith(path + " ")]
        self.assertEqual(len(found), 1, path)
        return found[0]

    def verify(self, *words, manifest=None):
        """The findings."""
        result = self.attest("verify", self.tree, manifest or self.manifest, *words)
        findings = result.out.splitlines()
        if findings:
            self.assertFails(result, "is not as")
        else:
            self.assertOk(result)
            self.assertEqual(result.err, "")
        return findings

    def assertFound(self, *findings):
        self.assertEqual(self.verify(), list(findings))


class Create(Attest):
    def test_the_manifest(self):
        pin = self.describe()
        data = self.manifest.read_bytes()
        self.assertEqual(pin, f"{self.manifest}@sha256:{sha256(data)}")
        tool, passwd = self.file.read_bytes(), (self.tree / "etc/passwd").read_bytes()
        self.assertEqual(data.decode("ascii"), HEADER + "".join(f"{line}\n" for line in (
            "/ dir 0755 0:0",
            "/bin dir 0755 0:0",
            "/bin/link link 0:0 tool",
            f"/bin/same file 0755 0:0 {len(tool)} {sha256(tool)}",
            "/bin/tool hardlink /bin/same",
            "/dev dir 0755 0:0",
            "/dev/disk block 0640 0:0 8:1",
            "/dev/fifo fifo 0644 0:0",
            "/dev/null char 0644 0:0 1:3",
            "/etc dir 0755 0:0",
            f"/etc/empty file 0644 0:0 0 {sha256(b'')}",
            f"/etc/passwd file 0644 0:0 {len(passwd)} {sha256(passwd)}",
        )))
        self.assertEqual(self.manifest.stat().st_mode & 0o7777, 0o644)
        self.assertEqual(sorted(os.listdir(self.directory)), ["bundle", "manifest", "tree"])
        self.assertEqual(self.verify(), [])
        self.assertEqual(self.verify(manifest=pin), [])

    def test_the_standard_output(self):
        self.describe()
        result = self.attest("create", self.tree)
        self.assertOk(result)
        self.assertEqual(result.out, self.manifest.read_text())
        self.assertEqual(result.err, f"sha256:{sha256(self.manifest.read_bytes())}\n")

    def test_owners_and_every_bit_of_the_mode(self):
        os.chown(self.tree / "etc/passwd", 4294967294, 12)
        (self.tree / "etc/passwd").chmod(0o7531)
        os.chown(self.tree / "bin/link", 7, 8, follow_symlinks=False)
        self.describe()
        self.assertIn("/etc/passwd file 7531 4294967294:12 ", self.line("/etc/passwd"))
        self.assertEqual(self.line("/bin/link"), "/bin/link link 7:8 tool")
        self.assertFound()

    def test_odd_names(self):
        tree = os.fsencode(self.tree)
        os.mkdir(tree + b"/" + ODD)
        os.symlink(ODD, tree + b"/" + ODD + b"/" + ODD)
        os.link(self.file, tree + b"/z" + ODD)
        self.describe()
        self.assertEqual(self.line(f"/{ODD_ESCAPED}/{ODD_ESCAPED}"),
                         f"/{ODD_ESCAPED}/{ODD_ESCAPED} link 0:0 {ODD_ESCAPED}")
        self.assertEqual(self.line(f"/z{ODD_ESCAPED}"), f"/z{ODD_ESCAPED} hardlink /bin/same")
        self.assertFound()

    def test_it_does_not_write_into_the_tree(self):
        for output in (self.tree / "manifest", self.tree / "etc/../bin/manifest"):
            self.assertFails(self.attest("create", "-o", output, self.tree), "inside of the tree")
        self.assertEqual(sorted(os.listdir(self.tree)), ["bin", "dev", "etc"])

    def test_a_mount_point_is_refused(self):
        self.host_mount("tree/mnt")
        self.assertFails(self.attest("create", self.tree), "/mnt: another filesystem is mounted here")

    def test_a_mount_of_the_same_filesystem_is_refused(self):
        self.host_mount("tree/mnt", "bind", type="none", source=self.tree / "etc")
        result = self.attest("create", "-o", self.manifest, self.tree)
        self.assertFails(result, "/mnt: another filesystem is mounted here")
        self.assertFalse(self.manifest.exists())

    def test_what_cannot_be_read_is_named(self):
        self.directory.chmod(0o755)
        (self.tree / "etc/passwd").chmod(0o600)
        result = self.attest("create", self.tree, user=1000, group=1000, extra_groups=[])
        self.assertFails(result, "/etc/passwd: permission denied")
        self.assertEqual(result.out, "")

    def test_usage(self):
        for args in ((), ("create",), ("verify", self.tree), ("check", self.tree), ("create", self.tree, "x"),
                     ("verify", self.tree, "m", "n"), ("create", "-o", "", self.tree), ("create", "--fast", self.tree),
                     ("verify", "-o", "x", self.tree, "m"), ("create", self.directory / "absent"), ("create", self.file)):
            with self.subTest(args=args):
                self.assertFails(self.attest(*args))


class Person(Attest):
    """What takes longer than a second says so on a terminal, and only there."""

    def test_progress(self):
        with open(self.tree / "large", "wb") as file:
            file.truncate(4 << 30)
        for words in (("create", "--output", self.manifest, self.tree), ("verify", self.tree, self.manifest)):
            with self.subTest(words=words):
                status, text = on_terminal([RUNTIME, "attest", *words])
                self.assertEqual(status, 0, text)
                self.assertRegex(text, "^\\r(describing|comparing) .*: 1 s\\x1b\\[K")
                self.assertTrue(text.endswith("\r\x1b[K"), text)
        status, text = on_terminal([RUNTIME, "attest", "verify", self.tree, self.manifest], env=os.environ | {"TERM": "dumb"})
        self.assertEqual((status, text), (0, ""))


class Verify(Attest):
    def setUp(self):
        super().setUp()
        self.describe()
        self.passwd = self.tree / "etc/passwd"

    def test_one_byte(self):
        before = self.passwd.stat()
        with open(self.passwd, "r+b") as file:
            file.write(b"R")
        os.utime(self.passwd, ns=(before.st_atime_ns, before.st_mtime_ns))
        self.assertFound("different /etc/passwd: content differs")

    def test_the_last_byte_of_a_large_file(self):
        large = self.tree / "large"
        with open(large, "wb") as file:
            file.truncate(5_000_001)
        self.describe()
        self.assertFound()
        with open(large, "r+b") as file:
            file.seek(5_000_000)
            file.write(b"x")
        self.assertFound("different /large: content differs")

    def test_size(self):
        with open(self.passwd, "ab") as file:
            file.write(b"x")
        self.assertFound("different /etc/passwd: size is 23, not 22")

    def test_mode(self):
        self.passwd.chmod(0o4644)
        (self.tree / "etc").chmod(0o1777)
        (self.tree / "dev/fifo").chmod(0o666)
        self.assertFound("different /dev/fifo: mode is 0666, not 0644", "different /etc: mode is 1777, not 0755",
                         "different /etc/passwd: mode is 4644, not 0644")

    def test_mode_of_the_root(self):
        self.tree.chmod(0o777)
        self.assertFound("different /: mode is 0777, not 0755")

    def test_owner(self):
        os.chown(self.passwd, 1000, 0)
        os.chown(self.tree / "bin/link", 0, 5, follow_symlinks=False)
        self.assertFound("different /bin/link: owner is 0:5, not 0:0", "different /etc/passwd: owner is 1000:0, not 0:0")

    def test_link(self):
        link = self.tree / "bin/link"
        link.unlink()
        link.symlink_to("/etc/pass wd")
        self.assertFound(r"different /bin/link: target is /etc/pass\x20wd, not tool")

    def test_extra(self):
        (self.tree / "etc/new").touch()
        (self.tree / "lib/deep").mkdir(parents=True)
        self.assertFound("extra /etc/new", "extra /lib")

    def test_missing(self):
        (self.tree / "etc/empty").unlink()
        shutil.rmtree(self.tree / "dev")
        self.assertFound("missing /dev", "missing /etc/empty")

    def test_hard_link_that_became_a_file(self):
        (self.tree / "bin/same").unlink()
        shutil.copy2(self.file, self.tree / "bin/same")
        self.assertFound("different /bin/tool: hard link of nothing, not of /bin/same")

    def test_file_that_became_a_hard_link(self):
        empty = self.tree / "etc/empty"
        (self.tree / "etc/other").touch()
        self.describe()
        (self.tree / "etc/other").unlink()
        os.link(empty, self.tree / "etc/other")
        self.assertFound("different /etc/other: hard link of /etc/empty, not of nothing")

    def test_hard_link_from_outside_of_the_tree(self):
        # Not the tree's business: a store that keeps equal files once has such links.
        os.link(self.passwd, self.directory / "outside")
        self.assertFound()

    def test_device(self):
        null, disk = self.tree / "dev/null", self.tree / "dev/disk"
        mode = null.stat().st_mode, disk.stat().st_mode
        null.unlink(), disk.unlink()
        os.mknod(null, mode[0], os.makedev(1, 5))
        os.mknod(disk, mode[1] & 0o777 | 0o020000, os.makedev(8, 1))
        self.assertFound("different /dev/disk: type is char, not block", "different /dev/null: device number is 1:5, not 1:3")

    def test_type(self):
        # Neither of them is opened: the fifo would wait for ever, and nobody serves that device.
        self.passwd.unlink()
        os.mkfifo(self.passwd)
        (self.tree / "etc/empty").unlink()
        os.mknod(self.tree / "etc/empty", 0o644 | 0o020000, os.makedev(4095, 1))
        shutil.move(self.tree / "bin", self.directory / "bin")
        (self.tree / "bin").symlink_to(self.directory / "bin")
        self.assertFound("different /bin: type is link, not dir", "different /etc/empty: type is char, not file",
                         "different /etc/passwd: type is fifo, not file")

    def test_odd_names(self):
        tree = os.fsencode(self.tree)
        with open(tree + b"/" + ODD, "wb") as file:
            file.write(b"1")
        os.mkdir(tree + b"/d" + ODD)
        self.describe()
        self.assertFound()
        with open(tree + b"/" + ODD, "wb") as file:
            file.write(b"2")
        os.rmdir(tree + b"/d" + ODD)
        os.mkdir(tree + b"/e" + ODD)
        self.assertFound(f"different /{ODD_ESCAPED}: content differs", f"missing /d{ODD_ESCAPED}", f"extra /e{ODD_ESCAPED}")

    def test_several_differences_of_one_entry(self):
        self.passwd.chmod(0o600)
        os.chown(self.passwd, 1, 2)
        with open(self.passwd, "r+b") as file:
            file.write(b"R")
        self.assertFound("different /etc/passwd: mode is 0600, not 0644; owner is 1:2, not 0:0; content differs")

    def test_twenty_are_listed_and_all_are_counted(self):
        for number in range(137):
            (self.tree / f"x{number:03}").touch()
        result = self.attest("verify", self.tree, self.manifest)
        self.assertFails(result, "differences: 137")
        self.assertEqual(result.out.splitlines(), [f"extra /x{number:03}" for number in range(20)] + ["and 117 more"])

    def test_a_mount_point_is_found(self):
        self.host_mount("tree/etc", "bind", type="none", source=self.tree / "etc")
        self.assertFound("different /etc: another filesystem is mounted here")

    def test_the_tree_may_be_a_mount(self):
        place = self.directory / "mount"
        self.host_mount("mount", "bind", type="none", source=self.tree)
        self.assertOk(self.attest("verify", place, self.manifest))

    def test_what_cannot_be_read_is_found(self):
        self.directory.chmod(0o755)
        self.passwd.chmod(0o600)
        self.describe()
        self.manifest.chmod(0o644)
        result = self.attest("verify", self.tree, self.manifest, user=1000, group=1000, extra_groups=[])
        self.assertFails(result, "differences: 1")
        self.assertEqual(result.out, "different /etc/passwd: permission denied\n")

    def test_the_pin(self):
        self.assertEqual(self.verify(manifest=f"{self.manifest}@sha256:{sha256(self.manifest.read_bytes())}"), [])
        wrong = sha256(b"another")
        result = self.attest("verify", self.tree, f"{self.manifest}@sha256:{wrong}")
        self.assertFails(result, "its digest is sha256:", f"not sha256:{wrong}")
        for digest in ("", wrong[1:], wrong.upper(), wrong + "0"):
            self.assertFails(self.attest("verify", self.tree, f"{self.manifest}@sha256:{digest}"), "64 of 0-9a-f")

    def test_bad_manifests(self):
        good = self.lines()
        bad = {
            "line 1: must be": ["nucleus-manifest 2", *good[1:]],
            "line 2: the first entry must be": [good[0], *good[2:]],
            "line 3: the path is there twice": [*good[:2], *good[1:]],
            "line 4: the paths are not sorted": [good[0], good[1], good[6], good[2]],
            "line 3: the directory that /bin/link is in is missing": [*good[:2], *good[3:]],
            "line 3: the path has a component": [*good[:2], "/../etc/shadow fifo 0600 0:0", *good[2:]],
            "line 3: the path does not begin": [*good[:2], "etc fifo 0600 0:0", *good[2:]],
            "line 3: unknown type": [*good[:2], "/a door 0600 0:0", *good[2:]],
        }
        for words, lines in bad.items():
            with self.subTest(words):
                self.manifest.write_text("".join(f"{line}\n" for line in lines))
                self.assertFails(self.attest("verify", self.tree, self.manifest), f"{self.manifest}: {words}")
        self.manifest.write_text("\n".join(good))
        self.assertFails(self.attest("verify", self.tree, self.manifest), f"line {len(good)}: the line has no end")


class Xattrs(Attest):
    def setUp(self):
        super().setUp()
        self.passwd = self.tree / "etc/passwd"
        os.setxattr(self.passwd, "user.short", b"\0\xff")
        os.setxattr(self.passwd, "user.long", b"x" * 65)
        os.setxattr(self.passwd, b"user.= \xff", b"")
        os.setxattr(self.tree / "etc", "trusted.dir", b"d")
        os.setxattr(self.tree / "bin/link", "trusted.link", b"l", follow_symlinks=False)
        os.setxattr(self.tree / "dev/null", "trusted.null", b"n")
        capability = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # cap_net_bind_service=ep
        os.setxattr(self.file, "security.capability", capability)
        self.capability = capability.hex()
        self.describe()

    def test_the_manifest(self):
        self.assertTrue(self.line("/etc/passwd").endswith(
            rf" xattr:user.=\x20\xff= xattr:user.long=sha256:{sha256(b'x' * 65)} xattr:user.short=00ff"))
        self.assertEqual(self.line("/etc"), "/etc dir 0755 0:0 xattr:trusted.dir=64")
        self.assertEqual(self.line("/bin/link"), "/bin/link link 0:0 tool xattr:trusted.link=6c")
        self.assertTrue(self.line("/dev/null").endswith(" 1:3 xattr:trusted.null=6e"))
        self.assertTrue(self.line("/bin/same").endswith(f" xattr:security.capability={self.capability}"))
        self.assertFound()

    def test_changed(self):
        os.setxattr(self.passwd, "user.short", b"\0\xfe")
        os.setxattr(self.passwd, "user.long", b"x" * 64 + b"y")
        self.assertFound("different /etc/passwd: xattr user.long differs; xattr user.short differs")

    def test_missing(self):
        os.removexattr(self.passwd, "user.short")
        os.removexattr(self.tree / "bin/link", "trusted.link", follow_symlinks=False)
        os.removexattr(self.tree / "etc", "trusted.dir")
        self.assertFound("different /bin/link: xattr trusted.link is missing", "different /etc: xattr trusted.dir is missing",
                         "different /etc/passwd: xattr user.short is missing")

    def test_extra(self):
        os.setxattr(self.passwd, b"user.n\n", b"")
        os.setxattr(self.tree / "dev/null", "trusted.overlay.opaque", b"y")
        self.assertFound("different /dev/null: xattr trusted.overlay.opaque is extra",
                         r"different /etc/passwd: xattr user.n\x0a is extra")

    def test_capability(self):
        os.setxattr(self.file, "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 21, 0, 0, 0))
        # Both names of the inode.
        self.assertFound("different /bin/same: xattr security.capability differs",
                         "different /bin/tool: xattr security.capability differs")


class Swapped(Attest):
    """A file that is exchanged while it is read. The file is large, and has holes alone; the reader is stopped meanwhile."""

    SIZE = 8 << 30

    def setUp(self):
        super().setUp()
        # On a tmpfs: /tmp's filesystem may have no room for what is written into a hole.
        self.place = self.host_mount("tmpfs", "size=64m")
        self.large = self.place / "tree/large"
        self.large.parent.mkdir()
        with open(self.large, "wb") as file:
            file.truncate(self.SIZE)
        self.manifest.write_text(HEADER + "/ dir 0755 0:0\n" + f"/large file 0644 0:0 {self.SIZE} {sha256(b'')}\n")

    def during(self, act, *args):
        """Calls `act` while attest is reading; how that ended."""
        with subprocess.Popen([RUNTIME, "attest", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                wait_until(lambda: self._reads(process.pid), "attest has the file open")
                process.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, process.pid, os.WSTOPPED)
                self.assertTrue(self._reads(process.pid), "it had ended before it was stopped")
                act()
                process.send_signal(signal.SIGCONT)
                out, err = process.communicate()
            finally:
                process.kill()
        return process.returncode, out, err

    def _reads(self, pid):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                flags = pathlib.Path(f"/proc/{pid}/fdinfo/{fd}").read_text().split("flags:")[1].split()[0]
                if os.readlink(f"/proc/{pid}/fd/{fd}") == str(self.large) and not int(flags, 8) & 0o10000000:  # O_PATH
                    return True
            except FileNotFoundError:
                pass
        return False

    def rename_over(self):
        other = self.place / "other"
        with open(other, "wb") as file:
            file.truncate(self.SIZE)
        other.rename(self.large)

    def remove(self):
        self.large.unlink()

    def grow(self):
        with open(self.large, "r+b") as file:
            file.truncate(self.SIZE + 1)

    def shrink(self):
        with open(self.large, "r+b") as file:
            file.truncate(self.SIZE - 1)

    def write(self):
        with open(self.large, "r+b") as file:
            file.write(b"x")

    def chmod(self):
        self.large.chmod(0o600)

    def test_create(self):
        for act in (self.rename_over, self.grow, self.shrink, self.write, self.chmod, self.remove):
            with self.subTest(act=act.__name__):
                with open(self.large, "wb") as file:
                    file.truncate(self.SIZE)
                self.large.chmod(0o644)
                status, out, err = self.during(act, "create", self.large.parent)
                self.assertEqual((status, out), (1, ""), err)
                self.assertIn("/large: changed while it was read", err)

    def test_verify(self):
        for act in (self.rename_over, self.grow, self.shrink, self.write, self.chmod, self.remove):
            with self.subTest(act=act.__name__):
                with open(self.large, "wb") as file:
                    file.truncate(self.SIZE)
                self.large.chmod(0o644)
                status, out, err = self.during(act, "verify", self.large.parent, self.manifest)
                self.assertEqual((status, out), (1, "different /large: changed while it was read\n"), err)


class Verity(Attest):
    """fs-verity on an ext4 of the test's own."""

    FS_IOC_ENABLE_VERITY = 0x40806685

    def setUp(self):
        super().setUp()
        image = self.directory / "image"
        with open(image, "wb") as file:
            file.truncate(16 << 20)
        made = command(["mkfs.ext4", "-q", "-b", "4096", "-O", "verity", image])
        if made.status != 0:
            self.skipTest(f"mkfs.ext4 -O verity: {made.err}")
        mounted = command(["mount", "-o", "loop", image, self.tree])
        if mounted.status != 0:
            self.skipTest(f"no ext4 with verity here: {mounted.err}")
        self.addCleanup(subprocess.run, ["umount", "-l", self.tree], check=False)
        (self.tree / "lost+found").rmdir()
        self.content = b"measured"
        (self.tree / "file").write_bytes(self.content)
        argument = struct.pack("<IIIIQIIQ11Q", 1, 1, 4096, 0, 0, 0, 0, 0, *[0] * 11)
        file = os.open(self.tree / "file", os.O_RDONLY)
        try:
            fcntl.ioctl(file, self.FS_IOC_ENABLE_VERITY, argument)
        except OSError as error:
            self.skipTest(f"no fs-verity in this kernel: {error.strerror}")
        finally:
            os.close(file)
        # Documentation/filesystems/fsverity.rst, "File digest computation", for a file of one block.
        root = hashlib.sha256(self.content.ljust(4096, b"\0")).digest()
        self.measured = sha256(struct.pack("<BBBBIQ64s32s144s", 1, 1, 12, 0, 0, len(self.content), root, b"", b""))
        self.describe()

    def with_digests(self, content, verity):
        line = f"/file file 0644 0:0 {len(self.content)} {content}" + (f" verity=sha256:{verity}" if verity else "")
        self.manifest.write_text(HEADER + f"/ dir 0755 0:0\n{line}\n")
        return self.verify()

    def test_the_manifest_carries_the_digest(self):
        self.assertEqual(self.line("/file"), f"/file file 0644 0:0 8 {sha256(self.content)} verity=sha256:{self.measured}")
        self.assertFound()

    def test_it_answers_in_place_of_a_read(self):
        right, wrong = sha256(self.content), sha256(b"wrong")
        self.assertEqual(self.with_digests(wrong, self.measured), [])
        # Nothing else does: another digest, or none, and the file is read.
        self.assertEqual(self.with_digests(right, wrong), [])
        self.assertEqual(self.with_digests(right, None), [])
        self.assertEqual(self.with_digests(wrong, wrong), ["different /file: content differs"])
        self.assertEqual(self.with_digests(wrong, None), ["different /file: content differs"])

    def test_a_copy_without_verity_is_read(self):
        (self.tree / "file").unlink()
        (self.tree / "file").write_bytes(self.content)
        self.assertFound()
        (self.tree / "file").write_bytes(b"MEASURED")
        self.assertFound("different /file: content differs")


if __name__ == "__main__":
    main()
