"""Loader of users' files: an experiment (`lab7 run ./my_lab.py`) or a topology (`lab7 up ./my_lab.py`).

Every error is one sentence: the part that is missing or invalid, and the correct form.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

from lab7.experiments.harness.judge import layers
from lab7.topologies.emulation import user_module
from lab7.topologies.emulation.errors import UserFileError

if TYPE_CHECKING:
    from lab7.experiments.harness.experiment import Experiment

# Permitted names of experiments, which become names of result folders.
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def _load(file: str, purpose: str) -> ModuleType:
    # Import scapy with lab7's settings first, since the user's file may import scapy itself.
    layers.load()
    return user_module.load(file, purpose)


def load_experiment(file: str, taken: Collection[str]) -> Experiment:
    """Load the experiment that a Python file defines.

    Raises UserFileError, also if the experiment's name is in `taken` (names in use).
    """
    # Import late, since topologies are loaded without it.
    from lab7.experiments.harness.experiment import Experiment

    module = _load(file, "defines EXPERIMENT")
    experiment = getattr(module, "EXPERIMENT", None)
    if experiment is None:
        hint = f"start its topology by `lab7 up {file}`, or " if hasattr(module, "topos") else ""
        raise UserFileError(f"{file} defines no EXPERIMENT: {hint}add  EXPERIMENT = Experiment(name=...)")
    if not isinstance(experiment, Experiment):
        kind = type(experiment).__name__
        raise UserFileError(
            f"{file}: EXPERIMENT is of type {kind}; it must be an Experiment (see lab7.experiments.harness)"
        )
    if not NAME.fullmatch(experiment.name):
        raise UserFileError(
            f"{file}: the name {experiment.name!r} must consist of lower-case letters, digits and hyphens"
        )
    if experiment.name in taken:
        raise UserFileError(f"{file}: an experiment of lab7 has the name {experiment.name!r} already: choose another")
    _check_claims(file, experiment)
    return experiment


def _check_claims(file: str, experiment: Experiment) -> None:
    """Raise UserFileError unless each claim has exactly one statement, from the course or from the experiment."""
    from lab7.experiments.harness.claims import load_claims

    course, own = load_claims(), [claim.id for claim in experiment.own_claims]
    for name in own:
        if name in course:
            raise UserFileError(
                f"{file}: {name} is the id of a claim of the course: choose another id for your own claim"
            )
    for name in experiment.claims:
        if name not in course and name not in own:
            raise UserFileError(
                f"{file}: unknown claim {name} (see `lab7 claims`): declare your own one by "
                f"own_claims=(Claim({name!r}, ...),)"
            )


_BY_HAND = (
    "{0} builds its network by Mininet() itself: run it by `lab7 script {0}`, or move it into build() of a "
    "class derived from Topo (addHost, addSwitch and addLink are the same there)"
)


def _network_classes() -> set[Any]:
    """Return Mininet's classes of networks and nodes.

    They are imported on call, since the import takes 40 ms and `lab7 list` does not need them.
    """
    from mininet.net import Mininet
    from mininet.node import Node

    return {Mininet, Node}


@contextmanager
def no_networks(file: str) -> Iterator[None]:
    """Raise UserFileError if a user's file, loaded in the `with` block, creates a Mininet network or node.

    The file is loaded outside of the sandbox, where no network may be created.
    """
    stock = {kind: kind.__init__ for kind in _network_classes()}

    def refuse(*_args: Any, **_options: Any) -> None:
        raise UserFileError(_BY_HAND.format(file))

    for kind in stock:
        kind.__init__ = refuse
    try:
        yield
    finally:
        for kind, constructor in stock.items():
            kind.__init__ = constructor


def _topology_classes(module: ModuleType) -> dict[str, type]:
    """Return the subclasses of Topo in a module, keyed by name; base classes of other subclasses are left out."""
    from mininet.topo import Topo

    own = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Topo) and value.__module__ == module.__name__
    ]
    bases = {base for kind in own for base in kind.__mro__[1:]}
    return {kind.__name__: kind for kind in own if kind not in bases}


def load_topology(file: str, chosen: str) -> tuple[str, Any, str, tuple[str, ...], tuple[str, ...]]:
    """Load the topology that a user's file exports as `topos`; return the first fields of its TopologyEntry.

    A file without `topos` exports the subclasses of Topo that it defines. `chosen`: name of one of several topologies,
    or empty. Raises UserFileError.
    """
    with no_networks(file):
        module = _load(file, "exports `topos`")
    topos = getattr(module, "topos", None) or _topology_classes(module)
    if not topos or not isinstance(topos, dict):
        if _network_classes() & {value for value in vars(module).values() if isinstance(value, type)}:
            raise UserFileError(_BY_HAND.format(file))
        hint = f"run its experiment by `lab7 run {file}`, or " if hasattr(module, "EXPERIMENT") else ""
        raise UserFileError(f"{file} exports no topology: {hint}add  topos = {{'name': TheTopoClass}}")
    if chosen and chosen not in topos:
        raise UserFileError(f"{file} exports no topology {chosen!r}: it exports {', '.join(topos)}")
    if not chosen and len(topos) > 1:
        several = " or ".join(f"{file}:{name}" for name in topos)
        raise UserFileError(f"{file} exports several topologies: choose one, {several}")
    name = chosen or next(iter(topos))
    if not callable(topos[name]):
        kind = type(topos[name]).__name__
        raise UserFileError(f"{file}: topos[{name!r}] is of type {kind}; name the class itself, not an instance")
    tests = getattr(module, "tests", None)
    return name, topos[name], *module_description(module), tuple(tests) if isinstance(tests, dict) else ()


def module_description(module: ModuleType) -> tuple[str, tuple[str, ...]]:
    """Return the docstring of a topology's module, and its example commands (TRY)."""
    return module.__doc__ or "", tuple(getattr(module, "TRY", ()))
