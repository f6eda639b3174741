"""Many containers: side by side, one after the other, and killed in the middle; nothing of the host's grows.

What is counted is printed before and after. Other tests may run on the same host: what is theirs comes and goes, so a count
that belongs to the whole host is compared with what thousands of leaks would make of it, and all that carries this test's
own names must be gone to the last one.

NUCLEUS_STRESS_SEQUENCE, NUCLEUS_STRESS_PARALLEL: how many (default: 2000 and 200).
NUCLEUS_STRESS_STEP: every how many system calls a command is killed (default: 7; 1 is all of them).
"""

import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import unittest

from harness import RUNTIME, Case, command, is_alive, main, wait_until

SEQUENCE = int(os.environ.get("NUCLEUS_STRESS_SEQUENCE", "2000"))
PARALLEL = int(os.environ.get("NUCLEUS_STRESS_PARALLEL", "200"))
STEP = int(os.environ.get("NUCLEUS_STRESS_STEP", "7"))
SIGNALS = {"TERM": 15, "INT": 2, "HUP": 1, "PIPE": 13, "QUIT": 3}
AT_ONCE = 16  # commands under way at the same time
SLACK = 100  # what the rest of the host may have made meanwhile, of each thing


def lines(path):
    return pathlib.Path(path).read_text(errors="replace").splitlines()


def host():
    """What a container needs of the host's kernel, counted."""
    cgroups = {line.split()[0]: int(line.split()[2]) for line in lines("/proc/cgroups")[1:]}
    namespaces = set()
    processes = [pid for pid in os.listdir("/proc") if pid.isdigit()]
    for pid in processes:
        for name in ("net", "mnt", "pid", "ipc", "uts", "user", "cgroup", "time"):
            try:
                namespaces.add(os.readlink(f"/proc/{pid}/ns/{name}"))
            except OSError:
                pass
    return {
        "processes": len(processes),
        "mounts": len(lines("/proc/self/mountinfo")),
        "mounts of init": len(lines("/proc/1/mountinfo")),
        "sockets": len(lines("/proc/net/unix")),
        "keys of uid 0": sum(line.split()[5] == "0" for line in lines("/proc/keys")),
        "files of the kernel": int(lines("/proc/sys/fs/file-nr")[0].split()[0]),
        "namespaces": len(namespaces),
        "links": len(os.listdir("/sys/class/net")),
        "pseudo-terminals": int(lines("/proc/sys/kernel/pty/nr")[0]),
        "cgroups": sum(1 for _ in os.walk("/sys/fs/cgroup")),
        "cgroups of the kernel": max(cgroups.values(), default=0),
    }


def slabs():
    """Objects of those caches that containers are made of; empty where the kernel does not tell."""
    try:
        text = lines("/proc/slabinfo")
    except OSError:
        return {}
    wanted = ("mnt_cache", "net_namespace", "nsproxy", "task_struct", "pid_namespace", "key_jar", "cred_jar", "uts_namespace",
              "sock_inode_cache", "proc_inode_cache", "shmem_inode_cache")
    return {line.split()[0]: int(line.split()[1]) for line in text if line.split()[0] in wanted}


class Stress(Case):
    def setUp(self):
        super().setUp()
        self.process["args"] = ["/bin/true"]
        self.config["linux"]["resources"]["pids"] = {"limit": 64}
        self.config["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                                           "syscalls": [{"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO"}]}
        self.root.mkdir(mode=0o700)

    def bundle_of(self, number):
        """A bundle of its own for each, with a shared root filesystem."""
        config = json.loads(json.dumps(self.config))
        id = f"{self.id}-{number}"
        config["linux"]["cgroupsPath"] = f"/nucleus-test/{id}"
        config["root"]["path"] = str(self.rootfs)
        bundle = self.directory / "bundles" / str(number)
        bundle.mkdir(parents=True)
        (bundle / "config.json").write_text(json.dumps(config))
        self.ids.add(id)
        return id, bundle

    def assertStill(self, before, count, label):
        """Nothing has grown by anything like one for each of `count` containers; what the kernel, or the host's init, frees
        only some time after the last process has gone is waited for."""
        late = ("cgroups of the kernel", "files of the kernel")

        def grown():
            now = host()
            return {name: (before[name], now[name]) for name in before
                    if now[name] - before[name] > (max(count // 2, 4 * SLACK) if name in late else min(SLACK, count // 2))}
        try:
            wait_until(lambda: not grown(), "the host is as it was", 120)
        except AssertionError as error:
            raise AssertionError(f"{error}: {grown()}") from None
        after = host()
        width = max(map(len, before))
        print(f"{label}: before and after {count} containers")
        for name, value in before.items():
            print(f"  {name:{width}} {value:8} {after[name]:8}")

    def assertNothingOfOurs(self):
        self.assertEqual([name for name in os.listdir(self.root) if not name.startswith(".")], [], "state")
        found = [path for path, _, _ in os.walk("/sys/fs/cgroup") if self.id in path]
        self.assertEqual(found, [], "cgroups")
        self.assertEqual([line for line in lines("/proc/self/mountinfo") if str(self.directory) in line], [], "mounts")
        self.assertEqual(self._processes(), [], "processes")


class Sequence(Stress):
    def test_one_after_the_other(self):
        self.write()
        self.run_container()  # what is made once: caches, parents of cgroups
        before, slabs_before = host(), slabs()
        full = SEQUENCE // 4  # create, start and delete as three commands; the rest by run
        for _ in range(full):
            self.assertOk(self.runtime("create", "--bundle", self.bundle, self.id))
            self.assertOk(self.runtime("start", self.id))
            self.assertOk(self.runtime("delete", "--force", self.id))
        for _ in range(SEQUENCE - full):
            self.assertOk(self.runtime("run", "--bundle", self.bundle, self.id))
        self.assertNothingOfOurs()
        self.assertStill(before, SEQUENCE, "sequence")
        self.told_slabs(slabs_before)

    def told_slabs(self, before):
        """Objects of a namespace or mount for each container would be seen in these two; the others are only told."""
        if not before:
            print("  the kernel does not tell its slabs")
            return
        for name, value in slabs().items():
            print(f"  slab {name:24} {value:8} {before.get(name, 0):8} (before)")
        for name in ("net_namespace", "pid_namespace"):
            if name in before:
                wait_until(lambda: slabs()[name] < before[name] + SEQUENCE // 2, f"slab {name}", 60)  # pylint: disable=cell-var-from-loop

    def test_execs_in_one_container(self):
        """A container that lives long: what enters it leaves nothing with its init, its cgroup or its state."""
        pid = self.running()
        self.assertOk(self.exec("/bin/true"))

        def seen():
            return {"files of init": len(os.listdir(f"/proc/{pid}/fd")), "mounts of init": len(lines(f"/proc/{pid}/mountinfo")),
                    "processes": json.loads(self.runtime("ps", "--format", "json", self.id).out),
                    "state": sorted(os.listdir(self.root / self.id))}
        before, host_before = seen(), host()
        count = SEQUENCE // 10
        for number in range(count):
            self.assertOk(self.exec("/bin/true"))
            if number % 20 == 0:
                self.assertOk(self.runtime("pause", self.id))
                self.assertOk(self.runtime("resume", self.id))
        self.assertEqual(seen(), before)
        self.assertStill(host_before, count, "exec")

    def test_failures_one_after_the_other(self):
        self.process["args"] = ["/no/such/program"]
        self.write()
        before = host()
        count = SEQUENCE // 10
        for _ in range(count):
            self.assertNotEqual(self.runtime("run", "--bundle", self.bundle, self.id).status, 0)
        self.assertNothingOfOurs()
        self.assertStill(before, count, "failures")


class Parallel(Stress):
    def test_side_by_side(self):
        self.process["args"] = ["/bin/sleep", "1000"]
        bundles = [self.bundle_of(number) for number in range(PARALLEL)]
        before = host()

        def birth(pair):
            id, bundle = pair
            self.assertOk(self.runtime("create", "--bundle", bundle, id))
            self.assertOk(self.runtime("start", id))

        def death(pair):
            self.assertOk(self.runtime("delete", "--force", pair[0]))

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(birth, bundles))
            listed = json.loads(self.runtime("list", "--format", "json").out)
            self.assertEqual(sorted(entry["id"] for entry in listed), sorted(id for id, _ in bundles))
            self.assertEqual({entry["status"] for entry in listed}, {"running"})
            self.assertEqual(len({entry["pid"] for entry in listed}), PARALLEL)
            self.assertTrue(all(is_alive(entry["pid"]) for entry in listed))
            list(pool.map(death, bundles))
        self.assertNothingOfOurs()
        self.assertStill(before, PARALLEL, "side by side")

    def test_lives_side_by_side(self):
        """From create to delete each by itself, so that beginnings and ends of others fall into every step."""
        bundles = [self.bundle_of(number) for number in range(PARALLEL)]
        before = host()

        def life(pair):
            id, bundle = pair
            for _ in range(2):
                self.assertOk(self.runtime("create", "--bundle", bundle, id))
                self.assertOk(self.runtime("start", id))
                self.assertOk(self.runtime("delete", "--force", id))

        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(life, bundles))
        self.assertNothingOfOurs()
        self.assertStill(before, 2 * PARALLEL, "lives side by side")

    def test_the_same_name_for_all(self):
        """One of them gets it, all others are refused, round after round."""
        self.process["args"] = ["/bin/sleep", "1000"]
        self.write()
        for _ in range(10):
            with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
                results = list(pool.map(lambda _: self.runtime("create", "--bundle", self.bundle, self.id), range(AT_ONCE)))
            self.assertEqual([r.status for r in results].count(0), 1, results)
            self.assertOk(self.delete("--force"))
            self.assertNothingOfOurs()


@unittest.skipUnless(shutil.which("strace"), "strace is not installed")
class Killed(Stress):
    """kill -9 of a command right before its Nth system call, for every few N from the first to the last: whatever it has done
    by then, `delete --force` takes all of it away. (test_faults.py kills at the named stages, in the init as well.)"""

    def system_calls(self, args):
        """What the command calls when nobody kills it, in order: (name, which one of that name)."""
        trace = self.directory / "trace"
        self.assertOk(command(["strace", "-qq", "-o", trace, RUNTIME, "--root", self.root, *args]))
        found, seen = [], collections.Counter()
        for line in trace.read_text(errors="replace").splitlines():
            name = line.partition("(")[0]
            if name.isidentifier():
                seen[name] += 1
                found.append((name, seen[name]))
        return found[1:]  # the first is strace's own execve

    def walk(self, prepare, args, signal="KILL", step=STEP):
        prepare()
        self.write()
        calls = self.system_calls(args)
        self.assertOk(self.delete("--force"))
        killed = 0
        for name, number in calls[::step]:
            prepare()
            result = command(["strace", "-qq", "-o", "/dev/null", "-e", f"inject={name}:signal=SIG{signal}:when={number}",
                              RUNTIME, "--root", self.root, *args])
            with self.subTest(system_call=name, number=number):
                # A signal that may be handled ends the command with an error of its own, after it has cleaned up.
                self.assertIn(result.status, (0, -9) if signal == "KILL" else (0, 1, 255, -SIGNALS[signal]), result)
                killed += result.status != 0
                self.assertOk(self.runtime("list"))
                self.assertOk(self.delete("--force"))
                # The init of a container that was being made ends by itself, seeing that nobody is there.
                wait_until(lambda: not self._processes(), "no process is left")
                self.assertNothingOfOurs()
        tried = len(calls[::step])
        print(f"{args[0]}: {signal} at {killed} of {len(calls)} system calls")
        # One run is not quite like another: a wait more or less.
        self.assertGreater(killed, tried // 2)

    def created(self):
        self.process["args"] = ["/bin/sleep", "1000"]
        self.write()
        self.assertOk(self.runtime("create", "--bundle", self.bundle, self.id))

    def started(self):
        self.created()
        self.assertOk(self.start())

    def test_create(self):
        self.walk(lambda: None, ["create", "--bundle", self.bundle, "--pid-file", self.directory / "pid", self.id])

    def test_run(self):
        self.walk(lambda: None, ["run", "--detach", "--bundle", self.bundle, self.id])

    def test_start(self):
        self.walk(self.created, ["start", self.id])

    def test_other_signals(self):
        """What a terminal or a service manager sends, at whatever moment."""
        create = ["create", "--bundle", self.bundle, "--pid-file", self.directory / "pid", self.id]
        for signal in SIGNALS:
            self.walk(lambda: None, create, signal, 5 * STEP)
            self.walk(self.created, ["start", self.id], signal, 5 * STEP)
            self.walk(self.started, ["exec", "--detach", self.id, "/bin/sleep", "1000"], signal, 5 * STEP)
            self.walk(self.started, ["delete", "--force", self.id], signal, 5 * STEP)

    def test_exec(self):
        self.walk(self.started, ["exec", "--detach", self.id, "/bin/sleep", "1000"])

    def test_delete(self):
        self.walk(self.started, ["delete", "--force", self.id])

    def test_kill_and_update(self):
        self.walk(self.started, ["update", "--pids-limit", "20", self.id])
        self.walk(self.started, ["kill", self.id, "KILL"])

    def test_pause_and_resume(self):
        self.walk(self.started, ["pause", self.id])

        def paused():
            self.started()
            self.assertOk(self.runtime("pause", self.id))
        self.walk(paused, ["resume", self.id])


if __name__ == "__main__":
    main()
