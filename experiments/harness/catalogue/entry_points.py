"""Entry points by which other distributions add experiments, topologies and implementations.

    [project.entry-points."lab7.experiments"]
    dns-over-pigeons = "pigeons.experiment"              # a module with EXPERIMENT, or module:EXPERIMENT
    [project.entry-points."lab7.topologies"]
    loft = "pigeons.topology:LoftTopo"                  # a class derived from Topo; its module's docstring describes it
    [project.entry-points."lab7.implementations"]
    pigeond = "pigeons.servers:PIGEOND"                  # an Implementation (third-party server or client), or several

An entry point that cannot be loaded is reported in one sentence on standard error and left out.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

EXPERIMENTS, TOPOLOGIES, IMPLEMENTATIONS = "lab7.experiments", "lab7.topologies", "lab7.implementations"
GROUPS = (EXPERIMENTS, TOPOLOGIES, IMPLEMENTATIONS)


@cache
def declared(group: str) -> tuple[EntryPoint, ...]:
    """Return the entry points that installed packages declare in a group, sorted by name."""
    return tuple(sorted(entry_points(group=group), key=lambda point: (point.name, point.value)))


def load(point: EntryPoint) -> Any:
    """Return the object that an entry point refers to. If it cannot be loaded, print a report and return None."""
    try:
        return point.load()
    # The code of another distribution may raise any exception, which must not stop lab7's own commands.
    except Exception as error:
        report(point, f"{type(error).__name__}: {error}")
        return None


def loaded(group: str) -> Iterator[tuple[EntryPoint, Any]]:
    """Yield (entry point, object) for each entry point of a group. Those that cannot be loaded are reported."""
    for point in declared(group):
        if (item := load(point)) is not None:
            yield point, item


def experiment_of(point: EntryPoint) -> Any:
    """Return the experiment of an entry point: the object itself, or a module's EXPERIMENT; otherwise None."""
    item = load(point)
    return getattr(item, "EXPERIMENT", None) if hasattr(item, "__spec__") else item


def module_of(point: EntryPoint) -> Any:
    """Return the module that an entry point names; the entry point must be loadable."""
    return importlib.import_module(point.module)


@cache
def report(point: EntryPoint, why: str) -> None:
    """Print once on standard error that an entry point of an installed package is not used, and why."""
    distribution = point.dist.name if point.dist is not None else "an unknown distribution"
    print(
        f"lab7: the entry point {point.name} of {distribution} ({point.group}) is left out: {why}",
        file=sys.stderr,
    )
