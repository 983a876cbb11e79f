"""Workload driver: a client of the Time protocol (RFC 868) that runs as long as the experiment.

The argument is the server's ADDRESS. Requests are the JSON strings "udp" and "tcp", one a line on the standard input;
`serve` reads them, and responds with the times or the error. Answers are read and discarded: the packets are judged.
"""

from __future__ import annotations

import socket
from functools import partial

from lab7.experiments.harness import serve

PORT = 37
TIMEOUT_S = 5.0
MOST_OCTETS = 512


def _ask(address: str, kind: str) -> None:
    """Request the time once, and wait for the answer. Raises OSError."""
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
    """Request the time until the end of the standard input."""
    return serve(partial(_ask, argv[0]), errors=(OSError,))
