"""Every stage of a container's life is made to fail in turn: the error is reported, and nothing is left.

The debug build lists its stages (NUCLEUS_FAULT=list, see runtime/sys/fault.h). Each must stand in exactly one of the tables
below, and the bundle must be such that the stage is reached: a stage that no case reaches fails the test, because its error
does not come. With NUCLEUS_FAULT=kill:STAGE the process that comes there dies as if by the hand of kill -9; what remains must
be all that `delete --force` needs.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import unittest

from harness import RUNTIME, Case, NetworkNamespace, command, is_alive, main, rule, wait_until

STAGES = command([RUNTIME, "list"], env={**os.environ, "NUCLEUS_FAULT": "list"}).out.split()
HAS_SWITCH = "create.clone" in STAGES

# What ends `create`.
CREATE = """create.rootfs-verify create.state-open create.state-lock create.state-dir create.config-copy create.cgroup-make create.cgroup-limits create.start-socket create.clone
    create.id-maps create.cgroup-attach create.seccomp-compile create.net-device-moved create.net-devices
    create.runtime-hooks create.console-send create.save-state create.pid-file child.namespaces child.loopback child.root
    child.mounts child.devices child.cgroup-namespace child.container-hooks
    child.pivot child.console child.sysctl child.hostname child.masks child.readonly child.cwd child.landlock child.confine
    child.lookup""".split()
# What ends it, or `start`, where a mode asks for it: test_audit.py and test_modes.py.
MODES = ["child.audit", "child.uplinks"]
# What ends it where nucleus makes the network or an egress policy is asked for: test_network.py has these.
NETWORK = """create.net-helper create.net-setup net.links net.rules net.outer-rules net.gate net.attach create.net-ready
    child.broker""".split()
# What ends it where the init loads egress rules that were kept: test_rule_image.py has these.
READY_RULES = ["net.image", "net.read-back"]
# What ends it where the root is the container's own: test_rootfs_modes.py has these.
OWN_ROOT = ["root.copy", "root.overlay"]
# What ends it where the bundle asks for credentials: test_closure.py has it.
GIVEN = ["create.credentials"]
# What ends it where systemd makes the cgroups: test_systemd.py has these.
SYSTEMD = ["create.systemd-unit"]
# What ends it where the system calls are traced: test_learning.py has these.
TRACED = ["create.tracer"]
# What ends the wait for runsc's end: test_model_gvisor.py has it.
GVISOR = ["runsc.wait"]
# What ends the exchange of a policy between its table and its gate: test_model_egress.py stops there.
SWAP = ["net.swap"]
# What ends `restore`: test_checkpoint.py has these.
RESTORE = ["restore.cgroup-limits", "restore.criu", "restore.save-state"]
# What ends `start`: in the command itself, or in the init that it lets go.
START = ["start.connect", "start.save-state"]
INIT = ["child.start-hooks", "child.finish", "child.landlock-enter", "child.seccomp", "child.exec"]
# Asked for with --events alone: test_evidence.py has it.
EVENTS = ["events.write"]
# What ends either where process 1 is the runtime's own: test_init.py has these.
PROCESS_ONE = ["init.image", "init.fork", "init.exec"]
# What ends `kill`, and `delete --force` where the state can be read; the first of them all that look at a container.
KILL = ["kill.signal"]
DELETE = ["delete.kill", "delete.cgroup", "remove.files", "remove.directory"]
LOCK = ["container.lock"]
# What ends `delete --force` where there is no state that can be read.
UNREADABLE = ["delete.again", "delete.again-lock"]
# What ends `exec`; the stages of confinement are the same code as the init's.
EXEC = ["exec.attach"]
EXEC_TOO = ["child.landlock", "child.confine", "child.lookup", "child.finish", "child.landlock-enter", "child.seccomp",
            "child.exec"]


def stat_of(pid):
    """What follows the name in /proc/PID/stat."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@unittest.skipUnless(HAS_SWITCH, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
class Faults(Case):
    """A bundle that goes through every stage: user and cgroup namespace, hooks, seccomp, terminal, sysctl, masked paths, a
    network device (of a network namespace that takes the host's place), attested root."""

    def setUp(self):
        # First, so that it goes last: the runtime is called there to the end.
        self.host = NetworkNamespace(self)
        super().setUp()
        self.linux["netDevices"] = {"nt0": {"name": "eth0"}}
        # The container's root is an ordinary user of the host.
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                                 "syscalls": [{"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO"}]}
        (self.bundle / "landlock.toml").write_text('[[rules]]\npath = "/"\naccess = ["read", "write", "execute"]\n')
        self.config["annotations"] = {"dev.nucleus.policy.landlock": "landlock.toml"}
        self.assertOk(command([RUNTIME, "attest", "create", "-o", self.bundle / "rootfs.manifest", self.rootfs]))
        self.config["annotations"]["dev.nucleus.rootfs.manifest"] = "rootfs.manifest"
        self.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
        self.linux["resources"]["pids"] = {"limit": 100}
        self.config["root"]["readonly"] = True
        self.log = self.directory / "hooks.log"
        self.log.touch()
        self.log.chmod(0o666)
        self.config["hooks"] = {kind: [self.hook(kind)] for kind in
                                ("prestart", "createRuntime", "createContainer", "poststart", "poststop")}
        self.config["hooks"]["startContainer"] = [{"path": "/bin/true"}]
        self.process["terminal"] = True
        self.process["args"] = ["/bin/sleep", "1000"]
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.addCleanup(self.listener.close)
        self.console = self.directory / "console.sock"
        self.listener.bind(str(self.console))
        self.listener.listen(128)
        self.pid_file = self.directory / "pid"
        self.root.mkdir()
        self.files = set(os.listdir(self.directory))

    def runtime(self, *args, **keywords):
        # A container that came to be has taken the device with it.
        if args[0] in ("create", "run") and "nt0" not in self.host.links():
            self.host.ip("link", "add", "nt0", "type", "veth")
        return command(self.host.enter() + [RUNTIME, "--root", self.root, *args], **keywords)

    def hook(self, kind):
        return {"path": "/bin/sh", "args": ["sh", "-c", f"echo {kind} >> {self.log}"]}

    def hooks_that_ran(self):
        names = self.log.read_text().split()
        self.log.write_text("")
        return names

    def environment(self, stage):
        return {**os.environ, "NUCLEUS_FAULT": stage} if stage else None

    def create_with(self, stage=None):
        return self.create("--console-socket", self.console, "--pid-file", self.pid_file, env=self.environment(stage))

    def start_with(self, stage):
        return self.runtime("start", self.id, env=self.environment(stage))

    def assertInjected(self, result, stage, status=1):
        self.assertFails(result, f"injected fault at {stage}", "input/output error", status=status)

    def assertAllGone(self):
        self.assertNothingLeft()
        self.assertEqual(os.listdir(self.root), [], "state")
        self.assertEqual(set(os.listdir(self.directory)), self.files, "pid file, temporary files")

    def remove(self):
        self.assertOk(self.delete("--force"))
        self.pid_file.unlink(missing_ok=True)
        self.assertAllGone()


class Tables(Faults):
    def test_every_stage_has_its_case(self):
        self.assertEqual(sorted(CREATE + MODES + NETWORK + READY_RULES + OWN_ROOT + GIVEN + SYSTEMD + TRACED + GVISOR + SWAP + RESTORE + START + INIT + PROCESS_ONE + EXEC + EVENTS +
                                KILL + DELETE + LOCK + UNREADABLE), sorted(STAGES))

    def test_without_a_fault_the_bundle_works(self):
        self.assertOk(self.create_with())
        self.assertOk(self.start())
        self.assertEqual(self.status(), "running")
        self.remove()
        self.assertEqual(self.hooks_that_ran(), ["prestart", "createRuntime", "createContainer", "poststart", "poststop"])


class Create(Faults):
    @rule("MUST", "runtime.md#errors", "an error leaves the environment as it was")
    def test_each_stage(self):
        for stage in CREATE:
            with self.subTest(stage=stage):
                self.assertInjected(self.create_with(stage), stage)
                self.assertAllGone()
                self.assertIn("nt0", self.host.links(), "network device")
                ran = self.hooks_that_ran()
                self.assertNotIn("poststart", ran)
                # config.md: a failure after the first hooks ends with the poststop hooks.
                self.assertEqual(ran.count("poststop"), 1 if ran else 0, ran)
        # The same names are free again.
        self.assertOk(self.create_with())

    def test_each_stage_without_user_namespace_and_terminal(self):
        self.linux["namespaces"].pop()
        del self.linux["uidMappings"], self.linux["gidMappings"]
        self.process["terminal"] = False
        self.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                                      "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]})
        for stage in CREATE:
            if stage in ("create.id-maps", "create.console-send", "child.console"):
                continue
            with self.subTest(stage=stage):
                self.assertInjected(self.create("--pid-file", self.pid_file, env=self.environment(stage)), stage)
                self.assertAllGone()

    def test_log_file_has_the_error_too(self):
        self.write()
        log = self.directory / "log.json"
        self.files.add("log.json")
        self.host.ip("link", "add", "nt0", "type", "veth")
        result = command([*self.host.enter(), RUNTIME, "--root", self.root, "--log", log, "--log-format", "json", "create", "--bundle", self.bundle,
                          "--console-socket", self.console, self.id], env=self.environment("child.mounts"))
        self.assertInjected(result, "child.mounts")
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        self.assertIn("injected fault at child.mounts", [e for e in entries if e["level"] == "error"][-1]["msg"])


class Start(Faults):
    def test_command_cannot_reach_the_init(self):
        self.assertOk(self.create_with())
        self.assertInjected(self.start_with("start.connect"), "start.connect")
        # Nothing has happened to the container: it can still be started.
        self.assertEqual(self.status(), "created")
        self.assertOk(self.start())
        self.assertEqual(self.status(), "running")
        self.remove()

    def test_state_cannot_be_saved(self):
        self.assertOk(self.create_with())
        pid = self.state()["pid"]
        self.assertInjected(self.start_with("start.save-state"), "start.save-state")
        # A process that nobody knows to run would be the worst of all.
        self.assertFalse(is_alive(pid), "the process goes on")
        self.remove()
        self.assertEqual(self.hooks_that_ran()[-1], "poststop")

    def test_hooks_of_start(self):
        self.assertOk(self.create_with("child.start-hooks"))
        self.assertInjected(self.start(), "child.start-hooks")
        self.pid_file.unlink()
        # A failing startContainer hook destroys the container.
        self.assertAllGone()
        self.assertEqual(self.hooks_that_ran()[-1], "poststop")

    def test_last_steps_of_the_init(self):
        for stage in ("child.finish", "child.landlock-enter", "child.seccomp", "child.exec"):
            with self.subTest(stage=stage):
                self.assertOk(self.create_with(stage))
                self.assertInjected(self.start(), stage)
                self.assertEqual(self.status(), "stopped")
                self.assertOk(self.delete())
                self.remove()
                self.assertNotIn("poststart", self.hooks_that_ran())


class Run(Faults):
    def test_each_stage(self):
        for stage in CREATE + START + INIT:
            with self.subTest(stage=stage):
                result = self.run_container("--pid-file", self.pid_file, env=self.environment(stage))
                self.assertInjected(result, stage)
                self.pid_file.unlink(missing_ok=True)  # as runc: written by create, and the caller's
                self.assertAllGone()
                ran = self.hooks_that_ran()
                self.assertEqual(ran.count("poststop"), 1 if ran else 0, ran)

    def test_detached(self):
        for stage in CREATE + START + INIT:
            with self.subTest(stage=stage):
                result = self.run_container("--detach", "--console-socket", self.console, env=self.environment(stage))
                self.assertInjected(result, stage)
                self.assertAllGone()


class Exec(Faults):
    def setUp(self):
        super().setUp()
        self.assertOk(self.create_with())
        self.assertOk(self.start())
        self.pid = self.state()["pid"]
        self.exec_pid_file = self.directory / "exec-pid"

    def assertAsBefore(self):
        wait_until(lambda: json.loads(self.runtime("ps", "--format", "json", self.id).out) == [self.pid],
                   "only the init in the container")
        self.assertEqual(self.status(), "running")
        self.assertFalse(self.exec_pid_file.exists())

    def walk(self, *flags):
        for stage in EXEC + EXEC_TOO:
            with self.subTest(stage=stage):
                result = self.exec("/bin/sleep", "1000", flags=["--pid-file", self.exec_pid_file, *flags],
                                   env=self.environment(stage))
                self.assertInjected(result, stage, status=255)
                self.assertAsBefore()

    def test_each_stage(self):
        self.walk()

    def test_each_stage_detached(self):
        self.walk("--detach")

    def test_each_stage_with_a_terminal(self):
        self.walk("--detach", "--tty", "--console-socket", self.console)

    def test_killed_in_the_middle(self):
        for stage in EXEC + EXEC_TOO:
            with self.subTest(stage=stage):
                result = self.exec("/bin/sleep", "1000", env=self.environment(f"kill:{stage}"))
                # Right before execve it cannot be told from a process that ran and was killed.
                late = "child.finish", "child.landlock-enter", "child.seccomp", "child.exec"
                self.assertIn(result.status, [-9] if stage == "exec.attach" else [137] if stage in late else [255])
                self.assertAsBefore()


class Delete(Faults):
    """What could not be done is said, and `delete --force` said again does the rest."""

    def walk(self, make, stages):
        for stage in stages:
            for way in ("", "kill:"):
                with self.subTest(stage=stage, way=way):
                    make()
                    result = self.runtime("delete", "--force", self.id, env=self.environment(way + stage))
                    if way:
                        self.assertEqual(result.status, -signal.SIGKILL, result)
                    else:
                        self.assertInjected(result, stage)
                    self.assertOk(self.runtime("list"))
                    self.remove()

    def test_each_stage(self):
        def make():
            self.assertOk(self.create_with())
            self.assertOk(self.start())
        self.walk(make, DELETE)

    def test_each_stage_without_a_state(self):
        self.walk(lambda: (self.root / self.id).mkdir(), UNREADABLE + ["remove.files", "remove.directory"])

    def test_before_the_lock(self):
        self.assertOk(self.create_with())
        for args in (["start", self.id], ["delete", self.id], ["pause", self.id]):
            self.assertInjected(self.runtime(*args, env=self.environment("container.lock")), "container.lock")
        self.assertInjected(self.runtime("kill", self.id, "KILL", env=self.environment("kill.signal")), "kill.signal")
        self.assertEqual(self.status(), "created")
        # Said with --force it does not stop at that: the lock is asked for once more.
        self.assertOk(self.runtime("delete", "--force", self.id, env=self.environment("container.lock")))
        self.pid_file.unlink()
        self.assertAllGone()


class Races(Faults):
    """Commands on the same name, one of them held where another comes in between."""

    def begun(self, stage, *args):
        """The command, held at that stage."""
        process = subprocess.Popen(self.host.enter() + [RUNTIME, "--root", str(self.root), *map(str, args)], env=self.environment(f"stop:{stage}"),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        wait_until(lambda: stat_of(process.pid)[0] == "T", f"{args[0]} stopped at {stage}")
        self.assertEqual(pathlib.Path(f"/proc/{process.pid}/comm").read_text().strip(), stage[:15])
        return process

    def end(self, process):
        process.send_signal(signal.SIGCONT)
        return process.communicate(timeout=60)[1], process.returncode

    def test_delete_by_force_finds_a_container_at_its_second_look(self):
        (self.root / self.id).mkdir()
        late = self.begun("delete.again", "delete", "--force", self.id)
        (self.root / self.id).rmdir()
        self.assertOk(self.create_with())
        self.assertEqual(self.end(late), ("", 0))
        self.pid_file.unlink()
        self.assertAllGone()

    def test_create_does_not_take_over_what_another_has_made(self):
        self.write()
        self.host.ip("link", "add", "nt0", "type", "veth")
        late = self.begun("create.state-open", "create", "--bundle", self.bundle, "--console-socket", self.console, self.id)
        self.assertOk(self.delete("--force"))
        self.assertOk(self.create_with())
        before = self.state()
        error, status = self.end(late)
        self.assertEqual(status, 1)
        self.assertIn("container with given ID already exists", error)
        self.assertEqual(self.state(), before)
        self.assertOk(self.start())
        self.remove()


class Killed(Faults):
    """kill -9 in the middle: of the command (create., start.) or of the container's init (child.)."""

    def assertKilled(self, result, stage):
        if stage.startswith("child."):
            self.assertFails(result)
        else:
            self.assertEqual(result.status, -signal.SIGKILL, result)

    def assertDeletable(self):
        self.assertOk(self.runtime("list"))
        self.remove()
        self.hooks_that_ran()

    def test_create(self):
        for stage in CREATE:
            with self.subTest(stage=stage):
                self.assertKilled(self.create_with(f"kill:{stage}"), stage)
                self.assertDeletable()
        self.assertOk(self.create_with())

    def test_run(self):
        for stage in CREATE + START:
            with self.subTest(stage=stage):
                self.assertKilled(self.run_container("--detach", "--console-socket", self.console,
                                                     env=self.environment(f"kill:{stage}")), stage)
                self.assertDeletable()

    def test_start(self):
        for stage in START:
            with self.subTest(stage=stage):
                self.assertOk(self.create_with())
                self.assertKilled(self.start_with(f"kill:{stage}"), stage)
                self.assertIn(self.status(), ("created", "running"))
                self.assertDeletable()

    def test_start_may_be_said_again(self):
        self.assertOk(self.create_with())
        self.assertKilled(self.start_with("kill:start.connect"), "start.connect")
        self.assertOk(self.start())
        self.assertEqual(self.status(), "running")

    def test_init(self):
        for stage in INIT:
            with self.subTest(stage=stage):
                self.assertOk(self.create_with(f"kill:{stage}"))
                result = self.start()
                # Right before execve it cannot be told from a process that ran and was killed.
                self.assertEqual(result.status, 1 if stage == "child.start-hooks" else 0, result)
                self.assertDeletable()


if __name__ == "__main__":
    main()
