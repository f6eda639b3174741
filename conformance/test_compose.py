"""`nucleus compose`: services of one file, in the order that they need, and nothing but what differs is touched."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tomllib
import unittest

try:
    import jsonschema
except ImportError:
    jsonschema = None

import test_rootless
from harness import PROBE, PROJECT, Case, NetworkNamespace, RUNTIME, command, main, on_terminal, wait_until
from networks import NETPROBE
from test_sandbox import memory_directories

RUNSC = shutil.which("runsc")
IDLE = ["/bin/sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done"]


class ComposeCase(Case):
    """In a network namespace of its own, with a project of a name of its own."""

    def setUp(self):
        super().setUp()
        self.directory.chmod(0o755)
        self.host = NetworkNamespace(self)
        self.host.ip("link", "set", "lo", "up")
        self.project = self.id
        self.file = self.directory / "topology.toml"
        shutil.copy(NETPROBE, self.rootfs / "bin" / "netprobe")
        (self.rootfs / "etc" / "resolv.conf").touch()
        self.addCleanup(self.end)

    def end(self):
        """Whatever a test leaves."""
        if self.file.exists():
            self.compose("down", "--volumes")
        # A container's id begins with the project's.
        self.assertEqual([p for p in memory_directories() if self.project in p.name], [])
        self.assertEqual(list((self.root.parent / "state-services").glob("*")) if (self.root.parent / "state-services").exists() else [], [])
        self.assertEqual(self.leftovers(), [])

    def leftovers(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if str(self.root).encode() in words and int(pid) != os.getpid():
                found.append(f"{pid} {words!r}")
        return found

    def write(self, text):  # pylint: disable=arguments-differ
        self.file.write_text(f'name = "{self.project}"\n' + text)

    def service(self, name, command_words=None, more="", networks=()):
        words = json.dumps(command_words or IDLE)
        return (f'[services.{name}]\nrootfs = "{self.rootfs}"\ncommand = {words}\n'
                f'networks = {json.dumps(list(networks))}\n{more}\n')

    def compose(self, *words, **keywords):
        return command([*self.host.enter(), RUNTIME, "--root", self.root, "compose", *words, "-f", self.file], **keywords)

    def up(self):
        result = self.compose("up")
        self.assertOk(result)
        return result.out

    def plan(self):
        result = self.compose("plan", "--json")
        self.assertOk(result)
        return {step["service"]: step["action"] for step in json.loads(result.out)["services"]}

    def ps(self):
        result = self.compose("ps", "--json")
        self.assertOk(result)
        return {service["service"]: service for service in json.loads(result.out)["services"]}

    def identity(self, service):
        return f"{self.project}.{service}"

    def inside(self, service, *words):
        result = self.runtime("exec", self.identity(service), *map(str, words))
        self.assertOk(result)
        return result.out

    def init(self, service):
        return self.state(self.identity(service))["pid"]


class Files(ComposeCase):
    """What is wrong with a file is told at once, each with its line and key."""

    def errors(self, text):
        self.write(text)
        result = self.compose("validate", "--json")
        self.assertEqual(result.status, 1, result)
        answer = json.loads(result.out)
        self.assertFalse(answer["valid"])
        return {error["key"]: (error["line"], error["message"]) for error in answer["errors"]}

    def test_a_good_one(self):
        self.write(self.service("web"))
        self.assertOk(self.compose("validate"))
        self.assertTrue(json.loads(self.compose("validate", "--json").out)["valid"])

    def test_all_errors_at_once(self):
        errors = self.errors(
            "[services.web]\n"                                  # 2
            'comand = ["x"]\n'
            'networks = ["frnt"]\n'
            'depends_on = { db = "healthy" }\n'
            'publish = ["8080:80"]\n'
            "pids = 0\n"
            "[services.db]\n"                                    # 8
            'command = ["x"]\n'
            'publish = ["127.0.0.1:8080:1"]\n'
            'secret = ["pasword"]\n'
            "[networks.front]\n"
            "[volumes.data]\n"
            'kind = "persistant"\n'
            "[secrets.password]\n"                               # 15
            "[servces.x]\n")
        self.assertEqual(errors["services.web"][0], 2)
        self.assertIn("needs command", errors["services.web"][1])
        self.assertEqual(errors["services.web.comand"], (3, "unknown key, did you mean command?"))
        self.assertEqual(errors["services.web.networks[0]"], (4, "there is no [networks.frnt], did you mean front?"))
        self.assertIn("no health-cmd", errors["services.web.depends_on.db"][1])
        self.assertIn("the same port of the host", errors["services.web.publish"][1])
        self.assertIn("from 1", errors["services.web.pids"][1])
        self.assertEqual(errors["services.db.secret[0]"], (11, "there is no [secrets.pasword], did you mean password?"))
        self.assertIn("did you mean persistent?", errors["volumes.data.kind"][1])
        self.assertEqual(errors["secrets.password"], (15, "must have one of file and env"))
        self.assertEqual(errors["servces"], (16, "unknown key, did you mean services?"))
        self.assertEqual(len(errors), 10)

    def test_a_cycle_is_printed_as_one(self):
        errors = self.errors("".join(f'[services.{one}]\ncommand = ["x"]\ndepends_on = ["{other}"]\n'
                                     for one, other in (("a", "b"), ("b", "c"), ("c", "a"))))
        self.assertEqual(list(errors.values()), [(4, "a cycle: a -> b -> c -> a")])

    def test_what_the_host_does_not_have(self):
        errors = self.errors('[services.web]\ncommand = ["x"]\nrootfs = "nowhere"\nseccomp = "no.json"\n'
                             '[secrets.a]\nfile = "secret"\n[secrets.b]\nenv = "NO_SUCH_VARIABLE"\n')
        self.assertEqual(set(errors), {"services.web.rootfs", "services.web.seccomp", "secrets.a", "secrets.b"})

    def test_text_for_people(self):
        self.write('[services.web]\ncommand = []\nx = 1\n[services.db]\ncommand = "x"\n')
        result = self.compose("validate")
        self.assertEqual(result.status, 1)
        self.assertEqual(len(result.err.splitlines()), 3)
        self.assertIn(f"{self.file}:4: services.web.x: unknown key", result.err)
        self.assertEqual(self.compose("up").err, result.err)

    def test_no_toml(self):
        self.file.write_text("[services\n")
        result = self.compose("validate")
        self.assertFails(result, f"{self.file}:1: ")
        self.file.unlink()

    def test_a_bundle_excludes_what_it_says_itself(self):
        errors = self.errors(f'[services.web]\nbundle = "{self.bundle}"\nmemory = "1g"\n')
        self.assertIn("excluded by bundle", errors["services.web.memory"][1])

    def test_words(self):
        self.write(self.service("web"))
        for words, text in ((["validte"], "did you mean validate?"), (["up", "x"], "takes no more words"),
                            (["up", "--json"], "--json is for"), (["up", "--volums"], "did you mean --volumes?"),
                            (["up", "--volumes"], "--volumes is for down"), (["logs", "-n", "x"], "number of lines")):
            with self.subTest(words=words):
                self.assertFails(self.compose(*words), text)
        self.assertIn("Examples", command([RUNTIME, "compose", "--help"]).out)


SCHEMA = json.loads((PROJECT / "front/compose/topology.schema.json").read_text())
SERVICE = SCHEMA["properties"]["services"]["additionalProperties"]["oneOf"]
# Of `nucleus sandbox`, what a service has otherwise or not at all.
NOT_OF_SERVICES = {"workspace", "env-fd", "name", "network", "no-terminal", "detach", "terminal", "interactive", "learn",
                   "print-bundle", "config"}


class Schema(ComposeCase):
    """The JSON Schema for editors says what the program says."""

    def test_its_keys_are_the_programs(self):
        options = set(re.findall(r"^  --([a-z-]+)", command([RUNTIME, "sandbox", "--help"]).out, re.M))
        self.assertIn("memory", options)
        keys = set(SERVICE[0]["properties"])
        self.assertEqual(options - keys, NOT_OF_SERVICES)
        self.assertEqual(keys - options, {"command", "mode", "networks", "depends_on", "deny"})
        # No value is right for all of them: what is looked for is that each is known.
        for index, known in ((0, keys), (1, set(SERVICE[1]["properties"]))):
            extra = f'bundle = "{self.bundle}"\n' if index == 1 else ""
            self.write("[services.web]\n" + extra + "".join(f"{key} = 1979-05-27\n" for key in known - {"bundle"}))
            answer = json.loads(self.compose("validate", "--json").out)
            told = {(error["key"], error["message"].split()[0]) for error in answer["errors"]}
            for key in known - {"bundle"}:
                self.assertIn((f"services.web.{key}", "expected"), told)

    @unittest.skipIf(jsonschema is None, "no python3-jsonschema here")
    def test_the_pages_example(self):
        validator = jsonschema.Draft202012Validator(SCHEMA)
        validator.check_schema(SCHEMA)
        page = (PROJECT / "docs/compose.md").read_text()
        block = re.search(r"example: file shop.toml -->\n((?:    .*\n|\n)+)", page)[1]
        self.assertEqual([error.message for error in validator.iter_errors(tomllib.loads(block))], [])

    @unittest.skipIf(jsonschema is None, "no python3-jsonschema here")
    def test_it_refuses_what_the_program_refuses(self):
        validator = jsonschema.Draft202012Validator(SCHEMA)
        good = '[services.a]\ncommand = ["x"]\n'
        self.assertTrue(validator.is_valid(tomllib.loads(good)))
        for text in ("", "[services.a]\n", '[services.A]\ncommand = ["x"]\n', good + "x = 1\n", good + "[network.a]\n",
                     good + "pids = 0\n", good + 'mode = "production"\n', good + 'depends_on = { b = "begun" }\n',
                     good + 'restart = "sometimes"\n', good + '[volumes.a]\nkind = "x"\n', good + "[secrets.a]\n",
                     good + '[secrets.a]\nfile = "x"\nenv = "x"\n', good + "command = []\n".replace("command", "networks") + "env = [1]\n",
                     '[services.a]\nbundle = "b"\ncommand = ["x"]\n', good + "[networks.a]\nx = 1\n"):
            with self.subTest(text=text):
                self.assertFalse(validator.is_valid(tomllib.loads(text)))
                self.write(text)
                self.assertEqual(self.compose("validate").status, 1)


class Services(ComposeCase):
    def test_up_and_down(self):
        self.write(self.service("web") + self.service("db"))
        self.assertEqual(self.plan(), {"web": "create", "db": "create"})
        self.assertEqual({name: service["state"] for name, service in self.ps().items()}, {"web": "absent", "db": "absent"})
        self.up()
        self.assertEqual({name: service["state"] for name, service in self.ps().items()},
                         {"web": "running", "db": "running"})
        self.assertEqual(self.plan(), {"web": "keep", "db": "keep"})
        pids = self.init("web"), self.init("db")
        self.assertEqual(self.up(), "nothing to do\n")
        self.assertEqual((self.init("web"), self.init("db")), pids)
        self.assertOk(self.compose("down"))
        self.assertEqual(self.plan(), {"web": "create", "db": "create"})
        self.assertEqual(self.runtime("list", "--quiet").out, "")

    def test_only_what_differs(self):
        self.write(self.service("web") + self.service("db") + self.service("old"))
        self.up()
        web, db = self.init("web"), self.init("db")
        self.write(self.service("web") + self.service("db", ["/bin/sh", "-c", "echo $A; " + IDLE[2]], 'env = ["A=1"]') + self.service("new"))
        self.assertEqual(self.plan(), {"web": "keep", "db": "change", "old": "remove", "new": "create"})
        self.up()
        self.assertEqual(self.init("web"), web)
        self.assertNotEqual(self.init("db"), db)
        self.assertEqual(set(self.ps()), {"web", "db", "new"})
        wait_until(lambda: self.compose("logs", "db").out == "1\n", "its new environment")
        self.assertEqual(set(self.plan().values()), {"keep"})

    def test_what_a_digest_looks_at(self):
        secret, variable = self.directory / "secret", {**os.environ, "OF_THE_CALLER": "1"}
        secret.write_text("one")
        text = self.service("web", more='secret = ["s"]\nenv = ["OF_THE_CALLER"]') + f'[secrets.s]\nfile = "{secret}"\n'
        self.write(text)
        self.assertOk(self.compose("up", env=variable))
        plan = lambda env: json.loads(self.compose("plan", "--json", env=env).out)["services"][0]["action"]
        self.assertEqual(plan(variable), "keep")
        self.assertEqual(plan({**variable, "OF_THE_CALLER": "2"}), "change")
        secret.write_text("two")
        self.assertEqual(plan(variable), "change")
        secret.write_text("one")
        self.assertEqual(plan(variable), "keep")
        (self.rootfs / "etc" / "motd").write_text("new")
        self.assertEqual(plan(variable), "change")

    def test_in_the_order_of_depends_on(self):
        """db is healthy once it has waited for a word of this test's; migrate runs then, and web after it."""
        signal = self.directory / "signal"
        signal.mkdir()
        share = f'volume = ["{signal}:/signal:rw"]\n'
        self.write(
            self.service("db", more=share + 'health-cmd = "test -e /signal/go"\nhealth-interval = "100ms"\nhealth-retries = 1000\n')
            + self.service("migrate", ["/bin/sh", "-c", "echo migrate >>/signal/order"],
                           share + 'depends_on = { db = "healthy" }')
            + self.service("web", ["/bin/sh", "-c", "echo web >>/signal/order; " + IDLE[2]],
                           share + 'depends_on = { migrate = "completed" }')
            + self.service("free", ["/bin/sh", "-c", "echo free >>/signal/order; " + IDLE[2]], share))
        # It goes on by what it says, so that it can be looked at meanwhile.
        process = subprocess.Popen([*self.host.enter(), RUNTIME, "--root", self.root, "compose", "up", "-f", self.file],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close(), process.stderr.close()))
        wait_until(lambda: (signal / "order").exists(), "the one that waits for nobody")
        wait_until(lambda: self.ps()["db"]["state"] == "running", "db")
        self.assertEqual((signal / "order").read_text(), "free\n")
        self.assertEqual(self.ps()["web"]["state"], "absent")
        (signal / "go").touch()
        self.assertEqual(process.wait(60), 0)
        wait_until(lambda: "web" in (signal / "order").read_text(), "web")
        self.assertEqual((signal / "order").read_text(), "free\nmigrate\nweb\n")
        states = self.ps()
        self.assertEqual((states["db"]["health"], states["migrate"]["state"], states["migrate"]["exitStatus"]),
                         ("healthy", "ended", 0))
        self.assertEqual(set(self.plan().values()), {"keep"})

    def test_where_no_copy_could_run(self):
        self.write(self.service("web"))
        mounts = "".join(f"mount -t tmpfs -o mode=1777,noexec none {path}; " for path in ("/run", "/dev/shm"))
        result = command(["unshare", "--mount", "sh", "-ec", mounts + 'exec "$@"', "sh", *self.host.enter(), RUNTIME, "--root", self.root,
                          "compose", "up", "-f", self.file])
        self.assertEqual(result.status, 1, result)
        self.assertIn("web: rootfs: /run/nucleus-sandbox-0/compose.", result.err)
        self.assertIn("mounted noexec; all is as it was before", result.err)

    def test_a_person_sees_what_is_waited_for(self):
        self.write(self.service("db", more='health-cmd = "sleep 2.5"\nhealth-interval = "100ms"\nhealth-timeout = "30s"')
                   + self.service("web", more='depends_on = { db = "healthy" }'))
        status, text = on_terminal([*self.host.enter(), RUNTIME, "--root", self.root, "compose", "up", "-f", self.file])
        self.assertEqual(status, 0, text)
        self.assertRegex(text, "waiting for db: [12] s\\x1b\\[K")
        self.assertTrue(text.endswith("\r\x1b[K"), text)

    def test_down_in_the_other_order(self):
        signal = self.directory / "signal"
        signal.mkdir()
        wait = lambda name: ["/bin/sh", "-c", f"trap 'echo {name} >>/signal/order; exit 0' TERM; while :; do sleep 0.05; done"]
        share = f'volume = ["{signal}:/signal:rw"]\n'
        self.write(self.service("db", wait("db"), share) + self.service("web", wait("web"), share + 'depends_on = ["db"]'))
        self.up()
        self.assertOk(self.compose("down"))
        self.assertEqual((signal / "order").read_text(), "web\ndb\n")

    def test_one_that_fails_is_rolled_back(self):
        self.write(self.service("web") + self.service("db"))
        self.up()
        web = self.init("web")
        good = self.file.read_text()
        self.write(self.service("web")
                   + self.service("db", ["/bin/sh", "-c", "echo broken disk; exit 3"],
                                  'health-cmd = "false"\nhealth-interval = "100ms"')
                   + self.service("new", more='depends_on = { db = "healthy" }'))
        result = self.compose("up")
        self.assertEqual(result.status, 1, result)
        self.assertIn("db: ended with status 3 before it was healthy", result.err)
        self.assertIn("all is as it was before", result.err)
        self.assertIn("db | broken disk", result.err)
        self.assertEqual(self.init("web"), web)
        states = self.ps()
        self.assertEqual((states["db"]["state"], states["new"]["state"]), ("running", "absent"))
        self.file.write_text(good)
        self.assertEqual(set(self.plan().values()), {"keep"})

    def test_unhealthy(self):
        self.write(self.service("db", more='health-cmd = "echo no room; false"\nhealth-interval = "50ms"\nhealth-retries = 2'))
        result = self.compose("up")
        self.assertEqual(result.status, 1)
        self.assertIn("db: is not healthy: no room", result.err)
        self.assertEqual(self.ps()["db"]["state"], "absent")
        self.assertEqual([p for p in memory_directories() if self.project in p.name], [])

    def test_one_that_has_failed_is_started_again(self):
        self.write(self.service("job", ["/bin/sh", "-c", "exit 3"]) + self.service("done", ["/bin/true"]))
        self.up()
        wait_until(lambda: {s["state"] for s in self.ps().values()} == {"ended"}, "both ended")
        self.assertEqual(self.plan(), {"job": "start", "done": "keep"})

    def test_logs(self):
        self.write(self.service("web", ["/bin/sh", "-c", "echo one; echo two; echo err >&2; " + IDLE[2]])
                   + self.service("db", ["/bin/sh", "-c", "echo three; " + IDLE[2]]))
        self.up()
        wait_until(lambda: "err" in self.compose("logs", "web").err and "three" in self.compose("logs", "db").out, "lines")
        self.assertEqual(self.compose("logs", "web").out, "one\ntwo\n")
        self.assertEqual(self.compose("logs", "-n", "1", "web").err, "err\n")
        self.assertEqual(set(self.compose("logs").out.splitlines()), {"web | one", "web | two", "db  | three"})
        self.assertFails(self.compose("logs", "weeb"), "there is no service weeb, did you mean web?")

    def test_logs_follow_until_the_end(self):
        go = self.directory / "go"
        go.mkdir()
        self.write(self.service("web", ["/bin/sh", "-c", "echo one; while ! test -e /go/go; do sleep 0.05; done; echo two"],
                                f'volume = ["{go}:/go"]'))
        self.up()
        process = subprocess.Popen([*self.host.enter(), RUNTIME, "--root", self.root, "compose", "-f", self.file, "logs", "-f"],
                                   stdout=subprocess.PIPE)
        self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close()))
        self.assertEqual(process.stdout.readline(), b"one\n")
        (go / "go").touch()
        self.assertEqual(process.stdout.read(), b"two\n")

    def test_a_bundle(self):
        self.process["args"] = IDLE
        Case.write(self)
        self.write(f'[services.web]\nbundle = "{self.bundle}"\n')
        self.up()
        self.assertEqual(self.ps()["web"]["state"], "running")
        self.assertEqual(self.plan(), {"web": "keep"})

    def test_another_one_at_work(self):
        signal = self.directory / "signal"
        signal.mkdir()
        self.write(self.service("db", more=f'volume = ["{signal}:/signal:ro"]\nhealth-cmd = "test -e /signal/go"\n'
                                           'health-interval = "100ms"\nhealth-retries = 1000\n'))
        process = subprocess.Popen([*self.host.enter(), RUNTIME, "--root", self.root, "compose", "up", "-f", self.file],
                                   stdout=subprocess.DEVNULL)
        self.addCleanup(lambda: (process.kill(), process.wait()))
        wait_until(lambda: self.ps()["db"]["state"] == "running", "db")
        self.assertFails(self.compose("down"), "another command is at work on it")
        (signal / "go").touch()
        self.assertEqual(process.wait(60), 0)


class Volumes(ComposeCase):
    def test_persistent_and_ephemeral(self):
        script = ["/bin/sh", "-c", "for d in /keep /lose; do cat $d/file 2>/dev/null || echo new; echo here >$d/file; done; " + IDLE[2]]
        self.write(self.service("web", script, 'volume = ["keep:/keep:rw", "lose:/lose:rw"]')
                   + self.service("reader", more='volume = ["keep:/keep", "lose:/lose"]\ndepends_on = ["web"]')
                   + '[volumes.keep]\nowner = "4242:4242"\n[volumes.lose]\nkind = "ephemeral"\n')
        self.up()
        wait_until(lambda: self.compose("logs", "web").out == "new\nnew\n", "the first look")
        # Read-only to another one, and its own as well.
        self.assertEqual(self.inside("reader", "/bin/cat", "/keep/file", "/lose/file"), "here\nhere\n")
        self.assertEqual(self.inside("reader", "/bin/stat", "-c", "%u", "/keep/file"), "1000\n")
        self.assertNotEqual(self.runtime("exec", self.identity("reader"), "/bin/touch", "/keep/x").status, 0)
        kept = pathlib.Path(f"{self.root}-volumes") / self.project / "keep"
        self.assertEqual(((kept / "file").read_text(), (kept / "file").stat().st_uid), ("here\n", 4242))
        self.assertOk(self.compose("down"))
        self.assertTrue(kept.exists())
        self.up()
        wait_until(lambda: self.compose("logs", "web").out == "here\nnew\n", "the second look")
        self.assertOk(self.compose("down", "--volumes"))
        self.assertFalse(kept.exists())

    def test_of_another_owner(self):
        self.write(self.service("web") + '[volumes.keep]\nowner = "1:1"\n')
        self.up()
        self.write(self.service("web") + '[volumes.keep]\nowner = "2:2"\n')
        self.assertFails(self.compose("up"), "volumes.keep", "not a directory of 2:2")

    def test_secrets(self):
        (self.directory / "token").write_text("hidden-in-a-file")
        self.write(self.service("web", more='secret = ["token", "word:/run/word"]')
                   + '[secrets.token]\nfile = "token"\n[secrets.word]\nenv = "WORD_OF_THE_TEST"\n')
        self.assertOk(self.compose("up", env={**os.environ, "WORD_OF_THE_TEST": "hidden-in-a-variable"}))
        self.assertEqual(self.inside("web", "/bin/cat", "/run/secrets/token", "/run/word"), "hidden-in-a-filehidden-in-a-variable")
        self.assertEqual(self.inside("web", "/bin/stat", "-c", "%a %u", "/run/word"), "400 1000\n")
        # Nowhere else: no argument, no state, no log, no bundle but the file itself.
        own = [path for path in memory_directories() if self.project in path.name]
        self.assertEqual(len(own), 1)
        for base in (self.root, pathlib.Path(f"{self.root}-services"), *own):
            for path in pathlib.Path(base).rglob("*"):
                if path.is_file() and "secrets" not in path.parts:
                    self.assertNotIn(b"hidden-in", path.read_bytes(), path)
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                self.assertNotIn(b"hidden-in", pathlib.Path(f"/proc/{pid}/cmdline").read_bytes())
            except OSError:
                pass


class Networks(ComposeCase):
    def server(self, name, networks, more=""):
        script = "while :; do /bin/netprobe listen 8080; done"
        return self.service(name, ["/bin/sh", "-c", script], more, networks)

    def reach(self, service, other):
        """ "ok", or why not: by the other one's name. """
        answer = self.inside(service, "/bin/netprobe", "dns", "127.0.0.53", other, 1).split()
        if answer[0] != "0":
            return f"rcode {answer[0]}"
        return self.inside(service, "/bin/netprobe", "tcp", answer[1], 8080).split()[0]

    def test_members_of_one_network_and_of_others(self):
        self.write(self.server("web", ["front"]) + self.server("app", ["front", "back"]) + self.server("db", ["back"])
                   + self.server("alone", []) .replace("networks = []", 'networks = ["other"]')
                   + "[networks.front]\n[networks.back]\n[networks.other]\n")
        self.up()
        wait_until(lambda: self.reach("web", "app") == "ok", "servers")
        self.assertEqual(self.reach("app", "db"), "ok")
        self.assertEqual(self.reach("db", "app"), "ok")
        self.assertEqual(self.reach("web", "db"), "rcode 5")
        self.assertEqual(self.reach("alone", "web"), "rcode 5")
        # Not by the address either.
        address = self.inside("app", "/bin/netprobe", "dns", "127.0.0.53", "db", 1).split()[1]
        for service in ("web", "alone"):
            self.assertNotEqual(self.inside(service, "/bin/netprobe", "tcp", address, 8080).split()[0], "ok")
        # Nor anything beyond.
        self.assertOk(self.compose("down"))
        self.assertEqual(set(self.host.links()), {"lo"})
        self.assertEqual(self.host.run("nft", "list", "tables"), "")

    def test_one_that_is_made_anew_keeps_its_name(self):
        self.write(self.server("web", ["front"]) + self.server("db", ["front"]) + "[networks.front]\n")
        self.up()
        wait_until(lambda: self.reach("web", "db") == "ok", "servers")
        web = self.init("web")
        self.write(self.server("web", ["front"]) + self.server("db", ["front"], 'env = ["A=1"]') + "[networks.front]\n")
        self.up()
        self.assertEqual(self.init("web"), web)
        wait_until(lambda: self.reach("web", "db") == "ok", "the new one")

    @unittest.skipUnless(RUNSC, "runsc is not installed")
    def test_of_gvisors_among_others(self):
        """What one of gVisor's sees it says in its log: its exec takes no filter with older runscs."""
        ask = "/bin/netprobe dns $(sed -n 's/^nameserver //p' /etc/resolv.conf) %s 1"
        script = (f"uname -r; until set -- $({ask % 'db'}); [ \"$1\" = 0 ] && r=$(/bin/netprobe tcp $2 8080) && "
                  f"[ \"${{r%% *}}\" = ok ]; do sleep 0.1; done; echo reached db; {ask % 'alone'}; "
                  "while :; do /bin/netprobe listen 8080; done")
        self.write(self.service("web", ["/bin/sh", "-c", script], 'runtime = "gvisor"\npublish = ["8081:8080"]', ["front"])
                   + self.server("db", ["front"]) + self.server("alone", ["other"]) + "[networks.front]\n[networks.other]\n")
        self.up()
        wait_until(lambda: self.reach("db", "web") == "ok", "its server")
        kernel, *lines = self.compose("logs", "web").out.splitlines()
        self.assertNotEqual(kernel, os.uname().release)
        self.assertEqual([line.split()[0] for line in lines[:2]], ["reached", "5"])
        self.assertEqual(self.reach("alone", "web"), "rcode 5")
        wait_until(lambda: self.host.run(NETPROBE, "tcp", "127.0.0.1", "8081").split()[0] == "ok", "the published port")
        self.assertOk(self.compose("down"))
        self.assertEqual(set(self.host.links()), {"lo"})

    def test_published_ports_and_egress(self):
        self.write(self.server("web", ["front"], 'publish = ["8080:8080"]\nallow = ["192.0.2.0/24:tcp/80"]\ndeny = ["192.0.2.9"]')
                   + "[networks.front]\n")
        self.up()
        probe = lambda: self.host.run(NETPROBE, "tcp", "127.0.0.1", "8080").split()[0]
        wait_until(lambda: probe() == "ok", "the published port")
        rules = json.loads(self.runtime("egress", "--json", self.identity("web")).out)["tables"][0]["sets"]
        self.assertTrue(any(name.startswith("deny") for name in rules), rules)
        self.assertTrue(any(name.startswith("allow_ports") for name in rules), rules)


@unittest.skipUnless(os.path.isdir("/run/systemd/system"), "systemd does not run here: for the virtual machine (vm/run.sh)")
class Units(ComposeCase):
    """Each service is a unit of systemd's, which orders them and knows their health. In systemd's own namespaces."""

    def compose(self, *words, **keywords):
        return command([RUNTIME, "--root", self.root, "compose", *words, "-f", self.file], **keywords)

    def unit(self, service):
        return f"nucleus-{self.identity(service)}.service"

    def show(self, service, name):
        result = command(["systemctl", "show", "--property", name, "--value", self.unit(service)])
        self.assertOk(result)
        return result.out.strip()

    def test_units_and_their_order(self):
        self.write(self.service("db", more='health-cmd = "true"\nhealth-interval = "100ms"')
                   + self.service("web", more='depends_on = { db = "healthy" }'))
        self.up()
        self.assertEqual((self.show("db", "ActiveState"), self.show("db", "Type")), ("active", "notify"))
        self.assertEqual((self.show("web", "ActiveState"), self.show("web", "Type")), ("active", "exec"))
        self.assertIn(self.unit("db"), self.show("web", "After").split())
        self.assertIn(self.unit("db"), self.show("web", "Wants").split())
        self.assertEqual({s["state"] for s in self.ps().values()}, {"running"})
        self.assertEqual(self.up(), "nothing to do\n")
        self.assertOk(self.compose("down"))
        for service in ("db", "web"):
            wait_until(lambda: self.show(service, "LoadState") == "not-found", "no unit")  # pylint: disable=cell-var-from-loop

    def test_active_only_once_it_is_healthy(self):
        signal = self.directory / "signal"
        signal.mkdir()
        self.write(self.service("db", more=f'volume = ["{signal}:/signal:ro"]\nhealth-cmd = "test -e /signal/go"\n'
                                           'health-interval = "100ms"\nhealth-retries = 1000\n'))
        process = subprocess.Popen([RUNTIME, "--root", self.root, "compose", "up", "-f", self.file], stdout=subprocess.DEVNULL)
        self.addCleanup(lambda: (process.kill(), process.wait()))
        wait_until(lambda: self.ps()["db"]["state"] == "running", "db")
        self.assertEqual(self.show("db", "ActiveState"), "activating")
        (signal / "go").touch()
        self.assertEqual(process.wait(60), 0)
        wait_until(lambda: self.show("db", "ActiveState") == "active", "an active unit")

    def test_systemctl_stop(self):
        self.write(self.service("web") + self.service("db"))
        self.up()
        self.assertOk(command(["systemctl", "stop", self.unit("web")]))
        self.assertEqual(self.ps()["db"]["state"], "running")
        self.assertEqual(self.ps()["web"]["state"], "ended")

    def test_one_that_does_not_start(self):
        self.write(self.service("web") + self.service("db", ["/bin/absent"]))
        result = self.compose("up")
        self.assertEqual(result.status, 1)
        self.assertIn("/bin/absent", result.err)
        self.assertIn("all is as it was before", result.err)
        for service in ("db", "web"):
            wait_until(lambda: self.show(service, "LoadState") == "not-found", "no unit")  # pylint: disable=cell-var-from-loop

    def test_only_what_differs(self):
        self.write(self.service("web", more='depends_on = ["db"]') + self.service("db"))
        self.up()
        web, db = self.init("web"), self.init("db")
        self.write(self.service("web", more='depends_on = ["db"]') + self.service("db", more='env = ["A=1"]'))
        self.up()
        self.assertEqual(self.init("web"), web)
        self.assertNotEqual(self.init("db"), db)

    def test_another_unit_while_the_one_before_is_referred_to(self):
        self.write(self.service("web", more='depends_on = ["db"]') + self.service("db"))
        self.up()
        before = self.init("web")
        self.write(self.service("web", more='depends_on = ["db"]') + self.service("db", more='health-cmd = "true"'))
        result = self.compose("up")
        self.assertEqual(result.status, 1, result)
        self.assertIn("systemd keeps it as it was before", result.err)
        self.assertEqual(self.init("web"), before)
        self.assertEqual(self.ps()["db"]["state"], "running")
        self.assertOk(self.compose("down"))
        self.up()
        self.assertEqual(self.show("db", "Type"), "notify")


class Supervise(ComposeCase):
    """What a unit of systemd's executes; here somebody else does."""

    def test_as_a_process_of_its_own(self):
        self.write(self.service("web"))
        self.up()
        spec = next(path for base in memory_directories() if self.project in base.name for path in base.glob("*.spec"))
        kept = self.directory / "spec"
        shutil.copy(spec, kept)
        self.assertOk(self.runtime("stop", self.identity("web")))
        process = subprocess.Popen([*self.host.enter(), RUNTIME, "--root", self.root, "compose", "supervise", kept])
        self.addCleanup(lambda: (process.kill(), process.wait()))
        wait_until(lambda: self.ps()["web"]["state"] == "running", "web")
        self.assertEqual(self.plan(), {"web": "keep"})
        process.terminate()
        self.assertEqual(process.wait(60), 0)
        self.assertEqual(self.ps()["web"]["state"], "ended")

    def test_one_that_does_not_start(self):
        spec = self.directory / "spec"
        self.write(self.service("web"))
        spec.write_text(json.dumps({"id": self.identity("web"), "runner": ["run", "--bundle", "/nowhere", self.identity("web")]}))
        result = command([RUNTIME, "--root", self.root, "compose", "supervise", spec])
        self.assertEqual(result.status, 1)
        self.assertIn("/nowhere", pathlib.Path(f"{spec}.failed").read_text())


class Ordinary(ComposeCase):
    """Of a user that is not root."""

    @classmethod
    def setUpClass(cls):
        if test_rootless.MISSING:
            raise unittest.SkipTest(f"not here: {' '.join(test_rootless.MISSING)}")
        cls.user = test_rootless.User()
        cls.addClassCleanup(cls.user.close)
        cls.addClassCleanup(shutil.rmtree, f"/dev/shm/nucleus-sandbox-{cls.user.uid}", ignore_errors=True)
        if command([RUNTIME, "--version"], **cls.user.as_user(), env=cls.user.env).status != 0:
            raise unittest.SkipTest("an ordinary user may not come to where the program is built")

    def setUp(self):
        super().setUp()
        self.user.give(self.directory)

    def compose(self, *words, **keywords):
        return command([RUNTIME, "--root", self.root, "compose", *words, "-f", self.file], env=self.user.env,
                       **self.user.as_user(), **keywords)

    def test_up_and_down(self):
        self.write('[services.web]\ncommand = ["/bin/sh", "-c", "id -u; cat /run/secrets/s; echo; exec sleep 1000"]\n'
                   'volume = ["data:/data:rw"]\nsecret = ["s"]\nstop-signal = "KILL"\n[volumes.data]\n[secrets.s]\nfile = "s"\n')
        (self.directory / "s").write_text("hidden")
        self.up()
        wait_until(lambda: self.compose("logs").out == "1000\nhidden\n", "its lines")
        self.assertEqual(self.plan(), {"web": "keep"})
        self.assertOk(self.compose("down", "--volumes"))
        self.assertFalse((pathlib.Path(f"{self.root}-volumes") / self.project).exists())

    def test_no_networks(self):
        self.write('[services.web]\ncommand = ["/bin/true"]\nnetworks = ["a"]\n[networks.a]\n')
        self.assertFails(self.compose("up"), "networks take the host's root")


@unittest.skipUnless(PROBE, "no probe")
class Killed(ComposeCase):
    def test_up_that_is_killed_goes_on_from_there(self):
        signal = self.directory / "signal"
        signal.mkdir()
        self.write(self.service("db", more=f'volume = ["{signal}:/signal:ro"]\nhealth-cmd = "test -e /signal/go"\n'
                                           'health-interval = "100ms"\nhealth-retries = 1000\n')
                   + self.service("web", more='depends_on = { db = "healthy" }'))
        process = subprocess.Popen([*self.host.enter(), RUNTIME, "--root", self.root, "compose", "up", "-f", self.file],
                                   stdout=subprocess.DEVNULL)
        self.addCleanup(lambda: (process.kill(), process.wait()))
        wait_until(lambda: self.ps()["db"]["state"] == "running", "db")
        process.kill()
        process.wait()
        (signal / "go").touch()
        self.assertEqual(self.plan(), {"db": "keep", "web": "create"})
        db = self.init("db")
        self.up()
        self.assertEqual(self.init("db"), db)
        self.assertEqual(self.ps()["web"]["state"], "running")


if __name__ == "__main__":
    main()
