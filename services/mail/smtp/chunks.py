"""Mail data in chunks: the octets of BDAT commands, counted and without dot-stuffing (RFC 3030 section 2).

    C: BDAT 1000
    C: ... 1000 octets                        S: 250 2.0.0 1000 octets received
    C: BDAT 24 LAST
    C: ... 24 octets                          S: 250 2.0.0 Queued as ...

A chunk whose command is refused is read nevertheless: its octets must not be taken for commands. Since the octets are
counted, no sequence in them ends the message, as in SMTP smuggling. Without BINARYMIME, the message is text with CRLF
line ends, as after DATA: bare LFs are converted, and a bare CR or NUL rejects it.
"""

import re
from dataclasses import dataclass

from lab7.services.mail.smtp import limits
from lab7.services.mail.smtp.content import LINE_TOO_LONG, NUL, TOO_BIG, check_header, with_crlf
from lab7.services.mail.smtp.syntax import CRLF, Reply

SYNTAX = Reply(501, "Syntax: BDAT octets [LAST]", "5.5.4")
BARE_CR = Reply(550, "The message contains a bare CR", "5.6.0")
_ARGUMENT = re.compile(rb"([0-9]{1,20})(?: +(LAST))?\Z", re.IGNORECASE)


@dataclass(slots=True)
class Chunk:
    """A chunk that is being received: its size, the octets still missing, and the reply if its command is refused."""

    size_octets: int
    is_last: bool
    refusal: Reply | None = None
    missing_octets: int = 0

    def __post_init__(self) -> None:
        self.missing_octets = self.size_octets


def parse_chunk(argument: bytes) -> Chunk | None:
    """Parse the argument of BDAT; return the chunk that follows the command, None for invalid syntax."""
    match = _ARGUMENT.match(argument)
    return None if match is None else Chunk(int(match[1]), match[2] is not None)


class ChunkedContent:
    """A message received in chunks, of at most `limit_octets`; the octets of a larger one are discarded."""

    def __init__(self, limit_octets: int, strict: bool = False) -> None:
        self._limit_octets = limit_octets
        self._strict = strict
        self._octets = bytearray()
        self.is_too_big = False

    @property
    def held_octets(self) -> int:
        """The number of octets buffered."""
        return len(self._octets)

    def feed(self, octets: bytes) -> None:
        """Append octets of a chunk."""
        self.is_too_big = self.is_too_big or len(self._octets) + len(octets) > self._limit_octets
        if self.is_too_big:
            self._octets.clear()
        else:
            self._octets += octets

    def finish(self) -> bytes | Reply:
        """Return the message with CRLF line ends after the last chunk, or the reply that rejects it."""
        octets, self._octets = bytes(self._octets), bytearray()
        if b"\0" in octets:
            return NUL
        if octets.count(b"\r") != octets.count(CRLF):
            return BARE_CR
        octets = with_crlf(octets)
        if self.is_too_big or len(octets) > self._limit_octets:
            return TOO_BIG
        # RFC 5321 section 4.5.3.1.6: the limit includes the LF, which split() removed.
        if self._strict and any(len(line) >= limits.TEXT_LINE_OCTETS for line in octets.split(b"\n")):
            return LINE_TOO_LONG
        return check_header(octets) or octets
