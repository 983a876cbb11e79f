"""Build of an assignment that needs no recording: access rights of the folders and files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.experiments.assignments.build import build
from lab7.experiments.assignments.definition import find_assignment

SECRET = bytes(range(32))


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """The usual umask, by which all users of the machine read new files."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_only_the_owner_reads_the_keys(tmp_path: Path) -> None:
    assignment, out = find_assignment("network-tools"), tmp_path / "out"
    (built,) = build(assignment, "network-tools", ["s1"], SECRET, out, None, 1, lambda _what, _share: None)
    assert built.error == ""
    keys, handout = out / "keys" / "s1", out / "handouts" / "s1"
    modes = {path: path.stat().st_mode & 0o777 for path in (keys.parent, keys, *keys.iterdir(), handout)}
    assert modes.pop(handout) == 0o755
    assert {path.name: mode for path, mode in modes.items()} == {
        "keys": 0o700,
        "s1": 0o700,
        "key.json": 0o600,
        "variant.json": 0o600,
    }
