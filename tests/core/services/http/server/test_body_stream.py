"""Content between two connections: what is fed is read, bounded, and who ends first is heard of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.http.fields import Fields
from services.http.server.body_stream import Arrival

TRAILERS = Fields(((b"Digest", b"1"),))


@given(pieces=st.lists(st.binary(max_size=20)), limit=st.integers(1, 30))
def test_what_is_fed_is_read_in_any_pieces(pieces: list[bytes], limit: int) -> None:
    arrival = Arrival()
    read = b""
    for piece in pieces:
        arrival.feed(piece)
        read += arrival.read(limit) or b""
    arrival.finish(TRAILERS)
    while data := arrival.read(limit):
        read += data
    assert read == b"".join(pieces)
    assert arrival.read(limit) == b""
    assert arrival.trailers == TRAILERS


def test_the_feeder_is_told_when_there_is_room_again() -> None:
    rooms: list[int] = []
    arrival = Arrival(held_octets=10)
    arrival.on_room = lambda: rooms.append(1)
    arrival.feed(b"x" * 9)
    assert not arrival.is_full
    arrival.feed(b"x" * 9)
    assert arrival.is_full
    arrival.read(9)
    assert rooms == []
    arrival.read(5)
    assert rooms == [1]
    assert not arrival.is_full


def test_the_reader_is_told_of_more_of_the_end_and_of_a_break() -> None:
    told: list[str] = []
    arrival = Arrival()
    arrival.on_more = lambda: told.append("more")
    assert arrival.read(1) is None
    arrival.feed(b"a")
    arrival.fail("gone")
    assert told == ["more", "more"]
    assert arrival.read(5) == b"a"
    with pytest.raises(OSError, match="gone"):
        arrival.read(5)
    arrival.feed(b"late")
    arrival.finish()
    with pytest.raises(OSError, match="gone"):
        arrival.read(5)


@pytest.mark.parametrize(("is_complete", "told"), [(True, 0), (False, 1)])
def test_the_feeder_is_told_once_of_a_reader_that_leaves_early(is_complete: bool, told: int) -> None:
    closings: list[int] = []
    arrival = Arrival()
    arrival.on_close = lambda: closings.append(1)
    if is_complete:
        arrival.finish()
    arrival.close()
    arrival.close()
    assert len(closings) == told
    assert arrival.is_over
