"""runtime.md's operations from end to end, and rules of config.md that belong to no field in particular."""

import array
import os
import socket

from harness import IS_NUCLEUS, Case, ids, main, rule, wait_until

VERBS = ("state", "start", "kill", "delete")


class Operations(Case):
    def marker(self):
        """The container's program leaves a file."""
        self.sh("echo ran > /tmp/ran; exec sleep 1000")
        return self.rootfs / "tmp/ran"

    @rule("MUST", "runtime.md#query-state", "without an id, or of one that does not exist: error")
    @rule("MUST", "runtime.md#start", "of one that is not created: error, and no effect")
    @rule("MUST", "runtime.md#kill", "of one that is neither created nor running: error, and no effect")
    @rule("MUST", "runtime.md#delete", "without an id, or of one that does not exist: error")
    def test_without_an_id(self):
        for verb in VERBS:
            with self.subTest(verb=verb):
                self.assertNotEqual(self.runtime(verb).status, 0)

    @rule("MUST", "runtime.md#query-state", "without an id, or of one that does not exist: error")
    @rule("MUST", "runtime.md#start", "of one that is not created: error, and no effect")
    @rule("MUST", "runtime.md#kill", "of one that is neither created nor running: error, and no effect")
    @rule("MUST", "runtime.md#delete", "without an id, or of one that does not exist: error")
    def test_of_an_unknown_id(self):
        for verb in VERBS:
            with self.subTest(verb=verb):
                result = self.runtime(verb, self.id)
                self.assertNotEqual(result.status, 0, result)
                if IS_NUCLEUS:
                    self.assertIn("does not exist", result.err)
        self.assertNothingLeft()

    @rule("MUST", "runtime.md#create", "without an id or a bundle: error")
    def test_create_without_an_id_or_a_bundle(self):
        self.write()
        self.assertNotEqual(self.runtime("create", "--bundle", self.bundle).status, 0)
        self.assertNotEqual(self.runtime("create", self.id, cwd=self.root.parent).status, 0)
        self.assertNotEqual(self.runtime("create", "--bundle", self.directory / "missing", self.id).status, 0)
        self.assertNothingLeft()

    @rule("MUST", "runtime.md#create", "the user's program is not run")
    def test_create_does_not_run_the_program(self):
        ran = self.marker()
        self.assertOk(self.create())
        self.assertEqual(self.status(), "created")
        self.assertFalse(ran.exists())
        self.assertOk(self.delete("--force"))
        self.assertFalse(ran.exists())

    @rule("MUST", "runtime.md#start", "runs the program of process")
    def test_start_runs_the_program(self):
        ran = self.marker()
        self.assertOk(self.create())
        self.assertOk(self.start())
        self.assertEqual(self.status(), "running")
        wait_until(ran.exists, "the program runs")

    @rule("MUST", "runtime.md#create", "what cannot be applied: error, and no container")
    def test_what_cannot_be_applied_leaves_no_container(self):
        for change in ({"sysctl": {"net.nucleus.none": "1"}}, {"resources": {"cpu": {"cpus": "4000"}}},
                       {"namespaces": [{"type": "pid", "path": "/nucleus-test/missing"}]}):
            with self.subTest(change):
                kept = dict(self.linux)
                self.linux.update(change)
                self.assertRefused(next(iter(change)) if "resources" not in change else "cpu")
                self.assertNotEqual(self.runtime("state", self.id).status, 0)
                self.config["linux"] = kept

    def test_the_mount_namespace_of_the_caller_is_as_before(self):
        def seen():
            with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
                return [line for line in file if str(self.directory) in line]
        before = seen()
        self.running()
        self.assertEqual(seen(), before)
        self.assertOk(self.delete("--force"))
        self.assertEqual(seen(), before)


class ConsoleSize(Case):
    SIZE = {"height": 33, "width": 99}

    @rule("MUST", "config.md#process", "process.consoleSize is ignored where terminal is false")
    def test_ignored_without_a_terminal(self):
        self.process.update({"terminal": False, "consoleSize": self.SIZE})
        self.process["args"] = ["/bin/sh", "-c", "[ -t 0 ] || echo no terminal"]
        self.assertEqual(self.output(), "no terminal\n")

    @rule("MUST", "config.md#process", "process.consoleSize is the size of the terminal")
    def test_size_of_the_terminal(self):
        path = self.directory / "console.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind(str(path))
            server.listen()
            server.settimeout(20)
            self.process.update({"terminal": True, "consoleSize": self.SIZE})
            self.sh("stty size > /tmp/size; mv /tmp/size /tmp/told; exec sleep 1000")
            self.assertOk(self.create("--console-socket", path))
            connection, _ = server.accept()
            with connection:
                _, control, _, _ = connection.recvmsg(4096, socket.CMSG_SPACE(16))
            masters = array.array("i", control[0][2])
            self.addCleanup(os.close, masters[0])
        self.assertOk(self.start())
        wait_until((self.rootfs / "tmp/told").exists, "the size as the process sees it")
        self.assertEqual((self.rootfs / "tmp/told").read_text(), "33 99\n")


class Unknown(Case):
    @rule("MUST", "config.md#extensibility", "unknown properties are ignored (commandLine and username of Windows among them)")
    def test_properties_of_other_platforms_are_ignored(self):
        self.config.update({"windows": {"layerFolders": []}, "solaris": {}, "vm": {"kernel": {"path": "/none"}}, "zos": {}})
        self.process["commandLine"] = "other.exe"
        self.process["user"]["username"] = "somebody"
        self.config["linux"]["fromTheFuture"] = {"a": [1, 2, {"b": None}]}
        facts = self.probe("facts")
        self.assertEqual(facts["uids"], ids(0))


class IntelRdt(Case):
    @rule("MUST", "config-linux.md#intelrdt", "an error where resctrl is not mounted")
    def test_each_property_is_an_error_without_resctrl(self):
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            if any(" - resctrl " in line for line in file):
                self.skipTest("this host has resctrl")
        for value in ({"closID": "nucleus-test"}, {"l3CacheSchema": "L3:0=f"}, {"memBwSchema": "MB:0=20"},
                      {"schemata": ["L3:0=f"]}, {"enableMonitoring": True}):
            with self.subTest(value):
                self.linux["intelRdt"] = value
                self.assertRefused("intelRdt")


if __name__ == "__main__":
    main()
