#!/usr/bin/python3
"""Writes TLC's dump of a model (-dump dot,actionlabels) in a form that is short and that no tool is needed to read.

    compact.py MODULE.tla CONFIG.cfg DUMP.dot > NAME.graph

Lines of words, the first of which tells what they are:

    module NAME SHA-256         the module's text
    config NAME SHA-256         the bounds
    variable NAME               in this order in a state
    value VARIABLE JSON         the values of each variable, numbered from 0 in this order
    state N...                  which value each variable has; states are numbered from 0, and 0 is the first of all
    action NAME                 with its arguments; numbered as well
    edges STATE ACTION:STATE... what may happen there, and where that leads

Tuples and functions of 1..n are JSON arrays, records are objects, sets arrays in order.
"""

import hashlib
import json
import pathlib
import re
import sys

NODE = re.compile(r'^(-?\d+) \[label="((?:[^"\\]|\\.)*)"(.*)$')
EDGE = re.compile(r'^(-?\d+) -> (-?\d+) \[label="((?:[^"\\]|\\.)*)"')
TOKEN = re.compile(r'\s*(<<|>>|\|->|:>|@@|[\[\]{}(),]|"[^"]*"|-?\d+|\w+)')


class Reader:
    """One value as TLC prints it."""

    def __init__(self, text):
        self.tokens = TOKEN.findall(text)
        self.at = 0

    def next(self):
        self.at += 1
        return self.tokens[self.at - 1]

    def peek(self):
        return self.tokens[self.at]

    def items(self, end):
        found = []
        while self.peek() != end:
            found.append(self.value())
            if self.peek() == ",":
                self.next()
        self.next()
        return found

    def value(self):
        token = self.next()
        if token == "<<":
            return self.items(">>")
        if token == "{":
            return sorted(self.items("}"), key=json.dumps)
        if token == "[":
            record = {}
            while self.peek() != "]":
                name = self.next()
                assert self.next() == "|->", name
                record[name] = self.value()
                if self.peek() == ",":
                    self.next()
            self.next()
            return record
        if token == "(":
            function = {}
            while True:
                name = self.value()
                assert self.next() == ":>", name
                function[str(name)] = self.value()
                if self.next() == ")":
                    return function
        if token.startswith('"'):
            return token[1:-1]
        if token in ("TRUE", "FALSE"):
            return token == "TRUE"
        return int(token)


def unescaped(text):
    return text.replace("\\n", "\n").replace('\\"', '"').replace("\\\\", "\\")


def state_of(label):
    """Variable -> its value's text, from lines of `/\\ name = value`."""
    found = {}
    for part in re.split(r"(?:^|\n)/\\ ", unescaped(label)):
        if part:
            name, _, value = part.partition(" = ")
            found[name] = value
    return found


def main():
    module, config, dump = map(pathlib.Path, sys.argv[1:])
    states, edges, first = {}, {}, None
    for line in dump.read_text().splitlines():
        edge = EDGE.match(line)
        if edge:
            source, target, action = edge.groups()
            edges.setdefault(source, set()).add((unescaped(action), target))
            continue
        node = NODE.match(line)
        if node:
            name, label, rest = node.groups()
            if first is None and "style = filled" in rest:
                first = name
            states.setdefault(name, label)
    # Numbered as they are found from the first one, so that the same model gives the same file.
    order, seen = [first], {first}
    for name in order:
        for _, target in sorted(edges.get(name, ()), key=lambda e: (e[0], states[e[1]])):
            if target not in seen:
                seen.add(target)
                order.append(target)
    assert len(order) == len(states), "states that nothing leads to"
    number = {name: at for at, name in enumerate(order)}
    variables = sorted(state_of(states[first]))
    values = {name: {} for name in variables}
    rows = []
    for name in order:
        state = state_of(states[name])
        rows.append([values[v].setdefault(state[v], len(values[v])) for v in variables])
    actions = {action: at for at, action in enumerate(sorted({a for found in edges.values() for a, _ in found}))}

    out = sys.stdout
    for word, path in (("module", module), ("config", config)):
        print(word, path.name, hashlib.sha256(path.read_bytes()).hexdigest(), file=out)
    for name in variables:
        print("variable", name, file=out)
    for name in variables:
        for text in values[name]:
            print("value", name, json.dumps(Reader(text).value(), separators=(",", ":"), sort_keys=True), file=out)
    for row in rows:
        print("state", *row, file=out)
    for action in actions:
        print("action", action, file=out)
    for name in order:
        found = sorted((actions[a], number[t]) for a, t in edges.get(name, ()))
        if found:
            print("edges", number[name], *(f"{a}:{t}" for a, t in found), file=out)


if __name__ == "__main__":
    main()
