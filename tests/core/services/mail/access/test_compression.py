"""Compression of a connection (RFC 4978): whole, octet by octet, bounded."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.mail.access.compression import Compression, CompressionError

LIMIT = 1000


def inflated(compression: Compression, received: bytes) -> bytes:
    whole = b""
    piece = compression.inflate(received, LIMIT)
    while piece or compression.has_more:
        assert len(piece) <= LIMIT
        whole += piece
        piece = compression.inflate(b"", LIMIT)
    return whole


@given(st.lists(st.binary(max_size=3000), max_size=5))
def test_octets_arrive_as_sent(pieces: list[bytes]) -> None:
    one, two = Compression(), Compression()
    for piece in pieces:
        assert inflated(two, one.deflate(piece)) == piece


def test_octets_arrive_when_received_one_by_one() -> None:
    one, two = Compression(), Compression()
    sent = one.deflate(b"a NOOP\r\n") + one.deflate(b"b NOOP\r\n")
    received = b"".join(inflated(two, sent[place : place + 1]) for place in range(len(sent)))
    assert received == b"a NOOP\r\nb NOOP\r\n"


def test_a_bomb_is_inflated_piece_by_piece() -> None:
    compression = Compression()
    bomb = Compression().deflate(bytes(10_000_000))
    assert len(bomb) < 20_000
    assert len(compression.inflate(bomb, LIMIT)) == LIMIT
    assert compression.has_more
    assert len(inflated(compression, b"")) == 10_000_000 - LIMIT


@pytest.mark.parametrize("octets", [b"\xff" * 20, zlib.compressobj(9, zlib.DEFLATED, -15).flush(zlib.Z_FINISH) + b"x"])
def test_other_octets_are_an_error(octets: bytes) -> None:
    with pytest.raises(CompressionError):
        Compression().inflate(octets, LIMIT)
