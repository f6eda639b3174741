"""The reachable graphs of the models in specs/, and ways through them.

specs/compact.py tells what a graph's file looks like. A graph whose model or bounds have changed since it was written is
refused: specs/check.sh writes it anew.
"""

import collections
import hashlib
import json
import os
import pathlib
import random

from harness import PROJECT

SPECS = PROJECT / "specs"
SEED = int(os.environ.get("NUCLEUS_MODEL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 31)


class Graph:
    """States are numbers from 0, where everything begins; `edges[state]` is a list of (action, state)."""

    def __init__(self, name):
        self.name = name
        self.sources, variables, values, states, actions = {}, [], {}, [], []
        self.edges = collections.defaultdict(list)
        for line in (SPECS / "graphs" / f"{name}.graph").read_text().splitlines():
            word, _, rest = line.partition(" ")
            if word in ("module", "config"):
                file, _, digest = rest.partition(" ")
                self.sources[file] = digest
            elif word == "variable":
                variables.append(rest)
                values[rest] = []
            elif word == "value":
                variable, _, text = rest.partition(" ")
                values[variable].append(json.loads(text))
            elif word == "state":
                states.append({v: values[v][int(n)] for v, n in zip(variables, rest.split())})
            elif word == "action":
                actions.append(rest)
            elif word == "edges":
                source, *found = map(lambda pair: tuple(map(int, pair.split(":"))), rest.split())
                self.edges[source[0]] = [(actions[a], target) for a, target in found]
            else:
                raise ValueError(f"{name}.graph: {word}")
        self.states = states

    def stale(self):
        """The files that are not those that it was made of."""
        return [file for file, digest in self.sources.items()
                if hashlib.sha256((SPECS / file).read_bytes()).hexdigest() != digest]

    def count(self):
        return sum(map(len, self.edges.values()))

    def way(self, start, wanted):
        """The shortest way from `start` to a state of which wanted(state) holds: [(state, action, next state)...], or None."""
        came, queue = {start: None}, collections.deque([start])
        while queue:
            state = queue.popleft()
            if wanted(state):
                steps = []
                while came[state] is not None:
                    steps.append(came[state])
                    state = came[state][0]
                return steps[::-1]
            for action, target in self.edges[state]:
                if target not in came:
                    came[target] = (state, action, target)
                    queue.append(target)
        return None

    def tour(self, start=0):
        """One way from a state back to it that has every edge behind it, and as few twice as can be: each state is left as often
        as it is come to once the cheapest ways from where too many edges end to where too few do have been added to the graph
        (a flow of least cost), and a round through all edges is found then. Every state has to lead back to the first."""
        behind, new = {start}, [start]
        while new:
            found = {target for _, target in self.edges[new.pop()]} - behind
            behind |= found
            new += found
        edges = {source: self.edges[source] for source in sorted(behind)}
        pairs = {(s, t) for s, found in edges.items() for _, t in found}
        twice = collections.Counter()  # pair of states → how many times more it is gone
        excess = collections.Counter()
        for source, found in edges.items():
            for _, target in found:
                excess[target] += 1
                excess[source] -= 1
        forward, back = collections.defaultdict(list), collections.defaultdict(list)
        for source, target in sorted(pairs):
            forward[source].append(target)
            back[target].append(source)
        while any(n > 0 for n in excess.values()):
            # Bellman and Ford's, by queue: what was added can be taken back at its cost.
            distance = {s: 0 for s, n in excess.items() if n > 0}
            came, queue = {}, collections.deque(distance)
            while queue:
                state = queue.popleft()
                for cost, found in ((1, forward[state]), (-1, [s for s in back[state] if twice[s, state] > 0])):
                    for target in found:
                        if distance[state] + cost < distance.get(target, 1 << 30):
                            distance[target] = distance[state] + cost
                            came[target] = (state, cost)
                            queue.append(target)
            end = min((s for s, n in excess.items() if n < 0 and s in distance), key=distance.get, default=None)
            if end is None:
                raise ValueError(f"{self.name}: a state that does not lead back to the first")
            state = end
            while state in came and not (distance[state] == 0 and excess[state] > 0):
                before, cost = came[state]
                twice[(before, state) if cost > 0 else (state, before)] += cost
                state = before
            excess[state] -= 1
            excess[end] += 1
        left = {s: list(found) for s, found in edges.items()}
        for (source, target), times in twice.items():
            action = next(a for a, t in edges[source] if t == target)
            left[source] += [(action, target)] * times
        # Hierholzer's.
        stack, circuit = [(start, None, start)], []
        while stack:
            state = stack[-1][2]
            if left.get(state):
                action, target = left[state].pop()
                stack.append((state, action, target))
            else:
                circuit.append(stack.pop())
        circuit = circuit[::-1][1:]
        if len(set(circuit)) != sum(map(len, edges.values())):
            raise ValueError(f"{self.name}: edges that cannot be reached from the first state")
        return circuit

    def ways(self):
        """For a graph that does not lead back: ways from state 0 to where nothing follows that have every edge in them, each
        with the number of its first steps that others have as well: [(steps, number)...]."""
        left = {(source, action, target) for source, found in self.edges.items() for action, target in found}
        found = []
        while left:
            state, steps, known = 0, [], None
            while self.edges[state]:
                ahead = self.way(state, lambda s: any((s, a, t) in left for a, t in self.edges[s]))
                if ahead is None:
                    ahead = [(state, *self.edges[state][0])]
                elif not ahead:
                    ahead = [next((state, a, t) for a, t in self.edges[state] if (state, a, t) in left)]
                    known = len(steps) if known is None else known
                    left.discard(ahead[0])
                steps += ahead
                state = steps[-1][2]
            if known is None:
                raise ValueError(f"{self.name}: {len(left)} edges that cannot be reached from the first state")
            found.append((steps, known))
        return found

    def stroll(self, generator, length):
        """A way of so many steps at most from state 0, by chance."""
        state, steps = 0, []
        while len(steps) < length and self.edges[state]:
            action, target = generator.choice(self.edges[state])
            steps.append((state, action, target))
            state = target
        return steps

    def accepts(self, things, shown):
        """Whether a row of things that were seen is what some path shows: shown(state, action, next state) is the thing that is
        seen of an edge, or None."""
        def closed(states):
            states, new = set(states), list(states)
            while new:
                state = new.pop()
                for action, target in self.edges[state]:
                    if target not in states and shown(state, action, target) is None:
                        states.add(target)
                        new.append(target)
            return states
        states = closed({0})
        for thing in things:
            states = closed({t for s in states for a, t in self.edges[s] if shown(s, a, t) == thing})
        return bool(states)


def named(action):
    """'Crash(1)' → ('Crash', 1); 'Delete(2,"force")' → ('Delete force', 2); 'Ends' → ('Ends', 0)."""
    name, _, rest = action.partition("(")
    number, *words = json.loads(f"[{rest.removesuffix(')')}]") if rest else [0]
    return " ".join([name, *words]), number


def all_graphs():
    return sorted(path.stem for path in pathlib.Path(SPECS / "graphs").glob("*.graph"))
