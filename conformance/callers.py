"""What the tests of real callers share: the runtime's absolute path, a terminal, and a look at what a caller leaves."""

import contextlib
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import time

from harness import RUNTIME, TIMEOUT, Result, wait_until

RUNTIME_PATH = os.path.realpath(shutil.which(RUNTIME) or RUNTIME)


def on_terminal(args, *, say=(), env=None, timeout=TIMEOUT):
    """Runs a program on a terminal of its own. `say` is a list of (text to wait for, text to type)."""
    pid, master = pty.fork()
    if pid == 0:
        try:
            os.execvpe(str(args[0]), [str(a) for a in args], env or os.environ)
        finally:
            os._exit(127)
    seen, sent, said, end = b"", 0, list(say), time.monotonic() + timeout
    try:
        while True:
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
                raise AssertionError(f"no end within {timeout} s on a terminal: {args}\n{seen!r}")
            if not select.select([master], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(master, 65536)
            except OSError:  # EIO: nobody has the other side any more
                break
            if not data:
                break
            seen += data
            if said and said[0][0].encode() in seen[sent:]:
                sent = len(seen)
                os.write(master, said.pop(0)[1].encode())
    finally:
        os.close(master)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return Result(args, status, seen.decode(errors="replace"), "")


def processes_naming(text):
    """Processes with `text` in their command line, but this one."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if text in line and int(pid) != os.getpid():
                found.append((int(pid), line))
    return found


def cgroups_below(name):
    """Cgroups below any directory called `name` at the top of the host's hierarchies."""
    found = []
    for top in pathlib.Path("/sys/fs/cgroup").glob(f"*/{name}"):
        found += [str(path) for path in top.rglob("*") if path.is_dir()]
    return found


def remove_cgroups(name):
    """Removes the cgroups called `name` at the top of the host's hierarchies, what is below, and who is in them."""
    for top in pathlib.Path("/sys/fs/cgroup").glob(f"*/{name}"):
        for file in top.rglob("cgroup.procs"):
            for pid in file.read_text().split():
                with contextlib.suppress(OSError):
                    os.kill(int(pid), signal.SIGKILL)
            with contextlib.suppress(AssertionError):
                wait_until(lambda: not file.read_text(), "an empty cgroup", 5)
        for path in sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True):
            with contextlib.suppress(OSError):
                path.rmdir()
        with contextlib.suppress(OSError):
            top.rmdir()


def cgroup_file(pid, controller, name):
    """The text of a file of the process's cgroup, as the host sees it (v1, or v2 where there is no such v1 controller)."""
    for line in pathlib.Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return pathlib.Path(f"/sys/fs/cgroup/{controller}{path}/{name}").read_text().strip()
    raise AssertionError(f"process {pid} is in no cgroup of {controller}")


def unmount_all(lines):
    for line in reversed(lines):
        subprocess.run(["umount", "-l", line.split()[4]], check=False, capture_output=True)


def scratch():
    """Where a caller's storage goes: memory where the host has it, for an image is copied for every container."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
