"""Answers by tshark, which shares no code with the judge, for comparison with the keys of assignments."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

# Question: the answer by tshark, from the capture and the variant.
Expected = Mapping[str, Callable[[Path, Mapping[str, Any]], str]]


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


def sent(capture: Path, display_filter: str) -> bytes:
    """Return the payloads of the selected frames of one TCP direction in their order, without loss in the capture."""
    rows = fields(capture, f"tcp.len > 0 && {display_filter}", "tcp.payload")
    return b"".join(bytes.fromhex(payload) for (payload,) in rows)
