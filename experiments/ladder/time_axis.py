"""Vertical time axis of a ladder diagram: from times in ns to positions in pixels, downwards.

An axis of the kind "scale" is linear. An axis of the kind "fitted" keeps the order of all times and shortens idle time:
the distance of two neighbouring times is proportional to their difference, but at least a minimum, which leaves space
for a label, and at most a maximum. An interval shortened to the maximum is marked as a cut.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Kind = Literal["fitted", "scale"]
# Heights in pixels: line of a label; minimum between two times; a typical delay; maximum before an interval is cut.
LABEL_PX, NEXT_PX, DELAY_PX, CUT_PX = 15.0, 5.0, 44.0, 150.0
# Maximum height in pixels of an axis to scale; browsers draw no higher images reliably.
HEIGHT_MAX_PX = 12_000.0


@dataclass(frozen=True)
class Cut:
    """Shortened interval of a time axis: position of its middle in pixels, and its real length in ns."""

    y: float
    length_ns: int


class TimeAxis:
    """Time axis over all `times_ns`, whose first time is at `top` pixels.

    `labels`: time -> number of labels above it. `delay_ns`: a typical delay of the network, which determines the scale.
    """

    def __init__(
        self, times_ns: Iterable[int], labels: Mapping[int, int], delay_ns: float, top: float, kind: Kind = "fitted"
    ) -> None:
        self._times = sorted(set(times_ns))
        span_ns = max(self._times[-1] - self._times[0], 1)
        scale = DELAY_PX / delay_ns if delay_ns > 0 else HEIGHT_MAX_PX / 10 / span_ns
        if kind == "scale":
            scale = min(scale, HEIGHT_MAX_PX / span_ns)
        self._places = [top]
        self.cuts: list[Cut] = []
        for earlier, later in pairwise(self._times):
            height = (later - earlier) * scale
            if kind == "fitted":
                height = max(height, NEXT_PX, LABEL_PX * labels.get(later, 0) + 3)
                if height > max(CUT_PX, LABEL_PX * labels.get(later, 0) + 3):
                    height = CUT_PX / 2
                    self.cuts.append(Cut(self._places[-1] + height / 2, later - earlier))
            self._places.append(self._places[-1] + height)

    @property
    def bottom(self) -> float:
        """Vertical position of the last time, in pixels."""
        return self._places[-1]

    def y(self, time_ns: int) -> float:
        """Return the vertical position of a time in pixels, interpolated between the known times."""
        index = bisect_left(self._times, time_ns)
        if index == len(self._times):
            return self._places[-1]
        if self._times[index] == time_ns or index == 0:
            return self._places[index]
        earlier, later = self._times[index - 1 : index + 1]
        share = (time_ns - earlier) / (later - earlier)
        return self._places[index - 1] + share * (self._places[index] - self._places[index - 1])
