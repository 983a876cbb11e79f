"""Values of command-line flags that several HTTP programs take."""

import argparse


def seconds(text: str) -> float:
    """Read a time in seconds, above zero. Raises ArgumentTypeError."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no time above zero")
    return value


def add_idle_flag(parser: argparse.ArgumentParser, default_s: float) -> None:
    """Add --idle, the time-out of a server's persistent connections (RFC 9112 section 9.5)."""
    parser.add_argument(
        "--idle",
        type=seconds,
        default=default_s,
        metavar="S",
        help="seconds without a request after which a client's connection is closed (default: %(default)s)",
    )
