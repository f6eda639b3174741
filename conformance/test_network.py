"""Networks that nucleus makes (docs/network.md), and egress policies from which not even the container's root with every
capability over its network gets away: the second table stands where it has no hand.
"""

import errno
import json
import os
import pathlib
import platform
import signal
import socket
import stat
import struct
import subprocess

from harness import BUSYBOX, RUNTIME, NetworkNamespace, command, main, wait_until
from networks import NetworkCase, Sniffer
from test_egress import allow

SOCKET_CALL = {"x86_64": 41, "aarch64": 198}[platform.machine()]
POLICY = "log = true\n" + allow("192.0.2.1/32 tcp/80 udp/5000", "2001:db8:1::1/128 tcp/80", "198.51.100.0/24")


class MadeCase(NetworkCase):
    network = "bridge"

    def inside(self):
        return NetworkNamespace.of(self.state()["pid"])

    def left(self):
        """What is in the host's namespace besides the links of the test."""
        links = set(self.host.links()) - {"lo", "up0"}
        return links, self.host.run("nft", "list", "tables").split("\n")[:-1]

    def facts(self):
        return json.loads(self.runtime("egress", "--json", self.id).out)

    def outside_counters(self):
        table = next(t for t in self.facts()["tables"] if t["where"] == "outside of the container")
        return {name: counter["packets"] for name, counter in table["counters"].items()}


class Basics:
    def test_reaches_the_outside_without_a_policy(self):
        server = self.serve("tcp/192.0.2.1/80", "udp/192.0.2.1/5000")
        self.hold_open()
        self.assertEqual(self.tcp("192.0.2.1", 80), "ok")
        self.assertEqual(self.udp("192.0.2.1", 5000), "ok")
        self.assertEqual({line[1] for line in server.seen()}, {"192.0.2.100"})

    def test_reaches_the_outside_over_ipv6(self):
        self.serve("tcp/2001:db8:1::1/80")
        self.hold_open()
        self.assertEqual(self.tcp("2001:db8:1::1", 80), "ok")

    def test_a_policy_holds(self):
        self.serve("tcp/192.0.2.1/80", "tcp/192.0.2.1/81", "tcp/192.0.2.2/80", "udp/192.0.2.1/5000", "tcp/198.51.100.1/1234",
                   "tcp/2001:db8:1::1/80", "tcp/2001:db8:1::2/80")
        self.policy(POLICY)
        self.hold_open()
        self.assertEqual(self.tcp("192.0.2.1", 80), "ok")
        self.assertEqual(self.udp("192.0.2.1", 5000), "ok")
        self.assertEqual(self.tcp("198.51.100.1", 1234), "ok")
        self.assertEqual(self.tcp("2001:db8:1::1", 80), "ok")
        self.assertEqual(self.tcp("192.0.2.1", 81), "ECONNREFUSED")
        self.assertEqual(self.tcp("192.0.2.2", 80), "ECONNREFUSED")
        self.assertEqual(self.tcp("2001:db8:1::2", 80), "ECONNREFUSED")

    def test_published(self):
        self.config["annotations"]["dev.nucleus.network.publish"] = "8080:7000"
        for policy in (None, POLICY):
            with self.subTest(policy=policy):
                if policy:
                    self.policy(policy)
                self.hold_open()
                listener = subprocess.Popen(self.host.enter() + [RUNTIME, "--root", self.root, "exec", self.id,
                                                                 "/bin/netprobe", "listen", "7000"])
                wait_until(lambda: ":1B58 " in self.exec("/bin/cat", "/proc/net/tcp6").out, "the listener")
                got = self.outside.run(BUSYBOX, "nc", "-w", "5", "192.0.2.100", "8080")
                self.assertEqual(got, "inside\n")
                listener.wait()
                self.assertOk(self.delete("--force"))

    def test_nothing_is_left(self):
        self.policy(POLICY)
        self.config["annotations"]["dev.nucleus.network.publish"] = "8080:7000"
        self.hold_open()
        self.assertOk(self.delete("--force"))
        self.assertEqual(self.left(), (set(), []))

    def test_nothing_is_left_of_a_container_that_was_killed(self):
        self.policy(POLICY)
        self.hold_open()
        pid = json.loads((pathlib.Path(self.root) / self.id / "state.json").read_text())["network"]["pid"]
        os.kill(self.state()["pid"], signal.SIGKILL)
        if pid:
            os.kill(pid, signal.SIGKILL)
        self.wait_stopped()
        self.assertOk(self.delete("--force"))
        self.assertEqual(self.left(), (set(), []))

    def test_two_at_once(self):
        self.serve("tcp/192.0.2.1/80")
        self.hold_open()
        first = self.id
        self.id = first + "-b"
        self.ids.add(self.id)
        self.linux["cgroupsPath"] += "-b"
        self.hold_open()
        self.assertEqual(self.tcp("192.0.2.1", 80), "ok")
        self.assertOk(self.delete("--force"))
        self.id = first
        self.assertEqual(self.tcp("192.0.2.1", 80), "ok")

    def test_a_mode_without_a_policy_denies_everything(self):
        server = self.serve("tcp/192.0.2.1/80")
        self.config["annotations"]["dev.nucleus.mode"] = "agent"
        self.hold_open()
        self.assertEqual(self.tcp("192.0.2.1", 80), "ECONNREFUSED")
        self.assertEqual(server.seen(), [])


class Bridge(Basics, MadeCase):
    pass


class Userspace(Basics, MadeCase):
    network = "userspace"


class Slirp(MadeCase):
    """A host that has slirp4netns and no pasta."""

    network = "userspace"

    def setUp(self):
        super().setUp()
        # /usr/bin without pasta, for the runtime and what it starts.
        (self.directory / "work").mkdir()
        self.without_pasta = ["unshare", "--mount", "sh", "-ec",
                              f"mount -t tmpfs none {self.directory}/work; mkdir {self.directory}/work/u {self.directory}/work/w; "
                              f"mknod {self.directory}/work/u/pasta c 0 0; "
                              f"mount -t overlay -o lowerdir=/usr/bin,upperdir={self.directory}/work/u,workdir={self.directory}/work/w "
                              'none /usr/bin; exec "$@"', "sh"]

    def runtime(self, *args, **keywords):
        return command(self.host.enter() + self.without_pasta + [RUNTIME, "--root", self.root, *args], **keywords)

    def test_reaches_the_outside(self):
        server = self.serve("tcp/192.0.2.1/80", "udp/192.0.2.1/5000")
        self.hold_open()
        self.assertEqual(self.tcp("192.0.2.1", 80), "ok")
        self.assertEqual(self.udp("192.0.2.1", 5000), "ok")
        self.assertEqual({line[1] for line in server.seen()}, {"192.0.2.100"})
        record = json.loads((self.root / self.id / "state.json").read_text())["network"]
        self.assertTrue(self.programs("slirp4netns"), record)
        self.assertEqual(self.programs("pasta"), [])

    def programs(self, name):
        """Of this test: those in its network namespace."""
        own = os.stat(self.host.path).st_ino
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if (process / "comm").read_text().startswith(name) and (process / "ns/net").stat().st_ino == own:
                    found.append(int(process.name))
            except OSError:
                pass
        return found

    def test_a_policy_holds(self):
        server = self.serve("tcp/192.0.2.1/80", "tcp/192.0.2.1/81", "tcp/192.0.2.2/80")
        self.policy(allow("192.0.2.1/32 tcp/80"))
        self.hold_open()
        self.assertEqual(self.tcp("192.0.2.1", 80), "ok")
        self.assertEqual(self.tcp("192.0.2.1", 81), "ECONNREFUSED")
        self.assertEqual(self.tcp("192.0.2.2", 80), "ECONNREFUSED")
        self.assertEqual(len(server.seen()), 1)

    def test_published_ports_need_pasta(self):
        self.config["annotations"]["dev.nucleus.network.publish"] = "8080:7000"
        self.assertFails(self.create(), "pasta, which is not installed")
        self.assertEqual(self.left(), (set(), []))

    def test_nothing_is_left(self):
        self.policy(POLICY)
        self.hold_open()
        self.assertOk(self.delete("--force"))
        wait_until(lambda: self.programs("slirp4netns") == [], "slirp4netns' end")
        self.assertEqual(self.left(), (set(), []))


class Names(MadeCase):
    """Addresses that names lead to are let through outside as well, and only there where the container's own rules are
    gone."""

    def test_names(self):
        self.resolver({"api.example.com": "11.0.0.1", "evil.example.net": "11.0.0.3"})
        self.serve("tcp/11.0.0.1/80", "tcp/11.0.0.1/81", "tcp/11.0.0.3/80")
        self.policy('[[allow]]\ndomain = "api.example.com"\nports = ["tcp/80"]\n[dns]\nservers = ["10.53.0.1"]\n')
        self.add_capabilities("CAP_NET_ADMIN", "CAP_NET_RAW")
        self.hold_open()
        self.assertEqual(self.tcp("11.0.0.1", 80), "ECONNREFUSED")
        self.inside().run("nft", "flush", "ruleset")
        self.assertEqual(self.tcp("11.0.0.1", 80), "ETIMEDOUT")
        # Its own table with the sets is gone: then the gate cannot grant, and does not answer with what it has not granted.
        self.assertNotIn("11.0.0.1", self.net("dns", "127.0.0.53", "api.example.com", 1))

    def test_names_with_its_own_rules_in_place(self):
        self.resolver({"api.example.com": "11.0.0.1", "evil.example.net": "11.0.0.3"})
        self.serve("tcp/11.0.0.1/80", "tcp/11.0.0.1/81", "tcp/11.0.0.3/80")
        self.policy('[[allow]]\ndomain = "api.example.com"\nports = ["tcp/80"]\n[dns]\nservers = ["10.53.0.1"]\n')
        self.add_capabilities("CAP_NET_ADMIN", "CAP_NET_RAW")
        self.hold_open()
        self.assertEqual(self.net("dns", "127.0.0.53", "api.example.com", 1), "0 11.0.0.1")
        self.assertEqual(self.net("dns", "127.0.0.53", "evil.example.net", 1), "5")
        self.assertEqual(self.tcp("11.0.0.1", 80), "ok")
        self.assertEqual(self.tcp("11.0.0.1", 81), "ECONNREFUSED")
        for chain in ("output", "input"):
            self.inside().run("nft", "flush", "chain", "inet", "nucleus", chain)
            self.inside().run("nft", "add", "rule", "inet", "nucleus", chain, "accept")
        self.assertEqual(self.tcp("11.0.0.1", 80), "ok")
        self.assertEqual(self.tcp("11.0.0.1", 81), "ETIMEDOUT")
        self.assertEqual(self.tcp("11.0.0.3", 80), "ETIMEDOUT")


class NamesUserspace(Names):
    network = "userspace"


class Hosts(MadeCase):
    """What a host has not: a clear error and nothing left, or less where that is what is asked for."""

    def test_without_ipv6(self):
        self.host.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        self.serve("tcp/192.0.2.1/80")
        self.policy(POLICY)
        self.hold_open()
        self.assertEqual(self.tcp("192.0.2.1", 80), "ok")
        self.assertEqual(self.tcp("192.0.2.2", 80), "ECONNREFUSED")
        self.assertNotEqual(self.tcp("2001:db8:1::1", 80), "ok")

    def without_net_admin(self):
        self.process["args"] = ["/bin/true"]
        self.write()
        # nsenter needs CAP_SYS_ADMIN, and nucleus is left without CAP_NET_ADMIN.
        result = command(self.host.enter() + ["setpriv", "--bounding-set=-net_admin", RUNTIME, "--root", self.root, "run",
                                              "--bundle", self.bundle, self.id])
        self.assertFails(result, "operation not permitted")
        self.assertEqual(os.listdir(self.root), [])
        self.assertEqual(self.left(), (set(), []))

    def test_bridge_without_cap_net_admin(self):
        self.without_net_admin()

    def test_policy_without_cap_net_admin(self):
        self.config["annotations"] = {}
        self.policy(POLICY)
        self.without_net_admin()

    def without_nf_tables(self, error):
        """The runtime, and what it starts, where sockets of NETLINK_NETFILTER are not to be had."""
        loader = ("import ctypes, os, struct, sys\n"
                  "def op(code, jt, jf, k): return struct.pack('HBBI', code, jt, jf, k)\n"
                  f"program = op(0x20, 0, 0, 0) + op(0x15, 0, 5, {SOCKET_CALL}) + op(0x20, 0, 0, 16) + op(0x15, 0, 3, 16) \\\n"
                  "    + op(0x20, 0, 0, 32) + op(0x15, 0, 1, 12) + op(6, 0, 0, 0x50000 | int(sys.argv[1])) + op(6, 0, 0, 0x7fff0000)\n"
                  "code = ctypes.create_string_buffer(program, len(program))\n"
                  "filter = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', len(program) // 8, ctypes.addressof(code)))\n"
                  "assert ctypes.CDLL(None, use_errno=True).prctl(22, 2, filter, 0, 0) == 0, ctypes.get_errno()\n"
                  "os.execv(sys.argv[2], sys.argv[2:])\n")
        return command(self.host.enter() + ["/usr/bin/python3", "-c", loader, str(error), os.path.realpath(RUNTIME), "--root",
                                            self.root, "run", "--bundle", self.bundle, self.id])

    def test_a_kernel_without_nf_tables(self):
        self.process["args"] = ["/bin/true"]
        self.config["annotations"]["dev.nucleus.network"] = "none"
        self.policy(POLICY)
        self.write()
        self.assertFails(self.without_nf_tables(errno.EPROTONOSUPPORT), "this kernel has no nf_tables")
        self.assertNothingLeft()
        self.config["annotations"] = {"dev.nucleus.network": "bridge"}
        self.write()
        self.assertFails(self.without_nf_tables(errno.EPROTONOSUPPORT), "this kernel has no nf_tables")
        self.assertNothingLeft()
        self.assertEqual(self.left(), (set(), []))

    def test_a_user_namespace_without_mappings(self):
        self.linux["namespaces"].append({"type": "user"})
        self.process["args"] = ["/bin/true"]
        for network in ("none", "bridge", "userspace"):
            with self.subTest(network=network):
                self.config["annotations"]["dev.nucleus.network"] = network
                self.policy(POLICY)
                self.assertFails(self.run_container(), "linux.uidMappings")
                self.assertNothingLeft()
                self.assertEqual(self.left(), (set(), []))

    def test_bridge_for_an_ordinary_user(self):
        self.config["annotations"]["dev.nucleus.mode"] = "agent"
        self.linux["namespaces"].append({"type": "user"})
        self.linux["uidMappings"] = [{"containerID": 0, "hostID": 65534, "size": 1}]
        self.linux["gidMappings"] = [{"containerID": 0, "hostID": 65534, "size": 1}]
        self.linux["cgroupsPath"] = ""
        self.write()
        for path in (self.directory, self.bundle):
            path.chmod(0o755)
        self.root.mkdir()
        self.root.chmod(0o777)
        result = command(self.host.enter() + ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", RUNTIME, "--root",
                                              self.root, "create", "--bundle", self.bundle, self.id])
        self.assertFails(result, '"bridge" is for the host\'s root alone')

    def test_a_pool_that_is_the_hosts_already(self):
        """Every network that the bridge could have is routed somewhere else."""
        self.host.ip("route", "add", "10.0.0.0/8", "via", "192.0.2.1")
        self.host.ip("route", "add", "172.16.0.0/12", "via", "192.0.2.1")
        self.host.ip("route", "add", "192.168.0.0/16", "via", "192.0.2.1")
        self.process["args"] = ["/bin/true"]
        self.assertFails(self.run_container(), "route")
        self.assertEqual(self.left(), (set(), []))

    def test_a_port_that_is_taken(self):
        listener = subprocess.Popen(self.host.enter() + [BUSYBOX, "nc", "-l", "-p", "8080"])
        self.addCleanup(lambda: (listener.kill(), listener.wait()))
        wait_until(lambda: ":1F90 " in self.host.run("cat", "/proc/net/tcp", "/proc/net/tcp6"), "the listener")
        self.config["annotations"]["dev.nucleus.network.publish"] = "8080:80"
        self.process["args"] = ["/bin/true"]
        self.assertFails(self.run_container(), "8080")
        self.assertEqual(self.left(), (set(), []))


class Rootless(MadeCase):
    """An ordinary user: rules and pasta in the container's own namespaces."""

    network = "userspace"
    USER = 65534

    def setUp(self):
        super().setUp()
        self.belongs_to(self.USER)
        # As most hosts have it: pasta is an ordinary user's here.
        self.tun = self.directory / "tun"
        os.mknod(self.tun, 0o666 | stat.S_IFCHR, os.makedev(10, 200))
        self.tun.chmod(0o666)

    def runtime(self, *args, **keywords):
        with_tun = ["unshare", "--mount", "sh", "-ec", f'mount --bind {self.tun} /dev/net/tun; exec "$@"', "sh"]
        return command(self.host.enter() + with_tun + ["setpriv", f"--reuid={self.USER}", f"--regid={self.USER}", "--clear-groups", RUNTIME,
                                            "--root", self.root, *args],
                       env={"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(self.root)}, **keywords)

    def probes(self, *lines):
        self.sh("\n".join(f"netprobe {line}" for line in lines))
        self.write()
        result = self.runtime("--cgroup-manager", "disabled", "run", "--bundle", self.bundle, self.id)
        self.assertOk(result)
        return [line.split()[0] for line in result.out.splitlines()]

    def test_userspace_with_a_policy(self):
        self.serve("tcp/192.0.2.1/80", "tcp/192.0.2.1/81", "tcp/198.51.100.1/80")
        self.policy("log = true\n" + allow("192.0.2.1/32 tcp/80"))
        self.assertEqual(self.probes("tcp 192.0.2.1 80", "tcp 192.0.2.1 81", "tcp 198.51.100.1 80"),
                         ["ok", "ECONNREFUSED", "ECONNREFUSED"])

    def test_a_namespace_of_its_own_with_a_policy(self):
        self.config["annotations"]["dev.nucleus.network"] = "none"
        self.policy("")
        self.assertEqual(self.probes("tcp 192.0.2.1 80"), ["ENETUNREACH"])

    def test_capabilities(self):
        self.policy("")
        self.add_capabilities("CAP_NET_RAW")
        self.write()
        result = self.runtime("--cgroup-manager", "disabled", "run", "--bundle", self.bundle, self.id)
        self.assertFails(result, "CAP_NET_RAW goes around the egress policy")


class Faults(MadeCase):
    """Each stage fails, and its process is killed there: an error, and nothing is left."""

    STAGES = "create.net-helper create.net-setup net.links net.rules net.outer-rules net.gate net.attach create.net-ready".split()

    def setUp(self):
        super().setUp()
        if "net.links" not in command([RUNTIME, "list"], env={**os.environ, "NUCLEUS_FAULT": "list"}).out.split():
            self.skipTest("this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
        (self.rootfs / "etc").mkdir(exist_ok=True)
        (self.rootfs / "etc" / "resolv.conf").touch()
        self.policy('log = true\n[[allow]]\ndomain = "api.example.com"\n[dns]\nservers = ["192.0.2.1"]\n')
        self.config["annotations"]["dev.nucleus.network.publish"] = "8080:7000"
        self.process["args"] = ["/bin/sleep", "1000"]

    def containers(self):
        """What the runtime's directory has. At the first stage it is not made yet."""
        return os.listdir(self.root) if self.root.exists() else []

    def test_each_stage_fails(self):
        for stage in self.STAGES:
            with self.subTest(stage=stage):
                self.assertFails(self.create(env={**os.environ, "NUCLEUS_FAULT": stage}), f"injected fault at {stage}")
                self.assertEqual(self.containers(), [])
                self.assertEqual(self.left(), (set(), []))

    def test_killed_at_each_stage(self):
        for stage in self.STAGES:
            with self.subTest(stage=stage):
                result = self.create(env={**os.environ, "NUCLEUS_FAULT": f"kill:{stage}"})
                self.assertNotEqual(result.status, 0)
                self.runtime("delete", "--force", self.id)
                self.assertEqual(self.containers(), [])
                wait_until(lambda: self.left() == (set(), []), f"nothing left, not {self.left()}")

    def test_the_hosts_tools_are_not_run(self):
        """No program but nucleus-net, whatever is found by PATH."""
        trap = self.directory / "trap"
        trap.mkdir()
        for name in ("nft", "iptables", "ip6tables", "ip", "sysctl"):
            (trap / name).write_text(f"#!/bin/sh\ntouch {self.directory}/ran\n")
            (trap / name).chmod(0o755)
        self.assertOk(self.create(env={**os.environ, "PATH": f"{trap}:{os.environ['PATH']}"}))
        self.assertOk(self.delete("--force"))
        self.assertFalse((self.directory / "ran").exists())


class None_(MadeCase):
    network = "none"

    def test_loopback_and_nothing_else(self):
        self.hold_open()
        links = self.inside().links()
        self.assertEqual(set(links), {"lo"})
        self.assertIn("UP", links["lo"]["flags"])

    def test_where_config_json_lists_no_namespace(self):
        self.without_namespace("network")
        self.hold_open()
        self.assertEqual(set(self.inside().links()), {"lo"})
        self.assertNotEqual(os.readlink(f"/proc/{self.state()['pid']}/ns/net"), os.readlink("/proc/self/ns/net"))

    def test_a_path_is_refused(self):
        for namespace in self.linux["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = str(self.host.path)
        self.assertFails(self.create(), 'annotations["dev.nucleus.network"]')


def ethernet(destination, source, kind, payload):
    return destination + source + struct.pack("!H", kind) + payload


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source, destination, protocol, payload, *, fragment=0, ident=7):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, fragment, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(destination))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(source, destination, next_header, payload, *, hops=64):
    return struct.pack("!IHBB", 6 << 28, len(payload), next_header, hops) + socket.inet_pton(
        socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination) + payload


MARKER = b"ATTACKATTACK"


def udp(port, data=MARKER, source=4000):
    return struct.pack("!HHHH", source, port, 8 + len(data), 0) + data


def udp6(source, destination, port):
    """With the checksum that IPv6 wants."""
    packet = udp(port)
    pseudo = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination) + struct.pack(
        "!IHBB", len(packet), 0, 0, 17)
    return packet[:6] + struct.pack("!H", checksum(pseudo + packet) or 0xFFFF) + packet[8:]


class Attacks(MadeCase):
    """A container's root with CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN over its own namespace tries to reach
    192.0.2.2 port 9, which no policy allows; a naive filter in its own namespace would let every one of these through."""

    def setUp(self):
        super().setUp()
        self.add_capabilities("CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_SYS_ADMIN")
        self.server = self.serve("tcp/192.0.2.1/80", "udp/192.0.2.1/5000", "udp/192.0.2.2/9", "tcp/192.0.2.2/9",
                                 "udp/2001:db8:1::2/9", "udp/198.51.100.1/9", "udp/192.0.2.1/9")
        # Whoever gets as far as this host with another packet inside finds somebody to unpack it.
        self.policy(POLICY)
        self.hold_open()
        link = self.inside().links()["eth0"]
        self.link = link
        self.mac = bytes.fromhex(link["address"].replace(":", ""))
        addresses = {a["family"]: a["local"] for a in link["addr_info"] if a["scope"] == "global"}
        self.v4, self.v6 = addresses["inet"], addresses.get("inet6")
        neighbours = json.loads(self.inside().ip("-json", "neigh", "show", "dev", "eth0"))
        self.gateway_mac = bytes.fromhex(next(n["lladdr"] for n in neighbours if ":" not in n["dst"]).replace(":", ""))
        # Its own table is the first thing to go.
        self.inside().run("nft", "flush", "ruleset")
        self.assertEqual(self.udp("192.0.2.1", 5000), "ok", "what is allowed goes on")
        self.server.forget()
        self.sniffer = Sniffer(self, self.outside, "srv0", MARKER)

    def frame(self, payload, kind=0x0800, source=None, destination=None):
        frame = ethernet(destination or self.gateway_mac, source or self.mac, kind, payload)
        self.assertEqual(self.net("frame", "eth0", frame.hex()), "sent")

    def assertNothingArrived(self):
        # Something allowed behind it: when that is there, the other would be too.
        self.assertEqual(self.udp("192.0.2.1", 5000), "ok")
        seen = [line for line in self.server.seen() if (line[0], line[3]) != ("udp", "5000")]
        self.assertEqual(seen, [])
        self.assertEqual(self.sniffer.seen(), [], "frames that have left the host")

    def test_sockets(self):
        self.assertEqual(self.udp("192.0.2.2", 9), "silence")
        self.assertEqual(self.tcp("192.0.2.2", 9), "ETIMEDOUT")
        self.assertEqual(self.udp("2001:db8:1::2", 9), "silence")
        self.assertNothingArrived()

    def test_raw_frames_as_they_should_be(self):
        """The attack's own means work: an allowed packet by AF_PACKET arrives."""
        self.frame(ipv4(self.v4, "192.0.2.1", 17, udp(5000)))
        wait_until(lambda: self.server.seen(), "the packet")
        wait_until(self.sniffer.seen, "the frame")

    def test_packet_socket(self):
        self.frame(ipv4(self.v4, "192.0.2.2", 17, udp(9)))
        self.assertNothingArrived()

    def test_raw_socket(self):
        self.net("raw", "4", "192.0.2.2", ipv4(self.v4, "192.0.2.2", 17, udp(9)).hex())
        self.assertNothingArrived()

    def test_spoofed_source(self):
        for source in ("192.0.2.100", "10.107.0.77", "198.51.100.1", "127.0.0.1", "192.0.2.1"):
            self.frame(ipv4(source, "192.0.2.2", 17, udp(9)))
            self.frame(ipv4(source, "192.0.2.1", 17, udp(9)))
        self.assertNothingArrived()

    def test_spoofed_source_to_what_is_allowed(self):
        self.frame(ipv4("192.0.2.200", "192.0.2.1", 17, udp(5000, source=4444)))
        self.assertNothingArrived()
        self.assertEqual([line for line in self.server.seen() if line[2] == "4444"], [])

    def test_another_mac(self):
        self.frame(ipv4(self.v4, "192.0.2.2", 17, udp(9)), source=b"\x02\0\0\0\0\x99")
        self.frame(ipv4(self.v4, "192.0.2.1", 17, udp(5000, source=4445)), source=b"\x02\0\0\0\0\x99")
        self.assertNothingArrived()
        self.assertEqual([line for line in self.server.seen() if line[2] == "4445"], [])

    def test_packet_in_a_packet(self):
        """IP-in-IP, IPv6-in-IPv4 and GRE to an address that is allowed as a whole."""
        inner = ipv4(self.v4, "192.0.2.2", 17, udp(9))
        for protocol, payload in ((4, inner), (41, ipv6("fd00::1", "2001:db8:1::2", 17, udp(9))),
                                  (47, b"\0\0\x08\0" + inner)):
            self.frame(ipv4(self.v4, "198.51.100.1", protocol, payload))
        self.assertNothingArrived()

    def test_fragments(self):
        whole = udp(9, MARKER * 6)[:72]
        # In order, the later part first, and a first part that ends before the ports do is no packet of UDP at all.
        self.frame(ipv4(self.v4, "192.0.2.2", 17, whole[:32], fragment=0x2000))
        self.frame(ipv4(self.v4, "192.0.2.2", 17, whole[32:], fragment=4))
        self.frame(ipv4(self.v4, "192.0.2.2", 17, whole[8:], fragment=1, ident=8))
        self.frame(ipv4(self.v4, "192.0.2.2", 17, whole[:8], fragment=0x2000, ident=8))
        # A port that is allowed in the first part; the second one writes over it.
        self.frame(ipv4(self.v4, "192.0.2.1", 17, udp(5000, MARKER * 2)[:24], fragment=0x2000, ident=9))
        self.frame(ipv4(self.v4, "192.0.2.1", 17, udp(9, MARKER * 2)[:24], fragment=0x2000, ident=9))
        self.frame(ipv4(self.v4, "192.0.2.1", 17, MARKER + b"zzzz", fragment=3, ident=9))
        self.assertNothingArrived()

    def test_extension_headers_of_ipv6(self):
        if not self.v6:
            self.skipTest("the host has no IPv6")
        for headers in ((0,), (60,), (43,), (44,), (0, 60), (60, 0)):
            payload = udp6(self.v6, "2001:db8:1::2", 9)
            kind = 17
            for header in reversed(headers):
                body = b"\0\0\0\0" if header == 44 else b"\x01\x04\0\0\0\0"
                payload = bytes([kind, 0]) + (b"\0\0" + b"\0\0\0\x07" if header == 44 else body) + payload
                kind = header
            self.frame(ipv6(self.v6, "2001:db8:1::2", kind, payload), kind=0x86DD)
        self.assertNothingArrived()

    def test_spoofed_ipv6(self):
        if not self.v6:
            self.skipTest("the host has no IPv6")
        for source in ("2001:db8:1::100", "fe80::1", "fd6e:7563:6c65:7573::99"):
            self.frame(ipv6(source, "2001:db8:1::2", 17, udp6(source, "2001:db8:1::2", 9)), kind=0x86DD)
        self.assertNothingArrived()

    def test_arp(self):
        """Another's address is not to be had: what is said of it does not reach the bridge."""
        before = self.host.ip("neigh", "show")
        for address in ("192.0.2.1", "192.0.2.100", "10.107.0.1"):
            arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + self.mac + socket.inet_aton(address) + self.gateway_mac + \
                socket.inet_aton("10.107.0.1")
            self.frame(arp, kind=0x0806)
            self.frame(arp, kind=0x0806, destination=b"\xff" * 6)
        self.assertEqual(self.host.ip("neigh", "show").count("192.0.2.1 dev nucleus0"), 0)
        self.assertEqual("lladdr " + ":".join(f"{b:02x}" for b in self.mac) in before,
                         "lladdr " + ":".join(f"{b:02x}" for b in self.mac) in self.host.ip("neigh", "show"))

    def test_links_of_its_own(self):
        for kind in ("macvlan", "ipvlan"):
            for command in (f"ip link add x0 link eth0 type {kind}", "ip link set x0 up",
                            "ip address add 192.0.2.77/24 dev x0", "ip route replace 192.0.2.2 dev x0 src 192.0.2.77"):
                subprocess.run(self.inside().enter() + command.split(), capture_output=True, check=False)
            self.assertIn(self.udp("192.0.2.2", 9), ("silence", "EHOSTUNREACH"))
            subprocess.run(self.inside().enter() + ["ip", "link", "del", "x0"], capture_output=True, check=False)
        self.assertNothingArrived()

    def test_vlan(self):
        inner = struct.pack("!HH", 5, 0x0800) + ipv4(self.v4, "192.0.2.2", 17, udp(9))
        self.frame(inner, kind=0x8100)
        self.frame(inner, kind=0x88A8)
        self.assertNothingArrived()

    def test_another_address_and_route(self):
        self.inside().ip("address", "add", "192.0.2.77/32", "dev", "eth0")
        self.inside().ip("link", "set", "eth0", "mtu", "1300")
        gateway = json.loads(self.inside().ip("-json", "route", "show", "default"))[0]["gateway"]
        for target in ("192.0.2.2", "198.51.100.1"):
            self.inside().ip("route", "replace", target, "via", gateway, "dev", "eth0", "onlink", "src", "192.0.2.77")
            self.assertIn(self.udp(target, 9), ("silence", "EHOSTUNREACH"))
        self.assertNothingArrived()

    def test_what_was_tried_is_counted(self):
        self.frame(ipv4("192.0.2.200", "192.0.2.2", 17, udp(9)))
        self.frame(ipv4(self.v4, "198.51.100.1", 4, ipv4(self.v4, "192.0.2.2", 17, udp(9))))
        self.frame(ipv4(self.v4, "192.0.2.2", 17, udp(9)))
        self.assertTrue(self.facts()["tables"][0]["gone"])
        packets = self.outside_counters()
        self.assertGreaterEqual(packets["spoofed"], 1)
        self.assertGreaterEqual(packets["unusual"], 1)
        self.assertGreaterEqual(packets["refused"], 3)


class AttacksUserspace(Attacks):
    network = "userspace"

    def test_arp(self):
        """What it says of others' addresses is not believed: the router's own entries are as they were."""
        arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + self.mac + socket.inet_aton("192.0.2.1") + self.gateway_mac + \
            socket.inet_aton("192.0.2.1")
        self.frame(arp, kind=0x0806)
        self.assertEqual(self.udp("192.0.2.1", 5000), "ok")
        self.assertGreaterEqual(self.outside_counters()["refused"], 1)


if __name__ == "__main__":
    main()
