"""Store on disk: persistence over restarts, and damaged files, which are a miss and never another content."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from lab7.services.errors import ServiceError
from lab7.services.eventlog import EventLog
from lab7.services.http.fields import Fields
from lab7.services.http.storage import folder as folders
from lab7.services.http.storage import limits
from lab7.services.http.storage.folder import MARK
from lab7.services.http.storage.index import head_octets
from lab7.services.http.storage.store import Store
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

LARGE = limits.HELD_CONTENT_OCTETS * 2
Open = Callable[..., Store]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Return a function that opens a store in one directory and closes the previous one."""
    stores: list[Store] = []

    def open_store(memory_octets: int = limits.MEMORY_OCTETS, disk_octets: int = limits.DISK_OCTETS) -> Store:
        close()
        directory = tmp_path / "cache"
        opened = Store(same_key=same_key, memory_octets=memory_octets, directory=directory, disk_octets=disk_octets)
        stores.append(opened)
        return opened

    def close() -> None:
        for store in stores:
            store.close()

    yield open_store
    close()


def files(folder: Path, pattern: str = "??/*") -> list[Path]:
    return sorted((folder / "cache").glob(pattern))


@pytest.mark.parametrize("size", [0, 1, limits.HELD_CONTENT_OCTETS, LARGE])
def test_a_restart_changes_nothing(opened: Open, size: int) -> None:
    content = os.urandom(size)
    store = opened()
    stored = [putting(store, response(language=b"%d" % number), content) for number in range(3)]
    before = store.find(URI), store.statistics.disk_octets
    store = opened()
    assert (store.find(URI), store.statistics.disk_octets) == before
    for one in stored:
        assert content_of(store, one) == content
        # Once verified, once from memory or from a verified file.
        assert content_of(store, one) == content


def test_names_go_on_after_a_restart(opened: Open) -> None:
    first = putting(opened(), response(URI + b"1"))
    store = opened()
    second = putting(store, response(URI + b"2"))
    assert second.name > first.name
    assert content_of(store, first) == content_of(store, second) == b"content"


def test_a_freshened_head_is_there_after_a_restart(opened: Open) -> None:
    store = opened()
    old = putting(store, response(), b"x" * LARGE)
    fresh = replace(old, response=replace(old.response, fields=Fields(((b"ETag", b'"1"'),))), response_time=2e9)
    assert store.replace(old, fresh) == fresh
    store = opened()
    assert store.find(URI) == (fresh,)
    assert content_of(store, fresh) == b"x" * LARGE


def test_what_was_removed_stays_removed(opened: Open, tmp_path: Path) -> None:
    store = opened()
    putting(store, response(), b"x" * LARGE)
    store.remove_uri(URI)
    putting(store, response())
    putting(store, response())
    assert len(files(tmp_path)) == 2
    assert len(opened().find(URI)) == 1


def test_an_open_body_outlives_its_files(opened: Open, tmp_path: Path) -> None:
    store = opened()
    bodies = [store.open(putting(store, response(), b"x" * size)) for size in (10, LARGE)]
    store.remove_uri(URI)
    assert files(tmp_path) == []
    assert [read_all(body) for body in bodies] == [b"x" * 10, b"x" * LARGE]


def test_parts_are_read_from_a_file(opened: Open) -> None:
    store = opened()
    stored = putting(store, response(), bytes(range(256)) * (LARGE // 256))
    assert read_all(store.open(stored, 250, 260)) == bytes([*range(250, 256), *range(5)])
    assert read_all(store.open(stored, LARGE - 2)) == bytes([254, 255])
    assert read_all(store.open(stored, LARGE)) == b""


def test_small_content_is_read_from_memory_until_that_is_needed(opened: Open, tmp_path: Path) -> None:
    store = opened(memory_octets=40_000)
    first, second = (putting(store, response(URI + name), b"x" * 30_000) for name in (b"1", b"2"))
    assert store.held(first) is None
    assert store.held(second) == b"x" * 30_000
    assert content_of(store, first) == b"x" * 30_000
    assert store.held(first) == b"x" * 30_000
    assert store.held(second) is None
    assert store.statistics.entries == 2
    assert len(files(tmp_path)) == 4


def test_the_disk_holds_no_more_than_it_may(opened: Open, tmp_path: Path) -> None:
    bound = 4 * (LARGE + limits.BLOCK_OCTETS)
    store = opened(disk_octets=bound)
    stored = [putting(store, response(URI + b"%d" % number), b"x" * LARGE) for number in range(7)]
    assert [len(store.find(one.uri)) for one in stored] == [0, 0, 0, 1, 1, 1, 1]
    assert sum(file.stat().st_blocks * 512 for file in files(tmp_path)) <= bound
    assert store.statistics.disk_octets == bound
    assert not store.begin(response(), expected_octets=bound + 1).is_open
    # A smaller bound at the next start holds as well.
    store = opened(disk_octets=bound // 2)
    assert [len(store.find(one.uri)) for one in stored] == [0, 0, 0, 0, 0, 1, 1]
    assert len(files(tmp_path)) == 4


def test_files_of_what_did_not_come_to_its_end_are_removed(opened: Open, tmp_path: Path) -> None:
    store = opened()
    writer = arriving(store, response(), b"x" * LARGE)
    assert len(files(tmp_path)) == 1
    writer.abort()
    assert files(tmp_path) == []
    assert store.statistics.disk_octets == 0


def test_a_reader_follows_content_from_memory_into_its_file(opened: Open) -> None:
    store = opened()
    writer = arriving(store, response(), b"a" * 10)
    reader = writer.reader()
    assert reader.read(4) == b"aaaa"
    writer.write(b"b" * LARGE)
    assert store.statistics.memory_octets == head_octets(writer.stored)
    assert reader.read(10) == b"a" * 6 + b"b" * 4
    writer.commit()
    store.remove_uri(URI)
    assert reader.read(2 * LARGE) == b"b" * (LARGE - 4)
    assert reader.is_finished
    reader.close()


# Leftovers and damage.


def test_leftovers_of_unfinished_writes_go_at_the_start_and_other_files_stay(opened: Open, tmp_path: Path) -> None:
    stored = putting(opened(), response())
    place = tmp_path / "cache" / "00"
    for left in ("0000000000000100.content", "0000000000000200.new", "0000000000000300.head"):
        (place / left).write_bytes(b"x")
    others = [place / "notes.txt", place / "0000000000000001.content", place / "000000000000AA00.head"]
    for other in others:
        other.write_bytes(b"mine")
    assert opened().find(URI) == (stored,)
    assert files(tmp_path, "00/*") == sorted(others)


def test_an_end_between_two_steps_leaves_the_newer_response(opened: Open, tmp_path: Path) -> None:
    store = opened()
    old = putting(store, response(), b"old")
    saved = {file: file.read_bytes() for file in files(tmp_path)}
    new = putting(store, response(), b"new")
    for file, octets in saved.items():
        file.write_bytes(octets)
    store = opened()
    assert store.find(URI) == (new,)
    assert content_of(store, new) == b"new"
    assert store.open(old) is None
    assert len(files(tmp_path)) == 2


def damages(octets: bytes, step: int) -> Iterator[bytes]:
    """Yield a file truncated at every length, and with every octet (or every `step`-th) changed."""
    for place in range(0, len(octets), step):
        yield octets[:place]
        yield octets[:place] + bytes([octets[place] ^ 0x20]) + octets[place + 1 :]
        yield octets[:place] + bytes(len(octets) - place) if any(octets[place:]) else octets[:place]
    yield octets + b"x"


@pytest.mark.parametrize(("size", "step"), [(40, 1), (LARGE, 7001)])
@pytest.mark.parametrize("kind", ["head", "content"])
def test_a_torn_or_changed_file_is_a_miss(opened: Open, tmp_path: Path, size: int, step: int, kind: str) -> None:
    content = bytes(number % 250 + 1 for number in range(size))
    store = opened()
    stored = putting(store, response(), content)
    whole = {file: file.read_bytes() for file in files(tmp_path)}
    [victim] = files(tmp_path, f"??/*.{kind}")
    for damaged in damages(whole[victim], step if kind == "content" else 3):
        for file, octets in whole.items():
            file.write_bytes(octets)
        victim.write_bytes(damaged)
        store = opened()
        if kind == "head" or len(damaged) != size:
            assert store.find(URI) == ()
        assert [content_of(store, one) for one in store.find(URI)] in ([], [None])
        assert store.find(URI) == ()
        assert files(tmp_path) == []
    for file, octets in whole.items():
        file.write_bytes(octets)
    assert content_of(opened(), stored) == content


def test_a_head_under_another_name_is_a_miss(opened: Open, tmp_path: Path) -> None:
    store = opened()
    first, second = putting(store, response(URI + b"1"), b"one"), putting(store, response(URI + b"2"), b"two")
    one, two = files(tmp_path, "??/*.head")
    two.write_bytes(one.read_bytes())
    store = opened()
    assert content_of(store, first) == b"one"
    assert store.find(second.uri) == ()


def test_a_file_that_becomes_shorter_while_the_store_runs_is_a_miss(opened: Open, tmp_path: Path) -> None:
    store = opened()
    stored = putting(store, response(), b"x" * LARGE)
    [content] = files(tmp_path, "??/*.content")
    os.truncate(content, LARGE - 1)
    assert store.open(stored) is None
    assert store.find(URI) == ()
    assert store.statistics.damaged == 1


def test_a_link_is_not_followed(opened: Open, tmp_path: Path) -> None:
    store = opened()
    secret = tmp_path / "secret"
    # As long as the link itself, which no length tells from the file then.
    stored = putting(store, response(), b"x" * len(str(secret)))
    [content] = files(tmp_path, "??/*.content")
    content.rename(secret)
    content.symlink_to(secret)
    store = opened()
    assert store.find(URI) == (stored,)
    assert store.open(stored) is None
    assert secret.exists()


# Who may use a directory.


def test_a_directory_is_used_by_one_store_at_a_time(opened: Open, tmp_path: Path) -> None:
    store = opened()
    with pytest.raises(ServiceError, match="another process uses"):
        Store(same_key=same_key, directory=tmp_path / "cache")
    store.close()
    store.close()
    Store(same_key=same_key, directory=tmp_path / "cache").close()


def test_a_directory_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ServiceError, match="holds other files"):
        Store(same_key=same_key, directory=tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ServiceError, match="cannot use"):
            Store(same_key=same_key, directory=path)


def test_a_start_that_was_cut_short_is_no_hindrance(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / MARK).touch()
    assert put(opened(), response()) is not None


# A disk that takes no more.

LIMITED = """
import resource, sys
from pathlib import Path
from lab7.services.eventlog import EventLog
from lab7.services.http.storage.store import Store
from tests.core.services.http.storage.entries import *
store = Store(same_key=same_key, directory=Path(sys.argv[1]), log=EventLog(sys.stdout, lambda: 0.0))
kept = putting(store, response(URI + b"kept"), b"kept")
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
for number in range(3):
    writer = arriving(store, response(), b"x" * 150_000)
    reader = writer.reader()
    assert not writer.write(b"y" * 150_000)
    assert reader.read(300_000) == b"x" * 150_000
    assert writer.commit() is None
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
assert put(store, response(), b"small") is None
assert store.find(URI) == ()
assert store.replace(kept, kept) == kept
assert content_of(store, kept) == b"kept"
assert store.statistics.disk_failures == 5
"""


def test_a_full_disk_stores_nothing_and_says_so_once(opened: Open, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "cache")], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["not stored"]
    # A head that could not be written anew does not come back.
    assert opened().find(URI + b"kept") == ()
    assert files(tmp_path) == []


def test_a_disk_that_recovers_and_fails_again_is_told_of_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = StringIO()
    store = Store(same_key=same_key, directory=tmp_path / "cache", log=EventLog(told, lambda: 0.0))

    def full(descriptor: int, data: bytes) -> None:
        raise OSError(28, f"No space left for {len(data)} octets in {descriptor}")

    for _ in range(2):
        with monkeypatch.context() as failing:
            failing.setattr(folders, "write_all", full)
            assert put(store, response()) is None
            assert put(store, response()) is None
        assert put(store, response()) is not None
    assert told.getvalue().count("No space left") == 2
    store.close()
