"""The clock of a run: the machine's own, or the virtual one of a kernel (topologies.emulation.virtual)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, get_args

ClockWord = Literal["real", "virtual"]
CLOCK_WORDS: tuple[str, ...] = get_args(ClockWord)
# How a run inside of a kernel is told that kernel's clock.
VARIABLE = "LAB7_CLOCK"
VIRTUAL_MEANING = (
    "the clock was virtual: programs take no time; for order, content and formulas, not for the speed of programs"
)
# In virtual time: what programs take by reading the clock (32 ns each time) is all that theory does not count.
VIRTUAL_TOLERANCE = 0.003
REAL_MEANING = "the clock was this machine's: programs and the machine's other work take part in every time"


@dataclass(frozen=True)
class Clock:
    """Which clock timed a run; of a virtual one the version and the configuration hash of its kernel."""

    word: ClockWord = "real"
    kernel: str | None = None
    configuration: str | None = None

    def sentence(self, seed: int) -> str:
        """What it means for the figures of a run."""
        if self.word == "real":
            return REAL_MEANING
        return f"{VIRTUAL_MEANING} (kernel {self.kernel}, configuration {self.configuration}, seed {seed})"

    def to_text(self) -> str:
        """For the environment of the run inside."""
        return json.dumps(asdict(self))


def current(environment: Mapping[str, str] = os.environ) -> Clock:
    """The clock of this process."""
    text = environment.get(VARIABLE)
    return Clock(**json.loads(text)) if text else Clock()


def tolerance(real: float, timed_by: Clock | None = None) -> float:
    """Return how far measured may lie from theory, as a share: `real` by the machine's clock, always the same by a
    virtual one. `timed_by`: None for the clock of this process."""
    return VIRTUAL_TOLERANCE if (timed_by or current()).word == "virtual" else real
