"""A seccomp agent, the other end of SCMP_ACT_NOTIFY."""

import array
import errno
import fcntl
import json
import os
import select
import socket
import struct
import threading
import time

NOTIF_RECV, NOTIF_SEND = 0xC0502100, 0xC0182101
CONTINUE = 1


class Agent:
    """A seccomp agent: takes listeners by SCM_RIGHTS and answers what they tell."""

    def __init__(self, path, answer):
        self.answer = answer  # (syscall number, args) → (value, error, flags)
        self.states, self.seen, self.extra_fds = [], [], 0
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.server.bind(str(path))
        self.server.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            text, listeners = b"", []
            with connection:
                while True:
                    data, control, _, _ = connection.recvmsg(65536, socket.CMSG_SPACE(64))
                    for level, kind, payload in control:
                        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                            fds = array.array("i")
                            fds.frombytes(payload)
                            listeners += fds
                    if listeners:
                        # Answered at once: the sender may be held back by its own filter.
                        for listener in listeners[:1]:
                            threading.Thread(target=self.serve, args=(listener,), daemon=True).start()
                        self.extra_fds += len(listeners) - 1
                        text += data
                        listeners = []
                        continue
                    if not data:
                        break
                    text += data
            if text:  # a container that was deleted before it had a filter connects and says nothing
                self.states.append(json.loads(text))

    def sent(self, count):
        """All states, once there are `count`: a call may be answered before what came with its listener is read to its end."""
        end = time.monotonic() + 60
        while len(self.states) < count and time.monotonic() < end:
            time.sleep(0.01)
        return self.states

    def serve(self, listener):
        while True:
            notification = bytearray(80)
            try:
                fcntl.ioctl(listener, NOTIF_RECV, notification)
                number, _pid, _flags, syscall = struct.unpack_from("=QIIi", notification)
                args = struct.unpack_from("=6Q", notification, 32)
                self.seen.append(syscall)
                value, error, flags = self.answer(syscall, args)
                fcntl.ioctl(listener, NOTIF_SEND, bytearray(struct.pack("=QqiI", number, value, error, flags)))
            except OSError as problem:
                # ENOENT: the process has gone, or nobody is under the filter any more.
                if problem.errno not in (errno.EINTR, errno.ENOENT, errno.EINPROGRESS):
                    os.close(listener)
                    return
                if self.is_over(listener):
                    os.close(listener)
                    return

    @staticmethod
    def is_over(listener):
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        return any(events & select.POLLHUP for _, events in poll.poll(1000))

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
