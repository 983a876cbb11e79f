"""Checks of captured SMTP sessions against RFC 5321: line ends, replies, commands, start of mail data, dot-stuffing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lab7.experiments.analysis.rules.lines import Line, LineConnection, LineStream, check_each, line_connections
from lab7.experiments.analysis.rules.rule import Checked, Rule, as_text
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.mail.wire.smtp_grammar import ARGUMENTS, OTHER_VERBS, REPLY_LINE, VERB

LINE_END = Rule("smtp-line-end", "smtp", "Every line ends in CRLF.", "RFC 5321 section 2.3.8")
REPLY = Rule("smtp-reply", "smtp", "A reply line is a code of three digits, a space, and text.", "RFC 5321 section 4.2")
REPLY_LINES = Rule(
    "smtp-reply-lines",
    "smtp",
    "All lines of a reply but the last have a hyphen behind the code.",
    "RFC 5321 section 4.2.1",
)
UNREQUESTED = Rule(
    "smtp-unrequested", "smtp", "Each reply but the greeting and 421 belongs to a command.", "RFC 5321 section 4.2"
)
COMMAND = Rule("smtp-command", "smtp", "A command has the syntax of its verb.", "RFC 5321 section 4.1.1")
GREETING = Rule("smtp-greeting", "smtp", "A client waits for the greeting of the server.", "RFC 5321 section 4.3.1")
DATA_REPLY = Rule("smtp-data-reply", "smtp", "The positive reply to DATA is 354.", "RFC 5321 section 4.3.2")
DOT = Rule(
    "smtp-dot-stuffing",
    "smtp",
    "A line of mail data that begins with a dot gets another dot in front.",
    "RFC 5321 section 4.5.2",
)
DATA_END = Rule("smtp-data-end", "smtp", "A line with a dot alone ends the mail data.", "RFC 5321 section 4.1.1.4")
RULES = (LINE_END, REPLY, REPLY_LINES, UNREQUESTED, COMMAND, GREETING, DATA_REPLY, DOT, DATA_END)

PORTS = (25, 587)
START_MAIL_INPUT, READY_FOR_TLS, CONTINUE_AUTH, CLOSING = 354, 220, 334, 421
_ANY_REPLY = re.compile(rb"([2-5][0-9]{2})([ -]?)")
KNOWN_VERBS = frozenset(ARGUMENTS) | OTHER_VERBS


@dataclass
class Reply:
    """Reply of an SMTP server: three-digit code, and the captured lines of the reply."""

    code: int
    lines: list[Line] = field(default_factory=list)


def check(captured: CaptureFile, interface: str) -> Checked:
    """Check the SMTP connections of one interface against all SMTP rules; return line count and violations."""
    return check_each(line_connections(captured, interface, PORTS, LINE_END), _check)


def _check(one: LineConnection) -> None:
    replies = _replies(one.server)
    greeting = replies.pop(0) if replies else None
    first = one.client.data[:1]
    if greeting is not None and first and one.client.time_ns(0) < one.server.time_ns(greeting.lines[0].start):
        line = one.client.data.find(b"\n") + 1
        one.client.note(GREETING, 0, line, "a command before the greeting", "no octets before 220")
    while (line_read := one.client.next()) is not None:
        reply = replies.pop(0) if replies else None
        verb = _command(one.client, line_read)
        reply = _merged(one.server, reply, replies) if verb == "EHLO" else reply
        if reply is None:
            continue
        if verb == "STARTTLS" and reply.code == READY_FOR_TLS:
            return
        while reply is not None and reply.code == CONTINUE_AUTH and verb == "AUTH" and one.client.next() is not None:
            reply = replies.pop(0) if replies else None
        if verb == "DATA" and reply is not None:
            _data(one, reply, replies)
    for left in replies:
        if left.code != CLOSING:
            line_left = left.lines[0]
            one.server.note(
                UNREQUESTED, line_left.start, line_left.after, f"a reply {left.code} without a command", "no octets"
            )
            return


def _replies(stream: LineStream) -> list[Reply]:
    """Parse a server's lines into replies, up to the first line that is not part of a reply (such as a TLS record)."""
    replies: list[Reply] = []
    current: Reply | None = None
    while (line := stream.next()) is not None:
        found = _ANY_REPLY.match(line.text)
        if found is None:
            if not any(reply.code == READY_FOR_TLS for reply in replies[1:]):
                stream.note(REPLY, line.start, line.after, "not a reply", "250 text\\r\\n")
            break
        if not REPLY_LINE.match(line.text + b"\r\n"):
            stream.note(
                REPLY, line.start, line.after, f"{as_text(line.text)} is not a reply", "a code, a space, text in ASCII"
            )
        code = int(found[1])
        if current is None or current.code != code:
            if current is not None:
                before = current.lines[-1]
                stream.note(
                    REPLY_LINES, before.start, before.after, f"a hyphen in the last line of the reply {current.code}",
                    f"{current.code} with a space",
                )  # fmt: skip
            current = Reply(code)
            replies.append(current)
        current.lines.append(line)
        if found[2] != b"-":
            current = None
    return replies


def _merged(stream: LineStream, reply: Reply | None, following: list[Reply]) -> Reply | None:
    """Return the reply to EHLO, merged from several replies if the server omits the hyphens of a multi-line reply.

    A server that sends `250 ` instead of `250-` before further lines seems to send several replies. One-line 250
    replies with the same capture time count as one reply, are removed from `following`, and cause a violation.
    """
    if reply is None or reply.code != 250:
        return reply
    extra = [
        one
        for one in following
        if one.code == 250 and stream.time_ns(one.lines[0].start) == stream.time_ns(reply.lines[-1].start)
    ]
    if extra and following[: len(extra)] == extra:
        line = reply.lines[-1]
        stream.note(
            REPLY_LINES, line.start, line.after, "a space behind the code, and more lines of the same reply follow",
            as_text(b"250-" + line.text[4:]) + "\\r\\n",
        )  # fmt: skip
        del following[: len(extra)]
    return reply


def _command(stream: LineStream, line: Line) -> str:
    """Check a command line against the rules, and return its verb in capitals."""
    parts = VERB.match(line.text)
    verb = parts[1].decode().upper() if parts is not None else ""
    if parts is not None and verb in ARGUMENTS and not re.match(ARGUMENTS[verb], parts[2] or b""):
        stream.note(
            COMMAND, line.start, line.after, f"{as_text(line.text)} is not the syntax of {verb}", _example(verb)
        )
    return verb


def _example(verb: str) -> str:
    paths = {
        "MAIL": "MAIL FROM:<alice@example.org>",
        "RCPT": "RCPT TO:<bob@example.com>",
        "EHLO": "EHLO host.example.org",
    }
    return paths.get(verb, verb) + "\\r\\n"


def _data(one: LineConnection, reply: Reply, replies: list[Reply]) -> None:
    """Check the reply to DATA and the mail data, up to and including the server's reply to the mail data."""
    if reply.code != START_MAIL_INPUT:
        if not 200 <= reply.code < 300:
            return
        line = reply.lines[0]
        one.server.note(DATA_REPLY, line.start, line.after, f"{reply.code} to DATA", "354 Start mail input\\r\\n")
        if _is_command(_peek(one.client)):
            return
    _mail_data(one)
    if replies:
        replies.pop(0)


def _peek(stream: LineStream) -> bytes:
    """Return the next line without consuming the line; empty at the end of the stream."""
    end = stream.data.find(b"\n", stream.at)
    return stream.data[stream.at : end].rstrip(b"\r") if end >= 0 else b""


def _is_command(line: bytes) -> bool:
    parts = VERB.match(line)
    return not line or (parts is not None and parts[1].decode().upper() in KNOWN_VERBS)


def _mail_data(one: LineConnection) -> None:
    stream = one.client
    begin = stream.at
    reported = False
    while (line := stream.next()) is not None:
        if line.text == b".":
            _cut_short(stream, line)
            return
        if line.text.startswith(b".") and not line.text.startswith(b"..") and not reported:
            reported = True
            stream.note(
                DOT,
                line.start,
                line.after,
                "a line of mail data that begins with one dot",
                as_text(b"." + line.text) + "\\r\\n",
            )
    if one.connection.from_client.fin is not None and begin < len(stream.data):
        stream.note(
            DATA_END, max(begin, len(stream.data) - 20), len(stream.data), "the stream ends within mail data", ".\\r\\n"
        )


def _cut_short(stream: LineStream, dot: Line) -> None:
    """Record a violation for a single dot on a line within mail data, if mail text follows: it lacks dot-stuffing."""
    if not _is_command(_peek(stream)):
        stream.note(DOT, dot.start, dot.after, "a line with a dot alone within the mail data", "..\\r\\n")
        # Skip to the end of the mail data, since mail text contains no commands.
        while (line := stream.next()) is not None and line.text != b".":
            pass
