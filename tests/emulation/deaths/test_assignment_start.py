"""`lab7 assignment start` that is stopped by a signal: what was captured until then can be handed in."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from lab7.experiments.assignments.definition import find_assignment
from lab7.experiments.assignments.handin.record import HANDIN_NAME
from lab7.experiments.assignments.handin.task import TASK_NAME, task_text
from lab7.experiments.assignments.handin.verification import Verifier, verify
from lab7.experiments.assignments.variant import draw_variant
from tests.emulation.support import LAB7, environment, eventually

SECRET = bytes(range(32))
PATIENCE_S = 120.0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_stopped_session_is_handed_in(tmp_path: Path, number: signal.Signals) -> None:
    variant = draw_variant(find_assignment("network-tools"), SECRET, "s1")
    (tmp_path / TASK_NAME).write_text(task_text(variant, SECRET))
    output = tmp_path / "output"
    with output.open("w") as stream:
        process = subprocess.Popen(
            [str(LAB7), "assignment", "start"],
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=stream,
            stderr=subprocess.STDOUT,
            text=True,
        )
    with process:
        assert process.stdin is not None
        try:
            process.stdin.write(f"alice curl -sS http://www.campus.edu/{variant.values['page']}\n")
            process.stdin.flush()
            assert eventually(lambda: variant.nonce in output.read_text(), PATIENCE_S), output.read_text()
            process.send_signal(number)
            process.wait(PATIENCE_S)
        finally:
            process.kill()
    assert "handin.zip" in output.read_text()
    (tmp_path / "scratch").mkdir()
    verifier = Verifier(SECRET, "network-tools", ("s1",))
    found = verify(tmp_path / "work" / HANDIN_NAME, tmp_path / "scratch", verifier, "s1")
    assert found.problems == ()
