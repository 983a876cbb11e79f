"""Table of the runs of a sweep, and its JSON Schema: one row per measured time that has a prediction.

A row has the run's parameters, the verdicts on the claims (statements about protocols), and the terms (parts) of the
time; a run without a predicted time has one row. Rows are in the order of the grid, whatever the time and order of the
runs: in virtual time (a simulated clock), the same sweep gives the same table, octet for octet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lab7.experiments.harness.experiment import Experiment
from lab7.experiments.harness.implementations.registry import OURS
from lab7.experiments.harness.parameters import period, seconds
from lab7.experiments.harness.results.result import Comparison, Result
from lab7.experiments.harness.results.schema import DRAFT

Row = dict[str, Any]
Columns = dict[str, list[Any]]
# Column -> (types in JSON Schema, description).
FIXED: Mapping[str, tuple[tuple[str, ...], str]] = {
    "cell": (("string",), "name of the run: hash of everything on which it depends, or the run's folder"),
    "experiment": (("string",), "name of the experiment"),
    "seed": (("integer",), "seed of the random numbers of workload and links"),
    "clock": (("string",), "clock of the run: real or virtual"),
    "attempt": (("integer",), "number of the run of this cell, 2 and more after suspect ones"),
    "fidelity": (("string",), "verdict of the fidelity certificate: valid or suspect"),
    "claims": (("integer",), "number of judged claims"),
    "claims_shown": (("integer",), "number of claims that were shown"),
    "comparison": (("string", "null"), "name of the compared time; null for a run without one"),
    "samples": (("integer", "null"), "number of samples of the compared time"),
    "measured_s": (("number", "null"), "median of the samples, without disturbance by the machine, in s"),
    "theory_s": (("number", "null"), "time of the formula, in s"),
    "ratio": (("number", "null"), "measured_s / theory_s"),
    "within": (("boolean", "null"), "the ratio is within its tolerance of 1"),
}
# Columns before those of the settings.
FIRST = ("cell", "experiment")
# Prefixes of the columns of a claim's verdict, of a term of the median sample, and of a term of theory.
CLAIM, TERM, THEORY = "claim_", "term_", "theory_term_"


@dataclass(frozen=True)
class TableRun:
    """Run as input of a sweep's table: name, parsed values of the parameters, replacements, result, attempt."""

    name: str
    values: Mapping[str, Any]
    replace: Mapping[str, str]
    result: Result
    attempt: int = 1


def column_of(setting: str) -> str:
    """Return the table's column name for a parameter or role; `set_` precedes a name that a fixed column has."""
    return f"set_{setting}" if setting in FIXED else setting


def table_of(runs: Iterable[TableRun]) -> Columns:
    """Return a sweep's table as column name -> values; all columns have equal length, an absent value is None."""
    runs = list(runs)
    settings = list(dict.fromkeys(column_of(name) for run in runs for name in (*run.values, *run.replace)))
    rows = [row for run in runs for row in _rows(run)]
    # Claims and terms come after the fixed columns, in the order of their first appearance.
    others = dict.fromkeys(name for row in rows for name in row if name not in FIXED and name not in settings)
    claims = [name for name in others if name.startswith(CLAIM)]
    terms = [name for name in others if name not in claims]
    order = [*FIRST, *settings, *(name for name in FIXED if name not in FIRST), *claims, *terms]
    return {name: [row.get(name) for row in rows] for name in order}


def rows_of(columns: Columns) -> list[Row]:
    """Return the rows of a table, each a mapping from column to value."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _rows(run: TableRun) -> list[Row]:
    result = run.result
    settings = {column_of(name): _plain(value) for name, value in {**run.values, **run.replace}.items()}
    claims = {f"{CLAIM}{claim.id}": claim.verdict for claim in result.claims}
    common: Row = {
        "cell": run.name,
        "experiment": result.experiment,
        **settings,
        "seed": result.seed,
        "clock": result.clock.word,
        "attempt": run.attempt,
        "fidelity": result.fidelity.verdict,
        "claims": len(result.claims),
        "claims_shown": sum(claim.verdict == "shown" for claim in result.claims),
        **claims,
    }
    return [{**common, **_compared(comparison)} for comparison in result.comparisons] or [common]


def _compared(comparison: Comparison) -> Row:
    return {
        "comparison": comparison.name,
        "samples": len(comparison.samples_s),
        "measured_s": comparison.measured_s,
        "theory_s": comparison.theory_s,
        "ratio": comparison.ratio,
        "within": comparison.within,
        **{f"{TERM}{term}_s": value_s for term, value_s in comparison.terms.items()},
        **{f"{THEORY}{term}_s": value_s for term, value_s in comparison.theory_terms.items()},
    }


def _plain(value: Any) -> str | int | float | bool:
    """Convert a parsed value to a single table value; a list becomes comma-separated text."""
    if isinstance(value, list | tuple):
        return ",".join(str(_plain(one)) for one in value)
    return value if isinstance(value, str | int | float) else str(value)


def table_schema(columns: Columns, experiment: Experiment) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a sweep's table as an array of rows; it describes each column."""
    properties = {name: _property(name, values, experiment) for name, values in columns.items()}
    row = {"type": "object", "properties": properties, "required": list(columns), "additionalProperties": False}
    return {"$schema": DRAFT, "title": f"table of a sweep of {experiment.name}", "type": "array", "items": row}


def _property(name: str, values: Sequence[Any], experiment: Experiment) -> dict[str, Any]:
    if name in FIXED:
        types, description = FIXED[name]
        return {"type": list(types), "description": description}
    if name.startswith(CLAIM):
        words = ["shown", "failed", "undecided", None]
        return {"enum": words, "description": f"verdict on the claim {name.removeprefix(CLAIM)}; null: not judged"}
    for prefix, what in ((THEORY, "theory"), (TERM, "the median sample")):
        if name.startswith(prefix):
            term = name.removeprefix(prefix).removesuffix("_s")
            return {"type": ["number", "null"], "description": f"term {term} of {what}, in s"}
    return {"type": _types(values), "description": _meaning(name, experiment)}


def _meaning(column: str, experiment: Experiment) -> str:
    for name, parameter in experiment.parameters.items():
        if column_of(name) == column:
            unit = ", in s" if is_time(experiment, name) else ""
            return f"parameter {name}: {parameter.meaning}{unit}"
    return f"program in the role {column}; {OURS} for lab7's own"


def is_time(experiment: Experiment, name: str) -> bool:
    """Return True if the values of an experiment's parameter are times in s."""
    return name in experiment.parameters and experiment.parameters[name].parse in (seconds, period)


def _types(values: Sequence[Any]) -> list[str]:
    """Return the JSON Schema types (boolean, number, string) of a column's values."""
    names = {bool: "boolean", int: "number", float: "number", str: "string"}
    return sorted({names[type(value)] for value in values if value is not None})
