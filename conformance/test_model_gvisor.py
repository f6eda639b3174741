"""nucleus and what it takes for runsc are led along the graph of specs/Gvisor.tla, every edge of it, and compared with the model
after each step.

runsc is a program of this test's (programs/runsc.c), which does a thing when it is told so and else nothing: a runsc that
hangs. nucleus stops at its fault points, and once more when it waits for runsc's end (runsc.wait); made to fail there, the
time is over. A crash is a SIGKILL where it stands, nucleus, runsc or the sandbox.
"""

import os
import random
import shutil
import signal
import subprocess
import unittest

from graphs import SEED, Graph
from harness import PROJECT, RUNTIME, children, is_alive, main
from test_model_lifecycle import REMOVING, STALE, STAGES, STEPS, Walker

WAITING = {"waiting": "runsc.wait"}


@unittest.skipUnless("runsc.wait" in STAGES, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
@unittest.skipUnless(shutil.which("gcc"), "no gcc")
class Gvisor(Walker):
    POINTS = {
        "create": {"made": "create.state-dir", "announced": "create.cgroup-make", "armed": "create.clone",
                   "named": "create.runtime-hooks", "saved": "create.pid-file", **WAITING, "removing": "remove.files"},
        "start": {"opened": "container.lock", "judged": "start.connect", "started": "start.save-state", **WAITING, **REMOVING},
        "kill": {"aimed": "kill.signal"},
        "signal": WAITING,
        "exec": {"joining": "exec.attach", **WAITING},
        "delete": {"opened": "container.lock", **REMOVING},
        "force": {"opened": "container.lock", "again": "delete.again", "reopened": "delete.again-lock", **REMOVING},
    }
    for points in POINTS.values():
        points.pop("emptied", None)
    LAUNCHES = {"Create": "create", "Start": "start", "Kill": "kill", "Signal": "signal", "Exec": "exec",
                "Delete delete": "delete", "Delete force": "force"}
    FAILURES = {"CreateFails", "StartFails", "StartFailsEarly", "ExecFails", "RemovalFails", "TimesOut"}
    OF_TOOLS = {"ToolForks": signal.SIGUSR1, "ToolSays": signal.SIGUSR1, "ToolLetsRun": signal.SIGUSR1,
                "ToolSignals": signal.SIGUSR1, "ToolJoins": signal.SIGUSR1, "ToolEnds": signal.SIGTERM,
                "ToolLies": signal.SIGTERM, "ToolFails": signal.SIGINT}
    GOOD_ENDS = {"CreateEnds", "StartEnds", "DeleteFindsNone"}

    def setUp(self):
        super().setUp()
        del self.linux["seccomp"]
        self.config["mounts"] = [mount for mount in self.config["mounts"] if mount["type"] != "mqueue"]
        self.config["annotations"] = {"dev.nucleus.runtime": "gvisor", "dev.nucleus.gvisor.runsc": "runsc"}
        runsc = self.bundle / "runsc"
        subprocess.run(["gcc", "-static", "-Wall", "-Werror", "-o", runsc, PROJECT / "conformance/programs/runsc.c"], check=True)
        self.write()
        self.arguments["signal"] = ["kill", self.id, "TERM"]
        # What it says of itself is asked for once, and kept.
        self.assertOk(self.runtime("explain", self.bundle))
        found = os.stat(runsc)
        kept = "-".join(map(str, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns // 10**9, found.st_mtime_ns % 10**9,
                                  found.st_ctime_ns // 10**9, found.st_ctime_ns % 10**9)))
        self.assertTrue(os.path.exists(f"/run/nucleus-gvisor/{kept}"))
        self.addCleanup(os.unlink, f"/run/nucleus-gvisor/{kept}")

    def _begin(self):
        super()._begin()
        self.tools = {}  # the model's command → its run of runsc
        self.gone = set()  # runs of runsc that have to have ended
        self.deaths = 0

    def _end(self):
        super()._end()
        for pid in {*self.tools.values(), *self.gone, *self.inits.values()}:
            if self.comm(pid).startswith(("tool.", "box.")):
                os.kill(pid, signal.SIGKILL)

    # ---- one step

    def expected_status(self, action, before, p):
        proc = before["proc"][p - 1]
        failed = 255 if proc["cmd"] == "exec" else 1
        if action == "Crash":
            return [-signal.SIGKILL]
        if action == "RemovesDirectory":
            return [0] if proc["cmd"] in ("delete", "force") else [1]
        if action == "KillEnds":
            return [0] if before["box"][proc["box"] - 1] != "dead" else [0, 1]
        if action == "Hears":
            return [0] if proc["tool"] == "good" else [failed]
        return [0] if action in self.GOOD_ENDS else [failed]

    def act(self, name, number, before, after):
        if name == "BoxDies":
            os.kill(self.inits[number], signal.SIGKILL)
            return
        proc = before["proc"][number - 1]
        tool = self.tools[number]
        if name == "ToolLetsRun":
            os.kill(self.inits[proc["box"]], signal.SIGUSR1)
        if name == "ToolSignals":
            os.kill(self.inits[proc["box"]], signal.SIGKILL)
        self.deaths += name == "ToolFails"
        # Every other time it does not say so, but dies.
        os.kill(tool, signal.SIGKILL if name == "ToolFails" and self.deaths % 2 else self.OF_TOOLS[name])
        if name == "ToolForks":
            self.await_(lambda: self.comm(tool) == "tool.forked", "a sandbox")
            self.inits[after["proc"][number - 1]["box"]] = children(tool)[0]
        if after["proc"][number - 1]["tool"] in ("good", "bad"):
            self.await_(lambda: not is_alive(tool), "the end of runsc")

    def is_not_a_commands(self, name):
        return name in self.OF_TOOLS or name == "BoxDies"

    def after_step(self, name, p, before, after):
        """Which run of runsc a command that has come to wait has, and which ones have to be gone."""
        for q, proc in enumerate(after["proc"], 1):
            if proc["pc"] == "waiting" and q not in self.tools and proc["tool"] == "works":
                self.tools[q] = children(self.children[q].pid)[0]
            elif proc["pc"] != "waiting" and q in self.tools:
                self.gone.add(self.tools.pop(q))

    # ---- what can be seen of a state

    def model_view(self, state):
        view = {"directory": state["disk"] != "none", "cgroups": state["cgroup"], "guest": state["guest"], "gone": True}
        if state["disk"] != "none":
            view["state"] = ["none" if state["disk"] == "empty" else state["disk"],
                             self.inits[state["named"]] if state["named"] else 0]
            view["locked"] = state["lock"] != 0
        view["boxes"] = {self.inits[k]: box for k, box in enumerate(state["box"], 1) if k in self.inits}
        view["tools"] = {p: self.model_tool(state["proc"][p - 1]["tool"]) for p in self.tools}
        return view

    @staticmethod
    def model_tool(tool):
        return "ended" if tool in ("good", "bad") else tool

    def told_box(self, pid):
        return self.comm(pid).removeprefix("box.") if is_alive(pid) else "dead"

    def host_view(self, state):
        view = {"directory": self.place.exists(), "cgroups": bool(self.cgroups()),
                "gone": not any(is_alive(pid) for pid in self.gone)}
        tools = {pid for pid in self.tools.values() if is_alive(pid)}
        boxes = {pid for pid in self.inits.values() if is_alive(pid)}
        others = self.processes() - tools - boxes
        view["guest"] = bool(others)
        if state["disk"] != "none" and view["directory"]:
            view["state"] = self.told_phase()
            view["locked"] = self.is_locked()
        view["boxes"] = {pid: self.told_box(pid) for pid in self.inits.values()}
        view["tools"] = {p: self.comm(pid).removeprefix("tool.") if is_alive(pid) else "ended" for p, pid in self.tools.items()}
        return view

    def forget(self, state):
        self.inits = {k: pid for k, pid in self.inits.items()
                      if state["box"][k - 1] != "dead" or state["named"] == k or is_alive(pid)
                      or any(proc["box"] == k for proc in state["proc"])}

    # ---- ways

    def test_every_edge_of_a_command_alone(self):
        self.tour("Gvisor.alone")

    def test_every_edge_of_deaths_and_failures(self):
        self.tour("Gvisor.deaths")

    def test_every_edge_of_two_commands(self):
        self.tour("Gvisor.pair")

    def test_a_hang_is_ended_by_the_clock(self):
        """Without a fault point: the shortest of the limits, 15 seconds."""
        self.graph = Graph("Gvisor.alone")
        steps = self.graph.way(0, lambda s: self.graph.states[s]["disk"] == "created" and self.graph.states[s]["proc"][0]["pc"] == "idle")
        for at, (source, action, target) in enumerate(steps):
            self.step(source, action, target, steps[at:])
        self.assertFails(self.runtime("kill", self.id, "TERM"), "runsc does not come to its end: killed after 15 seconds")
        self.compare(self.graph.states[steps[-1][2]])
        self.assertEqual(self.processes(), set(self.inits.values()))
        self.assertOk(self.delete("--force"))

    def test_ways_by_chance(self):
        print(f"NUCLEUS_MODEL_SEED={SEED}")
        generator = random.Random(SEED)
        self.events = self.directory / "events"
        for name in ("Gvisor.alone", "Gvisor.deaths", "Gvisor.pair"):
            self.graph = Graph(name)
            self.assertEqual(self.graph.stale(), [], STALE)
            self.walk(self.graph.stroll(generator, STEPS // 4))


if __name__ == "__main__":
    main()
