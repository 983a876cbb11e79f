"""BodyStream: content is read as it was fed, within the buffer's limit, and either side can end early."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.fields import Fields
from lab7.services.http.server.body_stream import BodyStream

TRAILERS = Fields(((b"Digest", b"1"),))


@given(pieces=st.lists(st.binary(max_size=20)), limit=st.integers(1, 30))
def test_content_is_read_as_fed_in_any_pieces(pieces: list[bytes], limit: int) -> None:
    stream = BodyStream()
    read = b""
    for piece in pieces:
        stream.feed(piece)
        read += stream.read(limit) or b""
    stream.finish(TRAILERS)
    while data := stream.read(limit):
        read += data
    assert read == b"".join(pieces)
    assert stream.read(limit) == b""
    assert stream.trailers == TRAILERS


def test_the_feeder_is_told_when_there_is_room_again() -> None:
    rooms: list[int] = []
    stream = BodyStream(buffer_octets=10)
    stream.on_room = lambda: rooms.append(1)
    stream.feed(b"x" * 9)
    assert not stream.is_full
    stream.feed(b"x" * 9)
    assert stream.is_full
    stream.read(9)
    assert rooms == []
    stream.read(5)
    assert rooms == [1]
    assert not stream.is_full


def test_the_reader_is_told_of_more_of_the_end_and_of_a_break() -> None:
    calls: list[str] = []
    stream = BodyStream()
    stream.on_more = lambda: calls.append("more")
    assert stream.read(1) is None
    stream.feed(b"a")
    stream.fail("gone")
    assert calls == ["more", "more"]
    assert stream.read(5) == b"a"
    with pytest.raises(OSError, match="gone"):
        stream.read(5)
    stream.feed(b"late")
    stream.finish()
    with pytest.raises(OSError, match="gone"):
        stream.read(5)


@pytest.mark.parametrize(("is_complete", "calls"), [(True, 0), (False, 1)])
def test_the_feeder_is_told_once_of_a_reader_that_leaves_early(is_complete: bool, calls: int) -> None:
    closings: list[int] = []
    stream = BodyStream()
    stream.on_close = lambda: closings.append(1)
    if is_complete:
        stream.finish()
    stream.close()
    stream.close()
    assert len(closings) == calls
    assert stream.is_over
