"""Lateness of submissions: deadline, submission times from file times or a CSV file, and deduction of points."""

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
    """Deadline of an assignment (None: no deadline), and submission times in s since 1970, keyed by student.

    The times come from a learning platform, and may lack students.
    """

    at: datetime | None = None
    times: Mapping[str, float] = field(default_factory=dict)

    def days(self, student: str, modified_s: float) -> int:
        """Return the number of days late, rounded up, of a student's submission; 0 if it is in time.

        `modified_s`: the time of submission in s since 1970, if `times` has none for the student.
        """
        if self.at is None:
            return 0
        over_s = self.times.get(student, modified_s) - self.at.timestamp()
        return max(0, -int(-over_s // _DAY_S))


NO_DEADLINE = Deadline()


def modified_s(place: Path) -> float:
    """Return the last modification time, in s since 1970, of a submitted file or of the files in a folder."""
    files = [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else []
    # A symbolic link counts itself: what it leads to is no part of the submission, and may not exist.
    return max(path.lstat().st_mtime for path in files or [place])


def late_deduction(late: Late, days: int) -> float:
    """Return the fraction of the points that is deducted for a submission this many days late."""
    if days == 0:
        return 0.0
    return 1.0 if days > late.days else min(1.0, late.per_day * days)


def read_times(path: Path) -> dict[str, float]:
    """Read submission times from a CSV file with the columns student and submitted; return s since 1970 by student.

    Times are in ISO 8601, and in local time without an offset. Raises RosterError.
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
