import os
from pathlib import Path

import pytest

from tests.core.services.ftp.fake_connection import NOW, FakeConnection


@pytest.fixture
def root(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    root = tmp_path / "home"
    root.mkdir()
    (root / "a.txt").write_bytes(b"one\ntwo\n")
    (root / "sub").mkdir()
    (root / "sub" / "b.bin").write_bytes(bytes(range(8)))
    (root / "out.txt").symlink_to(outside / "secret.txt")
    (root / "climbs").symlink_to("../outside")
    (root / "inside.txt").symlink_to("sub/../a.txt")
    os.utime(root / "a.txt", (NOW, NOW))
    return root


@pytest.fixture
def desk(root: Path) -> FakeConnection:
    desk = FakeConnection(root)
    desk.log_in()
    return desk


@pytest.fixture
def stranger(root: Path) -> FakeConnection:
    """A session after the greeting, before any login."""
    desk = FakeConnection(root)
    desk.greet()
    return desk
