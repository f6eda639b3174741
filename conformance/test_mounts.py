"""config.json's `mounts`, `root` and the paths that are masked or read-only: read back from mountinfo inside."""

import os
import pathlib
import subprocess
import unittest

import harness
from harness import Case, main, parse_mounts, rule, wait_until

V2 = os.path.exists("/sys/fs/cgroup/cgroup.controllers")  # the host's controllers are in cgroup v2
ATIME = {"relatime", "noatime"}  # neither: strictatime


class Mounts(Case):
    def add(self, destination, type="tmpfs", source="tmpfs", options=(), **more):
        self.config["mounts"].append(
            {"destination": str(destination), "type": type, "source": str(source), "options": list(options), **more})

    def bind(self, source, destination, *options):
        self.add(destination, "bind", source, ["rbind" if "rbind" in options else "bind",
                                               *(o for o in options if o != "rbind")])

    def shared(self, name):
        place = self.host_mount(name)
        subprocess.run(["mount", "--make-shared", place], check=True)
        return place

    def assertAtime(self, mount, wanted):
        self.assertEqual(mount.options & ATIME, {wanted} if wanted in ATIME else set(), mount)


class Options(Mounts):
    """Every option that the specification says MUST be known, on a filesystem of its own."""

    # options → flags that must be there, flags that must not
    FLAGS = [
        (["ro"], {"ro"}, {"rw"}),
        (["rw"], {"rw"}, {"ro"}),
        (["ro", "rw"], {"rw"}, {"ro"}),
        (["rw", "ro"], {"ro"}, {"rw"}),
        (["nosuid"], {"nosuid"}, set()),
        (["suid"], set(), {"nosuid"}),
        (["nosuid", "suid"], set(), {"nosuid"}),
        (["suid", "nosuid"], {"nosuid"}, set()),
        (["nodev"], {"nodev"}, set()),
        (["dev"], set(), {"nodev"}),
        (["nodev", "dev"], set(), {"nodev"}),
        (["dev", "nodev"], {"nodev"}, set()),
        (["noexec"], {"noexec"}, set()),
        (["exec"], set(), {"noexec"}),
        (["noexec", "exec"], set(), {"noexec"}),
        (["exec", "noexec"], {"noexec"}, set()),
        (["nodiratime"], {"nodiratime"}, set()),
        (["diratime"], set(), {"nodiratime"}),
        (["nodiratime", "diratime"], set(), {"nodiratime"}),
        (["diratime", "nodiratime"], {"nodiratime"}, set()),
        (["nosymfollow"], {"nosymfollow"}, set()),
        (["symfollow"], set(), {"nosymfollow"}),
        (["nosymfollow", "symfollow"], set(), {"nosymfollow"}),
        (["symfollow", "nosymfollow"], {"nosymfollow"}, set()),
        (["nosuid", "nodev", "noexec", "ro", "noatime"], {"nosuid", "nodev", "noexec", "ro", "noatime"}, set()),
        (["defaults"], {"rw", "relatime"}, {"nosuid", "nodev", "noexec"}),
    ]
    ATIMES = [
        ([], "relatime"), (["relatime"], "relatime"), (["norelatime"], "relatime"), (["atime"], "relatime"),
        (["noatime"], "noatime"), (["strictatime"], "strictatime"), (["nostrictatime"], "relatime"),
        (["noatime", "atime"], "relatime"), (["noatime", "relatime"], "relatime"),
        (["noatime", "strictatime"], "strictatime"), (["strictatime", "nostrictatime"], "relatime"),
        (["strictatime", "noatime"], "noatime"), (["relatime", "noatime"], "noatime"),
        (["strictatime", "relatime"], "relatime"),
    ]
    SUPERBLOCK = [
        (["sync"], {"sync"}, set()),
        (["async"], set(), {"sync"}),
        (["sync", "async"], set(), {"sync"}),
        (["async", "sync"], {"sync"}, set()),
        (["dirsync"], {"dirsync"}, set()),
        (["lazytime"], {"lazytime"}, set()),
        (["nolazytime"], set(), {"lazytime"}),
        (["lazytime", "nolazytime"], set(), {"lazytime"}),
        (["nolazytime", "lazytime"], {"lazytime"}, set()),
    ]
    # Known, and nothing to be seen of them in mountinfo.
    SILENT = [["mand"], ["nomand"], ["iversion"], ["noiversion"], ["silent"], ["loud"], ["silent", "loud"]]

    @rule("MUST", "config.md#linux-mount-options", "ro rw suid nosuid dev nodev exec noexec on a filesystem of its own")
    def test_flags(self):
        for number, (options, _, _) in enumerate(self.FLAGS):
            self.add(f"/m/{number}", options=options)
        mounts = self.mounts()
        for number, (options, wanted, unwanted) in enumerate(self.FLAGS):
            with self.subTest(options=options):
                got = mounts[f"/m/{number}"].options
                self.assertLessEqual(wanted, got)
                self.assertFalse(unwanted & got, got)

    @rule("MUST", "config.md#linux-mount-options",
          "atime noatime diratime nodiratime relatime norelatime strictatime nostrictatime")
    def test_access_times(self):
        for number, (options, _) in enumerate(self.ATIMES):
            self.add(f"/m/{number}", options=options)
        mounts = self.mounts()
        for number, (options, wanted) in enumerate(self.ATIMES):
            with self.subTest(options=options):
                self.assertAtime(mounts[f"/m/{number}"], wanted)

    @rule("MUST", "config.md#linux-mount-options", "sync async dirsync lazytime nolazytime")
    def test_superblock(self):
        for number, (options, _, _) in enumerate(self.SUPERBLOCK):
            self.add(f"/m/{number}", options=options)
        mounts = self.mounts()
        for number, (options, wanted, unwanted) in enumerate(self.SUPERBLOCK):
            with self.subTest(options=options):
                got = mounts[f"/m/{number}"].super
                self.assertLessEqual(wanted, got)
                self.assertFalse(unwanted & got, got)

    @rule("MUST", "config.md#linux-mount-options", "iversion noiversion silent loud defaults")
    def test_without_a_trace(self):
        for number, options in enumerate(self.SILENT):
            self.add(f"/m/{number}", options=options)
        mounts = self.mounts()
        for number, _ in enumerate(self.SILENT):
            self.assertEqual(mounts[f"/m/{number}"].type, "tmpfs")

    @rule("MUST", "config.md#mounts", "options that are not listed go to the filesystem (acl and the like)")
    def test_unknown_option_is_the_filesystems(self):
        self.add("/m", options=["size=64k", "nr_inodes=100", "mode=1750", "uid=5", "gid=6"])
        self.assertEqual(self.output("stat -c '%a %u %g' /m; stat -f -c '%b %S %c' /m").split(),
                         ["1750", "5", "6", "16", "4096", "100"])

    @rule("MUST", "config.md#mounts", "options that are not listed go to the filesystem (acl and the like)")
    def test_unknown_option_of_the_filesystem(self):
        self.add("/m", options=["no-such-option"])
        self.assertFails(self.create(), "/m")
        self.assertNothingLeft()

    def test_unknown_filesystem(self):
        self.add("/m", type="nosuchfs")
        self.assertRefused("nosuchfs")

    def test_no_type(self):
        self.config["mounts"].append({"destination": "/m", "source": "tmpfs"})
        self.assertFails(self.create())
        self.assertNothingLeft()

    @rule("MUST", "config.md#mounts", "destination is needed")
    def test_no_destination(self):
        self.config["mounts"].append({"type": "tmpfs", "source": "tmpfs"})
        self.assertRefused("destination")


class Bind(Mounts):
    def source(self, *options):
        """A tmpfs of the host with another below; its mount (not the filesystem) gets the options."""
        place = self.host_mount("source")
        (place / "file").write_text("content\n")
        (place / "sub").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place / "sub"], check=True)
        (place / "sub/deep").write_text("deep\n")
        if options:
            subprocess.run(["mount", "-o", ",".join(("remount", "bind", *options)), place], check=True)
        return place

    @rule("MUST", "config.md#mounts", "bind and rbind")
    def test_directory(self):
        self.bind(self.source(), "/mnt")
        self.assertEqual(self.output("cat /mnt/file; ls /mnt/sub"), "content\n")

    @rule("MUST", "config.md#mounts", "bind and rbind")
    def test_recursive(self):
        self.bind(self.source(), "/mnt", "rbind")
        self.assertEqual(self.output("cat /mnt/file /mnt/sub/deep"), "content\ndeep\n")

    def test_type_alone_says_it(self):
        self.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(self.source())})
        self.assertEqual(self.output("cat /mnt/file"), "content\n")

    @rule("MUST", "config.md#mounts", "bind and rbind")
    def test_option_alone_says_it(self):
        for number, kind in enumerate(("none", "", None)):
            with self.subTest(type=kind):
                self.config["mounts"] = [m for m in self.config["mounts"] if m["destination"] != "/mnt"]
                mount = {"destination": "/mnt", "source": str(self.bundle), "options": ["bind"]}
                if kind is not None:
                    mount["type"] = kind
                self.config["mounts"].append(mount)
                self.assertIn("config.json", self.output("ls /mnt"))

    @rule("MUST", "config.md#mounts", "a file may be bound, and what is missing below the root is made")
    def test_file(self):
        file = self.directory / "one"
        file.write_text("one\n")
        (self.rootfs / "etc/there").write_text("hidden\n")
        self.bind(file, "/etc/there")
        self.assertEqual(self.output("cat /etc/there"), "one\n")

    @rule("MUST", "config.md#mounts", "a file may be bound, and what is missing below the root is made")
    def test_file_on_a_missing_target(self):
        file = self.directory / "one"
        file.write_text("one\n")
        self.bind(file, "/deep/down/file")
        self.assertEqual(self.output("cat /deep/down/file"), "one\n")
        self.assertEqual((self.rootfs / "deep/down/file").stat().st_size, 0)

    @rule("MUST", "config.md#mounts", "a file may be bound, and what is missing below the root is made")
    def test_directory_on_a_missing_target(self):
        self.bind(self.source(), "/deep/down/directory")
        self.assertEqual(self.output("cat /deep/down/directory/file"), "content\n")
        self.assertTrue((self.rootfs / "deep/down/directory").is_dir())

    @rule("MUST", "config.md#mounts", "a file may be bound, and what is missing below the root is made")
    def test_fifo_and_device(self):
        os.mkfifo(self.directory / "fifo")
        self.bind(self.directory / "fifo", "/tmp/fifo")
        self.bind("/dev/zero", "/tmp/zero")
        self.assertEqual(self.output("stat -c %F /tmp/fifo /tmp/zero"), "fifo\ncharacter special file\n")

    def test_file_on_a_directory_is_an_error(self):
        self.bind("/etc/hostname", "/mnt")
        self.assertRefused("/mnt")

    def test_directory_on_a_file_is_an_error(self):
        self.bind(self.source(), "/etc/passwd")
        self.assertFails(self.create(), "/etc/passwd")

    @rule("MUST", "config.md#mounts", "source: relative to the bundle")
    def test_relative_source_is_of_the_bundle(self):
        (self.bundle / "data").mkdir()
        (self.bundle / "data/file").write_text("of the bundle\n")
        self.bind("data", "/mnt")
        self.assertEqual(self.output("cat /mnt/file"), "of the bundle\n")

    @rule("MUST", "config.md#mounts", "a source that is missing: error")
    def test_missing_source(self):
        self.bind(self.directory / "missing", "/mnt")
        self.assertRefused("missing")

    def test_no_source(self):
        self.config["mounts"].append({"destination": "/mnt", "type": "bind", "options": ["bind"]})
        self.assertFails(self.create())
        self.assertNothingLeft()

    @rule("MUST", "config.md#linux-mount-options", "ro rw suid nosuid dev nodev exec noexec on a bind mount, each way")
    def test_read_only(self):
        self.bind(self.source(), "/mnt", "ro")
        self.assertEqual(self.output("touch /mnt/new 2>&1; touch /mnt/file 2>&1; true").count("Read-only"), 2)

    def test_read_only_stops_at_the_top(self):
        self.bind(self.source(), "/mnt", "rbind", "ro")
        mounts = self.mounts()
        self.assertIn("ro", mounts["/mnt"].options)
        self.assertIn("rw", mounts["/mnt/sub"].options)

    def test_the_host_stays_as_it_was(self):
        source = self.source()
        self.bind(source, "/mnt", "rbind", "rro", "rnosuid", "rnoexec", "rnodev")
        self.mounts()
        (source / "written").write_text("")
        (source / "sub/written").write_text("")
        for mount in (source, source / "sub"):
            options = parse_mounts(pathlib.Path("/proc/self/mountinfo").read_text())[str(mount)].options
            self.assertFalse({"nosuid", "noexec", "nodev", "ro"} & options, options)

    def test_flags_of_the_source_stay(self):
        self.bind(self.source("nosuid", "nodev", "noexec", "noatime"), "/mnt")
        self.assertLessEqual({"nosuid", "nodev", "noexec", "noatime", "rw"}, self.mounts()["/mnt"].options)

    def test_what_is_not_said_stays(self):
        self.bind(self.source("nosuid", "nodev"), "/mnt", "noexec")
        self.assertLessEqual({"nosuid", "nodev", "noexec"}, self.mounts()["/mnt"].options)

    @rule("MUST", "config.md#linux-mount-options", "ro rw suid nosuid dev nodev exec noexec on a bind mount, each way")
    def test_flags_are_cleared_where_said(self):
        self.bind(self.source("nosuid", "nodev", "noexec", "ro", "nodiratime", "noatime"), "/mnt",
                  "suid", "dev", "exec", "diratime", "relatime")
        got = self.mounts()["/mnt"].options
        self.assertFalse({"nosuid", "nodev", "noexec", "nodiratime", "noatime"} & got, got)

    @rule("MUST", "config.md#linux-mount-options", "ro rw suid nosuid dev nodev exec noexec on a bind mount, each way")
    @rule("SHOULD", "config.md#linux-mount-options", "symfollow nosymfollow")
    def test_each_flag(self):
        source = self.source()
        for number, (options, _, _) in enumerate(Options.FLAGS):
            self.bind(source, f"/m/{number}", *options)
        mounts = self.mounts()
        for number, (options, wanted, unwanted) in enumerate(Options.FLAGS):
            with self.subTest(options=options):
                got = mounts[f"/m/{number}"].options
                self.assertLessEqual(wanted, got)
                self.assertFalse(unwanted & got, got)

    @rule("MUST", "config.md#linux-mount-options",
          "atime noatime diratime nodiratime relatime norelatime strictatime nostrictatime")
    def test_each_access_time(self):
        source = self.source()
        for number, (options, _) in enumerate(Options.ATIMES):
            self.bind(source, f"/m/{number}", *options)
        mounts = self.mounts()
        for number, (options, wanted) in enumerate(Options.ATIMES):
            with self.subTest(options=options):
                self.assertAtime(mounts[f"/m/{number}"], wanted)


class Recursive(Mounts):
    """The options that reach the mounts below as well."""

    SET = {"rro": "ro", "rnosuid": "nosuid", "rnodev": "nodev", "rnoexec": "noexec", "rnodiratime": "nodiratime",
           "rnosymfollow": "nosymfollow"}
    CLEAR = {"rrw": "ro", "rsuid": "nosuid", "rdev": "nodev", "rexec": "noexec", "rdiratime": "nodiratime",
             "rsymfollow": "nosymfollow"}
    ATIMES = {"rnoatime": "noatime", "rstrictatime": "strictatime", "rrelatime": "relatime", "ratime": "relatime",
              "rnostrictatime": "relatime", "rnorelatime": "relatime"}

    def source(self, name, *options):
        place = self.host_mount(name, *options)
        (place / "sub").mkdir()
        flags = ["-o", ",".join(options)] if options else []
        subprocess.run(["mount", "-t", "tmpfs", *flags, "tmpfs", place / "sub"], check=True)
        return place

    @rule("SHOULD", "config.md#linux-mount-options", "rro rrw rsuid rnosuid rdev rnodev rexec rnoexec rsymfollow rnosymfollow")
    def test_set(self):
        source = self.source("plain")
        for option in self.SET:
            self.bind(source, f"/m/{option}", "rbind", option)
        mounts = self.mounts()
        for option, flag in self.SET.items():
            for point in (f"/m/{option}", f"/m/{option}/sub"):
                with self.subTest(option=option, point=point):
                    self.assertIn(flag, mounts[point].options)

    @rule("SHOULD", "config.md#linux-mount-options", "rro rrw rsuid rnosuid rdev rnodev rexec rnoexec rsymfollow rnosymfollow")
    def test_clear(self):
        # A read-only superblock could not be written to whatever the mount says: mounted first, made read-only then.
        source = self.source("strict", "nosuid", "nodev", "noexec", "nodiratime", "nosymfollow")
        for place in (source, source / "sub"):
            flags = "remount,bind,ro,nosuid,nodev,noexec,nodiratime,nosymfollow"
            subprocess.run(["mount", "-o", flags, place], check=True)
        for option in self.CLEAR:
            self.bind(source, f"/m/{option}", "rbind", option)
        mounts = self.mounts()
        for option, flag in self.CLEAR.items():
            for point in (f"/m/{option}", f"/m/{option}/sub"):
                with self.subTest(option=option, point=point):
                    self.assertNotIn(flag, mounts[point].options)
                    self.assertLessEqual(set(self.CLEAR.values()) - {flag}, mounts[point].options)

    @rule("SHOULD", "config.md#linux-mount-options",
          "ratime rnoatime rdiratime rnodiratime rrelatime rnorelatime rstrictatime rnostrictatime")
    def test_access_times(self):
        source = self.source("noatime", "noatime")
        for option in self.ATIMES:
            self.bind(source, f"/m/{option}", "rbind", option)
        mounts = self.mounts()
        for option, wanted in self.ATIMES.items():
            for point in (f"/m/{option}", f"/m/{option}/sub"):
                with self.subTest(option=option, point=point):
                    self.assertAtime(mounts[point], wanted)

    @rule("MUST", "config.md#linux-mount-options", "within a list the last word wins")
    def test_last_one_wins(self):
        source = self.source("plain")
        self.bind(source, "/m/rw", "rbind", "rro", "rrw")
        self.bind(source, "/m/ro", "rbind", "rrw", "rro")
        mounts = self.mounts()
        for point, flag in (("/m/rw", "rw"), ("/m/rw/sub", "rw"), ("/m/ro", "ro"), ("/m/ro/sub", "ro")):
            self.assertIn(flag, mounts[point].options, point)

    @rule("SHOULD", "config.md#linux-mount-options", "rro rrw rsuid rnosuid rdev rnodev rexec rnoexec rsymfollow rnosymfollow")
    def test_on_a_filesystem_of_its_own(self):
        self.add("/m", options=["rro", "rnosuid"])
        self.assertLessEqual({"ro", "nosuid"}, self.mounts()["/m"].options)

    @rule("SHOULD", "config.md#linux-mount-options", "rro rrw rsuid rnosuid rdev rnodev rexec rnoexec rsymfollow rnosymfollow")
    def test_read_only_below_holds(self):
        self.bind(self.source("plain"), "/mnt", "rbind", "rro")
        self.assertEqual(self.output("touch /mnt/a 2>&1; touch /mnt/sub/a 2>&1; true").count("Read-only"), 2)


class Propagation(Mounts):
    @rule("MUST", "config.md#linux-mount-options", "private shared slave unbindable and their recursive forms")
    def test_on_a_filesystem_of_its_own(self):
        for option in ("shared", "rshared", "private", "rprivate", "slave", "rslave", "unbindable", "runbindable"):
            self.add(f"/m/{option}", options=[option])
        mounts = self.mounts()
        for option in ("shared", "rshared"):
            self.assertTrue(mounts[f"/m/{option}"].is_shared(), option)
        for option in ("private", "rprivate", "slave", "rslave"):  # a slave of nobody is private
            self.assertEqual(mounts[f"/m/{option}"].propagation, [], option)
        for option in ("unbindable", "runbindable"):
            self.assertTrue(mounts[f"/m/{option}"].is_unbindable(), option)

    @rule("MUST", "config.md#linux-mount-options", "within a list the last word wins")
    def test_last_one_wins(self):
        self.add("/m/a", options=["shared", "private"])
        self.add("/m/b", options=["private", "shared"])
        mounts = self.mounts()
        self.assertFalse(mounts["/m/a"].is_shared())
        self.assertTrue(mounts["/m/b"].is_shared())

    def source(self):
        place = self.shared("source")
        (place / "sub").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place / "sub"], check=True)
        subprocess.run(["mount", "--make-shared", place / "sub"], check=True)
        return place

    @rule("MUST", "config.md#linux-mount-options", "private shared slave unbindable and their recursive forms")
    def test_on_a_bind_mount(self):
        source = self.source()
        for option in ("private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable", "runbindable"):
            self.bind(source, f"/m/{option}", "rbind", option)
        mounts = self.mounts()
        for option in ("private", "rprivate"):
            self.assertEqual(mounts[f"/m/{option}"].propagation, [], option)
        for option in ("slave", "rslave"):
            self.assertTrue(mounts[f"/m/{option}"].is_slave(), option)
            self.assertFalse(mounts[f"/m/{option}"].is_shared(), option)
        for option in ("shared", "rshared"):
            self.assertTrue(mounts[f"/m/{option}"].is_shared(), option)
        self.assertEqual(mounts["/m/rprivate/sub"].propagation, [])
        self.assertTrue(mounts["/m/rshared/sub"].is_shared())
        self.assertFalse(mounts["/m/shared/sub"].is_shared(), "shared is not of what lies below")
        for option in ("unbindable", "runbindable"):
            self.assertTrue(mounts[f"/m/{option}"].is_unbindable(), option)
        self.assertTrue(mounts["/m/runbindable/sub"].is_unbindable())
        self.assertFalse(mounts["/m/unbindable/sub"].is_unbindable())

    def later(self, source, option):
        """Mounts below the source once the container runs; whether the container sees it."""
        self.bind(source, "/mnt", "rbind", option)
        (source / "later").mkdir()
        self.running()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", source / "later"], check=True)
        (source / "later/file").write_text("seen\n")
        return "file" in self.exec("ls", "/mnt/later").out

    @rule("MUST", "config.md#linux-mount-options", "private shared slave unbindable and their recursive forms")
    def test_slave_receives(self):
        self.assertTrue(self.later(self.shared("source"), "rslave"))

    @rule("MUST", "config.md#linux-mount-options", "private shared slave unbindable and their recursive forms")
    def test_private_does_not_receive(self):
        self.assertFalse(self.later(self.shared("source"), "rprivate"))

    def from_inside(self, source, option):
        """Mounts below the bind mount from inside; whether the host sees it."""
        self.add_capabilities("CAP_SYS_ADMIN")
        self.bind(source, "/mnt", "rbind", option)
        (source / "inner").mkdir()
        self.running("mount -t tmpfs tmpfs /mnt/inner && touch /mnt/inner/done /tmp/done; exec sleep 1000")
        wait_until(lambda: (self.rootfs / "tmp/done").exists(), "mounted inside")
        return (source / "inner/done").exists()

    def test_shared_sends_where_the_root_is_shared(self):
        self.linux["rootfsPropagation"] = "shared"
        self.assertTrue(self.from_inside(self.shared("source"), "rshared"))

    def test_slave_does_not_send(self):
        self.linux["rootfsPropagation"] = "shared"
        self.assertFalse(self.from_inside(self.shared("source"), "rslave"))

    def test_shared_does_not_send_by_default(self):
        self.assertFalse(self.from_inside(self.shared("source"), "rshared"))


class RootPropagation(Mounts):
    def setUp(self):
        super().setUp()
        # The bundle lies on a shared mount of the host, so that each kind can be told from the others.
        subprocess.run(["mount", "--bind", self.bundle, self.bundle], check=True)
        self.addCleanup(subprocess.run, ["umount", "-R", "-l", self.bundle], check=False)
        subprocess.run(["mount", "--make-private", self.bundle], check=True)
        subprocess.run(["mount", "--make-shared", self.bundle], check=True)

    def root_mount(self, kind):
        if kind is not None:
            self.linux["rootfsPropagation"] = kind
        before = harness.host_mounts(self.directory)
        root = self.mounts()["/"]
        self.assertEqual(harness.host_mounts(self.directory), before, "the host's mounts have changed")
        return root

    @rule("MUST", "config-linux.md#rootfs-mount-propagation", "shared slave private unbindable")
    def test_shared(self):
        self.assertTrue(self.root_mount("shared").is_shared())

    @rule("MUST", "config-linux.md#rootfs-mount-propagation", "shared slave private unbindable")
    def test_slave(self):
        root = self.root_mount("slave")
        self.assertFalse(root.is_shared())

    @rule("MUST", "config-linux.md#rootfs-mount-propagation", "shared slave private unbindable")
    def test_private(self):
        self.assertEqual(self.root_mount("private").propagation, [])

    @rule("MUST", "config-linux.md#rootfs-mount-propagation", "shared slave private unbindable")
    def test_unbindable(self):
        self.assertTrue(self.root_mount("unbindable").is_unbindable())

    def test_recursive_spellings(self):
        for kind in ("rshared", "rslave", "rprivate", "runbindable"):
            with self.subTest(kind):
                root = self.root_mount(kind)
                self.assertEqual((root.is_shared(), root.is_unbindable()), (kind == "rshared", kind == "runbindable"))

    def test_unset_sends_nothing_to_the_host(self):
        self.assertFalse(self.root_mount(None).is_shared())

    def test_unknown(self):
        self.linux["rootfsPropagation"] = "sideways"
        self.assertFails(self.create(), "sideways")

    def test_the_hosts_mounts_stay_where_all_are_shared(self):
        # As systemd leaves them: what the runtime lets go of must not go on the host. The host is a mount namespace of the
        # test's own here, cut off from the real one before anything is shared.
        script = ('mount --make-rprivate / && mount --make-rshared / || exit 99; cat /proc/self/mountinfo; echo; '
                  '"$@" || exit 98; cat /proc/self/mountinfo')
        for kind in ("shared", "slave", "private", "unbindable", None):
            with self.subTest(kind):
                self.linux.pop("rootfsPropagation", None)
                if kind is not None:
                    self.linux["rootfsPropagation"] = kind
                self.write()
                result = harness.command(["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", script, "sh",
                                          harness.RUNTIME, "--root", self.root, "run", "--bundle", self.bundle, self.id])
                self.assertOk(result)
                before, after = result.out.split("\n\n")
                self.assertIn(" /proc ", before)
                self.assertEqual(self.but_others(after), self.but_others(before), "the host's mounts have changed")

    def but_others(self, mountinfo):
        """Without what tests beside this one have: a directory that is removed takes what is mounted on it along, here too."""
        return [line for line in mountinfo.split("\n")
                if line and ("/nucleus-" not in line or str(self.directory) in line)]

    def test_mounts_inside_stay_inside(self):
        self.add_capabilities("CAP_SYS_ADMIN")
        self.linux["rootfsPropagation"] = "shared"
        self.running("mount -t tmpfs tmpfs /mnt && touch /tmp/done; exec sleep 1000")
        wait_until(lambda: (self.rootfs / "tmp/done").exists(), "mounted inside")
        self.assertEqual([line for line in harness.mounts_below(self.rootfs) if "/mnt" in line], [])


class Order(Mounts):
    @rule("MUST", "config.md#mounts", "mounts are made in the order listed")
    def test_later_on_top_of_earlier(self):
        (self.bundle / "data").mkdir()
        (self.bundle / "data/file").write_text("seen\n")
        self.add("/m")
        self.bind("data", "/m/inner")
        self.assertEqual(self.output("cat /m/inner/file"), "seen\n")

    @rule("MUST", "config.md#mounts", "mounts are made in the order listed")
    def test_earlier_is_covered_by_later(self):
        (self.bundle / "data").mkdir()
        (self.bundle / "data/file").write_text("covered\n")
        self.bind("data", "/m/inner")
        self.add("/m")
        self.assertEqual(self.output("ls -A /m"), "")

    @rule("MUST", "config.md#mounts", "mounts are made in the order listed")
    def test_same_place_twice(self):
        self.add("/m", options=["size=64k"])
        self.add("/m", options=["size=128k"])
        self.assertEqual(self.output("stat -f -c %b /m"), "32\n")

    @rule("MAY", "config.md#mounts", "a relative destination is taken as one from \"/\"")
    def test_relative_destination_is_from_the_root(self):
        self.add("relative/place")
        self.assertEqual(self.mounts()["/relative/place"].type, "tmpfs")

    def test_dots_stay_inside(self):
        self.add("/../../../outside")
        self.assertEqual(self.mounts()["/outside"].type, "tmpfs")
        self.assertFalse((self.directory / "outside").exists())

    def test_link_is_followed_inside(self):
        (self.rootfs / "link").symlink_to("/real/place")
        self.add("/link")
        self.assertEqual(self.mounts()["/real/place"].type, "tmpfs")

    def test_root_is_no_destination(self):
        self.add("/")
        self.assertFails(self.create())
        self.assertNothingLeft()


class Remount(Mounts):
    @rule("MUST", "config.md#linux-mount-options", "remount")
    def test_flags(self):
        self.add("/m")
        self.add("/m", options=["remount", "ro", "nosuid"])
        self.assertLessEqual({"ro", "nosuid"}, self.mounts()["/m"].options)

    def test_other_mounts_are_untouched(self):
        self.add("/m")
        self.add("/n")
        self.add("/m", options=["remount", "ro"])
        mounts = self.mounts()
        self.assertIn("ro", mounts["/m"].options | mounts["/m"].super)
        self.assertIn("rw", mounts["/n"].options)

    @rule("MUST", "config.md#linux-mount-options", "remount")
    def test_parameters(self):
        self.add("/m", options=["size=64k"])
        self.add("/m", options=["remount", "size=128k"])
        self.assertEqual(self.output("stat -f -c %b /m"), "32\n")

    @rule("MUST", "config.md#linux-mount-options", "remount")
    def test_bind_remount_changes_what_is_there(self):
        (self.bundle / "data").mkdir()
        (self.bundle / "data/file").write_text("seen\n")
        self.bind("data", "/m")
        self.config["mounts"].append({"destination": "/m", "type": "bind", "source": str(self.bundle / "data"),
                                      "options": ["bind", "remount", "ro", "noexec"]})
        self.assertLessEqual({"ro", "noexec"}, self.mounts()["/m"].options)
        # Not a second mount on top, which would leave the first as it was below.
        self.assertEqual(self.output("grep -c ' /m ' /proc/self/mountinfo"), "1\n")

    @rule("MUST", "config.md#linux-mount-options", "remount")
    def test_of_nothing(self):
        self.add("/m", options=["remount", "ro"])
        self.assertRefused("/m")


class CopyUp(Mounts):
    def setUp(self):
        super().setUp()
        place = self.rootfs / "var/data"
        (place / "deep/er").mkdir(parents=True)
        (place / "deep/er").chmod(0o2750)
        (place / "file").write_text("content\n")
        (place / "file").chmod(0o640)
        os.chown(place / "file", 7, 8)
        os.utime(place / "file", (1000000000, 1100000000))
        (place / "link").symlink_to("/etc/passwd")
        (place / "dangling").symlink_to("/no/where")
        os.mkfifo(place / "fifo")
        place.chmod(0o1770)
        os.chown(place, 3, 4)
        self.add_capabilities("CAP_DAC_OVERRIDE")

    @rule("MAY", "config.md#linux-mount-options", "tmpcopyup")
    def test_copied(self):
        self.add("/var/data", options=["tmpcopyup"])
        script = ("cd /var/data; cat file; stat -c '%a %u %g %Y' file; readlink link; readlink dangling; stat -c %a deep/er; "
                  "stat -c %F fifo; stat -c '%a %u %g' .; stat -f -c %T .; echo new > new; ls | wc -l")
        self.assertEqual(self.output(script).splitlines(),
                         ["content", "640 7 8 1100000000", "/etc/passwd", "/no/where", "2750", "fifo", "1770 3 4",
                          "tmpfs", "6"])
        self.assertFalse((self.rootfs / "var/data/new").exists())

    @rule("MAY", "config.md#linux-mount-options", "tmpcopyup")
    def test_read_only(self):
        self.add("/var/data", options=["tmpcopyup", "ro"])
        self.assertEqual(self.output("cat /var/data/file; touch /var/data/new 2>&1; true").splitlines()[0], "content")
        self.assertIn("ro", self.mounts()["/var/data"].options)

    @rule("MAY", "config.md#linux-mount-options", "tmpcopyup")
    def test_what_does_not_fit_is_an_error(self):
        (self.rootfs / "var/data/big").write_bytes(b"x" * 200000)
        self.add("/var/data", options=["tmpcopyup", "size=64k"])
        self.assertRefused("/var/data")

    def test_missing_directory(self):
        self.add("/var/other", options=["tmpcopyup"])
        self.assertEqual(self.output("ls -A /var/other"), "")

    @rule("MAY", "config.md#linux-mount-options", "tmpcopyup")
    def test_other_filesystem_is_an_error(self):
        self.add("/var/data", type="proc", options=["tmpcopyup"])
        self.assertFails(self.create(), "tmpcopyup")
        self.assertNothingLeft()


class Locked(Mounts):
    """In a user namespace the kernel locks the flags that a mount of the host brings along."""

    def setUp(self):
        super().setUp()
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        for path in [self.rootfs, *self.rootfs.rglob("*")]:
            os.chown(path, 100000, 100000, follow_symlinks=False)
        for directory in (self.directory, self.bundle):
            directory.chmod(0o755)
        self.place = self.host_mount("files", "mode=777")
        self.flags = {"nosuid", "nodev", "noexec", "ro", "noatime"}
        subprocess.run(["mount", "-o", ",".join(["remount", "bind", *self.flags]), self.place], check=True)

    @rule("MUST", "config.md#mounts", "flags that a user namespace locks are kept, clearing one is an error")
    def test_what_is_not_said_stays(self):
        for options in ([], ["ro"], ["nosuid", "nodev"], ["rprivate"], ["noexec", "rslave"], ["ro", "noatime"]):
            with self.subTest(options):
                self.config["mounts"] = self.config["mounts"][:6]
                self.bind(self.place, "/mnt", *options)
                self.assertLessEqual(self.flags, self.mounts()["/mnt"].options)

    @rule("MUST", "config.md#mounts", "flags that a user namespace locks are kept, clearing one is an error")
    def test_what_cannot_be_cleared_is_an_error(self):
        for option in ("suid", "dev", "exec", "rw"):
            with self.subTest(option):
                self.config["mounts"] = self.config["mounts"][:6]
                self.bind(self.place, "/mnt", option)
                result = self.create()
                if result.status == 0:  # then at least nothing was cleared
                    self.assertOk(self.delete("--force"))
                    self.assertLessEqual(self.flags, self.mounts()["/mnt"].options)
                else:
                    self.assertFails(result, "/mnt")


class IdMapped(Mounts):
    """mounts[].uidMappings: ids of the source's files (containerID) → ids that they have in the mount (hostID)."""

    def setUp(self):
        super().setUp()
        # tmpfs can be idmapped since Linux 6.3; before that, what the test's own directory lies on, bound twice.
        release = tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2])
        if release >= (6, 3):
            self.place = self.host_mount("files", "mode=777")
            (self.place / "sub").mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "tmpfs", self.place / "sub"], check=True)
        else:
            (self.directory / "below").mkdir()
            self.place = self.directory / "files"
            (self.place / "sub").mkdir(parents=True)
            for source, target in ((self.place, self.place), (self.directory / "below", self.place / "sub")):
                subprocess.run(["mount", "--bind", source, target], check=True)
                self.addCleanup(subprocess.run, ["umount", target], check=True)
            for directory in (self.place, self.place / "sub"):
                directory.chmod(0o777)
        for directory in (self.place, self.place / "sub"):
            for owner in (0, 1000):
                (directory / str(owner)).write_text("")
                os.chown(directory / str(owner), owner, owner)

    def mapped(self, *options, container=1000, host=3000, size=1):
        mapping = [{"containerID": container, "hostID": host, "size": size}]
        self.add("/mnt", "bind", self.place, options, uidMappings=mapping, gidMappings=mapping)

    def owners(self, *paths):
        return self.output("cd /mnt; stat -c %u:%g " + " ".join(paths)).split()

    @rule("SHOULD", "config.md#linux-mount-options", "idmap: with the mappings of the mount")
    def test_owners(self):
        for options in (["bind", "idmap"], ["bind"]):
            with self.subTest(options):
                self.config["mounts"] = self.config["mounts"][:6]
                self.mapped(*options)
                self.assertEqual(self.owners("0", "1000"), ["65534:65534", "3000:3000"])
        self.assertEqual((self.place / "1000").stat().st_uid, 1000, "the host sees them as before")

    @rule("SHOULD", "config.md#linux-mount-options", "idmap: with the mappings of the mount")
    def test_new_files(self):
        self.process["user"] = {"uid": 3000, "gid": 3000}
        os.chown(self.place, 1000, 1000)  # nobody may write where the owner has no mapping
        self.mapped("bind", "idmap")
        self.output("touch /mnt/new")
        self.assertEqual(((self.place / "new").stat().st_uid, (self.place / "new").stat().st_gid), (1000, 1000))

    @rule("SHOULD", "config.md#linux-mount-options", "ridmap: all that lies below as well")
    def test_what_lies_below(self):
        self.mapped("rbind", "idmap")
        self.assertEqual(self.owners("1000", "sub/1000"), ["3000:3000", "1000:1000"])
        self.config["mounts"].pop()
        self.mapped("rbind", "ridmap")
        self.assertEqual(self.owners("1000", "sub/1000"), ["3000:3000", "3000:3000"])

    def test_with_other_options(self):
        self.mapped("bind", "idmap", "ro", "nosuid")
        self.assertLessEqual({"ro", "nosuid"}, self.mounts()["/mnt"].options)

    @rule("SHOULD", "config.md#linux-mount-options", "idmap without mappings takes those of the user namespace")
    def test_of_the_user_namespace(self):
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        for path in [self.rootfs, *self.rootfs.rglob("*")]:
            os.chown(path, 100000, 100000, follow_symlinks=False)
        for directory in (self.directory, self.bundle):
            directory.chmod(0o755)
        self.add("/mnt", "bind", self.place, ["bind", "idmap"])
        self.assertEqual(self.owners("0", "1000"), ["0:0", "1000:1000"])
        self.config["mounts"].pop()
        self.mapped("bind", "idmap", container=1000, host=100007)
        self.assertEqual(self.owners("0", "1000"), ["65534:65534", "7:7"])

    @rule("MUST", "config.md#linux-mount-options", "idmap without mappings and without a user namespace: error")
    def test_without_any_mapping(self):
        self.add("/mnt", "bind", self.place, ["bind", "idmap"])
        self.assertFails(self.create(), "idmap")

    def test_mappings_that_overlap(self):
        mapping = [{"containerID": 0, "hostID": 0, "size": 10}, {"containerID": 5, "hostID": 100, "size": 10}]
        self.add("/mnt", "bind", self.place, ["bind", "idmap"], uidMappings=mapping, gidMappings=mapping)
        self.assertFails(self.create(), "Mappings")


class Kinds(Mounts):
    @rule("MUST", "config.md#mounts", "proc sysfs tmpfs devpts mqueue cgroup")
    def test_the_usual_ones(self):
        mounts = self.mounts()
        for point, kind in (("/proc", "proc"), ("/dev", "tmpfs"), ("/dev/pts", "devpts"), ("/dev/shm", "tmpfs"),
                            ("/dev/mqueue", "mqueue"), ("/sys", "sysfs")):
            self.assertEqual(mounts[point].type, kind)
        self.assertIn("ro", mounts["/sys"].options)
        self.assertLessEqual({"nosuid", "noexec"}, mounts["/dev/pts"].options)

    def test_nothing_of_the_host(self):
        listed = set(self.mounts())
        wanted = {"/", *(mount["destination"] for mount in self.config["mounts"]), *self.linux["maskedPaths"],
                  *self.linux["readonlyPaths"]}
        self.assertLessEqual(listed, wanted)

    @rule("MUST", "config.md#mounts", "proc sysfs tmpfs devpts mqueue cgroup")
    def test_process_table_is_of_the_own_namespace(self):
        self.assertLess(int(self.output("ls -d /proc/[0-9]* | wc -l")), 5)

    def test_proc_options(self):
        self.config["mounts"][0]["options"] = ["nosuid", "nodev", "noexec", "hidepid=2"]
        proc = self.mounts()["/proc"]
        self.assertLessEqual({"nosuid", "nodev", "noexec"}, proc.options)
        self.assertTrue({"hidepid=2", "hidepid=invisible"} & proc.super, proc)

    @rule("MUST", "config.md#mounts", "proc sysfs tmpfs devpts mqueue cgroup")
    def test_devpts_is_of_its_own(self):
        self.assertEqual(self.output("ls /dev/pts"), "ptmx\n")
        self.assertEqual(self.output("stat -c %a /dev/pts/ptmx"), "666\n")

    @rule("MUST", "config.md#mounts", "proc sysfs tmpfs devpts mqueue cgroup")
    def test_mqueue_is_of_the_own_namespace(self):
        self.assertEqual(self.output("ls -A /dev/mqueue"), "")

    def test_overlay(self):
        for name in ("lower", "upper", "work"):
            (self.directory / name).mkdir()
        (self.directory / "lower/file").write_text("lower\n")
        layers = [f"{kind}={self.directory / name}" for kind, name in
                  (("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work"))]
        self.add("/mnt", type="overlay", source="overlay", options=layers)
        self.assertEqual(self.output("cat /mnt/file; echo x > /mnt/new"), "lower\n")
        self.assertTrue((self.directory / "upper/new").exists())

    @rule("MUST", "config.md#posix-platform-mounts", "uidMappings and gidMappings go together")
    def test_mappings_go_together(self):
        self.add("/mnt", type="bind", source=self.bundle, options=["bind"],
                 uidMappings=[{"containerID": 0, "hostID": 1000, "size": 1}])
        self.assertRefused("Mappings")


class Cgroup(Mounts):
    OPTIONS = ["nosuid", "noexec", "nodev", "relatime", "ro"]

    def listing(self):
        self.add("/sys/fs/cgroup", type="cgroup", source="cgroup", options=self.OPTIONS)
        mounts = self.mounts()
        return {point: mount for point, mount in mounts.items() if point.startswith("/sys/fs/cgroup")}

    @staticmethod
    def places():
        """Where the hierarchies of some controllers are: on v2 they share one."""
        return ["/sys/fs/cgroup"] if V2 else [f"/sys/fs/cgroup/{c}" for c in ("memory", "cpu", "pids", "devices", "freezer")]

    # Where the limit of processes is.
    PIDS = "/sys/fs/cgroup" if V2 else "/sys/fs/cgroup/pids"

    @rule("MUST", "config.md#mounts", "cgroup: the own cgroups with a cgroup namespace")
    def test_with_a_namespace(self):
        mounts = self.listing()
        for place in self.places():
            mount = mounts[place]
            self.assertEqual((mount.type, mount.root), ("cgroup2" if V2 else "cgroup", "/"), mount)
            self.assertIn("ro", mount.options)
            self.assertLessEqual({"nosuid", "noexec", "nodev"}, mount.options)
        if not V2:
            self.assertIn("/sys/fs/cgroup/systemd", mounts)

    @rule("MUST", "config.md#mounts", "cgroup: the own cgroups without a cgroup namespace")
    def test_without_a_namespace(self):
        self.without_namespace("cgroup")
        mounts = self.listing()
        for place in self.places():
            mount = mounts[place]
            self.assertEqual(mount.type, "cgroup2" if V2 else "cgroup")
            self.assertTrue(mount.root.endswith(self.id), mount)
            self.assertIn("ro", mount.options)

    @rule("MUST", "config.md#mounts", "cgroup: the own cgroups without a cgroup namespace")
    def test_own_limits_are_in_sight_and_no_one_elses(self):
        for with_namespace in (True, False):
            with self.subTest(namespace=with_namespace):
                self.config["mounts"] = [m for m in self.config["mounts"] if m["type"] != "cgroup"]
                if not with_namespace:
                    self.without_namespace("cgroup")
                self.linux["resources"]["pids"] = {"limit": 77}
                self.add("/sys/fs/cgroup", type="cgroup", source="cgroup", options=self.OPTIONS)
                got = self.output(f"cat {self.PIDS}/pids.max; cat {self.PIDS}/cgroup.procs | wc -l; "
                                  f"ls {self.PIDS} | grep -c nucleus-test; true").split()
                self.assertEqual(got[0], "77")
                self.assertLessEqual(int(got[1]), 4)
                self.assertEqual(got[2], "0")

    @rule("MUST", "config.md#mounts", "cgroup: read-only where asked")
    def test_read_only_holds(self):
        self.add_capabilities("CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE")
        self.add("/sys/fs/cgroup", type="cgroup", source="cgroup", options=self.OPTIONS)
        out = self.output(f"mkdir {self.PIDS}/x 2>&1; {{ echo 5 > {self.PIDS}/pids.max; }} 2>&1; "
                          "mkdir /sys/fs/cgroup/y 2>&1; true")
        self.assertEqual(out.count("Read-only"), 3, out)

    def test_writable_where_asked(self):
        self.add_capabilities("CAP_DAC_OVERRIDE")
        self.add("/sys/fs/cgroup", type="cgroup", source="cgroup", options=["nosuid", "noexec", "nodev", "rw"])
        self.output(f"mkdir {self.PIDS}/inner && echo 0 > {self.PIDS}/inner/cgroup.procs")


class Root(Mounts):
    @rule("MUST", "config.md#root", "root.readonly true: the root filesystem is read-only inside")
    def test_read_only(self):
        self.config["root"]["readonly"] = True
        self.add("/m")
        out = self.output("touch /file 2>&1; mkdir /dir 2>&1; touch /m/file && echo written; touch /tmp/x 2>&1; true")
        self.assertEqual((out.count("Read-only"), out.count("written")), (3, 1), out)
        self.assertIn("ro", self.mounts()["/"].options)

    @rule("MUST", "config.md#root", "root.readonly true: the root filesystem is read-only inside")
    def test_read_only_root_still_has_its_devices(self):
        self.config["root"]["readonly"] = True
        self.config["mounts"] = [m for m in self.config["mounts"] if not m["destination"].startswith("/dev")]
        self.assertEqual(self.output("echo gone > /dev/null && head -c 3 /dev/zero | wc -c"), "3\n")

    @rule("MUST", "config.md#root", "root.path: relative to the bundle, or absolute")
    def test_writable(self):
        self.output("touch /file")
        self.assertTrue((self.rootfs / "file").exists())

    @rule("MUST", "config.md#root", "root.path is a directory that exists")
    def test_missing(self):
        self.config["root"]["path"] = "no-such-rootfs"
        self.assertRefused("no-such-rootfs")

    @rule("MUST", "config.md#root", "root.path is a directory that exists")
    def test_file(self):
        (self.bundle / "file").write_text("")
        self.config["root"]["path"] = "file"
        self.assertFails(self.create())
        self.assertNothingLeft()

    @rule("MUST", "config.md#root", "root.path: relative to the bundle, or absolute")
    def test_absolute_path(self):
        self.config["root"]["path"] = str(self.rootfs)
        self.assertEqual(self.output("echo $((1 + 1))"), "2\n")

    @rule("MUST", "config.md#root", "root is needed")
    def test_no_root(self):
        del self.config["root"]
        self.assertFails(self.create(), "root")
        self.assertNothingLeft()

    def test_no_pivot(self):
        self.sh("ls -d /proc/1 /bin /work /root 2>/dev/null; ls / | sort | tr '\\n' ' '")
        result = self.run_container("--no-pivot")
        self.assertOk(result)
        names = set(result.out.splitlines()[-1].split())
        self.assertEqual(names, {p.name for p in self.rootfs.iterdir()})

    def test_no_pivot_read_only_and_masks(self):
        self.config["root"]["readonly"] = True
        self.sh("touch /file 2>&1; cat /proc/kcore | wc -c")
        result = self.run_container("--no-pivot")
        self.assertOk(result)
        self.assertIn("Read-only", result.out)
        self.assertEqual(result.out.splitlines()[1], "0")


class Masks(Mounts):
    def setUp(self):
        super().setUp()
        (self.rootfs / "secret").mkdir()
        (self.rootfs / "secret/file").write_text("secret\n")
        (self.rootfs / "etc/shadow").write_text("secret\n")
        self.add_capabilities("CAP_DAC_OVERRIDE")

    @rule("MUST", "config-linux.md#masked-paths", "what is masked cannot be read")
    def test_directory(self):
        self.linux["maskedPaths"].append("/secret")
        self.assertEqual(self.output("ls -A /secret; touch /secret/x 2>&1; true").count("Read-only"), 1)
        self.assertIn("ro", self.mounts()["/secret"].options)

    @rule("MUST", "config-linux.md#masked-paths", "what is masked cannot be read")
    def test_file(self):
        self.linux["maskedPaths"].append("/etc/shadow")
        self.assertEqual(self.output("cat /etc/shadow; stat -c %t:%T /etc/shadow"), "1:3\n")

    def test_missing_is_ignored(self):
        self.linux["maskedPaths"] += ["/no/such/path", "/etc/passwd/below"]
        self.assertEqual(self.output("echo fine"), "fine\n")

    @rule("MUST", "config-linux.md#masked-paths", "paths are absolute")
    def test_relative_is_an_error(self):
        self.linux["maskedPaths"].append("secret")
        self.assertRefused("maskedPaths")

    @rule("MUST", "config-linux.md#masked-paths", "what is masked cannot be read")
    def test_in_proc(self):
        self.assertEqual(self.output("cat /proc/kcore | wc -c; cat /proc/keys | wc -c"), "0\n0\n")

    def test_hidden_below_a_mount(self):
        (self.bundle / "data").mkdir()
        (self.bundle / "data/file").write_text("secret\n")
        self.bind("data", "/mnt")
        self.linux["maskedPaths"].append("/mnt/file")
        self.assertEqual(self.output("cat /mnt/file"), "")

    def test_many(self):
        for number in range(40):
            (self.rootfs / f"secret/{number}").mkdir()
        self.linux["maskedPaths"] += [f"/secret/{number}" for number in range(40)]
        self.assertEqual(self.output("ls -d /secret/* | wc -l; ls -A /secret/0 /secret/39 | grep -v secret | wc -w"),
                         "41\n0\n")

    @rule("MUST", "config-linux.md#readonly-paths", "what is listed is read-only")
    def test_read_only_directory(self):
        self.linux["readonlyPaths"].append("/secret")
        self.assertEqual(self.output("cat /secret/file; touch /secret/x 2>&1; true").count("Read-only"), 1)

    @rule("MUST", "config-linux.md#readonly-paths", "what is listed is read-only")
    def test_read_only_file(self):
        self.linux["readonlyPaths"].append("/etc/shadow")
        self.assertEqual(self.output("cat /etc/shadow; { echo x > /etc/shadow; } 2>&1; true").count("Read-only"), 1)

    def test_read_only_with_mounts_below(self):
        self.add("/secret/deep")
        self.linux["readonlyPaths"].append("/secret")
        self.assertEqual(self.output("touch /secret/deep/x 2>&1; true").count("Read-only"), 1)

    def test_read_only_keeps_the_other_flags(self):
        self.add("/m", options=["nosuid", "nodev", "noexec"])
        self.linux["readonlyPaths"].append("/m")
        self.assertLessEqual({"ro", "nosuid", "nodev", "noexec"}, self.mounts()["/m"].options)

    @rule("MUST", "config-linux.md#readonly-paths", "what is listed is read-only")
    def test_read_only_in_proc(self):
        self.assertIn("ro", self.mounts()["/proc/sys"].options)
        self.assertEqual(self.output("{ echo 1 > /proc/sys/net/ipv4/ip_forward; } 2>&1; true").count("Read-only"), 1)

    def test_read_only_missing_is_ignored(self):
        self.linux["readonlyPaths"].append("/no/such/path")
        self.assertEqual(self.output("echo fine"), "fine\n")

    @rule("MUST", "config-linux.md#readonly-paths", "paths are absolute")
    def test_read_only_relative_is_an_error(self):
        self.linux["readonlyPaths"].append("secret")
        self.assertRefused("readonlyPaths")

    def test_cannot_be_unmounted(self):
        self.linux["maskedPaths"].append("/etc/shadow")
        self.assertNotIn("secret", self.output("umount /etc/shadow 2>/dev/null; cat /etc/shadow"))


if __name__ == "__main__":
    main()
