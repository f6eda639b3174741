"""exec: one more process of a container is confined exactly as init, and its flags change only what they say."""

import array
import fcntl
import json
import os
import pathlib
import select
import signal
import socket
import struct
import termios

import harness
from harness import Case, capability_names, ids, is_alive, main, rule, wait_until

# What differs from process to process by nature.
OWN = {"pid", "ppid", "pgrp", "sid", "clocks", "status", "fds", "environment"}
if harness.GVISOR:
    OWN.add("namespaces")  # its /proc tells two of them, by another number for each process


class Exec(Case):
    def facts(self, *flags):
        return self.exec_probe("facts", flags=flags)

    def assertSame(self, init, other, *but):
        for name in init.keys() - OWN - set(but):
            self.assertEqual(other[name], init[name], name)
        wanted = [line for line in init["status"]
                  if line.split(":")[0] in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp",
                                            "Seccomp_filters", "Umask", "Uid", "Gid", "Groups", "Cpus_allowed_list",
                                            "Speculation_Store_Bypass")]
        self.assertEqual([line for line in wanted if line not in other["status"]], [])
        self.assertEqual(sorted(other["fds"]), ["0", "1", "2"])


class Confined(Exec):
    def test_as_the_simplest_init(self):
        init = self.hold()
        self.assertSame(init, self.facts())

    def test_as_an_init_with_everything(self):
        some = ["CAP_CHOWN", "CAP_KILL", "CAP_SETPCAP"]
        self.config["domainname"] = "example.test"
        self.process.update({
            "user": {"uid": 1000, "gid": 1001, "umask": 0o27, "additionalGids": [5, 6]},
            "cwd": "/tmp",
            "capabilities": {"bounding": some, "permitted": some, "effective": some, "inheritable": some[:2],
                             "ambient": some[:1]},
            "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
                        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
            "oomScoreAdj": 333,
            "scheduler": {"policy": "SCHED_BATCH", "nice": 4},
            "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 6},
        })
        self.linux["personality"] = {"domain": "LINUX32"}
        self.linux["resources"]["cpu"] = {"cpus": "0"}
        self.linux["namespaces"].append({"type": "time"})
        self.linux["timeOffsets"] = {"boottime": {"secs": 1000000}}
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71}]}
        (self.rootfs / "tmp/facts.json").write_text("")
        (self.rootfs / "tmp/facts.json").chmod(0o666)
        init = self.hold()
        other = self.facts()
        self.assertSame(init, other)
        self.assertEqual(other["uids"], ids(1000))
        self.assertEqual(other["oom_score_adj"], 333)
        self.assertEqual(other["environment"], init["environment"])

    def test_in_a_user_namespace(self):
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        for path in [self.rootfs, *self.rootfs.rglob("*")]:
            os.chown(path, 100000, 100000, follow_symlinks=False)
        for directory in (self.directory, self.bundle):
            directory.chmod(0o755)
        init = self.hold()
        self.assertSame(init, self.facts())

    def test_without_any_namespace_of_its_own_but_mount(self):
        self.linux["namespaces"] = [{"type": "mount"}]
        del self.config["hostname"]
        self.linux["maskedPaths"] = self.linux["readonlyPaths"] = []
        self.config["mounts"] = [m for m in self.config["mounts"] if m["type"] not in ("mqueue", "sysfs")]
        init = self.hold()
        self.assertSame(init, self.facts())

    def test_created_but_not_started(self):
        self.process["args"] = ["/bin/sleep", "1000"]
        self.assertOk(self.create())
        self.assertEqual(self.facts()["namespaces"]["pid"],
                         os.readlink(f"/proc/{self.state()['pid']}/ns/pid"))

    def test_keyring_unasked_stays_unasked(self):
        init = self.hold("--no-new-keyring")
        self.assertEqual(self.facts()["keyring"], init["keyring"])

    def test_dumpable_and_signals(self):
        self.hold()
        facts = self.facts()
        self.assertEqual(facts["dumpable"], 1)
        self.assertEqual(facts["signals"], {"blocked": [], "ignored": []})

    def test_session_of_its_own(self):
        self.hold()
        facts = self.facts()
        self.assertEqual(facts["sid"], facts["pid"])
        self.assertFalse(facts["terminal"]["controlling"])

    def test_descriptors_of_the_caller(self):
        self.hold()
        files = [os.open("/", os.O_PATH) for _ in range(10)]
        try:
            result = self.exec("/bin/probe", "facts", pass_fds=files)
        finally:
            for file in files:
                os.close(file)
        self.assertOk(result)
        self.assertEqual(sorted(json.loads(result.out)["fds"]), ["0", "1", "2"])

    def test_preserved_descriptors(self):
        self.hold()
        script = 'exec 3</etc/hostname 4</etc/passwd; exec "$@"'
        result = harness.command(["/bin/sh", "-c", script, "sh", harness.RUNTIME, "--root", self.root, "exec",
                                  "--preserve-fds", "1", self.id, "/bin/probe", "facts"])
        self.assertOk(result)
        self.assertEqual(sorted(json.loads(result.out)["fds"]), ["0", "1", "2", "3"])

    def test_root_is_the_containers(self):
        init = self.hold()
        self.assertEqual(self.facts()["root_inode"], init["root_inode"])
        self.assertEqual(self.exec("/bin/ls", "/").out, self.exec("/bin/ls", "/../..").out)

    def test_what_init_mounted_is_seen(self):
        self.add_capabilities("CAP_SYS_ADMIN")
        self.running("mount -t tmpfs tmpfs /mnt && echo inside > /mnt/file && touch /tmp/done; exec sleep 1000")
        wait_until(lambda: (self.rootfs / "tmp/done").exists(), "mounted inside")
        self.assertEqual(self.exec("/bin/cat", "/mnt/file").out, "inside\n")


class Flags(Exec):
    def setUp(self):
        super().setUp()
        self.hold()

    def test_cap_does_not_fill_inheritable(self):
        facts = self.facts("--cap", "CAP_SYS_PTRACE")
        sets = {name: capability_names(mask) for name, mask in facts["capabilities"].items()}
        for name in ("bounding", "permitted", "effective"):
            self.assertIn("CAP_SYS_PTRACE", sets[name], name)
        self.assertEqual((sets["inheritable"], sets["ambient"]), (set(), set()))

    def test_without_cap_nothing_is_added(self):
        sets = self.facts()["capabilities"]
        self.assertEqual(sets["inheritable"], 0)
        self.assertNotIn("CAP_SYS_PTRACE", capability_names(sets["bounding"]))

    def test_cap_several(self):
        sets = self.facts("--cap", "CAP_SYS_PTRACE", "-c", "CAP_CHOWN")["capabilities"]
        self.assertLessEqual({"CAP_SYS_PTRACE", "CAP_CHOWN"}, capability_names(sets["effective"]))

    def test_cap_for_a_user_reaches_nothing(self):
        sets = self.facts("--user", "1000", "--cap", "CAP_SYS_PTRACE")["capabilities"]
        self.assertEqual((sets["effective"], sets["permitted"], sets["inheritable"]), (0, 0, 0))

    def test_user(self):
        facts = self.facts("--user", "1234:5678")
        self.assertEqual((facts["uids"], facts["gids"]), (ids(1234), ids(5678)))

    def test_user_alone_keeps_the_group(self):
        facts = self.facts("-u", "1234")
        self.assertEqual((facts["uids"], facts["gids"]), (ids(1234), ids(0)))

    def test_user_is_a_number_exactly(self):
        # Never a name of the image's passwd, and never what a lenient parser makes of it.
        (self.rootfs / "etc/passwd").write_text("1:x:0:0:root:/:/bin/sh\nuser:x:0:0::/:/bin/sh\n")
        self.assertEqual(self.facts("--user", "1")["uids"], ids(1))
        for text in ("user", "", " 1", "1 ", "+1", "-1", "0x1", "4294967296", "4294967295", "1:", ":1", "1:x", "1:2:3",
                     "1.0", "1e3", "١", "18446744073709551616", "1\n"):
            with self.subTest(text):
                if text == "":
                    continue
                result = self.exec("/bin/probe", "facts", flags=["--user", text])
                self.assertFails(result, status=255)
        result = self.exec("/bin/probe", "facts", flags=["--user", "01"])
        if result.status == 0:
            self.assertEqual(json.loads(result.out)["uids"], ids(1))

    def test_groups(self):
        facts = self.facts("--additional-gids", "100", "-g", "200")
        self.assertEqual(set(facts["groups"]) - {0}, {100, 200})

    def test_environment(self):
        environment = self.facts("--env", "A=1", "-e", "B=two words")["environment"]
        self.assertLessEqual({"A=1", "B=two words"}, set(environment))

    def test_working_directory(self):
        self.assertEqual(self.facts("--cwd", "/usr/bin")["cwd"], "/usr/bin")

    def test_working_directory_that_is_relative(self):
        self.assertFails(self.exec("/bin/true", flags=["--cwd", "usr"]), "cwd", status=255)

    def test_working_directory_that_is_missing(self):
        self.assertFails(self.exec("/bin/true", flags=["--cwd", "/no/such"]), "/no/such", status=255)

    def test_no_new_privileges(self):
        self.assertEqual(self.facts("--no-new-privs")["no_new_privs"], 1)

    def test_status(self):
        self.assertEqual(self.exec("/bin/sh", "-c", "exit 42").status, 42)
        self.assertEqual(self.exec("/bin/sh", "-c", "kill -TERM $$").status, 128 + 15)
        self.assertFails(self.exec("/no/such/program"), "no such file or directory", status=255)
        self.assertFails(self.exec("no-such-program"), "executable file not found in $PATH", status=255)
        self.assertFails(self.exec("/etc/passwd"), "permission denied", status=255)

    def test_a_failed_exec_leaves_nothing(self):
        before = set(self._processes())
        for _ in range(3):
            self.exec("/no/such/program")
        self.assertEqual(set(self._processes()), before)
        self.assertEqual(self.status(), "running")

    def test_detached(self):
        pid_file = self.directory / "pid"
        self.assertOk(self.exec("/bin/sleep", "1000", flags=["--detach", "--pid-file", pid_file]))
        pid = int(pid_file.read_text())
        self.assertTrue(is_alive(pid))
        self.assertIn(self.id, pathlib.Path(f"/proc/{pid}/cgroup").read_text())

    def test_streams(self):
        file = self.directory / "input"
        file.write_text("from-stdin\n")
        with open(file, "rb") as stdin:
            result = self.exec("/bin/sh", "-c", "cat; echo err >&2", stdin=stdin)
        self.assertEqual((result.status, result.out, result.err), (0, "from-stdin\n", "err\n"))


class ProcessFile(Exec):
    def facts_of(self, **changes):
        file = self.directory / "process.json"
        file.write_text(json.dumps({**self.process, "args": ["/bin/probe", "facts"], **changes}))
        result = self.exec(flags=["--process", file])
        self.assertOk(result)
        return json.loads(result.out)

    def test_all_of_it(self):
        self.hold()
        some = ["CAP_CHOWN", "CAP_NET_RAW"]
        facts = self.facts_of(
            user={"uid": 7, "gid": 8, "umask": 0o77, "additionalGids": [9]}, cwd="/usr", env=["PATH=/bin", "HOME=/y"],
            noNewPrivileges=False, rlimits=[{"type": "RLIMIT_NOFILE", "soft": 50, "hard": 60}], oomScoreAdj=444,
            capabilities={"bounding": some, "permitted": some, "effective": some, "inheritable": some,
                          "ambient": some},
            scheduler={"policy": "SCHED_OTHER", "nice": 3}, ioPriority={"class": "IOPRIO_CLASS_IDLE", "priority": 0})
        self.assertEqual((facts["uids"], facts["gids"], set(facts["groups"]) - {8}), (ids(7), ids(8), {9}))
        self.assertEqual((facts["umask"], facts["cwd"], facts["environment"]), (0o77, "/usr", ["PATH=/bin", "HOME=/y"]))
        self.assertEqual((facts["no_new_privs"], facts["rlimits"]["RLIMIT_NOFILE"]), (0, [50, 60]))
        self.assertEqual((facts["oom_score_adj"], facts["scheduler"]["nice"], facts["io_priority"]["class"]),
                         (444, 3, 3))
        for name, mask in facts["capabilities"].items():
            self.assertEqual(capability_names(mask), set(some), name)

    def test_does_not_take_from_the_config(self):
        self.process["capabilities"]["ambient"] = []
        self.hold()
        facts = self.facts_of(capabilities={})
        self.assertEqual(set(facts["capabilities"].values()), {0})

    def test_seccomp_holds_nevertheless(self):
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71}]}
        self.hold()
        self.assertEqual(self.facts_of(noNewPrivileges=False)["seccomp"], 2)

    def test_invalid(self):
        self.hold()
        for text, word in (("{", ""), ('{"args": [], "cwd": "/"}', "args"), ('{"args": ["true"], "cwd": "x"}', "cwd"),
                           ('{"args": ["true"], "cwd": "/", "user": {"uid": "0"}}', "uid")):
            with self.subTest(text):
                file = self.directory / "process.json"
                file.write_text(text)
                self.assertFails(self.exec(flags=["--process", file]), word, status=255)

    def test_missing(self):
        self.hold()
        self.assertFails(self.exec(flags=["--process", self.directory / "none.json"]), "none.json", status=255)


class Terminal(Exec):
    def console(self):
        """A socket for the terminal's master, as conmon and containerd's shim have it."""
        path = self.directory / "console.sock"
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(str(path))
        server.listen()
        server.settimeout(20)
        self.addCleanup(server.close)
        return path, server

    def master(self, server):
        connection, _ = server.accept()
        with connection:
            connection.settimeout(20)
            _, control, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(16))
        fds = array.array("i")
        fds.frombytes(control[0][2])
        self.addCleanup(os.close, fds[0])
        self.assertEqual(len(fds), 1)
        return fds[0]

    @staticmethod
    def read_to(fd, end, timeout=20):
        text = b""
        while end not in text:
            if not select.select([fd], [], [], timeout)[0]:
                raise AssertionError(f"{end!r} did not come: {text!r}")
            try:
                text += os.read(fd, 4096)
            except OSError:  # EIO: the other side has gone
                break
        return text

    @rule("MUST", "config.md#process", "process.terminal: a pseudo-terminal is the process's three streams")
    def test_of_init(self):
        path, server = self.console()
        self.process.update({"terminal": True, "args": ["/bin/probe", "facts"],
                             "consoleSize": {"height": 33, "width": 99}})
        self.assertOk(self.create("--console-socket", path))
        master = self.master(server)
        self.assertOk(self.start())
        facts = json.loads(self.read_to(master, b"\n"))
        # Inside of gVisor it is one of the host's that has been passed in: not the controlling one, and without a name.
        self.assertEqual(facts["terminal"], {"controlling": not harness.GVISOR, "stdin": True, "stdout": True, "stderr": True,
                                             "rows": 33, "columns": 99, "foreground": 1})
        if not harness.GVISOR:
            self.assertEqual({facts["fds"][fd] for fd in "012"}, {"/dev/pts/0"})
        self.assertEqual(sorted(facts["fds"]), ["0", "1", "2"])

    @rule("MUST", "config.md#process", "process.terminal: a pseudo-terminal is the process's three streams")
    def test_console_device(self):
        path, server = self.console()
        self.process["terminal"] = True
        self.sh("test -c /dev/console && echo over-console > /dev/console; stat -c %t /dev/console")
        self.assertOk(self.create("--console-socket", path))
        master = self.master(server)
        self.assertOk(self.start())
        self.assertIn(b"over-console", self.read_to(master, b"88\r\n"))

    def test_of_exec(self):
        self.hold()
        path, server = self.console()
        self.assertOk(self.exec("/bin/probe", "facts", flags=["--tty", "--detach", "--console-socket", path]))
        facts = json.loads(self.read_to(self.master(server), b"\n"))
        self.assertEqual(facts["terminal"]["controlling"], not harness.GVISOR)
        self.assertTrue(facts["terminal"]["stdin"] and facts["terminal"]["stdout"] and facts["terminal"]["stderr"])
        self.assertEqual(facts["terminal"]["foreground"], facts["pgrp"])

    def test_interrupt_reaches_the_process(self):
        self.hold()
        path, server = self.console()
        script = "trap 'echo interrupted; exit' INT; echo ready; while :; do sleep 0.1; done"
        self.assertOk(self.exec("/bin/sh", "-c", script, flags=["-t", "-d", "--console-socket", path]))
        master = self.master(server)
        self.read_to(master, b"ready")
        os.write(master, b"\x03")
        self.assertIn(b"interrupted", self.read_to(master, b"interrupted"))

    def test_size_is_ours_to_change(self):
        self.hold()
        path, server = self.console()
        script = "read x; stty size"
        self.assertOk(self.exec("/bin/sh", "-c", script, flags=["-t", "-d", "--console-socket", path]))
        master = self.master(server)
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 41, 123, 0, 0))
        os.write(master, b"\n")
        self.assertIn(b"41 123", self.read_to(master, b"123"))

    def test_in_the_foreground(self):
        """exec -t on a terminal of our own: raw there, and the status comes back."""
        self.hold()
        pid, fd = os.forkpty()
        if pid == 0:
            os.execv(harness.RUNTIME, [harness.RUNTIME, "--root", str(self.root), "exec", "-t", self.id, "/bin/sh",
                                       "-c", "tty; read x; echo got-$x; exit 7"])
        try:
            self.read_to(fd, b"/dev/pts/")
            os.write(fd, b"word\n")
            self.assertIn(b"got-word", self.read_to(fd, b"got-word"))
            _, status = os.waitpid(pid, 0)
            pid = None
            self.assertEqual(os.waitstatus_to_exitcode(status), 7)
        finally:
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            os.close(fd)

    def test_owner_is_the_user(self):
        path, server = self.console()
        self.process.update({"terminal": True, "user": {"uid": 1000, "gid": 1000}})
        self.sh("stat -c %u $(tty)")
        self.assertOk(self.create("--console-socket", path))
        master = self.master(server)
        self.assertOk(self.start())
        self.assertIn(b"1000", self.read_to(master, b"\n"))

    def test_terminal_and_socket_go_together(self):
        self.process["terminal"] = True
        self.process["args"] = ["/bin/true"]
        self.assertRefused("cannot allocate tty if runc will detach without setting console socket")
        self.process["terminal"] = False
        path, _ = self.console()
        self.assertFails(self.create("--console-socket", path),
                         "cannot use console socket if runc will not detach or allocate tty")
        self.assertNothingLeft()


if __name__ == "__main__":
    main()
