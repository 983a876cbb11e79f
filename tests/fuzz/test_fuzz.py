"""No service fails under mutated sessions: it serves others, logs no unexpected error, keeps nothing, stops cleanly."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from tests.fuzz import script
from tests.fuzz.mutation import mutate
from tests.fuzz.process import kinds_of
from tests.fuzz.run import Report, Run, corpus_of
from tests.fuzz.services import CORPUS, FUZZED

# Seconds for each service in `make test-slow`, and the seed: the same one plays the same sessions.
SECONDS = float(os.environ.get("LAB7_FUZZ_S", "600"))
SEED = int(os.environ.get("LAB7_FUZZ_SEED", "1"))


def judge(report: Report) -> None:
    print(report.line())
    assert report.faults == {}
    assert report.sessions


@pytest.mark.parametrize("name", FUZZED)
def test_faults_of_the_past_and_a_batch_of_mutations_find_nothing(name: str, tmp_path: Path) -> None:
    with Run(name, 0, tmp_path / "faults") as run:
        judge(run.check())


@pytest.mark.slow
@pytest.mark.parametrize("name", FUZZED)
def test_a_long_run_finds_nothing(name: str) -> None:
    """The faults that it finds are in the folder `faults`, each with the command that repeats it."""
    with Run(name, SEED, Path("faults")) as run:
        judge(run.fuzz(SECONDS))


# The fuzzer itself.


@pytest.mark.parametrize("path", sorted(CORPUS.rglob("*.txt")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_corpus_is_read_and_written_without_loss(path: Path) -> None:
    sessions = script.read(path)
    assert sessions
    assert script.from_text(script.to_text(sessions)) == sessions


def test_the_same_seed_mutates_to_the_same_sessions() -> None:

    def draw(seed: int) -> list[script.Session]:
        source = Random(seed)
        return [mutate(corpus_of(fuzzed), source, fuzzed.dialect) for fuzzed in FUZZED.values() for _ in range(5)]

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_a_line_that_is_no_step_is_refused() -> None:
    for text in ("send x", "session\nsend", 'session\nwait "x"', 'send "x"', "session\nsleep"):
        with pytest.raises(ValueError, match=r"no step|no session"):
            script.from_text(text)


TRACE = """Task exception was never retrieved
future: <Task finished name='Task-7' coro=<Connection.serve() done> exception=KeyError(5)>
Traceback (most recent call last):
  File "/x/services/mail/imap/view.py", line 7, in uid
    return self._uids[number]
KeyError: 5
"""


def test_a_traceback_is_a_fault_and_two_of_one_place_are_one_kind() -> None:
    assert list(kinds_of(TRACE + TRACE.replace("5", "6"))) == ["mail/imap/view.py:uid KeyError: #"]
    assert len(kinds_of(TRACE + TRACE.replace("view", "session"))) == 2
    assert kinds_of("") == {}
    # Standard error of a service is silent: any other line counts as well.
    assert len(kinds_of("something odd\n")) == 1
