"""dev.nucleus.gvisor.network: gVisor's own stack behind a filter on the host's side, and the host's in a prepared namespace."""

import json
import os
import signal
import unittest

from harness import IS_NUCLEUS, NetworkNamespace, children, main, wait_until
from networks import NetworkCase
from test_egress import allow
from test_faults import HAS_SWITCH
from test_gvisor import RUNSC, processes_of
from test_network_modes import STAGES

POLICY = allow("192.0.2.1/32 tcp/80 udp/5000", "198.51.100.0/24")


@unittest.skipUnless(IS_NUCLEUS, "a backend of nucleus")
@unittest.skipUnless(RUNSC, "runsc is not installed")
class GvisorNetwork(NetworkCase):
    stack = "sandbox"

    def setUp(self):
        super().setUp()
        self.config.setdefault("annotations", {}).update(
            {"dev.nucleus.runtime": "gvisor", "dev.nucleus.gvisor.network": self.stack})
        self.config["mounts"] = [mount for mount in self.config["mounts"] if mount["type"] != "mqueue"]

    def assertPolicyHolds(self):
        self.policy(POLICY)
        self.hold_open()
        self.assertIn("gVisor", self.exec("/bin/dmesg").out)
        self.assertEqual(self.tcp("192.0.2.1", 80), "ok")
        self.assertEqual(self.udp("192.0.2.1", 5000), "ok")
        self.assertEqual(self.tcp("198.51.100.1", 1234), "ok")
        self.assertNotEqual(self.tcp("192.0.2.1", 81), "ok")
        self.assertNotEqual(self.tcp("192.0.2.2", 80), "ok")

    def serve_all(self):
        return self.serve("tcp/192.0.2.1/80", "tcp/192.0.2.1/81", "tcp/192.0.2.2/80", "udp/192.0.2.1/5000", "tcp/198.51.100.1/1234")

    def in_user_namespace(self):
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]

    def host_addresses(self):
        return {name: [entry["local"] for entry in link["addr_info"]] for name, link in self.host.links().items()}


class SandboxBridge(GvisorNetwork):
    network = "bridge"

    def test_a_policy_holds_outside_of_the_stack(self):
        server = self.serve_all()
        before = self.host_addresses()
        self.assertPolicyHolds()
        self.assertEqual([line for line in server.seen() if "81" in line], [])
        self.assertOk(self.delete("--force"))
        self.assertEqual(self.host_addresses(), before)
        self.assertEqual(self.host.run("nft", "list", "tables"), "")

    def test_a_mode_without_a_policy_denies_everything(self):
        server = self.serve("tcp/192.0.2.1/80")
        self.config["annotations"]["dev.nucleus.mode"] = "agent"
        self.hold_open()
        self.assertNotEqual(self.tcp("192.0.2.1", 80), "ok")
        self.assertEqual(server.seen(), [])

    def test_names(self):
        """The gate is beside the stack, at the end of a link that leads nowhere else."""
        self.resolver({"a.example": "11.0.0.1", "b.example": "11.0.0.2"})
        server = self.serve("tcp/11.0.0.1/80", "tcp/11.0.0.1/81", "tcp/11.0.0.2/80", "udp/192.0.2.1/53")
        self.policy('[[allow]]\ndomain = "a.example"\nports = ["tcp/80"]\n[dns]\nservers = ["10.53.0.1"]\n')
        self.hold_open()
        self.assertIn("gVisor", self.exec("/bin/dmesg").out)
        self.assertIn("nameserver 169.254.53.1\n", self.exec("/bin/cat", "/etc/resolv.conf").out)
        self.assertNotEqual(self.tcp("11.0.0.1", 80), "ok")
        self.assertEqual(self.net("dns", "169.254.53.1", "a.example", 1), "0 11.0.0.1")
        self.assertEqual(self.tcp("11.0.0.1", 80), "ok")
        self.assertNotEqual(self.tcp("11.0.0.1", 81), "ok")
        # What no rule names is refused (5), and not to be had around the gate.
        self.assertEqual(self.net("dns", "169.254.53.1", "b.example", 1).split()[0], "5")
        self.assertNotEqual(self.tcp("11.0.0.2", 80), "ok")
        self.assertNotEqual(self.udp("192.0.2.1", 53), "ok")
        # Nothing else is at the gate's end of the link.
        self.assertEqual(self.tcp("169.254.53.1", 80), "ECONNREFUSED")
        self.assertEqual(len(server.seen()), 1)
        sandbox = self.state()["pid"]
        self.assertEqual(set(NetworkNamespace.of(sandbox).links()), {"lo", "eth0", "dns0"})
        self.assertOk(self.delete("--force"))
        self.assertEqual(set(self.host.links()) & {"gate0", "dns0"}, set())
        self.assertEqual(self.host.run("nft", "list", "tables"), "")

    def test_names_in_strict_agent(self):
        """Without the gate the container does not go on."""
        self.resolver({"a.example": "11.0.0.1"})
        self.serve("tcp/11.0.0.1/80")
        self.policy('[[allow]]\ndomain = "a.example"\nports = ["tcp/80"]\n[dns]\nservers = ["10.53.0.1"]\n')
        self.in_user_namespace()
        self.config["annotations"]["dev.nucleus.mode"] = "strict-agent"
        # exec would start a process without the filter, which this mode does not allow: the workload itself tells.
        (self.rootfs / "tmp").chmod(0o1777)
        self.sh("netprobe dns 169.254.53.1 a.example 1 >/tmp/answer; netprobe tcp 11.0.0.1 80 >>/tmp/answer; touch /tmp/done; exec sleep 1000")
        self.assertOk(self.create())
        self.assertOk(self.start())
        wait_until(lambda: (self.rootfs / "tmp/done").exists(), "the process")
        self.assertEqual((self.rootfs / "tmp/answer").read_text().split()[:3], ["0", "11.0.0.1", "ok"])
        helper = json.loads((self.root / self.id / "state.json").read_text())["network"]["pid"]
        for gate in children(helper):
            for process in children(gate):
                os.kill(process, signal.SIGKILL)
        self.wait_stopped()

class Faults(GvisorNetwork):
    """Each stage of the network fails, and is the last of its process: an error, and nothing is left."""

    network = "bridge"

    def setUp(self):
        super().setUp()
        if not HAS_SWITCH:
            self.skipTest("this build has no fault switch")
        (self.rootfs / "etc").mkdir(exist_ok=True)
        (self.rootfs / "etc" / "resolv.conf").touch()
        self.policy('[[allow]]\ndomain = "api.example.com"\n[dns]\nservers = ["192.0.2.1"]\n')
        self.process["args"] = ["/bin/sleep", "1000"]

    def assertNothingIsLeft(self):
        self.assertEqual(os.listdir(self.root) if self.root.exists() else [], [])
        wait_until(lambda: not processes_of(str(self.root)), "the end of runsc's processes")
        wait_until(lambda: set(self.host.links()) == {"lo", "up0"}, "no links")
        self.assertEqual(self.host.run("nft", "list", "tables"), "")

    def test_each_stage(self):
        for stage in STAGES:
            with self.subTest(stage=stage):
                self.assertFails(self.create(env={**os.environ, "NUCLEUS_FAULT": stage}), f"injected fault at {stage}")
                self.assertNothingIsLeft()
            with self.subTest(kill=stage):
                self.assertNotEqual(self.create(env={**os.environ, "NUCLEUS_FAULT": f"kill:{stage}"}).status, 0)
                self.runtime("delete", "--force", self.id)
                self.assertNothingIsLeft()


class SandboxOci(GvisorNetwork):
    """In a namespace that somebody else has plugged links into."""

    def test_it_has_the_namespaces_links(self):
        self.serve("tcp/192.0.2.1/80")
        self.hold_open()
        self.assertEqual(self.tcp("192.0.2.1", 80), "ok")
        self.assertOk(self.delete("--force"))

    def test_a_policy_inside_would_be_got_around(self):
        self.policy(POLICY)
        self.assertFails(self.create(), "gets around rules inside of its namespace")
        self.assertEqual(self.netns.run("nft", "list", "tables"), "")

    def test_a_mode_without_a_policy_does_not_start_with_a_link(self):
        self.config["annotations"]["dev.nucleus.mode"] = "agent"
        self.process["args"] = ["/bin/true"]
        self.assertOk(self.create())
        self.assertFails(self.start(), "eth0")

    def test_the_hosts_namespace_is_not_touched_by_whatever_path(self):
        """The "host" of this test is a network namespace: the one that the runtime is called in."""
        before = self.host_addresses()
        for path in (str(self.host.path), "/proc/self/ns/net"):
            for namespace in self.linux["namespaces"]:
                if namespace["type"] == "network":
                    namespace["path"] = path
            with self.subTest(path=path):
                self.assertFails(self.create(), "is the host's network namespace")
                self.assertNothingLeft()
        self.assertEqual(self.host_addresses(), before)
        self.assertEqual(self.host.run("nft", "list", "tables"), "")


class HostOci(GvisorNetwork):
    """Sockets of the host's kernel, in the prepared namespace: its rules hold."""

    stack = "host"

    def test_a_policy_holds(self):
        server = self.serve_all()
        self.assertPolicyHolds()
        self.assertEqual(self.tcp("192.0.2.1", 81), "ECONNREFUSED")
        self.assertEqual([line for line in server.seen() if "81" in line], [])
        self.assertOk(self.delete("--force"))
        self.assertEqual(self.netns.run("nft", "list", "tables"), "")

    def test_a_policy_never_goes_into_the_hosts_namespace(self):
        self.policy(POLICY)
        for path in (str(self.host.path), "/proc/self/ns/net"):
            for namespace in self.linux["namespaces"]:
                if namespace["type"] == "network":
                    namespace["path"] = path
            with self.subTest(path=path):
                self.assertFails(self.create(), "host's network namespace")
                self.assertNothingLeft()
        self.assertEqual(self.host.run("nft", "list", "tables"), "")

    def test_strict_agent_has_no_host_network(self):
        self.config["annotations"]["dev.nucleus.mode"] = "strict-agent"
        self.in_user_namespace()  # which the mode demands, and in which this runsc makes no sandbox with that network
        for namespace in self.linux["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = str(self.host.path)
        self.assertFails(self.create(), "dev.nucleus.gvisor.network: host", "user namespace")
        self.config["annotations"]["dev.nucleus.gvisor.network"] = "none"
        self.assertFails(self.create(), "is the host's net namespace, which strict-agent mode forbids")


    def test_none_in_a_user_namespace(self):
        """runsc by itself ends with a word about its mounts."""
        self.in_user_namespace()
        self.assertFails(self.create(), "dev.nucleus.gvisor.network: host", "user namespace")
        self.assertNothingLeft()


class HostBridge(GvisorNetwork):
    network = "bridge"
    stack = "host"

    def test_names(self):
        self.resolver({"a.example": "11.0.0.1", "b.example": "11.0.0.2"})
        self.serve("tcp/11.0.0.1/80", "tcp/11.0.0.2/80")
        self.policy('[[allow]]\ndomain = "a.example"\nports = ["tcp/80"]\n[dns]\nservers = ["10.53.0.1"]\n')
        self.hold_open()
        self.assertEqual(self.tcp("11.0.0.1", 80), "ECONNREFUSED")
        self.assertIn("11.0.0.1", self.exec("/bin/nslookup", "a.example").out)
        self.assertEqual(self.tcp("11.0.0.1", 80), "ok")
        self.assertNotIn("11.0.0.2", self.exec("/bin/nslookup", "b.example").out)
        self.assertEqual(self.tcp("11.0.0.2", 80), "ECONNREFUSED")


if __name__ == "__main__":
    main()
