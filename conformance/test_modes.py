"""dev.nucleus.mode: what each mode adds, what it demands, and for every stage of the table what its failure means: an
error with nothing left, or (agent mode, in its five cells) a start that the state records."""

import contextlib
import hashlib
import json
import os
import pathlib
import unittest

from harness import IS_NUCLEUS, RUNTIME, Case, NetworkNamespace, command, main

STAGES = command([RUNTIME, "list"], env={**os.environ, "NUCLEUS_FAULT": "list"}).out.split()
HAS_SWITCH = "create.clone" in STAGES
NAMESPACES = "cgroup", "ipc", "mount", "network", "pid", "time", "uts"
FILES = {"mount": "mnt", "network": "net"}
MASKED = "/proc/keys", "/proc/timer_list"
REFUSED_IN_PRODUCTION = """CAP_SYS_ADMIN CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_PTRACE CAP_NET_ADMIN CAP_NET_RAW CAP_BPF
    CAP_PERFMON CAP_DAC_READ_SEARCH CAP_MKNOD CAP_SYS_BOOT CAP_MAC_ADMIN CAP_MAC_OVERRIDE CAP_SETPCAP""".split()


def pin(path, text):
    path.write_text(text)
    return f"{path.name}@sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def read_limit(cgroups, name):
    for cgroup in cgroups:
        with contextlib.suppress(OSError):
            return pathlib.Path(cgroup["path"], name).read_text().strip()
    return None


def status_of(text):
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


@unittest.skipUnless(IS_NUCLEUS, "annotations of nucleus")
class Mode(Case):
    """A bundle that every mode accepts: what a mode adds is not listed, what it demands is there."""

    MODE = None

    def setUp(self):
        super().setUp()
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        self.config["annotations"] = {}
        self.linux["namespaces"] = [{"type": "mount"}]
        self.linux.pop("maskedPaths", None)
        self.linux.pop("readonlyPaths", None)
        self.config.pop("hostname", None)
        self.process["noNewPrivileges"] = False
        self.process["terminal"] = False
        self.config["root"]["readonly"] = True
        self.config["mounts"] = [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "noexec", "mode=755"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "noexec"]}]
        self.linux["resources"] = {"memory": {"limit": 256 << 20}, "pids": {"limit": 100}}
        if self.MODE:
            self.mode(self.MODE)

    def mode(self, mode):
        self.takes_mode(mode)
        self.config["annotations"]["dev.nucleus.mode"] = mode
        if mode != "agent":
            self.user_namespace()
        if mode == "production":
            manifest = self.bundle / "rootfs.manifest"
            self.assertOk(command([RUNTIME, "attest", "create", "-o", manifest, self.rootfs]))
            self.config["annotations"]["dev.nucleus.rootfs.manifest"] = pin(manifest, manifest.read_text())

    def user_namespace(self):
        if not any(entry["type"] == "user" for entry in self.linux["namespaces"]):
            self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]

    def degradations(self):
        state = json.loads((self.root / self.id / "state.json").read_text())
        return {entry["stage"]: entry["reason"] for entry in state.get("degradations", [])}


class Defaults:
    def test_namespaces(self):
        pid = self.running()
        for name in (*NAMESPACES, *(["user"] if self.MODE != "agent" else [])):
            file = FILES.get(name, name)
            self.assertNotEqual(os.readlink(f"/proc/{pid}/ns/{file}"), os.readlink(f"/proc/self/ns/{file}"), name)

    def test_process_and_exec_are_confined_alike(self):
        self.add_capabilities("CAP_SYS_ADMIN", "CAP_CHOWN")
        pid = self.running()
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            init = status_of(file.read())
        result = self.exec("/bin/cat", "/proc/self/status", flags=("--cap", "CAP_SYS_ADMIN"))
        self.assertOk(result)
        for status in (init, status_of(result.out)):
            for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
                self.assertEqual(int(status[name], 16), 0, name)
            self.assertEqual(status["NoNewPrivs"], "1")
            self.assertEqual(status["Seccomp"], "2")
        self.assertEqual(self.degradations(), {})

    def test_built_in_filter(self):
        # unshare(CLONE_NEWUSER) and keyctl: not in the profile.
        self.running()
        self.assertEqual(self.exec_probe("syscall", "272")["errno"], "EPERM")
        self.assertEqual(self.exec_probe("syscall", "250")["errno"], "EPERM")

    def test_a_policy_in_the_filters_place(self):
        text = json.dumps({"defaultAction": "SCMP_ACT_ALLOW",
                           "syscalls": [{"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 71}]})
        self.config["annotations"]["dev.nucleus.policy.seccomp"] = pin(self.bundle / "seccomp.json", text)
        self.running()
        self.assertEqual(self.exec_probe("syscall", "121")["errno"], "EPROTO")
        self.assertNotEqual(self.exec_probe("syscall", "250")["errno"], "EPERM")

    def test_derived_landlock(self):
        self.running("echo a > /tmp/a && exec sleep 1000")
        self.assertOk(self.exec("/bin/sh", "-c", "echo b >> /tmp/a && cat /tmp/a && echo c > /dev/null && mkdir /tmp/d"))
        # Landlock forbids every change of mounts, whatever the capabilities are; without it this is EPERM as well,
        # so it is looked for where it shows: no file can be made below a read-only mount's place in the root.
        self.assertNotIn("landlock", self.degradations())
        self.assertFails(self.exec("/bin/sh", "-c", "echo x > /etc/new"), status=1)

    def test_default_paths(self):
        self.running()
        for path in MASKED:
            self.assertEqual(self.exec("/bin/cat", path).out, "", path)
        result = self.exec("/bin/sh", "-c", "echo 1 > /proc/sys/kernel/domainname")
        self.assertNotEqual(result.status, 0)

    def test_listed_paths_stay(self):
        self.linux["maskedPaths"] = ["/proc/version"]
        self.running()
        for path in ("/proc/version", *MASKED):
            self.assertEqual(self.exec("/bin/cat", path).out, "", path)

    def test_process_1_is_an_init(self):
        shown = self.output("echo $$; cat /proc/1/cmdline; echo; echo $(cat /proc/$$/cmdline); :").splitlines()
        self.assertEqual(shown[0], "2")
        self.assertNotIn("echo", shown[1])
        self.assertIn("echo", shown[2])

    def test_the_bundle_may_say_otherwise(self):
        self.config["annotations"]["dev.nucleus.init"] = "off"
        self.assertEqual(self.output("echo $$"), "1\n")


class Demands:
    def test_user_namespace(self):
        self.linux["namespaces"] = [{"type": "mount"}]
        self.linux.pop("uidMappings", None)
        self.linux.pop("gidMappings", None)
        if self.MODE == "agent":
            self.running()
        else:
            self.assertRefused("linux.namespaces", f"{self.MODE} mode needs a user namespace")

    def test_namespaces_of_the_host(self):
        self.linux["namespaces"].append({"type": "ipc", "path": "/proc/self/ns/ipc"})
        if self.MODE == "agent":
            self.running()
        else:
            self.assertRefused("linux.namespaces", "/proc/self/ns/ipc is the host's ipc namespace")

    def test_network_of_the_host(self):
        self.linux["namespaces"].append({"type": "network", "path": "/proc/self/ns/net"})
        if self.MODE == "agent":
            # As listed; but without an egress policy all is denied, and in the host's network that cannot be.
            self.assertOk(self.create())
            self.assertFails(self.start(), "egress", "has the link")
        else:
            self.assertRefused("is the host's net namespace")

    def test_digests(self):
        (self.bundle / "caps.toml").write_text("keep = []\n")
        self.config["annotations"]["dev.nucleus.policy.capabilities"] = "caps.toml"
        if self.MODE == "agent":
            self.running()
        else:
            self.assertRefused("dev.nucleus.policy.capabilities", f"{self.MODE} mode needs a digest")

    def test_trace(self):
        if self.MODE == "agent":
            self.skipTest("agent mode may be traced")
        self.config["annotations"]["dev.nucleus.seccomp.trace"] = str(self.directory / "trace")
        self.assertRefused("dev.nucleus.seccomp.trace", f"not in {self.MODE} mode")
        del self.config["annotations"]["dev.nucleus.seccomp.trace"]
        self.assertFails(self.create("--seccomp-trace", self.directory / "trace"), f"is not for {self.MODE} mode")
        self.assertNothingLeft()

    def test_limits(self):
        for name in ("memory", "pids"):
            kept = self.linux["resources"].pop(name)
            if self.MODE == "production":
                self.assertRefused(f"linux.resources.{name}.limit")
            else:
                self.running()
                self.delete("--force")
            self.linux["resources"][name] = kept

    def test_root(self):
        self.config["root"]["readonly"] = False
        if self.MODE == "production":
            self.assertRefused("root.readonly")
        else:
            self.running("echo x > /tmp/x && exec sleep 1000")

    def test_manifest(self):
        self.config["annotations"].pop("dev.nucleus.rootfs.manifest", None)
        if self.MODE == "production":
            self.assertRefused("dev.nucleus.rootfs.manifest")
        else:
            self.running()

    def test_writable_and_executable(self):
        self.config["mounts"][2]["options"].remove("noexec")
        if self.MODE == "production":
            self.assertRefused("mounts[2]", "noexec")
        else:
            self.running()

    def test_processes_of_others_are_hidden(self):
        self.running()
        result = self.exec("/bin/cat", "/proc/self/mountinfo")
        proc = [line for line in result.out.splitlines() if line.split()[4] == "/proc"]
        if self.MODE == "production":
            self.assertRegex(proc[0], "hidepid=(2|invisible)")
        else:
            self.assertNotIn("hidepid", proc[0])

    def test_capabilities_that_production_refuses(self):
        for name in REFUSED_IN_PRODUCTION:
            with self.subTest(name=name):
                self.add_capabilities(name)
                self.config["annotations"]["dev.nucleus.policy.capabilities"] = pin(self.bundle / "caps.toml",
                                                                                    f'keep = ["{name}"]\n')
                if self.MODE == "production":
                    self.assertRefused("caps.toml", name)
                else:
                    self.assertOk(self.create())
                    self.assertOk(self.delete("--force"))

    def test_links(self):
        host = NetworkNamespace(self)
        del host
        self.linux["netDevices"] = {"nt0": {}}
        self.assertRefused("linux.netDevices", "denies all")

    def test_link_that_somebody_else_brings(self):
        # As a network plugin does between create and start.
        self.assertOk(self.create())
        pid = self.state()["pid"]
        self.assertOk(command(["ip", "link", "add", "nt1", "type", "veth", "peer", "name", "nt2", "netns", str(pid)]))
        self.assertFails(self.start(), "egress", "the network namespace has the link nt2")


class Cells:
    """The table of policies/mode.h: a stage that fails, in each mode. CREATE fails in create, START in start."""

    CREATE = {"child.namespaces": None, "create.cgroup-make": "cgroup", "create.cgroup-limits": "cgroup",
              "create.seccomp-compile": "seccomp", "child.landlock": "landlock", "child.masks": "masked-paths",
              "child.readonly": "masked-paths", "child.audit": "mount-audit", "child.confine": None, "child.root": None,
              "child.mounts": None, "create.id-maps": None}
    START = {"child.landlock-enter": "landlock", "child.seccomp": "seccomp", "child.uplinks": None}

    def fault(self, stage):
        return {**os.environ, "NUCLEUS_FAULT": stage}

    def test_create(self):
        for stage, degraded in self.CREATE.items():
            with self.subTest(stage=stage):
                if stage == "create.id-maps" and self.MODE == "agent":
                    self.user_namespace()
                self.sh("exec sleep 1000")
                result = self.create(env=self.fault(stage))
                if self.MODE == "agent" and degraded:
                    self.assertOk(result)
                    self.assertIn(f"{degraded} is not in force", result.err)
                    self.assertOk(self.start())
                    # What is not masked, the audit misses as well.
                    too = ["mount-audit"] if degraded == "masked-paths" else []
                    self.assertEqual(list(self.degradations()), [degraded, *too])
                    self.assertOk(self.exec("/bin/true"))
                    self.assertOk(self.delete("--force"))
                else:
                    self.assertFails(result, "injected" if "injected" in result.err else "input/output error")
                    self.assertNothingLeft()

    def test_start(self):
        for stage, degraded in self.START.items():
            with self.subTest(stage=stage):
                self.sh("exec sleep 1000")
                self.assertOk(self.create(env=self.fault(stage)))
                result = self.start()
                if self.MODE == "agent" and degraded:
                    self.assertOk(result)
                    self.assertEqual(self.status(), "running")
                    self.assertEqual(list(self.degradations()), [degraded])
                    self.assertOk(self.delete("--force"))
                else:
                    self.assertFails(result, "input/output error")
                    self.assertEqual(self.status(), "stopped")
                    self.assertOk(self.delete())
                    self.assertNothingLeft()

    def test_run(self):
        for stage, degraded in {**self.CREATE, **self.START}.items():
            with self.subTest(stage=stage):
                if stage == "create.id-maps" and self.MODE == "agent":
                    self.user_namespace()
                self.sh("echo ran")
                result = self.run_container(env=self.fault(stage))
                if self.MODE == "agent" and degraded:
                    self.assertEqual((result.status, result.out), (0, "ran\n"), result)
                else:
                    self.assertEqual(result.out, "")
                    self.assertFails(result, "input/output error")
                self.assertNothingLeft()


class Plain(Mode):
    def test_bundles_without_a_mode_stay_as_they_are(self):
        self.running()
        self.assertEqual(self.exec("/bin/sh", "-c", "grep Seccomp: /proc/self/status").out.split()[-1], "0")


class AgentDefaults(Defaults, Mode):
    MODE = "agent"


class StrictAgentDefaults(Defaults, Mode):
    MODE = "strict-agent"


class ProductionDefaults(Defaults, Mode):
    MODE = "production"


class Updates(Mode):
    def limits(self):
        state = json.loads((self.root / self.id / "state.json").read_text())
        return {name: read_limit(state["cgroups"], name) for name in ("memory.max", "memory.limit_in_bytes", "pids.max")}

    def test_production_keeps_its_limits(self):
        self.mode("production")
        self.running()
        before = self.limits()
        for flags, name in ((["--memory", "-1"], "memory.limit"), (["--pids-limit", "-1"], "pids.limit")):
            self.assertFails(self.runtime("update", *flags, self.id), f"linux.resources.{name}: production mode")
        lifting = self.directory / "lifting.json"
        for resources in ({"memory": {"limit": -1}}, {"pids": {"limit": -1}}, {"unified": {"pids.max": "max"}}):
            lifting.write_text(json.dumps(resources))
            self.assertFails(self.runtime("update", "--resources", lifting, self.id), "production mode needs a limit")
        self.assertEqual(self.limits(), before)
        self.assertOk(self.runtime("update", "--pids-limit", "50", self.id))
        self.assertEqual(self.limits()["pids.max"], "50")

    def test_other_modes_may_lift_them(self):
        self.mode("strict-agent")
        self.running()
        self.assertOk(self.runtime("update", "--pids-limit", "-1", self.id))
        self.assertEqual(self.limits()["pids.max"], "max")


class AgentDemands(Demands, Mode):
    MODE = "agent"


class StrictAgentDemands(Demands, Mode):
    MODE = "strict-agent"


class ProductionDemands(Demands, Mode):
    MODE = "production"


NEEDS_SWITCH = unittest.skipUnless(HAS_SWITCH, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")


@NEEDS_SWITCH
class AgentCells(Cells, Mode):
    MODE = "agent"


@NEEDS_SWITCH
class StrictAgentCells(Cells, Mode):
    MODE = "strict-agent"


@NEEDS_SWITCH
class ProductionCells(Cells, Mode):
    MODE = "production"


if __name__ == "__main__":
    main()
