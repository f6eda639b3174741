"""linux.cgroupsPath and linux.resources on the hierarchies that this host has: what is written, and that it holds.

Limits are read back from the host's side. On a host with cgroup v2 alone the tests of v1 files are skipped by name.
"""

import os
import pathlib
import unittest

from harness import Case, cgroup_directories, main, wait_until

TOP = pathlib.Path("/sys/fs/cgroup")
V1 = {"memory", "cpu", "cpuset", "pids", "blkio"} <= {p.name for p in TOP.iterdir()}
MEGABYTE = 1 << 20


class Cgroups(Case):
    def path(self, controller):
        return TOP / controller / self.linux["cgroupsPath"].strip("/")

    def read(self, controller, file):
        return (self.path(controller) / file).read_text().strip()

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

    def test_absolute(self):
        pid = self.running()
        for hierarchy, path in self.groups(pid).items():
            self.assertEqual(path, f"/nucleus-test/{self.id}", hierarchy)

    def test_deep(self):
        self.linux["cgroupsPath"] = f"/nucleus-test/deep/er/{self.id}"
        pid = self.running()
        self.assertEqual(set(self.groups(pid).values()), {f"/nucleus-test/deep/er/{self.id}"})

    def test_relative_is_the_same_each_time(self):
        self.linux["cgroupsPath"] = f"nucleus-test/{self.id}"
        first = self.groups(self.running())
        for path in first.values():
            self.assertTrue(path.endswith(f"nucleus-test/{self.id}"), path)
        self.assertOk(self.delete("--force"))
        self.assertEqual(self.groups(self.running()), first)

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

    def test_exec_is_in_them(self):
        pid = self.running()
        inside = self.exec("cat", "/proc/self/cgroup")
        self.assertOk(inside)
        self.exec("/bin/sleep", "999", flags=["--detach"])
        others = set(self.read("pids", "cgroup.procs").split()) - {str(pid)} if V1 else set()
        for other in others:
            self.assertEqual(self.groups(other), self.groups(pid))
        self.assertEqual(len(others), 1 if V1 else 0)

    def test_namespace_root_is_the_own_cgroup(self):
        self.process["args"] = ["/bin/cat", "/proc/self/cgroup"]
        self.assertEqual({line.split(":", 2)[2] for line in self.output().splitlines()}, {"/"})

    def test_without_the_namespace_the_path_is_in_sight(self):
        self.without_namespace("cgroup")
        self.process["args"] = ["/bin/cat", "/proc/self/cgroup"]
        self.assertEqual({line.split(":", 2)[2] for line in self.output().splitlines()}, {f"/nucleus-test/{self.id}"})


class Removal(Cgroups):
    def test_gone_after_delete(self):
        self.running()
        self.assertNotEqual(cgroup_directories(self.id), [])
        self.assertOk(self.delete("--force"))
        self.assertEqual(cgroup_directories(self.id), [])

    def test_gone_after_an_error(self):
        self.process["args"] = ["/no/such/program"]
        self.assertRefused("no such file or directory")

    def test_one_that_was_there_stays(self):
        made = []
        for hierarchy in (p for p in TOP.iterdir() if p.is_dir() and not p.is_symlink()):
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

    @unittest.skipUnless(V1, "cgroup v1")
    def test_nested_ones_of_the_workload(self):
        self.add_capabilities("CAP_DAC_OVERRIDE")
        self.config["mounts"].append({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
                                      "options": ["nosuid", "noexec", "nodev", "rw"]})
        self.running("cd /sys/fs/cgroup/pids && mkdir -p a/b/c d && sleep 1000 & sleep 0.2; cd /sys/fs/cgroup/pids; "
                     "echo $! > a/b/c/cgroup.procs; touch /tmp/done; wait")
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


@unittest.skipUnless(V1, "cgroup v1")
class Values(Cgroups):
    def test_memory(self):
        self.created(memory={"limit": 64 * MEGABYTE, "reservation": 32 * MEGABYTE, "swap": 128 * MEGABYTE,
                             "swappiness": 30})
        self.assertEqual(self.read("memory", "memory.limit_in_bytes"), str(64 * MEGABYTE))
        self.assertEqual(self.read("memory", "memory.soft_limit_in_bytes"), str(32 * MEGABYTE))
        self.assertEqual(self.read("memory", "memory.memsw.limit_in_bytes"), str(128 * MEGABYTE))
        self.assertEqual(self.read("memory", "memory.swappiness"), "30")

    def test_memory_without_a_limit(self):
        self.created(memory={"limit": -1})
        self.assertGreater(int(self.read("memory", "memory.limit_in_bytes")), 1 << 60)

    def test_memory_and_swap_without_limits(self):
        self.created(memory={"limit": 64 * MEGABYTE, "swap": -1})
        self.assertEqual(self.read("memory", "memory.limit_in_bytes"), str(64 * MEGABYTE))
        self.assertGreater(int(self.read("memory", "memory.memsw.limit_in_bytes")), 1 << 60)

    def test_oom_killer_off(self):
        self.created(memory={"limit": 64 * MEGABYTE, "disableOOMKiller": True})
        self.assertIn("oom_kill_disable 1", self.read("memory", "memory.oom_control"))

    def test_hierarchy_is_accepted(self):
        self.created(memory={"limit": 64 * MEGABYTE, "useHierarchy": True})

    def test_deprecated_ones_do_not_fail(self):
        self.created(memory={"limit": 64 * MEGABYTE, "kernelTCP": 16 * MEGABYTE})

    def test_swap_below_the_limit(self):
        self.resources(memory={"limit": 64 * MEGABYTE, "swap": 32 * MEGABYTE})
        self.assertRefused("memory")

    def test_cpu(self):
        self.created(cpu={"shares": 512, "quota": 50000, "period": 200000, "burst": 10000})
        self.assertEqual(self.read("cpu", "cpu.shares"), "512")
        self.assertEqual(self.read("cpu", "cpu.cfs_quota_us"), "50000")
        self.assertEqual(self.read("cpu", "cpu.cfs_period_us"), "200000")
        self.assertEqual(self.read("cpu", "cpu.cfs_burst_us"), "10000")

    def test_cpu_idle(self):
        self.created(cpu={"idle": 1})
        self.assertEqual(self.read("cpu", "cpu.idle"), "1")

    def test_cpu_without_quota(self):
        self.created(cpu={"quota": -1, "period": 50000})
        self.assertEqual(self.read("cpu", "cpu.cfs_quota_us"), "-1")

    def test_cpu_realtime(self):
        self.linux["cgroupsPath"] = f"/{self.id}"
        self.created(cpu={"realtimeRuntime": 1000, "realtimePeriod": 500000})
        self.assertEqual(self.read("cpu", "cpu.rt_runtime_us"), "1000")
        self.assertEqual(self.read("cpu", "cpu.rt_period_us"), "500000")

    def test_cpu_quota_that_the_kernel_refuses(self):
        self.resources(cpu={"quota": 1, "period": 100000})
        self.assertRefused("cpu")

    def test_cpuset(self):
        self.created(cpu={"cpus": "0", "mems": "0"})
        self.assertEqual(self.read("cpuset", "cpuset.cpus"), "0")
        self.assertEqual(self.read("cpuset", "cpuset.mems"), "0")

    def test_cpuset_that_is_not_there(self):
        self.resources(cpu={"cpus": "900"})
        self.assertRefused("cpu")

    def test_pids(self):
        self.created(pids={"limit": 42})
        self.assertEqual(self.read("pids", "pids.max"), "42")

    def test_pids_without_a_limit(self):
        self.created(pids={"limit": -1})
        self.assertEqual(self.read("pids", "pids.max"), "max")

    def test_pids_of_zero_is_a_limit(self):
        self.created(pids={"limit": 0})
        self.assertEqual(self.read("pids", "pids.max"), "0")

    def test_block_io(self):
        number = self.block_device()
        devices = {"throttleReadBpsDevice": ("read_bps", 1000000), "throttleWriteBpsDevice": ("write_bps", 2000000),
                   "throttleReadIOPSDevice": ("read_iops", 300), "throttleWriteIOPSDevice": ("write_iops", 400)}
        self.created(blockIO={name: [{"major": number[0], "minor": number[1], "rate": rate}]
                              for name, (_, rate) in devices.items()})
        for file, rate in devices.values():
            self.assertEqual(self.read("blkio", f"blkio.throttle.{file}_device"), f"{number[0]}:{number[1]} {rate}")

    @staticmethod
    def block_device():
        for line in pathlib.Path("/proc/partitions").read_text().splitlines()[2:]:
            major, minor, _, name = line.split()
            if os.path.exists(f"/sys/block/{name}"):
                return int(major), int(minor)
        raise unittest.SkipTest("no block device on this host")

    def test_block_io_weight(self):
        # Only with the BFQ scheduler (or the older CFQ) is there anything to set: else it cannot be honoured.
        self.resources(blockIO={"weight": 300})
        self.process["args"] = ["/bin/sleep", "1000"]
        result = self.create()
        if result.status == 0:
            files = [f for f in ("blkio.bfq.weight", "blkio.weight") if (self.path("blkio") / f).exists()]
            self.assertIn("300", self.read("blkio", files[0]))
        else:
            self.assertFails(result, "blockIO.weight")
            self.assertNothingLeft()

    def test_cgroup_of_the_config_only(self):
        # What is not asked for is as the kernel makes it.
        self.created()
        self.assertEqual(self.read("pids", "pids.max"), "max")
        self.assertEqual(self.read("cpu", "cpu.cfs_quota_us"), "-1")
        self.assertGreater(int(self.read("memory", "memory.limit_in_bytes")), 1 << 60)

    def test_values_that_are_no_numbers(self):
        for resources in ({"memory": {"limit": "64M"}}, {"pids": {"limit": "ten"}}, {"cpu": {"shares": -1}}):
            with self.subTest(resources):
                self.config["linux"]["resources"] = resources
                self.assertFails(self.create(), next(iter(resources)))
                self.assertNothingLeft()

    def test_no_controller(self):
        absent = {"rdma": {"mlx5_1": {"hcaHandles": 3}}, "network": {"classID": 1048577},
                  "hugepageLimits": [{"pageSize": "2MB", "limit": 0}], "unified": {"memory.high": "1000000"}}
        for name, value in absent.items():
            if any((TOP / place).exists() for place in {"network": ["net_cls"], "hugepageLimits": ["hugetlb"],
                                                        "unified": ["cgroup.controllers"]}.get(name, [name])):
                continue
            with self.subTest(name):
                kept = dict(self.linux["resources"])
                self.resources(**{name: value})
                self.assertRefused(name)
                self.linux["resources"] = kept


@unittest.skipUnless(V1, "cgroup v1")
class Enforced(Cgroups):
    def test_pids(self):
        self.resources(pids={"limit": 10})
        got = self.probe("fork", 50)
        self.assertEqual((got["children"], got["errno"]), (9, "EAGAIN"))

    def test_pids_count_an_exec(self):
        self.resources(pids={"limit": 10})
        self.running()
        got = self.exec_probe("fork", 50)
        self.assertEqual((got["children"], got["errno"]), (8, "EAGAIN"))

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

    def test_cpuset(self):
        self.resources(cpu={"cpus": "0"})
        self.assertEqual(self.probe("facts")["affinity"], [0])

    def test_cpu_quota_is_counted(self):
        self.resources(cpu={"quota": 2000, "period": 100000})
        self.running("while :; do :; done")
        wait_until(lambda: "nr_throttled 0" not in self.read("cpu", "cpu.stat"), "throttled at least once")


if __name__ == "__main__":
    main()
