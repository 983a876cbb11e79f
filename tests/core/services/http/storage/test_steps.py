"""Crash after any step: each call that changes a file is in turn the last one of the process."""

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab7.services.http.cache.stored import StoredResponse
from lab7.services.http.storage import folder, limits
from lab7.services.http.storage import store as storage_store
from lab7.services.http.storage.store import Store
from tests.core.services.http.storage.entries import URI, content_of, putting, response, same_key

LARGE = limits.HELD_CONTENT_OCTETS + 100
CHANGING = ("open", "write", "rename", "unlink")


class EndedError(BaseException):
    """The simulated end of the process, which no code may handle."""


class Mortal:
    """A substitute of os that ends the process after that many changing calls, and truncates the last write."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.names = SimpleNamespace(**{name: getattr(os, name) for name in dir(os) if not name.startswith("_")})
        for name in CHANGING:
            setattr(self.names, name, self.wrapped(name, getattr(os, name)))

    def wrapped(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def limited(*args: Any) -> Any:
            self.steps -= 1
            if self.steps == 0 and name == "write":
                call(args[0], args[1][: len(args[1]) // 2])
            if self.steps <= 0:
                raise EndedError
            return call(*args)

        return limited


def put_another(store: Store, old: StoredResponse, size: int) -> None:
    putting(store, response(tag=b'"2"'), b"b" * size)
    assert store.find(URI) != (old,)


def freshen(store: Store, old: StoredResponse, size: int) -> None:
    assert old.size_octets == size
    store.replace(old, replace(old, response_time=2e9))


def remove(store: Store, old: StoredResponse, size: int) -> None:
    assert old.size_octets == size
    store.remove(old)


def ended_after(steps: int, act: Callable[[], None], patch: pytest.MonkeyPatch) -> bool:
    """Call a function with a limit of steps; return True where it completed."""
    with patch.context() as mortal:
        names = Mortal(steps).names
        mortal.setattr(folder, "os", names)
        mortal.setattr(storage_store, "os", names)
        try:
            act()
        except EndedError:
            return False
    return True


@pytest.mark.parametrize("act", [put_another, freshen, remove])
@pytest.mark.parametrize("size", [0, 10, LARGE])
def test_an_end_after_any_step_leaves_what_was_before_or_what_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Store, StoredResponse, int], None], size: int
) -> None:
    outcomes: list[tuple[StoredResponse, ...]] = []
    for steps in range(1, 100):
        directory = tmp_path / str(steps)
        store = Store(same_key=same_key, directory=directory)
        old = putting(store, response(tag=b'"1"'), b"a" * size)
        is_done = ended_after(steps, partial(act, store, old, size), monkeypatch)
        # As the kernel does; close() would tidy up.
        assert store.folder is not None
        store.folder.close()
        store = Store(same_key=same_key, directory=directory)
        found = store.find(URI)
        outcomes.append(found)
        for one in found:
            letter = b"a" if one.response.fields.get(b"etag") == b'"1"' else b"b"
            assert content_of(store, one) == letter * size
        assert len(list(directory.glob("??/*"))) == len(found) * (1 + bool(size))
        store.close()
        if is_done:
            break
    # Before, up to one step, and after from then on; never neither of them in between.
    turn = outcomes.index(outcomes[-1])
    assert 0 < turn < len(outcomes)
    assert outcomes == [(old,)] * turn + [outcomes[-1]] * (len(outcomes) - turn)
    assert outcomes[-1] != (old,)
