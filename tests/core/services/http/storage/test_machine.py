"""Stateful test of the store: any sequence of operations and restarts is equivalent to a dictionary that may forget.

It may forget entries only because of its limits. A store without narrow limits forgets none.
"""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.storage import limits
from lab7.services.http.storage.store import Store, StoreReader, StoreWriter
from tests.core.services.http.storage.entries import URI, content_of, read_all, response, same_key

uris = st.integers(0, 3).map(lambda number: URI + b"%d" % number)
languages = st.sampled_from([b"en", b"de", b"fr"])
sizes = st.sampled_from([0, 1, 500, 5000, limits.HELD_CONTENT_OCTETS, limits.HELD_CONTENT_OCTETS + 1, 200_000])
choices = st.integers(0, 999)
Key = tuple[bytes, bytes]


def key_of(stored: StoredResponse) -> Key:
    return stored.uri, stored.request_fields.get(b"accept-language") or b""


@dataclass
class Arriving:
    """A writer, the octets written to it, and a reader that reads at intervals."""

    writer: StoreWriter
    reader: StoreReader
    expected: bytes
    is_revoked: bool = False
    read: bytes = b""

    def look(self, limit: int) -> None:
        while piece := self.reader.read(limit):
            self.read += piece
        assert self.read == self.expected[: len(self.read)]


class StoreMachine(RuleBasedStateMachine):
    """A store with a directory, and its model, a dictionary: key to head and content."""

    memory_octets, disk_octets, has_disk = 1 << 30, 1 << 30, True
    forgets = False

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.model: dict[Key, tuple[StoredResponse, bytes]] = {}
        self.arriving: list[Arriving] = []
        self.count = 0
        self.start()

    def start(self) -> None:
        directory = Path(self.folder.name) / "cache" if self.has_disk else None
        self.store = Store(
            same_key=same_key,
            directory=directory,
            memory_octets=self.memory_octets,
            object_octets=200_000,
            disk_octets=self.disk_octets,
        )

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def content(self, size: int) -> bytes:
        self.count += 1
        return (b"%08d" % self.count * (size // 8 + 1))[:size]

    @rule(uri=uris, language=languages)
    def begin(self, uri: bytes, language: bytes) -> None:
        self.count += 1
        writer = self.store.begin(response(uri, language, b'"%d"' % self.count))
        if writer.is_open:
            self.arriving.append(Arriving(writer, writer.reader(), b""))
        else:
            assert self.forgets

    @rule(which=choices, size=sizes, look=st.booleans())
    def write(self, which: int, size: int, look: bool) -> None:
        if not self.arriving:
            return
        one = self.arriving[which % len(self.arriving)]
        data = self.content(size)
        if one.writer.write(data):
            one.expected += data
            if look:
                one.look(7777)
                assert one.read == one.expected
            return
        assert self.forgets or len(one.expected) + size > 200_000
        self.give_up(one)

    @rule(which=choices)
    def commit(self, which: int) -> None:
        if not self.arriving:
            return
        one = self.arriving.pop(which % len(self.arriving))
        known = self.model.get(key_of(one.writer.stored))
        is_newest = known is None or known[0].name < one.writer.stored.name
        stored = one.writer.commit()
        one.look(100_000)
        assert one.reader.is_finished
        assert one.read == one.expected
        one.reader.close()
        if one.is_revoked or not is_newest:
            assert stored is None
        elif stored is not None:
            self.model[key_of(stored)] = stored, one.expected
        else:
            assert self.forgets

    @rule(which=choices)
    def abort(self, which: int) -> None:
        if self.arriving:
            one = self.arriving[which % len(self.arriving)]
            one.writer.abort()
            self.give_up(one)

    def give_up(self, one: Arriving) -> None:
        self.arriving.remove(one)
        with pytest.raises(OSError, match="truncated"):
            one.look(100_000)
        assert one.read == one.expected
        one.reader.close()

    @rule(uri=uris, language=languages, size=sizes)
    def put(self, uri: bytes, language: bytes, size: int) -> None:
        self.begin(uri, language)
        if self.arriving and self.arriving[-1].writer.stored.uri == uri and not self.arriving[-1].expected:
            last = len(self.arriving) - 1
            self.write(last, size, False)
            if len(self.arriving) > last:
                self.commit(last)

    @rule(uri=uris, language=languages)
    def freshen(self, uri: bytes, language: bytes) -> None:
        self.count += 1
        for old in self.store.find(uri):
            if key_of(old) == (uri, language):
                fields = old.response.fields.adding((b"X-Fresh", b"%d" % self.count))
                fresh = replace(old, response=replace(old.response, fields=fields), response_time=float(self.count))
                assert self.store.replace(old, fresh) == fresh
                self.model[uri, language] = fresh, self.model[uri, language][1]

    @rule(uri=uris, language=languages)
    def remove(self, uri: bytes, language: bytes) -> None:
        for stored in self.store.find(uri):
            if key_of(stored) == (uri, language):
                self.store.remove(stored)
        self.model.pop((uri, language), None)

    @rule(uri=uris)
    def invalidate(self, uri: bytes) -> None:
        self.store.remove_uri(uri)
        assert self.store.find(uri) == ()
        self.model = {key: kept for key, kept in self.model.items() if key[0] != uri}
        for one in self.arriving:
            one.is_revoked |= one.writer.stored.uri == uri

    @rule(uri=uris, first=st.integers(0, 6000), length=st.integers(1, 100_000))
    def read_part(self, uri: bytes, first: int, length: int) -> None:
        for stored in self.store.find(uri):
            content = self.model[key_of(stored)][1]
            part = read_all(self.store.open(stored, first, first + length - 1))
            assert part == content[first : first + length]

    @rule()
    def restart(self) -> None:
        for one in self.arriving:
            one.writer.abort()
        self.arriving.clear()
        self.store.close()
        if not self.has_disk:
            self.model.clear()
        self.start()

    @rule()
    def read_all(self) -> None:
        for stored, content in list(self.model.values()):
            if stored in self.store.find(stored.uri):
                assert content_of(self.store, stored) == content
                held = self.store.held(stored)
                assert held is None or held == content

    @invariant()
    def what_is_found_is_what_was_stored(self) -> None:
        found = {key_of(stored): stored for number in range(4) for stored in self.store.find(URI + b"%d" % number)}
        assert len(found) == self.store.statistics.entries
        assert all(self.model[key][0] == stored for key, stored in found.items())
        if not self.forgets:
            assert found.keys() == self.model.keys()
        # What was forgotten does not come back.
        self.model = {key: self.model[key] for key in found}
        self.see_that_the_bounds_hold()

    def see_that_the_bounds_hold(self) -> None:
        statistics = self.store.statistics
        assert statistics.memory_octets <= self.memory_octets
        assert statistics.writers == len(self.arriving)
        if self.has_disk:
            paths = list(Path(self.folder.name).glob("cache/??/*"))
            taken = sum(-(-path.stat().st_size // limits.BLOCK_OCTETS) * limits.BLOCK_OCTETS for path in paths)
            assert taken <= statistics.disk_octets <= self.disk_octets
            contents = sum(bool(content) for _, content in self.model.values())
            files_arriving = sum(len(one.expected) > limits.HELD_CONTENT_OCTETS for one in self.arriving)
            assert len(paths) == len(self.model) + contents + files_arriving
        if not self.model and not self.arriving:
            assert statistics.memory_octets == statistics.disk_octets == 0


class MemoryMachine(StoreMachine):
    """A store without a disk."""

    has_disk = False


class NarrowMachine(StoreMachine):
    """A store with space for a few entries."""

    memory_octets, disk_octets, forgets = 150_000, 400_000, True


class NarrowMemoryMachine(StoreMachine):
    """A store with space for a few entries, without a disk."""

    memory_octets, has_disk, forgets = 300_000, False, True


@pytest.mark.parametrize(
    "machine",
    [
        StoreMachine,
        NarrowMemoryMachine,
        pytest.param(MemoryMachine, marks=pytest.mark.slow),
        pytest.param(NarrowMachine, marks=pytest.mark.slow),
    ],
)
def test_a_store_is_a_dictionary_that_may_forget(machine: type[StoreMachine]) -> None:
    # A directory of a store is not made in no time.
    examples = 25 if machine.has_disk else 250
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=40, suppress_health_check=checks)
    )
