"""A result survives a round trip through JSON, and invalid data is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from lab7.experiments.harness.judge.verdict import Verdict
from lab7.experiments.harness.results.latest import find_latest, find_latest_by_variant
from lab7.experiments.harness.results.result import (
    Comparison,
    Environment,
    Fidelity,
    Result,
    ResultError,
    new_folder,
    read_results,
    write_timings,
)
from lab7.experiments.harness.theory.tcp import Theory
from tests.core.experiments.harness.samples import TIMINGS, sample_result


def test_a_result_comes_back_as_it_was(tmp_path: Path) -> None:
    result = sample_result()
    result.save(tmp_path)
    assert Result.load(tmp_path) == result
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_the_fields_are_those_of_the_stable_format() -> None:
    data = sample_result().to_json()
    assert list(data) == [
        "format",
        "experiment",
        "question",
        "parameters",
        "seed",
        "started",
        "duration_s",
        "implementations",
        "claims",
        "comparisons",
        "fidelity",
        "files",
        "attempt",
        "clock",
        "faults",
        "violations",
        "replaced",
        "environment",
        "network",
        "parameter_texts",
    ]
    assert data["claims"] == [
        {
            "id": "H9",
            "verdict": "shown",
            "evidence": "Three requests back to back.",
            "frames": [5, 6, 7],
            "captures": {},
        }
    ]
    assert {"name", "samples_s", "measured_s", "theory_s", "ratio", "terms", "tolerance"} <= set(data["comparisons"][0])


def test_a_comparison_takes_the_median_and_its_terms() -> None:
    (one,) = sample_result().comparisons
    assert (one.measured_s, one.samples_s) == (0.31, (0.30, 0.32, 0.31))
    assert one.ratio == pytest.approx(0.31 / 0.3)
    assert sum(one.terms.values()) == pytest.approx(one.measured_s)
    assert one.within


def test_a_comparison_needs_samples_and_a_theory() -> None:
    with pytest.raises(ValueError, match="needs at least one sample"):
        Comparison.of("x", [], Theory(1.0, {}, "1", "here"), 0.1)
    with pytest.raises(ValueError, match="theory above zero"):
        Comparison.of("x", TIMINGS, Theory(0.0, {}, "0", "here"), 0.1)


def spoil(data: Any, path: tuple[str | int, ...], value: Any) -> Any:
    *steps, last = path
    place = data
    for step in steps:
        place = place[step]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("seed",), None, "result.seed: missing"),
        (("seed",), True, "result.seed: expected an integer"),
        (("format",), 99, "result.format: expected 1, found 99"),
        (("duration_s",), "long", "result.duration_s: expected a finite number"),
        (("duration_s",), float("nan"), "result.duration_s: expected a finite number"),
        (("claims", 0, "verdict"), "proved", "result.claims[0].verdict: expected one of shown, failed, undecided"),
        (("claims", 0, "captures"), {"a": ["1"]}, "result.claims[0].captures.a[0]: expected an integer"),
        (("claims", 0, "frames"), ["1"], "result.claims[0].frames[0]: expected an integer"),
        (("comparisons", 0, "terms"), {"x": "y"}, "result.comparisons[0].terms.x: expected a finite number"),
        (("fidelity",), [], "result.fidelity: expected an object"),
        (("files", "capture"), 3, "result.files.capture: expected a string, found 3"),
    ],
)
def test_an_error_names_the_field(path: tuple[str | int, ...], value: Any, message: str) -> None:
    with pytest.raises(ResultError) as error:
        Result.from_json(spoil(sample_result().to_json(), path, value))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("data", [None, [], "x", 3])
def test_what_is_no_object_is_no_result(data: Any) -> None:
    with pytest.raises(ResultError, match="expected an object"):
        Result.from_json(data)


def test_two_runs_at_the_same_moment_get_two_folders(tmp_path: Path) -> None:
    now = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    folders = {new_folder(tmp_path, "http_versions", now) for _ in range(50)}
    assert len(folders) == 50
    assert all(folder.name.startswith("20300102T030405Z-") and folder.is_dir() for folder in folders)


def save(results: Path, result: Result) -> Path:
    folder = new_folder(results, result.experiment)
    result.save(folder)
    return folder


def test_the_newest_verdict_on_each_claim_is_found(tmp_path: Path) -> None:
    old = (Verdict("H1", "shown", "then"), Verdict("H2", "shown", "then"))
    save(tmp_path, sample_result(started="2030-01-03T00:00:00Z", claims=(Verdict("H1", "failed", "now"),)))
    save(tmp_path, sample_result(started="2030-01-02T00:00:00Z", claims=old, fidelity=Fidelity("suspect")))
    latest = find_latest(tmp_path)
    assert {name: found.verdict.evidence for name, found in latest.items()} == {"H1": "now", "H2": "then"}
    assert latest["H2"].fidelity == "suspect"


def test_other_programs_and_faults_never_take_the_place_of_the_course_s_verdict(tmp_path: Path) -> None:
    shown, failed = ((Verdict("H1", word, word),) for word in ("shown", "failed"))
    save(tmp_path, sample_result(started="2030-01-01T00:00:00Z", claims=shown))
    save(tmp_path, sample_result(started="2030-01-02T00:00:00Z", claims=failed, replaced={"origin": "nginx 1.22.1"}))
    save(tmp_path, sample_result(started="2030-01-03T00:00:00Z", claims=failed, faults={"origin": ("body-in-304",)}))
    assert {name: one.verdict.verdict for name, one in find_latest(tmp_path).items()} == {"H1": "shown"}
    by_variant = find_latest_by_variant(tmp_path)
    assert list(by_variant) == ["", "origin=nginx 1.22.1", "origin with body-in-304"]
    assert by_variant["origin=nginx 1.22.1"]["H1"].verdict.verdict == "failed"


def test_a_result_knows_version_kernel_links_and_command_line(tmp_path: Path) -> None:
    environment = Environment("0.2.0", "Linux 6.1.0 x86_64", "netem", "lab7 run http-versions --set rtt=50ms")
    sample_result(environment=environment).save(tmp_path)
    assert Result.load(tmp_path).environment == environment
    data = sample_result().to_json()
    del data["environment"], data["replaced"]
    assert Result.from_json(data).environment == Environment()


def test_foreign_and_half_written_folders_hide_nothing(tmp_path: Path) -> None:
    folder = save(tmp_path, sample_result())
    for name, text in {"cut": '{"format": 1, "exp', "foreign": "[1, 2]", "older": '{"format": 0}'}.items():
        (tmp_path / "other" / name).mkdir(parents=True)
        (tmp_path / "other" / name / "result.json").write_text(text)
    (tmp_path / "other" / "folder" / "result.json").mkdir(parents=True)
    (tmp_path / "other" / "binary").mkdir()
    (tmp_path / "other" / "binary" / "result.json").write_bytes(b"\xff\xfe\x00")
    assert [found for found, _ in read_results(tmp_path)] == [folder]
    assert find_latest(tmp_path / "nowhere") == {}


def test_timings_have_one_row_a_sample(tmp_path: Path) -> None:
    path = write_timings(tmp_path, {"1.1-pipelined": TIMINGS})
    lines = path.read_text().splitlines()
    assert lines[0] == "name,sample,total_s,tcp_handshake_s,request_s,residual_s"
    assert lines[2] == "1.1-pipelined,2,0.320000000,0.100000000,0.200000000,0.020000000"
    assert len(lines) == 4


def test_json_is_written_as_text_a_person_can_read(tmp_path: Path) -> None:
    text = sample_result(question="Wie lange lädt die Seite?").save(tmp_path).read_text(encoding="utf-8")
    assert "lädt" in text
    assert json.loads(text)["seed"] == 7
