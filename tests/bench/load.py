"""A load generator far cheaper than any server here: prebuilt request octets out, response octets counted in.

    python -m tests.bench.load PORT CONNECTIONS SECONDS RESPONSE_OCTETS CORE [TARGET]

prints the number of whole responses a second. Every response to the one request has the same length, which the
caller measured, so counting octets counts responses.
"""

import os
import select
import socket
import sys
import time

TARGET = "/small.bin"
READ_OCTETS = 65_536


def request_octets(target: str) -> bytes:
    """Return the one request that is sent all the time."""
    return f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n".encode()


def measure(port: int, connections: int, seconds: float, response_octets: int, target: str = TARGET) -> float:
    """Return whole responses a second over `connections` kept connections, one request under way on each."""
    request = request_octets(target)
    poll = select.epoll()
    sockets: dict[int, socket.socket] = {}
    for _ in range(connections):
        made = socket.create_connection(("127.0.0.1", port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sockets[made.fileno()] = made
        poll.register(made.fileno(), select.EPOLLIN)
    owed = dict.fromkeys(sockets, response_octets)
    done = 0
    begun = time.perf_counter()
    for made in sockets.values():
        made.send(request)
    while (elapsed := time.perf_counter() - begun) < seconds:
        for number, _ in poll.poll(1):
            got = len(sockets[number].recv(READ_OCTETS))
            if not got:
                raise ConnectionError("the server closed a kept connection")
            owed[number] -= got
            if owed[number] <= 0:
                done += 1
                owed[number] = response_octets
                sockets[number].send(request)
    return done / elapsed


def response_octets(port: int, target: str = TARGET) -> int:
    """Return how long the server's response to the request is, head and content."""
    with socket.create_connection(("127.0.0.1", port)) as probe:
        probe.sendall(request_octets(target))
        octets = b""
        while b"\r\n\r\n" not in octets:
            octets += probe.recv(READ_OCTETS)
        head, _, rest = octets.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        wanted = int(lengths[0].split(b":")[1])
        while len(rest) < wanted:
            rest += probe.recv(READ_OCTETS)
        return len(head) + 4 + wanted


def main(argv: list[str]) -> None:
    """Measure once, as the command line says."""
    port, connections, seconds, octets, core, *target = argv
    os.sched_setaffinity(0, {int(core)})
    print(measure(int(port), int(connections), float(seconds), int(octets), *target))


if __name__ == "__main__":
    main(sys.argv[1:])
