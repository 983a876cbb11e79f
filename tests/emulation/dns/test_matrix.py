"""`lab7 matrix dns`: every client works with every name server, every resolver with every authoritative server."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.dns.matrix import QUESTIONS, columns, servers
from lab7.experiments.harness.judge.frames import read_capture
from tests.emulation.support import lab7

Cell = dict[str, Any]
pytestmark = pytest.mark.slow
ROWS = [*servers("authoritative"), *servers("local")]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, list[Cell], Path]:
    """One matrix: the exit code of its command, its cells, and where it was written."""
    folder = tmp_path_factory.mktemp("matrix")
    done = lab7("matrix", "dns", "--json", cwd=folder)
    assert done.stderr == ""
    printed = json.loads(done.stdout)
    return done.returncode, printed["cells"], folder / printed["folder"]


def test_every_question_of_every_client_meets_every_server_once(matrix: tuple[int, list[Cell], Path]) -> None:
    asked = Counter((cell["server"], cell["client"], cell["protocol"]) for cell in matrix[1])
    assert asked == Counter((row.name, column.name, column.what) for row in ROWS for column in columns())


def test_no_cell_fails(matrix: tuple[int, list[Cell], Path]) -> None:
    assert [(cell["server"], cell["evidence"]) for cell in matrix[1] if cell["verdict"] == "fail"] == []
    assert matrix[0] == 0


def test_what_is_installed_is_put_to_the_test_and_its_packets_are_cited(matrix: tuple[int, list[Cell], Path]) -> None:
    _, cells, folder = matrix
    counts = {path.name: len(read_capture(path).frames) for path in folder.glob("*.pcapng")}
    word = {(cell["server"], cell["client"], cell["protocol"]): cell for cell in cells}
    for row in ROWS:
        for column in columns():
            cell = word[row.name, column.name, column.what]
            both = row.name.startswith("resolver") and column.name.startswith("resolver")
            expected = "unsupported" if both else "pass"
            assert cell["verdict"] == (expected if row.installed and column.installed else "not installed") or both
            if cell["verdict"] == "pass":
                assert max(cell["frames"]) <= counts[cell["capture"]]


def test_a_large_answer_goes_over_tcp(matrix: tuple[int, list[Cell], Path]) -> None:
    large = [cell for cell in matrix[1] if (cell["client"], cell["protocol"]) == ("lab7", "large")]
    assert "large" in QUESTIONS
    assert ["over TCP" in cell["evidence"] for cell in large if cell["verdict"] == "pass"].count(False) == 0
    assert any(cell["verdict"] == "pass" for cell in large)
