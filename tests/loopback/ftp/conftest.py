from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.ftp.support import Server, server_process


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    root = tmp_path / "home"
    root.mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text("secret")
    (root / "out.txt").symlink_to(tmp_path / "outside" / "secret.txt")
    (root / "a.txt").write_bytes(b"one\ntwo\n")
    (root / "sub").mkdir()
    with server_process(root, tmp_path / "log", "--stall-timeout", "5", "--connect-timeout", "5") as found:
        yield found
