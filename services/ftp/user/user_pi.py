"""The user's protocol interpreter, user_pi (RFC 959): commands out, replies in; no sockets.

S: 211-Features:      Replies may have several lines (section 4.2): the last begins with the code of the first
S:  SIZE              and a space.
S: 211 End
"""

import re
from dataclasses import dataclass

from services.buffer import OctetBuffer
from services.errors import LimitExceededError
from services.ftp.grammar import ArgumentError, DataAddress, parse_host_port
from services.ftp.limits import LINE_OCTETS, REPLY_OCTETS
from services.ftp.replies import host_port

_PASSIVE = re.compile(r"\d{1,3}(?:,\d{1,3}){5}")
_EXTENDED = re.compile(r"\((.)\1\1(\d{1,5})\1\)")


class ReplyError(Exception):
    """The server's octets are no reply, or its reply is none that the user can go on with."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply: its code, and its lines without codes."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The reply as one line for people."""
        return f"{self.code} {self.lines[-1]}"

    @property
    def is_preliminary(self) -> bool:
        """1yz: another reply to the same command follows."""
        return 100 <= self.code < 200


class ReplyReader:
    """Makes replies of octets; raises ReplyError for what is none, or is longer than any."""

    def __init__(self) -> None:
        self._octets = OctetBuffer(REPLY_OCTETS)
        self._code: str | None = None
        self._lines: list[str] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Reply]:
        """Return the replies that these octets complete."""
        replies = []
        try:
            self._octets.feed(data)
            while (line := self._octets.take_line(LINE_OCTETS)) is not None:
                self._size += len(line)
                if self._size > REPLY_OCTETS:
                    raise ReplyError("a reply without an end")
                if (reply := self._take(line.decode("utf-8", "surrogateescape"))) is not None:
                    replies.append(reply)
        except LimitExceededError as error:
            raise ReplyError(f"a line of a reply is too long: {error}") from error
        return replies

    def _take(self, line: str) -> Reply | None:
        code, mark, text = line[:3], line[3:4], line[4:]
        if self._code is None:
            if not (code.isascii() and code.isdigit() and "100" <= code < "600") or mark not in ("", " ", "-"):
                raise ReplyError(f"no reply: {line!r}")
            self._code = code
        elif code != self._code or mark not in ("", " "):
            self._lines.append(line)
            return None
        self._lines.append(text)
        if mark == "-":
            return None
        reply = Reply(int(self._code), tuple(self._lines))
        self._code, self._lines, self._size = None, [], 0
        return reply


def command(verb: str, argument: str = "") -> bytes:
    """Return a command in octets; raises ValueError for an argument that would be two lines."""
    line = f"{verb} {argument}" if argument else verb
    if "\r" in line or "\n" in line:
        raise ValueError("a command is one line")
    # RFC 959 section 4.1: in a Telnet string the octet 255 is sent twice.
    return (line + "\r\n").encode("utf-8", "surrogateescape").replace(b"\xff", b"\xff\xff")


def passive_address(reply: Reply) -> DataAddress:
    """Return the address that a 227 tells; RFC 1123 section 4.1.2.6: it is looked for, whatever stands around it."""
    found = _PASSIVE.search(reply.lines[-1])
    if reply.code != 227 or found is None:
        raise ReplyError(f"no passive address: {reply.text}")
    try:
        return parse_host_port(found.group())
    except ArgumentError as error:
        raise ReplyError(f"no passive address: {reply.text}") from error


def extended_port(reply: Reply) -> int:
    """Return the port that a 229 tells (RFC 2428 section 3)."""
    found = _EXTENDED.search(reply.lines[-1])
    if reply.code != 229 or found is None or not 0 < int(found.group(2)) < 65536:
        raise ReplyError(f"no passive port: {reply.text}")
    return int(found.group(2))


def active_command(host: str, port: int, extended: bool) -> bytes:
    """Return PORT for an address to be connected to, or EPRT, which IPv6 needs."""
    if extended or ":" in host:
        return command("EPRT", f"|{2 if ':' in host else 1}|{host}|{port}|")
    return command("PORT", host_port(host, port))
