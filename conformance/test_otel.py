"""OpenTelemetry: the spans of commands, as a receiver of OTLP/HTTP gets them; and that no receiver is ever waited for.

The receiver is an HTTP server in a network namespace of the test's own, and so is the runtime.
"""

import ctypes
import http.server
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import unittest

from harness import IS_NUCLEUS, RUNTIME, Case, NetworkNamespace, command, is_alive, main, wait_until
from test_compose import ComposeCase

HELPER = pathlib.Path(RUNTIME).resolve().parent.parent / "nucleus-otel"
RUNSC = command(["sh", "-c", "command -v runsc"]).status == 0
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SECRET = "hunter2"


def socket_in(namespace):
    """A listening socket of that network namespace: a thread goes there to make it."""
    made = []

    def make():
        with open(namespace.path, "rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), 0x40000000) != 0:  # CLONE_NEWNET
                made.append(OSError(ctypes.get_errno(), "setns"))
                return
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        made.append(listener)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


class Receiver:
    """Answers each request with the next of `statuses`, and then with 200; None: never. What has come is in `requests`."""

    def __init__(self, case, namespace):
        self.requests, self.statuses = [], []
        self.released = threading.Event()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = receiver.statuses.pop(0) if receiver.statuses else 200
                receiver.requests.append((self.path, self.headers, json.loads(body)))
                if status is None:
                    receiver.released.wait(60)
                    return
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        self.server.socket.close()
        self.server.socket = socket_in(namespace)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.socket.getsockname()[1]}"
        thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        thread.start()
        case.addCleanup(self.server.server_close)
        case.addCleanup(thread.join)
        case.addCleanup(self.server.shutdown)
        case.addCleanup(self.released.set)

    def take(self, count=1):
        """The spans of each request, as many as were awaited, by their names."""
        wait_until(lambda: len(self.requests) >= count, f"{count} requests of spans")
        return [spans_of(body) for _, _, body in self.requests]


def attributes(entries):
    return {entry["key"]: entry["value"].get("stringValue", entry["value"].get("intValue")) for entry in entries}


def spans_of(body):
    spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
    for span in spans:
        span["attributes"] = attributes(span["attributes"]) if isinstance(span["attributes"], list) else span["attributes"]
    return {span["name"]: span for span in spans}


class OtelTests:
    """What the tests share; mixed into a Case. `host` is the namespace."""

    def set_up_receiver(self):
        self.receiver = Receiver(self, self.host)
        self.variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": self.receiver.url}
        self.addCleanup(self.no_sender_is_left)

    def environment(self):
        others = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "TRACE"))}
        return {**others, **self.variables}

    def senders(self):
        """Processes of nucleus-otel in the namespace of this test."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if (os.path.samefile(f"/proc/{pid}/ns/net", self.host.path) and
                        pathlib.Path(f"/proc/{pid}/comm").read_text() == "nucleus-otel\n" and is_alive(pid)):
                    found.append(int(pid))
            except OSError:
                pass
        return found

    def no_sender_is_left(self):
        self.receiver.released.set()
        wait_until(lambda: not self.senders(), "no nucleus-otel")


@unittest.skipUnless(IS_NUCLEUS, "of nucleus")
class Otel(OtelTests, Case):
    def setUp(self):
        super().setUp()
        self.host = NetworkNamespace(self)
        self.host.ip("link", "set", "lo", "up")
        self.set_up_receiver()
        self.log = self.directory / "log"
        # While there is the namespace.
        self.addCleanup(lambda: self.runtime("delete", "--force", self.id))

    def runtime(self, *args, **keywords):
        keywords.setdefault("env", self.environment())
        return command([*self.host.enter(), RUNTIME, "--root", self.root, "--log", self.log, *args], **keywords)

    def logged(self):
        return self.log.read_text() if self.log.exists() else ""

    def wait_logged(self, words):
        wait_until(lambda: words in self.logged(), f"{words} in the log")

    # ---- what is in them

    def test_run(self):
        self.config["annotations"] = {"dev.nucleus.mode": "agent"}
        self.assertOk(self.run_container())
        spans = self.receiver.take()[0]
        self.assertEqual(list(spans), ["nucleus run", "bundle", "plan", "rootfs", "create", "start", "process", "delete"])
        run = spans["nucleus run"]
        self.assertNotIn("parentSpanId", run)
        self.assertEqual(run["kind"], 1)
        self.assertEqual(run["status"], {})
        self.assertGreater(int(run["attributes"].pop("process.pid")), 0)
        self.assertEqual(run["attributes"], {"container.id": self.id, "nucleus.bundle": str(self.bundle), "nucleus.mode": "agent",
                                             "nucleus.backend": "native", "process.exit.code": "0"})
        before = int(run["startTimeUnixNano"])
        for name, span in list(spans.items())[1:]:
            self.assertEqual(span["parentSpanId"], run["spanId"])
            self.assertLessEqual(before, int(span["startTimeUnixNano"]), name)
            before = int(span["endTimeUnixNano"])
            self.assertLessEqual(int(span["startTimeUnixNano"]), before, name)
        self.assertLessEqual(before, int(run["endTimeUnixNano"]))
        self.assertEqual({span["traceId"] for span in spans.values()}, {run["traceId"]})
        self.assertRegex(run["traceId"], "^[0-9a-f]{32}$")
        self.assertEqual(len({span["spanId"] for span in spans.values()}), len(spans))
        path, headers, body = self.receiver.requests[0]
        self.assertEqual(path, "/v1/traces")
        self.assertEqual(headers["Content-Type"], "application/json")
        resource = attributes(body["resourceSpans"][0]["resource"]["attributes"])
        version = command([RUNTIME, "--version"]).out.split()[2]
        self.assertEqual(resource, {"service.name": "nucleus", "service.version": version, "host.name": socket.gethostname(),
                                    "telemetry.sdk.name": "nucleus", "telemetry.sdk.language": "cpp",
                                    "telemetry.sdk.version": version})

    def test_a_life_below_the_callers_span(self):
        self.variables |= {"TRACEPARENT": f"00-{TRACE}-{PARENT}-01", "TRACESTATE": "vendor=1"}
        self.sh("exec sleep 1000")
        self.assertOk(self.create())
        self.assertOk(self.start())
        self.assertOk(self.exec("/bin/true"))
        self.assertOk(self.runtime("pause", self.id))
        self.assertOk(self.runtime("resume", self.id))
        self.assertOk(self.runtime("update", "--pids-limit", "100", self.id))
        self.assertOk(self.kill())
        self.wait_stopped()
        self.assertOk(self.delete())
        names = ["create", "start", "exec", "pause", "resume", "update", "kill", "delete"]
        spans = {name: span for request in self.receiver.take(len(names)) for name, span in request.items()}
        for name in names:
            span = spans[f"nucleus {name}"]
            self.assertEqual((span["traceId"], span["parentSpanId"], span["traceState"]), (TRACE, PARENT, "vendor=1"), name)
            self.assertEqual(span["flags"], 0x301, name)
            found = span["attributes"]
            self.assertEqual((found["container.id"], found["nucleus.bundle"], found["nucleus.mode"], found["nucleus.backend"]),
                             (self.id, str(self.bundle), "plain", "native"), name)
        self.assertEqual(len(self.receiver.requests), len(names))

    def test_what_only_looks_makes_none(self):
        self.running()
        self.receiver.take(2)
        for words in (["state", self.id], ["list"], ["ps", self.id], ["events", "--stats", self.id], ["features"], ["--version"],
                      ["--help"], ["run", "--help"], ["explain", self.bundle]):
            self.assertOk(self.runtime(*words))
        self.assertFails(self.runtime("create", "--bundel", "x", self.id), "flag provided but not defined")
        self.assertFails(self.runtime("craete", self.id), "unknown command")
        # The next one is the next that comes.
        self.assertOk(self.kill())
        self.assertIn("nucleus kill", self.receiver.take(3)[2])
        wait_until(lambda: not self.senders(), "no nucleus-otel")
        self.assertEqual(len(self.receiver.requests), 3)

    def test_errors(self):
        self.process["args"] = ["/bin/no-such-" + SECRET, "--password=" + SECRET]
        self.process["env"].append("PASSWORD=" + SECRET)
        self.assertFails(self.create(), "no such file or directory")
        spans = self.receiver.take()[0]
        create = spans["nucleus create"]
        self.assertEqual(create["status"], {"code": 2, "message": "unable to start container process: exec: ...: no such file or directory"})
        self.assertEqual(create["attributes"]["error.type"], "ENOENT")
        self.assertEqual(create["attributes"]["process.exit.code"], "1")
        # The stage in which it failed is the last that there is.
        self.assertEqual(list(spans)[-1], "create")
        self.assertEqual(spans["create"]["status"], create["status"])
        self.assertEqual([name for name, span in spans.items() if span["status"]], ["nucleus create", "create"])
        self.config["annotations"] = {"dev.nucleus.mode": "no-such-mode"}
        self.assertFails(self.create(), "dev.nucleus.mode")
        self.assertEqual(list(self.receiver.take(2)[1]), ["nucleus create", "bundle"])
        self.assertFails(self.runtime("start", "none"), "container does not exist")
        self.assertEqual(self.receiver.take(3)[2]["nucleus start"]["status"], {"code": 2, "message": "container does not exist"})

    def test_statuses_of_the_workload(self):
        self.sh("exit 3")
        self.assertEqual(self.run_container().status, 3)
        run = self.receiver.take()[0]["nucleus run"]
        self.assertEqual(run["attributes"]["process.exit.code"], "3")
        self.assertEqual(run["status"], {"code": 2, "message": "ended with status 3"})

    def test_nothing_of_the_workload(self):
        self.process["env"].append("TOKEN=" + SECRET)
        self.sh(f": {SECRET}; sleep 1000")
        self.assertOk(self.create())
        self.assertOk(self.start())
        self.assertOk(self.exec("/bin/echo", SECRET, flags=["--env", "KEY=" + SECRET]))
        self.assertFails(self.exec(SECRET, SECRET, flags=["--env", "KEY=" + SECRET]), "executable file not found", status=255)
        self.assertFails(self.exec("/bin/true", flags=["--cwd", "/" + SECRET]), "no such file", status=255)
        self.receiver.take(5)
        self.assertNotIn(SECRET, json.dumps([body for _, _, body in self.receiver.requests]))

    def test_gvisor(self):
        if not RUNSC:
            self.skipTest("runsc is not installed")
        self.config["annotations"] = {"dev.nucleus.runtime": "gvisor"}
        self.config["mounts"] = [mount for mount in self.config["mounts"] if mount["type"] != "mqueue"]
        self.sh("exit 4")
        self.assertEqual(self.run_container().status, 4)
        spans = self.receiver.take()[0]
        self.assertEqual(list(spans), ["nucleus run", "bundle", "plan", "rootfs", "create", "start", "process", "delete"])
        self.assertEqual(spans["nucleus run"]["attributes"]["nucleus.backend"], "gvisor")
        self.assertEqual(spans["nucleus run"]["attributes"]["process.exit.code"], "4")
        wait_until(lambda: not self.senders(), "no nucleus-otel")
        self.assertEqual(len(self.receiver.requests), 1)

    # ---- what the variables say

    def test_nothing_without_an_endpoint(self):
        self.variables = {"OTEL_SERVICE_NAME": "shop", "OTEL_TRACES_EXPORTER": "otlp", "TRACEPARENT": f"00-{TRACE}-{PARENT}-01"}
        self.write()
        trace = self.directory / "strace"
        result = command([*self.host.enter(), "strace", "-f", "-e", "trace=execve,execveat,memfd_create", "-o", trace, RUNTIME,
                          "--root", self.root, "run", "--bundle", self.bundle, self.id], env=self.environment())
        self.assertOk(result)
        self.assertIn("/bin/true", trace.read_text())
        self.assertNotIn("nucleus-otel", trace.read_text())
        self.assertNotIn("spans", trace.read_text())
        self.assertEqual(self.receiver.requests, [])

    def test_switched_off(self):
        for more in ({"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""},
                     {"TRACEPARENT": f"00-{TRACE}-{PARENT}-00"}):
            with self.subTest(**more):
                result = self.run_container(env={**self.environment(), **more})
                self.assertOk(result)
                self.assertEqual((result.out, result.err, self.logged()), ("", "", ""))
                self.assertEqual(self.senders(), [])
        self.assertEqual(self.receiver.requests, [])

    def test_headers_and_resource(self):
        self.variables |= {"OTEL_EXPORTER_OTLP_HEADERS": f"x-key={SECRET}%20a,x-other=1", "OTEL_SERVICE_NAME": "shop",
                           "OTEL_RESOURCE_ATTRIBUTES": "service.name=lost,deployment.environment=test%2Done"}
        self.assertOk(self.run_container())
        self.receiver.take()
        _, headers, body = self.receiver.requests[0]
        self.assertEqual((headers["x-key"], headers["x-other"]), (SECRET + " a", "1"))
        resource = attributes(body["resourceSpans"][0]["resource"]["attributes"])
        self.assertEqual(resource["service.name"], "shop")
        self.assertEqual(resource["deployment.environment"], "test-one")
        self.assertNotIn(SECRET, json.dumps(body) + self.logged())

    def test_the_variables_of_traces_win(self):
        other = Receiver(self, self.host)
        self.variables |= {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": other.url + "/own/path", "OTEL_EXPORTER_OTLP_HEADERS": "a=1",
                           "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "b=2"}
        self.assertOk(self.run_container())
        other.take()
        path, headers, _ = other.requests[0]
        self.assertEqual((path, headers["a"], headers["b"]), ("/own/path", None, "2"))
        self.assertEqual(self.receiver.requests, [])

    def test_what_is_not_possible_is_said(self):
        for more, words, count in (
                ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "only http/json is spoken; no spans are sent", 0),
                ({"OTEL_TRACES_EXPORTER": "zipkin"}, "no exporter but otlp", 0),
                ({"OTEL_EXPORTER_OTLP_ENDPOINT": "127.0.0.1:4317"}, "is no URL of http or https", 0),
                ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "only http/json is spoken, and spans are sent in it", 1),
                ({"OTEL_RESOURCE_ATTRIBUTES": "a=1,b"}, "member 2 is not NAME=VALUE", 1),
                ({"OTEL_EXPORTER_OTLP_HEADERS": "b"}, "member 1 is not NAME=VALUE", 1),
                ({"OTEL_EXPORTER_OTLP_TIMEOUT": "soon"}, "no number of milliseconds", 1),
                ({"OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}, "spans are sent as they are", 1)):
            with self.subTest(**more):
                self.receiver.requests.clear()
                self.log.unlink(missing_ok=True)
                result = self.run_container(env={**self.environment(), **more})
                self.assertOk(result)
                self.assertEqual((result.out, result.err), ("", ""))
                self.wait_logged(words)
                self.receiver.take(count)
                wait_until(lambda: not self.senders(), "no nucleus-otel")
                self.assertEqual(len(self.receiver.requests), count)
                self.assertEqual(len(self.logged().splitlines()), 1, self.logged())
        # Without a log a person is told, once.
        self.write()
        result = command([*self.host.enter(), RUNTIME, "--root", self.root, "run", "--bundle", self.bundle, self.id],
                         env={**self.environment(), "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
        self.assertOk(result)
        self.assertEqual(result.err, "nucleus: warning: telemetry: OTEL_EXPORTER_OTLP_PROTOCOL grpc: only http/json is spoken; "
                                     "no spans are sent\n")

    # ---- receivers that do not do what they should

    def test_a_receiver_that_hangs(self):
        self.variables["OTEL_EXPORTER_OTLP_TIMEOUT"] = "60000"
        self.receiver.statuses = [None] * 2
        self.sh("echo out; echo err >&2; exit 5")
        self.write()
        # Through pipes, which are read to their ends: nobody holds them who waits for the receiver.
        result = subprocess.run([*self.host.enter(), RUNTIME, "--root", self.root, "run", "--bundle", self.bundle, self.id],
                                env=self.environment(), capture_output=True, timeout=50, check=False, stdin=subprocess.DEVNULL)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (5, b"out\n", b"err\n"))
        self.receiver.take(1)
        self.assertFalse(self.receiver.released.is_set())
        sender = self.senders()
        self.assertEqual(len(sender), 1)
        # It holds nothing of the container's or the caller's, and has no power.
        held = {os.readlink(f"/proc/{sender[0]}/fd/{fd}") for fd in os.listdir(f"/proc/{sender[0]}/fd")}
        self.assertLessEqual({re.sub(r"[\[(].*", "", link) for link in held},
                             {"/dev/null", "/memfd:spans ", "socket:", "anon_inode:", "pipe:"})
        self.assertEqual(os.readlink(f"/proc/{sender[0]}/cwd"), "/")
        status = pathlib.Path(f"/proc/{sender[0]}/status").read_text()
        self.assertRegex(status, r"(?m)^CapEff:\s+0{16}$")
        self.assertRegex(status, r"(?m)^NoNewPrivs:\s+1$")
        self.assertNotEqual(os.getsid(sender[0]), os.getsid(0))
        self.assertFalse((self.root / self.id).exists())
        # Who ends it waits a second.
        os.kill(sender[0], 15)
        wait_until(lambda: not self.senders(), "end after SIGTERM")
        self.assertFalse(self.receiver.released.is_set())

    def test_the_sender_has_an_end(self):
        self.variables["OTEL_EXPORTER_OTLP_TIMEOUT"] = "300"
        self.receiver.statuses = [None] * 3
        self.assertOk(self.run_container())
        self.receiver.take(1)
        wait_until(lambda: not self.senders(), "its end")
        self.assertFalse(self.receiver.released.is_set())
        self.assertIn("telemetry: spans are lost: ", self.logged())
        self.assertEqual(len(self.logged().splitlines()), 1)
        self.assertEqual(len(self.receiver.requests), 1)

    def test_nobody_listens(self):
        with socket_in(self.host) as free:
            port = free.getsockname()[1]
        self.variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{port}"
        self.sh("echo out; echo err >&2; exit 5")
        result = self.run_container()
        self.assertEqual((result.status, result.out, result.err), (5, "out\n", "err\n"))
        self.wait_logged("telemetry: spans are lost: ")
        self.assertEqual(len(self.logged().splitlines()), 1)

    def test_one_that_fails(self):
        self.receiver.statuses = [500]
        result = self.run_container()
        self.assertOk(result)
        self.assertEqual((result.out, result.err), ("", ""))
        self.wait_logged("telemetry: spans are lost: the receiver answers with status 500")
        wait_until(lambda: not self.senders(), "no nucleus-otel")
        self.assertEqual(len(self.receiver.requests), 1)

    def test_one_that_is_busy_is_asked_again(self):
        self.receiver.statuses = [503, 429]
        self.assertOk(self.run_container())
        bodies = self.receiver.take(3)
        self.assertEqual(bodies[0], bodies[2])
        wait_until(lambda: not self.senders(), "no nucleus-otel")
        self.assertEqual(self.logged(), "")

    def test_one_that_sends_elsewhere_is_not_followed(self):
        self.receiver.statuses = [307]
        self.assertOk(self.run_container())
        self.wait_logged("status 307")

    def test_a_log_of_json_lines(self):
        self.receiver.statuses = [400]
        self.write()
        self.assertOk(self.runtime("--log-format", "json", "run", "--bundle", self.bundle, self.id))
        self.wait_logged("status 400")
        line = json.loads(self.logged())
        self.assertEqual((line["level"], line["msg"]), ("warning", "telemetry: spans are lost: the receiver answers with status 400"))

    def test_without_the_program(self):
        self.write()
        build, place = HELPER.parent, self.directory / "overlay"
        place.mkdir()
        # In a mount namespace of its own, where the build has everything but that program.
        script = (f"mount -t tmpfs tmpfs {place} && mkdir {place}/upper {place}/work && mount -t overlay overlay "
                  f"-o lowerdir={build},upperdir={place}/upper,workdir={place}/work {build} && rm {HELPER} || exit 99\n")
        run = f"'{RUNTIME}' --root '{self.root}' --log '{self.log}' run --bundle '{self.bundle}' {self.id}"
        result = command([*self.host.enter(), "unshare", "-m", "sh", "-c", script + run], env=self.environment())
        self.assertOk(result)
        self.assertEqual((result.out, result.err), ("", ""))
        self.assertIn(f"telemetry: open {HELPER}: no such file or directory", self.logged())
        self.assertEqual(self.receiver.requests, [])
        doctor = command(["unshare", "-m", "sh", "-c", f"{script}'{RUNTIME}' doctor --json"])
        self.assertEqual(json.loads(doctor.out)["programs"]["nucleus-otel"], "no")
        features = command(["unshare", "-m", "sh", "-c", f"{script}'{RUNTIME}' features"])
        self.assertEqual(json.loads(features.out)["annotations"]["dev.nucleus.telemetry.otlp"], "none")

    def test_it_is_told_where_there_is_one(self):
        self.assertEqual(json.loads(self.runtime("doctor", "--json").out)["programs"]["nucleus-otel"], "yes")
        self.assertEqual(json.loads(self.runtime("features").out)["annotations"]["dev.nucleus.telemetry.otlp"], "http/json")

    # ---- front ends

    def test_a_sandbox(self):
        self.directory.chmod(0o755)
        result = self.runtime("sandbox", "--name", self.id, "--env", "TRACEPARENT", "--", "/bin/sh", "-c",
                              "echo ${TRACEPARENT:-none}; exit 6",
                              env={**self.environment(), "TRACEPARENT": f"00-{TRACE}-{PARENT}-01"})
        self.assertEqual((result.status, result.out, result.err), (6, f"00-{TRACE}-{PARENT}-01\n", ""))
        run, sandbox = sorted(self.receiver.take(2), key=lambda spans: "nucleus sandbox" in spans)
        self.assertEqual(list(sandbox), ["nucleus sandbox", "prepare", "process", "return"])
        sandbox, run = sandbox["nucleus sandbox"], run["nucleus run"]
        self.assertEqual((sandbox["traceId"], sandbox["parentSpanId"]), (TRACE, PARENT))
        self.assertEqual((run["traceId"], run["parentSpanId"]), (TRACE, sandbox["spanId"]))
        for span in (sandbox, run):
            self.assertEqual(span["attributes"]["container.id"], self.id)
            self.assertEqual(span["attributes"]["process.exit.code"], "6")
        self.assertEqual(run["attributes"]["nucleus.mode"], "strict-agent")


@unittest.skipUnless(IS_NUCLEUS, "of nucleus")
class Compose(OtelTests, ComposeCase):
    def test_up_and_down(self):
        self.set_up_receiver()
        self.write(self.service("web", more='health-cmd = "true"\nhealth-interval = "50ms"'))
        for verb in ("up", "down"):
            self.assertOk(self.compose(verb, env=self.environment()))
        wait_until(lambda: any("nucleus compose down" in spans for spans in self.receiver.take()), "the end's span")
        # The service's own comes when its supervisor has ended.
        wait_until(lambda: any("nucleus run" in spans for spans in self.receiver.take()), "the container's span")
        spans = {name: span for request in self.receiver.take() for name, span in request.items()}
        up, run = spans["nucleus compose up"], spans["nucleus run"]
        self.assertEqual(up["attributes"]["nucleus.project"], self.project)
        self.assertEqual((run["traceId"], run["parentSpanId"]), (up["traceId"], up["spanId"]))
        # Checks of a service's health are no part of a life.
        self.assertNotIn("nucleus exec", spans)


if __name__ == "__main__":
    main()
