"""Which experiments and topologies there are: modules of the two rooms, found by what they define."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import experiments
import topologies
from experiments.harness import own_files
from experiments.harness.experiment import Experiment
from experiments.harness.matrix import Matrix
from topologies.emulation.own_file import is_own_file


class UnknownNameError(ValueError):
    """There is no experiment or topology of that name; the message lists those that exist."""


@dataclass(frozen=True)
class Drawing:
    """A topology by name: its class, its module's text, and what a person may try in it.

    `called`: how a command names it, which for a file of one's own is the file.
    """

    name: str
    make: Any
    text: str
    tries: tuple[str, ...]
    called: str = ""


def _modules(room: ModuleType) -> Iterator[ModuleType]:
    for info in pkgutil.iter_modules(room.__path__):
        if not info.ispkg:
            yield importlib.import_module(f"{room.__name__}.{info.name}")


def all_experiments() -> dict[str, Experiment]:
    """Every experiment by name: modules of `experiments` that define EXPERIMENT."""
    found = (getattr(module, "EXPERIMENT", None) for module in _modules(experiments))
    return {one.name: one for one in found if isinstance(one, Experiment)}


def find_experiments(names: tuple[str, ...]) -> list[Experiment]:
    """The experiments of these names, or files of one's own (`my_lab.py`), or all of the names if none is given.

    Raises UnknownNameError, OwnFileError.
    """
    known = all_experiments()
    for name in names:
        if name not in known and not is_own_file(name):
            raise UnknownNameError(
                f"there is no experiment {name!r}: there are {', '.join(known)}; a file of your own ends in .py"
            )
    taken = tuple(known)
    return [known[name] if name in known else own_files.load_experiment(name, taken) for name in names or taken]


def all_matrices() -> dict[str, Matrix]:
    """Every matrix by name: modules of `experiments` that define MATRIX."""
    found = (getattr(module, "MATRIX", None) for module in _modules(experiments))
    return {one.name: one for one in found if isinstance(one, Matrix)}


def find_matrix(name: str) -> Matrix:
    """The matrix of that name. Raises UnknownNameError."""
    known = all_matrices()
    if name not in known:
        raise UnknownNameError(f"there is no matrix {name!r}: there are {', '.join(known)}")
    return known[name]


def all_drawings() -> dict[str, Drawing]:
    """Every topology by name: what modules of `topologies` export as `topos`, as Mininet's --custom reads it."""
    return {drawing.name: drawing for module in _modules(topologies) for drawing in _drawings(module)}


def find_drawing(name: str) -> Drawing:
    """A topology by name, or from a file of one's own (`my_lab.py`, or `my_lab.py:NAME` if it exports several).

    Raises UnknownNameError, OwnFileError.
    """
    file, _, chosen = name.partition(":")
    if is_own_file(file):
        return Drawing(*own_files.load_drawing(file, chosen), called=name)
    known = all_drawings()
    if name not in known:
        raise UnknownNameError(
            f"there is no topology {name!r}: there are {', '.join(known)}; a file of your own ends in .py"
        )
    return known[name]


def _drawings(module: ModuleType) -> list[Drawing]:
    text, tries = own_files.described(module)
    return [Drawing(name, make, text, tries) for name, make in getattr(module, "topos", {}).items()]
