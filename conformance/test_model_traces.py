"""Commands that run side by side, against the graphs of specs/Lifecycle.tla that have two at a time.

Led along them, as in test_model_lifecycle.py: every edge of that of create and delete --force; of that of four commands a
part by chance, or every edge with NUCLEUS_MODEL_WHOLE=1. And the other way round: commands that nobody leads, of which what they tell (NUCLEUS_FAULT_TRACE, --events) has to be a path of the graph.
"""

import os
import random
import subprocess
import threading
import unittest

from graphs import SEED, Graph, named
from harness import RUNTIME, main, wait_until
from test_model_lifecycle import LAUNCHES, LIMIT, OF_INITS, POINTS, STAGES, STALE, Walker

WHOLE = os.environ.get("NUCLEUS_MODEL_WHOLE") == "1"
PART = 2000  # steps of the walk where it is not all edges


@unittest.skipUnless("create.state-open" in STAGES, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
class Two(Walker):
    def test_every_edge_of_two_commands(self):
        self.tour("Lifecycle.pair")

    def test_edges_of_four_commands(self):
        """The round through all edges is cut where nothing is left of a container; the pieces are walked in an order by chance,
        all of them or as many as make PART steps."""
        print(f"NUCLEUS_MODEL_SEED={SEED}")
        self.graph = Graph("Lifecycle.four")
        self.assertEqual(self.graph.stale(), [], STALE)
        pieces, piece = [], []
        for edge in self.graph.tour():
            piece.append(edge)
            if edge[2] == 0:
                pieces.append(piece)
                piece = []
        self.assertEqual(piece, [])
        random.Random(SEED).shuffle(pieces)
        way = []
        while pieces and (WHOLE or len(way) < PART):
            way += pieces.pop()
        self.walk(way)
        done = len(set(way))
        print(f"Lifecycle.four: {len(self.graph.states)} states, {done} of {self.graph.count()} edges "
              f"({100 * done // self.graph.count()} %) in {len(way)} steps" + ("" if not pieces else
              ": a run takes a part by chance, as all of them would take minutes (NUCLEUS_MODEL_WHOLE=1 takes them all)"))


class Trace:
    """What commands that ran side by side have told, put back into a path of the graph.

    What a command does between two stages it has done at some moment after the line of the first and before that of the
    second. So all the states that the graph could be in are kept: (state, for each of the model's commands which of the real
    ones it is and whether that has told of the stage at which it stands, which ones have been launched, how those have ended
    that nobody has waited for)."""

    def __init__(self, graph, commands, expected_status):
        self.graph, self.commands, self.expected_status = graph, commands, expected_status
        self.begun, self.ended = set(), set()
        slots = len(graph.states[0]["proc"])
        self.states = {(0, (None,) * slots, frozenset(), frozenset())}

    def _moves(self, where):
        state, slots, launched, over = where
        for action, target in self.graph.edges[state]:
            name, number = named(action)
            if name in OF_INITS:
                yield target, slots, launched, over
                continue
            p = number - 1
            if name in LAUNCHES:
                for n in self.begun - self.ended - launched:
                    if self.commands[n] == LAUNCHES[name]:
                        yield target, (*slots[:p], (n, False), *slots[p + 1:]), launched | {n}, over
            elif slots[p][1]:
                n = slots[p][0]
                if self.graph.states[target]["proc"][p]["pc"] == "idle":
                    good = 0 in self.expected_status(name, self.graph.states[state], number)
                    yield target, (*slots[:p], None, *slots[p + 1:]), launched, over | {(n, good)}
                else:
                    yield target, (*slots[:p], (n, False), *slots[p + 1:]), launched, over

    def _closed(self, states):
        found, new = set(states), list(states)
        while new:
            for move in self._moves(new.pop()):
                if move not in found:
                    found.add(move)
                    new.append(move)
        return found

    def begins(self, n):
        self.begun.add(n)

    def reaches(self, n, stage):
        after = set()
        for state, slots, launched, over in self._closed(self.states):
            for p, slot in enumerate(slots):
                if slot == (n, False) and POINTS[self.commands[n]][self.graph.states[state]["proc"][p]["pc"]] == stage:
                    after.add((state, (*slots[:p], (n, True), *slots[p + 1:]), launched, over))
        self.states = after

    def ends(self, n, good):
        """One that the model has not launched has found nothing to do."""
        after = set()
        for state, slots, launched, over in self._closed(self.states):
            if (n, good) in over or (n not in launched and (not good or self.commands[n] == "force")):
                after.add((state, slots, launched | {n}, over - {(n, good)}))
        self.ended.add(n)
        self.states = after


@unittest.skipUnless("create.state-open" in STAGES, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
class Traces(Walker):
    ROUNDS, TOGETHER, EACH = 12, 2, 6

    def setUp(self):
        super().setUp()
        self.graph = Graph("Lifecycle.four")
        self.assertEqual(self.graph.stale(), [], STALE)
        self.events = self.directory / "events"

    def run_freely(self, generator):
        """So many at the same time, each one command after the other: the lines of all, and which command each number is."""
        trace = self.directory / "trace"
        trace.write_text("")
        plans = [[generator.choice(("create", "create", "start", "delete", "force")) for _ in range(self.EACH)] for _ in range(self.TOGETHER)]
        commands, pids, failures = {}, {}, []

        def note(line):
            with open(trace, "a", encoding="ascii") as file:
                file.write(line + "\n")

        def launch(who, plan):
            for at, name in enumerate(plan):
                n = who * self.EACH + at
                commands[n] = name
                note(f"begin {n}")
                child = subprocess.Popen([RUNTIME, "--root", str(self.root), "--events", str(self.events), *map(str, self.arguments[name])],
                                         env={**os.environ, "NUCLEUS_FAULT_TRACE": str(trace)}, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                pids[str(child.pid)] = n
                try:
                    child.wait(LIMIT)
                except subprocess.TimeoutExpired:
                    child.kill()
                    failures.append(f"{name} does not end")
                    child.wait()
                note(f"end {n} {child.returncode}")

        threads = [threading.Thread(target=launch, args=(who, plan)) for who, plan in enumerate(plans)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        lines = []
        for line in trace.read_text().splitlines():
            first, _, rest = line.partition(" ")
            if first in ("begin", "end"):
                lines.append((first, *map(int, rest.split())))
            elif first in pids and rest in POINTS[commands[pids[first]]].values():
                lines.append((rest, pids[first]))
        return lines, commands

    def follow(self, lines, commands):
        """Whether they are a path of the graph; else after how many lines they are none any more."""
        trace = Trace(self.graph, commands, self.expected_status)
        for at, (word, n, *status) in enumerate(lines):
            if word == "begin":
                trace.begins(n)
            elif word == "end":
                trace.ends(n, status[0] == 0)
            else:
                trace.reaches(n, word)
            if not trace.states:
                return at
        return None

    def test_what_runs_freely_is_a_path_of_the_graph(self):
        print(f"NUCLEUS_MODEL_SEED={SEED}")
        generator, told, seen = random.Random(SEED), 0, set()
        for _ in range(self.ROUNDS):
            lines, commands = self.run_freely(generator)
            lost = self.follow(lines, commands)
            if lost is not None:
                text = "\n".join(f"{commands[line[1]]} {line}" for line in lines[:lost + 1])
                self.fail(f"what was told is no path of {self.graph.name}:\n{text}")
            events = self.told_events()
            self.assertTrue(self.graph.accepts(events, lambda _, action, __: self.SHOWN.get(named(action)[0])),
                            f"the events {events} are no path of {self.graph.name}")
            told += len(lines)
            seen |= {line[0] for line in lines}
            self.events.unlink(missing_ok=True)
            self.runtime("delete", "--force", self.id)
            wait_until(lambda: not self._processes(), "no process is left")
        print(f"{self.ROUNDS} rounds, {told} lines of a trace, {len(seen) - 2} stages among them")

    def test_what_is_no_path(self):
        """The same lines with two of them exchanged, without one, or with another end: the check can fail."""
        create = [("begin", 0), ("create.state-open", 0), ("create.state-lock", 0), ("create.state-dir", 0), ("create.clone", 0),
                  ("create.seccomp-compile", 0), ("create.save-state", 0), ("create.pid-file", 0), ("end", 0, 0)]
        commands = {0: "create", 1: "start"}
        start = [("begin", 1), ("container.lock", 1), ("start.connect", 1), ("start.save-state", 1), ("end", 1, 0)]
        self.assertIsNone(self.follow(create + start, commands))
        for lines in (create[:2] + [create[3], create[2]] + create[4:], create[:4] + create[5:], create[:-1] + [("end", 0, 1)],
                      start + create, create + create[1:], create[:-2] + start + create[-2:]):
            self.assertIsNotNone(self.follow(lines, commands), lines)
        for events in (["started"], ["created", "created", "started", "started"], ["created", "started", "started"]):
            self.assertFalse(self.graph.accepts(events, lambda _, action, __: self.SHOWN.get(named(action)[0])), events)


if __name__ == "__main__":
    main()
