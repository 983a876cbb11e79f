"""Answers by tshark, which shares no code with the judge, for comparison with the keys of assignments."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from lab7.experiments.assignments.answer_types import Number

# Values of a variant; and an assignment's answers by question, each computed from the capture and the variant.
Values = Mapping[str, Any]
Expected = Mapping[str, Callable[[Path, Values], str]]


def fields(capture: Path, display_filter: str, *names: str) -> list[list[str]]:
    """Return the fields of each frame that the display filter selects; several values of a field are joined by `|`."""
    words = ["tshark", "-n", "-r", str(capture), "-Y", display_filter, "-T", "fields", "-E", "aggregator=|"]
    for name in names:
        words += ["-e", name]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=120)
    return [row.split("\t") for row in done.stdout.splitlines()]


def frames(capture: Path, display_filter: str) -> list[int]:
    """Return the numbers of the frames that the display filter selects."""
    return [int(number) for (number,) in fields(capture, display_filter, "frame.number")]


def lines(capture: Path, display_filter: str) -> list[list[str]]:
    """Return the field lines of the HTTP/1 message in each frame that the display filter selects."""
    rows = fields(capture, display_filter, "http.request.line", "http.response.line")
    return ["|".join(row).replace("\\r\\n", "").strip("|").split("|") for row in rows]


def at(interface: str) -> str:
    """Return the display filter for the frames of an interface."""
    return f'frame.interface_name == "{interface}"'


def times_ns(capture: Path, display_filter: str) -> list[int]:
    """Return the times in ns of the frames that the display filter selects."""
    return [int(Decimal(time) * 10**9) for (time,) in fields(capture, display_filter, "frame.time_epoch")]


def ms(span_ns: int) -> str:
    """Return a time span as a key shows it, in ms."""
    return Number(span_ns / 1e9, "time", "ms").shown()


def sent(capture: Path, display_filter: str) -> bytes:
    """Return the payloads of the selected frames of one TCP direction in their order, without loss in the capture."""
    rows = fields(capture, f"tcp.len > 0 && {display_filter}", "tcp.payload")
    return b"".join(bytes.fromhex(payload) for (payload,) in rows)
