"""Hand-out and answer key of a student as Markdown (by jinja2), HTML (by markdown-it) and PDF (by fpdf2).

The output is reproducible: it contains no date, path or program version.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, TemplateError
from markdown_it import MarkdownIt

from lab7.experiments.assignments.definition import (
    NETWORK_KIND,
    PREDICT_KIND,
    SHEET_KIND,
    Assignment,
    AssignmentError,
    Key,
    Question,
)
from lab7.experiments.assignments.variant import Variant
from lab7.experiments.harness.template_engine import render

_HEADING = re.compile(r"^## (q\w+)[^\n]*$", re.MULTILINE)
HANDOUT_NAME = "handout.md"
# Maximum size of a hand-out that is read for its expected formats.
_BYTES_MAX = 1 << 20
_SAID_FORM = re.compile(r"^\*Answer (q\w+): (.+)\.\*$", re.MULTILINE)
_FORM = re.compile(r"<!-- form of q\w+ -->\n+")
# The creation date in the PDF is fixed, so that every build gives the same file.
PDF_DATE = datetime(2030, 1, 1, tzinfo=UTC)

# Sentences at the top of a hand-out, by kind of assignment.
_WORK = {
    SHEET_KIND: (
        "Write your answers into `answers.yaml`, each behind the colon of its question: numbers with a unit "
        "(`30.1 ms`), several answers separated by commas, text with a colon in quotes. "
        "`lab7 assignment check answers.yaml` names missing answers, and those that have not the form asked for; with "
        "`--hint` and a question's id, such as `--hint q1`, it prints a hint. Hand in the file under this name."
    ),
    PREDICT_KIND: (
        "Write your predictions into `answers.yaml`, then run `lab7 assignment predict` in this folder: it commits the "
        "predictions, which cannot be changed afterwards, and then measures. Hand in `work/handin.zip`."
    ),
    NETWORK_KIND: (
        "Run `lab7 assignment start` in this folder: it starts a network with a command line (`HOST COMMAND`, `exit`), "
        "and captures what you do there. Hand in `work/handin.zip`; each start makes it anew."
    ),
}
# Where students find more; the path is that of a checkout.
_GUIDE = "How answers are written and checked is in the section *For students* of lab7's guide `docs/assignments.md`."


def handout_markdown(variant: Variant, forms: Mapping[str, str]) -> str:
    """Return a student's hand-out in Markdown; `forms`: expected format of each answer, keyed by question id."""
    assignment = variant.assignment
    by_id = {question.id: question for question in assignment.questions}
    text = _HEADING.sub(lambda found: _heading(assignment, by_id[found[1]]), _rendered(variant))
    for name, form in forms.items():
        text = text.replace(f"<!-- form of {name} -->", f"*Answer {name}: {form}.*")
    head = (
        f"{_title(assignment, variant.student)}, "
        f"{assignment.points:g} points in {len(assignment.questions)} questions. "
        f"{_WORK[assignment.kind]} {_GUIDE}\n\n"
    )
    return head + _FORM.sub("", text).strip() + "\n"


def _title(assignment: Assignment, student: str) -> str:
    return f"# {assignment.title}\n\nStudent **{student}**"


def handout_forms(assignment: Assignment, student: str, folder: Path) -> dict[str, str]:
    """Return question id -> expected format of the answer as text, from a student's hand-out in a folder.

    The result is empty if the folder has no hand-out of this student and assignment.
    """
    try:
        with (folder / HANDOUT_NAME).open("rb") as stream:
            text = stream.read(_BYTES_MAX).decode("utf-8", "replace")
    except OSError:
        return {}
    return dict(_SAID_FORM.findall(text)) if text.startswith(f"{_title(assignment, student)},") else {}


def _heading(assignment: Assignment, question: Question) -> str:
    number = assignment.questions.index(question) + 1
    points = f"{question.points:g} point{'s' if question.points != 1 else ''}"
    return f"## {number}. ({question.id}, {points})\n\n<!-- form of {question.id} -->\n"


def _rendered(variant: Variant) -> str:
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    try:
        return environment.from_string(variant.assignment.template).render(**variant.values)
    except TemplateError as error:
        raise AssignmentError(f"{variant.assignment.name}: the question template fails ({error})") from error


def question_texts(variant: Variant) -> dict[str, str]:
    """Return the texts of the questions in a student's hand-out, in Markdown, keyed by question id."""
    _, *parts = _HEADING.split(_rendered(variant))
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}


def key_markdown(variant: Variant, keys: Mapping[str, Key]) -> str:
    """Return the answer key of a student in Markdown, with explanation, frames and display filter of each question."""
    assignment = variant.assignment
    parts = [f"# Key: {assignment.title}\n\nStudent **{variant.student}**\n"]
    for number, question in enumerate(assignment.questions, 1):
        key = keys[question.id]
        frames = ", ".join(map(str, key.frames)) or "none"
        found = [f"## {number}. ({question.id}, {question.points:g} points)", f"Answer: **{key.answer.shown()}**"]
        found += [key.explanation] if key.explanation else []
        found += [f"Frames: {frames}", f"Display filter: `{display_filter(question, key)}`"]
        parts.append("\n\n".join(found) + "\n")
    return "\n".join(parts)


def display_filter(question: Question, key: Key) -> str:
    """Return a question's Wireshark display filter; if it has none, a filter for the frames in its answer key."""
    return question.filter or " || ".join(f"frame.number == {number}" for number in key.frames[:12])


def to_html(title: str, markdown: str) -> str:
    """Return Markdown text as a self-contained HTML page; raw HTML in the text is escaped."""
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(_without_comments(markdown))
    return render("handout.html.j2", title=title, body=body)


def write_pdf(path: Path, title: str, markdown: str) -> bool:
    """Write a PDF of Markdown text; return False if fpdf2 (the extra `handouts`) is not installed."""
    try:
        from fpdf import FPDF
        from fpdf.fonts import FontFace
    except ImportError:
        return False
    document: Any = FPDF(format="A4")
    document.set_creation_date(PDF_DATE)
    document.set_title(title)
    document.set_margin(20)
    document.add_page()
    document.set_font("helvetica", size=11)
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(_without_comments(markdown))
    # The core fonts of PDF have only the characters of Windows-1252.
    printable = body.encode("cp1252", "xmlcharrefreplace").decode("cp1252")
    document.write_html(printable, tag_styles={"code": FontFace(family="courier", size_pt=10)})
    path.write_bytes(bytes(document.output()))
    return True


def _without_comments(markdown: str) -> str:
    return re.sub(r"<!--.*?-->\n?", "", markdown, flags=re.DOTALL)
