"""RETURN options of IMAP SEARCH and SORT: parser, and encoder of the ESEARCH response with the requested data.

The options are MIN, MAX, ALL and COUNT (RFC 4731 section 3.1), SAVE (RFC 5182 section 2.1), and UPDATE, CONTEXT and
PARTIAL (RFC 5267 sections 4.3 and 4.4).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from lab7.services.mail.imap.errors import BadError
from lab7.services.mail.imap.limits import NUMBER_MAX
from lab7.services.mail.imap.syntax import encoder
from lab7.services.mail.imap.syntax.fetch_items import format_sequence_set
from lab7.services.mail.imap.syntax.reader import Reader

Item = TypeVar("Item")
_RESULTS = (b"MIN", b"MAX", b"ALL", b"COUNT")
_OPTIONS = frozenset((*_RESULTS, b"SAVE", b"UPDATE", b"CONTEXT", b"PARTIAL"))
_PARTIAL_RANGE = re.compile(rb"([1-9]\d{0,9}):([1-9]\d{0,9})(?=[ )])")


@dataclass(frozen=True, slots=True)
class SearchReturns:
    """RETURN options of a SEARCH or SORT; `partial` is a range of positions in the result, counted from 1."""

    options: frozenset[bytes]
    partial: tuple[int, int] | None = None

    @property
    def saves(self) -> bool:
        """True if the result is stored in the variable `$` (RFC 5182)."""
        return b"SAVE" in self.options

    @property
    def updates(self) -> bool:
        """True if the client is to be notified of later changes of the result (RFC 5267 section 4.3)."""
        return b"UPDATE" in self.options

    def saved(self, uids: list[int]) -> list[int]:
        """Return the UIDs to store as `$`: all of the result; for MIN or MAX alone, the first or last.

        RFC 5182 section 2.4.
        """
        if self.options & {b"ALL", b"COUNT", b"PARTIAL"} or not self.options & {b"MIN", b"MAX"} or not uids:
            return uids
        ends = ([uids[0]] if b"MIN" in self.options else []) + ([uids[-1]] if b"MAX" in self.options else [])
        return sorted(set(ends))

    def returned(self, matches: Sequence[Item]) -> Sequence[Item]:
        """Return the elements of `matches` to which the MODSEQ value of the response refers (RFC 4731 section 3.2).

        These are all matching messages; if only MIN or MAX or both are requested, the first or the last or both.
        """
        if self.options & {b"ALL", b"COUNT", b"PARTIAL"} or not self.options & {b"MIN", b"MAX"} or not matches:
            return matches
        return [match for option, match in ((b"MIN", matches[0]), (b"MAX", matches[-1])) if option in self.options]

    def response(self, tag: bytes, by_uid: bool, matches: Sequence[int], mod_sequence: int | None = None) -> bytes:
        """Encode the ESEARCH response; MIN, MAX and ALL are omitted if no message matches (RFC 4731 section 3.1)."""
        pieces = [b"* ESEARCH (TAG " + encoder.string(tag) + b")"]
        if by_uid:
            pieces.append(b"UID")
        values = {b"COUNT": b"%d" % len(matches)}
        if matches:
            values |= {b"MIN": b"%d" % matches[0], b"MAX": b"%d" % matches[-1]}
            if b"ALL" in self.options:
                values[b"ALL"] = format_sequence_set(matches).encode("ascii")
        pieces += [name + b" " + values[name] for name in _RESULTS if name in self.options and name in values]
        if self.partial is not None:
            first, last = self.partial
            window = format_sequence_set(matches[first - 1 : last]).encode("ascii") or encoder.NIL
            pieces.append(b"PARTIAL (%d:%d %b)" % (first, last, window))
        if mod_sequence is not None and matches:
            pieces.append(b"MODSEQ %d" % mod_sequence)
        return b" ".join(pieces) + b"\r\n"


def read_search_returns(reader: Reader) -> SearchReturns | None:
    """Parse `RETURN (...)` and the space after it; return None without RETURN; raise BadError."""
    if reader.octets[reader.position : reader.position + 8].upper() != b"RETURN (":
        return None
    reader.position += 7
    partial: list[tuple[int, int]] = []
    options = frozenset(reader.in_parentheses(lambda: _read_option(reader, partial), may_be_empty=True))
    reader.expect_space()
    if b"PARTIAL" in options and (b"ALL" in options or len(partial) > 1):
        # RFC 5267 section 4.4
        raise BadError("RETURN takes one PARTIAL, without ALL.")
    # RFC 4731 section 3.1: an empty list means ALL; RFC 5182 section 2.1: so does SAVE alone, but without a response.
    return SearchReturns(options or frozenset((b"ALL",)), partial[0] if partial else None)


def _read_option(reader: Reader, partial: list[tuple[int, int]]) -> bytes:
    option = reader.word("return option")
    if option not in _OPTIONS:
        raise BadError("Unknown RETURN option of SEARCH.")
    if option == b"PARTIAL":
        reader.expect_space()
        first, last = (int(end) for end in reader.match(_PARTIAL_RANGE, "range of positions").split(b":"))
        if max(first, last) > NUMBER_MAX:
            raise BadError("The number is too large.")
        partial.append((min(first, last), max(first, last)))
    return option
