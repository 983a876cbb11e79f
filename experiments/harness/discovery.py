"""Discovery of experiments, matrices and topologies: modules that define EXPERIMENT, MATRIX or topos."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from lab7 import experiments, topologies
from lab7.experiments.harness import user_files
from lab7.experiments.harness.experiment import Experiment
from lab7.experiments.harness.matrix import Matrix
from lab7.topologies.emulation.user_module import is_user_file


class UnknownNameError(ValueError):
    """Name of an experiment, matrix or topology is unknown; the message lists the known names."""


@dataclass(frozen=True)
class TopologyEntry:
    """Topology with its name, constructor, module docstring, and example commands.

    called: the topology as written on the command line, for a user's file; else empty.
    """

    name: str
    make: Any
    text: str
    tries: tuple[str, ...]
    called: str = ""


# Regular expression for modules with an experiment or matrix: a line starts with EXPERIMENT or MATRIX.
_DEFINES = re.compile(r"^(EXPERIMENT|MATRIX)\b", re.MULTILINE)


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    """Import and yield the modules of a package, without its subpackages."""
    for info in pkgutil.iter_modules(package.__path__):
        if not info.ispkg:
            yield importlib.import_module(f"{package.__name__}.{info.name}")


def _experiment_modules() -> Iterator[ModuleType]:
    """Import and yield the modules below `experiments` that define an experiment or a matrix."""
    for info in pkgutil.iter_modules(experiments.__path__):
        for path in sorted(Path(experiments.__path__[0], info.name).glob("*.py")):
            if _DEFINES.search(path.read_text(encoding="utf-8")):
                yield importlib.import_module(f"lab7.experiments.{info.name}.{path.stem}")


def all_experiments() -> dict[str, Experiment]:
    """Return every experiment of lab7 by name, sorted by name."""
    definitions = (getattr(module, "EXPERIMENT", None) for module in _experiment_modules())
    return {
        item.name: item for item in sorted((e for e in definitions if isinstance(e, Experiment)), key=lambda e: e.name)
    }


def find_experiments(names: tuple[str, ...]) -> list[Experiment]:
    """Return the experiments with these names or in these files (`my_lab.py`); without names, all experiments.

    Raises UnknownNameError, UserFileError.
    """
    known = all_experiments()
    for name in names:
        if name not in known and not is_user_file(name):
            raise UnknownNameError(
                f"unknown experiment {name!r}: the experiments are {', '.join(known)}; the path of a file "
                "must end in .py"
            )
    taken = tuple(known)
    return [known[name] if name in known else user_files.load_experiment(name, taken) for name in names or taken]


def all_matrices() -> dict[str, Matrix]:
    """Return every matrix (interoperability or conformance) by name, sorted by name."""
    definitions = (getattr(module, "MATRIX", None) for module in _experiment_modules())
    return {item.name: item for item in sorted((m for m in definitions if isinstance(m, Matrix)), key=lambda m: m.name)}


def find_matrix(name: str) -> Matrix:
    """Return the matrix of this name. Raises UnknownNameError."""
    known = all_matrices()
    if name not in known:
        raise UnknownNameError(f"unknown matrix {name!r}: the matrices are {', '.join(known)}")
    return known[name]


def all_topologies() -> dict[str, TopologyEntry]:
    """Return the topologies that modules of `topologies` export as `topos` (as for `mn --custom`), by name."""
    return {entry.name: entry for module in _modules(topologies) for entry in _topology_entries(module)}


def find_topology(name: str) -> TopologyEntry:
    """Return a topology by name, or from a file (`my_lab.py`, or `my_lab.py:NAME` if the file exports several).

    Raises UnknownNameError, UserFileError.
    """
    file, _, chosen = name.partition(":")
    if is_user_file(file):
        return TopologyEntry(*user_files.load_topology(file, chosen), called=name)
    known = all_topologies()
    if name not in known:
        raise UnknownNameError(
            f"unknown topology {name!r}: the topologies are {', '.join(known)}; the path of a file must end in .py"
        )
    return known[name]


def _topology_entries(module: ModuleType) -> list[TopologyEntry]:
    text, tries = user_files.module_description(module)
    return [TopologyEntry(name, make, text, tries) for name, make in getattr(module, "topos", {}).items()]
