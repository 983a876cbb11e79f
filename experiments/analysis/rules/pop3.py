"""Checks of captured POP3 sessions against RFC 1939: line ends, responses, multi-line ends, dot-stuffing, sizes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from lab7.experiments.analysis.rules.lines import Line, LineConnection, check_each, line_connections
from lab7.experiments.analysis.rules.rule import Checked, Rule, as_text
from lab7.experiments.harness.judge.frames import CaptureFile
from lab7.experiments.mail.wire.pop3 import POP3_PORT
from lab7.experiments.mail.wire.pop3_grammar import CONTENTS, LISTINGS

LINE_END = Rule("pop3-line-end", "pop3", "Every line ends in CRLF.", "RFC 1939 section 3")
COMMAND = Rule(
    "pop3-command", "pop3", "A command is a keyword of three or four letters, and arguments.", "RFC 1939 section 3"
)
RESPONSE = Rule("pop3-response", "pop3", "A response begins with +OK or -ERR, in capitals.", "RFC 1939 section 3")
MULTI_LINE = Rule(
    "pop3-multi-line", "pop3", "A line with a dot alone ends a multi-line response.", "RFC 1939 section 3"
)
DOT = Rule(
    "pop3-dot-stuffing",
    "pop3",
    "A line of a multi-line response that begins with a dot gets another dot in front.",
    "RFC 1939 section 3",
)
SIZE = Rule("pop3-size", "pop3", "LIST gives the exact size of a message in octets.", "RFC 1939 section 11")
RULES = (LINE_END, COMMAND, RESPONSE, MULTI_LINE, DOT, SIZE)

_STATUS = re.compile(rb"(\+OK|-ERR|\+)(?:[ \t]|\Z)")
_COMMAND = re.compile(rb"([A-Za-z]{3,4})(?: ([ -~]*))?\Z")
_SCAN_LISTING = re.compile(rb"(?:\+OK )?([0-9]+) ([0-9]+)")


@dataclass
class _Session:
    """State of a POP3 session: sizes from LIST, as message number -> (octets, line of the LIST response)."""

    sizes: dict[int, tuple[int, Line]] = field(default_factory=dict)


def check(captured: CaptureFile, interface: str) -> Checked:
    """Check the POP3 sessions of one interface against all POP3 rules; return line count and violations."""
    return check_each(line_connections(captured, interface, (POP3_PORT,), LINE_END), _check)


def _check(one: LineConnection) -> None:
    session = _Session()
    if _status(one) is None:
        return
    while (line := one.client.next()) is not None:
        parts = _COMMAND.match(line.text)
        if parts is None:
            one.client.note(COMMAND, line.start, line.after, f"{as_text(line.text)} is not a command", "RETR 1\\r\\n")
        keyword, argument = (parts[1].decode().upper(), parts[2] or b"") if parts is not None else ("", b"")
        status = _status(one)
        while status is not None and status.text.startswith(b"+ ") and one.client.next() is not None:
            status = _status(one)
        if status is None:
            return
        ok = status.text.startswith(b"+OK")
        if keyword == "STLS" and ok:
            return
        if ok and keyword == "LIST" and argument:
            _note_size(session, status)
        if ok and (keyword in CONTENTS or (keyword in LISTINGS and not argument)):
            lines = _lines(one)
            if lines is None:
                return
            _check_lines(one, session, keyword, argument, lines)


def _status(one: LineConnection) -> Line | None:
    line = one.server.next()
    if line is not None and not _STATUS.match(line.text):
        one.server.note(RESPONSE, line.start, line.after, f"{as_text(line.text)} is not a response", "+OK text\\r\\n")
        return None
    return line


def _lines(one: LineConnection) -> list[Line] | None:
    """Return the lines of a multi-line response; None if the response is incomplete."""
    lines: list[Line] = []
    begin = one.server.at
    while (line := one.server.next()) is not None:
        if line.text == b".":
            return lines
        lines.append(line)
    if one.connection.from_server.fin is not None:
        one.server.note(MULTI_LINE, begin, len(one.server.data), "a multi-line response without an end", ".\\r\\n")
    return None


def _check_lines(one: LineConnection, session: _Session, keyword: str, argument: bytes, lines: list[Line]) -> None:
    if keyword == "LIST":
        for line in lines:
            _note_size(session, line)
        return
    for line in lines:
        if keyword in ("RETR", "TOP") and line.text.startswith(b".") and not line.text.startswith(b".."):
            one.server.note(
                DOT,
                line.start,
                line.after,
                "a line of the message that begins with one dot",
                as_text(b"." + line.text) + "\\r\\n",
            )
            return
    if keyword == "RETR" and argument.isdigit() and (known := session.sizes.get(int(argument))) is not None:
        octets = sum(len(line.text.removeprefix(b".")) + 2 for line in lines)
        size, at = known
        if size != octets:
            one.server.note(
                SIZE,
                at.start,
                at.after,
                f"LIST gives {size} octets, RETR sent {octets}",
                f"{as_text(argument)} {octets}\\r\\n",
            )


def _note_size(session: _Session, line: Line) -> None:
    if (found := _SCAN_LISTING.match(line.text)) is not None:
        session.sizes[int(found[1])] = (int(found[2]), line)
