"""linux.seccomp: every action, operator and flag, told by what the calls answer inside; and a real agent for notify."""

import errno
import json
import platform
import signal
import threading
import unittest

from agent import CONTINUE, Agent
from harness import GVISOR, IS_NUCLEUS, PROBE, Case, capability_names, command, main, rule

GETPGID, GETSID, GETPID, UNAME = 121, 124, 39, 63  # x86_64
GETPGID32 = 132
SIGSYS_STATUS = 128 + 31
DENIED = errno.EPERM if GVISOR else errno.EPROTO  # gVisor has no other
DENIED_NAME = errno.errorcode[DENIED]

# What the probe, a static program, needs to start and to print; enough for an allowlist.
NEEDED = ("execve brk arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom mprotect mmap munmap "
          "readlink readlinkat fstat newfstatat write writev exit exit_group ioctl read close openat fcntl futex rt_sigaction "
          "rt_sigprocmask lseek uname prctl getuid geteuid getgid getegid wait4 rt_sigreturn").split()


class Seccomp(Case):
    def rule(self, action, *names, **more):
        self.linux.setdefault("seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []})
        self.linux["seccomp"]["syscalls"].append({"names": list(names), "action": action, **more})

    def allowlist(self, default="SCMP_ACT_ERRNO", *more, **fields):
        self.linux["seccomp"] = {"defaultAction": default, **fields, "syscalls": []}
        self.rule("SCMP_ACT_ALLOW", *NEEDED, *more)

    def call(self, number, *args):
        answer = self.probe("syscall", number, *args)
        return answer["errno"] or answer["ret"]


@unittest.skipUnless(platform.machine() == "x86_64", "syscall numbers of x86_64")
class Actions(Seccomp):
    @rule("MUST", "config-linux.md#seccomp", "SCMP_ACT_ERRNO and errnoRet, EPERM without it")
    def test_errno(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
        self.assertEqual(self.call(GETPGID), DENIED_NAME)
        self.assertEqual(self.call(GETSID), 1)

    @rule("MUST", "config-linux.md#seccomp", "SCMP_ACT_ERRNO and errnoRet, EPERM without it")
    def test_errno_by_default_is_eperm(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid")
        self.assertEqual(self.call(GETPGID), "EPERM")

    def test_errno_of_zero(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=0)
        self.assertEqual(self.call(GETPGID), 0)

    def test_several_rules_and_names(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid", "getsid", errnoRet=DENIED)
        self.rule("SCMP_ACT_ERRNO", "uname", errnoRet=errno.EXDEV)
        self.assertEqual([self.call(n) for n in (GETPGID, GETSID, UNAME)], [DENIED_NAME, DENIED_NAME, "EXDEV"])

    def status_of(self, action):
        self.rule(action, "getpgid")
        self.process["args"] = ["/bin/probe", "syscall", str(GETPGID)]
        return self.run_container().status

    @rule("MUST", "config-linux.md#seccomp", "SCMP_ACT_KILL, KILL_THREAD, KILL_PROCESS")
    def test_kill(self):
        self.assertEqual(self.status_of("SCMP_ACT_KILL"), SIGSYS_STATUS)

    @rule("MUST", "config-linux.md#seccomp", "SCMP_ACT_KILL, KILL_THREAD, KILL_PROCESS")
    def test_kill_thread(self):
        self.assertEqual(self.status_of("SCMP_ACT_KILL_THREAD"), SIGSYS_STATUS)

    @rule("MUST", "config-linux.md#seccomp", "SCMP_ACT_KILL, KILL_THREAD, KILL_PROCESS")
    def test_kill_process(self):
        self.assertEqual(self.status_of("SCMP_ACT_KILL_PROCESS"), SIGSYS_STATUS)

    @rule("MUST", "config-linux.md#seccomp", "SCMP_ACT_TRAP, TRACE, LOG, ALLOW")
    def test_trap_uncaught(self):
        self.assertEqual(self.status_of("SCMP_ACT_TRAP"), SIGSYS_STATUS)

    @rule("MUST", "config-linux.md#seccomp", "SCMP_ACT_TRAP, TRACE, LOG, ALLOW")
    def test_trap_caught(self):
        self.rule("SCMP_ACT_TRAP", "getpgid")
        self.assertEqual(self.probe("trapped", GETPGID)["trapped"], GETPGID)

    @rule("MUST", "config-linux.md#seccomp", "SCMP_ACT_TRAP, TRACE, LOG, ALLOW")
    def test_trace_without_a_tracer(self):
        self.rule("SCMP_ACT_TRACE", "getpgid", errnoRet=5)
        self.assertEqual(self.call(GETPGID), "ENOSYS")

    @rule("MUST", "config-linux.md#seccomp", "SCMP_ACT_TRAP, TRACE, LOG, ALLOW")
    def test_log_lets_it_pass(self):
        self.rule("SCMP_ACT_LOG", "getpgid")
        self.assertEqual(self.call(GETPGID), 1)

    @rule("MUST", "config-linux.md#seccomp", "SCMP_ACT_TRAP, TRACE, LOG, ALLOW")
    def test_allow_in_an_allowlist(self):
        self.allowlist("SCMP_ACT_ERRNO", "getpgid")
        self.assertEqual(self.call(GETPGID), 1)
        self.assertEqual(self.call(GETSID), "EPERM")

    @rule("MUST", "config-linux.md#seccomp", "defaultAction and defaultErrnoRet")
    def test_default_errno(self):
        self.allowlist(defaultErrnoRet=DENIED)
        self.assertEqual(self.call(GETPGID), DENIED_NAME)

    @rule("MUST", "config-linux.md#seccomp", "defaultAction and defaultErrnoRet")
    def test_default_kill(self):
        self.allowlist("SCMP_ACT_KILL_PROCESS")
        self.process["args"] = ["/bin/probe", "syscall", str(GETPGID)]
        self.assertEqual(self.run_container().status, SIGSYS_STATUS)

    @rule("MUST", "config-linux.md#seccomp", "defaultAction and defaultErrnoRet")
    def test_default_trap(self):
        self.allowlist("SCMP_ACT_TRAP")
        self.assertEqual(self.probe("trapped", GETPGID)["trapped"], GETPGID)

    @rule("MUST", "config-linux.md#seccomp", "defaultAction and defaultErrnoRet")
    def test_default_log(self):
        self.allowlist("SCMP_ACT_LOG")
        self.assertEqual(self.call(GETPGID), 1)

    def test_the_runtime_needs_nothing_from_the_filter_but_execve(self):
        # Also where the kernel wants CAP_SYS_ADMIN to load it: giving that up is no syscall that must be allowed.
        for no_new_privileges in (True, False):
            with self.subTest(noNewPrivileges=no_new_privileges):
                self.process["noNewPrivileges"] = no_new_privileges
                self.allowlist("SCMP_ACT_KILL_PROCESS", "uname")
                self.assertEqual(self.call(UNAME, "s:" + "x" * 400), 0)

    def test_unknown_syscall_is_ignored(self):
        self.rule("SCMP_ACT_ERRNO", "no_such_syscall", "getpgid", errnoRet=DENIED)
        self.assertEqual(self.call(GETPGID), DENIED_NAME)

    def test_same_syscall_twice(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
        self.assertEqual(self.call(GETPGID), DENIED_NAME)

    def test_children_have_it(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
        out = self.output("(probe syscall 121); sh -c '(probe syscall 121)'; true")
        self.assertEqual(out.count(DENIED_NAME), 2)

    def test_mode(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid")
        facts = self.probe("facts")
        self.assertEqual(facts["seccomp"], 2)
        self.assertIn("Seccomp_filters:\t1", facts["status"])

    def test_none(self):
        self.assertEqual(self.probe("facts")["seccomp"], 0)


@unittest.skipUnless(platform.machine() == "x86_64", "syscall numbers of x86_64")
class Arguments(Seccomp):
    BIG = 1 << 40

    # operator, value, valueTwo → arguments that match, arguments that do not
    OPERATORS = [
        ("SCMP_CMP_EQ", 7, None, [7], [6, 8, 7 + BIG]),
        ("SCMP_CMP_NE", 7, None, [6, 8, 7 + BIG], [7]),
        ("SCMP_CMP_LT", 7, None, [0, 6], [7, 8, BIG]),
        ("SCMP_CMP_LE", 7, None, [0, 7], [8, BIG]),
        ("SCMP_CMP_GT", 7, None, [8, BIG], [0, 7]),
        ("SCMP_CMP_GE", 7, None, [7, 8, BIG], [0, 6]),
        ("SCMP_CMP_EQ", BIG + 7, None, [BIG + 7], [7, BIG]),
        ("SCMP_CMP_GT", BIG, None, [BIG + 1], [BIG, 7]),
        ("SCMP_CMP_EQ", 0xffffffffffffffff, None, [0xffffffffffffffff], [0xffffffff]),
        # value is the mask, valueTwo what must be left
        ("SCMP_CMP_MASKED_EQ", 0xf0, 0x30, [0x30, 0x3f, 0x1035], [0x20, 0x40, 0]),
    ]

    def setUp(self):
        super().setUp()
        # One run asks for all the arguments of an operator.
        self.script = "for a in {}; do probe syscall 121 $a; done"

    def matches(self, arguments):
        out = self.output(self.script.format(" ".join(map(str, arguments))))
        return [json.loads(line)["errno"] == DENIED_NAME for line in out.splitlines()]

    @rule("MUST", "config-linux.md#seccomp", "args: index, value, valueTwo, and every operator")
    def test_operators(self):
        for operator, value, second, hit, miss in self.OPERATORS:
            with self.subTest(operator, value=value):
                self.linux.pop("seccomp", None)
                arg = {"index": 0, "value": value, "op": operator}
                if second is not None:
                    arg["valueTwo"] = second
                # fork and the like are not touched: only getpgid, and its argument is looked at.
                self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED, args=[arg])
                self.assertEqual(self.matches([*hit, *miss]), [True] * len(hit) + [False] * len(miss))

    @rule("MUST", "config-linux.md#seccomp", "args: index, value, valueTwo, and every operator")
    def test_each_index(self):
        for index in range(6):
            with self.subTest(index):
                self.linux.pop("seccomp", None)
                self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED,
                          args=[{"index": index, "value": 77, "op": "SCMP_CMP_EQ"}])
                args = [0] * 6
                self.assertEqual(self.call(GETPGID, *args), 1)
                args[index] = 77
                self.assertEqual(self.call(GETPGID, *args), DENIED_NAME)

    @rule("MUST", "config-linux.md#seccomp", "args: index, value, valueTwo, and every operator")
    def test_several_of_a_rule_must_all_hold(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED,
                  args=[{"index": 1, "value": 5, "op": "SCMP_CMP_EQ"}, {"index": 2, "value": 6, "op": "SCMP_CMP_EQ"}])
        self.assertEqual([self.call(GETPGID, 0, *pair) for pair in ((5, 6), (5, 0), (0, 6))], [DENIED_NAME, 1, 1])

    def test_same_index_twice_means_either(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED,
                  args=[{"index": 1, "value": 5, "op": "SCMP_CMP_EQ"}, {"index": 1, "value": 6, "op": "SCMP_CMP_EQ"}])
        self.assertEqual([self.call(GETPGID, 0, value) for value in (5, 6, 7)], [DENIED_NAME, DENIED_NAME, 1])

    def test_rules_of_one_syscall(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED,
                  args=[{"index": 1, "value": 5, "op": "SCMP_CMP_EQ"}])
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=errno.EXDEV,
                  args=[{"index": 1, "value": 6, "op": "SCMP_CMP_EQ"}])
        self.assertEqual([self.call(GETPGID, 0, value) for value in (5, 6, 7)], [DENIED_NAME, "EXDEV", 1])

    def test_allowed_with_one_argument_only(self):
        self.allowlist()
        self.rule("SCMP_ACT_ALLOW", "getpgid", args=[{"index": 1, "value": 5, "op": "SCMP_CMP_EQ"}])
        self.assertEqual([self.call(GETPGID, 0, value) for value in (5, 6)], [1, "EPERM"])


@unittest.skipUnless(platform.machine() == "x86_64", "syscall numbers of x86_64")
class Architectures(Seccomp):
    def call32(self, number):
        if command([PROBE, "syscall32", "20"]).status == -signal.SIGSEGV:
            self.skipTest("this kernel has no 32-bit system calls")
        self.process["args"] = ["/bin/probe", "syscall32", str(number)]
        result = self.run_container()
        if result.status != 0:
            return result.status
        answer = json.loads(result.out)
        return answer["errno"] or answer["ret"]

    @rule("MUST", "config-linux.md#seccomp", "architectures: only those that are listed may make calls")
    def test_listed_one_is_filtered(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
        self.linux["seccomp"]["architectures"] = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
        self.assertEqual(self.call32(GETPGID32), DENIED_NAME)
        self.assertEqual(self.call32(20), 1)  # getpid
        self.assertEqual(self.call(GETPGID), DENIED_NAME)

    @rule("MUST", "config-linux.md#seccomp", "architectures: only those that are listed may make calls")
    def test_unlisted_one_is_closed(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
        self.linux["seccomp"]["architectures"] = ["SCMP_ARCH_X86_64"]
        self.assertEqual(self.call32(20), SIGSYS_STATUS)

    def test_none_listed_is_the_native_one(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
        self.assertEqual(self.call(GETPGID), DENIED_NAME)
        self.assertEqual(self.call32(20), SIGSYS_STATUS)

    def test_x32_does_not_get_around_it(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
        self.process["args"] = ["/bin/probe", "syscall", str(GETPGID | 0x40000000)]
        result = self.run_container()
        self.assertTrue(result.status == SIGSYS_STATUS or json.loads(result.out)["errno"], result)

    @rule("MUST", "config-linux.md#seccomp", "architectures: every name of the specification")
    def test_every_name_is_accepted(self):
        names = ("X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 "
                 "S390X PARISC PARISC64 RISCV64 LOONGARCH64 M68K SH SHEB").split()
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
        self.linux["seccomp"]["architectures"] = [f"SCMP_ARCH_{name}" for name in names]
        self.assertEqual(self.call(GETPGID), DENIED_NAME)

    def test_unknown(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid")
        self.linux["seccomp"]["architectures"] = ["SCMP_ARCH_PDP11"]
        self.assertRefused("SCMP_ARCH_PDP11")


@unittest.skipUnless(platform.machine() == "x86_64", "syscall numbers of x86_64")
class Newer(Seccomp):
    """A syscall that the profile's author could not know answers ENOSYS, so that libraries fall back."""

    @rule("MAY", "config-linux.md#seccomp", "a system call newer than the profile is answered with ENOSYS")
    def test_newer_than_the_newest_named(self):
        self.allowlist("SCMP_ACT_ERRNO", "openat2")  # 437
        self.assertEqual(self.call(451), "ENOSYS")  # cachestat
        self.assertEqual(self.call(999), "ENOSYS")
        self.assertEqual(self.call(GETPGID), "EPERM")
        self.assertEqual(self.call(438), "ENOSYS")  # pidfd_getfd, the very next

    def test_older_ones_are_denied(self):
        self.allowlist("SCMP_ACT_ERRNO", "mseal", defaultErrnoRet=DENIED)
        self.assertEqual(self.call(437, -1, 0, 0, 0), DENIED_NAME)

    @rule("MAY", "config-linux.md#seccomp", "a system call newer than the profile is answered with ENOSYS")
    def test_also_where_the_default_kills(self):
        self.allowlist("SCMP_ACT_KILL_PROCESS", "openat2")
        self.assertEqual(self.call(999), "ENOSYS")

    def test_not_in_a_denylist(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid")
        self.assertEqual(self.call(451, -1, 0, 0, 0) == "EPERM", False)


class Flags(Seccomp):
    @rule("MUST", "config-linux.md#seccomp", "flags, SPEC_ALLOW where unset")
    def test_accepted(self):
        for flags in ([], ["SECCOMP_FILTER_FLAG_LOG"], ["SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
                      ["SECCOMP_FILTER_FLAG_TSYNC"], ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"]):
            with self.subTest(flags):
                self.linux.pop("seccomp", None)
                self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
                self.linux["seccomp"]["flags"] = flags
                self.assertEqual(self.call(GETPGID), DENIED_NAME)

    @rule("MUST", "config-linux.md#seccomp", "flags, SPEC_ALLOW where unset")
    def test_unknown(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid")
        self.linux["seccomp"]["flags"] = ["SECCOMP_FILTER_FLAG_FAST"]
        self.assertRefused("SECCOMP_FILTER_FLAG_FAST")


class Refused(Seccomp):
    def refused(self, word, **fields):
        with self.subTest(word, fields=fields):
            self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", **fields}
            self.assertRefused(word)

    @rule("MUST", "config-linux.md#seccomp", "names has at least one entry")
    def test_values(self):
        self.refused("SCMP_ACT_SMILE", defaultAction="SCMP_ACT_SMILE")
        self.refused("defaultErrnoRet", defaultErrnoRet=5)
        self.refused("action", syscalls=[{"names": ["getpgid"]}])
        self.refused("SCMP_ACT_SMILE", syscalls=[{"names": ["getpgid"], "action": "SCMP_ACT_SMILE"}])
        self.refused("errnoRet", syscalls=[{"names": ["getpgid"], "action": "SCMP_ACT_ALLOW", "errnoRet": 5}])
        self.refused("errnoRet", syscalls=[{"names": ["getpgid"], "action": "SCMP_ACT_KILL", "errnoRet": 5}])
        self.refused("errnoRet", syscalls=[{"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 70000}])
        self.refused("names", syscalls=[{"names": [], "action": "SCMP_ACT_ERRNO"}])
        self.refused("names", syscalls=[{"names": [""], "action": "SCMP_ACT_ERRNO"}])
        self.refused("index", syscalls=[{"names": ["getpgid"], "action": "SCMP_ACT_ERRNO",
                                         "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}])
        self.refused("op", syscalls=[{"names": ["getpgid"], "action": "SCMP_ACT_ERRNO",
                                      "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_LIKE"}]}])
        self.refused("defaultAction", defaultAction="SCMP_ACT_NOTIFY", listenerPath="/nowhere")
        self.refused("listenerPath", syscalls=[{"names": ["getpgid"], "action": "SCMP_ACT_NOTIFY"}])
        self.refused("listenerMetadata", listenerMetadata="text")

    @rule("MUST", "config-linux.md#seccomp", "errnoRet with an action that has no errno: error")
    def test_errno_for_an_action_without_one_is_an_error(self):
        for action in ("SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP"):
            self.refused("errnoRet", syscalls=[{"names": ["getpgid"], "action": action, "errnoRet": 5}])
        self.refused("defaultErrnoRet", defaultAction="SCMP_ACT_ALLOW", defaultErrnoRet=5)

    @rule("MUST", "config-linux.md#seccomp", "listenerMetadata without listenerPath: error")
    def test_metadata_without_a_path_is_an_error(self):
        self.refused("listenerMetadata", listenerMetadata="text")

    def test_no_default_action(self):
        self.linux["seccomp"] = {"syscalls": []}
        self.assertRefused("defaultAction")


class Privileges(Seccomp):
    def test_loaded_without_no_new_privileges(self):
        self.process["noNewPrivileges"] = False
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
        for uid in (0, 1000):
            with self.subTest(uid=uid):
                self.process["user"] = {"uid": uid, "gid": uid}
                facts = self.probe("facts")
                self.assertEqual((facts["seccomp"], facts["no_new_privs"]), (2, 0))
                for name, mask in facts["capabilities"].items():
                    self.assertNotIn("CAP_SYS_ADMIN", capability_names(mask), name)
                self.assertEqual(self.call(GETPGID), DENIED_NAME)

    def test_granted_one_stays(self):
        self.process["noNewPrivileges"] = False
        self.add_capabilities("CAP_SYS_ADMIN")
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
        self.assertIn("CAP_SYS_ADMIN", capability_names(self.probe("facts")["capabilities"]["effective"]))

    def test_filter_is_of_exec_too(self):
        for no_new_privileges in (True, False):
            with self.subTest(noNewPrivileges=no_new_privileges):
                self.process["noNewPrivileges"] = no_new_privileges
                self.linux.pop("seccomp", None)
                self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
                self.running()
                self.assertEqual(self.exec_probe("syscall", GETPGID)["errno"], DENIED_NAME)
                facts = self.exec_probe("facts")
                self.assertIn("Seccomp_filters:\t1", facts["status"])
                self.assertNotIn("CAP_SYS_ADMIN", capability_names(facts["capabilities"]["permitted"]))
                self.assertOk(self.delete("--force"))

    def test_exec_with_more_capabilities_is_still_filtered(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
        self.running()
        answer = self.exec_probe("syscall", GETPGID, flags=["--cap", "CAP_SYS_ADMIN"])
        self.assertEqual(answer["errno"], DENIED_NAME)


@unittest.skipUnless(platform.machine() == "x86_64", "syscall numbers of x86_64")
class Notify(Seccomp):
    def agent(self, answer, *names, **fields):
        path = self.directory / "agent.sock"
        agent = Agent(path, answer)
        self.addCleanup(agent.close)
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": str(path), "syscalls": [], **fields}
        self.rule("SCMP_ACT_NOTIFY", *names)
        return agent

    @rule("MUST", "config-linux.md#seccomp", "SCMP_ACT_NOTIFY: the agent at listenerPath answers")
    def test_value(self):
        agent = self.agent(lambda number, args: (4242, 0, 0), "getpgid")
        self.assertEqual(self.call(GETPGID), 4242)
        self.assertEqual(agent.seen, [GETPGID])

    @rule("MUST", "config-linux.md#seccomp", "SCMP_ACT_NOTIFY: the agent at listenerPath answers")
    def test_error(self):
        self.agent(lambda number, args: (0, -DENIED, 0), "getpgid")
        self.assertEqual(self.call(GETPGID), DENIED_NAME)

    @rule("MUST", "config-linux.md#seccomp", "SCMP_ACT_NOTIFY: the agent at listenerPath answers")
    def test_continue(self):
        self.agent(lambda number, args: (0, 0, CONTINUE), "getpgid")
        self.assertEqual(self.call(GETPGID), 1)

    def test_arguments(self):
        seen = []

        def answer(_number, args):
            seen.append(args[:3])
            return 0, 0, 0

        self.agent(answer, "getpgid")
        self.call(GETPGID, 11, 22, 33)
        self.assertEqual(seen, [(11, 22, 33)])

    @rule("MUST", "config-linux.md#the-container-process-state",
          "one state per connection, with the descriptor and listenerMetadata")
    def test_state(self):
        agent = self.agent(lambda number, args: (0, 0, CONTINUE), "getpgid", listenerMetadata="some metadata")
        self.config["annotations"] = {"org.example.key": "value"}
        self.running()
        state = self.state()
        (message,) = agent.sent(1)
        self.assertEqual(message["fds"], ["seccompFd"])
        self.assertEqual(message["metadata"], "some metadata")
        self.assertEqual(message["pid"], state["pid"])
        self.assertTrue(message["ociVersion"])
        self.assertEqual(message["state"]["id"], self.id)
        self.assertEqual(message["state"]["pid"], state["pid"])
        self.assertEqual(message["state"]["status"], "creating")
        self.assertEqual(message["state"]["bundle"], str(self.bundle))
        self.assertEqual(message["state"]["annotations"], {"org.example.key": "value"})
        self.assertEqual(agent.extra_fds, 0)

    @rule("MUST", "config-linux.md#the-container-process-state",
          "one state per connection, with the descriptor and listenerMetadata")
    def test_exec_has_a_connection_of_its_own(self):
        agent = self.agent(lambda number, args: (77, 0, 0), "getpgid")
        self.running()
        self.assertEqual(self.exec_probe("syscall", GETPGID)["ret"], 77)
        self.assertEqual(len(agent.sent(2)), 2)
        self.assertEqual(agent.states[1]["state"]["status"], "running")
        self.assertEqual(agent.states[1]["state"]["pid"], self.state()["pid"])
        # The agent reads the memory of the process: it is told the pid that the host knows.
        pid_file = self.directory / "pid"
        self.assertOk(self.exec("/bin/sleep", "1000", flags=["--detach", "--pid-file", pid_file]))
        self.assertEqual(agent.sent(3)[2]["pid"], int(pid_file.read_text()))

    def test_syscalls_that_the_runtime_itself_uses(self):
        names = ("sendmsg", "sendto", "write", "execve", "execveat", "capset", "wait4", "close", "recvmsg", "fcntl",
                 "close_range", "prctl", "kill", "exit_group")
        for no_new_privileges in (True, False):
            with self.subTest(noNewPrivileges=no_new_privileges):
                self.process["noNewPrivileges"] = no_new_privileges
                (self.directory / "agent.sock").unlink(missing_ok=True)
                agent = self.agent(lambda number, args: (0, 0, CONTINUE), *names)
                self.assertEqual(self.output("echo through"), "through\n")
                self.assertIn(59, agent.seen)  # execve

    def test_refusing_execve(self):
        self.agent(lambda number, args: (0, -errno.EACCES, 0), "execve", "execveat")
        self.process["args"] = ["/bin/true"]
        self.assertOk(self.create())
        self.assertFails(self.start(), "permission denied")
        self.assertOk(self.delete("--force"))

    def test_kill_while_waiting(self):
        def answer(_number, _args):
            threading.Event().wait()

        self.agent(answer, "getpgid", flags=["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])
        self.process["args"] = ["/bin/probe", "syscall", str(GETPGID)]
        self.assertOk(self.create())
        self.assertOk(self.start())
        self.assertEqual(self.status(), "running")
        self.assertOk(self.kill("KILL"))
        self.wait_stopped()

    @rule("MUST", "config-linux.md#seccomp", "an agent that cannot be reached: error")
    def test_nobody_listens(self):
        self.rule("SCMP_ACT_NOTIFY", "getpgid")
        self.linux["seccomp"]["listenerPath"] = str(self.directory / "nobody.sock")
        self.process["args"] = ["/bin/true"]
        result = self.run_container()
        self.assertFails(result, "listenerPath" if IS_NUCLEUS else "")
        self.assertNothingLeft()

    def test_without_a_rule_that_notifies_nobody_needs_to_listen(self):
        self.rule("SCMP_ACT_ERRNO", "getpgid", errnoRet=DENIED)
        self.linux["seccomp"]["listenerPath"] = str(self.directory / "nobody.sock")
        self.assertEqual(self.call(GETPGID), DENIED_NAME)


if __name__ == "__main__":
    main()
