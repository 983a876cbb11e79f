"""Decide S3: the six steps of a message, each of which begins when the one before is done.

    1 compose    the user agent writes it; nothing crosses the wire
    2 queue      handed to the sender's server (mail data), which answers 250
    3 connect    the sender's server opens a connection to the receiver's (SYN), which greets it
    4 transfer   the message goes over it, and is answered by 250
    5 mailbox    it lies in the receiver's mailbox (a file, by the file system's clock)
    6 read       the receiver's agent gets it

Steps 2 to 4 and 6 are packets; 1 and 5 happen inside a host and are told by who was there. All share one clock.
Source: RFC 5321 sections 2.1, 3.1 and 4.1.1.4; RFC 5598 section 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from experiments.harness.judge.http import Contradiction
from experiments.harness.judge.smtp import Message, SmtpSession
from experiments.harness.judge.smtp_claims import Found, MailLegs, carried, decide_smtp, why_not_read
from experiments.harness.judge.tcp import Connection
from experiments.harness.judge.verdict import Verdict, undecided

# Linux stamps files by its tick: 10 ms where CONFIG_HZ is 100, the least there is.
TICK_NS = 10_000_000
STEPS = ("compose", "queue", "connect", "transfer", "mailbox", "read")


@dataclass(frozen=True)
class Inside:
    """What no packet shows, in nanoseconds of CLOCK_REALTIME: when a message was written, and filed."""

    composing_ns: int
    composed_ns: int
    filed_ns: int


@dataclass(frozen=True)
class Story:
    """One message on its three legs."""

    submission: SmtpSession
    handed: Message
    relay: SmtpSession
    passed: Message
    reading: Connection
    read_ns: int
    read_frame: int


def follow(legs: MailLegs) -> Story:
    """The first message that was handed in, on its way. Raises Contradiction where it is lost."""
    first = _first(legs.submitted.sessions)
    if first is None:
        raise Contradiction("No message is handed in.", *(one.connection.syn.frame for one in legs.submitted.sessions))
    submission, handed = first
    body = handed.body
    relay = _first(one for one in legs.relayed.sessions if any(each.body == body for each in one.messages))
    if relay is None:
        raise Contradiction("The message is not passed on to the receiver's server.", handed.data.frame)
    for reading in legs.reading:
        if end := carried(body, reading):
            piece = reading.from_server.stream.span(end - 1, end)[0]
            return Story(submission, handed, *relay, reading, piece.time_ns, piece.frame)
    raise Contradiction("The message does not come to the receiver's agent.", relay[1].data.frame)


def _first(sessions: Iterable[SmtpSession]) -> tuple[SmtpSession, Message] | None:
    return next(((session, one) for session in sessions for one in session.messages if one.taken), None)


def s3(legs: MailLegs, inside: Inside) -> Verdict:
    """Decide S3 for one message on its way."""
    unfit = why_not_read(legs)
    if unfit is not None:
        return undecided("S3", f"Nothing can be said: {unfit}.")

    def check() -> Found:
        story = follow(legs)
        at_sender = next((one for one in legs.at_sender.messages if one.body == story.handed.body), None)
        at_receiver = next((one for one in legs.at_receiver.messages if one.body == story.handed.body), None)
        if at_sender is None or at_receiver is None or story.relay.greeting is None:
            raise Contradiction("A server's interface has not seen the message.", story.handed.data.frame)
        syn = story.relay.connection.syn
        greeting = story.relay.greeting
        moments = [
            ("it is composed", inside.composed_ns, 0),
            ("its agent connects", story.submission.connection.syn.time_ns, story.submission.connection.syn.frame),
            ("the sender's server has it", at_sender.data.last_ns, at_sender.data.frame),
            ("the sender's server connects", syn.time_ns, syn.frame),
            ("it is greeted", greeting.last_ns, greeting.frame),
            ("the receiver's server has it", at_receiver.data.last_ns, at_receiver.data.frame),
            ("it is in the mailbox", inside.filed_ns + TICK_NS, 0),
            ("the reader connects", story.reading.syn.time_ns + TICK_NS, story.reading.syn.frame),
            ("it is read", story.read_ns + TICK_NS, story.read_frame),
        ]
        for (before, early_ns, _), (after, late_ns, frame) in pairwise(moments):
            if late_ns < early_ns:
                raise Contradiction(
                    f"{after.capitalize()} {(early_ns - late_ns) / 1e6:.1f} ms before {before}.", frame or 1
                )
        assert story.passed.sent.reply is not None
        assert story.handed.sent.reply is not None
        began = story.submission.connection.syn.time_ns
        ends = [
            (inside.composed_ns - inside.composing_ns, "compose"),
            (story.handed.sent.reply.last_ns - began, "queue"),
            (greeting.last_ns - syn.time_ns, "connect"),
            (story.passed.sent.reply.last_ns - greeting.last_ns, "transfer"),
            (max(inside.filed_ns - at_receiver.data.last_ns, 0), "mailbox"),
            (story.read_ns - story.reading.syn.time_ns, "read"),
        ]
        told = ", ".join(f"{number} {name} {ns / 1e6:.0f} ms" for number, (ns, name) in enumerate(ends, start=1))
        frames = [frame for _, _, frame in moments if frame]
        return f"Each step begins when the one before is done: {told}.", frames

    return decide_smtp("S3", [legs.submitted, legs.relayed, legs.at_receiver], check)
