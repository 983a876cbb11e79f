"""What `lab7 run` says at its end."""

from experiments.harness.cli.running import sum_up
from experiments.harness.judge.verdict import Verdict
from experiments.harness.result import Fidelity
from tests.core.harness.samples import sample_result


def test_all_shown_is_said_in_numbers() -> None:
    assert sum_up([sample_result(), sample_result()]) == "2 of 2 claims shown"


def test_what_was_not_shown_is_named_with_its_experiment() -> None:
    claims = (Verdict("H8", "undecided", "Too few.", ()), Verdict("H9", "failed", "None.", (1,)))
    assert (
        sum_up([sample_result(), sample_result(claims=claims)])
        == "1 of 3 claims shown; http_versions H8 undecided; http_versions H9 failed"
    )


def test_a_suspect_run_is_named() -> None:
    suspect = sample_result(fidelity=Fidelity("suspect", ()))
    assert sum_up([suspect]) == "1 of 1 claims shown; http_versions fidelity suspect"
