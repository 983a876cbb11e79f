"""Comparison of two result folders of one experiment and seed, octet by octet, to show repeatability.

Only the date, the duration and the command line of a run may differ. Any other difference is reported at its first
place: in a capture the frame and its field, in a text the line, in result.json the field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.results.result import RESULT_NAME, Result

CAPTURE_ENDING = ".pcapng"
# Fields of result.json that may differ between identical runs, in addition to the command line as typed.
MAY_DIFFER = ("started", "duration_s")
SHOWN_LETTERS = 80
REAL_PROGRAM = (
    "programs other than lab7 took part ({names}); they may read values that no seed determines, for example "
    "the processor's random number generator or cycle counter"
)


def first_difference(first: Path, other: Path) -> str | None:
    """Return a text about the first difference of two result folders, with the file's name; None if identical."""
    names = [{path.name for path in folder.iterdir()} for folder in (first, other)]
    if alone := sorted(names[0] ^ names[1]):
        return f"only one of the two runs wrote {alone[0]}"
    dates = [Result.load(folder).started for folder in (first, other)]
    # Compare captures first, since differences in other files follow from differences in captures.
    for name in sorted(names[0], key=lambda name: (not name.endswith(CAPTURE_ENDING), name)):
        contents = [(folder / name).read_bytes() for folder in (first, other)]
        if contents[0] != contents[1] and (
            difference := _difference(name, (first / name, other / name), contents, dates)
        ):
            return f"{name}, {difference}"
    return None


def _difference(name: str, paths: tuple[Path, Path], contents: list[bytes], dates: list[str]) -> str | None:
    if name == RESULT_NAME:
        first, other = (_kept(json.loads(content)) for content in contents)
        return _of_fields(first, other, "result")
    if name.endswith(CAPTURE_ENDING):
        return _of_captures(*paths)
    texts = [content.replace(date.encode(), b"") for content, date in zip(contents, dates, strict=True)]
    return _of_texts(*texts)


def _kept(result: dict[str, Any]) -> dict[str, Any]:
    environment = {name: value for name, value in result["environment"].items() if name != "command"}
    return {name: value for name, value in result.items() if name not in MAY_DIFFER} | {"environment": environment}


def _of_fields(first: Any, other: Any, path: str) -> str | None:
    if isinstance(first, dict) and isinstance(other, dict) and first.keys() == other.keys():
        pairs: Iterator[tuple[Any, Any, str]] = ((first[name], other[name], f"{path}.{name}") for name in first)
    elif isinstance(first, list) and isinstance(other, list) and len(first) == len(other):
        pairs = ((*pair, f"{path}[{number}]") for number, pair in enumerate(zip(first, other, strict=True)))
    else:
        return None if first == other else f"{path}: {_shown(first)}, then {_shown(other)}"
    return next((difference for pair in pairs if (difference := _of_fields(*pair))), None)


def _of_captures(first: Path, other: Path) -> str:
    # Import late, since importing scapy is slow and most runs are identical.
    from lab7.experiments.harness.judge.frames import read_capture

    try:
        frames = zip_longest(*(read_capture(path).frames for path in (first, other)))
    except CaptureReadError as error:
        return str(error)
    for number, (here, there) in enumerate(frames, 1):
        if here is None or there is None:
            return f"frame {number}: only one of the two captures has it"
        for what, values in (
            ("interface", (here.interface, there.interface)),
            ("time in ns", (here.time_ns, there.time_ns)),
            ("octets on the wire", (here.wire_length, there.wire_length)),
        ):
            if values[0] != values[1]:
                return f"frame {number} at {here.interface}: {what} {values[0]}, then {values[1]}"
        if here.data != there.data:
            place, values = _first_octet(here.data, there.data)
            return f"frame {number} at {here.interface}: octet {place} is {values[0]:#04x}, then {values[1]:#04x}"
    return "after its frames"


def _first_octet(first: bytes, other: bytes) -> tuple[int, tuple[int, int]]:
    return next((place, pair) for place, pair in enumerate(zip(first, other, strict=True)) if pair[0] != pair[1])


def _of_texts(first: bytes, other: bytes) -> str | None:
    for number, (here, there) in enumerate(zip_longest(first.splitlines(), other.splitlines()), 1):
        if here != there:
            return f"line {number}: {_shown(here)}, then {_shown(there)}"
    return None


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    text = value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else json.dumps(value)
    return text if len(text) <= SHOWN_LETTERS else f"{text[:SHOWN_LETTERS]}..."


def sentence(result: Result, difference: str | None, replaced: list[str]) -> str:
    """Return a sentence on the comparison of two runs by their `difference`, a text that is None for identical results.

    `replaced`: roles whose third-party programs may explain a difference, and are named.
    """
    if difference is None:
        hashed = f"; SHA-256 of {result.files.capture}: {result.files.capture_sha256}" if result.files.capture else ""
        text = f"{result.experiment} twice: identical{hashed}"
    else:
        text = f"{result.experiment} twice: different: {difference}"
    if replaced:
        names = ", ".join(f"{role}: {result.implementations.get(role, 'a program')}" for role in replaced)
        text += f" ({REAL_PROGRAM.format(names=names)})"
    return text
