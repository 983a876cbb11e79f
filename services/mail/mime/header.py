r"""Parser of a message's header section: fields as received, and unfolded values (RFC 5322 section 2.2).

header = parse_header(b"Subject: Hello\r\n world\r\n\r\n")
header.first(b"subject") == b"Hello world"
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from lab7.services.mail.mime.limits import FIELD_OCTETS_MAX, FIELDS_MAX

_LINE_END = re.compile(rb"\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")


@dataclass(frozen=True, slots=True)
class Field:
    """A header field: its name in lower case, and its octets as received, line ends included."""

    name: bytes
    raw: bytes

    @property
    def value(self) -> bytes:
        """The value for display: each fold is replaced by one space."""
        return unfold(self.raw.partition(b":")[2][:FIELD_OCTETS_MAX]).strip(b" \t")

    @property
    def exact(self) -> bytes:
        """The value unfolded by removing line ends only (RFC 5322 section 2.2.3)."""
        return _LINE_END.sub(b"", self.raw.partition(b":")[2][:FIELD_OCTETS_MAX]).strip(b" \t")


@dataclass(slots=True)
class Header:
    """The fields of a header section in order, including malformed lines."""

    fields: list[Field] = field(default_factory=list)

    def first(self, name: bytes) -> bytes | None:
        """Return the value of the first field with this lower-case name, None if there is none."""
        return next((header_field.value for header_field in self.fields if header_field.name == name), None)

    def exact(self, name: bytes) -> bytes | None:
        """Return the value of the first field with this lower-case name, unfolded by removing line ends only.

        Returns None if there is no such field.
        """
        return next((header_field.exact for header_field in self.fields if header_field.name == name), None)

    def last(self, name: bytes) -> bytes | None:
        """Return the value of the last field with this lower-case name, None if there is none."""
        return next((header_field.value for header_field in reversed(self.fields) if header_field.name == name), None)

    def all(self, name: bytes) -> Iterator[bytes]:
        """Yield the values of all fields with this lower-case name."""
        return (header_field.value for header_field in self.fields if header_field.name == name)

    def chosen(self, names: Iterable[bytes], inverted: bool = False) -> bytes:
        """Return the fields with these names as received; if `inverted`, all other fields (RFC 3501 section 6.4.5)."""
        wanted = {name.lower() for name in names}
        return b"".join(header_field.raw for header_field in self.fields if (header_field.name in wanted) != inverted)


def unfold(value: bytes) -> bytes:
    """Unfold a value: a line end and the white space after it become one space."""
    return _FOLD.sub(b" ", value).replace(b"\r\n", b"").replace(b"\n", b"") if b"\n" in value else value


def header_end(octets: bytes, begin: int, end: int) -> tuple[int, int]:
    """Return the offsets of a header's end: (end of its last field, start of the body).

    The two differ by the empty line between them; both are `end` if there is no empty line.
    """
    if octets.startswith(b"\r\n", begin) and begin + 2 <= end:
        return begin, begin + 2
    index = octets.find(b"\r\n\r\n", begin, end)
    return (end, end) if index < 0 else (index + 2, index + 4)


def parse_header(octets: bytes) -> Header:
    """Parse the header section at the start of the octets, up to the empty line or to the end of the octets."""
    end, _ = header_end(octets, 0, len(octets))
    header = Header()
    begin = 0
    while begin < end:
        stop = _field_end(octets, begin, end)
        if len(header.fields) == FIELDS_MAX:
            stop = end
        raw = octets[begin:stop]
        header.fields.append(Field(raw.partition(b":")[0].strip(b" \t\r\n").lower() if b":" in raw else b"", raw))
        begin = stop
    return header


def _field_end(octets: bytes, begin: int, end: int) -> int:
    """Return the offset after a field and its continuation lines, which begin with white space."""
    place = begin
    while True:
        index = octets.find(b"\n", place, end)
        if index < 0:
            return end
        place = index + 1
        if place >= end or octets[place] not in b" \t":
            return place
