"""`lab7 diff`: two runs that are the same, or differ in a setting, a verdict, a time or a message."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lab7.experiments.diff.cli import diff_command
from lab7.experiments.diff.intervals import SAMPLES_MIN, differences
from lab7.experiments.diff.text import WIDTH
from lab7.experiments.harness.clock import Clock
from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.results.result import Timing
from tests.core.experiments.harness.samples import TIMINGS, sample_run
from tests.core.experiments.harness.wire import Wire
from tests.core.experiments.http.pages import persistent, pipelined, serial

VIRTUAL = Clock("virtual", "6.12", "c0ffee")


def diff(*arguments: object) -> Result:
    return CliRunner().invoke(diff_command, [str(argument) for argument in arguments])


def later(seconds: float) -> list[Timing]:
    return [Timing(one.total_s + seconds, {**one.terms, "request": one.terms["request"] + seconds}) for one in TIMINGS]


def test_a_run_is_the_same_as_another_with_the_same_packets_and_times(tmp_path: Path) -> None:
    first, second = (sample_run(tmp_path / name, persistent(Wire())) for name in "ab")
    found = diff(first, second)
    assert found.exit_code == 0, found.output
    assert "The runs are the same." in found.output


def test_settings_and_claims_that_changed(tmp_path: Path) -> None:
    first = sample_run(tmp_path / "a", persistent(Wire()))
    claims = (Verdict("H9", "failed", "One request at a time."), Verdict("H1", "shown", "Seen."))
    changes: dict[str, Any] = {
        "parameters": {"rtt_s": 0.2},
        "implementations": {"origin": "nginx/1.26"},
        "claims": claims,
    }
    second = sample_run(tmp_path / "b", persistent(Wire()), **changes)
    found = diff(first, second)
    assert found.exit_code == 1
    for line in (
        "parameter rtt_s: 0.1 -> 0.2",
        "program of origin: lab7.services.http.origin -> nginx/1.26",
        "H9: shown -> failed",
        "H1: - -> shown",
    ):
        assert f"  {line}\n" in found.output


def test_parameters_are_written_as_they_are_set(tmp_path: Path) -> None:
    runs = [
        sample_run(tmp_path / name, persistent(Wire()), parameters={"rtt": value}, parameter_texts=texts)
        for name, value, texts in (
            ("a", 0.1, {"rtt": "100ms"}),
            ("b", 0.05, {"rtt": "50ms"}),
            ("c", 0.1, {"rtt": "0.1s"}),
            ("older", 0.1, {}),
        )
    ]
    assert "  parameter rtt: 100ms -> 50ms\n" in diff(runs[0], runs[1]).output
    # The value decides, not how it was typed.
    assert [diff(runs[0], other).exit_code for other in runs[2:]] == [0, 0]


def test_the_first_message_that_only_one_run_has(tmp_path: Path) -> None:
    first = sample_run(tmp_path / "a", persistent(Wire(), ("/", "/a", "/b")))
    second = sample_run(tmp_path / "b", persistent(Wire(), ("/", "/a", "/c")))
    (found,) = json.loads(diff("--json", first, second).output)["messages"]
    assert found["only_in"] == "first"
    assert found["parting"]["label"] == "GET /b"
    assert found["before"]["label"].startswith("200 OK")
    # The handshake takes 40 ms; each of two objects 40 ms of waiting and 3 ms of transmission.
    assert found["parting"]["time_s"] == pytest.approx(0.126, abs=1e-6)


def test_a_connection_that_only_one_run_opens(tmp_path: Path) -> None:
    first, second = (sample_run(tmp_path / name, make(Wire())) for name, make in (("a", serial), ("b", persistent)))
    (found,) = json.loads(diff("--json", first, second).output)["messages"]
    assert (found["only_in"], found["parting"]["protocol"], found["parting"]["label"]) == ("first", "tcp", "SYN")


def test_messages_that_leave_earlier(tmp_path: Path) -> None:
    first, second = (sample_run(tmp_path / name, make(Wire())) for name, make in (("a", persistent), ("b", pipelined)))
    (found,) = json.loads(diff("--json", first, second).output)["messages"]
    assert found["parting"] is None
    one, other = found["moved"]
    assert one["label"] == other["label"] == "GET /b"
    assert one["time_s"] > other["time_s"]


@pytest.mark.parametrize(("clock", "code"), [(Clock(), 0), (VIRTUAL, 1)])
def test_order_counts_where_it_is_determined(clock: Clock, code: int, tmp_path: Path) -> None:
    runs = [
        sample_run(tmp_path / str(number), serial(Wire(), targets), clock=clock)
        for number, targets in enumerate((("/", "/a", "/b"), ("/", "/b", "/a")))
    ]
    found = diff(*runs)
    assert found.exit_code == code
    assert "the same messages, in another order from here on:" in found.output


def test_times_within_the_tolerance_are_the_same_and_beyond_it_differ(tmp_path: Path) -> None:
    first = sample_run(tmp_path / "a", persistent(Wire()))
    near, far = (
        sample_run(tmp_path / str(ms), persistent(Wire()), {"1.1-pipelined": later(ms / 1e3)}) for ms in (15, 100)
    )
    assert diff(first, near).exit_code == 0
    found = diff(first, far)
    assert found.exit_code == 1
    assert "1.1-pipelined (3 and 3 samples): differs" in found.output
    assert "request" in found.output


def test_terms_of_the_difference_add_up(tmp_path: Path) -> None:
    first, second = (
        sample_run(tmp_path / name, persistent(Wire()), {"page": some})
        for name, some in (("a", TIMINGS), ("b", later(0.05)))
    )
    (time,) = json.loads(diff("--json", first, second).output)["times"]
    parts = sum(term["second_s"] - term["first_s"] for term in time["terms"].values())
    assert parts == pytest.approx(time["total"]["second_s"] - time["total"]["first_s"], abs=1e-9)


def test_a_bootstrap_interval_contains_the_difference_of_means_in_about_95_of_100_cases() -> None:
    source, inside = random.Random(7), 0
    for _ in range(100):
        here, there = ([{"t": source.gauss(mean, 1.0)} for _ in range(25)] for mean in (5.0, 6.0))
        found = differences(here, there)["t"]
        assert found.low_s is not None
        assert found.high_s is not None
        inside += found.low_s <= 1.0 <= found.high_s
    assert 88 <= inside <= 99


def test_few_samples_have_no_interval() -> None:
    few = [{"t": float(number)} for number in range(SAMPLES_MIN - 1)]
    assert differences(few, few)["t"].excludes_zero is None


def test_lines_fit_80_columns_and_json_has_the_same_verdict(tmp_path: Path) -> None:
    name = "a-name-of-a-result-folder-that-is-so-long-that-no-terminal-shows-it-whole-in-one-line"
    first = sample_run(tmp_path / "a", persistent(Wire()))
    second = sample_run(tmp_path / name, serial(Wire()), parameters={"rtt_s": list(range(60))})
    text = diff(first, second)
    # A path has no place to be folded at.
    assert [line for line in text.output.splitlines() if len(line) > WIDTH and "/" not in line] == []
    assert json.loads(diff("--json", first, second).output)["different"] is (text.exit_code == 1)


def test_runs_by_name(tmp_path: Path) -> None:
    sample_run(tmp_path / "http_versions" / "20300101T000000Z-000000", persistent(Wire()), started="2030-01-01")
    sample_run(tmp_path / "http_versions" / "20300102T000000Z-000000", serial(Wire()), started="2030-01-02")
    found = diff("--results", tmp_path, "http_versions/20300101T000000Z-000000", "http_versions/latest")
    assert found.exit_code == 1
    assert "20300102T000000Z-000000" in found.output.replace("\n", "")


@pytest.mark.parametrize("name", ["absent", "http_versions/latest", "empty"])
def test_a_run_that_does_not_exist_is_a_usage_error(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    found = diff("--results", tmp_path, name, name)
    assert found.exit_code == 2
    assert "lab7 run" in found.output or "result.json" in found.output


def test_an_invalid_result_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"format": 99}')
    found = diff(tmp_path, tmp_path)
    assert found.exit_code == 2
    assert "result.format: expected 1" in found.output


def test_a_run_whose_capture_cannot_be_read_is_compared_without_its_messages(tmp_path: Path) -> None:
    first, second = (sample_run(tmp_path / name, persistent(Wire())) for name in "ab")
    (second / "capture.pcapng").write_bytes(b"not a capture")
    found = diff(first, second)
    assert found.exit_code == 0
    assert "Note: messages not compared" in found.output
