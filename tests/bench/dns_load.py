"""A load generator for name servers: as many datagrams under way as asked for, and the answers counted.

    python -m tests.bench.dns_load PORT SECONDS UNDER_WAY CORE [rd]

Prints answers a second; with `rd` the queries desire recursion. It costs much less than a server in Python does for
each query, not less than one in C.
"""

import os
import socket
import sys
import time
from contextlib import suppress

NAMES = ("www", "mail", "ns", "host1", "host2", "none")
HOST = "127.0.0.1"
# How long the last answers are waited for; what is lost is asked again with new queries.
SILENCE_S = 0.2


def queries(recursion_desired: bool = False) -> list[bytes]:
    """Return the A queries of the benchmark, without their ids."""
    rest = bytes((recursion_desired, 0, 0, 1)) + bytes(6)
    return [rest + bytes((len(name),)) + name.encode() + b"\x07example\x03com\x00\x00\x01\x00\x01" for name in NAMES]


def measure(port: int, seconds: float, under_way: int, recursion_desired: bool = False) -> float:
    """Return answers a second."""
    asked = queries(recursion_desired)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.connect((HOST, port))
        peer.settimeout(SILENCE_S)
        send, receive = peer.send, peer.recv
        count = sent = 0
        begin = time.monotonic()
        end = begin + seconds
        for _ in range(under_way):
            send((sent & 0xFFFF).to_bytes(2, "big") + asked[sent % len(asked)])
            sent += 1
        while sent & 0xFF or time.monotonic() < end:
            with suppress(TimeoutError):
                receive(4096)
                count += 1
            send((sent & 0xFFFF).to_bytes(2, "big") + asked[sent % len(asked)])
            sent += 1
        return count / (time.monotonic() - begin)


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(sys.argv[4])})
    print(measure(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[5:] == ["rd"]))
