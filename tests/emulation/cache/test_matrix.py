"""`lab7 matrix cache`: lab7's cache breaks no rule; what real ones break is known."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.cache.matrix import CHECKS, column_name, columns
from lab7.experiments.harness.judge.frames import read_capture
from tests.emulation.support import lab7

Cell = dict[str, Any]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[Cell], Path]:
    """One matrix: the exit code of its command, its cells, and where it was written."""
    folder = tmp_path_factory.mktemp("matrix")
    done = lab7("matrix", "cache", "--json", cwd=folder)
    assert done.stderr == ""
    printed = json.loads(done.stdout)
    return done.returncode, printed["cells"], folder / printed["folder"]


def test_every_cache_is_put_to_every_check_once(matrix: tuple[int, list[Cell], Path]) -> None:
    asked = Counter((cell["server"], cell["client"]) for cell in matrix[1])
    assert asked == Counter((column_name(cache, mode), check.name) for cache, mode in columns() for check in CHECKS)


@pytest.mark.parametrize("mode", ["reverse", "forward"])
def test_lab7_s_cache_breaks_no_rule(matrix: tuple[int, list[Cell], Path], mode: str) -> None:
    ours = [cell for cell in matrix[1] if cell["server"] == column_name(None, mode)]
    assert [(cell["client"], cell["evidence"]) for cell in ours if cell["verdict"] not in ("pass", "unused")] == []


def test_no_cell_fails_for_an_unknown_cause(matrix: tuple[int, list[Cell], Path]) -> None:
    failing = [cell for cell in matrix[1] if cell["verdict"] == "fail" and not cell["known_cause"]]
    assert [(cell["server"], cell["client"], cell["evidence"]) for cell in failing] == []
    assert matrix[0] == 0


def test_every_verdict_names_frames_of_its_capture(matrix: tuple[int, list[Cell], Path]) -> None:
    counts = {path.name: len(read_capture(path).frames) for path in matrix[2].glob("*.pcapng")}
    for cell in matrix[1]:
        if cell["verdict"] != "not installed":
            assert cell["frames"]
            assert max(cell["frames"]) <= counts[cell["capture"]]
