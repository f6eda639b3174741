"""What of the host runsc's own processes can reach: a program in runsc's place looks, and what runsc really starts is looked at.

That program says it is runsc. Asked to make a sandbox, it tries what an attacker would who has taken one of runsc's processes,
before any filter of runsc's own is there; a process of it stays as the sandbox, so that other commands ask it too.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import unittest

import callers
from harness import command, main, wait_until
from test_faults import HAS_SWITCH
from test_gvisor import Gvisor

SOURCE = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static char report[8192];
static void say(const char* what, long result) {
  char text[200];
  snprintf(text, sizeof text, "%s=%s ", what, result >= 0 ? "ok" : strerrorname_np(errno));
  strcat(report, text);
}
static long try_open(const char* path, int flags) {
  const int fd = open(path, flags);
  if (fd >= 0) close(fd);
  return fd;
}
static long reach(const char* name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strcpy(address.sun_path + 1, name);
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  return connect(fd, (struct sockaddr*)&address, offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
}
static long take_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  return bind(socket(AF_INET, SOCK_STREAM, 0), (struct sockaddr*)&address, sizeof address);
}
static void look(void) {
  say("canary", try_open(CANARY, O_RDONLY));
  say("canary-of-another", try_open("/proc/" OTHER "/root" CANARY, O_RDONLY));
  say("memory-of-another", try_open("/proc/" OTHER "/mem", O_RDONLY));
  say("passwd", try_open("/etc/passwd", O_RDONLY));
  say("write-sysctl", try_open("/proc/sys/kernel/core_pattern", O_WRONLY));
  say("ptrace", ptrace(PTRACE_SEIZE, atoi(OTHER), 0, 0));
  say("signal", kill(atoi(OTHER), 0));
  say("abstract", reach(ABSTRACT));
  say("port", take_port());
  say("vsock", socket(40, SOCK_STREAM, 0));
  say("alg", socket(38, SOCK_SEQPACKET, 0));
  say("packet", socket(17, SOCK_RAW, 0));
  say("wide", syscall(SYS_socket, 0x100000000L + 38, SOCK_SEQPACKET, 0));
  say("bpf", syscall(SYS_bpf, 0, 0, 0));
  say("perf", syscall(SYS_perf_event_open, 0, 0, 0, 0, 0));
  say("module", syscall(SYS_init_module, 0, 0, 0));
  say("keyctl", syscall(SYS_keyctl, 0, -3, 0));
  say("io_uring", syscall(SYS_io_uring_setup, 0, 0));
  say("userfaultfd", syscall(SYS_userfaultfd, 0));
  mkdir("place", 0700);
  say("mount", mount("none", "place", "tmpfs", 0, 0));
  say("own", try_open("own", O_CREAT | O_WRONLY));
  say("no-new-privs", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : -1);
}
int main(int argc, char** argv) {
  const char *log = "log", *pid_file = 0, *command = "";
  for (int i = 1; i < argc; ++i) {
    if (!strncmp(argv[i], "--log=", 6)) log = argv[i] + 6;
    else if (!strcmp(argv[i], "-pid-file")) pid_file = argv[++i];
    else if (!strcmp(argv[i], "-bundle") || !strcmp(argv[i], "-process") || !strcmp(argv[i], "-internal-pid-file")) ++i;
    else if (argv[i][0] != '-' && !*command) command = argv[i];
    else if (!strcmp(argv[i], "--version")) return look(), printf("runsc version release-20260501.0 %s\n", report), 0;
  }
  if (!strcmp(command, "flags")) {
    return puts("flags:\n  -root string\n  -network value\n  -ignore-cgroups\n  -log string\n  -platform string\n"
                "    \tspecifies which platform to use: ptrace (default)."), 0;
  }
  look();
  if (!strcmp(command, "create")) {
    FILE* file = fopen("report", "we");
    fputs(report, file);
    fclose(file);
    const int pid = fork();
    if (pid == 0) {
      for (int fd = 0; fd < 3; ++fd) close(fd);
      setsid();
      for (;;) pause();
    }
    file = fopen(pid_file, "we");
    fprintf(file, "%d", pid);
    return 0;
  }
  FILE* file = fopen(log, "we");
  if (file) {
    fprintf(file, "{\"msg\":\"%s\"}\n", report);
    fclose(file);
  }
  puts(report);
  return 1;
}
"""

LISTEN = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind('\\0' + sys.argv[1]); s.listen(); print(flush=True); sys.stdin.read()"

# errno of each attempt: of whom makes a sandbox, of who asks one.
MAKER = {"canary": "ENOENT", "canary-of-another": "EACCES", "memory-of-another": "EACCES", "passwd": "ENOENT", "write-sysctl": "EROFS",
         "ptrace": "EPERM", "signal": "EPERM", "abstract": "EPERM", "port": "EACCES", "vsock": "EPERM", "alg": "EPERM",
         "packet": "EPERM", "wide": "EPERM", "bpf": "EPERM", "perf": "EPERM", "module": "EPERM", "keyctl": "EPERM",
         "io_uring": "EPERM", "userfaultfd": "EPERM", "mount": "ok", "own": "ok", "no-new-privs": "ok"}
CLIENT = {**MAKER, "canary": "EACCES", "passwd": "EACCES", "mount": "EPERM",
          # It has to look at the sandbox, which is outside of its domain.
          "signal": "ok", "abstract": "ok"}
del CLIENT["write-sysctl"]
PROBED = {name: word for name, word in CLIENT.items() if name != "own"}


class Host(Gvisor):
    def setUp(self):
        super().setUp()
        self.canary = self.directory / "canary"
        self.canary.write_text("secret")
        self.abstract = f"nucleus-{self.id}"
        other = subprocess.Popen(["/usr/bin/python3", "-c", LISTEN, self.abstract], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(lambda: (other.communicate(), other.wait()))
        other.stdout.readline()
        self.other = other.pid

    def hostile(self):
        source = self.directory / "runsc.c"
        source.write_text(SOURCE)
        defines = {"CANARY": self.canary, "OTHER": self.other, "ABSTRACT": self.abstract}
        subprocess.run(["gcc", "-static", "-o", self.bundle / "runsc", source]
                       + [f'-D{name}="{value}"' for name, value in defines.items()], check=True)
        digest = hashlib.sha256((self.bundle / "runsc").read_bytes()).hexdigest()
        self.annotate(gvisor_runsc=f"runsc@sha256:{digest}")

    def told(self, text):
        return {name: word for name, _, word in (entry.partition("=") for entry in text.split() if "=" in entry)}

    def assertKept(self, wanted, text):
        told = self.told(text)
        self.assertEqual({name: told.get(name) for name in wanted}, wanted)

    def report(self):
        return (self.root / self.id / "gvisor/report").read_text()

    def degradations(self):
        state = json.loads((self.root / self.id / "state.json").read_text())
        return [entry["stage"] for entry in state.get("degradations", [])]

    def test_the_attempts_succeed_without(self):
        """Or the other tests would show nothing."""
        self.hostile()
        # In a mount namespace of its own: one of the attempts is a mount.
        result = command(["unshare", "--mount", self.bundle / "runsc", "--log=/dev/null", "exec"], cwd=self.directory)
        told = self.told(result.out)
        for name in ("canary", "canary-of-another", "memory-of-another", "passwd", "write-sysctl", "ptrace", "signal", "abstract",
                     "port", "packet", "mount"):
            self.assertEqual(told[name], "ok", told)
        for name in ("vsock", "alg", "bpf", "perf", "module", "keyctl", "io_uring", "userfaultfd"):
            self.assertNotEqual(told[name], "EPERM", told)

    def test_a_runsc_that_looks_around(self):
        self.hostile()
        self.assertOk(self.create())
        self.assertKept(MAKER, self.report())
        evidence = self.state()["annotations"]
        self.assertKept(PROBED, evidence["dev.nucleus.enforced.gvisor.version"])
        self.assertEqual(evidence["dev.nucleus.enforced.gvisor.host.landlock"], "tcp,abstract-unix-socket,signal")
        self.assertRegex(evidence["dev.nucleus.enforced.gvisor.host.seccomp.filter"], "^sha256:[0-9a-f]{64}$")
        self.assertKept(CLIENT, self.kill("TERM").err)
        started = self.start()
        self.assertEqual(started.status, 1)
        self.assertKept(CLIENT, started.err)
        self.assertOk(self.delete())

    def test_one_that_looks_around_in_exec(self):
        self.hostile()
        self.assertOk(self.create())
        # Who says that it runs is the state.
        path = self.root / self.id / "state.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "phase": "running"}))
        self.assertKept(CLIENT, self.exec("/bin/true").err)
        self.assertOk(self.delete("--force"))

    def test_what_runsc_starts(self):
        """The root of their mount namespaces, where a way out of a chroot would lead, has nothing of the host's."""
        self.running()
        script = ("import ctypes, os, sys\n"
                  "fd = os.open(f'/proc/{sys.argv[1]}/ns/mnt', os.O_RDONLY)\n"
                  "assert ctypes.CDLL(None).setns(fd, 0) == 0\n"
                  "print([os.path.exists(path) for path in sys.argv[2:]])\n")
        pids = [pid for pid, line in callers.processes_naming(str(self.root)) if "runsc-" in line]
        self.assertEqual(len(pids), 2)
        for pid in pids:
            seen = command(["/usr/bin/python3", "-c", script, pid, self.canary, "/etc/shadow", "/usr/bin/python3", self.root])
            self.assertEqual(seen.out.strip(), "[False, False, False, False]", seen)
            status = dict(line.split(":\t") for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
            self.assertEqual((status["NoNewPrivs"], status["Seccomp"], status["Seccomp_filters"]), ("1", "2", "2"))
        self.assertOk(self.delete("--force"))

    @unittest.skipUnless(HAS_SWITCH, "this build has no fault switch")
    def test_what_cannot_be_had(self):
        """An error, but for agent mode, which goes on and says so."""
        self.hostile()
        cases = {"child.landlock": "gvisor.host-landlock", "child.seccomp": "gvisor.host-seccomp",
                 "create.seccomp-compile": "gvisor.host-seccomp"}
        self.assertOk(self.create())  # what is known of this file is kept from here on
        self.assertOk(self.delete("--force"))
        for stage, name in cases.items():
            with self.subTest(stage=stage):
                failing = os.environ | {"NUCLEUS_FAULT": stage}
                self.config["annotations"].pop("dev.nucleus.mode", None)
                self.assertFails(self.create(env=failing), "injected fault at " + stage)
                self.assertNothingLeft()
                self.annotate(mode="agent")
                created = self.create(env=failing)
                self.assertOk(created)
                self.assertIn(name + " is not in force: ", created.err)
                self.assertIn(name, self.degradations())
                told = self.told(self.report())
                self.assertEqual(told["bpf" if "seccomp" in stage else "port"] in ("EPERM", "EACCES"), False)
                kept = "gvisor.host.seccomp.filter" if "seccomp" in stage else "gvisor.host.landlock"
                self.assertNotIn("dev.nucleus.enforced." + kept, self.state()["annotations"])
                self.assertOk(self.delete("--force"))


if __name__ == "__main__":
    main()
