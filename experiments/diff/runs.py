"""Comparison of two experiment runs: settings, verdicts on claims, measured times, and messages.

    difference = compare_runs((folder, result), (other_folder, other_result))    # result: content of folder/result.json
    difference.different                # True if a setting, verdict, time or message differs
    difference.to_json()                # all differences, as JSON data

A claim is a statement about a protocol that the packets of a run confirm or contradict. A comparison is a measured time
beside the time that theory predicts; its terms are the parts of the time, such as connection setup. A time counts as
different if its mean moved by more than the comparison's tolerance (relative to the predicted time) and the confidence
interval of the difference excludes 0. If there are too few samples for an interval, the tolerance alone decides.

Messages (including the SYNs of TCP connections) count as different if one run has a message that the other lacks. A
different order of the same messages counts only if both runs were in virtual time (a simulated clock), in which the
order is deterministic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab7.experiments.diff.intervals import METHOD, Difference, differences
from lab7.experiments.diff.messages import MessageDifference, compare_ladders
from lab7.experiments.harness.capture.pcapng import CaptureReadError
from lab7.experiments.harness.results.result import Comparison, Result
from lab7.experiments.harness.results.timings import Sample, TimingsError, samples_of
from lab7.experiments.ladder.ladder import Ladder, ladder_of
from lab7.experiments.ladder.named_capture import read_named_capture

Run = tuple[Path, Result]
CAPTURES = "*.pcapng"
# Label of the segment that opens a TCP connection.
OPENING = "SYN"


@dataclass(frozen=True)
class Change:
    """Difference in a setting or verdict: its name, and the value in each of the two runs (None if a run lacks it)."""

    name: str
    first: Any
    second: Any


@dataclass(frozen=True)
class TimeDifference:
    """Difference in one measured time between two runs: that of the totals, and of each term (part) of the time.

    `samples`: number of samples of each run; `differs`: True if the difference of the totals is significant and exceeds
    `tolerance_s`.
    """

    name: str
    samples: tuple[int, int]
    total: Difference
    terms: Mapping[str, Difference]
    tolerance_s: float
    differs: bool


@dataclass(frozen=True)
class RunDifference:
    """All differences between two runs: settings, verdicts, times and messages.

    `only`: measured times and captures that one run lacks; `notes`: sentences about parts that could not be compared;
    `ordered`: True if a different order of messages counts as a difference.
    """

    folders: tuple[str, str]
    experiments: tuple[str, str]
    settings: tuple[Change, ...]
    claims: tuple[Change, ...]
    times: tuple[TimeDifference, ...]
    only: tuple[Change, ...]
    messages: tuple[MessageDifference, ...]
    notes: tuple[str, ...]
    ordered: bool

    @property
    def different(self) -> bool:
        """Return True if the runs differ in a setting, a verdict, a time or a message."""
        return bool(
            self.settings
            or self.claims
            or self.only
            or any(time.differs for time in self.times)
            or any(one.parting or (self.ordered and one.order) for one in self.messages)
        )

    def to_json(self) -> dict[str, Any]:
        """Return the difference as JSON data; times are in s."""
        return {"different": self.different, "method": METHOD, **asdict(self)}


def compare_runs(first: Run, second: Run) -> RunDifference:
    """Compare two runs, each given as (result folder, result); return their differences."""
    notes: list[str] = []
    results = first[1], second[1]
    captures = [{path.name for path in folder.glob(CAPTURES)} for folder, _ in (first, second)]
    names = [{comparison.name for comparison in result.comparisons} for result in results]
    only = [
        Change(f"{kind} {name}", *(("present", None) if name in sides[0] else (None, "present")))
        for kind, sides in (("comparison", names), ("capture", captures))
        for name in sorted(sides[0] ^ sides[1])
    ]
    return RunDifference(
        folders=(str(first[0]), str(second[0])),
        experiments=(results[0].experiment, results[1].experiment),
        settings=(*_parameters(*results), *_changes(_settings(results[0]), _settings(results[1]))),
        claims=tuple(_changes(*({claim.id: claim.verdict for claim in result.claims} for result in results))),
        times=tuple(_times(first, second, notes)),
        only=tuple(only),
        messages=tuple(_messages(first[0], second[0], sorted(captures[0] & captures[1]), notes)),
        notes=tuple(notes),
        ordered=all(result.clock.word == "virtual" for result in results),
    )


def _parameters(first: Result, second: Result) -> Iterator[Change]:
    """Yield a Change for each parameter that differs, with values as `lab7 run --set` takes them."""
    for change in _changes(first.parameters, second.parameters):
        name = change.name
        yield Change(f"parameter {name}", first.settings.get(name), second.settings.get(name))


def _settings(result: Result) -> dict[str, Any]:
    """Return name -> value, for the settings of a run other than parameters, such as seed, clock, programs, faults."""
    return {
        "experiment": result.experiment,
        "seed": result.seed,
        "time": result.clock.word,
        "kernel": result.clock.kernel,
        **{f"program of {role}": name for role, name in result.implementations.items()},
        **{f"faults of {host}": ", ".join(names) for host, names in result.faults.items()},
    }


def _changes(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Change]:
    for name in dict.fromkeys((*first, *second)):
        if first.get(name) != second.get(name):
            yield Change(name, first.get(name), second.get(name))


def _times(first: Run, second: Run, notes: list[str]) -> Iterator[TimeDifference]:
    samples = []
    for folder, result in (first, second):
        try:
            samples.append(samples_of(folder, result))
        except TimingsError as error:
            notes.append(str(error))
            return
    others = {comparison.name: comparison for comparison in second[1].comparisons}
    for comparison in first[1].comparisons:
        if comparison.name in others:
            yield _time(comparison, others[comparison.name], *(_counted(some, comparison.name) for some in samples))


def _counted(samples: list[Sample], name: str) -> list[Sample]:
    """Return the undisturbed samples of one measured time, or all of them if other load disturbed every sample."""
    of_name = [sample for sample in samples if sample.comparison == name]
    return [sample for sample in of_name if not sample.disturbed] or of_name


def _time(first: Comparison, second: Comparison, here: list[Sample], there: list[Sample]) -> TimeDifference:
    found = differences(
        *([{**sample.terms, _TOTAL: sample.total_s} for sample in samples] for samples in (here, there))
    )
    total = found.pop(_TOTAL)
    tolerance_s = max(one.tolerance * one.theory_s for one in (first, second))
    beyond = abs(total.difference_s) > tolerance_s and total.excludes_zero is not False
    return TimeDifference(first.name, (len(here), len(there)), total, found, tolerance_s, beyond)


# Key of the total among the terms of a sample; no term has this name, since terms are words.
_TOTAL = "="


def _messages(first: Path, second: Path, names: list[str], notes: list[str]) -> Iterator[MessageDifference]:
    for name in names:
        try:
            ladders = [_ladder(folder / name) for folder in (first, second)]
        except (CaptureReadError, OSError) as error:
            notes.append(f"messages not compared: {error}")
            continue
        yield compare_ladders(name, *ladders)


def _ladder(path: Path) -> Ladder:
    """Return the ladder diagram of a capture with its application messages and the SYNs of its TCP connections."""
    ladder = ladder_of(read_named_capture(path), with_tcp=True)
    return ladder.with_arrows(arrow for arrow in ladder.arrows if arrow.level == "message" or arrow.label == OPENING)
