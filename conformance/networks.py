"""What the tests of networks share: namespaces that the test makes, servers in them, and a program inside the container
that tries to reach them.

    oci      servers' namespace -- veth -- the container's namespace, made before, as a higher tool does
    bridge   servers' namespace -- veth -- the "host" (a namespace too: the runtime is started there) -- nucleus0
"""

import hashlib
import os
import pathlib
import shutil
import subprocess

from harness import PROBE, RUNTIME, Case, NetworkNamespace, command, wait_until

NETPROBE = pathlib.Path(PROBE).parent / "netprobe" if PROBE else None
SERVERS = ("192.0.2.1", "192.0.2.2", "198.51.100.1")
SERVERS6 = ("2001:db8:1::1", "2001:db8:1::2")


class Lines:
    """What a process prints, line by line, without waiting for more."""

    def __init__(self, pipe):
        assert pipe.readline() == b"ready\n"
        os.set_blocking(pipe.fileno(), False)
        self.pipe, self.rest, self.all = pipe, b"", []

    def read(self):
        """All so far."""
        while True:
            try:
                data = os.read(self.pipe.fileno(), 65536)
            except BlockingIOError:
                break
            if not data:
                break
            *lines, self.rest = (self.rest + data).split(b"\n")
            self.all += [line.decode() for line in lines]
        return self.all


class Server:
    """netserver.py in a namespace."""

    def __init__(self, case, namespace, *listeners):
        script = pathlib.Path(__file__).with_name("netserver.py")
        self.process = subprocess.Popen(namespace.enter() + ["/usr/bin/python3", "-B", str(script), *listeners],
                                        stdout=subprocess.PIPE)
        case.addCleanup(self.stop)
        self.output = Lines(self.process.stdout)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def seen(self):
        """All lines so far."""
        return [line.split() for line in self.output.read()]

    def forget(self):
        self.output.read()
        self.output.all.clear()


class Sniffer:
    """Frames with `marker` in them on a link of a namespace, whatever they are."""

    def __init__(self, case, namespace, link, marker):
        script = ("import socket,sys\n"
                  "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))\n"
                  f"s.bind(({link!r}, 0))\n"
                  "print('ready', flush=True)\n"
                  "while True:\n"
                  "    frame = s.recv(65536)\n"
                  f"    if {marker!r} in frame: print(frame.hex(), flush=True)\n")
        self.process = subprocess.Popen(namespace.enter() + ["/usr/bin/python3", "-B", "-c", script],
                                        stdout=subprocess.PIPE)
        case.addCleanup(self.stop)
        self.output = Lines(self.process.stdout)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def seen(self):
        return self.output.read()


class NetworkCase(Case):
    network = "oci"

    def setUp(self):
        if self.network == "userspace" and not os.path.exists("/dev/net/tun"):
            self.skipTest("this host has no /dev/net/tun")
        self.host = NetworkNamespace(self)
        self.outside = NetworkNamespace(self)
        self.netns = NetworkNamespace(self) if self.network == "oci" else None
        super().setUp()
        self.host.ip("link", "set", "lo", "up")
        self.outside.ip("link", "set", "lo", "up")
        if self.network == "oci":
            self._connect(self.netns, "eth0", ["192.0.2.100/24", "2001:db8:1::100/64"])
            self.netns.ip("link", "set", "lo", "up")
            for namespace in self.linux["namespaces"]:
                if namespace["type"] == "network":
                    namespace["path"] = str(self.netns.path)
        else:
            self._connect(self.host, "up0", ["192.0.2.100/24", "2001:db8:1::100/64"])
            self.config.setdefault("annotations", {})["dev.nucleus.network"] = self.network
        gateway = self.netns or self.host
        gateway.ip("route", "add", "default", "via", "192.0.2.1")
        gateway.ip("-6", "route", "add", "default", "via", "2001:db8:1::1")
        shutil.copy(NETPROBE, self.rootfs / "bin" / "netprobe")

    def _connect(self, near, name, addresses):
        command(near.enter() + ["ip", "link", "add", name, "type", "veth", "peer", "name", "srv0", "netns",
                                str(self.outside.path)])
        for address in addresses:
            near.ip("address", "add", address, "dev", name, *(["nodad"] if ":" in address else []))
        near.ip("link", "set", name, "up")
        for address in SERVERS[:2]:
            self.outside.ip("address", "add", address + "/24", "dev", "srv0")
        for address in SERVERS6:
            self.outside.ip("address", "add", address + "/64", "dev", "srv0", "nodad")
        self.outside.ip("address", "add", SERVERS[2] + "/32", "dev", "lo")
        self.outside.ip("link", "set", "srv0", "up")

    def runtime(self, *args, **keywords):
        return command(self.host.enter() + [RUNTIME, "--root", self.root, *args], **keywords)

    def policy(self, text):
        path = self.bundle / "egress.toml"
        path.write_text(text)
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.config.setdefault("annotations", {})["dev.nucleus.policy.egress"] = f"egress.toml@sha256:{digest}"

    def serve(self, *listeners):
        return Server(self, self.outside, *listeners)

    def resolver(self, records):
        """dnsmasq at 10.53.0.1 where the gate asks, in the runtime's namespace; 11.0.0.1 to .3 are the servers': what
        documentation has are no good answers to the gate."""
        self.host.ip("address", "add", "10.53.0.1/32", "dev", "lo")
        dns = subprocess.Popen(
            self.host.enter() + ["dnsmasq", "--no-daemon", "--no-resolv", "--no-hosts", "--listen-address=10.53.0.1",
                                 "--bind-interfaces", "--user=root", "--pid-file=", "--conf-file=/dev/null",
                                 "--local-ttl=30"]
            + [f"--host-record={name},{address}" for name, address in records.items()],
            stderr=subprocess.DEVNULL)
        self.addCleanup(lambda: (dns.kill(), dns.wait()))
        wait_until(lambda: ":0035 " in self.host.run("cat", "/proc/net/udp"), "dnsmasq")
        for address in ("11.0.0.1", "11.0.0.2", "11.0.0.3"):
            self.outside.ip("address", "add", address + "/32", "dev", "lo")
        (self.rootfs / "etc").mkdir(exist_ok=True)
        (self.rootfs / "etc" / "resolv.conf").write_text("nameserver 192.0.2.1\n")

    def hold_open(self, *flags):
        """A container that waits, so that `probe` can be run in it."""
        self.process["args"] = ["/bin/sleep", "1000"]
        self.assertOk(self.create(*flags))
        self.assertOk(self.start())

    def net(self, *args):
        """netprobe in the container: its line."""
        result = self.exec("/bin/netprobe", *map(str, args))
        self.assertOk(result)
        return result.out.strip()

    def tcp(self, address, port):
        """ "ok" or the errno's name. """
        said = self.net("tcp", address, port).split()[0]
        if said == "ECONNRESET" and self.network == "userspace":
            # Debian 12's pasta loses a connection now and then, and resets it. No rule of ours answers so: what a policy
            # refuses says ECONNREFUSED or ETIMEDOUT.
            print(f"pasta reset a connection to {address} port {port}; asked again", flush=True)
            said = self.net("tcp", address, port).split()[0]
        return said

    def udp(self, address, port):
        return self.net("udp", address, port).split()[0]

    def tables(self, namespace=None, family="inet"):
        where = namespace or NetworkNamespace.of(self.state()["pid"])
        return [line.split()[2] for line in where.run("nft", "list", "tables", family).splitlines()]
