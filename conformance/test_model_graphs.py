"""The graphs of the models in specs/, and the numbers of states, belong to the models as they are; a walk that leaves the graph
is seen. (The walks themselves are test_model_SUBJECT.py.)"""

import hashlib
import random
import pathlib
import re
import shutil
import tempfile
import unittest
from unittest import mock

from graphs import SEED, SPECS, Graph, all_graphs
from harness import main


class Graphs(unittest.TestCase):
    def test_none_is_stale(self):
        names = all_graphs()
        self.assertGreater(len(names), 4)
        for name in names:
            with self.subTest(graph=name):
                self.assertEqual(Graph(name).stale(), [], "specs/check.sh has to write it anew")

    def test_one_that_is_stale_is_seen(self):
        """A word more in a model, or a bound."""
        with tempfile.TemporaryDirectory() as directory:
            copy = shutil.copytree(SPECS, pathlib.Path(directory) / "specs")
            with mock.patch("graphs.SPECS", copy):
                for name in all_graphs():
                    self.assertEqual(Graph(name).stale(), [])
                    for file in Graph(name).sources:
                        before = (copy / file).read_text()
                        (copy / file).write_text(before + "\\* .\n")
                        self.assertEqual(Graph(name).stale(), [file])
                        (copy / file).write_text(before)

    def test_all_graphs_are_there(self):
        wanted = re.findall(r"^\w+ graph (\S+)$", (SPECS / "check.sh").read_text(), re.MULTILINE)
        self.assertEqual(sorted(wanted), all_graphs())

    def test_what_was_explored_is_of_these_models(self):
        """A line for each `check` of check.sh, of the module as it is."""
        wanted = re.findall(r"^(\w+) check (\S+) (\d+)$", (SPECS / "check.sh").read_text(), re.MULTILINE)
        self.assertGreater(len(wanted), 4)
        told = dict(line.split(": ", 1) for line in (SPECS / "graphs/explored.txt").read_text().splitlines())
        self.assertEqual(set(told), {config for _, config, _ in wanted})
        for module, config, least in wanted:
            with self.subTest(config=config):
                digest = hashlib.sha256((SPECS / f"{module}.tla").read_bytes()).hexdigest()
                self.assertTrue(told[config].endswith(f"module {digest}"), "specs/check.sh has to explore it anew")
                self.assertGreaterEqual(int(re.search(r"(\d+) distinct", told[config])[1]), int(least))

    def test_every_flaw_is_in_its_model(self):
        for module, flaw in re.findall(r"^(\w+) broken \S+ ([^:]+): \w+$", (SPECS / "check.sh").read_text(), re.MULTILINE):
            self.assertIn(f'"{flaw}"', (SPECS / f"{module}.tla").read_text())

    def test_ways_are_of_edges_that_follow(self):
        for name in all_graphs():
            graph = Graph(name)
            steps = graph.stroll(random.Random(SEED), 200)
            state = 0
            for source, action, target in steps:
                self.assertEqual(source, state)
                self.assertIn((action, target), graph.edges[source])
                state = target


if __name__ == "__main__":
    main()
