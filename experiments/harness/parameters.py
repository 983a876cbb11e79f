"""Parsers of experiment parameters given as text (`50ms`, `1,2,5`); each raises ValueError for invalid text.

A time without a unit is rejected: tc would read a bare number as microseconds, but users mostly mean milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.emulation.shape import has_unit, is_time, parse_time_s

# Rates as lab7 writes them (10 Mbit/s), and as tc does (10mbit): number, prefix of the unit, unit.
_RATE = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*(?:([kmg])bit(?:/s|ps)?)?\s*", re.IGNORECASE | re.ASCII)
_MBIT = {"k": 1e-3, "m": 1.0, "g": 1e3}
_A_SECOND = re.compile(r"\s*(/s| (a|per) second)\s*\Z")


def seconds(text: str) -> float:
    """Parse a time such as 50ms, 300us or 1s; return seconds, from 1us to 60s."""
    return _time_s(text, 60)


def period(text: str) -> float:
    """Parse the time between two events, such as 500ms or 150s; return seconds, from 1us to 3600s."""
    return _time_s(text, 3600)


def _time_s(text: str, high_s: int) -> float:
    try:
        value = parse_time_s(text)
    except TopologyError:
        value = 0.0
    if is_time(text) and not has_unit(text):
        raise ValueError(f"a time needs a unit: write {text.strip()}ms, {text.strip()}us or {text.strip()}s")
    if not 0 < value <= high_s:
        raise ValueError(f"expected a time from 1us to {high_s}s")
    return value


def factor(text: str) -> float:
    """Parse a factor from 0.01 to 10, such as 0.5."""
    return _number(text, 0.01, 10, "a factor from 0.01 to 10")


def share(text: str) -> float:
    """Parse a share from 0.01 to 0.99, such as 0.25."""
    return _number(text, 0.01, 0.99, "a share from 0.01 to 0.99")


def megabits(text: str) -> float:
    """Parse a rate in Mbit/s, such as 10, 1.54, 500kbit or 10 Mbit/s; a bare number is in Mbit/s."""
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError("expected a rate from 0.01 to 1000 Mbit/s (10, 10Mbit or 500kbit)")
    mbit = float(match[1]) * _MBIT[(match[2] or "m").lower()]
    return _number(f"{mbit:.12g}", 0.01, 1000, "a rate from 0.01 to 1000 Mbit/s")


def per_second(text: str) -> float:
    """Parse a rate of events per second, such as 15, 0.5, 15/s or 15 a second."""
    return _number(_A_SECOND.sub("", text), 0.01, 1000, "a rate from 0.01 to 1000 a second")


def _number(text: str, low: float, high: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise ValueError(f"expected {what}")
    return value


def whole(low: int, high: int) -> Callable[[str], int]:
    """Return a parser of integers from `low` to `high`."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return int(text)

    return parse


def one_of(*known: str) -> Callable[[str], str]:
    """Return a parser that accepts one of the words in `known`."""

    def parse(text: str) -> str:
        if text not in known:
            raise ValueError(f"expected {', '.join(known[:-1])} or {known[-1]}")
        return text

    return parse


def choices(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of comma-separated names or `all`; the parsed names are in the order of `known`."""

    def parse(text: str) -> tuple[str, ...]:
        chosen = known if text == "all" else tuple(part.strip() for part in text.split(","))
        if not set(chosen) <= set(known):
            raise ValueError(f"expected all, or some of {','.join(known)}")
        return tuple(name for name in known if name in chosen)

    return parse


@dataclass(frozen=True)
class Listed:
    """Parser of comma-separated values, each of which is parsed by the function `each`."""

    each: Callable[[str], Any]

    def __call__(self, text: str) -> list[Any]:
        """Parse a comma-separated list of values."""
        return [self.each(part.strip()) for part in text.split(",")]


def listed(parse: Callable[[str], Any]) -> Listed:
    """Return a parser of comma-separated values, each of which is parsed by `parse`."""
    return Listed(parse)


def written(value: Any, parse: Callable[[str], Any] | None = None) -> str:
    """Return a parameter's value as text with its unit, as on the command line.

    `parse` is the parser of the parameter; without it, the text has no unit.
    """
    if isinstance(value, list | tuple):
        each = parse.each if isinstance(parse, Listed) else None
        return ",".join(written(one, each) for one in value)
    if not isinstance(value, float):
        return str(value)
    if parse in (seconds, period):
        factor, unit = next(
            (pair for pair in ((1, "s"), (1e3, "ms")) if value * pair[0] >= 1),
            (1e6, "us"),
        )
        return f"{value * factor:g}{unit}"
    return f"{value:g}{_UNITS.get(parse, '')}"


_UNITS: Mapping[Any, str] = {megabits: " Mbit/s", per_second: " a second"}
