"""The mount audit and production's root: what is mounted is read back from the kernel, and what is not as planned is an error
in strict-agent and production mode, and a degradation in agent mode."""

import hashlib
import json
import os
import pathlib
import tempfile
import unittest

from harness import IS_NUCLEUS, RUNTIME, Case, command, lose_call, main, parse_mounts
from test_faults import HAS_SWITCH

STAGE = "mount-audit"


def setUpModule():
    with tempfile.TemporaryDirectory() as directory:
        pathlib.Path(directory, "config.json").write_text(json.dumps(
            {"ociVersion": "1.2.0", "root": {"path": "nowhere"}, "annotations": {"dev.nucleus.mode": "agent"}}))
        result = command([RUNTIME, "--root", f"{directory}/state", "create", "--bundle", directory, "nt-modes"])
        if "not supported yet" in result.err:
            raise unittest.SkipTest("this build has no modes")


@unittest.skipUnless(IS_NUCLEUS, "annotations of nucleus")
class Audited(Case):
    """A bundle that every mode takes."""

    mode = "strict-agent"

    def setUp(self):
        super().setUp()
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        os.chown(self.rootfs / "mnt", 100000, 100000)  # for places to mount on
        self.set_mode(self.mode)

    def set_mode(self, mode):
        self.takes_mode(mode)
        self.config.setdefault("annotations", {})["dev.nucleus.mode"] = mode

    def mount_at(self, destination):
        return next(mount for mount in self.config["mounts"] if mount["destination"] == destination)

    def with_hook(self, script):
        """Runs it in the container's namespaces once all is mounted; ROOT is where its root is there."""
        self.config["hooks"] = {"createContainer": [
            {"path": "/bin/sh", "args": ["sh", "-ec", script.replace("ROOT", str(self.rootfs))],
             "env": [f"PATH={os.environ['PATH']}"]}]}

    def degradations(self):
        state = json.loads((self.root / self.id / "state.json").read_text())
        return {entry["stage"]: entry["reason"] for entry in state.get("degradations", [])}

    def assertPasses(self):
        """Started, in each mode, without a word of the audit."""
        for mode in ("agent", "strict-agent"):
            with self.subTest(mode=mode):
                self.set_mode(mode)
                self.sh("exec sleep 1000")
                result = self.create()
                self.assertOk(result)
                self.assertNotIn(STAGE, result.err)
                self.assertNotIn(STAGE, self.degradations())
                self.assertOk(self.start())
                self.assertOk(self.delete("--force"))

    def assertFound(self, *findings):
        """An error in strict-agent, a degradation in agent mode."""
        self.set_mode("strict-agent")
        self.assertFails(self.create(), f"{STAGE}: ", *findings)
        self.assertFalse((self.root / self.id).exists(), "state left")
        self.set_mode("agent")
        result = self.create()
        self.assertOk(result)
        for finding in findings:
            self.assertIn(finding, self.degradations()[STAGE])
        self.assertIn(f"{STAGE} is not in force", result.err)
        self.assertOk(self.start())
        self.assertOk(self.delete("--force"))


class AsPlanned(Audited):
    def test_the_usual_bundle(self):
        self.assertPasses()

    def test_a_read_only_root(self):
        self.config["root"]["readonly"] = True
        self.assertPasses()

    def test_cgroups(self):
        self.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                                      "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]})
        self.assertPasses()

    def test_binds_with_what_is_mounted_below(self):
        source = self.host_mount("source", "mode=755")
        self.host_mount("source/below", "nosuid")
        self.host_mount("source/below/deeper")
        (source / "file").write_text("x")
        for options in (["rbind"], ["rbind", "ro"], ["rbind", "rro", "rnosuid", "rnoexec"], ["rbind", "rnodev", "ro", "exec"]):
            self.config["mounts"].append({"destination": f"/mnt/{len(self.config['mounts'])}", "source": str(source), "options": options})
        self.config["mounts"].append({"destination": "/mnt/etc", "source": str(self.rootfs / "etc"), "options": ["bind", "ro"]})
        self.config["mounts"].append({"destination": "/mnt/file", "source": str(source / "file"), "options": ["bind", "ro"]})
        self.assertPasses()

    def test_remounts(self):
        source = self.host_mount("source", "mode=755")
        self.host_mount("source/below")
        self.config["mounts"] += [
            {"destination": "/mnt/a", "source": str(source), "options": ["rbind"]},
            {"destination": "/mnt/a", "options": ["remount", "bind", "rro", "nosuid"]},
            {"destination": "/mnt/b", "type": "tmpfs", "source": "tmpfs", "options": ["ro", "noexec"]},
            {"destination": "/mnt/b", "options": ["remount", "bind", "rw", "exec"]}]
        self.assertPasses()

    def test_mounts_over_mounts_and_through_links(self):
        (self.rootfs / "mnt/run/x").mkdir(parents=True)
        (self.rootfs / "mnt/link").symlink_to("../mnt/run")
        for _ in range(2):
            self.config["mounts"].append({"destination": "/mnt/link/x", "type": "tmpfs", "source": "tmpfs", "options": ["noexec"]})
        self.config["mounts"].append({"destination": "/mnt/run", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid"]})
        self.assertPasses()

    def test_odd_names(self):
        self.config["mounts"].append({"destination": "/mnt/a b\n\\ 1 2 0:0 / / rw - x y z", "type": "tmpfs", "source": "tmpfs"})
        self.assertPasses()

    def test_masks_of_files_and_directories(self):
        self.linux["maskedPaths"] += ["/etc/passwd", "/mnt", "/nowhere"]
        self.linux["readonlyPaths"] += ["/etc", "/nowhere", "/dev/shm"]
        self.assertPasses()


class Found(Audited):
    def test_a_flag_that_is_lost(self):
        for flag, place in (("exec", "/dev/shm"), ("suid", "/dev"), ("dev", "/dev/shm"), ("rw", "/sys")):
            with self.subTest(flag=flag):
                lost = {"rw": "ro"}.get(flag, f"no{flag}")
                self.with_hook(f"mount -o remount,bind,{flag} ROOT{place}")
                self.assertFound(f"{place}: not {lost}")

    def test_a_mount_that_is_gone(self):
        self.with_hook("umount ROOT/dev/mqueue || umount -l ROOT/dev/mqueue; umount -l ROOT/dev/null")
        self.assertFound("/dev/mqueue: not mounted", "/dev/null: not mounted")

    def test_a_mount_that_nobody_planned(self):
        self.with_hook("mount -t tmpfs x ROOT/mnt; mkdir ROOT/mnt/a; mount -t tmpfs x ROOT/mnt/a")
        self.assertFound("/mnt: mounted, and not planned", "/mnt/a: mounted, and not planned")

    def test_an_odd_name(self):
        self.with_hook("mkdir -p 'ROOT/mnt/a b\\c'; mount -t tmpfs x 'ROOT/mnt/a b\\c'")
        self.assertFound("/mnt/a\\040b\\134c: mounted, and not planned")

    def test_what_is_mounted_below_the_root_on_the_host(self):
        self.host_mount("bundle/rootfs/mnt")
        self.assertFound("/mnt: mounted, and not planned")

    def test_what_comes_with_a_bind_follows_its_options(self):
        source = self.host_mount("source", "mode=755")
        self.host_mount("source/below")
        self.config["mounts"].append({"destination": "/mnt", "source": str(source), "options": ["rbind", "rnoexec"]})
        self.with_hook("mount -o remount,bind,exec ROOT/mnt/below")
        self.assertFound("/mnt/below: not noexec")

    def test_a_false_proc_of_the_root_is_not_asked(self):
        """The list of mounts comes from the host's procfs, whatever the image has at /proc."""
        self.config["mounts"] = [mount for mount in self.config["mounts"] if mount["destination"] not in ("/proc", "/dev/mqueue")]
        for name in ("self", "thread-self", "1"):
            (self.rootfs / "proc" / name).mkdir()
            (self.rootfs / "proc" / name / "mountinfo").write_text("1 0 0:1 / / ro - x x ro\n")
        self.process["args"] = ["/bin/sleep", "1000"]
        self.with_hook("mount -o remount,bind,exec ROOT/dev/shm")
        self.assertFound("/dev/shm: not noexec")

    @unittest.skipUnless(HAS_SWITCH, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
    def test_an_audit_that_fails(self):
        environment = {**os.environ, "NUCLEUS_FAULT": "child.audit"}
        self.assertFails(self.create(env=environment), STAGE, "injected fault at child.audit")
        self.assertNothingLeft()
        self.set_mode("agent")
        self.assertOk(self.create(env=environment))
        self.assertIn("injected fault at child.audit", self.degradations()[STAGE])
        # Where there is no mode there is no audit, and the stage is not reached.
        self.assertOk(self.delete("--force"))
        del self.config["annotations"]
        self.assertOk(self.create(env=environment))


class ByMountInfo:
    """The same where the kernel does not list mounts (before Linux 6.8): /proc/PID/mountinfo is read."""

    lost = 458  # listmount

    def runtime(self, *args, **keywords):
        return super().runtime(*args, preexec_fn=lambda: lose_call(self.lost), **keywords)


class AsPlannedByMountInfo(ByMountInfo, AsPlanned):
    pass


class FoundByMountInfo(ByMountInfo, Found):
    pass


class WithoutStatmount(ByMountInfo, Audited):
    lost = 457

    def test_one_call_alone_is_not_enough(self):
        self.assertPasses()


class Production(Audited):
    mode = "production"

    def setUp(self):
        super().setUp()
        self.config["root"]["readonly"] = True
        self.linux["resources"]["memory"] = {"limit": 256 << 20}
        self.linux["resources"]["pids"] = {"limit": 100}
        self.mount_at("/dev")["options"].append("noexec")
        self.pin()
        self.sh("exec sleep 1000")

    def pin(self):
        manifest = self.bundle / "rootfs.manifest"
        self.assertOk(command([RUNTIME, "attest", "create", "-o", manifest, self.rootfs]))
        digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
        self.config["annotations"]["dev.nucleus.rootfs.manifest"] = f"rootfs.manifest@sha256:{digest}"

    def test_it_runs(self):
        mounts = parse_mounts(self.output("cat /proc/self/mountinfo"))
        self.assertTrue({"hidepid=invisible", "hidepid=2"} & mounts["/proc"].super)
        for point, mount in mounts.items():
            writable = "rw" in mount.options and "rw" in mount.super
            if mount.type != "devtmpfs":  # devices
                self.assertFalse(writable and "noexec" not in mount.options, f"{point}: {mount}")

    def test_processes_of_others_are_hidden(self):
        # Its own are not: the shell is process 2, below the init.
        self.assertEqual(self.output("ls -d /proc/$$; :"), "/proc/2\n")
        self.running()
        seen = self.exec("/bin/sh", "-c", "ls -d /proc/[0-9]*; ls -d /proc/1 /proc/self/status 2>&1", flags=("--user", "1000:1000")).out
        self.assertIn("/proc/self/status\n", seen)
        self.assertNotIn("/proc/1\n", seen)

    def test_with_subset(self):
        self.mount_at("/proc")["options"] = ["subset=pid"]
        self.linux["maskedPaths"], self.linux["readonlyPaths"] = [], []
        self.assertIn("subset=pid", self.mounts()["/proc"].super)

    def test_what_is_refused(self):
        def change(action):
            saved = json.loads(json.dumps(self.config))
            action()
            return saved

        cases = {
            "root.readonly: ": lambda: self.config["root"].update(readonly=False),
            'annotations["dev.nucleus.rootfs.manifest"]: ': lambda: self.config["annotations"].pop("dev.nucleus.rootfs.manifest"),
            "linux.resources.memory.limit: ": lambda: self.linux["resources"].pop("memory"),
            "linux.resources.pids.limit: ": lambda: self.linux["resources"].pop("pids"),
            "mounts[1]: /dev is both writable and executable": lambda: self.mount_at("/dev")["options"].remove("noexec"),
            "mounts[0].options: hidepid=0": lambda: self.mount_at("/proc").update(options=["hidepid=0"]),
            "mounts[6]: /mnt is both writable and executable": lambda: self.config["mounts"].append(
                {"destination": "/mnt", "source": str(self.directory), "options": ["bind"]}),
        }
        for words, action in cases.items():
            with self.subTest(words=words):
                saved = change(action)
                self.assertRefused(words)
                self.config = saved

    def test_capabilities_that_no_policy_keeps(self):
        text = 'keep = ["CAP_KILL", "CAP_SYS_PTRACE"]'
        (self.bundle / "caps.toml").write_text(text)
        self.config["annotations"]["dev.nucleus.policy.capabilities"] = f"caps.toml@sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        self.assertRefused("caps.toml: CAP_SYS_PTRACE", "production")

    def test_writable_and_executable_after_all(self):
        self.with_hook("mount -o remount,bind,exec ROOT/dev/shm")
        self.assertRefused(f"{STAGE}: ", "/dev/shm: not noexec", "/dev/shm: both writable and executable")

    def test_a_procfs_that_shows_all(self):
        self.with_hook("mount -t proc -o hidepid=0 proc ROOT/mnt")
        self.assertRefused(f"{STAGE}: ", "/mnt: shows all processes")


if __name__ == "__main__":
    main()
