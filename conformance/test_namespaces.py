"""linux.namespaces, id mappings, time offsets, names and sysctls: which are new, which are shared, which are joined."""

import json
import os
import pathlib
import subprocess

import harness
from harness import Case, ids, main, rule

# Type in config.json → name in /proc/PID/ns.
FILES = {"pid": "pid", "network": "net", "mount": "mnt", "ipc": "ipc", "uts": "uts", "user": "user",
         "cgroup": "cgroup", "time": "time"}


def host_namespace(name, pid="self"):
    return os.readlink(f"/proc/{pid}/ns/{name}")


class Namespaces(Case):
    def namespace(self, type, path=None):
        self.without_namespace(type)
        entry = {"type": type}
        if path is not None:
            entry["path"] = str(path)
        self.linux["namespaces"].append(entry)

    def mapped(self, host=100000, size=65536):
        """A user namespace, and a rootfs that belongs to its root."""
        self.namespace("user")
        self.linux["uidMappings"] = [{"containerID": 0, "hostID": host, "size": size}]
        self.linux["gidMappings"] = [{"containerID": 0, "hostID": host, "size": size}]
        for path in [self.rootfs, *self.rootfs.rglob("*")]:
            os.chown(path, host, host, follow_symlinks=False)
        for directory in (self.directory, self.bundle):
            directory.chmod(0o755)

    def other(self, *types):
        """A process of the host with new namespaces of its own; its pid."""
        flags = {"pid": "-p", "network": "-n", "ipc": "-i", "uts": "-u", "mount": "-m", "cgroup": "-C", "time": "-T",
                 "user": "-U"}
        process = subprocess.Popen(["unshare", *(flags[t] for t in types), *(["-f"] if "pid" in types else []),
                                    *(["-r"] if "user" in types else []),
                                    "--kill-child", "sh", "-c", "echo ready; exec sleep 1000"],
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.addCleanup(process.stdout.close)
        self.assertEqual(process.stdout.readline(), "ready\n")
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return int(children[0]) if children else process.pid


class New(Namespaces):
    @rule("MUST", "config-linux.md#namespaces", "pid network mount ipc uts user cgroup time: new without a path")
    def test_each(self):
        self.mapped()
        self.namespace("time")
        namespaces = self.probe("facts")["namespaces"]
        for type, file in FILES.items():
            with self.subTest(type):
                self.assertNotEqual(namespaces[file], host_namespace(file))
        self.assertEqual(namespaces["pid"], namespaces["pid_for_children"])
        self.assertEqual(namespaces["time"], namespaces["time_for_children"])

    @rule("MUST", "config-linux.md#namespaces", "a type that is not listed is the runtime's own")
    def test_absent_is_shared(self):
        for type in ("pid", "network", "ipc", "cgroup", "user", "time"):
            with self.subTest(type):
                kept = self.linux["namespaces"]
                self.without_namespace(type)
                self.assertEqual(self.probe("facts")["namespaces"][FILES[type]], host_namespace(FILES[type]))
                self.linux["namespaces"] = kept

    @rule("MUST", "config-linux.md#namespaces", "a type that is not listed is the runtime's own")
    def test_uts_absent_is_shared(self):
        self.without_namespace("uts")
        del self.config["hostname"]
        facts = self.probe("facts")
        self.assertEqual(facts["namespaces"]["uts"], host_namespace("uts"))
        self.assertEqual(facts["hostname"], os.uname().nodename)

    @rule("MUST", "config-linux.md#namespaces", "a type twice: error")
    def test_duplicate(self):
        self.linux["namespaces"].append({"type": "pid"})
        self.assertRefused("duplicate")

    def test_unknown(self):
        self.linux["namespaces"].append({"type": "space"})
        self.assertRefused("space")

    def test_pid(self):
        self.assertEqual(self.probe("facts")["pid"], 1)

    def test_network_has_only_loopback(self):
        self.assertEqual(self.output("ls /sys/class/net"), "lo\n")

    def test_loopback_is_up(self):
        self.sh("ping -c 1 -W 2 127.0.0.1 >/dev/null && ifconfig lo")
        self.config["process"]["capabilities"] = {name: ["CAP_NET_RAW"] for name in ("bounding", "effective", "permitted")}
        result = self.run_container()
        self.assertOk(result)
        shown = result.out
        self.assertIn("127.0.0.1", shown)
        self.assertIn("UP LOOPBACK RUNNING", shown)

    def test_everything_in_it_ends_with_init(self):
        self.sh("sleep 1000 & sleep 1000 & exit 0")
        self.assertOk(self.run_container())
        self.assertNothingLeft()

    def test_shared_pid_namespace_is_cleaned_up(self):
        self.without_namespace("pid")
        self.sh("sleep 1000 & setsid sleep 1000 & exit 0")
        self.run_container()
        self.assertNothingLeft()


class Joined(Namespaces):
    @rule("MUST", "config-linux.md#namespaces", "with a path it is joined")
    def test_each(self):
        for type in ("network", "ipc", "uts", "cgroup", "pid", "time"):
            with self.subTest(type):
                pid = self.other(type)
                kept = self.linux["namespaces"]
                self.namespace(type, f"/proc/{pid}/ns/{FILES[type]}")
                namespaces = self.probe("facts")["namespaces"]
                self.assertEqual(namespaces[FILES[type]], host_namespace(FILES[type], pid))
                self.linux["namespaces"] = kept

    @rule("MUST", "config-linux.md#namespaces", "with a path it is joined")
    def test_all_of_a_pod(self):
        pid = self.other("network", "ipc", "uts", "pid")
        for type in ("network", "ipc", "uts", "pid"):
            self.namespace(type, f"/proc/{pid}/ns/{FILES[type]}")
        namespaces = self.probe("facts")["namespaces"]
        for type in ("network", "ipc", "uts", "pid"):
            self.assertEqual(namespaces[FILES[type]], host_namespace(FILES[type], pid))
        self.assertNotEqual(namespaces["mnt"], host_namespace("mnt", pid))

    @rule("MUST", "runtime.md#delete", "what was not made by create is not removed")
    def test_joined_pid_namespace_is_not_left_at_delete(self):
        pid = self.other("pid")
        self.namespace("pid", f"/proc/{pid}/ns/pid")
        self.running()
        self.assertNotEqual(self.exec_probe("facts")["pid"], 1)
        self.assertOk(self.delete("--force"))
        self.assertTrue(harness.is_alive(pid), "the namespace's own init must live on")

    @rule("MUST", "runtime.md#delete", "what was not made by create is not removed")
    def test_joined_network_is_not_left_at_delete(self):
        name = f"nt{os.getpid()}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        self.addCleanup(subprocess.run, ["ip", "netns", "delete", name], check=False)
        self.namespace("network", f"/run/netns/{name}")
        self.running()
        self.assertOk(self.delete("--force"))
        self.assertTrue(os.path.exists(f"/run/netns/{name}"))
        subprocess.run(["ip", "netns", "exec", name, "true"], check=True)

    @rule("MUST", "config-linux.md#namespaces", "with a path it is joined")
    def test_mount_namespace(self):
        pid = self.other("mount")
        self.namespace("mount", f"/proc/{pid}/ns/mnt")
        before = harness.host_mounts(self.directory)
        result = self.run_container()
        self.assertEqual(harness.host_mounts(self.directory), before)
        self.assertIn(result.status, (0, 1), result)

    @rule("MUST", "config-linux.md#namespaces", "with a path it is joined")
    def test_user_namespace(self):
        pid = self.other("user", "network")
        self.namespace("user", f"/proc/{pid}/ns/user")
        self.namespace("network", f"/proc/{pid}/ns/net")
        for mount in self.config["mounts"]:  # only one id is mapped there
            mount["options"] = [option for option in mount.get("options", []) if option != "gid=5"]
        facts = self.probe("facts")
        self.assertEqual(facts["namespaces"]["user"], host_namespace("user", pid))
        self.assertEqual(facts["namespaces"]["net"], host_namespace("net", pid))
        self.assertEqual(facts["uids"], ids(0))

    @rule("MUST", "config-linux.md#namespaces", "a path of another type: error")
    def test_of_another_type(self):
        pid = self.other("ipc")
        self.namespace("network", f"/proc/{pid}/ns/ipc")
        self.assertRefused(f"/proc/{pid}/ns/ipc")

    @rule("MUST", "config-linux.md#namespaces", "a path of another type: error")
    def test_of_another_type_each(self):
        pid = self.other("network")
        for type in ("ipc", "uts", "cgroup", "pid", "time", "mount", "user"):
            with self.subTest(type):
                kept = self.linux["namespaces"]
                self.namespace(type, f"/proc/{pid}/ns/net")
                self.assertFails(self.create(), "/ns/net")
                self.assertNothingLeft()
                self.linux["namespaces"] = kept

    @rule("MUST", "config-linux.md#namespaces", "a path that is not a namespace: error")
    def test_no_such_path(self):
        self.namespace("network", self.directory / "missing")
        self.assertRefused("missing")

    @rule("MUST", "config-linux.md#namespaces", "a path that is not a namespace: error")
    def test_ordinary_file(self):
        (self.directory / "file").write_text("")
        self.namespace("network", self.directory / "file")
        self.assertRefused("file")

    @rule("MUST", "config-linux.md#namespaces", "a path is absolute")
    def test_relative_path(self):
        self.namespace("network", "proc/self/ns/net")
        self.assertRefused("path")

    def test_own_namespace_by_path(self):
        self.namespace("network", "/proc/self/ns/net")
        self.assertEqual(self.probe("facts")["namespaces"]["net"], host_namespace("net"))


class User(Namespaces):
    @rule("MUST", "config-linux.md#namespaces", "pid network mount ipc uts user cgroup time: new without a path")
    def test_ids_inside_and_outside(self):
        self.mapped(host=200000)
        self.process["user"] = {"uid": 5, "gid": 6, "additionalGids": [7]}
        facts = self.hold()
        self.assertEqual((facts["uids"], facts["gids"], set(facts["groups"]) - {6}), (ids(5), ids(6), {7}))
        status = pathlib.Path(f"/proc/{self.state()['pid']}/status").read_text()
        self.assertIn("Uid:\t200005\t200005\t200005\t200005", status)
        self.assertIn("Gid:\t200006\t200006\t200006\t200006", status)
        self.assertEqual((self.rootfs / "tmp/facts.json").stat().st_uid, 200005)

    @rule("MUST", "config-linux.md#user-namespace-mappings", "uidMappings and gidMappings are written as given")
    def test_maps_are_written_as_given(self):
        self.mapped()
        self.linux["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 10},
                                     {"containerID": 1000, "hostID": 300000, "size": 5}]
        out = self.output("cat /proc/self/uid_map /proc/self/gid_map")
        self.assertEqual([line.split() for line in out.splitlines()],
                         [["0", "100000", "10"], ["1000", "300000", "5"], ["0", "100000", "65536"]])

    @rule("MUST", "config-linux.md#user-namespace-mappings", "uidMappings and gidMappings are written as given")
    def test_many_mappings(self):
        self.mapped()
        self.linux["uidMappings"] = [{"containerID": 2 * n, "hostID": 100000 + 2 * n, "size": 1} for n in range(250)]
        self.assertEqual(self.output("wc -l < /proc/self/uid_map"), "250\n")

    def test_too_many_mappings(self):
        self.mapped()
        self.linux["uidMappings"] = [{"containerID": 2 * n, "hostID": 100000 + 2 * n, "size": 1} for n in range(3000)]
        self.assertRefused("uidMappings")

    def test_capabilities_are_of_the_namespace(self):
        self.mapped()
        for name in ("bounding", "permitted", "effective"):
            self.process["capabilities"][name] = [c for c in harness.CAPABILITIES if c != "CAP_SYS_RESOURCE"]
        self.assertEqual(self.output("mount -t tmpfs tmpfs /mnt && echo mounted"), "mounted\n")
        self.assertEqual(self.probe("mknod", "/tmp/x", "c", 1, 3)["errno"], "EPERM")

    def test_devices_are_there(self):
        self.mapped()
        self.assertEqual(self.output("echo x > /dev/null; head -c 2 /dev/zero | wc -c; stat -c %t:%T /dev/null"),
                         "2\n1:3\n")

    @rule("SHOULD", "config-linux.md#user-namespace-mappings", "the owners of the root filesystem are not changed")
    def test_root_is_owned(self):
        self.mapped()
        self.assertEqual(self.output("stat -c %u:%g / /dev /proc/self/"), "0:0\n" * 3)

    def test_network_belongs_to_it(self):
        self.mapped()
        self.add_capabilities("CAP_NET_ADMIN")
        self.assertEqual(self.output("ip link set lo up && cat /sys/class/net/lo/operstate"), "unknown\n")

    def test_id_without_a_mapping(self):
        self.mapped(size=10)
        self.process["user"] = {"uid": 500, "gid": 0}
        self.assertFails(self.create())
        self.assertNothingLeft()

    def test_exec_joins_it(self):
        self.mapped()
        facts = self.hold()
        joined = self.exec_probe("facts", flags=["--user", "3:4"])
        self.assertEqual(joined["namespaces"], facts["namespaces"])
        self.assertEqual((joined["uids"], joined["gids"]), (ids(3), ids(4)))

    def test_no_mappings(self):
        self.namespace("user")
        self.assertRefused("uidMappings")

    def test_mappings_without_the_namespace(self):
        self.linux["uidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1}]
        self.linux["gidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1}]
        self.assertRefused("user namespace")

    def test_overlapping_mappings(self):
        self.mapped()
        self.linux["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 10},
                                     {"containerID": 5, "hostID": 200000, "size": 10}]
        self.assertRefused("uidMappings")


class Time(Namespaces):
    @rule("MUST", "config-linux.md#namespaces", "pid network mount ipc uts user cgroup time: new without a path")
    @rule("MUST", "config-linux.md#offset-for-time-namespace", "timeOffsets: monotonic and boottime, secs and nanosecs")
    def test_offsets(self):
        self.namespace("time")
        self.linux["timeOffsets"] = {"monotonic": {"secs": 100000, "nanosecs": 500}, "boottime": {"secs": 7000000}}
        before = json.loads(subprocess.run([harness.PROBE, "clock"], capture_output=True, check=True).stdout)
        inside = self.probe("clock")
        after = json.loads(subprocess.run([harness.PROBE, "clock"], capture_output=True, check=True).stdout)
        for clock, offset in (("monotonic", 100000), ("boottime", 7000000)):
            self.assertLessEqual(before[clock] + offset, inside[clock])
            self.assertLessEqual(inside[clock], after[clock] + offset + 1)

    @rule("MUST", "config-linux.md#offset-for-time-namespace", "timeOffsets: monotonic and boottime, secs and nanosecs")
    def test_negative(self):
        with open("/proc/uptime", encoding="ascii") as file:
            uptime = float(file.read().split()[0])
        self.namespace("time")
        self.linux["timeOffsets"] = {"monotonic": {"secs": -int(uptime / 2)}}
        self.assertLess(self.probe("clock")["monotonic"], uptime)

    def test_exec_has_them_too(self):
        self.namespace("time")
        self.linux["timeOffsets"] = {"boottime": {"secs": 7000000}}
        self.running()
        self.assertGreater(self.exec_probe("clock")["boottime"], 7000000)

    @rule("MUST", "config-linux.md#offset-for-time-namespace", "timeOffsets without a time namespace: error")
    def test_without_the_namespace(self):
        self.linux["timeOffsets"] = {"monotonic": {"secs": 1}}
        self.assertRefused("time")

    def test_unknown_clock(self):
        self.namespace("time")
        self.linux["timeOffsets"] = {"realtime": {"secs": 1}}
        self.assertRefused("realtime")

    def test_out_of_range(self):
        self.namespace("time")
        self.linux["timeOffsets"] = {"monotonic": {"secs": -1000000000}}
        self.assertFails(self.create())
        self.assertNothingLeft()


class Names(Namespaces):
    @rule("MUST", "config.md#hostname", "hostname inside, an error without a UTS namespace")
    def test_hostname(self):
        self.config["hostname"] = "somewhere"
        self.assertEqual(self.output("hostname"), "somewhere\n")

    @rule("MUST", "config.md#domainname", "domainname inside, an error without a UTS namespace")
    def test_both(self):
        self.config["hostname"] = "somewhere"
        self.config["domainname"] = "example.test"
        facts = self.probe("facts")
        self.assertEqual((facts["hostname"], facts["domainname"]), ("somewhere", "example.test"))
        self.assertNotEqual(os.uname().nodename, "somewhere")

    @rule("MUST", "config.md#hostname", "hostname inside, an error without a UTS namespace")
    def test_hostname_without_the_namespace(self):
        self.without_namespace("uts")
        self.assertRefused("hostname")

    @rule("MUST", "config.md#domainname", "domainname inside, an error without a UTS namespace")
    def test_domainname_without_the_namespace(self):
        self.without_namespace("uts")
        del self.config["hostname"]
        self.config["domainname"] = "example.test"
        self.assertRefused("domainname")

    def test_too_long(self):
        self.config["hostname"] = "x" * 65
        self.assertFails(self.create())
        self.assertNothingLeft()

    def test_unset_is_the_hosts(self):
        del self.config["hostname"]
        self.assertEqual(self.probe("facts")["hostname"], os.uname().nodename)


class Sysctl(Namespaces):
    def test_the_hosts_own_namespace_by_its_path_is_refused(self):
        before = pathlib.Path("/proc/sys/net/core/somaxconn").read_text()
        self.without_namespace("network")
        self.linux["namespaces"].append({"type": "network", "path": "/proc/self/ns/net"})
        self.linux["sysctl"] = {"net.core.somaxconn": "77"}
        self.assertRefused("net.core.somaxconn", "host")
        self.assertEqual(pathlib.Path("/proc/sys/net/core/somaxconn").read_text(), before)

    @rule("MUST", "config-linux.md#sysctl", "values are set in the container's namespaces")
    def test_network(self):
        self.linux["sysctl"] = {"net.ipv4.ip_forward": "1", "net.core.somaxconn": "77",
                                "net.ipv4.ip_local_port_range": "2000 3000"}
        before = pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text()
        self.assertEqual(self.output("cd /proc/sys/net; cat ipv4/ip_forward core/somaxconn ipv4/ip_local_port_range")
                         .split(), ["1", "77", "2000", "3000"])
        self.assertEqual(pathlib.Path("/proc/sys/net/ipv4/ip_forward").read_text(), before)

    @rule("MUST", "config-linux.md#sysctl", "values are set in the container's namespaces")
    def test_ipc(self):
        self.linux["sysctl"] = {"kernel.shmmax": "123456", "kernel.sem": "100 200 50 60", "kernel.msgmni": "99",
                                "fs.mqueue.msg_max": "15"}
        out = self.output("cd /proc/sys; cat kernel/shmmax kernel/sem kernel/msgmni fs/mqueue/msg_max")
        self.assertEqual(out.split(), ["123456", "100", "200", "50", "60", "99", "15"])

    @rule("MUST", "config-linux.md#sysctl", "values are set in the container's namespaces")
    def test_uts(self):
        del self.config["hostname"]
        self.linux["sysctl"] = {"kernel.domainname": "by.sysctl", "kernel.hostname": "bysysctl"}
        facts = self.probe("facts")
        self.assertEqual((facts["domainname"], facts["hostname"]), ("by.sysctl", "bysysctl"))

    def test_slashes(self):
        self.linux["sysctl"] = {"net/ipv4/conf/lo/forwarding": "1"}
        self.assertEqual(self.output("cat /proc/sys/net/ipv4/conf/lo/forwarding"), "1\n")

    @rule("SHOULD", "config-linux.md#sysctl", "one that is not of a namespace of the container: error")
    def test_not_of_a_namespace(self):
        for name in ("kernel.panic", "vm.swappiness", "fs.file-max", "kernel.core_pattern", "kernel.pid_max"):
            with self.subTest(name):
                self.linux["sysctl"] = {name: "1"}
                self.assertRefused(name)

    @rule("SHOULD", "config-linux.md#sysctl", "one that is not of a namespace of the container: error")
    def test_without_the_namespace(self):
        for name, type in (("net.ipv4.ip_forward", "network"), ("kernel.shmmax", "ipc"), ("kernel.domainname", "uts")):
            with self.subTest(name):
                kept, hostname = self.linux["namespaces"], self.config.pop("hostname", None)
                self.without_namespace(type)
                self.linux["sysctl"] = {name: "1"}
                self.assertRefused(name)
                self.linux["namespaces"] = kept
                self.config["hostname"] = hostname or "box"

    def test_way_out_of_the_directory(self):
        for name in ("net.ipv4./../../kernel/panic", "net/../kernel/panic", "net.ipv4...kernel.panic",
                     "net/ipv4/../../kernel/panic"):
            with self.subTest(name):
                before = pathlib.Path("/proc/sys/kernel/panic").read_text()
                self.linux["sysctl"] = {name: "77"}
                self.assertFails(self.create())
                self.assertEqual(pathlib.Path("/proc/sys/kernel/panic").read_text(), before)
                self.assertNothingLeft()

    def test_unknown(self):
        self.linux["sysctl"] = {"net.no.such.thing": "1"}
        self.assertRefused("net.no.such.thing")

    def test_value_that_the_kernel_refuses(self):
        self.linux["sysctl"] = {"net.core.somaxconn": "many"}
        self.assertRefused("net.core.somaxconn")

    def test_in_a_user_namespace(self):
        self.mapped()
        self.linux["sysctl"] = {"net.ipv4.ip_forward": "1"}
        self.assertEqual(self.output("cat /proc/sys/net/ipv4/ip_forward"), "1\n")


if __name__ == "__main__":
    main()
