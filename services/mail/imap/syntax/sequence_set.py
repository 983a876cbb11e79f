"""Sequence sets of message numbers or UIDs: `2,4:7,9,12:*` (RFC 3501 section 9).

A set is kept as a list of ranges, so that 1:4294967295 costs no more than 1:2.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

from services.mail.imap.errors import BadError
from services.mail.imap.limits import NUMBER_MAX
from services.mail.imap.syntax.reader import Reader

_SET = re.compile(rb"[\d*:,]+")
_RANGE = re.compile(rb"(\*|[1-9]\d{0,9})(?::(\*|[1-9]\d{0,9}))?\Z")
# Stands for `*` until the largest number in use is known.
LAST = NUMBER_MAX + 1

SequenceSet = tuple[tuple[int, int], ...]


def read_sequence_set(reader: Reader) -> SequenceSet:
    """Parse a set from a command; raise BadError."""
    return parse_sequence_set(reader.match(_SET, "set of messages"))


def parse_sequence_set(octets: bytes) -> SequenceSet:
    """Parse a set into ranges, with LAST for `*`; raise BadError."""
    return tuple(_range(piece) for piece in octets.split(b","))


def _range(piece: bytes) -> tuple[int, int]:
    match = _RANGE.match(piece)
    if match is None:
        raise BadError("The set of messages is not well formed.")
    first = _number(match[1])
    last = first if match[2] is None else _number(match[2])
    # RFC 3501 section 9: 2:4 and 4:2 are the same.
    return (first, last) if first <= last else (last, first)


def _number(octets: bytes) -> int:
    number = LAST if octets == b"*" else int(octets)
    if octets != b"*" and number > NUMBER_MAX:
        raise BadError("The number is too large.")
    return number


def numbers_in(sequence_set: SequenceSet, count: int) -> list[int]:
    """Resolve a set to the sequence numbers of a mailbox with `count` messages, in ascending order.

    A number beyond `count` raises BadError, as does `*` in an empty mailbox (RFC 3501 section 9, seq-number).
    """
    for ends in sequence_set:
        if count == 0 or any(count < end < LAST for end in ends):
            raise BadError("There is no message of that number.")
    return uids_in(sequence_set, range(1, count + 1))


def uids_in(sequence_set: SequenceSet, uids: Sequence[int]) -> list[int]:
    """Resolve a set against the sorted `uids`, in ascending order; UIDs that do not exist are ignored."""
    if not uids:
        return []
    selected: set[int] = set()
    for first, last in sequence_set:
        low, high = (uids[-1] if number == LAST else number for number in (first, last))
        low, high = min(low, high), max(low, high)
        selected.update(uids[bisect_left(uids, low) : bisect_right(uids, high)])
    return sorted(selected)


def format_sequence_set(numbers: Iterable[int]) -> str:
    """Encode numbers as a set, in the given order: 1, 2, 3, 7 becomes `1:3,7`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in ranges)
