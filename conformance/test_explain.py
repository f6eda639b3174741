"""`nucleus explain BUNDLE`: what create would do, before it does anything."""

import hashlib
import json
import unittest

from harness import CAPABILITIES, IS_NUCLEUS, RUNTIME, Case, command, main


@unittest.skipUnless(IS_NUCLEUS, "a command of nucleus")
class Explain(Case):
    def explain(self, *flags):
        self.write()
        return command([RUNTIME, "explain", *flags, self.bundle])

    def plan(self, *flags):
        result = self.explain("--json", *flags)
        self.assertOk(result)
        return json.loads(result.out)

    def test_sections(self):
        plan = self.plan()
        self.assertEqual(list(plan), ["bundle", "mode", "process", "capabilities", "seccomp", "namespaces", "root", "landlock",
                                      "limits", "network", "hooks", "host"])
        self.assertEqual(plan["mode"]["name"], "plain OCI")
        self.assertEqual(plan["process"]["args"], ["/bin/true"])
        self.assertEqual(plan["process"]["no-new-privileges"], "yes")
        self.assertEqual(plan["capabilities"]["bounding"], ["CAP_KILL", "CAP_NET_BIND_SERVICE", "CAP_AUDIT_WRITE"])
        self.assertEqual(sorted(plan["namespaces"]["new"]), ["cgroup", "ipc", "mnt", "net", "pid", "uts"])
        self.assertEqual(plan["root"]["path"], str(self.rootfs))
        self.assertIn("tmpfs on /dev nosuid,mode=755,size=65536k", plan["root"]["mounts"])
        self.assertIn("/proc/kcore", plan["root"]["masked"])
        self.assertEqual(plan["seccomp"], {"config": "none", "policy": "none"})
        digest = hashlib.sha256((self.bundle / "config.json").read_bytes()).hexdigest()
        self.assertEqual(plan["bundle"]["config"], f"sha256:{digest}")

    def test_what_is_asked_for(self):
        self.config["hooks"] = {"poststop": [{"path": "/bin/true"}]}
        self.linux["resources"].update(memory={"limit": 1 << 26}, pids={"limit": 9})
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"}, {"names": ["read"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]}]}
        self.process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}]
        (self.bundle / "landlock.toml").write_text(
            'scope = ["signal"]\n[[rules]]\npath = "/usr"\naccess = ["read"]\n[[tcp]]\nport = 80\naccess = ["bind"]\n')
        self.config["annotations"] = {"dev.nucleus.policy.landlock": "landlock.toml"}
        plan = self.plan()
        self.assertEqual(plan["hooks"]["poststop"], ["/bin/true"])
        self.assertEqual(plan["limits"]["limits"], ["memory 67108864", "pids 9"])
        self.assertEqual(plan["limits"]["rlimits"], ["RLIMIT_NOFILE 1 2"])
        self.assertEqual(plan["seccomp"]["config"], "default errno; allow 2 system calls and 1 with conditions")
        self.assertEqual(plan["landlock"]["rules"], ["/usr read"])
        self.assertEqual(plan["landlock"]["ports"], ["80 bind"])
        self.assertEqual(plan["landlock"]["scope"], "signal")
        self.assertIn("(not pinned)", plan["bundle"]["policies"][0])

    def test_what_the_host_lacks(self):
        """The same words as doctor has for the bundle's mode; with agent mode what it would start without."""
        lacks = json.loads(command([RUNTIME, "doctor", "--json"]).out)["lacks"]
        self.assertEqual(self.plan()["host"], {"fails": lacks["plain"], "degrades": []})
        self.config["annotations"] = {"dev.nucleus.mode": "agent"}
        self.assertEqual(self.plan()["host"], {"fails": lacks["agent"], "degrades": lacks["agent-degrades"]})
        # A cgroup namespace that cannot be made any more: each command of this test is in one where none are left.
        few = command(["unshare", "-Urm", "sh", "-c", "echo 0 >/proc/sys/user/max_cgroup_namespaces && exec \"$@\"", "sh",
                       RUNTIME, "explain", self.bundle])
        self.assertIn("no cgroup namespace can be made (", few.out, few)

    def test_as_text(self):
        result = self.explain()
        self.assertOk(result)
        self.assertIn("\nnamespaces\n  new               cgroup\n", result.out)
        self.assertNotIn("\x1b", result.out)

    def test_control_characters_stay_in_the_bundle(self):
        self.process["args"] = ["/bin/true", "a\x1b[2Jb\nc"]
        self.assertIn("a?[2Jb?c\n", self.explain().out)

    def test_what_create_refuses(self):
        self.config["mounts"].append({"destination": "relative/../..", "type": "tmpfs", "source": "x"})
        self.config["annotations"] = {"dev.nucleus.nonsense": "x"}
        self.assertFails(self.explain(), "unknown key")
        self.assertEqual(self.explain().err, self.create().err)

    def test_nothing_is_made(self):
        self.assertOk(self.explain())
        self.assertNothingLeft()
        self.assertFalse(self.root.exists())

    def test_it_is_the_plan_of_create(self):
        """The capabilities that were told are those that the process has."""
        plan = self.plan()
        pid = self.running()
        mask = sum(1 << CAPABILITIES.index(name) for name in plan["capabilities"]["bounding"])
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            self.assertIn(f"CapBnd:\t{mask:016x}\n", file.read())

    def test_usage(self):
        self.assertFails(command([RUNTIME, "explain"]), "requires exactly 1")
        self.assertFails(command([RUNTIME, "explain", self.directory / "none"]), "no such file")


if __name__ == "__main__":
    main()
