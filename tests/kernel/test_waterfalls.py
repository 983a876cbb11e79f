"""The terms and phases of every transaction of every experiment add up to the ns; in virtual time nothing is left."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab7.experiments.harness.discovery import all_experiments
from lab7.experiments.harness.judge.decomposition import CLOCK_READINGS, READING_NS, RESIDUAL
from lab7.experiments.harness.judge.frames import read_capture
from lab7.experiments.harness.results.result import TIMINGS_NAME, Result
from lab7.experiments.harness.results.timings import samples_of
from lab7.experiments.waterfall.bars import Bar, bars_of

pytestmark = pytest.mark.slow
NS = 1e9
RESULTS_BYTES_MAX = 40_000_000
# Protocols of which the experiments have exchanges.
PROTOCOLS = {"HTTP", "DNS", "SMTP", "POP3", "IMAP", "FTP"}


def test_all_results_are_small(runs: list[Path]) -> None:
    results = runs[0].parents[1]
    latest = [path for run in runs for path in run.rglob("*") if path.is_file()]
    pages = [path for path in results.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in (*latest, *pages)) < RESULTS_BYTES_MAX


def in_ns(seconds: float) -> int:
    """Whole ns, of which a time in a file is a decimal fraction."""
    assert abs(seconds * NS - round(seconds * NS)) < 1e-3
    return round(seconds * NS)


def transactions(run: Path) -> Iterator[Bar]:
    for capture in sorted(run.glob("*.pcapng")):
        yield from bars_of(read_capture(capture), 0, 1 << 62)


def protocol(bar: Bar) -> str:
    """Protocol of a bar: HTTP for an object, which is named by its connection."""
    return "HTTP" if "connection " in bar.lane else bar.lane.rpartition(", ")[2]


def test_every_experiment_is_there(runs: list[Path]) -> None:
    assert {run.parent.name for run in runs} == set(all_experiments())
    assert {json.loads((run / "result.json").read_text())["clock"]["word"] for run in runs} == {"virtual"}


def test_the_terms_of_every_sample_add_up_and_nothing_is_left(
    runs: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    counts: Counter[str] = Counter()
    wrong, left = [], []
    for run in runs:
        for sample in samples_of(run, Result.load(run)):
            where = (run.parent.name, sample.comparison, sample.number)
            terms_ns = {name: in_ns(value_s) for name, value_s in sample.terms.items()}
            counts[run.parent.name] += 1
            if sum(terms_ns.values()) != in_ns(sample.total_s):
                wrong.append((*where, sum(terms_ns.values()) - in_ns(sample.total_s)))
            if terms_ns.get(RESIDUAL):
                left.append((*where, terms_ns[RESIDUAL]))
    with capsys.disabled():
        print(f"\nsamples: {dict(counts)}")
    assert sum(counts.values()) > 100
    assert (wrong, left) == ([], [])


def test_the_terms_of_every_comparison_add_up_and_nothing_is_left(runs: list[Path]) -> None:
    compared = [(run.parent.name, one) for run in runs for one in Result.load(run).comparisons]
    assert len(compared) > 50
    assert [(name, one.name) for name, one in compared if not one.adds_up] == []
    assert [(name, one.name) for name, one in compared if one.terms.get(RESIDUAL)] == []


def test_clock_readings_are_those_of_single_samples_and_whole(runs: list[Path]) -> None:
    """Means of many requests are no whole number of readings; all samples of one transaction are."""
    means = {"access-link", "cdn-scaling", "cdn-failover"}
    read_ns = []
    for run in runs:
        if run.parent.name not in means and (run / TIMINGS_NAME).exists():
            with (run / TIMINGS_NAME).open(newline="") as stream:
                read_ns += [in_ns(float(row.get(f"{CLOCK_READINGS}_s") or 0)) for row in csv.DictReader(stream)]
    assert max(read_ns) > 0
    assert [value_ns for value_ns in read_ns if value_ns % READING_NS] == []


def test_the_phases_of_every_exchange_add_up(runs: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    counts: Counter[str] = Counter()
    wrong = []
    for run in runs:
        for bar in transactions(run):
            counts[protocol(bar)] += 1
            if sum(phase.end_ns - phase.start_ns for phase in bar.phases) != bar.end_ns - bar.start_ns:
                wrong.append((run.parent.name, bar.lane, bar.label, bar.phases))
    with capsys.disabled():
        print(f"\nexchanges: {dict(counts)}")
    assert counts.keys() >= PROTOCOLS
    assert wrong == []
