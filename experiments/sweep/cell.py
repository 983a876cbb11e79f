"""Cell of a sweep: one run of an experiment, named by a hash of all data on which its result depends.

The hash covers the experiment (with the content of a user's file), all its parameters as parsed, the number of
repetitions, the seed, the programs that replace services of lab7 (their command lines, with the content of the files
that these name), link emulation, the clock (real, or that of a user-mode Linux kernel), and the version of lab7. Since
parameters are parsed, `20ms` and `0.02s` are one cell. A sweep that was stopped therefore continues with the cells
without a result, an extended sweep runs only its new cells, and the cells of a changed program are run again.
"""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from lab7.experiments.harness.clock import Clock
from lab7.experiments.harness.experiment import Experiment
from lab7.experiments.harness.implementations.registry import OURS
from lab7.experiments.sweep.definition import Definition, Point

NAME_DIGITS = 16


@dataclass(frozen=True)
class Cell:
    """One run of a sweep: its point in the grid (values, programs, seed), and all data that determine its result."""

    point: Point
    values: Mapping[str, Any]
    depends: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Return the name of the cell: a hash, in hexadecimal, of all data that determine its result (`depends`)."""
        return name_of(self.depends)


def name_of(depends: Mapping[str, Any]) -> str:
    """Return the first digits of the SHA-256 of JSON data with sorted keys, in hexadecimal."""
    text = json.dumps(depends, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:NAME_DIGITS]


def make_cells(
    definition: Definition, experiment: Experiment, clock: Clock, version: str, digests: Mapping[str, str]
) -> list[Cell]:
    """Return the cells (runs) of a sweep in the order of its grid, without duplicates.

    `digests`: SHA-256 of the experiment's file and of the files in command lines of replacements, keyed by name as
    written. Raises DefinitionError, ParameterError.
    """
    cells = [_cell(definition, point, experiment, clock, version, digests) for point in definition.points()]
    return list({cell.name: cell for cell in reversed(cells)}.values())[::-1]


def _cell(
    definition: Definition,
    point: Point,
    experiment: Experiment,
    clock: Clock,
    version: str,
    digests: Mapping[str, str],
) -> Cell:
    values = experiment.read_parameters(point.given, definition.full, clock.word)
    replace = {role: what for role, what in point.replace.items() if what != OURS}
    names = {definition.experiment, *(word for what in replace.values() for word in shlex.split(what))}
    depends = {
        "experiment": experiment.name,
        "parameters": json.loads(json.dumps(values)),
        "repeat": experiment.repeat if definition.repeat is None else definition.repeat,
        "full": definition.full,
        "seed": point.seed,
        "replace": replace,
        "files": {name: digest for name, digest in digests.items() if name in names},
        "links": definition.links if clock.word == "real" else "netem",
        "clock": asdict(clock),
        "lab7": version,
    }
    return Cell(point, values, depends)


def shuffled(cells: Iterable[Cell], order_seed: int) -> list[Cell]:
    """Return the cells (runs) in a random order that depends only on the seed and on the set of cells.

    The random order spreads a drift of the machine's speed during the sweep over all points of the grid.
    """
    ordered: Sequence[Cell] = sorted(cells, key=lambda cell: cell.name)
    return Random(order_seed).sample(ordered, len(ordered))
