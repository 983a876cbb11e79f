"""Definition of a sweep: a TOML file with an experiment, the axes of its grid, and options for all runs.

    experiment = "http-versions"      # or a Python file, by its path from this file
    seeds = 5                         # the seeds 1 to 5, or a list such as [1, 7]
    repeat = 1                        # as --repeat; default: the experiment's own number
    full = false                      # as --full
    time = "virtual"                  # virtual (simulated clock), real, or auto: virtual if its kernel is built
    links = "auto"                    # as --links
    again = 2                         # maximum number of reruns of a cell with a suspect result
    order_seed = 1                    # the seed of the order of the cells

    [set]                             # as --set: one value, or a list of values
    rtt = ["20ms", "60ms"]

    [replace]                         # as --replace
    origin = ["lab7", "nginx"]

    [plot]
    x = "rtt"                         # default: the first parameter or role with several values

A cell is one run: a combination of values and a seed. A result is suspect if a check of the network's properties or of
the machine's load failed. Options "as --NAME" are those of `lab7 run`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lab7.experiments.harness.reruns import RERUNS
from lab7.experiments.sweep.grid import combinations
from lab7.topologies.emulation.shape import BACKENDS

TIMES = ("auto", "virtual", "real")
SEEDS_MAX = 10_000
SEED_MAX = 2**63 - 1
REPEAT_MAX = 1000
AGAIN_MAX = 20
# Maximum number of cells; more is a mistake in an axis.
CELLS_MAX = 100_000
TABLES = ("set", "replace", "plot")


class DefinitionError(ValueError):
    """Error in the definition of a sweep; the message names the key and a valid value."""


@dataclass(frozen=True)
class Point:
    """Point of a sweep's grid: parameter values and replacement programs as text, and the seed of the run."""

    given: Mapping[str, str]
    replace: Mapping[str, str]
    seed: int

    @property
    def label(self) -> str:
        """Return the point as text, such as `rtt=20ms origin=nginx seed=3`."""
        words = [f"{name}={text}" for name, text in {**self.given, **self.replace}.items()]
        return " ".join([*words, f"seed={self.seed}"])


@dataclass(frozen=True)
class Definition:
    """Parsed definition of a sweep.

    `axes`: parameter -> its values as text. `roles`: role -> its programs. `again`: maximum number of reruns of a cell.
    `order_seed`: seed of the order in which the cells run. `plot_x`: parameter or role on the x axis of the plots.
    """

    experiment: str
    seeds: tuple[int, ...] = (1,)
    axes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    repeat: int | None = None
    full: bool = False
    time: str = "auto"
    links: str = "auto"
    again: int = RERUNS
    order_seed: int = 1
    plot_x: str | None = None

    def points(self) -> list[Point]:
        """Return all points of the grid in the order of the file, with the seed as the innermost loop.

        Raises DefinitionError.
        """
        settings, replacements = combinations(self.axes), combinations(self.roles)
        count = len(settings) * len(replacements) * len(self.seeds)
        if count > CELLS_MAX:
            raise DefinitionError(f"the grid has {count} cells, more than {CELLS_MAX}: shorten a list of values")
        return [Point(given, replace, seed) for given in settings for replace in replacements for seed in self.seeds]


def parse_definition(text: str) -> Definition:
    """Parse the TOML text of a sweep. Raises DefinitionError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"the file is not TOML: {error}") from error
    scalars = ("experiment", "seeds", "repeat", "full", "time", "links", "again", "order_seed")
    _known(data, (*scalars, *TABLES), "key")
    tables = {name: _table(data, name) for name in TABLES}
    _known(tables["plot"], ("x",), "key in [plot]")
    experiment = data.get("experiment")
    if not isinstance(experiment, str) or not experiment:
        raise DefinitionError('experiment is missing: name one of `lab7 list`, as in experiment = "http-versions"')
    axes = {name: _texts(f"[set] {name}", value) for name, value in tables["set"].items()}
    roles = {name: _texts(f"[replace] {name}", value) for name, value in tables["replace"].items()}
    return Definition(
        experiment=experiment,
        seeds=_seeds(data.get("seeds", 1)),
        axes=axes,
        roles=roles,
        repeat=None if "repeat" not in data else _whole("repeat", data["repeat"], 1, REPEAT_MAX),
        full=_truth("full", data.get("full", False)),
        time=_word("time", data.get("time", "auto"), TIMES),
        links=_word("links", data.get("links", "auto"), BACKENDS),
        again=_whole("again", data.get("again", RERUNS), 0, AGAIN_MAX),
        order_seed=_whole("order_seed", data.get("order_seed", 1), 0, SEED_MAX),
        plot_x=_plot_x(tables["plot"].get("x"), [*axes, *roles]),
    )


def _known(data: Mapping[str, Any], names: tuple[str, ...], kind: str) -> None:
    for name in data:
        if name not in names:
            raise DefinitionError(f"there is no {kind} {name!r}: the keys are {', '.join(names)}")


def _table(data: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = data.get(name, {})
    if not isinstance(value, dict):
        raise DefinitionError(f"{name} must be a table: write a line [{name}], and the values below it")
    return value


def _texts(name: str, value: Any) -> tuple[str, ...]:
    """Return the values of one key of the definition as texts, without duplicates. Raises DefinitionError."""
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str | int | float) for one in values):
        raise DefinitionError(f'{name} must be a value or a list of values, such as ["20ms", "60ms"]')
    return tuple(dict.fromkeys(_text(one) for one in values))


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _seeds(value: Any) -> tuple[int, ...]:
    if isinstance(value, list) and value:
        return tuple(dict.fromkeys(_whole("seeds", one, 0, SEED_MAX) for one in value))
    return tuple(range(1, _whole("seeds", value, 1, SEEDS_MAX) + 1))


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        also = ", or a list of seeds" if name == "seeds" else ""
        raise DefinitionError(f"{name} = {value!r} is invalid: give a whole number from {low} to {high}{also}")
    return value


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise DefinitionError(f"{name} = {value!r} is invalid: give true or false")
    return value


def _word(name: str, value: Any, known: tuple[str, ...]) -> str:
    if value not in known:
        raise DefinitionError(f"{name} = {value!r} is invalid: give {', '.join(known[:-1])} or {known[-1]}")
    return str(value)


def _plot_x(value: Any, known: list[str]) -> str | None:
    if value is not None and value not in known:
        there = ", ".join(known) or "none"
        raise DefinitionError(
            f"[plot] x = {value!r} is not a parameter of [set] or a role of [replace]: there are {there}"
        )
    return None if value is None else str(value)
