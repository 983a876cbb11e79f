"""Cache fill: one response for the store and for several readers, which do not wait for each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.fields import Fields
from lab7.services.http.intermediary.cache_fill import QUICK_ABORT_OCTETS, CacheFill
from lab7.services.http.intermediary.forwarding import ConcatenatedBody
from lab7.services.http.messages import Response, StreamedBody
from lab7.services.http.server.body_stream import BUFFER_OCTETS, BodyStream
from lab7.services.http.storage.store import Store

URI = b"http://a/"
TAGGED = Response(200, Fields(((b"ETag", b'"1"'), (b"Cache-Control", b"max-age=9"))))
PIECE = b"x" * BUFFER_OCTETS


def stored(response: Response = TAGGED) -> StoredResponse:
    return StoredResponse(URI, b"GET", Fields(), 1.0, 1.0, response)


class Case:
    """A store, a source and a fill between them."""

    def __init__(self, object_octets: int = 10_000_000, size_octets: int | None = None, wanted: bool = False) -> None:
        self.store = Store(object_octets=object_octets)
        self.source = BodyStream(size_octets)
        self.closings: list[str] = []
        self.source.on_close = lambda: self.closings.append("source")
        self.wanted = wanted
        self.fill = CacheFill(self.source, self.store.begin(stored()), lambda: self.wanted)
        self.fill.on_over = lambda: self.closings.append("over")

    @property
    def kept(self) -> bytes | None:
        """Return the content in the store."""
        found = self.store.find(URI)
        return self.store.held(found[0]) if found else None


def drained(reader: StreamedBody) -> bytes:
    """Read all available octets."""
    octets = b""
    while data := reader.read(1000):
        octets += data
    return octets


@given(
    pieces=st.lists(st.binary(min_size=1, max_size=300), max_size=12),
    joins=st.lists(st.integers(0, 12), max_size=4),
    object_octets=st.integers(0, 1500),
)
def test_every_reader_gets_everything_whenever_it_joined(
    pieces: list[bytes], joins: list[int], object_octets: int
) -> None:
    case = Case(object_octets)
    read: dict[StreamedBody, bytes] = {case.fill.reader(): b""}
    case.fill.start()
    for number, piece in enumerate(pieces):
        for _ in range(joins.count(number)):
            if case.fill.joinable is not None:
                read[case.fill.reader()] = b""
        case.source.feed(piece)
        for place, reader in enumerate(read):
            if (place + number) % 2:
                read[reader] += drained(reader)
    case.source.finish()
    whole = b"".join(pieces)
    assert {read[reader] + drained(reader) for reader in read} == {whole}
    assert all(reader.read(1) == b"" for reader in read)
    assert case.kept == (whole if len(whole) <= object_octets else None)


def test_while_it_is_stored_nobody_holds_it_up() -> None:
    case = Case()
    slow, fast = case.fill.reader(), case.fill.reader()
    case.fill.start()
    for _ in range(4):
        case.source.feed(PIECE)
        assert not case.source.is_full
        assert len(drained(fast)) == BUFFER_OCTETS
    case.source.finish()
    assert len(drained(slow)) == 4 * BUFFER_OCTETS


def test_what_is_too_large_waits_for_the_slowest_and_goes_on_when_that_leaves() -> None:
    case = Case(object_octets=1000)
    slow, fast = case.fill.reader(), case.fill.reader()
    case.fill.start()
    for _ in range(4):
        case.source.feed(PIECE)
    assert case.source.is_full
    assert case.fill.joinable is None
    assert len(drained(fast)) == BUFFER_OCTETS
    slow.close()
    assert len(drained(fast)) == 3 * BUFFER_OCTETS
    assert not case.source.is_full


def test_what_breaks_off_breaks_off_for_all_and_a_part_is_kept() -> None:
    case = Case()
    readers = [case.fill.reader(), case.fill.reader()]
    case.fill.start()
    case.source.feed(b"abc")
    case.source.fail("gone")
    for reader in readers:
        assert reader.read(10) == b"abc"
        with pytest.raises(OSError, match="gone"):
            reader.read(10)
    [part] = case.store.find(URI)
    assert part.span is not None
    assert (part.span.first, part.span.last, part.span.complete_length) == (0, 2, None)
    assert case.closings == ["over"]


def test_without_a_validator_nothing_is_kept_of_what_breaks_off() -> None:
    store, source = Store(), BodyStream()
    fill = CacheFill(source, store.begin(stored(Response(200, Fields(((b"Cache-Control", b"max-age=9"),))))))
    fill.start()
    source.feed(b"abc")
    source.fail("gone")
    assert store.find(URI) == ()


def test_when_the_last_reader_leaves_so_does_the_fill() -> None:
    case = Case()
    readers = [case.fill.reader(), case.fill.reader()]
    case.fill.start()
    case.source.feed(b"abc")
    readers[0].close()
    assert case.closings == []
    readers[1].close()
    assert case.closings == ["source", "over"]


def test_it_stays_for_those_who_are_about_to_read() -> None:
    case = Case(wanted=True)
    case.fill.reader().close()
    assert case.closings == []
    late = case.fill.reader()
    case.fill.start()
    case.source.feed(b"abc")
    assert drained(late) == b"abc"


@pytest.mark.parametrize(("missing", "goes_on"), [(QUICK_ABORT_OCTETS, True), (QUICK_ABORT_OCTETS + 1, False)])
def test_what_is_nearly_here_is_kept_although_nobody_waits(missing: int, goes_on: bool) -> None:
    case = Case(size_octets=3 + missing)
    reader = case.fill.reader()
    case.fill.start()
    case.source.feed(b"abc")
    reader.close()
    assert case.fill.is_over is not goes_on


def test_a_revoked_response_is_joined_by_nobody_and_not_kept() -> None:
    case = Case()
    reader = case.fill.reader()
    case.fill.start()
    case.source.feed(b"abc")
    case.store.remove_uri(URI)
    assert case.fill.joinable is None
    case.source.finish()
    assert drained(reader) == b"abc"
    assert case.kept is None


def test_trailers_reach_the_readers() -> None:
    case = Case()
    reader = case.fill.reader()
    case.fill.start()
    trailers = Fields(((b"Digest", b"1"),))
    case.source.feed(b"abc")
    case.source.finish(trailers)
    assert drained(reader) == b"abc"
    assert reader.trailers == trailers


def test_pieces_are_one_content() -> None:
    first, second = BodyStream(3), BodyStream(2)
    pieces = ConcatenatedBody([first, second])
    told: list[int] = []
    pieces.on_more = lambda: told.append(1)
    assert pieces.size_octets == 5
    second.feed(b"de")
    assert pieces.read(10) is None
    first.feed(b"abc")
    first.finish()
    assert pieces.read(10) == b"abc"
    assert pieces.read(10) == b"de"
    assert pieces.read(10) is None
    second.finish()
    assert pieces.read(10) == b""
    assert len(told) == 4
