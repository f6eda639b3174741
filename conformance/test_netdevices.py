"""linux.netDevices: links of the host that a container gets (config-linux.md, "Network Devices").

The "host" is a network namespace of the test's own, which the runtime is started in: the machine's links are not touched.
"""

from harness import BUSYBOX, RUNTIME, Case, NetworkNamespace, command, main


class Devices(Case):
    def setUp(self):
        # First, so that it goes last: the runtime is called there to the end.
        self.host = NetworkNamespace(self)
        super().setUp()
        self.add_capabilities("CAP_NET_ADMIN")

    def runtime(self, *args, **keywords):
        return command(self.host.enter() + [RUNTIME, "--root", self.root, *args], **keywords)

    def veth(self, name, peer=None):
        self.host.ip("link", "add", name, "type", "veth", "peer", "name", peer or f"{name}-p")

    def give(self, **devices):
        """host name → name inside, None: none said."""
        self.linux["netDevices"] = {name: {} if inside is None else {"name": inside} for name, inside in devices.items()}

    def links_inside(self):
        return NetworkNamespace.of(self.state()["pid"]).links()

    def addresses(self, link, scope="global"):
        return {(a["local"], a["prefixlen"]) for a in link["addr_info"] if a["scope"] == scope}

    def created(self):
        self.process["args"] = ["/bin/sleep", "1000"]
        self.assertOk(self.create())
        return self.links_inside()


class Given(Devices):
    def test_moved_under_its_own_name(self):
        self.veth("nt0")
        self.give(nt0=None)
        self.assertIn("nt0", self.created())
        self.assertNotIn("nt0", self.host.links())

    def test_moved_under_another_name(self):
        self.veth("nt0")
        self.give(nt0="eth7")
        inside = self.created()
        self.assertIn("eth7", inside)
        self.assertNotIn("nt0", inside)

    def test_keeps_what_it_is(self):
        self.veth("nt0")
        self.host.ip("link", "set", "nt0", "mtu", "1234", "address", "02:00:00:00:00:77", "txqueuelen", "77")
        before = self.host.links()["nt0"]
        self.give(nt0="eth0")
        after = self.created()["eth0"]
        for key in ("mtu", "address", "txqlen", "link_type"):
            self.assertEqual(after[key], before[key], key)
        self.assertEqual(after["address"], "02:00:00:00:00:77")

    def test_is_up(self):
        self.veth("nt0")
        self.give(nt0=None)
        self.assertIn("UP", self.created()["nt0"]["flags"])

    def test_one_that_was_up(self):
        self.veth("nt0")
        self.host.ip("link", "set", "nt0", "up")
        self.give(nt0="eth0")
        self.assertIn("UP", self.created()["eth0"]["flags"])

    def test_keeps_permanent_addresses_of_global_scope(self):
        self.veth("nt0")
        for address in (["192.0.2.7/24", "brd", "192.0.2.255"], ["198.51.100.9/32"], ["2001:db8::7/64", "nodad"],
                        ["203.0.113.1", "peer", "203.0.113.2/30"]):
            self.host.ip("address", "add", *address, "dev", "nt0")
        self.host.ip("address", "add", "169.254.9.9/16", "scope", "link", "dev", "nt0")
        self.host.ip("address", "add", "192.0.2.99/24", "valid_lft", "1000", "preferred_lft", "1000", "dev", "nt0")
        self.host.ip("link", "set", "nt0", "up")
        self.give(nt0="eth0")
        link = self.created()["eth0"]
        self.assertEqual(self.addresses(link), {("192.0.2.7", 24), ("198.51.100.9", 32), ("2001:db8::7", 64),
                                                ("203.0.113.1", 30)})
        by_local = {a["local"]: a for a in link["addr_info"]}
        self.assertEqual(by_local["192.0.2.7"]["broadcast"], "192.0.2.255")
        self.assertEqual(by_local["203.0.113.1"]["address"], "203.0.113.2")
        self.assertNotIn("169.254.9.9", by_local, "scope link")
        self.assertNotIn("192.0.2.99", by_local, "not permanent")

    def test_carries_packets(self):
        self.veth("nt0", "outside")
        self.host.ip("address", "add", "192.0.2.1/24", "dev", "outside")
        self.host.ip("address", "add", "192.0.2.2/24", "dev", "nt0")
        self.host.ip("link", "set", "outside", "up")
        self.give(nt0="eth0")
        self.created()
        self.host.run(BUSYBOX, "ping", "-c", "1", "-W", "30", "192.0.2.2")

    def test_several(self):
        for name in ("nt0", "nt1", "nt2"):
            self.veth(name)
            self.host.ip("address", "add", f"192.0.2.{10 * int(name[-1]) + 7}/32", "dev", name)
        self.give(nt0="a", nt1="nt0", nt2="nt1")
        inside = self.created()
        self.assertEqual(self.addresses(inside["a"]), {("192.0.2.7", 32)})
        self.assertEqual(self.addresses(inside["nt0"]), {("192.0.2.17", 32)})
        self.assertEqual(self.addresses(inside["nt1"]), {("192.0.2.27", 32)})

    def test_names_of_other_links_of_the_host_are_not_in_the_way(self):
        self.veth("nt0")
        self.veth("eth0")
        self.give(nt0="eth0")
        self.assertIn("eth0", self.created())
        self.assertIn("eth0", self.host.links())

    def test_template(self):
        for name in ("nt0", "nt1", "nt2"):
            self.veth(name)
        # Whoever names one outright gets it, whatever the order.
        self.give(nt0="eth%d", nt1="eth0", nt2="eth%d")
        inside = self.created()
        self.assertLessEqual({"eth0", "eth1", "eth2"}, set(inside))

    def test_with_a_user_namespace(self):
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        self.veth("nt0")
        self.host.ip("address", "add", "192.0.2.7/24", "dev", "nt0")
        self.give(nt0="eth0")
        self.assertEqual(self.addresses(self.created()["eth0"]), {("192.0.2.7", 24)})

    def test_is_there_before_the_hooks_and_sysctls(self):
        self.veth("nt0")
        self.give(nt0="eth0")
        self.linux["sysctl"] = {"net.ipv4.conf.eth0.forwarding": "1"}
        seen = self.directory / "seen"
        self.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": [
            "sh", "-c", f"pid=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/'); nsenter --net=/proc/$pid/ns/net ip -br link > {seen}"],
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}]}
        self.assertEqual(self.output("cat /proc/sys/net/ipv4/conf/eth0/forwarding"), "1\n")
        self.assertIn("eth0", seen.read_text())

    def test_seen_by_the_process(self):
        self.veth("nt0")
        self.host.ip("address", "add", "192.0.2.7/24", "dev", "nt0")
        self.give(nt0="eth0")
        out = self.output("ip -o addr show eth0; cat /sys/class/net/eth0/flags")
        self.assertIn("192.0.2.7/24", out)
        self.assertEqual(int(out.split()[-1], 16) & 1, 1)

    def test_is_not_brought_back_at_delete(self):
        self.veth("nt0")
        self.give(nt0="eth0")
        self.created()
        self.assertOk(self.delete("--force"))
        self.assertNotIn("nt0", self.host.links())
        self.assertNotIn("eth0", self.host.links())


class Joined(Devices):
    def setUp(self):
        super().setUp()
        self.other = NetworkNamespace(self)
        self.without_namespace("network")
        self.linux["namespaces"].append({"type": "network", "path": str(self.other.path)})

    def test_moved_into_a_namespace_that_is_there(self):
        self.veth("nt0")
        self.host.ip("address", "add", "192.0.2.7/24", "dev", "nt0")
        self.give(nt0="eth0")
        self.created()
        self.assertEqual(self.addresses(self.other.links()["eth0"]), {("192.0.2.7", 24)})

    def test_stays_there_after_delete(self):
        self.veth("nt0")
        self.give(nt0="eth0")
        self.created()
        self.assertOk(self.delete("--force"))
        self.assertIn("eth0", self.other.links())
        self.assertNotIn("nt0", self.host.links())

    def test_name_clash(self):
        self.other.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0-p")
        self.veth("nt0")
        self.host.ip("address", "add", "192.0.2.7/24", "dev", "nt0")
        self.host.ip("link", "set", "nt0", "up")
        before, others = self.host.links(), self.other.links()
        self.give(nt0="eth0")
        self.assertRefused('netDevices["nt0"]', "file exists")
        self.assertSameLinks(self.host.links(), before)
        self.assertSameLinks(self.other.links(), others)

    def assertSameLinks(self, links, before):
        self.assertEqual(set(links), set(before))
        for name, link in links.items():
            self.assertEqual(self.addresses(link), self.addresses(before[name]), name)
            self.assertEqual("UP" in link["flags"], "UP" in before[name]["flags"], name)

    def test_old_name_taken_there_is_no_clash(self):
        self.other.ip("link", "add", "nt0", "type", "veth", "peer", "name", "nt0-p")
        self.veth("nt0")
        self.give(nt0="eth0")
        self.created()
        self.assertLessEqual({"nt0", "eth0"}, set(self.other.links()))

    def test_template_where_names_are_taken(self):
        self.other.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth1")
        self.veth("nt0")
        self.give(nt0="eth%d")
        self.created()
        self.assertIn("eth2", self.other.links())

    def test_the_hosts_own_namespace(self):
        self.veth("nt0")
        self.linux["namespaces"][-1]["path"] = str(self.host.path)
        self.give(nt0="eth0")
        self.assertRefused("linux.netDevices", "host's network namespace")
        self.assertIn("nt0", self.host.links())


class Refused(Devices):
    def assertUntouched(self, before):
        self.assertEqual(set(self.host.links()), set(before))

    def test_bad_values(self):
        self.veth("nt0")
        before = self.host.links()
        for devices, words in (({"nosuch": {}}, ['netDevices["nosuch"]', "no such device"]),
                               ({"nt0": {"name": "a/b"}}, ['netDevices["nt0"].name', "a/b"]),
                               ({"nt0": {"name": "a:b"}}, ['netDevices["nt0"].name']),
                               ({"nt0": {"name": "a b"}}, ['netDevices["nt0"].name']),
                               ({"nt0": {"name": "."}}, ['netDevices["nt0"].name']),
                               ({"nt0": {"name": "sixteen-letters-"}}, ['netDevices["nt0"].name']),
                               ({"nt0": {"name": "eth%s"}}, ['netDevices["nt0"].name']),
                               ({"nt0": {"name": "%deth"}}, ['netDevices["nt0"].name']),
                               ({"nt0": {"name": "lo"}}, ['netDevices["nt0"].name', "lo"]),
                               ({"": {"name": "x"}}, ['netDevices[""]']),
                               ({"a/b": {}}, ['netDevices["a/b"]']),
                               ({"eth%d": {}}, ['netDevices["eth%d"]']),
                               ({"nt0": {"name": "x"}, "nt0-p": {"name": "x"}}, ["two devices", '"x"']),
                               ({"nt0": {"name": "nt0-p"}, "nt0-p": {}}, ["two devices"])):
            with self.subTest(devices=devices):
                self.linux["netDevices"] = devices
                self.assertRefused("linux.netDevices", *words)
                self.assertUntouched(before)

    def test_loopback(self):
        self.host.ip("link", "set", "lo", "up")
        self.give(lo="x0")
        self.assertRefused('netDevices["lo"]')
        self.assertIn("UP", self.host.links()["lo"]["flags"])
        self.assertTrue(self.addresses(self.host.links()["lo"], scope="host"))

    def test_without_a_network_namespace(self):
        self.veth("nt0")
        self.without_namespace("network")
        self.give(nt0=None)
        self.assertRefused("linux.netDevices", "needs a network namespace")
        self.assertIn("nt0", self.host.links())


class GivenBack(Devices):
    """What fails after a link has moved leaves the host as it was."""

    def setUp(self):
        super().setUp()
        self.veth("nt0")
        self.host.ip("link", "set", "nt0", "mtu", "1300")
        for address in (["192.0.2.7/24", "brd", "+", "label", "nt0:x"], ["2001:db8::7/64", "nodad"], ["169.254.9.9/16", "scope", "link"],
                        ["192.0.2.99/24", "valid_lft", "10000", "preferred_lft", "9000"]):
            self.host.ip("address", "add", *address, "dev", "nt0")
        self.host.ip("link", "set", "nt0", "up")
        self.veth("nt1")  # one that is down
        self.host.ip("link", "add", "br0", "type", "bridge")
        self.veth("nt2")  # one that is a port
        self.host.ip("link", "set", "nt2", "master", "br0", "up")
        self.give(nt0="eth0", nt1="eth1", nt2="eth2")
        self.before = self.host.links()

    def assertGivenBack(self):
        after = self.host.links()
        self.assertEqual(set(after), set(self.before))
        for name, link in after.items():
            was = self.before[name]
            for key in ("mtu", "address", "master", "ifindex"):
                self.assertEqual(link.get(key), was.get(key), f"{name}: {key}")
            self.assertEqual("UP" in link["flags"], "UP" in was["flags"], f"{name}: up")
            # The kernel makes fe80:: itself, in its own time.
            known = [{(a["local"], a["prefixlen"], a["scope"], a.get("label"), a.get("broadcast"), a.get("dynamic"))
                      for a in one["addr_info"] if not a["local"].startswith("fe80:")} for one in (link, was)]
            self.assertEqual(known[0], known[1], name)

    def test_after_each_failure(self):
        hook = {"path": "/bin/false"}
        bad = {"a process that cannot be found": lambda: self.process.update(args=["/no/such"]),
               "a mount that fails": lambda: self.config["mounts"].append(
                   {"destination": "/mnt", "type": "bind", "source": "/no/such", "options": ["bind"]}),
               "a hook of the runtime": lambda: self.config.update(hooks={"createRuntime": [hook]}),
               "a hook of the container": lambda: self.config.update(hooks={"createContainer": [hook]}),
               "a pid file": lambda: None}
        for name, spoil in bad.items():
            with self.subTest(name):
                process, mounts = dict(self.process), list(self.config["mounts"])
                spoil()
                self.assertFails(self.create(*(["--pid-file", "/no/such/file"] if name == "a pid file" else [])))
                self.assertNothingLeft()
                self.assertGivenBack()
                self.config.update(process=process, mounts=mounts, hooks={})
        # And it can be done again.
        self.assertLessEqual({"eth0", "eth1", "eth2"}, set(self.created()))

    def test_where_one_of_several_is_not_there(self):
        self.linux["netDevices"]["nt9"] = {}
        self.assertRefused('netDevices["nt9"]', "no such device")
        self.assertGivenBack()

    def test_where_the_init_is_killed(self):
        """The links come back although the namespace that they are in has lost its only process."""
        self.config["hooks"] = {"createRuntime": [{"path": "/bin/sh", "args": [
            "sh", "-c", "kill -9 $(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/'); false"], "env": ["PATH=/usr/bin:/bin"]}]}
        self.assertFails(self.create())
        self.assertNothingLeft()
        self.assertGivenBack()


if __name__ == "__main__":
    main()
