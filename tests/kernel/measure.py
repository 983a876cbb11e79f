"""What counts as near in this kernel: its processor is shared, and each of its system calls takes long.

A busy machine makes times longer, never shorter: so of several samples the least says what the links do.
"""

from __future__ import annotations

import csv
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Of what was asked: a link's times and rates.
LINK_TOLERANCE = 0.05
# Of what the other back end takes: a term of a time, or this much where a term is short beside a wake-up that is late.
TERM_TOLERANCE, LATE_S = 0.05, 0.02
RESIDUAL = "residual"


def near(measured: float, asked: float, tolerance: float = LINK_TOLERANCE, floor: float = 0.0) -> bool:
    """Whether a measured figure is what was asked for: within a share of that, or within the floor."""
    return abs(measured - asked) <= max(tolerance * asked, floor)


@dataclass(frozen=True)
class TermPair:
    """One term of one time, over two back ends; the residual is no term of a formula, but what programs take."""

    name: str
    term: str
    netem_s: float
    wire_s: float

    @property
    def agree(self) -> bool:
        """Within the tolerance of each other."""
        return near(self.netem_s, self.wire_s, TERM_TOLERANCE, LATE_S)

    def __str__(self) -> str:
        word = "" if self.term == RESIDUAL else "agree" if self.agree else "differ"
        return f"{f'{self.name} {self.term}':<32} {self.netem_s * 1e3:9.1f} {self.wire_s * 1e3:9.1f}  {word}"


def pairs(name: str, netem: Mapping[str, float], wire: Mapping[str, float]) -> list[TermPair]:
    """The terms of one time side by side, those that are in neither left out."""
    return [TermPair(name, term, netem[term], wire[term]) for term in netem if netem[term] or wire[term]]


def undisturbed_terms(timings: Path) -> dict[str, dict[str, float]]:
    """By comparison, each term in seconds from the samples of a timings.csv: the least, as what is late is longer; but
    the median of a transmission, which is shorter where it begins late."""
    samples: dict[str, list[dict[str, str]]] = {}
    with open(timings, newline="") as file:
        for row in csv.DictReader(file):
            samples.setdefault(row["name"], []).append(row)
    return {name: {term: _undisturbed(rows, term) for term in _terms(rows)} for name, rows in samples.items()}


def _terms(rows: Sequence[Mapping[str, str]]) -> list[str]:
    columns = [column.removesuffix("_s") for column, text in rows[0].items() if column.endswith("_s") and text]
    return [column for column in columns if column != "total"]


def _undisturbed(rows: Sequence[Mapping[str, str]], term: str) -> float:
    values = [float(row[f"{term}_s"]) for row in rows]
    return statistics.median(values) if term == "transmission" else min(values)


def drift(arrivals_s: Sequence[float], gap_s: float) -> float:
    """How much longer frames are apart than asked for, as a share of that: from those that came least late against a
    schedule of that gap, in the first and in the last quarter."""
    late_s = [arrival_s - number * gap_s for number, arrival_s in enumerate(arrivals_s)]
    quarter = len(late_s) // 4
    first, last = (min(range(*span), key=late_s.__getitem__) for span in ((0, quarter), (-quarter, 0)))
    return (late_s[last] - late_s[first]) / ((len(late_s) + last - first) * gap_s)
