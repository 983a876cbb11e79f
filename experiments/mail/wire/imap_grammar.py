"""Parser of captured IMAP streams: commands and responses with literals, and the frames that carried them.

Written from RFC 3501 (sections 2.2, 4, 7 and 9), independent of lab7.services.mail.imap. A line ends in CRLF, and may
have literals: {N}, CRLF, and N octets of any kind, after which the line continues (section 4.3; {N+} from a client, RFC
7888):

    C: a2 FETCH 1 (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])<CRLF>
    S: * 1 FETCH (FLAGS () BODY[HEADER.FIELDS (SUBJECT)] {16}<CRLF>Subject: x<CRLF><CRLF>)<CRLF>a2 OK done<CRLF>

A response is a continuation request (+), untagged (*) or has the tag of the command that it completes. Values are atoms
(str), strings, quoted or literal (bytes), and lists of them. Left out: data after STARTTLS.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lab7.experiments.harness.judge.dialogue import Line, Request
from lab7.experiments.harness.judge.reassembly import Stream

EXCERPT_OCTETS = 60
# RFC 3501 section 9: tag = 1*<any ASTRING-CHAR except "+">.
TAG = rb"[^\x00-\x20\x7f-\xff(){%*\"\\+]+"
COMMAND = re.compile(rb"(" + TAG + rb") (UID )?([A-Za-z][A-Za-z0-9-]*)(?: (.*))?\Z", re.DOTALL)
RESPONSE = re.compile(rb"(\+|\*|" + TAG + rb")(?: (.*))?\Z", re.DOTALL)
STATUS = re.compile(rb"(OK|NO|BAD|PREAUTH|BYE)(?: (.*))?\Z", re.DOTALL | re.IGNORECASE)
NUMBERED = re.compile(rb"(\d+) ([A-Za-z]+)(?: (.*))?\Z", re.DOTALL)
NAMED = re.compile(rb"([A-Za-z0-9-]+)(?: (.*))?\Z", re.DOTALL)
LITERAL_END = re.compile(rb"\{(\d+)\+?\}\Z")
LITERAL = re.compile(rb"\{(\d+)\+?\}\r\n")
QUOTED = re.compile(rb'"((?:[^"\\\r\n]|\\["\\])*)"')
# An atom may end in a section in brackets, which may contain spaces and parentheses, and an origin octet.
ATOM = re.compile(rb"[^\x00-\x20\x7f()\[\]\"{]+(?:\[[^\]\r\n]*\](?:<\d+>)?)?|\[[^\]\r\n]*\]")
UNTAGGED, CONTINUE = "*", "+"
Value = str | bytes | list["Value"]


class ImapGrammarError(ValueError):
    """Octets that violate the IMAP grammar; the message names the rule and quotes an excerpt."""


@dataclass(frozen=True)
class Command(Request):
    """IMAP command: tag, name in capitals, arguments as octets, and `by_uid` (True if prefixed by UID)."""

    tag: str
    by_uid: bool
    argument: bytes


@dataclass(frozen=True)
class Response(Line):
    """IMAP response: tag (*, + or a command's), status or name with optional number, and the rest of the line.

    status: OK, NO, BAD, PREAUTH or BYE, empty for data; name: type of data, such as EXISTS; number: as in 3 EXISTS.
    """

    tag: str
    status: str
    name: str
    number: int | None
    rest: bytes

    @property
    def values(self) -> list[Value]:
        """Return the values in the rest of the response. Raises ImapGrammarError."""
        return read_values(self.rest)


def read_line(stream: Stream, start: int) -> bytes | None:
    """Return the octets of the line at an offset, literals included; None at the end of the stream.

    Raises ImapGrammarError.
    """
    at = start
    while at < len(stream.data):
        end = stream.data.find(b"\r\n", at)
        if end < 0:
            raise ImapGrammarError(f"a line is incomplete: {_excerpt(stream.data[start:])}")
        literal = LITERAL_END.search(stream.data, at, end)
        if literal is None:
            return stream.data[start : end + 2]
        at = end + 2 + int(literal[1])
        if at >= len(stream.data):
            raise ImapGrammarError(f"a literal of {int(literal[1])} octets is incomplete")
    return None


def read_command(stream: Stream, start: int) -> Command | None:
    """Return the command at an offset of a client's stream; None at the end. Raises ImapGrammarError."""
    octets = read_line(stream, start)
    if octets is None:
        return None
    found = COMMAND.match(octets[:-2])
    if found is None:
        raise ImapGrammarError(f"not a command: {_excerpt(octets)}")
    pieces = stream.span(start, start + len(octets))
    return Command(octets, pieces, found[3].decode().upper(), found[1].decode(), bool(found[2]), found[4] or b"")


def read_responses(stream: Stream) -> Iterator[Response]:
    """Yield the responses in a server's stream. Raises ImapGrammarError."""
    at = 0
    while (octets := read_line(stream, at)) is not None:
        yield _response(octets, stream, at)
        at += len(octets)


def _response(octets: bytes, stream: Stream, start: int) -> Response:
    pieces = stream.span(start, start + len(octets))
    said = RESPONSE.match(octets[:-2])
    if said is None:
        raise ImapGrammarError(f"not a response: {_excerpt(octets)}")
    tag, rest = said[1].decode(), said[2] or b""
    if tag == CONTINUE:
        return Response(octets, pieces, tag, "", "", None, rest)
    if (status := STATUS.match(rest)) is not None:
        return Response(octets, pieces, tag, status[1].decode().upper(), "", None, status[2] or b"")
    if tag == UNTAGGED and (numbered := NUMBERED.match(rest)) is not None:
        name = numbered[2].decode().upper()
        return Response(octets, pieces, tag, "", name, int(numbered[1]), numbered[3] or b"")
    if tag == UNTAGGED and (named := NAMED.match(rest)) is not None:
        return Response(octets, pieces, tag, "", named[1].decode().upper(), None, named[2] or b"")
    raise ImapGrammarError(f"not a response: {_excerpt(octets)}")


def read_values(data: bytes) -> list[Value]:
    """Parse IMAP values separated by single spaces. Raises ImapGrammarError."""
    values, at = _values(data, 0)
    if at < len(data):
        raise ImapGrammarError(f"not a value: {_excerpt(data[at:])}")
    return values


def _values(data: bytes, at: int) -> tuple[list[Value], int]:
    """Parse values up to a closing parenthesis or the end; return (values, offset of the end)."""
    open_lists: list[list[Value]] = [[]]
    while at < len(data):
        if data[at : at + 1] == b" ":
            at += 1
        elif data[at : at + 1] == b"(":
            open_lists.append([])
            at += 1
        elif data[at : at + 1] == b")":
            if len(open_lists) == 1:
                return open_lists[0], at
            closed: Value = open_lists.pop()
            open_lists[-1].append(closed)
            at += 1
        else:
            value, at = _value(data, at)
            open_lists[-1].append(value)
    if len(open_lists) > 1:
        raise ImapGrammarError(f"a list is incomplete: {_excerpt(data)}")
    return open_lists[0], at


def _value(data: bytes, at: int) -> tuple[Value, int]:
    """Parse one atom or string; return (value, offset of the end)."""
    if (literal := LITERAL.match(data, at)) is not None:
        end = literal.end() + int(literal[1])
        if end > len(data):
            raise ImapGrammarError(f"a literal of {int(literal[1])} octets is incomplete")
        return data[literal.end() : end], end
    if (quoted := QUOTED.match(data, at)) is not None:
        return re.sub(rb"\\(.)", rb"\1", quoted[1]), quoted.end()
    if (atom := ATOM.match(data, at)) is not None:
        return atom[0].decode(errors="replace"), atom.end()
    raise ImapGrammarError(f"not a value: {_excerpt(data[at:])}")


def _excerpt(data: bytes) -> str:
    return repr(data[:EXCERPT_OCTETS])[1:]
