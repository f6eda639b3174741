"""The init and a process of `exec` are led along the graph of specs/Confine.tla, every edge of it, to the workload; at each
point the kernel is asked what is in force for the process: who it is, its capabilities, no_new_privs, its filter, its
Landlock ruleset, its descriptors."""

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from graphs import Graph
from harness import CAPABILITIES, RUNTIME, SLOW, Case, is_alive, main, wait_until
from test_modes import HAS_SWITCH

LIMIT = 30 * SLOW
CLOEXEC = 0o2000000
STAGES = ["child.landlock", "child.confine", "child.lookup", "child.finish", "child.landlock-enter", "child.seccomp", "child.exec"]
WANTED = 1 << CAPABILITIES.index("CAP_KILL")
ADMIN = 1 << CAPABILITIES.index("CAP_SYS_ADMIN")
CHOWN = 1 << CAPABILITIES.index("CAP_CHOWN")


@unittest.skipUnless(HAS_SWITCH, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
class Confine(Case):
    def setUp(self):
        super().setUp()
        self.base = json.dumps(self.config)
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        (self.rootfs / "root").chmod(0o777)
        (self.bundle / "landlock.toml").write_text('[[rules]]\npath = "/"\naccess = ["read", "execute"]\n')
        self.commands, self.pids = {}, {}
        self.addCleanup(self.end)

    def end(self):
        for child in self.commands.values():
            child.kill()
            child.wait()
        self.commands, self.pids = {}, {}

    def prepare(self, ask):
        self.config = json.loads(self.base)
        self.process["user"] = {"uid": 1000, "gid": 1000}
        self.process["noNewPrivileges"] = "nnp" in ask
        self.process["capabilities"] = {name: ["CAP_KILL"] for name in
                                        ("bounding", "permitted", "effective", "inheritable", "ambient")}
        self.process["args"] = self.workload("init")
        if "seccomp" in ask:
            self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW",
                                     "syscalls": [{"names": ["kexec_load"], "action": "SCMP_ACT_ERRNO"}]}
        if "landlock" in ask:
            self.config["annotations"] = {"dev.nucleus.policy.landlock": "landlock.toml"}
        for name in ("init", "exec"):
            (self.rootfs / "root" / name).unlink(missing_ok=True)
        self.write()

    @staticmethod
    def workload(name):
        """What it can write tells whether it is under rules."""
        return ["/bin/sh", "-c", f"echo x > /root/{name}; exec sleep 1000"]

    def launch(self, who, *args):
        # A descriptor of the host's that the caller has left open for everybody.
        left = os.open("/etc/passwd", os.O_RDONLY)
        os.set_inheritable(left, True)
        try:
            self.commands[who] = subprocess.Popen(
                [RUNTIME, "--root", str(self.root), *map(str, args)], close_fds=False, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={**os.environ, "NUCLEUS_FAULT": ",".join(f"stop:{stage}" for stage in STAGES)})
        finally:
            os.close(left)

    def step(self, name, who):
        if name == "Begin":
            self.prepare(who)
        elif name == "Enters" and who == "init":
            self.launch("init", "create", "--bundle", self.bundle, self.id)
        elif name == "Enters":
            self.launch("exec", "exec", "--detach", self.id, *self.workload("exec"))
        else:
            os.kill(self.pid(who), signal.SIGCONT)
            if name == "Finds" and who == "init":
                # It waits there for start, which goes on when the workload runs.
                self.assertEqual(self.commands.pop("init").wait(LIMIT), 0)
                self.commands["init"] = subprocess.Popen([RUNTIME, "--root", str(self.root), "start", self.id],
                                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                                         stderr=subprocess.DEVNULL)
            elif name == "Executes":
                self.assertEqual(self.commands.pop(who).wait(LIMIT), 0)

    def pid(self, who):
        if who not in self.pids:
            command_ = self.commands[who].pid
            found = pathlib.Path(f"/proc/{command_}/task/{command_}/children").read_text().split()
            if not found:
                return 0
            self.pids[who] = int(found[0])
        return self.pids[who]

    def host_view(self, who, model):
        pid = self.pid(who) if model["at"] != "none" else 0
        if not pid or not is_alive(pid):
            return None
        try:
            place = pathlib.Path(f"/proc/{pid}")
            status = dict(line.split(":\t", 1) for line in (place / "status").read_text().splitlines() if ":\t" in line)
            at = status["Name"].strip()
            if at != "sleep" and status["State"][0] != "T" and (place / "syscall").read_text().split()[0] != "128":
                return None
            bounding, effective, permitted = (int(status[name], 16) for name in ("CapBnd", "CapEff", "CapPrm"))
            caps = "all" if effective & CHOWN and bounding & CHOWN else None
            if bounding == WANTED:
                caps = {(WANTED, WANTED): "wanted", (WANTED | ADMIN, WANTED | ADMIN): "wanted and admin"}.get((effective, permitted))
            rules, inherits = False, False
            for entry in os.listdir(place / "fd"):
                rules = rules or "landlock" in os.readlink(place / "fd" / entry)
                flags = int((place / "fdinfo" / entry).read_text().split("flags:")[1].split()[0], 8)
                inherits = inherits or (int(entry) > 2 and not flags & CLOEXEC)
        except (FileNotFoundError, ProcessLookupError):
            return None
        view = {"at": "workload" if at == "sleep" else at, "user": {"0": "root", "1000": "user"}.get(status["Uid"].split()[0]),
                "caps": caps, "nnp": status["NoNewPrivs"] == "1", "filter": status["Seccomp"] == "2"}
        if not model["inherits"]:
            view["inherits"] = inherits  # before that it does not matter
        if view["at"] == "workload":
            view["descriptors"] = len(os.listdir(place / "fd"))
            view["domain"] = not (self.rootfs / "root" / who).exists()
        else:
            view["rules"] = rules
        return view

    @staticmethod
    def model_view(model):
        view = {name: model[name] for name in ("user", "caps", "nnp", "filter")}
        view["at"] = model["at"] if model["at"] == "workload" else model["at"][:15]
        if not model["inherits"]:
            view["inherits"] = False
        if model["at"] == "workload":
            view["descriptors"], view["domain"] = 3, model["domain"]
        else:
            view["rules"] = model["rules"]
        return view

    def compare(self, state):
        for who, model in state["p"].items():
            if model["at"] == "none":
                continue
            end = time.monotonic() + LIMIT
            while (host := self.host_view(who, model)) != self.model_view(model):
                if time.monotonic() > end:
                    self.assertEqual(host, self.model_view(model), f"{who} at {model['at']}, {state['ask']}")
                time.sleep(0.001)

    def test_every_edge(self):
        graph = Graph("Confine.whole")
        self.assertEqual(graph.stale(), [], "specs/check.sh has to write the graph anew")
        ways = graph.ways()
        for steps, _ in ways:
            for _, action, target in steps:
                name, _, rest = action.partition("(")
                words = json.loads(rest.removesuffix(")").replace("{", "[").replace("}", "]"))
                try:
                    self.step(name, words)
                    self.compare(graph.states[target])
                except AssertionError as error:
                    raise AssertionError(f"{action}: {error}") from None
            self.end()
            self.assertOk(self.delete("--force"))
            wait_until(lambda: not self._processes(), "no process is left")
        print(f"Confine.whole: {len(graph.states)} states, all {graph.count()} edges in {len(ways)} lives")


if __name__ == "__main__":
    main()
