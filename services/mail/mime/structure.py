"""Parser of a message's MIME structure: a tree of parts with their offsets (RFC 2045, RFC 2046 section 5).

part = find(parse(octets), [1, 2])
octets[part.body_begin : part.body_end]            the content of BODY[1.2]
"""

from dataclasses import dataclass, field
from functools import cached_property

from lab7.services.mail.mime.header import Header, parse_header
from lab7.services.mail.mime.limits import DELIMITER_LINES_MAX, DEPTH_MAX, PARTS_MAX
from lab7.services.mail.mime.parameters import Parametric, parse_parametric

_TEXT = b"text/plain"
_MESSAGE = b"message/rfc822"


@dataclass
class Part:
    """A message or a MIME body part; all offsets are into the octets of the whole message."""

    header_begin: int
    header: Header
    content_type: Parametric
    body_begin: int
    body_end: int = 0
    is_multipart: bool = False
    children: list["Part"] = field(default_factory=list)
    # A part of type message/rfc822 has an encapsulated message.
    message: "Part | None" = None
    lines: int = 0

    @cached_property
    def type_and_subtype(self) -> tuple[bytes, bytes]:
        """(type, subtype) of the Content-Type, as received."""
        kind, _, subtype = self.content_type.value.partition(b"/")
        return kind, subtype

    @property
    def size_octets(self) -> int:
        """The size of the body in octets, still encoded."""
        return self.body_end - self.body_begin


def find(root: Part, numbers: list[int]) -> Part | None:
    """Return the part with a section number (RFC 3501 section 6.4.5), or None."""
    part = root
    for place, number in enumerate(numbers):
        inside = part.message if part.message is not None and place > 0 else part
        if inside.is_multipart:
            if number > len(inside.children):
                return None
            part = inside.children[number - 1]
        # A message that is not multipart has one part, number 1, which is the message's body.
        elif number != 1 or (inside is part and place > 0):
            return None
        else:
            part = inside
    return part


@dataclass(frozen=True, slots=True)
class _Delimiter:
    """A boundary delimiter line of a multipart.

    `begin` and `after` are the offsets of this line and the next, `level` is the nesting level of the multipart, and
    `is_last` is True for a close-delimiter (`--boundary--`).
    """

    begin: int
    level: int
    is_last: bool
    after: int


class _Parser:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._boundaries: list[bytes] = []
        self._place = 0
        self._delimiter: _Delimiter | None = None
        self._parts = 0
        self._lines = 0
        # The offset of the next empty line is cached for _header_end().
        self._blank = -1

    def part(self, depth: int, default_type: bytes) -> Part:
        """Parse a part from the current offset on.

        Afterwards `_delimiter` is the boundary delimiter line that ends the part, or None at the end of the message.
        """
        self._parts += 1
        begin = self._place
        fields_end, body_begin = self._header_end(begin)
        self._delimiter = self._next_delimiter(body_begin)
        if self._delimiter is not None:
            # A delimiter line also ends a header that has no empty line.
            fields_end = body_begin = self._before(self._delimiter.begin, begin)
        header = parse_header(self._octets[begin:fields_end])
        part = Part(begin, header, _content_type(header, default_type), body_begin)
        if self._delimiter is None:
            self._place = body_begin
            self._body(part, depth)
        self._close(part)
        return part

    def _body(self, part: Part, depth: int) -> None:
        kind, subtype = (half.lower() for half in part.type_and_subtype)
        boundary = part.content_type.get(b"boundary")
        may_nest = depth < DEPTH_MAX and self._parts < PARTS_MAX
        if kind == b"multipart" and boundary and may_nest:
            self._multipart(part, boundary, depth, _MESSAGE if subtype == b"digest" else _TEXT)
        elif (kind, subtype) == (b"message", b"rfc822") and may_nest:
            part.message = self.part(depth + 1, _TEXT)
        else:
            self._delimiter = self._next_delimiter(len(self._octets))

    def _header_end(self, begin: int) -> tuple[int, int]:
        """Return the end of the header that starts at `begin`, as header_end() does.

        The position of the empty line is cached.
        """
        if self._octets.startswith(b"\r\n", begin):
            return begin, begin + 2
        if self._blank < begin:
            index = self._octets.find(b"\r\n\r\n", begin)
            self._blank = len(self._octets) if index < 0 else index
        return min(self._blank + 2, len(self._octets)), min(self._blank + 4, len(self._octets))

    def _multipart(self, part: Part, boundary: bytes, depth: int, default_type: bytes) -> None:
        part.is_multipart = True
        self._boundaries.append(boundary)
        level = len(self._boundaries) - 1
        self._delimiter = self._next_delimiter(len(self._octets))
        while self._delimiter is not None and self._delimiter.level == level and not self._delimiter.is_last:
            if self._parts >= PARTS_MAX:
                self._delimiter = None
                break
            self._place = self._delimiter.after
            part.children.append(self.part(depth + 1, default_type))
        self._boundaries.pop()
        if self._delimiter is not None and self._delimiter.level == level:
            # Skip the epilogue, the text after the last delimiter (RFC 2046 section 5.1.1).
            self._place = self._delimiter.after
            self._delimiter = self._next_delimiter(len(self._octets))

    def _close(self, part: Part) -> None:
        if self._delimiter is not None and self._delimiter.begin == part.body_begin:
            # RFC 2046 section 5.1.1: the CRLF before a delimiter belongs to the delimiter, not to the part's header.
            part.body_begin = self._before(self._delimiter.begin, part.header_begin)
        end = len(self._octets) if self._delimiter is None else self._before(self._delimiter.begin, part.body_begin)
        part.body_end = max(end, part.body_begin)
        part.lines = self._octets.count(b"\n", part.body_begin, part.body_end)

    def _before(self, begin: int, least: int) -> int:
        """Return the end of the body before a delimiter line, excluding the CRLF before that line.

        RFC 2046 section 5.1.1.
        """
        return max(begin - 2, least) if self._octets.startswith(b"\r\n", begin - 2) else begin

    def _next_delimiter(self, limit: int) -> _Delimiter | None:
        """Return the next delimiter line, before `limit`, of any multipart not closed yet; None if there is none."""
        if not self._boundaries:
            return None
        octets, place = self._octets, self._place
        while self._lines < DELIMITER_LINES_MAX:
            if not (octets.startswith(b"--", place) and (place == 0 or octets[place - 1] == 10) and place < limit):
                index = octets.find(b"\n--", max(place - 1, 0), limit + 1)
                if index < 0:
                    return None
                place = index + 1
            self._lines += 1
            end = octets.find(b"\n", place)
            after = len(octets) if end < 0 else end + 1
            level = self._level(octets[place + 2 : after])
            if level is not None:
                is_last = octets.startswith(b"--", place + 2 + len(self._boundaries[level]))
                return _Delimiter(place, level, is_last, after)
            place = after
            if end < 0:
                return None
        return None

    def _level(self, line: bytes) -> int | None:
        """Return the nesting level of the multipart whose boundary a line begins with, None if there is none.

        If the line matches several boundaries, the longest counts.
        """
        if not line.startswith(tuple(self._boundaries)):
            # Return early, since most lines that begin with "--" match no boundary.
            return None
        best: int | None = None
        for level, boundary in enumerate(self._boundaries):
            longer = best is None or len(boundary) >= len(self._boundaries[best])
            if longer and line.startswith(boundary):
                best = level
        return best


def _content_type(header: Header, default_type: bytes) -> Parametric:
    value = header.exact(b"content-type")
    if value is not None:
        parsed = parse_parametric(value)
        kind, slash, subtype = parsed.value.partition(b"/")
        # RFC 2046 section 5.1.1: a multipart without the boundary parameter is invalid.
        has_all = kind.lower() != b"multipart" or parsed.get(b"boundary")
        if kind and slash and subtype and has_all:
            return parsed
    # RFC 2045 section 5.2: a missing or malformed Content-Type is replaced by the default type.
    return Parametric(default_type, [(b"charset", b"us-ascii")] if default_type == _TEXT else [])


def parse(octets: bytes) -> Part:
    """Parse the MIME structure of a message with CRLF line ends; return the root part."""
    return _Parser(octets).part(0, _TEXT)
