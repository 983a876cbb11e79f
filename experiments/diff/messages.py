"""Comparison of the messages of two captures: messages that only one capture has, and messages sent at different times.

Each capture is given as a ladder diagram: hosts as columns, messages as arrows. Messages are equal if sender, receiver,
protocol and label are equal; several equal messages are aligned in the order in which they were sent. Times are
relative to the first message of each capture. If both captures have the same messages, their order between each two
hosts is compared too, separately for each protocol.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import Literal

from lab7.experiments.ladder.ladder import Arrow, Ladder

# Aligned messages count as simultaneous if their relative times differ by no more than this.
APART_NS = 1_000_000
Key = tuple[str, str, str, str, int]
Side = Literal["first", "second"]


@dataclass(frozen=True)
class PlacedMessage:
    """Message of a ladder diagram: hosts, protocol, label, number of its first frame.

    `time_s` is the send time in s since the first message of the diagram.
    """

    sender: str
    receiver: str
    protocol: str
    label: str
    time_s: float
    frame: int


@dataclass(frozen=True)
class MessageDifference:
    """Difference between the messages of two runs in one capture; a field is None if there is no such difference.

    `counts`: numbers of messages in the two runs. `parting`: the first message that only one run has. `only_in`: the
    run that has this message. `before`: the last message before it that both runs have. `moved`: the first common
    message whose send times differ by more than APART_NS, as (message in the first run, in the second run). `order`:
    the first pair of messages, one of each run, at which the order of the messages differs.
    """

    capture: str
    counts: tuple[int, int]
    parting: PlacedMessage | None = None
    only_in: Side | None = None
    before: PlacedMessage | None = None
    moved: tuple[PlacedMessage, PlacedMessage] | None = None
    order: tuple[PlacedMessage, PlacedMessage] | None = None


def compare_ladders(capture: str, first: Ladder, second: Ladder) -> MessageDifference:
    """Align the messages of two ladder diagrams, and return their difference."""
    one, other = _keyed(first), _keyed(second)
    alone: list[tuple[float, Side, PlacedMessage]] = [
        (message.time_s, "first", message) for key, message in one.items() if key not in other
    ]
    alone += [(message.time_s, "second", message) for key, message in other.items() if key not in one]
    time_s, side, parting = min(alone, key=lambda entry: entry[0]) if alone else (None, None, None)
    own = other if side == "second" else one
    shared = [message for key, message in own.items() if key in one and key in other]
    before = [message for message in shared if time_s is not None and message.time_s <= time_s]
    moved = (
        (message, other[key])
        for key, message in one.items()
        if key in other and abs(message.time_s - other[key].time_s) * 1e9 > APART_NS
    )
    return MessageDifference(
        capture,
        (len(one), len(other)),
        parting,
        side,
        before[-1] if before else None,
        next(moved, None),
        None if alone else _reordered(one, other),
    )


def _keyed(ladder: Ladder) -> dict[Key, PlacedMessage]:
    """Return the messages in the order sent, as a dictionary that identifies a message across runs.

    The key is (sender, receiver, protocol, label, rank among the messages that are equal in these four).
    """
    seen: Counter[tuple[str, str, str, str]] = Counter()
    found: dict[Key, PlacedMessage] = {}
    for arrow in ladder.arrows:
        message = _placed(ladder, arrow)
        name = (message.sender, message.receiver, message.protocol, message.label)
        found[(*name, seen[name])] = message
        seen[name] += 1
    return found


def _placed(ladder: Ladder, arrow: Arrow) -> PlacedMessage:
    return PlacedMessage(
        ladder.columns[arrow.source],
        ladder.columns[arrow.target],
        arrow.protocol,
        arrow.label,
        (arrow.sent_ns - ladder.arrows[0].sent_ns) / 1e9,
        arrow.frames[0],
    )


def _reordered(
    one: dict[Key, PlacedMessage], other: dict[Key, PlacedMessage]
) -> tuple[PlacedMessage, PlacedMessage] | None:
    """Return the first pair of messages, one of each run, at which the order between two hosts differs; else None."""
    ways: dict[tuple[str, frozenset[str]], list[list[PlacedMessage]]] = defaultdict(lambda: [[], []])
    for side, messages in enumerate((one, other)):
        for message in messages.values():
            ways[message.protocol, frozenset((message.sender, message.receiver))][side].append(message)
    pairs = [
        (here, there)
        for way in ways.values()
        for here, there in zip(*way, strict=True)
        if (here.sender, here.label) != (there.sender, there.label)
    ]
    return min(pairs, key=lambda pair: pair[0].time_s, default=None)
