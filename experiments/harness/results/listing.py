"""JSON form of the list of experiments and topologies, for programs that read `lab7 list --json`.

FORMAT is the version number of this form. It is increased if the meaning of a field changes. A field that is added
later is optional for readers, and leaves FORMAT unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lab7.experiments.harness.catalogue import listing as catalogue

FORMAT = 1


@dataclass(frozen=True)
class ListedParameter:
    """Parameter of an experiment: its default as text, and its meaning."""

    default: str
    meaning: str


@dataclass(frozen=True)
class ListedExperiment:
    """Experiment as listed by `lab7 list --json`: name, question, ids of its claims, and parameters keyed by name."""

    name: str
    question: str
    claims: tuple[str, ...]
    parameters: Mapping[str, ListedParameter]


@dataclass(frozen=True)
class ListedTopology:
    """Topology as listed by `lab7 list --json`: name, and text with description, diagram and address plan."""

    name: str
    text: str


@dataclass(frozen=True)
class Listing:
    """All experiments and topologies of an installation."""

    experiments: tuple[ListedExperiment, ...]
    topologies: tuple[ListedTopology, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the listing as JSON data with the version number of its format."""
        return {"format": FORMAT, **asdict(self)}


def listing_of(found: catalogue.Listing) -> Listing:
    """Convert the internal listing of experiments and topologies (catalogue) to the form of `lab7 list --json`."""
    return Listing(
        tuple(
            ListedExperiment(
                one.name,
                one.question,
                one.claims,
                {each.name: ListedParameter(each.default, each.meaning) for each in one.parameters},
            )
            for one in found.experiments.values()
        ),
        tuple(ListedTopology(one.name, one.text) for one in found.topologies.values()),
    )
