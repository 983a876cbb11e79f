"""Confidence interval of a mean by Student's t distribution, for runs of a sweep that differ only in their seed.

The quantiles for up to 30 degrees of freedom are tabulated; above, the expansion of Cornish and Fisher (1938) is exact
to five digits. One value has no interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, stdev

LEVEL = 0.95
# Quantiles 0.975 of Student's t distribution with 1 to 30 degrees of freedom.
QUANTILES = (
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281,
    2.2010, 2.1788, 2.1604, 2.1448, 2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860,
    2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484, 2.0452, 2.0423,
)  # fmt: skip
METHOD = f"{LEVEL:.0%} confidence interval of the mean over the seeds (Student's t)"


@dataclass(frozen=True)
class Mean:
    """Mean of several values, and the half-width of its confidence interval (None for a single value)."""

    value: float
    half_width: float | None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return (lower, upper) bound of the interval; None for a single value."""
        return None if self.half_width is None else (self.value - self.half_width, self.value + self.half_width)


def mean_of(values: Sequence[float]) -> Mean:
    """Return the mean of at least one value with its confidence interval."""
    count = len(values)
    if count < 2:
        return Mean(fmean(values), None)
    return Mean(fmean(values), quantile(count - 1) * stdev(values) / math.sqrt(count))


def quantile(freedom: int) -> float:
    """Return the quantile (1 + LEVEL) / 2 of Student's t distribution with `freedom` degrees of freedom."""
    if freedom <= len(QUANTILES):
        return QUANTILES[freedom - 1]
    z = NormalDist().inv_cdf((1 + LEVEL) / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2
