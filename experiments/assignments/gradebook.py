"""Gradebook files: CSV for Canvas and Moodle, Gradescope's results.json, JUnit XML, and feedback pages per student."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Protocol

from lab7.experiments.assignments.course.roster import Roster
from lab7.experiments.assignments.grade import Grade
from lab7.experiments.assignments.handout import to_html
from lab7.experiments.harness.results.atomic import write_atomically

# Cells that a spreadsheet would run as a formula are prefixed by an apostrophe (CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
CANVAS_LOGIN = "SIS Login ID"
CANVAS_COLUMNS = ("Student", "ID", "SIS User ID", CANVAS_LOGIN, "Section")
NO_ROSTER = Roster({})


class GradedQuestion(Protocol):
    """Interface of the columns of a gradebook: questions of an answer sheet, or stages of a program."""

    @property
    def id(self) -> str:
        """The id of the question or stage, the column's name in the gradebook."""


class GradedAssignment(Protocol):
    """Interface of assignments of all kinds for gradebooks: name, title, points, and questions or stages."""

    @property
    def name(self) -> str:
        """The name of the assignment."""

    @property
    def title(self) -> str:
        """The title of the assignment."""

    @property
    def points(self) -> float:
        """Sum of the points of all questions or stages."""

    @property
    def questions(self) -> Sequence[GradedQuestion]:
        """The questions or stages of the assignment, in order."""


def csv_text(assignment: GradedAssignment, grades: Sequence[Grade]) -> str:
    """Return all grades as CSV: one row per student, one column per question."""
    questions = [question.id for question in assignment.questions]
    rows: list[list[str]] = [["student", "earned", "possible", "late_days", *questions, "problem", "flags"]]
    for grade in grades:
        earned = {one.question: _number(one.earned) for one in grade.questions}
        total = _number(grade.earned) if grade.graded else ""
        cells = [earned.get(name, "") for name in questions]
        end = [grade.problem, "; ".join(grade.flags)]
        rows.append([grade.student, total, _number(grade.possible), str(grade.late_days), *cells, *end])
    return _csv(rows)


def canvas_csv(assignment: GradedAssignment, grades: Sequence[Grade], roster: Roster = NO_ROSTER) -> str:
    """Return the CSV that Canvas imports: five columns that identify the student, and one column for the assignment.

    Canvas Instructor Guide, "How do I import grades in the Gradebook": Student, ID, SIS User ID, SIS Login ID, Section.
    They are filled from the roster's columns of these names. SIS Login ID is the student's id if the roster has no such
    column.
    """
    rows = [[*CANVAS_COLUMNS, assignment.title], ["    Points Possible", "", "", "", "", _number(assignment.points)]]
    for grade in grades:
        if grade.graded:
            cells = {name: roster.cell(grade.student, name.casefold()) for name in CANVAS_COLUMNS}
            # In a roster of one's own the column `student` has the ids, not the names.
            if cells["Student"] == grade.student:
                cells["Student"] = roster.cell(grade.student, "student name", "name", "full name")
            cells[CANVAS_LOGIN] = cells[CANVAS_LOGIN] or grade.student
            rows.append([*cells.values(), _number(grade.earned)])
    return _csv(rows)


def moodle_csv(assignment: GradedAssignment, grades: Sequence[Grade], roster: Roster = NO_ROSTER) -> str:
    """Return the CSV for Moodle's grade import: username, email address, grade, and feedback.

    username and email address are filled from the roster's columns of these names. username is the student's id if the
    roster has no such column.
    """
    rows = [["username", "email address", assignment.title, "feedback"]]
    for grade in grades:
        if grade.graded:
            parts = [grade.late, *(f"{one.question}: {one.feedback}" for one in grade.questions)]
            user = roster.cell(grade.student, "username") or grade.student
            email = roster.cell(grade.student, "email address", "email")
            rows.append([user, email, _number(grade.earned), " | ".join(filter(None, parts))])
    return _csv(rows)


def gradescope_results(grade: Grade, show: bool = True, hidden: Collection[str] = ()) -> dict[str, Any]:
    """Return Gradescope's results.json for one submission (Gradescope, "Autograder Specifications: Output Format").

    A submission that could not be graded has no score: Gradescope then shows that the autograder failed. `hidden`: ids
    of stages that students see only after the grades are published. Ids of other students are removed from the output,
    since the student sees it.
    """
    tests = [
        {
            "name": one.question,
            "score": one.earned,
            "max_score": one.possible,
            "status": "passed" if one.earned == one.possible else "failed",
            "output": f"{one.text}\n\n{one.feedback}" if one.text else one.feedback,
            "output_format": "text",
            "visibility": "visible" if show and one.question not in hidden else "after_published",
            "tags": ["lab7"],
        }
        for one in grade.questions
    ]
    results: dict[str, Any] = {
        "output": grade.for_student("; ".join(filter(None, [grade.problem, grade.late, *grade.flags]))),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": tests,
    }
    return {**results, "score": grade.earned, "max_score": grade.possible} if grade.graded else results


def junit_xml(assignment: GradedAssignment, grades: Sequence[Grade]) -> str:
    """Return the grades as JUnit XML: a suite per student, a test case per question, an error if not graded."""
    root = ET.Element("testsuites", name=assignment.name)
    for grade in grades:
        failures = sum(one.earned < one.possible for one in grade.questions)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=grade.student,
            tests=str(len(grade.questions)),
            failures=str(failures),
            errors=str(int(not grade.graded)),
        )
        if grade.problem:
            case = ET.SubElement(suite, "testcase", name="sheet", classname=assignment.name)
            ET.SubElement(case, "error", message=_printable(grade.problem))
        for one in grade.questions:
            case = ET.SubElement(suite, "testcase", name=one.question, classname=assignment.name)
            if one.earned < one.possible:
                message = f"{one.earned:g} of {one.possible:g} points"
                ET.SubElement(case, "failure", message=message).text = _printable(one.feedback)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def json_text(grades: Sequence[Grade]) -> str:
    """Return all grades with their feedback as JSON text."""
    data = [
        {
            "student": grade.student,
            "graded": grade.graded,
            "earned": grade.earned if grade.graded else None,
            "possible": grade.possible,
            "late_days": grade.late_days,
            "late_deduction": grade.deduction,
            "problem": grade.problem,
            "flags": list(grade.flags),
            "questions": [vars(one) for one in grade.questions],
        }
        for grade in grades
    ]
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _csv(rows: Sequence[Sequence[str]]) -> str:
    output = io.StringIO()
    csv.writer(output, lineterminator="\n").writerows([[_cell(cell) for cell in row] for row in rows])
    return output.getvalue()


def _cell(text: str) -> str:
    plain = " ".join(text.split()) if "\n" in text or "\r" in text else text
    return f"'{plain}" if plain.startswith(_FORMULA) else plain


def _number(value: float) -> str:
    return f"{value:g}"


def _printable(text: str) -> str:
    """Return text without the control characters that XML 1.0 section 2.2 does not permit."""
    return "".join(letter if letter >= " " or letter in "\t\n" else "\ufffd" for letter in text)


def _folder_name(student: str) -> str:
    """Return a valid folder name for a student's feedback; if the id has other characters, the name has a digest.

    The digest prevents that two ids get the same folder.
    """
    plain = re.sub(r"[^A-Za-z0-9._@+-]", "_", student)
    return plain if plain == student else f"{plain[:100]}-{hashlib.sha256(student.encode()).hexdigest()[:8]}"


def feedback_markdown(assignment: GradedAssignment, grade: Grade) -> str:
    """Return the feedback page of a student in Markdown."""
    total = f"{_number(grade.earned)} of {_number(grade.possible)} points" if grade.graded else "not graded"
    parts = [f"# {assignment.title}: {total}", f"Student **{grade.student}**"]
    parts += [f"Not graded: {grade.for_student(grade.problem)}."] if grade.problem else []
    if grade.late and grade.graded:
        before = _number(round(sum(one.earned for one in grade.questions), 3))
        parts.append(f"**{grade.late[:1].upper()}{grade.late[1:]}** of the {before} points below.")
    for one in grade.questions:
        given = f"Your answer: `{one.given}`. " if one.given else ""
        earned = f"{_number(one.earned)} of {_number(one.possible)}"
        text = f"{one.text}\n\n" if one.text else ""
        parts.append(f"## {one.question}: {earned}\n\n{text}{given}{one.feedback[:1].upper()}{one.feedback[1:]}")
    return "\n\n".join(parts) + "\n"


def write_all(
    assignment: GradedAssignment, grades: Sequence[Grade], folder: Path, roster: Roster | None = None
) -> None:
    """Write all gradebooks into a folder, and for each student a feedback page and Gradescope's results.json.

    roster: source of the columns by which learning platforms identify students.
    """
    listed = roster or NO_ROSTER
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("grades.csv", csv_text(assignment, grades)),
        ("canvas.csv", canvas_csv(assignment, grades, listed)),
        ("moodle.csv", moodle_csv(assignment, grades, listed)),
        ("grades.json", json_text(grades)),
        ("junit.xml", junit_xml(assignment, grades)),
    ):
        write_atomically(folder / name, text)
    for grade in grades:
        place = folder / "students" / _folder_name(grade.student)
        place.mkdir(parents=True, exist_ok=True)
        page = to_html(f"{assignment.title}: {grade.student}", feedback_markdown(assignment, grade))
        write_atomically(place / "feedback.html", page)
        write_atomically(place / "results.json", json.dumps(gradescope_results(grade), indent=2) + "\n")
