"""Discovery of experiments and test matrices, by import of the modules that define a constant EXPERIMENT or MATRIX.

A test matrix is a test of all servers against all clients. The functions that find topologies (see
catalogue.topologies) are exported from here, too.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from lab7 import experiments
from lab7.experiments.harness import user_files
from lab7.experiments.harness.catalogue import entry_points
from lab7.experiments.harness.catalogue.listing import ListedExperiment, ParameterText, listing
from lab7.experiments.harness.catalogue.suggestion import by_prefix, did_you_mean
from lab7.experiments.harness.catalogue.topologies import (
    TopologyEntry,
    UnknownNameError,
    all_topologies,
    find_topology,
    list_topologies,
    one_name,
)
from lab7.experiments.harness.experiment import Experiment
from lab7.experiments.harness.matrix import Matrix
from lab7.topologies.emulation.user_module import import_plugin, is_user_file

__all__ = ["TopologyEntry", "UnknownNameError", "all_topologies", "find_topology", "list_topologies"]
# Units that a blank has separated from their number (`--set rtt=50 ms`).
UNITS = ("s", "ms", "us", "ns", "mbit", "mbit/s", "kbit", "kbit/s", "gbit", "gbit/s")
# Regular expression for modules with an experiment or matrix: a line starts with EXPERIMENT or MATRIX.
_DEFINES = re.compile(r"^(EXPERIMENT|MATRIX)\b", re.MULTILINE)


def _experiment_modules() -> Iterator[ModuleType]:
    """Import and yield the modules below `experiments` that define an experiment or a matrix."""
    for info in pkgutil.iter_modules(experiments.__path__):
        for path in sorted(Path(experiments.__path__[0], info.name).glob("*.py")):
            if _DEFINES.search(path.read_text(encoding="utf-8")):
                yield importlib.import_module(f"{experiments.__name__}.{info.name}.{path.stem}")


def _experiments() -> Iterator[tuple[str, Experiment]]:
    """Yield (module, experiment) for lab7's experiments, then for those of plug-in packages (entry points)."""
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
    """Return every experiment of lab7 and of plug-in packages, keyed by name and sorted."""
    return {item.name: item for _, item in sorted(_experiments(), key=lambda pair: pair[1].name)}


def list_experiments() -> dict[str, ListedExperiment]:
    """Return the descriptions of all experiments for `lab7 list`, keyed by name and sorted."""
    return {
        item.name: ListedExperiment(
            item.name,
            module,
            item.question,
            item.claims,
            item.roles,
            tuple(ParameterText(name, one.default, one.meaning) for name, one in item.parameters.items()),
            item.own_claims,
        )
        for module, item in sorted(_experiments(), key=lambda pair: pair[1].name)
    }


def experiment_names(words: Iterable[str]) -> list[str]:
    """Return experiment names for words on the command line: names, prefixes (`http`: all of http) or file paths.

    Raises UnknownNameError.
    """
    known, found = listing().experiments, list[str]()
    for word in words:
        names = [word] if is_user_file(word) else by_prefix(word, known)
        if not names and "=" in word:
            raise UnknownNameError(f"{word!r} is not an experiment: a parameter is set by --set {word}")
        if not names and word.lower() in UNITS:
            raise UnknownNameError(
                f"{word!r} is not an experiment: write a value without a blank (--set rtt=50ms), or in quotation marks"
            )
        if not names and word and Path(word).is_dir():
            raise UnknownNameError(f"{word} is a folder: give the path of a Python file that defines EXPERIMENT")
        if not names:
            raise UnknownNameError(
                f"unknown experiment {word!r}{did_you_mean(word, known)}: the experiments are {', '.join(known)}; the "
                "path of a file must end in .py"
            )
        found += [name for name in names if name not in found]
    return found


def find_experiments(names: Iterable[str]) -> list[Experiment]:
    """Return the experiments with these names, prefixes or files (see experiment_names); by default, all experiments.

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
    own = module.startswith(f"{experiments.__name__}.")
    experiment: object = importlib.import_module(module) if own else import_plugin(module)
    for name in (attribute or "EXPERIMENT").split("."):
        experiment = getattr(experiment, name)
    assert isinstance(experiment, Experiment)
    return experiment


def list_matrices() -> dict[str, str]:
    """Return matrix name -> module, for all test matrices (interoperability and conformance), sorted by name."""
    found = {}
    for module in _experiment_modules():
        matrix = getattr(module, "MATRIX", None)
        if isinstance(matrix, Matrix):
            found[matrix.name] = module.__name__
    return dict(sorted(found.items()))


def find_matrix(name: str) -> Matrix:
    """Return the matrix with this name or unique prefix of a name. Raises UnknownNameError."""
    known = listing().matrices
    whole = one_name(name, known, "matrix", f"the matrices are {', '.join(known)}")
    matrix = importlib.import_module(known[whole]).MATRIX
    assert isinstance(matrix, Matrix)
    return matrix
