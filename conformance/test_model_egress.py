"""The real gate and the real sets are led along the graph of specs/Egress.tla, every edge of it, and compared with the model
after each step: the sets as nft shows them, the gate's processes, the answers of the container's resolver, and whether a
connection gets out.

The name server is this test's: it answers when the model's step says so. Between reply, grant and answer the setter and the
parser are stopped in turn; either is killed. nucleus-net stops at its fault points, that between a new policy's table and its
gate (net.swap) among them. A tick is half of the time that an element of a set has (an hour: 59 minutes of the answer and one
of grace): the test puts each in again with as much less. The kernel's own clock for them is trusted.

In the model anything may happen between the rules and the link; the program starts the gate and attaches the link, and
nothing comes between (InOrder in the model). The edges that this leaves out (of Egress.any) are counted. The link is this test's,
and is put up where nucleus would put up its own (net.attach).
"""

import collections
import ctypes
import json
import os
import pathlib
import select
import signal
import socket
import struct
import subprocess
import time
import unittest

from graphs import Graph
from harness import RUNTIME, SLOW, children, is_alive, main
from test_egress import EgressCase
from test_model_lifecycle import STAGES, STALE

LIMIT = 60  # seconds for whatever is waited for
TTL = 3540
LIFE = 3600  # of an element: 60 s more than the answer
TICK = LIFE // 2
ADDRESS = "11.0.0.1"
CLONE_NEWNET = 0x40000000
NOERROR, SERVFAIL, REFUSED = 0, 2, 5
GATE_GIVES_UP = 4.0  # seconds, less than the gate takes to give up a question


def socket_in(namespace, kind):
    """Made in another network namespace, and used from here."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net", "rb") as home, open(namespace.path, "rb") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")
        try:
            return socket.socket(socket.AF_INET, kind)
        finally:
            libc.setns(home.fileno(), CLONE_NEWNET)


def state_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def comm_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def hold(pid):
    os.kill(pid, signal.SIGSTOP)
    Egress.await_(lambda: state_of(pid) in "TZX", "a stop")


def let_go(pid):
    os.kill(pid, signal.SIGCONT)


def question_for(name, number):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">HH", 1, 1)


class Resolver:
    """Of the test: keeps the questions until it is told to answer."""

    def __init__(self, namespace):
        self.socket = socket_in(namespace, socket.SOCK_DGRAM)
        self.socket.bind(("10.53.0.1", 53))
        self.socket.setblocking(False)
        self.kept = []

    @staticmethod
    def name_of(question):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode().lower())
            at += question[at] + 1
        return ".".join(labels), at + 5

    def read(self):
        while True:
            try:
                self.kept.append(self.socket.recvfrom(2048))
            except BlockingIOError:
                return

    def was_asked(self, name):
        self.read()
        return any(self.name_of(question)[0] == name for question, _ in self.kept)

    def answer(self, name):
        self.read()
        for question, peer in self.kept:
            asked, end = self.name_of(question)
            if asked == name:
                self.socket.sendto(question[:2] + struct.pack(">HHHHH", 0x8180, 1, 1, 0, 0) + question[12:end]
                                   + struct.pack(">HHHIH", 0xC00C, 1, 1, TTL, 4) + socket.inet_aton(ADDRESS), peer)
        self.kept.clear()


@unittest.skipUnless("net.swap" in STAGES, "this build has no fault switch (configure with -DNUCLEUS_FAULTS=ON)")
class Egress(EgressCase):
    POLICY = {"api": '[[allow]]\ndomain = "*.api.test"\nports = ["tcp/80"]\n', "mirror": '[[allow]]\ndomain = "*.mirror.test"\n'}

    def setUp(self):
        super().setUp()
        self.host.ip("address", "add", "10.53.0.1/32", "dev", "lo")
        self.outside.ip("address", "add", f"{ADDRESS}/32", "dev", "lo")
        self.serve(f"tcp/{ADDRESS}/80")
        self.resolver = Resolver(self.host)
        self.addCleanup(self.resolver.socket.close)
        (self.rootfs / "etc" / "resolv.conf").write_text("nameserver 192.0.2.1\n")
        self.netns.ip("link", "set", "eth0", "down")
        self.process["args"] = ["/bin/sleep", "1000"]
        self.policy(self.text(["api", "mirror"]))
        self.write()
        self.root.mkdir()
        self.command = self.manager_pid = self.supervisor = self.swap = self.query = None
        self.setter = self.parser = 0
        self.deaths = self.asked = self.swaps = self.again = 0
        self.addCleanup(self._end)

    def _end(self):
        for child in (self.swap, self.command):
            if child:
                child.kill()
                child.wait()
        for pid in (self.manager_pid, self.supervisor, self.setter, self.parser):
            if pid and is_alive(pid):
                let_go(pid)
        if self.query:
            self.query[0].close()

    def text(self, names):
        return "".join(self.POLICY[name] for name in names) + '[dns]\nservers = ["10.53.0.1"]\n'

    # ---- the processes

    @staticmethod
    def await_(condition, what):
        """wait_until, for what is looked at thousands of times."""
        end = time.monotonic() + LIMIT * SLOW
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"not within {LIMIT} s: {what}")
            time.sleep(0.001)

    def stands_at(self, stage):
        return comm_of(self.manager_pid) == stage and state_of(self.manager_pid) == "T"

    def begin(self):
        """create, up to where the rules are about to be loaded."""
        stages = ",".join(f"stop:{stage}" for stage in ("net.rules", "net.gate", "net.attach", "net.swap"))
        self.command = subprocess.Popen(
            self.host.enter() + [RUNTIME, "--root", str(self.root), "create", "--bundle", str(self.bundle), self.id],
            env={**os.environ, "NUCLEUS_FAULT": stages},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def found():
            self.manager_pid = next((pid for pid in children(self.command.pid) if comm_of(pid) == "net.rules"), None)
            return self.manager_pid and self.stands_at("net.rules")
        self.await_(found, "nucleus-net at net.rules")

    def find_gate(self):
        """The pair, where it is there and answers."""
        gates = [pid for pid in children(self.manager_pid) if state_of(pid) not in "ZX"]
        self.supervisor = gates[0] if len(gates) == 1 else None
        pair = [pid for pid in children(self.supervisor) if is_alive(pid)] if self.supervisor else []
        if len(pair) != 2:
            return False
        try:
            users = {pid: pathlib.Path(f"/proc/{pid}/status").read_text().split("Uid:\t")[1].split()[0] for pid in pair}
        except (FileNotFoundError, ProcessLookupError):
            return False
        if sorted(users.values()) != ["0", "65534"]:
            return False
        self.parser, self.setter = sorted(pair, key=lambda pid: users[pid], reverse=True)
        with socket_in(self.netns, socket.SOCK_DGRAM) as client:
            client.settimeout(0.2)
            client.connect(("127.0.0.53", 53))
            try:
                client.send(question_for("other.test", 7))
                return client.recv(2048)[3] & 15 == REFUSED
            except (TimeoutError, ConnectionRefusedError):
                return False

    def has_heard(self):
        """What the parser asks is there for the setter, which is stopped."""
        inodes = {os.readlink(f"/proc/{self.setter}/fd/{fd}") for fd in os.listdir(f"/proc/{self.setter}/fd")}
        out = self.host.run("ss", "-x", "-a", "-n")
        for line in out.splitlines()[1:]:
            words = line.split()
            if int(words[2]) > 0 and f"socket:[{words[5]}]" in inodes:
                return True
        return False

    # ---- questions

    def ask(self, name):
        self.asked += 1
        if self.query:
            self.query[0].close()
        client = socket_in(self.netns, socket.SOCK_DGRAM)
        client.connect(("127.0.0.53", 53))
        full = f"q{self.asked}.{name}.test"
        self.query = (client, full, time.monotonic())
        client.send(question_for(full, self.asked & 0xFFFF))
        self.await_(lambda: self.resolver.was_asked(full), "a question to the server")

    def answered(self):
        return bool(select.select([self.query[0]], [], [], 0)[0])

    def is_late(self):
        return time.monotonic() - self.query[2] > GATE_GIVES_UP

    def take_answer(self):
        """The response code, and the TTL of the address."""
        self.query[0].settimeout(LIMIT * SLOW)
        answer = self.query[0].recv(2048)
        code = answer[3] & 15
        if code != NOERROR:
            return code, 0
        end = Resolver.name_of(answer)[1]
        self.assertEqual(socket.inet_ntoa(answer[end + 12:end + 16]), ADDRESS)
        return code, struct.unpack(">I", answer[end + 6:end + 10])[0]

    def reply(self, name):
        """The server's answer is with the parser, and what that asks with the setter."""
        while True:
            hold(self.setter)
            self.resolver.answer(self.query[1])
            end = time.monotonic() + GATE_GIVES_UP
            while time.monotonic() < end and not self.is_late():
                if self.has_heard():
                    return
            # The gate had given up by then: the machine is slow. Once more.
            self.again += 1
            let_go(self.setter)
            self.await_(self.answered, "the end of a question that came too late")
            self.ask(name)

    # ---- one step

    def step(self, action, before, after):
        name, _, word = action.partition("(")
        word = word.removesuffix(")").strip('"')
        if name == "Loads":
            let_go(self.manager_pid)
            self.await_(lambda: self.stands_at("net.gate"), "the rules")
        elif name == "GateStarts" and not before["uplink"]:
            let_go(self.manager_pid)
            self.await_(lambda: self.stands_at("net.attach"), "the gate")
            self.await_(self.find_gate, "the gate")
        elif name == "Attaches":
            self.netns.ip("link", "set", "eth0", "up")
            self.netns.ip("route", "add", "default", "via", "192.0.2.1")
            let_go(self.manager_pid)
            self.assertEqual(self.command.wait(LIMIT * SLOW), 0)
        elif name == "GateStarts":
            let_go(self.supervisor)
            self.await_(self.find_gate, "a new gate")
        elif name == "GateDies":
            self.dies(before["query"]["at"])
        elif name == "Asks":
            self.ask(word)
        elif name == "Replies":
            self.reply(before["query"]["name"])
        elif name == "Grants":
            hold(self.parser)
            let_go(self.setter)
        elif name == "GrantFails":
            let_go(self.setter)
            self.assertEqual(self.take_answer()[0], SERVFAIL)
        elif name == "Passes":
            self.passes(before)
        elif name == "Tick":
            self.tick()
        elif name == "SwapsTable":
            self.swaps_table(after["policy"])
        elif name == "SwapsGate":
            let_go(self.manager_pid)
            if not before["gate"]:
                let_go(self.supervisor)
            self.await_(lambda: self.stands_at("net.gate"), "the end of the old gate")
            let_go(self.manager_pid)
            self.assertEqual(self.swap.wait(LIMIT * SLOW), 0)
            self.swap = None
            self.await_(self.find_gate, "the gate of the new policy")
        else:
            self.fail(f"a step that nothing is known of: {action}")

    def dies(self, at):
        hold(self.supervisor)
        self.deaths += 1
        # A grant that the setter has by now it would still make; and a parser that is let go might still answer.
        victim = self.setter if at == "replied" else self.parser if at == "granted" else \
            self.setter if self.deaths % 2 else self.parser
        os.kill(victim, signal.SIGKILL)
        self.await_(lambda: not is_alive(self.setter) and not is_alive(self.parser), "the end of both")

    def passes(self, before):
        let_go(self.parser)
        name = before["query"]["name"]
        code, ttl = self.take_answer()
        while code == SERVFAIL and self.is_late() and before["known"] == before["policy"]:
            # As above; the address stays granted meanwhile.
            self.again += 1
            self.ask(name)
            self.resolver.answer(self.query[1])
            code, ttl = self.take_answer()
        if code == SERVFAIL and self.is_late():
            return
        self.assertEqual(code, NOERROR)
        if name in before["policy"]:
            self.look()
            self.assertLess(ttl, self.elements()[name], "an answer lives longer than its address in the set")

    def tick(self):
        self.look()
        lines = []
        for table_set, element in self.all_elements():
            left = element["expires"] - TICK
            lines.append(f'delete element inet nucleus {table_set} {{ {element["val"]} }}')
            if left > 60:
                lines.append(f'add element inet nucleus {table_set} {{ {element["val"]} timeout {LIFE}s expires {left}s '
                             f'comment "{element["comment"]}" }}')
        if lines:
            subprocess.run(self.netns.enter() + ["nft", "-f", "-"], input="\n".join(lines) + "\n", text=True, check=True)

    def swaps_table(self, names):
        self.swaps += 1
        path = self.bundle / f"next-{self.swaps}.toml"
        path.write_text(self.text(names))
        self.swap = subprocess.Popen(
            self.host.enter() + [RUNTIME, "--root", str(self.root), "egress", self.id, "--policy", str(path)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.await_(lambda: self.stands_at("net.swap"), "the new table")

    # ---- what can be seen of a state

    def look(self):
        self.seen = json.loads(self.netns.run("nft", "-j", "list", "ruleset", "inet"))["nftables"]

    def all_elements(self):
        """(set, element) of every name's."""
        for entry in self.seen:
            for element in entry.get("set", {}).get("elem", []):
                if isinstance(element, dict) and "comment" in element.get("elem", {}):
                    yield entry["set"]["name"], element["elem"]

    def elements(self):
        """Name → seconds that its address has left."""
        found = collections.Counter()
        for _, element in self.all_elements():
            self.assertEqual(element["val"], ADDRESS)
            found[element["comment"].split(".")[1]] = element["expires"]
        return found

    def connects(self):
        with socket_in(self.netns, socket.SOCK_STREAM) as client:
            client.settimeout(LIMIT * SLOW)
            try:
                client.connect((ADDRESS, 80))
                return True
            except OSError:
                return False

    def model_view(self, state):
        return {"table": state["loaded"], "gate": state["gate"],
                "sets": {name: state["sets"][name]["a"] for name in ("api", "mirror")},
                "leaves": state["uplink"] and any(state["sets"][name]["a"] for name in state["policy"])}

    def host_view(self, state):
        self.look()
        elements = self.elements()
        return {"table": any(entry.get("table", {}).get("name") == "nucleus" for entry in self.seen),
                "gate": bool(self.setter) and is_alive(self.setter) and is_alive(self.parser),
                "sets": {name: -(-elements[name] // TICK) for name in ("api", "mirror")},
                "leaves": self.connects()}

    def compare(self, state):
        model, end = self.model_view(state), time.monotonic() + LIMIT * SLOW
        while (host := self.host_view(state)) != model:
            if time.monotonic() > end:
                self.assertEqual(host, model, "what is there, and what the model says")
        # Nothing is answered but in a step that says so.
        if state["query"]["at"] in ("replied", "granted") and not self.is_late():
            self.assertFalse(self.answered(), "an answer that was not to come yet")

    # ---- the way

    def left_out(self, graph):
        """How many edges there are besides, all of them from where the rules are and the link is not."""
        def edges(of):
            return {(json.dumps(of.states[s], sort_keys=True), a, json.dumps(of.states[t], sort_keys=True))
                    for s, found in of.edges.items() for a, t in found}
        whole = Graph("Egress.any")
        self.assertEqual(whole.stale(), [], STALE)
        others = edges(whole) - edges(graph)
        self.assertEqual(len(others), whole.count() - graph.count())
        for state in (json.loads(source) for source, _, _ in others):
            self.assertTrue(state["loaded"] and not state["uplink"], state)
        return len(others), whole.count()

    def test_every_edge(self):
        graph = Graph("Egress.walk")
        self.assertEqual(graph.stale(), [], STALE)
        # Once the first steps have been gone nothing leads back to them.
        first = graph.way(0, lambda state: graph.states[state]["uplink"])
        way = first + graph.tour(first[-1][2])
        self.assertEqual(len(set(way)), graph.count(), "edges that the way has not")
        self.begin()
        for at, (source, action, target) in enumerate(way):
            try:
                self.step(action, graph.states[source], graph.states[target])
                self.compare(graph.states[target])
            except (AssertionError, OSError) as error:
                done = " ".join(a for _, a, _ in way[max(0, at - 25):at])
                raise AssertionError(f"{graph.name}, step {at}: {action}\nafter: ... {done}\n{error}\n"
                                     f"model: {json.dumps(graph.states[target])}") from error
        print(f"{graph.name}: {len(graph.states)} states, all {graph.count()} edges in {len(way)} steps; "
              f"{self.deaths} deaths of a gate, {self.swaps} new policies, {self.again} questions asked again; "
              "not driven: %d of %d, what could come between the rules and the link, where the program has nothing but the "
              "start of the gate" % self.left_out(graph))


if __name__ == "__main__":
    main()
