"""The examples of docs/*.md, run as they stand there.

A line `<!-- example: KIND -->` right before an indented block marks it. KIND is

    run         each command ends with status 0
    run, or 1   with 0 or 1
    file NAME   is what that file has, beside the bundle, in the other examples of the page
    scene NAME  what the page shows of a situation that doc_scenes.py makes: a message, a configuration, words of another's
    tampered    the lines that begin with "$ " are commands, the others what the one before prints; before the last command the
                tree is changed as that says

The page says things that a test has to fill in: `NAME@sha256:abc...` and `--config-digest sha256:...` get the file's digest,
BUNDLE is the bundle of the test, "# into config.json:" is followed by members of that document, in comments. The block runs in
the bundle; `web` beside it is another.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import unittest

from doc_scenes import Scenes
from harness import IS_NUCLEUS, PROJECT, RUNTIME, Case, NetworkNamespace, command, main

MARK = re.compile(r"^<!-- example: (.*) -->$")


def examples():
    for page in sorted((PROJECT / "docs").glob("*.md")):
        lines = page.read_text().splitlines()
        for number, line in enumerate(lines):
            if mark := MARK.match(line):
                end = number + 1
                # An empty line may be within.
                within = lambda at: at < len(lines) and lines[at].startswith("    ")  # pylint: disable=cell-var-from-loop
                while within(end) or (within(end + 1) and not lines[end]):
                    end += 1
                yield page.name, number + 2, mark[1], [text[4:] for text in lines[number + 1:end]]


@unittest.skipUnless(IS_NUCLEUS, "pages of nucleus")
class Docs(Scenes, Case):
    def setUp(self):
        super().setUp()
        for path in (self.directory, self.bundle, self.rootfs):
            path.chmod(0o755)
        self.bin = self.directory / "bin"
        self.bin.mkdir()
        # Where the page has the usual place for states and logs, the test has its own.
        (self.bin / "nucleus").write_text(f'#!/bin/sh\nexec "{RUNTIME}" --root "{self.root}" "$@"\n')
        (self.bin / "nucleus").chmod(0o755)
        self.log = self.directory / "log"
        self.log.mkdir()
        # What every mode takes, production too.
        self.linux["namespaces"].append({"type": "user"})
        for name in ("uidMappings", "gidMappings"):
            self.linux[name] = [{"containerID": 0, "hostID": 100000, "size": 65536}]
        self.config["root"]["readonly"] = True
        self.linux["resources"] = {"memory": {"limit": 256 << 20}, "pids": {"limit": 100}}
        for mount in self.config["mounts"]:
            if mount["type"] in ("tmpfs", "bind"):
                mount["options"] = [*mount.get("options", []), "noexec"]
        self.write()
        # Another bundle beside it, plain: tracing is not for every mode.
        shutil.copytree(self.bundle, self.bundle / "web", symlinks=True, ignore=shutil.ignore_patterns("web"))
        self.ids |= {"box", "web"}

    def digest(self, name):
        return hashlib.sha256((self.bundle / name).read_bytes()).hexdigest()

    def filled_in(self, text):
        text = re.sub(r"([\w./-]+)@sha256:[0-9a-f]*\.\.\.", lambda m: f"{m[1]}@sha256:{self.digest(m[1])}", text)
        text = re.sub(r"--config-digest sha256:\.\.\.", lambda m: f"--config-digest sha256:{self.digest('config.json')}", text)
        return text.replace("/var/log/nucleus/", f"{self.log}/").replace("BUNDLE", ".")

    def shell(self, line):
        environment = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"}
        return command(["/bin/sh", "-c", self.filled_in(line)], cwd=self.bundle, env=environment)

    def into_config(self, comments):
        members = json.loads(self.filled_in("{" + "\n".join(comments) + "}"))
        self.config.update(members)
        self.write()

    def run_block(self, lines, allowed):
        comments = None
        for line in lines:
            if line == "# into config.json:":
                comments = []
            elif comments is not None and line.startswith("#"):
                comments.append(line[1:])
            else:
                if comments:
                    self.into_config(comments)
                comments = None
                result = self.shell(line)
                self.assertIn(result.status, allowed, result)

    def run_tampered(self, lines):
        """The page's tree differs in three places; this test makes the very same differences."""
        (self.rootfs / "etc/cron.d").mkdir(parents=True, exist_ok=True)
        (self.rootfs / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
        shell = self.rootfs / "bin/sh"
        shell.unlink()
        shell.write_text("#!\n")
        shell.chmod(0o755)
        commands = [number for number, line in enumerate(lines) if line.startswith("$ ")]
        for number, after in zip(commands, [*commands[1:], len(lines)]):
            if number == commands[-1]:
                (self.rootfs / "etc/passwd").unlink()
                (self.rootfs / "etc/cron.d/x").touch()
                shell.write_text("?!\n")
                shell.chmod(0o4755)
            result = self.shell(lines[number][2:])
            printed = (result.out + result.err).splitlines()
            for line in lines[number + 1:after]:
                self.assertIn(self.filled_in(line), printed)


def _add(page, number, kind, lines):
    if kind.startswith("file "):
        return

    def test(self):
        for other, _, what, text in examples():
            if other == page and what.startswith("file "):
                (self.bundle / what.removeprefix("file ")).write_text("\n".join(text) + "\n")
        if page == "compose.md":
            # Its networks are those of a namespace of its own.
            host = NetworkNamespace(self)
            host.ip("link", "set", "lo", "up")
            self.addCleanup(self.shell, "nucleus compose down --volumes -f shop.toml")
            (self.bin / "nucleus").write_text(
                f'#!/bin/sh\nexec nsenter --net={host.path} "{RUNTIME}" --root "{self.root}" "$@"\n')
        if page == "modes.md" and kind == "run":
            self.takes_mode("production")
        if kind == "tampered":
            self.run_tampered(lines)
        elif kind.startswith("scene "):
            getattr(self, "scene_" + kind.removeprefix("scene "))(lines)
        else:
            self.assertIn(kind, ("run", "run, or 1"))
            self.run_block(lines, {0, 1} if kind.endswith("1") else {0})
    test.__doc__ = f"{page}:{number}"
    name = f"test_{pathlib.Path(page).stem}_{number}"
    setattr(Docs, name, test)


for _example in examples():
    _add(*_example)


class Pages(unittest.TestCase):
    def test_examples_are_found(self):
        pages = {page for page, *_ in examples()}
        self.assertLessEqual({"attestation.md", "evidence.md", "learning.md", "modes.md"}, pages)
        for page, number, _, lines in examples():
            self.assertTrue(lines, f"{page}:{number}: a mark without a block")

    def test_every_block_is_an_example(self):
        """Of the pages that say what is asked for and what is told: one without a mark is one that nothing runs."""
        for name in ("annotations.md", "modes.md", "operations.md", "policies.md", "threat-model.md"):
            lines = (PROJECT / "docs" / name).read_text().splitlines()
            for number, (before, line) in enumerate(zip(lines, lines[1:]), start=2):
                self.assertNotIn("```", line, f"{name}:{number}: a block is indented")
                if line.startswith("    ") and not before.startswith("    "):
                    self.assertRegex(before, MARK, f"{name}:{number}")


if __name__ == "__main__":
    main()
