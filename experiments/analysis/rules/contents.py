"""Mail messages reassembled from a capture, line by line: SMTP mail data, POP3 RETR responses and IMAP FETCH data.

A Content holds the lines of one message, with dot-stuffing removed, each with its offset in the TCP stream. If the
sender failed to double a leading dot, the line is kept as sent. LF without CR is accepted as a line end. Left out:
content after STARTTLS, and messages uploaded by IMAP APPEND.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lab7.experiments.analysis.rules.lines import LineStream
from lab7.experiments.analysis.rules.rule import Rule, Source, Violation
from lab7.experiments.harness.judge.frames import CaptureFile, Connection, connections
from lab7.experiments.mail.wire.imap import IMAP_PORT
from lab7.experiments.mail.wire.imap_grammar import ImapGrammarError, read_responses
from lab7.experiments.mail.wire.pop3 import POP3_PORT

SMTP_PORTS = (25, 587)
_UNNAMED = Rule("mail-line-end", "mail", "Every line ends in CRLF.", "RFC 5321 section 2.3.8")
_MESSAGE_ID = re.compile(rb"message-id[ \t]*:[ \t]*(<[^<>\r\n]+>)", re.IGNORECASE)
_RECIPIENT = re.compile(rb"RCPT TO:[ ]*<([^<>\r\n]*)>", re.IGNORECASE)
_REPLY = re.compile(rb"([2-5][0-9]{2})( |-|\Z)")


@dataclass(frozen=True)
class ContentLine:
    """A line of a mail message without its line end, and the octets [start, after) of the stream that carried it."""

    text: bytes
    start: int
    after: int


@dataclass(frozen=True)
class Content:
    """A mail message as sent over one connection by SMTP, POP3 or IMAP.

    `opened`: number of the frame that opened the connection; `server`: address of its server; `stuffed`: False if the
    sender failed to double a leading dot; `answers`: the server's stream of an SMTP connection; `reply`: the line of
    `answers` with the reply to the mail data, None if there is none.
    """

    protocol: str
    source: Source
    opened: int
    server: str
    lines: tuple[ContentLine, ...]
    stuffed: bool = True
    recipients: tuple[str, ...] = ()
    answers: Source | None = None
    reply: ContentLine | None = None

    @property
    def time_ns(self) -> int:
        """Return the capture time of the message's first octet, in ns."""
        return self.source.stream.span(self.lines[0].start, self.lines[0].start + 1)[0].time_ns

    @property
    def code(self) -> int:
        """Return the code of the SMTP reply to the mail data; 0 if no reply was captured."""
        return int(self.reply.text[:3]) if self.reply is not None else 0

    @property
    def head_length(self) -> int:
        """Return the number of lines in the header section, without the empty line that ends it."""
        return next((at for at, line in enumerate(self.lines) if not line.text), len(self.lines))

    @property
    def body(self) -> tuple[ContentLine, ...]:
        """Return the lines after the header section and the empty line that ends it."""
        return self.lines[self.head_length + 1 :]

    @property
    def id(self) -> bytes:
        """Return the Message-ID of the message; the body serves as id if there is none."""
        for line in self.lines[: self.head_length]:
            if found := _MESSAGE_ID.match(line.text):
                return found[1]
        return b"\n".join(line.text for line in self.body)

    def violation(self, rule: Rule, first: ContentLine, found: str, expected: str) -> Violation:
        """Return a Violation of a rule, with one line (`first`) of the message as its octets."""
        return self.source.violation(rule, first.start, first.after, found, expected)


def contents(captured: CaptureFile) -> list[Content]:
    """Return the mail messages captured at all interfaces, in the order of their first octets."""
    found: list[Content] = []
    for interface in captured.counts:
        for connection in connections(captured.at(interface)):
            port = connection.server.port
            if port in SMTP_PORTS:
                found += _smtp(connection, interface)
            elif port == POP3_PORT:
                found += _pop3(connection, interface)
            elif port == IMAP_PORT:
                found += _imap(connection, interface)
    return sorted((one for one in found if one.lines), key=lambda one: one.time_ns)


def sides(connection: Connection, interface: str) -> tuple[Source, Source]:
    """Return the two TCP streams of a connection: (stream from the client, stream from the server)."""
    return (
        Source(interface, str(connection.client), connection.from_client.stream),
        Source(interface, str(connection.server), connection.from_server.stream),
    )


def stream_lines(source: Source) -> Iterator[ContentLine]:
    """Yield the complete lines of a TCP stream."""
    stream = LineStream(source, _UNNAMED)
    while (line := stream.next()) is not None:
        yield ContentLine(line.text, line.start, line.after)


def _smtp(connection: Connection, interface: str) -> Iterator[Content]:
    client, server = sides(connection, interface)
    replies = [line for line in stream_lines(server) if (found := _REPLY.match(line.text)) and found[2] != b"-"]
    commands = stream_lines(client)
    recipients: list[str] = []
    taken = 1  # the greeting
    for line in commands:
        verb = line.text[:4].upper()
        answer = replies[taken] if taken < len(replies) else None
        taken += 1
        if verb == b"STAR":
            return
        if verb == b"MAIL":
            recipients = []
        if (named := _RECIPIENT.match(line.text)) and answer is not None and answer.text.startswith(b"2"):
            recipients.append(named[1].decode("ascii", "replace"))
        if verb != b"DATA" or answer is None or not answer.text.startswith((b"354", b"250")):
            continue
        lines, stuffed = _until_dot(commands)
        reply = replies[taken] if taken < len(replies) else None
        taken += 1
        yield Content(
            "smtp",
            client,
            connection.syn.frame,
            connection.server.address,
            lines,
            stuffed,
            tuple(recipients),
            server,
            reply,
        )


def _until_dot(lines: Iterator[ContentLine]) -> tuple[tuple[ContentLine, ...], bool]:
    """Read mail data up to the line `.`; return (lines without dot-stuffing, False if a leading dot is not doubled)."""
    found: list[ContentLine] = []
    stuffed = True
    for line in lines:
        if line.text == b".":
            break
        stuffed = stuffed and (not line.text.startswith(b".") or line.text.startswith(b".."))
        text = line.text[1:] if line.text.startswith(b"..") else line.text
        found.append(ContentLine(text, line.start, line.after))
    return tuple(found), stuffed


def _pop3(connection: Connection, interface: str) -> Iterator[Content]:
    client, server = sides(connection, interface)
    responses = stream_lines(server)
    next(responses, None)
    for line in stream_lines(client):
        status = next(responses, None)
        if status is None:
            return
        verb, _, argument = line.text.upper().partition(b" ")
        if verb == b"STLS" or not status.text.startswith(b"+OK"):
            continue
        if verb in (b"RETR", b"TOP", b"CAPA") or (verb in (b"LIST", b"UIDL") and not argument):
            lines, stuffed = _until_dot(responses)
            if verb == b"RETR":
                yield Content("pop3", server, connection.syn.frame, connection.server.address, lines, stuffed)


def _imap(connection: Connection, interface: str) -> Iterator[Content]:
    _, server = sides(connection, interface)
    at = 0
    try:
        for response in read_responses(server.stream):
            for size in re.finditer(rb"(?:BODY\[\]|RFC822) \{([0-9]+)\}\r\n", response.octets):
                octets = response.octets[size.end() : size.end() + int(size[1])]
                yield Content(
                    "imap", server, connection.syn.frame, connection.server.address, _split(octets, at + size.end())
                )
            at += len(response.octets)
    except ImapGrammarError:
        return


def _split(octets: bytes, at: int) -> tuple[ContentLine, ...]:
    found = []
    for line in octets.splitlines(keepends=True):
        found.append(ContentLine(line.rstrip(b"\r\n"), at, at + len(line)))
        at += len(line)
    return tuple(found)
