"""Checks of captured MIME messages against RFC 2045 and RFC 2046: boundaries, closing boundary lines, encodings.

Each message is checked once, in its first transmission. Left out: the contents of parts, and message/rfc822.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from lab7.experiments.analysis.rules.contents import Content, ContentLine, contents
from lab7.experiments.analysis.rules.rule import Checked, Rule, Violation, as_text
from lab7.experiments.harness.judge.frames import CaptureFile

BOUNDARY = Rule(
    "mime-boundary",
    "mime",
    "A multipart entity has lines of two hyphens and the value of its boundary parameter before its parts.",
    "RFC 2046 section 5.1.1",
)
CLOSING = Rule(
    "mime-closing",
    "mime",
    "A line of the boundary and two more hyphens ends a multipart entity.",
    "RFC 2046 section 5.1.1",
)
ENCODING = Rule(
    "mime-multipart-encoding",
    "mime",
    "A multipart entity has no other Content-Transfer-Encoding than 7bit, 8bit or binary.",
    "RFC 2045 section 6.4",
)
BASE64 = Rule(
    "mime-base64",
    "mime",
    "A line of base64 has at most 76 characters, all of them of its alphabet.",
    "RFC 2045 section 6.8",
)
VERSION = Rule(
    "mime-version", "mime", "A message with a MIME field has MIME-Version: 1.0.", "RFC 2045 section 4", "should"
)
RULES = (BOUNDARY, CLOSING, ENCODING, BASE64, VERSION)

_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:[ \t]*(.*)\Z", re.DOTALL)
_PARAMETER = re.compile(rb';[ \t]*boundary[ \t]*=[ \t]*(?:"([^"]*)"|([^ \t;"()]+))', re.IGNORECASE)
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{0,76}={0,2}\Z")
BASE64_LINE_MAX = 76
# Maximum nesting depth of multipart entities; deeper entities are not checked.
DEPTH_MAX = 8
Lines = Sequence[ContentLine]


def check(captured: CaptureFile, interface: str) -> Checked:
    """Check the MIME structure of all mail messages of a capture.

    The capture's first interface has the result for the whole capture; at any other interface the result is empty.
    """
    if interface != next(iter(captured.counts)):
        return Checked(0, ())
    first: dict[bytes, Content] = {}
    for one in contents(captured):
        first.setdefault(one.id, one)
    found = [violation for one in first.values() for violation in _message(one)]
    return Checked(len(first), tuple(found))


def _message(one: Content) -> Iterator[Violation]:
    fields = _fields(one.lines[: one.head_length])
    if b"content-type" in fields and b"mime-version" not in fields:
        line = fields[b"content-type"][1]
        yield one.violation(VERSION, line, "Content-Type without MIME-Version", "MIME-Version: 1.0\\r\\n")
    yield from _entity(one, one.lines, DEPTH_MAX)


def _fields(head: Lines) -> dict[bytes, tuple[bytes, ContentLine]]:
    """Return the first field of each name in a header section, as (unfolded value, first line of the field)."""
    found: dict[bytes, tuple[bytes, ContentLine]] = {}
    at = 0
    while at < len(head):
        line, text = head[at], head[at].text
        at += 1
        while at < len(head) and head[at].text[:1] in (b" ", b"\t"):
            text += head[at].text
            at += 1
        if parts := _FIELD.match(text):
            found.setdefault(parts[1].lower(), (parts[2].strip(), line))
    return found


def _entity(one: Content, lines: Lines, depth: int) -> Iterator[Violation]:
    """Yield the violations in a MIME entity: header section, empty line, body."""
    head = next((at for at, line in enumerate(lines) if not line.text), len(lines))
    fields, body = _fields(lines[:head]), lines[head + 1 :]
    kind, line = fields.get(b"content-type", (b"text/plain", lines[0] if lines else None))
    encoding, encoding_line = fields.get(b"content-transfer-encoding", (b"7bit", line))
    if kind.lower().startswith(b"multipart/") and line is not None and depth:
        if encoding.lower() not in (b"7bit", b"8bit", b"binary") and encoding_line is not None:
            found = f"multipart with Content-Transfer-Encoding {as_text(encoding)}"
            yield one.violation(ENCODING, encoding_line, found, "Content-Transfer-Encoding: 7bit\\r\\n")
        yield from _multipart(one, kind, line, body, depth)
    elif encoding.lower() == b"base64":
        yield from _base64(one, body)


def _multipart(one: Content, kind: bytes, line: ContentLine, body: Lines, depth: int) -> Iterator[Violation]:
    parameter = _PARAMETER.search(kind)
    if parameter is None:
        yield one.violation(BOUNDARY, line, "multipart without a boundary parameter", 'boundary="..."')
        return
    boundary = b"--" + (parameter[1] or parameter[2] or b"")
    marks = [at for at, each in enumerate(body) if each.text.rstrip(b" \t") in (boundary, boundary + b"--")]
    if not marks:
        found = f"no line of the body is {as_text(boundary)}, the boundary of this field"
        suggested = next((each.text for each in body if each.text.startswith(b"--")), None)
        expected = (
            f'boundary="{as_text(suggested[2:])}"' if suggested else f"{as_text(boundary)}\\r\\n before each part"
        )
        yield one.violation(BOUNDARY, line, found, expected)
        return
    closed = [at for at in marks if body[at].text.rstrip(b" \t") == boundary + b"--"]
    if not closed:
        found = f"the message ends without the line {as_text(boundary)}--"
        yield one.violation(CLOSING, body[-1], found, f"{as_text(boundary)}--\\r\\n")
    # Octets after the closing boundary line are the epilogue, which has no parts.
    ends = [at for at in marks if at <= closed[0]] if closed else [*marks, len(body)]
    for begin, end in pairwise(ends):
        yield from _entity(one, body[begin + 1 : end], depth - 1)


def _base64(one: Content, body: Lines) -> Iterator[Violation]:
    for line in body:
        if not _BASE64.match(line.text.rstrip(b" \t")) or len(line.text) > BASE64_LINE_MAX:
            wrong = len(line.text) <= BASE64_LINE_MAX
            found = "octets outside of the alphabet" if wrong else f"a line of {len(line.text)} characters"
            yield one.violation(BASE64, line, f"base64 with {found}", "lines of at most 76 of A-Z a-z 0-9 + / =")
            return
