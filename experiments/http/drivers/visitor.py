"""HTTP client program that sends GET requests to an origin or a proxy, by Python's http.client.

The program is started on a host with the arguments ADDRESS PORT NAME [PREFIX]. NAME is the value of the Host field.
PREFIX precedes every path; towards a forward proxy it is http://NAME (RFC 9112 section 3.2.2). The program reads
commands in JSON, one a line:

    {"visit": [PATH, ...], "pause_s": S}
        one connection, the paths in turn, with S seconds of silence between them (default 0); a new connection if
        the server has closed the old one meanwhile
    {"keep": [PATH, ...], "for_s": S, "every_s": S, "seed": N}
        one connection per path, with requests at random times, `every_s` apart on average

The reply has the number of requests (`asked`). The client is http.client, which is independent of lab7's HTTP client
and proxy. Responses are read and discarded.
"""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Iterable
from functools import partial
from http.client import HTTPConnection, HTTPException
from random import Random
from typing import Any

from lab7.experiments.harness.driver_process import serve

TIMEOUT_S = 15.0


class Visitor:
    """HTTP/1.1 client that sends requests for one origin to one address, the origin's or a proxy's."""

    def __init__(self, address: str, port: int, name: str, prefix: str) -> None:
        self._server = (address, port)
        self._fields = {"Host": name}
        self._prefix = prefix

    def visit(self, paths: Iterable[str], pause_s: float = 0.0) -> int:
        """Request these paths in turn on one connection; return their number. Raises OSError, HTTPException."""
        connection = HTTPConnection(*self._server, timeout=TIMEOUT_S)
        asked = 0
        try:
            for path in paths:
                if asked and pause_s:
                    time.sleep(pause_s)
                    _close_if_ended(connection)
                self._ask(connection, path)
                asked += 1
        finally:
            connection.close()
        return asked

    def keep(self, paths: Iterable[str], for_s: float, every_s: float, seed: int) -> int:
        """Request paths at random times for `for_s` seconds, each on its own connection; return the number of requests.

        `every_s` is the mean time between two requests for the same path. Raises OSError, HTTPException.
        """
        end_s = time.monotonic() + for_s
        asked: list[int] = []
        errors: list[Exception] = []

        def work(path: str, random: Random) -> None:
            try:
                asked.append(self.visit(self._at_random(path, end_s, every_s, random)))
            except (OSError, HTTPException) as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(path, Random(f"{seed} {path}"))) for path in paths]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if errors:
            raise errors[0]
        return sum(asked)

    def _at_random(self, path: str, end_s: float, every_s: float, random: Random) -> Iterable[str]:
        while True:
            time.sleep(random.expovariate(1 / every_s))
            if time.monotonic() >= end_s:
                return
            yield path

    def _ask(self, connection: HTTPConnection, path: str) -> None:
        connection.request("GET", self._prefix + path, headers=self._fields)
        connection.getresponse().read()


def _close_if_ended(connection: HTTPConnection) -> None:
    """Close a connection if the server has closed it (RFC 9112 section 9.5); http.client then opens a new one."""
    # A readable socket between responses means that the server has closed the connection.
    if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
        connection.close()


def _handle(visitor: Visitor, request: dict[str, Any]) -> dict[str, Any]:
    if "visit" in request:
        return {"asked": visitor.visit(request["visit"], request.get("pause_s", 0.0))}
    return {"asked": visitor.keep(request["keep"], request["for_s"], request["every_s"], request["seed"])}


def main(argv: list[str]) -> int:
    """Execute one command for each line of the standard input, until its end; return the exit code."""
    address, port, name, *prefix = argv
    visitor = Visitor(address, int(port), name, prefix[0] if prefix else "")
    return serve(partial(_handle, visitor), errors=(OSError, HTTPException))
