"""Servers for the tests of networks, in one process: python3 netserver.py PROTOCOL/ADDRESS/PORT...

TCP says "hello ADDRESS PORT" and then gives back what it gets; UDP answers "pong ADDRESS PORT". Prints "ready" once all
of them listen, and for each datagram and connection a line "PROTOCOL FROM PORT BYTES".
"""

import selectors
import socket
import sys


def main():
    selector = selectors.DefaultSelector()
    for argument in sys.argv[1:]:
        protocol, address, port = argument.rsplit("/", 2)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        server.bind((address, int(port)))
        if protocol == "tcp":
            server.listen(64)
        server.setblocking(False)
        selector.register(server, selectors.EVENT_READ, (protocol, address, port))
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            kind, address, port = key.data
            if kind == "tcp":
                peer, source = key.fileobj.accept()
                print("tcp", source[0], source[1], port, flush=True)
                peer.sendall(f"hello {address} {port}\n".encode())
                peer.setblocking(False)
                selector.register(peer, selectors.EVENT_READ, ("peer", address, port))
            elif kind == "udp":
                data, source = key.fileobj.recvfrom(65536)
                print("udp", source[0], source[1], port, len(data), flush=True)
                key.fileobj.sendto(f"pong {address} {port}".encode(), source)
            else:
                try:
                    data = key.fileobj.recv(65536)
                    if data:
                        key.fileobj.sendall(data)
                        continue
                except OSError:
                    pass
                selector.unregister(key.fileobj)
                key.fileobj.close()


if __name__ == "__main__":
    main()
