"""Parser of captured POP3 streams: commands and responses, with the frames that carried them.

Written from RFC 1939 (sections 3, 5 and 9) and RFC 2449 (section 4), independent of lab7.services.mail.pop3. A command
is a keyword of three or four letters, optional arguments, and CRLF; a response is a status, optional text, and CRLF.
Successful responses to some commands are multi-line: lines up to a line with only a dot; a line that begins with a dot
is dot-stuffed:

    C: RETR 1<CRLF>
    S: +OK 120 octets<CRLF>..hidden<CRLF>.<CRLF>

A response "+ " requests one more line from the client (RFC 5034). A bare CR or LF is an error in commands and statuses,
not in messages. Left out: data after STLS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab7.experiments.harness.judge.dialogue import Line, Request
from lab7.experiments.harness.judge.reassembly import Stream

# Commands have at most 255 octets, status lines 512, CRLF included (RFC 2449 section 4).
COMMAND_OCTETS, STATUS_OCTETS = 255, 512
EXCERPT_OCTETS = 60
# RFC 1939 section 3: keywords and arguments are printable ASCII; PASS may have spaces within its argument.
COMMAND = re.compile(rb"([A-Za-z]{3,4})(?: ([ -~]*))?\r\n")
STATUS = re.compile(rb"(\+OK|-ERR|\+)(?: ([^\r\n]*))?\r\n")
TEXT_LINE = re.compile(rb"([^\r\n]*)\r\n")
END = b".\r\n"
# Commands in LISTINGS have a multi-line response only without an argument; commands in CONTENTS always.
LISTINGS, CONTENTS = ("LIST", "UIDL", "AUTH"), ("RETR", "TOP", "CAPA")


class Pop3GrammarError(ValueError):
    """Octets that violate the POP3 grammar; the message names the rule and quotes an excerpt."""


@dataclass(frozen=True)
class Command(Request):
    """POP3 command: keyword in capitals, and argument (empty if absent)."""

    argument: bytes

    @property
    def has_lines(self) -> bool:
        """Return True if a successful response to the command is multi-line."""
        return self.verb in CONTENTS or (self.verb in LISTINGS and not self.argument)


@dataclass(frozen=True)
class Response(Line):
    """POP3 response: status, text, and lines without dot-stuffing (None if not multi-line)."""

    status: str
    message: str
    content: bytes | None

    @property
    def ok(self) -> bool:
        """Return True if the status is +OK."""
        return self.status == "+OK"


def read_command(stream: Stream, start: int) -> Command | None:
    """Return the command at an offset of a client's stream; None at the end. Raises Pop3GrammarError."""
    if start == len(stream.data):
        return None
    found = COMMAND.match(stream.data, start)
    if found is None:
        raise Pop3GrammarError(f"not a command: {_excerpt(stream, start)}")
    if found.end() - start > COMMAND_OCTETS:
        raise Pop3GrammarError(f"a command has {found.end() - start} octets, more than {COMMAND_OCTETS}")
    octets, pieces = stream.data[start : found.end()], stream.span(start, found.end())
    return Command(octets, pieces, found[1].decode().upper(), found[2] or b"")


def read_line(stream: Stream, start: int) -> Line | None:
    """Return the client's line after a continuation request; None at the end. Raises Pop3GrammarError."""
    if start == len(stream.data):
        return None
    found = TEXT_LINE.match(stream.data, start)
    if found is None:
        raise Pop3GrammarError(f"not a line of text: {_excerpt(stream, start)}")
    return Line(stream.data[start : found.end()], stream.span(start, found.end()))


def read_response(stream: Stream, start: int, has_lines: bool) -> Response | None:
    """Return the response at an offset of a server's stream; None at the end. Raises Pop3GrammarError."""
    if start == len(stream.data):
        return None
    found = STATUS.match(stream.data, start)
    if found is None:
        raise Pop3GrammarError(f"not a response: {_excerpt(stream, start)}")
    if found.end() - start > STATUS_OCTETS:
        raise Pop3GrammarError(f"a response has {found.end() - start} octets, more than {STATUS_OCTETS}")
    end, content = found.end(), None
    if has_lines and found[1] == b"+OK":
        end, content = _lines(stream, end)
    status, message = found[1].decode(), (found[2] or b"").decode(errors="replace")
    return Response(stream.data[start:end], stream.span(start, end), status, message, content)


def _lines(stream: Stream, start: int) -> tuple[int, bytes]:
    """Parse a multi-line response (RFC 1939 section 3); return (end offset, lines without dot-stuffing)."""
    lines: list[bytes] = []
    at = start
    while (end := stream.data.find(b"\r\n", at)) >= 0:
        line = stream.data[at : end + 2]
        at = end + 2
        if line == END:
            return at, b"".join(lines)
        lines.append(line.removeprefix(b"."))
    raise Pop3GrammarError(f"a multi-line response is incomplete: {_excerpt(stream, start)}")


def _excerpt(stream: Stream, start: int) -> str:
    return repr(stream.data[start : start + EXCERPT_OCTETS])[1:]
