"""Ladder diagram of a capture: hosts as columns, and one arrow per application message with send and arrival times.

    ladder = ladder_of(read_capture(path))
    for arrow in ladder.arrows:
        print(ladder.columns[arrow.source], arrow.label, arrow.sent_ns, arrow.received_ns)

A conversation is parsed at the client's interface, which gives the departure times of the client's messages. If the
server's interface was captured too, the conversation is also parsed there, which gives the arrival times. An arrow has
one of two levels: "message" for an application message, "tcp" for a segment of TCP itself (SYN, FIN, RST,
acknowledgement, retransmission).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from lab7.experiments.harness.judge.frames import ACK, FIN, RST, SYN, CaptureFile, Endpoint, TcpSegment
from lab7.experiments.ladder.closing import closings
from lab7.experiments.ladder.journeys import Journeys, host_of
from lab7.experiments.ladder.messages import WireMessage, messages_at, printable
from lab7.experiments.ladder.waits import Wait, waits_of

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
Level = Literal["message", "tcp"]
# Waits that are shorter than this share of a ladder's time are not shown.
WAIT_SHARE = 0.01
# A message as read at its sender, and at its receiver (None: read at one interface only).
_Readings = tuple[WireMessage, WireMessage | None]


@dataclass(frozen=True)
class Arrow:
    """Arrow of a ladder diagram: columns of sender and receiver, label, and times of its first and last octet in ns.

    `received_ns` and `received_end_ns` are None if the message was lost, or if the receiver was not captured (`lost` is
    then False). `frames` are the numbers of the message's frames at the sender, `arrivals` at the receiver. `closing`:
    text on a FIN or RST, such as "closes first" (see closing), in a ladder of all segments.
    """

    source: int
    target: int
    protocol: str
    label: str
    sent_ns: int
    sent_end_ns: int
    received_ns: int | None
    received_end_ns: int | None
    frames: tuple[int, ...]
    arrivals: tuple[int, ...]
    octets: int
    response: bool = False
    lost: bool = False
    level: Level = "message"
    closing: str = ""

    @property
    def words(self) -> str:
        """The label, followed by the effect of a FIN or RST on the connection: `FIN ACK, closes first`."""
        return f"{self.label}, {self.closing}" if self.closing else self.label

    @property
    def flight_ns(self) -> int | None:
        """Time in ns from the departure of the first octet to the arrival of the last; None if no arrival is known."""
        return None if self.received_end_ns is None else self.received_end_ns - self.sent_ns

    @property
    def end_ns(self) -> int:
        """Time in ns at which the arrow ends: arrival of the last octet, or its departure if the arrival is unknown."""
        return max(self.sent_end_ns, self.received_end_ns or 0)

    def label_within(self, characters: int) -> str:
        """Return the label, shortened to a number of characters.

        Characters are cut off at the end; for a DNS response, at the start, so that the data after the name remain.
        """
        label = printable(self.label)
        behind = f", {self.closing}" if self.closing else ""
        if len(label + behind) <= characters:
            return label + behind
        if self.response and self.protocol == "dns" and label.partition(" ")[0].endswith("."):
            return ELLIPSIS + label[len(label) - characters + 1 :]
        if len(behind) < characters // 2:
            return label[: characters - len(behind) - 1] + ELLIPSIS + behind
        return label[: characters - 1] + ELLIPSIS


@dataclass(frozen=True)
class Ladder:
    """Ladder diagram: names of the columns from left to right, arrows in the order of departure, waits of the hosts."""

    columns: tuple[str, ...]
    arrows: tuple[Arrow, ...]
    waits: tuple[Wait, ...] = ()

    def between(self, start_ns: int, end_ns: int) -> Ladder:
        """Return the ladder of the arrows that depart within [start_ns, end_ns], with the columns of their hosts."""
        return self.with_arrows(arrow for arrow in self.arrows if start_ns <= arrow.sent_ns <= end_ns)

    def of_level(self, level: Level) -> Ladder:
        """Return the ladder of the arrows of one level ("message" or "tcp"), with the columns of their hosts."""
        return self.with_arrows(arrow for arrow in self.arrows if arrow.level == level)

    def with_frames(self, frames: Collection[int]) -> Ladder:
        """Return the ladder of the arrows whose messages are in at least one of the frames with these numbers."""
        return self.with_arrows(
            arrow for arrow in self.arrows if not {*arrow.frames, *arrow.arrivals}.isdisjoint(frames)
        )

    def with_arrows(self, arrows: Iterable[Arrow]) -> Ladder:
        """Return the ladder of these arrows with the waits that they end; columns without an arrow are removed."""
        kept = tuple(arrows)
        frames = {frame for arrow in kept for frame in arrow.frames}
        used = sorted({column for arrow in kept for column in (arrow.source, arrow.target)})
        place = {column: index for index, column in enumerate(used)}
        moved = (replace(arrow, source=place[arrow.source], target=place[arrow.target]) for arrow in kept)
        waits = tuple(wait for wait in self.waits if wait.frame in frames)
        return Ladder(tuple(self.columns[column] for column in used), tuple(moved), waits)

    def noticeable_waits(self) -> dict[int, list[Wait]]:
        """Return index of an arrow -> waits of hosts that end with the arrow's departure.

        Waits that are shorter than the share WAIT_SHARE of the ladder's duration are left out.
        """
        if not self.arrows:
            return {}
        span_ns = max(arrow.end_ns for arrow in self.arrows) - self.arrows[0].sent_ns
        places = {frame: place for place, arrow in enumerate(self.arrows) for frame in arrow.frames}
        found: dict[int, list[Wait]] = defaultdict(list)
        for wait in self.waits:
            within = wait.frame in places and wait.start_ns >= self.arrows[0].sent_ns and wait.host in self.columns
            if within and wait.length_ns >= WAIT_SHARE * span_ns and not (wait.is_idle and self._is_busy(wait)):
                found[places[wait.frame]].append(wait)
        return found

    def _is_busy(self, wait: Wait) -> bool:
        """Return True if messages are on their way in more than half of a wait, so that its host is not idle."""
        busy_ns, until_ns = 0, wait.start_ns
        for arrow in self.arrows:
            start_ns, end_ns = max(arrow.sent_ns, until_ns), min(arrow.end_ns, wait.end_ns)
            if start_ns < end_ns:
                busy_ns, until_ns = busy_ns + end_ns - start_ns, end_ns
        return 2 * busy_ns > wait.length_ns


def ladder_of(captured: CaptureFile, *, with_tcp: bool = False) -> Ladder:
    """Return the ladder diagram of a capture.

    `with_tcp` adds arrows for segments without a message, and for HTTP/2 control frames.
    """
    journeys = Journeys(captured)
    names: dict[str, int] = {}
    readings = [one for one in _readings(captured, journeys) if with_tcp or not one[0].control]
    services = {one.source if one.response else one.target for one, _ in readings if one.protocol != "tcp"}

    def column(endpoint: str, peer: str) -> int:
        host, other = (journeys.host(_address(one)) for one in (endpoint, peer))
        # If client and server run on one host, each has its own column; the server's name has its port.
        name = _server_name(host, endpoint, peer, services) if host == other else host
        return names.setdefault(name, len(names))

    arrows = [_arrow(journeys, one, column) for one in readings]
    if with_tcp:
        arrows += _segments(captured, journeys, {number for arrow in arrows for number in arrow.frames}, column)
        closing = closings(captured, journeys)
        arrows = [
            replace(arrow, closing=next((closing[frame] for frame in arrow.frames if frame in closing), ""))
            for arrow in arrows
        ]
    arrows.sort(key=lambda arrow: (arrow.sent_ns, arrow.frames[0]))
    responses = {frame for arrow in arrows if arrow.response for frame in arrow.frames}
    frames = {frame for arrow in arrows for frame in arrow.frames}
    waits = tuple(wait for wait in waits_of(captured, journeys, responses) if wait.frame in frames)
    return in_order(Ladder(tuple(names), tuple(arrows), waits))


def _readings(captured: CaptureFile, journeys: Journeys) -> Iterator[_Readings]:
    """Yield each message of a capture once, as (message at the sender's interface, at the receiver's or None)."""
    found: dict[tuple[str, frozenset[str]], dict[str, list[WireMessage]]] = defaultdict(dict)
    for interface in captured.counts:
        for message in messages_at(captured, interface):
            found[message.conversation].setdefault(interface, []).append(message)
    for places in found.values():
        for source in sorted({message.source for read in places.values() for message in read}):
            yield from _one_way(places, source, journeys)


def _one_way(places: Mapping[str, list[WireMessage]], source: str, journeys: Journeys) -> Iterator[_Readings]:
    """Yield the messages from `source` in one conversation, as (message at the sender, at the receiver or None).

    `places`: the conversation's messages, keyed by the interface at which they were captured.
    """
    ways = {interface: [one for one in read if one.source == source] for interface, read in places.items()}
    target = next(read[0].target for read in ways.values() if read)
    sent = _at_host(ways, journeys.host(_address(source)))
    received = _at_host(ways, journeys.host(_address(target)))
    if sent is None or received is None:
        # With one end captured, or none, the journeys of the frames give the times at the other end.
        yield from ((one, None) for one in sent or received or max(ways.values(), key=len))
        return
    arrived = defaultdict[str, list[WireMessage]](list)
    for message in received:
        arrived[message.label].append(message)
    departed = Counter(message.label for message in sent)
    # The nth of equal messages is the nth that arrived, unless one of them was lost or arrived after the end of the
    # capture: then frames decide for all of them.
    paired = {label for label, count in departed.items() if len(arrived[label]) == count}
    for message in sent:
        yield message, arrived[message.label].pop(0) if message.label in paired else None


def _at_host(ways: Mapping[str, list[WireMessage]], host: str) -> list[WireMessage] | None:
    return next((read for interface, read in ways.items() if host_of(interface) == host), None)


def _server_name(host: str, endpoint: str, peer: str, services: Collection[str]) -> str:
    """Return the column name of one end of a conversation within a host: HOST:PORT for the server, HOST for the client.

    `services`: the endpoints that answer requests. In a conversation without such an end, the server has the lower
    port.
    """
    ports = [int(one.rpartition(":")[2]) for one in (endpoint, peer)]
    serves = (endpoint in services) if (endpoint in services) != (peer in services) else ports[0] < ports[1]
    return str(Endpoint(host, ports[0])) if serves else host


def _arrow(journeys: Journeys, readings: _Readings, column: Callable[[str, str], int]) -> Arrow:
    here, there = readings
    sent = [journeys.of(number).sent for number in here.frames]
    if there is None:
        trips = [journeys.of(number) for number in here.frames]
        received = [trip.received for trip in trips if trip.received is not None]
        whole = len(received) == len(trips)
        lost = any(trip.lost for trip in trips)
    else:
        received = [journeys.of(number).received or journeys.of(number).sent for number in there.frames]
        whole, lost = True, False
    return Arrow(
        source=column(here.source, here.target),
        target=column(here.target, here.source),
        protocol=here.protocol,
        label=here.label,
        sent_ns=min(one.time_ns for one in sent),
        sent_end_ns=max(one.time_ns for one in sent),
        received_ns=min(one.time_ns for one in received) if whole else None,
        received_end_ns=max(one.time_ns for one in received) if whole else None,
        frames=tuple(dict.fromkeys(one.number for one in sent)),
        arrivals=tuple(dict.fromkeys(one.number for one in received)),
        octets=here.octets,
        response=here.response,
        lost=lost,
        level="tcp" if here.control else "message",
    )


def _segments(
    captured: CaptureFile, journeys: Journeys, known: Collection[int], column: Callable[[str, str], int]
) -> Iterator[Arrow]:
    """Yield an arrow for each TCP segment without a message, at the first interface that captured it."""
    for frame in captured.frames:
        trip = journeys.of(frame.number)
        tcp = frame.tcp
        if trip.sent.number != frame.number or frame.number in known or tcp is None:
            continue
        received = None if trip.received is None else trip.received.time_ns
        yield Arrow(
            source=column(str(tcp.source), str(tcp.target)),
            target=column(str(tcp.target), str(tcp.source)),
            protocol="tcp",
            label=_flags(tcp),
            sent_ns=frame.time_ns,
            sent_end_ns=frame.time_ns,
            received_ns=received,
            received_end_ns=received,
            frames=(frame.number,),
            arrivals=() if trip.received is None else (trip.received.number,),
            octets=len(tcp.payload),
            lost=trip.lost,
            level="tcp",
        )


def _flags(tcp: TcpSegment) -> str:
    words = [word for flag, word in _FLAGS.items() if tcp.flags & flag]
    return " ".join(words) + (f", {len(tcp.payload):,} octets again" if tcp.payload else "")


_FLAGS = {SYN: "SYN", FIN: "FIN", RST: "RST", ACK: "ACK"}


def in_order(ladder: Ladder) -> Ladder:
    """Return the ladder with its columns reordered: the first client on the left, frequent partners side by side."""
    order: list[int] = []
    for arrow in ladder.arrows:
        # The client of a conversation is on the left, also where the server speaks first.
        ends = (arrow.source, arrow.target)
        for column, partner in (ends[::-1], ends) if arrow.response else (ends, ends[::-1]):
            if column not in order:
                order.insert(order.index(partner) + 1 if partner in order else len(order), column)
    order = _shortest(order, Counter((arrow.source, arrow.target) for arrow in ladder.arrows))
    place = {column: index for index, column in enumerate(order)}
    moved = (replace(arrow, source=place[arrow.source], target=place[arrow.target]) for arrow in ladder.arrows)
    return replace(ladder, columns=tuple(ladder.columns[column] for column in order), arrows=tuple(moved))


def _shortest(order: list[int], traffic: Mapping[tuple[int, int], int]) -> list[int]:
    """Return an order of the columns with a short total length of the arrows; the first column stays.

    Single columns are moved as long as this shortens the total.
    """

    def length(columns: list[int]) -> int:
        place = {column: index for index, column in enumerate(columns)}
        return sum(count * abs(place[source] - place[target]) for (source, target), count in traffic.items())

    best = length(order)
    improved = True
    while improved:
        improved = False
        for column in order[1:]:
            rest = [other for other in order if other != column]
            for position in range(1, len(order)):
                moved = [*rest[:position], column, *rest[position:]]
                if (shorter := length(moved)) < best:
                    best, order, improved = shorter, moved, True
    return order


def _address(endpoint: str) -> str:
    return endpoint.rpartition(":")[0].strip("[]")
