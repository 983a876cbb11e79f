"""Users of a site who know its name alone: they ask their local name server, connect to what it says, and fetch.

Run in a host with NAME: READY, then for each JSON line on the standard input one on the standard output:

    {"visit": [PATH, ...]}                                  one lookup, one connection, each path after the other
    {"crowd": PATH, "users": N}                             N users; all are connected before all ask, at one moment
    {"stay": PATH, "users": N, "for_s": S, "think_s": Z, "seed": K}
                                    N users, each on a connection of its own: it asks, gets, thinks, asks again
    {"return": PATH, "for_s": S, "every_s": E}              a lookup and a connection for each request

all answered by {"began_ns", "ended_ns", "asked", "failed"} (CLOCK_REALTIME, the capture's clock) or {"error": ...}.
Only who returns goes on after a failure, which is what it is watched for. Lookups are the system's own stub resolver's
and requests http.client's, so that lab7's is no judge of lab7's; they look at nothing that they get.
"""

from __future__ import annotations

import gc
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPConnection, HTTPException
from random import Random
from typing import Any

PORT = 80
# For anything but a server that has failed.
TIMEOUT_S = 15.0
# Twice the longest round trip of the topology cdn, and much to spare: who does not answer by then is down.
RETURN_TIMEOUT_S = 0.5
ERRORS = (OSError, HTTPException)


class Users:
    """Everybody on this host, asking for one site."""

    def __init__(self, name: str) -> None:
        self._name = name

    def visit(self, told: Mapping[str, Any]) -> tuple[int, int]:
        """One visit; returns how many requests were made and how many failed. Raises OSError, HTTPException."""
        return self._on_one_connection(told["visit"]), 0

    def crowd(self, told: Mapping[str, Any]) -> tuple[int, int]:
        """Many who ask at once. Raises OSError, HTTPException."""
        users = told["users"]
        start = threading.Barrier(users, timeout=TIMEOUT_S)

        def work(_: int) -> int:
            connection = self._connect(TIMEOUT_S)
            start.wait()
            self._ask(connection, told["crowd"])
            connection.close()
            return 1

        return sum(_side_by_side(users, work)), 0

    def stay(self, told: Mapping[str, Any]) -> tuple[int, int]:
        """Many who ask again and again. Raises OSError, HTTPException."""
        think_s, end_s = told["think_s"], time.monotonic() + told["for_s"]

        def paths(random: Random) -> Iterable[str]:
            # Nobody's first request waits for anybody's: what is wanted is the mean of a long time.
            time.sleep(first_think_s(random, think_s))
            while time.monotonic() < end_s:
                yield told["stay"]
                time.sleep(think_s)

        def work(number: int) -> int:
            return self._on_one_connection(paths(random_of(told["seed"], number)))

        return sum(_side_by_side(told["users"], work)), 0

    def come_back(self, told: Mapping[str, Any]) -> tuple[int, int]:
        """One who comes back regularly, whether or not it was served."""
        asked = failed = 0
        start_s = time.monotonic()
        while (now_s := time.monotonic()) < start_s + told["for_s"]:
            asked += 1
            try:
                connection = self._connect(RETURN_TIMEOUT_S)
                try:
                    self._ask(connection, told["return"])
                finally:
                    connection.close()
            except ERRORS:
                failed += 1
            periods = (time.monotonic() - now_s) // told["every_s"] + 1
            time.sleep(max(0.0, now_s + periods * told["every_s"] - time.monotonic()))
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
        """Look the name up and connect to its first address."""
        found = socket.getaddrinfo(self._name, PORT, socket.AF_INET, socket.SOCK_STREAM)
        address = str(found[0][4][0])
        connection = HTTPConnection(address, PORT, timeout=timeout_s)
        connection.connect()
        return connection

    def _ask(self, connection: HTTPConnection, path: str) -> None:
        connection.request("GET", path, headers={"Host": self._name})
        connection.getresponse().read()


def random_of(seed: int, number: int) -> Random:
    """The random numbers of one of the users of a host."""
    return Random(f"{seed} {number}")


def first_think_s(random: Random, think_s: float) -> float:
    """How long a user who stays thinks before its first request."""
    return random.random() * think_s


def _side_by_side(count: int, work: Callable[[int], int]) -> list[int]:
    """Do some work in so many threads; raises the first of their errors."""
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


def _answer(users: Users, line: str) -> dict[str, Any]:
    told = json.loads(line)
    ways = {"visit": users.visit, "crowd": users.crowd, "stay": users.stay, "return": users.come_back}
    began_ns = time.time_ns()
    try:
        asked, failed = next(way for word, way in ways.items() if word in told)(told)
    except ERRORS as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"began_ns": began_ns, "ended_ns": time.time_ns(), "asked": asked, "failed": failed}


def main(argv: list[str]) -> int:
    """Do as the standard input says until it ends."""
    users = Users(argv[0])
    # The codec of names is looked for at the first lookup.
    argv[0].encode("idna")
    gc.collect()
    gc.freeze()
    print("READY", flush=True)
    while line := sys.stdin.readline():
        print(json.dumps(_answer(users, line)), flush=True)
    return 0
