"""Types of experiment parameters: each parses a text (`50ms`, `1,2,5`) or raises ValueError."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from topologies.emulation.errors import DrawingError
from topologies.emulation.shape import parse_time_s


def seconds(text: str) -> float:
    """Read a time such as 50ms, 300us or 1s; in seconds, above zero and at most a minute."""
    try:
        value = parse_time_s(text)
    except DrawingError:
        value = 0.0
    if not 0 < value <= 60:
        raise ValueError("it takes a time from 1us to 60s")
    return value


def factor(text: str) -> float:
    """Read a factor from 0.01 to 10."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 10:
        raise ValueError("it takes a factor from 0.01 to 10")
    return value


def share(text: str) -> float:
    """Read a share from 0.01 to 0.99."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 0.99:
        raise ValueError("it takes a share from 0.01 to 0.99")
    return value


def whole(low: int, high: int) -> Callable[[str], int]:
    """A reader of whole numbers from `low` to `high`."""

    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"it takes a whole number from {low} to {high}")
        return int(text)

    return read


def choices(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """A reader of `all` or of names from a list, separated by commas, in the order of the list."""

    def read(text: str) -> tuple[str, ...]:
        asked = known if text == "all" else tuple(part.strip() for part in text.split(","))
        for one in asked:
            if one not in known:
                raise ValueError(f"it takes all, or some of {','.join(known)}")
        return tuple(one for one in known if one in asked)

    return read


def listed(read: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """A reader of several values separated by commas, each read by `read`."""

    def read_all(text: str) -> list[Any]:
        return [read(part.strip()) for part in text.split(",")]

    return read_all


def per_second(text: str) -> float:
    """Read a rate of events, such as 15 or 0.5, a second."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 1000:
        raise ValueError("it takes a rate from 0.01 to 1000 a second")
    return value


def megabits(text: str) -> float:
    """Read a rate in Mbit/s, such as 10 or 1.54."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 1000:
        raise ValueError("it takes a rate from 0.01 to 1000 Mbit/s")
    return value
