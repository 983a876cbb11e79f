"""Assignment definition: the folder of an assignment, its settings, question texts and question functions.

    http_basics/
        assignment.toml     title, topology, parameters, interfaces of the capture, late rules
        questions.md.j2     jinja2 template in Markdown: an introduction, then one section `## q1` for each question
        questions.py        variant(draw), record(lab), and one function decorated with @question for each section

`variant` returns all that differs between students, `record` produces the traffic of a student's capture in virtual
time, and a question function returns the `Key` that it reads from that capture.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from experiments.assignments.answer_types import Answer
from topologies.emulation import user_module

if TYPE_CHECKING:
    from experiments.assignments.draw import Draw

SETTINGS_NAME, TEMPLATE_NAME, QUESTIONS_NAME = "assignment.toml", "questions.md.j2", "questions.py"
CATALOGUE = Path(__file__).resolve().parent / "catalogue"
_SECTION = re.compile(r"^## (q\w+)[^\n]*\n", re.MULTILINE)
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
# `kind` of an assignment in which a program is handed in (see programs.definition); others are answer sheets.
PROGRAM_KIND = "program"
_SETTINGS: Mapping[str, type] = {
    "name": str, "title": str, "topology": str, "parameters": dict, "interfaces": list, "late": dict, "links": str,
    "kind": str,
}  # fmt: skip


class AssignmentError(ValueError):
    """An assignment's folder is invalid; the message is one sentence with the file."""


@dataclass(frozen=True)
class Key:
    """The answer key of one question: the true answer, the frames that show it, and an explanation in Markdown."""

    answer: Answer
    frames: tuple[int, ...] = ()
    explanation: str = ""


@dataclass(frozen=True)
class Late:
    """Late rules: share of the points lost per day begun after the deadline, and the maximum number of days late."""

    per_day: float = 0.0
    days: int = 0


QuestionFunction = Callable[[Any], Key]


@dataclass(frozen=True)
class Question:
    """A question: id, points, Wireshark display filter that finds its frames, hint, and function for its key."""

    id: str
    points: float
    filter: str
    hint: str
    key: QuestionFunction


@dataclass(frozen=True)
class Assignment:
    """An assignment that was loaded from its folder."""

    name: str
    title: str
    topology: str
    parameters: Mapping[str, Any]
    interfaces: tuple[str, ...]
    late: Late
    folder: Path
    template: str
    questions: tuple[Question, ...]
    variant: Callable[[Draw], dict[str, Any]]
    record: Callable[[Any], None]
    ipv6: bool = False
    module: ModuleType | None = field(default=None, repr=False, compare=False)

    @property
    def points(self) -> float:
        """The points of all questions."""
        return sum(question.points for question in self.questions)


def question(points: float = 1, filter: str = "", hint: str = "") -> Callable[[QuestionFunction], QuestionFunction]:
    """Return a decorator for a function that computes a question's key; the question's id is the function's name.

    filter: a Wireshark display filter that leads to the answer; hint: a sentence for `lab7 assignment check`.
    """

    def mark(function: QuestionFunction) -> QuestionFunction:
        function.question = Question(function.__name__, points, filter, hint, function)  # type: ignore[attr-defined]
        return function

    return mark


def catalogue() -> dict[str, str]:
    """Return the titles of the assignments that come with lab7, by name in alphabetical order."""
    found = (read_settings(CATALOGUE / info.name) for info in pkgutil.iter_modules([str(CATALOGUE)]) if info.ispkg)
    return {settings["name"]: settings["title"] for settings in sorted(found, key=lambda one: str(one["name"]))}


def find_folder(name: str) -> Path:
    """Return the folder of an assignment of lab7, or of a path with a slash. Raises AssignmentError."""
    if "/" in name or name.startswith("."):
        folder = Path(name)
        if not (folder / SETTINGS_NAME).is_file():
            raise AssignmentError(f"{name} has no {SETTINGS_NAME}: make a folder by `lab7 assignment new NAME`")
        return folder
    folder = CATALOGUE / name.replace("-", "_")
    if not NAME.match(name) or not folder.is_dir():
        known = ", ".join(catalogue())
        raise AssignmentError(f"there is no assignment {name!r}: there are {known}; the path of a folder has a slash")
    return folder


def takes_programs(name: str) -> bool:
    """Return whether a program is handed in for an assignment, not an answer sheet. Raises AssignmentError."""
    return read_settings(find_folder(name)).get("kind") == PROGRAM_KIND


def find_assignment(name: str) -> Assignment:
    """Return an assignment of the catalogue, or from a folder (`./my-assignment`). Raises AssignmentError."""
    folder = find_folder(name)
    if takes_programs(name):
        raise AssignmentError(f"{name} has no captures and no answer sheets: a program is handed in")
    if folder.parent == CATALOGUE:
        module = importlib.import_module(f"{__package__}.catalogue.{folder.name}.{Path(QUESTIONS_NAME).stem}")
    else:
        module = user_module.load(str(folder / QUESTIONS_NAME), "defines the questions")
    return load_assignment(folder, module)


def load_assignment(folder: Path, module: ModuleType) -> Assignment:
    """Load the assignment in a folder, whose questions.py is imported already. Raises AssignmentError if invalid."""
    settings = _settings(folder)
    try:
        template = (folder / TEMPLATE_NAME).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AssignmentError(f"{folder.name}/{TEMPLATE_NAME} cannot be read ({error})") from error
    questions = tuple(_questions(module))
    sections = _SECTION.findall(template)
    names = [one.id for one in questions]
    if sorted(sections) != sorted(names) or len(set(sections)) != len(sections):
        lacking = ", ".join(sorted(set(sections) ^ set(names))) or "a section stands twice"
        raise AssignmentError(
            f"{folder.name}: {TEMPLATE_NAME} and {QUESTIONS_NAME} have different questions: {lacking}"
        )
    for name in ("variant", "record"):
        if not callable(getattr(module, name, None)):
            raise AssignmentError(f"{folder.name}/{QUESTIONS_NAME} defines no function {name}")
    late = settings.get("late", {})
    return Assignment(
        name=settings["name"],
        title=settings["title"],
        topology=settings["topology"],
        parameters=settings.get("parameters", {}),
        interfaces=tuple(settings["interfaces"]),
        late=Late(float(late.get("per_day", 0)), int(late.get("days", 0))),
        folder=folder,
        template=template,
        questions=tuple(sorted(questions, key=lambda one: sections.index(one.id))),
        variant=module.variant,
        record=module.record,
        ipv6=bool(settings.get("ipv6", False)),
        module=module,
    )


def read_settings(folder: Path) -> dict[str, Any]:
    """Return the settings of an assignment's folder, which have a name and a title. Raises AssignmentError."""
    place = f"{folder.name}/{SETTINGS_NAME}"
    try:
        settings = tomllib.loads((folder / SETTINGS_NAME).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise AssignmentError(f"{place} cannot be read ({error})") from error
    for name in ("name", "title"):
        if name not in settings:
            raise AssignmentError(f"{place} has no {name}")
    return settings


def _settings(folder: Path) -> dict[str, Any]:
    place, settings = f"{folder.name}/{SETTINGS_NAME}", read_settings(folder)
    for name in ("topology", "interfaces"):
        if name not in settings:
            raise AssignmentError(f"{place} has no {name}")
    for name, value in settings.items():
        if name in _SETTINGS and not isinstance(value, _SETTINGS[name]):
            raise AssignmentError(f"{place}: {name} must be of type {_SETTINGS[name].__name__}")
        if name not in _SETTINGS and name != "ipv6":
            raise AssignmentError(f"{place}: unknown setting {name}: there are {', '.join(_SETTINGS)}, ipv6")
    if not NAME.match(settings["name"]):
        raise AssignmentError(f"{place}: the name {settings['name']!r} must be of a-z, 0-9 and hyphens")
    return settings


def _questions(module: ModuleType) -> Iterator[Question]:
    for value in vars(module).values():
        if isinstance(found := getattr(value, "question", None), Question):
            yield found
