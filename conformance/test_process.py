"""config.json's `process`: each field is read back from inside by the process that it is about."""

import json
import os
import shutil
import subprocess
import unittest

import harness
from harness import CAPABILITIES, Case, capability_names, ids, main, rule


class User(Case):
    @rule("MUST", "config.md#posix-platform-user", "uid, gid, additionalGids")
    def test_ids_and_groups(self):
        self.process["user"] = {"uid": 1234, "gid": 2345, "additionalGids": [10, 20, 30]}
        facts = self.probe("facts")
        self.assertEqual(facts["uids"], ids(1234))
        self.assertEqual(facts["gids"], ids(2345))
        self.assertEqual(sorted(set(facts["groups"]) - {2345}), [10, 20, 30])

    @rule("MUST", "config.md#posix-platform-user", "uid, gid, additionalGids")
    def test_no_additional_groups_means_none(self):
        # The caller's own supplementary groups must not come along.
        self.process["args"] = ["/bin/probe", "facts"]
        self.write()
        result = harness.command([harness.RUNTIME, "--root", self.root, "run", "--bundle", self.bundle, self.id],
                                 extra_groups=[4, 27, 44])
        self.assertOk(result)
        self.assertLessEqual(set(json.loads(result.out)["groups"]), {0})

    def test_ids_are_numbers(self):
        self.process["user"] = {"uid": "user", "gid": 0}
        self.assertRefused("uid")

    def test_negative_id(self):
        self.process["user"] = {"uid": -1, "gid": 0}
        self.assertRefused("uid")

    def test_id_that_means_unchanged(self):
        self.process["user"] = {"uid": 4294967295, "gid": 0}
        self.assertRefused("uid")

    @rule("MUST", "config.md#posix-platform-user", "umask is set")
    def test_umask(self):
        self.process["user"]["umask"] = 0o27
        self.assertEqual(self.probe("facts")["umask"], 0o27)

    @rule("MUST", "config.md#posix-platform-user", "umask is set")
    def test_umask_of_zero(self):
        self.process["user"]["umask"] = 0
        self.assertEqual(self.probe("facts")["umask"], 0)

    def test_umask_unset_is_what_every_caller_knows(self):
        self.assertEqual(self.probe("facts")["umask"], 0o022)

    @rule("MUST", "config.md#posix-platform-user", "umask is set")
    def test_umask_reaches_the_files_that_the_process_makes(self):
        self.process["user"]["umask"] = 0o77
        self.assertEqual(self.output("touch /tmp/file && stat -c %a /tmp/file"), "600\n")

    def test_rootfs_of_another_user(self):
        # A user without rights of its own reaches what is open to it, and no more.
        (self.rootfs / "root").chmod(0o700)
        self.process["user"] = {"uid": 1000, "gid": 1000}
        self.process["capabilities"] = {}
        self.sh("ls /root && echo open || echo closed")
        result = self.run_container()
        self.assertOk(result)
        self.assertEqual(result.out, "closed\n")

    def test_streams_belong_to_the_user(self):
        self.process["user"] = {"uid": 1000, "gid": 1000}
        self.assertEqual(self.output("echo through > /dev/stdout"), "through\n")


class Home(Case):
    def environment(self):
        return self.probe("facts")["environment"]

    def test_home_from_passwd(self):
        self.process["user"] = {"uid": 1000, "gid": 1000}
        self.assertIn("HOME=/home/user", self.environment())

    def test_home_given(self):
        self.process["env"].append("HOME=/elsewhere")
        homes = [entry for entry in self.environment() if entry.startswith("HOME=")]
        self.assertEqual(homes, ["HOME=/elsewhere"])

    def test_home_of_an_unknown_user(self):
        self.process["user"] = {"uid": 4711, "gid": 0}
        self.assertIn("HOME=/", self.environment())

    def test_passwd_that_is_not_text(self):
        (self.rootfs / "etc/passwd").write_bytes(b"\xff\x00:::::\n" * 100 + b"user:x:1000")
        self.process["user"] = {"uid": 1000, "gid": 0}
        self.assertIn("HOME=/", self.environment())

    def test_passwd_that_is_a_fifo_does_not_hang(self):
        (self.rootfs / "etc/passwd").unlink()
        os.mkfifo(self.rootfs / "etc/passwd")
        self.assertIn("HOME=/", self.environment())


class Environment(Case):
    @rule("MUST", "config.md#process", "process.env: exactly what was given")
    def test_exactly_what_was_given_in_order(self):
        self.process["env"] = ["PATH=/bin", "B=2", "A=1", "EMPTY=", "SPACED= x  y ", "HOME=/x"]
        # runsc hands them over in an order of its own.
        order = sorted if harness.GVISOR else list
        self.assertEqual(order(self.probe("facts")["environment"]), order(self.process["env"]))

    @rule("MUST", "config.md#process", "process.env: exactly what was given")
    def test_nothing_of_the_caller(self):
        self.process["env"] = ["PATH=/bin", "HOME=/x"]
        self.process["args"] = ["/bin/probe", "facts"]
        self.write()
        result = self.runtime("run", "--bundle", self.bundle, self.id, env={**os.environ, "SECRET_OF_CALLER": "1"})
        self.assertOk(result)
        self.assertEqual(sorted(json.loads(result.out)["environment"]), ["HOME=/x", "PATH=/bin"])

    @rule("MUST", "config.md#process", "process.args: the first is the program, at least one entry")
    def test_arguments_as_given(self):
        arguments = ["one", "", "two words", "*", "$HOME", "ü", "\n"]
        self.process["args"] = ["/bin/sh", "-c", 'for a in "$@"; do printf "<%s>" "$a"; done', "name", *arguments]
        self.assertEqual(self.output(), "".join(f"<{a}>" for a in arguments))

    def test_path_is_the_containers(self):
        (self.rootfs / "opt").mkdir()
        (self.rootfs / "opt/tool").write_text("#!/bin/sh\necho found\n")
        (self.rootfs / "opt/tool").chmod(0o755)
        self.process["env"] = ["PATH=/nowhere:/opt:/bin"]
        self.process["args"] = ["tool"]
        self.assertEqual(self.output(), "found\n")

    def assertNotExecuted(self, *words):
        """Refused by create; by start inside of gVisor, whose kernel looks for the program then."""
        if harness.GVISOR:
            self.assertOk(self.create())
            self.assertFails(self.start(), *words)
            self.assertOk(self.delete("--force"))
        else:
            self.assertFails(self.create(), *words)
        self.assertNothingLeft()

    def test_program_that_is_missing(self):
        self.process["args"] = ["no-such-tool"]
        self.assertNotExecuted('exec: "no-such-tool": executable file not found in $PATH')

    def test_program_that_is_missing_by_path(self):
        self.process["args"] = ["/bin/no-such-tool"]
        self.assertNotExecuted("no such file or directory")

    def test_program_that_may_not_be_executed(self):
        (self.rootfs / "bin/plain").write_text("text")
        (self.rootfs / "bin/plain").chmod(0o644)
        self.process["args"] = ["/bin/plain"]
        self.assertNotExecuted("permission denied")

    def test_program_that_is_a_directory(self):
        self.process["args"] = ["/bin"]
        self.assertNotExecuted()

    @rule("MUST", "config.md#process", "process.args: the first is the program, at least one entry")
    def test_no_arguments(self):
        self.process["args"] = []
        self.assertRefused("args")

    def test_exit_status(self):
        self.sh("exit 42")
        self.assertEqual(self.run_container().status, 42)

    def test_exit_by_signal(self):
        # PID 1 of a namespace ignores its own signals by default: a child that dies tells the same.
        self.without_namespace("pid")
        self.sh("kill -TERM $$")
        self.assertEqual(self.run_container().status, 128 + 15)


class WorkingDirectory(Case):
    @rule("MUST", "config.md#process", "process.cwd is an absolute path, the process starts there")
    def test_given(self):
        self.process["cwd"] = "/usr/bin"
        self.assertEqual(self.probe("facts")["cwd"], "/usr/bin")

    def test_missing_is_made(self):
        self.process["cwd"] = "/made/for/it"
        self.assertEqual(self.probe("facts")["cwd"], "/made/for/it")
        self.assertTrue((self.rootfs / "made/for/it").is_dir())

    @rule("MUST", "config.md#process", "process.cwd is an absolute path, the process starts there")
    def test_relative_is_an_error(self):
        self.process["cwd"] = "tmp"
        self.assertRefused("cwd")

    def test_file_is_an_error(self):
        self.process["cwd"] = "/etc/passwd"
        self.assertFails(self.create(), "/etc/passwd")
        self.assertNothingLeft()

    def test_link_is_followed_inside(self):
        (self.rootfs / "link").symlink_to("/usr/bin")
        self.process["cwd"] = "/link"
        self.assertEqual(self.probe("facts")["cwd"], "/usr/bin")

    def test_directory_that_only_the_user_may_enter(self):
        # Closed to root without CAP_DAC_OVERRIDE is open to its owner.
        (self.rootfs / "private").mkdir(mode=0o700)
        os.chown(self.rootfs / "private", 1000, 1000)
        self.process["user"] = {"uid": 1000, "gid": 1000}
        self.process["capabilities"] = {}
        self.process["cwd"] = "/private"
        self.assertEqual(self.probe("facts")["cwd"], "/private")


class Rlimits(Case):
    VALUES = {"RLIMIT_AS": (1 << 31, 1 << 32), "RLIMIT_CORE": (0, 0), "RLIMIT_CPU": (100, 200),
              "RLIMIT_DATA": (1 << 30, 1 << 31), "RLIMIT_FSIZE": (1 << 20, 1 << 21), "RLIMIT_LOCKS": (5, 6),
              "RLIMIT_MEMLOCK": (4096, 8192), "RLIMIT_MSGQUEUE": (1000, 2000), "RLIMIT_NICE": (0, 0),
              "RLIMIT_NOFILE": (100, 200), "RLIMIT_NPROC": (1000, 2000), "RLIMIT_RSS": (1 << 28, 1 << 29),
              "RLIMIT_RTPRIO": (0, 0), "RLIMIT_RTTIME": (100000, 200000), "RLIMIT_SIGPENDING": (30, 40),
              "RLIMIT_STACK": (1 << 20, 1 << 22)}

    @rule("MUST", "config.md#posix-process", "rlimits: each type, soft and hard")
    def test_every_type(self):
        self.process["rlimits"] = [{"type": t, "soft": s, "hard": h} for t, (s, h) in self.VALUES.items()]
        self.assertEqual(self.probe("facts")["rlimits"], {t: list(v) for t, v in self.VALUES.items()})

    @rule("MUST", "config.md#posix-process", "rlimits: each type, soft and hard")
    def test_infinity(self):
        infinity = 2 ** 64 - 1
        self.process["rlimits"] = [{"type": "RLIMIT_FSIZE", "soft": infinity, "hard": infinity}]
        self.assertEqual(self.probe("facts")["rlimits"]["RLIMIT_FSIZE"], [infinity, infinity])

    def test_unset_is_unchanged(self):
        own = json.loads(subprocess.run([harness.PROBE, "facts"], capture_output=True, check=True).stdout)["rlimits"]
        self.assertEqual(self.probe("facts")["rlimits"], own)

    @rule("MUST", "config.md#posix-process", "rlimits: a type twice is an error")
    def test_duplicate_is_an_error(self):
        self.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 20},
                                   {"type": "RLIMIT_NOFILE", "soft": 11, "hard": 21}]
        self.assertRefused("RLIMIT_NOFILE")

    @rule("MUST", "config.md#posix-process", "rlimits: a type that cannot be mapped is an error")
    def test_unknown_is_an_error(self):
        self.process["rlimits"] = [{"type": "RLIMIT_NOTHING", "soft": 10, "hard": 20}]
        self.assertRefused("RLIMIT_NOTHING")

    def test_soft_above_hard_is_an_error(self):
        self.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 30, "hard": 20}]
        self.assertFails(self.create())
        self.assertNothingLeft()

    @rule("MUST", "config.md#posix-process", "rlimits: each type, soft and hard")
    def test_enforced(self):
        self.process["rlimits"] = [{"type": "RLIMIT_FSIZE", "soft": 4096, "hard": 4096}]
        self.output("dd if=/dev/zero of=/tmp/file bs=1024 count=100 2>/dev/null; test $(stat -c %s /tmp/file) = 4096")


class Capabilities(Case):
    SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")
    SHOWN = SETS[:4] if harness.GVISOR else SETS  # it has no ambient ones, nor those after CAP_AUDIT_READ
    KNOWN = CAPABILITIES[:38] if harness.GVISOR else CAPABILITIES

    def sets(self, **lists):
        self.process["capabilities"] = {name: list(lists.get(name, [])) for name in self.SETS}
        return {name: capability_names(mask) for name, mask in self.probe("facts")["capabilities"].items()}

    @rule("MUST", "config.md#linux-process", "capabilities: the five sets, read back")
    def test_five_sets(self):
        # root's execve gives permitted = bounding and inheritable: what can be told apart is told apart by a user.
        self.process["user"] = {"uid": 1000, "gid": 1000}
        some = ["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW"]
        got = self.sets(bounding=some + ["CAP_SETUID"], permitted=some, effective=some[:2], inheritable=some[:2],
                        ambient=some[:1])
        self.assertEqual(got["bounding"], set(some + ["CAP_SETUID"]))
        self.assertEqual(got["inheritable"], set(some[:2]))
        if "ambient" in self.SHOWN:
            self.assertEqual(got["ambient"], set(some[:1]))
        # After execve of a file without capabilities, only the ambient ones are left to an ordinary user.
        self.assertEqual(got["permitted"], set(some[:1]))
        self.assertEqual(got["effective"], set(some[:1]))

    def test_root_has_what_is_bounded(self):
        got = self.sets(bounding=["CAP_CHOWN", "CAP_KILL"], permitted=["CAP_CHOWN", "CAP_KILL"],
                        effective=["CAP_CHOWN", "CAP_KILL"])
        for name in ("bounding", "permitted", "effective"):
            self.assertEqual(got[name], {"CAP_CHOWN", "CAP_KILL"}, name)
        self.assertEqual(got["inheritable"], set())
        self.assertEqual(got["ambient"], set())

    def test_user_without_ambient_has_nothing(self):
        self.process["user"] = {"uid": 1000, "gid": 1000}
        got = self.sets(bounding=CAPABILITIES, permitted=CAPABILITIES, effective=CAPABILITIES)
        for name in ("permitted", "effective", "inheritable", "ambient"):
            self.assertEqual(got[name], set(), name)

    @rule("MUST", "config.md#linux-process", "capabilities: none where absent or empty")
    def test_absent_means_none(self):
        del self.process["capabilities"]
        for name, mask in self.probe("facts")["capabilities"].items():
            self.assertEqual(capability_names(mask), set(), name)

    @rule("MUST", "config.md#linux-process", "capabilities: none where absent or empty")
    def test_empty_means_none(self):
        for name, have in self.sets().items():
            self.assertEqual(have, set(), name)

    @rule("MUST", "config.md#linux-process", "capabilities: the five sets, read back")
    def test_each_alone(self):
        available = json.loads(subprocess.run([harness.PROBE, "facts"], capture_output=True, check=True).stdout)
        available = capability_names(available["capabilities"]["bounding"])
        # One container for each would take long: pairs of neighbours tell every bit from the next.
        for start in range(0, len(self.KNOWN), 6):
            wanted = set(self.KNOWN[start:start + 6:2]) & available
            with self.subTest(wanted=wanted):
                got = self.sets(bounding=wanted, permitted=wanted, effective=wanted, inheritable=wanted, ambient=wanted)
                for name in self.SHOWN:
                    self.assertEqual(got[name], wanted, name)

    def test_ambient_outside_of_inheritable_is_left_out(self):
        # The kernel cannot raise it; `runc spec` and buildah list it all the same.
        self.process["user"] = {"uid": 1000, "gid": 1000}
        self.process["capabilities"] = {"bounding": ["CAP_KILL"], "permitted": ["CAP_KILL"], "ambient": ["CAP_KILL"]}
        sets = self.probe("facts")["capabilities"]
        self.assertEqual((sets["ambient"], sets["effective"], sets["permitted"]), (0, 0, 0))

    @rule("MUST", "config.md#linux-process", "capabilities: one that is unknown is a warning, not an error")
    @rule("MUST", "runtime.md#warnings", "a warning does not change what happens")
    def test_unknown_warns(self):
        self.process["args"] = ["/bin/probe", "facts"]
        self.process["capabilities"] = {"bounding": ["CAP_KILL", "CAP_NO_SUCH_THING"]}
        result = self.run_container()
        self.assertOk(result)
        self.assertIn("CAP_NO_SUCH_THING", result.err)
        self.assertEqual(capability_names(json.loads(result.out)["capabilities"]["bounding"]), {"CAP_KILL"})

    @rule("MUST", "config.md#linux-process", "capabilities: one that cannot be granted is a warning")
    def test_one_that_cannot_be_granted_warns(self):
        own = json.loads(subprocess.run([harness.PROBE, "facts"], capture_output=True, check=True).stdout)
        missing = set(CAPABILITIES) - capability_names(own["capabilities"]["bounding"])
        if not missing:
            self.skipTest("this host grants every capability")
        name = sorted(missing)[0]
        self.process["args"] = ["/bin/probe", "facts"]
        self.process["capabilities"] = {"bounding": ["CAP_KILL", name], "permitted": ["CAP_KILL", name]}
        result = self.run_container()
        self.assertOk(result)
        self.assertIn(name, result.err)

    @rule("MUST", "config.md#linux-process", "capabilities: the five sets, read back")
    def test_they_count(self):
        self.process["capabilities"] = {name: [] for name in self.SETS}
        self.assertEqual(self.probe("syscall", 90, "s:/etc/passwd", 0o600)["ret"], 0)  # chmod by the owner
        self.assertEqual(self.probe("syscall", 92, "s:/etc/passwd", 5, 5)["errno"], "EPERM")  # chown
        self.assertEqual(self.probe("syscall", 170, "s:x", 1)["errno"], "EPERM")  # sethostname


class NoNewPrivileges(Case):
    @rule("MUST", "config.md#linux-process", "noNewPrivileges: on, off, absent")
    def test_on(self):
        self.process["noNewPrivileges"] = True
        self.assertEqual(self.probe("facts")["no_new_privs"], 1)

    @rule("MUST", "config.md#linux-process", "noNewPrivileges: on, off, absent")
    def test_off(self):
        self.process["noNewPrivileges"] = False
        self.assertEqual(self.probe("facts")["no_new_privs"], 0)

    @rule("MUST", "config.md#linux-process", "noNewPrivileges: on, off, absent")
    def test_absent_is_off(self):
        del self.process["noNewPrivileges"]
        self.assertEqual(self.probe("facts")["no_new_privs"], 0)

    def setuid_program(self):
        shutil.copy2(self.rootfs / "bin/probe", self.rootfs / "bin/rooted")
        os.chown(self.rootfs / "bin/rooted", 0, 0)
        (self.rootfs / "bin/rooted").chmod(0o4755)
        self.process["user"] = {"uid": 1000, "gid": 1000}
        self.process["args"] = ["/bin/rooted", "facts"]
        return json.loads(self.output())

    @rule("MUST", "config.md#linux-process", "noNewPrivileges: on, off, absent")
    def test_setuid_has_no_effect_with_it(self):
        self.process["noNewPrivileges"] = True
        self.assertEqual(self.setuid_program()["uids"], ids(1000))

    def test_setuid_has_an_effect_without_it(self):
        self.process["noNewPrivileges"] = False
        self.assertEqual(self.setuid_program()["uids"], [1000, 0, 0, 0])


class OomScore(Case):
    def own(self):
        with open("/proc/self/oom_score_adj", encoding="ascii") as file:
            return int(file.read())

    @rule("MUST", "config.md#linux-process", "oomScoreAdj is set")
    def test_set(self):
        self.process["oomScoreAdj"] = 321
        self.assertEqual(self.probe("facts")["oom_score_adj"], 321)

    @rule("MUST", "config.md#linux-process", "oomScoreAdj unset: unchanged")
    def test_unset_is_unchanged(self):
        self.assertEqual(self.probe("facts")["oom_score_adj"], self.own())

    @rule("MUST", "config.md#linux-process", "oomScoreAdj unset: unchanged")
    def test_unset_is_unchanged_from_a_caller_that_has_one(self):
        self.process["args"] = ["/bin/probe", "facts"]
        self.write()
        result = harness.command(["/bin/sh", "-c", 'echo 222 > /proc/self/oom_score_adj && exec "$@"', "sh",
                                  harness.RUNTIME, "--root", self.root, "run", "--bundle", self.bundle, self.id])
        self.assertOk(result)
        self.assertEqual(json.loads(result.out)["oom_score_adj"], 222)

    @rule("MUST", "config.md#linux-process", "oomScoreAdj is set")
    def test_zero_is_set(self):
        self.process["oomScoreAdj"] = 100
        self.assertEqual(self.probe("facts")["oom_score_adj"], 100)

    def test_out_of_range(self):
        self.process["oomScoreAdj"] = 1001
        self.assertFails(self.create())
        self.assertNothingLeft()


class Scheduler(Case):
    def scheduler(self, **fields):
        self.process["scheduler"] = fields
        return self.probe("facts")["scheduler"]

    def realtime(self):
        """Where the kernel groups real-time tasks, the container's cgroup must be granted some time."""
        if os.path.exists("/sys/fs/cgroup/cpu/cpu.rt_runtime_us"):
            self.linux["cgroupsPath"] = f"/{self.id}"
            self.linux["resources"]["cpu"] = {"realtimePeriod": 1000000, "realtimeRuntime": 1000}

    @rule("MUST", "config.md#linux-process", "scheduler.policy: SCHED_OTHER SCHED_BATCH SCHED_IDLE with nice")
    def test_other_with_nice(self):
        got = self.scheduler(policy="SCHED_OTHER", nice=5)
        self.assertEqual((got["policy"], got["nice"]), (0, 5))

    @rule("MUST", "config.md#linux-process", "scheduler.policy: SCHED_OTHER SCHED_BATCH SCHED_IDLE with nice")
    def test_negative_nice(self):
        got = self.scheduler(policy="SCHED_OTHER", nice=-3)
        self.assertEqual((got["policy"], got["nice"]), (0, -3))

    @rule("MUST", "config.md#linux-process", "scheduler.policy: SCHED_OTHER SCHED_BATCH SCHED_IDLE with nice")
    def test_batch(self):
        got = self.scheduler(policy="SCHED_BATCH", nice=7)
        self.assertEqual((got["policy"], got["nice"]), (3, 7))

    @rule("MUST", "config.md#linux-process", "scheduler.policy: SCHED_OTHER SCHED_BATCH SCHED_IDLE with nice")
    def test_idle(self):
        self.assertEqual(self.scheduler(policy="SCHED_IDLE")["policy"], 5)

    @rule("MUST", "config.md#linux-process", "scheduler.priority: SCHED_FIFO SCHED_RR")
    def test_fifo(self):
        self.realtime()
        got = self.scheduler(policy="SCHED_FIFO", priority=10)
        self.assertEqual((got["policy"], got["priority"]), (1, 10))

    @rule("MUST", "config.md#linux-process", "scheduler.priority: SCHED_FIFO SCHED_RR")
    def test_round_robin(self):
        self.realtime()
        got = self.scheduler(policy="SCHED_RR", priority=20)
        self.assertEqual((got["policy"], got["priority"]), (2, 20))

    @rule("MUST", "config.md#linux-process", "scheduler.flags")
    def test_reset_on_fork(self):
        self.realtime()
        got = self.scheduler(policy="SCHED_FIFO", priority=1, flags=["SCHED_FLAG_RESET_ON_FORK"])
        self.assertEqual(got["flags"] & 1, 1)

    @rule("MUST", "config.md#linux-process", "scheduler.runtime, deadline, period: SCHED_DEADLINE")
    def test_deadline(self):
        wanted = {"runtime": 1_000_000, "deadline": 10_000_000, "period": 20_000_000}
        got = self.scheduler(policy="SCHED_DEADLINE", **wanted)
        self.assertEqual(got["policy"], 6)
        self.assertEqual({name: got[name] for name in wanted}, wanted)

    def test_unset_is_unchanged(self):
        got = self.probe("facts")["scheduler"]
        self.assertEqual((got["policy"], got["nice"], got["priority"]), (0, os.nice(0), 0))

    @rule("MUST", "config.md#linux-process", "scheduler: a policy that is not valid is an error")
    def test_unknown_policy(self):
        self.process["scheduler"] = {"policy": "SCHED_BEST"}
        self.assertRefused("SCHED_BEST")

    @rule("MUST", "config.md#linux-process", "scheduler.flags")
    def test_unknown_flag(self):
        self.process["scheduler"] = {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_FAST"]}
        self.assertRefused("SCHED_FLAG_FAST")

    @rule("MUST", "config.md#linux-process", "scheduler: a policy that is not valid is an error")
    def test_no_policy(self):
        self.process["scheduler"] = {"nice": 5}
        self.assertRefused("policy")

    def test_kernel_refuses(self):
        self.process["scheduler"] = {"policy": "SCHED_FIFO", "priority": 1000}
        self.assertRefused("scheduler")


class IoPriority(Case):
    def priority(self, io_class, priority):
        self.process["ioPriority"] = {"class": io_class, "priority": priority}
        got = self.probe("facts")["io_priority"]
        return got["class"], got["priority"]

    @rule("MUST", "config.md#linux-process", "ioPriority.class and priority")
    def test_classes(self):
        for number, (name, priority) in enumerate([("IOPRIO_CLASS_RT", 3), ("IOPRIO_CLASS_BE", 6)], 1):
            with self.subTest(name):
                self.assertEqual(self.priority(name, priority), (number, priority))
        self.assertEqual(self.priority("IOPRIO_CLASS_IDLE", 0)[0], 3)

    @rule("MUST", "config.md#linux-process", "ioPriority.class and priority")
    def test_unknown_class(self):
        self.process["ioPriority"] = {"class": "IOPRIO_CLASS_FAST", "priority": 0}
        self.assertRefused("IOPRIO_CLASS_FAST")

    @rule("MUST", "config.md#linux-process", "ioPriority.class and priority")
    def test_priority_out_of_range(self):
        self.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 8}
        self.assertRefused("priority")

    def test_other_processes_of_the_callers_group_are_untouched(self):
        # The specification says "process group": the container's own, not the caller's.
        self.process["ioPriority"] = {"class": "IOPRIO_CLASS_BE", "priority": 7}
        self.process["args"] = ["/bin/probe", "facts"]
        self.write()
        result = harness.command(
            ["/bin/sh", "-c", 'sleep 60 & "$@" >/dev/null || exit; ionice -p $!; kill $!', "sh", harness.RUNTIME,
             "--root", self.root, "run", "--bundle", self.bundle, self.id], start_new_session=True)
        self.assertOk(result)
        self.assertNotIn("prio 7", result.out)


class Personality(Case):
    @rule("MUST", "config-linux.md#personality", "domain: LINUX and LINUX32")
    def test_linux32(self):
        self.linux["personality"] = {"domain": "LINUX32"}
        facts = self.probe("facts")
        self.assertEqual(facts["personality"] & 0xff, 8)
        self.assertNotEqual(facts["machine"], "x86_64")

    @rule("MUST", "config-linux.md#personality", "domain: LINUX and LINUX32")
    def test_linux(self):
        self.linux["personality"] = {"domain": "LINUX"}
        self.assertEqual(self.probe("facts")["personality"] & 0xff, 0)

    @rule("MUST", "config-linux.md#personality", "domain: LINUX and LINUX32")
    def test_unknown(self):
        self.linux["personality"] = {"domain": "MINIX"}
        self.assertRefused("MINIX")

    def test_exec_has_it_too(self):
        self.linux["personality"] = {"domain": "LINUX32"}
        self.running()
        self.assertEqual(self.exec_probe("facts")["personality"] & 0xff, 8)


class MemoryPolicy(Case):
    """linux.memoryPolicy, as get_mempolicy(2) tells it."""

    STATIC_NODES, RELATIVE_NODES, NUMA_BALANCING = 1 << 15, 1 << 14, 1 << 13

    def policy(self, **fields):
        self.linux["memoryPolicy"] = fields
        facts = self.probe("facts")
        return facts["memory_policy"], facts["memory_nodes"]

    @rule("MUST", "config-linux.md#memory-policy", "mode, nodes and flags")
    def test_modes(self):
        for number, mode in enumerate(("MPOL_PREFERRED", "MPOL_BIND", "MPOL_INTERLEAVE"), 1):
            with self.subTest(mode):
                self.assertEqual(self.policy(mode=mode, nodes="0"), (number, 1))
        self.assertEqual(self.policy(mode="MPOL_LOCAL")[0], 4)
        self.assertEqual(self.policy(mode="MPOL_PREFERRED_MANY", nodes="0"), (5, 1))
        self.assertEqual(self.policy(mode="MPOL_DEFAULT"), (0, 0))
        if harness.KERNEL >= (6, 9):
            self.assertEqual(self.policy(mode="MPOL_WEIGHTED_INTERLEAVE", nodes="0"), (6, 1))
        else:
            self.linux["memoryPolicy"] = {"mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": "0"}
            self.assertRefused("set_mempolicy: invalid argument")

    @rule("MUST", "config-linux.md#memory-policy", "mode, nodes and flags")
    def test_flags(self):
        self.assertEqual(self.policy(mode="MPOL_BIND", nodes="0", flags=["MPOL_F_STATIC_NODES"])[0],
                         2 | self.STATIC_NODES)
        self.assertEqual(self.policy(mode="MPOL_BIND", nodes="0", flags=["MPOL_F_NUMA_BALANCING"])[0],
                         2 | self.NUMA_BALANCING)
        self.assertEqual(self.policy(mode="MPOL_BIND", nodes="0", flags=["MPOL_F_RELATIVE_NODES"])[0],
                         2 | self.RELATIVE_NODES)

    def test_exec_has_it_too(self):
        self.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0"}
        self.running()
        facts = self.exec_probe("facts")
        self.assertEqual((facts["memory_policy"], facts["memory_nodes"]), (2, 1))

    @rule("MUST", "config-linux.md#memory-policy", "mode, nodes and flags")
    def test_refused(self):
        for fields in ({"mode": "MPOL_RANDOM"}, {"nodes": "0"}, {"mode": "MPOL_BIND", "nodes": "0", "flags": ["FAST"]},
                       {"mode": "MPOL_BIND", "nodes": "zero"}, {"mode": "MPOL_BIND", "nodes": "900"},
                       {"mode": "MPOL_BIND"},
                       {"mode": "MPOL_BIND", "nodes": "0",
                        "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}):
            with self.subTest(fields):
                self.linux["memoryPolicy"] = fields
                self.assertRefused("memoryPolicy")


@unittest.skipIf(os.cpu_count() < 2, "needs two CPUs to tell them apart")
class CpuAffinity(Case):
    """execCPUAffinity is about processes that are added by exec."""

    def process_file(self, **affinity):
        file = self.directory / "process.json"
        file.write_text(json.dumps({**self.process, "args": ["/bin/probe", "facts"], "execCPUAffinity": affinity}))
        return file

    def affinity(self, **fields):
        result = self.exec(flags=["--process", self.process_file(**fields)])
        self.assertOk(result)
        return json.loads(result.out)["affinity"]

    @rule("MUST", "config.md#linux-process", "execCPUAffinity.initial and final")
    def test_final(self):
        self.running()
        self.assertEqual(self.affinity(final="1"), [1])
        self.assertEqual(self.affinity(initial="0", final="1"), [1])
        self.assertEqual(self.affinity(initial="1", final="0-1"), [0, 1])

    @rule("MUST", "config.md#linux-process", "execCPUAffinity.initial and final")
    def test_initial_alone_does_not_outlast_the_cgroup(self):
        # Between entering the cgroup and execve the initial affinity is replaced only by a final one.
        self.running()
        self.assertIn(self.affinity(initial="1"), ([1], [0, 1]))

    @rule("MUST", "config.md#linux-process", "execCPUAffinity.initial and final")
    def test_of_the_bundle(self):
        self.process["execCPUAffinity"] = {"initial": "0", "final": "1"}
        self.running()
        self.assertEqual(self.exec_probe("facts")["affinity"], [1])

    @rule("MUST", "config.md#linux-process", "execCPUAffinity.initial and final")
    def test_not_of_init(self):
        self.process["execCPUAffinity"] = {"initial": "0", "final": "1"}
        self.assertEqual(self.probe("facts")["affinity"], sorted(os.sched_getaffinity(0)))

    @rule("MUST", "config.md#linux-process", "execCPUAffinity.initial and final")
    def test_malformed(self):
        self.process["execCPUAffinity"] = {"initial": "zero"}
        self.assertRefused("initial")

    def test_cpu_that_is_not_there(self):
        self.running()
        result = self.exec(flags=["--process", self.process_file(final="900")])
        self.assertFails(result, status=255)

    def test_whole_range(self):
        self.running()
        self.assertEqual(self.affinity(final="0,1"), [0, 1])


class Keyring(Case):
    def own(self):
        return json.loads(subprocess.run([harness.PROBE, "facts"], capture_output=True, check=True).stdout)["keyring"]

    def test_new_session_keyring(self):
        keyring = self.probe("facts")["keyring"]
        self.assertEqual(keyring.get("name"), f"_ses.{self.id}")
        self.assertNotEqual(keyring["id"], self.own().get("id"))

    def test_flag_keeps_the_callers(self):
        self.process["args"] = ["/bin/probe", "facts"]
        result = self.run_container("--no-new-keyring")
        self.assertOk(result)
        self.assertNotIn(self.id, json.loads(result.out)["keyring"].get("name", ""))

    def test_exec_shares_inits(self):
        init = self.hold()["keyring"]
        self.assertEqual(self.exec_probe("facts")["keyring"], init)

    def test_user_may_use_it(self):
        self.process["user"] = {"uid": 1000, "gid": 1000}
        self.assertEqual(self.probe("facts")["keyring"].get("name"), f"_ses.{self.id}")

    def test_two_containers_do_not_share(self):
        first = self.hold()["keyring"]
        second = self.id + "-b"
        self.linux["cgroupsPath"] = f"/nucleus-test/{second}"
        self.process["args"] = ["/bin/probe", "facts"]
        result = self.run_container(id=second)
        self.assertOk(result)
        self.assertNotEqual(json.loads(result.out)["keyring"]["id"], first["id"])


class Descriptors(Case):
    @rule("MUST", "runtime-linux.md#file-descriptors", "the process has its three streams and no descriptor beside")
    def test_three(self):
        self.assertEqual(sorted(self.probe("facts")["fds"]), ["0", "1", "2"])

    @rule("MUST", "runtime-linux.md#file-descriptors", "the process has its three streams and no descriptor beside")
    def test_three_whatever_the_caller_has_open(self):
        self.process["args"] = ["/bin/probe", "facts"]
        self.write()
        files = [os.open("/etc/hostname", os.O_RDONLY) for _ in range(20)] + [os.open("/", os.O_PATH)]
        try:
            result = harness.command([harness.RUNTIME, "--root", self.root, "run", "--bundle", self.bundle, self.id],
                                     pass_fds=files)
        finally:
            for file in files:
                os.close(file)
        self.assertOk(result)
        self.assertEqual(sorted(json.loads(result.out)["fds"]), ["0", "1", "2"])

    @rule("MAY", "runtime-linux.md#file-descriptors", "descriptors that the caller asks for are passed on")
    def test_preserved_ones_as_asked(self):
        self.process["args"] = ["/bin/probe", "facts"]
        self.write()
        script = 'exec 3</etc/hostname 4</etc/passwd 5</etc/group; exec "$@"'
        result = harness.command(["/bin/sh", "-c", script, "sh", harness.RUNTIME, "--root", self.root, "run",
                                  "--preserve-fds", "2", "--bundle", self.bundle, self.id])
        self.assertOk(result)
        fds = json.loads(result.out)["fds"]
        self.assertEqual(sorted(fds), ["0", "1", "2", "3", "4"])
        self.assertTrue(fds["3"].endswith("hostname") and fds["4"].endswith("passwd"), fds)

    def test_streams_are_the_callers(self):
        self.sh("cat; echo to-stderr >&2")
        self.write()
        file = self.directory / "input"
        file.write_text("from-stdin\n")
        with open(file, "rb") as stdin:
            result = self.runtime("run", "--bundle", self.bundle, self.id, stdin=stdin)
        self.assertEqual((result.status, result.out, result.err), (0, "from-stdin\n", "to-stderr\n"))

    def test_closed_standard_streams(self):
        # What the runtime opens must not land on 0, 1 or 2 of the container.
        self.process["args"] = ["/bin/probe", "facts", "--to", "/tmp/facts.json"]
        self.write()
        script = 'exec 0<&- 1>&- 2>&-; exec "$@"'
        result = harness.command(["/bin/sh", "-c", script, "sh", harness.RUNTIME, "--root", self.root, "run",
                                  "--bundle", self.bundle, self.id])
        self.assertEqual(result.status, 0, result)
        for number, target in json.loads((self.rootfs / "tmp/facts.json").read_text())["fds"].items():
            self.assertLess(int(number), 3)
            self.assertIn(target, ("/dev/null", "/null"))


class Signals(Case):
    def test_reset(self):
        self.process["args"] = ["/bin/probe", "facts"]
        self.write()
        script = ("import signal,os,sys\n"
                  "for s in (1, 2, 13, 15, 17, 30): signal.signal(s, signal.SIG_IGN)\n"
                  "signal.pthread_sigmask(signal.SIG_BLOCK, {1, 10, 12, 17, 40})\n"
                  "os.execv(sys.argv[1], sys.argv[1:])")
        result = harness.command(["/usr/bin/python3", "-c", script, harness.RUNTIME, "--root", self.root, "run",
                                  "--bundle", self.bundle, self.id])
        self.assertOk(result)
        self.assertEqual(json.loads(result.out)["signals"], {"blocked": [], "ignored": []})


class State(Case):
    """What no field asks for and what yet must be so."""

    def test_dumpable_and_secure_bits(self):
        facts = self.probe("facts")
        self.assertEqual(facts["dumpable"], 1)
        self.assertEqual(facts["securebits"], 0)

    def test_session_of_its_own(self):
        facts = self.probe("facts")
        self.assertEqual((facts["pid"], facts["sid"], facts["pgrp"]), (1, 1, 1))
        self.assertFalse(facts["terminal"]["controlling"])

    def test_parent_is_out_of_sight(self):
        self.assertEqual(self.probe("facts")["ppid"], 0)

    def test_no_parent_death_signal(self):
        # PR_GET_PDEATHSIG writes to memory, so it is told by what happens: the caller ends, the container stays.
        pid = self.running()
        self.assertTrue(harness.is_alive(pid))
        self.assertEqual(self.status(), "running")


if __name__ == "__main__":
    main()
