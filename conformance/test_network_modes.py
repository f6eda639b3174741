"""The cells of the mode table that speak of networks: without a policy nothing gets out, a policy that cannot be enforced is
an error in every mode, and the death of what enforces it ends the container in all modes but agent's."""

import json
import os
import shutil
import signal
import unittest
from pathlib import Path

from harness import NetworkNamespace, main, wait_until
from networks import NETPROBE, NetworkCase
from test_egress import allow
from test_modes import HAS_SWITCH, Mode

POLICY = allow("192.0.2.1/32 tcp/80")
NAMES = '[[allow]]\ndomain = "api.example.com"\nports = ["tcp/80"]\n[dns]\nservers = ["10.53.0.1"]\n'
LISTENERS = "tcp/192.0.2.1/80", "tcp/192.0.2.2/80", "udp/192.0.2.1/53", "udp/192.0.2.1/5000"
STAGES = "create.net-helper create.net-setup net.links net.rules net.outer-rules net.gate net.attach create.net-ready".split()


class Cells(NetworkCase, Mode):
    network = "bridge"

    def mode(self, mode):
        # Before the manifest is made: everything that the tests put into the root.
        shutil.copy(NETPROBE, self.rootfs / "bin" / "netprobe")
        (self.rootfs / "etc").mkdir(exist_ok=True)
        (self.rootfs / "etc" / "resolv.conf").write_text("nameserver 192.0.2.1\n")
        super().mode(mode)

    def setUp(self):
        super().setUp()
        if self.MODE == "production":
            super().mode(self.MODE)

    def resolver(self, records):
        resolv = (self.rootfs / "etc/resolv.conf").read_bytes()
        super().resolver(records)
        (self.rootfs / "etc/resolv.conf").write_bytes(resolv)
        self.mode(self.MODE)

    def left(self):
        return set(self.host.links()) - {"lo", "up0"}, self.host.run("nft", "list", "tables").split("\n")[:-1]

    def test_without_a_policy_everything_is_denied(self):
        server = self.serve(*LISTENERS)
        self.hold_open()
        self.assertEqual(self.tcp("192.0.2.1", 80), "ECONNREFUSED")
        self.assertIn(self.udp("192.0.2.1", 53), ("ECONNREFUSED", "EPERM", "EACCES"))
        self.assertIn(self.udp("192.0.2.1", 5000), ("ECONNREFUSED", "EPERM", "EACCES"))
        self.assertEqual(server.seen(), [])

    def test_with_one_what_it_allows(self):
        server = self.serve(*LISTENERS)
        self.policy(POLICY)
        self.hold_open()
        self.assertEqual(self.tcp("192.0.2.1", 80), "ok")
        self.assertEqual(self.tcp("192.0.2.2", 80), "ECONNREFUSED")
        self.assertIn(self.udp("192.0.2.1", 53), ("ECONNREFUSED", "EPERM", "EACCES"))
        self.assertEqual(len(server.seen()), 1)

    def test_a_policy_without_a_digest(self):
        (self.bundle / "egress.toml").write_text(POLICY)
        self.config["annotations"]["dev.nucleus.policy.egress"] = "egress.toml"
        if self.MODE == "agent":
            self.hold_open()
        else:
            self.assertRefused("dev.nucleus.policy.egress", f"{self.MODE} mode needs a digest")

    @unittest.skipUnless(HAS_SWITCH, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
    def test_one_that_cannot_be_enforced(self):
        """In no mode: egress is never best-effort."""
        self.policy(NAMES)
        self.sh("echo ran")
        for stage in STAGES:
            with self.subTest(stage=stage):
                result = self.run_container(env={**os.environ, "NUCLEUS_FAULT": stage})
                self.assertFails(result, f"injected fault at {stage}")
                self.assertEqual(result.out, "")
                self.assertNothingLeft()
                self.assertEqual(self.left(), (set(), []))

    def test_the_gate_that_dies(self):
        self.resolver({"api.example.com": "11.0.0.1"})
        self.serve("tcp/11.0.0.1/80")
        self.policy(NAMES)
        self.hold_open()
        self.assertEqual(self.net("dns", "127.0.0.53", "api.example.com", 1), "0 11.0.0.1")
        for process in self.gate():
            os.kill(process, signal.SIGKILL)
        if self.MODE == "agent":
            wait_until(lambda: self.net("dns", "127.0.0.53", "api.example.com", 1) == "0 11.0.0.1", "a new gate")
            self.assertEqual(self.tcp("11.0.0.1", 80), "ok")
        else:
            self.wait_stopped()

    def gate(self):
        children = lambda pid: [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        manager = json.loads((self.root / self.id / "state.json").read_text())["network"]["pid"]
        found = [process for gate in children(manager) for process in children(gate)]
        self.assertNotEqual(found, [])
        return found

    def test_links_are_its_own(self):
        self.hold_open()
        self.assertEqual(set(NetworkNamespace.of(self.state()["pid"]).links()), {"lo", "eth0"})


class Agent(Cells):
    MODE = "agent"


class StrictAgent(Cells):
    MODE = "strict-agent"


class Production(Cells):
    MODE = "production"


class WithoutAMode(NetworkCase, Mode):
    """Plain OCI: as listed. A policy that was asked for holds, or nothing runs."""

    network = "bridge"

    def test_without_a_policy_nothing_is_denied(self):
        self.serve(*LISTENERS)
        self.hold_open()
        self.assertEqual(self.tcp("192.0.2.2", 80), "ok")

    @unittest.skipUnless(HAS_SWITCH, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
    def test_one_that_cannot_be_enforced(self):
        self.policy(POLICY)
        self.sh("echo ran")
        result = self.run_container(env={**os.environ, "NUCLEUS_FAULT": "net.rules"})
        self.assertFails(result, "injected fault at net.rules")
        self.assertEqual(result.out, "")
        self.assertNothingLeft()


del Cells
if __name__ == "__main__":
    main()
