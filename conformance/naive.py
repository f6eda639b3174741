"""What a runtime must not do: it looks whether a path lies inside a directory, and then mounts on the path.

    naive.py ROOT TARGET CANARY TRIES     in a mount namespace of its own; status 0 once a mount has come to lie on CANARY

Between the look and the mount somebody may have put a link into the path. The races of test_escapes.py are run against this
program first: a race that cannot win here would say nothing about a runtime that withstands it.
"""

import ctypes
import os
import sys


def mount_points():
    with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
        return {line.split()[4] for line in file}


def main():
    root, target, canary, tries = os.path.realpath(sys.argv[1]), sys.argv[2], os.path.realpath(sys.argv[3]), int(sys.argv[4])
    libc = ctypes.CDLL(None, use_errno=True)
    for number in range(1, tries + 1):
        path = os.path.join(root, target)
        try:
            inside = os.path.realpath(path).startswith(root + "/")
        except OSError:  # exchanged while it was looked at
            inside = False
        if not inside:
            continue  # it leads out: seen, and refused
        libc.mount(b"naive", os.fsencode(path), b"tmpfs", 0, None)
        seen = mount_points()
        for point in seen:
            if point == canary or point.startswith((canary + "/", root + "/")):
                libc.umount2(os.fsencode(point), 2)
        if canary in seen:
            print(number)
            sys.exit(0)
    sys.exit(1)


if __name__ == "__main__":
    main()
