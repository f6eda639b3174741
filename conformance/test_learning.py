"""Learning: traces of a container's system calls, and the profiles made of them."""

import errno
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import tomllib
import unittest

from harness import IS_NUCLEUS, PROJECT, RUNTIME, Case, NetworkNamespace, command, is_alive, main, wait_until

GETPGID, GETSID = 121, 124  # x86_64
NGINX = "/usr/sbin/nginx"


class Traced(Case):
    """A container whose calls are traced to self.trace."""

    def setUp(self):
        super().setUp()
        self.trace = self.directory / "trace.ndjson"
        self.option = ("--seccomp-trace", self.trace)

    def lines(self, path=None):
        return [json.loads(line) for line in (path or self.trace).read_text().splitlines()]

    def calls(self, path=None):
        """Name → how many times, whatever the arguments."""
        counts = {}
        for line in self.lines(path):
            if "syscall" in line and "path" not in line and "address" not in line:
                counts[line["syscall"]] = counts.get(line["syscall"], 0) + line["count"]
        return counts

    def arguments(self, name):
        return sorted(tuple(line["args"]) for line in self.lines() if line.get("syscall") == name and "args" in line)

    def tracer(self):
        return json.loads((self.root / self.id / "state.json").read_text())["tracer"]["pid"]

    def running_traced(self, script="exec sleep 1000"):
        self.sh(script)
        self.assertOk(self.create(*self.option))
        self.assertOk(self.start())
        return self.state()["pid"]

    def on_host_tools(self, *args):
        """A root filesystem of the host's programs, read-only."""
        self.config["root"]["readonly"] = True
        for name in ("usr", "bin", "sbin", "lib", "lib64", "etc"):
            place, host = self.rootfs / name, pathlib.Path("/") / name
            if not host.exists():
                continue
            if host.is_symlink():
                shutil.rmtree(place, ignore_errors=True)
                place.symlink_to(os.readlink(host))
                continue
            place.mkdir(exist_ok=True)
            self.config["mounts"].append({"destination": f"/{name}", "type": "bind", "source": str(host), "options": ["rbind", "ro"]})
        self.config["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"]})
        self.process["args"] = list(args)

    def python(self, text):
        self.on_host_tools("/usr/bin/python3", "-I", "-S", "-c", text)

    def generate(self, *traces):
        profile = self.bundle / "profile.json"
        result = self.runtime("seccomp", "generate", *(traces or (self.trace,)), "-o", profile)
        self.assertOk(result)
        digest = hashlib.sha256(profile.read_bytes()).hexdigest()
        self.assertEqual(result.out, f"{profile}@sha256:{digest}\n")
        return result, profile

    def enforce(self, profile):
        digest = hashlib.sha256(profile.read_bytes()).hexdigest()
        self.config["annotations"] = {"dev.nucleus.policy.seccomp": f"{profile.name}@sha256:{digest}"}


@unittest.skipUnless(IS_NUCLEUS, "an option of nucleus")
class Trace(Traced):
    def test_header_lines_and_end(self):
        self.process["args"] = ["/bin/probe", "syscall", str(GETPGID)]
        self.assertOk(self.run_container(*self.option))
        header, *lines, end = self.lines()
        config = hashlib.sha256((self.bundle / "config.json").read_bytes()).hexdigest()
        self.assertEqual(header, {"nucleusTrace": 1, "id": self.id, "config": f"sha256:{config}", "files": False})
        self.assertEqual(end, {"end": True, "dropped": 0})
        self.assertEqual(self.calls()["getpgid"], 1)
        self.assertEqual(self.calls()["execve"], 1, "the runtime's own calls are not the container's, its execve is")
        self.assertEqual(len({(l["syscall"], l["arch"], tuple(l.get("args", ()))) for l in lines}), len(lines))
        self.assertEqual(stat.S_IMODE(self.trace.stat().st_mode), 0o600)

    def test_annotation(self):
        self.config["annotations"] = {"dev.nucleus.seccomp.trace": str(self.trace)}
        self.process["args"] = ["/bin/probe", "syscall", str(GETSID)]
        self.assertOk(self.run_container())
        self.assertEqual(self.calls()["getsid"], 1)

    def test_threads_and_children_and_what_they_execute(self):
        self.python("""
import ctypes, os, threading
call = ctypes.CDLL(None).syscall
thread = threading.Thread(target=lambda: [call(121, 0) for _ in range(3)])
thread.start(); thread.join()
if os.fork() == 0:
    call(124, 0)
    os.execv("/bin/sync", ["sync"])
os.wait()
""")
        self.process["user"] = {"uid": 1234, "gid": 1234}
        self.assertOk(self.run_container(*self.option))
        calls = self.calls()
        self.assertEqual((calls["getpgid"], calls["getsid"], calls["sync"], calls["execve"]), (3, 1, 1, 2), calls)

    def test_arguments_that_matter(self):
        self.python("""
import fcntl, mmap, socket
for family in (socket.AF_UNIX, socket.AF_INET):
    socket.socket(family, socket.SOCK_STREAM).close()
mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
fcntl.fcntl(0, fcntl.F_GETFL)
""")
        self.assertOk(self.run_container(*self.option))
        self.assertEqual(self.arguments("socket"), [(1, 1, 0), (2, 1, 0)])
        self.assertIn((6,), self.arguments("mmap"))
        self.assertIn((3,), self.arguments("fcntl"))

    def test_program_behaves_as_without(self):
        """Signals and EINTR: with a handler that interrupts, and with one that restarts."""
        self.python("""
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
signal.signal(signal.SIGALRM, lambda *_: None)
buffer = ctypes.create_string_buffer(1)
for interrupts in (True, False):
    signal.siginterrupt(signal.SIGALRM, interrupts)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_REAL, 0)
        libc.usleep(800000)
        os.write(writer, b"x")
        os._exit(0)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    result = libc.read(reader, buffer, 1)
    print(interrupts, result, ctypes.get_errno() if result < 0 else 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    os.waitpid(child, 0)
signal.signal(signal.SIGUSR1, lambda *_: print("usr1"))
os.kill(os.getpid(), signal.SIGUSR1)
print(open("/proc/self/status").read().partition("TracerPid:")[2].split()[0], os.getppid(), os.getuid())
print([line for line in open("/proc/self/status") if line.startswith(("Cap", "NoNewPrivs"))])
""")
        plain = self.run_container()
        self.assertOk(plain)
        traced = self.run_container(*self.option)
        self.assertOk(traced)
        self.assertEqual(traced.out, plain.out)
        self.assertIn(f"True -1 {errno.EINTR}\nFalse 1 0\nusr1\n", plain.out)

    def test_signals_in_a_storm(self):
        """Handlers that return in the middle of traced calls, a thousand times a second."""
        self.python("""
import ctypes, signal
libc = ctypes.CDLL(None)
count = 0
def handler(*_):
    global count
    count += 1
signal.signal(signal.SIGALRM, handler)
signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
while count < 300:
    assert libc.getppid() == 0
print("done")
""")
        result = self.run_container(*self.option)
        self.assertOk(result)
        self.assertEqual(result.out, "done\n")

    def test_filters_stay_in_force(self):
        policy = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPROTO}]})
        (self.bundle / "p.json").write_text(policy)
        self.config["annotations"] = {"dev.nucleus.policy.seccomp": "p.json@sha256:" + hashlib.sha256(policy.encode()).hexdigest()}
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["getsid"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EXDEV}]}
        self.running_traced()
        self.assertEqual(self.exec_probe("syscall", GETPGID)["errno"], "EPROTO")
        self.assertEqual(self.exec_probe("syscall", GETSID)["errno"], "EXDEV")
        self.assertOk(self.delete("--force"))
        self.assertNotIn("getpgid", self.calls())
        self.assertNotIn("getsid", self.calls())

    def test_two_listeners_are_refused(self):
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/nowhere", "syscalls": [
            {"names": ["getpgid"], "action": "SCMP_ACT_NOTIFY"}]}
        self.assertFails(self.create(*self.option), "SCMP_ACT_NOTIFY", "trace")
        self.assertFalse(self.trace.exists())
        self.assertNothingLeft()

    def test_exec_is_traced(self):
        self.running_traced()
        self.exec_probe("syscall", GETPGID)
        self.exec_probe("syscall", GETPGID)
        self.assertOk(self.delete("--force"))
        self.assertEqual(self.calls()["getpgid"], 2)
        self.assertEqual(self.lines()[-1], {"end": True, "dropped": 0})

    def test_pause(self):
        self.running_traced("while :; do /bin/probe syscall 121 >/dev/null; done")
        self.assertOk(self.runtime("pause", self.id))
        self.assertEqual(self.status(), "paused")
        self.assertOk(self.runtime("resume", self.id))
        before = self.calls().get("getpgid", 0)
        wait_until(lambda: self.calls().get("getpgid", 0) > before + 2, "the trace goes on")
        self.assertOk(self.delete("--force"))

    def test_created_and_never_started(self):
        self.assertOk(self.create(*self.option))
        tracer = self.tracer()
        self.assertTrue(is_alive(tracer))
        self.assertOk(self.delete())
        self.assertFalse(is_alive(tracer))
        self.assertEqual(len(self.lines()), 2)

    def test_tracer_is_confined(self):
        self.running_traced()
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{self.tracer()}/status").read_text().splitlines() if ":\t" in line)
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        files = [os.readlink(f"/proc/{self.tracer()}/fd/{fd}") for fd in os.listdir(f"/proc/{self.tracer()}/fd")]
        self.assertEqual(files.count("/dev/null"), 3, files)
        self.assertEqual(sum(file.startswith("anon_inode:seccomp") for file in files), 1, files)
        self.assertEqual(sum(str(self.directory) in file for file in files), 1, files)  # the trace
        self.assertEqual(os.readlink(f"/proc/{self.tracer()}/cwd"), "/")
        self.assertNotEqual(os.getsid(self.tracer()), os.getsid(0))
        self.assertEqual(os.listdir(f"/proc/{self.tracer()}/task"), [str(self.tracer())])

    def test_trace_is_written_while_the_container_runs(self):
        self.running_traced("/bin/probe syscall 121; exec sleep 1000")
        wait_until(lambda: self.calls().get("getpgid") == 1, "the call in the trace")


@unittest.skipUnless(IS_NUCLEUS, "an option of nucleus")
class Death(Traced):
    """SIGKILL of any of them: nothing is left, nothing runs unseen."""

    def test_tracer(self):
        tracer = None
        self.running_traced("trap : USR1; while :; do /bin/probe syscall 121 >/dev/null; done")
        tracer = self.tracer()
        wait_until(lambda: self.calls().get("getpgid", 0) > 0, "the call in the trace")
        os.kill(tracer, signal.SIGKILL)
        wait_until(lambda: not is_alive(tracer), "the tracer's end")
        # Its calls fail with ENOSYS from now on: the shell can do nothing more. The state says so.
        annotations = json.loads(self.runtime("state", self.id).out)["annotations"]
        self.assertIn("the tracer has ended", annotations["dev.nucleus.enforced.degraded.seccomp-trace"])
        result = self.exec("/bin/probe", "syscall", GETPGID)
        self.assertFails(result, "its tracer has ended", status=255)
        events = self.directory / "events.ndjson"
        deleted = command([RUNTIME, "--root", self.root, "--events", events, "delete", "--force", self.id])
        self.assertOk(deleted)
        self.assertIn("not whole", deleted.err)
        told = [json.loads(line) for line in events.read_text().splitlines()]
        self.assertEqual([(event["event"], event.get("stage")) for event in told],
                         [("degraded", "seccomp-trace"), ("deleted", None)])
        self.assertGreater(self.calls()["getpgid"], 0)
        result, _ = self.generate()
        self.assertIn("has no end", result.err)

    def test_tracer_of_a_waiting_container(self):
        self.assertOk(self.create(*self.option))
        os.kill(self.tracer(), signal.SIGKILL)
        result = self.start()
        self.assertFails(result, "its tracer has ended")
        self.assertOk(self.delete("--force"))

    def test_runtime(self):
        self.sh("exec sleep 1000")
        self.write()
        with subprocess.Popen([RUNTIME, "--root", self.root, "run", "--bundle", self.bundle, *map(str, self.option), self.id],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: '"status": "running"' in self.runtime("state", self.id).out, "running")
                tracer = self.tracer()
            finally:
                process.kill()
        self.assertTrue(is_alive(tracer))
        self.assertEqual(self.status(), "running")
        self.assertOk(self.delete("--force"))
        self.assertFalse(is_alive(tracer))
        self.assertEqual(self.lines()[-1]["end"], True)

    def test_create_that_fails(self):
        """With the tracer at work already: undone, and killed."""
        stages = ["create.tracer", "create.clone", "create.save-state", "child.mounts", "child.lookup"]
        if "create.tracer" not in command([RUNTIME, "list"], env={**os.environ, "NUCLEUS_FAULT": "list"}).out.split():
            self.skipTest("a build without faults")
        for stage in stages:
            with self.subTest(stage=stage):
                self.assertFails(self.create(*self.option, env={**os.environ, "NUCLEUS_FAULT": stage}), stage)
                self.assertNothingLeft()
                wait_until(lambda: not self.tracers(), "the tracer's end")
        for stage in stages[:3]:
            with self.subTest(killed_at=stage):
                self.assertEqual(self.create(*self.option, env={**os.environ, "NUCLEUS_FAULT": f"kill:{stage}"}).status, -signal.SIGKILL)
                self.assertOk(self.delete("--force"))
                wait_until(lambda: not self.tracers(), "the tracer's end")

    def tracers(self):
        """Processes that have this test's trace open."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
                found += [pid] * (str(self.trace) in links and is_alive(int(pid)))
        return found

    def test_init(self):
        pid = self.running_traced()
        tracer = self.tracer()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(tracer), "the tracer's end")
        self.assertEqual(self.lines()[-1]["end"], True)
        self.assertOk(self.delete())

    def test_signals_of_a_session_or_service_do_not_end_the_tracer(self):
        self.running_traced()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(self.tracer(), number)
        self.exec_probe("syscall", GETPGID)
        self.assertOk(self.delete("--force"))


@unittest.skipUnless(IS_NUCLEUS, "an option of nucleus")
class File(Traced):
    """What may receive a trace."""

    def refused(self, *words):
        self.assertFails(self.create(*self.option), "--seccomp-trace: ", *words)
        self.assertNothingLeft()

    def test_symbolic_link(self):
        target = self.directory / "target"
        self.trace.symlink_to(target)
        self.refused("symbolic link")
        self.assertFalse(target.exists())

    def test_no_regular_file(self):
        os.mkfifo(self.trace)
        self.refused("not a regular file")
        self.trace.unlink()
        self.trace.mkdir()
        self.refused("is a directory")

    def test_open_to_everybody(self):
        self.trace.touch()
        self.trace.chmod(0o666)
        self.refused("everybody may write")

    def test_something_else_in_it(self):
        self.trace.write_text("root:x:0:0\n")
        self.refused("something else")
        self.assertEqual(self.trace.read_text(), "root:x:0:0\n")

    def test_no_such_directory(self):
        self.option = ("--seccomp-trace", "/nowhere/at/all")
        self.refused("no such file or directory")

    def test_an_older_trace_is_replaced(self):
        for number in (GETPGID, GETSID):
            self.process["args"] = ["/bin/probe", "syscall", str(number)]
            self.assertOk(self.run_container(*self.option))
        self.assertIn("getsid", self.calls())
        self.assertNotIn("getpgid", self.calls())

    def test_relative_path_is_the_callers(self):
        self.option = ("--seccomp-trace", "here.ndjson")
        self.assertOk(self.run_container(*self.option, cwd=self.directory))
        self.assertTrue((self.directory / "here.ndjson").exists())


def trace_of(*lines, end=True):
    text = '{"nucleusTrace":1,"id":"x","config":"sha256:0","files":false}\n' + "".join(line + "\n" for line in lines)
    return text + ('{"end":true,"dropped":0}\n' if end else "")


def call(name, *args, count=1, arch="SCMP_ARCH_X86_64"):
    line = {"syscall": name, "arch": arch, "count": count}
    if args:
        line["args"] = list(args)
    return json.dumps(line)


@unittest.skipUnless(IS_NUCLEUS, "a command of nucleus")
class Generate(Traced):
    def of(self, *texts):
        paths = []
        for number, text in enumerate(texts):
            paths.append(self.directory / f"{number}.ndjson")
            paths[-1].write_text(text)
        return self.runtime("seccomp", "generate", *paths)

    def test_merged_and_always_the_same(self):
        one = trace_of(call("read"), call("socket", 1, 1, 0), call("socket", 2, 2, 17))
        two = trace_of(call("write"), call("socket", 1, 1, 0))
        first = self.of(one, two)
        self.assertOk(first)
        self.assertEqual(self.of(two, one).out, first.out)
        profile = json.loads(first.out)
        self.assertEqual(profile["defaultAction"], "SCMP_ACT_ERRNO")
        self.assertEqual(profile["architectures"], ["SCMP_ARCH_X86_64"])
        self.assertEqual(profile["syscalls"][0]["names"],
                         ["exit", "exit_group", "read", "restart_syscall", "rt_sigreturn", "sigreturn", "write"])
        sockets = [[arg["valueTwo"] for arg in rule["args"]] for rule in profile["syscalls"][1:]]
        self.assertEqual(sockets, [[1, 1, 0], [2, 2, 17]])

    def test_many_values_are_any(self):
        result = self.of(trace_of(*(call("ioctl", number) for number in range(33))))
        self.assertOk(result)
        self.assertIn("ioctl", json.loads(result.out)["syscalls"][0]["names"])

    def test_profile_is_a_policy_without_mistakes(self):
        self.sh("ls / >/dev/null; echo | cat")
        self.assertOk(self.run_container(*self.option))
        _, profile = self.generate()
        self.enforce(profile)
        self.write()
        self.assertOk(self.runtime("policy", "verify", self.bundle))

    def test_errors_name_file_and_line(self):
        for line, words in [
                ("{", ""), ("[]", ""), ("null", ""), ('{"syscall": 1}', "syscall"), (call("no_such_call"), "unknown system call"),
                (call("read", arch="SCMP_ARCH_Z80"), "unknown architecture"), (call("read", 1), "args"), (call("socket", 1), "args"),
                (call("mprotect", 1), "bits"), (call("read", count=0), "count"), (call("read", count=-1), "count"),
                (call("read", count=2**64), "count"), ('{"count": 1}', "neither"), (trace_of().splitlines()[0], "second header"),
                ('{"path": "relative", "count": 1}', "absolute"), ("x" * 70000, "longer")]:
            with self.subTest(line=line[:80]):
                self.assertFails(self.of(trace_of(call("write"), line)), "0.ndjson:3", words)
        self.assertFails(self.of(call("read") + "\n"), "0.ndjson:1", "not a trace")
        self.assertFails(self.of('{"nucleusTrace":2}\n'), "0.ndjson:1", "version")
        self.assertFails(self.of(trace_of() + call("read") + "\n"), "0.ndjson:3", "follows the end")
        self.assertFails(self.of(""), "no system call")
        self.assertFails(self.runtime("seccomp", "generate", self.directory), "is a directory")
        self.assertFails(self.runtime("seccomp", "generate", "/nowhere"), "no such file")
        self.assertFails(self.runtime("seccomp", "make", "x"), "generate")

    def test_cut_short(self):
        result = self.of(trace_of(call("read"), end=False) + '{"sysc')
        self.assertOk(result)
        self.assertIn("has no end", result.err)
        self.assertIn('"read"', result.out)

    def test_failed_output_leaves_nothing(self):
        self.trace.write_text(trace_of(call("read")))
        self.assertFails(self.runtime("seccomp", "generate", self.trace, "-o", "/nowhere/x"), "/nowhere/x")


@unittest.skipUnless(IS_NUCLEUS, "a command of nucleus")
class Learn(Traced):
    """A run, and what is proposed after it."""

    def setUp(self):
        super().setUp()
        self.out = self.directory / "out"

    def learn(self, script=None):
        if script is not None:
            self.sh(script)
        self.write()
        result = self.runtime("learn", "--bundle", self.bundle, "-o", self.out, self.id)
        self.assertOk(result)
        return result

    def toml(self, kind):
        return tomllib.loads((self.out / f"{kind}.toml").read_text())

    def rules(self):
        return {rule["path"]: set(rule["access"]) for rule in self.toml("landlock").get("rules", [])}

    def enforce_all(self, *kinds):
        """The proposals as the bundle's policies; all of them are without mistakes."""
        names = {"seccomp": "seccomp.json", "landlock": "landlock.toml", "egress": "egress.toml"}
        self.config["annotations"] = {}
        for kind, name in names.items():
            shutil.copy(self.out / name, self.bundle / name)
            digest = hashlib.sha256((self.bundle / name).read_bytes()).hexdigest()
            self.config["annotations"][f"dev.nucleus.policy.{kind}"] = f"{name}@sha256:{digest}"
        self.write()
        self.assertOk(self.runtime("policy", "verify", self.bundle))
        # Egress rules are not carried out yet.
        self.config["annotations"] = {f"dev.nucleus.policy.{kind}": self.config["annotations"][f"dev.nucleus.policy.{kind}"] for kind in kinds}

    SCRIPT = """cd /etc; cat passwd >/dev/null || exit 1; echo x >/tmp/new || exit 2; mkdir -p /mnt/d/e && rm -r /mnt/d || exit 3
mv /tmp/new /mnt/moved && rm /mnt/moved || exit 4; nc -w 1 192.0.2.7 443 </dev/null 2>/dev/null; nc -w 1 127.0.0.1 9 </dev/null 2>/dev/null; exit 0"""

    def test_files_and_connections(self):
        result = self.learn(self.SCRIPT)
        self.assertEqual([line.partition("@sha256:")[0] for line in result.out.splitlines()[-3:]],
                         [str(self.out / name) for name in ("seccomp.json", "landlock.toml", "egress.toml")])
        rules = self.rules()
        self.assertEqual(rules["/bin"], {"read", "execute"})
        self.assertEqual(rules["/etc/passwd"], {"read"})
        self.assertLessEqual({"write", "create", "truncate", "remove"}, rules["/tmp"])
        self.assertLessEqual({"create", "remove", "refer"}, rules["/mnt"])
        self.assertNotIn("/", rules)
        self.assertEqual(self.toml("landlock")["tcp"][0]["access"], ["connect"])
        self.assertEqual(self.toml("egress")["allow"], [{"cidr": "192.0.2.7/32", "ports": ["tcp/443"]}])
        text = (self.out / "landlock.toml").read_text()
        self.assertRegex(text, r"\n# .*\b(open|openat) [0-9]+.*\n\[\[rules\]\]\npath = \"/etc/passwd\"")
        self.assertIn("names", (self.out / "egress.toml").read_text())
        header = self.lines(self.out / "trace.ndjson")[0]
        self.assertIs(header["files"], True)

    def test_proposals_hold(self):
        self.learn(self.SCRIPT)
        self.enforce_all("seccomp", "landlock")
        self.assertOk(self.run_container())
        self.sh("cat /etc/group")
        self.assertIn("Permission denied", self.run_container().err)
        self.sh("echo > /root/x")
        self.assertNotEqual(self.run_container().status, 0)

    def test_linked_directories_and_mounts(self):
        """The host's programs: /bin is a link, /usr a mount."""
        self.python("import json, os; open('/tmp/a', 'w').write('x'); os.listdir('/etc/ssl'); os.unlink('/tmp/a')")
        self.learn()
        self.assertEqual(self.rules()["/usr"], {"read", "execute"})
        self.assertLessEqual({"write", "create", "remove"}, self.rules()["/tmp"])
        self.enforce_all("seccomp", "landlock")
        self.assertOk(self.run_container())

    def test_many_files_are_their_directory(self):
        (self.rootfs / "data").mkdir()
        for number in range(10):
            (self.rootfs / "data" / str(number)).write_text("x")
        self.learn("cat /data/*; cat /etc/passwd /etc/group")
        rules = self.rules()
        self.assertEqual(rules["/data"], {"read"})
        self.assertFalse(any(path.startswith("/data/") for path in rules))
        self.assertLess({"/etc/passwd", "/etc/group"}, set(rules))

    def test_hostile_names(self):
        self.python("""
import os
for name in (b'/tmp/a"b', b'/tmp/a\\n[[rules]]', b'/tmp/\\xff\\xfe', b'/tmp/\\x01', b'/tmp/' + b'x' * 200):
    open(name, 'w').close()
open('/tmp/self', 'w').close()
open('/proc/self/comm', 'w').write('x\\n[[tcp]]#"')
open('/tmp/again', 'w').close()
""")
        self.learn()
        self.enforce_all()
        paths = {path for path in self.rules() if not path.startswith("/etc/")}
        self.assertLessEqual(paths, {"/tmp", "/usr", "/proc", "/lib", "/lib64", "/etc", "/bin"})

    def test_status_is_the_programs(self):
        self.sh("exit 7")
        self.write()
        self.assertEqual(self.runtime("learn", "--bundle", self.bundle, "-o", self.out, self.id).status, 7)
        self.assertTrue((self.out / "landlock.toml").exists())

    def test_tracer_has_one_capability_more(self):
        self.sh("exec sleep 1000")
        self.write()
        with subprocess.Popen([RUNTIME, "--root", self.root, "learn", "--bundle", self.bundle, "-o", self.out, self.id],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            try:
                wait_until(lambda: '"status": "running"' in self.runtime("state", self.id).out, "running")
                status = pathlib.Path(f"/proc/{self.tracer()}/status").read_text()
                self.assertIn("CapEff:\t0000000000080000\n", status)
            finally:
                self.kill()
                process.kill()


class Documents(unittest.TestCase):
    def test_every_argument_that_matters_is_told_of(self):
        text = (PROJECT / "docs/learning.md").read_text()
        table = re.findall(r'^    \{"(\w+)", ', (PROJECT / "runtime/trace/arguments.cpp").read_text(), re.MULTILINE)
        self.assertGreater(len(table), 15)
        for name in table:
            if name not in ("fcntl64", "mmap2", "socketcall"):  # of 32-bit systems
                self.assertRegex(text, rf"\b{name}\b")


@unittest.skipUnless(IS_NUCLEUS, "commands of nucleus")
class Examples(Traced):
    def test_commands_of_the_page(self):
        """docs/learning.md, in the order in which it has them."""
        text = (PROJECT / "docs/learning.md").read_text()
        commands = re.findall(r"^    nucleus (.*)$", text, re.MULTILINE)
        self.assertGreaterEqual(len(commands), 3)
        self.write()
        (self.directory / "web").symlink_to(self.bundle)
        self.ids.add("web")
        for line in commands:
            result = self.runtime(*line.split(), cwd=self.directory)
            self.assertOk(result)
        pin = re.search(r"`(web/\S+@sha256:)", text).group(1)
        self.assertIn(pin, self.runtime(*next(line for line in commands if line.startswith("seccomp")).split(), cwd=self.directory).out)


@unittest.skipUnless(IS_NUCLEUS and os.path.exists(NGINX), f"no {NGINX} here")
class Nginx(Traced):
    """A real server is learned under load, and then runs with that and nothing more."""

    CONFIG = """
daemon off; master_process on; worker_processes 2; pid /tmp/nginx.pid; error_log /dev/stderr; user www-data;
events { worker_connections 64; }
http { access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f;
       uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; default_type text/plain;
       server { listen 127.0.0.1:8080; root /www; gzip on; gzip_types text/plain; } }
"""

    def setUp(self):
        super().setUp()
        self.on_host_tools(NGINX, "-c", "/www/nginx.conf")
        www = self.rootfs / "www"
        www.mkdir()
        (www / "nginx.conf").write_text(self.CONFIG)
        (www / "page").write_text("hello\n" * 5000)
        self.add_capabilities("CAP_SETUID", "CAP_SETGID", "CAP_CHOWN")

    def load(self, requests):
        """From inside its network namespace; how many answers were right."""
        network = NetworkNamespace.of(self.state()["pid"])
        script = ("import urllib.request as u, sys\nright = 0\n"
                  f"for i in range({requests}):\n"
                  " r = u.Request('http://127.0.0.1:8080/' + ('page' if i % 5 else 'missing'), headers={'Accept-Encoding': 'gzip'} if i % 2 else {})\n"
                  " try: right += u.urlopen(r, timeout=20).status == 200\n"
                  " except u.HTTPError as e: right += e.code == 404\n"
                  "print(right)")
        return int(network.run("/usr/bin/python3", "-c", script))

    def serve(self, *flags):
        self.assertOk(self.create(*flags))
        self.assertOk(self.start())
        network = NetworkNamespace.of(self.state()["pid"])
        network.ip("link", "set", "lo", "up")
        wait_until(lambda: "8080" in network.run("cat", "/proc/net/tcp") or ":1F90" in network.run("cat", "/proc/net/tcp"), "listening")

    def stop(self):
        self.assertOk(self.kill("QUIT"))
        self.wait_stopped()
        self.assertOk(self.delete())

    def test_learned_and_enforced(self):
        self.serve(*self.option)
        self.assertEqual(self.load(60), 60)
        self.stop()
        calls = self.calls()
        self.assertLess({"accept4", "epoll_wait", "writev", "setuid"}, set(calls))
        _, profile = self.generate()
        self.assertLess(len(set(calls)), 120)
        self.enforce(profile)
        self.serve()
        self.assertEqual(self.load(60), 60)
        # exec is under the same filter: a call that nginx never made is refused.
        refused = self.exec("/usr/bin/python3", "-I", "-S", "-c", "import os; print(os.getsid(0))")
        self.assertNotEqual(refused.status, 0, refused)
        self.stop()
        # And the first process: it is no nginx.
        self.process["args"] = ["/usr/bin/unshare", "-n", "true"]
        self.assertIn("Operation not permitted", self.run_container().err)


if __name__ == "__main__":
    main()
