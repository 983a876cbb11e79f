"""Crash safety: after its process is killed, a store is usable, and all its entries are complete."""

import random
import subprocess
import sys
import time
from pathlib import Path

from lab7.services.http.storage.store import Store
from tests.core.services.http.storage.busy import URIS, expected, open_store
from tests.core.services.http.storage.entries import URI, content_of, putting, response

KILLS = 25


def kill_while_busy(directory: Path, after_s: float) -> None:
    """Start a process, and kill it with SIGKILL after some time."""
    command = [sys.executable, "-m", "tests.core.services.http.storage.busy", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as busy:
        assert busy.stdout is not None
        assert busy.stdout.readline() == "ready\n"
        time.sleep(after_s)
        busy.kill()


def check(store: Store, directory: Path) -> int:
    """Check that every entry is complete and every file belongs to one; return the number of entries."""
    entries = files = 0
    for number in range(URIS):
        for stored in store.find(URI + b"%d" % number):
            assert content_of(store, stored) == expected(stored)
            entries += 1
            files += 1 + bool(stored.size_octets)
    assert len(list(directory.glob("??/*"))) == files
    assert store.statistics.damaged == 0
    assert store.statistics.entries == entries
    return entries


def test_whenever_it_is_killed_what_is_found_is_whole(tmp_path: Path) -> None:
    directory, chance, entries, leftovers = tmp_path / "cache", random.Random(5), 0, 0
    for _ in range(KILLS):
        kill_while_busy(directory, chance.uniform(0.0, 0.1))
        before = len(list(directory.glob("??/*")))
        store = open_store(directory)
        entries += check(store, directory)
        leftovers += before - len(list(directory.glob("??/*")))
        # It takes responses as before.
        stored = putting(store, response(URI + b"after"), b"after")
        assert content_of(store, stored) == b"after"
        store.remove(stored)
        store.close()
    # The kills came in the middle of something: there was something to keep, and something to clear away.
    assert entries > KILLS
    assert leftovers > 0
