"""The lines of a POP3 connection: commands and responses, with the frames that carried them.

Written from RFC 1939 (sections 3, 5 and 9) and RFC 2449 (section 4) for the judge alone. A command is a keyword of
three or four letters, perhaps arguments, and CRLF; a response is a status, perhaps text, and CRLF. To some commands,
where they succeed, lines follow up to one that holds only a dot; a line that begins with a dot has one more than was
meant:

    C: RETR 1<CRLF>
    S: +OK 120 octets<CRLF>..hidden<CRLF>.<CRLF>

A response "+ " asks for one more line of the client (RFC 5034). A bare CR or LF is an error in commands and statuses,
not in messages. Left out: what stands behind STLS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from experiments.harness.judge.dialogue import Said
from experiments.harness.judge.reassembly import Stream

# RFC 2449 section 4: octets with CRLF.
COMMAND_OCTETS, STATUS_OCTETS = 255, 512
EXCERPT_OCTETS = 60
# RFC 1939 section 3: keywords and arguments are printable ASCII; PASS may have spaces within its argument.
COMMAND = re.compile(rb"([A-Za-z]{3,4})(?: ([ -~]*))?\r\n")
STATUS = re.compile(rb"(\+OK|-ERR|\+)(?: ([^\r\n]*))?\r\n")
LINE = re.compile(rb"([^\r\n]*)\r\n")
END = b".\r\n"
# Commands that lines follow, if they succeed, and whether that is so with an argument as well.
LISTINGS, CONTENTS = ("LIST", "UIDL", "AUTH"), ("RETR", "TOP", "CAPA")


class Pop3GrammarError(ValueError):
    """These octets are not what the grammar allows; the message says which rule and shows them."""


@dataclass(frozen=True)
class Command(Said):
    """A command: its keyword in capitals, and its argument (empty where there is none)."""

    verb: str
    argument: bytes

    @property
    def has_lines(self) -> bool:
        """Whether lines follow its response, if it succeeds."""
        return self.verb in CONTENTS or (self.verb in LISTINGS and not self.argument)


@dataclass(frozen=True)
class Response(Said):
    """A response: its status, the text behind that, and the lines that followed, transparency undone (or None)."""

    status: str
    message: str
    content: bytes | None

    @property
    def ok(self) -> bool:
        """Whether the command succeeded."""
        return self.status == "+OK"


def read_command(stream: Stream, start: int) -> Command | None:
    """Return the command that begins at an octet, None at the end of the stream. Raises Pop3GrammarError."""
    if start == len(stream.data):
        return None
    found = COMMAND.match(stream.data, start)
    if found is None:
        raise Pop3GrammarError(f"not a command: {_excerpt(stream, start)}")
    if found.end() - start > COMMAND_OCTETS:
        raise Pop3GrammarError(f"a command has {found.end() - start} octets, and {COMMAND_OCTETS} are the most")
    octets, pieces = stream.data[start : found.end()], stream.span(start, found.end())
    return Command(octets, pieces, found[1].decode().upper(), found[2] or b"")


def read_line(stream: Stream, start: int) -> Said | None:
    """Return the line that begins at an octet, which a server has asked for. Raises Pop3GrammarError."""
    if start == len(stream.data):
        return None
    found = LINE.match(stream.data, start)
    if found is None:
        raise Pop3GrammarError(f"not a line: {_excerpt(stream, start)}")
    return Said(stream.data[start : found.end()], stream.span(start, found.end()))


def read_response(stream: Stream, start: int, has_lines: bool) -> Response | None:
    """Return the response that begins at an octet, None at the end of the stream. Raises Pop3GrammarError."""
    if start == len(stream.data):
        return None
    found = STATUS.match(stream.data, start)
    if found is None:
        raise Pop3GrammarError(f"not a response: {_excerpt(stream, start)}")
    if found.end() - start > STATUS_OCTETS:
        raise Pop3GrammarError(f"a response has {found.end() - start} octets, and {STATUS_OCTETS} are the most")
    end, content = found.end(), None
    if has_lines and found[1] == b"+OK":
        end, content = _lines(stream, end)
    status, message = found[1].decode(), (found[2] or b"").decode(errors="replace")
    return Response(stream.data[start:end], stream.span(start, end), status, message, content)


def _lines(stream: Stream, start: int) -> tuple[int, bytes]:
    """Where the lines end that begin at an octet, and what they mean (RFC 1939 section 3)."""
    lines: list[bytes] = []
    at = start
    while (end := stream.data.find(b"\r\n", at)) >= 0:
        line = stream.data[at : end + 2]
        at = end + 2
        if line == END:
            return at, b"".join(lines)
        lines.append(line.removeprefix(b"."))
    raise Pop3GrammarError(f"lines have no end: {_excerpt(stream, start)}")


def _excerpt(stream: Stream, start: int) -> str:
    return repr(stream.data[start : start + EXCERPT_OCTETS])[1:]
