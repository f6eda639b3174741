"""The systemd cgroup driver: the container in a transient scope, with systemd's word for its limits.

Where systemd is not PID 1 the driver is refused, and that is all that can be tested: the rest runs in the virtual machine
(vm/run.sh).
"""

import json
import os
import pathlib
import signal
import subprocess
import unittest

from harness import IS_NUCLEUS, RUNTIME, Case, cgroup_directories, command, main, wait_until

RUNS = os.path.isdir("/run/systemd/system")
UNIFIED = os.path.exists("/sys/fs/cgroup/cgroup.controllers")
MEGABYTE = 1 << 20
FAULTS = "create.clone" in command([RUNTIME, "list"], env={**os.environ, "NUCLEUS_FAULT": "list"}).out.split()
USER = 1984


class Base(Case):
    """A container in nucleustest-a.slice, in the unit nt-ID.scope."""

    def setUp(self):
        self.addCleanup(self._check_no_unit)  # last of all: the container is deleted before it
        super().setUp()
        self.unit = f"nt-{self.id}.scope"
        self.linux["cgroupsPath"] = f"nucleustest-a.slice:nt:{self.id}"

    def runtime(self, *args, **keywords):
        return command([RUNTIME, "--root", self.root, "--systemd-cgroup", *args], **keywords)

    def resources(self, **limits):
        self.linux["resources"].update(limits)

    def show(self, name, unit=None):
        result = command(["systemctl", "show", "--property", name, "--value", unit or self.unit])
        self.assertOk(result)
        return result.out.strip()

    def assertNoUnit(self):
        self.assertEqual(self.show("LoadState"), "not-found")
        self.assertEqual(cgroup_directories(self.unit), [])

    def assertRefusedUnit(self, *words):
        self.assertRefused(*words)
        self.assertNoUnit()

    def _check_no_unit(self):
        if RUNS:
            self.assertNoUnit()

    def directory_of(self, pid, controller=""):
        for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, names, path = line.split(":", 2)
            if UNIFIED and names == "":
                return pathlib.Path("/sys/fs/cgroup" + path)
            if not UNIFIED and controller in names.split(","):
                return pathlib.Path("/sys/fs/cgroup", controller, path[1:])
        raise AssertionError(f"process {pid} is in no cgroup of {controller}")

    def limit(self, pid, file, v1=None):
        """What a file of the container's cgroup says; `v1`: controller and file there."""
        controller, name = ("", file) if UNIFIED else v1
        return (self.directory_of(pid, controller) / name).read_text().strip()


@unittest.skipIf(RUNS, "systemd runs here")
class WithoutSystemd(Base):
    def test_is_refused(self):
        self.assertRefused("systemd is not running")
        self.assertEqual(os.listdir(self.root) if self.root.exists() else [], [])

    def test_other_spelling(self):
        self.write()
        result = command([RUNTIME, "--root", self.root, "--cgroup-manager", "systemd", "create", "--bundle", self.bundle, self.id])
        self.assertFails(result, "systemd is not running")
        self.assertNothingLeft()

    def test_other_commands_do_not_need_it(self):
        self.assertOk(self.runtime("list"))
        self.assertOk(self.delete("--force"))


@unittest.skipUnless(RUNS, "systemd is not PID 1 here (vm/run.sh has it)")
class Unit(Base):
    def test_what_it_is(self):
        pid = self.running()
        self.assertEqual(self.show("ActiveState"), "active")
        self.assertIn(self.id, self.show("Description"))
        self.assertEqual(self.show("Slice"), "nucleustest-a.slice")
        self.assertEqual(self.show("Transient"), "yes")
        self.assertEqual(self.show("Delegate"), "yes")
        self.assertEqual(self.show("DefaultDependencies"), "no")
        path = f"/nucleustest.slice/nucleustest-a.slice/{self.unit}"
        self.assertEqual(self.show("ControlGroup"), path)
        for name in ("CPUAccounting", "MemoryAccounting", "TasksAccounting", "IOAccounting"):
            self.assertEqual(self.show(name), "yes", name)
        for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            self.assertTrue(line.endswith(path), line)
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertOk(self.delete())
        self.assertNoUnit()

    def test_other_spelling(self):
        self.sh("exec sleep 1000")
        self.write()
        self.assertOk(command([RUNTIME, "--root", self.root, "--cgroup-manager=systemd", "create", "--bundle", self.bundle, self.id]))
        self.assertEqual(self.show("ActiveState"), "active")
        # delete knows by itself.
        self.assertOk(command([RUNTIME, "--root", self.root, "delete", self.id]))
        self.assertNoUnit()

    def test_names(self):
        name = "nucleus" if IS_NUCLEUS else "runc"
        cases = {None: (f"{name}-{self.id}.scope", "system.slice", f"/system.slice/{name}-{self.id}.scope"),
                 f"::{self.id}": (f"-{self.id}.scope", "system.slice", f"/system.slice/-{self.id}.scope"),
                 f":p:{self.id}": (f"p-{self.id}.scope", "system.slice", f"/system.slice/p-{self.id}.scope"),
                 f"-.slice:p:{self.id}": (f"p-{self.id}.scope", "-.slice", f"/p-{self.id}.scope")}
        for path, (unit, slice_, place) in cases.items():
            with self.subTest(path=path):
                self.linux["cgroupsPath"] = path
                if path is None:
                    del self.linux["cgroupsPath"]
                self.sh("exec sleep 1000")
                self.assertOk(self.create())
                self.assertEqual(command(["systemctl", "show", "-P", "Slice", "--", unit]).out.strip(), slice_)
                self.assertEqual(command(["systemctl", "show", "-P", "ControlGroup", "--", unit]).out.strip(), place)
                self.assertOk(self.delete("--force"))
                self.assertEqual(command(["systemctl", "show", "-P", "LoadState", "--", unit]).out.strip(), "not-found")

    def test_bad_paths(self):
        for path in ("/nucleus-test/x", "a.slice:b", "a.slice:b:c:d", "a:b:c", "a--b.slice:p:n", "a.slice/b.slice:p:n", "-a.slice:p:n",
                     ".slice:p:n", ":p:a b", f":p:{'x' * 300}"):
            with self.subTest(path=path):
                self.linux["cgroupsPath"] = path
                self.assertRefusedUnit("cgroupsPath")

    def test_a_slice_takes_no_process(self):
        self.linux["cgroupsPath"] = "nucleustest-a.slice:nt:x.slice"
        self.assertRefusedUnit("slice")

    def test_limits(self):
        self.resources(memory={"limit": 64 * MEGABYTE, "reservation": 32 * MEGABYTE, "swap": 96 * MEGABYTE},
                       cpu={"shares": 512, "quota": 2500, "period": 50000, "cpus": "0", "mems": "0"}, pids={"limit": 30})
        pid = self.running()
        self.assertEqual(self.show("TasksMax"), "30")
        self.assertEqual(self.limit(pid, "pids.max", ("pids", "pids.max")), "30")
        self.assertEqual(self.limit(pid, "memory.max", ("memory", "memory.limit_in_bytes")), str(64 * MEGABYTE))
        # systemd has whole percents, the cgroup all that was asked for.
        self.assertEqual(self.show("CPUQuotaPerSecUSec"), "50ms")
        self.assertEqual(self.show("CPUQuotaPeriodUSec"), "50ms")
        self.assertEqual(self.show("AllowedCPUs"), "0")
        self.assertEqual(self.show("AllowedMemoryNodes"), "0")
        if UNIFIED:
            self.assertEqual(self.show("MemoryMax"), str(64 * MEGABYTE))
            self.assertEqual(self.show("MemoryLow"), str(32 * MEGABYTE))
            self.assertEqual(self.show("MemorySwapMax"), str(32 * MEGABYTE))
            self.assertEqual(self.show("CPUWeight"), "20")
            self.assertEqual(self.limit(pid, "cpu.max"), "2500 50000")
            self.assertEqual(self.limit(pid, "cpu.weight"), "20")
            self.assertEqual(self.limit(pid, "memory.low"), str(32 * MEGABYTE))
            self.assertEqual(self.limit(pid, "cpuset.cpus"), "0")
        else:
            self.assertEqual(self.show("MemoryLimit"), str(64 * MEGABYTE))
            self.assertEqual(self.show("CPUShares"), "512")

    def test_fractions_of_a_percent(self):
        self.resources(cpu={"quota": 2510, "period": 50000})
        pid = self.running()
        self.assertEqual(self.show("CPUQuotaPerSecUSec"), "60ms")
        self.assertEqual(self.limit(pid, "cpu.max", ("cpu", "cpu.cfs_quota_us")), "2510 50000" if UNIFIED else "2510")

    def test_no_limit(self):
        self.resources(memory={"limit": -1}, pids={"limit": -1}, cpu={"quota": -1})
        self.running()
        self.assertEqual(self.show("TasksMax"), "infinity")
        self.assertEqual(self.show("CPUQuotaPerSecUSec"), "infinity")
        self.assertEqual(self.show("MemoryMax" if UNIFIED else "MemoryLimit"), "infinity")

    @unittest.skipUnless(UNIFIED, "cgroup v1 here")
    def test_unified(self):
        self.linux["resources"]["unified"] = {"memory.high": str(48 * MEGABYTE), "memory.min": str(MEGABYTE), "pids.max": "44",
                                              "cpu.max": "30000 60000", "memory.oom.group": "1"}
        pid = self.running()
        self.assertEqual(self.show("MemoryHigh"), str(48 * MEGABYTE))
        self.assertEqual(self.show("MemoryMin"), str(MEGABYTE))
        self.assertEqual(self.show("TasksMax"), "44")
        self.assertEqual(self.show("CPUQuotaPerSecUSec"), "500ms")
        self.assertEqual(self.limit(pid, "memory.high"), str(48 * MEGABYTE))
        self.assertEqual(self.limit(pid, "cpu.max"), "30000 60000")
        self.assertEqual(self.limit(pid, "memory.oom.group"), "1")

    def test_one_process_alone(self):
        # Whoever holds the scope open must not count.
        self.resources(pids={"limit": 1})
        self.process["args"] = ["/bin/sleep", "1000"]
        self.assertOk(self.create())
        self.assertOk(self.start())
        self.assertEqual(self.show("TasksMax"), "1")

    def test_memory_too_small_to_start(self):
        self.resources(memory={"limit": 4096})
        self.assertFails(self.create())
        self.assertNothingLeft()
        self.assertNoUnit()

    def test_reload_and_changes_of_others_keep_the_limits(self):
        self.resources(memory={"limit": 64 * MEGABYTE, "reservation": 16 * MEGABYTE}, pids={"limit": 30},
                       cpu={"quota": 2510, "period": 50000})
        pid = self.running()
        before = {file: self.limit(pid, file) for file in ("memory.max", "pids.max", "memory.low")} if UNIFIED else \
            {"pids.max": self.limit(pid, "", ("pids", "pids.max"))}
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        subprocess.run(["systemctl", "set-property", "--runtime", "nucleustest-a.slice", "TasksMax=500"], check=True)
        self.addCleanup(subprocess.run, ["systemctl", "revert", "nucleustest-a.slice"], check=False, stderr=subprocess.DEVNULL)
        after = {file: self.limit(pid, file, ("pids", file)) for file in before}
        self.assertEqual(after, before)

    def test_update(self):
        self.resources(memory={"limit": 64 * MEGABYTE}, pids={"limit": 30}, cpu={"quota": 2510, "period": 50000, "shares": 512})
        pid = self.running()
        self.assertOk(self.runtime("update", "--pids-limit", "40", "--memory", "80m", "--memory-swap", "90m", self.id))
        self.assertEqual(self.show("TasksMax"), "40")
        self.assertEqual(self.limit(pid, "pids.max", ("pids", "pids.max")), "40")
        self.assertEqual(self.show("MemoryMax" if UNIFIED else "MemoryLimit"), str(80 * MEGABYTE))
        self.assertEqual(self.limit(pid, "memory.max", ("memory", "memory.limit_in_bytes")), str(80 * MEGABYTE))
        # systemd writes all of the CPU's files when it hears of one.
        self.assertOk(self.runtime("update", "--cpu-share", "1024", self.id))
        if UNIFIED:
            self.assertEqual(self.show("MemorySwapMax"), str(10 * MEGABYTE))
            self.assertEqual(self.limit(pid, "cpu.max"), "2510 50000")
            self.assertEqual(self.show("CPUWeight"), "39")
            self.assertEqual(self.limit(pid, "cpu.weight"), "39")
        # Half of a pair: the other half is as before.
        self.assertOk(self.runtime("update", "--cpu-quota", "10000", self.id))
        self.assertEqual(self.show("CPUQuotaPerSecUSec"), "200ms")
        self.assertEqual(self.limit(pid, "cpu.max", ("cpu", "cpu.cfs_quota_us")), "10000 50000" if UNIFIED else "10000")
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        self.assertEqual(self.limit(pid, "pids.max", ("pids", "pids.max")), "40")

    def test_life(self):
        pid = self.running()
        inside = self.exec("cat", "/proc/self/cgroup")
        self.assertOk(inside)
        self.assertEqual({line.split(":", 2)[2] for line in inside.out.splitlines()}, {"/"})
        self.assertOk(self.exec("/bin/sleep", "999", flags=["--detach"]))
        members = (self.directory_of(pid, "pids") / "cgroup.procs").read_text().split()
        self.assertEqual(len(members), 2)
        self.assertIn(str(pid), members)
        self.assertOk(self.runtime("pause", self.id))
        self.assertEqual(self.status(), "paused")
        self.assertOk(self.runtime("resume", self.id))
        self.assertOk(self.runtime("events", "--stats", self.id))
        self.assertOk(self.delete("--force"))
        self.assertNothingLeft()
        self.assertNoUnit()

    def test_run(self):
        self.assertEqual(self.output("echo hello"), "hello\n")
        self.assertNoUnit()

    def test_without_a_pid_namespace_nothing_stays(self):
        self.without_namespace("pid")
        self.sh("sleep 1000 & exec sleep 1000")
        self.assertOk(self.create())
        self.assertOk(self.start())
        pid = self.state()["pid"]
        wait_until(lambda: len((self.directory_of(pid, "pids") / "cgroup.procs").read_text().split()) == 2, "both processes")
        self.assertOk(self.delete("--force"))
        self.assertNothingLeft()

    def test_user_namespace(self):
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        self.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                                      "options": ["nosuid", "noexec", "nodev", "relatime"]})
        self.resources(pids={"limit": 33})
        pid = self.running()
        self.assertEqual(self.show("TasksMax"), "33")
        if UNIFIED:
            directory = self.directory_of(pid)
            self.assertEqual(directory.stat().st_uid, 100000)
            self.assertEqual((directory / "pids.max").stat().st_uid, 0)
            self.assertOk(self.exec("/bin/mkdir", "/sys/fs/cgroup/below"))
            self.assertOk(self.exec("/bin/sh", "-c", "echo 0 > /sys/fs/cgroup/below/cgroup.procs"))

    def test_out_of_memory_leaves_no_failed_unit(self):
        self.resources(memory={"limit": 32 * MEGABYTE, "swap": 32 * MEGABYTE})
        self.process["args"] = ["/bin/probe", "memory", str(200 * MEGABYTE)]
        self.assertEqual(self.run_container().status, 128 + 9)
        self.assertNoUnit()

    def test_name_is_taken(self):
        foreign = subprocess.Popen(["systemd-run", "--quiet", "--scope", f"--unit={self.unit}", "/bin/sleep", "1000"],
                                   stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: self.show("ActiveState") == "active", "the other unit")
            self.assertFails(self.create(), self.unit)
            self.assertNothingLeft()
            self.assertEqual(self.show("ActiveState"), "active")
            self.assertIsNone(foreign.poll())
        finally:
            foreign.kill()
            foreign.wait()
            subprocess.run(["systemctl", "stop", self.unit], check=False, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.show("LoadState") == "not-found", "the other unit gone")

    def test_unknown_property_is_an_error(self):
        self.config["annotations"] = {"org.systemd.property.NoSuchThing": "true"}
        self.assertRefusedUnit("NoSuchThing")


@unittest.skipUnless(RUNS, "systemd is not PID 1 here (vm/run.sh has it)")
class Annotations(Base):
    def annotate(self, **properties):
        self.config["annotations"] = {f"org.systemd.property.{name}": value for name, value in properties.items()}

    def test_values(self):
        self.annotate(TimeoutStopUSec="uint64 123456789", CollectMode="'inactive-or-failed'", Before="['nucleus-test.target']",
                      SendSIGHUP="true", Description='"a \\"name\\""', RuntimeMaxSec="7200")
        self.running()
        self.assertEqual(self.show("TimeoutStopUSec"), "2min 3.456789s")
        self.assertEqual(self.show("CollectMode"), "inactive-or-failed")
        self.assertIn("nucleus-test.target", self.show("Before"))
        self.assertEqual(self.show("SendSIGHUP"), "yes")
        self.assertEqual(self.show("Description"), 'a "name"')
        self.assertEqual(self.show("RuntimeMaxUSec"), "2h")

    def test_bad_ones_are_named(self):
        for name, value in {"CollectMode": "inactive", "TimeoutStopSec": "'long'", "TimeoutStopUSec": "uint64 -1", "X1": "true",
                            "Ab": "true", "PIDs": "[uint32 1]", "Slice": "'system.slice'", "Before": "['a'", "After": "[]",
                            "Delegate": "false"}.items():
            with self.subTest(name=name):
                self.annotate(**{name: value})
                self.assertRefusedUnit(f"org.systemd.property.{name}")

    def test_without_the_driver_they_mean_nothing(self):
        self.annotate(PIDs="[uint32 1]")
        self.linux["cgroupsPath"] = f"/nucleus-test/{self.id}"
        self.process["args"] = ["/bin/true"]
        self.write()
        self.assertOk(command([RUNTIME, "--root", self.root, "run", "--bundle", self.bundle, self.id]))


@unittest.skipUnless(RUNS, "systemd is not PID 1 here (vm/run.sh has it)")
@unittest.skipUnless(FAULTS, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
class Faults(Base):
    STAGES = ["create.clone", "create.systemd-unit", "create.cgroup-make", "create.cgroup-limits", "create.cgroup-attach",
              "create.save-state", "child.mounts"]

    def setUp(self):
        super().setUp()
        self.sh("exec sleep 1000")

    def test_errors(self):
        for stage in self.STAGES:
            with self.subTest(stage=stage):
                self.assertFails(self.create(env={**os.environ, "NUCLEUS_FAULT": stage}), f"injected fault at {stage}")
                self.assertNothingLeft()
                self.assertNoUnit()
        self.assertOk(self.create())

    def test_crashes(self):
        for stage in self.STAGES:
            if stage.startswith("child."):
                continue
            with self.subTest(stage=stage):
                self.assertEqual(self.create(env={**os.environ, "NUCLEUS_FAULT": f"kill:{stage}"}).status, -signal.SIGKILL)
                self.assertOk(self.delete("--force"))
                self.assertNothingLeft()
                self.assertNoUnit()
        self.assertOk(self.create())

    def test_a_crash_does_not_cost_a_unit_of_the_same_name(self):
        foreign = subprocess.Popen(["systemd-run", "--quiet", "--scope", f"--unit={self.unit}", "/bin/sleep", "1000"],
                                   stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: self.show("ActiveState") == "active", "the other unit")
            self.assertEqual(self.create(env={**os.environ, "NUCLEUS_FAULT": "kill:create.systemd-unit"}).status, -signal.SIGKILL)
            self.assertOk(self.delete("--force"))
            self.assertEqual(self.show("ActiveState"), "active")
        finally:
            foreign.kill()
            foreign.wait()
            subprocess.run(["systemctl", "stop", self.unit], check=False, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.show("LoadState") == "not-found", "the other unit gone")


@unittest.skipUnless(RUNS and UNIFIED, "no systemd as PID 1 with cgroup v2 alone here (vm/run.sh has it)")
class UserSession(Base):
    """An ordinary user without a login, whose systemd runs all the same (loginctl enable-linger)."""

    NAME = "nucleus-user"

    @classmethod
    def setUpClass(cls):
        subprocess.run(["useradd", "--uid", str(USER), "--create-home", cls.NAME], check=True, stderr=subprocess.DEVNULL)
        subprocess.run(["loginctl", "enable-linger", cls.NAME], check=True)
        cls.runtime_dir = f"/run/user/{USER}"
        wait_until(lambda: os.path.exists(f"{cls.runtime_dir}/systemd/private"), "the user's systemd", timeout=60)

    @classmethod
    def tearDownClass(cls):
        subprocess.run(["loginctl", "disable-linger", cls.NAME], check=False)
        subprocess.run(["loginctl", "terminate-user", cls.NAME], check=False, stderr=subprocess.DEVNULL)
        wait_until(lambda: command(["userdel", "--remove", cls.NAME]).status in (0, 6), "the user gone", timeout=60)

    def setUp(self):
        super().setUp()
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        self.root.mkdir()
        os.chown(self.root, USER, USER)
        self.linux["cgroupsPath"] = f":nt:{self.id}"
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": USER, "size": 1}]
        self.linux["resources"] = {}
        self.config["mounts"] = [m for m in self.config["mounts"] if m["destination"] in ("/proc", "/dev")]
        self.environment = {"XDG_RUNTIME_DIR": self.runtime_dir, "PATH": "/usr/bin:/bin"}

    def as_user(self, *args, **keywords):
        return command(["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *args],
                       env={**self.environment, **keywords.pop("env", {})}, **keywords)

    def runtime(self, *args, **keywords):
        return self.as_user(RUNTIME, "--root", self.root, "--systemd-cgroup", *args, **keywords)

    def show(self, name, unit=None):
        result = command(["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "systemctl", "--user", "show",
                          "--property", name, "--value", unit or self.unit],
                         env={"XDG_RUNTIME_DIR": self.runtime_dir, "PATH": "/usr/bin:/bin"})
        self.assertOk(result)
        return result.out.strip()

    def test_life(self):
        self.resources(memory={"limit": 64 * MEGABYTE}, pids={"limit": 30})
        pid = self.running()
        path = f"/user.slice/user-{USER}.slice/user@{USER}.service/user.slice/{self.unit}"
        self.assertEqual(pathlib.Path(f"/proc/{pid}/cgroup").read_text().strip(), f"0::{path}")
        self.assertEqual(self.show("ControlGroup"), path)
        self.assertEqual(self.show("Slice"), "user.slice")
        self.assertEqual(self.show("TasksMax"), "30")
        self.assertEqual(self.limit(pid, "pids.max"), "30")
        self.assertEqual(self.limit(pid, "memory.max"), str(64 * MEGABYTE))
        self.assertOk(self.runtime("update", "--pids-limit", "40", self.id))
        self.assertEqual(self.show("TasksMax"), "40")
        self.assertEqual(self.limit(pid, "pids.max"), "40")
        self.assertOk(self.exec("/bin/sleep", "999", flags=["--detach"]))
        self.assertEqual(len((self.directory_of(pid) / "cgroup.procs").read_text().split()), 2)
        self.assertOk(self.runtime("pause", self.id))
        self.assertOk(self.runtime("resume", self.id))
        self.assertOk(self.delete("--force"))
        self.assertNoUnit()

    def test_run(self):
        self.assertEqual(self.output("echo hello"), "hello\n")

    def test_no_session(self):
        self.environment["XDG_RUNTIME_DIR"] = str(self.directory)
        self.assertRefused("no systemd session")
        del self.environment["XDG_RUNTIME_DIR"]
        self.assertRefused("no systemd session")

    def test_dead_session(self):
        # A socket that nobody listens on.
        self.environment["DBUS_SESSION_BUS_ADDRESS"] = f"unix:path={self.directory}/nobody"
        del self.environment["XDG_RUNTIME_DIR"]
        self.assertRefused("user's systemd")

    @unittest.skipUnless(FAULTS, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
    def test_faults(self):
        self.sh("exec sleep 1000")
        for stage in ("create.systemd-unit", "create.cgroup-limits", "create.save-state"):
            with self.subTest(stage=stage):
                self.assertFails(self.create(env={"NUCLEUS_FAULT": stage}), f"injected fault at {stage}")
                self.assertNothingLeft()
                self.assertNoUnit()
                self.create(env={"NUCLEUS_FAULT": f"kill:{stage}"})
                self.assertOk(self.delete("--force"))
                self.assertNothingLeft()
                self.assertNoUnit()


class Features(Case):
    def test_truth(self):
        result = self.runtime("features")
        self.assertOk(result)
        told = json.loads(result.out)["linux"]["cgroup"]
        self.assertEqual((told["systemd"], told["systemdUser"]), (True, True))


if __name__ == "__main__":
    main()
