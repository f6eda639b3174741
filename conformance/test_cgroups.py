"""linux.cgroupsPath and linux.resources on the hierarchies that this host has: what is written, and that it holds.

Limits are read back from the host's side, from the files that its version of cgroups has for them. A host has its
controllers in v1 hierarchies or in v2: the few tests that mean something on one of them only are skipped on the other.
"""

import json
import os
import pathlib
import subprocess
import unittest

from harness import IS_NUCLEUS, RUNTIME, Case, cgroup_directories, command, is_alive, main, parse_mounts, rule, wait_until

TOP = pathlib.Path("/sys/fs/cgroup")
V2 = (TOP / "cgroup.controllers").exists()
MEGABYTE = 1 << 20
only_v1 = unittest.skipIf(V2, "needs cgroup v1: this host's controllers are in v2")
only_v2 = unittest.skipUnless(V2, "needs cgroup v2: this host's controllers are in v1 hierarchies")


def unlimited(text):
    """No limit in either version's words; v1 says it with the largest number of pages."""
    return text == "max" or int(text) > 1 << 60


class Cgroups(Case):
    def path(self, controller):
        """The container's directory in the hierarchy of a controller: in v2 they share one."""
        return (TOP if V2 else TOP / controller) / self.linux["cgroupsPath"].strip("/")

    def read(self, controller, file):
        return (self.path(controller) / file).read_text().strip()

    def limit(self, v1, v2):
        """What the file of a limit says: `v1` and `v2` are its names there, which begin with the controller's."""
        return self.read(v1.partition(".")[0], v2 if V2 else v1)

    def mount_cgroups(self, *options):
        self.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                                      "options": ["nosuid", "noexec", "nodev", *options]})

    @staticmethod
    def inside(controller):
        """Where mount_cgroups() shows the hierarchy of a controller."""
        return "/sys/fs/cgroup" if V2 else f"/sys/fs/cgroup/{controller}"

    def processes(self):
        return set(self.read("pids", "cgroup.procs").split())

    def resources(self, **resources):
        self.linux["resources"].update(resources)

    def created(self, **resources):
        """A container that was created with these limits; it runs nothing yet."""
        self.resources(**resources)
        self.process["args"] = ["/bin/sleep", "1000"]
        self.assertOk(self.create())


class Place(Cgroups):
    def groups(self, pid):
        """Hierarchy → path, of a process of the host's."""
        lines = pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        return {line.split(":", 2)[1]: line.split(":", 2)[2] for line in lines}

    @rule("MUST", "config-linux.md#cgroups-path", "an absolute path is below the mount point of the cgroups")
    @rule("MUST", "config-linux.md#control-groups", "the process is in its cgroups before it runs, and so is one of exec")
    def test_absolute(self):
        pid = self.running()
        for hierarchy, path in self.groups(pid).items():
            self.assertEqual(path, f"/nucleus-test/{self.id}", hierarchy)

    @rule("MUST", "config-linux.md#cgroups-path", "an absolute path is below the mount point of the cgroups")
    def test_deep(self):
        self.linux["cgroupsPath"] = f"/nucleus-test/deep/er/{self.id}"
        pid = self.running()
        self.assertEqual(set(self.groups(pid).values()), {f"/nucleus-test/deep/er/{self.id}"})

    @rule("MUST", "config-linux.md#cgroups-path", "a relative path names the same place each time")
    def test_relative_is_the_same_each_time(self):
        self.linux["cgroupsPath"] = f"nucleus-test/{self.id}"
        first = self.groups(self.running())
        for path in first.values():
            self.assertTrue(path.endswith(f"nucleus-test/{self.id}"), path)
        self.assertOk(self.delete("--force"))
        self.assertEqual(self.groups(self.running()), first)

    @rule("MUST", "config-linux.md#cgroups-path", "without one the runtime chooses")
    def test_absent(self):
        del self.linux["cgroupsPath"]
        for hierarchy, path in self.groups(self.running()).items():
            self.assertIn(self.id, path, hierarchy)

    def test_dots_do_not_lead_out(self):
        self.linux["cgroupsPath"] = f"/../../../nucleus-test/../nucleus-test/./{self.id}"
        self.assertEqual(set(self.groups(self.running()).values()), {f"/nucleus-test/{self.id}"})

    def test_root_cgroup_is_refused(self):
        for path in ("/", "/..", "//."):
            with self.subTest(path):
                self.linux["cgroupsPath"] = path
                self.assertRefused("cgroupsPath")

    @rule("MUST", "config-linux.md#control-groups", "the process is in its cgroups before it runs, and so is one of exec")
    def test_exec_is_in_them(self):
        pid = self.running()
        inside = self.exec("cat", "/proc/self/cgroup")
        self.assertOk(inside)
        self.assertOk(self.exec("/bin/sleep", "999", flags=["--detach"]))
        others = self.processes() - {str(pid)}
        for other in others:
            self.assertEqual(self.groups(other), self.groups(pid))
        self.assertEqual(len(others), 1)

    def test_namespace_root_is_the_own_cgroup(self):
        self.process["args"] = ["/bin/cat", "/proc/self/cgroup"]
        self.assertEqual({line.split(":", 2)[2] for line in self.output().splitlines()}, {"/"})

    def test_without_the_namespace_the_path_is_in_sight(self):
        self.without_namespace("cgroup")
        self.process["args"] = ["/bin/cat", "/proc/self/cgroup"]
        self.assertEqual({line.split(":", 2)[2] for line in self.output().splitlines()}, {f"/nucleus-test/{self.id}"})


class Removal(Cgroups):
    @rule("MUST", "runtime.md#delete", "what create made is removed, and the id is free")
    def test_gone_after_delete(self):
        self.running()
        self.assertNotEqual(cgroup_directories(self.id), [])
        self.assertOk(self.delete("--force"))
        self.assertEqual(cgroup_directories(self.id), [])

    @rule("MUST", "runtime.md#errors", "an error leaves the environment as it was")
    def test_gone_after_an_error(self):
        self.process["args"] = ["/no/such/program"]
        self.assertRefused("no such file or directory")

    @rule("MUST", "config-linux.md#control-groups", "cgroups that the runtime did not make are not removed")
    def test_one_that_was_there_stays(self):
        made = []
        for hierarchy in [TOP] if V2 else [p for p in TOP.iterdir() if p.is_dir() and not p.is_symlink()]:
            place = hierarchy / "nucleus-test" / self.id
            place.mkdir(parents=True)
            made.append(place)
            if hierarchy.name == "cpuset":
                for name in ("cpuset.cpus", "cpuset.mems"):
                    for directory in (hierarchy / "nucleus-test", place):
                        (directory / name).write_text((hierarchy / name).read_text())
        try:
            self.running()
            self.assertOk(self.delete("--force"))
            self.assertEqual([str(place) for place in made if not place.exists()], [])
        finally:
            if (self.root / self.id).exists():
                self.delete("--force")
            for place in made:
                if place.exists():
                    place.rmdir()

    def test_nested_ones_of_the_workload(self):
        self.add_capabilities("CAP_DAC_OVERRIDE")
        self.mount_cgroups("rw")
        self.running(f"cd {self.inside('pids')} && mkdir -p a/b/c d && sleep 1000 & sleep 0.2; cd {self.inside('pids')}; "
                     "echo $! > a/b/c/cgroup.procs && touch /tmp/done; wait")
        wait_until(lambda: (self.rootfs / "tmp/done").exists(), "nested cgroups")
        self.assertTrue((self.path("pids") / "a/b/c").exists())
        self.assertOk(self.delete("--force"))
        self.assertNothingLeft()

    def test_processes_that_outlive_init(self):
        self.without_namespace("pid")
        self.sh("for i in 1 2 3 4 5; do setsid sleep 1000 & done; exit 0")
        self.assertOk(self.create())
        self.assertOk(self.start())
        self.wait_stopped()
        self.assertOk(self.delete())
        self.assertNothingLeft()


class Values(Cgroups):
    @rule("MUST", "config-linux.md#memory", "limit, reservation, swap")
    def test_memory(self):
        self.created(memory={"limit": 64 * MEGABYTE, "reservation": 32 * MEGABYTE, "swap": 128 * MEGABYTE})
        self.assertEqual(self.limit("memory.limit_in_bytes", "memory.max"), str(64 * MEGABYTE))
        self.assertEqual(self.limit("memory.soft_limit_in_bytes", "memory.low"), str(32 * MEGABYTE))
        # v1 counts memory and swap together, v2 swap alone.
        self.assertEqual(self.limit("memory.memsw.limit_in_bytes", "memory.swap.max"),
                         str((64 if V2 else 128) * MEGABYTE))

    @rule("MUST", "config-linux.md#memory", "limit, reservation, swap")
    def test_memory_without_a_limit(self):
        self.created(memory={"limit": -1})
        self.assertTrue(unlimited(self.limit("memory.limit_in_bytes", "memory.max")))

    @rule("MUST", "config-linux.md#memory", "limit, reservation, swap")
    def test_memory_and_swap_without_limits(self):
        self.created(memory={"limit": 64 * MEGABYTE, "swap": -1})
        self.assertEqual(self.limit("memory.limit_in_bytes", "memory.max"), str(64 * MEGABYTE))
        self.assertTrue(unlimited(self.limit("memory.memsw.limit_in_bytes", "memory.swap.max")))

    @rule("MUST", "config-linux.md#memory", "limit, reservation, swap")
    def test_no_swap(self):
        self.created(memory={"limit": 64 * MEGABYTE, "swap": 64 * MEGABYTE})
        self.assertEqual(self.limit("memory.memsw.limit_in_bytes", "memory.swap.max"), "0" if V2 else str(64 * MEGABYTE))

    @rule("MUST", "config-linux.md#memory", "swappiness (v1)")
    @only_v1
    def test_swappiness(self):
        self.created(memory={"limit": 64 * MEGABYTE, "swappiness": 30})
        self.assertEqual(self.read("memory", "memory.swappiness"), "30")

    @rule("MUST", "config-linux.md#memory", "disableOOMKiller (v1)")
    @only_v1
    def test_oom_killer_off(self):
        self.created(memory={"limit": 64 * MEGABYTE, "disableOOMKiller": True})
        self.assertIn("oom_kill_disable 1", self.read("memory", "memory.oom_control"))

    @rule("MUST", "config-linux.md#network", "classID and priorities (v1), or an error without the controller")
    @only_v2
    def test_what_v2_has_not_is_told(self):
        self.resources(memory={"limit": 64 * MEGABYTE, "swappiness": 30, "disableOOMKiller": True},
                       network={"classID": 1048577})
        self.process["args"] = ["/bin/sleep", "1000"]
        result = self.create()
        self.assertOk(result)
        if IS_NUCLEUS:
            for name in ("memory.swappiness", "memory.disableOOMKiller", "network"):
                self.assertIn(f"linux.resources.{name} has no effect on cgroup v2", result.err)

    @rule("MUST", "config-linux.md#memory", "useHierarchy")
    def test_hierarchy_is_accepted(self):
        self.created(memory={"limit": 64 * MEGABYTE, "useHierarchy": True})

    @rule("SHOULD", "config-linux.md#memory", "kernel and kernelTCP, which are deprecated, do not fail")
    def test_deprecated_ones_do_not_fail(self):
        self.created(memory={"limit": 64 * MEGABYTE, "kernelTCP": 16 * MEGABYTE})

    def test_swap_below_the_limit(self):
        self.resources(memory={"limit": 64 * MEGABYTE, "swap": 32 * MEGABYTE})
        self.assertRefused("memory")

    @rule("MUST", "config-linux.md#cpu", "shares, quota, period")
    def test_cpu(self):
        self.created(cpu={"shares": 512, "quota": 50000, "period": 200000})
        if V2:
            # 2 to 262144 shares are a weight of 1 to 10000.
            self.assertIn(int(self.read("cpu", "cpu.weight")), range(2, 100))
            self.assertEqual(self.read("cpu", "cpu.max"), "50000 200000")
        else:
            self.assertEqual(self.read("cpu", "cpu.shares"), "512")
            self.assertEqual(self.read("cpu", "cpu.cfs_quota_us"), "50000")
            self.assertEqual(self.read("cpu", "cpu.cfs_period_us"), "200000")

    @rule("MUST", "config-linux.md#cpu", "burst")
    def test_cpu_burst(self):
        self.created(cpu={"quota": 50000, "period": 200000, "burst": 10000})
        self.assertEqual(self.limit("cpu.cfs_burst_us", "cpu.max.burst"), "10000")

    @rule("MUST", "config-linux.md#cpu", "shares, quota, period")
    def test_cpu_shares_at_their_ends(self):
        for shares, weight in ((2, "1"), (262144, "10000")):
            with self.subTest(shares):
                self.created(cpu={"shares": shares})
                self.assertEqual(self.limit("cpu.shares", "cpu.weight"), weight if V2 else str(shares))
                self.assertOk(self.delete("--force"))

    @rule("MUST", "config-linux.md#cpu", "idle")
    def test_cpu_idle(self):
        self.created(cpu={"idle": 1})
        self.assertEqual(self.read("cpu", "cpu.idle"), "1")

    @rule("MUST", "config-linux.md#cpu", "shares, quota, period")
    def test_cpu_without_quota(self):
        self.created(cpu={"quota": -1, "period": 50000})
        self.assertEqual(self.limit("cpu.cfs_quota_us", "cpu.max"), "max 50000" if V2 else "-1")

    @rule("MUST", "config-linux.md#cpu", "realtimeRuntime and realtimePeriod (v1; an error on v2)")
    def test_cpu_realtime(self):
        self.linux["cgroupsPath"] = f"/{self.id}"
        realtime = {"realtimeRuntime": 1000, "realtimePeriod": 500000}
        if V2:
            self.resources(cpu=realtime)
            self.assertRefused("realtimeRuntime")
            return
        self.created(cpu=realtime)
        self.assertEqual(self.read("cpu", "cpu.rt_runtime_us"), "1000")
        self.assertEqual(self.read("cpu", "cpu.rt_period_us"), "500000")

    def test_cpu_quota_that_the_kernel_refuses(self):
        self.resources(cpu={"quota": 1, "period": 100000})
        self.assertRefused("cpu")

    @rule("MUST", "config-linux.md#cpu", "cpus and mems")
    def test_cpuset(self):
        self.created(cpu={"cpus": "0", "mems": "0"})
        self.assertEqual(self.read("cpuset", "cpuset.cpus"), "0")
        self.assertEqual(self.read("cpuset", "cpuset.mems"), "0")

    def test_cpuset_that_is_not_there(self):
        self.resources(cpu={"cpus": "900"})
        self.assertRefused("cpu")

    @rule("MUST", "config-linux.md#pids", "limit, -1 is none, 0 is a limit")
    def test_pids(self):
        self.created(pids={"limit": 42})
        self.assertEqual(self.read("pids", "pids.max"), "42")

    @rule("MUST", "config-linux.md#pids", "limit, -1 is none, 0 is a limit")
    def test_pids_without_a_limit(self):
        self.created(pids={"limit": -1})
        self.assertEqual(self.read("pids", "pids.max"), "max")

    @rule("MUST", "config-linux.md#pids", "limit, -1 is none, 0 is a limit")
    def test_pids_of_zero_is_a_limit(self):
        # In v2 the process is born in its cgroup: there it does not come to life at all.
        self.resources(pids={"limit": 0})
        self.process["args"] = ["/bin/sleep", "1000"]
        result = self.create()
        if result.status == 0:
            self.assertEqual(self.read("pids", "pids.max"), "0")
        else:
            self.assertTrue(V2, result)
            self.assertFails(result, "temporarily unavailable")
            self.assertNothingLeft()

    @rule("MUST", "config-linux.md#block-io",
          "throttleReadBpsDevice throttleWriteBpsDevice throttleReadIOPSDevice throttleWriteIOPSDevice")
    def test_block_io(self):
        number = self.block_device()
        devices = {"throttleReadBpsDevice": ("read_bps", 1000000), "throttleWriteBpsDevice": ("write_bps", 2000000),
                   "throttleReadIOPSDevice": ("read_iops", 300), "throttleWriteIOPSDevice": ("write_iops", 400)}
        self.created(blockIO={name: [{"major": number[0], "minor": number[1], "rate": rate}]
                              for name, (_, rate) in devices.items()})
        if V2:
            self.assertEqual(self.read("io", "io.max"),
                             f"{number[0]}:{number[1]} rbps=1000000 wbps=2000000 riops=300 wiops=400")
            return
        for file, rate in devices.values():
            self.assertEqual(self.read("blkio", f"blkio.throttle.{file}_device"), f"{number[0]}:{number[1]} {rate}")

    @staticmethod
    def block_device():
        for line in pathlib.Path("/proc/partitions").read_text().splitlines()[2:]:
            major, minor, _, name = line.split()
            if os.path.exists(f"/sys/block/{name}"):
                return int(major), int(minor)
        raise unittest.SkipTest("no block device on this host")

    @rule("MUST", "config-linux.md#block-io", "weight, or an error where the host has none")
    def test_block_io_weight(self):
        # Only with the BFQ scheduler (or the older CFQ, or v2's cost model) is there anything to set: else it cannot be
        # honoured.
        self.resources(blockIO={"weight": 300})
        self.process["args"] = ["/bin/sleep", "1000"]
        result = self.create()
        if result.status == 0:
            # io.weight's scale is 1 to 10000, that of the others 10 to 1000.
            files = {"blkio.bfq.weight": "300", "blkio.weight": "300", "io.bfq.weight": "300", "io.weight": "default 2930"}
            file = next(f for f in files if (self.path("blkio") / f).exists())
            self.assertIn(files[file], self.read("blkio", file))
        else:
            self.assertFails(result, "blockIO.weight")
            self.assertNothingLeft()

    @rule("MUST", "config-linux.md#block-io", "leafWeight and weightDevice, or an error where the host has none")
    def test_block_io_leaf_weight_and_weights_of_devices(self):
        # Written where the host has the files (they come with a scheduler that divides by weight), else refused by name; v2
        # has no leaf weight at all.
        major, minor = self.block_device()
        for name, value in (("leafWeight", 200), ("weightDevice", [{"major": major, "minor": minor, "weight": 400}])):
            with self.subTest(name):
                self.linux["resources"]["blockIO"] = {name: value}
                self.process["args"] = ["/bin/sleep", "1000"]
                result = self.create()
                if result.status == 0 and name == "weightDevice":
                    files = [self.path("blkio" if not V2 else "io") / f for f in
                             ("blkio.bfq.weight_device", "blkio.weight_device", "io.bfq.weight", "io.weight")]
                    text = next(f for f in files if f.exists()).read_text()
                    self.assertIn(f"{major}:{minor} ", text)
                    self.assertOk(self.delete("--force"))
                elif result.status == 0:
                    self.assertIn("leafWeight", result.err) if V2 else self.assertEqual(
                        self.read("blkio", "blkio.leaf_weight"), "200")
                    self.assertOk(self.delete("--force"))
                else:
                    self.assertFails(result, "blockIO")
                    self.assertNothingLeft()

    @rule("MUST", "config-linux.md#memory", "checkBeforeUpdate: an update below what is in use is refused")
    def test_check_before_update(self):
        self.sh("head -c 20000000 /dev/zero > /dev/shm/held; touch /tmp/full; exec sleep 1000")
        self.resources(memory={"limit": 64 * MEGABYTE})
        self.assertOk(self.create())
        self.assertOk(self.start())
        wait_until((self.rootfs / "tmp/full").exists, "memory in use")
        kept = self.limit("memory.limit_in_bytes", "memory.max")
        changes = self.directory / "resources.json"
        changes.write_text(json.dumps({"memory": {"limit": 8 * MEGABYTE, "checkBeforeUpdate": True}}))
        result = self.runtime("update", "--resources", changes, self.id)
        self.assertFails(result, "memory")
        self.assertEqual(self.limit("memory.limit_in_bytes", "memory.max"), kept)
        self.assertEqual(self.status(), "running")
        changes.write_text(json.dumps({"memory": {"limit": 32 * MEGABYTE, "checkBeforeUpdate": True}}))
        self.assertOk(self.runtime("update", "--resources", changes, self.id))
        self.assertEqual(self.limit("memory.limit_in_bytes", "memory.max"), str(32 * MEGABYTE))

    @rule("MUST", "config-linux.md#rdma", "hcaHandles and hcaObjects, or an error without the controller")
    def test_rdma(self):
        controllers = (TOP / "cgroup.controllers").read_text().split() if V2 else [p.name for p in TOP.iterdir()]
        self.resources(rdma={"nucleus-none": {"hcaHandles": 3, "hcaObjects": 1000}})
        if "rdma" in controllers and os.path.isdir("/sys/class/infiniband") and os.listdir("/sys/class/infiniband"):
            device = os.listdir("/sys/class/infiniband")[0]
            self.created(rdma={device: {"hcaHandles": 3, "hcaObjects": 1000}})
            self.assertIn(f"{device} hca_handle=3 hca_object=1000", self.read("rdma", "rdma.max"))
        else:
            # No controller, or no such device: the kernel's answer is the error.
            self.assertRefused("rdma")

    def test_cgroup_of_the_config_only(self):
        # What is not asked for is as the kernel makes it.
        self.created()
        self.assertEqual(self.read("pids", "pids.max"), "max")
        self.assertEqual(self.limit("cpu.cfs_quota_us", "cpu.max").split()[0], "max" if V2 else "-1")
        self.assertTrue(unlimited(self.limit("memory.limit_in_bytes", "memory.max")))

    def test_values_that_are_no_numbers(self):
        for resources in ({"memory": {"limit": "64M"}}, {"pids": {"limit": "ten"}}, {"cpu": {"shares": -1}}):
            with self.subTest(resources):
                self.config["linux"]["resources"] = resources
                self.assertFails(self.create(), next(iter(resources)))
                self.assertNothingLeft()

    @rule("MUST", "config-linux.md#control-groups", "what cannot be applied is an error: no such controller")
    @rule("MUST", "config-linux.md#huge-page-limits", "pageSize and limit, for pages reserved too")
    @rule("MUST", "config-linux.md#network", "classID and priorities (v1), or an error without the controller")
    @rule("MUST", "config-linux.md#rdma", "hcaHandles and hcaObjects, or an error without the controller")
    @rule("MUST", "config-linux.md#unified", "a file or controller that is not there: error")
    def test_no_controller(self):
        absent = {"rdma": {"mlx5_1": {"hcaHandles": 3}}, "network": {"classID": 1048577},
                  "hugepageLimits": [{"pageSize": "2MB", "limit": 0}], "unified": {"memory.high": "1000000"}}
        controllers = (TOP / "cgroup.controllers").read_text().split() if V2 else [p.name for p in TOP.iterdir()]
        has = {"network": V2 or "net_cls" in controllers, "hugepageLimits": "hugetlb" in controllers, "unified": V2,
               "rdma": "rdma" in controllers}  # v2 takes `network` with a warning
        for name, value in absent.items():
            if has[name]:
                continue
            with self.subTest(name):
                kept = dict(self.linux["resources"])
                self.resources(**{name: value})
                self.assertRefused(name)
                self.linux["resources"] = kept

    @rule("MUST", "config-linux.md#huge-page-limits", "pageSize and limit, for pages reserved too")
    def test_hugepages(self):
        controllers = (TOP / "cgroup.controllers").read_text().split() if V2 else [p.name for p in TOP.iterdir()]
        if "hugetlb" not in controllers:
            self.skipTest("no hugetlb controller beside the others on this host")
        self.created(hugepageLimits=[{"pageSize": "2MB", "limit": 4 * MEGABYTE}])
        self.assertEqual(self.limit("hugetlb.2MB.limit_in_bytes", "hugetlb.2MB.max"), str(4 * MEGABYTE))


@only_v2
class Unified(Cgroups):
    @rule("MUST", "config-linux.md#unified", "a file that the runtime does not know is written")
    def test_any_file(self):
        self.created(unified={"memory.high": str(16 * MEGABYTE), "pids.max": "77", "cpu.weight": "321"})
        self.assertEqual(self.read("", "memory.high"), str(16 * MEGABYTE))
        self.assertEqual(self.read("", "pids.max"), "77")
        self.assertEqual(self.read("", "cpu.weight"), "321")

    @rule("MUST", "config-linux.md#unified", "a file that the runtime does not know is written")
    def test_misc_controller(self):
        self.resources(unified={"misc.max": "nucleus_none 1"})
        self.assertRefused("misc.max")  # the kernel knows no such resource, or the host no such controller

    @rule("MUST", "config-linux.md#unified", "a file that the runtime does not know is written")
    def test_it_has_the_last_word(self):
        self.created(pids={"limit": 10}, unified={"pids.max": "20"})
        self.assertEqual(self.read("", "pids.max"), "20")

    def test_several_lines(self):
        devices = [line.split()[:2] for line in pathlib.Path("/proc/partitions").read_text().splitlines()[2:]
                   if os.path.exists(f"/sys/block/{line.split()[3]}")][:2]
        if len(devices) < 2:
            self.skipTest("needs two block devices")
        self.created(unified={"io.max": "\n".join(f"{major}:{minor} rbps=1000000" for major, minor in devices)})
        self.assertEqual(sorted(line.split()[0] for line in self.read("", "io.max").splitlines()),
                         sorted(f"{major}:{minor}" for major, minor in devices))

    @rule("MUST", "config-linux.md#unified", "a file or controller that is not there: error")
    def test_no_such_file(self):
        self.resources(unified={"memory.nonsense": "1"})
        self.assertRefused("memory.nonsense")

    def test_value_that_the_kernel_refuses(self):
        self.resources(unified={"memory.high": "a lot"})
        self.assertRefused("memory.high")

    def test_not_a_file_name(self):
        for name in ("../cgroup.procs", "a/b", "", ".."):
            with self.subTest(name):
                self.linux["resources"]["unified"] = {name: "1"}
                self.assertRefused("unified")

    def test_controllers_are_handed_down_all_the_way(self):
        self.linux["cgroupsPath"] = f"/nucleus-test/a-{self.id}/b/c/{self.id}"
        self.addCleanup(self.remove_parents, TOP / f"nucleus-test/a-{self.id}")
        self.created(memory={"limit": 64 * MEGABYTE}, pids={"limit": 9}, cpu={"cpus": "0", "shares": 200},
                     blockIO={"throttleReadBpsDevice": []})
        available = set((TOP / "cgroup.controllers").read_text().split())
        self.assertEqual(set(self.read("", "cgroup.controllers").split()), available)
        self.assertEqual(self.read("", "memory.max"), str(64 * MEGABYTE))
        self.assertOk(self.delete("--force"))

    def test_parent_with_processes_hands_nothing_down(self):
        # Only the root may have both: the limit is missed and named, not left out. What is not asked for is not missed, and
        # the parent stays what it was (the controllers of threads alone would make it a threaded domain).
        parent = TOP / f"nucleus-test/busy-{self.id}"
        parent.mkdir(parents=True)
        holder = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(parent.rmdir)
        self.addCleanup(holder.wait)
        self.addCleanup(holder.kill)
        (parent / "cgroup.procs").write_text(str(holder.pid))
        self.linux["cgroupsPath"] = f"/nucleus-test/busy-{self.id}/{self.id}"
        self.resources(memory={"limit": 64 * MEGABYTE})
        self.assertRefused("memory.limit")
        self.assertEqual((parent / "cgroup.type").read_text(), "domain\n")
        del self.linux["resources"]["memory"]
        self.created()
        self.assertOk(self.start())
        self.assertOk(self.delete("--force"))

    @staticmethod
    def remove_parents(directory):
        for path, _, _ in os.walk(directory, topdown=False):
            os.rmdir(path)


@only_v2
class NoInnerProcesses(Cgroups):
    """A workload that divides its cgroup, as systemd does: then v2 allows no process in the upper one."""

    def divided(self):
        self.add_capabilities("CAP_DAC_OVERRIDE")
        self.mount_cgroups("rw")
        self.running("cd /sys/fs/cgroup && mkdir payload && echo $$ > payload/cgroup.procs && "
                     "echo +memory +pids > cgroup.subtree_control && touch /tmp/done; exec sleep 1000")
        wait_until(lambda: (self.rootfs / "tmp/done").exists(), "divided cgroup")

    def test_exec_goes_where_init_is(self):
        self.divided()
        result = self.exec("cat", "/proc/self/cgroup")
        self.assertOk(result)
        self.assertEqual(result.out, "0::/payload\n")

    def test_threads_of_their_own(self):
        # A threaded cgroup does not tell its processes; those who look for all of them must not stumble.
        self.add_capabilities("CAP_DAC_OVERRIDE")
        self.mount_cgroups("rw")
        self.running("cd /sys/fs/cgroup && mkdir -p t/u && echo threaded > t/cgroup.type && echo threaded > t/u/cgroup.type; "
                     "touch /tmp/done; exec sleep 1000")
        wait_until(lambda: (self.rootfs / "tmp/done").exists(), "threaded cgroup")
        self.assertEqual((self.path("") / "t/u/cgroup.type").read_text(), "threaded\n")
        self.assertOk(self.runtime("ps", "--format", "json", self.id))
        self.assertOk(self.runtime("pause", self.id))
        self.assertOk(self.runtime("resume", self.id))
        self.assertOk(self.delete("--force"))
        self.assertNothingLeft()

    def test_pause_kill_and_delete_reach_it(self):
        self.divided()
        self.assertOk(self.runtime("pause", self.id))
        self.assertEqual(self.status(), "paused")
        self.assertIn("frozen 1", (self.path("") / "payload/cgroup.events").read_text())
        self.assertOk(self.runtime("resume", self.id))
        self.assertOk(self.delete("--force"))
        self.assertNothingLeft()


@only_v2
class Ownership(Cgroups):
    """The container's user gets the cgroup where it has a namespace for it and a writable mount, and nothing but that."""

    DELEGATED = {"cgroup.procs", "cgroup.subtree_control", "cgroup.threads"}

    def owners(self):
        place = self.path("")
        return place.stat().st_uid, {f.name: f.stat().st_uid for f in place.iterdir() if f.is_file()}

    def of_user(self, *options):
        self.process["user"] = {"uid": 1000, "gid": 1000}
        if options:
            self.mount_cgroups(*options)
        self.created()
        return self.owners()

    @rule("MUST", "config-linux.md#cgroup-ownership",
          "v2, a cgroup namespace and a writable mount: the user of the container's root owns the delegate files")
    def test_writable(self):
        directory, files = self.of_user("rw")
        self.assertEqual(directory, 1000)
        theirs = {name for name, owner in files.items() if owner == 1000}
        listed = set(pathlib.Path("/sys/kernel/cgroup/delegate").read_text().split())
        self.assertLessEqual(self.DELEGATED, theirs)
        self.assertEqual(theirs, listed & set(files))
        self.assertFalse(theirs & {"memory.max", "pids.max", "cpu.max", "cpuset.cpus", "cgroup.freeze", "cgroup.kill"})

    @rule("MUST", "config-linux.md#cgroup-ownership", "nothing is owned otherwise")
    def test_read_only(self):
        directory, files = self.of_user("ro")
        self.assertEqual({directory, *files.values()}, {0})

    @rule("MUST", "config-linux.md#cgroup-ownership", "nothing is owned otherwise")
    def test_not_mounted(self):
        directory, files = self.of_user()
        self.assertEqual({directory, *files.values()}, {0})

    @rule("MUST", "config-linux.md#cgroup-ownership", "nothing is owned otherwise")
    def test_without_the_namespace(self):
        self.without_namespace("cgroup")
        directory, files = self.of_user("rw")
        self.assertEqual({directory, *files.values()}, {0})

    @rule("MUST", "config-linux.md#cgroup-ownership", "nothing is owned otherwise")
    def test_one_that_was_there_keeps_its_owner(self):
        self.path("").mkdir(parents=True)
        try:
            directory, files = self.of_user("rw")
            self.assertEqual({directory, *files.values()}, {0})
            self.assertOk(self.delete("--force"))
        finally:
            self.path("").rmdir()

    def test_root_of_a_user_namespace_divides_it(self):
        self.linux["namespaces"].append({"type": "user"})
        self.linux["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        self.linux["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        for path in (self.directory, self.bundle):
            path.chmod(0o755)
        for path, directories, files in os.walk(self.rootfs):
            for entry in (path, *(os.path.join(path, f) for f in directories + files)):
                os.chown(entry, 100000, 100000, follow_symlinks=False)
        self.resources(memory={"limit": 64 * MEGABYTE})
        self.mount_cgroups("rw")
        out = self.output("cd /sys/fs/cgroup && mkdir a && echo $$ > a/cgroup.procs && "
                          "echo +memory > cgroup.subtree_control && echo 10m > a/memory.max && cat a/memory.max; "
                          "echo max > memory.max || echo kept")
        self.assertEqual(out, f"{10 * MEGABYTE}\nkept\n")


class Freezer(Cgroups):
    def is_frozen(self):
        return "frozen 1" in self.read("", "cgroup.events") if V2 else self.read("freezer", "freezer.state") == "FROZEN"

    def test_pause_and_resume(self):
        self.running("while :; do echo $((++i)) > /tmp/n; done")
        wait_until(lambda: (self.rootfs / "tmp/n").exists(), "the loop runs")
        self.assertOk(self.runtime("pause", self.id))
        self.assertTrue(self.is_frozen())
        self.assertEqual(self.status(), "paused")
        self.assertFails(self.exec("/bin/true"), "paused", status=255)
        self.assertOk(self.runtime("resume", self.id))
        self.assertFalse(self.is_frozen())
        self.assertEqual(self.status(), "running")

    def test_paused_one_is_killed(self):
        pid = self.running()
        self.assertOk(self.runtime("pause", self.id))
        self.assertOk(self.kill())
        self.assertOk(self.runtime("resume", self.id)) if is_alive(pid) and self.status() == "paused" else None
        wait_until(lambda: not is_alive(pid), "end of a paused process")

    def test_paused_one_is_deleted_by_force(self):
        self.running("sleep 1000 & sleep 1000 & wait")
        self.assertOk(self.runtime("pause", self.id))
        self.assertOk(self.delete("--force"))
        self.assertNothingLeft()

    def test_all_of_them_are_killed(self):
        self.without_namespace("pid")
        pid = self.running("for i in 1 2 3 4 5; do setsid sleep 1000 & done; touch /tmp/done; wait")
        wait_until(lambda: (self.rootfs / "tmp/done").exists(), "children")
        others = self.processes() - {str(pid)}
        self.assertOk(self.runtime("kill", "--all", self.id, "KILL"))
        wait_until(lambda: not any(is_alive(p) for p in [pid, *others]), "end of all")


class Mounted(Cgroups):
    """A mount of type cgroup: the container's part of the tree and nothing else."""

    def look(self, *options):
        self.mount_cgroups(*options)
        self.process["args"] = ["/bin/sh", "-c", "cat /proc/self/mountinfo; echo; cat /proc/self/cgroup; echo; "
                                f"cat {self.inside('pids')}/cgroup.procs; echo; ls {self.inside('pids')}; echo; "
                                f"mkdir {self.inside('pids')}/sub 2>&1 && echo made"]
        self.add_capabilities("CAP_DAC_OVERRIDE")
        return self.run_container().out.split("\n\n")

    @rule("MUST", "config.md#mounts", "cgroup: the own cgroups with a cgroup namespace")
    def test_with_the_namespace(self):
        mounts, groups, processes, files, made = self.look("ro")
        mount = parse_mounts(mounts)[self.inside("pids")]
        self.assertEqual((mount.type, mount.root), ("cgroup2" if V2 else "cgroup", "/"))
        self.assertLessEqual({"ro", "nosuid", "noexec", "nodev"}, mount.options)
        self.assertEqual({line.split(":", 2)[2] for line in groups.splitlines()}, {"/"})
        self.assertIn("1", processes.split())
        self.assertIn("pids.max", files.split())
        self.assertIn("Read-only file system", made)

    @rule("MUST", "config.md#mounts", "cgroup: the own cgroups without a cgroup namespace")
    def test_without_the_namespace(self):
        self.without_namespace("cgroup")
        mounts, groups, processes, files, made = self.look("ro")
        mount = parse_mounts(mounts)[self.inside("pids")]
        self.assertEqual(mount.root, self.linux["cgroupsPath"])
        self.assertLessEqual({"ro", "nosuid", "noexec", "nodev"}, mount.options)
        self.assertEqual({line.split(":", 2)[2] for line in groups.splitlines()}, {self.linux["cgroupsPath"]})
        self.assertIn("1", processes.split())
        self.assertIn("pids.max", files.split())
        self.assertIn("Read-only file system", made)

    def test_writable(self):
        *_, made = self.look("rw")
        self.assertIn("made", made)

    @only_v2
    def test_type_cgroup2(self):
        self.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup2", "source": "cgroup2",
                                      "options": ["ro"]})
        mount = self.mounts()["/sys/fs/cgroup"]
        self.assertEqual((mount.type, mount.root), ("cgroup2", "/"))


class Told(Cgroups):
    """What update changes and events tell."""

    def test_update(self):
        self.resources(memory={"limit": 64 * MEGABYTE})
        self.running()
        self.assertOk(self.runtime("update", "--memory", "96m", "--pids-limit", "55", "--cpu-quota", "30000",
                                   "--cpu-period", "100000", "--cpu-share", "262144", "--cpuset-cpus", "0", self.id))
        self.assertEqual(self.limit("memory.limit_in_bytes", "memory.max"), str(96 * MEGABYTE))
        self.assertEqual(self.read("pids", "pids.max"), "55")
        self.assertEqual(self.limit("cpu.cfs_quota_us", "cpu.max"), "30000 100000" if V2 else "30000")
        self.assertEqual(self.limit("cpu.shares", "cpu.weight"), "10000" if V2 else "262144")
        self.assertEqual(self.read("cpuset", "cpuset.cpus"), "0")

    def test_update_leaves_devices_alone(self):
        self.running()
        self.assertOk(self.runtime("update", "--pids-limit", "55", self.id))
        self.assertOk(self.exec("/bin/sh", "-c", "head -c 4 /dev/zero > /dev/null"))
        self.assertEqual(self.exec_probe("open", "/dev/null", "rdwr")["errno"], "")

    @unittest.skipIf(" - resctrl " in pathlib.Path("/proc/self/mountinfo").read_text(), "resctrl is mounted here")
    def test_update_of_rdt_without_resctrl(self):
        """It is asked for first: where it cannot be had, the other limits stay as they were."""
        self.resources(pids={"limit": 44})
        self.running()
        for flag, schema in (("--l3-cache-schema", "L3:0=f"), ("--mem-bw-schema", "MB:0=20")):
            self.assertFails(self.runtime("update", flag, schema, "--pids-limit", "55", self.id), "resctrl is not mounted")
            self.assertFails(self.runtime("update", flag, f"{schema}\n{schema}", self.id), "one line")
        self.assertEqual(self.read("pids", "pids.max"), "44")

    def test_statistics(self):
        self.resources(memory={"limit": 64 * MEGABYTE}, pids={"limit": 20})
        self.running("i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; touch /tmp/done; exec sleep 1000")
        wait_until(lambda: (self.rootfs / "tmp/done").exists(), "some work")
        result = self.runtime("events", "--stats", self.id)
        self.assertOk(result)
        data = json.loads(result.out)["data"]
        self.assertGreater(data["cpu"]["usage"]["total"], 0)
        self.assertGreater(data["memory"]["usage"]["usage"], 0)
        self.assertEqual(data["memory"]["usage"]["limit"], 64 * MEGABYTE)
        self.assertEqual(data["pids"], {"current": 1, "limit": 20})

    def test_out_of_memory_is_told(self):
        self.resources(memory={"limit": 32 * MEGABYTE, "swap": 32 * MEGABYTE})
        self.running()
        out = self.directory / "events"
        with open(out, "wb") as file:
            watcher = subprocess.Popen([RUNTIME, "--root", self.root, "events", "--interval", "1s", self.id], stdout=file,
                                       stdin=subprocess.DEVNULL)
        try:
            # Its first statistics say that it watches.
            wait_until(lambda: '"stats"' in out.read_text(), "first statistics")
            self.assertEqual(self.exec("/bin/probe", "memory", str(200 * MEGABYTE)).status, 128 + 9)
            wait_until(lambda: '"oom"' in out.read_text(), "word of the kill")
        finally:
            watcher.kill()
            watcher.wait()


@unittest.skipUnless(os.path.exists("/run/systemd/private"), "systemd does not run here")
class UnderSystemd(Cgroups):
    """The runtime itself sits in a unit of systemd's: what is relative goes beside that, where controllers can be had."""

    def scope(self, *args):
        return command(["systemd-run", "--quiet", "--scope", f"--unit=scope-{self.id}", "--slice=nucleustest",
                        RUNTIME, "--root", self.root, *args])

    def test_relative_from_a_scope(self):
        self.linux["cgroupsPath"] = self.id
        self.resources(memory={"limit": 64 * MEGABYTE})
        self.process["args"] = ["/bin/sleep", "1000"]
        self.write()
        result = self.scope("create", "--bundle", self.bundle, self.id)
        self.assertOk(result)
        found = cgroup_directories(self.id)
        self.assertTrue(found)
        self.assertEqual(found[0].removeprefix("/sys/fs/cgroup"), f"/nucleustest.slice/{self.id}")
        self.assertEqual(pathlib.Path(found[0], "memory.max").read_text().strip(), str(64 * MEGABYTE))
        self.assertOk(self.start())
        # The scope has ended with the command; the container is none of it.
        self.assertEqual(self.status(), "running")
        self.assertOk(self.exec("/bin/true"))

    def test_relative_from_a_delegated_leaf(self):
        self.linux["cgroupsPath"] = self.id
        self.resources(pids={"limit": 12})
        self.process["args"] = ["/bin/sleep", "1000"]
        self.write()
        # In a file: systemd would put its own variables for those of an argument.
        script = self.directory / "script"
        script.write_text('own=/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)\nmkdir $own/leaf\n'
                          'echo $$ > $own/leaf/cgroup.procs || exit 99\nexec "$@"\n')
        unit = f"delegated-{self.id}"
        result = command(["systemd-run", "--quiet", "--pipe", "--wait", f"--unit={unit}", "-p", "Delegate=yes", "-p",
                          "KillMode=none", "-p", "SendSIGKILL=no", "/bin/sh", script,
                          RUNTIME, "--root", self.root, "create", "--bundle", self.bundle, self.id])
        self.assertOk(result)
        found = cgroup_directories(self.id)
        self.assertEqual(found, [f"/sys/fs/cgroup/system.slice/{unit}.service/{self.id}"])
        self.assertEqual(pathlib.Path(found[0], "pids.max").read_text().strip(), "12")
        self.assertOk(self.delete("--force"))

    def test_limits_survive_a_reload_of_systemd(self):
        self.resources(memory={"limit": 64 * MEGABYTE}, pids={"limit": 12})
        self.running()
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        self.assertEqual(self.limit("memory.limit_in_bytes", "memory.max"), str(64 * MEGABYTE))
        self.assertEqual(self.read("pids", "pids.max"), "12")


class Enforced(Cgroups):
    @rule("MUST", "config-linux.md#pids", "limit, -1 is none, 0 is a limit")
    def test_pids(self):
        self.resources(pids={"limit": 10})
        got = self.probe("fork", 50)
        self.assertEqual((got["children"], got["errno"]), (9, "EAGAIN"))

    def test_pids_count_an_exec(self):
        self.resources(pids={"limit": 10})
        self.running()
        got = self.exec_probe("fork", 50)
        self.assertEqual((got["children"], got["errno"]), (8, "EAGAIN"))

    @rule("MUST", "config-linux.md#memory", "limit, reservation, swap")
    def test_memory(self):
        self.resources(memory={"limit": 32 * MEGABYTE, "swap": 32 * MEGABYTE})
        self.process["args"] = ["/bin/probe", "memory", str(20 * MEGABYTE)]
        self.assertOk(self.run_container())
        self.process["args"] = ["/bin/probe", "memory", str(200 * MEGABYTE)]
        self.assertEqual(self.run_container().status, 128 + 9)

    def test_memory_of_an_exec(self):
        self.resources(memory={"limit": 32 * MEGABYTE, "swap": 32 * MEGABYTE})
        self.running()
        self.assertEqual(self.exec("/bin/probe", "memory", str(200 * MEGABYTE)).status, 128 + 9)

    def test_files_in_a_tmpfs_count(self):
        self.resources(memory={"limit": 32 * MEGABYTE, "swap": 32 * MEGABYTE})
        self.config["mounts"].append({"destination": "/m", "type": "tmpfs", "source": "tmpfs"})
        self.sh("head -c 200m /dev/zero > /m/big && echo written")
        self.assertNotIn("written", self.run_container().out)

    def test_memory_too_small_to_start(self):
        self.resources(memory={"limit": 4096})
        self.assertFails(self.create())
        self.assertNothingLeft()

    @rule("MUST", "config-linux.md#cpu", "cpus and mems")
    def test_cpuset(self):
        self.resources(cpu={"cpus": "0"})
        self.assertEqual(self.probe("facts")["affinity"], [0])

    def test_cpu_quota_is_counted(self):
        self.resources(cpu={"quota": 2000, "period": 100000})
        self.running("while :; do :; done")
        wait_until(lambda: "nr_throttled 0" not in self.read("cpu", "cpu.stat"), "throttled at least once")


if __name__ == "__main__":
    main()
