"""nix-bundle/: root filesystems and bundles that Nix builds, in a store of the test's own, from a static busybox and without
nixpkgs; each part of such a bundle changed, and refused.

NIXPKGS_LIB, the directory `lib` of nixpkgs, is what the NixOS module takes; without it those tests are skipped.
"""

import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import textwrap
import unittest

from harness import BUSYBOX, IS_NUCLEUS, PROJECT, RUNTIME, Case, command, main

SOURCE = PROJECT / "nix-bundle"
HAS_NIX = shutil.which("nix-build") is not None
NIXPKGS_LIB = os.environ.get("NIXPKGS_LIB", "")


class Store:
    """A store of the test's own, with Nix's state: single-user, nothing fetched."""

    def __init__(self):
        # Not below /tmp, where the bundles have a tmpfs.
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="nucleus-nix.", dir="/var/tmp"))
        self.directory.chmod(0o755)
        self.path = self.directory / "store"
        (self.directory / "etc").mkdir()
        (self.directory / "etc/nix.conf").write_text(
            "build-users-group =\nsandbox = false\nsubstitute = false\nexperimental-features = nix-command flakes\n")
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.directory), "NIX_PATH": "", "NIX_REMOTE": "",
            "NIX_STORE_DIR": str(self.path), "NIX_STATE_DIR": str(self.directory / "var"),
            "NIX_LOG_DIR": str(self.directory / "log"), "NIX_CONF_DIR": str(self.directory / "etc")}

    def run(self, *args):
        return command(args, env=self.environment)

    def build(self, attribute, *flags, file=SOURCE / "tests/bundles.nix"):
        return self.run("nix-build", file, "-A", attribute, "--no-out-link", "--argstr", "busybox", BUSYBOX,
                        "--argstr", "nucleus", RUNTIME, *flags)

    def built(self, attribute, *flags):
        """The first output."""
        result = self.build(attribute, *flags)
        if result.status != 0:
            raise AssertionError(result)
        return pathlib.Path(result.out.split()[0])

    def evaluate(self, expression):
        """Of an expression over `bundles`, what tests/bundles.nix gives."""
        return self.run("nix-instantiate", "--eval", "--strict", "--json", "-E",
                        f'let bundles = import {SOURCE}/tests/bundles.nix {{ busybox = "{BUSYBOX}"; nucleus = "{RUNTIME}"; }}; '
                        f"in {expression}")

    def remove(self):
        subprocess.run(["chmod", "-R", "u+w", self.directory], check=False)
        shutil.rmtree(self.directory)


@unittest.skipUnless(IS_NUCLEUS, "bundles of nucleus")
@unittest.skipUnless(HAS_NIX, "no nix-build here (Debian's package nix-bin)")
class Nix(Case):
    @classmethod
    def setUpClass(cls):
        cls.store = Store()
        cls.addClassCleanup(cls.store.remove)

    def run_bundle(self, bundle, *flags, digest=None, replaced=None, **keywords):
        """Runs it; `replaced` is a directory that takes the store's place, for this command alone."""
        digest = digest or (bundle / "config-digest").read_text().strip()
        args = ["--root", self.root, "run", "--config-digest", digest, "--bundle", bundle, *flags, self.id]
        if replaced is None:
            return command([RUNTIME, *args], **keywords)
        return command(["unshare", "--mount", "sh", "-euc", 'mount --bind "$0" "$1"; shift; exec "$@"', replaced, self.store.path,
                        RUNTIME, *args], **keywords)


class Expressions(Nix):
    def test_every_one_parses(self):
        files = sorted(SOURCE.rglob("*.nix")) + sorted(PROJECT.glob("*.nix"))
        self.assertGreater(len(files), 8)
        result = self.store.run("nix-instantiate", "--parse", *files)
        self.assertOk(result)

    def test_wrong_options(self):
        """Each is an error of the evaluation, and begins with the option's name."""
        bundle = "bundles.lib.mkBundle (bundles.common // { rootfs = bundles.copied; } // %s)"
        rootfs = "bundles.lib.mkRootfs (bundles.rootfs // %s)"
        for call, options, words in (
                (bundle, '{ mod = "agent"; }', "mkBundle.mod: unknown option; there are annotations, "),
                (bundle, '{ mode = "prod"; }', "mkBundle.mode: must be one of agent, strict-agent, production"),
                (bundle, '{ rootfs = "/nix/store/x"; }', "mkBundle.rootfs: must be what mkRootfs gives"),
                (bundle, "{ process = { }; }", "mkBundle.process.args: is missing"),
                (bundle, '{ process.args = [ ]; }', "mkBundle.process.args: must be a list that is not empty"),
                (bundle, '{ process = { args = [ "x" ]; cwd = "srv"; }; }', "mkBundle.process.cwd: must be an absolute path"),
                (bundle, '{ process = { args = [ "x" ]; env."A=B" = "x"; }; }', 'mkBundle.process.env: "A=B" is no name of a variable'),
                (bundle, '{ process = { args = [ "x" ]; env.A = [ ]; }; }', "mkBundle.process.env.A: must be a text or a number"),
                (bundle, '{ process = { args = [ "x" ]; rlimits.nofile = 1; }; }', "mkBundle.process.rlimits.nofile: must be a limit's name"),
                (bundle, '{ process = { args = [ "x" ]; capabilities = [ "CHOWN" ]; }; }', "mkBundle.process.capabilities[0]: must be the name"),
                (bundle, "{ user.uid = 4294967295; }", "mkBundle.user.uid: must be an id"),
                (bundle, "{ user.mappings = [ { hostID = 1; size = 1; } ]; }", "mkBundle.user.mappings[0].containerID: is missing"),
                (bundle, '{ limits = { memory = "256MB"; pids = 1; }; }', "mkBundle.limits.memory: must be a number of bytes"),
                (bundle, "{ limits = { memory = 1048576; }; }", "mkBundle.limits.pids: is missing: production mode needs it"),
                (bundle, '{ network = "hosts"; }', "mkBundle.network: must be one of none, bridge"),
                (bundle, '{ network = "host"; }', 'mkBundle.network: must be something other than "host"'),
                (bundle, '{ mode = "agent"; network.mode = "host"; }', 'mkBundle.network: must be something other than "host"'),
                (bundle, "{ user.namespace = false; }", "mkBundle.user.namespace: must be true: the mode needs"),
                (bundle, '{ network = { mode = "none"; publish = [ "1:1" ]; }; }', "mkBundle.network: must be without published ports"),
                (bundle, '{ policies.seccmp = ./x; }', "mkBundle.policies.seccmp: unknown option"),
                (bundle, '{ policies.seccomp = 1; }', "mkBundle.policies.seccomp: must be a path"),
                (bundle, '{ mounts = [ { type = "tmpfs"; } ]; }', "mkBundle.mounts[0].destination: is missing"),
                (bundle, '{ mounts = [ { destination = "/new"; type = "tmpfs"; } ]; }', "mkBundle.mounts: /new has no place"),
                (bundle, '{ mounts = [ { destination = "/data/../x"; } ]; }', "mkBundle.mounts[0].destination: must be an absolute path"),
                (bundle, '{ annotations."dev.nucleus.mode" = "agent"; }', 'mkBundle.annotations."dev.nucleus.mode": has an option'),
                (bundle, '{ extraConfig.annotations = { }; }', "mkBundle.extraConfig: must be without annotations"),
                (bundle, '{ hostname = "-"; }', "mkBundle.hostname: must be a host name"),
                (bundle, '{ credentials = "run"; }', "mkBundle.credentials: must be an absolute path"),
                (rootfs, "{ packages = 1; }", "mkRootfs.packages: must be a list"),
                (rootfs, '{ packages = [ "x" ]; }', "mkRootfs.packages[0]: must be a package"),
                (rootfs, "{ copies = true; }", "mkRootfs.copies: unknown option; there are copy, "),
                (rootfs, "{ copy = 1; }", "mkRootfs.copy: must be true or false"),
                (rootfs, '{ mountPoints = [ "data" ]; }', "mkRootfs.mountPoints[0]: must be an absolute path"),
                (rootfs, '{ extraFiles."etc/x" = "y"; }', 'mkRootfs.extraFiles."etc/x": must be an absolute path'),
                (rootfs, '{ extraFiles."/x" = { text = "y"; link = "z"; }; }', "mkRootfs.extraFiles./x: must be one of text, source, link"),
                ("bundles.lib.mkAgentRootfs %s", "{ }", "mkAgentRootfs: pkgs has no "),
        ):
            with self.subTest(options=options):
                result = self.store.evaluate(f"({call % options}).drvPath")
                self.assertNotEqual(result.status, 0, result)
                self.assertIn(f"error: {words}", result.err)

    def test_an_agents_root(self):
        """Of a nixpkgs in which every tool is the same package."""
        root = self.store.built("agent")
        self.assertRegex(os.readlink(root / "bin/sh"), "/bin/sh$")
        self.assertTrue((root / "usr/bin/env").is_symlink())


class Build(Nix):
    def test_the_same_bits_again(self):
        for attribute in ("copiedBundle", "linkedBundle"):
            with self.subTest(attribute=attribute):
                bundle = self.store.built(attribute)
                self.assertOk(self.store.build(attribute, "--check"))
                paths = self.store.run("nix-store", "--query", "--requisites", bundle).out.split()
                self.assertGreater(len(paths), 2)
                before = self.store.run("nix-store", "--query", "--hash", *paths).out
                self.assertOk(self.store.run("nix-store", "--delete", "--ignore-liveness", *self.store.run(
                    "nix-store", "--query", "--referrers-closure", *paths).out.split()))
                self.assertFalse(bundle.exists())
                self.assertEqual(self.store.built(attribute), bundle)
                self.assertEqual(self.store.run("nix-store", "--query", "--hash", *paths).out, before)

    def test_the_same_bits_in_a_sandbox(self):
        """Where whoever builds is not root, and the store's files are nobody's."""
        paths = " ".join([BUSYBOX, RUNTIME, *filter(os.path.exists, ("/lib", "/lib64", "/usr/lib"))])
        for attribute in ("copied", "linked", "copiedBundle", "linkedBundle"):
            with self.subTest(attribute=attribute):
                self.store.built(attribute)
                self.assertOk(self.store.build(attribute, "--check", "--option", "sandbox", "true", "--option", "sandbox-paths", paths))

    def test_what_a_root_is(self):
        copied, linked = self.store.built("copied"), self.store.built("linked")
        for root in (copied, linked):
            for directory, names, files in os.walk(root):
                for name in ("", *names, *files):
                    path = pathlib.Path(directory, name)
                    status = path.lstat()
                    self.assertEqual((status.st_uid, status.st_gid, status.st_mtime), (0, 0, 1), path)
                    if not path.is_symlink():
                        self.assertEqual(status.st_mode & 0o222, 0, path)
            self.assertEqual((root / "etc/greeting").read_text(), "it's \"here\"\n")
            self.assertEqual(os.readlink(root / "srv/link"), "/etc/greeting")
            self.assertTrue(os.access(root / "srv/run", os.X_OK))
            self.assertTrue((root / "data").is_dir())
            self.assertIn("root:x:0:0", (root / "etc/passwd").read_text())
        target = os.readlink(linked / "bin/sh")
        self.assertTrue(target.startswith(str(self.store.path)), target)
        self.assertTrue((copied / target[1:]).exists())
        self.assertEqual(list((linked / target[1:]).parent.parent.iterdir()) if (linked / target[1:]).exists() else [], [])

    def test_two_packages_with_one_name(self):
        result = self.store.build("collision")
        self.assertNotEqual(result.status, 0)
        self.assertIn("/bin/sh is in two packages", result.err)
        self.assertIn("-shell/bin/sh", os.readlink(self.store.built("first") / "bin/sh"))

    def test_a_policy_that_does_not_parse(self):
        result = self.store.build("badPolicy")
        self.assertNotEqual(result.status, 0)
        self.assertRegex(result.err, r'landlock: policies/landlock.toml:3: rules\[0\].access\[1\]: unknown word "exec"')

    def test_one_digest_pins_the_whole(self):
        bundle = self.store.built("linkedBundle")
        digest = (bundle / "config-digest").read_text().strip()
        annotations = json.loads((bundle / "config.json").read_text())["annotations"]
        self.assertEqual(annotations["dev.nucleus.mode"], "production")
        pins = {key: value for key, value in annotations.items() if "@sha256:" in value}
        self.assertEqual({key.removeprefix("dev.nucleus.") for key in pins},
                         {"rootfs.manifest", "rootfs.closure", "policy.capabilities", "policy.seccomp"})
        result = command([RUNTIME, "policy", "verify", bundle])
        self.assertOk(result)
        self.assertIn(f"config.json@{digest}", result.out)
        drv = self.store.run("nix-store", "--query", "--deriver", bundle).out.strip()
        outputs = self.store.run("nix-store", "--query", "--outputs", drv).out.split()
        self.assertIn(f"NUCLEUS_CONFIG_DIGEST={digest}\n", [pathlib.Path(path).read_text() for path in outputs if os.path.isfile(path)])


class Run(Nix):
    def test_production(self):
        for attribute in ("copiedBundle", "linkedBundle"):
            with self.subTest(attribute=attribute):
                result = self.run_bundle(self.store.built(attribute))
                self.assertOk(result)
                self.assertEqual(result.out.splitlines()[:2], ["it's \"here\"", "ran"])
                self.assertIn("Read-only file system", result.out)

    def shell(self, script):
        bundle = self.store.built("shellBundle")
        with tempfile.TemporaryFile() as stdin:
            stdin.write(script.encode())
            stdin.seek(0)
            result = self.run_bundle(bundle, stdin=stdin)
        self.assertOk(result)
        return result.out

    def test_nothing_of_the_store_but_the_closure(self):
        unrelated = self.store.built("pkgs.unrelated")
        self.assertTrue((unrelated / "secret").exists())
        seen = set(self.shell(f"ls -a {self.store.path}").split()) - {".", ".."}
        root = self.store.built("linked")
        closure = set(self.store.run("nix-store", "--query", "--requisites", root).out.split()) - {str(root)}
        self.assertEqual({str(self.store.path / name) for name in seen}, closure)
        self.assertEqual(len(closure), 2)

    def test_the_process(self):
        out = self.shell("id -u; id -g; echo $COLOUR; cat /srv/stored; cat /srv/link; cat /share/doc/reference")
        self.assertEqual(out, "1000\n1000\nblue\nhello from the store\nit's \"here\"\n"
                         f"{self.store.path}/" + re.search(r"\S*-greeting\n$", out).group(0).rsplit("/", 1)[1])

    def test_a_store_that_was_optimised(self):
        """Nix makes hard links of files that are equal, whenever it likes."""
        bundle = self.store.built("linkedBundle")
        self.assertOk(self.store.run("nix-store", "--optimise"))
        self.assertGreater(max(path.stat().st_nlink for path in self.store.path.glob("*-shell/bin/busybox")), 1)
        self.assertOk(self.run_bundle(bundle))


class Changed(Nix):
    """One thing of the store changed, in a copy of it that is mounted in its place."""

    def copy(self):
        copy = self.directory / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        subprocess.run(["cp", "-a", self.store.path, copy], check=True)
        self.directory.chmod(0o755)
        return copy

    def test_a_copy_alone_is_no_difference(self):
        bundle = self.store.built("linkedBundle")
        self.assertOk(self.run_bundle(bundle, replaced=self.copy()))

    def test_each_part(self):
        bundles = {name: self.store.built(f"{name}Bundle") for name in ("copied", "linked")}
        roots = {name: self.store.built(name) for name in bundles}
        tool = os.readlink(roots["linked"] / "bin/busybox")
        manifest = 'annotations["dev.nucleus.rootfs.manifest"]'

        def flip(path):
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)

        def relink(path):
            path.unlink()
            path.symlink_to("/srv/run")

        def add(path):
            path.write_text("# more\n" if not path.exists() else path.read_text() + "\n")

        def edit(path):
            text = path.read_text()
            self.assertIn('"limit":50', text)
            path.write_text(text.replace('"limit":50', '"limit":51'))

        for name, path, change, words in (
                ("copied", str(roots["copied"] / tool[1:]), flip, (manifest, f"different {tool}: content differs")),
                ("copied", str(roots["copied"] / "srv/run"), lambda path: path.chmod(0o444), (manifest, "mode is 0444, not 0555")),
                ("copied", str(roots["copied"] / "srv/link"), relink, (manifest, "target is /srv/run, not /etc/greeting")),
                ("copied", str(roots["copied"] / "srv/new"), add, (manifest, "extra /srv/new")),
                ("linked", tool, flip, (manifest, f"different {tool}: content differs")),
                ("linked", tool, lambda path: path.chmod(0o755), (manifest, "mode is 0755, not 0555")),
                ("linked", str(roots["linked"] / "bin/sh"), relink, (manifest, "different /bin/sh: target is /srv/run")),
                ("linked", str(bundles["linked"] / "policies/capabilities.toml"), add, ("dev.nucleus.policy.capabilities", "pinned is")),
                ("linked", str(bundles["linked"] / "policies/seccomp.json"), add, ("dev.nucleus.policy.seccomp", "pinned is")),
                ("linked", str(bundles["linked"] / "rootfs.manifest"), add, (manifest, "pinned is")),
                ("linked", str(bundles["linked"] / "rootfs.closure"), add, ("dev.nucleus.rootfs.closure", "pinned is")),
                ("linked", str(bundles["linked"] / "config.json"), edit, ("config.json: is sha256:", "pinned is")),
        ):
            with self.subTest(path=path):
                copy = self.copy()
                place = copy / pathlib.Path(path).relative_to(self.store.path)
                change(place)
                result = self.run_bundle(bundles[name], replaced=copy)
                self.assertFails(result, *words)
                self.assertEqual(result.out, "")
                self.assertNothingLeft()


def blocks(kind):
    """The indented blocks of docs/nix.md that `<!-- nix: KIND -->` stands before."""
    found, lines = [], (PROJECT / "docs/nix.md").read_text().splitlines()
    for number, line in enumerate(lines):
        if line == f"<!-- nix: {kind} -->":
            text = itertools.takewhile(lambda line: line.startswith("    ") or not line, lines[number + 1:])
            found.append(textwrap.dedent("\n".join(text)).strip() + "\n")
    return found


# The names that the page uses, of what the tests have.
NAMES = (f'let b = import {SOURCE}/tests/bundles.nix {{ busybox = "{BUSYBOX}"; nucleus = "{RUNTIME}"; }}; '
         "pkgs = b.pkgs // { busybox = b.pkgs.shell; }; nucleusLib = b.lib; in ")


class Page(Nix):
    """docs/nix.md, step by step. `nix build` of a flake takes nixpkgs: the same expression is built without."""

    def test_steps(self):
        flake, = blocks("parse")
        self.assertOk(self.store.run("nix-instantiate", "--parse", "-E", flake))
        bundle, = blocks("bundle")
        (self.directory / "web.nix").write_text(bundle)
        built = self.store.run("nix-build", "--out-link", self.directory / "result", "-E",
                               f"{NAMES} import {self.directory}/web.nix {{ inherit pkgs nucleusLib; }}")
        self.assertOk(built)
        self.ids.add("web")
        (self.directory / "bin").mkdir()
        (self.directory / "bin/nucleus").write_text(f'#!/bin/sh\nexec "{RUNTIME}" --root "{self.root}" "$@"\n')
        (self.directory / "bin/nucleus").chmod(0o755)
        commands, = blocks("commands")
        first, *rest = commands.splitlines()
        self.assertEqual(first, "nix build .#web")
        self.assertEqual(len(rest), 3)
        for line in rest:
            result = command(["sh", "-euc", line], cwd=self.directory,
                             env={**os.environ, "PATH": f"{self.directory}/bin:{os.environ['PATH']}"})
            self.assertOk(result)
        self.assertEqual(result.out, "<h1>it runs</h1>\n")


def render(unit):
    """A unit as NixOS writes it from what the module says."""
    def lines(values):
        for key, value in sorted(values.items()):
            for each in value if isinstance(value, list) else [value]:
                yield f"{key}={str(each).lower() if isinstance(each, bool) else each}"

    head = {key[0].upper() + key[1:]: " ".join(unit[key]) if isinstance(unit[key], list) else unit[key]
            for key in ("description", "after", "requires", "bindsTo", "partOf") if unit.get(key)}
    head |= {key: " ".join(value) if isinstance(value, list) else value for key, value in unit.get("unitConfig", {}).items() if value}
    text = ["[Unit]", *lines(head)]
    if "serviceConfig" in unit:
        text += ["", "[Service]", *lines(unit["serviceConfig"])]
    return "\n".join(text + ["", "[Install]", f"WantedBy={' '.join(unit['wantedBy'])}", ""])


@unittest.skipUnless(NIXPKGS_LIB, "NIXPKGS_LIB does not name the directory lib of nixpkgs")
class Module(Nix):
    """The NixOS module. What of NixOS it writes to is in tests/module.nix: options without meaning."""

    def evaluated(self, expression):
        result = self.store.evaluate(f"let lib = import {NIXPKGS_LIB}; arguments = {{ inherit lib; "
                                     f'busybox = "{BUSYBOX}"; nucleus = "{RUNTIME}"; }}; in {expression}')
        self.assertOk(result)
        return json.loads(result.out)

    def failures(self, containers):
        return self.evaluated(f"(import {SOURCE}/tests/module.nix (arguments // {{ containers = {containers}; }})).failed")

    def units(self):
        """Unit name → text, built: what their lines name is there."""
        module = self.evaluated(f"import {SOURCE}/tests/services.nix arguments")
        self.assertEqual(module["failed"], [])
        self.assertEqual(module["tmpfiles"], ["d /var/lib/web 0750 100000 100000 -"])
        units = {f"{name}.service": render(unit) for name, unit in module["services"].items()}
        return units | {f"{name}.target": render(unit) for name, unit in module["targets"].items()}

    def test_units(self):
        """UPDATE=1 in the environment writes the expected ones anew."""
        expected = SOURCE / "tests/units"
        units = {name: re.sub(rf"{self.store.path}/[0-9a-z]{{32}}-", "STORE/", text) for name, text in self.units().items()}
        if os.environ.get("UPDATE"):
            shutil.rmtree(expected, ignore_errors=True)
            expected.mkdir()
            for name, text in units.items():
                (expected / name).write_text(text)
        self.assertEqual(units, {path.name: path.read_text() for path in expected.iterdir()})

    @unittest.skipUnless(shutil.which("systemd-analyze"), "no systemd-analyze here")
    def test_systemd_takes_them(self):
        for attribute in ("pkgs.runtime", "pkgs.coreutils"):
            self.store.built(attribute)
        directory = self.directory / "units"
        directory.mkdir()
        for name, text in self.units().items():
            (directory / name).write_text(text)
        # Others of the host's units are no business of this test: what is looked for is a complaint about these.
        result = command(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *directory.iterdir()],
                         env={**os.environ, "SYSTEMD_UNIT_PATH": f"{directory}:"})
        self.assertEqual([line for line in (result.out + result.err).splitlines() if "nucleus-" in line], [], result)
        self.assertOk(result)
        (directory / "nucleus-db.service").write_text("[Service]\nExecStart=/nowhere\nKillMod=x\n")
        result = command(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", directory / "nucleus-db.service"])
        self.assertIn("nucleus-db.service", result.out + result.err)

    def test_what_does_not_go_together(self):
        bundles = f"let b = import {SOURCE}/tests/bundles.nix {{ inherit (arguments) busybox nucleus; }}; in "
        for container, words in (
                ("{ }", "either bundle or rootfs must be given"),
                ("{ bundle = b.copiedBundle; rootfs = b.copied; }", "either bundle or rootfs must be given"),
                ('{ bundle = b.copiedBundle; secrets.a = "/x"; }', "its bundle was built without credentials"),
                ('{ bundle = b.copiedBundle; environment.A = "x"; }', "are the bundle's"),
                ('{ bundle = b.copiedBundle; after = [ "nobody" ]; }', "after names one that is not there: nobody"),
                ("{ bundle = b.copiedBundle; health.command = [ ]; }", "health.command is empty")):
            with self.subTest(container=container):
                failed = self.failures(f"{bundles} {{ web = {container}; }}")
                self.assertEqual(len(failed), 1, failed)
                self.assertIn("container web", failed[0])
                self.assertIn(words, failed[0])

    def test_wrong_options(self):
        for options, words in (('{ mod = "x"; }', "mod' does not exist"), ("{ notify = 1; }", "notify' is not of type"),
                               ('{ configDigest = "sha256:1"; }', "configDigest' is not of type"),
                               ('{ ports = [ "80" ]; network = "bridge"; }', "ports"), ('{ network = "host"; }', "network' is not of type")):
            with self.subTest(options=options):
                result = self.store.evaluate(
                    f'(import {SOURCE}/tests/module.nix {{ lib = import {NIXPKGS_LIB}; busybox = "{BUSYBOX}"; nucleus = "{RUNTIME}"; '
                    f"containers.web = {{ rootfs = bundles.copied; process.args = [ \"x\" ]; mode = \"agent\"; }} // {options}; }}).services")
                self.assertNotEqual(result.status, 0)
                self.assertIn(words, result.err)

    def test_the_page_s_service(self):
        """Its bundle runs with what its unit gives it: without systemd, so that the test stands in for it."""
        block, = blocks("module")
        service = block.removeprefix("services.nucleus.containers.web = ").rstrip().removesuffix(";")
        expression = (f'(import {SOURCE}/tests/module.nix {{ lib = import {NIXPKGS_LIB}; busybox = "{BUSYBOX}"; nucleus = "{RUNTIME}"; '
                      f"containers.web = {service.replace('/var/lib/web', str(self.directory / 'data'))}; }})")
        result = self.store.evaluate(f"({NAMES} {expression}.services.nucleus-web.serviceConfig)")
        self.assertOk(result)
        unit = json.loads(result.out)
        self.assertEqual(unit["LoadCredential"], ["token:/var/lib/secrets/token"])
        # What the unit's texts refer to, built.
        self.assertOk(self.store.run("nix-build", "--no-out-link", "-E", f"{NAMES} derivation {{ name = \"unit\"; "
                                     f"system = builtins.currentSystem; builder = pkgs.runtimeShell; PATH = \"${{pkgs.coreutils}}/bin\"; "
                                     f"args = [ \"-c\" \"echo >$out\" ]; unit = builtins.toJSON {expression}.services.nucleus-web.serviceConfig; }}"))
        digest = dict(line.split("=", 1) for line in pathlib.Path(unit["EnvironmentFile"]).read_text().splitlines())
        self.directory.chmod(0o755)
        given = self.directory / "given"
        given.mkdir()
        (given / "token").write_text("s3cret")
        data = self.directory / "data"
        data.mkdir()
        self.ids.add("nucleus-web")
        words = unit["ExecStart"].replace("--systemd-cgroup ", "").replace("/run/nucleus", str(self.root))
        for name, value in digest.items():
            words = words.replace("${%s}" % name, value)
        result = command(words.split(), env={**os.environ, "CREDENTIALS_DIRECTORY": str(given)})
        self.assertOk(result)
        self.assertEqual(result.out, "s3cret")
        self.assertFails(command(words.split(), env=os.environ), "CREDENTIALS_DIRECTORY is not set")

    def test_flake(self):
        """With a nixpkgs of its library and the test's packages: what the flake has, and that it fits together."""
        nixpkgs = ("{ inherit lib; legacyPackages = lib.genAttrs [ \"x86_64-linux\" \"aarch64-linux\" ] (system: b.pkgs // { inherit system; "
                   "callPackage = path: _: builtins.seq (import path) b.pkgs.runtime; writeText = builtins.toFile; hello = b.pkgs.shell; "
                   "diffutils = b.pkgs.coreutils; mkShell = arguments: arguments; "
                   "} // lib.genAttrs [ \"clang-tools\" \"ccache\" \"boost\" \"python3\" \"jq\" \"nftables\" \"strace\" ] (_: b.pkgs.shell)); }")
        outputs = self.evaluated(f"""
            let b = import {SOURCE}/tests/bundles.nix {{ inherit (arguments) busybox nucleus; }};
                flake = import {PROJECT}/flake.nix;
                self = flake.outputs {{ inherit self; nixpkgs = {nixpkgs}; }};
                modules = lib.evalModules {{ modules = [ self.nixosModules.default {{
                  config._module = {{ check = false; args.pkgs = b.pkgs; }}; }} ]; }};
                overlaid = self.overlays.default (b.pkgs // {{ callPackage = _: _: b.pkgs.runtime; }} // overlaid) {{ }};
            in {{ inputs = builtins.attrNames flake.inputs; outputs = builtins.attrNames self;
                 packages = builtins.attrNames self.packages.aarch64-linux; lib = builtins.attrNames self.lib.x86_64-linux;
                 checks = map (check: self.checks.x86_64-linux.${{check}}.drvPath) (builtins.attrNames self.checks.x86_64-linux);
                 shell = builtins.length self.devShells.x86_64-linux.default.packages;
                 module = modules.config.services.nucleus.package == b.pkgs.runtime;
                 overlay = builtins.attrNames overlaid ++ builtins.attrNames overlaid.nucleusLib; }}""")
        functions = ["mkAgentRootfs", "mkBundle", "mkRootfs"]
        self.assertEqual(outputs["inputs"], ["nixpkgs"])
        self.assertEqual(outputs["outputs"], ["checks", "devShells", "lib", "nixosModules", "overlays", "packages"])
        self.assertEqual(outputs["packages"], ["default", "nucleus", "options"])
        self.assertEqual(outputs["lib"], functions)
        self.assertEqual(len(outputs["checks"]), 3)
        self.assertEqual(outputs["shell"], 7)
        self.assertTrue(outputs["module"])
        self.assertEqual(outputs["overlay"], ["nucleus", "nucleusLib", *functions])

    def test_docs_of_the_options(self):
        page = self.evaluated(f"import {SOURCE}/module/docs.nix {{ inherit lib; }}")
        path = PROJECT / "docs/nix-options.md"
        if os.environ.get("UPDATE"):
            path.write_text(page)
        self.assertEqual(path.read_text(), page)
        self.assertIn("## `services.nucleus.containers.<name>.health.command`", page)


if __name__ == "__main__":
    main()
