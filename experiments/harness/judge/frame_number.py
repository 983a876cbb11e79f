"""Frame numbers with the capture that they count through.

    number = FrameNumber(7, "capture-kept.pcapng")      # an integer: number == 7
    by_capture([number])                                # {"capture-kept.pcapng": (7,)}

A run may have several captures. The reader of a capture makes the frame numbers, so that every part of an experiment
that passes a number on passes the name of the capture as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self


class FrameNumber(int):
    """Number of a frame in a capture, counted from 1, with the file name of the capture.

    Numbers of different captures are equal if the integers are equal: call by_capture() to remove duplicates.
    """

    capture: str

    def __new__(cls, number: int, capture: str) -> Self:
        """Return the number of a frame in the capture of this file name."""
        made = super().__new__(cls, number)
        made.capture = capture
        return made

    def __getnewargs__(self) -> tuple[int, str]:  # type: ignore[override]
        """Return the arguments of __new__, for copies (copy.deepcopy, pickle)."""
        return int(self), self.capture


def by_capture(numbers: Iterable[int]) -> dict[str, tuple[int, ...]]:
    """Return file name of a capture -> numbers of its frames, without duplicates, in the order of `numbers`.

    Numbers without a capture are left out.
    """
    found: dict[str, dict[int, None]] = {}
    for number in numbers:
        if isinstance(number, FrameNumber):
            found.setdefault(number.capture, {})[int(number)] = None
    return {capture: tuple(some) for capture, some in found.items()}
