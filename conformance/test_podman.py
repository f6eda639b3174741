"""podman drives the runtime: through conmon for containers and exec, through buildah's code for build."""

import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

import callers
from harness import NetworkNamespace, command, is_alive, main, make_rootfs, mounts_below, wait_until

# The host has no right to raise limits; podman would ask for more than a million files.
CONTAINERS_CONF = """\
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
runtime_supports_json = [{json}]
[network]
network_config_dir = "{directory}/network"
"""

REGISTRIES_CONF = 'unqualified-search-registries = []\nshort-name-mode = "disabled"\n'


class Podman:
    """A podman with storage, state and configuration of its own; nothing of the host's podman is touched."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="nt-podman.", dir=callers.scratch()))
        self.name = self.directory.name
        self.cgroup = self.name.replace(".", "-")
        self.rootfs = make_rootfs(self.directory / "rootfs")
        (self.rootfs / "etc/not-executable").write_text("#!/bin/sh\n")
        # A state root of our own. --runtime-flag would do, but podman 4.3 does not hand it on to its own clean-up command.
        self.runtime = self.directory / os.path.basename(callers.RUNTIME_PATH)
        self.runtime.write_text(f'#!/bin/sh\nexec {callers.RUNTIME_PATH} --root {self.directory}/state "$@"\n')
        self.runtime.chmod(0o755)
        registries = self.directory / "registries.conf"
        registries.write_text(REGISTRIES_CONF)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "CONTAINERS_REGISTRIES_CONF": str(registries),
            "TMPDIR": str(self.directory),
            "TERM": "xterm",
        }
        self.configure(json_log=False)

    def configure(self, *, json_log):
        """Whether podman reads the runtime's error from its log in JSON, or from its stderr as conmon hands it on."""
        name = self.runtime.name
        path = self.directory / "containers.conf"
        path.write_text(CONTAINERS_CONF.format(directory=self.directory, json=f'"{name}"' if json_log else ""))
        self.env["CONTAINERS_CONF"] = str(path)

    def args(self, *args):
        return ["podman", "--root", self.directory / "root", "--runroot", self.directory / "run",
                "--tmpdir", self.directory / "tmp", "--storage-driver", "vfs", "--runtime", self.runtime, *args]

    def __call__(self, *args, **keywords):
        return command(self.args(*args), env=self.env, **keywords)

    def import_image(self):
        archive = self.directory / "box.tar"
        subprocess.run(["tar", "-C", self.rootfs, "-cf", archive, "."], check=True)
        result = self("import", archive, "box")
        archive.unlink()
        if result.status != 0:
            raise AssertionError(result)

    def left(self):
        """What stays after every container is removed, besides podman's own storage."""
        state = self.directory / "state"
        return {
            "containers": self("ps", "--all", "--quiet").out.split(),
            # A name with a comma is no container's: what the runtime keeps from one to the next.
            "runtime state": [p.name for p in state.iterdir() if "," not in p.name] if state.exists() else [],
            "processes": callers.processes_naming(self.name),
            # conmon itself is podman's, and the cgroup that podman gives it stays.
            "cgroups": [path for path in callers.cgroups_below(self.cgroup) if not path.endswith("/conmon")],
            "mounts": [line for line in mounts_below(self.directory) if self.storage_mount not in line],
        }

    @property
    def storage_mount(self):
        return f" {self.directory}/root/vfs "  # podman makes its own storage a private mount

    def close(self):
        for pid, _ in callers.processes_naming(self.name):
            os.kill(pid, signal.SIGKILL)
        callers.unmount_all(mounts_below(self.directory))
        callers.remove_cgroups(self.cgroup)
        shutil.rmtree(self.directory, ignore_errors=True)


def setUpModule():
    global podman
    podman = Podman()
    unittest.addModuleCleanup(podman.close)
    podman.import_image()


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.addCleanup(self.check_nothing_left)
        self.name = self.id().rpartition(".")[2].replace("_", "-")

    def check_nothing_left(self):
        podman("rm", "--all", "--force", "--time", "0")
        clean = {"containers": [], "runtime state": [], "processes": [], "cgroups": [], "mounts": []}
        try:
            # conmon and podman's cleanup command end a moment after the container.
            wait_until(lambda: podman.left() == clean, "nothing left", 5)
        except AssertionError:
            self.assertEqual(podman.left(), clean)

    def flags(self, *flags):
        network = () if any(str(f).startswith("--network") for f in flags) else ("--network=none",)
        return ("--cgroup-parent", f"/{podman.cgroup}", *network, *flags)

    def run_box(self, *cmd, flags=(), **keywords):
        return podman("run", "--rm", *self.flags(*flags), "box", *cmd, **keywords)

    def output(self, *cmd, flags=()):
        result = self.run_box(*cmd, flags=flags)
        self.assertOk(result)
        return result.out

    def sh(self, script, *flags):
        return self.output("sh", "-c", script, flags=flags)

    def detached(self, *cmd, flags=()):
        """Starts a container called self.name; gives its pid."""
        self.assertOk(podman("run", "--detach", "--name", self.name, *self.flags(*flags), "box",
                             *(cmd or ("sleep", "1000"))))
        return self.inspect()["State"]["Pid"]

    def exec(self, *args, **keywords):
        return podman("exec", *args, **keywords)

    def inspect(self):
        result = podman("inspect", self.name)
        self.assertOk(result)
        return json.loads(result.out)[0]

    def status(self):
        return self.inspect()["State"]["Status"]

    def assertOk(self, result):
        if result.status != 0:
            self.fail(f"expected success of {result}")


class Run(Case):
    def test_streams_and_status(self):
        result = self.run_box("sh", "-c", "echo to-out; echo to-err >&2; exit 7")
        self.assertEqual((result.status, result.out, result.err), (7, "to-out\n", "to-err\n"), result)

    def test_stdin(self):
        with tempfile.TemporaryFile() as file:
            file.write(b"typed\n" * 1000)
            file.seek(0)
            result = self.run_box("cat", flags=["--interactive"], stdin=file)
        self.assertOk(result)
        self.assertEqual(result.out, "typed\n" * 1000)

    def test_command_not_found(self):
        for json_log in (False, True):
            with self.subTest(json_log=json_log):
                podman.configure(json_log=json_log)
                self.addCleanup(podman.configure, json_log=False)
                result = self.run_box("no-such-command")
                self.assertEqual(result.status, 127, result)
                # Quoted once more where conmon hands the runtime's stderr on.
                self.assertIn('"no-such-command": executable file not found in $PATH', result.err.replace("\\", ""))

    def test_path_not_found(self):
        result = self.run_box("/no/such/file")
        self.assertEqual(result.status, 127, result)
        self.assertIn("no such file or directory", result.err.lower())

    def test_not_executable(self):
        for json_log in (False, True):
            with self.subTest(json_log=json_log):
                podman.configure(json_log=json_log)
                self.addCleanup(podman.configure, json_log=False)
                result = self.run_box("/etc/not-executable")
                self.assertEqual(result.status, 126, result)
                self.assertIn("permission denied", result.err.lower())

    def test_working_directory_environment_hostname(self):
        out = self.sh("pwd; echo $COLOUR; hostname", "--workdir=/usr/bin", "--env=COLOUR=blue", "--hostname=sea")
        self.assertEqual(out, "/usr/bin\nblue\nsea\n")

    def test_rootfs_directory(self):
        result = podman("run", "--rm", *self.flags("--rootfs", podman.rootfs), "ls", "/etc/not-executable")
        self.assertOk(result)
        self.assertEqual(result.out, "/etc/not-executable\n")

    def test_term_reaches_the_process(self):
        # podman hands signals on from a moment after the start only: the process lets it get there.
        process = subprocess.Popen(
            [str(a) for a in podman.args("run", "--rm", "--name", self.name, *self.flags(), "box", "sh", "-c",
                                         "trap 'exit 9' TERM; sleep 1; echo ready; while :; do sleep 0.05; done")],
            env=podman.env, stdout=subprocess.PIPE, text=True)
        self.assertEqual(process.stdout.readline(), "ready\n")
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(30), 9)
        process.stdout.close()


class Terminal(Case):
    def test_run(self):
        result = callers.on_terminal(
            podman.args("run", "--rm", "--tty", "--interactive", *self.flags(), "box", "sh", "-c",
                        "tty; read -p name? x; echo hello $x; exit 5"),
            say=[("name?", "sea\n")], env=podman.env)
        self.assertEqual(result.status, 5, result)
        self.assertIn("/dev/pts/0", result.out)
        self.assertIn("hello sea\r\n", result.out)

    def test_console_device(self):
        out = self.sh("stat -c %F /dev/console; readlink /proc/self/fd/0", "--tty")
        self.assertEqual(out.split("\r\n"), ["character special file", "/dev/pts/0", ""])

    def test_exec(self):
        self.detached()
        result = callers.on_terminal(podman.args("exec", "--tty", "--interactive", self.name, "sh", "-c",
                                                 "test -t 0 && test -t 1 && tty; exit 3"), env=podman.env)
        self.assertEqual(result.status, 3, result)
        self.assertIn("/dev/pts/0", result.out)


class Lifecycle(Case):
    def test_from_run_to_rm(self):
        pid = self.detached("sh", "-c", "echo started; exec sleep 1000")
        self.assertEqual(self.status(), "running")
        self.assertTrue(is_alive(pid))
        out = self.exec(self.name, "sh", "-c", "echo in; hostname >/dev/null; exit 4")
        self.assertEqual((out.status, out.out), (4, "in\n"), out)
        wait_until(lambda: podman("logs", self.name).out == "started\n", "the log")
        self.assertOk(podman("stop", "--time", "0", self.name))
        self.assertEqual(self.status(), "exited")
        self.assertEqual(self.inspect()["State"]["ExitCode"], 137)
        self.assertFalse(is_alive(pid))
        self.assertOk(podman("rm", self.name))
        self.assertNotEqual(podman("inspect", self.name).status, 0)

    def test_create_then_start(self):
        self.assertOk(podman("create", "--name", self.name, *self.flags(), "box", "sh", "-c", "echo once; exit 2"))
        self.assertEqual(self.status(), "created")
        for _ in range(2):  # a container can be started again after its end
            result = podman("start", "--attach", self.name)
            self.assertEqual((result.status, result.out), (2, "once\n"), result)

    def test_init_makes_it_without_starting_it(self):
        self.assertOk(podman("create", "--name", self.name, *self.flags(), "box", "touch", "/started"))
        self.assertOk(podman("init", self.name))
        state = self.inspect()["State"]
        self.assertEqual(state["Status"], "initialized")
        self.assertEqual(os.path.lexists(f"/proc/{state['Pid']}/root/started"), False)
        self.assertOk(podman("start", self.name))
        self.assertEqual(podman("wait", self.name).out, "0\n")

    def test_restart(self):
        first = self.detached()
        self.assertOk(podman("restart", "--time", "0", self.name))
        second = self.inspect()["State"]["Pid"]
        self.assertNotEqual(first, second)
        self.assertFalse(is_alive(first))
        self.assertTrue(is_alive(second))

    def test_stop_waits_for_the_process(self):
        self.detached("sh", "-c", "trap 'exit 6' TERM; echo ready; while :; do sleep 0.05; done")
        wait_until(lambda: podman("logs", self.name).out == "ready\n", "the trap")
        self.assertOk(podman("stop", "--time", "30", self.name))
        self.assertEqual(self.inspect()["State"]["ExitCode"], 6)

    def test_kill(self):
        self.detached("sh", "-c", "trap 'echo got' USR1; echo ready; while :; do sleep 0.05; done")
        wait_until(lambda: podman("logs", self.name).out == "ready\n", "the trap")
        self.assertOk(podman("kill", "--signal", "USR1", self.name))
        wait_until(lambda: podman("logs", self.name).out == "ready\ngot\n", "the signal")
        self.assertOk(podman("kill", self.name))
        wait_until(lambda: self.status() == "exited", "the end")
        self.assertNotEqual(podman("kill", self.name).status, 0)

    def test_pause(self):
        pid = self.detached("sh", "-c", "while :; do echo tick; sleep 0.01; done")
        self.assertOk(podman("pause", self.name))
        self.assertEqual(self.status(), "paused")
        self.assertEqual(callers.cgroup_file(pid, "freezer", "freezer.state"), "FROZEN")
        self.assertNotEqual(self.exec(self.name, "true").status, 0)
        self.assertOk(podman("unpause", self.name))
        self.assertEqual(self.status(), "running")
        self.assertEqual(callers.cgroup_file(pid, "freezer", "freezer.state"), "THAWED")
        self.assertOk(self.exec(self.name, "true"))

    def test_force_removes_a_running_one(self):
        pid = self.detached("sh", "-c", "trap '' TERM; sleep 1000 & sleep 1001 & wait")
        self.assertOk(podman("rm", "--force", "--time", "0", self.name))
        self.assertFalse(is_alive(pid))

    def test_the_caller_sees_the_end(self):
        pid = self.detached()
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(podman("wait", self.name).out, "137\n")
        wait_until(lambda: self.status() == "exited", "the end seen")

    def test_top(self):
        self.detached("sh", "-c", "sleep 1234 & exec sleep 1000")
        result = podman("top", self.name, "pid", "args")
        self.assertOk(result)
        rows = [line.rstrip().split(None, 1) for line in result.out.splitlines()[1:]]
        self.assertIn(["1", "sleep 1000"], rows)
        self.assertIn("sleep 1234", [row[1] for row in rows])

    def test_top_with_options_of_ps(self):
        pid = self.detached()
        result = podman("top", self.name, "-ef")
        if result.status == 0:  # podman runs the container's ps where there is one that knows -ef
            self.assertIn("sleep 1000", result.out)
        self.assertTrue(is_alive(pid))


class Exec(Case):
    def test_user_environment_directory(self):
        self.detached()
        result = self.exec("--user=1000:1000", "--env=A=b", "--workdir=/tmp", self.name, "sh", "-c",
                           "id -u; id -g; echo $A; pwd")
        self.assertEqual(result.out, "1000\n1000\nb\n/tmp\n", result)

    def test_statuses(self):
        self.detached()
        self.assertEqual(self.exec(self.name, "no-such-command").status, 127)
        self.assertEqual(self.exec(self.name, "/etc/not-executable").status, 126)
        self.assertEqual(self.exec(self.name, "sh", "-c", "kill -TERM $$").status, 143)

    def test_stdin(self):
        self.detached()
        with tempfile.TemporaryFile() as file:
            file.write(b"typed")
            file.seek(0)
            result = self.exec("--interactive", self.name, "cat", stdin=file)
        self.assertEqual((result.status, result.out), (0, "typed"), result)

    def test_detached(self):
        pid = self.detached()
        self.assertOk(self.exec("--detach", self.name, "touch", "/tmp/made"))
        wait_until(lambda: os.path.exists(f"/proc/{pid}/root/tmp/made"), "what the detached command makes")

    def test_same_confinement_as_the_container(self):
        self.detached(flags=["--cap-drop=all", "--security-opt=no-new-privileges"])
        fields = ("CapEff", "CapBnd", "NoNewPrivs", "Seccomp")
        script = "|".join(fields)
        inside = self.exec(self.name, "grep", "-E", f"^({script}):", "/proc/self/status").out
        init = self.exec(self.name, "grep", "-E", f"^({script}):", "/proc/1/status").out
        self.assertEqual(inside, init)
        self.assertIn("CapEff:\t0000000000000000\n", inside)
        self.assertIn("NoNewPrivs:\t1\n", inside)
        self.assertIn("Seccomp:\t2\n", inside)

    def test_in_the_cgroup_and_namespaces_of_the_container(self):
        self.detached()
        script = "cat /proc/self/cgroup; for n in pid net ipc uts mnt; do readlink /proc/self/ns/$n; done"
        own = self.exec(self.name, "sh", "-c", script).out
        init = self.exec(self.name, "sh", "-c", script.replace("self", "1")).out
        self.assertEqual(own, init)


class Files(Case):
    def setUp(self):
        super().setUp()
        self.volume = podman.directory / "volumes" / self.name
        self.volume.mkdir(parents=True)
        (self.volume / "from-host").write_text("host\n")

    def test_volume(self):
        out = self.sh("cat /data/from-host; echo box >/data/from-box", f"--volume={self.volume}:/data")
        self.assertEqual(out, "host\n")
        self.assertEqual((self.volume / "from-box").read_text(), "box\n")

    def test_read_only_volume(self):
        result = self.run_box("sh", "-c", "cat /data/from-host && touch /data/new", flags=[f"--volume={self.volume}:/data:ro"])
        self.assertNotEqual(result.status, 0)
        self.assertEqual(result.out, "host\n", result)
        self.assertIn("Read-only file system", result.err)
        self.assertFalse((self.volume / "new").exists())

    def test_options_of_a_volume(self):
        out = self.sh("grep ' /data ' /proc/self/mountinfo", f"--volume={self.volume}:/data:rprivate,noexec,nodev,nosuid")
        options = out.split()[5].split(",")
        self.assertLessEqual({"noexec", "nodev", "nosuid", "rw"}, set(options))

    def test_volume_of_one_file(self):
        out = self.sh("cat /etc/one; test -f /etc/one", f"--volume={self.volume}/from-host:/etc/one:ro")
        self.assertEqual(out, "host\n")

    def test_read_only_root(self):
        result = self.run_box("sh", "-c", "touch /tmp/a && touch /dev/shm/b && touch /root/c", flags=["--read-only"])
        self.assertNotEqual(result.status, 0)
        self.assertIn("touch: /root/c: Read-only file system", result.err)

    def test_tmpfs(self):
        out = self.sh("grep ' /scratch ' /proc/self/mountinfo; touch /scratch/a; stat -c %a /scratch",
                      "--tmpfs=/scratch:size=1m,mode=1750,noexec")
        line, mode = out.splitlines()
        self.assertIn("size=1024k", line)
        self.assertIn("noexec", line.split()[5])
        self.assertEqual(mode, "1750")

    def test_size_of_shm(self):
        self.assertIn("size=2048k", self.sh("grep ' /dev/shm ' /proc/self/mountinfo", "--shm-size=2m"))

    def test_device(self):
        out = self.sh("stat -c '%t:%T %a' /dev/nought; echo x >/dev/nought", "--device=/dev/null:/dev/nought:rw")
        self.assertEqual(out, "1:3 666\n")

    def test_masks(self):
        out = self.sh("cat /proc/keys /proc/timer_list; ls /sys/firmware; echo 1 >/proc/sys/kernel/domainname; echo $?")
        self.assertEqual(out, "1\n")

    def test_masks_can_be_lifted_and_added(self):
        out = self.sh("ls /sys/firmware | grep -c . ; ls /usr/bin; cat /etc/not-executable",
                      "--security-opt=unmask=/sys/firmware", "--security-opt=mask=/etc/not-executable")
        self.assertNotEqual(out.splitlines()[0], "0")
        self.assertNotIn("#!", out)


class Limits(Case):
    def test_memory_pids_and_processors(self):
        script = "cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes pids/pids.max cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us"
        flags = ("--memory=64m", "--pids-limit=50", "--cpus=0.5")
        self.assertEqual(self.sh(script, *flags).split(), ["67108864", "50", "50000", "100000"])
        pid = self.detached(flags=flags)
        self.assertEqual(callers.cgroup_file(pid, "memory", "memory.limit_in_bytes"), "67108864")
        self.assertEqual(callers.cgroup_file(pid, "pids", "pids.max"), "50")
        self.assertEqual(callers.cgroup_file(pid, "cpu", "cpu.cfs_quota_us"), "50000")

    def test_pids_limit_holds(self):
        result = self.run_box("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; echo all", flags=["--pids-limit=4"])
        self.assertNotIn("all", result.out)
        self.assertIn("can't fork", result.err)

    def test_memory_limit_holds(self):
        result = self.run_box("sh", "-c", "head -c 100m /dev/zero | tail | wc -c", flags=["--memory=16m", "--memory-swap=16m"])
        self.assertNotEqual(result.out, "104857600\n", result)

    def test_shares_and_set_of_processors(self):
        out = self.sh("cat /sys/fs/cgroup/cpu/cpu.shares; grep Cpus_allowed_list /proc/self/status",
                      "--cpu-shares=512", "--cpuset-cpus=0")
        self.assertEqual(out.split(), ["512", "Cpus_allowed_list:", "0"])

    def test_update(self):
        pid = self.detached(flags=["--memory=64m"])
        self.assertOk(podman("update", "--memory=32m", "--pids-limit=20", self.name)
                      if "--pids-limit" in podman("update", "--help").out
                      else podman("update", "--memory=32m", self.name))
        self.assertEqual(callers.cgroup_file(pid, "memory", "memory.limit_in_bytes"), "33554432")

    def test_rlimits(self):
        out = self.sh("ulimit -n; ulimit -u", "--ulimit=nofile=77:77", "--ulimit=nproc=88:88")
        self.assertEqual(out, "77\n88\n")

    def test_devices_are_denied(self):
        # mknod is among podman's default capabilities: only the cgroup stops the device.
        result = self.run_box("sh", "-c", "mknod /tmp/d b 254 0 && head -c 1 /tmp/d", flags=["--cap-add=mknod"])
        self.assertNotEqual(result.status, 0)
        self.assertIn("Operation not permitted", result.err)

    def test_sysctl(self):
        self.assertEqual(self.sh("cat /proc/sys/kernel/msgmax", "--sysctl=kernel.msgmax=4321"), "4321\n")

    def test_oom_score(self):
        self.assertEqual(self.sh("cat /proc/self/oom_score_adj", "--oom-score-adj=500"), "500\n")


class Identity(Case):
    def capabilities(self, *flags):
        lines = self.sh("grep ^Cap /proc/self/status", *flags).splitlines()
        return {line.split()[0].rstrip(":"): int(line.split()[1], 16) for line in lines}

    def test_user_by_number(self):
        self.assertEqual(self.sh("id -u; id -g", "--user=1234:5678"), "1234\n5678\n")

    def test_user_by_name(self):
        self.assertEqual(self.sh("id -un; id -gn", "--user=user"), "user\nuser\n")

    def test_additional_groups(self):
        self.assertIn("4242", self.sh("id -G", "--group-add=4242").split())

    def test_all_capabilities_dropped(self):
        self.assertEqual(set(self.capabilities("--cap-drop=all").values()), {0})

    def test_one_capability_kept(self):
        sets = self.capabilities("--cap-drop=all", "--cap-add=net_bind_service")
        self.assertEqual((sets["CapEff"], sets["CapPrm"], sets["CapBnd"]), (1 << 10,) * 3)
        self.assertEqual((sets["CapInh"], sets["CapAmb"]), (0, 0))

    def test_capabilities_of_a_user_that_is_not_root(self):
        sets = self.capabilities("--user=1000", "--cap-add=sys_nice")
        self.assertEqual(sets["CapEff"], 1 << 23)
        self.assertEqual(sets["CapAmb"], 1 << 23)

    def test_no_new_privileges(self):
        script = "grep NoNewPrivs /proc/self/status"
        self.assertEqual(self.sh(script), "NoNewPrivs:\t0\n")
        self.assertEqual(self.sh(script, "--security-opt=no-new-privileges"), "NoNewPrivs:\t1\n")

    def test_default_seccomp_profile(self):
        # The profile allows personality with a few arguments; no address space randomisation is none of them.
        script = "grep Seccomp: /proc/self/status; probe syscall 135 262144"
        on, off = self.sh(script), self.sh(script, "--security-opt=seccomp=unconfined")
        self.assertTrue(on.startswith("Seccomp:\t2\n"), on)
        self.assertEqual(json.loads(on.partition("\n")[2])["ret"], -1)
        self.assertTrue(off.startswith("Seccomp:\t0\n"), off)
        self.assertEqual(json.loads(off.partition("\n")[2])["ret"], 0)

    def test_seccomp_profile_of_ones_own(self):
        profile = podman.directory / "profile.json"
        profile.write_text(json.dumps({
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}))
        result = self.run_box("mkdir", "/tmp/new", flags=[f"--security-opt=seccomp={profile}"])
        self.assertEqual(result.status, 1, result)
        self.assertIn("No space left on device", result.err)

    def test_privileged(self):
        out = self.sh("grep CapEff /proc/self/status; grep Seccomp: /proc/self/status; test -w /proc/sys/kernel/domainname && echo w",
                      "--privileged")
        mask = pathlib.Path("/proc/self/status").read_text().partition("CapBnd:\t")[2].split()[0]
        self.assertEqual(out, f"CapEff:\t{mask}\nSeccomp:\t0\nw\n")


class Namespaces(Case):
    def links(self, *flags, names=("pid", "net", "ipc", "uts", "mnt")):
        out = self.sh("for n in " + " ".join(names) + "; do readlink /proc/self/ns/$n; done", *flags)
        return dict(zip(names, out.split()))

    def test_own_by_default(self):
        for name, link in self.links().items():
            self.assertNotEqual(link, os.readlink(f"/proc/self/ns/{name}"), name)

    def test_of_the_host(self):
        links = self.links("--pid=host", "--network=host", "--ipc=host", "--uts=host")
        for name in ("pid", "net", "ipc", "uts"):
            self.assertEqual(links[name], os.readlink(f"/proc/self/ns/{name}"), name)
        self.assertNotEqual(links["mnt"], os.readlink("/proc/self/ns/mnt"))

    def test_no_network(self):
        self.assertEqual(self.sh("ls /sys/class/net; cat /sys/class/net/lo/operstate", "--network=none").split()[0], "lo")

    def test_of_another_container(self):
        pid = self.detached()
        links = self.links(*(f"--{name}=container:{self.name}" for name in ("pid", "network", "ipc")),
                           names=("pid", "net", "ipc", "mnt"))
        for name in ("pid", "net", "ipc"):
            self.assertEqual(links[name], os.readlink(f"/proc/{pid}/ns/{name}"), name)
        self.assertNotEqual(links["mnt"], os.readlink(f"/proc/{pid}/ns/mnt"))

    def test_user_namespace(self):
        out = self.sh("cat /proc/self/uid_map /proc/self/gid_map; id -u; stat -c %u /bin/busybox",
                      "--uidmap=0:200000:1000", "--gidmap=0:300000:1000")
        self.assertEqual(out.split(), ["0", "200000", "1000", "0", "300000", "1000", "0", "0"])

    def test_private_cgroup_namespace(self):
        self.assertIn("0::/\n", self.sh("cat /proc/self/cgroup", "--cgroupns=private"))


class Build(Case):
    def test_run_in_a_containerfile(self):
        context = podman.directory / "context"
        context.mkdir(exist_ok=True)
        (context / "Containerfile").write_text(
            "FROM box\nRUN echo built >/etc/built && grep Seccomp: /proc/self/status\nRUN exit 0\nCMD cat /etc/built\n")
        result = podman("build", "--isolation=oci", "--network=none", "--cgroup-parent", f"/{podman.cgroup}/build",
                        "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--tag", "built", context)
        self.addCleanup(podman, "rmi", "--force", "built")
        self.assertOk(result)
        self.assertIn("Seccomp:\t2", result.out)
        run = podman("run", "--rm", *self.flags(), "built")
        self.assertEqual((run.status, run.out), (0, "built\n"), run)

    def test_a_failing_step_fails_the_build(self):
        context = podman.directory / "failing"
        context.mkdir(exist_ok=True)
        (context / "Containerfile").write_text("FROM box\nRUN exit 3\n")
        result = podman("build", "--isolation=oci", "--network=none", "--cgroup-parent", f"/{podman.cgroup}/build",
                        "--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", context)
        self.assertNotEqual(result.status, 0)
        self.assertIn("exit status 3", result.err)


class Networks(Case):
    """A container of podman's with a network of nucleus's, by two annotations. The "host" is a network namespace."""

    def setUp(self):
        self.host = NetworkNamespace(self)
        self.outside = NetworkNamespace(self)
        super().setUp()
        self.host.run("sh", "-ec", f"ip link set lo up; ip link add up0 type veth peer name srv0 netns {self.outside.path};"
                      "ip address add 192.0.2.100/24 dev up0; ip link set up0 up; ip route add default via 192.0.2.1")
        self.outside.run("sh", "-ec", "ip address add 192.0.2.1/24 dev srv0; ip link set srv0 up")
        self.servers = [subprocess.Popen(self.outside.enter() + ["busybox", "nc", "-ll", "-p", port, "-e", "/bin/echo", "hello"])
                        for port in ("80", "81")]
        self.addCleanup(lambda: [(s.kill(), s.wait()) for s in self.servers])
        wait_until(lambda: self.outside.run("cat", "/proc/net/tcp", "/proc/net/tcp6").count(":005") >= 2, "the servers")

    def test_egress(self):
        policy = podman.directory / "egress.toml"
        policy.write_text('[[allow]]\ncidr = "192.0.2.1/32"\nports = ["tcp/80"]\n')
        pin = f"{policy}@sha256:{hashlib.sha256(policy.read_bytes()).hexdigest()}"
        result = command(self.host.enter() + podman.args(
            "run", "--rm", *self.flags("--annotation", "dev.nucleus.network=bridge",
                                       "--annotation", f"dev.nucleus.policy.egress={pin}"),
            "box", "sh", "-c", "nc -w 5 192.0.2.1 80; nc -w 5 192.0.2.1 81 || echo refused"), env=podman.env)
        self.assertOk(result)
        self.assertEqual(result.out.split(), ["hello", "refused"])
        self.assertEqual(set(self.host.links()), {"lo", "up0"})


@unittest.skipUnless(shutil.which("runsc"), "runsc is not installed")
class Gvisor(Case):
    """A container inside of gVisor, by one annotation."""

    FLAGS = ("--annotation", "dev.nucleus.runtime=gvisor")

    def test_run_and_exec(self):
        result = self.run_box("sh", "-c", "dmesg; echo to-err >&2; exit 7", flags=self.FLAGS)
        self.assertEqual(result.status, 7, result)
        self.assertIn("gVisor", result.out)
        self.assertIn("to-err", result.err)
        self.detached(flags=(*self.FLAGS, "--security-opt", "seccomp=unconfined"))
        self.assertEqual(self.status(), "running")
        result = self.exec(self.name, "sh", "-c", "echo inside; exit 4")
        self.assertEqual((result.status, result.out), (4, "inside\n"), result)
        self.assertOk(podman("kill", self.name))
        wait_until(lambda: self.status() == "exited", "its end")
        self.assertEqual(self.inspect()["State"]["ExitCode"], 137)


if __name__ == "__main__":
    main()
