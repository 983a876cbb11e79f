"""Grid of parameter values: every combination of the values of several parameters, in the order given.

A text with commas is a list of values (`rtt=20ms,60ms`) unless the parameter itself is a list, as `rtt` of
http-rtt-sweep is: then the whole text is one value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TypeVar

from lab7.experiments.harness.experiment import Experiment, Parameter

Value = TypeVar("Value")
SEPARATOR = ","


def combinations(axes: Mapping[str, Sequence[Value]]) -> list[dict[str, Value]]:
    """Return all combinations of the axes' values, with the last axis as innermost loop.

    Without axes, there is one empty combination.
    """
    return [dict(zip(axes, values, strict=True)) for values in product(*axes.values())]


def varying(axes: Mapping[str, Sequence[Value]]) -> list[str]:
    """Return the names of the axes that have more than one value."""
    return [name for name, values in axes.items() if len(values) > 1]


def axes_of(experiment: Experiment, given: Mapping[str, str]) -> dict[str, list[str]]:
    """Return parameter -> list of its values as text, split at commas unless the parameter itself is a list."""
    return {
        name: _values(experiment.parameters[name], text) if name in experiment.parameters else [text]
        for name, text in given.items()
    }


def _values(parameter: Parameter, text: str) -> list[str]:
    if SEPARATOR not in text or _fits(parameter, text):
        return [text]
    parts = [part.strip() for part in text.split(SEPARATOR)]
    # Keep a text of which no part is valid, so that the error message cites the text as typed.
    return list(dict.fromkeys(parts)) if any(_fits(parameter, part) for part in parts) else [text]


def _fits(parameter: Parameter, text: str) -> bool:
    try:
        parameter.parse(text)
    except ValueError:
        return False
    return True
