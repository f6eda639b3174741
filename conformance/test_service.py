"""The units that the NixOS module writes (nix-bundle/tests/units, what test_nix.py compares them with), run by a real systemd.

The units' texts are the checked ones: only the paths of the store and the names are those of the test. Where systemd is not
PID 1 there is nothing to test: the virtual machine has it (vm/run.sh).
"""

import json
import os
import pathlib
import re
import shutil
import signal
import unittest

from harness import BUSYBOX, PROJECT, RUNTIME, Case, cgroup_directories, command, host_mounts, is_alive, main, wait_until

RUNS = os.path.isdir("/run/systemd/system")
NIX = PROJECT / "nix-bundle"
UNITS = pathlib.Path("/run/systemd/system")
ROOT = pathlib.Path("/run/nucleus")  # the one of the units

WEB = """
echo "started with $COLOUR and $(cat /run/credentials/token) and $(cat /run/credentials/key)"
trap 'echo stopping; exit 0' TERM
while [ ! -e /data/go ]; do sleep 0.1; done
/bin/probe notify READY=1
while [ ! -e /data/fail ]; do sleep 0.1; done
echo failing
exit 3
"""


@unittest.skipUnless(RUNS, "systemd is not PID 1 here (vm/run.sh has it)")
class Service(Case):
    def setUp(self):
        super().setUp()
        self.units = {}
        self.addCleanup(self._remove_units)
        self.web, self.db = f"{self.id}-web", f"{self.id}-db"
        self.ids |= {self.web, self.db}
        self.data = self.directory / "data"
        self.data.mkdir()
        self.secrets = self.directory / "secrets"
        self.secrets.mkdir(mode=0o700)
        (self.secrets / "token").write_text("sesame")
        (self.secrets / "key").write_text("open")
        result = command(["systemd-creds", "--with-key=host", "--name=key", "encrypt", self.secrets / "key", self.secrets / "key.cred"])
        self.assertOk(result)
        self.tools = self.directory / "tools"
        self.tools.mkdir()
        for name in ("sh", "sleep", "timeout", "cat", "echo"):
            (self.tools / name).symlink_to(BUSYBOX)
        (self.tools / "systemctl").symlink_to(shutil.which("systemctl"))
        shutil.copy(NIX / "module/health.sh", self.directory / "health.sh")
        self.directory.chmod(0o755)
        del self.linux["cgroupsPath"]
        self.health = "/data/go"

    # ---- the units

    def make(self):
        """Two bundles and the three units of the module's tests: web needs db, and web's health is watched."""
        self.db_digest = self.bundle_of("db", "exec sleep 100000")
        self.config["annotations"] = {"dev.nucleus.credentials": "/run/credentials"}
        self.process["env"].append("COLOUR=100%")
        self.config["mounts"].append({"destination": "/data", "type": "bind", "source": str(self.data), "options": ["bind", "rw"]})
        web_digest = self.bundle_of("web", WEB)
        (self.directory / "web-digest").write_text(f"NUCLEUS_CONFIG_DIGEST={web_digest}\n")
        for name in ("web", "web-health", "db"):
            self.install(name, (NIX / f"tests/units/nucleus-{name}.service").read_text())
        self.assertOk(command(["systemctl", "daemon-reload"]))

    def bundle_of(self, name, script):
        self.sh(script)
        bundle = self.directory / name
        bundle.mkdir()
        (bundle / "config.json").write_text(json.dumps(self.config | {"root": {"path": str(self.rootfs), "readonly": True}}))
        result = command([RUNTIME, "policy", "pin", "config.json"], cwd=bundle)
        self.assertOk(result)
        return "sha256:" + re.search(r"@sha256:([0-9a-f]{64})", result.out).group(1)

    def install(self, name, text):
        for old, new in (
                ("STORE/nucleus/bin/nucleus", RUNTIME), ("STORE/tools/bin", self.tools), ("STORE/health.sh", self.directory / "health.sh"),
                ("STORE/web-digest", self.directory / "web-digest"), ("--bundle STORE/web", f"--bundle {self.directory / 'web'}"),
                ("--bundle STORE/copied", f"--bundle {self.directory / 'db'}"), ("/var/lib/secrets", self.secrets),
                ("/var/lib/web", self.data), ("sha256:" + 64 * "0", self.db_digest),
                ("SyslogIdentifier=web", f"SyslogIdentifier={self.web}"),
                # Its word in the unit is `test "$COLOUR" = 100%` with systemd's escapes: it has to hold as well.
                ('= 100%%"', f'= 100%% -a -e {self.health}"'),
                ("nucleus-web", self.web), ("nucleus-db", self.db)):
            text = text.replace(old, str(new))
        self.assertNotIn("STORE", text)
        path = UNITS / f"{self.id}-{name}.service"
        path.write_text(text)
        self.units[name] = path
        # As NixOS does for wantedBy; what the machine itself would start is left out.
        for wanting in re.findall(r"^WantedBy=(.*\.service)$", text, re.MULTILINE):
            directory = UNITS / f"{wanting}.wants"
            directory.mkdir(exist_ok=True)
            self.addCleanup(shutil.rmtree, directory, ignore_errors=True)
            (directory / path.name).symlink_to(path)

    def systemctl(self, *words):
        return command(["systemctl", *words])

    def show(self, name, unit=None):
        result = self.systemctl("show", "--property", name, "--value", f"{unit or self.web}.service")
        self.assertOk(result)
        return result.out.strip()

    def start_web(self, *, go=True):
        if go:
            (self.data / "go").touch()
        self.assertOk(self.systemctl("start", f"{self.web}.service"))

    def journal(self):
        """What the runtime and the workload have said. The workload is in a scope of its own: --unit would not show it."""
        result = command(["journalctl", "--identifier", self.web, "--output", "cat", "--no-pager"])
        self.assertOk(result)
        return result.out

    def state_of(self, id):
        result = command([RUNTIME, "--root", ROOT, "state", id])
        return json.loads(result.out) if result.status == 0 else None

    def assertGone(self):
        for id in (self.web, self.db):
            self.assertIsNone(self.state_of(id), id)
            self.assertFalse((ROOT / id).exists())
            self.assertEqual(cgroup_directories(f"nucleus-{id}.scope"), [])
        self.assertEqual([line for line in host_mounts(self.directory) if str(self.directory) in line], [])

    def _remove_units(self):
        for path in self.units.values():
            self.systemctl("kill", "--signal=KILL", path.name)
            self.systemctl("stop", path.name)
            self.systemctl("reset-failed", path.name)
            path.unlink()
        self.systemctl("daemon-reload")

    # ---- what is promised

    def test_ready_and_stopped(self):
        self.make()
        self.assertOk(self.systemctl("start", "--no-block", f"{self.web}.service"))
        wait_until(lambda: "started" in self.journal(), "the workload runs", 30)
        self.assertEqual(self.show("ActiveState"), "activating")  # it has not said that it is ready
        self.assertEqual(self.show("ActiveState", self.db), "active")  # Requires= and After=
        (self.data / "go").touch()
        wait_until(lambda: self.show("ActiveState") == "active", "ready", 30)
        self.assertIn("started with 100% and sesame and open\n", self.journal())
        state = self.state_of(self.web)
        self.assertEqual(state["status"], "running")
        self.assertEqual(self.show("MainPID"), str(self.parent(state["pid"])))  # the runtime: it has the exit status
        # The container has a scope of its own.
        self.assertNotEqual(cgroup_directories(f"nucleus-{self.web}.scope"), [])
        self.assertEqual(self.show("Nice"), "5")
        wait_until(lambda: self.show("ActiveState", f"{self.web}-health") == "active", "its health is watched", 30)

        self.assertOk(self.systemctl("stop", f"{self.web}.service"))
        self.assertIn("stopping\n", self.journal())
        self.assertEqual([self.show("Result"), self.show("ExecMainStatus")], ["success", "0"])
        self.assertEqual(self.show("ActiveState", f"{self.web}-health"), "inactive")
        self.assertFalse(is_alive(state["pid"]))
        self.assertOk(self.systemctl("stop", f"{self.db}.service"))
        self.assertGone()

    @staticmethod
    def parent(pid):
        return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

    def test_restarted_when_it_fails(self):
        """With Type=notify too the exit status is seen, and Restart= goes by it."""
        self.make()
        self.start_web()
        first = self.state_of(self.web)["pid"]
        (self.data / "fail").touch()
        wait_until(lambda: int(self.show("NRestarts")) > 0, "restarted", 30)
        (self.data / "fail").unlink()
        wait_until(lambda: (self.state_of(self.web) or {"pid": first})["pid"] != first, "another one", 30)
        wait_until(lambda: self.show("ActiveState") == "active", "ready again", 30)
        result = command(["journalctl", "--no-pager", "--output", "cat", f"UNIT={self.web}.service"])
        self.assertIn("code=exited, status=3", result.out)

    def test_runtime_is_killed(self):
        """kill -9 of what systemd watches: what it leaves is removed, and the service comes back."""
        self.make()
        self.start_web()
        pid = self.state_of(self.web)["pid"]
        os.kill(int(self.show("MainPID")), signal.SIGKILL)
        wait_until(lambda: (self.state_of(self.web) or {"pid": pid})["pid"] != pid, "another one", 30)
        wait_until(lambda: not is_alive(pid), "the first has gone", 30)
        wait_until(lambda: self.show("ActiveState") == "active", "ready again", 30)
        self.assertEqual(len(cgroup_directories(f"nucleus-{self.web}.scope")), 1)

    def test_deaf_to_the_signal(self):
        """After TimeoutStopSec= it is killed, the container with it."""
        self.make()
        config = json.loads((self.directory / "web/config.json").read_text())
        config["process"]["args"] = ["/bin/sh", "-c", "trap '' TERM; /bin/probe notify READY=1; while :; do sleep 0.1; done"]
        (self.directory / "web/config.json").write_text(json.dumps(config))
        digest = command([RUNTIME, "policy", "pin", "config.json"], cwd=self.directory / "web").out.strip().partition("@")[2]
        (self.directory / "web-digest").write_text(f"NUCLEUS_CONFIG_DIGEST={digest}\n")
        self.start_web()
        pid = self.state_of(self.web)["pid"]
        self.assertOk(self.systemctl("stop", f"{self.web}.service"))
        self.assertEqual(self.show("Result"), "timeout")
        self.assertFalse(is_alive(pid))
        self.assertOk(self.systemctl("stop", f"{self.db}.service"))
        self.assertGone()

    def test_unhealthy(self):
        """The command that fails so often in a row has the service restarted."""
        self.health = "/data/well"
        self.make()
        (self.data / "well").touch()
        text = self.units["web-health"].read_text()
        self.assertIn(" 5 10 3 ", text)
        self.units["web-health"].write_text(text.replace(" 5 10 3 ", " 1 10 2 "))
        self.assertOk(self.systemctl("daemon-reload"))
        self.start_web()
        pid = self.state_of(self.web)["pid"]
        (self.data / "well").unlink()
        wait_until(lambda: not is_alive(pid), "ended", 60)
        (self.data / "well").touch()
        wait_until(lambda: self.show("ActiveState") == "active", "active again", 30)
        self.assertNotEqual(self.state_of(self.web)["pid"], pid)
        self.assertIn("unhealthy (2 of 2)", self.journal_of_health())

    def journal_of_health(self):
        return command(["journalctl", "--unit", f"{self.web}-health.service", "--output", "cat", "--no-pager"]).out

    def test_another_bundle(self):
        """A bundle that is not the one of the unit's digest does not run, and nothing is left."""
        self.make()
        path = self.directory / "web/config.json"
        path.write_text(path.read_text() + "\n")
        (self.data / "go").touch()
        text = self.units["web"].read_text()
        self.units["web"].write_text(text.replace("Restart=always", "Restart=no"))
        self.assertOk(self.systemctl("daemon-reload"))
        self.assertNotEqual(self.systemctl("start", f"{self.web}.service").status, 0)
        self.assertEqual([self.show("ActiveState"), self.show("ExecMainStatus")], ["failed", "1"])
        self.assertIn("sha256:", self.journal())
        self.assertNotIn("started", self.journal())
        self.assertOk(self.systemctl("stop", f"{self.db}.service"))
        self.assertGone()


if __name__ == "__main__":
    main()
