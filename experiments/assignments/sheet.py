"""Answer sheets of students: a YAML parser with limits on its input, and generation of an empty sheet.

    assignment: http-basics
    student: s1234567
    answers:
      q1: 4
      q2: 12.5 ms

A sheet is untrusted input: its size, depth and number of nodes are bounded. Aliases (which can expand without bound),
tags and duplicate keys are errors. Every scalar is read as text, so that `yes`, `1:30` and `010` stay as typed. The
parser is PyYAML (YAML 1.1); error messages have the line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from lab7.experiments.assignments.answer_types import Given
from lab7.experiments.assignments.course.roster import decode_text
from lab7.experiments.harness.capture.pcapng import is_capture

SHEET_NAME = "answers.yaml"
SHEET_BYTES_MAX = 256 * 1024
DEPTH_MAX = 6
NODES_MAX = 5_000
# A question with an answer that is neither in quotes nor a list.
_ANSWER = re.compile(r"[ \t]*(q\w+)[ \t]*:[ \t]+([^\s\"'\[{].*?)\s*\Z")
_FORM = re.compile(r"^[ \t]*#[ \t]*(.+?)\n[ \t]*[\"']?(q\w+)[\"']?[ \t]*:", re.MULTILINE)


class SheetError(ValueError):
    """Unreadable answer sheet; the message is one sentence with the line number."""


@dataclass(frozen=True)
class Sheet:
    """Answer sheet of a student: answers keyed by question id; unanswered questions are omitted."""

    assignment: str
    student: str
    answers: Mapping[str, Given] = field(default_factory=dict)


class _Loader(yaml.BaseLoader):  # type: ignore[misc]
    """YAML loader that reads every scalar as text, limits the input, and rejects aliases, tags and duplicate keys."""

    nodes = 0
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a YAML node. Raises SheetError for an alias or tag, and beyond the limits of size and depth."""
        event = self.peek_event()
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            raise SheetError(
                f"line {line}: aliases (*{event.anchor}) are not supported: repeat the answer, or put it in quotes"
            )
        if getattr(event, "tag", None):
            raise SheetError(f"line {line}: tags ({event.tag}) are not supported: put the answer in quotes")
        self.nodes += 1
        self.depth += 1
        if self.nodes > NODES_MAX or self.depth > DEPTH_MAX:
            raise SheetError(f"line {line}: a sheet has at most {NODES_MAX} values, nested {DEPTH_MAX} deep")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        """Construct a dictionary from a YAML mapping. Raises SheetError for duplicate keys."""
        known: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise SheetError(f"line {key.start_mark.line + 1}: a key is a word, such as q1")
            if key.value in known:
                raise SheetError(f"line {key.start_mark.line + 1}: {key.value} stands twice: keep one of them")
            known.add(key.value)
        found: dict[object, object] = super().construct_mapping(node, deep)
        return found


def read_sheet(path: Path) -> Sheet:
    """Read a student's answer sheet from a file. Raises SheetError if it is invalid."""
    try:
        with path.open("rb") as stream:
            octets = stream.read(SHEET_BYTES_MAX + 1)
    except OSError as error:
        raise SheetError(f"{path.name} cannot be read ({error.strerror})") from error
    if is_capture(octets):
        raise SheetError(f"{path.name} is a capture, not an answer sheet: give {SHEET_NAME}")
    if octets.startswith(b"PK\x03\x04"):
        raise SheetError(f"{path.name} is a zip file or a document of an office program, not text: give {SHEET_NAME}")
    if len(octets) > SHEET_BYTES_MAX:
        raise SheetError(f"{path.name} has more than {SHEET_BYTES_MAX // 1024} KiB: hand in the answer sheet alone")
    try:
        return parse_sheet(decode_text(octets))
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise SheetError(f"{path.name}, line {line}: not text in UTF-8: save the sheet as UTF-8") from error
    except SheetError as error:
        raise SheetError(f"{path.name}, {error}") from error


def parse_sheet(text: str) -> Sheet:
    """Parse the text of an answer sheet. Raises SheetError, whose message begins with the line number."""
    loader = None
    try:
        # White space of an answer is not compared; a tab elsewhere is that of an editor, which YAML does not allow.
        loader = _Loader(text.expandtabs(2))
        data = loader.get_single_data()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise SheetError(f"line {line}: the character {error.character!r} is not allowed in YAML") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        why = f"line {line}: not YAML ({error.problem or error.context})"
        quoted = _to_quote(text.splitlines()[line - 1 : line])
        raise SheetError(f"{why}: put the text in quotes, {quoted}" if quoted else why) from error
    finally:
        if loader is not None:
            loader.dispose()
    return _sheet(data)


def _to_quote(lines: list[str]) -> str:
    """Return the first line with quotes around its answer if the answer is invalid YAML without quotes; else ""."""
    found = _ANSWER.match(lines[0]) if lines else None
    if found is None:
        return ""
    try:
        yaml.load(f"answer: {found[2]}", Loader=_Loader)
    except (yaml.YAMLError, SheetError):
        return f"{found[1]}: {_quoted(found[2])}"
    return ""


def _sheet(data: object) -> Sheet:
    if not isinstance(data, dict):
        raise SheetError("line 1: a sheet has the keys assignment, student and answers")
    unknown = sorted(set(data) - {"assignment", "student", "answers"})
    if unknown:
        raise SheetError(f"line 1: unknown key {unknown[0]!r}: a sheet has assignment, student and answers")
    names = [data.get(key) for key in ("assignment", "student")]
    if not all(isinstance(name, str) and name for name in names):
        raise SheetError("line 1: assignment and student must be filled in, as on the sheet that you were given")
    answers = data.get("answers") or {}
    if not isinstance(answers, dict):
        raise SheetError("line 1: answers has one line for each question, such as `q1: 4`")
    for name, value in answers.items():
        if isinstance(value, dict):
            raise SheetError(f"line 1: the answer to {name} is a value or a list")
    filled = {str(name): value for name, value in answers.items() if value not in ("", [], None)}
    return Sheet(str(names[0]), str(names[1]), filled)


def read_forms(path: Path) -> dict[str, str]:
    """Return question id -> expected format of the answer, from the comments before the questions of a sheet."""
    with path.open("rb") as stream:
        octets = stream.read(SHEET_BYTES_MAX)
    try:
        text = decode_text(octets)
    except UnicodeDecodeError:
        return {}
    return {name: form.strip() for form, name in _FORM.findall("\n".join(text.splitlines()))}


def blank_sheet(assignment: str, student: str, questions: Mapping[str, str]) -> str:
    """Return the text of an empty sheet; `questions` maps question id -> expected format, written as a comment."""
    lines = [f"assignment: {assignment}", f"student: {_quoted(student)}", "answers:"]
    for name, form in questions.items():
        lines += [f"  # {form}", f"  {name}:"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
