"""What Python programs do every day: threads, children, databases, sockets, locks. For test_agent_seccomp.py."""

import asyncio
import concurrent.futures
import fcntl
import hashlib
import mmap
import multiprocessing
import os
import pathlib
import pty
import random
import resource
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import threading
import time
from multiprocessing import shared_memory


def square(value):
    return value * value


def threads():
    results = []
    running = [threading.Thread(target=results.append, args=(i,)) for i in range(8)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    assert sorted(results) == list(range(8))


def children():
    assert subprocess.run(["/bin/sh", "-c", "echo $((6*7)) | cat"], capture_output=True, text=True, check=True).stdout == "42\n"
    pid = os.fork()
    if pid == 0:
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    with multiprocessing.Pool(3) as pool:
        assert pool.map(square, range(10)) == [square(i) for i in range(10)]
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=queue.put, args=(5,))
    process.start()
    assert queue.get() == 5
    process.join()
    with concurrent.futures.ProcessPoolExecutor(2) as executor:
        assert list(executor.map(square, [3])) == [9]
    memory = shared_memory.SharedMemory(create=True, size=100)
    memory.close()
    memory.unlink()


def files():
    with tempfile.TemporaryDirectory() as name:
        database = sqlite3.connect(f"{name}/x.db")
        database.execute("pragma journal_mode=wal")
        database.execute("create table t(a)")
        database.executemany("insert into t values(?)", [(i,) for i in range(1000)])
        database.commit()
        assert database.execute("select sum(a) from t").fetchone()[0] == 499500
        database.close()
        place = pathlib.Path(name)
        (place / "a").write_text("x")
        os.rename(place / "a", place / "b")
        os.link(place / "b", place / "c")
        os.symlink("b", place / "d")
        os.chmod(place / "b", 0o600)
        os.utime(place / "b")
        os.truncate(place / "b", 5)
        os.mkfifo(place / "f")
        os.unlink(place / "f")
        shutil.copytree(place, f"{name}2", symlinks=True)
        shutil.rmtree(f"{name}2")
        with open(place / "m", "w+b") as file:
            file.write(b"x" * 8192)
            file.flush()
            os.fsync(file.fileno())
            mapped = mmap.mmap(file.fileno(), 0)
            mapped[0] = 65
            mapped.flush()
            mapped.close()
            fcntl.flock(file, fcntl.LOCK_EX)
            fcntl.lockf(file, fcntl.LOCK_UN)


async def loopback():
    async def answer(reader, writer):
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.sockets[0].getsockname()[1])
    writer.write(b"hi\n")
    assert await reader.readline() == b"hi\n"
    writer.close()
    server.close()
    process = await asyncio.create_subprocess_exec("/bin/true")
    assert await process.wait() == 0
    await asyncio.to_thread(time.sleep, 0.01)


def sockets():
    asyncio.run(loopback())
    one, other = socket.socketpair()
    socket.send_fds(one, [b"x"], [0])
    assert socket.recv_fds(other, 1, 1)[0] == b"x"
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    datagrams.sendto(b"x", datagrams.getsockname())
    assert datagrams.recvfrom(10)[0] == b"x"
    assert socket.getaddrinfo("127.0.0.1", 80)
    assert socket.if_nameindex()
    ssl.create_default_context()


def signals():
    heard = []
    signal.signal(signal.SIGALRM, lambda *_: heard.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    signal.pause()
    assert heard
    os.kill(os.getpid(), signal.SIGCHLD)


def the_rest():
    hashlib.sha256(b"x")
    random.SystemRandom().random()
    assert len(os.sched_getaffinity(0)) >= 1
    os.nice(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.getrusage(resource.RUSAGE_SELF)
    master, slave = pty.openpty()
    os.write(slave, b"x")
    assert os.read(master, 1) == b"x"
    os.close(os.memfd_create("x"))
    os.close(os.pidfd_open(os.getpid()))


def main():
    for step in (threads, children, files, sockets, signals, the_rest):
        step()
    print("python ok")


if __name__ == "__main__":
    main()
