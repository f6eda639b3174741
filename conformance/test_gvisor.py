"""dev.nucleus.runtime=gvisor: the same commands, carried out by runsc."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import unittest

import callers
from harness import IS_NUCLEUS, RUNTIME, Case, command, is_alive, main, wait_until
from test_faults import HAS_SWITCH

RUNSC = shutil.which("runsc")
GVISOR = str(pathlib.Path(RUNTIME).resolve().parent / "nucleus-gvisor")


def processes_of(name):
    return [pid for pid, line in callers.processes_naming(name) if "python" not in line]


@unittest.skipUnless(IS_NUCLEUS, "a backend of nucleus")
@unittest.skipUnless(RUNSC, "runsc is not installed")
class Gvisor(Case):
    def setUp(self):
        self.addCleanup(self._check_no_runsc)  # the last of all
        super().setUp()
        self.config["annotations"] = {"dev.nucleus.runtime": "gvisor"}
        # Of what gVisor has not; tests that look at it put it in.
        self.config["mounts"] = [mount for mount in self.config["mounts"] if mount["type"] != "mqueue"]

    def annotate(self, **values):
        self.config["annotations"].update({f"dev.nucleus.{key.replace('_', '.')}": value for key, value in values.items()})

    def _check_no_runsc(self):
        """runsc's processes have the state's directory in their command lines."""
        wait_until(lambda: not processes_of(str(self.root)), "the end of runsc's processes")

    def assertGvisor(self, result):
        self.assertIn("gVisor", result.out)

    def refused(self, *words):
        self.assertRefused(*words)

    def in_user_namespace(self):
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)


class Life(Gvisor):
    def test_run_is_inside_of_gvisor_and_passes_streams_and_the_status_on(self):
        self.sh("dmesg; cat; echo error >&2; exit 7")
        self.write()
        result = self.runtime("run", "--bundle", self.bundle, self.id, stdin=subprocess.DEVNULL)
        self.assertEqual(result.status, 7, result)
        self.assertGvisor(result)
        self.assertEqual(result.err, "error\n")

    def test_create_start_exec_kill_delete(self):
        pid_file = self.directory / "pid"
        self.sh("trap 'exit 9' TERM; touch /tmp/up; while :; do sleep 0.1; done")
        self.assertOk(self.create("--pid-file", pid_file))
        state = self.state()
        self.assertEqual(state["status"], "created")
        self.assertEqual(pid_file.read_text(), str(state["pid"]))
        self.assertFails(self.exec("/bin/true"), "created", status=255)
        self.assertOk(self.start())
        self.assertFails(self.start(), "cannot start an already running container")
        wait_until(lambda: (self.rootfs / "tmp/up").exists(), "the process")
        self.assertEqual(self.status(), "running")
        # Every process of runsc's is in the container's cgroup.
        self.assertIn(f"/nucleus-test/{self.id}", pathlib.Path(f"/proc/{state['pid']}/cgroup").read_text())
        self.assertEqual([pid for pid in processes_of(str(self.root))
                          if f"/nucleus-test/{self.id}" not in pathlib.Path(f"/proc/{pid}/cgroup").read_text()], [])
        # exec: streams, status, environment, directory, user.
        result = self.exec("/bin/sh", "-c", "echo $A; pwd; id -u; exit 3", flags=("--env", "A=b", "--cwd", "/tmp", "--user", "1000"))
        self.assertEqual((result.status, result.out), (3, "b\n/tmp\n1000\n"), result)
        result = self.exec("/nowhere")
        self.assertEqual(result.status, 255, result)
        self.assertIn("nucleus: exec failed: unable to start container process: runsc: ", result.err)
        self.assertTrue(result.err.endswith("no such file or directory\n"), result)
        self.assertFails(self.delete(), "that is not stopped: running")
        # The tables of all containers, and the counters of its cgroups.
        self.assertIn(self.id, self.runtime("list", "-q").out)
        stats = json.loads(self.runtime("events", "--stats", self.id).out)
        self.assertGreater(stats["data"]["memory"]["usage"]["usage"], 0)
        # Paused, only KILL gets through.
        self.assertOk(self.runtime("pause", self.id))
        self.assertEqual(self.status(), "paused")
        self.assertFails(self.exec("/bin/true"), "paused", status=255)
        self.assertFails(self.kill("TERM"), "paused")
        self.assertOk(self.runtime("resume", self.id))
        self.assertOk(self.runtime("update", "--pids-limit", "300", self.id))
        self.assertOk(self.kill("TERM"))
        self.wait_stopped()
        self.assertFails(self.kill("TERM"), "container not running")
        self.assertFails(self.exec("/bin/true"), status=255)
        self.assertOk(self.delete())

    def test_ps_tells_the_processes_inside(self):
        self.sh("sleep 1000 & exec sleep 2000")
        self.assertOk(self.create())
        self.assertEqual(self.runtime("ps", "--format", "json", self.id).out, "[]\n")
        self.assertOk(self.start())
        wait_until(lambda: self.runtime("ps", "-f", "json", self.id).out == "[1,2]\n", "both processes")
        result = self.runtime("ps", self.id)
        self.assertOk(result)
        heading, *lines = result.out.splitlines()
        self.assertEqual(heading.split(), "UID PID PPID C STIME TTY TIME CMD".split())
        self.assertEqual([(line.split()[0:3], line.split()[-1]) for line in lines],
                         [(["0", "1", "0"], "sleep"), (["0", "2", "1"], "sleep")])
        self.assertOk(self.runtime("pause", self.id))
        self.assertFails(self.runtime("ps", self.id), "paused")
        self.assertOk(self.runtime("resume", self.id))
        self.assertOk(self.kill("KILL"))
        self.wait_stopped()
        self.assertOk(self.delete())

    def test_kill_ends_what_is_paused_and_what_was_not_started(self):
        self.running()
        self.assertOk(self.runtime("pause", self.id))
        self.assertOk(self.kill("KILL"))
        self.wait_stopped()
        self.assertOk(self.delete())
        self.assertOk(self.create())
        self.assertOk(self.kill("KILL"))
        self.wait_stopped()
        self.assertOk(self.delete())

    def test_signals_of_the_foreground_reach_the_process(self):
        self.sh("trap 'exit 4' USR1; touch /tmp/up; while :; do sleep 0.1; done")
        self.write()
        process = subprocess.Popen([RUNTIME, "--root", self.root, "run", "--bundle", self.bundle, self.id])
        wait_until(lambda: (self.rootfs / "tmp/up").exists(), "the process")
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.wait(60), 4)

    def test_exec_in_the_foreground_hears_signals_and_detached_has_a_pid(self):
        self.running()
        script = "trap 'exit 4' USR1; touch /tmp/exec; while :; do sleep 0.1; done"
        process = subprocess.Popen([RUNTIME, "--root", self.root, "exec", self.id, "/bin/sh", "-c", script])
        wait_until(lambda: (self.rootfs / "tmp/exec").exists(), "exec")
        process.send_signal(signal.SIGUSR1)
        self.assertEqual(process.wait(60), 4)
        pid_file = self.directory / "exec-pid"
        self.assertOk(self.exec("/bin/sleep", "100", flags=("--detach", "--pid-file", pid_file)))
        self.assertTrue(is_alive(int(pid_file.read_text())))
        self.assertEqual(sorted(os.listdir(self.root / self.id / "gvisor")), ["bundle", "log", "pid", "root"])
        self.assertOk(self.delete("--force"))

    def test_a_detached_exec_that_has_ended_at_once(self):
        """Its caller is a subreaper, as shims are, and takes its end away before anybody can look at it."""
        self.running()
        script = ("import ctypes, subprocess, sys, threading, os\n"
                  "ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)\n"
                  "for _ in range(8):\n"
                  "    child = subprocess.Popen(sys.argv[1:])\n"
                  "    while True:\n"
                  "        pid, status = os.waitpid(-1, 0)\n"
                  "        if pid == child.pid: break\n"
                  "    if status: sys.exit(f'exec: {status}')\n")
        result = command(["/usr/bin/python3", "-c", script, RUNTIME, "--root", self.root, "exec", "--detach", "--pid-file",
                          self.directory / "pid", self.id, "/bin/true"])
        self.assertOk(result)

    def test_terminal(self):
        self.process["terminal"] = True
        self.process["consoleSize"] = {"height": 30, "width": 100}
        self.sh("echo ready; read word; echo got $word; stty size; exit 5")
        self.write()
        result = callers.on_terminal([RUNTIME, "--root", self.root, "run", "--bundle", self.bundle, self.id], say=[("ready", "x\r")])
        self.assertEqual(result.status, 5, result)
        self.assertIn("got x", result.out)
        # Through a socket, as the callers above have it.
        path = self.directory / "console"
        self.sh("test -t 0 && echo on a terminal; sleep 100")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            self.assertOk(self.create("--console-socket", path))
            connection = listener.accept()[0]
            _, descriptors, _, _ = socket.recv_fds(connection, 4096, 1)
        self.assertOk(self.start())
        self.assertEqual(os.read(descriptors[0], 100), b"on a terminal\r\n")
        result = callers.on_terminal([RUNTIME, "--root", self.root, "exec", "--tty", self.id, "/bin/sh", "-c", "test -t 1 && exit 6"])
        self.assertEqual(result.status, 6, result)
        self.assertOk(self.delete("--force"))
        os.close(descriptors[0])

    def test_a_process_that_is_not_there(self):
        self.process["args"] = ["/nowhere"]
        for flags in ((), ("--detach",)):
            result = self.run_container(*flags)
            self.assertEqual(result.status, 1, result)
            self.assertIn("nucleus: unable to start container process: runsc: ", result.err)
            self.assertTrue(result.err.endswith("no such file or directory\n"), result)
        self.assertOk(self.create())
        self.assertEqual(self.start().status, 1)
        self.assertEqual(self.status(), "stopped")
        self.assertOk(self.delete())


class Root(Gvisor):
    def test_mounts_are_as_the_bundle_says(self):
        source = self.directory / "source"
        source.mkdir()
        (source / "file").write_text("text")
        (self.directory / "one").write_text("single")
        self.config["mounts"] += [
            {"destination": "/mnt/rw", "type": "bind", "source": str(source), "options": ["rbind", "rw"]},
            {"destination": "/mnt/ro", "type": "bind", "source": str(source), "options": ["rbind", "ro", "noexec"]},
            {"destination": "/mnt/one", "type": "bind", "source": str(self.directory / "one"), "options": ["bind", "ro"]}]
        self.config["root"]["readonly"] = True
        out = self.output("cat /mnt/rw/file /mnt/one; echo new > /mnt/rw/new; (echo x > /mnt/ro/x; echo x > /x) 2>&1; hostname")
        self.assertTrue(out.startswith("textsingle"), out)
        self.assertEqual(out.count("Read-only file system"), 2, out)
        self.assertTrue(out.endswith("box\n"), out)
        self.assertEqual((source / "new").read_text(), "new\n")
        self.assertFalse((source / "x").exists())

    def test_a_source_that_nothing_is_executed_from(self):
        """gVisor reads a program as any file, and its mapping of the host's would end the process."""
        source = self.directory / "source"
        source.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", source], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", source], check=False)
        shutil.copy2(self.rootfs / "bin/busybox", source / "busybox")
        mount = {"destination": "/mnt", "type": "bind", "source": str(source), "options": ["bind"]}
        self.config["mounts"].append(mount)
        self.sh("cat /mnt/busybox > /dev/null && /mnt/busybox echo ran")
        result = self.run_container()
        self.assertEqual((result.status, result.out), (126, ""), result)
        mount["options"].append("exec")
        self.assertEqual(self.output(), "ran\n")

    def test_without_a_name_of_its_own_it_has_the_hosts(self):
        del self.config["hostname"]
        self.assertEqual(self.output("hostname"), os.uname().nodename + "\n")

    def test_copy_and_overlay_leave_the_bundle_as_it_is(self):
        for mode in ("copy", "overlay"):
            self.annotate(rootfs_mode=mode)
            self.assertEqual(self.output(f"echo {mode} > /word; cat /word"), mode + "\n")
            self.assertFalse((self.rootfs / "word").exists())

    def test_attested(self):
        (self.rootfs / "word").write_text("good")
        manifest = self.bundle / "manifest"
        self.assertOk(command([RUNTIME, "attest", "create", "-o", manifest, self.rootfs]))
        self.annotate(rootfs_manifest="manifest@sha256:" + hashlib.sha256(manifest.read_bytes()).hexdigest())
        self.config["root"]["readonly"] = True
        self.assertEqual(self.output("cat /word"), "good")
        (self.rootfs / "word").write_text("evil")
        self.refused("word")


class Program(Gvisor):
    """Which runsc is executed."""

    def setUp(self):
        super().setUp()
        self.copy = self.bundle / "runsc"

    def pin(self, path=None, digest=None):
        path = pathlib.Path(path or self.copy)
        digest = digest or hashlib.sha256((self.bundle / path).read_bytes()).hexdigest()
        self.annotate(gvisor_runsc=f"{path}@sha256:{digest}")

    def test_pinned(self):
        self.pin(RUNSC)
        self.sh("dmesg")
        self.assertGvisor(self.run_container())
        # By the digest, however often it was looked at before.
        self.pin(RUNSC, "0" * 64)
        self.refused("dev.nucleus.gvisor.runsc", "pinned is sha256:" + "0" * 64)

    def test_a_file_that_others_may_change(self):
        shutil.copy2(RUNSC, self.copy)
        self.copy.chmod(0o775)
        self.pin("runsc")
        self.refused("runsc: is not root's alone to change")
        self.copy.chmod(0o755)
        os.chown(self.copy, 1000, 1000)
        self.refused("runsc: is not root's alone to change")
        os.chown(self.copy, 0, 0)
        self.copy.rename(self.bundle / "real")
        self.copy.symlink_to("real")
        self.refused("dev.nucleus.gvisor.runsc")

    def test_another_program(self):
        # Static, as runsc is: it executes itself where there are no libraries.
        source = self.directory / "other.c"
        source.write_text("int main(void) { return 0; }\n")
        subprocess.run(["gcc", "-static", "-o", self.copy, source], check=True)
        self.pin("runsc")
        self.refused("it does not say that it is runsc")

    def test_a_running_container_keeps_its_runsc(self):
        shutil.copy2(RUNSC, self.copy)
        self.pin("runsc")
        self.running()
        self.copy.unlink()
        self.copy.write_text("#!/bin/sh\nexit 1\n")
        self.copy.chmod(0o755)
        self.assertEqual(self.exec("/bin/echo", "same").out, "same\n")
        self.assertOk(self.delete("--force"))

    def test_platforms(self):
        self.annotate(gvisor_platform="ptrace")
        self.assertEqual(self.output("echo yes"), "yes\n")
        if "systrap" not in command([RUNSC, "flags"]).out:
            self.annotate(gvisor_platform="systrap")
            self.refused("dev.nucleus.gvisor.platform", "has no platform systrap, but ptrace")


class Caller(Gvisor):
    """What gVisor takes of who calls: said before anything is made."""

    def test_an_ordinary_user(self):
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        self.in_user_namespace()
        self.write()
        state = self.directory / "theirs"
        state.mkdir()
        os.chown(state, 65534, 65534)
        result = command(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", RUNTIME, "--root", state, "run",
                          "--bundle", self.bundle, self.id])
        self.assertFails(result, "dev.nucleus.runtime gvisor: takes the host's root")
        self.assertEqual(os.listdir(state), [])
        # Neither is root of a user namespace.
        result = command(["unshare", "--user", "--map-root-user", RUNTIME, "--root", state, "run", "--bundle", self.bundle, self.id])
        self.assertFails(result, "dev.nucleus.runtime gvisor: takes the host's root")
        self.assertEqual(os.listdir(state), [])

    def test_cgroups_that_nucleus_does_not_make(self):
        self.linux["cgroupsPath"] = "system.slice:nucleus:box"
        self.write()
        for flags, word in ((["--systemd-cgroup"], "--systemd-cgroup is not supported"),
                            (["--cgroup-manager", "disabled"], "takes cgroups")):
            if "disabled" in flags:
                self.linux["cgroupsPath"] = f"/nucleus-test/{self.id}"
                self.write()
            result = command([RUNTIME, "--root", self.root, *flags, "create", "--bundle", self.bundle, self.id])
            self.assertFails(result, word)
            self.assertNothingLeft()

    def test_it_is_told_beforehand(self):
        told = json.loads(command([RUNTIME, "features"]).out)["annotations"]
        self.assertEqual(told["dev.nucleus.gvisor.available"], "yes")
        self.assertIn("ptrace", told["dev.nucleus.gvisor.platforms"])
        self.assertTrue(told["dev.nucleus.gvisor.rootless"].startswith("no: "))
        doctor = json.loads(command([RUNTIME, "doctor", "--json"]).out)["gvisor"]
        self.assertTrue(doctor["tried"].endswith(": works"), doctor)
        self.assertTrue(doctor["systemd-cgroup"].startswith("no: "))
        self.assertTrue(doctor["landlock-policy"].startswith("no: "))
        user = command(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", RUNTIME, "doctor", "--json"])
        self.assertEqual(json.loads(user.out)["gvisor"], {"available": "no: takes the host's root"})
        self.assertEqual([name for name in os.listdir("/run") if name.startswith("nucleus-gvisor-try")], [])


class Annotations(Gvisor):
    def test_the_keys_of_gvisor_take_it(self):
        for key, value in (("platform", "ptrace"), ("network", "host"), ("runsc", "/usr/bin/runsc@sha256:" + "0" * 64)):
            with self.subTest(key=key):
                self.config["annotations"] = {f"dev.nucleus.gvisor.{key}": value}
                self.refused(f"dev.nucleus.gvisor.{key}", "takes dev.nucleus.runtime gvisor")

    def test_a_native_container_has_no_part_of_it(self):
        self.config["annotations"] = {}
        self.running()
        self.assertNotIn("gvisor", json.loads((self.root / self.id / "state.json").read_text()))
        # Of this test's own: others, and builds, have the name as well.
        programs = set()
        for pid in processes_of(str(self.root)):
            with contextlib.suppress(FileNotFoundError):
                programs.add(os.path.basename(os.readlink(f"/proc/{pid}/exe")))
        self.assertNotIn("nucleus-gvisor", programs)


def errno_rule(name, number):
    return {"names": [name], "action": "SCMP_ACT_ERRNO", "errnoRet": number}


class Modes(Gvisor):
    def evidence(self):
        return {key.removeprefix("dev.nucleus.enforced."): value for key, value in self.state()["annotations"].items()
                if key.startswith("dev.nucleus.enforced.")}

    def test_strict_agent(self):
        self.in_user_namespace()
        self.annotate(mode="strict-agent")
        self.sh("id -u; grep -E 'CapBnd|Seccomp' /proc/self/status; touch /root/up; exec sleep 1000")
        os.chown(self.rootfs / "root", 100000, 100000)
        self.write()
        process = subprocess.Popen([RUNTIME, "--root", self.root, "run", "--bundle", self.bundle, self.id],
                                   stdout=subprocess.PIPE, text=True)
        try:
            wait_until(lambda: (self.rootfs / "root/up").exists(), "the process")
            self.assertEqual([process.stdout.readline() for _ in range(3)],
                             ["0\n", "CapBnd:\t0000000000000000\n", "Seccomp:\t2\n"])
            wait_until(lambda: self.status() == "running", "running")
            # On the host none of its processes is root.
            for pid, line in callers.processes_naming(str(self.root)):
                if "runsc-" in line:
                    user = pathlib.Path(f"/proc/{pid}/status").read_text().split("Uid:")[1].split()[0]
                    self.assertIn(user, ("65534", "100000"), line)
            evidence = self.evidence()
            self.assertEqual(evidence["gvisor.sandbox.seccomp.mode"], "2", evidence)
            self.assertEqual([key for key in evidence if key.startswith("degraded.")], [])
            # This runsc would start it without the filter.
            self.assertFails(self.exec("/bin/true"), "seccomp", "without the container's filter", status=255)
        finally:
            self.assertOk(self.kill("KILL"))
            self.assertEqual(process.wait(60), 137)
            process.stdout.close()

    def test_production(self):
        self.in_user_namespace()
        self.config["root"]["readonly"] = True
        self.linux["resources"].update({"memory": {"limit": 512 << 20}, "pids": {"limit": 200}})
        for mount in self.config["mounts"]:
            if mount["type"] == "tmpfs":
                mount["options"] = [*mount["options"], "noexec"]
        manifest = self.bundle / "manifest"
        self.assertOk(command([RUNTIME, "attest", "create", "-o", manifest, self.rootfs]))
        self.annotate(mode="production", rootfs_manifest="manifest@sha256:" + hashlib.sha256(manifest.read_bytes()).hexdigest())
        self.assertEqual(self.output("id -u"), "0\n")
        (self.rootfs / "more").touch()
        self.refused("more")

    def test_a_landlock_policy(self):
        policy = self.bundle / "landlock.toml"
        policy.write_text('[[rules]]\npath = "/"\naccess = ["read", "execute"]\n')
        self.annotate(policy_landlock="landlock.toml@sha256:" + hashlib.sha256(policy.read_bytes()).hexdigest())
        self.refused("dev.nucleus.policy.landlock", "no Landlock")
        self.in_user_namespace()
        for mode in ("strict-agent", "production"):
            self.annotate(mode=mode)
            self.assertFails(self.create(), "dev.nucleus." if mode == "strict-agent" else "production")
        self.annotate(mode="agent")
        self.sh("exec sleep 1000")
        created = self.create()
        self.assertOk(created)
        self.assertIn("landlock is not in force", created.err)
        self.assertIn("gVisor has no Landlock", self.evidence()["degraded.landlock"])
        self.assertOk(self.start())
        self.assertIn("without the container's filter", self.exec("/bin/true").err)
        self.assertOk(self.delete("--force"))

    def test_a_filter(self):
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
                                 "syscalls": [errno_rule("chmod", 1)]}
        self.sh("touch /root/f; chmod 700 /root/f")
        result = self.run_container()
        self.assertIn("Operation not permitted", result.err)
        # Another errno is EPERM here, and told.
        self.linux["seccomp"]["syscalls"] = [errno_rule("chmod", 38)]
        result = self.run_container()
        self.assertIn("gVisor answers EPERM", result.err)
        self.assertIn("Operation not permitted", result.err)
        # ENOSYS can be had where the filter lets nobody trace.
        self.linux["seccomp"]["syscalls"].append({"names": ["ptrace"], "action": "SCMP_ACT_KILL"})
        self.linux["seccomp"]["defaultAction"] = "SCMP_ACT_ERRNO"
        names = "read write open openat close stat fstat lstat newfstatat mmap munmap mprotect brk rt_sigaction rt_sigprocmask " \
                "rt_sigreturn ioctl access execve exit exit_group wait4 fork vfork clone getpid getppid getuid geteuid getgid getegid " \
                "arch_prctl set_tid_address set_robust_list prlimit64 getrandom fcntl dup2 umask uname getcwd utimensat utimes utime creat " \
                "poll readlink prctl getpgrp setpgid lseek madvise rseq faccessat faccessat2 rt_sigsuspend"
        self.linux["seccomp"]["syscalls"].append({"names": names.split(), "action": "SCMP_ACT_ALLOW"})
        result = self.run_container()
        self.assertIn("Function not implemented", result.err)
        self.assertNotIn("gVisor", result.err)
        self.linux["seccomp"]["defaultAction"] = "SCMP_ACT_LOG"
        self.refused("linux.seccomp", "SCMP_ACT_LOG")


class Differences(Gvisor):
    """What gVisor has not is refused by name, before anything is made."""

    ROWS = [
        ("linux.timeOffsets", lambda case: (case.linux["namespaces"].append({"type": "time"}),
                                            case.linux.update(timeOffsets={"monotonic": {"secs": 1}}))),
        ("process.scheduler", lambda case: case.process.update(scheduler={"policy": "SCHED_OTHER"})),
        ("process.ioPriority", lambda case: case.process.update(ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 4})),
        ("process.execCPUAffinity", lambda case: case.process.update(execCPUAffinity={"initial": "0"})),
        ("linux.maskedPaths", lambda case: case.linux["maskedPaths"].append("/etc/passwd")),
        ("linux.readonlyPaths", lambda case: case.linux["readonlyPaths"].append("/etc")),
        ("linux.devices", lambda case: case.linux.update(devices=[{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229}])),
        ("linux.sysctl", lambda case: case.linux.update(sysctl={"net.ipv4.ip_forward": "1"})),
        ("linux.memoryPolicy", lambda case: case.linux.update(memoryPolicy={"mode": "MPOL_LOCAL", "nodes": "", "flags": []})),
        ("linux.rootfsPropagation", lambda case: case.linux.update(rootfsPropagation="shared")),
        ("hooks.createContainer", lambda case: case.config.update(hooks={"createContainer": [{"path": "/bin/true"}]})),
        ("hooks.startContainer", lambda case: case.config.update(hooks={"startContainer": [{"path": "/bin/true"}]})),
        ("dev.nucleus.init", lambda case: case.annotate(init="on")),
        ("mounts", lambda case: case.config["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "x", "options": ["tmpcopyup"]})),
        ("mounts", lambda case: case.config["mounts"].append({"destination": "/mnt", "type": "ramfs", "source": "x"})),
        ("mounts", lambda case: case.config["mounts"].append({"destination": "/mnt", "type": "tmpfs", "source": "x", "options": ["nr_inodes=9"]})),
        ("does not cover", lambda case: case.config["mounts"].extend({"destination": place, "type": "tmpfs", "source": "x"}
                                                                     for place in ("/mnt/inner", "/mnt"))),
        ("linux.namespaces", lambda case: case.linux["namespaces"].__setitem__(
            next(i for i, n in enumerate(case.linux["namespaces"]) if n["type"] == "ipc"), {"type": "ipc", "path": "/proc/self/ns/ipc"})),
    ]

    def test_each(self):
        good = json.dumps(self.config)
        for key, change in self.ROWS:
            with self.subTest(key=key):
                self.config = json.loads(good)
                change(self)
                self.refused("dev.nucleus.runtime gvisor: " if key != "dev.nucleus.init" else "gvisor", key)
        self.config = json.loads(good)
        self.write()
        self.assertFails(command(["sh", "-c", f"exec 3</dev/null; exec {RUNTIME} --root {self.root} create --bundle {self.bundle} --preserve-fds 1 {self.id}"]),
                         "--preserve-fds")

    def test_explain_tells_before(self):
        self.config["mounts"].append({"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue"})
        self.annotate(mode="agent")
        self.write()
        explained = self.runtime("explain", "--json", self.bundle)
        self.assertOk(explained)
        told = json.loads(explained.out)["gvisor"]["differs"]
        self.assertTrue(told[0].startswith("runsc "), told)
        self.assertTrue(any("mqueue" in line for line in told), told)
        self.linux["timeOffsets"] = {"monotonic": {"secs": 1}}
        self.linux["namespaces"].append({"type": "time"})
        self.config["annotations"].pop("dev.nucleus.mode")
        self.write()
        self.assertFails(self.runtime("explain", self.bundle), "linux.timeOffsets")

    SEEN = ("gvisor.terminal (seen inside): process.terminal", "gvisor.oom-score (seen inside): process.oomScoreAdj",
            "gvisor.environment (seen inside)", "gvisor.program (seen inside)", "gvisor.keyring (seen inside)",
            "gvisor.cgroup-mount (seen inside): mounts: /sys/fs/cgroup")
    LESS = (("gvisor.no-new-privileges: process.noNewPrivileges", lambda case: case.process.update(noNewPrivileges=False)),
            ("gvisor.umask: process.user.umask", lambda case: case.process["user"].update(umask=0o77)),
            ("gvisor.domainname: domainname", lambda case: case.config.update(domainname="example.test")),
            ("gvisor.namespaces: linux.namespaces: no ipc", lambda case: case.without_namespace("ipc")),
            ("gvisor.propagation: mounts: /mnt", lambda case: case.config["mounts"].append(
                {"destination": "/mnt", "type": "bind", "source": str(case.directory), "options": ["rbind", "rslave"]})),
            ("gvisor.mount-options: mounts: /mnt", lambda case: case.config["mounts"].append(
                {"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": ["sync"]})))

    def explained(self):
        self.write()
        result = self.runtime("explain", "--json", self.bundle)
        self.assertOk(result)
        return json.loads(result.out)["gvisor"]["differs"]

    def test_what_is_seen_inside_is_told_and_no_error(self):
        self.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro"]})
        self.process["oomScoreAdj"] = 100
        self.process["terminal"] = True
        told = self.explained()
        for words in self.SEEN:
            self.assertTrue(any(line.startswith(words) for line in told), (words, told))
        self.process["terminal"] = False
        self.sh("echo ran")
        result = self.run_container()
        self.assertEqual((result.out, result.err), ("ran\n", ""))

    def test_what_is_less_is_told_and_warned_of(self):
        good = json.dumps(self.config)
        for words, change in self.LESS:
            with self.subTest(words):
                self.config = json.loads(good)
                change(self)
                self.assertIn(words, " ".join(self.explained()))
                result = self.run_container()
                self.assertOk(result)
                self.assertIn(f"warning: {words.partition(':')[0]} is not in force", result.err)

    def test_ids_without_a_mapping(self):
        """gVisor would take any."""
        self.in_user_namespace()
        self.process["user"] = {"uid": 70000, "gid": 0}
        self.refused("process.user.uid: 70000 has no mapping")
        self.process["user"] = {"uid": 0, "gid": 0, "additionalGids": [70001]}
        self.refused("process.user.additionalGids: 70001 has no mapping")
        self.process["user"] = {"uid": 0, "gid": 0}
        self.process["args"] = ["/bin/sleep", "1000"]
        self.running("exec sleep 1000")
        self.assertFails(self.exec("/bin/true", flags=["--user", "70000"]), "70000 has no mapping", status=255)

    def test_hooks_run_with_their_states(self):
        log = self.directory / "log"
        script = self.directory / "hook"
        script.write_text(f"#!/bin/sh\n(echo $1; cat) >> {log}\n")
        script.chmod(0o755)
        self.config["hooks"] = {kind: [{"path": str(script), "args": ["hook", kind]}]
                                for kind in ("prestart", "createRuntime", "poststart", "poststop")}
        self.assertOk(self.run_container())
        text = log.read_text()
        seen = []
        while text:
            kind, _, text = text.partition("\n")
            state, end = json.JSONDecoder().raw_decode(text)
            seen.append((kind, state["status"], "pid" in state))
            text = text[end:]
        self.assertEqual(seen, [("prestart", "creating", True), ("createRuntime", "creating", True),
                                ("poststart", "running", True), ("poststop", "stopped", False)])
        self.config["hooks"] = {"createRuntime": [{"path": "/bin/false"}]}
        self.refused("createRuntime")


class Faults(Gvisor):
    """Whoever dies, and whenever: the state says so, and delete --force leaves nothing."""

    CREATE = ["create.state-dir", "create.config-copy", "create.cgroup-make", "create.cgroup-limits",
              "create.seccomp-compile", "create.clone", "create.runtime-hooks", "create.save-state", "create.pid-file"]

    @unittest.skipUnless(HAS_SWITCH, "this build has no fault switch")
    def test_a_stage_that_fails_or_is_the_last(self):
        self.sh("exec sleep 1000")
        for stage in self.CREATE:
            with self.subTest(stage=stage):
                self.assertFails(self.create(env=os.environ | {"NUCLEUS_FAULT": stage}))
                self.assertNothingLeft()
            with self.subTest(kill=stage):
                self.assertEqual(self.create(env=os.environ | {"NUCLEUS_FAULT": "kill:" + stage}).status, -signal.SIGKILL)
                self.assertOk(self.delete("--force"))
                wait_until(lambda: not processes_of(str(self.root)), "the end of runsc's processes")
        # The process that is to become runsc.
        for stage in ("child.landlock", "child.seccomp"):
            with self.subTest(kill=stage):
                self.assertFails(self.create(env=os.environ | {"NUCLEUS_FAULT": "kill:" + stage}), "exit status 137")
                self.assertNothingLeft()
        for stage in ("start.connect", "start.save-state"):
            for how in ("", "kill:"):
                with self.subTest(stage=how + stage):
                    self.assertOk(self.create())
                    started = self.runtime("start", self.id, env=os.environ | {"NUCLEUS_FAULT": how + stage})
                    self.assertNotEqual(started.status, 0)
                    self.assertOk(self.delete("--force"))
        self.running()
        self.assertFails(self.exec("/bin/true", env=os.environ | {"NUCLEUS_FAULT": "exec.attach"}), status=255)
        self.assertEqual(sorted(os.listdir(self.root / self.id / "gvisor")), ["bundle", "log", "pid", "root"])
        self.assertOk(self.delete("--force"))

    def test_the_sandbox_or_its_gofer_is_killed(self):
        for victim in ("sandbox", "gofer"):
            for start in (False, True):
                with self.subTest(victim=victim, start=start):
                    self.sh("while :; do ls /bin >/dev/null; sleep 0.05; done")
                    self.assertOk(self.create())
                    if start:
                        self.assertOk(self.start())
                    sandbox = self.state()["pid"]
                    pids = {pid: line for pid, line in callers.processes_naming(str(self.root)) if "runsc-" in line}
                    pid = sandbox if victim == "sandbox" else next(pid for pid, line in pids.items() if "runsc-gofer" in line)
                    os.kill(pid, signal.SIGKILL)
                    if victim == "sandbox" or start:
                        self.wait_stopped()
                        self.assertFails(self.kill("TERM"), "container not running")
                    self.assertOk(self.delete("--force"))

    def killed_within_create(self, victims):
        """`create`, in which the processes that `victims` gives are killed after ever more time; how many of them ended so."""
        self.sh("exec sleep 1000")
        self.write()
        killed = 0
        for step in range(1, 31):
            with self.subTest(milliseconds=step * 10):
                create = subprocess.Popen([RUNTIME, "--root", self.root, "create", "--bundle", self.bundle, self.id],
                                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(step / 100)
                for pid in victims(create):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                status = create.wait(60)
                killed += status != 0
                if status not in (0, -signal.SIGKILL):
                    self.assertNothingLeft()  # create has seen it, and cleared up itself
                elif self.root.exists() and self.id in os.listdir(self.root):
                    self.assertOk(self.delete("--force"))
                wait_until(lambda: not processes_of(str(self.root)), "the end of runsc's processes")
                self.assertNothingLeft()
        return killed

    def test_runsc_is_killed_at_any_time_of_create(self):
        self.assertGreater(self.killed_within_create(
            lambda create: [pid for pid in processes_of(str(self.root)) if pid != create.pid]), 3)

    def test_the_runtime_is_killed_at_any_time_of_create(self):
        self.assertGreater(self.killed_within_create(lambda create: [create.pid]), 3)

    def test_a_runsc_that_hangs_is_ended(self):
        # The probe waits for ever when it is asked to; runsc's questions are not among its words, so a program that does.
        source = self.directory / "hang.c"
        source.write_text("#include <unistd.h>\nint main(void) { for (;;) pause(); }\n")
        subprocess.run(["gcc", "-static", "-o", self.bundle / "runsc", source], check=True)
        self.annotate(gvisor_runsc="runsc@sha256:" + hashlib.sha256((self.bundle / "runsc").read_bytes()).hexdigest())
        self.refused("runsc", "does not come to its end")


class Many(Gvisor):
    def test_in_a_row_and_at_once(self):
        self.sh("exit 3")
        self.write()
        for _ in range(50):
            self.assertEqual(self.runtime("run", "--bundle", self.bundle, self.id).status, 3)
        ids = [f"{self.id}-{i}" for i in range(10)]
        self.ids.update(ids)
        self.linux.pop("cgroupsPath")
        self.sh("exit 4")
        self.write()
        processes = [subprocess.Popen([RUNTIME, "--root", self.root, "run", "--bundle", self.bundle, id]) for id in ids]
        self.assertEqual([process.wait(120) for process in processes], [4] * 10)
        self.assertEqual(self.runtime("list", "-q").out, "")


if __name__ == "__main__":
    main()
