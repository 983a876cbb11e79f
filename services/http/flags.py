"""Command-line flags shared by the HTTP programs."""

import argparse


def seconds(text: str) -> float:
    """Parse a positive number of seconds; raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number of seconds")
    return value


def add_idle_flag(parser: argparse.ArgumentParser, default_s: float) -> None:
    """Add --idle, the timeout of idle persistent connections (RFC 9112 section 9.5)."""
    parser.add_argument(
        "--idle",
        type=seconds,
        default=default_s,
        metavar="S",
        help="close a client's connection after S seconds without a request (default: %(default)s)",
    )
