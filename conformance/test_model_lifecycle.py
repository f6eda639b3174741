"""The program is led along the graph of specs/Lifecycle.tla, every edge of it, and compared with the model after each step.

A command runs with NUCLEUS_FAULT=stop:STAGE,... for every stage that is a point of the model, so that it goes on only when
the model's step says so; a crash is a SIGKILL where it stands, a failure the fault of that stage. After each step the host
is looked at: which directory the name has, what its state says, whether it is locked, the processes, the cgroups.

NUCLEUS_MODEL_SEED (printed) repeats the ways by chance, NUCLEUS_MODEL_STEPS is how many steps these take (default 300).
Two commands at a time, and traces of commands that nobody leads, are test_model_traces.py's.
"""

import fcntl
import json
import os
import pathlib
import random
import signal
import subprocess
import time
import unittest

from graphs import SEED, Graph, named
from harness import RUNTIME, SLOW, Case, command, is_alive, main, wait_until

STAGES = command([RUNTIME, "list"], env={**os.environ, "NUCLEUS_FAULT": "list"}).out.split()
STEPS = int(os.environ.get("NUCLEUS_MODEL_STEPS", "300"))
LIMIT = 30 * SLOW  # seconds that a command may take from one stage to the next

# The point of a model's command (its pc) → the stage of the program.
REMOVING = {"killing": "delete.kill", "killed": "delete.cgroup", "removing": "remove.files", "emptied": "remove.directory"}
POINTS = {
    "create": {"made": "create.state-open", "opened": "create.state-lock", "locked": "create.state-dir",
               "announced": "create.clone", "cloned": "create.seccomp-compile", "ready": "create.save-state",
               "saved": "create.pid-file", **REMOVING},
    "start": {"opened": "container.lock", "judged": "start.connect", "released": "start.save-state", **REMOVING},
    "kill": {"aimed": "kill.signal"},
    "exec": {"joining": "exec.attach"},
    "delete": {"opened": "container.lock", **REMOVING},
    "force": {"opened": "container.lock", "again": "delete.again", "reopened": "delete.again-lock", **REMOVING},
}
LAUNCHES = {"Create": "create", "Start": "start", "Kill": "kill", "Exec": "exec", "Delete delete": "delete",
            "Delete force": "force"}
FAILURES = {"CreateFails", "CreateFailsEarly", "StartFails", "StartFailsEarly", "ExecFails", "RemovalFails"}
OF_INITS = {"InitIsReady", "InitGivesUp", "InitDies"}
# How a command's last step ends it; RemovesDirectory, which many have, and those that are not here: below.
GOOD_ENDS = {"CreateEnds", "StartEnds", "ExecEnds", "DeleteFindsNone"}
ACCEPT4 = "288"
STALE = "specs/check.sh has to write the graph anew"


class Walker(Case):
    POINTS, LAUNCHES, FAILURES = POINTS, LAUNCHES, FAILURES

    def setUp(self):
        super().setUp()
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                                 "syscalls": [{"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO"}]}
        self.process["args"] = ["/bin/sleep", "1000"]
        self.write()
        self.root.mkdir()
        self.place = self.root / self.id
        self.arguments = {
            "create": ["create", "--bundle", self.bundle, self.id], "start": ["start", self.id],
            "kill": ["kill", self.id, "KILL"], "exec": ["exec", "--detach", self.id, "/bin/sleep", "1000"],
            "delete": ["delete", self.id], "force": ["delete", "--force", self.id],
        }
        self.addCleanup(self._end)
        self.events = None  # a file
        self._begin()

    def _begin(self):
        self.children = {}  # the model's command → the process that it is
        self.inodes = {}  # the model's directory → its inode
        self.inits = {}  # the model's init → its pid

    def _end(self):
        for child in self.children.values():
            child.kill()
            child.wait()
        self.children = {}

    # ---- one command

    def launch(self, p, name, ahead):
        """`ahead`: the steps from this one on; they tell whether and where it is going to be made to fail."""
        stages = [f"stop:{stage}" for stage in self.POINTS[name].values()]
        if name == "create":
            stages.append("stop:child.lookup")
        for state, action, target in ahead:
            if action in {f"{failure}({p})" for failure in self.FAILURES}:
                stages.append(self.POINTS[name][self.graph.states[state]["proc"][p - 1]["pc"]])
            if self.graph.states[target]["proc"][p - 1]["pc"] == "idle":
                break
        self.children[p] = subprocess.Popen(
            [RUNTIME, "--root", str(self.root), *(["--events", str(self.events)] if self.events else []),
             *map(str, self.arguments[name])],
            env={**os.environ, "NUCLEUS_FAULT": ",".join(stages)},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def settle(self, p, pc, name):
        """Waits until the command stands where the model has it; its exit status where it has ended."""
        child, end = self.children[p], time.monotonic() + LIMIT
        while True:
            pid, status = os.waitpid(child.pid, os.WUNTRACED | os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                self.fail(f"{name} {p} does not come to {pc}")
            time.sleep(0.0005)
        if os.WIFSTOPPED(status):
            stage = pathlib.Path(f"/proc/{child.pid}/comm").read_text().strip()
            wanted = "the end" if pc == "idle" else self.POINTS[name][pc][:15]
            self.assertEqual(stage, wanted, f"where {name} {p} stands")
            return None
        child.returncode = os.waitstatus_to_exitcode(status)
        del self.children[p]
        self.assertEqual(pc, "idle", f"{name} {p} has ended with {child.returncode}")
        return child.returncode

    # ---- one step

    def expected_status(self, action, before, p):
        command_, k = before["proc"][p - 1]["cmd"], before["proc"][p - 1]["k"]
        if action == "Crash":
            return [-signal.SIGKILL]
        if action == "RemovesDirectory":
            return [0] if command_ in ("delete", "force") else [1]
        if action == "KillEnds":
            # One that nobody has waited for yet takes a signal as if it were there.
            return [0] if before["init"][k - 1] != "dead" else [0, 1]
        return [0] if action in GOOD_ENDS else [255 if command_ == "exec" else 1]

    def step(self, source, action, target, ahead):
        before, after = self.graph.states[source], self.graph.states[target]
        name, number = named(action)
        if self.is_not_a_commands(name):
            self.act(name, number, before, after)
        else:
            p = number
            if name in self.LAUNCHES:
                self.launch(p, self.LAUNCHES[name], ahead)
            elif name == "Crash":
                self.children[p].kill()
            else:
                self.children[p].send_signal(signal.SIGCONT)
            command_ = self.LAUNCHES.get(name) or before["proc"][p - 1]["cmd"]
            status = self.settle(p, after["proc"][p - 1]["pc"], command_)
            if after["proc"][p - 1]["pc"] == "idle":
                self.assertIn(status, self.expected_status(name, before, p), f"{command_} {p}: exit status")
        self.after_step(name, number, before, after)
        self.compare(after)

    def is_not_a_commands(self, name):
        return name in OF_INITS

    def act(self, name, number, _before, _after):
        os.kill(self.inits[number], signal.SIGKILL if name == "InitDies" else signal.SIGCONT)

    def after_step(self, name, p, _before, after):
        if name == "Create":
            self.inodes[after["path"]] = os.stat(self.place).st_ino
        if name == "CreateClones":
            self.inits[after["proc"][p - 1]["k"]] = json.loads((self.place / "state.json").read_text())["pid"]

    def await_(self, condition, what):
        wait_until(condition, what, LIMIT / SLOW)

    # ---- what can be seen of a state

    @staticmethod
    def comm(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
        except (FileNotFoundError, ProcessLookupError):
            return "none"

    def told_phase(self):
        try:
            state = json.loads((self.place / "state.json").read_text())
        except (FileNotFoundError, NotADirectoryError):
            return ["none", 0]
        return [state["phase"], state["pid"]]

    def is_locked(self):
        directory = os.open(self.place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
        finally:
            os.close(directory)

    def told_init(self, pid, joined):
        if not is_alive(pid):
            return "dead"
        try:
            # One that has been killed is there as long as nobody has waited for what was about to join it; it runs nothing.
            if joined:
                os.readlink(f"/proc/{pid}/exe")
            comm = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
            call = pathlib.Path(f"/proc/{pid}/syscall").read_text().split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return "dead"
        if comm == "child.lookup":
            return "building"
        return "running" if comm == "sleep" else "waiting" if call == ACCEPT4 else f"{comm} in {call}"

    def cgroups(self):
        top = pathlib.Path("/sys/fs/cgroup")
        own = f"nucleus-test/{self.id}"
        return [path for path in (top / own, *(hierarchy / own for hierarchy in top.iterdir())) if path.is_dir()]

    def processes(self):
        found = set()
        for directory in self.cgroups():
            for pid in (directory / "cgroup.procs").read_text().split():
                found.add(int(pid))
        return {pid for pid in found if is_alive(pid)}

    def model_view(self, state):
        view = {"directory": self.inodes.get(state["path"], 0) if state["path"] else 0}
        if state["path"]:
            disk = state["disk"][state["path"] - 1]
            view["state"] = [disk["phase"], self.inits[disk["init"]] if disk["init"] else 0]
            view["locked"] = state["lock"][state["path"] - 1] != 0
        view["inits"] = {self.inits[k]: init for k, init in enumerate(state["init"], 1) if k in self.inits}
        view["guests"] = any(state["guest"])
        if not state["cgroup"]:
            view["cgroups"] = False
        return view

    def host_view(self, state):
        view = {"directory": 0}
        if self.place.exists():
            view["directory"] = os.stat(self.place).st_ino
        if state["path"] and view["directory"]:
            view["state"] = self.told_phase()
            view["locked"] = self.is_locked()
        joined = any(proc["pc"] == "joining" for proc in state["proc"])
        view["inits"] = {pid: self.told_init(pid, joined) for pid in self.inits.values()}
        # One that is about to join may or may not be seen.
        joining = any(proc["pc"] == "joining" and state["init"][proc["k"] - 1] != "dead" for proc in state["proc"])
        others = len(self.processes() - {pid for pid, init in view["inits"].items() if init != "dead"})
        view["guests"] = others > 0 if not joining else any(state["guest"]) if others else False
        if not state["cgroup"]:
            view["cgroups"] = bool(self.cgroups())
        return view

    def forget(self, state):
        self.inits = {k: pid for k, pid in self.inits.items()
                      if state["init"][k - 1] != "dead" or any(d["init"] == k for d in state["disk"]) or is_alive(pid)
                      or any(proc["k"] == k for proc in state["proc"])}

    def compare(self, state):
        # What a process does by itself when another has died or let it go is waited for.
        self.forget(state)
        end = time.monotonic() + LIMIT
        while True:
            model, host = self.model_view(state), self.host_view(state)
            if model == host:
                return
            if time.monotonic() > end:
                self.assertEqual(host, model, "what is there, and what the model says")
            time.sleep(0.001)

    # ---- ways

    def walk(self, steps):
        for at, (source, action, target) in enumerate(steps):
            try:
                self.step(source, action, target, steps[at:])
            except AssertionError as error:
                done = " ".join(a for _, a, _ in steps[max(0, at - 25):at])
                raise AssertionError(f"{self.graph.name}, step {at}: {action}\nafter: ... {done}\n{error}\n"
                                     f"model: {json.dumps(self.graph.states[target])}") from None
        for child in self.children.values():
            child.kill()
            child.wait()
        for pid in self.inits.values():
            if is_alive(pid):
                os.kill(pid, signal.SIGCONT)
        self._begin()
        self.assertOk(self.delete("--force"))
        wait_until(lambda: not self._processes(), "no process is left")
        self.assertNothingLeft()
        if self.events:
            self.assertEqual(self.told_events(), [self.SHOWN[name] for name in (named(a)[0] for _, a, _ in steps) if name in self.SHOWN],
                             "events")
            self.events.unlink(missing_ok=True)

    # What an event tells of.
    SHOWN = {"CreateEnds": "created", "StartEnds": "started"}

    def told_events(self):
        lines = self.events.read_text().splitlines() if self.events.exists() else []
        return [event for event in (json.loads(line)["event"] for line in lines) if event in self.SHOWN.values()]

    def tour(self, name):
        self.graph = Graph(name)
        self.assertEqual(self.graph.stale(), [], STALE)
        way = self.graph.tour()
        self.walk(way)
        print(f"{name}: {len(self.graph.states)} states, all {self.graph.count()} edges in {len(way)} steps")


@unittest.skipUnless("create.state-open" in STAGES, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
class Lifecycle(Walker):
    def test_every_edge_of_a_command_alone(self):
        self.tour("Lifecycle.alone")

    def test_ways_by_chance(self):
        print(f"NUCLEUS_MODEL_SEED={SEED}")
        generator = random.Random(SEED)
        self.events = self.directory / "events"
        for name in ("Lifecycle.alone", "Lifecycle.pair", "Lifecycle.four"):
            self.graph = Graph(name)
            self.assertEqual(self.graph.stale(), [], STALE)
            self.walk(self.graph.stroll(generator, STEPS // 3))


if __name__ == "__main__":
    main()
