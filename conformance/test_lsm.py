"""Labels of the security modules: process.apparmorProfile where the kernel has AppArmor, and its refusal where it has not.

No host has it on and off: the tests of the other kind are skipped by name. conformance/vm runs those that need it.
"""

import os
import pathlib
import shutil
import subprocess
import unittest

from harness import IS_NUCLEUS, Case, main, rule


def _enabled():
    try:
        return pathlib.Path("/sys/module/apparmor/parameters/enabled").read_text().startswith("Y")
    except FileNotFoundError:
        return False


APPARMOR = _enabled()
SELINUX = os.path.exists("/sys/fs/selinux/enforce")
needs_it = unittest.skipUnless(APPARMOR and shutil.which("apparmor_parser"),
                               "needs AppArmor and its parser" if APPARMOR else "AppArmor is not enabled on this kernel")

# Everything but one file: what is denied shows that the profile holds, what is allowed that it is not in the way.
PROFILE = """
profile {name} flags=(attach_disconnected,mediate_deleted) {{
  file,
  capability,
  network,
  signal,
  ptrace,
  mount,
  umount,
  pivot_root,
  unix,
  deny /secret r,
}}
"""


class Labels(Case):
    def setUp(self):
        super().setUp()
        (self.rootfs / "secret").write_text("secret\n")

    def load(self, suffix="", text=PROFILE):
        """A profile of this test's own in the kernel; it is gone afterwards."""
        name = f"{self.id}{suffix}"
        file = self.directory / f"profile{suffix}"
        file.write_text(text.format(name=name))
        subprocess.run(["apparmor_parser", "--add", "--skip-cache", file], check=True)
        # Before the test looks for what is left: that is of the container, this is ours.
        self.addCleanup(subprocess.run, ["apparmor_parser", "--remove", file], check=True)
        return name

    def confined(self, name, mode="enforce"):
        return f"{name} ({mode})\n"


@needs_it
class AppArmor(Labels):
    @rule("MUST", "config.md#linux-process", "apparmorProfile is the process's; a host without AppArmor: error")
    def test_init_has_it(self):
        self.process["apparmorProfile"] = name = self.load()
        self.assertEqual(self.output("cat /proc/self/attr/current"), self.confined(name))

    def test_host_sees_it(self):
        self.process["apparmorProfile"] = name = self.load()
        pid = self.running()
        self.assertEqual(pathlib.Path(f"/proc/{pid}/attr/current").read_text(), self.confined(name))

    @rule("MUST", "config.md#linux-process", "apparmorProfile is the process's; a host without AppArmor: error")
    def test_it_holds(self):
        self.process["apparmorProfile"] = self.load()
        self.sh("cat /secret")
        result = self.run_container()
        self.assertEqual(result.status, 1, result)
        self.assertIn("Permission denied", result.err)
        self.assertEqual(self.output("cat /etc/passwd > /tmp/copy && echo fine"), "fine\n")

    def test_without_new_privileges_and_with(self):
        for value in (True, False):
            with self.subTest(noNewPrivileges=value):
                self.process["noNewPrivileges"] = value
                self.process["apparmorProfile"] = name = self.load(suffix=f"-{value}")
                self.assertEqual(self.output("cat /proc/self/attr/current"), self.confined(name))

    def test_for_a_user_without_capabilities(self):
        self.process["user"] = {"uid": 1000, "gid": 1000}
        self.process["capabilities"] = {}
        self.process["apparmorProfile"] = name = self.load()
        self.assertEqual(self.output("cat /proc/self/attr/current"), self.confined(name))

    def test_in_a_user_namespace(self):
        self.linux["namespaces"].append({"type": "user"})
        self.linux["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        self.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        for path, directories, files in os.walk(self.rootfs):
            for entry in (path, *(os.path.join(path, f) for f in files + directories)):
                os.chown(entry, 100000, 100000, follow_symlinks=False)
        self.process["apparmorProfile"] = name = self.load()
        # Read from the host's side: which profiles are in sight inside is the namespace's matter.
        pid = self.running()
        self.assertEqual(pathlib.Path(f"/proc/{pid}/attr/current").read_text(), self.confined(name))

    def test_without_proc_in_the_container(self):
        self.config["mounts"] = [m for m in self.config["mounts"] if m["destination"] != "/proc"]
        self.linux["maskedPaths"] = self.linux["readonlyPaths"] = []
        self.process["apparmorProfile"] = name = self.load()
        pid = self.running()
        self.assertEqual(pathlib.Path(f"/proc/{pid}/attr/current").read_text(), self.confined(name))

    def test_proc_of_the_image_is_not_believed(self):
        # What lies at /proc is the image's: a file there that takes the label would leave the process without.
        self.config["mounts"] = [m for m in self.config["mounts"] if m["destination"] != "/proc"]
        self.linux["maskedPaths"] = self.linux["readonlyPaths"] = []
        for place in ("thread-self/attr", "self/attr", "thread-self/attr/apparmor", "self/attr/apparmor"):
            (self.rootfs / "proc" / place).mkdir(parents=True, exist_ok=True)
            (self.rootfs / "proc" / place / "exec").write_text("")
        self.process["apparmorProfile"] = name = self.load()
        pid = self.running()
        self.assertEqual(pathlib.Path(f"/proc/{pid}/attr/current").read_text(), self.confined(name))

    def test_exec_has_the_containers(self):
        self.process["apparmorProfile"] = name = self.load()
        self.running()
        result = self.exec("cat", "/proc/self/attr/current")
        self.assertOk(result)
        self.assertEqual(result.out, self.confined(name))
        self.assertIn("Permission denied", self.exec("cat", "/secret").err)

    def test_exec_with_one_of_its_own(self):
        self.process["apparmorProfile"] = self.load()
        other = self.load(suffix="-other")
        self.running()
        result = self.exec("cat", "/proc/self/attr/current", flags=["--apparmor", other])
        self.assertOk(result)
        self.assertEqual(result.out, self.confined(other))

    def test_exec_with_an_unknown_one(self):
        self.running()
        result = self.exec("/bin/true", flags=["--apparmor", f"{self.id}-no-such"])
        self.assertFails(result, status=255 if IS_NUCLEUS else result.status)
        self.assertIn("apparmor", result.err.lower())
        self.assertNotEqual(result.status, 0)

    @rule("MUST", "config.md#linux-process", "apparmorProfile is the process's; a host without AppArmor: error")
    def test_unknown_profile_is_an_error(self):
        self.process["apparmorProfile"] = f"{self.id}-no-such"
        self.assertRefusedByEither()

    def test_profile_in_complain_mode(self):
        self.process["apparmorProfile"] = name = self.load(text=PROFILE.replace("flags=(", "flags=(complain,"))
        self.assertEqual(self.output("cat /proc/self/attr/current"), self.confined(name, "complain"))

    def test_unconfined(self):
        self.process["apparmorProfile"] = "unconfined"
        self.assertEqual(self.output("cat /proc/self/attr/current"), "unconfined\n")

    def test_none(self):
        self.assertEqual(self.output("cat /proc/self/attr/current"), "unconfined\n")

    def assertRefusedByEither(self):
        """Some runtimes notice when the process is about to execute, which is at create for some and at start for others."""
        result = self.create()
        if result.status == 0 and not IS_NUCLEUS:
            result = self.start()
        self.assertNotEqual(result.status, 0, result)
        self.assertIn("apparmor", result.err.lower())
        if IS_NUCLEUS:
            self.assertNothingLeft()


@unittest.skipIf(APPARMOR, "AppArmor is enabled on this kernel")
class WithoutAppArmor(Labels):
    @rule("MUST", "config.md#linux-process", "apparmorProfile is the process's; a host without AppArmor: error")
    def test_a_profile_is_refused(self):
        self.process["apparmorProfile"] = "docker-default"
        self.assertRefused("process.apparmorProfile: AppArmor is not enabled on this host")

    def test_a_profile_of_exec_is_refused(self):
        self.running()
        self.assertFails(self.exec("/bin/true", flags=["--apparmor", "docker-default"]),
                         "process.apparmorProfile: AppArmor is not enabled on this host", status=255)

    def test_unconfined_is_what_there_is(self):
        self.process["apparmorProfile"] = "unconfined"
        self.assertOk(self.run_container())

    def test_empty_is_none(self):
        self.process["apparmorProfile"] = ""
        self.assertOk(self.run_container())


@unittest.skipUnless(SELINUX, "SELinux is not enabled on this kernel (NUCLEUS_VM_LSM=selinux vm/run.sh has it)")
class Selinux(Labels):
    """Labels of the reference policy, which the machine has loaded."""

    LABEL = "unconfined_u:unconfined_r:unconfined_t:s0"
    OTHER = "system_u:system_r:initrc_t:s0"
    MOUNT = "system_u:object_r:tmp_t:s0"

    def label(self, pid):
        return pathlib.Path(f"/proc/{pid}/attr/current").read_text().rstrip("\0\n")

    @rule("MUST", "config.md#linux-process", "selinuxLabel is the process's")
    def test_a_label_is_the_processs(self):
        own = self.label("self")
        for label in (self.LABEL, self.OTHER):
            with self.subTest(label=label):
                self.process["selinuxLabel"] = label
                pid = self.running()
                self.assertEqual(self.label(pid), label)
                self.assertEqual(self.exec("/bin/cat", "/proc/self/attr/current").out.rstrip("\0\n"), label)
                self.assertOk(self.delete("--force"))
        self.assertEqual(self.label("self"), own)

    def test_none(self):
        self.assertEqual(self.label(self.running()), self.label("self"))

    def test_exec_with_one_of_its_own(self):
        self.process["selinuxLabel"] = self.LABEL
        self.running()
        result = self.exec("/bin/cat", "/proc/self/attr/current", flags=["--process-label", self.OTHER])
        self.assertOk(result)
        self.assertEqual(result.out.rstrip("\0\n"), self.OTHER)

    def test_without_proc_in_the_container(self):
        self.config["mounts"] = [m for m in self.config["mounts"] if m["destination"] != "/proc"]
        self.linux["maskedPaths"] = self.linux["readonlyPaths"] = []
        self.process["selinuxLabel"] = self.LABEL
        self.assertEqual(self.label(self.running()), self.LABEL)

    def test_a_label_that_the_policy_does_not_know(self):
        self.process["selinuxLabel"] = "system_u:system_r:nucleus_test_none_t:s0"
        self.assertRefused("process.selinuxLabel")
        self.process["selinuxLabel"] = ""
        self.running()
        result = self.exec("/bin/true", flags=["--process-label", "nucleus_test_none"])
        self.assertFails(result, "selinuxLabel", status=255 if IS_NUCLEUS else result.status)

    @rule("MUST", "config-linux.md#mount-label", "mountLabel is the label of what is mounted")
    def test_mount_label(self):
        self.linux["mountLabel"] = self.MOUNT
        pid = self.running("echo x > /dev/shm/file && exec sleep 1000")
        mounts = pathlib.Path(f"/proc/{pid}/mountinfo").read_text().splitlines()
        labelled = {line.split()[4] for line in mounts if f'context="{self.MOUNT}"' in line or f"context={self.MOUNT}" in line}
        self.assertLessEqual({"/dev", "/dev/shm"}, labelled)
        self.assertNotIn("/proc", labelled)
        self.assertEqual(os.getxattr(f"/proc/{pid}/root/dev/shm/file", "security.selinux").rstrip(b"\0").decode(), self.MOUNT)

    def test_a_mount_label_that_the_policy_does_not_know(self):
        self.linux["mountLabel"] = "system_u:object_r:nucleus_test_none_t:s0"
        self.assertRefused("context=system_u:object_r:nucleus_test_none_t:s0")


@unittest.skipIf(SELINUX, "SELinux is enabled on this kernel")
class WithoutSelinux(Labels):
    @rule("MUST", "config.md#linux-process", "selinuxLabel: error without SELinux")
    def test_a_label_is_refused(self):
        self.process["selinuxLabel"] = "system_u:system_r:container_t:s0"
        self.assertRefused("process.selinuxLabel")

    @rule("MUST", "config-linux.md#mount-label", "mountLabel: an error without SELinux")
    def test_a_mount_label_is_refused(self):
        self.linux["mountLabel"] = "system_u:object_r:container_file_t:s0"
        self.assertRefused("mountLabel")


if __name__ == "__main__":
    main()
