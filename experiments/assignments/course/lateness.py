"""Lateness of submissions: the deadline, times of hand-in by file or by a list, and the deduction by the late rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from lab7.experiments.assignments.course.roster import RosterError, read_pairs
from lab7.experiments.assignments.definition import Late

_DAY_S = 86_400


@dataclass(frozen=True)
class Deadline:
    """The deadline, None without one; `times`: hand-in times of a learning platform in s since 1970, by student."""

    at: datetime | None = None
    times: Mapping[str, float] = field(default_factory=dict)

    def days(self, student: str, modified_s: float) -> int:
        """Return the number of days begun after the deadline; `modified_s`: for a student who is not in the list."""
        if self.at is None:
            return 0
        over_s = self.times.get(student, modified_s) - self.at.timestamp()
        return max(0, -int(-over_s // _DAY_S))


NO_DEADLINE = Deadline()


def modified_s(place: Path) -> float:
    """Return the time in s since 1970 at which a submission, a file or the files of a folder, was last modified."""
    files = [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else []
    return max(path.stat().st_mtime for path in files or [place])


def late_deduction(late: Late, days: int) -> float:
    """Return the share of the points that is deducted after these days by the late rules."""
    if days == 0:
        return 0.0
    return 1.0 if days > late.days else min(1.0, late.per_day * days)


def read_times(path: Path) -> dict[str, float]:
    """Read hand-in times in s since 1970 from a CSV file with the columns student and submitted (ISO 8601).

    A time without an offset is local time. Raises RosterError.
    """
    found = {}
    for line, student, text in read_pairs(path, "submitted"):
        try:
            found[student] = datetime.fromisoformat(text).astimezone().timestamp()
        except (ValueError, OverflowError) as error:
            raise RosterError(
                f"{path.name}, line {line}: {text!r} is not an ISO 8601 time, for example 2030-05-01T23:59+02:00"
            ) from error
    return found
