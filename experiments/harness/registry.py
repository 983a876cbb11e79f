"""Which experiments and topologies there are: modules of the two rooms, found by what they define."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import experiments
import topologies
from experiments.harness.experiment import Experiment
from experiments.harness.matrix import Matrix


class UnknownNameError(ValueError):
    """There is no experiment or topology of that name; the message lists those that exist."""


@dataclass(frozen=True)
class Drawing:
    """A topology by name: its class, its module's text, and what a person may try in it."""

    name: str
    make: Any
    text: str
    tries: tuple[str, ...]


def _modules(room: ModuleType) -> Iterator[ModuleType]:
    for info in pkgutil.iter_modules(room.__path__):
        if not info.ispkg:
            yield importlib.import_module(f"{room.__name__}.{info.name}")


def all_experiments() -> dict[str, Experiment]:
    """Every experiment by name: modules of `experiments` that define EXPERIMENT."""
    found = (getattr(module, "EXPERIMENT", None) for module in _modules(experiments))
    return {one.name: one for one in found if isinstance(one, Experiment)}


def find_experiments(names: tuple[str, ...]) -> list[Experiment]:
    """The experiments of these names, or all of them if none is named. Raises UnknownNameError."""
    known = all_experiments()
    for name in names:
        if name not in known:
            raise UnknownNameError(f"there is no experiment {name!r}: there are {', '.join(known)}")
    return [known[name] for name in names or known]


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
    """A topology by name, or from a file of one's own (`my_lab.py`). Raises UnknownNameError."""
    if name.endswith(".py"):
        return _drawing_of_file(Path(name))
    known = all_drawings()
    if name not in known:
        raise UnknownNameError(
            f"there is no topology {name!r}: there are {', '.join(known)}; a file of your own ends in .py"
        )
    return known[name]


def _drawings(module: ModuleType) -> list[Drawing]:
    text, tries = module.__doc__ or "", tuple(getattr(module, "TRY", ()))
    return [Drawing(name, make, text, tries) for name, make in getattr(module, "topos", {}).items()]


def _drawing_of_file(path: Path) -> Drawing:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UnknownNameError(f"there is no file {str(path)!r}: give the path of a Python file that exports `topos`")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise UnknownNameError(f"{path} cannot be read as Python: {type(error).__name__}: {error}") from error
    found = _drawings(module)
    if not found:
        raise UnknownNameError(f"{path} exports no topology: end it with  topos = {{'name': TheTopoClass}}")
    return found[0]
