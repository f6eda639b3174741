"""dev.nucleus.init: process 1 is the runtime's own. It reaps, forwards signals and passes on the exit status, and is no more than
the workload: the tests of other modules that follow from that are run again with it."""

import ctypes
import json
import os
import pathlib
import select
import signal
import subprocess
import unittest

import test_cli
import test_exec
import test_lifecycle
import test_notify
import test_policies
import test_seccomp
from harness import IS_NUCLEUS, RUNTIME, Case, capability_names, command, landlock_abi, main, wait_until

STAGES = command([RUNTIME, "list"], env={**os.environ, "NUCLEUS_FAULT": "list"}).out.split()
SIGCHLD, SIGKILL, SIGSTOP = signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP


@unittest.skipUnless(IS_NUCLEUS, "an annotation of nucleus")
class WithInit(Case):
    def setUp(self):
        super().setUp()
        self.config.setdefault("annotations", {})["dev.nucleus.init"] = "on"

    def ps(self):
        """The commands of the container's processes, with their pids in it."""
        result = self.exec("/bin/ps", "-o", "pid,args")
        self.assertOk(result)
        lines = [line.split(None, 1) for line in result.out.splitlines()[1:]]
        return {int(pid): arguments for pid, arguments in lines}

    def inside(self, path):
        result = self.exec("/bin/cat", path)
        self.assertOk(result)
        return result.out

    def launch(self, *args, **keywords):
        self.write()
        self.ids.add(self.id)
        process = subprocess.Popen([RUNTIME, "--root", self.root, *map(str, args)], **keywords)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process


class Place(WithInit):
    def test_process_one_and_two(self):
        pid = self.running()
        self.assertEqual({k: v for k, v in self.ps().items() if k < 3}, {1: "nucleus-init 2", 2: "sleep 1000"})
        self.assertEqual(self.inside("/proc/1/comm"), "nucleus-init\n")
        listed = json.loads(self.runtime("ps", "--format", "json", self.id).out)
        self.assertEqual(len(listed), 2)
        self.assertIn(pid, listed)
        with open(f"/proc/{pid}/comm") as file:
            self.assertEqual(file.read(), "nucleus-init\n")

    def test_one_process_before_start(self):
        self.assertOk(self.create())
        self.assertEqual(len(json.loads(self.runtime("ps", "--format", "json", self.id).out)), 1)

    def test_not_unasked(self):
        self.config["annotations"]["dev.nucleus.init"] = "off"
        self.assertEqual(self.output("echo $$"), "1\n")

    def test_only_in_a_new_pid_namespace(self):
        self.without_namespace("pid")
        self.assertRefused('annotations["dev.nucleus.init"]', "a new pid namespace")
        self.linux["namespaces"].append({"type": "pid", "path": "/proc/1/ns/pid"})
        self.assertRefused('annotations["dev.nucleus.init"]', "a new pid namespace")

    def test_beside_a_hook_in_the_container(self):
        self.config["hooks"] = {"startContainer": [{"path": "/bin/true"}]}
        self.running()
        self.assertIn("sleep 1000", self.ps().values())

    def test_neither_checkpoint_nor_restore(self):
        self.running()
        self.assertFails(self.runtime("checkpoint", "--image-path", self.directory / "images", self.id), "dev.nucleus.init")
        self.assertFalse((self.directory / "images").exists())
        self.assertEqual(self.status(), "running")

    def test_pause_and_resume(self):
        self.running()
        self.assertOk(self.runtime("pause", self.id))
        self.assertEqual(self.status(), "paused")
        self.assertOk(self.runtime("resume", self.id))
        self.assertOk(self.exec("/bin/true"))


class Reaping(WithInit):
    def zombies(self):
        stats = self.exec("/bin/sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null")
        return [line for line in stats.out.splitlines() if line.rpartition(")")[2].split()[0] == "Z"]

    def test_a_thousand_orphans(self):
        self.running("i=0; while [ $i -lt 1000 ]; do ( : & ); i=$((i+1)); done; echo done > /tmp/done; exec sleep 1000")
        wait_until((self.rootfs / "tmp/done").exists, "all orphans made", timeout=120)
        wait_until(lambda: not self.zombies(), "all orphans reaped")
        self.assertEqual(self.status(), "running")

    def test_of_exec(self):
        """What a process of exec leaves behind is the init's as well."""
        self.running()
        self.assertOk(self.exec("/bin/sh", "-c", "(sh -c 'sleep 0.05; exit 3' & ); (sleep 1000 & )"))
        wait_until(lambda: "sleep 1000" in [v for k, v in self.ps().items() if k > 2], "orphan")
        wait_until(lambda: not self.zombies(), "orphan of exec reaped")

    def test_its_end_ends_the_rest(self):
        self.sh("sleep 1000 & (setsid sleep 1000 &); exit 9")
        self.assertEqual(self.run_container().status, 9)
        self.assertNothingLeft()


class Status(WithInit):
    def status_of(self, script):
        self.sh(script)
        return self.run_container().status

    def test_exit(self):
        for status in (0, 1, 7, 127, 255):
            self.assertEqual(self.status_of(f"exit {status}"), status)

    def test_death_by_a_signal(self):
        self.process["rlimits"] = [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
        for name in ("HUP", "INT", "TERM", "KILL", "SEGV", "ABRT", "USR1", "PIPE", "ALRM"):
            with self.subTest(name=name):
                self.assertEqual(self.status_of(f"kill -{name} $$"), 128 + getattr(signal, f"SIG{name}"))

    def test_workload_killed_from_outside(self):
        pid = self.running()
        workload = [other for other in json.loads(self.runtime("ps", "--format", "json", self.id).out) if other != pid]
        os.kill(workload[0], SIGKILL)
        self.wait_stopped()

    def test_execve_fails_as_without(self):
        (self.rootfs / "plain").write_text("x")
        (self.rootfs / "text").write_text("not a program")
        (self.rootfs / "text").chmod(0o755)
        (self.rootfs / "no-interpreter").write_text("#!/nowhere\n")
        (self.rootfs / "no-interpreter").chmod(0o755)
        for path in ("/absent", "absent", "/plain", "/text", "/no-interpreter", "/tmp"):
            with self.subTest(path=path):
                self.process["args"] = [path]
                results = []
                for value in ("on", "off"):
                    self.config["annotations"]["dev.nucleus.init"] = value
                    result = self.create()
                    if result.status == 0:
                        result = self.start()
                        self.assertEqual(self.status(), "stopped")
                        self.assertOk(self.delete())
                    self.assertFails(result, "")
                    results.append((result.status, [line.partition("msg=")[2] or line for line in result.err.splitlines()]))
                self.assertEqual(*results)

    def test_poststart_after_execve_alone(self):
        log = self.directory / "log"
        self.config["hooks"] = {"poststart": [{"path": "/bin/sh", "args": ["sh", "-c", f"echo started > {log}"]}]}
        (self.rootfs / "text").write_text("not a program")
        (self.rootfs / "text").chmod(0o755)
        self.process["args"] = ["/text"]
        self.assertOk(self.create())
        self.assertFails(self.start(), "exec format error")
        self.assertFalse(log.exists())
        self.assertOk(self.delete())
        self.running()
        self.assertTrue(log.exists())

    def test_pidfd_and_kill_of_the_init(self):
        self.running()
        self.assertOk(self.kill("KILL"))
        self.wait_stopped()
        self.assertOk(self.delete())
        self.assertNothingLeft()


class Signals(WithInit):
    def setUp(self):
        super().setUp()
        self.process["args"] = ["/bin/probe", "signals"]
        self.stream = None

    def start_probe(self):
        process = self.launch("run", "--bundle", self.bundle, self.id, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.stream = process.stdout
        self.addCleanup(self.stream.close)
        self.assertHears("ready")
        self.pid = self.state()["pid"]
        return process

    def assertHears(self, text):
        self.assertTrue(select.select([self.stream], [], [], 60)[0], f"nothing heard, not {text}")
        self.assertEqual(self.stream.readline(), f"{text}\n")

    def test_each(self):
        process = self.start_probe()
        for number in range(1, 65):
            if number in (SIGCHLD, SIGKILL, SIGSTOP):
                continue
            os.kill(self.pid, number)
            self.assertHears(number)
        self.assertOk(self.kill("TERM"))
        self.assertHears(15)
        self.assertOk(self.kill("KILL"))
        self.assertEqual(process.wait(60), 137)

    def test_value(self):
        """sigqueue(3): the value comes along."""
        self.start_probe()
        libc = ctypes.CDLL(None, use_errno=True)
        libc.sigqueue.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
        for number, value in ((signal.SIGUSR1, 7), (40, 12345)):
            self.assertEqual(libc.sigqueue(self.pid, number, value), 0)
            self.assertHears(f"{int(number)}={value}")

    def test_to_the_one_who_runs(self):
        """A signal to `nucleus run` goes to the init and on."""
        process = self.start_probe()
        process.send_signal(signal.SIGUSR2)
        self.assertHears(int(signal.SIGUSR2))

    def test_none_is_lost_at_the_start(self):
        self.process["args"] = ["/bin/sleep", "1000"]
        for _ in range(20):
            self.assertOk(self.create())
            self.assertOk(self.start())
            self.assertOk(self.kill("TERM"))
            self.wait_stopped()
            self.assertOk(self.delete())

    def test_from_inside(self):
        self.start_probe()
        self.assertOk(self.exec("/bin/kill", "-USR1", "1"))
        self.assertHears(int(signal.SIGUSR1))
        # It cannot be killed from inside, as no process 1 can.
        self.exec("/bin/kill", "-KILL", "1")
        self.assertEqual(self.status(), "running")

    def test_stopped_and_continued(self):
        process = self.start_probe()
        workload = [pid for pid in json.loads(self.runtime("ps", "--format", "json", self.id).out) if pid != self.pid][0]
        os.kill(workload, SIGSTOP)
        wait_until(lambda: "(stopped)" in pathlib.Path(f"/proc/{workload}/status").read_text(), "stopped")
        self.assertIsNone(process.poll())
        self.assertOk(self.kill("CONT"))
        self.assertHears(int(signal.SIGCONT))

    def test_a_workload_of_another_user(self):
        """The init is root with no capability but CAP_KILL."""
        self.add_capabilities("CAP_SETUID", "CAP_SETGID", "CAP_KILL")
        self.process["args"] = ["/bin/su", "user", "-s", "/bin/probe", "--", "signals"]
        self.start_probe()
        self.assertEqual(self.exec("/bin/sh", "-c", "grep ^Uid /proc/2/status").out.split(), ["Uid:", *["1000"] * 4])
        self.assertOk(self.kill("TERM"))
        self.assertHears(15)


class Confined(WithInit):
    """Process 1 as it is seen from inside."""

    def status_fields(self):
        return dict(line.split(":\t", 1) for line in self.inside("/proc/1/status").splitlines() if ":\t" in line)

    def capabilities(self, fields, name):
        return capability_names(int(fields[name], 16))

    def test_status(self):
        self.process["user"] = {"uid": 1000, "gid": 1001, "additionalGids": [1002]}
        self.running()
        fields = self.status_fields()
        self.assertEqual(fields["Uid"].split(), ["1000"] * 4)
        self.assertEqual(fields["Gid"].split(), ["1001"] * 4)
        self.assertEqual(fields["Groups"].split(), ["1002"])
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            self.assertEqual(self.capabilities(fields, name), set(), name)
        self.assertEqual(fields["NoNewPrivs"], "1")
        self.assertEqual(fields["Seccomp"], "2")
        self.assertEqual(fields["Threads"], "1")

    def test_privileged(self):
        """Of whatever the workload may do it keeps the right to signal, and no_new_privs is on."""
        self.process["noNewPrivileges"] = False
        self.add_capabilities("CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_KILL", "CAP_SETUID")
        self.add_capabilities("CAP_SYS_ADMIN", "CAP_KILL", sets=("inheritable", "ambient"))
        self.running()
        fields = self.status_fields()
        self.assertEqual(self.capabilities(fields, "CapPrm"), {"CAP_KILL"})
        self.assertEqual(self.capabilities(fields, "CapEff"), {"CAP_KILL"})
        self.assertEqual(self.capabilities(fields, "CapInh"), set())
        self.assertEqual(self.capabilities(fields, "CapAmb"), set())
        self.assertEqual(fields["NoNewPrivs"], "1")
        # The workload has what it was given.
        self.assertIn("CAP_SYS_ADMIN", capability_names(self.exec_probe("facts")["capabilities"]["effective"]))

    def test_no_capability_that_the_workload_has_not(self):
        self.process["capabilities"] = {"bounding": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"]}
        self.running()
        self.assertEqual(self.capabilities(self.status_fields(), "CapPrm"), set())

    def test_without_a_privilege_nothing_of_it_is_seen(self):
        self.running()
        facts = self.exec_probe("inspect", "1")
        for name in ("exe", "root", "cwd"):
            self.assertTrue(facts[name].startswith("error: "), facts)
        for name in ("mem", "environ", "maps", "hold", "write", "ptrace"):
            self.assertIn(facts[name], ("EACCES", "EPERM"), facts)

    def test_with_the_right_to_trace(self):
        """Root of the container with CAP_SYS_PTRACE has this power over the workload as well. There is nothing of the host's."""
        self.process["noNewPrivileges"] = False
        self.add_capabilities("CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN")
        self.running()
        facts = self.exec_probe("inspect", "1")
        self.assertEqual(facts["exe"], "/memfd:nucleus-init (deleted)")
        self.assertEqual(facts["fds"], {})
        self.assertEqual(facts["root"], "/")
        self.assertEqual(facts["cwd"], "/")
        self.assertNotEqual(facts["write"], "", "its program can be opened for writing")
        self.assertEqual(self.inside("/proc/1/environ"), "")
        self.assertEqual(self.inside("/proc/1/cmdline"), "nucleus-init\0002\0")
        mapped = {line.split(None, 5)[5].strip() for line in self.inside("/proc/1/maps").splitlines() if len(line.split(None, 5)) == 6}
        self.assertLessEqual({path for path in mapped if not path.startswith("[")}, {"/memfd:nucleus-init (deleted)"})
        # No way to a file of the host's, nor to more of its program by way of the link.
        result = self.exec("/bin/sh", "-c", "chmod 777 /proc/1/exe && echo x >> /proc/1/exe")
        self.assertNotEqual(result.status, 0)
        self.assertEqual(self.status(), "running")

    def test_small(self):
        pid = self.running()
        with open(f"/proc/{pid}/status") as file:
            size = [int(line.split()[1]) for line in file if line.startswith("VmRSS")][0]
        self.assertLess(size, 64, "kB")

    def test_streams_end_with_the_workloads(self):
        read_end, write_end = os.pipe()
        self.sh("echo said; exec >/dev/null 2>&1; exec sleep 1000")
        self.write()
        self.assertEqual(self.launch("run", "--detach", "--bundle", self.bundle, self.id, stdin=subprocess.DEVNULL, stdout=write_end,
                                    stderr=subprocess.DEVNULL).wait(60), 0)
        os.close(write_end)
        with open(read_end, "rb") as stream:
            self.assertTrue(select.select([stream], [], [], 60)[0])
            self.assertEqual(stream.read(), b"said\n")
        self.assertEqual(self.status(), "running")

    def test_closed_streams_of_the_caller(self):
        self.sh("exit 5")
        self.write()
        words = " ".join(f"'{word}'" for word in (RUNTIME, "--root", self.root, "run", "--bundle", self.bundle, self.id))
        for closed in ("0<&-", "0<&- 1>&-", "0<&- 1>&- 2>&-"):
            self.assertEqual(command(["bash", "-c", f"exec {words} {closed}"]).status, 5, closed)

    def test_a_filter_that_forbids_what_the_init_needs(self):
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["wait4", "waitid", "rt_sigtimedwait", "rt_sigqueueinfo", "seccomp", "capset", "execveat",
                       "exit_group"], "action": "SCMP_ACT_KILL_PROCESS"}]}
        self.process["args"] = ["/bin/probe", "syscall", "61"]
        self.assertEqual(self.run_container().status, 128 + signal.SIGSYS)
        self.process["args"] = ["/bin/sleep", "1000"]
        self.assertOk(self.create())
        self.assertOk(self.start())
        self.assertOk(self.kill("TERM"))
        self.wait_stopped()

    def test_limits_that_leave_it_no_room(self):
        self.process["rlimits"] = [{"type": name, "soft": value, "hard": value} for name, value in
                                   (("RLIMIT_FSIZE", 0), ("RLIMIT_MEMLOCK", 0), ("RLIMIT_NOFILE", 16))]
        self.sh("exit 4")
        self.assertEqual(self.run_container().status, 4)

    def test_user_namespace(self):
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        pid = self.running("trap 'exit 3' TERM; while :; do sleep 0.01; done")
        with open(f"/proc/{pid}/status") as file:
            self.assertIn("Uid:\t100000\t", file.read())
        self.assertOk(self.exec("/bin/true"))
        facts = self.exec_probe("inspect", "1")
        self.assertEqual(facts["fds"], {})
        self.assertNotEqual(facts["write"], "")
        self.assertOk(self.kill("TERM"))
        self.wait_stopped()


@unittest.skipUnless(landlock_abi() >= 1, "the kernel has no Landlock")
class Landlock(WithInit, test_policies.Policy):
    def test_works_beside_it(self):
        self.landlock(test_policies.ROOT)
        self.sh("echo 1 > /tmp/x || echo refused; exit 8")
        result = self.run_container()
        self.assertEqual((result.status, result.out), (8, "refused\n"), result)

    @unittest.skipUnless(landlock_abi() >= 6, "the kernel's Landlock knows no scopes")
    def test_it_may_signal_where_signals_are_scoped(self):
        for value in (True, False):
            self.process["noNewPrivileges"] = value
            self.landlock(test_policies.ROOT, more='scope = ["signal", "abstract-unix-socket"]')
            self.process["args"] = ["/bin/sleep", "1000"]
            self.assertOk(self.create())
            self.assertOk(self.start())
            self.assertOk(self.kill("TERM"))
            self.wait_stopped()
            self.assertOk(self.delete())


@unittest.skipUnless("init.fork" in STAGES, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
class Faults(WithInit):
    """The stages of the init; test_faults.py has the others."""

    def environment(self, stage):
        return {**os.environ, "NUCLEUS_FAULT": stage}

    def test_image(self):
        self.assertFails(self.create(env=self.environment("init.image")), "injected fault at init.image")
        self.assertNothingLeft()

    def test_start(self):
        self.process["args"] = ["/bin/touch", "/tmp/ran"]
        for stage, words in (("init.fork", "injected fault at init.fork"), ("init.exec", "exec nucleus-init: input/output error"),
                             ("child.exec", "injected fault at child.exec")):
            with self.subTest(stage=stage):
                self.assertOk(self.create(env=self.environment(stage)))
                self.assertFails(self.start(), words)
                self.assertEqual(self.status(), "stopped")
                self.assertOk(self.delete())
                self.assertNothingLeft()
                self.assertFails(self.run_container(env=self.environment(stage)), words)
                self.assertNothingLeft()
        self.assertFalse((self.rootfs / "tmp/ran").exists())

    def test_killed(self):
        self.process["args"] = ["/bin/touch", "/tmp/ran"]
        self.assertFails(self.create(env=self.environment("kill:init.image")), "")
        self.assertOk(self.delete("--force"))
        for stage in ("init.fork", "init.exec"):
            with self.subTest(stage=stage):
                self.assertOk(self.create(env=self.environment(f"kill:{stage}")))
                self.start()
                self.wait_stopped()
                self.assertOk(self.delete("--force"))
                self.assertNothingLeft()
        self.assertFalse((self.rootfs / "tmp/ran").exists())


# ---- what other modules test, with an init

class Terminal(WithInit, test_lifecycle.Terminal):
    def test_controlling_terminal_and_foreground(self):
        process, _, _ = self.run_on_terminal("exec /bin/probe facts --to /tmp/facts.json")
        self.assertEqual(process.wait(60), 0)
        facts = json.loads((self.rootfs / "tmp/facts.json").read_text())
        self.assertEqual((facts["pid"], facts["pgrp"], facts["sid"], facts["ppid"]), (2, 2, 2, 1))
        self.assertTrue(facts["terminal"]["controlling"])
        self.assertEqual(facts["terminal"]["foreground"], 2)

    def test_interrupt_key(self):
        process, master, _ = self.run_on_terminal("trap 'echo heard; exit 12' INT; echo ready; while :; do sleep 0.01; done")
        self.wait_text(master, b"ready")
        os.write(master, b"\x03")
        self.wait_text(master, b"heard")
        self.assertEqual(process.wait(60), 12)

    def test_job_control(self):
        process, master, _ = self.run_on_terminal("set -m; sleep 1000 & jobs; kill %1; fg; echo back; exit 6")
        self.wait_text(master, b"back")
        self.assertEqual(process.wait(60), 6)

    def test_hangup(self):
        """The reader of the terminal goes: the workload, a session leader, hears of it."""
        process, master, slave = self.run_on_terminal(
            "trap 'echo hup > /tmp/hup; exit' HUP; echo ready; while :; do sleep 0.01; done")
        self.wait_text(master, b"ready")
        process.kill()
        wait_until((self.rootfs / "tmp/hup").exists, "the workload's SIGHUP")
        self.wait_stopped()


class Kill(WithInit, test_lifecycle.Kill):
    pass


class Foreground(WithInit, test_lifecycle.Foreground):
    test_orphans_are_reaped = None  # without a pid namespace


class Descriptors(WithInit, test_cli.Descriptors):
    def test_socket_activation(self):
        """LISTEN_PID is the workload's."""
        self.process["args"] = ["/bin/sh", "-c", "echo $LISTEN_FDS $LISTEN_PID $$; cat <&3; cat <&4; ls /proc/self/fd"]
        self.write()
        result = self.with_descriptors(4, "run", "--bundle", self.bundle, self.id, env={"LISTEN_FDS": "2"})
        self.assertOk(result)
        self.assertEqual(result.out.split("\n"), ["2 2 2", "content 3", "content 4", "0", "1", "2", "3", "4", "5", ""])


class Ready(WithInit, test_notify.Waiting):
    pass


class Agent(WithInit, test_seccomp.Notify):
    def test_continue(self):
        """The answer is the workload's pid here."""
        self.agent(lambda number, args: (0, 0, 1), "getpgid")
        self.assertEqual(self.call(test_seccomp.GETPGID), 2)


class ExecConfined(WithInit, test_exec.Confined):
    test_without_any_namespace_of_its_own_but_mount = None




if __name__ == "__main__":
    main()
