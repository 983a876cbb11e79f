"""Parser of sequence sets (`2,4:7,9,12:*`), FETCH data items and body sections (RFC 3501 sections 6.4.5 and 9)."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lab7.services.mail.imap.errors import BadError
from lab7.services.mail.imap.limits import NUMBER64_MAX, NUMBER_MAX
from lab7.services.mail.imap.syntax import encoder
from lab7.services.mail.imap.syntax.reader import Reader
from lab7.services.mail.mime.header import Header
from lab7.services.mail.mime.structure import Part, find

_SET = re.compile(rb"[\d*:,]+")
_RANGE = re.compile(rb"(\*|[1-9]\d{0,9})(?::(\*|[1-9]\d{0,9}))?\Z")
# LAST stands for `*` in a parsed set, until the mailbox's largest number is known.
LAST = NUMBER_MAX + 1

# Sets of message numbers or UIDs are stored as (first, last) ranges, so that 1:4294967295 costs as little as 1:2.
SequenceSet = tuple[tuple[int, int], ...]


def read_sequence_set(reader: Reader) -> SequenceSet:
    """Parse a sequence set in a command into (first, last) ranges; raise BadError."""
    return parse_sequence_set(reader.match(_SET, "set of messages"))


def parse_sequence_set(octets: bytes) -> SequenceSet:
    """Parse a sequence set into (first, last) ranges, with `*` as the constant LAST. Raises BadError."""
    return tuple(_range(piece) for piece in octets.split(b","))


def _range(piece: bytes) -> tuple[int, int]:
    match = _RANGE.match(piece)
    if match is None:
        raise BadError("The set of messages is not well formed.")
    first = _number(match[1])
    last = first if match[2] is None else _number(match[2])
    # RFC 3501 section 9: the ranges 2:4 and 4:2 are equivalent.
    return (first, last) if first <= last else (last, first)


def _number(octets: bytes) -> int:
    number = LAST if octets == b"*" else int(octets)
    if octets != b"*" and number > NUMBER_MAX:
        raise BadError("The number is too large.")
    return number


def numbers_in(sequence_set: SequenceSet, count: int) -> list[int]:
    """Return the message sequence numbers in a sequence set, ascending; the mailbox has `count` messages.

    Raises BadError for a number above `count`, and for `*` in an empty mailbox (RFC 3501 section 9, seq-number).
    """
    for ends in sequence_set:
        if count == 0 or any(count < end < LAST for end in ends):
            raise BadError("There is no message with that number.")
    return uids_in(sequence_set, range(1, count + 1))


def uids_in(sequence_set: SequenceSet, uids: Sequence[int]) -> list[int]:
    """Return the UIDs in a sequence set, ascending; UIDs not in the sorted list `uids` are ignored."""
    if not uids:
        return []
    selected: set[int] = set()
    for first, last in sequence_set:
        low, high = (uids[-1] if number == LAST else number for number in (first, last))
        low, high = min(low, high), max(low, high)
        selected.update(uids[bisect_left(uids, low) : bisect_right(uids, high)])
    return sorted(selected)


def format_sequence_set(numbers: Iterable[int]) -> str:
    """Encode numbers as a sequence set in the given order: 1, 2, 3, 7 becomes `1:3,7`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in ranges)


def format_ranges(ranges: Iterable[tuple[int, int]]) -> bytes:
    """Encode ranges as a sequence set, in the given order; adjacent ranges are joined."""
    joined: list[list[int]] = []
    for first, last in ranges:
        if joined and first <= joined[-1][1] + 1:
            joined[-1][1] = max(joined[-1][1], last)
        else:
            joined.append([first, last])
    return b",".join(b"%d" % first if first == last else b"%d:%d" % (first, last) for first, last in joined)


_NAME = re.compile(rb"[A-Za-z0-9.]+")
_SECTION_WORD = re.compile(rb"[A-Za-z.]+")
_PARTIAL = re.compile(rb"<(\d{1,19})\.([1-9]\d{0,18})>")
_LAZY = b" (LAZY)"
_PART_NUMBER = re.compile(rb"[1-9]\d{0,9}")
# Maximum number of part numbers in a section, far more than the MIME parser's nesting depth.
_PART_NUMBERS_MAX = 1000

SIMPLE = frozenset(
    (b"BODY", b"BODYSTRUCTURE", b"EMAILID", b"ENVELOPE", b"FLAGS", b"INTERNALDATE", b"MODSEQ", b"RFC822.SIZE",
     b"SAVEDATE", b"THREADID", b"UID")
)  # fmt: skip
_FAST = (b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE")
# RFC 3501 section 6.4.5: FETCH items for which the macros ALL, FAST and FULL stand.
MACROS = {b"ALL": (*_FAST, b"ENVELOPE"), b"FAST": _FAST, b"FULL": (*_FAST, b"ENVELOPE", b"BODY")}


@dataclass(frozen=True, slots=True)
class Section:
    """A body section of FETCH such as BODY[1.2.HEADER]<0.100>; `label`: the section's name in the response.

    `numbers` is the path to a part; `text` is HEADER, TEXT, MIME, HEADER.FIELDS, HEADER.FIELDS.NOT or empty; `partial`
    is (first octet, octet count). `sets_seen` is false for PEEK and RFC822.HEADER.
    """

    label: bytes
    numbers: tuple[int, ...] = ()
    text: bytes = b""
    fields: tuple[bytes, ...] = ()
    partial: tuple[int, int] | None = None
    sets_seen: bool = True
    # Name of the FETCH item: BODY, BINARY or BINARY.SIZE (RFC 3516 section 4.2).
    kind: bytes = b"BODY"

    @property
    def is_header_only(self) -> bool:
        """True if the section can be read from the message's own header, without the body."""
        return self.kind == b"BODY" and not self.numbers and self.text.startswith(b"HEADER")


# RFC 3501 section 6.4.5: body sections to which the RFC822 items are equivalent.
_RFC822 = {
    b"RFC822": Section(b"RFC822"),
    b"RFC822.HEADER": Section(b"RFC822.HEADER", text=b"HEADER", sets_seen=False),
    b"RFC822.TEXT": Section(b"RFC822.TEXT", text=b"TEXT"),
}
Item = bytes | Section


def read_items(reader: Reader) -> list[Item]:
    """Parse the items of FETCH: a macro, one item or a parenthesised list; raise BadError."""
    if reader.starts_with(b"("):
        return _distinct(reader.in_parentheses(lambda: read_item(reader)))
    position = reader.position
    macro = MACROS.get(reader.match(_NAME, "item").upper())
    if macro is not None:
        return list(macro)
    reader.position = position
    return [read_item(reader)]


@dataclass(frozen=True, slots=True)
class FetchModifiers:
    """Modifiers of FETCH (RFC 7162 sections 3.1.4.1 and 3.2.6): CHANGEDSINCE, VANISHED."""

    changed_since: int | None = None
    vanished: bool = False


def read_fetch_modifiers(reader: Reader) -> FetchModifiers:
    """Parse the FETCH modifiers after the items, if any; raise BadError."""
    if not reader.accept(b" "):
        return FetchModifiers()
    found: dict[bytes, int] = {}

    def read_modifier() -> None:
        word = reader.word("modifier")
        if word not in (b"CHANGEDSINCE", b"VANISHED") or word in found:
            raise BadError("Unknown or repeated FETCH modifier.")
        found[word] = 0
        if word == b"CHANGEDSINCE":
            reader.expect_space()
            found[word] = reader.mod_sequence()

    reader.in_parentheses(read_modifier)
    return FetchModifiers(found.get(b"CHANGEDSINCE"), b"VANISHED" in found)


def _distinct(items: list[Item]) -> list[Item]:
    return list(dict.fromkeys(items))


def read_item(reader: Reader) -> Item:
    """Parse one FETCH data item; raise BadError."""
    name = reader.match(_NAME, "item").upper()
    if name in (b"BODY", b"BODY.PEEK") and reader.starts_with(b"["):
        return _read_section(reader, sets_seen=name == b"BODY")
    if name in (b"BINARY", b"BINARY.PEEK", b"BINARY.SIZE") and reader.starts_with(b"["):
        kind = name.removesuffix(b".PEEK")
        return _read_section(reader, sets_seen=name == b"BINARY", kind=kind)
    if name == b"PREVIEW":
        return _read_preview(reader)
    if name in SIMPLE:
        return name
    if name in _RFC822:
        return _RFC822[name]
    raise BadError("Unknown FETCH item.")


def _read_preview(reader: Reader) -> bytes:
    """Parse the modifier of PREVIEW, if any (RFC 8970 section 3.2); LAZY is accepted but has no effect."""
    # Any other parenthesis begins the modifiers of FETCH.
    if reader.octets[reader.position : reader.position + len(_LAZY)].upper() == _LAZY:
        reader.position += len(_LAZY)
    return b"PREVIEW"


def parse_section(octets: bytes) -> Section:
    """Parse a section without its brackets (such as `1.2.HEADER` in an IMAP URL); raise BadError."""
    reader = Reader(b"[" + octets + b"]")
    section = _read_section(reader, sets_seen=False)
    reader.expect_end()
    return section


def _read_section(reader: Reader, sets_seen: bool, kind: bytes = b"BODY") -> Section:
    reader.expect(b"[")
    numbers = _read_numbers(reader)
    text = b""
    fields: tuple[bytes, ...] = ()
    if not reader.starts_with(b"]"):
        text = reader.match(_SECTION_WORD, "section").upper()
        if text in (b"HEADER.FIELDS", b"HEADER.FIELDS.NOT"):
            reader.expect_space()
            fields = tuple(reader.in_parentheses(reader.astring))
        # RFC 3501 section 9: the section text MIME requires a part number.
        elif text not in (b"HEADER", b"TEXT") and not (text == b"MIME" and numbers):
            raise BadError("Unknown section.")
    reader.expect(b"]")
    partial = None if kind == b"BINARY.SIZE" else _read_partial(reader)
    return Section(_label(kind, numbers, text, fields, partial), numbers, text, fields, partial, sets_seen, kind)


def _read_numbers(reader: Reader) -> tuple[int, ...]:
    """Parse the part numbers of a section, such as `1.2`; a trailing dot must precede a word such as HEADER."""
    numbers: list[int] = []
    while reader.octets[reader.position : reader.position + 1].isdigit():
        number = int(reader.match(_PART_NUMBER, "part number"))
        if number > NUMBER_MAX or len(numbers) == _PART_NUMBERS_MAX:
            raise BadError("The section is not well formed.")
        numbers.append(number)
        if not reader.accept(b"."):
            if not reader.starts_with(b"]"):
                raise BadError("The section is not well formed.")
            return tuple(numbers)
    if numbers and reader.starts_with(b"]"):
        raise BadError("The section is not well formed.")
    return tuple(numbers)


def _read_partial(reader: Reader) -> tuple[int, int] | None:
    if not reader.starts_with(b"<"):
        return None
    match = _PARTIAL.fullmatch(reader.match(_PARTIAL, "partial range"))
    # RFC 9051 section 9: number64, as sizes are.
    if match is None or max(int(match[1]), int(match[2])) > NUMBER64_MAX:
        raise BadError("The partial range is not well formed.")
    return int(match[1]), int(match[2])


def _label(
    kind: bytes, numbers: tuple[int, ...], text: bytes, fields: tuple[bytes, ...], partial: tuple[int, int] | None
) -> bytes:
    pieces = [b"%d" % number for number in numbers]
    if text:
        names = b" " + encoder.parenthesized(encoder.astring(field) for field in fields) if fields else b""
        pieces.append(text + names)
    position = b"" if partial is None else b"<%d>" % partial[0]
    return kind + b"[" + b".".join(pieces) + b"]" + position


def section_octets(octets: bytes, root: Part, section: Section) -> bytes | None:
    """Return all octets of a body section, None if the message has no such part.

    The caller cuts out the octet range of a partial fetch.
    """
    part = find(root, list(section.numbers))
    return None if part is None else _text_of(octets, root, part, section)


def _text_of(octets: bytes, root: Part, part: Part, section: Section) -> bytes | None:
    if section.text == b"MIME":
        return octets[part.header_begin : part.body_begin]
    if not section.text:
        if not section.numbers:
            return octets
        return octets[part.body_begin : part.body_end]
    # RFC 3501 section 6.4.5: HEADER and TEXT of a part refer to its embedded message (message/rfc822).
    message = part.message if section.numbers else root
    if message is None:
        return None
    if section.text == b"TEXT":
        return octets[message.body_begin : message.body_end]
    if section.text == b"HEADER":
        return octets[message.header_begin : message.body_begin]
    return select_fields(message.header, section)


def select_fields(header: Header, section: Section) -> bytes:
    """Return the header fields selected by HEADER.FIELDS or HEADER.FIELDS.NOT, followed by the empty line."""
    fields = header.chosen(section.fields, section.text == b"HEADER.FIELDS.NOT")
    # The last field of a message that consists of a header only may lack its line end.
    return fields + (b"\r\n" if fields.endswith(b"\n") or not fields else b"\r\n\r\n")
