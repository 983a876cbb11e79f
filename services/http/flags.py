"""Command-line flag that the HTTP servers share."""

import argparse

from lab7.services.flags import positive_seconds


def add_idle_flag(parser: argparse.ArgumentParser, default_s: float) -> None:
    """Add --idle, the timeout of idle persistent connections (RFC 9112 section 9.5)."""
    parser.add_argument(
        "--idle",
        type=positive_seconds,
        default=default_s,
        metavar="S",
        help="close a client's connection after S seconds without a request (default: %(default)s)",
    )
