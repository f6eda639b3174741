"""The mode table for containers that gVisor carries: what each mode adds and demands, and for every stage that such a container
comes through what its failure means: an error with nothing left, or (agent mode, in its cells) a start that the state records."""

import os
import unittest

import callers
from harness import IS_NUCLEUS, NetworkNamespace, main, wait_until
from networks import NetworkCase
from test_gvisor import RUNSC
from test_modes import HAS_SWITCH, Demands, Mode, pin, status_of
from test_network_modes import NAMES

NEEDS_SWITCH = unittest.skipUnless(HAS_SWITCH, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
NETWORK = "create.net-helper create.net-setup net.links net.rules net.outer-rules net.gate net.attach create.net-ready".split()


@unittest.skipUnless(IS_NUCLEUS, "a backend of nucleus")
@unittest.skipUnless(RUNSC, "runsc is not installed")
class GvisorMode(Mode):
    def setUp(self):
        self.addCleanup(self._check_no_runsc)
        super().setUp()
        self.config["annotations"]["dev.nucleus.runtime"] = "gvisor"

    def _check_no_runsc(self):
        wait_until(lambda: not [pid for pid, line in callers.processes_naming(str(self.root)) if "python" not in line],
                   "the end of runsc's processes")

    def fault(self, stage):
        return {**os.environ, "NUCLEUS_FAULT": stage}


class Defaults:
    def test_process(self):
        self.add_capabilities("CAP_SYS_ADMIN", "CAP_CHOWN")
        self.process["args"] = ["/bin/sh", "-c", "cat /proc/self/status; echo \"pid:\t$$\""]
        status = status_of(self.output())
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd"):
            self.assertEqual(int(status[name], 16), 0, name)
        self.assertEqual(status["Seccomp"], "2")

    def test_built_in_filter(self):
        # keyctl, unshare(CLONE_NEWUSER): not in the profile.
        for number in ("250", "272"):
            self.assertEqual(self.probe("syscall", number)["errno"], "EPERM")

    def test_what_a_mode_adds_is_no_difference(self):
        """Landlock that follows from the mounts, hidden paths of /proc, an init: gVisor has its own ways."""
        self.running()
        self.assertEqual(self.degradations(), {})
        evidence = self.state()["annotations"]
        self.assertEqual(evidence["dev.nucleus.enforced.gvisor.sandbox.seccomp.mode"], "2")
        self.assertIn("tcp", evidence["dev.nucleus.enforced.gvisor.host.landlock"])
        self.assertOk(self.delete("--force"))

    def test_files_are_as_the_bundle_says(self):
        self.assertEqual(self.output("(echo x > /etc/x) 2>/dev/null; echo y > /tmp/y; cat /tmp/y"), "y\n")
        self.assertFalse((self.rootfs / "etc/x").exists())


class GvisorDemands(Demands):
    def test_namespaces_of_the_host(self):
        self.linux["namespaces"].append({"type": "ipc", "path": "/proc/self/ns/ipc"})
        if self.MODE == "agent":
            self.running()
            self.assertIn("gvisor.namespaces", self.degradations())
        else:
            self.assertRefused("linux.namespaces", "joins none")

    def test_capabilities_that_gvisor_has_not(self):
        for name in ("CAP_BPF", "CAP_PERFMON", "CAP_CHECKPOINT_RESTORE"):
            with self.subTest(name=name):
                self.add_capabilities(name)
                self.config["annotations"]["dev.nucleus.policy.capabilities"] = pin(self.bundle / "caps.toml", f'keep = ["{name}"]\n')
                if self.MODE == "agent":
                    self.assertOk(self.create())
                    self.assertIn("gvisor.capabilities", self.degradations())
                    self.assertOk(self.delete("--force"))
                else:
                    self.assertRefused(name)

    def test_a_umask_and_ambient_capabilities(self):
        def umask():
            self.process["user"]["umask"] = 0o77

        def ambient():
            self.process["user"].pop("umask")
            self.add_capabilities("CAP_KILL", sets=("bounding", "permitted", "effective", "inheritable", "ambient"))
            self.config["annotations"]["dev.nucleus.policy.capabilities"] = pin(self.bundle / "caps.toml", 'keep = ["CAP_KILL"]\n')

        for stage, change in (("umask", umask), ("ambient", ambient)):
            with self.subTest(stage=stage):
                change()
                if self.MODE == "agent":
                    self.assertOk(self.create())
                    self.assertIn(f"gvisor.{stage}", self.degradations())
                    self.assertOk(self.delete("--force"))
                else:
                    self.assertRefused(stage)

    def test_capabilities_that_production_refuses(self):
        if self.MODE != "production":
            self.skipTest("the others take them, and a sandbox of each would be all that differs")
        super().test_capabilities_that_production_refuses()

    def test_links(self):
        self.skipTest("linux.netDevices is refused with gVisor in every mode but agent: test_gvisor.py")

    def test_link_that_somebody_else_brings(self):
        self.skipTest("with dev.nucleus.gvisor.network none no link leads into the sandbox: test_gvisor_network.py has the others")

    def test_processes_of_others_are_hidden(self):
        self.skipTest("gVisor's procfs shows the container's processes alone")

    def test_network_of_the_host(self):
        self.linux["namespaces"].append({"type": "network", "path": "/proc/self/ns/net"})
        if self.MODE == "agent":
            self.assertEqual(self.output("ls /sys/class/net"), "lo\n")
        else:
            self.assertRefused("is the host's net namespace")

    def test_trace(self):
        self.config["annotations"]["dev.nucleus.seccomp.trace"] = str(self.directory / "trace")
        if self.MODE == "agent":
            created = self.create()
            self.assertOk(created)
            self.assertIn("gvisor.seccomp-trace is not in force", created.err)
        else:
            self.assertRefused("dev.nucleus.seccomp.trace", f"not in {self.MODE} mode")


class Cells:
    """Stages, and what stands in the state where agent mode goes on. None: an error in every mode."""

    CREATE = {"create.rootfs-verify": None, "create.state-dir": None, "create.config-copy": None, "create.cgroup-make": None,
              "create.cgroup-limits": "cgroup", "create.seccomp-compile": "gvisor.host-seccomp", "create.clone": None,
              "child.landlock": "gvisor.host-landlock", "child.seccomp": "gvisor.host-seccomp", "create.runtime-hooks": None,
              "create.save-state": None, "create.pid-file": None}
    START = {"start.connect": None, "create.seccomp-compile": "gvisor.host-seccomp", "child.landlock": "gvisor.host-landlock",
             "child.seccomp": "gvisor.host-seccomp", "start.save-state": None}

    def stages(self, stages):
        for stage, degraded in stages.items():
            if stage == "create.rootfs-verify" and self.MODE != "production":
                continue  # there is nothing to be verified
            with self.subTest(stage=stage):
                yield stage, degraded if self.MODE == "agent" else None

    def test_create(self):
        for stage, degraded in self.stages(self.CREATE):
            self.sh("exec sleep 1000")
            result = self.create(env=self.fault(stage))
            if degraded:
                self.assertOk(result)
                self.assertIn(f"{degraded} is not in force", result.err)
                self.assertEqual(list(self.degradations()), [degraded])
                self.assertOk(self.delete("--force"))
            else:
                self.assertFails(result, f"injected fault at {stage}")
                self.assertNothingLeft()

    def test_start(self):
        for stage, degraded in self.stages(self.START):
            self.sh("exec sleep 1000")
            self.assertOk(self.create())
            result = self.runtime("start", self.id, env=self.fault(stage))
            if degraded:
                self.assertOk(result)
                self.assertEqual(self.status(), "running")
                self.assertEqual(list(self.degradations()), [degraded])
                self.assertOk(self.delete("--force"))
            else:
                self.assertFails(result, f"injected fault at {stage}")
                self.assertOk(self.delete("--force"))
                self.assertNothingLeft()

    def test_run(self):
        stages = {**{stage: None for stage in self.START}, **self.CREATE}
        del stages["start.connect"]  # runsc makes and starts it at once
        for stage, degraded in self.stages(stages):
            self.sh("echo ran")
            result = self.run_container(env=self.fault(stage))
            if degraded:
                self.assertEqual((result.status, result.out), (0, "ran\n"), result)
            else:
                self.assertFails(result, f"injected fault at {stage}")
            self.assertNothingLeft()


class Agent(Defaults, GvisorMode):
    MODE = "agent"


class StrictAgent(Defaults, GvisorMode):
    MODE = "strict-agent"


class Production(Defaults, GvisorMode):
    MODE = "production"


class AgentDemands(GvisorDemands, GvisorMode):
    MODE = "agent"


class StrictAgentDemands(GvisorDemands, GvisorMode):
    MODE = "strict-agent"


class ProductionDemands(GvisorDemands, GvisorMode):
    MODE = "production"


@NEEDS_SWITCH
class AgentCells(Cells, GvisorMode):
    MODE = "agent"


@NEEDS_SWITCH
class StrictAgentCells(Cells, GvisorMode):
    MODE = "strict-agent"


@NEEDS_SWITCH
class ProductionCells(Cells, GvisorMode):
    MODE = "production"


@NEEDS_SWITCH
class PlainCells(Cells, GvisorMode):
    MODE = None


class NetworkCells(NetworkCase, GvisorMode):
    """An egress policy that cannot be enforced is an error in every mode, and nothing ran."""

    network = "bridge"

    def setUp(self):
        super().setUp()
        self.config["annotations"]["dev.nucleus.gvisor.network"] = "sandbox"

    def test_a_policy_that_cannot_be_enforced(self):
        self.policy(NAMES)
        self.sh("echo ran")
        for stage in NETWORK:
            with self.subTest(stage=stage):
                result = self.run_container(env=self.fault(stage))
                self.assertFails(result, f"injected fault at {stage}")
                self.assertEqual(result.out, "")
                self.assertNothingLeft()
                self.assertEqual((set(self.host.links()) - {"lo", "up0"}, self.host.run("nft", "list", "tables")), (set(), ""))


@NEEDS_SWITCH
class AgentNetwork(NetworkCells):
    MODE = "agent"


@NEEDS_SWITCH
class StrictAgentNetwork(NetworkCells):
    MODE = "strict-agent"


del NetworkCells
if __name__ == "__main__":
    main()
