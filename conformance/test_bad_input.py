"""Bad input of every kind: one line that names what is wrong, the right status, and nothing left behind.

The rules of config.json stand in a table, one test for each row: the property, the value to give it, the words that the
error must have. A row may first make the bundle right in everything else.
"""

import copy
import json
import os
import random
import subprocess
import unittest

from harness import IS_NUCLEUS, RUNTIME, Case, command, main, rule, wait_until

GONE = object()  # the property is taken out
NO_DEVICE = "/dev/nucleus-test-no-such-device"


def put(document, path, value):
    """Sets `linux.seccomp.syscalls.0.action` of a JSON document, or takes it out."""
    *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
    for part in parents:
        document = document.setdefault(part, {}) if isinstance(document, dict) else document[part]
    if value is GONE:
        del document[last]
    elif isinstance(document, list) and last == len(document):
        document.append(value)
    else:
        document[last] = value


def with_user_namespace(config):
    config["linux"]["namespaces"].append({"type": "user"})
    config["linux"]["uidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 1000}]
    config["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 100000, "size": 1000}]


def with_seccomp(config):
    config["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO", "args": []}]}


def without(*types):
    def change(config):
        config["linux"]["namespaces"] = [n for n in config["linux"]["namespaces"] if n["type"] not in types]
    return change


# property path, value, words of the error[, what to do before]
RULES = [
    # top level
    ("ociVersion", GONE, ["ociVersion"]),
    ("ociVersion", "", ["ociVersion"]),
    ("ociVersion", 1, ["ociVersion"]),
    ("ociVersion", "2.0.0", ["ociVersion", "2.0.0"]),
    ("ociVersion", "0.9.0", ["ociVersion"]),
    ("ociVersion", "one", ["ociVersion"]),
    ("ociVersion", "1.", ["ociVersion"]),
    ("root", GONE, ["root"]),
    ("root", "rootfs", ["root"]),
    ("root/path", GONE, ["root.path"]),
    ("root/path", "", ["root.path"]),
    ("root/path", 7, ["root.path"]),
    ("root/path", "missing", ["missing", "no such file or directory"]),
    ("root/path", "config.json", ["config.json", "not a directory"]),
    ("root/readonly", "yes", ["root.readonly"]),
    ("process", [], ["process"]),
    ("hostname", 5, ["hostname"]),
    ("hostname", "h" * 65, ["hostname"]),
    ("hostname", "box", ["hostname", "uts"], without("uts")),
    ("domainname", "d" * 65, ["domainname"]),
    ("domainname", "example", ["domainname", "uts"], lambda c: (without("uts")(c), c.pop("hostname"))),
    ("mounts", {}, ["mounts"]),
    ("annotations", ["a"], ["annotations"]),
    ("annotations", {"key": 1}, ["annotations"]),
    ("annotations", {"": "x"}, ["annotations"]),
    ("linux", "linux", ["linux"]),

    # process
    ("process/args", GONE, ["process.args"]),
    ("process/args", [], ["process.args"]),
    ("process/args", [1], ["process.args[0]"]),
    ("process/args", "sh", ["process.args"]),
    ("process/cwd", GONE, ["process.cwd"]),
    ("process/cwd", "", ["process.cwd"]),
    ("process/cwd", "tmp", ["process.cwd", "absolute"]),
    ("process/cwd", "/bin/busybox", ["/bin/busybox", "not a directory"]),
    ("process/terminal", "yes", ["process.terminal"]),
    ("process/terminal", True, ["cannot allocate tty if runc will detach without setting console socket"]),
    ("process/consoleSize", {"height": -1, "width": 1}, ["process.consoleSize.height"]),
    ("process/consoleSize", {"height": 1, "width": 70000}, ["process.consoleSize.width"]),
    ("process/user/uid", -1, ["process.user.uid"]),
    ("process/user/uid", 4294967295, ["process.user.uid"]),
    ("process/user/uid", 4294967296, ["process.user.uid"]),
    ("process/user/uid", "0", ["process.user.uid"]),
    ("process/user/uid", 1.5, ["process.user.uid"]),
    ("process/user/gid", -1, ["process.user.gid"]),
    ("process/user/umask", 0o1000, ["process.user.umask"]),
    ("process/user/additionalGids", ["wheel"], ["process.user.additionalGids[0]"]),
    ("process/env", [None], ["process.env[0]"]),
    ("process/env", {"A": "B"}, ["process.env"]),
    ("process/capabilities", ["CAP_CHOWN"], ["process.capabilities"]),
    ("process/capabilities/bounding", "CAP_CHOWN", ["process.capabilities.bounding"]),
    ("process/rlimits", [{"type": "RLIMIT_NOTHING", "soft": 1, "hard": 1}], ["process.rlimits[0].type", "RLIMIT_NOTHING"]),
    ("process/rlimits", [{"soft": 1, "hard": 1}], ["process.rlimits[0].type"]),
    ("process/rlimits", [{"type": "RLIMIT_NOFILE", "soft": 2, "hard": 1}], ["process.rlimits[0].soft"]),
    ("process/rlimits", [{"type": "RLIMIT_NOFILE", "soft": -1, "hard": 1}], ["process.rlimits[0].soft"]),
    ("process/rlimits", [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}],
     ["process.rlimits[1].type", "duplicate"]),
    ("process/noNewPrivileges", 1, ["process.noNewPrivileges"]),
    ("process/oomScoreAdj", 1001, ["process.oomScoreAdj"]),
    ("process/oomScoreAdj", -1001, ["process.oomScoreAdj"]),
    ("process/scheduler", {}, ["process.scheduler.policy"]),
    ("process/scheduler", {"policy": "SCHED_FAST"}, ["process.scheduler.policy", "SCHED_FAST"]),
    ("process/scheduler", {"policy": "SCHED_OTHER", "nice": 20}, ["process.scheduler.nice"]),
    ("process/scheduler", {"policy": "SCHED_OTHER", "nice": -21}, ["process.scheduler.nice"]),
    ("process/scheduler", {"policy": "SCHED_OTHER", "priority": 5}, ["process.scheduler.priority"]),
    ("process/scheduler", {"policy": "SCHED_FIFO", "priority": 1, "runtime": 5}, ["process.scheduler.runtime"]),
    ("process/scheduler", {"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_X"]}, ["process.scheduler.flags[0]"]),
    ("process/ioPriority", {"priority": 1}, ["process.ioPriority.class"]),
    ("process/ioPriority", {"class": "IOPRIO_CLASS_X", "priority": 1}, ["process.ioPriority.class", "IOPRIO_CLASS_X"]),
    ("process/ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": 8}, ["process.ioPriority.priority"]),
    ("process/ioPriority", {"class": "IOPRIO_CLASS_BE", "priority": -1}, ["process.ioPriority.priority"]),
    ("process/execCPUAffinity", {"initial": "x"}, ["process.execCPUAffinity.initial"]),
    ("process/execCPUAffinity", {"final": "3-1"}, ["process.execCPUAffinity.final"]),
    ("process/apparmorProfile", "nucleus-test", ["process.apparmorProfile"]),
    ("process/selinuxLabel", "nucleus_test_t", ["process.selinuxLabel"]),

    # mounts
    ("mounts/0/destination", GONE, ["mounts[0].destination"]),
    ("mounts/0/destination", "", ["mounts[0].destination"]),
    ("mounts/0/destination", "/", ["mounts[0].destination"]),
    ("mounts/0/type", GONE, ["mounts[0].type"]),
    ("mounts/0/type", "nosuchfs", ["nosuchfs", "/proc"]),
    ("mounts/0/options", "ro", ["mounts[0].options"]),
    ("mounts/0/options", [1], ["mounts[0].options[0]"]),
    ("mounts/1/options", ["size=many"], ["/dev", "size"]),
    ("mounts/6", {"destination": "/mnt", "type": "bind", "options": ["bind"]}, ["mounts[6].source"]),
    ("mounts/6", {"destination": "/mnt", "type": "bind", "source": "/nucleus-test/missing", "options": ["bind"]},
     ["/nucleus-test/missing", "no such file or directory"]),
    ("mounts/6", {"destination": "/bin/busybox", "type": "bind", "source": "/etc", "options": ["bind"]},
     ["/bin/busybox", "not a directory"]),
    ("mounts/6", {"destination": "/mnt", "type": "proc", "source": "proc", "options": ["tmpcopyup"]},
     ["mounts[6].options", "tmpcopyup"]),
    ("mounts/6", {"destination": "/mnt", "type": "bind", "source": "/etc", "options": ["bind"],
                  "uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]}, ["mounts[6].gidMappings"]),
    ("mounts/6", {"destination": "/mnt", "type": "bind", "source": "/etc", "options": ["bind"],
                  "gidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]}, ["mounts[6].uidMappings"]),
    ("mounts/6", {"destination": "/mnt", "type": "bind", "source": "/etc", "options": ["bind", "idmap"]},
     ["mounts[6]", "idmap"]),
    ("mounts/6", {"destination": "/mnt", "type": "bind", "source": "/etc", "options": ["rbind", "ridmap"]},
     ["mounts[6]", "idmap"]),

    # hooks
    ("hooks", [], ["hooks"]),
    ("hooks/prestart", {"path": "/bin/true"}, ["hooks.prestart"]),
    ("hooks/prestart", [{}], ["hooks.prestart[0].path"]),
    ("hooks/createRuntime", [{"path": "bin/true"}], ["hooks.createRuntime[0].path", "absolute"]),
    ("hooks/createContainer", [{"path": "/bin/true"}, {"path": ""}], ["hooks.createContainer[1].path"]),
    ("hooks/startContainer", [{"path": "/bin/true", "timeout": 0}], ["hooks.startContainer[0].timeout"]),
    ("hooks/poststart", [{"path": "/bin/true", "timeout": -1}], ["hooks.poststart[0].timeout"]),
    ("hooks/poststop", [{"path": "/bin/true", "timeout": "1s"}], ["hooks.poststop[0].timeout"]),
    ("hooks/poststop", [{"path": "/bin/true", "env": "A=B"}], ["hooks.poststop[0].env"]),
    ("hooks/poststop", [{"path": "/bin/true", "args": [1]}], ["hooks.poststop[0].args[0]"]),

    # namespaces and ids
    ("linux/namespaces", {}, ["linux.namespaces"]),
    ("linux/namespaces/6", {"type": "pid"}, ["linux.namespaces[6].type", "duplicate"]),
    ("linux/namespaces/6", {"type": "net"}, ["linux.namespaces[6].type", "net"]),
    ("linux/namespaces/6", {}, ["linux.namespaces[6].type"]),
    ("linux/namespaces/1", {"type": "network", "path": "proc/1/ns/net"}, ["linux.namespaces[1].path", "absolute"]),
    ("linux/namespaces/1", {"type": "network", "path": "/nucleus-test/missing"},
     ["/nucleus-test/missing", "no such file or directory"]),
    ("linux/namespaces/1", {"type": "network", "path": "/proc/self/ns/ipc"}, ["linux.namespaces", "/proc/self/ns/ipc", "net"]),
    ("linux/namespaces/1", {"type": "network", "path": "/etc/passwd"}, ["linux.namespaces", "/etc/passwd"]),
    ("linux/namespaces/1", {"type": "network", "path": "/etc"}, ["linux.namespaces", "/etc"]),
    ("linux/uidMappings", [{"containerID": 0, "hostID": 0, "size": 1}], ["linux.uidMappings", "user namespace"]),
    ("linux/gidMappings", [{"containerID": 0, "hostID": 0, "size": 1}], ["Mappings", "user namespace"]),
    ("linux/uidMappings", GONE, ["linux.uidMappings"], with_user_namespace),
    ("linux/gidMappings", GONE, ["linux.gidMappings"], with_user_namespace),
    ("linux/uidMappings/0/size", 0, ["linux.uidMappings[0].size"], with_user_namespace),
    ("linux/uidMappings/0/size", -1, ["linux.uidMappings[0].size"], with_user_namespace),
    ("linux/uidMappings/0/hostID", 4294967295, ["linux.uidMappings[0]"], with_user_namespace),
    ("linux/uidMappings/0/containerID", "0", ["linux.uidMappings[0].containerID"], with_user_namespace),
    ("linux/gidMappings/1", {"containerID": 999, "hostID": 300000, "size": 1}, ["linux.gidMappings[1]"], with_user_namespace),
    ("linux/gidMappings/1", {"containerID": 5000, "hostID": 100999, "size": 1}, ["linux.gidMappings[1]"],
     with_user_namespace),
    # CVE-2021-43784: a list that overflows a length field of the hand-over to the container.
    ("linux/uidMappings", [{"containerID": i, "hostID": 100000 + i, "size": 1} for i in range(5000)],
     ["linux.uidMappings"], with_user_namespace),
    ("linux/timeOffsets", {"monotonic": {"secs": 1}}, ["linux.timeOffsets", "time namespace"]),
    ("linux/timeOffsets", {"realtime": {"secs": 1}}, ["linux.timeOffsets", "realtime"]),
    ("linux/timeOffsets", {"monotonic": {"nanosecs": 1000000000}}, ["linux.timeOffsets", "nanosecs"]),

    # devices, paths, names
    ("linux/devices", [{"type": "x", "path": NO_DEVICE, "major": 1, "minor": 3}], ["linux.devices[0].type"]),
    ("linux/devices", [{"path": NO_DEVICE, "major": 1, "minor": 3}], ["linux.devices[0].type"]),
    ("linux/devices", [{"type": "c", "path": "dev/x", "major": 1, "minor": 3}], ["linux.devices[0].path"]),
    ("linux/devices", [{"type": "c", "major": 1, "minor": 3}], ["linux.devices[0].path"]),
    ("linux/devices", [{"type": "c", "path": NO_DEVICE, "major": -1, "minor": 3}], ["linux.devices[0].major"]),
    ("linux/devices", [{"type": "c", "path": NO_DEVICE, "major": 1, "minor": 1048576}], ["linux.devices[0].minor"]),
    ("linux/devices", [{"type": "c", "path": NO_DEVICE, "major": 1, "minor": 3, "fileMode": "0666"}],
     ["linux.devices[0].fileMode"]),
    ("linux/netDevices", {"nucleus-none": {"name": "x"}}, ["netDevices"]),
    ("linux/cgroupsPath", 5, ["linux.cgroupsPath"]),
    ("linux/rootfsPropagation", "sideways", ["linux.rootfsPropagation", "sideways"]),
    ("linux/maskedPaths", ["proc/kcore"], ["linux.maskedPaths[0]"]),
    ("linux/maskedPaths", "/proc/kcore", ["linux.maskedPaths"]),
    ("linux/readonlyPaths", ["/proc/bus", "sys"], ["linux.readonlyPaths[1]"]),
    ("linux/personality", {}, ["linux.personality.domain"]),
    ("linux/personality", {"domain": "LINUX16"}, ["linux.personality.domain", "LINUX16"]),
    ("linux/memoryPolicy", {}, ["linux.memoryPolicy"]),
    ("linux/memoryPolicy", {"mode": "MPOL_X"}, ["linux.memoryPolicy.mode", "MPOL_X"]),
    ("linux/memoryPolicy", {"mode": "MPOL_BIND", "nodes": "a-b"}, ["linux.memoryPolicy.nodes"]),
    ("linux/memoryPolicy", {"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_X"]}, ["linux.memoryPolicy.flags[0]"]),
    ("linux/intelRdt", {"closID": ".."}, ["linux.intelRdt.closID"]),
    ("linux/intelRdt", {"closID": "a/b"}, ["linux.intelRdt.closID"]),
    ("linux/intelRdt", {"schemata": ["L3:0=f\nMB:0=10"]}, ["linux.intelRdt.schemata[0]"]),
    ("linux/intelRdt", {"l3CacheSchema": "L3:0=f\nMB:0=10"}, ["linux.intelRdt.l3CacheSchema"]),
    ("linux/intelRdt", {"closID": "nucleus-test"}, ["linux.intelRdt"]),  # no resctrl on the host of the tests

    # sysctl
    ("linux/sysctl", {"vm.swappiness": "1"}, ["linux.sysctl", "vm.swappiness"]),
    ("linux/sysctl", {"kernel.panic": "1"}, ["linux.sysctl", "kernel.panic"]),
    ("linux/sysctl", {"kernel/panic": "1"}, ["linux.sysctl", "kernel/panic"]),
    ("linux/sysctl", {"net/../kernel/panic": "1"}, ["linux.sysctl"]),
    ("linux/sysctl", {"net.ipv4.ip_forward": "1"}, ["linux.sysctl", "net.ipv4.ip_forward"], without("network")),
    ("linux/sysctl", {"kernel.shmmax": "1"}, ["linux.sysctl", "kernel.shmmax"], without("ipc")),
    ("linux/sysctl", {"fs.mqueue.msg_max": "1"}, ["linux.sysctl", "fs.mqueue.msg_max"],
     lambda c: (without("ipc")(c), c["mounts"].pop(4))),
    ("linux/sysctl", {"kernel.hostname": "other"}, ["linux.sysctl", "kernel.hostname"]),
    ("linux/sysctl", {"net.nucleus.none": "1"}, ["linux.sysctl", "net.nucleus.none", "no such file or directory"]),
    ("linux/sysctl", {"net.ipv4.ip_forward": "many"}, ["linux.sysctl", "net.ipv4.ip_forward", "invalid argument"]),
    ("linux/sysctl", {"net.ipv4.ip_forward": 1}, ["linux.sysctl"]),

    # resources
    ("linux/resources", [], ["linux.resources"]),
    ("linux/resources/memory", {"limit": "1g"}, ["linux.resources.memory.limit"]),
    ("linux/resources/memory", {"limit": 1.5}, ["linux.resources.memory.limit"]),
    ("linux/resources/memory", {"limit": -2}, ["linux.resources.memory.limit"]),
    ("linux/resources/memory", {"limit": 1 << 80}, ["linux.resources.memory.limit"]),
    ("linux/resources/memory", {"swappiness": 101}, ["linux.resources.memory.swappiness"]),
    ("linux/resources/cpu", {"shares": -1}, ["linux.resources.cpu.shares"]),
    ("linux/resources/cpu", {"cpus": "0-"}, ["linux.resources.cpu.cpus"]),
    ("linux/resources/cpu", {"cpus": "4000"}, ["cpuset.cpus"]),
    ("linux/resources/cpu", {"mems": "x"}, ["linux.resources.cpu.mems"]),
    ("linux/resources/cpu", {"period": 1, "quota": 1}, ["cpu.cfs"]),
    ("linux/resources/pids", {"limit": "ten"}, ["linux.resources.pids.limit"]),
    ("linux/resources/devices", [{"allow": "no"}], ["linux.resources.devices[0].allow"]),
    ("linux/resources/devices", [{"allow": True, "type": "p"}], ["linux.resources.devices[0].type"]),
    ("linux/resources/devices", [{"allow": True, "type": "c", "access": "rwx"}], ["linux.resources.devices[0].access"]),
    ("linux/resources/devices", [{"allow": True, "type": "c", "major": -2}], ["linux.resources.devices[0].major"]),
    ("linux/resources/hugepageLimits", [{"pageSize": "2M", "limit": 1}], ["linux.resources.hugepageLimits[0].pageSize"]),
    ("linux/resources/hugepageLimits", [{"pageSize": "3MB", "limit": 0}], ["huge"]),
    ("linux/resources/blockIO", {"weight": "heavy"}, ["linux.resources.blockIO.weight"]),
    ("linux/resources/network", {"priorities": [{"priority": 1}]}, ["linux.resources.network.priorities[0].name"]),
    ("linux/resources/unified", {"memory.max/..": "1"}, ["linux.resources.unified"]),
    ("linux/resources/unified", {"": "1"}, ["linux.resources.unified"]),
    ("linux/resources/unified", {"pids.max": 5}, ["linux.resources.unified"]),

    # seccomp
    ("linux/seccomp", {}, ["linux.seccomp.defaultAction"]),
    ("linux/seccomp/defaultAction", "SCMP_ACT_MAYBE", ["linux.seccomp.defaultAction", "SCMP_ACT_MAYBE"], with_seccomp),
    ("linux/seccomp/defaultAction", "SCMP_ACT_NOTIFY", ["linux.seccomp.defaultAction"], with_seccomp),
    ("linux/seccomp/defaultErrnoRet", 1, ["linux.seccomp.defaultErrnoRet"], with_seccomp),
    ("linux/seccomp/architectures", ["SCMP_ARCH_VAX"], ["linux.seccomp.architectures[0]", "SCMP_ARCH_VAX"], with_seccomp),
    ("linux/seccomp/flags", ["SECCOMP_FILTER_FLAG_X"], ["linux.seccomp.flags[0]"], with_seccomp),
    ("linux/seccomp/listenerMetadata", "x", ["linux.seccomp.listenerMetadata"], with_seccomp),
    ("linux/seccomp/syscalls/0/action", "SCMP_ACT_NOTIFY", ["linux.seccomp.syscalls[0].action", "listenerPath"],
     with_seccomp),
    ("linux/seccomp/syscalls/0/action", "SCMP_ACT_X", ["linux.seccomp.syscalls[0].action"], with_seccomp),
    ("linux/seccomp/syscalls/0/action", GONE, ["linux.seccomp.syscalls[0].action"], with_seccomp),
    ("linux/seccomp/syscalls/0/names", GONE, ["linux.seccomp.syscalls[0].names"], with_seccomp),
    ("linux/seccomp/syscalls/0/names", [], ["linux.seccomp.syscalls[0].names"], with_seccomp),
    ("linux/seccomp/syscalls/0/names", ["read", ""], ["linux.seccomp.syscalls[0].names[1]"], with_seccomp),
    ("linux/seccomp/syscalls/0/errnoRet", 70000, ["linux.seccomp.syscalls[0].errnoRet"], with_seccomp),
    ("linux/seccomp/syscalls/0/args", [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}],
     ["linux.seccomp.syscalls[0].args[0].index"], with_seccomp),
    ("linux/seccomp/syscalls/0/args", [{"index": 0, "value": 1}], ["linux.seccomp.syscalls[0].args[0].op"], with_seccomp),
    ("linux/seccomp/syscalls/0/args", [{"index": 0, "value": 1, "op": "SCMP_CMP_IN"}],
     ["linux.seccomp.syscalls[0].args[0].op", "SCMP_CMP_IN"], with_seccomp),
    ("linux/seccomp/syscalls/0/args", [{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}],
     ["linux.seccomp.syscalls[0].args[0].value"], with_seccomp),
    ("linux/seccomp/syscalls/1", {"names": ["read"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1},
     ["linux.seccomp.syscalls[1].errnoRet"], with_seccomp),
    ("linux/seccomp/syscalls/1", {"names": ["read"], "action": "SCMP_ACT_KILL_PROCESS", "errnoRet": 1},
     ["linux.seccomp.syscalls[1].errnoRet"], with_seccomp),
    ("linux/seccomp/listenerPath", "/nucleus-test/missing.sock",
     ["linux.seccomp.listenerPath", "/nucleus-test/missing.sock"],
     lambda c: (with_seccomp(c), c["linux"]["seccomp"]["syscalls"][0].update(action="SCMP_ACT_NOTIFY"))),
]

PIN = "policy@sha256:" + "0" * 64

# Every annotation of ours with a good value: refused as long as nothing carries it out.
ANNOTATIONS = {
    "dev.nucleus.mode": [],  # carried out: test_modes.py
    "dev.nucleus.runtime": [],  # carried out: test_gvisor.py
    "dev.nucleus.policy.seccomp": [PIN, "policy"],
    "dev.nucleus.policy.capabilities": [PIN, "/nix/store/policy"],
    "dev.nucleus.policy.landlock": [PIN],
    "dev.nucleus.policy.egress": [PIN],
    "dev.nucleus.rootfs.manifest": [PIN],
    "dev.nucleus.rootfs.closure": [PIN],
    "dev.nucleus.credentials": [],  # carried out: test_closure.py
    "dev.nucleus.rootfs.mode": [],  # carried out: test_rootfs_modes.py
    "dev.nucleus.network": [],  # carried out: test_network.py
    "dev.nucleus.network.publish": [],
    "dev.nucleus.network.members": [],  # carried out: test_members.py
    "dev.nucleus.seccomp.trace": ["/nowhere/trace"],
    "dev.nucleus.gvisor.platform": [],
    "dev.nucleus.gvisor.network": [],
    "dev.nucleus.gvisor.runsc": [],
    "dev.nucleus.require.lockdown": [],  # carried out: test_rootfs_modes.py
    "dev.nucleus.init": [],  # carried out: test_init.py
}

# What asks for nothing but plain OCI behaviour.
HARMLESS = {"dev.nucleus.runtime": "native", "dev.nucleus.rootfs.mode": "bind", "dev.nucleus.network": "oci",
            "dev.nucleus.gvisor.network": "none", "dev.nucleus.init": "off"}


class Rule(Case):
    """One test for each row of RULES."""


def _add_rule(number, path, value, words, before=None):
    def test(self):
        if before:
            before(self.config)
        put(self.config, path, value if value is GONE else copy.deepcopy(value))
        self.assertRefused(*words)
    name = ".".join(part for part in path.split("/")[:3] if not part.isdigit())
    test = rule("MUST", "config.md#valid-values", f"{name}: a value that is not valid is an error")(test)
    test.__doc__ = f"{path} = {'(absent)' if value is GONE else json.dumps(value)[:80]}"
    test.__name__ = f"test_{number:03}_{path.replace('/', '_')}"
    setattr(Rule, test.__name__, test)


for _number, _row in enumerate(RULES):
    _add_rule(_number, *_row)


@unittest.skipUnless(IS_NUCLEUS, "annotations of nucleus")
class Annotation(Case):
    def refused(self, key, value, *words):
        self.config["annotations"] = {"org.example.other": "x", key: value}
        self.assertRefused(key, *words)

    def test_every_key_is_refused_until_it_is_carried_out(self):
        for key, values in ANNOTATIONS.items():
            for value in values:
                with self.subTest(key=key, value=value):
                    # Policies and manifests are carried out (test_policies.py, test_attested.py): here their files are missing;
                    # traces too (test_learning.py): here the directory is.
                    read = key.startswith("dev.nucleus.policy.") or key in (
                        "dev.nucleus.rootfs.manifest", "dev.nucleus.rootfs.closure", "dev.nucleus.seccomp.trace")
                    self.refused(key, value, "no such file or directory" if read else "not supported yet")

    def test_every_key_that_is_known_is_in_the_table(self):
        features = json.loads(self.runtime("features").out)
        self.assertEqual({key for key in features["potentiallyUnsafeConfigAnnotations"] if key.startswith("dev.nucleus.")}, set(ANNOTATIONS))

    def test_a_value_that_asks_for_nothing_is_accepted(self):
        self.config["annotations"] = dict(HARMLESS)
        self.assertOk(self.run_container())

    def test_unknown_key(self):
        for key in ("dev.nucleus.mod", "dev.nucleus.", "dev.nucleus.policy", "dev.nucleus.Mode", "dev.nucleus.mode "):
            with self.subTest(key=key):
                self.refused(key, "agent", "unknown key")

    def test_malformed_values(self):
        for key, value in [
                ("dev.nucleus.mode", "Agent"), ("dev.nucleus.mode", ""), ("dev.nucleus.runtime", "runc"),
                ("dev.nucleus.rootfs.mode", "rbind"), ("dev.nucleus.network", "host"),
                ("dev.nucleus.network.publish", ""), ("dev.nucleus.network.publish", "80"), ("dev.nucleus.network.publish", "80:80/sctp"),
                ("dev.nucleus.network.publish", "8080:80"),
                ("dev.nucleus.network.members", ""), ("dev.nucleus.network.members", "2"), ("dev.nucleus.network.members", "40001,db"),
                ("dev.nucleus.network.members", "40001,db=40002"),
                ("dev.nucleus.gvisor.platform", "qemu"), ("dev.nucleus.gvisor.network", "x"),
                ("dev.nucleus.require.lockdown", "none"), ("dev.nucleus.init", "true"), ("dev.nucleus.init", ""), ("dev.nucleus.seccomp.trace", "relative"),
                ("dev.nucleus.policy.seccomp", ""), ("dev.nucleus.policy.seccomp", "@sha256:" + "0" * 64),
                ("dev.nucleus.policy.seccomp", "p@sha256:" + "0" * 63), ("dev.nucleus.policy.seccomp", "p@sha256:" + "A" * 64),
                ("dev.nucleus.policy.seccomp", "p@md5:" + "0" * 32), ("dev.nucleus.policy.landlock", "../out@sha256:" + "0" * 64),
                ("dev.nucleus.policy.egress", "a/../../out"), ("dev.nucleus.rootfs.manifest", "p@sha256:" + "0" * 65)]:
            with self.subTest(key=key, value=value):
                self.config["annotations"] = {key: value}
                result = self.create()
                self.assertFails(result, key)
                self.assertNotIn("not supported yet", result.err)
                self.assertNothingLeft()

    def test_other_prefixes_pass_through(self):
        self.config["annotations"] = {"dev.nucleusx.mode": "agent", "dev.nucleus": "x", "io.example/dev.nucleus.mode": "y"}
        self.assertOk(self.create())
        self.assertEqual(self.state()["annotations"], self.config["annotations"])


class Text(Case):
    """config.json as a file: what is no JSON, or too much of it."""

    def refuse(self, data, *words):
        path = self.bundle / "config.json"
        path.unlink(missing_ok=True)
        path.write_bytes(data)
        result = self.runtime("create", "--bundle", self.bundle, self.id)
        self.assertFails(result, *words)
        self.assertNothingLeft()
        return result

    def good(self):
        return json.dumps(self.config).encode()

    def test_empty(self):
        self.refuse(b"", "config.json")

    def test_blank(self):
        self.refuse(b" \n\t\n", "config.json")

    @rule("MUST", "config.md#valid-values", "what is not JSON is an error")
    def test_cut_off_anywhere(self):
        good = self.good()
        for length in random.Random(1).sample(range(len(good)), 40) + [len(good) - 1]:
            with self.subTest(length=length):
                self.refuse(good[:length], "config.json")

    def test_one_byte_changed_never_crashes(self):
        # Most are refused, some are still a good configuration: either way one of the two, and nothing left.
        good, chance = self.good(), random.Random(2)
        for _ in range(60):
            at, byte = chance.randrange(len(good)), chance.randrange(256)
            with self.subTest(at=at, byte=byte):
                (self.bundle / "config.json").write_bytes(good[:at] + bytes([byte]) + good[at + 1:])
                result = self.runtime("create", "--bundle", self.bundle, self.id)
                self.assertIn(result.status, (0, 1), result)
                self.runtime("delete", "--force", self.id)
                self.assertNothingLeft()

    def test_binary(self):
        self.refuse(random.Random(3).randbytes(100_000), "config.json")

    def test_zeros(self):
        self.refuse(bytes(100_000), "config.json")

    @rule("MUST", "config.md#valid-values", "what is not JSON is an error")
    def test_not_an_object(self):
        for text in (b"[]", b"null", b"1", b'"text"', b"true"):
            with self.subTest(text=text):
                self.refuse(text, "config.json")

    def test_more_after_the_end(self):
        for more in (b"x", b"{}", b"\0", b"]"):
            with self.subTest(more=more):
                self.refuse(self.good() + more, "config.json")

    @rule("MUST", "config.md#valid-values", "what is not JSON is an error")
    def test_not_quite_json(self):
        for text in (b"{'ociVersion': '1.0.0'}", b'{"ociVersion": "1.0.0",}', b'{ociVersion: "1.0.0"}', b"// comment\n{}",
                     b'{"a": NaN}', b'{"a": Infinity}', b'{"a": 01}', b'{"a": +1}', b'{"a": .5}', b'{"a": 0x10}',
                     b'{"a": tru}', b'{"a" "b"}', b'{"a": "\n"}', b'{"a": "\\x"}', b'{"a": "\\u12"}'):
            with self.subTest(text=text):
                self.refuse(text, "config.json")

    def test_where_the_error_is(self):
        result = self.refuse(b'{\n  "ociVersion": "1.2.0",\n  "root": }\n', "config.json:3:")
        self.assertNotIn("\t", result.err)

    def test_not_utf8(self):
        self.config["hostname"] = "HOSTNAME"
        self.refuse(self.good().replace(b"HOSTNAME", b"\xff\xfe"), "config.json")

    def test_nul_in_a_string(self):
        # The kernel would see a shorter path than the one that was reviewed.
        self.process["cwd"] = "/tmp\0/x"
        self.refuse(self.good(), "config.json")

    def test_nul_in_a_key(self):
        self.config["annotations"] = {"a\0b": "x"}
        self.refuse(self.good(), "config.json")

    def test_numbers_beyond_any_type(self):
        for number in (b"1e999", b"-1e999", b"9" * 4000, b"1" + b"0" * 20, b"0.1", b"1e2"):
            with self.subTest(number=number[:20]):
                self.linux["resources"]["memory"] = {"limit": "NUMBER"}
                self.refuse(self.good().replace(b'"NUMBER"', number), "linux.resources.memory.limit")

    def test_hundred_megabytes_of_blanks(self):
        self.refuse(self.good() + b" " * 100_000_000, "config.json")

    def test_hundred_megabytes_in_one_string(self):
        self.config["hostname"] = "HOSTNAME"
        self.refuse(self.good().replace(b"HOSTNAME", b"h" * 100_000_000), "config.json")

    def test_hole_of_a_terabyte(self):
        (self.bundle / "config.json").touch()
        os.truncate(self.bundle / "config.json", 1 << 40)
        self.assertFails(self.runtime("create", "--bundle", self.bundle, self.id), "config.json")

    def test_millions_of_values(self):
        self.config["annotations"] = {"x": "y"}
        self.config["mounts"] = "VALUES"
        self.refuse(self.good().replace(b'"VALUES"', b"[" + b"0," * 3_000_000 + b"0]"), "config.json")

    def test_deeply_nested(self):
        for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
            with self.subTest(opening=opening):
                self.refuse(b'{"x":' + opening * 200_000 + b"1" + closing * 200_000 + b"}", "config.json")

    def test_deeply_nested_where_it_is_ignored(self):
        self.refuse(b'{"unknown":' + b"[" * 5000 + b"]" * 5000 + b"," + self.good()[1:], "config.json")

    @rule("MUST", "config.md#extensibility", "unknown properties are ignored (commandLine and username of Windows among them)")
    def test_unknown_properties_are_ignored(self):
        self.config["unknown"] = {"deep": [{"er": None}]}
        self.process["unknown"] = [1, 2.5, "x"]
        self.linux["unknown"] = True
        self.assertOk(self.run_container())

    def test_null_is_absent(self):
        self.config["hooks"] = None
        self.config["annotations"] = None
        self.linux["seccomp"] = None
        self.process["rlimits"] = None
        self.assertOk(self.run_container())

    def test_hostile_names_stay_on_one_line(self):
        for text in ("x\ny", "x\r\n\x1b[31mred", "\x00"[:0] + "\x7f\x1b]0;title\x07", "ü" * 5000, "a" * 200_000):
            with self.subTest(text=text[:20]):
                self.linux["namespaces"][0] = {"type": text}
                result = self.create()
                self.assertFails(result, "linux.namespaces[0].type")
                self.assertFalse([c for c in result.err.rstrip("\n") if ord(c) < 0x20 or ord(c) == 0x7f], result)
                self.assertLess(len(result.err), 2000)
                self.assertNothingLeft()

    def test_hostile_keys_stay_on_one_line(self):
        for key in ("dev.nucleus.a\nb\x1b[31m", "dev.nucleus." + "k" * 100_000):
            with self.subTest(key=key[:20]):
                self.config["annotations"] = {key: "x"}
                result = self.create()
                self.assertFails(result, "dev.nucleus.")
                self.assertFalse([c for c in result.err.rstrip("\n") if ord(c) < 0x20], result)
                self.assertLess(len(result.err), 2000)


class File(Case):
    """config.json and the bundle as entries of a filesystem."""

    def refuse(self, *words, bundle=None):
        result = self.runtime("create", "--bundle", bundle or self.bundle, self.id)
        self.assertFails(result, *words)
        self.assertNothingLeft()

    def test_no_config(self):
        self.refuse("config.json", "no such file or directory")

    def test_config_is_a_directory(self):
        (self.bundle / "config.json").mkdir()
        self.refuse("config.json", "directory")

    def test_config_is_a_fifo(self):
        # Nobody will ever write to it: to wait would be to hang.
        os.mkfifo(self.bundle / "config.json")
        self.refuse("config.json")

    def test_config_without_an_end(self):
        (self.bundle / "config.json").symlink_to("/dev/zero")
        self.refuse("config.json")

    def test_config_is_a_dangling_link(self):
        (self.bundle / "config.json").symlink_to("missing")
        self.refuse("config.json", "no such file or directory")

    def test_config_is_a_loop_of_links(self):
        (self.bundle / "config.json").symlink_to("config.json")
        self.refuse("config.json", "too many levels of symbolic links")

    def test_no_bundle(self):
        self.refuse("missing", "no such file or directory", bundle=self.directory / "missing")

    def test_bundle_is_a_file(self):
        (self.directory / "file").write_text("{}")
        self.refuse("file", "not a directory", bundle=self.directory / "file")

    def test_bundle_with_a_name_that_is_too_long(self):
        self.refuse("file name too long", bundle=self.directory / ("b" * 300))

    def test_rootfs_is_a_dangling_link(self):
        (self.bundle / "link").symlink_to("missing")
        self.config["root"]["path"] = "link"
        self.write()
        self.refuse("link", "no such file or directory")

    def test_other_config_missing(self):
        self.write()
        result = self.runtime("create", "--bundle", self.bundle, "--config", self.bundle / "other.json", self.id)
        self.assertFails(result, "other.json", "no such file or directory")
        self.assertNothingLeft()


class Executable(Case):
    def refuse(self, name, *words):
        self.process["args"] = [name]
        self.assertRefused(*words)

    def test_not_in_path(self):
        self.refuse("nosuch", 'exec: "nosuch": executable file not found in $PATH')

    def test_no_path_at_all(self):
        self.process["env"] = ["A=B"]
        self.refuse("true", 'exec: "true": executable file not found in $PATH')

    def test_empty_name(self):
        self.refuse("", "executable file not found in $PATH")

    def test_missing_file(self):
        self.refuse("/bin/nosuch", "/bin/nosuch", "no such file or directory")

    def test_directory(self):
        self.refuse("/bin", "/bin", "directory")

    def test_not_executable(self):
        (self.rootfs / "bin/plain").write_text("text")
        self.refuse("/bin/plain", "/bin/plain", "permission denied")

    def test_not_executable_in_path(self):
        (self.rootfs / "bin/plain").write_text("text")
        self.refuse("plain", "plain", "permission denied")

    def test_below_a_file(self):
        self.refuse("/bin/busybox/x", "/bin/busybox/x", "not a directory")

    def test_not_reachable_for_the_user(self):
        (self.rootfs / "root/tool").symlink_to("/bin/busybox")
        (self.rootfs / "root").chmod(0o700)
        self.process["user"] = {"uid": 1000, "gid": 1000}
        self.process["capabilities"] = {}
        self.refuse("/root/tool", "/root/tool", "permission denied")

    def test_device_node_of_the_rootfs(self):
        existing = self.rootfs / "dev/null"
        os.mknod(existing, 0o666 | 0o060000, os.makedev(7, 200))  # a block device where /dev/null should be
        self.config["mounts"] = [m for m in self.config["mounts"] if not m["destination"].startswith("/dev")]
        self.process["args"] = ["/bin/true"]
        self.assertRefused("/dev/null")


class Id(Case):
    BAD = ["", ".", "..", "a/b", "../x", "/", "a b", "a\n", "ü", "a:b", "a\\b", "*", "a\tb", "a" * 256, "a" * 5000]
    GOOD = ["a", "A", "0", "_", "+", "a.b", "a-b", "_x", "..x", "x..", "a" * 200]

    @rule("MUST", "runtime.md#create", "an id that is taken or not valid: error, and nothing is made")
    def test_create_with_a_bad_id(self):
        self.write()
        for id in self.BAD:
            with self.subTest(id=id[:20]):
                before = sorted(os.listdir(self.root)) if self.root.exists() else None
                result = self.runtime("create", "--bundle", self.bundle, id)
                self.assertFails(result, "container ID")
                self.assertEqual(sorted(os.listdir(self.root)) if self.root.exists() else None, before)

    def test_every_other_command_with_a_bad_id(self):
        for verb, *more in (["start"], ["state"], ["kill"], ["delete"], ["delete", "--force"], ["pause"], ["resume"], ["ps"]):
            for id in self.BAD:
                with self.subTest(verb=verb, id=id[:20]):
                    self.assertFails(self.runtime(verb, *more, id), "invalid container ID format")

    def test_exec_with_a_bad_id(self):
        for id in self.BAD:
            with self.subTest(id=id[:20]):
                self.assertFails(self.runtime("exec", id, "true"), "invalid container ID format", status=255)

    def test_delete_with_a_path_for_an_id_removes_nothing(self):
        victim = self.directory / "victim"
        victim.mkdir()
        (victim / "state.json").write_text("{}")
        self.root.mkdir()
        self.assertFails(self.runtime("delete", "--force", "../victim"), "invalid container ID format")
        self.assertTrue((victim / "state.json").exists())

    def test_good_ids(self):
        for id in self.GOOD:
            with self.subTest(id=id[:20]):
                self.write()
                self.assertOk(self.runtime("create", "--bundle", self.bundle, id))
                self.assertEqual(self.state(id)["id"], id)
                self.assertOk(self.delete(id=id))
                self.assertFalse((self.root / id).exists())

    def test_id_with_a_dash_in_front_after_the_double_dash(self):
        self.write()
        self.ids.add("-x")
        self.assertOk(self.runtime("create", "--bundle", self.bundle, "--", "-x"))
        self.assertOk(self.runtime("delete", "--", "-x"))

    @rule("MUST", "runtime.md#create", "an id that is taken or not valid: error, and nothing is made")
    def test_twice_the_same(self):
        self.assertOk(self.create())
        before = self.state()
        self.config["hostname"] = "other"
        self.assertFails(self.create(), "container with given ID already exists")
        self.assertEqual(self.state(), before)
        self.assertOk(self.start())
        wait_until(lambda: self.status() == "stopped", "end of the container that was there first")

    def test_twice_the_same_with_run(self):
        pid = self.running()
        self.assertFails(self.run_container(), "container with given ID already exists")
        self.assertEqual((self.state()["pid"], self.status()), (pid, "running"))

    def test_directory_in_the_way(self):
        (self.root / self.id).mkdir(parents=True)
        (self.root / self.id / "file").write_text("of somebody else")
        self.assertFails(self.create(), "container with given ID already exists")
        self.assertEqual((self.root / self.id / "file").read_text(), "of somebody else")
        (self.root / self.id / "file").unlink()
        (self.root / self.id).rmdir()

    def test_unknown_id(self):
        for verb in ("start", "state", "kill", "delete", "pause", "resume", "ps"):
            with self.subTest(verb=verb):
                self.assertFails(self.runtime(verb, "nosuch"), "container does not exist")
        self.assertFails(self.runtime("exec", "nosuch", "true"), "container does not exist", status=255)


class ExecProcess(Case):
    """What `exec` is given: refused with 255, and the container goes on as it was."""

    def setUp(self):
        super().setUp()
        self.pid = self.running()

    def refused(self, *args, flags=(), words=()):
        result = self.exec(*args, flags=flags)
        self.assertFails(result, *words, status=255)
        self.assertEqual((self.status(), self.state()["pid"]), ("running", self.pid))
        pids = json.loads(self.runtime("ps", "--format", "json", self.id).out)
        self.assertEqual(pids, [self.pid], "the failed process is gone")

    def file(self, content):
        path = self.directory / "process.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return ["--process", path]

    def test_process_file_missing(self):
        self.refused(flags=["--process", self.directory / "nosuch.json"], words=["nosuch.json", "no such file or directory"])

    def test_process_file_malformed(self):
        for text in ("", "{", "[]", "null", '{"args": ["/bin/true"], "cwd": "/"} x', "\0"):
            with self.subTest(text=text):
                self.refused(flags=self.file(text), words=["process.json"])

    def test_process_file_against_the_rules(self):
        good = {"args": ["/bin/true"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "env": ["PATH=/bin"]}
        for path, value, words in [
                ("args", [], ["args"]), ("args", GONE, ["args"]), ("cwd", "tmp", ["cwd"]), ("cwd", GONE, ["cwd"]),
                ("user/uid", -1, ["user.uid"]), ("env", "A=B", ["env"]),
                ("rlimits", [{"type": "RLIMIT_X", "soft": 1, "hard": 1}], ["rlimits[0].type"]),
                ("terminal", True, ["tty"])]:
            with self.subTest(path=path, value=str(value)):
                process = copy.deepcopy(good)
                put(process, path, value)
                flags = [*self.file(process), *(["--detach"] if path == "terminal" else [])]
                self.refused(flags=flags, words=words)

    def test_no_command(self):
        self.refused(words=[])

    def test_executable_missing(self):
        self.refused("/bin/nosuch", words=["exec failed", "/bin/nosuch", "no such file or directory"])
        self.refused("nosuch", words=["exec failed", 'exec: "nosuch": executable file not found in $PATH'])

    def test_executable_not_executable(self):
        (self.rootfs / "bin/plain").write_text("text")
        self.refused("/bin/plain", words=["exec failed", "permission denied"])

    def test_executable_of_no_format(self):
        (self.rootfs / "bin/plain").write_bytes(b"\x7fELF" + b"x" * 100)
        (self.rootfs / "bin/plain").chmod(0o755)
        self.refused("/bin/plain", words=["exec failed", "exec format error"])

    def test_interpreter_missing(self):
        (self.rootfs / "bin/script").write_text("#!/nosuch\n")
        (self.rootfs / "bin/script").chmod(0o755)
        self.refused("/bin/script", words=["exec failed", "no such file or directory"])

    def test_cwd(self):
        self.refused("true", flags=["--cwd", "relative"], words=["cwd"])
        self.refused("true", flags=["--cwd", "/nosuch"], words=["/nosuch", "no such file or directory"])
        self.refused("true", flags=["--cwd", "/bin/busybox"], words=["/bin/busybox", "not a directory"])

    def test_user(self):
        for user in ("root", "-1", "+1", "1 ", " 1", "1:", ":1", "1:x", "1:1:1", "0x1", "1.0", "4294967295", "4294967296"):
            with self.subTest(user=user):
                self.refused("true", flags=["--user", user], words=["--user" if IS_NUCLEUS else ""])

    def test_additional_gids(self):
        for gid in ("wheel", "-1", "4294967296"):
            with self.subTest(gid=gid):
                self.refused("true", flags=["--additional-gids", gid])

    def test_cgroup(self):
        self.refused("true", flags=["--cgroup", "nosuch"], words=["nosuch"])
        self.refused("true", flags=["--cgroup", "../.."], words=["--cgroup"])
        self.refused("true", flags=["--cgroup", "nocontroller:/"], words=["--cgroup", "nocontroller"])

    def test_in_a_stopped_container(self):
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertFails(self.exec("true"), "stopped", status=255)


class State(Case):
    """A state directory that somebody or something has damaged."""

    @unittest.skipUnless(IS_NUCLEUS, "the file's name is nucleus's own")
    def test_commands_say_so_and_do_nothing(self):
        pid = self.running()
        path = self.root / self.id / "state.json"
        good = path.read_bytes()
        for content in (b"", b"{", good[:len(good) // 2], b"[]", b"null", good.replace(b'"version":1', b'"version":99'),
                        bytes(1000), good.replace(b'"pid":', b'"pid":-')):
            with self.subTest(content=content[:30]):
                path.write_bytes(content)
                for verb in ("state", "start", "kill", "delete", "pause", "resume", "ps"):
                    self.assertFails(self.runtime(verb, self.id), "state.json")
                self.assertFails(self.exec("true"), "state.json", status=255)
        path.write_bytes(good)
        self.assertEqual((self.status(), self.state()["pid"]), ("running", pid))

    @unittest.skipUnless(IS_NUCLEUS, "the file's name is nucleus's own")
    def test_list_shows_the_others(self):
        self.running()
        (self.root / "broken").mkdir()
        (self.root / "broken/state.json").write_text("{")
        result = self.runtime("list", "--quiet")
        self.assertOk(result)
        self.assertEqual(result.out, f"{self.id}\n")
        self.assertIn("broken", result.err)

    def test_list_beside_things_that_are_no_containers(self):
        self.running()
        (self.root / "file").write_text("x")
        (self.root / "empty").mkdir()
        (self.root / "bad name").mkdir()
        (self.root / "link").symlink_to("/etc")
        result = self.runtime("list", "--quiet")
        self.assertOk(result)
        self.assertEqual(result.out, f"{self.id}\n")

    def test_delete_force_does_not_follow_a_link(self):
        victim = self.directory / "victim"
        victim.mkdir()
        (victim / "state.json").write_text("{}")
        self.root.mkdir()
        (self.root / self.id).symlink_to(victim)
        self.runtime("delete", "--force", self.id)
        self.assertTrue((victim / "state.json").exists())
        (self.root / self.id).unlink(missing_ok=True)

    def test_pid_of_another_process(self):
        # The pid was given to another process: it must be neither taken for the container nor killed.
        self.running("exec sleep 1000")
        self.assertOk(self.kill())
        self.wait_stopped()
        stranger = subprocess.Popen(["sleep", "1000"])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)
        path = self.root / self.id / "state.json"
        state = json.loads(path.read_text())
        for key in ("pid", "init_process_pid"):
            if key in state:
                state[key] = stranger.pid
        path.write_text(json.dumps(state))
        self.assertEqual(self.status(), "stopped")
        self.assertFails(self.kill(), "container not running")
        self.assertOk(self.delete("--force"))
        self.assertIsNone(stranger.poll(), "the stranger lives")


class Arguments(Case):
    """The command line itself."""

    def test_no_id(self):
        for verb in ("create", "run", "start", "state", "kill", "delete", "pause", "resume", "ps"):
            with self.subTest(verb=verb):
                result = self.runtime(verb)
                self.assertFails(result, verb)
        self.assertFails(self.runtime("exec"), "exec", status=255)

    def test_too_many(self):
        for verb in ("create", "run", "start", "state", "delete", "pause", "resume"):
            with self.subTest(verb=verb):
                self.assertFails(self.runtime(verb, "one", "two"), verb)
        if IS_NUCLEUS:
            self.assertFails(self.runtime("list", "one"), "list")

    def test_unknown_command(self):
        result = self.runtime("frobnicate")
        self.assertNotEqual(result.status, 0)
        self.assertIn("frobnicate", result.err + result.out)

    def test_unknown_flags(self):
        for args in (["--frobnicate", "list"], ["list", "--frobnicate"], ["create", "--frobnicate", "x"], ["create", "-x", "x"],
                     ["-x", "list"]):
            with self.subTest(args=args):
                result = self.runtime(*args)
                self.assertNotEqual(result.status, 0)
                self.assertIn(args[0] if args[0][0] == "-" else args[1], result.err + result.out)

    def test_flag_without_its_value(self):
        for args in (["create", "--bundle"], ["create", "--pid-file"], ["list", "--format"]):
            with self.subTest(args=args):
                self.assertFails(self.runtime(*args), args[1].lstrip("-"))

    def test_values(self):
        for args, word in ((["list", "--format", "xml"], "xml"), (["ps", "--format", "xml", "x"], "xml"),
                           (["create", "--preserve-fds", "-1", "x"], "preserve-fds"),
                           (["create", "--preserve-fds", "many", "x"], "preserve-fds"),
                           (["create", "--preserve-fds", "99999999999", "x"], "preserve-fds"),
                           (["--log-format", "xml", "list"], "xml")):
            with self.subTest(args=args):
                result = self.runtime(*args)
                self.assertNotEqual(result.status, 0)
                self.assertIn(word, result.err + result.out)

    def test_signals_that_do_not_exist(self):
        self.running()
        for name in ("NOSUCH", "SIG", "0", "-1", "65", "1.5", "99999999999999999999", "SIGSIGKILL", "", "9 ", "RTMIN+99"):
            with self.subTest(name=name):
                self.assertFails(self.runtime("kill", self.id, name), "-1" if name == "-1" else "signal")
        self.assertEqual(self.status(), "running")

    def test_preserved_descriptor_that_is_not_open(self):
        self.write()
        result = self.runtime("create", "--bundle", self.bundle, "--preserve-fds", "5", self.id)
        self.assertFails(result, "preserve")
        self.assertNothingLeft()

    def test_root_that_cannot_be_made(self):
        self.write()
        (self.directory / "file").write_text("")
        for root in (self.directory / "file", self.directory / "file/below", "/proc/nucleus-test"):
            with self.subTest(root=root):
                result = self.with_root(root, "create", "--bundle", self.bundle, self.id)
                self.assertFails(result, str(root).split("/below")[0])

    def test_root_of_the_host(self):
        for root in ("/", "//", ""):
            with self.subTest(root=root):
                self.assertFails(self.with_root(root, "list"), "root")

    def with_root(self, root, *args):
        return command([RUNTIME, "--root", root, *args])

    def test_sockets_that_nobody_listens_on(self):
        for flag in ("--console-socket", "--pidfd-socket"):
            with self.subTest(flag=flag):
                self.process["terminal"] = flag == "--console-socket"
                path = self.directory / "nosuch.sock"
                self.assertFails(self.create(flag, path), "nosuch.sock")
                self.assertNothingLeft()

    def test_pid_file_that_cannot_be_written(self):
        for path, word in ((self.directory / "nosuch/pid", "no such file or directory"), (self.bundle, "directory")):
            with self.subTest(path=path):
                self.assertFails(self.create("--pid-file", path), word)
                self.assertNothingLeft()
        self.assertEqual([p for p in os.listdir(self.directory) if p.startswith(".")], [], "no temporary file left")

    def test_log_file_that_cannot_be_opened(self):
        self.assertFails(self.runtime("--log", self.directory / "nosuch/log", "list"), "nosuch/log", "no such file or directory")


if __name__ == "__main__":
    main()
