"""Queue of the cells (runs of the grid) of a parameter sweep, with a bounded number of reruns for each cell.

A cell whose run failed is queued again. In real time, a cell with a suspect result is queued again as well: one whose
network or machine failed a fidelity check. In virtual time (a simulated clock) a suspect result is final, since the
same seed would give the same result.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from lab7.experiments.harness.clock import ClockWord
from lab7.experiments.sweep.cell import Cell


class Backlog:
    """Queue of the cells (runs of a sweep) still to be executed, with the number of finished runs of each cell.

    `again`: maximum number of reruns of a cell. `attempts`: cell name -> number of runs in earlier invocations.
    """

    def __init__(
        self, cells: Iterable[Cell], again: int, clock: ClockWord, attempts: Mapping[str, int] | None = None
    ) -> None:
        self._waiting = deque(cells)
        self._limit = 1 if clock == "virtual" else 1 + again
        # A run that failed (a crash, a killed worker) may succeed in virtual time, too.
        self._failures_limit = 1 + again
        self._attempts = dict(attempts or {})

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> Cell | None:
        """Remove and return the next cell to run; None if the queue is empty."""
        return self._waiting.popleft() if self._waiting else None

    def attempt(self, cell: Cell) -> int:
        """Return how many runs of a cell have finished, including those in earlier invocations of `lab7 sweep`."""
        return self._attempts.get(cell.name, 0)

    def settle(self, cell: Cell, *, valid: bool, failed: bool = False) -> bool:
        """Count a finished run of a cell; return True if the cell is done, False if it is queued again.

        A cell is queued again if the run failed or its result is suspect, and reruns remain.
        """
        self._attempts[cell.name] = count = self.attempt(cell) + 1
        if valid or count >= (self._failures_limit if failed else self._limit):
            return True
        self._waiting.append(cell)
        return False


def is_settled(fidelity: str, attempt: int, again: int, clock: ClockWord) -> bool:
    """Return True if a stored result of a cell is final: valid, of virtual time, or suspect with no reruns left.

    `attempt`: number of the run; `again`: maximum number of reruns.
    """
    return fidelity == "valid" or clock == "virtual" or attempt >= 1 + again
