"""The mail data: its end, the meaning of its dots, what it must not hold (RFC 5321 sections 2.3.8, 4.1.1.4, 4.5.2).

Only CRLF "." CRLF ends it. Whoever takes anything else for an end, as <LF>.<LF>, <LF>.<CR><LF> or <CR>.<CR>, and
whoever passes such a shape on, lets a sender hide a second message in the first ("SMTP smuggling"). Here those shapes
end nothing, a message that holds one is refused, and nothing is taken on its connection any more. Other lines that end
in a bare LF, as programs leave them that send a Unix file as it is, are given the CRLF that they were meant to have, so
that nothing but CRLF is ever passed on; a bare CR is refused.
"""

import re

from services.mail.smtp import limits
from services.mail.smtp.reply import Reply

CRLF = b"\r\n"
END = b"\r\n.\r\n"
# A line of one dot, with a bare LF on either side.
_SMUGGLED = re.compile(rb"\n\.\n|(?<!\r)\n\.\r\n")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_RECEIVED = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)

TOO_BIG = Reply(552, "The message is bigger than this server takes", "5.3.4")
HEADER_TOO_BIG = Reply(552, "The header section is bigger than this server takes", "5.3.4")
SMUGGLING = Reply(550, "The message holds a bare CR, or a lone dot on a line that ends in a bare LF", "5.6.0")
NUL = Reply(550, "The message holds an octet of zero", "5.6.0")
# What follows a message with such a fault may be a part of it, to whoever takes less than CRLF for a line's end.
HIDING = frozenset((SMUGGLING, NUL))
LINE_TOO_LONG = Reply(500, "The message holds a line of more than 1000 octets", "5.6.0")
LOOP = Reply(554, "The message went through too many servers: it goes in a circle", "5.4.6")


class ContentReader:
    """Collects mail data up to its end; beyond `limit_octets` it counts on and keeps nothing."""

    def __init__(self, limit_octets: int) -> None:
        self._limit_octets = limit_octets
        # The end may be the first line of all: what comes before the data is the CRLF of DATA.
        self._octets = bytearray(CRLF)
        self._searched = 0
        self._dropped = 0

    @property
    def held_octets(self) -> int:
        """How much it has in memory."""
        return len(self._octets)

    def feed(self, data: bytes) -> bytes | None:
        """Take octets; returns those behind the end once it came, None before."""
        self._octets += data
        found = self._octets.find(END, self._searched)
        if found < 0:
            self._searched = max(0, len(self._octets) - len(END) + 1)
            if self._dropped or self._is_over(len(self._octets)):
                self._drop(self._searched)
            return None
        rest = bytes(self._octets[found + len(END) :])
        del self._octets[found + len(CRLF) :]
        return rest

    def _is_over(self, octets: int) -> bool:
        """Twice over: a dot at the front of every line is stuffing, and counts for nothing."""
        return octets > 2 * self._limit_octets + len(END)

    def _drop(self, count: int) -> None:
        del self._octets[:count]
        self._dropped += count
        self._searched = 0

    def finish(self) -> bytes | Reply:
        """Return the message, its lines ended by CRLF and nothing stuffed, or the reply that its faults earn."""
        raw, self._octets = bytes(self._octets), bytearray()
        # However it came, in one read or in many, the same is too much.
        if self._dropped or self._is_over(len(raw) + len(CRLF)):
            return TOO_BIG
        fault = _fault(raw)
        if fault is not None:
            return fault
        # RFC 5321 section 4.5.2: the first dot of a line is taken away, whatever follows it.
        octets = raw.replace(b"\r\n.", CRLF)[len(CRLF) :]
        if octets.count(b"\n") != octets.count(CRLF):
            octets = _BARE_LF.sub(CRLF, octets)
        if len(octets) > self._limit_octets:
            return TOO_BIG
        return header_fault(octets) or octets


def _fault(raw: bytes) -> Reply | None:
    if b"\0" in raw:
        return NUL
    if raw.count(b"\r") != raw.count(CRLF) or _SMUGGLED.search(raw) is not None:
        return SMUGGLING
    # Lines without their LF: one octet less. The dot that stuffs a line does not count (section 4.5.3.1.6).
    if len(raw) > limits.TEXT_LINE_OCTETS and any(
        len(line) >= limits.TEXT_LINE_OCTETS + line.startswith(b".") for line in raw.split(b"\n")
    ):
        return LINE_TOO_LONG
    return None


def header_section(octets: bytes) -> bytes:
    """Return the header section of a message, with the CRLF of its last field and without the empty line."""
    if octets.startswith(CRLF):
        return b""
    end = octets.find(b"\r\n\r\n")
    return octets if end < 0 else octets[: end + len(CRLF)]


def header_fault(octets: bytes) -> Reply | None:
    """Return the reply that a message earns for its header section, None where nothing is wrong."""
    header = header_section(octets)
    if len(header) > limits.HEADER_OCTETS:
        return HEADER_TOO_BIG
    # RFC 5321 section 6.3
    return LOOP if len(_RECEIVED.findall(header)) > limits.HOPS else None


def stuffed(octets: bytes) -> bytes:
    """Return a message as mail data: dots doubled, its last line ended, and the end behind it (section 4.5.2)."""
    body = octets if octets.endswith(CRLF) or not octets else octets + CRLF
    if b"\r\n." in body:
        body = body.replace(b"\r\n.", b"\r\n..")
    return (b"." if body.startswith(b".") else b"") + body + b".\r\n"
