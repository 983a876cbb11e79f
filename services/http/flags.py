"""Command-line flag --idle of the HTTP servers: the timeout of idle persistent connections."""

import argparse

from lab7.services.flags import positive_seconds


def add_idle_flag(parser: argparse.ArgumentParser, default_s: float) -> None:
    """Add the flag --idle, the timeout in seconds of idle persistent connections (RFC 9112 section 9.5)."""
    parser.add_argument(
        "--idle",
        type=positive_seconds,
        default=default_s,
        metavar="S",
        help="close a client's connection after S seconds without a request (default: %(default)s)",
    )
