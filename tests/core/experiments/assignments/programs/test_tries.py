"""Checks of a program before it is handed in: hints first, and full feedback after the tries of the assignment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lab7.experiments.assignments.cli import assignment_command
from lab7.experiments.assignments.grade import Grade, QuestionGrade
from lab7.experiments.assignments.programs import command
from lab7.experiments.assignments.programs.definition import find_program_assignment
from lab7.experiments.assignments.programs.stages import PASSED
from lab7.experiments.assignments.programs.submission import TRIES_NAME, read_submission

ASSIGNMENT = find_program_assignment("http-server")
FULL = (
    "Frame 12, octet 40 from 10.7.1.1:80: Content-Length 7 before 5 octets (RFC 9110 section 8.6: Content-Length is "
    "the number of octets of the content); correct: Content-Length: 5. Octets: 43 6f 6e 74 (Cont)."
)
HINT = "not passed. Hint: RFC 9110 section 8.6: Content-Length is the number of octets of the content."


@dataclass
class Trials:
    """Trials that fail at one stage with one feedback, in place of those in the kernel of virtual time."""

    stage: str = "content"
    feedback: str = FULL
    flags: tuple[str, ...] = ()

    def grade(self, grading: Any, submission: Any, _seed: int) -> Grade:
        ids = [stage.id for stage in grading.stages]
        passed = ids.index(self.stage)
        texts = [*[PASSED] * passed, self.feedback, *["not opened: pass the stage first"] * (len(ids) - passed - 1)]
        grades = (QuestionGrade(one, float(text == PASSED), 1, "", text) for one, text in zip(ids, texts, strict=True))
        return Grade(submission.student, passed, len(ids), tuple(grades), flags=self.flags)


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> Trials:
    found = Trials()
    monkeypatch.setattr(command, "_prepare", lambda _name: (ASSIGNMENT, None))
    monkeypatch.setattr(command, "grade_submission", found.grade)
    return found


def check(place: Path) -> Result:
    return CliRunner().invoke(assignment_command, ["check", str(place), "--assignment", "http-server"])


def content(place: Path) -> str:
    """Return the line of the stage `content` in the output of a check."""
    return next(line for line in check(place).stdout.splitlines() if line.startswith("content ("))


@pytest.mark.parametrize("whole_folder", [False, True])
def test_hints_come_first_and_full_feedback_after_two_tries(whole_folder: bool, trials: Trials, tmp_path: Path) -> None:
    assert (ASSIGNMENT.hint_tries, trials.stage) == (2, "content")
    program, lines = tmp_path / "server.py", []
    for number in range(3):
        program.write_text(f"# {number}\n")
        lines.append(content(tmp_path if whole_folder else program))
    assert all(HINT in line and "Octets" not in line and "Frame" not in line for line in lines[:2])
    assert "after 2 more changes of the program" in lines[0]
    assert "after the next change of the program" in lines[1]
    assert lines[2].endswith(f": {FULL}")


@pytest.mark.usefixtures("trials")
def test_a_program_that_has_not_changed_is_no_try(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("pass\n")
    assert all(HINT in content(tmp_path / "server.py") for _ in range(5))


def test_each_stage_has_tries_of_its_own(trials: Trials, tmp_path: Path) -> None:
    program = tmp_path / "server.py"
    for number in range(3):
        program.write_text(f"# {number}\n")
        check(program)
    trials.stage = "fields"
    program.write_text("# next\n")
    line = next(line for line in check(program).stdout.splitlines() if line.startswith("fields ("))
    assert "Hint:" in line


def test_the_tries_are_no_part_of_the_program(tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("pass\n")
    before = read_submission("s1", tmp_path, "server.py")
    (tmp_path / TRIES_NAME).write_text("{}")
    assert read_submission("s1", tmp_path, "server.py").digest([]) == before.digest([])


def test_the_end_of_a_program_is_told_at_once(trials: Trials, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("pass\n")
    trials.feedback, trials.flags = "the program ended: NameError.", ("the program ended: NameError",)
    assert content(tmp_path / "server.py").endswith("the program ended: NameError.")


def test_feedback_without_a_rule_gives_the_statement_of_the_claim_as_hint(trials: Trials, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("pass\n")
    trials.feedback = "Frame 3: the connection to 10.7.1.1:80 is refused."
    assert "Hint: Content is sent as it is, and its length is what the fields say." in content(tmp_path / "server.py")


BROKEN: Mapping[str, str] = {
    "no JSON": "{",
    "a list": "[]",
    "another form": '{"http-server": {"stages": 7}}',
    "texts": '{"http-server": {"stages": {"content": "many"}}}',
}


@pytest.mark.usefixtures("trials")
@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_of_tries_begins_anew(name: str, tmp_path: Path) -> None:
    (tmp_path / "server.py").write_text("pass\n")
    (tmp_path / TRIES_NAME).write_text(BROKEN[name])
    assert HINT in content(tmp_path / "server.py")
    assert json.loads((tmp_path / TRIES_NAME).read_text())["http-server"]["stages"] == {"content": 1}


def test_an_assignment_without_hints_says_all_at_once(
    trials: Trials, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "_prepare", lambda _name: (replace(ASSIGNMENT, hint_tries=0), None))
    (tmp_path / "server.py").write_text("pass\n")
    assert content(tmp_path / "server.py").endswith(trials.feedback)
