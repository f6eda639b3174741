"""dev.nucleus.rootfs.mode: a root that is copied into a tmpfs, or an overlay; and dev.nucleus.require.lockdown."""

import errno
import hashlib
import json
import os
import pathlib
import unittest

from harness import IS_NUCLEUS, RUNTIME, Case, command, main

STAGES = command([RUNTIME, "list"], env={**os.environ, "NUCLEUS_FAULT": "list"}).out.split()
LIMIT = 64 << 20


def tree(path):
    """All of it: names, kinds, modes, owners, contents, link counts."""
    found = {}
    for directory, names, files in os.walk(path):
        for name in [".", *names, *files]:
            place = pathlib.Path(directory, name)
            status = place.lstat()
            content = place.read_bytes() if place.is_file() and not place.is_symlink() else os.readlink(place) if place.is_symlink() else ""
            found[str(place.relative_to(path))] = (status.st_mode, status.st_uid, status.st_gid, status.st_nlink, content)
    return found


@unittest.skipUnless(IS_NUCLEUS, "an annotation of nucleus")
class OwnRoot(Case):
    MODE = None
    USER_NAMESPACE = False

    def setUp(self):
        super().setUp()
        if self.MODE is None:
            self.skipTest("the others are this one with a mode")
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        (self.rootfs / "data").mkdir()
        (self.rootfs / "data/one").write_text("one\n")
        os.link(self.rootfs / "data/one", self.rootfs / "data/other")
        (self.rootfs / "data/set").write_text("x")
        (self.rootfs / "data/set").chmod(0o4711)
        os.mkfifo(self.rootfs / "data/fifo", 0o640)
        (self.rootfs / "data/link").symlink_to("one")
        (self.rootfs / "old/below").mkdir(parents=True)
        self.config["annotations"] = {"dev.nucleus.rootfs.mode": self.MODE}
        self.config["root"]["readonly"] = False
        self.linux["resources"]["memory"] = {"limit": LIMIT}
        if self.USER_NAMESPACE:
            self.linux["namespaces"].append({"type": "user"})
            for name in ("uidMappings", "gidMappings"):
                self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
            for directory, names, files in os.walk(self.rootfs):
                for name in [".", *names, *files]:
                    mode = os.lstat(os.path.join(directory, name)).st_mode & 0o7777
                    os.lchown(os.path.join(directory, name), 100000, 100000)
                    if not os.path.islink(os.path.join(directory, name)):
                        os.chmod(os.path.join(directory, name), mode)
        self.before = tree(self.rootfs)

    def assertUntouched(self):
        self.assertEqual(tree(self.rootfs), self.before)


class Both:
    def test_writes_stay_in_the_container(self):
        out = self.output("echo two >/data/one; rm -r /old; mkdir /old; echo new >/old/new; ln -s x /l; cat /data/one /old/new; ls -a /old")
        self.assertEqual(out, "two\nnew\n.\n..\nnew\n")
        self.assertUntouched()

    def test_the_next_container_sees_nothing_of_it(self):
        self.assertEqual(self.output("echo two >/data/one; cat /data/one"), "two\n")
        self.assertEqual(self.output("cat /data/one"), "one\n")

    def test_places_for_mounts_are_not_made_in_the_bundle(self):
        self.config["mounts"].append({"destination": "/made/here", "type": "tmpfs", "source": "tmpfs"})
        self.assertEqual(self.output("ls -d /made/here"), "/made/here\n")
        self.assertUntouched()

    def test_what_was_there_is_there(self):
        out = self.output("stat -c '%a %u %g %F' /data/set /data/fifo /data; readlink /data/link; stat -c %a /")
        owner = "0 0"
        self.assertEqual(out, f"4711 {owner} regular file\n640 {owner} fifo\n755 {owner} directory\none\n755\n")

    def test_read_only(self):
        self.config["root"]["readonly"] = True
        out = self.output("echo two >/data/one; touch /x; cat /data/one; true")
        self.assertEqual(out, "one\n")
        self.assertUntouched()

    def test_it_has_a_bound(self):
        blocks, size = map(int, self.output("stat -f -c '%b %S' /").split())
        self.assertEqual(blocks * size, LIMIT)
        del self.linux["resources"]["memory"]
        blocks, size = map(int, self.output("stat -f -c '%b %S' /").split())
        self.assertLess(blocks * size, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))

    def test_exec_is_in_the_same_root(self):
        self.running("echo here >/mark; exec sleep 1000")
        self.assertEqual(self.exec("/bin/cat", "/mark").out, "here\n")

    def test_nothing_of_the_layers_can_be_seen(self):
        out = self.output("cat /proc/self/mountinfo")
        roots = [line.split() for line in out.splitlines() if line.split()[4] == "/"]
        self.assertEqual(len(roots), 1, out)
        self.assertEqual(roots[0][roots[0].index("-") + 1], {"copy": "tmpfs", "overlay": "overlay"}[self.MODE])

    def test_what_the_hosts_mount_forbids_stays_forbidden(self):
        self.host_mount("forbidding", "nosuid", "nodev")
        # As restrictive as what the bundle lies on.
        command(["cp", "-a", self.rootfs, self.directory / "forbidding/rootfs"])
        self.config["root"]["path"] = str(self.directory / "forbidding/rootfs")
        flags = self.output("cat /proc/self/mountinfo").split("\n")[0].split()[5].split(",")
        self.assertIn("nosuid", flags)
        self.assertIn("nodev", flags)

    def test_with_a_mode_and_its_audit(self):
        self.config["annotations"]["dev.nucleus.mode"] = "strict-agent" if self.USER_NAMESPACE else "agent"
        self.assertEqual(self.output("echo two >/data/one; cat /data/one"), "two\n")
        self.assertUntouched()

    def manifest(self):
        file = self.bundle / "rootfs.manifest"
        self.assertOk(command([RUNTIME, "attest", "create", "-o", file, self.rootfs]))
        self.config["annotations"]["dev.nucleus.rootfs.manifest"] = \
            f"rootfs.manifest@sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"

    def test_attested(self):
        self.manifest()
        self.assertEqual(self.output("echo two >/data/one; cat /data/one"), "two\n")
        self.assertUntouched()

    def test_tampered_with(self):
        self.manifest()
        (self.rootfs / "data/one").write_text("eno\n")
        self.assertRefused("data/one")

    def test_without_a_mount_namespace(self):
        self.linux["namespaces"] = [entry for entry in self.linux["namespaces"] if entry["type"] != "mount"]
        self.config["mounts"] = []
        self.linux["maskedPaths"] = self.linux["readonlyPaths"] = []
        self.assertRefused("dev.nucleus.rootfs.mode", "needs a mount namespace")

    @unittest.skipUnless("root.copy" in STAGES, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
    def test_fault(self):
        result = self.create(env={**os.environ, "NUCLEUS_FAULT": f"root.{self.MODE}"})
        self.assertFails(result, f"injected fault at root.{self.MODE}")
        self.assertNothingLeft()
        self.assertUntouched()

    def test_explain(self):
        self.write()
        root = json.loads(command([RUNTIME, "explain", "--json", self.bundle]).out)["root"]
        self.assertEqual((root["mode"], root["tmpfs-size"]), (self.MODE, str(LIMIT)))


class Copying:
    MODE = "copy"

    def test_hard_links(self):
        first, second = self.output("stat -c '%h %i' /data/one /data/other").splitlines()
        self.assertEqual(first, second)
        self.assertTrue(first.startswith("2 "))

    def test_too_large(self):
        self.linux["resources"]["memory"] = {"limit": 8 << 20}
        with open(self.rootfs / "data/large", "wb") as file:
            file.write(b"x" * (9 << 20))
        self.assertRefused("data/large", os.strerror(errno.ENOSPC).lower())
        self.assertNothingLeft()

    def test_depth(self):
        deep = self.rootfs
        for _ in range(260):
            deep = deep / "d"
        deep.mkdir(parents=True)
        self.assertRefused("root.path: copy")


class Copy(Copying, Both, OwnRoot):
    pass


class CopyInUserNamespace(Copying, Both, OwnRoot):
    USER_NAMESPACE = True


class Overlay(Both, OwnRoot):
    MODE = "overlay"


class OverlayInUserNamespace(Both, OwnRoot):
    MODE = "overlay"
    USER_NAMESPACE = True


@unittest.skipUnless(IS_NUCLEUS, "an annotation of nucleus")
class Lockdown(Case):
    def test_required(self):
        try:
            words = pathlib.Path("/sys/kernel/security/lockdown").read_text()
            found = words[words.index("[") + 1:words.index("]")]
        except OSError:
            found = "not known"
        order = ["none", "integrity", "confidentiality"]
        for wanted in order[1:]:
            with self.subTest(wanted):
                self.config["annotations"] = {"dev.nucleus.require.lockdown": wanted}
                if found in order and order.index(found) >= order.index(wanted):
                    self.assertOk(self.run_container())
                else:
                    self.assertRefused("dev.nucleus.require.lockdown", f"{wanted} is required", found)


if __name__ == "__main__":
    main()
