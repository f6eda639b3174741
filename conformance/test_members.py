"""dev.nucleus.network.members: containers of one bridge that may talk to each other, by names that the gate answers; all
others cannot."""

import json

from harness import NetworkNamespace, main, wait_until
from networks import NetworkCase
from test_egress import allow

WEB, DB, CACHE = 40001, 40002, 40003
NAMES = f"web={WEB},db={DB}"


class Members(NetworkCase):
    network = "bridge"

    def setUp(self):
        super().setUp()
        (self.rootfs / "etc" / "resolv.conf").write_text("")
        self.annotations = self.config["annotations"]
        self.annotations["dev.nucleus.policy.egress"] = self.pin("log = true\n")

    def pin(self, text):
        self.policy(text)
        return self.annotations["dev.nucleus.policy.egress"]

    def up(self, name, members=None):
        """A container that waits; the id of it."""
        identity = f"{self.id}-{name}"
        self.annotations.pop("dev.nucleus.network.members", None)
        if members is not None:
            self.annotations["dev.nucleus.network.members"] = members
        self.linux["cgroupsPath"] = f"/nucleus-test/{identity}"
        self.process["args"] = ["/bin/sleep", "1000"]
        self.assertOk(self.create(id=identity))
        self.assertOk(self.start(identity))
        return identity

    def within(self, identity, *args):
        result = self.exec("/bin/netprobe", *map(str, args), id=identity)
        self.assertOk(result)
        return result.out.strip()

    def look_up(self, identity, name, kind=1):
        return self.within(identity, "dns", "127.0.0.53", name, kind)

    def address(self, identity, family="inet"):
        links = NetworkNamespace.of(self.state(identity)["pid"]).links()
        return next(a["local"] for a in links["eth0"]["addr_info"] if a["family"] == family and a["scope"] == "global")

    def listen(self, identity, port="8080"):
        """One connection is taken."""
        script = f"exec /bin/netprobe listen {port} >/dev/null 2>&1 &"
        self.assertOk(self.exec("/bin/sh", "-c", script, id=identity))
        port = f":{int(port):04X} "
        wait_until(lambda: port in self.exec("/bin/cat", "/proc/net/tcp6", id=identity).out, "a server")

    def test_names_and_addresses(self):
        web, db = self.up("web", f"{WEB},{NAMES}"), self.up("db", f"{DB},{NAMES}")
        self.assertEqual(self.look_up(web, "db"), f"0 {self.address(db)}")
        self.assertEqual(self.look_up(web, "web"), f"0 {self.address(web)}")
        self.assertEqual(self.look_up(db, "WEB"), f"0 {self.address(web)}")
        self.assertEqual(self.look_up(web, "db", 28), f"0 {self.address(db, 'inet6')}")
        self.assertEqual(self.look_up(web, "db", 15), "0")  # MX
        self.assertEqual(self.look_up(web, "cache"), "5")  # refused
        self.assertEqual(self.exec("/bin/cat", "/etc/resolv.conf", id=web).out.splitlines()[0], "nameserver 127.0.0.53")

    def test_connections_both_ways_and_of_both_families(self):
        web, db = self.up("web", f"{WEB},{NAMES}"), self.up("db", f"{DB},{NAMES}")
        for client, server, family in ((web, db, "inet"), (db, web, "inet"), (web, db, "inet6")):
            self.listen(server)
            self.assertEqual(self.within(client, "tcp", self.address(server, family), 8080).split()[0], "ok")

    def test_a_member_that_comes_later_and_anew(self):
        """Names are known before there is anybody behind them, and lead to the next one that has the number."""
        web = self.up("web", f"{WEB},{NAMES}")
        name = self.look_up(web, "db")
        self.assertNotEqual(self.within(web, "tcp", name.split()[1], 8080).split()[0], "ok")
        for _ in range(2):
            db = self.up("db", f"{DB},{NAMES}")
            self.assertEqual(name, f"0 {self.address(db)}")
            self.listen(db)
            self.assertEqual(self.within(web, "tcp", self.address(db), 8080).split()[0], "ok")
            self.assertOk(self.delete("--force", id=db))

    def test_both_have_to_say_so(self):
        web = self.up("web", f"{WEB},{NAMES}")
        self.listen(web)
        cache = self.up("cache", f"{CACHE},web={WEB}")  # web does not know it
        self.assertEqual(self.look_up(cache, "web"), f"0 {self.address(web)}")
        self.assertNotEqual(self.within(cache, "tcp", self.address(web), 8080).split()[0], "ok")
        self.listen(cache)
        self.assertNotEqual(self.within(web, "tcp", self.address(cache), 8080).split()[0], "ok")
        # As it is: web's server takes one connection, and that is a member's.
        db = self.up("db", f"{DB},{NAMES}")
        self.assertEqual(self.within(db, "tcp", self.address(web), 8080).split()[0], "ok")

    def test_one_that_nothing_is_asked_of(self):
        """Neither as root with every capability over its network, nor with a member's address."""
        web = self.up("web", f"{WEB},{NAMES}")
        self.listen(web)
        del self.annotations["dev.nucleus.policy.egress"]
        self.add_capabilities("CAP_NET_ADMIN", "CAP_NET_RAW")
        other = self.up("other")
        self.assertNotEqual(self.within(other, "tcp", self.address(web), 8080).split()[0], "ok")
        inside = NetworkNamespace.of(self.state(other)["pid"])
        gateway = inside.ip("route", "show", "default").split()[2]
        stolen = self.look_up(web, "db").split()[1]
        inside.ip("address", "add", f"{stolen}/32", "dev", "eth0")
        inside.ip("route", "replace", "default", "via", gateway, "dev", "eth0", "onlink", "src", stolen)
        before = self.refused_inbound(web)
        self.assertNotEqual(self.within(other, "tcp", self.address(web), 8080).split()[0], "ok")
        self.assertEqual(self.refused_inbound(web), before, "it did not even come there")

    def refused_inbound(self, identity):
        """What the container's own table has kept off, and what it has let in."""
        tables = json.loads(self.runtime("egress", "--json", identity).out)["tables"]
        counters = next(t for t in tables if t["where"] == "inside of the container")["counters"]
        return counters["refused_inbound"]["packets"], counters["allowed"]["packets"]

    def test_what_the_policy_denies(self):
        self.pin('[[deny]]\ncidr = "0.0.0.0/0"\n')
        web = self.up("web", f"{WEB},{NAMES}")
        self.pin("log = true\n")
        db = self.up("db", f"{DB},{NAMES}")
        self.listen(db)
        self.assertNotEqual(self.within(web, "tcp", self.address(db), 8080).split()[0], "ok")

    def test_with_another_policy(self):
        self.serve("tcp/192.0.2.1/80")
        web, db = self.up("web", f"{WEB},{NAMES}"), self.up("db", f"{DB},{NAMES}")
        self.assertNotEqual(self.within(web, "tcp", "192.0.2.1", 80).split()[0], "ok")
        other = self.directory / "other.toml"
        other.write_text(allow("192.0.2.1/32 tcp/80"))
        self.assertOk(self.runtime("egress", "--policy", other, web))
        self.listen(db)
        self.assertEqual(self.within(web, "tcp", self.address(db), 8080).split()[0], "ok")
        self.assertEqual(self.within(web, "tcp", "192.0.2.1", 80).split()[0], "ok")
        self.assertEqual(self.look_up(web, "db"), f"0 {self.address(db)}")

    def test_a_number_that_is_taken(self):
        self.up("web", f"{WEB},{NAMES}")
        self.annotations["dev.nucleus.network.members"] = f"{WEB},{NAMES}"
        self.linux["cgroupsPath"] = f"/nucleus-test/{self.id}"
        self.assertFails(self.create(), f"number {WEB} is another container's", "address already in use")
        self.assertFalse((self.root / self.id).exists())

    def test_nothing_is_left(self):
        for name, number in (("web", WEB), ("db", DB)):
            self.assertOk(self.delete("--force", id=self.up(name, f"{number},{NAMES}")))
        self.assertEqual(set(self.host.links()) - {"lo", "up0"}, set())
        self.assertEqual(self.host.run("nft", "list", "tables"), "")

    def test_what_it_takes(self):
        self.annotations["dev.nucleus.network.members"] = f"{WEB},{NAMES}"
        del self.annotations["dev.nucleus.policy.egress"]
        self.assertRefused("dev.nucleus.network.members", "takes dev.nucleus.policy.egress")
        for network in ("none", "userspace", "oci"):
            self.annotations["dev.nucleus.network"] = network
            self.assertRefused("dev.nucleus.network.members", "takes dev.nucleus.network bridge")


if __name__ == "__main__":
    main()
