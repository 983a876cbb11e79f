"""Vertical time axis of a ladder diagram: from times in ns to positions in pixels, downwards.

An axis of the kind "scale" is linear. An axis of the kind "fitted" keeps the order of all times and shortens idle time.
The distance of two neighbouring times is proportional to their difference, but has a minimum, which leaves space for a
label. An idle interval, in which no message is on its way, has a maximum, too: a longer one is shortened, and marked as
a cut. Intervals with a message on its way are never cut, so that the slopes of arrows can be compared. The scale is
chosen such that the longest of these intervals has the maximum height.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Kind = Literal["fitted", "scale"]
# Heights in pixels: line of a label; minimum between two times; a typical delay; maximum of an interval.
LABEL_PX, NEXT_PX, DELAY_PX, CUT_PX = 15.0, 5.0, 44.0, 150.0
# Maximum height in pixels of an axis to scale; browsers draw no higher images reliably.
HEIGHT_MAX_PX = 12_000.0


@dataclass(frozen=True)
class Cut:
    """Shortened idle interval of a time axis: position of its middle in pixels, its real length and start in ns."""

    y: float
    length_ns: int
    start_ns: int


class TimeAxis:
    """Time axis of a ladder diagram for the times `times_ns`; the first time is at the position `top` in pixels.

    `labels`: time -> number of labels above its position. `delay_ns`: a typical delay of the network, for the scale.
    `flights`: (departure, arrival) of messages in ns; both are among `times_ns`.
    """

    def __init__(
        self,
        times_ns: Iterable[int],
        labels: Mapping[int, int],
        delay_ns: float,
        top: float,
        kind: Kind = "fitted",
        flights: Iterable[tuple[int, int]] = (),
    ) -> None:
        self._times = sorted(set(times_ns))
        span_ns = max(self._times[-1] - self._times[0], 1)
        scale = DELAY_PX / delay_ns if delay_ns > 0 else HEIGHT_MAX_PX / 10 / span_ns
        intervals = list(pairwise(self._times))
        busy = _within_flights(intervals, flights)
        if kind == "scale":
            scale = min(scale, HEIGHT_MAX_PX / span_ns)
        elif busy:
            scale = min(scale, CUT_PX / max(later - earlier for earlier, later in busy))
        self._places = [top]
        self.cuts: list[Cut] = []
        for earlier, later in intervals:
            height = (later - earlier) * scale
            if kind == "fitted":
                height = max(height, NEXT_PX, LABEL_PX * labels.get(later, 0) + 3)
                if (earlier, later) not in busy and height > max(CUT_PX, LABEL_PX * labels.get(later, 0) + 3):
                    height = CUT_PX / 2
                    self.cuts.append(Cut(self._places[-1] + height / 2, later - earlier, earlier))
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


def _within_flights(intervals: Iterable[tuple[int, int]], flights: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Return the intervals of time in which a message is on its way.

    `intervals`: the intervals between neighbouring departures and arrivals. `flights`: (departure, arrival) of
    messages.
    """
    waiting = sorted(flights, reverse=True)
    found, until = set(), -1
    for earlier, later in intervals:
        while waiting and waiting[-1][0] <= earlier:
            until = max(until, waiting.pop()[1])
        if until >= later:
            found.add((earlier, later))
    return found
