"""Scripted HTTP client of the cache conformance checks: a program that sends prepared requests, valid or malformed.

    python -m lab7.experiments.cache.conformance.client SCRIPT ADDRESS PORT

SCRIPT is a JSON list of checks: {name, steps: [{octets, method, wait_s, copies}]}. A step waits wait_s seconds, and
then sends the request `octets`, whose method is `method`, on as many connections at once as `copies`. The program
prints READY. It then repeats the first request of the first check until the proxy responds with a status code below
500, since a proxy such as Traffic Server listens before it can resolve names. All other checks then run concurrently;
within a check, one step follows the other, and each request opens a new connection. At the end the program prints DONE.
It reads each response to the end, but does not judge it: verdicts come from the packet capture.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

# Time-out of a response in s: longer than any response takes, shorter than a proxy's time-out for a silent origin.
ANSWER_S = 8.0
# Interval in s between the starts of parallel checks, so that their connections do not overflow the listen queue.
APART_S = 0.03
WARM_UP_S = 10.0
WARM_UP_PAUSE_S = 0.1


def _exchange(address: tuple[str, int], step: Mapping[str, Any]) -> int:
    """Send one request and read the whole response; return the status code, or 0 if there is no valid response."""
    with (
        contextlib.suppress(OSError, http.client.HTTPException, ValueError),
        socket.create_connection(address, ANSWER_S) as sock,
    ):
        sock.sendall(step["octets"].encode("latin-1"))
        response = http.client.HTTPResponse(sock, method=step["method"])
        with contextlib.closing(response):
            response.begin()
            response.read()
            return response.status
    return 0


def _warm_up(address: tuple[str, int], check: Mapping[str, Any]) -> None:
    deadline = time.monotonic() + WARM_UP_S
    while not 200 <= _exchange(address, check["steps"][0]) < 500 and time.monotonic() < deadline:
        time.sleep(WARM_UP_PAUSE_S)


def _go_through(address: tuple[str, int], check: Mapping[str, Any]) -> None:
    for step in check["steps"]:
        time.sleep(step["wait_s"])
        with ThreadPoolExecutor(step["copies"]) as together:
            for _ in range(step["copies"]):
                together.submit(_exchange, address, step)


def main(argv: list[str]) -> int:
    """Send the requests in the script file argv[0] to the proxy at argv[1], port argv[2].

    Print READY at the start and DONE after the last response.
    """
    script, host, port = argv
    first, *checks = json.loads(Path(script).read_text(encoding="utf-8"))
    print("READY", flush=True)
    _warm_up((host, int(port)), first)
    with ThreadPoolExecutor(len(checks)) as side_by_side:
        for check in checks:
            side_by_side.submit(_go_through, (host, int(port)), check)
            time.sleep(APART_S)
    print("DONE", flush=True)
    return 0
