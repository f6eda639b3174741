"""NOTIFY_SOCKET: a service in a container tells the service manager on the host that it is ready (sd_notify(3)).

The container gets a socket of its own at /run/notify/notify.sock. What it says there is not trusted: READY=1 and the pid to
watch go on, nothing else does.
"""

import os
import socket
import subprocess
import threading
import unittest

from harness import IS_NUCLEUS, RUNTIME, Case, command, main, wait_until

class Manager:
    """What systemd is to a service: a datagram socket. It notes what comes and closes descriptors that come along."""

    def __init__(self, case, address):
        self.address = address
        self.messages = []
        self.descriptors = 0
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        case.addCleanup(self.close)

    def _serve(self):
        while True:
            try:
                message, descriptors, _, _ = socket.recv_fds(self.socket, 65536, 16)
            except OSError:
                return
            if message == b"end":
                return
            self.messages.append(message.decode())
            for descriptor in descriptors:
                self.descriptors += 1
                os.close(descriptor)

    def say(self, message):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(message.encode(), self.socket.getsockname())

    def close(self):
        if self.thread.is_alive():
            self.say("end")
            self.thread.join(30)
        self.socket.close()

    def lines(self):
        """All that was said but for the barrier, which is the runtime's own."""
        return [line for message in self.messages for line in message.splitlines() if line != "BARRIER=1"]


class Notify(Case):
    def setUp(self):
        super().setUp()
        self.manager = Manager(self, str(self.directory / "manager.sock"))
        self.environment = {**os.environ, "NOTIFY_SOCKET": self.manager.address}
        self.go = self.rootfs / "tmp/go"

    def runtime(self, *args, **keywords):
        keywords.setdefault("env", self.environment)
        return super().runtime(*args, **keywords)

    def background(self, *args):
        """The runtime, not waited for."""
        self.write()
        self.ids.add(self.id)
        process = subprocess.Popen([RUNTIME, "--root", self.root, *map(str, args)], env=self.environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def assertHeard(self):
        wait_until(lambda: self.manager.lines()[:1] == ["READY=1"], "READY=1 at the manager's")


class Said(Notify):
    def words(self, *messages):
        """A container that says these and ends: what the manager hears."""
        heard = len(self.manager.messages)
        self.process["args"] = ["/bin/probe", "notify", *messages]
        self.assertOk(self.run_container())
        # It hears in its own time, and in order.
        self.manager.say("seen")
        wait_until(lambda: "seen" in self.manager.messages[heard:], "what was said before")
        lines = [line for line in self.manager.lines() if line != "seen"]
        self.manager.messages.clear()
        return lines

    def test_ready(self):
        lines = self.words("READY=1")
        self.assertEqual(lines[0], "READY=1")
        self.assertTrue(lines[1].startswith("MAINPID="), lines)
        self.assertEqual(len(lines), 2)

    def test_nothing_else_goes_on(self):
        lines = self.words("STATUS=hello\nWATCHDOG=1\nMAINPID=1\nFDSTORE=1\nREADY=1\nERRNO=5\nBUSERROR=x\nEXTEND_TIMEOUT_USEC=9")
        self.assertEqual([line.split("=")[0] for line in lines], ["READY", "MAINPID"])
        self.assertNotEqual(lines[1], "MAINPID=1")

    def test_what_is_not_ready(self):
        for message in ("READY=0", "READY=", "READY=10", "XREADY=1", " READY=1", "READY=1 ", "STATUS=READY=1", "STOPPING=1",
                        "BARRIER=1", ""):
            with self.subTest(message=message):
                self.assertEqual(self.words(message), [])

    def test_too_long(self):
        self.assertEqual(self.words("READY=1\n" + "X" * 8192), [])
        self.assertEqual(self.words("X" * 4087 + "\nREADY=1")[:1], ["READY=1"])

    def test_once(self):
        self.assertEqual(len(self.words("READY=1", "READY=1", "READY=1")), 2)

    def test_descriptors_do_not_go_on(self):
        self.assertEqual(self.words("--fds", "3", "READY=1")[:1], ["READY=1"])
        self.assertEqual(self.manager.descriptors, 0)

    def test_abstract_socket(self):
        self.manager = Manager(self, f"@nucleus-test-{self.id}")
        self.environment["NOTIFY_SOCKET"] = self.manager.address
        self.assertEqual(self.words("READY=1")[:1], ["READY=1"])


class Inside(Notify):
    def test_socket_and_variable(self):
        self.process["env"].append("NOTIFY_SOCKET=/somewhere/else")
        out = self.output("echo $NOTIFY_SOCKET; env | grep -c NOTIFY_SOCKET; ls -l /run/notify; "
                          "grep ' /run/notify ' /proc/self/mountinfo")
        self.assertEqual(out.splitlines()[:2], ["/run/notify/notify.sock", "1"])
        self.assertIn("srwxrwxrwx", out)
        options = out.splitlines()[-1].split(" ")[5].split(",")
        self.assertLessEqual({"ro", "nosuid", "nodev", "noexec"}, set(options))

    def test_nothing_without_a_manager(self):
        del self.environment["NOTIFY_SOCKET"]
        self.assertEqual(self.output("echo [$NOTIFY_SOCKET]; [ -e /run/notify ] || echo none"), "[]\nnone\n")

    def test_not_for_exec(self):
        self.process["args"] = ["/bin/probe", "notify", "--hold", "READY=1"]
        self.assertOk(self.create())
        self.assertOk(self.start())
        self.assertEqual(self.exec("/bin/sh", "-c", "echo [$NOTIFY_SOCKET]").out, "[]\n")

    def test_ordinary_user(self):
        self.process["user"] = {"uid": 1000, "gid": 1000}
        self.process["args"] = ["/bin/probe", "notify", "READY=1"]
        self.assertOk(self.run_container())
        self.assertHeard()

    def test_user_namespace(self):
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        (self.rootfs / "run").mkdir()
        os.chown(self.rootfs / "run", 100000, 100000)
        self.process["args"] = ["/bin/probe", "notify", "READY=1"]
        self.assertOk(self.run_container())
        self.assertHeard()

    def test_read_only_root(self):
        self.config["root"]["readonly"] = True
        self.process["args"] = ["/bin/probe", "notify", "READY=1"]
        self.assertOk(self.run_container())
        self.assertHeard()

    def test_run_is_a_mount(self):
        self.config["mounts"].append({"destination": "/run", "type": "tmpfs", "source": "tmpfs"})
        self.process["args"] = ["/bin/probe", "notify", "READY=1"]
        self.assertOk(self.run_container())
        self.assertHeard()


class Waiting(Notify):
    def setUp(self):
        super().setUp()
        self.process["args"] = ["/bin/sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.01; done; exec /bin/probe notify --hold READY=1"]

    def assertMainPid(self, pid):
        self.assertEqual(self.manager.lines(), ["READY=1", f"MAINPID={pid}"])

    def assertWaits(self, process):
        """It is in the kernel's poll and the container runs: only the container's word is missing."""
        wait_until(lambda: self.runtime("state", self.id).status == 0 and self.status() == "running", "running")
        self.assertIsNone(process.poll())
        self.assertEqual(self.manager.lines(), [])

    def test_start(self):
        self.assertOk(self.create())
        process = self.background("start", self.id)
        self.assertWaits(process)
        # Other commands are not kept waiting.
        self.assertOk(self.exec("/bin/true"))
        self.go.touch()
        self.assertEqual(process.wait(60), 0)
        self.assertMainPid(self.state()["pid"])

    def test_detached(self):
        process = self.background("run", "--detach", "--bundle", self.bundle, self.id)
        self.assertWaits(process)
        self.go.touch()
        self.assertEqual(process.wait(60), 0)
        self.assertMainPid(self.state()["pid"])

    def test_foreground(self):
        process = self.background("run", "--bundle", self.bundle, self.id)
        self.assertWaits(process)
        self.go.touch()
        wait_until(lambda: len(self.manager.lines()) == 2, "ready")
        # The runtime stays, and is what the service manager watches.
        self.assertMainPid(process.pid)
        self.assertIsNone(process.poll())
        self.assertOk(self.kill())
        self.assertEqual(process.wait(60), 137)

    def test_ends_with_the_container(self):
        """A container that never says so: the command does not wait for ever."""
        self.process["args"] = ["/bin/sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.01; done; exit 3"]
        self.assertOk(self.create())
        process = self.background("start", self.id)
        self.assertWaits(process)
        self.go.touch()
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(self.manager.lines(), [])

    def test_killed_meanwhile(self):
        self.assertOk(self.create())
        process = self.background("start", self.id)
        self.assertWaits(process)
        self.assertOk(self.kill())
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(self.manager.lines(), [])

    def test_flooded(self):
        """A container that says other things without end keeps nobody from stopping it."""
        self.process["args"] = ["/bin/probe", "notify", "--flood", "STATUS=x"]
        self.assertOk(self.create())
        process = self.background("start", self.id)
        self.assertWaits(process)
        self.assertOk(self.kill())
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(self.manager.lines(), [])

    def test_flooded_in_the_foreground(self):
        self.process["args"] = ["/bin/probe", "notify", "--flood", "STATUS=x"]
        process = self.background("run", "--bundle", self.bundle, self.id)
        self.assertWaits(process)
        process.terminate()  # forwarded
        self.assertEqual(process.wait(60), 143)

    def test_manager_has_gone(self):
        """It is told, and does not end the container."""
        self.manager.close()
        self.go.touch()
        self.assertOk(self.create())
        result = self.start()
        self.assertOk(result)
        self.assertIn("NOTIFY_SOCKET", result.err)
        self.assertEqual(self.status(), "running")

    def test_start_alone_has_one(self):
        """A container that was created without."""
        del self.environment["NOTIFY_SOCKET"]
        self.assertOk(self.create())
        self.environment["NOTIFY_SOCKET"] = self.manager.address
        self.assertOk(self.start())

    def test_create_alone_has_one(self):
        self.assertOk(self.create())
        del self.environment["NOTIFY_SOCKET"]
        self.assertOk(self.start())
        self.assertEqual(self.status(), "running")


@unittest.skipUnless(IS_NUCLEUS, "what nucleus says and does of its own")
class Ours(Notify):
    def test_addresses_that_are_none(self):
        for address in ("relative", "vsock:2:1", "@", "/"):
            with self.subTest(address=address):
                self.environment["NOTIFY_SOCKET"] = address
                self.sh("echo [$NOTIFY_SOCKET]")
                result = self.run_container()
                self.assertOk(result)
                self.assertEqual(result.out, "[]\n")
                self.assertIn("NOTIFY_SOCKET", result.err)

    def test_without_a_mount_namespace(self):
        self.without_namespace("mount")
        self.config["mounts"] = []
        self.linux.update(maskedPaths=[], readonlyPaths=[])
        self.sh("echo [$NOTIFY_SOCKET]")
        result = self.run_container()
        self.assertOk(result)
        self.assertEqual(result.out, "[]\n")
        self.assertIn("NOTIFY_SOCKET", result.err)

    def test_after_failures_nothing_is_left(self):
        listed = command([RUNTIME, "list"], env={**os.environ, "NUCLEUS_FAULT": "list"}).out.split()
        if "create.config-copy" not in listed:
            self.skipTest("this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
        for stage in ("create.config-copy", "create.save-state", "child.mounts"):
            with self.subTest(stage=stage):
                self.assertFails(self.create(env={**self.environment, "NUCLEUS_FAULT": stage}), stage)
                self.assertNothingLeft()
        self.assertOk(self.create())
        self.assertFails(self.runtime("start", self.id, env={**self.environment, "NUCLEUS_FAULT": "start.connect"}))
        # The socket of the first try is not in the way of the second.
        self.process["args"] = ["/bin/true"]
        self.assertOk(self.start())

    def test_delete_removes_what_a_privileged_container_left_there(self):
        """One with CAP_SYS_ADMIN can make the mount writable; the runtime follows no link of it."""
        self.add_capabilities("CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE")
        outside = self.directory / "outside"
        outside.mkdir()
        (outside / "file").write_text("kept")
        deep = "/".join(["d"] * 60)
        self.sh("mount -o remount,rw,bind /run/notify && cd /run/notify && rm notify.sock && "
                f"ln -s {outside} link && ln -s {outside} notify.sock && mkdir -p a/b/c/{deep} a/b2 moved-0 moved-1/moved-2 && "
                f"ln -s {outside} a/b/link && touch a/b/c/x .hidden && echo done")
        result = self.run_container()
        self.assertOk(result)
        self.assertEqual(result.out, "done\n")
        self.assertNothingLeft()
        self.assertEqual((outside / "file").read_text(), "kept")


if __name__ == "__main__":
    main()
