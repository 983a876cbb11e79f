"""Verdict on claim S5 of the course: while its peer is down, an MTA queues mail, retries, and loses no message.

The times of the peer's outage, and of the kill (SIGKILL) and restart of the sender's MTA, are known from the
experiment. The evidence is captured: messages accepted by the sender's MTA (reply 250), connection attempts that the
peer refuses (RST) or leaves unanswered (SYN), messages accepted by the peer, and finally the messages in the mailbox,
read by IMAP. A message is identified by its body, which no server may change (RFC 5321 section 6.4).

A message is lost if the sender's MTA has accepted the message, but the mailbox does not have it. No message may be
lost. A message is duplicated if the mailbox has more copies than were submitted. RFC 5321 section 6.1 allows one
duplicate if the sender cannot know that its peer has accepted the message: no reply came, or the sender was killed
before it could record the reply.

If the peer stays down for too long, each message is returned to its sender in a delivery status notification (DSN, RFC
3464).
"""

from __future__ import annotations

import email
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lab7.experiments.harness.judge.frames import Connection
from lab7.experiments.harness.judge.verdict import Contradiction, Finding, Inconclusive, Verdict, decide, decides
from lab7.experiments.mail.claims.delivery import why_altered
from lab7.experiments.mail.claims.imap import fetched_messages
from lab7.experiments.mail.wire.attempts import NS, Attempt, RetryPolicy, describe_retries, was_retried
from lab7.experiments.mail.wire.imap import ImapTraffic
from lab7.experiments.mail.wire.smtp import BLANK_LINE, SMTP_PORT, Message, SmtpTraffic
from lab7.experiments.mail.wire.smtp_grammar import Command

FINAL_RECIPIENT = re.compile(rb"(?im)^Final-Recipient:([^\r\n]*)")
# Assumed maximum time in ns between an MTA's reply and its record of the reply on disk (a very slow disk).
RECORDED_NS = NS // 2


@dataclass(frozen=True)
class Outage:
    """Times in ns of one outage: failure and return of the receiving server, kill and restart of the sender's MTA.

    back_ns: time of the return, None if the receiving server does not return; bound_s: permitted time in s from the
    return to the next attempt; receiver: the receiving server's address; keeping: retry policy that the sender must
    follow if the server does not return, None if it is not checked.
    """

    kind: str
    receiver: str
    began_ns: int
    back_ns: int | None
    kills: tuple[tuple[int, int], ...]
    bound_s: float
    keeping: RetryPolicy | None = None


@dataclass(frozen=True)
class Episode:
    """Captured traffic and known times of one outage.

    submitted, leaving: SMTP traffic to and from the sender's MTA, captured at its interface; arriving: SMTP traffic at
    the receiving server's interface, None if not captured; mailbox: final content of the recipient's mailbox, or of the
    sender's if the receiving server did not return; composed: the messages to be submitted, empty if unknown.
    """

    outage: Outage
    submitted: SmtpTraffic
    leaving: SmtpTraffic
    arriving: SmtpTraffic | None
    mailbox: ImapTraffic
    composed: tuple[bytes, ...] = ()


def attempts(episode: Episode) -> list[Attempt]:
    """Return all connection attempts of the sender's MTA to the receiving server in an outage, in order of time."""
    every = [connection for connection in episode.leaving.others if _is_to_peer(connection, episode.outage)]
    every += [
        session.connection for session in episode.leaving.sessions if _is_to_peer(session.connection, episode.outage)
    ]
    return [_attempt(connection) for connection in sorted(every, key=lambda one: one.syn.time_ns)]


def _is_to_peer(connection: Connection, outage: Outage) -> bool:
    return connection.server.address == outage.receiver and connection.server.port == SMTP_PORT


def _attempt(connection: Connection) -> Attempt:
    syn, reset, answer = connection.syn, connection.from_server.reset, connection.from_server.syn
    if connection.established and answer is not None:
        return Attempt(syn.frame, syn.time_ns, answer.time_ns, None, "answered")
    failed_ns, how = (reset.time_ns, "RST") if reset else (syn.time_ns, "no answer")
    return Attempt(syn.frame, syn.time_ns, None, failed_ns, how)


def during(episode: Episode) -> list[Attempt]:
    """Return the connection attempts that failed while the receiving server was down, in order of time."""
    outage = episode.outage
    end_ns = outage.back_ns or max((attempt.began_ns for attempt in attempts(episode)), default=0) + 1
    return [
        attempt for attempt in attempts(episode) if attempt.failed_ns and outage.began_ns <= attempt.began_ns < end_ns
    ]


def next_attempt(episode: Episode) -> Attempt | None:
    """Return the first answered connection attempt after the receiving server's return; None if there is none."""
    back_ns = episode.outage.back_ns
    if back_ns is None:
        return None
    return next(
        (
            attempt
            for attempt in attempts(episode)
            if attempt.answered_ns is not None and attempt.answered_ns >= back_ns
        ),
        None,
    )


@decides("S5")
def decide_outage(claim: str, episodes: Sequence[Episode], given_up: Sequence[Episode] = ()) -> Verdict:
    """Decide claim S5: while the receiving server is down, the sender's MTA queues mail, retries, and loses no message.

    `episodes`: outages after which the receiving server returns; `given_up`: outages from which it does not return.
    """
    every = [*episodes, *given_up]
    traffic = [part for one in every for part in (one.submitted, one.mailbox)]
    # Leave out traffic without a session: it proves a failed delivery, but would make the claim undecided.
    passed = [part for episode in episodes for part in (episode.leaving, episode.arriving) if part is not None]
    traffic += [part for part in passed if part.sessions or part.dropped]

    def check() -> Finding:
        if not every:
            raise Inconclusive("There was no outage of the receiving server.")
        found = [_course(episode) for episode in episodes]
        said = " ".join(text for text, _ in found)
        frames = [frame for _, some in found for frame in some]
        for one in given_up:
            text, some = _reported(one)
            said, frames = f"{said} {text}".strip(), [*frames, *some]
        return said, frames

    return decide(claim, traffic, check)


def _course(episode: Episode) -> Finding:
    """Check all requirements of claim S5 for an outage after which the receiving server returned.

    Returns (description, frame numbers).
    """
    outage, taken = episode.outage, _taken(episode)
    contents = list(fetched_messages(episode.mailbox.sessions[-1]).values())
    held, sent, arrived = Counter(map(_body, contents)), _sent(episode), _arrived(episode)
    _none_lost(taken, held, sent)
    _none_altered(taken, contents)
    failed, first = _tried(episode), _resumed(episode)
    waited = [body for body in taken if not any(ns < outage.began_ns for ns, _ in arrived.get(body, []))]
    twice = _duplicates(episode, held, sent)
    kills = "".join(_killed(episode, kill, taken, sent) for kill in outage.kills)
    return (
        f"{outage.kind}: during the outage the sender's server accepts {len(waited)} messages, and "
        f"{len(failed)} delivery attempts fail (the first by {failed[0].how}; frames {failed[0].frame} to "
        f"{failed[-1].frame}){kills}. The first attempt that succeeds follows {_after_s(first, outage):.2f} s "
        f"after the end of the outage (frame {first.frame}; {outage.bound_s:g} s are allowed); all "
        f"{len(taken)} messages are in the mailbox{twice}."
    ), [failed[0].frame, failed[-1].frame, first.frame]


def _taken(episode: Episode) -> dict[bytes, Message]:
    """Check that the sender's MTA accepted every composed message; return the accepted messages, keyed by body."""
    traffic = episode.submitted
    found = {message.body: message for message in traffic.messages if message.taken}
    if not found:
        raise Inconclusive("The sender's server accepted no message.")
    # Ignore empty lines at the end, which some user agents append to a message.
    handed = {body.rstrip(b"\r\n") for body in found}
    missing = sum(_body(one).rstrip(b"\r\n") not in handed for one in episode.composed)
    if missing:
        frame = traffic.sessions[0].connection.syn.frame
        raise Contradiction(
            f"{episode.outage.kind}: {missing} of {len(episode.composed)} messages were not submitted and accepted.",
            frame,
        )
    return found


def _body(content: bytes) -> bytes:
    return content.partition(BLANK_LINE)[2]


def _none_altered(taken: dict[bytes, Message], contents: Sequence[bytes]) -> None:
    """Raise Contradiction if a message in the mailbox has a change that the RFCs do not permit servers."""
    for content in contents:
        message = taken.get(_body(content))
        why = why_altered(message.content, content) if message is not None else None
        if message is not None and why is not None:
            raise Contradiction(
                f"The message accepted in frame {message.data.frame} was altered: {why}.", message.data.frame
            )


def _tried(episode: Episode) -> list[Attempt]:
    """Check that the receiving server was down, and that the sender's MTA retried.

    Returns the failed connection attempts.
    """
    outage, failed = episode.outage, during(episode)
    for attempt in attempts(episode):
        # Compare the time of the answer, since a retransmitted SYN may be answered after the peer's return.
        if attempt.answered_ns is not None and outage.began_ns <= attempt.answered_ns < (outage.back_ns or 0):
            raise Inconclusive(f"The receiving server answers in frame {attempt.frame}, during the outage.")
    if not was_retried(failed):
        if outage.back_ns is not None and outage.back_ns - outage.began_ns < 2 * outage.bound_s * NS:
            raise Inconclusive(f"{outage.kind}: the outage was too short for a second attempt.")
        raise Contradiction(
            f"{outage.kind}: the sender's server makes {len(failed)} attempts during the outage, but no retry "
            "after an interval.",
            *(one.frame for one in failed),
        )
    return failed


def _resumed(episode: Episode) -> Attempt:
    outage, first = episode.outage, next_attempt(episode)
    if outage.back_ns is None or first is None:
        raise Contradiction(f"{outage.kind}: no attempt succeeded after the end of the outage.")
    after_s = _after_s(first, outage)
    if after_s > outage.bound_s:
        raise Contradiction(
            f"{outage.kind}: the first attempt after the outage (frame {first.frame}) follows {after_s:.2f} s "
            f"after its end; {outage.bound_s:g} s are allowed.",
            first.frame,
        )
    return first


def _after_s(first: Attempt, outage: Outage) -> float:
    """Return the time in s from the receiving server's return to the first answered connection attempt."""
    return max(0, first.began_ns - (outage.back_ns or 0)) / NS


def _sent(episode: Episode) -> dict[bytes, list[Message]]:
    """Return the captured transfers of messages to the receiving server, keyed by message body.

    Transfers without a reply are included.
    """
    found: dict[bytes, list[Message]] = {}
    for message in episode.leaving.messages:
        found.setdefault(message.body, []).append(message)
    return found


def _arrived(episode: Episode) -> dict[bytes, list[tuple[int, Message]]]:
    """Return the messages that the receiving server accepted, as body -> list of (time of the 250 in ns, message)."""
    found: dict[bytes, list[tuple[int, Message]]] = {}
    for message in episode.arriving.messages if episode.arriving is not None else ():
        if message.taken and message.sent.final is not None:
            found.setdefault(message.body, []).append((message.sent.final.last_ns, message))
    return found


def _none_lost(taken: dict[bytes, Message], held: Counter[bytes], sent: dict[bytes, list[Message]]) -> None:
    lost = [message for body, message in taken.items() if not held[body]]
    if not lost:
        return
    frames = [frame for message in lost[:3] for frame in message.sent.frames]
    gone = sum(1 for message in lost if any(each.taken for each in sent.get(message.body, [])))
    raise Contradiction(
        f"{len(lost)} of {len(taken)} accepted messages are not in the mailbox ({gone} of them were accepted "
        f"by the receiving server); the first of them was accepted in frame {frames[0]}.",
        *frames,
    )


def _duplicates(episode: Episode, held: Counter[bytes], sent: dict[bytes, list[Message]]) -> str:
    """Return a clause on duplicates in the mailbox.

    Raises Contradiction if the sender's MTA sent a message again although it knew that the first transfer had
    succeeded.
    """
    twice = {body: copies for body, copies in held.items() if copies > 1}
    for body, copies in twice.items():
        transfers = sent.get(body, [])
        in_doubt = [transfer for transfer in transfers if _is_in_doubt(transfer, episode.outage.kills)]
        if copies > len(transfers) or copies - 1 > len(in_doubt):
            frames = [frame for transfer in transfers for frame in transfer.sent.frames]
            raise Contradiction(
                f"The mailbox has {copies} copies of a message that was sent {len(transfers)} times, of which "
                f"{len(in_doubt)} may have had an unknown outcome for the sender.",
                *frames,
            )
    extra = sum(copies - 1 for copies in twice.values())
    why = ": the sender's server was killed before it could record the reply" if extra else ""
    return f", each once, except {extra} duplicates{why}" if extra else ", each once"


def _is_in_doubt(message: Message, kills: Iterable[tuple[int, int]]) -> bool:
    """Return True if the sender may not know the outcome of a message's transfer.

    No reply came, or the sender was killed before it could record the reply.
    """
    reply = message.sent.final
    if reply is None:
        return True
    return any(message.data.first_ns <= killed_ns <= reply.last_ns + RECORDED_NS for killed_ns, _ in kills)


def _killed(
    episode: Episode, kill: tuple[int, int], taken: dict[bytes, Message], sent: dict[bytes, list[Message]]
) -> str:
    """Return a clause on a kill of the sender's MTA, with the number of messages then in its queue.

    Raises Inconclusive if the queue was empty at a kill during the outage.
    """
    killed_ns, _ = kill
    queued = [
        body
        for body, message in taken.items()
        if _is_done(message, killed_ns) and not any(_is_done(each, killed_ns) for each in sent.get(body, []))
    ]
    away = episode.outage.back_ns is None or killed_ns < episode.outage.back_ns
    if not queued and away:
        raise Inconclusive(f"{episode.outage.kind}: the queue was empty when the sender's server was killed.")
    when = "before" if away else "after"
    return f"; the sender's server is killed with {len(queued)} messages in its queue, {when} the end of the outage"


def _is_done(message: Message, at_ns: int) -> bool:
    return message.taken and message.sent.final is not None and message.sent.final.last_ns <= at_ns


def _reported(episode: Episode) -> Finding:
    """Check that, in an outage without return of the receiving server, each accepted message came back in a DSN.

    Returns (description, frame numbers).
    """
    failed, taken = during(episode), _taken(episode)
    if not was_retried(failed):
        raise Contradiction(
            f"{episode.outage.kind}: the sender's server gives up after {len(failed)} "
            "attempts without a retry interval."
        )
    reports = list(_reports(episode.mailbox))
    silent = [message for body, message in taken.items() if not any(_is_of(report, message) for report in reports)]
    if silent:
        frames = [frame for message in silent[:3] for frame in message.sent.frames]
        raise Contradiction(
            f"{episode.outage.kind}: {len(silent)} of {len(taken)} messages are neither delivered nor "
            "reported as undeliverable.",
            *frames,
        )
    last_s, kept = (failed[-1].began_ns - episode.outage.began_ns) / NS, _keeping(episode.outage, failed)
    return (
        f"{episode.outage.kind}: after {len(failed)} failed attempts, the last {last_s:.1f} s after the start "
        f"of the outage{kept}, the senders of {len(taken)} messages get {len(reports)} delivery status "
        "notifications of failure."
    ), [failed[0].frame, failed[-1].frame]


def _keeping(outage: Outage, failed: Sequence[Attempt]) -> str:
    return "" if outage.keeping is None else describe_retries(outage.kind, outage.keeping, failed)


def _reports(traffic: ImapTraffic) -> Iterator[bytes]:
    """Yield the DSNs in the mailbox that report failed delivery (RFC 3464), as octets."""
    for content in fetched_messages(traffic.sessions[-1]).values():
        made = email.message_from_bytes(content)
        if made.get_content_type() != "multipart/report":
            continue
        status = [part for part in made.walk() if part.get_content_type() == "message/delivery-status"]
        words = "".join(str(part) for part in status).lower()
        if "action: failed" in words and "final-recipient:" in words:
            yield content


def _is_of(report: bytes, message: Message) -> bool:
    """Return True if a DSN contains this message and reports failure for a recipient of it (RFC 3464 section 2.3)."""
    recipients = [recipient.command.path for recipient in message.recipients if isinstance(recipient.command, Command)]
    named = [one.decode(errors="replace").lower() for one in FINAL_RECIPIENT.findall(report)]
    return _token(message.body) in report and any(recipient.lower() in one for recipient in recipients for one in named)


def _token(body: bytes) -> bytes:
    """Return the first line of a body, which identifies the message in a DSN."""
    return body.partition(b"\r\n")[0]


@dataclass(frozen=True)
class Resumption:
    """Resumption of delivery after an outage: last failed and first answered connection attempt, times of its replies.

    Times in ns: answered_ns (SYN-ACK), asked_ns (reply 354 to DATA), taken_ns (250 for the first message).
    """

    failed: Attempt
    first: Attempt
    answered_ns: int
    asked_ns: int
    taken_ns: int


def resumption(episode: Episode) -> Resumption | None:
    """Return the first delivery after an outage: its times, and the failed attempt before it.

    None if no attempt failed during the outage, or if no message was accepted after it.
    """
    first, failed = next_attempt(episode), during(episode)
    if first is None or not failed:
        return None
    session = next(one for one in episode.leaving.sessions if one.connection.syn.frame == first.frame)
    message = next((one for one in session.messages if one.taken and one.sent.final is not None), None)
    answer = session.connection.from_server.syn
    if message is None or message.sent.final is None or message.data_command.final is None or answer is None:
        return None
    return Resumption(failed[-1], first, answer.time_ns, message.data_command.final.last_ns, message.sent.final.last_ns)
