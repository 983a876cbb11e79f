"""Verdict on claim S3 of the course: the six steps of a message's delivery follow one another.

    1 compose    the user agent composes the message; no packets
    2 queue      submitted to the sender's server (mail data), which replies 250
    3 connect    the sender's server connects to the receiver's server (SYN), which sends its greeting
    4 transfer   the message is sent on this connection, and the reply is 250
    5 mailbox    the message is stored in the receiver's mailbox (a file, by the file system's clock)
    6 read       the receiver's agent retrieves the message

Steps 2 to 4 and 6 are seen in packets; steps 1 and 5 happen inside a host and are reported by programs on the host. All
times are of one clock. Source: RFC 5321 sections 2.1, 3.1 and 4.1.1.4; RFC 5598 section 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from lab7.experiments.harness.judge.frames import Connection
from lab7.experiments.harness.judge.verdict import Contradiction, Finding, Verdict, decide, decides
from lab7.experiments.mail.claims.delivery import arrivals
from lab7.experiments.mail.claims.transfer import MailLegs
from lab7.experiments.mail.wire.smtp import Message, SmtpSession, SmtpTraffic

# Tolerance in ns of Linux's file times, which may be one tick early (10 ms at the lowest CONFIG_HZ, 100).
TICK_NS = 10_000_000
STEPS = ("compose", "queue", "connect", "transfer", "mailbox", "read")


@dataclass(frozen=True)
class HostTimes:
    """Times in ns (CLOCK_REALTIME) of events without packets: start and end of composition, storage in the mailbox."""

    composing_ns: int
    composed_ns: int
    filed_ns: int


@dataclass(frozen=True)
class MessagePath:
    """Captured path of one message: SMTP sessions of submission and relaying, connection of the retrieval.

    `handed`, `passed`: the message in the two SMTP sessions; `read_ns`, `read_frame`: time and frame in which the
    retrieval is complete.
    """

    submission: SmtpSession
    handed: Message
    relay: SmtpSession
    passed: Message
    reading: Connection
    read_ns: int
    read_frame: int


def message_path(legs: MailLegs) -> MessagePath:
    """Return the captured path of the first submitted message. Raises Contradiction if it is not retrieved."""
    first = _first(legs.submitted.sessions)
    if first is None:
        raise Contradiction(
            "No message is submitted.", *(session.connection.syn.frame for session in legs.submitted.sessions)
        )
    submission, handed = first
    body = handed.body
    relay = _first(
        session for session in legs.relayed.sessions if any(message.body == body for message in session.messages)
    )
    if relay is None:
        raise Contradiction("The message is not relayed to the receiving server.", handed.data.frame)
    for reading in legs.reading:
        if (got := next((arrival for arrival in arrivals(reading) if arrival.body == body), None)) is not None:
            return MessagePath(submission, handed, *relay, reading, got.time_ns, got.frame)
    raise Contradiction("The message is not retrieved by the receiver's agent.", relay[1].data.frame)


def _first(sessions: Iterable[SmtpSession]) -> tuple[SmtpSession, Message] | None:
    return next(((session, message) for session in sessions for message in session.messages if message.taken), None)


@decides("S3")
def decide_delivery_steps(claim: str, legs: MailLegs, inside: HostTimes) -> Verdict:
    """Decide claim S3 (order of the delivery's steps) from one message, captured from submission to retrieval."""

    def check() -> Finding:
        story = message_path(legs)
        at_sender, at_receiver = (_seen(traffic, story) for traffic in (legs.at_sender, legs.at_receiver))
        moments = _moments(story, inside, at_sender, at_receiver)
        for early, late in pairwise(moments):
            if late.time_ns < early.time_ns:
                by_ms = (early.time_ns - late.time_ns) / 1e6
                raise Contradiction(f"{late.what.capitalize()} {by_ms:.1f} ms before {early.what}.", late.frame or 1)
        told = ", ".join(
            f"{number} {name} {ns / 1e6:.0f} ms"
            for number, (name, ns) in enumerate(_durations(story, inside, at_receiver), start=1)
        )
        return f"Each step begins after the end of the one before: {told}.", [
            moment.frame for moment in moments if moment.frame
        ]

    return decide(claim, [legs.retrieval, legs.submitted, legs.relayed, legs.at_receiver], check)


@dataclass(frozen=True)
class _Moment:
    """Event in a message's delivery: description, time in ns, frame number in the capture (0: no packet)."""

    what: str
    time_ns: int
    frame: int = 0


def _seen(traffic: SmtpTraffic, story: MessagePath) -> Message:
    """Return the message as captured at one of the servers' interfaces. Raises Contradiction if it is missing there."""
    found = next((message for message in traffic.messages if message.body == story.handed.body), None)
    if found is None or story.relay.greeting is None:
        raise Contradiction("The message is missing in the capture at a server's interface.", story.handed.data.frame)
    return found


def _moments(story: MessagePath, inside: HostTimes, at_sender: Message, at_receiver: Message) -> list[_Moment]:
    """Return the events of a message's delivery in the order in which they must have happened."""
    first, syn, greeting = story.submission.connection.syn, story.relay.connection.syn, story.relay.greeting
    assert greeting is not None
    return [
        _Moment("the message is composed", inside.composed_ns),
        _Moment("the agent connects", first.time_ns, first.frame),
        _Moment("the sender's server has received the message", at_sender.data.last_ns, at_sender.data.frame),
        _Moment("the sender's server connects", syn.time_ns, syn.frame),
        _Moment("the receiving server sends its greeting", greeting.last_ns, greeting.frame),
        _Moment("the receiving server has received the message", at_receiver.data.last_ns, at_receiver.data.frame),
        _Moment("the message is in the mailbox", inside.filed_ns + TICK_NS),
        _Moment("the receiver's agent connects", story.reading.syn.time_ns + TICK_NS, story.reading.syn.frame),
        _Moment("the message is retrieved", story.read_ns + TICK_NS, story.read_frame),
    ]


def _durations(story: MessagePath, inside: HostTimes, at_receiver: Message) -> list[tuple[str, int]]:
    """Return (step, duration in ns) for each step of the delivery."""
    greeting, handed, passed = story.relay.greeting, story.handed.sent.final, story.passed.sent.final
    assert greeting is not None
    assert handed is not None
    assert passed is not None
    spans = (
        inside.composed_ns - inside.composing_ns,
        handed.last_ns - story.submission.connection.syn.time_ns,
        greeting.last_ns - story.relay.connection.syn.time_ns,
        passed.last_ns - greeting.last_ns,
        max(inside.filed_ns - at_receiver.data.last_ns, 0),
        story.read_ns - story.reading.syn.time_ns,
    )
    return list(zip(STEPS, spans, strict=True))
