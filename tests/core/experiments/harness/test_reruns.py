"""Reruns: which outcome is repeated, and the closing lines of `lab7 run`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.reruns import is_inconclusive, should_rerun, summary
from lab7.experiments.harness.results.result import Check, Fidelity, Result
from tests.core.experiments.harness.samples import sample_result

FOLDER = Path("results/http_versions/1")
GOOD = sample_result()
SUSPECT = sample_result(
    fidelity=Fidelity("suspect", (Check("scheduler lag", "at most 5 ms", "9.10 ms", "suspect"),)),
)
UNDECIDED = sample_result(claims=(Verdict("H8", "undecided", "Too few.", ()),))
FAILED = sample_result(claims=(Verdict("H9", "failed", "None.", (1,)),))
LATE = sample_result(
    claims=FAILED.claims,
    comparisons=(dataclasses.replace(GOOD.comparisons[0], ratio=1.5, tolerance=0.05),),
)


@pytest.mark.parametrize(
    ("result", "expected"), [(GOOD, False), (FAILED, False), (SUSPECT, True), (UNDECIDED, True), (LATE, True)]
)
def test_what_the_machine_may_have_decided_is_unsettled(result: Result, expected: bool) -> None:
    assert is_inconclusive(result) is expected
    assert should_rerun([result]) is expected


def test_a_second_undisturbed_run_with_the_same_undecided_claims_ends_the_reruns() -> None:
    assert not should_rerun([UNDECIDED, UNDECIDED])
    assert should_rerun([SUSPECT, UNDECIDED])
    assert should_rerun([UNDECIDED, SUSPECT])


def test_all_shown_is_one_line() -> None:
    assert summary([(FOLDER, GOOD)]) == ["1 of 1 claims shown"]


def test_a_claim_that_several_runs_judge_is_counted_once_beside_its_verdicts() -> None:
    assert summary([(FOLDER, GOOD), (FOLDER, GOOD)]) == ["2 of 2 verdicts shown, on 1 claim"]


def test_each_open_claim_has_a_line_that_says_what_to_do() -> None:
    assert summary([(FOLDER, UNDECIDED), (FOLDER, FAILED), (FOLDER, GOOD)]) == [
        "1 of 3 verdicts shown, on 2 claims; not shown:",
        "  http_versions H8 undecided: see results/http_versions/1/report.html",
        "  http_versions H9 failed: see results/http_versions/1/report.html",
        "stop other programs, then run again what they may have disturbed:",
        "    lab7 run http_versions",
    ]


def test_a_suspect_run_names_its_checks() -> None:
    assert summary([(FOLDER, SUSPECT)]) == [
        "1 of 1 claims shown; suspect:",
        "  http_versions fidelity suspect: scheduler lag",
        "stop other programs, then run again what they may have disturbed:",
        "    lab7 run http_versions",
    ]


def test_the_attempt_is_kept_in_the_result_and_may_be_absent(tmp_path: Path) -> None:
    again = dataclasses.replace(GOOD, attempt=3)
    again.save(tmp_path)
    assert Result.load(tmp_path).attempt == 3
    data = again.to_json()
    del data["attempt"]
    assert Result.from_json(data).attempt == 1
