"""File format: a head is decoded as encoded, or rejected."""

import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.cache.stored import ContentSpan, StoredResponse
from lab7.services.http.fields import Fields
from lab7.services.http.messages import Response
from lab7.services.http.storage.format import VERSION, FormatError, Head, decode_head, encode_head
from tests.core.services.http.storage.entries import response

octets = st.binary(max_size=40)
lines = st.lists(st.tuples(octets, octets), max_size=6).map(lambda lines: Fields(tuple(lines)))
numbers = st.integers(0, 2**63)
times = st.floats(0, 2**40)
spans = st.none() | st.builds(ContentSpan, numbers, numbers, st.none() | numbers)
responses = st.builds(
    Response,
    status=st.integers(100, 599),
    fields=lines,
    reason=st.none() | octets,
    version=st.tuples(st.integers(0, 9), st.integers(0, 9)),
)
heads = st.builds(
    Head,
    st.builds(
        StoredResponse,
        uri=octets,
        method=octets,
        request_fields=lines,
        request_time=times,
        response_time=times,
        response=responses,
        size_octets=numbers,
        span=spans,
        name=st.integers(0, 2**64 - 1).map(lambda number: f"{number:016x}"),
    ),
    st.integers(0, 2**32 - 1),
)
EXAMPLE = encode_head(Head(replace(response(), name="000000000000002a", size_octets=7), 0x12345678))


@given(heads)
def test_a_head_is_read_as_it_was_written(head: Head) -> None:
    assert decode_head(encode_head(head)) == head


def is_head(octets: bytes) -> bool:
    try:
        decode_head(octets)
    except FormatError:
        return False
    return True


def test_a_torn_head_is_no_head() -> None:
    assert [length for length in range(len(EXAMPLE)) if is_head(EXAMPLE[:length])] == []
    assert is_head(EXAMPLE)


@pytest.mark.parametrize("change", [0x01, 0x20, 0x80, 0xFF])
def test_a_head_with_an_octet_changed_is_no_head(change: int) -> None:
    for place in range(len(EXAMPLE)):
        damaged = bytearray(EXAMPLE)
        damaged[place] ^= change
        assert not is_head(bytes(damaged)), place


def test_octets_after_a_head_make_it_no_head() -> None:
    with pytest.raises(FormatError):
        decode_head(EXAMPLE + b"\n")


@given(st.binary(max_size=200))
def test_whatever_else_is_no_head(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode_head(data)


def guarded(record: bytes, version: int = VERSION) -> bytes:
    return b"lab7-stored %d %08x %08x\n" % (version, len(record), zlib.crc32(record)) + record


def test_a_head_of_another_version_is_no_head() -> None:
    record = EXAMPLE.partition(b"\n")[2]
    assert decode_head(guarded(record))
    with pytest.raises(FormatError):
        decode_head(guarded(record, VERSION + 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"status": 200', b'"status": "200"'),
        (b'"status": 200', b'"status": -1'),
        (b'"status": 200, ', b""),
        (b'"method": "GET"', b'"method": null'),
        (b'"size_octets": 7', b'"size_octets": true'),
        (b'"span": null', b'"span": [0]'),
        (b'"ETag"', b'"\\u20ac"'),
        (b'"name": "0000', b'"name": "../0'),
        (b'"version": [1, 1]', b'"version": 11'),
    ],
)
def test_a_whole_head_that_says_something_else_is_no_head(old: bytes, new: bytes) -> None:
    record = EXAMPLE.partition(b"\n")[2]
    assert old in record
    with pytest.raises(FormatError):
        decode_head(guarded(record.replace(old, new)))
    with pytest.raises(FormatError):
        decode_head(guarded(b"[" * 10_000))
