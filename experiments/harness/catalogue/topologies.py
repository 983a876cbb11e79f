"""Registry of topologies by name: those of lab7, of plug-in packages (entry points), and of users' files.

A module of lab7 defines its topologies in the dictionary `topos` (name -> constructor), as for Mininet's `--custom`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from lab7 import topologies
from lab7.experiments.harness import user_files
from lab7.experiments.harness.catalogue import entry_points
from lab7.experiments.harness.catalogue.listing import ListedTopology, listing
from lab7.experiments.harness.catalogue.suggestion import by_prefix, did_you_mean
from lab7.experiments.harness.catalogue.topology_parameters import TopologyParameterError, make_topology, parameters_of
from lab7.topologies.emulation.errors import TopologyError
from lab7.topologies.emulation.user_module import import_plugin, is_user_file


class UnknownNameError(ValueError):
    """Name of an experiment, matrix or topology is unknown; the message lists the known names."""


@dataclass(frozen=True)
class TopologyEntry:
    """Topology with its name, constructor, module docstring, and example commands.

    `tests`: names of the functions that a user's file exports for `mn --test`; lab7 does not call them. `called` is
    the file name as typed on the command line for a topology from a user's file, and empty for all others.
    """

    name: str
    make: Any
    text: str
    tries: tuple[str, ...]
    tests: tuple[str, ...] = ()
    called: str = ""


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    """Import and yield the modules of a package, without its subpackages."""
    for info in pkgutil.iter_modules(package.__path__):
        if not info.ispkg:
            yield importlib.import_module(f"{package.__name__}.{info.name}")


def one_name(word: str, known: Collection[str], kind: str, there: str) -> str:
    """Return the known name that equals `word`, or the only known name that starts with `word`.

    Raises UnknownNameError if no name or several names match; its message has `kind`, such as `topology`, and `there`,
    a text on the valid names.
    """
    names = by_prefix(word, known)
    if len(names) > 1:
        raise UnknownNameError(f"{word!r} is the start of more than one {kind}: give one of {', '.join(names)}")
    if not names:
        raise UnknownNameError(f"unknown {kind} {word!r}{did_you_mean(word, known)}: {there}")
    return names[0]


def all_topologies() -> dict[str, TopologyEntry]:
    """Return the topologies of lab7 (modules that export `topos`) and of plug-in packages, keyed by name."""
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
    """Return the descriptions of all topologies for `lab7 list`, keyed by name."""
    listed = {}
    for module, entry in _topologies():
        parameters = tuple(parameters_of(entry.make))
        listed[entry.name] = ListedTopology(entry.name, module, entry.text, parameters, _hosts(entry))
    return listed


def _hosts(entry: TopologyEntry) -> tuple[str, ...]:
    """Return the names of a topology's hosts with default parameters; empty if a parameter has no default."""
    try:
        return tuple(make_topology(entry.name, entry.make, {}).hosts())
    except (TopologyParameterError, TopologyError):
        return ()


def find_topology(name: str) -> TopologyEntry:
    """Return the topology for a name, a unique prefix of a name, or a file.

    A file is one of four: Python (`my_lab.py`, or `my_lab.py:NAME` for one of several topologies in it), a lab of
    Kathara (lab.conf, or its folder), a lab of containerlab (*.clab.yml), or YAML of lab7. Raises UnknownNameError,
    UserFileError.
    """
    # Imported late: `lab7 list` needs neither YAML nor other testbeds' formats.
    from lab7.topologies.description.yaml_topology import is_yaml, load_yaml
    from lab7.topologies.interchange.lab import LabTopo
    from lab7.topologies.interchange.reader import find_lab

    file, _, chosen = name.partition(":")
    if is_user_file(file):
        return TopologyEntry(*user_files.load_topology(file, chosen), called=name)
    if (read := find_lab(name)) is not None:
        text = f"Topology of the lab {name}: its nodes, addresses, routes and links."
        return TopologyEntry(Path(name).name, lambda: LabTopo(read()), text, (), called=name)
    if is_yaml(name):
        described = load_yaml(name)
        return TopologyEntry(described.name, described.make, described.text, described.tries, called=name)
    known = listing().topologies
    there = f"the topologies are {', '.join(known)}; a file is *.py, *.yaml, *.clab.yml or lab.conf"
    return _load_topology(known[one_name(name, known, "topology", there)])


def _load_topology(listed: ListedTopology) -> TopologyEntry:
    module_name, _, attribute = listed.module.partition(":")
    own = module_name.startswith(f"{topologies.__name__}.")
    module = importlib.import_module(module_name) if own else import_plugin(module_name)
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
