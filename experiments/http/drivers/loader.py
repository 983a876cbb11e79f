"""A client that stays up and loads a page whenever it is told to, so that no load pays for a new process.

Run in a host: READY, then for each line `strategy URL` on the standard input (or `strategy URL URL ...`: objects of one
origin asked for together, no page) one JSON line: the report of services.http.client with `began_ns` and `ended_ns`
(CLOCK_REALTIME, the capture's clock), or {"error": ...} with these two. The first loads of a process are slower than
the rest by a millisecond or two (pages of memory are copied after the fork, caches are cold), which is no property of
HTTP: let the first round be one that is not measured.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from typing import Any

from services.http.client import LoadError, load_page
from services.http.page_load.strategies import load_objects
from services.shell import run_loop

# The formula of parallel connections has one for every object.
ALL_AT_ONCE = 1000


async def _load(strategy: str, urls: list[str]) -> dict[str, Any]:
    began_ns = time.time_ns()
    try:
        if len(urls) == 1:
            report = await load_page(urls[0], strategy, parallel=ALL_AT_ONCE)
        else:
            report = await load_objects(urls, strategy)
    except (LoadError, OSError) as error:
        return {"error": str(error), "began_ns": began_ns, "ended_ns": time.time_ns()}
    except KeyError:
        return {"error": f"this client does not know the strategy {strategy}"}
    return {**report.as_json(), "began_ns": began_ns, "ended_ns": time.time_ns()}


async def _serve() -> None:
    print("READY", flush=True)
    # Nothing else runs in this process: between loads it may block on its standard input.
    while line := sys.stdin.readline():
        strategy, *urls = line.split()
        print(json.dumps(await _load(strategy, urls)), flush=True)


def main(_argv: list[str]) -> int:
    """Load pages until the standard input ends."""
    # What was imported stays: the collector need not look at it again during a measurement.
    gc.collect()
    gc.freeze()
    run_loop(_serve())
    return 0
