"""`features`: whatever it lists is fed to the runtime and accepted, and what it does not list is refused."""

import json
import os
import pathlib
import unittest

from agent import CONTINUE, Agent
from harness import KERNEL, RUNTIME, Case, command, main, rule

RESULT = command([RUNTIME, "features"])
FEATURES = json.loads(RESULT.out) if RESULT.status == 0 else {}

# What features-linux.md and config.md have; a runtime may know more.
MUST_OPTIONS = """async atime bind defaults dev diratime dirsync exec iversion lazytime loud noatime nodev nodiratime noexec noiversion
    nolazytime norelatime nostrictatime nosuid private ro rprivate rbind relatime remount rshared rslave runbindable rw shared silent
    slave strictatime suid sync unbindable""".split()
SHOULD_OPTIONS = """ratime rdev rdiratime rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow
    rrelatime rro rrw rstrictatime rsuid rsymfollow symfollow nosymfollow idmap ridmap tmpcopyup""".split()


@unittest.skipUnless(FEATURES, "this runtime has no features command")
class Features(Case):
    linux_features = FEATURES.get("linux", {})

    def setUp(self):
        super().setUp()
        self.process["args"] = ["/bin/true"]

    def accepted(self, what):
        with self.subTest(accepted=what):
            self.assertOk(self.create())
            self.assertOk(self.delete("--force"))

    def refused(self, what, *words):
        with self.subTest(refused=what):
            self.assertRefused(*words)


class Form(Features):
    def test_json(self):
        self.assertTrue(RESULT.out.endswith("}\n"))
        for key in ("ociVersionMin", "ociVersionMax", "hooks", "mountOptions", "linux", "annotations"):
            self.assertIn(key, FEATURES)

    def test_the_lists_have_nothing_twice(self):
        seccomp = self.linux_features["seccomp"]
        for values in (FEATURES["hooks"], FEATURES["mountOptions"], self.linux_features["namespaces"],
                       self.linux_features["capabilities"], *(seccomp[n] for n in ("actions", "operators", "archs"))):
            self.assertEqual(len(values), len(set(values)))

    def test_it_is_the_same_wherever_it_is_asked(self):
        # features.md: fixed when the runtime is built; not what this host has.
        result = command(["unshare", "-rn", "chroot", "/", RUNTIME, "features"], env={"PATH": os.environ["PATH"]})
        self.assertOk(result)
        self.assertEqual(json.loads(result.out), FEATURES)


class Versions(Features):
    @rule("MUST", "config.md#specification-version", "ociVersion is needed and in SemVer form")
    @rule("MUST", "features.md#ociversionmin-and-ociversionmax", "ociVersionMin and ociVersionMax are accepted as ociVersion")
    def test_min_and_max_and_between_are_accepted(self):
        low, high = FEATURES["ociVersionMin"], FEATURES["ociVersionMax"]
        for version in {low, high, "1.0.0", "1.0.2", *(v for v in ("1.1.0", "1.2.0", "1.2.1", "1.3.0") if v <= high)}:
            self.config["ociVersion"] = version
            self.accepted(version)

    def test_others_are_refused(self):
        for version in ("2.0.0", "0.9.9", "1", "1.x", ""):
            self.config["ociVersion"] = version
            self.refused(version, "ociVersion")


class Hooks(Features):
    @rule("MUST", "features.md#hooks", "every hook that is listed is run")
    def test_each_that_is_listed_runs(self):
        log = self.directory / "log"
        (self.rootfs / "tmp/log").touch()
        for kind in FEATURES["hooks"]:
            place = "/tmp/log" if kind == "startContainer" else log
            self.config.setdefault("hooks", {})[kind] = [
                {"path": "/bin/sh", "args": ["sh", "-c", f"echo {kind} >> {place}"], "env": ["PATH=/bin:/usr/bin"]}]
        self.assertOk(self.run_container())
        ran = log.read_text().split() + (self.rootfs / "tmp/log").read_text().split()
        self.assertEqual(sorted(ran), sorted(FEATURES["hooks"]))

    def test_all_of_the_specification_are_listed(self):
        self.assertEqual(set(FEATURES["hooks"]),
                         {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"})


class MountOptions(Features):
    def mount(self, *options, type="tmpfs", source="tmpfs", **fields):
        self.config["mounts"] = self.config["mounts"][:6]
        self.config["mounts"].append({"destination": "/mnt", "type": type, "source": str(source), "options": list(options),
                                      **fields})

    @rule("SHOULD", "config.md#linux-mount-options", "mand nomand")
    @rule("MUST", "features.md#mount-options", "every option that is listed is recognised")
    def test_each_that_is_listed_is_accepted(self):
        known = FEATURES["mountOptions"]
        for option in known:
            if option in ("idmap", "ridmap"):
                mappings = [{"containerID": 0, "hostID": 100000, "size": 1000}]
                (self.directory / "bound").mkdir(exist_ok=True)
                self.mount("rbind", option, type="bind", source=self.directory / "bound", uidMappings=mappings,
                           gidMappings=mappings)
            elif option in ("bind", "rbind") or option.startswith("r") and option[1:] in known and option != "ro":
                self.mount("rbind" if option == "rbind" else "bind", option, type="bind", source=self.directory)
            elif option == "remount":
                self.mount()
                self.config["mounts"].append({**self.config["mounts"][-1], "options": ["remount", "ro"]})
            else:
                self.mount(option)
            self.accepted(option)

    @rule("SHOULD", "features.md#mount-options", "every option that is recognised is listed")
    def test_those_that_the_specification_has_are_listed(self):
        self.assertEqual([option for option in MUST_OPTIONS + SHOULD_OPTIONS if option not in FEATURES["mountOptions"]], [])

    @rule("SHOULD", "features.md#mount-options", "every option that is recognised is listed")
    def test_one_that_is_not_listed_is_the_filesystems(self):
        # tmpfs takes none of these, so that a runtime that knew one without listing it would be found out.
        for option in ("nosuchoption", "acl", "copy-symlink", "rsync", "rlazytime", "rbindonly", "RO", "ro ", "rprivat", ""):
            self.assertNotIn(option, FEATURES["mountOptions"])
            if option:
                self.mount(option)
                self.refused(option, option.strip())


class Lists(Features):
    @rule("MUST", "features-linux.md#namespaces", "every namespace that is listed is made, others are refused")
    def test_namespaces(self):
        self.assertEqual(set(self.linux_features["namespaces"]), {"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"})
        for name in self.linux_features["namespaces"]:
            self.linux["namespaces"] = [{"type": kind} for kind in {"pid", "ipc", "uts", "mount", "network", "cgroup", name}]
            for key in ("uidMappings", "gidMappings"):
                self.linux.pop(key, None)
                if name == "user":
                    self.linux[key] = [{"containerID": 0, "hostID": 0, "size": 65536}]
            file = {"network": "net", "mount": "mnt"}.get(name, name)
            self.process["args"] = ["/bin/readlink", f"/proc/self/ns/{file}"]
            with self.subTest(namespace=name):
                self.assertNotEqual(self.output().strip(), os.readlink(f"/proc/self/ns/{file}"))
        for name in ("net", "mnt", "PID", "syslog", ""):
            self.linux["namespaces"] = [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network", "cgroup", name)]
            self.refused(name, "namespaces")

    @rule("MUST", "features-linux.md#capabilities", "every capability that is listed is granted")
    def test_capabilities(self):
        known = self.linux_features["capabilities"]
        self.assertGreaterEqual(len(known), int(pathlib.Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1)
        self.process["capabilities"] = {name: known for name in ("bounding", "effective", "permitted")}
        result = self.create()
        self.assertOk(result)
        self.assertNotIn("unknown", result.err)

    @rule("MUST", "features-linux.md#cgroup", "v1, v2, systemd, systemdUser, rdma say what is so")
    def test_cgroup(self):
        told = self.linux_features["cgroup"]
        self.assertTrue(told["v1"])
        self.assertTrue(told["v2"])
        self.assertTrue(told["rdma"])
        if not told["systemd"]:
            self.write()
            self.assertFails(command([RUNTIME, "--root", self.root, "--systemd-cgroup", "create", "--bundle", self.bundle, self.id]))


class Seccomp(Features):
    def setUp(self):
        super().setUp()
        self.known = self.linux_features["seccomp"]
        self.assertTrue(self.known["enabled"])
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                                 "syscalls": [{"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO"}]}
        self.seccomp, self.call = self.linux["seccomp"], self.linux["seccomp"]["syscalls"][0]

    def with_agent(self):
        path = self.directory / "agent.sock"
        agent = Agent(path, lambda number, args: (0, 0, CONTINUE))
        self.addCleanup(agent.close)
        self.seccomp["listenerPath"] = str(path)

    @rule("MUST", "features-linux.md#seccomp",
          "every action, operator, architecture and flag that is listed is accepted, others are refused")
    def test_actions(self):
        for action in self.known["actions"]:
            self.call["action"] = action
            if action == "SCMP_ACT_NOTIFY":
                self.with_agent()
            self.accepted(action)
            self.seccomp.pop("listenerPath", None)
            # Each but NOTIFY may be what happens by default.
            self.seccomp["defaultAction"] = action
            self.call["action"] = "SCMP_ACT_ALLOW"
            if action == "SCMP_ACT_NOTIFY":
                self.refused(action, "defaultAction")
            elif not action.startswith(("SCMP_ACT_KILL", "SCMP_ACT_T", "SCMP_ACT_ERRNO")):  # these leave no init to wait
                self.accepted(action)
            self.seccomp["defaultAction"] = "SCMP_ACT_ALLOW"
        for action in ("SCMP_ACT_NONE", "scmp_act_allow", "ALLOW", ""):
            self.assertNotIn(action, self.known["actions"])
            self.call["action"] = action
            self.refused(action, "action")

    @rule("MUST", "features-linux.md#seccomp",
          "every action, operator, architecture and flag that is listed is accepted, others are refused")
    def test_operators(self):
        for operator in self.known["operators"]:
            self.call["args"] = [{"index": 0, "value": 1, "valueTwo": 1, "op": operator}]
            self.accepted(operator)
        for operator in ("SCMP_CMP_IN", "EQ", "scmp_cmp_eq", ""):
            self.assertNotIn(operator, self.known["operators"])
            self.call["args"] = [{"index": 0, "value": 1, "op": operator}]
            self.refused(operator, "op")

    @rule("MUST", "features-linux.md#seccomp",
          "every action, operator, architecture and flag that is listed is accepted, others are refused")
    def test_architectures(self):
        for arch in self.known["archs"]:
            self.seccomp["architectures"] = [arch]
            self.accepted(arch)
        for arch in ("SCMP_ARCH_VAX", "X86_64", "scmp_arch_x86", ""):
            self.assertNotIn(arch, self.known["archs"])
            self.seccomp["architectures"] = [arch]
            self.refused(arch, "architectures")

    @rule("MUST", "features-linux.md#seccomp",
          "every action, operator, architecture and flag that is listed is accepted, others are refused")
    def test_flags(self):
        self.assertLessEqual(set(self.known["supportedFlags"]), set(self.known["knownFlags"]))
        for flag in self.known["supportedFlags"]:
            if flag == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV":  # goes with a listener
                self.call["action"] = "SCMP_ACT_NOTIFY"
                self.with_agent()
            self.seccomp["flags"] = [flag]
            self.accepted(flag)
        for flag in ("SECCOMP_FILTER_FLAG_FAST", "SECCOMP_FILTER_FLAG_NEW_LISTENER", "TSYNC", ""):
            self.assertNotIn(flag, self.known["knownFlags"])
            self.seccomp["flags"] = [flag]
            self.refused(flag, "flags")


class MemoryPolicy(Features):
    @rule("MUST", "features-linux.md#memory-policy", "every mode and flag that is listed is accepted, others are refused")
    def test_modes_and_flags(self):
        known = self.linux_features.get("memoryPolicy")
        if known is None:
            self.skipTest("features does not tell of memory policies")
        for mode in known["modes"]:
            self.linux["memoryPolicy"] = {"mode": mode, **({} if mode in ("MPOL_DEFAULT", "MPOL_LOCAL") else {"nodes": "0"})}
            if mode == "MPOL_WEIGHTED_INTERLEAVE" and KERNEL < (6, 9):
                self.refused(mode, "set_mempolicy: invalid argument")  # listed is what the runtime knows, not the kernel
            else:
                self.accepted(mode)
        for flag in known["flags"]:
            self.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]}
            self.accepted(flag)
        for mode in ("MPOL_RANDOM", "BIND", "mpol_bind", ""):
            self.linux["memoryPolicy"] = {"mode": mode, "nodes": "0"}
            self.refused(mode, "memoryPolicy")
        for flag in ("MPOL_F_NODE", "STATIC_NODES", ""):
            self.linux["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]}
            self.refused(flag, "memoryPolicy")


class Extensions(Features):
    """What is said to be there without being listed word by word. True means: this build can, on a host that has it."""

    def enabled(self, name):
        return self.linux_features.get(name, {}).get("enabled", False)

    @rule("MUST", "features-linux.md", "what is said not to be there is refused, and the other way round")
    def test_as_they_are_said_to_be(self):
        hosts = {"apparmor": os.path.exists("/sys/kernel/security/apparmor/profiles"),
                 "selinux": os.path.exists("/sys/fs/selinux/enforce"), "intelRdt": os.path.exists("/sys/fs/resctrl/info")}
        for key, (part, name, value) in {"apparmor": ("process", "apparmorProfile", "nucleus-test-none"),
                                         "selinux": ("process", "selinuxLabel", "nucleus_test_none"),
                                         "intelRdt": ("linux", "intelRdt", {"closID": "nucleus-test", "l3CacheSchema": "L3:9=f"}),
                                         "netDevices": ("linux", "netDevices", {"nucleus-none": {}})}.items():
            # Said to be off: refused. Said to be on: refused for the reason that the host, or the name, gives.
            self.config[part][name] = value
            self.refused((key, self.enabled(key), hosts.get(key)), name)
            del self.config[part][name]

    def test_idmap(self):
        mappings = [{"containerID": 0, "hostID": 100000, "size": 1000}]
        (self.directory / "bound").mkdir()
        self.config["mounts"].append({"destination": "/mnt", "type": "bind", "source": str(self.directory / "bound"),
                                      "options": ["bind"], "uidMappings": mappings, "gidMappings": mappings})
        if self.linux_features.get("mountExtensions", {}).get("idmap", {}).get("enabled", False):
            self.accepted("idmap")
        else:
            self.refused("idmap")

    def test_parts_of_resctrl(self):
        for part in ("schemata", "monitoring"):
            self.assertEqual(self.linux_features["intelRdt"][part], True)


if __name__ == "__main__":
    main()
