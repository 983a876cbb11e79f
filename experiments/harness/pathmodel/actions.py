"""Causal order of a capture: each action of an application (such as a write), and the arrival that triggered it.

An action is one of four: the application opens a connection, writes, closes, or sends a datagram. Its trigger is the
latest arrival before it at the application's host: of octets, of a FIN, or of the segment that completes a handshake.
An action on a connection also follows the latest arrival on this connection. If a host has closed a connection, the
peer's FIN triggers nothing, since no application reads it. Frames that TCP sends by itself (acknowledgements, segments
of a write that the congestion window held back) are not actions. Every host that acts must be captured.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from lab7.experiments.harness.judge import layers
from lab7.experiments.harness.judge.frames import Frame, network_layer, payload_bytes
from lab7.experiments.harness.theory.tcp import INITIAL_WINDOW_SEGMENTS

# An action later than PAUSE_NS after the latest arrival follows a pause of the application, not that arrival.
PAUSE_NS = 5_000_000
MODULUS = 1 << 32


class Kind(Enum):
    """Kind of an application's action: open a connection, write, close, or send a datagram."""

    OPEN, WRITE, CLOSE, DATAGRAM = range(4)


@dataclass(frozen=True)
class Flow:
    """TCP connection: client and server as (address, port), and a number that distinguishes reuses of the ports."""

    client: tuple[str, int]
    server: tuple[str, int]
    number: int = 0


@dataclass(frozen=True)
class Arrival:
    """Arrival at a host that may trigger an action: on a TCP connection, or of a datagram.

    `flow` is the connection (None: datagram), and `total_bytes` the number of octets received on it so far;
    `established` and `fin` are True for the end of the handshake and for a FIN.
    """

    flow: Flow | None
    at_client: bool
    total_bytes: int = 0
    established: bool = False
    fin: bool = False
    datagram: tuple[Any, ...] | None = None


@dataclass
class Action:
    """Action of an application on a host, such as a write, with the arrival that triggered it and its first frame.

    `own`: the latest arrival on the same connection. `pause_ns`: time since the trigger if longer than PAUSE_NS, else
    0. `lag_ns`: time since the trigger or since the host's previous action, whichever is later.
    """

    host: str
    kind: Kind
    flow: Flow | None
    by_client: bool
    size_bytes: int
    trigger: Arrival | None
    pause_ns: int
    frame: Frame
    datagram: tuple[Any, ...] | None = None
    lag_ns: int = 0
    own: Arrival | None = None


class CausalOrderError(ValueError):
    """Capture with a retransmission or a gap, which the simulation cannot replay; the message names the frame."""


class _Streams:
    """State of one TCP connection at one interface, while actions are read; a dictionary has one value per sender."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.base: dict[bool, int] = {}
        self.sent: dict[bool, int] = {True: 0, False: 0}
        self.fin: dict[bool, bool] = {True: False, False: False}
        self.established = False
        self.writing: dict[bool, Action | None] = {True: None, False: None}
        self.written: dict[bool, Action | None] = {True: None, False: None}
        # Stream offset of the end of each segment in flight; number of segments in flight before the latest ACK.
        self.flight: dict[bool, deque[int]] = {True: deque(), False: deque()}
        self.flight_before: dict[bool, int] = {True: 0, False: 0}
        # Latest arrival, on this TCP connection, at the host whose frames are processed.
        self.latest: Arrival | None = None


def actions_of(
    frames: Iterable[Frame], host: str, addresses: Mapping[str, str]
) -> tuple[list[Action], dict[int, Arrival]]:
    """Return (opens, writes, closes and datagrams of a host's applications, its arrivals by frame number).

    `frames`: captured at the host's own interface, in order of time; `addresses`: address -> host. Raises
    CausalOrderError for a retransmission or a gap.
    """
    reader = _Reader(host, addresses)
    for frame in frames:
        packet = frame.packet
        network = network_layer(packet)
        if network is None:
            continue
        if layers.TCP in packet:
            reader.tcp(frame, network, packet[layers.TCP])
        elif layers.UDP in packet:
            reader.udp(frame, network, packet[layers.UDP])
    return reader.actions, reader.arrivals


def needless_retransmissions(frames: Iterable[Frame]) -> set[int]:
    """Return the numbers of the frames that carry spurious retransmissions.

    A retransmission is spurious if the segment left the sender's interface several times and reached the receiver's
    interface as often. Its acknowledgement was late (the receiver's program waited for a processor), so that the sender
    probed (RFC 8985 section 7) or timed out (RFC 6298). `frames`: captured at one interface of each host, in order of
    time.
    """
    seen: dict[tuple[Any, ...], dict[str, list[int]]] = {}
    for frame in frames:
        packet = frame.packet
        network = network_layer(packet)
        if network is None or layers.TCP not in packet:
            continue
        tcp = packet[layers.TCP]
        size = payload_bytes(tcp)
        if size > 0:
            key = (network.src, tcp.sport, network.dst, tcp.dport, tcp.seq, size)
            seen.setdefault(key, {}).setdefault(frame.interface, []).append(frame.number)
    found: set[int] = set()
    for by_interface in seen.values():
        if len(by_interface) > 1 and len({len(numbers) for numbers in by_interface.values()}) == 1:
            found.update(number for numbers in by_interface.values() for number in numbers[1:])
    return found


class _Reader:
    def __init__(self, host: str, addresses: Mapping[str, str]) -> None:
        self._host, self._addresses = host, addresses
        self._flows: dict[frozenset[tuple[str, int]], _Streams] = {}
        self._numbers: dict[tuple[tuple[str, int], tuple[str, int]], int] = {}
        self._datagrams: dict[tuple[Any, ...], int] = {}
        self._latest: tuple[Arrival, int] | None = None
        # Last arrival but one, which counts as the trigger if the last arrival came on a closed connection.
        self._before_closed: tuple[Arrival, int] | None = None
        self.actions: list[Action] = []
        self.arrivals: dict[int, Arrival] = {}

    def udp(self, frame: Frame, network: Any, udp: Any) -> None:
        key = (network.src, udp.sport, network.dst, udp.dport)
        number = self._datagrams[key] = self._datagrams.get(key, 0) + 1
        if self._addresses.get(network.src) == self._host:
            self._act(frame, Kind.DATAGRAM, frame.wire_length, datagram=(*key, number))
        elif self._addresses.get(network.dst) == self._host:
            self._arrive(frame, Arrival(None, True, datagram=(*key, number)))

    def tcp(self, frame: Frame, network: Any, tcp: Any) -> None:
        source, target = (network.src, tcp.sport), (network.dst, tcp.dport)
        ours = self._addresses.get(network.src) == self._host
        if not ours and self._addresses.get(network.dst) != self._host:
            return
        streams = self._streams(frame, source, target, tcp, ours)
        if streams is None:
            return
        by_client = source == streams.flow.client
        if tcp.flags.R:
            if ours:
                self._unread(streams.flow)
            return
        if tcp.flags.S:
            streams.base[by_client] = (tcp.seq + 1) % MODULUS
            if not by_client and not ours:
                streams.established = True
                self._arrive(frame, Arrival(streams.flow, True, established=True), streams)
            return
        if not streams.established and by_client:
            streams.established = True
            if not ours:
                self._arrive(frame, Arrival(streams.flow, False, established=True), streams)
        self._segment(frame, streams, by_client, ours, tcp)

    def _segment(self, frame: Frame, streams: _Streams, by_client: bool, ours: bool, tcp: Any) -> None:
        size = payload_bytes(tcp)
        offset = (tcp.seq - streams.base.setdefault(by_client, tcp.seq)) % MODULUS
        if size and offset != streams.sent[by_client]:
            raise CausalOrderError(f"frame {frame.number} is a retransmission, or follows a gap")
        if tcp.flags.A and not ours:
            self._acknowledged(streams, not by_client, tcp.ack)
        if size:
            streams.sent[by_client] += size
            if ours:
                streams.flight[by_client].append(streams.sent[by_client])
                self._write(frame, streams, by_client, size, bool(tcp.flags.P))
            else:
                total_bytes = streams.sent[by_client]
                before = self._latest if streams.fin[not by_client] else None
                self._arrive(frame, Arrival(streams.flow, not by_client, total_bytes=total_bytes), streams)
                self._before_closed = before
        if tcp.flags.F and not streams.fin[by_client]:
            streams.fin[by_client] = True
            if ours:
                self._act(frame, Kind.CLOSE, 0, streams, by_client)
            else:
                fin = Arrival(streams.flow, not by_client, fin=True)
                if not streams.fin[not by_client]:
                    streams.latest, self._latest = fin, (fin, frame.time_ns)
                # For a frame with octets and a FIN, keep the arrival of the octets, since samples end with octets.
                self.arrivals.setdefault(frame.number, fin)

    def _unread(self, flow: Flow) -> None:
        """After a RST, restore the previous arrival as trigger of the next action.

        A RST shows that no application read the latest octets.
        """
        if self._before_closed is not None and self._latest is not None and self._latest[0].flow == flow:
            self._latest, self._before_closed = self._before_closed, None

    def _write(self, frame: Frame, streams: _Streams, by_client: bool, size: int, pushed: bool) -> None:
        """Assign a sent segment to an application's write, which extends to the next PSH (RFC 9293 section 3.9.1.2)."""
        current = streams.writing[by_client]
        if current is None and self._held_back(streams, by_client):
            current = streams.written[by_client]
        if current is None:
            current = self._act(frame, Kind.WRITE, 0, streams, by_client)
        current.size_bytes += size
        streams.written[by_client] = current
        streams.writing[by_client] = None if pushed else current

    def _acknowledged(self, streams: _Streams, by_client: bool, sequence: int) -> None:
        flight, base = streams.flight[by_client], streams.base.get(by_client)
        streams.flight_before[by_client] = len(flight)
        if base is None:
            return
        acknowledged = (sequence - base) % MODULUS
        while flight and flight[0] <= acknowledged:
            flight.popleft()

    def _held_back(self, streams: _Streams, by_client: bool) -> bool:
        """Return True if a segment belongs to an earlier write, and was held back by the congestion window.

        This holds if the latest arrival was on the same connection while at least an initial window of segments was in
        flight. Such an arrival carries the acknowledgement that opens the window, not a message to answer.
        """
        if self._latest is None or self._latest[0].flow != streams.flow:
            return False
        return streams.flight_before[by_client] >= INITIAL_WINDOW_SEGMENTS

    def _streams(
        self, frame: Frame, source: tuple[str, int], target: tuple[str, int], tcp: Any, ours: bool
    ) -> _Streams | None:
        key = frozenset((source, target))
        if tcp.flags.S and not tcp.flags.A:
            known = self._flows.get(key)
            if known is not None and known.base.get(True) == (tcp.seq + 1) % MODULUS:
                raise CausalOrderError(f"frame {frame.number} is a retransmitted SYN")
            number = self._numbers[source, target] = self._numbers.get((source, target), 0) + 1
            self._flows[key] = _Streams(Flow(source, target, number))
            if ours:
                self._act(frame, Kind.OPEN, 0, self._flows[key])
        elif key not in self._flows:
            # Assume for a connection opened before the capture that the client has the higher port.
            client, server = (source, target) if source[1] > target[1] else (target, source)
            self._flows[key] = _Streams(Flow(client, server))
            self._flows[key].established = True
        return self._flows[key]

    def _arrive(self, frame: Frame, arrival: Arrival, streams: _Streams | None = None) -> None:
        self._latest = (arrival, frame.time_ns)
        if streams is not None:
            streams.latest = arrival
        self.arrivals[frame.number] = arrival

    def _act(
        self,
        frame: Frame,
        kind: Kind,
        size: int,
        streams: _Streams | None = None,
        by_client: bool = True,
        datagram: tuple[Any, ...] | None = None,
    ) -> Action:
        trigger, pause_ns, lag_ns = None, 0, 0
        if self._latest is not None:
            trigger, since_ns = self._latest
            pause_ns = frame.time_ns - since_ns
            before_ns = self.actions[-1].frame.time_ns if self.actions else since_ns
            lag_ns = frame.time_ns - max(since_ns, before_ns)
        pause_ns = pause_ns if pause_ns > PAUSE_NS else 0
        flow, own = (None, None) if streams is None else (streams.flow, streams.latest)
        action = Action(self._host, kind, flow, by_client, size, trigger, pause_ns, frame, datagram, lag_ns, own)
        self.actions.append(action)
        return action
