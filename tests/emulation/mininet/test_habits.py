"""Statements "as in stock Mininet" on its command line and its objects: one script, run by Mininet and by lab7."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.emulation.mininet.habits import STATEMENTS
from tests.emulation.support import PATIENCE_S, REPOSITORY, environment, lab7

SCRIPT = "tests/emulation/mininet/habits.py"


@pytest.fixture(scope="module")
def found() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the JSON that the script prints when Mininet runs it, and when lab7 does."""
    # As root of the machine only: Mininet sets kernel parameters that a user namespace does not have.
    if Path("/proc/self/uid_map").read_text().split()[:2] != ["0", "0"]:
        pytest.skip("needs root")
    stock = subprocess.run(
        [
            *(sys.executable, "-P", "-m", "lab7.topologies.emulation.sandbox"),
            *(sys.executable, SCRIPT, "lxbr"),
        ],
        cwd=REPOSITORY,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_S,
        check=False,
    )
    assert stock.returncode == 0, stock.stderr
    ours = lab7("script", "--links", "wire", SCRIPT, "lxbr", cwd=REPOSITORY)
    assert ours.returncode == 0, ours.stderr
    return json.loads(stock.stdout.splitlines()[-1]), json.loads(ours.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_script_sees_the_same(statement: str, found: tuple[dict[str, Any], dict[str, Any]]) -> None:
    stock, ours = (each[statement] for each in found)
    assert ours == stock
    # Equal for another reason than that both fail in the same way.
    assert "Error: " not in str(stock)[:40]
