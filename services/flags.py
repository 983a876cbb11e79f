"""Argument types for argparse, shared by the service programs: integers, seconds, addresses and networks.

    parser.add_argument("--port", type=port)
    parser.add_argument("--tries", type=integer(1, 100))
    parser.add_argument("--timeout", type=positive_seconds)

Each type raises ArgumentTypeError with the expected value if the argument is invalid.
"""

import argparse
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

PORT_MAX = 65_535
# Maximum digits of a number in a flag's value, since int() is slow for very long texts.
DIGITS_MAX = 18


def integer(minimum: int, maximum: int | None = None) -> Callable[[str], int]:
    """Return an argparse type that parses decimal integers from `minimum` to `maximum` (None: no maximum)."""
    expected = f"a number of {minimum} or more" if maximum is None else f"a number from {minimum} to {maximum}"

    def parse(text: str) -> int:
        if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX:
            value = int(text)
            if minimum <= value and (maximum is None or value <= maximum):
                return value
        raise argparse.ArgumentTypeError(f"invalid value {text!r}: expected {expected}")

    return parse


octets = integer(0)
positive_integer = integer(1)
port = integer(0, PORT_MAX)


def seconds(minimum: float, maximum: float) -> Callable[[str], float]:
    """Return an argparse type that parses a number of seconds from `minimum` to `maximum`, as float."""

    def parse(text: str) -> float:
        value = _number(text)
        if not minimum <= value <= maximum:
            raise argparse.ArgumentTypeError(f"invalid value {text!r}: expected {minimum:g} to {maximum:g} seconds")
        return value

    return parse


def positive_seconds(text: str) -> float:
    """Parse a finite number of seconds above 0, as float."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"invalid value {text!r}: expected a positive number of seconds")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return -1.0


def network(text: str) -> IPv4Network | IPv6Network:
    """Parse an IP address or network, such as 10.0.0.0/8, into an ip_network; the host bits of a network must be 0."""
    try:
        return ip_network(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"invalid address or network {text!r}") from error


def address(text: str) -> str:
    """Parse an IP address; return its canonical text form."""
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"invalid address {text!r}") from error
