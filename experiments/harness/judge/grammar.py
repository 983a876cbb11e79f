"""The grammar of an HTTP/1 message head, as regular expressions over octets.

Written from the ABNF of RFC 9112 (sections 2.1, 3, 4, 5), RFC 9110 (5.5, 5.6.2) and RFC 3986 (appendix A),
for the judge alone: services have a parser of their own, and one must not vouch for the other. Strict on
purpose: a bare LF, a folded line or a space before the colon is an error here, although a lenient recipient
may take it. Left out: the inner grammar of an absolute URI beyond its characters.
"""

from __future__ import annotations

import re

# RFC 9110 section 5.6.2
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# RFC 3986 appendix A: pchar = unreserved / pct-encoded / sub-delims / ":" / "@"
PCHAR = rb"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})"
QUERY = rb"(?:\?(?:" + PCHAR + rb"|[/?])*)?"
# RFC 9112 section 3.2
ORIGIN_FORM = rb"(?:/" + PCHAR + rb"*)+" + QUERY
ABSOLUTE_FORM = rb"[A-Za-z][A-Za-z0-9+.\-]*:(?:" + PCHAR + rb"|[/?\[\]])+"
AUTHORITY_FORM = rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9\-._~%!$&'()*+,;=]+):[0-9]+"
REQUEST_TARGET = rb"(?:" + ORIGIN_FORM + rb"|" + ABSOLUTE_FORM + rb"|" + AUTHORITY_FORM + rb"|\*)"
# RFC 9112 section 2.3
VERSION = rb"HTTP/[0-9]\.[0-9]"
# RFC 9110 section 5.5: HTAB, SP, VCHAR and obs-text; the same octets as in a reason-phrase
TEXT = rb"[\t \x21-\x7e\x80-\xff]*"

REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") (" + REQUEST_TARGET + rb") (" + VERSION + rb")\r\n")
STATUS_LINE = re.compile(rb"(" + VERSION + rb") ([0-9]{3}) (" + TEXT + rb")\r\n")
FIELD_LINE = re.compile(rb"(" + TOKEN + rb"):[\t ]*(" + TEXT + rb")\r\n")
# RFC 9112 section 7.1: chunk-size [ chunk-ext ] CRLF
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)(?:[\t ]*;" + TEXT + rb")?\r\n")
END_OF_HEAD = b"\r\n\r\n"


class GrammarError(ValueError):
    """These octets are not what the grammar allows; the message says which rule and shows them."""


def start_line(pattern: re.Pattern[bytes], data: bytes, start: int) -> re.Match[bytes]:
    """Match a request line or status line at `start`. Raises GrammarError."""
    found = pattern.match(data, start)
    if found is None:
        name = "request line" if pattern is REQUEST_LINE else "status line"
        raise GrammarError(f"not a {name}: {_excerpt(data, start)}")
    return found


def field_lines(data: bytes, start: int, end: int) -> list[tuple[bytes, bytes]]:
    """Return (name in lower case, value) of the field lines in [start, end). Raises GrammarError."""
    fields: list[tuple[bytes, bytes]] = []
    while start < end:
        found = FIELD_LINE.match(data, start, end)
        if found is None:
            raise GrammarError(f"not a field line: {_excerpt(data, start)}")
        fields.append((found[1].lower(), found[2].rstrip(b" \t")))
        start = found.end()
    return fields


def chunked_body(data: bytes, start: int) -> tuple[bytes, int]:
    """Return the decoded body of a chunked message and the offset behind it (RFC 9112 section 7.1).

    Raises GrammarError if it breaks the grammar, EOFError if the data end before it does.
    """
    body = b""
    while True:
        if data.find(b"\r\n", start) < 0:
            raise EOFError
        line = CHUNK_LINE.match(data, start)
        if line is None:
            raise GrammarError(f"not a chunk-size line: {_excerpt(data, start)}")
        size, start = int(line[1], 16), line.end()
        if size == 0:
            return body, _end_of_trailers(data, start)
        if len(data) < start + size + 2:
            raise EOFError
        if data[start + size : start + size + 2] != b"\r\n":
            raise GrammarError(f"no CRLF behind a chunk: {_excerpt(data, start + size)}")
        body += data[start : start + size]
        start += size + 2


def _end_of_trailers(data: bytes, start: int) -> int:
    if data[start : start + 2] == b"\r\n":
        return start + 2
    end = data.find(END_OF_HEAD, start)
    if end < 0:
        raise EOFError
    field_lines(data, start, end + 2)
    return end + len(END_OF_HEAD)


def _excerpt(data: bytes, start: int) -> str:
    return repr(data[start : start + 40])[1:]
