"""The form check before submission: which answers are not understood, without the key, and without judging them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from lab7.experiments.assignments.answer_forms import answer_of_form, form_fault
from lab7.experiments.assignments.answer_types import (
    Address,
    Answer,
    Choice,
    Frames,
    Given,
    Listing,
    Number,
    Predicted,
    Text,
    yes_no,
)
from lab7.experiments.assignments.cli import assignment_command
from lab7.experiments.assignments.definition import find_assignment
from lab7.experiments.assignments.handout import handout_markdown
from lab7.experiments.assignments.sheet import blank_sheet
from lab7.experiments.assignments.variant import draw_variant
from tests.core.experiments.assignments.test_answer_types import RIGHT, UNFIT, WRONG

TYPES: tuple[Answer, ...] = (
    Number(4), Number(0.03, "time", "ms"), Number(8, "size", "bytes"), Number(1e6, "rate", "Mbit/s".lower()),
    Number(0.5, "share", "%"), Number(0.5, "share"), Predicted(Number(0.03, "time", "ms"), ((0.1, 1.0),)),
    Text("GET"), Text("a.example", name=True), Address("10.0.0.1"), yes_no(True), Choice("UDP", ("TCP", "UDP")),
    Frames((4,)), Frames((4, 7)), Listing((Number(220), Number(230)), ordered=True), Listing((Address("::1"),)),
    Listing((Text("a", name=True),)),
)  # fmt: skip
FORMS = {
    "q1": "a number",
    "q2": "a frame number",
    "q3": "a number",
    "q4": "text",
    "q5": "a number in bytes",
    "q7": "a number",
    "q8": "a number in ms",
}


@pytest.mark.parametrize("answer", TYPES)
def test_the_form_of_each_type_stands_for_that_type(answer: Answer) -> None:
    found = answer_of_form(answer.form())
    assert found is not None
    assert found.form() == answer.form()


@pytest.mark.parametrize(
    "form", ["", "your answer", "one of", "a list, each one of a) x, b) y", "decided by the capture"]
)
def test_other_text_is_no_form(form: str) -> None:
    assert answer_of_form(form) is None


@pytest.mark.parametrize(("answer", "said"), [*RIGHT, *WRONG])
def test_what_is_graded_passes_whether_it_is_right_or_not(answer: Answer, said: Given) -> None:
    sample = answer_of_form(answer.form())
    assert sample is not None
    assert form_fault(sample, said) == ""


@pytest.mark.parametrize(("answer", "said"), UNFIT)
def test_what_grade_does_not_understand_is_told(answer: Answer, said: Given) -> None:
    sample = answer_of_form(answer.form())
    assert sample is not None
    assert form_fault(sample, said)


def test_each_part_of_a_list_is_checked() -> None:
    sample = answer_of_form("a list, each an IP address")
    assert sample is not None
    assert form_fault(sample, ["10.0.0.1", "ten"]) == "expected an IP address, not 'ten'"


def check(folder: Path, answers: dict[str, str], forms: dict[str, str]) -> tuple[int, str]:
    text = blank_sheet("http-basics", "s1", {one.id: forms.get(one.id, "text") for one in QUESTIONS})
    for name, answer in answers.items():
        text = text.replace(f"  {name}:\n", f"  {name}: {answer}\n")
    (folder / "answers.yaml").write_text(text)
    found = CliRunner().invoke(assignment_command, ["check", str(folder / "answers.yaml")])
    return found.exit_code, found.output


QUESTIONS = find_assignment("http-basics").questions
FILLED = {one.id: "some text" for one in QUESTIONS}
GOOD = {"q1": "6 requests", "q2": "No. 8", "q3": "200 OK", "q5": "1,234", "q7": "2", "q8": "30 ms"}


def test_check_says_what_is_not_understood(tmp_path: Path) -> None:
    code, said = check(tmp_path, {**FILLED, **GOOD, "q7": "one", "q8": "30 km"}, FORMS)
    assert code == 1
    assert said.splitlines()[:2] == [
        "q7: not understood (expected a number, not 'one')",
        "q8: not understood (unknown unit 'km': use s, ms, us, \u00b5s, \u03bcs, ns, min, h)",
    ]
    assert check(tmp_path, {**FILLED, **GOOD}, FORMS) == (
        0,
        f"s1: {len(QUESTIONS)} of {len(QUESTIONS)} questions answered\n",
    )


def test_a_form_that_check_does_not_know_is_not_ready_for_hand_in(tmp_path: Path) -> None:
    code, said = check(tmp_path, {**FILLED, **GOOD}, {**FORMS, "q7": "how many?"})
    assert code == 1
    assert "the form of q7 was not checked: keep the sheet in the folder of your hand-out" in said


@pytest.mark.parametrize(("student", "known"), [("s1", True), ("s2", False)])
def test_forms_of_a_sheet_without_comments_are_those_of_the_hand_out(student: str, known: bool, tmp_path: Path) -> None:
    assignment = find_assignment("http-basics")
    forms = {one.id: FORMS.get(one.id, "text") for one in QUESTIONS}
    variant = draw_variant(assignment, bytes(32), student)
    (tmp_path / "handout.md").write_text(handout_markdown(variant, forms))
    rows = "".join(f"  {name}: {said}\n" for name, said in {**FILLED, **GOOD, "q8": "30 km"}.items())
    (tmp_path / "answers.yaml").write_text(f"assignment: http-basics\nstudent: s1\nanswers:\n{rows}")
    found = CliRunner().invoke(assignment_command, ["check", str(tmp_path / "answers.yaml")])
    assert found.exit_code == 1
    assert ("q8: not understood (unknown unit 'km'" in found.output) == known
    assert ("was not checked" in found.output) != known
