"""Store in memory: lookup, content, limits, and replacement by newer responses."""

from dataclasses import replace

import pytest

from lab7.services.http.cache.stored import ContentSpan
from lab7.services.http.fields import Fields
from lab7.services.http.ranges import Span
from lab7.services.http.storage import limits
from lab7.services.http.storage.index import head_octets
from lab7.services.http.storage.store import Store, StoreWriter
from tests.core.services.http.storage.entries import (
    URI,
    arriving,
    content_of,
    put,
    putting,
    read_all,
    response,
    same_key,
)

HEAD = head_octets(response())


@pytest.fixture
def store() -> Store:
    return Store(same_key=same_key)


def test_what_was_committed_is_found_with_its_size_and_name(store: Store) -> None:
    stored = putting(store, response(), b"content")
    assert store.find(URI) == (stored,)
    assert stored == replace(response(), size_octets=7, name=stored.name)
    assert stored.name
    assert content_of(store, stored) == b"content"
    assert store.find(b"http://www.example.com/other") == ()


def test_what_still_arrives_is_not_found(store: Store) -> None:
    writer = arriving(store, response(), b"cont")
    assert store.find(URI) == ()
    writer.abort()
    assert store.find(URI) == ()
    assert writer.commit() is None
    assert store.statistics.memory_octets == 0


@pytest.mark.parametrize("size", [0, 1, limits.HELD_CONTENT_OCTETS, limits.HELD_CONTENT_OCTETS + 1])
def test_parts_are_read_by_their_first_and_last_octet(store: Store, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    stored = putting(store, response(), content)
    for first, last in ((0, None), (0, 0), (1, None), (5, 9), (size - 1, size + 99), (size, None), (size + 1, 9)):
        if first >= 0:
            end = None if last is None else last + 1
            assert read_all(store.open(stored, first, last), 70_000) == content[first:end]


def test_several_parts_are_read_with_octets_between_them(store: Store) -> None:
    for content in (b"0123456789", b"0123456789" * 10_000):
        stored = putting(store, response(), content)
        segments: list[bytes | Span] = [b"--a\r\n", Span(2, 4), b"\r\n--b\r\n", Span(7, 7), b"\r\n"]
        expected = b"--a\r\n234\r\n--b\r\n7\r\n"
        assert read_all(store.open_segments(stored, segments), 4) == expected
        is_small = len(content) <= limits.HELD_CONTENT_OCTETS
        assert store.held(stored, segments) == (expected if is_small else None)
        assert store.held(stored) == (content if is_small else None)
        with pytest.raises(ValueError, match="is outside of"):
            store.open_segments(stored, [Span(3, len(content))])


def test_a_newer_response_to_the_same_request_takes_the_place_of_the_older(store: Store) -> None:
    old = putting(store, response(), b"old")
    german = putting(store, response(language=b"de"), b"alt")
    new = putting(store, response(), b"new")
    assert store.find(URI) == (new, german)
    assert store.open(old) is None
    assert store.held(old) is None
    assert content_of(store, new) == b"new"


def test_a_response_that_took_longer_does_not_take_the_place_of_a_newer_one(store: Store) -> None:
    slow = arriving(store, response(), b"old")
    slow_german = arriving(store, response(language=b"de"), b"alt")
    new = putting(store, response(), b"new")
    assert slow.commit() is None
    assert store.find(URI) == (new,)
    assert slow_german.commit() is not None


def test_an_open_body_outlives_its_entry(store: Store) -> None:
    body = store.open(putting(store, response(), b"old" * 1000))
    assert body is not None
    putting(store, response(), b"new")
    store.remove_uri(URI)
    store.close()
    assert read_all(body) == b"old" * 1000


def test_a_freshened_response_keeps_its_content(store: Store) -> None:
    old = putting(store, response(), b"content")
    fresh = replace(old, response=replace(old.response, fields=Fields(((b"ETag", b'"1"'), (b"Age", b"0")))))
    assert store.replace(old, fresh) == fresh
    assert store.find(URI) == (fresh,)
    assert content_of(store, fresh) == b"content"
    store.remove(old)
    assert store.find(URI) == ()
    assert store.replace(old, fresh) is None
    assert store.find(URI) == ()


def test_a_head_that_grows_counts(store: Store) -> None:
    old = putting(store, response())
    before = store.statistics.memory_octets
    longer = old.response.fields.adding((b"X-Long", b"x" * 1000))
    store.replace(old, replace(old, response=replace(old.response, fields=longer)))
    assert store.statistics.memory_octets - before == 1006 + limits.LINE_OVERHEAD_OCTETS
    store.remove_uri(URI)
    assert store.statistics.memory_octets == 0


def test_what_began_before_an_invalidation_is_not_stored(store: Store) -> None:
    writer = arriving(store, response(), b"old")
    reader = writer.reader()
    store.remove_uri(URI)
    assert writer.is_open
    assert writer.commit() is None
    assert store.find(URI) == ()
    assert reader.read(10) == b"old"
    assert reader.is_finished
    assert put(store, response(), b"new") is not None


def test_all_variants_of_a_uri_are_removed(store: Store) -> None:
    for number in range(5):
        putting(store, response(language=b"%d" % number))
    other = putting(store, response(URI + b"other"))
    store.remove_uri(URI)
    assert store.find(URI) == ()
    assert store.find(other.uri) == (other,)


def test_a_part_is_stored_where_it_is_as_long_as_it_says(store: Store) -> None:
    part = response(span=ContentSpan(10, 16, 100))
    assert put(store, part, b"conten") is None
    stored = putting(store, part, b"content")
    assert stored.span == ContentSpan(10, 16, 100)
    assert content_of(store, stored) == b"content"


def test_what_the_end_tells_is_stored_with_it(store: Store) -> None:
    writer = arriving(store, response(), b"half")
    stored = writer.commit(response(span=ContentSpan(0, 3, 8)))
    assert stored is not None
    assert stored.span == ContentSpan(0, 3, 8)
    assert store.find(URI) == (stored,)


def test_without_more_said_vary_tells_which_responses_take_whose_place() -> None:
    store = Store()
    vary = replace(response(), response=replace(response().response, fields=Fields(((b"Vary", b"Accept-Language"),))))
    german = replace(vary, request_fields=response(language=b"de").request_fields)
    first, second = putting(store, vary), putting(store, german)
    assert store.find(URI) == (second, first)
    third = putting(store, vary)
    assert store.find(URI) == (third, second)


# Bounds.


def test_content_larger_than_an_object_may_be_is_not_stored() -> None:
    store = Store(same_key=same_key, object_octets=10)
    writer = store.begin(response())
    assert writer.write(b"12345")
    assert writer.write(b"12345")
    assert not writer.write(b"6")
    assert not writer.write(b"7")
    assert writer.commit() is None
    assert store.find(URI) == ()
    assert not store.begin(response(), expected_octets=11).is_open
    assert store.begin(response(), expected_octets=10).is_open


def test_a_key_or_a_head_that_is_too_long_is_not_stored(store: Store) -> None:
    assert put(store, response(URI + b"x" * limits.URI_OCTETS)) is None
    assert put(store, response(language=b"x" * limits.HEAD_OCTETS)) is None
    assert store.statistics.memory_octets == store.statistics.entries == 0


def test_memory_holds_no_more_than_it_may() -> None:
    store = Store(same_key=same_key, memory_octets=3 * (HEAD + 1010))
    stored = [putting(store, response(URI + b"%d" % number), b"x" * 1000) for number in range(5)]
    assert [len(store.find(one.uri)) for one in stored] == [0, 0, 1, 1, 1]
    store.touch(stored[2])
    putting(store, response(URI + b"5"), b"x" * 1000)
    assert [len(store.find(one.uri)) for one in stored] == [0, 0, 1, 0, 1]
    assert store.statistics.memory_octets <= 3 * (HEAD + 1010)
    assert store.statistics.evictions == 3


def test_what_arrives_takes_no_more_than_all_the_memory() -> None:
    store = Store(same_key=same_key, memory_octets=2 * HEAD + 1000)
    first = arriving(store, response(URI + b"1"), b"x" * 600)
    second = arriving(store, response(URI + b"2"), b"x" * 600)
    assert first.is_open
    assert not second.is_open
    assert first.write(b"x" * 400)
    assert first.commit() is not None
    assert store.statistics.writers == 0


def test_a_large_response_that_cannot_be_stored_drives_nothing_out() -> None:
    store = Store(same_key=same_key, memory_octets=10 * HEAD, object_octets=20 * HEAD)
    stored = putting(store, response(URI + b"1"))
    assert not store.begin(response(), expected_octets=11 * HEAD).is_open
    assert not arriving(store, response(), b"x" * 11 * HEAD).is_open
    assert store.find(stored.uri) == (stored,)


# Reading while it arrives.


def follow(writer: StoreWriter, first: int = 0, last: int | None = None) -> tuple[list[bytes], list[str]]:
    """Read the available octets at each wake-up by the writer; return the pieces and the writer's end state."""
    reader, pieces, ends = writer.reader(first, last), list[bytes](), list[str]()

    def wake() -> None:
        try:
            while piece := reader.read(4):
                pieces.append(piece)
        except OSError:
            ends.append("aborted")
        else:
            if reader.is_finished:
                ends.append("finished")
        if ends:
            reader.close()

    reader.wake = wake
    wake()
    return pieces, ends


@pytest.mark.parametrize("large", [0, limits.HELD_CONTENT_OCTETS])
def test_a_reader_gets_what_was_there_and_then_what_comes(store: Store, large: int) -> None:
    writer = arriving(store, response(), b"x" * large + b"abcdef")
    pieces, ends = follow(writer)
    assert b"".join(pieces) == b"x" * large + b"abcdef"
    writer.write(b"ghi")
    assert pieces[-1] == b"ghi"
    assert ends == []
    writer.commit()
    assert ends == ["finished"]
    assert b"".join(pieces) == b"x" * large + b"abcdefghi"


def test_a_reader_learns_that_the_content_was_aborted(store: Store) -> None:
    writer = arriving(store, response(), b"abc")
    pieces, ends = follow(writer)
    writer.abort()
    assert (pieces, ends) == ([b"abc"], ["aborted"])


def test_a_reader_of_a_part_is_finished_when_it_has_that(store: Store) -> None:
    writer = arriving(store, response(), b"abc")
    pieces, ends = follow(writer, 1, 4)
    assert pieces == [b"bc"]
    writer.write(b"defgh")
    assert (pieces, ends) == ([b"bc", b"de"], ["finished"])


def test_a_slow_reader_gets_all_of_what_is_long_gone(store: Store) -> None:
    writer = arriving(store, response(), b"abc" * 100_000)
    reader = writer.reader()
    writer.commit()
    store.remove_uri(URI)
    pieces = []
    while not reader.is_finished:
        pieces.append(reader.read(5000))
    assert b"".join(pieces) == b"abc" * 100_000
    reader.close()
    assert reader.read(1) == b""
    with pytest.raises(ValueError, match="no longer"):
        writer.reader()


def test_closing_the_store_aborts_what_arrives(store: Store) -> None:
    writer = arriving(store, response(), b"abc")
    _, ends = follow(writer)
    store.close()
    assert ends == ["aborted"]
    assert not writer.is_open
