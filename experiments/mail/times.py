"""Measured times of mail transfer and their closed forms: steps of one message, and methods of relaying messages."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from mininet.topo import Topo

from lab7.experiments.harness import clock
from lab7.experiments.harness.judge.decomposition import Interval
from lab7.experiments.harness.judge.frames import CaptureFile, Frame
from lab7.experiments.harness.pathmodel.replay import CausalOrderError, OmittedTerms, Sample, omitted_terms
from lab7.experiments.harness.results.result import Comparison, Timing
from lab7.experiments.harness.theory.tcp import Theory
from lab7.experiments.mail.claims.story import MessagePath
from lab7.experiments.mail.claims.transfer import MailLegs
from lab7.experiments.mail.lab import AT_ALICE, AT_BOB, AT_SENDER, Legs
from lab7.experiments.mail.theory import transfer
from lab7.experiments.mail.theory.transfer import MESSAGE_BYTES, Leg
from lab7.experiments.mail.wire.smtp import SmtpSession
from lab7.experiments.mail.wire.smtp_grammar import Command
from lab7.experiments.mail.wire.smtp_timing import divide, line_intervals, lookups, smtp_intervals

# A resolver queries ALL name servers (root, TLD, domain) with an empty cache, LAST with cached delegations.
ALL, LAST = 3, 1


@dataclass(frozen=True)
class Way:
    """Method of relaying several messages: with or without PIPELINING, over one connection or one per message."""

    pipelining: bool
    together: bool

    @property
    def name(self) -> str:
        """Return the name of the relaying method in the report, such as `pipelined, together`."""
        return f"{'pipelined' if self.pipelining else 'one by one'}, {'together' if self.together else 'apart'}"

    @property
    def flags(self) -> str:
        """Return the command-line options of lab7.services.mail.mta that select this relaying method."""
        flags = ["--remote-connections 1"]
        flags += [] if self.pipelining else ["--no-pipelining"]
        flags += [] if self.together else ["--remote-messages 1"]
        return " ".join(flags)


WAYS = tuple(Way(pipelining, together) for pipelining in (True, False) for together in (True, False))


@dataclass(frozen=True)
class Lookups:
    """Captured DNS frames at the three hosts that resolve names: Alice's host, the sender's server and Bob's host."""

    alice: tuple[Frame, ...]
    sender: tuple[Frame, ...]
    bob: tuple[Frame, ...]

    @classmethod
    def of(cls, captured: CaptureFile) -> Lookups:
        """Extract the DNS frames at these hosts from a capture."""
        some = (tuple(_dns(captured.at(one))) for one in (AT_ALICE, AT_SENDER, AT_BOB))
        return cls(*some)


def _dns(frames: Iterable[Frame]) -> Iterable[Frame]:
    return (one for one in frames if "UDP" in one.packet and 53 in (one.packet["UDP"].sport, one.packet["UDP"].dport))


@dataclass(frozen=True)
class TimedSample:
    """Measured duration with its terms: interface of the capture (`at`), start and end in ns."""

    at: str
    first_ns: int
    last_ns: int
    timing: Timing

    @classmethod
    def of(cls, at: str, intervals: Sequence[Interval], first_ns: int, last_ns: int) -> TimedSample:
        """Return the duration from first_ns to last_ns, divided into terms by the given intervals."""
        found = divide(intervals, first_ns, last_ns)
        return cls(at, first_ns, last_ns, Timing(found.total_s, found.terms))


@dataclass(frozen=True)
class ClosedForm:
    """Closed-form prediction of a duration (`form`), and the network path (`leg`) to which it is applied."""

    form: Callable[[Leg], Theory]
    leg: Leg

    @property
    def theory(self) -> Theory:
        """Return the predicted duration for the network path."""
        return self.form(self.leg)


def step_timings(story: MessagePath, legs: MailLegs, asked: Lookups, begun_ns: int) -> dict[str, TimedSample]:
    """Return the measured time of each step of a message's path (queue, connect, transfer, read), keyed by step.

    A step begins with its DNS lookups.
    """
    who, relay = legs.who, story.relay
    assert story.handed.sent.final is not None
    assert story.passed.sent.final is not None
    assert relay.greeting is not None
    queued_ns, greeted_ns = story.handed.sent.final.last_ns, relay.greeting.last_ns
    submitted = list(smtp_intervals([story.submission], legs.at_sender))
    relayed = list(smtp_intervals([relay], legs.at_receiver))
    early = [one.connection.syn.time_ns for one in legs.relayed.sessions]
    came_ns = story.handed.data.first_ns
    names = {
        "queue": lookups(asked.alice, who.alice, begun_ns, story.submission.connection.syn.time_ns),
        "connect": lookups(asked.sender, who.sender, came_ns, min(early)),
        "read": lookups(asked.bob, who.bob, queued_ns, story.reading.syn.time_ns),
    }
    read = [*names["read"], *line_intervals(story.reading)]
    return {
        "queue": _timed(AT_ALICE, [*names["queue"], *submitted], queued_ns),
        "connect": _timed(AT_SENDER, [*names["connect"], *relayed], greeted_ns),
        "transfer": TimedSample.of(AT_SENDER, relayed, greeted_ns, story.passed.sent.final.last_ns),
        "read": _timed(AT_BOB, read, story.read_ns),
    }


def _timed(at: str, intervals: Sequence[Interval], end_ns: int) -> TimedSample:
    return TimedSample.of(at, intervals, min(one.start_ns for one in intervals), end_ns)


def step_theories(story: MessagePath, legs: Legs, names_rtt_s: float, exchanges: int) -> dict[str, ClosedForm]:
    """Return the closed form for the time of each step, keyed by step, for the captured message sizes.

    `exchanges`: number of MX hosts of the recipient's domain.
    """
    server_s = legs.between_s / 2 + names_rtt_s
    near, far = Leg(legs.sender_s), Leg(legs.receiver_s)
    between = Leg(legs.between_s, legs.bw_mbit * 1e6, _said_bytes([story.relay]))
    handed, passed = len(story.handed.data.octets), len(story.passed.data.octets)
    # RFC 5321 section 5.1: the sender's server queries MX, then A and AAAA of each host, one after the other.
    for_mx = transfer.lookup_s([ALL, *[LAST] * (2 * exchanges)], server_s)
    for_submission = transfer.lookup_s([ALL], server_s, legs.sender_s)
    # Bob's resolver has the answer in its cache, so that the lookup takes one round trip.
    for_reading = transfer.lookup_s([0], 0.0, legs.receiver_s)
    return {
        "queue": ClosedForm(lambda leg: transfer.submission(leg, handed, for_submission), near),
        "connect": ClosedForm(lambda leg: transfer.connecting(leg, for_mx), between),
        "transfer": ClosedForm(lambda leg: transfer.transfer(leg, passed), between),
        "read": ClosedForm(lambda leg: transfer.reading(leg, passed, for_reading), far),
    }


def way_timing(legs: MailLegs, asked: Lookups) -> TimedSample:
    """Return the measured time of relaying, from the first SYN between the servers to the last 221.

    Raises ValueError if there is no 221.
    """
    sessions = [one for one in legs.relayed.sessions if one.messages]
    ends = [one.final.last_ns for session in sessions for one in session.exchanges_of("QUIT") if one.final is not None]
    if not sessions or len(ends) != len(sessions):
        raise ValueError("a connection between the servers was not closed")
    begun_ns = sessions[0].connection.syn.time_ns
    names = lookups(asked.sender, legs.who.sender, begun_ns, max(ends))
    return TimedSample.of(AT_SENDER, [*names, *smtp_intervals(sessions, legs.at_receiver)], begun_ns, max(ends))


def way_theory(way: Way, legs: MailLegs, between: Legs) -> ClosedForm:
    """Return the closed form for the time that a relaying method (Way) takes for the captured messages."""
    sessions = [one for one in legs.relayed.sessions if one.messages]
    leg = Leg(between.between_s, between.bw_mbit * 1e6, _said_bytes(sessions))
    sizes = [len(message.data.octets) for session in sessions for message in session.messages]
    return ClosedForm(lambda each: transfer.smtp_connection(each, sizes, way.pipelining, way.together), leg)


def theories(
    captured: CaptureFile, topo: Topo, samples: Sequence[tuple[TimedSample, ClosedForm]], waiting: Collection[str] = ()
) -> list[Theory]:
    """Return the predicted time of each sample: its closed form plus the terms that it omits (transfer.completed).

    captured: capture at every host that sends packets in the samples; waiting: hosts with third-party servers, whose
    waits by timers are a separate term.
    """
    found = left_out(captured, topo, [timed for timed, _ in samples], waiting)
    return [
        closed.theory if omitted is None else transfer.completed(closed.form, closed.leg, omitted)
        for (_, closed), omitted in zip(samples, found, strict=True)
    ]


def left_out(
    captured: CaptureFile, topo: Topo, samples: Sequence[TimedSample], waiting: Collection[str] = ()
) -> list[OmittedTerms] | list[None]:
    """Return the terms that closed forms omit, one element per sample.

    Every element is None if the capture has packet loss or lacks a host.
    """
    try:
        return omitted_terms(captured, topo, [Sample(one.at, one.first_ns, one.last_ns) for one in samples], waiting)
    except CausalOrderError:
        return [None] * len(samples)


def compared(name: str, samples: Sequence[tuple[Timing, Theory]], tolerance: float) -> Comparison:
    """Compare measured times with the predicted time of the median sample.

    `tolerance`: permitted relative difference, for runs in real time.
    """
    median = sorted(samples, key=lambda each: each[0].total_s)[(len(samples) - 1) // 2][1]
    return Comparison.of(name, [timing for timing, _ in samples], median, clock.tolerance(round(tolerance, 4)))


def _said_bytes(sessions: Sequence[SmtpSession]) -> int:
    """Return the mean size in octets of the SMTP commands and replies in these sessions; MESSAGE_BYTES if none."""
    said = [len(one.octets) for session in sessions for one in session.replies]
    said += [
        len(one.command.octets) for session in sessions for one in session.exchanges if isinstance(one.command, Command)
    ]
    return round(statistics.mean(said)) if said else MESSAGE_BYTES
