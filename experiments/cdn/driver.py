"""Client program that simulates users of a web site; it resolves the site's name before each connection.

The program is started on a host with the argument NAME and reads commands in JSON, one a line:

    {"visit": [PATH, ...]}                        one lookup, one connection, the paths in turn
    {"crowd": PATH, "users": N}                   N users connect, and then send their requests at the same moment
    {"stay": PATH, "users": N, "for_s": S, "think_s": Z, "seed": K}
                                                  N users with a connection each: request, response, think time, repeat
    {"return": PATH, "for_s": S, "every_s": E}    a lookup, a connection and a request every E seconds

The reply to a command has the numbers of requests (`asked`) and of failures (`failed`). A failure ends every command
except `return`, which measures failures. Names are resolved by the system's stub resolver and requests are sent by
Python's http.client: no part of lab7's services takes part on the client side. Responses are read and discarded.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http.client import HTTPConnection, HTTPException
from random import Random
from typing import Any

from lab7.experiments.harness.driver_process import serve

PORT = 80
# Time-out in s of a request to a server that is expected to respond.
TIMEOUT_S = 15.0
# Time-out in s of a request to a server that may be down: far above two of the topology's longest round trips.
RETURN_TIMEOUT_S = 0.5
ERRORS = (OSError, HTTPException)


class Users:
    """Simulated users on one host that send HTTP requests to one web site; a method carries out each command."""

    def __init__(self, name: str) -> None:
        self._name = name

    def visit(self, request: Mapping[str, Any]) -> tuple[int, int]:
        """Request the paths of one page over one connection; return (requests, failures).

        Raises OSError, HTTPException.
        """
        return self._on_one_connection(request["visit"]), 0

    def crowd(self, request: Mapping[str, Any]) -> tuple[int, int]:
        """Send the requests of many users at the same moment; return (requests, failures).

        Raises OSError, HTTPException.
        """
        users = request["users"]
        start = threading.Barrier(users, timeout=TIMEOUT_S)

        def work(_: int) -> int:
            connection = self._connect(TIMEOUT_S)
            start.wait()
            self._ask(connection, request["crowd"])
            connection.close()
            return 1

        return sum(_side_by_side(users, work)), 0

    def stay(self, request: Mapping[str, Any]) -> tuple[int, int]:
        """Run users that pause for a think time between requests; return (requests, failures).

        Raises OSError, HTTPException.
        """
        think_s, end_s = request["think_s"], time.monotonic() + request["for_s"]

        def paths(random: Random) -> Iterable[str]:
            # Start the users at random times within the think time, so that a short run has the mean of a long one.
            time.sleep(first_think_s(random, think_s))
            while time.monotonic() < end_s:
                yield request["stay"]
                time.sleep(think_s)

        def work(number: int) -> int:
            return self._on_one_connection(paths(random_of(request["seed"], number)))

        return sum(_side_by_side(request["users"], work)), 0

    def return_regularly(self, request: Mapping[str, Any]) -> tuple[int, int]:
        """Send requests at regular intervals, even after failures; return the numbers of requests and of failures."""
        asked = failed = 0
        end_s = time.monotonic() + request["for_s"]
        while (now_s := time.monotonic()) < end_s:
            asked += 1
            try:
                connection = self._connect(RETURN_TIMEOUT_S)
                try:
                    self._ask(connection, request["return"])
                finally:
                    connection.close()
            except ERRORS:
                failed += 1
            periods = (time.monotonic() - now_s) // request["every_s"] + 1
            time.sleep(max(0.0, min(now_s + periods * request["every_s"], end_s) - time.monotonic()))
        return asked, failed

    def _on_one_connection(self, paths: Iterable[str]) -> int:
        connection, asked = self._connect(TIMEOUT_S), 0
        try:
            for path in paths:
                self._ask(connection, path)
                asked += 1
        finally:
            connection.close()
        return asked

    def _connect(self, timeout_s: float) -> HTTPConnection:
        """Resolve the site's name and connect to the first address. Raises OSError."""
        found = socket.getaddrinfo(self._name, PORT, socket.AF_INET, socket.SOCK_STREAM)
        address = str(found[0][4][0])
        connection = HTTPConnection(address, PORT, timeout=timeout_s)
        connection.connect()
        return connection

    def _ask(self, connection: HTTPConnection, path: str) -> None:
        connection.request("GET", path, headers={"Host": self._name})
        connection.getresponse().read()


def random_of(seed: int, number: int) -> Random:
    """Return a random number generator for user `number` on a host; `seed` makes it reproducible."""
    return Random(f"{seed} {number}")


def first_think_s(random: Random, think_s: float) -> float:
    """Return a random delay in s before a user's first request, at most the think time."""
    return random.random() * think_s


def _side_by_side(count: int, work: Callable[[int], int]) -> list[int]:
    """Run `work` in `count` threads; return the results. Raises OSError with the number of errors if a thread fails."""
    done: list[int] = []
    errors: list[Exception] = []

    def guarded(number: int) -> None:
        try:
            done.append(work(number))
        except (*ERRORS, threading.BrokenBarrierError) as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise OSError(f"{len(errors)} of {count} users: {type(errors[0]).__name__}: {errors[0]}")
    return done


def _handle(users: Users, request: dict[str, Any]) -> dict[str, int]:
    handlers = {"visit": users.visit, "crowd": users.crowd, "stay": users.stay, "return": users.return_regularly}
    asked, failed = next(handler for name, handler in handlers.items() if name in request)(request)
    return {"asked": asked, "failed": failed}


def main(argv: list[str]) -> int:
    """Execute commands from the standard input until its end; argv[0] is the name of the web site."""
    # Import the codec of internationalised names now, since otherwise the first DNS lookup would import the codec.
    argv[0].encode("idna")
    return serve(partial(_handle, Users(argv[0])), errors=ERRORS)
