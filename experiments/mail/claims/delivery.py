"""Comparison of a message before and after delivery: detection of changes that the RFCs do not permit servers.

RFC 5321 section 6.4: servers must not change a message that they relay, except that they add trace fields (section
4.4). Final delivery adds Return-Path at the top and removes an earlier Return-Path. RFC 6409 section 8 lets a
submission server add Sender, Date and Message-ID if absent. RFC 5322 section 3.6.3: Bcc may be removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab7.experiments.harness.judge.frames import Connection
from lab7.experiments.harness.judge.verdict import Contradiction
from lab7.experiments.mail.claims.evidence import digest
from lab7.experiments.mail.claims.imap import fetched_messages
from lab7.experiments.mail.wire import imap, pop3
from lab7.experiments.mail.wire.imap_grammar import ImapGrammarError

BLANK_LINE = b"\r\n\r\n"
# Match a whole header field, folding included; group 1 is the field name (RFC 5322 section 2.2).
FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")
MAY_GO = frozenset((b"return-path", b"bcc"))
# Originator, destination and MIME fields, which servers must not add to a message.
AUTHORS = frozenset(
    (b"from", b"reply-to", b"to", b"cc", b"bcc", b"in-reply-to", b"references", b"subject", b"mime-version")
)
# Fields that a submission server may add if missing (RFC 6409 section 8).
MAY_COME_ONCE = frozenset((b"sender", b"date", b"message-id"))


@dataclass(frozen=True)
class Arrival:
    """Message as retrieved by the recipient's user agent; `frame` and `time_ns` are those of its last octet."""

    content: bytes
    frame: int
    time_ns: int

    @property
    def body(self) -> bytes:
        """Return the body: the octets after the first empty line."""
        return self.content.partition(BLANK_LINE)[2]


def header_fields(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return the header fields of a message in order, as (name in lower case, octets of the field)."""
    header = content.partition(BLANK_LINE)[0] + b"\r\n"
    return [(found[1].lower(), found[0]) for found in FIELD.finditer(header)]


def why_altered(composed: bytes, got: bytes) -> str | None:
    """Compare a message before (`composed`) and after delivery; describe a change that the RFCs do not permit.

    Returns None if there is no such change.
    """
    before, after = composed.partition(BLANK_LINE)[2], got.partition(BLANK_LINE)[2]
    if before != after:
        return f"the body has {len(after)} octets (SHA-256 {digest(after)}) instead of {len(before)} ({digest(before)})"
    kept, found = [field for field in header_fields(composed) if field[0] not in MAY_GO], header_fields(got)
    at, added = 0, []
    for name, octets in found:
        if at < len(kept) and octets == kept[at][1]:
            at += 1
        else:
            added.append(name)
    if at < len(kept):
        return f"the field {_text(kept[at][1])} is missing or moved"
    names = {name for name, _ in kept}
    for name in added:
        if name in AUTHORS or name.startswith(b"content-") or (name in MAY_COME_ONCE and name in names):
            return f"a field {_text(name)} was added"
    return None


def _text(octets: bytes) -> str:
    return repr(octets.rstrip(b"\r\n").decode(errors="replace"))


def arrivals(connection: Connection) -> list[Arrival]:
    """Return the messages retrieved on a POP3 or IMAP connection. Raises Contradiction for a grammar violation."""
    if connection.server.port == pop3.POP3_PORT:
        session = pop3.read_session(connection)
        _sound(session.problem, connection)
        fetched = [one for one in session.exchanges_of("RETR") if one.ok]
        said = [(one.content, one.final) for one in fetched]
        return [Arrival(content, each.frame, each.last_ns) for content, each in said if each is not None]
    reading = imap.read_session(connection)
    _sound(reading.problem, connection)
    try:
        contents = fetched_messages(reading)
    except ImapGrammarError as error:
        raise Contradiction(f"A FETCH response violates the grammar: {error}.", connection.syn.frame) from None
    last = [one for exchange in reading.exchanges_of("FETCH") for one in exchange.data("FETCH")]
    return [Arrival(content, last[-1].frame, last[-1].last_ns) for content in contents.values()]


def _sound(problem: str | None, connection: Connection) -> None:
    if problem is not None:
        frame = connection.syn.frame
        raise Contradiction(f"On the connection opened in frame {frame}: {problem}.", frame)


def find_arrival(content: bytes, connections: Iterable[Connection]) -> tuple[Connection, Arrival] | None:
    """Find the retrieved copy of a sent message by its body; return (connection, retrieved message), or None.

    Raises Contradiction if the message was altered.
    """
    body, altered = content.partition(BLANK_LINE)[2], None
    for connection in connections:
        for arrival in arrivals(connection):
            if arrival.body != body:
                continue
            why = why_altered(content, arrival.content)
            if why is None:
                return connection, arrival
            altered = altered or (why, arrival.frame)
    if altered is not None:
        raise Contradiction(f"The message retrieved in frame {altered[1]} was altered: {altered[0]}.", altered[1])
    return None


def with_crlf(stored: bytes) -> bytes:
    """Convert a message stored in a Maildir to CRLF line ends."""
    return re.sub(rb"\r?\n", b"\r\n", stored)


def stored_bodies(contents: Sequence[bytes]) -> list[bytes]:
    """Return the bodies of messages stored in a Maildir, with CRLF line ends."""
    return [with_crlf(content).partition(BLANK_LINE)[2] for content in contents]
