"""policies/builtin/agent-seccomp.json: real programs run under it, and what it is there to refuse is refused."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import unittest

import test_policies
from harness import PROBE, PROJECT, main

PROFILE = PROJECT / "policies/builtin/agent-seccomp.json"
PROGRAMS = pathlib.Path(__file__).parent / "programs"
X86_64 = os.uname().machine == "x86_64"


def missing(*programs):
    return [program for program in programs if not os.path.exists(program)]


class Agent(test_policies.Policy):
    """The host's programs, read-only, in a root filesystem of its own; no capabilities, as the agent mode has it."""

    def setUp(self):
        super().setUp()
        shutil.rmtree(self.rootfs)
        for name in ("usr", "etc", "proc", "dev", "tmp", "sys", "programs", "work"):
            (self.rootfs / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (self.rootfs / name).symlink_to(f"usr/{name}")
        shutil.copy2(PROBE, self.rootfs / "probe")
        # Of the host's files what programs look for, and no more: a container's root reads them all.
        for name in ("passwd", "group", "ld.so.cache", "ssl/openssl.cnf", "alternatives", "hosts", "mime.types"):
            source = pathlib.Path("/etc") / name
            target = self.rootfs / "etc" / name
            target.parent.mkdir(exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True)
            elif source.exists():
                shutil.copy2(source, target)
        readonly = ["rbind", "ro", "nosuid", "nodev"]
        self.config["mounts"] += [
            {"destination": "/usr", "type": "bind", "source": "/usr", "options": readonly},
            {"destination": "/programs", "type": "bind", "source": str(PROGRAMS), "options": readonly},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]}]
        self.process["capabilities"] = {}
        self.process["env"] += ["HOME=/tmp", "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1"]
        text = PROFILE.read_text()
        (self.bundle / "agent-seccomp.json").write_text(text)
        self.annotate("policy.seccomp", f"agent-seccomp.json@{test_policies.digest(text)}")

    def says(self, word, *args):
        self.process["args"] = list(args)
        result = self.run_container()
        self.assertOk(result)
        self.assertEqual(result.out.splitlines()[-1:], [word], result)


class Programs(Agent):
    @unittest.skipIf(missing("/usr/bin/python3"), "no python3")
    def test_python(self):
        self.says("python ok", "/usr/bin/python3", "/programs/everyday.py")

    @unittest.skipIf(missing("/usr/bin/node"), "no node")
    def test_node(self):
        self.says("node ok", "/usr/bin/node", "/programs/everyday.js")

    @unittest.skipIf(missing("/usr/bin/git"), "no git")
    def test_git(self):
        self.says("git ok", "/bin/sh", "/programs/git.sh")

    @unittest.skipIf(missing("/usr/bin/gcc", "/usr/bin/g++", "/usr/bin/make"), "no compiler")
    def test_compilers_and_make(self):
        self.says("gcc ok", "/bin/sh", "/programs/gcc.sh")

    def test_coreutils(self):
        self.says("coreutils ok", "/bin/sh", "/programs/coreutils.sh")

    @unittest.skipIf(missing("/bin/busybox"), "no busybox")
    def test_busybox(self):
        self.says("busybox ok", "/bin/busybox", "sh", "/programs/busybox.sh")

    def test_terminal(self):
        self.process["terminal"] = True
        self.process["args"] = ["/bin/bash", "-ic", "stty size >/dev/null; sleep 0 & wait; jobs; tty"]
        self.write()
        script = f"{self.runtime_path()} --root {self.root} run --bundle {self.bundle} {self.id}"
        result = subprocess.run(["script", "-qec", script, "/dev/null"], capture_output=True, text=True, check=False, timeout=60,
                                stdin=subprocess.DEVNULL, env={**os.environ, "SHELL": "/bin/sh"})
        self.assertIn("/dev/", result.stdout, result)

    @staticmethod
    def runtime_path():
        return os.path.abspath(test_policies.RUNTIME)


# name, number on x86_64, arguments, the answer; without a filter and with these arguments each would answer another errno,
# or succeed.
EPERM, ENOSYS = "EPERM", "ENOSYS"
AF_UNIX, AF_INET, AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK, SOCK_STREAM, SOCK_DGRAM, SOCK_RAW = 1, 2, 16, 17, 38, 40, 1, 2, 3
REFUSED = [
    ("ptrace: PTRACE_TRACEME", 101, [0, 0, 0, 0], EPERM),
    ("process_vm_readv", 310, [1, 0, 0, 0, 0, 0], EPERM),
    ("process_vm_writev", 311, [1, 0, 0, 0, 0, 0], EPERM),
    ("kcmp", 312, [1, 1, 0, 0, 0], EPERM),
    ("pidfd_getfd", 438, [-1, 0, 0], EPERM),
    ("process_madvise", 440, [-1, 0, 0, 0, 0], EPERM),
    ("mount", 165, ["s:none", "s:/tmp", "s:tmpfs", 0, 0], EPERM),
    ("umount2", 166, ["s:/absent", 0], EPERM),
    ("pivot_root", 155, ["s:/absent", "s:/absent"], EPERM),
    ("chroot", 161, ["s:/absent"], EPERM),
    ("open_tree", 428, [-100, "s:/absent", 0], EPERM),
    ("move_mount", 429, [-1, "s:", -1, "s:", 0], EPERM),
    ("fsopen", 430, ["s:absent", 0], EPERM),
    ("fsmount", 432, [-1, 0, 0], EPERM),
    ("unshare: CLONE_NEWUSER", 272, [0x10000000], EPERM),
    ("unshare: CLONE_FILES", 272, [0x400], EPERM),
    ("setns", 308, [-1, 0], EPERM),
    ("clone: CLONE_NEWUSER", 56, [0x10000011, 0, 0, 0, 0], EPERM),
    ("clone: CLONE_NEWNET | CLONE_NEWUSER", 56, [0x50000011, 0, 0, 0, 0], EPERM),
    ("clone3", 435, [0, 0], ENOSYS),
    ("io_uring_setup", 425, [1, 0], ENOSYS),
    ("io_uring_enter", 426, [-1, 0, 0, 0, 0, 0], ENOSYS),
    ("io_uring_register", 427, [-1, 0, 0, 0], ENOSYS),
    ("bpf", 321, [0, 0, 0], EPERM),
    ("perf_event_open", 298, [0, 0, -1, -1, 0], EPERM),
    ("userfaultfd", 323, [1], EPERM),
    ("add_key", 248, ["s:user", "s:x", "s:x", 1, -3], EPERM),
    ("request_key", 249, ["s:user", "s:x", 0, -3], EPERM),
    ("keyctl", 250, [0, -3, 0], EPERM),
    ("kexec_load", 246, [0, 0, 0, 0], EPERM),
    ("init_module", 175, [0, 0, "s:"], EPERM),
    ("finit_module", 313, [-1, "s:", 0], EPERM),
    ("delete_module", 176, ["s:absent", 0], EPERM),
    ("reboot", 169, [0, 0, 0, 0], EPERM),
    ("swapon", 167, ["s:/absent", 0], EPERM),
    ("acct", 163, ["s:/absent"], EPERM),
    ("quotactl", 179, [0, "s:/absent", 0, 0], EPERM),
    ("syslog", 103, [10, 0, 0], EPERM),
    ("settimeofday", 164, [0, 0], EPERM),
    ("sethostname", 170, ["s:x", 1], EPERM),
    ("name_to_handle_at", 303, [-100, "s:/absent", 0, 0, 0], EPERM),
    ("open_by_handle_at", 304, [-1, 0, 0], EPERM),
    ("fanotify_init", 300, [0, 0], EPERM),
    ("modify_ldt", 154, [0, 0, 0], EPERM),
    ("iopl", 172, [0], EPERM),
    ("ioperm", 173, [0, 0, 0], EPERM),
    ("move_pages", 279, [0, 0, 0, 0, 0, 0], EPERM),
    ("migrate_pages", 256, [0, 0, 0, 0], EPERM),
    ("vmsplice", 278, [-1, 0, 0, 0], EPERM),
    ("msgget", 68, [0, 0o1000], EPERM),
    ("mq_open", 240, ["s:x", 0, 0, 0], EPERM),
    ("personality: ADDR_NO_RANDOMIZE", 135, [0x0040000], EPERM),
    ("personality: READ_IMPLIES_EXEC", 135, [0x0400000], EPERM),
    ("mknod: a device", 133, ["s:/tmp/n", 0o020600, 0x103], EPERM),
    ("mknodat: a device", 259, [-100, "s:/tmp/n", 0o020600, 0x103], EPERM),
    ("socket: AF_PACKET", 41, [AF_PACKET, SOCK_RAW, 0], EPERM),
    ("socket: AF_ALG", 41, [AF_ALG, 5, 0], EPERM),
    ("socket: AF_VSOCK", 41, [AF_VSOCK, SOCK_STREAM, 0], EPERM),
    ("socket: NETLINK_NETFILTER", 41, [AF_NETLINK, SOCK_RAW, 12], EPERM),
    ("socket: NETLINK_AUDIT", 41, [AF_NETLINK, SOCK_RAW, 9], EPERM),
    ("socketpair: AF_INET", 53, [AF_INET, SOCK_STREAM, 0, 0], EPERM),
    ("ioctl: TIOCSTI", 16, [0, 0x5412, "s:x"], EPERM),
    # The kernel looks at 32 bits of it.
    ("ioctl: TIOCSTI with more bits", 16, [0, 0x100005412, "s:x"], EPERM),
    ("ioctl: TIOCLINUX", 16, [0, 0x541C, "s:x"], EPERM),
    ("ioctl: KDSETMODE", 16, [0, 0x4B3A, 0], EPERM),
    ("memfd_secret, which is newer", 447, [1 << 20], ENOSYS),
    ("futex_waitv, which is newer", 449, [0, 0, 0, 0, 0], ENOSYS),
    ("a system call of the future", 4000, [], ENOSYS),
]


@unittest.skipUnless(X86_64, "the numbers are those of x86_64")
class Refused(Agent):
    def setUp(self):
        super().setUp()
        # It is the filter that refuses, not the want of a capability: with all of those that there are.
        names = [f"CAP_{name}" for name in ("SYS_ADMIN", "SYS_PTRACE", "SYS_MODULE", "SYS_BOOT", "SYS_CHROOT", "MKNOD", "NET_ADMIN",
                                            "NET_RAW", "DAC_READ_SEARCH", "SYS_TIME", "SYS_PACCT", "SYSLOG", "SYS_RAWIO", "SYS_NICE",
                                            "BPF", "PERFMON", "SYS_TTY_CONFIG")]
        self.process["capabilities"] = {name: names for name in ("bounding", "effective", "permitted")}

    def test_each(self):
        script = "".join(f"/probe syscall {number} {' '.join(map(repr, map(str, args)))}\n" for _, number, args, _ in REFUSED)
        self.sh(script)
        result = self.run_container()
        answers = [json.loads(line)["errno"] for line in result.out.splitlines()]
        self.assertEqual(len(answers), len(REFUSED), result)
        self.assertEqual([(name, answer) for (name, *_), answer in zip(REFUSED, answers)],
                         [(name, expected) for name, _, _, expected in REFUSED])

    def test_other_architectures(self):
        """32-bit x86 and x32 are not in it: the process ends. (A kernel without 32-bit calls has a signal of its own for these.)"""
        self.process["args"] = ["/probe", "syscall32", "20"]
        self.assertIn(self.run_container().status, (128 + signal.SIGSYS, 128 + signal.SIGSEGV))
        self.process["args"] = ["/probe", "syscall", str(0x40000000 + 39)]
        self.assertEqual(self.run_container().status, 128 + signal.SIGSYS)

    def test_the_list_tells_the_filter_from_none(self):
        """Without the filter these answer something else: the list could not fail otherwise."""
        del self.config["annotations"]
        self.process["capabilities"] = {}
        calls = [(number, args, expected) for _, number, args, expected in REFUSED if number in (101, 312, 435, 425, 41, 135, 250, 323)]
        self.sh("".join(f"/probe syscall {number} {' '.join(map(repr, map(str, args)))}\n" for number, args, _ in calls))
        answers = [json.loads(line)["errno"] for line in self.output().splitlines()]
        self.assertEqual(len(answers), len(calls))
        self.assertGreater(sum(answer != expected for answer, (_, _, expected) in zip(answers, calls)), len(calls) // 2, answers)


if __name__ == "__main__":
    main()
