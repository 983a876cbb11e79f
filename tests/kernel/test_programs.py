"""A person's own program in virtual time that would never let the run end: one sentence, and no hang."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab7.experiments.harness.virtual_time.kernel_run import VIRTUAL_LIMIT_S
from tests.emulation.wrong.support import program
from tests.kernel.test_virtual_time import SMALL, lab7

# Each starts a network; those that stop the clock compute until a bound of processor time, which is shorter here.
pytestmark = pytest.mark.slow
LIMIT_S = 8
SHORTER = {"LAB7_STILL_LIMIT": str(LIMIT_S)}

LISTENS = "import os, socket, sys, time\nserver = socket.create_server((sys.argv[1], int(sys.argv[2])))\n"
SPINS = "server.accept()\nend = time.time() + 60\nwhile time.time() < end: pass\n"
FORKS = "server.accept()\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"
NEVER_ENDS = "import time\ntime.sleep(1e9)\n"
SAYS_NOTHING = "kept = []\nwhile True: kept.append(server.accept())\n"


def replaced_by(program: str, cwd: Path) -> tuple[int, str, str]:
    (cwd / "mine.py").write_text(program)
    words = [*SMALL, "--json", "--replace", "origin=python3 mine.py {address} {port}"]
    done = lab7(*words, cwd=cwd, changes=SHORTER)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("program", [SPINS, FORKS])
def test_a_program_that_stops_the_clock_ends_the_run_with_a_sentence(program: str, tmp_path: Path) -> None:
    code, _, said = replaced_by(LISTENS + program, tmp_path)
    assert code == 3
    assert f"no progress of the virtual clock in {LIMIT_S} s of processor time" in said
    assert len(said.strip().splitlines()) == 1


def test_a_program_that_never_answers_fails_its_claims(tmp_path: Path) -> None:
    code, out, said = replaced_by(LISTENS + SAYS_NOTHING, tmp_path)
    assert (code, said) == (1, "")
    (result,) = json.loads(out)["results"]
    verdicts = {claim["id"]: claim["verdict"] for claim in result["claims"]}
    assert verdicts["H3"] == "failed"


def test_a_program_that_never_listens_ends_the_run_with_a_sentence(tmp_path: Path) -> None:
    code, _, said = replaced_by(NEVER_ENDS, tmp_path)
    assert code == 3
    assert "python3 mine.py" in said
    assert len(said.strip().splitlines()) == 1


def test_a_command_that_waits_for_ever_ends_on_the_kernels_clock(tmp_path: Path) -> None:
    """Waiting takes no time: the bound of virtual time ends it, and not one of the machine's."""
    done = lab7("exec", "--time", "virtual", "web", "client", "--", "sleep", "infinity", cwd=tmp_path)
    assert done.returncode == 3
    assert f"not ended after {VIRTUAL_LIMIT_S:g} s of its own clock" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_program_that_does_not_start_has_an_exit_code_and_an_object_of_its_own(tmp_path: Path) -> None:
    code, out, said = replaced_by("print('begun')\nraise ValueError('no such folder')\n", tmp_path)
    error = json.loads(out)["error"]
    assert (code, error["kind"], error["exit_status"]) == (4, "program-not-started", 1)
    assert said.startswith("lab7: `python3 mine.py ")
    assert "before it listened on port 80: ValueError: no such folder" in said
    assert len(said.strip().splitlines()) == 1
    assert "begun\n" in (tmp_path / error["output"]).read_text()


MTA_FLAGS = (
    "--domain {domain} --accounts {folder}/accounts --maildirs {maildirs} --hostname {hostname} --queue {folder}/queue "
    "--listen {address} --port {port} --submission-port {submission_port} --retry {retry} --expire {expire}"
)


@pytest.mark.parametrize("fault", ["lf", "no-hyphens", "data-250"])
def test_a_mail_server_that_replies_wrongly_is_not_awaited_at_each_step(fault: str, tmp_path: Path) -> None:
    server = program("smtp_server.py", fault, MTA_FLAGS)
    words = ["run", "mail-story", "--time", "virtual", "--json", "--again", "0", "--repeat", "1"]
    words += [word for name in ("rtt=10ms", "near=4ms", "far=4ms", "names=4ms") for word in ("--set", name)]
    done = lab7(*words, "--replace", f"mta={server}", cwd=tmp_path)
    (result,) = json.loads(done.stdout)["results"]
    assert done.returncode == 1
    assert len(result["violations"]) == 1
    # Each of six steps waits 3 s; a wait for a message that nothing contradicts has 20 s.
    assert result["duration_s"] < 25
