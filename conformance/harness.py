"""What every black-box test stands on: a runtime to drive, a bundle to give it, and a look at what is left.

RUNTIME names the binary under test (default: the dev build); any OCI runtime can be put there. Each test has a state root, a
bundle and a busybox root filesystem of its own, and fails if it leaves a process, mount, cgroup or state behind.
"""

import contextlib
import copy
import ctypes
import errno
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

import gvisor
import stream

PROJECT = pathlib.Path(__file__).resolve().parent.parent
RUNTIME = os.environ.get("RUNTIME", str(PROJECT / "build/dev/shim/nucleus"))
PROBE = os.environ.get("PROBE", str(PROJECT / "build/dev/conformance/probe"))
IS_NUCLEUS = os.path.basename(RUNTIME).startswith("nucleus")
BUSYBOX = os.environ.get("BUSYBOX", "/bin/busybox")
# Bundles ask for gVisor, where they do not say otherwise: the same tests of the other backend (report.py gvisor:PATH).
GVISOR = os.environ.get("NUCLEUS_TEST_BACKEND") == "gvisor"
KERNEL = tuple(map(int, os.uname().release.split(".")[:2]))
SLOW = float(os.environ.get("NUCLEUS_TEST_SLOW", "1"))  # factor on every wait, for an emulated processor
TIMEOUT = 60 * SLOW  # seconds that any one command may take before the test fails: hanging is a failure, not a wait

LANDLOCK_CREATE_RULESET = 444

_counter = itertools.count()


def landlock_abi():
    """Of this kernel; 0 where it has no Landlock."""
    return max(ctypes.CDLL(None).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1), 0)


# In the order of their numbers.
CAPABILITIES = [f"CAP_{name}" for name in (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
    "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE "
    "MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE").split()]

DEFAULT_CAPABILITIES = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]

# The container of `runc spec`, without a terminal and with a network namespace of its own.
BASE_CONFIG = {
    "ociVersion": "1.2.0" if IS_NUCLEUS else "1.0.2",  # old releases know no other
    "process": {
        "terminal": False,
        "user": {"uid": 0, "gid": 0},
        "args": ["/bin/true"],
        "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "cwd": "/",
        "capabilities": {name: list(DEFAULT_CAPABILITIES) for name in ("bounding", "effective", "permitted")},
        "noNewPrivileges": True,
    },
    "root": {"path": "rootfs", "readonly": False},
    "hostname": "box",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    ],
    "linux": {
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "namespaces": [{"type": name} for name in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
        "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
}


def rule(level, section, text):
    """Marks a test with a rule of the specification that it checks: `@rule("MUST", "config-linux.md#namespaces", "...")`.

    `text` is the rule in our own words. Tests with the same three share a row in the tables of report.py.
    """
    assert level in ("MUST", "SHOULD", "MAY"), level

    def mark(function):
        function.rules = [(level, section, text), *getattr(function, "rules", [])]
        return function

    return mark


class Result:
    """How a command ended: its exit status (-n for a signal), stdout, stderr."""

    def __init__(self, args, status, out, err):
        self.args, self.status, self.out, self.err = args, status, out, err

    def __repr__(self):
        return f"{' '.join(map(str, self.args))}: status {self.status}\nstdout: {self.out}\nstderr: {self.err}"


def command(args, *, timeout=TIMEOUT, text=True, **keywords):
    """Runs any program to its end with the streams captured through files (a daemon that keeps one open is not waited for)."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        keywords.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen([str(a) for a in args], stdout=out, stderr=err, **keywords)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            out.seek(0), err.seek(0)
            raise AssertionError(f"no end within {timeout} s: {args}\n{out.read()!r}\n{err.read()!r}") from None
        out.seek(0), err.seek(0)
        out, err = out.read(), err.read()
    if text:
        out, err = out.decode(errors="replace"), err.decode(errors="replace")
    return Result(args, status, out, err)


def lose_call(number):
    """In a process before it becomes the runtime: the call answers "no such call", as on a kernel without it."""
    # Load the number; is it that one?; ENOSYS; allow.
    lines = ((0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050026), (0x06, 0, 0, 0x7fff0000))
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
    program = struct.pack("@HP", len(lines), ctypes.addressof(code))
    set_seccomp, filtered = 22, 2
    if ctypes.CDLL(None, use_errno=True).prctl(set_seccomp, filtered, ctypes.c_char_p(program), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no filter")


def on_terminal(args, **keywords):
    """Runs a program whose standard error is a terminal: its status, and what it wrote there."""
    master, slave = os.openpty()
    process = subprocess.Popen([str(a) for a in args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=slave,
                               **{"env": os.environ | {"TERM": "xterm"}, **keywords})
    os.close(slave)
    text = b""
    with contextlib.suppress(OSError):  # EIO: nobody has it any more
        while data := os.read(master, 4096):
            text += data
    os.close(master)
    return process.wait(TIMEOUT), text.decode(errors="replace")


def make_rootfs(path):
    """A root filesystem of busybox and its links, and the probe where it has been built."""
    path = pathlib.Path(path)
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root", "mnt", "usr/bin"):
        (path / name).mkdir(parents=True, exist_ok=True)
    (path / "tmp").chmod(0o1777)
    shutil.copy2(BUSYBOX, path / "bin/busybox")
    for applet in _applets():
        with contextlib.suppress(FileExistsError):
            (path / "bin" / applet).symlink_to("busybox")
    if os.path.exists(PROBE):
        shutil.copy2(PROBE, path / "bin/probe")
    (path / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/home/user:/bin/sh\n")
    (path / "etc/group").write_text("root:x:0:\nuser:x:1000:\n")
    return path


def _applets(cache=[]):
    """Busybox's names that the tests have in their texts: links to all of them would be most of a test's time."""
    if not cache:
        listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
        texts = " ".join(path.read_text() for path in pathlib.Path(__file__).parent.glob("*.py"))
        words = set(re.findall(r"[\w-]+|\[", texts))
        cache.extend(name for name in listed if name != "busybox" and name in words)
    return cache


def cgroup_directories(name):
    """Every directory called `name` in the host's cgroup trees."""
    found = []
    for parent, directories, _ in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(parent, d) for d in directories if d == name]
    return found


class Mount:
    """A line of mountinfo."""

    def __init__(self, line):
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        self.id, self.parent, self.root = fields[0], fields[1], fields[3]
        self.point, self.options, self.propagation = fields[4], set(fields[5].split(",")), fields[6:]
        self.type, self.source, super_options = after.split(" ")
        self.super = set(super_options.strip().split(","))

    def is_shared(self):
        return any(tag.startswith("shared:") for tag in self.propagation)

    def is_slave(self):
        return any(tag.startswith("master:") for tag in self.propagation)

    def is_unbindable(self):
        return "unbindable" in self.propagation

    def __repr__(self):
        return f"{self.point} {self.type} {self.root} {sorted(self.options)} {self.propagation} {sorted(self.super)}"


def parse_mounts(text):
    """Mount point → what is seen there (the last one mounted)."""
    return {mount.point: mount for mount in map(Mount, text.splitlines())}


def host_mounts(own):
    """The host's mountinfo, less what other tests, which run side by side, have mounted for themselves."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        return [line for line in file
                if str(own) in line or not any(name in line.split()[4] for name in ("nucleus-", "/nt-", "/netns"))]


def mounts_below(path):
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        return [line for line in file if line.split()[4].startswith(str(path))]


def capability_names(mask):
    return {name for number, name in enumerate(CAPABILITIES) if mask >> number & 1}


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(condition, what, timeout=20):
    """Polls, so that a test waits as long as needed and no longer; never a bare sleep."""
    end = time.monotonic() + timeout * SLOW
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.01)


class NetworkNamespace:
    """A network namespace of the test's own, at `path`; it goes when the test ends."""

    def __init__(self, case):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="nucleus-net.")) / "net"
        self.path.touch()
        subprocess.run(["unshare", f"--net={self.path}", "true"], check=True)
        case.addCleanup(self._remove)

    @classmethod
    def of(cls, pid):
        """The one that a process is in."""
        namespace = cls.__new__(cls)
        namespace.path = pathlib.Path(f"/proc/{pid}/ns/net")
        return namespace

    def _remove(self):
        subprocess.run(["umount", "-l", self.path], check=True)
        shutil.rmtree(self.path.parent)

    def enter(self):
        """What a command line begins with to run there."""
        return ["nsenter", f"--net={self.path}"]

    def run(self, *args):
        result = command(self.enter() + list(args))
        if result.status != 0:
            raise AssertionError(result)
        return result.out

    def ip(self, *args):
        return self.run("ip", *args)

    def links(self):
        """Name → what `ip` tells of it, addresses too."""
        return {link["ifname"]: link for link in json.loads(self.ip("-json", "-details", "address", "show"))}


def children(pid):
    try:
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def is_stopped(pid):
    """By a signal, and not only for the moment in which a tracer looks at a call: it has not moved for a while."""
    def look():
        try:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
        except OSError:
            return None
        stopped = re.search(r"^State:\s+[tT]", status, re.MULTILINE)
        return re.findall(r"^voluntary.*$", status, re.MULTILINE) if stopped else None

    first = look()
    for _ in range(4):
        if first is None:
            return False
        time.sleep(0.004)
        if look() != first:
            return False
    return True


def ids(number):
    """Real, effective, saved, and that of the filesystem as a probe finds them for one id: gVisor shows no last one."""
    return [number] * 3 + [2**32 - 1 if GVISOR else number]


class Case(unittest.TestCase):
    """A test with a bundle. Change self.config (and the tree at self.rootfs), then call the verbs."""

    maxDiff = None

    def setUp(self):
        if GVISOR and shutil.which("runsc") is None:
            self.skipTest("runsc is not installed")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="nucleus-test."))
        self.addCleanup(self._remove_directory)
        self.bundle = self.directory / "bundle"
        self.root = self.directory / "state"
        self.rootfs = make_rootfs(self.bundle / "rootfs")
        self.config = copy.deepcopy(BASE_CONFIG)
        self.id = f"nt-{os.getpid()}-{next(_counter)}"
        self.config["linux"]["cgroupsPath"] = f"/nucleus-test/{self.id}"
        self.ids = {self.id}
        self.addCleanup(self._check_nothing_left)

    # ---- the bundle

    @property
    def process(self):
        return self.config["process"]

    @property
    def linux(self):
        return self.config["linux"]

    def write(self):
        config = self.config
        if GVISOR:
            config = {**config, "annotations": {"dev.nucleus.runtime": "gvisor", **config.get("annotations", {})},
                      # Of what gVisor has not: no test is about it.
                      "mounts": [mount for mount in config.get("mounts", []) if mount.get("type") != "mqueue"]}
        (self.bundle / "config.json").write_text(json.dumps(config))

    def sh(self, script):
        """Makes a shell script the container's process."""
        self.process["args"] = ["/bin/sh", "-c", script]

    def without_namespace(self, *types):
        self.linux["namespaces"] = [n for n in self.linux["namespaces"] if n["type"] not in types]

    def takes_mode(self, mode):
        """Production's rules name rights that an older kernel does not know: it refuses them, as it has to."""
        if mode == "production" and landlock_abi() < 3:
            self.skipTest(f"production takes Landlock ABI 3, this kernel has {landlock_abi()}")

    def belongs_to(self, user):
        """The bundle is one that this ordinary user can run: with its own id alone, and without cgroups."""
        self.linux["namespaces"].append({"type": "user"})
        self.linux["uidMappings"] = [{"containerID": 0, "hostID": user, "size": 1}]
        self.linux["gidMappings"] = [{"containerID": 0, "hostID": user, "size": 1}]
        self.linux["cgroupsPath"] = ""
        self.linux.pop("resources", None)
        for mount in self.config["mounts"]:
            mount["options"] = [o for o in mount.get("options", []) if not o.startswith("gid=")]
        self.without_namespace("cgroup")
        self.directory.chmod(0o755)
        self.bundle.chmod(0o755)
        command(["chown", "-R", f"{user}:{user}", str(self.rootfs)])
        self.root.mkdir()
        os.chown(self.root, user, user)

    def add_capabilities(self, *names, sets=("bounding", "effective", "permitted")):
        for name in sets:
            self.process["capabilities"].setdefault(name, []).extend(names)

    # ---- the runtime's command line

    def runtime(self, *args, **keywords):
        result = command([RUNTIME, "--root", self.root, *args], **keywords)
        if GVISOR:
            self._gvisor_refused = gvisor.refusal(result)  # what fails next is about this command
        return result

    # A test that cannot be as it is written inside of gVisor is in gvisor.py's list. It runs nevertheless: it is skipped
    # with the reason where it fails as the list says, and fails where it passes.

    _gvisor_refused = None

    def _callSetUp(self):
        self._gvisor_seen = False
        with self._told_by_gvisor():
            super()._callSetUp()

    def _callTestMethod(self, method):
        with self._told_by_gvisor():
            super()._callTestMethod(method)
        if GVISOR and not self._gvisor_seen and (expected := gvisor.expected(self)):
            self.fail(f"passes with gVisor, and gvisor.py says that it does not: {expected.reason}")

    @contextlib.contextmanager
    def subTest(self, *args, **keywords):
        with super().subTest(*args, **keywords), self._told_by_gvisor():
            yield

    @contextlib.contextmanager
    def _told_by_gvisor(self):
        self._gvisor_refused = None
        try:
            yield
        except unittest.SkipTest:
            self._gvisor_seen = True
            raise
        except Exception:
            expected = GVISOR and gvisor.expected(self)
            if expected and (not expected.refused or expected.reason in (self._gvisor_refused or "")):
                self._gvisor_seen = True
                raise unittest.SkipTest(f"gVisor: {self._gvisor_refused or expected.reason}") from None
            raise

    def create(self, *flags, id=None, **keywords):
        self.write()
        id = id or self.id
        self.ids.add(id)
        return self.runtime("create", "--bundle", self.bundle, *flags, id, **keywords)

    def run_container(self, *flags, id=None, **keywords):
        self.write()
        id = id or self.id
        self.ids.add(id)
        return self.runtime("run", "--bundle", self.bundle, *flags, id, **keywords)

    def start(self, id=None):
        return self.runtime("start", id or self.id)

    def state(self, id=None):
        result = self.runtime("state", id or self.id)
        self.assertOk(result)
        return json.loads(result.out)

    def status(self, id=None):
        return self.state(id)["status"]

    def exec(self, *args, flags=(), id=None, **keywords):
        return self.runtime("exec", *flags, id or self.id, *args, **keywords)

    def kill(self, signal_name="KILL", id=None):
        return self.runtime("kill", id or self.id, signal_name)

    def delete(self, *flags, id=None):
        return self.runtime("delete", *flags, id or self.id)

    # ---- shortcuts

    def output(self, script=None):
        """What the container's process prints; it must end with status 0."""
        if script is not None:
            self.sh(script)
        result = self.run_container()
        self.assertOk(result)
        return result.out

    def running(self, script="exec sleep 1000"):
        """Creates and starts a container that stays."""
        self.sh(script)
        self.assertOk(self.create())
        self.assertOk(self.start())
        return self.state()["pid"]

    def wait_stopped(self, id=None):
        wait_until(lambda: self.status(id) == "stopped", "container stopped")

    # ---- the probe: facts from inside (see probe.cpp)

    def probe(self, *args):
        """Runs the container with the probe as its process; what it told."""
        self.process["args"] = ["/bin/probe", *map(str, args)]
        return json.loads(self.output())

    def exec_probe(self, *args, flags=()):
        result = self.exec("/bin/probe", *args, flags=flags)
        self.assertOk(result)
        return json.loads(result.out)

    def hold(self, *flags):
        """Creates and starts a container whose process is the probe, and stays; the facts of that process."""
        self.process["args"] = ["/bin/probe", "facts", "--to", "/tmp/facts.json", "--hold"]
        self.assertOk(self.create(*flags))
        self.assertOk(self.start())
        file = self.rootfs / "tmp/facts.json"
        wait_until(lambda: file.exists() and file.read_text().endswith("}\n"), "facts of the container's process")
        return json.loads(file.read_text())

    def mounts(self):
        """Runs the container; its mount table as seen from inside."""
        self.process["args"] = ["/bin/cat", "/proc/self/mountinfo"]
        return parse_mounts(self.output())

    def host_mount(self, name, *options, type="tmpfs", source="tmpfs"):
        """A mount of the host in this test's own directory; it is gone before the test looks for what is left."""
        place = self.directory / name
        place.mkdir(parents=True, exist_ok=True)
        flags = ["-o", ",".join(options)] if options else []
        subprocess.run(["mount", "-t", type, *flags, source, place], check=True)
        self.addCleanup(subprocess.run, ["umount", "-R", "-l", place], check=False, stderr=subprocess.DEVNULL)
        return place

    # ---- assertions

    def assertOk(self, result):
        if result.status != 0:
            self.fail(f"expected success of {result}")

    def assertFails(self, result, *words, status=1):
        """Exit status, and a message of one line on stderr that has each of `words`. Another runtime has words of its own."""
        if not IS_NUCLEUS:
            self.assertNotEqual(result.status, 0, result)
            return
        self.assertEqual(result.status, status, result)
        for word in words:
            self.assertIn(word, result.err, result)
        if status in (1, 255):
            # A line for a person may follow.
            lines = [line for line in result.err.splitlines()
                     if "warning" not in line.lower() and not line.startswith("nucleus: did you mean ")]
            if GVISOR:  # runsc may write a line of its own to the stream that the process was to have
                lines = [line for line in lines if line.startswith("nucleus: ")]
            self.assertEqual(len(lines), 1, result)

    def assertRefused(self, *words):
        """create fails with such a message and leaves nothing."""
        self.assertFails(self.create(), *words)
        self.assertNothingLeft()

    def assertNothingLeft(self):
        for id in self.ids:
            self.assertEqual(cgroup_directories(id), [], "cgroups left")
            self.assertFalse((self.root / id).exists(), "state left")
        self.assertEqual(mounts_below(self.directory), [], "mounts left")
        self.assertEqual(self._processes(), [], "processes left")

    def _processes(self):
        """Processes whose root or executable lies in this test's directory, or that name one of its ids."""
        return [f"{pid} {links}" for pid, links in self._pids() if is_alive(pid)]

    def _pids(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            if int(pid) == os.getpid():
                continue
            with contextlib.suppress(OSError):
                links = [os.readlink(f"/proc/{pid}/{name}") for name in ("root", "exe")]
                cgroups = pathlib.Path(f"/proc/{pid}/cgroup").read_text(errors="replace")
                here = any(link.startswith(str(self.directory)) for link in links)
                if here or any(f"/{id}" in line for id in self.ids for line in cgroups.splitlines()):
                    found.append((int(pid), links))
        return found

    # ---- the end

    def _check_nothing_left(self):
        # What the test itself still has is removed by the runtime; what that leaves is a failure.
        for id in self.ids:
            if (self.root / id).exists():
                self.runtime("delete", "--force", id)
        try:
            self.assertNothingLeft()
        finally:
            self._clean()

    def _clean(self):
        """Takes away what a runtime has left, so that the next test starts as this one did."""
        for id in self.ids:
            for path in map(pathlib.Path, cgroup_directories(id)):
                for name, word in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
                    if (path / name).exists():
                        (path / name).write_text(word)
        for pid, _ in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for line in reversed(mounts_below(self.directory)):
            subprocess.run(["umount", "-l", line.split()[4]], check=False)
        for id in self.ids:
            for path in cgroup_directories(id):
                for directory, _, _ in os.walk(path, topdown=False):
                    with contextlib.suppress(AssertionError, FileNotFoundError):
                        wait_until(lambda: self._remove_cgroup(directory), "cgroup without processes", 2)  # pylint: disable=cell-var-from-loop

    @staticmethod
    def _remove_cgroup(directory):
        try:
            os.rmdir(directory)
            return True
        except OSError as error:
            return error.errno == errno.ENOENT

    def _remove_directory(self):
        if not mounts_below(self.directory):
            shutil.rmtree(self.directory, ignore_errors=True)


class _Result(stream.Recorder, unittest.TextTestResult):
    pass


class _Runner(unittest.TextTestRunner):
    """Says every skip on stdout as `SKIP test: reason`, for whoever counts what did not run, and adds each result to the file
    of NUCLEUS_RESULTS as stream.py does."""

    def run(self, test):
        module = pathlib.Path(sys.argv[0]).stem.removeprefix("test_")
        self.resultclass = lambda *arguments: _Result(*arguments).record(module, stream.tests_of(test), stream.writer([]))
        result = super().run(test)
        for skipped, reason in result.skipped:
            # A Case's `id` is its container's; a whole class has its own.
            case = getattr(skipped, "test_case", skipped)
            name = case.id() if callable(case.id) else unittest.TestCase.id(case)
            print(f"SKIP {name.removeprefix('__main__.')}: {' '.join(reason.split())}", flush=True)
        return result


def main():
    """Ends a test file: the counts of unittest, and each skip with its reason. A file without a test is a failure."""
    program = unittest.main(testRunner=_Runner, verbosity=2, exit=False)
    sys.exit(0 if program.result.wasSuccessful() and program.result.testsRun > 0 else 1)
