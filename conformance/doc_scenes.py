"""What a block of docs/*.md that is no list of commands takes to be true: a scene makes it so. test_docs.py runs them."""

import json
import os
import pathlib
import re
import shutil
import tomllib

from harness import LANDLOCK_CREATE_RULESET, RUNTIME, command, lose_call


def lose_landlock():
    lose_call(LANDLOCK_CREATE_RULESET)


class Scenes:
    """Beside harness.Case: each scene gets the lines of its block."""

    def assertTold(self, result, lines):
        """Each line is one that was printed, whole; where the page has "...", anything."""
        printed = (result.err + result.out).splitlines()
        for line in lines:
            pattern = re.compile(".*".join(re.escape(part) for part in line.split("...")))
            self.assertTrue(any(pattern.fullmatch(one) for one in printed), f"not told: {line}\n{result}")

    def assertRefusedWith(self, lines):
        result = self.create()
        self.assertEqual(result.status, 1, result)
        self.assertTold(result, lines)
        self.assertNothingLeft()

    def needs(self, program):
        if not shutil.which(program):
            self.skipTest(f"no {program} here")

    def annotate(self, **annotations):
        self.config["annotations"] = {"dev.nucleus." + key.replace("_", "."): value for key, value in annotations.items()}

    # ---- annotations.md

    def scene_two_annotations(self, lines):
        self.annotate(gvisor_platform="kvm")
        self.assertRefusedWith(lines)

    def scene_lockdown(self, lines):
        try:
            words = pathlib.Path("/sys/kernel/security/lockdown").read_text()
            found = words[words.index("[") + 1:words.index("]")]
        except OSError:
            found = "not known: ..."
        self.annotate(require_lockdown="integrity")
        if found in ("integrity", "confidentiality"):
            self.assertOk(self.run_container())
        else:
            self.assertRefusedWith([line.replace("lockdown is none", f"lockdown is {found}") for line in lines])

    def scene_closure(self, lines):
        """The page's store is one in the test's directory."""
        paths = [self.in_store(line) for line in lines]
        for path in paths:
            path.mkdir(parents=True)
            (path / "told").write_text(path.name)
            (self.rootfs / path.relative_to("/")).mkdir(parents=True)
        (self.bundle / "closure").write_text("".join(f"{path}\n" for path in paths))
        self.annotate(rootfs_closure=f"closure@sha256:{self.digest('closure')}")
        self.process["args"] = ["/bin/cat", *(f"{path}/told" for path in paths)]
        self.assertEqual(self.output(), "".join(path.name for path in paths))

    def in_store(self, path):
        self.assertTrue(path.startswith("/nix/store/"), path)
        return self.directory / "store" / path.removeprefix("/nix/store/")

    # ---- policies.md

    def scene_pins(self, lines):
        text = "\n".join(lines).replace("/nix/store/", f"{self.directory}/store/")
        (self.directory / "store").mkdir()
        (self.bundle / "capabilities.toml").write_text('keep = ["CAP_KILL"]\n')
        landlock = re.search(r'"(/[^"@]*)@', text)[1]
        pathlib.Path(landlock).write_text('[[rules]]\npath = "/"\naccess = ["read", "execute"]\n')
        self.config.update(json.loads(self.filled_in("{" + text + "}")))
        self.assertEqual(len(self.config["annotations"]), 2)
        self.process["args"] = ["/bin/sh", "-c", "grep CapBnd /proc/self/status; echo x 2>&- > /tmp/x || echo refused"]
        self.assertEqual(self.output().split(), ["CapBnd:", f"{1 << 5:016x}", "refused"])
        self.assertOk(self.runtime("policy", "verify", self.bundle))

    def scene_unknown_word(self, lines):
        (self.bundle / "landlock.toml").write_text(
            '[[rules]]\npath = "/"\naccess = ["read"]\n\n[[rules]]\npath = "/bin"\naccess = ["exec"]\n')
        self.annotate(policy_landlock=f"landlock.toml@sha256:{self.digest('landlock.toml')}")
        self.assertRefusedWith(lines)

    # ---- modes.md

    def scene_no_landlock(self, lines):
        self.annotate(mode="agent")
        self.process["args"] = ["/bin/echo", "ran"]
        result = self.run_container(preexec_fn=lose_landlock)
        self.assertEqual((result.status, result.out), (0, "ran\n"), result)
        self.assertTold(result, lines)
        self.annotate(mode="strict-agent")
        self.assertFails(self.create(preexec_fn=lose_landlock), "Landlock")

    def scene_audit(self, lines):
        script = f"mount -o remount,bind,exec {self.rootfs}/dev/shm; mount -t tmpfs x {self.rootfs}/mnt"
        self.config["hooks"] = {"createContainer": [
            {"path": "/bin/sh", "args": ["sh", "-ec", script], "env": [f"PATH={os.environ['PATH']}"]}]}
        self.annotate(mode="strict-agent")
        self.assertRefusedWith(lines)

    # ---- operations.md

    def scene_checkpoint(self, lines):
        if not shutil.which("criu") or command(["criu", "check"]).status != 0:
            self.skipTest("criu is not here, or does not work on this kernel")
        # criu restores no container in a user namespace of a bundle like this page's.
        self.without_namespace("user")
        for name in ("uidMappings", "gidMappings"):
            self.linux.pop(name)
        # A standard stream that is a file outside of the container is what criu cannot dump.
        self.running("exec sleep 1000 </dev/null >/dev/null 2>&1")
        for line in lines:
            words = {"IMAGES": str(self.directory / "images"), "ID": self.id, "BUNDLE": str(self.bundle)}
            self.assertOk(self.shell(re.sub(r"\b(IMAGES|ID|BUNDLE)\b", lambda m: words[m[1]], line)))
        self.assertEqual(self.status(), "running")

    def scene_json_log(self, lines):
        log = self.directory / "log.json"
        self.assertFails(self.runtime("--log", log, "--log-format", "json", "state", "nobody"), "container does not exist")
        time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
        told = log.read_text().splitlines()
        self.assertEqual([time.sub("TIME", line) for line in told], [time.sub("TIME", line) for line in lines])

    def with_caller(self, module, make):
        """The caller's own test has all it takes; only the words here are the page's."""
        self.needs(make.lower())
        caller = getattr(__import__(module), make)()
        self.addCleanup(caller.close)
        return caller

    def scene_podman(self, lines):
        podman = self.with_caller("test_podman", "Podman")
        words = lines[0].split()
        self.assertEqual(words[:1] + words[-2:], ["podman", "IMAGE", "COMMAND"])
        flags = ["--cgroup-manager=cgroupfs", "--network=none", "--cgroup-parent", f"/{podman.cgroup}"]
        at = words.index("run") + 1
        # Its storage, and a wrapper in nucleus' place that has a state root of its own.
        words = [*words[:at], *flags[1:], *words[at:-2], "--rootfs", str(podman.rootfs), "/bin/echo", "ran"]
        words = [str(podman.runtime) if word == "/usr/bin/nucleus" else word for word in words[1:]]
        arguments = podman.args(flags[0], *words)
        at = arguments.index("--runtime")
        del arguments[at:at + 2]  # the page's counts
        result = command(arguments, env=podman.env)
        self.assertEqual((result.status, result.out), (0, "ran\n"), result)

    def scene_podman_configuration(self, lines):
        podman = self.with_caller("test_podman", "Podman")
        path = self.directory / "containers.conf"
        path.write_text("\n".join(lines).replace("/usr/bin/nucleus", str(podman.runtime)) + "\n")
        asked = "{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}}"
        arguments = podman.args("--cgroup-manager=cgroupfs", "info", "--format", asked)
        at = arguments.index("--runtime")
        del arguments[at:at + 2]
        result = command(arguments, env={**podman.env, "CONTAINERS_CONF": str(path)})
        self.assertOk(result)
        self.assertEqual(result.out.split(), ["nucleus", str(podman.runtime)])

    def scene_ctr(self, lines):
        containerd = self.with_caller("test_containerd", "Containerd")
        words = lines[0].split()
        self.assertEqual(words[:2] + words[-3:], ["ctr", "run", "IMAGE", "ID", "COMMAND"])
        at = words.index("--runc-binary") + 1
        self.assertEqual(words[at], "/usr/bin/nucleus")
        words[at] = os.path.realpath(shutil.which(RUNTIME) or RUNTIME)
        result = containerd(*words[1:-3], "--runc-root", containerd.directory / "runc", "--rootfs", containerd.rootfs, "docs",
                            "/bin/echo", "ran")
        self.assertEqual((result.status, result.out), (0, "ran\n"), result)

    def scene_containerd_configuration(self, lines):
        """containerd reads it into its own types, and says what it has understood."""
        self.needs("containerd")
        path = self.directory / "config.toml"
        path.write_text("version = 2\n" + "\n".join(lines) + "\n")
        result = command(["containerd", "--config", path, "config", "dump"])
        self.assertOk(result)
        runtimes = lambda text: tomllib.loads(text)["plugins"]["io.containerd.grpc.v1.cri"]["containerd"]["runtimes"]
        understood, written = runtimes(result.out)["nucleus"], runtimes(path.read_text())["nucleus"]
        self.assertEqual(understood["runtime_type"], written["runtime_type"])
        self.assertEqual(understood["options"], written["options"])
        self.assertIn("runtime_path", understood)  # a table of containerd's own type, and not just any
