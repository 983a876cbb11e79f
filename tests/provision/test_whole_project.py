"""From a clean Debian root to all experiments shown and all tests passed, by what the README says to type."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.provision.root import Root, make_base

WHOLE_TIMEOUT_S = 3600.0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Root]:
    folder = tmp_path_factory.mktemp("whole")
    disk = folder / "disk"
    disk.mkdir()
    try:
        yield Root(make_base(folder, include="make"), disk)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def told(done: subprocess.CompletedProcess[str]) -> str:
    """What there is to read if it went wrong."""
    return f"{done.stdout[-20000:]}\n{done.stderr[-5000:]}"


def test_set_up_twice(root: Root) -> None:
    first, second = root.run("scripts/provision.sh"), root.run("scripts/provision.sh")
    assert first.returncode == 0, told(first)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_make_run_shows_all(root: Root) -> None:
    done = root.run("make run", timeout_s=WHOLE_TIMEOUT_S)
    # The last line names what was not shown.
    assert done.returncode == 0, told(done)
    print(done.stdout.splitlines()[-1])


def test_make_test_passes(root: Root) -> None:
    done = root.run("make test", timeout_s=WHOLE_TIMEOUT_S)
    assert done.returncode == 0, told(done)
    print("\n".join(done.stdout.splitlines()[-40:]))
