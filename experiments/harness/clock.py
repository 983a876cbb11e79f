"""The clock of a run: the machine's own (real), or that of a kernel (virtual; topologies.emulation.virtual)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

ClockWord = Literal["real", "virtual"]
# Environment variable with the clock of a run in a kernel.
VARIABLE = "LAB7_CLOCK"
VIRTUAL_MEANING = (
    "the clock was virtual: programs take no time; for order, content and formulas, not for the speed of programs"
)
# Tolerance of a time in virtual time: theory leaves out nothing but the 32 ns of each reading of the clock.
VIRTUAL_TOLERANCE = 0.003
REAL_MEANING = "the clock was this machine's: programs and the machine's other work take part in every time"


@dataclass(frozen=True)
class Clock:
    """Clock of a run; of a virtual one also the version and the configuration hash of its kernel."""

    word: ClockWord = "real"
    kernel: str | None = None
    configuration: str | None = None

    def sentence(self, seed: int) -> str:
        """Return a sentence for reports: what the clock means for the figures of a run."""
        if self.word == "real":
            return REAL_MEANING
        return f"{VIRTUAL_MEANING} (kernel {self.kernel}, configuration {self.configuration}, seed {seed})"

    def to_text(self) -> str:
        """Encode the clock for the environment of a run in the kernel."""
        return json.dumps(asdict(self))


def current(environment: Mapping[str, str] = os.environ) -> Clock:
    """Return the clock of this process."""
    text = environment.get(VARIABLE)
    return Clock(**json.loads(text)) if text else Clock()


def tolerance(real: float, timed_by: Clock | None = None) -> float:
    """Return the tolerated distance of a ratio from 1: `real` by the machine's clock, a constant by a virtual one.

    timed_by: the clock; None for that of this process.
    """
    return VIRTUAL_TOLERANCE if (timed_by or current()).word == "virtual" else real
