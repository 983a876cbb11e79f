"""Shortening of long lines in messages to other servers, by folding and re-encoding (RFC 5321 section 4.5.3.1.6).

Servers may reject a line of more than 998 octets and CRLF. Long header lines are folded (RFC 5322 section 2.2.3). A
body with long lines is encoded as quoted-printable (RFC 2045 section 6.7), separately in each part of a multipart
message; a base64 body is only broken into lines (section 6.8). The decoded content is unchanged. A signature over the
encoded octets (DKIM, multipart/signed) no longer verifies; the same is true after Postfix has broken long lines
(smtp_line_length_limit). Messages without a long line are not changed.

Left out: long lines outside the parts, such as a preamble, and long lines of parts that the MIME parser does not reach;
such lines are broken, as by Postfix.
"""

import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass

from lab7.services.mail.mime.header import header_end, parse_header
from lab7.services.mail.mime.structure import Part, parse
from lab7.services.mail.mime.words import decode_transfer

CRLF = b"\r\n"
# RFC 5321 section 4.5.3.1.6: a text line has at most 998 octets without CRLF.
LINE_OCTETS = 998
# RFC 2045 section 6.8: a line of base64 has at most 76 characters.
_BASE64_LINE_OCTETS = 76
# Pattern of the last blanks between two words, so that folding there leaves no line of blanks only.
_FOLD = re.compile(rb"(?s)(.*[^ \t])([ \t]+[^ \t])")
_ENCODING = b"content-transfer-encoding"
_QUOTED_PRINTABLE = b"Content-Transfer-Encoding: quoted-printable\r\n"


@dataclass(frozen=True, slots=True)
class _Edit:
    """One replacement in a message: the octets from offset `begin` up to `end` are replaced by others."""

    begin: int
    end: int
    octets: bytes


def shorten_lines(octets: bytes) -> bytes:
    """Return a message with lines of at most 998 octets (LINE_OCTETS); the decoded parts are unchanged."""
    if not has_long_line(octets):
        return octets
    pieces: list[bytes] = []
    place = 0
    for edit in _edits(octets, parse(octets), is_message=True):
        pieces += [octets[place : edit.begin], edit.octets]
        place = edit.end
    return _broken(b"".join([*pieces, octets[place:]]), b"")


def has_long_line(octets: bytes) -> bool:
    """Return True if a line has more than 998 octets (LINE_OCTETS) without CRLF."""
    return len(octets) > LINE_OCTETS and any(len(line) > LINE_OCTETS for line in octets.split(CRLF))


def _edits(octets: bytes, part: Part, is_message: bool) -> Iterator[_Edit]:
    """Yield the edits that shorten the lines of a MIME part and its subparts, in order of offsets."""
    header = octets[part.header_begin : part.body_begin]
    body = octets[part.body_begin : part.body_end]
    if part.is_multipart or part.message is not None:
        if has_long_line(header):
            yield _Edit(part.header_begin, part.body_begin, _folded(header))
        for child in [*part.children, *([part.message] if part.message is not None else [])]:
            yield from _edits(octets, child, is_message=part.message is not None)
        return
    if has_long_line(body):
        encoding = (part.header.first(_ENCODING) or b"").strip().lower()
        if encoding == b"base64":
            body = _rewrapped(body)
        else:
            body = quoted_printable(decode_transfer(body, encoding))
            header = _declared(header, is_message)
        yield _Edit(part.header_begin, part.body_end, _folded(header) + body)
    elif has_long_line(header):
        yield _Edit(part.header_begin, part.body_begin, _folded(header))


def _rewrapped(body: bytes) -> bytes:
    """Break the lines of a base64 body after 76 characters; decoders ignore line breaks (RFC 2045 section 6.8)."""
    return b"".join(
        line[begin : begin + _BASE64_LINE_OCTETS] + CRLF
        for line in body.split(CRLF)
        for begin in range(0, len(line), _BASE64_LINE_OCTETS)
    )


def quoted_printable(content: bytes) -> bytes:
    """Encode a text with CRLF line ends as quoted-printable (RFC 2045 section 6.7)."""
    # Encode line by line, so that every CRLF stays a line end.
    return CRLF.join(binascii.b2a_qp(line, istext=True).replace(b"\n", CRLF) for line in content.split(CRLF))


def _declared(header: bytes, is_message: bool) -> bytes:
    """Return a MIME part's header with the fields for quoted-printable: Content-Transfer-Encoding, MIME-Version.

    MIME-Version is added to the header of the whole message only.
    """
    end = header_end(header, 0, len(header))[0]
    fields = parse_header(header)
    kept = fields.chosen([_ENCODING], inverted=True)
    if kept and not kept.endswith(CRLF):
        kept += CRLF
    is_mime = not is_message or fields.first(b"mime-version") is not None
    return kept + (b"" if is_mime else b"MIME-Version: 1.0\r\n") + _QUOTED_PRINTABLE + (header[end:] or CRLF)


def _folded(header: bytes) -> bytes:
    lines = []
    for line in header.split(CRLF):
        rest = line
        while len(rest) > LINE_OCTETS:
            fold = _FOLD.match(rest, 0, LINE_OCTETS)
            if fold is None:
                break
            lines.append(fold[1])
            rest = rest[fold.end(1) :]
        lines.append(rest)
    # Break a word that is longer than a line.
    return _broken(CRLF.join(lines), b" ")


def _broken(octets: bytes, mark: bytes) -> bytes:
    """Break lines that exceed LINE_OCTETS into several; each continuation begins with `mark`, such as a space."""
    if not has_long_line(octets):
        return octets
    return CRLF.join((CRLF + mark).join(_blocks(line, len(mark))) for line in octets.split(CRLF))


def _blocks(line: bytes, mark_octets: int) -> list[bytes]:
    step = LINE_OCTETS - mark_octets
    return [line[:LINE_OCTETS], *(line[begin : begin + step] for begin in range(LINE_OCTETS, len(line), step))]
