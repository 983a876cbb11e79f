"""Waits in a capture: times in which a host delays an exchange, with the cause of the delay.

    for wait in waits_of(captured, journeys, responses):
        print(wait.host, wait.length_ns, wait.cause)        # "origin", 40_000_000, "delayed acknowledgement"

A packet leaves a host because another packet has arrived there, or by a timer or program of the host itself. The time
from the last event at the host (a message that arrived or left) until the packet leaves is therefore the host's own.
This conclusion needs a capture at the host's own interface. Of other hosts, only retransmissions are listed. The cause
follows from the packets:

    segment sent again          retransmission time-out, or fast retransmission after three duplicate acknowledgements
    data sent on an ACK         Nagle's algorithm if neither the segment nor the one before is full (RFC 9293 section
                                3.7.4), else the window (RFC 5681 section 3.1)
    ACK that data waits for     delayed acknowledgement (RFC 9293 section 3.8.6.3)
    response                    the time from the request until the server responds
    other                       the host is idle, before a message, a connection, or the close
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from lab7.experiments.harness.judge import layers
from lab7.experiments.harness.judge.frames import FIN, RST, SYN, CaptureFile, Frame
from lab7.experiments.ladder.journeys import Journeys, host_of
from lab7.experiments.ladder.selection import Key, conversation_of

# Shorter times are no waits: in real time, hosts take up to so long by themselves.
WAIT_MIN_NS = 1_000_000
# An acknowledgement that leaves later than this behind the data is delayed (Linux: at least 40 ms, less in steps of
# its timer), and a segment that leaves within this time behind an acknowledgement was waiting for it.
DELAYED_NS, RELEASED_NS = 8_000_000, 500_000
DUPLICATES = 3
# Maximum segment size without the option of the SYN (RFC 9293 section 3.7.1), and the most octets of TCP options.
MSS_DEFAULT, OPTIONS_MAX = 536, 40
TIME_OUT, FAST = "retransmission time-out", "fast retransmission, by duplicate acknowledgements"
DELAYED, NAGLE, WINDOW = "delayed acknowledgement", "for the acknowledgement (Nagle)", "for the window"
RESPONDS, IDLE, CLOSES, CONNECTS = "until it responds", "idle", "idle, then it closes", "idle, then it connects"


@dataclass(frozen=True)
class Wait:
    """Wait of a host: start and end in ns, the cause in words, and the number of the frame with which it ends."""

    host: str
    start_ns: int
    end_ns: int
    cause: str
    frame: int

    @property
    def length_ns(self) -> int:
        """Return the duration in ns."""
        return self.end_ns - self.start_ns

    @property
    def is_idle(self) -> bool:
        """Return True if the host ended the wait by itself, without an arriving packet as the reason."""
        return self.cause in (IDLE, CLOSES, CONNECTS)


@dataclass(frozen=True)
class _Event:
    """Event at a host: the departure or arrival of a packet. `octets`: length of the payload."""

    time_ns: int
    leaves: bool
    frame: Frame
    key: Key
    flags: int
    octets: int

    @property
    def acknowledges_only(self) -> bool:
        """Return True for a bare acknowledgement: a TCP segment without payload, SYN, FIN and RST."""
        return not self.octets and not self.flags & (SYN | FIN | RST)


def waits_of(captured: CaptureFile, journeys: Journeys, responses: Collection[int]) -> tuple[Wait, ...]:
    """Return the waits of all hosts in a capture, in the order of their ends.

    `responses`: numbers of the frames in which responses begin.
    """
    hosts: dict[str, list[_Event]] = defaultdict(list)
    full: dict[Key, int] = {}
    for frame in captured.frames:
        trip, ends, key = journeys.of(frame.number), journeys.ends(frame.number), conversation_of(frame.data)
        if trip.sent.number != frame.number or ends is None or key is None:
            continue
        source, target = (journeys.host(address) for address in ends)
        flags, octets = _described(frame)
        if source == target or octets is None:
            continue
        if flags & SYN:
            full[key] = min(full.get(key, _mss(frame)), _mss(frame))
        hosts[source].append(_Event(frame.time_ns, True, frame, key, flags, octets))
        if trip.received is not None:
            hosts[target].append(_Event(trip.received.time_ns, False, frame, key, flags, octets))
    found: list[Wait] = []
    delayed: dict[int, Wait] = {}
    readers = {host: _Host(host, events, full, responses) for host, events in hosts.items()}
    captured_hosts = {host_of(interface) for interface in captured.counts}
    for reader in readers.values():
        delayed |= {wait.frame: wait for wait in reader.delayed_acknowledgements()}
    for reader in readers.values():
        for wait, released_by in reader.waits():
            if reader.name in captured_hosts or wait.cause in (TIME_OUT, FAST):
                found.append(wait)
            if released_by in delayed and delayed[released_by].host in captured_hosts:
                found.append(delayed[released_by])
    return tuple(sorted(dict.fromkeys(found), key=lambda wait: (wait.end_ns, wait.frame)))


def _described(frame: Frame) -> tuple[int, int | None]:
    """Return the TCP flags of a packet (0 for UDP) and the length of its payload (None for other protocols)."""
    tcp = frame.tcp
    if tcp is not None:
        return tcp.flags, len(tcp.payload)
    udp = frame.udp
    return 0, None if udp is None else len(udp.payload)


def _mss(frame: Frame) -> int:
    """Return the maximum segment size that a SYN announces."""
    packet = frame.packet
    options = dict(option for option in packet[layers.TCP].options if len(option) == 2) if layers.TCP in packet else {}
    return int(options.get("MSS") or MSS_DEFAULT)


@dataclass
class _Host:
    """Events at one host in order of time, and the state of its connections while the events are read."""

    name: str
    events: list[_Event]
    full: dict[Key, int]
    responses: Collection[int]
    _sent: dict[tuple[Key, int, int], int] = field(default_factory=dict)
    _duplicates: dict[Key, int] = field(default_factory=lambda: defaultdict(int))

    def __post_init__(self) -> None:
        self.events.sort(key=lambda one: (one.time_ns, one.leaves, one.frame.number))

    def delayed_acknowledgements(self) -> Iterator[Wait]:
        """Yield a wait for each bare acknowledgement that left noticeably later than the acknowledged data arrived."""
        arrived: dict[Key, int] = {}
        for event in self.events:
            if not event.leaves:
                if event.octets:
                    arrived.setdefault(event.key, event.time_ns)
                continue
            start_ns = arrived.pop(event.key, event.time_ns)
            if event.acknowledges_only and event.time_ns - start_ns >= DELAYED_NS:
                yield Wait(self.name, start_ns, event.time_ns, DELAYED, event.frame.number)

    def waits(self) -> Iterator[tuple[Wait, int | None]]:
        """Yield (wait, frame number of the acknowledgement that ended the wait or None) for each wait of the host."""
        last: _Event | None = None
        ack: _Event | None = None
        for event in self.events:
            if event.acknowledges_only:
                if not event.leaves:
                    ack = event
                    self._duplicates[event.key] += 1
                continue
            if event.leaves:
                yield from self._wait(event, last, ack)
            self._duplicates[event.key] = 0
            last = event

    def _wait(self, event: _Event, last: _Event | None, ack: _Event | None) -> Iterator[tuple[Wait, int | None]]:
        number, before_ns = event.frame.number, self._sent_before(event)
        if before_ns is not None:
            is_fast = self._duplicates[event.key] >= DUPLICATES
            yield Wait(self.name, before_ns, event.time_ns, FAST if is_fast else TIME_OUT, number), None
            return
        if last is None or event.time_ns - last.time_ns < WAIT_MIN_NS:
            return
        released = ack is not None and ack.key == event.key and event.time_ns - ack.time_ns < RELEASED_NS
        if released and ack is not None and last.leaves and last.key == event.key and last.octets and event.octets:
            full = self.full.get(event.key, MSS_DEFAULT) - OPTIONS_MAX
            cause = NAGLE if max(last.octets, event.octets) < full else WINDOW
            yield Wait(self.name, last.time_ns, event.time_ns, cause, number), ack.frame.number
            return
        yield Wait(self.name, last.time_ns, event.time_ns, self._cause(event), number), None

    def _sent_before(self, event: _Event) -> int | None:
        """Return the time in ns at which the host last sent the same octets of a connection; None for new octets."""
        tcp = event.frame.tcp
        if tcp is None:
            return None
        key = event.key, tcp.sequence, tcp.flags & SYN
        before_ns = self._sent.get(key)
        self._sent[key] = event.time_ns
        return before_ns

    def _cause(self, event: _Event) -> str:
        if event.flags & SYN:
            return CONNECTS
        if event.flags & (FIN | RST) and not event.octets:
            return CLOSES
        return RESPONDS if event.frame.number in self.responses else IDLE
