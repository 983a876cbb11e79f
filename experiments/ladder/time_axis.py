"""Vertical axis of a ladder: from times in ns to positions in pixels, downwards, to scale or with idle time shortened.

An axis of the kind "scale" is linear. An axis of the kind "fitted" keeps the order of all times and shortens what a
linear one wastes: the distance of two neighbouring times is proportional to their difference between a minimum, which
leaves space for a label, and a maximum, beyond which the time is cut and marked.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Kind = Literal["fitted", "scale"]
LABEL_PX, NEXT_PX, MIDDLE_PX, CUT_PX = 18.0, 5.0, 30.0, 64.0
# Maximum height in pixels of an axis to scale; browsers draw no higher images reliably.
HEIGHT_MAX_PX = 12_000.0


@dataclass(frozen=True)
class Cut:
    """A shortened interval: position of its middle in pixels, and its real length in ns."""

    y: float
    length_ns: int


class TimeAxis:
    """Axis over all `times_ns`; at those in `labelled_ns` a label needs space above. `top` is the first time's y."""

    def __init__(self, times_ns: Iterable[int], labelled_ns: Iterable[int], top: float, kind: Kind = "fitted") -> None:
        self._times = sorted(set(times_ns))
        labelled = set(labelled_ns)
        gaps = [later - earlier for earlier, later in pairwise(self._times)]
        long_gaps = [gap for (_, later), gap in zip(pairwise(self._times), gaps, strict=True) if later in labelled]
        scale = MIDDLE_PX / statistics.median(long_gaps or gaps or [1])
        if kind == "scale":
            span_ns = max(self._times[-1] - self._times[0], 1)
            scale = min(max(scale, LABEL_PX / min(long_gaps or gaps or [1])), HEIGHT_MAX_PX / span_ns)
        self._places = [top]
        self.cuts: list[Cut] = []
        for (_, later), gap in zip(pairwise(self._times), gaps, strict=True):
            height = gap * scale
            if kind == "fitted":
                height = max(height, LABEL_PX if later in labelled else NEXT_PX)
                if height > CUT_PX:
                    height = CUT_PX
                    self.cuts.append(Cut(self._places[-1] + CUT_PX / 2, gap))
            self._places.append(self._places[-1] + height)

    @property
    def bottom(self) -> float:
        """Position of the last time, in pixels."""
        return self._places[-1]

    def y(self, time_ns: int) -> float:
        """Return the position of a time in pixels; a time between two known ones is interpolated."""
        index = bisect_left(self._times, time_ns)
        if index == len(self._times):
            return self._places[-1]
        if self._times[index] == time_ns or index == 0:
            return self._places[index]
        earlier, later = self._times[index - 1 : index + 1]
        share = (time_ns - earlier) / (later - earlier)
        return self._places[index - 1] + share * (self._places[index] - self._places[index - 1])


def labels_apart(places: Sequence[float], distance: float) -> list[float]:
    """Return the positions, given in ascending order, moved down where needed to be `distance` pixels apart."""
    moved: list[float] = []
    for place in places:
        moved.append(place if not moved else max(place, moved[-1] + distance))
    return moved
