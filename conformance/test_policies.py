"""dev.nucleus.policy.*: pinned documents that narrow what config.json grants, for the first process and for every exec."""

import errno
import hashlib
import json
import os
import shutil
import tomllib
import unittest

try:
    import jsonschema
except ImportError:
    jsonschema = None

from harness import GVISOR, IS_NUCLEUS, PROJECT, RUNTIME, Case, capability_names, command, landlock_abi, main

GETPGID, GETSID, UNAME, BIND = 121, 124, 63, 49  # x86_64


def digest(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


@unittest.skipUnless(IS_NUCLEUS, "annotations of nucleus")
class Policy(Case):
    def policy(self, kind, text, name=None, pin=True):
        """Writes a policy into the bundle and names it in the annotations."""
        name = name or f"{kind}.policy"
        (self.bundle / name).write_text(text)
        self.annotate(f"policy.{kind}", f"{name}@{digest(text)}" if pin else name)

    def annotate(self, key, value):
        self.config.setdefault("annotations", {})[f"dev.nucleus.{key}"] = value

    def seccomp(self, *names, code=errno.EPROTO):
        self.policy("seccomp", json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": list(names), "action": "SCMP_ACT_ERRNO", "errnoRet": code}]}))

    def landlock(self, *rules, more=""):
        text = more + "\n"
        for path, *access in rules:
            text += f"[[rules]]\npath = \"{path}\"\naccess = {json.dumps(access)}\n"
        self.policy("landlock", text)

    def answers(self, *calls):
        """Of the container's first process, and of one more."""
        self.running()
        return [self.exec_probe("syscall", number) for number in calls]


class Seccomp(Policy):
    def test_alone(self):
        self.seccomp("getpgid")
        self.assertEqual(self.probe("syscall", GETPGID)["errno"], "EPROTO")

    def test_beside_config_jsons_own_the_stricter_counts(self):
        self.linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["getsid"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EXDEV}]}
        self.seccomp("getpgid")
        answers = self.answers(GETPGID, GETSID, UNAME)
        self.assertEqual([answer["errno"] for answer in answers[:2]], ["EPROTO", "EXDEV"])
        self.assertEqual(answers[2]["errno"] or "EFAULT", "EFAULT")

    def test_first_process_and_exec_alike(self):
        self.seccomp("getpgid")
        self.process["args"] = ["/bin/probe", "syscall", str(GETPGID)]
        self.assertEqual(json.loads(self.output())["errno"], "EPROTO")
        self.assertEqual(self.answers(GETPGID)[0]["errno"], "EPROTO")

    @unittest.skipIf(GVISOR, "exec asks runsc")
    def test_exec_has_the_filter_wherever_it_is_kept(self):
        """With the policies, or in a file of its own where there are none."""
        denied = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["getpgid"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPROTO}]}
        for name, kept in (("policy", "policies"), ("profile", "seccomp.bpf"), ("profile and policy", "policies")):
            with self.subTest(name):
                self.config.pop("annotations", None)
                self.linux.pop("seccomp", None)
                if name == "policy":
                    self.policy("seccomp", json.dumps(denied))
                else:
                    self.linux["seccomp"] = denied
                if name == "profile and policy":
                    self.policy("capabilities", "keep = []")
                self.assertEqual(self.answers(GETPGID)[0]["errno"], "EPROTO")
                state = self.root / self.id
                self.assertEqual((state / "seccomp.bpf").exists(), kept == "seccomp.bpf")
                # What is no filter any more, or not there: no process without one.
                kept = state / kept
                content = kept.read_bytes()
                kept.write_bytes(content.replace(b"nucbpf", b"NUCBPF"))
                self.assertFails(self.exec("/bin/true"), "seccomp.bpf", status=255)
                kept.unlink()
                self.assertNotEqual(self.exec("/bin/true").status, 0)
                kept.write_bytes(content)
                self.assertOk(self.exec("/bin/true"))
                # As an earlier version has it.
                if kept.name == "policies":
                    text, _, filter_ = content.rpartition(b"seccomp.bpf ")
                    kept.write_bytes(text)
                    self.assertNotEqual(self.exec("/bin/true").status, 0)
                    (state / "seccomp.bpf").write_bytes(filter_.partition(b"\n")[2])
                    self.assertEqual(self.exec_probe("syscall", GETPGID)["errno"], "EPROTO")
                self.assertOk(self.delete("--force"))

    def test_two_agents_cannot_listen(self):
        notify = {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/nowhere", "syscalls": [
            {"names": ["getpgid"], "action": "SCMP_ACT_NOTIFY"}]}
        self.linux["seccomp"] = notify
        self.policy("seccomp", json.dumps(notify))
        self.assertRefused("SCMP_ACT_NOTIFY", "only one agent")


class Capabilities(Policy):
    def names(self, facts):
        return {name: capability_names(mask) for name, mask in facts["capabilities"].items()}

    def test_intersection(self):
        self.add_capabilities("CAP_CHOWN", "CAP_SYS_ADMIN")
        self.policy("capabilities", 'keep = ["CAP_CHOWN", "CAP_NET_ADMIN"]')
        for facts in (self.hold(), self.exec_probe("facts")):
            sets = self.names(facts)
            self.assertEqual(sets["bounding"], {"CAP_CHOWN"})
            self.assertEqual(sets["effective"], {"CAP_CHOWN"})
            self.assertEqual(sets["inheritable"], set())

    def test_set_by_set(self):
        self.add_capabilities("CAP_CHOWN", "CAP_KILL")
        self.policy("capabilities", '[bounding]\nkeep = ["CAP_CHOWN", "CAP_KILL"]\n[permitted]\nkeep = ["CAP_KILL"]\n')
        sets = self.names(self.hold())
        self.assertEqual(sets["bounding"], {"CAP_CHOWN", "CAP_KILL"})
        # execve makes the effective set of root's permitted one.
        self.assertEqual(sets["permitted"], {"CAP_KILL"})

    def test_exec_cannot_add_what_the_policy_has_not(self):
        self.policy("capabilities", 'keep = ["CAP_KILL"]')
        self.running()
        result = self.exec("/bin/probe", "facts", flags=("--cap", "CAP_SYS_ADMIN", "--cap", "CAP_KILL"))
        self.assertOk(result)
        sets = self.names(json.loads(result.out))
        self.assertEqual(sets["bounding"], {"CAP_KILL"})
        self.assertEqual(sets["effective"], {"CAP_KILL"})


ROOT = ("/", "read", "execute")


@unittest.skipUnless(landlock_abi() >= 1, "the kernel has no Landlock")
class Landlock(Policy):
    def test_what_no_rule_grants_is_refused(self):
        (self.rootfs / "secret").write_text("x")
        self.landlock(("/bin", "read", "execute"), ("/tmp", "read", "write", "create"))
        script = "echo 1 > /tmp/new; echo 2 > /other; read x < /secret; ls / ; ls /bin > /dev/null && echo listed"
        self.sh(script)
        result = self.run_container()
        self.assertEqual(result.out, "listed\n", result)
        self.assertEqual(result.err.count("ermission denied"), 3, result)
        self.assertTrue((self.rootfs / "tmp/new").exists())
        self.assertFalse((self.rootfs / "other").exists())

    def test_read_is_not_execute(self):
        self.landlock(("/bin/sh", "read", "execute"), ("/bin/busybox", "read", "execute"), ("/", "read"))
        shutil.copy(self.rootfs / "bin/probe", self.rootfs / "tmp/probe")
        self.sh("/tmp/probe clock; echo $?")
        result = self.run_container()
        self.assertEqual(result.out, "126\n", result)

    def test_exec_too(self):
        self.landlock(ROOT)
        self.running()
        self.assertEqual(self.exec("/bin/sh", "-c", "echo 1 > /tmp/x").status, 1)
        self.assertFalse((self.rootfs / "tmp/x").exists())

    def test_an_ordinary_user_with_and_without_no_new_privileges(self):
        for value in (True, False):
            self.process["noNewPrivileges"] = value
            self.process["user"] = {"uid": 1000, "gid": 1000}
            self.landlock(ROOT)
            (self.rootfs / "tmp").chmod(0o1777)
            self.sh("grep NoNewPrivs /proc/self/status; grep CapEff /proc/self/status; echo 1 > /tmp/x || echo refused")
            result = self.run_container()
            self.assertIn(f"NoNewPrivs:\t{int(value)}", result.out)
            self.assertIn("CapEff:\t0000000000000000", result.out)
            self.assertIn("refused", result.out)

    def test_beside_seccomp(self):
        self.landlock(ROOT)
        self.seccomp("getpgid")
        self.assertEqual(self.probe("syscall", GETPGID)["errno"], "EPROTO")

    def test_devices_stay_usable(self):
        self.landlock(("/bin", "read", "execute"))
        self.assertEqual(self.output("echo x > /dev/null && head -c 1 /dev/zero | wc -c; head -c 1 /dev/urandom | wc -c"),
                         "1\n1\n")

    def test_a_path_that_is_not_there(self):
        self.landlock(("/nowhere", "read"))
        self.assertRefused("landlock", "/nowhere", "no such file or directory")

    def test_a_right_that_a_file_cannot_have(self):
        (self.rootfs / "file").write_text("")
        self.landlock(("/file", "read", "create"))
        self.assertRefused("landlock", "/file", "no directory")

    def test_a_link_leads_no_further_than_the_root(self):
        (self.rootfs / "out").symlink_to("../../../../../../../../../../etc")
        (self.rootfs / "etc/inside").write_text("inside")
        self.landlock(("/bin", "read", "execute"), ("/out", "read"))
        self.assertEqual(self.output("cat /etc/inside"), "inside")

    def test_a_newer_kernel_is_needed(self):
        self.landlock(ROOT, more="min_abi = 99")
        self.assertRefused("dev.nucleus.policy.landlock", "needs Landlock ABI 99")

    @unittest.skipUnless(landlock_abi() >= 4, "the kernel's Landlock knows nothing of TCP")
    def test_tcp(self):
        self.landlock(ROOT, more="tcp = []")
        # Without a route the answer would be another one.
        self.assertEqual(self.output("nc -w 1 127.0.0.1 9 2>&1 || true").strip().rpartition(": ")[2], "Permission denied")

    def test_what_it_was_created_with_holds(self):
        self.landlock(ROOT)
        self.sh("echo 1 > /tmp/x || echo refused; exec sleep 1000")
        self.assertOk(self.create())
        (self.bundle / "landlock.policy").write_text("")
        (self.bundle / "config.json").write_text("{}")
        self.assertOk(self.start())
        self.assertEqual(self.exec("/bin/sh", "-c", "echo 1 > /tmp/x").status, 1)
        self.assertFalse((self.rootfs / "tmp/x").exists())


class Pins(Policy):
    TEXT = 'keep = []'

    def assertPinRefused(self, pin, *words):
        self.annotate("policy.capabilities", pin)
        self.assertRefused('annotations["dev.nucleus.policy.capabilities"]', *words)

    def test_files(self):
        file = self.bundle / "p"
        file.write_text(self.TEXT)
        good = "@" + digest(self.TEXT)
        self.annotate("policy.capabilities", f"p{good}")
        self.assertOk(self.create())
        self.assertOk(self.delete())
        self.annotate("policy.capabilities", f"{file}{good}")
        self.assertOk(self.create())
        self.assertOk(self.delete())
        self.assertPinRefused("p@" + digest("other"), digest(self.TEXT)[7:], digest("other")[7:])
        self.assertPinRefused("absent" + good, "absent", "no such file or directory")
        (self.bundle / "link").symlink_to("p")
        self.assertPinRefused("link" + good, "a symbolic link")
        self.assertPinRefused(f"{self.bundle}/link" + good, "a symbolic link")
        (self.bundle / "out").symlink_to("/etc")
        self.assertPinRefused("out/passwd" + good, "a symbolic link")
        self.assertPinRefused("../p" + good, "must not leave the bundle")
        os.mkfifo(self.bundle / "fifo")
        self.assertPinRefused("fifo" + good, "not a regular file")
        self.assertPinRefused("/dev/zero" + good, "not a regular file")
        self.assertPinRefused("rootfs" + good, "not a regular file")
        with open(self.bundle / "huge", "w") as huge:
            huge.truncate(1 << 30)
        self.assertPinRefused("huge" + good, "larger than")
        file.chmod(0o666)
        self.assertPinRefused("p" + good, "everybody may write to it")

    def test_mistakes_name_the_line(self):
        for kind, text, words in (
                ("capabilities", '\nkeep = ["CAP_FLY"]', ("capabilities.policy:2: keep[0]", "CAP_FLY")),
                ("landlock", "\n\nrules = 1", ("landlock.policy:3: rules",)),
                ("seccomp", '{"defaultAction": "SCMP_ACT_ALLOW",\n"x": 1}', ("seccomp.policy:2: x: unknown key",)),
                ("seccomp", json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                    {"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"}]}), ("no_such_call",)),
                ("egress", "\nlog = 1", ("egress.policy:2: log",))):
            with self.subTest(kind=kind, text=text):
                self.config["annotations"] = {}
                self.policy(kind, text)
                self.assertRefused(f'annotations["dev.nucleus.policy.{kind}"]', *words)

    def test_egress(self):
        """That it holds: test_egress.py."""
        self.policy("egress", 'inbound = ["tcp/80"]')
        self.sh("true")
        self.assertOk(self.run_container())

    def test_without_a_digest_there_is_a_warning(self):
        self.policy("capabilities", self.TEXT, pin=False)
        self.sh("true")
        result = self.run_container()
        self.assertOk(result)
        self.assertIn("no digest is pinned", result.err)
        self.assertIn(digest(self.TEXT), result.err)

    def test_swapped_between_the_steps(self):
        """Whatever becomes of the files after create has read them changes nothing."""
        self.policy("capabilities", 'keep = ["CAP_KILL"]')
        self.add_capabilities("CAP_SYS_ADMIN")
        swap = self.bundle / "swap"
        swap.write_text(f"#!/bin/sh\necho 'keep = [\"CAP_SYS_ADMIN\"]' > {self.bundle}/capabilities.policy\n")
        swap.chmod(0o755)
        for hook in ("prestart", "createRuntime", "createContainer"):
            with self.subTest(hook=hook):
                self.config["hooks"] = {hook: [{"path": str(swap)}]}
                self.policy("capabilities", 'keep = ["CAP_KILL"]')
                self.sh("grep CapBnd /proc/self/status; exec sleep 1000")
                self.assertOk(self.create())
                self.assertOk(self.start())
                facts = self.exec_probe("facts")
                self.assertEqual(capability_names(facts["capabilities"]["bounding"]), {"CAP_KILL"})
                self.assertOk(self.delete("--force"))
                # The next create sees the change.
                self.config["hooks"] = {}
                self.assertRefused("pinned is")


class ConfigDigest(Policy):
    def test_right_and_wrong(self):
        self.sh("true")
        self.write()
        text = (self.bundle / "config.json").read_text()
        self.assertOk(self.run_container("--config-digest", digest(text)))
        self.assertFails(self.run_container("--config-digest", digest(text + " ")), "config.json", "pinned is")
        self.assertFails(self.create("--config-digest", digest(text + " ")), "config.json", "pinned is")
        self.assertNothingLeft()
        for bad in ("sha256:", "0" * 64, "sha256:" + "G" * 64, "sha512:" + "0" * 128):
            self.assertFails(self.create("--config-digest", bad), "--config-digest")


class Commands(Policy):
    def test_pin(self):
        (self.bundle / "p").write_text("x")
        result = command([RUNTIME, "policy", "pin", self.bundle / "p"])
        self.assertOk(result)
        self.assertEqual(result.out, f"{self.bundle}/p@{digest('x')}\n")
        result = command([os.path.abspath(RUNTIME), "policy", "pin", "p", "absent"], cwd=self.bundle)
        self.assertEqual(result.status, 1)
        self.assertEqual(result.out, f"p@{digest('x')}\n")
        self.assertIn("absent", result.err)

    def test_verify(self):
        self.policy("capabilities", "keep = []")
        self.policy("landlock", "min_abi = 1")
        self.write()
        text = (self.bundle / "config.json").read_text()
        result = command([RUNTIME, "policy", "verify", self.bundle])
        self.assertOk(result)
        self.assertEqual(result.out.splitlines(), [
            f"ok config.json config.json@{digest(text)}",
            f"ok capabilities capabilities.policy@{digest('keep = []')}",
            f"ok landlock landlock.policy@{digest('min_abi = 1')}"])
        (self.bundle / "landlock.policy").write_text("min_abi = 2")
        result = command([RUNTIME, "policy", "verify", self.bundle])
        self.assertEqual(result.status, 1)
        self.assertIn("landlock: landlock.policy: is " + digest("min_abi = 2"), result.err)
        self.assertIn("ok capabilities", result.out)
        self.policy("landlock", "min_abi = 0")
        self.write()
        result = command([RUNTIME, "policy", "verify", self.bundle])
        self.assertEqual(result.status, 1)
        self.assertIn("landlock.policy:1: min_abi", result.err)

    def test_usage(self):
        for words in ((), ("pin",), ("verify",), ("verify", "a", "b"), ("show", "a")):
            result = command([RUNTIME, "policy", *words])
            self.assertEqual(result.status, 1, result)
            self.assertNotEqual(result.err, "")
        self.assertFails(command([RUNTIME, "policy", "verify", self.directory / "none"]), "config.json")


POLICIES = PROJECT / "policies"


class Documents(Policy):
    """The examples and schemas that ship: each example is what its schema says, and is taken."""

    def documents(self):
        for file in sorted((POLICIES / "examples").iterdir()):
            kind = file.stem.partition("-")[0]
            schema = json.loads((POLICIES / "schema" / f"{kind}.schema.json").read_text())
            text = file.read_text()
            yield file, kind, schema, tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)

    def test_examples_are_taken(self):
        for file, kind, schema, document in self.documents():
            with self.subTest(file=file.name):
                self.config["annotations"] = {}
                self.policy(kind, file.read_text())
                self.write()
                self.assertOk(command([RUNTIME, "policy", "verify", self.bundle]))

    @unittest.skipIf(jsonschema is None, "no python3-jsonschema here")
    def test_examples_are_as_their_schemas_say(self):
        for file, kind, schema, document in self.documents():
            with self.subTest(file=file.name):
                validator = jsonschema.Draft202012Validator(schema)
                validator.check_schema(schema)
                self.assertEqual([error.message for error in validator.iter_errors(document)], [])

    @unittest.skipIf(jsonschema is None, "no python3-jsonschema here")
    def test_schemas_refuse_what_nucleus_refuses(self):
        for kind, text in (("capabilities", {"keep": ["CAP_FLY"]}), ("capabilities", {"kept": []}),
                           ("landlock", {"rules": [{"path": "usr", "access": ["read"]}]}),
                           ("landlock", {"rules": [{"path": "/usr", "access": ["fly"]}]}), ("landlock", {"min_abi": 0}),
                           ("egress", {"allow": [{}]}), ("egress", {"allow": [{"cidr": "10.0.0.1", "ports": ["443"]}]}),
                           ("egress", {"broker": {"endpoint": "10.0.0.1:1"}, "dns": {}}),
                           ("seccomp", {}), ("seccomp", {"defaultAction": "SCMP_ACT_ALLOW", "x": 1})):
            with self.subTest(kind=kind, text=text):
                schema = json.loads((POLICIES / "schema" / f"{kind}.schema.json").read_text())
                self.assertFalse(jsonschema.Draft202012Validator(schema).is_valid(text))


if __name__ == "__main__":
    main()
