"""Mail data of SMTP: end detection, dot-stuffing, smuggling protection (RFC 5321 sections 2.3.8, 4.1.1.4, 4.5.2).

Only CRLF "." CRLF ends the data. If a server accepts <LF>.<LF>, <LF>.<CR><LF> or <CR>.<CR> as the end, or relays such a
sequence, a sender can hide a second message in the first ("SMTP smuggling"). This server does not end the data at such
a sequence: it rejects the message, and afterwards accepts only QUIT on the connection. Any other bare LF is converted
to CRLF: some programs send a Unix file unchanged. A message with a bare CR is rejected.

Section 4.5.3.1.6 requires servers to accept lines of 1,000 octets. Longer lines are accepted up to the limit of the
message size, unless `strict` is set, and shortened before they are relayed (short_lines.py).
"""

import re

from lab7.services.mail.smtp import limits
from lab7.services.mail.smtp.syntax import Reply

CRLF = b"\r\n"
END = b"\r\n.\r\n"
# Pattern of a line of one dot with a bare LF before or after it, the sequence of SMTP smuggling.
_SMUGGLED = re.compile(rb"\n\.\n|(?<!\r)\n\.\r\n")
_BARE_LF = re.compile(rb"(?<!\r)\n")
# Pattern of the start of a header field: the name and the colon (RFC 5322 section 2.2; blanks before it: section 4.5).
_FIELD_START = re.compile(rb"[!-9;-~]+[ \t]*:")
_RECEIVED = re.compile(rb"^received[ \t]*:", re.IGNORECASE | re.MULTILINE)

TOO_BIG = Reply(552, "The message exceeds the size limit", "5.3.4")
HEADER_TOO_BIG = Reply(552, "The header section exceeds the size limit", "5.3.4")
SMUGGLING = Reply(550, "The message contains a bare CR, or a line with a single dot that ends in a bare LF", "5.6.0")
NUL = Reply(550, "The message contains a NUL octet", "5.6.0")
# Replies that reject a message whose further octets may be the hidden part of SMTP smuggling.
SMUGGLING_SUSPECTED = frozenset((SMUGGLING, NUL))
LINE_TOO_LONG = Reply(500, "The message contains a line of more than 1000 octets", "5.6.0")
LOOP = Reply(554, "Too many Received fields: mail loop", "5.4.6")


class ContentReader:
    """Buffer of mail data up to the end marker (CRLF "." CRLF).

    If a message far exceeds `limit_octets`, its octets are discarded and only its end is awaited.
    """

    def __init__(self, limit_octets: int, strict: bool = False) -> None:
        """Create an empty buffer; if `strict`, messages with lines above TEXT_LINE_OCTETS are rejected."""
        self._limit_octets = limit_octets
        self._strict = strict
        # The buffer begins with the CRLF of the DATA command, since the first line may be the final dot.
        self._octets = bytearray(CRLF)
        self._searched = 0
        self._dropped = 0

    @property
    def held_octets(self) -> int:
        """The number of octets buffered."""
        return len(self._octets)

    def feed(self, data: bytes) -> bytes | None:
        """Buffer mail data; return the octets that follow the end marker, None until the end marker arrives."""
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
        """Return True if the octets exceed twice the limit, as up to half of them may be dots of dot-stuffing."""
        return octets > 2 * self._limit_octets + len(END)

    def _drop(self, count: int) -> None:
        del self._octets[:count]
        self._dropped += count
        self._searched = 0

    def finish(self) -> bytes | Reply:
        """Return the message (CRLF line ends, without dot-stuffing), or the reply that rejects it."""
        raw, self._octets = bytes(self._octets), bytearray()
        # Check the size limit again, so that it does not depend on how the octets were divided into reads.
        if self._dropped or self._exceeds_limit(len(raw) + len(CRLF)):
            return TOO_BIG
        fault = _check_data(raw, self._strict)
        if fault is not None:
            return fault
        # RFC 5321 section 4.5.2: remove the first dot of a line, regardless of the octets after it.
        octets = raw.replace(b"\r\n.", CRLF)[len(CRLF) :]
        octets = with_crlf(octets)
        if len(octets) > self._limit_octets:
            return TOO_BIG
        return check_header(octets) or octets


def _check_data(raw: bytes, strict: bool) -> Reply | None:
    if b"\0" in raw:
        return NUL
    if raw.count(b"\r") != raw.count(CRLF) or _SMUGGLED.search(raw) is not None:
        return SMUGGLING
    # RFC 5321 section 4.5.3.1.6: the limit includes the LF, which split() removed, but not a stuffed dot.
    if strict and any(len(line) >= limits.TEXT_LINE_OCTETS + line.startswith(b".") for line in raw.split(b"\n")):
        return LINE_TOO_LONG
    return None


def with_crlf(octets: bytes) -> bytes:
    """Return a message without bare CRs, with each bare LF converted to CRLF."""
    return octets if octets.count(b"\n") == octets.count(CRLF) else _BARE_LF.sub(CRLF, octets)


def header_section(octets: bytes) -> bytes:
    """Return the header section of a message, with the CRLF of its last field and without the empty line.

    It is empty if the message does not begin with a header field.
    """
    if not begins_with_field(octets):
        return b""
    end = octets.find(b"\r\n\r\n")
    return octets if end < 0 else octets[: end + len(CRLF)]


def begins_with_field(octets: bytes) -> bool:
    """Return True if a message begins with a header field."""
    return _FIELD_START.match(octets) is not None


def with_header_end(octets: bytes) -> bytes:
    """Return a message to which header fields can be prepended, with an empty line first if it has no header.

    Without this line, the text of such a message would become part of the header.
    """
    return octets if begins_with_field(octets) or octets.startswith(CRLF) else CRLF + octets


def check_header(octets: bytes) -> Reply | None:
    """Return the reply that rejects a message whose header is too large or shows a mail loop, None otherwise."""
    header = header_section(octets)
    if len(header) > limits.HEADER_OCTETS:
        return HEADER_TOO_BIG
    # RFC 5321 section 6.3: many Received fields indicate a mail loop.
    return LOOP if len(_RECEIVED.findall(header)) > limits.HOPS else None


def stuffed(octets: bytes) -> bytes:
    """Encode a message as mail data, with dot-stuffing and the end marker CRLF "." CRLF (RFC 5321 section 4.5.2)."""
    body = octets if octets.endswith(CRLF) or not octets else octets + CRLF
    if b"\r\n." in body:
        body = body.replace(b"\r\n.", b"\r\n..")
    return (b"." if body.startswith(b".") else b"") + body + b".\r\n"
