"""Sets of message sequence numbers or unique identifiers: `2,4:7,9,12:*` (RFC 3501 section 9).

A set stays a list of ranges, so that 1:4294967295 costs no more than 1:2.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from services.mail.imap.errors import BadError
from services.mail.imap.limits import NUMBER_MAX
from services.mail.imap.syntax.reader import Reader
from services.mail.imap.view import View

if TYPE_CHECKING:
    from services.mail.imap.session import Session


_SET = re.compile(rb"[\d*:,]+")
_RANGE = re.compile(rb"(\*|[1-9]\d{0,9})(?::(\*|[1-9]\d{0,9}))?\Z")
# What `*` is held as until the largest number in use is known.
LAST = NUMBER_MAX + 1

SequenceSet = tuple[tuple[int, int], ...]


def read_sequence_set(reader: Reader) -> SequenceSet:
    """Read a set; raises BadError."""
    return parse_sequence_set(reader.match(_SET, "set of messages"))


def parse_sequence_set(octets: bytes) -> SequenceSet:
    """Return the ranges of a set, LAST for `*`; raises BadError."""
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


def numbers_in(wanted: SequenceSet, count: int) -> list[int]:
    """Return the sequence numbers of a set in a mailbox of `count` messages, in order.

    RFC 3501 section 9 (seq-number): a number that no message has is an error, `*` in an empty mailbox too. Raises
    BadError.
    """
    for ends in wanted:
        if count == 0 or any(count < end < LAST for end in ends):
            raise BadError("There is no message of that number.")
    return uids_in(wanted, range(1, count + 1))


def uids_in(wanted: SequenceSet, uids: Sequence[int]) -> list[int]:
    """Return those of the sorted `uids` that a set names, in order; others in it count for nothing."""
    if not uids:
        return []
    found: set[int] = set()
    for first, last in wanted:
        low, high = (uids[-1] if number == LAST else number for number in (first, last))
        low, high = min(low, high), max(low, high)
        found.update(uids[bisect_left(uids, low) : bisect_right(uids, high)])
    return sorted(found)


def format_sequence_set(numbers: Iterable[int]) -> str:
    """Return numbers, in the order in which they come, as a set: 1, 2, 3, 7 are `1:3,7`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][1] + 1 == number:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}:{last}" for first, last in ranges)


# Which messages of the selected mailbox a command means.


def view_of(session: "Session") -> View:
    """Return the selected mailbox."""
    if session.view is None:
        raise BadError("No mailbox is selected.")
    return session.view


def chosen(view: View, wanted: SequenceSet, by_uid: bool) -> list[int]:
    """Return the UIDs of the messages of a set; raises BadError for a number that no message has."""
    if by_uid:
        return uids_in(wanted, view.uids)
    return [view.uids[number - 1] for number in numbers_in(wanted, len(view.uids))]


def read_messages(session: "Session", reader: Reader, by_uid: bool) -> list[int]:
    """Read a space and a set of messages, and return their UIDs."""
    reader.space()
    return chosen(view_of(session), read_sequence_set(reader), by_uid)
