"""A client of a proxy or of an origin that stays up: it visits pages, or keeps asking, whenever it is told to.

Run in a host with ADDRESS PORT NAME [PREFIX]: NAME goes into Host; PREFIX, http://NAME where a proxy is asked (RFC 9112
section 3.2.2), stands in front of every path. READY, then for each JSON line on the standard input one on the standard
output:

    {"visit": [PATH, ...], "pause_s": S}                                            {"began_ns", "ended_ns", "asked"}
        one connection, each path after the other, with so many seconds of silence between them (by default none); where
        the server has closed it meanwhile, another one
    {"keep": [PATH, ...], "for_s": S, "every_s": S, "seed": N}                      the same
        for each path a connection, on which it is asked for at random times, every so often on average

or {"error": ...}. The client is Python's own http.client, so that lab7's is no judge of lab7's proxy; it asks as it is
told and looks at nothing.
"""

from __future__ import annotations

import gc
import json
import select
import sys
import threading
import time
from collections.abc import Iterable
from http.client import HTTPConnection, HTTPException
from random import Random
from typing import Any

TIMEOUT_S = 15.0


class Visitor:
    """Asks one server, or a proxy, for paths of one origin."""

    def __init__(self, address: str, port: int, name: str, prefix: str) -> None:
        self._server = (address, port)
        self._fields = {"Host": name}
        self._prefix = prefix

    def visit(self, paths: Iterable[str], pause_s: float = 0.0) -> int:
        """Ask for these paths on one connection; returns how many were. Raises OSError, HTTPException."""
        connection = HTTPConnection(*self._server, timeout=TIMEOUT_S)
        asked = 0
        try:
            for path in paths:
                if asked and pause_s:
                    time.sleep(pause_s)
                    _close_if_over(connection)
                self._ask(connection, path)
                asked += 1
        finally:
            connection.close()
        return asked

    def keep(self, paths: Iterable[str], for_s: float, every_s: float, seed: int) -> int:
        """Keep asking for these paths, each on a connection of its own. Raises OSError, HTTPException."""
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


def _close_if_over(connection: HTTPConnection) -> None:
    """RFC 9112 section 9.5: a client notices that the server has closed; http.client then connects anew by itself."""
    # Nothing is due between two responses, so what can be read is the end.
    if connection.sock is not None and select.select([connection.sock], [], [], 0)[0]:
        connection.close()


def _answer(visitor: Visitor, line: str) -> dict[str, Any]:
    told = json.loads(line)
    began_ns = time.time_ns()
    try:
        if "visit" in told:
            asked = visitor.visit(told["visit"], told.get("pause_s", 0.0))
        else:
            asked = visitor.keep(told["keep"], told["for_s"], told["every_s"], told["seed"])
    except (OSError, HTTPException) as error:
        return {"error": f"{type(error).__name__}: {error}"}
    return {"began_ns": began_ns, "ended_ns": time.time_ns(), "asked": asked}


def main(argv: list[str]) -> int:
    """Visit until the standard input ends."""
    address, port, name, *prefix = argv
    visitor = Visitor(address, int(port), name, prefix[0] if prefix else "")
    gc.collect()
    gc.freeze()
    print("READY", flush=True)
    while line := sys.stdin.readline():
        print(json.dumps(_answer(visitor, line)), flush=True)
    return 0
