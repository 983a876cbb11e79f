"""Frame numbers of captures: integers that carry the name of their capture file.

    number = FrameNumber(7, "capture-kept.pcapng")      # an integer: number == 7
    by_capture([number])                                # {"capture-kept.pcapng": (7,)}

A run may have several captures, in each of which frames are numbered from 1. The reader of a capture makes the numbers.
Code that passes a number on thereby passes the name of the capture as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self


class FrameNumber(int):
    """Number of a frame in a capture, from 1, as an integer with the capture's file name.

    Numbers from different captures are equal if the integers are equal. Therefore use by_capture() to remove
    duplicates.
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
