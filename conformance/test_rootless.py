"""Containers of an ordinary user: everything is done as one that the test makes, with ranges in /etc/subuid and /etc/subgid.

What such a user cannot have must be said clearly, before anything is made.
"""

import contextlib
import json
import os
import pathlib
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import unittest

from harness import IS_NUCLEUS, RUNTIME, TIMEOUT, Case, command, is_alive, main, make_rootfs, parse_mounts, wait_until
from test_faults import HAS_SWITCH

RANGE = 500000  # the first id of the user's range; the tests run on hosts of their own or with few users
COUNT = 65536
TOOLS = ("useradd", "userdel", "usermod", "newuidmap", "newgidmap")
MISSING = [tool for tool in TOOLS if not shutil.which(tool)]


class User:
    """A user of the host, with ranges of ids to map, a home, and a directory for its sockets."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="nucleus-user."))
        self.directory.chmod(0o755)
        self.name = f"nt{os.getpid()}"
        self.home = self.directory / "home"
        # -r: no ranges of useradd's own choice.
        self._shadow("useradd", "-r", "-M", "-d", self.home, "-s", "/bin/sh", "-U", self.name)
        self._shadow("usermod", "--add-subuids", f"{RANGE}-{RANGE + COUNT - 1}", "--add-subgids", f"{RANGE}-{RANGE + COUNT - 1}",
                     self.name)
        entry = pwd.getpwnam(self.name)
        self.uid, self.gid = entry.pw_uid, entry.pw_gid
        for path in (self.home, self.directory / "runtime-dir"):
            path.mkdir(mode=0o700)
            os.chown(path, self.uid, self.gid)
        # Where the program is built, an ordinary user may not come.
        self.runtime = self.directory / os.path.basename(RUNTIME)
        shutil.copy(RUNTIME, self.runtime)
        self.runtime.chmod(0o755)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.directory / "runtime-dir")}

    def _shadow(self, *args):
        result = command(args)
        if result.status != 0:
            raise AssertionError(result)

    def close(self):
        self._shadow("userdel", self.name)
        for name in ("/etc/subuid", "/etc/subgid"):
            assert self.name not in pathlib.Path(name).read_text(), name
        shutil.rmtree(self.directory)

    def as_user(self):
        """For subprocess: who runs it."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, *paths):
        for path in paths:
            for parent, directories, files in os.walk(path):
                for name in (".", *directories, *files):
                    os.chown(os.path.join(parent, name), self.uid, self.gid, follow_symlinks=False)


def setUpModule():
    global user
    if MISSING or not os.path.isfile(RUNTIME):
        raise unittest.SkipTest(f"not here: {' '.join(MISSING)}")
    user = User()
    unittest.addModuleCleanup(user.close)


class Rootless(Case):
    """A bundle of the user's: `spec --rootless`, with a network namespace."""

    ranges = False

    def setUp(self):
        super().setUp()
        self.env = dict(user.env)
        del self.linux["cgroupsPath"], self.linux["resources"]
        self.linux["namespaces"].append({"type": "user"})
        self.map([(0, user.uid, 1)], [(0, user.gid, 1)])
        if self.ranges:
            self.map([(0, user.uid, 1), (1, RANGE, COUNT)], [(0, user.gid, 1), (1, RANGE, COUNT)])
        else:
            for mount in self.config["mounts"]:  # there is no group of terminals
                mount["options"] = [o for o in mount.get("options", []) if o != "gid=5"]
        user.give(self.directory)

    def map(self, uids, gids):
        for name, mappings in (("uidMappings", uids), ("gidMappings", gids)):
            self.linux[name] = [{"containerID": c, "hostID": h, "size": n} for c, h, n in mappings]

    def runtime(self, *args, **keywords):
        keywords = {"env": self.env, **user.as_user(), **keywords}
        return command([user.runtime, "--root", self.root, *args], **keywords)

    def mount_named(self, destination):
        return next(m for m in self.config["mounts"] if m["destination"] == destination)

    def replace_mount(self, destination, **mount):
        """In place: the order of mounts matters."""
        old = self.mount_named(destination)
        old.clear()
        old.update(destination=destination, **mount)

    def host_status(self, pid, key):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return line.split()[1:]


class Life:
    """The same with one id and with ranges."""

    def test_run(self):
        self.assertEqual(self.output("id -u; id -g; cat /proc/self/status | grep -c ^CapEff"), "0\n0\n1\n")

    @unittest.skipUnless(IS_NUCLEUS, "an option of nucleus")
    def test_traced_and_learned(self):
        """Learning is not root's alone: exec too, and the look into the memory of what the user's own container runs."""
        trace = self.directory / "trace.ndjson"
        self.sh("exec sleep 1000")
        self.assertOk(self.create("--seccomp-trace", trace))
        self.assertOk(self.start())
        self.assertOk(self.exec("/bin/probe", "syscall", "121"))
        self.assertOk(self.delete("--force"))
        lines = [json.loads(line) for line in trace.read_text().splitlines()]
        self.assertIn("getpgid", {line.get("syscall") for line in lines})
        self.assertEqual(lines[-1], {"end": True, "dropped": 0})
        self.assertEqual(trace.stat().st_uid, user.uid)
        self.sh("cat /etc/passwd >/dev/null; echo x >/tmp/learned")
        self.write()
        self.assertOk(self.runtime("learn", "--bundle", self.bundle, "-o", self.directory / "out", self.id))
        self.assertIn('path = "/etc/passwd"', (self.directory / "out/landlock.toml").read_text())

    def test_exit_status(self):
        self.sh("exit 7")
        self.assertEqual(self.run_container().status, 7)

    def pin_rootfs(self):
        result = command([user.runtime, "attest", "create", "-o", self.bundle / "manifest", self.rootfs], **user.as_user())
        self.assertOk(result)
        self.config["root"]["readonly"] = True
        self.config["annotations"] = {"dev.nucleus.rootfs.manifest": "manifest@" + result.out.strip().rpartition("@")[2]}

    def test_an_attested_root(self):
        (self.rootfs / "etc/word").write_text("good")
        self.pin_rootfs()
        self.assertEqual(self.output("cat /etc/word; echo > /etc/new || true"), "good")
        (self.rootfs / "etc/word").write_text("evil")
        self.assertRefused("different /etc/word: content differs")

    @unittest.skipUnless(HAS_SWITCH, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
    def test_an_attested_root_that_is_exchanged(self):
        self.pin_rootfs()
        self.write()
        user.give(self.bundle)
        shutil.copytree(self.rootfs, self.directory / "other", symlinks=True)
        with tempfile.TemporaryFile("w+") as err:
            process = subprocess.Popen([user.runtime, "--root", self.root, "create", "--bundle", self.bundle, self.id], stderr=err,
                                       stdin=subprocess.DEVNULL, env={**self.env, "NUCLEUS_FAULT": "stop:create.clone"},
                                       **user.as_user())
            self.assertEqual(os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT).si_code, os.CLD_STOPPED)
            self.rootfs.rename(self.directory / "away")
            (self.directory / "other").rename(self.rootfs)
            process.send_signal(signal.SIGCONT)
            self.assertEqual(process.wait(TIMEOUT), 1)
            err.seek(0)
            self.assertIn("is not the directory any more that was verified", err.read())
        self.assertNothingLeft()

    def test_create_start_exec_kill_delete(self):
        self.process["args"] = ["/bin/sleep", "1000"]
        self.assertOk(self.create("--pid-file", self.directory / "pid"))
        self.assertEqual(self.status(), "created")
        pid = self.state()["pid"]
        self.assertEqual((self.directory / "pid").read_text(), str(pid))
        self.assertEqual(set(self.host_status(pid, "Uid")), {str(user.uid)})
        self.assertOk(self.start())
        self.assertEqual(self.status(), "running")
        result = self.exec("/bin/sh", "-c", "id -u; cat /proc/1/comm; exit 5")
        self.assertEqual((result.status, result.out), (5, "0\nsleep\n"))
        self.assertFails(self.delete(), "not stopped")
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertOk(self.delete())
        self.assertFails(self.runtime("state", self.id), "does not exist")

    def test_init(self):
        self.config["annotations"] = {"dev.nucleus.init": "on"}
        self.running("trap 'exit 3' TERM; while :; do sleep 0.01; done")
        result = self.exec("/bin/sh", "-c", "cat /proc/1/comm; ls /proc/1/fd; grep CapPrm /proc/1/status; exit 5")
        self.assertEqual((result.status, result.out.split()[0]), (5, "nucleus-init"), result)
        self.assertOk(self.kill("TERM"))
        self.wait_stopped()
        self.assertOk(self.delete())

    def test_detached(self):
        self.process["args"] = ["/bin/sleep", "1000"]
        self.assertOk(self.run_container("--detach"))
        self.assertEqual(self.status(), "running")
        self.assertOk(self.delete("--force"))

    def test_state_and_list(self):
        self.process["args"] = ["/bin/sleep", "1000"]
        self.assertOk(self.create())
        table = self.runtime("list")
        self.assertOk(table)
        self.assertRegex(table.out, rf"{self.id} .*created .*{user.name}")
        listed = json.loads(self.runtime("list", "--format", "json").out)
        self.assertEqual([(c["id"], c["owner"]) for c in listed], [(self.id, user.name)])

    def test_ps(self):
        pid = self.running()
        result = self.runtime("ps", "--format", "json", self.id)
        self.assertOk(result)
        self.assertEqual(json.loads(result.out), [pid])

    def test_default_root(self):
        """Without --root: below $XDG_RUNTIME_DIR, with the sticky bit, which keeps it from being cleaned away."""
        self.write()
        for arguments in (["create", "--bundle", self.bundle, self.id], ["list", "--quiet"], ["delete", self.id]):
            result = command([user.runtime, *arguments], env=self.env, **user.as_user())
            self.assertOk(result)
            if arguments[0] == "list":
                self.assertEqual(result.out, f"{self.id}\n")
        if IS_NUCLEUS:
            root = pathlib.Path(self.env["XDG_RUNTIME_DIR"], "nucleus")
            self.assertTrue(root.stat().st_mode & stat.S_ISVTX)
            self.assertEqual(root.stat().st_uid, user.uid)

    def test_terminal(self):
        self.process["terminal"] = True
        self.process["args"] = ["/bin/sh", "-c", "test -t 0 && echo a terminal"]
        self.write()
        script = f"{user.runtime} --root {self.root} run --bundle {self.bundle} {self.id}"
        result = command([shutil.which("script"), "-qec", script, "/dev/null"], env={**self.env, "SHELL": "/bin/sh"}, **user.as_user())
        self.assertIn("a terminal", result.out, result)

    def test_hooks(self):
        log = self.directory / "log"
        self.config["hooks"] = {kind: [{"path": "/bin/sh", "args": ["sh", "-c", f"echo {kind} $(id -u) >> {log}"]}]
                                for kind in ("createRuntime", "poststart", "poststop")}
        self.assertOk(self.run_container())
        self.assertEqual(log.read_text().split("\n")[:-1],
                         [f"{kind} {user.uid}" for kind in ("createRuntime", "poststart", "poststop")])

    def test_seccomp(self):
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]}
        self.assertIn("not supported", self.output("mkdir /tmp/x 2>&1; true"))

    def test_failure_leaves_nothing(self):
        self.process["args"] = ["/no/such"]
        self.assertFails(self.create(), "/no/such")
        self.assertNothingLeft()
        self.process["args"] = ["/bin/true"]
        self.assertOk(self.run_container())

    # ---- what it sees

    def test_proc(self):
        self.assertEqual(self.output("echo $$; exec cat /proc/1/comm").split(), ["1", "cat"])
        self.assertEqual(self.output("cat /proc/kcore | wc -c").strip(), "0")
        self.sh("echo 1 > /proc/sysrq-trigger")
        self.assertNotEqual(self.run_container().status, 0)

    def test_sys_of_a_network_namespace_of_its_own(self):
        mounts = parse_mounts(self.output("cat /proc/self/mountinfo"))
        self.assertEqual(mounts["/sys"].type, "sysfs")
        self.assertIn("ro", mounts["/sys"].options)
        self.assertEqual(self.output("ls /sys/class/net").split(), ["lo"])

    def test_sys_in_the_hosts_network_namespace(self):
        self.without_namespace("network")
        # A filesystem of the network namespace, which is not the user's.
        self.assertRefused("/sys", "operation not permitted")
        # The host's instead, as `spec --rootless` has it; what is mounted below the host's is read-only too.
        self.replace_mount("/sys", type="none", source="/sys", options=["rbind", "nosuid", "noexec", "nodev", "ro"])
        mounts = parse_mounts(self.output("cat /proc/self/mountinfo"))
        below = [mount for point, mount in mounts.items() if (point + "/").startswith("/sys/")]
        self.assertGreater(len(below), 1)
        for mount in below:
            self.assertIn("ro", mount.options, mount)

    def test_devices(self):
        out = self.output("for d in null zero full random urandom tty; do stat -c '%n %t:%T' /dev/$d; done; echo x > /dev/null; "
                          "head -c 4 /dev/zero | wc -c; ls -l /dev/ptmx")
        self.assertIn("/dev/null 1:3", out)
        self.assertIn("/dev/urandom 1:9", out)
        self.assertIn("\n4\n", out)

    def test_device_nodes_cannot_be_made(self):
        self.add_capabilities("CAP_MKNOD")
        self.assertIn("not permitted", self.output("mknod /tmp/n c 1 3 2>&1; true"))

    def test_files_of_others_stay_out_of_reach(self):
        """Root inside is the user outside."""
        secret = self.directory / "secret"
        secret.write_text("secret")
        os.chown(secret, 0, 0)
        secret.chmod(0o600)
        target = self.rootfs / "mnt/secret"
        target.touch()
        self.config["mounts"].append({"destination": "/mnt/secret", "type": "bind", "source": str(secret), "options": ["bind", "ro"]})
        self.add_capabilities("CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_SYS_ADMIN")
        out = self.output("cat /mnt/secret 2>&1; chmod 777 /mnt/secret 2>&1; true")
        self.assertIn("Permission denied", out)
        self.assertNotIn("secret\n", out.replace("/mnt/secret", ""))

    def test_hosts_mount_flags_are_kept(self):
        """nosuid, nodev and read-only of the host's mounts are locked in a user namespace: a bind mount keeps them."""
        self.host_mount("ro", "ro,nosuid,nodev,noexec")
        self.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(self.directory / "ro"),
                                      "options": ["bind"]})
        options = parse_mounts(self.output("cat /proc/self/mountinfo"))["/mnt"].options
        self.assertLessEqual({"ro", "nosuid", "nodev", "noexec"}, options)

    # ---- what cannot be

    def test_network_devices(self):
        self.linux["netDevices"] = {"lo": {"name": "x"}}
        self.assertRefused("linux.netDevices")

    def test_without_a_user_namespace(self):
        self.without_namespace("user")
        del self.linux["uidMappings"], self.linux["gidMappings"]
        self.assertRefused("rootless container requires user namespaces")

    def test_limits_without_a_cgroup(self):
        self.linux["resources"] = {"pids": {"limit": 50}}
        self.assertFails(self.create(), "pids")
        self.assertNothingLeft()

    def test_cgroups_path_that_is_not_the_users(self):
        self.linux["cgroupsPath"] = f"/nucleus-test/{self.id}"
        self.assertFails(self.create(), "permission denied")
        self.assertNothingLeft()

    def test_update_and_pause_without_a_cgroup(self):
        self.running()
        self.assertFails(self.runtime("update", "--pids-limit", "50", self.id))
        self.assertFails(self.runtime("pause", self.id))
        self.assertEqual(self.status(), "running")

    def test_join_the_hosts_namespaces(self):
        for kind, name in (("uts", "uts"), ("network", "net")):
            with self.subTest(kind):
                self.without_namespace(kind)
                self.linux["namespaces"].append({"type": kind, "path": f"/proc/1/ns/{name}"})
                self.assertFails(self.create(), "permi")  # permission denied, or not permitted
                self.assertNothingLeft()
                self.linux["namespaces"][-1].pop("path")

    def test_raise_rlimit(self):
        hard = int(self.output("ulimit -Hn"))
        self.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": hard + 1, "hard": hard + 1}]
        self.assertRefused("rlimit", "operation not permitted")


class OneId(Life, Rootless):
    """The user is mapped alone: that needs no helper, and there is none in reach."""

    def setUp(self):
        super().setUp()
        tools = self.directory / "no-tools"
        tools.mkdir()
        self.env["PATH"] = str(tools)

    def test_mapping(self):
        out = self.output("cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups")
        self.assertEqual(out.split(), ["0", str(user.uid), "1", "0", str(user.gid), "1", "deny"])

    def test_root_is_not_mapped(self):
        """A container is built as its root."""
        self.map([(user.uid, user.uid, 1)], [(user.gid, user.gid, 1)])
        self.process["user"] = {"uid": user.uid, "gid": user.gid}
        self.assertRefused("linux.uidMappings", "0")
        self.map([(0, user.uid, 1)], [(user.gid, user.gid, 1)])
        self.assertRefused("linux.gidMappings", "0")

    def test_user_that_is_not_mapped(self):
        self.process["user"] = {"uid": 1000, "gid": 0}
        self.assertRefused("1000", "invalid argument")
        self.process["user"] = {"uid": 0, "gid": 1000}
        self.assertRefused("1000", "invalid argument")

    def test_additional_groups(self):
        self.process["user"]["additionalGids"] = [0]
        self.assertRefused("additionalGids", "setgroups")

    def test_exec_as_another_user(self):
        self.running()
        self.assertFails(self.exec("/bin/true", flags=["--user", "1000"]), "1000", status=255)

    def test_ranges_need_the_helpers(self):
        self.map([(0, user.uid, 1), (1, RANGE, COUNT)], [(0, user.gid, 1)])
        self.assertRefused("linux.uidMappings", "newuidmap", "$PATH")
        self.map([(0, user.uid, 1)], [(0, user.gid, 1), (1, RANGE, COUNT)])
        self.assertRefused("linux.gidMappings", "newgidmap", "$PATH")

    def test_terminals_group_is_not_mapped(self):
        self.mount_named("/dev/pts")["options"].append("gid=5")
        self.assertRefused("/dev/pts", "invalid argument")


class Ranges(Life, Rootless):
    """More ids, by newuidmap and newgidmap."""

    ranges = True

    def test_mapping(self):
        out = self.output("cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups")
        self.assertEqual(out.split(), ["0", str(user.uid), "1", "1", str(RANGE), str(COUNT),
                                       "0", str(user.gid), "1", "1", str(RANGE), str(COUNT), "allow"])

    def test_another_user(self):
        self.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [5, 7]}
        self.assertEqual(self.output("id -u; id -g; grep ^Groups: /proc/self/status").split(),
                         ["1000", "1001", "Groups:", "5", "7"])
        pid = self.running()
        self.assertEqual(set(self.host_status(pid, "Uid")), {str(RANGE + 999)})
        self.assertEqual(set(self.host_status(pid, "Gid")), {str(RANGE + 1000)})

    def test_exec_as_another_user(self):
        self.running()
        result = self.exec("/bin/sh", "-c", "id -u; id -g", flags=["--user", "33:34"])
        self.assertEqual(result.out, "33\n34\n")

    def test_owner_of_files(self):
        self.add_capabilities("CAP_CHOWN")
        self.assertEqual(self.output("touch /tmp/f && chown 12:13 /tmp/f && stat -c %u:%g /tmp/f"), "12:13\n")
        status = (self.rootfs / "tmp/f").stat()
        self.assertEqual((status.st_uid, status.st_gid), (RANGE + 11, RANGE + 12))

    def test_ids_that_are_not_the_users(self):
        for uids, gids, words in (([(0, 0, 1)], [(0, user.gid, 1)], ("linux.uidMappings", "newuidmap")),
                                  ([(0, user.uid, 1)], [(0, 0, 1)], ("linux.gidMappings", "newgidmap")),
                                  ([(0, user.uid, 1), (1, RANGE, COUNT + 1)], [(0, user.gid, 1)],
                                   ("linux.uidMappings", "newuidmap")),
                                  ([(0, user.uid, 1), (1, RANGE - 1, 2)], [(0, user.gid, 1)],
                                   ("linux.uidMappings", "newuidmap"))):
            with self.subTest(uids=uids, gids=gids):
                self.map(uids, gids)
                self.assertRefused(*words)

    def test_user_beyond_the_range(self):
        self.process["user"] = {"uid": COUNT + 1, "gid": 0}
        self.assertRefused(str(COUNT + 1), "invalid argument")

    def test_idmapped_mount(self):
        """The kernel wants privilege over the filesystem itself."""
        self.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(self.directory), "options": ["bind"],
                                      "uidMappings": self.linux["uidMappings"], "gidMappings": self.linux["gidMappings"]})
        self.assertFails(self.create(), "idmap")
        self.assertNothingLeft()

    def test_joined_user_namespace(self):
        """A second container in the namespaces of the first."""
        pid = self.running()
        for kind, name in (("user", "user"), ("network", "net"), ("ipc", "ipc")):
            self.without_namespace(kind)
            self.linux["namespaces"].append({"type": kind, "path": f"/proc/{pid}/ns/{name}"})
        del self.linux["uidMappings"], self.linux["gidMappings"]
        self.sh("readlink /proc/self/ns/net; id -u")
        result = self.run_container(id=self.id + "-b")
        self.assertOk(result)
        self.assertEqual(result.out.split(), [os.readlink(f"/proc/{pid}/ns/net"), "0"])


CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
[engine.runtimes]
nucleus = ["{runtime}"]
"""


@unittest.skipUnless(shutil.which("podman") and shutil.which("conmon"), "podman or conmon is not here")
class Podman(unittest.TestCase):
    """The user's podman. It calls the runtime as root of a user namespace of its own, without --root."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.directory = user.directory / "podman"
        cls.directory.mkdir()
        rootfs = make_rootfs(cls.directory / "rootfs")
        (rootfs / "etc/not-executable").write_text("#!/bin/sh\n")
        os.makedirs(cls.directory / "tmp")
        conf = cls.directory / "containers.conf"
        conf.write_text(CONTAINERS_CONF.format(runtime=user.runtime))
        archive = cls.directory / "box.tar"
        cls.assert_ok(command(["tar", "-C", rootfs, "-cf", archive, "."]))
        user.give(cls.directory)
        cls.env = {**user.env, "CONTAINERS_CONF": str(conf), "TMPDIR": str(cls.directory / "tmp")}
        cls.addClassCleanup(cls.end)
        cls.assert_ok(cls.podman("import", archive, "box"))

    @staticmethod
    def assert_ok(result):
        if result.status != 0:
            raise AssertionError(result)

    @classmethod
    def podman(cls, *args, **keywords):
        return command(["podman", "--storage-driver", "vfs", "--log-level", "error", "--runtime", "nucleus", *args],
                       env=cls.env, cwd=cls.directory, **user.as_user(), **keywords)

    @classmethod
    def end(cls):
        # A process of podman's stays to keep its user namespace.
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{pid}").st_uid == user.uid:
                    os.kill(int(pid), signal.SIGKILL)
                    wait_until(lambda pid=pid: not is_alive(pid), "the user's process ended")

    def tearDown(self):
        self.podman("rm", "--force", "--all", "--time", "0")
        state = pathlib.Path(user.env["XDG_RUNTIME_DIR"], "nucleus")
        self.assertEqual([path.name for path in state.iterdir() if "," not in path.name], [])

    def box(self, *args, flags=()):
        return self.podman("run", "--network", "none", "--rm", *flags, "box", *args)

    def test_run(self):
        result = self.box("/bin/sh", "-c", "id -u; cat /proc/self/uid_map")
        self.assert_ok(result)
        self.assertEqual(result.out.split(), ["0", "0", str(user.uid), "1", "1", str(RANGE), str(COUNT)])

    def test_exit_status(self):
        self.assertEqual(self.box("/bin/sh", "-c", "exit 7").status, 7)
        self.assertEqual(self.box("/no/such").status, 127)
        self.assertEqual(self.box("/etc/not-executable").status, 126)

    def test_detached_exec_and_rm(self):
        self.assert_ok(self.podman("run", "--network", "none", "--detach", "--name", "one", "box", "/bin/sleep", "1000"))
        result = self.podman("exec", "one", "/bin/sh", "-c", "id -u; cat /proc/1/comm; exit 3")
        self.assertEqual((result.status, result.out), (3, "0\nsleep\n"))
        self.assertEqual(self.podman("ps", "--format", "{{.Names}}").out, "one\n")
        self.assertEqual(self.podman("inspect", "--format", "{{.OCIRuntime}} {{.State.Status}}", "one").out, "nucleus running\n")
        self.assert_ok(self.podman("rm", "--force", "--time", "0", "one"))
        self.assertEqual(self.podman("ps", "--all", "--quiet").out, "")

    def test_kill(self):
        self.assert_ok(self.podman("run", "--network", "none", "--detach", "--name", "one", "box", "/bin/sleep", "1000"))
        self.assert_ok(self.podman("kill", "--signal", "KILL", "one"))
        self.assertEqual(self.podman("wait", "one").out, "137\n")

    def test_user_and_volume(self):
        volume = self.directory / self.id()
        volume.mkdir()
        volume.chmod(0o777)
        self.assert_ok(self.box("/bin/sh", "-c", "touch /mnt/f", flags=["--user", "1000:1001", "--volume", f"{volume}:/mnt"]))
        status = (volume / "f").stat()
        self.assertEqual((status.st_uid, status.st_gid), (RANGE + 999, RANGE + 1000))
        result = self.box("/bin/touch", "/mnt/g", flags=["--volume", f"{volume}:/mnt:ro"])
        self.assertNotEqual(result.status, 0)
        self.assertIn("Read-only", result.err)

    def test_hosts_network(self):
        result = self.podman("run", "--network", "host", "--rm", "box", "/bin/readlink", "/proc/self/ns/net")
        self.assert_ok(result)
        self.assertEqual(result.out.strip(), os.readlink("/proc/self/ns/net"))

    def test_read_only_and_capabilities(self):
        result = self.box("/bin/sh", "-c", "touch /x; grep ^CapEff /proc/self/status", flags=["--read-only", "--cap-drop", "all"])
        self.assert_ok(result)
        self.assertIn("Read-only", result.err)
        self.assertEqual(int(result.out.split()[-1], 16), 0)


class Cgroups(Rootless):
    """A part of the cgroup tree that was given to the user."""

    ranges = True

    def setUp(self):
        super().setUp()
        self.name = f"nt-user-{self.id}"
        self.given = []
        self.own = None
        self.addCleanup(self._take_back)
        root = pathlib.Path("/sys/fs/cgroup")
        hierarchies = [root] if (root / "cgroup.controllers").exists() else \
            [path for path in root.iterdir() if path.is_dir() and not path.is_symlink()]
        for hierarchy in hierarchies:
            self._give_part_of(hierarchy)
        self.linux["cgroupsPath"] = f"/{self.name}/{self.id}"

    def _give_part_of(self, hierarchy):
        top = hierarchy / self.name
        top.mkdir()
        self.given.append(top)
        parts = [top]
        if (hierarchy / "cgroup.controllers").exists():
            # v2: whoever moves a process needs the cgroup that holds both where it was and where it goes.
            self.own = top / "own"
            self.own.mkdir()
            parts.append(self.own)
            for controller in {"pids", "memory"} & set((hierarchy / "cgroup.controllers").read_text().split()):
                (hierarchy / "cgroup.subtree_control").write_text(f"+{controller}")
                (top / "cgroup.subtree_control").write_text(f"+{controller}")
        elif (top / "cpuset.cpus").exists():
            for file in ("cpuset.cpus", "cpuset.mems"):
                (top / file).write_text((hierarchy / file).read_text())
        for part in parts:
            for file in ("", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads", "tasks"):
                if (part / file).exists():
                    os.chown(part / file, user.uid, user.gid)

    def _take_back(self):
        self._check_nothing_left()
        for top in self.given:
            for below in [*top.glob("*/"), top]:
                below.rmdir()

    def runtime(self, *args, **keywords):
        # Into the user's cgroup by a shell that is still root, as systemd would at its login.
        if self.own is None:
            return super().runtime(*args, **keywords)
        keywords = {"env": self.env, **keywords}
        return command(["sh", "-c", f'echo $$ > {self.own}/cgroup.procs && exec setpriv --reuid {user.uid} --regid {user.gid} '
                        '--clear-groups "$@"', "sh", user.runtime, "--root", self.root, *args], **keywords)

    def file(self, pid, controller, name):
        for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                return pathlib.Path(f"/sys/fs/cgroup/{controllers.replace('name=', '')}{path}/{name}")
        return pathlib.Path(f"/sys/fs/cgroup{path}/{name}")

    def test_limit(self):
        self.linux["resources"] = {"pids": {"limit": 77}}
        pid = self.running()
        self.assertIn(self.id, pathlib.Path(f"/proc/{pid}/cgroup").read_text())
        self.assertEqual(self.file(pid, "pids", "pids.max").read_text(), "77\n")

    def test_update(self):
        pid = self.running()
        self.assertOk(self.runtime("update", "--pids-limit", "66", self.id))
        self.assertEqual(self.file(pid, "pids", "pids.max").read_text(), "66\n")

    def test_pause_and_resume(self):
        self.running()
        self.assertOk(self.runtime("pause", self.id))
        self.assertEqual(self.status(), "paused")
        self.assertOk(self.runtime("resume", self.id))
        self.assertEqual(self.status(), "running")

    def test_exec_is_in_the_same_cgroup(self):
        pid = self.running()
        self.assertOk(self.exec("/bin/sleep", "1000", flags=["--detach", "--pid-file", self.directory / "exec-pid"]))
        other = (self.directory / "exec-pid").read_text()
        self.assertEqual(pathlib.Path(f"/proc/{other}/cgroup").read_text(), pathlib.Path(f"/proc/{pid}/cgroup").read_text())

    def test_delete_takes_all_processes(self):
        self.running("sleep 1000 & sleep 1000 & exec sleep 1000")
        self.assertOk(self.delete("--force"))
        self.assertNothingLeft()

    def test_device_rules_are_not_to_be_had(self):
        """As with other runtimes they are no error: an ordinary user's container can make no device nodes."""
        self.linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}], "pids": {"limit": 7}}
        self.assertEqual(self.output("cat /dev/null && echo ok"), "ok\n")


if __name__ == "__main__":
    main()
