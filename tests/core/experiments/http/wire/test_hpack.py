"""Header blocks are read as another implementation (hpack) packed them, whatever the table has gone through."""

from __future__ import annotations

import pytest
from hpack import Encoder
from hypothesis import given
from hypothesis import strategies as st

from lab7.experiments.http.wire.hpack import STATIC_ENTRIES, HeaderBlockError, HeaderTable

NAMES = st.one_of(
    st.sampled_from([b":path", b":status", b"accept", b"content-type", b"x-a", b"x-b"]),
    st.binary(min_size=1, max_size=40),
)
FIELDS = st.lists(
    st.tuples(NAMES, st.one_of(st.sampled_from([b"", b"/", b"200"]), st.binary(max_size=300))), max_size=8
)


@given(st.lists(st.tuples(FIELDS, st.booleans(), st.sampled_from([None, 0, 60, 400, 4096, 65536])), max_size=12))
def test_blocks_are_read_back_through_a_table_that_fills_shrinks_and_grows(
    blocks: list[tuple[list[tuple[bytes, bytes]], bool, int | None]],
) -> None:
    encoder, table = Encoder(), HeaderTable()
    for fields, huffman, size in blocks:
        if size is not None:
            encoder.header_table_size = size
        assert table.read(encoder.encode(fields, huffman=huffman)) == fields


def test_a_repeated_field_is_found_in_the_table() -> None:
    encoder, table = Encoder(), HeaderTable()
    first, again = (encoder.encode([(b"x-long-name", b"a long value")]) for _ in range(2))
    assert len(again) == 1
    assert table.read(first) == table.read(again)


# RFC 7541 appendix C.4: three requests with Huffman coding.
EXAMPLES: tuple[tuple[str, list[tuple[bytes, bytes]]], ...] = (
    ("828684418cf1e3c2e5f23a6ba0ab90f4ff", []),
    ("828684be5886a8eb10649cbf", [(b"cache-control", b"no-cache")]),
    ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", [(b"custom-key", b"custom-value")]),
)


def test_the_examples_of_the_rfc_are_read() -> None:
    table = HeaderTable()
    for number, (block, more) in enumerate(EXAMPLES):
        scheme, path = (b"https", b"/index.html") if number == 2 else (b"http", b"/")
        start = [(b":method", b"GET"), (b":scheme", scheme), (b":path", path), (b":authority", b"www.example.com")]
        assert table.read(bytes.fromhex(block)) == [*start, *more]


def test_a_field_larger_than_the_table_empties_it_and_is_read() -> None:
    encoder, table = Encoder(), HeaderTable()
    table.read(encoder.encode([(b"x", b"y")]))
    # RFC 7541 section 6.2.1, name and value of 4096 octets in all: with the overhead of 32 it fits no table.
    assert table.read(b"\x40\x01a\x7f\x80\x1f" + b"b" * 4095)[0] == (b"a", b"b" * 4095)
    with pytest.raises(HeaderBlockError, match=f"index {STATIC_ENTRIES + 1} "):
        table.read(bytes([0x80 | STATIC_ENTRIES + 1]))


@pytest.mark.parametrize(
    ("block", "why"),
    [
        (b"\x80", "index 0"),
        (b"\xbe", "index 62 in a table of 61 entries"),
        (b"\xff", "ends inside a field"),
        (b"\xff\x80", "ends inside a field"),
        (b"\x40", "ends inside a field"),
        (b"\x41", "ends inside a field"),
        (b"\x41\x05abc", "ends inside a string"),
        (b"\x41\x81\x00", "a string has invalid padding"),
        (b"\x41\x82\x1f\xff", "a string has invalid padding"),
        (b"\x41\x84\xff\xff\xff\xff", "end-of-string"),
        (b"HTTP/1.1 200 OK\r\n", "ends inside a string"),
    ],
)
def test_what_is_no_header_block_is_refused(block: bytes, why: str) -> None:
    with pytest.raises(HeaderBlockError, match=why):
        HeaderTable().read(block)


@given(st.binary(max_size=60))
def test_any_octets_are_fields_or_are_refused(block: bytes) -> None:
    try:
        fields = HeaderTable().read(block)
    except HeaderBlockError:
        return
    assert all(len(field) == 2 for field in fields)
