"""The program is led along the graph of specs/Setup.tla, every edge of it, and compared with the model after each step.

create, start and the container's init stop at every stage (NUCLEUS_FAULT=stop:...), one of them goes on at a time, and where
the model's step says so the stage fails or its process is killed. After each step the host is looked at: what has been
made, whether the workload runs, what the state says is missing; before the workload's first instruction, what the kernel
says of the process that is about to run it.
"""

import json
import os
import pathlib
import random
import signal
import subprocess
import tempfile
import time
import unittest

from graphs import SEED, Graph, named
from harness import RUNTIME, SLOW, cgroup_directories, is_alive, main, wait_until
from test_modes import HAS_SWITCH, Mode

LIMIT = 30 * SLOW
STEPS = int(os.environ.get("NUCLEUS_MODEL_STEPS", "300"))
# Where the kernel cannot tell by /proc: compared at the last stage before execve.
LAST = "child.exec"


class Walk(Mode):
    def setUp(self):
        super().setUp()
        self.plain = json.dumps(self.config)
        self.root.mkdir()
        self.place = self.root / self.id
        self.child = None
        # Not a pipe: the init has it as well.
        self.errors = tempfile.TemporaryFile("w+", errors="replace")
        self.addCleanup(self.errors.close)
        self.events = self.directory / "events"
        self.told = set()
        self.addCleanup(self._end)

    def _end(self):
        if self.child:
            self.child.kill()
            self.child.wait()
        self.child = None

    def prepare(self, mode):
        """A bundle that goes through every stage of the mode."""
        self.config = json.loads(self.plain)
        self.process["args"] = ["/bin/sleep", "1000"]
        self.config["hostname"] = "box"
        self.user_namespace()
        if mode == "plain":
            self.linux["namespaces"] += [{"type": name} for name in ("pid", "network", "ipc", "uts", "cgroup")]
            self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                                     "syscalls": [{"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO"}]}
            self.linux["maskedPaths"] = ["/proc/keys"]
            self.linux["readonlyPaths"] = ["/proc/sys"]
        else:
            self.mode(mode)
            self.config["annotations"]["dev.nucleus.init"] = "off"
        self.write()

    # ---- the processes

    def launch(self, args, steps):
        """`steps` come after this. Everything from the first step that is new stops; what is going to fail does so when it goes on."""
        words, seen = [], set()
        for (source, action, _), stops in steps:
            stage = self.stage(source)
            # A start that has failed to connect is said once more: by a command of its own.
            if stage == "start.connect" and stage in seen:
                continue
            seen.add(stage)
            if stops and stage:
                words.append(f"stop:{stage}")
            if named(action)[0] in ("Fails", "Degrades"):
                words.append(stage)
        self.errors.seek(0)
        self.errors.truncate()
        self.child = subprocess.Popen([RUNTIME, "--root", str(self.root), "--events", str(self.events), *map(str, args)],
                                      env={**os.environ, "NUCLEUS_FAULT": ",".join(words)},
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors)

    def stage(self, source):
        state = self.graph.states[source]
        return self.names[state["mode"]][state["at"] - 1] if state["mode"] != "none" and \
            state["at"] <= len(self.names[state["mode"]]) else None

    def init_pid(self):
        """The init: what create has cloned, by the state as soon as it has it."""
        try:
            return json.loads((self.place / "state.json").read_text())["pid"] or self.cloned()
        except (FileNotFoundError, NotADirectoryError):
            return self.cloned()

    def cloned(self):
        try:
            text = pathlib.Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text().split() if self.child else []
        except (FileNotFoundError, ProcessLookupError):
            text = []
        return int(text[0]) if text else 0

    def stands_at(self, pid, stage):
        try:
            return pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == stage[:15] and self.is_stopped(pid)
        except (FileNotFoundError, ProcessLookupError):
            return False

    @staticmethod
    def is_stopped(pid):
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        # The first process of a pid namespace waits for the signal instead.
        return stat == "T" or pathlib.Path(f"/proc/{pid}/syscall").read_text().split()[0] == "128"

    def owner(self, stage):
        return self.init_pid() if stage.startswith("child.") else self.child.pid if self.child else 0

    def ended(self, status):
        """Waits for the command's end."""
        try:
            self.child.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.fail("the command does not end")
        self.errors.seek(0)
        error = self.errors.read()
        self.assertIn(self.child.returncode, status, error)
        self.child = None
        return error

    # ---- one step

    def go_on(self, pid):
        os.kill(pid, signal.SIGCONT)

    def step(self, step, stops, ahead):
        source, action, target = step
        before, after = self.graph.states[source], self.graph.states[target]
        name, word = named(action)
        stage = self.stage(source)
        if name == "Begin":
            self.prepare(word)
            self.pid = 0
            self.launch(["create", "--bundle", self.bundle, self.id], ahead)
        elif name == "Delete":
            self._end()
            result = self.delete("--force")
            self.assertOk(result)
        elif stops:
            pid = self.owner(stage)
            if stage.startswith("child."):
                self.pid = pid
            if name in ("KillCommand", "KillInit"):
                os.kill(pid, signal.SIGKILL)
            else:
                self.go_on(pid)
            if name == "KillCommand":
                self.ended([-signal.SIGKILL])
                if "init" not in after["made"] and self.pid_of_init():
                    # Where it was stopped it sees nothing; let go, it sees that nobody is there.
                    self.go_on_if_there(self.pid_of_init())
            elif name == "KillInit" and after["phase"] == "stopped":
                self.ended([0, 1])
            elif name == "KillInit" or name == "Fails":
                error = self.ended([1])
                if name == "Fails":
                    self.assertIn(f"injected fault at {stage}", error)
        # The last of create's stages, then start's.
        if stage == "create.pid-file" and name == "Passes":
            self.pid = self.pid_of_init()
            self.ended([0])
            self.launch(["start", self.id], ahead)
        elif stage == "start.save-state" and name == "Passes":
            self.ended([0])
        elif stage == "start.connect" and name == "Fails":
            if not stops:
                self.ended([1])
            self.launch(["start", self.id], ahead)

    def pid_of_init(self):
        try:
            return self.init_pid() or self.pid
        except json.JSONDecodeError:
            return self.pid

    @staticmethod
    def go_on_if_there(pid):
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    # ---- what can be seen

    def workload_runs(self, pid):
        try:
            return pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "sleep"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def host_view(self, state, stops):
        made = []
        pid = self.pid_of_init()
        if cgroup_directories(self.id):
            made.append("cgroup")
        if self.place.exists():
            made.append("directory")
        if pid and is_alive(pid):
            made.append("init")
        stage = self.names[state["mode"]][state["at"] - 1] if state["phase"] == "setting up" else None
        view = {"made": made, "stands": True}
        if stage and stops:
            owner = self.owner(stage)
            view["stands"] = bool(owner) and self.stands_at(owner, stage)
        if state["phase"] in ("running", "setting up"):
            view["runs"] = bool(pid) and self.workload_runs(pid)
        if state["phase"] == "running":
            told = json.loads((self.place / "state.json").read_text())
            view["missing"] = sorted(entry["stage"] for entry in told.get("degradations", []))
        return view

    @staticmethod
    def model_view(state):
        view = {"made": sorted(state["made"]), "stands": True}
        if state["phase"] in ("running", "setting up"):
            view["runs"] = state["ran"]
        if state["phase"] == "running":
            view["missing"] = sorted(state["missing"])
        return view

    def compare(self, state, stops):
        end = time.monotonic() + LIMIT
        while True:
            model, host = self.model_view(state), self.host_view(state, stops)
            if model == host:
                break
            if time.monotonic() > end:
                self.assertEqual(host, model, "what is there, and what the model says")
            time.sleep(0.001)
        stage = self.names[state["mode"]][state["at"] - 1] if state["phase"] == "setting up" else None
        if stage == LAST and stops:
            self.compare_powers(state, self.owner(stage))

    def compare_powers(self, state, pid):
        """One system call before the workload: what the kernel says is in force."""
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        self.assertEqual(status["Seccomp"], "0" if "seccomp" in state["missing"] else "2")
        if state["mode"] != "plain":
            self.assertEqual(status["NoNewPrivs"], "1")
            self.assertEqual(int(status["CapEff"], 16), 0)
        self.assertEqual(status["Uid"].split(), ["100000"] * 4)

    # ---- ways

    def walk(self, steps, known):
        self.events.unlink(missing_ok=True)
        marked = [(step, at + 1 >= known) for at, step in enumerate(steps)]
        for at, (step, stops) in enumerate(marked):
            try:
                self.step(step, stops, marked[at + 1:])
                following = marked[at + 1][1] if at + 1 < len(marked) else True
                if stops or following:
                    self.compare(self.graph.states[step[2]], following)
            except (AssertionError, OSError) as error:
                self._end()
                done = " ".join(f"{self.stage(s) or ''}:{a}" for s, a, _ in steps[max(0, at - 12):at])
                raise AssertionError(f"{self.graph.name}: {self.stage(step[0])} {step[1]}\nafter: ... {done}\n{error}\n"
                                     f"model: {json.dumps(self.graph.states[step[2]])}") from error
        self._end()
        if self.place.exists():
            self.assertOk(self.delete("--force"))
        wait_until(lambda: not self._processes(), "no process is left")
        self.assertNothingLeft()
        # An init that is killed in its last steps may be told of as one that ran and ended.
        if not any(action == "KillInit" for _, action, _ in steps):
            self.told.add(tuple(self.check_trace()))

    def shown(self, source, action, _target):
        """The event that a step is told by."""
        stage = self.stage(source)
        if action == "Fails":
            return "refused" if stage == "create.rootfs-verify" else "failed"
        return {"create.pid-file": "created", "start.save-state": "started"}.get(stage) if action == "Passes" else None

    def check_trace(self):
        """What the event stream tells of a life is a path of the graph."""
        told = [json.loads(line)["event"] for line in self.events.read_text().splitlines()] if self.events.exists() else []
        told = [event for event in told if event in ("created", "started", "failed", "refused")]
        self.assertTrue(self.graph.accepts(told, self.shown), f"the events {told} are no path of {self.graph.name}")
        return told

    def load(self):
        self.graph = Graph("Setup.one")
        self.assertEqual(self.graph.stale(), [], "specs/check.sh has to write the graph anew")
        # The stages of each mode: the last state of a life without a failure has them all, in this order.
        module = (pathlib.Path(__file__).parent.parent / "specs/Setup.tla").read_text()
        order = [word.split('"')[1] for word in module.split("All == <<")[1].split(">>")[0].split("S(")[1:]]
        self.names = {}
        for state in self.graph.states:
            if state["phase"] == "running" and not state["missing"]:
                self.names[state["mode"]] = [name for name in order if name in state["held"]]
        self.assertEqual(len(self.names), 4)


@unittest.skipUnless(HAS_SWITCH, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
class Setup(Walk):
    def test_every_edge(self):
        self.load()
        ways = self.graph.ways()
        for steps, known in ways:
            self.walk(steps, known)
        print(f"Setup.one: {len(self.graph.states)} states, all {self.graph.count()} edges in {len(ways)} lives; "
              f"events of a life: {sorted(map(' '.join, self.told))}")
        self.assertIn(("created", "started"), self.told)

    def test_lives_by_chance(self):
        print(f"NUCLEUS_MODEL_SEED={SEED}")
        self.load()
        generator, taken = random.Random(SEED), 0
        while taken < STEPS // 2:
            steps = self.graph.stroll(generator, 1000)
            self.walk(steps, 0)
            taken += len(steps)

    def test_events_that_are_no_path(self):
        self.load()
        for told in (["started"], ["started", "created"], ["created", "created"], ["created", "started", "failed"], ["failed", "created"]):
            self.assertFalse(self.graph.accepts(told, self.shown), told)


if __name__ == "__main__":
    main()
