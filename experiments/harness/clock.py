"""Clock of a run: real (the machine's clock), or virtual (a user-mode Linux kernel's clock, which skips idle time)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

ClockWord = Literal["real", "virtual"]
# Environment variable that passes the clock's description to the process in the user-mode kernel.
VARIABLE = "LAB7_CLOCK"
VIRTUAL_MEANING = (
    "the clock was virtual: computation takes no time; use the results for order, content and formulas, not "
    "for the speed of programs"
)
# Tolerated relative error in virtual time, in which theory leaves out only 32 ns per reading of the clock.
VIRTUAL_TOLERANCE = 0.003
REAL_MEANING = "the clock was this machine's: computation and other programs of the machine affect every time"


@dataclass(frozen=True)
class Clock:
    """Clock of a run, `real` or `virtual`; for `virtual` also the kernel's version and configuration hash."""

    word: ClockWord = "real"
    kernel: str | None = None
    configuration: str | None = None

    def sentence(self, seed: int) -> str:
        """Return a sentence for reports about the clock that measured the times of a run."""
        if self.word == "real":
            return REAL_MEANING
        return f"{VIRTUAL_MEANING} (kernel {self.kernel}, configuration {self.configuration}, seed {seed})"

    def to_text(self) -> str:
        """Return the clock as JSON text, for the environment of a process in virtual time."""
        return json.dumps(asdict(self))


def current(environment: Mapping[str, str] = os.environ) -> Clock:
    """Return the clock of this process: virtual if the environment variable describes one, otherwise real."""
    text = environment.get(VARIABLE)
    return Clock(**json.loads(text)) if text else Clock()


def tolerance(real: float, timed_by: Clock | None = None) -> float:
    """Return the permitted relative deviation of a measured time from theory.

    In real time this is the argument `real`, in virtual time a constant. `timed_by` is the clock of the run; None means
    the clock of this process.
    """
    return VIRTUAL_TOLERANCE if (timed_by or current()).word == "virtual" else real
