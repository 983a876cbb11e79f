"""A person's own program in virtual time that would never let the run end: one sentence, and no hang."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.harness.virtual import STILL_LIMIT_S
from tests.kernel.test_virtual_time import SMALL, lab7

# Each computes until a bound of processor time.
pytestmark = pytest.mark.slow

LISTENS = "import os, socket, sys, time\nserver = socket.create_server((sys.argv[1], int(sys.argv[2])))\n"
SPINS = "server.accept()\nend = time.time() + 60\nwhile time.time() < end: pass\n"
FORKS = "server.accept()\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"
SAYS_NOTHING = "kept = []\nwhile True: kept.append(server.accept())\n"


def replaced_by(program: str, cwd: Path) -> tuple[int, str, str]:
    (cwd / "mine.py").write_text(LISTENS + program)
    done = lab7(*SMALL, "--json", "--replace", "origin=python3 mine.py {address} {port}", cwd=cwd)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("program", [SPINS, FORKS])
def test_a_program_that_stops_the_clock_ends_the_run_with_a_sentence(program: str, tmp_path: Path) -> None:
    code, _, said = replaced_by(program, tmp_path)
    assert code == 3
    assert f"it computed for {STILL_LIMIT_S:g} s while its clock stood still" in said
    assert len(said.strip().splitlines()) == 1


def test_a_program_that_never_answers_fails_its_claims(tmp_path: Path) -> None:
    code, out, said = replaced_by(SAYS_NOTHING, tmp_path)
    assert (code, said) == (1, "")
    (result,) = json.loads(out)["results"]
    verdicts = {claim["id"]: claim["verdict"] for claim in result["claims"]}
    assert verdicts["H3"] == "failed"
