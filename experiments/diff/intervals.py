"""Confidence interval for the difference of two means by the percentile bootstrap (Efron 1979).

Both sets of samples are resampled with replacement; the interval contains the middle 95 % of the resulting differences
of means. No distribution is assumed. If a set has fewer than SAMPLES_MIN samples, there is no interval, because
resampling so few values does not represent their spread. The random numbers are seeded, so the same samples always give
the same interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean, quantiles

LEVEL = 0.95
RESAMPLES = 2000
SAMPLES_MIN = 3
METHOD = (
    f"{LEVEL:.0%} percentile bootstrap of the difference of means, {RESAMPLES} resamples; none below "
    f"{SAMPLES_MIN} samples"
)


@dataclass(frozen=True)
class Difference:
    """Means of two sets of samples in s, and the confidence interval of their difference (second minus first).

    The bounds of the interval are None if there are too few samples.
    """

    first_s: float
    second_s: float
    low_s: float | None = None
    high_s: float | None = None

    @property
    def difference_s(self) -> float:
        """Return the second mean minus the first, in s."""
        return self.second_s - self.first_s

    @property
    def excludes_zero(self) -> bool | None:
        """Return True if the confidence interval does not contain 0, and None if there is no interval."""
        if self.low_s is None or self.high_s is None:
            return None
        return self.low_s > 0 or self.high_s < 0


def differences(first: Sequence[Mapping[str, float]], second: Sequence[Mapping[str, float]]) -> dict[str, Difference]:
    """Return the Difference of the means of two sets of samples, for each term of the samples.

    A term is a named part of a measured time, such as connection setup. A sample maps its terms to times in s; a
    missing term counts as 0 s. The resampling draws the same samples for all terms, so that the differences of the
    terms add up.
    """
    names = list(dict.fromkeys(name for sample in (*first, *second) for name in sample))
    columns = {
        name: ([sample.get(name, 0.0) for sample in first], [sample.get(name, 0.0) for sample in second])
        for name in names
    }
    bounds = dict.fromkeys(names, (None, None)) | (
        _bounds(columns) if min(len(first), len(second)) >= SAMPLES_MIN else {}
    )
    return {name: Difference(fmean(here), fmean(there), *bounds[name]) for name, (here, there) in columns.items()}


def _bounds(columns: Mapping[str, tuple[list[float], list[float]]]) -> dict[str, tuple[float | None, float | None]]:
    random, drawn = Random(1), dict[str, list[float]]()
    sizes = [len(column) for column in next(iter(columns.values()), ([], []))]
    for _ in range(RESAMPLES):
        places = [random.choices(range(size), k=size) for size in sizes]
        for name, column in columns.items():
            here, there = (
                fmean([values[place] for place in some]) for values, some in zip(column, places, strict=True)
            )
            drawn.setdefault(name, []).append(there - here)
    # Cut points 1 and 39 of 40 groups bound the middle 95 %.
    cuts = {name: quantiles(values, n=round(2 / (1 - LEVEL)), method="inclusive") for name, values in drawn.items()}
    return {name: (points[0], points[-1]) for name, points in cuts.items()}
