"""Answers by tshark, which shares no code with the judge, for comparison with the keys of assignments."""

from __future__ import annotations

import subprocess
from pathlib import Path


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
