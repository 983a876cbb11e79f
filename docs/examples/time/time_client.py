"""The workload: a client of RFC 868 that stays up and asks whenever it is told to.

Run in a host with the server's ADDRESS: READY, then for each line `udp` or `tcp` on the standard input one JSON line,
{"began_ns", "ended_ns"} on the capture's clock, or {"error": ...}. It looks at nothing: the packets are what is judged.
"""

from __future__ import annotations

import json
import socket
import sys
import time

PORT = 37
TIMEOUT_S = 5.0
MOST_OCTETS = 512


def _ask(kind: str, address: str) -> None:
    """Ask once, and wait for the answer. Raises OSError."""
    if kind == "tcp":
        with socket.create_connection((address, PORT), TIMEOUT_S) as connection:
            while connection.recv(MOST_OCTETS):
                pass
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(TIMEOUT_S)
        asking.sendto(b"", (address, PORT))
        asking.recv(MOST_OCTETS)


def main(argv: list[str]) -> int:
    """Ask until the standard input ends."""
    print("READY", flush=True)
    while line := sys.stdin.readline():
        began_ns = time.time_ns()
        try:
            _ask(line.strip(), argv[0])
        except OSError as error:
            print(json.dumps({"error": str(error)}), flush=True)
        else:
            print(json.dumps({"began_ns": began_ns, "ended_ns": time.time_ns()}), flush=True)
    return 0
