"""Index: lookup, order of eviction, and sums of memory and disk space."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab7.services.http.storage.index import Entry, Index, IndexLimits, head_octets
from lab7.services.http.storage.limits import LINE_OVERHEAD_OCTETS
from tests.core.services.http.storage.entries import response, same_key

HEAD = head_octets(response(b"/0", b""))


def entry(number: int, uri: bytes = b"/0", language: bytes = b"", size: int = 10, file_octets: int = 0) -> Entry:
    stored = replace(response(uri, language), name=f"{number:016x}", size_octets=size)
    return Entry(stored, 0, file_octets, b"x" * size)


def names(entries: list[Entry]) -> list[int]:
    return [int(one.stored.name, 16) for one in entries]


def found(index: Index, uri: bytes = b"/0") -> list[int]:
    return [int(stored.name, 16) for stored in index.find(uri)]


def test_the_newest_of_a_uri_is_found_first() -> None:
    index = Index(IndexLimits(), same_key)
    for number in range(3):
        assert index.add(entry(number, language=b"%d" % number)) == []
    assert found(index) == [2, 1, 0]
    assert found(index, b"/1") == []


def test_a_response_to_the_same_request_fields_takes_the_place_of_the_older() -> None:
    index = Index(IndexLimits(), same_key)
    index.add(entry(0, language=b"en"))
    index.add(entry(1, language=b"de"))
    assert names(index.add(entry(2, language=b"en"))) == [0]
    assert found(index) == [2, 1]


def test_a_response_to_another_method_takes_no_place() -> None:
    index = Index(IndexLimits(), same_key)
    index.add(entry(0))
    other = entry(1)
    other.stored = replace(other.stored, method=b"HEAD")
    assert index.add(other) == []
    assert found(index) == [1, 0]


def test_a_freshened_response_is_the_newest() -> None:
    index = Index(IndexLimits(), same_key)
    for number in range(3):
        index.add(entry(number, language=b"%d" % number))
    old = index.get(f"{0:016x}")
    assert old is not None
    fresh = replace(old.stored, response_time=2e9)
    index.replace(old, fresh, 0)
    assert found(index) == [0, 2, 1]
    assert index.find(b"/0")[0] is fresh


def test_of_too_many_variants_the_one_unused_for_longest_leaves() -> None:
    index = Index(IndexLimits(variants=3), same_key)
    for number in range(3):
        index.add(entry(number, language=b"%d" % number))
    index.touch(f"{0:016x}")
    assert names(index.add(entry(3, language=b"3"))) == [1]
    assert found(index) == [3, 2, 0]


def test_what_was_not_used_for_longest_leaves_first() -> None:
    index = Index(IndexLimits(entries=3), same_key)
    for number in range(5):
        index.add(entry(number, b"/%d" % number))
    index.touch(f"{0:016x}")
    assert names(index.make_room()) == [1, 2]
    assert found(index) == [0]


def test_heads_count_as_well_as_content() -> None:
    index = Index(IndexLimits(memory_octets=3 * (HEAD + 10)), same_key)
    for number in range(4):
        index.add(entry(number, b"/%d" % number))
    assert names(index.make_room()) == [0]
    assert index.memory_octets == 3 * (HEAD + 10)


def test_content_that_has_a_file_leaves_memory_before_any_entry_does() -> None:
    index = Index(IndexLimits(memory_octets=3 * HEAD + 10, disk_octets=1000), same_key)
    for number in range(3):
        index.add(entry(number, b"/%d" % number, file_octets=100))
    index.touch(f"{0:016x}")
    assert index.make_room() == []
    held = [number for number in range(3) if (one := index.get(f"{number:016x}")) and one.content is not None]
    assert held == [0]


def test_entries_leave_where_the_disk_is_full() -> None:
    index = Index(IndexLimits(disk_octets=250), same_key)
    for number in range(3):
        index.add(entry(number, b"/%d" % number, file_octets=100))
    assert names(index.make_room()) == [0]
    assert index.disk_octets == 200


def test_what_arrives_counts_and_is_refused_where_it_fits_in_no_case() -> None:
    index = Index(IndexLimits(memory_octets=HEAD + 100), same_key)
    index.add(entry(0))
    assert index.may_reserve(HEAD + 100, 0)
    assert not index.may_reserve(HEAD + 101, 0)
    assert not index.may_reserve(0, 1)
    index.pending_memory += 95
    assert names(index.make_room()) == [0]
    assert not index.may_reserve(HEAD + 6, 0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add", "drop", "touch", "replace", "hold", "room"]),
            st.integers(0, 9),
            st.integers(0, 3),
            st.integers(0, 300),
        ),
        max_size=60,
    )
)
def test_the_sums_are_those_of_the_entries_and_within_the_bounds(steps: list[tuple[str, int, int, int]]) -> None:
    bounds = IndexLimits(memory_octets=5 * HEAD, disk_octets=1000, entries=6, variants=2)
    index = Index(bounds, same_key)
    live: dict[str, Entry] = {}
    for count, (step, number, uri, size) in enumerate(steps):
        name = list(live)[number % len(live)] if live else ""
        known = index.get(name)
        assert known is live.get(name)
        if step == "add":
            new = entry(100 + count, b"/%d" % uri, b"%d" % number, size, size % 2 * size)
            live[new.stored.name] = new
            for gone in index.add(new):
                del live[gone.stored.name]
        elif step == "room":
            for gone in index.make_room():
                del live[gone.stored.name]
            assert index.memory_octets <= bounds.memory_octets
            assert index.disk_octets <= bounds.disk_octets
            assert len(index) <= bounds.entries
        elif known is not None and step == "drop":
            assert index.drop(name) is live.pop(name)
        elif known is not None and step == "replace":
            index.replace(known, replace(known.stored, response_time=3e9 + count), size)
        elif known is not None and step == "hold":
            index.hold(known, b"y" * size)
        elif known is not None:
            index.touch(name)
        assert len(index) == len(live)
        assert index.memory_octets == sum(one.memory_octets for one in live.values())
        assert index.disk_octets == sum(one.file_octets for one in live.values())
        for path in range(4):
            variants = index.find(b"/%d" % path)
            assert len(variants) <= bounds.variants
            expected = {one.stored.name for one in live.values() if one.stored.uri == b"/%d" % path}
            assert {stored.name for stored in variants} == expected


def test_dropping_what_is_not_there_drops_nothing() -> None:
    index = Index(IndexLimits(), same_key)
    assert index.drop(f"{1:016x}") is None
    index.touch(f"{1:016x}")
    assert len(index) == 0


@pytest.mark.parametrize("count", [0, 30])
def test_a_head_is_estimated_by_its_lines(count: int) -> None:
    stored = response()
    more = replace(stored, request_fields=stored.request_fields.adding(*((b"a", b"bc"),) * count))
    assert head_octets(more) - head_octets(stored) == count * (LINE_OVERHEAD_OCTETS + 3)
