"""Discovery of experiments, matrices and topologies: modules that define EXPERIMENT, MATRIX or topos."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from lab7 import experiments, topologies
from lab7.experiments.harness import user_files
from lab7.experiments.harness.catalogue import entry_points
from lab7.experiments.harness.catalogue.listing import ListedExperiment, ListedTopology, ParameterText, listing
from lab7.experiments.harness.catalogue.suggestion import by_prefix, did_you_mean
from lab7.experiments.harness.catalogue.topology_parameters import TopologyParameterError, make_topology, parameters_of
from lab7.experiments.harness.experiment import Experiment
from lab7.experiments.harness.matrix import Matrix
from lab7.topologies.emulation.errors import TopologyError
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
                yield importlib.import_module(f"{experiments.__name__}.{info.name}.{path.stem}")


def _experiments() -> Iterator[tuple[str, Experiment]]:
    """Yield (module, experiment) for the experiments of lab7, then those of other distributions' entry points."""
    taken = set()
    for module in _experiment_modules():
        experiment = getattr(module, "EXPERIMENT", None)
        if isinstance(experiment, Experiment):
            taken.add(experiment.name)
            yield module.__name__, experiment
    for point in entry_points.declared(entry_points.EXPERIMENTS):
        experiment = entry_points.experiment_of(point)
        if isinstance(experiment, Experiment) and experiment.name not in taken:
            taken.add(experiment.name)
            yield point.value, experiment
        elif isinstance(experiment, Experiment):
            entry_points.report(point, f"there is another experiment of the name {experiment.name}")
        elif experiment is not None:
            entry_points.report(point, f"it is of type {type(experiment).__name__}, not Experiment")


def all_experiments() -> dict[str, Experiment]:
    """Return every experiment, of lab7 and of other distributions, by name, sorted by name."""
    return {item.name: item for _, item in sorted(_experiments(), key=lambda pair: pair[1].name)}


def list_experiments() -> dict[str, ListedExperiment]:
    """Return every experiment as text, by name, sorted by name."""
    return {
        item.name: ListedExperiment(
            item.name,
            module,
            item.question,
            item.claims,
            item.roles,
            tuple(ParameterText(name, one.default, one.meaning) for name, one in item.parameters.items()),
        )
        for module, item in sorted(_experiments(), key=lambda pair: pair[1].name)
    }


def experiment_names(words: Iterable[str]) -> list[str]:
    """Return the experiments that words stand for: names, starts of names (`http`: all of http), paths of files.

    Raises UnknownNameError.
    """
    known, found = listing().experiments, list[str]()
    for word in words:
        names = [word] if is_user_file(word) else by_prefix(word, known)
        if not names:
            raise UnknownNameError(
                f"unknown experiment {word!r}{did_you_mean(word, known)}: the experiments are {', '.join(known)}; the "
                "path of a file must end in .py"
            )
        found += [name for name in names if name not in found]
    return found


def find_experiments(names: Iterable[str]) -> list[Experiment]:
    """Return the experiments of these names (see experiment_names); without names, all experiments.

    Raises UnknownNameError, UserFileError.
    """
    known = listing().experiments
    chosen = experiment_names(names) or list(known)
    return [
        _load_experiment(known[name]) if name in known else user_files.load_experiment(name, tuple(known))
        for name in chosen
    ]


def _load_experiment(listed: ListedExperiment) -> Experiment:
    module, _, attribute = listed.module.partition(":")
    experiment = importlib.import_module(module)
    for name in (attribute or "EXPERIMENT").split("."):
        experiment = getattr(experiment, name)
    assert isinstance(experiment, Experiment)
    return experiment


def list_matrices() -> dict[str, str]:
    """Return the module of every matrix (interoperability or conformance) by name, sorted by name."""
    found = {}
    for module in _experiment_modules():
        matrix = getattr(module, "MATRIX", None)
        if isinstance(matrix, Matrix):
            found[matrix.name] = module.__name__
    return dict(sorted(found.items()))


def find_matrix(name: str) -> Matrix:
    """Return the matrix of this name, or of which this is the start. Raises UnknownNameError."""
    known = listing().matrices
    whole = _one(name, known, "matrix", f"the matrices are {', '.join(known)}")
    matrix = importlib.import_module(known[whole]).MATRIX
    assert isinstance(matrix, Matrix)
    return matrix


def _one(word: str, known: Collection[str], kind: str, there: str) -> str:
    """Return the one name that a word stands for. Raises UnknownNameError for none or several."""
    names = by_prefix(word, known)
    if len(names) > 1:
        raise UnknownNameError(f"{word!r} is the start of more than one {kind}: give one of {', '.join(names)}")
    if not names:
        raise UnknownNameError(f"unknown {kind} {word!r}{did_you_mean(word, known)}: {there}")
    return names[0]


def all_topologies() -> dict[str, TopologyEntry]:
    """Return every topology, of lab7 (modules that export `topos`) and of other distributions, by name."""
    return {entry.name: entry for _, entry in _topologies()}


def _topologies() -> Iterator[tuple[str, TopologyEntry]]:
    taken = set()
    for module in _modules(topologies):
        for entry in _topology_entries(module):
            taken.add(entry.name)
            yield module.__name__, entry
    for point, make in entry_points.loaded(entry_points.TOPOLOGIES):
        if not callable(make):
            entry_points.report(point, f"it is of type {type(make).__name__}, not a class derived from Topo")
        elif point.name in taken:
            entry_points.report(point, f"there is another topology of the name {point.name}")
        else:
            taken.add(point.name)
            text, tries = user_files.module_description(entry_points.module_of(point))
            yield point.value, TopologyEntry(point.name, make, make.__doc__ or text, tries)


def list_topologies() -> dict[str, ListedTopology]:
    """Return every topology as text, by name."""
    listed = {}
    for module, entry in _topologies():
        parameters = tuple(parameters_of(entry.make))
        listed[entry.name] = ListedTopology(entry.name, module, entry.text, parameters, _hosts(entry))
    return listed


def _hosts(entry: TopologyEntry) -> tuple[str, ...]:
    """Return the names of a topology's hosts with its default parameters; none if it needs parameters."""
    try:
        return tuple(make_topology(entry.name, entry.make, {}).hosts())
    except (TopologyParameterError, TopologyError):
        return ()


def find_topology(name: str) -> TopologyEntry:
    """Return a topology by name or the start of a name, or from a file (`my_lab.py`, `my_lab.py:NAME` for one of them).

    Raises UnknownNameError, UserFileError.
    """
    file, _, chosen = name.partition(":")
    if is_user_file(file):
        return TopologyEntry(*user_files.load_topology(file, chosen), called=name)
    known = listing().topologies
    there = f"the topologies are {', '.join(known)}; the path of a file must end in .py"
    return _load_topology(known[_one(name, known, "topology", there)])


def _load_topology(listed: ListedTopology) -> TopologyEntry:
    module_name, _, attribute = listed.module.partition(":")
    module = importlib.import_module(module_name)
    text, tries = user_files.module_description(module)
    if not attribute:
        return TopologyEntry(listed.name, module.topos[listed.name], text, tries)
    make: Any = module
    for name in attribute.split("."):
        make = getattr(make, name)
    return TopologyEntry(listed.name, make, listed.text, tries)


def _topology_entries(module: ModuleType) -> list[TopologyEntry]:
    text, tries = user_files.module_description(module)
    return [TopologyEntry(name, make, text, tries) for name, make in getattr(module, "topos", {}).items()]
