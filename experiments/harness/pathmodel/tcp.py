"""Simulated TCP connection over a path without loss, with the congestion window and acknowledgements of Linux.

Modelled: the handshake; segments of at most MSS octets, with Nagle's algorithm off; the initial congestion window of
RFC 6928, and slow start (RFC 5681 section 3.1), in which the window grows only while it limits the sender (RFC 7661);
HyStart, by which cubic leaves slow start; restart after idleness (RFC 2861); acknowledgements of every second full
segment, at once in quickack mode, and delayed otherwise (RFC 9293 section 3.8.6.3; net/ipv4/tcp_input.c and
tcp_output.c of Linux 6.1). Left out: loss, reordering, and the receive window (which is larger than the octets in
flight of a short exchange).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from lab7.experiments.harness.pathmodel.events import Clock, Condition
from lab7.experiments.harness.pathmodel.links import Route
from lab7.experiments.harness.theory.tcp import (
    INITIAL_WINDOW_SEGMENTS,
    MSS_BYTES,
    SEGMENT_OVERHEAD_BYTES,
    SYN_FRAME_BYTES,
)

MS = 1_000_000
# Linux's limits of quick and delayed acknowledgements (include/net/tcp.h: TCP_MAX_QUICKACKS to TCP_RTO_MIN).
QUICKACKS, ATO_MIN_NS, DELACK_MAX_NS, RTO_MIN_NS = 16, 40 * MS, 200 * MS, 200 * MS
# Linux's parameters of HyStart (net/ipv4/tcp_cubic.c: hystart_low_window to hystart_ack_delta_us).
HYSTART_WINDOW, HYSTART_SAMPLES, HYSTART_MIN_NS, HYSTART_MAX_NS, ACK_TRAIN_NS = 16, 8, 4 * MS, 16 * MS, 2 * MS
UNLIMITED = 1 << 30


@dataclass(frozen=True)
class Options:
    """Mechanisms that the TCP simulation models; each can be switched off.

    `window=False`: the congestion window is unlimited. `acknowledgements=False`: ACKs take no time on a link.
    `rates=False`: the links of a replay have no transmission times. `waiting`: hosts whose programs act as long after
    their triggers as in the capture; programs of other hosts act at once.
    """

    window: bool = True
    acknowledgements: bool = True
    rates: bool = True
    hystart: bool = True
    mss_bytes: int = MSS_BYTES
    waiting: frozenset[str] = frozenset()


class Endpoint:
    """One end of a simulated TCP connection: sender, receiver, and the application's calls."""

    def __init__(self, clock: Clock, route: Route, options: Options) -> None:
        self._clock, self._route, self._options = clock, route, options
        self.peer: Endpoint = self
        self.established = Condition()
        # Condition that becomes true when the peer's FIN has arrived.
        self.finished = Condition()
        self.received_bytes = 0
        # History of arrivals in order of time, as (time in ns, total number of octets received).
        self.arrivals: list[tuple[int, int]] = []
        self._awaited: list[tuple[int, Condition]] = []
        # Sender's state in stream offsets; `_flight` holds (end, time sent in ns) of each unacknowledged segment.
        self._writes: deque[int] = deque()
        self._blocked = self._closing = self._closed = False
        self._next = self._acknowledged = 0
        self._flight: deque[tuple[int, int]] = deque()
        self._window = INITIAL_WINDOW_SEGMENTS if options.window else UNLIMITED
        self._threshold = UNLIMITED
        self._limited = False
        self._most_flight = 0
        self._usage_next = 0
        self._used = 0
        self._validated_ns = self._last_sent_ns = 0
        self._smoothed_ns = self._least_rtt_ns = 0
        self._round_end = self._round_start_ns = self._last_train_ns = self._samples = 0
        self._round_rtt_ns = 0
        # Receiver.
        self._confirmed = 0
        self._scheduled = self._pushed = self._pushed_twice = False
        self._quick = 0
        self._interval_ns = 0
        self._last_received_ns = 0
        self._interactive = False
        self._timer = 0

    # The application's side.

    def write(self, *sizes_bytes: int) -> None:
        """Write octets, with one write call per size; the last segment of each call may be shorter than the MSS."""
        for size_bytes in sizes_bytes:
            if size_bytes > 0:
                self._writes.append(size_bytes)
                self._transmit()

    def received(self, total_bytes: int) -> Condition:
        """Return a condition that is true once `total_bytes` octets have been received on the connection."""
        condition = Condition(self.received_bytes >= total_bytes)
        if not condition.holds:
            self._awaited.append((total_bytes, condition))
        return condition

    def close(self) -> None:
        """Send a FIN after all written octets, as a segment without payload."""
        self._closing = True
        self._finish()

    def _finish(self) -> None:
        if not self._closing or self._closed or self._writes:
            return
        self._closed = True
        self._acknowledge_sent()
        acknowledged = self.received_bytes
        self._send_empty(lambda: self.peer.arrive(0, acknowledged, fin=True))

    # Sending.

    @property
    def _rto_ns(self) -> int:
        return self._smoothed_ns + RTO_MIN_NS

    def _transmit(self) -> None:
        now_ns = self._clock.now_ns
        if self._options.window and not self._flight and now_ns - self._last_sent_ns > self._rto_ns:
            self._restart(now_ns - self._last_sent_ns)
        sent = 0
        while self._writes and len(self._flight) < self._window:
            size = min(self._writes[0], self._options.mss_bytes)
            # Merge a write that the window held back with the following writes, up to a full segment.
            while size < self._options.mss_bytes and len(self._writes) > 1 and self._blocked:
                size += self._join(self._options.mss_bytes - size)
            self._consume(size)
            self._next += size
            self._flight.append((self._next, now_ns))
            self._segment(size)
            sent += 1
        self._blocked = bool(self._writes)
        limited = len(self._flight) >= self._window
        if sent or limited:
            self._validate(limited)
        self._finish()

    def _join(self, room: int) -> int:
        first = self._writes.popleft()
        taken = min(self._writes[0], room)
        self._writes[0] -= taken
        if not self._writes[0]:
            self._writes.popleft()
        self._writes.appendleft(first + taken)
        return taken

    def _consume(self, size: int) -> None:
        self._writes[0] -= size
        if not self._writes[0]:
            self._writes.popleft()

    def _segment(self, size: int) -> None:
        now_ns = self._clock.now_ns
        # A data segment carries an ACK; if sent soon after an arrival, it starts Linux's interactive (pingpong) mode.
        self._acknowledge_sent()
        self._last_sent_ns = now_ns
        if now_ns - self._last_received_ns < self._interval_ns:
            self._interactive = True
        acknowledged = self.received_bytes
        self._send(size, lambda: self.peer.arrive(size, acknowledged))

    def _send(self, size: int, deliver: Callable[[], None]) -> None:
        self._route.send(size + SEGMENT_OVERHEAD_BYTES, deliver)

    def _send_empty(self, deliver: Callable[[], None]) -> None:
        """Send a segment without payload, an ACK or FIN, and call `deliver` at the segment's arrival."""
        self._route.send(SEGMENT_OVERHEAD_BYTES if self._options.acknowledgements else 0, deliver)

    def _restart(self, idle_ns: int) -> None:
        """Halve the congestion window for each RTO of idle time, down to the initial window (RFC 2861)."""
        while (idle_ns := idle_ns - self._rto_ns) > 0 and self._window > INITIAL_WINDOW_SEGMENTS:
            self._window >>= 1
        self._window = max(self._window, INITIAL_WINDOW_SEGMENTS)
        self._validated_ns, self._used = self._clock.now_ns, 0

    def _validate(self, limited: bool) -> None:
        flight = len(self._flight)
        if self._acknowledged >= self._usage_next or limited or (not self._limited and flight > self._most_flight):
            self._limited, self._most_flight, self._usage_next = limited, flight, self._next
        now_ns = self._clock.now_ns
        if self._may_grow():
            self._used, self._validated_ns = 0, now_ns
            return
        self._used = max(self._used, flight)
        if self._options.window and now_ns - self._validated_ns >= self._rto_ns:
            used = max(self._used, INITIAL_WINDOW_SEGMENTS)
            if used < self._window:
                self._threshold = max(self._threshold, self._window * 3 // 4)
                self._window = (self._window + used) >> 1
            self._used, self._validated_ns = 0, now_ns

    def _may_grow(self) -> bool:
        if self._limited:
            return True
        return self._window < self._threshold and self._window < 2 * self._most_flight

    def _acknowledge(self, acknowledged: int) -> None:
        """Process an acknowledgement number: measure the RTT, let the congestion window grow, and send."""
        count, sent_ns = 0, 0
        while self._flight and self._flight[0][0] <= acknowledged:
            sent_ns = self._flight.popleft()[1]
            count += 1
        if not count:
            return
        # Validate the window at each acknowledgement, as Linux does, so that only idle time decays it (RFC 2861).
        self._acknowledged, self._validated_ns = acknowledged, self._clock.now_ns
        rtt_ns = self._clock.now_ns - sent_ns
        self._smoothed_ns = rtt_ns if not self._smoothed_ns else self._smoothed_ns + (rtt_ns - self._smoothed_ns) // 8
        self._least_rtt_ns = min(self._least_rtt_ns or rtt_ns, rtt_ns)
        if self._options.window:
            if self._options.hystart and self._window < self._threshold:
                self._hystart(rtt_ns)
            # Leave out growth after slow start, which is less than a segment in the round trips of an exchange.
            if self._may_grow() and self._window < self._threshold:
                self._window = min(self._window + count, self._threshold)
        self._transmit()

    def _hystart(self, rtt_ns: int) -> None:
        now_ns = self._clock.now_ns
        if self._acknowledged > self._round_end:
            self._round_end, self._round_start_ns, self._last_train_ns = self._next, now_ns, now_ns
            self._samples, self._round_rtt_ns = 0, rtt_ns
        if self._window < HYSTART_WINDOW:
            return
        if now_ns - self._last_train_ns <= ACK_TRAIN_NS:
            self._last_train_ns = now_ns
            if now_ns - self._round_start_ns > self._least_rtt_ns // 2:
                self._threshold = self._window
        self._round_rtt_ns = min(self._round_rtt_ns, rtt_ns)
        if self._samples < HYSTART_SAMPLES:
            self._samples += 1
        elif self._round_rtt_ns > self._least_rtt_ns + min(
            max(self._least_rtt_ns // 8, HYSTART_MIN_NS), HYSTART_MAX_NS
        ):
            self._threshold = self._window

    # Receiving.

    def arrive(self, size: int, acknowledged: int, fin: bool = False) -> None:
        """Process an arriving segment: its payload of `size` octets, its acknowledgement number, and its FIN flag."""
        if size:
            self._receive(size)
        self._acknowledge(acknowledged)
        if size:
            self._read()
        if fin:
            self._take_fin()

    def _take_fin(self) -> None:
        # RFC 9293 section 3.10.7.4: a closed end acknowledges a FIN at once, an open end with its own FIN if possible.
        self._scheduled = True
        if self._closed:
            self._acknowledge_now()
        else:
            self._interactive = True
            self._acknowledge_later()
        self.finished.meet()

    def _receive(self, size: int) -> None:
        now_ns = self._clock.now_ns
        self.received_bytes += size
        self.arrivals.append((now_ns, self.received_bytes))
        self._scheduled = True
        if size < self._options.mss_bytes:
            self._pushed_twice, self._pushed = self._pushed, True
        if not self._interval_ns:
            self._quick, self._interval_ns = QUICKACKS, ATO_MIN_NS
        else:
            gap_ns = now_ns - self._last_received_ns
            if gap_ns <= ATO_MIN_NS // 2:
                self._interval_ns = self._interval_ns // 2 + ATO_MIN_NS // 2
            elif gap_ns < self._interval_ns:
                self._interval_ns = min(self._interval_ns // 2 + gap_ns, self._rto_ns)
            elif gap_ns > self._rto_ns:
                self._quick = max(self._quick, QUICKACKS)
        self._last_received_ns = now_ns
        if self.received_bytes - self._confirmed > self._options.mss_bytes or (self._quick and not self._interactive):
            self._acknowledge_now()
        else:
            self._acknowledge_later()

    def _read(self) -> None:
        """Let the application read all received octets; conditions that wait for these octets become true."""
        if self._scheduled and (self._pushed_twice or (self._pushed and not self._interactive)):
            self._acknowledge_now()
        ready = [condition for total, condition in self._awaited if total <= self.received_bytes]
        self._awaited = [awaited for awaited in self._awaited if awaited[0] > self.received_bytes]
        for condition in ready:
            condition.meet()

    def _acknowledge_now(self) -> None:
        acknowledged = self.received_bytes
        self._acknowledge_sent()
        self._send_empty(lambda: self.peer.arrive(0, acknowledged))

    def _acknowledge_sent(self) -> None:
        if self._quick and self._scheduled:
            self._quick -= 1
            if not self._quick:
                self._interval_ns = ATO_MIN_NS
        self._confirmed = self.received_bytes
        self._scheduled = self._pushed = self._pushed_twice = False
        self._timer += 1

    def _acknowledge_later(self) -> None:
        self._timer += 1
        number, wait_ns = self._timer, min(self._interval_ns, DELACK_MAX_NS)

        def expire() -> None:
            if number == self._timer and self._scheduled:
                self._miss()
                self._acknowledge_now()

        self._clock.at(self._clock.now_ns + wait_ns, expire)

    def _miss(self) -> None:
        """Adapt the delayed-ACK time-out after the timer has sent an ACK (Linux's tcp_delack_timer_handler)."""
        self._interval_ns = ATO_MIN_NS if self._interactive else min(2 * self._interval_ns, self._rto_ns)
        self._interactive = False


class Connection:
    """Simulated TCP connection between client and server, over one route in each direction."""

    def __init__(self, clock: Clock, there: Route, back: Route, options: Options | None = None) -> None:
        chosen = options or Options()
        self.client, self.server = Endpoint(clock, there, chosen), Endpoint(clock, back, chosen)
        self.client.peer, self.server.peer = self.server, self.client
        self._there, self._back, self._options = there, back, chosen

    def connect(self) -> Condition:
        """Send the SYN; return a condition that becomes true at the arrival of the SYN-ACK."""
        self._there.send(SYN_FRAME_BYTES, self._accept)
        return self.client.established

    def establish(self) -> None:
        """Establish the connection without a handshake, for a connection opened before the capture."""
        self.client.established.meet()
        self.server.established.meet()

    def _accept(self) -> None:
        self._back.send(SYN_FRAME_BYTES, self._established)

    def _established(self) -> None:
        # Send the client's ACK of the handshake before any request.
        size = SEGMENT_OVERHEAD_BYTES if self._options.acknowledgements else 0
        self._there.send(size, self.server.established.meet)
        self.client.established.meet()
