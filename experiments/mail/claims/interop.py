"""Verdicts for the mail interoperability matrix: submission, relaying, or retrieval by one client with one server.

The matrix has a row per mail server, and a column per client (or other mail server) and operation (mail/matrix.py).
Each function returns the verdict of a cell, decided from captured packets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from email.parser import BytesParser
from email.policy import SMTP
from typing import Any

from lab7.experiments.harness.judge.verdict import Contradiction, Finding, Verdict, decide, in_frames
from lab7.experiments.mail.claims.delivery import BLANK_LINE, why_altered, with_crlf
from lab7.experiments.mail.claims.evidence import digest
from lab7.experiments.mail.claims.imap import fetched_messages
from lab7.experiments.mail.wire.imap import ImapTraffic
from lab7.experiments.mail.wire.imap_grammar import ImapGrammarError
from lab7.experiments.mail.wire.pop3 import Pop3Traffic
from lab7.experiments.mail.wire.smtp import Message, SmtpTraffic
from lab7.experiments.mail.wire.smtp_grammar import Command


def sent(cell_id: str, traffic: SmtpTraffic, message: bytes, recipient: str) -> Verdict:
    """Return the verdict on a submission: the server accepts the message for the recipient, unaltered.

    A client may append an empty line to the body, and change header fields other than From, To and Subject.
    """

    def check() -> Finding:
        for one in traffic.messages:
            if _text(one.body) == _text(_body(message)) and one.taken and recipient in _recipients(one):
                _means_the_same(message, one)
                frames = [one.mail.frames[0], one.sent.frames[-1]]
                return f"The message is accepted (MAIL in frame {frames[0]}, 250 in {frames[1]}).", frames
        for one in traffic.messages:
            why = "another message than the submitted one" if one.taken else f"refused with {one.sent.code}"
            whom = ", ".join(_recipients(one))
            raise Contradiction(f"The mail data in frame {one.data.frame} for {whom} are {why}.", *one.sent.frames)
        last = traffic.sessions[-1]
        said = last.exchanges[-1].described if last.exchanges else "there was no command"
        raise Contradiction(f"No message is sent; at the end of the last session {said}.", last.connection.syn.frame)

    return decide(cell_id, [traffic], check)


def relayed(
    cell_id: str, traffic: SmtpTraffic, message: bytes, recipient: str, mailbox: Sequence[bytes] | None = None
) -> Verdict:
    """Return the verdict on a relayed message: the next server accepts it, and stores it unaltered.

    `mailbox`: contents of the stored files, None if not inspected.
    """

    def check() -> Finding:
        same = [one for one in traffic.messages if one.taken and why_altered(message, one.content) is None]
        passed = next((one for one in same if recipient in _recipients(one)), None)
        if passed is None:
            for one in (one for one in traffic.messages if one.taken):
                why = why_altered(message, one.content) or f"its recipient is {', '.join(_recipients(one))}"
                frame = one.data.frame
                raise Contradiction(f"The message in frame {frame} was altered: {why}.", *one.sent.frames)
            frame = traffic.sessions[-1].connection.syn.frame
            raise Contradiction(f"No message is relayed (last session: frame {frame}).", frame)
        frames = [passed.mail.frames[0], passed.sent.frames[-1]]
        if mailbox is not None:
            reasons = [why_altered(message, with_crlf(one)) for one in mailbox]
            if None not in reasons:
                what = reasons[0] if reasons else "the mailbox is empty"
                raise Contradiction(
                    f"The message accepted in frame {frames[1]} is not in the mailbox: {what}.", *frames
                )
        return (
            f"The message is relayed unaltered (MAIL in frame {frames[0]}, 250 in {frames[1]}) and delivered.",
            frames,
        )

    return decide(cell_id, [traffic], check)


def _body(content: bytes) -> bytes:
    return content.partition(BLANK_LINE)[2]


def _means_the_same(message: bytes, sent_: Message) -> None:
    """Raise Contradiction if a sent message differs from the original in Subject or in the addresses of From and To.

    Display names may differ, since mutt, for example, adds the user's name from the system.
    """
    before, after = (BytesParser(policy=SMTP).parsebytes(one, headersonly=True) for one in (message, sent_.content))
    for name in ("From", "To", "Subject"):
        if _said(before[name]) != _said(after[name]):
            frame = sent_.data.frame
            raise Contradiction(
                f"The message in frame {frame} has the {name} {str(after[name])!r}, not {str(before[name])!r}.", frame
            )


def _said(field: Any) -> Any:
    """Return a header field's content for comparison: addresses for From and To, otherwise the text; None if absent."""
    if field is None:
        return None
    return [address.addr_spec for address in field.addresses] if hasattr(field, "addresses") else str(field)


def _text(body: bytes) -> bytes:
    return body.rstrip(b"\r\n")


def _recipients(message: Message) -> list[str]:
    return [recipient.command.path for recipient in message.recipients if isinstance(recipient.command, Command)]


def fetched_by_pop3(cell_id: str, traffic: Pop3Traffic, contents: Sequence[bytes]) -> Verdict:
    """Return the verdict on a POP3 session: every message of the mailbox is retrieved completely by RETR."""

    def check() -> Finding:
        retr = [exchange for session in traffic.sessions for exchange in session.exchanges_of("RETR") if exchange.ok]
        _are(contents, [exchange.content for exchange in retr], traffic.sessions[0].frame)
        frames = [exchange.frames[0] for exchange in retr]
        return f"{len(contents)} messages are retrieved completely (RETR in {in_frames(frames)}).", frames

    return decide(cell_id, [traffic], check)


def fetched_by_imap(cell_id: str, traffic: ImapTraffic, contents: Sequence[bytes]) -> Verdict:
    """Return the verdict on an IMAP session: every message of the mailbox is retrieved completely by FETCH."""

    def check() -> Finding:
        try:
            got = [content for session in traffic.sessions for content in fetched_messages(session).values()]
        except ImapGrammarError as error:
            raise Contradiction(f"A FETCH response violates the grammar: {error}.") from None
        _are(contents, got, traffic.sessions[0].frame)
        frames = [exchange.frames[0] for session in traffic.sessions for exchange in session.exchanges_of("FETCH")]
        return f"{len(contents)} messages are retrieved completely (FETCH in {in_frames(frames)}).", frames

    return decide(cell_id, [traffic], check)


def _are(contents: Iterable[bytes], got: Iterable[bytes], frame: int) -> None:
    """Raise Contradiction unless the retrieved messages (`got`) are exactly those of the mailbox, each once."""
    wanted, found = Counter(contents), Counter(got)
    for octets in found:
        if octets not in wanted:
            raise Contradiction(
                f"The session of frame {frame} retrieves {len(octets)} octets (SHA-256 {digest(octets)}) that "
                "are not a message of the mailbox.",
                frame,
            )
    missing = [octets for octets in wanted if octets not in found]
    if missing:
        raise Contradiction(
            f"The session of frame {frame} does not retrieve {len(missing)} of {len(wanted)} messages completely.",
            frame,
        )
