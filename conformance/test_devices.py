"""/dev of the container: default nodes and links, `linux.devices`, and the device rules that the cgroup enforces."""

import json
import os
import stat

from harness import Case, main, rule

DEFAULTS = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}


class Devices(Case):
    def node(self, path):
        return self.probe("stat", path)

    def device(self, type, path, major=None, minor=None, **more):
        entry = {"type": type, "path": path, **more}
        if major is not None:
            entry.update(major=major, minor=minor)
        self.linux.setdefault("devices", []).append(entry)

    def without_dev(self):
        """/dev is a directory of the image: nothing is mounted on it."""
        self.config["mounts"] = [m for m in self.config["mounts"] if not m["destination"].startswith("/dev")]


class Defaults(Devices):
    @rule("MUST", "config-linux.md#default-devices", "null zero full random urandom tty ptmx, console with a terminal")
    def test_nodes(self):
        script = "for d in null zero full random urandom tty; do stat -c '%n %F %t:%T %a %u:%g' /dev/$d; done"
        for line, (name, (major, minor)) in zip(self.output(script).splitlines(), DEFAULTS.items(), strict=True):
            self.assertEqual(line, f"/dev/{name} character special file {major:x}:{minor:x} 666 0:0")

    @rule("MUST", "config-linux.md#default-devices", "null zero full random urandom tty ptmx, console with a terminal")
    def test_they_work(self):
        out = self.output("head -c 4 /dev/zero | od -An -tx1; echo x > /dev/null; cat /dev/null; "
                          "head -c 8 /dev/urandom | wc -c; head -c 8 /dev/random | wc -c; "
                          "{ echo x > /dev/full; } 2>&1; true")
        self.assertEqual(out.split()[:6], ["00", "00", "00", "00", "8", "8"])
        self.assertIn("No space left", out)

    @rule("MUST", "runtime-linux.md#dev-symbolic-links", "/dev/fd, stdin, stdout, stderr, where /proc is mounted")
    def test_links(self):
        out = self.output("cd /dev; for l in fd stdin stdout stderr ptmx; do echo $l $(readlink $l); done")
        self.assertEqual(out.splitlines(), ["fd /proc/self/fd", "stdin /proc/self/fd/0", "stdout /proc/self/fd/1",
                                            "stderr /proc/self/fd/2", "ptmx pts/ptmx"])

    @rule("MUST", "runtime-linux.md#dev-symbolic-links", "/dev/fd, stdin, stdout, stderr, where /proc is mounted")
    def test_no_links_without_proc(self):
        self.config["mounts"] = [m for m in self.config["mounts"] if m["destination"] != "/proc"]
        self.linux["maskedPaths"] = self.linux["readonlyPaths"] = []
        self.assertEqual(self.output("ls -d /dev/fd /dev/stdin /dev/stdout /dev/stderr 2>/dev/null | wc -l"), "0\n")

    def test_on_the_images_own_directory(self):
        self.without_dev()
        self.assertEqual(self.node("/dev/null")["minor"], 3)
        self.assertTrue(stat.S_ISCHR((self.rootfs / "dev/null").lstat().st_mode))

    def test_image_that_has_them_already(self):
        self.without_dev()
        os.mknod(self.rootfs / "dev/null", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        (self.rootfs / "dev/fd").symlink_to("/proc/self/fd")
        got = self.node("/dev/null")
        self.assertEqual((got["major"], got["minor"]), (1, 3))

    def test_image_with_something_else_in_place(self):
        self.without_dev()
        (self.rootfs / "dev/null").write_text("not a device")
        self.assertRefused("/dev/null")
        self.assertEqual((self.rootfs / "dev/null").read_text(), "not a device")

    def test_image_with_another_device_in_place(self):
        self.without_dev()
        os.mknod(self.rootfs / "dev/zero", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        self.assertRefused("/dev/zero")

    def test_bound_dev_is_left_alone(self):
        (self.bundle / "dev").mkdir()
        self.config["mounts"] = [m for m in self.config["mounts"] if not m["destination"].startswith("/dev")]
        self.config["mounts"].append({"destination": "/dev", "type": "bind", "source": "dev", "options": ["bind"]})
        self.assertEqual(self.output("ls -A /dev"), "")
        self.assertEqual(os.listdir(self.bundle / "dev"), [])

    @rule("MUST", "config-linux.md#default-devices", "null zero full random urandom tty ptmx, console with a terminal")
    def test_console_only_with_a_terminal(self):
        self.assertEqual(self.output("test -e /dev/console && echo there || echo none"), "none\n")

    @rule("MUST", "config-linux.md#default-devices", "null zero full random urandom tty ptmx, console with a terminal")
    def test_pseudo_terminals_work(self):
        self.assertEqual(self.probe("open", "/dev/ptmx", "rdwr")["errno"], "")


class Listed(Devices):
    @rule("MUST", "config-linux.md#devices", "c u b p: made with number, mode and owner")
    def test_character(self):
        self.device("c", "/dev/mine", 1, 5, fileMode=0o640, uid=7, gid=8)
        got = self.node("/dev/mine")
        self.assertTrue(stat.S_ISCHR(got["mode"]))
        self.assertEqual((got["major"], got["minor"], got["uid"], got["gid"], got["mode"] & 0o7777),
                         (1, 5, 7, 8, 0o640))

    @rule("MUST", "config-linux.md#devices", "c u b p: made with number, mode and owner")
    def test_unbuffered_character(self):
        self.device("u", "/dev/mine", 1, 5)
        self.assertTrue(stat.S_ISCHR(self.node("/dev/mine")["mode"]))

    @rule("MUST", "config-linux.md#devices", "c u b p: made with number, mode and owner")
    def test_block(self):
        self.device("b", "/dev/disk", 7, 200, fileMode=0o600)
        got = self.node("/dev/disk")
        self.assertTrue(stat.S_ISBLK(got["mode"]))
        self.assertEqual((got["major"], got["minor"]), (7, 200))

    @rule("MUST", "config-linux.md#devices", "c u b p: made with number, mode and owner")
    def test_fifo(self):
        self.device("p", "/dev/pipe", fileMode=0o622, uid=3, gid=4)
        got = self.node("/dev/pipe")
        self.assertTrue(stat.S_ISFIFO(got["mode"]))
        self.assertEqual((got["mode"] & 0o7777, got["uid"], got["gid"]), (0o622, 3, 4))

    def test_default_mode_and_owner(self):
        self.device("c", "/dev/mine", 1, 5)
        got = self.node("/dev/mine")
        self.assertEqual((got["uid"], got["gid"], got["mode"] & 0o7777), (0, 0, 0o666))

    @rule("MUST", "config-linux.md#devices", "anywhere in the root filesystem, not only in /dev")
    def test_outside_of_dev(self):
        self.device("c", "/deep/down/mine", 1, 5)
        self.assertEqual(self.node("/deep/down/mine")["minor"], 5)

    @rule("MUST", "config-linux.md#devices", "c u b p: made with number, mode and owner")
    def test_large_numbers(self):
        self.device("c", "/dev/mine", 4095, 1048575)
        got = self.node("/dev/mine")
        self.assertEqual((got["major"], got["minor"]), (4095, 1048575))

    def test_in_place_of_a_default(self):
        self.device("c", "/dev/null", 1, 3, fileMode=0o600, uid=5, gid=6)
        got = self.node("/dev/null")
        self.assertEqual((got["major"], got["minor"], got["uid"], got["gid"], got["mode"] & 0o7777),
                         (1, 3, 5, 6, 0o600))

    @rule("MUST", "config-linux.md#devices", "a node that is there and matches is kept")
    def test_existing_that_matches(self):
        os.mknod(self.rootfs / "mine", stat.S_IFCHR | 0o600, os.makedev(1, 5))
        self.device("c", "/mine", 1, 5)
        self.assertEqual(self.node("/mine")["minor"], 5)

    @rule("MUST", "config-linux.md#devices", "a node that is there and differs: error")
    def test_existing_with_other_numbers(self):
        os.mknod(self.rootfs / "mine", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        self.device("c", "/mine", 1, 5)
        self.assertRefused("/mine")

    @rule("MUST", "config-linux.md#devices", "a node that is there and differs: error")
    def test_existing_of_other_type(self):
        os.mknod(self.rootfs / "mine", stat.S_IFBLK | 0o600, os.makedev(1, 5))
        self.device("c", "/mine", 1, 5)
        self.assertRefused("/mine")

    @rule("MUST", "config-linux.md#devices", "a node that is there and differs: error")
    def test_existing_file(self):
        (self.rootfs / "mine").write_text("text")
        self.device("c", "/mine", 1, 5)
        self.assertRefused("/mine")
        self.assertEqual((self.rootfs / "mine").read_text(), "text")

    @rule("MUST", "config-linux.md#devices", "a node that is there and differs: error")
    def test_existing_link_is_not_followed(self):
        os.mknod(self.rootfs / "real", stat.S_IFCHR | 0o600, os.makedev(1, 5))
        (self.rootfs / "mine").symlink_to("/real")
        self.device("c", "/mine", 1, 5)
        self.assertRefused("/mine")

    def test_unknown_type(self):
        self.device("x", "/dev/mine", 1, 5)
        self.assertRefused("type")

    def test_relative_path(self):
        self.device("c", "dev/mine", 1, 5)
        self.assertRefused("path")

    def test_numbers_out_of_range(self):
        self.device("c", "/dev/mine", 4096, 5)
        self.assertRefused("major")


class Rules(Devices):
    """linux.resources.devices, told by what open(2) answers inside. The rule that nothing is allowed comes first."""

    def setUp(self):
        super().setUp()
        self.add_capabilities("CAP_MKNOD", "CAP_DAC_OVERRIDE")
        # Of no driver: a rule that denies it answers EPERM, and without one the open ends at ENXIO.
        self.device("c", "/dev/mine", 60, 11, fileMode=0o666)

    def allow(self, *rules):
        self.linux["resources"]["devices"] += rules

    def opens(self, path, flags):
        return self.probe("open", path, f"{flags},nonblock")["errno"]

    @rule("MUST", "config-linux.md#allowed-device-list", "the default devices can be used")
    def test_nothing_but_the_defaults(self):
        self.assertEqual(self.opens("/dev/mine", "rdonly"), "EPERM")
        self.assertEqual(self.opens("/dev/mine", "wronly"), "EPERM")
        for name in DEFAULTS:
            if name != "tty":  # ENXIO without a controlling terminal
                self.assertEqual(self.opens(f"/dev/{name}", "rdwr"), "", name)
        self.assertEqual(self.opens("/dev/tty", "rdwr"), "ENXIO")

    @rule("MUST", "config-linux.md#allowed-device-list", "type, major, minor, access")
    def test_allowed_by_number(self):
        self.allow({"allow": True, "type": "c", "major": 60, "minor": 11, "access": "rw"})
        self.assertEqual(self.opens("/dev/mine", "rdonly"), "ENXIO")
        self.assertEqual(self.opens("/dev/mine", "wronly"), "ENXIO")

    @rule("MUST", "config-linux.md#allowed-device-list", "type, major, minor, access")
    def test_allowed_to_read_only(self):
        self.allow({"allow": True, "type": "c", "major": 60, "minor": 11, "access": "r"})
        self.assertEqual(self.opens("/dev/mine", "rdonly"), "ENXIO")
        self.assertEqual(self.opens("/dev/mine", "wronly"), "EPERM")
        self.assertEqual(self.opens("/dev/mine", "rdwr"), "EPERM")

    @rule("MUST", "config-linux.md#allowed-device-list", "type, major, minor, access")
    def test_any_minor(self):
        self.allow({"allow": True, "type": "c", "major": 60, "access": "rwm"})
        self.assertEqual(self.opens("/dev/mine", "rdonly"), "ENXIO")

    @rule("MUST", "config-linux.md#allowed-device-list", "type, major, minor, access")
    def test_other_type_is_not_meant(self):
        self.allow({"allow": True, "type": "b", "major": 60, "minor": 11, "access": "rwm"})
        self.assertEqual(self.opens("/dev/mine", "rdonly"), "EPERM")

    @rule("MUST", "config-linux.md#allowed-device-list", "type, major, minor, access")
    def test_everything(self):
        self.linux["resources"]["devices"] = [{"allow": True, "access": "rwm"}]
        self.assertEqual(self.opens("/dev/mine", "rdonly"), "ENXIO")

    @rule("MUST", "config-linux.md#allowed-device-list", "the list is applied in its order")
    def test_order_counts(self):
        self.allow({"allow": True, "type": "c", "major": 60, "minor": 11, "access": "rw"},
                   {"allow": False, "type": "c", "major": 60, "minor": 11, "access": "w"})
        self.assertEqual(self.opens("/dev/mine", "rdonly"), "ENXIO")
        self.assertEqual(self.opens("/dev/mine", "wronly"), "EPERM")

    def test_listed_device_is_not_allowed_by_being_listed(self):
        self.device("b", "/dev/disk", 7, 200, fileMode=0o666)
        self.assertEqual(self.opens("/dev/disk", "rdonly"), "EPERM")

    def test_denied_device_stays_denied_under_another_name(self):
        self.process["args"] = ["/bin/sh", "-c", "probe mknod /tmp/other c 60 11; probe open /tmp/other rdonly,nonblock"]
        made, opened = map(json.loads, self.output().splitlines())
        self.assertIn((made["errno"], opened["errno"]), [("", "EPERM"), ("EPERM", "ENOENT")])

    def test_same_for_an_exec(self):
        self.allow({"allow": True, "type": "c", "major": 60, "minor": 11, "access": "r"})
        self.running()
        self.assertEqual(self.exec_probe("open", "/dev/mine", "rdonly,nonblock")["errno"], "ENXIO")
        self.assertEqual(self.exec_probe("open", "/dev/mine", "wronly,nonblock")["errno"], "EPERM")

    def test_no_rules_at_all(self):
        del self.linux["resources"]
        self.probe("open", "/dev/null", "rdwr")

    def test_unknown_type(self):
        self.allow({"allow": True, "type": "x", "access": "rwm"})
        self.assertRefused("type")

    def test_unknown_access(self):
        self.allow({"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwx"})
        self.assertRefused("access")


if __name__ == "__main__":
    main()
