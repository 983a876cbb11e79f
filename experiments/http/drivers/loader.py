"""Page-load program: lab7's HTTP client in one process that carries out all page loads of an experiment.

The program reads commands in JSON, one a line, and prints the report of lab7.services.http.client for each:

    {"strategy": "1.1-persistent", "page": URL}         load a page and the objects that it references
    {"strategy": "2", "objects": [URL, ...]}            load objects of one origin at once, without a page

The first loads of a process take a millisecond or two longer than later ones (memory pages are copied after the fork,
caches are cold). This delay is not due to HTTP; experiments therefore begin with page loads that they do not measure
(warm-up).
"""

from __future__ import annotations

from typing import Any

from lab7.experiments.harness.driver_process import RequestError, requests, responding
from lab7.services.http.client import LoadError, load_page
from lab7.services.http.page_load.connector import LoadLimits
from lab7.services.http.page_load.strategies import load_objects
from lab7.services.shell import run_loop

# Limit of parallel connections, above any page's number of objects: the closed form assumes one per object.
ALL_AT_ONCE = 1000
# Time-out in s between octets of a response: longer than TCP's longest retransmission time-outs on a lossy path.
LIMITS = LoadLimits(stall_s=5.0)


async def _load(strategy: str, page: str = "", objects: list[str] | None = None) -> dict[str, Any]:
    try:
        if objects is None:
            report = await load_page(page, strategy, parallel=ALL_AT_ONCE, limits=LIMITS)
        else:
            report = await load_objects(objects, strategy, limits=LIMITS)
    except (LoadError, OSError) as error:
        raise RequestError(str(error)) from error
    except KeyError:
        raise RequestError(f"unknown strategy: {strategy}") from None
    return report.as_json()


async def _serve() -> None:
    for request in requests():
        with responding() as response:
            response.update(await _load(**request))


def main(_argv: list[str]) -> int:
    """Execute one command for each line of the standard input, until its end; return the exit code."""
    run_loop(_serve())
    return 0
