"""`nucleus doctor`: what this host offers, as the host itself says."""

import ctypes
import json
import os
import platform
import unittest

from harness import IS_NUCLEUS, RUNTIME, command, main

NOBODY = 65534


@unittest.skipUnless(IS_NUCLEUS, "a command of nucleus")
class Doctor(unittest.TestCase):
    def doctor(self, *prefix):
        result = command([*prefix, RUNTIME, "doctor", "--json"])
        self.assertEqual(result.err, "", result)
        found = json.loads(result.out)
        lacks = [found["lacks"][mode] for mode in ("plain", "agent", "strict-agent", "production")]
        self.assertEqual(result.status, 1 if any(lacks) else 0, result)
        return found

    def test_facts_are_those_of_the_host(self):
        found = self.doctor()
        self.assertEqual(found["kernel"]["release"], platform.release())
        self.assertEqual(found["kernel"]["root"], "yes")
        abi = max(ctypes.CDLL(None).syscall(444, None, 0, 1), 0)
        self.assertEqual(found["security"]["landlock-abi"], str(abi))
        with open("/proc/sys/kernel/seccomp/actions_avail", encoding="utf-8") as file:
            self.assertEqual(found["security"]["seccomp-actions"], file.read().strip())
        for name in ("user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"):
            # Tried the same way, by another program.
            works = command(["unshare", f"--{dict(mnt='mount').get(name, name)}", "true"]).status == 0
            self.assertEqual(found["namespaces"][name] == "yes", works, name)
        for program in ("runsc", "criu", "newuidmap"):
            path = found["programs"][program]
            self.assertTrue(path == "no" or os.access(path, os.X_OK), path)
        self.assertEqual(found["kernel"]["/dev/net/tun"] == "yes", os.access("/dev/net/tun", os.R_OK | os.W_OK))

    def test_a_lack_is_found_with_its_remedy(self):
        """In a namespace where the kernel has been told to make no user namespaces."""
        script = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
        found = self.doctor("unshare", "--user", "--map-root-user", "sh", "-c", script, "sh")
        self.assertIn("no", found["namespaces"]["user"])
        lack, = [lack for lack in found["lacks"]["strict-agent"] if "user namespace" in lack]
        self.assertIn("sysctl user.max_user_namespaces is 0: raise it", lack)

    def test_an_ordinary_user(self):
        found = self.doctor("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        self.assertEqual(found["kernel"]["root"], "no")
        self.assertIn("run as root", " ".join(found["lacks"]["production"] or ["run as root"]))

    def test_it_leaves_nothing(self):
        """Neither a process nor a mount: run in namespaces that nobody else is in."""
        script = '"$1" doctor >/dev/null; set -- /proc/[0-9]*; echo $#; cat /proc/self/mountinfo'
        inside = ["unshare", "--mount", "--pid", "--fork", "--mount-proc", "sh", "-c"]
        after = command([*inside, script, "sh", RUNTIME]).out
        before = command([*inside, script.replace('"$1" doctor', "true"), "sh", RUNTIME]).out
        self.assertEqual(after.splitlines()[0], before.splitlines()[0])
        self.assertEqual(len(after.splitlines()), len(before.splitlines()))

    def test_as_text(self):
        result = command([RUNTIME, "doctor"])
        self.assertIn("kernel\n  release           " + platform.release(), result.out)
        self.assertIn("\nlacks\n  plain ", result.out)


if __name__ == "__main__":
    main()
