"""Page-load client: loads a page with its objects as a browser does, and reports times of connections and objects.

    $ python -m lab7.services.http.client http://127.0.0.1:8080/ --strategy 1.1-pipelined
    $ python -m lab7.services.http.client http://127.0.0.1:8080/a.bin --strategy single --output a.bin

The client fetches the base page, parses its HTML for objects, and fetches the objects. The strategy (listed in
page_load/strategies.py) determines the HTTP version, the number of connections, and the order of the requests. A
response with any status is reported; redirects are not followed. Left out: cookies, content codings and caching.
"""

import argparse
import asyncio
import json
import sys
from contextlib import ExitStack

from lab7.services.flags import positive_integer, positive_seconds
from lab7.services.http.page_load.connector import LoadError, LoadLimits, Sink
from lab7.services.http.page_load.strategies import DEFAULT_PARALLEL, SINGLE, STRATEGIES, load_objects, load_page
from lab7.services.http.page_load.timing import PageReport
from lab7.services.tls import Trust

__all__ = ["LoadError", "LoadLimits", "PageReport", "Trust", "load_objects", "load_page", "main"]

EXIT_NOT_LOADED = 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab7.services.http.client", description="Load a page and report the time of each step."
    )
    parser.add_argument("url", metavar="URL", help="http or https URL of the page")
    parser.add_argument(
        "--strategy",
        choices=list(STRATEGIES),
        default="1.1-persistent",
        metavar="S",
        help="page-load strategy, one of those listed below (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print the report as a JSON object")
    parser.add_argument(
        "--parallel",
        type=positive_integer,
        default=DEFAULT_PARALLEL,
        metavar="N",
        help="maximum concurrent connections of strategy 1.0-parallel (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=positive_seconds,
        default=LoadLimits().wait_s,
        metavar="S",
        help="time limit for each network operation, in seconds (default: 30)",
    )
    parser.add_argument(
        "--max-time",
        type=positive_seconds,
        default=LoadLimits().page_s,
        metavar="S",
        help="time limit for the whole page, in seconds (default: 300)",
    )
    parser.add_argument("--output", metavar="FILE", help="write the response's content to FILE; only --strategy single")
    parser.add_argument("--ca", metavar="FILE", help="PEM file of CA certificates that verify https servers")
    parser.add_argument("--insecure", action="store_true", help="do not verify the certificates of https servers")
    strategies = ", ".join(STRATEGIES)
    parser.epilog = f"strategies: {strategies}"
    return parser


def _load(options: argparse.Namespace) -> PageReport:
    limits = LoadLimits(wait_s=options.timeout, page_s=options.max_time)
    with ExitStack() as stack:
        sink: Sink | None = None
        if options.output is not None:
            sink = stack.enter_context(open(options.output, "wb")).write
        # asyncio.run() uses asyncio's own event loop, not uvloop: uvloop's clock has only milliseconds.
        trust = Trust(options.ca, options.insecure)
        loading = load_page(
            options.url, options.strategy, parallel=options.parallel, limits=limits, sink=sink, trust=trust
        )
        return asyncio.run(loading)


def main(argv: list[str] | None = None) -> int:
    """Load one page; return the exit status: 0, or 1 if the page could not be loaded."""
    parser = _parser()
    options = parser.parse_args(argv)
    if options.output is not None and options.strategy != SINGLE:
        parser.error("--output requires --strategy single")
    try:
        report = _load(options)
    except (LoadError, OSError) as error:
        print(f"client: {error}", file=sys.stderr)
        return EXIT_NOT_LOADED
    print(json.dumps(report.as_json()) if options.json else report.as_table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
