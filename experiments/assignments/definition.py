"""Definition of an assignment as a folder: settings, question texts, and functions that compute the answer keys.

    http_basics/
        assignment.toml     title, topology, parameters, interfaces of the capture, deduction for late submissions
        questions.md.j2     jinja2 template in Markdown: an introduction, then one section `## q1` for each question
        questions.py        variant(draw), record(lab), and one function decorated with @question for each section

`variant` draws the parameters that differ between students from a random generator, and returns them. `record` produces
the traffic of a student's capture by commands on the hosts of an emulated network. A function decorated with @question
computes the answer `Key` of one question from that capture.

The setting `kind` is one of

    sheet       (default) a capture is handed out, and answers about it are handed in
    predict     predicted numbers are handed in before lab7 measures them on the student's machine
    network     a network to work in is handed out, and the student's own capture of the work is graded
    program     a program is handed in (see programs.definition)

For the kind `predict`, the table [bands] gives pairs: maximum relative error of a prediction, and the fraction of the
points that it earns. A question without a line of its own has the pairs of `default`:

    [bands]
    default = [[0.02, 1.0], [0.10, 0.5]]    # all points up to an error of 2 %, half of them up to 10 %
    q1 = [[0.0, 1.0]]                       # points for the exact number only
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lab7.experiments.assignments.answer_types import Answer
from lab7.experiments.harness.catalogue.suggestion import did_you_mean
from lab7.topologies.emulation import user_module

if TYPE_CHECKING:
    from lab7.experiments.assignments.draw import Draw

SETTINGS_NAME, TEMPLATE_NAME, QUESTIONS_NAME = "assignment.toml", "questions.md.j2", "questions.py"
CATALOGUE = Path(__file__).resolve().parent / "catalogue"
_SECTION = re.compile(r"^## (q\w+)[^\n]*\n", re.MULTILINE)
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}\Z")
SHEET_KIND, PREDICT_KIND, NETWORK_KIND, PROGRAM_KIND = "sheet", "predict", "network", "program"
KINDS = (SHEET_KIND, PREDICT_KIND, NETWORK_KIND, PROGRAM_KIND)
# Kinds whose hand-out has a task file (handin.task), and the command that a student runs with it.
KINDS_WITH_TASK = {PREDICT_KIND: "predict", NETWORK_KIND: "start"}
DEFAULT_BANDS = "default"
_SETTINGS: Mapping[str, type] = {
    "name": str, "title": str, "topology": str, "parameters": dict, "interfaces": list, "late": dict, "links": str,
    "kind": str, "bands": dict,
}  # fmt: skip
Bands = tuple[tuple[float, float], ...]


class AssignmentError(ValueError):
    """Invalid assignment folder, build or hand-in; the message is one sentence with its name."""


@dataclass(frozen=True)
class Key:
    """Answer key of one question: the true answer, numbers of the frames that show it, and a Markdown explanation."""

    answer: Answer
    frames: tuple[int, ...] = ()
    explanation: str = ""


@dataclass(frozen=True)
class Late:
    """Rules for late submissions: fraction of the points lost per day begun, and maximum number of days late."""

    per_day: float = 0.0
    days: int = 0


QuestionFunction = Callable[[Any], Key]


@dataclass(frozen=True)
class Question:
    """Question of an assignment: id, points, Wireshark display filter, hint, and the function for its answer key."""

    id: str
    points: float
    filter: str
    hint: str
    key: QuestionFunction


@dataclass(frozen=True)
class Assignment:
    """Assignment as loaded from its folder: settings, question template, and the functions in questions.py."""

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
    kind: str = SHEET_KIND
    bands: Mapping[str, Bands] = field(default_factory=dict)
    module: ModuleType | None = field(default=None, repr=False, compare=False)

    @property
    def points(self) -> float:
        """Sum of the points of all questions."""
        return sum(question.points for question in self.questions)


def question(points: float = 1, filter: str = "", hint: str = "") -> Callable[[QuestionFunction], QuestionFunction]:
    """Return a decorator that registers a function as the question with the function's name (q1, q2, ...) as its id.

    The function computes the question's answer key. filter: a Wireshark display filter that leads to the answer; hint:
    a sentence for `lab7 assignment check`.
    """

    def mark(function: QuestionFunction) -> QuestionFunction:
        function.question = Question(function.__name__, points, filter, hint, function)  # type: ignore[attr-defined]
        return function

    return mark


def catalogue() -> dict[str, str]:
    """Return the assignments that come with lab7 as name -> title, in alphabetical order."""
    found = (read_settings(CATALOGUE / info.name) for info in pkgutil.iter_modules([str(CATALOGUE)]) if info.ispkg)
    return {settings["name"]: settings["title"] for settings in sorted(found, key=lambda one: str(one["name"]))}


def find_folder(name: str) -> Path:
    """Return an assignment's folder: of lab7's catalogue for a name, or the path itself for a text with a slash.

    Raises AssignmentError.
    """
    if "/" in name or name.startswith("."):
        folder = Path(name)
        if not (folder / SETTINGS_NAME).is_file():
            raise AssignmentError(f"{name} has no {SETTINGS_NAME}: make a folder by `lab7 assignment new NAME`")
        return folder
    folder = CATALOGUE / name.replace("-", "_")
    if not NAME.match(name) or not folder.is_dir():
        known = catalogue()
        raise AssignmentError(
            f"there is no assignment {name!r}{did_you_mean(name, known)}: there are {', '.join(known)}; the path of a "
            "folder has a slash"
        )
    return folder


def takes_programs(name: str) -> bool:
    """Return True if students hand in a program for the assignment. Raises AssignmentError."""
    return kind_of(name) == PROGRAM_KIND


def kind_of(name: str) -> str:
    """Return the kind of an assignment: sheet, predict, network or program. Raises AssignmentError."""
    return str(read_settings(find_folder(name)).get("kind", SHEET_KIND))


def find_assignment(name: str) -> Assignment:
    """Return an assignment by its catalogue name, or by its folder (`./my-assignment`). Raises AssignmentError."""
    folder = find_folder(name)
    if takes_programs(name):
        raise AssignmentError(
            f"{name} has no captures and no answer sheets: a program is handed in, and "
            f"`lab7 assignment handout {name} -o FOLDER` writes its hand-out"
        )
    if folder.parent == CATALOGUE:
        module = importlib.import_module(f"{__package__}.catalogue.{folder.name}.{Path(QUESTIONS_NAME).stem}")
    else:
        module = user_module.load(str(folder / QUESTIONS_NAME), "defines the questions")
    return load_assignment(folder, module)


def load_assignment(folder: Path, module: ModuleType) -> Assignment:
    """Return the assignment in a folder. Raises AssignmentError if it is invalid.

    `module`: the questions.py of the folder, already imported.
    """
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
    # The students of a network do what `record` does elsewhere.
    for name in ("variant",) if settings.get("kind") == NETWORK_KIND else ("variant", "record"):
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
        record=getattr(module, "record", _nothing),
        ipv6=bool(settings.get("ipv6", False)),
        kind=settings.get("kind", SHEET_KIND),
        bands=_bands(settings, names, f"{folder.name}/{SETTINGS_NAME}"),
        module=module,
    )


def _nothing(_lab: Any) -> None:
    """Produce no traffic: the default of record() for an assignment in which students produce the traffic."""


def _bands(settings: Mapping[str, Any], questions: Sequence[str], place: str) -> dict[str, Bands]:
    """Return the tolerance bands of each question, keyed by id; empty unless the kind is `predict`.

    A band is a pair (maximum relative error, fraction of the points). Raises AssignmentError.
    """
    given = settings.get("bands", {})
    if settings.get("kind") != PREDICT_KIND:
        if given:
            raise AssignmentError(f'{place}: bands are for kind = "{PREDICT_KIND}" alone')
        return {}
    if unknown := sorted(set(given) - {DEFAULT_BANDS, *questions}):
        raise AssignmentError(f"{place}: bands of {unknown[0]}, which is not a question")
    for name, bands in given.items():
        pairs = isinstance(bands, list) and all(isinstance(one, list) and len(one) == 2 for one in bands)
        numbers = pairs and all(isinstance(value, int | float) for one in bands for value in one)
        if not numbers or not bands or any(low < 0 or not 0 < share <= 1 for low, share in bands):
            raise AssignmentError(
                f"{place}: the bands of {name} must be pairs of a distance and a share of the points, "
                "for example [[0.02, 1.0], [0.1, 0.5]]"
            )
    lacking = [name for name in questions if name not in given and DEFAULT_BANDS not in given]
    if lacking:
        raise AssignmentError(f"{place}: no bands for {lacking[0]}: set {DEFAULT_BANDS} in [bands]")
    return {
        name: tuple((float(low), float(share)) for low, share in sorted(given.get(name, given.get(DEFAULT_BANDS))))
        for name in questions
    }


def read_settings(folder: Path) -> dict[str, Any]:
    """Read assignment.toml in a folder; require a name and a title. Raises AssignmentError."""
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
    if settings.get("kind", SHEET_KIND) not in KINDS:
        raise AssignmentError(f"{place}: kind must be one of {', '.join(KINDS)}")
    return settings


def _questions(module: ModuleType) -> Iterator[Question]:
    for value in vars(module).values():
        if isinstance(found := getattr(value, "question", None), Question):
            yield found
