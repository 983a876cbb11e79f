"""The commands of docs/assignments.md, typed in their order by a teacher and two students; each says what is shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from lab7.experiments.assignments.catalogue.network_tools.questions import solution
from tests.docs.reading import REPOSITORY, Command, agrees, commands
from tests.docs.sessions import run_in_terminal

pytestmark = pytest.mark.slow
GUIDE = REPOSITORY / "docs" / "assignments.md"
STUDENT, OTHER = "s1234567", "s7654321"
TIMEOUT_S = 600.0
TYPED = [one for one in commands(GUIDE) if "test_guide" in one.block.marks.get("elsewhere", "")]


class Course:
    """A folder in which the guide is typed, and what its readers do besides typing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": path, "COLUMNS": "200"}
        (folder / "roster.csv").write_text(f"student\n{STUDENT}\n{OTHER}\n")

    def type(self, one: Command, folder: Path | None = None) -> None:
        """Type a command, and compare what it says with what the guide shows below it."""
        said, code = run_in_terminal(one, folder or self.folder, self.environment, TIMEOUT_S)
        assert code == 0, f"{one.where}: {said}"
        assert agrees(one.output, said), f"{one.where} says:\n{said}"

    def fill_in(self, out: str, name: str, sheet: Path) -> None:
        """Fill in an answer sheet with the answers of the key."""
        answers = json.loads((self.folder / out / "keys" / STUDENT / "key.json").read_text())["answers"]
        text = (self.folder / out / "handouts" / STUDENT / "answers.yaml").read_text()
        assert f"assignment: {name}\n" in text
        for question, one in answers.items():
            text = text.replace(f"  {question}:\n", f"  {question}: {json.dumps(one['answer'])}\n")
        sheet.parent.mkdir(parents=True, exist_ok=True)
        sheet.write_text(text)

    def lab7(self, words: str) -> None:
        """Run a command that the guide does not show."""
        said, code = run_in_terminal(Command(TYPED[0].block, 0, words), self.folder, self.environment, TIMEOUT_S)
        assert code == 0, said


def test_the_guide_has_ten_commands_for_teachers() -> None:
    first = [one for one in TYPED if one.block == TYPED[0].block]
    assert len(first) == 10


def test_the_guide_can_be_typed(tmp_path: Path) -> None:
    course = Course(tmp_path)
    predictions = tmp_path / "predictions" / "handouts" / STUDENT
    networks = tmp_path / "networks" / "handouts" / STUDENT
    done = set()
    for one in TYPED:
        if one.text.startswith("lab7 assignment check"):
            course.fill_in("out", "http-basics", tmp_path / "submissions" / STUDENT / "answers.yaml")
        elif one.text.startswith("lab7 assignment verify"):
            course.fill_in("predictions", "http-prediction", predictions / "answers.yaml")
            for each in TYPED:
                if each.text.startswith("lab7 assignment predict"):
                    course.type(each, predictions)
                    done.add(each.line)
            (tmp_path / "submitted" / STUDENT).mkdir(parents=True)
            shutil.copy(predictions / "work" / "handin.zip", tmp_path / "submitted" / STUDENT)
        elif one.text.startswith("lab7 assignment start"):
            course.lab7("lab7 assignment build network-tools --roster roster.csv --secret secret -o networks")
            values = json.loads((networks / "task.json").read_text())["values"]
            # A pause after each command, in which a mail is relayed.
            lines = [f"{host} {command}\nalice sleep 1\n" for host, command in solution(values)]
            (networks / "commands").write_text("".join(lines) + "exit\n")
        if one.line not in done:
            course.type(one, networks if one.text.startswith("lab7 assignment start") else None)
    grades = json.loads((tmp_path / "grades" / "grades.json").read_text())
    assert [(one["student"], one["earned"]) for one in grades if one["graded"]] == [(STUDENT, grades[0]["possible"])]
    grades = json.loads((tmp_path / "prediction-grades" / "grades.json").read_text())
    assert [(one["student"], one["earned"]) for one in grades if one["graded"]] == [(STUDENT, grades[0]["possible"])]
    (tmp_path / "worked" / STUDENT).mkdir(parents=True)
    shutil.copy(networks / "work" / "handin.zip", tmp_path / "worked" / STUDENT)
    course.lab7(
        "lab7 assignment grade worked --assignment network-tools --secret secret --build networks -o worked-grades"
    )
    grades = json.loads((tmp_path / "worked-grades" / "grades.json").read_text())
    assert [(one["student"], one["earned"]) for one in grades if one["graded"]] == [(STUDENT, grades[0]["possible"])]


def test_every_assignment_is_in_the_guide() -> None:
    from lab7.experiments.assignments.definition import catalogue

    text = GUIDE.read_text(encoding="utf-8")
    assert [name for name in catalogue() if not re.search(rf"`{name}`", text)] == []
