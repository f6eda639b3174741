"""The command line: what callers of runc send, and what they read."""

import datetime
import json
import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import unittest

from callers import on_terminal
from harness import IS_NUCLEUS, RUNTIME, Case, cgroup_directories, command, is_alive, main, rule, wait_until

STATE_KEYS = ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "annotations", "owner"]


class Receiver:
    """An AF_UNIX socket that takes one message with descriptors, as a caller's console or pidfd socket does."""

    def __init__(self, case, name):
        self.path = case.directory / name
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.settimeout(30)
        self.server.bind(str(self.path))
        self.server.listen(4)
        case.addCleanup(self.server.close)
        self.case = case

    def take(self):
        """(payload, descriptors) of the first message; nothing else may come."""
        connection, _ = self.server.accept()
        with connection:
            connection.settimeout(30)
            payload, fds, flags, _ = socket.recv_fds(connection, 4096, 16)
            self.case.assertFalse(flags & socket.MSG_CTRUNC)
            for fd in fds:
                self.case.addCleanup(os.close, fd)
            self.case.assertEqual(connection.recv(1), b"", "one message, then the end")
        self.server.setblocking(False)
        with self.case.assertRaises(BlockingIOError):
            self.server.accept()
        self.server.settimeout(30)
        return payload.decode(), fds


@unittest.skipUnless(IS_NUCLEUS, "nucleus's own words")
class Suggestions(Case):
    """What may have been meant stands on a line of its own: the error, and the log, are what callers of runc know."""

    def check(self, words, error, meant, status=1):
        log = self.directory / "log"
        log.unlink(missing_ok=True)
        result = command([RUNTIME, "--root", self.root, "--log", log, *words])
        self.assertEqual(result.status, status, result)
        self.assertEqual(result.out, "")
        lines = result.err.splitlines()
        self.assertEqual(lines[0], f"nucleus: {error}")
        self.assertEqual(lines[1:], [f"nucleus: did you mean {meant}?"] if meant else [])
        if log.exists():
            self.assertNotIn("did you mean", log.read_text())

    def test_commands(self):
        for word, meant in (("craete", "create"), ("strat", "start"), ("sanbox", "sandbox"), ("checkpiont", "checkpoint"),
                            ("frobnicate", None), ("x" * 1000, None)):
            self.check([word, self.id], f'unknown command "{word}"', meant)

    def test_options(self):
        for words, option, meant in ((["create", "--bundel", "/x", self.id], "--bundel", "--bundle"),
                                     (["create", "--pid-fiel=/x", self.id], "--pid-fiel=/x", "--pid-file"),
                                     (["delete", "--forse", self.id], "--forse", "--force"),
                                     (["update", "--pid-limit", "3", self.id], "--pid-limit", "--pids-limit"),
                                     (["run", "--what-is-this", self.id], "--what-is-this", None)):
            self.check(words, f"flag provided but not defined: {option}", meant)
        self.check(["exec", "--ttyy", self.id, "true"], "flag provided but not defined: --ttyy", "--tty", status=255)
        result = command([RUNTIME, "--rooot", "/x", "list"])
        self.assertEqual(result.err, "nucleus: flag provided but not defined: --rooot\nnucleus: did you mean --root?\n")

    def test_values(self):
        self.check(["list", "--format", "jsn"], 'invalid format option "jsn": table or json', "json")
        self.check(["--cgroup-manager", "sytemd", "list"], 'invalid cgroup manager "sytemd": cgroupfs, systemd or disabled', "systemd")
        self.check(["--log-format", "jason", "list"], 'invalid log format "jason": text or json', "json")
        self.check(["attest", "verfy", "/x"], 'attest: unknown command "verfy": create or verify', "verify")
        self.check(["policy", "pni", "/x"], 'policy: "pni" is neither pin nor verify', "pin")
        self.check(["kill", self.id, "SIGTREM"], 'unknown signal "SIGTREM"', "TERM")
        self.check(["kill", self.id, "hpu"], 'unknown signal "hpu"', "HUP")
        self.check(["kill", self.id, "1000"], 'unknown signal "1000"', None)

    def test_names_of_containers(self):
        self.assertOk(self.create())
        near = self.id[:-1] + "x"
        said = on_terminal([RUNTIME, "--root", self.root, "kill", near, "KILL"])
        self.assertEqual((said.status, said.out.splitlines()),
                         (1, ["nucleus: container does not exist", f"nucleus: did you mean {self.id}?"]))
        far = on_terminal([RUNTIME, "--root", self.root, "kill", "somebody-else-entirely", "KILL"])
        self.assertEqual(far.out.splitlines(), ["nucleus: container does not exist"])
        # A program that looks whether there is one gets the error alone.
        self.check(["state", near], "container does not exist", None)


class Global(Case):
    def test_version(self):
        for flag in ("--version", "-v"):
            with self.subTest(flag=flag):
                result = command([RUNTIME, flag])
                self.assertOk(result)
                lines = result.out.splitlines()
                self.assertRegex(lines[0], r"^\w+ version \d+\.\d+\.\d+")
                self.assertRegex(lines[1], r"^commit: \S+")
                self.assertRegex(lines[2], r"^spec: 1\.\d+\.\d+")
                self.assertEqual(result.err, "")

    def test_help(self):
        for args in ([], ["--help"], ["-h"], ["help"]):
            with self.subTest(args=args):
                result = command([RUNTIME, *args])
                self.assertOk(result)
                for word in ("create", "start", "run", "exec", "state", "kill", "delete", "list", "ps", "pause", "resume", "spec",
                             "features", "--root", "--log-format"):
                    self.assertIn(word, result.out)

    def test_help_of_commands(self):
        # podman looks for the options of some commands in there.
        for verb, flags in {"create": ["--bundle", "--console-socket", "--pid-file", "--no-pivot", "--no-new-keyring",
                                       "--preserve-fds", "--pidfd-socket"],
                            "exec": ["--process", "--tty", "--detach", "--cwd", "--env", "--user", "--cap", "--ignore-paused"],
                            "delete": ["--force"], "kill": [], "list": ["--format", "--quiet"]}.items():
            with self.subTest(verb=verb):
                result = self.runtime(verb, "--help")
                self.assertOk(result)
                for flag in flags:
                    self.assertIn(flag, result.out)

    def test_forms_of_root(self):
        self.running()
        for args in (["--root", self.root], [f"--root={self.root}"], ["-root", self.root], [f"-root={self.root}"],
                     ["--root", f"{self.root}//"]):
            with self.subTest(args=args):
                result = command([RUNTIME, *args, "list", "-q"])
                self.assertOk(result)
                self.assertEqual(result.out, f"{self.id}\n")

    def test_relative_root(self):
        self.running()
        result = command([RUNTIME, "--root", "state", "list", "-q"], cwd=self.directory)
        self.assertOk(result)
        self.assertEqual(result.out, f"{self.id}\n")

    def test_root_is_made_for_its_owner_alone(self):
        self.root = self.directory / "some/where/state"
        old = os.umask(0)
        self.addCleanup(os.umask, old)
        self.assertOk(self.create())
        for path in (self.root, self.root / self.id):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0 if IS_NUCLEUS else 0o011 & path.stat().st_mode, path)
        for path in (self.root / self.id).iterdir():
            if path.is_file():
                self.assertEqual(stat.S_IMODE(path.stat().st_mode) & 0o077, 0 if IS_NUCLEUS else 0o044, path)

    def test_default_root(self):
        # In a mount namespace of its own, so that the host's /run is left alone.
        self.write()
        name = os.path.basename(RUNTIME) if not IS_NUCLEUS else "nucleus"
        script = (f"mount -t tmpfs tmpfs /run && '{RUNTIME}' create --bundle '{self.bundle}' {self.id} && ls /run/{name} && "
                  f"stat -c %a /run/{name} && '{RUNTIME}' state {self.id} >/dev/null && '{RUNTIME}' delete {self.id}")
        result = command(["unshare", "-m", "sh", "-ec", script])
        self.assertOk(result)
        self.assertEqual(result.out.split()[0], self.id)

    def test_default_root_of_an_ordinary_user(self):
        runtime_dir = self.directory / "xdg"
        runtime_dir.mkdir()
        os.chown(runtime_dir, 1000, 1000)
        self.directory.chmod(0o755)
        self.bundle.chmod(0o755)
        self.process["args"] = ["/bin/true"]
        self.linux["namespaces"].append({"type": "user"})
        self.linux["uidMappings"] = self.linux["gidMappings"] = [{"containerID": 0, "hostID": 1000, "size": 1}]
        self.linux["resources"] = {}
        self.config["mounts"] = [m for m in self.config["mounts"] if m["destination"] in ("/proc", "/dev")]
        self.write()
        name = "nucleus" if IS_NUCLEUS else os.path.basename(RUNTIME)
        flags = ["--cgroup-manager", "disabled"] if IS_NUCLEUS else []
        binary = self.directory / name
        binary.write_bytes(pathlib.Path(RUNTIME).read_bytes())  # where the user may read it
        binary.chmod(0o755)
        base = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "env", "-i", f"XDG_RUNTIME_DIR={runtime_dir}",
                "PATH=/usr/bin:/bin", binary, *flags]
        created = command([*base, "create", "--bundle", self.bundle, self.id])
        self.assertOk(created)
        self.assertIn(self.id, os.listdir(runtime_dir / name))
        # The directory is cleaned of old files; what has the sticky bit stays (XDG base directory specification).
        self.assertTrue((runtime_dir / name).stat().st_mode & stat.S_ISVTX)
        self.assertOk(command([*base, "start", self.id]))
        self.assertOk(command([*base, "delete", "--force", self.id]))

    def test_rootless_flag(self):
        for value in ("true", "false", "auto"):
            with self.subTest(value=value):
                self.assertOk(command([RUNTIME, "--root", self.root, "--rootless", value, "list"]))
                self.assertOk(command([RUNTIME, "--root", self.root, f"--rootless={value}", "list"]))

    def test_systemd_cgroup_and_debug_are_known(self):
        self.assertOk(command([RUNTIME, "--root", self.root, "--systemd-cgroup", "--debug", "list"]))

    @unittest.skipUnless(IS_NUCLEUS, "a flag of crun and nucleus")
    def test_cgroup_manager(self):
        self.sh("exec sleep 1000")
        self.write()
        self.assertOk(command([RUNTIME, "--root", self.root, "--cgroup-manager", "disabled", "create", "--bundle", self.bundle,
                               self.id]))
        self.assertEqual(cgroup_directories(self.id), [])
        self.assertOk(self.start())
        self.assertOk(self.delete("--force"))
        self.assertOk(command([RUNTIME, "--root", self.root, "--cgroup-manager=cgroupfs", "create", "--bundle", self.bundle,
                               self.id]))
        self.assertNotEqual(cgroup_directories(self.id), [])


class Log(Case):
    def logged(self, *args, format=None):
        log = self.directory / "log"
        flags = ["--log", log] + (["--log-format", format] if format else [])
        result = self.runtime(*flags, *args)
        return result, log.read_text() if log.exists() else ""

    def test_json(self):
        # containerd reads the last error of this file.
        result, text = self.logged("state", "nosuch", format="json")
        self.assertFails(result, "container does not exist")
        self.assertTrue(text.endswith("\n"))
        entries = [json.loads(line) for line in text.splitlines()]
        last = [entry for entry in entries if entry["level"] == "error"][-1]
        self.assertIn("container does not exist", last["msg"])
        self.assertGreaterEqual(set(last), {"level", "msg", "time"})
        datetime.datetime.fromisoformat(last["time"])

    def test_json_of_hostile_text(self):
        self.config["annotations"] = {"dev.nucleus.\"\\\n\x1b\x7füx": "x"}
        self.linux["namespaces"][0] = {"type": "\"\\\nü\x1b"}
        self.write()
        result, text = self.logged("create", "--bundle", self.bundle, self.id, format="json")
        self.assertFails(result)
        self.assertEqual(len(text.splitlines()), 1)
        self.assertEqual(json.loads(text)["level"], "error")

    def test_text(self):
        for format in (None, "text"):
            with self.subTest(format=format):
                result, text = self.logged("state", "nosuch", format=format)
                self.assertFails(result, "container does not exist")
                self.assertRegex(text.splitlines()[-1],
                                 r'^time="\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S+" level=error msg="?container does not exist"?$')

    def test_appended(self):
        for _ in range(3):
            _, text = self.logged("state", "nosuch", format="json")
        self.assertEqual(len(text.splitlines()), 3)

    def test_mode(self):
        old = os.umask(0o022)
        self.addCleanup(os.umask, old)
        self.logged("state", "nosuch")
        self.assertEqual(stat.S_IMODE((self.directory / "log").stat().st_mode), 0o644)

    def test_warnings_go_to_the_log(self):
        self.config["hooks"] = {"poststop": [{"path": "/nucleus-test/missing"}]}
        self.assertOk(self.create())
        result, text = self.logged("delete", self.id, format="json")
        self.assertOk(result)
        self.assertEqual([json.loads(line)["level"] for line in text.splitlines()], ["warning"])

    def test_container_does_not_get_the_log(self):
        # A descriptor of the host's file inside would be a way out.
        self.process["args"] = ["/bin/ls", "/proc/self/fd"]
        self.write()
        result, _ = self.logged("run", "--bundle", self.bundle, self.id)
        self.assertOk(result)
        self.assertEqual(result.out.split(), ["0", "1", "2", "3"])  # 3 is what ls itself opens

    def test_success_is_silent(self):
        self.sh("exec sleep 1000")
        for result in (self.create(), self.start(), self.runtime("pause", self.id), self.runtime("resume", self.id),
                       self.kill(), self.delete("--force")):
            self.assertOk(result)
            self.assertEqual((result.out, result.err), ("", ""), result)


class Create(Case):
    def created(self, *args, **keywords):
        self.write()
        result = self.runtime("create", *args, self.id, **keywords)
        self.assertOk(result)
        self.assertEqual(self.state()["bundle"], str(self.bundle))
        self.assertOk(self.delete())

    def test_forms_of_bundle(self):
        self.created("-b", self.bundle)
        self.created(f"--bundle={self.bundle}")
        self.created("--bundle", f"{self.bundle}/")
        self.created("-bundle", self.bundle)
        self.created(f"-b={self.bundle}")

    def test_bundle_of_the_working_directory(self):
        self.created(cwd=self.bundle)
        self.created("--bundle", "bundle", cwd=self.directory)
        self.created("--bundle", ".", cwd=self.bundle)

    def test_bundle_through_a_link(self):
        (self.directory / "link").symlink_to("bundle")
        self.write()
        self.assertOk(self.runtime("create", "--bundle", self.directory / "link", self.id))
        self.assertOk(self.start())

    @unittest.skipUnless(IS_NUCLEUS, "a flag of crun and nucleus")
    def test_config_elsewhere(self):
        self.config["annotations"] = {"which": "elsewhere"}
        self.write()
        (self.bundle / "config.json").rename(self.directory / "other.json")
        for flag in (["--config", self.directory / "other.json"], ["-f", self.directory / "other.json"],
                     [f"--config={self.directory}/other.json"]):
            with self.subTest(flag=flag):
                self.assertOk(self.runtime("create", "--bundle", self.bundle, *flag, self.id))
                self.assertEqual(self.state()["annotations"], {"which": "elsewhere"})
                self.assertEqual(self.state()["rootfs"], str(self.rootfs))
                self.assertOk(self.delete())

    def test_flags_of_callers(self):
        # conmon's and containerd's, in their order.
        pid_file = self.directory / "pid"
        self.created("--bundle", self.bundle, "--pid-file", pid_file, "--no-pivot", "--no-new-keyring")
        pid_file.unlink()
        self.created("--no-new-keyring", "--no-pivot", "--preserve-fds", "0", "--pid-file", pid_file, "--bundle", self.bundle)

    def test_pid_file(self):
        pid_file = self.directory / "pid"
        pid_file.write_text("old")
        os.link(pid_file, self.directory / "old")
        self.sh("exec sleep 1000")
        self.assertOk(self.create("--pid-file", pid_file))
        self.assertEqual(pid_file.read_text(), str(self.state()["pid"]), "decimal, no newline")
        # Written beside and renamed: nobody sees half of it, and the old file is as it was.
        self.assertEqual((self.directory / "old").read_text(), "old")
        self.assertEqual([name for name in os.listdir(self.directory) if name.startswith(".")], [])

    @unittest.skipUnless(IS_NUCLEUS, "others stumble over it")
    def test_pid_file_of_a_killed_create_is_not_in_the_way(self):
        victim = self.directory / "victim"
        victim.write_text("kept")
        for left in (lambda path: path.write_text("12"), lambda path: path.symlink_to(victim)):
            left(self.directory / ".pid")
            self.assertOk(self.create("--pid-file", self.directory / "pid"))
            self.assertEqual((self.directory / "pid").read_text(), str(self.state()["pid"]))
            self.assertFalse((self.directory / ".pid").exists())
            self.assertOk(self.delete("--force"))
        self.assertEqual(victim.read_text(), "kept")

    def test_pid_file_of_the_working_directory(self):
        self.write()
        self.assertOk(self.runtime("create", "--bundle", self.bundle, "--pid-file", "pid", self.id, cwd=self.directory))
        self.assertEqual((self.directory / "pid").read_text(), str(self.state()["pid"]))

    def test_pid_file_is_there_when_create_ends(self):
        # ... and not before the container is: a caller that sees the file may call start.
        self.config["hooks"] = {"createRuntime": [
            {"path": "/bin/sh", "args": ["sh", "-c", f"ls -a {self.directory}/pids > {self.directory}/seen"]}]}
        (self.directory / "pids").mkdir()
        self.assertOk(self.create("--pid-file", self.directory / "pids/pid"))
        self.assertEqual((self.directory / "seen").read_text().split(), [".", ".."])


class State(Case):
    @rule("MUST", "config.md#annotations", "annotations are in the state")
    @rule("MUST", "runtime.md#state", "ociVersion, id, status, pid, bundle, annotations")
    def test_form(self):
        self.config["annotations"] = {"b": "2", "a": "1 \"ü\""}
        pid = self.running()
        result = self.runtime("state", self.id)
        self.assertOk(result)
        text = result.out
        self.assertFalse(text.endswith("\n"))
        self.assertTrue(text.startswith("{\n  \"ociVersion\": "))
        state = json.loads(text)
        self.assertEqual(list(state), STATE_KEYS)
        self.assertRegex(state["ociVersion"], r"^1\.\d+\.\d+")
        self.assertEqual(state["id"], self.id)
        self.assertEqual(state["pid"], pid)
        self.assertTrue(is_alive(pid))
        self.assertEqual(state["status"], "running")
        self.assertEqual(state["bundle"], str(self.bundle))
        self.assertEqual(state["rootfs"], str(self.rootfs))
        self.assertEqual(state["annotations"], self.config["annotations"])
        self.assertEqual(state["owner"], "")
        match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,9})?Z", state["created"])
        self.assertTrue(match, state["created"])
        age = datetime.datetime.utcnow() - datetime.datetime.fromisoformat(match[1])
        self.assertLess(abs(age.total_seconds()), 3600)

    def test_stopped_has_pid_zero(self):
        self.assertOk(self.create())
        self.assertOk(self.start())
        self.wait_stopped()
        self.assertEqual(self.state()["pid"], 0)

    @rule("MUST", "runtime.md#state", "ociVersion, id, status, pid, bundle, annotations")
    def test_without_annotations(self):
        self.assertOk(self.create())
        self.assertEqual(list(self.state()), [key for key in STATE_KEYS if key != "annotations"])


class List(Case):
    def three(self):
        states = {}
        for name in ("c", "a", "b"):
            id = f"{self.id}-{name}"
            self.linux["cgroupsPath"] = f"/nucleus-test/{id}"
            self.sh("exec sleep 1000")
            self.assertOk(self.create(id=id))
            states[id] = self.state(id)
        self.assertOk(self.start(f"{self.id}-a"))
        return {id: self.state(id) for id in sorted(states)}

    def test_empty(self):
        for root in ("nosuch", "empty"):
            with self.subTest(root=root):
                self.root = self.directory / root
                if root == "empty":
                    self.root.mkdir()
                result = self.runtime("list")
                self.assertOk(result)
                self.assertEqual(result.out.split(), ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"])
                result = self.runtime("list", "--format", "json")
                self.assertOk(result)
                self.assertEqual(result.out, "null\n" if IS_NUCLEUS else "null")
                self.assertEqual(self.runtime("list", "-q").out, "")

    def test_table(self):
        states = self.three()
        result = self.runtime("list")
        self.assertOk(result)
        heading, *rows = result.out.splitlines()
        columns = [heading.index(word) for word in ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")]
        cells = [[row[begin:end].strip() for begin, end in zip(columns, [*columns[1:], None])] for row in rows]
        self.assertEqual([row[0] for row in cells], list(states))
        for row, state in zip(cells, states.values()):
            self.assertEqual(row[:5], [state["id"], str(state["pid"]), state["status"], state["bundle"], state["created"]])
            self.assertEqual(row[5], "root")

    def test_json(self):
        states = self.three()
        for args in (["--format", "json"], ["--format=json"], ["-f", "json"], ["-f=json"]):
            with self.subTest(args=args):
                result = self.runtime("list", *args)
                self.assertOk(result)
                listed = json.loads(result.out)
                self.assertEqual(listed, [{**state, "owner": "root"} for state in states.values()])

    def test_quiet(self):
        states = self.three()
        for flag in ("--quiet", "-q"):
            self.assertEqual(self.runtime("list", flag).out.split(), list(states))

    def test_stopped(self):
        self.assertOk(self.create())
        self.assertOk(self.start())
        self.wait_stopped()
        self.assertRegex(self.runtime("list").out, rf"\n{self.id} +0 +stopped ")


class Ps(Case):
    def test_json(self):
        pid = self.running("sleep 1001 & exec sleep 1000")
        wait_until(lambda: len(json.loads(self.runtime("ps", "--format", "json", self.id).out)) == 2, "two processes")
        result = self.runtime("ps", "--format=json", self.id)
        self.assertRegex(result.out, r"^\[\d+,\d+\]\n?$")
        self.assertIn(pid, json.loads(result.out))
        self.assertTrue(all(map(is_alive, json.loads(result.out))))

    def test_table(self):
        pid = self.running("sleep 1001 & exec sleep 1000")
        wait_until(lambda: len(json.loads(self.runtime("ps", "--format", "json", self.id).out)) == 2, "two processes")
        result = self.runtime("ps", self.id)
        self.assertOk(result)
        heading, *rows = result.out.splitlines()
        self.assertIn("PID", heading.split())
        self.assertEqual(len(rows), 2)
        column = heading.split().index("PID")
        self.assertIn(str(pid), [row.split()[column] for row in rows])
        self.assertTrue(all("sleep" in row for row in rows))

    def test_arguments_of_ps(self):
        # docker top: `runc ps --format table ID -o pid,args`.
        pid = self.running()
        for args in (["-eo", "pid,args"], ["aux"], ["-e", "-o", "pid,comm"]):
            with self.subTest(args=args):
                result = self.runtime("ps", "--format", "table", self.id, *args)
                self.assertOk(result)
                rows = result.out.splitlines()
                self.assertEqual(len(rows), 2, result.out)
                self.assertIn(str(pid), rows[1].split())

    def test_created_and_stopped(self):
        self.assertOk(self.create())
        self.assertEqual(json.loads(self.runtime("ps", "-f", "json", self.id).out), [self.state()["pid"]])
        self.assertOk(self.start())
        self.wait_stopped()
        self.assertIn(json.loads(self.runtime("ps", "-f", "json", self.id).out), ([], None))


class Spec(Case):
    def test_writes_and_refuses_to_overwrite(self):
        old = os.umask(0o027)
        self.addCleanup(os.umask, old)
        result = self.runtime("spec", cwd=self.directory)
        self.assertOk(result)
        path = self.directory / "config.json"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o640)
        json.loads(path.read_text())
        path.write_text("mine")
        self.assertFails(self.runtime("spec", cwd=self.directory), "File config.json exists. Remove it first")
        self.assertEqual(path.read_text(), "mine")

    def test_refuses_a_link(self):
        (self.directory / "config.json").symlink_to("elsewhere")
        self.assertFails(self.runtime("spec", cwd=self.directory), "exists")
        self.assertFalse((self.directory / "elsewhere").exists())

    def test_bundle(self):
        for flag in (["--bundle", self.bundle], ["-b", self.bundle], [f"-b={self.bundle}"]):
            (self.bundle / "config.json").unlink(missing_ok=True)
            self.assertOk(self.runtime("spec", *flag))
            self.assertTrue((self.bundle / "config.json").exists())

    def test_runs_as_it_is(self):
        self.assertOk(self.runtime("spec", "--bundle", self.bundle))
        result = on_terminal([RUNTIME, "--root", self.root, "run", "--bundle", self.bundle, self.id],
                             say=[("# ", "hostname; id -u; exit 5\n")])
        self.assertEqual(result.status, 5, result)
        self.assertIn("nucleus" if IS_NUCLEUS else "runc", result.out)

    def test_same_container_as_runcs(self):
        if not os.path.exists("/usr/sbin/runc") and not os.path.exists("/usr/bin/runc"):
            self.skipTest("no runc to compare with")
        self.assertOk(self.runtime("spec", "--bundle", self.bundle))
        ours = json.loads((self.bundle / "config.json").read_text())
        self.assertOk(command(["runc", "spec", "--bundle", self.directory]))
        theirs = json.loads((self.directory / "config.json").read_text())
        self.assertEqual({**ours, "ociVersion": "", "hostname": ""}.keys(), theirs.keys())
        for key in ("root", "mounts"):
            self.assertEqual(ours[key], theirs[key])
        # runc leaves the cgroup namespace out where the host has v1.
        self.assertEqual({n["type"] for n in ours["linux"]["namespaces"]},
                         {n["type"] for n in theirs["linux"]["namespaces"]} | {"cgroup"})
        self.assertEqual(ours["process"]["args"], theirs["process"]["args"])

    def test_rootless(self):
        self.assertOk(self.runtime("spec", "--rootless", "--bundle", self.bundle))
        spec = json.loads((self.bundle / "config.json").read_text())
        self.assertIn({"type": "user"}, spec["linux"]["namespaces"])
        self.assertEqual(spec["linux"]["uidMappings"], [{"containerID": 0, "hostID": os.geteuid(), "size": 1}])


class Kill(Case):
    TRAPS = "for s in HUP INT QUIT USR1 USR2 TERM WINCH CONT; do trap \"echo $s >> /tmp/got\" $s; done; echo ready >> /tmp/got; " \
            "while :; do sleep 0.01; done"

    def got(self):
        path = self.rootfs / "tmp/got"
        return path.read_text().split() if path.exists() else []

    @rule("MUST", "runtime.md#kill", "the signal reaches the process")
    def test_names_and_numbers(self):
        self.running(self.TRAPS)
        wait_until(lambda: "ready" in self.got(), "traps")
        for word, name in (("HUP", "HUP"), ("SIGHUP", "HUP"), ("sighup", "HUP"), ("usr1", "USR1"), ("10", "USR1"), ("2", "INT"),
                           ("SIGUSR2", "USR2"), ("QUIT", "QUIT"), ("15", "TERM"), ("SIGWINCH", "WINCH"), ("CONT", "CONT")):
            with self.subTest(word=word):
                before = self.got().count(name)
                self.assertOk(self.kill(word))
                wait_until(lambda: self.got().count(name) == before + 1, f"{name} from {word}")

    @rule("MUST", "runtime.md#kill", "the signal reaches the process")
    def test_default_is_term(self):
        self.running(self.TRAPS)
        wait_until(lambda: "ready" in self.got(), "traps")
        self.assertOk(self.runtime("kill", self.id))
        wait_until(lambda: "TERM" in self.got(), "TERM")

    def test_realtime_signals(self):
        for word in ("RTMIN", "SIGRTMIN+3", "RTMAX-1", "64", "34"):
            with self.subTest(word=word):
                # bit n-1 of SigPnd; an init without a handler ignores it, so it has to be blocked to be seen: any shell does.
                self.running("trap '' INT; exec sleep 1000")
                self.assertOk(self.kill(word))
                self.assertOk(self.delete("--force"))

    def test_stopped(self):
        self.running()
        self.assertOk(self.kill("KILL"))
        self.wait_stopped()
        for word in ("KILL", "TERM", "9"):
            self.assertFails(self.kill(word), "container not running")
        # containerd sends --all when the init has gone, and takes this answer.
        self.assertFails(self.runtime("kill", "--all", self.id, "9"), "container not running") if IS_NUCLEUS else None

    def test_all_flag(self):
        for args in (["--all", self.id, "KILL"], ["-a", self.id, "9"]):
            with self.subTest(args=args):
                pid = self.running()
                self.assertOk(self.runtime("kill", *args))
                wait_until(lambda: not is_alive(pid), "end of the init")
                self.assertOk(self.delete("--force"))

    def test_all_without_a_pid_namespace(self):
        self.without_namespace("pid")
        self.running("sleep 1001 & exec sleep 1000")
        wait_until(lambda: len(json.loads(self.runtime("ps", "-f", "json", self.id).out)) == 2, "two processes")
        pids = json.loads(self.runtime("ps", "-f", "json", self.id).out)
        self.assertOk(self.runtime("kill", "--all", self.id, "KILL"))
        wait_until(lambda: not any(map(is_alive, pids)), "end of both")

    @unittest.skipUnless(IS_NUCLEUS, "a flag of crun and nucleus")
    def test_regex(self):
        ids = [f"{self.id}-{name}" for name in ("one", "two", "other")]
        for id in ids:
            self.linux["cgroupsPath"] = f"/nucleus-test/{id}"
            self.sh("exec sleep 1000")
            self.assertOk(self.create(id=id))
            self.assertOk(self.start(id))
        self.assertOk(self.runtime("kill", "--regex", "(one|two)$", "KILL"))
        for id in ids[:2]:
            self.wait_stopped(id)
        self.assertEqual(self.status(ids[2]), "running")
        self.assertOk(self.runtime("delete", "--regex", f"^{self.id}-t"))
        self.assertEqual(self.runtime("list", "-q").out.split(), sorted([ids[0], ids[2]]))
        self.assertFails(self.runtime("delete", "--regex", "("), "regular expression")
        self.assertFails(self.runtime("delete", "--regex", "other"), "not stopped")
        self.assertOk(self.runtime("delete", "--force", "--regex", "."))
        self.assertEqual(self.runtime("list", "-q").out, "")


class Delete(Case):
    def test_missing(self):
        self.assertFails(self.delete(), "container does not exist")
        for flag in ("--force", "-f"):
            result = self.runtime("delete", flag, "nosuch")
            self.assertOk(result)
            self.assertEqual((result.out, result.err), ("", ""))

    @rule("MUST", "runtime.md#delete", "of one that is not stopped: error, and no effect")
    def test_running(self):
        pid = self.running()
        self.assertFails(self.delete(), f"cannot delete container {self.id} that is not stopped: running")
        self.assertTrue(is_alive(pid))
        self.assertOk(self.delete("-f"))
        self.assertFalse(is_alive(pid))

    def test_flags_after_the_id(self):
        # runc takes them there, and people write them there.
        self.write()
        self.assertOk(self.runtime("create", self.id, "--bundle", self.bundle, "--pid-file", self.directory / "pid"))
        self.assertTrue((self.directory / "pid").exists())
        self.assertOk(self.runtime("start", self.id))
        self.assertOk(self.runtime("delete", self.id, "--force"))
        self.assertNothingLeft()

    def test_flags_after_the_double_dash_are_arguments(self):
        pid = self.running()
        self.assertNotEqual(self.runtime("delete", "--", self.id, "--force").status, 0)
        self.assertTrue(is_alive(pid))


class Run(Case):
    def test_exit_status(self):
        for status in (0, 1, 2, 126, 127, 128, 255):
            with self.subTest(status=status):
                self.sh(f"exit {status}")
                self.assertEqual(self.run_container().status, status)

    def test_status_of_a_signal(self):
        # A shell: the init itself cannot be killed by a signal from inside its namespace.
        self.without_namespace("pid")
        for name in ("KILL", "TERM", "SEGV", "ABRT"):
            with self.subTest(name=name):
                self.sh(f"kill -{name} $$; sleep 1000")
                self.assertEqual(self.run_container().status, 128 + getattr(signal, f"SIG{name}"))

    def test_streams(self):
        self.sh("cat; echo to stderr >&2")
        (self.directory / "in").write_bytes(bytes(range(256)) * 4000)
        with open(self.directory / "in", "rb") as file:
            result = self.run_container(stdin=file, text=False)
        self.assertOk(result)
        self.assertEqual(result.out, bytes(range(256)) * 4000)
        self.assertEqual(result.err, b"to stderr\n")

    def test_closed_streams(self):
        # What is opened next would take their place, and end up in the container.
        self.write()
        self.process["args"] = ["/bin/ls", "/proc/self/fd"]
        self.write()
        result = command(["sh", "-c", f"'{RUNTIME}' --root '{self.root}' run --bundle '{self.bundle}' {self.id} <&- 2>&-"])
        self.assertOk(result)
        self.assertEqual(result.out.split(), ["0", "1", "2", "3"])

    def test_removed_afterwards(self):
        self.assertOk(self.run_container())
        self.assertFails(self.runtime("state", self.id), "container does not exist")
        self.assertNothingLeft()

    def test_keep(self):
        self.sh("exit 3")
        self.assertEqual(self.run_container("--keep").status, 3)
        self.assertEqual(self.status(), "stopped")
        self.assertOk(self.delete())

    def test_detach(self):
        for flag in ("--detach", "-d"):
            with self.subTest(flag=flag):
                self.sh("exec sleep 1000")
                self.assertOk(self.run_container(flag, "--pid-file", self.directory / "pid"))
                self.assertEqual(self.status(), "running")
                self.assertEqual((self.directory / "pid").read_text(), str(self.state()["pid"]))
                self.assertOk(self.delete("--force"))

    def test_no_subreaper(self):
        self.assertOk(self.run_container("--no-subreaper"))
        self.assertOk(self.run_container("-no-subreaper"))


class Exec(Case):
    def test_status(self):
        self.running()
        for status in (0, 1, 42, 255):
            self.assertEqual(self.exec("sh", "-c", f"exit {status}").status, status)
        self.assertEqual(self.exec("sh", "-c", "kill -TERM $$").status, 128 + signal.SIGTERM)
        self.assertEqual(self.exec("sh", "-c", "kill -KILL $$").status, 128 + signal.SIGKILL)

    def test_options_of_the_command_are_its_own(self):
        self.running()
        result = self.exec("echo", "-e", "A=B", "--cwd", "/", "--help", "-d")
        self.assertOk(result)
        self.assertEqual(result.out, "A=B --cwd / --help -d\n")

    def test_flags_of_many_values_take_one_word_each(self):
        self.running()
        result = self.exec("sh", "-c", 'echo "$A $B $C"', flags=["-e", "A=1", "--env", "B=2 x", "--env=C=3=4"])
        self.assertEqual(result.out, "1 2 x 3=4\n", result)

    def test_user_and_groups(self):
        self.running()
        result = self.exec("sh", "-c", "id -u; id -g; id -G", flags=["-u", "1000:2000", "-g", "10", "-g", "11"])
        self.assertOk(result)
        uid, gid, groups = result.out.splitlines()
        self.assertEqual((uid, gid), ("1000", "2000"))
        self.assertEqual(set(groups.split()), {"2000", "10", "11"})

    def test_cwd(self):
        self.running()
        self.assertEqual(self.exec("pwd", flags=["--cwd", "/tmp"]).out, "/tmp\n")
        self.assertEqual(self.exec("pwd", flags=["--cwd=/etc"]).out, "/etc\n")

    def test_detached_with_pid_file(self):
        self.running()
        path = self.directory / "exec-pid"
        result = self.exec("sleep", "1001", flags=["--detach", "--pid-file", path])
        self.assertOk(result)
        pid = path.read_text()
        self.assertEqual(pid, str(int(pid)))
        self.assertEqual(pathlib.Path(f"/proc/{pid}/cmdline").read_bytes(), b"sleep\0" + b"1001\0")
        self.assertIn(int(pid), json.loads(self.runtime("ps", "-f", "json", self.id).out))

    def test_flags_of_callers(self):
        # containerd: exec --process FILE --pid-file F --detach ID; conmon the same in another order.
        self.running()
        process = self.directory / "process.json"
        process.write_text(json.dumps({"args": ["/bin/sh", "-c", "echo $X > /tmp/out; exec sleep 1001"], "cwd": "/",
                                       "env": ["PATH=/bin", "X=given"], "user": {"uid": 0, "gid": 0}}))
        self.assertOk(self.exec(flags=["--process", process, "--pid-file", self.directory / "p", "--detach"]))
        wait_until(lambda: (self.rootfs / "tmp/out").exists() and (self.rootfs / "tmp/out").read_text() == "given\n", "exec's output")

    def test_streams(self):
        self.running()
        with open("/usr/bin/env", "rb") as file:
            result = self.exec("cat", stdin=file, text=False)
        self.assertEqual(result.out, pathlib.Path("/usr/bin/env").read_bytes())

    def test_sub_cgroup(self):
        self.running()
        for path in cgroup_directories(self.id):
            os.mkdir(f"{path}/sub")
            if os.path.exists(f"{path}/sub/cpuset.cpus"):  # of v1: a cpuset that is empty takes no process
                for file in ("cpuset.cpus", "cpuset.mems"):
                    pathlib.Path(path, "sub", file).write_text(pathlib.Path(path, file).read_text())
        result = self.exec("sleep", "1001", flags=["--detach", "--pid-file", self.directory / "p", "--cgroup", "/sub"])
        self.assertOk(result)
        lines = pathlib.Path(f"/proc/{(self.directory / 'p').read_text()}/cgroup").read_text().splitlines()
        mine = [line for line in lines if self.id in line]
        self.assertTrue(mine)
        self.assertTrue(all(line.endswith(f"/{self.id}/sub") for line in mine), lines)


class Sockets(Case):
    def test_console(self):
        receiver = Receiver(self, "console.sock")
        self.process["terminal"] = True
        self.process["consoleSize"] = {"height": 31, "width": 77}
        self.sh("tty; stty size; exec sleep 1000")
        self.assertOk(self.create("--console-socket", receiver.path))
        payload, fds = receiver.take()
        self.assertEqual(len(fds), 1)
        self.assertTrue(os.isatty(fds[0]))
        self.assertTrue(payload.startswith("/dev/"), payload)
        self.assertOk(self.start())
        text = b""
        while text.count(b"\n") < 2:
            text += os.read(fds[0], 4096)
        self.assertEqual(text.split()[1:], [b"31", b"77"])

    def test_console_of_exec(self):
        self.running()
        receiver = Receiver(self, "console.sock")
        self.assertOk(self.exec("sh", "-c", "tty; exec sleep 1000",
                                flags=["--tty", "--detach", "--console-socket", receiver.path]))
        _, fds = receiver.take()
        self.assertIn(b"/dev/", os.read(fds[0], 4096))

    def test_console_and_terminal_go_together(self):
        receiver = Receiver(self, "console.sock")
        self.assertRefusedWith("cannot use console socket if runc will not detach or allocate tty",
                               self.create("--console-socket", receiver.path))
        self.assertRefusedWith("cannot use console socket if runc will not detach or allocate tty",
                               self.run_container("--detach", "--console-socket", receiver.path))
        self.process["terminal"] = True
        self.assertRefusedWith("cannot allocate tty if runc will detach without setting console socket", self.create())
        self.assertRefusedWith("cannot allocate tty if runc will detach without setting console socket",
                               self.run_container("--detach"))
        self.assertRefusedWith("cannot use console socket if runc will not detach or allocate tty",
                               self.run_container("--console-socket", receiver.path))

    def assertRefusedWith(self, words, result):
        self.assertFails(result, words)
        self.assertNothingLeft()

    def test_console_and_tty_of_exec_go_together(self):
        self.running()
        receiver = Receiver(self, "console.sock")
        for flags in (["--tty", "--detach"], ["--detach", "--console-socket", receiver.path],
                      ["--tty", "--console-socket", receiver.path], ["--console-socket", receiver.path]):
            with self.subTest(flags=flags):
                self.assertFails(self.exec("true", flags=flags), "console socket", status=255)

    @unittest.skipUnless(IS_NUCLEUS, "the host's runc is too old for pidfd sockets")
    def test_pidfd(self):
        receiver = Receiver(self, "pidfd.sock")
        self.sh("exec sleep 1000")
        self.assertOk(self.create("--pidfd-socket", receiver.path))
        _, fds = receiver.take()
        self.assertEqual(len(fds), 1)
        self.assertIn(f"Pid:\t{self.state()['pid']}\n", pathlib.Path(f"/proc/self/fdinfo/{fds[0]}").read_text())
        self.assertOk(self.start())
        other = Receiver(self, "exec.sock")
        self.assertOk(self.exec("sleep", "1001", flags=["--detach", "--pidfd-socket", other.path, "--pid-file", self.directory / "p"]))
        _, fds = other.take()
        self.assertIn(f"Pid:\t{(self.directory / 'p').read_text()}\n", pathlib.Path(f"/proc/self/fdinfo/{fds[0]}").read_text())
        signal.pidfd_send_signal(fds[0], signal.SIGKILL)
        wait_until(lambda: len(json.loads(self.runtime("ps", "-f", "json", self.id).out)) == 1, "end of the process behind the pidfd")


class Descriptors(Case):
    """What is open in the caller, and what of it the container gets."""

    def with_descriptors(self, count, *args, env=None):
        """Runs the runtime with descriptors 3 to 3+count-1 open on files that hold their number."""
        redirections = []
        for fd in range(3, 3 + count):
            (self.directory / f"fd{fd}").write_text(f"content {fd}\n")
            redirections.append(f"{fd}<'{self.directory}/fd{fd}'")
        words = " ".join(f"'{word}'" for word in (RUNTIME, "--root", self.root, *args))
        return command(["bash", "-c", f"export LISTEN_PID=$$; exec {words} {' '.join(redirections)}"],
                       env={**os.environ, **(env or {})})

    def test_preserved(self):
        self.process["args"] = ["/bin/sh", "-c", "cat <&3; cat <&4; ls /proc/self/fd"]
        self.write()
        result = self.with_descriptors(5, "run", "--preserve-fds", "2", "--bundle", self.bundle, self.id)
        self.assertOk(result)
        self.assertEqual(result.out.split("\n"), ["content 3", "content 4", "0", "1", "2", "3", "4", "5", ""])

    def test_none_without_asking(self):
        self.process["args"] = ["/bin/ls", "/proc/self/fd"]
        self.write()
        result = self.with_descriptors(7, "run", "--bundle", self.bundle, self.id)
        self.assertOk(result)
        self.assertEqual(result.out.split(), ["0", "1", "2", "3"])  # 3 is what ls itself opens

    def test_preserved_through_create_and_start(self):
        self.process["args"] = ["/bin/sh", "-c", "cat <&3 > /tmp/out"]
        self.write()
        self.assertOk(self.with_descriptors(1, "create", "--preserve-fds", "1", "--bundle", self.bundle, self.id))
        self.assertOk(self.start())
        self.wait_stopped()
        self.assertEqual((self.rootfs / "tmp/out").read_text(), "content 3\n")

    def test_preserved_by_exec(self):
        self.running()
        result = self.with_descriptors(3, "exec", "--preserve-fds", "1", self.id, "sh", "-c", "cat <&3; ls /proc/self/fd")
        self.assertOk(result)
        self.assertEqual(result.out.split("\n"), ["content 3", "0", "1", "2", "3", "4", ""])

    @rule("MAY", "runtime-linux.md#file-descriptors", "descriptors that the caller asks for are passed on")
    def test_socket_activation(self):
        self.process["args"] = ["/bin/sh", "-c", "echo $LISTEN_FDS $LISTEN_PID; cat <&3; cat <&4; ls /proc/self/fd"]
        self.write()
        result = self.with_descriptors(4, "run", "--bundle", self.bundle, self.id, env={"LISTEN_FDS": "2"})
        self.assertOk(result)
        self.assertEqual(result.out.split("\n"), ["2 1", "content 3", "content 4", "0", "1", "2", "3", "4", "5", ""])

    def test_socket_activation_with_preserved(self):
        self.process["args"] = ["/bin/sh", "-c", "echo $LISTEN_FDS; cat <&5; ls /proc/self/fd | wc -l"]
        self.write()
        result = self.with_descriptors(4, "run", "--preserve-fds", "1", "--bundle", self.bundle, self.id, env={"LISTEN_FDS": "2"})
        self.assertOk(result)
        self.assertEqual(result.out.split("\n"), ["2", "content 5", "7", ""])

    def test_no_socket_activation_without_the_variable(self):
        self.process["args"] = ["/bin/sh", "-c", "echo \"<$LISTEN_FDS$LISTEN_PID>\""]
        self.write()
        result = self.with_descriptors(2, "run", "--bundle", self.bundle, self.id)
        self.assertOk(result)
        self.assertEqual(result.out, "<>\n")


if __name__ == "__main__":
    main()
