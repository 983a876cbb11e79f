"""All checks of `lab7 matrix cache`, by section."""

from __future__ import annotations

from experiments.harness.caching import forwarding, reusing, storing, validating
from experiments.harness.caching.scenario import Check

CHECKS: tuple[Check, ...] = (*storing.CHECKS, *reusing.CHECKS, *validating.CHECKS, *forwarding.CHECKS)
