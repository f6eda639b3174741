"""Egress policies: what a container may connect to, and that it can get nowhere else (docs/egress.md).

Real packets, to servers in namespaces of the test's own.
"""

import hashlib
import json
import os
import pathlib
import signal
import subprocess
import time

from harness import BUSYBOX, RUNTIME, command, is_alive, main, wait_until
from networks import NetworkCase

ALLOW = """
log = true
[[allow]]
cidr = "192.0.2.1/32"
ports = ["tcp/80", "udp/5000-5001"]
[[allow]]
cidr = "2001:db8:1::1/128"
ports = ["tcp/80"]
[[allow]]
cidr = "198.51.100.0/24"
[[deny]]
cidr = "198.51.100.128/25"
"""
REFUSED_UDP = ("EACCES", "EPERM", "EHOSTUNREACH", "ECONNREFUSED")


def allow(*rules):
    """Of "cidr ports", as TOML."""
    text = ""
    for rule in rules:
        cidr, _, ports = rule.partition(" ")
        text += f'[[allow]]\ncidr = "{cidr}"\n'
        if ports:
            text += f"ports = {json.dumps(ports.split())}\n"
    return text


class EgressCase(NetworkCase):
    def egress(self, *args):
        result = self.runtime("egress", self.id, *args)
        self.assertOk(result)
        return result.out

    def facts(self):
        return json.loads(self.egress("--json"))

    def counters(self, where="inside of the container"):
        table = next(t for t in self.facts()["tables"] if t["where"] == where)
        return {name: counter["packets"] for name, counter in table["counters"].items()}

    def replace(self, text, *, name="next.toml"):
        path = self.bundle / name
        path.write_text(text)
        return self.runtime("egress", self.id, "--policy",
                            f"{path}@sha256:{hashlib.sha256(text.encode()).hexdigest()}")

    def manager(self):
        return json.loads((pathlib.Path(self.root) / self.id / "state.json").read_text())["network"]["pid"]


class Rules(EgressCase):
    def test_a_policy_of_too_many_ranges_is_told_as_such(self):
        """Only nucleus-net counts them; what it says is what create says."""
        ports = [f"tcp/{port}" for port in range(1000, 1200, 2)]
        self.policy(allow(*(f"10.0.{n // 100}.{n % 100 * 2}/32 {' '.join(ports)}" for n in range(660))))
        self.assertFails(self.create(), "more than 65536 ranges of addresses and ports")
        self.assertNothingLeft()

    def test_what_is_allowed_connects_and_nothing_else(self):
        self.serve("tcp/192.0.2.1/80", "tcp/192.0.2.1/81", "tcp/192.0.2.2/80", "udp/192.0.2.1/5000", "udp/192.0.2.1/5002",
                   "tcp/198.51.100.1/7777", "tcp/2001:db8:1::1/80", "tcp/2001:db8:1::2/80", "udp/198.51.100.1/53")
        self.policy(ALLOW)
        self.hold_open()
        self.assertEqual(self.tcp("192.0.2.1", 80), "ok")
        self.assertEqual(self.udp("192.0.2.1", 5000), "ok")
        self.assertEqual(self.tcp("198.51.100.1", 7777), "ok")
        self.assertEqual(self.udp("198.51.100.1", 53), "ok")
        self.assertEqual(self.tcp("2001:db8:1::1", 80), "ok")
        self.assertEqual(self.tcp("192.0.2.1", 81), "ECONNREFUSED")
        self.assertEqual(self.tcp("192.0.2.2", 80), "ECONNREFUSED")
        self.assertEqual(self.tcp("2001:db8:1::2", 80), "ECONNREFUSED")
        self.assertIn(self.udp("192.0.2.1", 5002), REFUSED_UDP)
        self.assertEqual(self.tcp("198.51.100.129", 80), "ECONNREFUSED")

    def test_an_empty_policy_denies_everything(self):
        server = self.serve("tcp/192.0.2.1/80", "udp/192.0.2.1/53")
        self.policy("")
        self.hold_open()
        self.assertEqual(self.tcp("192.0.2.1", 80), "ECONNREFUSED")
        self.assertIn(self.udp("192.0.2.1", 53), REFUSED_UDP)
        self.assertEqual(server.seen(), [])

    def test_loopback_is_the_containers_own(self):
        self.policy("")
        self.hold_open()
        listener = subprocess.Popen(self.host.enter() + [RUNTIME, "--root", self.root, "exec", self.id, "/bin/netprobe",
                                                         "listen", "7000"], stdout=subprocess.PIPE, text=True)
        wait_until(lambda: self.tcp("127.0.0.1", 7000) == "ok" or self.tcp("::1", 7000) == "ok", "the listener")
        self.assertEqual(listener.communicate(timeout=30)[0], "ok\n")

    def test_inbound_is_what_the_policy_says(self):
        for port, expected in (("7000", b"inside\n"), ("7001", None)):
            with self.subTest(port=port):
                self.policy('inbound = ["tcp/7000"]\n')
                self.hold_open()
                listener = subprocess.Popen(self.host.enter() + [RUNTIME, "--root", self.root, "exec", self.id,
                                                                 "/bin/netprobe", "listen", port])
                wait_until(lambda: f":{int(port):04X} " in self.exec("/bin/cat", "/proc/net/tcp6").out, "the listener")
                result = subprocess.run(self.outside.enter() + [BUSYBOX, "nc", "-w", "2", "192.0.2.100", port],
                                        stdin=subprocess.DEVNULL, capture_output=True, check=False)
                self.assertEqual(result.stdout or None, expected)
                self.assertOk(self.delete("--force"))
                listener.wait()

    def test_table_goes_with_the_container(self):
        self.policy(ALLOW)
        self.hold_open()
        self.assertEqual(self.tables(), ["nucleus"])
        self.assertOk(self.delete("--force"))
        self.assertEqual(self.tables(self.netns), [])

    def test_nothing_of_it_stays_of_a_create_that_fails(self):
        """The namespace outlives the container. The init fails while the rules are loaded beside it, or is killed."""
        if "create.net-ready" not in command([RUNTIME, "list"], env={**os.environ, "NUCLEUS_FAULT": "list"}).out.split():
            self.skipTest("this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
        self.policy(ALLOW)
        self.process["args"] = ["/bin/sleep", "1000"]
        for stage in ("child.namespaces", "child.mounts", "child.confine", "create.net-ready", "create.save-state"):
            with self.subTest(stage=stage):
                self.assertFails(self.create(env={**os.environ, "NUCLEUS_FAULT": stage}), f"injected fault at {stage}")
                self.assertNothingLeft()
                self.assertEqual(self.tables(self.netns), [])
            with self.subTest(killed=stage):
                self.assertNotEqual(self.create(env={**os.environ, "NUCLEUS_FAULT": f"kill:{stage}"}).status, 0)
                self.runtime("delete", "--force", self.id)
                wait_until(lambda: self.tables(self.netns) == [], "the rules' end")
                self.assertNothingLeft()

    def test_a_namespace_has_one_policy(self):
        self.policy(ALLOW)
        self.hold_open()
        first = self.id
        self.id = first + "-b"
        self.ids.add(self.id)
        self.linux["cgroupsPath"] += "-b"
        self.assertFails(self.create(), "has the rules of another container already: file exists")
        self.id = first
        self.assertEqual(self.tables(), ["nucleus"])

    def test_rules_are_there_before_a_hook_can_make_a_link(self):
        """Of a namespace that the runtime makes: hooks of the kind that plug interfaces in find them loaded."""
        for namespace in self.linux["namespaces"]:
            namespace.pop("path", None)
        out = self.directory / "seen"
        script = self.directory / "hook"
        script.write_text(f'#!/bin/sh\npid=$(jq .pid)\nnsenter --net=/proc/$pid/ns/net nft list tables > {out}\n')
        script.chmod(0o755)
        self.config["hooks"] = {"createRuntime": [{"path": str(script)}]}
        self.config["hooks"]["createRuntime"][0]["env"] = ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]
        self.policy(ALLOW)
        self.hold_open()
        self.assertEqual(out.read_text(), "table inet nucleus\n")


class Refused(EgressCase):
    """A policy that cannot hold is an error, and nothing is left."""

    def test_capabilities_that_go_around_it(self):
        self.policy(ALLOW)
        for name in ("CAP_NET_ADMIN", "CAP_NET_RAW"):
            for group in ("bounding", "effective", "permitted", "inheritable"):
                with self.subTest(name=name, group=group):
                    before = json.loads(json.dumps(self.process["capabilities"]))
                    self.add_capabilities(name, sets=(group,))
                    if group != "bounding":
                        self.add_capabilities(name, sets=("bounding", "permitted"))
                    self.assertFails(self.create(), f"process.capabilities: {name} goes around the egress policy")
                    self.process["capabilities"] = before
        self.assertEqual(self.tables(self.netns), [])

    def test_capabilities_of_exec(self):
        self.policy(ALLOW)
        self.hold_open()
        self.assertFails(self.exec("/bin/true", flags=("--cap", "CAP_NET_RAW")), "CAP_NET_RAW goes around the egress policy",
                         status=255)
        self.assertOk(self.exec("/bin/true"))

    def test_no_namespace(self):
        self.without_namespace("network")
        self.policy(ALLOW)
        self.assertFails(self.create(), "needs a network namespace in linux.namespaces: the host's is not touched")

    def test_the_hosts_own_namespace(self):
        for namespace in self.linux["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = str(self.host.path)
        self.policy(ALLOW)
        self.assertFails(self.create(), "the host's network namespace")
        self.assertEqual(self.tables(self.host), [])

    def test_another_digest(self):
        self.policy(ALLOW)
        (self.bundle / "egress.toml").write_text(ALLOW + "\n")
        self.assertFails(self.create(), "dev.nucleus.policy.egress")
        self.assertEqual(self.tables(self.netns), [])

    def test_a_mistake_in_it(self):
        self.policy('[[allow]]\ncidr = "10.0.0.1/8"\n')
        self.assertFails(self.create(), "egress.toml:2: allow[0].cidr")
        self.assertEqual(self.tables(self.netns), [])


class Replaced(EgressCase):
    def test_new_rules_hold(self):
        for log in (False, True):  # with and without a process that stays
            with self.subTest(log=log):
                server = self.serve("tcp/192.0.2.1/80", "tcp/192.0.2.2/80")
                self.policy(f"log = {str(log).lower()}\n" + allow("192.0.2.1/32 tcp/80"))
                self.hold_open()
                self.assertEqual(self.tcp("192.0.2.1", 80), "ok")
                self.assertEqual(self.tcp("192.0.2.2", 80), "ECONNREFUSED")
                self.assertOk(self.replace(allow("192.0.2.2/32 tcp/80")))
                self.assertEqual(self.tcp("192.0.2.1", 80), "ECONNREFUSED")
                self.assertEqual(self.tcp("192.0.2.2", 80), "ok")
                facts = self.facts()
                self.assertEqual(facts["generation"], 2)
                self.assertOk(self.replace(allow("192.0.2.0/24")))
                self.assertEqual(self.tcp("192.0.2.1", 80), "ok")
                self.assertEqual(self.facts()["generation"], 3)
                self.assertOk(self.delete("--force"))
                server.stop()

    def test_a_bad_one_changes_nothing(self):
        self.serve("tcp/192.0.2.1/80")
        self.policy(allow("192.0.2.1/32"))
        self.hold_open()
        self.assertFails(self.replace('[[allow]]\ncidr = "nonsense"\n'), "next.toml:2: allow[0].cidr")
        path = self.bundle / "next.toml"
        self.assertFails(self.runtime("egress", self.id, "--policy", f"{path}@sha256:{'0' * 64}"), "--policy")
        self.assertFails(self.runtime("egress", self.id, "--policy", f"{path}@sha256:zz"), "must be PATH@sha256:HEX")
        self.assertEqual(self.tcp("192.0.2.1", 80), "ok")
        self.assertEqual(self.facts()["generation"], 1)

    def test_a_connection_that_is_allowed_no_more_ends(self):
        self.serve("tcp/192.0.2.1/80")
        self.policy(allow("192.0.2.1/32"))
        self.hold_open()
        holder = self.hold_connection("192.0.2.1", 80, 20)
        self.assertOk(self.replace(allow("192.0.2.2/32")))
        out = holder.communicate(timeout=60)[0].split()
        self.assertNotEqual(out[0], "ok", out)

    def hold_connection(self, address, port, seconds):
        holder = subprocess.Popen(self.host.enter() + [RUNTIME, "--root", self.root, "exec", self.id, "/bin/netprobe",
                                                       "hold", address, str(port), str(seconds)],
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(holder.stdout.close)
        time.sleep(0.5)
        return holder

    def test_under_load(self):
        """While the policy is changed forty times, a connection that both allow goes on, new ones to what both allow are
        never refused, and not one packet gets to what neither allows."""
        server = self.serve("tcp/192.0.2.1/80", "tcp/192.0.2.2/80", "tcp/198.51.100.1/80")
        one = allow("192.0.2.1/32 tcp/80", "203.0.113.0/24")
        two = allow("192.0.2.0/31 tcp/80", "203.0.113.0/25")
        self.policy(one)
        self.hold_open()
        holder = self.hold_connection("192.0.2.1", 80, 6)
        script = ("i=0; while [ $i -lt 100 ]; do netprobe tcp 192.0.2.1 80; netprobe tcp 192.0.2.2 80;"
                  " netprobe tcp 198.51.100.1 80; i=$((i+1)); done")
        prober = subprocess.Popen(self.host.enter() + [RUNTIME, "--root", self.root, "exec", self.id, "/bin/sh", "-c",
                                                       script], stdout=subprocess.PIPE, text=True)
        for i in range(40):
            self.assertOk(self.replace(two if i % 2 == 0 else one))
        lines = [line.split()[0] for line in prober.communicate(timeout=120)[0].splitlines()]
        self.assertEqual(len(lines), 300)
        self.assertEqual(lines[0::3], ["ok"] * 100)
        self.assertEqual(lines[1::3], ["ECONNREFUSED"] * 100)
        self.assertEqual(lines[2::3], ["ECONNREFUSED"] * 100)
        self.assertEqual(holder.communicate(timeout=60)[0].split()[0], "ok")
        self.assertEqual({line[3] for line in server.seen()}, {"80"})
        self.assertEqual(len(server.seen()), 101)


class Evidence(EgressCase):
    def test_counters_and_refusals(self):
        self.serve("tcp/192.0.2.1/80")
        self.policy(ALLOW)
        self.hold_open()
        self.tcp("192.0.2.1", 80)
        self.tcp("192.0.2.2", 4444)
        counters = self.counters()
        self.assertGreaterEqual(counters["allowed"], 1)
        self.assertEqual(counters["refused"], 1)
        wait_until(lambda: self.facts()["refused"], "the refusal")
        refusal = self.facts()["refused"][0]
        self.assertEqual((refusal["protocol"], refusal["destination"], refusal["port"]), ("tcp", "192.0.2.2", 4444))
        text = self.egress()
        self.assertIn("tcp 192.0.2.2 port 4444", text)
        self.assertIn("refused: 1 packets", text)

    def test_follow(self):
        self.policy(ALLOW)
        self.hold_open()
        follower = subprocess.Popen(self.host.enter() + [RUNTIME, "--root", self.root, "egress", "--follow", self.id],
                                    stdout=subprocess.PIPE, text=True)
        self.tcp("192.0.2.2", 4444)
        self.assertIn("tcp 192.0.2.2 port 4444", follower.stdout.readline())
        self.tcp("2001:db8:1::2", 4445)
        self.assertIn("tcp 2001:db8:1::2 port 4445", follower.stdout.readline())
        self.kill()
        self.assertEqual(follower.communicate(timeout=30)[0], "")

    def test_refusals_are_bounded(self):
        self.policy(ALLOW)
        self.hold_open()
        self.exec("/bin/sh", "-c", "i=0; while [ $i -lt 300 ]; do netprobe udp 203.0.113.9 9; i=$((i+1)); done")
        self.assertGreaterEqual(self.counters()["refused"], 300)
        self.assertLessEqual(len(self.facts()["refused"]), 100)

    def test_what_was_loaded_is_in_the_state(self):
        self.policy(ALLOW)
        self.hold_open()
        facts = json.loads(self.state()["annotations"]["dev.nucleus.enforced.egress"])
        self.assertEqual(facts["mode"], "oci")
        self.assertEqual(facts["generation"], 1)
        self.assertGreater(facts["inside"]["handle"], 0)
        self.assertGreater(facts["inside"]["rules"], 5)
        self.assertEqual(facts["inside"]["elements"], 7)
        digest = hashlib.sha256(ALLOW.encode()).hexdigest()
        self.assertEqual(facts["policy"], "sha256:" + digest)

    def test_events(self):
        events = self.directory / "events"
        self.policy(ALLOW)
        self.write()
        self.process["args"] = ["/bin/sleep", "1000"]
        self.write()
        self.assertOk(self.runtime("--events", events, "create", "--bundle", self.bundle, self.id))
        self.assertOk(self.start())
        self.tcp("192.0.2.2", 4444)
        wait_until(lambda: "refused-egress" in events.read_text(), "the event")
        lines = [json.loads(line) for line in events.read_text().splitlines()]
        refusal = next(line for line in lines if line["event"] == "refused-egress")
        self.assertEqual((refusal["protocol"], refusal["destination"], refusal["port"]), ("tcp", "192.0.2.2", 4444))
        self.assertOk(self.runtime("--events", events, "delete", "--force", self.id))
        self.assertOk(self.runtime("events", "verify", events))

    def test_a_container_without_a_policy(self):
        self.hold_open()
        self.assertFails(self.runtime("egress", self.id), "has no egress policy")

    def test_one_that_has_ended(self):
        self.policy(ALLOW)
        self.hold_open()
        self.kill()
        self.wait_stopped()
        self.assertFails(self.runtime("egress", self.id), "container not running")


class Ends(EgressCase):
    """Whatever is killed: nothing is left, and nothing is let through."""

    def test_the_process_that_stays_ends_with_the_container(self):
        self.policy(ALLOW)
        self.hold_open()
        manager = self.manager()
        self.assertTrue(is_alive(manager))
        self.kill()
        wait_until(lambda: not is_alive(manager), "nucleus-net's end")
        self.assertOk(self.delete())
        self.assertEqual(self.tables(self.netns), [])

    def test_without_it_the_rules_hold(self):
        self.serve("tcp/192.0.2.1/80")
        self.policy(ALLOW)
        self.hold_open()
        os.kill(self.manager(), signal.SIGKILL)
        self.assertEqual(self.tcp("192.0.2.1", 80), "ok")
        self.assertEqual(self.tcp("192.0.2.2", 80), "ECONNREFUSED")
        self.assertOk(self.replace(allow("192.0.2.2/32")))
        self.assertEqual(self.tcp("192.0.2.1", 80), "ECONNREFUSED")
        self.assertOk(self.delete("--force"))
        self.assertEqual(self.tables(self.netns), [])

    def test_none_where_nothing_is_to_be_served(self):
        self.policy(allow("192.0.2.1/32"))
        self.hold_open()
        self.assertEqual(self.manager(), 0)
        self.assertIn("inside of the container", self.egress())


class Names(EgressCase):
    """The whole way: resolv.conf, the gate, the sets, the connection (the gate's own tests are beside its code)."""

    def setUp(self):
        super().setUp()
        self.resolver({"api.example.com": "11.0.0.1", "a.mirror.example.org": "11.0.0.2", "evil.example.net": "11.0.0.3",
                       "rebind.mirror.example.org": "127.0.0.1", "private.mirror.example.org": "10.1.2.3"})

    POLICY = """
log = true
[[allow]]
domain = "api.example.com"
ports = ["tcp/80"]
[[allow]]
domain = "*.mirror.example.org"
[dns]
servers = ["10.53.0.1"]
"""

    def dns_of(self, name):
        return self.net("dns", "127.0.0.53", name, 1)

    def test_names(self):
        self.serve("tcp/11.0.0.1/80", "tcp/11.0.0.1/81", "tcp/11.0.0.2/99", "udp/11.0.0.1/53", "tcp/11.0.0.3/80")
        self.policy(self.POLICY)
        self.hold_open()
        self.assertIn("nameserver 127.0.0.53", self.exec("/bin/cat", "/etc/resolv.conf").out)
        self.assertEqual(self.tcp("11.0.0.1", 80), "ECONNREFUSED")
        self.assertEqual(self.dns_of("api.example.com"), "0 11.0.0.1")
        self.assertEqual(self.tcp("11.0.0.1", 80), "ok")
        self.assertEqual(self.tcp("11.0.0.1", 81), "ECONNREFUSED")
        self.assertEqual(self.dns_of("a.mirror.example.org"), "0 11.0.0.2")
        self.assertEqual(self.tcp("11.0.0.2", 99), "ok")
        self.assertEqual(self.dns_of("evil.example.net"), "5")
        self.assertEqual(self.tcp("11.0.0.3", 80), "ECONNREFUSED")
        self.assertNotIn("127.0.0.1", self.dns_of("rebind.mirror.example.org"))
        self.assertNotIn("10.1.2.3", self.dns_of("private.mirror.example.org"))
        # No other server, not even where an address is allowed as a whole.
        self.assertIn(self.udp("11.0.0.2", 53), REFUSED_UDP)
        sets = self.facts()["tables"][0]["sets"]
        names = {element["name"] for elements in sets.values() for element in elements if "name" in element}
        self.assertEqual(names, {"api.example.com", "*.mirror.example.org"})
        wait_until(lambda: any(r.get("name") == "evil.example.net" for r in self.facts()["refused"]), "the refused name")
        # A refused port of an address that a name has led to.
        wait_until(lambda: any(r.get("name") == "api.example.com" and r.get("port") == 81
                               for r in self.facts()["refused"]), "the refused port")

    def test_carried_over_to_a_new_policy(self):
        self.serve("tcp/11.0.0.1/80", "tcp/11.0.0.2/99")
        self.policy(self.POLICY)
        self.hold_open()
        self.dns_of("api.example.com")
        self.dns_of("a.mirror.example.org")
        self.assertOk(self.replace(self.POLICY.replace("*.mirror", "*.other")))
        self.assertEqual(self.tcp("11.0.0.1", 80), "ok")
        self.assertEqual(self.tcp("11.0.0.2", 99), "ECONNREFUSED")
        self.assertEqual(self.dns_of("a.mirror.example.org"), "5")
        self.assertEqual(self.dns_of("api.example.com"), "0 11.0.0.1")

    def test_the_gate_that_is_killed(self):
        self.serve("tcp/11.0.0.1/80")
        self.policy(self.POLICY)
        self.hold_open()
        self.assertEqual(self.dns_of("api.example.com"), "0 11.0.0.1")
        gates = self.children(self.manager())
        self.assertEqual(len(gates), 1)
        for process in self.children(gates[0]):
            os.kill(process, signal.SIGKILL)
        wait_until(lambda: self.dns_of("api.example.com") == "0 11.0.0.1", "a new gate")

    def test_the_gate_of_a_strict_mode_takes_the_container_with_it(self):
        self.policy(self.POLICY)
        self.config["annotations"]["dev.nucleus.mode"] = "strict-agent"
        self.linux["namespaces"].append({"type": "user"})
        self.linux["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        self.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        # A sysfs shows the network namespace that it is mounted in, and this one is another's.
        self.config["mounts"] = [m for m in self.config["mounts"] if m["type"] != "sysfs"]
        command(["chown", "-R", "100000:100000", str(self.rootfs)])
        os.chmod(self.directory, 0o755)
        self.hold_open()
        gate = self.children(self.manager())[0]
        os.kill(self.children(gate)[0], signal.SIGKILL)
        self.wait_stopped()

    def children(self, pid):
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Broker(EgressCase):
    def proxy(self):
        """tinyproxy in the servers' namespace."""
        config = self.directory / "tinyproxy.conf"
        config.write_text("Port 8888\nListen 192.0.2.1\nTimeout 60\nConnectPort 80\nDisableViaHeader Yes\n")
        server = subprocess.Popen(self.outside.enter() + ["tinyproxy", "-d", "-c", str(config)],
                                  stdout=subprocess.DEVNULL)
        self.addCleanup(lambda: (server.kill(), server.wait()))
        wait_until(lambda: ":22B8 " in self.outside.run("cat", "/proc/net/tcp"), "tinyproxy")

    POLICY = '[broker]\nendpoint = "192.0.2.1:8888"\n'

    def test_only_the_broker(self):
        self.proxy()
        server = self.serve("tcp/192.0.2.1/80", "tcp/192.0.2.2/80", "udp/192.0.2.1/53")
        self.policy(self.POLICY)
        self.hold_open()
        self.assertEqual(self.tcp("192.0.2.2", 80), "ECONNREFUSED")
        self.assertEqual(self.tcp("192.0.2.1", 80), "ECONNREFUSED")
        self.assertIn(self.udp("192.0.2.1", 53), REFUSED_UDP)
        self.assertEqual(server.seen(), [])
        # Through the proxy.
        script = "(printf 'CONNECT 192.0.2.2:80 HTTP/1.0\\r\\n\\r\\n'; sleep 2) | nc -w 5 192.0.2.1 8888"
        out = self.exec("/bin/sh", "-c", script).out
        self.assertIn("200", out)
        self.assertIn("hello 192.0.2.2 80", out)

    def test_environment_and_token(self):
        self.proxy()
        self.policy(self.POLICY)
        self.hold_open()
        environment = dict(line.split("=", 1) for line in self.exec("/bin/env").out.splitlines() if "=" in line)
        token = (pathlib.Path(self.root) / self.id / "broker-token").read_text()
        self.assertRegex(token, "^[0-9a-f]{32}$")
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            self.assertEqual(environment[name], f"http://nucleus:{token}@192.0.2.1:8888")
        self.assertIn("127.0.0.1", environment["NO_PROXY"])
        pid = self.state()["pid"]
        init = pathlib.Path(f"/proc/{pid}/environ").read_text().split("\0")
        self.assertIn(f"HTTP_PROXY=http://nucleus:{token}@192.0.2.1:8888", init)

    def test_environment_switched_off(self):
        self.proxy()
        self.policy(self.POLICY + "environment = false\n")
        self.hold_open()
        self.assertNotIn("PROXY", self.exec("/bin/env").out.upper())

    def test_one_that_cannot_be_reached(self):
        self.policy(self.POLICY)
        self.process["args"] = ["/bin/true"]
        self.assertFails(self.run_container(), "connect to the egress broker 192.0.2.1:8888: connection refused")


if __name__ == "__main__":
    main()
