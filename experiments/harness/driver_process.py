"""Client process ("driver") on a host: JSON requests on standard input, JSON responses on standard output.

A driver is a client program that runs in a host for a whole experiment, so that no request pays for a new process. In
this example, the program is an HTTP client that loads paths, and returns the number of its requests as `asked`:

    process     READY
    experiment  {"visit": ["/"]}
    process     {"asked": 1, "began_ns": 1700000000000000000, "ended_ns": 1700000000040000000}
    experiment  {"visit": ["/"]}
    process     {"error": "TimeoutError: timed out", "began_ns": ..., "ended_ns": ...}

`began_ns` and `ended_ns` are on the capture's clock (CLOCK_REALTIME). A driver judges nothing: the packets show the
server's responses. A driver exits at the end of its standard input. This module imports the standard library only,
since every driver imports it; the experiment's side is lab7.experiments.harness.driver.

A driver passes to `serve` its function that executes one request, and the exceptions that become an `error`:

    def main(argv: list[str]) -> int:
        return serve(partial(visit, argv[0]), errors=(OSError,))
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

Errors = tuple[type[Exception], ...]


class RequestError(Exception):
    """Failure of a request in the client process; the message becomes `error` in the response."""


def serve(handle: Callable[[Any], Mapping[str, Any] | None], errors: Errors = ()) -> int:
    """Send the result of `handle` as response to every request; return the exit code at the end of standard input.

    An exception of `errors` becomes the response `error`, with the name of its type; any other ends the process.
    """
    for request in requests():
        with responding(errors) as response:
            response.update(handle(request) or {})
    return 0


def requests() -> Iterator[Any]:
    """Print READY, and yield each request from standard input, for client processes whose handler is a coroutine.

    Reading blocks the thread and its event loop, since a driver is idle between requests.
    """
    # Exclude imported modules from later garbage collections, which would delay requests.
    gc.collect()
    gc.freeze()
    print("READY", flush=True)
    while line := sys.stdin.readline():
        yield json.loads(line)


@contextmanager
def responding(errors: Errors = ()) -> Iterator[dict[str, Any]]:
    """Yield an empty dictionary for the response to a request; send it at the end of the `with` block.

    The start and end times of the block are added. An exception of `errors` is sent as `error` instead.
    """
    response: dict[str, Any] = {}
    began_ns = time.time_ns()
    try:
        yield response
    except RequestError as error:
        response = {"error": str(error)}
    except errors as error:
        response = {"error": f"{type(error).__name__}: {error}"}
    send({**response, "began_ns": began_ns, "ended_ns": time.time_ns()})


def send(message: Mapping[str, Any]) -> None:
    """Write a message as one JSON line to standard output."""
    print(json.dumps(message), flush=True)
