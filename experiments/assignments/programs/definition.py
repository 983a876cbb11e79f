"""Definition of an assignment in which students write a server: the experiment that tests it, and the graded stages.

    kind = "program"
    name = "http-server"
    title = "An HTTP server"
    experiment = "exercise.py"          # a file of the folder that defines EXPERIMENT, or an experiment of lab7
    role = "origin"                     # the experiment's server whose place the student's program takes
    file = "server.py"                  # the file that a student hands in
    command = "python3 {file} --port {port} --root {root}"
    sender = "10.7.1.1:80"              # address and port of the program; messages from there are checked by `rules`

    hint_tries = 2                      # checks in which a failed stage gets only a hint (default: 0)

    [parameters]                        # parameters of the experiment
    [check]                             # values of parameters that `lab7 assignment check` uses instead

    [[stages]]
    id = "get"
    title = "Answers GET"
    points = 2
    claims = ["S1"]                     # ids of statements about the server that the capture must confirm
    rules = ["http-status-line"]        # requirements of RFCs that every message of the program must meet
    hidden = false                      # true: not tested by `check`, only for the grade
    hint = ""                           # text added to the hint on this stage, which names the broken rule or claim

A stage is graded only if the previous stage is passed. In `command`, `{file}` is the student's file; the other
variables, such as `{port}`, get their values from the experiment (as in `lab7 run --replace ROLE=COMMAND`).

With `extends = "http-server"`, settings that are missing are taken from that assignment of lab7. The stages of that
assignment come first, except those with an id in `without`. A course keeps its own stages and test cases (see
programs.exercise.extended) in a folder that is not handed out.
"""

from __future__ import annotations

import importlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from lab7.experiments.analysis.inspection import rules
from lab7.experiments.assignments.definition import (
    CATALOGUE,
    NAME,
    PROGRAM_KIND,
    SETTINGS_NAME,
    AssignmentError,
    Late,
    find_folder,
    read_settings,
)
from lab7.experiments.harness.discovery import all_experiments
from lab7.experiments.harness.experiment import Experiment
from lab7.topologies.emulation import user_module

_REQUIRED: Mapping[str, type] = {
    "name": str, "title": str, "experiment": str, "role": str, "file": str, "command": str, "stages": list,
}  # fmt: skip
_OPTIONAL: Mapping[str, type] = {
    "kind": str, "sender": str, "parameters": dict, "check": dict, "late": dict, "hint_tries": int, "extends": str,
    "without": list,
}  # fmt: skip
_STAGE: Mapping[str, type | tuple[type, ...]] = {
    "id": str, "title": str, "points": (int, float), "claims": list, "rules": list, "hidden": bool,
    "hint": str,
}  # fmt: skip


@dataclass(frozen=True)
class Stage:
    """Stage of a program assignment: points, and the claims and message rules that a program must satisfy to pass.

    hidden: the stage is not decided by `lab7 assignment check`, but only for the grade.
    """

    id: str
    title: str
    points: float
    claims: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    hidden: bool = False
    hint: str = ""


@dataclass(frozen=True)
class ProgramAssignment:
    """Program assignment as loaded from its folder: settings, the experiment that tests a program, and stages.

    sender: address and port of the program under test, whose messages are checked against message rules; base: folder
    of the assignment that this one extends.
    """

    name: str
    title: str
    experiment: Experiment
    module: ModuleType | None
    role: str
    file: str
    command: str
    sender: str
    parameters: Mapping[str, str]
    check_parameters: Mapping[str, str]
    late: Late
    folder: Path
    stages: tuple[Stage, ...]
    hint_tries: int = 0
    base: Path | None = None

    @property
    def sources(self) -> tuple[Path, ...]:
        """The assignment's settings and Python files, on which grades depend."""
        folders = [self.folder, *([self.base] if self.base else [])]
        return tuple(path for folder in folders for path in (folder / SETTINGS_NAME, *sorted(folder.glob("*.py"))))

    @property
    def questions(self) -> tuple[Stage, ...]:
        """The stages, under the attribute name that gradebooks read: each stage is a column."""
        return self.stages

    @property
    def points(self) -> float:
        """Sum of the points of all stages."""
        return sum(stage.points for stage in self.stages)

    @property
    def replacement(self) -> str:
        """The student's program in the form `ROLE=COMMAND`, as for the option --replace of `lab7 run`."""
        return f"{self.role}={self.command.replace('{file}', shlex.quote(self.file))}"


def find_program_assignment(name: str) -> ProgramAssignment:
    """Return a program assignment by its catalogue name, or by its folder (`./my-server`). Raises AssignmentError."""
    folder, place = find_folder(name), f"{find_folder(name).name}/{SETTINGS_NAME}"
    own = read_settings(folder)
    base = _base(own, place)
    settings = _checked(own if base is None else _extended(own, base, place), place)
    experiment, module = _experiment(folder if base is None or "experiment" in own else base, settings["experiment"])
    late = settings.get("late", {})
    parameters = {key: str(value) for key, value in settings.get("parameters", {}).items()}
    assignment = ProgramAssignment(
        name=settings["name"],
        title=settings["title"],
        experiment=experiment,
        module=module,
        role=settings["role"],
        file=settings["file"],
        command=settings["command"],
        sender=settings.get("sender", ""),
        parameters=parameters,
        check_parameters={**parameters, **{key: str(value) for key, value in settings.get("check", {}).items()}},
        late=Late(float(late.get("per_day", 0)), int(late.get("days", 0))),
        folder=folder,
        stages=tuple(_stage(one, place) for one in settings["stages"]),
        hint_tries=settings.get("hint_tries", 0),
        base=base,
    )
    _check(assignment)
    return assignment


def _base(own: Mapping[str, Any], place: str) -> Path | None:
    """Return the folder of the assignment that the settings extend; None if they have no key `extends`."""
    if "extends" not in own:
        return None
    base = find_folder(str(own["extends"]))
    if base.parent != CATALOGUE:
        raise AssignmentError(f"{place}: extends must be the name of an assignment of lab7, not {own['extends']}")
    return base


def _extended(own: Mapping[str, Any], base: Path, place: str) -> dict[str, Any]:
    """Return the settings of an extending assignment merged with those of `base`, whose stages come first."""
    given = read_settings(base)
    without, known = own.get("without", []), [stage["id"] for stage in given.get("stages", [])]
    if not isinstance(without, list) or any(one not in known for one in without):
        raise AssignmentError(f"{place}: without must be a list of stages of {given['name']}: {', '.join(known)}")
    kept = [stage for stage in given.get("stages", []) if stage["id"] not in without]
    return {**given, **own, "stages": [*kept, *own.get("stages", [])]}


def _checked(settings: Mapping[str, Any], place: str) -> Mapping[str, Any]:
    if settings.get("kind") != PROGRAM_KIND:
        raise AssignmentError(f'{place} is no program assignment: set kind = "{PROGRAM_KIND}"')
    for name, kind in {**_REQUIRED, **_OPTIONAL}.items():
        if name in _REQUIRED and name not in settings:
            raise AssignmentError(f"{place} has no {name}")
        if name in settings and not isinstance(settings[name], kind):
            raise AssignmentError(f"{place}: {name} must be of type {kind.__name__}")
    unknown = sorted(set(settings) - {*_REQUIRED, *_OPTIONAL})
    if unknown:
        raise AssignmentError(f"{place}: unknown setting {unknown[0]}: there are {', '.join((*_REQUIRED, *_OPTIONAL))}")
    if not NAME.match(settings["name"]):
        raise AssignmentError(f"{place}: the name {settings['name']!r} must be of a-z, 0-9 and hyphens")
    if not Path(settings["file"]).name == settings["file"]:
        raise AssignmentError(f"{place}: file must be the name of a file, for example server.py")
    if "{file}" not in settings["command"]:
        raise AssignmentError(f"{place}: command must have {{file}}, for example python3 {{file}} --port {{port}}")
    return settings


def _stage(entry: Any, place: str) -> Stage:
    if not isinstance(entry, dict) or not {"id", "title", "points"} <= set(entry) or set(entry) - set(_STAGE):
        raise AssignmentError(f"{place}: a stage has id, title, points, and claims, rules, hidden or hint")
    for name, value in entry.items():
        if not isinstance(value, _STAGE[name]):
            raise AssignmentError(f"{place}: {name} of the stage {entry['id']} is of the wrong type")
    stage = Stage(**{**entry, **{name: tuple(entry.get(name, ())) for name in ("claims", "rules")}})
    if stage.points < 0 or not (stage.claims or stage.rules):
        raise AssignmentError(f"{place}: the stage {stage.id} needs claims or rules, and points of 0 or more")
    return stage


def _check(assignment: ProgramAssignment) -> None:
    """Raise AssignmentError if the settings of a program assignment are inconsistent.

    The role and the claims must be those of the experiment, message rules must exist and need the setting `sender`, and
    there must be stages, each with a unique id.
    """
    place, experiment, known = f"{assignment.folder.name}/{SETTINGS_NAME}", assignment.experiment, rules()
    if assignment.role not in experiment.roles:
        raise AssignmentError(
            f"{place}: {experiment.name} has no role {assignment.role}: {', '.join(experiment.roles)}"
        )
    if len({stage.id for stage in assignment.stages}) < len(assignment.stages) or not assignment.stages:
        raise AssignmentError(f"{place}: there must be stages, each with an id of its own")
    for stage in assignment.stages:
        for claim in stage.claims:
            if claim not in experiment.claims:
                raise AssignmentError(f"{place}: {experiment.name} has no claim {claim} (stage {stage.id})")
        for rule in stage.rules:
            if rule not in known:
                raise AssignmentError(f"{place}: there is no message rule {rule} (stage {stage.id})")
        if stage.rules and not assignment.sender:
            raise AssignmentError(f"{place}: message rules need sender, the address and port of the program")


def _experiment(folder: Path, name: str) -> tuple[Experiment, ModuleType | None]:
    """Return (experiment, its module) of an assignment; the module is None for an experiment of lab7."""
    if not user_module.is_user_file(name):
        known = all_experiments()
        if name not in known:
            raise AssignmentError(f"{folder.name}: there is no experiment {name!r}: there are {', '.join(known)}")
        return known[name], None
    if folder.parent == CATALOGUE:
        module = importlib.import_module(f"lab7.experiments.assignments.catalogue.{folder.name}.{Path(name).stem}")
    else:
        module = user_module.load(str(folder / name), "defines EXPERIMENT")
    experiment = getattr(module, "EXPERIMENT", None)
    if not isinstance(experiment, Experiment):
        raise AssignmentError(f"{folder.name}/{name} defines no EXPERIMENT")
    return experiment, module
