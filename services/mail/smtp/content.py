"""Mail data: end detection, dot-stuffing, rejection of SMTP smuggling (RFC 5321 sections 2.3.8, 4.1.1.4, 4.5.2).

Only CRLF "." CRLF ends the data. A server that accepts <LF>.<LF>, <LF>.<CR><LF> or <CR>.<CR> as the end, or relays such
a sequence, lets a sender hide a second message in the first ("SMTP smuggling"). Here these sequences end nothing; a
message that contains one is rejected, and its connection accepts nothing but QUIT afterwards. Other lines that end in a
bare LF, as programs send that pass a Unix file unchanged, are converted to CRLF, so that only CRLF is ever relayed; a
bare CR is rejected.

The 1,000 octets of section 4.5.3.1.6 are what a server has to accept at least: longer lines are accepted up to the
message's size, unless `strict`, and shortened before they are relayed (short_lines.py).
"""

import re

from services.mail.smtp import limits
from services.mail.smtp.syntax import Reply

CRLF = b"\r\n"
END = b"\r\n.\r\n"
# A line of one dot, with a bare LF on either side.
_SMUGGLED = re.compile(rb"\n\.\n|(?<!\r)\n\.\r\n")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_RECEIVED = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)

TOO_BIG = Reply(552, "The message exceeds the size limit", "5.3.4")
HEADER_TOO_BIG = Reply(552, "The header section exceeds the size limit", "5.3.4")
SMUGGLING = Reply(550, "The message contains a bare CR, or a lone dot on a line that ends in a bare LF", "5.6.0")
NUL = Reply(550, "The message contains a NUL octet", "5.6.0")
# The octets after such a message may be its hidden part, for a server that accepts other line ends than CRLF.
SMUGGLING_SUSPECTED = frozenset((SMUGGLING, NUL))
LINE_TOO_LONG = Reply(500, "The message contains a line of more than 1000 octets", "5.6.0")
LOOP = Reply(554, "Too many Received fields: mail loop", "5.4.6")


class ContentReader:
    """Buffer for mail data up to its end; beyond `limit_octets` it discards data and counts on."""

    def __init__(self, limit_octets: int, strict: bool = False) -> None:
        """With `strict`, a message with a line beyond TEXT_LINE_OCTETS is rejected."""
        self._limit_octets = limit_octets
        self._strict = strict
        # The end may be the first line: the CRLF before it is the one of the DATA command.
        self._octets = bytearray(CRLF)
        self._searched = 0
        self._dropped = 0

    @property
    def held_octets(self) -> int:
        """Octets buffered."""
        return len(self._octets)

    def feed(self, data: bytes) -> bytes | None:
        """Buffer octets; returns those after the end of the data, or None until the end is reached."""
        self._octets += data
        end = self._octets.find(END, self._searched)
        if end < 0:
            self._searched = max(0, len(self._octets) - len(END) + 1)
            if self._dropped or self._exceeds_limit(len(self._octets)):
                self._drop(self._searched)
            return None
        rest = bytes(self._octets[end + len(END) :])
        del self._octets[end + len(CRLF) :]
        return rest

    def _exceeds_limit(self, octets: int) -> bool:
        """Return True beyond twice the limit: a dot before every line may be stuffing, which does not count."""
        return octets > 2 * self._limit_octets + len(END)

    def _drop(self, count: int) -> None:
        del self._octets[:count]
        self._dropped += count
        self._searched = 0

    def finish(self) -> bytes | Reply:
        """Return the decoded message (CRLF line ends, dots unstuffed), or the reply that rejects it."""
        raw, self._octets = bytes(self._octets), bytearray()
        # Same limit, independent of the number of reads.
        if self._dropped or self._exceeds_limit(len(raw) + len(CRLF)):
            return TOO_BIG
        fault = _check_data(raw, self._strict)
        if fault is not None:
            return fault
        # RFC 5321 section 4.5.2: remove the first dot of a line, regardless of the octets after it.
        octets = raw.replace(b"\r\n.", CRLF)[len(CRLF) :]
        if octets.count(b"\n") != octets.count(CRLF):
            octets = _BARE_LF.sub(CRLF, octets)
        if len(octets) > self._limit_octets:
            return TOO_BIG
        return check_header(octets) or octets


def _check_data(raw: bytes, strict: bool) -> Reply | None:
    if b"\0" in raw:
        return NUL
    if raw.count(b"\r") != raw.count(CRLF) or _SMUGGLED.search(raw) is not None:
        return SMUGGLING
    # `line` lacks its LF: one octet less. A stuffed dot does not count (section 4.5.3.1.6).
    if strict and any(len(line) >= limits.TEXT_LINE_OCTETS + line.startswith(b".") for line in raw.split(b"\n")):
        return LINE_TOO_LONG
    return None


def header_section(octets: bytes) -> bytes:
    """Return the header section of a message, with the CRLF of its last field and without the empty line."""
    if octets.startswith(CRLF):
        return b""
    end = octets.find(b"\r\n\r\n")
    return octets if end < 0 else octets[: end + len(CRLF)]


def check_header(octets: bytes) -> Reply | None:
    """Return the reply that rejects a message for its header section, or None."""
    header = header_section(octets)
    if len(header) > limits.HEADER_OCTETS:
        return HEADER_TOO_BIG
    # RFC 5321 section 6.3
    return LOOP if len(_RECEIVED.findall(header)) > limits.HOPS else None


def stuffed(octets: bytes) -> bytes:
    """Encode a message as mail data: dots doubled, last line terminated, end marker appended (section 4.5.2)."""
    body = octets if octets.endswith(CRLF) or not octets else octets + CRLF
    if b"\r\n." in body:
        body = body.replace(b"\r\n.", b"\r\n..")
    return (b"." if body.startswith(b".") else b"") + body + b".\r\n"
