"""The user protocol interpreter, user-PI (RFC 959): encoder of commands and parser of replies; no sockets.

    S: 211-Features:
    S:  SIZE
    S: 211 End

A reply may have several lines (section 4.2): the last line begins with the code of the first line and a space.
"""

import re
from dataclasses import dataclass

from lab7.services.buffer import OctetBuffer
from lab7.services.errors import LimitExceededError
from lab7.services.ftp.grammar import ArgumentError, DataAddress, parse_host_port
from lab7.services.ftp.limits import LINE_OCTETS, REPLY_OCTETS
from lab7.services.ftp.replies import host_port

_PASSIVE = re.compile(r"\d{1,3}(?:,\d{1,3}){5}")
_EXTENDED = re.compile(r"\((.)\1\1(\d{1,5})\1\)")


class ReplyError(Exception):
    """Error for a malformed or unexpected reply of the server."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Reply of the server: its code, and its lines without the code."""

    code: int
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The code and the last line of the reply, for error messages."""
        return f"{self.code} {self.lines[-1]}"

    @property
    def is_preliminary(self) -> bool:
        """True for 1yz: another reply to the same command follows."""
        return 100 <= self.code < 200


class ReplyReader:
    """Incremental parser of the server's replies; raises ReplyError for a malformed or too long reply."""

    def __init__(self) -> None:
        self._octets = OctetBuffer(REPLY_OCTETS)
        self._code: str | None = None
        self._lines: list[str] = []
        self._size = 0

    def feed(self, data: bytes) -> list[Reply]:
        """Parse octets and return the replies that are complete."""
        replies = []
        try:
            self._octets.feed(data)
            while (line := self._octets.take_line(LINE_OCTETS)) is not None:
                self._size += len(line)
                if self._size > REPLY_OCTETS:
                    raise ReplyError("the reply is too long")
                if (reply := self._take(line.decode("utf-8", "surrogateescape"))) is not None:
                    replies.append(reply)
        except LimitExceededError as error:
            raise ReplyError(f"a line of the reply is too long: {error}") from error
        if self._octets.has_lf:
            raise ReplyError("a line of the reply ends in LF without CR")
        return replies

    def _take(self, line: str) -> Reply | None:
        code, separator, text = line[:3], line[3:4], line[4:]
        if self._code is None:
            if not (code.isascii() and code.isdigit() and "100" <= code < "600") or separator not in ("", " ", "-"):
                raise ReplyError(f"malformed reply: {line!r}")
            self._code = code
        elif code != self._code or separator not in ("", " "):
            self._lines.append(line)
            return None
        self._lines.append(text)
        if separator == "-":
            return None
        reply = Reply(int(self._code), tuple(self._lines))
        self._code, self._lines, self._size = None, [], 0
        return reply


def command(verb: str, argument: str = "") -> bytes:
    """Return the octets of a command line; raises ValueError for an argument that contains a line break."""
    line = f"{verb} {argument}" if argument else verb
    if "\r" in line or "\n" in line:
        raise ValueError("a command must be a single line")
    # RFC 959 section 4.1: in a Telnet string the octet 255 is sent twice.
    return (line + "\r\n").encode("utf-8", "surrogateescape").replace(b"\xff", b"\xff\xff")


def passive_address(reply: Reply) -> DataAddress:
    """Parse the address in reply 227 (PASV), whatever text surrounds it (RFC 1123 section 4.1.2.6)."""
    match = _PASSIVE.search(reply.lines[-1])
    if reply.code != 227 or match is None:
        raise ReplyError(f"no address in the reply to PASV: {reply.text}")
    try:
        return parse_host_port(match.group())
    except ArgumentError as error:
        raise ReplyError(f"no address in the reply to PASV: {reply.text}") from error


def extended_port(reply: Reply) -> int:
    """Parse the port in reply 229 (EPSV) (RFC 2428 section 3)."""
    match = _EXTENDED.search(reply.lines[-1])
    if reply.code != 229 or match is None or not 0 < int(match.group(2)) < 65536:
        raise ReplyError(f"no port in the reply to EPSV: {reply.text}")
    return int(match.group(2))


def active_command(host: str, port: int, extended: bool) -> bytes:
    """Return the encoded command for active mode: EPRT if `extended` is set or the address is IPv6, else PORT."""
    if extended or ":" in host:
        return command("EPRT", f"|{2 if ':' in host else 1}|{host}|{port}|")
    return command("PORT", host_port(host, port))
