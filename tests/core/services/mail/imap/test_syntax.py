"""Sequence sets, LIST patterns, dates, strings and framing, by example and with arbitrary octets."""

from __future__ import annotations

import re
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.errors import LimitExceededError
from lab7.services.mail.imap.commands.mailbox_list import matches
from lab7.services.mail.imap.errors import BadError
from lab7.services.mail.imap.syntax import encoder
from lab7.services.mail.imap.syntax.dates import date_time, read_date_time
from lab7.services.mail.imap.syntax.fetch_items import format_sequence_set, numbers_in, parse_sequence_set, uids_in
from lab7.services.mail.imap.syntax.reader import AnnouncedLiteral, Framer, Line, Reader
from tests.core.services.mail.imap.transcripts import Client, mailbox

NUMBERS = st.integers(1, 50)
ENDS = st.one_of(NUMBERS.map(str), st.just("*"))
RANGES = st.one_of(ENDS, st.tuples(ENDS, ENDS).map(":".join))


@given(st.lists(RANGES, min_size=1).map(",".join), st.sets(NUMBERS, max_size=20).map(sorted))
def test_a_set_of_uids_holds_what_its_words_say(text: str, uids: list[int]) -> None:
    wanted = set()
    for piece in text.split(","):
        ends = [max(uids, default=0) if end == "*" else int(end) for end in piece.split(":")]
        wanted |= set(range(min(ends), max(ends) + 1))
    assert uids_in(parse_sequence_set(text.encode()), uids) == sorted(wanted & set(uids))


@pytest.mark.parametrize("text", [b"", b",", b"1,", b":1", b"1:2:3", b"0", b"01", b"x", b"4294967296", b"1:", b"**"])
def test_sets_that_are_not_well_formed(text: bytes) -> None:
    with pytest.raises(BadError):
        parse_sequence_set(text)


@pytest.mark.parametrize(("text", "count"), [(b"4", 3), (b"2:4", 3), (b"4:*", 3), (b"*", 0), (b"1:*", 0)])
def test_a_number_that_no_message_has_is_bad(text: bytes, count: int) -> None:
    with pytest.raises(BadError):
        numbers_in(parse_sequence_set(text), count)


def test_a_set_of_four_billion_costs_nothing() -> None:
    assert uids_in(parse_sequence_set(b",".join([b"1:4294967295"] * 1000)), [7]) == [7]


@given(st.lists(st.integers(1, 99)))
def test_a_set_that_is_written_reads_as_it_was(numbers: list[int]) -> None:
    text = format_sequence_set(numbers)
    expected = sorted(set(numbers))
    assert (uids_in(parse_sequence_set(text.encode()), range(1, 100)) if text else []) == expected


PATTERNS = st.text("ab/*%", max_size=12)


@given(PATTERNS, st.text("ab/", max_size=12))
def test_patterns_match_as_a_regular_expression_would(pattern: str, name: str) -> None:
    expression = "".join({"*": ".*", "%": "[^/]*"}.get(one, re.escape(one)) for one in pattern)
    assert matches(pattern, name) == (re.fullmatch(expression, name) is not None)


def test_many_wildcards_take_no_time() -> None:
    assert not matches("%*a" * 300 + "b", "a" * 250)


@given(st.integers(0, 4_000_000_000))
def test_dates_read_as_they_were_written(seconds: int) -> None:
    assert read_date_time(Reader(date_time(seconds))) == seconds


def test_zones_count() -> None:
    assert read_date_time(Reader(b'" 1-jan-1970 02:30:00 +0230"')) == 0
    assert read_date_time(Reader(b'"31-Dec-1969 23:30:00 -0030"')) == 0


@pytest.mark.parametrize(
    "text", [b'"1-Jan-2001 00:00:00 +0000"', b'"31-Feb-2001 00:00:00 +0000"', b"01-Jan-2001", b'""']
)
def test_dates_that_are_none(text: bytes) -> None:
    with pytest.raises(BadError):
        read_date_time(Reader(text))


@given(st.binary(max_size=40))
def test_strings_read_as_they_were_written(octets: bytes) -> None:
    octets = octets.replace(b"\0", b"")
    for written in (encoder.string(octets), encoder.astring(octets), encoder.literal(octets)):
        reader = Reader(written)
        assert reader.astring() == octets
        assert reader.at_end


def units(pieces: list[bytes]) -> list[Line | AnnouncedLiteral]:
    """Return the units that a framer finds in these pieces; every literal is accepted."""
    framer = Framer(65_536)
    found = []
    for piece in pieces:
        framer.feed(piece)
        while (unit := framer.next()) is not None:
            assert isinstance(unit, Line | AnnouncedLiteral)
            found.append(unit)
            framer.accept()
    return found


STREAM = b"a LOGIN {5}\r\nal\r\ne {3+}\r\n}\r\n\r\nb NOOP\r\nc X {0}\r\n\r\nd NOOP\ntrailing"


@given(st.lists(st.integers(0, len(STREAM))).map(sorted))
def test_commands_are_the_same_however_they_come(cuts: list[int]) -> None:
    places = [0, *cuts, len(STREAM)]
    assert units([STREAM[begin:end] for begin, end in pairwise(places)]) == units([STREAM])


def test_what_commands_are() -> None:
    lines = [unit.octets for unit in units([STREAM]) if isinstance(unit, Line)]
    assert lines == [
        b"a LOGIN {5}\r\nal\r\ne {3+}\r\n}\r\n",
        b"b NOOP",
        b"c X {0}\r\n",
        b"d NOOP",
    ]


def test_what_waits_is_bounded() -> None:
    framer = Framer(1000)
    with pytest.raises(LimitExceededError):
        framer.feed(b"x" * 1_000_000)


WORDS = st.sampled_from(
    [
        *(
            b"a ",
            b"UID ",
            b"FETCH ",
            b"1:* ",
            b"SEARCH ",
            b"STORE ",
            b"(",
            b")",
            b"BODY[",
            b"]",
            b"{3}\r\n",
            b"{3+}\r\n",
        ),
        *(b'"', b"\\", b" ", b"\r\n", b"NOT ", b"APPEND INBOX ", b"LIST ", b"*", b"%", b"IDLE\r\n", b"DONE\r\n"),
        *(b"SELECT INBOX\r\n", b"FLAGS ", b"+FLAGS ", b"\\Seen", b"HEADER.FIELDS ", b"CREATE ", b"&", b"<0.1>"),
        *(b"COPY ", b"STATUS ", b"INBOX ", b"MOVE ", b"RENAME ", b"ALL", b"1 "),
    ]
)


@given(st.lists(st.one_of(WORDS, st.binary(max_size=6)), max_size=30).map(b"".join), st.booleans())
def test_any_octets_are_answered_line_by_line(octets: bytes, in_pieces: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        client = Client(mailbox(Path(folder), b"one"))
        client.send(b"s SELECT INBOX\r\n")
        pieces = [bytes([one]) for one in octets] if in_pieces else [octets]
        answer = b"".join(client.send(piece) for piece in pieces)
        assert answer == b"" or answer.endswith(b"\r\n")
        assert [path.name for path in Path(folder).iterdir()] == ["maildir"]
