"""Replay of a capture in the TCP simulation: the same writes and closes in the same causal order, at simulated times.

    replay = Replay(capture.frames, {"client:client-eth0": "client", ...}, topo)    # interface -> host
    replay.between_s(first_frame, last_frame)                                       # simulated time between two frames
    omitted_terms(capture, topo, [Sample("client:client-eth0", first_ns, last_ns), ...])    # one OmittedTerms a sample

A sample is one timed measurement, such as a page load; OmittedTerms are the delays that its closed-form formula leaves
out. Only sizes and causal order come from the capture; every time comes from the links' rates and delays and from TCP.
A pause of a program within a sample is left out: a server that waits without a cause is slower than its prediction.
Timers of a third-party server are a separate term (see `OmittedTerms`).

An action (an open, write or close of a connection, or a datagram) is replayed at its captured time in two cases: if it
is the first of a sample, and between samples, if it follows a pause or has no trigger. Otherwise the simulation would
drift away from the capture.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mininet.topo import Topo

from lab7.experiments.harness.judge.frames import CaptureFile, Frame
from lab7.experiments.harness.pathmodel.actions import (
    Action,
    Arrival,
    CausalOrderError,
    Flow,
    Kind,
    actions_of,
    needless_retransmissions,
)
from lab7.experiments.harness.pathmodel.events import Application, Clock, Condition
from lab7.experiments.harness.pathmodel.links import NS
from lab7.experiments.harness.pathmodel.network import Network, addresses
from lab7.experiments.harness.pathmodel.tcp import Connection, Endpoint, Options

FULL, ANY_WINDOW, IDEAL = Options(), Options(window=False), Options(window=False, acknowledgements=False)
TRIPS = Options(window=False, acknowledgements=False, rates=False)
Span = tuple[int, int]
# Host -> (actions of its applications, frame number -> arrival at the host).
ByHost = Mapping[str, tuple[list[Action], dict[int, Arrival]]]


class Replay:
    """Simulation of the applications' actions in a capture, with the simulated time of each frame.

    `interfaces`: interface label -> host, one interface per host. `spans`: (first, last) frame times in ns of the
    measurements, in which pauses are left out. `read`: the result of `actions_by_host` for the same frames. Raises
    CausalOrderError for a capture with loss.
    """

    def __init__(
        self,
        frames: Iterable[Frame],
        interfaces: Mapping[str, str],
        topo: Topo,
        spans: Sequence[Span] = (),
        options: Options = FULL,
        read: ByHost | None = None,
    ) -> None:
        self._clock = Clock()
        self._network = Network(topo, self._clock, options.rates)
        self._hosts = addresses(topo)
        self._options = options
        self._connections: dict[Flow, Connection] = {}
        self._datagrams: dict[tuple[Any, ...], Condition] = {}
        self._times_ns: dict[int, int] = {}
        self._arrivals: dict[int, Arrival] = {}
        self._datagram_ns: dict[tuple[Any, ...], int] = {}
        self._spans = sorted(spans)
        frames = list(frames)
        self._began_ns = min((frame.time_ns for frame in frames), default=0)
        for found, arrivals in (actions_by_host(frames, interfaces, topo) if read is None else read).values():
            self._arrivals |= arrivals
            self._clock.start(self._act(found))
        self._clock.run()

    def time_ns(self, frame: Frame) -> int:
        """Return the simulated time in ns of a captured frame that begins an action or is an arrival.

        Raises CausalOrderError if the simulation has no such frame, or ends before it.
        """
        if frame.number in self._times_ns:
            return self._times_ns[frame.number]
        arrival = self._arrivals.get(frame.number)
        if arrival is not None and arrival.flow is None and arrival.datagram in self._datagram_ns:
            return self._datagram_ns[arrival.datagram]
        if arrival is not None and arrival.flow is not None and arrival.total_bytes:
            moments = self._end(arrival.flow, arrival.at_client).arrivals
            place = bisect_left(moments, arrival.total_bytes, key=lambda moment: moment[1])
            if place < len(moments):
                return moments[place][0]
        raise CausalOrderError(f"the model does not reach frame {frame.number}")

    def between_s(self, first: Frame, last: Frame) -> float:
        """Return the simulated time in s between two frames of the capture."""
        return (self.time_ns(last) - self.time_ns(first)) / NS

    def known(self, frame: Frame) -> bool:
        """Return True if a frame has a simulated time: it begins an action, or is an arrival."""
        return frame.number in self._times_ns or frame.number in self._arrivals

    def first_known(self, frames: Sequence[Frame], place: int) -> Frame:
        """Return the frame whose simulated time stands for the time of frames[place].

        It is the first frame, from frames[place] on, that has a simulated time and the same capture time; if there is
        none, the last earlier frame with a simulated time. Raises CausalOrderError if there is none either.
        """
        now_ns = frames[place].time_ns
        at_once = [frame for frame in frames[place:] if frame.time_ns == now_ns and self.known(frame)]
        before = (frame for frame in reversed(frames[:place]) if self.known(frame))
        found = at_once[0] if at_once else next(before, None)
        if found is None:
            raise CausalOrderError(f"nothing of the model comes before frame {frames[place].number}")
        return found

    def last_arrival(self, frames: Sequence[Frame], last: Frame) -> Frame:
        """Return the last arrival of octets or of a datagram up to the frame `last`, which ends a sample.

        Raises CausalOrderError if there is none.
        """
        for frame in reversed(frames[: frames.index(last) + 1]):
            arrival = self._arrivals.get(frame.number)
            if arrival is not None and (arrival.total_bytes or arrival.datagram):
                return frame
        raise CausalOrderError(f"nothing arrives up to frame {last.number}")

    def _act(self, actions: Sequence[Action]) -> Application:
        """Perform the actions of one host in order; each waits for the simulated arrival that triggers it."""
        for action in actions:
            yield self._condition(action.trigger)
            # Also await the latest arrival on the action's own connection, since arrivals on two connections may swap.
            yield self._condition(action.own)
            if self._is_untriggered(action):
                # Start the action at its captured time, since pauses after arrivals would let simulated hosts drift.
                yield self._clock.at_time(action.frame.time_ns - self._began_ns)
            elif action.lag_ns and action.host in self._options.waiting:
                yield self._clock.after(action.lag_ns)
            self._times_ns[action.frame.number] = self._clock.now_ns
            self._do(action)

    def _is_untriggered(self, action: Action) -> bool:
        """Return True if an action is replayed at its captured time, not after the arrival that triggered it.

        This is the first action of a sample, and outside of samples an action after a pause or without a trigger.
        """
        # Start each sample at its captured time, which determines the frames that are still queued on the links.
        if any(action.frame.time_ns == first_ns for first_ns, _ in self._spans):
            return True
        in_a_sample = any(first_ns < action.frame.time_ns <= last_ns for first_ns, last_ns in self._spans)
        return not in_a_sample and (action.pause_ns > 0 or action.trigger is None)

    def _do(self, action: Action) -> None:
        if action.flow is None:
            self._send_datagram(action)
        elif action.kind is Kind.OPEN:
            self._connection(action.flow).connect()
        elif action.kind is Kind.WRITE:
            self._end(action.flow, action.by_client).write(action.size_bytes)
        else:
            self._end(action.flow, action.by_client).close()

    def _send_datagram(self, action: Action) -> None:
        assert action.datagram is not None
        key, met = action.datagram, self._datagrams.setdefault(action.datagram, Condition())

        def deliver() -> None:
            self._datagram_ns[key] = self._clock.now_ns
            met.meet()

        target = self._hosts.get(key[2])
        # Drop datagrams to a multicast group, which delay no sample.
        if target is not None:
            self._network.route(action.host, target).send(action.size_bytes, deliver)

    def _condition(self, trigger: Arrival | None) -> Condition:
        if trigger is None:
            return Condition(True)
        if trigger.flow is None:
            assert trigger.datagram is not None
            return self._datagrams.setdefault(trigger.datagram, Condition())
        end = self._end(trigger.flow, trigger.at_client)
        if trigger.established:
            return end.established
        return end.finished if trigger.fin else end.received(trigger.total_bytes)

    def _end(self, flow: Flow, client: bool) -> Endpoint:
        connection = self._connection(flow)
        return connection.client if client else connection.server

    def _connection(self, flow: Flow) -> Connection:
        if flow not in self._connections:
            client, server = self._hosts[flow.client[0]], self._hosts[flow.server[0]]
            routes = self._network.route(client, server), self._network.route(server, client)
            self._connections[flow] = Connection(self._clock, *routes, self._options)
            if not flow.number:
                self._connections[flow].establish()
        return self._connections[flow]


def actions_by_host(frames: Iterable[Frame], interfaces: Mapping[str, str], topo: Topo) -> ByHost:
    """Return host -> (actions of its applications, arrivals by frame number), from frames captured at the hosts.

    Raises CausalOrderError for a retransmission or a gap.
    """
    by_host: dict[str, list[Frame]] = {host: [] for host in interfaces.values()}
    acting = [frame for frame in frames if frame.interface in interfaces]
    needless = needless_retransmissions(acting)
    for frame in acting:
        if frame.number not in needless:
            by_host[interfaces[frame.interface]].append(frame)
    hosts = addresses(topo)
    return {host: actions_of(own_frames, host, hosts) for host, own_frames in by_host.items()}


@dataclass(frozen=True)
class OmittedTerms:
    """Delays in s that the closed-form formula of one sample leaves out, and the simulated time without these delays.

    `window`: waits for the congestion window. `acknowledgements`: transmission time of acknowledgements and FINs.
    `server_waits`: waits of third-party servers by timers. `ideal`: the remaining time, which the formula should
    predict. `sending`: the part of `ideal` that is transmission time of all other frames; the rest of `ideal` is
    propagation delay.
    """

    window_s: float
    acknowledgements_s: float
    ideal_s: float
    sending_s: float = 0.0
    server_waits_s: float = 0.0

    @property
    def terms(self) -> dict[str, float]:
        """Return name -> delay in s, to be added to the formula's time: window, acknowledgements, server_waits."""
        return {
            "window": self.window_s,
            "acknowledgements": self.acknowledgements_s,
            "server_waits": self.server_waits_s,
        }


@dataclass(frozen=True)
class Sample:
    """One timed measurement in a capture: interface label `at`, and times in ns of its first and last frame there."""

    at: str
    first_ns: int
    last_ns: int


def omitted_terms(
    captured: CaptureFile, topo: Topo, samples: Sequence[Sample], waiting: Collection[str] = ()
) -> list[OmittedTerms]:
    """Return for each sample the delays, computed by simulation, that its closed-form formula leaves out.

    `captured`: a capture at the interfaces `HOST:INTERFACE` of every host that acts; other labels are ignored, and so
    are frames after the last sample. `waiting`: hosts whose programs wait by timers of their own (see tcp.Options).
    Raises CausalOrderError for a capture with loss, and for a sample that the model cannot follow.
    """
    try:
        return _omitted_terms(captured, topo, samples, frozenset(waiting))
    except (KeyError, StopIteration) as error:
        # KeyError and StopIteration arise from hosts without a capture, and from addresses outside the topology.
        raise CausalOrderError(f"the model does not reach the end of a sample: {error}") from error


def _omitted_terms(
    captured: CaptureFile, topo: Topo, samples: Sequence[Sample], waiting: frozenset[str]
) -> list[OmittedTerms]:
    if not samples:
        return []
    hosts, over_ns = set(topo.hosts()), max(sample.last_ns for sample in samples)
    interfaces = {label: host for label in captured.counts if (host := label.split(":")[0]) in hosts}
    acting = [frame for frame in captured.frames if frame.interface in interfaces and frame.time_ns <= over_ns]
    spans = [(sample.first_ns, sample.last_ns) for sample in samples]
    read, every = actions_by_host(acting, interfaces, topo), [FULL, ANY_WINDOW, IDEAL, TRIPS]
    if waiting:
        every.append(replace(FULL, waiting=waiting))
    runs = [Replay(acting, interfaces, topo, spans, options, read) for options in every]
    seen = {at: captured.at(at) for at in {sample.at for sample in samples}}
    return [_sample_terms(runs, seen[sample.at], sample) for sample in samples]


def _sample_terms(runs: Sequence[Replay], frames: Sequence[Frame], sample: Sample) -> OmittedTerms:
    times = [frame.time_ns for frame in frames]
    first, last = bisect_left(times, sample.first_ns), frames[bisect_right(times, sample.last_ns) - 1]
    full, windowless, ideal, trips, *with_waits = (
        run.between_s(run.first_known(frames, first), run.last_arrival(frames, last)) for run in runs
    )
    waits_s = with_waits[0] - full if with_waits else 0.0
    return OmittedTerms(full - windowless, windowless - ideal, ideal, ideal - trips, waits_s)


def terms_of(
    captured: CaptureFile, topo: Topo, samples: Mapping[str, Sequence[Sample]], waiting: Collection[str] = ()
) -> dict[str, dict[str, float]]:
    """Return the delays in s that the closed-form formula of each measured time leaves out: name -> term -> delay.

    `samples`: name of a measured time -> its samples. Each delay is the median over these samples. If TCP lost a
    segment, no time has terms, since the path model has no loss.
    """
    every = [sample for group in samples.values() for sample in group]
    try:
        found = iter(omitted_terms(captured, topo, every, waiting))
    except CausalOrderError:
        return {name: {} for name in samples}
    terms_by_name = {name: [next(found).terms for _ in group] for name, group in samples.items()}
    return {
        name: {term: statistics.median(values[term] for values in terms) for term in (terms[0] if terms else {})}
        for name, terms in terms_by_name.items()
    }


__all__ = ["CausalOrderError", "OmittedTerms", "Replay", "Sample", "omitted_terms", "terms_of"]
