"""Answers by tshark to the questions of the assignment http-prediction."""

from __future__ import annotations

from pathlib import Path

from lab7.experiments.assignments.answer_types import Number
from tests.kernel.assignments import tshark
from tests.kernel.assignments.tshark import Expected

SYN, SYN_ACK = "tcp.flags.syn == 1 && tcp.flags.ack == 0", "tcp.flags.syn == 1 && tcp.flags.ack == 1"
DATA = "tcp.len > 0 && tcp.srcport == 80"
# More than a load's longest idle time, less than the pause between two loads.
PAUSE_NS = 3 * 10**9


def _loads(capture: Path) -> list[tuple[list[int], list[int]]]:
    """Return the times in ns of SYNs and of the server's segments with data, by load."""
    events = sorted(
        [(time, 0) for time in tshark.times_ns(capture, SYN)] + [(time, 1) for time in tshark.times_ns(capture, DATA)]
    )
    found: list[tuple[list[int], list[int]]] = []
    for place, (time, kind) in enumerate(events):
        if place == 0 or time - events[place - 1][0] > PAUSE_NS:
            found.append(([], []))
        found[-1][kind].append(time)
    return found


def _load_ns(capture: Path, place: int) -> int:
    syns, data = _loads(capture)[place]
    return data[-1] - syns[0]


HTTP_PREDICTION: Expected = {
    "q1": lambda capture, _: tshark.ms(tshark.times_ns(capture, SYN_ACK)[0] - tshark.times_ns(capture, SYN)[0]),
    "q2": lambda capture, _: str(len(_loads(capture)[0][0])),
    "q3": lambda capture, _: tshark.ms(_load_ns(capture, 0)),
    "q4": lambda capture, _: tshark.ms(_load_ns(capture, 1)),
    "q5": lambda capture, _: tshark.ms(_load_ns(capture, 2)),
    "q6": lambda capture, _: tshark.ms(_load_ns(capture, 3)),
    "q7": lambda capture, _: Number(_load_ns(capture, 0) / _load_ns(capture, 2)).shown(),
    "q8": lambda capture, _: tshark.ms(_loads(capture)[2][1][0] - _loads(capture)[2][0][0]),
}
