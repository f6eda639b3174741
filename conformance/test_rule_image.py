"""Egress rules that a container's init loads ready-made: the second container with a policy has them without nucleus-net, and
they are the same rules (docs/egress.md).

Each test has a policy of its own, by a comment: what is kept is found by the policy's digest.
"""

import hashlib
import json
import os
import pathlib
import shutil
import unittest

from harness import RUNTIME, NetworkNamespace, command, main, wait_until
from networks import SERVERS, SERVERS6
from test_egress import EgressCase, allow

HAS_SWITCH = "net.image" in command([RUNTIME, "list"], env={**os.environ, "NUCLEUS_FAULT": "list"}).out.split()
CACHE = pathlib.Path("/run/nucleus/egress,cache")
POLICY = allow("192.0.2.1/32 tcp/80", "198.51.100.0/24", "2001:db8:1::1/128 tcp/80") + '[[deny]]\ncidr = "198.51.100.128/25"\n'
# With this nucleus-net cannot be started.
WITHOUT_HELPER = {**os.environ, "NUCLEUS_FAULT": "create.net-helper"}


def fault(stage):
    return {**os.environ, "NUCLEUS_FAULT": stage}


@unittest.skipUnless(HAS_SWITCH, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
class ImageCase(EgressCase):
    """The container makes its network namespace. `plug` puts a link into it, as a hook or a higher tool does."""

    cache = CACHE

    def setUp(self):
        super().setUp()
        self.netns.ip("link", "delete", "eth0")
        for namespace in self.linux["namespaces"]:
            namespace.pop("path", None)
        self.process["args"] = ["/bin/sleep", "1000"]
        self.unique(POLICY)

    def unique(self, text):
        self.text = text + f"# {os.urandom(8).hex()}\n"
        self.policy(self.text)

    def image(self):
        """The file in which this policy's rules are kept."""
        digest = hashlib.sha256(self.text.encode()).hexdigest().encode()
        if not self.cache.exists():
            return None
        for file in self.cache.iterdir():
            try:
                if digest in file.read_bytes():
                    return file
            except FileNotFoundError:  # another test's
                pass
        return None

    def prime(self):
        """A container has had the policy, and its rules are kept."""
        self.assertOk(self.create())
        self.assertOk(self.delete("--force"))
        self.assertIsNotNone(self.image())

    def inside(self):
        return NetworkNamespace.of(self.state()["pid"])

    def ruleset(self):
        return json.loads(self.inside().run("nft", "-j", "list", "ruleset"))

    def plug(self):
        near = self.inside()
        command(near.enter() + ["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "srv0", "netns",
                                str(self.outside.path)])
        for address in ("192.0.2.100/24", "2001:db8:1::100/64"):
            near.ip("address", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
        near.ip("link", "set", "eth0", "up")
        for address in SERVERS[:2]:
            self.outside.ip("address", "add", address + "/24", "dev", "srv0")
        for address in SERVERS6:
            self.outside.ip("address", "add", address + "/64", "dev", "srv0", "nodad")
        self.outside.ip("link", "set", "srv0", "up")
        near.ip("route", "add", "default", "via", "192.0.2.1")

    def in_user_namespace(self):
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        for path in (self.directory, self.bundle):
            path.chmod(0o755)
        command(["chown", "-R", "100000:100000", str(self.rootfs)])

    def assertTakesImage(self):
        self.assertOk(self.create(env=WITHOUT_HELPER))

    def assertTakesHelper(self):
        self.assertFails(self.create(env=WITHOUT_HELPER), "injected fault at create.net-helper")
        self.assertNothingLeft()


# It lists what is in force, for whoever compares.
NFT = unittest.skipUnless(shutil.which("nft"), "nft is not installed")


class Same(ImageCase):
    def shown(self):
        facts = self.facts()
        enforced = json.loads(self.state()["annotations"]["dev.nucleus.enforced.egress"])
        return self.ruleset(), facts, enforced, self.egress()

    @NFT
    def test_rules_and_evidence(self):
        for policy in (POLICY, "", 'inbound = ["tcp/7000", "udp/1-9"]\n' + allow("0.0.0.0/0 tcp/443", "::/0 tcp/443"),
                       allow(*(f"10.{n // 250}.{n % 250}.0/28 {'tcp/443' if n % 2 else ''}" for n in range(2000)))):
            with self.subTest(policy=policy[:80]):
                self.unique(policy)
                self.assertTakesHelper()
                self.assertOk(self.create())
                first = self.shown()
                self.assertOk(self.delete("--force"))
                self.assertTakesImage()
                self.assertEqual(self.shown(), first)
                self.assertEqual(first[2]["policy"], "sha256:" + hashlib.sha256(self.text.encode()).hexdigest())
                self.assertOk(self.delete("--force"))

    def stages(self, *before):
        """Of a `create`: who came where."""
        trace = self.directory / "trace"
        trace.write_text("")
        result = command([*before, *self.host.enter(), RUNTIME, "--root", self.root, "create", "--bundle", self.bundle, self.id],
                         env={**os.environ, "NUCLEUS_FAULT_TRACE": str(trace)})
        self.assertOk(result)
        return {stage: pid for pid, stage in map(str.split, trace.read_text().splitlines())}

    def test_nothing_runs_beside_it(self):
        """Nothing is executed for the rules: the runtime loads them itself, while the init makes its way."""
        self.prime()
        stages = self.stages()
        for stage in ("net.image", "net.rules", "net.read-back", "create.net-ready"):
            self.assertEqual(stages[stage], stages["create.net-setup"], stage)
        self.assertNotIn("create.net-helper", stages)

    @NFT
    def test_the_init_does_it(self):
        """Where the runtime may not look at the container's process: the same rules."""
        self.prime()
        self.assertOk(self.create())
        first = self.shown()
        self.assertOk(self.delete("--force"))
        stages = self.stages("setpriv", "--bounding-set=-sys_ptrace")
        for stage in ("net.image", "net.rules", "net.read-back"):
            self.assertEqual(stages[stage], "1", stage)
        self.assertEqual(self.shown(), first)

    def test_traffic(self):
        said = []
        for env in (None, WITHOUT_HELPER):
            self.assertOk(self.create(**({"env": env} if env else {})))
            self.plug()
            server = self.serve("tcp/192.0.2.1/80", "tcp/192.0.2.1/81", "tcp/192.0.2.2/80", "tcp/198.51.100.1/7777",
                                "tcp/2001:db8:1::1/80", "tcp/2001:db8:1::2/80")
            self.assertOk(self.start())
            said.append([self.tcp(*to) for to in (("192.0.2.1", 80), ("198.51.100.1", 7777), ("2001:db8:1::1", 80),
                                                  ("192.0.2.1", 81), ("192.0.2.2", 80), ("2001:db8:1::2", 80),
                                                  ("198.51.100.129", 80))])
            self.assertEqual(self.counters()["allowed"], 3)
            server.stop()
            self.assertOk(self.delete("--force"))
            wait_until(lambda: "srv0" not in self.outside.links(), "the link's end")
        self.assertEqual(said[0], ["ok"] * 3 + ["ECONNREFUSED"] * 4)
        self.assertEqual(said[1], said[0])

    def test_replaced(self):
        self.prime()
        self.assertTakesImage()
        self.plug()
        self.serve("tcp/192.0.2.1/80", "tcp/192.0.2.2/80")
        self.assertOk(self.start())
        self.assertEqual((self.tcp("192.0.2.1", 80), self.tcp("192.0.2.2", 80)), ("ok", "ECONNREFUSED"))
        self.assertOk(self.replace(allow("192.0.2.2/32 tcp/80")))
        self.assertEqual((self.tcp("192.0.2.1", 80), self.tcp("192.0.2.2", 80)), ("ECONNREFUSED", "ok"))
        self.assertEqual(self.facts()["generation"], 2)
        # To one that somebody has to stay for, and back.
        self.assertOk(self.replace("log = true\n" + allow("192.0.2.1/32 tcp/80")))
        self.assertGreater(self.manager(), 0)
        self.assertEqual((self.tcp("192.0.2.1", 80), self.tcp("192.0.2.2", 80)), ("ok", "ECONNREFUSED"))
        self.assertOk(self.delete("--force"))
        self.assertNothingLeft()

    @NFT
    def test_in_a_user_namespace(self):
        """What was made without one serves with one, and the other way round."""
        self.prime()
        self.in_user_namespace()
        self.assertTakesImage()
        within = self.ruleset()
        self.assertOk(self.delete("--force"))
        self.image().unlink()
        self.assertOk(self.create())
        self.assertEqual(self.ruleset(), within)
        self.assertOk(self.delete("--force"))
        self.assertTakesImage()

    @NFT
    def test_in_anothers_user_namespace(self):
        """The network namespace is new, and belongs to the user namespace of a container that is there."""
        self.in_user_namespace()
        self.prime()
        self.assertTakesImage()
        first, rules = self.id, self.ruleset()
        user = next(n for n in self.linux["namespaces"] if n["type"] == "user")
        user["path"] = f"/proc/{self.state()['pid']}/ns/user"
        del self.linux["uidMappings"], self.linux["gidMappings"]
        self.id = first + "-b"
        self.linux["cgroupsPath"] += "-b"
        self.assertTakesImage()
        self.assertEqual(self.ruleset(), rules)
        self.assertOk(self.delete("--force"))
        self.id = first

    @NFT
    def test_before_a_hook(self):
        out = self.directory / "seen"
        script = self.directory / "hook"
        script.write_text(f'#!/bin/sh\npid=$(sed "s/.*\\"pid\\": *\\([0-9]*\\).*/\\1/" | tr -dc 0-9)\nnsenter --net=/proc/$pid/ns/net nft list ruleset > {out}\n')
        script.chmod(0o755)
        self.config["hooks"] = {"createRuntime": [{"path": str(script),
                                                   "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}]}
        self.prime()
        first = out.read_text()
        self.assertIn("198.51.100.0/24", first)
        out.unlink()
        self.assertTakesImage()
        self.assertEqual(out.read_text(), first)

    def test_modes(self):
        for mode in ("agent", "strict-agent"):
            with self.subTest(mode=mode):
                self.config["annotations"]["dev.nucleus.mode"] = mode
                if mode == "agent":
                    self.in_user_namespace()
                self.unique(POLICY)
                self.prime()
                self.assertTakesImage()
                self.assertEqual(self.facts()["generation"], 1)
                self.assertOk(self.start())
                self.assertOk(self.delete("--force"))
                # No mode goes on without the rules.
                for stage in ("net.rules", "net.read-back"):
                    self.assertFails(self.create(env=fault(stage)), f"injected fault at {stage}")
                    self.assertNothingLeft()
                    self.prime()


class Faults(ImageCase):
    STAGES = ("create.net-setup", "net.image", "net.rules", "net.read-back", "create.net-ready")

    def test_each_stage_fails(self):
        for stage in self.STAGES:
            with self.subTest(stage=stage):
                self.prime()
                self.assertFails(self.create(env=fault(stage)), f"injected fault at {stage}")
                self.assertNothingLeft()

    def test_killed_at_each_stage(self):
        for stage in self.STAGES:
            with self.subTest(stage=stage):
                self.prime()
                self.assertNotEqual(self.create(env=fault(f"kill:{stage}")).status, 0)
                self.runtime("delete", "--force", self.id)
                self.assertNothingLeft()

    def test_rules_that_failed_are_made_anew(self):
        self.prime()
        self.assertFails(self.create(env=fault("net.read-back")), "injected fault")
        self.assertIsNone(self.image())
        self.assertTakesHelper()
        self.prime()
        self.assertTakesImage()


class Cache(ImageCase):
    """What is kept is used only where nobody else can have had a hand in it."""

    def seal(self, file, content):
        file.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)

    @NFT
    def test_tampered_with(self):
        def flip(at):
            def change(file):
                content = bytearray(file.read_bytes())
                content[at] ^= 1
                file.write_bytes(content)
            return change

        def linked(file):
            other = self.directory / "other-name"
            other.unlink(missing_ok=True)
            if os.stat(file).st_dev == os.stat(self.directory).st_dev:
                os.link(file, other)
            else:
                os.link(file, file.with_name(file.name + ".x"))
                self.addCleanup(file.with_name(file.name + ".x").unlink, missing_ok=True)

        def symlinked(file):
            shutil.move(file, self.directory / "moved")
            file.symlink_to(self.directory / "moved")

        ways = {"digest": flip(0), "key": flip(80), "batch": flip(-30), "cut short": lambda f: os.truncate(f, 500),
                "mode": lambda f: f.chmod(0o660), "owner": lambda f: os.chown(f, 65534, 65534), "hard link": linked,
                "symbolic link": symlinked, "empty": lambda f: os.truncate(f, 0)}
        self.prime()
        self.assertOk(self.create())
        rules = self.ruleset()
        self.assertOk(self.delete("--force"))
        for name, change in ways.items():
            with self.subTest(what=name):
                self.prime()
                file = self.image()
                change(file)
                self.assertTakesHelper()
                self.assertOk(self.create())
                self.assertEqual(self.ruleset(), rules)
                self.assertOk(self.delete("--force"))
                # And it is there again for the next one.
                self.assertTakesImage()
                self.assertEqual(self.ruleset(), rules)
                self.assertOk(self.delete("--force"))

    @NFT
    def test_other_rules_under_a_good_seal(self):
        """Only root could have written it; still, what the kernel has is not what was once compared."""
        self.prime()
        file = self.image()
        content = file.read_bytes()[65:]
        deny = bytes((198, 51, 100, 128))
        self.assertEqual(content.count(deny), 1)
        self.seal(file, content.replace(deny, bytes((198, 51, 100, 127))))
        self.assertFails(self.create(env=WITHOUT_HELPER), "egress: nf_tables: the kernel does not have what was loaded")
        self.assertNothingLeft()
        # It is not tried again.
        self.assertTakesHelper()
        self.assertOk(self.create())
        self.assertIn("198.51.100.128", json.dumps(self.ruleset()))

    def test_messages_that_are_none(self):
        self.prime()
        file = self.image()
        content = file.read_bytes()[65:]
        length = content.split(b"\n", 1)[0]
        end = content.index(b"\n", len(length) + 1 + int(length)) + 1  # behind the key and the image's own line
        self.seal(file, content[:end] + b"\0" * 64)
        self.assertFails(self.create(env=WITHOUT_HELPER), "egress: nf_tables: ")
        self.assertNothingLeft()

    def test_another_kernels(self):
        """By the key alone."""
        self.prime()
        file = self.image()
        content = file.read_bytes()[65:]
        release = os.uname().release.encode()
        self.assertIn(b"\n" + release + b"\n", content)
        self.seal(file, content.replace(b"\n" + release + b"\n", b"\n" + b"0" * len(release) + b"\n"))
        self.assertTakesHelper()

    @NFT
    def test_what_is_not_kept(self):
        """Where the rules need more than the policy, or the namespace is another's."""
        for policy in ("log = true\n" + POLICY, '[[allow]]\ndomain = "a.example"\n[dns]\nservers = ["192.0.2.1"]\n'):
            with self.subTest(policy=policy):
                (self.rootfs / "etc").mkdir(exist_ok=True)
                (self.rootfs / "etc" / "resolv.conf").touch()
                self.unique(policy)
                self.assertOk(self.create())
                self.assertOk(self.delete("--force"))
                self.assertIsNone(self.image())
        self.unique(POLICY)
        for namespace in self.linux["namespaces"]:
            if namespace["type"] == "network":
                namespace["path"] = str(self.netns.path)
        self.assertOk(self.create())
        self.assertOk(self.delete("--force"))
        self.assertIsNone(self.image())
        self.assertEqual(self.tables(self.netns), [])


class Rootless(ImageCase):
    """An ordinary user's rules are kept in a directory of its own."""

    USER = 65534

    def setUp(self):
        super().setUp()
        self.belongs_to(self.USER)
        self.runtime_dir = self.directory / "runtime-dir"
        self.runtime_dir.mkdir(mode=0o700)
        os.chown(self.runtime_dir, self.USER, self.USER)
        self.cache = self.runtime_dir / "nucleus" / "egress,cache"

    def runtime(self, *args, env=None, **keywords):
        given = {key: value for key, value in (env or {}).items() if key.startswith("NUCLEUS_")}
        return command(self.host.enter() + ["setpriv", f"--reuid={self.USER}", f"--regid={self.USER}", "--clear-groups",
                                            RUNTIME, "--root", self.root, "--cgroup-manager", "disabled", *args],
                       env={"PATH": os.environ["PATH"], "XDG_RUNTIME_DIR": str(self.runtime_dir), **given}, **keywords)

    @NFT
    def test_the_same_rules(self):
        self.assertTakesHelper()
        self.assertOk(self.create())
        self.assertEqual(os.stat(self.image()).st_uid, self.USER)
        self.assertOk(self.start())  # before that an ordinary user may not look into it
        first = self.facts(), self.ruleset()
        self.assertOk(self.delete("--force"))
        self.assertTakesImage()
        self.assertOk(self.start())
        self.assertEqual((self.facts(), self.ruleset()), first)
        self.assertOk(self.replace(""))
        self.assertEqual(self.facts()["generation"], 2)

    def test_each_stage_fails(self):
        """Here it is the init that loads them."""
        for stage in ("net.image", "net.rules", "net.read-back"):
            with self.subTest(stage=stage):
                self.prime()
                self.assertFails(self.create(env=fault(stage)), f"injected fault at {stage}")
                self.assertNothingLeft()
                self.assertIsNone(self.image())

    def test_more_than_may_be_sent(self):
        """At once, without rights over the host: nucleus-net has none either, and says so."""
        self.unique(allow(*(f"10.{n // 250}.{n % 250}.0/28" for n in range(4000))))
        self.assertOk(self.create())
        self.assertOk(self.delete("--force"))
        self.assertTakesImage()


if __name__ == "__main__":
    main()
