"""Closing segments of TCP connections in a capture: which end closes first, and which end aborts.

    closings(captured, journeys)    -> {451: "closes first", 455: "closes"}     # by frame number at the sender

A FIN that its sender repeats counts once. An RST that follows the FINs of both ends has no effect, and is not named.
"""

from __future__ import annotations

from lab7.experiments.harness.judge.frames import ACK, FIN, RST, SYN, CaptureFile, Endpoint
from lab7.experiments.ladder.journeys import Journeys

FIRST, SECOND, ABORT = "closes first", "closes", "aborts"


def closings(captured: CaptureFile, journeys: Journeys) -> dict[int, str]:
    """Return frame number -> effect on the TCP connection, such as "closes first".

    The frames are those with the first FIN or RST of each end, at the sender's interface, or at the first interface
    that captured the segment.
    """
    found: dict[int, str] = {}
    closed: dict[frozenset[Endpoint], set[Endpoint]] = {}
    for frame in captured.frames:
        tcp = frame.tcp
        if tcp is None or not tcp.flags & (SYN | FIN | RST) or journeys.of(frame.number).sent.number != frame.number:
            continue
        key = frozenset((tcp.source, tcp.target))
        if tcp.flags & SYN and not tcp.flags & ACK:
            closed.pop(key, None)
            continue
        ends = closed.setdefault(key, set())
        if len(ends) == len(key) or not tcp.flags & (FIN | RST) or (tcp.source in ends and not tcp.flags & RST):
            continue
        if tcp.flags & RST:
            found[frame.number] = ABORT
            ends |= key
        else:
            found[frame.number] = SECOND if ends else FIRST
            ends.add(tcp.source)
    return found
