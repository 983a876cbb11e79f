"""Bars of a waterfall diagram: one bar per exchange (request and response), divided into phases.

    for bar in bars_of(captured, start_ns, end_ns):
        print(bar.label, bar.lane, bar.phases)      # `lane` names the hosts or the connection of the exchange

A transaction is everything in one time span of the capture, such as a page load. Its client is the host that sends the
first frame. The client's HTTP exchanges have the phases of browsers' network panels (see objects). Exchanges of other
hosts and protocols (a proxy's requests to the origin, a resolver's queries, commands and replies) have these phases:

    request_way    first octet of the request left its sender     to  its last octet arrived
    server         last octet of the request arrived              to  first octet of the response left
    response_way   first octet of the response left               to  its last octet arrived

If the server's interface was not captured, they are one phase, `exchange`, from the departure of the request to the
arrival of the response. Phases follow each other without a gap, so that they add up to the bar's duration.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise

from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.ladder.journeys import host_of
from lab7.experiments.ladder.ladder import Arrow, Ladder, ladder_of
from lab7.experiments.ladder.selection import conversations_with
from lab7.experiments.waterfall.objects import HttpObject, Phase, http_objects

EXCHANGE = "exchange"
WAYS = ("request_way", "server", "response_way")


@dataclass(frozen=True)
class Bar:
    """Bar of a waterfall diagram: label, phases and response size of one request and its response.

    `lane`: text that names the hosts, the connection and the HTTP/2 stream. `later`: True if the response left after
    the end of the transaction; the bar then ends with the transaction.
    """

    label: str
    lane: str
    phases: tuple[Phase, ...]
    octets: int | None
    later: bool = False

    @property
    def outcome(self) -> str:
        """Return the number of octets of the response in words or, without a response, the reason."""
        if self.octets is None:
            return "response after the end" if self.later else "no response"
        return f"{self.octets:,} octets"

    @property
    def start_ns(self) -> int:
        """Return the start of the first phase in ns."""
        return self.phases[0].start_ns

    @property
    def end_ns(self) -> int:
        """Return the end of the last phase in ns."""
        return max(phase.end_ns for phase in self.phases)

    @property
    def frames(self) -> tuple[int, ...]:
        """Return the numbers of the frames of all phases, each once."""
        return tuple(dict.fromkeys(frame for phase in self.phases for frame in phase.frames))


def bars_of(captured: CaptureFile, start_ns: int, end_ns: int) -> list[Bar]:
    """Return a bar for each request, with its response, within [start_ns, end_ns], in the order of their starts."""
    within = [frame for frame in captured.frames if start_ns <= frame.time_ns <= end_ns]
    if not within:
        return []
    interface = within[0].interface
    client = host_of(interface)
    objects = http_objects(captured, interface, start_ns, end_ns)
    known = {frame for one in objects for phase in one.phases for frame in phase.frames}
    ladder = ladder_of(conversations_with(captured, {frame.number for frame in within}))
    ladder = ladder.with_arrows(arrow for arrow in ladder.arrows if start_ns <= arrow.sent_ns)
    every = [(request, response) for request, response in _pairs(ladder) if request.sent_ns <= end_ns]
    later = {frame for request, response in every if response and response.sent_ns > end_ns for frame in request.frames}
    pairs = [
        (request, response)
        for request, response in every
        # Compare the arrivals too: of a request that the server pushes, objects have the frames at the client.
        if known.isdisjoint((*request.frames, *request.arrivals))
    ]
    resolved = [phase for one in objects for phase in one.phases if phase.name == "dns"]
    bars = [_object_bar(client, one, later) for one in objects]
    bars += [
        _exchange_bar(ladder, request, response, end_ns)
        for request, response in pairs
        # Skip DNS lookups of the client that are already the phase `dns` of an object.
        if not any(request.protocol == "dns" and request.sent_ns == phase.start_ns for phase in resolved)
    ]
    return sorted(bars, key=lambda bar: bar.start_ns)


def _pairs(ladder: Ladder) -> Iterator[tuple[Arrow, Arrow | None]]:
    """Yield (request, response or None) in the order of requests.

    The nth response between two hosts answers the nth request.
    """
    waiting: dict[tuple[int, int, str], deque[int]] = defaultdict(deque)
    answers: dict[int, Arrow] = {}
    requests = []
    for place, arrow in enumerate(ladder.arrows):
        if not arrow.response:
            requests.append(place)
            waiting[arrow.source, arrow.target, arrow.protocol].append(place)
        elif pending := waiting[arrow.target, arrow.source, arrow.protocol]:
            answers[pending.popleft()] = arrow
    for place in requests:
        yield ladder.arrows[place], answers.get(place)


def _object_bar(client: str, one: HttpObject, later: Collection[int]) -> Bar:
    response = one.exchange.response
    method, target, _ = one.exchange.request.start_line
    lane = f"{client}, connection {one.number}" + ("" if one.stream is None else f", stream {one.stream}")
    words = f"{method.decode('latin-1')} {target.decode('latin-1')}" + (" (pushed)" if one.pushed else "")
    octets = None if response is None else len(response.octets)
    return Bar(
        words, lane, one.phases, octets, octets is None and not set(later).isdisjoint(one.exchange.request.frames)
    )


def _exchange_bar(ladder: Ladder, request: Arrow, response: Arrow | None, transaction_end_ns: int) -> Bar:
    lane = f"{ladder.columns[request.source]} to {ladder.columns[request.target]}, {request.protocol.upper()}"
    if response is not None and response.sent_ns > transaction_end_ns:
        phase = Phase(EXCHANGE, request.sent_ns, transaction_end_ns, request.frames)
        return Bar(request.label, lane, (phase,), None, later=True)
    octets = None if response is None else response.octets
    return Bar(request.label, lane, _exchange_phases(request, response), octets)


def _exchange_phases(request: Arrow, response: Arrow | None) -> tuple[Phase, ...]:
    end = response or request
    # A lost message has no time at its receiver.
    start_ns, end_ns = request.sent_ns, max(request.sent_ns, end.end_ns)
    if response is None or request.received_end_ns is None or response.received_end_ns is None:
        frames = (*request.frames, *(response.frames if response else ()))
        return (Phase(EXCHANGE, start_ns, end_ns, tuple(dict.fromkeys(frames))),)
    # A response may leave before its request has arrived whole (RFC 9110 section 7.5, a pipelined group of RFC 2920).
    arrived_ns = min(request.received_end_ns, end_ns)
    times = (start_ns, arrived_ns, min(max(arrived_ns, response.sent_ns), end_ns), end_ns)
    frames_of = (request.frames, (request.arrivals[-1], response.frames[0]), response.frames)
    return tuple(
        Phase(name, one, other, tuple(dict.fromkeys(frames)))
        for name, (one, other), frames in zip(WAYS, pairwise(times), frames_of, strict=True)
    )
