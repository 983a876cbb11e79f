"""Parser of FTP control connections: commands and replies by the grammar of RFC 959, with their frame numbers.

The grammar is that of RFC 959 sections 4.2 and 5.3. A command is a verb of three or four letters, an optional argument
after a space, and CRLF. A one-line reply is a code of three digits, a space, text and CRLF. A multi-line reply begins
with the code and a hyphen, and ends with a line that begins with the same code and a space:

    C: USER ann<CRLF>
    S: 331 Please give the password.<CRLF>
    S: 211-Features:<CRLF> MDTM<CRLF>211 End.<CRLF>

Telnet commands before an FTP command, such as ABOR, are skipped, since the control connection follows the Telnet
protocol (section 4.1.3). Octets above 127 are accepted, for names in UTF-8 (RFC 2640). A bare CR or LF is an error. TLS
records after AUTH (RFC 4217) are errors as well, which `sessions` ignores.

The parser shares no code with lab7's FTP services, which it is used to judge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lab7.experiments.harness.judge.dialogue import Line, Request
from lab7.experiments.harness.judge.reassembly import Stream

# TELNET matches Telnet commands (RFC 854): IAC, then octet 240 to 249, or octet 251 to 254 and an option.
TELNET = rb"(?:\xff(?:[\xf0-\xf9]|[\xfb-\xfe].))*"
# TEXT matches <string> of RFC 959 section 5.3.1: any characters but CR and LF.
TEXT = rb"[^\r\n]*"
COMMAND = re.compile(TELNET + rb"([A-Za-z]{3,4})(?: (" + TEXT + rb"))?\r\n", re.DOTALL)
# REPLY matches a one-line reply; its first digit is 1 to 5, its second 0 to 5 (RFC 959 section 4.2.1).
REPLY = re.compile(rb"([1-5][0-5][0-9])(?: (" + TEXT + rb"))\r\n")
FIRST_OF_MANY = re.compile(rb"([1-5][0-5][0-9])-(" + TEXT + rb")\r\n")
TEXT_LINE = re.compile(rb"(" + TEXT + rb")\r\n")
EXCERPT_OCTETS = 40


class FtpGrammarError(ValueError):
    """Exception raised for octets that violate the grammar of the control connection; the message quotes the octets."""


@dataclass(frozen=True)
class Command(Request):
    """Captured FTP command: verb in capitals, and argument (empty if absent)."""

    argument: bytes


@dataclass(frozen=True)
class Reply(Line):
    """Captured FTP reply: three-digit code, and the text of all lines, joined by LF."""

    code: int
    message: bytes

    @property
    def preliminary(self) -> bool:
        """Return True for a preliminary reply (1yz): another reply to the command follows (RFC 959 section 4.2.1)."""
        return self.code < 200


def read_commands(stream: Stream) -> Iterator[Command]:
    """Yield the FTP commands in a client's stream. Raises FtpGrammarError at the first violation of the grammar."""
    start = 0
    while b"\r\n" in (rest := stream.data[start:]):
        found = COMMAND.match(rest)
        if found is None:
            raise FtpGrammarError(f"not a command: {_excerpt(rest)}")
        end = start + found.end()
        # Start the command after any Telnet commands, so that ABOR is attributed to the frame of the line with ABOR.
        first = start + found.start(1)
        yield Command(stream.data[first:end], stream.span(first, end), found[1].decode().upper(), found[2] or b"")
        start = end
    _nothing_left(stream.data[start:], "a command")


def read_replies(stream: Stream) -> Iterator[Reply]:
    """Yield the FTP replies in a server's stream. Raises FtpGrammarError at the first violation of the grammar."""
    start = 0
    while b"\r\n" in (rest := stream.data[start:]):
        code, message, length = _reply(rest)
        yield Reply(rest[:length], stream.span(start, start + length), code, message)
        start += length
    _nothing_left(stream.data[start:], "a reply")


def _reply(data: bytes) -> tuple[int, bytes, int]:
    """Parse the FTP reply at the start of `data`; return (code, text, length in octets)."""
    if (single := REPLY.match(data)) is not None:
        return int(single[1]), single[2], single.end()
    first = FIRST_OF_MANY.match(data)
    if first is None:
        raise FtpGrammarError(f"not a reply: {_excerpt(data)}")
    lines, at = [first[2]], first.end()
    while (line := TEXT_LINE.match(data, at)) is not None:
        at = line.end()
        if line[1][:4] == first[1] + b" ":
            return int(first[1]), b"\n".join([*lines, line[1][4:]]), at
        lines.append(line[1])
    raise FtpGrammarError(f"a multi-line reply has no last line: {_excerpt(data)}")


def _nothing_left(data: bytes, what: str) -> None:
    if data.strip(b"\xff\xf0\xf1\xf2\xf4"):
        raise FtpGrammarError(f"{what} is incomplete: {_excerpt(data)}")


def _excerpt(data: bytes) -> str:
    return repr(data[:EXCERPT_OCTETS])[1:]
