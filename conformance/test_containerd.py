"""containerd drives the runtime through its shim (go-runc): what `ctr` starts, executes, signals, freezes, measures, deletes."""

import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
import unittest

import callers
from harness import NetworkNamespace, command, is_alive, main, make_rootfs, mounts_below, wait_until

CONFIG = """\
version = 2
root = "{directory}/root"
state = "{directory}/state"
disabled_plugins = [{disabled}]
[grpc]
  address = "{directory}/c.sock"
[ttrpc]
  address = "{directory}/c.sock.ttrpc"
"""

# What needs the network's configuration or directories of the host, and is not asked for here.
DISABLED = ("io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs",
            "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper",
            "io.containerd.snapshotter.v1.zfs", "io.containerd.tracing.processor.v1.otlp")


class Containerd:
    """A containerd of our own: its sockets, state and namespace share nothing with any other on the host."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="nt-containerd.", dir=callers.scratch()))
        self.namespace = self.directory.name.replace(".", "-").replace("_", "-").lower() + "-n"
        self.rootfs = make_rootfs(self.directory / "rootfs")
        (self.rootfs / "etc/not-executable").write_text("#!/bin/sh\n")
        disabled = ", ".join(f'"{name}"' for name in DISABLED)
        (self.directory / "config.toml").write_text(CONFIG.format(directory=self.directory, disabled=disabled))
        self.log = open(self.directory / "log", "ab")
        self.daemon = None
        self.start()

    def start(self):
        self.daemon = subprocess.Popen(["containerd", "--config", self.directory / "config.toml"],
                                       stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_until(lambda: self("version").status == 0, "containerd answers", 60)

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait(30)

    def args(self, *args):
        return ["ctr", "--address", self.directory / "c.sock", "--namespace", self.namespace, *args]

    def __call__(self, *args, **keywords):
        return command(self.args(*args), **keywords)

    def left(self):
        state = self.directory / "runc" / self.namespace
        return {
            "containers": self("containers", "ls", "--quiet").out.split(),
            "tasks": self("tasks", "ls", "--quiet").out.split(),
            # A name with a comma is no container's: what the runtime keeps from one to the next.
            "runtime state": [p.name for p in state.iterdir() if "," not in p.name] if state.exists() else [],
            "shims": callers.processes_naming(f"-namespace {self.namespace}"),
            "cgroups": callers.cgroups_below(self.namespace),
            "mounts": mounts_below(self.directory),
        }

    def close(self):
        self.stop()
        self.log.close()
        for pid, _ in callers.processes_naming(f"-namespace {self.namespace}"):
            os.kill(pid, signal.SIGKILL)
        callers.unmount_all(mounts_below(self.directory))
        callers.remove_cgroups(self.namespace)
        shutil.rmtree(self.directory, ignore_errors=True)


def setUpModule():
    global containerd
    containerd = Containerd()
    unittest.addModuleCleanup(containerd.close)


class Case(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.addCleanup(self.check_nothing_left)
        self.name = self.id().rpartition(".")[2].replace("_", "-")

    def check_nothing_left(self):
        for name in containerd("tasks", "ls", "--quiet").out.split():
            containerd("tasks", "delete", "--force", name)
        for name in containerd("containers", "ls", "--quiet").out.split():
            containerd("containers", "delete", name)
        clean = {"containers": [], "tasks": [], "runtime state": [], "shims": [], "cgroups": [], "mounts": []}
        try:
            # A shim ends a moment after its task.
            wait_until(lambda: containerd.left() == clean, "nothing left", 10)
        except AssertionError:
            self.assertEqual(containerd.left(), clean)

    @property
    def runtime(self):
        return ("--runc-binary", callers.RUNTIME_PATH, "--runc-root", containerd.directory / "runc")

    def run_args(self, *cmd, flags=()):
        return ("run", "--rm", *self.runtime, *flags, "--rootfs", containerd.rootfs, self.name, *cmd)

    def run_box(self, *cmd, flags=(), **keywords):
        return containerd(*self.run_args(*cmd, flags=flags), **keywords)

    def sh(self, script, *flags):
        result = self.run_box("/bin/sh", "-c", script, flags=flags)
        self.assertOk(result)
        return result.out

    def detached(self, *cmd, flags=()):
        """Starts a container called self.name; gives its pid."""
        self.assertOk(containerd("run", "--detach", *self.runtime, *flags, "--rootfs", containerd.rootfs, self.name,
                                 *(cmd or ("/bin/sleep", "1000"))))
        return self.task()[0]

    def task(self):
        """Pid and status of the task, or None."""
        for line in containerd("tasks", "ls").out.splitlines()[1:]:
            name, pid, status = line.split()
            if name == self.name:
                return int(pid), status
        return None

    def exec(self, *cmd, flags=(), **keywords):
        return containerd("tasks", "exec", "--exec-id", f"e{os.urandom(4).hex()}", *flags, self.name, *cmd, **keywords)

    def assertOk(self, result):
        if result.status != 0:
            self.fail(f"expected success of {result}")


class Run(Case):
    def test_streams_and_status(self):
        result = self.run_box("/bin/sh", "-c", "echo to-out; echo to-err >&2; exit 7")
        self.assertEqual((result.status, result.out), (7, "to-out\n"), result)
        self.assertIn("to-err\n", result.err)

    def test_stdin(self):
        with tempfile.TemporaryFile() as file:
            file.write(b"typed\n" * 1000)
            file.seek(0)
            result = self.run_box("/bin/head", "-n", "1000", stdin=file)  # ctr 1.6 run does not hand the end on
        self.assertOk(result)
        self.assertEqual(result.out, "typed\n" * 1000)

    def test_command_not_found(self):
        result = self.run_box("no-such-command")
        self.assertEqual(result.status, 1, result)
        self.assertIn('exec: "no-such-command": executable file not found in $PATH', result.err.replace("\\", ""))

    def test_path_not_found(self):
        result = self.run_box("/no/such/file")
        self.assertEqual(result.status, 1, result)
        self.assertIn("no such file or directory", result.err)

    def test_not_executable(self):
        result = self.run_box("/etc/not-executable")
        self.assertEqual(result.status, 1, result)
        self.assertIn("permission denied", result.err)

    def test_the_same_name_twice_after_a_failure(self):
        self.assertNotEqual(self.run_box("no-such-command").status, 0)
        self.assertOk(self.run_box("/bin/true"))

    def test_directory_environment(self):
        self.assertEqual(self.sh("pwd; echo $COLOUR", "--cwd=/usr/bin", "--env=COLOUR=blue"), "/usr/bin\nblue\n")

    def test_spec_from_a_file(self):
        spec = json.loads(containerd("oci", "spec").out)
        spec["process"]["args"] = ["/bin/sh", "-c", "hostname; exit 4"]
        spec["process"]["terminal"] = False
        spec["hostname"] = "from-file"
        spec["root"] = {"path": str(containerd.rootfs)}
        spec["linux"]["cgroupsPath"] = f"/{containerd.namespace}/{self.name}"
        path = containerd.directory / "spec.json"
        path.write_text(json.dumps(spec))
        result = containerd("run", "--rm", *self.runtime, "--config", path, self.name)
        self.assertEqual((result.status, result.out), (4, "from-file\n"), result)

    def test_pid_file(self):
        path = containerd.directory / "pid"
        pid = self.detached(flags=("--pid-file", path))
        self.assertEqual(int(path.read_text()), pid)

    def test_image_from_an_archive(self):
        path = containerd.directory / "image.tar"
        make_image(path, containerd.rootfs, ["/bin/sh", "-c", "id -u; pwd; echo $FROM; exit 6"])
        self.assertOk(containerd("images", "import", "--snapshotter", "native", path))
        self.addCleanup(containerd, "images", "rm", "--sync", "localhost/box:test")
        result = containerd("run", "--rm", *self.runtime, "--snapshotter", "native", "localhost/box:test", self.name)
        self.assertEqual((result.status, result.out), (6, "1000\n/tmp\nimage\n"), result)


class Terminal(Case):
    # ctr drops what a terminal still holds when the process ends, with any runtime: each process waits for a last word.

    def test_run(self):
        result = callers.on_terminal(
            containerd.args(*self.run_args("/bin/sh", "-c", "tty; read -p name? x; echo hello $x; read y; exit 5",
                                           flags=["--tty"])),
            say=[("name?", "sea\n"), ("hello sea", "end\n")])
        self.assertEqual(result.status, 5, result)
        self.assertIn("/dev/pts/0", result.out)
        self.assertIn("hello sea\n", result.out.replace("\r", ""))

    def test_exec(self):
        self.detached()
        result = callers.on_terminal(containerd.args(
            "tasks", "exec", "--tty", "--exec-id", "t1", self.name, "/bin/sh", "-c",
            "test -t 0 && test -t 1 && tty; read x; exit 3"), say=[("/dev/pts/0", "end\n")])
        self.assertEqual(result.status, 3, result)
        self.assertIn("/dev/pts/0", result.out)


class Lifecycle(Case):
    def test_from_run_to_delete(self):
        pid = self.detached()
        self.assertEqual(self.task()[1], "RUNNING")
        self.assertTrue(is_alive(pid))
        result = self.exec("/bin/sh", "-c", "echo in; exit 4")
        self.assertEqual((result.status, result.out), (4, "in\n"), result)
        self.assertOk(containerd("tasks", "kill", "--signal", "SIGKILL", self.name))
        wait_until(lambda: self.task()[1] == "STOPPED", "stopped")
        self.assertFalse(is_alive(pid))
        self.assertOk(containerd("tasks", "delete", self.name))
        self.assertIsNone(self.task())
        self.assertOk(containerd("containers", "delete", self.name))

    def test_one_task_after_another(self):
        self.detached("/bin/sh", "-c", "echo once; exit 2")
        wait_until(lambda: self.task()[1] == "STOPPED", "stopped")
        self.assertOk(containerd("tasks", "delete", self.name))
        for _ in range(2):
            result = containerd("tasks", "start", self.name)
            self.assertEqual((result.status, result.out), (2, "once\n"), result)

    def test_signals_by_name_and_number(self):
        for name in ("SIGUSR1", "USR1", "10"):
            with self.subTest(name=name):
                process = subprocess.Popen(
                    [str(a) for a in containerd.args(*self.run_args(
                        "/bin/sh", "-c", "trap 'exit 8' USR1; echo ready; while :; do sleep 0.05; done"))],
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
                with process.stdout:
                    self.assertEqual(process.stdout.readline(), "ready\n")
                    self.assertOk(containerd("tasks", "kill", "--signal", name, self.name))
                    self.assertEqual(process.wait(30), 8)

    def test_kill_all(self):
        pid = self.detached("/bin/sh", "-c", "trap '' TERM; sleep 1000 & sleep 1001 & wait")
        self.assertOk(containerd("tasks", "kill", "--all", "--signal", "SIGKILL", self.name))
        wait_until(lambda: self.task()[1] == "STOPPED", "stopped")
        self.assertFalse(is_alive(pid))

    def test_kill_of_what_has_ended(self):
        self.detached("/bin/true")
        wait_until(lambda: self.task()[1] == "STOPPED", "stopped")
        result = containerd("tasks", "kill", "--signal", "SIGKILL", self.name)
        # The shim recognises the runtime's words; else it says "unknown error after kill".
        self.assertIn("process already finished: not found", result.err)

    def test_pause(self):
        pid = self.detached()
        self.assertOk(containerd("tasks", "pause", self.name))
        self.assertEqual(self.task()[1], "PAUSED")
        self.assertEqual(callers.cgroup_file(pid, "freezer", "freezer.state"), "FROZEN")
        self.assertOk(containerd("tasks", "resume", self.name))
        self.assertEqual(self.task()[1], "RUNNING")
        self.assertEqual(callers.cgroup_file(pid, "freezer", "freezer.state"), "THAWED")

    def test_processes(self):
        pid = self.detached("/bin/sh", "-c", "sleep 1234 & sleep 1235 & wait")
        wait_until(lambda: len(self.pids()) == 3, "three processes")
        self.assertIn(pid, self.pids())

    def pids(self):
        result = containerd("tasks", "ps", self.name)
        self.assertOk(result)
        return [int(line.split()[0]) for line in result.out.splitlines()[1:]]

    def test_metrics(self):
        self.detached()
        result = containerd("tasks", "metrics", "--format", "json", self.name)
        self.assertOk(result)
        metrics = json.loads(result.out)
        self.assertEqual(int(metrics["pids"]["current"]), 1)
        self.assertGreater(int(metrics["memory"]["usage"]["usage"]), 0)

    def test_the_caller_sees_the_end(self):
        pid = self.detached()
        os.kill(pid, signal.SIGTERM)  # init of a pid namespace: only KILL from outside ends it
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: self.task()[1] == "STOPPED", "stopped")

    def test_survives_a_restart_of_containerd(self):
        pid = self.detached()
        containerd.stop()
        self.assertTrue(is_alive(pid))
        containerd.start()
        self.assertEqual(self.task(), (pid, "RUNNING"))
        self.assertOk(self.exec("/bin/true"))

    def test_death_of_the_shim(self):
        pid = self.detached()
        shims = [p for p, line in callers.processes_naming(f"-namespace {containerd.namespace}") if self.name in line]
        self.assertEqual(len(shims), 1)
        # A socket outlives a shim that is killed; it lies in a directory of the host's.
        address = containerd.directory / "state/io.containerd.runtime.v2.task" / containerd.namespace / self.name / "address"
        socket = address.read_text().removeprefix("unix://")
        self.addCleanup(lambda: os.path.lexists(socket) and os.unlink(socket))
        os.kill(shims[0], signal.SIGKILL)
        # containerd has the runtime delete the container by force.
        wait_until(lambda: not is_alive(pid), "the process killed")
        wait_until(lambda: callers.cgroups_below(containerd.namespace) == [], "the cgroups removed")

    def test_force_delete_of_a_running_task(self):
        pid = self.detached("/bin/sh", "-c", "trap '' TERM; sleep 1000 & wait")
        self.assertIn(containerd("tasks", "delete", "--force", self.name).status, (0, 137))
        self.assertFalse(is_alive(pid))


class Exec(Case):
    def test_user_and_directory(self):
        self.detached()
        result = self.exec("/bin/sh", "-c", "id -u; id -g; pwd", flags=["--user=1000:1000", "--cwd=/tmp"])
        self.assertEqual(result.out, "1000\n1000\n/tmp\n", result)

    def test_stdin(self):
        self.detached()
        with tempfile.TemporaryFile() as file:
            file.write(b"typed")
            file.seek(0)
            result = self.exec("/bin/cat", stdin=file)
        self.assertEqual((result.status, result.out), (0, "typed"), result)

    def test_errors(self):
        self.detached()
        result = self.exec("no-such-command")
        self.assertEqual(result.status, 1, result)
        self.assertIn('exec: "no-such-command": executable file not found in $PATH', result.err.replace("\\", ""))
        result = self.exec("/etc/not-executable")
        self.assertEqual(result.status, 1, result)
        self.assertIn("permission denied", result.err)
        self.assertEqual(self.task()[1], "RUNNING")

    def test_kill_of_one_exec(self):
        self.detached()
        process = subprocess.Popen([str(a) for a in containerd.args("tasks", "exec", "--exec-id", "long", self.name,
                                                                    "/bin/sleep", "1000")], stdin=subprocess.DEVNULL)
        wait_until(lambda: containerd("tasks", "kill", "--exec-id", "long", "--signal", "SIGKILL", self.name).status == 0,
                   "the exec to signal")
        self.assertEqual(process.wait(30), 137)
        self.assertEqual(self.task()[1], "RUNNING")

    def test_in_the_cgroup_and_namespaces_of_the_container(self):
        self.detached()
        script = "cat /proc/self/cgroup; for n in pid net ipc uts mnt; do readlink /proc/self/ns/$n; done"
        own = self.exec("/bin/sh", "-c", script).out
        init = self.exec("/bin/sh", "-c", script.replace("self", "1")).out
        self.assertTrue(own)
        self.assertEqual(own, init)


class Confinement(Case):
    def test_limits(self):
        pid = self.detached(flags=["--memory-limit=67108864", "--cpus=0.5", "--cpu-shares=512"])
        self.assertEqual(callers.cgroup_file(pid, "memory", "memory.limit_in_bytes"), "67108864")
        self.assertEqual(callers.cgroup_file(pid, "cpu", "cpu.cfs_quota_us"), "50000")
        self.assertEqual(callers.cgroup_file(pid, "cpu", "cpu.shares"), "512")

    def test_memory_limit_holds(self):
        result = self.run_box("/bin/sh", "-c", "head -c 100m /dev/zero | tail | wc -c", flags=["--memory-limit=16777216"])
        self.assertNotEqual(result.out, "104857600\n", result)

    def test_default_seccomp_profile(self):
        self.assertEqual(self.sh("grep Seccomp: /proc/self/status", "--seccomp"), "Seccomp:\t2\n")
        self.assertEqual(self.sh("grep Seccomp: /proc/self/status"), "Seccomp:\t0\n")

    def test_seccomp_profile_of_ones_own(self):
        profile = containerd.directory / "profile.json"
        profile.write_text(json.dumps({
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
            "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}))
        result = self.run_box("/bin/mkdir", "/tmp/new", flags=["--seccomp", f"--seccomp-profile={profile}"])
        self.assertEqual(result.status, 1, result)
        self.assertIn("No space left on device", result.err)

    def test_capabilities(self):
        script = "grep CapEff /proc/self/status"
        default = int(self.sh(script).split()[1], 16)
        self.assertEqual(int(self.sh(script, "--cap-drop=CAP_CHOWN").split()[1], 16), default & ~1)
        self.assertEqual(int(self.sh(script, "--cap-add=CAP_SYS_NICE").split()[1], 16), default | 1 << 23)

    def test_no_new_privileges(self):
        script = "grep NoNewPrivs /proc/self/status"
        self.assertEqual(self.sh(script), "NoNewPrivs:\t1\n")
        self.assertEqual(self.sh(script, "--allow-new-privs"), "NoNewPrivs:\t0\n")

    def test_read_only_root(self):
        result = self.run_box("/bin/touch", "/new", flags=["--read-only"])
        self.assertEqual(result.status, 1, result)
        self.assertIn("Read-only file system", result.err)

    def test_mount(self):
        source = containerd.directory / "source"
        source.mkdir(exist_ok=True)
        (source / "file").write_text("host\n")
        result = self.run_box("/bin/sh", "-c", "cat /mnt/file; touch /mnt/new",
                              flags=[f"--mount=type=bind,src={source},dst=/mnt,options=rbind:ro"])
        self.assertEqual((result.status, result.out), (1, "host\n"), result)

    def test_host_network(self):
        self.assertEqual(self.sh("readlink /proc/self/ns/net", "--net-host"), os.readlink("/proc/self/ns/net") + "\n")
        self.assertNotEqual(self.sh("readlink /proc/self/ns/net"), os.readlink("/proc/self/ns/net") + "\n")

    def test_namespace_of_another_container(self):
        pid = self.detached()
        result = containerd("run", "--rm", *self.runtime, f"--with-ns=network:/proc/{pid}/ns/net", "--rootfs",
                            containerd.rootfs, f"{self.name}-2", "/bin/readlink", "/proc/self/ns/net")
        self.assertEqual(result.out, os.readlink(f"/proc/{pid}/ns/net") + "\n", result)

    def test_devices_are_denied(self):
        result = self.run_box("/bin/sh", "-c", "mknod /tmp/d b 254 0 && head -c 1 /tmp/d; s=$?; rm -f /tmp/d; exit $s")
        self.assertNotEqual(result.status, 0, result)
        self.assertIn("Operation not permitted", result.err)

    def test_device(self):
        out = self.sh("stat -c %t:%T /dev/full && echo x >/dev/fuse-not-there 2>/dev/null; test -c /dev/net/tun && echo tun",
                      "--device=/dev/net/tun")
        self.assertEqual(out, "1:7\ntun\n")

    def test_privileged(self):
        out = self.sh("grep CapEff /proc/self/status; test -w /proc/sys/kernel/domainname && echo w", "--privileged")
        self.assertTrue(out.endswith("w\n"), out)
        self.assertGreaterEqual(int(re.search(r"CapEff:\t(\w+)", out)[1], 16), 1 << 37)


class Egress(Case):
    """As a higher tool does it: the namespace and its links are the caller's, the policy comes by an annotation."""

    def setUp(self):
        super().setUp()
        self.netns = NetworkNamespace(self)
        outside = NetworkNamespace(self)
        self.netns.run("sh", "-ec", f"ip link set lo up; ip link add eth0 type veth peer name srv0 netns {outside.path};"
                       "ip address add 192.0.2.100/24 dev eth0; ip link set eth0 up")
        outside.run("sh", "-ec", "ip address add 192.0.2.1/24 dev srv0; ip link set srv0 up")
        servers = [subprocess.Popen(outside.enter() + ["busybox", "nc", "-ll", "-p", port, "-e", "/bin/echo", "hello"])
                   for port in ("80", "81")]
        self.addCleanup(lambda: [(s.kill(), s.wait()) for s in servers])
        wait_until(lambda: outside.run("cat", "/proc/net/tcp", "/proc/net/tcp6").count(":005") >= 2, "the servers")
        policy = containerd.directory / "egress.toml"
        policy.write_text('[[allow]]\ncidr = "192.0.2.1/32"\nports = ["tcp/80"]\n')
        pin = f"{policy}@sha256:{hashlib.sha256(policy.read_bytes()).hexdigest()}"
        self.flags = ["--with-ns", f"network:{self.netns.path}", "--annotation", f"dev.nucleus.policy.egress={pin}"]

    def test_run(self):
        result = self.run_box("/bin/sh", "-c", "nc -w 5 192.0.2.1 80; nc -w 5 192.0.2.1 81 || echo refused",
                              flags=[*self.flags, "--cap-drop", "CAP_NET_RAW"])
        self.assertOk(result)
        self.assertEqual(result.out.split(), ["hello", "refused"])
        self.assertEqual(self.netns.run("nft", "list", "tables"), "")

    def test_exec(self):
        self.detached(flags=[*self.flags, "--cap-drop", "CAP_NET_RAW"])
        self.assertEqual(self.exec("/bin/nc", "-w", "5", "192.0.2.1", "80").out, "hello\n")
        self.assertNotEqual(self.exec("/bin/nc", "-w", "5", "192.0.2.1", "81").status, 0)
        self.assertIn("table inet nucleus", self.netns.run("nft", "list", "tables"))

    def test_with_a_capability_that_goes_around_it(self):
        result = self.run_box("/bin/true", flags=self.flags)
        self.assertNotEqual(result.status, 0)
        self.assertIn("CAP_NET_RAW goes around the egress policy", result.err)
        self.assertEqual(self.netns.run("nft", "list", "tables"), "")


def make_image(path, rootfs, cmd):
    """An OCI archive of one layer, made by hand."""
    blobs = {}

    def blob(data):
        digest = hashlib.sha256(data).hexdigest()
        blobs[digest] = data
        return {"digest": f"sha256:{digest}", "size": len(data)}

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(rootfs, arcname=".")
    layer = blob(buffer.getvalue())
    config = blob(json.dumps({
        "architecture": "amd64", "os": "linux",
        "config": {"Cmd": cmd, "Env": ["PATH=/bin", "FROM=image"], "WorkingDir": "/tmp", "User": "1000:1000"},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).encode())
    manifest = blob(json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **layer}]}).encode())
    index = json.dumps({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", **manifest,
        "annotations": {"io.containerd.image.name": "localhost/box:test"}}]}).encode()
    with tarfile.open(path, "w") as tar:
        files = {"oci-layout": b'{"imageLayoutVersion": "1.0.0"}', "index.json": index}
        files.update({f"blobs/sha256/{digest}": data for digest, data in blobs.items()})
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@unittest.skipUnless(shutil.which("runsc"), "runsc is not installed")
class Gvisor(Case):
    """A container inside of gVisor, by one annotation."""

    FLAGS = ("--annotation", "dev.nucleus.runtime=gvisor")

    def test_run_and_exec(self):
        result = self.run_box("/bin/sh", "-c", "dmesg; exit 7", flags=self.FLAGS)
        self.assertEqual(result.status, 7, result)
        self.assertIn("gVisor", result.out)
        self.detached(flags=self.FLAGS)
        self.assertEqual(self.task()[1], "RUNNING")
        result = containerd("tasks", "exec", "--exec-id", "more", self.name, "/bin/sh", "-c", "echo inside; exit 4")
        self.assertEqual((result.status, result.out), (4, "inside\n"), result)
        self.assertOk(containerd("tasks", "kill", "--signal", "KILL", self.name))
        wait_until(lambda: self.task()[1] == "STOPPED", "its end")


if __name__ == "__main__":
    main()
